/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/foreign.c - tokens of other issuers: Entra ID, any OpenID Connect provider
 *
 * A file names the issuers that are believed, what their tokens must be for, the algorithms, and
 * which claims say who and which groups. Keys are fetched over HTTPS, kept for a day, and asked for
 * anew for an unknown kid at most once a minute.
 *
 * (1) An object id is made from issuer and claim, so that no issuer can speak for another's people
 *     or for ours. Where the file says keepIds the claim itself is the id: for one issuer, and
 *     never an id that a principal of ours has.
 * (2) The algorithm comes from the file.
 */
#include "identity/state.h"

#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "net/http_client.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>

#define FILE_MAX           ((size_t)64 << 10)  /* bytes */
#define ANSWER_MAX         ((size_t)256 << 10) /* bytes of a discovery document or key set */
#define ISSUERS_MAX        8
#define AUDIENCES_MAX      8
#define KEEP_US            (86400 * US_PER_S) /* that a key set serves */
#define RETRY_US           (60 * US_PER_S)    /* between two fetches, whatever asks for them */
#define FETCH_MS           10000
#define VISITOR_GROUPS_MAX 200 /* as many as Entra ID puts into a token */

struct issuer {
    const char *name, *jwks_uri; /* jwks_uri NULL: discovered */
    const char *audiences[AUDIENCES_MAX + 1];
    unsigned algorithms;
    const char *object_claim, *groups_claim;
    bool keeps_ids, exchange_only;
    struct http_client *http;
    pthread_rwlock_t lock; /* over keys */
    struct jwt_keys *keys;
    pthread_mutex_t fetch_lock;
    _Atomic int64_t fetched_us; /* monotonic; 0 = never */
    int64_t tried_us;           /* the same; under fetch_lock */
};

struct foreign {
    json_t *config; /* holds the texts */
    unsigned n;
    struct issuer issuers[ISSUERS_MAX];
};

/* --- the file
 * ------------------------------------------------------------------------------------------ */

static bool is_https(const char *text)
{
    struct url u;
    return text != NULL && url_parse(text, &u, NULL) == OK && str_eq(u.scheme, "https") &&
           !u.has_userinfo;
}

static enum err read_algorithms(const json_t *list, struct issuer *out, struct diag *d)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *name = json_string_value(json_array_get(list, i));
        unsigned one = name != NULL ? jwt_algorithm(name) : 0;
        if (one == 0) {
            return FAIL(d, ERR_INVALID, "algorithms are RS256, PS256 and ES256, not \"%.20s\"",
                        name != NULL ? name : "?");
        }
        out->algorithms |= one;
    }
    if (out->algorithms == 0) out->algorithms = JWT_RS256;
    return OK;
}

static enum err read_audiences(const json_t *list, struct issuer *out, struct diag *d)
{
    size_t n = json_array_size(list);
    if ((n == 0 && !out->exchange_only) || n > AUDIENCES_MAX) {
        return FAIL(d, ERR_INVALID, "\"audiences\" must name 1 to %d", AUDIENCES_MAX);
    }
    for (size_t i = 0; i < n; i++) {
        out->audiences[i] = json_string_value(json_array_get(list, i));
        if (out->audiences[i] == NULL) return FAIL(d, ERR_INVALID, "an audience is no text");
    }
    return OK;
}

static const char *claim_name(const json_t *issuer, const char *what, const char *otherwise)
{
    const char *name = json_string_value(json_at(issuer, "claims", what, NULL));
    return name != NULL ? name : otherwise;
}

static enum err read_issuer(const json_t *j, struct issuer *out, struct diag *d)
{
    out->name = json_get_str(j, "issuer");
    out->jwks_uri = json_get_str(j, "jwksUri");
    out->object_claim = claim_name(j, "object", "sub");
    out->groups_claim = claim_name(j, "groups", "groups");
    out->keeps_ids = json_get_bool(j, "keepIds", false);
    out->exchange_only = json_get_bool(j, "exchangeOnly", false);
    if (!is_https(out->name)) return FAIL(d, ERR_INVALID, "\"issuer\" must be an https address");
    if (out->jwks_uri != NULL && !is_https(out->jwks_uri)) {
        return FAIL(d, ERR_INVALID, "\"jwksUri\" must be an https address");
    }
    TRY(read_audiences(json_get(j, "audiences"), out, d));
    TRY(read_algorithms(json_get(j, "algorithms"), out, d));
    return http_client_new(&out->http, json_get_str(j, "caFile"), d);
}

static enum err read_config(struct foreign *f, struct diag *d)
{
    const json_t *list = json_get(f->config, "issuers");
    unsigned keeping = 0;
    if (!json_is_array(list) || json_array_size(list) > ISSUERS_MAX) {
        return FAIL(d, ERR_INVALID, "\"issuers\" must be a list of at most %d", ISSUERS_MAX);
    }
    while (f->n < json_array_size(list)) {
        struct issuer *i = &f->issuers[f->n];
        pthread_rwlock_init(&i->lock, NULL);
        pthread_mutex_init(&i->fetch_lock, NULL);
        f->n++;
        TRY(read_issuer(json_array_get(list, f->n - 1), i, d));
        keeping += i->keeps_ids;
    }
    if (keeping > 1) return FAIL(d, ERR_INVALID, "\"keepIds\" is for one issuer alone"); /* (1) */
    return OK;
}

enum err foreign_open(struct identity *id, const char *file, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    struct diag why = DIAG_INIT;
    if (file == NULL) return OK;
    TRY(os_read_file(file, FILE_MAX, &text, d));
    id->foreign = calloc(1, sizeof *id->foreign);
    if (id->foreign == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = json_read(buf_view(&text), &id->foreign->config, &why);
    if (e == OK) e = read_config(id->foreign, &why);
    return e == OK ? OK : FAIL(d, e, "%s: %s", file, why.text);
}

void foreign_close(struct identity *id)
{
    struct foreign *f = TAKE(id->foreign);
    MAP_EACH (&id->visitors, e)
        free(e->value);
    map_release(&id->visitors);
    if (f == NULL) return;
    for (unsigned i = 0; i < f->n; i++) {
        jwt_keys_free(f->issuers[i].keys);
        http_client_free(f->issuers[i].http);
        pthread_rwlock_destroy(&f->issuers[i].lock);
        pthread_mutex_destroy(&f->issuers[i].fetch_lock);
    }
    json_decref(f->config);
    free(f);
}

json_t *foreign_issuers(struct identity *id)
{
    json_t *list = json_array();
    for (unsigned i = 0; id->foreign != NULL && i < id->foreign->n; i++) {
        if (!id->foreign->issuers[i].exchange_only)
            json_array_append_new(list, json_string(id->foreign->issuers[i].name));
    }
    return list;
}

/* --- their keys
 * ---------------------------------------------------------------------------------------- */

static enum err fetch_json(struct issuer *i, const char *url, json_t **out, struct diag *d)
{
    const struct http_call call = {
        .method = "GET", .url = url, .timeout_ms = FETCH_MS, .answer_max = ANSWER_MAX};
    CLEANUP_ANSWER struct http_answer a = {0};
    TRY(http_do(i->http, &call, &a, d));
    if (a.status != 200) return FAIL(d, ERR_UNAVAILABLE, "%s answered %d", url, a.status);
    return json_read(buf_view(&a.body), out, d);
}

/* Where the keys are: from the file, or from a document that must name the issuer it is of. */
static enum err find_keys(struct issuer *i, char **out, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    if (i->jwks_uri != NULL) {
        *out = str_dup(i->jwks_uri);
        return OK;
    }
    size_t n = strlen(i->name);
    CLEANUP_FREE char *url =
        str_fmt("%s%s.well-known/openid-configuration", i->name, i->name[n - 1] == '/' ? "" : "/");
    TRY(fetch_json(i, url, &doc, d));
    const char *issuer = json_string_value(json_object_get(doc, "issuer"));
    const char *keys = json_string_value(json_object_get(doc, "jwks_uri"));
    if (!str_eq(issuer, i->name) || !is_https(keys)) {
        return FAIL(d, ERR_INVALID, "%s is the document of another issuer, or names no keys", url);
    }
    *out = str_dup(keys);
    return OK;
}

static enum err fetch(struct issuer *i, struct diag *d)
{
    CLEANUP_FREE char *url = NULL;
    CLEANUP_JSON json_t *set = NULL;
    struct jwt_keys *keys = NULL;
    TRY(find_keys(i, &url, d));
    TRY(fetch_json(i, url, &set, d));
    TRY(jwt_keys_new(&keys, set, d));
    pthread_rwlock_wrlock(&i->lock);
    jwt_keys_free(i->keys);
    i->keys = keys;
    pthread_rwlock_unlock(&i->lock);
    i->fetched_us = time_mono_us();
    return OK;
}

static void refresh(struct issuer *i)
{
    struct diag d = DIAG_INIT;
    LOCK_SCOPE(&i->fetch_lock);
    int64_t now = time_mono_us();
    if (i->tried_us != 0 && now - i->tried_us < RETRY_US) return;
    i->tried_us = now;
    if (fetch(i, &d) == OK) {
        LOG(INFO, "identity.foreign_keys_fetched", F_STR("issuer", i->name));
    } else {
        LOG(WARN, "identity.foreign_keys_missing", F_STR("issuer", i->name), F_ERR(&d));
    }
}

/* --- reading a token
 * ----------------------------------------------------------------------------------- */

static struct issuer *issuer_named(struct foreign *f, const char *name)
{
    for (unsigned i = 0; f != NULL && name != NULL && i < f->n; i++) {
        if (str_eq(f->issuers[i].name, name)) return &f->issuers[i];
    }
    return NULL;
}

bool foreign_knows(struct identity *id, const char *issuer)
{
    return issuer_named(id->foreign, issuer) != NULL;
}

static enum err no_issuer(struct diag *d)
{
    return FAIL_TAG(d, ERR_DENIED, "Issuer", "the token is from another issuer");
}

static struct issuer *find_issuer(struct foreign *f, const char *token, struct diag *d)
{
    CLEANUP_JSON json_t *claims = NULL;
    if (jwt_peek(token, &claims, d) != OK) return NULL;
    struct issuer *i = issuer_named(f, json_string_value(json_object_get(claims, "iss")));
    if (i != NULL && !i->exchange_only) return i;
    (void)no_issuer(d);
    return NULL;
}

static enum err verify(struct issuer *i, const char *token, const char *const *audiences,
                       json_t **claims, struct diag *d)
{
    const char *const issuers[] = {i->name, NULL};
    const struct jwt_expect want = {.issuers = issuers,
                                    .audiences = audiences,
                                    .now_us = time_now_us(),
                                    .algorithms = i->algorithms};
    pthread_rwlock_rdlock(&i->lock);
    enum err e = i->keys == NULL
                     ? FAIL_TAG(d, ERR_DENIED, "UnknownKey", "the issuer's keys are not known yet")
                     : jwt_verify(token, i->keys, &want, claims, d);
    pthread_rwlock_unlock(&i->lock);
    return e;
}

/* Asks for new keys where those that are known are old or not enough. */
static enum err read_claims(struct issuer *i, const char *token, const char *const *audiences,
                            json_t **claims, struct diag *d)
{
    struct diag why = DIAG_INIT;
    if (i->fetched_us == 0 || time_mono_us() - i->fetched_us > KEEP_US) refresh(i);
    enum err e = verify(i, token, audiences, claims, &why);
    if (e != OK && str_eq(why.tag, "UnknownKey")) {
        refresh(i);
        diag_reset(&why);
        e = verify(i, token, audiences, claims, &why);
    }
    return e == OK ? OK : FAIL_TAG(d, e, why.tag, "%s", why.text);
}

enum err foreign_exchange(struct identity *id, const char *issuer, const char *token,
                          const char *const *audiences, json_t **claims, struct diag *d)
{
    struct issuer *i = issuer_named(id->foreign, issuer);
    return i != NULL ? read_claims(i, token, audiences, claims, d) : no_issuer(d);
}

/* (1) */
static void make_id(const struct issuer *i, const char *subject, char out[GUID_TEXT_MAX])
{
    CLEANUP_BUF struct buf text = {0};
    uint8_t digest[32];
    struct guid g;
    buf_blob(&text, bytes_str("keystead foreign principal"));
    buf_blob(&text, bytes_str(i->name));
    buf_blob(&text, bytes_str(subject));
    sha256(buf_view(&text), digest);
    memcpy(g.b, digest, sizeof g.b);
    g.b[6] = (uint8_t)((g.b[6] & 0x0f) | 0x80); /* version 8 (RFC 9562): no random one is like it */
    g.b[8] = (uint8_t)((g.b[8] & 0x3f) | 0x80);
    guid_format(&g, out);
}

static bool take_id(struct identity *id, const struct issuer *i, const char *text,
                    char out[GUID_TEXT_MAX])
{
    struct guid g;
    struct principal ours;
    if (text == NULL || text[0] == 0 || strlen(text) > 1024) return false;
    if (!i->keeps_ids) {
        make_id(i, text, out);
        return true;
    }
    if (guid_parse(text, &g, NULL) != OK) return false;
    guid_format(&g, out);
    return !principal_by_object(id, out, &ours);
}

static struct visitor *read_groups(struct identity *id, const struct issuer *i,
                                   const json_t *claims)
{
    const json_t *list = json_object_get(claims, i->groups_claim);
    size_t n = json_array_size(list);
    if (n > VISITOR_GROUPS_MAX) n = VISITOR_GROUPS_MAX;
    struct visitor *v = calloc(1, sizeof *v + n * GUID_TEXT_MAX);
    for (size_t k = 0; v != NULL && k < n; k++) {
        const char *text = json_string_value(json_array_get(list, k));
        if (take_id(id, i, text, v->groups[v->n_groups])) v->n_groups++;
    }
    return v;
}

static enum err remember(struct identity *id, const char *object_id, struct visitor *v,
                         struct diag *d)
{
    void *old = NULL;
    int64_t now = time_now_us();
    LOCK_SCOPE(&id->lock);
    if (id->visitors.n_live >= VISITORS_MAX) {
        MAP_EACH (&id->visitors, e) {
            struct visitor *one = e->value;
            if (one->until_us > now) continue;
            map_remove(&id->visitors, e->key);
            free(one);
        }
    }
    enum err e = id->visitors.n_live < VISITORS_MAX
                     ? map_put(&id->visitors, bytes_str(object_id), v, &old, d)
                     : FAIL(d, ERR_LIMIT, "more than %d foreigners at once", VISITORS_MAX);
    free(e == OK ? old : v);
    return e;
}

enum err foreign_read(struct identity *id, const char *token, const char *const *audiences,
                      char object_id[GUID_TEXT_MAX], struct diag *d)
{
    const char *all[AUDIENCES_MAX + 16];
    CLEANUP_JSON json_t *claims = NULL;
    struct diag why = DIAG_INIT;
    size_t n = 0;
    struct issuer *i = find_issuer(id->foreign, token, &why);
    if (i == NULL) return FAIL_TAG(d, ERR_DENIED, why.tag, "%s", why.text);
    for (size_t k = 0; i->audiences[k] != NULL; k++)
        all[n++] = i->audiences[k];
    for (size_t k = 0; audiences[k] != NULL && n < sizeof all / sizeof *all - 1; k++)
        all[n++] = audiences[k];
    all[n] = NULL;
    TRY(read_claims(i, token, all, &claims, d));
    if (!take_id(id, i, json_string_value(json_object_get(claims, i->object_claim)), object_id)) {
        return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token has no usable claim \"%.60s\"",
                        i->object_claim);
    }
    struct visitor *v = read_groups(id, i, claims);
    if (v == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    double exp = json_number_value(json_object_get(claims, "exp"));
    v->until_us = ((int64_t)exp + JWT_SKEW_S) * US_PER_S;
    return remember(id, object_id, v, d);
}
