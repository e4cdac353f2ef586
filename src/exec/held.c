/* SPDX-License-Identifier: Apache-2.0 */
/* exec/held.c - rows in the order of units, in memory or outside of it */
#include "exec/held.h"

#include <stdlib.h>

enum err held_open(struct held *h, struct query *q, const struct schema *schema, const bool *needed,
                   struct diag *d)
{
    *h = (struct held){.q = q, .schema = schema, .needed = needed};
    struct held_part *parts = arena_array(&q->mem.a, struct held_part, q->n_workers);
    if (parts == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &parts[i].mem);
        mem_open(q, &parts[i].book);
        rowbuf_init(&parts[i].rows, q, &parts[i].mem, schema, needed, false);
    }
    h->parts = parts;
    return OK;
}

void held_close(struct held *h)
{
    for (unsigned i = 0; h->parts != NULL && i < h->q->n_workers; i++) {
        mem_close(h->q, &h->parts[i].mem);
        mem_close(h->q, &h->parts[i].book);
    }
    h->parts = NULL;
}

static enum err let_out(struct held *h, struct held_part *p, struct diag *d)
{
    mem_settle(h->q, &p->book);
    for (const struct chunk *c = p->rows.first; c != NULL; c = c->next) {
        struct batch b;
        TRY(rowbuf_batch(&p->rows, c, &p->mem.a, &b, d));
        TRY(spill_list_add(h->q, &p->gone, &p->book, &b, c->unit, d));
    }
    mem_clear(h->q, &p->mem);
    rowbuf_init(&p->rows, h->q, &p->mem, h->schema, h->needed, false);
    return OK;
}

enum err held_add(struct held *h, struct worker *w, const struct batch *b, uint32_t n)
{
    struct held_part *p = &h->parts[w->slot];
    mem_settle_sink(w, &p->mem);
    TRY(rowbuf_append(&p->rows, b, NULL, n, w->unit_no, NULL, &w->d));
    bool enough = p->mem.charged >= spill_share(h->q) / 4;
    return enough && mem_short(h->q, 0) ? let_out(h, p, &w->d) : OK;
}

bool held_spilled(const struct held *h)
{
    for (unsigned i = 0; i < h->q->n_workers; i++) {
        if (h->parts[i].gone.n != 0) return true;
    }
    return false;
}

/* --- all of them ------------------------------------------------------------------------------ */

static enum err in_memory(struct held *h, uint64_t rows_max, struct relation *out, struct diag *d)
{
    struct query *q = h->q;
    struct rowbuf *rows = arena_array(&q->mem.a, struct rowbuf, q->n_workers);
    struct mem *mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    if (rows == NULL || mems == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++)
        rows[i] = h->parts[i].rows;
    TRY(rowbuf_relation(q, rows, q->n_workers, rows_max, mems, out, d));
    for (unsigned i = 0; i < q->n_workers; i++) {
        mems[i] = h->parts[i].mem;
        mem_close(q, &h->parts[i].book);
    }
    return OK;
}

/* Of a block: a worker's are in the order of units, and a unit is all of one worker. */
struct place {
    struct spilled block;
    uint32_t no;
};

static int by_unit(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->block.unit != y->block.unit) return x->block.unit < y->block.unit ? -1 : 1;
    return x->no < y->no ? -1 : x->no > y->no;
}

/* The lists of all workers as one, in the memory of the first. */
static enum err join_lists(struct held *h, struct spill_list *all, struct mem *m, struct diag *d)
{
    uint32_t n = 0, at = 0;
    for (unsigned i = 0; i < h->q->n_workers; i++)
        n += h->parts[i].gone.n;
    *all = (struct spill_list){.n = n, .cap = n};
    struct place *places = arena_array(&m->a, struct place, n);
    all->p = arena_array(&m->a, struct spilled, n);
    if (places == NULL || all->p == NULL) return query_full(h->q, d);
    for (unsigned i = 0; i < h->q->n_workers; i++) {
        const struct spill_list *l = &h->parts[i].gone;
        for (uint32_t k = 0; k < l->n; k++, at++)
            places[at] = (struct place){l->p[k], k};
        all->n_rows += l->n_rows;
    }
    qsort(places, n, sizeof *places, by_unit);
    for (uint32_t i = 0; i < n; i++)
        all->p[i] = places[i].block;
    return OK;
}

/* Forgets what is behind the first rows_max rows: the block in which they end is written anew. */
static enum err cut(struct query *q, const struct schema *schema, struct spill_list *l,
                    uint64_t rows_max, struct diag *d)
{
    if (l->n_rows <= rows_max) return OK;
    uint64_t rows = 0;
    uint32_t n = 0;
    while (rows + l->p[n].n_rows <= rows_max)
        rows += l->p[n++].n_rows;
    struct mem m;
    mem_open(q, &m);
    struct batch b, first;
    enum err e = OK;
    if (rows < rows_max) {
        e = spill_in(q, &l->p[n], schema, &m.a, &b, d);
        if (e == OK) e = batch_slice(&m.a, &b, 0, (uint32_t)(rows_max - rows), &first, d);
        if (e == OK) e = spill_out(q, &first, l->p[n].unit, &l->p[n], d);
        n++;
    }
    mem_close(q, &m);
    l->n = n;
    l->n_rows = rows_max;
    return e;
}

enum err held_relation(struct held *h, uint64_t rows_max, struct relation *out, struct diag *d)
{
    struct query *q = h->q;
    if (!held_spilled(h)) {
        TRY(in_memory(h, rows_max, out, d));
        h->parts = NULL;
        return OK;
    }
    for (unsigned i = 0; i < q->n_workers; i++)
        TRY(let_out(h, &h->parts[i], d));
    struct spill_list all;
    struct mem book;
    mem_open(q, &book);
    enum err e = join_lists(h, &all, &book, d);
    if (e == OK) e = cut(q, h->schema, &all, rows_max, d);
    if (e == OK) e = spill_relation(q, &all, 1, h->schema, &book, out, d);
    mem_close(q, &book);
    TRY(e);
    held_close(h);
    return OK;
}
