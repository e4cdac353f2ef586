/* SPDX-License-Identifier: Apache-2.0 */
/* column/codec_zstd.c - compression of encoded vectors: zstd at level 1, or nothing where it does
 * not help */
#include "column/codec_impl.h"

#include <zstd.h>

enum { METHOD_NONE = 0, METHOD_ZSTD = 1 };

#define LEVEL 1

enum err codec_compress(struct bytes in, struct buf *out, struct diag *d)
{
    if (in.len > UINT32_MAX) return FAIL(d, ERR_LIMIT, "codec: a block of %zu bytes", in.len);
    size_t at = out->len, bound = ZSTD_compressBound(in.len);
    buf_u8(out, METHOD_ZSTD);
    buf_u32(out, (uint32_t)in.len);
    uint8_t *p = buf_extend(out, bound);
    if (p == NULL) return buf_check(out, d);
    size_t n = in.len >= 64 ? ZSTD_compress(p, bound, in.p, in.len, LEVEL) : bound;
    /* A gain below a sixteenth does not pay for the time of every later read. */
    if (!ZSTD_isError(n) && n < in.len - in.len / 16) {
        buf_shrink(out, at + 5 + n);
        return OK;
    }
    buf_shrink(out, at);
    buf_u8(out, METHOD_NONE);
    buf_u32(out, (uint32_t)in.len);
    buf_bytes(out, in);
    return buf_check(out, d);
}

enum err codec_decompress(struct bytes in, size_t max, struct arena *a, struct bytes *out,
                          struct diag *d)
{
    struct rd r = rd_from(in);
    uint8_t method = rd_u8(&r);
    size_t len = rd_u32(&r);
    struct bytes data = rd_bytes(&r, rd_left(&r));
    if (r.bad || len > max || method > METHOD_ZSTD || (method == METHOD_NONE && data.len != len)) {
        return FAIL(d, ERR_CORRUPT, "codec: a block of method %u and %zu bytes", method, len);
    }
    uint8_t *p = arena_alloc(a, len);
    if (p == NULL) return arena_full(a, d);
    if (method == METHOD_NONE) {
        if (len != 0) memcpy(p, data.p, len);
    } else if (ZSTD_decompress(p, len, data.p, data.len) != len) {
        return FAIL(d, ERR_CORRUPT, "codec: a compressed block is damaged");
    }
    *out = bytes_of(p, len);
    return OK;
}
