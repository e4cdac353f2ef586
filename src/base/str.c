/* SPDX-License-Identifier: Apache-2.0 */
/* base/str.c - text helpers that libc does not have */
#include "base/str.h"

#include "base/rand.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

bool str_eq(const char *a, const char *b)
{
    if (a == NULL || b == NULL) return a == b;
    return strcmp(a, b) == 0;
}

bool str_eq_nocase(const char *a, const char *b)
{
    if (a == NULL || b == NULL) return a == b;
    return strcasecmp(a, b) == 0;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_starts_nocase(const char *s, const char *prefix)
{
    return strncasecmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

bool str_ends_nocase(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcasecmp(s + n - m, suffix) == 0;
}

void str_lower(char *s)
{
    for (; *s != 0; s++) {
        if (*s >= 'A' && *s <= 'Z') *s = (char)(*s - 'A' + 'a');
    }
}

char *str_dup(const char *s)
{
    return s != NULL ? strdup(s) : NULL;
}

char *str_fmt(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char *s = NULL;
    if (vasprintf(&s, fmt, ap) < 0) s = NULL;
    va_end(ap);
    return s;
}

enum err str_u64(const char *s, uint64_t max, uint64_t *out, struct diag *d)
{
    uint64_t v = 0;
    if (*s == 0) return FAIL(d, ERR_INVALID, "a number is missing");
    for (const char *p = s; *p != 0; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (*p < '0' || *p > '9') return FAIL(d, ERR_INVALID, "'%.40s' is not a whole number", s);
        if (v > (UINT64_MAX - digit) / 10 || v * 10 + digit > max) {
            return FAIL(d, ERR_LIMIT, "%.40s is more than %llu", s, (unsigned long long)max);
        }
        v = v * 10 + digit;
    }
    *out = v;
    return OK;
}

void hex_encode(struct bytes in, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < in.len; i++) {
        out[2 * i] = digits[in.p[i] >> 4];
        out[2 * i + 1] = digits[in.p[i] & 15];
    }
    out[2 * in.len] = 0;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

enum err hex_decode(struct bytes text, uint8_t *out, size_t len, struct diag *d)
{
    if (text.len != 2 * len) {
        return FAIL(d, ERR_INVALID, "hex: %zu digits where %zu belong", text.len, 2 * len);
    }
    for (size_t i = 0; i < len; i++) {
        int hi = hex_digit(text.p[2 * i]), lo = hex_digit(text.p[2 * i + 1]);
        if (hi < 0 || lo < 0) return FAIL(d, ERR_INVALID, "hex: bad digit at %zu", 2 * i);
        out[i] = (uint8_t)(hi << 4 | lo);
    }
    return OK;
}

static void encode64(struct buf *out, struct bytes in, const char *alphabet, bool pad)
{
    for (size_t i = 0; i < in.len; i += 3) {
        size_t n = in.len - i < 3 ? in.len - i : 3;
        uint32_t v = (uint32_t)in.p[i] << 16;
        if (n > 1) v |= (uint32_t)in.p[i + 1] << 8;
        if (n > 2) v |= in.p[i + 2];
        for (size_t k = 0; k < 4; k++) {
            if (k <= n) {
                buf_u8(out, (uint8_t)alphabet[v >> (18 - 6 * k) & 63]);
            } else if (pad) {
                buf_u8(out, '=');
            }
        }
    }
}

void base64_encode(struct buf *out, struct bytes in)
{
    encode64(out, in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

void base64url_encode(struct buf *out, struct bytes in)
{
    encode64(out, in, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}

static int digit64(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '+' || c == '-') return 62;
    if (c == '/' || c == '_') return 63;
    return -1;
}

enum err base64_decode(struct buf *out, struct bytes text, struct diag *d)
{
    size_t n = text.len;
    for (int k = 0; k < 2 && n != 0 && text.p[n - 1] == '='; k++)
        n--;
    if (n % 4 == 1) return FAIL(d, ERR_INVALID, "base64: %zu characters", n);

    uint32_t acc = 0;
    int bits = 0;
    for (size_t i = 0; i < n; i++) {
        int v = digit64(text.p[i]);
        if (v < 0) return FAIL(d, ERR_INVALID, "base64: bad character at %zu", i);
        acc = acc << 6 | (uint32_t)v;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            buf_u8(out, (uint8_t)(acc >> bits));
        }
    }
    /* Bits left over must be zero, or two texts would stand for the same bytes. */
    if ((acc & ((1U << bits) - 1)) != 0) return FAIL(d, ERR_INVALID, "base64: not canonical");
    return buf_check(out, d);
}

void percent_encode(struct buf *out, struct bytes in)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            buf_u8(out, c);
        } else {
            buf_fmt(out, "%%%02X", c);
        }
    }
}

enum err percent_decode(struct buf *out, struct bytes in, bool plus, struct diag *d)
{
    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.p[i];
        if (c == '%') {
            uint8_t v;
            if (in.len - i < 3) return FAIL(d, ERR_INVALID, "percent escape cut short");
            TRY(hex_decode(bytes_of(in.p + i + 1, 2), &v, 1, d));
            c = v;
            i += 2;
        } else if (c == '+' && plus) {
            c = ' ';
        }
        buf_u8(out, c);
    }
    return buf_check(out, d);
}

/* Length of the well-formed sequence at p, 0 if there is none: table 3-7 of the Unicode standard.
 */
static size_t utf8_step(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    size_t n = c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;
    if (n == 0 || n > left) return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80) return 0;
    }
    if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) return 0;
    return n;
}

bool utf8_valid(struct bytes s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_step(s.p + i, s.len - i);
        if (n == 0) return false;
        i += n;
    }
    return true;
}

void utf8_mend(char *s)
{
    size_t len = strlen(s);
    for (size_t i = 0; i < len;) {
        size_t n = utf8_step((const uint8_t *)s + i, len - i);
        if (n == 0) s[i] = '?';
        i += n != 0 ? n : 1;
    }
}

void guid_random(struct guid *g)
{
    rand_bytes(g->b, sizeof g->b);
    g->b[6] = (uint8_t)((g->b[6] & 0x0f) | 0x40);
    g->b[8] = (uint8_t)((g->b[8] & 0x3f) | 0x80);
}

void guid_format(const struct guid *g, char out[GUID_TEXT_MAX])
{
    char hex[33];
    hex_encode(bytes_of(g->b, 16), hex);
    snprintf(out, GUID_TEXT_MAX, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

enum err guid_parse(const char *s, struct guid *out, struct diag *d)
{
    char hex[32];
    size_t n = 0;
    for (size_t i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (s[i] == 0 || dash != (s[i] == '-'))
            return FAIL(d, ERR_INVALID, "'%.40s' is not a GUID", s);
        if (!dash) hex[n++] = s[i];
    }
    if (s[36] != 0) return FAIL(d, ERR_INVALID, "'%.40s' is not a GUID", s);
    struct guid g;
    if (hex_decode(bytes_of(hex, 32), g.b, 16, NULL) != OK) {
        return FAIL(d, ERR_INVALID, "'%.40s' is not a GUID", s);
    }
    *out = g;
    return OK;
}
