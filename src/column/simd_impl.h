/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd_impl.h - what the families of kernels tell simd.c, and no one else */
#pragma once

#include "column/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2   __attribute__((target("avx2,bmi")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,popcnt")))
#endif

/* Each family fills in its members of the three sets; on other processors only the plain one. */
void simd_within_fill(struct simd_kernels sets[N_SIMD]);
void simd_bits_fill(struct simd_kernels sets[N_SIMD]);
void simd_hash_fill(struct simd_kernels sets[N_SIMD]);
void simd_probe_fill(struct simd_kernels sets[N_SIMD]);
