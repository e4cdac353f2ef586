/* SPDX-License-Identifier: Apache-2.0 */
/* func/text.c - Unicode text: characters, case */
#include "func/text.h"

#include "base/arena.h"
#include "func/unicode_tables.h"

/* --- characters ------------------------------------------------------------------------------- */

/* Neither overlong in n bytes nor a surrogate nor beyond the last character. */
static bool is_scalar(uint32_t c, size_t n)
{
    return c >= (n == 2   ? 0x80U
                 : n == 3 ? 0x800U
                          : 0x10000U) &&
           c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

uint32_t utf8_next(struct bytes *s)
{
    uint8_t b = s->p[0];
    size_t n = b < 0x80 ? 1 : b >= 0xf0 ? 4 : b >= 0xe0 ? 3 : b >= 0xc0 ? 2 : 0;
    uint32_t c = n == 1 ? b : n == 0 ? 0xfffd : b & (0xffU >> (n + 1));
    if (n == 0 || n > s->len) {
        n = 1;
        c = 0xfffd;
    }
    for (size_t i = 1; i < n; i++) {
        if ((s->p[i] & 0xc0) != 0x80) {
            n = 1;
            c = 0xfffd;
            break;
        }
        c = c << 6 | (s->p[i] & 0x3f);
    }
    if (n > 1 && !is_scalar(c, n)) {
        n = 1;
        c = 0xfffd;
    }
    *s = bytes_of(s->p + n, s->len - n);
    return c;
}

/* The last character of a text that is not empty. */
uint32_t utf8_last(struct bytes s)
{
    size_t n = 1;
    while (n < 4 && n < s.len && (s.p[s.len - n] & 0xc0) == 0x80)
        n++;
    struct bytes tail = bytes_of(s.p + s.len - n, n);
    return utf8_next(&tail);
}

void utf8_put(struct buf *out, uint32_t c)
{
    if (c < 0x80) {
        buf_u8(out, (uint8_t)c);
        return;
    }
    uint8_t b[4];
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n; i-- > 1; c >>= 6)
        b[i] = (uint8_t)(0x80 | (c & 0x3f));
    b[0] = (uint8_t)(c | (0xf00U >> n & 0xff));
    buf_bytes(out, bytes_of(b, n));
}

size_t utf8_count(struct bytes s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += (s.p[i] & 0xc0) != 0x80;
    return n;
}

size_t utf8_offset(struct bytes s, size_t n)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((s.p[i] & 0xc0) != 0x80 && n-- == 0) return i;
    }
    return s.len;
}

bool text_ascii(struct bytes s)
{
    uint8_t any = 0;
    for (size_t i = 0; i < s.len; i++)
        any |= s.p[i];
    return any < 0x80;
}

/* --- case ------------------------------------------------------------------------------------- */

static uint32_t map_case(const struct case_range *ranges, size_t n, uint32_t c)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > ranges[mid].last) {
            low = mid + 1;
        } else if (c < ranges[mid].first) {
            high = mid;
        } else {
            bool in = (c - ranges[mid].first) % (uint32_t)ranges[mid].step == 0;
            return in ? (uint32_t)((int32_t)c + ranges[mid].delta) : c;
        }
    }
    return c;
}

uint32_t char_lower(uint32_t c)
{
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return map_case(to_lower, sizeof to_lower / sizeof *to_lower, c);
}

uint32_t char_upper(uint32_t c)
{
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    return map_case(to_upper, sizeof to_upper / sizeof *to_upper, c);
}

bool char_alnum(uint32_t c)
{
    if (c < 0x80) return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    size_t low = 0, high = sizeof letters / sizeof *letters;
    while (low < high) {
        size_t mid = (low + high) / 2;
        if (c > letters[mid].last) {
            low = mid + 1;
        } else if (c < letters[mid].first) {
            high = mid;
        } else {
            return true;
        }
    }
    return false;
}

static void map_text(struct bytes s, struct buf *out, uint32_t (*map)(uint32_t))
{
    if (text_ascii(s)) {
        uint8_t *p = buf_extend(out, s.len);
        if (p == NULL) return;
        for (size_t i = 0; i < s.len; i++)
            p[i] = (uint8_t)map(s.p[i]);
        return;
    }
    while (s.len != 0) {
        const uint8_t *from = s.p;
        uint32_t c = utf8_next(&s), m = map(c);
        if (m == c) {
            buf_bytes(out, bytes_of(from, (size_t)(s.p - from)));
        } else {
            utf8_put(out, m);
        }
    }
}

void text_lower(struct bytes s, struct buf *out)
{
    map_text(s, out, char_lower);
}

void text_upper(struct bytes s, struct buf *out)
{
    map_text(s, out, char_upper);
}

void text_fold(struct bytes s, struct buf *out)
{
    map_text(s, out, char_lower);
}

bool text_eq_nocase(struct bytes a, struct bytes b)
{
    while (a.len != 0 && b.len != 0) {
        if ((a.p[0] | b.p[0]) < 0x80) {
            if (ascii_lower(a.p[0]) != ascii_lower(b.p[0])) return false;
            a = bytes_of(a.p + 1, a.len - 1);
            b = bytes_of(b.p + 1, b.len - 1);
        } else if (char_lower(utf8_next(&a)) != char_lower(utf8_next(&b))) {
            return false;
        }
    }
    return a.len == b.len;
}
