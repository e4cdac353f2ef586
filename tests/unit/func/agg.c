/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregates over rows in one state, and over the same rows split among states that are merged. */
#include "test.h"

#include "column/dyn.h"
#include "func/agg.h"
#include "func/kernel.h"

#include <math.h>
#include <stdio.h>

#define ROWS 12

struct bench {
    struct arena a;
    struct diag d;
    struct vec longs, reals, texts, flags, dyns, none;
};

static const char *const json[ROWS] = {
    "1", "[1,2]", "null", "{\"a\":1}", "[2,null]", "\"x\"", "{\"a\":2,\"b\":3}",
    "1", "[]",    "true", "null",      "2.5"};

/* longs: 0 1 2 null 4 5 6 null 8 9 10 null; flags: every third row is true, row 6 is null */
static void open_bench(struct bench *b)
{
    struct vecb l, r, s, f, y;
    CLEANUP_BUF struct buf dyn = {0};
    *b = (struct bench){.d = DIAG_INIT};
    arena_init(&b->a, 0);
    vecb_init(&l, &b->a, T_LONG, 0), vecb_init(&r, &b->a, T_REAL, 0),
        vecb_init(&s, &b->a, T_STRING, 0);
    vecb_init(&f, &b->a, T_BOOL, 0), vecb_init(&y, &b->a, T_DYNAMIC, 0);
    for (int i = 0; i < ROWS; i++) {
        if (i % 4 == 3) {
            vecb_null(&l), vecb_null(&r), vecb_null(&s);
        } else {
            vecb_i64(&l, i), vecb_r64(&r, i / 2.0),
                vecb_str(&s, bytes_of(&"abcdefghijkl"[i % 5], 2));
        }
        if (i == 6) {
            vecb_null(&f);
        } else {
            vecb_bool(&f, i % 3 == 0);
        }
        buf_clear(&dyn);
        assert_int_equal(dyn_from_json(bytes_str(json[i]), &dyn, &b->d), OK);
        vecb_str(&y, buf_view(&dyn));
    }
    assert_int_equal(vecb_finish(&l, &b->longs, &b->d), OK);
    assert_int_equal(vecb_finish(&r, &b->reals, &b->d), OK);
    assert_int_equal(vecb_finish(&s, &b->texts, &b->d), OK);
    assert_int_equal(vecb_finish(&f, &b->flags, &b->d), OK);
    assert_int_equal(vecb_finish(&y, &b->dyns, &b->d), OK);
}

/* The rows [0, cut) go to one state, the rest to another, and the second is merged into the first.
 */
static const char *run(struct bench *b, const char *name, const struct vec *const *vecs,
                       const struct value *const *consts, uint32_t n_args, uint32_t n, uint32_t cut)
{
    const struct agg *agg = agg_find(name);
    enum type types[4];
    struct diag d = DIAG_INIT;
    struct agg_cx cx = {.a = &b->a, .d = &d};
    assert_non_null(agg);
    for (uint32_t i = 0; i < n_args; i++)
        types[i] = vecs[i]->type;
    struct agg_call call = {.agg = agg, .n_args = n_args, .arg_types = types, .consts = consts};
    call.ret = agg->ret != T_NONE ? agg->ret : agg->ret_of(types, consts, n_args);
    void *one = arena_alloc(&b->a, agg->state_size), *two = arena_alloc(&b->a, agg->state_size);
    void *states[ROWS];
    for (uint32_t part = 0; part < 2; part++) {
        uint32_t from = part == 0 ? 0 : cut, len = part == 0 ? cut : n - cut;
        struct vec cols[4];
        const struct vec *args[4];
        for (uint32_t i = 0; i < n_args; i++)
            cols[i] = *vecs[i];
        struct batch whole = {.n_rows = n, .n_cols = n_args, .cols = cols}, slice;
        REQUIRE_OK(batch_slice(&b->a, &whole, from, len, &slice, &d));
        for (uint32_t i = 0; i < n_args; i++)
            args[i] = &slice.cols[i];
        for (uint32_t i = 0; i < len; i++)
            states[i] = part == 0 ? one : two;
        REQUIRE_OK(agg->update(&cx, &call, states, args, len));
    }
    struct value v;
    REQUIRE_OK(agg->merge(&cx, &call, one, two));
    REQUIRE_OK(agg->finish(&cx, &call, one, &v));
    assert_int_equal(v.type, call.ret);
    CLEANUP_BUF struct buf text = {0};
    value_to_text(&v, &text);
    return v.is_null ? "null" : arena_str(&b->a, buf_view(&text));
}

static void expect(struct bench *b, const char *name, const char *want, const struct vec *one,
                   const struct vec *two, const struct vec *three)
{
    const struct vec *vecs[3] = {one, two, three};
    const struct value *consts[3] = {0};
    uint32_t n_args = one == NULL ? 0 : two == NULL ? 1 : three == NULL ? 2 : 3;
    for (uint32_t i = 0; i < n_args; i++) {
        if (vecs[i]->shape != VEC_CONST) continue;
        struct value *v = arena_new(&b->a, struct value);
        *v = vec_value(vecs[i], 0);
        consts[i] = v;
    }
    for (uint32_t cut = 0; cut <= ROWS; cut++) {
        const char *got = run(b, name, vecs, consts, n_args, ROWS, cut);
        double x, y; /* a mean that was put together of two may differ in its last digit */
        bool close = real_parse(bytes_str(got), &x) && real_parse(bytes_str(want), &y) &&
                     fabs(x - y) < 1e-12;
        if (strcmp(got, want) != 0 && !close)
            fail_msg("%s cut at %u: '%s', not '%s'", name, cut, got, want);
    }
}

static const struct vec *constant(struct bench *b, int64_t i)
{
    struct value v = {.type = T_LONG, .i = i};
    return vec_const(&b->a, &v, ROWS);
}

TEST(func, an_aggregate_gives_the_same_however_its_rows_are_split)
{
    struct bench b;
    open_bench(&b);
    const struct vec *l = &b.longs, *r = &b.reals, *s = &b.texts, *f = &b.flags, *y = &b.dyns;
    expect(&b, "count", "12", NULL, NULL, NULL);
    expect(&b, "count", "12", l, NULL, NULL);
    expect(&b, "countif", "3", f, NULL, NULL);
    expect(&b, "sum", "45", l, NULL, NULL);
    expect(&b, "sum", "22.5", r, NULL, NULL);
    expect(&b, "sumif", "9", l, f, NULL);
    expect(&b, "avg", "5.0", l, NULL, NULL);
    expect(&b, "avgif", "4.5", l, f, NULL);
    expect(&b, "min", "0", l, NULL, NULL);
    expect(&b, "max", "10", l, NULL, NULL);
    expect(&b, "max", "ef", s, NULL, NULL);
    expect(&b, "minif", "0.0", r, f, NULL);
    expect(&b, "arg_max", "10", l, l, NULL);
    expect(&b, "arg_max", "ab", l, s, NULL);
    expect(&b, "arg_min", "0", l, l, NULL);
    expect(&b, "take_any", "0", l, NULL, NULL);
    expect(&b, "stdev", "3.570714214271425", l, NULL, NULL);
    expect(&b, "make_list", "[0,1,2,4,5,6,8,9,10]", l, NULL, NULL);
    expect(&b, "make_list", "[0,1,2]", l, constant(&b, 3), NULL);
    expect(&b, "make_list_if", "[0,9]", l, f, NULL);
    expect(&b, "make_list_with_nulls", "[0,1,2,null,4,5,6,null,8,9,10,null]", l, NULL, NULL);
    expect(&b, "make_list", "[1,1,2,null,{\"a\":1},2,null,\"x\",{\"a\":2,\"b\":3},1,true,null,2.5]",
           y, NULL, NULL);
    expect(&b, "make_set", "[1,2,{\"a\":1},\"x\",{\"a\":2,\"b\":3},true,2.5]", y, NULL, NULL);
    expect(&b, "make_set", "[\"ab\",\"bc\",\"cd\",\"\",\"ef\",\"de\"]", s, NULL, NULL);
    expect(&b, "make_bag", "{\"a\":1,\"b\":3}", y, NULL, NULL);
    expect(&b, "dcount", "6", s, NULL, NULL);
    expect(&b, "dcount", "9", l, NULL, NULL);
    expect(&b, "dcountif", "2", l, f, NULL);
    expect(&b, "count_distinct", "9", r, NULL, NULL);
    expect(&b, "percentile", "5", l, constant(&b, 50), NULL);
    expect(&b, "percentile", "5.0", r, constant(&b, 100), NULL);
    expect(&b, "percentilew", "8", l, l, constant(&b, 50));
    expect(&b, "percentiles_array", "[0,10]", l, constant(&b, 0), constant(&b, 100));
    expect(&b, "binary_all_or", "15", l, NULL, NULL);
    arena_release(&b.a);
}

/* What no row at all gives: the numbers that dashboards rely on. */
TEST(func, an_aggregate_of_no_rows_is_what_the_original_says)
{
    static const struct {
        const char *name, *want;
    } cases[] = {{"count", "0"},       {"sum", "0"},        {"avg", "NaN"},
                 {"min", "null"},      {"max", "null"},     {"stdev", "0.0"},
                 {"make_list", "[]"},  {"make_set", "[]"},  {"dcount", "0"},
                 {"take_any", "null"}, {"variance", "0.0"}, {"count_distinct", "0"},
                 {"arg_max", "null"}};
    struct bench b;
    open_bench(&b);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct vec *vecs[1] = {&b.longs};
        const struct value *consts[1] = {0};
        EXPECT_STR(run(&b, cases[i].name, vecs, consts, 1, 0, 0), cases[i].want);
    }
    arena_release(&b.a);
}

static int64_t dcount_of(struct bench *b, int64_t distinct, int64_t accuracy, double *percentile)
{
    const struct agg *d_agg = agg_find("dcount"), *p_agg = agg_find("percentile");
    enum type types[2] = {T_LONG, T_LONG};
    struct value acc = {.type = T_LONG, .i = accuracy}, p50 = {.type = T_LONG, .i = 50};
    const struct value *d_consts[2] = {NULL, &acc}, *p_consts[2] = {NULL, &p50};
    struct agg_call dc = {
        .agg = d_agg, .ret = T_LONG, .n_args = 2, .arg_types = types, .consts = d_consts};
    struct agg_call pc = {
        .agg = p_agg, .ret = T_LONG, .n_args = 2, .arg_types = types, .consts = p_consts};
    struct diag d = DIAG_INIT;
    struct agg_cx cx = {.a = &b->a, .d = &d};
    void *ds = arena_alloc(&b->a, d_agg->state_size), *ps = arena_alloc(&b->a, p_agg->state_size);
    static int64_t data[VEC_ROWS];
    static void *d_states[VEC_ROWS], *p_states[VEC_ROWS];
    for (int i = 0; i < VEC_ROWS; i++)
        d_states[i] = ds, p_states[i] = ps;
    for (int64_t from = 0; from < distinct; from += VEC_ROWS) {
        uint32_t n = (uint32_t)(distinct - from < VEC_ROWS ? distinct - from : VEC_ROWS);
        for (uint32_t i = 0; i < n; i++)
            data[i] = (from + i) * 7919 % distinct; /* a permutation */
        struct vec v = {.type = T_LONG, .shape = VEC_FLAT, .n = n, .data = data};
        const struct vec *args[2] = {&v, constant(b, 0)};
        REQUIRE_OK(d_agg->update(&cx, &dc, d_states, args, n));
        REQUIRE_OK(p_agg->update(&cx, &pc, p_states, args, n));
    }
    struct value v;
    REQUIRE_OK(p_agg->finish(&cx, &pc, ps, &v));
    *percentile = (double)v.i;
    REQUIRE_OK(d_agg->finish(&cx, &dc, ds, &v));
    return v.i;
}

TEST(func, dcount_and_percentile_stay_within_their_error_at_any_size)
{
    static const double bound[] = {0.05, 0.025, 0.0125, 0.009, 0.007}; /* three deviations */
    for (int64_t n = 1; n <= 2000000; n *= 3) {
        for (int accuracy = 0; accuracy <= 4; accuracy += 2) {
            struct bench b;
            double middle;
            open_bench(&b);
            double got = (double)dcount_of(&b, n, accuracy, &middle);
            if (fabs(got - (double)n) > bound[accuracy] * (double)n)
                fail_msg("dcount of %lld, %d: %.0f", (long long)n, accuracy, got);
            if (n <= 400) assert_true(got == (double)n);
            if (fabs(middle - (double)n / 2) > 1 + (double)n * 0.002)
                fail_msg("median of %lld: %.0f", (long long)n, middle);
            arena_release(&b.a);
        }
    }
}

TEST(func, every_aggregate_is_whole_and_found)
{
    for (uint32_t i = 0; i < agg_count(); i++) {
        const struct agg *agg = agg_at(i);
        REQUIRE(agg_find(agg->name) == agg);
        REQUIRE(agg->update != NULL && agg->merge != NULL && agg->finish != NULL &&
                agg->doc != NULL);
        REQUIRE(agg->ret != T_NONE || agg->ret_of != NULL);
        if (i != 0) REQUIRE(strcmp(agg_at(i - 1)->name, agg->name) < 0);
    }
    REQUIRE(agg_find("nosuch") == NULL);
}
