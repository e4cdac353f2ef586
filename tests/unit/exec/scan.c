/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/scan.c - what is read, in which order, and when it stops */
#include "by_hand.h"

static struct value numbers(uint32_t row, uint32_t col)
{
    switch (col) {
    case 0: return v_long(row);
    case 1: return row % 7 == 0 ? v_null(T_LONG) : v_long(row % 10);
    default: return v_str(row % 2 ? "odd" : "even");
    }
}

static struct array_table *small(void)
{
    return table_of("id long, digit long, name string", 10, 4, numbers);
}
static struct array_table *large(void)
{
    struct array_table *t = table_of("id long, digit long, name string", 300000, 40000, numbers);
    table_encode(t, 2);
    return t;
}

TEST(exec, a_table_comes_out_as_it_went_in)
{
    EXPECT_STR(run(o_table(small())),
               "0,null,even 1,1,odd 2,2,even 3,3,odd 4,4,even 5,5,odd 6,6,even 7,null,odd 8,8,even "
               "9,9,odd ");
}

TEST(exec, a_count_reads_no_column)
{
    struct array_table *t = large();
    EXPECT_STR(run(o_count(o_table(t))), "300000 ");
    EXPECT_EQ(t->n_opened, 0);
    EXPECT_EQ(t->reads[0] + t->reads[1] + t->reads[2], 0);
}

TEST(exec, only_columns_that_someone_reads_are_opened)
{
    struct array_table *t = large();
    struct op *in = o_table(t);
    struct expr *exprs[] = {x_col(in, "id"), x_col(in, "name")};
    struct op *p = o_project(in, "a long, b string", 2, exprs);
    struct expr *only[] = {x_col(p, "b")};
    run(o_take(o_project(p, "b string", 1, only), 3));
    EXPECT_EQ(t->n_opened, 1);
    EXPECT_EQ(t->reads[0], 0);
    REQUIRE(t->reads[2] != 0);
}

TEST(exec, columns_beside_the_condition_are_read_only_where_a_row_is_left)
{
    struct array_table *t = large();
    struct op *in = o_table(t);
    struct op *f = o_filter(in, x_call("op ==", T_BOOL, x_col(in, "id"), x_const(v_long(123456))));
    EXPECT_STR(run(f), "123456,6,even ");
    EXPECT_EQ(t->reads[0], 8);
    EXPECT_EQ(t->reads[1], 1);
    EXPECT_EQ(t->reads[2], 1);
}

TEST(exec, conditions_on_a_column_and_a_constant_become_hints)
{
    struct array_table *t = large();
    struct op *in = o_table(t);
    struct op *f = o_filter(in, x_call("op ==", T_BOOL, x_col(in, "id"), x_const(v_long(5))));
    f = o_filter(f, x_call("op >", T_BOOL, x_const(v_long(9)), x_col(in, "digit")));
    f = o_filter(f, x_call("op has", T_BOOL, x_col(in, "name"), x_const(v_str("odd"))));
    EXPECT_STR(run(f), "5,5,odd ");
    EXPECT_EQ(t->n_hints, 3);
    unsigned seen = 0;
    for (uint32_t i = 0; i < t->n_hints; i++) {
        const struct scan_hint *h = &t->hints[i];
        if (h->column == 0) seen += h->op == HINT_EQ && h->value.i == 5;
        if (h->column == 1) seen += h->op == HINT_LT && h->value.i == 9;
        if (h->column == 2) seen += h->op == HINT_HAS_TERM;
    }
    EXPECT_EQ(seen, 3);
}

/* The words that the source was told, in their order. */
static const char *words_of(const char *fn, const char *constant)
{
    static char out[200];
    struct array_table *t = small();
    struct op *in = o_table(t);
    run(o_filter(in, x_call(fn, T_BOOL, x_col(in, "name"), x_const(v_str(constant)))));
    out[0] = 0;
    for (uint32_t i = 0; i < t->n_hints; i++) {
        struct bytes s = t->hints[i].value.s;
        if (t->hints[i].op != HINT_HAS_TERM) continue;
        snprintf(out + strlen(out), sizeof out - strlen(out), "%.*s ", (int)s.len,
                 (const char *)s.p);
    }
    return out;
}

TEST(exec, a_condition_on_text_names_the_words_that_must_be_there)
{
    EXPECT_STR(words_of("op has", "error code-7"), "error code 7 ");
    EXPECT_STR(words_of("op =~", "a.b"), "a b ");
    EXPECT_STR(words_of("op contains", "rror code 7x"), "code ");
    EXPECT_STR(words_of("op contains", "quuxite"), "");
    EXPECT_STR(words_of("op contains", "-quuxite-"), "quuxite ");
    EXPECT_STR(words_of("op startswith", "user anna"), "user ");
    EXPECT_STR(words_of("op endswith", "user anna"), "anna ");
    EXPECT_STR(words_of("op hasprefix", "end"), "");
    /* A letter beyond ASCII may belong to the word. */
    EXPECT_STR(words_of("op has", "na\xc3\xafve one"), "one ");
    EXPECT_STR(words_of("op !has", "error"), "");
}

TEST(exec, lists_and_ranges_bound_a_column)
{
    struct array_table *t = large();
    struct op *in = o_table(t);
    struct expr *e = x_call("op in", T_BOOL, x_col(in, "id"), x_const(v_long(7)));
    EXPECT_STR(run(o_filter(in, e)), "7,null,odd ");
    EXPECT_EQ(t->n_hints, 1);
    EXPECT_EQ(t->hints[0].op, HINT_EQ);
}

TEST(exec, take_begins_no_unit_that_it_does_not_need)
{
    struct array_table *t = large();
    EXPECT_STR(run(o_take(o_table(t), 2)), "0,null,even 1,1,odd ");
    EXPECT_EQ(t->reads[0], 1);
    EXPECT_STR(run(o_count(o_take(o_table(t), 90000))), "90000 ");
    EXPECT_STR(run(o_take(o_table(t), 0)), "");
}

TEST(exec, several_workers_keep_the_order_of_rows)
{
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, 3, 64, &d));
    struct op *in = o_table(large());
    struct op *f = o_filter(in, x_call("op ==", T_BOOL, x_col(in, "digit"), x_const(v_long(3))));
    struct op *p = o_project(f, "id long", 1, (struct expr *[]){x_col(f, "id")});
    const char *one = run(p);
    REQUIRE(strlen(one) > 100000);
    for (int round = 0; round < 5; round++) {
        EXPECT_STR(run_as(p, (struct exec_request){.pool = pool}), one);
        EXPECT_STR(run_as(o_take(p, 777), (struct exec_request){.pool = pool}),
                   run(o_take(p, 777)));
    }
    pool_free(pool);
}

TEST(exec, a_result_over_its_limit_is_refused_by_kustos_name)
{
    struct op *t = o_table(large());
    const char *too_large = "failed: limit E_QUERY_RESULT_SET_TOO_LARGE";
    EXPECT_STR(run_as(t, (struct exec_request){.limits.rows_max = 299999}), too_large);
    EXPECT_STR(run_as(t, (struct exec_request){.limits.bytes_max = 100000}), too_large);
    EXPECT_STR(run_as(o_sort1(t, "id", true, false), (struct exec_request){.limits.rows_max = 10}),
               too_large);
    EXPECT_STR(run_as(o_take(t, 1), (struct exec_request){.limits.rows_max = 1}), "0,null,even ");
}

TEST(exec, memory_over_the_ceiling_is_a_runaway_query)
{
    struct op *t = o_table(large());
    const char *runaway = "failed: limit E_RUNAWAY_QUERY";
    for (size_t kib = 1; kib <= 4096; kib *= 4) {
        struct exec_request r = {.limits.memory_max = kib << 10};
        EXPECT_STR(run_as(o_sort1(t, "id", true, false), r), runaway);
        EXPECT_STR(run_as(o_distinct(t, "id"), r), runaway);
    }
}

TEST(exec, a_cancelled_query_stops)
{
    static const _Atomic bool cancel = true;
    EXPECT_STR(run_as(o_table(large()), (struct exec_request){.cancel = &cancel}),
               "failed: cancelled ");
    EXPECT_STR(run_as(o_table(large()), (struct exec_request){.limits.deadline_us = 1}),
               "failed: limit E_QUERY_TIMEOUT");
}
