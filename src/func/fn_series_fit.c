/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_series_fit.c - two lines, or a polynomial, that lie nearest to a series */
#include "func/families.h"
#include "func/series.h"

#include <stdio.h>
#include <stdlib.h>

#define DEGREE_MAX 30

/* --- two lines -------------------------------------------------------------------------------- */

struct side {
    double rsquare, slope, interception, variance, rvariance, rest, all;
};

/* Least squares through v[from, to) over x = 0, 1 ...: x starts again at the break. */
static struct side fit_side(const double *v, uint32_t from, uint32_t to)
{
    struct side s = {0};
    double n = to - from, sy = 0, sxy = 0, mean_x = (n - 1) / 2, sxx = 0;
    for (uint32_t k = from; k < to; k++)
        sy += v[k];
    for (uint32_t k = from; k < to; k++) {
        double dx = (k - from) - mean_x;
        sxx += dx * dx;
        sxy += dx * (v[k] - sy / n);
        s.all += (v[k] - sy / n) * (v[k] - sy / n);
    }
    s.slope = sxx > 0 ? sxy / sxx : 0;
    s.interception = sy / n - s.slope * mean_x;
    for (uint32_t k = from; k < to; k++) {
        double d = v[k] - (s.interception + s.slope * (k - from));
        s.rest += d * d;
    }
    s.rsquare = s.all > 0 ? 1 - s.rest / s.all : 0;
    s.variance = n > 1 ? s.all / (n - 1) : 0;
    s.rvariance = n > 1 ? s.rest / (n - 1) : 0;
    return s;
}

/* The least rest of a line through v[0, k) for each k, from running sums; then the same from the
 * other end. Values are taken about their mean, so that little is lost. */
static void rests(const double *v, uint32_t n, double mean, bool from_end, double *rest)
{
    double m = 0, mx = 0, my = 0, sxx = 0, sxy = 0, syy = 0;
    rest[0] = 0;
    for (uint32_t k = 0; k < n; k++) {
        double y = v[from_end ? n - 1 - k : k] - mean, dx = k - mx, dy = y - my;
        m++;
        mx += dx / m;
        my += dy / m;
        sxx += dx * (k - mx);
        sxy += dx * (y - my);
        syy += dy * (y - my);
        rest[k + 1] = sxx > 0 ? fmax(syy - sxy * sxy / sxx, 0) : syy;
    }
}

/* Where the second line starts; both have at least one point. */
static enum err best_split(const double *v, uint32_t n, uint32_t *out, struct diag *d)
{
    double *left = calloc(2 * ((size_t)n + 1), sizeof *left), mean = 0, best = INFINITY;
    if (left == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    double *right = left + n + 1;
    for (uint32_t k = 0; k < n; k++)
        mean += v[k] / n;
    rests(v, n, mean, false, left);
    rests(v, n, mean, true, right);
    *out = 1;
    for (uint32_t k = 1; k < n; k++) {
        if (left[k] + right[n - k] < best) best = left[k] + right[n - k], *out = k;
    }
    free(left);
    return OK;
}

static void put_side(struct buf *out, const char *side, const struct side *s)
{
    const struct {
        const char *name;
        double v;
    } members[] = {{"rsquare", s->rsquare},
                   {"slope", s->slope},
                   {"interception", s->interception},
                   {"variance", s->variance},
                   {"rvariance", s->rvariance}};
    for (size_t k = 0; k < sizeof members / sizeof *members; k++) {
        char name[32];
        snprintf(name, sizeof name, "%s_%s", side, members[k].name);
        series_put_named(out, name, members[k].v, false);
    }
}

static enum err row_2lines(struct fn_cx *cx, const struct fn_call *call,
                           const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    struct value v = vec_value(args[0], i);
    uint32_t split;
    (void)call;
    TRY(series_read(&s, &v, cx->d));
    for (uint32_t k = 0; k < s.n; k++) {
        if (!isfinite(s.v[k])) return OK;
    }
    if (!s.array || s.n < 2) return OK;
    TRY(best_split(s.v, s.n, &split, cx->d));
    struct side all = fit_side(s.v, 0, s.n), left = fit_side(s.v, 0, split),
                right = fit_side(s.v, split, s.n);
    double rest = left.rest + right.rest;
    size_t at = dyn_bag_begin(out);
    series_put_named(out, "rsquare", all.all > 0 ? 1 - rest / all.all : 0, false);
    series_put_named(out, "split_idx", split, true);
    series_put_named(out, "variance", all.variance, false);
    series_put_named(out, "rvariance", rest / (s.n - 1), false);
    for (uint32_t k = 0; k < s.n; k++)
        s.v[k] = k < split ? left.interception + left.slope * k
                           : right.interception + right.slope * (k - split);
    series_put_array(out, "line_fit", s.v, s.n);
    put_side(out, "right", &right);
    put_side(out, "left", &left);
    dyn_bag_end(out, at, 15);
    return OK;
}
EVAL_SERIES(eval_2lines, row_2lines)

/* --- a polynomial ----------------------------------------------------------------------------- */

/* Least squares by Householder reflections on n rows of m columns, row after row; b becomes the
 * solution in its first m places. False: the columns depend on each other. */
static bool least_squares(double *q, double *b, uint32_t n, uint32_t m)
{
    for (uint32_t c = 0; c < m; c++) {
        double norm = 0;
        for (uint32_t r = c; r < n; r++)
            norm = hypot(norm, q[(size_t)r * m + c]);
        if (!(norm > 1e-12)) return false;
        double pivot = q[(size_t)c * m + c], alpha = pivot > 0 ? -norm : norm;
        double under = norm * norm - pivot * alpha;
        q[(size_t)c * m + c] = pivot - alpha;
        for (uint32_t k = c + 1; k <= m; k++) {
            double sum = 0;
            for (uint32_t r = c; r < n; r++)
                sum += q[(size_t)r * m + c] * (k < m ? q[(size_t)r * m + k] : b[r]);
            for (uint32_t r = c; r < n; r++) {
                double less = q[(size_t)r * m + c] * sum / under;
                if (k < m) {
                    q[(size_t)r * m + k] -= less;
                } else {
                    b[r] -= less;
                }
            }
        }
        q[(size_t)c * m + c] = alpha;
    }
    for (uint32_t c = m; c-- > 0;) {
        for (uint32_t k = c + 1; k < m; k++)
            b[c] -= q[(size_t)c * m + k] * b[k];
        b[c] /= q[(size_t)c * m + c];
    }
    return true;
}

static double polynomial(const double *c, uint32_t m, double x)
{
    double y = 0;
    for (uint32_t k = m; k-- > 0;)
        y = y * x + c[k];
    return y;
}

/* c(z) with z = x / scale becomes c(x). The columns of z^k are of one size: that is what scaling
 * is for. */
static bool fit_poly(const double *x, const double *y, uint32_t n, uint32_t m, double *c)
{
    double *q = calloc((size_t)n * (m + 1) + 1, sizeof *q), scale = 0;
    if (q == NULL) return false;
    double *b = q + (size_t)n * m;
    for (uint32_t r = 0; r < n; r++)
        scale = fmax(scale, fabs(x[r]));
    if (!(scale > 0)) scale = 1;
    for (uint32_t r = 0; r < n; r++) {
        double power = 1;
        for (uint32_t k = 0; k < m; k++, power *= x[r] / scale)
            q[(size_t)r * m + k] = power;
        b[r] = y[r];
    }
    bool ok = n >= m && least_squares(q, b, n, m);
    for (uint32_t k = 0; ok && k < m; k++)
        c[k] = b[k] / pow(scale, k);
    free(q);
    return ok;
}

static void put_poly(struct buf *out, const struct series *x, const struct series *y,
                     const double *c, uint32_t m)
{
    double mean = 0, all = 0, rest = 0;
    for (uint32_t k = 0; k < y->n; k++)
        mean += y->v[k] / y->n;
    for (uint32_t k = 0; k < y->n; k++) {
        double d = y->v[k] - polynomial(c, m, x->v[k]);
        rest += d * d;
        all += (y->v[k] - mean) * (y->v[k] - mean);
        y->v[k] -= d;
    }
    double n_1 = y->n > 1 ? y->n - 1 : 1;
    size_t at = dyn_bag_begin(out);
    series_put_named(out, "rsquare", all > 0 ? 1 - rest / all : 0, false);
    dyn_bag_name(out, BYTES("coefficients"));
    size_t list = dyn_array_begin(out);
    for (uint32_t k = m; k-- > 0;)
        series_put(out, c[k], false);
    dyn_array_end(out, list, m);
    series_put_named(out, "variance", all / n_1, false);
    series_put_named(out, "rvariance", rest / n_1, false);
    series_put_array(out, "poly_fit", y->v, y->n);
    dyn_bag_end(out, at, 5);
}

static bool all_finite(const struct series *s)
{
    for (uint32_t k = 0; k < s->n; k++) {
        if (!isfinite(s->v[k])) return false;
    }
    return true;
}

/* (y [, x] [, degree]) */
static enum err row_poly(struct fn_cx *cx, const struct fn_call *call,
                         const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series y = {0}, x = {0};
    double c[DEGREE_MAX + 1];
    struct value v = vec_value(args[0], i);
    bool given = call->n_args > 1 && call->arg_types[1] == T_DYNAMIC;
    double degree = series_number_arg(call, args, given ? 2 : 1, i, 1);
    TRY(series_read(&y, &v, cx->d));
    if (given) v = vec_value(args[1], i);
    TRY(series_read(&x, &v, cx->d));
    for (uint32_t k = 0; !given && k < x.n; k++)
        x.v[k] = k;
    if (!y.array || !x.array || y.n == 0 || x.n != y.n) return OK;
    if (!(degree >= 0 && degree <= DEGREE_MAX) || !all_finite(&x) || !all_finite(&y)) return OK;
    uint32_t m = (uint32_t)degree + 1;
    if (fit_poly(x.v, y.v, y.n, m, c)) put_poly(out, &x, &y, c, m);
    return OK;
}
EVAL_SERIES(eval_poly, row_poly)

static const struct fn rows[] = {
    FN("columns series_fit_poly", 1, 3, T_DYNAMIC, 0, eval_poly,
       "The polynomial that lies nearest to a series.", NULL, NULL, ARG_ARRAY,
       ARG(TM_NUMERIC | TM(T_DYNAMIC)), ARG_LONG),
    FN("series_fit_2lines_dynamic", 1, 1, T_DYNAMIC, 0, eval_2lines,
       "The two lines, one after the other, that lie nearest to a series.",
       "series_fit_2lines_dynamic(dynamic([1,2,3,9,8,7])).split_idx", "3", ARG_ARRAY),
};
const struct fn_family fn_series_fit = FAMILY(rows);
