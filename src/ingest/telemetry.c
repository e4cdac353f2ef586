/* SPDX-License-Identifier: Apache-2.0 */
/* ingest/telemetry.c - envelopes of Application Insights SDKs become rows of the standard tables */
#include "ingest/telemetry.h"

#include "base/str.h"
#include "column/type.h"

#include <math.h>

#define MASKED "0.0.0.0" /* in place of an address that is not kept */

/* --- what all have ---------------------------------------------------------------------------- */

static const char *const tags[][2] = {
    {"ai.operation.id", "OperationId"},
    {"ai.operation.name", "OperationName"},
    {"ai.operation.parentId", "ParentId"},
    {"ai.operation.syntheticSource", "SyntheticSource"},
    {"ai.session.id", "SessionId"},
    {"ai.user.id", "UserId"},
    {"ai.user.authUserId", "UserAuthenticatedId"},
    {"ai.user.accountId", "UserAccountId"},
    {"ai.application.ver", "AppVersion"},
    {"ai.cloud.role", "AppRoleName"},
    {"ai.cloud.roleInstance", "AppRoleInstance"},
    {"ai.device.type", "ClientType"},
    {"ai.device.model", "ClientModel"},
    {"ai.device.osVersion", "ClientOS"},
    {"ai.internal.sdkVersion", "SDKVersion"},
};

static void set(json_t *row, const char *name, const char *text)
{
    if (text != NULL) json_object_set_new(row, name, json_string(text));
}

/* How many items it stands for: one of a sample of so many percent. */
static json_int_t item_count(const json_t *envelope)
{
    const json_t *rate = json_get(envelope, "sampleRate");
    double percent = json_is_number(rate) ? json_number_value(rate) : 100;
    return percent > 0 && percent < 100 ? (json_int_t)lround(100 / percent) : 1;
}

static json_t *common_row(const json_t *envelope, const struct telemetry_origin *from,
                          const char *table)
{
    const json_t *all = json_get(envelope, "tags");
    json_t *row = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I}", "TenantId", from->workspace,
                            "ResourceGUID", from->app_id, "_ResourceId", from->resource_id, "Type",
                            table, "SourceSystem", "Azure", "ItemCount", item_count(envelope));
    if (row == NULL) return NULL;
    set(row, "TimeGenerated", json_get_str(envelope, "time"));
    set(row, "IKey", json_get_str(envelope, "iKey"));
    for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++)
        set(row, tags[i][1], json_get_str(all, tags[i][0]));
    const char *ip = json_get_str(all, "ai.location.ip");
    set(row, "ClientIP", from->peer == NULL ? MASKED : ip != NULL ? ip : from->peer);
    return row;
}

/* --- durations -------------------------------------------------------------------------------- */

static const char *bucket(double ms)
{
    static const struct {
        double below_ms;
        const char *name;
    } buckets[] = {{250, "<250ms"},        {500, "250ms-500ms"},  {1000, "500ms-1sec"},
                   {3000, "1sec-3sec"},    {7000, "3sec-7sec"},   {15000, "7sec-15sec"},
                   {30000, "15sec-30sec"}, {60000, "30sec-1min"}, {120000, "1min-2min"},
                   {300000, "2min-5min"}};
    for (size_t i = 0; i < sizeof buckets / sizeof buckets[0]; i++) {
        if (ms < buckets[i].below_ms) return buckets[i].name;
    }
    return ">=5min";
}

/* "0.00:00:01.2345678" */
static bool milliseconds(const json_t *v, double *out)
{
    int64_t ticks;
    const char *text = json_string_value(v);
    if (text == NULL || !timespan_parse(bytes_str(text), &ticks)) return false;
    *out = (double)ticks / 10000;
    return true;
}

static void set_duration(json_t *row, const json_t *data, const char *from, const char *to)
{
    double ms;
    if (!milliseconds(json_get(data, from), &ms)) return;
    json_object_set_new(row, to, json_real(ms));
    bool is_whole = str_eq(to, "DurationMs") || str_eq(to, "TotalDurationMs");
    if (is_whole) set(row, "PerformanceBucket", bucket(ms));
}

/* --- by type ---------------------------------------------------------------------------------- */

enum how { AS_IT_IS, AS_TEXT, AS_DURATION };

struct field {
    const char *from, *to;
    enum how how;
};

static const struct field request[] = {{"id", "Id", AS_IT_IS},
                                       {"source", "Source", AS_IT_IS},
                                       {"name", "Name", AS_IT_IS},
                                       {"url", "Url", AS_IT_IS},
                                       {"success", "Success", AS_IT_IS},
                                       {"responseCode", "ResultCode", AS_TEXT},
                                       {"duration", "DurationMs", AS_DURATION},
                                       {NULL, NULL, AS_IT_IS}};
static const struct field dependency[] = {{"id", "Id", AS_IT_IS},
                                          {"target", "Target", AS_IT_IS},
                                          {"type", "DependencyType", AS_IT_IS},
                                          {"name", "Name", AS_IT_IS},
                                          {"data", "Data", AS_IT_IS},
                                          {"success", "Success", AS_IT_IS},
                                          {"resultCode", "ResultCode", AS_TEXT},
                                          {"duration", "DurationMs", AS_DURATION},
                                          {NULL, NULL, AS_IT_IS}};
static const struct field message[] = {{"message", "Message", AS_IT_IS}, {NULL, NULL, AS_IT_IS}};
static const struct field event[] = {{"name", "Name", AS_IT_IS}, {NULL, NULL, AS_IT_IS}};
static const struct field exception[] = {{"problemId", "ProblemId", AS_IT_IS},
                                         {NULL, NULL, AS_IT_IS}};
static const struct field page_view[] = {{"id", "Id", AS_IT_IS},
                                         {"name", "Name", AS_IT_IS},
                                         {"url", "Url", AS_IT_IS},
                                         {"duration", "DurationMs", AS_DURATION},
                                         {NULL, NULL, AS_IT_IS}};
static const struct field availability[] = {{"id", "Id", AS_IT_IS},
                                            {"name", "Name", AS_IT_IS},
                                            {"runLocation", "Location", AS_IT_IS},
                                            {"success", "Success", AS_IT_IS},
                                            {"message", "Message", AS_IT_IS},
                                            {"duration", "DurationMs", AS_DURATION},
                                            {NULL, NULL, AS_IT_IS}};
static const struct field page_perf[] = {{"name", "Name", AS_IT_IS},
                                         {"url", "Url", AS_IT_IS},
                                         {"perfTotal", "TotalDurationMs", AS_DURATION},
                                         {"networkConnect", "NetworkDurationMs", AS_DURATION},
                                         {"sentRequest", "SendDurationMs", AS_DURATION},
                                         {"receivedResponse", "ReceiveDurationMs", AS_DURATION},
                                         {"domProcessing", "ProcessingDurationMs", AS_DURATION},
                                         {NULL, NULL, AS_IT_IS}};
static const struct field metric[] = {{NULL, NULL, AS_IT_IS}};

static const struct kind {
    const char *base, *table;
    const struct field *fields;
} kinds[] = {
    {"RequestData", "AppRequests", request},
    {"RemoteDependencyData", "AppDependencies", dependency},
    {"MessageData", "AppTraces", message},
    {"EventData", "AppEvents", event},
    {"ExceptionData", "AppExceptions", exception},
    {"MetricData", "AppMetrics", metric},
    {"PageViewData", "AppPageViews", page_view},
    {"PageViewPerfData", "AppBrowserTimings", page_perf},
    {"AvailabilityData", "AppAvailabilityResults", availability},
};

static void set_fields(json_t *row, const json_t *data, const struct field *f)
{
    for (; f->from != NULL; f++) {
        json_t *v = json_get(data, f->from);
        if (v == NULL || json_is_null(v)) continue;
        if (f->how == AS_DURATION) {
            set_duration(row, data, f->from, f->to);
        } else if (f->how == AS_TEXT && json_is_integer(v)) {
            json_object_set_new(row, f->to, json_sprintf("%lld", (long long)json_integer_value(v)));
        } else {
            json_object_set(row, f->to, v);
        }
    }
}

/* Words of the newer SDKs, numbers of the older ones. */
static void set_severity(json_t *row, const json_t *data)
{
    static const char *const levels[] = {"Verbose", "Information", "Warning", "Error", "Critical"};
    const json_t *v = json_get(data, "severityLevel");
    if (json_is_integer(v)) json_object_set(row, "SeverityLevel", (json_t *)v);
    for (size_t i = 0; json_is_string(v) && i < sizeof levels / sizeof levels[0]; i++) {
        if (str_eq_nocase(json_string_value(v), levels[i]))
            json_object_set_new(row, "SeverityLevel", json_integer((json_int_t)i));
    }
}

/* The first of the chain is the outermost, the last the innermost. */
static void set_exception(json_t *row, const json_t *data)
{
    json_t *chain = json_get(data, "exceptions");
    const json_t *outer = json_array_get(chain, 0);
    const json_t *inner = json_array_get(chain, json_array_size(chain) - 1);
    if (outer == NULL) return;
    set(row, "ExceptionType", json_get_str(outer, "typeName"));
    set(row, "Message", json_get_str(outer, "message"));
    set(row, "OuterType", json_get_str(outer, "typeName"));
    set(row, "OuterMessage", json_get_str(outer, "message"));
    set(row, "InnermostType", json_get_str(inner, "typeName"));
    set(row, "InnermostMessage", json_get_str(inner, "message"));
    const json_t *frame = json_array_get(json_get(outer, "parsedStack"), 0);
    set(row, "Method", json_get_str(frame, "method"));
    set(row, "Assembly", json_get_str(frame, "assembly"));
    json_object_set(row, "Details", chain);
    if (json_get(data, "problemId") == NULL) set(row, "ProblemId", json_get_str(outer, "typeName"));
}

static void set_metric(json_t *row, const json_t *m)
{
    const json_t *value = json_get(m, "value"), *min = json_get(m, "min"),
                 *max = json_get(m, "max");
    set(row, "Name", json_get_str(m, "name"));
    if (!json_is_number(value)) return;
    double v = json_number_value(value);
    json_object_set_new(row, "Sum", json_real(v));
    json_object_set_new(row, "Min", json_real(json_is_number(min) ? json_number_value(min) : v));
    json_object_set_new(row, "Max", json_real(json_is_number(max) ? json_number_value(max) : v));
    int64_t count = json_get_int(m, "count", 0);
    if (count > 0) json_object_set_new(row, "ItemCount", json_integer(count));
}

static const struct kind *find_kind(const char *base)
{
    for (size_t i = 0; base != NULL && i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_eq_nocase(kinds[i].base, base)) return &kinds[i];
    }
    return NULL;
}

static json_t *row_of(const json_t *envelope, const struct telemetry_origin *from,
                      const struct kind *k, const json_t *data)
{
    json_t *row = common_row(envelope, from, k->table);
    if (row == NULL) return NULL;
    set_fields(row, data, k->fields);
    set_severity(row, data);
    json_t *properties = json_get(data, "properties"), *measures = json_get(data, "measurements");
    if (json_is_object(properties)) json_object_set(row, "Properties", properties);
    if (json_is_object(measures)) json_object_set(row, "Measurements", measures);
    if (k->fields == exception) set_exception(row, data);
    return row;
}

enum err telemetry_rows(const json_t *envelope, const struct telemetry_origin *from,
                        const char **table, json_t **rows, struct diag *d)
{
    const json_t *data = json_get(envelope, "data");
    const char *base = json_get_str(data, "baseType");
    const json_t *body = json_get(data, "baseData");
    const struct kind *k = find_kind(base);
    if (!json_is_object(envelope) || !json_is_object(body)) {
        return FAIL(d, ERR_INVALID, "an item is an object with data.baseType and data.baseData");
    }
    if (k == NULL) {
        return FAIL(d, ERR_INVALID, "the type '%.60s' is not known", base != NULL ? base : "");
    }
    CLEANUP_JSON json_t *list = json_array();
    const json_t *metrics = json_get(body, "metrics");
    size_t n = k->fields == metric ? json_array_size(metrics) : 1;
    if (n == 0) return FAIL(d, ERR_INVALID, "a metric has no values");
    for (size_t i = 0; i < n; i++) {
        json_t *row = row_of(envelope, from, k, body);
        if (row == NULL || json_array_append_new(list, row) != 0) {
            return FAIL(d, ERR_LIMIT, "out of memory");
        }
        if (k->fields == metric) set_metric(row, json_array_get(metrics, i));
    }
    *table = k->table;
    *rows = TAKE(list);
    return OK;
}
