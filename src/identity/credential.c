/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/credential.c - what a principal shows to be believed: secrets and certificates
 *
 * Of a secret only a salted digest is kept: it has 256 random bits, so a slow hash would add
 * nothing. Of a certificate only its public key and its thumbprints are kept.
 */
#include "identity/state.h"

#include "base/rand.h"
#include "base/time.h"
#include "crypto/certificate.h"

#include <stdio.h>

static bool is_dead(const struct credential *c, int64_t now_us)
{
    return c->expires_us != 0 && c->expires_us <= now_us;
}

static void take_out(struct principal *p, unsigned i)
{
    memmove(&p->credentials[i], &p->credentials[i + 1],
            (p->n_credentials - i - 1) * sizeof p->credentials[0]);
    p->n_credentials--;
    wipe(&p->credentials[p->n_credentials], sizeof p->credentials[0]);
}

/* --- adding and removing
 * ----------------------------------------------------------------------------- */

static enum err add(struct principal *p, struct credential *c, struct diag *d)
{
    int64_t now = time_now_us();
    for (unsigned i = p->n_credentials; i-- > 0;) {
        if (is_dead(&p->credentials[i], now)) take_out(p, i);
    }
    if (p->kind != PRINCIPAL_APP) {
        return FAIL_TAG(d, ERR_INVALID, "NotAnApplication",
                        "'%s' is no application: it has neither secrets nor certificates.",
                        p->name);
    }
    if (p->n_credentials == CREDENTIALS_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "TooManyCredentials",
                        "'%s' has %d secrets and certificates, which is the limit.", p->name,
                        CREDENTIALS_MAX);
    }
    new_id(c->id);
    c->created_us = now;
    p->credentials[p->n_credentials++] = *c;
    return OK;
}

static void hash_secret(const struct credential *c, const char *secret, uint8_t out[32])
{
    hmac_sha256(BYTES_OF(c->salt), bytes_str(secret), out);
}

enum err credential_add_secret(struct principal *p, int64_t expires_us,
                               char secret[2 * SECRET_LEN + 1], struct diag *d)
{
    struct credential c = {.kind = CREDENTIAL_SECRET, .expires_us = expires_us};
    uint8_t random[SECRET_LEN];
    rand_bytes(random, sizeof random);
    rand_bytes(c.salt, sizeof c.salt);
    hex_encode(BYTES_OF(random), secret);
    hash_secret(&c, secret, c.hash);
    wipe(random, sizeof random);
    return add(p, &c, d);
}

static bool encode(struct bytes b, char *out, size_t size)
{
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, b);
    return (size_t)snprintf(out, size, "%s", buf_cstr(&text)) < size && !text.bad;
}

static enum err fill(struct credential *c, const struct certificate *x, struct diag *d)
{
    char first[700], second[64];
    c->expires_us = x->not_after_us;
    bool good = encode(BYTES_OF(x->sha1), c->x5t, sizeof c->x5t) &&
                encode(BYTES_OF(x->sha256), c->x5t_sha256, sizeof c->x5t_sha256) &&
                encode(buf_view(&x->first), first, sizeof first) &&
                encode(buf_view(&x->second), second, sizeof second);
    int n = x->is_rsa ? snprintf(c->jwk, sizeof c->jwk,
                                 "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}", first, second)
                      : snprintf(c->jwk, sizeof c->jwk,
                                 "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"}",
                                 first, second);
    if (good && n > 0 && (size_t)n < sizeof c->jwk) return OK;
    return FAIL_TAG(d, ERR_INVALID, "InvalidCertificate", "The certificate's key is too long.");
}

enum err credential_add_certificate(struct principal *p, struct bytes text, struct diag *d)
{
    struct credential c = {.kind = CREDENTIAL_CERTIFICATE};
    struct certificate x;
    struct diag why = DIAG_INIT;
    if (certificate_read(&x, text, &why) != OK) {
        return FAIL_TAG(d, ERR_INVALID, "InvalidCertificate", "%s.", why.text);
    }
    enum err e = fill(&c, &x, d);
    certificate_release(&x);
    TRY(e);
    if (is_dead(&c, time_now_us())) {
        return FAIL_TAG(d, ERR_INVALID, "CertificateExpired", "The certificate has expired.");
    }
    for (unsigned i = 0; i < p->n_credentials; i++) {
        if (!str_eq(p->credentials[i].x5t_sha256, c.x5t_sha256)) continue;
        return FAIL_TAG(d, ERR_CONFLICT, "CertificateExists", "'%s' has this certificate already.",
                        p->name);
    }
    return add(p, &c, d);
}

void credential_retire_secrets(struct principal *p, int64_t then_us)
{
    const struct credential *newest = NULL;
    for (unsigned i = 0; i < p->n_credentials; i++) {
        if (p->credentials[i].kind == CREDENTIAL_SECRET) newest = &p->credentials[i];
    }
    for (unsigned i = 0; i < p->n_credentials; i++) {
        struct credential *c = &p->credentials[i];
        if (c->kind != CREDENTIAL_SECRET || c == newest) continue;
        if (c->expires_us == 0 || c->expires_us > then_us) c->expires_us = then_us;
    }
}

enum err credential_remove(struct principal *p, const char *id, struct diag *d)
{
    for (unsigned i = 0; i < p->n_credentials; i++) {
        if (!str_eq_nocase(p->credentials[i].id, id)) continue;
        take_out(p, i);
        return OK;
    }
    return FAIL_TAG(d, ERR_NOT_FOUND, "CredentialNotFound", "'%s' has no credential '%.60s'.",
                    p->name, id);
}

/* --- checking
 * ---------------------------------------------------------------------------------------- */

enum secret_verdict credential_check_secret(const struct principal *p, const char *secret)
{
    enum secret_verdict verdict = SECRET_WRONG;
    int64_t now = time_now_us();
    if (p->kind != PRINCIPAL_APP) return SECRET_WRONG;
    for (unsigned i = 0; i < p->n_credentials; i++) {
        const struct credential *c = &p->credentials[i];
        uint8_t hash[32];
        if (c->kind != CREDENTIAL_SECRET) continue;
        hash_secret(c, secret, hash);
        bool same = secret_eq(BYTES_OF(hash), BYTES_OF(c->hash));
        wipe(hash, sizeof hash);
        if (same) verdict = is_dead(c, now) ? SECRET_EXPIRED : SECRET_GOOD;
    }
    return verdict;
}

static bool add_key(json_t *keys, const struct credential *c, const char *kid)
{
    json_t *jwk = NULL;
    return json_read(bytes_str(c->jwk), &jwk, NULL) == OK &&
           json_array_append_new(keys, jwk) == 0 &&
           json_object_set_new(jwk, "kid", json_string(kid)) == 0;
}

enum err credential_keys(const struct principal *p, struct jwt_keys **out, struct diag *d)
{
    int64_t now = time_now_us();
    json_t *keys = json_array();
    CLEANUP_JSON json_t *set = json_pack("{s:o}", "keys", keys);
    bool good = set != NULL;
    for (unsigned i = 0; good && i < p->n_credentials; i++) {
        const struct credential *c = &p->credentials[i];
        if (c->kind != CREDENTIAL_CERTIFICATE || is_dead(c, now)) continue;
        good = add_key(keys, c, c->x5t) && add_key(keys, c, c->x5t_sha256);
    }
    return good ? jwt_keys_new(out, set, d) : FAIL(d, ERR_LIMIT, "out of memory");
}

/* --- shapes
 * ------------------------------------------------------------------------------------------ */

json_t *credential_row(const struct credential *c)
{
    if (c->kind == CREDENTIAL_CERTIFICATE) {
        return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s, s:s}", "kind", "certificate", "id", c->id,
                         "createdUs", (json_int_t)c->created_us, "expiresUs",
                         (json_int_t)c->expires_us, "x5t", c->x5t, "x5tS256", c->x5t_sha256, "jwk",
                         c->jwk);
    }
    char salt[2 * sizeof c->salt + 1], hash[2 * sizeof c->hash + 1];
    hex_encode(BYTES_OF(c->salt), salt);
    hex_encode(BYTES_OF(c->hash), hash);
    return json_pack("{s:s, s:s, s:I, s:I, s:s, s:s}", "kind", "secret", "id", c->id, "createdUs",
                     (json_int_t)c->created_us, "expiresUs", (json_int_t)c->expires_us, "salt",
                     salt, "hash", hash);
}

static bool read_hex(const json_t *j, const char *name, uint8_t *out, size_t len)
{
    const char *text = json_string_value(json_object_get(j, name));
    return text != NULL && hex_decode(bytes_str(text), out, len, NULL) == OK;
}

bool credential_read(const json_t *row, struct credential *out)
{
    struct credential c = {0};
    const char *kind = json_string_value(json_object_get(row, "kind"));
    c.created_us = json_integer_value(json_object_get(row, "createdUs"));
    c.expires_us = json_integer_value(json_object_get(row, "expiresUs"));
    if (!row_text(row, "id", c.id, sizeof c.id)) return false;
    if (str_eq(kind, "certificate")) {
        c.kind = CREDENTIAL_CERTIFICATE;
        if (!row_text(row, "x5t", c.x5t, sizeof c.x5t) ||
            !row_text(row, "x5tS256", c.x5t_sha256, sizeof c.x5t_sha256) ||
            !row_text(row, "jwk", c.jwk, sizeof c.jwk)) {
            return false;
        }
    } else if (!str_eq(kind, "secret") || !read_hex(row, "salt", c.salt, sizeof c.salt) ||
               !read_hex(row, "hash", c.hash, sizeof c.hash)) {
        return false;
    }
    *out = c;
    return true;
}

static json_t *time_or_null(int64_t us)
{
    char text[TIME_TEXT_MAX];
    if (us == 0) return json_null();
    time_format_iso(us, text);
    return json_string(text);
}

json_t *credential_json(const struct credential *c)
{
    bool is_certificate = c->kind == CREDENTIAL_CERTIFICATE;
    json_t *j = json_pack("{s:s, s:s, s:o, s:o}", "id", c->id, "kind",
                          is_certificate ? "certificate" : "secret", "created",
                          time_or_null(c->created_us), "expires", time_or_null(c->expires_us));
    if (is_certificate && j != NULL) {
        json_object_set_new(j, "x5t", json_string(c->x5t));
        json_object_set_new(j, "x5t#S256", json_string(c->x5t_sha256));
    }
    return j;
}
