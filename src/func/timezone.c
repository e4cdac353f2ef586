/* SPDX-License-Identifier: Apache-2.0 */
/* func/timezone.c - reads TZif files and the POSIX rule in their footer */
#include "func/timezone.h"

#include "base/os.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>

#define ZONES     "/usr/share/zoneinfo/"
#define FILE_MAX  ((size_t)1 << 20)
#define NAME_MAX_ 64
#define EPOCH_S   (TICKS_UNIX / TICKS_PER_S)

struct change { /* from `at` (UTC, seconds since 1970) on, clocks are `offset` ahead */
    int64_t at;
    int32_t before, offset;
};
struct day { /* M month.week.weekday, at seconds of the day */
    int month, week, weekday;
    int32_t time;
    bool set;
};
struct timezone {
    struct change *changes;
    uint32_t n;
    int32_t first;    /* before the first change */
    int32_t std, dst; /* of the footer */
    struct day start, end;
    bool rule, summer; /* there is a footer; it has two offsets */
};

void timezone_free(struct timezone *tz)
{
    if (tz != NULL) free(tz->changes);
    free(tz);
}

/* --- the footer ------------------------------------------------------------------------------- */

static bool skip_name(const char **p)
{
    if (**p == '<') {
        const char *end = strchr(*p, '>');
        if (end == NULL) return false;
        *p = end + 1;
        return true;
    }
    const char *from = *p;
    while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z'))
        ++*p;
    return *p > from;
}

/* [+-]hh[:mm[:ss]] */
static bool read_time(const char **p, int32_t *out)
{
    int sign = **p == '-' ? -1 : 1;
    int32_t unit = 3600, sum = 0;
    if (**p == '-' || **p == '+') ++*p;
    for (; unit > 0; unit /= 60) {
        char *end;
        long v = strtol(*p, &end, 10);
        if (end == *p || v < 0 || v > 167) return false;
        sum += (int32_t)v * unit;
        *p = end;
        if (*end != ':') break;
        ++*p;
    }
    *out = sign * sum;
    return true;
}

static bool read_day(const char **p, struct day *day)
{
    int used = 0;
    if (sscanf(*p, ",M%d.%d.%d%n", &day->month, &day->week, &day->weekday, &used) != 3)
        return false;
    *p += used;
    day->time = 7200;
    if (**p == '/') {
        ++*p;
        if (!read_time(p, &day->time)) return false;
    }
    day->set = day->month >= 1 && day->month <= 12 && day->week >= 1 && day->week <= 5 &&
               day->weekday >= 0 && day->weekday <= 6;
    return day->set;
}

/* EST5EDT,M3.2.0,M11.1.0: offsets are written west of Greenwich. */
static bool read_rule(struct timezone *tz, const char *p)
{
    int32_t west;
    if (!skip_name(&p) || !read_time(&p, &west)) return false;
    tz->std = -west;
    tz->rule = true;
    if (*p == 0) return true;
    if (!skip_name(&p)) return false;
    tz->dst = tz->std + 3600;
    if (*p != ',') {
        if (!read_time(&p, &west)) return false;
        tz->dst = -west;
    }
    tz->summer = true;
    return read_day(&p, &tz->start) && read_day(&p, &tz->end);
}

/* --- the file --------------------------------------------------------------------------------- */

static int64_t be(const uint8_t *p, int n)
{
    uint64_t v = (p[0] & 0x80) != 0 ? ~(uint64_t)0 : 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

struct counts {
    size_t utc, std, leap, time, type, chars;
};

static bool read_header(struct bytes b, size_t at, struct counts *c)
{
    if (b.len < at + 44 || memcmp(b.p + at, "TZif", 4) != 0) return false;
    const uint8_t *p = b.p + at + 20;
    *c = (struct counts){(size_t)be(p, 4),      (size_t)be(p + 4, 4),  (size_t)be(p + 8, 4),
                         (size_t)be(p + 12, 4), (size_t)be(p + 16, 4), (size_t)be(p + 20, 4)};
    return c->time < FILE_MAX && c->type < 256 && c->type > 0 && c->leap < FILE_MAX &&
           c->chars < FILE_MAX && c->utc < FILE_MAX && c->std < FILE_MAX;
}

static size_t body_size(const struct counts *c, size_t width)
{
    return c->time * (width + 1) + c->type * 6 + c->chars + c->leap * (width + 4) + c->std + c->utc;
}

/* The second part, with times of 64 bits: at its header. */
static bool read_changes(struct timezone *tz, struct bytes b, size_t at)
{
    struct counts c;
    if (!read_header(b, at, &c) || b.len - at - 44 < body_size(&c, 8)) return false;
    const uint8_t *times = b.p + at + 44, *index = times + c.time * 8, *types = index + c.time;
    tz->changes = calloc(c.time + 1, sizeof *tz->changes);
    if (tz->changes == NULL) return false;
    int32_t offset = tz->first = (int32_t)be(types, 4);
    for (size_t i = 0; i < c.time; i++) {
        if (index[i] >= c.type) return false;
        int32_t to = (int32_t)be(types + index[i] * 6, 4);
        tz->changes[tz->n++] = (struct change){be(times + i * 8, 8), offset, to};
        offset = to;
    }
    size_t footer = at + 44 + body_size(&c, 8);
    char rule[128];
    if (b.len - footer < 2 || b.len - footer > sizeof rule || b.p[footer] != '\n') return true;
    size_t len = b.len - footer - 2;
    memcpy(rule, b.p + footer + 1, len);
    rule[len] = 0;
    return len == 0 || read_rule(tz, rule);
}

static bool name_ok(struct bytes name)
{
    if (name.len == 0 || name.len > NAME_MAX_) return false;
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = name.p[i];
        bool ok = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '+' || c == '-' || (c == '/' && i > 0);
        if (!ok) return false;
    }
    return true;
}

enum err timezone_open(struct timezone **out, struct bytes name, struct diag *d)
{
    char path[sizeof ZONES + NAME_MAX_];
    CLEANUP_BUF struct buf file = {0};
    struct counts c;
    if (!name_ok(name)) return FAIL(d, ERR_NOT_FOUND, "this is no name of a time zone");
    snprintf(path, sizeof path, ZONES "%.*s", (int)name.len, (const char *)name.p);
    if (os_read_file(path, FILE_MAX, &file, NULL) != OK)
        return FAIL(d, ERR_NOT_FOUND, "there is no time zone %s", path + strlen(ZONES));
    struct timezone *tz = calloc(1, sizeof *tz);
    if (tz == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    struct bytes b = buf_view(&file);
    if (!read_header(b, 0, &c) || !read_changes(tz, b, 44 + body_size(&c, 4))) {
        timezone_free(tz);
        return FAIL(d, ERR_NOT_FOUND, "there is no time zone %s", path + strlen(ZONES));
    }
    *out = tz;
    return OK;
}

/* --- offsets ---------------------------------------------------------------------------------- */

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t year_of(int64_t seconds)
{
    int64_t days = seconds / 86400 - (seconds % 86400 < 0), year = 1970 + days / 366;
    while (days_of(year + 1, 1, 1) <= days)
        year++;
    return year;
}

/* When the day's time comes, by the clock that the change ends: seconds since 1970, local. */
static int64_t change_of(const struct day *d, int64_t year)
{
    int64_t first = days_of(year, d->month, 1);
    int weekday = (int)((first % 7 + 11) % 7); /* 1970-01-01 was a Thursday */
    int64_t day = first + (d->weekday - weekday + 7) % 7 + (d->week - 1) * 7;
    int64_t next = d->month == 12 ? days_of(year + 1, 1, 1) : days_of(year, d->month + 1, 1);
    while (day >= next)
        day -= 7;
    return day * 86400 + d->time;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When a change counts as passed: in UTC, or by the local clock. */
static int64_t moment(int64_t at, int32_t before, int32_t after, bool local)
{
    return local ? at + smaller(before, after) : at;
}

static int32_t rule_offset(const struct timezone *tz, int64_t s, bool local)
{
    if (!tz->summer) return tz->std;
    int64_t year = year_of(local ? s : s + tz->std);
    int64_t start = moment(change_of(&tz->start, year) - tz->std, tz->std, tz->dst, local);
    int64_t end = moment(change_of(&tz->end, year) - tz->dst, tz->dst, tz->std, local);
    bool in = start < end ? s >= start && s < end : s >= start || s < end;
    return in ? tz->dst : tz->std;
}

static int64_t offset(const struct timezone *tz, int64_t ticks, bool local)
{
    int64_t s = ticks / TICKS_PER_S - EPOCH_S;
    uint32_t low = 0, high = tz->n; /* changes[0, low) have passed */
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct change *c = &tz->changes[mid];
        if (moment(c->at, c->before, c->offset, local) <= s) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    int32_t r = low == 0 ? tz->first : tz->changes[low - 1].offset;
    if (low == tz->n && tz->rule) r = rule_offset(tz, s, local);
    return (int64_t)r * TICKS_PER_S;
}

int64_t timezone_offset_utc(const struct timezone *tz, int64_t utc)
{
    return offset(tz, utc, false);
}

int64_t timezone_offset_local(const struct timezone *tz, int64_t local)
{
    return offset(tz, local, true);
}

/* --- names ------------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The zone ("Z name ...") or link ("L target name") that a line of tzdata.zi makes; else NULL. */
static char *name_in(char *line)
{
    char *save = NULL, *kind = strtok_r(line, " ", &save), *word;
    if (kind == NULL || (strcmp(kind, "Z") != 0 && strcmp(kind, "L") != 0)) return NULL;
    word = strtok_r(NULL, " ", &save);
    if (kind[0] == 'L') word = strtok_r(NULL, " ", &save);
    return word != NULL && strcmp(word, "Factory") != 0 ? word : NULL;
}

enum err timezone_names(struct buf *out, struct diag *d)
{
    CLEANUP_BUF struct buf file = {0};
    char *save = NULL, **names;
    size_t n = 0;
    TRY(os_read_file(ZONES "tzdata.zi", FILE_MAX, &file, d));
    buf_u8(&file, 0);
    names = calloc(file.len / 4 + 1, sizeof *names);
    if (names == NULL || file.bad) {
        free(names);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    for (char *line = strtok_r((char *)file.p, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *name = name_in(line);
        if (name != NULL) names[n++] = name;
    }
    qsort(names, n, sizeof *names, by_name);
    for (size_t i = 0; i < n; i++)
        buf_fmt(out, "%s\n", names[i]);
    free(names);
    return OK;
}
