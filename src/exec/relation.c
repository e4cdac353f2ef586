/* SPDX-License-Identifier: Apache-2.0 */
/* exec/relation.c - held-back rows as the source of the pipeline above */
#include "exec/run.h"

#define UNIT_BATCHES 16 /* about as many rows as a unit of a table, in vectors */

struct replay {
    struct leg leg;
    struct relation rows; /* owned */
};

static enum err replay_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct relation *r = &((struct replay *)l)->rows;
    uint32_t from = unit * UNIT_BATCHES, to = from + UNIT_BATCHES;
    if (to > r->n_batches) to = r->n_batches;
    for (uint32_t i = from; i < to && !w->unit_done; i++) {
        TRY(worker_next(w, (i - from) * VEC_ROWS));
        TRY(stage_push(l->first, w, &r->batches[i]));
    }
    return OK;
}

static void replay_close(struct leg *l, struct query *q)
{
    relation_release(q, &((struct replay *)l)->rows);
}

enum err relation_leg(struct pipeline *p, struct relation *r, const struct stage *next,
                      struct diag *d)
{
    struct replay *s = arena_new(&p->q->mem.a, struct replay);
    if (s == NULL) {
        relation_release(p->q, r);
        return query_full(p->q, d);
    }
    s->rows = *r;
    s->leg = (struct leg){.run = replay_run,
                          .close = replay_close,
                          .first = next,
                          .n_units = (r->n_batches + UNIT_BATCHES - 1) / UNIT_BATCHES};
    *r = (struct relation){0};
    pipeline_add(p, &s->leg);
    return OK;
}
