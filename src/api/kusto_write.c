/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_write.c - a query's answer in tables (v1) or frames (v2), failures inside included */
#include "api/encode.h"
#include "api/kusto.h"

#include <inttypes.h>

struct kusto_query {
    struct query_call call; /* first: a writer is handed this */
    struct kusto_request *request;
    bool defer; /* failures are told behind the rows only */
};

static struct kusto_query *of(struct query_call *q)
{
    return (struct kusto_query *)q;
}

/* --- the chart -------------------------------------------------------------------------------- */

static void put_property(json_t *j, const struct render_prop *p)
{
    const char *key;
    json_t *old;
    json_object_foreach (j, key, old) {
        if (!str_eq_nocase(key, p->name)) continue;
        bool is_bool = json_is_boolean(old);
        json_object_set_new(j, key,
                            is_bool ? json_boolean(str_eq_nocase(p->value, "true"))
                                    : json_string(p->value));
        return;
    }
}

/* The text that clients read it from; release it. */
static char *visualization(const struct render *r)
{
    CLEANUP_JSON json_t *j = json_pack(
        "{s:s?, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:b, s:b, s:n, s:s, s:s, "
        "s:n, s:n}",
        "Visualization", r->kind, "Title", "XColumn", "Series", "YColumns", "AnomalyColumns",
        "XTitle", "YTitle", "XAxis", "YAxis", "Legend", "YSplit", "Accumulate", 0, "IsQuerySorted",
        0, "Kind", "Ymin", "NaN", "Ymax", "NaN", "Xmin", "Xmax");
    for (uint32_t i = 0; i < r->n; i++)
        put_property(j, &r->props[i]);
    return json_dumps(j, JSON_COMPACT);
}

static void properties_table(struct kusto_query *k, uint32_t id)
{
    static const struct column v1[] = {{"Value", T_STRING}};
    static const struct column v2[] = {{"TableId", T_INT}, {"Key", T_STRING}, {"Value", T_DYNAMIC}};
    static const struct schema schemas[] = {{.n = 1, .cols = v1}, {.n = 3, .cols = v2}};
    bool is_v2 = k->request->v2;
    char *text = visualization(&k->call.plan.render);
    json_t *rows =
        is_v2 ? json_pack("[[i, s, s?]]", 1, "Visualization", text) : json_pack("[[s?]]", text);
    kusto_table(&k->call.front->res->body, is_v2, id, "QueryProperties", "@ExtendedProperties",
                &schemas[is_v2], rows);
    free(text);
}

/* --- rows ------------------------------------------------------------------------------------- */

static enum err begin_table(struct query_call *q, uint32_t result, struct diag *d)
{
    struct kusto_query *k = of(q);
    struct buf *out = &q->front->res->body;
    const char *name = query_table_name(q, result);
    if (name == NULL) return arena_full(q->a, d);
    if (result != 0) {
        kusto_table_end(out);
        buf_u8(out, ',');
    } else if (k->request->v2) {
        buf_str(out, "[{\"FrameType\":\"DataSetHeader\",\"IsProgressive\":false,"
                     "\"Version\":\"v2.0\"},");
        properties_table(k, 0);
        buf_u8(out, ',');
    } else {
        buf_str(out, "{\"Tables\":[");
    }
    kusto_table_begin(out, k->request->v2, result + k->request->v2, "PrimaryResult", name,
                      query_table_schema(q, result));
    return OK;
}

static enum err write_rows(struct query_call *q, const struct batch *b, struct diag *d)
{
    (void)d; /* the runner looks at the buffer */
    encode_rows(&q->front->res->body, b, q->table_rows, of(q)->request->v2);
    return OK;
}

/* --- how it went ------------------------------------------------------------------------------ */

struct outcome {
    int level, code, event;
    const char *level_name, *code_name, *event_name;
    json_t *payload; /* taken */
};

/* One row of the table about the query itself: v1 keeps less of it. */
static json_t *status_row(const struct kusto_request *r, struct outcome o)
{
    char now[TIME_TEXT_MAX];
    time_format_iso7(time_now_us(), now);
    CLEANUP_JSON json_t *payload = o.payload;
    char *text = json_dumps(payload, JSON_COMPACT);
    const char *plain = json_get_str(payload, "Text");
    json_t *row = r->v2 ? json_pack("[s, s, s, s, s, i, s, i, s, i, s, s?]", now, r->client,
                                    r->activity, r->activity, r->activity, o.level, o.level_name,
                                    o.code, o.code_name, o.event, o.event_name, text)
                        : json_pack("[s, i, s, i, s?, i, s, s, s, s]", now, o.level, o.level_name,
                                    o.code, plain != NULL ? plain : text, 1, r->activity,
                                    r->activity, r->activity, r->client);
    free(text);
    return row;
}

static json_t *usage(const struct query_call *q)
{
    const struct exec_stats *s = &q->stats;
    CLEANUP_BUF struct buf cpu = {0};
    timespan_format(s->cpu_us * 10, &cpu);
    return json_pack("{s:f, s:{s:{s:s#}}, s:{s:{s:I, s:I}, s:{s:I}}, s:[{s:I}]}", "ExecutionTime",
                     (double)s->took_us / 1e6, "resource_usage", "cpu", "total cpu", cpu.p, cpu.len,
                     "input_dataset_statistics", "extents", "total", (json_int_t)s->units_total,
                     "scanned", (json_int_t)s->units_scanned, "rows", "scanned",
                     (json_int_t)s->rows_scanned, "dataset_statistics", "table_row_count",
                     (json_int_t)q->rows);
}

static void add_left_out(const struct kusto_query *k, json_t *rows)
{
    CLEANUP_JSON json_t *all = query_left_out(&k->call);
    size_t i;
    json_t *cluster;
    json_array_foreach (all, i, cluster) {
        json_t *text = json_sprintf("The cluster '%s' was deleted: rows that its key encrypted "
                                    "can't be read and are left out.",
                                    json_string_value(cluster));
        json_array_append_new(
            rows, status_row(k->request,
                             (struct outcome){3, 0, 4, "Warning", "ClusterDeleted", "QueryInfo",
                                              json_pack("{s:i, s:o}", "Count", 1, "Text", text)}));
    }
}

static void add_failure(const struct kusto_query *k, json_t *rows, const struct kusto_problem *p,
                        const char *tag)
{
    json_array_append_new(
        rows, status_row(k->request,
                         (struct outcome){2, query_engine_code(tag), 1, "Error", tag,
                                          "QueryLimitsExceeded",
                                          json_pack("{s:i, s:s}", "Count", 1, "Text", p->text)}));
}

/* p and tag: the failure; NULL: there was none. */
static void status_table(struct kusto_query *k, uint32_t id, const struct kusto_problem *p,
                         const char *tag)
{
    static const struct column v1[] = {
        {"Timestamp", T_DATETIME},       {"Severity", T_INT},
        {"SeverityName", T_STRING},      {"StatusCode", T_INT},
        {"StatusDescription", T_STRING}, {"Count", T_INT},
        {"RequestId", T_GUID},           {"ActivityId", T_GUID},
        {"SubActivityId", T_GUID},       {"ClientActivityId", T_STRING},
    };
    static const struct column v2[] = {
        {"Timestamp", T_DATETIME}, {"ClientRequestId", T_STRING}, {"ActivityId", T_GUID},
        {"SubActivityId", T_GUID}, {"ParentActivityId", T_GUID},  {"Level", T_INT},
        {"LevelName", T_STRING},   {"StatusCode", T_INT},         {"StatusCodeName", T_STRING},
        {"EventType", T_INT},      {"EventTypeName", T_STRING},   {"Payload", T_STRING},
    };
    static const struct schema schemas[] = {{.n = 10, .cols = v1}, {.n = 12, .cols = v2}};
    json_t *rows = json_array();
    if (p != NULL) {
        add_failure(k, rows, p, tag);
    } else {
        json_array_append_new(
            rows,
            status_row(k->request, (struct outcome){4, 0, 4, "Info", "S_OK (0)", "QueryInfo",
                                                    json_pack("{s:i, s:s}", "Count", 1, "Text",
                                                              "Query completed successfully")}));
    }
    add_left_out(k, rows);
    json_array_append_new(
        rows,
        status_row(k->request, (struct outcome){6, 0, 0, "Stats", "S_OK (0)",
                                                "QueryResourceConsumption", usage(&k->call)}));
    bool is_v2 = k->request->v2;
    kusto_table(&k->call.front->res->body, is_v2, id, "QueryCompletionInformation",
                "QueryCompletionInformation", &schemas[is_v2], rows);
}

/* --- the end ---------------------------------------------------------------------------------- */

static void contents_table(struct kusto_query *k)
{
    static const struct column columns[] = {{"Ordinal", T_LONG},
                                            {"Kind", T_STRING},
                                            {"Name", T_STRING},
                                            {"Id", T_STRING},
                                            {"PrettyName", T_STRING}};
    static const struct schema schema = {.n = 5, .cols = columns};
    json_t *rows = json_array();
    uint32_t n = k->call.n_results;
    const char *id = k->request->activity;
    for (uint32_t i = 0; i < n; i++) {
        const char *name = query_table_name(&k->call, i);
        json_array_append_new(rows, json_pack("[i, s, s, s, s]", (int)i, "QueryResult",
                                              name != NULL ? name : "", id, ""));
    }
    json_array_append_new(rows, json_pack("[i, s, s, s, s]", (int)n, "QueryProperties",
                                          "@ExtendedProperties", id, ""));
    json_array_append_new(
        rows, json_pack("[i, s, s, s, s]", (int)n + 1, "QueryStatus", "QueryStatus", id, ""));
    kusto_table(&k->call.front->res->body, false, n + 2, "TableOfContents", "TableOfContents",
                &schema, rows);
}

/* What comes behind the last row: problem NULL: all is well. */
static void close_answer(struct kusto_query *k, const struct kusto_problem *p, const char *tag)
{
    struct front_call *c = k->call.front;
    struct buf *out = &c->res->body;
    uint32_t n = k->call.n_results;
    kusto_table_end(out);
    buf_u8(out, ',');
    if (k->request->v2) {
        bool told = p != NULL && !k->defer;
        status_table(k, n + 1, p, tag);
        buf_fmt(out, ",{\"FrameType\":\"DataSetCompletion\",\"HasErrors\":%s,\"Cancelled\":false",
                told ? "true" : "false");
        if (told) {
            struct diag d = DIAG_INIT;
            CLEANUP_JSON json_t *error = kusto_problem_json(c, p);
            buf_str(out, ",\"OneApiErrors\":[");
            if (json_write(error, out, &d) != OK) buf_str(out, "{}");
            buf_u8(out, ']');
        }
        buf_str(out, "}]");
    } else {
        properties_table(k, n);
        buf_u8(out, ',');
        status_table(k, n + 1, p, tag);
        buf_u8(out, ',');
        contents_table(k);
        buf_str(out, "]}");
    }
    c->res->status = 200;
    http_set(c->res, "Content-Type", "application/json; charset=utf-8");
    http_set(c->res, "Cache-Control", "no-store");
}

static void finish(struct query_call *q)
{
    close_answer(of(q), NULL, NULL);
}

/* Where a row would stand, as the original does. */
static void write_failure(struct kusto_query *k, const struct kusto_problem *p)
{
    struct buf *out = &k->call.front->res->body;
    struct diag d = DIAG_INIT;
    CLEANUP_JSON json_t *error = kusto_problem_json(k->call.front, p);
    CLEANUP_JSON json_t *j = json_pack("{s:[O]}", "OneApiErrors", error);
    if (k->call.table_rows != 0) buf_u8(out, ',');
    if (json_write(j, out, &d) != OK) buf_str(out, "{\"OneApiErrors\":[]}");
}

static bool fail(struct query_call *q, enum query_fault fault, const struct diag *d)
{
    struct kusto_query *k = of(q);
    struct kusto_problem p;
    kusto_problem_of(q, fault, d, &p);
    bool inside = q->n_results != 0 && str_eq(p.code, "LimitsExceeded");
    if (!inside) {
        kusto_error(q->front, &p);
        return false;
    }
    if (!k->defer) write_failure(k, &p);
    close_answer(k, &p, d->tag);
    return true;
}

static const struct query_writer writer = {
    .begin = begin_table, .rows = write_rows, .end = finish, .fail = fail};

void kusto_query_run(struct kusto_request *r, const struct workspace *w)
{
    struct kusto_query k = {
        .call = {.front = r->front,
                 .workspace = *w,
                 .writer = &writer,
                 .text = r->csl,
                 .by_database = true},
        .request = r,
        .defer = kusto_flag(r, "deferpartialqueryfailures"),
    };
    if (kusto_options(r, &k.call)) query_execute(&k.call);
}
