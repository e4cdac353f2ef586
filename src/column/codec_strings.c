/* SPDX-License-Identifier: Apache-2.0 */
/* column/codec_strings.c - strings and dynamics: the plain form, and the choice among three */
#include "column/codec_impl.h"

#include <stdlib.h>

/* Lengths in blocks as integers are; then all bytes in one run. */
void text_put(const struct bytes *v, uint32_t n, struct buf *out)
{
    int64_t lens[256];
    for (uint32_t at = 0; at < n; at += 256) {
        uint32_t k = n - at < 256 ? n - at : 256;
        for (uint32_t i = 0; i < k; i++)
            lens[i] = (int64_t)v[at + i].len;
        ints_put(lens, k, out);
    }
    for (uint32_t i = 0; i < n; i++)
        buf_bytes(out, v[i]);
}

enum err text_get(struct rd *r, uint32_t n, struct arena *a, struct bytes **out, struct diag *d)
{
    if (rd_left(r) / 9 < n / 256) return FAIL(d, ERR_CORRUPT, "codec: too few strings");
    struct bytes *v = arena_array(a, struct bytes, n);
    if (v == NULL) return arena_full(a, d);
    int64_t lens[256];
    for (uint32_t at = 0; at < n; at += 256) {
        uint32_t k = n - at < 256 ? n - at : 256;
        TRY(ints_get(r, k, lens, d));
        for (uint32_t i = 0; i < k; i++)
            v[at + i].len = (size_t)lens[i];
    }
    for (uint32_t i = 0; i < n; i++)
        v[i] = rd_bytes(r, v[i].len);
    if (r->bad) return FAIL(d, ERR_CORRUPT, "codec: strings end too early");
    *out = v;
    return OK;
}

/* A dictionary with more values than rows is a slice of something larger: not worth keeping. */
static bool keeps_dictionary(const struct vec *v)
{
    return v->shape == VEC_DICT && v->dict->n <= v->n && v->dict->nulls == NULL;
}

enum err strings_encode(const struct vec *v, enum codec_effort effort, struct buf *out,
                        uint8_t *codec, struct diag *d)
{
    if (effort == CODEC_SMALL && keeps_dictionary(v)) {
        *codec = CODEC_DICTIONARY;
        dictionary_put(v, out);
    } else if (effort == CODEC_SMALL && v->type == T_STRING && hex_try(v, out)) {
        *codec = CODEC_HEX;
    } else if (v->shape == VEC_FLAT) {
        *codec = CODEC_TEXT;
        text_put(v->data, v->n, out);
    } else {
        struct bytes *flat = malloc(v->n * sizeof *flat);
        if (flat == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        for (uint32_t i = 0; i < v->n; i++)
            flat[i] = vec_str(v, i);
        *codec = CODEC_TEXT;
        text_put(flat, v->n, out);
        free(flat);
    }
    return buf_check(out, d);
}

enum err text_decode(struct codec_in *in, struct diag *d)
{
    struct bytes *v = NULL;
    TRY(text_get(&in->r, in->n, in->a, &v, d));
    in->out->data = v;
    if (in->type == T_STRING) in->out->packed = VEC_PACKED;
    return codec_end(in, "strings", d);
}
