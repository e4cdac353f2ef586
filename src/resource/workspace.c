/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/workspace.c - Microsoft.OperationalInsights/workspaces
 *
 * A document: id name location tags, customerId (guid, what data planes address), state operation
 * etag, sku level, retention, quota, features, access {ingestion, query}, forceCmk, rule (id of the
 * default collection rule), created modified sized. A deleted workspace keeps its document, with
 * the link it had, for 14 days: the same PUT brings it back.
 */
#include "resource/group.h"
#include "resource/link.h"
#include "resource/quota.h"

#include "base/log.h"

#include <math.h>

#define CREATE_WAIT_MS    5000 /* most workspaces are ready before the answer is on its way */
#define RETENTION_DEFAULT 30
#define DEFINITION        "clusterDefinitionId" /* among the features, in 2015-11-01-preview */

static const char *const skus[] = {
    "Free",     "Standard", "Premium", "PerNode", "PerGB2018", "Standalone", "CapacityReservation",
    "LACluster"};

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *link_of(struct arm *a, const char *workspace_key)
{
    CLEANUP_FREE char *key = str_fmt("%s/linkedservices/cluster", workspace_key);
    json_t *link = key != NULL ? arm_doc(a, key) : NULL;
    if (link != NULL && !link_holds(link)) {
        json_decref(link);
        return NULL;
    }
    return link;
}

static json_t *lowered(const char *s, bool lower)
{
    CLEANUP_FREE char *copy = str_dup(s);
    if (copy != NULL && lower) str_lower(copy);
    return json_string(copy != NULL ? copy : s);
}

static json_t *sku_json(const json_t *doc, const struct workspace_dialect *how, bool is_linked)
{
    json_t *sku = json_object();
    json_object_set_new(sku, "name",
                        lowered(is_linked ? "LACluster" : doc_str(doc, "sku"), how->is_lower_case));
    if (doc_int(doc, "level") != 0 && !is_linked) {
        json_object_set_new(sku, "capacityReservationLevel", json_integer(doc_int(doc, "level")));
    }
    if (how->is_lower_case)
        json_object_set_new(sku, "maxCapacityReservationLevel", json_integer(3000));
    json_object_set_new(sku, "lastSkuUpdate", arm_date(how->dates, doc_int(doc, "sized")));
    return sku;
}

static json_t *capping_json(struct arm *a, const json_t *doc, const struct workspace_dialect *how)
{
    const json_t *quota = json_object_get(doc, "quota");
    double cap = json_is_number(quota) ? json_number_value(quota) : -1.0;
    return json_pack("{s:f, s:o, s:s}", "dailyQuotaGb", cap, "quotaNextResetTime",
                     arm_date(how->dates, quota_reset_us(time_now_us())), "dataIngestionStatus",
                     quota_status(a, doc_str(doc, "customerId"), cap));
}

/* The first article's name for a link: the cluster's guid. */
static void add_definition(struct arm *a, json_t *features, const json_t *link)
{
    CLEANUP_FREE char *key = str_dup(doc_str(link, "cluster"));
    if (key == NULL) return;
    str_lower(key);
    CLEANUP_JSON json_t *cluster = arm_doc(a, key);
    json_object_set_new(features, DEFINITION, json_string(doc_str(cluster, "clusterId")));
}

static json_t *properties_json(struct arm *a, const json_t *doc,
                               const struct workspace_dialect *how, const json_t *link)
{
    json_t *p = json_object();
    if (how->has_source) json_object_set_new(p, "source", json_string("Azure"));
    json_object_set_new(p, "customerId", json_string(doc_str(doc, "customerId")));
    json_object_set_new(p, "provisioningState", json_string(doc_str(doc, "state")));
    json_object_set_new(p, "sku", sku_json(doc, how, link != NULL));
    json_object_set_new(p, "retentionInDays", json_integer(doc_int(doc, "retention")));
    json_t *features = json_pack("{s:i, s:i}", "legacy", 0, "searchVersion", 1);
    json_object_update(features, json_object_get(doc, "features"));
    if (link != NULL)
        json_object_set(features, "clusterResourceId", json_object_get(link, "cluster"));
    if (link != NULL && how->has_definition) add_definition(a, features, link);
    json_object_set_new(p, "features", features);
    json_object_set_new(p, "workspaceCapping", capping_json(a, doc, how));
    json_object_set_new(p, "publicNetworkAccessForIngestion",
                        json_string(doc_str(doc, "ingestion")));
    json_object_set_new(p, "publicNetworkAccessForQuery", json_string(doc_str(doc, "query")));
    if (json_object_get(doc, "forceCmk") != NULL) {
        json_object_set(p, "forceCmkForQuery", json_object_get(doc, "forceCmk"));
    }
    json_object_set_new(p, "createdDate", arm_date(how->dates, doc_int(doc, "created")));
    json_object_set_new(p, "modifiedDate", arm_date(how->dates, doc_int(doc, "modified")));
    json_object_set_new(p, "defaultDataCollectionRuleResourceId",
                        json_string(doc_str(doc, "rule")));
    return p;
}

static json_t *workspace_json(struct arm *a, const json_t *doc, const struct workspace_dialect *how,
                              const json_t *link)
{
    json_t *j = json_pack("{s:o, s:s}", "properties", properties_json(a, doc, how, link),
                          "location", doc_str(doc, "location"));
    json_t *tags = arm_tags(doc);
    if (how->shows_empty_tags || json_object_size(tags) != 0) {
        json_object_set_new(j, "tags", tags);
    } else {
        json_decref(tags);
    }
    json_object_set_new(j, "id", lowered(doc_str(doc, "id"), how->is_lower_case));
    json_object_set_new(j, "name", json_string(doc_str(doc, "name")));
    json_object_set_new(j, "type", json_string("Microsoft.OperationalInsights/workspaces"));
    if (how->has_etag) json_object_set_new(j, "etag", json_sprintf("\"%s\"", doc_str(doc, "etag")));
    return j;
}

static json_t *show(struct arm_call *c, const json_t *doc)
{
    CLEANUP_FREE char *key = str_dup(doc_str(doc, "id"));
    if (key != NULL) str_lower(key);
    CLEANUP_JSON json_t *link = key != NULL ? link_of(c->arm, key) : NULL;
    return workspace_json(c->arm, doc, workspace_dialect(c->version), link);
}

enum err workspace_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    if (!str_eq(doc_str(doc, "state"), "Succeeded")) http_set(c->res, "Retry-After", "1");
    return arm_reply(c, 200, show(c, doc), d);
}

enum err workspace_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_WORKSPACE, show, d);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err bad(struct arm_call *c, struct diag *d, const char *text)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "%s", text);
}

static bool level_valid(int64_t n)
{
    static const int64_t levels[] = {100, 200, 300, 400, 500, 1000, 2000, 5000};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (levels[i] == n) return true;
    }
    return false;
}

static enum err read_sku(struct arm_call *c, json_t *doc, struct diag *d)
{
    const json_t *sku = json_at(c->body, "properties", "sku", NULL);
    if (sku == NULL || json_is_null(sku)) return OK;
    const char *name = json_get_str(sku, "name"), *known = NULL;
    for (size_t i = 0; name != NULL && i < sizeof skus / sizeof skus[0]; i++) {
        if (str_eq_nocase(name, skus[i])) known = skus[i];
    }
    if (known == NULL) return bad(c, d, "The sku name of the workspace is invalid.");
    /* A linked workspace shows LACluster; clients send back what they were shown. */
    if (str_eq(known, "LACluster")) return OK;
    int64_t level = json_get_int(sku, "capacityReservationLevel", 0);
    if (str_eq(known, "CapacityReservation") && !level_valid(level)) {
        return bad(c, d,
                   "capacityReservationLevel is invalid. Set it to 100, 200, 300, 400, 500, 1000, "
                   "2000 or 5000 GB per day.");
    }
    if (!str_eq(known, "CapacityReservation")) level = 0;
    if (!str_eq(known, doc_str(doc, "sku")) || level != doc_int(doc, "level")) {
        json_object_set_new(doc, "sized", json_integer(time_now_us()));
    }
    json_object_set_new(doc, "sku", json_string(known));
    json_object_set_new(doc, "level", json_integer(level));
    return OK;
}

static enum err read_retention(struct arm_call *c, json_t *doc, struct diag *d)
{
    const json_t *days = json_at(c->body, "properties", "retentionInDays", NULL);
    if (days == NULL || json_is_null(days)) return OK;
    int64_t n = json_is_integer(days) ? json_integer_value(days) : -1;
    bool is_free = str_eq(doc_str(doc, "sku"), "Free") && n == 7;
    if (!is_free && (n < 30 || n > 730)) {
        return bad(c, d, "retentionInDays of a workspace must be a whole number from 30 to 730.");
    }
    json_object_set_new(doc, "retention", json_integer(n));
    return OK;
}

static enum err read_access(struct arm_call *c, json_t *doc, const char *property,
                            const char *field, struct diag *d)
{
    static const char *const values[] = {"Enabled", "Disabled", "SecuredByPerimeter"};
    const char *s = json_string_value(json_at(c->body, "properties", property, NULL));
    if (s == NULL) return OK;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        if (!str_eq_nocase(s, values[i])) continue;
        json_object_set_new(doc, field, json_string(values[i]));
        return OK;
    }
    return ARM_FAIL(c, d, 400, "InvalidParameter", "%s is invalid. Set it to Enabled or Disabled.",
                    property);
}

static enum err read_features(struct arm_call *c, json_t *doc, struct diag *d)
{
    static const char *const read_only[] = {
        "legacy",       "searchVersion", "clusterResourceId", "unifiedSentinelBillingOnly",
        "associations", DEFINITION};
    const json_t *given = json_at(c->body, "properties", "features", NULL);
    if (given == NULL || json_is_null(given)) return OK;
    if (!json_is_object(given)) return bad(c, d, "features is not an object.");
    json_t *features = json_deep_copy(json_object_get(doc, "features"));
    const char *name;
    json_t *value;
    json_object_foreach ((json_t *)given, name, value) {
        bool skip = false;
        for (size_t i = 0; i < sizeof read_only / sizeof read_only[0]; i++) {
            skip = skip || str_eq_nocase(name, read_only[i]);
        }
        if (!skip) TRY(json_put(features, name, json_deep_copy(value), d));
    }
    json_object_set_new(doc, "features", features);
    return OK;
}

static enum err read_quota(struct arm_call *c, json_t *doc, struct diag *d)
{
    const json_t *quota = json_at(c->body, "properties", "workspaceCapping", "dailyQuotaGb", NULL);
    if (quota == NULL || json_is_null(quota)) return OK;
    double gb = json_is_number(quota) ? json_number_value(quota) : NAN;
    if (gb != -1 && !(gb >= 0 && gb <= 1e6)) {
        return bad(c, d,
                   "workspaceCapping.dailyQuotaGb must be a number from 0 to 1000000, or -1 for no "
                   "cap.");
    }
    return json_put(doc, "quota", json_real(gb), d);
}

/* Another region to switch to is what one machine has not. */
static enum err refuse_replication(struct arm_call *c, struct diag *d)
{
    const json_t *on = json_at(c->body, "properties", "replication", "enabled", NULL);
    if (!json_is_true(on)) return OK;
    return bad(c, d, "replication.enabled: replication to another region is not supported.");
}

/* The writable part of the body into doc: PUT and PATCH alike leave what is not mentioned. */
static enum err read_into(struct arm_call *c, json_t *doc, struct diag *d)
{
    TRY(read_sku(c, doc, d));
    TRY(read_retention(c, doc, d));
    TRY(read_access(c, doc, "publicNetworkAccessForIngestion", "ingestion", d));
    TRY(read_access(c, doc, "publicNetworkAccessForQuery", "query", d));
    TRY(read_features(c, doc, d));
    const json_t *force = json_at(c->body, "properties", "forceCmkForQuery", NULL);
    if (json_is_boolean(force)) json_object_set(doc, "forceCmk", (json_t *)force);
    TRY(read_quota(c, doc, d));
    TRY(refuse_replication(c, d));
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    struct guid g;
    char etag[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, etag);
    json_object_set_new(doc, "etag", json_string(etag));
    json_object_set_new(doc, "modified", json_integer(time_now_us()));
    return OK;
}

/* --- the default collection rule -------------------------------------------------------------- */

static const char *rule_id(struct arm_call *c, const char *customer_id)
{
    char hex[33];
    size_t n = 0;
    for (const char *p = customer_id; *p != '\0' && n < 32; p++) {
        if (*p != '-') hex[n++] = *p;
    }
    hex[n] = '\0';
    return arena_fmt(c->a,
                     "/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Insights/"
                     "dataCollectionRules/dcr-%s",
                     c->id->subscription, c->id->group, hex);
}

static void put_rule(struct change *change, const json_t *workspace)
{
    CLEANUP_FREE char *key = str_dup(doc_str(workspace, "rule"));
    if (key == NULL) {
        change->bad = true;
        return;
    }
    str_lower(key);
    change_put(change, DOC_RESOURCE, key, KIND_RULE, rule_doc(workspace));
}

static void remove_rule(struct change *change, const json_t *workspace)
{
    CLEANUP_FREE char *key = str_dup(doc_str(workspace, "rule"));
    if (key == NULL) return;
    str_lower(key);
    change_remove(change, DOC_RESOURCE, key);
}

/* --- creating --------------------------------------------------------------------------------- */

static json_t *new_doc(struct arm_call *c, const char *location)
{
    struct guid g;
    char guid[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, guid);
    json_int_t now = time_now_us();
    const char *rule = rule_id(c, guid);
    if (rule == NULL) return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, "
                     "s:{s:b}}",
                     "id", c->id_text, "name", arm_id_name(c->id), "location", location,
                     "customerId", guid, "state", "Creating", "sku", "PerGB2018", "level",
                     (json_int_t)0, "retention", (json_int_t)RETENTION_DEFAULT, "ingestion",
                     "Enabled", "query", "Enabled", "rule", rule, "created", now, "modified", now,
                     "sized", now, "features", "enableLogAccessUsingOnlyResourcePermissions", 1);
}

static enum err associate(struct arm_call *c, struct diag *d);

static enum err create(struct arm_call *c, struct diag *d)
{
    TRY(arm_check_match(c, NULL, d));
    if (!arm_name_valid(arm_id_name(c->id), 4, 63)) {
        return bad(c, d,
                   "Workspace name isn't valid. It must be 4-63 letters, digits or dashes, and "
                   "must begin and end with a letter or digit.");
    }
    const char *location = NULL;
    TRY(arm_read_location(c, NULL, &location, d));
    CLEANUP_JSON json_t *doc = new_doc(c, location);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_into(c, doc, d));
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *other = arm_get_doc(c);
        if (other != NULL) {
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request is creating the workspace at this moment.");
        }
        CLEANUP_CHANGE struct change change = {0};
        struct operation_start start = arm_operation(c, &workspace_create_operation, location);
        operation_add(&change, &start, op);
        json_object_set_new(doc, "operation", json_string(op));
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(docs_commit(c->arm->docs, &change, d));
    }
    TRY(operations_go(c->arm->operations, op, d));
    (void)operations_wait(c->arm->operations, op, CREATE_WAIT_MS);
    TRY(associate(c, d));
    if (workspace_dialect(c->version)->has_async_header) {
        arm_async_headers(c, location, op, false);
        http_setf(c->res, "Location", "%s%s?api-version=%s", c->arm->c.endpoint, c->id_text,
                  c->version_text);
    }
    return arm_reply(c, 201, show(c, doc), d);
}

static json_t *workspace_of(struct arm *a, const json_t *op, char key[ARM_ID_MAX])
{
    snprintf(key, ARM_ID_MAX, "%s", operation_resource(op));
    str_lower(key);
    return arm_doc(a, key);
}

static enum err create_work(struct arm *a, const json_t *op, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *doc = workspace_of(a, op, key);
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the workspace is gone");
    uint8_t account[16];
    return arm_account_ensure(a, doc_str(doc, "customerId"), "", account, d);
}

static enum err create_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *old = workspace_of(a, op, key);
    (void)d;
    if (old == NULL) return OK;
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "state", json_string(failure == NULL ? "Succeeded" : "Failed"));
    json_object_set_new(doc, "operation", json_string(""));
    if (failure == NULL) put_rule(c, doc);
    change_put(c, DOC_RESOURCE, key, KIND_WORKSPACE, doc);
    return OK;
}

static void create_after(struct arm *a, const json_t *op)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", operation_resource(op));
    str_lower(key);
    struct diag d = DIAG_INIT;
    if (index_refresh(a, key, &d) != OK) LOG(ERROR, "workspace.unindexed", F_ERR(&d));
}

const struct operation_kind workspace_create_operation = {
    .name = "workspace.create",
    .lasts = LASTS_WORKSPACE_CREATE,
    .work = create_work,
    .settle = create_settle,
    .after = create_after,
};

/* --- the association of the first article ----------------------------------------------------- */

static json_t *cluster_defined(struct arm *a, const char *guid)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_CLUSTER, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        if (str_eq_nocase(doc_str(doc, "clusterId"), guid)) return json_incref(doc);
    }
    return NULL;
}

/* features.clusterDefinitionId in the body links the workspace, as its linked service would. */
static enum err associate(struct arm_call *c, struct diag *d)
{
    const char *guid =
        json_string_value(json_at(c->body, "properties", "features", DEFINITION, NULL));
    if (guid == NULL || guid[0] == '\0') return OK;
    CLEANUP_JSON json_t *cluster = cluster_defined(c->arm, guid);
    if (cluster == NULL) {
        return ARM_FAIL(
            c, d, 400, "ResourceNotFound",
            "Cluster not found, the cluster you specified doesn't exist or was deleted.");
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/clusters/write", doc_str(cluster, "id"),
                      d));
    char *cluster_key = arena_str(c->a, bytes_str(doc_str(cluster, "id")));
    struct link_request r = {.id_text = arena_fmt(c->a, "%s/linkedServices/cluster", c->id_text),
                             .key = arena_fmt(c->a, "%s/linkedservices/cluster", c->key),
                             .workspace_key = c->key,
                             .cluster_key = cluster_key};
    if (cluster_key == NULL || r.id_text == NULL || r.key == NULL) return arena_full(c->a, d);
    str_lower(cluster_key);
    CLEANUP_JSON json_t *link = NULL;
    bool done = false;
    char op[37];
    TRY(link_begin(c, &r, op, &link, &done, d));
    if (done) return OK;
    TRY(operations_go(c->arm->operations, op, d));
    (void)operations_wait(c->arm->operations, op, CREATE_WAIT_MS);
    return OK;
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err update(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    bool retention_changes = false;
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = NULL;
        TRY(arm_need_doc(c, &old, d));
        TRY(arm_check_etag(c, old, d));
        const char *location = NULL;
        TRY(arm_read_location(c, old, &location, d));
        doc = json_deep_copy(old);
        TRY(read_into(c, doc, d));
        retention_changes = doc_int(doc, "retention") != doc_int(old, "retention");
        CLEANUP_CHANGE struct change change = {0};
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(docs_commit(c->arm->docs, &change, d));
    }
    TRY(index_refresh(c->arm, c->key, d));
    if (retention_changes) TRY(tables_keep(c->arm, doc, d));
    TRY(associate(c, d));
    return arm_reply(c, 200, show(c, doc), d);
}

/* --- deleting and recovering ------------------------------------------------------------------ */

static const char *tomb_key(struct arm_call *c)
{
    const char *key = arena_fmt(c->a, "deleted:%s", c->key);
    return key != NULL ? key : "";
}

/* The cluster may have got its first key while the workspace was away: its rows need an account
 * there before they come. */
static enum err give_account(struct arm_call *c, const json_t *tomb, struct diag *d)
{
    const char *id = doc_str(json_object_get(tomb, "link"), "cluster");
    char *key = arena_str(c->a, bytes_str(id));
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    CLEANUP_JSON json_t *cluster = arm_doc(c->arm, key);
    if (!json_is_true(json_object_get(cluster, "keyed"))) return OK;
    uint8_t account[16];
    struct diag why = DIAG_INIT;
    if (arm_account_ensure(c->arm, doc_str(tomb, "customerId"), id, account, &why) == OK) return OK;
    LOG(WARN, "workspace.not_recovered", F_STR("workspace", c->id_text), F_ERR(&why));
    return ARM_FAIL(c, d, 409, "Conflict",
                    "The workspace was linked to the cluster '%s', whose key can't be used at this "
                    "moment. Restore the key, then recover the workspace.",
                    doc_str(cluster, "name"));
}

static enum err recover(struct arm_call *c, const json_t *tomb, struct diag *d)
{
    const char *location = NULL;
    TRY(arm_read_location(c, tomb, &location, d));
    TRY(give_account(c, tomb, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(tomb);
    json_object_del(doc, "deleted");
    TRY(read_into(c, doc, d));
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *still = arm_doc(c->arm, tomb_key(c));
        if (still != tomb) {
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request is recovering the workspace at this moment.");
        }
        CLEANUP_CHANGE struct change change = {0};
        json_t *link = json_object_get(doc, "link");
        CLEANUP_FREE char *cluster_key = str_dup(doc_str(link, "cluster"));
        if (cluster_key != NULL) str_lower(cluster_key);
        CLEANUP_JSON json_t *cluster = cluster_key != NULL ? arm_doc(c->arm, cluster_key) : NULL;
        if (cluster != NULL) { /* decision 21 */
            const char *link_key = arena_fmt(c->a, "%s/linkedservices/cluster", c->key);
            change_put(&change, DOC_RESOURCE, link_key != NULL ? link_key : "", KIND_LINK,
                       json_incref(link));
        }
        json_object_del(doc, "link");
        put_rule(&change, doc);
        change_remove(&change, DOC_RESOURCE, tomb_key(c));
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(docs_commit(c->arm->docs, &change, d));
    }
    TRY(index_refresh(c->arm, c->key, d));
    return arm_reply(c, 200, show(c, doc), d);
}

enum err workspace_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old != NULL) return update(c, d);
    CLEANUP_JSON json_t *tomb = arm_doc(c->arm, tomb_key(c));
    if (tomb == NULL) return create(c, d);
    if (doc_int(tomb, "deleted") + deleted_us(c->arm) > time_now_us()) return recover(c, tomb, d);
    workspaces_tidy(c->arm, time_now_us()); /* its time is over, and nobody has looked yet */
    return create(c, d);
}

enum err workspace_patch(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    return update(c, d);
}

/* Under DOCS_WRITE(): what its deletion changes. Not for good: it can be brought back. */
static enum err remove_into(struct arm *a, const char *key, const json_t *old, bool for_good,
                            struct change *change, struct diag *d)
{
    CLEANUP_JSON json_t *link = link_of(a, key);
    CLEANUP_FREE char *parts = str_fmt("%s/%s", key, for_good ? "" : "linkedservices/");
    CLEANUP_FREE char *deleted = str_fmt("deleted:%s", key);
    if (parts == NULL || deleted == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (for_good) searches_forget(a, key, doc_str(old, "customerId"), change);
    change_remove_parts(change, a->docs, parts);
    change_remove(change, DOC_RESOURCE, key);
    remove_rule(change, old);
    if (for_good) return OK;
    json_t *tomb = json_deep_copy(old);
    json_object_set_new(tomb, "deleted", json_integer(time_now_us()));
    if (str_eq(doc_str(link, "state"), "Succeeded")) json_object_set(tomb, "link", link);
    change_put(change, DOC_RESOURCE, deleted, KIND_DELETED_WORKSPACE, tomb);
    return OK;
}

enum err workspace_remove(struct arm_call *c, struct diag *d)
{
    const char *force = http_query(c->req, "force");
    bool for_good = force != NULL && str_eq_nocase(force, "true");
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) {
            c->res->status = 204;
            return OK;
        }
        TRY(arm_check_etag(c, old, d));
        if (str_eq(doc_str(old, "state"), "Creating")) {
            return ARM_FAIL(c, d, 409, "Conflict", "The workspace is still being created.");
        }
        CLEANUP_CHANGE struct change change = {0};
        TRY(remove_into(c->arm, c->key, old, for_good, &change, d));
        TRY(docs_commit(c->arm->docs, &change, d));
    }
    c->res->status = 200;
    return index_refresh(c->arm, c->key, d);
}

enum err workspace_bury(struct arm *a, const json_t *doc, struct diag *d)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", doc_str(doc, "id"));
    str_lower(key);
    {
        DOCS_WRITE(a->docs);
        CLEANUP_JSON json_t *old = arm_doc(a, key);
        if (old == NULL) return OK;
        if (str_eq(doc_str(old, "state"), "Creating")) {
            return FAIL_TAG(d, ERR_CONFLICT, "Conflict", "The workspace '%s' is being created.",
                            doc_str(old, "name"));
        }
        CLEANUP_CHANGE struct change change = {0};
        TRY(remove_into(a, key, old, false, &change, d));
        TRY(docs_commit(a->docs, &change, d));
    }
    return index_refresh(a, key, d);
}

enum err deleted_workspace_list(struct arm_call *c, struct diag *d)
{
    const char *scope = c->id->group != NULL
                            ? arena_fmt(c->a, "deleted:/subscriptions/%s/resourcegroups/%s/",
                                        c->id->subscription, c->id->group)
                            : arena_fmt(c->a, "deleted:/subscriptions/%s/", c->id->subscription);
    char *prefix = scope != NULL ? arena_str(c->a, bytes_str(scope)) : NULL;
    if (prefix == NULL) return arena_full(c->a, d);
    str_lower(prefix);
    CLEANUP_JSON json_t *docs =
        docs_list(c->arm->docs, DOC_RESOURCE, KIND_DELETED_WORKSPACE, prefix);
    json_t *values = json_array(), *doc;
    size_t i;
    int64_t free_since = time_now_us() - deleted_us(c->arm);
    json_array_foreach (docs, i, doc) {
        if (doc_int(doc, "deleted") > free_since) json_array_append_new(values, show(c, doc));
    }
    return arm_reply_list(c, values, d);
}

void workspaces_tidy(struct arm *a, int64_t now_us)
{
    CLEANUP_JSON json_t *tombs = docs_list(a->docs, DOC_RESOURCE, KIND_DELETED_WORKSPACE, NULL);
    size_t i;
    json_t *tomb;
    json_array_foreach (tombs, i, tomb) {
        if (doc_int(tomb, "deleted") + deleted_us(a) > now_us) continue;
        CLEANUP_FREE char *key = str_dup(doc_str(tomb, "id"));
        CLEANUP_FREE char *deleted = str_fmt("deleted:%s", doc_str(tomb, "id"));
        CLEANUP_FREE char *parts = str_fmt("%s/", doc_str(tomb, "id"));
        if (key == NULL || deleted == NULL || parts == NULL) return;
        str_lower(key);
        str_lower(deleted);
        str_lower(parts);
        struct diag d = DIAG_INIT;
        DOCS_WRITE(a->docs);
        CLEANUP_CHANGE struct change change = {0};
        CLEANUP_JSON json_t *back = arm_doc(a, key);
        if (back == NULL) searches_forget(a, key, doc_str(tomb, "customerId"), &change);
        if (back == NULL) change_remove_parts(&change, a->docs, parts);
        change_remove(&change, DOC_RESOURCE, deleted);
        if (docs_commit(a->docs, &change, &d) != OK) LOG(ERROR, "workspace.not_tidied", F_ERR(&d));
    }
}
