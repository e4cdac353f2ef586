/* SPDX-License-Identifier: Apache-2.0 */
/* resource/cluster_body.c - a cluster's JSON: what is accepted and what is answered, by api-version
 */
#include "resource/cluster.h"

#define BAD_BODY      "The body of the request is null or in bad format."
#define BAD_KEY       "KeyVaultProperties isn't empty but has a bad format."
#define SKU_NAME      "CapacityReservation"
#define CAPACITY_HINT "Set Capacity value to 100, 200, ..., 50000 GB per day."

/* --- reading ---------------------------------------------------------------------------------- */

static enum err bad(struct arm_call *c, struct diag *d, const char *text)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "%s", text);
}

static bool capacity_allowed(const struct cluster_dialect *how, int64_t n)
{
    if (how->capacities == NULL) return n > 0;
    for (const int32_t *x = how->capacities; *x != 0; x++) {
        if (*x == n) return true;
    }
    return false;
}

static enum err read_sku(struct arm_call *c, const json_t *old, bool is_put, int64_t *out,
                         struct diag *d)
{
    const struct cluster_dialect *how = cluster_dialect(c->version);
    const json_t *sku = json_get(c->body, "sku");
    int64_t was = json_get_int(old, "capacity", 0);
    if (sku == NULL || json_is_null(sku)) {
        if (old != NULL || !is_put) return OK;
        if (how->put_without_key_removes) { /* the first article's clusters had no sku */
            *out = 1000;
            return OK;
        }
        return bad(c, d,
                   "No SKU was set. Set the SKU name to capacityReservation and Capacity value "
                   "to 100, 200, ..., 50000 GB per day.");
    }
    const char *name = json_get_str(sku, "name");
    const json_t *capacity = json_get(sku, "capacity");
    bool has_capacity = capacity != NULL && !json_is_null(capacity);
    if (name == NULL && has_capacity && old == NULL) {
        return bad(c, d,
                   "Capacity was provided but SKU isn't capacityReservation. Set SKU name to "
                   "capacityReservation.");
    }
    if (name != NULL && !str_eq_nocase(name, SKU_NAME)) {
        return bad(c, d, "SKU name is invalid. Set SKU name to capacityReservation.");
    }
    if (!has_capacity) {
        if (old != NULL) return OK;
        return bad(c, d, "Missing Capacity in SKU. " CAPACITY_HINT);
    }
    int64_t n = json_is_integer(capacity) ? json_integer_value(capacity) : -1;
    if (n != was && !capacity_allowed(how, n)) {
        return bad(c, d, "Capacity in SKU is invalid for this api-version. " CAPACITY_HINT);
    }
    *out = n;
    return OK;
}

/* identity.userAssignedIdentities: {"ARM id": {}}, one of them. */
static enum err read_assigned(struct arm_call *c, const char **out, struct diag *d)
{
    const json_t *all = json_at(c->body, "identity", "userAssignedIdentities", NULL);
    const char *text = NULL, *name;
    json_t *value;
    struct arm_id *id = arena_new(c->a, struct arm_id);
    if (id == NULL) return arena_full(c->a, d);
    json_object_foreach ((json_t *)all, name, value) {
        if (!json_is_null(value)) text = text == NULL ? name : "";
    }
    if (text == NULL || arm_id_parse(c->a, text, id, NULL) != OK ||
        !str_eq_nocase(id->type, KIND_USER_IDENTITY)) {
        return bad(c, d,
                   "Identity is invalid. Identity type UserAssigned needs one user-assigned "
                   "identity in userAssignedIdentities.");
    }
    *out = arm_id_format(c->a, id, "Microsoft.ManagedIdentity/userAssignedIdentities");
    return *out != NULL ? OK : arena_full(c->a, d);
}

static enum err read_identity(struct arm_call *c, const json_t *old, struct cluster_wish *w,
                              struct diag *d)
{
    const char **out = &w->identity;
    const char *type = json_string_value(json_at(c->body, "identity", "type", NULL));
    if (type == NULL) {
        *out = old == NULL ? "SystemAssigned" : NULL;
        return OK;
    }
    if (str_eq_nocase(type, "SystemAssigned") || str_eq_nocase(type, "None")) {
        *out = str_eq_nocase(type, "None") ? "None" : "SystemAssigned";
        return OK;
    }
    if (str_eq_nocase(type, "UserAssigned") && api_version_at_least(c->version, "2020-08-01")) {
        *out = "UserAssigned";
        return read_assigned(c, &w->assigned, d);
    }
    if (strchr(type, ',') != NULL) { /* decision 27 */
        return bad(c, d,
                   "Identity type is invalid. A cluster has either a system-assigned or a "
                   "user-assigned identity.");
    }
    return bad(c, d, "Identity type is invalid. Set identity type to SystemAssigned or None.");
}

/* A token is allowed by exactly its URI. */
static bool token_uri(const char *text, const char *const *hosts, char *out, size_t out_max)
{
    size_t n = strlen(text);
    for (; hosts != NULL && *hosts != NULL; hosts++) {
        if (!str_eq(text, *hosts) || n >= out_max) continue;
        memcpy(out, text, n + 1);
        return true;
    }
    return false;
}

bool cluster_key_uri(const char *text, const char *const *hosts, char *out, size_t out_max)
{
    if (str_starts(text, "pkcs11:")) return token_uri(text, hosts, out, out_max);
    if (!str_starts_nocase(text, "https://")) return false;
    const char *host = text + strlen("https://");
    size_t n = strlen(host);
    if (n != 0 && host[n - 1] == '/') n--;
    if (n == 0 || n + sizeof "https://" > out_max) return false;
    for (size_t i = 0; i < n; i++) { /* a host and a port, nothing that a URL could hide more in */
        char ch = host[i];
        bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '-' || ch == '.' || ch == ':';
        if (!good) return false;
    }
    snprintf(out, out_max, "https://%.*s", (int)n, host);
    str_lower(out);
    if (str_ends(out, ":443")) out[strlen(out) - 4] = '\0';
    const char *kept = out + strlen("https://");
    const char *colon = strchr(kept, ':');
    if (colon != NULL &&
        (colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1))) {
        return false;
    }
    for (; hosts != NULL && *hosts != NULL; hosts++) {
        size_t suffix = strlen(*hosts), len = strlen(kept);
        const char *dot = (*hosts)[0] == '.' ? "" : ".";
        if (len <= suffix || !str_ends_nocase(kept, *hosts)) continue;
        if (dot[0] == '\0' || kept[len - suffix - 1] == '.') return len > suffix + strlen(dot);
    }
    return false;
}

static bool copy_name(const char *s, char *out, size_t out_max)
{
    size_t n = strlen(s);
    if (n >= out_max) return false;
    for (size_t i = 0; i < n; i++) {
        char ch = s[i];
        bool good = (ch >= 'a' && ch <= 'z') || (ch >= 'A' && ch <= 'Z') ||
                    (ch >= '0' && ch <= '9') || ch == '-';
        if (!good) return false;
    }
    memcpy(out, s, n + 1);
    return true;
}

/* Decision 5: what an omitted, an empty and a half-empty key mean. */
static enum err read_key(struct arm_call *c, const json_t *old, bool is_put, struct cluster_wish *w,
                         struct diag *d)
{
    const json_t *kv = json_at(c->body, "properties", "keyVaultProperties", NULL);
    bool omitted =
        kv == NULL || json_is_null(kv) || (json_is_object(kv) && json_object_size(kv) == 0);
    if (omitted) {
        bool removes =
            is_put && old != NULL && cluster_dialect(c->version)->put_without_key_removes;
        w->key = removes && json_object_get(old, "key") != NULL ? KEY_REMOVE : KEY_KEEP;
        return OK;
    }
    if (!json_is_object(kv)) return bad(c, d, BAD_KEY);
    const json_t *version = json_get(kv, "keyVersion");
    const char *uri = json_get_str(kv, "keyVaultUri"), *name = json_get_str(kv, "keyName");
    const char *v = json_string_value(version);
    if (v == NULL && version != NULL && !json_is_null(version)) return bad(c, d, BAD_KEY);
    if (v == NULL) v = "";
    if (uri == NULL || name == NULL) return bad(c, d, BAD_KEY);
    if (uri[0] == '\0' && name[0] == '\0' && v[0] == '\0') {
        w->key = json_object_get(old, "key") != NULL ? KEY_REMOVE : KEY_KEEP;
        return OK;
    }
    struct cluster_key k = {0};
    json_int_t rsa = json_integer_value(json_get(kv, "keyRsaSize"));
    if (!cluster_key_uri(uri, c->arm->c.vault_hosts, k.uri, sizeof k.uri) || name[0] == '\0' ||
        !copy_name(name, k.name, sizeof k.name) || !copy_name(v, k.version, sizeof k.version) ||
        (rsa != 0 && rsa != 2048 && rsa != 3072 && rsa != 4096)) {
        return bad(c, d, BAD_KEY);
    }
    k.rsa = (int32_t)rsa;
    struct cluster_key was = cluster_key_of(old);
    w->key = cluster_key_eq(&k, &was) ? KEY_KEEP : KEY_SET;
    w->key_to_set = k;
    return OK;
}

static enum err read_choice(struct arm_call *c, const char *name, const char *a, const char *b,
                            const char **out, struct diag *d)
{
    const json_t *v = json_at(c->body, "properties", name, NULL);
    if (v == NULL || json_is_null(v)) return OK;
    const char *s = json_string_value(v);
    if (s == NULL || (!str_eq_nocase(s, a) && !str_eq_nocase(s, b))) {
        return ARM_FAIL(c, d, 400, "InvalidParameter", "%s is invalid. Set it to %s or %s.", name,
                        a, b);
    }
    *out = str_eq_nocase(s, a) ? a : b;
    return OK;
}

/* A version that does not know a property ignores it. */
static enum err read_kinds(struct arm_call *c, const json_t *old, struct cluster_wish *w,
                           struct diag *d)
{
    const struct cluster_dialect *how = cluster_dialect(c->version);
    if (how->has_billing) {
        TRY(read_choice(c, "billingType", "Cluster", "Workspaces", &w->billing, d));
    }
    if (!how->is_preview_body) return OK;
    TRY(read_choice(c, "clusterType", "LogAnalytics", "ApplicationInsights", &w->type, d));
    if (old == NULL || w->type == NULL || str_eq(w->type, doc_str(old, "type"))) return OK;
    return bad(c, d, "clusterType can't be changed after the cluster was created.");
}

/* Create-only. On by default since the versions that know it, where the region has it. */
static enum err read_double(struct arm_call *c, const json_t *old, const char *location, bool *out,
                            struct diag *d)
{
    bool fresh = !cluster_dialect(c->version)->is_preview_body;
    bool was = old != NULL ? json_is_true(json_object_get(old, "double")) : fresh;
    const json_t *props = json_get(c->body, "properties");
    bool is = json_get_bool(props, "isDoubleEncryptionEnabled", was);
    if (old != NULL && is != was) {
        return bad(c, d,
                   "isDoubleEncryptionEnabled can't be changed after the cluster was created.");
    }
    if (is && old == NULL && !settings_double_encryption(c->arm, location)) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter", "%s doesn't support Double Encryption for clusters.",
            json_get_str(c->body, "location") != NULL ? json_get_str(c->body, "location")
                                                      : "This region");
    }
    *out = is;
    return OK;
}

enum err cluster_read(struct arm_call *c, const json_t *old, bool is_put, struct cluster_wish *out,
                      struct diag *d)
{
    if (!json_is_object(c->body)) return bad(c, d, BAD_BODY);
    if (json_at(c->body, "properties", "associatedWorkspaces", NULL) != NULL) {
        return bad(
            c, d,
            "'properties.associatedWorkspaces' is a read only property and cannot be set. "
            "Please refer to https://docs.microsoft.com/en-us/azure/azure-monitor/log-query/"
            "logs-dedicated-clusters#link-a-workspace-to-the-cluster for more information on "
            "how to associate a workspace to the cluster.");
    }
    if (json_is_true(json_at(c->body, "properties", "replication", "enabled", NULL))) {
        return bad(c, d, "replication.enabled: replication to another region is not supported.");
    }
    __attribute__((cleanup(cluster_wish_release))) struct cluster_wish w = {0};
    TRY(arm_read_location(c, old, &w.location, d));
    TRY(read_sku(c, old, is_put, &w.capacity, d));
    TRY(read_identity(c, old, &w, d));
    TRY(read_kinds(c, old, &w, d));
    TRY(read_double(c, old, w.location, &w.is_double, d));
    TRY(read_key(c, old, is_put, &w, d));
    TRY(arm_read_tags(c, &w.tags, d));
    TRY(cluster_policy_read(c, old, &w.policy, d));
    bool identity_changes = old != NULL && cluster_identity_changes(old, &w);
    if (identity_changes && w.key != KEY_KEEP) { /* decision 26 */
        return bad(c, d, "Identity and KeyVaultProperties can't be changed in the same request.");
    }
    *out = w;
    w.tags = w.policy = NULL;
    return OK;
}

bool cluster_identity_changes(const json_t *doc, const struct cluster_wish *w)
{
    if (w->identity == NULL) return false;
    const char *assigned = w->assigned != NULL ? w->assigned : "";
    return !str_eq(w->identity, doc_str(doc, "identity")) ||
           !str_eq_nocase(assigned, doc_str(doc, "assigned"));
}

void cluster_wish_release(struct cluster_wish *w)
{
    json_decref(w->tags);
    json_decref(w->policy);
    w->tags = w->policy = NULL;
}

/* --- keys ------------------------------------------------------------------------------------- */

struct cluster_key cluster_key_of(const json_t *doc)
{
    struct cluster_key k = {0};
    const json_t *key = json_object_get(doc, "key");
    if (key == NULL) return k;
    snprintf(k.uri, sizeof k.uri, "%s", doc_str(key, "uri"));
    snprintf(k.name, sizeof k.name, "%s", doc_str(key, "name"));
    snprintf(k.version, sizeof k.version, "%s", doc_str(key, "version"));
    k.rsa = (int32_t)json_integer_value(json_object_get(key, "rsa"));
    return k;
}

bool cluster_key_eq(const struct cluster_key *a, const struct cluster_key *b)
{
    return str_eq(a->uri, b->uri) && str_eq(a->name, b->name) && str_eq(a->version, b->version) &&
           a->rsa == b->rsa;
}

json_t *cluster_key_json(const struct cluster_key *k)
{
    return json_pack("{s:s, s:s, s:s, s:i}", "uri", k->uri, "name", k->name, "version", k->version,
                     "rsa", k->rsa);
}

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *key_json(const json_t *doc, const struct cluster_dialect *how)
{
    struct cluster_key k = cluster_key_of(doc);
    const char *colon = strrchr(k.uri, ':');
    bool has_port = colon != NULL && colon > k.uri + strlen("https:");
    json_t *j = json_pack(
        "{s:o, s:s, s:s}", "keyVaultUri",
        json_sprintf("%s%s", k.uri,
                     how->key_uri_has_port && !has_port && str_starts(k.uri, "https") ? ":443"
                                                                                      : ""),
        "keyName", k.name, "keyVersion", k.version);
    if (k.rsa != 0 && !how->is_preview_body)
        json_object_set_new(j, "keyRsaSize", json_integer(k.rsa));
    return j;
}

static json_t *sku_json(const json_t *doc, const struct cluster_dialect *how)
{
    json_t *sku =
        json_pack("{s:s, s:I}", "name", how->sku_is_lower_case ? "capacityreservation" : SKU_NAME,
                  "capacity", (json_int_t)doc_int(doc, "capacity"));
    if (how->is_preview_body) {
        json_object_set_new(sku, "lastSkuUpdate",
                            arm_date(ARM_DATES_RFC1123, doc_int(doc, "sized")));
    }
    return sku;
}

static json_t *workspaces_json(const json_t *links, enum arm_dates dates)
{
    json_t *list = json_array();
    size_t i;
    json_t *link;
    json_array_foreach (links, i, link) {
        json_t *w = json_pack("{s:s, s:s, s:s, s:o}", "workspaceId", doc_str(link, "customerId"),
                              "workspaceName", doc_str(link, "workspaceName"), "resourceId",
                              doc_str(link, "workspaceId"), "associateDate",
                              arm_date(dates, doc_int(link, "created")));
        json_array_append_new(list, w);
    }
    return list;
}

#define REVERT_US (6 * 3600 * US_PER_S) /* after creation, a capacity can be taken back so long */

static void add_properties_of_2020_10(json_t *p, const json_t *doc,
                                      const struct cluster_dialect *how, const json_t *links)
{
    json_object_set_new(p, "lastModifiedDate", arm_date(how->dates, doc_int(doc, "modified")));
    json_object_set_new(p, "createdDate", arm_date(how->dates, doc_int(doc, "created")));
    json_object_set_new(p, "isDoubleEncryptionEnabled",
                        json_boolean(json_is_true(json_object_get(doc, "double"))));
    json_object_set_new(p, "isAvailabilityZonesEnabled", json_false());
    json_t *capacity =
        json_pack("{s:o, s:i, s:o}", "lastSkuUpdate", arm_date(how->dates, doc_int(doc, "sized")),
                  "minCapacity", 100, "revertPeriodEndTime",
                  arm_date(ARM_DATES_ISO, doc_int(doc, "created") + REVERT_US));
    json_object_set_new(p, "capacityReservationProperties", capacity);
    json_object_set_new(p, "associatedWorkspaces", workspaces_json(links, how->dates));
}

static json_t *properties_json(const json_t *doc, const struct cluster_dialect *how,
                               const json_t *links)
{
    json_t *p = json_object();
    if (json_object_get(doc, "key") != NULL) {
        json_object_set_new(p, "keyVaultProperties", key_json(doc, how));
    }
    const char *state = doc_str(doc, "state");
    if (str_eq(state, "Creating")) state = how->state_creating;
    if (str_eq(state, "Updating")) state = how->state_updating;
    json_object_set_new(p, "provisioningState", json_string(state));
    json_object_set_new(p, "clusterId", json_string(doc_str(doc, "clusterId")));
    if (how->is_preview_body) {
        json_object_set_new(p, "clusterType", json_string(doc_str(doc, "type")));
    }
    const char *billing = doc_str(doc, "billing");
    if (how->billing_is_lower_case) billing = str_eq(billing, "Cluster") ? "cluster" : "workspaces";
    if (how->has_billing) json_object_set_new(p, "billingType", json_string(billing));
    if (!how->is_preview_body) add_properties_of_2020_10(p, doc, how, links);
    return p;
}

json_t *cluster_json(const json_t *doc, const struct cluster_dialect *how, const json_t *workspaces)
{
    json_t *identity = json_pack("{s:s}", "type", doc_str(doc, "identity"));
    if (str_eq(doc_str(doc, "identity"), "SystemAssigned")) {
        json_object_set_new(identity, "tenantId", json_string(doc_str(doc, "tenant")));
        json_object_set_new(identity, "principalId", json_string(doc_str(doc, "principal")));
    }
    if (str_eq(doc_str(doc, "identity"), "UserAssigned")) {
        json_object_set_new(identity, "userAssignedIdentities",
                            json_pack("{s:{s:s, s:s}}", doc_str(doc, "assigned"), "principalId",
                                      doc_str(doc, "principal"), "clientId",
                                      doc_str(doc, "client")));
    }
    const char *location = doc_str(doc, "location");
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:s, s:s, s:s}", "sku", sku_json(doc, how),
                     "identity", identity, "properties", properties_json(doc, how, workspaces),
                     "location",
                     how->shows_display_location ? location_display(location) : location, "tags",
                     arm_tags(doc), "id", doc_str(doc, "id"), "name", doc_str(doc, "name"), "type",
                     "Microsoft.OperationalInsights/clusters");
}

json_t *cluster_links(struct arm *a, const char *cluster_id)
{
    json_t *mine = json_array();
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_LINK, NULL);
    size_t i;
    json_t *link;
    json_array_foreach (all, i, link) {
        if (str_eq_nocase(doc_str(link, "cluster"), cluster_id)) json_array_append(mine, link);
    }
    return mine;
}
