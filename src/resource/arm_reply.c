/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm_reply.c - how a call is answered: bodies, failures, the headers of what takes time */
#include "resource/plane.h"

/* --- failing ---------------------------------------------------------------------------------- */

static const struct {
    int status;
    enum err code;
    const char *name; /* what ARM calls it when nothing more exact is known */
} failures[] = {
    {400, ERR_INVALID, "InvalidRequestContent"},
    {404, ERR_NOT_FOUND, "ResourceNotFound"},
    {409, ERR_CONFLICT, "Conflict"},
    {403, ERR_DENIED, "AuthorizationFailed"},
    {503, ERR_UNAVAILABLE, "ServiceUnavailable"},
    {413, ERR_LIMIT, "RequestContentTooLarge"},
    {412, ERR_CONFLICT, "PreconditionFailed"},
    {403, ERR_KEY_LOCKED, "CustomerManagedKeyUnavailable"},
    {501, ERR_UNSUPPORTED, "NotSupported"},
    {500, ERR_INTERNAL, "InternalServerError"},
};

#define N_FAILURES (sizeof failures / sizeof failures[0])

enum err arm_err_of(int status)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].status == status) return failures[i].code;
    }
    return ERR_INVALID;
}

int arm_status_of(enum err e)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].code == e) return failures[i].status;
    }
    return 500;
}

static const char *name_of(enum err e)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].code == e) return failures[i].name;
    }
    return "InternalServerError";
}

static void fail(struct http_response *res, int status, const char *code, const char *message,
                 const json_t *details)
{
    res->status = status;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    buf_clear(&res->body);
    CLEANUP_JSON json_t *j = json_pack("{s:{s:s, s:s, s:O*}}", "error", "code", code, "message",
                                       message, "details", details);
    struct diag d = DIAG_INIT;
    if (j == NULL || json_write(j, &res->body, &d) != OK) res->body.len = 0;
    if (status == 503 || status == 429) http_set(res, "Retry-After", "1");
}

void arm_error(struct http_response *res, int status, const char *code, const char *message)
{
    fail(res, status, code, message, NULL);
}

void arm_reply_failure(struct http_response *res, int status, enum err e, const struct diag *d,
                       const json_t *details)
{
    fail(res, status, d->tag[0] != '\0' ? d->tag : name_of(e), d->text, details);
}

enum err arm_not_found(struct arm_call *c, struct diag *d)
{
    return ARM_FAIL(c, d, 404, "ResourceNotFound",
                    "The Resource '%s' under resource group '%s' was not found. For more details "
                    "please go to https://aka.ms/ARMResourceNotFoundFix",
                    arm_id_label(c->a, c->id, c->type->type),
                    c->id->group != NULL ? c->id->group : "<null>");
}

/* --- answering -------------------------------------------------------------------------------- */

enum err arm_reply(struct arm_call *c, int status, json_t *reply, struct diag *d)
{
    if (reply == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    json_decref(c->reply);
    c->reply = reply;
    c->res->status = status;
    return OK;
}

enum err arm_reply_list(struct arm_call *c, json_t *values, struct diag *d)
{
    return arm_reply(c, 200, json_pack("{s:o}", "value", values), d);
}

struct operation_start arm_operation(struct arm_call *c, const struct operation_kind *kind,
                                     const char *location)
{
    return (struct operation_start){.kind = kind,
                                    .resource = c->id_text,
                                    .location = location,
                                    .subscription = c->id->subscription,
                                    .legacy = !api_version_at_least(c->version, "2021-06-01"),
                                    .caller = c->caller->object_id,
                                    .correlation = c->correlation,
                                    .action = c->action};
}

void arm_async_headers(struct arm_call *c, const char *location, const char *operation,
                       bool with_location)
{
    /* The status URL keeps this version whatever the request's was (decision 33). */
    http_setf(c->res, "Azure-AsyncOperation",
              "%s/subscriptions/%s/providers/Microsoft.OperationalInsights/locations/%s/"
              "operationstatuses/%s?api-version=2015-11-01-preview",
              c->arm->c.endpoint, c->id->subscription, location, operation);
    http_set(c->res, "Retry-After", "1");
    if (!with_location) return;
    http_setf(c->res, "Location", "%s%s/operationresults/%s?api-version=%s", c->arm->c.endpoint,
              c->id_text, operation, c->version_text);
}
