/* SPDX-License-Identifier: Apache-2.0 */
/* func/fft.h - the discrete Fourier transform of n complex numbers in place */
#pragma once

#include <complex.h>
#include <stdbool.h>
#include <stdint.h>

typedef double complex cplx;

/* Forward is not scaled, back is divided by n; n <= UINT32_MAX / 4. False: out of memory. */
bool fft(cplx *v, uint32_t n, bool back);
