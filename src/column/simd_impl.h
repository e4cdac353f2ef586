/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd_impl.h - what the families of kernels tell simd.c, and no one else */
#pragma once

#include "column/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2   __attribute__((target("avx2,bmi")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,bmi,popcnt")))
#elif defined(__AARCH64EL__) /* with its bytes in the usual order: a bitmap's words depend on it */
#include <arm_neon.h>
#endif

/* Each family fills in its members of the sets that this kind of processor may have. */
void simd_within_fill(struct simd_kernels sets[N_SIMD]);
void simd_bits_fill(struct simd_kernels sets[N_SIMD]);
void simd_hash_fill(struct simd_kernels sets[N_SIMD]);
void simd_probe_fill(struct simd_kernels sets[N_SIMD]);
