/* SPDX-License-Identifier: Apache-2.0 */
/* column/scan.h - small steps over text, shared by the readers of dates, spans and numbers */
#pragma once

#include "base/bytes.h"

static inline bool ch_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}
static inline bool ch_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}
static inline bool ch_alpha(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
static inline uint8_t ch_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}
static inline struct bytes bytes_trim(struct bytes s)
{
    while (s.len != 0 && ch_space(s.p[0]))
        s = (struct bytes){s.p + 1, s.len - 1};
    while (s.len != 0 && ch_space(s.p[s.len - 1]))
        s.len--;
    return s;
}
static inline bool bytes_eq_nocase(struct bytes s, const char *lower)
{
    size_t n = strlen(lower);
    if (s.len != n) return false;
    for (size_t i = 0; i < n; i++) {
        if (ch_lower(s.p[i]) != (uint8_t)lower[i]) return false;
    }
    return true;
}
static inline bool scan_char(struct rd *r, uint8_t c)
{
    if (r->p == r->end || *r->p != c) return false;
    r->p++;
    return true;
}
static inline void scan_spaces(struct rd *r)
{
    while (r->p < r->end && ch_space(*r->p))
        r->p++;
}
/* Up to max digits; how many there were. */
static inline int scan_digits(struct rd *r, int max, int64_t *out)
{
    int n = 0;
    int64_t v = 0;
    for (; n < max && r->p < r->end && ch_digit(*r->p); n++)
        v = v * 10 + (*r->p++ - '0');
    *out = v;
    return n;
}
/* Digits after the point of a second as ticks; more than seven are cut. False: none. */
static inline bool scan_fraction(struct rd *r, int *ticks)
{
    int n = 0, v = 0;
    for (; r->p < r->end && ch_digit(*r->p); r->p++, n++) {
        if (n < 7) v = v * 10 + (*r->p - '0');
    }
    for (int i = n; i < 7; i++)
        v *= 10;
    *ticks = v;
    return n != 0;
}
static inline struct bytes scan_word(struct rd *r)
{
    const uint8_t *from = r->p;
    while (r->p < r->end && ch_alpha(*r->p))
        r->p++;
    return (struct bytes){from, (size_t)(r->p - from)};
}
