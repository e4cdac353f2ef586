/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/arm_list.c - lists of vaults and pools page by page, deleted ones, and whether a name is
 * free */
#include "keyvault/arm.h"

#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadRequest", __VA_ARGS__)

/* --- lists --- */

#define TOP_MAX 1000

struct listing {
    const char *prefix; /* of the id */
    bool deleted, pools, more;
    uint64_t top;              /* items of a page */
    char last[VAULT_NAME_MAX]; /* row of the last one that is on it */
    json_t *items;
};

static json_t *shown_deleted(const json_t *vault)
{
    const json_t *deleted = json_get(vault, "deleted");
    char on[TIME_TEXT_MAX], purge[TIME_TEXT_MAX];
    time_format_iso(json_get_int(deleted, "on", 0) * US_PER_S, on);
    time_format_iso(json_get_int(deleted, "purge", 0) * US_PER_S, purge);
    const char *id = json_get_str(vault, "id"), *name = json_get_str(vault, "name"),
               *location = json_get_str(vault, "location");
    int subscription = (int)(strcspn(id + 15, "/") + 15); /* behind "/subscriptions/" */
    bool pool = kv_vault_is_pool(vault);
    CLEANUP_FREE char *path =
        str_fmt("%.*s/providers/Microsoft.KeyVault/locations/%s/%s/%s", subscription, id, location,
                pool ? "deletedManagedHSMs" : "deletedVaults", name);
    json_t *j = json_pack(
        "{s:s, s:s, s:s, s:{s:s, s:s, s:s, s:s}}", "id", path != NULL ? path : "", "name", name,
        "type", pool ? "Microsoft.KeyVault/deletedManagedHSMs" : "Microsoft.KeyVault/deletedVaults",
        "properties", pool ? "mhsmId" : "vaultId", id, "location", location, "deletionDate", on,
        "scheduledPurgeDate", purge);
    kv_copy_member(json_get(j, "properties"), vault, "tags");
    if (kv_vault_purge_protected(vault)) {
        json_object_set_new(json_get(j, "properties"), "purgeProtectionEnabled", json_true());
    }
    return j;
}

/* ERR_CANCELLED: the page is full; not a failure. */
static enum err list_one(void *ctx, const char *key, json_t *vault, struct diag *d)
{
    struct listing *l = ctx;
    (void)d;
    const char *id = json_get_str(vault, "id");
    if (kv_is_due(vault) || kv_vault_is_deleted(vault) != l->deleted ||
        kv_vault_is_pool(vault) != l->pools || !str_starts_nocase(id, l->prefix))
        return OK;
    if (json_array_size(l->items) == l->top) {
        l->more = true;
        return ERR_CANCELLED;
    }
    snprintf(l->last, sizeof l->last, "%s", key);
    json_array_append_new(l->items, l->deleted ? shown_deleted(vault) : vaults_shown(vault));
    return OK;
}

/* Where clients ask, which is the front door. */
static json_t *next_link(const struct call *c, const struct listing *l)
{
    CLEANUP_BUF struct buf token = {0};
    base64url_encode(&token, bytes_str(l->last));
    CLEANUP_FREE char *url =
        str_fmt("%s%s?api-version=%s&$top=%" PRIu64 "&$skiptoken=%s", c->kv->endpoint, c->req->path,
                http_query(c->req, "api-version"), l->top, buf_cstr(&token));
    return url != NULL ? json_string(url) : json_null();
}

/* A page as long as $top says; without it all there are. */
static enum err list(struct call *c, const struct arm_args *a, const char *prefix, bool deleted,
                     struct diag *d)
{
    char after[VAULT_NAME_MAX];
    const char *top = http_query(c->req, "$top");
    if (prefix == NULL) return kv_out_of_memory(d);
    struct listing l = {prefix, deleted, a->pool, .top = UINT64_MAX};
    if (top != NULL && (str_u64(top, TOP_MAX, &l.top, NULL) != OK || l.top == 0))
        return BAD(d, "Invalid value for $top: 1 to %d are allowed.", TOP_MAX);
    if (!kv_skip_read(c->req, after, sizeof after)) return BAD(d, "Invalid $skiptoken.");
    l.items = json_array();
    enum err e = kv_doc_each_after(c->kv, "vault", "", after, list_one, &l, d);
    CLEANUP_JSON json_t *j = json_pack("{s:o}", "value", l.items);
    if (e != OK && e != ERR_CANCELLED) return e;
    if (l.more) TRY(json_put(j, "nextLink", next_link(c, &l), d));
    kv_reply_json(c->res, 200, j);
    return OK;
}

enum err vaults_in_group(struct call *c, const struct arm_args *a, struct diag *d)
{
    char *scope = arena_fmt(c->req->a, "/subscriptions/%s/resourceGroups/%s", a->v[0], a->v[1]);
    TRY(kv_arm_may(c, vaults_action(c, a, "read"), scope, d));
    return list(c, a, arena_fmt(c->req->a, "%s/", scope), false, d);
}

enum err vaults_in_subscription(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(vaults_may_in_subscription(c, vaults_action(c, a, "read"), a, d));
    return list(c, a, arena_fmt(c->req->a, "/subscriptions/%s/", a->v[0]), false, d);
}

/* --- deleted vaults --- */

enum err vaults_deleted(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(vaults_may_in_subscription(c,
                                   a->pool ? "Microsoft.KeyVault/deletedManagedHSMs/read"
                                           : "Microsoft.KeyVault/deletedVaults/read",
                                   a, d));
    return list(c, a, arena_fmt(c->req->a, "/subscriptions/%s/", a->v[0]), true, d);
}

static const char *deleted_action(const struct call *c, const struct arm_args *a, const char *verb)
{
    return arena_fmt(c->req->a, "Microsoft.KeyVault/locations/%s/%s",
                     a->pool ? "deletedManagedHSMs" : "deletedVaults", verb);
}

/* "West Europe" is westeurope. */
static bool same_location(const char *ours, const char *asked)
{
    for (; *asked != 0; asked++) {
        if (*asked == ' ') continue;
        if (*ours == 0 || tolower((unsigned char)*asked) != *ours++) return false;
    }
    return *ours == 0;
}

static enum err find_deleted(const struct call *c, const struct arm_args *a, json_t **out,
                             struct diag *d)
{
    const char *prefix = arena_fmt(c->req->a, "/subscriptions/%s/", a->v[0]);
    if (prefix == NULL) return kv_out_of_memory(d);
    CLEANUP_JSON json_t *vault = NULL;
    TRY(kv_vault_find(c->kv, vaults_row(c, a), &vault, d));
    if (!kv_vault_is_deleted(vault) || !str_starts_nocase(json_get_str(vault, "id"), prefix) ||
        !same_location(json_get_str(vault, "location"), a->v[1])) {
        return FAIL_TAG(d, ERR_NOT_FOUND, "DeletedVaultNotFound",
                        "The specified deleted vault '%s' does not exist.", a->v[2]);
    }
    *out = TAKE(vault);
    return OK;
}

enum err vaults_get_deleted(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(vaults_may_in_subscription(c, deleted_action(c, a, "read"), a, d));
    CLEANUP_JSON json_t *vault = NULL;
    TRY(find_deleted(c, a, &vault, d));
    CLEANUP_JSON json_t *j = shown_deleted(vault);
    kv_reply_json(c->res, 200, j);
    return OK;
}

enum err vaults_purge(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(vaults_may_in_subscription(c, deleted_action(c, a, "purge/action"), a, d));
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(c->kv->store, &t, d));
    CLEANUP_JSON json_t *vault = NULL;
    TRY(find_deleted(c, a, &vault, d));
    if (kv_vault_purge_protected(vault)) {
        return BAD(d,
                   "Operation 'DeletedVaultPurge' is not allowed: vault '%s' has purge protection.",
                   a->v[2]);
    }
    TRY(kv_vault_remove(c->kv, vaults_row(c, a), d));
    TRY(kvstore_commit(&t, d));
    LOG(INFO, "vault.purged", F_STR("vault", a->v[2]), F_STR("by", c->who.object_id));
    c->res->status = 200;
    return OK;
}

/* What is wrong with the name, as "reason" and "message" say it; NULL: it is free. */
static json_t *objection(const char *name, const json_t *vault)
{
    if (!kv_vault_name_valid(name)) {
        return json_pack("{s:b, s:s, s:s}", "nameAvailable", 0, "reason", "AccountNameInvalid",
                         "message",
                         "The vault name is invalid. A vault's name must be between 3-24 "
                         "alphanumeric characters. The name must begin with a letter, end with a "
                         "letter or digit, and not contain consecutive hyphens.");
    }
    if (vault == NULL) return NULL;
    return json_pack("{s:b, s:s, s:s}", "nameAvailable", 0, "reason", "AlreadyExists", "message",
                     "The name is already in use.");
}

enum err vaults_check_name(struct call *c, const struct arm_args *a, struct diag *d)
{
    TRY(vaults_may_in_subscription(c, "Microsoft.KeyVault/checkNameAvailability/read", a, d));
    const char *name = json_get_str(c->body, "name"), *type = json_get_str(c->body, "type");
    if (name == NULL) return BAD(d, "The request has no name.");
    if (!a->pool && (type == NULL || !str_eq_nocase(type, "Microsoft.KeyVault/vaults")))
        return BAD(d, "An invalid value was provided for 'type': Microsoft.KeyVault/vaults.");
    CLEANUP_JSON json_t *vault = NULL;
    const char *row = a->pool ? arena_fmt(c->req->a, "%s.hsm", name) : name;
    if (row == NULL) return kv_out_of_memory(d);
    if (strchr(name, '.') == NULL) TRY(kv_vault_find(c->kv, row, &vault, d));
    CLEANUP_JSON json_t *j = objection(name, vault);
    if (j == NULL) j = json_pack("{s:b}", "nameAvailable", 1);
    kv_reply_json(c->res, 200, j);
    return OK;
}
