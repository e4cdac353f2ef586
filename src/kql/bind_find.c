/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_find.c - find: rows of several tables, with what they have in common as columns
 *
 * Without `project` the result has the columns that all tables have, then those of the predicate,
 * and what else a table has in the bag pack_. A column that a table lacks is null there. One of the
 * predicate that has several types is a column for each: k_long, k_string.
 */
#include "kql/bind.h"

struct find {
    struct op_cx *cx;
    struct legs legs;
    struct column_list cols;  /* of the result, without source_ and pack_ */
    struct column_list used;  /* by the predicate */
    struct column_list split; /* those of the predicate that are a column for each of their types */
    bool pack;
};

/* The column of that name in the first table that has it. */
static const struct column *find_column(const struct find *f, const char *name)
{
    for (uint32_t i = 0; i < f->legs.n; i++) {
        const struct schema *s = &f->legs.ops[i]->schema;
        int at = schema_find(s, name);
        if (at >= 0) return &s->cols[at];
    }
    return NULL;
}

static bool in_all(const struct find *f, const struct column *c)
{
    for (uint32_t i = 0; i < f->legs.n; i++) {
        const struct schema *s = &f->legs.ops[i]->schema;
        int at = schema_find(s, c->name);
        if (at < 0 || s->cols[at].type != c->type) return false;
    }
    return true;
}

static bool has_column(const struct column_list *l, const char *name)
{
    return schema_find(&(struct schema){.n = l->n, .cols = l->cols}, name) >= 0;
}

static enum err add_column(struct find *f, struct column_list *to, const char *name, enum type type)
{
    uint32_t place;
    if (has_column(to, name)) return OK;
    if (f->legs.source != NULL && strcmp(f->legs.source, name) == 0 && to == &f->cols) return OK;
    return columns_set(to, name, type, &place);
}

/* Names in the predicate that are columns of some table. */
static enum err used_columns(struct find *f, const struct ast *n)
{
    if (n->kind == AST_NAME) {
        const struct column *c = find_column(f, n->name);
        return c != NULL ? add_column(f, &f->used, c->name, c->type) : OK;
    }
    for (uint32_t i = 0; i < n->args.n; i++)
        TRY(used_columns(f, n->args.at[i]));
    return n->left != NULL ? used_columns(f, n->left) : OK;
}

/* Tables have it with more than one type. */
static bool has_types(const struct find *f, const char *name)
{
    const struct column *first = find_column(f, name);
    for (uint32_t i = 0; first != NULL && i < f->legs.n; i++) {
        const struct schema *s = &f->legs.ops[i]->schema;
        int at = schema_find(s, name);
        if (at >= 0 && s->cols[at].type != first->type) return true;
    }
    return false;
}

/* A column of the result for each of the types. */
static enum err split_column(struct find *f, const char *name)
{
    TRY(add_column(f, &f->split, name, T_STRING));
    for (uint32_t i = 0; i < f->legs.n; i++) {
        const struct schema *s = &f->legs.ops[i]->schema;
        int at = schema_find(s, name);
        if (at < 0) continue;
        enum type t = s->cols[at].type;
        const char *own = arena_fmt(f->cx->b->a, "%s_%s", name, type_name(t));
        if (own == NULL) return bind_full(f->cx->b);
        TRY(add_column(f, &f->cols, own, t));
    }
    return OK;
}

/* Column c of the result is which of the tables? */
static const char *origin(const struct find *f, const struct column *c)
{
    for (uint32_t i = 0; i < f->split.n; i++) {
        const char *name = f->split.cols[i].name;
        size_t n = strlen(name);
        bool own = strncmp(c->name, name, n) == 0 && c->name[n] == '_' &&
                   strcmp(c->name + n + 1, type_name(c->type)) == 0;
        if (own) return name;
    }
    return c->name;
}

/* As it is, or split. */
static bool is_shown(const struct find *f, const char *name)
{
    return has_column(&f->cols, name) || has_column(&f->split, name);
}

static enum err common_columns(struct find *f)
{
    const struct schema *first = &f->legs.ops[0]->schema;
    for (uint32_t i = 0; i < first->n; i++) {
        if (in_all(f, &first->cols[i]))
            TRY(add_column(f, &f->cols, first->cols[i].name, first->cols[i].type));
    }
    for (uint32_t i = 0; i < f->used.n; i++) {
        const struct column *c = &f->used.cols[i];
        TRY(has_types(f, c->name) ? split_column(f, c->name)
                                  : add_column(f, &f->cols, c->name, c->type));
    }
    for (uint32_t k = 0; k < f->legs.n; k++) {
        const struct schema *s = &f->legs.ops[k]->schema;
        for (uint32_t i = 0; i < s->n; i++)
            f->pack |= !is_shown(f, s->cols[i].name);
    }
    return OK;
}

/* In none of the tables. */
static enum err no_such_column(const struct find *f, const struct ast *n)
{
    struct nearest best = nearest_to(n->name);
    for (uint32_t k = 0; k < f->legs.n; k++) {
        const struct schema *s = &f->legs.ops[k]->schema;
        for (uint32_t i = 0; i < s->n; i++)
            nearest_try(&best, s->cols[i].name);
    }
    return FAIL_TAG(diag_at(f->cx->b->d, n->pos), ERR_INVALID, "SEM0100",
                    "'find' finds no column or value named '%s'" NEAREST_FMT, n->name,
                    NEAREST_ARGS(best.name));
}

/* pack(*), pack_all() */
static bool is_pack(const struct ast *n)
{
    return n->kind == AST_CALL &&
           (strcmp(n->name, "pack") == 0 || strcmp(n->name, "pack_all") == 0);
}

static enum err wants_type(const struct find *f, const struct ast *n)
{
    return FAIL_TAG(diag_at(f->cx->b->d, n->pos), ERR_INVALID, "SEM0001",
                    "'%s' has several types in the tables of 'find'; say which, as %s:string",
                    n->name, n->name);
}

/* project a, b:long, pack(*) */
static enum err named_columns(struct find *f)
{
    const struct ast_list *list = &f->cx->ast->by;
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *n = list->at[i];
        const struct column *c = n->name != NULL ? find_column(f, n->name) : NULL;
        if (is_pack(n)) {
            f->pack = true;
        } else if (n->kind == AST_TYPED) {
            TRY(add_column(f, &f->cols, n->name, n->type));
        } else if (n->kind == AST_NAME && c != NULL) {
            if (has_types(f, n->name)) return wants_type(f, n);
            TRY(add_column(f, &f->cols, c->name, c->type));
        } else if (n->kind == AST_NAME) {
            return no_such_column(f, n);
        } else {
            return FAIL_TAG(diag_at(f->cx->b->d, n->pos), ERR_INVALID, "SYN0002",
                            "'find' projects columns by their names, and pack(*)");
        }
    }
    return OK;
}

/* --- one table -------------------------------------------------------------------------------- */

/* A column that the table lacks is null. */
static enum err leg_value(struct find *f, const struct schema *leg, const struct column *c,
                          struct expr **out)
{
    struct scope s = {.b = f->cx->b, .row = leg, .base = leg, .where = "find"};
    const char *name = origin(f, c);
    int at = schema_find(leg, name);
    if (at >= 0 && (name == c->name || leg->cols[at].type == c->type)) {
        TRY(expr_col(s.b, leg, (uint32_t)at, out));
        return expr_cast(&s, f->cx->ast->pos, *out, c->type, true, out);
    }
    struct value none = {.type = c->type, .is_null = c->type != T_STRING};
    return expr_const(s.b, &none, out);
}

/* The table with nulls for the predicate's columns that it lacks, filtered. */
static enum err filter_leg(struct find *f, const struct ast *condition, struct op *in,
                           struct op **out)
{
    struct binder *b = f->cx->b;
    uint32_t n = in->schema.n;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n + f->used.n + 1);
    struct op *wide = in;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i].name = in->schema.cols[i].name;
        TRY(expr_col(b, &in->schema, i, &exprs[i].expr));
    }
    for (uint32_t i = 0; i < f->used.n; i++) {
        if (schema_find(&in->schema, f->used.cols[i].name) >= 0) continue;
        exprs[n].name = f->used.cols[i].name;
        TRY(leg_value(f, &in->schema, &f->used.cols[i], &exprs[n++].expr));
    }
    if (n > in->schema.n) TRY(op_project(b, in, f->cx->ast->pos, exprs, n, &wide));
    struct scope s = {.b = b,
                      .names = *f->cx->names,
                      .row = &wide->schema,
                      .base = &wide->schema,
                      .where = "find"};
    TRY(op_new(b, OP_FILTER, wide, f->cx->ast->pos, out));
    return bind_condition(&s, condition, &(*out)->filter.condition);
}

static enum err pack_rest(struct find *f, const struct schema *leg, uint32_t n_own,
                          struct expr **out)
{
    struct binder *b = f->cx->b;
    struct scope s = {.b = b, .row = leg, .base = leg, .where = "find"};
    struct expr **args = arena_array(b->a, struct expr *, 2 * (size_t)n_own + 1);
    struct value none = {.type = T_DYNAMIC, .is_null = true};
    uint32_t n = 0;
    if (args == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n_own; i++) {
        if (is_shown(f, leg->cols[i].name)) continue;
        TRY(expr_string(b, leg->cols[i].name, &args[n++]));
        TRY(expr_col(b, leg, i, &args[n++]));
    }
    if (n == 0) return expr_const(b, &none, out);
    return expr_call(&s, f->cx->ast->pos, "bag_pack", args, n, out);
}

static enum err shape_leg(struct find *f, const struct ast *condition, uint32_t leg)
{
    struct binder *b = f->cx->b;
    struct op *in = f->legs.ops[leg], *rows;
    uint32_t n = 0, n_own = in->schema.n;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)f->cols.n + 3);
    if (exprs == NULL) return bind_full(b);
    TRY(filter_leg(f, condition, in, &rows));
    exprs[n].name = f->legs.source;
    TRY(expr_string(b, f->legs.names[leg], &exprs[n++].expr));
    for (uint32_t i = 0; i < f->cols.n; i++) {
        exprs[n].name = f->cols.cols[i].name;
        TRY(leg_value(f, &rows->schema, &f->cols.cols[i], &exprs[n++].expr));
    }
    if (f->pack) {
        exprs[n].name = "pack_";
        TRY(pack_rest(f, &rows->schema, n_own, &exprs[n++].expr));
    }
    return op_project(b, rows, f->cx->ast->pos, exprs, n, &f->legs.ops[leg]);
}

static enum err find_tables(struct find *f)
{
    struct op_cx *cx = f->cx;
    struct ast all = {.kind = AST_WILDCARD, .name = "*", .pos = cx->ast->pos};
    struct ast *any = &all;
    struct ast_list every = {.n = 1, .at = &any};
    if (cx->in != NULL) {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'find' begins a query; its tables stand in (...)");
    }
    return bind_legs(&f->legs, cx, cx->ast->args.n > 0 ? &cx->ast->args : &every);
}

enum err bind_find(struct op_cx *cx, struct op **out)
{
    struct find f = {.cx = cx};
    struct ast *condition;
    const struct schema none = {0};
    TRY(find_tables(&f));
    if (f.legs.source == NULL) f.legs.source = "source_";
    TRY(search_condition(cx->b, cx->ast->left, false, &condition));
    TRY(columns_from(&f.cols, cx->b, &none));
    TRY(columns_from(&f.used, cx->b, &none));
    TRY(columns_from(&f.split, cx->b, &none));
    TRY(used_columns(&f, condition));
    TRY(cx->ast->by.n > 0 ? named_columns(&f) : common_columns(&f));
    for (uint32_t i = 0; i < f.legs.n; i++)
        TRY(shape_leg(&f, condition, i));
    return make_union(&f.legs, out);
}
