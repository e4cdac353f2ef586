/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/track.c - /v2/track and /v2.1/track: where SDKs of Application Insights send telemetry
 *
 * (1) An item names its component by the instrumentation key; that is all it has to show, unless the
 *     component says DisableLocalAuth: then the sender needs a token and the right to write there.
 * (2) The answer counts: 200 all items, 206 some, else what the first refusal says. An item that is not
 *     accepted is listed with a status that says whether to send it again.
 * (3) What is accepted is on the disk, or counted as dropped (deliver.h).
 */
#include "api/deliver.h"
#include "base/log.h"
#include "ingest/gzip.h"
#include "ingest/telemetry.h"
#include "resource/component.h"

#define CALL_MAX  ((size_t)4 << 20) /* bytes, packed and unpacked */
#define ITEMS_MAX 10000
#define ACTION    "Microsoft.Insights/Telemetry/Write"

struct track_call {
    struct front_call *front;
    struct buf text;             /* unpacked */
    json_t *items;               /* NULL in the place of what is no JSON */
    json_t *errors;              /* of the answer */
    json_t *tables;              /* "component/table" -> {rows, items: places} */
    struct component component;  /* of the last item */
    char key[64];                /* its instrumentation key */
    int key_status;              /* 200: good */
    bool has_token, is_answered; /* the answer is written */
    size_t accepted;
    uint64_t dropped;
    struct row_reader *reader;
};

static void refuse_item(struct track_call *q, size_t i, int status, const char *message)
{
    json_array_append_new(q->errors, json_pack("{s:I, s:i, s:s}", "index", (json_int_t)i,
                                               "statusCode", status, "message", message));
}

/* --- the body --------------------------------------------------------------------------------- */

static void too_large(struct track_call *q)
{
    front_error(q->front->res, 413, "ContentLengthLimitExceeded",
                "The request is larger than 4 MB. Send the items in several calls.", NULL, NULL);
    q->is_answered = true;
}

static struct bytes unpack(struct track_call *q)
{
    const struct http_request *req = q->front->req;
    const char *encoding = http_header(req, "Content-Encoding");
    struct diag d = DIAG_INIT;
    if (req->body.len > CALL_MAX) {
        too_large(q);
        return (struct bytes){0};
    }
    if (encoding == NULL || !str_eq_nocase(encoding, "gzip")) return req->body;
    enum err e = gzip_unpack(req->body, CALL_MAX, &q->text, &d);
    if (e == OK) return buf_view(&q->text);
    if (e == ERR_LIMIT) {
        too_large(q);
    } else {
        front_error(q->front->res, 400, "InvalidPayload", d.text, NULL, NULL);
        q->is_answered = true;
    }
    return (struct bytes){0};
}

/* One item a line. */
static void read_lines(struct track_call *q, struct bytes text)
{
    while (text.len != 0 && json_array_size(q->items) < ITEMS_MAX) {
        const uint8_t *end = memchr(text.p, '\n', text.len);
        size_t n = end != NULL ? (size_t)(end - text.p) : text.len;
        struct bytes line = bytes_of(text.p, n);
        text = bytes_of(text.p + n + (end != NULL), text.len - n - (end != NULL));
        if (line.len == 0 || (line.len == 1 && line.p[0] == '\r')) continue;
        json_t *item = NULL;
        if (json_read(line, &item, NULL) != OK) item = json_null();
        json_array_append_new(q->items, item);
    }
}

/* An array, one object, or an item a line. */
static void read_items(struct track_call *q, struct bytes text)
{
    json_t *whole = NULL;
    if (json_read(text, &whole, NULL) != OK) {
        read_lines(q, text);
    } else if (json_is_array(whole)) {
        json_decref(q->items);
        q->items = json_incref(whole);
    } else {
        json_array_append(q->items, whole);
    }
    json_decref(whole);
}

/* --- whose it is ------------------------------------------------------------------------------ */

/* (1) */
static int check_component(struct track_call *q)
{
    struct front_call *c = q->front;
    if (!arm_component_by_key(c->api->arm, q->key, &q->component)) return 400;
    if (!q->component.has_workspace) return 403;
    if (!front_network(c, PLANE_INGEST, q->component.private_ingestion)) {
        q->is_answered = true;
        return 403;
    }
    if (!q->component.needs_token) return 200;
    q->has_token = q->has_token || front_verify(c, PLANE_INGEST);
    q->is_answered = !q->has_token || !front_allow(c, PLANE_INGEST, ACTION, true, q->component.id);
    return q->is_answered ? 401 : 200;
}

static void find_component(struct track_call *q, const json_t *item)
{
    const char *key = json_get_str(item, "iKey");
    if (key == NULL) key = "";
    if (q->key_status != 0 && str_eq_nocase(key, q->key)) return;
    snprintf(q->key, sizeof q->key, "%s", key);
    q->key_status = check_component(q);
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum err sort_in(struct track_call *q, const json_t *item, size_t i, struct diag *d)
{
    const struct telemetry_origin from = {.workspace = q->component.workspace.customer_id,
                                          .app_id = q->component.app_id,
                                          .resource_id = q->component.id,
                                          .peer = q->component.keeps_address ? q->front->req->peer
                                                                             : NULL};
    const char *table = NULL;
    CLEANUP_JSON json_t *rows = NULL;
    TRY(telemetry_rows(item, &from, &table, &rows, d));
    const char *name = arena_fmt(q->front->req->a, "%s %s", q->key, table);
    if (name == NULL) return arena_full(q->front->req->a, d);
    json_t *group = json_object_get(q->tables, name);
    if (group == NULL) {
        group = json_pack("{s:s, s:s, s:[], s:[]}", "key", q->key, "table", table, "rows", "items");
        TRY(json_put(q->tables, name, group, d));
    }
    if (json_array_extend(json_object_get(group, "rows"), rows) != 0 ||
        json_array_append_new(json_object_get(group, "items"), json_integer((json_int_t)i)) != 0) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

static void sort_items(struct track_call *q)
{
    size_t i;
    json_t *item;
    json_array_foreach (q->items, i, item) {
        struct diag d = DIAG_INIT;
        find_component(q, item);
        if (q->is_answered) return;
        if (q->key_status == 400) {
            refuse_item(q, i, 400, "Invalid instrumentation key");
        } else if (q->key_status != 200) {
            refuse_item(q, i, 403, "The component lies on no workspace");
        } else if (sort_in(q, item, i, &d) != OK) {
            refuse_item(q, i, 400, d.text);
        }
    }
}

static enum delivered deliver(struct track_call *q, const json_t *group, struct diag *d)
{
    struct api *api = q->front->api;
    struct delivery x = {.api = api};
    struct component component;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    CLEANUP_BUF struct buf text = {0};
    struct batch rows;
    struct row_stats stats = {0};
    int64_t now = time_now_us() * 10 + TICKS_UNIX;
    if (!arm_component_by_key(api->arm, json_get_str(group, "key"), &component))
        return REFUSED_DISK;
    x.workspace = component.workspace;
    if (arm_table_of(api->arm, &x.workspace.id, json_get_str(group, "table"), &x.table, d) != OK ||
        json_write(json_get(group, "rows"), &text, d) != OK) {
        return REFUSED_DISK;
    }
    if (rows_read(q->reader, buf_view(&text), store_table_schema(x.table), now, &a, &rows, &stats,
                  d) != OK) {
        return REFUSED_ROWS;
    }
    atomic_fetch_add(&api->metrics.bytes_ingested, text.len);
    enum delivered end = deliver_rows(&x, &rows, text.len, d);
    if (end == DELIVERED_DROPPED) q->dropped += rows.n_rows;
    return end;
}

static void deliver_all(struct track_call *q)
{
    const char *name;
    json_t *group, *place;
    json_object_foreach (q->tables, name, group) {
        struct diag d = DIAG_INIT;
        size_t i;
        enum delivered end = deliver(q, group, &d);
        json_t *places = json_object_get(group, "items");
        if (end == DELIVERED || end == DELIVERED_DROPPED) {
            q->accepted += json_array_size(places);
            continue;
        }
        LOG(WARN, "track.refused", F_STR("table", json_get_str(group, "table")), F_ERR(&d));
        json_array_foreach (places, i, place)
            refuse_item(q, (size_t)json_integer_value(place), end == REFUSED_ROWS ? 400 : 503,
                        d.text[0] != '\0' ? d.text : DELIVER_NO_KEY);
    }
}

/* --- the answer ------------------------------------------------------------------------------- */

/* (2) */
static void answer(struct track_call *q)
{
    struct http_response *res = q->front->res;
    size_t n = json_array_size(q->items);
    int first = (int)json_get_int(json_array_get(q->errors, 0), "statusCode", 400);
    int status = n != 0 && q->accepted == n ? 200 : q->accepted != 0 ? 206 : first;
    CLEANUP_JSON json_t *j =
        json_pack("{s:I, s:I, s:s?, s:O}", "itemsReceived", (json_int_t)n, "itemsAccepted",
                  (json_int_t)q->accepted, "appId",
                  q->key_status == 200 ? q->component.app_id : NULL, "errors", q->errors);
    front_json(res, status, j);
    if (status == 503) http_set(res, "Retry-After", "2");
    if (q->dropped != 0) {
        http_setf(res, "x-keystead-dropped-rows", "%llu", (unsigned long long)q->dropped);
    }
}

void track_telemetry(struct front_call *c)
{
    struct track_call q = {
        .front = c, .items = json_array(), .errors = json_array(), .tables = json_object()};
    struct diag d = DIAG_INIT;
    struct bytes text = unpack(&q);
    if (!q.is_answered && deliver_reader(c->api, &q.reader, &d) != OK) {
        front_unavailable(c->res, "The server is out of memory.", 2);
        q.is_answered = true;
    }
    if (!q.is_answered) read_items(&q, text);
    if (!q.is_answered && json_array_size(q.items) > ITEMS_MAX) too_large(&q);
    if (!q.is_answered) sort_items(&q);
    if (!q.is_answered) deliver_all(&q);
    if (!q.is_answered) answer(&q);
    if (q.reader != NULL) deliver_reader_back(c->api, q.reader);
    buf_release(&q.text);
    json_decref(q.items);
    json_decref(q.errors);
    json_decref(q.tables);
}
