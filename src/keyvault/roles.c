/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/roles.c - who may do what in a pool of a managed HSM: its own roles, apart from ARM's
 *
 * An assignment lies in the table "hsmrole", ROW/GUID: "principalId", "roleDefinitionId" (the GUID
 * of a built-in role) and "scope": "/", "/keys" or "/keys/NAME". Whoever the pool was made with
 * (initialAdminObjectIds) is its administrator at "/" for ever. Administrators give roles; keys
 * they do not use, unless they give themselves that role.
 */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <stdio.h>

#define ASSIGNMENTS_MAX 1000 /* of one pool */
#define SEGMENTS_MAX    6

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadParameter", __VA_ARGS__)

/* --- the roles --- */

#define BIT(p) (UINT64_C(1) << (p))
#define USES                                                                                      \
    (BIT(PERM_ENCRYPT) | BIT(PERM_DECRYPT) | BIT(PERM_SIGN) | BIT(PERM_VERIFY) | BIT(PERM_WRAP) | \
     BIT(PERM_UNWRAP))
#define READS (BIT(PERM_GET) | BIT(PERM_LIST) | BIT(PERM_GET_ROTATION))

static const struct role {
    const char *id, *name;
    uint64_t permissions; /* on keys */
    bool gives_roles;
} roles[] = {
    {"a290e904-7015-4bba-90c8-60543313cdb4", "Managed HSM Administrator", 0, true},
    {"515eb02d-2335-4d2d-92f2-b1cbdf9c3778", "Managed HSM Crypto Officer",
     READS | BIT(PERM_PURGE) | BIT(PERM_RECOVER), true},
    {"21dbd100-6940-42c2-9190-5d6cb909625b", "Managed HSM Crypto User",
     READS | USES | BIT(PERM_CREATE) | BIT(PERM_IMPORT) | BIT(PERM_UPDATE) | BIT(PERM_DELETE) |
         BIT(PERM_ROTATE) | BIT(PERM_SET_ROTATION) | BIT(PERM_BACKUP) | BIT(PERM_RESTORE),
     false},
    {"4bd23610-cdcf-4971-bdee-bdc562cc28e4", "Managed HSM Policy Administrator", 0, true},
    {"2c18b078-7c48-4d3a-af88-5a3a1b3f82b3", "Managed HSM Crypto Auditor", READS, false},
    {"33413926-3206-4cdd-b39a-83574fe37a17", "Managed HSM Crypto Service Encryption User",
     BIT(PERM_GET) | BIT(PERM_WRAP) | BIT(PERM_UNWRAP), false},
};
#define N_ROLES       (sizeof roles / sizeof roles[0])
#define ADMINISTRATOR (&roles[0])

/* What the permissions are called here, behind "Microsoft.KeyVault/managedHsm/". */
static const char *const actions[PERM_NONE] = {
    [PERM_GET] = "keys/read/action",
    [PERM_LIST] = "keys/read/action",
    [PERM_CREATE] = "keys/create",
    [PERM_UPDATE] = "keys/write/action",
    [PERM_ROTATE] = "keys/rotate/action",
    [PERM_DELETE] = "keys/delete",
    [PERM_RECOVER] = "keys/deletedKeys/recover/action",
    [PERM_PURGE] = "keys/deletedKeys/delete",
    [PERM_WRAP] = "keys/wrap/action",
    [PERM_UNWRAP] = "keys/unwrap/action",
    [PERM_ENCRYPT] = "keys/encrypt/action",
    [PERM_DECRYPT] = "keys/decrypt/action",
    [PERM_SIGN] = "keys/sign/action",
    [PERM_VERIFY] = "keys/verify/action",
    [PERM_IMPORT] = "keys/import/action",
    [PERM_BACKUP] = "keys/backup/action",
    [PERM_RESTORE] = "keys/restore/action",
    [PERM_RELEASE] = "keys/release/action",
    [PERM_GET_ROTATION] = "keys/rotationpolicy/read",
    [PERM_SET_ROTATION] = "keys/rotationpolicy/write",
};

#define DEFINITIONS "/providers/Microsoft.Authorization/roleDefinitions/"

/* By the last part of ".../roleDefinitions/GUID". */
static const struct role *find_role(const char *definition)
{
    const char *slash = strrchr(definition, '/');
    const char *id = slash != NULL ? slash + 1 : definition;
    for (size_t i = 0; i < N_ROLES; i++) {
        if (str_eq_nocase(id, roles[i].id)) return &roles[i];
    }
    return NULL;
}

/* --- who has one --- */

static bool is_founder(const json_t *pool, const struct holder *h)
{
    size_t i;
    json_t *v;
    json_array_foreach (json_at(pool, "properties", "initialAdminObjectIds", NULL), i, v) {
        if (kv_is_holder(h, json_string_value(v))) return true;
    }
    return false;
}

/* "/" covers all, "/keys" all keys, "/keys/a" one. */
static bool covers(const char *scope, const char *wanted)
{
    size_t n = strlen(scope);
    if (str_eq(scope, "/")) return true;
    return str_starts_nocase(wanted, scope) && (wanted[n] == 0 || wanted[n] == '/');
}

struct question {
    const struct holder *holder;
    const char *scope;
    uint64_t permission; /* 0: to give roles */
    bool yes;
};

static bool answers(const struct role *r, const struct question *q)
{
    return q->permission != 0 ? (r->permissions & q->permission) != 0 : r->gives_roles;
}

static enum err look_at(void *ctx, const char *key, json_t *assignment, struct diag *d)
{
    struct question *q = ctx;
    (void)key, (void)d;
    const char *who = json_get_str(assignment, "principalId"),
               *scope = json_get_str(assignment, "scope"),
               *role_id = json_get_str(assignment, "roleDefinitionId");
    const struct role *r = role_id != NULL ? find_role(role_id) : NULL;
    if (r != NULL && who != NULL && scope != NULL && kv_is_holder(q->holder, who) &&
        covers(scope, q->scope) && answers(r, q))
        q->yes = true;
    return OK;
}

static enum err prefix_of(const json_t *pool, char out[VAULT_NAME_MAX + 1], struct diag *d)
{
    char row[VAULT_NAME_MAX];
    TRY(kv_vault_row(pool, row, d));
    snprintf(out, VAULT_NAME_MAX + 1, "%s/", row);
    return OK;
}

static enum err ask(const struct call *c, const json_t *pool, struct question *q, struct diag *d)
{
    char prefix[VAULT_NAME_MAX + 1];
    CLEANUP_HOLDER struct holder h = {0};
    TRY(kv_holder_read(c, &h, d));
    TRY(prefix_of(pool, prefix, d));
    q->holder = &h;
    q->yes = is_founder(pool, &h) && answers(ADMINISTRATOR, q);
    enum err e = q->yes ? OK : kv_doc_each(c->kv, "hsmrole", prefix, look_at, q, d);
    q->holder = NULL; /* h ends here */
    return e;
}

enum err kv_roles_refuse(const struct call *c, const json_t *pool, const char *key,
                         const char *action, struct diag *d)
{
    return FAIL_TAG(
        d, ERR_DENIED, "ForbiddenByRbac",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation "
        "time.\r\nCaller: appid=%s;oid=%s;iss=%s\r\nAction: 'Microsoft.KeyVault/managedHsm/%s'\r\n"
        "Resource: '%s/keys/%s'\r\nAssignment: (not found)\r\n",
        c->who.app_id, c->who.object_id, c->who.issuer, action, json_get_str(pool, "id"),
        key != NULL ? key : "");
}

static const char *key_scope(const struct call *c, const char *key)
{
    return key != NULL ? arena_fmt(c->req->a, "/keys/%s", key) : "/keys";
}

enum err kv_roles_check(const struct call *c, const json_t *pool, const char *key,
                        enum permission p, struct diag *d)
{
    struct question q = {.scope = key_scope(c, key), .permission = BIT(p)};
    if (q.scope == NULL) return kv_out_of_memory(d);
    TRY(ask(c, pool, &q, d));
    return q.yes ? OK : kv_roles_refuse(c, pool, key, actions[p], d);
}

enum err kv_roles_remove_all(struct keyvault *kv, const char *row, struct diag *d)
{
    CLEANUP_FREE char *prefix = str_fmt("%s/", row);
    if (prefix == NULL) return kv_out_of_memory(d);
    return kv_rows_remove(kv, "hsmrole", prefix, d);
}

/* --- assignments over HTTPS --- */

struct target {               /* of a path */
    const char *scope, *name; /* name NULL: all of the scope */
    bool definitions;
};

/* .../providers/Microsoft.Authorization/roleAssignments[/NAME] under "", "keys" or "keys/NAME". */
static bool read_target(const struct call *c, struct target *out)
{
    const char *s[SEGMENTS_MAX];
    size_t n = kv_split_path(c->req->a, c->req->path, s, SEGMENTS_MAX), at = 0;
    if (n > SEGMENTS_MAX) return false;
    while (at < n && !str_eq_nocase(s[at], "providers"))
        at++;
    if (n - at < 3 || n - at > 4 || at > 2 || !str_eq_nocase(s[at + 1], "Microsoft.Authorization"))
        return false;
    if (at > 0 && !str_eq_nocase(s[0], "keys")) return false;
    bool definitions = str_eq_nocase(s[at + 2], "roleDefinitions");
    if (!definitions && !str_eq_nocase(s[at + 2], "roleAssignments")) return false;
    *out = (struct target){.scope = at == 0   ? "/"
                                    : at == 1 ? "/keys"
                                              : arena_fmt(c->req->a, "/keys/%s", s[1]),
                           .name = n - at == 4 ? s[at + 3] : NULL,
                           .definitions = definitions};
    return out->scope != NULL;
}

static json_t *shown(const json_t *a)
{
    const char *scope = json_get_str(a, "scope"), *name = json_get_str(a, "name");
    CLEANUP_FREE char *id = str_fmt("%s/providers/Microsoft.Authorization/roleAssignments/%s",
                                    str_eq(scope, "/") ? "" : scope, name);
    CLEANUP_FREE char *role =
        str_fmt("Microsoft.KeyVault" DEFINITIONS "%s", json_get_str(a, "roleDefinitionId"));
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s}}", "id", id != NULL ? id : "", "name", name,
                     "type", "Microsoft.Authorization/roleAssignments", "properties", "principalId",
                     json_get_str(a, "principalId"), "roleDefinitionId", role != NULL ? role : "",
                     "scope", scope);
}

static enum err row_of(const json_t *pool, const char *name, char out[VAULT_NAME_MAX + 40],
                       struct diag *d)
{
    struct guid g;
    char prefix[VAULT_NAME_MAX + 1];
    if (guid_parse(name, &g, NULL) != OK) return BAD(d, "The name of a role assignment is a GUID.");
    TRY(prefix_of(pool, prefix, d));
    snprintf(out, VAULT_NAME_MAX + 40, "%s%s", prefix, name);
    str_lower(out);
    return OK;
}

static enum err not_found(const struct target *t, struct diag *d)
{
    return FAIL_TAG(d, ERR_NOT_FOUND, "RoleAssignmentNotFound", "There is no role assignment %s.",
                    t->name);
}

static enum err find_at(const struct call *c, const struct target *t, const char *row, json_t **out,
                        struct diag *d)
{
    CLEANUP_JSON json_t *a = NULL;
    TRY(kv_doc_get(c->kv, "hsmrole", row, &a, d));
    if (a == NULL || !str_eq_nocase(json_get_str(a, "scope"), t->scope)) return not_found(t, d);
    *out = TAKE(a);
    return OK;
}

static enum err count_one(void *ctx, const char *key, json_t *j, struct diag *d)
{
    (void)key, (void)j, (void)d;
    ++*(size_t *)ctx;
    return OK;
}

static enum err put_assignment(struct call *c, const json_t *pool, const struct target *t,
                               const char *row, struct diag *d)
{
    const json_t *p = json_get(c->body, "properties");
    const char *who = json_get_str(p, "principalId"),
               *role_id = json_get_str(p, "roleDefinitionId");
    struct guid g;
    const struct role *r = role_id != NULL ? find_role(role_id) : NULL;
    if (who == NULL || guid_parse(who, &g, NULL) != OK)
        return BAD(d, "Property principalId has invalid value");
    if (r == NULL) return BAD(d, "Property roleDefinitionId has invalid value: no such role here");
    CLEANUP_JSON json_t *a = json_pack("{s:s, s:s, s:s, s:s}", "name", t->name, "principalId", who,
                                       "roleDefinitionId", r->id, "scope", t->scope);
    CLEANUP_KVSTORE_TXN struct kvstore_txn txn = {0};
    CLEANUP_JSON json_t *there = NULL;
    char prefix[VAULT_NAME_MAX + 1];
    size_t n = 0;
    TRY(prefix_of(pool, prefix, d));
    TRY(kvstore_begin(c->kv->store, &txn, d));
    TRY(kv_doc_get(c->kv, "hsmrole", row, &there, d));
    if (there != NULL && !json_equal(there, a)) {
        return FAIL_TAG(d, ERR_CONFLICT, "RoleAssignmentExists",
                        "The role assignment %s exists already.", t->name);
    }
    TRY(kv_doc_each(c->kv, "hsmrole", prefix, count_one, &n, d));
    if (n >= ASSIGNMENTS_MAX)
        return BAD(d, "A pool has at most %d role assignments", ASSIGNMENTS_MAX);
    TRY(kv_doc_put(c->kv, "hsmrole", row, a, d));
    TRY(kvstore_commit(&txn, d));
    LOG(INFO, "hsm.role_given", F_STR("role", r->name), F_STR("to", who), F_STR("scope", t->scope),
        F_STR("by", c->who.object_id));
    CLEANUP_JSON json_t *j = shown(a);
    kv_reply_json(c->res, 201, j);
    return OK;
}

static enum err one_assignment(struct call *c, const json_t *pool, const struct target *t,
                               struct diag *d)
{
    char row[VAULT_NAME_MAX + 40];
    TRY(row_of(pool, t->name, row, d));
    if (str_eq(c->req->method, "PUT")) {
        c->operation = "RoleAssignmentPut";
        return put_assignment(c, pool, t, row, d);
    }
    CLEANUP_JSON json_t *a = NULL;
    TRY(find_at(c, t, row, &a, d));
    bool deletes = str_eq(c->req->method, "DELETE");
    c->operation = deletes ? "RoleAssignmentDelete" : "RoleAssignmentGet";
    if (deletes) TRY(kvstore_delete(c->kv->store, "hsmrole", row, d));
    CLEANUP_JSON json_t *j = shown(a);
    kv_reply_json(c->res, 200, j);
    return OK;
}

struct listing {
    const char *scope;
    json_t *items;
};

static enum err list_one(void *ctx, const char *key, json_t *a, struct diag *d)
{
    struct listing *l = ctx;
    (void)key, (void)d;
    if (covers(l->scope, json_get_str(a, "scope"))) json_array_append_new(l->items, shown(a));
    return OK;
}

static enum err list_assignments(struct call *c, const json_t *pool, const struct target *t,
                                 struct diag *d)
{
    char prefix[VAULT_NAME_MAX + 1];
    c->operation = "RoleAssignmentList";
    TRY(prefix_of(pool, prefix, d));
    struct listing l = {t->scope, json_array()};
    enum err e = kv_doc_each(c->kv, "hsmrole", prefix, list_one, &l, d);
    CLEANUP_JSON json_t *j = json_pack("{s:o}", "value", l.items);
    TRY(e);
    kv_reply_json(c->res, 200, j);
    return OK;
}

static json_t *shown_role(const struct role *r)
{
    json_t *data = json_array();
    for (int p = 0; p < PERM_NONE; p++) {
        char action[128];
        if ((r->permissions & BIT(p)) == 0) continue;
        snprintf(action, sizeof action, "Microsoft.KeyVault/managedHsm/%s", actions[p]);
        json_array_append_new(data, json_string(action));
    }
    if (r->gives_roles) {
        json_array_append_new(
            data, json_string("Microsoft.KeyVault/managedHsm/roleAssignments/write/action"));
        json_array_append_new(
            data, json_string("Microsoft.KeyVault/managedHsm/roleAssignments/delete/action"));
    }
    CLEANUP_FREE char *id = str_fmt("Microsoft.KeyVault" DEFINITIONS "%s", r->id);
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:[s], s:[{s:[], s:[], s:o, s:[]}]}}", "id",
                     id != NULL ? id : "", "name", r->id, "type",
                     "Microsoft.Authorization/roleDefinitions", "properties", "roleName", r->name,
                     "description", "", "type", "AKVBuiltInRole", "assignableScopes", "/",
                     "permissions", "actions", "notActions", "dataActions", data, "notDataActions");
}

static void list_roles(struct call *c)
{
    c->operation = "RoleDefinitionList";
    json_t *items = json_array();
    for (size_t i = 0; i < N_ROLES; i++)
        json_array_append_new(items, shown_role(&roles[i]));
    CLEANUP_JSON json_t *j = json_pack("{s:o}", "value", items);
    kv_reply_json(c->res, 200, j);
}

static enum err handle(struct call *c, const json_t *pool, const struct target *t, struct diag *d)
{
    const char *method = c->req->method;
    struct question q = {.scope = t->scope};
    TRY(ask(c, pool, &q, d));
    if (!q.yes) return kv_roles_refuse(c, pool, NULL, "roleAssignments/write/action", d);
    bool known = str_eq(method, "GET") || (t->name != NULL && !t->definitions &&
                                           (str_eq(method, "PUT") || str_eq(method, "DELETE")));
    if (!known || (t->definitions && t->name != NULL))
        return FAIL_TAG(d, ERR_INVALID, "MethodNotAllowed", "Method %.20s is not allowed here.",
                        method);
    if (t->definitions) {
        list_roles(c);
        return OK;
    }
    if (c->req->body.len != 0 &&
        (json_read(c->req->body, &c->body, NULL) != OK || !json_is_object(c->body)))
        return BAD(d, "The request body is not a JSON object.");
    return t->name == NULL ? list_assignments(c, pool, t, d) : one_assignment(c, pool, t, d);
}

enum err kv_roles_handle(struct call *c, const json_t *pool, bool *done, struct diag *d)
{
    struct target t;
    *done = read_target(c, &t);
    return *done ? handle(c, pool, &t, d) : OK;
}

void kv_roles_routes(http_route_visit *visit, void *ctx)
{
    static const char *const paths[][2] = {
        {"GET", "providers/Microsoft.Authorization/roleDefinitions"},
        {"GET", "providers/Microsoft.Authorization/roleAssignments"},
        {"GET", "providers/Microsoft.Authorization/roleAssignments/*"},
        {"PUT", "providers/Microsoft.Authorization/roleAssignments/*"},
        {"DELETE", "providers/Microsoft.Authorization/roleAssignments/*"},
        {"PUT", "keys/providers/Microsoft.Authorization/roleAssignments/*"},
        {"PUT", "keys/*/providers/Microsoft.Authorization/roleAssignments/*"},
    };
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        visit(ctx, "pool", paths[i][0], paths[i][1]);
}
