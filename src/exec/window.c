/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/window.c - extend and where with functions of neighbouring rows: all rows at once, in their
 * order; where they do not fit, piece by piece (window.h)
 */
#include "exec/window.h"

#include "exec/held.h"

struct window {
    struct sink sink;
    struct query *q;
    const struct op *op; /* PROJECT or FILTER */
    const bool *needed;  /* of the result */
    const bool *in_needed;
    struct held rows;
};

static enum err window_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    struct window *x = (struct window *)(uintptr_t)s;
    return held_add(&x->rows, w, in, in->n_rows);
}

/* --- all rows in one batch -------------------------------------------------------------------- */

static enum err computed(struct window *x, struct worker *w, struct mem *m, const struct batch *in,
                         struct batch *out)
{
    uint32_t n = x->op->project.n;
    struct vec *cols = arena_array(&m->a, struct vec, n);
    if (cols == NULL) return query_full(x->q, &w->d);
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = vec_absent(x->op->schema.cols[i].type, in->n_rows);
        if (x->needed[i]) TRY(eval_into(w, &m->a, x->op->project.exprs[i], in, &cols[i]));
        mem_settle(x->q, m);
    }
    *out = (struct batch){.n_rows = in->n_rows, .n_cols = n, .cols = cols};
    return OK;
}

static enum err filtered(struct window *x, struct worker *w, struct mem *m, const struct batch *in,
                         struct batch *out)
{
    uint32_t *rows = arena_array(&m->a, uint32_t, in->n_rows);
    if (rows == NULL) return query_full(x->q, &w->d);
    struct vec v;
    TRY(eval_into(w, &m->a, x->op->filter.condition, in, &v));
    return batch_select(&m->a, in, x->needed, rows, rows_true(&v, rows), out, &w->d);
}

static enum err evaluate(struct window *x, struct mem *m, const struct batch *in, struct batch *out,
                         struct diag *d)
{
    struct worker *w = &x->q->workers[0]; /* free between pipelines */
    diag_reset(&w->d);
    w->whole = true;
    enum err e =
        x->op->kind == OP_PROJECT ? computed(x, w, m, in, out) : filtered(x, w, m, in, out);
    w->whole = false;
    if (e == OK) return OK;
    return e == ERR_LIMIT ? query_full(x->q, d) : FAIL_TAG(d, e, w->d.tag, "%s", w->d.text);
}

/* The result borrows from the rows: it takes their memory and m. */
static enum err at_once(struct window *x, struct relation *in, struct mem *m, struct relation *out,
                        struct diag *d)
{
    struct batch all, result;
    TRY(relation_whole(x->q, in, &x->op->input->schema, x->in_needed, false, m, &all, d));
    TRY(evaluate(x, m, &all, &result, d));
    struct relation r = {.n_mems = in->n_mems + 1};
    r.mems = arena_array(&x->q->mem.a, struct mem, r.n_mems);
    if (r.mems == NULL) return query_full(x->q, d);
    TRY(relation_cut(x->q, &result, m, &r, d));
    memcpy(r.mems, in->mems, in->n_mems * sizeof *r.mems);
    r.mems[in->n_mems] = *m;
    *out = r;
    return OK;
}

/* Rows and results together are some four times what the rows are. */
static bool fits(const struct query *q, const struct relation *in)
{
    size_t rows = 0;
    for (unsigned i = 0; i < in->n_mems; i++)
        rows += in->mems[i].charged;
    return q->r->spill == NULL || (in->spilled == NULL && rows < q->limits.memory_max / 4);
}

static enum err window_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct window *x = (struct window *)s;
    struct relation in;
    struct mem m;
    TRY(held_relation(&x->rows, UINT64_MAX, &in, d));
    if (!fits(x->q, &in)) {
        enum err e = window_by_pieces(x->q, x->op, x->needed, &in, out, d);
        relation_release(x->q, &in);
        return e;
    }
    mem_open(x->q, &m);
    enum err e = at_once(x, &in, &m, out, d);
    if (e == OK) return OK;
    mem_close(x->q, &m);
    relation_release(x->q, &in);
    return e;
}

static void window_close(struct sink *s)
{
    held_close(&((struct window *)s)->rows);
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
    struct window *x = arena_new(&q->mem.a, struct window);
    if (x == NULL) return query_full(q, d);
    *x = (struct window){.q = q, .op = op, .needed = needed, .in_needed = in};
    x->sink =
        (struct sink){.stage = {window_push, NULL}, .finish = window_finish, .close = window_close};
    TRY(held_open(&x->rows, q, &op->input->schema, in, d));
    *out = &x->sink;
    return OK;
}
