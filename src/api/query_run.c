/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_run.c - running a query: its key, its limits, and how a lock takes it back */
#include "api/query.h"

#include "api/answer.h"
#include "api/key_audit.h"
#include "api/query_tables.h"
#include "api/source.h"
#include "api/timespan.h"
#include "base/log.h"

#include <stddef.h>
#include <stdlib.h>

#define DOUBT_WAIT_MS 12000 /* new queries wait for a verdict this long */

struct query_run { /* in the api's list until its last row is sent */
    struct http_recall recall;
    struct api *api;
    struct query_run *next, *previous;
    _Atomic bool cancel;
    struct spill_file *rows; /* those that do not fit into memory; NULL: they must */
    struct answer answer;
    size_t n_workspaces;
    char workspaces[][GUID_TEXT_MAX]; /* customer ids, lower case */
};

/* --- running queries -------------------------------------------------------------------------- */

static void run_end(struct query_run *r)
{
    struct api *a = r->api;
    {
        LOCK_SCOPE(&a->lock);
        if (r->previous != NULL) r->previous->next = r->next;
        if (r->next != NULL) r->next->previous = r->previous;
        if (a->runs == r) a->runs = r->next;
    }
    http_recall_release(&r->recall);
    answer_release(&r->answer);
    spill_file_free(r->rows);
    free(r);
}

static void sent(struct http_recall *recall)
{
    run_end((struct query_run *)((char *)recall - offsetof(struct query_run, recall)));
}

struct query_run *query_hold(struct api *a, const char *const *workspaces, size_t n)
{
    struct query_run *r = calloc(1, sizeof *r + n * GUID_TEXT_MAX);
    if (r == NULL) return NULL;
    if (answer_init(&r->answer, a->spill, NULL) != OK ||
        (a->spill != NULL && spill_file_new(&r->rows, a->spill, NULL) != OK)) {
        answer_release(&r->answer);
        free(r);
        return NULL;
    }
    r->api = a;
    r->n_workspaces = n;
    for (size_t i = 0; i < n; i++) {
        snprintf(r->workspaces[i], GUID_TEXT_MAX, "%s", workspaces[i]);
        str_lower(r->workspaces[i]);
    }
    http_recall_init(&r->recall, sent);
    LOCK_SCOPE(&a->lock);
    r->next = a->runs;
    if (r->next != NULL) r->next->previous = r;
    a->runs = r;
    return r;
}

enum err query_hold_put(struct query_run *r, struct buf *text, struct diag *d)
{
    return answer_put(&r->answer, text, d);
}

struct http_recall *query_held(struct query_run *r)
{
    r->recall.stored = answer_stored(&r->answer);
    return &r->recall;
}

static bool reads(const struct query_run *r, const char *workspace)
{
    bool found = workspace == NULL;
    for (size_t i = 0; i < r->n_workspaces && !found; i++)
        found = str_eq(r->workspaces[i], workspace);
    return found;
}

void queries_cancel(struct api *a, const char *workspace)
{
    LOCK_SCOPE(&a->lock);
    for (struct query_run *r = a->runs; r != NULL; r = r->next) {
        if (!reads(r, workspace)) continue;
        atomic_store(&r->cancel, true);
        answer_wipe(&r->answer); /* (2) */
        if (r->rows != NULL) spill_file_wipe(r->rows);
        http_recall_now(&r->recall);
    }
}

/* --- failing ---------------------------------------------------------------------------------- */

static enum query_fault fault_of_state(enum key_state s)
{
    return s == KEY_REVOKED ? QUERY_LOCKED : QUERY_SUSPENDED;
}

static enum query_fault fault_of(const struct query_call *q, enum err e, const struct diag *d)
{
    if (e == ERR_KEY_LOCKED) return QUERY_LOCKED;
    if (e == ERR_CANCELLED) {
        return fault_of_state(arm_workspace_state(q->front->api->arm, &q->workspace.id));
    }
    if (e == ERR_UNAVAILABLE) return QUERY_SUSPENDED;
    if (str_eq(d->tag, "E_QUERY_TIMEOUT")) return QUERY_TIMEOUT;
    if (str_eq(d->tag, "E_QUERY_RESULT_SET_TOO_LARGE")) return QUERY_TOO_LARGE;
    if (e == ERR_INVALID || e == ERR_UNSUPPORTED || e == ERR_LIMIT) return QUERY_BAD;
    LOG(ERROR, "query.failed", F_STR("workspace", q->workspace.customer_id), F_ERR(d));
    return QUERY_INTERNAL;
}

/* True: rows go out with the news of the failure behind them. */
static bool refuse(struct query_call *q, enum query_fault fault, const struct diag *d)
{
    bool gone = fault == QUERY_LOCKED || fault == QUERY_SUSPENDED;
    if (gone) buf_release(&q->front->res->body); /* rows that were encoded are wiped */
    bool kept = q->writer->fail(q, fault, d) && !gone;
    if (!kept && q->run != NULL) answer_clear(&q->run->answer);
    return kept;
}

/* --- running ---------------------------------------------------------------------------------- */

static int64_t ticks_now(void)
{
    return time_now_us() * 10 + TICKS_UNIX;
}

static const struct spill_ops spill_ops = {spill_file_write, spill_file_read};

/* What a part of the query and the whole have in common: not the limits of a result. */
static struct exec_request request_of(struct query_call *q, const struct plan *plan)
{
    const struct api *a = q->front->api;
    return (struct exec_request){
        .plan = plan,
        .source = &source_ops_store,
        .external = external_ops(a->external),
        .limits = {.memory_max = a->c.query_memory, .deadline_us = q->deadline_us},
        .now_ticks = q->now_ticks,
        .pool = a->c.query_pool,
        .cancel = &q->run->cancel,
        .spill_ops = &spill_ops,
        .spill = q->run->rows,
    };
}

/* bag_unpack() and pivot() look at their rows to know their columns. */
static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    const struct exec_request request = request_of(ctx, part);
    return exec_run(&request, each, each_ctx, NULL, d);
}

static enum err compile(struct query_call *q, struct source_tables *tables, int64_t now,
                        struct diag *d)
{
    struct kql_options opt = {.now_ticks = now,
                              .timespan_from = q->from,
                              .timespan_to = q->to,
                              .take_max = q->take_max,
                              .parameters = q->parameters,
                              .n_parameters = q->n_parameters,
                              .run = run_part,
                              .run_ctx = q};
    if (q->timespan != NULL) {
        TRY(timespan_range(q->timespan, now, &opt.timespan_from, &opt.timespan_to, d));
    }
    const struct kql_catalog catalog = source_catalog(tables);
    return kql_compile(tables->a, bytes_str(q->text), &catalog, &opt, &q->plan, d);
}

static enum err take_batch(void *ctx, const struct batch *b, struct diag *d)
{
    struct query_call *q = ctx;
    struct buf *out = &q->front->res->body;
    TRY(q->writer->rows(q, b, d));
    q->table_rows += b->n_rows;
    q->rows += b->n_rows;
    TRY(answer_put(&q->run->answer, out, d));
    if (q->run->answer.len + out->len > QUERY_RESULT_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_RESULT_SET_TOO_LARGE",
                        "the result has more than %zu bytes of JSON", QUERY_RESULT_MAX);
    }
    return buf_check(out, d);
}

static enum err begin_table(void *ctx, uint32_t result, struct diag *d)
{
    struct query_call *q = ctx;
    TRY(q->writer->begin(q, result, d));
    q->n_results++;
    q->table_rows = 0;
    return buf_check(&q->front->res->body, d);
}

/* (3) */
static enum err find_gone(struct query_call *q, struct arena *a, struct diag *d)
{
    q->gone_names = arm_gone_accounts(q->front->api->arm, q->workspace.customer_id);
    q->gone = arena_array(a, struct store_gone, json_array_size(q->gone_names) + 1);
    if (q->gone == NULL) return arena_full(a, d);
    size_t i;
    json_t *x;
    json_array_foreach (q->gone_names, i, x) {
        q->gone[i] = (struct store_gone){0};
        TRY(hex_decode(bytes_str(json_get_str(x, "id")), q->gone[i].account, 16, d));
    }
    return OK;
}

static enum err run(struct query_call *q, struct diag *d)
{
    struct api *api = q->front->api;
    TRY(find_gone(q, q->a, d));
    struct source_tables tables = query_source(api, &q->workspace, q->a);
    tables.by_database = q->by_database;
    tables.takes_plans = q->takes_plans;
    tables.gone = q->gone;
    tables.n_gone = (uint32_t)json_array_size(q->gone_names);
    if (tables.store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    if (q->now_ticks == 0) q->now_ticks = ticks_now();
    q->deadline_us = time_mono_us() + q->wait_s * US_PER_S;
    TRY(compile(q, &tables, q->now_ticks, d));
    TRY(source_check_plans(&tables, q->text, d));
    q->n_tables = tables.n_touched;
    struct exec_request request = request_of(q, &q->plan);
    request.limits.rows_max = q->rows_max;
    request.limits.bytes_max = q->bytes_max;
    request.begin = begin_table;
    return exec_run(&request, take_batch, q, &q->stats, d);
}

static enum key_state state_of(const struct query_call *q)
{
    const struct api *a = q->front->api;
    if (key_audit_is(&q->workspace))
        return custody_account_state(a->c.custody, q->workspace.account);
    return arm_workspace_state(a->arm, &q->workspace.id);
}

/* In doubt a query waits: the verdict comes within seconds. False: the answer is written. */
static bool wait_for_key(struct query_call *q)
{
    struct api *a = q->front->api;
    int64_t until = time_mono_us() + DOUBT_WAIT_MS * 1000;
    enum key_state s;
    while ((s = state_of(q)) == KEY_DOUBT || s == KEY_RESTORING) {
        if (time_mono_us() > until || atomic_load(&a->stopping)) break;
        time_sleep_us(20000);
    }
    if (s == KEY_ACTIVE || s == KEY_STALE) return true;
    struct diag d = DIAG_INIT;
    (void)refuse(q, fault_of_state(s), &d);
    return false;
}

static void count(struct api *a, const struct query_call *q, int64_t started, enum err e)
{
    atomic_fetch_add(&a->metrics.queries, 1);
    if (e != OK) atomic_fetch_add(&a->metrics.queries_failed, 1);
    atomic_fetch_add(&a->metrics.query_us, (uint64_t)(time_mono_us() - started));
    atomic_fetch_add(&a->metrics.rows_scanned, q->stats.rows_scanned);
}

/* (2) */
static enum err run_counted(struct query_call *q, struct diag *d)
{
    struct metrics *m = &q->front->api->metrics;
    int64_t started = time_mono_us();
    atomic_fetch_add(&m->queries_running, 1);
    enum err e = run(q, d);
    atomic_fetch_sub(&m->queries_running, 1);
    if (e == OK && atomic_load(&q->run->cancel)) {
        e = FAIL(d, ERR_CANCELLED, "the key was taken away while the query ran");
    }
    count(q->front->api, q, started, e);
    return e;
}

void query_execute(struct query_call *q)
{
    struct front_call *c = q->front;
    if (!wait_for_key(q)) return; /* (1) */
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    q->a = &a;
    const char *id = q->workspace.customer_id;
    q->run = query_hold(c->api, &id, 1);
    if (q->run == NULL) {
        front_unavailable(c->res, "The server is out of memory.", 1);
        return;
    }
    struct diag d = DIAG_INIT;
    enum err e = run_counted(q, &d);
    if (e == OK) q->writer->end(q);
    if (e == OK || refuse(q, fault_of(q, e, &d), &d)) {
        c->res->recall = query_held(q->run);
    } else {
        run_end(q->run);
    }
    json_decref(q->gone_names);
}

/* --- for writers ------------------------------------------------------------------------------ */

json_t *query_left_out(const struct query_call *q)
{
    json_t *out = json_array();
    size_t i;
    json_t *x;
    json_array_foreach (q->gone_names, i, x) {
        if (q->gone[i].had_rows) json_array_append(out, json_get(x, "cluster"));
    }
    return out;
}

const char *query_table_name(const struct query_call *q, uint32_t result)
{
    if (result == 0) return "PrimaryResult";
    const char *name = q->plan.more[result - 1].name;
    return name != NULL ? name : arena_fmt(q->a, "PrimaryResult_%u", result);
}

const struct schema *query_table_schema(const struct query_call *q, uint32_t result)
{
    return result == 0 ? &q->plan.root->schema : &q->plan.more[result - 1].root->schema;
}

/* --- which workspace, and who ------------------------------------------------------------------ */

#define OWNERS_ACTION "Microsoft.Authorization/roleAssignments/write" /* only an owner may */

bool query_workspace_of(struct api *a, const char *id, struct workspace *out)
{
    struct guid g;
    return key_audit_workspace(a, id, out) ||
           (guid_parse(id, &g, NULL) == OK && arm_workspace(a->arm, &g, out));
}

bool query_allowed(struct front_call *c, const struct workspace *w, enum plane plane)
{
    if (key_audit_is(w) && !front_allow(c, plane, OWNERS_ACTION, false, w->arm_id)) return false;
    return (front_lockbox(c, w->arm_id, QUERY_ACTION) ||
            front_allow(c, plane, QUERY_ACTION, false, w->arm_id)) &&
           front_network(c, plane, w->private_query);
}
