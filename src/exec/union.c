/* SPDX-License-Identifier: Apache-2.0 */
/* exec/union.c - puts the columns of one input of a union where the result has them */
#include "exec/run.h"

struct mapping {
    struct stage stage;
    const struct op *op;
    const uint32_t *columns;
    const bool *needed;
};

static enum err mapping_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct mapping *m = (const struct mapping *)s;
    uint32_t n = m->op->schema.n;
    struct vec *cols = arena_array(&w->scratch.a, struct vec, n);
    if (cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n; i++) {
        if (m->columns[i] == UINT32_MAX || !m->needed[i]) {
            cols[i] = vec_absent(m->op->schema.cols[i].type, in->n_rows);
        } else {
            cols[i] = in->cols[m->columns[i]];
        }
    }
    struct batch out = {.n_rows = in->n_rows, .n_cols = n, .cols = cols};
    return stage_push(s->next, w, &out);
}

enum err union_stage(struct query *q, const struct op *op, uint32_t input, const bool *needed,
                     const struct stage *next, const struct stage **out, struct diag *d)
{
    struct mapping *m = arena_new(&q->mem.a, struct mapping);
    if (m == NULL) return query_full(q, d);
    *m = (struct mapping){.stage = {mapping_push, next},
                          .op = op,
                          .columns = op->unions.columns[input],
                          .needed = needed};
    *out = &m->stage;
    return OK;
}
