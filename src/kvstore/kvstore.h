/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kvstore/kvstore.h - small sealed store of one process: rows of (table, key) -> bytes, in SQLite
 *
 * Names of tables and keys are plain; values are sealed under a root key that lies in a file of its
 * own (32 bytes, raw or as 64 hex digits, mode 0600). Whatever returned OK is on disk. Any number
 * of threads may call; one at a time is served. One process at a time may have a store open.
 * Invariants: README.md.
 */
#pragma once

#include "crypto/secret.h"

#define KV_NAME_MAX  512               /* bytes of a table's or a key's name, without the zero */
#define KV_VALUE_MAX ((size_t)8 << 20) /* bytes */

struct kvstore;

/*
 * Opens or makes the store at path. On first start the root key file is made too, unless it is
 * there.
 *
 * ERR_INVALID   the root key file is open to others than its owner, or holds no key
 * ERR_NOT_FOUND the store is there, its root key is not
 * ERR_CORRUPT   the root key is another store's, or the store is damaged
 * ERR_CONFLICT  another process has it open
 */
enum err kvstore_open(struct kvstore **out, const char *path, const char *root_key_file,
                      struct diag *d);

/* The root key from elsewhere than a file: 32 bytes, owned by the store. */
struct kvstore_root {
    /* That of a store that is there. ERR_NOT_FOUND: it is gone. */
    enum err (*read)(void *ctx, struct secret **out, struct diag *d);
    /* For a store that is to be made: durable before it returns; one that is there already is taken
     * up. */
    enum err (*make)(void *ctx, struct secret **out, struct diag *d);
    void *ctx;
};
enum err kvstore_open_with(struct kvstore **out, const char *path, const struct kvstore_root *root,
                           struct diag *d);
void kvstore_close(struct kvstore *k);

/* Appends the value. ERR_NOT_FOUND; ERR_CORRUPT names the row, others stay readable. */
enum err kvstore_get(struct kvstore *k, const char *table, const char *key, struct buf *out,
                     struct diag *d);
/* Replaces. ERR_LIMIT for long names and values. ERR_IO: the disk refused; the store is read-only
 * from here on, since after a failed fsync a second try could lie. */
enum err kvstore_put(struct kvstore *k, const char *table, const char *key, struct bytes value,
                     struct diag *d);
enum err kvstore_delete(struct kvstore *k, const char *table, const char *key,
                        struct diag *d); /* absent is fine */

/* Grows with every change that has been committed, before the call that did it returns. What was read
 * outside of a transaction is still so as long as this has not grown since before the reading. */
uint64_t kvstore_changes(const struct kvstore *k);

typedef enum err kvstore_visit(void *ctx, const char *key, struct bytes value, struct diag *d);
/*
 * Calls visit for each row of the table whose key starts with prefix ("" = all), in byte order of
 * keys; stops at its first failure. visit may call the store. Damaged rows are passed over: after
 * all others it is ERR_CORRUPT with the first one's name.
 */
enum err kvstore_each(struct kvstore *k, const char *table, const char *prefix,
                      kvstore_visit *visit, void *ctx, struct diag *d);

/* As kvstore_each(), for the rows whose keys come behind `after`. */
enum err kvstore_each_after(struct kvstore *k, const char *table, const char *prefix,
                            const char *after, kvstore_visit *visit, void *ctx, struct diag *d);

/*
 * Several changes at once:
 *
 *      CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
 *      TRY(kvstore_begin(k, &t, d));
 *      TRY(kvstore_put(k, ...)); ...
 *      return kvstore_commit(&t, d);
 *
 * The store belongs to the calling thread from begin to the end; what was not committed is undone.
 */
struct kvstore_txn {
    struct kvstore *k;
};
enum err kvstore_begin(struct kvstore *k, struct kvstore_txn *t, struct diag *d);
enum err kvstore_commit(struct kvstore_txn *t, struct diag *d);
void kvstore_txn_end(struct kvstore_txn *t); /* undoes what was not committed */

DEFINE_CLEANUP(kvstore_close, struct kvstore)
#define CLEANUP_KVSTORE_TXN __attribute__((cleanup(kvstore_txn_end)))
