/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg_kernel.h - what the families of aggregates share */
#pragma once

#include "func/agg.h"
#include "func/kernel.h"

struct agg_family {
    const struct agg *rows;
    uint32_t n;
};

typedef enum err agg_update(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                            const struct vec *const *args, uint32_t n);

/* The rows for which argument `predicate` holds go to base, which sees the call without it. */
enum err agg_update_if(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                       const struct vec *const *args, uint32_t n, uint32_t predicate,
                       agg_update *base);

#define UPDATE(name)                                                                       \
    static enum err name(struct agg_cx *cx, const struct agg_call *c, void *const *states, \
                         const struct vec *const *args, uint32_t n)
#define MERGE(name) \
    static enum err name(struct agg_cx *cx, const struct agg_call *c, void *into_, void *from_)
#define FINISH(name)                                                                \
    static enum err name(struct agg_cx *cx, const struct agg_call *c, void *state_, \
                         struct value *out)
/* An update of the rows that argument 1 lets through. */
#define UPDATE_IF(name, base)                                  \
    UPDATE(name)                                               \
    {                                                          \
        return agg_update_if(cx, c, states, args, n, 1, base); \
    }

static inline bool row_is_null(const struct vec *v, uint32_t i)
{
    return v->type == T_NONE || vec_null(v, i);
}
/* All rows belong to one group: then a kernel may add up in a register. */
static inline bool one_state(void *const *states, uint32_t n)
{
    uintptr_t other = 0;
    for (uint32_t i = 1; i < n; i++)
        other |= (uintptr_t)states[i] ^ (uintptr_t)states[0];
    return n != 0 && other == 0;
}
/* A number as real, whatever its type; decimals are not asked here. */
static inline double num_at(const struct vec *v, uint32_t i)
{
    if (v->type == T_REAL) return vec_r64(v, i);
    return v->type == T_BOOL ? (double)vec_bool(v, i) : (double)vec_i64(v, i);
}

/* Keeps a value over the life of the operator: text is copied, into *room when it fits. */
struct kept {
    struct value v;
    uint8_t *room;
    size_t cap;
};
enum err kept_set(struct agg_cx *cx, struct kept *k, const struct value *v);

/* A growing run of bytes in the operator's arena. */
struct run {
    uint8_t *p;
    size_t len, cap;
};
enum err run_add(struct agg_cx *cx, struct run *r, struct bytes b);
