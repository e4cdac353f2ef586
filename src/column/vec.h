/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/vec.h - a typed vector, and a batch of them: what every operator works on
 *
 * A vector borrows its memory (an arena, a segment's decoded block, a memtable) and is read-only
 * once it is made. data is, by type:
 *
 *      bool                           uint8_t, 0 or 1
 *      int long datetime timespan     int64_t
 *      real                           double
 *      decimal guid                   struct u128
 *      string dynamic                 struct bytes; null and empty have len 0
 *
 * FLAT has n of them; CONST has one that stands for all n rows; DICT has codes[n] into the flat
 * vector dict. nulls is a bitmap over rows (bit set = null), NULL when no row is null; a null row's
 * data is zero. For CONST only bit 0 counts. Strings are never null.
 *
 * A decoded column of strings is packed: the texts of its rows lie one behind the other, in the order
 * of rows and without gaps, so it can be searched as one text. Where packed is not 0 that is so, and
 * no text has a NULL pointer.
 */
#pragma once

#include "column/type.h"

#define VEC_ROWS 2048 /* rows of a vector in the executor; a row group may be longer */

#define VEC_PACKED UINT32_MAX /* texts of any length */

enum vec_shape { VEC_FLAT, VEC_CONST, VEC_DICT };

struct vec {
    enum type type;
    enum vec_shape shape;
    uint32_t n;
    uint32_t packed; /* FLAT strings: 0, VEC_PACKED, or how long each of the packed texts is */
    const uint64_t *nulls;
    const void *data;
    const uint32_t *codes;  /* DICT */
    const struct vec *dict; /* DICT: flat, of the same type */
};

size_t type_width(enum type t); /* bytes of one element of data */

static inline bool bit_get(const uint64_t *bits, uint32_t i)
{
    return bits != NULL && (bits[i >> 6] >> (i & 63) & 1) != 0;
}
static inline void bit_set(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] |= (uint64_t)1 << (i & 63);
}
#define BIT_WORDS(n) (((size_t)(n) + 63) / 64)

/* The index into data that row i reads. */
static inline uint32_t vec_at(const struct vec *v, uint32_t i)
{
    return v->shape == VEC_FLAT ? i : v->shape == VEC_CONST ? 0 : v->codes[i];
}
static inline const void *vec_data(const struct vec *v)
{
    return v->shape == VEC_DICT ? v->dict->data : v->data;
}
static inline bool vec_null(const struct vec *v, uint32_t i)
{
    if (v->shape == VEC_CONST) return bit_get(v->nulls, 0);
    if (bit_get(v->nulls, i)) return true;
    return v->shape == VEC_DICT && bit_get(v->dict->nulls, v->codes[i]);
}
static inline int64_t vec_i64(const struct vec *v, uint32_t i)
{
    return ((const int64_t *)vec_data(v))[vec_at(v, i)];
}
static inline double vec_r64(const struct vec *v, uint32_t i)
{
    return ((const double *)vec_data(v))[vec_at(v, i)];
}
static inline bool vec_bool(const struct vec *v, uint32_t i)
{
    return ((const uint8_t *)vec_data(v))[vec_at(v, i)] != 0;
}
static inline struct bytes vec_str(const struct vec *v, uint32_t i)
{
    return ((const struct bytes *)vec_data(v))[vec_at(v, i)];
}
struct value vec_value(const struct vec *v, uint32_t i); /* borrows strings */

/* A constant vector of n rows; the value is copied into the arena. NULL over its limit. */
struct vec *vec_const(struct arena *a, const struct value *v, uint32_t n);

/* Builds a flat vector row by row. Strings are copied into the arena. A failed builder stays
 * failed: vecb_finish() says so once. */
struct vecb {
    struct arena *a;
    enum type type;
    uint32_t n, cap;
    uint8_t *data;
    uint64_t *nulls; /* NULL until the first null */
    bool bad;
};
void vecb_init(struct vecb *b, struct arena *a, enum type t, uint32_t cap_hint);
void vecb_null(struct vecb *b);
void vecb_i64(struct vecb *b, int64_t v);
void vecb_r64(struct vecb *b, double v);
void vecb_bool(struct vecb *b, bool v);
void vecb_u128(struct vecb *b, struct u128 v);
void vecb_str(struct vecb *b, struct bytes v);                 /* copies */
void vecb_str_borrow(struct vecb *b, struct bytes v);          /* does not */
void vecb_value(struct vecb *b, const struct value *v);        /* same type, or null; copies text */
void vecb_value_borrow(struct vecb *b, const struct value *v); /* does not */
enum err vecb_finish(struct vecb *b, struct vec *out, struct diag *d);

/* The places, ascending, of bools that are 1 and whose row is not null (nulls NULL: none is); rows has
 * room for n. Returns how many. */
uint32_t bools_rows(const uint8_t *bools, const uint64_t *nulls, uint32_t n, uint32_t *rows);

struct column {
    const char *name;
    enum type type;
};

struct schema {
    uint32_t n;
    const struct column *cols;
};
int schema_find(const struct schema *s, const char *name); /* index, or -1; case-sensitive */

struct batch {
    uint32_t n_rows, n_cols;
    struct vec *cols; /* each n_rows long */
};

/* Rows [from, from + n) as a view; bitmaps are shifted into the arena where they must be. */
enum err batch_slice(struct arena *a, const struct batch *b, uint32_t from, uint32_t n,
                     struct batch *out, struct diag *d);
/* Rows picked by index, flat. */
enum err vec_gather(struct arena *a, const struct vec *v, const uint32_t *rows, uint32_t n,
                    struct vec *out, struct diag *d);
