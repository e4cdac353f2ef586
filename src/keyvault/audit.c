/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/audit.c - the AuditEvent record of a request, or of what the clock did */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

#include <ctype.h>
#include <stdio.h>

#define TEXT_MAX 2048 /* bytes of what a client has sent */

static const char *signature(int status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "NoContent";
    case 400: return "BadRequest";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "NotFound";
    case 405: return "MethodNotAllowed";
    case 409: return "Conflict";
    case 429: return "TooManyRequests";
    case 503: return "ServiceUnavailable";
    default: return status < 400 ? "OK" : "InternalServerError";
    }
}

/* --- a record, written as it goes: every request has one --- */

static void text(struct buf *b, const char *name, const char *s)
{
    if (b->p[b->len - 1] != '{') buf_u8(b, ',');
    buf_fmt(b, "\"%s\":", name);
    json_quote(b, bytes_of(s != NULL ? s : "", s != NULL ? strnlen(s, TEXT_MAX) : 0));
}

static void open_object(struct buf *b, const char *name)
{
    buf_fmt(b, ",\"%s\":{", name);
}

static void upper(struct buf *b, const char *name, const char *s)
{
    char copy[512];
    size_t n = 0;
    for (; s != NULL && s[n] != 0 && n + 1 < sizeof copy; n++)
        copy[n] = (char)toupper((unsigned char)s[n]);
    copy[n] = 0;
    text(b, name, copy);
}

struct event {
    const char *operation, *version, *resource_id, *description, *ip, *correlation;
    int status;
    int64_t took_us;
};

/* Up to "identity" and "properties". */
static void start(struct buf *b, const struct event *e)
{
    char time[TIME_TEXT_MAX], took[24];
    time_format_iso7(time_now_us(), time);
    snprintf(took, sizeof took, "%lld", (long long)(e->took_us / 1000));
    buf_str(b, "{");
    text(b, "time", time);
    upper(b, "resourceId", e->resource_id);
    text(b, "operationName", e->operation);
    text(b, "operationVersion", e->version);
    text(b, "category", "AuditEvent");
    text(b, "resultType", e->status < 400 ? "Success" : "Failed");
    text(b, "resultSignature", signature(e->status));
    text(b, "resultDescription", e->description);
    text(b, "durationMs", took);
    text(b, "callerIpAddress", e->ip);
    text(b, "correlationId", e->correlation);
}

static void identity(struct buf *b, const struct caller *who)
{
    buf_str(b, ",\"identity\":{");
    if (who->object_id[0] != 0) {
        buf_str(b, "\"claim\":{");
        text(b, "http://schemas.microsoft.com/identity/claims/objectidentifier", who->object_id);
        if (who->upn[0] != 0)
            text(b, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn", who->upn);
        text(b, "appid", who->app_id);
        buf_str(b, "}");
    }
    buf_str(b, "}");
}

static enum err append(struct keyvault *kv, struct buf *record, bool sync, struct diag *d)
{
    buf_str(record, "}");
    TRY(buf_check(record, d));
    return audit_log_append(kv->audit, buf_view(record), sync, d);
}

static void properties(struct buf *b, const struct call *c)
{
    const struct http_request *req = c->req;
    CLEANUP_FREE char *uri = str_fmt("https://%s%s", req->authority, req->target);
    CLEANUP_FREE char *id =
        c->object != NULL ? str_fmt("https://%s/%s", req->authority, c->object) : NULL;
    open_object(b, "properties");
    text(b, "clientInfo", http_header(req, "User-Agent"));
    text(b, "requestUri", uri);
    text(b, "id", id);
    buf_fmt(b, ",\"httpStatusCode\":%d", c->res->status);
    if (c->fault != NULL) text(b, "fault", c->fault);
    buf_str(b, "}");
}

/* A request that may have changed something: its record must outlive a crash of the machine as the
 * change does. Operations with keys are POSTs that change nothing. */
static bool changes(const struct call *c)
{
    return !c->reads && !str_eq(c->req->method, "GET") && c->res->status < 400;
}

static const char *response_header(const struct http_response *res, const char *name)
{
    for (uint32_t i = 0; i < res->n_headers; i++) {
        if (str_eq_nocase(res->headers[i].name, name)) return res->headers[i].value;
    }
    return NULL;
}

enum err kv_audit_request(const struct call *c, const char *description, int64_t took_us,
                          struct diag *d)
{
    const struct http_request *req = c->req;
    const char *correlation = http_header(req, "x-ms-client-request-id");
    if (correlation == NULL) correlation = response_header(c->res, "x-ms-request-id");
    const struct event e = {.operation = c->operation != NULL ? c->operation : "Authentication",
                            .version = http_query(req, "api-version"),
                            .resource_id = c->vault_id,
                            .description = description,
                            .ip = req->peer,
                            .correlation = correlation,
                            .status = c->res->status,
                            .took_us = took_us};
    CLEANUP_BUF struct buf record = {0};
    start(&record, &e);
    identity(&record, &c->who);
    properties(&record, c);
    return append(c->kv, &record, changes(c), d);
}

void kv_audit_clock(struct keyvault *kv, const char *operation, const char *vault_id,
                    const char *object, const struct diag *failure)
{
    struct diag d = DIAG_INIT;
    const struct event e = {.operation = operation,
                            .resource_id = vault_id,
                            .description = failure != NULL ? failure->text : "",
                            .status = failure != NULL ? 500 : 200};
    CLEANUP_BUF struct buf record = {0};
    start(&record, &e);
    buf_str(&record, ",\"identity\":{}");
    open_object(&record, "properties");
    text(&record, "clientInfo", "keystead");
    text(&record, "id", object);
    buf_fmt(&record, ",\"httpStatusCode\":%d}", e.status);
    if (append(kv, &record, true, &d) != OK) {
        LOG(ERROR, "audit.record_lost", F_STR("operation", operation), F_ERR(&d));
    }
}
