/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/aead.h - authenticated encryption with a key that seals once
 *
 * Contexts belong to threads and are used again; the key schedule of the last call is overwritten
 * before the call returns.
 */
#pragma once

#include "crypto/secret.h"

#define AEAD_KEY_LEN   32
#define AEAD_NONCE_LEN 12
#define AEAD_TAG_LEN   16

enum aead_alg { AEAD_AES_256_GCM, AEAD_CHACHA20_POLY1305, AEAD_ALGS };

struct aead {
    enum aead_alg alg;
    const uint8_t *key;   /* AEAD_KEY_LEN bytes */
    const uint8_t *nonce; /* AEAD_NONCE_LEN bytes, never twice with one key */
    struct bytes aad;
};

/* Writes plain.len bytes of ciphertext and the tag to out; plain.len at most INT_MAX. */
enum err aead_seal(const struct aead *a, struct bytes plain, uint8_t *out, struct diag *d);

/*
 * Opens ciphertext and tag into out, sealed.len - AEAD_TAG_LEN bytes.
 * ERR_CORRUPT  the tag is wrong; out holds zeros
 */
enum err aead_open(const struct aead *a, struct bytes sealed, uint8_t *out, struct diag *d);
