/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn.h - the registry of scalar functions and operators: one table row each
 *
 * The binder, the tests of the examples and docs/functions.md read the same row. Operators are
 * functions too, under names that no query can write: "op +", "op ==", "op has" ... Families live
 * in fn_<family>.c, each with a sorted table; fn_find() bisects their merge.
 */
#pragma once

#include "column/vec.h"

#define FN_ARITY_ANY  64 /* as arity_max: so many, but for the lists of in, has_any and has_all */
#define FN_ARITY_LIST 10001 /* a value and 10,000 candidates */

/* The rows of a FN_WINDOW call that gets them piece by piece, in their order. */
struct fn_rows {
    uint64_t first, n; /* the number of the first row of the piece; how many there are in all */
    struct
        fn_carry { /* what a function keeps from one piece to the next; zeroed before the first */
        int64_t a, b;
        double r;
        struct u128 u;
        bool open;
    } carry;
    /* The first argument in any row below n. Texts are good until the piece is done with. */
    enum err (*value)(struct fn_rows *r, uint64_t row, struct value *out, struct diag *d);
};

struct fn_cx {         /* what an evaluation may use */
    struct arena *a;   /* results live here: the morsel's */
    int64_t now_ticks; /* one now() for the whole query */
    struct diag *d;
    struct fn_rows *rows; /* of FN_WINDOW; NULL: all rows are in one piece */
};

struct fn;
struct fn_call { /* one bound call: made once, evaluated for many vectors */
    const struct fn *fn;
    enum type ret;
    uint32_t n_args;
    const enum type *arg_types;
    const struct value *const *consts; /* per argument, NULL when it is not a constant */
    void *prepared;                    /* what prepare() made: a compiled regex ... */
};

/* args[i] has n rows; *out gets n rows in cx->a. Nulls are the function's own business unless
 * FN_NULL_IN_NULL_OUT is set: then rows with a null argument are null without its help. */
typedef enum err fn_eval(struct fn_cx *cx, const struct fn_call *call,
                         const struct vec *const *args, uint32_t n, struct vec *out);

enum fn_flags {
    FN_NULL_IN_NULL_OUT = 1,
    FN_NOT_CONST = 2, /* may differ per row: rand(), new_guid(); never folded */
    FN_WINDOW = 8,    /* reads other rows too: called over all rows in their order (fn_rows) */
    FN_AGG_ONLY = 4,  /* known by name to give a better message */
};

struct fn_arg {
    uint16_t accepts; /* TM() set of types; the binder refuses others with a sentence */
    enum type coerce; /* the binder casts to this; T_NONE = as it is */
};

struct fn {
    const char *name;
    uint32_t arity_min, arity_max;
    struct fn_arg args[6]; /* the last one that accepts anything repeats for the rest */
    enum type ret; /* T_NONE: ret_of says; it answers T_NONE when no overload takes these types */
    enum type (*ret_of)(const enum type *args, const struct value *const *consts, uint32_t n);
    uint32_t flags;
    fn_eval *eval;
    /* Optional: once per bound call, before the first eval; result goes to call->prepared, in arena
     * a. */
    enum err (*prepare)(struct fn_call *call, struct arena *a, struct diag *d);
    const char *doc;     /* one sentence */
    const char *example; /* a KQL expression */
    const char *expect;  /* tostring() of its value */
};

/*
 * Evaluates a bound call: this, and not fn->eval, is what callers use. Constant arguments are
 * evaluated once and give a constant vector; a function of one dictionary vector and constants is
 * evaluated once per entry; FN_NULL_IN_NULL_OUT is seen to; a null row's data is zero.
 */
enum err fn_run(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                uint32_t n, struct vec *out);

const struct fn *fn_find(const char *name);
uint32_t fn_count(void);
const struct fn *fn_at(uint32_t i); /* in order of names: for the reference page and completion */
/* The known name nearest to a misspelt one, or NULL. */
const char *fn_suggest(const char *name);

/* The conversion that KQL does by itself (int to long, long to real, anything to dynamic ...), or
 * NULL. */
const struct fn *fn_implicit_cast(enum type from, enum type to);
/* The type in which two are compared or combined (case(), iff(), coalesce(), union); T_NONE = none.
 */
enum type type_common(enum type a, enum type b);
