/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/password.h - passwords of people: Argon2id (RFC 9106), salt and costs within the text
 *
 * One password at a time is worked on: a crowd of guesses must not take a crowd's memory (64 MiB
 * each). password_matches() costs the same for a text that is no hash, so that a name nobody has
 * takes as long as a wrong password.
 */
#pragma once

#include "base/bytes.h"

#define PASSWORD_HASH_MAX 128 /* bytes, with the terminating zero */

/* ERR_LIMIT: no memory to hash with. */
enum err password_hash(struct bytes password, char out[PASSWORD_HASH_MAX], struct diag *d);
/* hash "" never matches. */
bool password_matches(const char *hash, struct bytes password);
