/* SPDX-License-Identifier: Apache-2.0 */
/* exec/window_spill.c - functions of neighbouring rows, piece by piece */
#include "exec/window.h"

#include "exec/spilled.h"

struct piece { /* the first argument of a call over one batch: for rows that are elsewhere */
    struct mem mem;
    bool loaded;
    uint32_t batch;
    struct vec values;
};

struct window_call {
    struct fn_rows rows; /* the first member: fn_rows.value() finds the call by it */
    struct by_pieces *of;
    const struct expr *original, *expr; /* in expr other calls are columns */
    uint32_t level;                     /* from 0: its arguments have calls of lower levels only */
    uint32_t column;                    /* of its level */
    struct piece near[2];               /* before and behind: steps are mostly constant */
    unsigned oldest;
    struct window_call *next;
};

struct level {
    struct schema schema;
    struct spill_list results; /* a block for each batch of the rows */
};

struct by_pieces {
    struct query *q;
    const struct op *op;
    const bool *needed;
    const struct relation *in;
    const struct schema *schema; /* of in */
    uint64_t *starts;            /* the number of each batch's first row */
    struct mem book;
    struct window_call *calls, **calls_end;
    uint32_t n_calls, n_levels;
    struct level *levels;
    struct worker *w;
};

/* --- calls become columns --------------------------------------------------------------------- */

static uint32_t levels_of(const struct expr *e)
{
    uint32_t max = 0;
    if (e->kind != EXPR_CALL) return 0;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        uint32_t n = levels_of(e->args[i]);
        if (n > max) max = n;
    }
    return max + ((e->call.fn->flags & FN_WINDOW) != 0);
}

static enum err rewrite(struct by_pieces *p, struct expr *e, struct expr **out, struct diag *d);

static enum err with_columns(struct by_pieces *p, const struct expr *e, struct expr **out,
                             struct diag *d)
{
    struct expr *copy = arena_new(&p->book.a, struct expr);
    struct expr **args = arena_array(&p->book.a, struct expr *, e->call.n_args);
    if (copy == NULL || args == NULL) return query_full(p->q, d);
    *copy = *e;
    copy->args = args;
    for (uint32_t i = 0; i < e->call.n_args; i++)
        TRY(rewrite(p, e->args[i], &args[i], d));
    *out = copy;
    return OK;
}

static enum err call_of(struct by_pieces *p, const struct expr *e, struct window_call **out,
                        struct diag *d)
{
    struct expr *inner;
    for (struct window_call *c = p->calls; c != NULL; c = c->next) {
        *out = c;
        if (c->original == e) return OK;
    }
    TRY(with_columns(p, e, &inner, d));
    struct window_call *c = arena_new(&p->book.a, struct window_call);
    if (c == NULL) return query_full(p->q, d);
    *c = (struct window_call){.of = p, .original = e, .expr = inner, .level = levels_of(e) - 1};
    c->column = p->n_calls++;
    if (c->level >= p->n_levels) p->n_levels = c->level + 1;
    *p->calls_end = c;
    p->calls_end = &c->next;
    *out = c;
    return OK;
}

/* The columns of calls come behind those of the rows. */
static enum err rewrite(struct by_pieces *p, struct expr *e, struct expr **out, struct diag *d)
{
    *out = e;
    if (!expr_is_window(e)) return OK;
    mem_settle(p->q, &p->book);
    if ((e->call.fn->flags & FN_WINDOW) == 0) return with_columns(p, e, out, d);
    struct window_call *c;
    TRY(call_of(p, e, &c, d));
    struct expr *column = arena_new(&p->book.a, struct expr);
    if (column == NULL) return query_full(p->q, d);
    *column = (struct expr){.kind = EXPR_COL, .type = e->type, .col = p->schema->n + c->column};
    *out = column;
    return OK;
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum err read_piece(struct by_pieces *p, uint32_t i, uint32_t n_levels, struct arena *a,
                           struct batch *out, struct diag *d)
{
    struct batch b, results;
    uint32_t n_cols = p->schema->n + p->n_calls;
    TRY(relation_batch(p->q, p->in, i, a, &b, d));
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(p->q, d);
    if (p->schema->n != 0) memcpy(cols, b.cols, p->schema->n * sizeof *cols);
    for (uint32_t l = 0; l < n_levels; l++) {
        uint32_t k = 0;
        TRY(spill_in(p->q, &p->levels[l].results.p[i], &p->levels[l].schema, a, &results, d));
        for (const struct window_call *c = p->calls; c != NULL; c = c->next) {
            if (c->level == l) cols[p->schema->n + c->column] = results.cols[k++];
        }
    }
    *out = (struct batch){.n_rows = b.n_rows, .n_cols = n_cols, .cols = cols};
    return OK;
}

static enum err load(struct window_call *c, struct piece *near, uint32_t batch, struct diag *d)
{
    struct by_pieces *p = c->of;
    struct batch b;
    near->loaded = false;
    mem_clear(p->q, &near->mem);
    TRY(read_piece(p, batch, c->level, &near->mem.a, &b, d));
    mem_settle(p->q, &near->mem);
    TRY(eval_into(p->w, &near->mem.a, c->expr->args[0], &b, &near->values));
    mem_settle(p->q, &near->mem);
    near->loaded = true;
    near->batch = batch;
    return OK;
}

static uint32_t batch_with(const struct by_pieces *p, uint64_t row)
{
    uint32_t low = 0, high = p->in->n_batches;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;
        if (p->starts[mid] <= row)
            low = mid;
        else
            high = mid;
    }
    return low;
}

static enum err value_elsewhere(struct fn_rows *r, uint64_t row, struct value *out, struct diag *d)
{
    struct window_call *c = (struct window_call *)r;
    struct by_pieces *p = c->of;
    uint32_t batch = batch_with(p, row);
    struct piece *near = &c->near[0];
    if (!near->loaded || near->batch != batch) near = &c->near[1];
    if (!near->loaded || near->batch != batch) {
        near = &c->near[c->oldest];
        c->oldest = 1 - c->oldest;
        TRY(load(c, near, batch, d));
    }
    *out = vec_value(&near->values, (uint32_t)(row - p->starts[batch]));
    if (out->is_null || (out->type != T_STRING && out->type != T_DYNAMIC)) return OK;
    out->s = arena_bytes(&p->w->scratch.a, out->s); /* the piece may go before the row does */
    return out->s.p != NULL ? OK : query_full(p->q, d);
}

/* --- once through ----------------------------------------------------------------------------- */

static enum err one_piece(struct by_pieces *p, struct level *l, uint32_t no, uint32_t i)
{
    struct worker *w = p->w;
    struct batch b, results = {.n_cols = l->schema.n};
    TRY(worker_next(w, 0));
    TRY(read_piece(p, i, no, &w->scratch.a, &b, &w->d));
    mem_settle(p->q, &w->scratch);
    results.n_rows = b.n_rows;
    results.cols = arena_array(&w->scratch.a, struct vec, l->schema.n);
    if (results.cols == NULL) return query_full(p->q, &w->d);
    uint32_t k = 0;
    for (struct window_call *c = p->calls; c != NULL; c = c->next) {
        if (c->level != no) continue;
        c->rows.first = p->starts[i];
        w->rows = &c->rows;
        enum err e = eval(w, c->expr, &b, &results.cols[k++]);
        w->rows = NULL;
        TRY(e);
        mem_settle(p->q, &w->scratch);
    }
    return spill_list_add(p->q, &l->results, &p->book, &results, 0, &w->d);
}

static enum err begin_level(struct by_pieces *p, struct level *l, uint32_t no)
{
    struct column *cols = arena_array(&p->book.a, struct column, p->n_calls);
    if (cols == NULL) return query_full(p->q, &p->w->d);
    for (struct window_call *c = p->calls; c != NULL; c = c->next) {
        if (c->level != no) continue;
        cols[l->schema.n++] = (struct column){"", c->expr->type};
        c->rows = (struct fn_rows){.n = p->in->n_rows, .value = value_elsewhere};
        for (unsigned i = 0; i < 2; i++)
            mem_open(p->q, &c->near[i].mem);
    }
    l->schema.cols = cols;
    return OK;
}

static void end_level(struct by_pieces *p, uint32_t no)
{
    for (struct window_call *c = p->calls; c != NULL; c = c->next) {
        if (c->level != no || c->rows.value == NULL) continue;
        for (unsigned i = 0; i < 2; i++)
            mem_close(p->q, &c->near[i].mem);
    }
}

static enum err run_level(struct by_pieces *p, uint32_t no)
{
    enum err e = begin_level(p, &p->levels[no], no);
    for (uint32_t i = 0; e == OK && i < p->in->n_batches; i++)
        e = one_piece(p, &p->levels[no], no, i);
    end_level(p, no);
    return e;
}

/* --- the operator ----------------------------------------------------------------------------- */

static enum err result_piece(struct by_pieces *p, struct expr *const *exprs, uint32_t i,
                             struct batch *out)
{
    struct worker *w = p->w;
    struct arena *a = &w->scratch.a;
    struct batch b;
    TRY(worker_next(w, 0));
    TRY(read_piece(p, i, p->n_levels, a, &b, &w->d));
    mem_settle(p->q, &w->scratch);
    if (p->op->kind == OP_FILTER) {
        uint32_t *rows = arena_array(a, uint32_t, b.n_rows);
        struct vec v;
        if (rows == NULL) return query_full(p->q, &w->d);
        TRY(eval(w, exprs[0], &b, &v));
        b.n_cols = p->schema->n;
        return batch_select(a, &b, p->needed, rows, rows_true(&v, rows), out, &w->d);
    }
    uint32_t n = p->op->project.n;
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return query_full(p->q, &w->d);
    for (uint32_t k = 0; k < n; k++) {
        cols[k] = vec_absent(p->op->schema.cols[k].type, b.n_rows);
        if (p->needed[k]) TRY(eval(w, exprs[k], &b, &cols[k]));
        mem_settle(p->q, &w->scratch);
    }
    *out = (struct batch){.n_rows = b.n_rows, .n_cols = n, .cols = cols};
    return OK;
}

static enum err write_results(struct by_pieces *p, struct expr *const *exprs,
                              struct spill_list *results, struct mem *book)
{
    for (uint32_t i = 0; i < p->in->n_batches; i++) {
        struct batch b;
        TRY(result_piece(p, exprs, i, &b));
        if (b.n_rows != 0) TRY(spill_list_add(p->q, results, book, &b, 0, &p->w->d));
    }
    return OK;
}

static enum err plan_pieces(struct by_pieces *p, struct expr **exprs, uint32_t n, struct diag *d)
{
    p->starts = arena_array(&p->book.a, uint64_t, p->in->n_batches);
    if (p->starts == NULL) return query_full(p->q, d);
    for (uint32_t i = 1; i < p->in->n_batches; i++)
        p->starts[i] = p->starts[i - 1] + p->in->batches[i - 1].n_rows;
    for (uint32_t i = 0; i < n; i++) {
        bool filter = p->op->kind == OP_FILTER;
        if (!filter && !p->needed[i]) continue;
        TRY(rewrite(p, filter ? p->op->filter.condition : p->op->project.exprs[i], &exprs[i], d));
    }
    p->levels = arena_array(&p->book.a, struct level, p->n_levels);
    return p->levels != NULL ? OK : query_full(p->q, d);
}

static enum err run_pieces(struct by_pieces *p, struct expr **exprs, struct mem *book,
                           struct relation *out, struct diag *d)
{
    struct spill_list results = {0};
    enum err e = OK;
    for (uint32_t no = 0; e == OK && no < p->n_levels; no++)
        e = run_level(p, no);
    if (e == OK) e = write_results(p, exprs, &results, book);
    mem_clear(p->q, &p->w->scratch);
    TRY(worker_result(p->w, e, d));
    return spill_relation(p->q, &results, 1, &p->op->schema, book, out, d);
}

enum err window_by_pieces(struct query *q, const struct op *op, const bool *needed,
                          const struct relation *in, struct relation *out, struct diag *d)
{
    struct by_pieces p = {.q = q, .op = op, .needed = needed, .in = in};
    struct mem book; /* of the result */
    p.schema = &op->input->schema;
    p.calls_end = &p.calls;
    p.w = &q->workers[0]; /* free between pipelines */
    diag_reset(&p.w->d);
    mem_open(q, &p.book);
    mem_open(q, &book);
    uint32_t n = op->kind == OP_FILTER ? 1 : op->project.n;
    struct expr **exprs = arena_array(&p.book.a, struct expr *, n);
    enum err e = exprs != NULL ? plan_pieces(&p, exprs, n, d) : query_full(q, d);
    if (e == OK) e = run_pieces(&p, exprs, &book, out, d);
    mem_close(q, &book);
    mem_close(q, &p.book);
    return e;
}
