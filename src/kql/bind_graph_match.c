/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_graph_match.c - the pattern of graph-match and graph-shortest-paths as a chain of joins
 *
 * Each path of the pattern is walked from a node that is known, onward and then backward; a
 * condition filters as soon as all that it names is there.
 */
#include "kql/bind_graph.h"

#include <stdio.h>

/* The table with its columns as "name.column". */
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

/* What the query does not name gets a name that no query can write. */
static enum err name_pieces(struct matching *m, const struct ast *path)
{
    for (uint32_t i = 0; i < path->args.n; i++) {
        struct ast *piece = path->args.at[i];
        uint32_t no = m->n_unnamed++;
        if (piece->name == NULL) piece->name = arena_fmt(m->cx->b->a, "$%u", no);
        if (piece->name == NULL) return bind_full(m->cx->b);
    }
    return OK;
}

uint32_t match_column(const struct matching *m, const char *variable, const char *column)
{
    char name[400];
    snprintf(name, sizeof name, "%s.%s", variable, column);
    int at = m->rows != NULL ? schema_find(&m->rows->schema, name) : -1;
    return at >= 0 ? (uint32_t)at : UINT32_MAX;
}

/* --- conditions ------------------------------------------------------------------------------ */

static enum err take_apart(struct matching *m, struct ast *n)
{
    if (n->kind != AST_OPER || strcmp(n->name, "op and") != 0 || n->args.n < 2) {
        m->conditions.at[m->conditions.n++] = n;
        return OK;
    }
    for (uint32_t i = 0; i < n->args.n; i++)
        TRY(take_apart(m, n->args.at[i]));
    return OK;
}

static uint32_t count_terms(const struct ast *n)
{
    if (n->kind != AST_OPER || strcmp(n->name, "op and") != 0) return 1;
    uint32_t terms = 0;
    for (uint32_t i = 0; i < n->args.n; i++)
        terms += count_terms(n->args.at[i]);
    return terms + 1;
}

static enum err read_conditions(struct matching *m)
{
    struct ast *where = m->cx->ast->left;
    if (where == NULL) return OK;
    m->conditions.at = arena_array(m->cx->b->a, struct ast *, count_terms(where));
    return m->conditions.at != NULL ? take_apart(m, where) : bind_full(m->cx->b);
}

static bool is_there(const struct matching *m, const char *variable)
{
    static const char *const marks[] = {"$id", "$row", "$rows"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        if (match_column(m, variable, marks[i]) != UINT32_MAX) return true;
    }
    return false;
}

/* Is every variable of the pattern that is named in the expression there? */
static bool is_ready(const struct matching *m, const struct ast *n)
{
    for (uint32_t i = 0; n->kind == AST_NAME && i < m->variables.n; i++) {
        const char *name = m->variables.at[i]->name;
        if (strcmp(name, n->name) == 0 && !is_there(m, name)) return false;
    }
    if (n->left != NULL && !is_ready(m, n->left)) return false;
    if (n->right != NULL && !is_ready(m, n->right)) return false;
    for (uint32_t i = 0; i < n->args.n; i++) {
        if (!is_ready(m, n->args.at[i])) return false;
    }
    return true;
}

static enum err apply_condition(struct matching *m, const struct ast *condition)
{
    struct op *filter;
    struct scope s = {.b = m->cx->b,
                      .names = *m->cx->names,
                      .row = &m->rows->schema,
                      .base = &m->rows->schema,
                      .dotted = true,
                      .where = m->cx->ast->name};
    TRY(op_new(m->cx->b, OP_FILTER, m->rows, m->cx->ast->pos, &filter));
    TRY(bind_condition(&s, condition, &filter->filter.condition));
    m->rows = filter;
    return OK;
}

static enum err apply_conditions(struct matching *m, bool at_the_end)
{
    for (uint32_t i = 0; i < m->conditions.n; i++) {
        const struct ast *n = m->conditions.at[i];
        if (n == NULL || !(at_the_end || is_ready(m, n))) continue;
        TRY(apply_condition(m, n));
        m->conditions.at[i] = NULL;
    }
    return OK;
}

/* --- cycles ---------------------------------------------------------------------------------- */

static enum err filter_by(struct matching *m, struct expr *condition)
{
    struct op *filter;
    TRY(op_new(m->cx->b, OP_FILTER, m->rows, m->cx->ast->pos, &filter));
    filter->filter.condition = condition;
    m->rows = filter;
    return OK;
}

enum err match_equal(struct matching *m, uint32_t left, uint32_t right)
{
    const struct schema *row = &m->rows->schema;
    struct scope s = {.b = m->cx->b, .row = row, .base = row, .where = m->cx->ast->name};
    struct expr *x, *y;
    TRY(expr_col(s.b, row, left, &x));
    TRY(expr_col(s.b, row, right, &y));
    TRY(expr_call2(&s, m->cx->ast->pos, "op ==", x, y, &x));
    return filter_by(m, x);
}

/* Two columns have nothing in common: ids, numbers of edges, or arrays of them. */
static enum err keep_apart(struct matching *m, uint32_t x, uint32_t y)
{
    struct binder *b = m->cx->b;
    const struct schema *row = &m->rows->schema;
    struct scope s = {.b = b, .row = row, .base = row, .where = m->cx->ast->name};
    uint32_t pos = m->cx->ast->pos;
    bool x_many = row->cols[x].type == T_DYNAMIC, y_many = row->cols[y].type == T_DYNAMIC;
    struct expr *args[2], *both, *none;
    struct value zero = {.type = T_LONG};
    TRY(expr_col(b, row, x_many || !y_many ? x : y, &args[0]));
    TRY(expr_col(b, row, x_many || !y_many ? y : x, &args[1]));
    if (!x_many && !y_many) {
        TRY(expr_call2(&s, pos, "op !=", args[0], args[1], &none));
    } else if (x_many && y_many) {
        TRY(expr_call(&s, pos, "set_intersect", args, 2, &both));
        TRY(expr_call(&s, pos, "array_length", &both, 1, &both));
        TRY(expr_const(b, &zero, &none));
        TRY(expr_call2(&s, pos, "op ==", both, none, &none));
    } else {
        TRY(expr_call(&s, pos, "set_has_element", args, 2, &both));
        TRY(expr_call(&s, pos, "not", &both, 1, &none));
    }
    return filter_by(m, none);
}

static const char *rows_of(const struct matching *m, uint32_t edge)
{
    return m->edges[edge].is_path ? "$rows" : "$row";
}

/* unique_edges: the newest edge is none of the others. */
static enum err check_edges(struct matching *m)
{
    uint32_t last = m->n_edges - 1;
    uint32_t col = match_column(m, m->edges[last].name, rows_of(m, last));
    for (uint32_t i = 0; m->cycles == CYCLES_UNIQUE_EDGES && i < last; i++)
        TRY(keep_apart(m, match_column(m, m->edges[i].name, rows_of(m, i)), col));
    return OK;
}

/* none: no node twice, neither the one in column id nor those on the newest path; where the path
 * begins is the executor's to look at. */
static enum err check_nodes(struct matching *m, const char *from, uint32_t id)
{
    uint32_t last = m->n_edges - 1;
    uint32_t inner =
        m->edges[last].is_path ? match_column(m, m->edges[last].name, "$inner") : UINT32_MAX;
    for (uint32_t i = 0; i < m->n_nodes; i++) {
        bool begins = strcmp(m->nodes[i], from) == 0;
        uint32_t other = match_column(m, m->nodes[i], "$id");
        if (!(begins && inner != UINT32_MAX)) TRY(keep_apart(m, other, id));
        if (!begins && inner != UINT32_MAX) TRY(keep_apart(m, inner, other));
    }
    for (uint32_t i = 0; i < last; i++) {
        if (!m->edges[i].is_path) continue;
        uint32_t others = match_column(m, m->edges[i].name, "$inner");
        TRY(keep_apart(m, others, id));
        if (inner != UINT32_MAX) TRY(keep_apart(m, others, inner));
    }
    return OK;
}

/* --- walking --------------------------------------------------------------------------------- */

static enum err turned_edges(struct matching *m, struct op *edges, struct op **out)
{
    uint32_t n = edges->schema.n, from = m->g->n_edge_cols;
    uint32_t *cols = arena_array(m->cx->b->a, uint32_t, n);
    const char **names = arena_array(m->cx->b->a, const char *, n);
    if (cols == NULL || names == NULL) return bind_full(m->cx->b);
    for (uint32_t i = 0; i < n; i++) {
        cols[i] = i == from ? from + 1 : i == from + 1 ? from : i;
        names[i] = edges->schema.cols[i].name;
    }
    return op_columns(m->cx->b, edges, m->cx->ast->pos, cols, names, n, out);
}

/* An edge from a node to itself is one, whatever the direction. */
static enum err without_loops(struct matching *m, struct op *edges, struct op **out)
{
    const struct schema *row = &edges->schema;
    struct scope s = {.b = m->cx->b, .row = row, .base = row, .where = m->cx->ast->name};
    struct expr *from, *to;
    TRY(expr_col(s.b, row, m->g->n_edge_cols, &from));
    TRY(expr_col(s.b, row, m->g->n_edge_cols + 1, &to));
    TRY(op_new(s.b, OP_FILTER, edges, m->cx->ast->pos, out));
    return expr_call2(&s, m->cx->ast->pos, "op !=", from, to, &(*out)->filter.condition);
}

static enum err both_ways(struct matching *m, struct op *edges, struct op **out)
{
    struct op *legs[2] = {edges, NULL};
    const char *names[2] = {"", ""};
    struct legs l = {.cx = m->cx, .n = 2, .cap = 2, .ops = legs, .names = names};
    TRY(turned_edges(m, edges, &legs[1]));
    TRY(without_loops(m, legs[1], &legs[1]));
    struct op **ops = arena_array(m->cx->b->a, struct op *, 2);
    if (ops == NULL) return bind_full(m->cx->b);
    memcpy(ops, legs, sizeof legs);
    l.ops = ops;
    return make_union(&l, out);
}

enum err oriented_edges(struct matching *m, const struct ast *e, struct op **out)
{
    if (e->is_open) return both_ways(m, m->g->edges, out);
    if (e->descending) return turned_edges(m, m->g->edges, out);
    *out = m->g->edges;
    return OK;
}

static enum err add_node(struct matching *m, const char *name)
{
    m->nodes[m->n_nodes++] = name;
    return apply_conditions(m, false);
}

/* From the node in column *id along an edge; *id becomes the edge's other end. */
static enum err along_edge(struct matching *m, const struct ast *e, uint32_t *id)
{
    const char *name = e->name;
    struct op *edges;
    if (m->n_edges == EDGES_MAX) {
        return FAIL_TAG(diag_at(m->cx->b->d, e->pos), ERR_LIMIT, "SEM0001",
                        "a pattern of more than %d edges", EDGES_MAX);
    }
    if (is_there(m, name)) {
        return FAIL_TAG(diag_at(m->cx->b->d, e->pos), ERR_INVALID, "SEM0001",
                        "the pattern names '%s' twice", name);
    }
    m->edges[m->n_edges].name = name;
    m->edges[m->n_edges++].is_path = e->args.n > 0;
    if (e->args.n > 0) {
        TRY(along_path(m, e, id));
        return check_edges(m);
    }
    uint32_t n_left = m->rows->schema.n;
    TRY(oriented_edges(m, e, &edges));
    TRY(named_table(m, edges, name, &edges));
    TRY(graph_join(m->cx, JOIN_INNER, m->rows, *id, edges, m->g->n_edge_cols, &m->rows));
    *id = n_left + m->g->n_edge_cols + 1;
    return check_edges(m);
}

/* The node that the newest edge leads to, which came from `from`. */
static enum err to_node(struct matching *m, const struct ast *n, const char *from, uint32_t *id)
{
    const char *name = n->name;
    struct op *nodes;
    struct binder *b = m->cx->b;
    uint32_t there = match_column(m, name, "$id");
    if (there != UINT32_MAX) {
        if (m->cycles == CYCLES_NONE) {
            return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED,
                        "a pattern that comes back to '%s' with cycles=none is not supported",
                        name);
        }
        TRY(match_equal(m, *id, there));
        *id = there;
        return apply_conditions(m, false);
    }
    if (m->cycles == CYCLES_NONE) TRY(check_nodes(m, from, *id));
    uint32_t n_left = m->rows->schema.n;
    TRY(named_table(m, m->g->nodes, name, &nodes));
    TRY(graph_join(m->cx, JOIN_INNER, m->rows, *id, nodes, m->g->n_node_cols, &m->rows));
    *id = n_left + m->g->n_node_cols;
    return add_node(m, name);
}

/* The place of the first node of the path that is known; the pattern's first path begins anew. */
static enum err begin_path(struct matching *m, const struct ast *path, uint32_t *place)
{
    for (*place = 0; m->rows != NULL && *place < path->args.n; *place += 2) {
        if (match_column(m, path->args.at[*place]->name, "$id") != UINT32_MAX) return OK;
    }
    if (m->rows != NULL) {
        return FAIL_TAG(diag_at(m->cx->b->d, path->pos), ERR_INVALID, "SEM0001",
                        "a path of the pattern has no node in common with those before it");
    }
    *place = 0;
    TRY(named_table(m, m->g->nodes, path->args.at[0]->name, &m->rows));
    return add_node(m, path->args.at[0]->name);
}

static enum err match_path(struct matching *m, const struct ast *path)
{
    struct ast *const *at = path->args.at;
    uint32_t first;
    TRY(name_pieces(m, path));
    TRY(begin_path(m, path, &first));
    uint32_t id = match_column(m, at[first]->name, "$id");
    for (uint32_t i = first; i + 2 < path->args.n; i += 2) {
        TRY(along_edge(m, at[i + 1], &id));
        TRY(to_node(m, at[i + 2], at[i]->name, &id));
    }
    id = match_column(m, at[first]->name, "$id");
    for (uint32_t i = first; i >= 2; i -= 2) {
        struct ast back = *at[i - 1];
        back.descending = !back.descending;
        if (back.args.n > 0) {
            return FAIL(diag_at(m->cx->b->d, back.pos), ERR_UNSUPPORTED,
                        "an edge of variable length that leads to a known node of another path is "
                        "not supported: begin the path there");
        }
        TRY(along_edge(m, &back, &id));
        TRY(to_node(m, at[i - 2], at[i]->name, &id));
    }
    return OK;
}

/* --- the operators --------------------------------------------------------------------------- */

static enum err read_words(struct matching *m)
{
    static const char *const of_match[] = {"cycles", NULL}, *const of_paths[] = {"output", NULL};
    static const char *const words[] = {"unique_edges", "none", "all"};
    struct op_cx *cx = m->cx;
    const char *cycles = param_word(cx->ast, "cycles"), *output = param_word(cx->ast, "output");
    TRY(check_params(cx, m->shortest ? of_paths : of_match));
    m->one = output == NULL || strcmp(output, "any") == 0;
    if (!m->one && strcmp(output, "all") != 0) {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                        "the output of graph-shortest-paths is any or all, not '%s'", output);
    }
    uint32_t i = 0;
    while (cycles != NULL && i < 3 && strcmp(words[i], cycles) != 0)
        i++;
    if (i == 3) {
        return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                        "cycles are all, none or unique_edges, not '%s'", cycles);
    }
    m->cycles = i == 0 ? CYCLES_UNIQUE_EDGES : i == 1 ? CYCLES_NONE : CYCLES_ALL;
    return OK;
}

static enum err read_variables(struct matching *m)
{
    const struct ast_list *paths = &m->cx->ast->args;
    uint32_t n = 0;
    for (uint32_t i = 0; i < paths->n; i++)
        n += paths->at[i]->args.n;
    m->variables.at = arena_array(m->cx->b->a, struct ast *, n + 1);
    if (m->variables.at == NULL) return bind_full(m->cx->b);
    for (uint32_t i = 0; i < paths->n; i++) {
        for (uint32_t k = 0; k < paths->at[i]->args.n; k++) {
            struct ast *piece = paths->at[i]->args.at[k];
            if (piece->name != NULL) m->variables.at[m->variables.n++] = piece;
        }
    }
    return OK;
}

static enum err bind_pattern_operator(struct op_cx *cx, bool shortest, struct op **out)
{
    struct matching m = {.cx = cx, .shortest = shortest};
    TRY(read_words(&m));
    if (shortest) TRY(check_shortest(&m));
    TRY(find_graph(cx, &m.g));
    TRY(graph_degrees(&m));
    TRY(read_variables(&m));
    TRY(read_conditions(&m));
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(match_path(&m, cx->ast->args.at[i]));
    TRY(apply_conditions(&m, true));
    const struct ast_list *path = &cx->ast->args.at[0]->args;
    if (shortest) TRY(keep_shortest(&m, path->at[0]->name, path->at[path->n - 1]->name));
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

enum err bind_graph_match(struct op_cx *cx, struct op **out)
{
    return bind_pattern_operator(cx, false, out);
}

enum err bind_graph_shortest(struct op_cx *cx, struct op **out)
{
    return bind_pattern_operator(cx, true, out);
}
