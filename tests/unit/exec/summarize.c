/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/summarize.c - groups, distinct, union, range, rows, scalar subqueries */
#include "by_hand.h"

#include "base/time.h"

#include <math.h>

/* A count of rows, and a sum that sees nulls, without the registry: this file is about groups. */
static enum err count_update(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                             const struct vec *const *args, uint32_t n)
{
    (void)cx;
    for (uint32_t i = 0; i < n; i++) {
        if (c->n_args == 0)
            ++*(int64_t *)states[i];
        else if (!vec_null(args[0], i))
            *(int64_t *)states[i] += vec_i64(args[0], i);
    }
    return OK;
}
static enum err count_merge(struct agg_cx *cx, const struct agg_call *c, void *into, void *from)
{
    (void)cx, (void)c;
    *(int64_t *)into += *(int64_t *)from;
    return OK;
}
static enum err count_finish(struct agg_cx *cx, const struct agg_call *c, void *state,
                             struct value *out)
{
    (void)cx, (void)c;
    *out = v_long(*(int64_t *)state);
    return OK;
}
static const struct agg adds = {.name = "adds",
                                .ret = T_LONG,
                                .state_size = 8,
                                .update = count_update,
                                .merge = count_merge,
                                .finish = count_finish};

static struct op *o_summarize(struct op *in, const char *schema, uint32_t n_keys,
                              struct expr **keys, struct expr *sum)
{
    struct op *o = op_new(OP_SUMMARIZE, in);
    o->schema = schema_of(schema);
    o->summarize.n_keys = n_keys;
    o->summarize.keys = arena_array(&hand, struct expr *, n_keys);
    if (n_keys != 0) memcpy(o->summarize.keys, keys, n_keys * sizeof *keys);
    o->summarize.n_aggs = 1;
    o->summarize.aggs = arena_array(&hand, struct agg_use, 1);
    o->summarize.aggs[0] = (struct agg_use){.name = "n", .call = {.agg = &adds, .ret = T_LONG}};
    if (sum != NULL) {
        o->summarize.aggs[0].call.n_args = 1;
        o->summarize.aggs[0].args = arena_array(&hand, struct expr *, 1);
        o->summarize.aggs[0].args[0] = sum;
    }
    return o;
}

static struct value cells(uint32_t row, uint32_t col)
{
    static const char *const names[] = {"red", "green", "", "blue"};
    switch (col) {
    case 0: return v_str(names[row % 4]);
    case 1: return row % 5 == 0 ? v_null(T_LONG) : v_long(row % 3);
    case 2: return v_long(row);
    default: return v_real(row % 2 ? 0.0 : -0.0);
    }
}
#define COLUMNS "name string, x long, id long, zero real"

TEST(exec, a_dictionary_key_groups_as_its_text_does)
{
    struct array_table *plain = table_of(COLUMNS, 100000, 30000, cells);
    struct array_table *coded = table_of(COLUMNS, 100000, 30000, cells);
    table_encode(coded, 0);
    for (int k = 0; k < 2; k++) {
        struct op *t = o_table(k ? coded : plain);
        struct op *s =
            o_summarize(t, "name string, n long", 1, (struct expr *[]){x_col(t, "name")}, NULL);
        EXPECT_STR(run(s), "red,25000 green,25000 ,25000 blue,25000 ");
    }
}

TEST(exec, null_is_a_group_of_its_own)
{
    struct op *t = o_table(table_of(COLUMNS, 10, 4, cells));
    struct expr *keys[] = {x_col(t, "x"), x_col(t, "name")};
    EXPECT_STR(run(o_summarize(t, "x long, n long", 1, keys, x_col(t, "id"))),
               "null,5 1,12 2,10 0,18 ");
    EXPECT_STR(
        run(o_summarize(t, "x long, name string, n long", 2, keys, NULL)),
        "null,red,1 1,green,1 2,,1 0,blue,1 1,red,1 null,green,1 0,,1 1,blue,1 2,red,1 0,green,1 ");
}

TEST(exec, the_two_zeroes_are_one_group)
{
    struct op *t = o_table(table_of(COLUMNS, 10, 4, cells));
    EXPECT_STR(
        run(o_summarize(t, "zero real, n long", 1, (struct expr *[]){x_col(t, "zero")}, NULL)),
        "0.0,10 ");
}

TEST(exec, without_rows_there_is_one_row_without_keys_and_none_with)
{
    struct op *t = o_table(table_of(COLUMNS, 10, 4, cells));
    struct op *none = o_filter(t, x_const((struct value){.type = T_BOOL, .b = false}));
    EXPECT_STR(run(o_summarize(none, "n long", 0, NULL, NULL)), "0 ");
    EXPECT_STR(run(o_summarize(none, "x long, n long", 1, (struct expr *[]){x_col(t, "x")}, NULL)),
               "");
    EXPECT_STR(run(o_count(none)), "0 ");
}

TEST(exec, workers_tables_merge_to_what_one_worker_finds)
{
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, 3, 64, &d));
    struct op *t = o_table(table_of(COLUMNS, 200000, 9000, cells));
    struct op *s =
        o_summarize(t, "id long, n long", 1, (struct expr *[]){x_col(t, "id")}, x_col(t, "x"));
    struct op *sorted = o_sort1(s, "id", false, true);
    const char *one = run(sorted);
    REQUIRE(strlen(one) > 1000000);
    for (int round = 0; round < 3; round++) {
        EXPECT_STR(run_as(sorted, (struct exec_request){.pool = pool}), one);
    }
    pool_free(pool);
}

TEST(exec, distinct_keeps_the_first_of_each)
{
    struct op *t = o_table(table_of(COLUMNS, 1000, 40, cells));
    EXPECT_STR(run(o_distinct(t, "x")), "null 1 2 0 ");
    EXPECT_STR(run(o_distinct(t, "name")), "red green  blue ");
}

TEST(exec, a_union_puts_columns_where_they_belong_and_nulls_elsewhere)
{
    struct op *t = o_table(table_of(COLUMNS, 3, 4, cells));
    struct op *u = op_new(OP_UNION, t);
    u->schema = schema_of("id long, name string, other long");
    uint32_t first[] = {2, 0, UINT32_MAX}, second[] = {2, UINT32_MAX, 1};
    u->unions.n = 2;
    u->unions.inputs = (struct op *[]){t, o_table(table_of(COLUMNS, 3, 1, cells))};
    u->unions.columns = (uint32_t *[]){first, second};
    EXPECT_STR(run(u), "0,red,null 1,green,null 2,,null 0,,null 1,,1 2,,2 ");
    EXPECT_STR(run(o_count(u)), "6 ");
}

static struct op *o_range(enum type t, struct value from, struct value to, struct value step)
{
    struct op *o = op_new(OP_RANGE, NULL);
    o->schema = schema_of(t == T_REAL ? "x real" : "x long");
    o->range.from = x_const(from);
    o->range.to = x_const(to);
    o->range.step = x_const(step);
    return o;
}

TEST(exec, a_range_includes_both_ends)
{
    EXPECT_STR(run(o_range(T_LONG, v_long(1), v_long(7), v_long(3))), "1 4 7 ");
    EXPECT_STR(run(o_range(T_LONG, v_long(5), v_long(1), v_long(-2))), "5 3 1 ");
    EXPECT_STR(run(o_range(T_LONG, v_long(5), v_long(1), v_long(1))), "");
    EXPECT_STR(run(o_range(T_REAL, v_real(0), v_real(1), v_real(0.5))), "0.0 0.5 1.0 ");
    EXPECT_STR(run(o_range(T_LONG, v_long(5), v_long(1), v_long(0))), "failed: invalid ");
    EXPECT_STR(run(o_range(T_LONG, v_null(T_LONG), v_long(1), v_long(1))), "");
    EXPECT_STR(run(o_count(o_range(T_LONG, v_long(0), v_long(999999), v_long(1)))), "1000000 ");
    EXPECT_STR(
        run(o_count(o_range(T_LONG, v_long(INT64_MIN), v_long(INT64_MAX), v_long(INT64_MAX)))),
        "3 ");
    EXPECT_STR(run(o_take(o_range(T_LONG, v_long(INT64_MIN), v_long(INT64_MAX), v_long(1)), 2)),
               "-9223372036854775808 -9223372036854775807 ");
    struct exec_request a_second = {.limits.deadline_us = time_mono_us() + US_PER_S};
    EXPECT_STR(run_as(o_count(o_range(T_REAL, v_real(0), v_real(INFINITY), v_real(1))), a_second),
               "failed: limit E_QUERY_TIMEOUT");
}

TEST(exec, a_scalar_subquery_is_its_first_cell_or_null)
{
    struct op *t = o_table(table_of(COLUMNS, 10, 4, cells));
    struct expr *sub = arena_new(&hand, struct expr);
    *sub = (struct expr){.kind = EXPR_SCALAR_QUERY, .type = T_LONG, .query = o_count(t)};
    struct expr *none = arena_new(&hand, struct expr);
    *none = (struct expr){
        .kind = EXPR_SCALAR_QUERY, .type = T_STRING, .query = o_take(o_distinct(t, "name"), 0)};
    struct op *rows = op_new(OP_ROWS, NULL);
    rows->schema = schema_of("n long, s string");
    rows->rows.n_rows = 1;
    rows->rows.cells = (struct expr *[]){sub, none};
    EXPECT_STR(run(rows), "10, ");
}

TEST(exec, a_plan_too_deep_is_refused)
{
    struct op *t = o_table(table_of(COLUMNS, 10, 4, cells));
    for (int i = 0; i < 1500; i++)
        t = o_take(t, 5);
    EXPECT_STR(run(o_count(t)), "5 ");
    for (int i = 0; i < 1000; i++)
        t = o_take(t, 5);
    EXPECT_STR(run(t), "failed: limit E_RUNAWAY_QUERY");
}
