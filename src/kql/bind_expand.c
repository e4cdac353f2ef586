/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_expand.c - mv-expand, parse, invoke: operators that add columns to the input's or
 * replace them */
#include "kql/bind.h"

#include "base/str.h"

/* --- columns ---------------------------------------------------------------------------------- */

enum err columns_from(struct column_list *l, struct binder *b, const struct schema *in)
{
    *l = (struct column_list){.b = b, .n = in->n, .cap = in->n + 16};
    l->cols = arena_array(b->a, struct column, l->cap);
    if (l->cols == NULL) return bind_full(b);
    if (in->n > 0) memcpy(l->cols, in->cols, in->n * sizeof *l->cols);
    return OK;
}

static enum err columns_push(struct column_list *l, const char *name, enum type type,
                             uint32_t *place)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap * 2;
        struct column *cols = arena_array(l->b->a, struct column, cap);
        if (cols == NULL) return bind_full(l->b);
        memcpy(cols, l->cols, l->n * sizeof *cols);
        l->cols = cols;
        l->cap = cap;
    }
    *place = l->n;
    l->cols[l->n++] = (struct column){.name = name, .type = type};
    return OK;
}

enum err columns_set(struct column_list *l, const char *name, enum type type, uint32_t *place)
{
    struct schema s = {.n = l->n, .cols = l->cols};
    int at = schema_find(&s, name);
    if (at < 0) return columns_push(l, name, type, place);
    l->cols[at].type = type;
    *place = (uint32_t)at;
    return OK;
}

enum err columns_append(struct column_list *l, const char *name, enum type type, uint32_t *place)
{
    const char *unique = name;
    struct schema s = {.n = l->n, .cols = l->cols};
    for (uint32_t i = 1; schema_find(&s, unique) >= 0; i++) {
        unique = arena_fmt(l->b->a, "%s%u", name, i);
        if (unique == NULL) return bind_full(l->b);
    }
    return columns_push(l, unique, type, place);
}

/* --- mv-expand -------------------------------------------------------------------------------- */

/* a = d.x to typeof(long) */
static enum err bind_expanded(struct op_cx *cx, const struct ast *n, struct column_list *cols,
                              struct name_set *names, struct expanded *out)
{
    struct scope s = scope_of(cx);
    enum type to = T_DYNAMIC;
    if (n->kind == AST_TYPED) {
        to = n->type;
        n = n->left;
    }
    const struct ast *value = n->kind == AST_NAMED ? n->left : n;
    const char *name = n->kind == AST_NAMED ? n->names.at[0]->name : auto_name(cx->b, n);
    if (name[0] == '\0') TRY(names_unnamed(names, &name));
    TRY(bind_expr(&s, value, &out->expr));
    if (out->expr->type != T_DYNAMIC) {
        return FAIL_TAG(diag_at(cx->b->d, value->pos), ERR_INVALID, "SEM0141",
                        "'%s' wants a dynamic, not a %s; convert it with todynamic()",
                        cx->ast->name, type_name(out->expr->type));
    }
    return columns_set(cols, name, to, &out->column);
}

enum err bind_mv_expand(struct op_cx *cx, struct op **out)
{
    return bind_expansion(cx, false, out);
}

enum err bind_expansion(struct op_cx *cx, bool number_rows, struct op **out)
{
    static const char *const allowed[] = {"kind", "bagexpansion", "with_itemindex", NULL};
    struct binder *b = cx->b;
    struct column_list cols;
    struct name_set names = name_set_of(b);
    struct scope s = scope_of(cx);
    struct op *op;
    s.row = NULL;
    TRY(check_params(cx, allowed));
    TRY(columns_from(&cols, b, &cx->in->schema));
    TRY(op_new(b, OP_MV_EXPAND, cx->in, cx->ast->pos, &op));

    op->mv_expand.n = cx->ast->args.n;
    op->mv_expand.items = arena_array(b->a, struct expanded, cx->ast->args.n + 1);
    if (op->mv_expand.items == NULL) return bind_full(b);
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        TRY(bind_expanded(cx, cx->ast->args.at[i], &cols, &names, &op->mv_expand.items[i]));
    }
    const char *kind = param_word(cx->ast, "kind");
    if (kind == NULL) kind = param_word(cx->ast, "bagexpansion");
    op->mv_expand.bags_as_arrays = kind != NULL && strcmp(kind, "array") == 0;
    op->mv_expand.index_column = UINT32_MAX;
    const char *index = param_word(cx->ast, "with_itemindex");
    if (index != NULL) TRY(columns_append(&cols, index, T_LONG, &op->mv_expand.index_column));
    op->mv_expand.row_column = UINT32_MAX;
    if (number_rows) TRY(columns_append(&cols, "", T_LONG, &op->mv_expand.row_column));

    /* The older spelling stops at 128 rows. */
    struct value old = {.type = T_LONG, .i = 128};
    if (cx->ast->extra != NULL) {
        TRY(bind_long(&s, cx->ast->extra, &op->mv_expand.limit));
    } else if (strcmp(cx->ast->name, "mvexpand") == 0) {
        TRY(expr_const(b, &old, &op->mv_expand.limit));
    }
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    *out = op;
    return OK;
}

/* --- parse ------------------------------------------------------------------------------------ */

static enum err parse_params_of(struct op_cx *cx, struct op *op)
{
    static const char *const allowed[] = {"kind", "flags", NULL};
    TRY(check_params(cx, allowed));
    const char *kind = param_word(cx->ast, "kind");
    op->parse.flags = param_word(cx->ast, "flags");
    if (op->parse.flags == NULL) op->parse.flags = "";
    op->parse.mode = PARSE_SIMPLE;
    if (kind == NULL || strcmp(kind, "simple") == 0) return OK;
    if (strcmp(kind, "relaxed") == 0) {
        op->parse.mode = PARSE_RELAXED;
    } else if (strcmp(kind, "regex") == 0) {
        op->parse.mode = PARSE_REGEX;
    } else {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'%s' is simple, relaxed or regex, not '%s'", cx->ast->name, kind);
    }
    return OK;
}

static enum err parse_column(const struct ast *n, struct column_list *cols, struct name_set *given,
                             struct parse_item *out)
{
    const char *name;
    enum type type = n->kind == AST_TYPED ? n->type : T_STRING;
    out->kind = PARSE_COLUMN;
    TRY(names_add(given, n->name, true, n->pos, &name));
    return columns_set(cols, name, type, &out->column);
}

static enum err parse_items(struct op_cx *cx, struct op *op, struct column_list *cols)
{
    struct name_set given = name_set_of(cx->b);
    const struct ast_list *list = &cx->ast->args;
    op->parse.n = list->n;
    op->parse.items = arena_array(cx->b->a, struct parse_item, list->n + 1);
    if (op->parse.items == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *n = list->at[i];
        struct parse_item *item = &op->parse.items[i];
        enum parse_kind before = i > 0 ? op->parse.items[i - 1].kind : PARSE_TEXT;
        /* A column before a star ends where its type's text does. */
        bool gap = before == PARSE_TEXT || (before == PARSE_COLUMN && n->kind == AST_STAR);
        if (n->kind == AST_CONST) {
            *item = (struct parse_item){.kind = PARSE_TEXT, .text = n->value.s};
        } else if (!gap) {
            return FAIL_TAG(diag_at(cx->b->d, n->pos), ERR_INVALID, "SYN0002",
                            "'%s' needs a text between two columns", cx->ast->name);
        } else if (n->kind == AST_STAR) {
            item->kind = PARSE_STAR;
        } else {
            TRY(parse_column(n, cols, &given, item));
        }
    }
    return OK;
}

enum err bind_parse(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct scope s = scope_of(cx);
    struct column_list cols;
    struct op *op;
    TRY(op_new(b, OP_PARSE, cx->in, cx->ast->pos, &op));
    TRY(parse_params_of(cx, op));
    TRY(bind_expr(&s, cx->ast->left, &op->parse.source));
    TRY(expr_cast(&s, cx->ast->left->pos, op->parse.source, T_STRING, true, &op->parse.source));
    op->parse.where = cx->ast->op == OPER_PARSE_WHERE;
    TRY(columns_from(&cols, b, &cx->in->schema));
    TRY(parse_items(cx, op, &cols));
    op->schema = (struct schema){.n = cols.n, .cols = cols.cols};
    *out = op;
    return OK;
}

/* --- invoke ----------------------------------------------------------------------------------- */

enum err bind_invoke(struct op_cx *cx, struct op **out)
{
    const struct ast *call = cx->ast->left;
    struct scope s = scope_of(cx);
    struct binding *f = find_binding(*cx->names, call->kind == AST_CALL ? call->name : "");
    if (f == NULL || f->kind != BIND_FUNCTION) {
        return FAIL_TAG(diag_at(cx->b->d, call->pos), ERR_INVALID, "SEM0260",
                        "'invoke' wants a function of the query, as let f = (T:(*)) {...}");
    }
    s.row = s.base = NULL;
    return bind_function_table(&s, f, call, cx->in, out);
}
