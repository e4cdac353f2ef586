/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/lock.c - Microsoft.Authorization/locks: what nobody deletes (CanNotDelete) or changes
 * (ReadOnly) before the lock is gone
 *
 * A document: id name scope (lower case) level notes. A lock holds at its scope and below it; a
 * group is not deleted over a lock inside it either.
 */
#include "resource/plane.h"

#define NOTES_MAX 512

static json_t *lock_json(const json_t *doc)
{
    json_t *p = json_pack("{s:s}", "level", doc_str(doc, "level"));
    if (doc_str(doc, "notes")[0] != '\0') {
        json_object_set_new(p, "notes", json_string(doc_str(doc, "notes")));
    }
    return json_pack("{s:o, s:s, s:s, s:s}", "properties", p, "id", doc_str(doc, "id"), "type",
                     "Microsoft.Authorization/locks", "name", doc_str(doc, "name"));
}

/* What the lock is on: the path before "/providers/Microsoft.Authorization/locks". */
static const char *scope_of(struct arm_call *c)
{
    const char *key = c->key, *end = NULL;
    for (const char *p = strstr(key, "/providers/microsoft.authorization/locks"); p != NULL;
         p = strstr(p + 1, "/providers/microsoft.authorization/locks")) {
        end = p;
    }
    return arena_str(c->a, bytes_of(key, end != NULL ? (size_t)(end - key) : strlen(key)));
}

static bool within(const char *inner, const char *outer)
{
    size_t n = strlen(outer);
    return strncmp(inner, outer, n) == 0 && (inner[n] == '\0' || inner[n] == '/');
}

enum err lock_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, lock_json(doc), d);
}

/* Those at the scope and below it. */
enum err lock_list(struct arm_call *c, struct diag *d)
{
    const char *scope = scope_of(c);
    if (scope == NULL) return arena_full(c->a, d);
    CLEANUP_JSON json_t *docs = docs_list(c->arm->docs, DOC_RESOURCE, KIND_LOCK, NULL);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc) {
        if (within(doc_str(doc, "scope"), scope)) json_array_append_new(values, lock_json(doc));
    }
    return arm_reply_list(c, values, d);
}

enum err lock_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    const char *level = json_string_value(json_at(c->body, "properties", "level", NULL));
    const char *notes = json_string_value(json_at(c->body, "properties", "notes", NULL));
    bool read_only = level != NULL && str_eq_nocase(level, "ReadOnly");
    if (level == NULL || (!read_only && !str_eq_nocase(level, "CanNotDelete"))) {
        return ARM_FAIL(c, d, 400, "InvalidLockLevel",
                        "The lock level is invalid. Set it to CanNotDelete or ReadOnly.");
    }
    if (notes != NULL && strlen(notes) > NOTES_MAX) {
        return ARM_FAIL(c, d, 400, "InvalidLockNotes",
                        "The notes of a lock have at most %d characters.", NOTES_MAX);
    }
    CLEANUP_JSON json_t *doc =
        json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", c->id_text, "name", arm_id_name(c->id),
                  "scope", scope_of(c), "level", read_only ? "ReadOnly" : "CanNotDelete", "notes",
                  notes != NULL ? notes : "");
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_LOCK, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, old == NULL ? 201 : 200, lock_json(doc), d);
}

enum err lock_remove(struct arm_call *c, struct diag *d)
{
    return arm_remove(c, false, d);
}

/* --- acting ----------------------------------------------------------------------------------- */

bool arm_is_locked(struct arm *a, const char *path, const char *method, char scope[ARM_ID_MAX])
{
    bool deletes = str_eq(method, "DELETE");
    if (str_eq(method, "GET") || str_eq(method, "HEAD")) return false;
    CLEANUP_JSON json_t *locks = docs_list(a->docs, DOC_RESOURCE, KIND_LOCK, NULL);
    if (json_array_size(locks) == 0) return false;
    CLEANUP_FREE char *key = str_dup(path);
    if (key == NULL || strcasestr(path, "/providers/microsoft.authorization/") != NULL)
        return false;
    str_lower(key);
    bool whole_group = deletes && strstr(key, "/providers/") == NULL;
    size_t i;
    json_t *lock;
    json_array_foreach (locks, i, lock) {
        const char *at = doc_str(lock, "scope");
        if (!deletes && !str_eq(doc_str(lock, "level"), "ReadOnly")) continue;
        if (!within(key, at) && !(whole_group && within(at, key))) continue;
        snprintf(scope, ARM_ID_MAX, "%s", at);
        return true;
    }
    return false;
}
