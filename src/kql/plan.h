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
    uint32_t group_depth;    /* SCALAR_QUERY: run once for each group of so many APPLYs around it */
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
    OP_PARSE_KV,
    OP_MATERIALIZE, /* the same rows for all who read it */
    OP_EXTERNAL,    /* externaldata: records that lie elsewhere */
    OP_GROUP,       /* the rows of the group under way: what an APPLY's plan reads */
    OP_APPLY,       /* mv-apply, partition: a plan over each group of rows */
    OP_EXPLAIN, /* runs its input, and tells rows, bytes and time of each operator; a root only */
    OP_WHOLE,   /* what needs all rows at once: scan, top-nested, most plugins */
};

#define TABLE_RECEIVED UINT32_MAX /* when the row came: a datetime that every source has */

enum external_format {
    EXTERNAL_DELIMITED, /* fields in the columns' order; quotes as RFC 4180 has them */
    EXTERNAL_LINES,     /* the first column is a line; empty ones are no records */
    EXTERNAL_RAW,       /* the first column is the whole file */
    EXTERNAL_JSON,      /* bags, in an array, on lines or with space between them: by name */
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

enum whole_kind {
    WHOLE_SCAN,
    WHOLE_TOP_NESTED,
    WHOLE_PIVOT,
    WHOLE_NARROW,
    WHOLE_IP_LOOKUP,
    WHOLE_ROWS_NEAR,
    WHOLE_SCHEMA_MERGE,
    WHOLE_SLIDING_WINDOW,
    WHOLE_ACTIVITY_COUNTS,
    WHOLE_ACTIVITY,
    WHOLE_ACTIVITY_ENGAGEMENT,
    WHOLE_NEW_ACTIVITY,
    WHOLE_ACTIVE_USERS,
    WHOLE_ROLLING_PERCENTILE,
    WHOLE_COMPONENTS,
    WHOLE_PATHS,
    WHOLE_REDUCE,
    WHOLE_BASKET,
    WHOLE_AUTOCLUSTER,
    WHOLE_DIFFPATTERNS,
    WHOLE_TEXT_PATTERNS,
    WHOLE_SESSION_COUNT,
    WHOLE_FUNNEL,
    WHOLE_FUNNEL_COMPLETION,
    WHOLE_SEQUENCES,
    N_WHOLE_KINDS,
};

/* scan's steps. Its conditions and values stand in rows of n_steps + 1 parts, each of the input's
 * columns, then the declared ones: first the row under way, then the last match of each step. */
struct scan_step {
    const char *name;
    enum { SCAN_ALL, SCAN_LAST, SCAN_NONE } output;
    struct expr *condition;
    struct expr **values; /* per declared column, NULL: its default */
};
struct scan_steps {
    uint32_t n_declared;
    struct expr **defaults; /* constants */
    uint32_t n;
    struct scan_step *steps;
    bool match_id; /* the result has its number as the last column, from 0 */
};

/* top-nested: what the rows of each level come from is a union over levels; columns: the level's
 * number, its keys (null below it), its aggregate. */
struct nested_level {
    bool has_count;
    struct expr *count; /* a constant */
    bool ascending;
    struct expr *others;                                 /* the key of all that is left, or NULL */
    enum { NESTED_SUM, NESTED_MIN, NESTED_MAX } combine; /* others' aggregate, from the groups' */
};
struct nested_levels {
    uint32_t n;
    struct nested_level *levels;
};

/* pivot: columns of the input are n_keys keys, the value as text, the aggregate; consts[0] is the
 * aggregate of no rows. */
struct pivot_values {
    uint32_t n_keys, n;
    const char **names; /* values that have a column, in order */
};

/* ipv4_lookup, ipv6_lookup: result columns by where they come from. */
struct ip_lookup {
    uint32_t source_key, lookup_key;
    uint32_t n_extra, *source_extra, *lookup_extra; /* must be equal too */
    uint32_t *from; /* per result column: of the source, or with LOOKUP_SECOND of the other table */
    bool unmatched; /* rows without a match stay */
};
#define LOOKUP_SECOND (1U << 31)

/* Edges of variable length: from the node in column `from` of each row along edges of the other table,
 * whose columns are both ends, the edge's number, and n values. Result columns: the row's, the node
 * where the path ends, numbers of its edges (dynamic), ids of the nodes on its way without its ends
 * (dynamic), its length, and per value an array of it over edges, or over the nodes on the way, or
 * whether any or all of them are true. */
enum path_value { PATH_EACH, PATH_ANY, PATH_ALL };
struct path_search {
    uint32_t from;
    uint32_t len_min, len_max;
    enum cycles { CYCLES_UNIQUE_EDGES, CYCLES_NONE, CYCLES_ALL } cycles;
    enum { PATHS_ALL, PATHS_SHORTEST, PATHS_ONE_SHORTEST } which; /* per pair of ends */
    uint32_t n;
    struct path_column {
        enum path_value value;
        bool of_nodes;
        bool required; /* of ALL: a path for which it is false is not wanted */
    } * columns;
};

/* Plugins of a time line: columns of the input are an id, a time and dimensions. */
struct timeline {
    uint32_t n_dims;
    bool has_cohort;
};

/* funnel_sequence: columns of the input are id, time, the state as text, the state. */
struct funnel {
    struct timeline line; /* without dimensions */
    enum { FUNNEL_BOTH, FUNNEL_PREVIOUS, FUNNEL_NEXT } table;
};

/* sequence_detect: columns of the input are a time, n_steps conditions, then dimensions. */
struct sequences {
    uint32_t n_steps, n_dims;
};

/* basket, autocluster, diffpatterns: columns of the input that rows have patterns over; constants:
 * threshold (or the weight of size), dimensions at most (or seeds), both values of the split, then
 * stars. */
#define PATTERN_NONE UINT32_MAX
struct pattern_columns {
    uint32_t n;
    uint32_t weight, split; /* columns that are no part of patterns, or NONE */
    uint32_t split_text;    /* the split's column as text, behind the n */
    uint32_t *stars;        /* per column: the constant that stands for any value; NONE: null */
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
    uint32_t group_depth;    /* APPLYs that it was written in: what it reads may differ per group */
    bool is_open;            /* only the data knows all its columns, and there was none to ask */
    bool is_loose;           /* its dynamics may come of such columns: their type is not known */
    union {
        struct { /* TABLE */
            const char *name;
            void *table;       /* what the catalogue gave for the name */
            uint32_t *columns; /* schema.cols[i] is column columns[i] of the source, or
                                  TABLE_RECEIVED */
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
            uint32_t row_column;   /* of mv-apply, the last one: a number for each input row, long;
                                      UINT32_MAX = none */
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
        /* Result columns: the input's in their places, replaced or followed by those of keys. */
        struct {
            struct expr *source; /* string */
            uint32_t n;
            struct kv_key {
                const char *name;
                uint32_t column;
            } * keys;
            const char *pair, *kv; /* delimiters, "" = any of what is no word */
            const char *quotes;    /* opening and closing, one character may be both; "" */
            const char *escape;    /* one character, "" */
            bool greedy;
            const char *regex; /* of two groups, key and value; NULL = delimiters */
        } parse_kv;
        /* Result columns: strings, or dynamics where the format is JSON: one file after the other. */
        struct {
            uint32_t n_uris;
            const char **uris;
            enum external_format format;
            char delimiter;  /* of DELIMITED */
            bool skip_first; /* the first record of each file */
            /* Of JSON, per column: members from the object inward, no step is the object itself;
             * NULL: each column is the member of its name. */
            struct external_path {
                uint32_t n;
                struct bytes *names;
            } * paths;
        } external;
        /* Rows with equal keys are a group; groups come in the order of their first rows. Result
         * columns: outer_columns of the group's first row, then sub_columns of the plan's result.
         */
        struct {
            uint32_t n_keys;
            struct expr **keys;
            uint32_t groups_max; /* more are ERR_LIMIT; 0: any number */
            struct op *group;    /* what plan reads */
            struct op *plan;
            uint32_t n_outer, *outer_columns;
            uint32_t n_sub, *sub_columns;
        } apply;
        /* Reads all columns of its input. What consts and more mean is told beside each kind, in
         * exec/whole_<kind>.c and kql/bind_<kind>.c. */
        struct {
            enum whole_kind kind;
            uint32_t n_consts;
            struct expr **consts; /* free of columns */
            struct op *second;    /* another table, or NULL */
            const void *more;
        } whole;
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

#define PLAN_RESULTS_MAX 64

/* What the query's options say of its result; 0 = nothing. */
struct plan_limits {
    uint64_t rows_max, bytes_max;
    bool none; /* notruncation */
};

struct plan {
    struct op *root;
    struct plan_limits limits;
    int64_t now_ticks; /* now() */
    struct render render;
    /* Further results: of a query of several statements, of fork and facet. All run as one query:
     * what is materialized is the same for all. */
    uint32_t n_more;
    struct plan_result {
        const char *name; /* NULL = none */
        struct op *root;
    } * more;
};
