/* SPDX-License-Identifier: Apache-2.0 */
/* exec/join_probe.c - rows that stream through a join's table, and the pairs that they become */
#include "exec/join.h"

struct pairs { /* rows of the result under way: a row that streams and an entry + 1, 0 = none */
    uint32_t n;
    uint32_t rows[VEC_ROWS], hits[VEC_ROWS];
};

static enum err table_column(const struct join_table *table, struct arena *a, enum type t,
                             uint32_t col, const uint32_t *hits, uint32_t n, struct vec *out)
{
    struct row_ref *refs = arena_array(a, struct row_ref, n);
    if (refs == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < n; i++) {
        if (hits[i] == 0) continue;
        const struct entry *e = &table->entries[hits[i] - 1];
        refs[i] = (struct row_ref){.chunk = e->chunk, .row = e->row};
    }
    return refs_gather(t, col, refs, n, a, out) ? OK : ERR_LIMIT;
}

/* Where result column i comes from: the left side's column, or the right's. */
bool join_from_left(const struct op *op, uint32_t i, uint32_t *col)
{
    bool right_only = op->join.kind == JOIN_RIGHT_SEMI || op->join.kind == JOIN_RIGHT_ANTI;
    uint32_t n_left = right_only ? 0 : op->input->schema.n;
    *col = i < n_left ? i : op->join.right_columns[i - n_left];
    return i < n_left;
}

/* in is NULL for rows that only the table has. */
static enum err emit(const struct join *j, const struct join_table *table, struct worker *w,
                     const struct batch *in, const struct pairs *p)
{
    if (p->n == 0) return OK;
    struct arena *a = &w->scratch.a;
    struct arena_mark mark = arena_mark(a);
    uint32_t n_cols = j->op->schema.n;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_cols; i++) {
        enum type t = j->op->schema.cols[i].type;
        uint32_t col;
        bool of_table = join_from_left(j->op, i, &col) == j->left_is_table;
        cols[i] = vec_absent(t, p->n);
        if (!j->needed[i] || (!of_table && in == NULL)) continue;
        enum err e = of_table ? table_column(table, a, t, col, p->hits, p->n, &cols[i])
                              : vec_select(a, &in->cols[col], p->rows, p->n, &cols[i], &w->d);
        if (e != OK) return query_full(w->q, &w->d);
    }
    struct batch out = {.n_rows = p->n, .n_cols = n_cols, .cols = cols};
    const uint32_t *of_table = w->row_ids;
    w->row_ids = NULL; /* these rows are no rows of the table's vector */
    enum err e = stage_push(j->stage.next, w, &out);
    w->row_ids = of_table;
    TRY(e);
    arena_rewind(a, mark); /* a row can have a million partners */
    return OK;
}

static enum err add_pair(const struct join *j, const struct join_table *table, struct worker *w,
                         const struct batch *in, struct pairs *p, uint32_t row, uint32_t hit)
{
    p->rows[p->n] = row;
    p->hits[p->n++] = hit;
    if (p->n < VEC_ROWS) return OK;
    TRY(query_check(w->q, &w->d));
    TRY(emit(j, table, w, in, p));
    p->n = 0;
    return OK;
}

static enum err join_row(const struct join *j, const struct join_table *t, struct worker *w,
                         const struct batch *in, struct bytes key, uint32_t row, struct pairs *p,
                         struct probe_part *part)
{
    uint64_t hash = join_hash(j->q, key);
    uint32_t hit = join_table_find(t, hash, key);
    bool seen = part != NULL && bit_get(part->seen, row);
    bool alone = hit == 0 && !seen && (part == NULL || part->last); /* no partner anywhere */
    if (part != NULL && hit != 0) bit_set(part->seen, row);
    switch (j->op->join.kind) {
    case JOIN_LEFT_SEMI:
    case JOIN_RIGHT_SEMI: return hit != 0 && !seen ? add_pair(j, t, w, in, p, row, 0) : OK;
    case JOIN_LEFT_ANTI:
    case JOIN_RIGHT_ANTI: return alone ? add_pair(j, t, w, in, p, row, 0) : OK;
    case JOIN_INNERUNIQUE:
        if (seen) return OK;
        break;
    case JOIN_INNER: break;
    default:
        if (hit == 0) return alone ? add_pair(j, t, w, in, p, row, 0) : OK;
    }
    for (; hit != 0 && !w->unit_done; hit = join_table_next(t, hit, hash, key)) {
        if (t->matched != NULL)
            atomic_store_explicit(&t->matched[hit - 1], 1, memory_order_relaxed);
        TRY(add_pair(j, t, w, in, p, row, hit));
    }
    return OK;
}

enum err join_probe(const struct join *j, const struct join_table *t, struct worker *w,
                    const struct batch *in, const struct bytes *keys, struct probe_part *part)
{
    struct pairs *p = arena_new(&w->scratch.a, struct pairs);
    if (p == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < in->n_rows && !w->unit_done; i++)
        TRY(join_row(j, t, w, in, keys[i], i, p, part));
    return emit(j, t, w, in, p);
}

enum err join_unmatched(const struct join *j, const struct join_table *t, struct worker *w,
                        uint32_t at, uint32_t end)
{
    TRY(worker_next(w, 0));
    struct pairs *p = arena_new(&w->scratch.a, struct pairs);
    if (p == NULL) return query_full(w->q, &w->d);
    for (; at < end && !w->unit_done; at++) {
        if (!atomic_load_explicit(&t->matched[at], memory_order_relaxed))
            TRY(add_pair(j, t, w, NULL, p, 0, at + 1));
    }
    return emit(j, t, w, NULL, p);
}
