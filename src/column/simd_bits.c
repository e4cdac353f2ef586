/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd_bits.c - bools as a bitmap, and a bitmap as the places of its bits */
#include "column/simd_impl.h"

#include <string.h>

/* Eight bools that are 0 or 1, the first in the lowest bit. */
static inline uint64_t eight(const uint8_t *bools)
{
    uint64_t x;
    memcpy(&x, bools, sizeof x);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    return x * 0x0102040810204080ULL >> 56;
}

/* The word of up to 64 bools. */
static uint64_t word_of(const uint8_t *bools, uint32_t n)
{
    uint64_t word = 0;
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8)
        word |= eight(bools + i) << i;
    for (; i < n; i++)
        word |= (uint64_t)bools[i] << i;
    return word;
}

static void pack(const uint8_t *bools, uint32_t n, uint64_t *bits)
{
    for (uint32_t i = 0; i < n; i += 64)
        bits[i / 64] = word_of(bools + i, n - i < 64 ? n - i : 64);
}

static inline uint32_t places_of_word(uint64_t word, uint32_t base, uint32_t *rows)
{
    uint32_t k = 0;
    for (; word != 0; word &= word - 1)
        rows[k++] = base + (uint32_t)__builtin_ctzll(word);
    return k;
}

static uint32_t places(const uint64_t *bits, uint32_t n, uint32_t base, uint32_t *rows)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < n; i += 64) {
        if (bits[i / 64] == UINT64_MAX) {
            for (uint32_t b = 0; b < 64; b++)
                rows[k++] = base + i + b;
        } else {
            k += places_of_word(bits[i / 64], base + i, rows + k);
        }
    }
    return k;
}

#if defined(__x86_64__)

AVX2 static void pack_avx2(const uint8_t *bools, uint32_t n, uint64_t *bits)
{
    __m256i zero = _mm256_setzero_si256();
    uint32_t i = 0;
    for (; n - i >= 64; i += 64) {
        __m256i low = _mm256_loadu_si256((const __m256i *)(bools + i));
        __m256i high = _mm256_loadu_si256((const __m256i *)(bools + i + 32));
        unsigned a = (unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(low, zero));
        unsigned b = (unsigned)_mm256_movemask_epi8(_mm256_cmpgt_epi8(high, zero));
        bits[i / 64] = (uint64_t)b << 32 | a;
    }
    pack(bools + i, n - i, bits + i / 64);
}

AVX512 static void pack_avx512(const uint8_t *bools, uint32_t n, uint64_t *bits)
{
    uint32_t i = 0;
    for (; n - i >= 64; i += 64) {
        __m512i v = _mm512_loadu_si512(bools + i);
        bits[i / 64] = _mm512_test_epi8_mask(v, v);
    }
    pack(bools + i, n - i, bits + i / 64);
}

/* Sixteen places at a time are pushed together; a word of few bits is not worth it. Of the i places
 * looked at no more than i are written, so sixteen more have room. */
AVX512 static uint32_t places_avx512(const uint64_t *bits, uint32_t n, uint32_t base,
                                     uint32_t *rows)
{
    const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t k = 0, i = 0;
    for (; n - i >= 64; i += 64) {
        uint64_t word = bits[i / 64];
        if (_mm_popcnt_u64(word) <= 8) {
            k += places_of_word(word, base + i, rows + k);
            continue;
        }
        for (unsigned b = 0; b < 64; b += 16) {
            __mmask16 m = (__mmask16)(word >> b);
            __m512i at = _mm512_add_epi32(first, _mm512_set1_epi32((int)(base + i + b)));
            _mm512_storeu_si512(rows + k, _mm512_maskz_compress_epi32(m, at));
            k += (uint32_t)_mm_popcnt_u32(m);
        }
    }
    return i < n ? k + places_of_word(bits[i / 64], base + i, rows + k) : k;
}

#elif defined(__AARCH64EL__)

/* Each bool goes to its own bit of a byte; then neighbours are added until eight are one byte. */
static void pack_neon(const uint8_t *bools, uint32_t n, uint64_t *bits)
{
    const int8x16_t by = {0, 1, 2, 3, 4, 5, 6, 7, 0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t i = 0;
    for (; n - i >= 64; i += 64) {
        uint8x16_t a = vshlq_u8(vld1q_u8(bools + i), by);
        uint8x16_t b = vshlq_u8(vld1q_u8(bools + i + 16), by);
        uint8x16_t c = vshlq_u8(vld1q_u8(bools + i + 32), by);
        uint8x16_t d = vshlq_u8(vld1q_u8(bools + i + 48), by);
        uint8x16_t sum = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
        bits[i / 64] = vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sum, sum)), 0);
    }
    pack(bools + i, n - i, bits + i / 64);
}
#endif

void simd_bits_fill(struct simd_kernels sets[N_SIMD])
{
    for (int i = 0; i < N_SIMD; i++) {
        sets[i].pack = pack;
        sets[i].places = places;
    }
#if defined(__x86_64__)
    sets[SIMD_AVX2].pack = pack_avx2;
    sets[SIMD_AVX512].pack = pack_avx512;
    sets[SIMD_AVX512].places = places_avx512;
#elif defined(__AARCH64EL__)
    sets[SIMD_NEON].pack = pack_neon;
#endif
}
