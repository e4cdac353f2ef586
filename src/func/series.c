/* SPDX-License-Identifier: Apache-2.0 */
/* func/series.c - dynamic arrays as numbers */
#include "func/series.h"

#include <stdlib.h>

void series_release(struct series *s)
{
    free(s->v);
    s->v = NULL;
}

static double number_of(struct bytes element, bool *whole)
{
    switch (dyn_kind(element)) {
    case DYN_LONG: return (double)dyn_scalar(element).i;
    case DYN_BOOL: return dyn_scalar(element).b;
    case DYN_REAL: *whole = false; return dyn_scalar(element).r;
    default: return NAN;
    }
}

enum err series_read(struct series *s, const struct value *v, struct diag *d)
{
    struct dyn_iter it = {0};
    struct bytes name, e;
    struct value number;
    *s = (struct series){.whole = true};
    s->array = v->type == T_DYNAMIC && !v->is_null && dyn_kind(v->s) == DYN_ARRAY &&
               dyn_iter_init(&it, v->s);
    s->v = calloc((size_t)it.left + 1, sizeof *s->v);
    if (s->v == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (!s->array) {
        s->scalar = value_cast(v, T_REAL, NULL, &number) && !number.is_null;
        s->v[0] = s->scalar ? number.r : NAN;
        s->whole = v->type == T_LONG || v->type == T_INT ||
                   (v->type == T_DYNAMIC && dyn_kind(v->s) == DYN_LONG);
        s->n = s->scalar;
        return OK;
    }
    for (; dyn_iter_next(&it, &name, &e); s->n++)
        s->v[s->n] = number_of(e, &s->whole);
    return OK;
}

void series_put(struct buf *out, double v, bool whole)
{
    struct value x = {.type = whole ? T_LONG : T_REAL, .is_null = isnan(v)};
    if (!x.is_null && whole) {
        x.i = (int64_t)v;
    } else {
        x.r = v;
    }
    value_to_dyn(&x, out);
}

void series_put_all(struct buf *out, const double *v, uint32_t n, bool whole)
{
    size_t at = dyn_array_begin(out);
    for (uint32_t i = 0; i < n; i++)
        series_put(out, v[i], whole);
    dyn_array_end(out, at, n);
}

void series_put_named(struct buf *out, const char *name, double v, bool whole)
{
    dyn_bag_name(out, bytes_str(name));
    series_put(out, v, whole);
}

void series_put_array(struct buf *out, const char *name, const double *v, uint32_t n)
{
    dyn_bag_name(out, bytes_str(name));
    series_put_all(out, v, n, false);
}

double series_number_arg(const struct fn_call *call, const struct vec *const *args, uint32_t k,
                         uint32_t i, double otherwise)
{
    struct value v, r;
    if (k >= call->n_args) return otherwise;
    v = vec_value(args[k], i);
    return !v.is_null && value_cast(&v, T_REAL, NULL, &r) && !r.is_null ? r.r : otherwise;
}

enum err series_rows(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                     uint32_t n, struct vec *out, series_row *row)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        TRY(row(cx, call, args, i, &r.b));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}
