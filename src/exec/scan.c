/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/scan.c - reads a table: the columns of the conditions first, the others only for units in
 * which some row is left
 */
#include "exec/hint.h"
#include "exec/run.h"

#include <stdlib.h>

struct scan {
    struct leg leg;
    const struct op *op;
    const struct source_ops *source;
    void *handle;
    const struct conditions *conditions; /* NULL: none */
    const bool *needed;                  /* by the stages above */
    uint32_t n_first, n_rest;            /* places in the list of opened columns ... */
    uint32_t *first, *rest;              /* ... of the conditions, and of what else is needed */
    uint32_t n_opened, *cols;            /* place -> column of op's schema */
    bool lent;                           /* handle and places are another leg's */
    uint64_t n_picked, *picked;
};

/* Reads places of the unit into the batch of all columns. */
static enum err read_places(const struct scan *s, struct worker *w, uint32_t unit,
                            const uint32_t *places, uint32_t n, struct batch *all)
{
    if (n == 0) return OK;
    struct batch got;
    TRY(s->source->read(s->handle, unit, places, n, &w->unit.a, &got, &w->d));
    for (uint32_t i = 0; i < n; i++)
        all->cols[s->cols[places[i]]] = got.cols[i];
    mem_settle(w->q, &w->unit);
    return OK;
}

static enum err batch_of_unit(const struct scan *s, struct worker *w, uint32_t unit,
                              struct batch *all)
{
    uint64_t n = s->source->rows(s->handle, unit);
    if (n > UNIT_ROWS_MAX)
        return FAIL(&w->d, ERR_INTERNAL, "a unit of more than %d rows", UNIT_ROWS_MAX);
    uint32_t n_cols = s->op->schema.n;
    *all = (struct batch){.n_rows = (uint32_t)n, .n_cols = n_cols};
    all->cols = arena_array(&w->unit.a, struct vec, n_cols);
    if (all->cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_cols; i++) {
        all->cols[i] = vec_absent(s->op->schema.cols[i].type, all->n_rows);
    }
    w->unit_rows = all->n_rows;
    w->unit_batch = all;
    atomic_fetch_add(&w->q->rows_scanned, n);
    atomic_fetch_add(&w->q->units_scanned, 1);
    return OK;
}

struct chosen {       /* rows of a unit, vector by vector; rows NULL: all of them */
    uint32_t *rows;   /* indexes into the vector, ascending */
    uint32_t *counts; /* of each vector */
    uint32_t n;
};

static uint32_t vector_rows(const struct batch *all, uint32_t from)
{
    return all->n_rows - from < VEC_ROWS ? all->n_rows - from : VEC_ROWS;
}

static enum err push_vector(const struct scan *s, struct worker *w, const struct batch *all,
                            uint32_t from, const uint32_t *rows, uint32_t n)
{
    TRY(worker_next(w, from));
    struct batch slice, left;
    TRY(batch_slice(&w->scratch.a, all, from, vector_rows(all, from), &slice, &w->d));
    if (rows == NULL || n == slice.n_rows) return stage_push(s->leg.first, w, &slice);
    TRY(batch_select(&w->scratch.a, &slice, s->needed, rows, n, &left, &w->d));
    w->row_ids = rows;
    return stage_push(s->leg.first, w, &left);
}

/* Hands the unit to the next stage, vector by vector. */
static enum err push_unit(const struct scan *s, struct worker *w, const struct batch *all,
                          const struct chosen *c)
{
    uint32_t n_vectors = (all->n_rows + VEC_ROWS - 1) / VEC_ROWS;
    const uint32_t *rows = c->rows;
    if (rows != NULL && w->reverse) rows += c->n;
    for (uint32_t i = 0; i < n_vectors && !w->unit_done; i++) {
        uint32_t v = w->reverse ? n_vectors - 1 - i : i, n = rows != NULL ? c->counts[v] : 0;
        if (rows != NULL && w->reverse) rows -= n;
        if (rows == NULL || n != 0) TRY(push_vector(s, w, all, v * VEC_ROWS, rows, n));
        if (rows != NULL && !w->reverse) rows += n;
    }
    return OK;
}

static enum err chosen_new(struct worker *w, const struct batch *all, struct chosen *c)
{
    *c = (struct chosen){0};
    c->rows = arena_array(&w->unit.a, uint32_t, all->n_rows);
    c->counts = arena_array(&w->unit.a, uint32_t, all->n_rows / VEC_ROWS + 1);
    return c->rows != NULL && c->counts != NULL ? OK : query_full(w->q, &w->d);
}

/* The rows that meet the conditions. */
static enum err find_rows(const struct scan *s, struct worker *w, const struct batch *all,
                          struct chosen *c)
{
    TRY(chosen_new(w, all, c));
    for (uint32_t from = 0, v = 0; from < all->n_rows; from += VEC_ROWS, v++) {
        TRY(worker_next(w, from));
        struct batch slice;
        TRY(batch_slice(&w->scratch.a, all, from, vector_rows(all, from), &slice, &w->d));
        TRY(conditions_apply(w, s->conditions, &slice, c->rows + c->n, &c->counts[v]));
        c->n += c->counts[v];
    }
    return OK;
}

static enum err scan_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct scan *s = (const struct scan *)l;
    struct batch all;
    struct chosen c = {0};
    TRY(batch_of_unit(s, w, unit, &all));
    TRY(read_places(s, w, unit, s->first, s->n_first, &all));
    if (s->conditions == NULL) return push_unit(s, w, &all, &c);
    TRY(find_rows(s, w, &all, &c));
    if (c.n == 0) return OK;
    TRY(read_places(s, w, unit, s->rest, s->n_rest, &all));
    return push_unit(s, w, &all, &c);
}

/* --- some rows only --------------------------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* These rows have met the conditions already. */
static enum err picked_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct scan *s = (const struct scan *)l;
    struct batch all;
    struct chosen c;
    uint64_t at = 0;
    while (at < s->n_picked && s->picked[at] >> 32 < unit)
        at++;
    if (at == s->n_picked || s->picked[at] >> 32 != unit) return OK;
    TRY(batch_of_unit(s, w, unit, &all));
    TRY(chosen_new(w, &all, &c));
    for (; at < s->n_picked && s->picked[at] >> 32 == unit; at++) {
        uint32_t row = (uint32_t)s->picked[at];
        c.rows[c.n++] = row % VEC_ROWS;
        c.counts[row / VEC_ROWS]++;
    }
    TRY(read_places(s, w, unit, s->first, s->n_first, &all));
    TRY(read_places(s, w, unit, s->rest, s->n_rest, &all));
    return push_unit(s, w, &all, &c);
}

enum err scan_pick(struct query *q, struct scan *s, const uint64_t *places, uint64_t n,
                   struct diag *d)
{
    s->picked = arena_array(&q->mem.a, uint64_t, n);
    if (s->picked == NULL) return query_full(q, d);
    if (n != 0) memcpy(s->picked, places, n * sizeof *places);
    qsort(s->picked, n, sizeof *places, by_place);
    s->n_picked = n;
    s->leg.run = picked_run;
    return OK;
}

/* --- opening
 * -------------------------------------------------------------------------------------- */

static void scan_close(struct leg *l, struct query *q)
{
    struct scan *s = (struct scan *)l;
    (void)q;
    if (s->handle != NULL && !s->lent) s->source->close(s->handle);
}

/* The place of a column in the list of opened ones: a new one, or the lender's. */
static uint32_t place_of(struct scan *s, uint32_t col)
{
    uint32_t place = 0;
    while (place < s->n_opened && s->cols[place] != col)
        place++;
    if (place == s->n_opened) s->cols[s->n_opened++] = col;
    return place;
}

/* Sorts op's columns into those read first and the rest. */
static void plan_columns(struct scan *s)
{
    for (uint32_t i = 0; i < s->op->schema.n; i++) {
        bool of_conditions = s->conditions != NULL && s->conditions->columns[i];
        if (!s->needed[i] && !of_conditions) continue;
        if (s->conditions == NULL || of_conditions)
            s->first[s->n_first++] = place_of(s, i);
        else
            s->rest[s->n_rest++] = place_of(s, i);
    }
}

static enum err scan_open(struct scan *s, struct query *q, struct diag *d)
{
    uint32_t *sources = arena_array(&q->mem.a, uint32_t, s->n_opened), n_hints = 0;
    struct scan_hint *hints = NULL;
    if (sources == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < s->n_opened; i++)
        sources[i] = s->op->table.columns[s->cols[i]];
    if (s->conditions != NULL) TRY(hints_of(q, s->op, s->conditions, &hints, &n_hints, d));
    TRY(s->source->open(s->op->table.table, sources, s->n_opened, hints, n_hints, &s->handle,
                        &s->leg.n_units, d));
    q->units_total += s->leg.n_units;
    return OK;
}

enum err scan_leg(struct pipeline *p, const struct op *op, const struct conditions *c,
                  const bool *needed, const struct stage *next, struct diag *d)
{
    struct arena *a = &p->q->mem.a;
    uint32_t n_cols = op->schema.n;
    struct scan *s = arena_new(a, struct scan);
    if (s == NULL) return query_full(p->q, d);
    *s = (struct scan){.op = op, .source = p->q->r->source, .conditions = c, .needed = needed};
    s->leg = (struct leg){.run = scan_run, .close = scan_close, .first = next};
    s->first = arena_array(a, uint32_t, n_cols);
    s->rest = arena_array(a, uint32_t, n_cols);
    s->cols = arena_array(a, uint32_t, n_cols);
    if (s->first == NULL || s->rest == NULL || s->cols == NULL) return query_full(p->q, d);
    const struct scan *from = p->lender;
    if (from != NULL) {
        memcpy(s->cols, from->cols, from->n_opened * sizeof *s->cols);
        s->n_opened = from->n_opened;
        s->lent = true;
        s->handle = from->handle;
        s->leg.n_units = from->leg.n_units;
    }
    plan_columns(s);
    if (from == NULL) TRY(scan_open(s, p->q, d));
    p->scan = s;
    pipeline_add(p, &s->leg);
    return OK;
}
