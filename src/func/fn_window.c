/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_window.c - functions of neighbouring rows: prev(), row_number() and their like
 *
 * They make sense only over all rows in their order: exec sees FN_WINDOW and calls them so, with all
 * rows at once or piece by piece (fn_rows). A restart argument begins anew at each row in which it
 * is true.
 */
#include "func/families.h"
#include "func/kernel.h"

#include "column/decimal.h"

#include <math.h>

static enum type ret_same(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

static bool is_true(const struct vec *v, uint32_t i)
{
    return !vec_null(v, i) && vec_bool(v, i);
}

/* What was kept from the piece before; zeroed where there was none. */
static struct fn_carry carried(const struct fn_cx *cx)
{
    return cx->rows != NULL ? cx->rows->carry : (struct fn_carry){0};
}

static void carry_on(struct fn_cx *cx, struct fn_carry c)
{
    if (cx->rows != NULL) cx->rows->carry = c;
}

/* Does a new run of rows begin here? The restart argument is args[at], where there is one. */
static bool restarts(const struct fn_cx *cx, const struct fn_call *call,
                     const struct vec *const *args, uint32_t at, uint32_t i)
{
    bool first = i == 0 && (cx->rows == NULL || cx->rows->first == 0);
    return first || (call->n_args > at && is_true(args[at], i));
}

/* --- neighbours ------------------------------------------------------------------------------- */

/* The first argument in row `at` of all, of which row i of the piece is `first + i`. */
static enum err value_at(struct fn_cx *cx, const struct vec *v, uint64_t first, uint32_t n,
                         uint64_t at, struct value *out)
{
    if (at < first || at - first >= n) return cx->rows->value(cx->rows, at, out, cx->d);
    *out = vec_value(v, (uint32_t)(at - first));
    return OK;
}

static enum err neighbour(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t n, int sign, struct vec *out)
{
    struct vecb b;
    uint64_t first = cx->rows != NULL ? cx->rows->first : 0;
    uint64_t all = cx->rows != NULL ? cx->rows->n : n;
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t step = call->n_args > 1 ? vec_i64(args[1], i) : 1, at;
        bool null_step = call->n_args > 1 && vec_null(args[1], i);
        struct value v = {.type = call->ret, .is_null = true};
        bool inside = !null_step && step != INT64_MIN &&
                      !__builtin_add_overflow((int64_t)(first + i), step * sign, &at) && at >= 0 &&
                      (uint64_t)at < all;
        if (inside) {
            TRY(value_at(cx, args[0], first, n, (uint64_t)at, &v));
        } else if (call->n_args > 2) {
            struct value given = vec_value(args[2], i);
            if (!value_cast(&given, call->ret, cx->a, &v)) v.is_null = true;
        }
        if (v.is_null || (v.type == T_STRING && v.s.len == 0))
            vecb_null(&b);
        else if (v.type == T_STRING || v.type == T_DYNAMIC)
            vecb_str_borrow(&b, v.s);
        else
            vecb_value(&b, &v);
    }
    return vecb_finish(&b, out, cx->d);
}

/* What stands beyond the ends is the same for all rows. */
static enum err prepare_neighbour(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    if (call->n_args < 3 || call->consts[2] != NULL) return OK;
    return FAIL(d, ERR_INVALID, "%s(): the default must be constant", call->fn->name);
}

EVAL(eval_prev)
{
    return neighbour(cx, call, args, n, -1, out);
}

EVAL(eval_next)
{
    return neighbour(cx, call, args, n, 1, out);
}

/* --- counting --------------------------------------------------------------------------------- */

EVAL(eval_row_number)
{
    void *data;
    TRY(out_flat(cx, T_LONG, n, out, &data));
    struct fn_carry c = carried(cx);
    for (uint32_t i = 0; i < n; i++) {
        int64_t start = call->n_args > 0 ? vec_i64(args[0], i) : 1;
        c.a = restarts(cx, call, args, 1, i) ? start : (int64_t)((uint64_t)c.a + 1);
        ((int64_t *)data)[i] = c.a;
    }
    carry_on(cx, c);
    return OK;
}

/* Is row i's value another than that of the row before? */
static enum err differs(struct fn_cx *cx, const struct vec *v, uint32_t i, bool *out)
{
    struct value a, b = vec_value(v, i);
    if (i != 0)
        a = vec_value(v, i - 1);
    else
        TRY(cx->rows->value(cx->rows, cx->rows->first - 1, &a, cx->d));
    *out = !value_eq(&a, &b);
    return OK;
}

/* restart_at: the place of the restart argument. */
static enum err rank(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                     uint32_t n, bool dense, uint32_t restart_at, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, T_LONG, n, out, &data));
    struct fn_carry c = carried(cx); /* a: rows so far; b: the rank */
    for (uint32_t i = 0; i < n; i++) {
        bool first = restarts(cx, call, args, restart_at, i), other = false;
        if (!first) TRY(differs(cx, args[0], i, &other));
        c.a = first ? 1 : c.a + 1;
        if (first)
            c.b = 1;
        else if (other)
            c.b = dense ? c.b + 1 : c.a;
        ((int64_t *)data)[i] = c.b;
    }
    carry_on(cx, c);
    return OK;
}

EVAL(eval_rank_dense)
{
    return rank(cx, call, args, n, true, 1, out);
}

EVAL(eval_rank_min)
{
    return rank(cx, call, args, n, false, 1, out);
}

/* The older row_rank(term) is dense and has no restart; its second argument may say so. */
EVAL(eval_rank)
{
    return rank(cx, call, args, n, true, 2, out);
}

static enum err prepare_rank(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    if (call->n_args < 2) return OK;
    const struct value *dense = call->consts[1];
    if (dense != NULL && !dense->is_null && dense->b) return OK;
    return FAIL(d, ERR_UNSUPPORTED,
                "row_rank(): a rank that is not dense is not documented: use "
                "row_rank_min()");
}

/* --- sums ------------------------------------------------------------------------------------- */

static enum err cumsum_real(struct fn_cx *cx, const struct fn_call *call,
                            const struct vec *const *args, uint32_t n, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, T_REAL, n, out, &data));
    struct fn_carry c = carried(cx);
    for (uint32_t i = 0; i < n; i++) {
        if (restarts(cx, call, args, 1, i)) c.r = 0;
        if (!vec_null(args[0], i)) c.r += vec_r64(args[0], i);
        ((double *)data)[i] = c.r;
    }
    carry_on(cx, c);
    return OK;
}

static enum err cumsum_decimal(struct fn_cx *cx, const struct fn_call *call,
                               const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct vecb b;
    struct fn_carry c = carried(cx);
    struct u128 zero = decimal_from_i64(0);
    vecb_init(&b, cx->a, T_DECIMAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        if (restarts(cx, call, args, 1, i)) c.u = zero;
        if (!v.is_null && !decimal_add(c.u, v.u, &c.u)) c.u = zero;
        struct value total = {.type = T_DECIMAL, .u = c.u};
        vecb_value(&b, &total);
    }
    carry_on(cx, c);
    return vecb_finish(&b, out, cx->d);
}

EVAL(eval_row_cumsum)
{
    if (call->ret == T_REAL) return cumsum_real(cx, call, args, n, out);
    if (call->ret == T_DECIMAL) return cumsum_decimal(cx, call, args, n, out);
    void *data;
    TRY(out_flat(cx, call->ret, n, out, &data));
    struct fn_carry c = carried(cx);
    for (uint32_t i = 0; i < n; i++) {
        if (restarts(cx, call, args, 1, i)) c.a = 0;
        /* It wraps, as sum() does. */
        if (!vec_null(args[0], i)) c.a = (int64_t)((uint64_t)c.a + (uint64_t)vec_i64(args[0], i));
        ((int64_t *)data)[i] = call->ret == T_INT ? (int32_t)c.a : c.a;
    }
    carry_on(cx, c);
    return OK;
}

/* --- sessions --------------------------------------------------------------------------------- */

/* The first time of the session that row i belongs to. */
EVAL(eval_session)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_DATETIME, n);
    struct fn_carry c = carried(cx); /* a: the session's first time; b: the last one seen */
    for (uint32_t i = 0; i < n; i++) {
        if (vec_null(args[0], i)) {
            vecb_null(&b);
            continue;
        }
        int64_t t = vec_i64(args[0], i);
        if (!c.open || restarts(cx, call, args, 3, i) || t - c.a > vec_i64(args[1], i) ||
            t - c.b > vec_i64(args[2], i)) {
            c.a = t;
        }
        c.open = true;
        c.b = t;
        vecb_i64(&b, c.a);
    }
    carry_on(cx, c);
    return vecb_finish(&b, out, cx->d);
}

#define WINDOW(name_, min, max, ret_, eval_, doc_, example_, expect_, ...)                        \
    {                                                                                             \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret_of = ret_, \
        .flags = FN_NOT_CONST | FN_WINDOW, .eval = eval_, .doc = doc_, .example = example_,       \
        .expect = expect_                                                                         \
    }
#define NEIGHBOUR(name_, eval_, doc_, example_, expect_)                                \
    {                                                                                   \
        .name = name_, .arity_min = 1, .arity_max = 3,                                  \
        .args = {ARG(ANY_SCALAR), ARG_LONG, ARG(ANY_SCALAR)}, .ret_of = ret_same,       \
        .flags = FN_NOT_CONST | FN_WINDOW, .eval = eval_, .prepare = prepare_neighbour, \
        .doc = doc_, .example = example_, .expect = expect_                             \
    }
#define COUNTING(name_, min, max, eval_, doc_, example_, expect_, ...)                           \
    {                                                                                            \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret = T_LONG, \
        .flags = FN_NOT_CONST | FN_WINDOW, .eval = eval_, .doc = doc_, .example = example_,      \
        .expect = expect_                                                                        \
    }

static const struct fn rows[] = {
    NEIGHBOUR(
        "next", eval_next,
        "The value of a later row: the next, or so many further on; at the end null or a default.",
        "next(5, 1, 7)", "7"),
    NEIGHBOUR(
        "prev", eval_prev,
        "The value of an earlier row: the one before, or so many back; at the start null or a "
        "default.",
        "prev(5, 1, 7)", "7"),
    WINDOW("row_cumsum", 1, 2, ret_same, eval_row_cumsum,
           "The sum of a value over the rows up to this one.", "row_cumsum(5)", "5",
           ARG(TM_NUMERIC), ARG_BOOL),
    COUNTING("row_number", 0, 2, eval_row_number, "The number of the row, from 1 or a given start.",
             "row_number(7)", "7", ARG_LONG, ARG_BOOL),
    {.name = "row_rank",
     .arity_min = 1,
     .arity_max = 2,
     .args = {ARG(NOT_DYNAMIC), ARG_BOOL},
     .ret = T_LONG,
     .flags = FN_NOT_CONST | FN_WINDOW,
     .eval = eval_rank,
     .prepare = prepare_rank,
     .doc = "The older name of row_rank_dense().",
     .example = "row_rank('a')",
     .expect = "1"},
    COUNTING("row_rank_dense", 1, 2, eval_rank_dense,
             "The number of different values up to this row.", "row_rank_dense('a')", "1",
             ARG(NOT_DYNAMIC), ARG_BOOL),
    COUNTING("row_rank_min", 1, 2, eval_rank_min,
             "The number of the first row in a row that has this one's value.", "row_rank_min('a')",
             "1", ARG(NOT_DYNAMIC), ARG_BOOL),
    {.name = "row_window_session",
     .arity_min = 3,
     .arity_max = 4,
     .args = {ARG_DATETIME, ARG_TIMESPAN, ARG_TIMESPAN, ARG_BOOL},
     .ret = T_DATETIME,
     .flags = FN_NOT_CONST | FN_WINDOW,
     .eval = eval_session,
     .doc = "The start of the session: rows not too far from the first of it, nor from the one "
            "before.",
     .example = "row_window_session(datetime(2024-01-01), 1h, 5m)",
     .expect = "2024-01-01T00:00:00.0000000Z"},
};
const struct fn_family fn_window = FAMILY(rows);
