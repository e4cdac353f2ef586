/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/sealed_salt.h - what the two layers share; sealing with a salt from outside, for known
 * answers only
 *
 * A salt used twice with one key and one number ends GCM; block_seal() and outer_seal() draw their
 * own.
 */
#pragma once

#include "crypto/sealed.h"

#define SEAL_SALT_LEN 24

enum err block_seal_salted(struct file_key *k, enum btype btype, uint64_t block_no,
                           const uint8_t salt[SEAL_SALT_LEN], struct bytes plain, struct buf *out,
                           struct diag *d);
enum err outer_seal_salted(struct outer_key *k, uint64_t frame_no,
                           const uint8_t salt[SEAL_SALT_LEN], struct bytes block, struct buf *out,
                           struct diag *d);
/* outer.c: what all frames of this key's file begin with. */
struct bytes outer_needle(const struct outer_key *k, uint8_t *out);
