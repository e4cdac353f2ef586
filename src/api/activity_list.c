/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/activity_list.c - GET .../Microsoft.Insights/eventtypes/management/values: the activity log
 * as ARM answers it
 *
 * $filter is a list of comparisons joined by "and"; each becomes a condition of a query on the
 * table. What is not understood is refused by name. Pages of PAGE events, newest first.
 */
#include "api/activity.h"

#include "api/encode.h"
#include "api/front.h"
#include "api/source.h"
#include "resource/settings.h"
#include "exec/exec.h"
#include "resource/apiversion.h"

#include <inttypes.h>

#define PAGE     200
#define SKIP_MAX 100000
#define END      "/providers/microsoft.insights/eventtypes/management/values"

static const struct { /* what a filter may compare */
    const char *name, *column;
    bool is_time;
} fields[] = {
    {"eventTimestamp", "TimeGenerated", true},
    {"resourceGroupName", "ResourceGroup", false},
    {"resourceId", "_ResourceId", false},
    {"resourceUri", "_ResourceId", false},
    {"resourceProvider", "ResourceProvider", false},
    {"correlationId", "CorrelationId", false},
    {"caller", "Caller", false},
    {"levels", "Level", false},
    {"status", "ActivityStatus", false},
    {"eventChannels", NULL, false}, /* all are "Admin, Operation": holds always */
};

static const struct {
    const char *word, *op;
} compares[] = {{"ge", ">="}, {"le", "<="}, {"gt", ">"}, {"lt", "<"}};

struct listing {
    json_t *values;
    uint32_t skip, taken;
    bool more;
};

bool is_activity_path(const char *path)
{
    size_t n = strlen(path), end = sizeof END - 1;
    return n > end && str_starts_nocase(path, "/subscriptions/") && str_ends_nocase(path, END) &&
           memchr(path + 15, '/', n - end - 15) == NULL;
}

/* --- the filter ------------------------------------------------------------------------------- */

/* A literal of the query language. */
static void put_literal(struct buf *out, const char *s, size_t n)
{
    buf_str(out, "\"");
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)s[i];
        if (ch == '"' || ch == '\\') buf_str(out, "\\");
        if (ch >= 0x20) buf_bytes(out, bytes_of(s + i, 1));
    }
    buf_str(out, "\"");
}

static const char *skip_blanks(const char *p)
{
    while (*p == ' ')
        p++;
    return p;
}

/* name op 'value'; *p behind it. */
static enum err put_condition(struct buf *kql, const char **p, struct diag *d)
{
    const char *name = skip_blanks(*p);
    size_t n = strcspn(name, " ");
    const char *op = skip_blanks(name + n);
    size_t op_len = strcspn(op, " ");
    const char *value = skip_blanks(op + op_len);
    const char *close = value[0] == '\'' ? strchr(value + 1, '\'') : NULL;
    if (close == NULL || op_len != 2) {
        return FAIL(d, ERR_INVALID, "$filter is not understood at '%.40s'", name);
    }
    *p = skip_blanks(close + 1);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (strlen(fields[i].name) != n || strncasecmp(fields[i].name, name, n) != 0) continue;
        bool equal = strncasecmp(op, "eq", 2) == 0;
        size_t len = (size_t)(close - value - 1);
        if (fields[i].column == NULL) return OK;
        if (!fields[i].is_time && equal) {
            buf_fmt(kql, " | where %s =~ ", fields[i].column);
            put_literal(kql, value + 1, len);
            return OK;
        }
        for (size_t k = 0; fields[i].is_time && k < sizeof compares / sizeof compares[0]; k++) {
            if (strncasecmp(op, compares[k].word, 2) != 0) continue;
            buf_fmt(kql, " | where %s %s todatetime(", fields[i].column, compares[k].op);
            put_literal(kql, value + 1, len);
            buf_str(kql, ")");
            return OK;
        }
        break;
    }
    return FAIL(d, ERR_INVALID, "$filter can't compare '%.*s' with '%.2s'", (int)(n < 40 ? n : 40),
                name, op);
}

static enum err put_filter(struct buf *kql, const char *filter, struct diag *d)
{
    for (const char *p = filter; p != NULL && *skip_blanks(p) != '\0';) {
        TRY(put_condition(kql, &p, d));
        if (*p == '\0') break;
        if (strncasecmp(p, "and ", 4) != 0) {
            return FAIL(d, ERR_INVALID, "$filter is not understood at '%.40s'", p);
        }
        p += 4;
    }
    return buf_check(kql, d);
}

/* --- the events ------------------------------------------------------------------------------- */

static const char *const shown[] = {
    "TimeGenerated",     "OperationName", "Level",       "ActivityStatus",
    "ActivitySubstatus", "CorrelationId", "Caller",      "HTTPRequest",
    "Properties",        "Authorization", "Claims",      "ResourceGroup",
    "ResourceId",        "OperationId",   "EventDataId", "ResourceProvider"};
enum {
    TIME,
    OPERATION,
    LEVEL,
    STATUS,
    SUBSTATUS,
    CORRELATION,
    CALLER,
    HTTP,
    PROPERTIES,
    AUTHORIZATION,
    CLAIMS,
    GROUP,
    RESOURCE,
    OPERATION_ID,
    EVENT_ID,
    PROVIDER,
    N_SHOWN
};

static json_t *value_at(const struct batch *b, uint32_t column, uint32_t row)
{
    CLEANUP_BUF struct buf text = {0};
    json_t *j = NULL;
    struct diag d = DIAG_INIT;
    encode_value(&text, &b->cols[column], row);
    return json_read(buf_view(&text), &j, &d) == OK ? j : json_string("");
}

/* A column that holds the text of an object. */
static json_t *object_at(const struct batch *b, uint32_t column, uint32_t row)
{
    CLEANUP_JSON json_t *text = value_at(b, column, row);
    json_t *j = NULL;
    struct diag d = DIAG_INIT;
    const char *s = json_string_value(text);
    return s != NULL && json_read(bytes_str(s), &j, &d) == OK ? j : json_object();
}

static json_t *named_at(const struct batch *b, uint32_t column, uint32_t row)
{
    CLEANUP_JSON json_t *v = value_at(b, column, row);
    return json_pack("{s:O, s:O}", "value", v, "localizedValue", v);
}

static json_t *event_json(const char *subscription, const char *tenant, const struct batch *b,
                          uint32_t i)
{
    CLEANUP_JSON json_t *resource = value_at(b, RESOURCE, i), *id = value_at(b, EVENT_ID, i);
    CLEANUP_JSON json_t *when = value_at(b, TIME, i);
    json_t *j = json_object();
    json_object_set_new(j, "authorization", object_at(b, AUTHORIZATION, i));
    json_object_set_new(j, "caller", value_at(b, CALLER, i));
    json_object_set_new(j, "channels", json_string("Operation"));
    json_object_set_new(j, "claims", object_at(b, CLAIMS, i));
    json_object_set_new(j, "correlationId", value_at(b, CORRELATION, i));
    json_object_set_new(j, "description", json_string(""));
    json_object_set(j, "eventDataId", id);
    json_object_set_new(
        j, "category",
        json_pack("{s:s, s:s}", "value", "Administrative", "localizedValue", "Administrative"));
    json_object_set(j, "eventTimestamp", when);
    json_object_set_new(
        j, "id", json_sprintf("%s/events/%s", json_string_value(resource), json_string_value(id)));
    json_object_set_new(j, "level", value_at(b, LEVEL, i));
    json_object_set_new(j, "operationId", value_at(b, OPERATION_ID, i));
    json_object_set_new(j, "operationName", named_at(b, OPERATION, i));
    json_object_set_new(j, "httpRequest", object_at(b, HTTP, i));
    json_object_set_new(j, "properties", object_at(b, PROPERTIES, i));
    json_object_set_new(j, "resourceGroupName", value_at(b, GROUP, i));
    json_object_set_new(j, "resourceProviderName", named_at(b, PROVIDER, i));
    json_object_set(j, "resourceId", resource);
    json_object_set_new(j, "status", named_at(b, STATUS, i));
    json_object_set_new(j, "subStatus", named_at(b, SUBSTATUS, i));
    json_object_set(j, "submissionTimestamp", when);
    json_object_set_new(j, "subscriptionId", json_string(subscription));
    json_object_set_new(j, "tenantId", json_string(tenant));
    return j;
}

struct sink {
    struct front_call *c;
    struct listing *l;
};

/* That the path names; the first one where it is none of ours. */
static const char *subscription_of(const struct front_call *c)
{
    static const char lead[] = "/subscriptions/";
    const char *path = c->req->path;
    size_t n = str_starts_nocase(path, lead) ? strcspn(path + sizeof lead - 1, "/") : 0;
    char *s = arena_str(c->req->a, bytes_of(path + (n != 0 ? sizeof lead - 1 : 0), n));
    if (s != NULL) str_lower(s);
    return s != NULL && settings_has_subscription(c->api->arm, s) ? s : c->api->c.subscription_id;
}

static enum err take_batch(void *ctx, const struct batch *b, struct diag *d)
{
    struct sink *s = ctx;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        if (s->l->skip != 0) {
            s->l->skip--;
            continue;
        }
        if (s->l->taken == PAGE) {
            s->l->more = true;
            return OK;
        }
        s->l->taken++;
        json_t *j = event_json(subscription_of(s->c), s->c->api->c.tenant_id, b, i);
        if (json_array_append_new(s->l->values, j) != 0) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

static enum err run(struct front_call *c, struct bytes kql, struct listing *l, struct diag *d)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct source_tables tables = {.store = atomic_load(&c->api->store), .a = &a};
    if (tables.store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the server is stopping");
    TRY(activity_log(c->api->activity, subscription_of(c), &tables.workspace, d));
    const struct kql_options opt = {.now_ticks = time_now_us() * 10 + TICKS_UNIX};
    const struct kql_catalog *catalog = source_catalog(&tables);
    struct plan plan = {0};
    TRY(kql_compile(&a, kql, catalog, &opt, &plan, d));
    const struct exec_request request = {.plan = &plan,
                                         .source = &source_ops_store,
                                         .limits = {.deadline_us = time_mono_us() + 30 * US_PER_S},
                                         .now_ticks = opt.now_ticks};
    struct exec_stats stats;
    struct sink sink = {c, l};
    return exec_run(&request, take_batch, &sink, &stats, d);
}

static void put_columns(struct buf *kql)
{
    for (size_t i = 0; i < N_SHOWN; i++)
        buf_fmt(kql, "%s%s", i == 0 ? " | project " : ", ", shown[i]);
}

static json_t *next_link(struct front_call *c, uint64_t skip)
{
    CLEANUP_BUF struct buf filter = {0};
    const char *f = http_query(c->req, "$filter");
    if (f != NULL) percent_encode(&filter, bytes_str(f));
    return json_sprintf("%s%s?api-version=%s&$filter=%.*s&$skiptoken=%llu", c->api->c.endpoint,
                        c->req->path, http_query(c->req, "api-version"), (int)filter.len,
                        (const char *)filter.p, (unsigned long long)skip);
}

void activity_list(struct front_call *c)
{
    const char *subscription = subscription_of(c);
    const char *scope = arena_fmt(c->req->a, "/subscriptions/%s", subscription);
    struct api_version version;
    const char *text = http_query(c->req, "api-version"), *token = http_query(c->req, "$skiptoken");
    uint64_t skip = 0;
    struct diag d = DIAG_INIT;
    if (!front_verify(c, PLANE_ARM) || scope == NULL ||
        !front_allow(c, PLANE_ARM, "Microsoft.Insights/eventtypes/values/read", false, scope)) {
        return;
    }
    if (text == NULL || !api_version_parse(text, &version)) {
        front_error(c->res, 400, "MissingApiVersionParameter",
                    "The api-version query parameter (?api-version=) is required for all requests.",
                    NULL, NULL);
        return;
    }
    CLEANUP_BUF struct buf kql = {0};
    buf_fmt(&kql, "%s | where SubscriptionId =~ '%s'", ACTIVITY_TABLE, subscription);
    enum err e = token != NULL ? str_u64(token, SKIP_MAX, &skip, &d) : OK;
    if (e == OK) e = put_filter(&kql, http_query(c->req, "$filter"), &d);
    buf_fmt(&kql, " | top %" PRIu64 " by TimeGenerated desc", skip + PAGE + 1);
    put_columns(&kql);
    CLEANUP_JSON json_t *values = json_array();
    struct listing l = {.values = values, .skip = (uint32_t)skip};
    if (e == OK) e = run(c, buf_view(&kql), &l, &d);
    if (e != OK) {
        front_error(c->res, e == ERR_UNAVAILABLE ? 503 : 400,
                    e == ERR_UNAVAILABLE ? "ServiceUnavailable" : "BadRequest", d.text, NULL, NULL);
        return;
    }
    CLEANUP_JSON json_t *j = json_pack("{s:O}", "value", values);
    if (l.more) json_object_set_new(j, "nextLink", next_link(c, skip + PAGE));
    front_json(c->res, 200, j);
}
