/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net/jwt.h - tokens (RFC 7515, 7519): signing with RS256, and checking against a key set
 *
 * Which algorithms are good comes from the caller, never from the token: a header that says
 * another is refused before a key is looked up. Tokens over JWT_TEXT_MAX are refused unread.
 */
#pragma once

#include "crypto/keywrap.h"
#include "json/json.h"

#define JWT_TEXT_MAX ((size_t)16 << 10) /* bytes */
#define JWT_SKEW_S   300                /* seconds that nbf and exp may be off */

/* Signs claims (an object); kid goes into the header. */
enum err jwt_sign(const struct rsa_key *key, const char *kid, const json_t *claims, struct buf *out,
                  struct diag *d);

enum jwt_algorithm { JWT_RS256 = 1, JWT_PS256 = 2, JWT_ES256 = 4 }; /* RFC 7518 3.1 */
/* The one of that name; 0 = none of ours. */
unsigned jwt_algorithm(const char *name);

/* RSA keys, and EC keys on P-256; a key's "alg" narrows what it may be used with. */
struct jwt_keys; /* public keys by kid; read by many threads, replaced whole */
enum err jwt_keys_new(struct jwt_keys **out, const json_t *jwks,
                      struct diag *d); /* {"keys":[...]} */
void jwt_keys_free(struct jwt_keys *k);

struct jwt_expect {
    const char *const *issuers;   /* exact, NULL-terminated */
    const char *const *audiences; /* compared without a slash at the end, NULL-terminated */
    int64_t now_us;
    unsigned algorithms; /* of enum jwt_algorithm; 0 = RS256 alone */
    bool by_thumbprint;  /* the header may name the key by "x5t#S256" or "x5t" instead of "kid" */
};

/*
 * ERR_DENIED with a tag: "Malformed", "Algorithm", "UnknownKey", "Signature", "Expired",
 * "NotYetValid", "Issuer", "Audience". *claims is the caller's.
 */
enum err jwt_verify(const char *token, const struct jwt_keys *keys, const struct jwt_expect *want,
                    json_t **claims, struct diag *d);

/* Is this "aud" one of them? A slash at the end of either counts for nothing. */
bool jwt_is_for(const char *aud, const char *const *audiences);

#define JWT_SENTENCE_MAX 200 /* bytes */
/* What ARM says of a token that has expired: when it did, and what time it is. False: it does not say
 * when it ends. */
bool jwt_expiry_sentence(const char *token, int64_t now_us, char out[JWT_SENTENCE_MAX]);

/* The claims of a token that nobody has checked: to find out whose key to check it with. */
enum err jwt_peek(const char *token, json_t **claims, struct diag *d);

DEFINE_CLEANUP(jwt_keys_free, struct jwt_keys)
