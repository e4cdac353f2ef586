/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd.c - the sets of kernels, and which of them this processor runs */
#include "column/simd_impl.h"

#include <pthread.h>
#include <stdatomic.h>

static struct simd_kernels sets[N_SIMD] = {
    [SIMD_PLAIN] = {.name = "plain"},
    [SIMD_AVX2] = {.name = "avx2"},
    [SIMD_AVX512] = {.name = "avx512"},
    [SIMD_NEON] = {.name = "neon"},
};
static pthread_once_t chosen = PTHREAD_ONCE_INIT;
static _Atomic(const struct simd_kernels *) best;

static bool has(enum simd set)
{
#if defined(__x86_64__)
    if (set == SIMD_AVX2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi");
    if (set == SIMD_AVX512) {
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    }
#elif defined(__AARCH64EL__)
    if (set == SIMD_NEON) return true;
#endif
    return set == SIMD_PLAIN;
}

static void choose(void)
{
    const struct simd_kernels *last = NULL;
    simd_within_fill(sets);
    simd_bits_fill(sets);
    simd_hash_fill(sets);
    simd_probe_fill(sets);
    for (int i = 0; i < N_SIMD; i++) {
        if (has((enum simd)i)) last = &sets[i];
    }
    atomic_store_explicit(&best, last, memory_order_release);
}

const struct simd_kernels *simd(void)
{
    const struct simd_kernels *k = atomic_load_explicit(&best, memory_order_acquire);
    if (k != NULL) return k;
    pthread_once(&chosen, choose);
    return atomic_load_explicit(&best, memory_order_acquire);
}

const struct simd_kernels *simd_of(enum simd set)
{
    (void)simd();
    return has(set) ? &sets[set] : NULL;
}
