/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_op.c - operators that filter, compute, order and rename */
#include "kql/bind.h"

#include "base/str.h"

#include <stdlib.h>

struct scope scope_of(struct op_cx *cx)
{
    const struct schema *row = cx->in != NULL ? &cx->in->schema : NULL;
    return (struct scope){.b = cx->b,
                          .names = *cx->names,
                          .row = row,
                          .base = row,
                          .dotted = cx->dotted,
                          .is_open = cx->in != NULL && cx->in->is_open,
                          .is_loose = cx->in != NULL && (cx->in->is_open || cx->in->is_loose),
                          .where = cx->ast->name};
}

/* --- projections ------------------------------------------------------------------------------ */

enum err op_project(struct binder *b, struct op *in, uint32_t pos, const struct named_expr *exprs,
                    uint32_t n, struct op **out)
{
    struct op *op;
    TRY(op_new(b, OP_PROJECT, in, pos, &op));
    struct column *cols = arena_array(b->a, struct column, n + 1);
    op->project.exprs = arena_array(b->a, struct expr *, n + 1);
    if (cols == NULL || op->project.exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = (struct column){.name = exprs[i].name, .type = exprs[i].expr->type};
        op->project.exprs[i] = exprs[i].expr;
    }
    op->project.n = n;
    op->schema = (struct schema){.n = n, .cols = cols};
    *out = op;
    return OK;
}

enum err op_columns(struct binder *b, struct op *in, uint32_t pos, const uint32_t *cols,
                    const char *const *names, uint32_t n, struct op **out)
{
    struct named_expr *exprs = arena_array(b->a, struct named_expr, n + 1);
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i].name = names != NULL ? names[i] : in->schema.cols[cols[i]].name;
        TRY(expr_col(b, &in->schema, cols[i], &exprs[i].expr));
    }
    return op_project(b, in, pos, exprs, n, out);
}

/* name = expr, or expr: the expression and the name that was given or found; *given as in name_set.
 */
static enum err bind_item(struct scope *s, const struct ast *n, struct expr **expr,
                          const char **name, bool *given)
{
    const struct ast *value = n;
    *name = "";
    *given = false;
    if (n->kind == AST_NAMED) {
        if (n->names.n > 1) {
            return FAIL(diag_at(s->b->d, n->pos), ERR_UNSUPPORTED,
                        "several columns from one expression are not supported in '%s'", s->where);
        }
        value = n->left;
        *name = n->names.at[0]->name;
        *given = true;
    } else {
        *given = names_itself(n);
    }
    if (is_tabular(s->b, s->names, value) && value->kind != AST_NAME) {
        return FAIL_TAG(diag_at(s->b->d, value->pos), ERR_INVALID, "SEM0001",
                        "'%s' wants a value, not a table; use toscalar()", s->where);
    }
    TRY(bind_expr(s, value, expr));
    if (n->kind != AST_NAMED) *name = bound_name(s->b, n, *expr);
    return OK;
}

/* What the items of extend and project become, while they are bound. */
struct items {
    struct op_cx *cx;
    struct op *in;     /* cx->in, and behind its columns the bags of bind_several.c */
    uint32_t next_bag; /* column of in */
    struct name_set names;
    uint32_t n, cap;
    struct named_expr *exprs;
    struct name_index places; /* extend: of names in exprs */
    bool *given;              /* extend: by this operator, not by the input */
};

static enum err items_init(struct items *t, struct op_cx *cx, bool keep_input)
{
    struct scope s = scope_of(cx);
    uint32_t n = cx->in->schema.n;
    *t = (struct items){.cx = cx, .names = name_set_of(cx->b), .next_bag = n};
    TRY(bind_bags(&s, &cx->ast->args, cx->in, &t->in));
    size_t cap = (size_t)n + (size_t)cx->ast->args.n * (t->in == cx->in ? 1 : SEVERAL_MAX) + 1;
    t->exprs = arena_array(cx->b->a, struct named_expr, cap);
    t->given = arena_array(cx->b->a, bool, cap);
    if (t->exprs == NULL || t->given == NULL) return bind_full(cx->b);
    name_index_init(&t->places, cx->b->a);
    for (uint32_t i = 0; keep_input && i < n; i++) {
        const char *name = t->exprs[i].name = cx->in->schema.cols[i].name;
        bool there = name_index_get(&t->places, name) != NULL;
        if (!there && !name_index_put(&t->places, name, i)) return bind_full(cx->b);
        TRY(expr_col(cx->b, &cx->in->schema, i, &t->exprs[i].expr));
        t->n++;
    }
    return OK;
}

typedef enum err items_put(struct items *t, const struct ast *item, const struct several_column *c);

static enum err bind_items(struct items *t, items_put *put)
{
    const struct ast_list *list = &t->cx->ast->args;
    struct scope s = scope_of(t->cx);
    struct several_column columns[SEVERAL_MAX];
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *item = list->at[i];
        uint32_t n = 1;
        if (gives_several(s.names, item)) {
            struct expr *bag;
            TRY(expr_col(s.b, &t->in->schema, t->next_bag++, &bag));
            TRY(bind_members(&s, item, bag, columns, &n));
        } else {
            TRY(bind_item(&s, item, &columns[0].expr, &columns[0].name, &columns[0].given));
        }
        for (uint32_t k = 0; k < n; k++)
            TRY(put(t, item, &columns[k]));
    }
    return OK;
}

static enum err put_projected(struct items *t, const struct ast *item,
                              const struct several_column *c)
{
    const char *name = c->name;
    if (name[0] == '\0') TRY(names_unnamed(&t->names, &name));
    t->exprs[t->n].expr = c->expr;
    return names_add(&t->names, name, c->given, item->pos, &t->exprs[t->n++].name);
}

enum err bind_project(struct op_cx *cx, struct op **out)
{
    struct items t;
    TRY(items_init(&t, cx, false));
    TRY(bind_items(&t, put_projected));
    return op_project(cx->b, t.in, cx->ast->pos, t.exprs, t.n, out);
}

static uint32_t find_item(const struct items *t, const char *name)
{
    const uint32_t *at = name_index_get(&t->places, name);
    return at != NULL ? *at : t->n;
}

/* What has a name that is there already takes that column's place, but for names that nobody gave:
 * those are new. */
static enum err put_extended(struct items *t, const struct ast *item,
                             const struct several_column *c)
{
    const char *name = c->name;
    bool unnamed = name[0] == '\0';
    if (unnamed) TRY(names_unnamed(&t->names, &name));
    while (unnamed && find_item(t, name) < t->n && !t->given[find_item(t, name)])
        TRY(names_unnamed(&t->names, &name));
    uint32_t at = find_item(t, name);
    if (at < t->n && c->given && t->given[at]) {
        return FAIL_TAG(diag_at(t->cx->b->d, item->pos), ERR_INVALID, "SEM0171",
                        "a column named '%s' is there already", name);
    }
    t->exprs[at] = (struct named_expr){.name = name, .expr = c->expr};
    t->given[at] = c->given;
    if (at < t->n) return OK;
    t->n++;
    return name_index_put(&t->places, name, at) ? OK : bind_full(t->cx->b);
}

enum err bind_extend(struct op_cx *cx, struct op **out)
{
    struct items t;
    TRY(items_init(&t, cx, true));
    TRY(bind_items(&t, put_extended));
    return op_project(cx->b, t.in, cx->ast->pos, t.exprs, t.n, out);
}

enum err bind_serialize(struct op_cx *cx, struct op **out)
{
    *out = cx->in;
    return cx->ast->args.n > 0 ? bind_extend(cx, out) : OK;
}

/* --- choosing columns by name or pattern ------------------------------------------------------ */

static bool name_matches(const struct ast *n, const char *name)
{
    return n->kind == AST_WILDCARD ? wildcard_match(n->name, name) : strcmp(n->name, name) == 0;
}

/* Marks the columns that a name or pattern means. A name that is not there is an error, a pattern
 * is not. */
static enum err mark(struct op_cx *cx, const struct ast *n, bool *marked)
{
    bool any = n->kind == AST_WILDCARD;
    for (uint32_t i = 0; i < cx->in->schema.n; i++) {
        if (!name_matches(n, cx->in->schema.cols[i].name)) continue;
        marked[i] = true;
        any = true;
    }
    struct scope s = scope_of(cx);
    s.names = NULL;
    return any || s.is_open ? OK : no_column(&s, n->name, n->pos);
}

static enum err bind_chosen(struct op_cx *cx, bool keep, struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n = 0, count = cx->in->schema.n;
    bool *marked = arena_array(b->a, bool, count + 1);
    uint32_t *cols = arena_array(b->a, uint32_t, count + 1);
    if (marked == NULL || cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(mark(cx, cx->ast->args.at[i], marked));
    for (uint32_t i = 0; i < count; i++) {
        if (marked[i] == keep) cols[n++] = i;
    }
    return op_columns(b, cx->in, cx->ast->pos, cols, NULL, n, out);
}

enum err bind_away(struct op_cx *cx, struct op **out)
{
    return bind_chosen(cx, false, out);
}

enum err bind_keep(struct op_cx *cx, struct op **out)
{
    return bind_chosen(cx, true, out);
}

enum err bind_rename(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n = cx->in->schema.n;
    const char **names = arena_array(b->a, const char *, n + 1);
    uint32_t *cols = arena_array(b->a, uint32_t, n + 1);
    if (names == NULL || cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        names[i] = cx->in->schema.cols[i].name;
        cols[i] = i;
    }
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        const struct ast *item = cx->ast->args.at[i];
        if (item->kind != AST_NAMED || item->left->kind != AST_NAME || item->names.n != 1) {
            return FAIL_TAG(diag_at(b->d, item->pos), ERR_INVALID, "SYN0002",
                            "'project-rename' wants new = old");
        }
        int at = schema_find(&cx->in->schema, item->left->name);
        struct scope s = scope_of(cx);
        if (at < 0 && s.is_open) continue;
        if (at < 0) return no_column(&s, item->left->name, item->left->pos);
        names[at] = item->names.at[0]->name;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcmp(names[i], names[j]) != 0) continue;
            return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SEM0171",
                            "a column named '%s' is there already", names[i]);
        }
    }
    return op_columns(b, cx->in, cx->ast->pos, cols, names, n, out);
}

/* --- project-reorder -------------------------------------------------------------------------- */

struct reordered {
    const char *name;
    uint32_t col;
};

static int by_name(const void *a, const void *b)
{
    const struct reordered *x = a, *y = b;
    int c = strcasecmp(x->name, y->name);
    return c != 0 ? c : strcmp(x->name, y->name);
}

/* granny-asc: runs of digits compare as numbers, a2 before a10. */
static int by_granny(const void *a, const void *b)
{
    const char *x = ((const struct reordered *)a)->name, *y = ((const struct reordered *)b)->name;
    while (*x != '\0' && *y != '\0') {
        bool digits = *x >= '0' && *x <= '9' && *y >= '0' && *y <= '9';
        if (digits) {
            char *x_end, *y_end;
            unsigned long long m = strtoull(x, &x_end, 10), n = strtoull(y, &y_end, 10);
            if (m != n) return m < n ? -1 : 1;
            x = x_end;
            y = y_end;
        } else {
            int c = strncasecmp(x, y, 1);
            if (c != 0) return c;
            x++;
            y++;
        }
    }
    return (*x != '\0') - (*y != '\0');
}

enum err bind_reorder(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n = 0, count = cx->in->schema.n;
    bool *placed = arena_array(b->a, bool, count + 1);
    uint32_t *cols = arena_array(b->a, uint32_t, count + 1);
    struct reordered *group = arena_array(b->a, struct reordered, count + 1);
    if (placed == NULL || cols == NULL || group == NULL) return bind_full(b);

    /* A name given by itself is not for a pattern to take. */
    bool *by_itself = arena_array(b->a, bool, count + 1);
    if (by_itself == NULL) return bind_full(b);
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        const struct ast *item = cx->ast->args.at[i]->left;
        if (item->kind != AST_WILDCARD) TRY(mark(cx, item, by_itself));
    }
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        const struct ast *item = cx->ast->args.at[i];
        bool pattern = item->left->kind == AST_WILDCARD;
        uint32_t n_group = 0;
        for (uint32_t c = 0; c < count; c++) {
            const char *name = cx->in->schema.cols[c].name;
            if (placed[c] || (pattern && by_itself[c]) || !name_matches(item->left, name)) continue;
            placed[c] = true;
            group[n_group++] = (struct reordered){.name = name, .col = c};
        }
        bool sorted = item->ordered || item->granny;
        if (sorted) qsort(group, n_group, sizeof *group, item->granny ? by_granny : by_name);
        for (uint32_t g = 0; g < n_group; g++) {
            cols[n++] = group[sorted && item->descending ? n_group - 1 - g : g].col;
        }
    }
    for (uint32_t c = 0; c < count; c++) {
        if (!placed[c]) cols[n++] = c;
    }
    return op_columns(b, cx->in, cx->ast->pos, cols, NULL, n, out);
}

/* --- rows ------------------------------------------------------------------------------------- */

enum err bind_where(struct op_cx *cx, struct op **out)
{
    struct scope s = scope_of(cx);
    TRY(op_new(cx->b, OP_FILTER, cx->in, cx->ast->pos, out));
    return bind_condition(&s, cx->ast->left, &(*out)->filter.condition);
}

/* sort by name = expr: the name has no use. */
static const struct ast *unnamed(const struct ast *n)
{
    return n->kind == AST_NAMED ? n->left : n;
}

static enum err bind_keys(struct op_cx *cx, struct sort_key **out)
{
    struct scope s = scope_of(cx);
    const struct ast_list *list = &cx->ast->args;
    struct sort_key *keys = arena_array(cx->b->a, struct sort_key, list->n + 1);
    if (keys == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *item = list->at[i];
        TRY(bind_expr(&s, unnamed(item->left), &keys[i].expr));
        keys[i].descending = item->descending;
        keys[i].nulls_first = item->nulls_first;
    }
    *out = keys;
    return OK;
}

enum err bind_sort(struct op_cx *cx, struct op **out)
{
    TRY(op_new(cx->b, OP_SORT, cx->in, cx->ast->pos, out));
    (*out)->sort.n_keys = cx->ast->args.n;
    TRY(bind_keys(cx, &(*out)->sort.keys));
    for (uint32_t i = 0; i < cx->ast->args.n && !cx->in->is_loose && !cx->in->is_open; i++) {
        if ((*out)->sort.keys[i].expr->type != T_DYNAMIC) continue;
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->args.at[i]->pos), ERR_INVALID, "SEM0061",
                        "a dynamic has no order; convert it first, as with tostring()");
    }
    return OK;
}

enum err bind_top(struct op_cx *cx, struct op **out)
{
    struct scope s = scope_of(cx);
    s.row = NULL;
    TRY(op_new(cx->b, OP_TOP, cx->in, cx->ast->pos, out));
    (*out)->top.n_keys = cx->ast->args.n;
    TRY(bind_long(&s, cx->ast->left, &(*out)->top.count));
    return bind_keys(cx, &(*out)->top.keys);
}

enum err bind_take(struct op_cx *cx, struct op **out)
{
    struct scope s = scope_of(cx);
    s.row = NULL;
    TRY(op_new(cx->b, OP_TAKE, cx->in, cx->ast->pos, out));
    return bind_long(&s, cx->ast->left, &(*out)->take.count);
}

enum err bind_count(struct op_cx *cx, struct op **out)
{
    struct column *col = arena_new(cx->b->a, struct column);
    if (col == NULL) return bind_full(cx->b);
    *col = (struct column){.name = cx->ast->name != NULL ? cx->ast->name : "Count", .type = T_LONG};
    TRY(op_new(cx->b, OP_COUNT, cx->in, cx->ast->pos, out));
    (*out)->schema = (struct schema){.n = 1, .cols = col};
    return OK;
}

/* --- names, schemas, charts ------------------------------------------------------------------- */

enum err bind_as(struct op_cx *cx, struct op **out)
{
    *out = cx->in;
    return bind_push(cx->b, cx->names,
                     (struct binding){.name = cx->ast->name, .kind = BIND_TABLE, .op = cx->in});
}

static const char *const net_names[N_TYPES] = {
    [T_BOOL] = "System.SByte",
    [T_INT] = "System.Int32",
    [T_LONG] = "System.Int64",
    [T_REAL] = "System.Double",
    [T_DECIMAL] = "System.Data.SqlTypes.SqlDecimal",
    [T_STRING] = "System.String",
    [T_DATETIME] = "System.DateTime",
    [T_TIMESPAN] = "System.TimeSpan",
    [T_GUID] = "System.Guid",
    [T_DYNAMIC] = "System.Object",
};

enum err bind_getschema(struct op_cx *cx, struct op **out)
{
    static const struct column columns[] = {
        {"ColumnName", T_STRING},
        {"ColumnOrdinal", T_LONG},
        {"DataType", T_STRING},
        {"ColumnType", T_STRING},
    };
    struct binder *b = cx->b;
    const struct schema *in = &cx->in->schema;
    struct op *op;
    TRY(op_new(b, OP_ROWS, NULL, cx->ast->pos, &op));
    op->schema = (struct schema){.n = 4, .cols = columns};
    op->rows.n_rows = in->n;
    op->rows.cells = arena_array(b->a, struct expr *, 4 * (size_t)in->n + 1);
    if (op->rows.cells == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->n; i++) {
        struct expr **cells = &op->rows.cells[4 * (size_t)i];
        struct value ordinal = {.type = T_LONG, .i = i};
        TRY(expr_string(b, in->cols[i].name, &cells[0]));
        TRY(expr_const(b, &ordinal, &cells[1]));
        TRY(expr_string(b, net_names[in->cols[i].type], &cells[2]));
        TRY(expr_string(b, type_name(in->cols[i].type), &cells[3]));
    }
    *out = op;
    return OK;
}
