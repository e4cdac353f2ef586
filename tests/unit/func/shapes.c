/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every function and aggregate of the registry, over random arguments: a vector of any shape (flat,
 * constant, dictionary) gives what its rows give one by one. SHAPES_SEED=n repeats a failure, SHAPES_N=n does
 * more, SHAPES_FN=name looks at one function, SHAPES_TELL=1 prints each name before its turn.
 */
#include "test.h"
#include "dice.h"

#include "base/map.h"
#include "column/decimal.h"
#include "column/dyn.h"
#include "func/agg.h"
#include "func/families.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS     40
#define ARGS_MAX 6

/* --- values ----------------------------------------------------------------------------------- */

static const char *const texts[] = {
    "",
    "a",
    "abc",
    "ABC def",
    "x,y;z",
    "42",
    "-7",
    "3.5",
    "1e300",
    "true",
    "2024-02-29",
    "1.02:03:04",
    "10.1.2.3/24",
    "fe80::1/10",
    "::1",
    "[1,2,null]",
    "{\"a\":{\"b\":1}}",
    "<a x=\"1\">t</a>",
    "http://u:p@h:1/p?a=1&b=2#f",
    "C:\\d\\f.txt:s",
    "aGVsbG8=",
    "München.de",
    "xn--Mnchen-3ya",
    "(a|b)+",
    "[",
    "day",
    "month",
    "yyyy-MM-dd",
    "Europe/Berlin",
    "1.2.3",
    "POINT (1 2)",
    "u10j",
    "\xff\xfe",
    "\xce\xb1\xce\xb2",
    "echo \"a b\" c",
    "$",
    "windows",
    "km",
    "Meter",
    "%41%zz+",
};
static const char *const json[] = {
    "null",
    "1",
    "2.5",
    "\"x\"",
    "true",
    "[]",
    "{}",
    "[1,2,3]",
    "[3,1,null,2]",
    "[\"b\",\"a\"]",
    "[1.5,2,-1,8,4,4,3,9]",
    "[[1,2],[3]]",
    "{\"a\":1,\"b\":[1]}",
    "{\"b\":2}",
    "[true,false]",
    "{\"type\":\"Point\",\"coordinates\":[1,2]}",
    "{\"type\":\"LineString\",\"coordinates\":[[1,2],[3,4],[5,4]]}",
    "{\"type\":\"Polygon\",\"coordinates\":[[[0,0],[2,0],[2,2],[0,2],[0,0]]]}",
    "[[2048,14],[\"1\",\"2\"],[]]",
    "[[\"long\"],[1,5],[2,1]]",
    "[\"day\",\"os\"]",
};

static int64_t random_long(void)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 0, 1000000007};
    return rnd(12) == 0 ? PICK(ends) : (int64_t)rnd(19) - 6;
}

static double random_real(void)
{
    static const double ends[] = {NAN, INFINITY, -INFINITY, -0.0, 1e300, 1e-300, 0.5};
    return rnd(6) == 0 ? PICK(ends) : ((double)rnd(4000) - 1000) / 16;
}

static struct value random_dynamic(struct arena *a)
{
    CLEANUP_BUF struct buf b = {0};
    assert_int_equal(dyn_from_json(bytes_str(PICK(json)), &b, NULL), OK);
    struct value v = {.type = T_DYNAMIC, .s = arena_bytes(a, buf_view(&b))};
    v.is_null = dyn_kind(v.s) == DYN_NULL;
    return v;
}

static struct value random_value(struct arena *a, enum type t)
{
    struct value v = {.type = t};
    if (t == T_NONE || (t != T_STRING && rnd(8) == 0)) {
        v.is_null = true;
        return v;
    }
    switch (t) {
    case T_BOOL: v.b = rnd(2) != 0; break;
    case T_INT: v.i = (int32_t)random_long(); break;
    case T_LONG: v.i = random_long(); break;
    case T_REAL: v.r = random_real(); break;
    case T_DECIMAL: v.u = decimal_from_i64(random_long()); break;
    case T_STRING: v.s = bytes_str(PICK(texts)); break;
    case T_DATETIME:
        v.i = rnd(10) == 0 ? (rnd(2) != 0 ? TICKS_MAX : 0)
                           : TICKS_UNIX + (int64_t)rnd(2000000000) * TICKS_PER_S + rnd(10000000);
        break;
    case T_TIMESPAN:
        v.i = rnd(10) == 0 ? random_long() : ((int64_t)rnd(400000) - 100000) * TICKS_PER_S;
        break;
    case T_GUID:
        for (int k = 0; k < 16; k++)
            v.u.b[k] = (uint8_t)rnd(256);
        break;
    default: return random_dynamic(a);
    }
    return v;
}

/* --- one call --------------------------------------------------------------------------------- */

struct trial {
    struct arena a;
    struct diag d;
    struct fn_call call;
    enum type types[ARGS_MAX];
    const struct value *consts[ARGS_MAX];
    struct vec vecs[ARGS_MAX];
    const struct vec *args[ARGS_MAX];
};

static void flat_vec(struct trial *t, enum type type, uint32_t n, struct vec *out)
{
    struct vecb b;
    vecb_init(&b, &t->a, type, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = random_value(&t->a, type);
        if (v.is_null) {
            vecb_null(&b);
        } else {
            vecb_value(&b, &v);
        }
    }
    assert_int_equal(vecb_finish(&b, out, &t->d), OK);
}

/* Of a random shape: 0 flat, 1 dictionary, 2 constant and known as such. */
static void random_vec(struct trial *t, uint32_t k)
{
    uint32_t shape = rnd(3);
    struct vec *out = &t->vecs[k];
    t->args[k] = out;
    t->consts[k] = NULL;
    if (shape == 0) {
        flat_vec(t, t->types[k], ROWS, out);
    } else if (shape == 1) {
        struct vec *dict = arena_new(&t->a, struct vec);
        uint32_t *codes = arena_array(&t->a, uint32_t, ROWS);
        flat_vec(t, t->types[k], 1 + rnd(6), dict);
        for (uint32_t i = 0; i < ROWS; i++)
            codes[i] = rnd(dict->n);
        *out = (struct vec){
            .type = t->types[k], .shape = VEC_DICT, .n = ROWS, .codes = codes, .dict = dict};
    } else {
        struct value *v = arena_new(&t->a, struct value);
        *v = random_value(&t->a, t->types[k]);
        t->consts[k] = v;
        t->args[k] = vec_const(&t->a, v, ROWS);
    }
}

static enum type random_type(const struct fn_arg *spec)
{
    enum type t;
    if (spec->coerce != T_NONE) return spec->coerce;
    do
        t = (enum type)(1 + rnd(N_TYPES - 1));
    while ((spec->accepts & TM(t)) == 0);
    return t;
}

/* Binds a call with random arguments; false: no such overload, or refused. */
static bool bind(struct trial *t, const struct fn *fn)
{
    uint32_t most = fn->arity_max < fn->arity_min + 3 ? fn->arity_max : fn->arity_min + 3, last = 0;
    if (most > ARGS_MAX) most = ARGS_MAX;
    if (fn->arity_min > ARGS_MAX) return false;
    uint32_t n = fn->arity_min + rnd(most - fn->arity_min + 1);
    while (last < 5 && fn->args[last + 1].accepts != 0)
        last++;
    for (uint32_t k = 0; k < n; k++) {
        const struct fn_arg *spec = &fn->args[k < last ? k : last];
        if ((spec->accepts & ~TM(T_NONE)) == 0) return false;
        t->types[k] = random_type(spec);
        random_vec(t, k);
    }
    enum type ret = fn->ret != T_NONE ? fn->ret : fn->ret_of(t->types, t->consts, n);
    t->call = (struct fn_call){
        .fn = fn, .ret = ret, .n_args = n, .arg_types = t->types, .consts = t->consts};
    return ret != T_NONE && (fn->prepare == NULL || fn->prepare(&t->call, &t->a, &t->d) == OK);
}

static bool same(const struct value *a, const struct value *b)
{
    if (a->is_null || b->is_null) return a->is_null == b->is_null;
    if (a->type == T_STRING || a->type == T_DYNAMIC) return bytes_eq(a->s, b->s);
    if (a->type == T_REAL && isnan(a->r)) return isnan(b->r);
    return value_cmp(a, b) == 0;
}

static void show(const struct value *v, struct buf *out)
{
    CLEANUP_BUF struct buf dyn = {0};
    buf_fmt(out, "%s(", type_name(v->type));
    if (v->is_null) {
        buf_str(out, "null");
    } else if (dyn_from_value(v, &dyn, NULL) == OK) {
        dyn_to_json(buf_view(&dyn), out);
    }
    buf_str(out, ") ");
}

static void complain(const struct trial *t, uint32_t row, const struct value *whole,
                     const struct value *alone, uint64_t seed)
{
    CLEANUP_BUF struct buf b = {0};
    for (uint32_t k = 0; k < t->call.n_args; k++) {
        struct value v = vec_value(t->args[k], row);
        buf_fmt(&b, "%s ",
                t->args[k]->shape == VEC_FLAT   ? "flat"
                : t->args[k]->shape == VEC_DICT ? "dict"
                                                : "const");
        show(&v, &b);
    }
    buf_str(&b, "gives ");
    show(whole, &b);
    buf_str(&b, "in a vector, alone ");
    show(alone, &b);
    fail_msg("SHAPES_SEED=%llu: %s: row %u: %s", (unsigned long long)seed, t->call.fn->name, row,
             buf_cstr(&b));
}

/* The row by itself, flat, as if no argument were a constant; prepare() has seen those that are. */
static enum err run_row(struct trial *t, uint32_t row, struct value *out)
{
    struct vec one[ARGS_MAX], result;
    const struct vec *args[ARGS_MAX];
    struct fn_cx cx = {.a = &t->a, .now_ticks = TICKS_UNIX, .d = &t->d};
    for (uint32_t k = 0; k < t->call.n_args; k++) {
        TRY(vec_gather(&t->a, t->args[k], &row, 1, &one[k], &t->d));
        args[k] = &one[k];
    }
    TRY(fn_run(&cx, &t->call, args, 1, &result));
    *out = vec_value(&result, 0);
    return OK;
}

static void compare(struct trial *t, uint64_t seed)
{
    struct fn_cx cx = {.a = &t->a, .now_ticks = TICKS_UNIX, .d = &t->d};
    struct vec result;
    enum err e = fn_run(&cx, &t->call, t->args, ROWS, &result);
    if (e == ERR_LIMIT) return; /* forty rows need more than one */
    if (e == OK && (result.n != ROWS || result.type != t->call.ret))
        fail_msg("SHAPES_SEED=%llu: %s: %u rows of %s", (unsigned long long)seed, t->call.fn->name,
                 result.n, type_name(result.type));
    for (uint32_t row = 0; row < ROWS; row++) {
        struct value alone, whole;
        enum err one = run_row(t, row, &alone);
        if (one == ERR_LIMIT) return;
        if (e != OK && one != OK) return; /* one of the rows is to blame: this one */
        if (e != OK) continue;
        whole = vec_value(&result, row);
        if (one != OK)
            fail_msg("SHAPES_SEED=%llu: %s: row %u alone fails: %s", (unsigned long long)seed,
                     t->call.fn->name, row, t->d.text);
        if (!same(&whole, &alone)) complain(t, row, &whole, &alone, seed);
    }
    if (e != OK)
        fail_msg("SHAPES_SEED=%llu: %s fails, but none of its rows: %s", (unsigned long long)seed,
                 t->call.fn->name, t->d.text);
}

static bool is_tried(const struct fn *fn)
{
    const char *only = getenv("SHAPES_FN");
    if (only != NULL) return strcmp(only, fn->name) == 0;
    return (fn->flags & (FN_NOT_CONST | FN_WINDOW | FN_AGG_ONLY)) == 0;
}

TEST(func, a_vector_of_any_shape_gives_what_its_rows_give_alone)
{
    const char *seed_text = getenv("SHAPES_SEED"), *n_text = getenv("SHAPES_N");
    uint64_t first = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    unsigned rounds = n_text != NULL ? (unsigned)atoi(n_text) : 6, bound = 0;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        for (uint32_t i = 0; i < fn_count(); i++) {
            const struct fn *fn = fn_at(i);
            struct trial t = {.d = DIAG_INIT};
            if (!is_tried(fn)) continue;
            if (getenv("SHAPES_TELL")) fprintf(stderr, "%s\n", fn->name);
            dice = seed * 1000003 + hash_bytes(bytes_str(fn->name), 0);
            arena_init(&t.a, (size_t)64 << 20);
            for (int tries = 0; tries < 20; tries++) {
                if (!bind(&t, fn)) continue;
                bound++;
                compare(&t, seed);
                break;
            }
            arena_release(&t.a);
        }
    }
    fprintf(stderr, "%u calls of %u functions\n", bound, fn_count());
    REQUIRE(getenv("SHAPES_FN") != NULL || bound > rounds * 350);
}

/* --- aggregates ------------------------------------------------------------------------------- */

static bool bind_agg(struct trial *t, const struct agg *agg, struct agg_call *call)
{
    uint32_t most = agg->arity_max < ARGS_MAX ? agg->arity_max : ARGS_MAX, last = 0;
    uint32_t n = agg->arity_min + rnd(most - agg->arity_min + 1);
    while (last < 3 && agg->args[last + 1].accepts != 0)
        last++;
    for (uint32_t k = 0; k < n; k++) {
        const struct fn_arg *spec = &agg->args[k < last ? k : last];
        t->types[k] = random_type(spec);
        random_vec(t, k);
    }
    *call = (struct agg_call){
        .agg = agg, .n_args = n, .arg_types = t->types, .consts = t->consts, .ret = agg->ret};
    if (call->ret == T_NONE) call->ret = agg->ret_of(t->types, t->consts, n);
    return call->ret != T_NONE;
}

/* All rows at once, or one after the other, flat. */
static enum err aggregate(struct trial *t, const struct agg_call *call, bool alone,
                          struct value *out)
{
    struct agg_cx cx = {.a = &t->a, .d = &t->d};
    void *state = arena_alloc(&t->a, call->agg->state_size), *states[ROWS];
    for (uint32_t i = 0; i < ROWS; i++)
        states[i] = state;
    if (!alone) TRY(call->agg->update(&cx, call, states, t->args, ROWS));
    for (uint32_t i = 0; alone && i < ROWS; i++) {
        struct vec one[ARGS_MAX];
        const struct vec *args[ARGS_MAX];
        for (uint32_t k = 0; k < call->n_args; k++) {
            TRY(vec_gather(&t->a, t->args[k], &i, 1, &one[k], &t->d));
            args[k] = &one[k];
        }
        TRY(call->agg->update(&cx, call, states, args, 1));
    }
    return call->agg->finish(&cx, call, state, out);
}

/* The last digits of a sum depend on its order. */
static bool nearly(const struct value *a, const struct value *b)
{
    if (same(a, b)) return true;
    if (a->is_null || b->is_null) return false;
    double x = a->type == T_REAL ? a->r : 0, y = a->type == T_REAL ? b->r : 1;
    if (a->type == T_DECIMAL) {
        x = decimal_to_real(a->u);
        y = decimal_to_real(b->u);
    }
    return fabs(x - y) <= 1e-9 * fmax(1, fmax(fabs(x), fabs(y)));
}

static bool is_tried_agg(const struct agg *agg)
{
    const char *only = getenv("SHAPES_FN");
    return only == NULL || strcmp(only, agg->name) == 0;
}

TEST(func, an_aggregate_of_a_vector_of_any_shape_is_that_of_its_rows)
{
    const char *seed_text = getenv("SHAPES_SEED"), *n_text = getenv("SHAPES_N");
    uint64_t first = seed_text != NULL ? strtoull(seed_text, NULL, 10) : 1;
    unsigned rounds = n_text != NULL ? (unsigned)atoi(n_text) : 20;
    for (uint64_t seed = first; seed < first + rounds; seed++) {
        for (uint32_t i = 0; i < agg_count(); i++) {
            const struct agg *agg = agg_at(i);
            struct trial t = {.d = DIAG_INIT};
            struct agg_call call;
            struct value whole = {0}, alone = {0};
            if (!is_tried_agg(agg)) continue;
            if (getenv("SHAPES_TELL")) fprintf(stderr, "%s\n", agg->name);
            dice = seed * 1000003 + hash_bytes(bytes_str(agg->name), 0);
            arena_init(&t.a, (size_t)64 << 20);
            if (bind_agg(&t, agg, &call)) {
                enum err e = aggregate(&t, &call, false, &whole),
                         one = aggregate(&t, &call, true, &alone);
                if ((e == OK) != (one == OK) || (e == OK && !nearly(&whole, &alone))) {
                    t.call = (struct fn_call){.fn = &(struct fn){.name = agg->name},
                                              .n_args = call.n_args};
                    complain(&t, 0, &whole, &alone, seed);
                }
            }
            arena_release(&t.a);
        }
    }
}
