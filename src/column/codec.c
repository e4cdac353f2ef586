/* SPDX-License-Identifier: Apache-2.0 */
/* column/codec.c - nulls, constants, and the choice of a codec */
#include "column/codec_impl.h"

#include <stdlib.h>

enum { NULLS_NONE = 0, NULLS_BITMAP = 1, NULLS_ALL = 2 };

static bool value_same(const struct vec *v, uint32_t a, uint32_t b)
{
    uint32_t x = vec_at(v, a), y = vec_at(v, b);
    if (x == y) return true;
    if (v->type == T_STRING || v->type == T_DYNAMIC) {
        const struct bytes *s = vec_data(v);
        return bytes_eq(s[x], s[y]);
    }
    size_t w = type_width(v->type);
    const uint8_t *p = vec_data(v);
    return memcmp(p + x * w, p + y * w, w) == 0; /* by bits: -0.0 and NaN stay what they are */
}

static bool is_constant(const struct vec *v)
{
    if (v->shape == VEC_CONST) return true;
    for (uint32_t i = 1; i < v->n; i++) {
        if (!value_same(v, 0, i)) return false;
    }
    return true;
}

static uint32_t count_nulls(const struct vec *v)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < v->n; i++)
        n += vec_null(v, i);
    return n;
}

static void put_bitmap(const struct vec *v, struct buf *out)
{
    uint8_t *p = buf_extend(out, ((size_t)v->n + 7) / 8);
    for (uint32_t i = 0; p != NULL && i < v->n; i++) {
        if (vec_null(v, i)) p[i / 8] = (uint8_t)(p[i / 8] | 1 << i % 8);
    }
}

static void put_constant(const struct vec *v, struct buf *out)
{
    size_t i = vec_at(v, 0);
    if (v->type == T_STRING || v->type == T_DYNAMIC) {
        buf_bytes(out, ((const struct bytes *)vec_data(v))[i]);
    } else {
        size_t w = type_width(v->type);
        buf_bytes(out, bytes_of((const uint8_t *)vec_data(v) + i * w, w));
    }
}

static void put_bits(const struct vec *v, struct buf *out)
{
    uint8_t *p = buf_extend(out, ((size_t)v->n + 7) / 8);
    for (uint32_t i = 0; p != NULL && i < v->n; i++) {
        if (vec_bool(v, i)) p[i / 8] = (uint8_t)(p[i / 8] | 1 << i % 8);
    }
}

static void put_wide(const struct vec *v, struct buf *out)
{
    const struct u128 *data = vec_data(v);
    for (uint32_t i = 0; i < v->n; i++)
        buf_bytes(out, BYTES_OF(data[vec_at(v, i)]));
}

/* The rows of a fixed-width vector in their order; borrowed where they lie so already. */
static const void *flatten(const struct vec *v, void **owned)
{
    if (v->shape == VEC_FLAT) return v->data;
    const uint64_t *data = vec_data(v); /* int64_t or double: moved as bits */
    uint64_t *flat = malloc(v->n * sizeof *flat);
    for (uint32_t i = 0; flat != NULL && i < v->n; i++)
        flat[i] = data[vec_at(v, i)];
    return *owned = flat;
}

static enum err encode_words(const struct vec *v, enum codec_effort effort, struct buf *out,
                             uint8_t *codec, struct diag *d)
{
    void *owned = NULL;
    const void *flat = flatten(v, &owned);
    if (flat == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = v->type == T_REAL ? reals_encode(flat, v->n, effort, out, codec, d)
                                   : ints_encode(flat, v->n, out, codec, d);
    if (owned != NULL) explicit_bzero(owned, v->n * sizeof(uint64_t));
    free(owned);
    return e;
}

static enum err encode_payload(const struct vec *v, enum codec_effort effort, struct buf *out,
                               uint8_t *codec, struct diag *d)
{
    switch (v->type) {
    case T_BOOL:
        *codec = CODEC_BITS;
        put_bits(v, out);
        return OK;
    case T_DECIMAL:
    case T_GUID:
        *codec = CODEC_WIDE;
        put_wide(v, out);
        return OK;
    case T_STRING:
    case T_DYNAMIC: return strings_encode(v, effort, out, codec, d);
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN:
    case T_REAL: return encode_words(v, effort, out, codec, d);
    default: return FAIL(d, ERR_INTERNAL, "codec: no column has type %d", (int)v->type);
    }
}

enum err codec_encode(const struct vec *v, enum codec_effort effort, struct buf *out,
                      struct diag *d)
{
    if (v->n > CODEC_ROWS_MAX) {
        return FAIL(d, ERR_LIMIT, "codec: %u rows, at most %u", v->n, CODEC_ROWS_MAX);
    }
    uint32_t n_null = v->type == T_STRING ? 0 : count_nulls(v);
    uint8_t codec = CODEC_CONST;
    uint8_t nulls = n_null == 0 ? NULLS_NONE : n_null == v->n ? NULLS_ALL : NULLS_BITMAP;
    size_t at = out->len;
    buf_u8(out, codec); /* the final one is written when the values have been seen */
    buf_u8(out, nulls);
    if (nulls == NULLS_BITMAP) put_bitmap(v, out);
    if (nulls == NULLS_BITMAP || (n_null == 0 && v->n != 0 && !is_constant(v))) {
        TRY(encode_payload(v, effort, out, &codec, d));
    } else if (nulls == NULLS_NONE && v->n != 0) {
        put_constant(v, out);
    }
    TRY(buf_check(out, d));
    out->p[at] = codec;
    return OK;
}

/* --- decoding --------------------------------------------------------------------------------- */

enum err codec_end(const struct codec_in *in, const char *what, struct diag *d)
{
    return rd_done(&in->r) ? OK : FAIL(d, ERR_CORRUPT, "codec: %s of a wrong length", what);
}

static enum err constant_decode(struct codec_in *in, struct diag *d)
{
    struct vec *v = in->out;
    size_t w = type_width(in->type);
    void *data = arena_calloc(in->a, 1, w);
    if (data == NULL) return arena_full(in->a, d);
    struct bytes rest = rd_bytes(&in->r, rd_left(&in->r));
    if (in->type == T_STRING || in->type == T_DYNAMIC) {
        *(struct bytes *)data = rest;
    } else if (rest.len == w) {
        memcpy(data, rest.p, w);
    } else if (rest.len != 0 || (in->n != 0 && !bit_get(v->nulls, 0))) {
        return FAIL(d, ERR_CORRUPT, "codec: a constant of %zu bytes", rest.len);
    }
    if (in->type == T_BOOL && *(uint8_t *)data > 1) {
        return FAIL(d, ERR_CORRUPT, "codec: a bool of %u", *(uint8_t *)data);
    }
    v->data = data;
    v->shape = VEC_CONST;
    return OK;
}

static enum err bits_decode(struct codec_in *in, struct diag *d)
{
    struct bytes bits = rd_bytes(&in->r, ((size_t)in->n + 7) / 8);
    TRY(codec_end(in, "bools", d));
    uint8_t *data = arena_alloc(in->a, in->n);
    if (data == NULL) return arena_full(in->a, d);
    for (uint32_t i = 0; i < in->n; i++)
        data[i] = bits.p[i / 8] >> i % 8 & 1;
    in->out->data = data;
    return OK;
}

static enum err wide_decode(struct codec_in *in, struct diag *d)
{
    struct bytes all = rd_bytes(&in->r, (size_t)in->n * sizeof(struct u128));
    TRY(codec_end(in, "16-byte values", d));
    uint8_t *data = arena_alloc(in->a, all.len); /* copied: the input may be unaligned */
    if (data == NULL) return arena_full(in->a, d);
    if (all.len != 0) memcpy(data, all.p, all.len);
    in->out->data = data;
    return OK;
}

static enum err read_bitmap(struct codec_in *in, struct diag *d)
{
    struct bytes b = rd_bytes(&in->r, ((size_t)in->n + 7) / 8);
    if (in->r.bad) return FAIL(d, ERR_CORRUPT, "codec: nulls of a wrong length");
    uint64_t *bits = arena_array(in->a, uint64_t, BIT_WORDS(in->n));
    if (bits == NULL) return arena_full(in->a, d);
    for (uint32_t i = 0; i < in->n; i++) {
        if (b.p[i / 8] >> i % 8 & 1) bit_set(bits, i);
    }
    in->out->nulls = bits;
    return OK;
}

static enum err read_nulls(struct codec_in *in, uint8_t codec, uint8_t nulls, struct diag *d)
{
    if (nulls == NULLS_NONE) return OK;
    if (in->type == T_STRING) return FAIL(d, ERR_CORRUPT, "codec: strings have no nulls");
    if (nulls == NULLS_BITMAP && codec != CODEC_CONST) return read_bitmap(in, d);
    uint64_t *one = arena_new(in->a, uint64_t);
    if (one == NULL) return arena_full(in->a, d);
    *one = 1;
    in->out->nulls = one;
    return nulls == NULLS_ALL && codec == CODEC_CONST
               ? OK
               : FAIL(d, ERR_CORRUPT, "codec: nulls of kind %u", nulls);
}

static const struct {
    uint32_t types;
    enum err (*decode)(struct codec_in *in, struct diag *d);
} codecs[] = {
    [CODEC_CONST] = {TM_ANY & ~TM(T_NONE), constant_decode},
    [CODEC_INTS] = {TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN), ints_decode},
    [CODEC_DELTAS] = {TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN), deltas_decode},
    [CODEC_REALS] = {TM(T_REAL), reals_decode},
    [CODEC_DECIMALS] = {TM(T_REAL), decimals_decode},
    [CODEC_BITS] = {TM(T_BOOL), bits_decode},
    [CODEC_WIDE] = {TM(T_DECIMAL) | TM(T_GUID), wide_decode},
    [CODEC_TEXT] = {TM(T_STRING) | TM(T_DYNAMIC), text_decode},
    [CODEC_DICTIONARY] = {TM(T_STRING) | TM(T_DYNAMIC), dictionary_decode},
    [CODEC_HEX] = {TM(T_STRING), hexes_decode},
};

enum err codec_decode(struct bytes bytes, enum type type, uint32_t n, struct arena *a,
                      struct vec *out, struct diag *d)
{
    struct vec v = {.type = type, .shape = VEC_FLAT, .n = n};
    struct codec_in in = {.r = rd_from(bytes), .type = type, .n = n, .a = a, .out = &v};
    uint8_t codec = rd_u8(&in.r), nulls = rd_u8(&in.r);
    if (in.r.bad || n > CODEC_ROWS_MAX || type <= T_NONE || type >= N_TYPES ||
        codec >= sizeof codecs / sizeof codecs[0] || (codecs[codec].types & TM(type)) == 0) {
        return FAIL(d, ERR_CORRUPT, "codec: %u is not one for %s", codec, type_name(type));
    }
    TRY(read_nulls(&in, codec, nulls, d));
    TRY(codecs[codec].decode(&in, d));
    *out = v;
    return OK;
}
