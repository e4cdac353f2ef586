/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_arith.c - + - * / % and the sign
 *
 * int and long are computed in 64 bits that wrap around; int with int gives long. x / 0 and x % 0
 * of whole numbers are null. % is never negative. A moment outside of years 1..9999 is null.
 */
#include "column/decimal.h"
#include "func/families.h"

#include <math.h>

/* A dynamic operand takes the type of the other one. */
static enum type as_number(enum type t, enum type other)
{
    if (t != T_DYNAMIC) return t == T_NONE ? other : t;
    return other == T_DYNAMIC ? T_NONE : other;
}

static bool is_number(enum type t)
{
    return (TM(t) & TM_NUMERIC) != 0;
}

static enum type widest(enum type a, enum type b)
{
    if (!is_number(a) || !is_number(b)) return T_NONE;
    enum type t = a > b ? a : b;
    return t == T_INT ? T_LONG : t;
}

static bool is_time(enum type t)
{
    return t == T_TIMESPAN || t == T_DATETIME;
}

/* A dynamic is not taken for a span or a moment where it divides or is divided. */
static bool beside_time(enum type a, enum type b)
{
    return (a == T_DYNAMIC && is_time(b)) || (is_time(a) && b == T_DYNAMIC);
}

#define OVERLOADS(name) \
    static enum type name(const enum type *args, const struct value *const *consts, uint32_t n)

OVERLOADS(ret_add)
{
    (void)consts, (void)n;
    enum type a = as_number(args[0], args[1]), b = as_number(args[1], args[0]);
    if (a == T_TIMESPAN && b == T_TIMESPAN) return T_TIMESPAN;
    if ((a == T_DATETIME && b == T_TIMESPAN) || (a == T_TIMESPAN && b == T_DATETIME))
        return T_DATETIME;
    return widest(a, b);
}

OVERLOADS(ret_sub)
{
    (void)consts, (void)n;
    enum type a = as_number(args[0], args[1]), b = as_number(args[1], args[0]);
    if ((a == T_TIMESPAN && b == T_TIMESPAN) || (a == T_DATETIME && b == T_DATETIME))
        return T_TIMESPAN;
    if ((a == T_DATETIME && b == T_TIMESPAN) || (a == T_TIMESPAN && b == T_DATETIME))
        return T_DATETIME;
    return widest(a, b);
}

OVERLOADS(ret_mul)
{
    (void)consts, (void)n;
    enum type a = as_number(args[0], args[1]), b = as_number(args[1], args[0]);
    if ((a == T_TIMESPAN && is_number(b)) || (is_number(a) && b == T_TIMESPAN)) return T_TIMESPAN;
    return widest(a, b);
}

OVERLOADS(ret_div)
{
    (void)consts, (void)n;
    if (beside_time(args[0], args[1])) return T_NONE;
    enum type a = as_number(args[0], args[1]), b = as_number(args[1], args[0]);
    if (is_time(a) && is_time(b)) return a == T_TIMESPAN && b == T_DATETIME ? T_NONE : T_REAL;
    if (a == T_TIMESPAN && is_number(b)) return T_TIMESPAN;
    return widest(a, b);
}

OVERLOADS(ret_mod)
{
    (void)consts, (void)n;
    if (beside_time(args[0], args[1])) return T_NONE;
    enum type a = as_number(args[0], args[1]), b = as_number(args[1], args[0]);
    if (is_time(a) && b == T_TIMESPAN) return T_TIMESPAN;
    return widest(a, b);
}

OVERLOADS(ret_neg)
{
    (void)consts, (void)n;
    return args[0] == T_INT || args[0] == T_DYNAMIC ? T_LONG : args[0];
}

/* --- kernels ---------------------------------------------------------------------------------- */

static int64_t mod_i64(int64_t x, int64_t y)
{
    if (y == -1) return 0; /* the smallest long divided by -1 would trap */
    int64_t m = x % y;
    return m >= 0 ? m : y < 0 ? (int64_t)((uint64_t)m - (uint64_t)y) : m + y;
}

static enum err run_i64(struct fn_cx *cx, char op, const struct vec *va, const struct vec *vb,
                        uint32_t n, struct vec *out, int64_t *r)
{
    struct i64s a, b;
    uint64_t *nulls = NULL;
    TRY(load_i64(cx, va, &a));
    TRY(load_i64(cx, vb, &b));
    if ((op == '/' || op == '%') && (nulls = out_nulls(cx, out)) == NULL) return out_full(cx);
    switch (op) {
    case '+': LOOP(int64_t, r[i] = (int64_t)((uint64_t)x + (uint64_t)y)); break;
    case '-': LOOP(int64_t, r[i] = (int64_t)((uint64_t)x - (uint64_t)y)); break;
    case '*': LOOP(int64_t, r[i] = (int64_t)((uint64_t)x * (uint64_t)y)); break;
    case '/':
        LOOP(int64_t, {
            if (y == 0) {
                bit_set(nulls, i);
            } else {
                r[i] = y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
            }
        });
        break;
    default:
        LOOP(int64_t, {
            if (y == 0) {
                bit_set(nulls, i);
            } else {
                r[i] = mod_i64(x, y);
            }
        });
        break;
    }
    return OK;
}

static double mod_r64(double x, double y)
{
    double m = fmod(x, y);
    return m < 0 ? m + fabs(y) : m;
}

static enum err run_r64(struct fn_cx *cx, char op, const struct vec *va, const struct vec *vb,
                        uint32_t n, double *r)
{
    struct r64s a, b;
    TRY(load_r64(cx, va, &a));
    TRY(load_r64(cx, vb, &b));
    switch (op) {
    case '+': LOOP(double, r[i] = x + y); break;
    case '-': LOOP(double, r[i] = x - y); break;
    case '*': LOOP(double, r[i] = x * y); break;
    case '/': LOOP(double, r[i] = x / y); break;
    default: LOOP(double, r[i] = mod_r64(x, y)); break;
    }
    return OK;
}

static enum err run_decimal(struct fn_cx *cx, char op, const struct vec *va, const struct vec *vb,
                            uint32_t n, struct vec *out, struct u128 *r)
{
    struct u128s a, b;
    uint64_t *nulls = out_nulls(cx, out);
    if (nulls == NULL) return out_full(cx);
    TRY(load_decimal(cx, va, nulls, &a));
    TRY(load_decimal(cx, vb, nulls, &b));
    bool (*f)(struct u128, struct u128, struct u128 *) = op == '+'   ? decimal_add
                                                         : op == '-' ? decimal_sub
                                                         : op == '*' ? decimal_mul
                                                         : op == '/' ? decimal_div
                                                                     : decimal_mod;
    for (uint32_t i = 0; i < n; i++) {
        if (!f(a.p[i * a.step], b.p[i * b.step], &r[i])) bit_set(nulls, i);
    }
    return OK;
}

/* Ticks times or divided by a number that is not whole. */
static enum err run_scaled(struct fn_cx *cx, char op, const struct vec *va, const struct vec *vb,
                           uint32_t n, struct vec *out, int64_t *r)
{
    double *scaled = arena_array(cx->a, double, n);
    uint64_t *nulls = out_nulls(cx, out);
    if (scaled == NULL || nulls == NULL) return out_full(cx);
    TRY(run_r64(cx, op, va, vb, n, scaled));
    for (uint32_t i = 0; i < n; i++) {
        if (fabs(scaled[i]) < 9.2e18) {
            r[i] = (int64_t)scaled[i];
        } else {
            bit_set(nulls, i);
        }
    }
    return OK;
}

static enum err check_years(struct fn_cx *cx, uint32_t n, struct vec *out, const int64_t *r)
{
    for (uint32_t i = 0; i < n; i++) {
        if (r[i] >= 0 && r[i] <= TICKS_MAX) continue;
        if (out->nulls == NULL && out_nulls(cx, out) == NULL) return out_full(cx);
        bit_set((uint64_t *)(uintptr_t)out->nulls, i);
    }
    return OK;
}

static enum err or_nulls(struct fn_cx *cx, const struct vec *v, uint32_t n, struct vec *out)
{
    if (v->nulls == NULL) return OK;
    if (out->nulls == NULL && out_nulls(cx, out) == NULL) return out_full(cx);
    uint64_t *bits = (uint64_t *)(uintptr_t)out->nulls;
    for (uint32_t i = 0; i < n; i++) {
        if (vec_null(v, i)) bit_set(bits, i);
    }
    return OK;
}

static enum err run(struct fn_cx *cx, const struct fn_call *call, char op, const struct vec *a,
                    const struct vec *b, uint32_t n, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, call->ret, n, out, &data));
    bool real_operand =
        a->type == T_REAL || b->type == T_REAL || a->type == T_DECIMAL || b->type == T_DECIMAL;
    switch (call->ret) {
    case T_REAL: return run_r64(cx, op, a, b, n, data);
    case T_DECIMAL: return run_decimal(cx, op, a, b, n, out, data);
    case T_TIMESPAN:
        if (real_operand) return run_scaled(cx, op, a, b, n, out, data);
        break;
    default: break;
    }
    TRY(run_i64(cx, op, a, b, n, out, data));
    return call->ret == T_DATETIME ? check_years(cx, n, out, data) : OK;
}

static enum err eval_arith(struct fn_cx *cx, const struct fn_call *call,
                           const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct vec a, b;
    TRY(vec_undynamic(cx, args[0], as_number(args[0]->type, args[1]->type), n, &a));
    TRY(vec_undynamic(cx, args[1], as_number(args[1]->type, args[0]->type), n, &b));
    TRY(run(cx, call, call->fn->name[3], &a, &b, n, out));
    if (args[0]->type == T_DYNAMIC) TRY(or_nulls(cx, &a, n, out));
    if (args[1]->type == T_DYNAMIC) TRY(or_nulls(cx, &b, n, out));
    return OK;
}

static enum err eval_neg(struct fn_cx *cx, const struct fn_call *call,
                         const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct vec zero = {.type = T_LONG, .shape = VEC_CONST, .n = n}, a;
    int64_t none = 0;
    zero.data = &none;
    TRY(vec_undynamic(cx, args[0], T_LONG, n, &a));
    if (call->ret == T_REAL) {
        void *data;
        struct r64s r;
        TRY(out_flat(cx, T_REAL, n, out, &data));
        TRY(load_r64(cx, &a, &r));
        for (uint32_t i = 0; i < n; i++)
            ((double *)data)[i] = -r.p[i * r.step]; /* 0 - 0.0 has no sign */
        return OK;
    }
    TRY(run(cx, call, '-', &zero, &a, n, out));
    return args[0]->type == T_DYNAMIC ? or_nulls(cx, &a, n, out) : OK;
}

#define OPERAND ARG(TM_NUMERIC | TM(T_DATETIME) | TM(T_TIMESPAN) | TM(T_DYNAMIC))
#define ARITH(name_, ret_, doc_, example_, expect_)                                                \
    {                                                                                              \
        .name = name_, .arity_min = 2, .arity_max = 2, .args = {OPERAND, OPERAND}, .ret_of = ret_, \
        .flags = FN_NULL_IN_NULL_OUT, .eval = eval_arith, .doc = doc_, .example = example_,        \
        .expect = expect_                                                                          \
    }

static const struct fn rows[] = {
    ARITH("op %", ret_mod, "The remainder, never negative.", "-14 % 12", "10"),
    ARITH("op *", ret_mul, "The product.", "6 * 7", "42"),
    ARITH("op +", ret_add, "The sum; a moment and a span give a moment.", "2147483647 + 1",
          "2147483648"),
    ARITH("op -", ret_sub, "The difference; of two moments a span.",
          "datetime(2020-06-15) - datetime(2020-06-14)", "1.00:00:00"),
    ARITH("op /", ret_div, "The quotient; of whole numbers truncated.", "-7 / 2", "-3"),
    {.name = "op neg",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG(TM_NUMERIC | TM(T_TIMESPAN) | TM(T_DYNAMIC))},
     .ret_of = ret_neg,
     .flags = FN_NULL_IN_NULL_OUT,
     .eval = eval_neg,
     .doc = "The opposite number.",
     .example = "-(5)",
     .expect = "-5"},
};
const struct fn_family fn_arith = FAMILY(rows);
