/* SPDX-License-Identifier: Apache-2.0 */
/* func/probe.c - the kernels that look for two bytes at their distance, and the choice among them
 */
#include "func/probe.h"

#include <stdatomic.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

/* --- which bytes ------------------------------------------------------------------------------ */

/* How common a byte is in logs, roughly: the order is what counts. */
static unsigned commonness(uint8_t c)
{
    if (c == ' ') return 10;
    if (c != 0 && strchr("etaoinsr", c) != NULL) return 9;
    if (c >= '0' && c <= '9') return 8;
    if (c != 0 && strchr("dclpumhgf", c) != NULL) return 7;
    if (c != 0 && strchr("./-_:=\",", c) != NULL) return 6;
    if (c >= 'a' && c <= 'z') return c == 'q' || c == 'x' || c == 'z' || c == 'j' ? 2 : 5;
    return c >= 'A' && c <= 'Z' ? 3 : 1;
}

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

struct probe probe_of(struct bytes text, bool nocase)
{
    size_t best = 0, second = text.len - 1;
    for (size_t i = 1; i < text.len; i++) {
        if (commonness(text.p[i]) < commonness(text.p[best])) best = i;
    }
    if (second == best) second = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (i != best && commonness(text.p[i]) < commonness(text.p[second])) second = i;
    }
    uint8_t a = text.p[best], b = text.p[second];
    return (struct probe){
        .byte = {a, b},
        .fold = {nocase && is_letter(a) ? 0x20 : 0, nocase && is_letter(b) ? 0x20 : 0},
        .at = {best, second},
        .len = text.len};
}

/* --- kernels ---------------------------------------------------------------------------------- */

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
__attribute__((target("avx2"))) static const uint8_t *
find_32(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    __m256i byte0 = _mm256_set1_epi8((char)p->byte[0]), byte1 = _mm256_set1_epi8((char)p->byte[1]);
    __m256i fold0 = _mm256_set1_epi8((char)p->fold[0]), fold1 = _mm256_set1_epi8((char)p->fold[1]);
    for (; end - from >= 32; from += 32) {
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
__attribute__((target("avx512bw"))) static const uint8_t *
find_64(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    __m512i byte0 = _mm512_set1_epi8((char)p->byte[0]), byte1 = _mm512_set1_epi8((char)p->byte[1]);
    __m512i fold0 = _mm512_set1_epi8((char)p->fold[0]), fold1 = _mm512_set1_epi8((char)p->fold[1]);
    for (; from < end; from += 64) {
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
#endif

/* --- the choice ------------------------------------------------------------------------------- */

probe_kernel *probe_kernel_at(unsigned i)
{
    probe_kernel *kernels[4] = {find_16};
    unsigned n = 1;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) kernels[n++] = find_32;
    if (__builtin_cpu_supports("avx512bw")) kernels[n++] = find_64;
#endif
    return i < n ? kernels[i] : NULL;
}

static const uint8_t *choose(const struct probe *p, const uint8_t *from, const uint8_t *end);
static _Atomic(probe_kernel *) kernel = choose;

static const uint8_t *choose(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    probe_kernel *best = find_16;
    for (unsigned i = 0; probe_kernel_at(i) != NULL; i++)
        best = probe_kernel_at(i);
    atomic_store_explicit(&kernel, best, memory_order_relaxed);
    return best(p, from, end);
}

const uint8_t *probe_find(const struct probe *p, const uint8_t *from, const uint8_t *end)
{
    return atomic_load_explicit(&kernel, memory_order_relaxed)(p, from, end);
}
