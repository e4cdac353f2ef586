/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/storage_account.c - Microsoft.Storage/storageAccounts, as far as workspaces link them
 *
 * A document: id name location tags kind sku created, encryption as it was set. There is no data plane
 * behind it: an account says where a workspace's saved queries belong.
 */
#include "resource/plane.h"

static const char *const kinds[] = {"StorageV2", "Storage", "BlobStorage", "BlockBlobStorage",
                                    "FileStorage"};
/* The first two are under the account's key whatever is said, the others where it is asked for. */
static const char *const service_names[] = {"blob", "file", "table", "queue"};
#define N_SERVICES (sizeof service_names / sizeof service_names[0])

/* Which key says nothing where there is no data; it is shown as it was set, with what it is by itself. */
static json_t *encryption_json(const json_t *doc)
{
    const json_t *set = json_object_get(doc, "encryption");
    json_t *services = json_object();
    for (size_t i = 0; i < N_SERVICES; i++) {
        const char *type = json_string_value(json_at(set, "services", service_names[i], NULL));
        json_object_set_new(services, service_names[i],
                            json_pack("{s:b, s:s}", "enabled", 1, "keyType",
                                      type != NULL         ? type
                                      : i < N_SERVICES / 2 ? "Account"
                                                           : "Service"));
    }
    const char *source = doc_str(set, "keySource");
    json_t *j =
        json_pack("{s:s, s:b, s:o}", "keySource", source[0] != '\0' ? source : "Microsoft.Storage",
                  "requireInfrastructureEncryption",
                  json_is_true(json_object_get(set, "requireInfrastructureEncryption")), "services",
                  services);
    json_t *key = json_object_get(set, "keyvaultproperties");
    if (key != NULL) json_object_set(j, "keyvaultproperties", key);
    return j;
}

static json_t *endpoints_json(const struct arm *a, const json_t *doc)
{
    json_t *j = json_object();
    const char *host = strstr(a->c.endpoint, "://");
    for (size_t i = 0; i < N_SERVICES; i++) {
        json_object_set_new(j, service_names[i],
                            json_sprintf("https://%s.%s.core.%s/", doc_str(doc, "name"),
                                         service_names[i],
                                         host != NULL ? host + 3 : a->c.endpoint));
    }
    return j;
}

static json_t *account_json(struct arm_call *c, const json_t *doc)
{
    const char *sku = doc_str(doc, "sku");
    json_t *p =
        json_pack("{s:s, s:s, s:s, s:s, s:b, s:o, s:o, s:o}", "provisioningState", "Succeeded",
                  "primaryLocation", doc_str(doc, "location"), "statusOfPrimary", "available",
                  "accessTier", "Hot", "supportsHttpsTrafficOnly", 1, "creationTime",
                  arm_date(ARM_DATES_ISO, doc_int(doc, "created")), "encryption",
                  encryption_json(doc), "primaryEndpoints", endpoints_json(c->arm, doc));
    return json_pack("{s:{s:s, s:s}, s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "sku", "name", sku,
                     "tier", str_starts(sku, "Premium") ? "Premium" : "Standard", "kind",
                     doc_str(doc, "kind"), "id", doc_str(doc, "id"), "name", doc_str(doc, "name"),
                     "type", "Microsoft.Storage/storageAccounts", "location",
                     doc_str(doc, "location"), "tags", arm_tags(doc), "properties", p);
}

enum err storage_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, account_json(c, doc), d);
}

enum err storage_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_STORAGE, account_json, d);
}

static bool name_valid(const char *s)
{
    size_t n = strlen(s);
    return n >= 3 && n <= 24 && strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789") == n;
}

static enum err read_kind(struct arm_call *c, json_t *doc, struct diag *d)
{
    const char *kind = json_get_str(c->body, "kind"), *known = NULL;
    for (size_t i = 0; kind != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_eq_nocase(kind, kinds[i])) known = kinds[i];
    }
    if (kind != NULL && known == NULL) {
        return ARM_FAIL(c, d, 400, "InvalidRequestPropertyValue",
                        "The value '%.40s' is not allowed for property kind.", kind);
    }
    if (known != NULL) TRY(json_put(doc, "kind", json_string(known), d));
    const char *sku = json_string_value(json_at(c->body, "sku", "name", NULL));
    return sku != NULL ? json_put(doc, "sku", json_string(sku), d) : OK;
}

static enum err bad_encryption(struct arm_call *c, const char *what, struct diag *d)
{
    return ARM_FAIL(c, d, 400, "InvalidRequestPropertyValue",
                    "The value for property '%s' is invalid.", what);
}

static enum err read_services(struct arm_call *c, const json_t *given, const json_t *old,
                              json_t *out, struct diag *d)
{
    json_t *services = json_object();
    TRY(json_put(out, "services", services, d));
    for (size_t i = 0; i < N_SERVICES; i++) {
        const char *was =
            json_string_value(json_at(old, "encryption", "services", service_names[i], NULL));
        const char *type =
            json_string_value(json_at(given, "services", service_names[i], "keyType", NULL));
        bool account = type != NULL && str_eq_nocase(type, "Account");
        if (type != NULL && !account && !str_eq_nocase(type, "Service")) {
            return bad_encryption(c, "encryption.services.keyType", d);
        }
        /* Tables and queues take the account's key from the first day or never. */
        bool late = old != NULL && i >= N_SERVICES / 2 && account && !str_eq(was, "Account");
        if (late) return bad_encryption(c, "encryption.services.keyType", d);
        const char *kept = type == NULL ? was : account ? "Account" : "Service";
        if (kept != NULL) TRY(json_put(services, service_names[i], json_string(kept), d));
    }
    return OK;
}

static enum err read_encryption(struct arm_call *c, const json_t *old, json_t *doc, struct diag *d)
{
    static const char *const fields[] = {"keyname", "keyversion", "keyvaulturi"};
    const json_t *given = json_at(c->body, "properties", "encryption", NULL);
    if (given == NULL || json_is_null(given)) return OK;
    json_t *set = json_object();
    TRY(json_put(doc, "encryption", set, d));
    const char *source = json_get_str(given, "keySource");
    bool own = source != NULL && str_eq_nocase(source, "Microsoft.Keyvault");
    if (source != NULL && !own && !str_eq_nocase(source, "Microsoft.Storage")) {
        return bad_encryption(c, "encryption.keySource", d);
    }
    TRY(json_put(set, "keySource", json_string(own ? "Microsoft.Keyvault" : "Microsoft.Storage"),
                 d));
    TRY(json_put(set, "requireInfrastructureEncryption",
                 json_boolean(json_get_bool(given, "requireInfrastructureEncryption", false)), d));
    TRY(read_services(c, given, old, set, d));
    if (!own) return OK;
    json_t *key = json_object();
    TRY(json_put(set, "keyvaultproperties", key, d));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *v = json_string_value(json_at(given, "keyvaultproperties", fields[i], NULL));
        if (v != NULL && strlen(v) > 256) return bad_encryption(c, fields[i], d);
        if (v != NULL) TRY(json_put(key, fields[i], json_string(v), d));
    }
    return OK;
}

static enum err write_account(struct arm_call *c, bool is_put, struct diag *d)
{
    TRY(arm_need_body(c, d));
    if (!name_valid(arm_id_name(c->id))) {
        return ARM_FAIL(c, d, 400, "AccountNameInvalid",
                        "%.80s is not a valid storage account name. Storage account name must be "
                        "between 3 and 24 characters in length and use numbers and lower-case "
                        "letters only.",
                        arm_id_name(c->id));
    }
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL && !is_put) return arm_not_found(c, d);
    const char *location = NULL;
    TRY(arm_read_location(c, old, &location, d));
    CLEANUP_JSON json_t *doc =
        old != NULL ? json_deep_copy(old)
                    : json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "id", c->id_text, "name",
                                arm_id_name(c->id), "location", location, "kind", "StorageV2",
                                "sku", "Standard_LRS", "created", (json_int_t)time_now_us());
    TRY(read_kind(c, doc, d));
    TRY(read_encryption(c, old, doc, d));
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_STORAGE, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, account_json(c, doc), d);
}

enum err storage_put(struct arm_call *c, struct diag *d)
{
    return write_account(c, true, d);
}

enum err storage_patch(struct arm_call *c, struct diag *d)
{
    return write_account(c, false, d);
}

enum err storage_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    if (storage_in_use(c->arm, c->key)) {
        return ARM_FAIL(c, d, 409, "Conflict",
                        "The storage account '%s' is linked to a workspace. Unlink it first.",
                        doc_str(old, "name"));
    }
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    return arm_commit(c, &change, d);
}
