/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_graph.c - operators over graphs
 *
 *   make-graph from --> to [with T on id] [with_node_id=id]
 *   graph-match (a)-[e]->(b)<-[f]-(c), (a)-->(c) [where ...] project ...
 *   graph-to-table nodes | edges
 *   graph-mark-components [kind=weak] [with_component_id=id]
 */
#include "kql/parse.h"

static enum err accept_all(struct parser *p, const char *const *tokens, uint32_t n, bool *out)
{
    *out = true;
    for (uint32_t i = 0; i < n; i++)
        *out &= tok_is(p, tok_ahead(p, i), tokens[i]);
    if (*out) p->at += n;
    return OK;
}

enum err parse_make_graph(struct parser *p, struct ast *o)
{
    static const char *const arrow[] = {"-", "-", ">"};
    bool there;
    TRY(parse_name_node(p, &o->left));
    TRY(accept_all(p, arrow, 3, &there));
    if (!there) return expected(p, "'-->'");
    TRY(parse_name_node(p, &o->right));
    TRY(parse_params(p, &o->params));
    while (at_token(p, "with") || (o->by.n > 0 && at_token(p, ","))) {
        struct ast *table, *id;
        p->at++;
        TRY(parse_unary(p, &table));
        TRY(expect(p, "on"));
        TRY(parse_name_node(p, &id));
        TRY(list_add(p, &o->by, table));
        TRY(list_add(p, &o->args, id));
    }
    return parse_params(p, &o->params);
}

/* (n): a CLAUSE with the node's name, or without. */
static enum err parse_node(struct parser *p, struct ast **out)
{
    TRY(node_new(p, AST_CLAUSE, out));
    TRY(expect(p, "("));
    if (!at_token(p, ")")) TRY(parse_name(p, &(*out)->name));
    return expect(p, ")");
}

/* -[e]-> <-[e]- --> <--: a CLAUSE with the edge's name; descending: against the arrow. */
static enum err parse_edge(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CLAUSE, &n));
    n->descending = accept(p, "<");
    TRY(expect(p, "-"));
    if (accept(p, "[")) {
        if (!at_token(p, "]") && !at_token(p, "*")) TRY(parse_name(p, &n->name));
        if (at_token(p, "*")) {
            return FAIL(diag_at(p->d, tok(p)->pos), ERR_UNSUPPORTED,
                        "an edge of variable length is not supported");
        }
        TRY(expect(p, "]"));
    }
    TRY(expect(p, "-"));
    bool onward = accept(p, ">");
    if (onward == n->descending) {
        return FAIL(diag_at(p->d, n->pos), ERR_UNSUPPORTED,
                    "an edge of either direction is not supported");
    }
    *out = n;
    return OK;
}

/* One path: a LIST of node, edge, node, edge ... node. */
static enum err parse_path(struct parser *p, struct ast **out)
{
    struct ast *piece;
    TRY(node_new(p, AST_LIST, out));
    TRY(parse_node(p, &piece));
    TRY(list_add(p, &(*out)->args, piece));
    while (at_token(p, "-") || at_token(p, "<")) {
        TRY(parse_edge(p, &piece));
        TRY(list_add(p, &(*out)->args, piece));
        TRY(parse_node(p, &piece));
        TRY(list_add(p, &(*out)->args, piece));
    }
    return OK;
}

enum err parse_graph_match(struct parser *p, struct ast *o)
{
    TRY(parse_params(p, &o->params));
    TRY(parse_list(p, parse_path, &o->args));
    if (accept(p, "where")) TRY(parse_expr(p, &o->left));
    TRY(expect(p, "project"));
    return parse_list(p, parse_named, &o->by);
}

enum err parse_graph_to_table(struct parser *p, struct ast *o)
{
    const struct token *t = tok(p);
    TRY(parse_name_node(p, &o->left));
    if (at_token(p, "as") || at_token(p, ",") || tok_is(p, tok_ahead(p, 1), "=")) {
        return FAIL(diag_at(p->d, t->pos), ERR_UNSUPPORTED,
                    "'graph-to-table' into several tables or with ids is not supported");
    }
    return OK;
}

enum err parse_graph_components(struct parser *p, struct ast *o)
{
    return parse_params(p, &o->params);
}
