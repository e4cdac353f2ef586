/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_error.c - failures as the Log Analytics query API tells them */
#include "api/query.h"

/* d names another workspace than the one that was asked; or nothing. */
static void say_locked(struct front_call *c, const struct diag *d)
{
    bool is_other = str_eq(d->tag, QUERY_LOCKED_TAG);
    front_error(c->res, 403, "InsufficientAccessError",
                "The data can't be read: access to the customer-managed key of the cluster was "
                "revoked.",
                QUERY_LOCKED_TAG,
                is_other
                    ? d->text
                    : "The customer-managed key that encrypts this workspace's data is disabled, "
                      "deleted or may no longer be used by the cluster's identity.");
}

static void say_suspended(struct front_call *c, const struct diag *d)
{
    front_error(c->res, 503, "ServiceUnavailable",
                "The data can't be read at the moment: the key that encrypts it is not at hand.",
                "KeySuspended", str_eq(d->tag, "KeySuspended") ? d->text : NULL);
    http_set(c->res, "Retry-After", "5");
}

/* Of what it does not know it is 0. Source: "Errors in native code" of Kusto's documentation. */
int32_t query_engine_code(const char *tag)
{
    static const struct {
        const char *tag;
        uint32_t code;
    } codes[] = {
        {"E_RUNAWAY_QUERY", 0x80DA0001},
        {"E_QUERY_RESULT_SET_TOO_LARGE", 0x80DA0003},
        {QUERY_NO_MEMORY_TAG, 0x80DA0007},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (str_eq(codes[i].tag, tag)) return (int32_t)codes[i].code;
    }
    return 0;
}

json_t *query_engine_error(const struct diag *d)
{
    char number[16], text[DIAG_TEXT_MAX + DIAG_TAG_MAX + 8];
    int32_t code = query_engine_code(d->tag);
    snprintf(number, sizeof number, "%d", code);
    snprintf(text, sizeof text, "%s (%s)", d->text, d->tag);
    return json_pack("{s:s, s:s, s:{s:s, s:s, s:i, s:s}}", "code", "EngineError", "message",
                     "Something went wrong processing your query on the server.", "innererror",
                     "code", code != 0 ? number : d->tag, "message", text, "severity", 2,
                     "severityName", "Error");
}

/* A limit that the query has met before its first row. */
static void say_engine(struct front_call *c, const struct diag *d)
{
    CLEANUP_JSON json_t *inner = query_engine_error(d);
    CLEANUP_JSON json_t *j =
        json_pack("{s:{s:s, s:s, s:O}}", "error", "code", "BadArgumentError", "message",
                  "The request had some invalid properties", "innererror", inner);
    front_json(c->res, 400, j);
}

/* What the compiler says: the kind, then the exact code with its place in the text. */
static void say_bad_query(struct front_call *c, const char *text, const struct diag *d)
{
    bool syntax = str_starts(d->tag, "SYN");
    json_t *exact =
        json_pack("{s:s, s:s}", "code", d->tag[0] != '\0' ? d->tag : "SEM0001", "message", d->text);
    if (d->pos >= 0) {
        uint32_t line = 1, column = 1;
        kql_position(bytes_str(text), d->pos, &line, &column);
        json_object_set_new(exact, "line", json_integer(line));
        json_object_set_new(exact, "pos", json_integer(column));
    }
    CLEANUP_JSON json_t *j = json_pack(
        "{s:{s:s, s:s, s:{s:s, s:s, s:o}}}", "error", "code", "BadArgumentError", "message",
        "The request had some invalid properties", "innererror", "code",
        syntax ? "SyntaxError" : "SemanticError", "message",
        syntax ? "A recognition error occurred in the query." : "A semantic error occurred.",
        "innererror", exact);
    front_json(c->res, 400, j);
}

/* A workspace of the request's list. */
static void say_bad_scope(struct front_call *c, const struct diag *d)
{
    front_error(c->res, 400, "BadArgumentError", "The request had some invalid properties",
                QUERY_SCOPE_TAG, d->text);
}

void query_say_failure(struct query_call *q, enum query_fault fault, const struct diag *d)
{
    struct front_call *c = q->front;
    buf_release(&c->res->body); /* rows that were encoded are wiped */
    switch (fault) {
    case QUERY_LOCKED: say_locked(c, d); break;
    case QUERY_SUSPENDED: say_suspended(c, d); break;
    case QUERY_BAD:
        if (str_eq(d->tag, QUERY_SCOPE_TAG)) {
            say_bad_scope(c, d);
        } else if (query_engine_code(d->tag) != 0) {
            say_engine(c, d);
        } else {
            say_bad_query(c, q->text, d);
        }
        break;
    case QUERY_DENIED:
        front_error(c->res, 403, "InsufficientAccessError",
                    "The provided credentials have insufficient access to perform the requested "
                    "operation",
                    d->tag, d->text);
        break;
    case QUERY_TOO_LARGE:
        front_error(c->res, 413, "ResponseSizeError", "The result is too large.", d->tag, d->text);
        break;
    case QUERY_TIMEOUT:
        front_error(c->res, 504, "GatewayTimeout", "The query did not end in time.", d->tag,
                    d->text);
        break;
    case QUERY_INTERNAL:
        front_error(c->res, 500, "InternalServerError", "The query failed inside the server.",
                    err_name(d->code), NULL);
        break;
    }
}
