/* SPDX-License-Identifier: Apache-2.0 */
/* kvstore/kvstore.c - sealed rows in SQLite */
#include "kvstore/kvstore.h"

#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/sealed.h"
#include "kvstore/rootkey.h"

#include <assert.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define BUSY_MS     3000       /* for a predecessor that is about to end */
#define EPOCH_SHIFT 32         /* (3) */
#define EPOCH_MAX   0x7fffffff /* SQLite's integers are signed */

enum statement { GET, PUT, DEL, KEYS, STATEMENTS };

static const char *const sql[STATEMENTS] = {
    [GET] = "SELECT sealed FROM rows WHERE tab = ?1 AND key = ?2",
    [PUT] = "INSERT OR REPLACE INTO rows(tab, key, sealed) VALUES(?1, ?2, ?3)",
    [DEL] = "DELETE FROM rows WHERE tab = ?1 AND key = ?2",
    /* The bounds let the index find the range; U+10FFFF sorts behind all of one prefix. */
    [KEYS] = ("SELECT key FROM rows WHERE tab = ?1 AND key >= max(?2, ?3) AND key <> ?3 AND "
              "key < ?2 || char(1114111) AND substr(key, 1, length(?2)) = ?2 ORDER BY key"),
};

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

/* --- SQLite --- */

static enum err db_fail(struct kvstore *k, int rc, const char *what, struct diag *d)
{
    if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED) {
        return FAIL(d, ERR_CONFLICT, "store %s is in use by another process", k->path);
    }
    if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB) {
        return FAIL(d, ERR_CORRUPT, "store %s is damaged: %s: %s", k->path, what,
                    sqlite3_errmsg(k->db));
    }
    return FAIL(d, ERR_IO, "store %s: %s: %s", k->path, what, sqlite3_errmsg(k->db));
}

static enum err exec(struct kvstore *k, const char *text, struct diag *d)
{
    int rc = sqlite3_exec(k->db, text, NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : db_fail(k, rc & 0xff, text, d);
}

/* A write that failed may have left anything in the kernel's cache: see kvstore_put(). */
static enum err write_fail(struct kvstore *k, int rc, const char *what, struct diag *d)
{
    k->broken = true;
    atomic_fetch_add(&k->changes, 1); /* it may have happened or not */
    LOG(ERROR, "kvstore.broken", F_STR("path", k->path), F_STR("what", what),
        F_STR("error", sqlite3_errmsg(k->db)));
    return db_fail(k, rc & 0xff, what, d);
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

/* --- making and opening --- */

/* SQLite would make it readable to all. */
static enum err touch(const char *path, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "open %s: %s", path, strerror(errno));
    return OK;
}

static enum err db_open(struct kvstore *k, struct diag *d)
{
    TRY(touch(k->path, d));
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX; /* k->lock is the mutex */
    int rc = sqlite3_open_v2(k->path, &k->db, flags, NULL);
    if (rc != SQLITE_OK) return db_fail(k, rc & 0xff, "open", d);
    sqlite3_busy_timeout(k->db, BUSY_MS);
    TRY(exec(k, "PRAGMA locking_mode = EXCLUSIVE", d));
    TRY(exec(k, "PRAGMA journal_mode = WAL", d));
    TRY(exec(k, "PRAGMA synchronous = FULL", d));
    TRY(exec(k, "PRAGMA secure_delete = ON", d));
    return exec(k, "PRAGMA trusted_schema = OFF", d);
}

/* One value of the meta table into out; *there false when the store is new. */
static enum err meta_get(struct kvstore *k, const char *name, struct buf *out, bool *there,
                         struct diag *d)
{
    sqlite3_stmt *st = NULL;
    *there = false;
    int rc = sqlite3_prepare_v2(k->db, "SELECT value FROM meta WHERE name = ?1", -1, &st, NULL);
    if (rc == SQLITE_ERROR) return OK; /* no such table */
    if (rc != SQLITE_OK) return db_fail(k, rc & 0xff, "read", d);
    bind_text(st, 1, name);
    rc = sqlite3_step(st);
    enum err e = OK;
    if (rc == SQLITE_ROW) {
        *there = true;
        buf_bytes(out, bytes_of(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    } else if (rc != SQLITE_DONE) {
        e = db_fail(k, rc & 0xff, "read", d);
    }
    sqlite3_finalize(st);
    TRY(e);
    return buf_check(out, d);
}

static enum err meta_put(struct kvstore *k, const char *name, struct bytes value, struct diag *d)
{
    sqlite3_stmt *st = NULL;
    int rc = sqlite3_prepare_v2(k->db, "INSERT OR REPLACE INTO meta(name, value) VALUES(?1, ?2)",
                                -1, &st, NULL);
    if (rc == SQLITE_OK) {
        bind_text(st, 1, name);
        sqlite3_bind_blob(st, 2, value.p, (int)value.len, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? OK : db_fail(k, rc & 0xff, "write", d);
}

/* The key of this store from the root key; f as it stands in the store, or to be made. */
static enum err use_root_key(struct kvstore *k, const struct secret *root, struct file_ident *f,
                             bool is_new, struct diag *d)
{
    CLEANUP(secret_free) struct secret *file_key = NULL;
    enum err e = file_key_derive(root, f, is_new, &file_key, NULL);
    if (e != OK) return FAIL(d, e, "the root key is not the one of store %s", k->path);
    return file_key_new(&k->key, f, secret_view(file_key), d);
}

static enum err check_root(const struct secret *root, struct diag *d)
{
    if (secret_len(root) == ROOT_KEY_LEN) return OK;
    return FAIL(d, ERR_CORRUPT, "a root key has %d bytes, not %zu", ROOT_KEY_LEN, secret_len(root));
}

/* (4) Everything a new store is made of is one transaction: a store without it is still to be made.
 */
static enum err make_new(struct kvstore *k, const struct kvstore_root *from, struct diag *d)
{
    CLEANUP(secret_free) struct secret *root = NULL;
    TRY(from->make(from->ctx, &root, d));
    TRY(check_root(root, d));

    struct file_ident f = {.otype = OTYPE_STATE, .suite = SUITE_0001};
    rand_bytes(f.aek_id, sizeof f.aek_id);
    rand_bytes(f.file_id, sizeof f.file_id);
    rand_bytes(f.file_salt, sizeof f.file_salt);
    TRY(use_root_key(k, root, &f, true, d));
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(&f, header);

    TRY(exec(k, "CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID", d));
    TRY(exec(k,
             "CREATE TABLE rows(tab TEXT NOT NULL, key TEXT NOT NULL, sealed BLOB NOT NULL, "
             "PRIMARY KEY(tab, key)) WITHOUT ROWID",
             d));
    return meta_put(k, "header", BYTES_OF(header), d);
}

static enum err use_old(struct kvstore *k, const struct kvstore_root *from, struct bytes header,
                        struct diag *d)
{
    struct file_ident f;
    TRY(file_header_decode(header, &f, d));
    CLEANUP(secret_free) struct secret *root = NULL;
    struct diag why = DIAG_INIT;
    enum err e = from->read(from->ctx, &root, &why);
    if (e == ERR_NOT_FOUND) {
        return FAIL(d, e, "store %s is there, but its root key is missing: %s", k->path, why.text);
    }
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    TRY(check_root(root, d));
    return use_root_key(k, root, &f, false, d);
}

/* (3) A new epoch at every start, durable before its first number is used. */
static enum err next_epoch(struct kvstore *k, struct diag *d)
{
    CLEANUP_BUF struct buf old = {0};
    bool there;
    TRY(meta_get(k, "epoch", &old, &there, d));
    struct rd r = {0};
    if (there) r = rd_from(buf_view(&old));
    uint64_t epoch = there ? rd_u64be(&r) : 0;
    if (r.bad || epoch >= EPOCH_MAX) return FAIL(d, ERR_CORRUPT, "store %s: bad epoch", k->path);
    epoch++;
    uint8_t text[8];
    struct wr w = wr_into(text, sizeof text);
    wr_u64be(&w, epoch);
    TRY(meta_put(k, "epoch", BYTES_OF(text), d));
    k->next_block = epoch << EPOCH_SHIFT;
    return OK;
}

static enum err start(struct kvstore *k, const struct kvstore_root *root, struct diag *d)
{
    TRY(db_open(k, d));
    TRY(exec(k, "BEGIN IMMEDIATE", d)); /* rolled back by close when something fails */
    CLEANUP_BUF struct buf header = {0};
    bool there;
    TRY(meta_get(k, "header", &header, &there, d));
    if (there) {
        TRY(use_old(k, root, buf_view(&header), d));
    } else {
        TRY(make_new(k, root, d));
    }
    TRY(next_epoch(k, d));
    TRY(exec(k, "COMMIT", d));
    for (int i = 0; i < STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3(k->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &k->st[i], NULL);
        if (rc != SQLITE_OK) return db_fail(k, rc & 0xff, "prepare", d);
    }
    return OK;
}

static enum err read_file(void *ctx, struct secret **out, struct diag *d)
{
    return root_key_read(ctx, out, d);
}

static enum err make_file(void *ctx, struct secret **out, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum err e = root_key_read(ctx, out, &why);
    if (e == ERR_NOT_FOUND) return root_key_create(ctx, out, d);
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

enum err kvstore_open(struct kvstore **out, const char *path, const char *root_key_file,
                      struct diag *d)
{
    const struct kvstore_root root = {read_file, make_file, (void *)root_key_file};
    return kvstore_open_with(out, path, &root, d);
}

enum err kvstore_open_with(struct kvstore **out, const char *path, const struct kvstore_root *root,
                           struct diag *d)
{
    struct kvstore *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&fresh->lock, &recursive);
    pthread_mutexattr_destroy(&recursive);

    CLEANUP(kvstore_close) struct kvstore *k = fresh;
    k->path = str_dup(path);
    if (k->path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(start(k, root, d));
    *out = TAKE(k);
    return OK;
}

void kvstore_close(struct kvstore *k)
{
    if (k == NULL) return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(k->st[i]);
    sqlite3_close(k->db);
    file_key_free(k->key);
    pthread_mutex_destroy(&k->lock);
    free(k->path);
    free(k);
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
    if (rc != SQLITE_ROW) return db_fail(k, rc & 0xff, "read", d);

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
    if (rc != SQLITE_DONE) return db_fail(k, rc & 0xff, "read", d);
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
