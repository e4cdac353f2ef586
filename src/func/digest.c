/* SPDX-License-Identifier: Apache-2.0 */
/* func/digest.c - points in order, drawn together, asked for, and their dynamic form */
#include "func/digest.h"

#include "column/decimal.h"
#include "column/dyn.h"
#include "func/kernel.h"

#include <math.h>
#include <stdlib.h>

#define COMPRESSION 1000.0 /* of the t-digest: about so many centroids */

static bool whole(const struct digest *g)
{
    return g->type != T_REAL && g->type != T_DECIMAL;
}

/* --- order ------------------------------------------------------------------------------------ */

/* Bits that sort as unsigned numbers in the order of the values; and back. */
static uint64_t to_key(uint64_t bits, bool real)
{
    uint64_t sign = (uint64_t)1 << 63;
    if (real && (bits & sign) != 0) return ~bits;
    return bits ^ sign;
}

static uint64_t from_key(uint64_t key, bool real)
{
    uint64_t sign = (uint64_t)1 << 63;
    if (real && (key & sign) == 0) return ~key;
    return key ^ sign;
}

static int by_key(const void *a, const void *b)
{
    uint64_t x = (uint64_t)((const struct point *)a)->i, y = (uint64_t)((const struct point *)b)->i;
    return (x > y) - (x < y);
}

/* By one byte of the key after the other, the last one first; bytes that are all the same are left
 * out. */
static void radix_sort(struct point *points, struct point *room, uint32_t n)
{
    struct point *from = points, *to = room;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        uint32_t at[256] = {0}, sum = 0;
        for (uint32_t i = 0; i < n; i++)
            at[(uint64_t)from[i].i >> shift & 255]++;
        if (at[(uint64_t)from[0].i >> shift & 255] == n) continue;
        for (unsigned k = 0; k < 256; k++) {
            uint32_t count = at[k];
            at[k] = sum;
            sum += count;
        }
        for (uint32_t i = 0; i < n; i++)
            to[at[(uint64_t)from[i].i >> shift & 255]++] = from[i];
        struct point *other = from;
        from = to;
        to = other;
    }
    if (from != points) memcpy(points, from, n * sizeof *points);
}

static void sort_points(struct digest *g)
{
    if (g->sorted || g->n < 2) return;
    bool real = !whole(g);
    for (uint32_t i = 0; i < g->n; i++)
        g->points[i].i = (int64_t)to_key((uint64_t)g->points[i].i, real);
    struct point *room = g->n > 100 ? malloc(g->n * sizeof *room) : NULL;
    if (room != NULL) {
        radix_sort(g->points, room, g->n);
        free(room);
    } else {
        qsort(g->points, g->n, sizeof *g->points, by_key);
    }
    for (uint32_t i = 0; i < g->n; i++)
        g->points[i].i = (int64_t)from_key((uint64_t)g->points[i].i, real);
    g->sorted = true;
}

/* The key that has `at` others before it in their order. By the leading bits in which keys differ, again
 * and again: each round leaves one of 256 ranges. */
static uint64_t select_key(uint64_t *keys, uint32_t n, uint32_t at)
{
    for (;;) {
        uint64_t low = UINT64_MAX, high = 0;
        for (uint32_t i = 0; i < n; i++) {
            low = keys[i] < low ? keys[i] : low;
            high = keys[i] > high ? keys[i] : high;
        }
        if (low == high) return low;
        unsigned bits = 64 - (unsigned)__builtin_clzll(high - low), shift = bits > 8 ? bits - 8 : 0;
        uint32_t count[256] = {0}, range = 0, k = 0;
        for (uint32_t i = 0; i < n; i++)
            count[(keys[i] - low) >> shift]++;
        while (at >= count[range])
            at -= count[range++];
        for (uint32_t i = 0; i < n; i++) {
            keys[k] = keys[i];
            k += (keys[i] - low) >> shift == range;
        }
        n = k;
    }
}

/* --- drawing together ------------------------------------------------------------------------- */

/* The share of the whole up to which a centroid that begins at q may reach: small near 0 and 1. */
static double reach(double q)
{
    double k = COMPRESSION / (2 * M_PI) * asin(2 * q - 1) + 1;
    double top = COMPRESSION / 4;
    return k >= top ? 1 : (sin(k * 2 * M_PI / COMPRESSION) + 1) / 2;
}

double digest_total(const struct digest *g)
{
    double total = 0;
    for (uint32_t i = 0; i < g->n; i++)
        total += g->points[i].weight;
    return total;
}

static void compress(struct digest *g)
{
    double total = digest_total(g), before = 0;
    uint32_t n = 0;
    sort_points(g);
    double limit = reach(0) * total;
    for (uint32_t i = 0; i < g->n; i++) {
        struct point p = g->points[i];
        struct point *last = n != 0 ? &g->points[n - 1] : NULL;
        if (last == NULL || before + last->weight + p.weight > limit) {
            if (last != NULL) before += last->weight;
            limit = reach(before / total) * total;
            g->points[n++] = p;
            continue;
        }
        double share = p.weight / (last->weight + p.weight);
        if (whole(g)) {
            last->i += (int64_t)((double)((__int128)p.i - last->i) * share);
        } else {
            last->r += (p.r - last->r) * share;
        }
        last->weight += p.weight;
    }
    g->n = n;
    g->weighted = true;
}

/* Equal values become one, with the sum of their weights. */
static void unite(struct digest *g)
{
    uint32_t n = 0;
    sort_points(g);
    for (uint32_t i = 0; i < g->n; i++) {
        if (n != 0 && g->points[n - 1].i == g->points[i].i) {
            g->points[n - 1].weight += g->points[i].weight;
            g->weighted = true;
        } else {
            g->points[n++] = g->points[i];
        }
    }
    g->n = n;
}

/* --- adding ----------------------------------------------------------------------------------- */

bool digest_point(const struct value *v, struct point *out)
{
    if (v->is_null) return false;
    struct point p = {.weight = 1};
    switch (v->type) {
    case T_REAL:
        p.r = v->r == 0 ? 0 : v->r; /* -0.0 */
        break;
    case T_DECIMAL: p.r = decimal_to_real(v->u); break;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN: p.i = v->i; break;
    default: return false;
    }
    *out = p;
    return v->type != T_REAL || !isnan(p.r);
}

/* Room for so many points; no more than DIGEST_EXACT_MAX. */
static enum err grow(struct digest *g, uint32_t want, struct arena *a, struct diag *d)
{
    uint32_t cap = g->cap != 0 ? g->cap * 4 : 8;
    if (cap < want) cap = want;
    if (cap > DIGEST_EXACT_MAX) cap = DIGEST_EXACT_MAX;
    struct point *points = arena_array(a, struct point, cap);
    if (points == NULL) return arena_full(a, d);
    if (g->n != 0) memcpy(points, g->points, g->n * sizeof *points);
    g->points = points;
    g->cap = cap;
    return OK;
}

enum err digest_add(struct digest *g, struct point p, struct arena *a, struct diag *d)
{
    if (g->n == g->cap && g->cap == DIGEST_EXACT_MAX) compress(g);
    if (g->n == g->cap) TRY(grow(g, g->n + 1, a, d));
    g->points[g->n++] = p;
    g->sorted = false;
    g->weighted |= p.weight != 1;
    return OK;
}

enum err digest_merge(struct digest *into, const struct digest *from, struct arena *a,
                      struct diag *d)
{
    if (from->type == T_NONE) return OK;
    if (into->type == T_NONE) into->type = from->type;
    if (into->type != from->type)
        return FAIL(d, ERR_INVALID, "a digest of %s and one of %s", type_name(into->type),
                    type_name(from->type));
    uint64_t both = (uint64_t)into->n + from->n;
    if (both > DIGEST_EXACT_MAX) {
        for (uint32_t i = 0; i < from->n; i++)
            TRY(digest_add(into, from->points[i], a, d));
        return OK;
    }
    if (both > into->cap) TRY(grow(into, (uint32_t)both, a, d));
    if (from->n != 0) memcpy(into->points + into->n, from->points, from->n * sizeof *from->points);
    into->n = (uint32_t)both;
    into->sorted = false;
    into->weighted |= from->weighted;
    return OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct value value_of(const struct digest *g, const struct point *p)
{
    struct value v = {.type = g->type};
    if (whole(g)) {
        v.i = p->i;
    } else if (v.type == T_REAL) {
        v.r = p->r;
    } else {
        v.is_null = !decimal_from_real(p->r, &v.u);
    }
    return v;
}

/* All weigh 1 and stand in no order: one of them is found without sorting. False: no memory. */
static bool select_point(const struct digest *g, double wanted, struct value *out)
{
    bool real = !whole(g);
    uint64_t *keys = malloc(g->n * sizeof *keys);
    if (keys == NULL) return false;
    for (uint32_t i = 0; i < g->n; i++)
        keys[i] = to_key((uint64_t)g->points[i].i, real);
    uint32_t at = wanted <= 1 ? 0 : wanted >= g->n ? g->n - 1 : (uint32_t)ceil(wanted) - 1;
    struct point p = {.i = (int64_t)from_key(select_key(keys, g->n, at), real)};
    explicit_bzero(keys, g->n * sizeof *keys);
    free(keys);
    *out = value_of(g, &p);
    return true;
}

struct value digest_percentile(struct digest *g, double percent)
{
    struct value selected;
    double wanted = percent * digest_total(g) / 100, so_far = 0; /* in this order 99.9 is exact */
    if (g->n == 0) return (struct value){.type = g->type, .is_null = true};
    if (!g->sorted && !g->weighted && select_point(g, wanted, &selected)) return selected;
    sort_points(g);
    uint32_t at = 0;
    for (; at + 1 < g->n; at++) {
        so_far += g->points[at].weight;
        if (so_far >= wanted) break;
    }
    return value_of(g, &g->points[at]);
}

double digest_rank(struct digest *g, struct point p)
{
    double rank = 0;
    for (uint32_t i = 0; i < g->n; i++) {
        bool counts = whole(g) ? g->points[i].i <= p.i : g->points[i].r <= p.r;
        if (counts) rank += g->points[i].weight;
    }
    return rank;
}

/* --- as a dynamic ----------------------------------------------------------------------------- */

static void put_weight(struct buf *out, double weight)
{
    bool is_whole = weight == floor(weight) && weight < 1e15;
    struct value v = {.type = T_REAL, .r = weight};
    if (is_whole) v = (struct value){.type = T_LONG, .i = (int64_t)weight};
    value_to_dyn(&v, out);
}

void digest_put(struct digest *g, struct buf *out)
{
    unite(g);
    if (g->n > DIGEST_PUT_MAX) compress(g);
    struct value name = {.type = T_STRING, .s = bytes_str(type_name(g->type))};
    size_t all = dyn_array_begin(out), at = dyn_array_begin(out);
    value_to_dyn(&name, out);
    dyn_array_end(out, at, 1);
    at = dyn_array_begin(out);
    for (uint32_t i = 0; i < g->n; i++) {
        struct value v = value_of(g, &g->points[i]);
        value_to_dyn(&v, out);
    }
    dyn_array_end(out, at, g->n);
    at = dyn_array_begin(out);
    for (uint32_t i = 0; i < g->n; i++)
        put_weight(out, g->points[i].weight);
    dyn_array_end(out, at, g->n);
    dyn_array_end(out, all, 3);
}

static enum type element_type(struct bytes element)
{
    struct value v = dyn_scalar(element);
    int64_t ticks;
    if (v.type != T_STRING) return v.type;
    return timespan_parse(v.s, &ticks) ? T_TIMESPAN : T_DATETIME; /* as JSON writes them */
}

static enum err no_digest(struct diag *d)
{
    return FAIL(d, ERR_INVALID, "no tdigest");
}

enum err digest_read(struct bytes dyn, struct digest *out, struct arena *a, struct diag *d)
{
    struct digest g = {0};
    struct dyn_iter values, weights;
    struct bytes name, value, weight, type = dyn_index(dyn_index(dyn, 0), 0);
    if (dyn_kind(dyn) != DYN_ARRAY || dyn_count(dyn) != 3 ||
        !dyn_iter_init(&values, dyn_index(dyn, 1)) || !dyn_iter_init(&weights, dyn_index(dyn, 2)) ||
        values.is_bag || weights.is_bag || values.left != weights.left)
        return no_digest(d);
    if (dyn_kind(type) == DYN_STRING) {
        const char *text = arena_str(a, dyn_scalar(type).s);
        if (text == NULL) return arena_full(a, d);
        if (type_parse(text, &g.type, NULL) != OK) return no_digest(d);
    } else if (values.left != 0) {
        g.type = element_type(dyn_index(dyn_index(dyn, 1), 0));
    }
    if (values.left != 0 && (TM(g.type) & DIGEST_TYPES) == 0) return no_digest(d);
    while (dyn_iter_next(&values, &name, &value) && dyn_iter_next(&weights, &name, &weight)) {
        struct value v = {.type = T_DYNAMIC, .s = value}, w = {.type = T_DYNAMIC, .s = weight}, x,
                     y;
        struct point p;
        if (!value_cast(&v, g.type, a, &x) || !value_cast(&w, T_REAL, a, &y) ||
            !digest_point(&x, &p) || !isfinite(y.r) || y.r <= 0)
            return no_digest(d);
        p.weight = y.r;
        TRY(digest_add(&g, p, a, d));
    }
    *out = g;
    return OK;
}
