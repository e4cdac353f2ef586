/* SPDX-License-Identifier: Apache-2.0 */
/* func/kernel.c - operands as plain arrays, results */
#include "func/kernel.h"

#include "column/decimal.h"

enum err vec_plain(struct fn_cx *cx, const struct vec *v, struct vec *out)
{
    if (v->shape != VEC_DICT) {
        *out = *v;
        return OK;
    }
    uint32_t *rows = arena_array(cx->a, uint32_t, v->n);
    if (rows == NULL) return out_full(cx);
    for (uint32_t i = 0; i < v->n; i++)
        rows[i] = i;
    return vec_gather(cx->a, v, rows, v->n, out, cx->d);
}

enum err load_i64(struct fn_cx *cx, const struct vec *v, struct i64s *out)
{
    struct vec plain;
    TRY(vec_plain(cx, v, &plain));
    uint32_t step = plain.shape == VEC_CONST ? 0 : 1;
    if (v->type != T_BOOL) {
        *out = (struct i64s){plain.data, step};
        return OK;
    }
    uint32_t n = step == 0 ? 1 : plain.n;
    int64_t *p = arena_array(cx->a, int64_t, n);
    if (p == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++)
        p[i] = ((const uint8_t *)plain.data)[i];
    *out = (struct i64s){p, step};
    return OK;
}

enum err load_r64(struct fn_cx *cx, const struct vec *v, struct r64s *out)
{
    struct vec plain;
    TRY(vec_plain(cx, v, &plain));
    uint32_t step = plain.shape == VEC_CONST ? 0 : 1, n = step == 0 ? 1 : plain.n;
    if (v->type == T_REAL) {
        *out = (struct r64s){plain.data, step};
        return OK;
    }
    double *p = arena_array(cx->a, double, n);
    if (p == NULL) return out_full(cx);
    if (v->type == T_BOOL) {
        for (uint32_t i = 0; i < n; i++)
            p[i] = ((const uint8_t *)plain.data)[i];
    } else if (v->type == T_DECIMAL) {
        for (uint32_t i = 0; i < n; i++)
            p[i] = decimal_to_real(((const struct u128 *)plain.data)[i]);
    } else {
        for (uint32_t i = 0; i < n; i++)
            p[i] = (double)((const int64_t *)plain.data)[i];
    }
    *out = (struct r64s){p, step};
    return OK;
}

enum err load_decimal(struct fn_cx *cx, const struct vec *v, uint64_t *nulls, struct u128s *out)
{
    struct vec plain = {0};
    TRY(vec_plain(cx, v, &plain));
    uint32_t step = plain.shape == VEC_CONST ? 0 : 1, n = step == 0 ? 1 : plain.n;
    struct u128 *p = arena_array(cx->a, struct u128, n);
    if (p == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        if (v->type == T_DECIMAL) {
            p[i] = ((const struct u128 *)plain.data)[i];
            if (vec_null(&plain, i))
                p[i] = decimal_from_i64(0); /* zero bytes are another exponent */
        } else if (v->type == T_BOOL) {
            p[i] = decimal_from_i64(((const uint8_t *)plain.data)[i]);
        } else if (v->type != T_REAL) {
            p[i] = decimal_from_i64(((const int64_t *)plain.data)[i]);
        } else if (!decimal_from_real(((const double *)plain.data)[i], &p[i])) {
            p[i] = decimal_from_i64(0);
            for (uint32_t k = i; k < v->n; k += step == 0 ? 1 : v->n)
                bit_set(nulls, k);
        }
    }
    *out = (struct u128s){p, step};
    return OK;
}

enum err vec_undynamic(struct fn_cx *cx, const struct vec *v, enum type to, uint32_t n,
                       struct vec *out)
{
    struct vecb b;
    if (v->type != T_DYNAMIC) {
        *out = *v;
        return OK;
    }
    vecb_init(&b, cx->a, to, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value x = vec_value(v, i), y;
        if (value_cast(&x, to, cx->a, &y)) {
            vecb_value(&b, &y);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

enum err out_flat(struct fn_cx *cx, enum type t, uint32_t n, struct vec *out, void **data)
{
    void *p = arena_calloc(cx->a, n != 0 ? n : 1, type_width(t));
    if (p == NULL) return out_full(cx);
    *out = (struct vec){.type = t, .shape = VEC_FLAT, .n = n, .data = p};
    *data = p;
    return OK;
}

uint64_t *out_nulls(struct fn_cx *cx, struct vec *out)
{
    uint64_t *bits = arena_array(cx->a, uint64_t, BIT_WORDS(out->n) + 1);
    out->nulls = bits;
    return bits;
}

enum err rows_begin(struct fn_cx *cx, struct rows_out *r, enum type t, uint32_t n, struct vec *out)
{
    void *data = NULL;
    *r = (struct rows_out){0};
    TRY(out_flat(cx, t, n, out, &data));
    r->rows = data;
    /* What does not fit the arena in the end must not be built before: rows can be arrays of a
     * million elements. */
    r->b.max = arena_room(cx->a);
    return OK;
}

void row_end(struct rows_out *r)
{
    r->rows[r->n++].len = r->b.len - r->from;
    r->from = r->b.len;
}

void rows_release(struct rows_out *r)
{
    buf_release(&r->b);
}

enum err rows_end(struct fn_cx *cx, struct rows_out *r, struct vec *out)
{
    TRY(buf_check(&r->b, cx->d));
    struct bytes all = {0};
    if (r->b.len != 0) {
        all = arena_bytes(cx->a, buf_view(&r->b));
        if (all.p == NULL) return out_full(cx);
    }
    for (uint32_t i = 0; i < r->n; i++) {
        struct bytes *row = &r->rows[i];
        size_t len = row->len;
        if (len != 0) row->p = all.p;
        if (out->type == T_DYNAMIC &&
            (len == 0 || *row->p == 'n')) { // NOLINT: with a length there are bytes
            *row = (struct bytes){0};
            if (out->nulls == NULL && out_nulls(cx, out) == NULL) return out_full(cx);
            bit_set((uint64_t *)(uintptr_t)out->nulls, i);
        }
        if (len != 0) all.p += len;
    }
    buf_release(&r->b);
    return OK;
}

bool const_str(const struct fn_call *c, uint32_t i, struct bytes *out)
{
    if (i >= c->n_args || c->consts == NULL || c->consts[i] == NULL ||
        c->consts[i]->type != T_STRING)
        return false;
    *out = c->consts[i]->is_null ? (struct bytes){0} : c->consts[i]->s;
    return true;
}

bool const_i64(const struct fn_call *c, uint32_t i, int64_t *out)
{
    if (i >= c->n_args || c->consts == NULL || c->consts[i] == NULL || c->consts[i]->is_null)
        return false;
    switch (c->consts[i]->type) {
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: *out = c->consts[i]->i; return true;
    default: return false;
    }
}
