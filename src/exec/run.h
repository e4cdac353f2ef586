/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/run.h - the inside of the executor: workers, pipelines, stages, relations
 *
 * A plan is cut into pipelines. A pipeline has legs (a source of units and the first stage its rows
 * go to) and ends in one sink. Rows are pushed: a stage gets a batch of at most VEC_ROWS rows and
 * calls stage_push() on the next one with what it made of it. A sink that holds everything back
 * (sort, summarize ...) turns it into a relation, which is the source of the pipeline above.
 * README.md has the rules of threads and ownership that the code cites by number.
 */
#pragma once

#include "base/thread.h"
#include "exec/exec.h"

#include <stdatomic.h>

#define WORKERS_MAX  64
#define OP_DEPTH_MAX 2000 /* operators above each other in a plan */

/* --- memory: an arena that counts against the query's ceiling (4) ----------------------------- */

struct mem {
    struct arena a;
    size_t charged; /* bytes of a that are counted already */
};

struct query;
void mem_open(struct query *q, struct mem *m);
void mem_settle(struct query *q, struct mem *m); /* charges, and sets the arena's limit anew */
void mem_clear(struct query *q, struct mem *m);
void mem_close(struct query *q, struct mem *m);
size_t query_memory(const struct query *q); /* bytes that all arenas have */

/* Before a worker puts rows of its vector into m: what the vector took is known to m then. */
struct worker;
void mem_settle_sink(struct worker *w, struct mem *m);

/* --- a relation: rows that wait for the pipeline above ---------------------------------------- */

struct relation {
    uint64_t n_rows;
    uint32_t n_batches;
    struct batch *batches;         /* in order; at most VEC_ROWS rows each, none empty */
    const struct spilled *spilled; /* not NULL: where they lie outside of memory, in this schema */
    const struct schema *schema;
    unsigned n_mems;
    struct mem *mems; /* own the rows; the arrays themselves live in the query's arena */
};
void relation_release(struct query *q, struct relation *r);
/* spill.c: batch i, read into arena a where it is not in memory. */
enum err relation_batch(struct query *q, const struct relation *r, uint32_t i, struct arena *a,
                        struct batch *out, struct diag *d);
/* relation.c: all rows as one batch of flat columns in m; with strings copied they outlive r. */
enum err relation_whole(struct query *q, const struct relation *r, const struct schema *schema,
                        const bool *needed, bool copy_strings, struct mem *m, struct batch *out,
                        struct diag *d);
/* A batch of any length as a relation's batches; out's mems are the caller's to set. */
enum err relation_cut(struct query *q, const struct batch *all, struct mem *m, struct relation *out,
                      struct diag *d);

/* --- workers ---------------------------------------------------------------------------------- */

struct dict_memo { /* an expression evaluated over a whole dictionary, for the rest of the unit */
    const struct expr *expr;
    const struct vec *dict, *result;
    struct dict_memo *next;
};

struct worker {
    struct query *q;
    unsigned slot;
    struct mem unit;    /* decoded columns of the unit; cleared after it */
    struct mem scratch; /* cleared before each vector */
    uint32_t unit_no;   /* of the pipeline, all legs counted through */
    uint64_t turn;      /* of the unit, in the order in which units are begun */
    uint32_t unit_rows;
    const struct batch *unit_batch; /* what a table's unit was read into, else NULL */
    bool unit_done;                 /* the sink wants no more rows of this unit */
    bool whole;                     /* all rows are in one batch: functions of windows may run */
    struct fn_rows *rows;           /* or these are their rows, piece by piece */
    bool reverse;                   /* vectors of the unit last to first */
    uint32_t vector;         /* the vector under way: the number of its first row in the unit */
    const uint32_t *row_ids; /* rows of the vector that are left, NULL = all */
    struct dict_memo *memos;
    int64_t mark_us; /* explain: up to when time is accounted for */
    struct diag d;
};

/* A scalar subquery's value, known before any pipeline that needs it runs. */
struct scalar {
    const struct expr *expr;
    struct value value;
    struct scalar *next;
};

struct group_rows { /* what OP_GROUP stands for while a group's plan runs */
    const struct op *op;
    const struct relation *rows;
    const struct group_rows *up;
};

struct kept { /* what OP_MATERIALIZE has given */
    const struct op *op;
    struct relation rows;
    struct kept *next;
};

struct query {
    const struct exec_request *r;
    struct query *outer;  /* the query whose groups this one runs over, or NULL */
    uint32_t group_depth; /* APPLYs around it */
    const struct group_rows *groups;
    struct kept *kept;
    bool explain;              /* rows, bytes and time of each operator are counted */
    struct op_count *counts;   /* explain.c */
    struct exec_limits limits; /* defaults filled in */
    struct mem mem;            /* stages, scalars, relations' arrays */
    unsigned n_workers;
    struct worker *workers;
    struct scalar *scalars;
    _Atomic size_t memory;    /* bytes charged by all arenas; of the outermost query only */
    const struct op *at;      /* whose rows are being held back or worked on: for messages */
    _Atomic bool stop;        /* a worker failed */
    _Atomic int64_t asked_us; /* when it was last asked whether somebody waits; likewise */
    uint64_t hash_seed;
    _Atomic uint64_t rows_scanned;
    _Atomic uint32_t units_scanned;
    uint32_t units_total;
    struct diag *d;
};

/* The failure e of what worker w did, as d's. */
enum err worker_result(const struct worker *w, enum err e, struct diag *d);
/* Begins the next vector of a unit: checks, and empties scratch. */
enum err worker_next(struct worker *w, uint32_t first_row);

/* Cancelled, out of time, or stopped because another worker failed? Cheap enough for each vector.
 */
enum err query_check(struct query *q, struct diag *d);
/* E_RUNAWAY_QUERY for a limit that a function has met: with the operator and the query's limit. */
enum err limit_named(const struct query *q, const struct diag *why, struct diag *d);
/* The failure e, by that name where it is a limit that has none yet. */
enum err limit_checked(const struct query *q, enum err e, struct diag *d);
/* E_RUNAWAY_QUERY: operator and limit. Inline, so that analyzers see that it is never OK. */
void query_say_full(struct query *q, struct diag *d);
static inline enum err query_full(struct query *q, struct diag *d)
{
    query_say_full(q, d);
    return ERR_LIMIT;
}

/* --- stages and pipelines --------------------------------------------------------------------- */

struct stage;
struct conditions;
typedef enum err stage_push_fn(const struct stage *s, struct worker *w, const struct batch *in);

struct stage { /* the first member of each operator's own struct; read-only while the pipeline runs
                  (2) */
    stage_push_fn *push;
    const struct stage *next;
};

static inline enum err stage_push(const struct stage *s, struct worker *w, const struct batch *b)
{
    return b->n_rows != 0 ? s->push(s, w, b) : OK;
}

struct leg {
    /* Pushes the rows of one unit into `first`; called by any worker, each unit once. */
    enum err (*run)(struct leg *l, struct worker *w, uint32_t unit);
    void (*close)(struct leg *l, struct query *q); /* may be NULL */
    const struct stage *first;
    uint32_t n_units;
    uint32_t phase; /* begins when all units of lower phases are done */
    struct leg *next;
};

struct pipeline {
    struct query *q;
    struct leg *legs, **legs_end;
    bool reverse;               /* units last to first: the best of a top are expected there */
    struct scan *scan;          /* the last table that became a leg */
    const struct op *above;     /* explain: the operator that gets the rows of what is built */
    struct scan *lender;        /* a table that is open already: its scan is used, not closed */
    _Atomic bool enough;        /* the sink needs no unit beyond those begun */
    uint32_t phase;             /* under way */
    _Atomic uint32_t next_unit; /* of the phase */
    uint64_t turns;             /* units of earlier phases */
    struct sink *sink;          /* where its unit_end() is to be called */
    _Atomic int err;            /* enum err of the first failure */
    unsigned failed;            /* the worker whose it is */
};

void pipeline_add(struct pipeline *p, struct leg *l);
uint32_t pipeline_phases(const struct pipeline *p); /* one more than the highest so far */
/* Runs all units, on one worker in their order where in_order is set, else on all. Closes the legs.
 */
enum err pipeline_run(struct pipeline *p, bool in_order, struct diag *d);
void pipeline_close(struct pipeline *p); /* one that was never run */

struct sink {
    struct stage stage;
    struct pipeline *pipeline;
    bool in_order; /* units one after the other on one worker */
    /* After the last row of a unit, on its worker; may be NULL. */
    enum err (*unit_end)(struct sink *s, struct worker *w);
    /* After the last unit, on the calling thread: what was held back, as rows. */
    enum err (*finish)(struct sink *s, struct relation *out, struct diag *d);
    void (*close)(struct sink *s); /* also after a failure; may be NULL */
};

/* --- the parts ------------------------------------------------------------------------------- */

/* join.c: where column i of a join's result comes from: the left side's column, or the right's */
bool join_from_left(const struct op *op, uint32_t i, uint32_t *col);

/* build.c: all operators that an operator reads from, NULL after the last */
const struct op *op_source(const struct op *op, uint32_t i);
/* adds to p the legs whose rows, op's result, go to `next`. needed[i]: column i is read by
 * someone; the others arrive as constant nulls. */
enum err build_input(struct pipeline *p, const struct op *op, const struct conditions *c,
                     const bool *needed, const struct stage *next, struct diag *d);
/* Runs op into a relation; its rows are in order where op is ordered. */
enum err run_relation(struct query *q, const struct op *op, const bool *needed,
                      struct relation *out, struct diag *d);
/* The same of a result: stops when its limits are passed. */
enum err run_root(struct query *q, const struct op *op, const bool *needed, struct relation *out,
                  struct diag *d);
bool op_is_ordered(const struct op *op);
/* Runs op and hands its rows out as they come, in their order: `result` is not kept. False in *done:
 * op holds its rows back, nothing was run. */
enum err run_handed_out(struct query *q, const struct op *op, const bool *needed, exec_sink *result,
                        void *ctx, bool *done, struct diag *d);
/* handout.c */
enum err handout_sink(struct query *q, const struct op *op, const bool *needed, exec_sink *result,
                      void *ctx, struct sink **out, struct diag *d);
enum err result_check(const struct query *q, uint64_t rows, uint64_t bytes, struct diag *d);
/* Hands a batch to the receiver; rows and bytes count what went before it. Where the limit of rows
 * lies in it, the rows before the limit go out, then it fails. */
enum err result_give(const struct query *q, const struct batch *b, uint64_t *rows, uint64_t *bytes,
                     exec_sink *result, void *ctx, struct diag *d);

/* eval.c */
enum err eval(struct worker *w, const struct expr *e, const struct batch *in, struct vec *out);
/* Is that dictionary as long-lived as the unit, so that its address can stand for it? */
bool dict_of_unit(const struct worker *w, const struct vec *dict);
enum err eval_const(struct query *q, const struct expr *e, struct value *out, struct diag *d);
/* As eval(), with the result in arena a. */
enum err eval_into(struct worker *w, struct arena *a, const struct expr *e, const struct batch *in,
                   struct vec *out);
enum err eval_count(struct query *q, const struct expr *e, const char *what, uint64_t *out,
                    struct diag *d); /* of take, top ...: a whole number, not negative */
enum err scalars_run(struct query *q, const struct op *op, struct diag *d);
void expr_columns(const struct expr *e, bool *needed); /* sets those it reads */
bool expr_repeatable(const struct expr *e);            /* the same rows give the same values */
struct vec vec_absent(enum type t, uint32_t n);        /* n nulls (empty strings), without memory */

/* select.c: rows by index; constants stay constants and codes stay codes */
enum err vec_select(struct arena *a, const struct vec *v, const uint32_t *rows, uint32_t n,
                    struct vec *out, struct diag *d);
enum err batch_select(struct arena *a, const struct batch *b, const bool *needed,
                      const uint32_t *rows, uint32_t n, struct batch *out, struct diag *d);
/* The rows of v (bool) that are true and not null; returns how many. */
uint32_t rows_true(const struct vec *v, uint32_t *rows);

/* filter.c: conditions that must all hold, cheapest first */
struct conditions {
    uint32_t n;
    struct expr **exprs;
    bool *columns; /* read by any of them */
};
/* A filter's condition, taken apart, and more. */
enum err conditions_add(struct query *q, const struct op *filter, const struct conditions *more,
                        struct conditions **out, struct diag *d);
/* push.c: those that op's sources can decide go to below[source], the others stay above op. */
enum err conditions_push(struct query *q, const struct op *op, const struct conditions *c,
                         struct conditions *stay, struct conditions *below, struct diag *d);
/* rows gets the survivors' indexes, ascending; at most in->n_rows. */
enum err conditions_apply(struct worker *w, const struct conditions *c, const struct batch *in,
                          uint32_t *rows, uint32_t *n_rows);

/* join.c: as build_input(), for a join: its table is filled now, the other side becomes legs of p.
 */
enum err build_join(struct pipeline *p, const struct op *op, const struct conditions *below,
                    const bool *needed, const struct stage *next, struct diag *d);

/* one per operator */
enum err scan_leg(struct pipeline *p, const struct op *table, const struct conditions *c,
                  const bool *needed, const struct stage *next, struct diag *d);
enum err relation_leg(struct pipeline *p, struct relation *r, const struct stage *next,
                      struct diag *d); /* takes r */
enum err rows_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                  struct diag *d);
enum err external_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                      struct diag *d);
enum err range_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                   struct diag *d);

enum err filter_stage(struct query *q, const struct conditions *c, const bool *needed,
                      const struct stage *next, const struct stage **out, struct diag *d);
enum err project_stage(struct query *q, const struct op *op, const bool *needed,
                       const struct stage *next, const struct stage **out, struct diag *d);
enum err union_stage(struct query *q, const struct op *op, uint32_t input, const bool *needed,
                     const struct stage *next, const struct stage **out, struct diag *d);

enum err mv_expand_stage(struct query *q, const struct op *op, const bool *needed,
                         const struct stage *next, const struct stage **out, struct diag *d);
enum err parse_stage(struct pipeline *p, const struct op *op, const bool *needed,
                     const struct stage *next, const struct stage **out, struct diag *d);

enum err parse_kv_stage(struct query *q, const struct op *op, const bool *needed,
                        const struct stage *next, const struct stage **out, struct diag *d);
/* relation.c: as relation_leg(), for rows that stay with their owner. */
enum err borrowed_leg(struct pipeline *p, const struct relation *r, const struct stage *next,
                      struct diag *d);
/* Are the rows to be kept, rather than computed anew by each reader? */
bool op_is_kept(const struct op *op);
enum err materialize_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                         struct diag *d);
void kept_release(struct query *q);
/* apply.c: a plan over each group of rows. */
enum err apply_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                    struct diag *d);
enum err group_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                   struct diag *d);
/* explain.c: a counter of op's rows before `next`, where the query is explained. */
enum err explain_stage(struct pipeline *p, const struct op *op, const struct stage *next,
                       const struct stage **out, struct diag *d);
const char *op_name(const struct op *op);
void explain_finished(struct query *q, const struct op *op, int64_t us); /* a sink's last part */
enum err explain_run(struct query *q, const struct op *op, struct relation *out, struct diag *d);
uint64_t batch_bytes(const struct batch *b); /* of values, as a result counts them */
/* whole.c */
enum err whole_sink(struct query *q, const struct op *op, struct sink **out, struct diag *d);

/* limited: the query's limits on results hold for what is collected. */
enum err collect_sink(struct query *q, const struct op *op, const bool *needed, bool limited,
                      struct sink **out, struct diag *d);
enum err take_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                   struct diag *d);
enum err count_sink(struct query *q, const struct op *op, struct sink **out, struct diag *d);
enum err sort_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                   struct diag *d);
/* sort.c, for late.c: a top that keeps no column, only where the rows are (unit << 32 | row). */
enum err places_sink(struct query *q, const struct op *op, const struct sort_key *keys,
                     uint32_t n_keys, const struct expr *count, struct sink **out, struct diag *d);
enum err places_of(struct sink *s, const uint64_t **out, uint64_t *n, struct diag *d);
/* late.c: top over a table: first the keys of all rows, then all columns of the best. *done is
 * false when that does not suit the plan, and nothing was done. */
struct late_top {
    const struct op *op;
    const struct sort_key *keys;
    uint32_t n_keys;
    const struct expr *count;
    const struct op *input;         /* over which the keys are */
    const struct conditions *below; /* that moved to it; NULL: none */
    const bool *needed;             /* of the result */
};
enum err late_top_run(struct query *q, const struct late_top *t, struct relation *out, bool *done,
                      struct diag *d);
/* late.c: only filters and projections, whose rows are the table's own, down to one table */
bool op_is_plain_table(const struct op *op);
/* scan.c: from now on only these rows (as places_of() gives them) of the table's leg. */
enum err scan_pick(struct query *q, struct scan *s, const uint64_t *places, uint64_t n,
                   struct diag *d);

enum err top_sink(struct query *q, const struct op *op, const struct sort_key *keys,
                  uint32_t n_keys, const struct expr *count, const bool *needed, struct sink **out,
                  struct diag *d);
enum err summarize_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                        struct diag *d);
/* window.c: operators with functions of neighbouring rows */
bool expr_is_window(const struct expr *e);
bool op_is_window(const struct op *op);
enum err window_sink(struct query *q, const struct op *op, const bool *needed, const bool *in,
                     struct sink **out, struct diag *d);
enum err make_series_sink(struct query *q, const struct op *op, const bool *needed,
                          const bool *in_needed, struct sink **out, struct diag *d);
