/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/audit_log.h - directories with an audit log, their text, and an auditor */
#pragma once

#include "test.h"

#include "base/str.h"
#include "custody/audit.h"
#include "custody/audit_files.h"

#include <stdio.h>
#include <stdlib.h>

static inline struct letter_key *log_auditor(void)
{
    static struct letter_key *k;
    if (k == NULL && letter_key_generate(&k, NULL) != OK) abort();
    return k;
}

/* A new directory. */
static inline void log_dir(char out[256])
{
    struct diag d = DIAG_INIT;
    static unsigned n;
    snprintf(out, 256, "%s/log-%u", test_dir(), n++);
    REQUIRE_OK(os_mkdir(out, &d));
}

static inline void log_open(struct audit **out, const char *dir, size_t file_max,
                            struct audit_past *past)
{
    struct diag d = DIAG_INIT;
    const struct audit_options o = {.dir = dir, .auditor = log_auditor(), .file_max = file_max};
    REQUIRE_OK(audit_open(out, &o, past, &d));
}

/* All files of the log, one after the other; names may be NULL. */
static inline struct buf log_text(const char *dir)
{
    struct diag d = DIAG_INIT;
    struct buf b = {0};
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    REQUIRE_OK(audit_reader_open(&r, dir, 0, &d));
    for (size_t i = 0; i < r.n_files; i++) {
        CLEANUP_FREE char *path = os_path(dir, r.files[i].name);
        REQUIRE_OK(os_read_file(path, 64 << 20, &b, &d));
    }
    return b;
}

/* The n-th file of the log, 0 the oldest. */
static inline char *log_file(const char *dir, size_t n)
{
    struct diag d = DIAG_INIT;
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    REQUIRE_OK(audit_reader_open(&r, dir, 0, &d));
    REQUIRE(n < r.n_files);
    return os_path(dir, r.files[n].name);
}

static inline size_t log_n_files(const char *dir)
{
    struct diag d = DIAG_INIT;
    CLEANUP_AUDIT_READER struct audit_reader r = {0};
    REQUIRE_OK(audit_reader_open(&r, dir, 0, &d));
    return r.n_files;
}
