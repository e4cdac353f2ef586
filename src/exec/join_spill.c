/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/join_spill.c - a join whose table does not fit into memory
 *
 * The rows of the table leave memory in parts by the hash of their key, and so do all rows of the
 * other side: rows that can meet are in parts of one number. A part's table is made of as many of
 * its rows as fit; where they are more (one key can have them all) the part's other side streams
 * through piece after piece, and a bit per row remembers who has found a partner.
 *
 * A batch of either side has the side's columns and, as one more, the keys.
 */
#include "exec/join.h"

struct side {
    struct schema schema; /* with the key */
    bool *needed;
    struct parts *of; /* per worker; opened with its first row */
};

struct join_spill {
    _Atomic bool on;
    struct side table, stream;
};

static enum err side_init(struct join *j, bool table, struct side *s, struct diag *d)
{
    struct arena *a = &j->q->mem.a;
    const struct schema *own = &join_side(j, table)->schema;
    const bool *needed = table ? j->table_needed : j->stream_needed;
    struct column *cols = arena_array(a, struct column, own->n + 1);
    s->needed = arena_array(a, bool, own->n + 1);
    s->of = arena_array(a, struct parts, j->q->n_workers);
    if (cols == NULL || s->needed == NULL || s->of == NULL) return query_full(j->q, d);
    for (uint32_t i = 0; i < own->n; i++) {
        cols[i] = own->cols[i];
        s->needed[i] = needed[i];
    }
    cols[own->n] = (struct column){"", T_STRING};
    s->needed[own->n] = true;
    s->schema = (struct schema){own->n + 1, cols};
    return OK;
}

enum err join_spill_new(struct join *j, struct diag *d)
{
    if (j->q->r->spill == NULL) return OK;
    struct join_spill *s = arena_new(&j->q->mem.a, struct join_spill);
    if (s == NULL) return query_full(j->q, d);
    TRY(side_init(j, true, &s->table, d));
    TRY(side_init(j, false, &s->stream, d));
    j->spill = s;
    return OK;
}

void join_spill_close(struct join *j)
{
    for (unsigned i = 0; j->spill != NULL && i < j->q->n_workers; i++) {
        parts_close(&j->spill->table.of[i]);
        parts_close(&j->spill->stream.of[i]);
    }
}

bool join_spilled(const struct join *j)
{
    return j->spill != NULL && atomic_load(&j->spill->on);
}

/* --- rows go ---------------------------------------------------------------------------------- */

static enum err let_out(const struct join *j, struct side *s, struct worker *w,
                        const struct batch *in, const struct bytes *keys, uint32_t unit)
{
    struct arena *a = &w->scratch.a;
    struct parts *p = &s->of[w->slot];
    if (p->q == NULL) parts_open(p, j->q, &s->schema, s->needed, 0);
    struct vec *cols = arena_array(a, struct vec, s->schema.n);
    uint64_t *hashes = arena_array(a, uint64_t, in->n_rows);
    if (cols == NULL || hashes == NULL) return query_full(j->q, &w->d);
    if (in->n_cols != 0) memcpy(cols, in->cols, in->n_cols * sizeof *cols);
    cols[in->n_cols] = (struct vec){.type = T_STRING, .n = in->n_rows, .data = keys};
    for (uint32_t i = 0; i < in->n_rows; i++)
        hashes[i] = join_hash(j->q, keys[i]);
    struct batch b = {.n_rows = in->n_rows, .n_cols = s->schema.n, .cols = cols};
    return parts_add(p, &b, hashes, unit, a, &w->d);
}

/* All that the worker has of the table. */
static enum err empty_table(struct join *j, struct worker *w)
{
    struct rowbuf *rows = &j->rows[w->slot];
    struct arena_mark mark = arena_mark(&w->scratch.a);
    for (const struct chunk *c = rows->first; c != NULL; c = c->next) {
        struct batch b;
        TRY(rowbuf_batch(rows, c, &w->scratch.a, &b, &w->d));
        TRY(let_out(j, &j->spill->table, w, &b, c->keys, c->unit));
        arena_rewind(&w->scratch.a, mark);
    }
    mem_clear(j->q, &j->mems[w->slot]);
    rowbuf_init(rows, j->q, &j->mems[w->slot], &join_side(j, true)->schema, j->table_needed, true);
    return OK;
}

#define ENTRY_COST (sizeof(struct entry) + 2 * sizeof(uint32_t)) /* of a row, beside the row */

enum err join_spill_check(struct join *j, struct worker *w)
{
    struct query *q = j->q;
    if (j->spill == NULL) return OK;
    if (j->spill->table.of[w->slot].q == NULL) {
        size_t table = q->n_workers * ENTRY_COST * j->rows[w->slot].n_rows;
        bool fits = !mem_short(q, 0) && query_memory(q) + table < q->limits.memory_max / 2;
        if (fits || j->mems[w->slot].charged < spill_share(q) / 4) return OK;
        atomic_store(&j->spill->on, true);
    }
    return empty_table(j, w);
}

enum err join_spill_rest(struct join *j, struct diag *d)
{
    for (unsigned i = 0; i < j->q->n_workers; i++) {
        struct worker *w = &j->q->workers[i];
        diag_reset(&w->d);
        TRY(worker_result(w, empty_table(j, w), d));
    }
    return OK;
}

enum err join_spill_stream(const struct join *j, struct worker *w, const struct batch *in,
                           const struct bytes *keys)
{
    return let_out(j, &j->spill->stream, w, in, keys, w->unit_no);
}

/* --- and come back ---------------------------------------------------------------------------- */

struct part_join {
    const struct join *j;
    struct worker *w;
    struct part_rows *table, *stream;
    uint32_t n_table, n_stream, at; /* at: the table's next batch */
    uint64_t **seen;                /* per batch of the stream */
};

/* The columns without the key, and the keys. */
static enum err read_rows(struct worker *w, const struct part_rows *from, struct batch *out,
                          struct bytes **keys)
{
    struct arena *a = &w->scratch.a;
    TRY(worker_next(w, 0));
    TRY(part_read(w->q, from, a, out, &w->d));
    *keys = arena_array(a, struct bytes, out->n_rows);
    if (*keys == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < out->n_rows; i++)
        (*keys)[i] = vec_str(&out->cols[out->n_cols - 1], i);
    out->n_cols--;
    return OK;
}

/* As many rows of the table as may be in memory, and at least a batch. */
static enum err read_piece(struct part_join *p, struct rowbuf *rows)
{
    const struct query *q = p->w->q;
    size_t max = q->limits.memory_max / 4 / q->n_workers;
    for (; p->at < p->n_table; p->at++) {
        struct batch b;
        struct bytes *keys;
        if (rows->n_rows != 0 && rows->m->charged + rows->n_rows * ENTRY_COST > max) return OK;
        TRY(read_rows(p->w, &p->table[p->at], &b, &keys));
        TRY(rowbuf_append(rows, &b, NULL, b.n_rows, p->table[p->at].unit, keys, &p->w->d));
    }
    return OK;
}

static enum err join_piece(struct part_join *p, struct mem *m)
{
    const struct join *j = p->j;
    struct worker *w = p->w;
    struct rowbuf rows;
    struct join_table t = {.q = j->q, .unique = j->table.unique};
    bool full = j->op->join.kind == JOIN_FULL_OUTER;
    rowbuf_init(&rows, j->q, m, &join_side(j, true)->schema, j->table_needed, true);
    TRY(read_piece(p, &rows));
    TRY(join_table_make(&t, &rows, 1, full, m, &w->d));
    for (uint32_t i = 0; i < p->n_stream && !w->unit_done; i++) {
        struct batch b;
        struct bytes *keys;
        struct probe_part part = {.seen = p->seen[i], .last = p->at == p->n_table};
        TRY(read_rows(w, &p->stream[i], &b, &keys));
        TRY(join_probe(j, &t, w, &b, keys, &part));
    }
    return full ? join_unmatched(j, &t, w, 0, t.n_entries) : OK;
}

static enum err list_side(const struct join *j, const struct side *s, uint32_t part,
                          struct arena *a, struct part_rows **out, uint32_t *n, struct diag *d)
{
    struct parts *of[WORKERS_MAX];
    unsigned k = 0;
    for (unsigned i = 0; i < j->q->n_workers; i++) {
        if (s->of[i].q != NULL) of[k++] = &s->of[i];
    }
    return parts_list(of, k, part, a, out, n, d);
}

static enum err join_pieces(struct part_join *p)
{
    do {
        struct mem m;
        mem_open(p->w->q, &m);
        enum err e = join_piece(p, &m);
        mem_close(p->w->q, &m);
        TRY(e);
    } while (p->at < p->n_table && !p->w->unit_done);
    return OK;
}

enum err join_spill_part(const struct join *j, struct worker *w, uint32_t unit)
{
    struct part_join p = {.j = j, .w = w};
    struct arena *a = &w->unit.a;
    TRY(list_side(j, &j->spill->table, unit, a, &p.table, &p.n_table, &w->d));
    TRY(list_side(j, &j->spill->stream, unit, a, &p.stream, &p.n_stream, &w->d));
    p.seen = arena_array(a, uint64_t *, p.n_stream);
    if (p.seen == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < p.n_stream; i++) {
        p.seen[i] = arena_array(a, uint64_t, BIT_WORDS(p.stream[i].n_rows));
        if (p.seen[i] == NULL) return query_full(w->q, &w->d);
    }
    mem_settle(w->q, &w->unit);
    bool only_matches = j->op->join.kind != JOIN_FULL_OUTER;
    return p.n_stream == 0 && only_matches ? OK : join_pieces(&p);
}
