/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/client.c - the vault client against the vault service, over TLS: what keyd
 * will see */
#include "keyvault_test.h"
#include "net/net_test.h"

#include "vault/vault.h"

struct house {
    struct keyvault *kv;
    struct http_server *server;
    struct http_client *http;
    char suffix[64];
    const char *hosts[2];
    void *vault; /* the client's handle on key k of kv1 */
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct house *h = ctx;
    keyvault_handle(h->kv, req, res);
}

static enum err token(void *ctx, const char *resource, bool is_fresh, struct buf *out,
                      int64_t *expires_us, struct diag *d)
{
    struct house *h = ctx;
    (void)is_fresh, (void)d;
    REQUIRE(str_ends(resource, h->suffix));
    buf_str(out, USER "@kv");
    *expires_us = time_now_us() + 3600 * US_PER_S;
    return OK;
}

static void house_open(struct house *h, const char *name)
{
    struct diag d = DIAG_INIT;
    *h = (struct house){0};
    h->server = serve((struct http_server_config){.handler = handle, .ctx = h}, true);
    snprintf(h->suffix, sizeof h->suffix, "vault.localhost:%u", http_server_port(h->server));
    h->hosts[0] = h->suffix;
    struct keyvault_config c = usual_config();
    c.suffix = h->suffix;
    c.faults = true;
    h->kv = vault_open_as(name, c);
    make_vault(h->kv, VAULT("kv1") ARM);

    REQUIRE_OK(http_client_new(&h->http, in_dir("ca.pem"), &d));
    struct vault_config vc = {.http = h->http, .hosts = h->hosts, .token = token, .ctx = h};
    CLEANUP_FREE char *uri = str_fmt("https://kv1.%s/keys/k", h->suffix);
    REQUIRE_OK(vault_azure.open(&h->vault, &vc, uri, &d));
}

static void house_close(struct house *h)
{
    vault_azure.close(h->vault);
    http_client_free(h->http);
    http_server_stop(h->server);
    keyvault_close(h->kv);
}

/* A call of the owner of the keys, past the client. */
static void as_owner(struct house *h, const char *method, const char *path, const char *body)
{
    CLEANUP_FREE char *url = str_fmt("kv1.%s%s?api-version=7.4", h->suffix, path);
    EXPECT_ANSWER(ask(h->kv, method, url, USER "@kv", body), 200);
}

static const struct vault_call now = {0};
static const uint8_t aek[32] = {1, 2, 3};

static enum err unwrap(struct house *h, const struct vault_wrapped *w, const char *alg,
                       struct diag *d)
{
    CLEANUP(secret_free) struct secret *s = NULL;
    diag_reset(d);
    TRY(vault_azure.unwrap(h->vault, &now, w->version, alg, buf_view(&w->blob), &s, d));
    REQUIRE(secret_eq(secret_view(s), BYTES_OF(aek)));
    return OK;
}

#define EXPECT_VERDICT(call, verdict, tag_)                                               \
    do {                                                                                  \
        enum err e_ = (call);                                                             \
        if (vault_verdict(e_, &d) != (verdict)) fail_msg("%s: %s", err_name(e_), d.text); \
        EXPECT_STR(d.tag, tag_);                                                          \
    } while (0)

TEST(client, a_key_is_described_wraps_here_or_there_and_unwraps)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h, "describe");
    as_owner(&h, "POST", "/keys/k/create", "{\"kty\":\"RSA\",\"key_size\":2048}");
    CLEANUP_VAULT_KEY struct vault_key k = {0};
    REQUIRE_OK(vault_azure.describe(h.vault, &now, "", &k, &d));
    EXPECT_STR(k.kty, "RSA");
    EXPECT_STR(k.recovery_level, "Recoverable+Purgeable");
    REQUIRE(k.enabled && k.can_wrap && k.can_unwrap && k.exp == 0);
    EXPECT_EQ(strlen(k.version), 32);

    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0}, local = {0};
    const char *alg = vault_wrap_alg(k.kty);
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", alg, BYTES_OF(aek), &w, &d));
    EXPECT_STR(w.version, k.version);
    EXPECT_STR(w.kid, k.kid);
    REQUIRE_OK(unwrap(&h, &w, alg, &d));

    CLEANUP(rsa_free) struct rsa_key *pub = NULL;
    REQUIRE_OK(rsa_public(&pub, buf_view(&k.n), buf_view(&k.e), &d));
    REQUIRE_OK(rsa_encrypt(pub, RSA_OAEP_SHA256, BYTES_OF(aek), &local.blob, &d));
    memcpy(local.version, k.version, sizeof local.version);
    REQUIRE_OK(unwrap(&h, &local, alg, &d));

    local.blob.p[9] ^= 1; /* damage is no denial */
    EXPECT_VERDICT(unwrap(&h, &local, alg, &d), VAULT_BARRED, "BadRequest");
    house_close(&h);
}

TEST(client, each_way_to_revoke_is_a_denial_and_its_undoing_is_not)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h, "revoke");
    as_owner(&h, "POST", "/keys/k/create", "{\"kty\":\"oct\"}");
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0}, w2 = {0};
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &w, &d));
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));

    as_owner(&h, "PATCH", "/keys/k", "{\"attributes\":{\"enabled\":false}}");
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_DENIED, "KeyDisabled");
    as_owner(&h, "PATCH", "/keys/k", "{\"attributes\":{\"enabled\":true}}");
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));

    as_owner(&h, "PATCH", "/keys/k", "{\"key_ops\":[\"wrapKey\"]}");
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_DENIED, "OperationNotPermitted");
    as_owner(&h, "PATCH", "/keys/k",
             "{\"key_ops\":[\"wrapKey\",\"unwrapKey\"],\"attributes\":{\"exp\":1}}");
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d)); /* expired keys unwrap */
    diag_reset(&d);
    EXPECT_VERDICT(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &w2, &d),
                   VAULT_DENIED, "KeyExpired");

    as_owner(&h, "DELETE", "/keys/k", NULL);
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_DENIED, "KeyNotFound");
    as_owner(&h, "POST", "/deletedkeys/k/recover", NULL);
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));

    EXPECT_ANSWER(ask(h.kv, "PUT", VAULT("kv1") ARM, OWNER "@arm", VAULT_BODY("", "")), 200);
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_DENIED, "AccessDenied");
    EXPECT_ANSWER(ask(h.kv, "PUT", VAULT("kv1") ARM, OWNER "@arm",
                      VAULT_BODY("", ",\"enableRbacAuthorization\":true")),
                  200);
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_DENIED, "ForbiddenByRbac");
    make_vault(h.kv, VAULT("kv1") ARM);
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));

    EXPECT_ANSWER(ask(h.kv, "DELETE", VAULT("kv1") ARM, OWNER "@arm", NULL), 200);
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_BARRED, "NoSuchVault");
    house_close(&h);
}

TEST(client, an_identity_service_that_is_away_is_no_denial)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h, "away");
    as_owner(&h, "POST", "/keys/k/create", "{\"kty\":\"oct\"}");
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &w, &d));
    identity_away = true;
    EXPECT_VERDICT(unwrap(&h, &w, "A256KW", &d), VAULT_NO_ANSWER, "ServerError");
    identity_away = false;
    REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));
    house_close(&h);
}

TEST(client, after_a_rotation_old_wraps_open_under_their_own_version)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h, "rotation");
    as_owner(&h, "POST", "/keys/k/create", "{\"kty\":\"oct\"}");
    CLEANUP_VAULT_WRAPPED struct vault_wrapped old = {0}, new = {0};
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &old, &d));
    as_owner(&h, "POST", "/keys/k/rotate", NULL);
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &new, &d));
    REQUIRE(!str_eq(old.version, new.version));
    REQUIRE_OK(unwrap(&h, &old, "A256KW", &d));
    REQUIRE_OK(unwrap(&h, &new, "A256KW", &d));
    memcpy(new.version, old.version, sizeof new.version);
    EXPECT_VERDICT(unwrap(&h, &new, "A256KW", &d), VAULT_BARRED, "BadRequest");
    house_close(&h);
}

static void order(struct house *h, const char *kind)
{
    CLEANUP_FREE char *body = str_fmt(
        "{\"kind\":\"%s\",\"vault\":\"kv1\",\"operation\":\"KeyUnwrap\",\"retryAfter\":0}", kind);
    EXPECT_ANSWER(ask(h->kv, "POST", "localhost:8444/admin/faults", OWNER "@arm", body), 201);
}

/* Over a real connection: only the vault's word counts, and a broken answer is none. */
TEST(client, of_all_faults_only_a_denial_is_taken_for_the_customers_word)
{
    struct diag d = DIAG_INIT;
    struct house h;
    house_open(&h, "faults");
    as_owner(&h, "POST", "/keys/k/create", "{\"kty\":\"oct\"}");
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    REQUIRE_OK(vault_azure.wrap(h.vault, &now, "", "A256KW", BYTES_OF(aek), &w, &d));
    static const struct {
        const char *kind;
        enum vault_verdict verdict;
        int64_t patience_us; /* only who hangs is left before his time */
    } cases[] = {{"deny", VAULT_DENIED, 120 * US_PER_S}, {"throttle", VAULT_NO_ANSWER, 1500000},
                 {"error", VAULT_NO_ANSWER, 1500000},    {"reset", VAULT_NO_ANSWER, 1500000},
                 {"half", VAULT_NO_ANSWER, 1500000},     {"hang", VAULT_NO_ANSWER, 1500000},
                 {"tls", VAULT_NO_ANSWER, 1500000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        order(&h, cases[i].kind);
        const struct vault_call soon = {.deadline_us = time_mono_us() + cases[i].patience_us};
        CLEANUP(secret_free) struct secret *s = NULL;
        diag_reset(&d);
        enum err e =
            vault_azure.unwrap(h.vault, &soon, w.version, "A256KW", buf_view(&w.blob), &s, &d);
        if (vault_verdict(e, &d) != cases[i].verdict)
            fail_msg("%s: %s %s", cases[i].kind, err_name(e), d.text);
        EXPECT_ANSWER(ask(h.kv, "DELETE", "localhost:8444/admin/faults", OWNER "@arm", NULL), 204);
        REQUIRE_OK(unwrap(&h, &w, "A256KW", &d));
    }
    house_close(&h);
}
