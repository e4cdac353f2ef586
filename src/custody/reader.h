/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/reader.h - keys for whoever verifies a store beside its running server
 *
 * A reader reaches keyd through the supervisor (DIR/run.sock) and may do one thing: open files that
 * exist, under the same lease and with the same audit line as the log service. It changes no state,
 * and keyd gives it nothing for an account that is locked. One thread at a time.
 */
#pragma once

#include "crypto/sealed.h"
#include "json/json.h"

struct reader;

/* Takes the socket. Waits up to timeout_ms for keyd to be ready. */
enum err reader_new(struct reader **out, int fd, uint64_t timeout_ms, struct diag *d);
void reader_free(struct reader *r);

/* What keyd knows of scopes, accounts and wraps: "accounts" as custody_status() has it. */
enum err reader_status(struct reader *r, json_t **out, struct diag *d);

/* The functions of storage/keys.h that read; self is the struct reader. */
enum err reader_file_open(void *self, const uint8_t account[16], const struct file_ident *files,
                          size_t n, struct file_key **out, struct diag *d);
void reader_file_release(void *self, struct file_key *k);
enum err reader_lease_check(void *self, const uint8_t account[16],
                            struct diag *d); /* renews when it must */

DEFINE_CLEANUP(reader_free, struct reader)
