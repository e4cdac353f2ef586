/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/letter.h - a short secret sealed to somebody's public key, and opened with the private one
 *
 * Keys are PEM files: X25519 (SubjectPublicKeyInfo, PKCS#8) or RSA of 2048 bits and more. By kind:
 *
 *      RSA      RSA-OAEP, SHA-256 and MGF1-SHA-256, empty label
 *      X25519   ephemeral public key[32], then AES-256-GCM ciphertext and tag; key 32 | nonce 12 =
 *               HKDF-Expand-SHA-512(HMAC-SHA-512(ephemeral[32] | recipient[32], shared secret),
 *               "keystead/1 letter" 00, 44), no additional data
 *
 * A letter proves nothing about who wrote it.
 */
#pragma once

#include "crypto/secret.h"

struct letter_key; /* a public key, or a private one */

enum err letter_key_generate(struct letter_key **out, struct diag *d); /* X25519 */
/* Either half, as PEM. ERR_INVALID: none of the kinds above, or encrypted. */
enum err letter_key_read(struct letter_key **out, struct bytes pem, struct diag *d);
enum err letter_key_write(const struct letter_key *k, bool private_half, struct buf *pem,
                          struct diag *d);
void letter_key_free(struct letter_key *k);
const char *letter_key_kind(const struct letter_key *k); /* "X25519", "RSA-OAEP-256" */
/* SHA-256 of the public half's SubjectPublicKeyInfo: the same for both halves. */
enum err letter_key_print(const struct letter_key *k, uint8_t out[32], struct diag *d);

#define LETTER_MAX 190 /* bytes: what OAEP leaves of 2048 bits */

enum err letter_seal(const struct letter_key *to, struct bytes plain, struct buf *out,
                     struct diag *d);
/* ERR_CORRUPT: sealed to another key, or changed. ERR_INVALID: this is no private key. */
enum err letter_open(const struct letter_key *key, struct bytes letter, struct secret **out,
                     struct diag *d);

DEFINE_CLEANUP(letter_key_free, struct letter_key)
