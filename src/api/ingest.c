/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/ingest.c - the Logs Ingestion API: rows for one stream of a collection rule
 *
 * What becomes of the rows, and in which state of the key: deliver.h.
 */
#include "api/deliver.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "ingest/gzip.h"
#include "ingest/rows.h"
#include "ingest/transform.h"
#include "resource/apiversion.h"
#include "resource/rule.h"

#include <stdlib.h>

#define CALL_MAX     ((size_t)1 << 20) /* bytes of one call, packed and unpacked, as documented */
#define ACTION       "Microsoft.Insights/Telemetry/Write"
#define RETRY_S      2
#define FULL_RETRY_S 60  /* the spool is full: that is not over in a moment */
#define ID_MAX       128 /* characters of a request id */

struct ingest_call {
    struct front_call *front;
    struct delivery to; /* its id: of name, table and rows */
    const char *name;   /* the sender's, of this batch; NULL: none */
    bool is_routed;     /* by a customer's rule: stream and kql of route */
    struct rule_route route;
    struct row_reader *reader;
    struct buf text; /* unpacked */
};

/* --- the path --------------------------------------------------------------------------------- */

/* "dcr-" and 32 hex digits: the default rule's immutable id holds the workspace's. */
static bool rule_workspace(const char *text, struct guid *out)
{
    if (strlen(text) != 36 || !str_starts_nocase(text, "dcr-")) return false;
    return hex_decode(bytes_str(text + 4), out->b, sizeof out->b, NULL) == OK;
}

static void not_found(struct front_call *c, const char *what, const char *name)
{
    CLEANUP_FREE char *text = str_fmt("%s '%.100s' was not found.", what, name);
    front_error(c->res, 404, "NotFound", text != NULL ? text : "Not found.", NULL, NULL);
}

/* /dataCollectionRules/{rule}/streams/{stream}. False: the answer is written. */
static bool read_path(struct front_call *c, const char **rule, const char **stream)
{
    const char *p = c->req->path + strlen("/dataCollectionRules/");
    const char *slash = strchr(p, '/');
    static const char middle[] = "/streams/";
    if (slash == NULL || !str_starts_nocase(slash, middle) || slash[sizeof middle - 1] == '\0') {
        front_error(c->res, 404, "NotFound", "The path names no stream of a data collection rule.",
                    NULL, NULL);
        return false;
    }
    const char *s = slash + sizeof middle - 1;
    size_t n = strlen(s);
    if (s[n - 1] == '/') n--;
    *rule = arena_str(c->req->a, bytes_of(p, (size_t)(slash - p)));
    *stream = arena_str(c->req->a, bytes_of(s, n));
    if (*rule != NULL && *stream != NULL) return true;
    front_error(c->res, 413, "ContentLengthLimitExceeded", "The path is too long.", NULL, NULL);
    return false;
}

static bool check_version(struct front_call *c)
{
    struct api_version v;
    const char *text = http_query(c->req, "api-version");
    if (text != NULL && api_version_parse(text, &v) &&
        api_version_at_least(v, "2021-11-01-preview")) {
        return true;
    }
    front_error(c->res, 400,
                text == NULL ? "MissingApiVersionParameter" : "InvalidApiVersionParameter",
                "The api-version query parameter must be 2021-11-01-preview, 2023-01-01 or newer.",
                NULL, NULL);
    return false;
}

static bool find_table(struct ingest_call *q, const char *table)
{
    struct front_call *c = q->front;
    struct diag d = DIAG_INIT;
    enum err e = arm_table_of(c->api->arm, &q->to.workspace.id, table, &q->to.table, &d);
    if (e == OK) return true;
    if (e == ERR_NOT_FOUND) {
        not_found(c, "The table", table);
    } else {
        front_unavailable(c->res, "The table can't be looked up at the moment.", RETRY_S);
    }
    return false;
}

/* The rule that a workspace is born with: any stream goes to the table of its name. */
static bool find_default(struct ingest_call *q, const char *stream)
{
    struct front_call *c = q->front;
    if (!front_allow(c, PLANE_INGEST, ACTION, true, q->to.workspace.rule_id)) return false;
    const char *table = rule_table(stream);
    if (table != NULL) return find_table(q, table);
    front_error(c->res, 400, "InvalidStream",
                "The rule takes streams Custom-<table>_CL and those of a few standard tables, no "
                "others.",
                NULL, NULL);
    return false;
}

static bool find_routed(struct ingest_call *q, const char *rule, const char *stream)
{
    struct front_call *c = q->front;
    char arm_id[ARM_ID_MAX];
    struct diag d = DIAG_INIT;
    if (rule_find(c->api->arm, rule, arm_id, &d) != OK) {
        not_found(c, "The data collection rule", rule);
        return false;
    }
    if (!front_allow(c, PLANE_INGEST, ACTION, true, arm_id)) return false;
    enum err e = rule_route(c->api->arm, arm_id, stream, c->req->a, &q->route, &d);
    if (e == ERR_NOT_FOUND) {
        not_found(c, "The stream, or the workspace it goes to,", stream);
    } else if (e != OK) {
        LOG(ERROR, "ingest.no_route", F_STR("rule", arm_id), F_ERR(&d));
        front_unavailable(c->res, "The rule can't be looked up at the moment.", RETRY_S);
    }
    if (e != OK) return false;
    q->is_routed = true;
    q->to.workspace = q->route.workspace;
    return find_table(q, q->route.table);
}

static bool find_target(struct ingest_call *q)
{
    const char *rule = NULL, *stream = NULL;
    struct guid id;
    if (!read_path(q->front, &rule, &stream)) return false;
    bool is_own =
        rule_workspace(rule, &id) && arm_workspace(q->front->api->arm, &id, &q->to.workspace);
    return (is_own ? find_default(q, stream) : find_routed(q, rule, stream)) &&
           front_network(q->front, PLANE_INGEST, q->to.workspace.private_ingestion);
}

/* --- the body --------------------------------------------------------------------------------- */

static void too_long(struct front_call *c)
{
    front_error(c->res, 413, "ContentLengthLimitExceeded",
                "The request is larger than 1 MB. Send the rows in several calls.", NULL, NULL);
}

/* What was sent can't be read as rows. */
static bool refuse_rows(struct front_call *c, enum err e, const struct diag *d)
{
    if (e == ERR_LIMIT) {
        too_long(c);
    } else {
        front_error(c->res, 400, "InvalidPayload", d->text, NULL, NULL);
    }
    return false;
}

/* *out borrows the request or q->text. False: the answer is written. */
static bool unpack(struct ingest_call *q, struct bytes *out)
{
    struct front_call *c = q->front;
    const char *encoding = http_header(c->req, "Content-Encoding");
    if (c->req->body.len > CALL_MAX) {
        too_long(c);
        return false;
    }
    *out = c->req->body;
    if (encoding == NULL || str_eq_nocase(encoding, "identity") || encoding[0] == '\0') return true;
    if (!str_eq_nocase(encoding, "gzip")) {
        front_error(c->res, 415, "UnsupportedContentEncoding", "The only content encoding is gzip.",
                    NULL, NULL);
        return false;
    }
    struct diag d = DIAG_INIT;
    enum err e = gzip_unpack(c->req->body, CALL_MAX, &q->text, &d);
    if (e == OK) {
        *out = buf_view(&q->text);
        return true;
    }
    return refuse_rows(c, e, &d);
}

/* Rows of the rule's stream, through its transformation, into the table's columns. */
static enum err transform(struct ingest_call *q, struct arena *a, int64_t now, struct bytes text,
                          struct batch *out, struct diag *d)
{
    struct row_stats stats = {0};
    struct batch rows;
    CLEANUP(transform_free) struct transform *t = NULL;
    TRY(transform_new(&t, q->route.kql, &q->route.stream, now, d));
    TRY(rows_read(q->reader, text, &q->route.stream, now, a, &rows, &stats, d));
    return transform_run(t, &rows, store_table_schema(q->to.table), a, out, d);
}

static bool parse(struct ingest_call *q, struct arena *a, struct bytes text, struct batch *out)
{
    struct front_call *c = q->front;
    struct row_stats stats = {0};
    struct diag d = DIAG_INIT;
    int64_t now = time_now_us() * 10 + TICKS_UNIX;
    enum err e = q->is_routed ? transform(q, a, now, text, out, &d)
                              : rows_read(q->reader, text, store_table_schema(q->to.table), now, a,
                                          out, &stats, &d);
    if (e == OK) {
        atomic_fetch_add(&c->api->metrics.bytes_ingested, text.len);
        return true;
    }
    return refuse_rows(c, e, &d);
}

/* --- the rows --------------------------------------------------------------------------------- */

static void answer(struct ingest_call *q, enum delivered end, uint64_t rows, const struct diag *d)
{
    struct http_response *res = q->front->res;
    switch (end) {
    case DELIVERED_DROPPED:
        http_setf(res, "x-keystead-dropped-rows", "%llu", (unsigned long long)rows);
        res->status = 204;
        return;
    case DELIVERED: res->status = 204; return;
    case REFUSED_KEY: front_unavailable(res, DELIVER_NO_KEY, RETRY_S); return;
    case REFUSED_FULL: front_unavailable(res, d->text, FULL_RETRY_S); return;
    case REFUSED_ROWS: front_error(res, 400, "InvalidPayload", d->text, NULL, NULL); return;
    case REFUSED_DISK: front_unavailable(res, "The rows could not be written.", RETRY_S); return;
    }
}

/* With the rows in it: a client may use one id for all it sends. */
static enum err name_batch(struct ingest_call *q, struct bytes text, struct diag *d)
{
    struct sha256_ctx *h = NULL;
    uint8_t hash[32];
    if (q->name == NULL) return OK;
    TRY(sha256_new(&h, d));
    sha256_add(h, BYTES_OF(q->to.workspace.id));
    sha256_add(h, BYTES_OF(*store_table_id(q->to.table)));
    sha256_add(h, bytes_of(q->name, strlen(q->name) + 1));
    sha256_add(h, text);
    sha256_end(h, hash);
    memcpy(q->to.id, hash, sizeof q->to.id);
    q->to.has_id = true;
    return OK;
}

static void take(struct ingest_call *q)
{
    struct front_call *c = q->front;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct bytes text;
    struct batch rows;
    if (!unpack(q, &text) || !parse(q, &a, text, &rows)) return;
    if (rows.n_rows == 0) {
        c->res->status = 204;
        return;
    }
    struct diag d = DIAG_INIT;
    if (name_batch(q, text, &d) != OK) {
        front_unavailable(c->res, "The server is out of memory.", RETRY_S);
        return;
    }
    enum delivered end = deliver_rows(&q->to, &rows, text.len, &d);
    answer(q, end, rows.n_rows, &d);
}

void ingest_rows(struct front_call *c)
{
    struct ingest_call q = {.front = c, .to.api = c->api};
    if (!front_verify(c, PLANE_INGEST) || !check_version(c) || !find_target(&q)) return;
    const char *id = http_header(c->req, "x-ms-client-request-id");
    if (id != NULL && id[0] != '\0' && strlen(id) <= ID_MAX) {
        http_set(c->res, "x-ms-client-request-id", id);
        q.name = id;
    }
    struct diag d = DIAG_INIT;
    if (deliver_reader(c->api, &q.reader, &d) != OK) {
        front_unavailable(c->res, "The server is out of memory.", RETRY_S);
        return;
    }
    take(&q);
    buf_release(&q.text);
    deliver_reader_back(c->api, q.reader);
}
