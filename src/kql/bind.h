/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind.h - tree to plan; what the binder's files share
 *
 * (1) An expression's columns are indices into exactly one schema, its scope's `base`. An
 *     expression that a name stands for (a function's argument) may be used only where the base is
 *     the same.
 * (2) A let is bound when it is first used, then shared: the plan is a graph without cycles, and an
 *     expression too. Weight and depth are counted as if it were a tree, so that no executor is
 *     surprised.
 * (3) A call whose arguments are constant is a constant, unless the function may differ per row.
 */
#pragma once

#include "base/nearest.h"
#include "kql/ast.h"
#include "kql/kql.h"
#include "kql/known.h"
#include "kql/lex.h" /* diag_at() */
#include "kql/name_index.h"

#define EXPR_WEIGHT_MAX 50000 /* nodes of one expression, shared ones counted each time */
#define EXPR_LEVELS_MAX 1000
#define BIND_STEPS_MAX  1000000 /* expressions bound, those that fold away included */
#define PLAN_OPS_MAX    10000   /* operators, shared ones counted each time */
#define PLAN_LEVELS_MAX 1000

struct binder {
    struct arena *a;
    struct bytes text;
    const struct kql_catalog *catalog;
    const struct kql_options *opt;
    struct diag *d;
    uint32_t depth;
    uint32_t steps;
    uint32_t n_unnamed;   /* Column1, Column2 ... of the whole query */
    uint32_t group_depth; /* APPLYs around what is being bound */
    int64_t now_ticks;
    struct plan *plan;
    const struct ast *result; /* the pipe of the result under way: fork and facet may end it */
    const struct ast *pipe;   /* under way */
    struct graph *graphs;     /* bind_graph.c */
    struct binding *exported; /* names for the statements that follow: graph-to-table's */
    const struct ast *bin_auto_size, *bin_auto_at; /* of `set`, NULL */
    struct {
        const char *column; /* of `set`, NULL */
        int64_t from, to;   /* 0 = open */
    } time;
    uint64_t take_max, columns_max; /* 0 = any */
    bool best_effort, no_external, no_remote, only_schemas;
    struct alias *aliases; /* bind_place.c */
    struct binding *roots; /* of the stored functions of each place: bind_stored.c */
    bool is_unresolved;    /* what failed is a table or place that is not there, or not for him */
    bool asks_received; /* the operator under way, for what its rows do not have: bind_received.c */
};

/* The names that one query or function body declares: as many as tens of thousands of lets, so they
 * are found by an index. */
struct frame {
    struct name_index index; /* name -> place in items */
    struct binding **items;
    uint32_t n, cap;
    struct binding *outer; /* what is visible outside the body */
    /* (1) of scalar lets: the row that a function's arguments stand in */
    const struct schema *base;
    uint32_t group_depth; /* of the body: a let is bound as where it stands, not where used */
    struct restriction *restricted; /* of `restrict access to`: bind_restrict.c; NULL */
};

/* What workspace("w") and its like stand for. */
struct place {
    const struct kql_catalog *catalog;
    const char *label; /* as it was written: workspace('w') */
};

/* A name that is visible to what follows it. */
struct binding {
    struct binding *up;
    struct frame *frame; /* NULL: not declared by a body */
    uint32_t place;      /* in the frame: later places are not visible from here */
    const char *name;
    enum {
        BIND_LET,
        BIND_SCALAR,
        BIND_TABLE,
        BIND_FUNCTION,
        BIND_PATTERN,
        BIND_STORED,
        BIND_ENTITIES,
        BIND_PLACE,
        BIND_RESTRICT, /* has no name */
    } kind;
    const struct ast *ast;     /* LET: bound on first use. FUNCTION, PATTERN, ENTITIES */
    struct expr *expr;         /* SCALAR */
    const struct schema *base; /* SCALAR: (1); NULL when it has no columns */
    struct op *op;             /* TABLE */
    bool is_view;
    struct bytes text;              /* FUNCTION that is stored: what its tree was made of */
    const char *broken;             /* such a one that could not be parsed: why */
    const struct kql_catalog *home; /* such a one: the place that it is of */
    struct stored *stored;          /* STORED: stands for all of them */
    struct binding *next_root;      /* STORED: of another place */
    struct place entity;            /* PLACE */
};

struct agg_scope;
struct scan_names;

/* Where an expression stands. */
struct scope {
    struct binder *b;
    struct binding *names;
    const struct schema *row;      /* whose columns can be named; NULL = none */
    const struct schema *base;     /* (1) */
    const struct schema *right;    /* join's other side, for $right */
    struct agg_scope *aggs;        /* aggregates may be called; columns may not be named */
    bool dotted;                   /* n.name may be a column of that name: graph-match */
    bool is_open;                  /* any name may be a column: kql_options.run was not given */
    bool is_loose;                 /* and a dynamic be of any type */
    const struct scan_names *scan; /* step.column may be named */
    const char *where;             /* the operator, for messages */
};

/* --- bind.c: operators and pipes -------------------------------------------------------------- */

static inline enum err bind_full(struct binder *b) /* the arena's limit */
{
    return arena_full(b->a, b->d);
}
enum err bind_deeper(struct binder *b, uint32_t pos); /* pair with b->depth-- on success */
enum err op_new(struct binder *b, enum op_kind kind, struct op *input, uint32_t pos,
                struct op **out);
enum err bind_ops(struct binder *b, struct binding *names, const struct ast *pipe, struct op *in,
                  struct op **out);

/* --- bind_let.c: names ------------------------------------------------------------------------ */

enum err bind_push(struct binder *b, struct binding **names, struct binding item);
/* NULL: there is none, or a restriction hides it. */
struct binding *find_binding(struct binding *names, const char *name);
/* A binding of a body that is not found by its name. */
enum err frame_add(struct binder *b, struct frame *f, struct binding **names, struct binding item);
/* base: the row of the expression that calls the body's function, NULL for a query. */
enum err bind_body(struct binder *b, struct binding *names, const struct schema *base,
                   const struct ast_body *body, struct binding **out);
/* The body's lets alone: enough to tell tables from values. */
enum err bind_lets(struct binder *b, struct binding *names, const struct ast_body *body,
                   struct binding **out);
enum err resolve_let(struct binder *b, struct binding *l);

/* --- bind_function.c, bind_table.c ------------------------------------------------------------ */

bool function_is_tabular(struct binder *b, const struct binding *f);
enum err bind_function_table(struct scope *s, struct binding *f, const struct ast *call,
                             struct op *piped, struct op **out);
enum err bind_function_scalar(struct scope *s, struct binding *f, const struct ast *call,
                              struct expr **out);
bool is_tabular(struct binder *b, struct binding *names, const struct ast *n);
enum err bind_table(struct binder *b, struct binding *names, const struct ast *n, struct op **out);
/* The name in table("T"), a constant. */
enum err table_argument(struct binder *b, struct binding *names, const struct ast *n,
                        struct ast *out);
/* names: what is visible. */
enum err find_table(struct binder *b, struct binding *names, const char *name, uint32_t pos,
                    struct op **out);
/* Of that place alone; ERR_NOT_FOUND without a sentence. */
enum err open_table(struct binder *b, struct binding *names, const struct kql_catalog *place,
                    const char *name, uint32_t pos, struct op **out);
/* There is no such table; all: names of the query may have been meant, too. */
enum err no_table(struct binder *b, const struct binding *names, const struct kql_catalog *place,
                  const char *name, uint32_t pos);

/* --- bind_place.c: workspace("w"), database("d") and what stands for them --------------------- */

/* Does it name a place, rather than a table or a value? */
bool is_place(struct binding *names, const struct ast *n);
enum err bind_place(struct binder *b, struct binding *names, const struct ast *n,
                    struct place *out);
/* Does it name several: database("a*"), for union, find and search? */
bool is_place_pattern(struct binding *names, const struct ast *n);
typedef enum err each_place_fn(void *ctx, const struct place *place);
enum err bind_each_place(struct binder *b, struct binding *names, const struct ast *n,
                         each_place_fn *each, void *ctx);
/* A table of a place, or what a function of it gives. */
enum err bind_elsewhere(struct binder *b, struct binding *names, const struct ast *n,
                        struct op **out);
enum err bind_alias(struct binder *b, struct binding *names, const struct ast *n);

/* --- bind_restrict.c -------------------------------------------------------------------------- */

enum err bind_restrict(struct binder *b, struct frame *f, struct binding **names,
                       const struct ast *n);
/* Does a restriction on the way from names to the binding hide it? */
bool hides_binding(struct binding *names, struct binding *found);
bool hides_table(struct binding *names, const struct kql_catalog *place, const char *name);

/* --- bind_session.c --------------------------------------------------------------------------- */

enum err bind_current(struct scope *s, const struct ast *n, struct expr **out);
/* X.$current_database; *found is false when the path is no such thing. */
enum err bind_place_member(struct scope *s, const struct ast *n, bool *found, struct expr **out);

/* --- bind_set.c ------------------------------------------------------------------------------- */

enum err bind_set(struct binder *b, const struct ast *n);
enum err bind_request_options(struct binder *b);

/* --- bind_stored.c: functions of the catalogue ------------------------------------------------ */

/* Below all other names: those of a place. */
enum err stored_root(struct binder *b, const struct kql_catalog *place, struct binding **names);
struct binding *stored_find(struct binding *root, const char *name); /* NULL = no such */
enum err stored_check(struct binder *b, const struct binding *f, const struct ast *call);
/* A failure inside of f, as the caller is to hear it; any other as it is. */
enum err stored_told(struct binder *b, const struct binding *f, const struct ast *call, enum err e);

/* bind_parameter.c: the value of a query parameter, the client's or its default. */
enum err bind_parameter(struct scope *s, const struct ast *n, struct expr **out);

/* bind_pattern.c: what a pattern gives for a call's arguments, and the path behind it or NULL. */
enum err bind_pattern(struct binder *b, struct binding *names, struct binding *pattern,
                      const struct ast *call, const char *path, struct op **out);

/* --- bind_expr.c ------------------------------------------------------------------------------ */

enum err bind_expr(struct scope *s, const struct ast *n, struct expr **out);
bool binds_function(const char *name); /* one that is the binder's own: toscalar ... */
enum err bind_condition(struct scope *s, const struct ast *n, struct expr **out); /* bool, cast */
enum err bind_const(struct scope *s, const struct ast *n, struct expr **out); /* folded to CONST */
enum err bind_long(struct scope *s, const struct ast *n,
                   struct expr **out); /* constant, or toscalar */

/* --- bind_call.c ------------------------------------------------------------------------------ */

enum err expr_const(struct binder *b, const struct value *v, struct expr **out);
enum err expr_string(struct binder *b, const char *text, struct expr **out);
enum err expr_col(struct binder *b, const struct schema *s, uint32_t col, struct expr **out);
enum err expr_query(struct binder *b, struct op *op, uint32_t pos, struct expr **out);
/* A bound call of a function of the registry, folded where it can be. pos is for messages. */
enum err expr_call(struct scope *s, uint32_t pos, const char *name, struct expr **args, uint32_t n,
                   struct expr **out);
enum err expr_call2(struct scope *s, uint32_t pos, const char *name, struct expr *a, struct expr *b,
                    struct expr **out);
/* To the type, as KQL does by itself, or with `explicit` as by tolong() and the like. */
enum err expr_cast(struct scope *s, uint32_t pos, struct expr *e, enum type to, bool explicitly,
                   struct expr **out);
/* Checks and casts the arguments of a function or an aggregate against its row of the registry. */
enum err fit_args(struct scope *s, uint32_t pos, const char *name, const struct fn_arg *specs,
                  uint32_t n_specs, struct expr **args, uint32_t n);
const struct value *const *const_args(struct binder *b, struct expr *const *args, uint32_t n);
/* SEM0219 unless n, the arguments that name() was given, is in min to max. */
enum err check_arity(struct binder *b, uint32_t pos, const char *name, uint32_t min, uint32_t max,
                     uint32_t n);
const enum type *arg_types(struct binder *b, struct expr *const *args, uint32_t n);

/* --- bind_name.c ------------------------------------------------------------------------------ */

/* The name that an expression gives its column, "" = none: x, d_a_b, strlen_s. */
const char *auto_name(struct binder *b, const struct ast *n);
/* The same once it is bound: column_ifexists("x", 0) is called x only where there is an x. */
const char *bound_name(struct binder *b, const struct ast *n, const struct expr *e);
const char *percentile_name(struct binder *b, const char *arg, const struct value *share);
bool names_itself(const struct ast *n); /* a plain column: its name counts as given */
/* Names of result columns: what is given must be unique, what is not gets 1, 2 ... behind it. */
struct name_set {
    struct binder *b;
    struct name_index index; /* of a name: NAME_GIVEN and the last number put behind it */
};
#define NAME_GIVEN (1U << 31)
struct name_set name_set_of(struct binder *b);
enum err names_add(struct name_set *s, const char *name, bool given, uint32_t pos,
                   const char **out);
enum err names_unnamed(struct name_set *s, const char **out);
bool names_has(const struct name_set *s, const char *name);
enum err no_column(struct scope *s, const char *name, uint32_t pos); /* fails with a suggestion */
bool wildcard_match(const char *pattern, const char *name);

/* --- bind_pack.c ------------------------------------------------------------------------------ */

enum err bind_pack_all(struct scope *s, const struct ast *n, struct expr **out);
enum err bind_pack_columns(struct scope *s, const struct ast *n, struct expr **out);
enum err bind_data_size(struct scope *s, const struct ast *n, struct expr **out);
enum err bind_bin_auto(struct scope *s, const struct ast *n, struct expr **out);

/* --- bind_received.c -------------------------------------------------------------------------- */

enum err bind_ingestion_time(struct scope *s, const struct ast *n, struct expr **out);
bool is_hidden(const char *column); /* not to be seen by `*` */

/* --- bind_several.c --------------------------------------------------------------------------- */

#define SEVERAL_MAX 16
struct several_column {
    const char *name;
    bool given;
    struct expr *expr;
};
bool several_there(const char *name); /* such a function, whose bag the registry has */
/* Is the item a function of several columns? */
bool gives_several(struct binding *names, const struct ast *item);
/* A projection of all columns, and behind them one bag for each such item, in their order. */
enum err bind_bags(struct scope *s, const struct ast_list *items, struct op *in, struct op **out);
/* The columns of one item (SEVERAL_MAX at most), taken out of its bag. */
enum err bind_members(struct scope *s, const struct ast *item, struct expr *bag,
                      struct several_column *out, uint32_t *n);

/* --- operators -------------------------------------------------------------------------------- */

struct op_cx {   /* one operator to bind */
    bool dotted; /* as of a scope */
    struct binder *b;
    struct binding **names; /* `as` adds to them */
    const struct ast *ast;
    struct op *in;
};
typedef enum err bind_op_fn(struct op_cx *cx, struct op **out);
struct scope scope_of(struct op_cx *cx);
/* bind_received.c: binds the operator, over rows that say when they came if it asks for that. */
enum err bind_asking(struct op_cx *cx, bind_op_fn *bind, struct op **out);

bind_op_fn bind_where, bind_extend, bind_project, bind_away, bind_keep, bind_rename, bind_reorder,
    bind_distinct, bind_serialize, bind_sort, bind_top, bind_take, bind_count, bind_as,
    bind_getschema, bind_render, bind_summarize, bind_union, bind_print, bind_range, bind_join,
    bind_mv_expand, bind_parse, bind_make_series, bind_invoke, bind_sample, bind_sample_distinct,
    bind_macro_expand, bind_by_names, bind_make_graph, bind_graph_match, bind_graph_shortest,
    bind_graph_to_table, bind_graph_components, bind_find, bind_fork, bind_facet, bind_consume,
    bind_assert_schema, bind_top_hitters, bind_search, bind_mv_apply, bind_partition, bind_evaluate,
    bind_parse_kv, bind_scan, bind_top_nested, bind_reduce;
/* bind_expand.c: mv-expand, and what mv-apply does first: with a column of row numbers at the end.
 */
enum err bind_expansion(struct op_cx *cx, bool number_rows, struct op **out);
/* bind_graph.c: n.name of a pattern; does the operator stand for a graph? */
enum err bind_dotted(struct scope *s, const struct ast *n, bool *found, struct expr **out);
/* all(), any(), map(), node_degree_in(), node_degree_out() in a pattern; *found is false when it is
 * another function. */
enum err bind_graph_function(struct scope *s, const struct ast *n, bool *found, struct expr **out);
bool is_graph(const struct binder *b, const struct op *op);
/* bind_fork.c: does nothing but render follow the operator, in a result of the query? */
bool ends_query(const struct op_cx *cx);
/* bind_scan.c: step.column; *found is false when the path is no such thing. */
enum err bind_scan_path(struct scope *s, const struct ast *n, bool *found, struct expr **out);
enum err bind_external(struct binder *b, struct binding *names, const struct ast *n,
                       struct op **out);
enum err bind_datatable(struct binder *b, struct binding *names, const struct ast *n,
                        struct op **out);
/* A further result of the query. */
enum err plan_add(struct binder *b, const char *name, uint32_t pos, struct op *op);
/* (a:long, b:string) */
enum err schema_of(struct binder *b, const struct ast *n, struct schema *out);
/* Input's columns, of which some are replaced in their places, and others follow: what mv-expand
 * and parse give. Each call adds or replaces one column; *place is its index. */
struct column_list {
    struct binder *b;
    uint32_t n, cap;
    struct column *cols;
};
enum err columns_from(struct column_list *l, struct binder *b, const struct schema *in);
enum err columns_set(struct column_list *l, const char *name, enum type type, uint32_t *place);
enum err columns_append(struct column_list *l, const char *name, enum type type, uint32_t *place);
/* The weight and levels of a second input. */
enum err op_second_input(struct binder *b, struct op *op, const struct op *second);
/* kind=leftouter: the word of a parameter, NULL when it is not given. */
const char *param_word(const struct ast *n, const char *name);
/* Only these parameters, and hint.*, may be given. NULL ends the list. */
enum err check_params(struct op_cx *cx, const char *const *allowed);
/* The tables of a union or find, and the union of what they have become. */
struct legs {
    struct op_cx *cx;
    bool fuzzy, inner;
    const char *source; /* withsource */
    uint32_t n, cap;
    struct op **ops;
    const char **names; /* of each, for withsource */
    struct place
        *places; /* of each that is a table as it stands; no catalogue: it is something else */
};
/* name: NULL gives it a number. place: NULL unless it is a table as it stands. */
enum err add_leg(struct legs *l, struct op *op, const char *name, const struct place *place);
enum err read_leg_params(struct legs *l); /* kind, isfuzzy, withsource */
enum err bind_legs(struct legs *l, struct op_cx *cx, const struct ast_list *tables);
enum err make_union(struct legs *l, struct op **out);
/* search's texts as conditions: "err*" is * hasprefix "err". */
enum err search_condition(struct binder *b, struct ast *n, bool cs, struct ast **out);
/* A union whose legs are filtered first, each in its own columns; condition may be NULL. */
enum err bind_union_where(struct op_cx *cx, const struct ast *condition, struct op **out);
/* A projection to some of the input's columns under new names. */
enum err op_columns(struct binder *b, struct op *in, uint32_t pos, const uint32_t *cols,
                    const char *const *names, uint32_t n, struct op **out);
enum err op_project(struct binder *b, struct op *in, uint32_t pos, const struct named_expr *exprs,
                    uint32_t n, struct op **out);
