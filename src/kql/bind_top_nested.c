/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_top_nested.c - top-nested: the best of each level within the best of the level above
 *
 * Level j is a summarize by the keys of levels 1..j. Their results go side by side into one table
 * (plan.h), of which exec/whole_top_nested.c picks.
 */
#include "kql/bind.h"

#include <stdio.h>

#define LEVELS_MAX 64

struct nest {
    struct op_cx *cx;
    uint32_t n;
    const struct ast *const *clauses;
    struct nested_levels *plan;
    struct op **levels;
};

static const struct ast *value_of(const struct ast *n)
{
    return n->kind == AST_NAMED ? n->left : n;
}

/* What `with others` adds up must be what the groups' values can be added up to. */
static enum err others_of(struct nest *t, const struct ast *clause, struct nested_level *out)
{
    static const struct {
        const char *agg;
        int combine;
    } known[] = {{"count", NESTED_SUM}, {"countif", NESTED_SUM}, {"sum", NESTED_SUM},
                 {"sumif", NESTED_SUM}, {"min", NESTED_MIN},     {"minif", NESTED_MIN},
                 {"max", NESTED_MAX},   {"maxif", NESTED_MAX}};
    struct binder *b = t->cx->b;
    const struct ast *agg = value_of(clause->extra->left);
    if (clause->args.n == 0) return OK;
    struct scope s = {.b = b, .names = *t->cx->names, .where = "top-nested"};
    TRY(bind_const(&s, clause->args.at[0], &out->others));
    for (size_t i = 0; agg->kind == AST_CALL && i < sizeof known / sizeof known[0]; i++) {
        out->combine = known[i].combine;
        if (strcmp(agg->name, known[i].agg) == 0) return OK;
    }
    return FAIL(diag_at(b->d, clause->pos), ERR_UNSUPPORTED,
                "'with others' of 'top-nested' is supported for count(), sum(), min() and max() "
                "only");
}

/* summarize agg by key1 ... keyj, under the names that the result has. */
static enum err summarize_level(struct nest *t, uint32_t level, struct op **out)
{
    struct ast *by[LEVELS_MAX], *agg = t->clauses[level]->extra->left;
    for (uint32_t i = 0; i <= level; i++)
        by[i] = t->clauses[i]->right;
    struct ast summarize = {.kind = AST_OPERATOR,
                            .op = OPER_SUMMARIZE,
                            .name = t->cx->ast->name,
                            .pos = t->clauses[level]->pos,
                            .args = {.n = 1, .at = &agg},
                            .by = {.n = level + 1, .at = by}};
    struct op_cx inner = *t->cx;
    inner.ast = &summarize;
    return bind_summarize(&inner, out);
}

static enum err bind_level(struct nest *t, uint32_t level)
{
    struct binder *b = t->cx->b;
    const struct ast *clause = t->clauses[level];
    struct nested_level *out = &t->plan->levels[level];
    struct scope s = {.b = b, .names = *t->cx->names, .where = "top-nested"};
    out->has_count = clause->left != NULL;
    if (out->has_count) TRY(bind_long(&s, clause->left, &out->count));
    out->ascending = !clause->extra->descending;
    TRY(others_of(t, clause, out));
    TRY(summarize_level(t, level, &t->levels[level]));
    enum type key = t->levels[level]->schema.cols[level].type;
    if (out->others == NULL) return OK;
    return expr_cast(&s, clause->pos, out->others, key, true, &out->others);
}

/* level, keys, aggregates: what the level does not have is null. */
static enum err widen(struct nest *t, uint32_t level, struct op **out)
{
    struct binder *b = t->cx->b;
    const struct op *last = t->levels[t->n - 1];
    struct op *in = t->levels[level];
    struct named_expr *exprs = arena_array(b->a, struct named_expr, 2 * (size_t)t->n + 1);
    if (exprs == NULL) return bind_full(b);
    struct value number = {.type = T_LONG, .i = level};
    exprs[0].name = "";
    TRY(expr_const(b, &number, &exprs[0].expr));
    for (uint32_t i = 0; i < 2 * t->n; i++) {
        uint32_t at = i % t->n;
        bool key = i < t->n, has = key ? at <= level : at == level;
        enum type type = key ? last->schema.cols[at].type : t->levels[at]->schema.cols[at + 1].type;
        struct value none = {.type = type, .is_null = type != T_STRING};
        exprs[i + 1].name = "";
        TRY(has ? expr_col(b, &in->schema, key ? at : level + 1, &exprs[i + 1].expr)
                : expr_const(b, &none, &exprs[i + 1].expr));
    }
    return op_project(b, in, t->cx->ast->pos, exprs, 2 * t->n + 1, out);
}

static enum err side_by_side(struct nest *t, struct op **out)
{
    struct binder *b = t->cx->b;
    uint32_t width = 2 * t->n + 1;
    struct op *op;
    TRY(op_new(b, OP_UNION, NULL, t->cx->ast->pos, &op));
    op->unions.inputs = arena_array(b->a, struct op *, t->n);
    op->unions.columns = arena_array(b->a, uint32_t *, t->n);
    uint32_t *same = arena_array(b->a, uint32_t, width);
    if (op->unions.inputs == NULL || op->unions.columns == NULL || same == NULL)
        return bind_full(b);
    for (uint32_t i = 0; i < width; i++)
        same[i] = i;
    for (uint32_t i = 0; i < t->n; i++) {
        TRY(widen(t, i, &op->unions.inputs[i]));
        TRY(op_second_input(b, op, op->unions.inputs[i]));
        op->unions.columns[i] = same;
    }
    op->unions.n = t->n;
    op->input = op->unions.inputs[0];
    op->schema = op->input->schema;
    *out = op;
    return OK;
}

static enum err result_schema(struct nest *t, struct op *op)
{
    struct binder *b = t->cx->b;
    struct name_set names = name_set_of(b);
    struct column *cols = arena_array(b->a, struct column, 2 * (size_t)t->n);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < t->n; i++) {
        const struct ast *agg = t->clauses[i]->extra->left, *key = t->clauses[i]->right;
        const struct column *made = t->levels[i]->schema.cols;
        const char *name = auto_name(b, key);
        if (agg->kind == AST_NAMED) {
            name = agg->names.at[0]->name;
        } else {
            name = arena_fmt(b->a, "aggregated_%s", name);
        }
        if (name == NULL) return bind_full(b);
        TRY(names_add(&names, made[i].name, false, key->pos, &cols[2 * i].name));
        TRY(names_add(&names, name, false, agg->pos, &cols[2 * i + 1].name));
        cols[2 * i].type = made[i].type;
        cols[2 * i + 1].type = made[i + 1].type;
    }
    op->schema = (struct schema){.n = 2 * t->n, .cols = cols};
    return OK;
}

enum err bind_top_nested(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct nest t = {.cx = cx, .n = cx->ast->args.n};
    struct op *in;
    if (t.n > LEVELS_MAX) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_LIMIT, "SEM0001",
                        "'top-nested' has more than %d levels", LEVELS_MAX);
    }
    t.clauses = (const struct ast *const *)cx->ast->args.at;
    t.plan = arena_new(b->a, struct nested_levels);
    t.levels = arena_array(b->a, struct op *, t.n);
    if (t.plan == NULL || t.levels == NULL) return bind_full(b);
    t.plan->n = t.n;
    t.plan->levels = arena_array(b->a, struct nested_level, t.n);
    if (t.plan->levels == NULL) return bind_full(b);
    for (uint32_t i = 0; i < t.n; i++)
        TRY(bind_level(&t, i));
    TRY(side_by_side(&t, &in));
    TRY(op_new(b, OP_WHOLE, in, cx->ast->pos, out));
    (*out)->whole.kind = WHOLE_TOP_NESTED;
    (*out)->whole.more = t.plan;
    return result_schema(&t, *out);
}
