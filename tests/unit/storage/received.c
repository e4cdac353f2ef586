/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/storage/received.c - when a row came is kept with it, wherever it goes */
#include "test_spool.h"

#include "base/time.h"

#define IDS 400

struct times {
    int64_t at[IDS]; /* ticks; 0: no such row */
    uint32_t n, units;
};

static void read_times(struct bench *b, const struct store_hint *hints, uint32_t n_hints,
                       struct times *out)
{
    struct diag d = DIAG_INIT;
    const uint32_t columns[] = {STORE_RECEIVED, 1}, places[] = {0, 1};
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    REQUIRE_OK(store_scan_open(b->store, b->table, columns, 2, hints, n_hints, &sc, &d));
    *out = (struct times){.units = store_scan_units(sc)};
    for (uint32_t u = 0; u < out->units; u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        REQUIRE_OK(store_scan_read(sc, u, places, 2, &a, &got, &d));
        EXPECT_EQ(got.cols[0].type, T_DATETIME);
        for (uint32_t i = 0; i < got.n_rows; i++) {
            uint64_t id = (uint64_t)vec_i64(&got.cols[1], i);
            REQUIRE(id < IDS && out->at[id] == 0 && !vec_null(&got.cols[0], i));
            out->at[id] = vec_i64(&got.cols[0], i);
            out->n++;
        }
    }
}

static void expect_times(struct bench *b, const struct times *want)
{
    struct times got;
    read_times(b, NULL, 0, &got);
    EXPECT_EQ(got.n, want->n);
    for (uint32_t i = 0; i < IDS; i++)
        EXPECT_EQ(got.at[i], want->at[i]);
}

static int64_t now_ticks(void)
{
    return TICKS_UNIX + time_now_us() * 10;
}

/* Ten rows of one batch: their time must lie between before and after. */
static void append_known(struct bench *b, uint64_t from, struct times *known)
{
    struct diag d = DIAG_INIT;
    struct times got;
    int64_t before = now_ticks();
    REQUIRE_OK(append_ids(b, customer, from, 10, &d));
    int64_t after = now_ticks();
    read_times(b, NULL, 0, &got);
    for (uint64_t i = from; i < from + 10; i++) {
        REQUIRE(got.at[i] >= before && got.at[i] <= after);
        EXPECT_EQ(got.at[i], got.at[from]);
        known->at[i] = got.at[i];
    }
    known->n += 10;
}

static struct spool_bench *opened(const char *name)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = calloc(1, sizeof *s);
    REQUIRE(s != NULL);
    s->b.config.merge_on_request = true;
    REQUIRE_OK(spool_bench_open(s, name, &d));
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
    return s;
}

static void reopened(struct spool_bench *s)
{
    struct diag d = DIAG_INIT;
    bench_close(&s->b);
    REQUIRE_OK(spool_bench_open(s, NULL, &d));
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
}

TEST(storage, when_a_row_came_outlives_replay_flush_and_merge)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("received");
    struct times known = {0};
    for (uint64_t id = 0; id < 100; id += 10)
        append_known(&s->b, id, &known);
    REQUIRE(known.at[90] > known.at[0]);
    store_account_lock(s->b.store, customer); /* rows are in the log alone */
    REQUIRE_OK(store_account_open(s->b.store, customer, &d));
    expect_times(&s->b, &known);
    for (uint64_t id = 100; id < 220; id += 10) {
        append_known(&s->b, id, &known);
        REQUIRE_OK(store_flush(s->b.store, customer, &d));
    }
    expect_times(&s->b, &known);
    REQUIRE_OK(store_compact(s->b.store, customer, &d));
    struct store_stats st = {0};
    store_stats(s->b.store, &st);
    REQUIRE(st.segments < 12);
    expect_times(&s->b, &known);
    reopened(s);
    expect_times(&s->b, &known);
    bench_release(&s->b);
    free(s);
}

TEST(storage, a_spooled_row_came_when_it_was_spooled)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("received-spool");
    struct times known = {0}, got;
    bool repeated;
    append_known(&s->b, 0, &known);
    suspend(&s->b);
    int64_t before = now_ticks();
    REQUIRE_OK(spool_ids(&s->b, 10, 10, NULL, &repeated, &d));
    int64_t after = now_ticks();
    time_sleep_us(1000);
    REQUIRE_OK(restore(&s->b, &d));
    read_times(&s->b, NULL, 0, &got);
    EXPECT_EQ(got.n, 20);
    REQUIRE(got.at[10] >= before && got.at[19] <= after);
    EXPECT_EQ(got.at[0], known.at[0]);
    REQUIRE_OK(store_flush(s->b.store, customer, &d));
    expect_times(&s->b, &got);
    bench_release(&s->b);
    free(s);
}

TEST(storage, the_time_of_receipt_skips_row_groups)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("received-skip");
    struct times known = {0}, got;
    append_known(&s->b, 0, &known);
    REQUIRE_OK(store_flush(s->b.store, customer, &d));
    time_sleep_us(100);
    append_known(&s->b, 10, &known);
    REQUIRE_OK(store_flush(s->b.store, customer, &d));
    const struct store_hint hint = {
        STORE_RECEIVED, STORE_GT, {.type = T_DATETIME, .i = known.at[0]}};
    read_times(&s->b, &hint, 1, &got);
    EXPECT_EQ(got.units, 1);
    EXPECT_EQ(got.n, 10);
    bench_release(&s->b);
    free(s);
}

TEST(storage, no_column_of_a_table_has_the_hidden_ones_name)
{
    struct diag d = DIAG_INIT;
    struct spool_bench *s = opened("received-name");
    static const struct column col = {"$IngestionTime", T_DATETIME};
    const struct schema more = {1, &col};
    struct table *t;
    EXPECT_EQ(store_table_add_columns(s->b.store, s->b.table, &more, &d), ERR_CONFLICT);
    EXPECT_EQ(store_table_create(s->b.store, &workspace, "Hidden_CL", &more, &t, &d), ERR_CONFLICT);
    EXPECT_EQ(store_table_schema(s->b.table)->n, TEST_COLS);
    EXPECT_STR(store_table_schema(s->b.table)->cols[0].name, "TimeGenerated");
    bench_release(&s->b);
    free(s);
}
