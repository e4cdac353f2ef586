/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/compact.c - small segments become one, and every row stays there once */
#include "test_store.h"

#include "base/thread.h"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void opened(struct bench *b, const char *name)
{
    struct diag d = DIAG_INIT;
    b->config.merge_on_request = true; /* the background must not be faster than the test */
    REQUIRE_OK(bench_open(b, name, &d));
    REQUIRE_OK(store_account_open(b->store, customer, &d));
}

static void reopened(struct bench *b)
{
    bench_close(b);
    opened(b, NULL);
}

static uint64_t n_segments(struct bench *b)
{
    struct store_stats st = {0};
    store_stats(b->store, &st);
    return st.segments;
}

/* n segments of `each` rows. */
static uint64_t make_segments(struct bench *b, uint64_t from, uint32_t n, uint32_t each)
{
    struct diag d = DIAG_INIT;
    for (uint32_t i = 0; i < n; i++, from += each) {
        REQUIRE_OK(append_ids(b, customer, from, each, &d));
        REQUIRE_OK(store_flush(b->store, customer, &d));
    }
    return from;
}

TEST(storage, small_segments_become_one_with_all_rows)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-one");
    uint64_t n = make_segments(&b, 0, 12, 5);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    EXPECT_EQ(n_segments(&b), 1);
    expect_ids(&b, n);
    reopened(&b);
    expect_ids(&b, n);
    EXPECT_EQ(n_segments(&b), 1);
    bench_release(&b);
}

TEST(storage, few_or_distant_segments_stay_apart)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-few");
    make_segments(&b, 0, 7, 5);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    EXPECT_EQ(n_segments(&b), 7);
    for (uint64_t day = 2; day < 10; day++) /* ids are seconds */
        make_segments(&b, day * 2 * 86400, 1, 5);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    EXPECT_EQ(n_segments(&b), 15);
    bench_release(&b);
}

TEST(storage, a_scan_that_began_before_a_merge_sees_its_rows)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-scan");
    uint64_t n = make_segments(&b, 0, 10, 5);
    const uint32_t column = 1, place = 0;
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    REQUIRE_OK(store_scan_open(b.store, b.table, &column, 1, NULL, 0, &sc, &d));
    REQUIRE_OK(store_compact(b.store, customer, &d));
    uint64_t rows = 0;
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, &place, 1, &a, &got, &d));
        rows += got.n_rows;
    }
    EXPECT_EQ(rows, n);
    store_scan_close(TAKE(sc));
    expect_ids(&b, n);
    bench_release(&b);
}

TEST(storage, nothing_is_merged_while_the_account_is_locked)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-locked");
    uint64_t n = make_segments(&b, 0, 7, 5);
    REQUIRE_OK(append_ids(&b, customer, n, 5, &d));
    test_keys_set(&b.keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b.store, customer);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    EXPECT_EQ(n_segments(&b), 7);
    test_keys_set(&b.keys, customer, OK);
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_ids(&b, n + 5);
    bench_release(&b);
}

/* The door closes somewhere in the middle of a merge. */
static void *locker(void *arg)
{
    struct bench *b = arg;
    for (int i = 0; i < 40; i++) {
        test_keys_set(&b->keys, customer, ERR_UNAVAILABLE);
        store_account_lock(b->store, customer);
        test_keys_set(&b->keys, customer, OK);
        if (store_account_open(b->store, customer, NULL) != OK) return b;
        time_sleep_us(300 * (i % 7));
    }
    return NULL;
}

TEST(storage, a_lock_in_the_middle_of_a_merge_changes_nothing)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-lock");
    uint64_t n = make_segments(&b, 0, 30, 40);
    pthread_t t;
    void *failed = NULL;
    REQUIRE_OK(thread_start(&t, locker, &b, &d));
    for (int i = 0; i < 40; i++)
        (void)!store_compact(b.store, customer, NULL);
    pthread_join(t, &failed);
    REQUIRE(failed == NULL);
    expect_ids(&b, n);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    expect_ids(&b, n);
    REQUIRE(n_segments(&b) < 30);
    bench_release(&b);
}

TEST(storage, a_merge_keeps_rows_that_are_older_than_a_column)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-wider");
    uint64_t n = make_segments(&b, 0, 4, 5);
    static const struct column more_cols[] = {{"Later_CL", T_LONG}};
    REQUIRE_OK(store_table_add_columns(b.store, b.table, &(struct schema){1, more_cols}, &d));
    n = make_segments(&b, n, 6, 5);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    expect_ids(&b, n);
    bench_release(&b);
}

static uint32_t one_day(void *ctx, const struct guid *w)
{
    (void)ctx, (void)w;
    return 1;
}

TEST(storage, a_merged_segment_leaves_with_its_days)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    opened(&b, "compact-retention");
    make_segments(&b, 0, 10, 5);
    REQUIRE_OK(store_compact(b.store, customer, &d));
    uint64_t removed = 0;
    /* The newest row is 49 s after 1,700,000,000. */
    int64_t last = (1700000049LL + 86400) * US_PER_S;
    REQUIRE_OK(store_retention_run(b.store, last - US_PER_S, one_day, NULL, &removed, &d));
    EXPECT_EQ(removed, 0);
    REQUIRE_OK(store_retention_run(b.store, last + US_PER_S, one_day, NULL, &removed, &d));
    REQUIRE(removed >= 1);
    EXPECT_EQ(n_segments(&b), 0);
    expect_ids(&b, 0);
    bench_release(&b);
}

TEST(storage, a_merge_that_fails_anywhere_changes_nothing)
{
    struct diag d = DIAG_INIT;
    FAULT_SWEEP (k) {
        os_fault_arm(0, 0);
        struct bench b = {0};
        char name[32];
        snprintf(name, sizeof name, "compact-fault-%u", (unsigned)k);
        opened(&b, name);
        uint64_t n = make_segments(&b, 0, 8, 3);
        os_fault_arm(k, ENOSPC);
        enum err e = store_compact(b.store, customer, NULL);
        bool fired = os_fault_fired();
        os_fault_arm(0, 0);
        expect_ids(&b, n);
        reopened(&b);
        expect_ids(&b, n);
        REQUIRE_OK(store_compact(b.store, customer, &d));
        expect_ids(&b, n);
        EXPECT_EQ(n_segments(&b), 1);
        bench_release(&b);
        if (!fired && e == OK) break;
    }
}

static void merge_for_ever(struct bench *b, _Atomic uint64_t *rows)
{
    struct diag d = DIAG_INIT;
    if (bench_open(b, NULL, &d) != OK || store_account_open(b->store, customer, &d) != OK) _exit(3);
    for (;;) {
        if (append_ids(b, customer, *rows, 3, &d) != OK) _exit(4);
        *rows += 3;
        if (store_flush(b->store, customer, &d) != OK) _exit(5);
        if (store_compact(b->store, customer, &d) != OK) _exit(6);
    }
}

TEST(storage, a_kill_in_the_middle_of_merges_neither_doubles_nor_loses_a_row)
{
    struct bench b = {0};
    opened(&b, "compact-kill");
    bench_close(&b);
    _Atomic uint64_t *rows =
        mmap(NULL, sizeof *rows, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(rows != MAP_FAILED);
    const char *seed_text = getenv("SEED");
    unsigned seed = seed_text != NULL ? (unsigned)atoi(seed_text) : 1;
    for (int round = 0; round < 8; round++) {
        pid_t pid = fork();
        if (pid == 0) merge_for_ever(&b, rows);
        time_sleep_us(50000 + rand_r(&seed) % 150000);
        kill(pid, SIGKILL);
        int status = 0;
        waitpid(pid, &status, 0);
        REQUIRE(WIFSIGNALED(status));
        opened(&b, NULL);
        uint8_t *counts = calloc(*rows + 4, 1);
        uint64_t total = 0;
        struct diag d = DIAG_INIT;
        REQUIRE_OK(count_ids(&b, counts, *rows + 3, &total, &d));
        for (uint64_t i = 0; i < *rows; i++)
            EXPECT_EQ(counts[i], 1);
        REQUIRE(total == *rows || total == *rows + 3); /* written, and killed before it was told */
        *rows = total;
        free(counts);
        bench_close(&b);
    }
    munmap(rows, sizeof *rows);
    bench_release(&b);
}
