/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_percentile.c - percentiles by nearest rank, plain and weighted
 *
 * A state keeps the values themselves up to EXACT_MAX, and the answer is exact. Beyond that
 * neighbours are drawn together into a t-digest: fine at both ends, where percentiles are asked
 * for, coarse in the middle.
 */
#include "func/agg_kernel.h"

#include "column/decimal.h"
#include "column/dyn.h"

#include <math.h>
#include <stdlib.h>

#define EXACT_MAX   32768  /* values of one group that are kept as they are */
#define COMPRESSION 1000.0 /* of the t-digest: about so many centroids */

struct point {
    union {
        int64_t i;
        double r;
    };
    double weight;
};

struct digest {
    struct point *points;
    uint32_t n, cap;
    bool sorted;
};

static bool whole(const struct agg_call *c)
{
    return c->arg_types[0] != T_REAL && c->arg_types[0] != T_DECIMAL;
}

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

static void sort_points(const struct agg_call *c, struct digest *g)
{
    if (g->sorted || g->n < 2) return;
    bool real = !whole(c);
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

/* The share of the whole up to which a centroid that begins at q may reach: small near 0 and 1. */
static double reach(double q)
{
    double k = COMPRESSION / (2 * M_PI) * asin(2 * q - 1) + 1;
    double top = COMPRESSION / 4;
    return k >= top ? 1 : (sin(k * 2 * M_PI / COMPRESSION) + 1) / 2;
}

static void compress(const struct agg_call *c, struct digest *g)
{
    double total = 0, before = 0;
    uint32_t n = 0;
    sort_points(c, g);
    for (uint32_t i = 0; i < g->n; i++)
        total += g->points[i].weight;
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
        if (whole(c)) {
            last->i += (int64_t)((double)((__int128)p.i - last->i) * share);
        } else {
            last->r += (p.r - last->r) * share;
        }
        last->weight += p.weight;
    }
    g->n = n;
}

static enum err add_point(struct agg_cx *cx, const struct agg_call *c, struct digest *g,
                          struct point p)
{
    if (g->n == g->cap && g->cap == EXACT_MAX) compress(c, g);
    if (g->n == g->cap) {
        uint32_t cap = g->cap != 0 ? g->cap * 4 : 8;
        if (cap > EXACT_MAX) cap = EXACT_MAX;
        struct point *points = arena_array(cx->a, struct point, cap);
        if (points == NULL) return arena_full(cx->a, cx->d);
        if (g->n != 0) memcpy(points, g->points, g->n * sizeof *points);
        g->points = points;
        g->cap = cap;
    }
    g->points[g->n++] = p;
    g->sorted = false;
    return OK;
}

static bool point_at(const struct vec *v, uint32_t i, struct point *p)
{
    if (row_is_null(v, i)) return false;
    if (v->type == T_REAL) {
        p->r = vec_r64(v, i);
        return !isnan(p->r);
    }
    if (v->type == T_DECIMAL) {
        p->r = decimal_to_real(((const struct u128 *)vec_data(v))[vec_at(v, i)]);
    } else {
        p->i = vec_i64(v, i);
    }
    return true;
}

UPDATE(update_points)
{
    for (uint32_t i = 0; i < n; i++) {
        struct point p = {.weight = 1};
        if (point_at(args[0], i, &p)) TRY(add_point(cx, c, states[i], p));
    }
    return OK;
}

UPDATE(update_weighted)
{
    for (uint32_t i = 0; i < n; i++) {
        struct point p;
        if (!point_at(args[0], i, &p) || row_is_null(args[1], i)) continue;
        p.weight = num_at(args[1], i);
        if (p.weight > 0) TRY(add_point(cx, c, states[i], p));
    }
    return OK;
}

MERGE(merge_points)
{
    const struct digest *from = from_;
    for (uint32_t i = 0; i < from->n; i++)
        TRY(add_point(cx, c, into_, from->points[i]));
    return OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

/* The first value up to which at least that share of the weight lies. */
static struct value value_for(const struct agg_call *c, struct digest *g, double percent)
{
    struct value v = {.type = c->arg_types[0], .is_null = g->n == 0};
    double total = 0, so_far = 0;
    if (g->n == 0) return v;
    sort_points(c, g);
    for (uint32_t i = 0; i < g->n; i++)
        total += g->points[i].weight;
    uint32_t at = 0;
    for (; at + 1 < g->n; at++) {
        so_far += g->points[at].weight;
        if (so_far >= percent / 100 * total) break;
    }
    if (whole(c)) {
        v.i = g->points[at].i;
    } else if (v.type == T_REAL) {
        v.r = g->points[at].r;
    } else {
        v.is_null = !decimal_from_real(g->points[at].r, &v.u);
    }
    return v;
}

static bool percent_of(const struct value *v, double *out)
{
    struct value r;
    if (v == NULL || !value_cast(v, T_REAL, NULL, &r) || r.is_null) return false;
    *out = r.r;
    return true;
}

static enum err not_constant(struct agg_cx *cx, const struct agg_call *c)
{
    return FAIL_TAG(cx->d, ERR_INVALID, "SEM0100", "%s(): the percentiles must be constant numbers",
                    c->agg->name);
}

FINISH(finish_one)
{
    double percent;
    if (!percent_of(c->consts[c->n_args - 1], &percent)) return not_constant(cx, c);
    *out = value_for(c, state_, percent);
    return OK;
}

static enum err put_percentile(struct agg_cx *cx, const struct agg_call *c, struct digest *g,
                               const struct value *percent, struct buf *out, uint32_t *count)
{
    double p;
    if (!percent_of(percent, &p)) return not_constant(cx, c);
    struct value v = value_for(c, g, p);
    ++*count;
    return dyn_from_value(&v, out, cx->d);
}

FINISH(finish_array)
{
    CLEANUP_BUF struct buf b = {0};
    uint32_t count = 0, first = strncmp(c->agg->name, "percentilesw", 12) == 0 ? 2 : 1;
    size_t at = dyn_array_begin(&b);
    for (uint32_t i = first; i < c->n_args; i++) {
        struct dyn_iter it;
        struct bytes name, element;
        const struct value *v = c->consts[i];
        if (v == NULL || v->type != T_DYNAMIC || !dyn_iter_init(&it, v->s)) {
            TRY(put_percentile(cx, c, state_, v, &b, &count));
            continue;
        }
        while (dyn_iter_next(&it, &name, &element)) {
            struct value e = {.type = T_DYNAMIC, .s = element};
            TRY(put_percentile(cx, c, state_, &e, &b, &count));
        }
    }
    dyn_array_end(&b, at, count);
    TRY(buf_check(&b, cx->d));
    *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&b))};
    return out->s.p != NULL ? OK : arena_full(cx->a, cx->d);
}

static enum type ret_value(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

#define VALUE   ARG(TM_NUMERIC | TM(T_DATETIME) | TM(T_TIMESPAN))
#define PERCENT ARG(TM_NUMERIC)
#define LISTED  ARG(TM_NUMERIC | TM(T_DYNAMIC))
#define POINTS(name_, min, max, ret_, ret_fn, update_, finish_, doc_, call, expect_, ...)      \
    {                                                                                          \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret = ret_, \
        .ret_of = ret_fn, .state_size = sizeof(struct digest), .update = update_,              \
        .merge = merge_points, .finish = finish_, .doc = doc_,                                 \
        .example = "range x from 1 to 10 step 1 | summarize " call, .expect = expect_          \
    }

static const struct agg rows[] = {
    POINTS("percentile", 2, 2, T_NONE, ret_value, update_points, finish_one,
           "The value below which a share of the values lies.", "percentile(x, 50)", "5", VALUE,
           PERCENT),
    POINTS("percentiles_array", 2, FN_ARITY_ANY, T_DYNAMIC, NULL, update_points, finish_array,
           "An array of several percentiles.", "percentiles_array(x, 10, 90)", "[1,9]", VALUE,
           LISTED),
    POINTS("percentilesw_array", 3, FN_ARITY_ANY, T_DYNAMIC, NULL, update_weighted, finish_array,
           "An array of several weighted percentiles.", "percentilesw_array(x, x, 10, 90)",
           "[3,10]", VALUE, PERCENT, LISTED),
    POINTS("percentilew", 3, 3, T_NONE, ret_value, update_weighted, finish_one,
           "A percentile of values that count as often as their weight.", "percentilew(x, x, 50)",
           "7", VALUE, PERCENT, PERCENT),
};
const struct agg_family agg_percentile = {rows, sizeof rows / sizeof *rows};
