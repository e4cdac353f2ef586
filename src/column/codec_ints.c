/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec_ints.c - 64-bit integers in blocks of 256: a base and as many bits as the block
 * needs
 *
 * Sums and differences wrap modulo 2^64 on both sides, so that every int64 survives.
 */
#include "column/codec_impl.h"

#include <endian.h>
#include <stdlib.h>

#define BLOCK 256

static uint32_t bits_for(uint64_t range)
{
    return range == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(range);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

static size_t packed_size(uint32_t n, uint32_t width)
{
    return ((size_t)n * width + 7) / 8;
}

/* p has 16 bytes of slack, zero where nothing was packed yet. */
static void pack(uint8_t *p, const uint64_t *v, uint32_t n, uint32_t width)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t bit = (size_t)i * width;
        uint32_t shift = bit % 8;
        uint64_t word = htole64(load64(p + bit / 8) | v[i] << shift);
        memcpy(p + bit / 8, &word, sizeof word);
        if (shift != 0 && width + shift > 64) p[bit / 8 + 8] = (uint8_t)(v[i] >> (64 - shift));
    }
}

static void unpack(const uint8_t *p, uint64_t base, uint32_t width, uint32_t n, int64_t *out)
{
    uint64_t mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    for (uint32_t i = 0; i < n; i++) {
        size_t bit = (size_t)i * width;
        uint32_t shift = bit % 8;
        uint64_t v = load64(p + bit / 8) >> shift;
        if (shift != 0 && width + shift > 64) v |= (uint64_t)p[bit / 8 + 8] << (64 - shift);
        out[i] = (int64_t)(base + (v & mask));
    }
}

static void range_of(const int64_t *v, uint32_t n, int64_t *min, int64_t *max)
{
    *min = *max = v[0];
    for (uint32_t i = 1; i < n; i++) {
        if (v[i] < *min) *min = v[i];
        if (v[i] > *max) *max = v[i];
    }
}

void ints_put(const int64_t *v, uint32_t n, struct buf *out)
{
    for (uint32_t at = 0; at < n; at += BLOCK) {
        uint32_t k = n - at < BLOCK ? n - at : BLOCK;
        int64_t min, max;
        range_of(v + at, k, &min, &max);
        uint32_t width = bits_for((uint64_t)max - (uint64_t)min);
        uint64_t above[BLOCK];
        for (uint32_t i = 0; i < k; i++)
            above[i] = (uint64_t)v[at + i] - (uint64_t)min;
        uint8_t bits[BLOCK * 8 + 16] = {0};
        pack(bits, above, k, width);
        buf_u8(out, (uint8_t)width);
        buf_u64(out, (uint64_t)min);
        buf_bytes(out, bytes_of(bits, packed_size(k, width)));
    }
}

uint64_t ints_size(const int64_t *v, uint32_t n)
{
    uint64_t size = 0;
    for (uint32_t at = 0; at < n; at += BLOCK) {
        uint32_t k = n - at < BLOCK ? n - at : BLOCK;
        int64_t min, max;
        range_of(v + at, k, &min, &max);
        size += 9 + packed_size(k, bits_for((uint64_t)max - (uint64_t)min));
    }
    return size;
}

enum err ints_get(struct rd *r, uint32_t n, int64_t *out, struct diag *d)
{
    for (uint32_t at = 0; at < n; at += BLOCK) {
        uint32_t k = n - at < BLOCK ? n - at : BLOCK;
        uint32_t width = rd_u8(r);
        uint64_t base = rd_u64(r);
        if (width > 64) return FAIL(d, ERR_CORRUPT, "codec: integers of %u bits", width);
        struct bytes packed = rd_bytes(r, packed_size(k, width));
        if (r->bad) return FAIL(d, ERR_CORRUPT, "codec: integers end too early");
        /* Eight bytes are read at a time: the last ones of the input need slack behind them. */
        if (rd_left(r) >= 16) {
            unpack(packed.p, base, width, k, out + at);
        } else {
            uint8_t copy[BLOCK * 8 + 16] = {0};
            memcpy(copy, packed.p, packed.len);
            unpack(copy, base, width, k, out + at);
        }
    }
    return OK;
}

static int64_t *differences(const int64_t *v, uint32_t n)
{
    int64_t *delta = malloc(n * sizeof *delta);
    uint64_t before = 0;
    for (uint32_t i = 0; delta != NULL && i < n; i++) {
        delta[i] = (int64_t)((uint64_t)v[i] - before);
        before = (uint64_t)v[i];
    }
    return delta;
}

enum err ints_encode(const int64_t *v, uint32_t n, struct buf *out, uint8_t *codec, struct diag *d)
{
    int64_t *delta = differences(v, n);
    if (delta == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    /* The first difference is the first value itself: it would widen its whole block. */
    bool deltas = n > 1 && 8 + ints_size(delta + 1, n - 1) < ints_size(v, n);
    *codec = deltas ? CODEC_DELTAS : CODEC_INTS;
    if (deltas) {
        buf_u64(out, (uint64_t)v[0]);
        ints_put(delta + 1, n - 1, out);
    } else {
        ints_put(v, n, out);
    }
    explicit_bzero(delta, n * sizeof *delta);
    free(delta);
    return buf_check(out, d);
}

enum err ints_decode(struct codec_in *in, struct diag *d)
{
    /* Before memory is taken for n rows: nine bytes are the least that a block needs. */
    if (rd_left(&in->r) / 9 < in->n / BLOCK) return FAIL(d, ERR_CORRUPT, "codec: too few integers");
    int64_t *data = arena_array(in->a, int64_t, in->n);
    if (data == NULL) return arena_full(in->a, d);
    TRY(ints_get(&in->r, in->n, data, d));
    in->out->data = data;
    return codec_end(in, "integers", d);
}

enum err deltas_decode(struct codec_in *in, struct diag *d)
{
    if (in->n == 0 || rd_left(&in->r) / 9 < in->n / BLOCK) {
        return FAIL(d, ERR_CORRUPT, "codec: too few integers");
    }
    int64_t *data = arena_array(in->a, int64_t, in->n);
    if (data == NULL) return arena_full(in->a, d);
    data[0] = (int64_t)rd_u64(&in->r);
    TRY(ints_get(&in->r, in->n - 1, data + 1, d));
    for (uint32_t i = 1; i < in->n; i++) {
        data[i] = (int64_t)((uint64_t)data[i] + (uint64_t)data[i - 1]);
    }
    in->out->data = data;
    return codec_end(in, "integers", d);
}
