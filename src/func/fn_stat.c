/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_stat.c - the beta distribution, and Welch's test on top of it
 *
 * The regularised incomplete beta function is the continued fraction DLMF 8.17.22, evaluated by
 * Lentz's method on the side of the mean where it converges fast.
 */
#include "func/families.h"

#include <math.h>

#define SHAPE_MAX 10000 /* alpha and beta, as the original */

static double log_beta(double a, double b)
{
    int sign;
    return lgamma_r(a, &sign) + lgamma_r(b, &sign) - lgamma_r(a + b, &sign);
}

/* Numerator n of the fraction. */
static double term(unsigned n, double x, double a, double b)
{
    double m = n / 2;
    if (n % 2 == 0) return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
}

static double fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double f = 1, c = 1, d = 0;
    for (unsigned n = 1; n < 100000; n++) {
        double t = term(n, x, a, b);
        d = 1 + t * d;
        if (fabs(d) < tiny) d = tiny;
        d = 1 / d;
        c = 1 + t / c;
        if (fabs(c) < tiny) c = tiny;
        f *= c * d;
        if (fabs(c * d - 1) < 1e-16) break;
    }
    return f;
}

/* I_x(a, b), for 0 <= x <= 1 and a, b > 0; y is 1 - x, which the caller may know better. */
static double incomplete_beta(double x, double y, double a, double b)
{
    if (x <= 0) return 0;
    if (y <= 0) return 1;
    double front = exp(a * log(x) + b * log(y) - log_beta(a, b));
    if (x < (a + 1) / (a + b + 2)) return front / (a * fraction(x, a, b));
    return 1 - front / (b * fraction(y, b, a));
}

static bool shape_ok(double s)
{
    return s > 0 && s <= SHAPE_MAX;
}

/* A shape of zero or less has all its weight at 0: the original's recorded answer is 1 for alpha. */
static double beta_cdf(double x, double a, double b)
{
    if (!(x >= 0 && x <= 1) || isnan(a) || !shape_ok(b) || a > SHAPE_MAX) return NAN;
    return a <= 0 ? 1 : incomplete_beta(x, 1 - x, a, b);
}

static double beta_pdf(double x, double a, double b)
{
    if (!(x >= 0 && x <= 1) || !shape_ok(a) || !shape_ok(b)) return NAN;
    double low = a == 1 ? 0 : (a - 1) * log(x), high = b == 1 ? 0 : (b - 1) * log1p(-x);
    return exp(low + high - log_beta(a, b));
}

/* The distribution grows with x: its inverse is found by halving, to the last bit. */
static double beta_inv(double p, double a, double b)
{
    if (!(p >= 0 && p <= 1) || !shape_ok(a) || !shape_ok(b)) return NAN;
    double low = 0, high = 1;
    if (p == 0 || p == 1) return p;
    while (true) {
        double mid = low + (high - low) / 2;
        if (mid <= low || mid >= high) return high;
        if (incomplete_beta(mid, 1 - mid, a, b) < p) {
            low = mid;
        } else {
            high = mid;
        }
    }
}

EVAL(eval_beta)
{
    struct r64s in[3];
    void *data;
    const char *which = call->fn->name + strlen("beta_");
    double (*f)(double, double, double) = which[0] == 'c'   ? beta_cdf
                                          : which[0] == 'i' ? beta_inv
                                                            : beta_pdf;
    for (uint32_t k = 0; k < 3; k++)
        TRY(load_r64(cx, args[k], &in[k]));
    TRY(out_flat(cx, T_REAL, n, out, &data));
    double *r = data;
    for (uint32_t i = 0; i < n; i++)
        r[i] = f(in[0].p[i * in[0].step], in[1].p[i * in[1].step], in[2].p[i * in[2].step]);
    return OK;
}

/* Two-sided: how likely means are at least so far apart when the populations' are equal. */
static double welch(const double mean[2], const double variance[2], const double count[2])
{
    double v0 = variance[0] / count[0], v1 = variance[1] / count[1], sum = v0 + v1;
    if (!(count[0] > 1 && count[1] > 1) || variance[0] < 0 || variance[1] < 0) return NAN;
    double t = (mean[0] - mean[1]) / sqrt(sum);
    double freedom = sum * sum / (v0 * v0 / (count[0] - 1) + v1 * v1 / (count[1] - 1));
    if (isnan(t) || isnan(freedom)) return NAN;
    double x = freedom / (freedom + t * t), y = t * t / (freedom + t * t);
    return isinf(t) ? 0 : incomplete_beta(x, y, freedom / 2, 0.5);
}

EVAL(eval_welch)
{
    (void)call;
    struct r64s in[6];
    void *data;
    for (uint32_t k = 0; k < 6; k++)
        TRY(load_r64(cx, args[k], &in[k]));
    TRY(out_flat(cx, T_REAL, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        double v[6];
        for (uint32_t k = 0; k < 6; k++)
            v[k] = in[k].p[i * in[k].step];
        ((double *)data)[i] =
            welch((double[]){v[0], v[3]}, (double[]){v[1], v[4]}, (double[]){v[2], v[5]});
    }
    return OK;
}

#define BETA(name_, doc_, example_, expect_)                                                \
    FN(name_, 3, 3, T_REAL, STRICT, eval_beta, doc_, example_, expect_, ARG_REAL, ARG_REAL, \
       ARG_REAL)

static const struct fn rows[] = {
    BETA("beta_cdf", "The beta distribution's share up to a point.",
         "round(beta_cdf(0.2, 10.0, 50.0), 12)", "0.768420470421"),
    BETA("beta_inv", "The point up to which the beta distribution has a share.",
         "round(beta_inv(0.1, 10.0, 50.0), 12)", "0.108100299188"),
    BETA("beta_pdf", "The beta distribution's density at a point.", "beta_pdf(0.5, 1.0, 1.0)",
         "1.0"),
    FN("welch_test", 6, 6, T_REAL, STRICT, eval_welch,
       "The p-value of Welch's test: two means, variances and counts.",
       "round(welch_test(20.82, 7.938, 15, 23.71, 8.547, 15), 3)", "0.01", ARG_REAL),
};
const struct fn_family fn_stat = FAMILY(rows);
