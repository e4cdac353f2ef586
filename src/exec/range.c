/* SPDX-License-Identifier: Apache-2.0 */
/* exec/range.c - range x from a to b step c: made as it is read, both ends inclusive */
#include "exec/run.h"

#include <math.h>

struct range {
    struct leg leg;
    enum type type;
    struct value from, step;
    uint64_t n_rows, unit_rows;
};

#define RANGE_UNITS_MAX ((uint64_t)1 << 30)

static enum err range_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct range *r = (const struct range *)l;
    uint64_t first = unit * r->unit_rows, at = first;
    uint64_t end = r->n_rows - first < r->unit_rows ? r->n_rows : first + r->unit_rows;
    for (; at < end && !w->unit_done; at += VEC_ROWS) {
        TRY(worker_next(w, (uint32_t)(at - first)));
        uint32_t n = end - at < VEC_ROWS ? (uint32_t)(end - at) : VEC_ROWS;
        uint64_t *data = arena_array(&w->scratch.a, uint64_t, n);
        if (data == NULL) return query_full(w->q, &w->d);
        for (uint32_t i = 0; i < n; i++) {
            if (r->type == T_REAL) {
                double v = r->from.r + (double)(at + i) * r->step.r;
                memcpy(&data[i], &v, sizeof v);
            } else {
                data[i] = (uint64_t)r->from.i + (at + i) * (uint64_t)r->step.i;
            }
        }
        struct vec col = {.type = r->type, .n = n, .data = data};
        struct batch b = {.n_rows = n, .n_cols = 1, .cols = &col};
        TRY(stage_push(l->first, w, &b));
    }
    return OK;
}

static enum err count_rows(struct range *r, const struct value *to, struct diag *d)
{
    if (r->from.is_null || to->is_null || r->step.is_null) return OK; /* no rows */
    if (r->type == T_REAL) {
        if (r->step.r == 0) return FAIL(d, ERR_INVALID, "range: the step is zero");
        double n = floor((to->r - r->from.r) / r->step.r) + 1;
        if (n >= 1) r->n_rows = n < 1e18 ? (uint64_t)n : (uint64_t)1e18; /* a NaN: none */
    } else {
        if (r->step.i == 0) return FAIL(d, ERR_INVALID, "range: the step is zero");
        __int128 span = (__int128)to->i - r->from.i, steps = span / r->step.i;
        bool forward = span == 0 || (span < 0) == (r->step.i < 0);
        if (forward) r->n_rows = steps < INT64_MAX ? (uint64_t)steps + 1 : INT64_MAX;
    }
    return OK;
}

enum err range_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                   struct diag *d)
{
    struct query *q = p->q;
    struct range *r = arena_new(&q->mem.a, struct range);
    if (r == NULL) return query_full(q, d);
    struct value to;
    *r = (struct range){.type = op->schema.cols[0].type};
    if (r->type == T_DECIMAL) return FAIL(d, ERR_UNSUPPORTED, "range: decimal is not supported");
    TRY(eval_const(q, op->range.from, &r->from, d));
    TRY(eval_const(q, op->range.to, &to, d));
    TRY(eval_const(q, op->range.step, &r->step, d));
    TRY(count_rows(r, &to, d));
    /* Nobody lives to see the end of a range that needs larger units, but its first rows can be
     * taken. */
    r->unit_rows = UNIT_ROWS_MAX;
    while (r->n_rows / r->unit_rows >= RANGE_UNITS_MAX)
        r->unit_rows *= 2;
    uint64_t n_units = (r->n_rows + r->unit_rows - 1) / r->unit_rows;
    r->leg = (struct leg){.run = range_run, .first = next, .n_units = (uint32_t)n_units};
    pipeline_add(p, &r->leg);
    return OK;
}
