/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_graph_path.c - edges of variable length: what the search for paths is given
 *
 * Values that the query takes from each edge or node on the way are computed before the search, as
 * columns of the table of edges: an edge brings those of the node that it leads to.
 */
#include "kql/bind_graph.h"

#define PATH_LEN_MAX 1000

struct searching {
    struct matching *m;
    const struct ast *edge;
    struct path_uses uses;
    struct path_search *search;
};

static enum err read_lengths(struct searching *x)
{
    const struct ast_list *lengths = &x->edge->args;
    int64_t min = lengths->at[0]->value.i, max = lengths->at[1]->value.i;
    if (min >= 0 && max >= min && max <= PATH_LEN_MAX) {
        x->search->len_min = (uint32_t)min;
        x->search->len_max = (uint32_t)max;
        return OK;
    }
    return FAIL_TAG(diag_at(x->m->cx->b->d, x->edge->pos), ERR_INVALID, "SEM0001",
                    "the lengths of an edge are from 0 to %d, the smaller one first", PATH_LEN_MAX);
}

/* --- values along the way -------------------------------------------------------------------- */

static enum err bind_value(struct searching *x, const struct path_use *use, const struct op *over,
                           struct expr **out)
{
    struct binder *b = x->m->cx->b;
    struct scope s = {.b = b,
                      .names = *x->m->cx->names,
                      .row = &over->schema,
                      .base = &over->schema,
                      .where = x->m->cx->ast->name};
    if (use->property != NULL) {
        int at = schema_find(&over->schema, use->property);
        if (at < 0) return no_column(&s, use->property, use->call->pos);
        return expr_col(b, &over->schema, (uint32_t)at, out);
    }
    return use->value == PATH_EACH ? bind_expr(&s, use->expr, out)
                                   : bind_condition(&s, use->expr, out);
}

/* Some columns of a table, and behind them the values of edges, or of nodes. */
static enum err with_values(struct searching *x, struct op *in, uint32_t first, uint32_t n_kept,
                            bool of_nodes, struct op **out)
{
    struct binder *b = x->m->cx->b;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n_kept + x->uses.n + 1);
    uint32_t n = 0;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n_kept; i++) {
        exprs[n].name = in->schema.cols[first + i].name;
        TRY(expr_col(b, &in->schema, first + i, &exprs[n++].expr));
    }
    for (uint32_t i = 0; i < x->uses.n; i++) {
        if (x->uses.at[i].of_nodes != of_nodes) continue;
        exprs[n].name = x->uses.at[i].column;
        TRY(bind_value(x, &x->uses.at[i], in, &exprs[n++].expr));
    }
    return op_project(b, in, x->edge->pos, exprs, n, out);
}

/* "$from", "$to", "$row", then the values in the order of their uses. */
static enum err steps(struct searching *x, struct op **out)
{
    struct matching *m = x->m;
    struct binder *b = m->cx->b;
    struct op *edges, *nodes;
    TRY(oriented_edges(m, x->edge, &edges));
    TRY(with_values(x, edges, m->g->n_edge_cols, 3, false, &edges));
    TRY(with_values(x, m->g->nodes, m->g->n_node_cols, 1, true, &nodes));
    uint32_t n_edges = edges->schema.n, next[2] = {3, n_edges + 1};
    if (nodes->schema.n > 1) TRY(graph_join(m->cx, JOIN_INNER, edges, 1, nodes, 0, &edges));
    uint32_t *cols = arena_array(b->a, uint32_t, (size_t)x->uses.n + 3);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < 3; i++)
        cols[i] = i;
    for (uint32_t i = 0; i < x->uses.n; i++)
        cols[3 + i] = next[x->uses.at[i].of_nodes]++;
    return op_columns(b, edges, x->edge->pos, cols, NULL, 3 + x->uses.n, out);
}

/* all(e, ...) that must be true prunes the search. */
static bool is_required(const struct matching *m, const struct path_use *use)
{
    for (uint32_t i = 0; use->value == PATH_ALL && i < m->conditions.n; i++) {
        if (m->conditions.at[i] == use->call) return true;
    }
    return false;
}

/* The search itself may leave out what is not shortest when nothing else looks at the path. */
static bool may_shorten(const struct searching *x)
{
    const struct matching *m = x->m;
    if (!m->shortest || m->cx->ast->args.at[0]->args.n != 3) return false;
    if (x->edge->is_open || x->search->len_min > 1) return false;
    for (uint32_t i = 0; i < m->conditions.n; i++) {
        const struct ast *n = m->conditions.at[i];
        bool required = false;
        for (uint32_t k = 0; k < x->uses.n; k++)
            required |= n == x->uses.at[k].call && x->search->columns[k].required;
        if (n != NULL && !required && names_variable(n, x->edge->name)) return false;
    }
    return true;
}

/* --- the operator ---------------------------------------------------------------------------- */

static enum err result_schema(struct searching *x, const struct op *in, const struct op *second,
                              struct schema *out)
{
    static const char *const names[] = {"$end", "$rows", "$inner", "$len"};
    struct binder *b = x->m->cx->b;
    const enum type types[] = {second->schema.cols[1].type, T_DYNAMIC, T_DYNAMIC, T_LONG};
    uint32_t n = in->schema.n;
    struct column *cols = arena_array(b->a, struct column, (size_t)n + 4 + x->uses.n);
    if (cols == NULL) return bind_full(b);
    if (n > 0) memcpy(cols, in->schema.cols, n * sizeof *cols);
    for (uint32_t i = 0; i < 4; i++) {
        cols[n].name = arena_fmt(b->a, "%s.%s", x->edge->name, names[i]);
        if (cols[n].name == NULL) return bind_full(b);
        cols[n++].type = types[i];
    }
    for (uint32_t i = 0; i < x->uses.n; i++) {
        cols[n].name = x->uses.at[i].column;
        cols[n++].type = x->uses.at[i].value == PATH_EACH ? T_DYNAMIC : T_BOOL;
    }
    *out = (struct schema){.n = n, .cols = cols};
    return OK;
}

enum err along_path(struct matching *m, const struct ast *e, uint32_t *id)
{
    struct binder *b = m->cx->b;
    struct searching x = {.m = m, .edge = e, .search = arena_new(b->a, struct path_search)};
    struct op *second, *op;
    if (x.search == NULL) return bind_full(b);
    *x.search = (struct path_search){.from = *id, .cycles = m->cycles};
    TRY(read_lengths(&x));
    TRY(find_uses(m, e->name, &x.uses));
    x.search->n = x.uses.n;
    x.search->columns = arena_array(b->a, struct path_column, x.uses.n + 1);
    if (x.search->columns == NULL) return bind_full(b);
    for (uint32_t i = 0; i < x.uses.n; i++) {
        x.search->columns[i] = (struct path_column){.value = x.uses.at[i].value,
                                                    .of_nodes = x.uses.at[i].of_nodes,
                                                    .required = is_required(m, &x.uses.at[i])};
    }
    if (may_shorten(&x)) x.search->which = m->one ? PATHS_ONE_SHORTEST : PATHS_SHORTEST;
    TRY(steps(&x, &second));
    TRY(op_new(b, OP_WHOLE, m->rows, e->pos, &op));
    TRY(op_second_input(b, op, second));
    op->whole.kind = WHOLE_PATHS;
    op->whole.second = second;
    op->whole.more = x.search;
    TRY(result_schema(&x, m->rows, second, &op->schema));
    *id = m->rows->schema.n;
    m->rows = op;
    return OK;
}
