/* SPDX-License-Identifier: Apache-2.0 */
/* api/timespan.c - ISO 8601 intervals */
#include "api/timespan.h"

#include <math.h>

#define DAY_TICKS (86400 * TICKS_PER_S)

static int64_t unit_ticks(char unit, bool in_time)
{
    switch (unit) {
    case 'Y': return in_time ? 0 : 365 * DAY_TICKS;
    case 'M': return in_time ? 60 * TICKS_PER_S : 30 * DAY_TICKS;
    case 'W': return in_time ? 0 : 7 * DAY_TICKS;
    case 'D': return in_time ? 0 : DAY_TICKS;
    case 'H': return in_time ? 3600 * TICKS_PER_S : 0;
    case 'S': return in_time ? TICKS_PER_S : 0;
    default: return 0;
    }
}

/* Digits with an optional fraction, which may begin with a comma too. */
static bool read_number(struct rd *r, double *out)
{
    double value = 0, scale = 1;
    bool fraction = false;
    const uint8_t *start = r->p;
    for (; r->p < r->end; r->p++) {
        if (*r->p >= '0' && *r->p <= '9') {
            value = value * 10 + (*r->p - '0');
            if (fraction) scale *= 10;
        } else if ((*r->p == '.' || *r->p == ',') && !fraction) {
            fraction = true;
        } else {
            break;
        }
    }
    *out = value / scale;
    return r->p != start && isfinite(*out);
}

bool iso_duration_parse(struct bytes s, int64_t *ticks)
{
    struct rd r = rd_from(s);
    double sum = 0;
    bool in_time = false, any = false;
    if (r.p == r.end || *r.p++ != 'P') return false;
    while (r.p < r.end) {
        if (*r.p == 'T' && !in_time) {
            in_time = true;
            any = false;
            r.p++;
            continue;
        }
        double n;
        if (!read_number(&r, &n) || r.p == r.end) return false;
        int64_t unit = unit_ticks((char)*r.p++, in_time);
        if (unit == 0) return false;
        sum += n * (double)unit;
        any = true;
    }
    if (!any || sum > (double)TICKS_MAX) return false;
    *ticks = (int64_t)sum;
    return true;
}

static enum err bad(struct bytes part, struct diag *d)
{
    return FAIL(d, ERR_INVALID, "timespan: '%.*s' is neither a time nor a duration of ISO 8601",
                (int)(part.len < 80 ? part.len : 80), (const char *)part.p);
}

enum err timespan_range(const char *text, int64_t now_ticks, int64_t *from, int64_t *to,
                        struct diag *d)
{
    const char *slash = strchr(text, '/');
    struct bytes a = bytes_of(text, slash != NULL ? (size_t)(slash - text) : strlen(text));
    int64_t t1 = 0, t2 = 0, span = 0;
    if (slash == NULL) {
        if (!iso_duration_parse(a, &span)) return bad(a, d);
        t2 = now_ticks;
        t1 = t2 > span ? t2 - span : 0;
    } else {
        struct bytes b = bytes_str(slash + 1);
        bool a_is_span = iso_duration_parse(a, &span);
        if (!a_is_span && !datetime_parse(a, &t1)) return bad(a, d);
        bool b_is_span = !a_is_span && iso_duration_parse(b, &span);
        if (!b_is_span && !datetime_parse(b, &t2)) return bad(b, d);
        if (a_is_span) t1 = t2 > span ? t2 - span : 0;
        if (b_is_span) t2 = span < TICKS_MAX - t1 ? t1 + span : TICKS_MAX;
    }
    if (t1 > t2) return FAIL(d, ERR_INVALID, "timespan: it ends before it begins");
    *from = t1;
    *to = t2;
    return OK;
}
