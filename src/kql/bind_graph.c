/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_graph.c - graphs: make-graph and what may follow it
 *
 * A graph is two tables: its edges, with "$from", "$to" and a number "$row" behind their columns, and
 * its nodes, with "$id" behind theirs. A path of a pattern is a chain of joins over them; columns go
 * by the names of the pattern, n.name, which bind_path() finds there. An edge of the pattern is not
 * the same edge as another (cycles=unique_edges, the default).
 */
#include "kql/bind.h"

#include <stdio.h>

struct graph {
    struct op *op; /* what stands for it in a pipe */
    struct op *edges, *nodes;
    uint32_t n_edge_cols, n_node_cols; /* without those of the graph */
    struct graph *up;
};

static enum err find_graph(struct op_cx *cx, const struct graph **out)
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
    exprs[in->n + 2].name = "$row";
    TRY(expr_call(&s, cx->ast->pos, "row_number", NULL, 0, &exprs[in->n + 2].expr));
    struct op *rows;
    TRY(op_project(b, cx->in, cx->ast->pos, exprs, in->n + 3, &rows));
    return op_new(b, OP_MATERIALIZE, rows, cx->ast->pos, out);
}

/* distinct `col` as "$id" */
static enum err distinct_ids(struct op_cx *cx, struct op *in, uint32_t col, struct op **out)
{
    static const char *const name = "$id";
    struct op *one;
    TRY(op_columns(cx->b, in, cx->ast->pos, &col, &name, 1, &one));
    struct ast star = {.kind = AST_STAR, .pos = cx->ast->pos}, *all = &star;
    struct ast n = {.kind = AST_OPERATOR,
                    .op = OPER_DISTINCT,
                    .name = cx->ast->name,
                    .pos = cx->ast->pos,
                    .args = {.n = 1, .at = &all}};
    struct op_cx inner = *cx;
    inner.ast = &n;
    inner.in = one;
    return bind_distinct(&inner, out);
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

/* left join right on a column of each; all columns of both. */
static enum err join_on(struct op_cx *cx, enum join_kind kind, struct op *left, uint32_t left_col,
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

/* Properties from the table of nodes; its id column is the node's id, also where it has no row. */
static enum err with_properties(struct op_cx *cx, struct op *ids, struct op *table, uint32_t id,
                                struct op **out)
{
    struct binder *b = cx->b;
    uint32_t n = table->schema.n;
    struct op *joined;
    uint32_t *cols = arena_array(b->a, uint32_t, n + 1);
    const char **names = arena_array(b->a, const char *, n + 1);
    if (cols == NULL || names == NULL) return bind_full(b);
    TRY(join_on(cx, JOIN_LEFT_OUTER, ids, 0, table, id, &joined));
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = i == id ? 0 : 1 + i;
        names[i] = table->schema.cols[i].name;
    }
    cols[n] = 0;
    names[n] = "$id";
    return op_columns(b, joined, cx->ast->pos, cols, names, n + 1, out);
}

/* Without a table a node has its id, if that has a name, and nothing else. */
static enum err bare_nodes(struct op_cx *cx, struct op *ids, const char *name, struct op **out)
{
    uint32_t cols[2] = {0, 0};
    const char *names[2] = {name, "$id"};
    if (name == NULL) return op_columns(cx->b, ids, cx->ast->pos, cols, names + 1, 1, out);
    return op_columns(cx->b, ids, cx->ast->pos, cols, names, 2, out);
}

enum err bind_make_graph(struct op_cx *cx, struct op **out)
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
        if (tables[2]->schema.cols[at].type != g.edges->schema.cols[g.n_edge_cols].type) {
            return FAIL_TAG(diag_at(b->d, id->pos), ERR_INVALID, "SEM0242",
                            "the ids of nodes and the ends of edges are of one type");
        }
        cols[2] = (uint32_t)at;
        n = 3;
    }
    TRY(all_ids(cx, tables, cols, n, &ids));
    TRY(n == 3 ? with_properties(cx, ids, tables[2], cols[2], &nodes)
               : bare_nodes(cx, ids, param_word(cx->ast, "with_node_id"), &nodes));
    TRY(op_new(b, OP_MATERIALIZE, nodes, cx->ast->pos, &g.nodes));
    g.n_node_cols = g.nodes->schema.n - 1;
    return push_graph(cx, g, out);
}

/* --- graph-to-table, graph-mark-components ---------------------------------------------------- */

enum err bind_graph_to_table(struct op_cx *cx, struct op **out)
{
    const struct graph *g;
    const char *what = cx->ast->left->name;
    TRY(find_graph(cx, &g));
    bool nodes = strcmp(what, "nodes") == 0;
    if (!nodes && strcmp(what, "edges") != 0) {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->left->pos), ERR_INVALID, "SYN0002",
                        "'graph-to-table' gives nodes or edges, not '%s'", what);
    }
    uint32_t n = nodes ? g->n_node_cols : g->n_edge_cols;
    uint32_t *cols = arena_array(cx->b->a, uint32_t, n + 1);
    if (cols == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < n; i++)
        cols[i] = i;
    return op_columns(cx->b, nodes ? g->nodes : g->edges, cx->ast->pos, cols, NULL, n, out);
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

/* --- graph-match ------------------------------------------------------------------------------ */

#define EDGES_MAX 32

struct matching {
    struct op_cx *cx;
    const struct graph *g;
    struct op *rows; /* so far; NULL at the beginning */
    uint32_t n_edges, edge_rows[EDGES_MAX];
    uint32_t n_unnamed;
};

/* The table with its columns as "name.column"; *hidden is where those of the graph begin. */
static enum err named_table(struct matching *m, struct op *in, const char *name, struct op **out)
{
    struct binder *b = m->cx->b;
    uint32_t n = in->schema.n;
    uint32_t *cols = arena_array(b->a, uint32_t, n);
    const char **names = arena_array(b->a, const char *, n);
    if (cols == NULL || names == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = i;
        names[i] = arena_fmt(b->a, "%s.%s", name, in->schema.cols[i].name);
        if (names[i] == NULL) return bind_full(b);
    }
    return op_columns(b, in, m->cx->ast->pos, cols, names, n, out);
}

static enum err name_of(struct matching *m, const struct ast *piece, const char **out)
{
    *out = piece->name != NULL ? piece->name : arena_fmt(m->cx->b->a, "$%u", m->n_unnamed++);
    return *out != NULL ? OK : bind_full(m->cx->b);
}

static int find_id(const struct matching *m, const char *node)
{
    char name[200];
    snprintf(name, sizeof name, "%s.$id", node);
    return m->rows != NULL ? schema_find(&m->rows->schema, name) : -1;
}

static enum err add_filter(struct matching *m, const char *oper, uint32_t x, uint32_t y)
{
    struct binder *b = m->cx->b;
    const struct schema *row = &m->rows->schema;
    struct scope s = {.b = b, .row = row, .base = row, .where = "graph-match"};
    struct expr *left, *right;
    struct op *filter;
    TRY(expr_col(b, row, x, &left));
    TRY(expr_col(b, row, y, &right));
    TRY(op_new(b, OP_FILTER, m->rows, m->cx->ast->pos, &filter));
    TRY(expr_call2(&s, m->cx->ast->pos, oper, left, right, &filter->filter.condition));
    m->rows = filter;
    return OK;
}

/* The node that begins a path: a new one, or one that is there. */
static enum err first_node(struct matching *m, const struct ast *n, uint32_t *id)
{
    const char *name;
    TRY(name_of(m, n, &name));
    int at = find_id(m, name);
    if (at < 0) {
        if (m->rows != NULL) {
            return FAIL(diag_at(m->cx->b->d, n->pos), ERR_UNSUPPORTED,
                        "a path that begins with a new node is not supported behind another path");
        }
        TRY(named_table(m, m->g->nodes, name, &m->rows));
        at = find_id(m, name);
    }
    *id = (uint32_t)at;
    return OK;
}

/* From the node whose id is column `id` along an edge; *id becomes the edge's other end. */
static enum err along_edge(struct matching *m, const struct ast *e, uint32_t *id)
{
    const char *name;
    struct op *edges;
    uint32_t from = m->g->n_edge_cols + (e->descending ? 1 : 0), n_left = m->rows->schema.n;
    if (m->n_edges == EDGES_MAX) {
        return FAIL_TAG(diag_at(m->cx->b->d, e->pos), ERR_LIMIT, "SEM0001",
                        "a pattern of more than %d edges", EDGES_MAX);
    }
    TRY(name_of(m, e, &name));
    TRY(named_table(m, m->g->edges, name, &edges));
    TRY(join_on(m->cx, JOIN_INNER, m->rows, *id, edges, from, &m->rows));
    *id = n_left + m->g->n_edge_cols + (e->descending ? 0 : 1);
    uint32_t row = n_left + m->g->n_edge_cols + 2;
    for (uint32_t i = 0; i < m->n_edges; i++)
        TRY(add_filter(m, "op !=", m->edge_rows[i], row));
    m->edge_rows[m->n_edges++] = row;
    return OK;
}

static enum err to_node(struct matching *m, const struct ast *n, uint32_t *id)
{
    const char *name;
    struct op *nodes;
    TRY(name_of(m, n, &name));
    int there = find_id(m, name);
    if (there >= 0) {
        TRY(add_filter(m, "op ==", *id, (uint32_t)there));
        *id = (uint32_t)there;
        return OK;
    }
    uint32_t n_left = m->rows->schema.n;
    TRY(named_table(m, m->g->nodes, name, &nodes));
    TRY(join_on(m->cx, JOIN_INNER, m->rows, *id, nodes, m->g->n_node_cols, &m->rows));
    *id = n_left + m->g->n_node_cols;
    return OK;
}

static enum err match_path(struct matching *m, const struct ast *path)
{
    uint32_t id;
    TRY(first_node(m, path->args.at[0], &id));
    for (uint32_t i = 1; i + 1 < path->args.n; i += 2) {
        TRY(along_edge(m, path->args.at[i], &id));
        TRY(to_node(m, path->args.at[i + 1], &id));
    }
    return OK;
}

static enum err check_cycles(struct op_cx *cx)
{
    static const char *const allowed[] = {"cycles", NULL};
    const char *cycles = param_word(cx->ast, "cycles");
    TRY(check_params(cx, allowed));
    if (cycles == NULL || strcmp(cycles, "unique_edges") == 0) return OK;
    return FAIL(diag_at(cx->b->d, cx->ast->pos), ERR_UNSUPPORTED,
                "'graph-match' with cycles=%s is not supported", cycles);
}

enum err bind_graph_match(struct op_cx *cx, struct op **out)
{
    struct matching m = {.cx = cx};
    TRY(check_cycles(cx));
    TRY(find_graph(cx, &m.g));
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(match_path(&m, cx->ast->args.at[i]));
    if (cx->ast->left != NULL) {
        struct op *filter;
        struct scope s = {.b = cx->b,
                          .names = *cx->names,
                          .row = &m.rows->schema,
                          .base = &m.rows->schema,
                          .dotted = true,
                          .where = "graph-match"};
        TRY(op_new(cx->b, OP_FILTER, m.rows, cx->ast->pos, &filter));
        TRY(bind_condition(&s, cx->ast->left, &filter->filter.condition));
        m.rows = filter;
    }
    struct ast project = {.kind = AST_OPERATOR,
                          .op = OPER_PROJECT,
                          .name = cx->ast->name,
                          .pos = cx->ast->pos,
                          .args = cx->ast->by};
    struct op_cx inner = *cx;
    inner.ast = &project;
    inner.in = m.rows;
    inner.dotted = true;
    return bind_project(&inner, out);
}

/* n.name in an expression of a pattern. */
enum err bind_dotted(struct scope *s, const struct ast *n, bool *found, struct expr **out)
{
    const struct ast *base = n->args.at[0];
    *found = false;
    if (base->kind != AST_NAME || n->right != NULL || n->is_open) return OK;
    const char *name = arena_fmt(s->b->a, "%s.%s", base->name, n->name);
    if (name == NULL) return bind_full(s->b);
    int at = schema_find(s->row, name);
    if (at < 0) return OK;
    *found = true;
    return expr_col(s->b, s->row, (uint32_t)at, out);
}
