/* SPDX-License-Identifier: Apache-2.0 */
/* column/vec.c - building, slicing and gathering typed vectors */
#include "column/vec.h"

#include "column/simd.h"

size_t type_width(enum type t)
{
    switch (t) {
    case T_NONE:
    case T_BOOL: return 1;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: return sizeof(int64_t);
    case T_REAL: return sizeof(double);
    case T_DECIMAL:
    case T_GUID: return sizeof(struct u128);
    case T_STRING:
    case T_DYNAMIC: return sizeof(struct bytes);
    case N_TYPES: break;
    }
    return 0;
}

struct value vec_value(const struct vec *v, uint32_t i)
{
    struct value x = {.type = v->type, .is_null = v->type == T_NONE || vec_null(v, i)};
    if (x.is_null) return x;
    switch (v->type) {
    case T_BOOL: x.b = vec_bool(v, i); break;
    case T_REAL: x.r = vec_r64(v, i); break;
    case T_DECIMAL:
    case T_GUID: x.u = ((const struct u128 *)vec_data(v))[vec_at(v, i)]; break;
    case T_STRING:
    case T_DYNAMIC: x.s = vec_str(v, i); break;
    default: x.i = vec_i64(v, i); break;
    }
    return x;
}

/* A null in the binary form becomes a null of the vector, so that one test finds both. */
static bool is_dynamic_null(enum type t, struct bytes v)
{
    return t == T_DYNAMIC && (v.len == 0 || v.p[0] == 'n');
}

/* Writes one value, without its strings' bytes, at an element of data. */
static void store(void *at, const struct value *v)
{
    switch (v->type) {
    case T_NONE: break;
    case T_BOOL: *(uint8_t *)at = v->b; break;
    case T_REAL: *(double *)at = v->r; break;
    case T_DECIMAL:
    case T_GUID: *(struct u128 *)at = v->u; break;
    case T_STRING:
    case T_DYNAMIC: *(struct bytes *)at = v->s; break;
    default: *(int64_t *)at = v->i; break;
    }
}

struct vec *vec_const(struct arena *a, const struct value *v, uint32_t n)
{
    struct vec *out = arena_new(a, struct vec);
    void *data = arena_alloc(a, type_width(v->type));
    if (out == NULL || data == NULL) return NULL;
    *out = (struct vec){.type = v->type, .shape = VEC_CONST, .n = n, .data = data};
    if ((v->is_null && v->type != T_STRING) || is_dynamic_null(v->type, v->s)) {
        uint64_t *nulls = arena_new(a, uint64_t);
        if (nulls == NULL) return NULL;
        *nulls = 1;
        out->nulls = nulls;
        return out;
    }
    if (v->is_null) return out;
    struct value copy = *v;
    if ((v->type == T_STRING || v->type == T_DYNAMIC) && v->s.len != 0) {
        copy.s = arena_bytes(a, v->s);
        if (copy.s.p == NULL) return NULL;
    }
    store(data, &copy);
    return out;
}

void vecb_init(struct vecb *b, struct arena *a, enum type t, uint32_t cap_hint)
{
    *b = (struct vecb){.a = a, .type = t, .cap = cap_hint != 0 ? cap_hint : 16};
    b->data = arena_calloc(a, b->cap, type_width(t));
    b->bad = b->data == NULL;
}

static bool grow(struct vecb *b)
{
    size_t width = type_width(b->type);
    if (b->cap > UINT32_MAX / 2) return false;
    uint8_t *data = arena_calloc(b->a, (size_t)b->cap * 2, width);
    if (data == NULL) return false;
    memcpy(data, b->data, width * b->n);
    if (b->nulls != NULL) {
        uint64_t *nulls = arena_array(b->a, uint64_t, BIT_WORDS((size_t)b->cap * 2));
        if (nulls == NULL) return false;
        memcpy(nulls, b->nulls, BIT_WORDS(b->n) * sizeof *nulls);
        b->nulls = nulls;
    }
    b->data = data;
    b->cap *= 2;
    return true;
}

/* The place of one more element; NULL when the builder has failed. */
static void *place(struct vecb *b)
{
    if (b->bad) return NULL;
    if (b->n == b->cap && !grow(b)) {
        b->bad = true;
        return NULL;
    }
    return b->data + type_width(b->type) * b->n++;
}

void vecb_null(struct vecb *b)
{
    if (place(b) == NULL || b->type == T_STRING) return;
    if (b->nulls == NULL) {
        b->nulls = arena_array(b->a, uint64_t, BIT_WORDS(b->cap));
        if (b->nulls == NULL) {
            b->bad = true;
            return;
        }
    }
    bit_set(b->nulls, b->n - 1);
}

void vecb_i64(struct vecb *b, int64_t v)
{
    int64_t *at = place(b);
    if (at != NULL) *at = v;
}

void vecb_r64(struct vecb *b, double v)
{
    double *at = place(b);
    if (at != NULL) *at = v;
}

void vecb_bool(struct vecb *b, bool v)
{
    uint8_t *at = place(b);
    if (at != NULL) *at = v;
}

void vecb_u128(struct vecb *b, struct u128 v)
{
    struct u128 *at = place(b);
    if (at != NULL) *at = v;
}

void vecb_str_borrow(struct vecb *b, struct bytes v)
{
    if (v.len == 0 || is_dynamic_null(b->type, v)) {
        vecb_null(b); /* of a string: the empty one */
        return;
    }
    struct bytes *at = place(b);
    if (at != NULL) *at = v;
}

void vecb_str(struct vecb *b, struct bytes v)
{
    if (v.len != 0 && !b->bad && !is_dynamic_null(b->type, v)) {
        v = arena_bytes(b->a, v);
        if (v.p == NULL) {
            b->bad = true;
            return;
        }
    }
    vecb_str_borrow(b, v);
}

void vecb_value(struct vecb *b, const struct value *v)
{
    if (v->is_null) {
        vecb_null(b);
        return;
    }
    switch (b->type) {
    case T_NONE: vecb_null(b); break;
    case T_BOOL: vecb_bool(b, v->b); break;
    case T_REAL: vecb_r64(b, v->r); break;
    case T_DECIMAL:
    case T_GUID: vecb_u128(b, v->u); break;
    case T_STRING:
    case T_DYNAMIC: vecb_str(b, v->s); break;
    default: vecb_i64(b, v->i); break;
    }
}

void vecb_value_borrow(struct vecb *b, const struct value *v)
{
    bool is_text = b->type == T_STRING || b->type == T_DYNAMIC;
    if (is_text && !v->is_null) {
        vecb_str_borrow(b, v->s);
    } else {
        vecb_value(b, v);
    }
}

enum err vecb_finish(struct vecb *b, struct vec *out, struct diag *d)
{
    if (b->bad) return arena_full(b->a, d);
    *out = (struct vec){
        .type = b->type, .shape = VEC_FLAT, .n = b->n, .nulls = b->nulls, .data = b->data};
    return OK;
}

int schema_find(const struct schema *s, const char *name)
{
    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->cols[i].name, name) == 0) return (int)i;
    }
    return -1;
}

static enum err slice_nulls(struct arena *a, const uint64_t *nulls, uint32_t from, uint32_t n,
                            const uint64_t **out, struct diag *d)
{
    if (nulls == NULL || n == 0) {
        *out = NULL;
        return OK;
    }
    if (from % 64 == 0) {
        *out = nulls + from / 64;
        return OK;
    }
    uint64_t *bits = arena_array(a, uint64_t, BIT_WORDS(n));
    if (bits == NULL) return arena_full(a, d);
    const uint64_t *src = nulls + from / 64;
    unsigned shift = from % 64;
    size_t words = BIT_WORDS(n), last = (from + (size_t)n - 1) / 64 - from / 64;
    for (size_t w = 0; w < words; w++) {
        bits[w] = src[w] >> shift | (w + 1 <= last ? src[w + 1] << (64 - shift) : 0);
    }
    *out = bits;
    return OK;
}

static enum err vec_slice(struct arena *a, const struct vec *v, uint32_t from, uint32_t n,
                          struct vec *out, struct diag *d)
{
    struct vec s = *v;
    s.n = n;
    if (v->shape != VEC_CONST) TRY(slice_nulls(a, v->nulls, from, n, &s.nulls, d));
    if (v->shape == VEC_FLAT) s.data = (const uint8_t *)v->data + type_width(v->type) * from;
    if (v->shape == VEC_DICT) s.codes = v->codes + from;
    *out = s;
    return OK;
}

enum err batch_slice(struct arena *a, const struct batch *b, uint32_t from, uint32_t n,
                     struct batch *out, struct diag *d)
{
    struct vec *cols = arena_array(a, struct vec, b->n_cols);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < b->n_cols; i++)
        TRY(vec_slice(a, &b->cols[i], from, n, &cols[i], d));
    *out = (struct batch){.n_rows = n, .n_cols = b->n_cols, .cols = cols};
    return OK;
}

#define GATHER(width_type)                                                       \
    for (uint32_t i = 0; i < n; i++) {                                           \
        ((width_type *)data)[i] = ((const width_type *)src)[vec_at(v, rows[i])]; \
    }

enum err vec_gather(struct arena *a, const struct vec *v, const uint32_t *rows, uint32_t n,
                    struct vec *out, struct diag *d)
{
    const void *src = vec_data(v);
    void *data = arena_calloc(a, n, type_width(v->type));
    uint64_t *nulls = NULL;
    if (data == NULL) return arena_full(a, d);
    switch (type_width(v->type)) {
    case 1: GATHER(uint8_t); break;
    case 8: GATHER(uint64_t); break;
    default: GATHER(struct u128); break;
    }
    bool may_be_null = v->nulls != NULL || (v->shape == VEC_DICT && v->dict->nulls != NULL);
    if (may_be_null) {
        nulls = arena_array(a, uint64_t, BIT_WORDS(n));
        if (nulls == NULL) return arena_full(a, d);
        for (uint32_t i = 0; i < n; i++) {
            if (vec_null(v, rows[i])) bit_set(nulls, i);
        }
    }
    *out = (struct vec){.type = v->type, .shape = VEC_FLAT, .n = n, .nulls = nulls, .data = data};
    return OK;
}

uint32_t bools_rows(const uint8_t *bools, const uint64_t *nulls, uint32_t n, uint32_t *rows)
{
    const struct simd_kernels *k = simd();
    uint64_t bits[BIT_WORDS(VEC_ROWS)];
    uint32_t found = 0;
    for (uint32_t from = 0; from < n; from += VEC_ROWS) {
        uint32_t part = n - from < VEC_ROWS ? n - from : VEC_ROWS;
        k->pack(bools + from, part, bits);
        for (uint32_t w = 0; nulls != NULL && w < BIT_WORDS(part); w++)
            bits[w] &= ~nulls[from / 64 + w];
        found += k->places(bits, part, from, rows + found);
    }
    return found;
}
