/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/period.h - the periods of a series
 *
 * The score of a lag is the circular autocorrelation of the series there, put on a scale from 0 (the
 * least of all lags) to 1 (lag 0): the one recorded score is this to the last digit but one. Which
 * lags are periods is not published. Here it is AUTOPERIOD (Vlachos, Yu, Castelli, 2005): a frequency
 * of the periodogram that noise of the same power would reach in one of a hundred series names a
 * range of lags, and its period is the highest score of that range, if it is a peak. All recorded
 * answers agree.
 */
#pragma once

#include "base/err.h"

#include <stdint.h>

#define PERIOD_MIN 4 /* points; the longest is half of the series */

struct period {
    uint32_t lag;
    double score; /* 0..1 */
};

/* The periods of v, a NaN of which counts as the mean, the best first, each lag once: *out is the
 * caller's to free, with *n of them. ERR_LIMIT: out of memory. */
enum err period_find(const double *v, uint32_t len, struct period **out, uint32_t *n,
                     struct diag *d);
