/* SPDX-License-Identifier: Apache-2.0 */
/* api/query.c - the Log Analytics query API: GET and POST of one query on one workspace */
#include "api/encode.h"
#include "api/query.h"
#include "api/source.h"

#include <strings.h>

#define WAIT_S_DEFAULT 180
#define WAIT_S_MAX     600
#define OTHERS_MAX     100 /* workspaces that a request may name */

struct la_query {
    struct query_call call; /* first: a writer is handed this */
    bool statistics, render, data_sources;
};

static struct la_query *la_of(struct query_call *q)
{
    return (struct la_query *)q;
}

/* --- failing ---------------------------------------------------------------------------------- */

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

static void read_preference(struct la_query *q, struct bytes part)
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
        q->call.wait_s = n < WAIT_S_MAX ? (unsigned)n : WAIT_S_MAX;
    }
}

static void read_prefer(struct la_query *q, const char *header)
{
    q->call.wait_s = WAIT_S_DEFAULT;
    for (const char *p = header; p != NULL && *p != '\0';) {
        size_t n = strcspn(p, ",;");
        read_preference(q, trim(bytes_of(p, n)));
        p += n;
        if (*p != '\0') p++;
    }
}

/* One name of the request's list, trimmed; it lies in the request's arena. */
static bool add_other(struct query_call *q, struct bytes name)
{
    struct arena *a = q->front->req->a;
    name = trim(name);
    if (name.len == 0) return true;
    const char **list = (const char **)q->also;
    if (list == NULL) list = arena_array(a, const char *, OTHERS_MAX);
    if (list == NULL || q->n_also == OTHERS_MAX) return false;
    list[q->n_also] = arena_str(a, name);
    q->also = list;
    return list[q->n_also++] != NULL;
}

static bool read_others(struct query_call *q, const json_t *list, const char *text)
{
    size_t i;
    json_t *x;
    json_array_foreach (list, i, x) {
        const char *name = json_string_value(x);
        if (name == NULL || !add_other(q, bytes_str(name))) return false;
    }
    while (text != NULL && *text != '\0') {
        size_t n = strcspn(text, ",");
        if (!add_other(q, bytes_of(text, n))) return false;
        text += n + (text[n] != '\0');
    }
    return list == NULL || json_is_array(list) || json_is_null(list);
}

/* False: the answer is written. */
static bool read_request(struct query_call *q, const json_t *body)
{
    struct front_call *c = q->front;
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
    if (!read_others(q, json_get(body, "workspaces"), http_query(c->req, "workspaces"))) {
        say_bad_body(c, "'workspaces' is a list of at most 100 names or ids of workspaces.");
        return false;
    }
    read_prefer(la_of(q), http_header(c->req, "Prefer"));
    return true;
}

/* --- the answer ------------------------------------------------------------------------------- */

static enum err begin_table(struct query_call *q, uint32_t result, struct diag *d)
{
    struct buf *out = &q->front->res->body;
    const char *name = query_table_name(q, result);
    if (name == NULL) return arena_full(q->a, d);
    buf_str(out, result == 0 ? "{\"tables\":[{\"name\":" : "]},{\"name\":");
    json_quote(out, bytes_str(name));
    buf_str(out, ",\"columns\":");
    encode_columns(out, query_table_schema(q, result));
    buf_str(out, ",\"rows\":[");
    return OK;
}

static enum err write_rows(struct query_call *q, const struct batch *b, struct diag *d)
{
    (void)d; /* the runner looks at the buffer */
    encode_rows(&q->front->res->body, b, q->table_rows, false);
    return OK;
}

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

/* failure: what ended the rows; NULL: they are all there. The result is NULL where nothing is missing. */
static json_t *partial_error(const struct query_call *q, const struct diag *failure)
{
    CLEANUP_JSON json_t *left_out = query_left_out(q), *details = json_array();
    size_t i;
    json_t *x;
    json_array_foreach (left_out, i, x) {
        json_array_append_new(details, gone_detail(json_string_value(x)));
    }
    if (failure != NULL) json_array_append_new(details, query_engine_error(failure));
    if (json_array_size(details) == 0) return NULL;
    return json_pack("{s:s, s:s, s:O}", "code", "PartialError", "message",
                     "There were some errors when processing your query.", "details", details);
}

static json_t *data_sources(const struct query_call *q)
{
    json_t *list = json_array();
    for (const struct source_tables *t = q->places; t != NULL; t = t->next)
        json_array_append_new(list, json_pack("{s:s, s:I}", "resourceId", t->names[2], "tables",
                                              (json_int_t)t->n_touched));
    return list;
}

static void close_answer(struct query_call *q, const struct diag *failure)
{
    const struct la_query *la = la_of(q);
    struct http_response *res = q->front->res;
    struct buf *out = &res->body;
    json_t *partial = partial_error(q, failure);
    buf_str(out, "]}]");
    if (la->statistics) add_member(out, "statistics", statistics_json(q));
    if (la->render) add_member(out, "render", render_json(&q->plan.render));
    if (la->data_sources) {
        add_member(out, "dataSources", data_sources(q));
    }
    if (partial != NULL) add_member(out, "error", partial);
    buf_u8(out, '}');
    res->status = 200;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    http_set(res, "Cache-Control", "no-store");
}

static void finish(struct query_call *q)
{
    close_answer(q, NULL);
}

/* A result that has met a limit is cut off there, and says so: status 200, as the original. One whose
 * text is too long has no answer. */
static bool fail(struct query_call *q, enum query_fault fault, const struct diag *d)
{
    bool limited = fault == QUERY_TOO_LARGE && !q->is_too_long;
    bool is_cut =
        q->n_results != 0 &&
        (limited || (fault == QUERY_BAD && q->rows != 0 && query_engine_code(d->tag) != 0));
    if (is_cut) {
        close_answer(q, d);
    } else {
        query_say_failure(q, fault, d);
    }
    return is_cut;
}

static const struct query_writer writer = {
    .begin = begin_table, .rows = write_rows, .end = finish, .fail = fail};

/* --- routes ----------------------------------------------------------------------------------- */

static void query(struct front_call *c, const struct workspace *w, enum plane plane, bool is_search)
{
    struct la_query q = {.call = {.front = c,
                                  .workspace = *w,
                                  .writer = &writer,
                                  .takes_plans = is_search,
                                  .bounds_only = true}};
    if (!query_allowed(c, w, plane)) return;
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
    if (!read_request(&q.call, body)) return;
    if (is_search && q.call.timespan == NULL) {
        say_bad_body(c, "A search needs a timespan.");
        return;
    }
    query_execute(&q.call);
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

void query_workspace(struct front_call *c)
{
    if (!front_verify(c, PLANE_QUERY)) return;
    const char *id = between(c->req->a, c->req->path, "/v1/workspaces/", "/query");
    bool is_search = id == NULL;
    const char *described = between(c->req->a, c->req->path, "/v1/workspaces/", "/metadata");
    struct workspace w;
    if (is_search) id = between(c->req->a, c->req->path, "/v1/workspaces/", "/search");
    if (id == NULL && described == NULL) {
        no_path(c);
    } else if (!query_workspace_of(c->api, id != NULL ? id : described, &w)) {
        no_workspace(c);
    } else if (id == NULL) {
        query_metadata(c, &w, PLANE_QUERY);
    } else {
        query(c, &w, PLANE_QUERY, is_search);
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
        query(c, &w, plane, false);
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
