/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/identity.c - the vault with the real identity: its tokens, its roles, its
 * managed identities */
#include "identity/identity_test.h"

#include "base/log.h"
#include "keyvault/keyvault.h"

#define SUFFIX "vault.localhost:8444"

struct pair {
    struct world w;
    struct keyvault *kv;
};

static void pair_open(struct pair *p, const char *name)
{
    struct diag d = DIAG_INIT;
    world_open(&p->w, name);
    CLEANUP_FREE char *dir = str_fmt("%s/%s-vault", test_dir(), name);
    struct keyvault_config c = {
        .dir = dir, .suffix = SUFFIX, .endpoint = ENDPOINT, .tenant_id = p->w.founder.tenant_id};
    keyvault_use_identity(&c, p->w.clients[IDENTITY_PEER_VAULT]);
    REQUIRE_OK(keyvault_open(&p->kv, &c, &d));
    log_set_level(LOG_ERROR + 1);
}

static void pair_close(struct pair *p)
{
    keyvault_close(p->kv);
    world_close(&p->w);
}

/* One request to the vault; the status. */
static int knock(struct pair *p, const char *method, const char *host, const char *path,
                 const char *token, const char *body)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct http_field query = {"api-version", str_starts(path, "/sub") ? "2022-07-01" : "7.4"};
    struct http_field header = {"Authorization", arena_fmt(&a, "Bearer %s", token)};
    struct http_request req = {.a = &a,
                               .method = method,
                               .path = path,
                               .target = path,
                               .host = host,
                               .authority = arena_fmt(&a, "%s:8444", host),
                               .peer = "127.0.0.1",
                               .body = bytes_str(body != NULL ? body : ""),
                               .n_query = 1,
                               .query = &query,
                               .n_headers = 1,
                               .headers = &header};
    struct http_response res = {.a = &a};
    keyvault_handle(p->kv, &req, &res);
    buf_release(&res.body);
    return res.status;
}

static int arm(struct pair *p, const char *method, const char *tail, const char *token,
               const char *body)
{
    CLEANUP_FREE char *path =
        str_fmt("/subscriptions/%s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults%s",
                p->w.founder.subscription_id, tail);
    return knock(p, method, "vault.localhost", path, token, body);
}

static char *vault_body(struct pair *p, bool rbac)
{
    return str_fmt(
        "{\"location\":\"westeurope\",\"properties\":{\"tenantId\":\"%s\",\"sku\":{\"family\":"
        "\"A\","
        "\"name\":\"standard\"},\"accessPolicies\":[{\"tenantId\":\"%s\",\"objectId\":\"%s\","
        "\"permissions\":{\"keys\":[\"create\",\"get\"]}}],\"enableRbacAuthorization\":%s}}",
        p->w.founder.tenant_id, p->w.founder.tenant_id, p->w.founder.object_id,
        rbac ? "true" : "false");
}

TEST(identity, the_owner_of_the_subscription_makes_vaults_and_only_a_grant_opens_keys)
{
    struct pair p;
    pair_open(&p, "owner");
    CLEANUP_FREE char *secret = str_dup(p.w.founder.client_secret);
    CLEANUP_FREE char *to_arm = founder_token(&p.w, secret, "https://management.azure.com/");
    CLEANUP_FREE char *to_kv = founder_token(&p.w, secret, "https://" SUFFIX);
    CLEANUP_FREE char *to_azure = founder_token(&p.w, secret, "https://vault.azure.net");
    CLEANUP_FREE char *body = vault_body(&p, false);

    EXPECT_EQ(arm(&p, "PUT", "/kv1", to_kv, body), 401); /* for another audience */
    EXPECT_EQ(arm(&p, "PUT", "/kv1", to_arm, body), 200);
    EXPECT_EQ(
        knock(&p, "POST", "kv1.vault.localhost", "/keys/k/create", to_arm, "{\"kty\":\"oct\"}"),
        401);
    EXPECT_EQ(
        knock(&p, "POST", "kv1.vault.localhost", "/keys/k/create", to_kv, "{\"kty\":\"oct\"}"),
        200);
    EXPECT_EQ(knock(&p, "GET", "kv1.vault.localhost", "/keys/k", to_azure, NULL), 200);
    EXPECT_EQ(knock(&p, "DELETE", "kv1.vault.localhost", "/keys/k", to_kv, NULL), 403);

    to_kv[strlen(to_kv) - 3] ^= 1;
    EXPECT_EQ(knock(&p, "GET", "kv1.vault.localhost", "/keys/k", to_kv, NULL), 401);
    pair_close(&p);
}

TEST(identity, with_roles_the_owner_of_the_subscription_has_no_right_on_keys)
{
    struct pair p;
    pair_open(&p, "roles");
    CLEANUP_FREE char *secret = str_dup(p.w.founder.client_secret);
    CLEANUP_FREE char *to_arm = founder_token(&p.w, secret, "https://management.azure.com");
    CLEANUP_FREE char *to_kv = founder_token(&p.w, secret, "https://vault.azure.net");
    CLEANUP_FREE char *body = vault_body(&p, true);
    EXPECT_EQ(arm(&p, "PUT", "/kv1", to_arm, body), 200);
    EXPECT_EQ(
        knock(&p, "POST", "kv1.vault.localhost", "/keys/k/create", to_kv, "{\"kty\":\"oct\"}"),
        403);

    /* Key Vault Crypto Officer, on this vault. */
    CLEANUP_FREE char *path = str_fmt(
        "/subscriptions/%s/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1/providers/"
        "Microsoft.Authorization/roleAssignments/0b9c4b3e-5a0e-4a5e-9a52-7d3f1f2d1c11",
        p.w.founder.subscription_id);
    CLEANUP_FREE char *grant =
        str_fmt("{\"properties\":{\"roleDefinitionId\":\"/subscriptions/%s/providers/"
                "Microsoft.Authorization/"
                "roleDefinitions/14b46e9e-c2b7-41b4-b07b-48a6ebf60603\",\"principalId\":\"%s\"}}",
                p.w.founder.subscription_id, p.w.founder.object_id);
    CLEANUP_REPLY struct reply r = {0};
    EXPECT_EQ(ask(&p.w, &r,
                  (struct ask){.method = "PUT",
                               .path = path,
                               .query = "api-version=2022-04-01",
                               .body = grant,
                               .bearer = to_arm}),
              201);
    EXPECT_EQ(
        knock(&p, "POST", "kv1.vault.localhost", "/keys/k/create", to_kv, "{\"kty\":\"oct\"}"),
        200);
    pair_close(&p);
}

TEST(identity, the_platforms_identity_uses_the_platform_key)
{
    struct diag d = DIAG_INIT;
    struct pair p;
    pair_open(&p, "platform");
    REQUIRE_OK(keyvault_ensure_platform(p.kv, p.w.founder.platform_object_id, &d));
    CLEANUP_BUF struct buf token = {0};
    int64_t expires_us;
    REQUIRE_OK(identity_token(p.w.clients[IDENTITY_PEER_KEYD], p.w.founder.platform_object_id,
                              "https://" SUFFIX, &token, &expires_us, &d));
    EXPECT_EQ(
        knock(&p, "GET", KEYVAULT_PLATFORM ".vault.localhost", "/keys/pmk", buf_cstr(&token), NULL),
        200);
    EXPECT_EQ(knock(&p, "POST", KEYVAULT_PLATFORM ".vault.localhost", "/keys/pmk/rotate",
                    buf_cstr(&token), NULL),
              403);
    pair_close(&p);
}
