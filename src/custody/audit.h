/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/audit.h - the key-access audit log: one JSON line per use of a key, in a hash chain
 *
 *      {"seq":7,"time":"2026-03-01T00:00:00.123456Z","event":"unwrap",...,"chain":"<64 hex
 * digits>"}
 *
 * chain = SHA-256(chain of the line before, 32 bytes | this line without `,"chain":"..."`). The
 * first line of a file follows 32 zero bytes.
 *
 * (1) A line is durable (fdatasync) before audit_write() returns OK, and the key it tells of is
 * used after that. Callers that arrive while one sync runs share the next. (2) After a failed write
 * or sync every further call fails: no audit, no lease. (3) Opening verifies the whole chain. A
 * tail that does not continue it - a crash, or a hand - is kept in a file beside it, and a line of
 * the new run says how much was cut.
 */
#pragma once

#include "base/log.h"

struct audit;

/* Called at opening for each state line of the past, in order. */
typedef void audit_state_visit(void *ctx, const char *account_hex, const char *state);

/* The same for each good unwrap of a scope's wraps: which KEK version, and when. */
typedef void audit_use_visit(void *ctx, const char *scope, const char *kek_id, int64_t us);

struct audit_past {
    audit_state_visit *visit; /* may be NULL */
    audit_use_visit *used;    /* may be NULL */
    void *ctx;
    uint64_t n_lines;  /* set by audit_open() */
    bool mk_installed; /* a platform key was made under this log */
};

enum err audit_open(struct audit **out, const char *path, struct audit_past *past, struct diag *d);
void audit_close(struct audit *a);

enum err audit_write(struct audit *a, const char *event, const struct log_field *fields, size_t n,
                     struct diag *d);

#define AUDIT(a, d, event, ...)                                        \
    audit_write((a), (event), (const struct log_field[]){__VA_ARGS__}, \
                sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field), (d))

DEFINE_CLEANUP(audit_close, struct audit)
