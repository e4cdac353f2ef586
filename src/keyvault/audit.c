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

/* Text from outside: cut, and what is no UTF-8 left out as a whole. */
static json_t *text_json(const char *s)
{
    size_t n = s != NULL ? strnlen(s, TEXT_MAX) : 0;
    while (n > 0 && n == TEXT_MAX && (s[n] & 0xc0) == 0x80)
        n--; /* not in the middle of a character */
    json_t *j = json_stringn(s != NULL ? s : "", n);
    return j != NULL ? j : json_string("");
}

static json_t *upper(const char *s)
{
    CLEANUP_FREE char *copy = str_dup(s != NULL ? s : "");
    if (copy == NULL) return json_string("");
    for (char *p = copy; *p != 0; p++)
        *p = (char)toupper((unsigned char)*p);
    return json_string(copy);
}

static json_t *identity_json(const struct caller *who)
{
    if (who->object_id[0] == 0) return json_object();
    json_t *claim =
        json_pack("{s:s, s:s}", "http://schemas.microsoft.com/identity/claims/objectidentifier",
                  who->object_id, "appid", who->app_id);
    if (claim != NULL && who->upn[0] != 0) {
        json_object_set_new(claim, "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
                            json_string(who->upn));
    }
    return json_pack("{s:o}", "claim", claim);
}

struct event {
    const char *operation, *version, *resource_id, *description, *ip, *correlation;
    int status;
    int64_t took_us;
};

/* Without "identity" and "properties". */
static json_t *start(const struct event *e)
{
    char time[TIME_TEXT_MAX], took[24];
    time_format_iso7(time_now_us(), time);
    snprintf(took, sizeof took, "%lld", (long long)(e->took_us / 1000));
    return json_pack("{s:s, s:o, s:s, s:o, s:s, s:s, s:s, s:o, s:s, s:o, s:o}", "time", time,
                     "resourceId", upper(e->resource_id), "operationName", e->operation,
                     "operationVersion", text_json(e->version), "category", "AuditEvent",
                     "resultType", e->status < 400 ? "Success" : "Failed", "resultSignature",
                     signature(e->status), "resultDescription", text_json(e->description),
                     "durationMs", took, "callerIpAddress", text_json(e->ip), "correlationId",
                     text_json(e->correlation));
}

static enum err append(struct keyvault *kv, json_t *record, bool sync, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    if (record == NULL) return kv_out_of_memory(d);
    TRY(json_write(record, &text, d));
    return audit_log_append(kv->audit, buf_view(&text), sync, d);
}

static json_t *request_properties(const struct call *c)
{
    const struct http_request *req = c->req;
    CLEANUP_FREE char *uri = str_fmt("https://%s%s", req->authority, req->target);
    CLEANUP_FREE char *id =
        c->object != NULL ? str_fmt("https://%s/%s", req->authority, c->object) : NULL;
    json_t *p = json_pack("{s:o, s:o, s:o, s:i}", "clientInfo",
                          text_json(http_header(req, "User-Agent")), "requestUri", text_json(uri),
                          "id", text_json(id), "httpStatusCode", c->res->status);
    if (c->fault != NULL) json_object_set_new(p, "fault", json_string(c->fault));
    return p;
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
    CLEANUP_JSON json_t *record = start(&e);
    json_object_set_new(record, "identity", identity_json(&c->who));
    json_object_set_new(record, "properties", request_properties(c));
    return append(c->kv, record, changes(c), d);
}

void kv_audit_clock(struct keyvault *kv, const char *operation, const char *vault_id,
                    const char *object, const struct diag *failure)
{
    struct diag d = DIAG_INIT;
    const struct event e = {.operation = operation,
                            .resource_id = vault_id,
                            .description = failure != NULL ? failure->text : "",
                            .status = failure != NULL ? 500 : 200};
    CLEANUP_JSON json_t *record = start(&e);
    json_object_set_new(record, "identity", json_object());
    json_object_set_new(record, "properties",
                        json_pack("{s:s, s:s, s:i}", "clientInfo", "keystead", "id", object,
                                  "httpStatusCode", e.status));
    if (append(kv, record, true, &d) != OK) {
        LOG(ERROR, "audit.record_lost", F_STR("operation", operation), F_ERR(&d));
    }
}
