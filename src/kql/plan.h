/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/plan.h - what a bound query is: a tree of operators over typed expressions
 *
 * Made by kql_bind() in one arena, read-only afterwards, run by exec/. Every name is resolved: a column is
 * an index into the input's schema, a function is a row of the registry, every implicit cast is a call.
 * Constant expressions are folded.
 */
#pragma once

#include "func/agg.h"
#include "func/fn.h"

struct expr {
    enum expr_kind { EXPR_COL, EXPR_CONST, EXPR_CALL, EXPR_SCALAR_QUERY } kind;
    enum type type;
    uint32_t weight, levels;            /* nodes and depth of the tree below: limited, as shared parts repeat */
    uint32_t col;                       /* COL: index into the input's schema */
    struct value value;                 /* CONST */
    struct fn_call call;                /* CALL */
    struct expr **args;                 /* CALL: call.n_args */
    struct op *query;                   /* SCALAR_QUERY: toscalar(); run once, first row, first column */
};

struct named_expr {
    const char *name;
    struct expr *expr;
};

struct sort_key {
    struct expr *expr;
    bool descending, nulls_first;
};

struct agg_use {
    const char *name; /* of the result column */
    struct agg_call call;
    struct expr **args;
};

enum op_kind {
    OP_TABLE,     /* rows of a table source */
    OP_ROWS,      /* rows that stand in the query: datatable, print */
    OP_RANGE,
    OP_FILTER,
    OP_PROJECT,   /* extend, project*, and all that only computes columns of the same row */
    OP_SUMMARIZE, /* distinct too */
    OP_SORT,
    OP_TOP,
    OP_TAKE,
    OP_UNION,
    OP_COUNT,
    /* further operators (join, mv-expand, parse, make-series ...) are added here as they are built */
};

struct op {
    enum op_kind kind;
    struct op *input;     /* NULL for sources; the first of UNION's inputs */
    struct schema schema; /* of the result */
    uint32_t pos;         /* offset in the query's text, for messages */
    uint32_t weight, levels; /* operators and depth of the tree below: a let's operator may have two parents */
    union {
        struct { /* TABLE */
            const char *name;
            void *table;           /* what the catalogue gave for the name */
            uint32_t *columns;     /* schema.cols[i] is column columns[i] of the source */
        } table;
        struct { uint32_t n_rows; struct expr **cells; } rows; /* row-major constants */
        struct { struct expr *from, *to, *step; } range;
        struct { struct expr *condition; } filter;
        struct { uint32_t n; struct expr **exprs; } project;   /* one per result column */
        struct {
            uint32_t n_keys;
            struct expr **keys;
            uint32_t n_aggs;
            struct agg_use *aggs; /* result columns: keys, then aggregates */
        } summarize;
        struct { uint32_t n_keys; struct sort_key *keys; } sort;
        struct { uint32_t n_keys; struct sort_key *keys; struct expr *count; } top;
        struct { struct expr *count; } take;
        struct {
            uint32_t n;
            struct op **inputs;
            uint32_t **columns; /* columns[k][i]: column of input k for result column i, UINT32_MAX = none */
        } unions;
    };
};

struct render_prop {
    const char *name, *value;
};

struct render { /* passed through to the client */
    const char *kind; /* "timechart"; NULL = none */
    uint32_t n;
    struct render_prop *props;
};

struct plan {
    struct op *root;
    struct render render;
};
