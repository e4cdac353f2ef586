/* SPDX-License-Identifier: Apache-2.0 */
/* func/hll.c - HyperLogLog: adding, merging, estimating, and its dynamic form */
#include "func/hll.h"

#include "base/str.h"
#include "column/dyn.h"
#include "func/kernel.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

uint8_t hll_bits(int64_t accuracy)
{
    static const uint8_t bits[] = {12, 14, 16, 17, 18};
    return bits[accuracy < 0 || accuracy > 4 ? 1 : accuracy];
}

/* --- adding ----------------------------------------------------------------------------------- */

static void put_register(struct hll *s, uint64_t h)
{
    uint32_t at = (uint32_t)(h >> (64 - s->bits));
    uint64_t rest = h << s->bits;
    uint8_t rank = rest != 0 ? (uint8_t)(__builtin_clzll(rest) + 1) : (uint8_t)(64 - s->bits + 1);
    if (rank > s->regs[at]) s->regs[at] = rank;
}

static enum err to_registers(struct hll *s, struct arena *a, struct diag *d)
{
    s->regs = arena_alloc(a, (size_t)1 << s->bits);
    if (s->regs == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < s->cap; i++) {
        if (s->set[i] != 0) put_register(s, s->set[i]);
    }
    return OK;
}

static enum err grow_set(struct hll *s, struct arena *a, struct diag *d)
{
    uint32_t cap = s->cap != 0 ? s->cap * 2 : 8;
    uint64_t *set = arena_array(a, uint64_t, cap);
    if (set == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < s->cap; i++) {
        if (s->set[i] == 0) continue;
        uint64_t at = s->set[i];
        while (set[at & (cap - 1)] != 0)
            at++;
        set[at & (cap - 1)] = s->set[i];
    }
    s->set = set;
    s->cap = cap;
    return OK;
}

enum err hll_add(struct hll *s, uint64_t h, struct arena *a, struct diag *d)
{
    if (s->regs != NULL) {
        put_register(s, h);
        return OK;
    }
    if (h == 0) h = 1;
    if (s->n * 2 >= s->cap) TRY(grow_set(s, a, d));
    uint64_t at = h;
    while (s->set[at & (s->cap - 1)] != 0) {
        if (s->set[at & (s->cap - 1)] == h) return OK;
        at++;
    }
    s->set[at & (s->cap - 1)] = h;
    return ++s->n > HLL_EXACT_MAX ? to_registers(s, a, d) : OK;
}

enum err hll_add_all(struct hll *s, const uint64_t *hashes, uint32_t n, struct arena *a,
                     struct diag *d)
{
    uint32_t i = 0;
    for (; i < n && s->regs == NULL; i++)
        TRY(hll_add(s, hashes[i], a, d));
    for (; i < n; i++)
        put_register(s, hashes[i]);
    return OK;
}

/* --- merging ---------------------------------------------------------------------------------- */

/* Registers of 2^bits as those of fewer bits: of a run of registers the first that is not zero
 * tells how many zeros a hash had behind the shorter prefix. */
static enum err fold(struct hll *s, uint8_t bits, struct arena *a, struct diag *d)
{
    unsigned gone = (unsigned)s->bits - bits;
    if (s->regs != NULL && gone != 0) {
        uint8_t *regs = arena_alloc(a, (size_t)1 << bits);
        if (regs == NULL) return arena_full(a, d);
        for (uint32_t i = 0; i < 1U << s->bits; i++) {
            uint32_t low = i & ((1U << gone) - 1);
            if (s->regs[i] == 0) continue;
            unsigned rank =
                low != 0 ? gone - (31U - (unsigned)__builtin_clz(low)) : gone + s->regs[i];
            if (rank > regs[i >> gone]) regs[i >> gone] = (uint8_t)rank;
        }
        s->regs = regs;
    }
    s->bits = bits;
    return OK;
}

enum err hll_merge(struct hll *into, const struct hll *from, struct arena *a, struct diag *d)
{
    if (from->bits == 0) return OK;
    if (into->bits == 0) into->bits = from->bits;
    struct hll other = *from;
    uint8_t bits = into->bits < from->bits ? into->bits : from->bits;
    TRY(fold(into, bits, a, d));
    TRY(fold(&other, bits, a, d));
    if (other.regs == NULL) {
        for (uint32_t i = 0; i < other.cap; i++) {
            if (other.set[i] != 0) TRY(hll_add(into, other.set[i], a, d));
        }
        return OK;
    }
    if (into->regs == NULL) TRY(to_registers(into, a, d));
    for (uint32_t i = 0; i < 1U << bits; i++) {
        if (other.regs[i] > into->regs[i]) into->regs[i] = other.regs[i];
    }
    return OK;
}

/* --- estimating ------------------------------------------------------------------------------- */

/* Ertl's sigma and tau. */
static double sigma(double x)
{
    if (x == 1) return INFINITY;
    double y = 1, z = x, before;
    do {
        x *= x;
        before = z;
        z += x * y;
        y += y;
    } while (z != before);
    return z;
}

static double tau(double x)
{
    if (x == 0 || x == 1) return 0;
    double y = 1, z = 1 - x, before;
    do {
        x = sqrt(x);
        before = z;
        y *= 0.5;
        z -= (1 - x) * (1 - x) * y;
    } while (z != before);
    return z / 3;
}

static double estimate(const struct hll *s)
{
    uint32_t count[66] = {0};
    unsigned q = 64U - s->bits;
    double m = (double)(1U << s->bits);
    for (uint32_t i = 0; i < 1U << s->bits; i++)
        count[s->regs[i]]++;
    double z = m * tau(1 - count[q + 1] / m);
    for (unsigned k = q; k >= 1; k--)
        z = 0.5 * (z + count[k]);
    z += m * sigma(count[0] / m);
    return m * m / (2 * log(2) * z);
}

int64_t hll_count(const struct hll *s)
{
    return s->regs != NULL ? llround(estimate(s)) : s->n;
}

/* --- as a dynamic ----------------------------------------------------------------------------- */

static void put_text(struct buf *out, struct bytes s)
{
    struct value v = {.type = T_STRING, .s = s};
    value_to_dyn(&v, out);
}

static void put_long(struct buf *out, int64_t i)
{
    struct value v = {.type = T_LONG, .i = i};
    value_to_dyn(&v, out);
}

static int by_hash(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* In order, so that equal sets have equal bytes. */
static void put_hashes(const struct hll *s, struct buf *out)
{
    int64_t sorted[HLL_EXACT_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->cap && n < HLL_EXACT_MAX; i++) {
        if (s->set[i] != 0) sorted[n++] = (int64_t)s->set[i];
    }
    if (n != 0) qsort(sorted, n, sizeof *sorted, by_hash);
    for (uint32_t i = 0; i < n; i++) {
        char text[24];
        int len = snprintf(text, sizeof text, "%" PRId64, sorted[i]);
        put_text(out, bytes_of((const uint8_t *)text, (size_t)len));
    }
}

void hll_put(const struct hll *s, struct buf *out)
{
    bool exact = s->regs == NULL;
    size_t whole = dyn_array_begin(out), at = dyn_array_begin(out);
    put_long(out, HLL_EXACT_MAX);
    put_long(out, s->bits);
    dyn_array_end(out, at, 2);
    at = dyn_array_begin(out);
    if (exact) put_hashes(s, out);
    dyn_array_end(out, at, exact ? s->n : 0);
    at = dyn_array_begin(out);
    if (!exact) {
        CLEANUP_BUF struct buf text = {0};
        base64_encode(&text, bytes_of(s->regs, (size_t)1 << s->bits));
        put_text(out, buf_view(&text));
        if (text.bad) out->bad = true;
    }
    dyn_array_end(out, at, exact ? 0 : 1);
    dyn_array_end(out, whole, 3);
}

static enum err read_hashes(struct bytes list, struct hll *out, struct arena *a, struct diag *d)
{
    struct dyn_iter it;
    struct bytes name, e;
    if (dyn_kind(list) != DYN_ARRAY || !dyn_iter_init(&it, list) || it.left > HLL_EXACT_MAX)
        return FAIL(d, ERR_INVALID, "no hll");
    while (dyn_iter_next(&it, &name, &e)) {
        int64_t hash;
        if (dyn_kind(e) != DYN_STRING || !long_parse(dyn_scalar(e).s, &hash))
            return FAIL(d, ERR_INVALID, "no hll");
        TRY(hll_add(out, (uint64_t)hash, a, d));
    }
    return OK;
}

static enum err read_registers(struct bytes text, struct hll *out, struct arena *a, struct diag *d)
{
    CLEANUP_BUF struct buf regs = {0};
    size_t want = (size_t)1 << out->bits;
    if (dyn_kind(text) != DYN_STRING || base64_decode(&regs, dyn_scalar(text).s, NULL) != OK ||
        regs.len != want)
        return FAIL(d, ERR_INVALID, "no hll");
    for (size_t i = 0; i < want; i++) {
        if (regs.p[i] > 65 - out->bits) return FAIL(d, ERR_INVALID, "no hll");
    }
    out->regs = arena_alloc(a, want);
    if (out->regs == NULL) return arena_full(a, d);
    memcpy(out->regs, regs.p, want);
    return OK;
}

enum err hll_read(struct bytes dyn, struct hll *out, struct arena *a, struct diag *d)
{
    struct hll h = {0};
    struct bytes bits = dyn_index(dyn_index(dyn, 0), 1), regs = dyn_index(dyn, 2);
    if (dyn_kind(dyn) != DYN_ARRAY || dyn_count(dyn) != 3 || dyn_kind(bits) != DYN_LONG ||
        dyn_kind(regs) != DYN_ARRAY || dyn_scalar(bits).i < HLL_BITS_MIN ||
        dyn_scalar(bits).i > HLL_BITS_MAX)
        return FAIL(d, ERR_INVALID, "no hll");
    h.bits = (uint8_t)dyn_scalar(bits).i;
    TRY(read_hashes(dyn_index(dyn, 1), &h, a, d));
    if (dyn_count(regs) != 0) {
        if (h.n != 0 || dyn_count(regs) != 1) return FAIL(d, ERR_INVALID, "no hll");
        TRY(read_registers(dyn_index(regs, 0), &h, a, d));
    }
    *out = h;
    return OK;
}
