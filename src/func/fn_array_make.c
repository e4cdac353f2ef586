/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_array_make.c - arrays out of what is none: range, repeat, zip */
#include "column/dyn.h"
#include "func/families.h"

#include <math.h>

#define RANGE_MAX 1048576 /* elements, as the original */

static enum type ret_range(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    bool moments =
        args[0] == T_DATETIME && args[1] == T_DATETIME && (n == 2 || args[2] == T_TIMESPAN);
    bool spans =
        args[0] == T_TIMESPAN && args[1] == T_TIMESPAN && (n == 2 || args[2] == T_TIMESPAN);
    bool numbers = true;
    for (uint32_t k = 0; k < n; k++)
        numbers &= (TM(args[k]) & (TM_INTS | TM(T_REAL))) != 0;
    return moments || spans || numbers ? T_DYNAMIC : T_NONE;
}

static uint32_t put_reals(double from, double to, double step, struct buf *out)
{
    uint32_t count = 0;
    if (step == 0 || !isfinite(from) || !isfinite(to) || !isfinite(step)) return 0;
    for (; count < RANGE_MAX && !out->bad; count++) {
        struct value v = {.type = T_REAL, .r = from + (double)count * step};
        if (step > 0 ? v.r > to : v.r < to) break;
        value_to_dyn(&v, out);
    }
    return count;
}

static uint32_t put_wholes(enum type t, int64_t from, int64_t to, int64_t step, struct buf *out)
{
    uint32_t count = 0;
    struct value v = {.type = t, .i = from};
    if (step == 0) return 0;
    for (; count < RANGE_MAX && !out->bad && (step > 0 ? v.i <= to : v.i >= to); count++) {
        value_to_dyn(&v, out);
        if (__builtin_add_overflow(v.i, step, &v.i)) return count + 1;
    }
    return count;
}

EVAL(eval_range)
{
    CLEANUP_ROWS struct rows_out r;
    enum type t = args[0]->type;
    bool moments = t == T_DATETIME || t == T_TIMESPAN;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n && !r.b.bad; i++) {
        struct value from = vec_value(args[0], i), to = vec_value(args[1], i);
        struct value step = {.type = T_LONG, .i = moments ? 3600 * TICKS_PER_S : 1}, x[3];
        if (call->n_args > 2) step = vec_value(args[2], i);
        bool real = from.type == T_REAL || step.type == T_REAL ||
                    (from.type == T_DYNAMIC && !from.is_null && dyn_kind(from.s) == DYN_REAL);
        enum type as = real ? T_REAL : T_LONG;
        const struct value *in[3] = {&from, &to, &step};
        bool ok = true;
        for (int k = 0; k < 3; k++)
            ok &= value_cast(in[k], as, NULL, &x[k]) && !x[k].is_null;
        if (ok) {
            size_t at = dyn_array_begin(&r.b);
            uint32_t count = real ? put_reals(x[0].r, x[1].r, x[2].r, &r.b)
                                  : put_wholes(moments ? t : T_LONG, x[0].i, x[1].i, x[2].i, &r.b);
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_repeat)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n && !r.b.bad; i++) {
        struct value v = vec_value(args[0], i);
        int64_t times = vec_i64(args[1], i);
        if (times > RANGE_MAX) times = RANGE_MAX;
        if (!vec_null(args[1], i) && times >= 0) {
            size_t at = dyn_array_begin(&r.b);
            for (int64_t k = 0; k < times && !r.b.bad; k++)
                value_to_dyn(&v, &r.b);
            dyn_array_end(&r.b, at, (uint32_t)times);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_zip)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter its[FN_ARITY_ANY];
        uint32_t longest = 0;
        bool arrays = true;
        for (uint32_t k = 0; k < call->n_args; k++) {
            arrays &= dyn_iter_init(&its[k], vec_str(args[k], i)) && !its[k].is_bag;
            if (its[k].left > longest) longest = its[k].left;
        }
        if (arrays) {
            size_t at = dyn_array_begin(&r.b);
            for (uint32_t j = 0; j < longest; j++) {
                size_t inner = dyn_array_begin(&r.b);
                for (uint32_t k = 0; k < call->n_args; k++) {
                    struct bytes name, e = BYTES("n");
                    (void)dyn_iter_next(&its[k], &name, &e);
                    buf_bytes(&r.b, e);
                }
                dyn_array_end(&r.b, inner, call->n_args);
            }
            dyn_array_end(&r.b, at, longest);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define ARRAY(name_, min, max, eval_, doc_, example_, expect_, ...) \
    FN(name_, min, max, T_DYNAMIC, 0, eval_, doc_, example_, expect_, __VA_ARGS__)

static const struct fn rows[] = {
    {.name = "range",
     .arity_min = 2,
     .arity_max = 3,
     .args = {ARG(ANY_SCALAR), ARG(ANY_SCALAR), ARG(ANY_SCALAR)},
     .ret_of = ret_range,
     .eval = eval_range,
     .doc = "An array of equal steps, its end taken.",
     .example = "range(1, 8, 3)",
     .expect = "[1,4,7]"},
    ARRAY("repeat", 2, 2, eval_repeat, "An array of one value so many times.", "repeat('x', 3)",
          "[\"x\",\"x\",\"x\"]", ARG(ANY_SCALAR & ~TM(T_DYNAMIC) & ~TM(T_GUID) & ~TM(T_DECIMAL)),
          ARG_LONG),
    ARRAY("zip", 2, FN_ARITY_ANY, eval_zip,
          "An array of the first elements, of the second ones ...",
          "zip(dynamic([1,3]), dynamic([2]))", "[[1,2],[3,null]]", ARG_ARRAY),
};
const struct fn_family fn_array_make = FAMILY(rows);
