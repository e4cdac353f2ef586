/* SPDX-License-Identifier: Apache-2.0 */
/* exec/select.c - rows by index */
#include "exec/run.h"

struct vec vec_absent(enum type t, uint32_t n)
{
    static const uint64_t null_bit = 1;
    static const uint64_t zero[2];
    return (struct vec){.type = t,
                        .shape = VEC_CONST,
                        .n = n,
                        .data = zero,
                        .nulls = t == T_STRING ? NULL : &null_bit};
}

static enum err select_codes(struct arena *a, const struct vec *v, const uint32_t *rows, uint32_t n,
                             struct vec *out, struct diag *d)
{
    uint32_t *codes = arena_array(a, uint32_t, n);
    uint64_t *nulls = v->nulls != NULL ? arena_array(a, uint64_t, BIT_WORDS(n)) : NULL;
    if (codes == NULL || (v->nulls != NULL && nulls == NULL)) return arena_full(a, d);
    for (uint32_t i = 0; i < n; i++)
        codes[i] = v->codes[rows[i]];
    for (uint32_t i = 0; nulls != NULL && i < n; i++) {
        if (bit_get(v->nulls, rows[i])) bit_set(nulls, i);
    }
    *out = *v;
    out->n = n;
    out->codes = codes;
    out->nulls = nulls;
    return OK;
}

enum err vec_select(struct arena *a, const struct vec *v, const uint32_t *rows, uint32_t n,
                    struct vec *out, struct diag *d)
{
    switch (v->shape) {
    case VEC_CONST: {
        struct vec c = *v;
        c.n = n;
        *out = c;
        return OK;
    }
    case VEC_DICT: return select_codes(a, v, rows, n, out, d);
    default: return vec_gather(a, v, rows, n, out, d);
    }
}

enum err batch_select(struct arena *a, const struct batch *b, const bool *needed,
                      const uint32_t *rows, uint32_t n, struct batch *out, struct diag *d)
{
    struct vec *cols = arena_array(a, struct vec, b->n_cols);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < b->n_cols; i++) {
        if (needed[i])
            TRY(vec_select(a, &b->cols[i], rows, n, &cols[i], d));
        else
            cols[i] = vec_absent(b->cols[i].type, n);
    }
    *out = (struct batch){.n_rows = n, .n_cols = b->n_cols, .cols = cols};
    return OK;
}

uint32_t rows_true(const struct vec *v, uint32_t *rows)
{
    uint32_t n = 0;
    if (v->shape == VEC_CONST) {
        if (vec_null(v, 0) || !vec_bool(v, 0)) return 0;
        for (; n < v->n; n++)
            rows[n] = n;
        return n;
    }
    const uint8_t *data = vec_data(v);
    if (v->shape == VEC_FLAT) return bools_rows(data, v->nulls, v->n, rows);
    for (uint32_t i = 0; i < v->n; i++) { /* without a branch: selectivity is unknown */
        rows[n] = i;
        n += data[v->codes[i]] != 0 && !vec_null(v, i);
    }
    return n;
}
