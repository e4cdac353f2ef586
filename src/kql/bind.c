/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind.c - statements, names, tables, functions and pipes */
#include "kql/bind.h"

#include "base/str.h"
#include "kql/parse.h"

enum err bind_full(struct binder *b)
{
    return arena_full(b->a, b->d);
}

enum err bind_deeper(struct binder *b, uint32_t pos)
{
    if (b->depth < KQL_DEPTH_MAX) {
        b->depth++;
        return OK;
    }
    return FAIL_TAG(diag_at(b->d, pos), ERR_LIMIT, "SEM0001",
                    "the query is nested more than %d deep", KQL_DEPTH_MAX);
}

static enum err check_size(struct binder *b, const struct op *op)
{
    if (op->weight <= PLAN_OPS_MAX && op->levels <= PLAN_LEVELS_MAX) return OK;
    return FAIL_TAG(diag_at(b->d, op->pos), ERR_LIMIT, "SEM0001",
                    "the query has more than %d operators, or %d in a row", PLAN_OPS_MAX,
                    PLAN_LEVELS_MAX);
}

enum err op_new(struct binder *b, enum op_kind kind, struct op *input, uint32_t pos,
                struct op **out)
{
    struct op *op = arena_new(b->a, struct op);
    if (op == NULL) return bind_full(b);
    *op = (struct op){.kind = kind, .input = input, .pos = pos, .weight = 1, .levels = 1};
    op->group_depth = b->group_depth;
    if (input != NULL) {
        op->schema = input->schema;
        op->weight += input->weight;
        op->levels += input->levels;
    }
    TRY(check_size(b, op));
    *out = op;
    return OK;
}

enum err op_second_input(struct binder *b, struct op *op, const struct op *second)
{
    op->weight += second->weight;
    if (second->levels >= op->levels) op->levels = second->levels + 1;
    return check_size(b, op);
}

/* --- names ------------------------------------------------------------------------------------ */

enum err bind_push(struct binder *b, struct binding **names, struct binding item)
{
    struct binding *n = arena_new(b->a, struct binding);
    if (n == NULL) return bind_full(b);
    *n = item;
    n->up = *names;
    *names = n;
    return OK;
}

struct binding *find_binding(struct binding *names, const char *name)
{
    struct binding *n = names;
    while (n != NULL) {
        if (n->frame == NULL) {
            if (strcmp(n->name, name) == 0) return n;
            n = n->up;
            continue;
        }
        const uint32_t *place = name_index_get(&n->frame->index, name);
        if (place != NULL && *place <= n->place) return n->frame->items[*place];
        n = n->frame->outer;
    }
    return NULL;
}

static enum err frame_new(struct binder *b, struct binding *outer, const struct schema *base,
                          struct frame **out)
{
    *out = arena_new(b->a, struct frame);
    if (*out == NULL) return bind_full(b);
    **out = (struct frame){.outer = outer, .base = base, .group_depth = b->group_depth};
    name_index_init(&(*out)->index, b->a);
    return OK;
}

static enum err frame_grow(struct binder *b, struct frame *f)
{
    uint32_t cap = f->cap == 0 ? 8 : f->cap * 2;
    struct binding **items = arena_array(b->a, struct binding *, cap);
    if (items == NULL) return bind_full(b);
    if (f->n > 0) memcpy(items, f->items, f->n * sizeof *items);
    f->items = items;
    f->cap = cap;
    return OK;
}

/* Declares a name of a body. */
static enum err frame_push(struct binder *b, struct frame *f, struct binding **names, uint32_t pos,
                           struct binding item)
{
    if (name_index_get(&f->index, item.name) != NULL) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0201",
                        "the name '%s' is declared already", item.name);
    }
    if (f->n == f->cap) TRY(frame_grow(b, f));
    item.frame = f;
    item.place = f->n;
    TRY(bind_push(b, names, item));
    if (!name_index_put(&f->index, item.name, f->n)) return bind_full(b);
    f->items[f->n++] = *names;
    return OK;
}

enum err resolve_let(struct binder *b, struct binding *l)
{
    if (l->kind != BIND_LET) return OK;
    uint32_t depth = b->group_depth;
    TRY(bind_deeper(b, l->ast->pos));
    if (l->frame != NULL) b->group_depth = l->frame->group_depth;
    if (is_tabular(b, l->up, l->ast)) {
        TRY(bind_table(b, l->up, l->ast, &l->op));
        l->kind = BIND_TABLE;
    } else {
        const struct schema *base = l->frame != NULL ? l->frame->base : NULL;
        struct scope s = {.b = b, .names = l->up, .base = base, .where = "let"};
        TRY(bind_expr(&s, l->ast, &l->expr));
        bool free = l->expr->kind == EXPR_CONST || l->expr->kind == EXPR_SCALAR_QUERY;
        l->base = free ? NULL : base;
        l->kind = BIND_SCALAR;
    }
    b->group_depth = depth;
    b->depth--;
    return OK;
}

/* --- statements ------------------------------------------------------------------------------- */

static enum err bind_set(struct binder *b, const struct ast *n)
{
    /* Limits and hints: a query gives the same rows with and without them. */
    static const char *const harmless[] = {
        "notruncation",
        "norequesttimeout",
        "servertimeout",
        "truncationmaxsize",
        "truncationmaxrecords",
        "maxmemoryconsumptionperiterator",
        "max_memory_consumption_per_query_per_node",
        "query_results_cache_max_age",
        "query_fanout_nodes_percent",
        "query_fanout_threads_percent",
        "query_distribution_nodes_span",
        "query_language",
        "request_app_name",
        "request_description",
        "materialized_view_shuffle",
        "query_results_cache_force_refresh",
        "query_results_progressive_enabled",
        "maxoutputcolumns",
        "query_datascope",
        "best_effort",
    };
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        if (strcmp(n->name, harmless[i]) == 0) return OK;
    }
    const struct ast **slot = NULL;
    if (strcmp(n->name, "query_bin_auto_size") == 0) slot = &b->bin_auto_size;
    if (strcmp(n->name, "query_bin_auto_at") == 0) slot = &b->bin_auto_at;
    if (slot != NULL && n->left != NULL) {
        *slot = n->left;
        return OK;
    }
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "the option '%s' is not supported",
                n->name);
}

static enum err bind_query_parameter(struct binder *b, struct frame *f, struct binding **names,
                                     const struct ast *n)
{
    struct expr *value;
    struct scope s = {.b = b, .names = *names, .where = "declare query_parameters"};
    TRY(bind_parameter(&s, n, &value));
    return frame_push(b, f, names, n->pos,
                      (struct binding){.name = n->name, .kind = BIND_SCALAR, .expr = value});
}

static enum err bind_let(struct binder *b, struct frame *f, struct binding **names,
                         const struct ast *n)
{
    const struct ast *name = n->names.at[0];
    bool function = n->left->kind == AST_FUNCTION, pattern = n->left->kind == AST_PATTERN;
    return frame_push(b, f, names, name->pos,
                      (struct binding){.name = name->name,
                                       .kind = function  ? BIND_FUNCTION
                                               : pattern ? BIND_PATTERN
                                                         : BIND_LET,
                                       .ast = n->left,
                                       .is_view = function && n->left->is_view});
}

enum err bind_body(struct binder *b, struct binding *names, const struct schema *base,
                   const struct ast_body *body, struct binding **out)
{
    struct frame *f;
    TRY(frame_new(b, names, base, &f));
    for (uint32_t i = 0; i < body->lets.n; i++) {
        const struct ast *n = body->lets.at[i];
        if (n->kind == AST_NAMED) {
            TRY(bind_let(b, f, &names, n));
        } else if (n->kind == AST_PARAM) {
            TRY(bind_query_parameter(b, f, &names, n));
        } else {
            TRY(bind_set(b, n));
        }
    }
    *out = names;
    return OK;
}

/* --- table or value? -------------------------------------------------------------------------- */

static bool has_table(struct binder *b, const char *name)
{
    const struct schema *schema;
    void *table;
    return b->catalog->table(b->catalog->ctx, name, &schema, &table, NULL) == OK;
}

/* Only kinds matter here: the arguments are not bound yet. */
static bool function_is_tabular(struct binder *b, const struct binding *f)
{
    struct binding *names = f->up;
    const struct ast *fn = f->ast;
    if (fn->body->result == NULL) return false;
    for (uint32_t i = 0; i < fn->args.n; i++) {
        const struct ast *p = fn->args.at[i];
        struct binding item = {.name = p->name,
                               .kind = p->right != NULL ? BIND_TABLE : BIND_SCALAR};
        if (bind_push(b, &names, item) != OK) return false;
    }
    struct frame *frame;
    if (frame_new(b, names, NULL, &frame) != OK) return false;
    for (uint32_t i = 0; i < fn->body->lets.n; i++) {
        const struct ast *l = fn->body->lets.at[i];
        if (l->kind == AST_NAMED && bind_let(b, frame, &names, l) != OK) return false;
    }
    return is_tabular(b, names, fn->body->result);
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

/* --- functions of the query ------------------------------------------------------------------- */

/* The argument for a parameter, by name or by place, NULL when the default is to be taken. */
static const struct ast *argument_for(const struct ast *call, const struct ast *param,
                                      uint32_t place)
{
    for (uint32_t i = 0; i < call->args.n; i++) {
        const struct ast *arg = call->args.at[i];
        if (arg->kind == AST_NAMED && strcmp(arg->names.at[0]->name, param->name) == 0)
            return arg->left;
    }
    bool by_place = place < call->args.n && call->args.at[place]->kind != AST_NAMED;
    return by_place ? call->args.at[place] : NULL;
}

static enum err check_table_argument(struct scope *s, const struct ast *call,
                                     const struct ast *param, const struct op *op)
{
    for (uint32_t i = 0; i < param->right->args.n; i++) {
        const struct ast *column = param->right->args.at[i];
        int at = schema_find(&op->schema, column->name);
        if (at < 0 || op->schema.cols[at].type != column->type) {
            return FAIL_TAG(diag_at(s->b->d, call->pos), ERR_INVALID, "SEM0219",
                            "the table for '%s' of %s() needs a column %s:%s", param->name,
                            call->name, column->name, type_name(column->type));
        }
    }
    return OK;
}

static enum err bind_argument(struct scope *s, const struct ast *call, const struct ast *param,
                              const struct ast *arg, struct binding **names)
{
    struct binder *b = s->b;
    struct binding item = {.name = param->name, .kind = BIND_SCALAR};
    if (arg == NULL && param->left == NULL) {
        return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() needs an argument for '%s'", call->name, param->name);
    }
    if (param->right != NULL) {
        item.kind = BIND_TABLE;
        TRY(bind_table(b, s->names, arg != NULL ? arg : param->left, &item.op));
        TRY(check_table_argument(s, call, param, item.op));
        return bind_push(b, names, item);
    }
    struct scope plain = {.b = b, .where = s->where};
    if (s->aggs != NULL) plain = *s; /* an aggregate may be an argument */
    TRY(arg != NULL ? bind_expr(s, arg, &item.expr) : bind_expr(&plain, param->left, &item.expr));
    TRY(expr_cast(s, call->pos, item.expr, param->type, true, &item.expr));
    bool free = item.expr->kind == EXPR_CONST || item.expr->kind == EXPR_SCALAR_QUERY;
    item.base = free ? NULL : s->base;
    return bind_push(b, names, item);
}

static enum err bind_arguments(struct scope *s, struct binding *f, const struct ast *call,
                               struct op *piped, struct binding **out)
{
    const struct ast *fn = f->ast;
    struct binding *names = f->up;
    uint32_t first = piped != NULL ? 1 : 0;
    if (call->args.n + first > fn->args.n) {
        return FAIL_TAG(diag_at(s->b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() takes %u arguments, not %u", call->name, fn->args.n,
                        call->args.n + first);
    }
    for (uint32_t i = 0; i < fn->args.n; i++) {
        const struct ast *param = fn->args.at[i];
        if (i == 0 && piped != NULL) {
            if (param->right == NULL) {
                return FAIL_TAG(diag_at(s->b->d, call->pos), ERR_INVALID, "SEM0219",
                                "the first parameter of %s() is no table", call->name);
            }
            TRY(check_table_argument(s, call, param, piped));
            struct binding item = {.name = param->name, .kind = BIND_TABLE, .op = piped};
            TRY(bind_push(s->b, &names, item));
            continue;
        }
        TRY(bind_argument(s, call, param, argument_for(call, param, i - first), &names));
    }
    return bind_body(s->b, names, s->base, fn->body, out);
}

static enum err no_result(struct binder *b, const struct ast *call)
{
    return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0001",
                    "the function %s() has no result", call->name);
}

enum err bind_function_table(struct scope *s, struct binding *f, const struct ast *call,
                             struct op *piped, struct op **out)
{
    struct binding *names;
    TRY(bind_deeper(s->b, call->pos));
    TRY(bind_arguments(s, f, call, piped, &names));
    if (f->ast->body->result == NULL) return no_result(s->b, call);
    TRY(bind_table(s->b, names, f->ast->body->result, out));
    s->b->depth--;
    return OK;
}

enum err bind_function_scalar(struct scope *s, struct binding *f, const struct ast *call,
                              struct expr **out)
{
    struct binding *names;
    TRY(bind_deeper(s->b, call->pos));
    TRY(bind_arguments(s, f, call, NULL, &names));
    if (f->ast->body->result == NULL) return no_result(s->b, call);
    struct scope body = *s;
    body.names = names;
    body.row = NULL; /* a function does not see its caller's columns */
    TRY(bind_expr(&body, f->ast->body->result, out));
    s->b->depth--;
    return OK;
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

static enum err no_table(struct binder *b, const char *name, uint32_t pos)
{
    struct nearest best = nearest_to(name);
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

enum err find_table(struct binder *b, const char *name, uint32_t pos, struct op **out)
{
    const struct schema *schema;
    void *table;
    struct diag d = DIAG_INIT;
    enum err e = b->catalog->table(b->catalog->ctx, name, &schema, &table, &d);
    if (e == ERR_NOT_FOUND) return no_table(b, name, pos);
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
    if (found == NULL) return find_table(b, n->name, n->pos, out);
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

/* table("T"), whose name must stand there as text. */
static enum err bind_table_function(struct binder *b, struct binding *names, const struct ast *n,
                                    struct op **out)
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
    struct ast as_name = {.kind = AST_NAME, .pos = n->pos, .name = arena_str(b->a, name->value.s)};
    if (as_name.name == NULL) return bind_full(b);
    return bind_table_name(b, names, &as_name, out);
}

static enum err bind_materialize(struct binder *b, struct binding *names, const struct ast *n,
                                 struct op **out)
{
    struct op *in;
    TRY(bind_table(b, names, n->args.at[0], &in));
    return op_new(b, OP_MATERIALIZE, in, n->pos, out);
}

/* externaldata and external_table: what is in them may be asked for by name only. */
static enum err bind_external(struct binder *b, const struct ast *n, struct op **out)
{
    TRY(op_new(b, OP_EXTERNAL, NULL, n->pos, out));
    (*out)->external.what = "externaldata";
    return schema_of(b, n->left, &(*out)->schema);
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
    if (here && !n->is_open) return find_table(b, n->name, n->pos, out);
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
    case AST_EXTERNAL: return bind_external(b, n, out);
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

/* --- pipes ------------------------------------------------------------------------------------ */

static bind_op_fn *const op_binders[] = {
    [OPER_WHERE] = bind_where,
    [OPER_EXTEND] = bind_extend,
    [OPER_PROJECT] = bind_project,
    [OPER_AWAY] = bind_away,
    [OPER_KEEP] = bind_keep,
    [OPER_RENAME] = bind_rename,
    [OPER_REORDER] = bind_reorder,
    [OPER_DISTINCT] = bind_distinct,
    [OPER_SERIALIZE] = bind_serialize,
    [OPER_SUMMARIZE] = bind_summarize,
    [OPER_SORT] = bind_sort,
    [OPER_TOP] = bind_top,
    [OPER_TAKE] = bind_take,
    [OPER_COUNT] = bind_count,
    [OPER_AS] = bind_as,
    [OPER_GETSCHEMA] = bind_getschema,
    [OPER_UNION] = bind_union,
    [OPER_PRINT] = bind_print,
    [OPER_RANGE] = bind_range,
    [OPER_RENDER] = bind_render,
    [OPER_JOIN] = bind_join,
    [OPER_LOOKUP] = bind_join,
    [OPER_MV_EXPAND] = bind_mv_expand,
    [OPER_PARSE] = bind_parse,
    [OPER_PARSE_WHERE] = bind_parse,
    [OPER_MAKE_SERIES] = bind_make_series,
    [OPER_INVOKE] = bind_invoke,
    [OPER_SAMPLE] = bind_sample,
    [OPER_SAMPLE_DISTINCT] = bind_sample_distinct,
    [OPER_CONSUME] = bind_consume,
    [OPER_ASSERT_SCHEMA] = bind_assert_schema,
    [OPER_TOP_HITTERS] = bind_top_hitters,
    [OPER_SEARCH] = bind_search,
    [OPER_MV_APPLY] = bind_mv_apply,
    [OPER_PARTITION] = bind_partition,
    [OPER_PARSE_KV] = bind_parse_kv,
    [OPER_SCAN] = bind_scan,
    [OPER_EVALUATE] = bind_evaluate,
    [OPER_FIND] = bind_find,
    [OPER_FORK] = bind_fork,
    [OPER_MAKE_GRAPH] = bind_make_graph,
    [OPER_GRAPH_MATCH] = bind_graph_match,
    [OPER_GRAPH_TO_TABLE] = bind_graph_to_table,
    [OPER_GRAPH_COMPONENTS] = bind_graph_components,
    [OPER_FACET] = bind_facet,
    [OPER_TOP_NESTED] = bind_top_nested,
};

static bool begins_query(enum ast_op op)
{
    return op == OPER_UNION || op == OPER_PRINT || op == OPER_RANGE || op == OPER_SEARCH ||
           op == OPER_FIND || op == OPER_EVALUATE;
}

const char *kql_operator_at(uint32_t i, bool *there)
{
    enum ast_op op;
    const char *name = operator_at(i, &op);
    size_t known = sizeof op_binders / sizeof op_binders[0];
    *there = name != NULL && (size_t)op < known && op_binders[op] != NULL;
    return name;
}

bool kql_has_function(const char *name)
{
    static const char *const tabular_ones[] = {"materialize", "table", "workspace"};
    for (size_t i = 0; i < sizeof tabular_ones / sizeof tabular_ones[0]; i++) {
        if (strcmp(tabular_ones[i], name) == 0) return true;
    }
    return binds_function(name) || fn_find(name) != NULL || agg_find(name) != NULL;
}

static enum err bind_one(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    const struct ast *n = cx->ast;
    size_t known = sizeof op_binders / sizeof op_binders[0];
    bind_op_fn *bind = (size_t)n->op < known ? op_binders[n->op] : NULL;
    if (bind == NULL) {
        return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "the operator '%s' is not supported",
                    n->name);
    }
    if (cx->in == NULL && !begins_query(n->op)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0174",
                        "'%s' needs a table before it", n->name);
    }
    bool of_graphs =
        n->op == OPER_GRAPH_MATCH || n->op == OPER_GRAPH_TO_TABLE || n->op == OPER_GRAPH_COMPONENTS;
    if (!of_graphs && cx->in != NULL && is_graph(b, cx->in)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0001",
                        "'%s' wants a table, not a graph", n->name);
    }
    return bind(cx, out);
}

enum err bind_ops(struct binder *b, struct binding *names, const struct ast *pipe, struct op *in,
                  struct op **out)
{
    const struct ast *outer = b->pipe;
    for (uint32_t i = 0; i < pipe->args.n; i++) {
        struct op_cx cx = {.b = b, .names = &names, .ast = pipe->args.at[i], .in = in};
        b->pipe = pipe;
        TRY(bind_one(&cx, &in));
    }
    b->pipe = outer;
    *out = in;
    return OK;
}

enum err plan_add(struct binder *b, const char *name, uint32_t pos, struct op *op)
{
    struct plan *p = b->plan;
    if (p->n_more == PLAN_RESULTS_MAX) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_LIMIT, "SEM0001",
                        "the query has more than %d results", PLAN_RESULTS_MAX);
    }
    if (p->more == NULL) p->more = arena_array(b->a, struct plan_result, PLAN_RESULTS_MAX);
    if (p->more == NULL) return bind_full(b);
    p->more[p->n_more++] = (struct plan_result){.name = name, .root = op};
    return OK;
}

/* explain T | where x: Keystead's own. */
static enum err bind_explain(struct binder *b, struct op **root)
{
    static const struct column cols[] = {
        {"Operator", T_STRING}, {"Rows", T_LONG}, {"Bytes", T_LONG}, {"Time", T_TIMESPAN}};
    TRY(op_new(b, OP_EXPLAIN, *root, (*root)->pos, root));
    (*root)->schema = (struct schema){.n = 4, .cols = cols};
    b->plan->n_more = 0;
    b->plan->render = (struct render){0};
    return OK;
}

static enum err no_graph(struct binder *b, const struct op *op)
{
    if (!is_graph(b, op)) return OK;
    return FAIL_TAG(diag_at(b->d, op->pos), ERR_INVALID, "SEM0001",
                    "a query gives a table, not a graph");
}

static enum err bind_results(struct binder *b, struct binding *names, const struct ast_body *body)
{
    b->result = body->result;
    TRY(bind_table(b, names, body->result, &b->plan->root));
    TRY(no_graph(b, b->plan->root));
    if (body->explain) return bind_explain(b, &b->plan->root);
    for (uint32_t i = 0; i < body->more.n; i++) {
        const struct ast *n = body->more.at[i];
        struct render first = b->plan->render;
        struct op *op;
        b->result = n;
        TRY(bind_table(b, names, n, &op));
        TRY(no_graph(b, op));
        TRY(plan_add(b, NULL, n->pos, op));
        b->plan->render = first; /* the chart is the first result's */
    }
    return OK;
}

static enum err take_of(struct binder *b, struct op **root, struct expr *count)
{
    TRY(op_new(b, OP_TAKE, *root, (*root)->pos, root));
    (*root)->take.count = count;
    return OK;
}

static enum err take_each(struct binder *b, int64_t n)
{
    struct expr *count;
    TRY(expr_const(b, &(struct value){.type = T_LONG, .i = n}, &count));
    TRY(take_of(b, &b->plan->root, count));
    for (uint32_t i = 0; i < b->plan->n_more; i++)
        TRY(take_of(b, &b->plan->more[i].root, count));
    return OK;
}

enum err kql_compile(struct arena *a, struct bytes text, const struct kql_catalog *catalog,
                     const struct kql_options *opt, struct plan *out, struct diag *d)
{
    struct ast_body *body;
    struct binding *names;
    struct plan plan = {0};
    TRY(kql_parse(a, text, &body, d));
    struct binder b = {.a = a,
                       .text = text,
                       .catalog = catalog,
                       .opt = opt,
                       .d = d,
                       .now_ticks = opt->now_ticks,
                       .plan = &plan};
    TRY(bind_body(&b, NULL, NULL, body, &names));
    TRY(bind_results(&b, names, body));
    if (opt->take_max > 0 && !body->explain) TRY(take_each(&b, opt->take_max));
    *out = plan;
    return OK;
}
