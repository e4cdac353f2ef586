/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/order.c - sort and top */
#include "by_hand.h"

#include <math.h>

static struct value reals(uint32_t row, uint32_t col)
{
    const double v[] = {5, 0, -INFINITY, -5, INFINITY};
    (void)col;
    if (row == 2) return v_null(T_REAL);
    if (row == 4) return v_real(NAN);
    return v_real(v[row < 2 ? row : row == 3 ? 2 : row - 2]);
}

TEST(exec, nan_always_sits_beside_null)
{
    struct op *t = o_table(table_of("x real", 7, 3, reals));
    EXPECT_STR(run(o_sort1(t, "x", false, true)), "null NaN -Infinity -5.0 0.0 5.0 Infinity ");
    EXPECT_STR(run(o_sort1(t, "x", false, false)), "-Infinity -5.0 0.0 5.0 Infinity NaN null ");
    EXPECT_STR(run(o_sort1(t, "x", true, true)), "null NaN Infinity 5.0 0.0 -5.0 -Infinity ");
    EXPECT_STR(run(o_sort1(t, "x", true, false)), "Infinity 5.0 0.0 -5.0 -Infinity NaN null ");
}

static struct value words(uint32_t row, uint32_t col)
{
    static const char *const w[] = {"cafe", "", "Caf\xc3\xa9", "CAFE", "ca", "cafes"};
    return col == 0 ? v_str(w[row % 6]) : v_long(row);
}

TEST(exec, strings_are_ordered_by_byte_and_equal_keys_keep_their_order)
{
    struct op *t = o_table(table_of("w string, n long", 12, 5, words));
    EXPECT_STR(run(o_sort1(t, "w", false, true)), ",1 ,7 CAFE,3 CAFE,9 Caf\xc3\xa9,2 Caf\xc3\xa9,8 "
                                                  "ca,4 ca,10 cafe,0 cafe,6 cafes,5 cafes,11 ");
    struct sort_key keys[] = {key_of(t, "w", true, false), key_of(t, "n", true, false)};
    EXPECT_STR(run(o_sort(t, 2, keys)), "cafes,11 cafes,5 cafe,6 cafe,0 ca,10 ca,4 Caf\xc3\xa9,8 "
                                        "Caf\xc3\xa9,2 CAFE,9 CAFE,3 ,7 ,1 ");
}

static struct value scattered(uint32_t row, uint32_t col)
{
    uint64_t h = row * 0x9e3779b97f4a7c15ULL;
    h ^= h >> 29;
    if (col == 1) return v_long(row);
    return h % 50 == 0 ? v_null(T_LONG) : v_long((int64_t)(h % 5000) - 2500);
}

TEST(exec, top_is_the_beginning_of_sort_with_any_number_of_workers)
{
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, 3, 64, &d));
    struct exec_request many = {.pool = pool};
    struct op *t = o_table(table_of("x long, id long", 100000, 7000, scattered));
    for (int desc = 0; desc < 2; desc++) {
        const char *all = run(o_sort1(t, "x", desc, !desc));
        EXPECT_STR(run_as(o_sort1(t, "x", desc, !desc), many), all);
        for (int64_t n = 0; n <= 70000; n = n * 7 + 1) {
            const char *top = run(o_top(t, n, "x", desc));
            REQUIRE(strncmp(top, all, strlen(top)) == 0);
            int64_t rows = 0;
            for (const char *p = top; *p != 0; p++)
                rows += *p == ' ';
            EXPECT_EQ(rows, n);
            EXPECT_STR(run_as(o_top(t, n, "x", desc), many), top);
            EXPECT_STR(run_as(o_take(o_sort1(t, "x", desc, !desc), n), many), top);
        }
    }
    pool_free(pool);
}

static struct value by_time(uint32_t row, uint32_t col)
{
    return col == 2 ? v_str("payload") : v_long(col == 0 ? row : row % 100);
}

TEST(exec, a_top_reads_the_other_columns_only_where_the_best_are)
{
    struct array_table *t = table_of("t long, x long, text string", 300000, 40000, by_time);
    struct op *in = o_table(t);
    struct op *f = o_filter(in, x_call("op ==", T_BOOL, x_col(in, "x"), x_const(v_long(7))));
    EXPECT_STR(run(o_top(f, 2, "t", true)), "299907,7,payload 299807,7,payload ");
    EXPECT_EQ(t->reads[1], 9); /* the condition: each unit, and the one that has the best */
    EXPECT_EQ(t->reads[2], 1);
    EXPECT_STR(run(o_take(o_sort1(f, "t", false, true), 1)), "7,7,payload ");
    EXPECT_EQ(t->reads[2], 2);
}

TEST(exec, what_follows_a_sort_keeps_its_order)
{
    struct op *t = o_table(table_of("x long, id long", 100000, 7000, scattered));
    struct op *s = o_sort1(t, "id", true, false);
    struct op *f = o_filter(s, x_call("op <", T_BOOL, x_col(s, "id"), x_const(v_long(50))));
    struct op *p = o_project(o_take(f, 4), "id long", 1, (struct expr *[]){x_col(f, "id")});
    EXPECT_STR(run(p), "49 48 47 46 ");
}

TEST(exec, a_count_of_rows_must_be_whole_and_not_negative)
{
    struct op *t = o_table(table_of("x long, id long", 10, 7, scattered));
    EXPECT_STR(run(o_take(t, -1)), "failed: invalid ");
    EXPECT_STR(run(o_top(t, -1, "x", true)), "failed: invalid ");
}
