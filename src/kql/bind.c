/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind.c - operators, the pipes that they make, and the results of a query */
#include "kql/bind.h"

#include "base/str.h"
#include "kql/parse.h"

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
        op->is_open = input->is_open;
        op->is_loose = input->is_loose || input->is_open;
    }
    TRY(check_size(b, op));
    *out = op;
    return OK;
}

enum err op_second_input(struct binder *b, struct op *op, const struct op *second)
{
    op->weight += second->weight;
    op->is_open |= second->is_open;
    op->is_loose |= second->is_loose || second->is_open;
    if (second->levels >= op->levels) op->levels = second->levels + 1;
    return check_size(b, op);
}

/* --- pipes ------------------------------------------------------------------------------------ */

static bind_op_fn *const op_binders[] = {
    [OPER_WHERE] = bind_where,
    [OPER_EXTEND] = bind_extend,
    [OPER_PROJECT] = bind_project,
    [OPER_AWAY] = bind_away,
    [OPER_KEEP] = bind_keep,
    [OPER_BY_NAMES] = bind_by_names,
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
    [OPER_GRAPH_SHORTEST] = bind_graph_shortest,
    [OPER_GRAPH_TO_TABLE] = bind_graph_to_table,
    [OPER_GRAPH_COMPONENTS] = bind_graph_components,
    [OPER_FACET] = bind_facet,
    [OPER_TOP_NESTED] = bind_top_nested,
    [OPER_REDUCE] = bind_reduce,
    [OPER_MACRO_EXPAND] = bind_macro_expand,
};

static bool begins_query(enum ast_op op)
{
    return op == OPER_UNION || op == OPER_PRINT || op == OPER_RANGE || op == OPER_SEARCH ||
           op == OPER_FIND || op == OPER_EVALUATE || op == OPER_MACRO_EXPAND;
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
    static const char *const elsewhere[] = {
        "all",         "app",          "cluster",     "database",       "entity_group",
        "inner_nodes", "map",          "materialize", "node_degree_in", "node_degree_out",
        "percentiles", "percentilesw", "resource",    "table",          "workspace"};
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        if (strcmp(elsewhere[i], name) == 0) return true;
    }
    return binds_function(name) || fn_find(name) != NULL || agg_find(name) != NULL;
}

/* Operators whose columns are those that they name. */
static bool names_all_columns(enum ast_op op)
{
    return op == OPER_PROJECT || op == OPER_KEEP || op == OPER_DISTINCT || op == OPER_COUNT ||
           op == OPER_GETSCHEMA || op == OPER_MAKE_SERIES;
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
    bool of_graphs = n->op == OPER_GRAPH_MATCH || n->op == OPER_GRAPH_SHORTEST ||
                     n->op == OPER_GRAPH_TO_TABLE || n->op == OPER_GRAPH_COMPONENTS;
    if (!of_graphs && cx->in != NULL && is_graph(b, cx->in)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0001",
                        "'%s' wants a table, not a graph", n->name);
    }
    TRY(bind_asking(cx, bind, out));
    if (names_all_columns(n->op)) (*out)->is_open = false;
    return OK;
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

/* ... | graph-to-table nodes as N, edges as E; is not a result: what follows names its tables. */
static bool only_names_tables(const struct ast *n)
{
    if (n->kind != AST_PIPE || n->args.n == 0) return false;
    const struct ast *last = n->args.at[n->args.n - 1];
    for (uint32_t i = 0; last->op == OPER_GRAPH_TO_TABLE && i < last->args.n; i++) {
        if (last->args.at[i]->left == NULL) return false;
    }
    return last->op == OPER_GRAPH_TO_TABLE;
}

static enum err bind_result(struct binder *b, struct binding **names, const struct ast *n,
                            struct op **out)
{
    b->result = n;
    TRY(bind_table(b, *names, n, out));
    TRY(no_graph(b, *out));
    for (; b->exported != NULL; b->exported = b->exported->up)
        TRY(bind_push(b, names, *b->exported));
    return OK;
}

static enum err bind_results(struct binder *b, struct binding *names, const struct ast_body *body)
{
    struct render first = {0}; /* the chart is the first result's */
    const struct ast *n = body->result;
    for (uint32_t i = 0; i <= body->more.n; i++) {
        struct op *op;
        if (i > 0) n = body->more.at[i - 1];
        TRY(bind_result(b, &names, n, &op));
        if (i < body->more.n && only_names_tables(n)) continue;
        if (b->plan->root == NULL) {
            b->plan->root = op;
            first = b->plan->render;
        } else {
            TRY(plan_add(b, NULL, n->pos, op));
        }
        b->plan->render = first;
    }
    return body->explain ? bind_explain(b, &b->plan->root) : OK;
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

/* set query_results_apply_getschema: the results' schemas stand for them. */
static enum err schema_instead(struct binder *b, struct op **root)
{
    const struct ast n = {.kind = AST_OPERATOR, .op = OPER_GETSCHEMA, .name = "getschema"};
    struct op_cx cx = {.b = b, .ast = &n, .in = *root};
    return bind_getschema(&cx, root);
}

static enum err schemas_instead(struct binder *b)
{
    if (!b->only_schemas) return OK;
    TRY(schema_instead(b, &b->plan->root));
    for (uint32_t i = 0; i < b->plan->n_more; i++)
        TRY(schema_instead(b, &b->plan->more[i].root));
    return OK;
}

/* set maxoutputcolumns */
static enum err check_columns(struct binder *b)
{
    uint32_t n = b->plan->root->schema.n;
    if (b->columns_max == 0 || n <= b->columns_max) return OK;
    return FAIL_TAG(diag_at(b->d, b->plan->root->pos), ERR_LIMIT, "E_QUERY_RESULT_SET_TOO_LARGE",
                    "the result has %u columns, more than the %llu of 'maxoutputcolumns'", n,
                    (unsigned long long)b->columns_max);
}

enum err kql_compile(struct arena *a, struct bytes text, const struct kql_catalog *catalog,
                     const struct kql_options *opt, struct plan *out, struct diag *d)
{
    struct ast_body *body;
    struct binding *names = NULL;
    struct plan plan = {0};
    TRY(kql_parse(a, text, &body, d));
    struct binder b = {.a = a,
                       .text = text,
                       .catalog = catalog,
                       .opt = opt,
                       .d = d,
                       .now_ticks = opt->now_ticks,
                       .plan = &plan};
    TRY(stored_root(&b, catalog, &names));
    TRY(bind_request_options(&b));
    TRY(bind_body(&b, names, NULL, body, &names));
    TRY(bind_results(&b, names, body));
    TRY(check_columns(&b));
    if (!body->explain) TRY(schemas_instead(&b));
    if (opt->take_max > 0 && !body->explain) TRY(take_each(&b, opt->take_max));
    if (b.take_max > 0 && !body->explain) TRY(take_each(&b, (int64_t)b.take_max));
    plan.now_ticks = b.now_ticks;
    *out = plan;
    return OK;
}
