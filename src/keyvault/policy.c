/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/policy.c - who may do what with keys: access policies, or role assignments */
#include "keyvault/service.h"

#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* --- who is asked for --- */

void kv_holder_release(struct holder *h)
{
    free(h->groups);
    *h = (struct holder){0};
}

enum err kv_holder_read(const struct call *c, struct holder *out, struct diag *d)
{
    const struct keyvault_config *k = &c->kv->config;
    struct diag why = DIAG_INIT;
    struct holder h = {.who = &c->who, .stands = true};
    enum err e =
        k->groups != NULL ? k->groups(k->ctx, c->who.object_id, &h.groups, &h.n_groups, &why) : OK;
    if (e != OK && e != ERR_DENIED) return FAIL(d, e, "%s", why.text);
    h.stands = e == OK;
    *out = h;
    return OK;
}

bool kv_is_holder(const struct holder *h, const char *object_id)
{
    if (!h->stands) return false;
    if (str_eq_nocase(object_id, h->who->object_id)) return true;
    for (size_t i = 0; i < h->n_groups; i++) {
        if (str_eq_nocase(object_id, h->groups[i])) return true;
    }
    return false;
}

/* --- access policies --- */

static bool policy_grants(const json_t *policy, const struct holder *h, const char *permission)
{
    const struct caller *who = h->who;
    const char *oid = json_get_str(policy, "objectId");
    if (oid == NULL || !kv_is_holder(h, oid)) return false;
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
    CLEANUP_HOLDER struct holder h = {0};
    TRY(kv_holder_read(c, &h, d));
    size_t i;
    json_t *policy;
    json_array_foreach (json_at(vault, "properties", "accessPolicies", NULL), i, policy) {
        if (policy_grants(policy, &h, permissions[p].name)) return OK;
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

/* Kinds of objects that this vault does not have: az grants on them in one go with keys. */
static const struct {
    const char *kind, *names;
} other_permissions[] = {
    {"secrets", " all get list set delete backup restore recover purge "},
    {"certificates", " all get list delete create import update managecontacts getissuers "
                     "listissuers setissuers deleteissuers manageissuers recover purge backup "
                     "restore "},
    {"storage", " all get list delete set update regeneratekey recover purge backup restore setsas "
                "listsas getsas deletesas "},
};

static bool is_known(const char *kind, const char *name)
{
    char word[32];
    if (str_eq_nocase(kind, "keys")) return is_permission(name);
    if ((size_t)snprintf(word, sizeof word, " %s ", name) >= sizeof word ||
        strchr(name, ' ') != NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof other_permissions / sizeof other_permissions[0]; i++) {
        if (str_eq_nocase(kind, other_permissions[i].kind))
            return strcasestr(other_permissions[i].names, word) != NULL;
    }
    return false;
}

static enum err validate_kind(const char *kind, json_t *list, struct diag *d)
{
    size_t i;
    json_t *v;
    if (!json_is_array(list) && !json_is_null(list)) {
        return FAIL_TAG(
            d, ERR_INVALID, "BadRequest",
            "An invalid value was provided for 'accessPolicies': permissions must be an object "
            "of lists.");
    }
    json_array_foreach (list, i, v) {
        const char *name = json_string_value(v);
        if (name == NULL || !is_known(kind, name)) {
            return FAIL_TAG(d, ERR_INVALID, "BadRequest",
                            "An invalid value was provided for 'permissions.%.20s': '%.100s'.",
                            kind, name != NULL ? name : "(not a string)");
        }
    }
    return OK;
}

static bool is_guid(const char *text)
{
    struct guid g;
    return text != NULL && guid_parse(text, &g, NULL) == OK;
}

static enum err validate_one(const json_t *policy, struct diag *d)
{
    const char *application = json_get_str(policy, "applicationId");
    json_t *kinds = json_get(policy, "permissions"), *list;
    if (!is_guid(json_get_str(policy, "objectId")) || !is_guid(json_get_str(policy, "tenantId")) ||
        (application != NULL && application[0] != 0 && !is_guid(application))) {
        return FAIL_TAG(
            d, ERR_INVALID, "BadRequest",
            "An invalid value was provided for 'accessPolicies': objectId, tenantId and "
            "applicationId must be GUIDs.");
    }
    if (!json_is_object(kinds)) {
        return FAIL_TAG(d, ERR_INVALID, "BadRequest",
                        "An invalid value was provided for 'accessPolicies': permissions must be "
                        "an object of lists.");
    }
    const char *kind;
    json_object_foreach (kinds, kind, list)
        TRY(validate_kind(kind, list, d));
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
