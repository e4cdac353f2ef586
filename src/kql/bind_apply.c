/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_apply.c - a plan over each group of rows: mv-apply, partition
 *
 * mv-apply expands its columns as mv-expand does, and numbers the rows that it expands: what came
 * of one row is a group. Its plan sees all columns of the expansion. The result has the input's
 * columns but those that were expanded under their own names, and what the plan gives under other
 * names.
 */
#include "kql/bind.h"

static enum err apply_new(struct op_cx *cx, struct op *in, uint32_t n_columns, struct op **out)
{
    struct binder *b = cx->b;
    struct op *op, *group;
    TRY(op_new(b, OP_APPLY, in, cx->ast->pos, &op));
    b->group_depth++;
    TRY(op_new(b, OP_GROUP, NULL, cx->ast->pos, &group));
    group->schema = (struct schema){.n = n_columns, .cols = in->schema.cols};
    op->apply.group = group;
    op->apply.n_keys = 1;
    op->apply.keys = arena_new(b->a, struct expr *);
    if (op->apply.keys == NULL) return bind_full(b);
    *out = op;
    return OK;
}

static bool is_outer(const struct op *op, const char *name)
{
    for (uint32_t i = 0; i < op->apply.n_outer; i++) {
        if (strcmp(op->schema.cols[i].name, name) == 0) return true;
    }
    return false;
}

/* The outer columns are in the schema already; the plan's follow, but for names that are taken. */
static enum err apply_result(struct binder *b, struct op *op, struct op *plan)
{
    uint32_t n_outer = op->apply.n_outer, most = n_outer + plan->schema.n;
    struct column *cols = arena_array(b->a, struct column, most + 1);
    op->apply.sub_columns = arena_array(b->a, uint32_t, plan->schema.n + 1);
    if (cols == NULL || op->apply.sub_columns == NULL) return bind_full(b);
    if (n_outer > 0) memcpy(cols, op->schema.cols, n_outer * sizeof *cols);
    for (uint32_t i = 0; i < plan->schema.n; i++) {
        if (is_outer(op, plan->schema.cols[i].name)) continue;
        cols[n_outer + op->apply.n_sub] = plan->schema.cols[i];
        op->apply.sub_columns[op->apply.n_sub++] = i;
    }
    op->schema = (struct schema){.n = n_outer + op->apply.n_sub, .cols = cols};
    op->apply.plan = plan;
    return op_second_input(b, op, plan);
}

/* --- mv-apply -------------------------------------------------------------------------------- */

static bool is_replaced(const struct op *expand, uint32_t column)
{
    for (uint32_t i = 0; i < expand->mv_expand.n; i++) {
        if (expand->mv_expand.items[i].column == column) return true;
    }
    return false;
}

static enum err outer_columns(struct op_cx *cx, const struct op *expand, struct op *op)
{
    uint32_t n = cx->in->schema.n;
    struct column *cols = arena_array(cx->b->a, struct column, n + 1);
    op->apply.outer_columns = arena_array(cx->b->a, uint32_t, n + 1);
    if (cols == NULL || op->apply.outer_columns == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < n; i++) {
        if (is_replaced(expand, i)) continue;
        cols[op->apply.n_outer] = cx->in->schema.cols[i];
        op->apply.outer_columns[op->apply.n_outer++] = i;
    }
    op->schema = (struct schema){.n = op->apply.n_outer, .cols = cols};
    return OK;
}

enum err bind_mv_apply(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct op *expand, *op, *plan;
    TRY(bind_expansion(cx, true, &expand));
    uint32_t row_column = expand->mv_expand.row_column;
    TRY(apply_new(cx, expand, row_column, &op));
    TRY(expr_col(b, &expand->schema, row_column, &op->apply.keys[0]));
    TRY(bind_ops(b, *cx->names, cx->ast->right, op->apply.group, &plan));
    b->group_depth--;
    TRY(outer_columns(cx, expand, op));
    *out = op;
    return apply_result(b, op, plan);
}

/* --- partition ------------------------------------------------------------------------------- */

/* In { ... } the column is a table of the group's value, for toscalar(). */
static enum err bind_contextual(struct op_cx *cx, struct op *group, uint32_t col, struct op **out)
{
    struct binder *b = cx->b;
    struct binding *names = *cx->names, *inner;
    struct op *value, *first;
    struct value one = {.type = T_LONG, .i = 1};
    TRY(op_columns(b, group, cx->ast->pos, &col, NULL, 1, &value));
    TRY(op_new(b, OP_TAKE, value, cx->ast->pos, &first));
    TRY(expr_const(b, &one, &first->take.count));
    struct binding item = {.name = cx->ast->left->name, .kind = BIND_TABLE, .op = first};
    TRY(bind_push(b, &names, item));
    TRY(bind_body(b, names, NULL, cx->ast->body, &inner));
    if (cx->ast->body->result == NULL) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'partition' needs a query in { ... }");
    }
    return bind_table(b, inner, cx->ast->body->result, out);
}

#define LEGACY_GROUPS_MAX 64 /* documented for the strategy that is meant when none is given */

/* Operators that read another table, or are no part of a group's work. */
static bool only_legacy(enum ast_op op)
{
    return op == OPER_JOIN || op == OPER_LOOKUP || op == OPER_UNION || op == OPER_EVALUATE ||
           op == OPER_FORK || op == OPER_FACET || op == OPER_INVOKE;
}

/* native and shuffle take any number of groups, and no other tables. */
static enum err check_strategy(struct op_cx *cx, bool *legacy)
{
    const char *strategy = param_word(cx->ast, "hint.strategy");
    struct diag *d = cx->b->d;
    *legacy = strategy == NULL || strcmp(strategy, "legacy") == 0;
    if (*legacy) return OK;
    if (strcmp(strategy, "native") != 0 && strcmp(strategy, "shuffle") != 0) {
        return FAIL_TAG(diag_at(d, cx->ast->pos), ERR_INVALID, "SEM0001",
                        "hint.strategy is native, shuffle or legacy, not '%s'", strategy);
    }
    for (uint32_t i = 0; cx->ast->right != NULL && i < cx->ast->right->args.n; i++) {
        const struct ast *op = cx->ast->right->args.at[i];
        if (!only_legacy(op->op)) continue;
        return FAIL_TAG(diag_at(d, op->pos), ERR_INVALID, "SEM0001",
                        "'%s' cannot stand in 'partition' with hint.strategy=%s, but with legacy",
                        op->name, strategy);
    }
    return OK;
}

enum err bind_partition(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {NULL};
    bool legacy;
    struct binder *b = cx->b;
    struct scope s = scope_of(cx);
    const struct ast *by = cx->ast->left;
    struct op *op, *plan;
    int col = schema_find(&cx->in->schema, by->name);
    TRY(check_params(cx, allowed));
    TRY(check_strategy(cx, &legacy));
    if (col < 0) return no_column(&s, by->name, by->pos);
    if (cx->in->schema.cols[col].type == T_DYNAMIC) {
        return FAIL_TAG(diag_at(b->d, by->pos), ERR_INVALID, "SEM0061",
                        "a dynamic cannot be partitioned by; convert it first, as with tostring()");
    }
    TRY(apply_new(cx, cx->in, cx->in->schema.n, &op));
    op->apply.groups_max = legacy ? LEGACY_GROUPS_MAX : 0;
    TRY(expr_col(b, &cx->in->schema, (uint32_t)col, &op->apply.keys[0]));
    TRY(cx->ast->right != NULL ? bind_ops(b, *cx->names, cx->ast->right, op->apply.group, &plan)
                               : bind_contextual(cx, op->apply.group, (uint32_t)col, &plan));
    b->group_depth--;
    op->schema = (struct schema){0};
    *out = op;
    return apply_result(b, op, plan);
}
