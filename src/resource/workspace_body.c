/* SPDX-License-Identifier: Apache-2.0 */
/* resource/workspace_body.c - a workspace's JSON: what is accepted and what is answered, by api-version */
#include "resource/quota.h"
#include "resource/workspace.h"

#include <math.h>

static const char *const skus[] = {
    "Free",     "Standard", "Premium", "PerNode", "PerGB2018", "Standalone", "CapacityReservation",
    "LACluster"};

/* --- writing ---------------------------------------------------------------------------------- */

json_t *workspace_link(struct arm *a, const char *workspace_key)
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
    json_object_set_new(features, WORKSPACE_DEFINITION, json_string(doc_str(cluster, "clusterId")));
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

json_t *workspace_show(struct arm_call *c, const json_t *doc)
{
    CLEANUP_FREE char *key = str_dup(doc_str(doc, "id"));
    if (key != NULL) str_lower(key);
    CLEANUP_JSON json_t *link = key != NULL ? workspace_link(c->arm, key) : NULL;
    return workspace_json(c->arm, doc, workspace_dialect(c->version), link);
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
        "legacy",       "searchVersion",     "clusterResourceId", "unifiedSentinelBillingOnly",
        "associations", WORKSPACE_DEFINITION};
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

/* Nothing here acts in a workspace's name; who asks for an identity must not believe that it has one. */
static enum err refuse_identity(struct arm_call *c, struct diag *d)
{
    const char *type = json_string_value(json_at(c->body, "identity", "type", NULL));
    if (type == NULL || str_eq_nocase(type, "None")) return OK;
    return bad(c, d, "identity: identities of workspaces are not supported. Set its type to None.");
}

/* A workspace keeps the rule that it was born with; clients send back what they were shown. */
static enum err check_rule(struct arm_call *c, const json_t *doc, struct diag *d)
{
    const char *rule = json_string_value(
        json_at(c->body, "properties", "defaultDataCollectionRuleResourceId", NULL));
    if (rule == NULL || rule[0] == '\0' || str_eq_nocase(rule, doc_str(doc, "rule"))) return OK;
    return bad(c, d,
               "defaultDataCollectionRuleResourceId can't be changed: rules that transform what "
               "agents send to a workspace are not supported.");
}

/* The writable part of the body into doc: PUT and PATCH alike leave what is not mentioned. */
enum err workspace_read(struct arm_call *c, json_t *doc, struct diag *d)
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
    TRY(check_rule(c, doc, d));
    TRY(refuse_identity(c, d));
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
