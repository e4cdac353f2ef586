/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/sync_vfs.h - a disk that refuses SQLite's n-th sync of its journal, or its n-th
 * write for want of room
 *
 * After a sync that was refused the bytes are written, and stay: what a machine that dies leaves behind
 * may hold them. Registered as SQLite's default by sync_vfs_install(), before the first catalogue is
 * opened.
 */
#pragma once

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct sync_file {
    sqlite3_file base;
    sqlite3_io_methods methods; /* the disk's own, but for xSync and xWrite */
    const sqlite3_io_methods *inner;
};

static _Atomic int sync_vfs_left;       /* the n-th sync from now is refused; 0: none */
static _Atomic int sync_vfs_write_left; /* likewise, write */
static _Atomic int sync_vfs_refused;

/* sync_file lies behind the disk's own structure, whose methods it replaces. */
static size_t sync_vfs_inner_size;

static inline struct sync_file *sync_vfs_of(sqlite3_file *f)
{
    return (struct sync_file *)((char *)f + sync_vfs_inner_size);
}

static int sync_vfs_sync(sqlite3_file *f, int flags)
{
    if (sync_vfs_left > 0 && --sync_vfs_left == 0) {
        sync_vfs_refused++;
        return SQLITE_IOERR_FSYNC;
    }
    return sync_vfs_of(f)->inner->xSync(f, flags);
}

static int sync_vfs_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (sync_vfs_write_left > 0 && --sync_vfs_write_left == 0) {
        sync_vfs_refused++;
        return SQLITE_FULL;
    }
    return sync_vfs_of(f)->inner->xWrite(f, p, n, at);
}

static sqlite3_vfs *sync_vfs_disk;

static int sync_vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *out)
{
    (void)v;
    int rc = sync_vfs_disk->xOpen(sync_vfs_disk, name, f, flags, out);
    if (rc != SQLITE_OK || (flags & SQLITE_OPEN_WAL) == 0) return rc;
    struct sync_file *s = sync_vfs_of(f);
    s->inner = f->pMethods;
    s->methods = *f->pMethods;
    s->methods.xSync = sync_vfs_sync;
    s->methods.xWrite = sync_vfs_write;
    f->pMethods = &s->methods;
    return rc;
}

static inline void sync_vfs_install(void)
{
    static sqlite3_vfs v;
    if (sync_vfs_disk != NULL) return;
    sqlite3_initialize();
    sync_vfs_disk = sqlite3_vfs_find(NULL);
    v = *sync_vfs_disk;
    sync_vfs_inner_size = ((size_t)v.szOsFile + 15) / 16 * 16;
    v.szOsFile = (int)(sync_vfs_inner_size + sizeof(struct sync_file));
    v.zName = "sync-vfs";
    v.xOpen = sync_vfs_open;
    v.pNext = NULL;
    sqlite3_vfs_register(&v, 1);
}
