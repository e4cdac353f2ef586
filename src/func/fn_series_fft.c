/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_series_fft.c - the discrete Fourier transform of a series, and back */
#include "func/families.h"
#include "func/fft.h"
#include "func/series.h"

#include <stdlib.h>

static void put_part(struct buf *out, const char *name, const cplx *v, uint32_t n, bool imag)
{
    dyn_bag_name(out, bytes_str(name));
    size_t at = dyn_array_begin(out);
    for (uint32_t k = 0; k < n; k++)
        series_put(out, imag ? cimag(v[k]) : creal(v[k]), false);
    dyn_array_end(out, at, n);
}

/* (real [, imaginary]) */
static enum err row_fft(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                        uint32_t i, struct buf *out)
{
    CLEANUP_SERIES struct series x = {0}, y = {0};
    struct value v = vec_value(args[0], i);
    bool back = strcmp(call->fn->name, "columns series_ifft") == 0;
    TRY(series_read(&x, &v, cx->d));
    if (call->n_args > 1) {
        v = vec_value(args[1], i);
        TRY(series_read(&y, &v, cx->d));
        if (!y.array || y.n != x.n) return OK;
    }
    if (!x.array || x.n > UINT32_MAX / 4) return OK;
    cplx *z = calloc((size_t)x.n + 1, sizeof *z);
    if (z == NULL) return FAIL(cx->d, ERR_LIMIT, "out of memory");
    for (uint32_t k = 0; k < x.n; k++)
        z[k] = x.v[k] + I * (y.v != NULL ? y.v[k] : 0);
    if (!fft(z, x.n, back)) {
        free(z);
        return FAIL(cx->d, ERR_LIMIT, "out of memory");
    }
    size_t at = dyn_bag_begin(out);
    put_part(out, "real", z, x.n, false);
    put_part(out, "imag", z, x.n, true);
    dyn_bag_end(out, at, 2);
    free(z);
    return OK;
}
EVAL_SERIES(eval_fft, row_fft)

static const struct fn rows[] = {
    FN("columns series_fft", 1, 2, T_DYNAMIC, 0, eval_fft, "The frequencies in a series.", NULL,
       NULL, ARG_ARRAY, ARG_ARRAY),
    FN("columns series_ifft", 1, 2, T_DYNAMIC, 0, eval_fft, "The series of its frequencies.", NULL,
       NULL, ARG_ARRAY, ARG_ARRAY),
};
const struct fn_family fn_series_fft = FAMILY(rows);
