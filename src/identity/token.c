/* SPDX-License-Identifier: Apache-2.0 */
/* identity/token.c - the signing key, its public half, and the claims of a token */
#include "identity/state.h"

#include "base/rand.h"
#include "base/time.h"

#include <stdio.h>

#define SIGNING_BITS 2048

void token_issuer(const struct identity *id, enum token_kind kind, char out[ISSUER_MAX])
{
    switch (kind) {
    case TOKEN_V1: snprintf(out, ISSUER_MAX, "%s/%s/", id->endpoint, id->tenant_id); return;
    case TOKEN_V2: snprintf(out, ISSUER_MAX, "%s/%s/v2.0", id->endpoint, id->tenant_id); return;
    case TOKEN_ADFS: snprintf(out, ISSUER_MAX, "%s/adfs", id->endpoint); return;
    }
}

static json_t *base_claims(const struct identity *id, enum token_kind kind,
                           const struct principal *p, const char *audience, int64_t now_s)
{
    char issuer[ISSUER_MAX], uti[32];
    uint8_t random[12];
    CLEANUP_BUF struct buf text = {0};
    token_issuer(id, kind, issuer);
    rand_bytes(random, sizeof random);
    base64url_encode(&text, BYTES_OF(random));
    snprintf(uti, sizeof uti, "%s", buf_cstr(&text));
    return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "aud",
                     audience, "iss", issuer, "iat", (json_int_t)now_s, "nbf", (json_int_t)now_s,
                     "exp", (json_int_t)now_s + TOKEN_LIFE_S, "appid", p->client_id, "idtyp", "app",
                     "oid", p->object_id, "sub", p->object_id, "tid", id->tenant_id, "uti", uti,
                     "ver", kind == TOKEN_V2 ? "2.0" : "1.0");
}

enum err token_issue(struct identity *id, enum token_kind kind, const struct principal *p,
                     const char *audience, struct buf *out, int64_t *expires_us, struct diag *d)
{
    int64_t now_s = time_now_us() / US_PER_S;
    bool managed = p->resource[0] != 0;
    CLEANUP_JSON json_t *claims = base_claims(id, kind, p, audience, now_s);
    bool good = claims != NULL;
    if (kind == TOKEN_V2) {
        good = good && json_object_set_new(claims, "azp", json_string(p->client_id)) == 0;
    }
    good = good && json_object_set_new(claims, kind == TOKEN_V2 ? "azpacr" : "appidacr",
                                       json_string(managed ? "2" : "1")) == 0;
    if (managed) {
        good = good && json_object_set_new(claims, "xms_mirid", json_string(p->resource)) == 0;
    }
    if (!good) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(jwt_sign(id->signing_key, id->kid, claims, out, d));
    *expires_us = (now_s + TOKEN_LIFE_S) * US_PER_S;
    return OK;
}

enum err token_read(struct identity *id, const char *token, const char *const *audiences,
                    char object_id[GUID_TEXT_MAX], struct diag *d)
{
    char texts[3][ISSUER_MAX];
    for (int i = 0; i < 3; i++)
        token_issuer(id, (enum token_kind)i, texts[i]);
    const char *const issuers[] = {texts[0], texts[1], texts[2], NULL};
    const struct jwt_expect want = {issuers, audiences, time_now_us()};
    CLEANUP_JSON json_t *claims = NULL;
    TRY(jwt_verify(token, id->keys, &want, &claims, d));
    const char *oid = json_string_value(json_object_get(claims, "oid"));
    if (oid == NULL || strlen(oid) >= GUID_TEXT_MAX) {
        return FAIL_TAG(d, ERR_DENIED, "Malformed", "the token names no principal");
    }
    snprintf(object_id, GUID_TEXT_MAX, "%s", oid);
    return OK;
}

/* --- the key
 * ----------------------------------------------------------------------------------------- */

static enum err load_or_make(struct identity *id, struct diag *d)
{
    CLEANUP_BUF struct buf der = {0};
    struct diag why = DIAG_INIT;
    enum err e = kvstore_get(id->store, "meta", "signing_key", &der, &why);
    if (e == OK) return rsa_from_der(&id->signing_key, buf_view(&der), d);
    if (e != ERR_NOT_FOUND) return FAIL(d, e, "the signing key: %s", why.text);

    CLEANUP(secret_free) struct secret *fresh = NULL;
    TRY(rsa_generate(&id->signing_key, SIGNING_BITS, d));
    TRY(rsa_to_der(id->signing_key, &fresh, d));
    return kvstore_put(id->store, "meta", "signing_key", secret_view(fresh), d);
}

/* kid is the modulus' digest: the same key has the same name for ever. */
static enum err publish(struct identity *id, struct diag *d)
{
    CLEANUP_BUF struct buf n = {0}, e = {0}, n64 = {0}, e64 = {0}, kid = {0};
    uint8_t digest[32];
    TRY(rsa_public_parts(id->signing_key, &n, &e, d));
    sha256(buf_view(&n), digest);
    base64url_encode(&kid, BYTES_OF(digest));
    base64url_encode(&n64, buf_view(&n));
    base64url_encode(&e64, buf_view(&e));
    snprintf(id->kid, sizeof id->kid, "%s", buf_cstr(&kid));
    CLEANUP_JSON json_t *set = json_pack("{s:[{s:s, s:s, s:s, s:s, s:s, s:s, s:s}]}", "keys", "kty",
                                         "RSA", "use", "sig", "alg", "RS256", "kid", id->kid, "x5t",
                                         id->kid, "n", buf_cstr(&n64), "e", buf_cstr(&e64));
    if (set == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(jwt_keys_new(&id->keys, set, d));
    return json_write(set, &id->key_set, d);
}

enum err signing_key_load(struct identity *id, struct diag *d)
{
    TRY(load_or_make(id, d));
    return publish(id, d);
}
