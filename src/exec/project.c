/* SPDX-License-Identifier: Apache-2.0 */
/* exec/project.c - extend, project and all that only computes columns of the same row */
#include "exec/run.h"

struct project {
    struct stage stage;
    const struct op *op;
    const bool *needed; /* of the result */
};

static enum err project_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct project *p = (const struct project *)s;
    uint32_t n = p->op->project.n;
    struct vec *cols = arena_array(&w->scratch.a, struct vec, n);
    if (cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n; i++) {
        if (p->needed[i])
            TRY(eval(w, p->op->project.exprs[i], in, &cols[i]));
        else
            cols[i] = vec_absent(p->op->schema.cols[i].type, in->n_rows);
    }
    struct batch out = {.n_rows = in->n_rows, .n_cols = n, .cols = cols};
    return stage_push(s->next, w, &out);
}

enum err project_stage(struct query *q, const struct op *op, const bool *needed,
                       const struct stage *next, const struct stage **out, struct diag *d)
{
    struct project *p = arena_new(&q->mem.a, struct project);
    if (p == NULL) return query_full(q, d);
    *p = (struct project){.stage = {project_push, next}, .op = op, .needed = needed};
    *out = &p->stage;
    return OK;
}
