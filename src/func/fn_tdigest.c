/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_tdigest.c - asking and merging what tdigest() gave. What is no such value gives null. */
#include "column/dyn.h"
#include "func/digest.h"
#include "func/families.h"

static bool digest_at(const struct vec *v, uint32_t i, struct digest *out, struct arena *tmp)
{
    return !vec_null(v, i) && digest_read(vec_str(v, i), out, tmp, NULL) == OK;
}

static bool percent_of(const struct value *v, double *out)
{
    struct value r;
    if (!value_cast(v, T_REAL, NULL, &r) || r.is_null) return false;
    *out = r.r;
    return true;
}

/* --- percentiles ------------------------------------------------------------------------------ */

/* percentile_tdigest(digest, percent): the binder casts to a type that was asked for. */
EVAL(eval_percentile)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct digest g;
        struct arena_mark mark = arena_mark(&tmp);
        if (!vec_null(args[1], i) && digest_at(args[0], i, &g, &tmp)) {
            struct value v = digest_percentile(&g, vec_r64(args[1], i));
            if (!v.is_null) value_to_dyn(&v, &r.b);
        }
        row_end(&r);
        arena_rewind(&tmp, mark);
    }
    return rows_end(cx, &r, out);
}

/* The type that a typeof() at the end names; T_NONE: there is none. */
static enum type wanted_type(const struct fn_call *call, uint32_t *n_percents)
{
    struct bytes name;
    char text[16];
    enum type t = T_NONE;
    *n_percents = call->n_args;
    if (!const_str(call, call->n_args - 1, &name) || name.len >= sizeof text) return T_NONE;
    --*n_percents;
    if (name.len != 0) memcpy(text, name.p, name.len);
    text[name.len] = 0;
    return type_parse(text, &t, NULL) == OK ? t : T_NONE;
}

static void put_percentile(struct digest *g, const struct value *percent, enum type type,
                           struct arena *tmp, struct buf *out, uint32_t *count)
{
    double p;
    struct value v = {.type = T_DYNAMIC, .is_null = true}, cast;
    if (percent_of(percent, &p)) v = digest_percentile(g, p);
    if (type != T_NONE && type != v.type && !v.is_null) {
        v.is_null = !value_cast(&v, type, tmp, &cast);
        if (!v.is_null) v = cast;
    }
    value_to_dyn(&v, out);
    ++*count;
}

static void put_percentiles(const struct fn_call *call, const struct vec *const *args, uint32_t i,
                            struct digest *g, struct arena *tmp, struct buf *out)
{
    uint32_t count = 0, n_percents;
    enum type type = wanted_type(call, &n_percents);
    size_t at = dyn_array_begin(out);
    for (uint32_t k = 1; k < n_percents; k++) {
        struct dyn_iter it;
        struct bytes name, element;
        struct value v = vec_value(args[k], i);
        if (v.type != T_DYNAMIC || !dyn_iter_init(&it, v.s)) {
            put_percentile(g, &v, type, tmp, out, &count);
            continue;
        }
        while (dyn_iter_next(&it, &name, &element)) {
            struct value e = {.type = T_DYNAMIC, .s = element};
            put_percentile(g, &e, type, tmp, out, &count);
        }
    }
    dyn_array_end(out, at, count);
}

EVAL(eval_percentiles)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct digest g;
        struct arena_mark mark = arena_mark(&tmp);
        if (digest_at(args[0], i, &g, &tmp) && g.n != 0)
            put_percentiles(call, args, i, &g, &tmp, &r.b);
        row_end(&r);
        arena_rewind(&tmp, mark);
    }
    return rows_end(cx, &r, out);
}

/* --- ranks ------------------------------------------------------------------------------------ */

/* How many values are at most the given one; percentrank: of a hundred. */
EVAL(eval_rank)
{
    CLEANUP_ARENA struct arena tmp;
    struct vecb b;
    bool of_hundred = call->fn->name[0] == 'p';
    arena_init(&tmp, 0);
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct digest g;
        struct point p;
        struct value v = vec_value(args[1], i), x;
        struct arena_mark mark = arena_mark(&tmp);
        if (digest_at(args[0], i, &g, &tmp) && g.n != 0 && !v.is_null &&
            value_cast(&v, g.type, &tmp, &x) && digest_point(&x, &p)) {
            double rank = digest_rank(&g, p);
            vecb_r64(&b, of_hundred ? rank * 100 / digest_total(&g) : rank);
        } else {
            vecb_null(&b);
        }
        arena_rewind(&tmp, mark);
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- merging ---------------------------------------------------------------------------------- */

/* One that is null, or of another type than the first, is left out. */
EVAL(eval_merge)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct digest all = {0}, one;
        struct arena_mark mark = arena_mark(&tmp);
        for (uint32_t k = 0; k < call->n_args; k++) {
            if (digest_at(args[k], i, &one, &tmp) && (all.type == T_NONE || all.type == one.type))
                TRY(digest_merge(&all, &one, &tmp, cx->d));
        }
        if (all.type != T_NONE) digest_put(&all, &r.b);
        row_end(&r);
        arena_rewind(&tmp, mark);
    }
    return rows_end(cx, &r, out);
}

#define LOW    "dynamic([[\"long\"],[10,20],[3,1]])"
#define HIGH   "dynamic([[\"long\"],[20,90],[1,1]])"
#define MERGED "percentile_tdigest(merge_tdigest(" LOW ", " HIGH "), 100)"
#define VALUE  ARG(DIGEST_TYPES | TM(T_DYNAMIC) | TM(T_STRING))

static const struct fn rows[] = {
    FN("merge_tdigest", 2, 16, T_DYNAMIC, 0, eval_merge, "Several tdigest() values as one.", MERGED,
       "90", ARG_DYNAMIC),
    FN("percentile_tdigest", 2, 2, T_DYNAMIC, 0, eval_percentile, "A percentile of a tdigest().",
       "percentile_tdigest(" LOW ", 80)", "20", ARG_DYNAMIC, ARG_AS(TM_INTS | TM(T_REAL), T_REAL)),
    FN("percentiles_array_tdigest", 2, FN_ARITY_ANY, T_DYNAMIC, 0, eval_percentiles,
       "An array of percentiles of a tdigest().", "percentiles_array_tdigest(" LOW ", 50, 100)",
       "[10,20]", ARG_DYNAMIC, ARG(TM_NUMERIC | TM(T_DYNAMIC) | TM(T_STRING))),
    FN("percentrank_tdigest", 2, 2, T_REAL, 0, eval_rank,
       "The share of the values that are at most the given one, of a hundred.",
       "percentrank_tdigest(" LOW ", 15)", "75.0", ARG_DYNAMIC, VALUE),
    FN("rank_tdigest", 2, 2, T_REAL, 0, eval_rank, "How many values are at most the given one.",
       "rank_tdigest(" LOW ", 15)", "3.0", ARG_DYNAMIC, VALUE),
    FN("tdigest_merge", 2, 16, T_DYNAMIC, 0, eval_merge, "Another name of merge_tdigest().", MERGED,
       "90", ARG_DYNAMIC),
};
const struct fn_family fn_tdigest = FAMILY(rows);
