/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rule.c - Microsoft.Insights/dataCollectionRules: those of customers, and the default
 * rule that each workspace is born with
 *
 * The default rule's document: id name location workspaceId customerId. It takes any stream
 * Custom-<T>_CL into the table T_CL, and goes with its workspace. A customer's: id name location
 * kind tags etag immutable, and sealed: its properties, which name tables and columns. A second
 * document, "rule:" and the immutable id, says which rule has it.
 */
#include "resource/rule.h"

#define IMMUTABLE_LEN 36 /* "dcr-" and 32 hex digits */

json_t *rule_doc(const json_t *workspace)
{
    const char *id = doc_str(workspace, "rule"), *name = strrchr(id, '/');
    return json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", id, "name", name != NULL ? name + 1 : id,
                     "location", doc_str(workspace, "location"), "workspaceId",
                     doc_str(workspace, "id"), "customerId", doc_str(workspace, "customerId"));
}

static bool is_default(const json_t *doc)
{
    return json_object_get(doc, "customerId") != NULL;
}

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *default_properties(const json_t *doc)
{
    json_t *destination =
        json_pack("{s:s, s:s, s:s}", "workspaceResourceId", doc_str(doc, "workspaceId"),
                  "workspaceId", doc_str(doc, "customerId"), "name", "workspace");
    return json_pack("{s:s, s:{}, s:{s:[o]}, s:[]}", "description",
                     "Takes any custom stream into the table of its name.", "streamDeclarations",
                     "destinations", "logAnalytics", destination, "dataFlows");
}

static enum err show(struct arm *a, const json_t *doc, json_t **out, struct diag *d)
{
    const char *id = doc_str(doc, "id"), *kind = doc_str(doc, "kind");
    CLEANUP_FREE char *key = str_dup(id);
    json_t *p = NULL;
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    if (is_default(doc)) {
        p = default_properties(doc);
        kind = "Direct";
    } else {
        TRY(arm_unseal(a, key, doc, &p, d));
    }
    const char *immutable = is_default(doc) ? doc_str(doc, "name") : doc_str(doc, "immutable");
    json_object_set_new(p, "immutableId", json_string(immutable));
    json_object_set_new(p, "provisioningState", json_string("Succeeded"));
    if (str_eq_nocase(kind, "Direct")) {
        json_object_set_new(p, "endpoints", json_pack("{s:s}", "logsIngestion", a->c.endpoint));
    }
    json_t *j = json_pack("{s:o, s:s, s:o, s:s, s:s, s:s}", "properties", p, "location",
                          doc_str(doc, "location"), "tags", arm_tags(doc), "id", id, "name",
                          doc_str(doc, "name"), "type", "Microsoft.Insights/dataCollectionRules");
    if (kind[0] != '\0') json_object_set_new(j, "kind", json_string(kind));
    if (!is_default(doc)) {
        json_object_set_new(j, "etag", json_sprintf("\"%s\"", doc_str(doc, "etag")));
    }
    *out = j;
    return j != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static enum err reply(struct arm_call *c, int status, const json_t *doc, struct diag *d)
{
    json_t *j = NULL;
    TRY(show(c->arm, doc, &j, d));
    return arm_reply(c, status, j, d);
}

enum err rule_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return reply(c, 200, doc, d);
}

enum err rule_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_RULE);
    CLEANUP_JSON json_t *values = json_array();
    json_t *doc;
    size_t i;
    json_array_foreach (docs, i, doc) {
        json_t *j = NULL;
        TRY(show(c->arm, doc, &j, d));
        json_array_append_new(values, j);
    }
    return arm_reply_list(c, TAKE(values), d);
}

/* --- changing --------------------------------------------------------------------------------- */

static char *index_key(const char *immutable)
{
    char *key = str_fmt("rule:%s", immutable);
    if (key != NULL) str_lower(key);
    return key;
}

static enum err refuse_default(struct arm_call *c, const json_t *doc, struct diag *d)
{
    if (!is_default(doc)) return OK;
    return ARM_FAIL(c, d, 409, "Conflict",
                    "The rule '%s' belongs to its workspace: it is not changed, and goes with it.",
                    doc_str(doc, "name"));
}

static json_t *new_doc(struct arm_call *c, const char *location)
{
    struct guid g;
    char immutable[IMMUTABLE_LEN + 1] = "dcr-";
    guid_random(&g);
    hex_encode(BYTES_OF(g), immutable + 4);
    return json_pack("{s:s, s:s, s:s, s:s}", "id", c->id_text, "name", arm_id_name(c->id),
                     "location", location, "immutable", immutable);
}

/* Under DOCS_WRITE(). properties NULL: as they were. Takes nothing. */
static enum err store(struct arm_call *c, json_t *doc, const json_t *properties, struct diag *d)
{
    TRY(arm_stamp(c, doc, d));
    if (properties != NULL) TRY(arm_seal(c->arm, c->key, properties, doc, d));
    CLEANUP_FREE char *index = index_key(doc_str(doc, "immutable"));
    if (index == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_RULE, json_incref(doc));
    change_put(&change, DOC_RESOURCE, index, KIND_RULE_INDEX, json_pack("{s:s}", "rule", c->key));
    return arm_commit(c, &change, d);
}

static enum err read_kind(struct arm_call *c, json_t *doc, struct diag *d)
{
    static const char *const kinds[] = {"Direct", "Linux", "Windows"};
    const char *kind = json_get_str(c->body, "kind");
    if (kind == NULL) return OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_eq_nocase(kind, kinds[i])) return json_put(doc, "kind", json_string(kinds[i]), d);
    }
    return ARM_FAIL(c, d, 400, "InvalidPayload",
                    "The kind of a data collection rule is Direct, Linux, Windows or absent.");
}

enum err rule_put(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *seen = arm_get_doc(c), *properties = NULL;
    TRY(arm_need_body(c, d));
    TRY(refuse_default(c, seen, d));
    if (!arm_name_valid(arm_id_name(c->id), 3, 64)) {
        return ARM_FAIL(c, d, 400, "InvalidResourceName",
                        "The name of a data collection rule has 3 to 64 letters, digits and inner "
                        "dashes.");
    }
    TRY(rule_read(c, &properties, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    TRY(arm_check_etag(c, old, d));
    const char *location = NULL;
    TRY(arm_read_location(c, old, &location, d));
    CLEANUP_JSON json_t *doc = old != NULL ? json_deep_copy(old) : new_doc(c, location);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_kind(c, doc, d));
    TRY(store(c, doc, properties, d));
    return reply(c, old == NULL ? 201 : 200, doc, d);
}

enum err rule_patch(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = NULL;
    TRY(arm_need_doc(c, &old, d));
    TRY(refuse_default(c, old, d));
    TRY(arm_check_etag(c, old, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(old);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(store(c, doc, NULL, d));
    return reply(c, 200, doc, d);
}

static enum err remove_into(const json_t *doc, struct change *change, struct diag *d)
{
    CLEANUP_FREE char *index = index_key(doc_str(doc, "immutable")),
                      *key = str_dup(doc_str(doc, "id"));
    if (index == NULL || key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    change_remove(change, DOC_RESOURCE, key);
    change_remove(change, DOC_RESOURCE, index);
    return OK;
}

enum err rule_bury(struct arm *a, const json_t *doc, struct diag *d)
{
    if (is_default(doc)) return OK;
    DOCS_WRITE(a->docs);
    CLEANUP_CHANGE struct change change = {0};
    TRY(remove_into(doc, &change, d));
    return docs_commit(a->docs, &change, d);
}

enum err rule_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    TRY(refuse_default(c, old, d));
    TRY(arm_check_etag(c, old, d));
    CLEANUP_CHANGE struct change change = {0};
    TRY(remove_into(old, &change, d));
    return arm_commit(c, &change, d);
}

/* --- where rows go ---------------------------------------------------------------------------- */

enum err rule_find(struct arm *a, const char *immutable_id, char arm_id[ARM_ID_MAX], struct diag *d)
{
    CLEANUP_FREE char *index =
        strlen(immutable_id) == IMMUTABLE_LEN ? index_key(immutable_id) : NULL;
    CLEANUP_JSON json_t *entry = index != NULL ? arm_doc(a, index) : NULL;
    CLEANUP_JSON json_t *doc = entry != NULL ? arm_doc(a, doc_str(entry, "rule")) : NULL;
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the rule '%.60s' was not found", immutable_id);
    snprintf(arm_id, ARM_ID_MAX, "%s", doc_str(doc, "id"));
    return OK;
}

static const json_t *flow_of(const json_t *p, const char *stream)
{
    size_t i;
    json_t *flow;
    json_array_foreach (json_object_get(p, "dataFlows"), i, flow) {
        const char *its = json_string_value(json_array_get(json_get(flow, "streams"), 0));
        if (its != NULL && str_eq_nocase(its, stream)) return flow;
    }
    return NULL;
}

static const char *workspace_of(const json_t *p, const json_t *flow)
{
    const char *to = json_string_value(json_array_get(json_get(flow, "destinations"), 0));
    size_t i;
    json_t *x;
    json_array_foreach (json_at(p, "destinations", "logAnalytics", NULL), i, x) {
        const char *its = json_get_str(x, "name");
        if (its != NULL && to != NULL && str_eq_nocase(its, to))
            return json_get_str(x, "workspaceResourceId");
    }
    return NULL;
}

enum err rule_route(struct arm *a, const char *arm_id, const char *stream, struct arena *arena,
                    struct rule_route *out, struct diag *d)
{
    CLEANUP_FREE char *key = str_dup(arm_id);
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    CLEANUP_JSON json_t *doc = arm_doc(a, key), *p = NULL;
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the rule '%.300s' was not found", arm_id);
    TRY(arm_unseal(a, key, doc, &p, d));
    const json_t *flow = flow_of(p, stream);
    const char *workspace = workspace_of(p, flow);
    struct rule_route r = {0};
    if (flow == NULL) return FAIL(d, ERR_NOT_FOUND, "the stream '%.80s' was not found", stream);
    if (workspace == NULL || !arm_workspace_by_id(a, workspace, &r.workspace)) {
        return FAIL(d, ERR_NOT_FOUND, "the workspace of the stream '%.80s' was not found", stream);
    }
    const char *declared = json_string_value(json_array_get(json_get(flow, "streams"), 0));
    const char *output = json_get_str(flow, "outputStream"),
               *kql = json_get_str(flow, "transformKql");
    TRY(rule_stream(p, declared, arena, &r.stream, d));
    r.table = arena_str(arena, bytes_str(rule_table(output != NULL ? output : declared)));
    r.kql = kql != NULL ? arena_str(arena, bytes_str(kql)) : NULL;
    if (r.table == NULL || (kql != NULL && r.kql == NULL)) return arena_full(arena, d);
    *out = r;
    return OK;
}
