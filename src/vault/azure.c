/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vault/azure.c - a key in Azure Key Vault, in Managed HSM, or in Keystead's own vault: one
 * protocol
 *
 * (1) A token goes only to the host it was asked for: the URI was checked when the handle was made,
 *     the resource when the vault named it, and redirects are not followed.
 * (2) What the vault says counts only if it could have been said to us: a refusal comes after a
 *     token.
 */
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "net/http_client.h"
#include "vault/azure_wire.h"

#include <stdio.h>
#include <stdlib.h>

#define API_VERSION     "7.4"
#define CALL_MS_DEFAULT 30000
#define ANSWER_MAX      ((size_t)256 << 10) /* bytes */
#define TOKEN_MARGIN_US (60 * US_PER_S)     /* a token that ends this soon is not used any more */
#define HOSTS_MAX       64

struct azure {
    struct vault_config config; /* hosts: our copy */
    struct azure_key_uri uri;
    char *hosts[HOSTS_MAX + 1];
    pthread_mutex_t lock;              /* guards what follows */
    char resource[AZURE_RESOURCE_MAX]; /* "" until the vault has named it */
    struct buf token;
    int64_t token_expires_us;
    int64_t token_taken_us; /* monotonic clock */
};

static void azure_close(void *self)
{
    struct azure *a = self;
    if (a == NULL) return;
    for (char **h = a->hosts; *h != NULL; h++)
        free(*h);
    buf_release(&a->token);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
DEFINE_CLEANUP(azure_close, struct azure)

static enum err copy_hosts(struct azure *a, const char *const *hosts, struct diag *d)
{
    for (size_t i = 0; hosts[i] != NULL; i++) {
        if (i == HOSTS_MAX)
            return FAIL(d, ERR_LIMIT, "more than %d vault host suffixes", HOSTS_MAX);
        a->hosts[i] = str_dup(hosts[i]);
        if (a->hosts[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    a->config.hosts = (const char *const *)a->hosts;
    return OK;
}

static enum err azure_open(void **self, const struct vault_config *c, const char *key_uri,
                           struct diag *d)
{
    struct azure *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&fresh->lock, NULL);
    CLEANUP(azure_close) struct azure *a = fresh;
    a->config = *c;
    TRY(copy_hosts(a, c->hosts, d));
    TRY(azure_key_uri_parse(key_uri, &a->uri, d));
    if (!azure_host_allowed(&a->uri.url, a->config.hosts)) {
        return FAIL_TAG(d, ERR_DENIED, "HostNotAllowed", "%s is not among the vaults allowed here",
                        a->uri.base);
    }
    *self = TAKE(a);
    return OK;
}

/* --- one request --- */

struct request {
    const struct vault_call *call;
    const char *method, *url;
    struct bytes body;
    int64_t deadline_us; /* monotonic */
};

/* A date instead of a number is not looked at: clocks differ, and no vault sends one. */
static void note_retry_after(const struct vault_call *call, struct http_answer *answer)
{
    if (call->retry_after_s == NULL || (answer->status != 429 && answer->status != 503)) return;
    const char *text = http_answer_header(answer, "retry-after");
    uint64_t s;
    if (text != NULL && str_u64(text, UINT32_MAX, &s, NULL) == OK)
        *call->retry_after_s = (uint32_t)s;
}

/* One exchange; token NULL: the one that only wants to be challenged. */
static enum err exchange(struct azure *a, const struct request *r, const char *token,
                         struct http_answer *out, struct diag *d)
{
    int64_t left_us = r->deadline_us - time_mono_us();
    if (left_us < 1000) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "Timeout", "%s: no answer in time", a->uri.base);
    }
    struct http_call call = {.method = r->method,
                             .url = r->url,
                             .bearer = token,
                             .body = token != NULL ? r->body : (struct bytes){0},
                             .timeout_ms = (uint64_t)left_us / 1000,
                             .fresh_connection = r->call->fresh,
                             .answer_max = ANSWER_MAX};
    struct diag why = DIAG_INIT;
    enum err e = http_do(a->config.http, &call, out, &why);
    if (e == OK) {
        note_retry_after(r->call, out);
        return OK;
    }
    const char *tag = e == ERR_LIMIT                            ? "BadAnswer"
                      : time_mono_us() >= r->deadline_us - 1000 ? "Timeout"
                                                                : "Network";
    return FAIL_TAG(d, ERR_UNAVAILABLE, tag, "%s", why.text);
}

/* Reads and keeps the resource that a 401 names. */
static enum err learn_resource(struct azure *a, struct http_answer *answer, struct diag *d)
{
    char resource[AZURE_RESOURCE_MAX];
    TRY(azure_challenge(http_answer_header(answer, "www-authenticate"), &a->uri.url,
                        a->config.hosts, resource, d));
    LOCK_SCOPE(&a->lock);
    if (str_eq(resource, a->resource)) return OK;
    memcpy(a->resource, resource, sizeof resource);
    buf_clear(&a->token); /* it was for another one */
    return OK;
}

/* The first request carries neither a token nor a body, so that the vault says whom it trusts. */
static enum err ensure_challenged(struct azure *a, const struct request *r, struct diag *d)
{
    {
        LOCK_SCOPE(&a->lock);
        if (a->resource[0] != 0) return OK;
    }
    CLEANUP_ANSWER struct http_answer answer = {0};
    TRY(exchange(a, r, NULL, &answer, d));
    if (answer.status == 401) return learn_resource(a, &answer, d);
    if (answer.status < 500 && answer.status != 429) {
        /* (2) Only a vault that does not exist may say so to a stranger. */
        struct diag why = DIAG_INIT;
        enum err e = azure_refusal(AZURE_GET, answer.status, buf_view(&answer.body), &why);
        if (str_eq(why.tag, "NoSuchVault")) return FAIL_TAG(d, e, why.tag, "%s", why.text);
        return FAIL_TAG(d, ERR_UNAVAILABLE, "NoChallenge",
                        "vault %s: %d to a request without a token", a->uri.base, answer.status);
    }
    return azure_refusal(AZURE_GET, answer.status, buf_view(&answer.body), d);
}

static bool cached_token(struct azure *a, struct buf *out, char resource[AZURE_RESOURCE_MAX])
{
    LOCK_SCOPE(&a->lock);
    memcpy(resource, a->resource, sizeof a->resource);
    if (a->token.len == 0 || time_now_us() > a->token_expires_us - TOKEN_MARGIN_US) return false;
    int64_t age_max_us = a->config.token_age_max_s * US_PER_S;
    if (age_max_us != 0 && time_mono_us() - a->token_taken_us > age_max_us) return false;
    buf_bytes(out, buf_view(&a->token));
    return true;
}

static enum err get_token(struct azure *a, bool fresh, struct buf *out, struct diag *d)
{
    char resource[AZURE_RESOURCE_MAX];
    bool have = cached_token(a, out, resource);
    if (have && !fresh) return buf_check(out, d);

    buf_clear(out);
    struct diag why = DIAG_INIT;
    int64_t expires_us = 0, taken_us = time_mono_us();
    enum err e = a->config.token(a->config.ctx, resource, fresh, out, &expires_us, &why);
    if (e == ERR_DENIED && str_eq(why.tag, "IdentityGone")) {
        return FAIL_TAG(d, ERR_DENIED, "IdentityGone", "%s", why.text);
    }
    /* Anything else is an operator's fault or an outage, and must never read as the customer's no.
     */
    if (e != OK) return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenRefused", "%s", why.text);
    TRY(buf_check(out, d));
    LOCK_SCOPE(&a->lock);
    buf_clear(&a->token);
    buf_bytes(&a->token, buf_view(out));
    a->token_expires_us = expires_us;
    a->token_taken_us = taken_us;
    return OK;
}

/* With a token; when that is refused, once more with a new one. */
static enum err authorized(struct azure *a, const struct request *r, struct http_answer *out,
                           struct diag *d)
{
    TRY(ensure_challenged(a, r, d));
    for (int attempt = 0; attempt < 2; attempt++) {
        CLEANUP_BUF struct buf token = {0};
        CLEANUP_ANSWER struct http_answer answer = {0};
        TRY(get_token(a, attempt != 0 || r->call->fresh, &token, d));
        TRY(exchange(a, r, buf_cstr(&token), &answer, d));
        if (answer.status != 401) {
            *out = answer;
            answer = (struct http_answer){0}; /* handed over */
            return OK;
        }
        TRY(learn_resource(a, &answer, d));
    }
    return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenRefused", "vault %s refuses our token", a->uri.base);
}

/* --- operations --- */

struct operation {
    enum azure_op op;
    const struct vault_call *call;
    const char *version;
    struct bytes body;
};

/* asked: this key, with the version that the call is about. */
static enum err run(struct azure *a, const struct operation *o, struct azure_key_uri *asked,
                    struct http_answer *out, struct diag *d)
{
    static const char *const tails[] = {
        [AZURE_GET] = "", [AZURE_WRAP] = "/wrapkey", [AZURE_UNWRAP] = "/unwrapkey"};
    if (!azure_version_valid(o->version)) return FAIL(d, ERR_INVALID, "not a version of a key");
    *asked = a->uri;
    if (o->version[0] != 0) snprintf(asked->version, sizeof asked->version, "%s", o->version);

    CLEANUP_FREE char *url = str_fmt("%s/keys/%s/%s%s?api-version=" API_VERSION, asked->base,
                                     asked->name, asked->version, tails[o->op]);
    if (url == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    struct request r = {.call = o->call,
                        .method = o->op == AZURE_GET ? "GET" : "POST",
                        .url = url,
                        .body = o->body,
                        .deadline_us = o->call->deadline_us != 0
                                           ? o->call->deadline_us
                                           : time_mono_us() + (int64_t)CALL_MS_DEFAULT * 1000};
    CLEANUP_ANSWER struct http_answer answer = {0};
    TRY(authorized(a, &r, &answer, d));
    if (answer.status != 200) return azure_refusal(o->op, answer.status, buf_view(&answer.body), d);
    *out = answer;
    answer = (struct http_answer){0}; /* handed over */
    return OK;
}

static enum err azure_describe(void *self, const struct vault_call *call, const char *version,
                               struct vault_key *out, struct diag *d)
{
    struct operation o = {.op = AZURE_GET, .call = call, .version = version};
    struct azure_key_uri asked;
    CLEANUP_ANSWER struct http_answer answer = {0};
    TRY(run(self, &o, &asked, &answer, d));
    return azure_read_key(buf_view(&answer.body), &asked, out, d);
}

/* {"alg":...,"value":...}; not by way of jansson, which would make two more copies of a key. */
static enum err operation_body(const char *alg, struct bytes value, struct buf *out, struct diag *d)
{
    if (alg == NULL || alg[strspn(alg, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")] != 0) {
        return FAIL(d, ERR_INVALID, "not a wrapping algorithm");
    }
    buf_fmt(out, "{\"alg\":\"%s\",\"value\":\"", alg);
    base64url_encode(out, value);
    buf_str(out, "\"}");
    return buf_check(out, d);
}

static enum err transform(struct azure *a, struct operation *o, const char *alg, struct bytes value,
                          struct vault_wrapped *out, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0};
    TRY(operation_body(alg, value, &body, d));
    o->body = buf_view(&body);
    struct azure_key_uri asked;
    CLEANUP_ANSWER struct http_answer answer = {0};
    TRY(run(a, o, &asked, &answer, d));
    return azure_read_result(buf_view(&answer.body), &asked, out, d);
}

static enum err azure_wrap(void *self, const struct vault_call *call, const char *version,
                           const char *alg, struct bytes plain, struct vault_wrapped *out,
                           struct diag *d)
{
    struct operation o = {.op = AZURE_WRAP, .call = call, .version = version};
    return transform(self, &o, alg, plain, out, d);
}

static enum err azure_unwrap(void *self, const struct vault_call *call, const char *version,
                             const char *alg, struct bytes wrapped, struct secret **out,
                             struct diag *d)
{
    const struct azure *a = self;
    if (version[0] == 0 && a->uri.version[0] == 0) {
        return FAIL(d, ERR_INVALID, "unwrap needs the version that wrapped");
    }
    struct operation o = {.op = AZURE_UNWRAP, .call = call, .version = version};
    CLEANUP_VAULT_WRAPPED struct vault_wrapped w = {0};
    TRY(transform(self, &o, alg, wrapped, &w, d));
    return secret_of(out, buf_view(&w.blob), d);
}

const struct vault_ops vault_azure = {
    .scheme = "https",
    .open = azure_open,
    .close = azure_close,
    .describe = azure_describe,
    .wrap = azure_wrap,
    .unwrap = azure_unwrap,
};
