/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/plan.h - what a bound query is: a tree of operators over typed expressions
 *
 * Made by kql_compile() in one arena, read-only afterwards, run by exec/. Every name is resolved: a
 * column is an index into the input's schema, a function is a row of the registry, every implicit
 * cast is a call. Constant expressions are folded.
 */
#pragma once

#include "func/agg.h"
#include "func/fn.h"

struct expr {
    enum expr_kind { EXPR_COL, EXPR_CONST, EXPR_CALL, EXPR_SCALAR_QUERY } kind;
    enum type type;
    uint32_t weight, levels; /* nodes and depth of the tree below, shared parts each time */
    uint32_t col;            /* COL: index into the input's schema */
    struct value value;      /* CONST */
    struct fn_call call;     /* CALL */
    struct expr **args;      /* CALL: call.n_args */
    struct op *query;        /* SCALAR_QUERY: toscalar(); run once, first row, first column */
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
    OP_TABLE, /* rows of a table source */
    OP_ROWS,  /* rows that stand in the query: datatable, print */
    OP_RANGE,
    OP_FILTER,
    OP_PROJECT,   /* extend, project*, and all that only computes columns of the same row */
    OP_SUMMARIZE, /* distinct too */
    OP_SORT,
    OP_TOP,
    OP_TAKE,
    OP_UNION,
    OP_COUNT,
    OP_JOIN, /* lookup too */
    OP_MV_EXPAND,
    OP_PARSE, /* parse-where too */
    OP_MAKE_SERIES,
    /* further operators (mv-apply, top-nested, scan ...) are added here as they are built */
};

enum join_kind {
    JOIN_INNERUNIQUE, /* the default: one row of the left per key */
    JOIN_INNER,
    JOIN_LEFT_OUTER,
    JOIN_RIGHT_OUTER,
    JOIN_FULL_OUTER,
    JOIN_LEFT_SEMI,
    JOIN_LEFT_ANTI,
    JOIN_RIGHT_SEMI,
    JOIN_RIGHT_ANTI,
};

struct expanded {      /* one column of mv-expand */
    struct expr *expr; /* dynamic, over the input */
    uint32_t column;   /* of the result; its type there is what the elements are converted to */
};

struct parse_item {
    enum parse_kind { PARSE_STAR, PARSE_TEXT, PARSE_COLUMN } kind;
    struct bytes text; /* TEXT: literal, or with OP_PARSE's regex a pattern */
    uint32_t column;   /* COLUMN: of the result, with its type */
};

struct op {
    enum op_kind kind;
    struct op *input;        /* NULL for sources; the first of UNION's inputs */
    struct schema schema;    /* of the result */
    uint32_t pos;            /* offset in the query's text, for messages */
    uint32_t weight, levels; /* as of an expression: a let's operator may have two parents */
    union {
        struct { /* TABLE */
            const char *name;
            void *table;       /* what the catalogue gave for the name */
            uint32_t *columns; /* schema.cols[i] is column columns[i] of the source */
        } table;
        struct {
            uint32_t n_rows;
            struct expr **cells;
        } rows; /* row-major constants */
        struct {
            struct expr *from, *to, *step;
        } range;
        struct {
            struct expr *condition;
        } filter;
        struct {
            uint32_t n;
            struct expr **exprs;
        } project; /* one per result column */
        struct {
            uint32_t n_keys;
            struct expr **keys;
            uint32_t n_aggs;
            struct agg_use *aggs; /* result columns: keys, then aggregates */
        } summarize;
        struct {
            uint32_t n_keys;
            struct sort_key *keys;
        } sort;
        struct {
            uint32_t n_keys;
            struct sort_key *keys;
            struct expr *count;
        } top;
        struct {
            struct expr *count;
        } take;
        struct {
            uint32_t n;
            struct op **inputs;
            /* columns[k][i]: column of input k for result column i, UINT32_MAX = none */
            uint32_t **columns;
        } unions;
        /* Nulls and NaNs match each other. A string without a match is "", all else null. Result
         * columns: all of the input's, then right_columns of right's; a semi or anti join has one
         * side. */
        struct {
            enum join_kind kind;
            struct op *right;
            uint32_t n_keys;
            struct expr **left_keys;  /* over the input */
            struct expr **right_keys; /* over right; of the same types */
            uint32_t n_right;
            uint32_t *right_columns;
        } join;
        /* Result columns: the input's in their places, replaced or followed by items. */
        struct {
            uint32_t n;
            struct expanded *items;
            uint32_t index_column; /* with_itemindex, UINT32_MAX = none; from 0 */
            bool bags_as_arrays;   /* kind=array: {"a":1} gives ["a", 1], not {"a":1} */
            struct expr *limit;    /* rows out of one row, a constant; NULL = none */
        } mv_expand;
        /* Result columns: the input's in their places, replaced or followed by those parsed. */
        struct {
            enum { PARSE_SIMPLE, PARSE_RELAXED, PARSE_REGEX } mode;
            bool where;          /* parse-where: a row that does not match goes */
            const char *flags;   /* of regex: "i", "U" ... */
            struct expr *source; /* string */
            uint32_t n;
            struct parse_item *items;
        } parse;
        /* Result columns: keys, arrays of the aggregates, array of the axis. */
        struct {
            uint32_t n_keys;
            struct expr **keys;
            uint32_t n_aggs;
            struct agg_use *aggs;
            struct expr **defaults; /* constants of the aggregates' types; NULL: 0, or null */
            struct expr *axis;
            struct expr *from, *to, *step; /* from and to NULL: of the data. Free of columns */
            bool inclusive;                /* in range(): `to` belongs to it */
            bool nonempty; /* kind=nonempty: no rows and no keys still give one series */
        } make_series;
    };
};

struct render_prop {
    const char *name, *value;
};

struct render {       /* passed through to the client */
    const char *kind; /* "timechart"; NULL = none */
    uint32_t n;
    struct render_prop *props;
};

struct plan {
    struct op *root;
    struct render render;
};
