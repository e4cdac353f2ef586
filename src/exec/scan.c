/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/scan.c - reads a table: the columns of the conditions first, the others only for units in
 * which some row is left
 */
#include "exec/hint.h"
#include "exec/run.h"

struct scan {
    struct leg leg;
    const struct op *op;
    const struct source_ops *source;
    void *handle;
    const struct conditions *conditions; /* NULL: none */
    const bool *needed;                  /* by the stages above */
    uint32_t n_first, n_rest;            /* places in the list of opened columns ... */
    uint32_t *first, *rest;              /* ... of the conditions, and of what else is needed */
    uint32_t *cols;                      /* place -> column of op's schema */
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

/* Hands the unit to the next stage, vector by vector. rows: the survivors, ascending, or NULL for
 * all; counts[v] of them are in vector v. */
static enum err push_unit(const struct scan *s, struct worker *w, const struct batch *all,
                          const uint32_t *rows, const uint32_t *counts)
{
    for (uint32_t from = 0, v = 0; from < all->n_rows && !w->unit_done; from += VEC_ROWS, v++) {
        uint32_t n = all->n_rows - from < VEC_ROWS ? all->n_rows - from : VEC_ROWS;
        const uint32_t *mine = rows;
        if (rows != NULL) {
            rows += counts[v];
            if (counts[v] == 0) continue;
        }
        TRY(query_check(w->q, &w->d));
        mem_clear(w->q, &w->scratch);
        struct batch slice, left;
        TRY(batch_slice(&w->scratch.a, all, from, n, &slice, &w->d));
        if (rows == NULL || counts[v] == n) {
            TRY(stage_push(s->leg.first, w, &slice));
            continue;
        }
        TRY(batch_select(&w->scratch.a, &slice, s->needed, mine, counts[v], &left, &w->d));
        TRY(stage_push(s->leg.first, w, &left));
    }
    return OK;
}

/* The rows of each vector that meet the conditions, as indexes into the vector. */
static enum err find_rows(const struct scan *s, struct worker *w, const struct batch *all,
                          uint32_t *rows, uint32_t *counts, uint32_t *n_found)
{
    *n_found = 0;
    for (uint32_t from = 0, v = 0; from < all->n_rows; from += VEC_ROWS, v++) {
        uint32_t n = all->n_rows - from < VEC_ROWS ? all->n_rows - from : VEC_ROWS;
        TRY(query_check(w->q, &w->d));
        mem_clear(w->q, &w->scratch);
        struct batch slice;
        TRY(batch_slice(&w->scratch.a, all, from, n, &slice, &w->d));
        TRY(conditions_apply(w, s->conditions, &slice, rows + *n_found, &counts[v]));
        *n_found += counts[v];
    }
    return OK;
}

static enum err scan_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct scan *s = (const struct scan *)l;
    struct batch all;
    TRY(batch_of_unit(s, w, unit, &all));
    TRY(read_places(s, w, unit, s->first, s->n_first, &all));
    if (s->conditions == NULL) return push_unit(s, w, &all, NULL, NULL);

    uint32_t n_found;
    uint32_t *rows = arena_array(&w->unit.a, uint32_t, all.n_rows);
    uint32_t *counts = arena_array(&w->unit.a, uint32_t, all.n_rows / VEC_ROWS + 1);
    if (rows == NULL || counts == NULL) return query_full(w->q, &w->d);
    TRY(find_rows(s, w, &all, rows, counts, &n_found));
    if (n_found == 0) return OK;
    TRY(read_places(s, w, unit, s->rest, s->n_rest, &all));
    return push_unit(s, w, &all, rows, counts);
}

static void scan_close(struct leg *l, struct query *q)
{
    struct scan *s = (struct scan *)l;
    (void)q;
    if (s->handle != NULL) s->source->close(s->handle);
}

/* Sorts op's columns into those read first and the rest; returns how many there are. */
static uint32_t plan_columns(struct scan *s, uint32_t *sources)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->op->schema.n; i++) {
        bool early = s->conditions == NULL || s->conditions->columns[i];
        if (!s->needed[i] && (s->conditions == NULL || !early)) continue;
        sources[n] = s->op->table.columns[i];
        s->cols[n] = i;
        if (early)
            s->first[s->n_first++] = n;
        else
            s->rest[s->n_rest++] = n;
        n++;
    }
    return n;
}

enum err scan_leg(struct pipeline *p, const struct op *op, const struct conditions *c,
                  const bool *needed, const struct stage *next, struct diag *d)
{
    struct query *q = p->q;
    struct arena *a = &q->mem.a;
    uint32_t n_cols = op->schema.n;
    struct scan *s = arena_new(a, struct scan);
    uint32_t *sources = arena_array(a, uint32_t, n_cols);
    if (s == NULL || sources == NULL) return query_full(q, d);
    *s = (struct scan){.op = op, .source = q->r->source, .conditions = c, .needed = needed};
    s->leg = (struct leg){.run = scan_run, .close = scan_close, .first = next};
    s->first = arena_array(a, uint32_t, n_cols);
    s->rest = arena_array(a, uint32_t, n_cols);
    s->cols = arena_array(a, uint32_t, n_cols);
    if (s->first == NULL || s->rest == NULL || s->cols == NULL) return query_full(q, d);
    uint32_t n = plan_columns(s, sources);

    struct scan_hint *hints = NULL;
    uint32_t n_hints = 0;
    if (c != NULL) TRY(hints_of(q, op, c, &hints, &n_hints, d));
    TRY(s->source->open(op->table.table, sources, n, hints, n_hints, &s->handle, &s->leg.n_units,
                        d));
    q->units_total += s->leg.n_units;
    pipeline_add(p, &s->leg);
    return OK;
}
