/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kvstore/kvstore.c - what is put comes back, sealed on disk, and nothing else does */
#include "test.h"

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/sealed.h"
#include "kvstore/kvstore.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A place of its own for each test. */
struct place {
    char *db, *key;
};

static struct place place(const char *name)
{
    log_set_level(LOG_ERROR); /* refused blocks are expected here */
    return (struct place){.db = str_fmt("%s/%s.db", test_dir(), name),
                          .key = str_fmt("%s/%s.key", test_dir(), name)};
}

static void place_free(struct place *p)
{
    free(p->db), free(p->key);
}

static struct kvstore *open_at(const struct place *p)
{
    struct diag d = DIAG_INIT;
    struct kvstore *k;
    REQUIRE_OK(kvstore_open(&k, p->db, p->key, &d));
    return k;
}

static void put(struct kvstore *k, const char *table, const char *key, const char *value)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(kvstore_put(k, table, key, bytes_str(value), &d));
}

static void expect(struct kvstore *k, const char *table, const char *key, const char *value)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf b = {0};
    if (value == NULL) {
        REQUIRE_ERR(ERR_NOT_FOUND, kvstore_get(k, table, key, &b, &d));
    } else {
        REQUIRE_OK(kvstore_get(k, table, key, &b, &d));
        EXPECT_STR(buf_cstr(&b), value);
    }
}

/* Runs SQL on a closed store, as one who can write the file but has no key would. */
static void tamper(const struct place *p, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;
    EXPECT_EQ(sqlite3_open(p->db, &db), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK) fail_msg("%s: %s", sql, error);
    sqlite3_close(db);
}

TEST(kvstore, what_was_put_is_there_after_reopening)
{
    struct diag d = DIAG_INIT;
    struct place p = place("simple");
    struct kvstore *k = open_at(&p);
    put(k, "vaults", "a", "first");
    put(k, "vaults", "a", "second");
    put(k, "keys", "a", "");
    put(k, "keys", "b", "gone");
    REQUIRE_OK(kvstore_delete(k, "keys", "b", &d));
    REQUIRE_OK(kvstore_delete(k, "keys", "never there", &d));
    kvstore_close(k);

    k = open_at(&p);
    expect(k, "vaults", "a", "second");
    expect(k, "keys", "a", "");
    expect(k, "keys", "b", NULL);
    kvstore_close(k);
    place_free(&p);
}

static enum err collect(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    (void)d;
    buf_fmt(ctx, "%s=%.*s;", key, (int)value.len, (const char *)value.p);
    return OK;
}

static void expect_each(struct kvstore *k, const char *table, const char *prefix, const char *want)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf got = {0};
    REQUIRE_OK(kvstore_each(k, table, prefix, collect, &got, &d));
    EXPECT_STR(buf_cstr(&got), want);
}

TEST(kvstore, each_visits_a_table_in_order_of_keys)
{
    struct place p = place("each");
    struct kvstore *k = open_at(&p);
    put(k, "t", "b/2", "x");
    put(k, "t", "a/1", "y");
    put(k, "t", "b/1", "z");
    put(k, "t", "b%", "w");
    put(k, "other", "b/9", "no");
    expect_each(k, "t", "", "a/1=y;b%=w;b/1=z;b/2=x;");
    expect_each(k, "t", "b/", "b/1=z;b/2=x;");
    expect_each(k, "t", "%", "");
    expect_each(k, "none", "", "");
    kvstore_close(k);
    place_free(&p);
}

static enum err remove_it(void *ctx, const char *key, struct bytes value, struct diag *d)
{
    (void)value;
    TRY(kvstore_delete(ctx, "t", key, d));
    return kvstore_delete(ctx, "t", "z", d);
}

TEST(kvstore, a_visitor_may_change_what_it_walks)
{
    struct diag d = DIAG_INIT;
    struct place p = place("walk");
    struct kvstore *k = open_at(&p);
    put(k, "t", "a", "1");
    put(k, "t", "b", "2");
    put(k, "t", "z", "3");
    REQUIRE_OK(kvstore_each(k, "t", "", remove_it, k, &d));
    expect_each(k, "t", "", "");
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, no_value_is_on_disk_in_the_clear)
{
    struct diag d = DIAG_INIT;
    struct place p = place("opaque");
    struct kvstore *k = open_at(&p);
    put(k, "t", "a", "correct horse battery staple");
    CLEANUP_FREE char *wal = str_fmt("%s-wal", p.db);
    const char *files[] = {p.db, wal};
    for (int i = 0; i < 2; i++) {
        CLEANUP_BUF struct buf b = {0};
        REQUIRE_OK(os_read_file(files[i], 1 << 24, &b, &d));
        REQUIRE(b.len != 0);
        REQUIRE(memmem(b.p, b.len, "battery", 7) == NULL);
    }
    struct stat st;
    EXPECT_EQ(stat(p.db, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    EXPECT_EQ(stat(wal, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    EXPECT_EQ(stat(p.key, &st), 0);
    EXPECT_EQ(st.st_mode & 0777, 0600);
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, swapped_rows_are_detected_and_the_others_stay_readable)
{
    struct diag d = DIAG_INIT;
    struct place p = place("swap");
    struct kvstore *k = open_at(&p);
    put(k, "keys", "alice", "A");
    put(k, "keys", "bob", "B");
    put(k, "keys", "carol", "C");
    kvstore_close(k);
    tamper(&p, "UPDATE rows SET sealed = (SELECT sealed FROM rows WHERE key = 'alice') "
               "WHERE key = 'bob'");

    k = open_at(&p);
    CLEANUP_BUF struct buf b = {0}, all = {0};
    REQUIRE_ERR(ERR_CORRUPT, kvstore_get(k, "keys", "bob", &b, &d));
    REQUIRE(strstr(d.text, "keys/bob") != NULL);
    EXPECT_EQ(b.len, 0);
    expect(k, "keys", "alice", "A");
    REQUIRE_ERR(ERR_CORRUPT, kvstore_each(k, "keys", "", collect, &all, &d));
    REQUIRE(strstr(d.text, "keys/bob") != NULL);
    EXPECT_STR(buf_cstr(&all), "alice=A;carol=C;");
    put(k, "keys", "bob", "again");
    expect(k, "keys", "bob", "again");
    kvstore_close(k);

    tamper(&p, "UPDATE rows SET tab = 'other' WHERE key = 'carol'");
    k = open_at(&p);
    REQUIRE_ERR(ERR_CORRUPT, kvstore_get(k, "other", "carol", &b, &d));
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, every_truncated_or_flipped_row_is_detected)
{
    struct diag d = DIAG_INIT;
    struct place p = place("flip");
    struct kvstore *k = open_at(&p);
    put(k, "t", "a", "value");
    kvstore_close(k);
    tamper(&p, "CREATE TABLE good AS SELECT sealed AS s FROM rows");
    size_t len = BLOCK_OVERHEAD + 4 + 1 + 4 + 1 + 5;
    for (size_t i = 0; i < len; i += 3) {
        CLEANUP_FREE char *cut = str_fmt("UPDATE rows SET sealed = (SELECT substr(s, 1, %zu) "
                                         "FROM good)",
                                         i);
        CLEANUP_FREE char *flip =
            str_fmt("UPDATE rows SET sealed = (SELECT CAST(substr(s, 1, %zu) || CASE substr(s, "
                    "%zu, 1) WHEN "
                    "x'41' THEN x'42' ELSE x'41' END || substr(s, %zu) AS BLOB) FROM good)",
                    i, i + 1, i + 2);
        const char *both[] = {cut, flip};
        for (int n = 0; n < 2; n++) {
            tamper(&p, both[n]);
            CLEANUP_BUF struct buf b = {0};
            k = open_at(&p);
            REQUIRE_ERR(ERR_CORRUPT, kvstore_get(k, "t", "a", &b, &d));
            kvstore_close(k);
        }
    }
    tamper(&p, "UPDATE rows SET sealed = (SELECT s FROM good)");
    k = open_at(&p);
    expect(k, "t", "a", "value");
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, a_root_key_open_to_others_is_refused)
{
    struct diag d = DIAG_INIT;
    struct place p = place("mode");
    struct kvstore *k = open_at(&p);
    kvstore_close(k);
    for (int bit = 0; bit < 6; bit++) {
        EXPECT_EQ(chmod(p.key, 0600 | 1U << bit), 0);
        REQUIRE_ERR(ERR_INVALID, kvstore_open(&k, p.db, p.key, &d));
        REQUIRE(strstr(d.text, p.key) != NULL);
    }
    EXPECT_EQ(chmod(p.key, 0400), 0);
    kvstore_close(open_at(&p));
    place_free(&p);
}

TEST(kvstore, a_missing_wrong_or_mangled_root_key_is_refused_and_nothing_is_made)
{
    struct diag d = DIAG_INIT;
    struct place p = place("root"), q = place("root2");
    struct kvstore *k = open_at(&p), *none = NULL;
    put(k, "t", "a", "mine");
    kvstore_close(k);
    kvstore_close(open_at(&q));

    REQUIRE_ERR(ERR_CORRUPT, kvstore_open(&none, p.db, q.key, &d));
    REQUIRE(strstr(d.text, "root key") != NULL);
    CLEANUP_BUF struct buf key = {0};
    REQUIRE_OK(os_read_file(p.key, 100, &key, &d));
    REQUIRE_OK(os_remove(p.key, &d));
    REQUIRE_ERR(ERR_NOT_FOUND, kvstore_open(&none, p.db, p.key, &d));
    REQUIRE(!os_exists(p.key));

    struct bytes bad[] = {BYTES(""), BYTES("short"), bytes_of(key.p, 63), BYTES("zz"),
                          bytes_of(key.p, 31)};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REQUIRE_OK(os_replace(p.key, bad[i], &d));
        REQUIRE_ERR(ERR_INVALID, kvstore_open(&none, p.db, p.key, &d));
    }
    /* The same key without its newline, and as raw bytes. */
    REQUIRE_OK(os_replace(p.key, bytes_of(key.p, 64), &d));
    kvstore_close(open_at(&p));
    uint8_t raw[32];
    REQUIRE_OK(hex_decode(bytes_of(key.p, 64), raw, sizeof raw, &d));
    REQUIRE_OK(os_replace(p.key, BYTES_OF(raw), &d));
    k = open_at(&p);
    expect(k, "t", "a", "mine");
    kvstore_close(k);
    place_free(&p), place_free(&q);
}

TEST(kvstore, a_transaction_is_whole_or_not_there)
{
    struct diag d = DIAG_INIT;
    struct place p = place("txn");
    struct kvstore *k = open_at(&p);
    {
        CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
        REQUIRE_OK(kvstore_begin(k, &t, &d));
        put(k, "t", "a", "1");
        put(k, "t", "b", "1");
        expect(k, "t", "a", "1");
        REQUIRE_OK(kvstore_commit(&t, &d));
    }
    {
        CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
        REQUIRE_OK(kvstore_begin(k, &t, &d));
        put(k, "t", "a", "2");
        REQUIRE_OK(kvstore_delete(k, "t", "b", &d));
    }
    expect(k, "t", "a", "1");
    expect(k, "t", "b", "1");
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, what_others_may_see_changed_is_counted_when_they_may_see_it)
{
    struct diag d = DIAG_INIT;
    struct place p = place("changes");
    CLEANUP(kvstore_close) struct kvstore *k = open_at(&p);
    place_free(&p);
    CLEANUP_BUF struct buf b = {0};
    uint64_t before = kvstore_changes(k);
    REQUIRE_OK(kvstore_put(k, "t", "a", BYTES("1"), &d));
    EXPECT_EQ(kvstore_changes(k), before + 1);
    REQUIRE_OK(kvstore_get(k, "t", "a", &b, &d));
    EXPECT_EQ(kvstore_changes(k), before + 1);
    {
        CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
        REQUIRE_OK(kvstore_begin(k, &t, &d));
        REQUIRE_OK(kvstore_put(k, "t", "a", BYTES("2"), &d));
        REQUIRE_OK(kvstore_delete(k, "t", "b", &d));
        EXPECT_EQ(kvstore_changes(k), before + 1);
    } /* undone */
    EXPECT_EQ(kvstore_changes(k), before + 1);
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    REQUIRE_OK(kvstore_begin(k, &t, &d));
    REQUIRE_OK(kvstore_put(k, "t", "a", BYTES("2"), &d));
    EXPECT_EQ(kvstore_changes(k), before + 1);
    REQUIRE_OK(kvstore_commit(&t, &d));
    EXPECT_EQ(kvstore_changes(k), before + 2);
}

TEST(kvstore, no_block_number_is_used_twice_not_even_after_a_rollback_or_a_restart)
{
    struct diag d = DIAG_INIT;
    struct place p = place("numbers");
    uint64_t last = 0;
    for (int round = 0; round < 4; round++) {
        struct kvstore *k = open_at(&p);
        if (round % 2 == 1) {
            CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
            REQUIRE_OK(kvstore_begin(k, &t, &d));
            put(k, "t", "a", "undone");
        }
        put(k, "t", "a", "kept");
        kvstore_close(k);

        sqlite3 *db;
        sqlite3_stmt *st;
        EXPECT_EQ(sqlite3_open(p.db, &db), SQLITE_OK);
        EXPECT_EQ(sqlite3_prepare_v2(db, "SELECT sealed FROM rows", -1, &st, NULL), SQLITE_OK);
        EXPECT_EQ(sqlite3_step(st), SQLITE_ROW);
        struct block_header h;
        REQUIRE_OK(block_header_decode(
            bytes_of(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), &h, &d));
        REQUIRE(h.block_no > last);
        EXPECT_EQ((uint32_t)h.block_no, round % 2); /* the one undone was used up */
        last = h.block_no;
        sqlite3_finalize(st);
        sqlite3_close(db);
    }
    place_free(&p);
}

TEST(kvstore, long_names_and_values_are_refused)
{
    struct diag d = DIAG_INIT;
    struct place p = place("long");
    struct kvstore *k = open_at(&p);
    char name[KV_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[KV_NAME_MAX + 1] = 0;
    CLEANUP_BUF struct buf big = {0};
    REQUIRE(buf_extend(&big, KV_VALUE_MAX + 1) != NULL);
    REQUIRE_ERR(ERR_LIMIT, kvstore_put(k, "t", name, BYTES("x"), &d));
    REQUIRE_ERR(ERR_LIMIT, kvstore_put(k, name, "k", BYTES("x"), &d));
    REQUIRE_ERR(ERR_LIMIT, kvstore_put(k, "t", "k", buf_view(&big), &d));
    name[KV_NAME_MAX] = 0;
    big.len--;
    REQUIRE_OK(kvstore_put(k, name, name, buf_view(&big), &d));
    kvstore_close(k);
    place_free(&p);
}

TEST(kvstore, a_second_process_is_refused)
{
    struct place p = place("second");
    struct kvstore *k = open_at(&p);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        struct kvstore *mine;
        struct diag d = DIAG_INIT;
        enum err e = kvstore_open(&mine, p.db, p.key, &d);
        _exit(e == ERR_CONFLICT ? 0 : 1);
    }
    int status;
    REQUIRE(waitpid(child, &status, 0) == child);
    EXPECT_EQ(status, 0);
    kvstore_close(k);
    place_free(&p);
}

static void count_up(void *arg, unsigned i)
{
    struct kvstore *k = arg;
    (void)i;
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    CLEANUP_BUF struct buf b = {0};
    if (kvstore_begin(k, &t, NULL) != OK || kvstore_get(k, "t", "n", &b, NULL) != OK) abort();
    CLEANUP_FREE char *next = str_fmt("%d", atoi(buf_cstr(&b)) + 1);
    if (kvstore_put(k, "t", "n", bytes_str(next), NULL) != OK) abort();
    if (kvstore_commit(&t, NULL) != OK) abort();
}

TEST(kvstore, transactions_of_many_threads_do_not_mix)
{
    struct diag d = DIAG_INIT;
    struct place p = place("threads");
    struct kvstore *k = open_at(&p);
    put(k, "t", "n", "0");
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, 4, 16, &d));
    pool_each(pool, 60, count_up, k);
    pool_free(pool);
    expect(k, "t", "n", "60");
    kvstore_close(k);
    place_free(&p);
}
