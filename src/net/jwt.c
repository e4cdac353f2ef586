/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/jwt.c - three-part tokens, their keys and their checks
 *
 * Names in a token are compared with their case (RFC 7519 10.1.1): json_get() has no place here.
 * Checks run in one order, so that the tag says the first thing wrong: shape, algorithm, key,
 * signature, time, issuer, audience.
 */
#include "net/jwt.h"

#include "base/map.h"
#include "base/str.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define KEYS_MAX     64
#define KID_MAX      128 /* bytes */
#define KEY_PART_MAX 600 /* bytes: a modulus of 4096 bits and some */

struct key {
    struct rsa_key *rsa; /* or: */
    struct ec_key *ec;
    unsigned algorithms;
};

static void key_free(struct key *k)
{
    if (k == NULL) return;
    rsa_free(k->rsa);
    ec_free(k->ec);
    free(k);
}
DEFINE_CLEANUP(key_free, struct key)

struct jwt_keys {
    struct map by_kid;
};

/* --- signing
 * -------------------------------------------------------------------------------------- */

static enum err add_part(struct buf *out, const json_t *j, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    TRY(json_write(j, &text, d));
    base64url_encode(out, buf_view(&text));
    return OK;
}

enum err jwt_sign(const struct rsa_key *key, const char *kid, const json_t *claims, struct buf *out,
                  struct diag *d)
{
    CLEANUP_JSON json_t *header =
        json_pack("{s:s, s:s, s:s, s:s}", "typ", "JWT", "alg", "RS256", "x5t", kid, "kid", kid);
    CLEANUP_BUF struct buf text = {0}, sig = {0};
    if (header == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(add_part(&text, header, d));
    buf_u8(&text, '.');
    TRY(add_part(&text, claims, d));
    TRY(buf_check(&text, d));
    TRY(rs256_sign(key, buf_view(&text), &sig, d));
    buf_u8(&text, '.');
    base64url_encode(&text, buf_view(&sig));
    TRY(buf_check(&text, d));
    if (text.len > JWT_TEXT_MAX) {
        return FAIL(d, ERR_LIMIT, "a token of more than %zu bytes", JWT_TEXT_MAX);
    }
    buf_bytes(out, buf_view(&text));
    return buf_check(out, d);
}

/* --- key sets
 * ------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *name)
{
    return json_string_value(json_object_get(o, name));
}

static enum err decode_part(const json_t *jwk, const char *name, struct buf *out, struct diag *d)
{
    const char *text = text_of(jwk, name);
    if (text == NULL || strlen(text) > 2 * KEY_PART_MAX) {
        return FAIL(d, ERR_INVALID, "key set: a key without a usable \"%s\"", name);
    }
    return base64_decode(out, bytes_str(text), d);
}

unsigned jwt_algorithm(const char *name)
{
    return str_eq(name, "RS256")   ? JWT_RS256
           : str_eq(name, "PS256") ? JWT_PS256
           : str_eq(name, "ES256") ? JWT_ES256
                                   : 0;
}

/* What the key can be used with: 0 for keys that a set holds for other purposes (encryption, other
 * curves) and that are none of ours. */
static unsigned algorithms_of(const json_t *jwk)
{
    const char *kid = text_of(jwk, "kid"), *use = text_of(jwk, "use"), *alg = text_of(jwk, "alg");
    if (kid == NULL || strlen(kid) > KID_MAX || (use != NULL && !str_eq(use, "sig"))) return 0;
    unsigned can = str_eq(text_of(jwk, "kty"), "RSA") ? JWT_RS256 | JWT_PS256
                   : str_eq(text_of(jwk, "kty"), "EC") && str_eq(text_of(jwk, "crv"), "P-256")
                       ? JWT_ES256
                       : 0;
    return alg == NULL ? can : can & jwt_algorithm(alg);
}

static enum err add_key(struct jwt_keys *keys, const json_t *jwk, unsigned algorithms,
                        struct diag *d)
{
    CLEANUP_BUF struct buf first = {0}, second = {0};
    CLEANUP(key_free) struct key *key = calloc(1, sizeof *key);
    const char *kid = text_of(jwk, "kid");
    bool is_ec = algorithms == JWT_ES256;
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (map_get(&keys->by_kid, bytes_str(kid)) != NULL) {
        return FAIL(d, ERR_INVALID, "key set: two keys with one kid");
    }
    key->algorithms = algorithms;
    TRY(decode_part(jwk, is_ec ? "x" : "n", &first, d));
    TRY(decode_part(jwk, is_ec ? "y" : "e", &second, d));
    if (is_ec) {
        TRY(ec_public(&key->ec, EC_P256, buf_view(&first), buf_view(&second), d));
    } else {
        TRY(rsa_public(&key->rsa, buf_view(&first), buf_view(&second), d));
    }
    TRY(map_put(&keys->by_kid, bytes_str(kid), key, NULL, d));
    key = NULL; /* the map's */
    return OK;
}

enum err jwt_keys_new(struct jwt_keys **out, const json_t *jwks, struct diag *d)
{
    const json_t *list = json_object_get(jwks, "keys");
    if (!json_is_array(list)) return FAIL(d, ERR_INVALID, "key set: no array \"keys\"");
    if (json_array_size(list) > KEYS_MAX) {
        return FAIL(d, ERR_LIMIT, "key set: more than %d keys", KEYS_MAX);
    }
    CLEANUP(jwt_keys_free) struct jwt_keys *keys = calloc(1, sizeof *keys);
    if (keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *jwk = json_array_get(list, i);
        unsigned algorithms = algorithms_of(jwk);
        if (algorithms != 0)
            TRY(add_key(keys, jwk, algorithms, d)); // NOLINT: the cleanup frees keys
    }
    *out = TAKE(keys);
    return OK;
}

void jwt_keys_free(struct jwt_keys *k)
{
    if (k == NULL) return;
    MAP_EACH (&k->by_kid, entry)
        key_free(entry->value);
    map_release(&k->by_kid);
    free(k);
}

/* --- checking
 * ------------------------------------------------------------------------------------- */

struct parts {
    struct bytes signed_text;
    struct buf header, payload, signature;
};

static void parts_release(struct parts *p)
{
    buf_release(&p->header);
    buf_release(&p->payload);
    buf_release(&p->signature);
}

static enum err malformed(const char *what, struct diag *d)
{
    return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token is malformed: %s", what);
}

/* base64_decode() is lenient about alphabet and padding; a token is not. */
static bool decode_segment(const char *text, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '_') return false;
    }
    return base64_decode(out, bytes_of(text, n), NULL) == OK && !out->bad;
}

static enum err split(const char *token, struct parts *p, struct diag *d)
{
    if (strnlen(token, JWT_TEXT_MAX + 1) > JWT_TEXT_MAX) {
        return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token has more than %zu bytes",
                        JWT_TEXT_MAX);
    }
    const char *dot1 = strchr(token, '.');
    const char *dot2 = dot1 != NULL ? strchr(dot1 + 1, '.') : NULL;
    if (dot2 == NULL || strchr(dot2 + 1, '.') != NULL) return malformed("not three parts", d);
    p->signed_text = bytes_of(token, (size_t)(dot2 - token));
    bool good = decode_segment(token, (size_t)(dot1 - token), &p->header) &&
                decode_segment(dot1 + 1, (size_t)(dot2 - dot1 - 1), &p->payload) &&
                decode_segment(dot2 + 1, strlen(dot2 + 1), &p->signature);
    return good ? OK : malformed("a part is not base64url", d);
}

static enum err read_object(const struct buf *text, json_t **out, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    /* A zero byte within a string would end it for whoever compares: "ours\u0000theirs". */
    if (text->len != 0 && memmem(text->p, text->len, "\\u0000", 6) != NULL) {
        return malformed("a zero byte in a string", d);
    }
    if (json_read(buf_view(text), &j, NULL) != OK || !json_is_object(j)) {
        return malformed("a part is not a JSON object", d);
    }
    *out = TAKE(j);
    return OK;
}

static const struct key *find_key(const struct jwt_keys *keys, const json_t *header,
                                  bool by_thumbprint)
{
    static const char *const names[] = {"kid", "x5t#S256", "x5t"};
    for (size_t i = 0; i < (by_thumbprint ? 3 : 1); i++) {
        const char *name = text_of(header, names[i]);
        size_t n = name != NULL ? strlen(name) : 0;
        while (by_thumbprint && n != 0 && name[n - 1] == '=') /* MSAL for Python pads */
            n--;
        const struct key *k = n != 0 ? map_get(&keys->by_kid, bytes_of(name, n)) : NULL;
        if (k != NULL) return k;
    }
    return NULL;
}

static bool signature_is_good(const struct key *k, unsigned algorithm, const struct parts *p)
{
    uint8_t digest[32];
    bool good = false;
    sha256(p->signed_text, digest);
    enum err e =
        algorithm == JWT_ES256
            ? ec_verify(k->ec, BYTES_OF(digest), buf_view(&p->signature), &good, NULL)
            : rsa_verify(k->rsa, algorithm == JWT_PS256 ? RSA_SIGN_PSS : RSA_SIGN_PKCS1,
                         SIGN_SHA256, BYTES_OF(digest), buf_view(&p->signature), &good, NULL);
    return e == OK && good;
}

static enum err check_signature(const struct parts *p, const struct jwt_keys *keys,
                                const struct jwt_expect *want, struct diag *d)
{
    CLEANUP_JSON json_t *header = NULL;
    TRY(read_object(&p->header, &header, d));
    unsigned algorithm = jwt_algorithm(text_of(header, "alg"));
    if ((algorithm & (want->algorithms != 0 ? want->algorithms : JWT_RS256)) == 0) {
        return FAIL_TAG(d, ERR_DENIED, "Algorithm",
                        "the token is not signed with an algorithm that is accepted here");
    }
    if (json_object_get(header, "crit") != NULL || json_object_get(header, "b64") != NULL) {
        return malformed("it relies on an extension", d);
    }
    const struct key *key = find_key(keys, header, want->by_thumbprint);
    if (key == NULL) {
        return FAIL_TAG(d, ERR_DENIED, "UnknownKey",
                        "the token is signed with a key not known here");
    }
    if ((key->algorithms & algorithm) == 0) {
        return FAIL_TAG(d, ERR_DENIED, "Algorithm", "the key is not for the token's algorithm");
    }
    if (!signature_is_good(key, algorithm, p)) {
        return FAIL_TAG(d, ERR_DENIED, "Signature", "the signature of the token is wrong");
    }
    return OK;
}

/* Seconds; RFC 7519 allows fractions. Absurd ones are no time at all. */
static bool get_time(const json_t *claims, const char *name, int64_t *out)
{
    const json_t *v = json_object_get(claims, name);
    double t = json_number_value(v);
    if (!json_is_number(v) || !(t > -1e14 && t < 1e14)) return false;
    *out = (int64_t)t;
    return true;
}

static enum err check_times(const json_t *claims, int64_t now_us, struct diag *d)
{
    int64_t now = now_us / US_PER_S, exp = 0, nbf = 0;
    if (!get_time(claims, "exp", &exp)) return malformed("no expiry", d);
    if (json_object_get(claims, "nbf") != NULL && !get_time(claims, "nbf", &nbf)) {
        return malformed("a bad \"nbf\"", d);
    }
    if (exp <= now - JWT_SKEW_S) {
        return FAIL_TAG(d, ERR_DENIED, "Expired", "the token expired %lld s ago",
                        (long long)(now - exp));
    }
    if (nbf > now + JWT_SKEW_S) {
        return FAIL_TAG(d, ERR_DENIED, "NotYetValid", "the token is valid in %lld s",
                        (long long)(nbf - now));
    }
    return OK;
}

static enum err check_issuer(const json_t *claims, const char *const *issuers, struct diag *d)
{
    const char *iss = text_of(claims, "iss");
    for (; iss != NULL && *issuers != NULL; issuers++) {
        if (str_eq(iss, *issuers)) return OK;
    }
    return FAIL_TAG(d, ERR_DENIED, "Issuer", "the token is from another issuer");
}

static size_t len_without_slash(const char *s)
{
    size_t n = strlen(s);
    return n != 0 && s[n - 1] == '/' ? n - 1 : n;
}

bool jwt_is_for(const char *aud, const char *const *audiences)
{
    for (; aud != NULL && *audiences != NULL; audiences++) {
        if (bytes_eq(bytes_of(aud, len_without_slash(aud)),
                     bytes_of(*audiences, len_without_slash(*audiences)))) {
            return true;
        }
    }
    return false;
}

static enum err check_audience(const json_t *claims, const char *const *audiences, struct diag *d)
{
    const json_t *aud = json_object_get(claims, "aud");
    if (jwt_is_for(json_string_value(aud), audiences)) return OK;
    for (size_t i = 0; i < json_array_size(aud); i++) {
        if (jwt_is_for(json_string_value(json_array_get(aud, i)), audiences)) return OK;
    }
    return FAIL_TAG(d, ERR_DENIED, "Audience", "the token is for another audience");
}

enum err jwt_verify(const char *token, const struct jwt_keys *keys, const struct jwt_expect *want,
                    json_t **claims, struct diag *d)
{
    CLEANUP_LOCAL(parts_release) struct parts p = {0};
    CLEANUP_JSON json_t *j = NULL;
    TRY(split(token, &p, d));
    TRY(check_signature(&p, keys, want, d));
    TRY(read_object(&p.payload, &j, d));
    TRY(check_times(j, want->now_us, d));
    TRY(check_issuer(j, want->issuers, d));
    TRY(check_audience(j, want->audiences, d));
    *claims = TAKE(j);
    return OK;
}

enum err jwt_peek(const char *token, json_t **claims, struct diag *d)
{
    CLEANUP_LOCAL(parts_release) struct parts p = {0};
    TRY(split(token, &p, d));
    return read_object(&p.payload, claims, d);
}

/* 8/17/2017 10:54:41 PM, as the original writes it. */
static void american(int64_t us, char out[48])
{
    time_t s = (time_t)(us / US_PER_S);
    struct tm t;
    if (gmtime_r(&s, &t) == NULL) memset(&t, 0, sizeof t);
    snprintf(out, 48, "%d/%d/%d %d:%02d:%02d %s", t.tm_mon + 1, t.tm_mday, t.tm_year + 1900,
             t.tm_hour % 12 == 0 ? 12 : t.tm_hour % 12, t.tm_min, t.tm_sec,
             t.tm_hour < 12 ? "AM" : "PM");
}

bool jwt_expiry_sentence(const char *token, int64_t now_us, char out[JWT_SENTENCE_MAX])
{
    CLEANUP_JSON json_t *claims = NULL;
    char end[48], now[48];
    if (jwt_peek(token, &claims, NULL) != OK) return false;
    int64_t exp = json_get_int(claims, "exp", 0);
    if (exp <= 0 || exp > INT64_MAX / US_PER_S) return false;
    american(exp * US_PER_S, end);
    american(now_us, now);
    snprintf(out, JWT_SENTENCE_MAX,
             "The access token expiry UTC time '%s' is earlier than current UTC time '%s'.", end,
             now);
    return true;
}
