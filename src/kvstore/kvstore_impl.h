/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvstore/kvstore_impl.h - a store from the inside: kvstore_open.c makes it, kvstore.c works with its
 * rows
 */
#pragma once

#include "crypto/sealed.h"
#include "kvstore/kvstore.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

enum kvstore_statement { GET, PUT, DEL, KEYS, STATEMENTS };

struct kvstore {
    pthread_mutex_t lock; /* recursive: held from begin to the end of a transaction */
    sqlite3 *db;
    sqlite3_stmt *st[STATEMENTS];
    struct file_key *key;
    uint64_t next_block; /* (3) */
    bool in_txn;
    _Atomic uint64_t changes; /* that were committed */
    bool broken;              /* (5) */
    char *path;
};

/* What SQLite's code means for the store, what for says in which step. Never OK. */
enum err kvstore_db_fail(struct kvstore *k, int rc, const char *what, struct diag *d);
