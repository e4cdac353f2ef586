/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/kql.h - from text to plan: lexer, parser, binder; knows no storage
 *
 * Exact or refused: what is not supported fails by name and position, with Kusto's codes in
 * diag.tag (SYN0002 syntax, SEM0100 semantic ...) and the offset in diag.pos.
 */
#pragma once

#include "kql/plan.h"

#define KQL_TEXT_MAX  ((size_t)1 << 20) /* bytes of one query */
#define KQL_DEPTH_MAX 200               /* nesting of expressions and of lets */

struct kql_function {
    const char *parameters; /* a:long, T:(x:string, *), b:string = "x"; may be empty */
    const char *body;       /* a query */
};

/* Names that a query may mention: those of one place, a workspace or database. Each call may be made
 * often and must be cheap. */
struct kql_catalog {
    void *ctx;
    const char *name;  /* the place's own: current_database(). NULL: not told */
    const char *label; /* before its tables' names where several places are read: workspace('w') */
    /* The table of that name, or ERR_NOT_FOUND. *schema lives as long as the catalogue. */
    enum err (*table)(void *ctx, const char *name, const struct schema **schema, void **table,
                      struct diag *d);
    /* The i-th table name, NULL after the last: for union *, misspelt names and completion. */
    const char *(*table_name)(void *ctx, uint32_t i);
    /* The stored function of that name, or ERR_NOT_FOUND; NULL: there are none. Its texts live as
     * long as the catalogue. */
    enum err (*function)(void *ctx, const char *name, struct kql_function *out, struct diag *d);
    /* The place that workspace("name") stands for, or app, resource, database, cluster; of a cluster
     * its catalogue is asked for the database. The same place is the same pointer, be it this one,
     * and lives as long as this catalogue. What it is denied for is the catalogue's to say; with
     * ERR_NOT_FOUND and ERR_DENIED a macro-expand that is fuzzy goes on. NULL: there are no others. */
    enum err (*place)(void *ctx, const char *function, const char *name,
                      const struct kql_catalog **out, struct diag *d);
    /* The i-th database that place() may be asked for, NULL after the last: for database("*"). NULL:
     * they are not told. */
    const char *(*place_name)(void *ctx, uint32_t i);
    /* Places whose tables names stand for that are not qualified, beside this one's. */
    const struct kql_catalog *const *also;
    uint32_t n_also;
    bool has_received; /* its tables know when each row came: TABLE_RECEIVED of plan.h */
};

/* Gets rows, batch by batch. */
typedef enum err kql_rows_fn(void *ctx, const struct batch *b, struct diag *d);

/* A value that a client gives to a name of `declare query_parameters`. */
struct kql_parameter {
    const char *name;
    const char *text; /* a literal; for a string its text as it is, too */
};

/* Who asks, and whom: what current_principal() and its like answer. */
struct kql_session {
    const char *cluster;   /* "https://localhost:8443" */
    const char *principal; /* "aadapp=<object id>;<tenant>" */
    struct value details;  /* a bag */
    void *ctx;
    /* Is the principal that one, or in that group? ERR_INVALID: it is not named as it must be. */
    enum err (*is_member)(void *ctx, const char *of, bool *out, struct diag *d);
};

struct kql_options {
    int64_t now_ticks;                 /* now() */
    const struct kql_session *session; /* NULL: what asks for it is refused */
    const struct kql_parameter *parameters;
    uint32_t n_parameters;
    /* Request properties: as if `set` stood before the query. Those that nobody knows are passed over. */
    const struct kql_parameter *options;
    uint32_t n_options;
    int64_t take_max; /* rows of each result, 0 = all: as if it ended in `take` */
    int64_t timespan_from,
        timespan_to; /* the API's timespan, ticks; 0, 0 = none. Filters TimeGenerated */
    /* Runs a part of the query while it is compiled: bag_unpack() and pivot() have columns that
     * only the data knows. NULL: they are compiled as if there were no rows, and a name that
     * is not there may be such a column: a null. */
    enum err (*run)(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                    struct diag *d);
    void *run_ctx;
};

/* Parses and binds. Everything in *out lives in the arena. */
enum err kql_compile(struct arena *a, struct bytes text, const struct kql_catalog *catalog,
                     const struct kql_options *opt, struct plan *out, struct diag *d);

/* For the coverage page: the i-th operator of the grammar (NULL after the last) and whether queries
 * may use it; whether a function, aggregate or tabular function is there. */
const char *kql_operator_at(uint32_t i, bool *there);
bool kql_has_function(const char *name);
bool kql_has_option(const char *name);

/* Line and column (from 1) of an offset, for people. */
void kql_position(struct bytes text, int32_t pos, uint32_t *line, uint32_t *column);
