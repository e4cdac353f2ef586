/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/func/period.c - periods that were put into a series are found, and few that were not */
#include "test.h"

#include "func/period.h"

#include <math.h>
#include <stdlib.h>

static uint32_t seed;
static double next_random(void) /* 0..1 */
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) / (double)(1 << 24);
}

static uint32_t find(const double *v, uint32_t n, struct period *best)
{
    struct period *found;
    uint32_t count;
    struct diag d = DIAG_INIT;
    REQUIRE_OK(period_find(v, n, &found, &count, &d));
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(found[i].lag >= PERIOD_MIN && found[i].lag <= n / 2);
        REQUIRE(found[i].score >= 0 && found[i].score <= 1);
        REQUIRE(i == 0 || found[i].score <= found[i - 1].score);
    }
    *best = count > 0 ? found[0] : (struct period){0};
    free(found);
    return count;
}

/* A shape that repeats, under noise of a fifth of its height, of lengths that are no powers of two. */
TEST(func, a_period_in_noise_is_found_first)
{
    for (uint32_t period = PERIOD_MIN; period <= 60; period += 7) {
        for (uint32_t n = period * 5; n < period * 20; n += period * 4 + 3) {
            double *v = calloc(n, sizeof *v), *moved = calloc(n, sizeof *v);
            struct period best, same;
            REQUIRE(v != NULL && moved != NULL);
            seed = period * 1000 + n;
            for (uint32_t i = 0; i < n; i++) {
                v[i] = 10 * sin(2 * M_PI * i / period) + 2 * next_random();
                moved[i] = 1000 - 3 * v[i];
            }
            REQUIRE(find(v, n, &best) > 0);
            EXPECT_EQ(best.lag, period);
            REQUIRE(best.score > 0.7);
            REQUIRE(find(moved, n, &same) > 0); /* neither height nor sign nor level matters */
            EXPECT_EQ(same.lag, period);
            REQUIRE(fabs(same.score - best.score) < 1e-9);
            free(v);
            free(moved);
        }
    }
}

TEST(func, noise_has_a_period_in_few_of_a_hundred_series)
{
    enum { N = 200 };
    unsigned with = 0;
    double v[N];
    seed = 1;
    for (int series = 0; series < 400; series++) {
        struct period best;
        for (uint32_t i = 0; i < N; i++)
            v[i] = next_random();
        with += find(v, N, &best) > 0;
    }
    REQUIRE(with <= 12);
}

TEST(func, series_that_are_short_level_or_not_finite_have_no_period)
{
    double v[40] = {0};
    struct period best;
    for (uint32_t n = 0; n <= 40; n++)
        EXPECT_EQ(find(v, n, &best), 0);
    for (uint32_t i = 0; i < 40; i++)
        v[i] = NAN;
    EXPECT_EQ(find(v, 40, &best), 0);
    for (uint32_t i = 0; i < 40; i++)
        v[i] = i % 4;
    for (uint32_t n = 0; n < 2 * PERIOD_MIN; n++)
        EXPECT_EQ(find(v, n, &best), 0);
    v[7] = INFINITY;
    EXPECT_EQ(find(v, 40, &best), 0);
    v[7] = 1e308;
    v[9] = -1e308;
    (void)find(v, 40, &best);
}
