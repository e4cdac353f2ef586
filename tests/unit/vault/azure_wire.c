/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/vault/azure_wire.c - what is sent where, and what each answer means */
#include "test.h"

#include "base/str.h"
#include "vault/azure_wire.h"

#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

TEST(vault, only_an_absolute_https_uri_of_a_key_is_taken)
{
    struct diag d = DIAG_INIT;
    struct azure_key_uri u;
    REQUIRE_OK(azure_key_uri_parse("https://KV1.vault.localhost:8444/keys/k-1/0123abcd", &u, &d));
    EXPECT_STR(u.base, "https://kv1.vault.localhost:8444");
    EXPECT_STR(u.name, "k-1");
    EXPECT_STR(u.version, "0123abcd");
    REQUIRE_OK(azure_key_uri_parse("https://kv1.vault.azure.net:443/keys/k", &u, &d));
    EXPECT_STR(u.base, "https://kv1.vault.azure.net");
    EXPECT_STR(u.version, "");
    REQUIRE_OK(azure_key_uri_parse("https://kv1.vault.azure.net/keys/k/", &u, &d));

    static const char *const bad[] = {"",
                                      "kv1.vault.azure.net/keys/k",
                                      "http://kv1.vault.azure.net/keys/k",
                                      "https://user@kv1.vault.azure.net/keys/k",
                                      "https://evil.example@kv1.vault.azure.net/keys/k",
                                      "https://127.0.0.1/keys/k",
                                      "https://[::1]/keys/k",
                                      "https://kv1.vault.azure.net",
                                      "https://kv1.vault.azure.net/",
                                      "https://kv1.vault.azure.net/keys",
                                      "https://kv1.vault.azure.net/keys/",
                                      "https://kv1.vault.azure.net/secrets/k",
                                      "https://kv1.vault.azure.net/keys/k/v/more",
                                      "https://kv1.vault.azure.net/keys/k/v?x=1",
                                      "https://kv1.vault.azure.net/keys/../k",
                                      "https://kv1.vault.azure.net/keys/k%2f",
                                      "https://kv1.vault.azure.net/keys//k",
                                      "https://kv1.vault.azure.net/keys/k#v",
                                      "https://kv1.vault.azure.net\\@evil.example/keys/k",
                                      "//kv1.vault.azure.net/keys/k"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        diag_reset(&d);
        if (azure_key_uri_parse(bad[i], &u, &d) != ERR_INVALID) fail_msg("taken: %s", bad[i]);
    }
}

static bool allowed(const char *url)
{
    static const char *const hosts[] = {"vault.localhost:8444", "Vault.Azure.Net", NULL};
    struct url u;
    return url_parse(url, &u, NULL) == OK && azure_host_allowed(&u, hosts);
}

TEST(vault, a_host_is_allowed_by_whole_labels_and_by_its_port)
{
    REQUIRE(allowed("https://kv1.vault.localhost:8444"));
    REQUIRE(!allowed("https://kv1.vault.localhost"));
    REQUIRE(!allowed("https://kv1.vault.localhost:8445"));
    REQUIRE(!allowed("https://evilvault.localhost:8444"));
    REQUIRE(allowed("https://kv1.vault.azure.net"));
    REQUIRE(allowed("https://kv1.VAULT.azure.net:443"));
    REQUIRE(!allowed("https://kv1.vault.azure.net:8444"));
    REQUIRE(!allowed("https://kv1.vault.azure.net.evil.example"));
    REQUIRE(!allowed("https://evil.example"));
}

static const char *challenge(const char *header)
{
    static const char *const hosts[] = {"vault.localhost:8444", NULL};
    static char resource[AZURE_RESOURCE_MAX];
    struct diag d = DIAG_INIT;
    struct url u;
    REQUIRE_OK(url_parse("https://kv1.vault.localhost:8444/keys/k", &u, &d));
    enum err e = azure_challenge(header, &u, hosts, resource, &d);
    if (e == OK) return resource;
    EXPECT_EQ(e, ERR_UNAVAILABLE);
    return str_eq(d.tag, "BadAnswer") ? "bad" : str_eq(d.tag, "NoChallenge") ? "none" : "?";
}

TEST(vault, a_token_is_asked_for_only_for_the_vaults_own_resource)
{
    const char *ours = "https://vault.localhost:8444";
    EXPECT_STR(challenge("Bearer authorization=\"https://localhost:8443/t\", "
                         "resource=\"https://vault.localhost:8444\""),
               ours);
    EXPECT_STR(challenge("bearer resource=https://vault.localhost:8444"), ours);
    EXPECT_STR(
        challenge(
            "Bearer authorization=\"x, y=z\",scope=\"https://vault.localhost:8444/.default\""),
        ours);
    EXPECT_STR(challenge("Bearer RESOURCE=\"https://vault.localhost:8444/\", error=\"x\""),
               "https://vault.localhost:8444/");

    EXPECT_STR(challenge(NULL), "none");
    EXPECT_STR(challenge("Basic realm=x"), "none");
    EXPECT_STR(challenge("Bearer authorization=\"https://a\""), "none");
    EXPECT_STR(challenge("Bearer resource=\"https://vault.localhost:8444"), "none");
    static const char *const strangers[] = {"https://evil.example",
                                            "https://vault.azure.net",
                                            "https://vault.localhost",
                                            "https://vault.localhost:8443",
                                            "https://localhost:8444",
                                            "http://vault.localhost:8444",
                                            "https://kv2.vault.localhost:8444",
                                            "https://evilvault.localhost:8444",
                                            "https://vault.localhost:8444/x",
                                            "https://vault.localhost:8444?x",
                                            "https://x@vault.localhost:8444",
                                            "vault.localhost:8444"};
    for (size_t i = 0; i < COUNT(strangers); i++) {
        CLEANUP_FREE char *header = str_fmt("Bearer resource=\"%s\"", strangers[i]);
        if (!str_eq(challenge(header), "bad")) fail_msg("accepted: %s", strangers[i]);
    }
}

struct answer_case {
    enum azure_op op;
    int status;
    const char *code, *inner, *message;
    enum err err;
    const char *tag;
    enum vault_verdict verdict;
};

static const struct answer_case answers[] = {
    {AZURE_UNWRAP, 403, "Forbidden", "AccessDenied", "", ERR_DENIED, "AccessDenied", VAULT_DENIED},
    {AZURE_UNWRAP, 403, "Forbidden", "ForbiddenByRbac", "", ERR_DENIED, "ForbiddenByRbac",
     VAULT_DENIED},
    {AZURE_UNWRAP, 403, "Forbidden", "KeyDisabled", "", ERR_DENIED, "KeyDisabled", VAULT_DENIED},
    {AZURE_UNWRAP, 404, "KeyNotFound", "", "", ERR_DENIED, "KeyNotFound", VAULT_DENIED},
    {AZURE_UNWRAP, 403, "Forbidden", "", "Operation unwrapKey is not permitted on this key.",
     ERR_DENIED, "OperationNotPermitted", VAULT_DENIED},
    {AZURE_UNWRAP, 403, "Forbidden", "", "Operation unwrapKey is not allowed on a disabled key.",
     ERR_DENIED, "KeyDisabled", VAULT_DENIED},
    {AZURE_WRAP, 403, "Forbidden", "KeyExpired", "", ERR_DENIED, "KeyExpired", VAULT_DENIED},
    {AZURE_WRAP, 403, "Forbidden", "KeyNotYetValid", "", ERR_DENIED, "KeyNotYetValid",
     VAULT_DENIED},
    {AZURE_UNWRAP, 403, "Forbidden", "KeyExpired", "", ERR_UNAVAILABLE, "Ambiguous", VAULT_BARRED},
    {AZURE_UNWRAP, 403, "Forbidden", "ForbiddenByFirewall", "", ERR_UNAVAILABLE, "Firewall",
     VAULT_BARRED},
    {AZURE_UNWRAP, 403, "Forbidden", "ForbiddenByConnection", "", ERR_UNAVAILABLE, "Firewall",
     VAULT_BARRED},
    {AZURE_UNWRAP, 403, "Forbidden", "Whatever", "", ERR_UNAVAILABLE, "Ambiguous", VAULT_BARRED},
    {AZURE_UNWRAP, 400, "BadParameter", "", "", ERR_UNAVAILABLE, "BadRequest", VAULT_BARRED},
    {AZURE_UNWRAP, 404, "VaultNotFound", "", "", ERR_UNAVAILABLE, "NoSuchVault", VAULT_BARRED},
    {AZURE_UNWRAP, 404, "NotFound", "", "", ERR_UNAVAILABLE, "Ambiguous", VAULT_BARRED},
    {AZURE_UNWRAP, 409, "Conflict", "", "", ERR_UNAVAILABLE, "Ambiguous", VAULT_BARRED},
    {AZURE_UNWRAP, 429, "Throttled", "", "", ERR_UNAVAILABLE, "Throttled", VAULT_NO_ANSWER},
    {AZURE_UNWRAP, 408, "", "", "", ERR_UNAVAILABLE, "ServerError", VAULT_NO_ANSWER},
    {AZURE_UNWRAP, 500, "KeyDisabled", "KeyDisabled", "", ERR_UNAVAILABLE, "ServerError",
     VAULT_NO_ANSWER},
    {AZURE_UNWRAP, 503, "", "AccessDenied", "", ERR_UNAVAILABLE, "ServerError", VAULT_NO_ANSWER},
    {AZURE_UNWRAP, 302, "", "", "", ERR_UNAVAILABLE, "Redirect", VAULT_NO_ANSWER},
    {AZURE_UNWRAP, 204, "", "", "", ERR_UNAVAILABLE, "BadAnswer", VAULT_NO_ANSWER},
};

TEST(vault, each_refusal_means_what_keys_md_says)
{
    for (size_t i = 0; i < COUNT(answers); i++) {
        const struct answer_case *c = &answers[i];
        CLEANUP_FREE char *body = str_fmt(
            "{\"error\":{\"code\":\"%s\",\"message\":\"%s\",\"innererror\":{\"code\":\"%s\"}}}",
            c->code, c->message, c->inner);
        struct diag d = DIAG_INIT;
        enum err e = azure_refusal(c->op, c->status, bytes_str(body), &d);
        if (e != c->err || !str_eq(d.tag, c->tag) || vault_verdict(e, &d) != c->verdict) {
            fail_msg("%d %s %s: %s %s", c->status, c->code, c->inner, err_name(e), d.tag);
        }
    }
}

TEST(vault, a_403_or_404_that_is_no_key_vaults_is_no_denial)
{
    static const char *const bodies[] = {"",
                                         "<html>Forbidden</html>",
                                         "[]",
                                         "{\"error\":\"KeyDisabled\"}",
                                         "{\"error\":{\"innererror\":\"KeyDisabled\"}}",
                                         "{",
                                         "null"};
    for (size_t i = 0; i < COUNT(bodies); i++) {
        for (int status = 403; status <= 404; status++) {
            struct diag d = DIAG_INIT;
            EXPECT_EQ(azure_refusal(AZURE_UNWRAP, status, bytes_str(bodies[i]), &d),
                      ERR_UNAVAILABLE);
            EXPECT_STR(d.tag, "Ambiguous");
        }
    }
}

static const struct azure_key_uri *asked(const char *version)
{
    static struct azure_key_uri u;
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *text = str_fmt("https://kv1.vault.localhost:8444/keys/k%s", version);
    REQUIRE_OK(azure_key_uri_parse(text, &u, &d));
    return &u;
}

TEST(vault, an_answer_about_another_key_or_version_is_none)
{
    static const char *const kids[] = {"https://kv2.vault.localhost:8444/keys/k/aa",
                                       "https://kv1.vault.localhost/keys/k/aa",
                                       "https://kv1.vault.localhost:8444/keys/other/aa",
                                       "https://kv1.vault.localhost:8444/keys/k",
                                       "https://kv1.vault.localhost:8444/keys/k/bb",
                                       "k/aa",
                                       ""};
    for (size_t i = 0; i < COUNT(kids); i++) {
        CLEANUP_FREE char *body = str_fmt("{\"kid\":\"%s\",\"value\":\"AAAA\"}", kids[i]);
        struct diag d = DIAG_INIT;
        struct vault_wrapped w;
        EXPECT_EQ(azure_read_result(bytes_str(body), asked("/aa"), &w, &d), ERR_UNAVAILABLE);
        EXPECT_STR(d.tag, "BadAnswer");
    }
    struct diag d = DIAG_INIT;
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    struct bytes good =
        BYTES("{\"kid\":\"https://kv1.vault.localhost:8444/keys/k/aa\",\"value\":\"_-8\"}");
    REQUIRE_OK(azure_read_result(good, asked(""), &w, &d));
    EXPECT_STR(w.version, "aa");
    REQUIRE(bytes_eq(buf_view(&w.blob), BYTES("\xff\xef")));
}

TEST(vault, a_key_is_described_with_what_keyd_must_know)
{
    struct diag d = DIAG_INIT;
    struct bytes body = BYTES("{\"key\":{\"kid\":\"https://kv1.vault.localhost:8444/keys/k/"
                              "aa\",\"kty\":\"RSA\",\"key_ops\":["
                              "\"encrypt\",\"wrapKey\"],\"n\":\"wAE\",\"e\":\"AQAB\"},"
                              "\"attributes\":{\"enabled\":false,\"nbf\":5,"
                              "\"exp\":7,\"recoveryLevel\":\"Recoverable\"}}");
    CLEANUP_VAULT_KEY struct vault_key k = {0};
    REQUIRE_OK(azure_read_key(body, asked(""), &k, &d));
    EXPECT_STR(k.version, "aa");
    EXPECT_STR(k.kty, "RSA");
    EXPECT_STR(vault_wrap_alg(k.kty), "RSA-OAEP-256");
    EXPECT_STR(k.recovery_level, "Recoverable");
    REQUIRE(k.can_wrap && !k.can_unwrap && !k.enabled);
    EXPECT_EQ(k.nbf, 5);
    EXPECT_EQ(k.exp, 7);
    REQUIRE(bytes_eq(buf_view(&k.e), BYTES("\x01\x00\x01")));
}
