/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/sort.c - sort, and top: the rows with their normalised keys
 *
 * top keeps at most twice the rows it wants: when a worker's buffer is full the best are copied
 * over to a new one, and from then on a row that is not better than the worst of them is not copied
 * at all.
 *
 * Where memory is short a worker writes what it has as a sorted run and begins anew; in the end all
 * runs are merged (sort_spill.h).
 */
#include "exec/key.h"
#include "exec/sort_spill.h"

struct run { /* one worker's rows */
    struct mem mem;
    struct rowbuf rows;
    struct row_ref *refs; /* sorted, from finish on */
    uint64_t n_refs;
    struct sorted_runs spilled;
    uint64_t place; /* of the next row: the unit, then the row in it */
    struct bytes
        worst; /* top: the key of the last row that still counts; p NULL before that is known */
    enum err err;
};

struct sorter {
    struct sink sink;
    struct query *q;
    const struct op *op;
    const bool *needed;
    uint32_t n_keys;
    const struct sort_key *keys;
    struct key_order *orders;
    uint64_t top;     /* UINT64_MAX: sort */
    bool late;        /* places are exact, columns are not kept */
    struct run *runs; /* per worker */
    bool taken;
};

static enum err refs_of(struct run *r, struct query *q, struct row_ref **tmp, struct diag *d)
{
    r->n_refs = r->rows.n_rows;
    r->refs = arena_array(&r->mem.a, struct row_ref, r->n_refs);
    *tmp = arena_array(&r->mem.a, struct row_ref, r->n_refs);
    if (r->refs == NULL || *tmp == NULL) return query_full(q, d);
    rowbuf_refs(&r->rows, r->refs);
    refs_sort(r->refs, *tmp, r->n_refs);
    return OK;
}

/* Copies the best `top` rows of the run to a buffer of its own and forgets the rest. */
static enum err shrink(struct sorter *s, struct run *r, struct diag *d)
{
    struct row_ref *tmp;
    TRY(refs_of(r, s->q, &tmp, d));
    struct mem mem;
    struct rowbuf rows;
    mem_open(s->q, &mem);
    rowbuf_init(&rows, s->q, &mem, &s->op->schema, s->needed, true);
    enum err e = refs_copy(&rows, r->refs, s->top, d);
    if (e != OK) {
        mem_close(s->q, &mem);
        return e;
    }
    struct bytes worst = r->refs[s->top - 1].chunk->keys[r->refs[s->top - 1].row];
    worst = arena_bytes(&mem.a, worst);
    mem_close(s->q, &r->mem);
    *r = (struct run){
        .mem = mem, .rows = rows, .worst = worst, .place = r->place, .spilled = r->spilled};
    r->rows.m = &r->mem;
    return worst.p != NULL ? OK : query_full(s->q, d);
}

/* --- giving memory up -------------------------------------------------------------------------- */

/* What it takes to sort n rows and to hand them out, beside the rows: references, room to merge
 * them, columns. */
static size_t sorting_takes(const struct sorter *s, uint64_t n)
{
    size_t row = (3 + s->q->n_workers / 2) * sizeof(struct row_ref);
    for (uint32_t i = 0; i < s->op->schema.n; i++) {
        if (s->needed[i]) row += type_width(s->op->schema.cols[i].type);
    }
    return row * n;
}

static enum err write_run(struct sorter *s, struct run *r, struct diag *d)
{
    struct row_ref *tmp;
    struct mem block;
    struct query *q = s->q;
    if (r->rows.n_rows == 0) return OK;
    mem_settle(q, &r->mem);
    TRY(refs_of(r, q, &tmp, d));
    mem_settle(q, &r->mem);
    mem_open(q, &block);
    uint64_t n = r->n_refs < s->top ? r->n_refs : s->top;
    enum err e = sorted_runs_add(q, &r->spilled, &r->rows, r->refs, n, &block, d);
    mem_close(q, &block);
    TRY(e);
    mem_clear(q, &r->mem);
    rowbuf_init(&r->rows, q, &r->mem, &s->op->schema, s->needed, true);
    r->worst = (struct bytes){0}; /* it lay there too */
    r->refs = NULL;
    r->n_refs = 0;
    return OK;
}

/* Is it time to? The share of this worker must make a difference. */
static bool must_write(const struct sorter *s, const struct run *r)
{
    size_t own = r->mem.charged, sorting = s->q->n_workers * sorting_takes(s, r->rows.n_rows);
    if (s->q->r->spill == NULL || s->late || own < spill_share(s->q) / 4) return false;
    return mem_short(s->q, 0) || query_memory(s->q) + sorting > s->q->limits.memory_max / 4 * 3;
}

struct keyed { /* a vector's rows that matter, with their keys */
    uint32_t n, *rows;
    struct bytes *keys; /* by row of the vector */
};

/* Where each row came: by unit, vector, and a count of the rows that the vector became (a vector
 * can become more rows than it had); or, for late.c, exactly which row of the unit it is. */
static void set_places(const struct sorter *s, struct worker *w, const uint32_t *rows, uint32_t n,
                       uint32_t n_all, uint64_t *places)
{
    struct run *r = &s->runs[w->slot];
    uint64_t vector = (uint64_t)w->unit_no << 40 | (uint64_t)(w->vector / VEC_ROWS) << 32;
    if (r->place >> 32 != vector >> 32) r->place = vector;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = w->row_ids != NULL ? w->row_ids[rows[i]] : rows[i];
        places[i] = s->late ? (uint64_t)w->unit_no << 32 | (w->vector + row) : r->place + rows[i];
    }
    r->place += n_all;
}

/* Rows that may come before the worst that is kept, with their keys. */
static enum err keys_of(const struct sorter *s, struct worker *w, const struct batch *in,
                        struct keyed *out)
{
    struct arena *a = &w->scratch.a;
    struct vec *parts = arena_array(a, struct vec, s->n_keys);
    *out = (struct keyed){.rows = arena_array(a, uint32_t, in->n_rows)};
    if (parts == NULL || out->rows == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < s->n_keys; i++)
        TRY(eval(w, s->keys[i].expr, in, &parts[i]));
    struct bytes worst = s->runs[w->slot].worst;
    out->n = sort_candidates(&parts[0], s->orders[0], worst, out->rows);
    if (out->n == 0) {
        set_places(s, w, out->rows, 0, in->n_rows, NULL);
        return OK; /* most vectors of a top: they cost no more than that look */
    }
    uint64_t *places = arena_array(a, uint64_t, out->n);
    struct bytes *keys = arena_array(a, struct bytes, out->n);
    out->keys = arena_array(a, struct bytes, in->n_rows);
    if (places == NULL || keys == NULL || out->keys == NULL) return query_full(w->q, &w->d);
    set_places(s, w, out->rows, out->n, in->n_rows, places);
    TRY(sort_keys(a, parts, s->orders, s->n_keys, out->rows, out->n, places, keys, &w->d));
    for (uint32_t i = 0; i < out->n; i++)
        out->keys[out->rows[i]] = keys[i];
    return OK;
}

static enum err sort_push(const struct stage *stage, struct worker *w, const struct batch *in)
{
    struct sorter *s = (struct sorter *)stage;
    struct run *r = &s->runs[w->slot];
    struct keyed k;
    TRY(keys_of(s, w, in, &k));
    mem_settle_sink(w, &r->mem);
    TRY(rowbuf_append(&r->rows, in, k.rows, k.n, w->unit_no, k.keys, &w->d));
    return must_write(s, r) ? write_run(s, r, &w->d) : OK;
}

static enum err top_push(const struct stage *stage, struct worker *w, const struct batch *in)
{
    struct sorter *s = (struct sorter *)stage;
    struct run *r = &s->runs[w->slot];
    struct keyed k;
    if (s->top == 0) return OK;
    TRY(keys_of(s, w, in, &k));
    uint32_t n = 0;
    for (uint32_t i = 0; i < k.n; i++) {
        uint32_t row = k.rows[i];
        k.rows[n] = row;
        n += r->worst.p == NULL || bytes_cmp(k.keys[row], r->worst) < 0;
    }
    mem_settle_sink(w, &r->mem);
    TRY(rowbuf_append(&r->rows, in, k.rows, n, w->unit_no, k.keys, &w->d));
    if (r->rows.n_rows / 2 >= s->top && r->rows.n_rows >= VEC_ROWS) return shrink(s, r, &w->d);
    return must_write(s, r) ? write_run(s, r, &w->d) : OK;
}

/* --- finish: each run sorted by a worker, then merged two by two ----------------------------- */

static void sort_run(void *arg, unsigned i)
{
    struct sorter *s = arg;
    struct row_ref *tmp;
    mem_settle(s->q, &s->runs[i].mem);
    s->runs[i].err = refs_of(&s->runs[i], s->q, &tmp, NULL);
}

static enum err merge_runs(struct sorter *s, struct arena *a, struct row_ref **refs, uint64_t *n,
                           struct diag *d)
{
    *refs = s->runs[0].refs;
    *n = s->runs[0].n_refs;
    for (unsigned i = 1; i < s->q->n_workers; i++) {
        const struct run *r = &s->runs[i];
        if (r->n_refs == 0) continue;
        struct row_ref *both = arena_array(a, struct row_ref, *n + r->n_refs);
        if (both == NULL) return query_full(s->q, d);
        refs_merge(*refs, *n, r->refs, r->n_refs, both);
        *refs = both;
        *n += r->n_refs;
    }
    return OK;
}

/* All rows in order, no more than `top`. */
static enum err sort_all(struct sorter *s, struct row_ref **refs, uint64_t *n, struct diag *d)
{
    struct query *q = s->q;
    unsigned n_workers = q->n_workers;
    if (q->r->pool != NULL)
        pool_each(q->r->pool, n_workers, sort_run, s);
    else
        for (unsigned i = 0; i < n_workers; i++)
            sort_run(s, i);
    for (unsigned i = 0; i < n_workers; i++) {
        if (s->runs[i].err != OK) return query_full(q, d);
    }
    mem_settle(q, &s->runs[0].mem);
    TRY(merge_runs(s, &s->runs[0].mem.a, refs, n, d));
    if (*n > s->top) *n = s->top;
    return OK;
}

/* The rows do not fit: those that are left become runs like the others. */
static enum err finish_spilled(struct sorter *s, struct relation *out, struct diag *d)
{
    struct query *q = s->q;
    struct sorted_runs all = {0};
    for (unsigned i = 0; i < q->n_workers; i++)
        TRY(write_run(s, &s->runs[i], d));
    for (unsigned i = 0; i < q->n_workers; i++)
        sorted_runs_join(&all, &s->runs[i].spilled);
    return sorted_runs_merge(q, &all, &s->runs[0].rows, s->top, out, d);
}

static bool must_spill(const struct sorter *s)
{
    uint64_t rows = 0;
    for (unsigned i = 0; i < s->q->n_workers; i++) {
        if (s->runs[i].spilled.n != 0) return true;
        rows += s->runs[i].rows.n_rows;
    }
    return s->q->r->spill != NULL &&
           query_memory(s->q) + sorting_takes(s, rows) > s->q->limits.memory_max / 8 * 7;
}

static enum err sort_finish(struct sink *sink, struct relation *out, struct diag *d)
{
    struct sorter *s = (struct sorter *)sink;
    struct query *q = s->q;
    unsigned n_workers = q->n_workers;
    if (must_spill(s)) return finish_spilled(s, out, d);
    struct mem *first = &s->runs[0].mem;
    struct row_ref *refs;
    uint64_t n;
    TRY(sort_all(s, &refs, &n, d));
    struct relation r = {.n_mems = n_workers};
    r.mems = arena_array(&q->mem.a, struct mem, n_workers);
    if (r.mems == NULL) return query_full(q, d);
    TRY(refs_relation(&s->runs[0].rows, refs, n, &first->a, &r, d));
    mem_settle(q, first);
    for (unsigned i = 0; i < n_workers; i++)
        r.mems[i] = s->runs[i].mem;
    s->taken = true;
    *out = r;
    return OK;
}

static void sort_close(struct sink *sink)
{
    struct sorter *s = (struct sorter *)sink;
    for (unsigned i = 0; !s->taken && i < s->q->n_workers; i++) {
        mem_close(s->q, &s->runs[i].mem);
        sorted_runs_close(s->q, &s->runs[i].spilled);
    }
}

static enum err sorter_new(struct query *q, const struct op *op, const struct sort_key *keys,
                           uint32_t n_keys, const bool *needed, struct sorter **out, struct diag *d)
{
    struct arena *a = &q->mem.a;
    struct sorter *s = arena_new(a, struct sorter);
    if (s == NULL) return query_full(q, d);
    *s = (struct sorter){
        .q = q,
        .op = op,
        .needed = needed,
        .n_keys = n_keys,
        .keys = keys,
        .top = UINT64_MAX,
        .sink = {.stage = {sort_push, NULL}, .finish = sort_finish, .close = sort_close}};
    s->orders = arena_array(a, struct key_order, n_keys);
    s->runs = arena_array(a, struct run, q->n_workers);
    if (s->orders == NULL || s->runs == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n_keys; i++) {
        s->orders[i] = (struct key_order){keys[i].descending, keys[i].nulls_first};
    }
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &s->runs[i].mem);
        rowbuf_init(&s->runs[i].rows, q, &s->runs[i].mem, &op->schema, needed, true);
    }
    *out = s;
    return OK;
}

enum err sort_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                   struct diag *d)
{
    struct sorter *s;
    TRY(sorter_new(q, op, op->sort.keys, op->sort.n_keys, needed, &s, d));
    *out = &s->sink;
    return OK;
}

enum err top_sink(struct query *q, const struct op *op, const struct sort_key *keys,
                  uint32_t n_keys, const struct expr *count, const bool *needed, struct sink **out,
                  struct diag *d)
{
    uint64_t n;
    TRY(eval_count(q, count, "top", &n, d));
    struct sorter *s;
    TRY(sorter_new(q, op, keys, n_keys, needed, &s, d));
    s->sink.stage.push = top_push;
    s->top = n;
    *out = &s->sink;
    return OK;
}

enum err places_sink(struct query *q, const struct op *op, const struct sort_key *keys,
                     uint32_t n_keys, const struct expr *count, struct sink **out, struct diag *d)
{
    bool *none = arena_array(&q->mem.a, bool, op->schema.n);
    if (none == NULL) return query_full(q, d);
    TRY(top_sink(q, op, keys, n_keys, count, none, out, d));
    ((struct sorter *)*out)->late = true;
    return OK;
}

enum err places_of(struct sink *sink, const uint64_t **out, uint64_t *n, struct diag *d)
{
    struct sorter *s = (struct sorter *)sink;
    struct row_ref *refs;
    TRY(sort_all(s, &refs, n, d));
    uint64_t *places = arena_array(&s->q->mem.a, uint64_t, *n);
    if (places == NULL) return query_full(s->q, d);
    for (uint64_t i = 0; i < *n; i++)
        places[i] = sort_key_place(refs[i].chunk->keys[refs[i].row]);
    *out = places;
    return OK;
}
