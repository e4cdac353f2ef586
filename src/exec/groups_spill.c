/* SPDX-License-Identifier: Apache-2.0 */
/* exec/groups_spill.c - a table of groups that does not fit into memory: part after part */
#include "exec/groups.h"
#include "exec/key.h"

#define GROUPS_MIN 64 /* of a part, before its rows go out once more: each level must get on */

enum err groups_may_spill(struct groups_plan *p, const enum type *types, struct diag *d)
{
    struct arena *a = &p->q->mem.a;
    struct column *cols = arena_array(a, struct column, p->n_values);
    p->has_type = arena_array(a, bool, p->n_values);
    if (cols == NULL || p->has_type == NULL) return query_full(p->q, d);
    for (uint32_t i = 0; i < p->n_keys; i++)
        cols[i] = (struct column){"", types[i]};
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        const struct agg_use *use = &p->aggs[i];
        for (uint32_t k = 0; p->wanted[i] && k < use->call.n_args; k++)
            cols[p->args_at[i] + k] = (struct column){"", use->args[k]->type};
    }
    for (uint32_t i = 0; i < p->n_values; i++)
        p->has_type[i] = cols[i].type != T_NONE;
    /* All rows are one group: it has nowhere to go. */
    if (p->n_keys != 0) p->values = (struct schema){p->n_values, cols};
    return OK;
}

bool groups_must_freeze(const struct groups_plan *p, const struct groups *t)
{
    return p->values.n != 0 && t->out == NULL && mem_short(p->q, 0) &&
           t->mem.charged > spill_share(p->q) / 4;
}

enum err groups_freeze(const struct groups_plan *p, struct groups *t, unsigned level,
                       struct diag *d)
{
    struct parts *out = arena_new(&t->mem.a, struct parts);
    if (out == NULL) return query_full(p->q, d);
    parts_open(out, p->q, &p->values, p->has_type, level);
    t->out = out;
    return OK;
}

enum err groups_let_out(const struct groups_plan *p, struct groups *t, struct worker *w,
                        const struct vec *values, uint32_t n)
{
    struct arena *a = &w->scratch.a;
    struct bytes *keys = arena_array(a, struct bytes, n);
    uint64_t *hashes = arena_array(a, uint64_t, n);
    if (keys == NULL || hashes == NULL) return query_full(w->q, &w->d);
    TRY(group_keys(a, values, p->n_keys, n, keys, &w->d));
    for (uint32_t i = 0; i < n; i++)
        hashes[i] = groups_hash(p, keys[i]);
    struct batch b = {.n_rows = n, .n_cols = p->n_values, .cols = (struct vec *)values};
    return parts_add(t->out, &b, hashes, w->unit_no, a, &w->d);
}

bool groups_spilled(const struct groups_plan *p, const struct groups *all)
{
    for (unsigned i = 0; i < p->q->n_workers; i++) {
        if (all[i].out != NULL) return true;
    }
    return false;
}

/* --- part after part -------------------------------------------------------------------------- */

struct by_part { /* the groups of one table */
    struct group *lists[PARTS];
};

static void split(const struct groups *t, unsigned level, struct by_part *out)
{
    struct group **ends[PARTS];
    for (uint32_t i = 0; i < PARTS; i++)
        ends[i] = &out->lists[i];
    for (struct group *g = t->first; g != NULL; g = g->next) {
        uint32_t i = part_of(g->hash, level);
        *ends[i] = g;
        ends[i] = &g->next;
    }
    for (uint32_t i = 0; i < PARTS; i++)
        *ends[i] = NULL;
}

struct walk { /* over the parts of n tables */
    const struct groups_plan *p;
    struct by_part *met; /* per table */
    struct parts **outs;
    unsigned n, n_outs, level;
    groups_fn *each;
    void *ctx;
};

/* The part's rows that were let out, into t, which may have to let them out again. */
static enum err take_rows(const struct walk *k, struct worker *w, uint32_t part, struct groups *t)
{
    struct query *q = k->p->q;
    struct part_rows *list;
    struct mem book;
    uint32_t n;
    mem_open(q, &book);
    enum err e = parts_list(k->outs, k->n_outs, part, &book.a, &list, &n, &w->d);
    for (uint32_t i = 0; e == OK && i < n; i++) {
        struct batch b;
        mem_clear(q, &w->scratch);
        w->unit_no = list[i].unit;
        e = part_read(q, &list[i], &w->scratch.a, &b, &w->d);
        if (e == OK) e = groups_take(k->p, t, w, b.cols, b.n_rows);
        if (e == OK && t->out == NULL && k->level + 1 < PARTS_DEPTH && t->n_groups > GROUPS_MIN &&
            mem_short(q, k->level + 1)) {
            e = groups_freeze(k->p, t, k->level + 1, &w->d);
        }
    }
    mem_clear(q, &w->scratch);
    mem_close(q, &book);
    return e;
}

static enum err walk_open(struct walk *k, struct groups *all, struct diag *d)
{
    struct arena *a = &all[0].mem.a;
    mem_settle(k->p->q, &all[0].mem);
    k->met = arena_array(a, struct by_part, k->n);
    k->outs = arena_array(a, struct parts *, k->n);
    if (k->met == NULL || k->outs == NULL) return query_full(k->p->q, d);
    for (unsigned i = 0; i < k->n; i++) {
        split(&all[i], k->level, &k->met[i]);
        if (all[i].out != NULL) k->outs[k->n_outs++] = all[i].out;
    }
    return OK;
}

static enum err one_part(const struct walk *k, struct worker *w, uint32_t part, uint32_t top);

/* What had to go out once more: its parts, one after the other. */
static enum err parts_of_part(const struct walk *k, struct worker *w, struct groups *t,
                              uint32_t top)
{
    struct walk below = {.p = k->p, .n = 1, .level = k->level + 1, .each = k->each, .ctx = k->ctx};
    TRY(walk_open(&below, t, &w->d));
    for (uint32_t i = 0; i < PARTS; i++)
        TRY(one_part(&below, w, i, top));
    return OK;
}

static enum err one_part(const struct walk *k, struct worker *w, uint32_t part, uint32_t top)
{
    struct query *q = k->p->q;
    struct groups t = {0};
    enum err e = OK;
    mem_open(q, &t.mem);
    t.end = &t.first;
    for (unsigned i = 0; i < k->n; i++) {
        for (struct group *g = k->met[i].lists[part], *next; e == OK && g != NULL; g = next) {
            next = g->next;
            e = groups_adopt(k->p, &t, g, &w->d);
        }
    }
    mem_settle(q, &t.mem);
    if (e == OK) e = take_rows(k, w, part, &t);
    if (e == OK) e = t.out != NULL ? parts_of_part(k, w, &t, top) : k->each(k->ctx, top, &t, &w->d);
    groups_close(q, &t);
    return e;
}

/* --- on all workers --------------------------------------------------------------------------- */

struct each_part {
    const struct walk *walk;
    _Atomic uint32_t next;
    _Atomic int err; /* the first failure, and whose it is */
    unsigned failed;
};

static void work(void *arg, unsigned slot)
{
    struct each_part *x = arg;
    struct query *q = x->walk->p->q;
    while (!atomic_load(&q->stop)) {
        uint32_t part = atomic_fetch_add(&x->next, 1);
        if (part >= PARTS) return;
        enum err e = one_part(x->walk, &q->workers[slot], part, part);
        int none = OK;
        if (e == OK) continue;
        if (atomic_compare_exchange_strong(&x->err, &none, e)) x->failed = slot;
        atomic_store(&q->stop, true);
    }
}

enum err groups_each(const struct groups_plan *p, struct groups *all, groups_fn *each, void *ctx,
                     struct diag *d)
{
    struct query *q = p->q;
    struct walk k = {.p = p, .n = q->n_workers, .each = each, .ctx = ctx};
    struct each_part x = {.walk = &k};
    TRY(walk_open(&k, all, d));
    unsigned n = q->n_workers < PARTS ? q->n_workers : PARTS;
    for (unsigned i = 0; i < n; i++)
        diag_reset(&q->workers[i].d);
    if (n > 1 && q->r->pool != NULL)
        pool_each(q->r->pool, n, work, &x);
    else
        work(&x, 0);
    return worker_result(&q->workers[x.failed], (enum err)atomic_load(&x.err), d);
}
