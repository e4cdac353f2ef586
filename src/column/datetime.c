/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/datetime.c - text of moments
 *
 * Read: ISO 8601 and its loose relatives (2026-03-01, 2026-03-01 12:30:05.5+02:00, 2026/3/1,
 * 2026-03, 20260301), month names as RFC 822 and 850 write them (Sat, 08 Nov 14 15:05:02 UTC;
 * 8-Nov-2014; November 8, 2014), and 3/1/2026 with month first, or day first where only that is
 * possible.
 */
#include "column/calendar.h"
#include "column/scan.h"

#include <stdio.h>

static int month_of(struct bytes word)
{
    static const char *const names[] = {"january",   "february", "march",    "april",
                                        "may",       "june",     "july",     "august",
                                        "september", "october",  "november", "december"};
    if (word.len < 3) return 0;
    for (int m = 0; m < 12; m++) {
        size_t len = strlen(names[m]);
        if (word.len != 3 && word.len != len && !(m == 8 && word.len == 4)) continue;
        bool same = true;
        for (size_t i = 0; i < word.len; i++)
            same &= ch_lower(word.p[i]) == (uint8_t)names[m][i];
        if (same) return m + 1;
    }
    return 0;
}

static bool is_weekday(struct bytes w)
{
    static const char *const names[] = {"sunday",   "monday", "tuesday", "wednesday",
                                        "thursday", "friday", "saturday"};
    for (int i = 0; i < 7; i++) {
        if (bytes_eq_nocase(w, names[i])) return true;
        if (w.len == 3 && ch_lower(w.p[0]) == (uint8_t)names[i][0] &&
            ch_lower(w.p[1]) == (uint8_t)names[i][1] && ch_lower(w.p[2]) == (uint8_t)names[i][2]) {
            return true;
        }
    }
    return false;
}

/* Two digits mean 1950..2049, as .NET has it. */
static int year_of(int64_t v, int digits)
{
    if (digits > 2) return (int)v;
    return (int)(v < 50 ? 2000 + v : 1900 + v);
}

static bool scan_separator(struct rd *r)
{
    scan_spaces(r);
    if (scan_char(r, '-') || scan_char(r, '/') || scan_char(r, '.') || scan_char(r, ',')) {
        scan_spaces(r);
        return true;
    }
    return false;
}

/* 8 Nov 2014, 08-Nov-14: the day has been read. */
static bool scan_named_day_first(struct rd *r, int64_t day, struct civil *c)
{
    int64_t v;
    c->day = (int)day;
    if ((c->month = month_of(scan_word(r))) == 0) return false;
    (void)scan_separator(r);
    int n = scan_digits(r, 4, &v);
    if (n < 2) return false;
    c->year = year_of(v, n);
    return true;
}

/* November 8, 2014: the month has been read. */
static bool scan_named_month_first(struct rd *r, int month, struct civil *c)
{
    int64_t v;
    c->month = month;
    (void)scan_separator(r);
    if (scan_digits(r, 2, &v) == 0) return false;
    c->day = (int)v;
    (void)scan_separator(r);
    int n = scan_digits(r, 4, &v);
    if (n < 2) return false;
    c->year = year_of(v, n);
    return true;
}

/* 3/1/2026: month first, day first where the first number is no month. */
static bool scan_year_last(struct rd *r, int64_t first, struct civil *c)
{
    int64_t second, year;
    if (scan_digits(r, 2, &second) == 0 || !scan_separator(r)) return false;
    int n = scan_digits(r, 4, &year);
    if (n < 2) return false;
    c->year = year_of(year, n);
    c->month = (int)(first > 12 ? second : first);
    c->day = (int)(first > 12 ? first : second);
    return true;
}

static bool scan_year_first(struct rd *r, int64_t year, struct civil *c)
{
    int64_t v;
    c->year = (int)year;
    if (r->p == r->end) return true;
    if (!scan_separator(r) || scan_digits(r, 2, &v) == 0) return false;
    c->month = (int)v;
    if (r->p == r->end) return true;
    if (!scan_separator(r) || scan_digits(r, 2, &v) == 0) return false;
    c->day = (int)v;
    return true;
}

static bool scan_date(struct rd *r, struct civil *c)
{
    int64_t v;
    struct bytes word = scan_word(r);
    if (word.len != 0) {
        int month = month_of(word);
        if (month != 0) return scan_named_month_first(r, month, c);
        if (!is_weekday(word)) return false;
        (void)scan_separator(r);
        struct bytes next = scan_word(r);
        if (next.len != 0)
            return (month = month_of(next)) != 0 && scan_named_month_first(r, month, c);
    }
    int n = scan_digits(r, 8, &v);
    if (n == 8) {
        *c = (struct civil){
            .year = (int)(v / 10000), .month = (int)(v / 100 % 100), .day = (int)(v % 100)};
        return true;
    }
    if (n == 4) return scan_year_first(r, v, c);
    if (n == 0 || n > 2) return false;
    bool separated = scan_separator(r);
    if (r->p < r->end && ch_alpha(*r->p)) return scan_named_day_first(r, v, c);
    return separated && scan_year_last(r, v, c);
}

/* hh:mm[:ss[.fffffff]] [am|pm] */
static bool scan_clock(struct rd *r, struct civil *c)
{
    int64_t v;
    if (scan_digits(r, 2, &v) == 0) return false;
    c->hour = (int)v;
    bool more = false;
    if (scan_char(r, ':')) {
        if (scan_digits(r, 2, &v) == 0) return false;
        c->minute = (int)v;
        more = true;
        if (scan_char(r, ':')) {
            if (scan_digits(r, 2, &v) == 0) return false;
            c->second = (int)v;
            if ((scan_char(r, '.') || scan_char(r, ',')) && !scan_fraction(r, &c->ticks))
                return false;
        }
    }
    struct rd mark = *r;
    scan_spaces(r);
    struct bytes word = scan_word(r);
    bool pm = bytes_eq_nocase(word, "pm"), am = bytes_eq_nocase(word, "am");
    if (!pm && !am) {
        *r = mark;
        return more;
    }
    if (c->hour < 1 || c->hour > 12) return false;
    c->hour = c->hour % 12 + (pm ? 12 : 0);
    return true;
}

/* Nothing, Z, UTC, GMT, +02:00, -0530, +02. */
static bool scan_zone(struct rd *r, int64_t *offset)
{
    *offset = 0;
    scan_spaces(r);
    if (r->p == r->end) return true;
    struct bytes word = scan_word(r);
    if (word.len != 0) {
        if (!bytes_eq_nocase(word, "z") && !bytes_eq_nocase(word, "utc") &&
            !bytes_eq_nocase(word, "gmt")) {
            return false;
        }
        if (r->p == r->end) return true;
    }
    int sign = scan_char(r, '-') ? -1 : scan_char(r, '+') ? 1 : 0;
    int64_t hours, minutes = 0;
    if (sign == 0 || scan_digits(r, 2, &hours) == 0) return false;
    (void)scan_char(r, ':');
    (void)scan_digits(r, 2, &minutes);
    if (hours > 14 || minutes > 59 || r->p != r->end) return false;
    *offset = sign * (hours * TICKS_PER_H + minutes * TICKS_PER_MIN);
    return true;
}

bool datetime_parse(struct bytes s, int64_t *ticks)
{
    struct rd r = rd_from(bytes_trim(s));
    struct civil c = {.month = 1, .day = 1};
    int64_t offset, t;
    if (r.p == r.end || !scan_date(&r, &c)) return false;
    if (r.p < r.end) {
        bool separated = scan_char(&r, 'T') || scan_char(&r, 't') || scan_char(&r, ',');
        const uint8_t *mark = r.p;
        scan_spaces(&r);
        if (!separated && r.p == mark && *r.p != 'Z' && *r.p != 'z') return false;
        if (r.p < r.end && ch_digit(*r.p) && !scan_clock(&r, &c)) return false;
    }
    if (!scan_zone(&r, &offset) || !calendar_join(&c, &t)) return false;
    t -= offset;
    if (t < 0 || t > TICKS_MAX) return false;
    *ticks = t;
    return true;
}

void datetime_format(int64_t ticks, struct buf *out)
{
    struct civil c;
    char text[40];
    calendar_split(ticks < 0 ? 0 : ticks > TICKS_MAX ? TICKS_MAX : ticks, &c);
    int n = snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%07dZ", c.year, c.month,
                     c.day, c.hour, c.minute, c.second, c.ticks);
    buf_bytes(out, bytes_of(text, (size_t)n));
}
