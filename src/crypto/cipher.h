/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/cipher.h - AES in the modes that a vault's callers may ask for: GCM, CBC, CBC with PKCS#7
 *
 * For other people's data, under keys of 128, 192 or 256 bits that serve many times. What Keystead
 * itself seals, it seals with aead.h.
 */
#pragma once

#include "crypto/secret.h"

enum cipher_mode {
    CIPHER_GCM,
    CIPHER_CBC,     /* whole blocks only */
    CIPHER_CBC_PAD, /* PKCS#7 */
};

#define CIPHER_GCM_IV_LEN  12
#define CIPHER_GCM_TAG_LEN 16
#define CIPHER_CBC_IV_LEN  16

struct cipher {
    enum cipher_mode mode;
    struct bytes key, iv;
    struct bytes aad; /* GCM only */
};

/* Appends the ciphertext; tag is written by GCM only. ERR_INVALID for lengths that do not go. */
enum err cipher_encrypt(const struct cipher *c, struct bytes plain, struct buf *out,
                        uint8_t tag[CIPHER_GCM_TAG_LEN], struct diag *d);
/* ERR_INVALID when it does not open; says nothing about why. */
enum err cipher_decrypt(const struct cipher *c, struct bytes text, struct bytes tag,
                        struct secret **out, struct diag *d);
