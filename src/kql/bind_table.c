/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_table.c - is it a table or a value? and the tables that names and calls stand for */
#include "kql/bind.h"

/* --- table or value? -------------------------------------------------------------------------- */

static bool has_table(struct binder *b, const char *name)
{
    const struct schema *schema;
    void *table;
    return b->catalog->table(b->catalog->ctx, name, &schema, &table, NULL) == OK;
}

static bool binding_is_tabular(struct binder *b, struct binding *n)
{
    switch (n->kind) {
    case BIND_LET: return is_tabular(b, n->up, n->ast);
    case BIND_TABLE:
    case BIND_PATTERN: return true;
    case BIND_FUNCTION: return function_is_tabular(b, n);
    default: return false;
    }
}

static bool is_table_function(const char *name)
{
    static const char *const names[] = {
        "materialize",
        "table",
        "database",
        "cluster",
        "workspace",
        "app",
        "resource",
        "adx",
        "arg",
        "external_table",
        "materialized_view",
        "stored_query_result",
        "totable",
        "graph",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return false;
}

static bool tabular(struct binder *b, struct binding *names, const struct ast *n)
{
    struct binding *found;
    switch (n->kind) {
    case AST_PIPE:
    case AST_DATATABLE:
    case AST_EXTERNAL: return true;
    case AST_NAME:
        found = find_binding(names, n->name);
        return found != NULL ? binding_is_tabular(b, found) : has_table(b, n->name);
    case AST_CALL:
        found = find_binding(names, n->name);
        return found != NULL ? binding_is_tabular(b, found) : is_table_function(n->name);
    case AST_PATH: return n->args.at[0]->kind != AST_NAME && is_tabular(b, names, n->args.at[0]);
    default: return false;
    }
}

bool is_tabular(struct binder *b, struct binding *names, const struct ast *n)
{
    if (b->depth >= KQL_DEPTH_MAX) return true; /* bind_table() will say so */
    b->depth++;
    bool yes = tabular(b, names, n);
    b->depth--;
    return yes;
}

/* --- tables ----------------------------------------------------------------------------------- */

/* The API's timespan: only rows whose TimeGenerated lies in it. */
static enum err limit_to_timespan(struct binder *b, struct op *table, struct op **out)
{
    *out = table;
    int col = schema_find(&table->schema, "TimeGenerated");
    bool limited = b->opt->timespan_from != 0 || b->opt->timespan_to != 0;
    if (!limited || col < 0 || table->schema.cols[col].type != T_DATETIME) return OK;

    struct scope s = {.b = b, .row = &table->schema, .base = &table->schema, .where = "timespan"};
    struct value from = {.type = T_DATETIME, .i = b->opt->timespan_from};
    struct value to = {.type = T_DATETIME, .i = b->opt->timespan_to};
    struct expr *time, *bound, *lower, *upper;
    TRY(expr_col(b, &table->schema, (uint32_t)col, &time));
    TRY(expr_const(b, &from, &bound));
    TRY(expr_call2(&s, table->pos, "op >=", time, bound, &lower));
    TRY(expr_const(b, &to, &bound));
    TRY(expr_call2(&s, table->pos, "op <", time, bound, &upper));
    TRY(op_new(b, OP_FILTER, table, table->pos, out));
    return expr_call2(&s, table->pos, "op and", lower, upper, &(*out)->filter.condition);
}

static enum err no_table(struct binder *b, const struct binding *names, const char *name,
                         uint32_t pos)
{
    struct nearest best = nearest_to(name);
    for (; names != NULL; names = names->up)
        nearest_try(&best, names->name);
    for (uint32_t i = 0; b->catalog->table_name != NULL; i++) {
        const char *other = b->catalog->table_name(b->catalog->ctx, i);
        if (other == NULL) break;
        nearest_try(&best, other);
    }
    diag_at(b->d, pos);
    if (best.name != NULL) {
        return FAIL_TAG(b->d, ERR_INVALID, "SEM0100", "there is no table '%s'; did you mean '%s'?",
                        name, best.name);
    }
    return FAIL_TAG(b->d, ERR_INVALID, "SEM0100", "there is no table '%s'", name);
}

enum err find_table(struct binder *b, struct binding *names, const char *name, uint32_t pos,
                    struct op **out)
{
    const struct schema *schema;
    void *table;
    struct diag d = DIAG_INIT;
    enum err e = b->catalog->table(b->catalog->ctx, name, &schema, &table, &d);
    if (e == ERR_NOT_FOUND) return no_table(b, names, name, pos);
    if (e != OK) return FAIL_TAG(diag_at(b->d, pos), e, d.tag, "%s", d.text);

    struct op *op;
    TRY(op_new(b, OP_TABLE, NULL, pos, &op));
    op->schema = *schema;
    op->table.name = name;
    op->table.table = table;
    op->table.columns = arena_array(b->a, uint32_t, schema->n + 1);
    if (op->table.columns == NULL) return bind_full(b);
    for (uint32_t i = 0; i < schema->n; i++)
        op->table.columns[i] = i;
    return limit_to_timespan(b, op, out);
}

static enum err bind_table_name(struct binder *b, struct binding *names, const struct ast *n,
                                struct op **out)
{
    struct binding *found = find_binding(names, n->name);
    if (found == NULL) return find_table(b, names, n->name, n->pos, out);
    TRY(resolve_let(b, found));
    if (found->kind == BIND_TABLE) {
        *out = found->op;
        return OK;
    }
    if (found->kind == BIND_FUNCTION) {
        struct ast call = {.kind = AST_CALL, .name = n->name, .pos = n->pos};
        struct scope s = {.b = b, .names = names, .where = n->name};
        return bind_function_table(&s, found, &call, NULL, out);
    }
    return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100", "'%s' is a value, not a table",
                    n->name);
}

enum err table_argument(struct binder *b, struct binding *names, const struct ast *n,
                        struct ast *out)
{
    struct expr *name;
    struct scope s = {.b = b, .names = names, .where = "table()"};
    if (n->args.n == 0)
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0219", "table() needs a name");
    TRY(bind_const(&s, n->args.at[0], &name));
    if (name->type != T_STRING) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0064",
                        "table() takes the name as a string");
    }
    *out = (struct ast){.kind = AST_NAME, .pos = n->pos, .name = arena_str(b->a, name->value.s)};
    return out->name != NULL ? OK : bind_full(b);
}

static enum err bind_table_function(struct binder *b, struct binding *names, const struct ast *n,
                                    struct op **out)
{
    struct ast as_name;
    TRY(table_argument(b, names, n, &as_name));
    return bind_table_name(b, names, &as_name, out);
}

static enum err bind_materialize(struct binder *b, struct binding *names, const struct ast *n,
                                 struct op **out)
{
    struct op *in;
    TRY(bind_table(b, names, n->args.at[0], &in));
    return op_new(b, OP_MATERIALIZE, in, n->pos, out);
}

static enum err bind_table_call(struct binder *b, struct binding *names, const struct ast *n,
                                struct op **out)
{
    struct binding *f = find_binding(names, n->name);
    struct scope s = {.b = b, .names = names, .where = n->name};
    if (f != NULL && f->kind == BIND_FUNCTION) return bind_function_table(&s, f, n, NULL, out);
    if (f != NULL && f->kind == BIND_PATTERN) return bind_pattern(b, names, f, n, NULL, out);
    if (strcmp(n->name, "materialize") == 0 && n->args.n == 1) {
        return bind_materialize(b, names, n, out);
    }
    if (strcmp(n->name, "table") == 0) return bind_table_function(b, names, n, out);
    diag_at(b->d, n->pos);
    if (is_table_function(n->name) || known_function(n->name)) {
        bool scalar = fn_find(n->name) != NULL;
        return FAIL(b->d, scalar ? ERR_INVALID : ERR_UNSUPPORTED,
                    scalar ? "%s() gives a value where a table is wanted"
                           : "the function %s() is not supported as a table",
                    n->name);
    }
    return FAIL_TAG(b->d, ERR_INVALID, "SEM0260", "there is no function '%s' that gives a table",
                    n->name);
}

/* workspace("w").T, database("d").T, cluster("c").database("d").T: of this place only. */
static enum err bind_elsewhere(struct binder *b, struct binding *names, const struct ast *n,
                               struct op **out)
{
    const struct ast *place = n->args.at[0];
    struct binding *f = place->kind == AST_CALL ? find_binding(names, place->name) : NULL;
    if (f != NULL && f->kind == BIND_PATTERN) return bind_pattern(b, names, f, place, n->name, out);
    if (place->kind == AST_PATH && place->right != NULL) place = place->right; /* .database("d") */
    bool named = place->kind == AST_CALL && place->args.n == 1 &&
                 place->args.at[0]->kind == AST_CONST && place->args.at[0]->value.type == T_STRING;
    const char *name = named ? arena_str(b->a, place->args.at[0]->value.s) : NULL;
    bool here = name != NULL && b->catalog->is_here != NULL && n->right == NULL &&
                b->catalog->is_here(b->catalog->ctx, place->name, name);
    if (here && !n->is_open) return find_table(b, NULL, n->name, n->pos, out);
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED,
                "tables of another database or workspace are not supported");
}

static enum err bind_table_kind(struct binder *b, struct binding *names, const struct ast *n,
                                struct op **out)
{
    struct op *in = NULL;
    switch (n->kind) {
    case AST_PIPE:
        if (n->left != NULL) TRY(bind_table(b, names, n->left, &in));
        return bind_ops(b, names, n, in, out);
    case AST_NAME: return bind_table_name(b, names, n, out);
    case AST_CALL: return bind_table_call(b, names, n, out);
    case AST_DATATABLE: return bind_datatable(b, names, n, out);
    case AST_EXTERNAL: return bind_external(b, names, n, out);
    case AST_PATH: return bind_elsewhere(b, names, n, out);
    case AST_CLIENT:
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "the client parameter {%s} was not filled in", n->name);
    default:
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "a value stands where a table is wanted");
    }
}

enum err bind_table(struct binder *b, struct binding *names, const struct ast *n, struct op **out)
{
    TRY(bind_deeper(b, n->pos));
    TRY(bind_table_kind(b, names, n, out));
    b->depth--;
    return OK;
}
