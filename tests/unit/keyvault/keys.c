/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/keys.c - the data plane: keys, versions, attributes, operations, deletion */
#include "keyvault_test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#define T USER "@kv"

static struct keyvault *fresh(const char *dir)
{
    struct keyvault *kv = vault_open(dir);
    make_vault(kv, VAULT("kv1") ARM);
    return kv;
}

/* A small key: RSA takes its time. */
static void make_key(struct keyvault *kv, const char *url, const char *body)
{
    EXPECT_ANSWER(ask(kv, "POST", url, T, body), 200);
}
#define OCT "{\"kty\":\"oct\",\"key_size\":256}"

/* 32 bytes, in base64url */
#define AEK "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

static char *wrap(struct keyvault *kv, const char *url, const char *alg)
{
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"" AEK "\"}", alg);
    const struct answer *a = ask(kv, "POST", url, T, body);
    EXPECT_ANSWER(a, 200);
    return str_dup(json_get_str(a->body, "value"));
}

static const struct answer *unwrap(struct keyvault *kv, const char *url, const char *alg,
                                   const char *value)
{
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"}", alg, value);
    return ask(kv, "POST", url, T, body);
}

#define EXPECT_AEK(a)                                     \
    do {                                                  \
        const struct answer *k_ = (a);                    \
        EXPECT_ANSWER(k_, 200);                           \
        EXPECT_STR(json_get_str(k_->body, "value"), AEK); \
    } while (0)

TEST(keyvault, the_first_request_is_challenged_whatever_its_body)
{
    struct keyvault *kv = fresh("challenge");
    static const char *const want = "Bearer authorization=\"https://localhost:8443/" TENANT
                                    "\", resource=\"https://" SUFFIX "\"";
    static const char *const bodies[] = {NULL, "", "not json", OCT};
    for (int i = 0; i < 4; i++) {
        const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/k/create"), NULL, bodies[i]);
        EXPECT_REFUSAL(a, 401, "Unauthorized", "");
        EXPECT_STR(a->challenge, want);
    }
    /* Also without an api-version, and for a path that is none. */
    EXPECT_ANSWER(ask(kv, "GET", "kv1." SUFFIX "/keys/k", NULL, NULL), 401);
    EXPECT_ANSWER(ask(kv, "GET", "kv1." SUFFIX "/nothing", NULL, NULL), 401);
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), USER "@arm", NULL);
    EXPECT_ANSWER(a, 401);
    REQUIRE(strstr(a->text, "AKV10022") != NULL);
    EXPECT_STR(a->challenge, want);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), "expired", NULL), 401);
    identity_away = true;
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL), 503);
    keyvault_close(kv);
}

TEST(keyvault, a_host_without_a_vault_says_so_and_nothing_else)
{
    struct keyvault *kv = fresh("hosts");
    EXPECT_REFUSAL(ask(kv, "GET", KV("nobody", "/keys/k"), T, NULL), 404, "VaultNotFound", "");
    EXPECT_REFUSAL(ask(kv, "GET", KV("a.kv1", "/keys/k"), T, NULL), 404, "VaultNotFound", "");
    EXPECT_ANSWER(ask(kv, "GET", "localhost:8444/keys/k?api-version=7.4", T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", "kv1vault.localhost/keys/k?api-version=7.4", T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", "KV1." SUFFIX "/keys/k?api-version=7.4", T, NULL), 404);
    EXPECT_STR(
        text_at(ask(kv, "GET", "KV1." SUFFIX "/keys/k?api-version=7.4", T, NULL), "error", "code"),
        "KeyNotFound");
    keyvault_close(kv);
}

TEST(keyvault, an_rsa_key_has_the_shape_that_clients_parse)
{
    struct keyvault *kv = fresh("shape");
    const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/My-Key/create"), T,
                                 "{\"kty\":\"RSA\",\"key_size\":2048,\"tags\":{\"a\":\"b\"}}");
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *kid = keep(a, "key", "kid");
    REQUIRE(str_starts(kid, "https://kv1." SUFFIX "/keys/My-Key/"));
    EXPECT_EQ(strlen(strrchr(kid, '/') + 1), 32);
    EXPECT_STR(text_at(a, "key", "kty"), "RSA");
    EXPECT_STR(text_at(a, "key", "e"), "AQAB");
    EXPECT_EQ(strlen(text_at(a, "key", "n")), 342);
    EXPECT_EQ(json_array_size(json_at(a->body, "key", "key_ops", NULL)), 6);
    EXPECT_STR(text_at(a, "attributes", "recoveryLevel"), "Recoverable+Purgeable");
    EXPECT_EQ(json_integer_value(json_at(a->body, "attributes", "recoverableDays", NULL)), 90);
    REQUIRE(json_is_true(json_at(a->body, "attributes", "enabled", NULL)));
    REQUIRE(json_integer_value(json_at(a->body, "attributes", "created", NULL)) > 0);
    EXPECT_STR(text_at(a, "tags", "a"), "b");
    REQUIRE(json_get(json_get(a->body, "key"), "d") == NULL);

    /* The ways clients write it: without a version, with an empty one, in another case. */
    CLEANUP_FREE char *by_version = str_fmt("%s?api-version=7.4", kid + 8);
    const char *urls[] = {KV("kv1", "/keys/My-Key"),
                          KV("kv1", "/keys/My-Key/"),
                          by_version,
                          KV("kv1", "/Keys/MY-key"),
                          "kv1." SUFFIX "/keys/My-Key/?api-version=7.4-preview.1",
                          "kv1." SUFFIX "/keys/My-Key?api-version=2025-07-01"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        a = ask(kv, "GET", urls[i], T, NULL);
        EXPECT_ANSWER(a, 200);
        EXPECT_STR(text_at(a, "key", "kid"), kid);
    }
    keyvault_close(kv);
}

TEST(keyvault, bad_requests_are_named)
{
    struct keyvault *kv = fresh("bad");
    static const char *const bodies[] = {"",
                                         "[]",
                                         "{",
                                         "{}",
                                         "{\"kty\":\"EC-HSM\"}",
                                         "{\"kty\":\"RSA-HSM\"}",
                                         "{\"kty\":\"RSA\",\"key_size\":1024}",
                                         "{\"kty\":\"RSA\",\"key_size\":\"2048\"}",
                                         "{\"kty\":\"oct\",\"key_size\":512}",
                                         "{\"kty\":\"oct\",\"key_ops\":[\"fly\"]}",
                                         "{\"kty\":\"oct\",\"key_ops\":\"wrapKey\"}",
                                         "{\"kty\":\"oct\",\"attributes\":{\"enabled\":\"yes\"}}",
                                         "{\"kty\":\"oct\",\"attributes\":{\"exp\":\"tomorrow\"}}",
                                         "{\"kty\":\"oct\",\"attributes\":{\"nbf\":-1}}",
                                         "{\"kty\":\"oct\",\"tags\":{\"a\":1}}",
                                         "{\"kty\":\"RSA\",\"public_exponent\":3}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        EXPECT_REFUSAL(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, bodies[i]), 400,
                       "BadParameter", "");
    }
    EXPECT_REFUSAL(ask(kv, "POST", KV("kv1", "/keys/a_b/create"), T, OCT), 400, "BadParameter", "");
    EXPECT_REFUSAL(ask(kv, "GET", "kv1." SUFFIX "/keys/k", T, NULL), 400, "BadParameter", "");
    EXPECT_REFUSAL(ask(kv, "GET", "kv1." SUFFIX "/keys/k?api-version=2", T, NULL), 400,
                   "BadParameter", "");
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/v/fly"), T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/a/b/c/d/e"), T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k/create"), T, NULL), 405);
    keyvault_close(kv);
}

TEST(keyvault, what_each_algorithm_wraps_it_unwraps)
{
    struct keyvault *kv = fresh("wrap");
    make_key(kv, KV("kv1", "/keys/rsa/create"), "{\"kty\":\"RSA\"}");
    make_key(kv, KV("kv1", "/keys/oct/create"), OCT);
    static const char *const algs[] = {"RSA-OAEP-256", "RSA-OAEP", "RSA1_5"};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/rsa/wrapkey"), algs[i]);
        EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/rsa//unwrapkey"), algs[i], w));
        CLEANUP_FREE char *cut = str_fmt("%.*s", (int)strlen(w) - 4, w);
        EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/rsa/unwrapkey"), algs[i], cut), 400,
                       "BadParameter", "");
    }
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/oct/wrapkey"), "A256KW");
    EXPECT_EQ(strlen(w), 54); /* 40 bytes */
    EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/oct/unwrapkey"), "a256kw", w));
    w[5] = w[5] == 'A' ? 'B' : 'A';
    EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/oct/unwrapkey"), "A256KW", w), 400, "BadParameter",
                   "");

    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/oct/unwrapkey"), "RSA-OAEP", w), 400);
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/rsa/unwrapkey"), "A256KW", w), 400);
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/rsa/unwrapkey"), "RSA-OAEP", "****"), 400);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/rsa/unwrapkey"), T, NULL), 400);
    EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/none/unwrapkey"), "A256KW", w), 404, "KeyNotFound",
                   "");
    keyvault_close(kv);
}

TEST(keyvault, a_disabled_key_answers_403_key_disabled_on_every_operation_and_200_on_get)
{
    struct keyvault *kv = fresh("disabled");
    make_key(kv, KV("kv1", "/keys/k/create"), OCT);
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");
    EXPECT_ANSWER(
        ask(kv, "PATCH", KV("kv1", "/keys/k/"), T, "{\"attributes\":{\"enabled\":false}}"), 200);

    const struct answer *a = unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w);
    EXPECT_REFUSAL(a, 403, "Forbidden", "KeyDisabled");
    EXPECT_STR(text_at(a, "error", "message"),
               "Operation unwrapKey is not allowed on a disabled key.");
    EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW", AEK), 403, "Forbidden",
                   "KeyDisabled");
    a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_ANSWER(a, 200);
    REQUIRE(json_is_false(json_at(a->body, "attributes", "enabled", NULL)));

    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":true}}"),
                  200);
    EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w));
    keyvault_close(kv);
}

TEST(keyvault, outside_its_time_a_key_does_not_wrap_but_unwraps)
{
    struct keyvault *kv = fresh("window");
    make_key(kv, KV("kv1", "/keys/k/create"), OCT);
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");
    static const struct {
        const char *patch, *inner;
    } cases[] = {{"{\"attributes\":{\"exp\":1000}}", "KeyExpired"},
                 {"{\"attributes\":{\"exp\":null,\"nbf\":99999999999}}", "KeyNotYetValid"}};
    for (int i = 0; i < 2; i++) {
        EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, cases[i].patch), 200);
        EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW", AEK), 403, "Forbidden",
                       cases[i].inner);
        EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w));
    }
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"nbf\":1}}"), 200);
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW", AEK), 200);
    keyvault_close(kv);
}

TEST(keyvault, an_operation_that_is_not_among_the_keys_is_refused)
{
    struct keyvault *kv = fresh("ops");
    make_key(kv, KV("kv1", "/keys/k/create"), "{\"kty\":\"oct\",\"key_ops\":[\"WRAPKEY\"]}");
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");
    const struct answer *a = unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w);
    EXPECT_REFUSAL(a, 403, "Forbidden", "");
    EXPECT_STR(text_at(a, "error", "message"), "Operation unwrapKey is not permitted on this key.");
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"key_ops\":[\"unwrapKey\"]}"), 200);
    EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w));
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW", AEK), 403);
    keyvault_close(kv);
}

TEST(keyvault, rotation_makes_a_version_and_the_old_one_still_unwraps)
{
    struct keyvault *kv = fresh("rotate");
    make_key(kv, KV("kv1", "/keys/k/create"),
             "{\"kty\":\"oct\",\"tags\":{\"t\":\"1\"},\"attributes\":{\"exp\":99999999999}}");
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL);
    CLEANUP_FREE char *first = keep(a, "key", "kid");
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");

    a = ask(kv, "POST", KV("kv1", "/keys/k/rotate"), T, NULL);
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *second = keep(a, "key", "kid");
    REQUIRE(!str_eq(first, second));
    EXPECT_STR(text_at(a, "tags", "t"), "1");
    REQUIRE(json_at(a->body, "attributes", "exp", NULL) == NULL);
    EXPECT_STR(text_at(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL), "key", "kid"), second);

    CLEANUP_FREE char *old = str_fmt("%s/unwrapkey?api-version=7.4", first + 8);
    CLEANUP_FREE char *new = str_fmt("%s/unwrapkey?api-version=7.4", second + 8);
    a = unwrap(kv, old, "A256KW", w);
    EXPECT_AEK(a);
    EXPECT_STR(json_get_str(a->body, "kid"), first);
    EXPECT_ANSWER(unwrap(kv, new, "A256KW", w), 400);

    /* Only the version that is named is disabled. */
    CLEANUP_FREE char *old_key = str_fmt("%s?api-version=7.4", first + 8);
    EXPECT_ANSWER(ask(kv, "PATCH", old_key, T, "{\"attributes\":{\"enabled\":false}}"), 200);
    EXPECT_REFUSAL(unwrap(kv, old, "A256KW", w), 403, "Forbidden", "KeyDisabled");
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW", AEK), 200);

    a = ask(kv, "GET", KV("kv1", "/keys/k/versions"), T, NULL);
    EXPECT_ANSWER(a, 200);
    const json_t *items = json_get(a->body, "value");
    EXPECT_EQ(json_array_size(items), 2);
    EXPECT_STR(json_get_str(json_array_get(items, 0), "kid"), first);
    EXPECT_STR(json_get_str(json_array_get(items, 1), "kid"), second);
    REQUIRE(json_is_null(json_object_get(a->body, "nextLink")));
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/none/rotate"), T, NULL), 404);
    keyvault_close(kv);
}

TEST(keyvault, lists_come_in_pages_that_miss_nothing)
{
    struct keyvault *kv = fresh("pages");
    for (int i = 0; i < 7; i++) {
        CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys/k%d/create?api-version=7.4", i);
        make_key(kv, url, OCT);
    }
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k3"), T, NULL), 200);
    char seen[64] = "";
    CLEANUP_FREE char *url = str_dup("kv1." SUFFIX "/keys?api-version=7.4&maxresults=2");
    int pages = 0;
    while (url != NULL) {
        const struct answer *a = ask(kv, "GET", url, T, NULL);
        EXPECT_ANSWER(a, 200);
        size_t i;
        json_t *item;
        json_array_foreach (json_get(a->body, "value"), i, item) {
            const char *kid = json_get_str(item, "kid");
            REQUIRE(str_starts(kid, "https://kv1." SUFFIX "/keys/k"));
            strcat(seen, strrchr(kid, '/') + 1);
        }
        const char *next = json_get_str(a->body, "nextLink");
        free(url);
        url = next != NULL ? str_dup(next + 8) : NULL;
        pages++;
    }
    EXPECT_STR(seen, "k0k1k2k4k5k6");
    EXPECT_EQ(pages, 3);
    EXPECT_ANSWER(ask(kv, "GET", "kv1." SUFFIX "/keys?api-version=7.4&maxresults=26", T, NULL),
                  400);
    keyvault_close(kv);
}

TEST(keyvault, a_deleted_key_is_gone_until_it_is_recovered)
{
    struct keyvault *kv = fresh("delete");
    make_key(kv, KV("kv1", "/keys/k/create"), OCT);
    CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");
    const struct answer *a = ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL);
    EXPECT_ANSWER(a, 200);
    EXPECT_STR(json_get_str(a->body, "recoveryId"), "https://kv1." SUFFIX "/deletedkeys/k");
    EXPECT_EQ(json_get_int(a->body, "scheduledPurgeDate", 0),
              json_get_int(a->body, "deletedDate", 0) + 90 * 86400);

    EXPECT_REFUSAL(ask(kv, "GET", KV("kv1", "/keys/k"), T, NULL), 404, "KeyNotFound", "");
    EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w), 404, "KeyNotFound", "");
    EXPECT_REFUSAL(ask(kv, "POST", KV("kv1", "/keys/k/create"), T, OCT), 409, "Conflict",
                   "ObjectIsDeletedButRecoverable");
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/k/rotate"), T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/deletedkeys/k"), T, NULL), 200);
    a = ask(kv, "GET", KV("kv1", "/deletedkeys"), T, NULL);
    EXPECT_EQ(json_array_size(json_get(a->body, "value")), 1);

    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/deletedkeys/k/recover"), T, NULL), 200);
    EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w));
    EXPECT_REFUSAL(ask(kv, "GET", KV("kv1", "/deletedkeys/k"), T, NULL), 404, "KeyNotFound", "");
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/deletedkeys/k/recover"), T, NULL), 404);

    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/k"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/k"), T, NULL), 204);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/deletedkeys/k"), T, NULL), 404);
    make_key(kv, KV("kv1", "/keys/k/create"), OCT);
    EXPECT_ANSWER(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", w), 400);
    keyvault_close(kv);
}

TEST(keyvault, purge_protection_refuses_purge)
{
    struct keyvault *kv = vault_open("purge");
    EXPECT_ANSWER(ask(kv, "PUT", VAULT("kv2") ARM, OWNER "@arm",
                      VAULT_BODY(POLICY(USER, "\"all\""), ",\"enablePurgeProtection\":true,"
                                                          "\"softDeleteRetentionInDays\":7")),
                  200);
    const struct answer *a = ask(kv, "POST", KV("kv2", "/keys/k/create"), T, OCT);
    EXPECT_STR(text_at(a, "attributes", "recoveryLevel"), "CustomizedRecoverable");
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv2", "/keys/k"), T, NULL), 200);
    EXPECT_REFUSAL(ask(kv, "DELETE", KV("kv2", "/deletedkeys/k"), T, NULL), 403, "Forbidden", "");
    EXPECT_ANSWER(ask(kv, "GET", KV("kv2", "/deletedkeys/k"), T, NULL), 200);
    keyvault_close(kv);
}

#define OLD(path, version) "kv1." SUFFIX path "?api-version=" version

TEST(keyvault, what_came_with_a_later_version_is_not_there_in_an_earlier_one)
{
    struct keyvault *kv = fresh("versions");
    make_key(kv, KV("kv1", "/keys/k/create"), OCT);
    static const struct {
        const char *method, *early, *late;
    } calls[] = {
        {"POST", OLD("/keys/k/rotate", "7.2"), OLD("/keys/k/rotate", "7.3")},
        {"GET", OLD("/keys/k/rotationpolicy", "7.0"), OLD("/keys/k/rotationpolicy", "7.3-preview")},
        {"POST", OLD("/rng", "7.1"), OLD("/rng", "2025-07-01")},
    };
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        const struct answer *a = ask(kv, calls[i].method, calls[i].early, T, "{\"count\":8}");
        EXPECT_REFUSAL(a, 400, "BadParameter", "");
        REQUIRE(strstr(a->text, "does not allow operation") != NULL);
        EXPECT_ANSWER(ask(kv, calls[i].method, calls[i].late, T, "{\"count\":8}"), 200);
    }
    const struct answer *a = ask(kv, "GET", OLD("/keys/k", "7.4"), T, NULL);
    REQUIRE(json_at(a->body, "attributes", "hsmPlatform", NULL) == NULL);
    a = ask(kv, "GET", OLD("/keys/k", "7.5"), T, NULL);
    EXPECT_STR(text_at(a, "attributes", "hsmPlatform"), "0");
    /* The last one is cut within a character, where it is repeated. */
    static const char *const bad[] = {
        "6.0",   "7",    "7.x", "7.10",
        "seven", "2025", "",    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CLEANUP_FREE char *url = str_fmt("kv1." SUFFIX "/keys/k?api-version=%s", bad[i]);
        EXPECT_REFUSAL(ask(kv, "GET", url, T, NULL), 400, "BadParameter", "");
    }
    keyvault_close(kv);
}

TEST(keyvault, tags_that_were_taken_away_are_not_shown)
{
    struct keyvault *kv = fresh("tags");
    make_key(kv, KV("kv1", "/keys/k/create"), "{\"kty\":\"oct\",\"tags\":{\"a\":\"b\"}}");
    const struct answer *a = ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"tags\":{\"c\":\"d\"}}");
    EXPECT_STR(text_at(a, "tags", "c"), "d");
    REQUIRE(json_at(a->body, "tags", "a", NULL) == NULL);
    a = ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"tags\":{}}");
    EXPECT_ANSWER(a, 200);
    REQUIRE(json_get(a->body, "tags") == NULL);
    keyvault_close(kv);
}

TEST(keyvault, state_survives_reopening_and_a_kill_after_each_answer)
{
    CLEANUP_FREE char *progress = str_fmt("%s/progress", test_dir());
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct keyvault *kv = fresh("kill");
        make_key(kv, KV("kv1", "/keys/k/create"), OCT);
        CLEANUP_FREE char *w = wrap(kv, KV("kv1", "/keys/k/wrapkey"), "A256KW");
        EXPECT_ANSWER(
            ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":false}}"), 200);
        int fd = open(progress, O_WRONLY | O_CREAT, 0600);
        if (write(fd, w, strlen(w)) != (ssize_t)strlen(w)) _exit(1);
        kill(getpid(), SIGKILL);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf w = {0};
    REQUIRE_OK(os_read_file(progress, 4096, &w, &d));

    for (int round = 0; round < 2; round++) {
        struct keyvault *kv = vault_open("kill");
        EXPECT_REFUSAL(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", buf_cstr(&w)), 403,
                       "Forbidden", "KeyDisabled");
        EXPECT_ANSWER(
            ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":true}}"), 200);
        EXPECT_AEK(unwrap(kv, KV("kv1", "/keys/k/unwrapkey"), "A256KW", buf_cstr(&w)));
        EXPECT_ANSWER(
            ask(kv, "PATCH", KV("kv1", "/keys/k"), T, "{\"attributes\":{\"enabled\":false}}"), 200);
        keyvault_close(kv);
    }
}

TEST(keyvault, the_platform_key_is_made_once_and_only_its_principal_may_use_it)
{
    struct diag d = DIAG_INIT;
    struct keyvault *kv = vault_open("platform");
    REQUIRE_OK(keyvault_ensure_platform(kv, USER, &d));
    const struct answer *a = ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), T, NULL);
    EXPECT_ANSWER(a, 200);
    CLEANUP_FREE char *kid = keep(a, "key", "kid");
    EXPECT_STR(text_at(a, "attributes", "recoveryLevel"), "Recoverable");
    CLEANUP_FREE char *w = wrap(kv, KV(KEYVAULT_PLATFORM, "/keys/pmk/wrapkey"), "A256KW");
    keyvault_close(kv);

    kv = vault_open("platform");
    REQUIRE_OK(keyvault_ensure_platform(kv, USER, &d));
    EXPECT_STR(text_at(ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), T, NULL), "key", "kid"),
               kid);
    EXPECT_AEK(unwrap(kv, KV(KEYVAULT_PLATFORM, "/keys/pmk/unwrapkey"), "A256KW", w));
    EXPECT_REFUSAL(ask(kv, "DELETE", KV(KEYVAULT_PLATFORM, "/keys/pmk"), T, NULL), 403, "Forbidden",
                   "AccessDenied");
    EXPECT_REFUSAL(ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), OWNER "@kv", NULL), 403,
                   "Forbidden", "AccessDenied");

    /* Another principal takes its place. */
    REQUIRE_OK(keyvault_ensure_platform(kv, OTHER, &d));
    EXPECT_ANSWER(ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), T, NULL), 403);
    EXPECT_ANSWER(ask(kv, "GET", KV(KEYVAULT_PLATFORM, "/keys/pmk"), OTHER "@kv", NULL), 200);
    keyvault_close(kv);
}
