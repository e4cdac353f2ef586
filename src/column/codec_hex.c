/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec_hex.c - ids in lower-case hex, all of one length: half the bytes, and nothing to
 * compress
 *
 * u16 bytes of one value, then the values.
 */
#include "column/codec_impl.h"

#include <stdlib.h>

#define HEX_BYTES_MAX 64

static int digit(uint8_t c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool to_binary(struct bytes text, uint8_t *out)
{
    for (size_t i = 0; i < text.len; i += 2) {
        int high = digit(text.p[i]), low = digit(text.p[i + 1]);
        if (high < 0 || low < 0) return false;
        out[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool hex_try(const struct vec *v, struct buf *out)
{
    size_t len = v->n != 0 ? vec_str(v, 0).len : 0, before = out->len;
    /* Short ones are words and numbers as a rule, and repeat: a dictionary serves them better. */
    if (len < 16 || len % 2 != 0 || len > HEX_BYTES_MAX * 2) return false;
    buf_u16(out, (uint16_t)(len / 2));
    uint8_t binary[HEX_BYTES_MAX];
    bool good = true;
    for (uint32_t i = 0; good && i < v->n; i++) {
        struct bytes s = vec_str(v, i);
        good = s.len == len && to_binary(s, binary);
        if (good) buf_bytes(out, bytes_of(binary, len / 2));
    }
    explicit_bzero(binary, sizeof binary);
    if (!good) buf_shrink(out, before);
    return good;
}

enum err hexes_decode(struct codec_in *in, struct diag *d)
{
    size_t len = rd_u16(&in->r);
    struct bytes all = rd_bytes(&in->r, len * in->n);
    TRY(codec_end(in, "hex", d));
    struct bytes *v = arena_array(in->a, struct bytes, in->n);
    uint8_t *text = arena_alloc(in->a, all.len * 2);
    if (v == NULL || text == NULL) return arena_full(in->a, d);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < all.len; i++) {
        text[2 * i] = (uint8_t)digits[all.p[i] >> 4];
        text[2 * i + 1] = (uint8_t)digits[all.p[i] & 15];
    }
    for (uint32_t i = 0; i < in->n; i++)
        v[i] = bytes_of(text + 2 * len * i, 2 * len);
    in->out->data = v;
    in->out->packed = (uint32_t)(2 * len);
    return OK;
}
