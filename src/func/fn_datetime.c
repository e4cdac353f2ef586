/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_datetime.c - the calendar: parts, starts and ends, adding, differences
 *
 * Weeks begin on Sunday, but for week_of_year(), which is that of ISO 8601. A moment outside of
 * years 1..9999 is null.
 */
#include "column/calendar.h"
#include "column/scan.h"
#include "func/families.h"

enum part {
    PART_NONE,
    PART_YEAR,
    PART_QUARTER,
    PART_MONTH,
    PART_WEEK, /* of the year, where it is asked for as a part */
    PART_DAY,
    PART_DAYOFYEAR,
    PART_HOUR,
    PART_MINUTE,
    PART_SECOND,
    PART_MILLISECOND,
    PART_MICROSECOND,
    PART_NANOSECOND,
};

static enum part part_of(struct bytes s)
{
    static const char *const names[] = {
        [PART_YEAR] = "year",
        [PART_QUARTER] = "quarter",
        [PART_MONTH] = "month",
        [PART_WEEK] = "week",
        [PART_DAY] = "day",
        [PART_DAYOFYEAR] = "dayofyear",
        [PART_HOUR] = "hour",
        [PART_MINUTE] = "minute",
        [PART_SECOND] = "second",
        [PART_MILLISECOND] = "millisecond",
        [PART_MICROSECOND] = "microsecond",
        [PART_NANOSECOND] = "nanosecond",
    };
    for (int p = PART_YEAR; p <= PART_NANOSECOND; p++) {
        if (bytes_eq_nocase(s, names[p])) return (enum part)p;
    }
    return bytes_eq_nocase(s, "week_of_year") || bytes_eq_nocase(s, "weekofyear") ? PART_WEEK
                                                                                  : PART_NONE;
}

static enum err prepare_part(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes s;
    if (!const_str(call, 0, &s) || part_of(s) != PART_NONE) return OK;
    return FAIL_TAG(d, ERR_INVALID, "SEM0100", "%s(): '%.*s' is no part of a datetime",
                    call->fn->name, (int)(s.len < 50 ? s.len : 50), (const char *)s.p);
}

/* --- parts ------------------------------------------------------------------------------------ */

static int day_of_year(const struct civil *c)
{
    return (int)(calendar_days(c->year, c->month, c->day) - calendar_days(c->year, 1, 1)) + 1;
}

/* The week of the year to which its Thursday belongs. */
static int iso_week(int64_t ticks)
{
    struct civil c;
    int64_t day = ticks / TICKS_PER_DAY; /* day 0 was a Monday */
    int64_t thursday = day - day % 7 + 3;
    if (thursday * TICKS_PER_DAY > TICKS_MAX) return 53; /* the last Thursday is still in 9999 */
    calendar_split(thursday * TICKS_PER_DAY, &c);
    return (day_of_year(&c) - 1) / 7 + 1;
}

static int64_t part_value(enum part p, int64_t ticks)
{
    struct civil c;
    calendar_split(ticks, &c);
    switch (p) {
    case PART_YEAR: return c.year;
    case PART_QUARTER: return (c.month - 1) / 3 + 1;
    case PART_MONTH: return c.month;
    case PART_WEEK: return iso_week(ticks);
    case PART_DAY: return c.day;
    case PART_DAYOFYEAR: return day_of_year(&c);
    case PART_HOUR: return c.hour;
    case PART_MINUTE: return c.minute;
    case PART_SECOND: return c.second;
    case PART_MILLISECOND: return c.ticks / 10000;
    case PART_MICROSECOND: return c.ticks / 10;
    case PART_NANOSECOND: return (int64_t)c.ticks * 100;
    default: return 0;
    }
}

static enum err all_parts(struct fn_cx *cx, enum part p, const struct vec *v, uint32_t n,
                          struct vec *out)
{
    void *data;
    TRY(out_flat(cx, T_INT, n, out, &data));
    for (uint32_t i = 0; i < n; i++) {
        if (!vec_null(v, i)) ((int64_t *)data)[i] = part_value(p, vec_i64(v, i));
    }
    return OK;
}

#define PART(name, part)                             \
    EVAL(name)                                       \
    {                                                \
        (void)call;                                  \
        return all_parts(cx, part, args[0], n, out); \
    }
PART(eval_year, PART_YEAR)
PART(eval_month, PART_MONTH)
PART(eval_day, PART_DAY)
PART(eval_dayofyear, PART_DAYOFYEAR)
PART(eval_hour, PART_HOUR)
PART(eval_week, PART_WEEK)

EVAL(eval_part)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_INT, n);
    for (uint32_t i = 0; i < n; i++) {
        enum part p = part_of(vec_str(args[0], i));
        if (p == PART_NONE || vec_null(args[1], i)) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, part_value(p, vec_i64(args[1], i)));
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* Days since Sunday. The original has no answer for the week in which its calendar ends. */
EVAL(eval_dayofweek)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_TIMESPAN, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t day = vec_i64(args[0], i) / TICKS_PER_DAY, of_week = (day + 1) % 7;
        if ((day - of_week + 7) * TICKS_PER_DAY > TICKS_MAX) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, of_week * TICKS_PER_DAY);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- starts and ends -------------------------------------------------------------------------- */

static bool month_start(int64_t year, int64_t month,
                        int64_t *ticks) /* month from 0, may overflow */
{
    year += month >= 0 ? month / 12 : -((11 - month) / 12);
    month = (month % 12 + 12) % 12;
    if (year < 1 || year > 10000 || (year == 10000 && month > 0)) return false;
    *ticks = calendar_days((int)year, (int)month + 1, 1) * TICKS_PER_DAY;
    return true;
}

/* The first tick of the unit in which t lies, offset units later. It may be the one after the last.
 */
static bool unit_start(char unit, int64_t t, int64_t offset, int64_t *out)
{
    struct civil c;
    int64_t day = t / TICKS_PER_DAY;
    if (offset > 4000000 || offset < -4000000) return false;
    calendar_split(t, &c);
    switch (unit) {
    case 'd': *out = (day + offset) * TICKS_PER_DAY; break;
    case 'w': *out = (day - (day + 1) % 7 + offset * 7) * TICKS_PER_DAY; break;
    case 'm':
        if (!month_start(c.year, c.month - 1 + offset, out)) return false;
        break;
    default:
        if (!month_start(c.year + offset, 0, out)) return false;
        break;
    }
    return *out <= TICKS_MAX + 1;
}

/* startofday, endofweek ...: the names say which. */
EVAL(eval_bound)
{
    struct vecb b;
    bool end = call->fn->name[0] == 'e';
    char unit = call->fn->name[strlen(end ? "endof" : "startof")];
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t offset = call->n_args > 1 ? vec_i64(args[1], i) : 0, t;
        if (__builtin_add_overflow(offset, end, &offset) ||
            !unit_start(unit, vec_i64(args[0], i), offset, &t) || (t -= end) < 0 || t > TICKS_MAX) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, t);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- adding and differences ------------------------------------------------------------------- */

static int64_t part_ticks(enum part p)
{
    switch (p) {
    case PART_WEEK: return 7 * TICKS_PER_DAY;
    case PART_DAY:
    case PART_DAYOFYEAR: return TICKS_PER_DAY;
    case PART_HOUR: return TICKS_PER_H;
    case PART_MINUTE: return TICKS_PER_MIN;
    case PART_SECOND: return TICKS_PER_S;
    case PART_MILLISECOND: return TICKS_PER_MS;
    case PART_MICROSECOND: return 10;
    default: return 0;
    }
}

/* The day stays within the month that it is moved to. */
static bool add_months(int64_t t, int64_t months, int64_t *out)
{
    struct civil c, at;
    if (months > 120000 || months < -120000) return false;
    calendar_split(t, &c);
    if (!month_start(c.year, c.month - 1 + months, out) || *out < 0 || *out > TICKS_MAX)
        return false;
    calendar_split(*out, &at);
    int days = calendar_month_days(at.year, at.month);
    *out += ((c.day < days ? c.day : days) - 1) * TICKS_PER_DAY + t % TICKS_PER_DAY;
    return true;
}

static bool add_part(enum part p, int64_t amount, int64_t t, int64_t *out)
{
    int64_t ticks, months = p == PART_YEAR ? 12 : p == PART_QUARTER ? 3 : p == PART_MONTH ? 1 : 0;
    if (p == PART_NONE) return false;
    if (months != 0)
        return !__builtin_mul_overflow(amount, months, &months) && add_months(t, months, out);
    if (p == PART_NANOSECOND) {
        ticks = amount / 100;
    } else if (__builtin_mul_overflow(amount, part_ticks(p), &ticks)) {
        return false;
    }
    return !__builtin_add_overflow(t, ticks, out) && *out >= 0 && *out <= TICKS_MAX;
}

EVAL(eval_add)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t t;
        if (add_part(part_of(vec_str(args[0], i)), vec_i64(args[1], i), vec_i64(args[2], i), &t)) {
            vecb_i64(&b, t);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* How many boundaries of the unit lie between: 23:59 and 00:01 are a day apart. */
static int64_t part_index(enum part p, int64_t t)
{
    struct civil c;
    calendar_split(t, &c);
    switch (p) {
    case PART_YEAR: return c.year;
    case PART_QUARTER: return c.year * 4LL + (c.month - 1) / 3;
    case PART_MONTH: return c.year * 12LL + c.month;
    case PART_WEEK: return (t / TICKS_PER_DAY + 1) / 7;
    case PART_NANOSECOND: return t;
    default: return part_ticks(p) != 0 ? t / part_ticks(p) : 0;
    }
}

/* The original counts weeks in a real. */
static enum type ret_diff(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)args, (void)n;
    bool week =
        consts[0] != NULL && consts[0]->type == T_STRING && part_of(consts[0]->s) == PART_WEEK;
    return week ? T_REAL : T_LONG;
}

EVAL(eval_diff)
{
    struct vecb b;
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        enum part p = part_of(vec_str(args[0], i));
        if (p == PART_NONE || vec_null(args[1], i) || vec_null(args[2], i)) {
            vecb_null(&b);
            continue;
        }
        int64_t diff = part_index(p, vec_i64(args[1], i)) - part_index(p, vec_i64(args[2], i));
        /* 292 years of nanoseconds fit; what does not is no number. */
        bool fits = p != PART_NANOSECOND || !__builtin_mul_overflow(diff, 100, &diff);
        if (!fits) {
            vecb_null(&b);
        } else if (call->ret == T_REAL) {
            vecb_r64(&b, (double)diff);
        } else {
            vecb_i64(&b, diff);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- now -------------------------------------------------------------------------------------- */

EVAL(eval_now)
{
    struct vecb b;
    bool ago = call->fn->name[0] == 'a';
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t offset = call->n_args != 0 ? vec_i64(args[0], i) : 0, t;
        bool null = call->n_args != 0 && vec_null(args[0], i);
        bool over = ago ? __builtin_sub_overflow(cx->now_ticks, offset, &t)
                        : __builtin_add_overflow(cx->now_ticks, offset, &t);
        if (null || over || t < 0 || t > TICKS_MAX) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, t);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

#define BOUND(name_, doc_, example_, expect_) \
    FN(name_, 1, 2, T_DATETIME, STRICT, eval_bound, doc_, example_, expect_, ARG_DATETIME, ARG_LONG)
#define OF(name_, eval_, doc_, example_, expect_) \
    FN(name_, 1, 1, T_INT, STRICT, eval_, doc_, example_, expect_, ARG_DATETIME)
#define AT "datetime(2020-06-15 13:45:09.5)"

#define PART_OF(name_, doc_)                                                               \
    {                                                                                      \
        .name = name_, .arity_min = 2, .arity_max = 2, .args = {ARG_STRING, ARG_DATETIME}, \
        .ret = T_INT, .eval = eval_part, .prepare = prepare_part, .doc = doc_,             \
        .example = name_ "('dayOfYear', " AT ")", .expect = "167"                          \
    }

static const struct fn rows[] = {
    FN("ago", 1, 1, T_DATETIME, STRICT, eval_now, "The moment so long before now.",
       "ago(1h) < now()", "True", ARG_TIMESPAN),
    {.name = "datetime_add",
     .arity_min = 3,
     .arity_max = 3,
     .args = {ARG_STRING, ARG_LONG, ARG_DATETIME},
     .ret = T_DATETIME,
     .flags = STRICT,
     .eval = eval_add,
     .prepare = prepare_part,
     .doc = "A moment moved by so many years, months, days ...",
     .example = "datetime_add('month', -1, datetime(2020-03-31))",
     .expect = "2020-02-29T00:00:00.0000000Z"},
    {.name = "datetime_diff",
     .arity_min = 3,
     .arity_max = 3,
     .args = {ARG_STRING, ARG_DATETIME, ARG_DATETIME},
     .ret_of = ret_diff,
     .eval = eval_diff,
     .prepare = prepare_part,
     .doc = "How many boundaries of a unit lie between two moments.",
     .example = "datetime_diff('day', datetime(2020-03-01), datetime(2020-02-28 23:59))",
     .expect = "2"},
    PART_OF("datetime_part", "A part of a moment as a number."),
    PART_OF("datepart", "The same as datetime_part()."),
    OF("dayofmonth", eval_day, "The day of the month.", "dayofmonth(" AT ")", "15"),
    FN("dayofweek", 1, 1, T_TIMESPAN, STRICT, eval_dayofweek, "The span since Sunday, in days.",
       "dayofweek(" AT ")", "1.00:00:00", ARG_DATETIME),
    OF("dayofyear", eval_dayofyear, "The day of the year.", "dayofyear(" AT ")", "167"),
    BOUND("endofday", "The last tick of the day, or of one so many days later.", "endofday(" AT ")",
          "2020-06-15T23:59:59.9999999Z"),
    BOUND("endofmonth", "The last tick of the month.", "endofmonth(" AT ")",
          "2020-06-30T23:59:59.9999999Z"),
    BOUND("endofweek", "The last tick of the week, a Saturday's.", "endofweek(" AT ")",
          "2020-06-20T23:59:59.9999999Z"),
    BOUND("endofyear", "The last tick of the year.", "endofyear(" AT ")",
          "2020-12-31T23:59:59.9999999Z"),
    OF("getmonth", eval_month, "The month, 1 to 12.", "getmonth(" AT ")", "6"),
    OF("getyear", eval_year, "The year.", "getyear(" AT ")", "2020"),
    OF("hourofday", eval_hour, "The hour of the day.", "hourofday(" AT ")", "13"),
    OF("monthofyear", eval_month, "The month, 1 to 12.", "monthofyear(" AT ")", "6"),
    FN("now", 0, 1, T_DATETIME, 0, eval_now,
       "The moment at which the query began, moved by a span.", "now(-1h) < now()", "True",
       ARG_TIMESPAN),
    BOUND("startofday", "The first tick of the day, or of one so many days later.",
          "startofday(" AT ", 1)", "2020-06-16T00:00:00.0000000Z"),
    BOUND("startofmonth", "The first tick of the month.", "startofmonth(" AT ")",
          "2020-06-01T00:00:00.0000000Z"),
    BOUND("startofweek", "The first tick of the week, a Sunday's.", "startofweek(" AT ")",
          "2020-06-14T00:00:00.0000000Z"),
    BOUND("startofyear", "The first tick of the year.", "startofyear(" AT ")",
          "2020-01-01T00:00:00.0000000Z"),
    OF("week_of_year", eval_week, "The week of the year by ISO 8601.", "week_of_year(" AT ")",
       "25"),
    OF("weekofyear", eval_week, "The same as week_of_year().", "weekofyear(" AT ")", "25"),
};
const struct fn_family fn_datetime = FAMILY(rows);
