/* SPDX-License-Identifier: Apache-2.0 */
/* exec/summarize.c - summarize and distinct: the result's order is that in which groups were first
 * met */
#include "exec/groups.h"
#include "exec/key.h"

struct summarize {
    struct sink sink;
    const struct op *op;
    struct groups_plan plan;
    struct groups *tables; /* per worker */
    bool taken;
};

static enum err summarize_push(const struct stage *stage, struct worker *w, const struct batch *in)
{
    const struct summarize *s = (const struct summarize *)stage;
    uint32_t n_keys = s->op->summarize.n_keys;
    struct vec *parts = arena_array(&w->scratch.a, struct vec, n_keys);
    if (parts == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_keys; i++)
        TRY(eval(w, s->op->summarize.keys[i], in, &parts[i]));
    return groups_add(&s->plan, &s->tables[w->slot], w, parts, in);
}

static enum err add_result(const struct summarize *s, struct groups *t, struct group *g,
                           struct vecb *cols, struct diag *d)
{
    struct rd r = rd_from(g->key);
    uint32_t n_keys = s->op->summarize.n_keys;
    struct value v;
    for (uint32_t i = 0; i < n_keys; i++) {
        group_key_next(&r, s->op->schema.cols[i].type, &v);
        if (v.is_null)
            vecb_null(&cols[i]);
        else if (v.type == T_STRING || v.type == T_DYNAMIC)
            vecb_str_borrow(&cols[i], v.s);
        else
            vecb_value(&cols[i], &v);
    }
    for (uint32_t i = 0; i < s->plan.n_aggs; i++) {
        TRY(group_result(&s->plan, t, g, i, &v, d));
        vecb_value(&cols[n_keys + i], &v);
    }
    return OK;
}

/* The groups of t from *next on, as many as fit into a vector. */
static enum err result_batch(const struct summarize *s, struct groups *t, struct group **next,
                             uint64_t left, struct batch *out, struct diag *d)
{
    struct arena *a = &t->mem.a;
    uint32_t n_cols = s->op->schema.n, n = left < VEC_ROWS ? (uint32_t)left : VEC_ROWS;
    struct vecb *build = arena_array(a, struct vecb, n_cols);
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (build == NULL || cols == NULL) return query_full(s->plan.q, d);
    for (uint32_t i = 0; i < n_cols; i++)
        vecb_init(&build[i], a, s->op->schema.cols[i].type, n);
    for (uint32_t i = 0; i < n; i++, *next = (*next)->next)
        TRY(add_result(s, t, *next, build, d));
    for (uint32_t i = 0; i < n_cols; i++)
        TRY(vecb_finish(&build[i], &cols[i], d));
    *out = (struct batch){.n_rows = n, .n_cols = n_cols, .cols = cols};
    mem_settle(s->plan.q, &t->mem);
    return OK;
}

/* --- groups that do not fit into memory, nor what becomes of them ----------------------------- */

struct results { /* of each part */
    const struct summarize *s;
    struct spill_list rows[PARTS];
    struct mem books[PARTS];
};

static enum err write_results(void *ctx, uint32_t part, struct groups *t, struct diag *d)
{
    struct results *r = ctx;
    struct query *q = r->s->plan.q;
    uint64_t left = t->n_groups;
    for (struct group *g = t->first; g != NULL;) {
        struct batch b;
        TRY(result_batch(r->s, t, &g, left, &b, d));
        TRY(spill_list_add(q, &r->rows[part], &r->books[part], &b, 0, d));
        left -= b.n_rows;
    }
    return OK;
}

static enum err finish_spilled(struct summarize *s, struct relation *out, struct diag *d)
{
    struct query *q = s->plan.q;
    struct results r = {.s = s};
    for (uint32_t i = 0; i < PARTS; i++)
        mem_open(q, &r.books[i]);
    enum err e = groups_each(&s->plan, s->tables, write_results, &r, d);
    if (e == OK) e = spill_relation(q, r.rows, PARTS, &s->op->schema, r.books, out, d);
    for (uint32_t i = 0; i < PARTS; i++)
        mem_close(q, &r.books[i]);
    return e;
}

static enum err summarize_finish(struct sink *sink, struct relation *out, struct diag *d)
{
    struct summarize *s = (struct summarize *)sink;
    struct query *q = s->plan.q;
    struct groups *t = &s->tables[0];
    if (groups_spilled(&s->plan, s->tables)) return finish_spilled(s, out, d);
    TRY(groups_merge(&s->plan, s->tables, d));
    /* Without `by` there is one row even when none came in. */
    if (s->plan.n_keys == 0 && t->n_groups == 0) TRY(groups_add_empty(&s->plan, t, d));

    struct relation r = {.n_rows = t->n_groups, .n_mems = q->n_workers};
    r.batches = arena_array(&t->mem.a, struct batch, (t->n_groups + VEC_ROWS - 1) / VEC_ROWS);
    r.mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    if (r.batches == NULL || r.mems == NULL) return query_full(q, d);
    for (struct group *g = t->first; g != NULL; r.n_batches++) {
        uint64_t left = t->n_groups - (uint64_t)r.n_batches * VEC_ROWS;
        TRY(result_batch(s, t, &g, left, &r.batches[r.n_batches], d));
    }
    for (unsigned i = 0; i < q->n_workers; i++)
        r.mems[i] = s->tables[i].mem;
    s->taken = true;
    *out = r;
    return OK;
}

static void summarize_close(struct sink *sink)
{
    struct summarize *s = (struct summarize *)sink;
    struct query *q = s->plan.q;
    for (unsigned i = 0; !s->taken && i < q->n_workers; i++)
        groups_close(q, &s->tables[i]);
}

enum err summarize_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                        struct diag *d)
{
    struct summarize *s = arena_new(&q->mem.a, struct summarize);
    if (s == NULL) return query_full(q, d);
    *s = (struct summarize){.op = op};
    s->sink = (struct sink){
        .stage = {summarize_push, NULL}, .finish = summarize_finish, .close = summarize_close};
    uint32_t n_keys = op->summarize.n_keys;
    TRY(groups_plan_init(&s->plan, q, n_keys, op->summarize.aggs, op->summarize.n_aggs,
                         needed + n_keys, d));
    enum type *types = arena_array(&q->mem.a, enum type, n_keys);
    if (types == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n_keys; i++)
        types[i] = op->summarize.keys[i]->type;
    TRY(groups_may_spill(&s->plan, types, d));
    TRY(groups_new(&s->plan, &s->tables, d));
    /* make_list() and its like keep the order of a sorted input. */
    s->sink.in_order = op_is_ordered(op->input);
    *out = &s->sink;
    return OK;
}
