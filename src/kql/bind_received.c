/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_received.c - ingestion_time(): when a row came, which is a hidden column of every table
 *
 * No operator's result has that column, so no name, no `*` and no client sees it. An operator that
 * asks for it is bound again, over a copy of what it reads in which the column is handed up from
 * the tables at the end of each operator's columns; behind it the column is dropped. A query that
 * does not ask pays nothing.
 *
 * (1) The column is null where rows are not those of a table any more: behind summarize, count,
 *     make-series, range, print, datatable.
 * (2) Behind join, materialize() and operators over groups it is not documented what the original
 *     gives: refused.
 */
#include "kql/bind.h"

#define HIDDEN "\x01received" /* no query says that by accident */

bool is_hidden(const char *column)
{
    return strcmp(column, HIDDEN) == 0;
}

enum err bind_ingestion_time(struct scope *s, const struct ast *n, struct expr **out)
{
    if (n->args.n != 0) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219",
                        "ingestion_time() takes no arguments");
    }
    int at = s->base != NULL ? schema_find(s->base, HIDDEN) : -1;
    if (at >= 0) return expr_col(s->b, s->base, (uint32_t)at, out);
    s->b->asks_received = true;
    return expr_const(s->b, &(struct value){.type = T_DATETIME, .is_null = true}, out);
}

/* --- handed up -------------------------------------------------------------------------------- */

/* A copy over another input, NULL for a source. */
static enum err copy_over(struct binder *b, const struct op *op, struct op *input, struct op **out)
{
    struct op *copy = arena_new(b->a, struct op);
    if (copy == NULL) return bind_full(b);
    *copy = *op;
    copy->input = input;
    *out = copy;
    return OK;
}

static enum err append_hidden(struct binder *b, struct op *op)
{
    uint32_t n = op->schema.n;
    struct column *cols = arena_array(b->a, struct column, n + 1);
    if (cols == NULL) return bind_full(b);
    if (n != 0) memcpy(cols, op->schema.cols, n * sizeof *cols);
    cols[n] = (struct column){HIDDEN, T_DATETIME};
    op->schema = (struct schema){n + 1, cols};
    return OK;
}

static enum err of_table(struct binder *b, const struct op *op, struct op **out)
{
    uint32_t n = op->schema.n;
    if (!b->catalog->has_received) return OK;
    TRY(copy_over(b, op, NULL, out));
    uint32_t *columns = arena_array(b->a, uint32_t, n + 1);
    if (columns == NULL) return bind_full(b);
    if (n != 0) memcpy(columns, op->table.columns, n * sizeof *columns);
    columns[n] = TABLE_RECEIVED;
    (*out)->table.columns = columns;
    return append_hidden(b, *out);
}

static enum err of_project(struct binder *b, const struct op *op, struct op *in, struct op **out)
{
    uint32_t n = op->project.n;
    TRY(copy_over(b, op, in, out));
    struct expr **exprs = arena_array(b->a, struct expr *, n + 1);
    if (exprs == NULL) return bind_full(b);
    if (n != 0) memcpy(exprs, op->project.exprs, n * sizeof(struct expr *));
    TRY(expr_col(b, &in->schema, (uint32_t)schema_find(&in->schema, HIDDEN), &exprs[n]));
    (*out)->project.exprs = exprs;
    (*out)->project.n = n + 1;
    return append_hidden(b, *out);
}

static enum err with_received(struct binder *b, struct op *in, struct op **out);

static enum err of_union(struct binder *b, const struct op *op, struct op **out)
{
    uint32_t n = op->schema.n, n_in = op->unions.n;
    struct op **inputs = arena_array(b->a, struct op *, n_in);
    uint32_t **columns = arena_array(b->a, uint32_t *, n_in);
    bool any = false;
    if (inputs == NULL || columns == NULL) return bind_full(b);
    for (uint32_t k = 0; k < n_in; k++) {
        struct op *leg = NULL;
        TRY(with_received(b, op->unions.inputs[k], &leg));
        any = any || leg != NULL;
        inputs[k] = leg != NULL ? leg : op->unions.inputs[k];
        columns[k] = arena_array(b->a, uint32_t, n + 1);
        if (columns[k] == NULL) return bind_full(b);
        if (n != 0) memcpy(columns[k], op->unions.columns[k], n * sizeof(uint32_t));
        columns[k][n] = leg != NULL ? (uint32_t)schema_find(&leg->schema, HIDDEN) : UINT32_MAX;
    }
    if (!any) return OK;
    TRY(copy_over(b, op, inputs[0], out));
    (*out)->unions.inputs = inputs;
    (*out)->unions.columns = columns;
    return append_hidden(b, *out);
}

/* The place of a column that followed the input's n: one of them more is there now. */
static uint32_t behind(uint32_t column, uint32_t n)
{
    return column != UINT32_MAX && column >= n ? column + 1 : column;
}

static enum err move_places(struct binder *b, struct op *op, uint32_t n)
{
    if (op->kind == OP_MV_EXPAND) {
        struct expanded *items = arena_array(b->a, struct expanded, op->mv_expand.n + 1);
        if (items == NULL) return bind_full(b);
        for (uint32_t i = 0; i < op->mv_expand.n; i++) {
            items[i] = op->mv_expand.items[i];
            items[i].column = behind(items[i].column, n);
        }
        op->mv_expand.items = items;
        op->mv_expand.index_column = behind(op->mv_expand.index_column, n);
        op->mv_expand.row_column = behind(op->mv_expand.row_column, n);
    } else if (op->kind == OP_PARSE) {
        struct parse_item *items = arena_array(b->a, struct parse_item, op->parse.n + 1);
        if (items == NULL) return bind_full(b);
        for (uint32_t i = 0; i < op->parse.n; i++) {
            items[i] = op->parse.items[i];
            if (items[i].kind == PARSE_COLUMN) items[i].column = behind(items[i].column, n);
        }
        op->parse.items = items;
    } else {
        struct kv_key *keys = arena_array(b->a, struct kv_key, op->parse_kv.n + 1);
        if (keys == NULL) return bind_full(b);
        for (uint32_t i = 0; i < op->parse_kv.n; i++) {
            keys[i] = op->parse_kv.keys[i];
            keys[i].column = behind(keys[i].column, n);
        }
        op->parse_kv.keys = keys;
    }
    return OK;
}

/* Their columns are the input's, then more: the hidden one moves between, and then to the end. */
static enum err of_more_columns(struct binder *b, const struct op *op, struct op *in,
                                struct op **out)
{
    uint32_t n = op->schema.n, n_in = in->schema.n - 1;
    struct op *copy;
    struct column *cols = arena_array(b->a, struct column, n + 1);
    uint32_t *order = arena_array(b->a, uint32_t, n + 1);
    if (cols == NULL || order == NULL) return bind_full(b);
    TRY(copy_over(b, op, in, &copy));
    TRY(move_places(b, copy, n_in));
    for (uint32_t i = 0; i < n; i++) {
        order[i] = behind(i, n_in);
        cols[order[i]] = op->schema.cols[i];
    }
    order[n] = n_in;
    cols[n_in] = (struct column){HIDDEN, T_DATETIME};
    copy->schema = (struct schema){n + 1, cols};
    return op_columns(b, copy, op->pos, order, NULL, n + 1, out);
}

static enum err of_unknown(struct binder *b, const struct op *op, const char *what) /* (2) */
{
    struct op *side = NULL;
    if (op->input != NULL) TRY(with_received(b, op->input, &side));
    if (side == NULL && op->kind == OP_JOIN) TRY(with_received(b, op->join.right, &side));
    if (side == NULL && op->kind != OP_GROUP) return OK;
    return FAIL(diag_at(b->d, op->pos), ERR_UNSUPPORTED,
                "ingestion_time() behind %s is not supported: take it into a column before", what);
}

static enum err hand_up(struct binder *b, struct op *in, struct op **out)
{
    struct op *input = NULL;
    switch (in->kind) {
    case OP_TABLE: return of_table(b, in, out);
    case OP_UNION: return of_union(b, in, out);
    case OP_JOIN: return of_unknown(b, in, "a join");
    case OP_MATERIALIZE: return of_unknown(b, in, "materialize() or serialize");
    case OP_GROUP:
    case OP_APPLY: return of_unknown(b, in, "mv-apply or partition");
    case OP_WHOLE: return of_unknown(b, in, "this operator");
    case OP_FILTER:
    case OP_SORT:
    case OP_TOP:
    case OP_TAKE:
    case OP_PROJECT:
    case OP_MV_EXPAND:
    case OP_PARSE:
    case OP_PARSE_KV: break;
    default: return OK; /* (1) */
    }
    TRY(with_received(b, in->input, &input));
    if (input == NULL) return OK;
    if (in->kind == OP_PROJECT) return of_project(b, in, input, out);
    if (in->kind == OP_MV_EXPAND || in->kind == OP_PARSE || in->kind == OP_PARSE_KV)
        return of_more_columns(b, in, input, out);
    TRY(copy_over(b, in, input, out));
    return append_hidden(b, *out);
}

/* What `in` gives with the hidden column; NULL: its rows have none. */
static enum err with_received(struct binder *b, struct op *in, struct op **out)
{
    *out = NULL;
    if (schema_find(&in->schema, HIDDEN) >= 0) {
        *out = in;
        return OK;
    }
    TRY(bind_deeper(b, in->pos));
    TRY(hand_up(b, in, out));
    b->depth--;
    return OK;
}

/* --- asked for -------------------------------------------------------------------------------- */

static enum err drop_hidden(struct binder *b, struct op *in, struct op **out)
{
    uint32_t n = 0, *cols = arena_array(b->a, uint32_t, in->schema.n + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->schema.n; i++) {
        if (!is_hidden(in->schema.cols[i].name)) cols[n++] = i;
    }
    *out = in;
    return n == in->schema.n ? OK : op_columns(b, in, in->pos, cols, NULL, n, out);
}

static enum err bind_again(struct op_cx *cx, bind_op_fn *bind, struct op **out)
{
    struct binder *b = cx->b;
    struct op *in = NULL;
    if (cx->in == NULL) {
        bool of_tables = cx->ast->op == OPER_FIND || cx->ast->op == OPER_SEARCH;
        if (!of_tables) return OK;
        return FAIL(diag_at(b->d, cx->ast->pos), ERR_UNSUPPORTED,
                    "ingestion_time() in '%s' is not supported: use where behind it",
                    cx->ast->name);
    }
    TRY(with_received(b, cx->in, &in));
    if (in == NULL) return OK;
    cx->in = in;
    TRY(bind(cx, out));
    return drop_hidden(b, *out, out);
}

enum err bind_asking(struct op_cx *cx, bind_op_fn *bind, struct op **out)
{
    struct binder *b = cx->b;
    struct binding *names = *cx->names;
    bool outer = b->asks_received;
    b->asks_received = false;
    TRY(bind(cx, out));
    if (b->asks_received) {
        *cx->names = names;
        struct op_cx again = *cx;
        TRY(bind_again(&again, bind, out));
    }
    b->asks_received = outer;
    return OK;
}
