/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_source.c - rows from the query itself: datatable, print, range; and union */
#include "kql/bind.h"

#include "base/str.h"

/* --- datatable
 * -------------------------------------------------------------------------------------------- */

static enum err schema_of(struct binder *b, const struct ast *n, struct schema *out)
{
    struct name_set names = {.b = b};
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
        TRY(bind_const(&s, n->args.at[i], cell));
        TRY(expr_cast(&s, n->args.at[i]->pos, *cell, op->schema.cols[i % width].type, true, cell));
    }
    *out = op;
    return OK;
}

/* --- print
 * --------------------------------------------------------------------------------------------------
 */

/* One row without columns, for a projection to compute upon. */
static enum err one_row(struct binder *b, uint32_t pos, struct op **out)
{
    TRY(op_new(b, OP_ROWS, NULL, pos, out));
    (*out)->rows.n_rows = 1;
    return OK;
}

enum err bind_print(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    const struct ast_list *list = &cx->ast->args;
    struct scope s = {.b = b, .names = *cx->names, .where = "print"};
    struct name_set names = {.b = b};
    struct named_expr *exprs = arena_array(b->a, struct named_expr, list->n + 1);
    struct op *row;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *item = list->at[i];
        bool given = item->kind == AST_NAMED;
        const char *name = given ? item->names.at[0]->name : arena_fmt(b->a, "print_%u", i);
        if (name == NULL) return bind_full(b);
        TRY(bind_expr(&s, given ? item->left : item, &exprs[i].expr));
        TRY(names_add(&names, name, given, item->pos, &exprs[i].name));
    }
    TRY(one_row(b, cx->ast->pos, &row));
    return op_project(b, row, cx->ast->pos, exprs, list->n, out);
}

/* --- range
 * ---------------------------------------------------------------------------------------------------
 */

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

/* --- union
 * -----------------------------------------------------------------------------------------------------
 */

struct legs {
    struct op_cx *cx;
    bool fuzzy, inner;
    const char *source; /* withsource */
    uint32_t n, cap;
    struct op **ops;
    const char **names; /* of each, for withsource */
};

static enum err read_params(struct legs *l)
{
    const struct ast_list *params = &l->cx->ast->params;
    for (uint32_t i = 0; i < params->n; i++) {
        const struct ast *p = params->at[i];
        const char *word = p->left->kind == AST_NAME ? p->left->name : "";
        bool yes = p->left->kind == AST_CONST && p->left->value.type == T_BOOL && p->left->value.b;
        if (strcmp(p->name, "isfuzzy") == 0 || strcmp(p->name, "best_effort") == 0) {
            l->fuzzy = yes;
        } else if (strcmp(p->name, "withsource") == 0 || strcmp(p->name, "with_source") == 0) {
            l->source = word[0] != '\0' ? word : NULL;
            if (p->left->kind == AST_CONST && p->left->value.type == T_STRING) {
                l->source = arena_str(l->cx->b->a, p->left->value.s);
            }
        } else if (strcmp(p->name, "kind") == 0) {
            l->inner = strcmp(word, "inner") == 0;
            if (!l->inner && strcmp(word, "outer") != 0) {
                return FAIL_TAG(diag_at(l->cx->b->d, p->pos), ERR_INVALID, "SYN0002",
                                "the kind of a union is inner or outer, not '%s'", word);
            }
        } else if (strncmp(p->name, "hint.", 5) != 0) {
            return FAIL(diag_at(l->cx->b->d, p->pos), ERR_UNSUPPORTED,
                        "the parameter '%s' of union is not supported", p->name);
        }
    }
    return OK;
}

static enum err add_leg(struct legs *l, struct op *op, const char *name)
{
    struct binder *b = l->cx->b;
    if (l->n == l->cap) {
        uint32_t cap = l->cap == 0 ? 8 : l->cap * 2;
        struct op **ops = arena_array(b->a, struct op *, cap);
        const char **names = arena_array(b->a, const char *, cap);
        if (ops == NULL || names == NULL) return bind_full(b);
        if (l->n > 0) {
            memcpy(ops, l->ops, l->n * sizeof *ops);
            memcpy(names, l->names, l->n * sizeof *names);
        }
        l->ops = ops;
        l->names = names;
        l->cap = cap;
    }
    if (name == NULL) name = arena_fmt(b->a, "%s_arg%u", l->cx->ast->name, l->n);
    if (name == NULL) return bind_full(b);
    l->ops[l->n] = op;
    l->names[l->n++] = name;
    return OK;
}

/* T* means tables and views of the query; nothing needs to match. */
static enum err add_matching(struct legs *l, const struct ast *n)
{
    struct binder *b = l->cx->b;
    struct op *op;
    for (struct binding *v = *l->cx->names; v != NULL; v = v->up) {
        if (!v->is_view || !wildcard_match(n->name, v->name)) continue;
        struct ast name = {.kind = AST_NAME, .pos = n->pos, .name = v->name};
        TRY(bind_table(b, *l->cx->names, &name, &op));
        TRY(add_leg(l, op, v->name));
    }
    for (uint32_t i = 0; b->catalog->table_name != NULL; i++) {
        const char *name = b->catalog->table_name(b->catalog->ctx, i);
        if (name == NULL) break;
        if (!wildcard_match(n->name, name)) continue;
        TRY(find_table(b, name, n->pos, &op));
        TRY(add_leg(l, op, name));
    }
    return OK;
}

/* isfuzzy forgives a table that is not there, and nothing else. */
static bool is_missing(struct legs *l, const struct ast *n)
{
    while (n->kind == AST_PIPE && n->left != NULL)
        n = n->left;
    return n->kind == AST_NAME && !is_tabular(l->cx->b, *l->cx->names, n);
}

/* Tables and views go by their names, so does what `as` has named; all else is union_arg0 ... */
static const char *leg_name(const struct legs *l, const struct ast *n)
{
    if (n->kind == AST_NAME) {
        const struct binding *let = find_binding(*l->cx->names, n->name);
        return let == NULL || let->is_view ? n->name : NULL;
    }
    if (n->kind != AST_PIPE || n->args.n == 0) return NULL;
    const struct ast *last = n->args.at[n->args.n - 1];
    return last->op == OPER_AS ? last->name : NULL;
}

static enum err add_table(struct legs *l, const struct ast *n)
{
    struct op *op;
    if (n->kind == AST_WILDCARD) return add_matching(l, n);
    if (l->fuzzy && is_missing(l, n)) return OK;
    TRY(bind_table(l->cx->b, *l->cx->names, n, &op));
    return add_leg(l, op, leg_name(l, n));
}

/* A column of the result: a name, or a name and one of its types. */
struct merged {
    const char *name;
    enum type type;
    const char *as;
};

static bool has_column(const struct op *op, const char *name, enum type type)
{
    int at = schema_find(&op->schema, name);
    return at >= 0 && op->schema.cols[at].type == type;
}

static bool in_all(const struct legs *l, const char *name)
{
    for (uint32_t i = 0; i < l->n; i++) {
        if (schema_find(&l->ops[i]->schema, name) < 0) return false;
    }
    return true;
}

/* The types under which a name occurs, in the order of the legs. */
static uint32_t types_of(const struct legs *l, const char *name, enum type *types)
{
    uint32_t n = 0;
    unsigned seen = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        int at = schema_find(&l->ops[i]->schema, name);
        enum type t = at >= 0 ? l->ops[i]->schema.cols[at].type : T_NONE;
        if (at < 0 || (seen & TM(t)) != 0) continue;
        seen |= TM(t);
        types[n++] = t;
    }
    return n;
}

static bool is_merged(const struct merged *cols, uint32_t n, const char *name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(cols[i].name, name) == 0) return true;
    }
    return false;
}

/* A name with several types becomes several columns: x_long, x_string. */
static enum err merge_columns(struct legs *l, struct merged **out, uint32_t *n_out)
{
    struct binder *b = l->cx->b;
    size_t total = 0;
    for (uint32_t i = 0; i < l->n; i++)
        total += l->ops[i]->schema.n;
    struct merged *cols = arena_array(b->a, struct merged, total + 1);
    struct name_set names = {.b = b};
    uint32_t n = 0;
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < l->n; i++) {
        for (uint32_t c = 0; c < l->ops[i]->schema.n; c++) {
            const char *name = l->ops[i]->schema.cols[c].name;
            if (is_merged(cols, n, name) || (l->inner && !in_all(l, name))) continue;
            enum type types[N_TYPES];
            uint32_t n_types = types_of(l, name, types);
            for (uint32_t t = 0; t < n_types; t++) {
                const char *as =
                    n_types == 1 ? name : arena_fmt(b->a, "%s_%s", name, type_name(types[t]));
                if (as == NULL) return bind_full(b);
                cols[n] = (struct merged){.name = name, .type = types[t]};
                TRY(names_add(&names, as, false, 0, &cols[n++].as));
            }
        }
    }
    *out = cols;
    *n_out = n;
    return OK;
}

/* withsource: each leg gets its own name as the first column. */
static enum err add_source_column(struct legs *l, uint32_t leg)
{
    struct binder *b = l->cx->b;
    struct op *op = l->ops[leg];
    struct named_expr *exprs = arena_array(b->a, struct named_expr, op->schema.n + 1);
    if (exprs == NULL) return bind_full(b);
    exprs[0].name = l->source;
    TRY(expr_string(b, l->names[leg], &exprs[0].expr));
    uint32_t n = 1;
    for (uint32_t i = 0; i < op->schema.n; i++) {
        if (strcmp(op->schema.cols[i].name, l->source) == 0) continue;
        exprs[n].name = op->schema.cols[i].name;
        TRY(expr_col(b, &op->schema, i, &exprs[n++].expr));
    }
    return op_project(b, op, l->cx->ast->pos, exprs, n, &l->ops[leg]);
}

static enum err make_union(struct legs *l, struct op **out)
{
    struct binder *b = l->cx->b;
    struct merged *cols = NULL;
    uint32_t n = 0;
    struct op *op;
    TRY(merge_columns(l, &cols, &n));
    TRY(op_new(b, OP_UNION, NULL, l->cx->ast->pos, &op));
    struct column *schema = arena_array(b->a, struct column, n + 1);
    op->unions.columns = arena_array(b->a, uint32_t *, l->n + 1);
    if (schema == NULL || op->unions.columns == NULL) return bind_full(b);
    for (uint32_t c = 0; c < n; c++)
        schema[c] = (struct column){.name = cols[c].as, .type = cols[c].type};
    for (uint32_t i = 0; i < l->n; i++) {
        uint32_t *map = arena_array(b->a, uint32_t, n + 1);
        if (map == NULL) return bind_full(b);
        for (uint32_t c = 0; c < n; c++) {
            bool has = has_column(l->ops[i], cols[c].name, cols[c].type);
            map[c] = has ? (uint32_t)schema_find(&l->ops[i]->schema, cols[c].name) : UINT32_MAX;
        }
        op->unions.columns[i] = map;
        TRY(op_second_input(b, op, l->ops[i]));
    }
    op->schema = (struct schema){.n = n, .cols = schema};
    op->unions.n = l->n;
    op->unions.inputs = l->ops;
    op->input = l->n > 0 ? l->ops[0] : NULL;
    *out = op;
    return OK;
}

enum err bind_union(struct op_cx *cx, struct op **out)
{
    struct legs l = {.cx = cx};
    TRY(read_params(&l));
    if (cx->in != NULL) TRY(add_leg(&l, cx->in, NULL));
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(add_table(&l, cx->ast->args.at[i]));
    if (l.n == 0) {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0100",
                        "none of the tables of the union is there");
    }
    for (uint32_t i = 0; l.source != NULL && i < l.n; i++)
        TRY(add_source_column(&l, i));
    return make_union(&l, out);
}
