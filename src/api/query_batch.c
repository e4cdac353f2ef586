/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/query_batch.c - /v1/$batch: several queries in one call, each answered as if it came alone
 *
 * A member runs through the same door as a call of its own, with a request and an answer made here.
 * The whole answer is held by one more running query over all its workspaces: where the key of one
 * of them goes while it is sent, it is taken back as a whole.
 */
#include "api/query.h"

#define BATCH_MAX 100 /* members */

struct member {
    const char *id, *method, *path, *workspace;
    const json_t *headers, *body;
};

static void bad_batch(struct front_call *c, const char *why)
{
    front_error(c->res, 400, "BadArgumentError", "The request had some invalid properties",
                "BatchValidationError", why);
}

static bool read_member(const json_t *j, struct member *m)
{
    m->id = json_get_str(j, "id");
    m->workspace = json_get_str(j, "workspace");
    m->path = json_get_str(j, "path");
    m->method = json_get_str(j, "method");
    m->headers = json_get(j, "headers");
    m->body = json_get(j, "body");
    if (m->path == NULL) m->path = "/query";
    if (m->method == NULL) m->method = m->body != NULL ? "POST" : "GET"; /* decision 40 */
    return m->id != NULL && m->workspace != NULL;
}

static bool read_batch(struct front_call *c, const json_t *all, struct member *list)
{
    size_t i;
    json_t *j;
    CLEANUP_JSON json_t *seen = json_object();
    json_array_foreach (all, i, j) {
        if (!read_member(j, &list[i])) {
            bad_batch(c, "A member of the batch has no id or no workspace.");
            return false;
        }
        if (json_object_get(seen, list[i].id) != NULL) {
            bad_batch(c, "Two members of the batch have the same id.");
            return false;
        }
        json_object_set_new(seen, list[i].id, json_true());
    }
    return true;
}

/* --- one member ------------------------------------------------------------------------------- */

/* The caller's headers, with what the member prefers instead of what the batch does. */
static bool headers_of(const struct front_call *c, const struct member *m, struct http_request *r)
{
    struct http_field *list =
        arena_array(c->req->a, struct http_field, (size_t)c->req->n_headers + 1);
    if (list == NULL) return false;
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->req->n_headers; i++) {
        if (!str_eq_nocase(c->req->headers[i].name, "Prefer")) list[n++] = c->req->headers[i];
    }
    const char *prefer = json_get_str(m->headers, "Prefer");
    if (prefer != NULL) list[n++] = (struct http_field){"Prefer", prefer};
    r->headers = list;
    r->n_headers = n;
    return true;
}

static bool request_of(const struct front_call *c, const struct member *m, struct buf *body,
                       struct http_request *r)
{
    struct diag d = DIAG_INIT;
    *r = *c->req;
    r->method = m->method;
    size_t path_len = strcspn(m->path, "?");
    r->path = arena_fmt(c->req->a, "/v1/workspaces/%s%.*s", m->workspace, (int)path_len, m->path);
    r->query = NULL;
    r->n_query = 0;
    const char *query = m->path[path_len] == '?' ? m->path + path_len + 1 : "";
    if (http_read_form(c->req->a, bytes_str(query), &r->query, &r->n_query, &d) != OK) return false;
    if (m->body != NULL && json_write(m->body, body, &d) != OK) return false;
    r->body = buf_view(body);
    return r->path != NULL && headers_of(c, m, r);
}

static void run_member(struct front_call *c, const struct member *m, struct http_response *res)
{
    CLEANUP_BUF struct buf body = {0};
    struct http_request req;
    struct workspace w;
    struct front_call inner = {.api = c->api, .req = &req, .res = res};
    if (!query_workspace_of(c->api, m->workspace, &w)) {
        front_error(res, 400, "FailedToResolveResource", "Resource identity could not be resovled",
                    NULL, NULL); /* as the original */
    } else if ((!str_eq(m->method, "GET") && !str_eq(m->method, "POST")) ||
               !request_of(c, m, &body, &req)) {
        front_error(res, 400, "BadArgumentError", "The request had some invalid properties", NULL,
                    NULL);
    } else {
        query_workspace(&inner);
    }
}

/* What of the member's answer does not lie in memory comes first. */
static enum err copy_stored(struct buf *out, const struct http_response *res, struct diag *d)
{
    uint8_t piece[4096];
    const struct http_stored *stored = res->recall != NULL ? &res->recall->stored : NULL;
    for (uint64_t at = 0; stored != NULL && at < stored->len;) {
        size_t n = stored->read(stored->ctx, at, piece, sizeof piece);
        if (n == 0) return FAIL(d, ERR_CANCELLED, "the answer of a member was taken back");
        buf_bytes(out, bytes_of(piece, n));
        at += n;
    }
    return OK;
}

static enum err add_answer(struct buf *out, const struct member *m, const struct http_response *res,
                           struct diag *d)
{
    buf_str(out, "{\"id\":");
    json_quote(out, bytes_str(m->id));
    buf_fmt(out, ",\"status\":%d,\"headers\":{},\"body\":", res->status);
    TRY(copy_stored(out, res, d));
    if (res->recall == NULL && res->body.len == 0) buf_str(out, "{}");
    buf_bytes(out, buf_view(&res->body));
    buf_u8(out, '}');
    return buf_check(out, d);
}

/* --- the batch -------------------------------------------------------------------------------- */

struct batch_run {
    struct front_call *front;
    struct query_run *held;
    uint64_t len; /* bytes of text so far */
};

static enum err run_one(struct batch_run *b, const struct member *m, struct diag *d)
{
    struct buf *out = &b->front->res->body;
    struct http_response res = {.a = b->front->res->a};
    size_t before = out->len;
    if (b->len > QUERY_RESULT_MAX) {
        front_error(&res, 413, "ResponseSizeError", "The result is too large.", NULL, NULL);
    } else {
        run_member(b->front, m, &res);
    }
    enum err e = query_hold_join(b->held, res.recall, d); /* it may have read others than its own */
    if (e == OK) e = add_answer(out, m, &res, d);
    b->len += out->len - before;
    buf_release(&res.body);
    if (res.recall != NULL) res.recall->done(res.recall);
    return e == OK ? query_hold_put(b->held, out, d) : e;
}

static enum err run_all(struct batch_run *b, const struct member *list, size_t n, struct diag *d)
{
    struct buf *out = &b->front->res->body;
    buf_str(out, "{\"responses\":[");
    for (size_t i = 0; i < n; i++) {
        if (i != 0) buf_u8(out, ',');
        TRY(run_one(b, &list[i], d));
    }
    buf_str(out, "]}");
    return buf_check(out, d);
}

static void answer(struct batch_run *b, const struct member *list, size_t n)
{
    struct front_call *c = b->front;
    struct diag d = DIAG_INIT;
    if (run_all(b, list, n, &d) != OK) {
        buf_release(&c->res->body);
        front_unavailable(c->res, "The batch could not be answered as a whole.", 1);
        struct http_recall *held = query_held(b->held);
        held->done(held);
        return;
    }
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    http_set(c->res, "Cache-Control", "no-store");
    c->res->recall = query_held(b->held);
}

void query_batch(struct front_call *c)
{
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    if (!front_verify(c, PLANE_QUERY)) return;
    enum err e = json_read(c->req->body, &body, &d);
    const json_t *all = json_get(body, "requests");
    size_t n = json_array_size(all);
    if (e != OK || !json_is_array(all) || n == 0 || n > BATCH_MAX) {
        bad_batch(c, e != OK ? d.text : "The batch wants 1 to 100 requests.");
        return;
    }
    struct member *list = arena_array(c->req->a, struct member, n);
    const char **workspaces = arena_array(c->req->a, const char *, n);
    if (list == NULL || workspaces == NULL) {
        front_unavailable(c->res, "The server is out of memory.", 1);
        return;
    }
    if (!read_batch(c, all, list)) return;
    for (size_t i = 0; i < n; i++) {
        struct workspace w;
        bool known = query_workspace_of(c->api, list[i].workspace, &w);
        workspaces[i] = known ? arena_fmt(c->req->a, "%s", w.customer_id) : "";
        if (workspaces[i] == NULL) workspaces[i] = "";
    }
    struct batch_run b = {.front = c, .held = query_hold(c->api, workspaces, n)};
    if (b.held == NULL) {
        front_unavailable(c->res, "The server is out of memory.", 1);
        return;
    }
    answer(&b, list, n);
}
