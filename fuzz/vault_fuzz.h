/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz/vault_fuzz.h - a vault service without sockets: one vault, its owner, a stranger, one key */
#pragma once

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "keyvault/service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define OWNER  "aaaaaaaa-0000-0000-0000-000000000001"
#define OTHER  "aaaaaaaa-0000-0000-0000-000000000002"
#define TENANT "11111111-1111-1111-1111-111111111111"
#define HOST   "kv1.vault.localhost"
#define VAULT                                                                          \
    "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/rg/providers/" \
    "Microsoft.KeyVault/vaults/kv1"

static enum err fuzz_verify(void *ctx, const char *token, const char *const *audiences,
                            struct caller *out, struct diag *d)
{
    (void)ctx, (void)audiences;
    if (!str_eq(token, OWNER) && !str_eq(token, OTHER)) return FAIL(d, ERR_DENIED, "no token");
    *out = (struct caller){.tenant_id = TENANT, .app_id = "app", .issuer = "https://i/"};
    memcpy(out->object_id, token, sizeof OWNER - 1);
    return OK;
}

static enum err fuzz_authorize(void *ctx, const char *oid, const char *action, bool is_data,
                               const char *scope, struct diag *d)
{
    (void)ctx, (void)action, (void)is_data, (void)scope;
    return str_eq(oid, OWNER) ? OK : FAIL(d, ERR_DENIED, "no role");
}

/* One request; the answer's body is the caller's to release. token NULL: none. */
static int fuzz_handle(struct keyvault *kv, const char *token, const char *method, const char *host,
                       const char *path, const char *version, struct bytes body, struct buf *out)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)64 << 20);
    CLEANUP_FREE char *bearer = str_fmt("Bearer %s", token != NULL ? token : "");
    const struct http_field query = {"api-version", version}, header = {"Authorization", bearer};
    const struct http_request req = {.a = &a,
                                     .method = method,
                                     .path = path,
                                     .target = path,
                                     .host = host,
                                     .authority = host,
                                     .peer = "127.0.0.1",
                                     .query = &query,
                                     .n_query = 1,
                                     .headers = &header,
                                     .n_headers = token != NULL ? 1 : 0,
                                     .body = body};
    struct http_response res = {.a = &a};
    keyvault_handle(kv, &req, &res);
    if (out != NULL) buf_bytes(out, buf_view(&res.body));
    buf_release(&res.body);
    return res.status;
}

static inline struct keyvault *fuzz_vault(void)
{
    static struct keyvault *kv;
    if (kv != NULL) return kv;
    static char dir[] =
        "/dev/shm/keystead-fuzz-XXXXXX"; /* nothing here is to outlive the machine */
    const struct keyvault_config c = {.dir = mkdtemp(dir),
                                      .suffix = "vault.localhost",
                                      .endpoint = "https://localhost",
                                      .tenant_id = TENANT,
                                      .verify = fuzz_verify,
                                      .authorize = fuzz_authorize,
                                      .requests_per_10s = UINT32_MAX / 8,
                                      .audit_file_max = (size_t)1 << 30};
    log_set_level(LOG_ERROR);
    if (c.dir == NULL || keyvault_open(&kv, &c, NULL) != OK) abort();
    static const char vault[] =
        "{\"location\":\"we\",\"properties\":{\"tenantId\":\"" TENANT
        "\",\"sku\":{\"family\":\"A\",\"name\":\"standard\"},\"accessPolicies\":[{\"tenantId\":"
        "\"" TENANT "\",\"objectId\":\"" OWNER "\",\"permissions\":{\"keys\":[\"all\"]}}]}}";
    static const char key[] = "{\"kty\":\"oct\",\"key_size\":256}";
    if (fuzz_handle(kv, OWNER, "PUT", "localhost", VAULT, "2022-07-01", bytes_str(vault), NULL) !=
            200 ||
        fuzz_handle(kv, OWNER, "POST", HOST, "/keys/kept/create", "7.4", bytes_str(key), NULL) !=
            200)
        abort();
    return kv;
}
