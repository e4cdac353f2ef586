/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/hash.h - SHA-256, HMAC, HKDF-Expand with SHA-512 (keys.md "Derivation") */
#pragma once

#include "crypto/secret.h"

/* FIPS 180-4; cannot fail. */
void sha256(struct bytes in, uint8_t out[32]);
void sha1(struct bytes in, uint8_t out[20]); /* certificate thumbprints only (x5t) */

/* Running SHA-256, for files. */
struct sha256_ctx;
enum err sha256_new(struct sha256_ctx **out, struct diag *d);
void sha256_add(struct sha256_ctx *c, struct bytes in);
void sha256_end(struct sha256_ctx *c, uint8_t out[32]); /* once; frees c */
void sha256_free(struct sha256_ctx *c);                 /* without a result; NULL is fine */

void hmac_sha256(struct bytes key, struct bytes in, uint8_t out[32]);
void hmac_sha512(struct bytes key, struct bytes in, uint8_t out[64]);

/* X(key, info, n) of keys.md: HKDF-Expand (RFC 5869 2.3) with SHA-512, no Extract; n <= 255 * 64.
 */
void hkdf_expand(struct bytes key, struct bytes info, uint8_t *out, size_t n);

/* HMAC-SHA-512 with its key schedule kept: deriving a DEK per block must not cost a new context.
 * Any number of threads may expand with it at once; the state lies on a locked page and is wiped on
 * free. */
struct hmac_key;
enum err hmac_key_new(struct hmac_key **out, struct bytes key, struct diag *d);
void hmac_key_free(struct hmac_key *k);
void hmac_key_expand(const struct hmac_key *k, struct bytes info, uint8_t *out, size_t n);

DEFINE_CLEANUP(hmac_key_free, struct hmac_key)
DEFINE_CLEANUP(sha256_free, struct sha256_ctx)
