/* SPDX-License-Identifier: Apache-2.0 */
/* exec/pipeline.c - hands the units of a pipeline to the workers */
#include "exec/run.h"

#include "base/time.h"

void pipeline_add(struct pipeline *p, struct leg *l)
{
    l->next = NULL;
    *p->legs_end = l;
    p->legs_end = &l->next;
}

uint32_t pipeline_phases(const struct pipeline *p)
{
    uint32_t n = 0;
    for (const struct leg *l = p->legs; l != NULL; l = l->next) {
        if (l->phase >= n) n = l->phase + 1;
    }
    return n;
}

static uint32_t n_units(const struct pipeline *p)
{
    uint32_t n = 0;
    for (const struct leg *l = p->legs; l != NULL; l = l->next)
        n += l->phase == p->phase ? l->n_units : 0;
    return n;
}

static enum err run_unit(struct pipeline *p, struct worker *w, uint32_t unit)
{
    struct leg *l = p->legs;
    uint32_t before = 0; /* units of all legs before this one: they number the unit */
    while (l->phase != p->phase || unit >= l->n_units) {
        if (l->phase == p->phase) unit -= l->n_units;
        before += l->n_units;
        l = l->next;
    }
    w->unit_no = before + unit;
    w->unit_rows = 0;
    w->unit_batch = NULL;
    w->unit_done = false;
    w->reverse = p->reverse;
    if (w->q->explain) w->mark_us = time_mono_us();
    TRY(query_check(w->q, &w->d));
    return l->run(l, w, unit);
}

/* Units are handed out in their order, so those begun are always a prefix (3). */
static void work(void *arg, unsigned slot)
{
    struct pipeline *p = arg;
    struct query *q = p->q;
    struct worker *w = &q->workers[slot];
    uint32_t n = n_units(p);
    while (!atomic_load(&p->enough) && !atomic_load(&q->stop)) {
        uint32_t unit = atomic_fetch_add(&p->next_unit, 1);
        if (unit >= n) break;
        mem_settle(q, &w->unit);
        w->turn = p->turns + unit;
        enum err e = run_unit(p, w, p->reverse ? n - 1 - unit : unit);
        if (e == OK && p->sink != NULL) e = p->sink->unit_end(p->sink, w);
        w->memos = NULL;
        w->unit_batch = NULL;
        mem_clear(q, &w->scratch);
        mem_clear(q, &w->unit);
        if (e == OK) continue;

        int none = OK;
        if (atomic_compare_exchange_strong(&p->err, &none, e)) p->failed = slot;
        atomic_store(&q->stop, true);
    }
}

static void close_legs(struct pipeline *p)
{
    for (struct leg *l = p->legs; l != NULL; l = l->next) {
        if (l->close != NULL) l->close(l, p->q);
    }
    p->legs = NULL;
}

enum err pipeline_run(struct pipeline *p, bool in_order, struct diag *d)
{
    struct query *q = p->q;
    for (unsigned i = 0; i < q->n_workers; i++)
        diag_reset(&q->workers[i].d);
    p->turns = 0;
    for (p->phase = 0; p->phase < pipeline_phases(p); p->phase++) {
        unsigned n = n_units(p) < q->n_workers ? n_units(p) : q->n_workers;
        atomic_store(&p->next_unit, 0);
        if (in_order || n <= 1 || q->r->pool == NULL)
            work(p, 0);
        else
            pool_each(q->r->pool, n, work, p);
        p->turns += n_units(p);
    }
    close_legs(p);

    return worker_result(&q->workers[p->failed], (enum err)atomic_load(&p->err), d);
}

enum err worker_result(const struct worker *w, enum err e, struct diag *d)
{
    if (e == ERR_LIMIT && w->d.tag[0] == 0) return limit_named(w->q, &w->d, d);
    if (e != OK && d != NULL && d->code == OK) *d = w->d;
    return e;
}

void pipeline_close(struct pipeline *p)
{
    close_legs(p);
}
