/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/codec_dictionary.c - distinct values once, a code per row
 *
 * u32 distinct values, the values as CODEC_TEXT has them, the codes as integers. A reader keeps the
 * dictionary: grouping and filtering look at each distinct value once.
 */
#include "column/codec_impl.h"

#include "base/map.h"

#include <stdlib.h>

#define DISTINCT_MAX 65536u /* and at most a quarter of the rows */

struct builder {
    struct bytes *values;
    uint32_t *slots; /* index + 1; 0 = free */
    uint32_t n, max, mask;
};

static bool builder_init(struct builder *b, uint32_t rows)
{
    b->max = rows / 4 < DISTINCT_MAX ? rows / 4 : DISTINCT_MAX;
    uint32_t cap = 64;
    while (cap < b->max * 2)
        cap *= 2;
    b->mask = cap - 1;
    b->values = calloc(b->max + 1, sizeof *b->values);
    b->slots = calloc(cap, sizeof *b->slots);
    return b->values != NULL && b->slots != NULL;
}

/* False: too many distinct values for a dictionary to be worth it. */
static bool builder_add(struct builder *b, struct bytes v, uint32_t *code)
{
    uint32_t s = (uint32_t)hash_bytes(v, 0) & b->mask;
    for (; b->slots[s] != 0; s = (s + 1) & b->mask) {
        *code = b->slots[s] - 1;
        if (bytes_eq(b->values[*code], v)) return true;
    }
    if (b->n == b->max) return false;
    b->values[b->n] = v;
    *code = b->n++;
    b->slots[s] = b->n;
    return true;
}

static bool builder_finish(const struct builder *b, struct arena *a, struct vec *out)
{
    struct bytes *values = arena_array(a, struct bytes, b->n);
    struct vec *dict = arena_new(a, struct vec);
    if (values == NULL || dict == NULL) return false;
    if (b->n != 0) memcpy(values, b->values, b->n * sizeof *values);
    *dict = (struct vec){.type = out->type, .shape = VEC_FLAT, .n = b->n, .data = values};
    out->dict = dict;
    return true;
}

bool codec_to_dictionary(const struct vec *v, struct arena *a, struct vec *out)
{
    struct builder b = {0};
    struct vec x = {.type = v->type, .shape = VEC_DICT, .n = v->n, .nulls = v->nulls};
    uint32_t *codes = arena_array(a, uint32_t, v->n);
    bool good = v->shape == VEC_FLAT && codes != NULL && builder_init(&b, v->n);
    for (uint32_t i = 0; good && i < v->n; i++)
        good = builder_add(&b, vec_str(v, i), &codes[i]);
    x.codes = codes;
    good = good && builder_finish(&b, a, &x);
    free(b.values);
    free(b.slots);
    if (good) *out = x;
    return good;
}

void dictionary_put(const struct vec *v, struct buf *out)
{
    buf_u32(out, v->dict->n);
    text_put(v->dict->data, v->dict->n, out);
    int64_t part[256]; /* a block of integers at a time: the same bytes as all at once */
    for (uint32_t at = 0; at < v->n; at += 256) {
        uint32_t k = v->n - at < 256 ? v->n - at : 256;
        for (uint32_t i = 0; i < k; i++)
            part[i] = v->codes[at + i];
        ints_put(part, k, out);
    }
}

static enum err read_codes(struct codec_in *in, uint32_t distinct, struct diag *d)
{
    uint32_t *codes = arena_array(in->a, uint32_t, in->n);
    if (codes == NULL) return arena_full(in->a, d);
    int64_t part[256];
    uint64_t worst = 0;
    for (uint32_t at = 0; at < in->n; at += 256) {
        uint32_t k = in->n - at < 256 ? in->n - at : 256;
        TRY(ints_get(&in->r, k, part, d));
        for (uint32_t i = 0; i < k; i++) {
            if ((uint64_t)part[i] > worst) worst = (uint64_t)part[i];
            codes[at + i] = (uint32_t)part[i];
        }
    }
    if (in->n != 0 && worst >= distinct) {
        return FAIL(d, ERR_CORRUPT, "codec: code %llu of %u", (unsigned long long)worst, distinct);
    }
    in->out->codes = codes;
    return OK;
}

enum err dictionary_decode(struct codec_in *in, struct diag *d)
{
    uint32_t distinct = rd_u32(&in->r);
    struct bytes *values = NULL;
    TRY(text_get(&in->r, distinct, in->a, &values, d));
    struct vec *dict = arena_new(in->a, struct vec);
    if (dict == NULL) return arena_full(in->a, d);
    *dict = (struct vec){.type = in->type, .shape = VEC_FLAT, .n = distinct, .data = values};
    TRY(read_codes(in, distinct, d));
    in->out->shape = VEC_DICT;
    in->out->dict = dict;
    return codec_end(in, "dictionary", d);
}
