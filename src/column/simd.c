/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd.c - the sets of kernels, and which of them this processor runs */
#include "column/simd_impl.h"

#include <pthread.h>

static struct simd_kernels sets[N_SIMD] = {
    [SIMD_PLAIN] = {.name = "plain"},
    [SIMD_AVX2] = {.name = "avx2"},
    [SIMD_AVX512] = {.name = "avx512"},
};
static const struct simd_kernels *best = &sets[SIMD_PLAIN];

static bool has(enum simd set)
{
#if defined(__x86_64__)
    if (set == SIMD_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
    if (set == SIMD_AVX512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
#endif
    return set == SIMD_PLAIN;
}

static void choose(void)
{
    simd_within_fill(sets);
    simd_bits_fill(sets);
    simd_hash_fill(sets);
    simd_probe_fill(sets);
    for (int i = 0; i < N_SIMD; i++) {
        if (has((enum simd)i)) best = &sets[i];
    }
}

static pthread_once_t chosen = PTHREAD_ONCE_INIT;

const struct simd_kernels *simd(void)
{
    pthread_once(&chosen, choose);
    return best;
}

const struct simd_kernels *simd_of(enum simd set)
{
    pthread_once(&chosen, choose);
    return has(set) ? &sets[set] : NULL;
}
