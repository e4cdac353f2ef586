/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/vaults.c - vaults as documents: what a PUT makes of them, deletion and recovery */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

#define RETENTION_DEFAULT 90 /* days */
#define RETENTION_MIN     7
#define DAY_S             86400
#define NAME_LEN_MAX      24

#define BAD(d, ...) FAIL_TAG((d), ERR_INVALID, "BadRequest", __VA_ARGS__)

static const json_t *props(const json_t *vault)
{
    return json_get(vault, "properties");
}

bool kv_vault_is_deleted(const json_t *vault)
{
    return json_get(vault, "deleted") != NULL;
}

bool kv_vault_purge_protected(const json_t *vault)
{
    return json_get_bool(props(vault), "enablePurgeProtection", false);
}

int64_t kv_vault_retention_days(const json_t *vault)
{
    return json_get_int(props(vault), "softDeleteRetentionInDays", RETENTION_DEFAULT);
}

const char *kv_vault_recovery_level(const json_t *vault)
{
    bool custom = kv_vault_retention_days(vault) != RETENTION_DEFAULT;
    if (kv_vault_purge_protected(vault)) return custom ? "CustomizedRecoverable" : "Recoverable";
    return custom ? "CustomizedRecoverable+Purgeable" : "Recoverable+Purgeable";
}

bool kv_vault_name_valid(const char *name)
{
    return kv_is_word(name, 3, NAME_LEN_MAX) && isalpha((unsigned char)name[0]) &&
           name[strlen(name) - 1] != '-' && strstr(name, "--") == NULL;
}

#define POOL_TYPE "Microsoft.KeyVault/managedHSMs"
#define POOL_TAIL ".hsm"

bool kv_vault_is_pool(const json_t *vault)
{
    return str_eq(json_get_str(vault, "type"), POOL_TYPE);
}

enum err kv_vault_row(const json_t *vault, char out[VAULT_NAME_MAX], struct diag *d)
{
    const char *name = json_get_str(vault, "name");
    int n = snprintf(out, VAULT_NAME_MAX, "%s%s", name != NULL ? name : "",
                     kv_vault_is_pool(vault) ? POOL_TAIL : "");
    if (name == NULL || n >= VAULT_NAME_MAX)
        return FAIL(d, ERR_CORRUPT, "a vault in the store has no name");
    str_lower(out);
    return OK;
}

/* Of a vault's name, or of the name of a pool's row. */
static bool lower_row(const char *name, char out[VAULT_NAME_MAX])
{
    size_t n = strlen(name);
    bool pool = str_ends_nocase(name, POOL_TAIL);
    if (n >= VAULT_NAME_MAX) return false;
    memcpy(out, name, n + 1);
    str_lower(out);
    if (pool) out[n - strlen(POOL_TAIL)] = 0;
    bool valid = kv_vault_name_valid(out);
    if (pool) out[n - strlen(POOL_TAIL)] = '.';
    return valid;
}

static enum err lower_name(const char *name, char out[VAULT_NAME_MAX], struct diag *d)
{
    if (!kv_vault_name_valid(name)) {
        return FAIL_TAG(
            d, ERR_INVALID, "VaultNameNotValid",
            "The vault name '%.100s' is invalid. A vault's name must be between 3-24 alphanumeric "
            "characters. The name must begin with a letter, end with a letter or digit, and not "
            "contain consecutive hyphens.",
            name);
    }
    memcpy(out, name, strlen(name) + 1);
    str_lower(out);
    return OK;
}

bool kv_is_due(const json_t *o)
{
    const json_t *deleted = json_get(o, "deleted");
    return deleted != NULL && now_s() >= json_get_int(deleted, "purge", INT64_MAX);
}

static enum err find(struct keyvault *kv, doc_reader *read, const char *name, json_t **out,
                     struct diag *d)
{
    char key[VAULT_NAME_MAX];
    *out = NULL;
    if (!lower_row(name, key)) return OK; /* no vault can have that name */
    CLEANUP_JSON json_t *vault = NULL;
    TRY(read(kv, "vault", key, &vault, d));
    if (!kv_is_due(vault)) *out = TAKE(vault);
    return OK;
}

enum err kv_vault_find(struct keyvault *kv, const char *name, json_t **out, struct diag *d)
{
    return find(kv, kv_doc_get, name, out, d);
}

enum err kv_vault_look(struct keyvault *kv, const char *name, json_t **out, struct diag *d)
{
    return find(kv, kv_doc_look, name, out, d);
}

enum err kv_vault_save(struct keyvault *kv, const json_t *vault, struct diag *d)
{
    char key[VAULT_NAME_MAX];
    TRY(kv_vault_row(vault, key, d));
    return kv_doc_put(kv, "vault", key, vault, d);
}

enum err kv_vault_delete(struct keyvault *kv, json_t *vault, struct diag *d)
{
    char row[VAULT_NAME_MAX];
    TRY(kv_vault_row(vault, row, d));
    LOG(INFO, "vault.deleted", F_STR("vault", row));
    int64_t now = now_s();
    TRY(json_put(vault, "deleted",
                 json_pack("{s:I, s:I}", "on", (json_int_t)now, "purge",
                           (json_int_t)(now + kv_vault_retention_days(vault) * DAY_S)),
                 d));
    return kv_vault_save(kv, vault, d);
}

enum err kv_vault_remove(struct keyvault *kv, const char *row, struct diag *d)
{
    CLEANUP_FREE char *key = str_dup(row);
    if (key == NULL) return kv_out_of_memory(d);
    str_lower(key);
    TRY(kv_keys_remove_all(kv, key, d));
    TRY(kv_roles_remove_all(kv, key, d));
    return kvstore_delete(kv->store, "vault", key, d);
}

/* --- what a PUT or PATCH makes of a vault --- */

/* A member of the body; null reads as absent. */
static json_t *given(const json_t *o, const char *name)
{
    json_t *v = json_get(o, name);
    return json_is_null(v) ? NULL : v;
}

static enum err set_bools(json_t *p, const json_t *in, struct diag *d)
{
    static const char *const names[] = {"enabledForDeployment", "enabledForDiskEncryption",
                                        "enabledForTemplateDeployment", "enableRbacAuthorization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *v = given(in, names[i]);
        if (v != NULL && !json_is_boolean(v)) {
            return BAD(d, "An invalid value was provided for '%s'.", names[i]);
        }
        if (v != NULL) {
            TRY(json_put(p, names[i], json_incref(v), d));
        } else if (json_get(p, names[i]) == NULL) {
            TRY(json_put(p, names[i], json_false(), d));
        }
    }
    return OK;
}

static enum err set_sku(json_t *p, const json_t *in, struct diag *d)
{
    const json_t *sku = given(in, "sku");
    if (sku == NULL && json_get(p, "sku") != NULL) return OK;
    const char *family = json_get_str(sku, "family"), *name = json_get_str(sku, "name");
    bool premium = name != NULL && str_eq_nocase(name, "premium");
    if (family == NULL || name == NULL) {
        return BAD(
            d,
            "An invalid value was provided for 'sku': family is A, name is standard or premium.");
    }
    if (!str_eq_nocase(family, "A") || !(premium || str_eq_nocase(name, "standard"))) {
        return FAIL_TAG(d, ERR_INVALID, "SkuNotSupported",
                        "The SKU '%.40s' of family '%.20s' is not supported: family is A, name is "
                        "standard or premium.",
                        name, family);
    }
    return json_put(
        p, "sku", json_pack("{s:s, s:s}", "family", "A", "name", premium ? "premium" : "standard"),
        d);
}

static enum err set_tenant(json_t *p, const json_t *in, struct diag *d)
{
    json_t *v = given(in, "tenantId");
    struct guid g;
    if (v == NULL && json_get(p, "tenantId") != NULL) return OK;
    if (!json_is_string(v) || guid_parse(json_string_value(v), &g, NULL) != OK) {
        return BAD(d, "An invalid value was provided for 'tenantId'.");
    }
    return json_put(p, "tenantId", json_incref(v), d);
}

static enum err set_policies(json_t *p, const json_t *in, struct diag *d)
{
    const json_t *v = given(in, "accessPolicies");
    if (v == NULL && json_get(p, "accessPolicies") != NULL) return OK;
    if (v == NULL && !json_get_bool(p, "enableRbacAuthorization", false)) {
        return BAD(d, "The parameter accessPolicies is not specified.");
    }
    if (v == NULL) return json_put(p, "accessPolicies", json_array(), d);
    TRY(kv_policy_validate(v, d));
    return json_put(p, "accessPolicies", json_deep_copy(v), d);
}

/* Always on: what was deleted by mistake or in anger comes back. */
static enum err set_soft_delete(json_t *p, const json_t *in, struct diag *d)
{
    json_t *soft = given(in, "enableSoftDelete"), *days = given(in, "softDeleteRetentionInDays");
    if (soft != NULL && !json_is_true(soft)) {
        return BAD(d,
                   "The property \"enableSoftDelete\" cannot be set to false. Enabling the 'soft "
                   "delete' functionality is an irreversible action.");
    }
    TRY(json_put(p, "enableSoftDelete", json_true(), d));

    int64_t old = json_get_int(p, "softDeleteRetentionInDays", 0);
    int64_t n = days == NULL ? (old != 0 ? old : RETENTION_DEFAULT) : json_integer_value(days);
    if (n < RETENTION_MIN || n > RETENTION_DEFAULT) {
        return BAD(d, "The property \"softDeleteRetentionInDays\" must be between %d and %d.",
                   RETENTION_MIN, RETENTION_DEFAULT);
    }
    if (old != 0 && n != old) {
        return BAD(
            d, "The property \"softDeleteRetentionInDays\" has been set already and it can't be "
               "modified.");
    }
    return json_put(p, "softDeleteRetentionInDays", json_integer(n), d);
}

static enum err set_purge_protection(json_t *p, const json_t *in, struct diag *d)
{
    json_t *v = given(in, "enablePurgeProtection");
    if (v == NULL) return OK;
    if (!json_is_true(v)) {
        return BAD(
            d, "The property \"enablePurgeProtection\" cannot be set to false. Enabling the purge "
               "protection for a vault is an irreversible action.");
    }
    return json_put(p, "enablePurgeProtection", json_true(), d);
}

/* --- pools --- */

/* The two names that Azure has for it. */
static enum err set_pool_sku(json_t *pool, const json_t *body, struct diag *d)
{
    const json_t *sku = given(body, "sku");
    if (sku == NULL && json_get(pool, "sku") != NULL) return OK;
    const char *family = json_get_str(sku, "family"), *name = json_get_str(sku, "name");
    bool known =
        name != NULL && (str_eq_nocase(name, "Standard_B1") || str_eq_nocase(name, "Custom_B32"));
    if (family == NULL || name == NULL) {
        return BAD(d,
                   "An invalid value was provided for 'sku': family is B, name is Standard_B1 or "
                   "Custom_B32.");
    }
    if (!str_eq_nocase(family, "B") || !known) {
        return FAIL_TAG(d, ERR_INVALID, "SkuNotSupported",
                        "The SKU '%.40s' of family '%.20s' is not supported: family is B, name is "
                        "Standard_B1 or Custom_B32.",
                        name, family);
    }
    return json_put(pool, "sku", json_deep_copy(sku), d);
}

#define ADMINS_MAX 20

static enum err set_admins(json_t *p, const json_t *in, struct diag *d)
{
    const json_t *v = given(in, "initialAdminObjectIds");
    if (v == NULL && json_get(p, "initialAdminObjectIds") != NULL) return OK;
    size_t i, n = json_array_size(v);
    json_t *id;
    bool good = json_is_array(v) && n != 0 && n <= ADMINS_MAX;
    json_array_foreach ((json_t *)v, i, id) {
        struct guid g;
        good = good && json_is_string(id) && guid_parse(json_string_value(id), &g, NULL) == OK;
    }
    if (!good) {
        return BAD(d,
                   "An invalid value was provided for 'initialAdminObjectIds': 1 to %d object ids.",
                   ADMINS_MAX);
    }
    return json_put(p, "initialAdminObjectIds", json_deep_copy(v), d);
}

static enum err apply_pool(json_t *pool, const json_t *body, struct diag *d)
{
    json_t *p = json_get(pool, "properties");
    const json_t *in = json_get(body, "properties");
    TRY(set_pool_sku(pool, body, d));
    TRY(set_tenant(p, in, d));
    TRY(set_admins(p, in, d));
    TRY(set_soft_delete(p, in, d));
    TRY(set_purge_protection(p, in, d));
    return kv_network_apply(p, in, d);
}

/* "recover" has been done by now where there was something to recover. */
static enum err check_mode(const json_t *in, struct diag *d)
{
    json_t *v = given(in, "createMode");
    const char *mode = json_string_value(v);
    if (v == NULL ||
        (mode != NULL && (str_eq_nocase(mode, "default") || str_eq_nocase(mode, "recover"))))
        return OK;
    return BAD(d, "An invalid value was provided for 'createMode': default or recover.");
}

static enum err apply_properties(json_t *p, const json_t *in, struct diag *d)
{
    TRY(check_mode(in, d));
    TRY(set_tenant(p, in, d));
    TRY(set_sku(p, in, d));
    TRY(set_bools(p, in, d));
    TRY(set_policies(p, in, d));
    TRY(set_soft_delete(p, in, d));
    TRY(set_purge_protection(p, in, d));
    return kv_network_apply(p, in, d);
}

/* "West Europe" and "westeurope" are one. */
static enum err plain_location(const char *s, char *out, size_t max, struct diag *d)
{
    size_t n = 0;
    for (; s != NULL && *s != 0; s++) {
        if (*s == ' ') continue;
        if (!isalnum((unsigned char)*s) || n + 1 == max)
            return BAD(d, "The location is not valid.");
        out[n++] = (char)tolower((unsigned char)*s);
    }
    out[n] = 0;
    if (n != 0) return OK;
    return FAIL_TAG(d, ERR_INVALID, "LocationRequired",
                    "The location property is required for this definition.");
}

static enum err apply_location(const struct vault_id *id, const json_t *body, json_t *vault,
                               bool patch, struct diag *d)
{
    const char *old = json_get_str(vault, "location"), *sent = json_get_str(body, "location");
    if (patch && sent == NULL) return OK;
    char location[64];
    TRY(plain_location(sent, location, sizeof location, d));
    if (old != NULL && !str_eq(old, location)) {
        return FAIL_TAG(
            d, ERR_CONFLICT, "InvalidResourceLocation",
            "The resource '%s' already exists in location '%s' in resource group '%s'. A resource "
            "with the same name cannot be created in location '%s'. Please select a new resource "
            "name.",
            id->name, old, id->group, location);
    }
    return json_put(vault, "location", json_string(location), d);
}

static enum err apply_tags(const json_t *body, json_t *vault, bool patch, struct diag *d)
{
    json_t *tags = given(body, "tags");
    if (tags == NULL && patch) return OK;
    const char *name;
    json_t *v;
    json_object_foreach (tags, name, v) {
        if (!json_is_string(v)) return BAD(d, "The value of tag '%.100s' is not a string.", name);
    }
    return json_put(vault, "tags", tags != NULL ? json_deep_copy(tags) : json_object(), d);
}

/* What stays when a PUT replaces a vault: all that can be set only once. */
static json_t *kept_properties(const json_t *old)
{
    static const char *const names[] = {"enableSoftDelete",      "softDeleteRetentionInDays",
                                        "enablePurgeProtection", "vaultUri",
                                        "provisioningState",     "hsmUri",
                                        "statusMessage",         "initialAdminObjectIds"};
    json_t *p = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_t *v = json_get(props(old), names[i]);
        if (v != NULL) json_object_set(p, names[i], v);
    }
    return p;
}

static enum err new_vault(struct keyvault *kv, const struct vault_id *id, json_t **out,
                          struct diag *d)
{
    char lower[VAULT_NAME_MAX];
    TRY(lower_name(id->name, lower, d));
    const char *type = id->pool ? POOL_TYPE : "Microsoft.KeyVault/vaults";
    CLEANUP_FREE char *path = str_fmt("/subscriptions/%s/resourceGroups/%s/providers/%s/%s",
                                      id->subscription, id->group, type, id->name);
    CLEANUP_FREE char *uri =
        str_fmt("https://%s.%s/", lower, id->pool ? kv->hsm_suffix : kv->suffix);
    if (path == NULL || uri == NULL) return kv_out_of_memory(d);
    *out = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "id", path, "name", id->name, "type", type,
                     "properties", id->pool ? "hsmUri" : "vaultUri", uri, "provisioningState",
                     "Succeeded");
    if (*out == NULL) return kv_out_of_memory(d);
    if (!id->pool) return OK;
    return json_put(json_get(*out, "properties"), "statusMessage",
                    json_string("The Managed HSM is provisioned and ready to use."), d);
}

enum err kv_vault_apply(struct keyvault *kv, const struct vault_id *id, const json_t *body,
                        const json_t *old, bool patch, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *vault = old != NULL ? json_deep_copy(old) : NULL;
    if (old == NULL) TRY(new_vault(kv, id, &vault, d));
    if (old != NULL && !patch) TRY(json_put(vault, "properties", kept_properties(old), d));
    TRY(apply_location(id, body, vault, patch, d));
    TRY(apply_tags(body, vault, patch, d));
    if (id->pool) {
        TRY(apply_pool(vault, body, d));
    } else {
        TRY(apply_properties(json_get(vault, "properties"), json_get(body, "properties"), d));
    }
    *out = TAKE(vault);
    return OK;
}
