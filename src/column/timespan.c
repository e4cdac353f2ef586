/* SPDX-License-Identifier: Apache-2.0 */
/* column/timespan.c - text of spans: [-][d.]hh:mm:ss[.fffffff] and 2.5h */
#include "column/calendar.h"
#include "column/scan.h"

#include <math.h>
#include <stdio.h>

static int64_t unit_ticks(struct bytes u)
{
    static const struct {
        const char *name;
        int64_t ticks;
    } units[] = {
        {"d", TICKS_PER_DAY},
        {"day", TICKS_PER_DAY},
        {"days", TICKS_PER_DAY},
        {"h", TICKS_PER_H},
        {"hr", TICKS_PER_H},
        {"hrs", TICKS_PER_H},
        {"hour", TICKS_PER_H},
        {"hours", TICKS_PER_H},
        {"m", TICKS_PER_MIN},
        {"min", TICKS_PER_MIN},
        {"minute", TICKS_PER_MIN},
        {"minutes", TICKS_PER_MIN},
        {"s", TICKS_PER_S},
        {"sec", TICKS_PER_S},
        {"second", TICKS_PER_S},
        {"seconds", TICKS_PER_S},
        {"ms", TICKS_PER_MS},
        {"milli", TICKS_PER_MS},
        {"millis", TICKS_PER_MS},
        {"millisecond", TICKS_PER_MS},
        {"milliseconds", TICKS_PER_MS},
        {"us", 10},
        {"micro", 10},
        {"micros", 10},
        {"microsecond", 10},
        {"microseconds", 10},
        {"tick", 1},
        {"ticks", 1},
    };
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (bytes_eq_nocase(u, units[i].name)) return units[i].ticks;
    }
    return 0;
}

/* 2h, 2.5 hours */
static bool parse_unit(struct bytes s, bool negative, int64_t *ticks)
{
    size_t n = 0;
    while (n < s.len && (ch_digit(s.p[n]) || s.p[n] == '.'))
        n++;
    int64_t unit = unit_ticks(bytes_trim(bytes_of(s.p + n, s.len - n)));
    double v;
    if (unit == 0 || n == 0 || !real_parse(bytes_of(s.p, n), &v)) return false;
    if (v == floor(v) && v < 9e15) {
        int64_t t;
        if (__builtin_mul_overflow((int64_t)v, unit, &t)) return false;
        *ticks = negative ? -t : t;
        return true;
    }
    double t = nearbyint(v * (double)unit);
    if (!(t < 9.2e18)) return false;
    *ticks = negative ? -(int64_t)t : (int64_t)t;
    return true;
}

/* d | [d.]hh:mm[:ss[.f]] */
static bool parse_clock(struct bytes s, bool negative, int64_t *ticks)
{
    struct rd r = rd_from(s);
    int64_t days = 0, hours, minutes, seconds = 0, v;
    int fraction = 0;
    if (scan_digits(&r, 8, &v) == 0) return false;
    if (r.p == r.end) {
        days = v;
        hours = minutes = 0;
    } else {
        hours = v;
        if (scan_char(&r, '.')) {
            days = v;
            if (scan_digits(&r, 2, &hours) == 0) return false;
        }
        if (!scan_char(&r, ':') || scan_digits(&r, 2, &minutes) == 0) return false;
        if (scan_char(&r, ':')) {
            if (scan_digits(&r, 2, &seconds) == 0) return false;
            if (scan_char(&r, '.') && !scan_fraction(&r, &fraction)) return false;
        }
    }
    if (r.p != r.end || hours > 23 || minutes > 59 || seconds > 59) return false;
    int64_t t = hours * TICKS_PER_H + minutes * TICKS_PER_MIN + seconds * TICKS_PER_S + fraction;
    /* Downwards, because the most negative span has no positive twin. */
    if (__builtin_mul_overflow(-days, TICKS_PER_DAY, &v) || __builtin_sub_overflow(v, t, &t))
        return false;
    if (!negative && t == INT64_MIN) return false;
    *ticks = negative ? t : -t;
    return true;
}

bool timespan_parse(struct bytes s, int64_t *ticks)
{
    s = bytes_trim(s);
    if (s.len == 0) return false;
    bool negative = s.p[0] == '-';
    if (negative || s.p[0] == '+') s = bytes_of(s.p + 1, s.len - 1);
    return parse_clock(s, negative, ticks) || parse_unit(s, negative, ticks);
}

void timespan_format(int64_t ticks, struct buf *out)
{
    uint64_t t = ticks < 0 ? 0 - (uint64_t)ticks : (uint64_t)ticks;
    char text[48];
    char *p = text, *end = text + sizeof text;
    if (ticks < 0) *p++ = '-';
    uint64_t days = t / TICKS_PER_DAY;
    if (days != 0) p += snprintf(p, (size_t)(end - p), "%llu.", (unsigned long long)days);
    p += snprintf(p, (size_t)(end - p), "%02u:%02u:%02u", (unsigned)(t / TICKS_PER_H % 24),
                  (unsigned)(t / TICKS_PER_MIN % 60), (unsigned)(t / TICKS_PER_S % 60));
    unsigned fraction = (unsigned)(t % TICKS_PER_S);
    if (fraction != 0) p += snprintf(p, (size_t)(end - p), ".%07u", fraction);
    buf_bytes(out, bytes_of(text, (size_t)(p - text)));
}
