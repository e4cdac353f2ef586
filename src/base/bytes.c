/* SPDX-License-Identifier: Apache-2.0 */
/* base/bytes.c - bounded reading and writing of bytes */
#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <endian.h>

int bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int c = n != 0 ? memcmp(a.p, b.p, n) : 0;
    if (c != 0) return c < 0 ? -1 : 1;
    return a.len == b.len ? 0 : a.len < b.len ? -1 : 1;
}

void rd_copy(struct rd *r, void *to, size_t n)
{
    struct bytes b = rd_bytes(r, n);
    if (b.p == NULL) {
        memset(to, 0, n);
    } else {
        memcpy(to, b.p, n);
    }
}

uint8_t rd_u8(struct rd *r)
{
    uint8_t v;
    rd_copy(r, &v, sizeof v);
    return v;
}

#define RD_INT(name, type, convert) \
    type name(struct rd *r)         \
    {                               \
        type v;                     \
        rd_copy(r, &v, sizeof v);   \
        return convert(v);          \
    }
RD_INT(rd_u16, uint16_t, le16toh)
RD_INT(rd_u32, uint32_t, le32toh)
RD_INT(rd_u64, uint64_t, le64toh)
RD_INT(rd_u16be, uint16_t, be16toh)
RD_INT(rd_u32be, uint32_t, be32toh)
RD_INT(rd_u64be, uint64_t, be64toh)

struct bytes rd_blob(struct rd *r)
{
    uint32_t n = rd_u32(r);
    return rd_bytes(r, n);
}

void wr_bytes(struct wr *w, struct bytes b)
{
    if (b.len > (size_t)(w->end - w->p)) {
        w->bad = true;
        w->p = w->end;
        return;
    }
    if (b.len != 0) memcpy(w->p, b.p, b.len);
    w->p += b.len;
}

void wr_u8(struct wr *w, uint8_t v)
{
    wr_bytes(w, BYTES_OF(v));
}

#define WR_INT(name, type, convert) \
    void name(struct wr *w, type v) \
    {                               \
        type x = convert(v);        \
        wr_bytes(w, BYTES_OF(x));   \
    }
WR_INT(wr_u16be, uint16_t, htobe16)
WR_INT(wr_u32be, uint32_t, htobe32)
WR_INT(wr_u64be, uint64_t, htobe64)

static void wipe_free(uint8_t *p, size_t n)
{
    if (p != NULL) explicit_bzero(p, n);
    free(p);
}

void buf_release(struct buf *b)
{
    wipe_free(b->p, b->cap);
    *b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
    buf_shrink(b, 0);
    b->bad = false;
}

void buf_shrink(struct buf *b, size_t len)
{
    if (len >= b->len) return;
    explicit_bzero(b->p + len, b->len - len);
    b->len = len;
}

/* Makes room for n more bytes and one zero after them. */
static bool reserve(struct buf *b, size_t n)
{
    size_t max = b->max != 0 ? b->max : BUF_MAX;
    if (b->bad) return false;
    if (n >= max || b->len + n > max) {
        b->bad = true;
        return false;
    }
    if (b->len + n < b->cap) return true;

    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap <= b->len + n)
        cap *= 2;
    if (cap > max) cap = max + 1; /* more would never be filled */
    /* Not realloc(): it would leave an unwiped copy behind. */
    uint8_t *p = malloc(cap);
    if (p == NULL) {
        b->bad = true;
        return false;
    }
    if (b->len != 0) memcpy(p, b->p, b->len);
    wipe_free(b->p, b->len);
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *buf_extend(struct buf *b, size_t n)
{
    if (!reserve(b, n)) return NULL;
    uint8_t *p = b->p + b->len;
    memset(p, 0, n);
    b->len += n;
    return p;
}

void buf_bytes(struct buf *b, struct bytes x)
{
    if (!reserve(b, x.len)) return;
    if (x.len != 0) memcpy(b->p + b->len, x.p, x.len);
    b->len += x.len;
}

void buf_str(struct buf *b, const char *s)
{
    buf_bytes(b, bytes_str(s));
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n)) {
        b->bad = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf((char *)b->p + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

void buf_u8(struct buf *b, uint8_t v)
{
    buf_bytes(b, BYTES_OF(v));
}

#define BUF_INT(name, type, convert) \
    void name(struct buf *b, type v) \
    {                                \
        type x = convert(v);         \
        buf_bytes(b, BYTES_OF(x));   \
    }
BUF_INT(buf_u16, uint16_t, htole16)
BUF_INT(buf_u32, uint32_t, htole32)
BUF_INT(buf_u64, uint64_t, htole64)
BUF_INT(buf_u16be, uint16_t, htobe16)
BUF_INT(buf_u32be, uint32_t, htobe32)
BUF_INT(buf_u64be, uint64_t, htobe64)

void buf_blob(struct buf *b, struct bytes x)
{
    if (x.len > UINT32_MAX) {
        b->bad = true;
        return;
    }
    buf_u32(b, (uint32_t)x.len);
    buf_bytes(b, x);
}

enum err buf_check(const struct buf *b, struct diag *d)
{
    size_t max = b->max != 0 ? b->max : BUF_MAX;
    return b->bad ? FAIL(d, ERR_LIMIT, "buffer: more than %zu bytes, or out of memory", max) : OK;
}

char *buf_cstr(struct buf *b)
{
    static char empty[1];
    if (!reserve(b, 0)) return empty;
    b->p[b->len] = 0;
    return (char *)b->p;
}
