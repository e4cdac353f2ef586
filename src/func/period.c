/* SPDX-License-Identifier: Apache-2.0 */
/* func/period.c - periods: named by the periodogram, measured on the autocorrelation */
#include "func/period.h"

#include "func/fft.h"

#include <math.h>
#include <stdlib.h>

#define CONFIDENCE 0.99 /* that noise does not reach the power of a frequency that counts */

struct search {
    uint32_t n, half;
    cplx *power;   /* per frequency, n of them */
    double *score; /* per lag up to half */
    double least;  /* power of a frequency that counts */
};

static void search_release(struct search *s)
{
    free(s->power);
    free(s->score);
}

/* Of lags beyond the half too: the autocorrelation is circular. */
static double score_at(const struct search *s, uint32_t lag)
{
    return s->score[lag <= s->half ? lag : s->n - lag];
}

/* The series as its power per frequency; false: it has none. */
static bool take_power(struct search *s, const double *v)
{
    double sum = 0, all = 0;
    uint32_t known = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (isnan(v[i])) continue;
        sum += v[i];
        known++;
    }
    double mean = known != 0 ? sum / known : 0;
    for (uint32_t i = 0; i < s->n; i++)
        s->power[i] = isnan(v[i]) ? 0 : v[i] - mean;
    if (!fft(s->power, s->n, false)) return false;
    for (uint32_t k = 0; k < s->n; k++) {
        double re = creal(s->power[k]), im = cimag(s->power[k]);
        s->power[k] = re * re + im * im;
        all += k != 0 ? creal(s->power[k]) : 0;
    }
    /* Of noise, the power of one of m frequencies is exponential, and so is known the greatest. */
    s->least = -log(1 - pow(CONFIDENCE, 1.0 / s->half)) * all / s->half;
    return all > 0 && isfinite(all);
}

static double power_at(const struct search *s, uint32_t k)
{
    return creal(s->power[k]) * (2 * k == s->n ? 1 : 2); /* k and n - k are one frequency */
}

/* false: out of memory */
static bool take_scores(struct search *s)
{
    cplx *r = calloc(s->n, sizeof *r);
    if (r == NULL) return false;
    for (uint32_t k = 0; k < s->n; k++)
        r[k] = s->power[k];
    bool fine = fft(r, s->n, true);
    double low = creal(r[0]);
    for (uint32_t lag = 1; lag <= s->half; lag++)
        low = fmin(low, creal(r[lag]));
    double range = creal(r[0]) - low;
    for (uint32_t lag = 0; lag <= s->half; lag++)
        s->score[lag] = range > 0 ? fmin((creal(r[lag]) - low) / range, 1) : 0;
    free(r);
    return fine;
}

/* The highest score among the lags that frequency k cannot tell apart, 0 when it is no peak. */
static uint32_t lag_of(const struct search *s, uint32_t k)
{
    double n = s->n, low = (n / (k + 1) + n / k) / 2 - 1;
    double high = k > 1 ? (n / k + n / (k - 1)) / 2 + 1 : s->half;
    uint32_t first = low > PERIOD_MIN ? (uint32_t)ceil(low) : PERIOD_MIN;
    uint32_t last = high < s->half ? (uint32_t)high : s->half, best = first;
    if (first > last) return 0;
    for (uint32_t lag = first + 1; lag <= last; lag++) {
        if (s->score[lag] > s->score[best]) best = lag;
    }
    bool peak = s->score[best] >= score_at(s, best - 1) && s->score[best] >= score_at(s, best + 1);
    return peak ? best : 0;
}

static int by_score(const void *x, const void *y)
{
    const struct period *a = x, *b = y;
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    return a->lag < b->lag ? -1 : a->lag > b->lag;
}

static void collect(const struct search *s, struct period *found, uint32_t *n)
{
    for (uint32_t k = 1; k <= s->half; k++) {
        if (power_at(s, k) < s->least) continue;
        uint32_t lag = lag_of(s, k);
        bool seen = lag == 0;
        for (uint32_t i = 0; i < *n && !seen; i++)
            seen = found[i].lag == lag;
        if (!seen) found[(*n)++] = (struct period){.lag = lag, .score = s->score[lag]};
    }
    if (*n > 1) qsort(found, *n, sizeof *found, by_score);
}

enum err period_find(const double *v, uint32_t len, struct period **out, uint32_t *n,
                     struct diag *d)
{
    __attribute__((cleanup(search_release))) struct search s = {.n = len, .half = len / 2};
    struct period *found = calloc((size_t)s.half + 1, sizeof *found);
    uint32_t count = 0;
    s.power = calloc((size_t)len + 1, sizeof *s.power);
    s.score = calloc((size_t)s.half + 1, sizeof *s.score);
    bool room = found != NULL && s.power != NULL && s.score != NULL && len <= UINT32_MAX / 4;
    if (room && len >= 2 * PERIOD_MIN && take_power(&s, v)) {
        room = take_scores(&s);
        if (room) collect(&s, found, &count);
    }
    if (!room) {
        free(found);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *out = found;
    *n = count;
    return OK;
}
