/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_reduce.c - reduce: texts to patterns of texts */
#include "kql/bind.h"

#include "base/str.h"

static const struct ast *param_value(const struct ast *n, const char *name)
{
    for (uint32_t i = 0; i < n->params.n; i++) {
        if (strcmp(n->params.at[i]->name, name) == 0) return n->params.at[i]->left;
    }
    return NULL;
}

static enum err constant(struct op_cx *cx, const char *name, struct value otherwise,
                         struct expr **out)
{
    struct scope s = {.b = cx->b, .names = *cx->names, .where = "reduce"};
    const struct ast *n = param_value(cx->ast, name);
    if (n == NULL) return expr_const(cx->b, &otherwise, out);
    TRY(bind_const(&s, n, out));
    bool fine = otherwise.type == T_STRING ? (*out)->type == T_STRING
                                           : (TM((*out)->type) & TM_NUMERIC) != 0;
    if (!fine) {
        return FAIL_TAG(diag_at(cx->b->d, n->pos), ERR_INVALID, "SEM0064",
                        "reduce: %s must be a %s, not a %s", name, type_name(otherwise.type),
                        type_name((*out)->type));
    }
    return expr_cast(&s, n->pos, *out, otherwise.type, true, out);
}

/* The input's columns, which kind=source keeps, and the text behind them. */
static enum err with_text(struct op_cx *cx, uint32_t n_kept, struct op **out)
{
    struct binder *b = cx->b;
    struct scope s = scope_of(cx);
    struct named_expr *exprs = arena_array(b->a, struct named_expr, n_kept + 1);
    struct expr *text;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n_kept; i++) {
        exprs[i].name = cx->in->schema.cols[i].name;
        TRY(expr_col(b, &cx->in->schema, i, &exprs[i].expr));
    }
    TRY(bind_expr(&s, cx->ast->left, &text));
    if (text->type != T_STRING) {
        return FAIL_TAG(diag_at(b->d, cx->ast->left->pos), ERR_INVALID, "SEM0064",
                        "reduce wants a string, not a %s", type_name(text->type));
    }
    exprs[n_kept] = (struct named_expr){.name = "", .expr = text};
    return op_project(b, cx->in, cx->ast->pos, exprs, n_kept + 1, out);
}

enum err bind_reduce(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"kind", "threshold", "characters", NULL};
    struct binder *b = cx->b;
    struct column_list cols = {.b = b};
    struct op *in, *op;
    TRY(check_params(cx, allowed));
    const char *kind = param_word(cx->ast, "kind");
    if (kind != NULL && strcmp(kind, "source") != 0) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "the kind of 'reduce' is source, not '%s'", kind);
    }
    uint32_t n_kept = kind != NULL ? cx->in->schema.n : 0;
    TRY(with_text(cx, n_kept, &in));
    TRY(op_new(b, OP_WHOLE, in, cx->ast->pos, &op));
    op->whole.kind = WHOLE_REDUCE;
    op->whole.n_consts = 2;
    op->whole.consts = arena_array(b->a, struct expr *, 2);
    if (op->whole.consts == NULL) return bind_full(b);
    TRY(constant(cx, "threshold", (struct value){.type = T_REAL, .r = 0.1}, &op->whole.consts[0]));
    TRY(constant(cx, "characters", (struct value){.type = T_STRING}, &op->whole.consts[1]));

    struct schema none = {0};
    uint32_t place;
    TRY(columns_from(&cols, b, kind != NULL ? &cx->in->schema : &none));
    TRY(columns_append(&cols, "Pattern", T_STRING, &place));
    TRY(columns_append(&cols, "Count", T_LONG, &place));
    TRY(columns_append(&cols, "Representative", T_STRING, &place));
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    *out = op;
    return OK;
}
