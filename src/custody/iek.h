/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/iek.h - the infrastructure key of the second layer: who keeps it, and is it the right one
 *
 * 32 random bytes, independent of AEK, KEK and PMK. keyd alone holds it, from its start to its end.
 * Its id is random and lies, with a commitment, in a record that MK authenticates: another key in
 * the custodian's place is never used.
 */
#pragma once

#include "crypto/secret.h"

/*
 * A file of exactly 32 bytes that nobody but its owner may read. make: it is made if it is missing.
 * ERR_NOT_FOUND  it is missing
 * ERR_INVALID    another length, or others may read it
 */
enum err iek_file_open(const char *path, bool make, struct secret **out, struct diag *d);

/*
 * Wrapped by the AES-256 key of that label in a token; the file holds the wrap. make: the key, where
 * the token has none of that label, and the file are made if the file is missing.
 * ERR_NOT_FOUND    the file is missing
 * ERR_INVALID      it is no wrap of 32 bytes under this key
 * else             as vault/token.h
 */
struct token;
enum err iek_token_open(struct token *t, const char *label, const char *path, bool make,
                        struct secret **out, struct diag *d);
