/* SPDX-License-Identifier: Apache-2.0 */
/* api/activity.c - rows of the activity log, made and stored */
#include "api/activity.h"

#include "api/front.h"
#include "api/key_audit.h"
#include "api/source.h"
#include "base/log.h"
#include "crypto/hash.h"
#include "exec/exec.h"
#include "ingest/rows.h"
#include "resource/id.h"
#include "resource/settings.h"

#include <stdlib.h>

#define KEPT_DAYS 90 /* as the original keeps them */

struct activity {
    struct arm *arm;
    char subscription[64], tenant[64];
    pthread_rwlock_t lock; /* over the rest; read while a row is written */
    struct store *store;   /* NULL: not between start and stop */
    uint8_t account[16];
};

/* As the original has them. */
static const char *const columns[] = {
    "OperationName",
    "OperationNameValue",
    "Level",
    "ActivityStatus",
    "ActivityStatusValue",
    "ActivitySubstatus",
    "ActivitySubstatusValue",
    "ResourceGroup",
    "SubscriptionId",
    "CorrelationId",
    "Caller",
    "CallerIpAddress",
    "Category",
    "CategoryValue",
    "HTTPRequest",
    "Properties",
    "Authorization",
    "Claims",
    "Resource",
    "ResourceId",
    "ResourceProvider",
    "ResourceProviderValue",
    "OperationId",
    "EventDataId",
    "Hierarchy",
    "SourceSystem",
    "TenantId",
    "_ResourceId",
    "Type",
};
#define N_TEXTS    (sizeof columns / sizeof columns[0])
#define N_DYNAMICS 3

/* --- life ------------------------------------------------------------------------------------- */

enum err activity_open(struct activity **out, struct arm *a, const char *subscription_id,
                       const char *tenant_id, struct diag *d)
{
    CLEANUP(activity_free) struct activity *x = calloc(1, sizeof *x);
    if (x == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_rwlock_init(&x->lock, NULL);
    x->arm = a;
    snprintf(x->subscription, sizeof x->subscription, "%s", subscription_id);
    snprintf(x->tenant, sizeof x->tenant, "%s", tenant_id);
    *out = TAKE(x);
    return OK;
}

void activity_free(struct activity *x)
{
    if (x == NULL) return;
    pthread_rwlock_destroy(&x->lock);
    free(x);
}

/* --- where the rows lie ----------------------------------------------------------------------- */

/* Nobody else's, and the same after every start: a hash, as a UUID of version 8 (RFC 9562). */
static void log_id(const char *subscription, struct guid *out)
{
    uint8_t digest[32];
    CLEANUP_BUF struct buf text = {0};
    buf_fmt(&text, "keystead/1 activity %s", subscription);
    sha256(buf_view(&text), digest);
    memcpy(out->b, digest, sizeof out->b);
    out->b[6] = (uint8_t)((out->b[6] & 0x0f) | 0x80);
    out->b[8] = (uint8_t)((out->b[8] & 0x3f) | 0x80);
}

static enum err make_table(struct store *s, const struct guid *log, struct table **out,
                           struct diag *d)
{
    struct column cols[2 + N_TEXTS + N_DYNAMICS];
    uint32_t n = 0;
    cols[n++] = (struct column){"TimeGenerated", T_DATETIME};
    cols[n++] = (struct column){"EventSubmissionTimestamp", T_DATETIME};
    for (size_t i = 0; i < N_TEXTS; i++)
        cols[n++] = (struct column){columns[i], T_STRING};
    cols[n++] = (struct column){"Authorization_d", T_DYNAMIC};
    cols[n++] = (struct column){"Claims_d", T_DYNAMIC};
    cols[n++] = (struct column){"Properties_d", T_DYNAMIC};
    const struct schema schema = {.cols = cols, .n = n};
    struct diag why = DIAG_INIT;
    enum err e = store_table_create(s, log, ACTIVITY_TABLE, &schema, out, &why);
    if (e == ERR_CONFLICT) return store_table_find(s, log, ACTIVITY_TABLE, out, d);
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    return store_table_set_retention(s, *out, KEPT_DAYS, d);
}

/* That the resource lies in. */
static void subscription_of(const struct activity *x, const char *resource, char out[GUID_TEXT_MAX])
{
    static const char lead[] = "/subscriptions/";
    const char *s =
        str_starts_nocase(resource, lead) ? resource + sizeof lead - 1 : x->subscription;
    snprintf(out, GUID_TEXT_MAX, "%.*s", (int)strcspn(s, "/"), s);
    str_lower(out);
}

/* Under the lock. What is none of ours is the first one's, lest strangers make tables. */
static enum err find_log(struct activity *x, const char *subscription, struct guid *log,
                         struct table **table, struct diag *d)
{
    char lower[GUID_TEXT_MAX];
    if (x->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the store is not open");
    bool ours = settings_has_subscription(x->arm, subscription);
    snprintf(lower, sizeof lower, "%s", ours ? subscription : x->subscription);
    str_lower(lower);
    log_id(lower, log);
    if (store_table_find(x->store, log, ACTIVITY_TABLE, table, NULL) == OK) return OK;
    return make_table(x->store, log, table, d);
}

enum err activity_log(struct activity *x, const char *subscription, struct guid *out,
                      struct diag *d)
{
    struct table *table;
    pthread_rwlock_rdlock(&x->lock);
    enum err e = find_log(x, subscription, out, &table, d);
    pthread_rwlock_unlock(&x->lock);
    return e;
}

bool activity_seen_from(struct activity *x, const struct workspace *w, struct guid *out)
{
    char subscription[GUID_TEXT_MAX];
    if (!settings_of(x->arm).activity_in_workspaces || key_audit_is(w)) return false;
    subscription_of(x, w->arm_id, subscription);
    return activity_log(x, subscription, out, NULL) == OK;
}

enum err activity_start(struct activity *x, struct store *store, struct diag *d)
{
    uint8_t account[16];
    struct guid log;
    TRY(arm_platform_account(x->arm, account, d));
    pthread_rwlock_wrlock(&x->lock);
    memcpy(x->account, account, sizeof account);
    x->store = store;
    pthread_rwlock_unlock(&x->lock);
    return activity_log(x, x->subscription, &log, d);
}

void activity_stop(struct activity *x)
{
    pthread_rwlock_wrlock(&x->lock);
    x->store = NULL;
    pthread_rwlock_unlock(&x->lock);
}

/* --- one row ---------------------------------------------------------------------------------- */

static const char *const statuses[][2] = {
    {"Started", "Start"}, {"Accepted", "Accept"}, {"Succeeded", "Success"}, {"Failed", "Failure"}};

static const char *status_value(const char *status)
{
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (str_eq(statuses[i][0], status)) return statuses[i][1];
    }
    return status;
}

static void set(json_t *row, const char *name, const char *value)
{
    json_object_set_new(row, name, json_string(value != NULL ? value : ""));
}

static void set_upper(json_t *row, const char *name, const char *value)
{
    CLEANUP_FREE char *s = str_dup(value != NULL ? value : "");
    if (s == NULL) return;
    for (char *p = s; *p != '\0'; p++)
        *p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    set(row, name, s);
}

/* The text of an object, and the object itself. */
static void set_object(json_t *row, const char *name, const char *as_dynamic, json_t *value)
{
    CLEANUP_BUF struct buf text = {0};
    struct diag d = DIAG_INIT;
    if (value == NULL) return;
    if (json_write(value, &text, &d) == OK) {
        json_object_set_new(row, name, json_stringn((const char *)text.p, text.len));
    }
    if (as_dynamic != NULL) {
        json_object_set_new(row, as_dynamic, value);
    } else {
        json_decref(value);
    }
}

static void set_resource(json_t *row, const char *resource)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct arm_id id;
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *lower = str_dup(resource);
    set(row, "ResourceId", resource);
    if (lower != NULL) str_lower(lower);
    set(row, "_ResourceId", lower);
    if (arm_id_parse(&a, resource, &id, &d) != OK) return;
    bool is_group = str_eq_nocase(id.type, "Microsoft.Resources/subscriptions/resourceGroups");
    set_upper(row, "ResourceGroup", is_group ? arm_id_name(&id) : id.group);
    set(row, "Resource", arm_id_name(&id));
    set(row, "ResourceProvider", id.provider);
    set_upper(row, "ResourceProviderValue", id.provider);
}

static json_t *row_of(const struct activity *x, const struct arm_event *e)
{
    char when[TIME_TEXT_MAX], event[GUID_TEXT_MAX], code[16];
    struct guid g;
    time_format_iso7(e->time_us != 0 ? e->time_us : time_now_us(), when);
    guid_random(&g);
    guid_format(&g, event);
    if (e->id != NULL) snprintf(event, sizeof event, "%s", e->id);
    snprintf(code, sizeof code, "%d", e->http);
    json_t *row = json_object();
    set(row, "TimeGenerated", when);
    set(row, "EventSubmissionTimestamp", when);
    set(row, "OperationName", e->action);
    set_upper(row, "OperationNameValue", e->action);
    set(row, "Level", str_eq(e->status, "Failed") ? "Error" : "Informational");
    set(row, "ActivityStatus", e->status);
    set(row, "ActivityStatusValue", status_value(e->status));
    set(row, "ActivitySubstatus", e->code);
    set(row, "ActivitySubstatusValue", e->code);
    char subscription[GUID_TEXT_MAX];
    subscription_of(x, e->resource, subscription);
    set(row, "SubscriptionId", subscription);
    set(row, "TenantId", x->tenant);
    set(row, "CorrelationId", e->correlation);
    set(row, "OperationId", e->operation != NULL && e->operation[0] != '\0' ? e->operation : event);
    set(row, "EventDataId", event);
    set(row, "Caller", e->caller);
    set(row, "CallerIpAddress", e->peer);
    set(row, "Category", "Administrative");
    set(row, "CategoryValue", "Administrative");
    set(row, "Hierarchy", subscription);
    set(row, "SourceSystem", "Azure");
    set(row, "Type", ACTIVITY_TABLE);
    set_resource(row, e->resource);
    set_object(row, "Authorization", "Authorization_d",
               json_pack("{s:s, s:s}", "action", e->action, "scope", e->resource));
    set_object(row, "Claims", "Claims_d",
               json_pack("{s:s, s:s}", "oid", e->caller, "tid", x->tenant));
    if (e->method != NULL) {
        set_object(row, "HTTPRequest", NULL,
                   json_pack("{s:s, s:s, s:s}", "clientRequestId",
                             e->client_request != NULL ? e->client_request : "", "clientIpAddress",
                             e->peer != NULL ? e->peer : "", "method", e->method));
    }
    set_object(row, "Properties", "Properties_d",
               json_pack("{s:s, s:s, s:s, s:s}", "statusCode", e->http != 0 ? code : "",
                         "eventCategory", "Administrative", "entity", e->resource, "statusMessage",
                         e->message != NULL ? e->message : ""));
    return row;
}

/* Under the lock. Several at once: they share the log's writes to the disk. */
static enum err append(struct activity *x, const char *subscription, struct bytes text,
                       struct diag *d)
{
    struct guid log;
    struct table *table = NULL;
    TRY(find_log(x, subscription, &log, &table, d));
    CLEANUP(row_reader_free) struct row_reader *reader = NULL;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch batch;
    struct row_stats stats = {0};
    int64_t now = time_now_us() * 10 + TICKS_UNIX;
    TRY(row_reader_new(&reader, d));
    TRY(rows_read(reader, text, store_table_schema(table), now, &a, &batch, &stats, d));
    return store_append(x->store, table, x->account, &batch, d);
}

static enum err write_row(struct activity *x, const json_t *row, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *rows = json_pack("[O]", row);
    TRY(json_write(rows, &text, d));
    pthread_rwlock_rdlock(&x->lock);
    enum err e = append(x, json_get_str(row, "SubscriptionId"), buf_view(&text), d);
    pthread_rwlock_unlock(&x->lock);
    return e;
}

/* --- was it told before? ---------------------------------------------------------------------- */

static enum err see(void *ctx, const struct batch *b, struct diag *d)
{
    (void)d;
    *(bool *)ctx = *(bool *)ctx || b->n_rows != 0;
    return OK;
}

/* Under the lock. Asked after a crash only. */
static enum err find_row(struct activity *x, const struct arm_event *event, bool *found,
                         struct diag *d)
{
    char subscription[GUID_TEXT_MAX];
    struct table *table;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct source_tables tables = {.store = x->store, .a = &a};
    subscription_of(x, event->resource, subscription);
    TRY(find_log(x, subscription, &tables.workspace, &table, d));
    const struct kql_options opt = {.now_ticks = time_now_us() * 10 + TICKS_UNIX};
    const struct kql_catalog *catalog = source_catalog(&tables);
    struct plan plan = {0};
    const char *kql = arena_fmt(
        &a, ACTIVITY_TABLE " | where EventDataId == '%s' | project EventDataId", event->id);
    if (kql == NULL) return arena_full(&a, d);
    TRY(kql_compile(&a, bytes_str(kql), catalog, &opt, &plan, d));
    const struct exec_request request = {.plan = &plan,
                                         .source = &source_ops_store,
                                         .limits = {.deadline_us = time_mono_us() + 60 * US_PER_S},
                                         .now_ticks = opt.now_ticks};
    struct exec_stats stats;
    return exec_run(&request, see, found, &stats, d);
}

static enum err record(struct activity *x, const struct arm_event *e, struct diag *d)
{
    bool found = false;
    if (e->again) {
        pthread_rwlock_rdlock(&x->lock);
        enum err looked = find_row(x, e, &found, d);
        pthread_rwlock_unlock(&x->lock);
        if (looked != OK || found) return looked;
    }
    CLEANUP_JSON json_t *row = row_of(x, e);
    return write_row(x, row, d);
}

bool activity_record(void *ctx, const struct arm_event *e)
{
    struct activity *x = ctx;
    struct diag d = DIAG_INIT;
    if (record(x, e, &d) == OK) return true; /* (2) */
    LOG(ERROR, "activity.unwritten", F_STR("action", e->action), F_STR("resource", e->resource),
        F_STR("caller", e->caller), F_STR("status", e->status), F_ERR(&d));
    return false;
}

/* --- what other processes answer -------------------------------------------------------------- */

/* "Microsoft.KeyVault/vaults/write"; NULL: the request changes nothing. */
static const char *action_of(struct arena *a, const char *method, const struct arm_id *id)
{
    if (str_eq(method, "PUT") || str_eq(method, "PATCH")) return arena_fmt(a, "%s/write", id->type);
    if (str_eq(method, "DELETE")) return arena_fmt(a, "%s/delete", id->type);
    if (str_eq(method, "POST")) return arena_fmt(a, "%s/action", id->type);
    return NULL;
}

void activity_forwarded(struct front_call *c)
{
    struct arm_id id;
    struct diag d = DIAG_INIT;
    const char *path = c->req->path, *token = http_bearer(c->req);
    if (token == NULL || !str_starts_nocase(path, "/subscriptions/")) return;
    if (arm_id_parse(c->req->a, path, &id, &d) != OK) return;
    const char *action = action_of(c->req->a, c->req->method, &id);
    if (action == NULL || front_who(c, PLANE_ARM, &c->caller) != OK) return;
    const char *correlation = http_header(c->req, "x-ms-correlation-request-id");
    const struct arm_event e = {.action = action,
                                .resource = path,
                                .caller = c->caller.object_id,
                                .peer = c->req->peer,
                                .method = c->req->method,
                                .correlation = correlation,
                                .client_request = http_header(c->req, "x-ms-client-request-id"),
                                .status = c->res->status < 400 ? "Succeeded" : "Failed",
                                .http = c->res->status};
    (void)activity_record(c->api->activity, &e);
}
