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
