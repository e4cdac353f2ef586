/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg_stat.c - variance, standard deviation and covariance, of samples and of populations */
#include "func/agg_kernel.h"

#include <math.h>

/* Running means and sums of products of distances from them: no cancellation of large squares. */
struct moments {
    double n, mean_x, mean_y, sum_xy; /* of one variable x and y are the same */
};

static void add(struct moments *m, double x, double y)
{
    m->n++;
    double dx = x - m->mean_x;
    m->mean_x += dx / m->n;
    m->mean_y += (y - m->mean_y) / m->n;
    m->sum_xy += dx * (y - m->mean_y);
}

UPDATE(update_variance)
{
    (void)cx, (void)c;
    for (uint32_t i = 0; i < n; i++) {
        if (row_is_null(args[0], i)) continue;
        double x = num_at(args[0], i);
        add(states[i], x, x);
    }
    return OK;
}

UPDATE(update_covariance)
{
    (void)cx, (void)c;
    for (uint32_t i = 0; i < n; i++) {
        if (row_is_null(args[0], i) || row_is_null(args[1], i)) continue;
        add(states[i], num_at(args[0], i), num_at(args[1], i));
    }
    return OK;
}

MERGE(merge_moments)
{
    (void)cx, (void)c;
    struct moments *a = into_, *b = from_;
    double n = a->n + b->n;
    if (b->n == 0) return OK;
    double dx = b->mean_x - a->mean_x, dy = b->mean_y - a->mean_y;
    a->sum_xy += b->sum_xy + dx * dy * a->n * b->n / n;
    a->mean_x += dx * b->n / n;
    a->mean_y += dy * b->n / n;
    a->n = n;
    return OK;
}

/* Of fewer than two rows: 0. */
static double spread(const struct moments *m, bool population)
{
    if (m->n < 2) return 0;
    return m->sum_xy / (population ? m->n : m->n - 1);
}

#define FINISH_AS(name, expr)                               \
    FINISH(name)                                            \
    {                                                       \
        (void)cx, (void)c;                                  \
        const struct moments *m = state_;                   \
        *out = (struct value){.type = T_REAL, .r = (expr)}; \
        return OK;                                          \
    }
FINISH_AS(finish_sample, spread(m, false))
FINISH_AS(finish_population, spread(m, true))
FINISH_AS(finish_sample_root, sqrt(spread(m, false)))
FINISH_AS(finish_population_root, sqrt(spread(m, true)))

UPDATE_IF(update_varianceif, update_variance)
UPDATE(update_covarianceif)
{
    return agg_update_if(cx, c, states, args, n, 2, update_covariance);
}

#define MEASURE ARG_AS(TM_NUMERIC, T_REAL)
#define STAT(name_, count, update_, finish_, doc_, call, expect_, ...)                \
    {                                                                                 \
        .name = name_, .arity_min = count, .arity_max = count, .args = {__VA_ARGS__}, \
        .ret = T_REAL, .state_size = sizeof(struct moments), .update = update_,       \
        .merge = merge_moments, .finish = finish_, .doc = doc_,                       \
        .example = "range x from 1 to 5 step 1 | summarize " call, .expect = expect_  \
    }

static const struct agg rows[] = {
    STAT("covariance", 2, update_covariance, finish_sample, "The covariance of a sample.",
         "covariance(x, x * 2)", "5.0", MEASURE, MEASURE),
    STAT("covarianceif", 3, update_covarianceif, finish_sample,
         "The covariance of a sample, of rows for which a condition holds.",
         "covarianceif(x, x, x < 3)", "0.5", MEASURE, MEASURE, ARG_BOOL),
    STAT("covariancep", 2, update_covariance, finish_population, "The covariance of a population.",
         "covariancep(x, x * 2)", "4.0", MEASURE, MEASURE),
    STAT("covariancepif", 3, update_covarianceif, finish_population,
         "The covariance of a population, of rows for which a condition holds.",
         "covariancepif(x, x, x < 3)", "0.25", MEASURE, MEASURE, ARG_BOOL),
    STAT("stdev", 1, update_variance, finish_sample_root, "The standard deviation of a sample.",
         "stdev(x)", "1.5811388300841898", MEASURE),
    STAT("stdevif", 2, update_varianceif, finish_sample_root,
         "The standard deviation of a sample, of rows for which a condition holds.",
         "stdevif(x, x < 4)", "1.0", MEASURE, ARG_BOOL),
    STAT("stdevp", 1, update_variance, finish_population_root,
         "The standard deviation of a population.", "stdevp(x)", "1.4142135623730951", MEASURE),
    STAT("stdevpif", 2, update_varianceif, finish_population_root,
         "The standard deviation of a population, of rows for which a condition holds.",
         "stdevpif(x, x < 3)", "0.5", MEASURE, ARG_BOOL),
    STAT("variance", 1, update_variance, finish_sample, "The variance of a sample.", "variance(x)",
         "2.5", MEASURE),
    STAT("varianceif", 2, update_varianceif, finish_sample,
         "The variance of a sample, of rows for which a condition holds.", "varianceif(x, x < 4)",
         "1.0", MEASURE, ARG_BOOL),
    STAT("variancep", 1, update_variance, finish_population, "The variance of a population.",
         "variancep(x)", "2.0", MEASURE),
    STAT("variancepif", 2, update_varianceif, finish_population,
         "The variance of a population, of rows for which a condition holds.",
         "variancepif(x, x < 3)", "0.25", MEASURE, ARG_BOOL),
};
const struct agg_family agg_stat = {rows, sizeof rows / sizeof *rows};
