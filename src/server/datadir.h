/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/datadir.h - what lies where in a data directory
 *
 *      DIR/lock               held (flock) by whoever runs or verifies the store
 *      DIR/credentials.json   0600: how to reach this server as its owner
 *      DIR/clock              shared memory of the virtual clock; there only if made with
 *                             --virtual-clock
 *      DIR/tls/               CA and server certificate
 *      DIR/identity/  vault/  keyd/          each its process's own
 *      DIR/catalog.db  wal/  blobs/          the log service's
 */
#pragma once

#include "base/bytes.h"

/* DIR/lock is the log service's and keyd's, DIR/vault.lock that of identity and vault. */
enum datadir_lock { LOCK_STORE = 1, LOCK_VAULT = 2, LOCK_BOTH = 3 };

struct datadir {
    char *path;      /* absolute */
    int lock_fds[2]; /* -1 = not taken */
};

#define DATADIR_PATH_MAX 512 /* bytes: sockets and libraries have limits of their own */

/* Makes the directory if it is missing and takes its locks. ERR_CONFLICT: somebody runs on it. */
enum err datadir_open(struct datadir *out, const char *path, enum datadir_lock locks,
                      struct diag *d);
void datadir_release(struct datadir *dd);
char *datadir_path(const struct datadir *dd, const char *name); /* free() */

/* Maps DIR/clock. want_virtual in a directory made without it (or the other way round) is
 * ERR_CONFLICT. Without a clock file and without the wish: nothing. */
enum err datadir_clock(const struct datadir *dd, bool want_virtual, struct diag *d);
