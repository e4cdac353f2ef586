/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_make_time.c - moments and spans made of numbers: their parts, or a count since 1970 */
#include "column/calendar.h"
#include "func/families.h"

#include <math.h>

static bool seconds_of(double s, int *whole, int *ticks)
{
    if (!(s >= 0 && s < 60)) return false;
    int64_t t = (int64_t)(s * 1e7 + 0.5);
    *whole = (int)(t / TICKS_PER_S);
    *ticks = (int)(t % TICKS_PER_S);
    return *whole < 60;
}

/* Argument k of row i as a whole number in [0, max]. */
static bool whole_arg(const struct vec *v, uint32_t i, int64_t max, int *out)
{
    if (vec_null(v, i)) return false;
    double r = v->type == T_REAL ? vec_r64(v, i) : (double)vec_i64(v, i);
    if (!(r >= 0 && r <= (double)max)) return false;
    *out = (int)r;
    return true;
}

static double real_arg(const struct vec *v, uint32_t i)
{
    return vec_null(v, i) ? NAN : v->type == T_REAL ? vec_r64(v, i) : (double)vec_i64(v, i);
}

/* make_datetime(year, month, day [, hour, minute [, second]]), or of one value as todatetime() */
EVAL(eval_make_datetime)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        struct civil c = {.month = 1, .day = 1};
        int *const fields[] = {&c.year, &c.month, &c.day, &c.hour, &c.minute};
        int64_t t = 0;
        bool ok = true;
        if (call->n_args == 1) {
            struct value v = vec_value(args[0], i), at;
            ok = value_cast(&v, T_DATETIME, cx->a, &at);
            t = ok ? at.i : 0;
        } else {
            for (uint32_t k = 0; k < call->n_args && k < 5; k++)
                ok &= whole_arg(args[k], i, 9999, fields[k]);
            if (call->n_args > 5) ok &= seconds_of(real_arg(args[5], i), &c.second, &c.ticks);
            ok = ok && calendar_join(&c, &t);
        }
        if (ok) {
            vecb_i64(&b, t);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static bool all_numbers(const enum type *args, uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        if ((TM(args[k]) & (TM_INTS | TM(T_REAL))) == 0) return false;
    }
    return true;
}

static enum type ret_make_datetime(const enum type *args, const struct value *const *consts,
                                   uint32_t n)
{
    (void)consts;
    return n == 1 || (n > 2 && all_numbers(args, n)) ? T_DATETIME : T_NONE;
}

/* make_timespan(hours, minutes [, seconds]), (days, hours, minutes, seconds), or of one value */
EVAL(eval_make_timespan)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_TIMESPAN, n);
    for (uint32_t i = 0; i < n; i++) {
        int days = 0, hours, minutes, seconds = 0, ticks = 0;
        uint32_t k = call->n_args == 4;
        bool ok = true;
        if (call->n_args == 1) {
            struct value v = vec_value(args[0], i), span;
            if (value_cast(&v, T_TIMESPAN, cx->a, &span)) {
                vecb_i64(&b, span.i);
            } else {
                vecb_null(&b);
            }
            continue;
        }
        if (k == 1) ok &= whole_arg(args[0], i, 10675198, &days);
        ok &= whole_arg(args[k], i, 23, &hours) && whole_arg(args[k + 1], i, 59, &minutes);
        if (call->n_args > 2) ok &= seconds_of(real_arg(args[k + 2], i), &seconds, &ticks);
        if (ok) {
            vecb_i64(&b, days * TICKS_PER_DAY + hours * TICKS_PER_H + minutes * TICKS_PER_MIN +
                             seconds * TICKS_PER_S + ticks);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static enum type ret_make_timespan(const enum type *args, const struct value *const *consts,
                                   uint32_t n)
{
    (void)consts;
    return n == 1 || all_numbers(args, n) ? T_TIMESPAN : T_NONE;
}

/* unixtime_seconds_todatetime() and its finer kin */
EVAL(eval_unixtime)
{
    static const struct {
        const char *unit;
        double ticks;
    } units[] = {{"se", 1e7}, {"mil", 1e4}, {"mic", 10}, {"nan", 0.01}};
    const char *unit = call->fn->name + strlen("unixtime_");
    double scale = 0;
    for (size_t k = 0; k < 4; k++) {
        if (strncmp(unit, units[k].unit, strlen(units[k].unit)) == 0) scale = units[k].ticks;
    }
    struct vecb b;
    struct r64s x;
    TRY(load_r64(cx, args[0], &x));
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        double r = x.p[i * x.step];
        __int128 t = TICKS_UNIX;
        bool whole = args[0]->type == T_LONG || args[0]->type == T_INT;
        if (whole) {
            t += scale < 1 ? (__int128)(vec_i64(args[0], i) / 100)
                           : (__int128)vec_i64(args[0], i) * (int64_t)scale;
        } else if (fabs(r * scale) < 4e18) {
            t += (int64_t)(r * scale);
        } else {
            t = -1;
        }
        if (t < 0 || t > TICKS_MAX) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, (int64_t)t);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

#define NUMBER ARG(TM_INTS | TM(T_REAL))
#define UNIX(unit, doc_, example_)                                                    \
    FN("unixtime_" unit "_todatetime", 1, 1, T_DATETIME, STRICT, eval_unixtime, doc_, \
       "unixtime_" unit "_todatetime(" example_ ")", "2019-01-01T00:00:00.0000000Z",  \
       ARG(TM_NUMERIC))

static const struct fn rows[] = {
    {.name = "make_datetime",
     .arity_min = 1,
     .arity_max = 6,
     .args = {ARG(NOT_DYNAMIC), NUMBER, NUMBER, NUMBER, NUMBER, NUMBER},
     .ret_of = ret_make_datetime,
     .eval = eval_make_datetime,
     .doc = "A moment of year, month, day, hour, minute and second.",
     .example = "make_datetime(2020, 2, 29, 13, 45, 9.5)",
     .expect = "2020-02-29T13:45:09.5000000Z"},
    {.name = "make_timespan",
     .arity_min = 1,
     .arity_max = 4,
     .args = {ARG(NOT_DYNAMIC), NUMBER, NUMBER, NUMBER},
     .ret_of = ret_make_timespan,
     .eval = eval_make_timespan,
     .doc = "A span of days, hours, minutes and seconds.",
     .example = "make_timespan(1, 12, 30, 55.123)",
     .expect = "1.12:30:55.1230000"},
    UNIX("microseconds", "The moment so many microseconds after 1970.", "1546300800000000"),
    UNIX("milliseconds", "The moment so many milliseconds after 1970.", "1546300800000"),
    UNIX("nanoseconds", "The moment so many nanoseconds after 1970.", "1546300800000000000"),
    UNIX("seconds", "The moment so many seconds after 1970.", "1546300800"),
};
const struct fn_family fn_make_time = FAMILY(rows);
