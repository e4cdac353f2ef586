/* SPDX-License-Identifier: Apache-2.0 */
/* func/ip.c - text of IP addresses */
#include "func/ip.h"

#include "column/scan.h"

#include <arpa/inet.h>

static bool scan_ip4(struct rd *r, uint32_t *addr)
{
    uint32_t a = 0;
    for (int k = 0; k < 4; k++) {
        int64_t v;
        if (k != 0 && !scan_char(r, '.')) return false;
        if (scan_digits(r, 3, &v) == 0 || v > 255) return false;
        a = a << 8 | (uint32_t)v;
    }
    *addr = a;
    return true;
}

static bool scan_prefix(struct rd *r, unsigned max, unsigned *prefix)
{
    int64_t v = max;
    if (scan_char(r, '/') && (scan_digits(r, 3, &v) == 0 || v > (int64_t)max)) return false;
    *prefix = (unsigned)v;
    return r->p == r->end;
}

bool ip4_parse(struct bytes s, uint32_t *addr, unsigned *prefix)
{
    struct rd r = rd_from(bytes_trim(s));
    return scan_ip4(&r, addr) && scan_prefix(&r, 32, prefix);
}

bool ip_parse(struct bytes s, struct ip *out)
{
    uint32_t v4;
    char text[64];
    s = bytes_trim(s);
    if (ip4_parse(s, &v4, &out->prefix)) {
        memset(out->b, 0, 10);
        memset(out->b + 10, 0xff, 2);
        for (int k = 0; k < 4; k++)
            out->b[12 + k] = (uint8_t)(v4 >> (24 - 8 * k));
        out->prefix += 96;
        out->v4 = true;
        out->dotted = false;
        return true;
    }
    const uint8_t *slash = s.len != 0 ? memchr(s.p, '/', s.len) : NULL;
    size_t n = slash != NULL ? (size_t)(slash - s.p) : s.len;
    if (n == 0 || n >= sizeof text) return false;
    memcpy(text, s.p, n);
    text[n] = '\0';
    if (inet_pton(AF_INET6, text, out->b) != 1) return false;
    out->v4 = false;
    out->dotted = memchr(s.p, '.', n) != NULL;
    struct rd r = rd_from(bytes_of(s.p + n, s.len - n));
    if (!scan_prefix(&r, 128, &out->prefix)) return false;
    /* ::192.168.0.0/16 counts the bits of its dotted part. */
    if (n < s.len && out->prefix <= 32 && out->dotted) out->prefix += 96;
    return true;
}

static uint8_t mask_byte(unsigned prefix, unsigned k)
{
    if (prefix >= 8 * (k + 1)) return 0xff;
    return prefix <= 8 * k ? 0 : (uint8_t)(0xff << (8 - (prefix - 8 * k)));
}

void ip_mask(struct ip *a, unsigned prefix)
{
    for (unsigned k = 0; k < 16; k++)
        a->b[k] &= mask_byte(prefix, k);
}

void ip_map(struct ip *a)
{
    static const uint8_t zeros[12];
    if (a->dotted && memcmp(a->b, zeros, sizeof zeros) == 0) memset(a->b + 10, 0xff, 2);
}

int ip_cmp(const struct ip *a, const struct ip *b, unsigned prefix)
{
    struct ip x = *a, y = *b;
    ip_mask(&x, prefix);
    ip_mask(&y, prefix);
    int c = memcmp(x.b, y.b, sizeof x.b);
    return (c > 0) - (c < 0);
}

void ip4_format(uint32_t a, struct buf *out)
{
    buf_fmt(out, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

void ip6_format_full(const struct ip *a, struct buf *out)
{
    for (int k = 0; k < 8; k++)
        buf_fmt(out, k == 0 ? "%02x%02x" : ":%02x%02x", a->b[2 * k], a->b[2 * k + 1]);
}
