/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_run.c - running a query: its key, its limits, and how a lock takes it back */
#include "api/query_hold.h"

#include "api/activity.h"
#include "api/key_audit.h"
#include "api/query_tables.h"
#include "api/timespan.h"
#include "base/log.h"

#define DOUBT_WAIT_MS 12000 /* new queries wait for a verdict this long */

/* --- failing ---------------------------------------------------------------------------------- */

static enum query_fault fault_of_state(enum key_state s)
{
    return s == KEY_REVOKED ? QUERY_LOCKED : QUERY_SUSPENDED;
}

/* Of all workspaces that it reads: what is revoked comes before what is not at hand. */
static enum key_state worst_state(const struct query_call *q)
{
    enum key_state worst = arm_workspace_state(q->front->api->arm, &q->workspace.id);
    const struct source_tables *t = q->places != NULL ? q->places->next : NULL;
    for (; t != NULL && worst != KEY_REVOKED; t = t->next) {
        enum key_state s = arm_workspace_state(q->front->api->arm, &t->workspace);
        if (s == KEY_REVOKED || worst == KEY_ACTIVE) worst = s;
    }
    return worst;
}

static enum query_fault fault_of(const struct query_call *q, enum err e, const struct diag *d)
{
    if (e == ERR_KEY_LOCKED) return QUERY_LOCKED;
    if (e == ERR_CANCELLED) return fault_of_state(worst_state(q));
    if (e == ERR_DENIED) return QUERY_DENIED;
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

static bool client_gone(void *req)
{
    return http_client_gone(req);
}

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
        .gone = client_gone,
        .gone_ctx = (void *)q->front->req,
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

static enum err compile(struct query_call *q, struct diag *d)
{
    struct kql_options opt = {.now_ticks = q->now_ticks,
                              .session = &q->session,
                              .options = q->options,
                              .n_options = q->n_options,
                              .timespan_from = q->from,
                              .timespan_to = q->to,
                              .take_max = q->take_max,
                              .parameters = q->parameters,
                              .n_parameters = q->n_parameters,
                              .run = run_part,
                              .run_ctx = q};
    if (q->timespan != NULL) {
        TRY(timespan_range(q->timespan, q->now_ticks, &opt.timespan_from, &opt.timespan_to, d));
    }
    TRY(kql_compile(q->a, bytes_str(q->text), &q->places->catalog, &opt, &q->plan, d));
    q->now_ticks = q->plan.now_ticks;
    return source_check_plans(q->places, q->text, d);
}

static enum err take_batch(void *ctx, const struct batch *b, struct diag *d)
{
    struct query_call *q = ctx;
    struct buf *out = &q->front->res->body;
    TRY(q->writer->rows(q, b, d));
    q->table_rows += b->n_rows;
    q->rows += b->n_rows;
    TRY(answer_put(&q->run->answer, out, d));
    q->is_too_long = q->run->answer.len + out->len > QUERY_RESULT_MAX;
    if (q->is_too_long) {
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

/* --- other workspaces ------------------------------------------------------------------------- */

/* (3) */
static enum err find_gone(struct query_call *q, const char *workspace, struct source_tables *place,
                          struct diag *d)
{
    struct query_gone *g = arena_new(q->a, struct query_gone);
    if (g == NULL) return arena_full(q->a, d);
    *g = (struct query_gone){.next = q->gone,
                             .names = arm_gone_accounts(q->front->api->arm, workspace)};
    q->gone = g;
    g->list = arena_array(q->a, struct store_gone, json_array_size(g->names) + 1);
    if (g->list == NULL) return arena_full(q->a, d);
    size_t i;
    json_t *x;
    json_array_foreach (g->names, i, x) {
        g->list[i] = (struct store_gone){0};
        TRY(hex_decode(bytes_str(json_get_str(x, "id")), g->list[i].account, 16, d));
    }
    place->gone = g->list;
    place->n_gone = (uint32_t)json_array_size(g->names);
    return OK;
}

static enum key_state state_of(const struct api *a, const struct workspace *w)
{
    if (key_audit_is(w)) return custody_account_state(a->c.custody, w->account);
    return arm_workspace_state(a->arm, &w->id);
}

/* In doubt a query waits: the verdict comes within seconds. */
static enum key_state settled_state(const struct api *a, const struct workspace *w)
{
    int64_t until = time_mono_us() + DOUBT_WAIT_MS * 1000;
    enum key_state s;
    while ((s = state_of(a, w)) == KEY_DOUBT || s == KEY_RESTORING) {
        if (time_mono_us() > until || atomic_load(&a->stopping)) break;
        time_sleep_us(20000);
    }
    return s;
}

static bool is_readable(enum key_state s)
{
    return s == KEY_ACTIVE || s == KEY_STALE;
}

/* (1), (2) */
static enum err admit(void *ctx, const struct workspace *w, struct source_tables *place,
                      struct diag *d)
{
    struct query_door *door = ctx;
    struct query_call *q = door->call;
    TRY(query_admits(door->front, w, d));
    TRY(query_hold_add(q->run, w->customer_id, d));
    enum key_state s = settled_state(q->front->api, w);
    if (s == KEY_REVOKED) {
        return FAIL_TAG(d, ERR_KEY_LOCKED, QUERY_LOCKED_TAG,
                        "access to the customer-managed key that encrypts the data of the "
                        "workspace '%s' was revoked",
                        w->name);
    }
    if (!is_readable(s)) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "KeySuspended",
                        "the key that encrypts the data of the workspace '%s' is not at hand",
                        w->name);
    }
    place->sees_activity = activity_seen_from(q->front->api->activity, w, &place->activity);
    return find_gone(q, w->customer_id, place, d);
}

/* The request's own list: what is not there is no mistake in the query's text. */
static enum err add_also(struct query_call *q, struct diag *d)
{
    for (uint32_t i = 0; i < q->n_also; i++) {
        struct diag why = DIAG_INIT;
        enum err e = source_add(q->places, q->also[i], &why);
        bool is_missing = e == ERR_NOT_FOUND || e == ERR_INVALID;
        if (e != OK)
            return FAIL_TAG(d, is_missing ? ERR_INVALID : e, is_missing ? QUERY_SCOPE_TAG : why.tag,
                            "%s", why.text);
    }
    return OK;
}

static enum err open_places(struct query_call *q, struct source_door *door, struct diag *d)
{
    struct api *api = q->front->api;
    struct source_tables *t = arena_new(q->a, struct source_tables);
    if (t == NULL) return arena_full(q->a, d);
    *t = query_source(api, &q->workspace, q->a);
    t->by_database = q->by_database;
    t->takes_plans = q->takes_plans;
    t->door = door;
    if (t->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    q->places = t;
    TRY(find_gone(q, q->workspace.customer_id, t, d));
    (void)source_catalog(t);
    return add_also(q, d);
}

/* --- one query -------------------------------------------------------------------------------- */

static uint64_t bound(uint64_t given, uint64_t own, uint64_t otherwise, bool only_less)
{
    uint64_t now = given != 0 ? given : otherwise;
    if (own == 0) return given;
    return only_less && own > now ? given : own;
}

/* What the query says of its result, beside what the request does. */
static void read_limits(const struct query_call *q, struct exec_limits *limits)
{
    const struct plan_limits *own = &q->plan.limits;
    limits->rows_max = bound(q->rows_max, own->rows_max, EXEC_ROWS_MAX, q->bounds_only);
    limits->bytes_max = bound(q->bytes_max, own->bytes_max, EXEC_BYTES_MAX, q->bounds_only);
    if (own->none && !q->bounds_only) limits->rows_max = limits->bytes_max = UINT64_MAX;
}

static enum err run(struct query_call *q, struct diag *d)
{
    if (!query_session(q)) return arena_full(q->a, d);
    struct query_door who = {.front = q->front, .call = q};
    struct source_door door = {
        .ctx = &who, .find = query_find_place, .list = query_list_places, .admit = admit};
    if (q->now_ticks == 0) q->now_ticks = ticks_now();
    q->deadline_us = time_mono_us() + q->wait_s * US_PER_S;
    TRY(open_places(q, &door, d));
    TRY(compile(q, d));
    struct exec_request request = request_of(q, &q->plan);
    read_limits(q, &request.limits);
    request.begin = begin_table;
    return exec_run(&request, take_batch, q, &q->stats, d);
}

/* False: the answer is written. */
static bool wait_for_key(struct query_call *q)
{
    enum key_state s = settled_state(q->front->api, &q->workspace);
    if (is_readable(s)) return true;
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
    if (e == ERR_LIMIT && d.tag[0] == '\0') /* the process has no memory left */
        snprintf(d.tag, sizeof d.tag, "%s", QUERY_NO_MEMORY_TAG);
    if (e == OK) q->writer->end(q);
    if (e == OK || refuse(q, fault_of(q, e, &d), &d)) {
        c->res->recall = query_held(q->run);
    } else {
        query_run_end(q->run);
    }
    for (struct query_gone *g = q->gone; g != NULL; g = g->next)
        json_decref(g->names);
}

/* --- for writers ------------------------------------------------------------------------------ */

json_t *query_left_out(const struct query_call *q)
{
    json_t *out = json_array();
    size_t i;
    json_t *x;
    for (const struct query_gone *g = q->gone; g != NULL; g = g->next) {
        json_array_foreach (g->names, i, x) {
            if (g->list[i].had_rows) json_array_append(out, json_get(x, "cluster"));
        }
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
