/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_series_stat.c - one number, or a bag of them, about a series: sums, products, lines
 * through it */
#include "func/families.h"
#include "func/series.h"

/* --- one number ------------------------------------------------------------------------------- */

EVAL(eval_fold)
{
    struct vecb b;
    const char *op = call->fn->name + strlen("series_");
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        TRY(series_read(&s, &v, cx->d));
        double sum = 0, product = 1, squares = 0;
        for (uint32_t k = 0; k < s.n; k++) {
            sum += s.v[k];
            product *= s.v[k];
            squares += s.v[k] * s.v[k];
        }
        double r = op[0] == 's' ? sum : op[0] == 'p' ? product : sqrt(squares);
        if (s.array && !isnan(r)) {
            vecb_r64(&b, r);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* What is no number is passed over. */
static double dot(const struct series *x, const struct series *y, uint32_t n)
{
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) {
        double product = series_at(x, k) * series_at(y, k);
        if (!isnan(product)) sum += product;
    }
    return sum;
}

static double pearson(const struct series *x, const struct series *y)
{
    double mx = 0, my = 0, xy = 0, xx = 0, yy = 0;
    for (uint32_t k = 0; k < x->n; k++) {
        mx += x->v[k] / x->n;
        my += y->v[k] / y->n;
    }
    for (uint32_t k = 0; k < x->n; k++) {
        xy += (x->v[k] - mx) * (y->v[k] - my);
        xx += (x->v[k] - mx) * (x->v[k] - mx);
        yy += (y->v[k] - my) * (y->v[k] - my);
    }
    return xy / sqrt(xx * yy);
}

/* series_dot_product and series_cosine_similarity: the longer one is cut to the shorter. */
static double similarity(const struct series *x, const struct series *y, bool cosine)
{
    uint32_t n = !x->array ? y->n : !y->array || x->n < y->n ? x->n : y->n;
    if (n == 0) return NAN;
    double sum = dot(x, y, n);
    return cosine ? sum / (sqrt(dot(x, x, n)) * sqrt(dot(y, y, n))) : sum;
}

/* series_dot_product, series_pearson_correlation, series_cosine_similarity */
EVAL(eval_pair)
{
    struct vecb b;
    char op = call->fn->name[strlen("series_")];
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series x = {0}, y = {0};
        struct value v = vec_value(args[0], i), w = vec_value(args[1], i);
        TRY(series_read(&x, &v, cx->d));
        TRY(series_read(&y, &w, cx->d));
        bool scalar = op == 'd' && ((x.scalar && y.array) || (x.array && y.scalar));
        double r = NAN;
        if (op == 'p') {
            if (x.array && y.array && x.n == y.n) r = pearson(&x, &y);
        } else if (scalar || (x.array && y.array)) {
            r = similarity(&x, &y, op == 'c');
        }
        if (isnan(r)) {
            vecb_null(&b);
        } else {
            vecb_r64(&b, r);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static enum type ret_dot(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0] == T_DYNAMIC || args[1] == T_DYNAMIC ? T_REAL : T_NONE;
}

/* --- statistics ------------------------------------------------------------------------------- */

static void put_stats(const struct series *s, struct buf *out)
{
    double min = NAN, max = NAN, sum = 0, squares = 0;
    uint32_t at_min = 0, at_max = 0, n = 0;
    for (uint32_t k = 0; k < s->n; k++) {
        if (isnan(s->v[k])) continue;
        if (n == 0 || s->v[k] < min) min = s->v[k], at_min = k;
        if (n == 0 || s->v[k] > max) max = s->v[k], at_max = k;
        sum += s->v[k];
        n++;
    }
    double mean = sum / n;
    for (uint32_t k = 0; k < s->n; k++) {
        if (!isnan(s->v[k])) squares += (s->v[k] - mean) * (s->v[k] - mean);
    }
    double variance = n > 1 ? squares / (n - 1) : 0;
    size_t at = dyn_bag_begin(out);
    series_put_named(out, "min", min, false);
    series_put_named(out, "min_idx", n != 0 ? at_min : NAN, true);
    series_put_named(out, "max", max, false);
    series_put_named(out, "max_idx", n != 0 ? at_max : NAN, true);
    series_put_named(out, "avg", mean, false);
    series_put_named(out, "stdev", sqrt(variance), false);
    series_put_named(out, "variance", variance, false);
    series_put_named(out, "sum", sum, false);
    series_put_named(out, "len", s->n, true);
    dyn_bag_end(out, at, 9);
}

/* A series with something in it that is no finite number has none, unless that is passed over. */
EVAL(eval_stats)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        bool pass_over = call->n_args > 1 && !vec_null(args[1], i) && vec_bool(args[1], i);
        TRY(series_read(&s, &v, cx->d));
        bool whole = true;
        for (uint32_t k = 0; k < s.n; k++) {
            whole &= isfinite(s.v[k]);
            if (!isfinite(s.v[k])) s.v[k] = NAN;
        }
        if (s.array && (whole || pass_over)) put_stats(&s, &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- a line through the series ---------------------------------------------------------------- */

struct line {
    double slope, at_zero, rsquare, variance, rvariance;
};

/* Least squares over x = 0, 1, 2 ... */
static struct line fit(const double *v, uint32_t n)
{
    struct line l = {0};
    double sx = 0, sy = 0, sxx = 0, sxy = 0, rest = 0, all = 0;
    for (uint32_t k = 0; k < n; k++) {
        sx += k;
        sy += v[k];
        sxx += (double)k * k;
        sxy += k * v[k];
    }
    double under = n * sxx - sx * sx;
    l.slope = under != 0 ? (n * sxy - sx * sy) / under : 0;
    l.at_zero = (sy - l.slope * sx) / n;
    for (uint32_t k = 0; k < n; k++) {
        double d = v[k] - (l.at_zero + l.slope * k);
        rest += d * d;
        all += (v[k] - sy / n) * (v[k] - sy / n);
    }
    l.rsquare = all != 0 ? 1 - rest / all : 0;
    l.variance = n > 1 ? all / (n - 1) : 0;
    l.rvariance = n > 1 ? rest / (n - 1) : 0;
    return l;
}

EVAL(eval_fit_line)
{
    CLEANUP_ROWS struct rows_out r;
    (void)call;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_SERIES struct series s;
        struct value v = vec_value(args[0], i);
        TRY(series_read(&s, &v, cx->d));
        if (s.array && s.n > 1) {
            struct line l = fit(s.v, s.n);
            size_t at = dyn_bag_begin(&r.b);
            series_put_named(&r.b, "rsquare", l.rsquare, false);
            series_put_named(&r.b, "slope", l.slope, false);
            series_put_named(&r.b, "variance", l.variance, false);
            series_put_named(&r.b, "rvariance", l.rvariance, false);
            series_put_named(&r.b, "interception", l.at_zero, false);
            dyn_bag_name(&r.b, BYTES("line_fit"));
            for (uint32_t k = 0; k < s.n; k++)
                s.v[k] = l.at_zero + l.slope * k;
            series_put_all(&r.b, s.v, s.n, false);
            dyn_bag_end(&r.b, at, 6);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define SIDE ARG(TM_NUMERIC | TM(T_DYNAMIC))
#define ONE_(name_, doc_, example_, expect_)              \
    FN("series_" name_, 1, 1, T_REAL, 0, eval_fold, doc_, \
       "series_" name_ "(dynamic(" example_ "))", expect_, ARG_ARRAY)
#define TWO_(name_, doc_, example_, expect_)                                                \
    FN("series_" name_, 2, 2, T_REAL, 0, eval_pair, doc_, "series_" name_ "(" example_ ")", \
       expect_, ARG_ARRAY, ARG_ARRAY)

static const struct fn rows[] = {
    TWO_("cosine_similarity", "The cosine of the angle between two series.",
         "dynamic([1,0]), dynamic([2,0])", "1.0"),
    {.name = "series_dot_product",
     .arity_min = 2,
     .arity_max = 2,
     .args = {SIDE, SIDE},
     .ret_of = ret_dot,
     .eval = eval_pair,
     .doc = "The sum of the products of elements.",
     .example = "series_dot_product(dynamic([1,2,4]), 2)",
     .expect = "14.0"},
    FN("series_fit_line_dynamic", 1, 1, T_DYNAMIC, 0, eval_fit_line,
       "The line that lies nearest to a series.", "series_fit_line_dynamic(dynamic([1,3,5])).slope",
       "2.0", ARG_ARRAY),
    ONE_("magnitude", "The square root of the sum of squares.", "[3,4]", "5.0"),
    TWO_("pearson_correlation", "How far two series rise and fall together.",
         "dynamic([0,0,2]), dynamic([0,0,2])", "1.0"),
    ONE_("product", "The product of all elements.", "[2,3]", "6.0"),
    FN("series_stats_dynamic", 1, 2, T_DYNAMIC, 0, eval_stats,
       "Least, greatest, mean and spread of a series.",
       "series_stats_dynamic(dynamic([1,2,3])).stdev", "1.0", ARG_ARRAY, ARG_BOOL),
    ONE_("sum", "The sum of all elements.", "[1,2,3,4]", "10.0"),
};
const struct fn_family fn_series_stat = FAMILY(rows);
