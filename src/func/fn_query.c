/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_query.c - what a query asks about itself: assert, estimate_data_size */
#include "func/families.h"

/* --- assert ----------------------------------------------------------------------------------- */

/* The condition is known before the query runs; when it does not hold, the query does not. */
static enum err prepare_assert(struct fn_call *call, struct arena *a, struct diag *d)
{
    (void)a;
    const struct value *holds = call->consts[0];
    struct bytes message;
    if (holds == NULL || !const_str(call, 1, &message))
        return FAIL_TAG(d, ERR_INVALID, "SEM0134",
                        "assert(): the condition and the message must be constant");
    if (!holds->is_null && holds->b) return OK;
    return FAIL_TAG(d, ERR_INVALID, "SEM0001", "assert() has failed: %.*s", (int)message.len,
                    (const char *)message.p);
}

EVAL_ROWS(eval_assert, T_BOOL, uint8_t, r[i] = 1)

/* --- estimate_data_size ----------------------------------------------------------------------- */

/* Of a text its bytes, of a dynamic those of its encoding, of the others their width. */
static int64_t size_of(const struct vec *v, uint32_t i)
{
    switch (v->type) {
    case T_STRING:
    case T_DYNAMIC: return (int64_t)vec_str(v, i).len;
    case T_BOOL: return 1;
    case T_INT: return 4;
    case T_DECIMAL:
    case T_GUID: return 16;
    default: return 8;
    }
}

EVAL(eval_size)
{
    void *data;
    TRY(out_flat(cx, T_LONG, n, out, &data));
    int64_t *r = data;
    for (uint32_t k = 0; k < call->n_args; k++) {
        for (uint32_t i = 0; i < n; i++)
            r[i] += size_of(args[k], i);
    }
    return OK;
}

static const struct fn rows[] = {
    {.name = "assert",
     .arity_min = 2,
     .arity_max = 2,
     .args = {ARG_BOOL, ARG_STRING},
     .ret = T_BOOL,
     .eval = eval_assert,
     .prepare = prepare_assert,
     .doc = "Refuses the query with a message unless a constant condition holds.",
     .example = "assert(1 < 2, 'one is less than two')",
     .expect = "True"},
    FN("estimate_data_size", 1, FN_ARITY_LIST, T_LONG, 0, eval_size,
       "How many bytes the values of columns take.", "estimate_data_size(1, '1234567890')", "18",
       ARG(TM_ANY)),
};
const struct fn_family fn_query = FAMILY(rows);
