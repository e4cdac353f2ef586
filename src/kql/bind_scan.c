/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_scan.c - scan: steps that rows match one after the other
 *
 * Expressions stand in a row of several parts (plan.h): the row under way, whose columns are named
 * plainly, and the last match of each step, whose columns are named step.column.
 */
#include "kql/bind.h"

struct scan_names {
    const struct ast *ast;
    const struct schema *one;  /* of a part: input and declared columns */
    const struct schema *wide; /* of all parts */
};

enum err bind_scan_path(struct scope *s, const struct ast *n, bool *found, struct expr **out)
{
    const struct scan_names *names = s->scan;
    const struct ast *base = n->args.at[0];
    for (uint32_t i = 0; base->kind == AST_NAME && i < names->ast->args.n; i++) {
        if (strcmp(names->ast->args.at[i]->name, base->name) != 0) continue;
        int col = schema_find(names->one, n->name);
        struct scope part = *s;
        part.row = names->one;
        if (col < 0) return no_column(&part, n->name, n->pos);
        *found = true;
        return expr_col(s->b, names->wide, names->one->n * (i + 1) + (uint32_t)col, out);
    }
    return OK;
}

static enum err declared_columns(struct op_cx *cx, struct scope *s, struct scan_steps *plan,
                                 struct schema *one)
{
    const struct ast_list *list = &cx->ast->by;
    struct column_list cols;
    TRY(columns_from(&cols, cx->b, &cx->in->schema));
    plan->n_declared = list->n;
    plan->defaults = arena_array(cx->b->a, struct expr *, list->n + 1);
    if (plan->defaults == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *c = list->at[i];
        struct value none = {.type = c->type, .is_null = c->type != T_STRING};
        uint32_t place;
        if (schema_find(&(struct schema){.n = cols.n, .cols = cols.cols}, c->name) >= 0) {
            return FAIL_TAG(diag_at(cx->b->d, c->pos), ERR_INVALID, "SEM0171",
                            "a column named '%s' is there already", c->name);
        }
        TRY(columns_append(&cols, c->name, c->type, &place));
        TRY(expr_const(cx->b, &none, &plan->defaults[i]));
        if (c->left == NULL) continue;
        TRY(bind_const(s, c->left, &plan->defaults[i]));
        TRY(expr_cast(s, c->pos, plan->defaults[i], c->type, true, &plan->defaults[i]));
    }
    *one = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

static enum err wide_schema(struct binder *b, const struct schema *one, uint32_t parts,
                            struct schema *out)
{
    struct column *cols = arena_array(b->a, struct column, (size_t)one->n * parts + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < parts && one->n > 0; i++)
        memcpy(cols + (size_t)i * one->n, one->cols, one->n * sizeof *cols);
    *out = (struct schema){.n = one->n * parts, .cols = cols};
    return OK;
}

static enum err step_output(struct op_cx *cx, const struct ast *n, struct scan_step *out)
{
    static const char *const words[] = {"all", "last", "none"};
    if (n->is_open) {
        return FAIL(diag_at(cx->b->d, n->pos), ERR_UNSUPPORTED,
                    "an optional step of 'scan' is not supported: it is not documented");
    }
    for (uint32_t i = 0; i < n->params.n; i++) {
        const struct ast *p = n->params.at[i];
        const char *word = p->left->kind == AST_NAME ? p->left->name : "";
        uint32_t k = 0;
        while (k < 3 && strcmp(words[k], word) != 0)
            k++;
        if (k == 3) {
            return FAIL_TAG(diag_at(cx->b->d, p->pos), ERR_INVALID, "SYN0002",
                            "the output of a step is all, last or none, not '%s'", word);
        }
        out->output = k;
    }
    return OK;
}

static enum err bind_step(struct op_cx *cx, struct scope *s, const struct ast *n,
                          const struct scan_steps *plan, struct scan_step *out)
{
    const struct schema *one = s->scan->one;
    uint32_t first = one->n - plan->n_declared;
    out->name = n->name;
    TRY(step_output(cx, n, out));
    TRY(bind_condition(s, n->left, &out->condition));
    out->values = arena_array(cx->b->a, struct expr *, plan->n_declared + 1);
    if (out->values == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < n->args.n; i++) {
        const struct ast *item = n->args.at[i];
        int col = item->kind == AST_NAMED ? schema_find(one, item->names.at[0]->name) : -1;
        if (col < (int)first) {
            return FAIL_TAG(diag_at(cx->b->d, item->pos), ERR_INVALID, "SEM0100",
                            "a step of 'scan' gives values to columns that it declares");
        }
        struct expr **value = &out->values[(uint32_t)col - first];
        TRY(bind_expr(s, item->left, value));
        TRY(expr_cast(s, item->pos, *value, one->cols[col].type, true, value));
    }
    return OK;
}

static enum err result_schema(struct op_cx *cx, const struct schema *one, struct op *op,
                              struct scan_steps *plan)
{
    struct column_list cols;
    uint32_t place;
    TRY(columns_from(&cols, cx->b, one));
    const char *id = param_word(cx->ast, "with_match_id");
    plan->match_id = id != NULL;
    if (id != NULL) TRY(columns_append(&cols, id, T_LONG, &place));
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    return OK;
}

enum err bind_scan(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"with_match_id", NULL};
    struct binder *b = cx->b;
    struct scan_steps *plan = arena_new(b->a, struct scan_steps);
    struct schema *one = arena_new(b->a, struct schema), *wide = arena_new(b->a, struct schema);
    struct scope s = {.b = b, .names = *cx->names, .where = "scan"};
    struct op *op;
    if (plan == NULL || one == NULL || wide == NULL) return bind_full(b);
    TRY(check_params(cx, allowed));
    TRY(op_new(b, OP_WHOLE, cx->in, cx->ast->pos, &op));
    op->whole.kind = WHOLE_SCAN;
    op->whole.more = plan;
    TRY(declared_columns(cx, &s, plan, one));
    TRY(wide_schema(b, one, cx->ast->args.n + 1, wide));

    const struct scan_names names = {.ast = cx->ast, .one = one, .wide = wide};
    s.row = one;
    s.base = wide;
    s.scan = &names;
    plan->n = cx->ast->args.n;
    plan->steps = arena_array(b->a, struct scan_step, plan->n + 1);
    if (plan->steps == NULL) return bind_full(b);
    for (uint32_t i = 0; i < plan->n; i++)
        TRY(bind_step(cx, &s, cx->ast->args.at[i], plan, &plan->steps[i]));
    *out = op;
    return result_schema(cx, one, op, plan);
}
