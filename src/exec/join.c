/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/join.c - join and lookup: a hash table of one side's rows, through which the other side
 * streams
 *
 * The table is made of the right side, and of the left where every row of the right must come out
 * (rightouter, rightsemi, rightanti) or where the left keeps one row per key (innerunique).
 * fullouter streams the left; what then is left of the right comes last. Nulls match nulls and NaN
 * matches NaN, as group keys have it. A table that does not fit into memory: join_spill.c.
 */
#include "exec/join.h"

#include "exec/key.h"

enum err join_keys(struct worker *w, struct expr *const *exprs, uint32_t n_keys,
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
    TRY(join_keys(w, j->table_keys, j->op->join.n_keys, in, &keys));
    mem_settle_sink(w, &j->mems[w->slot]);
    TRY(rowbuf_append(&j->rows[w->slot], in, NULL, in->n_rows, w->unit_no, keys, &w->d));
    return join_spill_check(j, w);
}

static void table_close(struct join *j)
{
    join_spill_close(j);
    for (unsigned i = 0; i < j->q->n_workers; i++)
        mem_close(j->q, &j->mems[i]);
}

/* --- streaming ------------------------------------------------------------------------------- */

static enum err join_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct join *j = (const struct join *)s;
    struct bytes *keys;
    TRY(join_keys(w, j->keys, j->op->join.n_keys, in, &keys));
    if (join_spilled(j)) return join_spill_stream(j, w, in, keys);
    return join_probe(j, &j->table, w, in, keys, NULL);
}

/* --- legs of the pipeline that streams ------------------------------------------------------- */

struct
    table_leg { /* after all others (2): the parts of a table that did not fit, or, for fullouter, the
                      rows of the table that nobody matched */
    struct leg leg;
    const struct join *join;
};

static enum err unmatched_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct join *j = ((struct table_leg *)l)->join;
    uint32_t at = unit * UNIT_ROWS_MAX, end = at + UNIT_ROWS_MAX, n = j->table.n_entries;
    return join_unmatched(j, &j->table, w, at, end < n ? end : n);
}

static enum err part_run(struct leg *l, struct worker *w, uint32_t unit)
{
    return join_spill_part(((struct table_leg *)l)->join, w, unit);
}

static void table_leg_close(struct leg *l, struct query *q)
{
    (void)q;
    table_close((struct join *)((struct table_leg *)l)->join);
}

/* The leg that owns the table. */
static enum err add_table_leg(struct pipeline *p, struct join *j, struct diag *d)
{
    struct table_leg *l = arena_new(&p->q->mem.a, struct table_leg);
    if (l == NULL) {
        table_close(j);
        return query_full(p->q, d);
    }
    *l = (struct table_leg){.join = j};
    l->leg = (struct leg){.run = unmatched_run, .close = table_leg_close, .first = &j->stage};
    if (join_spilled(j)) {
        l->leg.run = part_run;
        l->leg.n_units = PARTS;
        l->leg.phase = pipeline_phases(p);
    } else if (j->table.matched != NULL) {
        l->leg.n_units = (j->table.n_entries + UNIT_ROWS_MAX - 1) / UNIT_ROWS_MAX;
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
    TRY(e);
    if (join_spilled(j)) return join_spill_rest(j, d);
    return join_table_make(&j->table, j->rows, q->n_workers, j->op->join.kind == JOIN_FULL_OUTER,
                           &j->mems[0], d);
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
    j->stream_needed = other_needed;
    j->table = (struct join_table){.q = q, .unique = kind == JOIN_INNERUNIQUE};
    TRY(join_spill_new(j, d));
    TRY(table_new(j, table, d));
    enum err e = fill_table(j, table, table_c, table_in, d);
    if (e == OK) e = build_input(p, other, other_c, other_in, &j->stage, d);
    if (e != OK) {
        table_close(j);
        return e;
    }
    return add_table_leg(p, j, d);
}
