/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_series_decompose.c - a series as season + trend + rest; points that do not belong
 *
 * Season: the median of each phase of the series itself. Trend: through what the season leaves, its
 * mean ('avg') or the line of least squares ('linefit'). Rest: what both leave. So say the recorded
 * answers.
 *
 * A period of its own is the best one of func/period.h (an approximation, marked in
 * docs/kql-coverage.md). The scale of 'ctukey' is known from one recorded answer only.
 */
#include "func/families.h"
#include "func/period.h"
#include "func/series.h"

#include <stdlib.h>

#define PERIOD_SCORE_MIN 0.6               /* the default threshold */
#define CTUKEY_SCALE     2.772605605507915 /* as recorded: in units of the range of 10 to 90 % */

struct parts {
    double *seasonal, *trend; /* n each; one allocation */
};
static void parts_release(struct parts *p)
{
    free(p->seasonal);
}

static int cmp_reals(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;
    return (a > b) - (a < b);
}

/* Of sorted values, interpolated; NaN of none. */
static double quantile(const double *sorted, uint32_t n, double q)
{
    double at = q * (n - 1);
    uint32_t k = n != 0 ? (uint32_t)at : 0;
    if (n == 0) return NAN;
    return k + 1 < n ? sorted[k] + (sorted[k + 1] - sorted[k]) * (at - k) : sorted[k];
}

/* Copies what is no NaN and sorts it; tmp has room for n. */
static uint32_t sort_known(const double *v, uint32_t n, uint32_t step, double *tmp)
{
    uint32_t known = 0;
    for (uint32_t k = 0; k < n; k += step) {
        if (!isnan(v[k])) tmp[known++] = v[k];
    }
    qsort(tmp, known, sizeof *tmp, cmp_reals);
    return known;
}

/* --- the season ------------------------------------------------------------------------------- */

/* Least squares over x = 0, 1 ... of what is no NaN. */
static void line_of(const double *v, uint32_t n, double *slope, double *at_zero)
{
    double m = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
    for (uint32_t k = 0; k < n; k++) {
        if (isnan(v[k])) continue;
        m++;
        sx += k;
        sy += v[k];
        sxx += (double)k * k;
        sxy += k * v[k];
    }
    double under = m * sxx - sx * sx;
    *slope = under != 0 ? (m * sxy - sx * sy) / under : 0;
    *at_zero = m != 0 ? (sy - *slope * sx) / m : 0;
}

/* 0: none found. */
static enum err find_period(const double *v, uint32_t n, double least, uint32_t *out,
                            struct diag *d)
{
    struct period *found;
    uint32_t count;
    TRY(period_find(v, n, &found, &count, d));
    *out = count > 0 && found[0].score >= least ? found[0].lag : 0;
    free(found);
    return OK;
}

/* The median of each phase of the first `known` points, laid over all n. */
static void season(const double *v, uint32_t known, uint32_t n, uint32_t period, double *tmp,
                   double *out)
{
    for (uint32_t phase = 0; phase < period && phase < n; phase++) {
        uint32_t m = phase < known ? sort_known(v + phase, known - phase, period, tmp) : 0;
        double median = m != 0 ? quantile(tmp, m, 0.5) : 0;
        for (uint32_t k = phase; k < n; k += period)
            out[k] = median;
    }
}

enum trend { TREND_AVG, TREND_LINE, TREND_NONE };

static void trend_of(const double *v, uint32_t known, uint32_t n, enum trend kind, double *tmp,
                     struct parts *p)
{
    double slope = 0, at_zero = 0, sum = 0;
    uint32_t m = 0;
    for (uint32_t k = 0; k < known; k++) {
        tmp[k] = v[k] - p->seasonal[k];
        if (!isnan(tmp[k])) sum += tmp[k], m++;
    }
    if (kind == TREND_AVG && m != 0) at_zero = sum / m;
    if (kind == TREND_LINE) line_of(tmp, known, &slope, &at_zero);
    for (uint32_t k = 0; k < n; k++)
        p->trend[k] = at_zero + slope * k;
}

struct wish {
    double period; /* -1: look for one; 0: none */
    enum trend trend;
    uint32_t tail; /* points at the end that are not learnt from */
    double least;  /* of a period that is looked for */
};

static enum err decompose(const struct series *s, const struct wish *w, struct parts *p,
                          struct diag *d)
{
    uint32_t n = s->n, known = w->tail < n ? n - w->tail : 0;
    p->seasonal = calloc(4 * (size_t)n + 1, sizeof *p->seasonal);
    if (p->seasonal == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    p->trend = p->seasonal + n;
    double *tmp = p->trend + n;
    uint32_t period = w->period >= 0 && w->period <= (double)n ? (uint32_t)lround(w->period) : 0;
    if (w->period < 0) TRY(find_period(s->v, known, w->least, &period, d));
    if (period > 1) season(s->v, known, n, period, tmp, p->seasonal);
    trend_of(s->v, known, n, w->trend, tmp, p);
    return OK;
}

/* --- arguments -------------------------------------------------------------------------------- */

static enum trend trend_arg(const struct fn_call *call, uint32_t k, enum trend otherwise)
{
    struct bytes name;
    if (k >= call->n_args || !const_str(call, k, &name)) return otherwise;
    return bytes_eq(name, BYTES("linefit")) ? TREND_LINE
           : bytes_eq(name, BYTES("none"))  ? TREND_NONE
                                            : TREND_AVG;
}

/* A constant text that must be one of these. */
static enum err one_of(const struct fn_call *call, uint32_t k, const char *const *names,
                       struct diag *d)
{
    struct bytes name;
    if (k >= call->n_args) return OK;
    if (const_str(call, k, &name)) {
        for (; *names != NULL; names++) {
            if (bytes_eq(name, bytes_str(*names))) return OK;
        }
    }
    return FAIL(d, ERR_INVALID, "%s(): argument %u is none of the names it knows",
                call->fn->name + (strncmp(call->fn->name, "columns ", 8) == 0 ? 8 : 0), k + 1);
}

static const char *const trends[] = {"avg", "linefit", "none", NULL};
static const char *const fences[] = {"ctukey", "tukey", NULL};

static enum err prepare_decompose(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    return one_of(call, 2, trends, d);
}
static enum err prepare_anomalies(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    TRY(one_of(call, 3, trends, d));
    return one_of(call, 5, fences, d);
}
static enum err prepare_forecast(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    return one_of(call, 3, trends, d);
}
static enum err prepare_outliers(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    return one_of(call, 1, fences, d);
}

static uint32_t tail_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                         uint32_t i)
{
    double v = series_number_arg(call, args, k, i, 0);
    return v > 0 && v < UINT32_MAX ? (uint32_t)v : 0;
}

/* --- series_decompose, series_decompose_forecast, series_seasonal ----------------------------- */

static enum err decompose_row(const struct vec *const *args, uint32_t i, const struct wish *w,
                              struct buf *out, struct diag *d)
{
    CLEANUP_SERIES struct series s;
    __attribute__((cleanup(parts_release))) struct parts p = {0};
    struct value v = vec_value(args[0], i);
    TRY(series_read(&s, &v, d));
    if (!s.array) return OK;
    TRY(decompose(&s, w, &p, d));
    size_t at = dyn_bag_begin(out);
    series_put_array(out, "seasonal", p.seasonal, s.n);
    series_put_array(out, "trend", p.trend, s.n);
    for (uint32_t k = 0; k < s.n; k++) {
        p.trend[k] += p.seasonal[k];
        s.v[k] -= p.trend[k];
    }
    series_put_array(out, "baseline", p.trend, s.n);
    series_put_array(out, "residual", s.v, s.n);
    dyn_bag_end(out, at, 4);
    return OK;
}

/* (series [, period [, trend [, points at the end [, threshold]]]]) */
static enum err row_decompose(struct fn_cx *cx, const struct fn_call *call,
                              const struct vec *const *args, uint32_t i, struct buf *out)
{
    struct wish w = {series_number_arg(call, args, 1, i, -1), trend_arg(call, 2, TREND_AVG),
                     tail_arg(call, args, 3, i),
                     series_number_arg(call, args, 4, i, PERIOD_SCORE_MIN)};
    return decompose_row(args, i, &w, out, cx->d);
}
EVAL_SERIES(eval_decompose, row_decompose)

/* (series, points at the end [, period [, trend [, threshold]]]) */
static enum err row_forecast(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t i, struct buf *out)
{
    struct wish w = {series_number_arg(call, args, 2, i, -1), trend_arg(call, 3, TREND_LINE),
                     tail_arg(call, args, 1, i),
                     series_number_arg(call, args, 4, i, PERIOD_SCORE_MIN)};
    return decompose_row(args, i, &w, out, cx->d);
}
EVAL_SERIES(eval_forecast, row_forecast)

static enum err row_seasonal(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    __attribute__((cleanup(parts_release))) struct parts p = {0};
    struct wish w = {series_number_arg(call, args, 1, i, -1), TREND_NONE, 0, PERIOD_SCORE_MIN};
    struct value v = vec_value(args[0], i);
    TRY(series_read(&s, &v, cx->d));
    if (!s.array) return OK;
    TRY(decompose(&s, &w, &p, cx->d));
    series_put_all(out, p.seasonal, s.n, false);
    return OK;
}
EVAL_SERIES(eval_seasonal, row_seasonal)

/* --- points that do not belong ---------------------------------------------------------------- */

struct fence {
    double low, high; /* percentiles, 0..1 */
    double scale;
};
static const struct fence tukey = {0.25, 0.75, 1}, ctukey = {0.1, 0.9, CTUKEY_SCALE};

static struct fence fence_arg(const struct fn_call *call, uint32_t k)
{
    struct bytes name;
    bool plain = k < call->n_args && const_str(call, k, &name) && bytes_eq(name, BYTES("tukey"));
    return plain ? tukey : ctukey;
}

/* v becomes how far outside the fence each point is; `ignored` points do not move the fence. */
static enum err score(double *v, uint32_t n, struct fence f, double ignored, struct diag *d)
{
    double *tmp = calloc((size_t)n + 1, sizeof *tmp);
    uint32_t m = 0;
    if (tmp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t k = 0; k < n; k++) {
        if (!isnan(v[k]) && v[k] != ignored) tmp[m++] = v[k];
    }
    qsort(tmp, m, sizeof *tmp, cmp_reals);
    double low = quantile(tmp, m, f.low), high = quantile(tmp, m, f.high);
    free(tmp);
    for (uint32_t k = 0; k < n; k++) {
        double beyond = v[k] > high ? v[k] - high : v[k] < low ? v[k] - low : 0;
        v[k] = v[k] == ignored || beyond == 0 || high <= low ? 0 : beyond / (high - low) * f.scale;
    }
    return OK;
}

/* (series [, threshold [, period [, trend [, points at the end [, fence [, threshold]]]]]]) */
static enum err row_anomalies(struct fn_cx *cx, const struct fn_call *call,
                              const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    __attribute__((cleanup(parts_release))) struct parts p = {0};
    double threshold = series_number_arg(call, args, 1, i, 1.5);
    struct wish w = {series_number_arg(call, args, 2, i, -1), trend_arg(call, 3, TREND_AVG),
                     tail_arg(call, args, 4, i),
                     series_number_arg(call, args, 6, i, PERIOD_SCORE_MIN)};
    struct value v = vec_value(args[0], i);
    TRY(series_read(&s, &v, cx->d));
    if (!s.array) return OK;
    TRY(decompose(&s, &w, &p, cx->d));
    for (uint32_t k = 0; k < s.n; k++) {
        p.trend[k] += p.seasonal[k];
        s.v[k] -= p.trend[k];
    }
    TRY(score(s.v, s.n, fence_arg(call, 5), NAN, cx->d));
    for (uint32_t k = 0; k < s.n; k++)
        p.seasonal[k] = fabs(s.v[k]) > threshold ? (s.v[k] > 0) - (s.v[k] < 0) : 0;
    size_t at = dyn_bag_begin(out);
    dyn_bag_name(out, BYTES("ad_flag"));
    series_put_all(out, p.seasonal, s.n, true);
    series_put_array(out, "ad_score", s.v, s.n);
    series_put_array(out, "baseline", p.trend, s.n);
    dyn_bag_end(out, at, 3);
    return OK;
}
EVAL_SERIES(eval_anomalies, row_anomalies)

/* (series [, fence [, value to ignore [, low percentile [, high percentile]]]]) */
static enum err row_outliers(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    struct fence f = fence_arg(call, 1);
    struct value v = vec_value(args[0], i);
    TRY(series_read(&s, &v, cx->d));
    if (!s.array) return OK;
    if (f.scale != tukey.scale) {
        f.low = series_number_arg(call, args, 3, i, 10) / 100;
        f.high = series_number_arg(call, args, 4, i, 90) / 100;
    }
    if (!(f.low >= 0.02 && f.low < f.high && f.high <= 0.98)) return OK;
    if (f.scale != tukey.scale && (f.low != ctukey.low || f.high != ctukey.high)) {
        return FAIL(cx->d, ERR_UNSUPPORTED,
                    "series_outliers() is not supported with other percentiles than 10 and 90");
    }
    TRY(score(s.v, s.n, f, series_number_arg(call, args, 2, i, NAN), cx->d));
    series_put_all(out, s.v, s.n, false);
    return OK;
}
EVAL_SERIES(eval_outliers, row_outliers)

static const struct fn rows[] = {
    {.name = "columns series_decompose",
     .arity_min = 1,
     .arity_max = 5,
     .ret = T_DYNAMIC,
     .args = {ARG_ARRAY, ARG_REAL, ARG_STRING, ARG_LONG, ARG_REAL},
     .eval = eval_decompose,
     .prepare = prepare_decompose,
     .doc = "A series as season, trend and rest."},
    {.name = "columns series_decompose_anomalies",
     .arity_min = 1,
     .arity_max = 7,
     .ret = T_DYNAMIC,
     .args = {ARG_ARRAY, ARG_REAL, ARG_REAL, ARG_STRING, ARG_LONG, ARG(ANY_SCALAR)},
     .eval = eval_anomalies,
     .prepare = prepare_anomalies,
     .doc = "The points of a series that neither season nor trend explains."},
    {.name = "columns series_decompose_forecast",
     .arity_min = 2,
     .arity_max = 5,
     .ret = T_DYNAMIC,
     .args = {ARG_ARRAY, ARG_LONG, ARG_REAL, ARG_STRING, ARG_REAL},
     .eval = eval_forecast,
     .prepare = prepare_forecast,
     .doc = "The last points of a series from those before them."},
    {.name = "series_outliers",
     .arity_min = 1,
     .arity_max = 5,
     .ret = T_DYNAMIC,
     .args = {ARG_ARRAY, ARG_STRING, ARG(ANY_SCALAR), ARG_REAL, ARG_REAL},
     .eval = eval_outliers,
     .prepare = prepare_outliers,
     .doc = "How far each point lies outside the fence of the others.",
     .example = "series_outliers(dynamic([1,2,3,4,5,20]), 'tukey')",
     .expect = "[-0.5,-0.1,0.0,0.0,0.1,6.1]"},
    FN("series_seasonal", 1, 2, T_DYNAMIC, 0, eval_seasonal,
       "The season of a series: the median of each phase.",
       "series_seasonal(dynamic([1,5,1,7,1,6]), 2)", "[1.0,6.0,1.0,6.0,1.0,6.0]", ARG_ARRAY,
       ARG_AS(TM_INTS, T_REAL)),
};
const struct fn_family fn_series_decompose = FAMILY(rows);
