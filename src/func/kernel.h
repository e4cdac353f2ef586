/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/kernel.h - what the families of functions share: operands as plain arrays, results, strings
 *
 * (1) An operand is a pointer and a step: step 0 stands for a constant. Its null rows hold zero, so
 *     a kernel computes on them too and fn_run() throws the result away.
 * (2) A kernel writes a flat vector of exactly n rows.
 */
#pragma once

#include "func/fn.h"
#include "func/text.h"

/* The families' tables, merged by fn.c. */
struct fn_family {
    const struct fn *rows;
    uint32_t n;
};
#define FAMILY(table)                            \
    {                                            \
        (table), sizeof(table) / sizeof *(table) \
    }

/* Shorthand of the tables. */
#define ARG(set)                                     \
    {                                                \
        .accepts = (uint16_t)(set), .coerce = T_NONE \
    }
#define ARG_AS(set, to)                            \
    {                                              \
        .accepts = (uint16_t)(set), .coerce = (to) \
    }
#define ANY_SCALAR   (TM_ANY & ~TM(T_NONE))
#define NOT_DYNAMIC  (ANY_SCALAR & ~TM(T_DYNAMIC))
#define STRINGY      (TM(T_STRING) | TM(T_DYNAMIC))
#define ARG_TEXT     ARG_AS(ANY_SCALAR, T_STRING) /* anything, as its text */
#define ARG_STRING   ARG_AS(STRINGY, T_STRING)
#define ARG_LONG     ARG_AS(TM_INTS, T_LONG)
#define ARG_REAL     ARG_AS(TM_NUMERIC, T_REAL)
#define ARG_BOOL     ARG_AS(TM(T_BOOL), T_BOOL)
#define ARG_DATETIME ARG_AS(TM(T_DATETIME), T_DATETIME)
#define ARG_TIMESPAN ARG_AS(TM(T_TIMESPAN), T_TIMESPAN)
#define ARG_DYNAMIC  ARG(TM(T_DYNAMIC))
#define ARG_ARRAY    ARG_DYNAMIC

/* One row of a table; the arguments come last. */
#define FN(name_, min, max, ret_, flags_, eval_, doc_, example_, expect_, ...)                   \
    {                                                                                            \
        .name = (name_), .arity_min = (min), .arity_max = (max), .args = {__VA_ARGS__},          \
        .ret = (ret_), .flags = (flags_), .eval = (eval_), .doc = (doc_), .example = (example_), \
        .expect = (expect_)                                                                      \
    }
/* One whose constant arguments are looked at once. */
#define FN_PREPARED(name_, min, max, ret_, eval_, prepare_, doc_, example_, expect_, ...) \
    {                                                                                     \
        .name = (name_), .arity_min = (min), .arity_max = (max), .args = {__VA_ARGS__},   \
        .ret = (ret_), .eval = (eval_), .prepare = (prepare_), .doc = (doc_),             \
        .example = (example_), .expect = (expect_)                                        \
    }
#define STRICT FN_NULL_IN_NULL_OUT

/* The head of a kernel. */
#define EVAL(name)                                                     \
    static enum err name(struct fn_cx *cx, const struct fn_call *call, \
                         const struct vec *const *args, uint32_t n, struct vec *out)
/* A kernel that computes one row after the other: `body` sees i and assigns to r[i]. */
#define EVAL_ROWS(name, type_, ctype, body)         \
    EVAL(name)                                      \
    {                                               \
        void *data_;                                \
        (void)call, (void)args;                     \
        TRY(out_flat(cx, (type_), n, out, &data_)); \
        ctype *r = data_;                           \
        for (uint32_t i = 0; i < n; i++) {          \
            body;                                   \
        }                                           \
        return OK;                                  \
    }

/* --- operands --------------------------------------------------------------------------------- */

struct i64s {
    const int64_t *p;
    uint32_t step;
};
struct r64s {
    const double *p;
    uint32_t step;
};
struct u128s {
    const struct u128 *p;
    uint32_t step;
};

/* Flat or constant, whatever v was. */
enum err vec_plain(struct fn_cx *cx, const struct vec *v, struct vec *out);
/* int, long, datetime, timespan and bool as 64 bits. */
enum err load_i64(struct fn_cx *cx, const struct vec *v, struct i64s *out);
/* Any number, bool, datetime and timespan (ticks) as real. */
enum err load_r64(struct fn_cx *cx, const struct vec *v, struct r64s *out);
/* Any number as decimal; a real that is not finite is null: marked in nulls. */
enum err load_decimal(struct fn_cx *cx, const struct vec *v, uint64_t *nulls, struct u128s *out);

/* A dynamic vector as another type; a row that is no such value is null. Others stay as they are.
 */
enum err vec_undynamic(struct fn_cx *cx, const struct vec *v, enum type to, uint32_t n,
                       struct vec *out);

/* One loop per shape, so that the compiler sees plain arrays: a and b are operands, x and y their
 * values in row i. */
#define LOOP(type, expr)                                   \
    do {                                                   \
        const type *restrict a_ = a.p, *restrict b_ = b.p; \
        if (a.step != 0 && b.step != 0) {                  \
            for (uint32_t i = 0; i < n; i++) {             \
                type x = a_[i], y = b_[i];                 \
                expr;                                      \
            }                                              \
        } else if (a.step != 0) {                          \
            type y = b_[0];                                \
            for (uint32_t i = 0; i < n; i++) {             \
                type x = a_[i];                            \
                expr;                                      \
            }                                              \
        } else if (b.step != 0) {                          \
            type x = a_[0];                                \
            for (uint32_t i = 0; i < n; i++) {             \
                type y = b_[i];                            \
                expr;                                      \
            }                                              \
        } else {                                           \
            type x = a_[0], y = b_[0];                     \
            for (uint32_t i = 0; i < n; i++)               \
                expr;                                      \
        }                                                  \
    } while (0)

/* --- results ---------------------------------------------------------------------------------- */

/* A flat vector of n zeros. */
enum err out_flat(struct fn_cx *cx, enum type t, uint32_t n, struct vec *out, void **data);
/* Its bitmap of nulls, none set; NULL when memory is out. */
uint64_t *out_nulls(struct fn_cx *cx, struct vec *out);
static inline enum err out_full(struct fn_cx *cx) /* ERR_LIMIT */
{
    return arena_full(cx->a, cx->d);
}

/* Rows of text or of dynamic values, written one after the other into one buffer. What was added to
 * b since the last row_end() is the row; a dynamic row of no bytes is null. */
struct rows_out {
    struct buf b;
    struct bytes *rows; /* of the result; until the end only the lengths */
    uint32_t n;
    size_t from;
};
enum err rows_begin(struct fn_cx *cx, struct rows_out *r, enum type t, uint32_t n, struct vec *out);
void row_end(struct rows_out *r);
enum err rows_end(struct fn_cx *cx, struct rows_out *r, struct vec *out); /* releases the buffer */
void rows_release(struct rows_out *r); /* on the way out of a failure */
#define CLEANUP_ROWS __attribute__((cleanup(rows_release)))

/* The constant text or number of argument i, when there is such an argument and it is one. */
bool const_str(const struct fn_call *c, uint32_t i, struct bytes *out);
bool const_i64(const struct fn_call *c, uint32_t i, int64_t *out);

/* --- values ----------------------------------------------------------------------------------- */

/* tostring(): appends. */
void value_to_text(const struct value *v, struct buf *out);
/* As a dynamic value: appends. Memory that is out marks the buffer. */
void value_to_dyn(const struct value *v, struct buf *out);
/* to...(): the conversion that a query can ask for. False: null. */
bool value_cast(const struct value *v, enum type to, struct arena *a, struct value *out);
/* The order of sort and of min(): both of one type, neither null. NaN comes first. */
int value_cmp(const struct value *a, const struct value *b);
bool value_eq(const struct value *a, const struct value *b);
uint64_t value_hash(const struct value *v);
/* XXH64 of a value's bytes, as hash() gives it: a text's own, else the little-endian number. */
uint64_t value_xxh64(const struct value *v);
