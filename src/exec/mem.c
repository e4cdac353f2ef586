/* SPDX-License-Identifier: Apache-2.0 */
/* exec/mem.c - arenas that together stay under the query's ceiling, and the checks made between
 * morsels */
#include "exec/run.h"

#include "base/time.h"

#define ASK_US 100000 /* between two questions whether somebody waits for the rows */

/* The outermost query: those over its groups take from the same purse. */
static struct query *payer(struct query *q)
{
    while (q->outer != NULL)
        q = q->outer;
    return q;
}

size_t query_memory(const struct query *q)
{
    while (q->outer != NULL)
        q = q->outer;
    return atomic_load(&q->memory);
}

/* What an arena costs are its chunks, whether they are full or not. */
void mem_settle(struct query *q, struct mem *m)
{
    struct query *of = payer(q);
    size_t held = m->a.held;
    if (held > m->charged)
        atomic_fetch_add(&of->memory, held - m->charged);
    else
        atomic_fetch_sub(&of->memory, m->charged - held);
    m->charged = held;
    size_t total = atomic_load(&of->memory), max = q->limits.memory_max;
    size_t left = max > total ? max - total : 0;
    /* A share: the workers' arenas grow at the same time, and only here do they learn of each
     * other. */
    m->a.limit = m->a.used + left / q->n_workers;
}

void mem_settle_sink(struct worker *w, struct mem *m)
{
    mem_settle(w->q, &w->scratch);
    mem_settle(w->q, m);
}

void mem_open(struct query *q, struct mem *m)
{
    *m = (struct mem){0};
    arena_init(&m->a, 0);
    mem_settle(q, m);
}

void mem_clear(struct query *q, struct mem *m)
{
    /* A cleared arena keeps a chunk for what comes next; there must be room for that. */
    if (query_memory(q) > q->limits.memory_max / 2)
        arena_release(&m->a);
    else
        arena_clear(&m->a);
    mem_settle(q, m);
}

void mem_close(struct query *q, struct mem *m)
{
    arena_release(&m->a);
    atomic_fetch_sub(&payer(q)->memory, m->charged);
    m->charged = 0;
}

void relation_release(struct query *q, struct relation *r)
{
    for (unsigned i = 0; i < r->n_mems; i++)
        mem_close(q, &r->mems[i]);
    *r = (struct relation){0};
}

static const struct op *op_under_way(const struct query *q)
{
    while (q->at == NULL && q->outer != NULL)
        q = q->outer;
    return q->at;
}

enum err limit_named(const struct query *q, const struct diag *why, struct diag *d)
{
    const struct op *op = op_under_way(q);
    const char *name = op != NULL ? op_name(op) : "the query";
    /* An arena or buffer that is full tells of its share, which is no limit that anybody set. */
    if (strstr(why->text, "bytes") == NULL)
        return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "%s: %s", name, why->text);
    return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                    "%s: %s; the query may have %zu bytes of memory", name, why->text,
                    q->limits.memory_max);
}

enum err limit_checked(const struct query *q, enum err e, struct diag *d)
{
    if (e != ERR_LIMIT || d == NULL || d->tag[0] != 0) return e;
    struct diag why = *d;
    diag_reset(d);
    return limit_named(q, &why, d);
}

void query_say_full(struct query *q, struct diag *d)
{
    const struct op *op = op_under_way(q);
    (void)FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                   "%s%sthe query needs more than %zu bytes of memory",
                   op != NULL ? op_name(op) : "", op != NULL ? ": " : "", q->limits.memory_max);
}

enum err worker_next(struct worker *w, uint32_t first_row)
{
    TRY(query_check(w->q, &w->d));
    mem_clear(w->q, &w->scratch);
    w->vector = first_row;
    w->row_ids = NULL;
    return OK;
}

/* One thread asks at a time, and not often: it is a system call. */
static bool nobody_waits(struct query *q)
{
    q = payer(q);
    int64_t now = time_mono_us(), last = atomic_load_explicit(&q->asked_us, memory_order_relaxed);
    return now - last >= ASK_US && atomic_compare_exchange_strong(&q->asked_us, &last, now) &&
           q->r->gone(q->r->gone_ctx);
}

enum err query_check(struct query *q, struct diag *d)
{
    if (atomic_load_explicit(&q->stop, memory_order_relaxed)) {
        return FAIL(d, ERR_CANCELLED, "stopped because another part of the query failed");
    }
    if (q->r->cancel != NULL && atomic_load_explicit(q->r->cancel, memory_order_relaxed)) {
        return FAIL(d, ERR_CANCELLED, "the query was cancelled");
    }
    if (q->r->gone != NULL && nobody_waits(q)) {
        return FAIL(d, ERR_CANCELLED, "nobody waits for the rows any more");
    }
    if (q->limits.deadline_us != 0 && time_mono_us() > q->limits.deadline_us) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_TIMEOUT", "the query ran out of time");
    }
    return OK;
}
