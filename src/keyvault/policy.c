/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/policy.c - who may do what with keys: access policies, or role assignments */
#include "keyvault/service.h"

#include "base/str.h"

#define POLICIES_MAX 1024

static const struct {
    const char *name;   /* in access policies */
    const char *action; /* behind "Microsoft.KeyVault/vaults/" */
} permissions[PERMISSIONS] = {
    [PERM_GET] = {"get", "keys/read"},
    [PERM_LIST] = {"list", "keys/read"},
    [PERM_CREATE] = {"create", "keys/create/action"},
    [PERM_UPDATE] = {"update", "keys/update/action"},
    [PERM_ROTATE] = {"rotate", "keys/rotate/action"},
    [PERM_DELETE] = {"delete", "keys/delete"},
    [PERM_RECOVER] = {"recover", "keys/recover/action"},
    [PERM_PURGE] = {"purge", "keys/purge/action"},
    [PERM_WRAP] = {"wrapKey", "keys/wrap/action"},
    [PERM_UNWRAP] = {"unwrapKey", "keys/unwrap/action"},
    [PERM_ENCRYPT] = {"encrypt", "keys/encrypt/action"},
    [PERM_DECRYPT] = {"decrypt", "keys/decrypt/action"},
    [PERM_SIGN] = {"sign", "keys/sign/action"},
    [PERM_VERIFY] = {"verify", "keys/verify/action"},
    [PERM_IMPORT] = {"import", "keys/import/action"},
    [PERM_BACKUP] = {"backup", "keys/backup/action"},
    [PERM_RESTORE] = {"restore", "keys/restore/action"},
    [PERM_RELEASE] = {"release", "keys/release/action"},
    [PERM_GET_ROTATION] = {"getrotationpolicy", "keyrotationpolicies/read"},
    [PERM_NONE] = {"", ""},
    [PERM_SET_ROTATION] = {"setrotationpolicy", "keyrotationpolicies/write"},
};

const char *kv_permission_action(enum permission p)
{
    return permissions[p].action;
}

/* Is this a permission on keys that a policy may name? */
static bool is_permission(const char *name)
{
    if (str_eq_nocase(name, "all")) return true;
    for (int i = 0; i < PERM_NONE; i++) {
        if (str_eq_nocase(name, permissions[i].name)) return true;
    }
    return false;
}

static bool has_name(const json_t *list, const char *want)
{
    size_t i;
    json_t *v;
    json_array_foreach ((json_t *)list, i, v) {
        if (json_is_string(v) && str_eq_nocase(json_string_value(v), want)) return true;
    }
    return false;
}

static bool same_or_absent(const json_t *o, const char *name, const char *value)
{
    const char *s = json_get_str(o, name);
    return s == NULL || s[0] == 0 || str_eq_nocase(s, value);
}

static bool policy_grants(const json_t *policy, const struct caller *who, const char *permission)
{
    const char *oid = json_get_str(policy, "objectId");
    if (oid == NULL || !str_eq_nocase(oid, who->object_id)) return false;
    if (!same_or_absent(policy, "tenantId", who->tenant_id)) return false;
    if (!same_or_absent(policy, "applicationId", who->app_id)) return false;
    const json_t *keys = json_at(policy, "permissions", "keys", NULL);
    return has_name(keys, permission) || has_name(keys, "all");
}

static bool uses_roles(const json_t *vault)
{
    return json_get_bool(json_get(vault, "properties"), "enableRbacAuthorization", false);
}

static enum err refuse_by_policies(const struct call *c, const json_t *vault, enum permission p,
                                   struct diag *d)
{
    return FAIL_TAG(
        d, ERR_DENIED, "AccessDenied",
        "The user, group or application 'appid=%s;oid=%s;iss=%s' does not have keys %s "
        "permission on key vault '%s;location=%s'. For help resolving this issue, please see "
        "https://go.microsoft.com/fwlink/?linkid=2125287",
        c->who.app_id, c->who.object_id, c->who.issuer, permissions[p].name,
        json_get_str(vault, "name"), json_get_str(vault, "location"));
}

static enum err check_policies(const struct call *c, const json_t *vault, enum permission p,
                               struct diag *d)
{
    size_t i;
    json_t *policy;
    json_array_foreach (json_at(vault, "properties", "accessPolicies", NULL), i, policy) {
        if (policy_grants(policy, &c->who, permissions[p].name)) return OK;
    }
    return refuse_by_policies(c, vault, p, d);
}

/* What is asked of role assignments; arena of the request. */
struct role_question {
    const char *action, *scope;
};

static enum err role_question(const struct call *c, const json_t *vault, const char *key,
                              enum permission p, struct role_question *out, struct diag *d)
{
    const char *id = json_get_str(vault, "id");
    struct arena *a = c->req->a;
    struct role_question q = {
        .action = arena_fmt(a, "Microsoft.KeyVault/vaults/%s", permissions[p].action),
        .scope = key != NULL ? arena_fmt(a, "%s/keys/%s", id, key) : id};
    if (q.action == NULL || q.scope == NULL) return kv_out_of_memory(d);
    *out = q;
    return OK;
}

static enum err refuse_by_roles(const struct call *c, const json_t *vault,
                                const struct role_question *q, struct diag *d)
{
    return FAIL_TAG(
        d, ERR_DENIED, "ForbiddenByRbac",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny "
        "assignments or role definitions were changed recently, please observe propagation "
        "time.\r\nCaller: appid=%s;oid=%s;iss=%s\r\nAction: '%s'\r\nResource: '%s'\r\n"
        "Assignment: (not found)\r\nDenyAssignmentId: null\r\nDecisionReason: "
        "'DeniedWithNoValidRBAC' \r\nVault: %s;location=%s\r\n",
        c->who.app_id, c->who.object_id, c->who.issuer, q->action, q->scope,
        json_get_str(vault, "name"), json_get_str(vault, "location"));
}

static enum err check_roles(const struct call *c, const json_t *vault, const char *key,
                            enum permission p, struct diag *d)
{
    struct role_question q;
    TRY(role_question(c, vault, key, p, &q, d));
    struct diag why = DIAG_INIT;
    enum err e =
        c->kv->config.authorize(c->kv->config.ctx, c->who.object_id, q.action, true, q.scope, &why);
    if (e == OK) return OK;
    if (e != ERR_DENIED) return FAIL(d, e, "%s", why.text);
    return refuse_by_roles(c, vault, &q, d);
}

enum err kv_policy_check(const struct call *c, const json_t *vault, const char *key,
                         enum permission p, struct diag *d)
{
    if (p == PERM_NONE) return OK;
    if (kv_vault_is_pool(vault)) return kv_roles_check(c, vault, key, p, d);
    return uses_roles(vault) ? check_roles(c, vault, key, p, d) : check_policies(c, vault, p, d);
}

enum err kv_policy_refuse(const struct call *c, const json_t *vault, const char *key,
                          enum permission p, struct diag *d)
{
    if (kv_vault_is_pool(vault)) return kv_roles_refuse(c, vault, key, kv_permission_action(p), d);
    if (!uses_roles(vault)) return refuse_by_policies(c, vault, p, d);
    struct role_question q;
    TRY(role_question(c, vault, key, p, &q, d));
    return refuse_by_roles(c, vault, &q, d);
}

/* --- lists of policies --- */

static enum err validate_one(const json_t *policy, struct diag *d)
{
    struct guid g;
    const char *oid = json_get_str(policy, "objectId"), *tid = json_get_str(policy, "tenantId");
    if (oid == NULL || guid_parse(oid, &g, NULL) != OK || tid == NULL ||
        guid_parse(tid, &g, NULL) != OK) {
        return FAIL_TAG(
            d, ERR_INVALID, "BadRequest",
            "An invalid value was provided for 'accessPolicies': objectId and tenantId must be "
            "GUIDs.");
    }
    const json_t *list = json_get(json_get(policy, "permissions"), "keys");
    if (!json_is_object(json_get(policy, "permissions")) ||
        (list != NULL && !json_is_array(list) && !json_is_null(list))) {
        return FAIL_TAG(
            d, ERR_INVALID, "BadRequest",
            "An invalid value was provided for 'accessPolicies': permissions must be an object "
            "of lists.");
    }
    size_t i;
    json_t *v;
    json_array_foreach ((json_t *)list, i, v) {
        const char *name = json_string_value(v);
        if (name == NULL || !is_permission(name)) {
            return FAIL_TAG(d, ERR_INVALID, "BadRequest",
                            "An invalid value was provided for 'permissions.keys': '%.100s'.",
                            name != NULL ? name : "(not a string)");
        }
    }
    return OK;
}

enum err kv_policy_validate(const json_t *policies, struct diag *d)
{
    if (!json_is_array(policies) || json_array_size(policies) > POLICIES_MAX) {
        return FAIL_TAG(d, ERR_INVALID, "BadRequest",
                        "'accessPolicies' must be a list of at most %d.", POLICIES_MAX);
    }
    size_t i;
    json_t *policy;
    json_array_foreach ((json_t *)policies, i, policy)
        TRY(validate_one(policy, d));
    return OK;
}

static bool same_holder(const json_t *a, const json_t *b)
{
    static const char *const names[] = {"objectId", "applicationId"};
    for (int i = 0; i < 2; i++) {
        const char *x = json_get_str(a, names[i]), *y = json_get_str(b, names[i]);
        if (!str_eq_nocase(x != NULL ? x : "", y != NULL ? y : "")) return false;
    }
    return true;
}

static json_t *find_holder(json_t *list, const json_t *policy, size_t *at)
{
    size_t i;
    json_t *v;
    json_array_foreach (list, i, v) {
        if (!same_holder(v, policy)) continue;
        *at = i;
        return v;
    }
    return NULL;
}

/* Adds the permissions of b to those of a, kind by kind (keys, secrets, ...). */
static void add_permissions(json_t *a, const json_t *b)
{
    const char *kind;
    json_t *more;
    json_object_foreach ((json_t *)json_get(b, "permissions"), kind, more) {
        json_t *have = json_get(json_get(a, "permissions"), kind);
        if (!json_is_array(have)) {
            json_object_set_new(json_get(a, "permissions"), kind, json_deep_copy(more));
            continue;
        }
        size_t i;
        json_t *v;
        json_array_foreach (more, i, v) {
            if (!has_name(have, json_string_value(v))) json_array_append(have, v);
        }
    }
}

/* Takes the permissions of b away from a; true when a has none left. */
static bool remove_permissions(json_t *a, const json_t *b)
{
    const char *kind;
    json_t *have;
    size_t left = 0;
    json_object_foreach (json_get(a, "permissions"), kind, have) {
        const json_t *less = json_get(json_get(b, "permissions"), kind);
        for (size_t i = json_array_size(have); i-- > 0;) {
            if (has_name(less, json_string_value(json_array_get(have, i))))
                json_array_remove(have, i);
        }
        left += json_array_size(have);
    }
    return left == 0;
}

enum err kv_policy_change(const json_t *old, const char *verb, const json_t *change, json_t **out,
                          struct diag *d)
{
    bool add = str_eq_nocase(verb, "add"), remove = str_eq_nocase(verb, "remove");
    if (!add && !remove && !str_eq_nocase(verb, "replace")) {
        return FAIL_TAG(d, ERR_INVALID, "BadRequest", "'%.50s' is not one of add, replace, remove.",
                        verb);
    }
    TRY(kv_policy_validate(change, d));
    CLEANUP_JSON json_t *list = json_is_array(old) ? json_deep_copy(old) : json_array();
    size_t i, at = 0;
    json_t *policy;
    json_array_foreach ((json_t *)change, i, policy) {
        json_t *mine = list != NULL ? find_holder(list, policy, &at) : NULL;
        if (mine == NULL) {
            if (!remove) json_array_append_new(list, json_deep_copy(policy));
        } else if (add) {
            add_permissions(mine, policy);
        } else if (!remove) {
            json_array_set_new(list, at, json_deep_copy(policy));
        } else if (remove_permissions(mine, policy)) {
            json_array_remove(list, at);
        }
    }
    if (list == NULL) return kv_out_of_memory(d);
    if (json_array_size(list) > POLICIES_MAX) {
        return FAIL_TAG(d, ERR_INVALID, "BadRequest", "A vault has at most %d access policies.",
                        POLICIES_MAX);
    }
    *out = json_incref(list);
    return OK;
}
