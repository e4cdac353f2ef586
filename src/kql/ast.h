/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/ast.h - what the parser makes: one kind of node with a few places, by kind
 *
 *   NAME       name                          STAR       *
 *   WILDCARD   name with its stars           CONST      value
 *   CALL       name, args                    OPER       name "op +", args
 *   PATH       args[0] . name                INDEX      args[0] [ args[1] ]
 *   NAMED      names = left; is_open: (names)  LIST       args, the right side of `in`
 *   PIPE       left | args[0] | args[1] ...; left is NULL where the input is understood (mv-apply)
 *   ORDERED    left asc/desc nulls first     TYPED      left to typeof(type), or name:type
 *   PARAM      name = left (kind=inner, with_source=T, a function's default)
 *   SCHEMA     args of TYPED; is_open for a (*)
 *   DATATABLE  schema in left, args          EXTERNAL   schema in left, args, params
 *   FUNCTION   args: parameters (TYPED, or PARAM with a SCHEMA); body
 *   TYPEOF     type                          CLIENT     name: {name}, a parameter of the client
 *   ALIAS      database name = left          RESTRICT   args: tables, views, patterns
 *   ENTITIES   args: places
 *   OPERATOR   op and the places named in enum ast_op
 */
#pragma once

#include "column/type.h"

enum ast_kind {
    AST_NAME,
    AST_STAR,
    AST_WILDCARD,
    AST_CONST,
    AST_CALL,
    AST_OPER,
    AST_PATH,
    AST_INDEX,
    AST_NAMED,
    AST_LIST,
    AST_PIPE,
    AST_ORDERED,
    AST_TYPED,
    AST_PARAM,
    AST_SCHEMA,
    AST_DATATABLE,
    AST_EXTERNAL,
    AST_FUNCTION,
    AST_TYPEOF,
    AST_CLIENT,
    AST_OPERATOR,
    AST_ALIAS,
    AST_RESTRICT,
    AST_ENTITIES,
    AST_PATTERN, /* left: SCHEMA of arguments; right: TYPED path or NULL; args of CLAUSE: args, name, body */
    AST_CLAUSE, /* of top-nested: left of right by extra; args[0] = others. Of scan: a step */
};

enum ast_op {
    OPER_WHERE,           /* left */
    OPER_EXTEND,          /* args */
    OPER_PROJECT,         /* args */
    OPER_AWAY,            /* args */
    OPER_KEEP,            /* args */
    OPER_BY_NAMES,        /* args */
    OPER_RENAME,          /* args */
    OPER_REORDER,         /* args of ORDERED */
    OPER_DISTINCT,        /* args */
    OPER_SERIALIZE,       /* args */
    OPER_SUMMARIZE,       /* args, by */
    OPER_SORT,            /* args of ORDERED */
    OPER_TOP,             /* left, args of ORDERED */
    OPER_TAKE,            /* left */
    OPER_SAMPLE,          /* left */
    OPER_SAMPLE_DISTINCT, /* left of right */
    OPER_COUNT,           /* name or NULL */
    OPER_AS,              /* name */
    OPER_GETSCHEMA,
    OPER_CONSUME,
    OPER_UNION,     /* args */
    OPER_PRINT,     /* args */
    OPER_RANGE,     /* name, left to right step extra */
    OPER_RENDER,    /* name, params */
    OPER_JOIN,      /* left: the other table, args: conditions */
    OPER_LOOKUP,    /* as JOIN */
    OPER_MV_EXPAND, /* args of TYPED or expressions; extra: limit */
    OPER_MV_APPLY,  /* as MV_EXPAND; right: the PIPE */
    OPER_PARSE,     /* left with args: STAR, CONST, TYPED or NAME */
    OPER_PARSE_WHERE,
    OPER_PARSE_KV,    /* left as right(SCHEMA), params */
    OPER_MAKE_SERIES, /* args: PARAM {left = default right} ; left: on; by; range: from, to, step in
                         extra LIST */
    OPER_TOP_NESTED,  /* args of CLAUSE */
    OPER_TOP_HITTERS, /* left of right by extra */
    OPER_SEARCH,      /* left; args: tables */
    OPER_FIND,        /* left; args: tables; by: project list */
    OPER_EVALUATE,    /* left: a CALL; right: SCHEMA or NULL */
    OPER_INVOKE,      /* left: a CALL */
    OPER_PARTITION,   /* left: by; right: PIPE */
    OPER_FORK,        /* args: PIPE, or NAMED PIPE */
    OPER_FACET,       /* args; right: PIPE or NULL */
    OPER_REDUCE,      /* left; params */
    OPER_SCAN, /* params; by: declared TYPED; args: CLAUSE {name, left: condition, args: NAMED} */
    OPER_ASSERT_SCHEMA,    /* right: SCHEMA */
    OPER_MAKE_GRAPH,       /* left --> right; by: tables of nodes, args: their ids; params;
                              partitioned-by extra (names[0]: PIPE) */
    OPER_GRAPH_MATCH,      /* args of LIST: paths; left: condition; by: project list; params */
    OPER_GRAPH_SHORTEST,   /* as GRAPH_MATCH */
    OPER_GRAPH_TO_TABLE,   /* args of CLAUSE: nodes or edges by name, left: as NAME, params */
    OPER_GRAPH_COMPONENTS, /* params */
    OPER_MACRO_EXPAND,     /* left: ENTITIES or NAME; right: NAME of the entity; body; params */
};

struct ast_list {
    uint32_t n;
    struct ast **at;
};

struct ast_body { /* statements, then an expression: of a query or of a function */
    struct ast_list
        lets; /* NAMED let, PARAM query parameter, ALIAS, RESTRICT, OPERATOR set, in order */
    struct ast *result;   /* NULL: nothing but statements */
    bool explain;         /* explain ...: the plan is asked for, not the rows */
    struct ast_list more; /* results behind the first; of a query only */
};

struct ast {
    enum ast_kind kind;
    enum ast_op op;
    uint32_t pos, end; /* offsets in the text */
    const char *name;
    struct ast_list names; /* NAMED: (a, b) = ... has several; a NULL name is an empty place */
    struct ast_list args, by, params;
    struct ast *left, *right, *extra;
    struct ast_body *body;
    struct value value;
    enum type type;
    bool quoted;    /* NAME: ['a b'] is never a keyword or a wildcard */
    bool in_parens; /* (x): no automatic name reaches through the parentheses of an in list */
    bool is_open;   /* SCHEMA (*), FUNCTION of tables, SUMMARIZE of a pivot: by dynamics too;
                     * CALL: the literal datetime(), which is the call of now() */
    bool is_view;   /* FUNCTION: view () {...} */
    bool descending, ordered, nulls_first, nulls_given, granny;
};
