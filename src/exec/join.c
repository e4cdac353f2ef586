/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/join.c - join and lookup: a hash table of one side's rows, through which the other side
 * streams
 *
 * The table is made of the right side, and of the left where every row of the right must come out
 * (rightouter, rightsemi, rightanti) or where the left keeps one row per key (innerunique).
 * fullouter streams the left; what then is left of the right comes last. Nulls match nulls and NaN
 * matches NaN, as group keys have it.
 */
#include "exec/key.h"
#include "exec/rowbuf.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

struct entry { /* a row of the table */
    struct chunk *chunk;
    uint32_t row;
    uint32_t next; /* with the same hash slot; entry + 1, 0 = the last */
    uint64_t hash;
};

struct join {
    struct stage stage; /* of the side that streams */
    struct query *q;
    const struct op *op;
    const bool *needed; /* of the result */
    bool left_is_table;
    struct expr **keys; /* over the streaming side */
    /* The table: */
    struct mem *mems;    /* per worker of its pipeline */
    struct rowbuf *rows; /* per worker */
    struct expr **table_keys;
    const bool *table_needed;
    struct entry *entries;
    uint32_t n_entries, n_slots, *slots; /* entry + 1; n_slots is a power of two */
    _Atomic uint8_t *matched;            /* per entry; fullouter only */
};

static uint64_t hash_of(const struct join *j, struct bytes key)
{
    return XXH3_64bits_withSeed(key.p, key.len, j->q->hash_seed);
}

static enum err keys_of(struct worker *w, struct expr *const *exprs, uint32_t n_keys,
                        const struct batch *in, struct bytes **out)
{
    struct arena *a = &w->scratch.a;
    struct vec *parts = arena_array(a, struct vec, n_keys);
    *out = arena_array(a, struct bytes, in->n_rows);
    if (parts == NULL || *out == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_keys; i++)
        TRY(eval(w, exprs[i], in, &parts[i]));
    return group_keys(a, parts, n_keys, in->n_rows, *out, &w->d);
}

/* --- the table ------------------------------------------------------------------------------- */

struct table_sink {
    struct sink sink;
    struct join *join;
};

static enum err table_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    struct join *j = ((const struct table_sink *)s)->join;
    struct bytes *keys;
    TRY(keys_of(w, j->table_keys, j->op->join.n_keys, in, &keys));
    return rowbuf_append(&j->rows[w->slot], in, NULL, in->n_rows, w->unit_no, keys, &w->d);
}

/* The entry of that key, or 0; entries are chained from the last to the first. */
static uint32_t find(const struct join *j, uint32_t at, uint64_t hash, struct bytes key)
{
    while (at != 0) {
        const struct entry *e = &j->entries[at - 1];
        if (e->hash == hash && bytes_eq(e->chunk->keys[e->row], key)) return at;
        at = e->next;
    }
    return 0;
}

static void add_entry(struct join *j, struct chunk *c, uint32_t row, bool unique)
{
    struct bytes key = c->keys[row];
    uint64_t hash = hash_of(j, key);
    uint32_t *slot = &j->slots[hash & (j->n_slots - 1)];
    if (unique && find(j, *slot, hash, key) != 0) return;
    j->entries[j->n_entries++] =
        (struct entry){.chunk = c, .row = row, .next = *slot, .hash = hash};
    *slot = j->n_entries;
}

static enum err hash_rows(struct join *j, struct diag *d)
{
    struct arena *a = &j->mems[0].a;
    uint64_t n_rows = 0;
    uint32_t n_chunks;
    struct chunk **chunks;
    for (unsigned i = 0; i < j->q->n_workers; i++)
        n_rows += j->rows[i].n_rows;
    if (n_rows >= UINT32_MAX / 2)
        return FAIL(d, ERR_LIMIT, "join: more than 2^31 rows on one side");
    j->n_slots = 64;
    while (j->n_slots < n_rows)
        j->n_slots *= 2;
    mem_settle(j->q, &j->mems[0]);
    TRY(rowbuf_in_order(j->q, j->rows, j->q->n_workers, &chunks, &n_chunks, d));
    j->slots = arena_array(a, uint32_t, j->n_slots);
    j->entries = arena_array(a, struct entry, n_rows);
    if (j->slots == NULL || j->entries == NULL) return query_full(j->q, d);
    /* Last row first: chains then hand rows out in their order. One row per key is the first one.
     */
    bool unique = j->op->join.kind == JOIN_INNERUNIQUE;
    for (uint32_t i = 0; i < n_chunks; i++) {
        struct chunk *c = chunks[unique ? i : n_chunks - 1 - i];
        for (uint32_t k = 0; k < c->n; k++)
            add_entry(j, c, unique ? k : c->n - 1 - k, unique);
    }
    mem_settle(j->q, &j->mems[0]);
    return OK;
}

static void table_close(struct join *j)
{
    for (unsigned i = 0; i < j->q->n_workers; i++)
        mem_close(j->q, &j->mems[i]);
}

/* --- streaming ------------------------------------------------------------------------------- */

struct pairs { /* rows of the result under way: a row that streams and an entry + 1, 0 = none */
    uint32_t n;
    uint32_t rows[VEC_ROWS], hits[VEC_ROWS];
};

static enum err table_column(const struct join *j, struct arena *a, enum type t, uint32_t col,
                             const uint32_t *hits, uint32_t n, struct vec *out)
{
    struct row_ref *refs = arena_array(a, struct row_ref, n);
    if (refs == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < n; i++) {
        if (hits[i] == 0) continue;
        const struct entry *e = &j->entries[hits[i] - 1];
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
static enum err emit(const struct join *j, struct worker *w, const struct batch *in,
                     const struct pairs *p)
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
        enum err e = of_table ? table_column(j, a, t, col, p->hits, p->n, &cols[i])
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

static enum err add_pair(const struct join *j, struct worker *w, const struct batch *in,
                         struct pairs *p, uint32_t row, uint32_t hit)
{
    p->rows[p->n] = row;
    p->hits[p->n++] = hit;
    if (p->n < VEC_ROWS) return OK;
    TRY(query_check(w->q, &w->d));
    TRY(emit(j, w, in, p));
    p->n = 0;
    return OK;
}

static enum err join_row(const struct join *j, struct worker *w, const struct batch *in,
                         struct bytes key, uint32_t row, struct pairs *p)
{
    uint64_t hash = hash_of(j, key);
    uint32_t hit = find(j, j->slots[hash & (j->n_slots - 1)], hash, key);
    switch (j->op->join.kind) {
    case JOIN_LEFT_SEMI:
    case JOIN_RIGHT_SEMI: return hit != 0 ? add_pair(j, w, in, p, row, 0) : OK;
    case JOIN_LEFT_ANTI:
    case JOIN_RIGHT_ANTI: return hit == 0 ? add_pair(j, w, in, p, row, 0) : OK;
    case JOIN_INNER:
    case JOIN_INNERUNIQUE:
        if (hit == 0) return OK;
        break;
    default:
        if (hit == 0) return add_pair(j, w, in, p, row, 0);
    }
    for (; hit != 0 && !w->unit_done; hit = find(j, j->entries[hit - 1].next, hash, key)) {
        if (j->matched != NULL)
            atomic_store_explicit(&j->matched[hit - 1], 1, memory_order_relaxed);
        TRY(add_pair(j, w, in, p, row, hit));
    }
    return OK;
}

static enum err join_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct join *j = (const struct join *)s;
    struct bytes *keys;
    TRY(keys_of(w, j->keys, j->op->join.n_keys, in, &keys));
    struct pairs *p = arena_new(&w->scratch.a, struct pairs);
    if (p == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < in->n_rows && !w->unit_done; i++) {
        TRY(join_row(j, w, in, keys[i], i, p));
    }
    return emit(j, w, in, p);
}

/* --- legs of the pipeline that streams ------------------------------------------------------- */

struct table_leg { /* fullouter: the rows of the table that nobody matched, after all others (2) */
    struct leg leg;
    const struct join *join;
};

static enum err unmatched_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct join *j = ((struct table_leg *)l)->join;
    uint32_t at = unit * UNIT_ROWS_MAX, end = at + UNIT_ROWS_MAX;
    if (end > j->n_entries) end = j->n_entries;
    TRY(worker_next(w, 0));
    struct pairs *p = arena_new(&w->scratch.a, struct pairs);
    if (p == NULL) return query_full(w->q, &w->d);
    for (; at < end && !w->unit_done; at++) {
        if (!atomic_load_explicit(&j->matched[at], memory_order_relaxed)) {
            TRY(add_pair(j, w, NULL, p, 0, at + 1));
        }
    }
    return emit(j, w, NULL, p);
}

static void table_leg_close(struct leg *l, struct query *q)
{
    (void)q;
    table_close((struct join *)((struct table_leg *)l)->join);
}

/* The leg that owns the table: it has units only for fullouter. */
static enum err add_table_leg(struct pipeline *p, struct join *j, struct diag *d)
{
    struct table_leg *l = arena_new(&p->q->mem.a, struct table_leg);
    if (l == NULL) {
        table_close(j);
        return query_full(p->q, d);
    }
    *l = (struct table_leg){.join = j};
    l->leg = (struct leg){.run = unmatched_run, .close = table_leg_close, .first = &j->stage};
    if (j->matched != NULL) {
        l->leg.n_units = (j->n_entries + UNIT_ROWS_MAX - 1) / UNIT_ROWS_MAX;
        l->leg.phase = pipeline_phases(p);
    }
    pipeline_add(p, &l->leg);
    return OK;
}

/* --- building -------------------------------------------------------------------------------- */

/* Which columns each side must bring: for the result, and for the keys. */
static enum err side_columns(struct join *j, bool left, bool **for_result, bool **in,
                             struct diag *d)
{
    const struct op *side = left ? j->op->input : j->op->join.right;
    struct arena *a = &j->q->mem.a;
    *for_result = arena_array(a, bool, side->schema.n);
    *in = arena_array(a, bool, side->schema.n);
    if (*for_result == NULL || *in == NULL) return query_full(j->q, d);
    for (uint32_t i = 0; i < j->op->schema.n; i++) {
        uint32_t col;
        if (join_from_left(j->op, i, &col) == left) (*for_result)[col] |= j->needed[i];
    }
    memcpy(*in, *for_result, side->schema.n);
    struct expr **keys = left ? j->op->join.left_keys : j->op->join.right_keys;
    for (uint32_t i = 0; i < j->op->join.n_keys; i++)
        expr_columns(keys[i], *in);
    return OK;
}

static enum err fill_table(struct join *j, const struct op *side, const struct conditions *c,
                           const bool *in, struct diag *d)
{
    struct query *q = j->q;
    struct table_sink sink = {.sink = {.stage = {table_push, NULL}}, .join = j};
    struct pipeline p = {.q = q};
    p.legs_end = &p.legs;
    sink.sink.pipeline = &p;
    enum err e = build_input(&p, side, c, in, &sink.sink.stage, d);
    if (e == OK)
        e = pipeline_run(&p, false, d);
    else
        pipeline_close(&p);
    return e == OK ? hash_rows(j, d) : e;
}

static enum err table_new(struct join *j, const struct op *side, struct diag *d)
{
    struct query *q = j->q;
    j->mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    j->rows = arena_array(&q->mem.a, struct rowbuf, q->n_workers);
    if (j->mems == NULL || j->rows == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &j->mems[i]);
        rowbuf_init(&j->rows[i], q, &j->mems[i], &side->schema, j->table_needed, true);
    }
    return OK;
}

enum err build_join(struct pipeline *p, const struct op *op, const struct conditions *below,
                    const bool *needed, const struct stage *next, struct diag *d)
{
    struct query *q = p->q;
    struct join *j = arena_new(&q->mem.a, struct join);
    if (j == NULL) return query_full(q, d);
    enum join_kind kind = op->join.kind;
    *j = (struct join){.stage = {join_push, next}, .q = q, .op = op, .needed = needed};
    j->left_is_table = kind == JOIN_INNERUNIQUE || kind == JOIN_RIGHT_OUTER ||
                       kind == JOIN_RIGHT_SEMI || kind == JOIN_RIGHT_ANTI;
    const struct op *table = j->left_is_table ? op->input : op->join.right;
    const struct op *other = j->left_is_table ? op->join.right : op->input;
    j->table_keys = j->left_is_table ? op->join.left_keys : op->join.right_keys;
    j->keys = j->left_is_table ? op->join.right_keys : op->join.left_keys;

    const struct conditions *table_c = NULL, *other_c = NULL;
    if (below != NULL) {
        table_c = &below[j->left_is_table ? 0 : 1];
        other_c = &below[j->left_is_table ? 1 : 0];
    }
    bool *table_needed, *table_in, *other_needed, *other_in;
    TRY(side_columns(j, j->left_is_table, &table_needed, &table_in, d));
    TRY(side_columns(j, !j->left_is_table, &other_needed, &other_in, d));
    j->table_needed = table_needed;
    TRY(table_new(j, table, d));
    enum err e = fill_table(j, table, table_c, table_in, d);
    if (e == OK && kind == JOIN_FULL_OUTER) {
        j->matched = arena_calloc(&j->mems[0].a, j->n_entries, sizeof *j->matched);
        if (j->matched == NULL) e = query_full(q, d);
    }
    if (e == OK) e = build_input(p, other, other_c, other_in, &j->stage, d);
    if (e != OK) {
        table_close(j);
        return e;
    }
    return add_table_leg(p, j, d);
}
