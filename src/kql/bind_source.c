/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_source.c - rows from the query itself: datatable, print, range */
#include "kql/bind.h"

#include "base/str.h"

/* --- datatable -------------------------------------------------------------------------------- */

enum err schema_of(struct binder *b, const struct ast *n, struct schema *out)
{
    struct name_set names = name_set_of(b);
    struct column *cols = arena_array(b->a, struct column, n->args.n + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n->args.n; i++) {
        const struct ast *c = n->args.at[i];
        TRY(names_add(&names, c->name, true, c->pos, &cols[i].name));
        cols[i].type = c->type;
    }
    *out = (struct schema){.n = n->args.n, .cols = cols};
    return OK;
}

/* 5, "x", datetime(2024-01-01), -1.5: nothing that is to be computed. */
static bool is_literal(const struct ast *n)
{
    if (n->kind == AST_CALL && n->is_open) return true; /* datetime() */
    bool sign = n->kind == AST_OPER && n->args.n == 1 && strcmp(n->name, "op not") != 0;
    return (sign ? n->args.at[0]->kind : n->kind) == AST_CONST;
}

enum err bind_datatable(struct binder *b, struct binding *names, const struct ast *n,
                        struct op **out)
{
    struct op *op;
    struct scope s = {.b = b, .names = names, .where = "datatable"};
    TRY(op_new(b, OP_ROWS, NULL, n->pos, &op));
    TRY(schema_of(b, n->left, &op->schema));
    uint32_t width = op->schema.n;
    if (width == 0 || n->args.n % width != 0) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0173",
                        "datatable has %u values, which is no multiple of its %u columns",
                        n->args.n, width);
    }
    op->rows.n_rows = n->args.n / width;
    op->rows.cells = arena_array(b->a, struct expr *, n->args.n + 1);
    if (op->rows.cells == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n->args.n; i++) {
        struct expr **cell = &op->rows.cells[i];
        if (!is_literal(n->args.at[i])) {
            return FAIL_TAG(diag_at(b->d, n->args.at[i]->pos), ERR_INVALID, "SYN0002",
                            "datatable takes literals, and computes nothing");
        }
        TRY(bind_const(&s, n->args.at[i], cell));
        TRY(expr_cast(&s, n->args.at[i]->pos, *cell, op->schema.cols[i % width].type, true, cell));
    }
    *out = op;
    return OK;
}

/* --- print ------------------------------------------------------------------------------------ */

/* One row without columns, for a projection to compute upon. */
static enum err one_row(struct binder *b, uint32_t pos, struct op **out)
{
    TRY(op_new(b, OP_ROWS, NULL, pos, out));
    (*out)->rows.n_rows = 1;
    return OK;
}

struct named_item { /* print_0 = item */
    struct ast name, whole, *names[1];
};

static enum err name_item(struct binder *b, struct ast *item, uint32_t i, struct ast **out)
{
    struct named_item *n = arena_new(b->a, struct named_item);
    if (n == NULL) return bind_full(b);
    n->name = (struct ast){.kind = AST_NAME, .pos = item->pos};
    n->name.name = arena_fmt(b->a, "print_%u", i);
    if (n->name.name == NULL) return bind_full(b);
    n->names[0] = &n->name;
    n->whole = (struct ast){.kind = AST_NAMED, .pos = item->pos, .left = item};
    n->whole.names = (struct ast_list){.n = 1, .at = n->names};
    *out = &n->whole;
    return OK;
}

/* One of the values gives several columns: a projection, in which the others have their names. */
static enum err print_several(struct op_cx *cx, struct op *row, struct op **out)
{
    struct ast print = *cx->ast;
    struct op_cx projected = *cx;
    print.args.at = arena_array(cx->b->a, struct ast *, print.args.n);
    if (print.args.at == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < print.args.n; i++) {
        struct ast *item = cx->ast->args.at[i];
        bool named = item->kind == AST_NAMED || gives_several(*cx->names, item);
        print.args.at[i] = item;
        if (!named) TRY(name_item(cx->b, item, i, &print.args.at[i]));
    }
    projected.ast = &print;
    projected.in = row;
    return bind_project(&projected, out);
}

static bool prints_several(struct op_cx *cx)
{
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        if (gives_several(*cx->names, cx->ast->args.at[i])) return true;
    }
    return false;
}

enum err bind_print(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    const struct ast_list *list = &cx->ast->args;
    struct scope s = {.b = b, .names = *cx->names, .where = "print"};
    struct name_set names = name_set_of(b);
    struct named_expr *exprs = arena_array(b->a, struct named_expr, list->n + 1);
    struct op *row;
    if (exprs == NULL) return bind_full(b);
    TRY(one_row(b, cx->ast->pos, &row));
    if (prints_several(cx)) return print_several(cx, row, out);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *item = list->at[i];
        bool given = item->kind == AST_NAMED;
        const char *name = given ? item->names.at[0]->name : arena_fmt(b->a, "print_%u", i);
        if (name == NULL) return bind_full(b);
        TRY(bind_expr(&s, given ? item->left : item, &exprs[i].expr));
        TRY(names_add(&names, name, given, item->pos, &exprs[i].name));
    }
    return op_project(b, row, cx->ast->pos, exprs, list->n, out);
}

/* --- range ------------------------------------------------------------------------------------ */

enum err bind_range(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    const struct ast *n = cx->ast;
    struct scope s = {.b = b, .names = *cx->names, .where = "range"};
    struct expr *from, *to, *step;
    TRY(bind_expr(&s, n->left, &from));
    TRY(bind_expr(&s, n->right, &to));
    TRY(bind_expr(&s, n->extra, &step));

    enum type type = from->type;
    bool numbers = (TM(type) & TM_NUMERIC) != 0;
    if (numbers) {
        if ((TM(to->type) & TM_NUMERIC) != 0) type = type_common(type, to->type);
        if ((TM(step->type) & TM_NUMERIC) != 0) type = type_common(type, step->type);
    } else if (type == T_DYNAMIC) {
        type = to->type != T_DYNAMIC ? to->type : T_LONG;
        numbers = (TM(type) & TM_NUMERIC) != 0;
    }
    if (!numbers && type != T_DATETIME && type != T_TIMESPAN) {
        return FAIL_TAG(diag_at(b->d, n->left->pos), ERR_INVALID, "SEM0064",
                        "'range' counts numbers, datetimes or timespans, not a %s",
                        type_name(type));
    }
    TRY(expr_cast(&s, n->left->pos, from, type, true, &from));
    TRY(expr_cast(&s, n->right->pos, to, type, true, &to));
    TRY(expr_cast(&s, n->extra->pos, step, numbers ? type : T_TIMESPAN, numbers, &step));

    struct column *col = arena_new(b->a, struct column);
    if (col == NULL) return bind_full(b);
    *col = (struct column){.name = n->name, .type = type};
    TRY(op_new(b, OP_RANGE, NULL, n->pos, out));
    (*out)->schema = (struct schema){.n = 1, .cols = col};
    (*out)->range.from = from;
    (*out)->range.to = to;
    (*out)->range.step = step;
    return OK;
}
