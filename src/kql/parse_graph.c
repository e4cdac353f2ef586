/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/parse_graph.c - operators over graphs
 *
 *   make-graph from --> to [with T on id] [with_node_id=id] [partitioned-by column (graph-match ...)]
 *   graph-match [cycles=all] (a)-[e]->(b)<-[f]-(c), (a)-[g*1..3]->(c), (a)--(b) [where ...] project ...
 *   graph-shortest-paths [output=all] (a)-[e*1..3]->(b) [where ...] project ...
 *   graph-to-table nodes [as N] [with_node_id=id], edges [as E] [with_source_id=id] [with_target_id=id]
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
    static const char *const partitioned[] = {"partitioned", "-", "by"};
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
    TRY(parse_params(p, &o->params));
    TRY(accept_all(p, partitioned, 3, &there));
    if (!there) return OK;
    TRY(parse_name_node(p, &o->extra));
    struct ast *pipe;
    TRY(parse_subquery(p, &pipe));
    return list_add(p, &o->names, pipe);
}

/* (n): a CLAUSE with the node's name, or without. */
static enum err parse_node(struct parser *p, struct ast **out)
{
    TRY(node_new(p, AST_CLAUSE, out));
    TRY(expect(p, "("));
    if (!at_token(p, ")")) TRY(parse_name(p, &(*out)->name));
    return expect(p, ")");
}

/* *2..5, at the star: two constants. */
static enum err parse_lengths(struct parser *p, struct ast *edge)
{
    p->at++;
    for (int i = 0; i < 2; i++) {
        struct ast *n;
        if (i == 1) TRY(expect(p, ".."));
        if (tok(p)->kind != TOK_LONG) return expected(p, "a number of edges");
        TRY(node_new(p, AST_CONST, &n));
        TRY(literal_number(p, tok(p), &n->value));
        p->at++;
        TRY(list_add(p, &edge->args, n));
    }
    return OK;
}

/* -[e]-> <-[e]- -[e]- --> <-- -- and -[e*1..3]->: a CLAUSE with the edge's name; descending: against
 * the arrow; is_open: in either direction; args: the lengths. */
static enum err parse_edge(struct parser *p, struct ast **out)
{
    struct ast *n;
    TRY(node_new(p, AST_CLAUSE, &n));
    n->descending = accept(p, "<");
    TRY(expect(p, "-"));
    if (accept(p, "[")) {
        if (!at_token(p, "]") && !at_token(p, "*")) TRY(parse_name(p, &n->name));
        if (at_token(p, "*")) TRY(parse_lengths(p, n));
        TRY(expect(p, "]"));
    }
    TRY(expect(p, "-"));
    bool onward = accept(p, ">");
    if (onward && n->descending) return expected(p, "one direction of an edge");
    n->is_open = !onward && !n->descending;
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

static enum err parse_graph_table(struct parser *p, struct ast **out)
{
    TRY(node_new(p, AST_CLAUSE, out));
    TRY(parse_name(p, &(*out)->name));
    if (accept(p, "as")) TRY(parse_name_node(p, &(*out)->left));
    return parse_params(p, &(*out)->params);
}

enum err parse_graph_to_table(struct parser *p, struct ast *o)
{
    return parse_list(p, parse_graph_table, &o->args);
}

enum err parse_graph_components(struct parser *p, struct ast *o)
{
    return parse_params(p, &o->params);
}
