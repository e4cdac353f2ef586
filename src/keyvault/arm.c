/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/arm.c - the control plane: ARM paths of Microsoft.KeyVault, passed on by the front door
 */
#include "keyvault/arm.h"

#include "base/log.h"
#include "base/str.h"

#define SEGMENTS_MAX 12

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadRequest", __VA_ARGS__)

static arm_endpoint put_vault, patch_vault, get_vault, delete_vault, change_policies;

#define PROVIDER "subscriptions/*/providers/Microsoft.KeyVault/"
#define IN_GROUP "subscriptions/*/resourceGroups/*/providers/Microsoft.KeyVault/"

static const struct arm_route {
    const char *method, *path;
    const char *operation; /* in the audit */
    arm_endpoint *run;
    bool pool;
} routes[] = {
    {"GET", IN_GROUP "vaults", "VaultList", vaults_in_group, false},
    {"GET", PROVIDER "vaults", "VaultList", vaults_in_subscription, false},
    {"PUT", IN_GROUP "vaults/*", "VaultPut", put_vault, false},
    {"PATCH", IN_GROUP "vaults/*", "VaultPatch", patch_vault, false},
    {"GET", IN_GROUP "vaults/*", "VaultGet", get_vault, false},
    {"DELETE", IN_GROUP "vaults/*", "VaultDelete", delete_vault, false},
    {"PUT", IN_GROUP "vaults/*/accessPolicies/*", "VaultAccessPolicyPut", change_policies, false},
    {"GET", PROVIDER "deletedVaults", "VaultListDeleted", vaults_deleted, false},
    {"GET", PROVIDER "locations/*/deletedVaults/*", "VaultGetDeleted", vaults_get_deleted, false},
    {"POST", PROVIDER "locations/*/deletedVaults/*/purge", "VaultPurge", vaults_purge, false},
    {"POST", PROVIDER "checkNameAvailability", "VaultCheckNameAvailability", vaults_check_name,
     false},
    {"GET", IN_GROUP "managedHSMs", "ManagedHsmList", vaults_in_group, true},
    {"GET", PROVIDER "managedHSMs", "ManagedHsmList", vaults_in_subscription, true},
    {"PUT", IN_GROUP "managedHSMs/*", "ManagedHsmPut", put_vault, true},
    {"PATCH", IN_GROUP "managedHSMs/*", "ManagedHsmPatch", patch_vault, true},
    {"GET", IN_GROUP "managedHSMs/*", "ManagedHsmGet", get_vault, true},
    {"DELETE", IN_GROUP "managedHSMs/*", "ManagedHsmDelete", delete_vault, true},
    {"GET", PROVIDER "deletedManagedHSMs", "ManagedHsmListDeleted", vaults_deleted, true},
    {"GET", PROVIDER "locations/*/deletedManagedHSMs/*", "ManagedHsmGetDeleted", vaults_get_deleted,
     true},
    {"POST", PROVIDER "locations/*/deletedManagedHSMs/*/purge", "ManagedHsmPurge", vaults_purge,
     true},
    {"POST", PROVIDER "checkMhsmNameAvailability", "ManagedHsmCheckNameAvailability",
     vaults_check_name, true},
};

void kv_arm_routes(http_route_visit *visit, void *ctx)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        visit(ctx, "vault-arm", routes[i].method, routes[i].path);
}

static enum err check_version(const struct http_request *req, struct diag *d)
{
    const char *v = http_query(req, "api-version");
    if (v == NULL || v[0] == 0) {
        return FAIL_TAG(
            d, ERR_INVALID, "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.");
    }
    if (strlen(v) >= 10 && strspn(v, "0123456789") == 4 && v[4] == '-' && v[7] == '-') return OK;
    return FAIL_TAG(
        d, ERR_INVALID, "InvalidApiVersionParameter",
        "The api-version '%.40s' is invalid. The supported versions are '2019-09-01,2022-07-01,"
        "2023-07-01,2024-11-01'.",
        v);
}

enum err kv_arm_handle_vaults(struct call *c, struct diag *d)
{
    const char *segments[SEGMENTS_MAX];
    size_t n = kv_split_path(c->req->a, c->req->path, segments, SEGMENTS_MAX);
    bool known = false;
    for (size_t i = 0; n <= SEGMENTS_MAX && i < sizeof routes / sizeof routes[0]; i++) {
        struct arm_args a = {0};
        if (!kv_path_matches(routes[i].path, segments, n, a.v)) continue;
        known = true;
        if (!str_eq(routes[i].method, c->req->method)) continue;
        a.pool = routes[i].pool;
        c->operation = routes[i].operation;
        c->reads = routes[i].run == vaults_check_name;
        c->vault_id = c->req->path;
        TRY(check_version(c->req, d));
        if (c->req->body.len != 0) {
            struct diag why = DIAG_INIT;
            if (json_read(c->req->body, &c->body, &why) != OK || !json_is_object(c->body)) {
                return FAIL_TAG(
                    d, ERR_INVALID, "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: '%s'.",
                    why.text);
            }
        }
        return routes[i].run(c, &a, d);
    }
    if (known) {
        return FAIL_TAG(d, ERR_INVALID, "MethodNotAllowed", "The method %s is not allowed here.",
                        c->req->method);
    }
    return FAIL_TAG(d, ERR_NOT_FOUND, "NotFound", "There is no resource of this type at '%.200s'.",
                    c->req->path);
}

/* --- who may --- */

enum err kv_arm_may(const struct call *c, const char *action, const char *scope, struct diag *d)
{
    if (scope == NULL) return kv_out_of_memory(d);
    struct diag why = DIAG_INIT;
    enum err e =
        c->kv->config.authorize(c->kv->config.ctx, c->who.object_id, action, false, scope, &why);
    if (e == OK) return OK;
    if (e != ERR_DENIED) return FAIL(d, e, "%s", why.text);
    return FAIL_TAG(
        d, ERR_DENIED, "AuthorizationFailed",
        "The client '%s' with object id '%s' does not have authorization to perform action '%s' "
        "over scope '%s' or the scope is invalid. If access was recently granted, please refresh "
        "your credentials.",
        c->who.app_id, c->who.object_id, action, scope);
}

enum err vaults_may_in_subscription(const struct call *c, const char *action,
                                    const struct arm_args *a, struct diag *d)
{
    return kv_arm_may(c, action, arena_fmt(c->req->a, "/subscriptions/%s", a->v[0]), d);
}

const char *vaults_type(const struct arm_args *a)
{
    return a->pool ? "managedHSMs" : "vaults";
}

/* "Microsoft.KeyVault/vaults/read", or a pool's. */
const char *vaults_action(const struct call *c, const struct arm_args *a, const char *verb)
{
    return arena_fmt(c->req->a, "Microsoft.KeyVault/%s/%s", vaults_type(a), verb);
}

static const char *vault_path(const struct call *c, const struct arm_args *a)
{
    return arena_fmt(c->req->a,
                     "/subscriptions/%s/resourceGroups/%s/providers/Microsoft.KeyVault/%s/%s",
                     a->v[0], a->v[1], vaults_type(a), a->v[2]);
}

/* The name of the row in the store; a name too long for any is none's. */
const char *vaults_row(const struct call *c, const struct arm_args *a)
{
    return a->pool ? arena_fmt(c->req->a, "%s.hsm", a->v[2]) : a->v[2];
}

/* --- finding and showing --- */

static bool is_at(const json_t *vault, const char *path)
{
    const char *id = json_get_str(vault, "id");
    return id != NULL && str_eq_nocase(id, path);
}

/* The live vault of exactly this path. */
static enum err find_at(const struct call *c, const struct arm_args *a, json_t **out,
                        struct diag *d)
{
    const char *path = vault_path(c, a);
    if (path == NULL) return kv_out_of_memory(d);
    CLEANUP_JSON json_t *vault = NULL;
    TRY(kv_vault_find(c->kv, vaults_row(c, a), &vault, d));
    if (vault == NULL || kv_vault_is_deleted(vault) || !is_at(vault, path)) {
        return FAIL_TAG(
            d, ERR_NOT_FOUND, "ResourceNotFound",
            "The Resource 'Microsoft.KeyVault/%s/%s' under resource group '%s' was not found. "
            "For more details please go to https://aka.ms/ARMResourceNotFoundFix",
            vaults_type(a), a->v[2], a->v[1]);
    }
    *out = TAKE(vault);
    return OK;
}

json_t *vaults_shown(const json_t *vault)
{
    static const char *const names[] = {"id",   "name",       "type", "location",
                                        "tags", "properties", "sku"};
    json_t *j = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        kv_copy_member(j, vault, names[i]);
    return j;
}

static void reply_vault(struct call *c, int status, const json_t *vault)
{
    CLEANUP_JSON json_t *j = vaults_shown(vault);
    kv_reply_json(c->res, status, j);
}

/* --- one vault --- */

static enum err get_vault(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(kv_arm_may(c, vaults_action(c, a, "read"), vault_path(c, a), d));
    CLEANUP_JSON json_t *vault = NULL;
    TRY(find_at(c, a, &vault, d));
    reply_vault(c, 200, vault);
    return OK;
}

static enum err name_taken(const struct arm_args *a, struct diag *d)
{
    return FAIL_TAG(
        d, ERR_CONFLICT, "VaultAlreadyExists",
        "The vault name '%s' is already in use. Vault names are globally unique so it is possible "
        "that the name is already taken. If you are sure that the vault name was not taken then it "
        "is possible that a vault with the same name was recently deleted but not purged after "
        "being placed in a recoverable state.",
        a->v[2]);
}

static bool wants_recovery(const struct call *c)
{
    const char *mode = json_get_str(json_get(c->body, "properties"), "createMode");
    return mode != NULL && str_eq_nocase(mode, "recover");
}

static enum err nothing_deleted(const struct arm_args *a, struct diag *d)
{
    return FAIL_TAG(d, ERR_NOT_FOUND, "DeletedVaultNotFound",
                    "There is no deleted vault '%s' to recover.", a->v[2]);
}

/* A soft-deleted vault under this name comes back only when that is asked for. */
static enum err recover_vault(struct call *c, const struct arm_args *a, json_t *vault, json_t **out,
                              struct diag *d)
{
    if (!is_at(vault, vault_path(c, a))) return name_taken(a, d);
    if (!wants_recovery(c)) {
        return FAIL_TAG(
            d, ERR_CONFLICT, "ConflictError",
            "A vault with the same name already exists in deleted state. You need to either "
            "recover or purge existing key vault.");
    }
    c->operation = "VaultRecover";
    json_object_del(vault, "deleted");
    *out = json_incref(vault);
    return OK;
}

static enum err next_vault(struct call *c, const struct arm_args *a, bool patch, json_t **out,
                           struct diag *d)
{
    struct vault_id id = {a->v[0], a->v[1], a->v[2], a->pool};
    CLEANUP_JSON json_t *old = NULL;
    if (patch) {
        TRY(find_at(c, a, &old, d));
    } else {
        TRY(kv_vault_find(c->kv, vaults_row(c, a), &old, d));
    }
    if (kv_vault_is_deleted(old)) return recover_vault(c, a, old, out, d);
    if (old == NULL && wants_recovery(c)) return nothing_deleted(a, d);
    if (old != NULL && !is_at(old, vault_path(c, a))) return name_taken(a, d);
    TRY(kv_vault_apply(c->kv, &id, c->body, old, patch, out, d));
    if (old == NULL)
        TRY(kv_vault_remove(c->kv, vaults_row(c, a), d)); /* what may be left of an earlier one */
    return OK;
}

static enum err change_vault(struct call *c, const struct arm_args *a, bool patch, struct diag *d)
{
    TRY(kv_arm_may(c, vaults_action(c, a, "write"), vault_path(c, a), d));
    if (c->body == NULL) return BAD(d, "The request has no body.");
    if (a->pool && c->kv->config.token == NULL) {
        return BAD(d, "There is no HSM: this service was started without --hsm-module.");
    }
    CLEANUP_JSON json_t *vault = NULL;
    {
        CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
        TRY(kvstore_begin(c->kv->store, &t, d));
        TRY(next_vault(c, a, patch, &vault, d));
        TRY(kv_vault_save(c->kv, vault, d));
        TRY(kvstore_commit(&t, d));
    }
    LOG(INFO, "vault.written", F_STR("vault", a->v[2]), F_STR("by", c->who.object_id));
    reply_vault(c, 200, vault);
    return OK;
}

static enum err put_vault(struct call *c, const struct arm_args *a, struct diag *d)
{
    return change_vault(c, a, false, d);
}

static enum err patch_vault(struct call *c, const struct arm_args *a, struct diag *d)
{
    return change_vault(c, a, true, d);
}

static enum err delete_vault(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(kv_arm_may(c, vaults_action(c, a, "delete"), vault_path(c, a), d));
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(c->kv->store, &t, d));
    CLEANUP_JSON json_t *vault = NULL;
    struct diag why = DIAG_INIT;
    enum err e = find_at(c, a, &vault, &why);
    if (e == ERR_NOT_FOUND) {
        c->res->status = 204;
        return OK;
    }
    if (e != OK) return FAIL(d, e, "%s", why.text);
    TRY(kv_vault_delete(c->kv, vault, d));
    TRY(kvstore_commit(&t, d));
    kv_tidy_at(c->kv->tidy, json_get_int(json_get(vault, "deleted"), "purge", INT64_MAX));
    c->res->status = 200;
    return OK;
}

static enum err change_policies(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(kv_arm_may(c, "Microsoft.KeyVault/vaults/accessPolicies/write", vault_path(c, a), d));
    CLEANUP_JSON json_t *vault = NULL, *policies = NULL;
    {
        CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
        TRY(kvstore_begin(c->kv->store, &t, d));
        TRY(find_at(c, a, &vault, d));
        json_t *p = json_get(vault, "properties");
        TRY(kv_policy_change(json_get(p, "accessPolicies"), a->v[3],
                             json_at(c->body, "properties", "accessPolicies", NULL), &policies, d));
        TRY(json_put(p, "accessPolicies", json_incref(policies), d));
        TRY(kv_vault_save(c->kv, vault, d));
        TRY(kvstore_commit(&t, d));
    }
    LOG(INFO, "vault.policies_changed", F_STR("vault", a->v[2]), F_STR("verb", a->v[3]),
        F_STR("by", c->who.object_id));
    CLEANUP_JSON json_t *j =
        json_pack("{s:s, s:s, s:O, s:{s:O}}", "id",
                  arena_fmt(c->req->a, "%s/accessPolicies/", json_get_str(vault, "id")), "type",
                  "Microsoft.KeyVault/vaults/accessPolicies", "location",
                  json_get(vault, "location"), "properties", "accessPolicies", policies);
    kv_reply_json(c->res, 200, j);
    return OK;
}
