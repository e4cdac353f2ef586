/* SPDX-License-Identifier: Apache-2.0 */
/* exec/eval.c - evaluates a bound expression over the rows of a batch */
#include "exec/run.h"

static enum err eval_call(struct worker *w, struct arena *a, const struct expr *e,
                          const struct batch *in, struct vec *out);

/* A vector over a value that outlives it, without a copy. */
static struct vec borrow_const(const struct value *v, uint32_t n)
{
    if (v->is_null) return vec_absent(v->type, n);
    return (struct vec){.type = v->type, .shape = VEC_CONST, .n = n, .data = &v->u};
}

static const struct value *scalar_find(const struct query *q, const struct expr *e)
{
    for (const struct scalar *s = q->scalars; s != NULL; s = s->next) {
        if (s->expr == e) return &s->value;
    }
    return NULL;
}

enum err eval_into(struct worker *w, struct arena *a, const struct expr *e, const struct batch *in,
                   struct vec *out)
{
    switch (e->kind) {
    case EXPR_COL: *out = in->cols[e->col]; return OK;
    case EXPR_CONST: *out = borrow_const(&e->value, in->n_rows); return OK;
    case EXPR_SCALAR_QUERY: {
        const struct value *v = scalar_find(w->q, e);
        if (v == NULL) return FAIL(&w->d, ERR_INTERNAL, "toscalar() was not run beforehand");
        *out = borrow_const(v, in->n_rows);
        return OK;
    }
    case EXPR_CALL: return eval_call(w, a, e, in, out);
    }
    return FAIL(&w->d, ERR_INTERNAL, "unknown kind of expression");
}

/* --- calls ----------------------------------------------------------------------------------- */

static enum err call_fn(struct worker *w, struct arena *a, const struct expr *e,
                        const struct vec *const *args, uint32_t n, struct vec *out)
{
    if ((e->call.fn->flags & FN_WINDOW) != 0 && !w->whole && w->rows == NULL) {
        return FAIL(&w->d, ERR_UNSUPPORTED,
                    "%s() is not supported here, only in extend, project and where",
                    e->call.fn->name);
    }
    struct fn_cx cx = {.a = a, .now_ticks = w->q->r->now_ticks, .d = &w->d, .rows = w->rows};
    return fn_run(&cx, &e->call, args, n, out);
}

bool dict_of_unit(const struct worker *w, const struct vec *dict)
{
    const struct batch *b = w->unit_batch;
    for (uint32_t i = 0; b != NULL && i < b->n_cols; i++) {
        if (b->cols[i].shape == VEC_DICT && b->cols[i].dict == dict) return true;
    }
    for (const struct dict_memo *m = w->memos; m != NULL; m = m->next) {
        if (m->result == dict) return true;
    }
    return false;
}

/* The place of the only argument that is no constant, when that is a dictionary worth mapping
 * whole, once for the unit; else n_args. */
static uint32_t dict_arg(const struct worker *w, const struct expr *e, const struct vec *args)
{
    uint32_t n_args = e->call.n_args, at = n_args;
    if (e->call.fn->flags & FN_NOT_CONST) return n_args;
    for (uint32_t i = 0; i < n_args; i++) {
        if (args[i].shape == VEC_CONST) continue;
        if (at != n_args || args[i].shape != VEC_DICT || args[i].nulls != NULL) return n_args;
        at = i;
    }
    if (at == n_args || args[at].dict->n > w->unit_rows / 2) return n_args;
    return dict_of_unit(w, args[at].dict) ? at : n_args;
}

/* Evaluates over the entries of the dictionary, once per unit. */
static enum err call_dict(struct worker *w, const struct expr *e, struct vec *args,
                          const struct vec *const *ptrs, uint32_t at, struct vec *out)
{
    struct vec rows = args[at];
    struct dict_memo *m = w->memos;
    while (m != NULL && (m->expr != e || m->dict != rows.dict))
        m = m->next;
    if (m == NULL) {
        struct arena *a = &w->unit.a;
        struct vec *result = arena_new(a, struct vec);
        m = arena_new(a, struct dict_memo);
        if (result == NULL || m == NULL) return arena_full(a, &w->d);
        for (uint32_t i = 0; i < e->call.n_args; i++)
            args[i].n = rows.dict->n;
        args[at] = *rows.dict;
        TRY(call_fn(w, a, e, ptrs, rows.dict->n, result));
        *m = (struct dict_memo){.expr = e, .dict = rows.dict, .result = result, .next = w->memos};
        w->memos = m;
    }
    *out = *m->result;
    if (out->shape == VEC_CONST) {
        out->n = rows.n;
        return OK;
    }
    if (out->shape == VEC_FLAT) {
        *out = (struct vec){.type = e->type,
                            .shape = VEC_DICT,
                            .n = rows.n,
                            .codes = rows.codes,
                            .dict = m->result};
        return OK;
    }
    return vec_select(&w->scratch.a, m->result, rows.codes, rows.n, out, &w->d);
}

static enum err eval_call(struct worker *w, struct arena *a, const struct expr *e,
                          const struct batch *in, struct vec *out)
{
    uint32_t n_args = e->call.n_args;
    struct vec *args = arena_array(a, struct vec, n_args);
    const struct vec **ptrs = arena_array(a, const struct vec *, n_args);
    if (args == NULL || ptrs == NULL) return arena_full(a, &w->d);
    for (uint32_t i = 0; i < n_args; i++) {
        TRY(eval_into(w, a, e->args[i], in, &args[i]));
        ptrs[i] = &args[i];
    }
    uint32_t at = dict_arg(w, e, args);
    if (at < n_args) return call_dict(w, e, args, ptrs, at, out);
    return call_fn(w, a, e, ptrs, in->n_rows, out);
}

enum err eval(struct worker *w, const struct expr *e, const struct batch *in, struct vec *out)
{
    return eval_into(w, &w->scratch.a, e, in, out);
}

/* --- constants of operators ------------------------------------------------------------------ */

/* On the calling thread, between pipelines: worker 0 is free then. */
enum err eval_const(struct query *q, const struct expr *e, struct value *out, struct diag *d)
{
    struct worker *w = &q->workers[0];
    struct batch one_row = {.n_rows = 1};
    struct vec v;
    diag_reset(&w->d);
    enum err r = eval_into(w, &q->mem.a, e, &one_row, &v);
    if (r != OK) return FAIL_TAG(d, r, w->d.tag, "%s", w->d.text);
    *out = vec_value(&v, 0);
    return OK;
}

enum err eval_count(struct query *q, const struct expr *e, const char *what, uint64_t *out,
                    struct diag *d)
{
    struct value v;
    TRY(eval_const(q, e, &v, d));
    if (v.is_null || (v.type != T_LONG && v.type != T_INT) || v.i < 0) {
        return FAIL(d, ERR_INVALID, "%s: the number of rows must be a whole number, 0 or more",
                    what);
    }
    *out = (uint64_t)v.i;
    return OK;
}

void expr_columns(const struct expr *e, bool *needed)
{
    if (e->kind == EXPR_COL) needed[e->col] = true;
    if (e->kind != EXPR_CALL) return;
    for (uint32_t i = 0; i < e->call.n_args; i++)
        expr_columns(e->args[i], needed);
}
