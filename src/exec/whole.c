/* SPDX-License-Identifier: Apache-2.0 */
/* exec/whole.c - holds rows back for operators that see all of them at once */
#include "exec/whole.h"

#include "exec/rowbuf.h"

static whole_fn *const functions[N_WHOLE_KINDS] = {
    [WHOLE_SCAN] = whole_scan,
    [WHOLE_TOP_NESTED] = whole_top_nested,
    [WHOLE_PIVOT] = whole_pivot,
    [WHOLE_NARROW] = whole_narrow,
    [WHOLE_IP_LOOKUP] = whole_ip_lookup,
    [WHOLE_ROWS_NEAR] = whole_rows_near,
    [WHOLE_SCHEMA_MERGE] = whole_schema_merge,
    [WHOLE_SLIDING_WINDOW] = whole_sliding_window,
    [WHOLE_ACTIVITY_COUNTS] = whole_activity_counts,
    [WHOLE_ACTIVITY] = whole_activity,
    [WHOLE_ACTIVITY_ENGAGEMENT] = whole_activity_engagement,
    [WHOLE_NEW_ACTIVITY] = whole_new_activity,
    [WHOLE_ACTIVE_USERS] = whole_active_users,
    [WHOLE_ROLLING_PERCENTILE] = whole_rolling_percentile,
    [WHOLE_COMPONENTS] = whole_components,
    [WHOLE_PATHS] = whole_paths,
    [WHOLE_REDUCE] = whole_reduce,
    [WHOLE_BASKET] = whole_basket,
    [WHOLE_AUTOCLUSTER] = whole_autocluster,
    [WHOLE_DIFFPATTERNS] = whole_diffpatterns,
    [WHOLE_TEXT_PATTERNS] = whole_text_patterns,
    [WHOLE_SESSION_COUNT] = whole_session_count,
    [WHOLE_FUNNEL] = whole_funnel,
    [WHOLE_FUNNEL_COMPLETION] = whole_funnel_completion,
    [WHOLE_SEQUENCES] = whole_sequences,
};

struct whole_sink {
    struct sink sink;
    struct query *q;
    const struct op *op;
    struct mem *mems;    /* per worker, the relation's */
    struct rowbuf *rows; /* per worker */
    bool taken;
};

static enum err whole_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct whole_sink *x = (const struct whole_sink *)s;
    mem_settle_sink(w, &x->mems[w->slot]);
    return rowbuf_append(&x->rows[w->slot], in, NULL, in->n_rows, w->unit_no, NULL, &w->d);
}

void whole_copy(struct whole *w, uint32_t to, const struct vec *from, uint32_t row)
{
    struct vecb *b = &w->out[to];
    if (vec_null(from, row)) {
        vecb_null(b);
    } else if (from->type == T_STRING || from->type == T_DYNAMIC) {
        vecb_str_borrow(b, vec_str(from, row));
    } else {
        struct value v = vec_value(from, row);
        vecb_value(b, &v);
    }
}

enum err whole_check(struct whole *w)
{
    mem_settle(w->q, w->m);
    return query_check(w->q, w->d);
}

/* --- running --------------------------------------------------------------------------------- */

static enum err read_consts(struct whole *w, struct diag *d)
{
    uint32_t n = w->op->whole.n_consts;
    struct value *v = arena_array(&w->q->mem.a, struct value, n);
    if (v == NULL) return query_full(w->q, d);
    for (uint32_t i = 0; i < n; i++)
        TRY(eval_const(w->q, w->op->whole.consts[i], &v[i], d));
    w->consts = v;
    return OK;
}

/* The other table, whose rows go into w->m too. */
static enum err read_second(struct whole *w, struct diag *d)
{
    const struct op *op = w->op->whole.second;
    struct relation r;
    struct batch all;
    if (op == NULL) return OK;
    bool *needed = arena_array(&w->q->mem.a, bool, op->schema.n);
    if (needed == NULL) return query_full(w->q, d);
    for (uint32_t i = 0; i < op->schema.n; i++)
        needed[i] = true;
    TRY(run_relation(w->q, op, needed, &r, d));
    enum err e = relation_whole(w->q, &r, &op->schema, needed, true, w->m, &all, d);
    relation_release(w->q, &r);
    TRY(e);
    w->n_second = all.n_rows;
    w->second = all.cols;
    return OK;
}

static enum err run_function(struct whole *w, struct batch *out, struct diag *d)
{
    const struct schema *s = &w->op->schema;
    struct vec *cols = arena_array(&w->m->a, struct vec, s->n);
    w->out = arena_array(&w->m->a, struct vecb, s->n);
    if (cols == NULL || w->out == NULL) return query_full(w->q, d);
    for (uint32_t i = 0; i < s->n; i++)
        vecb_init(&w->out[i], &w->m->a, s->cols[i].type, 64);
    TRY(read_consts(w, d));
    TRY(read_second(w, d));
    mem_settle(w->q, w->m);
    enum err e = functions[w->op->whole.kind](w);
    if (e != OK) return e == ERR_LIMIT && (d == NULL || d->code == OK) ? query_full(w->q, d) : e;
    for (uint32_t i = 0; i < s->n; i++) {
        if (vecb_finish(&w->out[i], &cols[i], NULL) != OK) return query_full(w->q, d);
    }
    *out = (struct batch){.n_rows = s->n > 0 ? cols[0].n : 0, .n_cols = s->n, .cols = cols};
    return OK;
}

static enum err whole_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct whole_sink *x = (struct whole_sink *)s;
    struct query *q = x->q;
    struct relation in, r = {.n_mems = q->n_workers, .mems = x->mems};
    struct batch all, result;
    TRY(rowbuf_relation(q, x->rows, q->n_workers, UINT64_MAX, x->mems, &in, d));
    mem_settle(q, &x->mems[0]);
    TRY(relation_whole(q, &in, &x->op->input->schema, x->rows[0].needed, false, &x->mems[0], &all,
                       d));
    struct whole w = {.q = q, .m = &x->mems[0], .op = x->op, .n = all.n_rows, .cols = all.cols};
    w.d = d;
    TRY(run_function(&w, &result, d));
    TRY(relation_cut(q, &result, &x->mems[0], &r, d));
    x->taken = true;
    *out = r;
    return OK;
}

static void whole_close(struct sink *s)
{
    struct whole_sink *x = (struct whole_sink *)s;
    for (unsigned i = 0; !x->taken && i < x->q->n_workers; i++)
        mem_close(x->q, &x->mems[i]);
}

enum err whole_sink(struct query *q, const struct op *op, struct sink **out, struct diag *d)
{
    struct arena *a = &q->mem.a;
    uint32_t n = op->input->schema.n;
    struct whole_sink *x = arena_new(a, struct whole_sink);
    bool *all = arena_array(a, bool, n);
    if (x == NULL || all == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n; i++)
        all[i] = true;
    *x = (struct whole_sink){.q = q, .op = op};
    x->sink =
        (struct sink){.stage = {whole_push, NULL}, .finish = whole_finish, .close = whole_close};
    x->mems = arena_array(a, struct mem, q->n_workers);
    x->rows = arena_array(a, struct rowbuf, q->n_workers);
    if (x->mems == NULL || x->rows == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &x->mems[i]);
        rowbuf_init(&x->rows[i], q, &x->mems[i], &op->input->schema, all, false);
    }
    *out = &x->sink;
    return OK;
}
