/* SPDX-License-Identifier: Apache-2.0 */
/* exec/rows.c - rows that stand in the query: datatable, print */
#include "exec/run.h"

static enum err column_of(struct query *q, const struct op *op, uint32_t col, uint32_t from,
                          uint32_t n, struct vec *out, struct diag *d)
{
    struct vecb b;
    vecb_init(&b, &q->mem.a, op->schema.cols[col].type, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value v;
        TRY(eval_const(q, op->rows.cells[(size_t)(from + i) * op->schema.n + col], &v, d));
        if (v.is_null)
            vecb_null(&b);
        else
            vecb_value(&b, &v);
    }
    return vecb_finish(&b, out, d);
}

enum err rows_leg(struct pipeline *p, const struct op *op, const struct stage *next, struct diag *d)
{
    struct query *q = p->q;
    uint32_t n_rows = op->rows.n_rows, n_cols = op->schema.n;
    struct relation r = {.n_rows = n_rows};
    r.batches = arena_array(&q->mem.a, struct batch, n_rows / VEC_ROWS + 1);
    if (r.batches == NULL) return query_full(q, d);
    for (uint32_t from = 0; from < n_rows; from += VEC_ROWS) {
        uint32_t n = n_rows - from < VEC_ROWS ? n_rows - from : VEC_ROWS;
        struct vec *cols = arena_array(&q->mem.a, struct vec, n_cols);
        if (cols == NULL) return query_full(q, d);
        for (uint32_t c = 0; c < n_cols; c++)
            TRY(column_of(q, op, c, from, n, &cols[c], d));
        r.batches[r.n_batches++] = (struct batch){.n_rows = n, .n_cols = n_cols, .cols = cols};
        mem_settle(q, &q->mem);
    }
    return relation_leg(p, &r, next, d);
}
