/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/saved_search.c - workspaces/savedSearches: queries that somebody keeps
 *
 * A document: id name etag modified, and sealed: {category displayName query functionAlias
 * functionParameters version tags}. A query tells what its author looks for: none is on the disk in
 * plain. While a storage account is linked for queries, they lie under the account's id.
 */
#include "resource/plane.h"

#define SEARCHES_MAX 2000  /* of one workspace */
#define TEXT_MAX     65536 /* bytes of a query */
#define TAGS_MAX     50

/* --- where they are --------------------------------------------------------------------------- */

static const char *workspace_key(struct arm_call *c)
{
    return arm_id_key(c->a, arm_id_parent(c->a, c->id));
}

/* The prefix of the keys of a workspace's searches in an account. */
static const char *place_in_account(struct arena *a, const char *account_key,
                                    const char *customer_id)
{
    return arena_fmt(a, "%s/savedsearches/%s", account_key, customer_id);
}

/* The prefix of the keys of a workspace's searches at this moment. */
static const char *place_now(struct arm *arm, struct arena *a, const char *w)
{
    const char *link_key = arena_fmt(a, "%s/linkedstorageaccounts/query", w);
    CLEANUP_JSON json_t *link = link_key != NULL ? arm_doc(arm, link_key) : NULL;
    if (link == NULL) return arena_fmt(a, "%s/savedsearches", w);
    CLEANUP_JSON json_t *workspace = arm_doc(arm, w);
    const char *account = json_string_value(json_array_get(json_object_get(link, "accounts"), 0));
    char *lower = account != NULL ? arena_str(a, bytes_str(account)) : NULL;
    if (lower == NULL) return NULL;
    str_lower(lower);
    return place_in_account(a, lower, doc_str(workspace, "customerId"));
}

static const char *place_of(struct arm_call *c)
{
    return place_now(c->arm, c->a, workspace_key(c));
}

static enum err key_of(struct arm_call *c, const char **out, struct diag *d)
{
    char *name = arena_str(c->a, bytes_str(arm_id_name(c->id)));
    const char *place = place_of(c);
    if (name == NULL || place == NULL) return arena_full(c->a, d);
    str_lower(name);
    *out = arena_fmt(c->a, "%s/%s", place, name);
    return *out != NULL ? OK : arena_full(c->a, d);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void etag_of(const json_t *doc, char out[96])
{
    char when[TIME_TEXT_MAX];
    time_format_iso7(doc_int(doc, "modified"), when);
    size_t n = (size_t)snprintf(out, 96, "W/\"datetime'");
    for (const char *p = when; *p != '\0' && n < 90; p++) {
        n += (size_t)snprintf(out + n, 96 - n, *p == ':' ? "%%3A" : "%c", *p);
    }
    snprintf(out + n, 96 - n, "'\"");
}

static enum err search_json(struct arm_call *c, const char *key, const json_t *doc, json_t **out,
                            struct diag *d)
{
    json_t *properties = NULL;
    TRY(arm_unseal(c->arm, key, doc, &properties, d));
    char etag[96];
    etag_of(doc, etag);
    *out = json_pack("{s:o, s:s, s:s, s:s, s:s}", "properties", properties, "id",
                     doc_str(doc, "id"), "name", doc_str(doc, "name"), "type",
                     "Microsoft.OperationalInsights/savedSearches", "etag", etag);
    return *out != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

enum err search_get(struct arm_call *c, struct diag *d)
{
    const char *key = NULL;
    TRY(key_of(c, &key, d));
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, key);
    if (doc == NULL) return arm_not_found(c, d);
    json_t *j = NULL;
    TRY(search_json(c, key, doc, &j, d));
    return arm_reply(c, 200, j, d);
}

static json_t *all_in(struct arm *a, const char *place)
{
    CLEANUP_FREE char *prefix = str_fmt("%s/", place != NULL ? place : "");
    return docs_list(a->docs, DOC_RESOURCE, KIND_SEARCH, prefix != NULL ? prefix : place);
}

enum err search_list(struct arm_call *c, struct diag *d)
{
    const char *place = place_of(c);
    if (place == NULL) return arena_full(c->a, d);
    CLEANUP_JSON json_t *docs = all_in(c->arm, place);
    CLEANUP_JSON json_t *values = json_array();
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc) {
        json_t *j = NULL;
        const char *key = arena_fmt(c->a, "%s/%s", place, doc_str(doc, "key"));
        if (key == NULL) return arena_full(c->a, d);
        TRY(search_json(c, key, doc, &j, d));
        json_array_append_new(values, j);
    }
    return arm_reply_list(c, TAKE(values), d);
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err bad(struct arm_call *c, struct diag *d, const char *what)
{
    return ARM_FAIL(c, d, 400, "InvalidParameter", "The saved search is invalid: %s.", what);
}

static enum err copy_text(struct arm_call *c, const char *name, bool needed, json_t *out,
                          struct diag *d)
{
    const json_t *v = json_at(c->body, "properties", name, NULL);
    if (v == NULL || json_is_null(v)) {
        if (!needed) return OK;
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The saved search is invalid: properties.%s is missing.", name);
    }
    size_t n = json_string_length(v);
    if (!json_is_string(v) || n > TEXT_MAX || (needed && n == 0)) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "The saved search is invalid: properties.%s must be a text of at most %d "
                        "bytes.",
                        name, TEXT_MAX);
    }
    return json_put(out, name, json_deep_copy(v), d);
}

static enum err copy_tags(struct arm_call *c, json_t *out, struct diag *d)
{
    const json_t *tags = json_at(c->body, "properties", "tags", NULL);
    if (tags == NULL || json_is_null(tags)) return OK;
    json_t *copy = json_array();
    TRY(json_put(out, "tags", copy, d));
    if (!json_is_array(tags) || json_array_size(tags) > TAGS_MAX) {
        return bad(c, d, "tags is a list of at most 50 pairs of name and value");
    }
    size_t i;
    json_t *tag;
    json_array_foreach ((json_t *)tags, i, tag) {
        const char *name = json_get_str(tag, "name"), *value = json_get_str(tag, "value");
        if (name == NULL || value == NULL) return bad(c, d, "a tag has a name and a value");
        json_array_append_new(copy, json_pack("{s:s, s:s}", "name", name, "value", value));
    }
    return OK;
}

static enum err read_properties(struct arm_call *c, json_t **out, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *p = json_object();
    TRY(copy_text(c, "category", true, p, d));
    TRY(copy_text(c, "displayName", true, p, d));
    const json_t *version = json_at(c->body, "properties", "version", NULL);
    int64_t n = json_is_integer(version) ? json_integer_value(version) : 2;
    if (n != 1 && n != 2) return bad(c, d, "properties.version is 1 or 2");
    TRY(json_put(p, "version", json_integer(n), d));
    TRY(copy_text(c, "functionAlias", false, p, d));
    TRY(copy_text(c, "functionParameters", false, p, d));
    TRY(copy_text(c, "query", true, p, d));
    TRY(copy_tags(c, p, d));
    *out = TAKE(p);
    return OK;
}

/* --- as functions of queries ------------------------------------------------------------------ */

static enum err add_function(struct arm *arm, struct arena *a, const char *key, const json_t *doc,
                             struct stored_function *out, uint32_t *n, struct diag *d)
{
    CLEANUP_JSON json_t *p = NULL;
    TRY(arm_unseal(arm, key, doc, &p, d));
    const char *alias = json_get_str(p, "functionAlias"), *query = json_get_str(p, "query");
    const char *parameters = json_get_str(p, "functionParameters");
    if (alias == NULL || alias[0] == '\0' || query == NULL) return OK;
    struct stored_function f = {.name = arena_str(a, bytes_str(alias)),
                                .parameters =
                                    arena_str(a, bytes_str(parameters != NULL ? parameters : "")),
                                .query = arena_str(a, bytes_str(query))};
    if (f.name == NULL || f.parameters == NULL || f.query == NULL) return arena_full(a, d);
    out[(*n)++] = f;
    return OK;
}

enum err arm_stored_functions(struct arm *arm, const char *workspace, struct arena *a,
                              struct stored_function **out, uint32_t *n, struct diag *d)
{
    struct arm_id id;
    TRY(arm_id_parse(a, workspace, &id, d));
    const char *w = arm_id_key(a, &id);
    const char *place = w != NULL ? place_now(arm, a, w) : NULL;
    if (place == NULL) return arena_full(a, d);
    CLEANUP_JSON json_t *docs = all_in(arm, place);
    struct stored_function *found =
        arena_array(a, struct stored_function, json_array_size(docs) + 1);
    if (found == NULL) return arena_full(a, d);
    size_t i;
    json_t *doc;
    *n = 0;
    json_array_foreach (docs, i, doc) {
        const char *key = arena_fmt(a, "%s/%s", place, doc_str(doc, "key"));
        if (key == NULL) return arena_full(a, d);
        TRY(add_function(arm, a, key, doc, found, n, d));
    }
    *out = found;
    return OK;
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err check_etag(struct arm_call *c, const json_t *old, struct diag *d)
{
    char etag[96] = "";
    if (old != NULL) etag_of(old, etag);
    TRY(arm_check_match(c, old != NULL ? etag : NULL, d));
    /* Clients also send back the etag that they read, in the body. */
    const char *given = json_get_str(c->body, "etag");
    if (given == NULL || given[0] == '\0' || str_eq(given, "*") || old == NULL ||
        str_eq(given, etag)) {
        return OK;
    }
    return ARM_FAIL(c, d, 409, "Conflict",
                    "The saved search has been changed meanwhile. Its etag is %s.", etag);
}

/* forceCmkForQuery: what is kept of queries is kept in the customer's storage only. */
static enum err check_forced(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *workspace = arm_doc(c->arm, workspace_key(c));
    if (!json_is_true(json_object_get(workspace, "forceCmk"))) return OK;
    const char *key = arena_fmt(c->a, "%s/linkedstorageaccounts/query", workspace_key(c));
    CLEANUP_JSON json_t *link = key != NULL ? arm_doc(c->arm, key) : NULL;
    if (link != NULL) return OK;
    return ARM_FAIL(c, d, 400, "OperationNotAllowed",
                    "The workspace has forceCmkForQuery set: queries are saved in the customer's "
                    "storage only. Link a storage account for Query first.");
}

enum err search_put(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *properties = NULL;
    TRY(read_properties(c, &properties, d));
    DOCS_WRITE(c->arm->docs);
    TRY(check_forced(c, d));
    const char *key = NULL;
    TRY(key_of(c, &key, d));
    CLEANUP_JSON json_t *old = arm_doc(c->arm, key);
    TRY(check_etag(c, old, d));
    CLEANUP_JSON json_t *all = old == NULL ? all_in(c->arm, place_of(c)) : NULL;
    if (json_array_size(all) >= SEARCHES_MAX) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded", "A workspace has at most %d saved searches.",
                        SEARCHES_MAX);
    }
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s, s:I}", "id", c->id_text, "name", arm_id_name(c->id), "key",
                  strrchr(key, '/') + 1, "modified", (json_int_t)time_now_us());
    TRY(arm_seal(c->arm, key, properties, doc, d));
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, key, KIND_SEARCH, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    json_t *j = NULL;
    TRY(search_json(c, key, doc, &j, d));
    return arm_reply(c, 200, j, d);
}

enum err search_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    const char *key = NULL;
    TRY(key_of(c, &key, d));
    CLEANUP_JSON json_t *old = arm_doc(c->arm, key);
    c->res->status = old == NULL ? 204 : 200;
    if (old == NULL) return OK;
    TRY(check_etag(c, old, d));
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, key);
    return arm_commit(c, &change, d);
}

/* --- an account is linked for them, or no longer ---------------------------------------------- */

/* The key is inside the seal: another place is another seal. */
static enum err move_one(struct arm *a, const char *from, const char *to, const json_t *doc,
                         struct change *change, struct diag *d)
{
    CLEANUP_JSON json_t *properties = NULL;
    TRY(arm_unseal(a, from, doc, &properties, d));
    CLEANUP_JSON json_t *moved = json_deep_copy(doc);
    TRY(arm_seal(a, to, properties, moved, d));
    change_remove(change, DOC_RESOURCE, from);
    change_put(change, DOC_RESOURCE, to, KIND_SEARCH, json_incref(moved));
    return OK;
}

enum err searches_move(struct arm_call *c, const char *w, const char *customer_id,
                       const char *account_key, struct change *change, struct diag *d)
{
    const char *home = arena_fmt(c->a, "%s/savedsearches", w);
    const char *away =
        account_key != NULL ? place_in_account(c->a, account_key, customer_id) : home;
    if (home == NULL || away == NULL) return arena_full(c->a, d);
    CLEANUP_JSON json_t *docs = all_in(c->arm, away);
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc) {
        const char *from = arena_fmt(c->a, "%s/%s", away, doc_str(doc, "key"));
        const char *to = arena_fmt(c->a, "%s/%s", home, doc_str(doc, "key"));
        if (from == NULL || to == NULL) return arena_full(c->a, d);
        if (account_key == NULL) {
            change_remove(change, DOC_RESOURCE, from);
        } else {
            TRY(move_one(c->arm, from, to, doc, change, d));
        }
    }
    return OK;
}

void searches_forget(struct arm *a, const char *w, const char *customer_id, struct change *change)
{
    CLEANUP_FREE char *link_key = str_fmt("%s/linkedstorageaccounts/query", w);
    CLEANUP_JSON json_t *link = link_key != NULL ? arm_doc(a, link_key) : NULL;
    const char *account = json_string_value(json_array_get(json_object_get(link, "accounts"), 0));
    CLEANUP_FREE char *prefix =
        account != NULL ? str_fmt("%s/savedsearches/%s/", account, customer_id) : NULL;
    if (prefix == NULL) return;
    str_lower(prefix);
    change_remove_parts(change, a->docs, prefix);
}

bool storage_in_use(struct arm *a, const char *account_key)
{
    CLEANUP_FREE char *prefix = str_fmt("%s/savedsearches/", account_key);
    if (prefix != NULL && docs_any(a->docs, DOC_RESOURCE, prefix)) return true;
    CLEANUP_JSON json_t *links = docs_list(a->docs, DOC_RESOURCE, KIND_LINKED_STORAGE, NULL);
    size_t i, k;
    json_t *link, *id;
    json_array_foreach (links, i, link) {
        json_array_foreach (json_object_get(link, "accounts"), k, id) {
            if (str_eq_nocase(json_string_value(id), account_key)) return true;
        }
    }
    return false;
}
