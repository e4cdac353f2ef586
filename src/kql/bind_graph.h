/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_graph.h - graphs, and what the binders of their operators share
 *
 * A graph is two tables: its edges, with "$from", "$to" and a number "$row" behind their columns, and
 * its nodes, with "$id" behind theirs.
 *
 * A match of a pattern is a row whose columns go by the names of the pattern: n.name, which
 * bind_dotted() finds there; n.$id of a node, e.$row of an edge; of an edge of variable length
 * e.$rows, e.$inner (ids of the nodes on its way, without its ends) and e.$len.
 */
#pragma once

#include "kql/bind.h"

struct graph {
    struct op *op; /* what stands for it in a pipe */
    struct op *edges, *nodes;
    uint32_t n_edge_cols, n_node_cols; /* without those of the graph */
    struct graph *up;
};

/* The graph that the operator's input stands for. */
enum err find_graph(struct op_cx *cx, const struct graph **out);
/* left join right on a column of each; all columns of both. */
enum err graph_join(struct op_cx *cx, enum join_kind kind, struct op *left, uint32_t left_col,
                    struct op *right, uint32_t right_col, struct op **out);

enum err distinct_rows(struct op_cx *cx, struct op *in, struct op **out);

/* --- bind_graph_partition.c: of a make-graph with a partition ---------------------------------- */

/* The id in the row's part. */
enum err partition_key(struct op_cx *cx, const struct schema *in, struct expr *id,
                       struct expr **out);
/* All ids that the edges and the table of nodes have, and what is shown as each; table: NULL: there is
 * none. */
enum err partition_ids(struct op_cx *cx, struct op *table, struct op **out);
/* The table of nodes with the id of each row, made of column id, behind its columns. */
enum err partition_rows(struct op_cx *cx, struct op *table, uint32_t id, struct op **out);

#define EDGES_MAX 32

/* A pattern, while its rows come to be. */
struct matching {
    struct op_cx *cx;
    const struct graph *g;
    struct op *rows; /* so far; NULL at the beginning */
    enum cycles cycles;
    bool shortest, one;         /* graph-shortest-paths; output=any */
    struct ast_list variables;  /* nodes and edges that have a name */
    struct ast_list conditions; /* of where, taken apart at `and`; NULL when it is done */
    uint32_t n_unnamed, n_edges;
    struct {
        const char *name;
        bool is_path; /* of variable length */
    } edges[EDGES_MAX];
    uint32_t n_nodes;
    const char *nodes[EDGES_MAX + 1];
};

/* Edges as a walk along e takes them, "$from" to "$to": against the arrow they are turned, in either
 * direction they are there twice. */
enum err oriented_edges(struct matching *m, const struct ast *e, struct op **out);
/* The table's column of that name behind the pattern's name, UINT32_MAX = none. */
uint32_t match_column(const struct matching *m, const char *variable, const char *column);
/* Keeps the rows of the match in which the two columns are equal. */
enum err match_equal(struct matching *m, uint32_t left, uint32_t right);
/* bind_graph_shortest.c: the pattern must be one path with an edge of variable length; of the rows
 * between the same two nodes the shortest are kept: one (m->one), or all that are as short. */
enum err check_shortest(struct matching *m);
enum err keep_shortest(struct matching *m, const char *from, const char *to);
/* bind_graph_path.c: from the node in column *id along an edge of variable length. */
enum err along_path(struct matching *m, const struct ast *e, uint32_t *id);

/* --- bind_graph_call.c: functions of patterns -------------------------------------------------- */

/* all(e, condition), any(e, condition), map(e, value), the same of inner_nodes(e), and e.name, where e
 * is an edge of variable length: a value that is taken from each edge or node on the way. */
struct path_use {
    const char *column; /* of the match that has the result */
    enum path_value value;
    bool of_nodes;
    const struct ast *expr; /* over the table of edges or of nodes; NULL: the column `property` */
    const struct ast *call;
    const char *property;
};
struct path_uses {
    uint32_t n, cap;
    struct path_use *at;
};
/* All that where and project do with the edge. */
enum err find_uses(struct matching *m, const char *edge, struct path_uses *out);
/* Does the expression name the variable? */
bool names_variable(const struct ast *n, const char *variable);
/* Where node_degree_in() or node_degree_out() stands in the query nodes get "$in" and "$out". */
enum err graph_degrees(struct matching *m);
