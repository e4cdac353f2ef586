/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/keyvault/providers.c - what keyd may expect of every provider: one suite, run against
 * all of them
 *
 *      software   Keystead's vault with software keys, over HTTPS
 *      hsm        Keystead's vault with keys in a token, over HTTPS
 *      pkcs11     the token itself
 */
#include "keyvault_test.h"
#include "net/net_test.h"
#include "softhsm_test.h"

#include "vault/vault.h"

static struct diag d = DIAG_INIT;

#define PREMIUM                                                                       \
    "{\"location\":\"West Europe\",\"properties\":{\"tenantId\":\"" TENANT            \
    "\",\"sku\":{\"family\":\"A\",\"name\":\"premium\"},\"accessPolicies\":[" POLICY( \
        USER, "\"all\"") "]}}"

struct shop {
    const char *name;
    bool hsm; /* keys in the token */
    /* of the vaults */
    struct keyvault *kv;
    struct http_server *server;
    struct http_client *http;
    char suffix[64];
    const char *hosts[2];
    const struct vault_ops *ops;
    void *vault; /* a handle on the key "k" */
    unsigned versions;
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
    keyvault_handle(((struct shop *)ctx)->kv, req, res);
}

static enum err token_of(void *ctx, const char *resource, bool is_fresh, struct buf *out,
                         int64_t *expires_us, struct diag *why)
{
    (void)ctx, (void)is_fresh, (void)why, (void)resource;
    buf_str(out, USER "@kv");
    *expires_us = time_now_us() + 3600 * US_PER_S;
    return OK;
}

static bool is_vault(const struct shop *s)
{
    return !str_eq(s->name, "pkcs11");
}

static struct vault_config config_of(struct shop *s)
{
    return (struct vault_config){.http = s->http,
                                 .hosts = s->hosts,
                                 .token = token_of,
                                 .ctx = s,
                                 .hsm = is_vault(s) ? NULL : softhsm_token()};
}

static char *uri_of(const struct shop *s)
{
    if (!is_vault(s)) return vault_key_uri("pkcs11:token=keystead%20test", "providers/k");
    CLEANUP_FREE char *base = str_fmt("https://kv1.%s/", s->suffix);
    return vault_key_uri(base, "k");
}

static void open_vault(struct shop *s)
{
    s->server = serve((struct http_server_config){.handler = handle, .ctx = s}, true);
    snprintf(s->suffix, sizeof s->suffix, "vault.localhost:%u", http_server_port(s->server));
    static unsigned opened;
    CLEANUP_FREE char *name = str_fmt("providers-%u", ++opened);
    struct keyvault_config c = usual_config();
    c.suffix = s->suffix;
    c.token = s->hsm ? softhsm_token() : NULL;
    s->kv = vault_open_as(name, c);
    EXPECT_ANSWER(ask(s->kv, "PUT", VAULT("kv1") ARM, OWNER "@arm", PREMIUM), 200);
    REQUIRE_OK(http_client_new(&s->http, in_dir("ca.pem"), &d));
}

/* A handle, and no key yet. */
static struct shop *shop_open(const char *name)
{
    static struct shop s;
    log_set_level(LOG_ERROR + 1);
    s = (struct shop){.name = name, .hsm = !str_eq(name, "software")};
    if (is_vault(&s)) open_vault(&s);
    s.hosts[0] = s.suffix;
    CLEANUP_FREE char *uri = uri_of(&s);
    s.ops = vault_find(uri);
    const struct vault_config c = config_of(&s);
    REQUIRE_OK(s.ops->open(&s.vault, &c, uri, &d));
    return &s;
}

static void shop_close(struct shop *s)
{
    s->ops->close(s->vault);
    http_client_free(s->http);
    if (s->server != NULL) http_server_stop(s->server);
    keyvault_close(s->kv);
}

static const struct token_name all_of_them = {.label = "providers/k"};

/* A new version of the key; the first makes the key. kty: "RSA" or "oct". */
static void renew(struct shop *s, const char *kty)
{
    if (is_vault(s)) {
        CLEANUP_FREE char *url = str_fmt("kv1.%s/keys/k/create?api-version=7.4", s->suffix);
        CLEANUP_FREE char *body = str_fmt("{\"kty\":\"%s%s\"}", kty, s->hsm ? "-HSM" : "");
        EXPECT_ANSWER(ask(s->kv, "POST", url, USER "@kv", body), 200);
        return;
    }
    uint8_t id[2] = {7, (uint8_t)++s->versions};
    const struct token_name name = {.id = BYTES_OF(id), .label = "providers/k"};
    CLEANUP_BUF struct buf n = {0}, e = {0};
    if (str_eq(kty, "oct")) {
        REQUIRE_OK(token_make_aes(softhsm_token(), &name, 256, &d));
    } else {
        REQUIRE_OK(token_make_rsa(softhsm_token(), &name, 2048, &n, &e, &d));
    }
}

static void destroy(struct shop *s)
{
    if (!is_vault(s)) {
        REQUIRE_OK(token_destroy(softhsm_token(), &all_of_them, &d));
        return;
    }
    CLEANUP_FREE char *url = str_fmt("kv1.%s/keys/k?api-version=7.4", s->suffix);
    EXPECT_ANSWER(ask(s->kv, "DELETE", url, USER "@kv", NULL), 200);
}

static const char *const shops[] = {"software", "hsm", "pkcs11"};
static const char *const kinds[] = {"RSA", "oct"};

/* Runs the block for each provider and kind of key. */
#define EACH_SHOP(s, kty)                                                                      \
    for (int shop_ = 0; shop_ < 6; shop_++)                                                    \
        for (struct shop *s = shop_open(shops[shop_ / 2]); s != NULL; shop_close(s), s = NULL) \
            for (const char *kty = kinds[shop_ % 2]; kty != NULL; kty = NULL)

static const struct vault_call now = {0};
static const uint8_t aek[32] = {1, 2, 3};

static enum err unwrap(struct shop *s, const struct vault_wrapped *w, const char *alg)
{
    CLEANUP(secret_free) struct secret *plain = NULL;
    diag_reset(&d);
    TRY(s->ops->unwrap(s->vault, &now, w->version, alg, buf_view(&w->blob), &plain, &d));
    REQUIRE(secret_eq(secret_view(plain), BYTES_OF(aek)));
    return OK;
}

#define EXPECT_VERDICT(call, verdict, tag_)                                           \
    do {                                                                              \
        enum err e_ = (call);                                                         \
        if (vault_verdict(e_, &d) != (verdict) || !str_eq(d.tag, tag_))               \
            fail_msg("%s, %s: %s %s: %s", s->name, kty, err_name(e_), d.tag, d.text); \
    } while (0)

TEST(provider, describes_a_key_and_what_it_wraps_it_opens)
{
    EACH_SHOP(s, kty)
    {
        renew(s, kty);
        CLEANUP_VAULT_KEY struct vault_key k = {0};
        REQUIRE_OK(s->ops->describe(s->vault, &now, "", &k, &d));
        REQUIRE(k.enabled && k.can_wrap && k.can_unwrap && k.version[0] != 0);
        EXPECT_EQ(str_ends(k.kty, "-HSM"), s->hsm);
        EXPECT_EQ(k.n.len != 0, str_eq(kty, "RSA"));
        const char *alg = vault_wrap_alg(k.kty);
        CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
        REQUIRE_OK(s->ops->wrap(s->vault, &now, "", alg, BYTES_OF(aek), &w, &d));
        EXPECT_STR(w.kid, k.kid);
        EXPECT_STR(w.version, k.version);
        REQUIRE_OK(unwrap(s, &w, alg));

        CLEANUP_FREE char *uri = NULL, *want = uri_of(s);
        char version[VAULT_VERSION_MAX];
        REQUIRE_OK(vault_kid_split(k.kid, &uri, version, &d));
        EXPECT_STR(uri, want);
        EXPECT_STR(version, k.version);
        destroy(s);
    }
}

TEST(provider, damage_is_no_denial)
{
    EACH_SHOP(s, kty)
    {
        renew(s, kty);
        const char *alg = vault_wrap_alg(kty);
        CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
        REQUIRE_OK(s->ops->wrap(s->vault, &now, "", alg, BYTES_OF(aek), &w, &d));
        w.blob.p[9] ^= 1;
        EXPECT_VERDICT(unwrap(s, &w, alg), VAULT_BARRED, "BadRequest");
        buf_shrink(&w.blob, w.blob.len - 1);
        EXPECT_VERDICT(unwrap(s, &w, alg), VAULT_BARRED, "BadRequest");
        destroy(s);
    }
}

TEST(provider, a_key_that_is_gone_is_a_denial)
{
    EACH_SHOP(s, kty)
    {
        struct vault_key k;
        diag_reset(&d);
        EXPECT_VERDICT(s->ops->describe(s->vault, &now, "", &k, &d), VAULT_DENIED, "KeyNotFound");
        renew(s, kty);
        const char *alg = vault_wrap_alg(kty);
        CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
        REQUIRE_OK(s->ops->wrap(s->vault, &now, "", alg, BYTES_OF(aek), &w, &d));
        destroy(s);
        EXPECT_VERDICT(unwrap(s, &w, alg), VAULT_DENIED, "KeyNotFound");
    }
}

TEST(provider, old_wraps_open_under_their_own_version_only)
{
    EACH_SHOP(s, kty)
    {
        renew(s, kty);
        const char *alg = vault_wrap_alg(kty);
        CLEANUP_VAULT_KEY struct vault_key k = {0}, k2 = {0};
        CLEANUP_VAULT_WRAPPED struct vault_wrapped old = {0}, new = {0};
        REQUIRE_OK(s->ops->describe(s->vault, &now, "", &k, &d));
        REQUIRE_OK(s->ops->wrap(s->vault, &now, k.version, alg, BYTES_OF(aek), &old, &d));
        renew(s, kty);
        if (is_vault(s)) {
            REQUIRE_OK(s->ops->describe(s->vault, &now, "", &k2, &d));
        } else {
            /* A token knows no latest: with two of a label the version must be named. */
            EXPECT_VERDICT(s->ops->describe(s->vault, &now, "", &k2, &d), VAULT_BARRED,
                           "Ambiguous");
            diag_reset(&d);
            REQUIRE_OK(s->ops->describe(s->vault, &now, "0702", &k2, &d));
        }
        REQUIRE(!str_eq(k.version, k2.version));
        REQUIRE_OK(s->ops->wrap(s->vault, &now, k2.version, alg, BYTES_OF(aek), &new, &d));
        REQUIRE_OK(unwrap(s, &old, alg));
        REQUIRE_OK(unwrap(s, &new, alg));
        memcpy(new.version, old.version, sizeof new.version);
        EXPECT_VERDICT(unwrap(s, &new, alg), VAULT_BARRED, "BadRequest");
        destroy(s);
    }
}

TEST(provider, unwrap_names_its_version_and_a_deadline_that_is_over_is_kept)
{
    EACH_SHOP(s, kty)
    {
        renew(s, kty);
        const char *alg = vault_wrap_alg(kty);
        CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
        REQUIRE_OK(s->ops->wrap(s->vault, &now, "", alg, BYTES_OF(aek), &w, &d));
        const struct vault_call late = {.deadline_us = 1};
        CLEANUP(secret_free) struct secret *plain = NULL;
        EXPECT_VERDICT(
            s->ops->unwrap(s->vault, &late, w.version, alg, buf_view(&w.blob), &plain, &d),
            VAULT_NO_ANSWER, "Timeout");
        w.version[0] = 0;
        diag_reset(&d);
        EXPECT_EQ(unwrap(s, &w, alg), ERR_INVALID);
        destroy(s);
    }
}

/* The text with this house's suffix in the place of "SUFFIX_": free(). */
static char *with_suffix(const char *text, const char *suffix)
{
    const char *at = strstr(text, "SUFFIX_");
    if (at == NULL) return str_dup(text);
    return str_fmt("%.*s%s%s", (int)(at - text), text, suffix, at + strlen("SUFFIX_"));
}

TEST(provider, uris_that_are_not_its_own_open_nothing)
{
    static const char *const bad[3][8] = {
        {"https://kv1.SUFFIX_/keys/k/v/x", "https://kv1.SUFFIX_/secrets/k",
         "https://user@kv1.SUFFIX_/keys/k", "https://kv1.SUFFIX_/keys/k?api-version=1",
         "https://kv1.SUFFIX_/keys/"},
        {"https://kv1.SUFFIX_/keys/k/v/x", "https://127.0.0.1/keys/k", "https://[::1]/keys/k"},
        {"pkcs11:token=keystead%20test", "pkcs11:object=k", "pkcs11:token=a;token=b;object=k",
         "pkcs11:token=keystead%20test;object=k?module-path=/tmp/evil.so",
         "pkcs11:token=keystead%20test;object=k;pin-value=1", "pkcs11:token=%00;object=k",
         "pkcs11:token=keystead%20test;object=k;id="},
    };
    static const char *const foreign[] = {"https://kv1.vault.example.com/keys/k",
                                          "https://kv1.evilSUFFIX_/keys/k",
                                          "pkcs11:token=other;object=k"};
    for (int i = 0; i < 3; i++) {
        struct shop *s = shop_open(shops[i]);
        const struct vault_config c = config_of(s);
        void *none = NULL;
        for (int k = 0; k < 8 && bad[i][k] != NULL; k++) {
            CLEANUP_FREE char *uri = with_suffix(bad[i][k], s->suffix);
            enum err e = s->ops->open(&none, &c, uri, NULL);
            if (e != ERR_INVALID) fail_msg("%s: %s", uri, err_name(e));
        }
        CLEANUP_FREE char *uri = with_suffix(foreign[i], s->suffix);
        REQUIRE_ERR(ERR_DENIED, s->ops->open(&none, &c, uri, &d));
        EXPECT_STR(d.tag, "HostNotAllowed");
        REQUIRE(none == NULL);
        shop_close(s);
    }
}
