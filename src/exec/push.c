/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/push.c - moves conditions down to where the rows come from
 *
 * A condition may pass an operator when the columns that it reads come through unchanged: then the
 * same condition over the operator's input decides the same rows, and earlier. What stays is
 * filtered above the operator.
 */
#include "exec/run.h"

bool expr_repeatable(const struct expr *e)
{
    if (e->kind != EXPR_CALL) return true;
    if ((e->call.fn->flags & FN_NOT_CONST) != 0) return false;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        if (!expr_repeatable(e->args[i])) return false;
    }
    return true;
}

/* to[i] is what column i is over the input, NULL where it is made by the operator itself. */
static bool can_move(const struct expr *e, struct expr *const *to)
{
    if (e->kind == EXPR_COL) return to[e->col] != NULL;
    if (e->kind != EXPR_CALL) return true;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        if (!can_move(e->args[i], to)) return false;
    }
    return true;
}

static struct expr *moved(struct query *q, struct expr *e, struct expr *const *to)
{
    if (e->kind == EXPR_COL) return to[e->col];
    if (e->kind != EXPR_CALL) return e;
    struct expr *copy = arena_new(&q->mem.a, struct expr);
    struct expr **args = arena_array(&q->mem.a, struct expr *, e->call.n_args);
    if (copy == NULL || args == NULL) return NULL;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        args[i] = moved(q, e->args[i], to);
        if (args[i] == NULL) return NULL;
    }
    *copy = *e;
    copy->args = args;
    return copy;
}

static struct expr *column_of(struct query *q, const struct schema *s, uint32_t col)
{
    struct expr *e = arena_new(&q->mem.a, struct expr);
    if (e != NULL) *e = (struct expr){.kind = EXPR_COL, .type = s->cols[col].type, .col = col};
    return e;
}

/* --- what each operator lets pass ------------------------------------------------------------ */

static bool plain_columns(struct query *q, const struct op *op, struct expr **to)
{
    for (uint32_t i = 0; i < op->input->schema.n; i++) {
        to[i] = column_of(q, &op->input->schema, i);
        if (to[i] == NULL) return false;
    }
    return true;
}

/* Only what the conditions read: a union of all tables has ten thousand columns. */
static bool union_columns(struct query *q, const struct op *op, uint32_t k, const bool *read,
                          struct expr **to)
{
    for (uint32_t i = 0; i < op->schema.n; i++) {
        if (!read[i]) continue;
        uint32_t from = op->unions.columns[k][i];
        if (from != UINT32_MAX) {
            to[i] = column_of(q, &op->unions.inputs[k]->schema, from);
        } else {
            enum type t = op->schema.cols[i].type;
            to[i] = arena_new(&q->mem.a, struct expr);
            if (to[i] == NULL) return false;
            *to[i] = (struct expr){.kind = EXPR_CONST, .type = t};
            to[i]->value = (struct value){.type = t, .is_null = t != T_STRING};
        }
        if (to[i] == NULL) return false;
    }
    return true;
}

static void project_columns(const struct op *op, struct expr *const *exprs, uint32_t n,
                            struct expr **to)
{
    for (uint32_t i = 0; i < n; i++) {
        bool same = exprs[i]->kind == EXPR_COL && exprs[i]->type == op->schema.cols[i].type;
        to[i] = same ? exprs[i] : NULL;
    }
}

/* A side's rows may be dropped early when a row of the result could not exist without them. */
static bool join_passes(enum join_kind k, bool left)
{
    if (k == JOIN_INNER || k == JOIN_INNERUNIQUE) return true;
    return left ? k == JOIN_LEFT_OUTER || k == JOIN_LEFT_SEMI || k == JOIN_LEFT_ANTI
                : k == JOIN_RIGHT_OUTER || k == JOIN_RIGHT_SEMI || k == JOIN_RIGHT_ANTI;
}

static bool join_columns(struct query *q, const struct op *op, bool left, struct expr **to)
{
    const struct op *side = left ? op->input : op->join.right;
    for (uint32_t i = 0; i < op->schema.n; i++) {
        uint32_t col;
        if (join_from_left(op, i, &col) != left) continue;
        to[i] = column_of(q, &side->schema, col);
        if (to[i] == NULL) return false;
    }
    return true;
}

/* Can a condition move to source k at all, even one that reads no column? */
static bool passes(const struct op *op, uint32_t k)
{
    if (op_is_window(op)) return false; /* a row less would be another window */
    switch (op->kind) {
    case OP_SORT:
    case OP_UNION:
    case OP_PROJECT:
    case OP_PARSE:
    case OP_PARSE_KV: return true;
    case OP_MV_EXPAND: return op->mv_expand.row_column == UINT32_MAX;
    case OP_SUMMARIZE: return op->summarize.n_keys != 0; /* without keys no rows are one row */
    case OP_JOIN: return join_passes(op->join.kind, k == 0);
    default: return false;
    }
}

/* Fills to[] for source k of op. False: memory is out. */
static bool columns_over(struct query *q, const struct op *op, uint32_t k, const bool *read,
                         struct expr **to)
{
    switch (op->kind) {
    case OP_UNION: return union_columns(q, op, k, read, to);
    case OP_JOIN: return join_columns(q, op, k == 0, to);
    case OP_PROJECT: project_columns(op, op->project.exprs, op->project.n, to); return true;
    case OP_SUMMARIZE:
        project_columns(op, op->summarize.keys, op->summarize.n_keys, to);
        return true;
    default: break;
    }
    if (!plain_columns(q, op, to)) return false;
    for (uint32_t i = 0; op->kind == OP_MV_EXPAND && i < op->mv_expand.n; i++) {
        to[op->mv_expand.items[i].column] = NULL;
    }
    for (uint32_t i = 0; op->kind == OP_PARSE && i < op->parse.n; i++) {
        if (op->parse.items[i].kind == PARSE_COLUMN) to[op->parse.items[i].column] = NULL;
    }
    for (uint32_t i = 0; op->kind == OP_PARSE_KV && i < op->parse_kv.n; i++)
        to[op->parse_kv.keys[i].column] = NULL;
    return true;
}

/* --- pushing --------------------------------------------------------------------------------- */

static enum err conditions_new(struct query *q, uint32_t n, const struct op *over,
                               struct conditions *out, struct diag *d)
{
    *out = (struct conditions){0};
    out->exprs = arena_array(&q->mem.a, struct expr *, n);
    out->columns = arena_array(&q->mem.a, bool, over->schema.n);
    return out->exprs != NULL && out->columns != NULL ? OK : query_full(q, d);
}

static void add(struct conditions *c, struct expr *e)
{
    c->exprs[c->n++] = e;
    expr_columns(e, c->columns);
}

/* Which sources e may go to: all of a union's, one of a join's. */
static uint32_t sources_for(const struct op *op, const struct expr *e,
                            struct expr *const *const *to, uint32_t n, bool *which)
{
    uint32_t found = 0;
    if (!expr_repeatable(e)) return 0;
    for (uint32_t k = 0; k < n && (op->kind == OP_UNION || found == 0); k++) {
        which[k] = passes(op, k) && can_move(e, to[k]);
        found += which[k];
    }
    return found;
}

enum err conditions_push(struct query *q, const struct op *op, const struct conditions *c,
                         struct conditions *stay, struct conditions *below, struct diag *d)
{
    struct arena *a = &q->mem.a;
    uint32_t n = 0;
    while (op_source(op, n) != NULL)
        n++;
    struct expr ***to = arena_array(a, struct expr **, n);
    bool *which = arena_array(a, bool, n);
    if (to == NULL || which == NULL) return query_full(q, d);
    for (uint32_t k = 0; k < n; k++) {
        to[k] = arena_array(a, struct expr *, op->schema.n);
        if (to[k] == NULL) return query_full(q, d);
        if (passes(op, k) && !columns_over(q, op, k, c->columns, to[k])) return query_full(q, d);
        TRY(conditions_new(q, c->n, op_source(op, k), &below[k], d));
    }
    TRY(conditions_new(q, c->n, op, stay, d));
    for (uint32_t i = 0; i < c->n; i++) {
        memset(which, 0, n * sizeof *which);
        if (sources_for(op, c->exprs[i], (struct expr *const *const *)to, n, which) == 0) {
            add(stay, c->exprs[i]);
        }
        for (uint32_t k = 0; k < n; k++) {
            if (!which[k]) continue;
            struct expr *e = moved(q, c->exprs[i], to[k]);
            if (e == NULL) return query_full(q, d);
            add(&below[k], e);
        }
    }
    return OK;
}
