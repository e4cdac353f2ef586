/* SPDX-License-Identifier: Apache-2.0 */
/* kvstore/kvstore_open.c - making and opening a store: its database, its key, its epoch */
#include "kvstore/kvstore_impl.h"

#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "kvstore/rootkey.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define BUSY_MS     3000       /* for a predecessor that is about to end */
#define EPOCH_SHIFT 32         /* (3) */
#define EPOCH_MAX   0x7fffffff /* SQLite's integers are signed */

static const char *const sql[STATEMENTS] = {
    [GET] = "SELECT sealed FROM rows WHERE tab = ?1 AND key = ?2",
    [PUT] = "INSERT OR REPLACE INTO rows(tab, key, sealed) VALUES(?1, ?2, ?3)",
    [DEL] = "DELETE FROM rows WHERE tab = ?1 AND key = ?2",
    /* The bounds let the index find the range; U+10FFFF sorts behind all of one prefix. */
    [KEYS] = ("SELECT key FROM rows WHERE tab = ?1 AND key >= max(?2, ?3) AND key <> ?3 AND "
              "key < ?2 || char(1114111) AND substr(key, 1, length(?2)) = ?2 ORDER BY key"),
};

enum err kvstore_db_fail(struct kvstore *k, int rc, const char *what, struct diag *d)
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
    return rc == SQLITE_OK ? OK : kvstore_db_fail(k, rc & 0xff, text, d);
}

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
    if (rc != SQLITE_OK) return kvstore_db_fail(k, rc & 0xff, "open", d);
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
    if (rc != SQLITE_OK) return kvstore_db_fail(k, rc & 0xff, "read", d);
    sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
    rc = sqlite3_step(st);
    enum err e = OK;
    if (rc == SQLITE_ROW) {
        *there = true;
        buf_bytes(out, bytes_of(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
    } else if (rc != SQLITE_DONE) {
        e = kvstore_db_fail(k, rc & 0xff, "read", d);
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
        sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_blob(st, 2, value.p, (int)value.len, SQLITE_STATIC);
        rc = sqlite3_step(st);
    }
    sqlite3_finalize(st);
    return rc == SQLITE_DONE ? OK : kvstore_db_fail(k, rc & 0xff, "write", d);
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
        if (rc != SQLITE_OK) return kvstore_db_fail(k, rc & 0xff, "prepare", d);
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
