/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg.h - the registry of aggregates
 *
 * exec owns the states: one block of state_size zeroed bytes per group, aligned to 16. update()
 * adds the rows of a vector, each to the state of its group. States of several threads are merged
 * pairwise.
 *
 * arg_max, arg_min: two arguments (by, value), the result is the value in the row that wins. A
 * query's arg_max(x, a, b) is three uses: (x, x), (x, a), (x, b); of equal rows all three keep the
 * first. percentile, percentilew: one percentile, a constant; percentiles(x, 5, 50) is two uses.
 */
#pragma once

#include "func/fn.h"

struct agg;
struct agg_call {
    const struct agg *agg;
    enum type ret;
    uint32_t n_args;
    const enum type *arg_types;
    const struct value *const *consts;
};

struct agg_cx {
    struct arena *a; /* the operator's: lives until finish() */
    struct diag *d;
};

struct agg {
    const char *name;
    uint32_t arity_min, arity_max;
    struct fn_arg args[4];
    enum type ret;
    enum type (*ret_of)(const enum type *args, const struct value *const *consts, uint32_t n);
    /* Refuses constants that cannot be: an accuracy that there is not. NULL: takes all. */
    enum err (*check)(const struct agg_call *c, struct diag *d);
    size_t state_size;
    bool of_set;      /* a value that comes again changes nothing */
    bool counts_rows; /* the state is an int64_t, one more for each row, whatever is in it */
    /* states[i] is the state that row i belongs to. */
    enum err (*update)(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                       const struct vec *const *args, uint32_t n);
    enum err (*merge)(struct agg_cx *cx, const struct agg_call *c, void *into, void *from);
    enum err (*finish)(struct agg_cx *cx, const struct agg_call *c, void *state, struct value *out);
    /* Name of the result column when the query gives none; "" of arguments means there was none to
     * use. NULL: name_, then the first argument's column name: sum_x. */
    const char *(*auto_name)(struct arena *a, const char *arg_name, const struct agg_call *c);
    const char *doc;
    const char *example; /* a whole query */
    const char *expect;
};

const struct agg *agg_find(const char *name);
uint32_t agg_count(void);
const struct agg *agg_at(uint32_t i);
