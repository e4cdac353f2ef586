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
    (void)cx;
    const struct bits *s = state_;
    *out = (struct value){.type = c->ret, .is_null = !s->any, .i = s->v};
    return OK;
}

static enum type ret_bits(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return args[0];
}

#define BITS(name_, doc_, expect_)                                                                 \
    {                                                                                              \
        .name = name_, .arity_min = 1, .arity_max = 1, .args = {ARG(TM_INTS)}, .ret_of = ret_bits, \
        .state_size = sizeof(struct bits), .update = update_bits, .merge = merge_bits,             \
        .finish = finish_bits, .doc = doc_,                                                        \
        .example = "range x from 5 to 7 step 1 | summarize " name_ "(x)", .expect = expect_        \
    }

static const struct agg rows[] = {
    BITS("binary_all_and", "The bits that all values have.", "4"),
    BITS("binary_all_or", "The bits that some value has.", "7"),
    BITS("binary_all_xor", "The bits that an odd number of values have.", "4"),
};
const struct agg_family agg_binary = {rows, sizeof rows / sizeof *rows};
