/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_hll.c - counting and merging what hll() gave. What is no such value gives null. */
#include "func/families.h"
#include "func/hll.h"

EVAL(eval_dcount_hll)
{
    (void)call;
    CLEANUP_ARENA struct arena tmp;
    struct vecb b;
    arena_init(&tmp, 0);
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct hll h;
        struct arena_mark mark = arena_mark(&tmp);
        if (hll_read(vec_str(args[0], i), &h, &tmp, NULL) == OK) {
            vecb_i64(&b, hll_count(&h));
        } else {
            vecb_null(&b);
        }
        arena_rewind(&tmp, mark);
    }
    return vecb_finish(&b, out, cx->d);
}

/* One that is null is left out, as the aggregate leaves it out. */
EVAL(eval_hll_merge)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct hll all = {0};
        struct arena_mark mark = arena_mark(&tmp);
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct hll one;
            if (hll_read(vec_str(args[k], i), &one, &tmp, NULL) == OK)
                TRY(hll_merge(&all, &one, &tmp, cx->d));
        }
        if (all.bits != 0) hll_put(&all, &r.b);
        row_end(&r);
        arena_rewind(&tmp, mark);
    }
    return rows_end(cx, &r, out);
}

#define TWO   "dynamic([[2048,14],[\"1\",\"2\"],[]])"
#define THREE "dynamic([[2048,14],[\"2\",\"3\",\"4\"],[]])"

static const struct fn rows[] = {
    FN("dcount_hll", 1, 1, T_LONG, 0, eval_dcount_hll,
       "How many different values went into an hll().", "dcount_hll(" TWO ")", "2", ARG_DYNAMIC),
    FN("hll_merge", 2, 16, T_DYNAMIC, 0, eval_hll_merge, "Several hll() values as one.",
       "dcount_hll(hll_merge(" TWO ", " THREE "))", "4", ARG_DYNAMIC),
};
const struct fn_family fn_hll = FAMILY(rows);
