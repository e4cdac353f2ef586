/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/lock.c - a revoked account: nothing readable, nothing lost; opacity; retention
 */
#include "test_store.h"

#include "base/thread.h"

#include <dirent.h>
#include <stdatomic.h>
#include <unistd.h>

static void lock_account(struct bench *b, const uint8_t *account, enum err why)
{
    test_keys_set(&b->keys, account, why);
    store_account_lock(b->store, account);
}

static void restore_account(struct bench *b, const uint8_t *account)
{
    struct diag d = DIAG_INIT;
    test_keys_set(&b->keys, account, OK);
    REQUIRE_OK(store_account_open(b->store, account, &d));
}

static uint32_t same_days(void *ctx, const struct guid *id)
{
    REQUIRE(guid_eq(id, &workspace));
    return *(uint32_t *)ctx;
}

static enum err run_retention(struct bench *b, int64_t now_us, uint32_t days, uint64_t *removed)
{
    return store_retention_run(b->store, now_us, same_days, &days, removed, NULL);
}

static void expect_scan_fails(struct bench *b, enum err want)
{
    struct diag d = DIAG_INIT;
    uint8_t counts[1];
    uint64_t total;
    REQUIRE_ERR(want, count_ids(b, counts, 0, &total, &d));
}

TEST(lock, rows_in_log_and_segments_come_back_after_a_restore)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "lock", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 1000, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 1000, 500, &d));
    for (int round = 0; round < 3; round++) {
        enum err why = round == 1 ? ERR_UNAVAILABLE : ERR_KEY_LOCKED;
        lock_account(&b, customer, why);
        expect_scan_fails(&b, why);
        REQUIRE_ERR(why, append_ids(&b, customer, 1500, 1, &d));
        REQUIRE_ERR(why, store_account_open(b.store, customer, &d));
        struct store_stats stats;
        store_stats(b.store, &stats);
        EXPECT_EQ(stats.memtable_rows, 0);
        restore_account(&b, customer);
        expect_ids(&b, 1500);
    }
    REQUIRE_OK(append_ids(&b, customer, 1500, 10, &d)); /* into a new file */
    expect_ids(&b, 1510);
    lock_account(&b, customer, ERR_KEY_LOCKED);
    bench_close(&b);

    /* A restart while locked: all else works, and the rows are still there afterwards. */
    REQUIRE_OK(bench_open(&b, "lock", &d));
    expect_scan_fails(&b, ERR_KEY_LOCKED);
    restore_account(&b, customer);
    expect_ids(&b, 1510);
    bench_release(&b);
}

/* The account is not locked: a lease was only late. Every key handed out is dead all the same. */
TEST(lock, a_lease_that_ended_and_came_back_needs_no_restore)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "lease", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 10, &d));
    test_keys_set(&b.keys, customer, ERR_UNAVAILABLE);
    REQUIRE_ERR(ERR_UNAVAILABLE, append_ids(&b, customer, 10, 10, &d));
    expect_scan_fails(&b, ERR_UNAVAILABLE);
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(append_ids(&b, customer, 10, 10, &d));
    expect_ids(&b, 20);
    test_keys_set(&b.keys, platform, ERR_UNAVAILABLE);
    REQUIRE_ERR(ERR_UNAVAILABLE, store_flush(b.store, customer, &d));
    test_keys_set(&b.keys, platform, OK);
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_ids(&b, 20);
    bench_release(&b);
    EXPECT_EQ(b.keys.n_out, 0);
}

TEST(lock, a_query_that_touches_a_locked_account_fails_whole)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "two", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(store_account_open(b.store, customer2, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 10, &d));
    REQUIRE_OK(append_ids(&b, customer2, 10, 10, &d));
    expect_ids(&b, 20);
    lock_account(&b, customer2, ERR_KEY_LOCKED);
    expect_scan_fails(&b, ERR_KEY_LOCKED);
    REQUIRE_OK(append_ids(&b, customer, 20, 1, &d)); /* the other account works on */

    /* A table without rows there does not care. */
    struct table *other = NULL;
    struct store_scan *sc = NULL;
    static const struct guid elsewhere = {{8}};
    REQUIRE_OK(store_table_create(b.store, &elsewhere, "Other_CL", &test_schema, &other, &d));
    uint32_t column = 0;
    REQUIRE_OK(store_scan_open(b.store, other, &column, 1, NULL, 0, &sc, &d));
    EXPECT_EQ(store_scan_units(sc), 0);
    store_scan_close(sc);
    restore_account(&b, customer2);
    expect_ids(&b, 21);
    bench_release(&b);
}

TEST(lock, a_running_scan_fails_at_its_next_unit_and_stays_failed)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "scan", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 40000, &d)); /* two row groups */
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 40000, 10, &d));
    struct store_scan *sc = NULL;
    uint32_t column = 1, place = 0;
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    EXPECT_EQ(store_scan_units(sc), 3);
    for (uint32_t u = 0; u < 3; u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, &place, 1, &a, &got, &d));
    }
    lock_account(&b, customer, ERR_KEY_LOCKED);
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch got;
    for (uint32_t u = 0; u < 3; u++)
        REQUIRE_ERR(ERR_KEY_LOCKED, store_scan_read(sc, u, &place, 1, &a, &got, &d));
    restore_account(&b, customer);
    /* Its keys and pieces are gone: it must not come back to life with holes. */
    for (uint32_t u = 0; u < 3; u++)
        REQUIRE_ERR(ERR_UNAVAILABLE, store_scan_read(sc, u, &place, 1, &a, &got, &d));
    store_scan_close(sc);
    expect_ids(&b, 40010);
    bench_release(&b);
    EXPECT_EQ(b.keys.n_out, 0);
}

TEST(lock, what_a_scan_saw_at_its_start_it_sees_to_its_end)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "snapshot", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 100, &d));
    struct store_scan *sc = NULL;
    uint32_t column = 1, place = 0;
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    REQUIRE_OK(append_ids(&b, customer, 100, 100, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    uint64_t rows = 0, removed = 0;
    REQUIRE_OK(run_retention(&b, time_now_us() + 4000 * 86400 * US_PER_S, 1, &removed));
    EXPECT_EQ(removed, 1);
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, &place, 1, &a, &got, &d));
        rows += got.n_rows;
    }
    EXPECT_EQ(rows, 100);
    store_scan_close(sc);
    expect_ids(&b, 0);
    bench_release(&b);
}

/* --- many at once
 * --------------------------------------------------------------------------------------- */

struct storm {
    struct bench *b;
    _Atomic uint64_t next;
    _Atomic bool stop;
    _Atomic int wrong;
    uint8_t acked[60000];
};

static void *append_storm(void *arg)
{
    struct storm *s = arg;
    while (!s->stop) {
        uint64_t from = atomic_fetch_add(&s->next, 5);
        if (from + 5 > sizeof s->acked) break;
        enum err e = append_ids(s->b, customer, from, 5, NULL);
        if (e == OK) memset(s->acked + from, 1, 5);
        if (e != OK && e != ERR_KEY_LOCKED && e != ERR_UNAVAILABLE) s->wrong++;
        if (e != OK) time_sleep_us(2000);
    }
    return NULL;
}

static void *scan_storm(void *arg)
{
    struct storm *s = arg;
    static uint8_t counts[60000];
    uint64_t total;
    while (!s->stop) {
        memset(counts, 0, sizeof counts);
        enum err e = count_ids(s->b, counts, sizeof counts, &total, NULL);
        if (e != OK && e != ERR_KEY_LOCKED && e != ERR_UNAVAILABLE) s->wrong++;
        for (size_t i = 0; e == OK && i < sizeof counts; i++)
            s->wrong += counts[i] > 1;
    }
    return NULL;
}

TEST(lock, locks_in_the_middle_of_appends_scans_and_flushes_lose_and_double_nothing)
{
    struct diag d = DIAG_INIT;
    struct bench b = {.config = {.memtable_rows_max = 500}};
    static struct storm s;
    s.b = &b;
    REQUIRE_OK(bench_open(&b, "storm", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    pthread_t threads[4];
    for (int i = 0; i < 3; i++)
        REQUIRE_OK(thread_start(&threads[i], append_storm, &s, &d));
    REQUIRE_OK(thread_start(&threads[3], scan_storm, &s, &d));
    for (int i = 0; i < 15; i++) {
        time_sleep_us(60000);
        lock_account(&b, customer, ERR_KEY_LOCKED);
        struct store_stats stats;
        store_stats(b.store, &stats);
        EXPECT_EQ(stats.memtable_rows, 0);
        restore_account(&b, customer);
    }
    s.stop = true;
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    EXPECT_EQ(s.wrong, 0);

    static uint8_t counts[60000];
    for (int restart = 0; restart < 2; restart++) {
        uint64_t total = 0;
        memset(counts, 0, sizeof counts);
        REQUIRE_OK(count_ids(&b, counts, sizeof counts, &total, &d));
        for (size_t i = 0; i < sizeof counts; i++) {
            if (s.acked[i]) EXPECT_EQ(counts[i], 1);
            REQUIRE(counts[i] <= 1);
        }
        bench_close(&b);
        REQUIRE_OK(bench_open(&b, "storm", &d));
        REQUIRE_OK(store_account_open(b.store, customer, &d));
    }
    bench_release(&b);
    EXPECT_EQ(b.keys.n_out, 0);
}

/* --- what a lock waits for
 * --------------------------------------------------------------------------------------- */

static void *scan_once(void *arg)
{
    static uint8_t counts[100];
    uint64_t total;
    struct diag d = DIAG_INIT;
    return (void *)(uintptr_t)count_ids(arg, counts, sizeof counts, &total, &d);
}

TEST(lock, a_lock_waits_for_no_key_that_is_on_its_way)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "waits", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 100, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    bench_close(&b); /* the segment's key is forgotten */
    REQUIRE_OK(bench_open(&b, "waits", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    pthread_t t;
    b.keys.holds = true;
    REQUIRE_OK(thread_start(&t, scan_once, &b, &d));
    while (b.keys.n_held == 0)
        time_sleep_us(1000);
    lock_account(&b, customer, ERR_KEY_LOCKED);
    REQUIRE(b.keys.n_held == 1 && b.keys.n_held_to_the_end == 0); /* the key is still on its way */
    b.keys.holds = false;
    void *e;
    pthread_join(t, &e);
    EXPECT_EQ((uintptr_t)e, ERR_KEY_LOCKED);
    bench_release(&b);
}

/* --- opacity
 * ---------------------------------------------------------------------------------------------- */

static void search_dir(const char *path, int *files)
{
    struct diag d = DIAG_INIT;
    struct dirent **names;
    int n = scandir(path, &names, NULL, NULL);
    for (int i = 0; i < n; i++) {
        char *sub = os_path(path, names[i]->d_name);
        if (names[i]->d_type == DT_DIR && names[i]->d_name[0] != '.') search_dir(sub, files);
        if (names[i]->d_type == DT_REG) {
            CLEANUP_BUF struct buf b = {0};
            REQUIRE_OK(os_read_file(sub, 1 << 26, &b, &d));
            ++*files;
            /* Words of rows, names of columns and of the table; the zstd frame must not show them
             * either. */
            static const char *const words[] = {"anary", "message12", "canaryhost", "TimeGenerated",
                                                "Duration"};
            for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
                if (memmem(b.p, b.len, words[k], strlen(words[k])) != NULL)
                    fail_msg("'%s' in %s", words[k], sub);
            }
        }
        free(sub);
        free(names[i]);
    }
    if (n >= 0) free(names);
}

TEST(lock, no_word_of_a_row_and_no_name_of_a_column_is_in_any_file)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "opaque", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 2000, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 2000, 200, &d)); /* in the log */
    int files = 0;
    search_dir(b.dir, &files);
    REQUIRE(files >= 3);
    bench_release(&b);
}

/* --- retention
 * ---------------------------------------------------------------------------------------------- */

TEST(lock, retention_deletes_whole_segments_also_of_a_locked_account)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    const int64_t day = 86400 * US_PER_S, first = 1700000000 * US_PER_S;
    uint64_t removed = 0;
    REQUIRE_OK(bench_open(&b, "retention", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 100, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 100, 100, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    REQUIRE_OK(run_retention(&b, first + 30 * day, 0, &removed)); /* 0: for ever */
    REQUIRE_OK(run_retention(&b, first + 30 * day, 31, &removed));
    EXPECT_EQ(removed, 0);
    /* Half a second after the first segment's last row has aged 10 days. */
    lock_account(&b, customer, ERR_KEY_LOCKED);
    REQUIRE_OK(store_table_set_retention(b.store, b.table, 10, &d));
    REQUIRE_OK(run_retention(&b, first + 10 * day + 99 * US_PER_S + US_PER_S / 2, 31, &removed));
    EXPECT_EQ(removed, 1);
    restore_account(&b, customer);
    uint8_t counts[200] = {0};
    uint64_t total = 0;
    REQUIRE_OK(count_ids(&b, counts, 200, &total, &d));
    EXPECT_EQ(total, 100);
    EXPECT_EQ(counts[100], 1);

    /* Rows that are only in the log of a locked account age too, and a restart does not change
     * that. */
    REQUIRE_OK(append_ids(&b, customer, 0, 10, &d));
    lock_account(&b, customer, ERR_KEY_LOCKED);
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, "retention", &d));
    EXPECT_EQ(store_table_retention(b.table), 10);
    restore_account(&b, customer);
    lock_account(&b, customer, ERR_KEY_LOCKED);
    struct store_stats stats;
    REQUIRE_OK(run_retention(&b, first + 10 * day, 31, &removed));
    store_stats(b.store, &stats);
    REQUIRE(stats.wal_bytes != 0);
    REQUIRE_OK(run_retention(&b, first + 11 * day, 31, &removed));
    EXPECT_EQ(removed, 1);
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.wal_bytes, 0);
    restore_account(&b, customer);
    expect_ids(&b, 0);
    bench_release(&b);
}

/* --- an account that is gone
 * --------------------------------------------------------------------------------- */

struct test_files {
    int segments, logs;
};

static void count_files(const char *path, struct test_files *n)
{
    struct dirent **names;
    int k = scandir(path, &names, NULL, alphasort);
    for (int i = 0; i < k; i++) {
        char *sub = os_path(path, names[i]->d_name);
        if (names[i]->d_type == DT_DIR && names[i]->d_name[0] != '.') count_files(sub, n);
        n->segments += str_ends(names[i]->d_name, ".seg");
        n->logs += str_ends(names[i]->d_name, ".wal");
        free(sub);
        free(names[i]);
    }
    if (k >= 0) free(names);
}

static uint64_t count_rows_without(struct bench *b, struct store_gone *gone, uint32_t n)
{
    struct diag d = DIAG_INIT;
    const uint32_t column = 1;
    uint64_t rows = 0;
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    REQUIRE_OK(store_scan_open_without(b->store, b->table, &column, 1, NULL, 0, gone, n, &sc, &d));
    for (uint32_t i = 0; i < store_scan_units(sc); i++)
        rows += store_scan_rows(sc, i);
    return rows;
}

static enum err count_entry(void *ctx, const struct catalog_row *row, struct diag *d)
{
    (void)row, (void)d;
    ++*(int *)ctx;
    return OK;
}

static int count_entries(struct bench *b, const char *kind)
{
    struct diag d = DIAG_INIT;
    int n = 0;
    REQUIRE_OK(b->catalog->ops->list(b->catalog, NULL, kind, NULL, NULL, count_entry, &n, &d));
    return n;
}

TEST(lock, rows_of_an_account_that_is_gone_can_be_left_out_and_dropped)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "gone", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(store_account_open(b.store, customer2, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 30, &d));
    REQUIRE_OK(append_ids(&b, customer2, 30, 20, &d));
    REQUIRE_OK(store_flush(b.store, customer2, &d));
    REQUIRE_OK(append_ids(&b, customer2, 50, 10, &d));
    struct store_gone gone[2] = {{.account = {0x77}}};
    memcpy(gone[1].account, customer2, 16);
    for (int locked = 0; locked < 2; locked++) { /* whether its key is there makes no difference */
        if (locked) lock_account(&b, customer2, ERR_KEY_LOCKED);
        gone[1].had_rows = false;
        EXPECT_EQ(count_rows_without(&b, gone, 2), 30);
        REQUIRE(gone[1].had_rows && !gone[0].had_rows);
    }
    expect_scan_fails(&b, ERR_KEY_LOCKED);

    struct test_files before = {0}, after = {0};
    count_files(b.dir, &before);
    REQUIRE_OK(store_account_drop(b.store, customer2, &d));
    REQUIRE_OK(store_account_drop(b.store, customer2, &d)); /* nothing is left to do */
    expect_ids(&b, 30);
    count_files(b.dir, &after);
    EXPECT_EQ(before.segments, 1);
    EXPECT_EQ(after.segments, 0);
    REQUIRE(before.logs >= 2);
    EXPECT_EQ(after.logs, 1);
    EXPECT_EQ(count_entries(&b, "segment") + count_entries(&b, "covered"), 0);
    EXPECT_EQ(count_entries(&b, "log"), 1);
    bench_close(&b);
    REQUIRE_OK(bench_open(&b, "gone", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_ids(&b, 30);
    bench_release(&b);
}
