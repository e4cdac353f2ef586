/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/query.h - one query on one workspace, from its text to its last row
 *
 * Every endpoint that answers KQL reads its request into a struct query_call and lets query_execute()
 * do the rest; what the answer looks like is its writer's.
 *
 * (1) While the key that new rows go under is revoked the whole workspace is refused, also what was
 *     written before it had a customer's key (decision 42). Old accounts of a workspace that was
 *     unlinked are the store's to refuse: it knows whether the query touches them.
 * (2) A lock cancels running queries; the state is asked again after the last row, before anything
 *     is sent, and what is being sent is taken back: a slow reader gets no row of a key that is
 *     gone.
 *     Of another workspace that a query names all this holds, too: it counts as one that is read
 *     from before its key's state is asked.
 * (3) Rows of a cluster that was deleted are left out, and the answer says so: nothing can bring
 *     them back, so the platform's rows are not held hostage to them.
 */
#pragma once

#include "api/front.h"
#include "exec/exec.h"
#include "kql/kql.h"
#include "net/http_recall.h"

#define QUERY_RESULT_MAX ((size_t)256 << 20) /* bytes of an answer's text */
#define QUERY_ACTION     "Microsoft.OperationalInsights/workspaces/query/read"
#define OWNERS_ACTION    "Microsoft.Authorization/roleAssignments/write" /* only an owner may */
#define QUERY_DENIED_TAG "WorkspaceAccessDenied"
#define QUERY_LOCKED_TAG \
    "CustomerManagedKeyUnavailable" /* with a sentence that names the workspace */
#define QUERY_NO_MEMORY_TAG "E_LOW_MEMORY_CONDITION"
#define QUERY_SCOPE_TAG     "FailedToResolveResource" /* of the request's list of workspaces */

enum query_fault {
    QUERY_LOCKED,    /* the customer has withdrawn the key */
    QUERY_SUSPENDED, /* the key is not at hand: come again */
    QUERY_BAD,       /* the text is wrong, not supported, or asks for too much; see d->tag */
    QUERY_DENIED,    /* another workspace that the query names is not the caller's to read */
    QUERY_TOO_LARGE, /* the result has more rows or bytes than it may have */
    QUERY_TIMEOUT,
    QUERY_INTERNAL, /* it is logged already */
};

struct query_call;

/* Appends to front->res->body. A table's rows lie between its begin() and the next one's, or end().
 */
struct query_writer {
    /* The table with this number begins: 0 is plan.root's, the others are plan.more's. */
    enum err (*begin)(struct query_call *q, uint32_t result, struct diag *d);
    enum err (*rows)(struct query_call *q, const struct batch *b, struct diag *d);
    /* All rows are there: the rest of the body, the status and the headers. */
    void (*end)(struct query_call *q);
    /* Writes the refusal. True: the body is kept as the writer has made it, rows and all, because
     * the protocol tells of the failure behind them; asked for no key that is gone, nor kept then. */
    bool (*fail)(struct query_call *q, enum query_fault fault, const struct diag *d);
};

struct query_call {
    /* the request: the caller's */
    struct front_call *front;
    struct workspace workspace;
    const struct query_writer *writer;
    const char *text, *timespan; /* timespan may be NULL: then from and to count */
    int64_t from, to;            /* ticks that filter TimeGenerated; 0, 0 = none */
    int64_t now_ticks;           /* 0 = the clock's */
    int64_t take_max;            /* rows of each result; 0 = all */
    const struct kql_parameter *parameters;
    uint32_t n_parameters;
    bool takes_plans;        /* tables of the plans Basic and Auxiliary may be read */
    bool by_database;        /* a workspace is a database here: functions of others can be called */
    const char *const *also; /* workspaces whose tables the query's names stand for, too */
    uint32_t n_also;
    const struct kql_parameter *options; /* request properties */
    uint32_t n_options;
    struct kql_session session;
    bool bounds_only; /* the query's own options may make its result smaller, never larger */
    unsigned wait_s;
    uint64_t rows_max, bytes_max; /* of the result; 0 = as exec.h says */

    /* the outcome: for the writer */
    struct arena *a; /* dies with query_execute() */
    struct plan plan;
    struct exec_stats stats;
    struct source_tables *places; /* its own workspace, and others: source.h */
    uint32_t n_results;           /* tables begun */
    struct query_gone *gone;      /* of deleted clusters */
    bool is_too_long;             /* the text of the answer is longer than QUERY_RESULT_MAX */
    uint64_t rows, table_rows;    /* of the result so far; of the table under way */

    struct query_run *run;
    int64_t deadline_us;
};

/* Those whose rows the query had to leave out, of each workspace. */
struct query_gone {
    struct query_gone *next;
    json_t *names; /* [{"cluster": ARM id}] */
    struct store_gone *list;
};

/* --- query_error.c ---------------------------------------------------------------------------- */

/* The answer of the Log Analytics query API. */
void query_say_failure(struct query_call *q, enum query_fault fault, const struct diag *d);
/* The engine's number for a tag of its own, 0x80DA....; 0: it is none. */
int32_t query_engine_code(const char *tag);
json_t *query_engine_error(const struct diag *d); /* a detail of a partial error */

/* --- query_place.c: other workspaces ---------------------------------------------------------- */

/* Who asks for them; call: NULL if the query is only compiled. A source_door's ctx. */
struct query_door {
    struct front_call *front;
    struct query_call *call;
};
enum err query_find_place(void *ctx, const char *function, const char *name, struct workspace *out,
                          struct diag *d);
/* May the caller read it? Rows are not asked for. */
enum err query_admit_reader(void *ctx, const struct workspace *w, struct source_tables *place,
                            struct diag *d);
enum err query_admits(struct front_call *c, const struct workspace *w, struct diag *d);
/* May the caller query it, from where he is? Rights on a subscription hold for all that is in it:
 * *seen, all-zero at first, remembers those on the last one. */
struct query_seen {
    char subscription[ARM_ID_MAX];
    bool all;
};
bool query_sees(const struct front_call *c, const struct workspace *w, struct query_seen *seen);
/* All that he may query, by name; *out is the caller's, to free(). */
enum err query_visible(const struct front_call *c, struct workspace **out, uint32_t *out_n,
                       struct diag *d);
/* What the i-th of them is called: a name that two have is no name. */
const char *query_visible_name(const struct workspace *list, uint32_t n, uint32_t i);
/* source_door.list */
enum err query_list_places(void *ctx, struct arena *a, const char *const **names, uint32_t *n,
                           struct diag *d);
/* Of several of one name only those count that he may query. The number of those that are left, at
 * least one where there was one. */
uint32_t query_keep_seen(const struct front_call *c, struct workspace *all, uint32_t n);

/* query_session.c: who asks, for functions that tell. False: out of memory. */
bool query_session(struct query_call *q);

/* --- query_run.c ------------------------------------------------------------------------------ */

/* May the caller query the workspace, from where he is? If not, the answer is written, in the plane's words. The
 * platform's own workspace is the owners'. */
bool query_allowed(struct front_call *c, const struct workspace *w, enum plane plane);
/* Runs the query and answers it, also where it fails. */
void query_execute(struct query_call *q);
/* Several answers as one: an entry among the running queries of all these workspaces (customer ids),
 * so that a lock of one takes the answer back (2). NULL: out of memory. query_held() is the
 * response's recall, which ends it. */
struct query_run *query_hold(struct api *a, const char *const *workspaces, size_t n);
/* A further workspace, from now on. */
enum err query_hold_add(struct query_run *r, const char *workspace, struct diag *d);
/* Those of another answer, which goes out as a part of this one; if that was taken back, so is this. */
enum err query_hold_join(struct query_run *r, struct http_recall *part, struct diag *d);
/* The text so far, when it is long enough, moves out of memory; what stays is the answer's end. */
enum err query_hold_put(struct query_run *r, struct buf *text, struct diag *d);
struct http_recall *query_held(struct query_run *r);
/* The tables of the workspace as the query API describes them: query_tables.c */
void query_metadata(struct front_call *c, const struct workspace *w, enum plane plane);
/* What the table with this number is called: the first PrimaryResult; of several others, those that
 * have a name of their own keep it. In q->a. */
const char *query_table_name(const struct query_call *q, uint32_t result);
const struct schema *query_table_schema(const struct query_call *q, uint32_t result);
/* The workspace of that customer id, or the platform's by its name. */
bool query_workspace_of(struct api *a, const char *id, struct workspace *out);
/* (3) The ARM ids of the clusters whose rows the query had to leave out: an array, a new reference.
 */
json_t *query_left_out(const struct query_call *q);
