/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/keywrap.h - RSA keys and wrapping: RSA-OAEP-256 (RFC 8017, MGF1-SHA-256), AES-KW (RFC
 * 3394), RS256
 *
 * Private keys live in OpenSSL objects whose memory is wiped on free; they leave only as secrets.
 */
#pragma once

#include "crypto/secret.h"

struct rsa_key; /* a private key, or a public one */

enum err rsa_generate(struct rsa_key **out, unsigned bits, struct diag *d); /* 2048, 3072, 4096 */
/* Public key from big-endian modulus and exponent (JWK n, e). Exponent odd and >= 3, 2048..4096
 * bits. */
enum err rsa_public(struct rsa_key **out, struct bytes n, struct bytes e, struct diag *d);
/* A private key from all numbers of a JWK, big-endian; that they belong together is checked. */
struct rsa_parts {
    struct bytes n, e, d, p, q, dp, dq, qi;
};
enum err rsa_import(struct rsa_key **out, const struct rsa_parts *parts, struct diag *d);
enum err rsa_from_der(struct rsa_key **out, struct bytes pkcs8, struct diag *d);
enum err rsa_to_der(const struct rsa_key *k, struct secret **pkcs8, struct diag *d);
void rsa_free(struct rsa_key *k);
unsigned rsa_bits(const struct rsa_key *k);
enum err rsa_public_parts(const struct rsa_key *k, struct buf *n, struct buf *e, struct diag *d);
void *rsa_evp(const struct rsa_key *k); /* EVP_PKEY *, borrowed: for net/tls.c only */

enum rsa_padding { RSA_OAEP_SHA1, RSA_OAEP_SHA256, RSA_PKCS1_V15 };
enum err rsa_encrypt(const struct rsa_key *k, enum rsa_padding p, struct bytes plain,
                     struct buf *out, struct diag *d);
/* ERR_INVALID for a ciphertext that does not open; says nothing about why. */
enum err rsa_decrypt(const struct rsa_key *k, enum rsa_padding p, struct bytes cipher,
                     struct secret **out, struct diag *d);

/* Takes OAEP's padding (with an empty label) off the number that a raw decryption has left: as long
 * as the modulus, in constant time. ERR_INVALID says nothing about why. */
enum err rsa_unpad_oaep(enum rsa_padding p, struct bytes em, struct secret **out, struct diag *d);

enum err rs256_sign(const struct rsa_key *k, struct bytes text, struct buf *out, struct diag *d);
enum err rs256_verify(const struct rsa_key *k, struct bytes text, struct bytes sig, struct diag *d);

/* AES key wrap with a 128, 192 or 256 bit key; plain is a multiple of 8 bytes, at least 16. */
enum err aes_kw_wrap(struct bytes kek, struct bytes plain, struct buf *out, struct diag *d);
enum err aes_kw_unwrap(struct bytes kek, struct bytes wrapped, struct secret **out, struct diag *d);

DEFINE_CLEANUP(rsa_free, struct rsa_key)
