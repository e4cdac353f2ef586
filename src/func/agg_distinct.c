/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_distinct.c - how many different values: dcount (estimated beyond a number),
 * count_distinct (exact)
 *
 * dcount keeps the hashes themselves up to an eighth of the registers of its HyperLogLog, then
 * turns into it; the estimate is Ertl's (arXiv:1702.01284, algorithm 6), which needs no correction
 * by ranges. count_distinct keeps 128 bits of hash per value. Nulls are no values; the empty string
 * is one.
 */
#include "func/agg_kernel.h"

#include "base/map.h"

#include <math.h>

/* --- hashes ----------------------------------------------------------------------------------- */

#define SEED_A 0x9e3779b97f4a7c15ULL
#define SEED_B 0xc2b2ae3d27d4eb4fULL

static uint64_t mix(uint64_t x, uint64_t seed)
{
    x += seed;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
    return x ^ x >> 31;
}

static uint64_t hash_at(const struct vec *v, uint32_t i, uint64_t seed)
{
    switch (v->type) {
    case T_BOOL: return mix(vec_bool(v, i), seed);
    case T_REAL: {
        double r = vec_r64(v, i);
        uint64_t bits;
        if (r == 0) r = 0; /* -0.0 */
        if (isnan(r)) r = NAN;
        memcpy(&bits, &r, sizeof bits);
        return mix(bits, seed);
    }
    case T_DECIMAL:
    case T_GUID:
        return hash_bytes(bytes_of(((const struct u128 *)vec_data(v))[vec_at(v, i)].b, 16), seed);
    case T_STRING:
    case T_DYNAMIC: return hash_bytes(vec_str(v, i), seed);
    default: return mix((uint64_t)vec_i64(v, i), seed);
    }
}

/* The hash of every row; of a dictionary each entry is hashed once. */
static enum err hash_rows(struct arena *tmp, struct diag *d, const struct vec *v, uint32_t n,
                          uint64_t seed, uint64_t **out)
{
    uint64_t *h = arena_array(tmp, uint64_t, n);
    if (h == NULL) return arena_full(tmp, d);
    if (v->shape == VEC_DICT && v->dict->n < n) {
        uint64_t *entry = arena_array(tmp, uint64_t, v->dict->n);
        if (entry == NULL) return arena_full(tmp, d);
        for (uint32_t i = 0; i < v->dict->n; i++)
            entry[i] = hash_at(v->dict, i, seed);
        for (uint32_t i = 0; i < n; i++)
            h[i] = entry[v->codes[i]];
    } else {
        for (uint32_t i = 0; i < n; i++)
            h[i] = hash_at(v, i, seed);
    }
    *out = h;
    return OK;
}

/* --- dcount ----------------------------------------------------------------------------------- */

struct sketch {
    uint64_t *set; /* open addressing; 0 = free */
    uint8_t *regs; /* once it is a HyperLogLog */
    uint32_t n, cap;
    uint8_t bits; /* 2^bits registers; 0 = not yet known */
};

static uint8_t bits_of(const struct agg_call *c)
{
    static const uint8_t bits[] = {12, 14, 16, 17, 18}; /* 1.6 %, 0.8 %, 0.4 %, 0.28 %, 0.2 % */
    int64_t accuracy = 1;
    for (uint32_t i = 1; i < c->n_args; i++) {
        const struct value *v = c->consts != NULL ? c->consts[i] : NULL;
        if (v != NULL && !v->is_null && (TM(v->type) & TM_INTS) != 0) accuracy = v->i;
    }
    return bits[accuracy < 0 || accuracy > 4 ? 1 : accuracy];
}

static void put_register(struct sketch *s, uint64_t h)
{
    uint32_t at = (uint32_t)(h >> (64 - s->bits));
    uint64_t rest = h << s->bits;
    uint8_t rank = rest != 0 ? (uint8_t)(__builtin_clzll(rest) + 1) : (uint8_t)(64 - s->bits + 1);
    if (rank > s->regs[at]) s->regs[at] = rank;
}

static enum err to_registers(struct agg_cx *cx, struct sketch *s)
{
    s->regs = arena_alloc(cx->a, (size_t)1 << s->bits);
    if (s->regs == NULL) return arena_full(cx->a, cx->d);
    for (uint32_t i = 0; i < s->cap; i++) {
        if (s->set[i] != 0) put_register(s, s->set[i]);
    }
    return OK;
}

static enum err grow_set(struct agg_cx *cx, struct sketch *s)
{
    uint32_t cap = s->cap != 0 ? s->cap * 2 : 8;
    uint64_t *set = arena_array(cx->a, uint64_t, cap);
    if (set == NULL) return arena_full(cx->a, cx->d);
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

static enum err put_hash(struct agg_cx *cx, struct sketch *s, uint64_t h)
{
    if (s->regs != NULL) {
        put_register(s, h);
        return OK;
    }
    if (h == 0) h = 1;
    if (s->n * 2 >= s->cap) TRY(grow_set(cx, s));
    uint64_t at = h;
    while (s->set[at & (s->cap - 1)] != 0) {
        if (s->set[at & (s->cap - 1)] == h) return OK;
        at++;
    }
    s->set[at & (s->cap - 1)] = h;
    return ++s->n > (1U << s->bits) / 8 ? to_registers(cx, s) : OK;
}

UPDATE(update_dcount)
{
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    uint64_t *h;
    uint8_t bits = bits_of(c);
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_A, &h));
    for (uint32_t i = 0; i < n; i++) {
        struct sketch *s = states[i];
        s->bits = bits;
        if (!row_is_null(args[0], i)) TRY(put_hash(cx, s, h[i]));
    }
    return OK;
}

UPDATE_IF(update_dcountif, update_dcount)

MERGE(merge_dcount)
{
    (void)c;
    struct sketch *into = into_, *from = from_;
    if (from->bits == 0) return OK;
    into->bits = from->bits;
    if (from->regs == NULL) {
        for (uint32_t i = 0; i < from->cap; i++) {
            if (from->set[i] != 0) TRY(put_hash(cx, into, from->set[i]));
        }
        return OK;
    }
    if (into->regs == NULL) TRY(to_registers(cx, into));
    for (uint32_t i = 0; i < 1U << into->bits; i++) {
        if (from->regs[i] > into->regs[i]) into->regs[i] = from->regs[i];
    }
    return OK;
}

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

static double estimate(const struct sketch *s)
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

FINISH(finish_dcount)
{
    (void)cx, (void)c;
    const struct sketch *s = state_;
    *out = (struct value){.type = T_LONG, .i = s->regs != NULL ? llround(estimate(s)) : s->n};
    return OK;
}

/* --- count_distinct --------------------------------------------------------------------------- */

struct pair {
    uint64_t a, b;
};

struct exact {
    struct pair *set; /* {0, 0} = free */
    uint64_t n, cap;
};

static bool insert(struct pair *set, uint64_t cap, struct pair p)
{
    for (uint64_t at = p.a;; at++) {
        struct pair *s = &set[at & (cap - 1)];
        if (s->a == p.a && s->b == p.b) return false;
        if (s->a != 0 || s->b != 0) continue;
        *s = p;
        return true;
    }
}

static enum err put_pair(struct agg_cx *cx, struct exact *e, struct pair p)
{
    if (p.a == 0 && p.b == 0) p.b = 1;
    if (e->n * 2 >= e->cap) {
        uint64_t cap = e->cap != 0 ? e->cap * 2 : 8;
        struct pair *set = arena_array(cx->a, struct pair, cap);
        if (set == NULL) return arena_full(cx->a, cx->d);
        for (uint64_t i = 0; i < e->cap; i++) {
            if (e->set[i].a != 0 || e->set[i].b != 0) (void)insert(set, cap, e->set[i]);
        }
        e->set = set;
        e->cap = cap;
    }
    e->n += insert(e->set, e->cap, p);
    return OK;
}

UPDATE(update_exact)
{
    (void)c;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    uint64_t *a = NULL, *b = NULL;
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_A, &a));
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_B, &b));
    for (uint32_t i = 0; i < n; i++) {
        if (!row_is_null(args[0], i))
            TRY(put_pair(cx, states[i],
                         (struct pair){a[i], b[i]})); // NOLINT: OK means that there are hashes
    }
    return OK;
}

UPDATE_IF(update_exactif, update_exact)

MERGE(merge_exact)
{
    (void)c;
    const struct exact *from = from_;
    for (uint64_t i = 0; i < from->cap; i++) {
        if (from->set[i].a != 0 || from->set[i].b != 0) TRY(put_pair(cx, into_, from->set[i]));
    }
    return OK;
}

FINISH(finish_exact)
{
    (void)cx, (void)c;
    *out = (struct value){.type = T_LONG, .i = (int64_t)((const struct exact *)state_)->n};
    return OK;
}

#define DISTINCT(name_, min, max, state, update_, merge_, finish_, doc_, call, expect_, ...)       \
    {                                                                                              \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret = T_LONG,   \
        .state_size = sizeof(struct state), .update = update_, .merge = merge_, .finish = finish_, \
        .doc = doc_, .example = "range x from 1 to 9 step 1 | summarize " call, .expect = expect_  \
    }

static const struct agg rows[] = {
    DISTINCT("count_distinct", 1, 1, exact, update_exact, merge_exact, finish_exact,
             "How many different values there are, exactly.", "count_distinct(x % 4)", "4",
             ARG(ANY_SCALAR)),
    DISTINCT("count_distinctif", 2, 2, exact, update_exactif, merge_exact, finish_exact,
             "How many different values there are in rows for which a condition holds, exactly.",
             "count_distinctif(x, x > 5)", "4", ARG(ANY_SCALAR), ARG_BOOL),
    DISTINCT("dcount", 1, 2, sketch, update_dcount, merge_dcount, finish_dcount,
             "How many different values there are, estimated beyond some thousands.",
             "dcount(x % 4)", "4", ARG(ANY_SCALAR), ARG_LONG),
    DISTINCT("dcountif", 2, 3, sketch, update_dcountif, merge_dcount, finish_dcount,
             "dcount() of the rows for which a condition holds.", "dcountif(x, x > 5)", "4",
             ARG(ANY_SCALAR), ARG_BOOL, ARG_LONG),
};
const struct agg_family agg_distinct = {rows, sizeof rows / sizeof *rows};
