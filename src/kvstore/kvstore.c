/* SPDX-License-Identifier: Apache-2.0 */
/* kvstore/kvstore.c - sealed rows in SQLite, one by one and in transactions */
#include "kvstore/kvstore_impl.h"

#include "base/log.h"
#include "base/thread.h"

#include <assert.h>

/* A write that failed may have left anything in the kernel's cache: see kvstore_put(). */
static enum err write_fail(struct kvstore *k, int rc, const char *what, struct diag *d)
{
    k->broken = true;
    atomic_fetch_add(&k->changes, 1); /* it may have happened or not */
    LOG(ERROR, "kvstore.broken", F_STR("path", k->path), F_STR("what", what),
        F_STR("error", sqlite3_errmsg(k->db)));
    return kvstore_db_fail(k, rc & 0xff, what, d);
}

static enum err check_writable(const struct kvstore *k, struct diag *d)
{
    if (!k->broken) return OK;
    return FAIL(d, ERR_IO, "store %s is read-only since a write failed; restart to try again",
                k->path);
}

/* A prepared statement is reset when its scope ends: its bindings may lie in buffers of this call.
 */
static void statement_done(sqlite3_stmt **st)
{
    if (*st == NULL) return;
    sqlite3_reset(*st);
    sqlite3_clear_bindings(*st);
}
#define STATEMENT __attribute__((cleanup(statement_done))) sqlite3_stmt *

static void bind_text(sqlite3_stmt *st, int i, const char *text)
{
    int rc = sqlite3_bind_text(st, i, text, -1, SQLITE_STATIC);
    assert(rc == SQLITE_OK); /* the statement is reset and has that parameter */
}

/* --- rows --- */

/* Inside a transaction nothing has changed yet for the others. */
static void changed(struct kvstore *k)
{
    if (!k->in_txn) atomic_fetch_add(&k->changes, 1);
}

uint64_t kvstore_changes(const struct kvstore *k)
{
    return atomic_load(&k->changes);
}

static enum err check_names(const char *table, const char *key, struct diag *d)
{
    if (strlen(table) <= KV_NAME_MAX && strlen(key) <= KV_NAME_MAX) return OK;
    return FAIL(d, ERR_LIMIT, "a name in the store is longer than %d bytes", KV_NAME_MAX);
}

/* (2) The names are inside too: a row moved to another place does not fit there. */
static enum err seal_row(struct kvstore *k, const char *table, const char *key, struct bytes value,
                         struct buf *out, struct diag *d)
{
    if ((uint32_t)k->next_block == UINT32_MAX) { /* (3) the next one would be another epoch's */
        return FAIL(d, ERR_LIMIT, "store %s: 2^32 writes since its start; restart it", k->path);
    }
    CLEANUP_BUF struct buf plain = {0};
    buf_blob(&plain, bytes_str(table));
    buf_blob(&plain, bytes_str(key));
    buf_bytes(&plain, value);
    TRY(buf_check(&plain, d));
    return block_seal(k->key, BTYPE_STATE, k->next_block++, buf_view(&plain), out, d);
}

static enum err open_row(struct kvstore *k, const char *table, const char *key, struct bytes sealed,
                         struct buf *out)
{
    CLEANUP_BUF struct buf plain = {0};
    struct block_header h;
    TRY(block_header_decode(sealed, &h, NULL));
    TRY(block_open(k->key, BTYPE_STATE, h.block_no, sealed, &plain, NULL));
    struct rd r = rd_from(buf_view(&plain));
    struct bytes t = rd_blob(&r), name = rd_blob(&r);
    if (r.bad || !bytes_eq(t, bytes_str(table)) || !bytes_eq(name, bytes_str(key)))
        return ERR_CORRUPT;
    buf_bytes(out, rd_bytes(&r, rd_left(&r)));
    return buf_check(out, NULL);
}

enum err kvstore_get(struct kvstore *k, const char *table, const char *key, struct buf *out,
                     struct diag *d)
{
    TRY(check_names(table, key, d));
    LOCK_SCOPE(&k->lock);
    STATEMENT st = k->st[GET];
    bind_text(st, 1, table);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE) return FAIL(d, ERR_NOT_FOUND, "no row %s/%s in the store", table, key);
    if (rc != SQLITE_ROW) return kvstore_db_fail(k, rc & 0xff, "read", d);

    size_t len = (size_t)sqlite3_column_bytes(st, 0);
    enum err e = open_row(k, table, key, bytes_of(sqlite3_column_blob(st, 0), len), out);
    if (e == OK) return OK;
    return FAIL(d, e, "row %s/%s of store %s cannot be opened", table, key, k->path);
}

enum err kvstore_put(struct kvstore *k, const char *table, const char *key, struct bytes value,
                     struct diag *d)
{
    TRY(check_names(table, key, d));
    if (value.len > KV_VALUE_MAX) {
        return FAIL(d, ERR_LIMIT, "row %s/%s: a value of %zu bytes; %zu fit", table, key, value.len,
                    KV_VALUE_MAX);
    }
    LOCK_SCOPE(&k->lock);
    TRY(check_writable(k, d));
    CLEANUP_BUF struct buf sealed = {0};
    TRY(seal_row(k, table, key, value, &sealed, d));
    STATEMENT st = k->st[PUT];
    bind_text(st, 1, table);
    bind_text(st, 2, key);
    sqlite3_bind_blob(st, 3, sealed.p, (int)sealed.len, SQLITE_STATIC);
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE) return write_fail(k, rc, "write", d);
    changed(k);
    return OK;
}

enum err kvstore_delete(struct kvstore *k, const char *table, const char *key, struct diag *d)
{
    TRY(check_names(table, key, d));
    LOCK_SCOPE(&k->lock);
    TRY(check_writable(k, d));
    STATEMENT st = k->st[DEL];
    bind_text(st, 1, table);
    bind_text(st, 2, key);
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE) return write_fail(k, rc, "delete", d);
    changed(k);
    return OK;
}

/* Names first, rows one by one after: visit may change what is being walked. */
static enum err list_keys(struct kvstore *k, const char *table, const char *prefix,
                          const char *after, struct buf *out, struct diag *d)
{
    STATEMENT st = k->st[KEYS];
    bind_text(st, 1, table);
    bind_text(st, 2, prefix);
    bind_text(st, 3, after);
    int rc;
    while ((rc = sqlite3_step(st)) == SQLITE_ROW) {
        buf_blob(out, bytes_of(sqlite3_column_text(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    }
    if (rc != SQLITE_DONE) return kvstore_db_fail(k, rc & 0xff, "read", d);
    return buf_check(out, d);
}

enum err kvstore_each(struct kvstore *k, const char *table, const char *prefix,
                      kvstore_visit *visit, void *ctx, struct diag *d)
{
    return kvstore_each_after(k, table, prefix, "", visit, ctx, d);
}

enum err kvstore_each_after(struct kvstore *k, const char *table, const char *prefix,
                            const char *after, kvstore_visit *visit, void *ctx, struct diag *d)
{
    TRY(check_names(table, prefix, d));
    LOCK_SCOPE(&k->lock);
    CLEANUP_BUF struct buf keys = {0};
    TRY(list_keys(k, table, prefix, after, &keys, d));
    if (keys.len == 0) return OK;

    struct diag damaged = DIAG_INIT;
    struct rd r = rd_from(buf_view(&keys));
    while (rd_left(&r) != 0) {
        struct bytes b = rd_blob(&r);
        char key[KV_NAME_MAX + 1];
        if (b.len > KV_NAME_MAX) return FAIL(d, ERR_CORRUPT, "store %s: a name too long", k->path);
        memcpy(key, b.p, b.len);
        key[b.len] = 0;

        CLEANUP_BUF struct buf value = {0};
        struct diag why = DIAG_INIT;
        enum err e = kvstore_get(k, table, key, &value, &why);
        if (e == ERR_NOT_FOUND) continue; /* visit has removed it */
        if (e == ERR_CORRUPT) {
            if (damaged.code == OK) damaged = why;
            continue;
        }
        if (e != OK) return FAIL(d, e, "%s", why.text);
        TRY(visit(ctx, key, buf_view(&value), d));
    }
    return damaged.code == OK ? OK : FAIL(d, ERR_CORRUPT, "%s", damaged.text);
}

/* --- transactions --- */

enum err kvstore_begin(struct kvstore *k, struct kvstore_txn *t, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    assert(
        !k->in_txn); /* one at a time: a thread that begins twice would commit half of the first */
    enum err e = check_writable(k, d);
    if (e == OK) {
        int rc = sqlite3_exec(k->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        if (rc != SQLITE_OK) e = write_fail(k, rc, "begin", d);
    }
    if (e != OK) {
        pthread_mutex_unlock(&k->lock);
        return e;
    }
    k->in_txn = true;
    t->k = k;
    return OK;
}

static void txn_over(struct kvstore_txn *t)
{
    struct kvstore *k = TAKE(t->k);
    k->in_txn = false;
    pthread_mutex_unlock(&k->lock);
}

enum err kvstore_commit(struct kvstore_txn *t, struct diag *d)
{
    struct kvstore *k = t->k;
    enum err e = check_writable(k, d); /* a write inside has failed: nothing of it may stay */
    if (e == OK) {
        int rc = sqlite3_exec(k->db, "COMMIT", NULL, NULL, NULL);
        if (rc != SQLITE_OK) e = write_fail(k, rc, "commit", d);
    }
    if (e != OK) {
        kvstore_txn_end(t);
        return e;
    }
    k->in_txn = false;
    changed(k);
    txn_over(t);
    return OK;
}

void kvstore_txn_end(struct kvstore_txn *t)
{
    if (t->k == NULL) return;
    /* SQLite may have rolled back by itself after a failure; then this one fails, which is fine. */
    (void)sqlite3_exec(t->k->db, "ROLLBACK", NULL, NULL, NULL);
    txn_over(t);
}
