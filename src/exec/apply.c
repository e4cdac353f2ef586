/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/apply.c - a plan of its own over each group of rows: mv-apply, partition
 *
 * All rows are held back, each with its group's key. Then the plan runs over one group after the
 * other, in a query inside the query: with memory of its own, emptied after each group, and with
 * one worker. What the plan reads from its group (OP_GROUP) are the group's rows in their order.
 */
#include "exec/key.h"
#include "exec/rowbuf.h"

#include "base/map.h"

struct apply {
    struct sink sink;
    struct query *q;
    const struct op *op;
    const bool *needed;
    struct mem *mems;    /* per worker */
    struct rowbuf *rows; /* per worker */
    struct mem *result;  /* the one of the rows that come out */
    struct rowbuf out;
    bool taken;
};

static enum err apply_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct apply *x = (const struct apply *)s;
    uint32_t n = x->op->apply.n_keys;
    struct vec *parts = arena_array(&w->scratch.a, struct vec, n);
    struct bytes *keys = arena_array(&w->scratch.a, struct bytes, in->n_rows);
    if (parts == NULL || keys == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n; i++)
        TRY(eval(w, x->op->apply.keys[i], in, &parts[i]));
    TRY(group_keys(&w->scratch.a, parts, n, in->n_rows, keys, &w->d));
    mem_settle_sink(w, &x->mems[w->slot]);
    return rowbuf_append(&x->rows[w->slot], in, NULL, in->n_rows, w->unit_no, keys, &w->d);
}

/* --- groups ---------------------------------------------------------------------------------- */

struct grouped {
    uint64_t n_rows;
    uint32_t n_groups;
    struct row_ref *refs; /* rows by groups, in their order */
    uint64_t *ends;       /* per group, into refs */
};

/* The number of each row's group, in the order in which groups are met. */
static enum err number_rows(struct apply *x, const struct row_ref *rows, struct grouped *g,
                            uint32_t *numbers, struct diag *d)
{
    uint64_t n_slots = 64;
    while (n_slots < 2 * g->n_rows)
        n_slots *= 2;
    uint64_t *slots = arena_array(&x->mems[0].a, uint64_t, n_slots); /* a row + 1; 0 = free */
    if (slots == NULL) return query_full(x->q, d);
    for (uint64_t i = 0; i < g->n_rows; i++) {
        struct bytes key = rows[i].chunk->keys[rows[i].row];
        uint64_t at = hash_bytes(key, x->q->hash_seed) & (n_slots - 1);
        while (slots[at] != 0) {
            const struct row_ref *first = &rows[slots[at] - 1];
            if (bytes_eq(first->chunk->keys[first->row], key)) break;
            at = (at + 1) & (n_slots - 1);
        }
        if (slots[at] == 0) {
            slots[at] = i + 1;
            numbers[i] = g->n_groups++;
        } else {
            numbers[i] = numbers[slots[at] - 1];
        }
    }
    return OK;
}

static enum err group_rows(struct apply *x, struct grouped *g, struct diag *d)
{
    struct arena *a = &x->mems[0].a;
    struct chunk **chunks;
    uint32_t n_chunks;
    *g = (struct grouped){0};
    TRY(rowbuf_in_order(x->q, x->rows, x->q->n_workers, &x->q->mem.a, &chunks, &n_chunks, d));
    for (uint32_t i = 0; i < n_chunks; i++)
        g->n_rows += chunks[i]->n;
    struct row_ref *rows = arena_array(a, struct row_ref, g->n_rows);
    uint32_t *numbers = arena_array(a, uint32_t, g->n_rows);
    g->refs = arena_array(a, struct row_ref, g->n_rows);
    if (rows == NULL || numbers == NULL || g->refs == NULL) return query_full(x->q, d);
    uint64_t n = 0;
    for (uint32_t i = 0; i < n_chunks; i++) {
        for (uint32_t k = 0; k < chunks[i]->n; k++)
            rows[n++] = (struct row_ref){.chunk = chunks[i], .row = k};
    }
    TRY(number_rows(x, rows, g, numbers, d));
    uint32_t max = x->op->apply.groups_max;
    if (max != 0 && g->n_groups > max) {
        return FAIL_TAG(d, ERR_LIMIT, "SEM0001",
                        "'partition' takes at most %u values of its column, not %u; with "
                        "hint.strategy=native or shuffle any number",
                        max, g->n_groups);
    }
    g->ends = arena_array(a, uint64_t, (size_t)g->n_groups + 1);
    if (g->ends == NULL) return query_full(x->q, d);
    for (uint64_t i = 0; i < n; i++)
        g->ends[numbers[i] + 1]++;
    for (uint32_t i = 0; i < g->n_groups; i++)
        g->ends[i + 1] += g->ends[i];
    for (uint64_t i = 0; i < n; i++) /* ends[k] is the next place of group k, in the end its end */
        g->refs[g->ends[numbers[i]]++] = rows[i];
    mem_settle(x->q, &x->mems[0]);
    return OK;
}

/* --- one group ------------------------------------------------------------------------------- */

/* A query inside the query; what it takes is the outer one's. */
static enum err sub_open(struct apply *x, struct query *sub, struct diag *d)
{
    struct query *q = x->q;
    struct worker *w = arena_new(&q->mem.a, struct worker);
    if (w == NULL) return query_full(q, d);
    *sub = (struct query){.r = q->r,
                          .limits = q->limits,
                          .n_workers = 1,
                          .workers = w,
                          .outer = q,
                          .group_depth = q->group_depth + 1,
                          .hash_seed = q->hash_seed};
    sub->limits.rows_max = UINT64_MAX; /* those of the result hold for the result */
    sub->limits.bytes_max = UINT64_MAX;
    *w = (struct worker){.q = sub, .d = DIAG_INIT};
    mem_open(sub, &sub->mem);
    mem_open(sub, &w->unit);
    mem_open(sub, &w->scratch);
    return OK;
}

static void sub_close(struct query *sub)
{
    kept_release(sub);
    mem_close(sub, &sub->workers[0].unit);
    mem_close(sub, &sub->workers[0].scratch);
    mem_close(sub, &sub->mem);
    atomic_fetch_add(&sub->outer->rows_scanned, atomic_load(&sub->rows_scanned));
    atomic_fetch_add(&sub->outer->units_scanned, atomic_load(&sub->units_scanned));
    sub->outer->units_total += sub->units_total;
}

/* The group's values of the outer columns, and what the plan made of it. */
static enum err put_batch(struct apply *x, struct query *sub, const struct row_ref *first,
                          const struct batch *made, struct diag *d)
{
    const struct op *op = x->op;
    uint32_t n_outer = op->apply.n_outer, n_cols = op->schema.n;
    struct arena *a = &sub->mem.a;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(x->q, d);
    for (uint32_t i = 0; i < n_cols; i++) {
        enum type t = op->schema.cols[i].type;
        cols[i] = vec_absent(t, made->n_rows);
        if (!x->needed[i]) continue;
        if (i >= n_outer) {
            cols[i] = made->cols[op->apply.sub_columns[i - n_outer]];
            continue;
        }
        if (!refs_gather(t, op->apply.outer_columns[i], first, 1, a, &cols[i])) {
            return query_full(x->q, d);
        }
        cols[i].shape = VEC_CONST;
        cols[i].n = made->n_rows;
    }
    struct batch out = {.n_rows = made->n_rows, .n_cols = n_cols, .cols = cols};
    mem_settle(x->q, x->result);
    return rowbuf_append(&x->out, &out, NULL, out.n_rows, 0, NULL, d);
}

static enum err run_plan(struct apply *x, struct query *sub, const struct row_ref *first,
                         const bool *needed, struct diag *d)
{
    struct relation r;
    TRY(scalars_run(sub, x->op->apply.plan, d));
    TRY(run_relation(sub, x->op->apply.plan, needed, &r, d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < r.n_batches; i++) {
        struct batch b;
        e = relation_batch(sub, &r, i, &sub->mem.a, &b, d);
        if (e == OK) e = put_batch(x, sub, first, &b, d);
    }
    relation_release(sub, &r);
    return e;
}

static enum err run_group(struct apply *x, struct query *sub, const struct row_ref *refs,
                          uint64_t n, const bool *needed, struct diag *d)
{
    struct relation in = {0};
    TRY(query_check(x->q, d));
    TRY(refs_relation(&x->rows[0], refs, n, &sub->mem.a, &in, d));
    for (uint32_t i = 0; i < in.n_batches; i++) /* mv-apply's row numbers are not for the plan */
        in.batches[i].n_cols = x->op->apply.group->schema.n;
    struct group_rows group = {.op = x->op->apply.group, .rows = &in, .up = x->q->groups};
    sub->groups = &group;
    sub->scalars = x->q->scalars;
    enum err e = run_plan(x, sub, refs, needed, d);
    kept_release(sub);
    mem_clear(sub, &sub->mem);
    return e;
}

static enum err plan_columns(struct apply *x, bool **out, struct diag *d)
{
    const struct op *op = x->op;
    *out = arena_array(&x->q->mem.a, bool, op->apply.plan->schema.n);
    if (*out == NULL) return query_full(x->q, d);
    for (uint32_t i = 0; i < op->apply.n_sub; i++) {
        if (x->needed[op->apply.n_outer + i]) (*out)[op->apply.sub_columns[i]] = true;
    }
    return OK;
}

static enum err apply_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct apply *x = (struct apply *)s;
    struct grouped g;
    struct query sub;
    bool *needed;
    TRY(group_rows(x, &g, d));
    TRY(plan_columns(x, &needed, d));
    TRY(sub_open(x, &sub, d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < g.n_groups; i++) {
        uint64_t from = i == 0 ? 0 : g.ends[i - 1];
        e = run_group(x, &sub, g.refs + from, g.ends[i] - from, needed, d);
    }
    sub_close(&sub);
    TRY(e);
    TRY(rowbuf_relation(x->q, &x->out, 1, UINT64_MAX, x->result, out, d));
    x->taken = true;
    return OK;
}

static void apply_close(struct sink *s)
{
    struct apply *x = (struct apply *)s;
    for (unsigned i = 0; i < x->q->n_workers; i++)
        mem_close(x->q, &x->mems[i]);
    if (!x->taken) mem_close(x->q, x->result);
}

enum err apply_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                    struct diag *d)
{
    struct arena *a = &q->mem.a;
    uint32_t n_in = op->input->schema.n;
    struct apply *x = arena_new(a, struct apply);
    bool *all = arena_array(a, bool, n_in);
    if (x == NULL || all == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n_in; i++)
        all[i] = true;
    *x = (struct apply){.q = q, .op = op, .needed = needed};
    x->sink =
        (struct sink){.stage = {apply_push, NULL}, .finish = apply_finish, .close = apply_close};
    x->mems = arena_array(a, struct mem, q->n_workers);
    x->rows = arena_array(a, struct rowbuf, q->n_workers);
    x->result = arena_new(a, struct mem);
    if (x->mems == NULL || x->rows == NULL || x->result == NULL) return query_full(q, d);
    mem_open(q, x->result);
    rowbuf_init(&x->out, q, x->result, &op->schema, needed, false);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &x->mems[i]);
        rowbuf_init(&x->rows[i], q, &x->mems[i], &op->input->schema, all, true);
    }
    *out = &x->sink;
    return OK;
}

enum err group_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                   struct diag *d)
{
    for (const struct group_rows *g = p->q->groups; g != NULL; g = g->up) {
        if (g->op == op) return borrowed_leg(p, g->rows, next, d);
    }
    return FAIL(d, ERR_INTERNAL, "the rows of a group are read outside of it");
}
