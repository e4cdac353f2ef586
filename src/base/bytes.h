/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/bytes.h - borrowed bytes, a reader and a writer that cannot leave them, a growing buffer
 *
 * Integers are little-endian unless the name says be. A reader or writer that was asked for too
 * much sets `bad` and stays at its end: a decoder asks once, before it believes anything.
 */
#pragma once

#include "base/err.h"

#include <string.h>

struct bytes {
    const uint8_t *p;
    size_t len;
};

#define BYTES(lit)  ((struct bytes){(const uint8_t *)(lit), sizeof(lit) - 1}) /* of a literal */
#define BYTES_OF(x) ((struct bytes){(const uint8_t *)&(x), sizeof(x)})        /* of an object */

static inline struct bytes bytes_of(const void *p, size_t len)
{
    return (struct bytes){p, len};
}
static inline struct bytes bytes_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}
static inline bool bytes_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}
int bytes_cmp(struct bytes a, struct bytes b); /* by byte, shorter first: -1, 0, 1 */

/* --- reader --------------------------------------------------------------------------------- */

struct rd {
    const uint8_t *p, *end;
    bool bad;
};

static inline struct rd rd_from(struct bytes b)
{
    return (struct rd){.p = b.p, .end = b.len != 0 ? b.p + b.len : b.p}; /* p may be NULL */
}
static inline size_t rd_left(const struct rd *r)
{
    return (size_t)(r->end - r->p);
}
static inline struct bytes rd_bytes(struct rd *r, size_t n)
{
    if (n > rd_left(r)) { /* not r->p + n > r->end: that sum may wrap */
        r->bad = true;
        r->p = r->end;
        return (struct bytes){0};
    }
    struct bytes b = {.p = r->p, .len = n};
    if (n != 0) r->p += n; /* p may be NULL */
    return b;
}
static inline bool rd_done(const struct rd *r) /* everything read, nothing missing */
{
    return !r->bad && r->p == r->end;
}
void rd_copy(struct rd *r, void *to, size_t n); /* zeroes `to` when bad */
uint8_t rd_u8(struct rd *r);
uint16_t rd_u16(struct rd *r);
uint32_t rd_u32(struct rd *r);
uint64_t rd_u64(struct rd *r);
uint16_t rd_u16be(struct rd *r);
uint32_t rd_u32be(struct rd *r);
uint64_t rd_u64be(struct rd *r);
struct bytes rd_blob(struct rd *r); /* u32 length, then so many bytes */

/* --- writer into a fixed place --------------------------------------------------------------- */

struct wr {
    uint8_t *start, *p, *end;
    bool bad;
};

static inline struct wr wr_into(void *p, size_t n)
{
    return (struct wr){.start = p, .p = p, .end = (uint8_t *)p + n};
}
static inline size_t wr_len(const struct wr *w)
{
    return (size_t)(w->p - w->start);
}
void wr_bytes(struct wr *w, struct bytes b);
void wr_u8(struct wr *w, uint8_t v);
void wr_u16be(struct wr *w, uint16_t v);
void wr_u32be(struct wr *w, uint32_t v);
void wr_u64be(struct wr *w, uint64_t v);

/* --- growing buffer ----------------------------------------------------------------------------
 * buf_* calls never fail one by one: a buffer that could not grow is `bad`, holds nothing more, and
 * buf_check() says so once. What it held is wiped when it grows and when it is released: it may
 * have held log rows. */

struct buf {
    uint8_t *p;
    size_t len, cap;
    size_t max; /* bytes, 0 = BUF_MAX */
    bool bad;
};

#define BUF_MAX ((size_t)1 << 32) /* bytes */

void buf_release(struct buf *b);
void buf_clear(struct buf *b);                /* keeps the memory */
void buf_shrink(struct buf *b, size_t len);   /* cut to its first len bytes */
uint8_t *buf_extend(struct buf *b, size_t n); /* n more bytes, zeroed; NULL when bad */
void buf_bytes(struct buf *b, struct bytes x);
void buf_str(struct buf *b, const char *s);
void buf_fmt(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_u16be(struct buf *b, uint16_t v);
void buf_u32be(struct buf *b, uint32_t v);
void buf_u64be(struct buf *b, uint64_t v);
void buf_blob(struct buf *b, struct bytes x); /* u32 length, then the bytes */
enum err buf_check(const struct buf *b, struct diag *d);
char *buf_cstr(struct buf *b); /* zero-terminated view (the zero is not counted), "" when bad */

static inline struct bytes buf_view(const struct buf *b)
{
    return (struct bytes){b->p, b->len};
}

#define CLEANUP_BUF __attribute__((cleanup(buf_release)))
