/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg_binary.c - all values joined bit by bit */
#include "func/agg_kernel.h"

struct bits {
    int64_t v;
    bool any;
};

static void join(const struct agg_call *c, struct bits *s, int64_t v)
{
    char op = c->agg->name[strlen("binary_all_")];
    if (!s->any) {
        s->v = v;
    } else if (op == 'a') {
        s->v &= v;
    } else if (op == 'o') {
        s->v |= v;
    } else {
        s->v ^= v;
    }
    s->any = true;
}

UPDATE(update_bits)
{
    (void)cx;
    for (uint32_t i = 0; i < n; i++) {
        if (!row_is_null(args[0], i)) join(c, states[i], vec_i64(args[0], i));
    }
    return OK;
}

MERGE(merge_bits)
{
    (void)cx;
    const struct bits *from = from_;
    if (from->any) join(c, into_, from->v);
    return OK;
}

FINISH(finish_bits)
{
    (void)cx, (void)c;
    const struct bits *s = state_;
    *out = (struct value){.type = T_LONG, .is_null = !s->any, .i = s->v};
    return OK;
}

#define BITS(name_, doc_, expect_)                                                          \
    {                                                                                       \
        .name = name_, .arity_min = 1, .arity_max = 1, .args = {ARG_AS(TM_INTS, T_LONG)},   \
        .ret = T_LONG, .state_size = sizeof(struct bits), .update = update_bits,            \
        .merge = merge_bits, .finish = finish_bits, .doc = doc_,                            \
        .example = "range x from 5 to 7 step 1 | summarize " name_ "(x)", .expect = expect_ \
    }

static const struct agg rows[] = {
    BITS("binary_all_and", "The bits that all values have.", "4"),
    BITS("binary_all_or", "The bits that some value has.", "7"),
    BITS("binary_all_xor", "The bits that an odd number of values have.", "4"),
};
const struct agg_family agg_binary = {rows, sizeof rows / sizeof *rows};
