/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/component.c - Microsoft.Insights/components: Application Insights, on a workspace or,
 * in the first articles' way, on a cluster of type ApplicationInsights
 *
 * A document: id name location tags kind etag created, appId key (guids), workspace (ARM id) or
 * cluster (the guid it is associated by), and under "set" the properties that a customer sets, in
 * the names of the wire: PascalCase, unlike every other type's.
 */
#include "resource/component.h"

#include "resource/cluster.h"
#include "resource/plane.h"

static const struct { /* what a customer sets, and what it is while he has not */
    const char *name;
    json_type type; /* JSON_TRUE for a boolean */
    const char *text;
    int64_t number;
    const char *from; /* the version that shows it; NULL = all */
} settable[] = {
    {"Application_Type", JSON_STRING, "web", 0, NULL},
    {"Flow_Type", JSON_STRING, "Bluefield", 0, NULL},
    {"Request_Source", JSON_STRING, "rest", 0, NULL},
    {"HockeyAppId", JSON_STRING, NULL, 0, NULL},
    {"SamplingPercentage", JSON_REAL, NULL, 0, NULL},
    {"RetentionInDays", JSON_INTEGER, NULL, 90, NULL},
    {"DisableIpMasking", JSON_TRUE, NULL, 0, NULL},
    {"ImmediatePurgeDataOn30Days", JSON_TRUE, NULL, 0, NULL},
    {"ForceCustomerStorageForProfiler", JSON_TRUE, NULL, 0, "2020-02-02-preview"},
    {"DisableLocalAuth", JSON_TRUE, NULL, 0, "2020-02-02-preview"},
    {"publicNetworkAccessForIngestion", JSON_STRING, "Enabled", 0, "2018-05-01-preview"},
    {"publicNetworkAccessForQuery", JSON_STRING, "Enabled", 0, "2018-05-01-preview"},
};
#define N_SETTABLE (sizeof settable / sizeof settable[0])

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *shown(const json_t *set, size_t i)
{
    json_t *v = json_object_get(set, settable[i].name);
    if (v != NULL) return json_incref(v);
    if (settable[i].text != NULL) return json_string(settable[i].text);
    if (settable[i].type == JSON_INTEGER) return json_integer(settable[i].number);
    return settable[i].type == JSON_TRUE ? json_false() : json_null();
}

static json_t *properties_json(struct arm_call *c, const json_t *doc)
{
    const struct arm *a = c->arm;
    const char *subscription = c->id->subscription;
    const char *app = doc_str(doc, "appId"), *key = doc_str(doc, "key");
    json_t *p = json_pack(
        "{s:s, s:s, s:s, s:o, s:s, s:s}", "ApplicationId", doc_str(doc, "name"), "AppId", app,
        "InstrumentationKey", key, "CreationDate", arm_date(ARM_DATES_ISO, doc_int(doc, "created")),
        "TenantId", subscription != NULL ? subscription : "", "provisioningState", "Succeeded");
    for (size_t i = 0; i < N_SETTABLE; i++) {
        if (settable[i].from != NULL && !api_version_at_least(c->version, settable[i].from))
            continue;
        json_object_set_new(p, settable[i].name, shown(json_object_get(doc, "set"), i));
    }
    json_object_set_new(p, "HockeyAppToken", json_null());
    json_object_set_new(p, "ConnectionString",
                        json_sprintf("InstrumentationKey=%s;IngestionEndpoint=%s/;LiveEndpoint=%s/;"
                                     "ApplicationId=%s",
                                     key, a->c.endpoint, a->c.endpoint, app));
    json_t *workspace = json_object_get(doc, "workspace"),
           *cluster = json_object_get(doc, "cluster");
    json_object_set_new(p, "IngestionMode",
                        json_string(workspace != NULL ? "LogAnalytics" : "ApplicationInsights"));
    if (workspace != NULL && api_version_at_least(c->version, "2018-05-01-preview")) {
        json_object_set(p, "WorkspaceResourceId", workspace);
    }
    if (cluster != NULL) json_object_set(p, "clusterDefinitionId", cluster);
    return p;
}

static json_t *show(struct arm_call *c, const json_t *doc)
{
    return json_pack("{s:o, s:s, s:s, s:o, s:s, s:s, s:s, s:o}", "properties",
                     properties_json(c, doc), "kind", doc_str(doc, "kind"), "location",
                     doc_str(doc, "location"), "tags", arm_tags(doc), "id", doc_str(doc, "id"),
                     "name", doc_str(doc, "name"), "type", "Microsoft.Insights/components", "etag",
                     json_sprintf("\"%s\"", doc_str(doc, "etag")));
}

enum err component_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, show(c, doc), d);
}

enum err component_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_COMPONENT, show, d);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err bad(struct arm_call *c, struct diag *d, const char *what)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "The component is invalid: %s.", what);
}

static bool fits(const json_t *v, json_type type)
{
    switch (type) {
    case JSON_STRING: return json_is_string(v) && json_string_length(v) <= 256;
    case JSON_REAL: return json_is_number(v);
    case JSON_INTEGER: return json_is_integer(v);
    default: return json_is_boolean(v);
    }
}

static enum err read_set(struct arm_call *c, json_t *doc, struct diag *d)
{
    static const int64_t days[] = {30, 60, 90, 120, 180, 270, 365, 550, 730};
    CLEANUP_JSON json_t *set = json_deep_copy(json_object_get(doc, "set"));
    if (set == NULL) set = json_object();
    for (size_t i = 0; i < N_SETTABLE; i++) {
        const json_t *v = json_at(c->body, "properties", settable[i].name, NULL);
        if (v == NULL || json_is_null(v)) continue;
        if (!fits(v, settable[i].type)) return bad(c, d, settable[i].name);
        TRY(json_put(set, settable[i].name, json_deep_copy(v), d));
    }
    const json_t *retention = json_object_get(set, "RetentionInDays");
    bool good = retention == NULL;
    for (size_t i = 0; i < sizeof days / sizeof days[0]; i++)
        good = good || json_integer_value(retention) == days[i];
    if (!good) return bad(c, d, "RetentionInDays is 30, 60, 90, 120, 180, 270, 365, 550 or 730");
    return json_put(doc, "set", TAKE(set), d);
}

static enum err read_workspace(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *id = json_string_value(json_at(c->body, "properties", "WorkspaceResourceId", NULL));
    struct workspace w;
    if (id == NULL || id[0] == '\0') return OK;
    if (!arm_workspace_by_id(c->arm, id, &w)) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The component is invalid: the workspace '%.300s' was not found.", id);
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/read", w.arm_id, d));
    return json_put(doc, "workspace", json_string(w.arm_id), d);
}

/* The first articles' association. */
static enum err read_cluster(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *guid =
        json_string_value(json_at(c->body, "properties", "clusterDefinitionId", NULL));
    if (guid == NULL || guid[0] == '\0') return OK;
    CLEANUP_JSON json_t *cluster = cluster_by_guid(c->arm, guid);
    if (cluster == NULL) {
        return ARM_FAIL(c, d, 400, "ResourceNotFound",
                        "Cluster not found, the cluster you specified doesn't exist or was "
                        "deleted.");
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/clusters/write", doc_str(cluster, "id"),
                      d));
    if (!str_eq(doc_str(cluster, "type"), "ApplicationInsights")) {
        return bad(c, d,
                   "a component can be associated with a cluster of type ApplicationInsights "
                   "only");
    }
    if (!str_eq(doc_str(cluster, "state"), "Succeeded")) {
        return ARM_FAIL(c, d, 400, "OperationNotAllowed",
                        "Operation can't be executed now. Async operation is in a state other than "
                        "succeeded. Cluster must complete its operation before any update "
                        "operation is performed.");
    }
    if (!str_eq(doc_str(cluster, "location"), doc_str(doc, "location"))) {
        return bad(c, d, "the component and the cluster must be in the same region");
    }
    return json_put(doc, "cluster", json_string(doc_str(cluster, "clusterId")), d);
}

static json_t *new_doc(struct arm_call *c, const char *location)
{
    char app[GUID_TEXT_MAX], key[GUID_TEXT_MAX];
    struct guid g;
    guid_random(&g);
    guid_format(&g, app);
    guid_random(&g);
    guid_format(&g, key);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "id", c->id_text, "name",
                     arm_id_name(c->id), "location", location, "kind", "web", "appId", app, "key",
                     key, "created", (json_int_t)time_now_us());
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err commit(struct arm_call *c, json_t *doc, int status, struct diag *d)
{
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_COMPONENT, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, status, show(c, doc), d);
}

/* Asks for rights, so not under DOCS_WRITE(). */
static enum err read_into(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *kind = json_get_str(c->body, "kind");
    if (kind != NULL && strlen(kind) > 64) return bad(c, d, "kind has at most 64 characters");
    if (kind != NULL) TRY(json_put(doc, "kind", json_string(kind), d));
    TRY(read_set(c, doc, d));
    TRY(read_workspace(c, doc, d));
    TRY(read_cluster(c, doc, d));
    if (json_object_get(doc, "workspace") != NULL && json_object_get(doc, "cluster") != NULL) {
        return bad(c, d, "it lies on a workspace or on a cluster, not on both");
    }
    return arm_stamp(c, doc, d);
}

enum err component_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *seen = arm_get_doc(c);
    const char *location = NULL;
    TRY(arm_read_location(c, seen, &location, d));
    CLEANUP_JSON json_t *doc = seen != NULL ? json_deep_copy(seen) : new_doc(c, location);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_into(c, doc, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    TRY(arm_check_etag(c, old, d));
    if (old != seen) {
        return ARM_FAIL(c, d, 409, "Conflict",
                        "Another request has changed the component at this moment. Read it and try "
                        "again.");
    }
    return commit(c, doc, 200, d); /* new ones too: no other success is known to all clients */
}

enum err component_patch(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = NULL;
    TRY(arm_need_doc(c, &old, d));
    TRY(arm_check_etag(c, old, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(old);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(arm_stamp(c, doc, d));
    return commit(c, doc, 200, d);
}

enum err component_remove(struct arm_call *c, struct diag *d)
{
    return arm_remove(c, true, d);
}

/* --- telemetry -------------------------------------------------------------------------------- */

static void describe(struct arm *a, const json_t *doc, struct component *out)
{
    const json_t *set = json_object_get(doc, "set");
    struct component x = {.needs_token = json_is_true(json_object_get(set, "DisableLocalAuth")),
                          .keeps_address = json_is_true(json_object_get(set, "DisableIpMasking"))};
    const char *access = doc_str(set, "publicNetworkAccessForIngestion");
    snprintf(x.id, sizeof x.id, "%s", doc_str(doc, "id"));
    snprintf(x.app_id, sizeof x.app_id, "%s", doc_str(doc, "appId"));
    x.has_workspace = arm_workspace_by_id(a, doc_str(doc, "workspace"), &x.workspace);
    x.private_ingestion =
        x.workspace.private_ingestion || (access[0] != '\0' && !str_eq_nocase(access, "Enabled"));
    *out = x;
}

bool arm_component_by_key(struct arm *a, const char *key, struct component *out)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_COMPONENT, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        if (key == NULL || !str_eq_nocase(doc_str(doc, "key"), key)) continue;
        describe(a, doc, out);
        return true;
    }
    return false;
}

bool arm_component_named(struct arm *a, const char *name, struct component *out)
{
    static const char *const fields[] = {"name", "appId", "id"};
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_COMPONENT, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        for (size_t k = 0; k < sizeof fields / sizeof fields[0]; k++) {
            if (!str_eq_nocase(doc_str(doc, fields[k]), name)) continue;
            describe(a, doc, out);
            return true;
        }
    }
    return false;
}

/* Rows go by retention or with their table: none is taken out of its sealed file by itself. */
static enum err refuse_purge(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return ARM_FAIL(
        c, d, 400, "NotSupported",
        "Purge is not supported: rows go by retention, or all at once with their table or "
        "workspace.");
}

const struct arm_action component_actions[] = {{"purge", refuse_purge}, {NULL, NULL}};
