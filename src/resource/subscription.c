/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/subscription.c - Microsoft.Resources: tenants, the subscription, resource groups,
 * providers
 *
 * A data directory has one subscription. A group's document: id name location tags.
 */
#include "resource/plane.h"

/* --- tenants and subscriptions ------------------------------------------------------------------
 */

enum err tenant_list(struct arm_call *c, struct diag *d)
{
    const char *t = c->arm->c.tenant_id;
    json_t *tenant =
        json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "id", json_sprintf("/tenants/%s", t),
                  "tenantId", t, "countryCode", "ZZ", "displayName", "Keystead", "defaultDomain",
                  "keystead.localhost", "tenantCategory", "Home");
    return arm_reply_list(c, json_pack("[o]", tenant), d);
}

static json_t *subscription_json(const struct arm *a)
{
    const char *s = a->c.subscription_id;
    return json_pack("{s:o, s:s, s:s, s:s, s:s, s:s, s:[], s:{s:s, s:s, s:s}}", "id",
                     json_sprintf("/subscriptions/%s", s), "authorizationSource", "RoleBased",
                     "subscriptionId", s, "tenantId", a->c.tenant_id, "displayName", "Keystead",
                     "state", "Enabled", "managedByTenants", "subscriptionPolicies",
                     "locationPlacementId", "Public_2014-09-01", "quotaId", "PayAsYouGo_2014-09-01",
                     "spendingLimit", "Off");
}

enum err subscription_list(struct arm_call *c, struct diag *d)
{
    const char *scope = arena_fmt(c->a, "/subscriptions/%s", c->arm->c.subscription_id);
    struct diag why = DIAG_INIT;
    if (scope == NULL) return arena_full(c->a, d);
    enum err e = arm_authorize(c, "Microsoft.Resources/subscriptions/read", scope, &why);
    c->res->status = 0;
    if (e != OK && e != ERR_DENIED) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    json_t *values = json_array();
    if (e == OK) json_array_append_new(values, subscription_json(c->arm));
    int n = (int)json_array_size(values);
    return arm_reply(
        c, 200,
        json_pack("{s:o, s:{s:s, s:i}}", "value", values, "count", "type", "Total", "value", n), d);
}

enum err subscription_get(struct arm_call *c, struct diag *d)
{
    TRY(arm_authorize(c, "Microsoft.Resources/subscriptions/read", c->id_text, d));
    return arm_reply(c, 200, subscription_json(c->arm), d);
}

enum err location_list(struct arm_call *c, struct diag *d)
{
    json_t *values = json_array();
    for (uint32_t i = 0; location_at(i) != NULL; i++) {
        const struct location *x = location_at(i);
        json_array_append_new(values,
                              json_pack("{s:o, s:s, s:s, s:s, s:s, s:{s:s, s:s}}", "id",
                                        json_sprintf("/subscriptions/%s/locations/%s",
                                                     c->arm->c.subscription_id, x->name),
                                        "name", x->name, "type", "Region", "displayName",
                                        x->display, "regionalDisplayName", x->display, "metadata",
                                        "regionType", "Physical", "regionCategory", "Recommended"));
    }
    return arm_reply_list(c, values, d);
}

/* --- resource groups ----------------------------------------------------------------------------
 */

static json_t *group_json(const json_t *doc)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:{s:s}}", "id", doc_str(doc, "id"), "name",
                     doc_str(doc, "name"), "type", "Microsoft.Resources/resourceGroups", "location",
                     doc_str(doc, "location"), "tags", arm_tags(doc), "properties",
                     "provisioningState", "Succeeded");
}

static enum err no_group(struct arm_call *c, struct diag *d)
{
    return ARM_FAIL(c, d, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                    arm_id_name(c->id));
}

enum err group_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_GROUP);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, group_json(doc));
    return arm_reply_list(c, values, d);
}

enum err group_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    return doc != NULL ? arm_reply(c, 200, group_json(doc), d) : no_group(c, d);
}

enum err group_head(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    (void)d;
    c->res->status = doc != NULL ? 204 : 404;
    return OK;
}

static bool group_name_valid(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 90 || s[n - 1] == '.') return false;
    for (size_t i = 0; i < n; i++) {
        bool good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                    (s[i] >= '0' && s[i] <= '9') || strchr("-_.()", s[i]) != NULL ||
                    (unsigned char)s[i] >= 0x80;
        if (!good) return false;
    }
    return true;
}

/* PUT makes or replaces the tags; PATCH only changes what it names. */
static enum err write_group(struct arm_call *c, bool is_put, struct diag *d)
{
    TRY(arm_need_body(c, d));
    if (!group_name_valid(arm_id_name(c->id))) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "The resource group name is not valid: 1-90 letters, digits, -_.() and no dot "
            "at the end.");
    }
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL && !is_put) return no_group(c, d);
    const char *location = NULL;
    const char *given = json_get_str(c->body, "location");
    if (old != NULL && given != NULL &&
        !str_eq(location_canonical(c->a, given), doc_str(old, "location"))) {
        return ARM_FAIL(
            c, d, 409, "InvalidResourceGroupLocation",
            "Invalid resource group location '%s'. The Resource group already exists in "
            "location '%s'.",
            given, doc_str(old, "location"));
    }
    TRY(arm_read_location(c, old, &location, d));
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    json_t *doc =
        json_pack("{s:s, s:s, s:s}", "id", old != NULL ? doc_str(old, "id") : c->id_text, "name",
                  old != NULL ? doc_str(old, "name") : arm_id_name(c->id), "location", location);
    if (tags == NULL && !is_put) tags = arm_tags(old);
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_GROUP, json_incref(doc));
    enum err e = docs_commit(c->arm->docs, &change, d);
    if (e == OK) e = arm_reply(c, old == NULL ? 201 : 200, group_json(doc), d);
    json_decref(doc);
    return e;
}

enum err group_put(struct arm_call *c, struct diag *d)
{
    return write_group(c, true, d);
}

enum err group_patch(struct arm_call *c, struct diag *d)
{
    return write_group(c, false, d);
}

enum err group_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    if (doc == NULL) return no_group(c, d);
    const char *parts = arena_fmt(c->a, "%s/", c->key);
    if (parts != NULL && docs_any(c->arm->docs, DOC_RESOURCE, parts)) {
        return ARM_FAIL(
            c, d, 409, "ResourceGroupDeletionBlocked",
            "Deletion of resource group '%s' failed as it still holds resources. Delete "
            "them first.",
            arm_id_name(c->id));
    }
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    TRY(docs_commit(c->arm->docs, &change, d));
    c->res->status = 200;
    return OK;
}

/* --- everything in a subscription or group ------------------------------------------------------
 */

/* The one filter that clients use: "resourceType eq 'A/B'". */
static bool filter_keeps(const char *filter, const char *type)
{
    static const char word[] = "resourceType eq '";
    const char *p = filter != NULL ? strcasestr(filter, word) : NULL;
    if (p == NULL) return true;
    p += sizeof word - 1;
    size_t n = strlen(type);
    return strncasecmp(p, type, n) == 0 && p[n] == '\'';
}

enum err resource_list(struct arm_call *c, struct diag *d)
{
    static const char *const shown[][2] = {
        {KIND_CLUSTER, "Microsoft.OperationalInsights/clusters"},
        {KIND_WORKSPACE, "Microsoft.OperationalInsights/workspaces"},
        {KIND_RULE, "Microsoft.Insights/dataCollectionRules"},
    };
    const char *text = arm_id_key(c->a, c->id);
    size_t n = strlen(text) - strlen("resources");
    const char *prefix = arena_str(c->a, bytes_of(text, n));
    if (prefix == NULL) return arena_full(c->a, d);
    json_t *values = json_array();
    for (size_t k = 0; k < sizeof shown / sizeof shown[0]; k++) {
        if (!filter_keeps(http_query(c->req, "$filter"), shown[k][1])) continue;
        CLEANUP_JSON json_t *docs = docs_list(c->arm->docs, DOC_RESOURCE, shown[k][0], prefix);
        size_t i;
        json_t *doc;
        json_array_foreach (docs, i, doc) {
            json_array_append_new(
                values, json_pack("{s:s, s:s, s:s, s:s, s:o}", "id", doc_str(doc, "id"), "name",
                                  doc_str(doc, "name"), "type", shown[k][1], "location",
                                  doc_str(doc, "location"), "tags", arm_tags(doc)));
        }
    }
    return arm_reply_list(c, values, d);
}

/* --- providers ----------------------------------------------------------------------------------
 */

static const char *const namespaces[] = {
    "Microsoft.OperationalInsights", "Microsoft.Insights",        "Microsoft.KeyVault",
    "Microsoft.Authorization",       "Microsoft.ManagedIdentity", "Microsoft.Resources",
};

static json_t *versions_json(const char *csv)
{
    json_t *list = json_array();
    for (const char *p = csv; *p != '\0';) {
        size_t n = strcspn(p, ",");
        json_array_append_new(list, json_stringn(p, n));
        p += n;
        while (*p == ',' || *p == ' ')
            p++;
    }
    return list;
}

static json_t *provider_json(const struct arm *a, const char *ns)
{
    json_t *types = json_array();
    size_t n = strlen(ns);
    for (uint32_t i = 0; arm_type_at(i) != NULL; i++) {
        const struct arm_type *t = arm_type_at(i);
        if (!str_starts_nocase(t->type, ns) || t->type[n] != '/') continue;
        json_array_append_new(types,
                              json_pack("{s:s, s:[], s:o}", "resourceType", t->type + n + 1,
                                        "locations", "apiVersions", versions_json(t->versions)));
    }
    if (str_eq(ns, "Microsoft.KeyVault")) { /* served by the vault process */
        json_array_append_new(types,
                              json_pack("{s:s, s:[], s:[s, s]}", "resourceType", "vaults",
                                        "locations", "apiVersions", "2023-07-01", "2022-07-01"));
    }
    return json_pack("{s:o, s:s, s:s, s:s, s:o}", "id",
                     json_sprintf("/subscriptions/%s/providers/%s", a->c.subscription_id, ns),
                     "namespace", ns, "registrationState", "Registered", "registrationPolicy",
                     "RegistrationRequired", "resourceTypes", types);
}

static const char *known_namespace(const char *name)
{
    for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
        if (str_eq_nocase(namespaces[i], name)) return namespaces[i];
    }
    return NULL;
}

enum err provider_list(struct arm_call *c, struct diag *d)
{
    json_t *values = json_array();
    for (size_t i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
        json_array_append_new(values, provider_json(c->arm, namespaces[i]));
    }
    return arm_reply_list(c, values, d);
}

enum err provider_get(struct arm_call *c, struct diag *d)
{
    const char *ns = known_namespace(arm_id_name(c->id));
    if (ns == NULL) {
        return ARM_FAIL(c, d, 404, "InvalidResourceNamespace",
                        "The resource namespace '%s' is invalid.", arm_id_name(c->id));
    }
    return arm_reply(c, 200, provider_json(c->arm, ns), d);
}

/* Every namespace is registered from the start: registering again says so. */
const struct arm_action provider_actions[] = {
    {"register", provider_get},
    {NULL, NULL},
};
