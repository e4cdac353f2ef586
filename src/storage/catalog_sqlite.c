/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/catalog_sqlite.c - the catalogue in one SQLite file
 *
 * Two connections: one writes, one reads what was last committed (journal mode WAL gives it a
 * snapshot).
 *
 * (1) A transaction owns the writing connection and its lock from begin to commit or rollback.
 * (2) The reading connection's lock is recursive: a visit may read again.
 * (3) synchronous=FULL: a commit that answered OK is on the disk. One that did not may lie whole in
 *     the journal, behind its end as the index has it: the next commit writes over it, the next start
 *     would read it.
 */
#include "storage/catalog.h"

#include "base/os.h"
#include "base/thread.h"

#include <fcntl.h>
#include <libgen.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CATALOG_VERSION 1
#define BUSY_MS         10000 /* another process (verify) may read while we write */

struct catalog_sqlite {
    struct catalog base;
    sqlite3 *write, *read;
    pthread_mutex_t write_lock, read_lock;
};

struct catalog_txn {
    struct catalog_sqlite *c;
};

static void cleanup_stmt(sqlite3_stmt **st)
{
    sqlite3_finalize(*st);
}
#define CLEANUP_STMT __attribute__((cleanup(cleanup_stmt)))

static enum err fail_db(sqlite3 *db, const char *what, struct diag *d)
{
    int rc = sqlite3_errcode(db);
    enum err e = rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB ? ERR_CORRUPT : ERR_IO;
    return FAIL(d, e, "catalogue: %s: %s", what, sqlite3_errmsg(db));
}

static enum err exec_sql(sqlite3 *db, const char *sql, struct diag *d)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) return fail_db(db, sql, d);
    return OK;
}

static enum err prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct diag *d)
{
    if (sqlite3_prepare_v2(db, sql, -1, out, NULL) != SQLITE_OK) return fail_db(db, sql, d);
    return OK;
}

static void bind_text(sqlite3_stmt *st, int i, const char *s)
{
    sqlite3_bind_text(st, i, s != NULL ? s : "", -1, SQLITE_STATIC);
}

static enum err run(sqlite3 *db, sqlite3_stmt *st, const char *what, struct diag *d)
{
    int rc = sqlite3_step(st);
    if (rc != SQLITE_DONE && rc != SQLITE_ROW) return fail_db(db, what, d);
    return OK;
}

static enum err sq_begin(struct catalog *base, struct catalog_txn **out, struct diag *d)
{
    struct catalog_sqlite *c = (struct catalog_sqlite *)base;
    struct catalog_txn *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    t->c = c;
    pthread_mutex_lock(&c->write_lock); /* (1) */
    enum err e = exec_sql(c->write, "begin immediate", d);
    if (e != OK) {
        pthread_mutex_unlock(&c->write_lock);
        free(t);
        return e;
    }
    *out = t;
    return OK;
}

static void end(struct catalog_txn *t)
{
    pthread_mutex_unlock(&t->c->write_lock);
    free(t);
}

static void sq_rollback(struct catalog_txn *t)
{
    if (t == NULL) return;
    sqlite3_exec(t->c->write, "rollback", NULL, NULL, NULL);
    end(t);
}

static enum err sq_commit(struct catalog_txn *t, struct diag *d)
{
    /* SQLite's own calls do not pass through SYS(): this stands for them in a fault sweep. */
    enum err e = OK;
    if (SYS(0) != 0) e = FAIL(d, ERR_IO, "catalogue: commit: %s", strerror(errno));
    if (e == OK) e = exec_sql(t->c->write, "commit", d);
    if (e != OK) {
        sq_rollback(t);
        return e;
    }
    end(t);
    return OK;
}

static enum err sq_put(struct catalog_txn *t, const char *kind, const char *id, const char *parent,
                       struct bytes value, struct diag *d)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(t->c->write,
                "insert or replace into record(kind, id, parent, value) values(?1, ?2, ?3, ?4)",
                &st, d));
    bind_text(st, 1, kind);
    bind_text(st, 2, id);
    bind_text(st, 3, parent);
    sqlite3_bind_blob64(st, 4, value.len != 0 ? (const void *)value.p : "", value.len,
                        SQLITE_STATIC);
    return run(t->c->write, st, "put", d);
}

static enum err sq_remove(struct catalog_txn *t, const char *kind, const char *id, struct diag *d)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(t->c->write, "delete from record where kind = ?1 and id = ?2", &st, d));
    bind_text(st, 1, kind);
    bind_text(st, 2, id);
    return run(t->c->write, st, "remove", d);
}

static struct bytes column_bytes(sqlite3_stmt *st, int i)
{
    const void *p = sqlite3_column_blob(st, i);
    return bytes_of(p, (size_t)sqlite3_column_bytes(st, i));
}

static enum err get_from(sqlite3 *db, const char *kind, const char *id, struct buf *out,
                         struct diag *d)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(db, "select value from record where kind = ?1 and id = ?2", &st, d));
    bind_text(st, 1, kind);
    bind_text(st, 2, id);
    int rc = sqlite3_step(st);
    if (rc == SQLITE_DONE) return FAIL(d, ERR_NOT_FOUND, "catalogue: no %s '%.200s'", kind, id);
    if (rc != SQLITE_ROW) return fail_db(db, "get", d);
    buf_bytes(out, column_bytes(st, 0));
    return buf_check(out, d);
}

static enum err sq_get(struct catalog *base, struct catalog_txn *t, const char *kind,
                       const char *id, struct buf *out, struct diag *d)
{
    struct catalog_sqlite *c = (struct catalog_sqlite *)base;
    if (t != NULL) return get_from(c->write, kind, id, out, d);
    LOCK_SCOPE(&c->read_lock);
    return get_from(c->read, kind, id, out, d);
}

static enum err list_from(sqlite3 *db, const char *kind, const char *parent, const char *prefix,
                          catalog_visit *visit, void *ctx, struct diag *d)
{
    /* One statement per shape, so that each finds its index. */
    const char *sql =
        parent != NULL
            ? "select id, parent, value from record indexed by record_parent where kind = ?1 and "
              "parent = ?2 and id >= ?3 and substr(id, 1, length(?3)) = ?3 order by id"
            : "select id, parent, value from record where kind = ?1 and id >= ?3 and "
              "substr(id, 1, length(?3)) = ?3 order by id";
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(db, sql, &st, d));
    bind_text(st, 1, kind);
    if (parent != NULL) bind_text(st, 2, parent);
    bind_text(st, 3, prefix);
    for (;;) {
        int rc = sqlite3_step(st);
        if (rc == SQLITE_DONE) return OK;
        if (rc != SQLITE_ROW) return fail_db(db, "list", d);
        struct catalog_row row = {
            .id = (const char *)sqlite3_column_text(st, 0),
            .parent = (const char *)sqlite3_column_text(st, 1),
            .value = column_bytes(st, 2),
        };
        if (row.id == NULL || row.parent == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        TRY(visit(ctx, &row, d));
    }
}

static enum err sq_list(struct catalog *base, struct catalog_txn *t, const char *kind,
                        const char *parent, const char *prefix, catalog_visit *visit, void *ctx,
                        struct diag *d)
{
    struct catalog_sqlite *c = (struct catalog_sqlite *)base;
    if (t != NULL) return list_from(c->write, kind, parent, prefix, visit, ctx, d);
    LOCK_SCOPE(&c->read_lock); /* (2) */
    return list_from(c->read, kind, parent, prefix, visit, ctx, d);
}

static enum err take_numbers(struct catalog_txn *t, const char *counter, uint64_t n,
                             uint64_t *first, struct diag *d)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(
        t->c->write,
        "insert into counter(name, next) values(?1, 1 + ?2) on conflict(name) do update set "
        "next = next + ?2 returning next - ?2",
        &st, d));
    bind_text(st, 1, counter);
    sqlite3_bind_int64(st, 2, (sqlite3_int64)n);
    int rc = sqlite3_step(st);
    if (rc != SQLITE_ROW) return fail_db(t->c->write, "reserve", d);
    int64_t got = sqlite3_column_int64(st, 0);
    if (sqlite3_step(st) != SQLITE_DONE) return fail_db(t->c->write, "reserve", d);
    if (got < 1 || got > INT64_MAX - (int64_t)n) {
        return FAIL(d, ERR_LIMIT, "catalogue: the numbers of counter '%s' are used up", counter);
    }
    *first = (uint64_t)got;
    return OK;
}

static enum err sq_reserve(struct catalog *base, const char *counter, uint64_t n, uint64_t *first,
                           struct diag *d)
{
    if (n == 0 || n > (uint64_t)1 << 48) {
        return FAIL(d, ERR_INVALID, "catalogue: cannot reserve %llu numbers",
                    (unsigned long long)n);
    }
    struct catalog_txn *t = NULL;
    TRY(sq_begin(base, &t, d));
    uint64_t got = 0;
    enum err e = take_numbers(t, counter, n, &got, d);
    if (e != OK) {
        sq_rollback(t);
        return e;
    }
    TRY(sq_commit(t, d));
    *first = got;
    return OK;
}

static void sq_close(struct catalog *base)
{
    if (base == NULL) return;
    struct catalog_sqlite *c = (struct catalog_sqlite *)base;
    sqlite3_close(c->read);
    sqlite3_close(c->write);
    pthread_mutex_destroy(&c->read_lock);
    pthread_mutex_destroy(&c->write_lock);
    free(c);
}

static const struct catalog_ops sqlite_ops = {
    .begin = sq_begin,
    .commit = sq_commit,
    .rollback = sq_rollback,
    .put = sq_put,
    .remove = sq_remove,
    .get = sq_get,
    .list = sq_list,
    .reserve = sq_reserve,
    .close = sq_close,
};

/* SQLite would make the file with the umask's mode, and would not make its name durable. */
static enum err make_file(const char *path, struct diag *d)
{
    CLEANUP_FD int fd = SYS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (fd < 0) return FAIL(d, ERR_IO, "catalogue %s: %s", path, strerror(errno));
    CLEANUP_FREE char *copy = strdup(path);
    if (copy == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    return os_fsync_dir(dirname(copy), d);
}

static enum err open_one(const char *path, sqlite3 **out, struct diag *d)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX;
    if (sqlite3_open_v2(path, out, flags, NULL) != SQLITE_OK) {
        return FAIL(d, ERR_IO, "catalogue %s: %s", path,
                    *out != NULL ? sqlite3_errmsg(*out) : "out of memory");
    }
    sqlite3_busy_timeout(*out, BUSY_MS);
    /* secure_delete: a wrap that was removed must not linger in a free page. */
    return exec_sql(*out,
                    "pragma journal_mode=wal; pragma synchronous=full; pragma secure_delete=on; "
                    "pragma temp_store=memory; pragma trusted_schema=off",
                    d);
}

static enum err version_of(sqlite3 *db, int *out, struct diag *d)
{
    CLEANUP_STMT sqlite3_stmt *st = NULL;
    TRY(prepare(db, "pragma user_version", &st, d));
    if (sqlite3_step(st) != SQLITE_ROW) return fail_db(db, "version", d);
    *out = sqlite3_column_int(st, 0);
    return OK;
}

static enum err make_tables(sqlite3 *db, struct diag *d)
{
    int version = 0;
    TRY(version_of(db, &version, d));
    if (version == CATALOG_VERSION) return OK;
    if (version != 0) {
        return FAIL(d, ERR_UNSUPPORTED, "catalogue: version %d, this program knows %d", version,
                    CATALOG_VERSION);
    }
    return exec_sql(
        db,
        "begin immediate;"
        "create table if not exists record(kind text not null, id text not null, parent text not "
        "null, value blob not null, primary key(kind, id)) without rowid;"
        "create index if not exists record_parent on record(kind, parent, id);"
        "create table if not exists counter(name text primary key, next integer not null) "
        "without rowid;"
        "pragma user_version=1;"
        "commit",
        d);
}

static void init_locks(struct catalog_sqlite *c)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&c->read_lock, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&c->write_lock, NULL);
}

enum err catalog_open_sqlite(struct catalog **out, const char *path, struct diag *d)
{
    TRY(make_file(path, d));
    struct catalog_sqlite *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    c->base.ops = &sqlite_ops;
    init_locks(c);
    enum err e = open_one(path, &c->write, d);
    if (e == OK) e = make_tables(c->write, d);
    if (e == OK) e = open_one(path, &c->read, d);
    if (e != OK) {
        sq_close(&c->base);
        return e;
    }
    *out = &c->base;
    return OK;
}
