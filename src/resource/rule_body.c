/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rule_body.c - what the body of a data collection rule must be
 *
 * (1) Rows come in through the ingestion API only: there are no agents, so data sources, streams of
 *     agents and other destinations than workspaces are refused by name.
 * (2) A stream has one data flow and a flow one workspace: 204 says that all rows are stored, and
 *     two workspaces can't be written in one step.
 * (3) The transformation is compiled when the rule is written, against the stream's columns and the
 *     table's: what a sender would run into, the author is told.
 */
#include "resource/rule.h"

#include "ingest/standard_table.h"
#include "ingest/transform.h"

#define STREAMS_MAX      20 /* as documented */
#define FLOWS_MAX        20
#define DESTINATIONS_MAX 10
#define COLUMNS_MAX      500
#define NAME_MAX_LEN     64
#define CUSTOM           "Custom-"
#define STANDARD         "Microsoft-"

/* --- failing ---------------------------------------------------------------------------------- */

/* 400 InvalidPayload with one detail: what is wrong, and where. */
static enum err invalid(struct arm_call *c, const char *code, const char *target, const char *text,
                        struct diag *d)
{
    json_decref(c->details);
    c->details = json_pack("[{s:s, s:s, s:s}]", "code", code, "message", text, "target", target);
    return ARM_FAIL(c, d, 400, "InvalidPayload", "Data collection rule is invalid");
}
#define INVALID(c, code, target, d, ...) \
    invalid((c), (code), (target), arena_fmt((c)->a, __VA_ARGS__), (d))

/* --- streams ---------------------------------------------------------------------------------- */

static bool name_valid(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        bool letter = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || s[i] == '_';
        if (!letter && (i == 0 || s[i] < '0' || s[i] > '9')) return false;
    }
    return n >= 1 && n <= NAME_MAX_LEN;
}

static enum err read_column(const json_t *j, struct arena *a, const struct schema *before,
                            struct column *out, struct diag *d)
{
    static const enum type types[] = {T_STRING, T_INT,      T_LONG,   T_REAL,
                                      T_BOOL,   T_DATETIME, T_DYNAMIC};
    const char *name = json_get_str(j, "name"), *type = json_get_str(j, "type");
    enum type t = T_NONE;
    if (name == NULL || type == NULL || !name_valid(name)) {
        return FAIL(d, ERR_INVALID,
                    "a column needs a name of letters, digits and underscores, and "
                    "a type");
    }
    bool good = type_parse(type, &t, NULL) == OK, listed = false;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        listed = listed || t == types[i];
    if (!good || !listed) {
        return FAIL(d, ERR_INVALID,
                    "the type of column '%s' is none of string, int, long, real, boolean, "
                    "datetime, dynamic",
                    name);
    }
    if (schema_find(before, name) >= 0) {
        return FAIL(d, ERR_INVALID, "the column '%s' is declared twice", name);
    }
    *out = (struct column){arena_str(a, bytes_str(name)), t};
    return out->name != NULL ? OK : arena_full(a, d);
}

enum err rule_stream(const json_t *properties, const char *stream, struct arena *a,
                     struct schema *out, struct diag *d)
{
    const json_t *list = json_at(properties, "streamDeclarations", stream, "columns", NULL);
    size_t n = json_array_size(list), i;
    if (n == 0 || n > COLUMNS_MAX) {
        return FAIL(d, ERR_INVALID, "a declared stream has 1 to %d columns", COLUMNS_MAX);
    }
    struct column *cols = arena_array(a, struct column, n);
    if (cols == NULL) return arena_full(a, d);
    struct schema s = {.cols = cols};
    json_t *j;
    json_array_foreach (list, i, j) {
        TRY(read_column(j, a, &s, &cols[i], d));
        s.n++;
    }
    *out = s;
    return OK;
}

const char *rule_table(const char *stream)
{
    bool custom = str_starts_nocase(stream, CUSTOM) && str_ends(stream, "_CL");
    if (custom) return stream + sizeof CUSTOM - 1;
    if (!str_starts_nocase(stream, STANDARD)) return NULL;
    const struct standard_table *s = standard_table_find(stream + sizeof STANDARD - 1);
    return s != NULL && s->takes_streams ? s->name : NULL;
}

static enum err check_streams(struct arm_call *c, const json_t *p, struct diag *d)
{
    json_t *streams = json_object_get(p, "streamDeclarations"), *value;
    const char *name;
    if (streams != NULL && (!json_is_object(streams) || json_object_size(streams) > STREAMS_MAX)) {
        return INVALID(c, "InvalidStream", "properties.streamDeclarations", d,
                       "A rule declares at most %d streams.", STREAMS_MAX);
    }
    json_object_foreach (streams, name, value) {
        struct schema s;
        struct diag why = DIAG_INIT;
        char *target = arena_fmt(c->a, "properties.streamDeclarations.%s", name);
        if (target == NULL) return arena_full(c->a, d);
        if (!str_starts(name, CUSTOM)) {
            return INVALID(c, "InvalidStream", target, d,
                           "The name of a declared stream begins with Custom-.");
        }
        enum err e = rule_stream(p, name, c->a, &s, &why);
        if (e != OK) return INVALID(c, "InvalidStream", target, d, "%s", why.text);
    }
    return OK;
}

/* --- destinations ----------------------------------------------------------------------------- */

static const json_t *destination_of(const json_t *p, const char *name)
{
    size_t i;
    json_t *x;
    json_array_foreach (json_at(p, "destinations", "logAnalytics", NULL), i, x) {
        const char *its = json_get_str(x, "name");
        if (its != NULL && str_eq_nocase(its, name)) return x;
    }
    return NULL;
}

/* Makes sure of the workspace and writes its two ids as they are. */
static enum err check_destination(struct arm_call *c, const json_t *p, json_t *x, size_t i,
                                  struct diag *d)
{
    char *target = arena_fmt(c->a, "properties.destinations.logAnalytics[%zu]", i);
    const char *id = json_get_str(x, "workspaceResourceId"), *name = json_get_str(x, "name");
    struct workspace w;
    if (target == NULL) return arena_full(c->a, d);
    if (id == NULL || name == NULL || name[0] == '\0') {
        return INVALID(c, "InvalidDestination", target, d,
                       "A destination needs a name and a workspaceResourceId.");
    }
    if (destination_of(p, name) != x) {
        return INVALID(c, "InvalidDestination", target, d, "The destination '%.60s' stands twice.",
                       name);
    }
    if (!arm_workspace_by_id(c->arm, id, &w)) {
        return INVALID(c, "InvalidDestination", target, d, "The workspace '%.300s' was not found.",
                       id);
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/sharedKeys/action", w.arm_id,
                      d));
    TRY(json_put(x, "workspaceResourceId", json_string(w.arm_id), d));
    return json_put(x, "workspaceId", json_string(w.customer_id), d);
}

static enum err check_destinations(struct arm_call *c, const json_t *p, struct diag *d)
{
    json_t *all = json_object_get(p, "destinations"), *value;
    const char *kind;
    json_object_foreach (all, kind, value) {
        bool empty = json_is_null(value) || json_array_size(value) + json_object_size(value) == 0;
        if (str_eq(kind, "logAnalytics") || empty) continue;
        return INVALID(c, "InvalidDestination", "properties.destinations", d,
                       "Only workspaces are destinations here (logAnalytics), not %.60s.", kind);
    }
    const json_t *list = json_object_get(all, "logAnalytics");
    if (json_array_size(list) > DESTINATIONS_MAX) {
        return INVALID(c, "InvalidDestination", "properties.destinations", d,
                       "A rule has at most %d destinations.", DESTINATIONS_MAX);
    }
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x)
        TRY(check_destination(c, p, x, i, d));
    return OK;
}

/* --- flows ------------------------------------------------------------------------------------ */

static const char *only(const json_t *flow, const char *name)
{
    const json_t *list = json_get(flow, name);
    return json_array_size(list) == 1 ? json_string_value(json_array_get(list, 0)) : NULL;
}

/* (3) */
static enum err check_transform(struct arm_call *c, const json_t *flow, const struct schema *stream,
                                struct table *table, const char *target, struct diag *d)
{
    CLEANUP(transform_free) struct transform *t = NULL;
    struct diag why = DIAG_INIT;
    const char *kql = json_get_str(flow, "transformKql");
    if (transform_new(&t, kql, stream, time_now_us() * 10 + TICKS_UNIX, &why) != OK) {
        return INVALID(c, "InvalidTransformQuery", target, d, "%s%s%s", why.text,
                       why.tag[0] != '\0' ? ": " : "", why.tag);
    }
    if (transform_fits(t, store_table_schema(table), &why) != OK) {
        return INVALID(c, "InvalidTransformOutput", target, d, "%s", why.text);
    }
    return OK;
}

static enum err find_output(struct arm_call *c, const json_t *p, const json_t *flow,
                            const char *stream, const char *target, struct table **out,
                            struct diag *d)
{
    struct workspace w;
    const char *to = only(flow, "destinations");
    const json_t *destination = to != NULL ? destination_of(p, to) : NULL;
    if (destination == NULL ||
        !arm_workspace_by_id(c->arm, json_get_str(destination, "workspaceResourceId"), &w)) {
        return INVALID(c, "InvalidDestination", target, d,
                       "A data flow names one destination of the rule.");
    }
    const char *output = json_get_str(flow, "outputStream");
    const char *name = rule_table(output != NULL ? output : stream);
    if (name == NULL) {
        return INVALID(
            c, "InvalidOutputTable", target, d,
            "The output stream is not Custom-<table>_CL, and no table of the original that "
            "takes streams: '%.80s'.",
            output != NULL ? output : stream);
    }
    struct diag why = DIAG_INIT;
    enum err e = arm_table_of(c->arm, &w.id, name, out, &why);
    if (e == ERR_NOT_FOUND) {
        return INVALID(c, "InvalidOutputTable", target, d,
                       "Table for output stream '%.80s' is not available for destination "
                       "'%.60s'.",
                       output != NULL ? output : stream, to);
    }
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

static bool flows_before(const json_t *flows, size_t n, const char *stream)
{
    for (size_t i = 0; i < n; i++) {
        const char *its = only(json_array_get(flows, i), "streams");
        if (its != NULL && str_eq(its, stream)) return true;
    }
    return false;
}

static enum err check_flow(struct arm_call *c, const json_t *p, const json_t *flows, size_t i,
                           struct diag *d)
{
    const json_t *flow = json_array_get(flows, i);
    char *target = arena_fmt(c->a, "properties.dataFlows[%zu]", i);
    const char *stream = only(flow, "streams");
    if (target == NULL) return arena_full(c->a, d);
    if (stream == NULL || flows_before(flows, i, stream)) { /* (2) */
        return INVALID(c, "InvalidDataFlow", target, d,
                       "A data flow takes one stream, and a stream has one data flow.");
    }
    struct schema s;
    struct diag why = DIAG_INIT;
    if (rule_stream(p, stream, c->a, &s, &why) != OK) {
        return INVALID(c, "InvalidStream", target, d,
                       "The stream '%.80s' is not declared by the rule. Streams of agents are not "
                       "supported.",
                       stream);
    }
    struct table *table = NULL;
    TRY(find_output(c, p, flow, stream, target, &table, d));
    return check_transform(c, flow, &s, table, target, d);
}

/* --- the whole -------------------------------------------------------------------------------- */

static enum err check_endpoint(struct arm_call *c, const json_t *p, struct diag *d)
{
    const char *text = json_get_str(p, "dataCollectionEndpointId");
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (text == NULL) return OK;
    if (arm_id_parse(c->a, text, &id, &why) == OK) {
        CLEANUP_JSON json_t *doc = arm_doc(c->arm, arm_id_key(c->a, &id));
        if (doc != NULL && str_eq_nocase(id.type, "Microsoft.Insights/dataCollectionEndpoints"))
            return OK;
    }
    return INVALID(c, "InvalidDataCollectionEndpoint", "properties.dataCollectionEndpointId", d,
                   "The data collection endpoint '%.300s' was not found.", text);
}

static enum err copy_known(struct arm_call *c, json_t *p, struct diag *d)
{
    static const char *const names[] = {"description", "dataCollectionEndpointId",
                                        "streamDeclarations", "destinations", "dataFlows"};
    const json_t *given = json_get(c->body, "properties");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *v = json_get(given, names[i]);
        if (v != NULL && !json_is_null(v)) TRY(json_put(p, names[i], json_deep_copy(v), d));
    }
    const json_t *sources = json_get(given, "dataSources");
    const char *kind;
    json_t *value;
    json_object_foreach ((json_t *)sources, kind, value) {
        if (json_array_size(value) + json_object_size(value) == 0) continue;
        return INVALID(c, "InvalidDataSource", "properties.dataSources", d, /* (1) */
                       "Data sources of agents are not supported: %.60s.", kind);
    }
    return OK;
}

enum err rule_read(struct arm_call *c, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *p = json_object();
    TRY(copy_known(c, p, d));
    TRY(check_streams(c, p, d));
    TRY(check_destinations(c, p, d));
    TRY(check_endpoint(c, p, d));
    const json_t *flows = json_object_get(p, "dataFlows");
    if (flows != NULL && (!json_is_array(flows) || json_array_size(flows) > FLOWS_MAX)) {
        return INVALID(c, "InvalidDataFlow", "properties.dataFlows", d,
                       "A rule has at most %d data flows.", FLOWS_MAX);
    }
    for (size_t i = 0; i < json_array_size(flows); i++)
        TRY(check_flow(c, p, flows, i, d));
    *out = TAKE(p);
    return OK;
}
