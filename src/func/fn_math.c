/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_math.c - functions of numbers: real analysis, rounding, chance */
#include "func/families.h"

#include "base/rand.h"
#include "base/str.h"
#include "column/decimal.h"

#include <math.h>

/* --- of one real ------------------------------------------------------------------------------ */

static double f_cot(double x)
{
    return 1 / tan(x);
}
static double f_exp10(double x)
{
    return pow(10, x);
}
static double f_degrees(double x)
{
    return x * 180 / M_PI;
}
static double f_radians(double x)
{
    return x * M_PI / 180;
}
static double f_sign(double x)
{
    return isnan(x) ? x : (x > 0) - (x < 0);
}

struct real_fn {
    const char *name;
    double (*f)(double);
};
static const struct real_fn reals[] = {
    {"acos", acos},         {"asin", asin},         {"atan", atan}, {"cos", cos},
    {"cot", f_cot},         {"degrees", f_degrees}, {"erf", erf},   {"erfc", erfc},
    {"exp", exp},           {"exp10", f_exp10},     {"exp2", exp2}, {"gamma", tgamma},
    {"log", log},           {"log10", log10},       {"log2", log2}, {"loggamma", lgamma},
    {"radians", f_radians}, {"sign", f_sign},       {"sin", sin},   {"sqrt", sqrt},
    {"tan", tan},
};

/* A logarithm of a negative number is null, while other impossible results are NaN: as the
 * original. */
EVAL(eval_real)
{
    double (*f)(double) = NULL;
    for (size_t k = 0; k < sizeof reals / sizeof *reals; k++) {
        if (strcmp(reals[k].name, call->fn->name) == 0) f = reals[k].f;
    }
    void *data;
    struct r64s x;
    TRY(out_flat(cx, T_REAL, n, out, &data));
    TRY(load_r64(cx, args[0], &x));
    for (uint32_t i = 0; i < n; i++)
        ((double *)data)[i] = f(x.p[i * x.step]);
    if (strncmp(call->fn->name, "log", 3) != 0 || f == lgamma) return OK;
    uint64_t *nulls = out_nulls(cx, out);
    if (nulls == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        if (x.p[i * x.step] < 0) bit_set(nulls, i);
    }
    return OK;
}

EVAL_ROWS(eval_pow, T_REAL, double, r[i] = pow(vec_r64(args[0], i), vec_r64(args[1], i)))
EVAL_ROWS(eval_atan2, T_REAL, double, r[i] = atan2(vec_r64(args[0], i), vec_r64(args[1], i)))
EVAL_ROWS(eval_pi, T_REAL, double, r[i] = M_PI)
EVAL_ROWS(eval_isnan, T_BOOL, uint8_t, r[i] = isnan(vec_r64(args[0], i)))
EVAL_ROWS(eval_isinf, T_BOOL, uint8_t, r[i] = isinf(vec_r64(args[0], i)) != 0)
EVAL_ROWS(eval_isfinite, T_BOOL, uint8_t, r[i] = isfinite(vec_r64(args[0], i)))

/* --- keeping the type ------------------------------------------------------------------------- */

static enum type ret_same(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

static enum type ret_abs(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0] == T_INT ? T_LONG : args[0];
}

/* Digits behind the point, half away from zero. */
static double round_real(double x, int64_t digits)
{
    if (!isfinite(x) || digits > 300 || digits < -300) return x;
    double scale = pow(10, (double)(digits < 0 ? -digits : digits));
    double y = digits < 0 ? round(x / scale) * scale : round(x * scale) / scale;
    return isfinite(y) ? y : x;
}

static int64_t round_i64(int64_t x, int64_t digits)
{
    if (digits >= 0 || digits < -18) return x;
    int64_t scale = 1;
    for (; digits < 0; digits++)
        scale *= 10;
    int64_t rest = x % scale, step = rest * 2 >= scale ? scale : rest * 2 <= -scale ? -scale : 0;
    return (int64_t)((uint64_t)(x - rest) + (uint64_t)step); /* wraps, as sums of longs do */
}

static struct value keep_type(char op, struct value v, int64_t digits)
{
    struct u128 zero = decimal_from_i64(0);
    switch (v.type) {
    case T_REAL:
        v.r = op == 'a' ? fabs(v.r) : op == 'c' ? ceil(v.r) : round_real(v.r, digits);
        break;
    case T_DECIMAL:
        if (op == 'a') {
            v.u = decimal_cmp(v.u, zero) < 0 ? decimal_neg(v.u) : v.u;
        } else {
            v.u = op == 'c' ? decimal_ceil(v.u)
                            : decimal_round(v.u, (int)(digits > 40    ? 40
                                                       : digits < -40 ? -40
                                                                      : digits));
        }
        break;
    default:
        if (op == 'a' && v.i < 0) v.i = (int64_t)(0 - (uint64_t)v.i);
        if (op == 'r') v.i = round_i64(v.i, digits);
        break;
    }
    return v;
}

/* abs(), ceiling() and round() */
EVAL(eval_keep)
{
    struct vecb b;
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        bool null = v.is_null || (call->n_args > 1 && vec_null(args[1], i));
        if (!null) v = keep_type(call->fn->name[0], v, call->n_args > 1 ? vec_i64(args[1], i) : 0);
        if (null) {
            vecb_null(&b);
        } else {
            vecb_value(&b, &v);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- bin -------------------------------------------------------------------------------------- */

static bool is_number(enum type t)
{
    return (TM(t) & TM_NUMERIC) != 0;
}

static enum type ret_bin(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    enum type v = args[0], size = args[1];
    if (is_number(v) && is_number(size)) {
        enum type t = v > size ? v : size;
        return t == T_INT ? T_LONG : t;
    }
    if (v == T_DATETIME) return size == T_TIMESPAN || size == T_DATETIME ? T_DATETIME : T_NONE;
    return v == T_TIMESPAN && size == T_TIMESPAN ? T_TIMESPAN : T_NONE;
}

static enum type ret_bin_at(const enum type *args, const struct value *const *consts, uint32_t n)
{
    enum type t = ret_bin(args, consts, n);
    bool moments = args[0] == T_DATETIME || args[0] == T_TIMESPAN;
    if (moments) return args[2] == args[0] ? t : T_NONE;
    return is_number(args[2]) && is_number(t) ? (args[2] > t ? args[2] : t) : T_NONE;
}

static bool floor_i64(int64_t v, int64_t size, int64_t *out)
{
    if (size <= 0) return false;
    int64_t rest = v % size;
    return !__builtin_sub_overflow(v, rest < 0 ? rest + size : rest, out);
}

static bool bin_i64(int64_t v, int64_t size, int64_t at, int64_t *out)
{
    int64_t from;
    if (__builtin_sub_overflow(v, at, &from) || !floor_i64(from, size, out)) return false;
    return !__builtin_add_overflow(*out, at, out);
}

static bool bin_decimal(const struct value *v, const struct value *size, const struct value *at,
                        struct u128 *out)
{
    struct value x, s, a;
    struct u128 from, q;
    if (!value_cast(v, T_DECIMAL, NULL, &x) || !value_cast(size, T_DECIMAL, NULL, &s)) return false;
    a.u = decimal_from_i64(0);
    if (at != NULL && !value_cast(at, T_DECIMAL, NULL, &a)) return false;
    if (decimal_cmp(s.u, decimal_from_i64(0)) <= 0) return false;
    if (!decimal_sub(x.u, a.u, &from) || !decimal_div(from, s.u, &q)) return false;
    return decimal_mul(decimal_floor(q), s.u, &q) && decimal_add(q, a.u, out);
}

static bool bin_value(enum type t, const struct value *v, const struct value *size,
                      const struct value *at, struct value *out)
{
    struct value x, s, a = {.type = t};
    enum type as =
        t == T_DATETIME || t == T_TIMESPAN ? T_LONG : t; /* a size of 1.5 ticks is one tick */
    *out = (struct value){.type = t};
    if (v->is_null || size->is_null || (at != NULL && at->is_null)) return false;
    if (t == T_DECIMAL) return bin_decimal(v, size, at, &out->u);
    if (!value_cast(v, v->type == T_DYNAMIC ? t : as, NULL, &x) || !value_cast(size, as, NULL, &s))
        return false;
    if (at != NULL && !value_cast(at, as, NULL, &a)) return false;
    if (t == T_REAL) {
        out->r = floor((x.r - a.r) / s.r) * s.r + a.r;
        return s.r > 0;
    }
    return bin_i64(x.i, s.i, a.i, &out->i) &&
           (t != T_DATETIME || (out->i >= 0 && out->i <= TICKS_MAX));
}

/* The usual case: whole numbers or moments in steps of a constant. */
static bool bin_fast(const struct vec *v, const struct vec *size, uint32_t n, struct vecb *b)
{
    bool whole = (TM(v->type) & (TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN))) != 0;
    bool steps = (TM(size->type) & (TM_INTS | TM(T_TIMESPAN))) != 0 && size->shape == VEC_CONST &&
                 !vec_null(size, 0);
    int64_t s = steps ? vec_i64(size, 0) : 0;
    if (!whole || !steps || s <= 0) return false;
    for (uint32_t i = 0; i < n; i++) {
        int64_t x;
        if (vec_null(v, i) || !floor_i64(vec_i64(v, i), s, &x)) {
            vecb_null(b);
        } else {
            vecb_i64(b, x);
        }
    }
    return true;
}

EVAL(eval_bin)
{
    struct vecb b;
    vecb_init(&b, cx->a, call->ret, n);
    bool whole = (TM(call->ret) & (TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN))) != 0;
    if (whole && call->n_args == 2 && bin_fast(args[0], args[1], n, &b))
        return vecb_finish(&b, out, cx->d);
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i), size = vec_value(args[1], i), at, binned;
        if (call->n_args > 2) at = vec_value(args[2], i);
        if (bin_value(call->ret, &v, &size, call->n_args > 2 ? &at : NULL, &binned)) {
            vecb_value(&b, &binned);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- min_of, max_of, around ------------------------------------------------------------------- */

static enum type ret_common(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    enum type t = args[0];
    for (uint32_t i = 1; i < n; i++) {
        t = type_common(t, args[i]);
        if (t == T_NONE) return T_NONE;
    }
    return t;
}

/* Nulls are passed over. */
EVAL(eval_extreme_of)
{
    struct vecb b;
    bool max = call->fn->name[1] == 'a';
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value best = {.type = call->ret, .is_null = true};
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct value v = vec_value(args[k], i), x;
            if (v.is_null || !value_cast(&v, call->ret, cx->a, &x)) continue;
            bool nan = x.type == T_REAL && isnan(x.r);
            int c = best.is_null || nan ? 0 : value_cmp(&x, &best);
            if (best.is_null || nan || (max ? c > 0 : c < 0)) best = x;
            if (nan) break;
        }
        vecb_value(&b, &best);
    }
    return vecb_finish(&b, out, cx->d);
}

static enum type ret_around(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    if (args[0] == T_DATETIME)
        return args[1] == T_DATETIME && args[2] == T_TIMESPAN ? T_BOOL : T_NONE;
    if (args[0] == T_TIMESPAN)
        return args[1] == T_TIMESPAN && args[2] == T_TIMESPAN ? T_BOOL : T_NONE;
    return is_number(args[0]) && is_number(args[1]) && is_number(args[2]) ? T_BOOL : T_NONE;
}

/* Whole numbers, moments and spans: 64 bits do not hold every difference. */
static void around_whole(const struct vec *const *args, uint32_t n, uint8_t *out)
{
    for (uint32_t i = 0; i < n; i++) {
        __int128 apart = (__int128)vec_i64(args[0], i) - vec_i64(args[1], i);
        out[i] = (apart < 0 ? -apart : apart) <= vec_i64(args[2], i);
    }
}

EVAL(eval_around)
{
    void *data;
    struct r64s v, center, delta;
    (void)call;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    bool whole = true;
    for (uint32_t k = 0; k < 3; k++)
        whole &= args[k]->type != T_REAL && args[k]->type != T_DECIMAL;
    if (whole) {
        around_whole(args, n, data);
        return OK;
    }
    TRY(load_r64(cx, args[2], &delta));
    TRY(load_r64(cx, args[0], &v));
    TRY(load_r64(cx, args[1], &center));
    for (uint32_t i = 0; i < n; i++) {
        ((uint8_t *)data)[i] =
            fabs(v.p[i * v.step] - center.p[i * center.step]) <= delta.p[i * delta.step];
    }
    return OK;
}

/* --- chance ----------------------------------------------------------------------------------- */

EVAL(eval_rand)
{
    void *data;
    struct rand_quick q = rand_quick_begin();
    TRY(out_flat(cx, T_REAL, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        int64_t below = call->n_args > 0 ? vec_i64(args[0], i) : 0;
        double unit = (double)(rand_quick_u64(&q) >> 11) * 0x1p-53;
        ((double *)data)[i] = below > 0 ? (double)rand_quick_below(&q, (uint64_t)below) : unit;
    }
    return OK;
}

EVAL(eval_new_guid)
{
    void *data;
    (void)call, (void)args;
    TRY(out_flat(cx, T_GUID, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        struct guid g;
        guid_random(&g);
        memcpy(((struct u128 *)data)[i].b, g.b, sizeof g.b);
    }
    return OK;
}

#define NUMBER ARG(TM_NUMERIC)
#define REAL1(name_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_REAL, STRICT, eval_real, doc_, example_, expect_, ARG_REAL)
#define KEEP(name_, max, ret_, doc_, example_, expect_, ...)                                    \
    {                                                                                           \
        .name = name_, .arity_min = 1, .arity_max = max, .args = {__VA_ARGS__}, .ret_of = ret_, \
        .eval = eval_keep, .doc = doc_, .example = example_, .expect = expect_                  \
    }
#define BIN_(name_, count, ret_, doc_, example_, expect_, ...)                                \
    {                                                                                         \
        .name = name_, .arity_min = count, .arity_max = count, .args = {__VA_ARGS__},         \
        .ret_of = ret_, .eval = eval_bin, .doc = doc_, .example = example_, .expect = expect_ \
    }
#define BINNED   ARG(TM_NUMERIC | TM(T_DATETIME) | TM(T_TIMESPAN))
#define BINARY64 ARG_AS(TM_INTS | TM(T_REAL), T_REAL)
#define ORDERED  ARG(ANY_SCALAR & ~TM(T_DYNAMIC))
#define OF_ALL(name_, doc_, example_, expect_)                                           \
    {                                                                                    \
        .name = name_, .arity_min = 2, .arity_max = FN_ARITY_ANY, .args = {ORDERED},     \
        .ret_of = ret_common, .eval = eval_extreme_of, .doc = doc_, .example = example_, \
        .expect = expect_                                                                \
    }

static const struct fn rows[] = {
    KEEP("abs", 1, ret_abs, "Without its sign.", "abs(-5)", "5", ARG(TM_NUMERIC | TM(T_TIMESPAN))),
    REAL1("acos", "The angle of a cosine.", "acos(1)", "0.0"),
    {.name = "around",
     .arity_min = 3,
     .arity_max = 3,
     .args = {ARG(ANY_SCALAR), ARG(ANY_SCALAR), ARG(ANY_SCALAR)},
     .ret_of = ret_around,
     .flags = STRICT,
     .eval = eval_around,
     .doc = "No further from a center than a distance.",
     .example = "around(5, 6, 1)",
     .expect = "True"},
    REAL1("asin", "The angle of a sine.", "asin(0)", "0.0"),
    REAL1("atan", "The angle of a tangent.", "atan(0)", "0.0"),
    FN("atan2", 2, 2, T_REAL, STRICT, eval_atan2, "The angle of the point (x, y); y comes first.",
       "atan2(0, 1)", "0.0", ARG_REAL, ARG_REAL),
    BIN_("bin", 2, ret_bin, "Rounded down to a multiple.", "bin(-5, 2)", "-6", BINNED, BINNED),
    BIN_("bin_at", 3, ret_bin_at, "Rounded down to a multiple, counted from a fixed point.",
         "bin_at(time(1h), 1d, 12h)", "-12:00:00", BINNED, BINNED, BINNED),
    KEEP("ceiling", 1, ret_same, "Rounded up.", "ceiling(-1.5)", "-1.0", NUMBER),
    REAL1("cos", "Cosine.", "cos(0)", "1.0"),
    REAL1("cot", "Cotangent.", "cot(1)", "0.6420926159343306"),
    REAL1("degrees", "Radians in degrees.", "degrees(0)", "0.0"),
    REAL1("erf", "The error function.", "erf(0)", "0.0"),
    REAL1("erfc", "The complementary error function.", "erfc(0)", "1.0"),
    REAL1("exp", "e to that power.", "exp(0)", "1.0"),
    REAL1("exp10", "10 to that power.", "exp10(3)", "1000.0"),
    REAL1("exp2", "2 to that power.", "exp2(3)", "8.0"),
    BIN_("floor", 2, ret_bin, "The same as bin().", "floor(5.5, 2)", "4.0", BINNED, BINNED),
    REAL1("gamma", "The gamma function.", "gamma(5)", "24.0"),
    FN("isfinite", 1, 1, T_BOOL, STRICT, eval_isfinite, "Neither infinite nor NaN.",
       "isfinite(1.0)", "True", BINARY64),
    FN("isinf", 1, 1, T_BOOL, STRICT, eval_isinf, "Infinite.", "isinf(1.0 / 0.0)", "True",
       BINARY64),
    FN("isnan", 1, 1, T_BOOL, STRICT, eval_isnan, "Not a number.", "isnan(0.0 / 0.0)", "True",
       BINARY64),
    REAL1("log", "The natural logarithm.", "log(1)", "0.0"),
    REAL1("log10", "The logarithm to base 10.", "log10(1000)", "3.0"),
    REAL1("log2", "The logarithm to base 2.", "log2(8)", "3.0"),
    REAL1("loggamma", "The logarithm of the gamma function.", "loggamma(1)", "0.0"),
    OF_ALL("max_of", "The greatest argument; nulls are passed over.", "max_of(1, long(null), 3)",
           "3"),
    OF_ALL("min_of", "The least argument; nulls are passed over.", "min_of(10, 1, -3, 17)", "-3"),
    FN("new_guid", 0, 0, T_GUID, FN_NOT_CONST, eval_new_guid, "A random guid.",
       "new_guid() == new_guid()", "False"),
    FN("pi", 0, 0, T_REAL, 0, eval_pi, "The ratio of a circle's circumference to its diameter.",
       "pi()", "3.141592653589793"),
    FN("pow", 2, 2, T_REAL, STRICT, eval_pow, "A power.", "pow(2, 3)", "8.0", ARG_REAL, ARG_REAL),
    REAL1("radians", "Degrees in radians.", "radians(0)", "0.0"),
    FN("rand", 0, 1, T_REAL, FN_NOT_CONST, eval_rand,
       "A random number in [0, 1), or a whole one below a limit.", "rand() < 1", "True", ARG_LONG),
    KEEP("round", 2, ret_same, "Rounded to so many digits, half away from zero.", "round(-2.5)",
         "-3.0", NUMBER, ARG_LONG),
    REAL1("sign", "-1, 0 or 1.", "sign(-42)", "-1.0"),
    REAL1("sin", "Sine.", "sin(0)", "0.0"),
    REAL1("sqrt", "The square root.", "sqrt(16)", "4.0"),
    REAL1("tan", "Tangent.", "tan(0)", "0.0"),
};
const struct fn_family fn_math = FAMILY(rows);
