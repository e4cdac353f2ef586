/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/role_custom.c - roles that were defined here: read strictly, kept as the JSON they came
 * as
 *
 * A role is rebuilt from its JSON at each start, by the same function that checked it.
 */
#include "identity/state.h"

#include "base/log.h"
#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define TABLE        "role"
#define ROLES_MAX    5000 /* as in a directory of Entra ID */
#define PATTERNS_MAX 200  /* of one list */
#define PATTERN_MAX  512  /* bytes */
#define SCOPES_MAX   100
#define NAME_BYTES   512
#define ABOUT_BYTES  2048

/* --- reading a definition
 * --------------------------------------------------------------------------- */

static enum err bad(struct diag *d, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static enum err bad(struct diag *d, const char *fmt, ...)
{
    char text[400];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    return FAIL_TAG(d, ERR_INVALID, "InvalidRoleDefinition", "%s", text);
}

/* "Provider/type/verb", with stars; nothing that could mean more than it seems to. */
static bool is_pattern(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > PATTERN_MAX) return false;
    for (const char *p = s; *p != 0; p++) {
        bool good = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    (*p >= '0' && *p <= '9') || strchr("*/._-", *p) != NULL;
        if (!good) return false;
    }
    return str_eq(s, "*") || strchr(s, '/') != NULL;
}

/* Appends the texts of a list to row[out] and sets *to, which lies in the one block of pointers. */
static enum err read_patterns(const json_t *from, const char *name, json_t *row, const char **at,
                              const char *const **to, struct diag *d)
{
    const json_t *list = json_get(from, name);
    json_t *kept = json_array();
    if (json_object_set_new(row, name, kept) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
    *to = at;
    if (list == NULL || json_is_null(list)) return OK;
    if (!json_is_array(list) || json_array_size(list) > PATTERNS_MAX) {
        return bad(d, "'%s' must be a list of at most %d actions.", name, PATTERNS_MAX);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text == NULL || !is_pattern(text)) {
            return bad(d, "'%.100s' in '%s' is not an action.", text != NULL ? text : "(no text)",
                       name);
        }
        json_t *own = json_string(text);
        if (json_array_append_new(kept, own) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
        *at++ = json_string_value(own);
    }
    *at = NULL;
    return OK;
}

static enum err read_scopes(const json_t *properties, json_t *row, const char **at,
                            const char *const **to, struct diag *d)
{
    const json_t *list = json_get(properties, "assignableScopes");
    json_t *kept = json_array();
    if (json_object_set_new(row, "assignableScopes", kept) != 0) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *to = at;
    size_t n = json_array_size(list);
    if (n == 0 || n > SCOPES_MAX) {
        return bad(d, "'assignableScopes' must name 1 to %d scopes.", SCOPES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(list, i));
        char scope[RESOURCE_ID_MAX];
        if (text == NULL || scope_canonical(text, scope, NULL) != OK ||
            !str_starts(scope, "/subscriptions/")) {
            return bad(d, "'%.200s' is no scope that a custom role can be assignable at.",
                       text != NULL ? text : "(no text)");
        }
        json_t *own = json_string(scope);
        if (json_array_append_new(kept, own) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
        *at++ = json_string_value(own);
    }
    *at = NULL;
    return OK;
}

static enum err read_texts(struct custom_role *r, const char *role_id, const json_t *properties,
                           struct diag *d)
{
    const char *name = json_get_str(properties, "roleName");
    const char *about = json_get_str(properties, "description");
    const char *type = json_get_str(properties, "type");
    if (name == NULL || name[0] == 0 || strlen(name) > NAME_BYTES) {
        return bad(d, "'roleName' must have 1 to %d bytes.", NAME_BYTES);
    }
    if (about != NULL && strlen(about) > ABOUT_BYTES) {
        return bad(d, "'description' must have at most %d bytes.", ABOUT_BYTES);
    }
    if (type != NULL && type[0] != 0 && !str_eq_nocase(type, "CustomRole")) {
        return bad(d, "'type' must be CustomRole, not '%.60s'.", type);
    }
    json_t *texts[] = {json_string(role_id), json_string(name),
                       json_string(about != NULL ? about : "")};
    static const char *const names[] = {"id", "roleName", "description"};
    const char **to[] = {&r->role.id, &r->role.name, &r->role.description};
    for (int i = 0; i < 3; i++) {
        if (json_object_set_new(r->row, names[i], texts[i]) != 0) {
            return FAIL(d, ERR_LIMIT, "out of memory");
        }
        *to[i] = json_string_value(texts[i]);
    }
    return OK;
}

static enum err read_into(struct custom_role *r, const char *role_id, const json_t *properties,
                          struct diag *d)
{
    const json_t *permissions = json_get(properties, "permissions");
    const json_t *one = json_array_get(permissions, 0);
    TRY(read_texts(r, role_id, properties, d));
    if (json_array_size(permissions) != 1 || !json_is_object(one)) {
        return bad(d, "'permissions' must hold one object.");
    }
    const json_t *condition = json_get(one, "condition");
    if (condition != NULL && !json_is_null(condition)) { /* (6) */
        return FAIL_TAG(d, ERR_INVALID, "ConditionNotSupported",
                        "Conditions on role definitions are not supported.");
    }
    const struct {
        const char *name;
        const char *const **to;
    } lists[] = {{"actions", &r->role.actions},
                 {"notActions", &r->role.not_actions},
                 {"dataActions", &r->role.data_actions},
                 {"notDataActions", &r->role.not_data_actions}};
    for (int i = 0; i < 4; i++) {
        TRY(read_patterns(one, lists[i].name, r->row, r->lists + i * (PATTERNS_MAX + 1),
                          lists[i].to, d));
    }
    return read_scopes(properties, r->row, r->lists + 4 * (PATTERNS_MAX + 1), &r->scopes, d);
}

DEFINE_CLEANUP(custom_role_free, struct custom_role)

enum err custom_role_read(const char *role_id, const json_t *properties, struct custom_role **out,
                          struct diag *d)
{
    CLEANUP(custom_role_free) struct custom_role *r = calloc(1, sizeof *r);
    if (r == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    r->row = json_object();
    r->lists = calloc(4 * (PATTERNS_MAX + 1) + SCOPES_MAX + 1, sizeof *r->lists);
    if (r->row == NULL || r->lists == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_into(r, role_id, properties, d));
    *out = TAKE(r);
    return OK;
}

void custom_role_free(struct custom_role *r)
{
    if (r == NULL) return;
    json_decref(r->row);
    free(r->lists);
    free(r);
}

/* --- the store
 * -------------------------------------------------------------------------------------- */

static enum err store_one(struct identity *id, const struct custom_role *r, struct diag *d)
{
    const json_t *row = r->row;
    return row_put(id, TABLE, r->role.id,
                   json_pack("{s:O, s:O, s:[{s:O, s:O, s:O, s:O}], s:O, s:I, s:I, s:s, s:s}",
                             "roleName", json_object_get(row, "roleName"), "description",
                             json_object_get(row, "description"), "permissions", "actions",
                             json_object_get(row, "actions"), "notActions",
                             json_object_get(row, "notActions"), "dataActions",
                             json_object_get(row, "dataActions"), "notDataActions",
                             json_object_get(row, "notDataActions"), "assignableScopes",
                             json_object_get(row, "assignableScopes"), "createdUs",
                             (json_int_t)r->created_us, "updatedUs", (json_int_t)r->updated_us,
                             "createdBy", r->created_by, "updatedBy", r->updated_by),
                   d);
}

/* Takes r. Under the lock. */
static enum err index_one(struct identity *id, struct custom_role *r, struct diag *d)
{
    void *old = NULL;
    enum err e = map_put(&id->roles, bytes_str(r->role.id), r, &old, d);
    custom_role_free(e == OK ? old : r);
    return e;
}

static enum err load_one(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP(custom_role_free) struct custom_role *r = NULL;
    struct diag why = DIAG_INIT;
    TRY(json_read(value, &j, d));
    if (custom_role_read(key, j, &r, &why) != OK ||
        !row_text(j, "createdBy", r->created_by, sizeof r->created_by) ||
        !row_text(j, "updatedBy", r->updated_by, sizeof r->updated_by)) {
        return FAIL(d, ERR_CORRUPT, "role %s cannot be read: %s", key, why.text);
    }
    r->created_us = json_integer_value(json_object_get(j, "createdUs"));
    r->updated_us = json_integer_value(json_object_get(j, "updatedUs"));
    return index_one(ctx, TAKE(r), d);
}

enum err roles_load(struct identity *id, struct diag *d)
{
    return kvstore_each(id->store, TABLE, "", load_one, id, d);
}

void roles_release(struct identity *id)
{
    MAP_EACH (&id->roles, e)
        custom_role_free(e->value);
    map_release(&id->roles);
}

/* --- looking up and changing
 * ------------------------------------------------------------------------- */

const struct custom_role *role_custom(struct identity *id, const char *role_id)
{
    char folded[GUID_TEXT_MAX];
    if ((size_t)snprintf(folded, sizeof folded, "%s", role_id) >= sizeof folded) return NULL;
    str_lower(folded);
    return map_get(&id->roles, bytes_str(folded));
}

const struct role *role_known(struct identity *id, const char *role_id)
{
    const struct role *r = role_find(role_id);
    const struct custom_role *c = r == NULL ? role_custom(id, role_id) : NULL;
    return c != NULL ? &c->role : r;
}

/* Under the lock. */
static enum err check_name(struct identity *id, const struct custom_role *r, struct diag *d)
{
    bool taken = false;
    for (size_t i = 0; i < n_builtin_roles; i++)
        taken = taken || str_eq_nocase(builtin_roles[i].name, r->role.name);
    MAP_EACH (&id->roles, e) {
        const struct custom_role *other = e->value;
        taken = taken || (str_eq_nocase(other->role.name, r->role.name) &&
                          !str_eq(other->role.id, r->role.id));
    }
    if (!taken) return OK;
    return FAIL_TAG(d, ERR_CONFLICT, "RoleDefinitionWithSameNameExists",
                    "A custom role with the same name already exists in this directory. Use a "
                    "different name.");
}

enum err role_put(struct identity *id, struct custom_role *mine, bool *created, struct diag *d)
{
    CLEANUP(custom_role_free) struct custom_role *r = mine;
    LOCK_SCOPE(&id->lock);
    const struct custom_role *old = role_custom(id, r->role.id);
    bool is_new = old == NULL;
    TRY(check_name(id, r, d));
    if (is_new && id->roles.n_live >= ROLES_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "RoleDefinitionLimitExceeded",
                        "The role definition limit for the tenant was exceeded (limit %d).",
                        ROLES_MAX);
    }
    if (!is_new) {
        r->created_us = old->created_us;
        memcpy(r->created_by, old->created_by, sizeof r->created_by);
    }
    TRY(store_one(id, r, d)); /* (1) */
    LOG(INFO, "identity.role_defined", F_STR("role", r->role.name), F_STR("id", r->role.id),
        F_STR("by", r->updated_by));
    TRY(index_one(id, TAKE(r), d));
    *created = is_new;
    return OK;
}

enum err role_remove(struct identity *id, const char *role_id, struct diag *d)
{
    LOCK_SCOPE(&id->lock);
    const struct custom_role *r = role_custom(id, role_id);
    if (r == NULL) return OK;
    if (assignment_uses_role(id, r->role.id)) {
        return FAIL_TAG(d, ERR_CONFLICT, "RoleDefinitionHasAssignments",
                        "There are existing role assignments referencing role (code: "
                        "RoleDefinitionHasAssignments).");
    }
    TRY(kvstore_delete(id->store, TABLE, r->role.id, d));
    LOG(INFO, "identity.role_undefined", F_STR("role", r->role.name), F_STR("id", r->role.id));
    custom_role_free(map_remove(&id->roles, bytes_str(r->role.id)));
    return OK;
}
