/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/window.c - extend and where with functions of neighbouring rows: all rows at once, in their
 * order
 */
#include "exec/rowbuf.h"

struct window {
    struct sink sink;
    struct query *q;
    const struct op *op; /* PROJECT or FILTER */
    const bool *needed;  /* of the result */
    struct mem *mems;    /* per worker */
    struct rowbuf *rows; /* per worker */
    bool taken;
};

static enum err window_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct window *x = (const struct window *)s;
    return rowbuf_append(&x->rows[w->slot], in, NULL, in->n_rows, w->unit_no, NULL, &w->d);
}

static enum err computed(struct window *x, struct worker *w, const struct batch *in,
                         struct batch *out)
{
    struct arena *a = &x->mems[0].a;
    uint32_t n = x->op->project.n;
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return query_full(x->q, &w->d);
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = vec_absent(x->op->schema.cols[i].type, in->n_rows);
        if (x->needed[i]) TRY(eval_into(w, a, x->op->project.exprs[i], in, &cols[i]));
        mem_settle(x->q, &x->mems[0]);
    }
    *out = (struct batch){.n_rows = in->n_rows, .n_cols = n, .cols = cols};
    return OK;
}

static enum err filtered(struct window *x, struct worker *w, const struct batch *in,
                         struct batch *out)
{
    struct arena *a = &x->mems[0].a;
    uint32_t *rows = arena_array(a, uint32_t, in->n_rows);
    if (rows == NULL) return query_full(x->q, &w->d);
    struct vec v;
    TRY(eval_into(w, a, x->op->filter.condition, in, &v));
    return batch_select(a, in, x->needed, rows, rows_true(&v, rows), out, &w->d);
}

static enum err evaluate(struct window *x, const struct batch *in, struct batch *out,
                         struct diag *d)
{
    struct worker *w = &x->q->workers[0]; /* free between pipelines */
    diag_reset(&w->d);
    w->whole = true;
    enum err e = x->op->kind == OP_PROJECT ? computed(x, w, in, out) : filtered(x, w, in, out);
    w->whole = false;
    if (e == OK) return OK;
    return e == ERR_LIMIT ? query_full(x->q, d) : FAIL_TAG(d, e, w->d.tag, "%s", w->d.text);
}

static enum err window_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct window *x = (struct window *)s;
    struct relation in, r = {.n_mems = x->q->n_workers, .mems = x->mems};
    struct batch all, result;
    TRY(rowbuf_relation(x->q, x->rows, x->q->n_workers, UINT64_MAX, x->mems, &in, d));
    TRY(relation_whole(x->q, &in, &x->op->input->schema, x->rows[0].needed, false, &x->mems[0],
                       &all, d));
    TRY(evaluate(x, &all, &result, d));
    TRY(relation_cut(x->q, &result, &x->mems[0], &r, d));
    x->taken = true;
    *out = r;
    return OK;
}

static void window_close(struct sink *s)
{
    struct window *x = (struct window *)s;
    for (unsigned i = 0; !x->taken && i < x->q->n_workers; i++)
        mem_close(x->q, &x->mems[i]);
}

bool expr_is_window(const struct expr *e)
{
    if (e->kind != EXPR_CALL) return false;
    if ((e->call.fn->flags & FN_WINDOW) != 0) return true;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        if (expr_is_window(e->args[i])) return true;
    }
    return false;
}

bool op_is_window(const struct op *op)
{
    if (op->kind == OP_FILTER) return expr_is_window(op->filter.condition);
    for (uint32_t i = 0; op->kind == OP_PROJECT && i < op->project.n; i++) {
        if (expr_is_window(op->project.exprs[i])) return true;
    }
    return false;
}

enum err window_sink(struct query *q, const struct op *op, const bool *needed, const bool *in,
                     struct sink **out, struct diag *d)
{
    struct arena *a = &q->mem.a;
    struct window *x = arena_new(a, struct window);
    if (x == NULL) return query_full(q, d);
    *x = (struct window){.q = q, .op = op, .needed = needed};
    x->sink =
        (struct sink){.stage = {window_push, NULL}, .finish = window_finish, .close = window_close};
    x->mems = arena_array(a, struct mem, q->n_workers);
    x->rows = arena_array(a, struct rowbuf, q->n_workers);
    if (x->mems == NULL || x->rows == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &x->mems[i]);
        rowbuf_init(&x->rows[i], q, &x->mems[i], &op->input->schema, in, false);
    }
    *out = &x->sink;
    return OK;
}
