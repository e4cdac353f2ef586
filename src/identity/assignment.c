/* SPDX-License-Identifier: Apache-2.0 */
/* identity/assignment.c - who has which role where, and what follows from it */
#include "identity/state.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE "assignment"
#define ASSIGNMENTS_MAX \
    20000 /* more than Azure's 4,000 per subscription; each call walks them all */

/* --- rows
 * ------------------------------------------------------------------------------------------- */

static enum err store_one(struct identity *id, const struct assignment *a, struct diag *d)
{
    return row_put(id, TABLE, a->name,
                   json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I}", "principalId",
                             a->principal_id, "roleId", a->role_id, "scope", a->scope,
                             "principalType", a->principal_type, "description", a->description,
                             "createdBy", a->created_by, "updatedBy", a->updated_by, "createdUs",
                             (json_int_t)a->created_us, "updatedUs", (json_int_t)a->updated_us),
                   d);
}

/* Under the lock. */
static enum err index_copy(struct identity *id, const struct assignment *a, struct diag *d)
{
    struct assignment *own = malloc(sizeof *own);
    void *old = NULL;
    if (own == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *own = *a;
    enum err e = map_put(&id->assignments, bytes_str(own->name), own, &old, d);
    if (e != OK) {
        free(own);
        return e;
    }
    free(old);
    return OK;
}

static enum err load_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    struct identity *id = ctx;
    struct assignment a = {0};
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(value, &j, d));
    snprintf(a.name, sizeof a.name, "%s", key);
    a.created_us = json_integer_value(json_object_get(j, "createdUs"));
    a.updated_us = json_integer_value(json_object_get(j, "updatedUs"));
    bool good = row_text(j, "roleId", a.role_id, sizeof a.role_id) &&
                role_known(id, a.role_id) != NULL &&
                row_text(j, "principalId", a.principal_id, sizeof a.principal_id) &&
                row_text(j, "scope", a.scope, sizeof a.scope) &&
                row_text(j, "principalType", a.principal_type, sizeof a.principal_type) &&
                row_text(j, "description", a.description, sizeof a.description) &&
                row_text(j, "createdBy", a.created_by, sizeof a.created_by) &&
                row_text(j, "updatedBy", a.updated_by, sizeof a.updated_by);
    if (!good) return FAIL(d, ERR_CORRUPT, "role assignment %s cannot be read", key);
    return index_copy(id, &a, d);
}

enum err assignments_load(struct identity *id, struct diag *d)
{
    return kvstore_each(id->store, TABLE, "", load_one, id, d);
}

void assignments_release(struct identity *id)
{
    MAP_EACH (&id->assignments, e)
        free(e->value);
    map_release(&id->assignments);
}

/* --- changing
 * --------------------------------------------------------------------------------------- */

static bool same_grant(const struct assignment *a, const struct assignment *b)
{
    return str_eq_nocase(a->role_id, b->role_id) &&
           str_eq_nocase(a->principal_id, b->principal_id) && str_eq_nocase(a->scope, b->scope);
}

/* Under the lock. */
static enum err check_conflict(struct identity *id, const struct assignment *a,
                               const struct assignment *old, struct diag *d)
{
    if (old != NULL && !same_grant(a, old)) {
        return FAIL_TAG(
            d, ERR_CONFLICT, "RoleAssignmentUpdateNotPermitted",
            "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.");
    }
    MAP_EACH (&id->assignments, e) {
        const struct assignment *other = e->value;
        if (other == old || !same_grant(a, other)) continue;
        return FAIL_TAG(d, ERR_CONFLICT, "RoleAssignmentExists",
                        "The role assignment already exists.");
    }
    return OK;
}

enum err assignment_put(struct identity *id, const struct assignment *a, struct assignment *out,
                        bool *created, struct diag *d)
{
    struct assignment mine = *a;
    str_lower(mine.name);
    LOCK_SCOPE(&id->lock);
    const struct assignment *old = map_get(&id->assignments, bytes_str(mine.name));
    TRY(check_conflict(id, &mine, old, d));
    if (old == NULL && id->assignments.n_live >= ASSIGNMENTS_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "RoleAssignmentLimitExceeded",
                        "No more role assignments can be created (limit %d).", ASSIGNMENTS_MAX);
    }
    bool is_new = old == NULL;
    if (!is_new) {
        mine.created_us = old->created_us;
        memcpy(mine.created_by, old->created_by, sizeof mine.created_by);
    }
    TRY(store_one(id, &mine, d)); /* first: what memory grants is on disk */
    TRY(index_copy(id, &mine, d));
    LOG(INFO, "identity.role_assigned", F_STR("role", mine.role_id),
        F_STR("principal", mine.principal_id), F_STR("scope", mine.scope),
        F_STR("by", mine.updated_by));
    *created = is_new;
    *out = mine;
    return OK;
}

bool assignment_get(struct identity *id, const char *name, const char *scope,
                    struct assignment *out)
{
    char folded[GUID_TEXT_MAX];
    if ((size_t)snprintf(folded, sizeof folded, "%s", name) >= sizeof folded) return false;
    str_lower(folded);
    LOCK_SCOPE(&id->lock);
    const struct assignment *a = map_get(&id->assignments, bytes_str(folded));
    if (a == NULL || !str_eq_nocase(a->scope, scope)) return false;
    *out = *a;
    return true;
}

enum err assignment_delete(struct identity *id, const char *name, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    struct assignment *a = map_get(&id->assignments, bytes_str(name));
    if (a == NULL) return OK;
    TRY(kvstore_delete(id->store, TABLE, a->name, d));
    LOG(INFO, "identity.role_withdrawn", F_STR("role", a->role_id),
        F_STR("principal", a->principal_id), F_STR("scope", a->scope));
    map_remove(&id->assignments, bytes_str(name));
    free(a);
    return OK;
}

bool assignment_uses_role(struct identity *id, const char *role_id)
{
    LOCK_SCOPE(&id->lock);
    MAP_EACH (&id->assignments, e) {
        if (str_eq_nocase(((const struct assignment *)e->value)->role_id, role_id)) return true;
    }
    return false;
}

enum err assignments_forget(struct identity *id, const char *principal_id, struct diag *d)
{
    MAP_EACH (&id->assignments, e) {
        struct assignment *a = e->value;
        if (!str_eq_nocase(a->principal_id, principal_id)) continue;
        TRY(kvstore_delete(id->store, TABLE, a->name, d));
        map_remove(&id->assignments, bytes_str(a->name));
        free(a);
    }
    return OK;
}

static int by_name(const void *x, const void *y)
{
    return strcmp((*(const struct assignment *const *)x)->name,
                  (*(const struct assignment *const *)y)->name);
}

enum err assignment_list(struct identity *id, const struct assignment_page *page,
                         struct assignment **out, size_t *out_n, bool *more, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    size_t n = 0;
    CLEANUP_FREE const struct assignment **found =
        calloc(id->assignments.n_live + 1, sizeof(struct assignment *));
    if (found == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    MAP_EACH (&id->assignments, e) {
        const struct assignment *a = e->value;
        if (strcmp(a->name, page->after) > 0 && page->wanted(a, page->ctx)) found[n++] = a;
    }
    qsort(found, n, sizeof(struct assignment *), by_name);
    size_t n_out = n < page->max ? n : page->max;
    struct assignment *copies = calloc(n_out + 1, sizeof *copies);
    if (copies == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < n_out; i++)
        copies[i] = *found[i];
    *out = copies;
    *out_n = n_out;
    *more = n > n_out;
    return OK;
}

/* --- deciding
 * --------------------------------------------------------------------------------------- */

/* The principal, and the groups it is in: its own row's, or those a foreign token named. */
struct speaker {
    const char *object_id;
    const struct principal *principal; /* NULL: a foreigner */
    const struct visitor *visitor;
};

static bool is_for(const struct assignment *a, const struct speaker *s)
{
    if (str_eq_nocase(a->principal_id, s->object_id)) return true;
    for (unsigned i = 0; s->principal != NULL && i < s->principal->n_groups; i++) {
        if (str_eq_nocase(a->principal_id, s->principal->groups[i])) return true;
    }
    for (unsigned i = 0; s->visitor != NULL && i < s->visitor->n_groups; i++) {
        if (str_eq_nocase(a->principal_id, s->visitor->groups[i])) return true;
    }
    return false;
}

/* Who speaks under this id now; false: one that is disabled. Under the lock. */
static bool find_speaker(struct identity *id, const char *object_id, struct speaker *out)
{
    struct speaker s = {.object_id = object_id};
    s.principal = map_get(&id->by_object, bytes_str(object_id));
    if (s.principal != NULL && s.principal->is_disabled) return false;
    if (s.principal == NULL) s.visitor = map_get(&id->visitors, bytes_str(object_id));
    *out = s;
    return true;
}

static bool is_allowed(struct identity *id, const char *object_id, const char *action, bool is_data,
                       const char *scope)
{
    char folded[GUID_TEXT_MAX];
    if ((size_t)snprintf(folded, sizeof folded, "%s", object_id) >= sizeof folded) return false;
    str_lower(folded);
    LOCK_SCOPE(&id->lock);
    struct speaker who;
    if (!find_speaker(id, folded, &who)) return false;
    MAP_EACH (&id->assignments, e) {
        const struct assignment *a = e->value;
        if (!scope_covers(a->scope, scope) || !is_for(a, &who)) continue;
        const struct role *r = role_known(id, a->role_id);
        if (r != NULL && role_allows(r, action, is_data)) return true;
    }
    return false;
}

enum err rbac_authorize(struct identity *id, const char *object_id, const char *action,
                        bool is_data, const char *scope, struct diag *d)
{
    char canonical[RESOURCE_ID_MAX];
    if (scope_canonical(scope, canonical, NULL) == OK &&
        is_allowed(id, object_id, action, is_data, canonical)) {
        return OK;
    }
    return FAIL_TAG(d, ERR_DENIED, "AuthorizationFailed", "%s may not %s at %.200s", object_id,
                    action, scope);
}

enum err rbac_groups(struct identity *id, const char *object_id, struct buf *out, struct diag *d)
{
    char folded[GUID_TEXT_MAX] = "";
    struct speaker who = {0};
    bool fits = (size_t)snprintf(folded, sizeof folded, "%s", object_id) < sizeof folded;
    str_lower(folded);
    LOCK_SCOPE(&id->lock);
    if (!fits || !find_speaker(id, folded, &who) ||
        (who.principal == NULL && who.visitor == NULL)) {
        return FAIL_TAG(d, ERR_DENIED, "NoStanding", "%.40s is disabled or not known", object_id);
    }
    unsigned n = who.principal != NULL ? who.principal->n_groups : who.visitor->n_groups;
    buf_u32(out, n);
    for (unsigned i = 0; i < n; i++)
        buf_blob(out, bytes_str(who.principal != NULL ? who.principal->groups[i]
                                                      : who.visitor->groups[i]));
    return OK;
}
