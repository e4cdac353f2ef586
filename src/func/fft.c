/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fft.c - the discrete Fourier transform of any length, and back
 *
 * Lengths that are a power of two go through radix 2; others become a convolution of such a length
 * (Bluestein).
 */
#include "func/fft.h"

#include <math.h>
#include <stdlib.h>

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

bool fft(cplx *v, uint32_t n, bool back)
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
