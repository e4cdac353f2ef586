/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit.h - the key-access audit log: one line per use of a key, chained, MACed, sealed
 *
 * Lines and files: custody/audit_line.h, custody/audit_files.h; docs/formats/audit.md.
 *
 * (1) A line is durable (fdatasync) before audit_write() returns OK, and the key it tells of is
 *     used after that. Callers that arrive while one sync runs share the next.
 * (2) After a failed write or sync every further call fails: no audit, no lease.
 * (3) Opening verifies the newest two files. A tail that does not continue the chain - a crash, or
 *     a hand - is kept in a file beside it, and a line of the new run says how much was cut.
 * (4) Each opening begins a chain segment: a new random first MAC key, which only the auditor can
 *     unwrap, in a line that continues the chain.
 * (5) Each file begins with a line that names the chain before it (file.opened, or segment.opened),
 *     so that one file can be checked alone. A full file is never written again.
 */
#pragma once

#include "base/log.h"
#include "crypto/ed25519.h"
#include "crypto/letter.h"

struct audit;

/* Called at opening for each state line of the past, in order. */
typedef void audit_state_visit(void *ctx, const char *account_hex, const char *state);

/* The same for each good unwrap of a scope's wraps: which KEK version, and when. */
typedef void audit_use_visit(void *ctx, const char *scope, const char *kek_id, int64_t us);

struct audit_past {
    audit_state_visit *visit; /* may be NULL */
    audit_use_visit *used;    /* may be NULL */
    void *ctx;
    uint64_t n_lines;  /* set by audit_open(): lines that were looked at */
    uint64_t seq;      /* the last line's number; 0: the log is new */
    bool mk_installed; /* a platform key was made under this log */
};

struct audit_options {
    const char *dir; /* is there already */
    const struct letter_key *auditor;
    size_t file_max; /* bytes after which the next file begins; 0 = 16 MiB */
    /* (2) has come true: only another opening can write again. Called once, under the log's lock:
     * it may note that and no more. May be NULL. */
    void (*failed)(void *ctx);
    void *ctx;
};

/* Verifies the past (3), tells it, and begins a segment (4). */
enum err audit_open(struct audit **out, const struct audit_options *o, struct audit_past *past,
                    struct diag *d);
void audit_close(struct audit *a);
int audit_dir_fd(const struct audit *a); /* new files are made below it; -1 for NULL */

/* Blocks for one fdatasync(). ERR_IO: see (2); the key must not be used. */
enum err audit_write(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                     struct diag *d);

#define AUDIT(a, d, event, ...)                                        \
    audit_write((a), (event), (const struct log_field[]){__VA_ARGS__}, \
                sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field), (d))

uint64_t audit_file_seq(struct audit *a); /* the first line of the file that is being written */
uint64_t audit_durable(struct audit *a);  /* the number of the last line that is on the disk */

struct audit_signer {
    const struct secret *key;
    uint8_t public_key[ED25519_KEY_LEN];
};

struct audit_tip { /* where the log stands right after a seal */
    uint64_t seq;  /* of the seal */
    uint8_t chain[32];
    struct secret *key; /* the MAC key of the line after it; the caller's */
};

/* Writes a `sealed` line for the epoch of `now_us` (virtual): signed, durable. `epochs` of it says
 * how many ended since the last seal; 0 for one within an epoch that is sealed already. */
enum err audit_seal(struct audit *a, const struct audit_signer *s, int64_t now_us,
                    struct audit_tip *out, struct diag *d);

DEFINE_CLEANUP(audit_close, struct audit)
