/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_series_fft.c - the discrete Fourier transform of a series of any length, and back
 *
 * Lengths that are a power of two go through radix 2; others become a convolution of such a length
 * (Bluestein). Forward is not scaled, back is divided by the length.
 */
#include "func/families.h"
#include "func/series.h"

#include <complex.h>
#include <stdlib.h>

typedef double complex cplx;

static cplx turn(double part)
{
    return cos(2 * M_PI * part) + I * sin(2 * M_PI * part);
}

/* n is a power of two; sign -1 is forward. */
static void radix2(cplx *v, uint32_t n, int sign)
{
    for (uint32_t i = 1, j = 0; i < n; i++) {
        uint32_t bit = n >> 1;
        for (; (j & bit) != 0; bit >>= 1)
            j ^= bit;
        j |= bit;
        if (i < j) {
            cplx t = v[i];
            v[i] = v[j];
            v[j] = t;
        }
    }
    for (uint32_t len = 2; len != 0 && len <= n; len <<= 1) {
        for (uint32_t k = 0; k < len / 2; k++) {
            cplx w = turn(sign * (double)k / len);
            for (uint32_t i = k; i < n; i += len) {
                cplx odd = v[i + len / 2] * w;
                v[i + len / 2] = v[i] - odd;
                v[i] += odd;
            }
        }
    }
}

/* The factor of k: a turn of k²/2n, taken modulo 2n so that no digit is lost. */
static cplx chirp(uint32_t k, uint32_t n, int sign)
{
    return turn(sign * (double)((uint64_t)k * k % (2 * (uint64_t)n)) / (2.0 * n));
}

static bool bluestein(cplx *v, uint32_t n, int sign)
{
    uint32_t m = 1;
    while (m < 2 * n)
        m <<= 1;
    cplx *a = calloc(2 * (size_t)m, sizeof *a);
    if (a == NULL) return false;
    cplx *b = a + m;
    for (uint32_t k = 0; k < n; k++) {
        a[k] = v[k] * chirp(k, n, sign);
        b[k] = chirp(k, n, -sign);
        if (k != 0) b[m - k] = b[k];
    }
    radix2(a, m, -1);
    radix2(b, m, -1);
    for (uint32_t k = 0; k < m; k++)
        a[k] *= b[k];
    radix2(a, m, 1);
    for (uint32_t k = 0; k < n; k++)
        v[k] = a[k] / m * chirp(k, n, sign);
    free(a);
    return true;
}

static bool transform(cplx *v, uint32_t n, bool back)
{
    int sign = back ? 1 : -1;
    if ((n & (n - 1)) == 0) {
        radix2(v, n, sign);
    } else if (!bluestein(v, n, sign)) {
        return false;
    }
    for (uint32_t k = 0; back && k < n; k++)
        v[k] /= n;
    return true;
}

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
    if (!transform(z, x.n, back)) {
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
