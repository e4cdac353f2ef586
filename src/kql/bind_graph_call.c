/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_graph_call.c - functions of patterns: all(), any(), map() and degrees of nodes */
#include "kql/bind_graph.h"

/* --- what is done with an edge of variable length --------------------------------------------- */

/* e, or inner_nodes(e): the edge's name. */
static const char *target_of(const struct ast *n, bool *of_nodes)
{
    *of_nodes = n->kind == AST_CALL && strcmp(n->name, "inner_nodes") == 0 && n->args.n == 1;
    if (*of_nodes) n = n->args.at[0];
    return n->kind == AST_NAME ? n->name : NULL;
}

static bool value_of(const char *function, enum path_value *out)
{
    static const char *const names[] = {
        [PATH_EACH] = "map", [PATH_ANY] = "any", [PATH_ALL] = "all"};
    for (int i = 0; i < 3; i++) {
        *out = (enum path_value)i;
        if (strcmp(names[i], function) == 0) return true;
    }
    return false;
}

static enum err uses_add(struct binder *b, struct path_uses *u, struct path_use use)
{
    if (use.column == NULL) return bind_full(b);
    for (uint32_t i = 0; i < u->n; i++) {
        if (strcmp(u->at[i].column, use.column) == 0) return OK;
    }
    if (u->n == u->cap) {
        uint32_t cap = u->cap == 0 ? 8 : u->cap * 2;
        struct path_use *at = arena_array(b->a, struct path_use, cap);
        if (at == NULL) return bind_full(b);
        if (u->n > 0) memcpy(at, u->at, u->n * sizeof *at);
        u->at = at;
        u->cap = cap;
    }
    u->at[u->n++] = use;
    return OK;
}

/* A call is told from others by its place in the text. */
static const char *column_of_call(struct binder *b, const char *edge, const struct ast *call)
{
    return arena_fmt(b->a, "%s.$%u", edge, call->pos);
}

static enum err uses_in(struct binder *b, const char *edge, const struct ast *n,
                        struct path_uses *u)
{
    struct path_use use = {.call = n};
    if (n == NULL) return OK;
    if (n->kind == AST_CALL && n->args.n == 2 && value_of(n->name, &use.value)) {
        const char *name = target_of(n->args.at[0], &use.of_nodes);
        use.expr = n->args.at[1];
        use.column = name != NULL ? column_of_call(b, edge, n) : NULL;
        if (name != NULL && strcmp(name, edge) == 0) return uses_add(b, u, use);
    }
    if (n->kind == AST_PATH && n->args.at[0]->kind == AST_NAME && !n->is_open &&
        strcmp(n->args.at[0]->name, edge) == 0) {
        use.property = n->name;
        use.column = arena_fmt(b->a, "%s.%s", edge, n->name);
        return uses_add(b, u, use);
    }
    TRY(uses_in(b, edge, n->left, u));
    TRY(uses_in(b, edge, n->right, u));
    for (uint32_t i = 0; i < n->args.n; i++)
        TRY(uses_in(b, edge, n->args.at[i], u));
    return OK;
}

enum err find_uses(struct matching *m, const char *edge, struct path_uses *out)
{
    struct binder *b = m->cx->b;
    *out = (struct path_uses){0};
    TRY(uses_in(b, edge, m->cx->ast->left, out));
    for (uint32_t i = 0; i < m->cx->ast->by.n; i++)
        TRY(uses_in(b, edge, m->cx->ast->by.at[i], out));
    return OK;
}

bool names_variable(const struct ast *n, const char *variable)
{
    if (n == NULL) return false;
    if (n->kind == AST_NAME && strcmp(n->name, variable) == 0) return true;
    if (names_variable(n->left, variable) || names_variable(n->right, variable)) return true;
    for (uint32_t i = 0; i < n->args.n; i++) {
        if (names_variable(n->args.at[i], variable)) return true;
    }
    return false;
}

/* --- degrees --------------------------------------------------------------------------------- */

static bool calls_degrees(const struct ast *n)
{
    if (n == NULL) return false;
    if (n->kind == AST_CALL && strncmp(n->name, "node_degree_", 12) == 0) return true;
    if (calls_degrees(n->left) || calls_degrees(n->right)) return true;
    for (uint32_t i = 0; i < n->args.n; i++) {
        if (calls_degrees(n->args.at[i])) return true;
    }
    return false;
}

/* Edges counted by one of their ends: summarize count() by end. */
static enum err count_edges(struct matching *m, const char *end, struct op **out)
{
    uint32_t pos = m->cx->ast->pos;
    struct ast by = {.kind = AST_NAME, .name = end, .pos = pos};
    struct ast count = {.kind = AST_CALL, .name = "count", .pos = pos};
    struct ast *keys[1] = {&by}, *aggs[1] = {&count};
    struct ast n = {.kind = AST_OPERATOR,
                    .op = OPER_SUMMARIZE,
                    .name = m->cx->ast->name,
                    .pos = pos,
                    .args = {.n = 1, .at = aggs},
                    .by = {.n = 1, .at = keys}};
    struct op_cx inner = *m->cx;
    inner.ast = &n;
    inner.in = m->g->edges;
    return bind_summarize(&inner, out);
}

/* The nodes with one more column, 0 where no edge has such an end. */
static enum err add_degree(struct matching *m, struct op *nodes, const char *end, const char *name,
                           struct op **out)
{
    struct binder *b = m->cx->b;
    uint32_t n = nodes->schema.n;
    struct op *counts, *joined;
    struct value zero = {.type = T_LONG};
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n + 1);
    struct expr *args[2];
    if (exprs == NULL) return bind_full(b);
    TRY(count_edges(m, end, &counts));
    TRY(graph_join(m->cx, JOIN_LEFT_OUTER, nodes, m->g->n_node_cols, counts, 0, &joined));
    const struct schema *row = &joined->schema;
    struct scope s = {.b = b, .row = row, .base = row, .where = m->cx->ast->name};
    for (uint32_t i = 0; i < n; i++) {
        exprs[i].name = row->cols[i].name;
        TRY(expr_col(b, row, i, &exprs[i].expr));
    }
    exprs[n].name = name;
    TRY(expr_col(b, row, n + 1, &args[0]));
    TRY(expr_const(b, &zero, &args[1]));
    TRY(expr_call(&s, m->cx->ast->pos, "coalesce", args, 2, &exprs[n].expr));
    return op_project(b, joined, m->cx->ast->pos, exprs, n + 1, out);
}

enum err graph_degrees(struct matching *m)
{
    const struct ast *n = m->cx->ast;
    bool wanted = calls_degrees(n->left);
    for (uint32_t i = 0; i < n->by.n; i++)
        wanted |= calls_degrees(n->by.at[i]);
    if (!wanted) return OK;
    struct graph *g = arena_new(m->cx->b->a, struct graph);
    if (g == NULL) return bind_full(m->cx->b);
    *g = *m->g;
    TRY(add_degree(m, g->nodes, "$to", "$in", &g->nodes));
    TRY(add_degree(m, g->nodes, "$from", "$out", &g->nodes));
    TRY(op_new(m->cx->b, OP_MATERIALIZE, g->nodes, n->pos, &g->nodes));
    m->g = g;
    return OK;
}

/* --- in an expression ------------------------------------------------------------------------ */

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

static enum err column_named(struct scope *s, const char *name, const struct ast *n,
                             const char *wanted, struct expr **out)
{
    if (name == NULL) return bind_full(s->b);
    int at = schema_find(s->row, name);
    if (at >= 0) return expr_col(s->b, s->row, (uint32_t)at, out);
    return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0100",
                    "%s() wants %s of the pattern", n->name, wanted);
}

enum err bind_graph_function(struct scope *s, const struct ast *n, bool *found, struct expr **out)
{
    enum path_value value;
    bool of_nodes;
    bool degree = strcmp(n->name, "node_degree_in") == 0 || strcmp(n->name, "node_degree_out") == 0;
    *found = degree || value_of(n->name, &value);
    if (!*found) return OK;
    const char *variable = n->args.n > 0 ? target_of(n->args.at[0], &of_nodes) : NULL;
    const char *wanted = degree ? "a node" : "an edge of variable length, or inner_nodes() of one,";
    if (variable == NULL || n->args.n != (degree ? 1 : 2)) {
        return FAIL_TAG(diag_at(s->b->d, n->pos), ERR_INVALID, "SEM0219", "%s() wants %s%s",
                        n->name, wanted, degree ? "" : " and an expression");
    }
    const char *name = degree ? arena_fmt(s->b->a, "%s.$%s", variable, n->name + 12)
                              : column_of_call(s->b, variable, n);
    return column_named(s, name, n, wanted, out);
}
