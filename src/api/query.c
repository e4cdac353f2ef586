/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/query.c - the Log Analytics query API: GET and POST of one query on one workspace
 *
 * (1) While the key that new rows go under is revoked the whole workspace is refused, also what was
 *     written before it had a customer's key (decision 42). Old accounts of a workspace that was
 *     unlinked are the store's to refuse: it knows whether the query touches them.
 * (2) A lock cancels running queries; the state is asked again after the last row, before anything
 *     is sent, and what is being sent is taken back: a slow reader gets no row of a key that is
 *     gone.
 * (3) Rows of a cluster that was deleted are left out, and the answer says so: nothing can bring
 *     them back, so the platform's rows are not held hostage to them.
 */
#include "api/encode.h"
#include "api/front.h"
#include "api/key_audit.h"
#include "api/source.h"
#include "api/timespan.h"
#include "base/log.h"
#include "exec/exec.h"
#include "net/http_recall.h"
#include "resource/settings.h"

#include <stddef.h>
#include <stdlib.h>
#include <strings.h>

#define WAIT_S_DEFAULT 180
#define WAIT_S_MAX     600
#define DOUBT_WAIT_MS  12000               /* new queries wait for a verdict this long */
#define RESULT_MAX     ((size_t)256 << 20) /* bytes of an answer's text */
#define ACTION         "Microsoft.OperationalInsights/workspaces/query/read"

struct query_run { /* in the api's list until its last row is sent */
    struct http_recall recall;
    struct api *api;
    struct query_run *next, *previous;
    char workspace[GUID_TEXT_MAX];
    _Atomic bool cancel;
};

struct query_call {
    struct front_call *front;
    struct workspace workspace;
    const char *text, *timespan;
    bool statistics, render, data_sources;
    unsigned wait_s;
    struct query_run *run;
    struct plan plan;
    struct exec_stats stats;
    uint32_t n_tables;
    struct store_gone *gone; /* of deleted clusters, as in gone_names */
    json_t *gone_names;
    int64_t now_ticks, deadline_us;
    uint64_t rows, table_rows; /* of the result so far; of the table under way */
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
    free(r);
}

static void sent(struct http_recall *recall)
{
    run_end((struct query_run *)((char *)recall - offsetof(struct query_run, recall)));
}

static struct query_run *run_begin(struct api *a, const char *workspace)
{
    struct query_run *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    r->api = a;
    http_recall_init(&r->recall, sent);
    snprintf(r->workspace, sizeof r->workspace, "%s", workspace);
    LOCK_SCOPE(&a->lock);
    r->next = a->runs;
    if (r->next != NULL) r->next->previous = r;
    a->runs = r;
    return r;
}

void queries_cancel(struct api *a, const char *workspace)
{
    LOCK_SCOPE(&a->lock);
    for (struct query_run *r = a->runs; r != NULL; r = r->next) {
        if (workspace != NULL && !str_eq(r->workspace, workspace)) continue;
        atomic_store(&r->cancel, true);
        http_recall_now(&r->recall); /* (2) */
    }
}

/* --- failing ---------------------------------------------------------------------------------- */

static void say_locked(struct front_call *c)
{
    front_error(
        c->res, 403, "InsufficientAccessError",
        "The data can't be read: access to the customer-managed key of the cluster was "
        "revoked.",
        "CustomerManagedKeyUnavailable",
        "The customer-managed key that encrypts this workspace's data is disabled, deleted or "
        "may no longer be used by the cluster's identity.");
}

static void say_suspended(struct front_call *c)
{
    front_error(c->res, 503, "ServiceUnavailable",
                "The data can't be read at the moment: the key that encrypts it is not at hand.",
                "KeySuspended", NULL);
    http_set(c->res, "Retry-After", "5");
}

static void say_bad_body(struct front_call *c, const char *message)
{
    CLEANUP_JSON json_t *detail =
        json_pack("{s:s, s:s, s:n}", "code", "InvalidJsonBody", "message", message, "target");
    CLEANUP_JSON json_t *j =
        json_pack("{s:{s:s, s:s, s:{s:s, s:s, s:[O]}}}", "error", "code", "BadArgumentError",
                  "message", "The request had some invalid properties", "innererror", "code",
                  "QueryValidationError", "message", "Failed parsing the query", "details", detail);
    front_json(c->res, 400, j);
}

/* What the compiler says: the kind, then the exact code with its place in the text. */
static void say_bad_query(struct front_call *c, const char *text, const struct diag *d)
{
    bool syntax = str_starts(d->tag, "SYN");
    json_t *exact =
        json_pack("{s:s, s:s}", "code", d->tag[0] != '\0' ? d->tag : "SEM0001", "message", d->text);
    if (d->pos >= 0) {
        uint32_t line = 1, column = 1;
        kql_position(bytes_str(text), d->pos, &line, &column);
        json_object_set_new(exact, "line", json_integer(line));
        json_object_set_new(exact, "pos", json_integer(column));
    }
    CLEANUP_JSON json_t *j = json_pack(
        "{s:{s:s, s:s, s:{s:s, s:s, s:o}}}", "error", "code", "BadArgumentError", "message",
        "The request had some invalid properties", "innererror", "code",
        syntax ? "SyntaxError" : "SemanticError", "message",
        syntax ? "A recognition error occurred in the query." : "A semantic error occurred.",
        "innererror", exact);
    front_json(c->res, 400, j);
}

static void say_state(struct front_call *c, enum key_state s)
{
    if (s == KEY_REVOKED) {
        say_locked(c);
    } else {
        say_suspended(c);
    }
}

static void say_failure(struct query_call *q, enum err e, const struct diag *d)
{
    struct front_call *c = q->front;
    if (e == ERR_KEY_LOCKED) {
        say_locked(c);
    } else if (e == ERR_CANCELLED) {
        say_state(c, arm_workspace_state(c->api->arm, &q->workspace.id));
    } else if (e == ERR_UNAVAILABLE) {
        say_suspended(c);
    } else if (str_eq(d->tag, "E_QUERY_TIMEOUT")) {
        front_error(c->res, 504, "GatewayTimeout", "The query did not end in time.", d->tag,
                    d->text);
    } else if (str_eq(d->tag, "E_QUERY_RESULT_SET_TOO_LARGE")) {
        front_error(c->res, 413, "ResponseSizeError", "The result is too large.", d->tag, d->text);
    } else if (e == ERR_INVALID || e == ERR_UNSUPPORTED || e == ERR_LIMIT) {
        say_bad_query(c, q->text, d);
    } else {
        LOG(ERROR, "query.failed", F_STR("workspace", q->workspace.customer_id), F_ERR(d));
        front_error(c->res, 500, "InternalServerError", "The query failed inside the server.",
                    err_name(e), NULL);
    }
}

/* --- the request ------------------------------------------------------------------------------ */

static bool has_word(struct bytes part, const char *word)
{
    char text[64];
    if (part.len >= sizeof text) return false;
    memcpy(text, part.p, part.len);
    text[part.len] = '\0';
    return str_eq_nocase(text, word);
}

static struct bytes trim(struct bytes s)
{
    while (s.len != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = bytes_of(s.p + 1, s.len - 1);
    while (s.len != 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static void read_preference(struct query_call *q, struct bytes part)
{
    uint64_t n = 0;
    char number[24];
    if (has_word(part, "include-statistics=true")) q->statistics = true;
    if (has_word(part, "include-render=true")) q->render = true;
    if (has_word(part, "include-dataSources=true")) q->data_sources = true;
    if (part.len <= 5 || part.len >= sizeof number + 5 || !has_word(bytes_of(part.p, 5), "wait=")) {
        return;
    }
    memcpy(number, part.p + 5, part.len - 5);
    number[part.len - 5] = '\0';
    if (str_u64(number, UINT32_MAX, &n, NULL) == OK && n != 0) {
        q->wait_s = n < WAIT_S_MAX ? (unsigned)n : WAIT_S_MAX;
    }
}

static void read_prefer(struct query_call *q, const char *header)
{
    q->wait_s = WAIT_S_DEFAULT;
    for (const char *p = header; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, ",;");
        read_preference(q, trim(bytes_of(p, n)));
        p += n;
        if (*p != '\0') p++;
    }
}

static bool names_others(const json_t *list)
{
    return json_is_array(list) && json_array_size(list) != 0;
}

/* False: the answer is written. */
static bool read_request(struct query_call *q, const json_t *body)
{
    struct front_call *c = q->front;
    const char *workspaces = http_query(c->req, "workspaces");
    q->text = body != NULL ? json_get_str(body, "query") : http_query(c->req, "query");
    if (body != NULL && q->text != NULL &&
        strlen(q->text) != json_string_length(json_get(body, "query"))) {
        say_bad_body(c, "The query has a character of code 0.");
        return false;
    }
    q->timespan = body != NULL ? json_get_str(body, "timespan") : NULL;
    if (q->timespan == NULL) q->timespan = http_query(c->req, "timespan");
    if (q->timespan != NULL && q->timespan[0] == '\0') q->timespan = NULL;
    if (q->text == NULL || q->text[0] == '\0') {
        say_bad_body(c, "The query is missing.");
        return false;
    }
    if (names_others(json_get(body, "workspaces")) ||
        (workspaces != NULL && workspaces[0] != '\0')) {
        front_error(c->res, 400, "BadArgumentError",
                    "Queries over several workspaces are not supported", "QueryValidationError",
                    NULL);
        return false;
    }
    read_prefer(q, http_header(c->req, "Prefer"));
    return true;
}

/* --- running ---------------------------------------------------------------------------------- */

static int64_t ticks_now(void)
{
    return time_now_us() * 10 + TICKS_UNIX;
}

/* bag_unpack() and pivot() look at their rows to know their columns. */
static enum err run_part(void *ctx, const struct plan *part, kql_rows_fn *each, void *each_ctx,
                         struct diag *d)
{
    struct query_call *q = ctx;
    const struct exec_request request = {
        .plan = part,
        .source = &source_ops_store,
        .limits = {.deadline_us = q->deadline_us},
        .now_ticks = q->now_ticks,
        .pool = q->front->api->c.query_pool,
        .cancel = &q->run->cancel,
    };
    return exec_run(&request, each, each_ctx, NULL, d);
}

static enum err compile(struct query_call *q, struct source_tables *tables, int64_t now,
                        struct diag *d)
{
    struct kql_options opt = {.now_ticks = now, .run = run_part, .run_ctx = q};
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
    encode_rows(out, b, q->table_rows);
    q->table_rows += b->n_rows;
    q->rows += b->n_rows;
    if (out->len > RESULT_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_RESULT_SET_TOO_LARGE",
                        "the result has more than %zu bytes of JSON", RESULT_MAX);
    }
    return buf_check(out, d);
}

/* The first table is the PrimaryResult; of several others, those that have a name of their own keep
 * it. */
static enum err begin_table(void *ctx, uint32_t result, struct diag *d)
{
    struct query_call *q = ctx;
    struct buf *out = &q->front->res->body;
    const struct plan_result *more = result > 0 ? &q->plan.more[result - 1] : NULL;
    CLEANUP_JSON json_t *name = json_string("PrimaryResult");
    if (more != NULL) {
        json_decref(name);
        name =
            more->name != NULL ? json_string(more->name) : json_sprintf("PrimaryResult_%u", result);
        buf_str(out, "]},");
    }
    buf_str(out, "{\"name\":");
    TRY(json_write(name, out, d));
    buf_str(out, ",\"columns\":");
    encode_columns(out, more != NULL ? &more->root->schema : &q->plan.root->schema);
    buf_str(out, ",\"rows\":[");
    q->table_rows = 0;
    return buf_check(out, d);
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

static enum err run(struct query_call *q, struct arena *a, struct diag *d)
{
    struct api *api = q->front->api;
    TRY(find_gone(q, a, d));
    struct source_tables tables = {
        .store = atomic_load(&api->store),
        .workspace = q->workspace.id,
        .names = {q->workspace.name, q->workspace.customer_id, q->workspace.arm_id},
        .sees_activity = settings_of(api->arm).activity_in_workspaces,
        .a = a,
        .gone = q->gone,
        .n_gone = (uint32_t)json_array_size(q->gone_names)};
    if (tables.store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    int64_t now = q->now_ticks = ticks_now();
    q->deadline_us = time_mono_us() + q->wait_s * US_PER_S;
    TRY(compile(q, &tables, now, d));
    q->n_tables = tables.n_touched;
    buf_str(&q->front->res->body, "{\"tables\":[");
    const struct exec_request request = {
        .plan = &q->plan,
        .source = &source_ops_store,
        .limits = {.deadline_us = q->deadline_us},
        .now_ticks = now,
        .pool = api->c.query_pool,
        .cancel = &q->run->cancel,
        .begin = begin_table,
    };
    TRY(exec_run(&request, take_batch, q, &q->stats, d));
    buf_str(&q->front->res->body, "]}]");
    return OK;
}

/* --- the answer ------------------------------------------------------------------------------- */

static void add_member(struct buf *out, const char *name, json_t *value)
{
    struct diag d = DIAG_INIT;
    buf_fmt(out, ",\"%s\":", name);
    if (value == NULL || json_write(value, out, &d) != OK) buf_str(out, "null");
    json_decref(value);
}

static json_t *statistics_json(const struct query_call *q)
{
    const struct exec_stats *s = &q->stats;
    return json_pack("{s:{s:f, s:{s:{s:f}}, s:{s:I, s:I, s:I}, s:[{s:I}]}}", "query",
                     "executionTime", (double)s->took_us / 1e6, "resourceUsage", "cpu",
                     "totalSeconds", (double)s->cpu_us / 1e6, "inputDatasetStatistics",
                     "rowsScanned", (json_int_t)s->rows_scanned, "rowGroupsScanned",
                     (json_int_t)s->units_scanned, "rowGroupsTotal", (json_int_t)s->units_total,
                     "datasetStatistics", "tableRowCount", (json_int_t)q->rows);
}

static json_t *render_value(const char *text)
{
    if (str_eq(text, "true")) return json_true();
    if (str_eq(text, "false")) return json_false();
    return json_string(text);
}

static json_t *render_json(const struct render *r)
{
    json_t *j = json_pack("{s:s?, s:n, s:b, s:b, s:n, s:n, s:n}", "visualization", r->kind, "title",
                          "accumulate", 0, "isQuerySorted", 0, "kind", "annotation", "by");
    for (uint32_t i = 0; i < r->n; i++) {
        json_object_set_new(j, r->props[i].name, render_value(r->props[i].value));
    }
    return j;
}

static json_t *gone_detail(const char *cluster)
{
    CLEANUP_FREE char *text = str_fmt("The cluster '%s' was deleted: rows that its key encrypted "
                                      "can't be read and are left out.",
                                      cluster);
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:i, s:s}}", "code", "EngineError", "message",
                     "Something went wrong processing your query on the server.", "innererror",
                     "code", "ClusterDeleted", "message", text != NULL ? text : "", "severity", 3,
                     "severityName", "Warning");
}

/* (3) NULL: nothing was left out. */
static json_t *partial_error(const struct query_call *q)
{
    CLEANUP_JSON json_t *details = json_array();
    size_t i;
    json_t *x;
    json_array_foreach (q->gone_names, i, x) {
        if (q->gone[i].had_rows)
            json_array_append_new(details, gone_detail(json_get_str(x, "cluster")));
    }
    if (json_array_size(details) == 0) return NULL;
    return json_pack("{s:s, s:s, s:O}", "code", "PartialError", "message",
                     "There were some errors when processing your query.", "details", details);
}

static void finish(struct query_call *q)
{
    struct http_response *res = q->front->res;
    struct buf *out = &res->body;
    json_t *partial = partial_error(q);
    if (q->statistics) add_member(out, "statistics", statistics_json(q));
    if (q->render) add_member(out, "render", render_json(&q->plan.render));
    if (q->data_sources) {
        add_member(out, "dataSources",
                   json_pack("[{s:s, s:I}]", "resourceId", q->workspace.arm_id, "tables",
                             (json_int_t)q->n_tables));
    }
    if (partial != NULL) add_member(out, "error", partial);
    buf_u8(out, '}');
    res->status = 200;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    http_set(res, "Cache-Control", "no-store");
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
    say_state(q->front, s);
    return false;
}

static void count(struct api *a, const struct query_call *q, int64_t started, enum err e)
{
    atomic_fetch_add(&a->metrics.queries, 1);
    if (e != OK) atomic_fetch_add(&a->metrics.queries_failed, 1);
    atomic_fetch_add(&a->metrics.query_us, (uint64_t)(time_mono_us() - started));
    atomic_fetch_add(&a->metrics.rows_scanned, q->stats.rows_scanned);
}

static void execute(struct query_call *q)
{
    struct front_call *c = q->front;
    if (!wait_for_key(q)) return; /* (1) */
    int64_t started = time_mono_us();
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct diag d = DIAG_INIT;
    q->run = run_begin(c->api, q->workspace.customer_id);
    if (q->run == NULL) {
        front_unavailable(c->res, "The server is out of memory.", 1);
        return;
    }
    atomic_fetch_add(&c->api->metrics.queries_running, 1);
    enum err e = run(q, &a, &d);
    atomic_fetch_sub(&c->api->metrics.queries_running, 1);
    if (e == OK && atomic_load(&q->run->cancel)) { /* (2) */
        e = FAIL(&d, ERR_CANCELLED, "the key was taken away while the query ran");
    }
    count(c->api, q, started, e);
    if (e == OK) {
        finish(q);
        c->res->recall = &q->run->recall;
    } else {
        run_end(q->run);
        buf_release(&c->res->body); /* rows that were encoded are wiped */
        say_failure(q, e, &d);
    }
    json_decref(q->gone_names);
}

/* --- routes ----------------------------------------------------------------------------------- */

static void query(struct front_call *c, const struct workspace *w, enum plane plane)
{
    struct query_call q = {.front = c, .workspace = *w};
    if (!front_lockbox(c, w->arm_id, ACTION) && !front_allow(c, plane, ACTION, false, w->arm_id))
        return;
    CLEANUP_JSON json_t *body = NULL;
    if (str_eq(c->req->method, "POST")) {
        struct diag d = DIAG_INIT;
        if (c->req->body.len == 0) { /* as documented: a POST without a body is an empty success */
            c->res->status = 200;
            return;
        }
        if (json_read(c->req->body, &body, &d) != OK || !json_is_object(body)) {
            say_bad_body(c, d.text[0] != '\0' ? d.text : "The body is not an object.");
            return;
        }
    }
    if (read_request(&q, body)) execute(&q);
}

static void no_workspace(struct front_call *c)
{
    front_error(c->res, 404, "WorkspaceNotFoundError", "The workspace could not be found", NULL,
                NULL);
}

static void no_path(struct front_call *c)
{
    front_error(c->res, 404, "PathNotFoundError", "The requested path does not exist", NULL, NULL);
}

/* The path without prefix, suffix and a slash at the end; NULL if it does not have them. */
static const char *between(struct arena *a, const char *path, const char *prefix,
                           const char *suffix)
{
    size_t n = strlen(path), skip = strlen(prefix), end = strlen(suffix);
    if (n != 0 && path[n - 1] == '/') n--;
    if (n < skip + end || !str_starts_nocase(path, prefix)) return NULL;
    const char *whole = arena_str(a, bytes_of(path, n));
    if (whole == NULL || !str_ends_nocase(whole, suffix)) return NULL;
    return arena_str(a, bytes_of(path + skip, n - skip - end));
}

#define OWNERS_ACTION "Microsoft.Authorization/roleAssignments/write" /* only an owner may */

void query_workspace(struct front_call *c)
{
    if (!front_verify(c, PLANE_QUERY)) return;
    const char *id = between(c->req->a, c->req->path, "/v1/workspaces/", "/query");
    struct guid g;
    struct workspace w;
    if (id == NULL) {
        no_path(c);
    } else if (key_audit_workspace(c->api, id, &w)) {
        if (front_allow(c, PLANE_QUERY, OWNERS_ACTION, false, w.arm_id)) query(c, &w, PLANE_QUERY);
    } else if (guid_parse(id, &g, NULL) != OK || !arm_workspace(c->api->arm, &g, &w)) {
        no_workspace(c);
    } else {
        query(c, &w, PLANE_QUERY);
    }
}

static void query_by_id(struct front_call *c, const char *id, enum plane plane)
{
    struct workspace w;
    if (id == NULL) {
        no_path(c);
    } else if (!arm_workspace_by_id(c->api->arm, id, &w)) {
        no_workspace(c);
    } else {
        query(c, &w, plane);
    }
}

void query_resource(struct front_call *c)
{
    if (!front_verify(c, PLANE_QUERY)) return;
    query_by_id(c, between(c->req->a, c->req->path, "/v1", "/query"), PLANE_QUERY);
}

/* An action on a resource, .../{type}/{name}/query: not a resource that is called "query". */
bool is_arm_query_path(const char *path)
{
    size_t n = strlen(path), segments = 0;
    while (n > 1 && path[n - 1] == '/')
        n--;
    for (size_t i = 0; i < n; i++)
        segments += path[i] == '/' ? 1 : 0;
    bool is_api = n > 10 && strncasecmp(path + n - 10, "/api/query", 10) == 0;
    return str_starts_nocase(path, "/subscriptions/") && n > 6 &&
           strncasecmp(path + n - 6, "/query", 6) == 0 && (segments % 2 == 1 || is_api);
}

void query_arm(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM)) return;
    const char *id = between(c->req->a, c->req->path, "", "/api/query");
    if (id == NULL) id = between(c->req->a, c->req->path, "", "/query");
    query_by_id(c, id, PLANE_ARM);
}
