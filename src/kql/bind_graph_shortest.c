/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_graph_shortest.c - graph-shortest-paths: of the matches of a pattern the shortest */
#include "kql/bind_graph.h"

enum err check_shortest(struct matching *m)
{
    const struct ast_list *paths = &m->cx->ast->args;
    bool varies = false;
    for (uint32_t i = 1; paths->n == 1 && i < paths->at[0]->args.n; i += 2)
        varies |= paths->at[0]->args.at[i]->args.n > 0;
    if (varies) return OK;
    return FAIL_TAG(diag_at(m->cx->b->d, m->cx->ast->pos), ERR_INVALID, "SEM0001",
                    "the pattern of graph-shortest-paths is one path with an edge of variable "
                    "length");
}

static struct ast name_node(const char *name, uint32_t pos)
{
    return (struct ast){.kind = AST_NAME, .name = name, .pos = pos};
}

/* All edges of the match as "$len". */
static enum err with_length(struct matching *m)
{
    struct binder *b = m->cx->b;
    const struct schema *row = &m->rows->schema;
    struct scope s = {.b = b, .row = row, .base = row, .where = m->cx->ast->name};
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)row->n + 1);
    struct value fixed = {.type = T_LONG};
    struct expr *sum, *len;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < row->n; i++) {
        exprs[i].name = row->cols[i].name;
        TRY(expr_col(b, row, i, &exprs[i].expr));
    }
    for (uint32_t i = 0; i < m->n_edges; i++)
        fixed.i += !m->edges[i].is_path;
    TRY(expr_const(b, &fixed, &sum));
    for (uint32_t i = 0; i < m->n_edges; i++) {
        if (!m->edges[i].is_path) continue;
        TRY(expr_col(b, row, match_column(m, m->edges[i].name, "$len"), &len));
        TRY(expr_call2(&s, m->cx->ast->pos, "op +", sum, len, &sum));
    }
    exprs[row->n].name = "$len";
    exprs[row->n].expr = sum;
    return op_project(b, m->rows, m->cx->ast->pos, exprs, row->n + 1, &m->rows);
}

/* summarize arg_min("$len", *) by the two ends, or min("$len") by them. */
static enum err best_by_ends(struct matching *m, struct op *all, const char *from, const char *to,
                             struct op **out)
{
    struct binder *b = m->cx->b;
    uint32_t pos = m->cx->ast->pos;
    struct ast len = name_node("$len", pos), star = {.kind = AST_STAR, .pos = pos};
    struct ast ends[2] = {name_node(arena_fmt(b->a, "%s.$id", from), pos),
                          name_node(arena_fmt(b->a, "%s.$id", to), pos)};
    if (ends[0].name == NULL || ends[1].name == NULL) return bind_full(b);
    struct ast *args[2] = {&len, &star}, *by[2] = {&ends[0], &ends[1]};
    struct ast agg = {.kind = AST_CALL,
                      .name = m->one ? "arg_min" : "min",
                      .pos = pos,
                      .args = {.n = m->one ? 2 : 1, .at = args}};
    struct ast *aggs[1] = {&agg};
    struct ast summarize = {.kind = AST_OPERATOR,
                            .op = OPER_SUMMARIZE,
                            .name = m->cx->ast->name,
                            .pos = pos,
                            .args = {.n = 1, .at = aggs},
                            .by = {.n = 2, .at = by}};
    struct op_cx inner = *m->cx;
    inner.ast = &summarize;
    inner.in = all;
    return bind_summarize(&inner, out);
}

enum err keep_shortest(struct matching *m, const char *from, const char *to)
{
    struct op *all, *best;
    TRY(with_length(m));
    TRY(op_new(m->cx->b, OP_MATERIALIZE, m->rows, m->cx->ast->pos, &all));
    TRY(best_by_ends(m, all, from, to, m->one ? &m->rows : &best));
    if (m->one) return OK;

    uint32_t cols[3] = {0, 1, 2}, n = all->schema.n;
    const char *names[3] = {"$best_from", "$best_to", "$best"};
    TRY(op_columns(m->cx->b, best, m->cx->ast->pos, cols, names, 3, &best));
    m->rows = all;
    TRY(graph_join(m->cx, JOIN_INNER, all, match_column(m, from, "$id"), best, 0, &m->rows));
    TRY(match_equal(m, match_column(m, to, "$id"), n + 1));
    return match_equal(m, n - 1, n + 2);
}
