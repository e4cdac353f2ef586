/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/lthash.c - sums over elements, and the cells beside them */
#include "crypto/lthash.h"

#include "crypto/hash.h"

struct lthash_subject lthash_subject_of(const uint8_t hash[16])
{
    struct rd r = rd_from(bytes_of(hash, 16));
    struct lthash_subject s = {.weight = rd_u64be(&r) | 1};
    s.cell = rd_u8(&r) % LTHASH_CELLS;
    return s;
}

/* Modulo 2^16 and 2^64. */
void lthash_change(struct lthash *h, const struct lthash_element *e, struct bytes key,
                   struct bytes info, int times)
{
    uint8_t numbers[2 * LTHASH_SUMS];
    hkdf_expand(key, info, numbers, sizeof numbers);
    for (size_t i = 0; i < LTHASH_SUMS; i++) {
        int x = numbers[2 * i] << 8 | numbers[2 * i + 1];
        h->sum[i] = (uint16_t)(h->sum[i] + times * x);
    }
    uint64_t g = times > 0 ? e->number : -e->number;
    struct lthash_cell *c = &h->cells[e->subject.cell];
    c->sum += g;
    c->weighted += g * e->subject.weight;
    h->n += times > 0 ? 1 : (uint64_t)-1;
}

bool lthash_same(const struct lthash *a, const struct lthash *b)
{
    return a->n == b->n && memcmp(a->sum, b->sum, sizeof a->sum) == 0;
}

struct lthash_cell lthash_missing(const struct lthash *want, const struct lthash *is, size_t i)
{
    return (struct lthash_cell){want->cells[i].sum - is->cells[i].sum,
                                want->cells[i].weighted - is->cells[i].weighted};
}

bool lthash_explains(const struct lthash_subject *s, const struct lthash_cell *missing)
{
    return s->weight * missing->sum == missing->weighted;
}

void lthash_put(const struct lthash *h, struct buf *out)
{
    buf_u64be(out, h->n);
    for (size_t i = 0; i < LTHASH_SUMS; i++)
        buf_u16be(out, h->sum[i]);
    for (size_t i = 0; i < LTHASH_CELLS; i++) {
        buf_u64be(out, h->cells[i].sum);
        buf_u64be(out, h->cells[i].weighted);
    }
}

void lthash_get(struct rd *r, struct lthash *out)
{
    out->n = rd_u64be(r);
    for (size_t i = 0; i < LTHASH_SUMS; i++)
        out->sum[i] = rd_u16be(r);
    for (size_t i = 0; i < LTHASH_CELLS; i++) {
        out->cells[i].sum = rd_u64be(r);
        out->cells[i].weighted = rd_u64be(r);
    }
}
