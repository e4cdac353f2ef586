/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/simd_within.c - numbers compared with a range
 *
 * Every comparison with a constant is one with a range: x < 5 is a long from the least up to 4.
 */
#include "column/simd_impl.h"

#include <string.h>

/* One comparison instead of two: what is below low is far above as an unsigned distance from it. */
static inline uint8_t is_within(int64_t x, int64_t low, uint64_t width)
{
    return (uint64_t)x - (uint64_t)low <= width;
}

static void within_i64(const int64_t *x, uint32_t n, int64_t low, int64_t high, bool negated,
                       uint8_t *out)
{
    uint64_t width = (uint64_t)high - (uint64_t)low;
    if (low > high) {
        memset(out, negated, n);
        return;
    }
    for (uint32_t i = 0; i < n; i++)
        out[i] = is_within(x[i], low, width) ^ negated;
}

static void within_r64(const double *x, uint32_t n, double low, double high, bool negated,
                       uint8_t *out)
{
    for (uint32_t i = 0; i < n; i++)
        out[i] = (uint8_t)((x[i] >= low) & (x[i] <= high)) ^ negated;
}

#if defined(__x86_64__)

/* Four bits as four bytes. */
static inline uint32_t spread(unsigned bits)
{
    return (bits * 0x00204081u) & 0x01010101u;
}

AVX2 static void within_i64_avx2(const int64_t *x, uint32_t n, int64_t low, int64_t high,
                                 bool negated, uint8_t *out)
{
    __m256i lows = _mm256_set1_epi64x(low), highs = _mm256_set1_epi64x(high);
    uint32_t i = 0, flip = negated ? 0x01010101u : 0;
    for (; n - i >= 4; i += 4) {
        __m256i v = _mm256_loadu_si256((const __m256i *)(x + i));
        __m256i beyond = _mm256_or_si256(_mm256_cmpgt_epi64(lows, v), _mm256_cmpgt_epi64(v, highs));
        unsigned bits = (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(beyond)) ^ 15;
        uint32_t four = spread(bits) ^ flip;
        memcpy(out + i, &four, sizeof four);
    }
    within_i64(x + i, n - i, low, high, negated, out + i);
}

AVX2 static void within_r64_avx2(const double *x, uint32_t n, double low, double high, bool negated,
                                 uint8_t *out)
{
    __m256d lows = _mm256_set1_pd(low), highs = _mm256_set1_pd(high);
    uint32_t i = 0, flip = negated ? 0x01010101u : 0;
    for (; n - i >= 4; i += 4) {
        __m256d v = _mm256_loadu_pd(x + i);
        __m256d in =
            _mm256_and_pd(_mm256_cmp_pd(v, lows, _CMP_GE_OQ), _mm256_cmp_pd(v, highs, _CMP_LE_OQ));
        uint32_t four = spread((unsigned)_mm256_movemask_pd(in)) ^ flip;
        memcpy(out + i, &four, sizeof four);
    }
    within_r64(x + i, n - i, low, high, negated, out + i);
}

/* 64 answers are gathered in a mask, and written at once. */
AVX512 static inline void put_64(uint64_t bits, bool negated, uint8_t *out)
{
    __mmask64 m = negated ? ~bits : bits;
    _mm512_storeu_si512(out, _mm512_maskz_set1_epi8(m, 1));
}

AVX512 static void within_i64_avx512(const int64_t *x, uint32_t n, int64_t low, int64_t high,
                                     bool negated, uint8_t *out)
{
    __m512i lows = _mm512_set1_epi64(low), highs = _mm512_set1_epi64(high);
    uint32_t i = 0;
    for (; n - i >= 64; i += 64) {
        uint64_t bits = 0;
        for (unsigned k = 0; k < 64; k += 8) {
            __m512i v = _mm512_loadu_si512(x + i + k);
            __mmask8 in = _mm512_cmpge_epi64_mask(v, lows);
            bits |= (uint64_t)_mm512_mask_cmple_epi64_mask(in, v, highs) << k;
        }
        put_64(bits, negated, out + i);
    }
    within_i64(x + i, n - i, low, high, negated, out + i);
}

AVX512 static void within_r64_avx512(const double *x, uint32_t n, double low, double high,
                                     bool negated, uint8_t *out)
{
    __m512d lows = _mm512_set1_pd(low), highs = _mm512_set1_pd(high);
    uint32_t i = 0;
    for (; n - i >= 64; i += 64) {
        uint64_t bits = 0;
        for (unsigned k = 0; k < 64; k += 8) {
            __m512d v = _mm512_loadu_pd(x + i + k);
            __mmask8 in = _mm512_cmp_pd_mask(v, lows, _CMP_GE_OQ);
            bits |= (uint64_t)_mm512_mask_cmp_pd_mask(in, v, highs, _CMP_LE_OQ) << k;
        }
        put_64(bits, negated, out + i);
    }
    within_r64(x + i, n - i, low, high, negated, out + i);
}

#elif defined(__AARCH64EL__)

static inline uint64x2_t two_i64(const int64_t *x, int64x2_t lows, int64x2_t highs)
{
    int64x2_t v = vld1q_s64(x);
    return vandq_u64(vcgeq_s64(v, lows), vcleq_s64(v, highs));
}

static inline uint64x2_t two_r64(const double *x, float64x2_t lows, float64x2_t highs)
{
    float64x2_t v = vld1q_f64(x);
    return vandq_u64(vcgeq_f64(v, lows), vcleq_f64(v, highs));
}

/* Eight answers, each 64 bits that are all set or all clear, as bytes. */
static inline void put_8(uint64x2_t a, uint64x2_t b, uint64x2_t c, uint64x2_t d, uint8x8_t flip,
                         uint8_t *out)
{
    uint32x4_t ab = vuzp1q_u32(vreinterpretq_u32_u64(a), vreinterpretq_u32_u64(b));
    uint32x4_t cd = vuzp1q_u32(vreinterpretq_u32_u64(c), vreinterpretq_u32_u64(d));
    uint16x8_t in = vuzp1q_u16(vreinterpretq_u16_u32(ab), vreinterpretq_u16_u32(cd));
    vst1_u8(out, veor_u8(vand_u8(vmovn_u16(in), vdup_n_u8(1)), flip));
}

static void within_i64_neon(const int64_t *x, uint32_t n, int64_t low, int64_t high, bool negated,
                            uint8_t *out)
{
    int64x2_t lows = vdupq_n_s64(low), highs = vdupq_n_s64(high);
    uint8x8_t flip = vdup_n_u8(negated);
    uint32_t i = 0;
    for (; n - i >= 8; i += 8)
        put_8(two_i64(x + i, lows, highs), two_i64(x + i + 2, lows, highs),
              two_i64(x + i + 4, lows, highs), two_i64(x + i + 6, lows, highs), flip, out + i);
    within_i64(x + i, n - i, low, high, negated, out + i);
}

static void within_r64_neon(const double *x, uint32_t n, double low, double high, bool negated,
                            uint8_t *out)
{
    float64x2_t lows = vdupq_n_f64(low), highs = vdupq_n_f64(high);
    uint8x8_t flip = vdup_n_u8(negated);
    uint32_t i = 0;
    for (; n - i >= 8; i += 8)
        put_8(two_r64(x + i, lows, highs), two_r64(x + i + 2, lows, highs),
              two_r64(x + i + 4, lows, highs), two_r64(x + i + 6, lows, highs), flip, out + i);
    within_r64(x + i, n - i, low, high, negated, out + i);
}
#endif

void simd_within_fill(struct simd_kernels sets[N_SIMD])
{
    for (int i = 0; i < N_SIMD; i++) {
        sets[i].within_i64 = within_i64;
        sets[i].within_r64 = within_r64;
    }
#if defined(__x86_64__)
    sets[SIMD_AVX2].within_i64 = within_i64_avx2;
    sets[SIMD_AVX2].within_r64 = within_r64_avx2;
    sets[SIMD_AVX512].within_i64 = within_i64_avx512;
    sets[SIMD_AVX512].within_r64 = within_r64_avx512;
#elif defined(__AARCH64EL__)
    sets[SIMD_NEON].within_i64 = within_i64_neon;
    sets[SIMD_NEON].within_r64 = within_r64_neon;
#endif
}
