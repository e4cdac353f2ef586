/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/storage_account.c - Microsoft.Storage/storageAccounts, as far as workspaces link them
 *
 * A document: id name location tags kind sku created. There is no data plane behind it: an account
 * says where a workspace's saved queries belong.
 */
#include "resource/plane.h"

static const char *const kinds[] = {"StorageV2", "Storage", "BlobStorage", "BlockBlobStorage",
                                    "FileStorage"};

static json_t *account_json(const json_t *doc)
{
    const char *sku = doc_str(doc, "sku");
    json_t *p = json_pack("{s:s, s:s, s:s, s:s, s:b, s:o}", "provisioningState", "Succeeded",
                          "primaryLocation", doc_str(doc, "location"), "statusOfPrimary",
                          "available", "accessTier", "Hot", "supportsHttpsTrafficOnly", 1,
                          "creationTime", arm_date(ARM_DATES_ISO, doc_int(doc, "created")));
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
    return arm_reply(c, 200, account_json(doc), d);
}

enum err storage_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_STORAGE);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, account_json(doc));
    return arm_reply_list(c, values, d);
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
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_STORAGE, json_incref(doc));
    TRY(docs_commit(c->arm->docs, &change, d));
    return arm_reply(c, 200, account_json(doc), d);
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
    return docs_commit(c->arm->docs, &change, d);
}
