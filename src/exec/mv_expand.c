/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/mv_expand.c - mv-expand: a row for each element
 *
 * An array gives its elements, a bag its members one by one, a scalar itself, null one null.
 * Several columns go side by side, the shorter padded with nulls; a row of which nothing comes
 * (empty arrays) goes.
 */
#include "column/dyn.h"
#include "exec/run.h"
#include "func/kernel.h"

struct expand {
    struct stage stage;
    struct query *q;
    const struct op *op;
    const bool *needed;
    uint64_t limit;            /* rows out of one */
    _Atomic int64_t *next_row; /* of mv-apply: numbers rows of the input, in no order */
};

struct cursor { /* where one column stands in its value of the row */
    struct dyn_iter it;
    struct bytes single;
    uint32_t left;
    bool iterates, names; /* over an array or bag; over a bag */
};

struct expanding { /* the vector under way */
    const struct expand *x;
    struct worker *w;
    const struct batch *in;
    struct cursor *cursors;
    struct vecb *cols; /* per item */
    uint32_t n, rows[VEC_ROWS];
    int64_t index[VEC_ROWS];
    int64_t first_row; /* the number of the first row of `in` */
    int64_t row_numbers[VEC_ROWS];
};

static void cursor_init(struct cursor *c, const struct vec *v, uint32_t row)
{
    *c = (struct cursor){.left = 1};
    if (vec_null(v, row)) return;
    c->single = vec_str(v, row);
    c->iterates = dyn_iter_init(&c->it, c->single);
    if (!c->iterates) return;
    c->left = c->it.left;
    c->names = c->it.is_bag;
}

/* One member of a bag as {"name": value}, or as ["name", value]. */
static enum err member(const struct expand *x, struct arena *a, struct bytes name,
                       struct bytes value, struct bytes *out, struct diag *d)
{
    CLEANUP_BUF struct buf b = {0};
    struct value text = {.type = T_STRING, .s = name};
    if (x->op->mv_expand.bags_as_arrays) {
        size_t at = dyn_array_begin(&b);
        TRY(dyn_from_value(&text, &b, d));
        buf_bytes(&b, value);
        dyn_array_end(&b, at, 2);
    } else {
        size_t at = dyn_bag_begin(&b);
        dyn_bag_name(&b, name);
        buf_bytes(&b, value);
        dyn_bag_end(&b, at, 1);
    }
    TRY(buf_check(&b, d));
    *out = arena_bytes(a, buf_view(&b));
    return out->p != NULL ? OK : arena_full(a, d);
}

/* Elements are cast and not parsed: a text is no number. What JSON can only write as a text (a
 * moment, a guid) is read from it. */
static bool conforms(enum dyn_kind kind, enum type t)
{
    bool number = t == T_LONG || t == T_INT || t == T_REAL || t == T_DECIMAL || t == T_BOOL;
    return kind != DYN_STRING || !number;
}

static void put(struct vecb *col, struct bytes dyn)
{
    enum dyn_kind kind = dyn_kind(dyn);
    if (kind == DYN_NULL) {
        vecb_null(col);
    } else if (col->type == T_DYNAMIC) {
        vecb_str_borrow(col, dyn);
    } else {
        struct value from = {.type = T_DYNAMIC, .s = dyn}, to;
        if (conforms(kind, col->type) && value_cast(&from, col->type, col->a, &to) && !to.is_null)
            vecb_value(col, &to);
        else
            vecb_null(col);
    }
}

static enum err put_next(struct expanding *e, uint32_t item)
{
    struct cursor *c = &e->cursors[item];
    struct bytes name, value = c->single;
    if (c->left == 0) {
        vecb_null(&e->cols[item]);
        return OK;
    }
    c->left--;
    if (c->iterates && !dyn_iter_next(&c->it, &name, &value)) value = (struct bytes){0};
    if (c->iterates && c->names) {
        TRY(member(e->x, &e->w->scratch.a, name, value, &value, &e->w->d));
    }
    put(&e->cols[item], value);
    return OK;
}

static enum err begin(struct expanding *e)
{
    const struct op *op = e->x->op;
    e->n = 0;
    for (uint32_t i = 0; i < op->mv_expand.n; i++) {
        enum type t = op->schema.cols[op->mv_expand.items[i].column].type;
        vecb_init(&e->cols[i], &e->w->scratch.a, t, 256);
    }
    return OK;
}

static enum err flush(struct expanding *e)
{
    const struct op *op = e->x->op;
    struct arena *a = &e->w->scratch.a;
    uint32_t n_cols = op->schema.n;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(e->w->q, &e->w->d);
    for (uint32_t i = 0; i < n_cols; i++) {
        cols[i] = vec_absent(op->schema.cols[i].type, e->n);
        if (e->x->needed[i] && i < e->in->n_cols) {
            TRY(vec_select(a, &e->in->cols[i], e->rows, e->n, &cols[i], &e->w->d));
        }
    }
    for (uint32_t i = 0; i < op->mv_expand.n; i++) {
        TRY(vecb_finish(&e->cols[i], &cols[op->mv_expand.items[i].column], &e->w->d));
    }
    if (op->mv_expand.index_column != UINT32_MAX) {
        cols[op->mv_expand.index_column] =
            (struct vec){.type = T_LONG, .n = e->n, .data = e->index};
    }
    if (op->mv_expand.row_column != UINT32_MAX) {
        for (uint32_t i = 0; i < e->n; i++)
            e->row_numbers[i] = e->first_row + e->rows[i];
        cols[op->mv_expand.row_column] =
            (struct vec){.type = T_LONG, .n = e->n, .data = e->row_numbers};
    }
    struct batch out = {.n_rows = e->n, .n_cols = n_cols, .cols = cols};
    const uint32_t *of_table = e->w->row_ids;
    e->w->row_ids = NULL; /* these rows are no rows of the table's vector */
    enum err r = stage_push(e->x->stage.next, e->w, &out);
    e->w->row_ids = of_table;
    return r;
}

static enum err expand_row(struct expanding *e, const struct vec *values, uint32_t row,
                           struct arena_mark mark)
{
    uint32_t n_items = e->x->op->mv_expand.n;
    uint64_t count = 0;
    for (uint32_t i = 0; i < n_items; i++) {
        cursor_init(&e->cursors[i], &values[i], row);
        if (e->cursors[i].left > count) count = e->cursors[i].left;
    }
    if (count > e->x->limit) count = e->x->limit;
    for (uint64_t k = 0; k < count && !e->w->unit_done; k++) {
        for (uint32_t i = 0; i < n_items; i++)
            TRY(put_next(e, i));
        e->rows[e->n] = row;
        e->index[e->n++] = (int64_t)k;
        if (e->n < VEC_ROWS) continue;
        TRY(query_check(e->w->q, &e->w->d));
        TRY(flush(e));
        arena_rewind(&e->w->scratch.a, mark);
        TRY(begin(e));
    }
    return OK;
}

static enum err expand_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct expand *x = (const struct expand *)s;
    struct arena *a = &w->scratch.a;
    uint32_t n_items = x->op->mv_expand.n;
    struct expanding *e = arena_new(a, struct expanding);
    struct vec *values = arena_array(a, struct vec, n_items);
    if (e == NULL || values == NULL) return query_full(w->q, &w->d);
    *e = (struct expanding){.x = x, .w = w, .in = in};
    e->cursors = arena_array(a, struct cursor, n_items);
    e->cols = arena_array(a, struct vecb, n_items);
    if (e->cursors == NULL || e->cols == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_items; i++) {
        TRY(eval(w, x->op->mv_expand.items[i].expr, in, &values[i]));
    }
    e->first_row = atomic_fetch_add(x->next_row, in->n_rows);
    struct arena_mark mark = arena_mark(a); /* one row can have a million elements */
    TRY(begin(e));
    for (uint32_t row = 0; row < in->n_rows && !w->unit_done; row++) {
        TRY(expand_row(e, values, row, mark));
    }
    return flush(e);
}

enum err mv_expand_stage(struct query *q, const struct op *op, const bool *needed,
                         const struct stage *next, const struct stage **out, struct diag *d)
{
    struct expand *x = arena_new(&q->mem.a, struct expand);
    if (x == NULL) return query_full(q, d);
    *x = (struct expand){
        .stage = {expand_push, next}, .q = q, .op = op, .needed = needed, .limit = UINT64_MAX};
    x->next_row = arena_new(&q->mem.a, _Atomic int64_t);
    if (x->next_row == NULL) return query_full(q, d);
    if (op->mv_expand.limit != NULL)
        TRY(eval_count(q, op->mv_expand.limit, "mv-expand", &x->limit, d));
    *out = &x->stage;
    return OK;
}
