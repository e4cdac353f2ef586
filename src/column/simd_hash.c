/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd_hash.c - hashes of 64-bit words */
#include "column/simd_impl.h"

static void mix(const uint64_t *x, uint32_t n, uint64_t seed, uint64_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = simd_mix(x[i], seed);
}

#if defined(__x86_64__)

/* The low halves of the products: AVX2 multiplies 32 bits only. */
AVX2 static inline __m256i product(__m256i a, uint64_t b)
{
    __m256i low = _mm256_set1_epi64x((long long)b);
    __m256i high = _mm256_set1_epi64x((long long)(b >> 32));
    __m256i cross = _mm256_add_epi64(_mm256_mul_epu32(a, high),
                                     _mm256_mul_epu32(_mm256_srli_epi64(a, 32), low));
    return _mm256_add_epi64(_mm256_mul_epu32(a, low), _mm256_slli_epi64(cross, 32));
}

AVX2 static void mix_avx2(const uint64_t *x, uint32_t n, uint64_t seed, uint64_t *out)
{
    __m256i seeds = _mm256_set1_epi64x((long long)seed);
    uint32_t i = 0;
    for (; n - i >= 4; i += 4) {
        __m256i v = _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)(x + i)), seeds);
        v = product(_mm256_xor_si256(v, _mm256_srli_epi64(v, 30)), 0xbf58476d1ce4e5b9ULL);
        v = product(_mm256_xor_si256(v, _mm256_srli_epi64(v, 27)), 0x94d049bb133111ebULL);
        v = _mm256_xor_si256(v, _mm256_srli_epi64(v, 31));
        _mm256_storeu_si256((__m256i *)(out + i), v);
    }
    mix(x + i, n - i, seed, out + i);
}

AVX512 static void mix_avx512(const uint64_t *x, uint32_t n, uint64_t seed, uint64_t *out)
{
    __m512i seeds = _mm512_set1_epi64((long long)seed);
    __m512i by = _mm512_set1_epi64((long long)0xbf58476d1ce4e5b9ULL);
    __m512i then = _mm512_set1_epi64((long long)0x94d049bb133111ebULL);
    uint32_t i = 0;
    for (; n - i >= 8; i += 8) {
        __m512i v = _mm512_add_epi64(_mm512_loadu_si512(x + i), seeds);
        v = _mm512_mullo_epi64(_mm512_xor_si512(v, _mm512_srli_epi64(v, 30)), by);
        v = _mm512_mullo_epi64(_mm512_xor_si512(v, _mm512_srli_epi64(v, 27)), then);
        v = _mm512_xor_si512(v, _mm512_srli_epi64(v, 31));
        _mm512_storeu_si512(out + i, v);
    }
    mix(x + i, n - i, seed, out + i);
}
#endif

void simd_hash_fill(struct simd_kernels sets[N_SIMD])
{
    for (int i = 0; i < N_SIMD; i++)
        sets[i].mix = mix;
#if defined(__x86_64__)
    sets[SIMD_AVX2].mix = mix_avx2;
    sets[SIMD_AVX512].mix = mix_avx512;
#endif
}
