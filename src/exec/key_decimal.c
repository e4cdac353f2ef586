/* SPDX-License-Identifier: Apache-2.0 */
/* exec/key_decimal.c - decimals as keys: IEEE 754 decimal128 in its binary encoding, taken apart */
#include "exec/key_decimal.h"

typedef unsigned __int128 u128_t;

struct decimal_parts {
    bool negative, special; /* special: NaN or infinity */
    int32_t exponent;
    u128_t digits; /* no trailing zeros; 0 has exponent 0 */
};

#define DECIMAL_BIAS 6176

static struct decimal_parts decimal_split(struct u128 v)
{
    uint64_t lo, hi;
    memcpy(&lo, v.b, 8);
    memcpy(&hi, v.b + 8, 8);
    struct decimal_parts p = {.negative = hi >> 63 != 0};
    if ((hi >> 61 & 3) == 3) { /* NaN, infinity, or a coefficient too long to be one: zero */
        p.special = (hi >> 59 & 15) == 15;
        return p;
    }
    p.exponent = (int32_t)(hi >> 49 & 0x3fff) - DECIMAL_BIAS;
    p.digits = (u128_t)(hi & 0x1ffffffffffffULL) << 64 | lo;
    if (p.digits == 0) return (struct decimal_parts){0};
    while (p.digits % 10 == 0) {
        p.digits /= 10;
        p.exponent++;
    }
    return p;
}

struct u128 decimal_canonical(struct u128 v)
{
    struct decimal_parts p = decimal_split(v);
    if (p.special) return v;
    uint64_t lo = (uint64_t)p.digits;
    uint64_t hi = (uint64_t)(p.digits >> 64) | (uint64_t)(p.exponent + DECIMAL_BIAS) << 49 |
                  (uint64_t)p.negative << 63;
    struct u128 out;
    memcpy(out.b, &lo, 8);
    memcpy(out.b + 8, &hi, 8);
    return out;
}

/* Sign, power of ten of the first digit, 34 digits: big-endian, so that bytes compare as numbers
 * do. */
void decimal_order(struct u128 v, uint8_t out[DECIMAL_KEY_LEN])
{
    struct decimal_parts p = decimal_split(v);
    memset(out, 0, DECIMAL_KEY_LEN);
    out[0] = 1;
    if (p.digits == 0) return;
    int32_t power = p.exponent;
    for (u128_t t = p.digits; t != 0; t /= 10)
        power++;
    u128_t top = 1; /* 10^33: the digits are moved up until they fill 34 places */
    for (int i = 0; i < 33; i++)
        top *= 10;
    u128_t digits = p.digits;
    while (digits < top)
        digits *= 10;
    uint16_t biased = (uint16_t)(power + 2 * DECIMAL_BIAS);
    out[1] = (uint8_t)(biased >> 8);
    out[2] = (uint8_t)biased;
    for (int i = 0; i < 16; i++)
        out[3 + i] = (uint8_t)(digits >> (120 - 8 * i));
    if (!p.negative) return;
    out[0] = 0;
    for (int i = 1; i < DECIMAL_KEY_LEN; i++)
        out[i] = (uint8_t)~out[i];
}
