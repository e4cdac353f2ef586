/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/assertion.c - signed assertions in the place of a secret (RFC 7523, private_key_jwt)
 *
 * An assertion works once for each audience a token is wanted for: Microsoft's libraries keep one
 * for ten minutes and ask with it for several. What was used is in the store until it has expired,
 * so a restart opens no door.
 */
#include "identity/state.h"

#include "base/time.h"

#include <stdio.h>

#define TABLE      TABLE_ASSERTION
#define LIFE_MAX_S 3600 /* that an assertion may have before it */
#define JTI_MAX    256  /* bytes */
#define ALGORITHMS (JWT_RS256 | JWT_PS256 | JWT_ES256)

static enum err refuse(const char *tag, const char *why, struct diag *d)
{
    return FAIL_TAG(d, ERR_DENIED, tag, "the assertion %s", why);
}

/* A digest, so that what a stranger chose is no key of the store. */
static void name_use(const struct principal *p, const char *jti, const char *wanted,
                     char out[2 * 32 + 1])
{
    CLEANUP_BUF struct buf text = {0};
    uint8_t digest[32];
    buf_blob(&text, bytes_str(p->client_id));
    buf_blob(&text, bytes_str(jti));
    buf_blob(&text, bytes_str(wanted));
    sha256(buf_view(&text), digest);
    hex_encode(BYTES_OF(digest), out);
}

static enum err use_once(struct identity *id, const char *name, int64_t until_us, struct diag *d)
{
    CLEANUP_BUF struct buf there = {0};
    LOCK_SCOPE(&id->lock);
    enum err e = kvstore_get(id->store, TABLE, name, &there, NULL);
    if (e == OK) return refuse("Replay", "has been used before", d);
    if (e != ERR_NOT_FOUND) return FAIL(d, e, "the store of used assertions cannot be read");
    return row_put(id, TABLE, name, json_pack("{s:I}", "untilUs", (json_int_t)until_us), d);
}

enum err assertion_check(struct identity *id, const struct principal *p, const char *assertion,
                         const char *const *audiences, const char *wanted, struct diag *d)
{
    const char *const issuers[] = {p->client_id, NULL};
    const struct jwt_expect want = {.issuers = issuers,
                                    .audiences = audiences,
                                    .now_us = time_now_us(),
                                    .algorithms = ALGORITHMS,
                                    .by_thumbprint = true};
    CLEANUP(jwt_keys_free) struct jwt_keys *keys = NULL;
    CLEANUP_JSON json_t *claims = NULL;
    char name[2 * 32 + 1];
    TRY(credential_keys(p, &keys, d));
    TRY(jwt_verify(assertion, keys, &want, &claims, d));
    const char *sub = json_string_value(json_object_get(claims, "sub"));
    const char *jti = json_string_value(json_object_get(claims, "jti"));
    double exp = json_number_value(json_object_get(claims, "exp"));
    int64_t latest = want.now_us / US_PER_S + LIFE_MAX_S + JWT_SKEW_S;
    if (!str_eq(sub, p->client_id)) return refuse("Subject", "speaks for somebody else", d);
    if (jti == NULL || jti[0] == 0 || strlen(jti) > JTI_MAX) {
        return refuse("Malformed", "has no usable \"jti\"", d);
    }
    if (exp > (double)latest) {
        return refuse("Lifetime", "lives longer than an hour", d);
    }
    name_use(p, jti, wanted, name);
    return use_once(id, name, ((int64_t)exp + JWT_SKEW_S) * US_PER_S, d);
}
