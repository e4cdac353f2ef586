/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/jwt.h - RS256 tokens (RFC 7515, 7519): signing, and checking against a key set
 *
 * The algorithm comes from here, never from the token: a header that says anything but RS256 is
 * refused before a key is looked up. Tokens over JWT_TEXT_MAX are refused unread.
 */
#pragma once

#include "crypto/keywrap.h"
#include "json/json.h"

#define JWT_TEXT_MAX ((size_t)16 << 10) /* bytes */
#define JWT_SKEW_S   300                /* seconds that nbf and exp may be off */

/* Signs claims (an object); kid goes into the header. */
enum err jwt_sign(const struct rsa_key *key, const char *kid, const json_t *claims, struct buf *out,
                  struct diag *d);

struct jwt_keys; /* public keys by kid; read by many threads, replaced whole */
enum err jwt_keys_new(struct jwt_keys **out, const json_t *jwks,
                      struct diag *d); /* {"keys":[...]} */
void jwt_keys_free(struct jwt_keys *k);

struct jwt_expect {
    const char *const *issuers;   /* exact, NULL-terminated */
    const char *const *audiences; /* compared without a slash at the end, NULL-terminated */
    int64_t now_us;
};

/*
 * ERR_DENIED with a tag: "Malformed", "Algorithm", "UnknownKey", "Signature", "Expired",
 * "NotYetValid", "Issuer", "Audience". *claims is the caller's.
 */
enum err jwt_verify(const char *token, const struct jwt_keys *keys, const struct jwt_expect *want,
                    json_t **claims, struct diag *d);

DEFINE_CLEANUP(jwt_keys_free, struct jwt_keys)
