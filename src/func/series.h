/* SPDX-License-Identifier: Apache-2.0 */
/* func/series.h - a dynamic array as numbers, for the families that compute on series */
#pragma once

#include "column/dyn.h"
#include "func/kernel.h"

#include <math.h>

struct series {
    double *v; /* NaN where the element is no number */
    uint32_t n;
    bool array;  /* it was an array at all; a number counts as one that repeats */
    bool whole;  /* every number in it is whole: long, not real */
    bool scalar; /* a number, to stand beside a series */
};

enum err series_read(struct series *s, const struct value *v, struct diag *d);
void series_release(struct series *s);
#define CLEANUP_SERIES __attribute__((cleanup(series_release)))

static inline double series_at(const struct series *s, uint32_t i)
{
    return s->scalar ? s->v[0] : i < s->n ? s->v[i] : NAN;
}
/* An element: null for NaN, a long when whole is set. */
void series_put(struct buf *out, double v, bool whole);
/* An array of all. */
void series_put_all(struct buf *out, const double *v, uint32_t n, bool whole);

/* A named member of a bag; NaN is null. */
void series_put_named(struct buf *out, const char *name, double v, bool whole);
void series_put_array(struct buf *out, const char *name, const double *v, uint32_t n);

/* Argument k of row i as a number: `otherwise` when it is not given or null. */
double series_number_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                         uint32_t i, double otherwise);

/* Row by row to a dynamic value: `row` appends one, or nothing for null. */
typedef enum err series_row(struct fn_cx *cx, const struct fn_call *call,
                            const struct vec *const *args, uint32_t i, struct buf *out);
enum err series_rows(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                     uint32_t n, struct vec *out, series_row *row);
#define EVAL_SERIES(name, row)                           \
    EVAL(name)                                           \
    {                                                    \
        return series_rows(cx, call, args, n, out, row); \
    }
