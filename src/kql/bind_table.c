/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_table.c - is it a table or a value? and the tables that names and calls stand for */
#include "kql/bind.h"

/* --- table or value? -------------------------------------------------------------------------- */

static bool has_table(struct binder *b, struct binding *names, const char *name)
{
    const struct schema *schema;
    void *table;
    const struct kql_catalog *own = b->catalog;
    for (uint32_t i = 0; i <= own->n_also; i++) {
        const struct kql_catalog *c = i == 0 ? own : own->also[i - 1];
        if (c->table(c->ctx, name, &schema, &table, NULL) == OK && !hides_table(names, c, name))
            return true;
    }
    return false;
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

static const char *const table_functions[] = {
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
#define N_TABLE_FUNCTIONS (sizeof table_functions / sizeof table_functions[0])

static bool is_table_function(const char *name)
{
    for (size_t i = 0; i < N_TABLE_FUNCTIONS; i++) {
        if (strcmp(name, table_functions[i]) == 0) return true;
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
        return found != NULL ? binding_is_tabular(b, found) : has_table(b, names, n->name);
    case AST_CALL:
        found = find_binding(names, n->name);
        return found != NULL ? binding_is_tabular(b, found) : is_table_function(n->name);
    case AST_PATH:
        if (n->args.at[0]->kind == AST_NAME)
            return n->name[0] != '$' && is_place(names, n->args.at[0]);
        return is_tabular(b, names, n->args.at[0]);
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

/* Only rows whose column lies in [from, to). */
static enum err limit_to_times(struct binder *b, struct op *table, uint32_t col, int64_t from_ticks,
                               int64_t to_ticks, struct op **out)
{
    struct scope s = {.b = b, .row = &table->schema, .base = &table->schema, .where = "timespan"};
    struct value from = {.type = T_DATETIME, .i = from_ticks};
    struct value to = {.type = T_DATETIME, .i = to_ticks};
    struct expr *time, *bound, *lower, *upper;
    TRY(expr_col(b, &table->schema, col, &time));
    TRY(expr_const(b, &from, &bound));
    TRY(expr_call2(&s, table->pos, "op >=", time, bound, &lower));
    TRY(expr_const(b, &to, &bound));
    TRY(expr_call2(&s, table->pos, "op <", time, bound, &upper));
    TRY(op_new(b, OP_FILTER, table, table->pos, out));
    return expr_call2(&s, table->pos, "op and", lower, upper, &(*out)->filter.condition);
}

static int datetime_column(const struct op *table, const char *name)
{
    int col = schema_find(&table->schema, name);
    return col >= 0 && table->schema.cols[col].type == T_DATETIME ? col : -1;
}

/* The API's timespan, and what `set query_datetimescope_...` says. */
static enum err limit_to_timespan(struct binder *b, struct op *table, struct op **out)
{
    const struct kql_options *o = b->opt;
    int col = datetime_column(table, "TimeGenerated");
    *out = table;
    if (col >= 0 && (o->timespan_from != 0 || o->timespan_to != 0))
        TRY(limit_to_times(b, *out, (uint32_t)col, o->timespan_from, o->timespan_to, out));
    if (b->time.from == 0 && b->time.to == 0) return OK;
    if (b->time.column == NULL) {
        return FAIL(diag_at(b->d, table->pos), ERR_UNSUPPORTED,
                    "the options 'query_datetimescope_from' and 'query_datetimescope_to' are not "
                    "supported without 'query_datetimescope_column'");
    }
    col = datetime_column(table, b->time.column);
    int64_t to = b->time.to != 0 ? b->time.to : TICKS_MAX;
    return col < 0 ? OK : limit_to_times(b, *out, (uint32_t)col, b->time.from, to, out);
}

/* Names of the place, and of those that unqualified names stand for too. */
static void suggest_tables(struct nearest *best, const struct kql_catalog *place)
{
    for (uint32_t i = 0; place->table_name != NULL; i++) {
        const char *other = place->table_name(place->ctx, i);
        if (other == NULL) break;
        nearest_try(best, other);
    }
}

enum err no_table(struct binder *b, const struct binding *names, const struct kql_catalog *place,
                  const char *name, uint32_t pos)
{
    struct nearest best = nearest_to(name);
    for (const struct binding *n = names; n != NULL; n = n->up)
        nearest_try(&best, n->name);
    suggest_tables(&best, place);
    for (uint32_t i = 0; names != NULL && i < place->n_also; i++)
        suggest_tables(&best, place->also[i]);
    b->is_unresolved = true;
    diag_at(b->d, pos);
    bool elsewhere = place != b->catalog && place->label != NULL;
    const char *before = elsewhere ? place->label : "", *in = elsewhere ? ": " : "";
    return FAIL_TAG(b->d, ERR_INVALID, "SEM0100", "%s%sthere is no table '%s'" NEAREST_FMT, before,
                    in, name, NEAREST_ARGS(best.name));
}

enum err open_table(struct binder *b, struct binding *names, const struct kql_catalog *place,
                    const char *name, uint32_t pos, struct op **out)
{
    const struct schema *schema;
    void *table;
    struct diag d = DIAG_INIT;
    if (hides_table(names, place, name)) return ERR_NOT_FOUND;
    enum err e = place->table(place->ctx, name, &schema, &table, &d);
    if (e == ERR_NOT_FOUND) return e;
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

/* All that the name stands for, as one table. */
enum err find_table(struct binder *b, struct binding *names, const char *name, uint32_t pos,
                    struct op **out)
{
    const struct kql_catalog *own = b->catalog;
    struct ast at = {.kind = AST_OPERATOR, .name = "union", .pos = pos};
    struct op_cx cx = {.b = b, .names = &names, .ast = &at};
    struct legs l = {.cx = &cx};
    for (uint32_t i = 0; i <= own->n_also; i++) {
        struct op *op;
        enum err e = open_table(b, names, i == 0 ? own : own->also[i - 1], name, pos, &op);
        if (e != OK && e != ERR_NOT_FOUND) return e;
        if (e == OK) TRY(add_leg(&l, op, name, NULL));
    }
    if (l.n == 0) return no_table(b, names, own, name, pos);
    if (l.n > 1) return make_union(&l, out);
    *out = l.ops[0];
    return OK;
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
    return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100", "'%s' is a %s, not a table",
                    n->name,
                    found->kind == BIND_PLACE      ? "database"
                    : found->kind == BIND_ENTITIES ? "group of entities"
                                                   : "value");
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
    if (is_place(names, n)) {
        return FAIL_TAG(b->d, ERR_INVALID, "SEM0100",
                        "%s() stands where a table is wanted: name one behind it, as .T", n->name);
    }
    if (is_table_function(n->name) || known_function(n->name)) {
        bool scalar = fn_find(n->name) != NULL;
        return FAIL(b->d, scalar ? ERR_INVALID : ERR_UNSUPPORTED,
                    scalar ? "%s() gives a value where a table is wanted"
                           : "the function %s() is not supported as a table",
                    n->name);
    }
    struct nearest best = nearest_to(n->name);
    for (; names != NULL; names = names->up) {
        if (names->kind == BIND_FUNCTION) nearest_try(&best, names->name);
    }
    for (size_t i = 0; i < N_TABLE_FUNCTIONS; i++)
        nearest_try(&best, table_functions[i]);
    return FAIL_TAG(b->d, ERR_INVALID, "SEM0260",
                    "there is no function '%s' that gives a table" NEAREST_FMT, n->name,
                    NEAREST_ARGS(best.name));
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
