/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ed25519.h - signatures of one's own (RFC 8032); keys as their raw 32 bytes */
#pragma once

#include "crypto/secret.h"

#define ED25519_KEY_LEN       32
#define ED25519_SIGNATURE_LEN 64

/* The public key of a private one, which is any 32 random bytes. ERR_INVALID: another length. */
enum err ed25519_public(const struct secret *key, uint8_t out[ED25519_KEY_LEN], struct diag *d);
enum err ed25519_sign(const struct secret *key, struct bytes text,
                      uint8_t out[ED25519_SIGNATURE_LEN], struct diag *d);
bool ed25519_good(const uint8_t public_key[ED25519_KEY_LEN], struct bytes text,
                  const uint8_t signature[ED25519_SIGNATURE_LEN]);
