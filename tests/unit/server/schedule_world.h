/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/server/schedule_world.h - a world of schedule.c: its beginning, what its files must not hold, its
 * recovery */
#pragma once

#include "schedule_checks.h"

#include "tool/audit.h"

#include <ftw.h>

static uint64_t files_digest;

static int note_file(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    static const char *const words[] = {"canaryword", "CanaryId_CL", "CanaryMessage_CL",
                                        "CanaryTable_CL"};
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf text = {0};
    (void)f;
    if (flag != FTW_F) return 0;
    if (str_ends(path, ".seg") || str_ends(path, ".wal")) {
        for (const char *c = path; *c != '\0'; c++)
            files_digest = files_digest * 31 + (uint8_t)*c;
        files_digest = files_digest * 31 + (uint64_t)st->st_size;
    }
    REQUIRE_OK(os_read_file(path, (size_t)1 << 30, &text, &d));
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        HOLDS(10, text.len == 0 || memmem(text.p, text.len, words[i], strlen(words[i])) == NULL,
              "%s in %s", words[i], path);
    return 0;
}

static uint64_t look_at_files(struct run *r)
{
    files_digest = 0;
    nftw(r->w.dir, note_file, 8, FTW_PHYS);
    return files_digest;
}

/* (4) Rows after the second recovery are those after the first, and so are the files. */
static void recover_twice(struct run *r)
{
    static uint8_t first[SIDES][ROWS_MAX], again[ROWS_MAX];
    struct diag d = DIAG_INIT;
    uint64_t files = 0;
    step_name = "recovery";
    for (int round = 0; round < 2; round++) {
        restart_logs(r, true);
        for (int i = 0; i < SIDES; i++) {
            struct side *x = &r->sides[i];
            read_all(r, x, again);
            check_rows(r, x, again, true);
            REQUIRE_OK(store_flush(r->w.store, x->account, &d));
            if (round == 0) memcpy(first[i], again, ROWS_MAX);
            HOLDS(4, memcmp(first[i], again, ROWS_MAX) == 0, "other rows");
        }
        uint64_t now = look_at_files(r);
        if (round == 0) files = now;
        HOLDS(4, files == now, "other files");
    }
}

/* (6) The log as a whole: a chain without a gap. */
static void verify_audit(struct run *r)
{
    struct diag d = DIAG_INIT;
    struct audit_verify_report report;
    CLEANUP_FREE char *dir = os_path(r->w.dir, "keyd");
    const struct audit_verify_options o = {.dir = dir};
    REQUIRE_OK(audit_verify(&o, &report, &d));
    HOLDS(6, report.damages == 0, "%" PRIu64 " lines of the audit log are damaged", report.damages);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *f)
{
    (void)st, (void)flag, (void)f;
    return remove(path);
}

static void begin_world(struct run *r, const char *dir)
{
    struct diag d = DIAG_INIT;
    r->w.spool_bytes = 0;
    world_open(&r->w, dir);
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        *x =
            (struct side){.index = i, .version = 1, .patience_s = RETAIN_FOREVER, .new_keyd_s = -1};
        snprintf(x->scope, sizeof x->scope, "/subscriptions/s/clusters/c%d", i);
        memcpy(x->account, "account-of-side.", 16);
        x->account[15] = (uint8_t)i;
        x->workspace.b[0] = (uint8_t)(i + 1);
        const struct custody_kek kek = kek_of(x);
        REQUIRE_OK(custody_scope_set(r->w.custody, x->scope, &kek, NULL, &d));
        REQUIRE_OK(custody_account_add(r->w.custody, x->scope, x->account, "workspace", &d));
        REQUIRE_OK(store_account_open(r->w.store, x->account, &d));
    }
    find_tables(r, true);
}
