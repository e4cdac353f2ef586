/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/linked_storage.c - workspaces/linkedStorageAccounts: a customer's own storage for what
 * the service keeps of him
 *
 * A document: id (as it was sent) name type accounts[]. Linking one for queries removes the saved
 * searches of the workspace; unlinking brings back what was saved meanwhile.
 */
#include "resource/plane.h"

#define ACCOUNTS_MAX 5

static const char *const sources[] = {"CustomLogs", "AzureWatson", "Query", "Ingestion", "Alerts"};

static const char *find_source(const char *name)
{
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        if (str_eq_nocase(sources[i], name)) return sources[i];
    }
    return NULL;
}

static json_t *link_json(const json_t *doc, bool lower_id)
{
    CLEANUP_FREE char *type = str_dup(doc_str(doc, "type"));
    CLEANUP_FREE char *id = str_dup(doc_str(doc, "id"));
    if (type == NULL || id == NULL) return NULL;
    str_lower(type); /* as seen on the wire */
    if (lower_id) str_lower(id);
    return json_pack("{s:{s:s, s:O}, s:s, s:s, s:s}", "properties", "dataSourceType", type,
                     "storageAccountIds", json_object_get(doc, "accounts"), "id", id, "name", type,
                     "type", "Microsoft.OperationalInsights/workspaces/linkedStorageAccounts");
}

enum err linked_storage_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, link_json(doc, false), d);
}

static json_t *show_listed(struct arm_call *c, const json_t *doc)
{
    (void)c;
    return link_json(doc, true);
}

enum err linked_storage_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_LINKED_STORAGE, show_listed, d);
}

/* --- linking ---------------------------------------------------------------------------------- */

static enum err check_account(struct arm_call *c, const json_t *workspace, const char *text,
                              struct diag *d)
{
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (text == NULL || arm_id_parse(c->a, text, &id, &why) != OK || arm_id_name(&id) == NULL ||
        !str_eq_nocase(id.type, "Microsoft.Storage/storageAccounts")) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "properties.storageAccountIds holds what is no id of a storage account: "
                        "'%.200s'.",
                        text != NULL ? text : "");
    }
    CLEANUP_JSON json_t *account = arm_doc(c->arm, arm_id_key(c->a, &id));
    if (account == NULL) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The storage account '%.200s' could not be found.", text);
    }
    if (!str_eq(doc_str(account, "kind"), "StorageV2")) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The storage account '%s' is of kind '%s'. It must be StorageV2.",
                        doc_str(account, "name"), doc_str(account, "kind"));
    }
    if (!str_eq(doc_str(account, "location"), doc_str(workspace, "location"))) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The storage account is in region '%s' and the workspace in '%s'. They "
                        "must be in the same region.",
                        doc_str(account, "location"), doc_str(workspace, "location"));
    }
    return arm_authorize(c, "Microsoft.Storage/storageAccounts/write", doc_str(account, "id"), d);
}

static enum err read_accounts(struct arm_call *c, const json_t *workspace, const char *source,
                              struct diag *d)
{
    TRY(arm_need_body(c, d));
    const json_t *given = json_at(c->body, "properties", "dataSourceType", NULL);
    const char *type = json_string_value(given);
    if (given != NULL && !json_is_null(given) && !str_eq_nocase(type != NULL ? type : "", source)) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "properties.dataSourceType is '%.40s' and the path says '%s'.",
                        type != NULL ? type : "", source);
    }
    json_t *ids = json_at(c->body, "properties", "storageAccountIds", NULL);
    bool single = str_eq(source, "Query") || str_eq(source, "Alerts");
    size_t n = json_array_size(ids);
    if (n == 0 || n > (single ? 1 : ACCOUNTS_MAX)) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "properties.storageAccountIds must be a list of one to %d ids.",
                        single ? 1 : ACCOUNTS_MAX);
    }
    size_t i;
    json_t *id;
    json_array_foreach (ids, i, id)
        TRY(check_account(c, workspace, json_string_value(id), d));
    return OK;
}

static const char *account_of(struct arm_call *c, const json_t *link)
{
    const char *id = json_string_value(json_array_get(json_object_get(link, "accounts"), 0));
    char *key = id != NULL ? arena_str(c->a, bytes_str(id)) : NULL;
    if (key != NULL) str_lower(key);
    return key;
}

static json_t *workspace_of(struct arm_call *c, const char **key)
{
    *key = arm_id_key(c->a, arm_id_parent(c->a, c->id));
    return arm_doc(c->arm, *key);
}

enum err linked_storage_put(struct arm_call *c, struct diag *d)
{
    const char *source = find_source(arm_id_name(c->id)), *workspace_key = NULL;
    if (source == NULL) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "'%.80s' is no type of linked storage. Use CustomLogs, AzureWatson, Query, "
                        "Ingestion or Alerts.",
                        arm_id_name(c->id));
    }
    CLEANUP_JSON json_t *workspace = workspace_of(c, &workspace_key);
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/write", doc_str(workspace, "id"),
                      d));
    TRY(read_accounts(c, workspace, source, d));
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s, s:O}", "id", c->id_text, "name", arm_id_name(c->id), "type",
                  source, "accounts", json_at(c->body, "properties", "storageAccountIds", NULL));
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    CLEANUP_CHANGE struct change change = {0};
    const char *was = account_of(c, old), *is = account_of(c, doc);
    if (str_eq(source, "Query") && (was == NULL || !str_eq(was, is))) {
        TRY(searches_move(c, workspace_key, doc_str(workspace, "customerId"), NULL, &change, d));
    }
    change_put(&change, DOC_RESOURCE, c->key, KIND_LINKED_STORAGE, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, link_json(doc, false), d);
}

enum err linked_storage_remove(struct arm_call *c, struct diag *d)
{
    const char *workspace_key = NULL;
    CLEANUP_JSON json_t *workspace = workspace_of(c, &workspace_key);
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    CLEANUP_CHANGE struct change change = {0};
    if (str_eq(doc_str(old, "type"), "Query")) {
        TRY(searches_move(c, workspace_key, doc_str(workspace, "customerId"), account_of(c, old),
                          &change, d));
    }
    change_remove(&change, DOC_RESOURCE, c->key);
    return arm_commit(c, &change, d);
}
