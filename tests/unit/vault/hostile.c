/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/vault/hostile.c - a vault that wants our token for itself, or for a friend, over TLS
 *
 * It has a name that is allowed and a good certificate: its owner may be anybody who was let in.
 */
#include "net/net_test.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "vault/vault.h"

struct host {
    struct http_server *server;
    struct http_client *http;
    char suffix[64];
    const char *hosts[2];
    char challenge[512], location[256]; /* "" = none */
    int status;                         /* of the first answer */
    size_t body_len;                    /* of an answer to a token */
    pthread_mutex_t lock;
    unsigned n_requests, n_bearers, n_tokens;
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct host *h = ctx;
    LOCK_SCOPE(&h->lock);
    h->n_requests++;
    if (http_bearer(req) != NULL) {
        h->n_bearers++;
        res->status = 200;
        for (size_t i = 0; i < h->body_len; i++)
            buf_u8(&res->body, ' ');
        return;
    }
    res->status = h->status;
    if (h->challenge[0] != 0) http_set(res, "WWW-Authenticate", h->challenge);
    if (h->location[0] != 0) http_set(res, "Location", h->location);
}

static enum err token(void *ctx, const char *resource, bool fresh, struct buf *out,
                      int64_t *expires_us, struct diag *d)
{
    struct host *h = ctx;
    (void)resource, (void)fresh, (void)d;
    h->n_tokens++;
    buf_str(out, "our-token");
    *expires_us = time_now_us() + 3600 * US_PER_S;
    return OK;
}

static void host_start(struct host *h)
{
    struct diag d = DIAG_INIT;
    *h = (struct host){.status = 401};
    pthread_mutex_init(&h->lock, NULL);
    h->server = serve((struct http_server_config){.handler = handle, .ctx = h}, true);
    REQUIRE_OK(http_client_new(&h->http, in_dir("ca.pem"), &d));
    snprintf(h->suffix, sizeof h->suffix, "vault.localhost:%u", http_server_port(h->server));
    h->hosts[0] = h->suffix;
}

static void host_end(struct host *h)
{
    http_server_stop(h->server);
    http_client_free(h->http);
    pthread_mutex_destroy(&h->lock);
}

static enum err open_uri(struct host *h, const char *uri, void **v, struct diag *d)
{
    const struct vault_config c = {.http = h->http, .hosts = h->hosts, .token = token, .ctx = h};
    return vault_azure.open(v, &c, uri, d);
}

/* One unwrap with a new handle. */
static enum err knock(struct host *h, struct diag *d)
{
    CLEANUP_FREE char *uri = str_fmt("https://kv1.%s/keys/k", h->suffix);
    const struct vault_call now = {0};
    void *v = NULL;
    struct secret *out = NULL;
    diag_reset(d);
    TRY(open_uri(h, uri, &v, d));
    enum err e = vault_azure.unwrap(v, &now, "aa", "A256KW", BYTES("wrapped"), &out, d);
    vault_azure.close(v);
    REQUIRE(out == NULL);
    return e;
}

/* In the text "PORT" stands for the server's port. */
static void with_port(const struct host *h, const char *text, char *out, size_t max)
{
    const char *at = strstr(text, "PORT");
    if (at == NULL) {
        snprintf(out, max, "%s", text);
    } else {
        snprintf(out, max, "%.*s%u%s", (int)(at - text), text, http_server_port(h->server), at + 4);
    }
}

TEST(hostile, a_challenge_for_anybody_else_gets_no_token)
{
    static const char *const resources[] = {
        "https://evil.example",
        "https://vault.azure.net",
        "https://vault.localhost.evil.example:PORT",
        "https://evilvault.localhost:PORT",
        "https://kv2.vault.localhost:PORT", /* a neighbour */
        "https://localhost:PORT",           /* above what is allowed */
        "https://vault.localhost",          /* another port */
        "http://vault.localhost:PORT",
        "https://vault.localhost:PORT@evil.example",
        "https://evil.example@vault.localhost:PORT",
        "https://vault.localhost:PORT/path",
        "https://vault.localhost:PORT?x=1",
        "https://vault.localhost:PORT#@evil.example",
        "https://127.0.0.1:PORT",
        "https://[::1]:PORT",
        "vault.localhost:PORT",
        "",
    };
    struct diag d = DIAG_INIT;
    struct host h;
    host_start(&h);
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++) {
        char resource[256];
        with_port(&h, resources[i], resource, sizeof resource);
        snprintf(h.challenge, sizeof h.challenge,
                 "Bearer authorization=\"https://login.example/t\", resource=\"%s\"", resource);
        enum err e = knock(&h, &d);
        if (e != ERR_UNAVAILABLE || h.n_tokens != 0)
            fail_msg("%s: %s %s", resource, err_name(e), d.tag);
        REQUIRE(str_eq(d.tag, "BadAnswer") || str_eq(d.tag, "NoChallenge"));
        EXPECT_EQ(vault_verdict(e, &d), VAULT_NO_ANSWER);
    }
    EXPECT_EQ(h.n_bearers, 0);
    /* The control: its own resource does. */
    snprintf(h.challenge, sizeof h.challenge, "Bearer resource=\"https://%s\"", h.suffix);
    (void)knock(&h, &d);
    EXPECT_EQ(h.n_tokens, 1);
    EXPECT_EQ(h.n_bearers, 1);
    host_end(&h);
}

TEST(hostile, a_redirect_leads_nowhere_whether_a_token_is_with_it_or_not)
{
    static const int statuses[] = {301, 302, 303, 307, 308};
    struct diag d = DIAG_INIT;
    struct host h;
    host_start(&h);
    snprintf(h.location, sizeof h.location, "https://kv2.%s/keys/k", h.suffix);
    for (int i = 0; i < 5; i++) {
        h.n_requests = 0;
        h.status = statuses[i];
        EXPECT_EQ(knock(&h, &d), ERR_UNAVAILABLE);
        EXPECT_EQ(h.n_requests, 1);
    }
    EXPECT_EQ(h.n_tokens, 0);
    host_end(&h);
}

TEST(hostile, an_answer_without_end_is_cut_off)
{
    struct diag d = DIAG_INIT;
    struct host h;
    host_start(&h);
    snprintf(h.challenge, sizeof h.challenge, "Bearer resource=\"https://%s\"", h.suffix);
    h.body_len = 2 << 20;
    EXPECT_EQ(knock(&h, &d), ERR_UNAVAILABLE);
    EXPECT_STR(d.tag, "BadAnswer");
    EXPECT_EQ(vault_verdict(ERR_UNAVAILABLE, &d), VAULT_NO_ANSWER);
    host_end(&h);
}

TEST(hostile, a_key_uri_leads_to_no_other_machine)
{
    static const char *const uris[] = {
        "https://127.0.0.1:PORT/keys/k",
        "https://2130706433:PORT/keys/k",
        "https://0x7f000001:PORT/keys/k",
        "https://0177.0.0.1:PORT/keys/k",
        "https://127.1:PORT/keys/k",
        "https://[::1]:PORT/keys/k",
        "https://[::ffff:127.0.0.1]:PORT/keys/k",
        "https://169.254.169.254/keys/k",
        "https://localhost:PORT/keys/k",
        "https://user@kv1.vault.localhost:PORT/keys/k",
        "https://kv1.vault.localhost:PORT@evil.example/keys/k",
        "https://evil.example#kv1.vault.localhost:PORT/keys/k",
        "https://evil.example/kv1.vault.localhost:PORT/keys/k",
        "https://kv1.vault.localhost.evil.example:PORT/keys/k",
        "https://kv1.vault.localhost:1/keys/k",
        "https://kv1.vault.localhost:PORT\\@evil.example/keys/k",
        "https://kv1%2evault.localhost:PORT/keys/k",
        "https://kv1.vault.localhost:PORT/keys/../keys/k/aa/x",
        "https://kv1.vault.localhost:PORT//evil.example/keys/k",
        "http://kv1.vault.localhost:PORT/keys/k",
        "//kv1.vault.localhost:PORT/keys/k",
        "file:///etc/passwd",
        "gopher://kv1.vault.localhost:PORT/keys/k",
        "",
    };
    struct diag d = DIAG_INIT;
    struct host h;
    host_start(&h);
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        char uri[256];
        void *v = NULL;
        with_port(&h, uris[i], uri, sizeof uri);
        diag_reset(&d);
        enum err e = open_uri(&h, uri, &v, &d);
        if ((e != ERR_INVALID && e != ERR_DENIED) || v != NULL)
            fail_msg("%s: %s", uri, err_name(e));
    }
    EXPECT_EQ(h.n_requests, 0);
    host_end(&h);
}
