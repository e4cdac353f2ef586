/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/identity_client.c - the other end of identity's channels
 *
 * (1) cache_lock guards the key set and the issuers: readers verify under it, so a set is never
 *     freed in use.
 * (2) fetch_lock lets one thread ask for a new set, at most once a minute: tokens with invented key
 *     ids must not become traffic.
 */
#include "identity/identity_client.h"

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "identity/route.h"
#include "identity/token_cache.h"
#include "identity/wire.h"

#include <stdio.h>
#include <stdlib.h>

#define CALL_TIMEOUT_MS 10000
#define FETCH_EVERY_US  (10 * US_PER_S)
#define FETCH_BURST     5
#define ISSUERS_MAX     8

struct identity_client {
    struct chan *chan;
    pthread_rwlock_t cache_lock; /* (1) */
    struct jwt_keys *keys;       /* NULL = never fetched */
    uint64_t keys_number;        /* grows with each set */
    json_t *issuers;             /* keeps the texts */
    const char *issuer_texts[ISSUERS_MAX + 1];
    pthread_mutex_t fetch_lock; /* (2) */
    int64_t credit_us;          /* monotonic time that fetches have not used up yet */
    int64_t counted_us;         /* when credit was last added */
    struct token_cache *tokens;
    json_t *foreign; /* names of issuers that identity checks itself; under cache_lock */
};

enum err identity_client_new(struct identity_client **out, struct chan *chan, struct diag *d)
{
    struct identity_client *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    c->chan = chan;
    pthread_rwlock_init(&c->cache_lock, NULL);
    pthread_mutex_init(&c->fetch_lock, NULL);
    enum err e = token_cache_new(&c->tokens, d);
    if (e == OK) {
        *out = c;
    } else {
        identity_client_free(c);
    }
    return e;
}

void identity_client_free(struct identity_client *c)
{
    if (c == NULL) return;
    token_cache_free(c->tokens);
    jwt_keys_free(c->keys);
    json_decref(c->issuers);
    json_decref(c->foreign);
    pthread_rwlock_destroy(&c->cache_lock);
    pthread_mutex_destroy(&c->fetch_lock);
    free(c);
}

static enum err call(struct identity_client *c, enum identity_method m, const struct buf *in,
                     struct buf *out, struct diag *d)
{
    TRY(buf_check(in, d));
    return chan_call(c->chan, (uint16_t)m, buf_view(in), out, CALL_TIMEOUT_MS, d);
}

/* --- tokens of callers
 * -------------------------------------------------------------------------------- */

/* Takes keys, issuers and foreign. */
static void replace_cache(struct identity_client *c, struct jwt_keys *keys, json_t *issuers,
                          json_t *foreign)
{
    pthread_rwlock_wrlock(&c->cache_lock);
    jwt_keys_free(c->keys);
    json_decref(c->issuers);
    c->keys = keys;
    c->keys_number++;
    c->issuers = issuers;
    json_decref(c->foreign);
    c->foreign = foreign;
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(issuers) && n < ISSUERS_MAX; i++) {
        const char *text = json_string_value(json_array_get(issuers, i));
        if (text != NULL) c->issuer_texts[n++] = text;
    }
    c->issuer_texts[n] = NULL;
    pthread_rwlock_unlock(&c->cache_lock);
}

/* Under fetch_lock. */
static bool take_credit(struct identity_client *c)
{
    int64_t now = time_mono_us();
    c->credit_us =
        c->counted_us == 0 ? FETCH_BURST * FETCH_EVERY_US : c->credit_us + now - c->counted_us;
    if (c->credit_us > FETCH_BURST * FETCH_EVERY_US) c->credit_us = FETCH_BURST * FETCH_EVERY_US;
    c->counted_us = now;
    if (c->credit_us < FETCH_EVERY_US) return false;
    c->credit_us -= FETCH_EVERY_US;
    return true;
}

static enum err fetch_keys(struct identity_client *c, struct diag *d)
{
    LOCK_SCOPE(&c->fetch_lock);
    if (!take_credit(c)) return OK;
    CLEANUP_BUF struct buf none = {0}, text = {0};
    CLEANUP_JSON json_t *set = NULL;
    struct jwt_keys *keys = NULL;
    TRY(call(c, ID_KEYS, &none, &text, d));
    TRY(json_read(buf_view(&text), &set, d));
    TRY(jwt_keys_new(&keys, set, d));
    replace_cache(c, keys, json_incref(json_object_get(set, "issuers")),
                  json_incref(json_object_get(set, "foreign")));
    return OK;
}

static enum err verify_cached(struct identity_client *c, const char *token,
                              const char *const *audiences, json_t **claims, uint64_t *keys_number,
                              bool *want_keys, struct diag *d)
{
    enum err e = ERR_UNAVAILABLE;
    pthread_rwlock_rdlock(&c->cache_lock);
    *want_keys = c->keys == NULL;
    *keys_number = c->keys_number;
    if (c->keys != NULL) {
        const struct jwt_expect want = {
            .issuers = c->issuer_texts, .audiences = audiences, .now_us = time_now_us()};
        e = jwt_verify(token, c->keys, &want, claims, d);
        *want_keys = e == ERR_DENIED && str_eq(d->tag, "UnknownKey");
    }
    pthread_rwlock_unlock(&c->cache_lock);
    return e;
}

static bool take_guid(const json_t *claims, const char *name, char out[37])
{
    const char *text = json_string_value(json_object_get(claims, name));
    struct guid g;
    if (text == NULL || guid_parse(text, &g, NULL) != OK) return false;
    guid_format(&g, out);
    return true;
}

static enum err read_caller(const json_t *claims, struct caller *out, struct diag *d)
{
    struct caller who = {0};
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    bool good = take_guid(claims, "oid", who.object_id) &&
                take_guid(claims, "tid", who.tenant_id) &&
                (take_guid(claims, "appid", who.app_id) || take_guid(claims, "azp", who.app_id)) &&
                issuer != NULL &&
                (size_t)snprintf(who.issuer, sizeof who.issuer, "%s", issuer) < sizeof who.issuer;
    if (!good) return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token does not say whose it is");
    const char *upn = json_string_value(json_object_get(claims, "upn"));
    if (upn != NULL && strlen(upn) < sizeof who.upn) snprintf(who.upn, sizeof who.upn, "%s", upn);
    *out = who;
    return OK;
}

/* Is it a token of an issuer that identity has to be asked about? */
static bool is_foreign(struct identity_client *c, const char *token)
{
    CLEANUP_JSON json_t *claims = NULL;
    bool found = false;
    if (jwt_peek(token, &claims, NULL) != OK) return false;
    const char *issuer = json_string_value(json_object_get(claims, "iss"));
    pthread_rwlock_rdlock(&c->cache_lock);
    for (size_t i = 0; issuer != NULL && i < json_array_size(c->foreign); i++)
        found = found || str_eq(json_string_value(json_array_get(c->foreign, i)), issuer);
    pthread_rwlock_unlock(&c->cache_lock);
    return found;
}

static bool read_guid(struct rd *r, char out[37])
{
    struct bytes text = rd_blob(r);
    if (r->bad || text.len != 36) return false;
    memcpy(out, text.p, 36);
    out[36] = 0;
    return true;
}

static enum err ask_foreign(struct identity_client *c, const char *token,
                            const char *const *audiences, struct caller *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    struct caller who = {0};
    uint32_t n = 0;
    while (audiences[n] != NULL)
        n++;
    wire_put_text(&in, token);
    buf_u32(&in, n);
    for (uint32_t i = 0; i < n; i++)
        wire_put_text(&in, audiences[i]);
    TRY(call(c, ID_FOREIGN, &in, &answer, d));
    struct rd r = rd_from(buf_view(&answer));
    if (!read_guid(&r, who.object_id) || !read_guid(&r, who.tenant_id)) {
        return FAIL(d, ERR_INTERNAL, "identity: an answer that cannot be read");
    }
    memcpy(who.app_id, who.object_id, sizeof who.app_id);
    *out = who;
    return OK;
}

static void keep(struct identity_client *c, const char *token, const json_t *claims,
                 const struct caller *who, uint64_t keys_number)
{
    const char *audience = json_string_value(json_object_get(claims, "aud"));
    struct cached_token t = {.who = *who,
                             .from_s = (int64_t)json_number_value(json_object_get(claims, "nbf")),
                             .until_s = (int64_t)json_number_value(json_object_get(claims, "exp")),
                             .keys = keys_number};
    if (audience == NULL || strlen(audience) >= sizeof t.audience) return;
    snprintf(t.audience, sizeof t.audience, "%s", audience);
    token_cache_keep(c->tokens, token, &t);
}

static uint64_t keys_number_of(struct identity_client *c)
{
    pthread_rwlock_rdlock(&c->cache_lock);
    uint64_t n = c->keys_number;
    pthread_rwlock_unlock(&c->cache_lock);
    return n;
}

enum err identity_verify(struct identity_client *c, const char *token, const char *const *audiences,
                         struct caller *out, struct diag *d)
{
    CLEANUP_JSON json_t *claims = NULL;
    struct diag why = DIAG_INIT;
    bool want_keys = false;
    uint64_t keys_number = keys_number_of(c);
    if (token_cache_find(c->tokens, token, keys_number, audiences, time_now_us(), out)) return OK;
    enum err e = verify_cached(c, token, audiences, &claims, &keys_number, &want_keys, &why);
    if (want_keys) {
        if (is_foreign(c, token)) return ask_foreign(c, token, audiences, out, d);
        TRY(fetch_keys(c, d));
        diag_reset(&why);
        e = verify_cached(c, token, audiences, &claims, &keys_number, &want_keys, &why);
    }
    if (e != OK && is_foreign(c, token)) return ask_foreign(c, token, audiences, out, d);
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    TRY(read_caller(claims, out, d));
    keep(c, token, claims, out, keys_number);
    return OK;
}

enum err identity_ending(struct identity_client *c, json_t **out, struct diag *d)
{
    CLEANUP_BUF struct buf none = {0}, text = {0};
    TRY(call(c, ID_ENDING, &none, &text, d));
    return json_read(buf_view(&text), out, d);
}

/* --- questions
 * ------------------------------------------------------------------------------------------- */

enum err identity_authorize(struct identity_client *c, const char *object_id, const char *action,
                            bool is_data, const char *scope, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    wire_put_text(&in, object_id);
    wire_put_text(&in, action);
    buf_u8(&in, is_data);
    wire_put_text(&in, scope);
    return call(c, ID_AUTHORIZE, &in, NULL, d);
}

enum err identity_groups(struct identity_client *c, const char *object_id,
                         char (**out)[GUID_TEXT_MAX], size_t *out_n, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    wire_put_text(&in, object_id);
    TRY(call(c, ID_GROUPS, &in, &answer, d));
    struct rd r = rd_from(buf_view(&answer));
    uint32_t n = rd_u32(&r);
    bool good = n <= rd_left(&r);
    CLEANUP_FREE char(*groups)[GUID_TEXT_MAX] = good ? calloc((size_t)n + 1, sizeof *groups) : NULL;
    for (uint32_t i = 0; groups != NULL && good && i < n; i++)
        good = read_guid(&r, groups[i]);
    if (!good || !rd_done(&r))
        return FAIL(d, ERR_INTERNAL, "identity: an answer that cannot be read");
    if (groups == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *out = TAKE(groups);
    *out_n = n;
    return OK;
}

enum err identity_managed_ensure(struct identity_client *c, const char *arm_id,
                                 struct managed_identity *out, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    struct managed_identity m;
    wire_put_text(&in, arm_id);
    TRY(call(c, ID_MANAGED_ENSURE, &in, &answer, d));
    struct rd r = rd_from(buf_view(&answer));
    if (!read_guid(&r, m.principal_id) || !read_guid(&r, m.client_id) ||
        !read_guid(&r, m.tenant_id)) {
        return FAIL(d, ERR_INTERNAL, "identity: an answer that cannot be read");
    }
    *out = m;
    return OK;
}

enum err identity_managed_delete(struct identity_client *c, const char *arm_id, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    wire_put_text(&in, arm_id);
    return call(c, ID_MANAGED_DELETE, &in, NULL, d);
}

enum err identity_subscription_open(struct identity_client *c, const char *subscription,
                                    const char *object_id, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    wire_put_text(&in, subscription);
    wire_put_text(&in, object_id);
    return call(c, ID_SUBSCRIPTION_OPEN, &in, NULL, d);
}

enum err identity_token(struct identity_client *c, const char *principal_id, const char *resource,
                        struct buf *token, int64_t *expires_us, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    wire_put_text(&in, principal_id);
    wire_put_text(&in, resource);
    TRY(call(c, ID_TOKEN, &in, &answer, d));
    struct rd r = rd_from(buf_view(&answer));
    struct bytes text = rd_blob(&r);
    int64_t until = (int64_t)rd_u64(&r);
    if (!rd_done(&r)) return FAIL(d, ERR_INTERNAL, "identity: an answer that cannot be read");
    buf_bytes(token, text);
    TRY(buf_check(token, d));
    *expires_us = until;
    return OK;
}

/* --- requests passed on
 * ------------------------------------------------------------------------------------ */

enum err identity_forward(struct identity_client *c, const struct http_request *req,
                          struct http_response *res, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0}, answer = {0};
    wire_put_request(&in, req);
    TRY(call(c, ID_FORWARD, &in, &answer, d));
    struct rd r = rd_from(buf_view(&answer));
    return wire_response(&r, res, d);
}

bool identity_owns_path(const char *path)
{
    struct route_match m;
    return route_find(path, &m);
}
