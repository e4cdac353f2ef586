/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/store.c - rows in, rows out: through log, memtable, segments, locks and
 * restarts */
#include "test_store.h"

TEST(store, a_row_can_be_queried_when_append_returns)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "first", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 1, &d));
    expect_ids(&b, 1);
    for (uint32_t i = 1; i < 200; i++)
        REQUIRE_OK(append_ids(&b, customer, i, 1, &d));
    REQUIRE_OK(append_ids(&b, customer, 200, 5000, &d));
    expect_ids(&b, 5200);
    struct store_stats stats;
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.rows, 5200);
    EXPECT_EQ(stats.memtable_rows, 5200);
    bench_release(&b);
}

TEST(store, rows_survive_a_flush_and_a_restart)
{
    struct diag d = DIAG_INIT;
    struct bench b = {0};
    REQUIRE_OK(bench_open(&b, "restart", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 70000, &d));
    REQUIRE_OK(store_flush(b.store, customer, &d));
    expect_ids(&b, 70000);
    struct store_stats stats;
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.memtable_rows, 0);
    EXPECT_EQ(stats.segments, 1);
    REQUIRE_OK(append_ids(&b, customer, 70000, 10, &d));
    expect_ids(&b, 70010);
    bench_close(&b);

    REQUIRE_OK(bench_open(&b, "restart", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    expect_ids(&b, 70010);
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.segments, 2); /* close has flushed */
    EXPECT_EQ(stats.wal_bytes, 0);
    bench_release(&b);
}

static bool wait_for_segments(struct bench *b, uint64_t n)
{
    struct store_stats stats;
    for (int i = 0; i < 12000; i++) {
        store_stats(b->store, &stats);
        if (stats.segments == n) return true;
        time_sleep_us(10000);
    }
    return false;
}

TEST(store, a_platform_key_that_was_away_at_start_or_during_a_flush_costs_time_and_nothing_else)
{
    struct diag d = DIAG_INIT;
    struct bench b = {.config = {.memtable_rows_max = 10}};
    REQUIRE_OK(bench_open(&b, "platform", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 0, 5, &d));
    test_keys_set(&b.keys, platform, ERR_UNAVAILABLE);
    REQUIRE_OK(append_ids(&b, customer, 5, 10, &d)); /* to be flushed at once, and it fails */
    time_sleep_us(200000);
    struct store_stats stats;
    store_stats(b.store, &stats);
    EXPECT_EQ(stats.segments, 0);
    expect_ids(&b, 15);
    test_keys_set(&b.keys, platform, OK);
    REQUIRE(wait_for_segments(&b, 1)); /* the background thread has come back by itself */
    expect_ids(&b, 15);
    bench_close(&b);

    test_keys_set(&b.keys, platform, ERR_UNAVAILABLE);
    REQUIRE_ERR(ERR_UNAVAILABLE, bench_open(&b, "platform", &d));
    bench_close(&b);
    test_keys_set(&b.keys, platform, OK);
    diag_reset(&d);
    REQUIRE_OK(bench_open(&b, "platform", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(append_ids(&b, customer, 15, 10, &d));
    REQUIRE(wait_for_segments(&b, 2));
    expect_ids(&b, 25);
    bench_release(&b);
}

TEST(store, a_small_memtable_does_not_hold_back_long_logs)
{
    struct diag d = DIAG_INIT;
    struct bench b = {.config = {.memtable_rows_max = 1u << 30}};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 30);
    const uint32_t size = 4 << 20;
    CLEANUP_FREE char *text = malloc(size + 1);
    REQUIRE(text != NULL);
    memset(text, 'x', size + 1);
    struct batch rows;
    make_rows(&a, 0, 2, &rows);
    rows.cols[2].data = (struct bytes[]){bytes_of(text, size), bytes_of(text, size + 1)};
    struct table *small = NULL;
    REQUIRE_OK(bench_open(&b, "held", &d));
    REQUIRE_OK(store_account_open(b.store, customer, &d));
    REQUIRE_OK(store_table_create(b.store, &workspace, "Small_CL", &test_schema, &small, &d));
    struct batch one;
    make_rows(&a, 0, 1, &one);
    REQUIRE_OK(store_append(b.store, small, customer, &one, &d));
    for (int i = 0; i < 16; i++) /* 128 MiB in files of 16 */
        REQUIRE_OK(store_append(b.store, b.table, customer, &rows, &d));
    REQUIRE(wait_for_segments(&b, 2)); /* both tables hold back the oldest file */
    struct store_stats stats;
    for (int i = 0; i < 12000; i++) {
        store_stats(b.store, &stats);
        if (stats.wal_bytes <= (uint64_t)80 << 20) break;
        time_sleep_us(10000);
    }
    REQUIRE(stats.wal_bytes <= (uint64_t)80 << 20);
    EXPECT_EQ(stats.rows, 33);
    bench_release(&b);
}
