/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_minmax.c - min, max, arg_min, arg_max, take_any
 *
 * Nulls are passed over; a NaN wins both ways. Of equal rows the first one stays.
 */
#include "func/agg_kernel.h"

#include <math.h>

/* --- min and max ------------------------------------------------------------------------------ */

struct extreme {
    struct kept kept; /* of text and 16-byte types; kept.v alone for the others */
    bool any;
};

static bool is_max(const struct agg_call *c)
{
    return strncmp(c->agg->name, "max", 3) == 0 || strncmp(c->agg->name, "arg_max", 7) == 0 ||
           strncmp(c->agg->name, "argmax", 6) == 0;
}

static bool wins(const struct value *challenger, const struct value *holder, bool max)
{
    if (challenger->type == T_REAL && (isnan(challenger->r) || isnan(holder->r))) {
        return isnan(challenger->r) && !isnan(holder->r);
    }
    int c = value_cmp(challenger, holder);
    return max ? c > 0 : c < 0;
}

static enum err offer(struct agg_cx *cx, struct extreme *e, const struct value *v, bool max)
{
    if (v->is_null || (e->any && !wins(v, &e->kept.v, max))) return OK;
    e->any = true;
    return kept_set(cx, &e->kept, v);
}

/* The usual case: whole numbers and moments, without a struct value per row. */
static void update_i64(void *const *states, const struct vec *v, uint32_t n, bool max)
{
    for (uint32_t i = 0; i < n; i++) {
        struct extreme *e = states[i];
        if (vec_null(v, i)) continue;
        int64_t x = vec_i64(v, i), holder = e->kept.v.i;
        if (e->any && (max ? x <= holder : x >= holder)) continue;
        e->any = true;
        e->kept.v.i = x;
        e->kept.v.type = v->type;
    }
}

/* Flat values of one group without nulls. */
static void update_one(struct extreme *e, const struct vec *v, uint32_t n, bool max)
{
    const int64_t *p = v->data;
    int64_t best = e->any ? e->kept.v.i : p[0];
    if (max) {
        for (uint32_t i = 0; i < n; i++)
            best = p[i] > best ? p[i] : best;
    } else {
        for (uint32_t i = 0; i < n; i++)
            best = p[i] < best ? p[i] : best;
    }
    e->any = true;
    e->kept.v.i = best;
    e->kept.v.type = v->type;
}

UPDATE(update_extreme)
{
    const struct vec *v = args[0];
    bool max = is_max(c);
    bool whole = (TM(v->type) & (TM_INTS | TM(T_DATETIME) | TM(T_TIMESPAN))) != 0;
    if (whole && v->shape == VEC_FLAT && v->nulls == NULL && one_state(states, n)) {
        update_one(states[0], v, n, max);
        return OK;
    }
    if (whole) {
        update_i64(states, v, n, max);
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct value x = vec_value(v, i);
        TRY(offer(cx, states[i], &x, max));
    }
    return OK;
}

MERGE(merge_extreme)
{
    struct extreme *from = from_;
    return from->any ? offer(cx, into_, &from->kept.v, is_max(c)) : OK;
}

FINISH(finish_extreme)
{
    (void)cx;
    const struct extreme *e = state_;
    *out = e->any ? e->kept.v : (struct value){.is_null = true};
    out->type = c->ret;
    return OK;
}

UPDATE_IF(update_extremeif, update_extreme)

static enum type ret_same(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

/* --- arg_min and arg_max ---------------------------------------------------------------------- */

struct arg_extreme {
    struct kept by, value;
    bool any;
};

static enum err offer_pair(struct agg_cx *cx, struct arg_extreme *e, const struct value *by,
                           const struct value *value, bool max)
{
    bool better = !e->any || (!by->is_null && (e->by.v.is_null || wins(by, &e->by.v, max)));
    if (!better) return OK;
    e->any = true;
    TRY(kept_set(cx, &e->by, by));
    return kept_set(cx, &e->value, value);
}

UPDATE(update_arg)
{
    bool max = is_max(c);
    const struct vec *v = args[c->n_args - 1];
    for (uint32_t i = 0; i < n; i++) {
        struct value by = vec_value(args[0], i);
        struct arg_extreme *e = states[i];
        if (e->any && (by.is_null || (!e->by.v.is_null && !wins(&by, &e->by.v, max)))) continue;
        struct value x = vec_value(v, i);
        TRY(offer_pair(cx, e, &by, &x, max));
    }
    return OK;
}

MERGE(merge_arg)
{
    struct arg_extreme *from = from_;
    return from->any ? offer_pair(cx, into_, &from->by.v, &from->value.v, is_max(c)) : OK;
}

FINISH(finish_arg)
{
    (void)cx;
    const struct arg_extreme *e = state_;
    *out = e->any ? e->value.v : (struct value){.is_null = true};
    out->type = c->ret;
    return OK;
}

static enum type ret_arg(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    return args[n - 1];
}

/* --- take_any --------------------------------------------------------------------------------- */

/* The first value that is neither null nor empty. */
UPDATE(update_any)
{
    (void)c;
    for (uint32_t i = 0; i < n; i++) {
        struct extreme *e = states[i];
        if (e->any) continue;
        struct value x = vec_value(args[0], i);
        if (x.is_null || (x.type == T_STRING && x.s.len == 0)) continue;
        e->any = true;
        TRY(kept_set(cx, &e->kept, &x));
    }
    return OK;
}

MERGE(merge_any)
{
    (void)c;
    struct extreme *into = into_, *from = from_;
    if (into->any || !from->any) return OK;
    into->any = true;
    return kept_set(cx, &into->kept, &from->kept.v);
}

UPDATE_IF(update_anyif, update_any)

static const char *name_any(struct arena *a, const char *arg_name, const struct agg_call *c)
{
    (void)c;
    return arena_fmt(a, "any_%s", arg_name);
}

#define ORDERED ARG(ANY_SCALAR & ~TM(T_GUID) & ~TM(T_DYNAMIC))
#define EXTREME(name_, min, args1, update_, doc_, example_, expect_)                          \
    {                                                                                         \
        .name = name_, .arity_min = min, .arity_max = min, .args = args1, .ret_of = ret_same, \
        .state_size = sizeof(struct extreme), .update = update_, .merge = merge_extreme,      \
        .finish = finish_extreme, .doc = doc_, .example = example_, .expect = expect_         \
    }
#define ARG_EXTREME(name_, doc_, example_, expect_)                                        \
    {                                                                                      \
        .name = name_, .arity_min = 1, .arity_max = 2, .args = {ORDERED, ARG(TM_ANY)},     \
        .ret_of = ret_arg, .state_size = sizeof(struct arg_extreme), .update = update_arg, \
        .merge = merge_arg, .finish = finish_arg, .doc = doc_, .example = example_,        \
        .expect = expect_                                                                  \
    }
#define ANY(name_, n_, args1, update_, doc_, example_, expect_)                             \
    {                                                                                       \
        .name = name_, .arity_min = n_, .arity_max = n_, .args = args1, .ret_of = ret_same, \
        .state_size = sizeof(struct extreme), .update = update_, .merge = merge_any,        \
        .finish = finish_extreme, .auto_name = name_any, .doc = doc_, .example = example_,  \
        .expect = expect_                                                                   \
    }
#define ONE(...)    \
    {               \
        __VA_ARGS__ \
    }

static const struct agg rows[] = {
    ANY("any", 1, ONE(ARG(ANY_SCALAR)), update_any, "The same as take_any().", NULL, NULL),
    ANY("anyif", 2, ONE(ARG(ANY_SCALAR), ARG_BOOL), update_anyif, "The same as take_anyif().", NULL,
        NULL),
    ARG_EXTREME("arg_max", "A value in the row in which the first argument is greatest.",
                "range x from 1 to 4 step 1 | summarize arg_max(x % 3, x) | project x", "2"),
    ARG_EXTREME("arg_min", "A value in the row in which the first argument is least.",
                "range x from 1 to 4 step 1 | summarize arg_min(x % 3, x) | project x", "3"),
    ARG_EXTREME("argmax", "The same as arg_max().", NULL, NULL),
    ARG_EXTREME("argmin", "The same as arg_min().", NULL, NULL),
    EXTREME("max", 1, ONE(ORDERED), update_extreme, "The greatest value.",
            "range x from 1 to 4 step 1 | summarize max(x)", "4"),
    EXTREME("maxif", 2, ONE(ORDERED, ARG_BOOL), update_extremeif,
            "The greatest value among rows for which a condition holds.",
            "range x from 1 to 4 step 1 | summarize maxif(x, x < 3)", "2"),
    EXTREME("min", 1, ONE(ORDERED), update_extreme, "The least value.",
            "range x from 1 to 4 step 1 | summarize min(x)", "1"),
    EXTREME("minif", 2, ONE(ORDERED, ARG_BOOL), update_extremeif,
            "The least value among rows for which a condition holds.",
            "range x from 1 to 4 step 1 | summarize minif(x, x > 2)", "3"),
    ANY("take_any", 1, ONE(ARG(ANY_SCALAR)), update_any,
        "Any value, one that is not null where there is one.",
        "range x from 1 to 1 step 1 | summarize take_any(x)", "1"),
    ANY("take_anyif", 2, ONE(ARG(ANY_SCALAR), ARG_BOOL), update_anyif,
        "Any value of the rows for which a condition holds.",
        "range x from 1 to 4 step 1 | summarize take_anyif(x, x == 3)", "3"),
};
const struct agg_family agg_minmax = {rows, sizeof rows / sizeof *rows};
