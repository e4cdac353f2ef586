/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool/verify_spool.c - rows that wait while an account's key is away: their slot, and the files'
 * headers
 *
 * A spool's key is given to the log service alone, for as long as it drains: here nothing is
 * opened. Blocks are counted under the AEK that their headers name, and as the platform's, whose KEK
 * wraps it.
 */
#include "tool/verify_impl.h"

#include "base/os.h"
#include "storage/spool_slot.h"
#include "storage/wal.h"

#include <dirent.h>

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

static void slot_release(struct slot *s)
{
    buf_release(&s->record);
}

static enum err verify_slot(struct walk *w, const char *dir, const char *account, struct diag *d)
{
    struct verify_file f = {.kind = "spool", .text = ""};
    CLEANUP_LOCAL(slot_release) struct slot slot = {0};
    CLEANUP_FREE char *path = os_path(dir, "slot");
    CLEANUP_FREE char *name = str_fmt("spool/%s/slot", account);
    struct diag why = DIAG_INIT;
    if (path == NULL || name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    memcpy(f.account, w->o->platform_account, 16);
    f.result = slot_read(path, &slot, &why);
    if (f.result == OK && slot.record.len == 0) return OK; /* no spool: nothing to tell */
    f.name = name;
    f.text = f.result != OK ? why.text : "a key under the platform's waits here";
    return walk_report(w, &f, d);
}

static enum err verify_file(struct walk *w, const char *dir, const char *account, const char *file,
                            struct diag *d)
{
    struct verify_file f = {.kind = "spool", .text = ""};
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader r = {.otype = OTYPE_SPOOL};
    CLEANUP_FREE char *name = str_fmt("spool/%s/%s", account, file);
    struct diag why = DIAG_INIT;
    uint8_t id[16], its[16];
    if (name == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (hex_decode(bytes_of(file, 32), id, 16, NULL) != OK ||
        hex_decode(bytes_str(account), its, 16, NULL) != OK)
        return OK;
    memcpy(f.account, w->o->platform_account, 16);
    enum err e = wal_reader_open(&r, dir, its, id, 0, &why);
    if (e == ERR_NOT_FOUND) return OK; /* it was put back meanwhile */
    if (e == OK) verify_log_headers(w, &r, &f);
    f.result = e;
    f.name = name;
    f.text = e != OK ? why.text : "";
    return walk_report(w, &f, d);
}

static enum err verify_account_spool(struct walk *w, const char *all, const char *account,
                                     struct diag *d)
{
    CLEANUP_FREE char *path = os_path(all, account);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_DIR DIR *dir = opendir(path);
    if (dir == NULL) return OK;
    TRY(verify_slot(w, path, account, d));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strlen(e->d_name) == 36 && str_ends(e->d_name, ".wal"))
            TRY(verify_file(w, path, account, e->d_name, d));
    }
    return OK;
}

enum err verify_spools(struct walk *w, struct diag *d)
{
    CLEANUP_FREE char *all = os_path(w->o->dir, "spool");
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_DIR DIR *dir = opendir(all);
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        if (strlen(e->d_name) == 32) TRY(verify_account_spool(w, all, e->d_name, d));
    }
    return OK;
}
