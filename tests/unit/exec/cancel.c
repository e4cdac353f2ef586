/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/cancel.c - a query ends between two morsels: counted by the morsels that are begun after
 * the word was given, never by time
 */
#include "by_hand.h"

#define UNIT_ROWS 20000
#define UNITS     60
#define WORKERS   4

static struct value numbers(uint32_t row, uint32_t col)
{
    return v_long(col == 0 ? row : row % 7);
}

static struct array_table *table(void)
{
    return table_of("id long, rest long", UNIT_ROWS * UNITS, UNIT_ROWS, numbers);
}

/* --- a source that gives the word while it reads a unit --------------------------------------- */

static struct {
    _Atomic bool cancelled;
    _Atomic unsigned reads, reads_after, batches;
    unsigned when; /* the read during which the word is given */
} hook;

static void hook_reset(unsigned when)
{
    atomic_store(&hook.cancelled, false);
    atomic_store(&hook.reads, 0);
    atomic_store(&hook.reads_after, 0);
    atomic_store(&hook.batches, 0);
    hook.when = when;
}

static enum err hooked_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                            struct arena *a, struct batch *out, struct diag *dd)
{
    if (atomic_load(&hook.cancelled)) atomic_fetch_add(&hook.reads_after, 1);
    if (atomic_fetch_add(&hook.reads, 1) + 1 == hook.when) atomic_store(&hook.cancelled, true);
    return array_read(scan, unit, places, n_places, a, out, dd);
}

static struct exec_request hooked(struct pool *pool)
{
    static struct source_ops source;
    source = array_source;
    source.read = hooked_read;
    return (struct exec_request){.source = &source, .pool = pool, .cancel = &hook.cancelled};
}

static struct op *count_of_some(struct array_table *t)
{
    struct op *in = o_table(t);
    struct expr *odd = x_call("op ==", T_BOOL, x_col(in, "rest"), x_const(v_long(3)));
    return o_count(o_filter(in, odd));
}

TEST(exec, one_worker_begins_no_unit_after_the_cancel)
{
    struct array_table *t = table();
    for (unsigned when = 1; when <= UNITS; when += 7) {
        hook_reset(when);
        EXPECT_STR(run_as(count_of_some(t), hooked(NULL)), "failed: cancelled ");
        EXPECT_EQ(atomic_load(&hook.reads), when);
        EXPECT_EQ(atomic_load(&hook.reads_after), 0);
    }
}

/* Each worker may have looked just before the word was given: it begins what it had looked for. */
TEST(exec, several_workers_begin_no_unit_beyond_those_they_have_in_hand)
{
    struct array_table *t = table();
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, WORKERS, 64, &d));
    unsigned workers = cpu_count() < WORKERS + 1 ? cpu_count() : WORKERS + 1;
    for (unsigned when = 2; when <= UNITS / 2; when += 3) {
        hook_reset(when);
        EXPECT_STR(run_as(count_of_some(t), hooked(pool)), "failed: cancelled ");
        REQUIRE(atomic_load(&hook.reads_after) <= workers - 1);
    }
    pool_free(pool);
}

/* --- within a unit ---------------------------------------------------------------------------- */

static enum err cancel_at_first(void *ctx, const struct batch *b, struct diag *dd)
{
    (void)ctx, (void)b, (void)dd;
    atomic_fetch_add(&hook.batches, 1);
    atomic_store(&hook.cancelled, true);
    return OK;
}

TEST(exec, a_unit_under_way_hands_out_no_vector_after_the_cancel)
{
    struct array_table *t = table();
    struct plan plan = {.root = o_table(t)};
    struct exec_request r = hooked(NULL);
    hook_reset(0);
    r.plan = &plan;
    REQUIRE_ERR(ERR_CANCELLED, exec_run(&r, cancel_at_first, NULL, NULL, &d));
    EXPECT_EQ(atomic_load(&hook.batches), 1);
    EXPECT_EQ(atomic_load(&hook.reads), 1);
}

/* --- somebody who waits for the rows ---------------------------------------------------------- */

static bool is_gone(void *ctx)
{
    (void)ctx;
    return true;
}

static bool is_there(void *ctx)
{
    ++*(unsigned *)ctx;
    return false;
}

TEST(exec, a_query_that_nobody_waits_for_begins_nothing)
{
    struct array_table *t = table();
    struct exec_request r = hooked(NULL);
    hook_reset(0);
    r.gone = is_gone;
    EXPECT_STR(run_as(count_of_some(t), r), "failed: cancelled ");
    EXPECT_EQ(atomic_load(&hook.reads), 0);
    unsigned asked = 0;
    r.gone = is_there;
    r.gone_ctx = &asked;
    EXPECT_STR(run_as(o_count(o_table(t)), r), "1200000 ");
    REQUIRE(asked >= 1);
}

static enum err refuse_second(void *ctx, const struct batch *b, struct diag *dd)
{
    (void)b;
    return ++*(uint64_t *)ctx == 2 ? FAIL(dd, ERR_IO, "the receiver is full") : OK;
}

TEST(exec, a_receiver_that_refuses_a_batch_gets_no_other)
{
    struct array_table *t = table();
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, WORKERS, 64, &d));
    struct plan plan = {.root = o_table(t)};
    struct exec_request r = hooked(pool);
    hook_reset(0);
    r.plan = &plan;
    r.cancel = NULL;
    r.limits.rows_max = UNIT_ROWS * UNITS;
    uint64_t batches = 0;
    REQUIRE_ERR(ERR_IO, exec_run(&r, refuse_second, &batches, NULL, &d));
    EXPECT_EQ(batches, 2);
    pool_free(pool);
}
