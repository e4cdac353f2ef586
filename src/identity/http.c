/* SPDX-License-Identifier: Apache-2.0 */
/* identity/http.c - answers, authentication, and the table of endpoints */
#include "identity/endpoint.h"

#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>

void answer_json(struct endpoint *e, int status, json_t *j)
{
    CLEANUP_JSON json_t *own = j;
    struct diag d = DIAG_INIT;
    buf_clear(&e->res->body);
    if (own == NULL || json_write(own, &e->res->body, &d) != OK) {
        buf_clear(&e->res->body);
        status = 500;
        buf_str(&e->res->body,
                "{\"error\":{\"code\":\"InternalServerError\",\"message\":\"out of memory\"}}");
    }
    e->res->status = status;
    http_set(e->res, "Content-Type", "application/json; charset=utf-8");
    http_set(e->res, "Cache-Control", "no-store, no-cache");
    http_set(e->res, "Pragma", "no-cache");
}

void answer_error(struct endpoint *e, int status, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    utf8_mend(text); /* what was cut may end within a character */
    answer_json(e, status, json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", text));
}

/* A 401 says where to get a token: clients read it. */
static void answer_challenge(struct endpoint *e, const char *code, const char *text)
{
    http_setf(
        e->res, "WWW-Authenticate",
        "Bearer authorization_uri=\"%s/%s\", error=\"invalid_token\", error_description=\"%s\"",
        e->id->endpoint, e->id->tenant_id, text);
    answer_error(e, 401, code, "%s", text);
}

/* Sets caller from the bearer token, or answers 401 and returns false. */
static bool authenticate(struct endpoint *e, bool for_graph)
{
    const char *token = http_bearer(e->req);
    if (token == NULL) {
        answer_challenge(e, "AuthenticationFailed",
                         "Authentication failed. The 'Authorization' header is missing.");
        return false;
    }
    const char *const audiences[] = {e->id->endpoint, "https://management.azure.com",
                                     "https://management.core.windows.net",
                                     for_graph ? "https://graph.microsoft.com" : NULL, NULL};
    struct diag d = DIAG_INIT;
    if (token_read(e->id, token, audiences, e->caller, &d) == OK) return true;
    if (str_eq(d.tag, "Expired")) {
        char text[JWT_SENTENCE_MAX];
        bool dated = jwt_expiry_sentence(token, time_now_us(), text);
        answer_challenge(e, "ExpiredAuthenticationToken",
                         dated ? text : "The access token has expired.");
    } else {
        answer_challenge(e, "InvalidAuthenticationToken", "The access token is invalid.");
    }
    return false;
}

enum who { ANYONE, ARM_TOKEN, GRAPH_TOKEN };

static const struct {
    void (*serve)(struct endpoint *e);
    const char *methods; /* as the Allow header has them */
    enum who who;
} endpoints[ROUTES] = {
    [ROUTE_TOKEN_V1] = {serve_token_request, "POST", ANYONE},
    [ROUTE_TOKEN_V2] = {serve_token_request, "POST", ANYONE},
    [ROUTE_TOKEN_ADFS] = {serve_token_request, "POST", ANYONE},
    [ROUTE_DISCOVERY_V1] = {serve_discovery, "GET, HEAD", ANYONE},
    [ROUTE_DISCOVERY_V2] = {serve_discovery, "GET, HEAD", ANYONE},
    [ROUTE_DISCOVERY_ADFS] = {serve_discovery, "GET, HEAD", ANYONE},
    [ROUTE_INSTANCE] = {serve_instance, "GET, HEAD", ANYONE},
    [ROUTE_KEY_SET] = {serve_key_set, "GET, HEAD", ANYONE},
    [ROUTE_ASSIGNMENTS] = {serve_assignments, "GET, PUT, DELETE", ARM_TOKEN},
    [ROUTE_DEFINITIONS] = {serve_definitions, "GET, PUT, DELETE", ARM_TOKEN},
    [ROUTE_FEDERATION] = {serve_federation, "GET, PUT, DELETE", ARM_TOKEN},
    [ROUTE_IDENTITIES] = {serve_identities, "GET, POST, PATCH, DELETE", ARM_TOKEN},
    [ROUTE_SIGNING_KEYS] = {serve_signing_keys, "GET, POST", ARM_TOKEN},
    [ROUTE_AUTHORIZE] = {serve_authorize, "GET, POST", ANYONE},
    [ROUTE_DEVICE_START] = {serve_device_start, "POST", ANYONE},
    [ROUTE_DEVICE_PAGE] = {serve_device_page, "GET, POST", ANYONE},
    [ROUTE_GRAPH_ME] = {serve_graph, "GET", GRAPH_TOKEN},
    [ROUTE_GRAPH_PRINCIPALS] = {serve_graph, "GET", GRAPH_TOKEN},
    [ROUTE_GRAPH_BY_IDS] = {serve_graph, "POST", GRAPH_TOKEN},
};

void identity_routes(http_route_visit *visit, void *ctx)
{
    enum route r = ROUTE_NONE;
    const char *path;
    for (size_t i = 0; (path = route_at(i, &r)) != NULL; i++) {
        static const char *const planes[] = {
            [ANYONE] = "open", [ARM_TOKEN] = "identity", [GRAPH_TOKEN] = "graph"};
        visit(ctx, planes[endpoints[r].who], endpoints[r].methods, path);
    }
}

static bool is_listed(const char *methods, const char *method)
{
    size_t n = strlen(method);
    const char *at = n != 0 ? strstr(methods, method) : NULL;
    return at != NULL && (at == methods || at[-1] == ' ') && (at[n] == ',' || at[n] == 0);
}

void identity_http(struct identity *id, const struct http_request *req, struct http_response *res)
{
    struct endpoint e = {.id = id, .req = req, .res = res};
    char text[GUID_TEXT_MAX];
    new_id(text);
    http_set(res, "x-ms-request-id", text);
    if (!route_find(req->path, &e.at)) {
        answer_error(&e, 404, "NotFound", "There is nothing at %.200s.", req->path);
        return;
    }
    enum who who = endpoints[e.at.route].who;
    if (!is_listed(endpoints[e.at.route].methods, req->method)) {
        http_set(res, "Allow", endpoints[e.at.route].methods);
        answer_error(&e, 405, "MethodNotAllowed", "%.20s is not possible here.", req->method);
    } else if (who == ANYONE || authenticate(&e, who == GRAPH_TOKEN)) {
        endpoints[e.at.route].serve(&e);
    }
}
