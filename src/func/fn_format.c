/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_format.c - moments, spans and sizes by a format
 *
 * A format is letters of a fixed set and separators between them. Runs of a letter are read from
 * the left, longest known piece first: "dddd" is dd and dd. Anything else in a format is refused.
 */
#include "column/calendar.h"
#include "func/families.h"

#include <math.h>
#include <stdio.h>

#define SEPARATORS " /-:,._[]"

static void put_number(struct buf *out, int64_t v, int width)
{
    buf_fmt(out, "%0*lld", width, (long long)v);
}

/* The first digits of the fraction of a second; F leaves out zeros at the end. */
static void put_fraction(struct buf *out, int ticks, size_t digits, bool trim)
{
    char text[16];
    snprintf(text, sizeof text, "%07d", ticks);
    while (trim && digits != 0 && text[digits - 1] == '0')
        digits--;
    buf_bytes(out, bytes_of(text, digits));
}

/* How many of the letters at f belong together. */
static size_t piece(struct bytes f, size_t max)
{
    size_t n = 1;
    while (n < f.len && n < max && f.p[n] == f.p[0])
        n++;
    return n;
}

static size_t put_date_piece(struct bytes f, const struct civil *c, struct buf *out)
{
    int hour12 = c->hour % 12 == 0 ? 12 : c->hour % 12;
    size_t n;
    switch (f.p[0]) {
    case 'd': put_number(out, c->day, (int)(n = piece(f, 2))); return n;
    case 'M': put_number(out, c->month, (int)(n = piece(f, 2))); return n;
    case 'h': put_number(out, hour12, (int)(n = piece(f, 2))); return n;
    case 'H': put_number(out, c->hour, (int)(n = piece(f, 2))); return n;
    case 'm': put_number(out, c->minute, (int)(n = piece(f, 2))); return n;
    case 's': put_number(out, c->second, (int)(n = piece(f, 2))); return n;
    case 'f':
    case 'F': put_fraction(out, c->ticks, n = piece(f, 7), f.p[0] == 'F'); return n;
    case 'y':
        n = piece(f, 4);
        if (n == 4) {
            put_number(out, c->year, 4);
            return 4;
        }
        n = n >= 2 ? 2 : 1;
        put_number(out, c->year % 100, (int)n);
        return n;
    case 't':
        if (piece(f, 2) < 2) return 0;
        buf_str(out, c->hour < 12 ? "AM" : "PM");
        return 2;
    default: return 0;
    }
}

static size_t put_span_piece(struct bytes f, uint64_t t, struct buf *out)
{
    size_t n;
    switch (f.p[0]) {
    case 'd': put_number(out, (int64_t)(t / TICKS_PER_DAY), (int)(n = piece(f, 8))); return n;
    case 'h':
    case 'H': put_number(out, (int64_t)(t / TICKS_PER_H % 24), (int)(n = piece(f, 2))); return n;
    case 'm': put_number(out, (int64_t)(t / TICKS_PER_MIN % 60), (int)(n = piece(f, 2))); return n;
    case 's': put_number(out, (int64_t)(t / TICKS_PER_S % 60), (int)(n = piece(f, 2))); return n;
    case 'f':
    case 'F': put_fraction(out, (int)(t % TICKS_PER_S), n = piece(f, 7), f.p[0] == 'F'); return n;
    default: return 0;
    }
}

/* False: something in the format is not known. */
static bool put_formatted(struct bytes f, bool span, int64_t ticks, struct buf *out)
{
    struct civil c;
    uint64_t t = ticks < 0 ? 0 - (uint64_t)ticks : (uint64_t)ticks;
    if (span) {
        if (ticks < 0) buf_u8(out, '-');
    } else {
        calendar_split(ticks, &c);
    }
    while (f.len != 0) {
        size_t n = 1;
        if (f.p[0] != 0 && strchr(SEPARATORS, f.p[0]) != NULL) {
            buf_u8(out, f.p[0]);
        } else {
            n = span ? put_span_piece(f, t, out) : put_date_piece(f, &c, out);
        }
        if (n == 0) return false;
        f = bytes_of(f.p + n, f.len - n);
    }
    return true;
}

static enum err bad_format(struct diag *d, const struct fn_call *call, struct bytes f)
{
    return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                    "%s(): the format '%.*s' has a part that is not known", call->fn->name,
                    (int)(f.len < 80 ? f.len : 80), (const char *)f.p);
}

static enum err prepare_format(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    struct bytes f;
    CLEANUP_BUF struct buf scratch = {0};
    if (!const_str(call, 1, &f)) return OK;
    return put_formatted(f, strcmp(call->fn->name, "format_timespan") == 0, 0, &scratch)
               ? OK
               : bad_format(d, call, f);
}

EVAL(eval_format)
{
    CLEANUP_ROWS struct rows_out r;
    bool span = strcmp(call->fn->name, "format_timespan") == 0;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct bytes f = vec_str(args[1], i);
        if (!vec_null(args[0], i) && !put_formatted(f, span, vec_i64(args[0], i), &r.b))
            return bad_format(cx->d, call, f);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- sizes ------------------------------------------------------------------------------------ */

static const char *const units[] = {"Bytes", "KB", "MB", "GB", "TB", "PB", "EB"};
#define N_UNITS (sizeof units / sizeof *units)

static void put_size(double size, int64_t precision, struct bytes unit, struct buf *out)
{
    size_t u = 0;
    char text[64];
    if (unit.len != 0) {
        while (u < N_UNITS && !text_eq_nocase(unit, bytes_str(units[u])))
            u++;
        if (u == N_UNITS) u = 0;
        size /= pow(1024, (double)u);
    } else {
        for (; fabs(size) >= 1024 && u + 1 < N_UNITS; u++)
            size /= 1024;
    }
    if (precision < 0) precision = 0;
    if (precision > 15) precision = 15;
    int len = snprintf(text, sizeof text, "%.*f", (int)precision, size);
    if (precision > 0) {
        while (text[len - 1] == '0')
            len--;
        if (text[len - 1] == '.') len--;
    }
    buf_bytes(out, bytes_of(text, (size_t)len));
    buf_fmt(out, " %s", units[u]);
}

EVAL(eval_format_bytes)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        double size = vec_r64(args[0], i);
        int64_t precision = call->n_args > 1 && !vec_null(args[1], i) ? vec_i64(args[1], i) : 0;
        struct bytes unit = call->n_args > 2 ? vec_str(args[2], i) : (struct bytes){0};
        if (!vec_null(args[0], i) && fabs(size) < 1e30) put_size(size, precision, unit, &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static const struct fn rows[] = {
    FN("format_bytes", 1, 3, T_STRING, 0, eval_format_bytes, "A number of bytes with a unit.",
       "format_bytes(20010332, 2)", "19.08 MB", ARG_REAL, ARG_AS(TM_NUMERIC, T_LONG), ARG_STRING),
    {.name = "format_datetime",
     .arity_min = 2,
     .arity_max = 2,
     .args = {ARG_DATETIME, ARG_STRING},
     .ret = T_STRING,
     .eval = eval_format,
     .prepare = prepare_format,
     .doc = "A moment by a format.",
     .example = "format_datetime(datetime(2017-01-29 09:00:05), 'yy-M-dd [hh:mm:ss tt]')",
     .expect = "17-1-29 [09:00:05 AM]"},
    {.name = "format_timespan",
     .arity_min = 2,
     .arity_max = 2,
     .args = {ARG_TIMESPAN, ARG_STRING},
     .ret = T_STRING,
     .eval = eval_format,
     .prepare = prepare_format,
     .doc = "A span by a format.",
     .example = "format_timespan(time(29.09:00:05.12345), 'ddd.h:mm:ss [fffffff]')",
     .expect = "029.9:00:05 [1234500]"},
};
const struct fn_family fn_format = FAMILY(rows);
