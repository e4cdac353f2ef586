/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/simd.h - loops over vectors that are written for the processor's wide instructions
 *
 * A family of kernels is a file: first the plain C that says what is computed, then the same for AVX2,
 * for AVX-512 and for NEON, each where it does better (NEON multiplies no 64 bits and does not
 * compress: there the plain mix() and places() serve). Which set runs is chosen once, by the processor,
 * at the first call of simd(): arm64 always has NEON; without any of the three the plain form runs.
 *
 * Pointers need no alignment beyond their type's. No kernel touches a byte beyond the n elements.
 */
#pragma once

#include "base/bytes.h"

/* Two bytes of a text that is looked for, each at its own distance (func/probe.h). */
struct probe {
    uint8_t byte[2], fold[2]; /* fold is or-ed to the text first: 0x20 for a letter without case */
    size_t at[2];             /* where in the needle each stands */
    size_t len;               /* of the needle, at least 1 */
};

enum simd { SIMD_PLAIN, SIMD_AVX2, SIMD_AVX512, SIMD_NEON, N_SIMD };

struct simd_kernels {
    const char *name;

    /* simd_within.c: out[i] = (low <= x[i] && x[i] <= high) != negated, as 0 or 1. NaN is within
     * nothing. */
    void (*within_i64)(const int64_t *x, uint32_t n, int64_t low, int64_t high, bool negated,
                       uint8_t *out);
    void (*within_r64)(const double *x, uint32_t n, double low, double high, bool negated,
                       uint8_t *out);

    /* simd_bits.c: a bitmap of bools that are 0 or 1; bits behind the last are 0. */
    void (*pack)(const uint8_t *bools, uint32_t n, uint64_t *bits);
    /* The places of the bits that are set, each plus base; returns how many. Bits from n on are
     * zero; rows has room for n. */
    uint32_t (*places)(const uint64_t *bits, uint32_t n, uint32_t base, uint32_t *rows);

    /* simd_hash.c: out[i] = simd_mix(x[i], seed) */
    void (*mix)(const uint64_t *x, uint32_t n, uint64_t seed, uint64_t *out);

    /* simd_probe.c: the first place in [from, end) at which both bytes stand where they should; NULL:
     * none. The needle's length is readable from every place: up to end + len - 1. */
    const uint8_t *(*probe)(const struct probe *p, const uint8_t *from, const uint8_t *end);
};

const struct simd_kernels *simd(void); /* the best that this processor has */
/* A set by name, for tests that hold them against each other; NULL: this processor has not got it. */
const struct simd_kernels *simd_of(enum simd set);

/* The finalizer of SplitMix64: every bit of x moves half of the result's. */
static inline uint64_t simd_mix(uint64_t x, uint64_t seed)
{
    x += seed;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}
