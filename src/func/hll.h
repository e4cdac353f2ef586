/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/hll.h - HyperLogLog: how many different hashes there were, in bounded space
 *
 * The hashes themselves are kept up to HLL_EXACT_MAX and the count is exact; beyond that 2^bits
 * registers stand for them, and the estimate is Ertl's (arXiv:1702.01284, algorithm 6), which needs
 * no correction by ranges.
 *
 * As a dynamic, which hll() gives and queries may store, one of the two lists is empty:
 *
 *      [[2048, bits], ["hash", ...], []]     signed decimal hashes, in order
 *      [[2048, bits], [], ["registers"]]     base64 of 2^bits bytes
 *
 * The first form is the original's, with 1024 in its place; its second one is not published.
 */
#pragma once

#include "base/arena.h"

#define HLL_EXACT_MAX 2048 /* hashes */
#define HLL_BITS_MIN  12
#define HLL_BITS_MAX  18

struct hll {
    uint64_t *set; /* open addressing; 0 = free */
    uint8_t *regs; /* once it is a HyperLogLog */
    uint32_t n, cap;
    uint8_t bits; /* 2^bits registers; 0 = nothing was added yet */
};

/* The bits of an accuracy 0 to 4: 1.6 %, 0.8 %, 0.4 %, 0.28 %, 0.2 %. Any other counts as 1. */
uint8_t hll_bits(int64_t accuracy);

/* s->bits is set. Memory is a's. */
enum err hll_add(struct hll *s, uint64_t h, struct arena *a, struct diag *d);
enum err hll_add_all(struct hll *s, const uint64_t *hashes, uint32_t n, struct arena *a,
                     struct diag *d);
/* Of two sizes the coarser one stays. */
enum err hll_merge(struct hll *into, const struct hll *from, struct arena *a, struct diag *d);
int64_t hll_count(const struct hll *h);

void hll_put(const struct hll *h, struct buf *out); /* as a dynamic; appends */
/* ERR_INVALID: the dynamic is no such thing. */
enum err hll_read(struct bytes dyn, struct hll *out, struct arena *a, struct diag *d);
