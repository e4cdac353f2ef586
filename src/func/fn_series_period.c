/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_series_period.c - series_periods_detect, series_periods_validate: func/period.h says how */
#include "func/families.h"
#include "func/period.h"
#include "func/series.h"

#include <stdlib.h>

#define PERIODS_MAX 1000 /* of one answer */

struct answer {
    uint32_t n;
    double *periods, *scores; /* one allocation */
};
static void answer_release(struct answer *a)
{
    free(a->periods);
}
static void found_release(struct period **p)
{
    free(*p);
}

static enum err answer_of(struct answer *a, uint32_t n, struct diag *d)
{
    a->n = n;
    a->periods = calloc(2 * (size_t)n + 1, sizeof *a->periods);
    if (a->periods == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    a->scores = a->periods + n;
    return OK;
}

static void put_answer(struct buf *out, const struct answer *a)
{
    size_t at = dyn_bag_begin(out);
    series_put_array(out, "periods", a->periods, a->n);
    series_put_array(out, "scores", a->scores, a->n);
    dyn_bag_end(out, at, 2);
}

/* (series, shortest, longest, how many): what is missing from so many is 0. */
static enum err row_detect(struct fn_cx *cx, const struct fn_call *call,
                           const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    __attribute__((cleanup(answer_release))) struct answer a = {0};
    __attribute__((cleanup(found_release))) struct period *found = NULL;
    double low = series_number_arg(call, args, 1, i, NAN);
    double high = series_number_arg(call, args, 2, i, NAN);
    double count = series_number_arg(call, args, 3, i, NAN);
    struct value v = vec_value(args[0], i);
    uint32_t n = 0;
    TRY(series_read(&s, &v, cx->d));
    if (!s.array || isnan(low) || isnan(high) || !(count >= 1)) return OK;
    if (count > PERIODS_MAX) {
        return FAIL(cx->d, ERR_LIMIT, "series_periods_detect(): more than %d periods are asked for",
                    PERIODS_MAX);
    }
    TRY(answer_of(&a, (uint32_t)count, cx->d));
    TRY(period_find(s.v, s.n, &found, &n, cx->d));
    for (uint32_t k = 0, at = 0; k < n && at < a.n; k++) {
        if (found[k].lag < low || found[k].lag > high) continue;
        a.periods[at] = found[k].lag;
        a.scores[at++] = found[k].score;
    }
    put_answer(out, &a);
    return OK;
}
EVAL_SERIES(eval_detect, row_detect)

/* (series, period ...): a period that is none has the score 0. */
static enum err row_validate(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series s;
    __attribute__((cleanup(answer_release))) struct answer a = {0};
    __attribute__((cleanup(found_release))) struct period *found = NULL;
    struct value v = vec_value(args[0], i);
    uint32_t n = 0;
    TRY(series_read(&s, &v, cx->d));
    if (!s.array) return OK;
    TRY(answer_of(&a, call->n_args - 1, cx->d));
    TRY(period_find(s.v, s.n, &found, &n, cx->d));
    for (uint32_t k = 0; k < a.n; k++) {
        a.periods[k] = series_number_arg(call, args, k + 1, i, NAN);
        for (uint32_t f = 0; f < n; f++) {
            if (found[f].lag == round(a.periods[k])) a.scores[k] = found[f].score;
        }
    }
    put_answer(out, &a);
    return OK;
}
EVAL_SERIES(eval_validate, row_validate)

static const struct fn rows[] = {
    FN("columns series_periods_detect", 4, 4, T_DYNAMIC, 0, eval_detect, "The periods of a series.",
       NULL, NULL, ARG_ARRAY, ARG_REAL, ARG_REAL, ARG_LONG),
    FN("columns series_periods_validate", 2, 17, T_DYNAMIC, 0, eval_validate,
       "How well each period fits a series.", NULL, NULL, ARG_ARRAY, ARG_REAL),
};
const struct fn_family fn_series_period = FAMILY(rows);
