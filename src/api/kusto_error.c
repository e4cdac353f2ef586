/* SPDX-License-Identifier: Apache-2.0 */
/* api/kusto_error.c - failures as Kusto's clients read them */
#include "api/kusto.h"

#define LIMITS   "Kusto.Data.Exceptions.KustoServicePartialQueryFailureLimitsExceededException"
#define SYNTAX   "Kusto.Data.Exceptions.SyntaxException"
#define SEMANTIC "Kusto.Data.Exceptions.SemanticException"
#define BAD      "Kusto.Data.Exceptions.KustoBadRequestException"
#define DENIED   "Kusto.Data.Exceptions.KustoRequestDeniedException"
#define SERVICE  "Kusto.Data.Exceptions.KustoServiceException"
#define TIMEOUT  "Kusto.Data.Exceptions.KustoServiceTimeoutException"

static const char *message_of(int status)
{
    switch (status) {
    case 403: return "Caller is not authorized to perform this action.";
    case 503: return "The service is not available at the moment.";
    case 504: return "The request did not end in time.";
    case 520: return "The service failed inside.";
    default: return "Request is invalid and cannot be executed.";
    }
}

static const char *header(const struct http_response *res, const char *name)
{
    for (uint32_t i = 0; i < res->n_headers; i++) {
        if (str_eq_nocase(res->headers[i].name, name)) return res->headers[i].value;
    }
    return "";
}

static json_t *context(const struct front_call *c)
{
    char now[TIME_TEXT_MAX];
    const char *activity = header(c->res, "x-ms-activity-id");
    time_format_iso7(time_now_us(), now);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "timestamp", now, "serviceAlias",
                     "KEYSTEAD", "clientRequestId", header(c->res, "x-ms-client-request-id"),
                     "activityId", activity, "subActivityId", activity, "activityType",
                     "DN.FE.ExecuteRequest", "parentActivityId", activity);
}

/* What was cut in the middle of a character loses it. */
static json_t *text_json(const char *s)
{
    json_t *j = NULL;
    for (size_t n = strlen(s) + 1; j == NULL && n > 0; n--)
        j = json_stringn(s, n - 1);
    return j;
}

json_t *kusto_problem_json(struct front_call *c, const struct kusto_problem *p)
{
    json_t *e = json_pack("{s:s, s:s, s:s, s:o, s:o, s:b}", "code", p->code, "message",
                          message_of(p->status), "@type", p->type, "@message", text_json(p->text),
                          "@context", context(c), "@permanent", !p->transient);
    if (p->inner != NULL) {
        json_t *inner =
            json_pack("{s:s, s:o, s:s, s:o}", "code", p->inner, "message", text_json(p->inner_text),
                      "@type", p->type, "@message", text_json(p->inner_text));
        if (p->line != 0) {
            json_object_set_new(inner, "line", json_integer(p->line));
            json_object_set_new(inner, "pos", json_integer(p->column));
        }
        json_object_set_new(e, "innererror", inner);
    }
    return json_pack("{s:o}", "error", e);
}

void kusto_error(struct front_call *c, const struct kusto_problem *p)
{
    CLEANUP_JSON json_t *j = kusto_problem_json(c, p);
    buf_release(&c->res->body); /* rows that were encoded are wiped */
    front_json(c->res, p->status, j);
    http_set(c->res, "x-ms-error-code", p->code);
    if (p->status == 503) http_set(c->res, "Retry-After", "5");
}

void kusto_bad_request(struct front_call *c, const char *text)
{
    const struct kusto_problem p = {
        .status = 400, .code = "General_BadRequest", .type = BAD, .text = text};
    kusto_error(c, &p);
}

void kusto_forbidden(struct front_call *c, const char *scope)
{
    struct kusto_problem p = {.status = 403, .code = "Forbidden", .type = DENIED};
    snprintf(p.buffer, sizeof p.buffer, "Principal 'aadapp=%s;%s' is not authorized to read '%s'.",
             c->caller.app_id, c->api->c.tenant_id, scope);
    p.text = p.buffer;
    kusto_error(c, &p);
}

void kusto_denied(struct front_call *c, const char *text, const char *inner, const char *inner_text)
{
    const struct kusto_problem p = {.status = 403,
                                    .code = "Forbidden",
                                    .type = DENIED,
                                    .text = text,
                                    .inner = inner,
                                    .inner_text = inner_text};
    kusto_error(c, &p);
}

static void limits(const struct diag *d, struct kusto_problem *p)
{
    unsigned number = (unsigned)query_engine_code(d->tag);
    snprintf(p->buffer, sizeof p->buffer,
             "Query execution has exceeded the allowed limits (%X): %s (%s, 0x%X).", number,
             d->text, d->tag, number);
    p->status = 400;
    p->code = "LimitsExceeded";
    p->type = LIMITS;
}

static void bad(const struct query_call *q, const struct diag *d, struct kusto_problem *p)
{
    bool syntax = str_starts(d->tag, "SYN");
    p->status = 400;
    p->code = "General_BadRequest";
    p->type = syntax ? SYNTAX : SEMANTIC;
    p->inner = d->tag[0] != '\0' ? d->tag : "SEM0001";
    p->inner_text = d->text;
    if (d->pos >= 0) kql_position(bytes_str(q->text), d->pos, &p->line, &p->column);
    snprintf(p->buffer, sizeof p->buffer, "%s error: %s: %s", syntax ? "Syntax" : "Semantic",
             p->inner, d->text);
}

void kusto_problem_of(const struct query_call *q, enum query_fault fault, const struct diag *d,
                      struct kusto_problem *out)
{
    *out = (struct kusto_problem){.type = SERVICE};
    out->text = out->buffer;
    switch (fault) {
    case QUERY_LOCKED:
        out->status = 403;
        out->code = "Forbidden";
        out->type = DENIED;
        out->text = "The data can't be read: access to the customer-managed key of the cluster was "
                    "revoked.";
        out->inner = QUERY_LOCKED_TAG;
        out->inner_text = str_eq(d->tag, QUERY_LOCKED_TAG)
                              ? d->text
                              : "The customer-managed key that encrypts this database's data is "
                                "disabled, deleted or may no longer be used by the cluster's "
                                "identity.";
        break;
    case QUERY_DENIED:
        out->status = 403;
        out->code = "Forbidden";
        out->type = DENIED;
        out->text = out->inner_text = d->text;
        out->inner = d->tag;
        break;
    case QUERY_SUSPENDED:
        out->status = 503;
        out->code = "ServiceUnavailable";
        out->transient = true;
        out->text =
            "The data can't be read at the moment: the key that encrypts it is not at hand.";
        break;
    case QUERY_BAD:
        if (query_engine_code(d->tag) != 0) {
            limits(d, out);
        } else {
            bad(q, d, out);
        }
        break;
    case QUERY_TOO_LARGE: limits(d, out); break;
    case QUERY_TIMEOUT:
        out->status = 504;
        out->code = "Timeout";
        out->type = TIMEOUT;
        out->transient = true;
        out->text = d->text;
        break;
    case QUERY_INTERNAL:
        out->status = 520;
        out->code = "General_InternalServerError";
        out->transient = true;
        out->text = "The query failed inside the server.";
        break;
    }
}
