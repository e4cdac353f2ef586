/* SPDX-License-Identifier: Apache-2.0 */
/* A large result is handed out as it comes: counted by the bytes that live while the receiver has a batch. */
#include "by_hand.h"

#include <malloc.h>

#define UNIT_ROWS 16384
#define UNITS     64
#define TEXT_LEN  200

/* Text that is made as it is read, in the unit's memory: the table itself holds none. */
static enum err long_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                          struct arena *a, struct batch *out, struct diag *dd)
{
    (void)scan, (void)unit, (void)places;
    struct vec *cols = arena_array(a, struct vec, n_places);
    struct bytes *rows = arena_array(a, struct bytes, UNIT_ROWS);
    uint8_t *text = arena_alloc(a, (size_t)UNIT_ROWS * TEXT_LEN);
    if (cols == NULL || rows == NULL || text == NULL) return arena_full(a, dd);
    memset(text, 'x', (size_t)UNIT_ROWS * TEXT_LEN);
    for (uint32_t i = 0; i < UNIT_ROWS; i++)
        rows[i] = bytes_of(text + (size_t)i * TEXT_LEN, TEXT_LEN);
    for (uint32_t i = 0; i < n_places; i++)
        cols[i] = (struct vec){.type = T_STRING, .n = UNIT_ROWS, .data = rows};
    *out = (struct batch){.n_rows = UNIT_ROWS, .n_cols = n_places, .cols = cols};
    return OK;
}

static uint64_t long_rows(void *scan, uint32_t unit)
{
    (void)scan, (void)unit;
    return UNIT_ROWS;
}

static enum err long_open(void *table, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, void **scan,
                          uint32_t *n_units, struct diag *dd)
{
    (void)table, (void)columns, (void)n_columns, (void)hints, (void)n_hints, (void)dd;
    *scan = NULL;
    *n_units = UNITS;
    return OK;
}

static void long_close(void *scan)
{
    (void)scan;
}

static const struct source_ops long_source = {long_open, long_read, long_rows, long_close};

struct watch {
    uint64_t rows, text;
    size_t before, most;
};

static size_t live_bytes(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static enum err watch_batch(void *ctx, const struct batch *b, struct diag *dd)
{
    struct watch *w = ctx;
    (void)dd;
    size_t now = live_bytes();
    if (now > w->before && now - w->before > w->most) w->most = now - w->before;
    w->rows += b->n_rows;
    for (uint32_t i = 0; i < b->n_rows; i++)
        w->text += vec_str(&b->cols[0], i).len;
    return OK;
}

static struct watch watch_query(struct op *root, unsigned threads)
{
    struct pool *pool = NULL;
    if (threads != 0) REQUIRE_OK(pool_new(&pool, threads, 64, &d));
    struct plan plan = {.root = root};
    struct exec_request r = {.plan = &plan,
                             .source = &long_source,
                             .pool = pool,
                             .limits = {.rows_max = UINT64_MAX,
                                        .bytes_max = UINT64_MAX,
                                        .memory_max = (size_t)96 << 20}};
    struct watch w = {.before = live_bytes()};
    REQUIRE_OK(exec_run(&r, watch_batch, &w, NULL, &d));
    pool_free(pool);
    return w;
}

static struct op *long_table(void)
{
    struct array_table *t = arena_new(&hand, struct array_table);
    t->schema = schema_of("text string");
    return o_table(t);
}

/* 200 MiB of text go by; a unit has 3.5 MiB, and a worker that waits for its turn has some more. */
TEST(exec, a_result_of_two_hundred_mebibytes_never_lives_as_a_whole)
{
    for (unsigned threads = 0; threads <= 3; threads += 3) {
        struct op *in = long_table();
        struct expr *all = x_call("op !=", T_BOOL, x_col(in, "text"), x_const(v_str("")));
        struct watch w = watch_query(o_filter(in, all), threads);
        EXPECT_EQ(w.rows, (uint64_t)UNIT_ROWS * UNITS);
        EXPECT_EQ(w.text, (uint64_t)UNIT_ROWS * UNITS * TEXT_LEN);
        if (w.most > (size_t)48 << 20) fail_msg("%zu bytes live with %u threads", w.most, threads);
    }
}
