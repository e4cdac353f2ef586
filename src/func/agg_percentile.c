/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg_percentile.c - percentiles by nearest rank, plain and weighted; tdigest, their state as
 * a value */
#include "func/agg_kernel.h"
#include "func/digest.h"

#include "column/dyn.h"

#include <math.h>

static bool point_at(const struct vec *v, uint32_t i, struct digest *g, struct point *p)
{
    struct value x = vec_value(v, i);
    g->type = v->type;
    return digest_point(&x, p);
}

/* Reals as they lie in a column, the usual case. */
static enum err add_reals(struct agg_cx *cx, void *const *states, const double *values, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        struct digest *g = states[i];
        if (isnan(values[i])) continue;
        struct point p = {.r = values[i] == 0 ? 0 : values[i], .weight = 1};
        g->type = T_REAL;
        if (g->n == g->cap) {
            TRY(digest_add(g, p, cx->a, cx->d));
            continue;
        }
        g->points[g->n++] = p;
        g->sorted = false;
    }
    return OK;
}

UPDATE(update_points)
{
    (void)c;
    if (args[0]->type == T_REAL && args[0]->shape == VEC_FLAT && args[0]->nulls == NULL)
        return add_reals(cx, states, args[0]->data, n);
    for (uint32_t i = 0; i < n; i++) {
        struct digest *g = states[i];
        struct point p;
        if (point_at(args[0], i, g, &p)) TRY(digest_add(g, p, cx->a, cx->d));
    }
    return OK;
}

UPDATE(update_weighted)
{
    (void)c;
    for (uint32_t i = 0; i < n; i++) {
        struct digest *g = states[i];
        struct point p;
        if (!point_at(args[0], i, g, &p) || row_is_null(args[1], i)) continue;
        p.weight = num_at(args[1], i);
        if (p.weight > 0 && isfinite(p.weight)) TRY(digest_add(g, p, cx->a, cx->d));
    }
    return OK;
}

MERGE(merge_points)
{
    (void)c;
    return digest_merge(into_, from_, cx->a, cx->d);
}

/* --- asking ----------------------------------------------------------------------------------- */

static struct value value_for(const struct agg_call *c, struct digest *g, double percent)
{
    struct value v = digest_percentile(g, percent);
    v.type = c->arg_types[0];
    return v;
}

static bool percent_of(const struct value *v, double *out)
{
    struct value r;
    if (v == NULL || !value_cast(v, T_REAL, NULL, &r) || r.is_null) return false;
    *out = r.r;
    return r.r >= 0 && r.r <= 100;
}

/* The first argument that is a percentile, or a list of them. */
static uint32_t first_percent(const struct agg_call *c)
{
    return strncmp(c->agg->name, "percentiles", 11) != 0    ? c->n_args - 1
           : strncmp(c->agg->name, "percentilesw", 12) == 0 ? 2
                                                            : 1;
}

typedef enum err each_percent(void *ctx, double percent, struct diag *d);

/* Constants from 0 to 100, each alone or in lists; ERR_INVALID when one is not. */
static enum err percents(const struct agg_call *c, each_percent *each, void *ctx, struct diag *d)
{
    double p;
    for (uint32_t i = first_percent(c); i < c->n_args; i++) {
        const struct value *v = c->consts[i];
        struct dyn_iter it;
        struct bytes name, element;
        bool good = true;
        if (v != NULL && v->type == T_DYNAMIC && dyn_iter_init(&it, v->s)) {
            while (good && dyn_iter_next(&it, &name, &element)) {
                good = percent_of(&(struct value){.type = T_DYNAMIC, .s = element}, &p);
                if (good) TRY(each(ctx, p, d));
            }
        } else {
            good = percent_of(v, &p);
            if (good) TRY(each(ctx, p, d));
        }
        if (!good) {
            return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                            "%s(): the percentiles must be constant numbers from 0 to 100",
                            c->agg->name);
        }
    }
    return OK;
}

static enum err look_at(void *ctx, double percent, struct diag *d)
{
    (void)ctx, (void)percent, (void)d;
    return OK;
}

static enum err check_percents(const struct agg_call *c, struct diag *d)
{
    return percents(c, look_at, NULL, d);
}

FINISH(finish_one)
{
    double percent;
    (void)cx;
    (void)percent_of(c->consts[c->n_args - 1], &percent); /* check_percents() has seen it */
    *out = value_for(c, state_, percent);
    return OK;
}

struct array { /* while it is made */
    const struct agg_call *call;
    struct digest *g;
    struct buf b;
    uint32_t n;
};

static enum err put_percentile(void *ctx, double percent, struct diag *d)
{
    struct array *a = ctx;
    struct value v = value_for(a->call, a->g, percent);
    a->n++;
    return dyn_from_value(&v, &a->b, d);
}

FINISH(finish_array)
{
    struct array a = {.call = c, .g = state_, .b = {.max = arena_room(cx->a)}};
    *out = (struct value){.type = T_DYNAMIC, .is_null = true};
    if (a.g->n == 0) return OK;
    size_t at = dyn_array_begin(&a.b);
    enum err e = percents(c, put_percentile, &a, cx->d);
    dyn_array_end(&a.b, at, a.n);
    if (e == OK) e = buf_check(&a.b, cx->d);
    if (e == OK) *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&a.b))};
    buf_release(&a.b);
    return e != OK || out->s.p != NULL ? e : arena_full(cx->a, cx->d);
}

/* --- tdigest ---------------------------------------------------------------------------------- */

UPDATE(update_tdigest)
{
    return (c->n_args > 1 ? update_weighted : update_points)(cx, c, states, args, n);
}

/* One of another type than the first is left out. */
UPDATE(update_tdigest_merge)
{
    (void)c;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct digest *g = states[i], one;
        if (row_is_null(args[0], i)) continue;
        struct arena_mark mark = arena_mark(&tmp);
        bool is_one = digest_read(vec_str(args[0], i), &one, &tmp, NULL) == OK;
        if (is_one && (g->type == T_NONE || g->type == one.type))
            TRY(digest_merge(g, &one, cx->a, cx->d));
        arena_rewind(&tmp, mark);
    }
    return OK;
}

/* Of no rows: null. */
FINISH(finish_tdigest)
{
    (void)c;
    CLEANUP_BUF struct buf b = {.max = arena_room(cx->a)};
    struct digest *g = state_;
    *out = (struct value){.type = T_DYNAMIC, .is_null = true};
    if (g->type == T_NONE) return OK;
    digest_put(g, &b);
    TRY(buf_check(&b, cx->d));
    *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&b))};
    return out->s.p != NULL ? OK : arena_full(cx->a, cx->d);
}

static enum type ret_value(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

#define VALUE   ARG(DIGEST_TYPES)
#define PERCENT ARG(TM_NUMERIC)
#define WEIGHT  ARG_AS(TM_NUMERIC, T_REAL)
#define LISTED  ARG(TM_NUMERIC | TM(T_DYNAMIC))
#define POINTS(name_, min, max, ret_, ret_fn, check_, update_, finish_, doc_, call, expect_, ...) \
    {                                                                                             \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret = ret_,    \
        .ret_of = ret_fn, .state_size = sizeof(struct digest), .update = update_,                 \
        .merge = merge_points, .finish = finish_, .doc = doc_, .check = check_,                   \
        .example = "range x from 1 to 10 step 1 | summarize " call, .expect = expect_             \
    }

#define MERGED "t = tdigest(x) by x | summarize percentile_tdigest(tdigest_merge(t), 50)"

static const struct agg rows[] = {
    POINTS("merge_tdigest", 1, 1, T_DYNAMIC, NULL, NULL, update_tdigest_merge, finish_tdigest,
           "Another name of tdigest_merge().", MERGED, "5", ARG_DYNAMIC),
    POINTS("percentile", 2, 2, T_NONE, ret_value, check_percents, update_points, finish_one,
           "The value below which a share of the values lies.", "percentile(x, 50)", "5", VALUE,
           PERCENT),
    POINTS("percentiles_array", 2, FN_ARITY_ANY, T_DYNAMIC, NULL, check_percents, update_points,
           finish_array, "An array of several percentiles.", "percentiles_array(x, 10, 90)",
           "[1,9]", VALUE, LISTED),
    POINTS("percentilesw_array", 3, FN_ARITY_ANY, T_DYNAMIC, NULL, check_percents, update_weighted,
           finish_array, "An array of several weighted percentiles.",
           "percentilesw_array(x, x, 10, 90)", "[3,10]", VALUE, WEIGHT, LISTED),
    POINTS("percentilew", 3, 3, T_NONE, ret_value, check_percents, update_weighted, finish_one,
           "A percentile of values that count as often as their weight.", "percentilew(x, x, 50)",
           "7", VALUE, WEIGHT, PERCENT),
    POINTS("tdigest", 1, 2, T_DYNAMIC, NULL, NULL, update_tdigest, finish_tdigest,
           "The state of percentiles() as a value, to be merged and asked later.",
           "percentile_tdigest(tdigest(x), 50)", "5", VALUE, WEIGHT),
    POINTS("tdigest_merge", 1, 1, T_DYNAMIC, NULL, NULL, update_tdigest_merge, finish_tdigest,
           "Several tdigest() values as one.", MERGED, "5", ARG_DYNAMIC),
};
const struct agg_family agg_percentile = {rows, sizeof rows / sizeof *rows};
