/* SPDX-License-Identifier: Apache-2.0 */
/* column/simd_probe.c - where two bytes stand at their distance: 16 to 64 places at once */
#include "column/simd_impl.h"

#include <string.h>

#define AHEAD 2048 /* bytes: the processor's own read-ahead ends with the page */

static const uint8_t *find_bytewise(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    for (; from < end; from++) {
        if ((from[p->at[0]] | p->fold[0]) == p->byte[0] &&
            (from[p->at[1]] | p->fold[1]) == p->byte[1])
            return from;
    }
    return NULL;
}

typedef uint8_t v16 __attribute__((vector_size(16)));
typedef uint64_t v2 __attribute__((vector_size(16)));

static inline v16 splat(uint8_t c)
{
    return (v16){c, c, c, c, c, c, c, c, c, c, c, c, c, c, c, c};
}

static const uint8_t *find_16(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    v16 byte0 = splat(p->byte[0]), byte1 = splat(p->byte[1]);
    v16 fold0 = splat(p->fold[0]), fold1 = splat(p->fold[1]);
    for (; end - from >= 16; from += 16) {
        v16 x, y;
        memcpy(&x, from + p->at[0], sizeof x);
        memcpy(&y, from + p->at[1], sizeof y);
        v2 hit = (v2)(((x | fold0) == byte0) & ((y | fold1) == byte1));
        if ((hit[0] | hit[1]) == 0) continue;
        return find_bytewise(p, from, from + 16);
    }
    return find_bytewise(p, from, end);
}

#if defined(__x86_64__)

/* May be beyond the text: a prefetch of nothing does nothing. */
static inline void prefetch(const uint8_t *from)
{
    __builtin_prefetch((const void *)((uintptr_t)from + AHEAD));
}

AVX2 static const uint8_t *find_32(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    __m256i byte0 = _mm256_set1_epi8((char)p->byte[0]), byte1 = _mm256_set1_epi8((char)p->byte[1]);
    __m256i fold0 = _mm256_set1_epi8((char)p->fold[0]), fold1 = _mm256_set1_epi8((char)p->fold[1]);
    for (; end - from >= 32; from += 32) {
        prefetch(from);
        __m256i x = _mm256_loadu_si256((const __m256i *)(from + p->at[0]));
        __m256i y = _mm256_loadu_si256((const __m256i *)(from + p->at[1]));
        __m256i hit = _mm256_and_si256(_mm256_cmpeq_epi8(_mm256_or_si256(x, fold0), byte0),
                                       _mm256_cmpeq_epi8(_mm256_or_si256(y, fold1), byte1));
        unsigned bits = (unsigned)_mm256_movemask_epi8(hit);
        if (bits != 0) return from + __builtin_ctz(bits);
    }
    return find_16(p, from, end);
}

/* The last block is loaded under a mask: what the mask leaves out is not touched. */
AVX512 static const uint8_t *find_64(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    __m512i byte0 = _mm512_set1_epi8((char)p->byte[0]), byte1 = _mm512_set1_epi8((char)p->byte[1]);
    __m512i fold0 = _mm512_set1_epi8((char)p->fold[0]), fold1 = _mm512_set1_epi8((char)p->fold[1]);
    for (; from < end; from += 64) {
        prefetch(from);
        size_t left = (size_t)(end - from);
        __mmask64 in = left >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << left) - 1;
        __m512i x = _mm512_maskz_loadu_epi8(in, from + p->at[0]);
        __m512i y = _mm512_maskz_loadu_epi8(in, from + p->at[1]);
        in = _mm512_mask_cmpeq_epi8_mask(in, _mm512_or_si512(x, fold0), byte0);
        in = _mm512_mask_cmpeq_epi8_mask(in, _mm512_or_si512(y, fold1), byte1);
        if (in != 0) return from + __builtin_ctzll(in);
        if (left <= 64) break;
    }
    return NULL;
}

#elif defined(__AARCH64EL__)

/* Where both bytes stand, four bits a place: NEON has no instruction that takes one bit of each byte. */
static inline uint64_t nibbles(uint8x16_t hit)
{
    return vget_lane_u64(vreinterpret_u64_u8(vshrn_n_u16(vreinterpretq_u16_u8(hit), 4)), 0);
}

static inline uint8x16_t stands(const uint8_t *from, uint8x16_t byte, uint8x16_t fold)
{
    return vceqq_u8(vorrq_u8(vld1q_u8(from), fold), byte);
}

static const uint8_t *find_32(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    uint8x16_t byte0 = vdupq_n_u8(p->byte[0]), byte1 = vdupq_n_u8(p->byte[1]);
    uint8x16_t fold0 = vdupq_n_u8(p->fold[0]), fold1 = vdupq_n_u8(p->fold[1]);
    for (; end - from >= 32; from += 32) {
        const uint8_t *x = from + p->at[0], *y = from + p->at[1];
        uint8x16_t a = vandq_u8(stands(x, byte0, fold0), stands(y, byte1, fold1));
        uint8x16_t b = vandq_u8(stands(x + 16, byte0, fold0), stands(y + 16, byte1, fold1));
        if (nibbles(vorrq_u8(a, b)) == 0) continue;
        uint64_t first = nibbles(a);
        if (first != 0) return from + __builtin_ctzll(first) / 4;
        return from + 16 + __builtin_ctzll(nibbles(b)) / 4;
    }
    return find_16(p, from, end);
}
#endif

void simd_probe_fill(struct simd_kernels sets[N_SIMD])
{
    for (int i = 0; i < N_SIMD; i++)
        sets[i].probe = find_16;
#if defined(__x86_64__)
    sets[SIMD_AVX2].probe = find_32;
    sets[SIMD_AVX512].probe = find_64;
#elif defined(__AARCH64EL__)
    sets[SIMD_NEON].probe = find_32;
#endif
}
