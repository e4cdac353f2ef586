/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/hsm.c - HSM kinds of keys, in a real token (SoftHSM), and pools */
#include "keyvault_test.h"
#include "softhsm_test.h"

#define T   USER "@kv"
#define AEK "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define PREMIUM                                                                       \
    "{\"location\":\"West Europe\",\"properties\":{\"tenantId\":\"" TENANT            \
    "\",\"sku\":{\"family\":\"A\",\"name\":\"premium\"},\"accessPolicies\":[" POLICY( \
        USER, "\"all\"") "]}}"
#define POOL_PATH(name)                 \
    "localhost:8444/subscriptions/" SUB \
    "/resourceGroups/rg/providers/Microsoft.KeyVault/managedHSMs/" name
#define POOL_BODY                                                                        \
    "{\"location\":\"West Europe\",\"sku\":{\"family\":\"B\",\"name\":\"Standard_B1\"}," \
    "\"properties\":{\"tenantId\":\"" TENANT "\",\"initialAdminObjectIds\":[\"" USER "\"]}}"
#define HSM(name, path) name ".managedhsm.localhost:8444" path "?api-version=7.4"
#define ROLES           "/providers/Microsoft.Authorization/roleAssignments"
#define GRANT(oid, role) \
    "{\"properties\":{\"principalId\":\"" oid "\",\"roleDefinitionId\":\"x/" role "\"}}"
#define CRYPTO_USER  "21dbd100-6940-42c2-9190-5d6cb909625b"
#define SERVICE_USER "33413926-3206-4cdd-b39a-83574fe37a17"

static struct diag d = DIAG_INIT;

static uint32_t requests_max; /* 0: as documented */

static struct keyvault *open_with(const char *name, struct token *token)
{
    struct keyvault_config c = usual_config();
    c.hsm_suffix = "managedhsm.localhost:8444";
    c.requests_per_10s = requests_max;
    c.token = token;
    return vault_open_as(name, c);
}

static struct keyvault *premium(const char *name)
{
    struct keyvault *kv = open_with(name, softhsm_token());
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, OWNER "@arm", PREMIUM), 200);
    return kv;
}

static void make(struct keyvault *kv, const char *key, const char *body)
{
    CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys/%s/create?api-version=7.4", key);
    EXPECT_ANSWER(ask(kv, "POST", url, T, body), 200);
}

static const struct answer *operate(struct keyvault *kv, const char *key, const char *what,
                                    const char *body)
{
    CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys/%s/%s?api-version=7.4", key, what);
    return ask(kv, "POST", url, T, body);
}

/* Seals the AEK and opens it again; a flipped bit is the caller's fault. */
static void there_and_back(struct keyvault *kv, const char *key, const char *seal, const char *open,
                           const char *alg)
{
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"" AEK "\"}", alg);
    const struct answer *a = operate(kv, key, seal, body);
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *value = str_dup(json_get_str(a->body, "value"));
    const char *iv = json_get_str(a->body, "iv"), *tag = json_get_str(a->body, "tag");
    CLEANUP_FREE char *more =
        str_fmt("%s%s%s%s%s%s", iv != NULL ? ",\"iv\":\"" : "", iv != NULL ? iv : "",
                iv != NULL ? "\"" : "", tag != NULL ? ",\"tag\":\"" : "", tag != NULL ? tag : "",
                tag != NULL ? "\"" : "");
    CLEANUP_FREE char *back = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"%s}", alg, value, more);
    a = operate(kv, key, open, back);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(json_get_str(a->body, "value"), AEK);
    if (str_eq(seal, "wrapkey") && !str_eq(alg, "RSA1_5")) {
        value[20] = value[20] == 'A' ? 'B' : 'A';
        CLEANUP_FREE char *bad = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"}", alg, value);
        EXPECT_REFUSAL(operate(kv, key, open, bad), 400, "BadParameter", "");
    }
}

static void sign_and_verify(struct keyvault *kv, const char *key, const char *alg, size_t len)
{
    static const uint8_t digest[64] = {1, 2, 3};
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, bytes_of(digest, len));
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"}", alg, buf_cstr(&text));
    const struct answer *a = operate(kv, key, "sign", body);
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *check = str_fmt("{\"alg\":\"%s\",\"digest\":\"%s\",\"value\":\"%s\"}", alg,
                                       buf_cstr(&text), json_get_str(a->body, "value"));
    a = operate(kv, key, "verify", check);
    EXPECT_ANSWER(a, 200);
    REQUIRE(json_get_bool(a->body, "value", false));
}

/* By the id that the vault's store names. */
static struct token_key in_token(struct keyvault *kv, const char *key)
{
    struct key_ref r = {.vault_name = "kv1", .name = key, .version = ""};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    CLEANUP_BUF struct buf material = {0};
    struct place p;
    REQUIRE_OK(kv_key_find(kv, &r, &v, &d));
    kv_place_version(&r, v.version, &p);
    REQUIRE_OK(kvstore_get(kv->store, "material", p.version, &material, &d));
    REQUIRE(kv_hsm_is_ref(buf_view(&material)));
    const struct token_name name = kv_hsm_name(buf_view(&material));
    struct token_key k = {0};
    REQUIRE_OK(token_describe(softhsm_token(), &name, &k, &d));
    return k;
}

TEST(hsm, a_key_of_an_hsm_kind_never_was_outside_of_the_token)
{
    struct keyvault *kv = premium("kinds");
    make(kv, "rsa", "{\"kty\":\"RSA-HSM\",\"key_size\":2048}");
    make(kv, "ec", "{\"kty\":\"EC-HSM\",\"crv\":\"P-256\"}");
    make(kv, "oct", "{\"kty\":\"oct-HSM\",\"key_size\":256}");
    static const char *const names[] = {"rsa", "ec", "oct"};
    for (int i = 0; i < 3; i++) {
        CLEANUP_TOKEN_KEY struct token_key k = in_token(kv, names[i]);
        REQUIRE(!k.extractable && k.never_extractable && k.sensitive);
        CLEANUP_FREE char *want = str_fmt("kv1/%s/", names[i]);
        REQUIRE(str_starts(k.label, want));
    }
    EXPECT_STR(text_at(ask(kv, "GET", KV("kv1", "/keys/rsa"), T, NULL), "key", "kty"), "RSA-HSM");
    keyvault_close(kv);
}

TEST(hsm, its_keys_do_all_that_the_table_of_algorithms_says)
{
    struct keyvault *kv = premium("algorithms");
    make(kv, "rsa", "{\"kty\":\"RSA-HSM\",\"key_size\":3072}");
    static const char *const paddings[] = {"RSA-OAEP-256", "RSA-OAEP", "RSA1_5"};
    for (int i = 0; i < 3; i++) {
        there_and_back(kv, "rsa", "wrapkey", "unwrapkey", paddings[i]);
        there_and_back(kv, "rsa", "encrypt", "decrypt", paddings[i]);
    }
    static const struct {
        const char *alg;
        size_t len;
    } signatures[] = {{"RS256", 32}, {"RS384", 48}, {"RS512", 64}, {"PS256", 32},
                      {"PS384", 48}, {"PS512", 64}, {"RSNULL", 20}};
    for (int i = 0; i < 7; i++)
        sign_and_verify(kv, "rsa", signatures[i].alg, signatures[i].len);
    static const struct {
        const char *crv, *alg;
        size_t len;
    } curves[] = {{"P-256", "ES256", 32},
                  {"P-384", "ES384", 48},
                  {"P-521", "ES512", 64},
                  {"P-256K", "ES256K", 32}};
    for (int i = 0; i < 4; i++) {
        CLEANUP_FREE char *body = str_fmt("{\"kty\":\"EC-HSM\",\"crv\":\"%s\"}", curves[i].crv);
        make(kv, "ec", body);
        sign_and_verify(kv, "ec", curves[i].alg, curves[i].len);
    }
    for (int bits = 128; bits <= 256; bits += 64) {
        CLEANUP_FREE char *body = str_fmt("{\"kty\":\"oct-HSM\",\"key_size\":%d,\"key_ops\":["
                                          "\"wrapKey\",\"unwrapKey\",\"encrypt\",\"decrypt\","
                                          "\"sign\"]}",
                                          bits);
        make(kv, "oct", body);
        static const char *const modes[] = {"KW", "GCM", "CBC", "CBCPAD"};
        for (int i = 0; i < 4; i++) {
            CLEANUP_FREE char *alg = str_fmt("A%d%s", bits, modes[i]);
            there_and_back(kv, "oct", i == 0 ? "wrapkey" : "encrypt",
                           i == 0 ? "unwrapkey" : "decrypt", alg);
        }
    }
    EXPECT_REFUSAL(operate(kv, "oct", "sign", "{\"alg\":\"HS256\",\"value\":\"" AEK "\"}"), 400,
                   "BadParameter", "");
    keyvault_close(kv);
}

TEST(hsm, without_one_its_kinds_are_refused_and_no_software_key_takes_their_name)
{
    struct keyvault *kv = open_with("none", NULL);
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv1") ARM, OWNER "@arm", PREMIUM), 200);
    static const char *const kinds[] = {"RSA-HSM", "EC-HSM", "oct-HSM"};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *body = str_fmt("{\"kty\":\"%s\"}", kinds[i]);
        EXPECT_REFUSAL(operate(kv, "k", "create", body), 400, "BadParameter", "");
    }
    EXPECT_REFUSAL(ask(kv, "PUT", POOL_PATH("pool1") ARM, OWNER "@arm", POOL_BODY), 400,
                   "BadRequest", "");
    keyvault_close(kv);
}

TEST(hsm, a_standard_vault_has_none_of_them)
{
    struct keyvault *kv = open_with("standard", softhsm_token());
    make_vault(kv, VAULT("kv1") ARM);
    EXPECT_REFUSAL(operate(kv, "k", "create", "{\"kty\":\"RSA-HSM\"}"), 400, "BadParameter", "");
    keyvault_close(kv);
}

TEST(hsm, a_key_cannot_be_backed_up_nor_brought_in)
{
    struct keyvault *kv = premium("stay");
    make(kv, "oct", "{\"kty\":\"oct-HSM\"}");
    EXPECT_REFUSAL(operate(kv, "oct", "backup", "{}"), 400, "BadParameter", "");
    EXPECT_REFUSAL(ask(kv, "PUT", KV("kv1", "/keys/in"), T,
                       "{\"key\":{\"kty\":\"oct-HSM\",\"k\":\"" AEK "\"}}"),
                   400, "BadParameter", "");
    EXPECT_REFUSAL(ask(kv, "PUT", KV("kv1", "/keys/in"), T,
                       "{\"Hsm\":true,\"key\":{\"kty\":\"oct\",\"k\":\"" AEK "\"}}"),
                   400, "BadParameter", "");
    keyvault_close(kv);
}

static bool is_in_token(const struct token_key *k)
{
    const struct token_name name = {.id = bytes_of(k->id, k->id_len)};
    struct token_key found = {0};
    enum err e = token_describe(softhsm_token(), &name, &found, NULL);
    token_key_release(&found);
    REQUIRE(e == OK || e == ERR_DENIED);
    return e == OK;
}

TEST(hsm, purging_a_key_destroys_every_version_in_the_token)
{
    struct keyvault *kv = premium("purge");
    make(kv, "oct", "{\"kty\":\"oct-HSM\"}");
    CLEANUP_TOKEN_KEY struct token_key first = in_token(kv, "oct");
    EXPECT_ANSWER(operate(kv, "oct", "rotate", NULL), 200);
    CLEANUP_TOKEN_KEY struct token_key second = in_token(kv, "oct");
    REQUIRE(memcmp(first.id, second.id, first.id_len) != 0);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/oct"), T, NULL), 200);
    REQUIRE(is_in_token(&first) && is_in_token(&second));
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/oct"), T, NULL), 204);
    int64_t next;
    REQUIRE_OK(kv_tidy_once(kv, &next, &d));
    REQUIRE(!is_in_token(&first) && !is_in_token(&second));
    keyvault_close(kv);
}

TEST(hsm, what_a_crash_left_in_the_token_is_destroyed_at_the_next_start)
{
    struct keyvault *kv = premium("crash");
    make(kv, "kept", "{\"kty\":\"oct-HSM\"}");
    CLEANUP_TOKEN_KEY struct token_key kept = in_token(kv, "kept");
    /* Made in the token, and then the process dies before the version is stored. */
    CLEANUP_JSON json_t *doc = json_object();
    CLEANUP(secret_free) struct secret *ref = NULL;
    const struct key_kind kind = {.kty = "oct", .hsm = true, .size = 256};
    REQUIRE_OK(kv_hsm_make(kv, &kind, "orphan", doc, &ref, &d));
    const struct token_name name = {.label = "orphan"};
    CLEANUP_TOKEN_KEY struct token_key orphan = {0};
    REQUIRE_OK(token_describe(softhsm_token(), &name, &orphan, &d));
    int64_t next;
    REQUIRE_OK(kv_tidy_once(kv, &next, &d));
    REQUIRE(is_in_token(&orphan)); /* it may still be stored */
    keyvault_close(kv);
    kv = open_with("crash", softhsm_token());
    REQUIRE(!is_in_token(&orphan));
    REQUIRE(is_in_token(&kept));
    keyvault_close(kv);
}

TEST(hsm, a_key_that_its_token_lost_is_our_fault_and_never_a_denial)
{
    struct keyvault *kv = premium("lost");
    make(kv, "oct", "{\"kty\":\"oct-HSM\"}");
    CLEANUP_TOKEN_KEY struct token_key k = in_token(kv, "oct");
    const struct token_name name = {.id = bytes_of(k.id, k.id_len)};
    REQUIRE_OK(token_destroy(softhsm_token(), &name, &d));
    const struct answer *a =
        operate(kv, "oct", "wrapkey", "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}");
    REQUIRE(a->status >= 500);
    keyvault_close(kv);
}

/* --- pools --- */

static struct keyvault *with_pool(const char *name)
{
    struct keyvault *kv = open_with(name, softhsm_token());
    EXPECT_ANSWER(ask(kv, "PUT", POOL_PATH("pool1") ARM, OWNER "@arm", POOL_BODY), 200);
    return kv;
}

/* At the audience of managed HSMs the test's tokens are for "arm": any but the vaults'. */
#define ADMIN   USER "@arm"
#define MEMBER  OTHER "@arm"
#define ROLE(n) ROLES "/00000000-0000-0000-0000-00000000000" n

TEST(hsm, only_the_roles_of_a_pool_count_in_it)
{
    struct keyvault *kv = with_pool("roles");
    const char *create = HSM("pool1", "/keys/k/create"), *body = "{\"kty\":\"oct-HSM\"}";
    rbac_grant = OTHER; /* what ARM would say */
    EXPECT_REFUSAL(ask(kv, "POST", create, MEMBER, body), 403, "Forbidden", "ForbiddenByRbac");
    rbac_grant = NULL;
    EXPECT_REFUSAL(ask(kv, "PUT", HSM("pool1", ROLE("1")), MEMBER, GRANT(OTHER, CRYPTO_USER)), 403,
                   "Forbidden", "ForbiddenByRbac");
    EXPECT_ANSWER(ask(kv, "PUT", HSM("pool1", ROLE("1")), ADMIN, GRANT(OTHER, CRYPTO_USER)), 201);
    EXPECT_ANSWER(ask(kv, "POST", create, MEMBER, body), 200);
    EXPECT_REFUSAL(ask(kv, "POST", create, ADMIN, body), 403, "Forbidden", "ForbiddenByRbac");
    EXPECT_ANSWER(ask(kv, "DELETE", HSM("pool1", ROLE("1")), ADMIN, NULL), 200);
    EXPECT_REFUSAL(ask(kv, "POST", create, MEMBER, body), 403, "Forbidden", "ForbiddenByRbac");
    EXPECT_REFUSAL(ask(kv, "GET", HSM("pool1", ROLE("1")), ADMIN, NULL), 404,
                   "RoleAssignmentNotFound", "");
    EXPECT_REFUSAL(ask(kv, "PUT", HSM("pool1", ROLE("2")), ADMIN, GRANT(OTHER, "nonsense")), 400,
                   "BadParameter", "");
    keyvault_close(kv);
}

TEST(hsm, a_role_on_one_key_is_none_on_its_neighbour)
{
    struct keyvault *kv = with_pool("scopes");
    EXPECT_ANSWER(ask(kv, "PUT", HSM("pool1", ROLE("1")), ADMIN, GRANT(USER, CRYPTO_USER)), 201);
    EXPECT_ANSWER(ask(kv, "POST", HSM("pool1", "/keys/a/create"), ADMIN, "{\"kty\":\"oct-HSM\"}"),
                  200);
    EXPECT_ANSWER(ask(kv, "POST", HSM("pool1", "/keys/ab/create"), ADMIN, "{\"kty\":\"oct-HSM\"}"),
                  200);
    EXPECT_ANSWER(
        ask(kv, "PUT", HSM("pool1", "/keys/a" ROLE("2")), ADMIN, GRANT(OTHER, SERVICE_USER)), 201);
    const char *body = "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}";
    EXPECT_ANSWER(ask(kv, "POST", HSM("pool1", "/keys/a/wrapkey"), MEMBER, body), 200);
    EXPECT_ANSWER(ask(kv, "GET", HSM("pool1", "/keys/a"), MEMBER, NULL), 200);
    EXPECT_REFUSAL(ask(kv, "POST", HSM("pool1", "/keys/ab/wrapkey"), MEMBER, body), 403,
                   "Forbidden", "ForbiddenByRbac");
    EXPECT_REFUSAL(ask(kv, "GET", HSM("pool1", "/keys"), MEMBER, NULL), 403, "Forbidden",
                   "ForbiddenByRbac");
    keyvault_close(kv);
}

TEST(hsm, pools_and_vaults_of_one_name_are_two_things)
{
    struct keyvault *kv = with_pool("names");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("pool1") ARM, OWNER "@arm", PREMIUM), 200);
    EXPECT_REFUSAL(ask(kv, "GET", KV("pool1.hsm", "/keys"), T, NULL), 404, "VaultNotFound", "");
    EXPECT_ANSWER(ask(kv, "PUT", HSM("pool1", ROLE("1")), ADMIN, GRANT(USER, CRYPTO_USER)), 201);
    EXPECT_ANSWER(ask(kv, "POST", HSM("pool1", "/keys/k/create"), ADMIN, "{\"kty\":\"oct-HSM\"}"),
                  200);
    const struct answer *a = ask(kv, "GET", KV("pool1", "/keys"), T, NULL);
    EXPECT_ANSWER(a, 200);
    EXPECT_EQ(json_array_size(json_get(a->body, "value")), 0);
    EXPECT_ANSWER(ask(kv, "DELETE", VAULT("pool1") ARM, OWNER "@arm", NULL), 200);
    EXPECT_ANSWER(ask(kv, "GET", HSM("pool1", "/keys/k"), ADMIN, NULL), 200);
    keyvault_close(kv);
}

TEST(hsm, purging_a_pool_destroys_its_keys_and_its_roles)
{
    struct keyvault *kv = with_pool("pool-purge");
    EXPECT_ANSWER(ask(kv, "PUT", HSM("pool1", ROLE("1")), ADMIN, GRANT(USER, CRYPTO_USER)), 201);
    EXPECT_ANSWER(
        ask(kv, "POST", HSM("pool1", "/keys/poolkey/create"), ADMIN, "{\"kty\":\"oct-HSM\"}"), 200);
    CLEANUP_TOKEN_KEY struct token_key k = {0};
    struct key_ref r = {.vault_name = "pool1.hsm", .name = "poolkey", .version = ""};
    CLEANUP_KEY_VERSION struct key_version v = {0};
    struct place p;
    REQUIRE_OK(kv_key_find(kv, &r, &v, &d));
    kv_place_version(&r, v.version, &p);
    const struct token_name name = {.label = p.version};
    REQUIRE_OK(token_describe(softhsm_token(), &name, &k, &d));
    EXPECT_ANSWER(ask(kv, "DELETE", POOL_PATH("pool1") ARM, OWNER "@arm", NULL), 200);
    EXPECT_REFUSAL(ask(kv, "GET", HSM("pool1", "/keys"), ADMIN, NULL), 404, "VaultNotFound", "");
    EXPECT_ANSWER(ask(kv, "POST",
                      "localhost:8444/subscriptions/" SUB
                      "/providers/Microsoft.KeyVault/locations/westeurope/deletedManagedHSMs/pool1/"
                      "purge" ARM,
                      OWNER "@arm", NULL),
                  200);
    int64_t next;
    REQUIRE_OK(kv_tidy_once(kv, &next, &d));
    REQUIRE(!is_in_token(&k));
    EXPECT_ANSWER(ask(kv, "PUT", POOL_PATH("pool1") ARM, OWNER "@arm", POOL_BODY), 200);
    EXPECT_REFUSAL(ask(kv, "GET", HSM("pool1", "/keys"), ADMIN, NULL), 403, "Forbidden",
                   "ForbiddenByRbac");
    keyvault_close(kv);
}

TEST(hsm, ten_of_its_keys_are_made_in_ten_seconds_and_others_are_not_kept_waiting)
{
    struct keyvault *kv = premium("rate");
    const struct answer *a = NULL;
    int64_t began = time_mono_us();
    for (int i = 0; i <= 10; i++) {
        CLEANUP_FREE char *key = str_fmt("k%d", i);
        a = operate(kv, key, "create", "{\"kty\":\"oct-HSM\",\"key_size\":128}");
        if (time_mono_us() - began > 9 * US_PER_S) break; /* a slow token: eleven take longer */
        EXPECT_EQ(a->status, i < 10 ? 200 : 429);
    }
    if (a->status == 429) EXPECT_REFUSAL(a, 429, "Throttled", "");
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/soft/create"), USER "@kv", "{\"kty\":\"EC\"}"),
                  200);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k0"), USER "@kv", NULL), 200);
    keyvault_close(kv);
}

TEST(hsm, its_keys_are_used_half_as_often_as_others)
{
    requests_max = 12;
    struct keyvault *kv = premium("uses");
    requests_max = 0;
    static const char wrap[] = "{\"alg\":\"A256KW\",\"value\":\"" AEK "\"}";
    make(kv, "hard", "{\"kty\":\"oct-HSM\"}");
    make(kv, "soft", "{\"kty\":\"oct\"}");
    for (int i = 0; i < 6; i++)
        EXPECT_ANSWER(operate(kv, "hard", "wrapkey", wrap), 200);
    EXPECT_REFUSAL(operate(kv, "hard", "wrapkey", wrap), 429, "Throttled", "");
    EXPECT_ANSWER(operate(kv, "soft", "wrapkey", wrap), 200);
    keyvault_close(kv);
}

TEST(hsm, a_role_of_a_group_is_its_members_in_a_pool_too)
{
    struct keyvault *kv = with_pool("team");
    group_members = NULL;
    user_is_gone = false;
    EXPECT_ANSWER(ask(kv, "PUT", HSM("pool1", ROLE("1")), ADMIN, GRANT(TEAM, CRYPTO_USER)), 201);
    static const char keys[] = HSM("pool1", "/keys");
    EXPECT_ANSWER(ask(kv, "GET", keys, MEMBER, NULL), 403);
    group_members = OTHER;
    EXPECT_ANSWER(ask(kv, "GET", keys, MEMBER, NULL), 200);
    group_members = NULL;
    EXPECT_ANSWER(ask(kv, "GET", keys, MEMBER, NULL), 403);
    user_is_gone = true; /* its administrator */
    EXPECT_ANSWER(ask(kv, "GET", HSM("pool1", ROLES), ADMIN, NULL), 403);
    user_is_gone = false;
    keyvault_close(kv);
}
