/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_graph.c - make-graph, graph-to-table, graph-mark-components; graphs are in bind_graph.h */
#include "kql/bind_graph.h"

enum err find_graph(struct op_cx *cx, const struct graph **out)
{
    for (*out = cx->b->graphs; *out != NULL; *out = (*out)->up) {
        if ((*out)->op == cx->in) return OK;
    }
    return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                    "'%s' needs a graph before it, made by 'make-graph'", cx->ast->name);
}

bool is_graph(const struct binder *b, const struct op *op)
{
    const struct graph *g = b->graphs;
    while (g != NULL && g->op != op)
        g = g->up;
    return g != NULL;
}

static enum err push_graph(struct op_cx *cx, struct graph g, struct op **out)
{
    struct graph *new = arena_new(cx->b->a, struct graph);
    if (new == NULL) return bind_full(cx->b);
    TRY(op_new(cx->b, OP_MATERIALIZE, g.edges, cx->ast->pos, out));
    g.op = *out;
    g.up = cx->b->graphs;
    *new = g;
    cx->b->graphs = new;
    return OK;
}

/* --- make-graph ------------------------------------------------------------------------------ */

/* The input with "$from", "$to", "$row". */
static enum err edges_of(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct scope s = scope_of(cx);
    const struct schema *in = &cx->in->schema;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)in->n + 3);
    const struct ast *ends[] = {cx->ast->left, cx->ast->right};
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->n; i++) {
        exprs[i].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[i].expr));
    }
    for (int i = 0; i < 2; i++) {
        exprs[in->n + (uint32_t)i].name = i == 0 ? "$from" : "$to";
        TRY(bind_expr(&s, ends[i], &exprs[in->n + (uint32_t)i].expr));
    }
    if (exprs[in->n].expr->type != exprs[in->n + 1].expr->type ||
        exprs[in->n].expr->type == T_DYNAMIC) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SEM0242",
                        "the ends of an edge are of one type, and not dynamic");
    }
    for (uint32_t i = in->n; cx->ast->extra != NULL && i < in->n + 2; i++)
        TRY(partition_key(cx, in, exprs[i].expr, &exprs[i].expr));
    exprs[in->n + 2].name = "$row";
    TRY(expr_call(&s, cx->ast->pos, "row_number", NULL, 0, &exprs[in->n + 2].expr));
    struct op *rows;
    TRY(op_project(b, cx->in, cx->ast->pos, exprs, in->n + 3, &rows));
    return op_new(b, OP_MATERIALIZE, rows, cx->ast->pos, out);
}

enum err distinct_rows(struct op_cx *cx, struct op *in, struct op **out)
{
    struct ast star = {.kind = AST_STAR, .pos = cx->ast->pos}, *all = &star;
    struct ast n = {.kind = AST_OPERATOR,
                    .op = OPER_DISTINCT,
                    .name = cx->ast->name,
                    .pos = cx->ast->pos,
                    .args = {.n = 1, .at = &all}};
    struct op_cx inner = *cx;
    inner.ast = &n;
    inner.in = in;
    return bind_distinct(&inner, out);
}

/* distinct `col` as "$id" */
static enum err distinct_ids(struct op_cx *cx, struct op *in, uint32_t col, struct op **out)
{
    static const char *const name = "$id";
    struct op *one;
    TRY(op_columns(cx->b, in, cx->ast->pos, &col, &name, 1, &one));
    return distinct_rows(cx, one, out);
}

/* All ids of up to three tables, each once, in the order in which they come. */
static enum err all_ids(struct op_cx *cx, struct op *const *tables, const uint32_t *cols,
                        uint32_t n, struct op **out)
{
    struct binder *b = cx->b;
    struct op *ids;
    uint32_t *same = arena_array(b->a, uint32_t, 1);
    TRY(op_new(b, OP_UNION, NULL, cx->ast->pos, &ids));
    ids->unions.inputs = arena_array(b->a, struct op *, n);
    ids->unions.columns = arena_array(b->a, uint32_t *, n);
    if (same == NULL || ids->unions.inputs == NULL || ids->unions.columns == NULL)
        return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        TRY(distinct_ids(cx, tables[i], cols[i], &ids->unions.inputs[i]));
        TRY(op_second_input(b, ids, ids->unions.inputs[i]));
        ids->unions.columns[i] = same;
    }
    ids->unions.n = n;
    ids->input = ids->unions.inputs[0];
    ids->schema = ids->input->schema;
    return distinct_ids(cx, ids, 0, out);
}

enum err graph_join(struct op_cx *cx, enum join_kind kind, struct op *left, uint32_t left_col,
                    struct op *right, uint32_t right_col, struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n_left = left->schema.n, n_right = right->schema.n;
    struct column *cols = arena_array(b->a, struct column, (size_t)n_left + n_right + 1);
    struct op *op;
    TRY(op_new(b, OP_JOIN, left, cx->ast->pos, &op));
    TRY(op_second_input(b, op, right));
    op->join.kind = kind;
    op->join.right = right;
    op->join.n_keys = 1;
    op->join.left_keys = arena_new(b->a, struct expr *);
    op->join.right_keys = arena_new(b->a, struct expr *);
    op->join.right_columns = arena_array(b->a, uint32_t, n_right + 1);
    if (cols == NULL || op->join.left_keys == NULL || op->join.right_keys == NULL ||
        op->join.right_columns == NULL)
        return bind_full(b);
    TRY(expr_col(b, &left->schema, left_col, op->join.left_keys));
    TRY(expr_col(b, &right->schema, right_col, op->join.right_keys));
    memcpy(cols, left->schema.cols, n_left * sizeof *cols);
    for (uint32_t i = 0; i < n_right; i++) {
        cols[n_left + i] = right->schema.cols[i];
        op->join.right_columns[i] = i;
    }
    op->join.n_right = n_right;
    op->schema = (struct schema){.n = n_left + n_right, .cols = cols};
    *out = op;
    return OK;
}

/* Properties from the table of nodes; its id column is the node's id, also where it has no row. The last
 * column of ids is what a node shows as its id. */
static enum err with_properties(struct op_cx *cx, struct op *ids, struct op *table, uint32_t id,
                                struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n = table->schema.n, n_ids = ids->schema.n, key = id;
    struct op *rows = table, *joined;
    uint32_t *cols = arena_array(b->a, uint32_t, n + 1);
    const char **names = arena_array(b->a, const char *, n + 1);
    if (cols == NULL || names == NULL) return bind_full(b);
    if (cx->ast->extra != NULL) {
        TRY(partition_rows(cx, table, id, &rows));
        key = n;
    }
    TRY(graph_join(cx, JOIN_LEFT_OUTER, ids, 0, rows, key, &joined));
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = i == id ? n_ids - 1 : n_ids + i;
        names[i] = table->schema.cols[i].name;
    }
    cols[n] = 0;
    names[n] = "$id";
    return op_columns(b, joined, cx->ast->pos, cols, names, n + 1, out);
}

/* Without a table a node has its id, if that has a name, and nothing else. */
static enum err bare_nodes(struct op_cx *cx, struct op *ids, const char *name, struct op **out)
{
    uint32_t cols[2] = {ids->schema.n - 1, 0};
    const char *names[2] = {name, "$id"};
    if (name == NULL) return op_columns(cx->b, ids, cx->ast->pos, cols + 1, names + 1, 1, out);
    return op_columns(cx->b, ids, cx->ast->pos, cols, names, 2, out);
}

/* The ends' type: of the edges before their keys were made of them. */
static bool is_id_type(struct op_cx *cx, enum type t, const struct graph *g)
{
    int at =
        cx->ast->left->kind == AST_NAME ? schema_find(&cx->in->schema, cx->ast->left->name) : -1;
    if (cx->ast->extra != NULL) return at < 0 || cx->in->schema.cols[at].type == t;
    return g->edges->schema.cols[g->n_edge_cols].type == t;
}

static enum err make_graph(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"with_node_id", NULL};
    struct binder *b = cx->b;
    struct graph g = {.n_edge_cols = cx->in->schema.n};
    struct op *ids, *nodes;
    TRY(check_params(cx, allowed));
    TRY(edges_of(cx, &g.edges));
    struct op *tables[3] = {g.edges, g.edges, NULL};
    uint32_t cols[3] = {g.n_edge_cols, g.n_edge_cols + 1, 0}, n = 2;
    if (cx->ast->by.n > 1) {
        return FAIL(diag_at(b->d, cx->ast->pos), ERR_UNSUPPORTED,
                    "'make-graph' with several tables of nodes is not supported");
    }
    if (cx->ast->by.n == 1) {
        const struct ast *id = cx->ast->args.at[0];
        TRY(bind_table(b, *cx->names, cx->ast->by.at[0], &tables[2]));
        struct scope s = {.b = b, .row = &tables[2]->schema, .where = "make-graph"};
        int at = schema_find(&tables[2]->schema, id->name);
        if (at < 0) return no_column(&s, id->name, id->pos);
        if (!is_id_type(cx, tables[2]->schema.cols[at].type, &g)) {
            return FAIL_TAG(diag_at(b->d, id->pos), ERR_INVALID, "SEM0242",
                            "the ids of nodes and the ends of edges are of one type");
        }
        cols[2] = (uint32_t)at;
        n = 3;
    }
    TRY(cx->ast->extra != NULL ? partition_ids(cx, tables[2], &ids)
                               : all_ids(cx, tables, cols, n, &ids));
    TRY(n == 3 ? with_properties(cx, ids, tables[2], cols[2], &nodes)
               : bare_nodes(cx, ids, param_word(cx->ast, "with_node_id"), &nodes));
    TRY(op_new(b, OP_MATERIALIZE, nodes, cx->ast->pos, &g.nodes));
    g.n_node_cols = g.nodes->schema.n - 1;
    return push_graph(cx, g, out);
}

/* partitioned-by column (...): the operators run on the graph of each value. The ids of the graph that
 * is made are of value and id together, so its parts have nothing in common. */
enum err bind_make_graph(struct op_cx *cx, struct op **out)
{
    struct op *graph;
    if (cx->ast->extra == NULL) return make_graph(cx, out);
    const struct ast *pipe = cx->ast->names.at[0], *first = pipe->args.at[0];
    if (first->op != OPER_GRAPH_MATCH && first->op != OPER_GRAPH_SHORTEST) {
        return FAIL(diag_at(cx->b->d, first->pos), ERR_UNSUPPORTED,
                    "'%s' is not supported in 'partitioned-by': graph-match and "
                    "graph-shortest-paths are",
                    first->name);
    }
    TRY(make_graph(cx, &graph));
    return bind_ops(cx->b, *cx->names, pipe, graph, out);
}

/* --- graph-to-table, graph-mark-components ---------------------------------------------------- */

/* hash() of a column, which is what the original's ids of nodes are. */
static enum err add_hash(struct op_cx *cx, const struct op *in, uint32_t col, const char *name,
                         struct named_expr *exprs, uint32_t *n)
{
    struct scope s = {.b = cx->b, .row = &in->schema, .base = &in->schema, .where = cx->ast->name};
    struct expr *id;
    if (name == NULL) return OK;
    TRY(expr_col(cx->b, &in->schema, col, &id));
    exprs[*n].name = name;
    return expr_call(&s, cx->ast->pos, "hash", &id, 1, &exprs[(*n)++].expr);
}

static enum err check_output(struct op_cx *cx, const struct ast *what, bool nodes)
{
    for (uint32_t i = 0; i < what->params.n; i++) {
        const struct ast *p = what->params.at[i];
        bool good = nodes ? strcmp(p->name, "with_node_id") == 0
                          : strcmp(p->name, "with_source_id") == 0 ||
                                strcmp(p->name, "with_target_id") == 0;
        if (!good || p->left->kind != AST_NAME) {
            return FAIL_TAG(diag_at(cx->b->d, p->pos), ERR_INVALID, "SYN0002",
                            "graph-to-table %s has no parameter '%s'", what->name, p->name);
        }
    }
    return OK;
}

/* nodes [as N] [with_node_id=id], edges [as E] [with_source_id=id] [with_target_id=id] */
static enum err table_of_graph(struct op_cx *cx, const struct graph *g, const struct ast *what,
                               struct op **out)
{
    struct binder *b = cx->b;
    bool nodes = strcmp(what->name, "nodes") == 0;
    if (!nodes && strcmp(what->name, "edges") != 0) {
        return FAIL_TAG(diag_at(b->d, what->pos), ERR_INVALID, "SYN0002",
                        "'graph-to-table' gives nodes or edges, not '%s'", what->name);
    }
    TRY(check_output(cx, what, nodes));
    struct op *in = nodes ? g->nodes : g->edges;
    uint32_t n_cols = nodes ? g->n_node_cols : g->n_edge_cols, n = 0;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n_cols + 3);
    if (exprs == NULL) return bind_full(b);
    if (nodes) {
        TRY(add_hash(cx, in, n_cols, param_word(what, "with_node_id"), exprs, &n));
    } else {
        TRY(add_hash(cx, in, n_cols, param_word(what, "with_source_id"), exprs, &n));
        TRY(add_hash(cx, in, n_cols + 1, param_word(what, "with_target_id"), exprs, &n));
    }
    for (uint32_t i = 0; i < n_cols; i++) {
        exprs[n].name = in->schema.cols[i].name;
        TRY(expr_col(b, &in->schema, i, &exprs[n++].expr));
    }
    TRY(op_project(b, in, what->pos, exprs, n, out));
    if (what->left == NULL) return OK;
    struct op *kept;
    TRY(op_new(b, OP_MATERIALIZE, *out, what->pos, &kept));
    *out = kept;
    return bind_push(b, &b->exported,
                     (struct binding){.name = what->left->name, .kind = BIND_TABLE, .op = kept});
}

/* The first table goes on; others are there by the names that they got. */
enum err bind_graph_to_table(struct op_cx *cx, struct op **out)
{
    const struct graph *g;
    TRY(find_graph(cx, &g));
    for (uint32_t i = cx->ast->args.n; i-- > 0;)
        TRY(table_of_graph(cx, g, cx->ast->args.at[i], out));
    return OK;
}

enum err bind_graph_components(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"kind", "with_component_id", NULL};
    struct binder *b = cx->b;
    const struct graph *g;
    const char *kind = param_word(cx->ast, "kind"),
               *name = param_word(cx->ast, "with_component_id");
    struct graph marked;
    struct op *op;
    TRY(check_params(cx, allowed));
    TRY(find_graph(cx, &g));
    if (kind != NULL && strcmp(kind, "weak") != 0) {
        return FAIL(diag_at(b->d, cx->ast->pos), ERR_UNSUPPORTED,
                    "'graph-mark-components' of kind '%s' is not supported", kind);
    }
    marked = *g;
    uint32_t n = g->n_node_cols, ends[] = {g->n_edge_cols, g->n_edge_cols + 1};
    struct column *cols = arena_array(b->a, struct column, (size_t)n + 2);
    if (cols == NULL) return bind_full(b);
    TRY(op_new(b, OP_WHOLE, g->nodes, cx->ast->pos, &op));
    op->whole.kind = WHOLE_COMPONENTS;
    TRY(op_columns(b, g->edges, cx->ast->pos, ends, NULL, 2, &op->whole.second));
    TRY(op_second_input(b, op, op->whole.second));
    memcpy(cols, g->nodes->schema.cols, n * sizeof *cols);
    cols[n] = (struct column){.name = name != NULL ? name : "ComponentId", .type = T_LONG};
    cols[n + 1] = g->nodes->schema.cols[n];
    op->schema = (struct schema){.n = n + 2, .cols = cols};
    TRY(op_new(b, OP_MATERIALIZE, op, cx->ast->pos, &marked.nodes));
    marked.n_node_cols = n + 1;
    return push_graph(cx, marked, out);
}
