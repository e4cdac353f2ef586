/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_series.c - element by element over arrays of numbers, and filling what is missing
 *
 * Of two series of different lengths the shorter ends in nulls. Whole numbers stay whole under + -
 * * and in filling.
 */
#include "func/families.h"
#include "func/series.h"

/* --- element by element ----------------------------------------------------------------------- */

static double f_ceiling(double x)
{
    return ceil(x);
}
static double f_sign(double x)
{
    return isnan(x) ? x : (x > 0) - (x < 0);
}

static const struct {
    const char *name;
    double (*f)(double);
    bool keeps; /* whole numbers stay whole */
} unary[] = {
    {"abs", fabs, true},    {"acos", acos, false},         {"asin", asin, false},
    {"atan", atan, false},  {"ceiling", f_ceiling, false}, {"cos", cos, false},
    {"exp", exp, false},    {"floor", floor, false},       {"log", log, false},
    {"sign", f_sign, true}, {"sin", sin, false},           {"tan", tan, false},
};

EVAL(eval_unary)
{
    CLEANUP_ROWS struct rows_out r;
    size_t f = 0;
    while (strcmp(unary[f].name, call->fn->name + strlen("series_")) != 0)
        f++;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        TRY(series_read(&s, &v, cx->d));
        for (uint32_t k = 0; k < s.n; k++)
            s.v[k] = unary[f].f(s.v[k]);
        if (s.array) series_put_all(&r.b, s.v, s.n, s.whole && unary[f].keeps);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static double combine(const char *op, double x, double y)
{
    switch (op[0]) {
    case 'a': return x + y;
    case 's': return x - y;
    case 'm': return x * y;
    case 'd': return x / y;
    default: return pow(x, y);
    }
}

/* The two sides of a row, one of which may be a number; *n elements, 0 when it is no series. */
static enum err read_two(struct fn_cx *cx, const struct vec *const *args, uint32_t i,
                         struct series *x, struct series *y, uint32_t *n)
{
    struct value a = vec_value(args[0], i), b = vec_value(args[1], i);
    TRY(series_read(x, &a, cx->d));
    TRY(series_read(y, &b, cx->d));
    bool ok = (x->array && (y->array || y->scalar)) || (y->array && x->scalar);
    uint32_t nx = x->array ? x->n : 0, ny = y->array ? y->n : 0;
    *n = !ok ? 0 : nx > ny ? nx : ny;
    return OK;
}

/* series_add, _subtract, _multiply, _divide, _pow */
EVAL(eval_binary)
{
    CLEANUP_ROWS struct rows_out r;
    const char *op = call->fn->name + strlen("series_");
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series x = {0}, y = {0};
        uint32_t count;
        TRY(read_two(cx, args, i, &x, &y, &count));
        bool whole = x.whole && y.whole && op[0] != 'd' && op[0] != 'p';
        if (count != 0 || x.array || y.array) {
            size_t at = dyn_array_begin(&r.b);
            for (uint32_t k = 0; k < count; k++)
                series_put(&r.b, combine(op, series_at(&x, k), series_at(&y, k)), whole);
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static bool relation(const char *op, double x, double y)
{
    bool equals = strstr(op, "equals") != NULL;
    if (op[0] == 'e') return x == y;
    if (op[0] == 'n') return x != y;
    return op[0] == 'g' ? (equals ? x >= y : x > y) : (equals ? x <= y : x < y);
}

/* series_equals, _not_equals, _less, _greater_equals ... */
EVAL(eval_relation)
{
    CLEANUP_ROWS struct rows_out r;
    const char *op = call->fn->name + strlen("series_");
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series x = {0}, y = {0};
        uint32_t count;
        TRY(read_two(cx, args, i, &x, &y, &count));
        if (x.array || y.array) {
            size_t at = dyn_array_begin(&r.b);
            for (uint32_t k = 0; k < count; k++) {
                double a = series_at(&x, k), b = series_at(&y, k);
                buf_u8(&r.b, isnan(a) || isnan(b) ? 'n' : relation(op, a, b) ? 't' : 'f');
            }
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- filling ---------------------------------------------------------------------------------- */

/* What counts as missing: null, and the placeholder when one is given. */
static void mark_missing(struct series *s, const struct fn_call *call,
                         const struct vec *const *args, uint32_t k, uint32_t i)
{
    struct value v, r;
    if (call->n_args <= k) return;
    v = vec_value(args[k], i);
    if (v.is_null || !value_cast(&v, T_REAL, NULL, &r)) return;
    for (uint32_t j = 0; j < s->n; j++) {
        if (s->v[j] == r.r) s->v[j] = NAN;
    }
}

static void fill_forward(struct series *s, bool backward)
{
    double last = NAN;
    for (uint32_t j = 0; j < s->n; j++) {
        double *v = &s->v[backward ? s->n - 1 - j : j];
        if (isnan(*v)) {
            *v = last;
        } else {
            last = *v;
        }
    }
}

/* series_fill_forward(s [, missing]), series_fill_backward() */
EVAL(eval_fill)
{
    CLEANUP_ROWS struct rows_out r;
    bool backward = strcmp(call->fn->name, "series_fill_backward") == 0;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        TRY(series_read(&s, &v, cx->d));
        mark_missing(&s, call, args, 1, i);
        fill_forward(&s, backward);
        if (s.array) series_put_all(&r.b, s.v, s.n, s.whole);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* A null constant fills with nulls: NaN. */
static double constant_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                           uint32_t i, bool *whole)
{
    struct value v, r;
    *whole = true;
    if (call->n_args <= k) return 0;
    v = vec_value(args[k], i);
    *whole = v.type == T_LONG || v.type == T_INT;
    return value_cast(&v, T_REAL, NULL, &r) && !r.is_null ? r.r : NAN;
}

/* series_fill_const(s [, constant [, missing]]) */
EVAL(eval_fill_const)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        bool whole;
        struct value v = vec_value(args[0], i);
        double by = constant_arg(call, args, 1, i, &whole);
        TRY(series_read(&s, &v, cx->d));
        mark_missing(&s, call, args, 2, i);
        for (uint32_t j = 0; j < s.n; j++)
            s.v[j] = isnan(s.v[j]) ? by : s.v[j];
        if (s.array) series_put_all(&r.b, s.v, s.n, s.whole && whole);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static void fill_linear(struct series *s, bool edges)
{
    uint32_t last = UINT32_MAX;
    for (uint32_t j = 0; j < s->n; j++) {
        if (isnan(s->v[j])) continue;
        if (last != UINT32_MAX) {
            double step = (s->v[j] - s->v[last]) / (j - last);
            for (uint32_t k = last + 1; k < j; k++)
                s->v[k] = s->v[last] + step * (k - last);
        } else if (edges) {
            for (uint32_t k = 0; k < j; k++)
                s->v[k] = s->v[j];
        }
        last = j;
    }
    for (uint32_t k = last + 1; edges && last != UINT32_MAX && k < s->n; k++)
        s->v[k] = s->v[last];
}

/* series_fill_linear(s [, missing [, edges [, constant]]]): the constant is for a series of nothing
 */
EVAL(eval_fill_linear)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        bool edges = call->n_args < 3 || vec_null(args[2], i) || vec_bool(args[2], i), whole;
        double constant = constant_arg(call, args, 3, i, &whole);
        TRY(series_read(&s, &v, cx->d));
        mark_missing(&s, call, args, 1, i);
        uint32_t known = 0;
        for (uint32_t j = 0; j < s.n; j++)
            known += !isnan(s.v[j]);
        for (uint32_t j = 0; known == 0 && j < s.n; j++)
            s.v[j] = constant;
        fill_linear(&s, edges);
        if (s.array) series_put_all(&r.b, s.v, s.n, s.whole && known != 0);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- filters ---------------------------------------------------------------------------------- */

static double tap_sum(const struct series *s)
{
    double sum = 0;
    for (uint32_t k = 0; k < s->n; k++)
        sum += s->v[k];
    return sum;
}

/* series_fir(s, filter [, normalize = true when no tap is negative [, center = false]]) */
EVAL(eval_fir)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s = {0}, f = {0};
        struct value v = vec_value(args[0], i), w = vec_value(args[1], i);
        TRY(series_read(&s, &v, cx->d));
        TRY(series_read(&f, &w, cx->d));
        bool negative = false;
        for (uint32_t k = 0; k < f.n; k++)
            negative |= f.v[k] < 0;
        bool normalize = call->n_args > 2 ? vec_bool(args[2], i) : !negative;
        bool center = call->n_args > 3 && vec_bool(args[3], i);
        double scale = normalize && tap_sum(&f) != 0 ? tap_sum(&f) : 1;
        int64_t shift = center ? f.n / 2 : 0;
        if (s.array && f.array && !(normalize && negative)) {
            size_t at = dyn_array_begin(&r.b);
            for (int64_t j = 0; j < s.n; j++) {
                double sum = 0;
                for (int64_t k = 0; k < f.n; k++) {
                    int64_t from = j + shift - k;
                    if (from >= 0 && from < s.n && !isnan(s.v[from])) sum += s.v[from] * f.v[k];
                }
                series_put(&r.b, sum / scale, false);
            }
            dyn_array_end(&r.b, at, s.n);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* series_iir(s, numerators, denominators) */
EVAL(eval_iir)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s = {0}, b = {0}, a = {0}, y = {0};
        struct value v[3] = {vec_value(args[0], i), vec_value(args[1], i), vec_value(args[2], i)};
        TRY(series_read(&s, &v[0], cx->d));
        TRY(series_read(&b, &v[1], cx->d));
        TRY(series_read(&a, &v[2], cx->d));
        TRY(series_read(&y, &v[0], cx->d));
        bool ok = s.array && b.array && a.array && a.n != 0 && a.v[0] != 0;
        for (uint32_t j = 0; ok && j < s.n; j++) {
            double sum = 0;
            for (uint32_t k = 0; k < b.n && k <= j; k++)
                sum += b.v[k] * (isnan(s.v[j - k]) ? 0 : s.v[j - k]);
            for (uint32_t k = 1; k < a.n && k <= j; k++)
                sum -= a.v[k] * y.v[j - k];
            y.v[j] = sum / a.v[0];
        }
        if (ok) series_put_all(&r.b, y.v, y.n, false);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define NUMERIC ARG(TM_NUMERIC)
#define SIDE    ARG(TM_NUMERIC | TM(T_DYNAMIC))
#define SERIES1(name_, doc_, example_, expect_)               \
    FN("series_" name_, 1, 1, T_DYNAMIC, 0, eval_unary, doc_, \
       "series_" name_ "(dynamic(" example_ "))", expect_, ARG_ARRAY)
#define PAIRED(name_, eval_, doc_, expect_)                                                  \
    {                                                                                        \
        .name = "series_" name_, .arity_min = 2, .arity_max = 2, .args = {SIDE, SIDE},       \
        .ret_of = ret_paired, .eval = eval_, .doc = doc_,                                    \
        .example = "series_" name_ "(dynamic([1,2,4]), dynamic([4,2,1]))", .expect = expect_ \
    }
#define SERIES2(name_, doc_, expect_)  PAIRED(name_, eval_binary, doc_, expect_)
#define RELATION(name_, doc_, expect_) PAIRED(name_, eval_relation, doc_, expect_)

/* One of the two may be a number, for every element of the other. */
static enum type ret_paired(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0] == T_DYNAMIC || args[1] == T_DYNAMIC ? T_DYNAMIC : T_NONE;
}

static const struct fn rows[] = {
    SERIES1("abs", "Each element without its sign.", "[-1,2.5]", "[1.0,2.5]"),
    SERIES1("acos", "The arc cosine of each element.", "[1]", "[0.0]"),
    SERIES2("add", "Element plus element.", "[5,4,5]"),
    SERIES1("asin", "The arc sine of each element.", "[0]", "[0.0]"),
    SERIES1("atan", "The arc tangent of each element.", "[0]", "[0.0]"),
    SERIES1("ceiling", "Each element rounded up.", "[-1.5,1,2.5]", "[-1.0,1.0,3.0]"),
    SERIES1("cos", "The cosine of each element.", "[0]", "[1.0]"),
    SERIES2("divide", "Element by element.", "[0.25,1.0,4.0]"),
    RELATION("equals", "Which elements are equal.", "[false,true,false]"),
    SERIES1("exp", "e to the power of each element.", "[0]", "[1.0]"),
    FN("series_fill_backward", 1, 2, T_DYNAMIC, 0, eval_fill,
       "Missing elements become the next one.", "series_fill_backward(dynamic([null,36,null]))",
       "[36,36,null]", ARG_ARRAY, NUMERIC),
    FN("series_fill_const", 1, 3, T_DYNAMIC, 0, eval_fill_const,
       "Missing elements become a constant.", "series_fill_const(dynamic([null,36,null]), 7)",
       "[7,36,7]", ARG_ARRAY, NUMERIC, NUMERIC),
    FN("series_fill_forward", 1, 2, T_DYNAMIC, 0, eval_fill,
       "Missing elements become the one before.", "series_fill_forward(dynamic([null,36,null]))",
       "[null,36,36]", ARG_ARRAY, NUMERIC),
    FN("series_fill_linear", 1, 4, T_DYNAMIC, 0, eval_fill_linear,
       "Missing elements lie on the line between their neighbours.",
       "series_fill_linear(dynamic([null,111,null,36]))", "[111,111,73,36]", ARG_ARRAY, NUMERIC,
       ARG_BOOL, NUMERIC),
    FN("series_fir", 2, 4, T_DYNAMIC, 0, eval_fir,
       "A weighted sum of each element and those before it.",
       "series_fir(dynamic([0,2,3]), dynamic([1,-1]), false)", "[0.0,2.0,1.0]", ARG_ARRAY,
       ARG_ARRAY, ARG_BOOL, ARG_BOOL),
    SERIES1("floor", "Each element rounded down.", "[1.5]", "[1.0]"),
    RELATION("greater", "Where the first is greater.", "[false,false,true]"),
    RELATION("greater_equals", "Where the first is greater or equal.", "[false,true,true]"),
    FN("series_iir", 3, 3, T_DYNAMIC, 0, eval_iir,
       "A recursive filter: [1] and [1,-1] give the running sum.",
       "series_iir(dynamic([1,2,3]), dynamic([1]), dynamic([1,-1]))", "[1.0,3.0,6.0]", ARG_ARRAY,
       ARG_ARRAY, ARG_ARRAY),
    RELATION("less", "Where the first is less.", "[true,false,false]"),
    RELATION("less_equals", "Where the first is less or equal.", "[true,true,false]"),
    SERIES1("log", "The natural logarithm of each element.", "[1]", "[0.0]"),
    SERIES2("multiply", "Element times element.", "[4,4,4]"),
    RELATION("not_equals", "Which elements are not equal.", "[true,false,true]"),
    SERIES2("pow", "Element to the power of element.", "[1.0,4.0,4.0]"),
    SERIES1("sign", "-1, 0 or 1 for each element.", "[-6,0,8]", "[-1,0,1]"),
    SERIES1("sin", "The sine of each element.", "[0]", "[0.0]"),
    SERIES2("subtract", "Element minus element.", "[-3,0,3]"),
    SERIES1("tan", "The tangent of each element.", "[0]", "[0.0]"),
};
const struct fn_family fn_series = FAMILY(rows);
