/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/password.h - passwords of people: Argon2id (RFC 9106), salt and costs within the text
 *
 * One password at a time is worked on: a crowd of guesses must not take a crowd's memory (64 MiB
 * each). password_matches() costs the same for a text that is no hash, so that a name nobody has
 * takes as long as a wrong password.
 */
#pragma once

#include "crypto/secret.h"

#define PASSWORD_HASH_MAX 128 /* bytes, with the terminating zero */

/* ERR_LIMIT: no memory to hash with. */
enum err password_hash(struct bytes password, char out[PASSWORD_HASH_MAX], struct diag *d);
/* A key of 32 bytes from a passphrase, for what lies beside its salt and costs. ERR_CORRUPT for
 * costs that nobody has chosen; ERR_LIMIT: no memory. */
#define PASSWORD_SALT_LEN 16
struct password_costs {
    uint64_t passes, bytes;
};
struct password_costs password_costs(void); /* for new ones: RFC 9106, 4: 3 passes over 64 MiB */
enum err password_key(struct bytes passphrase, const uint8_t salt[PASSWORD_SALT_LEN],
                      const struct password_costs *c, struct secret **key, struct diag *d);
/* hash "" never matches. */
bool password_matches(const char *hash, struct bytes password);
