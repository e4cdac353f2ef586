/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/keyvault.c - opening the service, the platform's vault, and who gets in by which door */
#include "keyvault/service.h"

#include "keyvault/trust.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "net/jwt.h"

#include <stdio.h>
#include <stdlib.h>

#define AUDIT_FILE_MAX ((size_t)16 << 20) /* bytes */
#define REQUESTS_MAX   4000               /* per vault and 10 s */
#define CLAIM_MAX      256                /* bytes of one that is shown */

/* No subscription that anybody has a role in: ARM never shows or changes the platform's vault. */
#define PLATFORM_ID                                                                          \
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/keystead/providers/" \
    "Microsoft.KeyVault/vaults/" KEYVAULT_PLATFORM

/* --- life --- */

static bool copy_config(struct keyvault *kv, const struct keyvault_config *c)
{
    kv->config = *c;
    kv->suffix = str_dup(c->suffix);
    kv->suffix_host = str_dup(c->suffix);
    kv->endpoint = str_dup(c->endpoint);
    kv->tenant_id = str_dup(c->tenant_id);
    kv->resource = str_fmt("https://%s", c->suffix);
    kv->hsm_suffix = str_dup(c->hsm_suffix != NULL ? c->hsm_suffix : "");
    kv->hsm_suffix_host = str_dup(c->hsm_suffix != NULL ? c->hsm_suffix : "");
    kv->hsm_resource = str_fmt("https://%s", c->hsm_suffix != NULL ? c->hsm_suffix : "");
    if (kv->hsm_suffix == NULL || kv->hsm_suffix_host == NULL || kv->hsm_resource == NULL ||
        kv->suffix == NULL || kv->suffix_host == NULL || kv->endpoint == NULL ||
        kv->tenant_id == NULL || kv->resource == NULL) {
        return false;
    }
    kv->suffix_host[strcspn(kv->suffix_host, ":")] = 0;
    kv->hsm_suffix_host[strcspn(kv->hsm_suffix_host, ":")] = 0;
    return true;
}

static enum err open_store(struct keyvault *kv, const struct keyvault_config *c, struct diag *d)
{
    CLEANUP_FREE char *db = os_path(c->dir, "vault.db"), *key = os_path(c->dir, "root.key"),
                      *sealed = os_path(c->dir, "root.sealed");
    if (db == NULL || key == NULL || sealed == NULL) return kv_out_of_memory(d);
    const struct trust trust = {
        .kind = c->trust, .path = sealed, .passphrase_file = c->passphrase_file, .token = c->token};
    return trust_open_store(&trust, db, key, &kv->store, d);
}

enum err keyvault_rekey(const struct keyvault_config *from, const struct keyvault_config *to,
                        struct diag *d)
{
    CLEANUP_FREE char *db = os_path(from->dir, "vault.db"),
                      *sealed = os_path(from->dir, "root.sealed");
    if (db == NULL || sealed == NULL) return kv_out_of_memory(d);
    const struct trust old = {from->trust, sealed, from->passphrase_file, from->token},
                       fresh = {to->trust, sealed, to->passphrase_file, to->token};
    return trust_change(&old, &fresh, db, d);
}

enum err keyvault_open(struct keyvault **out, const struct keyvault_config *c, struct diag *d)
{
    CLEANUP(keyvault_close) struct keyvault *kv = calloc(1, sizeof *kv);
    if (kv == NULL || !copy_config(kv, c)) return kv_out_of_memory(d);
    TRY(os_mkdir(c->dir, d));
    TRY(open_store(kv, c, d));
    CLEANUP_FREE char *audit = os_path(c->dir, "audit");
    if (audit == NULL) return kv_out_of_memory(d);
    TRY(audit_log_open(&kv->audit, audit,
                       c->audit_file_max != 0 ? c->audit_file_max : AUDIT_FILE_MAX, d));
    TRY(kv_throttle_new(&kv->throttle,
                        c->requests_per_10s != 0 ? c->requests_per_10s : REQUESTS_MAX, d));
    TRY(kv_loaded_new(&kv->loaded, d));
    TRY(kv_doc_cache_new(&kv->docs, d));
    bool left;
    TRY(kv_hsm_sweep(kv, true, &left, d));
    if (c->faults) TRY(kv_faults_new(&kv->faults, d));
    TRY(kv_tidy_start(&kv->tidy, kv, d));
    *out = TAKE(kv);
    return OK;
}

void keyvault_close(struct keyvault *kv)
{
    if (kv == NULL) return;
    kv_tidy_stop(kv->tidy);
    audit_log_close(kv->audit);
    kv_loaded_free(kv->loaded);
    kv_throttle_free(kv->throttle);
    kv_doc_cache_free(kv->docs);
    kv_faults_free(kv->faults);
    kvstore_close(kv->store);
    free(kv->suffix);
    free(kv->suffix_host);
    free(kv->hsm_suffix);
    free(kv->hsm_suffix_host);
    free(kv->hsm_resource);
    free(kv->endpoint);
    free(kv->tenant_id);
    free(kv->resource);
    free(kv);
}

void keyvault_quit(struct keyvault *kv)
{
    if (kv->faults != NULL) kv_faults_quit(kv->faults);
}

/* --- the platform's vault --- */

static enum err platform_vault(struct keyvault *kv, const char *object_id, json_t **out,
                               struct diag *d)
{
    CLEANUP_FREE char *uri = str_fmt("https://" KEYVAULT_PLATFORM ".%s/", kv->suffix);
    if (uri == NULL) return kv_out_of_memory(d);
    json_t *policies =
        json_pack("[{s:s, s:s, s:{s:[s,s,s]}}]", "tenantId", kv->tenant_id, "objectId", object_id,
                  "permissions", "keys", "get", "wrapKey", "unwrapKey");
    *out = json_pack("{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:o, s:b, s:i, s:b, s:b, s:{s:s}}}", "id",
                     PLATFORM_ID, "name", KEYVAULT_PLATFORM, "type", "Microsoft.KeyVault/vaults",
                     "location", "local", "properties", "tenantId", kv->tenant_id, "vaultUri", uri,
                     "accessPolicies", policies, "enableSoftDelete", 1, "softDeleteRetentionInDays",
                     90, "enablePurgeProtection", 1, "enableRbacAuthorization", 0, "sku", "name",
                     "premium");
    return *out != NULL ? OK : kv_out_of_memory(d);
}

enum err keyvault_ensure_platform(struct keyvault *kv, const char *object_id, struct diag *d)
{
    CLEANUP_JSON json_t *vault = NULL;
    TRY(platform_vault(kv, object_id, &vault, d));
    TRY(kv_vault_save(kv, vault, d));

    struct key_ref r = {
        .vault = vault, .vault_name = KEYVAULT_PLATFORM, .name = KEYVAULT_PMK, .version = ""};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    struct diag why = DIAG_INIT;
    enum err e = kv_key_find(kv, &r, &v, &why);
    if (e == OK) return OK;
    if (e != ERR_NOT_FOUND) return FAIL(d, e, "%s", why.text);
    CLEANUP_JSON json_t *body = json_pack(
        "{s:s, s:i}", "kty", kv->config.token != NULL ? "oct-HSM" : "oct", "key_size", 256);
    if (body == NULL) return kv_out_of_memory(d);
    return kv_key_create(kv, &r, body, &v, d);
}

/* --- doors --- */

/* NAME of a host NAME.SUFFIX; NULL for other hosts. */
static const char *name_under(const struct http_request *req, const char *suffix)
{
    size_t n = strlen(req->host), tail = strlen(suffix);
    if (tail == 0 || n <= tail + 1 || req->host[n - tail - 1] != '.') return NULL;
    if (!str_eq_nocase(req->host + n - tail, suffix)) return NULL;
    return arena_str(req->a, bytes_of(req->host, n - tail - 1));
}

static const char *resource_of(const struct call *c)
{
    return c->pool ? c->kv->hsm_resource : c->kv->resource;
}

static enum err challenge(struct call *c, const char *message, struct diag *d)
{
    http_setf(c->res, "WWW-Authenticate", "Bearer authorization=\"%s/%s\", resource=\"%s\"",
              c->kv->endpoint, c->kv->tenant_id, resource_of(c));
    return FAIL_TAG(d, ERR_DENIED, "Unauthorized", "%s", message);
}

/* A claim of a token that was refused for it alone: its signature was good. NULL: it is nothing to
 * be shown. */
static const char *shown_claim(const struct call *c, const char *token, const char *name)
{
    CLEANUP_JSON json_t *claims = NULL;
    if (jwt_peek(token, &claims, NULL) != OK) return NULL;
    const json_t *v = json_object_get(claims, name);
    if (json_is_array(v)) v = json_array_get(v, 0);
    const char *text = json_string_value(v);
    size_t n = 0;
    while (text != NULL && n < CLAIM_MAX && text[n] > 0x20 && text[n] < 0x7f)
        n++;
    return n != 0 && text[n] == 0 ? arena_str(c->req->a, bytes_of(text, n)) : NULL;
}

static enum err refuse_token(struct call *c, const char *token, const char *tag, struct diag *d)
{
    struct arena *a = c->req->a;
    const struct keyvault *kv = c->kv;
    if (str_eq(tag, "Audience")) {
        const char *aud = shown_claim(c, token, "aud");
        return challenge(c,
                         arena_fmt(a, "AKV10022: Invalid audience. Expected %s, found: %s.",
                                   resource_of(c), aud != NULL ? aud : "another"),
                         d);
    }
    if (str_eq(tag, "Issuer")) {
        const char *iss = shown_claim(c, token, "iss");
        return challenge(c,
                         arena_fmt(a,
                                   "AKV10032: Invalid issuer. Expected one of %s/%s/, %s/%s/v2.0, "
                                   "found %s.",
                                   kv->endpoint, kv->tenant_id, kv->endpoint, kv->tenant_id,
                                   iss != NULL ? iss : "another"),
                         d);
    }
    return challenge(c, "Error validating token: IDX10223", d);
}

/* Before anything else is looked at: clients send their first request without token and body. */
static enum err authenticate_data(struct call *c, struct diag *d)
{
    const char *audiences[] = {c->pool ? "https://managedhsm.azure.net" : "https://vault.azure.net",
                               resource_of(c), NULL};
    const char *token = http_bearer(c->req);
    if (token == NULL)
        return challenge(c, "AKV10000: Request is missing a Bearer or PoP token.", d);
    struct diag why = DIAG_INIT;
    enum err e = c->kv->config.verify(c->kv->config.ctx, token, audiences, &c->who, &why);
    if (e == OK) return OK;
    if (e != ERR_DENIED) return FAIL(d, e, "%s", why.text);
    return refuse_token(c, token, why.tag, d);
}

static enum err serve_data(struct call *c, const char *name, struct diag *d)
{
    CLEANUP_JSON json_t *vault = NULL;
    const char *row = c->pool ? arena_fmt(c->req->a, "%s.hsm", name) : name;
    if (row == NULL) return kv_out_of_memory(d);
    /* The row of a pool is not to be reached by a vault's host. */
    if (strchr(name, '.') == NULL) TRY(kv_vault_look(c->kv, row, &vault, d));
    if (vault == NULL || kv_vault_is_deleted(vault)) {
        return FAIL_TAG(d, ERR_NOT_FOUND, "VaultNotFound", "The vault %s was not found.", name);
    }
    c->vault_id = arena_str(c->req->a, bytes_str(json_get_str(vault, "id")));
    http_set(c->res, "x-ms-keyvault-region", json_get_str(vault, "location")); /* with a 401 too */
    TRY(authenticate_data(c, d));
    TRY(kv_network_check(c, vault, d));
    TRY(kv_throttle_check(c, vault, d));
    return kv_rest_handle(c, vault, d);
}

static enum err authenticate_arm(struct call *c, struct diag *d)
{
    const char *audiences[] = {"https://management.azure.com",
                               "https://management.core.windows.net", c->kv->endpoint, NULL};
    const char *token = http_bearer(c->req);
    struct diag why = DIAG_INIT;
    enum err e = ERR_DENIED;
    if (token != NULL) e = c->kv->config.verify(c->kv->config.ctx, token, audiences, &c->who, &why);
    if (e == OK) return OK;
    if (e != ERR_DENIED) return FAIL(d, e, "%s", why.text);
    http_setf(
        c->res, "WWW-Authenticate",
        "Bearer authorization_uri=\"%s/%s\", error=\"invalid_token\", error_description=\"%s\"",
        c->kv->endpoint, c->kv->tenant_id,
        token == NULL ? "The authentication failed because of missing 'Authorization' header."
                      : "The access token is invalid.");
    if (token == NULL) {
        return FAIL_TAG(d, ERR_DENIED, "AuthenticationFailed",
                        "Authentication failed. The 'Authorization' header is missing.");
    }
    if (str_eq(why.tag, "Expired")) {
        char text[JWT_SENTENCE_MAX];
        bool dated = jwt_expiry_sentence(token, time_now_us(), text);
        return FAIL_TAG(d, ERR_DENIED, "ExpiredAuthenticationToken", "%s",
                        dated ? text : "The access token has expired.");
    }
    return FAIL_TAG(d, ERR_DENIED, "InvalidAuthenticationToken", "The access token is invalid.");
}

static enum err serve(struct call *c, struct diag *d)
{
    const char *name = name_under(c->req, c->kv->suffix_host);
    if (name == NULL) {
        name = name_under(c->req, c->kv->hsm_suffix_host);
        c->pool = name != NULL;
    }
    if (name != NULL) return serve_data(c, name, d);
    if (c->kv->faults != NULL && str_starts(c->req->path, "/admin/faults")) {
        TRY(authenticate_arm(c, d));
        return kv_faults_admin(c, d);
    }
    if (!str_starts_nocase(c->req->path, "/subscriptions/")) {
        return FAIL_TAG(d, ERR_NOT_FOUND, "NotFound", "There is no vault at this host.");
    }
    TRY(authenticate_arm(c, d));
    return kv_arm_handle_vaults(c, d);
}

void keyvault_routes(http_route_visit *visit, void *ctx)
{
    kv_rest_routes(visit, ctx);
    kv_roles_routes(visit, ctx);
    kv_arm_routes(visit, ctx);
    visit(ctx, "vault-admin", "GET", "admin/faults");
    visit(ctx, "vault-admin", "POST", "admin/faults");
    visit(ctx, "vault-admin", "DELETE", "admin/faults");
}

/* (13) What was done without a record is not told. */
static void record(struct call *c, const char *description, int64_t started_us)
{
    struct diag d = DIAG_INIT;
    enum err e = kv_audit_request(c, description, time_mono_us() - started_us, &d);
    if (e == OK) return;
    buf_release(&c->res->body);
    kv_reply_error(c->res, e, &d);
}

void keyvault_handle(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct call c = {.kv = ctx, .req = req, .res = res};
    struct diag d = DIAG_INIT;
    int64_t started_us = time_mono_us();
    kv_reply_headers(req, res);
    enum err e = serve(&c, &d);
    if (e != OK) kv_reply_error(res, e, &d);
    record(&c, e != OK ? d.text : "", started_us);
    json_decref(c.body);
}
