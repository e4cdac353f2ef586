/* SPDX-License-Identifier: Apache-2.0 */
/* column/decimal.c - decimals by Intel's library for IEEE 754 decimal128 */
#define DECIMAL_CALL_BY_REFERENCE      0
#define DECIMAL_GLOBAL_ROUNDING        0
#define DECIMAL_GLOBAL_EXCEPTION_FLAGS 0
#include "column/decimal.h"
#include "column/scan.h"

#include <bid_conf.h>
#include <bid_functions.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPONENT_BIAS 6176
#define DIGITS_MAX    34

typedef unsigned __int128 coefficient;

static BID_UINT128 to_bid(struct u128 v)
{
    BID_UINT128 b;
    memcpy(&b, v.b, sizeof v.b);
    return b;
}

/* Sign, coefficient and exponent; false: not a finite number. */
static bool unpack(BID_UINT128 b, bool *negative, coefficient *c, int *exponent)
{
    if ((b.w[1] >> 61 & 3) == 3) return false; /* infinity, NaN or a non-canonical coefficient */
    *negative = b.w[1] >> 63 != 0;
    *exponent = (int)(b.w[1] >> 49 & 0x3fff) - EXPONENT_BIAS;
    *c = (coefficient)(b.w[1] & 0x1ffffffffffffULL) << 64 | b.w[0];
    return true;
}

static struct u128 pack(bool negative, coefficient c, int exponent)
{
    BID_UINT128 b;
    struct u128 v;
    while (c != 0 && c % 10 == 0) {
        c /= 10;
        exponent++;
    }
    if (c == 0) {
        negative = false;
        exponent = 0;
    }
    b.w[0] = (uint64_t)c;
    b.w[1] =
        (uint64_t)(c >> 64) | (uint64_t)(exponent + EXPONENT_BIAS) << 49 | (uint64_t)negative << 63;
    memcpy(v.b, &b, sizeof v.b);
    return v;
}

/* (1) */
static bool canonical(BID_UINT128 b, struct u128 *out)
{
    bool negative;
    coefficient c;
    int exponent;
    if (!unpack(b, &negative, &c, &exponent)) return false;
    *out = pack(negative, c, exponent);
    return true;
}

#define BINARY(name, fn)                                                                  \
    bool name(struct u128 a, struct u128 b, struct u128 *out)                             \
    {                                                                                     \
        _IDEC_flags flags = 0;                                                            \
        return canonical(fn(to_bid(a), to_bid(b), BID_ROUNDING_TO_NEAREST, &flags), out); \
    }
BINARY(decimal_add, bid128_add)
BINARY(decimal_sub, bid128_sub)
BINARY(decimal_mul, bid128_mul)
BINARY(decimal_div, bid128_div)

bool decimal_mod(struct u128 a, struct u128 b, struct u128 *out)
{
    _IDEC_flags flags = 0;
    struct u128 m, zero = {0};
    if (!canonical(bid128_fmod(to_bid(a), to_bid(b), &flags), &m)) return false;
    zero = decimal_from_i64(0);
    if (decimal_cmp(m, zero) < 0) {
        struct u128 size = decimal_cmp(b, zero) < 0 ? decimal_neg(b) : b;
        return decimal_add(m, size, out);
    }
    *out = m;
    return true;
}

int decimal_cmp(struct u128 a, struct u128 b)
{
    _IDEC_flags flags = 0;
    if (memcmp(a.b, b.b, sizeof a.b) == 0) return 0;
    return bid128_quiet_less(to_bid(a), to_bid(b), &flags)
               ? -1
               : bid128_quiet_greater(to_bid(a), to_bid(b), &flags);
}

struct u128 decimal_neg(struct u128 a)
{
    bool negative;
    coefficient c;
    int exponent;
    if (!unpack(to_bid(a), &negative, &c, &exponent)) return a;
    return pack(!negative, c, exponent);
}

#define ROUND(name, fn)                                          \
    struct u128 name(struct u128 a)                              \
    {                                                            \
        _IDEC_flags flags = 0;                                   \
        struct u128 out;                                         \
        return canonical(fn(to_bid(a), &flags), &out) ? out : a; \
    }
ROUND(decimal_floor, bid128_round_integral_negative)
ROUND(decimal_ceil, bid128_round_integral_positive)

struct u128 decimal_round(struct u128 a, int digits)
{
    bool negative;
    coefficient c;
    int exponent;
    if (!unpack(to_bid(a), &negative, &c, &exponent) || exponent >= -digits) return a;
    coefficient last = 0;
    for (; exponent < -digits; exponent++) {
        last = c % 10;
        c /= 10;
    }
    return pack(negative, c + (last >= 5), exponent);
}

struct u128 decimal_from_i64(int64_t v)
{
    return pack(v < 0, v < 0 ? (coefficient)0 - (coefficient)(__int128)v : (coefficient)v, 0);
}

bool decimal_from_real(double v, struct u128 *out)
{
    if (!isfinite(v)) return false;
    CLEANUP_BUF struct buf b = {0};
    real_format(v, &b);
    return !b.bad && decimal_parse(buf_view(&b), out);
}

double decimal_to_real(struct u128 a)
{
    _IDEC_flags flags = 0;
    return bid128_to_binary64(to_bid(a), BID_ROUNDING_TO_NEAREST, &flags);
}

bool decimal_to_i64(struct u128 a, int64_t *out)
{
    _IDEC_flags flags = 0;
    BID_SINT64 v = bid128_to_int64_int(to_bid(a), &flags);
    if ((flags & BID_INVALID_EXCEPTION) != 0) return false;
    *out = v;
    return true;
}

bool decimal_parse(struct bytes s, struct u128 *out)
{
    s = bytes_trim(s);
    struct rd r = rd_from(s);
    bool negative = scan_char(&r, '-');
    if (!negative) (void)scan_char(&r, '+');
    coefficient c = 0;
    int exponent = 0, digits = 0, kept = 0;
    bool point = false, up = false;
    for (; r.p < r.end && (ch_digit(*r.p) || (*r.p == '.' && !point)); r.p++) {
        if (*r.p == '.') {
            point = true;
            continue;
        }
        digits++;
        if (kept < DIGITS_MAX) {
            c = c * 10 + (coefficient)(*r.p - '0');
            kept += c != 0;
            exponent -= point;
        } else {
            if (kept++ == DIGITS_MAX) up = *r.p >= '5';
            exponent += !point;
        }
    }
    if (digits == 0) return false;
    if (r.p < r.end) {
        int64_t e;
        if ((*r.p | 0x20) != 'e') return false;
        r.p++;
        bool down = scan_char(&r, '-');
        if (!down) (void)scan_char(&r, '+');
        if (scan_digits(&r, 6, &e) == 0 || r.p != r.end) return false;
        exponent += (int)(down ? -e : e);
    }
    c += up;
    while (c != 0 && c % 10 == 0) {
        c /= 10;
        exponent++;
    }
    if (c != 0 && (exponent < -EXPONENT_BIAS || exponent > EXPONENT_BIAS - DIGITS_MAX))
        return false;
    *out = pack(negative, c, exponent);
    return true;
}

void decimal_format(const struct u128 *v, struct buf *out)
{
    bool negative;
    coefficient c;
    int exponent, n = 0;
    char digits[48];
    if (!unpack(to_bid(*v), &negative, &c, &exponent)) {
        buf_str(out, "NaN");
        return;
    }
    if (c == 0) exponent = 0;
    do {
        digits[n++] = (char)('0' + (int)(c % 10)); /* least significant first */
    } while ((c /= 10) != 0);
    if (negative) buf_u8(out, '-');
    if (exponent > DIGITS_MAX || exponent < -DIGITS_MAX - 6) {
        buf_u8(out, (uint8_t)digits[n - 1]);
        if (n > 1) buf_u8(out, '.');
        for (int i = n - 2; i >= 0; i--)
            buf_u8(out, (uint8_t)digits[i]);
        buf_fmt(out, "e%+d", exponent + n - 1);
        return;
    }
    /* Place i counts powers of ten; the number runs from its first digit, or the unit, downwards.
     */
    int first = exponent + n - 1 > 0 ? exponent + n - 1 : 0;
    int last = exponent < 0 ? exponent : 0;
    for (int i = first; i >= last; i--) {
        if (i == -1) buf_u8(out, '.');
        buf_u8(out, i >= exponent && i < exponent + n ? (uint8_t)digits[i - exponent] : '0');
    }
}
