/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_request.c - what a client asks for, and the properties that bound it */
#include "api/kusto.h"

#define TIMEOUT_S_DEFAULT 240 /* of a query; seconds */
#define TIMEOUT_S_MAX     3600
#define PARAMETERS_MAX    1000

/* --- ids -------------------------------------------------------------------------------------- */

static bool is_id(const char *s)
{
    size_t n = 0;
    for (; s[n] != '\0'; n++) {
        if (s[n] < 0x21 || s[n] > 0x7e || n >= 128) return false;
    }
    return n != 0;
}

static void name_request(struct kusto_request *r, const char *client)
{
    struct http_response *res = r->front->res;
    struct guid g;
    guid_random(&g);
    guid_format(&g, r->activity);
    snprintf(r->client, sizeof r->client, "%s%s",
             client != NULL && is_id(client) ? client : "unspecified;",
             client != NULL && is_id(client) ? "" : r->activity);
    http_set(res, "x-ms-activity-id", r->activity);
    http_set(res, "x-ms-client-request-id", r->client);
}

/* --- the request ------------------------------------------------------------------------------ */

/* properties may be an object, or the text of one. */
static bool read_properties(struct kusto_request *r, const json_t *value, const char *text)
{
    struct diag d = DIAG_INIT;
    if (json_is_object(value)) {
        r->properties = json_incref((json_t *)value);
        return true;
    }
    if (json_is_string(value)) text = json_string_value(value);
    if (text == NULL || text[0] == '\0') return true;
    return json_read(bytes_str(text), &r->properties, &d) == OK && json_is_object(r->properties);
}

static bool read_body(struct kusto_request *r)
{
    struct front_call *c = r->front;
    if (str_eq(c->req->method, "GET")) {
        r->db = http_query(c->req, "db");
        r->csl = http_query(c->req, "csl");
        return read_properties(r, NULL, http_query(c->req, "properties"));
    }
    struct diag d = DIAG_INIT;
    if (json_read(c->req->body, &r->body, &d) != OK || !json_is_object(r->body)) return false;
    const json_t *csl = json_get(r->body, "csl");
    r->db = json_get_str(r->body, "db");
    r->csl = json_string_value(csl);
    if (r->csl != NULL && strlen(r->csl) != json_string_length(csl)) return false;
    return read_properties(r, json_get(r->body, "properties"), NULL);
}

bool kusto_read(struct kusto_request *r, struct front_call *c)
{
    *r = (struct kusto_request){.front = c};
    bool good = read_body(r);
    r->options = json_get(r->properties, "Options");
    r->given = json_get(r->properties, "Parameters");
    const char *header = http_header(c->req, "x-ms-client-request-id");
    name_request(r, header != NULL ? header : json_get_str(r->properties, "ClientRequestId"));
    if (!good) {
        kusto_bad_request(c, "The request's body or its properties are no JSON objects.");
    } else if (r->csl == NULL || r->csl[0] == '\0') {
        kusto_bad_request(c, "The request has no text of a query or command: 'csl' is missing.");
        good = false;
    }
    return good;
}

void kusto_request_release(struct kusto_request *r)
{
    json_decref(r->properties);
    json_decref(r->body);
}

/* --- options ---------------------------------------------------------------------------------- */

static bool refuse(const struct kusto_request *r, const char *option, const char *why)
{
    char text[256];
    snprintf(text, sizeof text, "The request property '%s' %s.", option, why);
    kusto_bad_request(r->front, text);
    return false;
}

bool kusto_flag(const struct kusto_request *r, const char *option)
{
    const json_t *v = json_get(r->options, option);
    return json_is_true(v) || (json_is_string(v) && str_eq_nocase(json_string_value(v), "true")) ||
           (json_is_integer(v) && json_integer_value(v) != 0);
}

/* A count that may be text. False: it is no count, and the answer is written. */
static bool read_count(const struct kusto_request *r, const char *option, uint64_t *out)
{
    const json_t *v = json_get(r->options, option);
    if (v == NULL || json_is_null(v)) return true;
    uint64_t n = 0;
    struct diag d = DIAG_INIT;
    bool good = json_is_integer(v) && json_integer_value(v) > 0;
    if (good) n = (uint64_t)json_integer_value(v);
    if (json_is_string(v)) good = str_u64(json_string_value(v), INT64_MAX, &n, &d) == OK && n != 0;
    if (!good) return refuse(r, option, "wants a positive number");
    *out = n;
    return true;
}

static bool read_timeout(const struct kusto_request *r, unsigned *seconds)
{
    int64_t ticks;
    const json_t *v = json_get(r->options, "servertimeout");
    *seconds = kusto_flag(r, "norequesttimeout") ? TIMEOUT_S_MAX : TIMEOUT_S_DEFAULT;
    if (v == NULL || json_is_null(v)) return true;
    if (!json_is_string(v) || !timespan_parse(bytes_str(json_string_value(v)), &ticks) ||
        ticks <= 0) {
        return refuse(r, "servertimeout", "wants a time span above zero, such as 00:04:00");
    }
    int64_t s = (ticks + TICKS_PER_S - 1) / TICKS_PER_S;
    *seconds = s < TIMEOUT_S_MAX ? (unsigned)s : TIMEOUT_S_MAX;
    return true;
}

static bool read_time(const struct kusto_request *r, const char *option, int64_t *ticks)
{
    const json_t *v = json_get(r->options, option);
    if (v == NULL || json_is_null(v)) return true;
    if (json_is_string(v) && datetime_parse(bytes_str(json_string_value(v)), ticks)) return true;
    return refuse(r, option, "wants a datetime");
}

static bool read_scope(const struct kusto_request *r, struct query_call *q)
{
    const json_t *column = json_get(r->options, "query_datetimescope_column");
    if (json_is_string(column) && json_string_length(column) != 0 &&
        !str_eq(json_string_value(column), "TimeGenerated")) {
        return refuse(r, "query_datetimescope_column", "can be TimeGenerated only");
    }
    int64_t from = 0, to = 0;
    if (!read_time(r, "query_datetimescope_from", &from) ||
        !read_time(r, "query_datetimescope_to", &to)) {
        return false;
    }
    if (from == 0 && to == 0) return true;
    q->from = from;
    q->to = to != 0 ? to : TICKS_MAX;
    return true;
}

/* What the request itself has an eye on; the language knows the others (kql/bind_set.c). */
static bool is_requests(const char *name)
{
    static const char *const names[] = {"notruncation",
                                        "norequesttimeout",
                                        "servertimeout",
                                        "truncationmaxrecords",
                                        "truncationmaxsize",
                                        "truncation_max_records",
                                        "truncation_max_size",
                                        "query_take_max_records",
                                        "query_now",
                                        "query_datetimescope_column",
                                        "query_datetimescope_from",
                                        "query_datetimescope_to",
                                        "deferpartialqueryfailures"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (str_eq(name, names[i])) return true;
    }
    return false;
}

/* --- parameters ------------------------------------------------------------------------------- */

/* Numbers and booleans may come as such, all else as text. */
static const char *parameter_text(const struct front_call *c, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_STRING: return json_string_value(v);
    case JSON_INTEGER: return arena_fmt(c->req->a, "%lld", (long long)json_integer_value(v));
    case JSON_REAL: return arena_fmt(c->req->a, "%.17g", json_real_value(v));
    case JSON_TRUE: return "true";
    case JSON_FALSE: return "false";
    default: return NULL;
    }
}

/* As if `set` stood before the query; the reader of the text says what is not supported. */
static bool read_others(const struct kusto_request *r, struct query_call *q)
{
    size_t n = json_object_size(r->options);
    struct kql_parameter *list = arena_array(r->front->req->a, struct kql_parameter, n + 1);
    if (list == NULL || n > PARAMETERS_MAX) return refuse(r, "Options", "has too many members");
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)r->options, name, v) {
        const char *text = is_requests(name) ? NULL : parameter_text(r->front, v);
        if (text == NULL) continue; /* null is not given, and no option of a query is an object */
        list[q->n_options++] = (struct kql_parameter){.name = name, .text = text};
    }
    q->options = list;
    return true;
}

static bool read_parameters(const struct kusto_request *r, struct query_call *q)
{
    size_t n = json_object_size(r->given), i = 0;
    if (n > PARAMETERS_MAX) return refuse(r, "Parameters", "has more than 1000 members");
    struct kql_parameter *list = arena_array(r->front->req->a, struct kql_parameter, n + 1);
    if (list == NULL) return refuse(r, "Parameters", "is too large");
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)r->given, name, v) {
        const char *text = parameter_text(r->front, v);
        if (text == NULL) return refuse(r, "Parameters", "wants texts, numbers and booleans");
        list[i++] = (struct kql_parameter){.name = name, .text = text};
    }
    q->parameters = list;
    q->n_parameters = (uint32_t)n;
    return true;
}

bool kusto_options(const struct kusto_request *r, struct query_call *q)
{
    uint64_t take = 0;
    if (!read_timeout(r, &q->wait_s) || !read_count(r, "truncationmaxrecords", &q->rows_max) ||
        !read_count(r, "truncation_max_records", &q->rows_max) ||
        !read_count(r, "truncationmaxsize", &q->bytes_max) ||
        !read_count(r, "truncation_max_size", &q->bytes_max) ||
        !read_count(r, "query_take_max_records", &take) || !read_scope(r, q) ||
        !read_others(r, q) || !read_parameters(r, q)) {
        return false;
    }
    if (kusto_flag(r, "notruncation")) q->rows_max = q->bytes_max = UINT64_MAX;
    q->take_max = (int64_t)take;
    int64_t now = 0;
    if (!read_time(r, "query_now", &now)) return false;
    if (now != 0) q->now_ticks = now;
    return true;
}
