/* SPDX-License-Identifier: Apache-2.0 */
/* column/number.c - text of long, real and guid */
#include "column/scan.h"
#include "column/type.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int hex_digit(uint8_t c)
{
    if (ch_digit(c)) return c - '0';
    c = ch_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_hex(struct bytes s, int64_t *out)
{
    uint64_t v = 0;
    if (s.len == 0) return false;
    for (size_t i = 0; i < s.len; i++) {
        int h = hex_digit(s.p[i]);
        if (h < 0 || v >> 60 != 0) return false;
        v = v << 4 | (uint64_t)h;
    }
    *out = (int64_t)v;
    return true;
}

bool long_parse(struct bytes s, int64_t *out)
{
    s = bytes_trim(s);
    if (s.len > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x')
        return parse_hex(bytes_of(s.p + 2, s.len - 2), out);
    bool negative = s.len != 0 && s.p[0] == '-';
    size_t i = negative || (s.len != 0 && s.p[0] == '+') ? 1 : 0;
    if (i == s.len) return false;
    int64_t v = 0; /* counted downwards: the most negative long has no positive twin */
    for (; i < s.len; i++) {
        if (!ch_digit(s.p[i])) return false;
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, s.p[i] - '0', &v))
            return false;
    }
    if (!negative && v == INT64_MIN) return false;
    *out = negative ? v : -v;
    return true;
}

/* [+-] digits [. digits] [e [+-] digits], with a digit before the e. */
static bool is_number(struct bytes s)
{
    size_t i = s.len != 0 && (s.p[0] == '-' || s.p[0] == '+') ? 1 : 0;
    size_t digits = 0;
    for (; i < s.len && ch_digit(s.p[i]); i++)
        digits++;
    if (i < s.len && s.p[i] == '.') {
        for (i++; i < s.len && ch_digit(s.p[i]); i++)
            digits++;
    }
    if (digits == 0) return false;
    if (i < s.len && (s.p[i] | 0x20) == 'e') {
        i++;
        if (i < s.len && (s.p[i] == '-' || s.p[i] == '+')) i++;
        size_t from = i;
        while (i < s.len && ch_digit(s.p[i]))
            i++;
        if (i == from) return false;
    }
    return i == s.len;
}

/* Few digits without exponent: both parts are exact doubles, so one division rounds correctly. */
static bool parse_simple(struct bytes s, double *out)
{
    static const double pow10[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                   1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    size_t i = s.p[0] == '-' || s.p[0] == '+' ? 1 : 0;
    if (s.len - i > 16) return false;
    int64_t v = 0;
    size_t scale = 0;
    bool point = false;
    for (; i < s.len; i++) {
        if (s.p[i] == '.') {
            point = true;
        } else if (ch_digit(s.p[i])) {
            v = v * 10 + (s.p[i] - '0');
            scale += point;
        } else {
            return false;
        }
    }
    if (v > (int64_t)1 << 53 || scale > 15) return false;
    double r = (double)v / pow10[scale];
    *out = s.p[0] == '-' ? -r : r;
    return true;
}

bool real_parse(struct bytes s, double *out)
{
    s = bytes_trim(s);
    if (s.len == 0) return false;
    if (is_number(s)) {
        if (parse_simple(s, out)) return true;
        char text[400];
        char *copy = s.len < sizeof text ? text : malloc(s.len + 1);
        if (copy == NULL) return false;
        memcpy(copy, s.p, s.len);
        copy[s.len] = '\0';
        *out = strtod(copy, NULL);
        if (copy != text) free(copy);
        return true;
    }
    bool negative = s.p[0] == '-';
    if (negative || s.p[0] == '+') s = bytes_of(s.p + 1, s.len - 1);
    if (bytes_eq_nocase(s, "inf") || bytes_eq_nocase(s, "infinity")) {
        *out = negative ? -INFINITY : INFINITY;
        return true;
    }
    if (!bytes_eq_nocase(s, "nan")) return false;
    *out = NAN;
    return true;
}

/* The fewest digits that read back: "d.ddde[+-]dd" in text, which has room for 40. */
static void shortest(double v, char *text)
{
    /* Any 15 digits survive the way to a double and back, so fewer would only be the same with
     * zeros at the end; a denormal has less than that to tell. */
    for (int precision = fabs(v) < 2.3e-308 ? 0 : 14; precision <= 16; precision++) {
        snprintf(text, 40, "%.*e", precision, v);
        if (precision == 16 || strtod(text, NULL) == v) return;
    }
}

void real_format(double v, struct buf *out)
{
    if (isnan(v)) {
        buf_str(out, "NaN");
        return;
    }
    if (isinf(v)) {
        buf_str(out, v < 0 ? "-Infinity" : "Infinity");
        return;
    }
    if (v == 0) {
        buf_str(out, signbit(v) ? "-0.0" : "0.0");
        return;
    }
    char text[40], digits[24] = "0";
    if (fabs(v) < 1e15 && v == (double)(int64_t)v) {
        int n = snprintf(text, sizeof text, "%lld.0", (long long)v);
        buf_bytes(out, bytes_of(text, (size_t)n));
        return;
    }
    shortest(v, text);
    char *e = strchr(text, 'e');
    int exponent = e != NULL ? (int)strtol(e + 1, NULL, 10) : 0, n = 0;
    for (char *p = text; p < e; p++) {
        if (ch_digit((uint8_t)*p)) digits[n++] = *p;
    }
    while (n > 1 && digits[n - 1] == '0')
        n--;
    if (v < 0) buf_u8(out, '-');
    if (exponent < -6 || exponent > 20) {
        buf_u8(out, (uint8_t)digits[0]);
        if (n > 1) buf_u8(out, '.');
        buf_bytes(out, bytes_of(digits + 1, (size_t)n - 1));
        buf_fmt(out, "e%c%02d", exponent < 0 ? '-' : '+', abs(exponent));
        return;
    }
    if (exponent < 0) buf_u8(out, '0');
    for (int i = exponent < 0 ? exponent + 1 : 0; i < n || i <= exponent + 1; i++) {
        if (i == exponent + 1) buf_u8(out, '.');
        buf_u8(out, i >= 0 && i < n ? (uint8_t)digits[i] : '0');
    }
}

bool guid_text_parse(struct bytes s, struct u128 *out)
{
    s = bytes_trim(s);
    if (s.len >= 2 &&
        ((s.p[0] == '{' && s.p[s.len - 1] == '}') || (s.p[0] == '(' && s.p[s.len - 1] == ')'))) {
        s = bytes_of(s.p + 1, s.len - 2);
    }
    if (s.len != 36 && s.len != 32) return false;
    struct u128 g = {0};
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.len == 36 && (i == 8 || i == 13 || i == 18 || i == 23)) {
            if (s.p[i] != '-') return false;
            continue;
        }
        int h = hex_digit(s.p[i]);
        if (h < 0) return false;
        g.b[n / 2] = (uint8_t)(g.b[n / 2] << 4 | h);
        n++;
    }
    *out = g;
    return true;
}
