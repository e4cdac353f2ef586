/* SPDX-License-Identifier: Apache-2.0 */
/* exec/mem.c - arenas that together stay under the query's ceiling, and the checks made between
 * morsels */
#include "exec/run.h"

#include "base/time.h"

void mem_settle(struct query *q, struct mem *m)
{
    size_t used = m->a.used;
    if (used > m->charged)
        atomic_fetch_add(&q->memory, used - m->charged);
    else
        atomic_fetch_sub(&q->memory, m->charged - used);
    m->charged = used;
    size_t total = atomic_load(&q->memory), max = q->limits.memory_max;
    size_t left = max > total ? max - total : 0;
    /* A share: the workers' arenas grow at the same time, and only here do they learn of each
     * other. */
    m->a.limit = used + left / q->n_workers;
}

void mem_open(struct query *q, struct mem *m)
{
    *m = (struct mem){0};
    arena_init(&m->a, 0);
    mem_settle(q, m);
}

void mem_clear(struct query *q, struct mem *m)
{
    arena_clear(&m->a);
    mem_settle(q, m);
}

void mem_close(struct query *q, struct mem *m)
{
    arena_release(&m->a);
    atomic_fetch_sub(&q->memory, m->charged);
    m->charged = 0;
}

void relation_release(struct query *q, struct relation *r)
{
    for (unsigned i = 0; i < r->n_mems; i++)
        mem_close(q, &r->mems[i]);
    *r = (struct relation){0};
}

enum err query_full(struct query *q, struct diag *d)
{
    return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                    "the query needs more than %zu bytes of memory", q->limits.memory_max);
}

enum err worker_next(struct worker *w, uint32_t first_row)
{
    TRY(query_check(w->q, &w->d));
    mem_clear(w->q, &w->scratch);
    w->vector = first_row;
    w->row_ids = NULL;
    return OK;
}

enum err query_check(struct query *q, struct diag *d)
{
    if (atomic_load_explicit(&q->stop, memory_order_relaxed)) {
        return FAIL(d, ERR_CANCELLED, "stopped because another part of the query failed");
    }
    if (q->r->cancel != NULL && atomic_load_explicit(q->r->cancel, memory_order_relaxed)) {
        return FAIL(d, ERR_CANCELLED, "the query was cancelled");
    }
    if (q->limits.deadline_us != 0 && time_mono_us() > q->limits.deadline_us) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_TIMEOUT", "the query ran out of time");
    }
    return OK;
}
