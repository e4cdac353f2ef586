/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/vault/azure.c - the client in conversation with a server that follows a script, over
 * TLS
 *
 * The conversation with Keystead's own vault is in tests/unit/keyvault/.
 */
#include "net/net_test.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "vault/vault.h"

#include <stdlib.h>

enum { SEEN_MAX = 64 };

/* What the server is to do, and what it has seen. */
struct script {
    struct http_server *server;
    struct http_client *http;
    const char *resource; /* format with the port; NULL = ours */
    int refuse_tokens;    /* so many bearers get a 401 */
    int status;           /* of the answer; 0 = 200 */
    bool is_silent;       /* until let_go */
    const char *location, *retry_after;
    /* seen */
    pthread_mutex_t lock;
    _Atomic bool let_go, answered_late;
    unsigned n_bare, n_bare_with_body, n_bearer;
    unsigned n_tokens, n_fresh;
    enum err token_err;
    const char *token_tag;
    int64_t token_life_us;
    char suffix[64];
    const char *hosts[2];
};

static void handle(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct script *s = ctx;
    LOCK_SCOPE(&s->lock);
    unsigned port = http_server_port(s->server);
    bool refuse = false;
    if (http_bearer(req) == NULL) {
        s->n_bare++;
        s->n_bare_with_body += req->body.len != 0;
        refuse = true;
    } else {
        s->n_bearer++;
        refuse = s->refuse_tokens > 0 && s->refuse_tokens-- > 0;
    }
    if (refuse) {
        CLEANUP_FREE char *ours = str_fmt("https://vault.localhost:%u", port);
        res->status = 401;
        http_setf(res, "WWW-Authenticate",
                  "Bearer authorization=\"https://localhost/t\", resource=\"%s\"",
                  s->resource != NULL ? s->resource : ours);
        return;
    }
    if (s->is_silent) {
        for (int i = 0; i < 12000 && !s->let_go; i++)
            time_sleep_us(10000);
        s->answered_late = true;
    }
    res->status = s->status != 0 ? s->status : 200;
    if (s->location != NULL) http_set(res, "Location", s->location);
    if (s->retry_after != NULL) http_set(res, "Retry-After", s->retry_after);
    buf_fmt(&res->body, "{\"kid\":\"https://%s/keys/k/aa\",\"value\":\"AQIDBA\"}", req->authority);
}

static enum err token(void *ctx, const char *resource, bool fresh, struct buf *out,
                      int64_t *expires_us, struct diag *d)
{
    struct script *s = ctx;
    LOCK_SCOPE(&s->lock);
    REQUIRE(str_ends(resource, s->suffix));
    s->n_tokens++;
    s->n_fresh += fresh;
    if (s->token_err != OK) return FAIL_TAG(d, s->token_err, s->token_tag, "no token today");
    buf_fmt(out, "token-%u", s->n_tokens);
    *expires_us = time_now_us() + s->token_life_us;
    return OK;
}

static void script_start(struct script *s)
{
    struct diag d = DIAG_INIT;
    *s = (struct script){.token_life_us = 3600 * US_PER_S};
    pthread_mutex_init(&s->lock, NULL);
    s->server = serve((struct http_server_config){.handler = handle, .ctx = s}, true);
    REQUIRE_OK(http_client_new(&s->http, in_dir("ca.pem"), &d));
    snprintf(s->suffix, sizeof s->suffix, "vault.localhost:%u", http_server_port(s->server));
    s->hosts[0] = s->suffix;
}

static void script_end(struct script *s)
{
    http_server_stop(s->server);
    http_client_free(s->http);
    pthread_mutex_destroy(&s->lock);
}

static void *open_key(struct script *s)
{
    struct diag d = DIAG_INIT;
    void *v;
    struct vault_config c = {.http = s->http, .hosts = s->hosts, .token = token, .ctx = s};
    CLEANUP_FREE char *uri = str_fmt("https://kv1.%s/keys/k", s->suffix);
    REQUIRE_OK(vault_azure.open(&v, &c, uri, &d));
    return v;
}

static const struct vault_call now = {0};

static enum err unwrap(void *v, const struct vault_call *call, struct diag *d)
{
    CLEANUP(secret_free) struct secret *s = NULL;
    diag_reset(d);
    TRY(vault_azure.unwrap(v, call, "aa", "RSA-OAEP-256", BYTES("wrapped"), &s, d));
    REQUIRE(secret_eq(secret_view(s), BYTES("\1\2\3\4")));
    return OK;
}

#define EXPECT_FAILURE(call, code, tag_) \
    do {                                 \
        EXPECT_EQ((call), (code));       \
        EXPECT_STR(d.tag, (tag_));       \
    } while (0)

TEST(azure, the_first_request_carries_neither_token_nor_body)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    REQUIRE_OK(unwrap(v, &now, &d));
    REQUIRE_OK(unwrap(v, &now, &d));
    struct vault_wrapped w;
    REQUIRE_OK(vault_azure.wrap(v, &now, "", "RSA-OAEP-256", BYTES("plain"), &w, &d));
    EXPECT_STR(w.version, "aa");
    vault_wrapped_release(&w);
    EXPECT_EQ(s.n_bare, 1);
    EXPECT_EQ(s.n_bare_with_body, 0);
    EXPECT_EQ(s.n_bearer, 3);
    EXPECT_EQ(s.n_tokens, 1);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_fresh_call_takes_a_new_token)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    struct vault_call fresh = {.fresh = true};
    REQUIRE_OK(unwrap(v, &now, &d));
    REQUIRE_OK(unwrap(v, &fresh, &d));
    EXPECT_EQ(s.n_tokens, 2);
    EXPECT_EQ(s.n_fresh, 1);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_token_that_is_about_to_end_is_not_used)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    s.token_life_us = 30 * US_PER_S;
    void *v = open_key(&s);
    REQUIRE_OK(unwrap(v, &now, &d));
    REQUIRE_OK(unwrap(v, &now, &d));
    EXPECT_EQ(s.n_tokens, 2);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_refused_token_is_replaced_once_and_then_is_no_verdict)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    s.refuse_tokens = 1;
    REQUIRE_OK(unwrap(v, &now, &d));
    EXPECT_EQ(s.n_fresh, 1);
    s.refuse_tokens = 2;
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "TokenRefused");
    EXPECT_EQ(vault_verdict(ERR_UNAVAILABLE, &d), VAULT_NO_ANSWER);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_gone_identity_is_the_customer_speaking_and_an_expired_secret_is_not)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    s.token_err = ERR_DENIED, s.token_tag = "IdentityGone";
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_DENIED, "IdentityGone");
    EXPECT_EQ(vault_verdict(ERR_DENIED, &d), VAULT_DENIED);
    s.token_tag = "SecretExpired";
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "TokenRefused");
    s.token_err = ERR_UNAVAILABLE;
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "TokenRefused");
    EXPECT_EQ(s.n_bearer, 0);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, no_token_is_asked_for_on_behalf_of_a_stranger)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    s.resource = "https://vault.azure.net";
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "BadAnswer");
    EXPECT_EQ(s.n_tokens, 0);
    vault_azure.close(v);

    struct vault_config c = {.http = s.http, .hosts = s.hosts, .token = token, .ctx = &s};
    diag_reset(&d);
    EXPECT_FAILURE(vault_azure.open(&v, &c, "https://kv1.vault.azure.net/keys/k", &d), ERR_DENIED,
                   "HostNotAllowed");
    EXPECT_EQ(vault_verdict(ERR_DENIED, &d), VAULT_BARRED);
    script_end(&s);
}

TEST(azure, a_redirect_is_not_followed)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    CLEANUP_FREE char *there =
        str_fmt("https://kv1.%s/keys/k/aa/unwrapkey?api-version=7.4", s.suffix);
    s.status = 307, s.location = there;
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "Redirect");
    EXPECT_EQ(s.n_bearer, 1);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, silence_ends_at_the_deadline)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    REQUIRE_OK(unwrap(v, &now, &d));
    s.is_silent = true;
    struct vault_call soon = {.deadline_us = time_mono_us() + 300000};
    EXPECT_FAILURE(unwrap(v, &soon, &d), ERR_UNAVAILABLE, "Timeout");
    EXPECT_FAILURE(unwrap(v, &soon, &d), ERR_UNAVAILABLE, "Timeout");
    REQUIRE(!s.answered_late);
    s.let_go = true;
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, how_long_to_wait_is_told_when_the_vault_says_it_in_seconds)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    uint32_t wait_s = 0;
    const struct vault_call call = {.retry_after_s = &wait_s};
    s.retry_after = "17";
    REQUIRE_OK(unwrap(v, &call, &d)); /* 200: it asks for nothing */
    EXPECT_EQ(wait_s, 0);
    s.status = 429;
    EXPECT_FAILURE(unwrap(v, &call, &d), ERR_UNAVAILABLE, "Throttled");
    EXPECT_EQ(wait_s, 17);
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "Throttled"); /* nobody wants to know */
    static const char *const odd[] = {"", "soon", "-5", "Wed, 21 Oct 2026 07:28:00 GMT",
                                      "99999999999"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        s.retry_after = odd[i];
        EXPECT_FAILURE(unwrap(v, &call, &d), ERR_UNAVAILABLE, "Throttled");
        EXPECT_EQ(wait_s, 17);
    }
    s.status = 503;
    s.retry_after = "3";
    EXPECT_FAILURE(unwrap(v, &call, &d), ERR_UNAVAILABLE, "ServerError");
    EXPECT_EQ(wait_s, 3);
    vault_azure.close(v);
    script_end(&s);
}

/* .invalid never resolves (RFC 6761): whatever a resolver makes of it, it is not the vault's word.
 */
TEST(azure, a_name_that_does_not_resolve_is_no_verdict)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    const char *const hosts[] = {"vault.invalid:8444", NULL};
    struct vault_config c = {.http = s.http, .hosts = hosts, .token = token, .ctx = &s};
    void *v;
    REQUIRE_OK(vault_azure.open(&v, &c, "https://kv1.vault.invalid:8444/keys/k", &d));
    struct vault_call soon = {.deadline_us = time_mono_us() + 2 * US_PER_S};
    EXPECT_EQ(unwrap(v, &soon, &d), ERR_UNAVAILABLE);
    REQUIRE(str_eq(d.tag, "Network") || str_eq(d.tag, "Timeout"));
    EXPECT_EQ(vault_verdict(ERR_UNAVAILABLE, &d), VAULT_NO_ANSWER);
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_server_that_is_gone_or_not_certified_is_no_verdict)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    /* Its certificate is our CA's, but the system's CAs do not know that. */
    struct http_client *other;
    REQUIRE_OK(http_client_new(&other, NULL, &d));
    struct vault_config c = {.http = other, .hosts = s.hosts, .token = token, .ctx = &s};
    CLEANUP_FREE char *uri = str_fmt("https://kv1.%s/keys/k", s.suffix);
    void *v;
    REQUIRE_OK(vault_azure.open(&v, &c, uri, &d));
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "Network");
    EXPECT_EQ(s.n_bare, 0);
    vault_azure.close(v);
    http_client_free(other);

    v = open_key(&s);
    http_server_stop(TAKE(s.server));
    EXPECT_FAILURE(unwrap(v, &now, &d), ERR_UNAVAILABLE, "Network");
    vault_azure.close(v);
    script_end(&s);
}

TEST(azure, a_version_is_needed_to_unwrap_and_nothing_odd_enters_the_path)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    void *v = open_key(&s);
    struct secret *out = NULL;
    static const char *const bad[] = {"", "a/b", "..", "a?b", "a%2fb", "a b"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REQUIRE_ERR(ERR_INVALID,
                    vault_azure.unwrap(v, &now, bad[i], "A256KW", BYTES("x"), &out, &d));
    }
    REQUIRE_ERR(ERR_INVALID, vault_azure.unwrap(v, &now, "aa", "x\"y", BYTES("x"), &out, &d));
    EXPECT_EQ(s.n_bare + s.n_bearer, 0);
    vault_azure.close(v);
    script_end(&s);
}

struct job {
    void *vault;
    _Atomic unsigned good;
};

static void one_unwrap(void *arg, unsigned i)
{
    struct job *j = arg;
    struct diag d = DIAG_INIT;
    struct vault_call call = {.fresh = i % 7 == 0};
    if (unwrap(j->vault, &call, &d) == OK) j->good++;
}

TEST(azure, one_handle_serves_several_threads)
{
    struct diag d = DIAG_INIT;
    struct script s;
    script_start(&s);
    struct job j = {.vault = open_key(&s)};
    struct pool *p;
    REQUIRE_OK(pool_new(&p, 4, 16, &d));
    pool_each(p, 40, one_unwrap, &j);
    EXPECT_EQ(j.good, 40);
    pool_free(p);
    vault_azure.close(j.vault);
    script_end(&s);
}
