/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identity/oauth.c - the token endpoints, in the three dialects that clients speak; applications'
 * grant with a secret or an assertion (those of people: grant.c, device.c)
 *
 * v2 takes a scope and answers numbers, v1 a resource and answers strings, ADFS either and answers
 * numbers. The audience is what was asked for, minus one "/.default"; a slash at its end stays.
 */
#include "identity/endpoint.h"

#include "base/log.h"
#include "base/time.h"

#include <stdarg.h>
#include <stdio.h>

/* --- failures, as Entra ID words them
 * ------------------------------------------------------------- */

/* "2026-03-01 00:00:00Z" */
static void timestamp(char out[TIME_TEXT_MAX])
{
    time_format_iso(time_now_us(), out);
    out[10] = ' ';
    snprintf(out + 19, 2, "Z");
}

/* The client's own id where it sent one, so that both logs can be laid side by side. */
static void correlation(const struct http_request *q, char out[GUID_TEXT_MAX])
{
    const char *sent = http_header(q, "client-request-id");
    struct guid g;
    if (sent == NULL) sent = http_query(q, "client-request-id");
    if (sent != NULL && guid_parse(sent, &g, NULL) == OK) {
        guid_format(&g, out);
    } else {
        new_id(out);
    }
}

void answer_oauth_error(struct endpoint *e, int status, const char *error, int code,
                        const char *fmt, ...)
{
    char text[700], when[TIME_TEXT_MAX], trace[GUID_TEXT_MAX], correlated[GUID_TEXT_MAX],
        line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    utf8_mend(text); /* what was cut may end within a character */
    timestamp(when);
    new_id(trace);
    correlation(e->req, correlated);
    snprintf(line, sizeof line, "AADSTS%d: %s Trace ID: %s Correlation ID: %s Timestamp: %s", code,
             text, trace, correlated, when);
    LOG(INFO, "identity.token_refused", F_STR("error", error), F_I64("code", code),
        F_STR("peer", e->req->peer));
    answer_json(e, status,
                json_pack("{s:s, s:s, s:[i], s:s, s:s, s:s, s:s}", "error", error,
                          "error_description", line, "error_codes", code, "timestamp", when,
                          "trace_id", trace, "correlation_id", correlated, "error_uri",
                          "https://login.microsoftonline.com/error"));
}

bool check_tenant(struct endpoint *e, bool generic)
{
    const char *t = e->at.tenant;
    bool is_generic =
        str_eq_nocase(t, "common") || str_eq_nocase(t, "organizations") || str_eq_nocase(t, "adfs");
    if (t[0] == 0 || str_eq_nocase(t, e->id->tenant_id) || (generic && is_generic)) return true;
    answer_oauth_error(
        e, 400, "invalid_request", 90002,
        "Tenant '%s' not found. Check to make sure you have the correct tenant ID and are "
        "signing into the correct cloud.",
        t);
    return false;
}

/* --- reading the request
 * ---------------------------------------------------------------------------- */

const char *form_only(struct token_form *f, const char *name)
{
    const char *value = NULL;
    for (uint32_t i = 0; i < f->n; i++) {
        if (!str_eq(f->fields[i].name, name)) continue;
        f->repeated = f->repeated || value != NULL;
        value = f->fields[i].value;
    }
    return value != NULL && value[0] != 0 ? value : NULL;
}

/* RFC 6749 2.3.1: both halves are form-encoded before they are put together. */
static bool read_basic(struct arena *a, const char *header, struct token_form *f)
{
    CLEANUP_BUF struct buf pair = {0}, user = {0}, secret = {0};
    if (base64_decode(&pair, bytes_str(header + strlen("Basic ")), NULL) != OK || pair.bad)
        return false;
    const uint8_t *colon = pair.len != 0 ? memchr(pair.p, ':', pair.len) : NULL;
    if (colon == NULL || memchr(pair.p, 0, pair.len) != NULL) return false;
    size_t n = (size_t)(colon - pair.p);
    if (percent_decode(&user, bytes_of(pair.p, n), true, NULL) != OK ||
        percent_decode(&secret, bytes_of(colon + 1, pair.len - n - 1), true, NULL) != OK) {
        return false;
    }
    f->client_id = arena_str(a, buf_view(&user));
    f->client_secret = arena_str(a, buf_view(&secret));
    return f->client_id != NULL && f->client_secret != NULL && utf8_valid(buf_view(&user));
}

bool form_read(struct endpoint *e, struct token_form *f)
{
    const struct http_request *q = e->req;
    struct diag d = DIAG_INIT;
    if (http_read_form(q->a, q->body, &f->fields, &f->n, &d) != OK) {
        answer_oauth_error(e, 400, "invalid_request", 900561, "The request body is not a form: %s.",
                           d.text);
        return false;
    }
    f->grant_type = form_only(f, "grant_type");
    f->client_id = form_only(f, "client_id");
    f->client_secret = form_only(f, "client_secret");
    f->assertion = form_only(f, "client_assertion");
    f->assertion_type = form_only(f, "client_assertion_type");
    f->scope = form_only(f, "scope");
    f->resource = form_only(f, "resource");
    if (f->repeated) {
        answer_oauth_error(e, 400, "invalid_request", 9000411, "A parameter is repeated.");
        return false;
    }
    const char *basic = http_header(q, "Authorization");
    if (basic == NULL || !str_starts_nocase(basic, "Basic ") || f->client_secret != NULL)
        return true;
    if (read_basic(q->a, basic, f)) return true;
    answer_oauth_error(e, 401, "invalid_client", 7000218,
                       "The Authorization header cannot be read.");
    return false;
}

bool form_require(struct endpoint *e, const char *value, const char *name)
{
    if (value != NULL) return true;
    answer_oauth_error(e, 400, "invalid_request", 900144,
                       "The request body must contain the following parameter: '%s'.", name);
    return false;
}

/* --- deciding
 * ----------------------------------------------------------------------------------------- */

/* An absolute URI or a GUID, in printable ASCII. */
static bool is_audience(const char *s)
{
    for (const char *p = s; *p != 0; p++) {
        if (*p <= 0x20 || *p > 0x7e || strchr("\"\\<>", *p) != NULL) return false;
    }
    return s[0] != 0;
}

static bool take_scope(struct endpoint *e, struct token_form *f)
{
    static const char suffix[] = "/.default";
    const char *scope = f->scope;
    size_t n = strlen(scope);
    bool one = is_audience(scope) && n < AUDIENCE_MAX;
    if (!one || !str_ends(scope, suffix) || n == sizeof suffix - 1) {
        answer_oauth_error(
            e, 400, "invalid_scope", 1002012,
            "The provided value for scope %.200s is not valid. Client credential flows must "
            "have a scope value with /.default suffixed to the resource identifier "
            "(application ID URI).",
            scope);
        return false;
    }
    snprintf(f->audience, sizeof f->audience, "%.*s", (int)(n - (sizeof suffix - 1)), scope);
    return true;
}

static bool take_resource(struct endpoint *e, struct token_form *f)
{
    if (is_audience(f->resource) && strlen(f->resource) < AUDIENCE_MAX) {
        snprintf(f->audience, sizeof f->audience, "%s", f->resource);
        return true;
    }
    answer_oauth_error(e, 400, "invalid_resource", 500011,
                       "The resource principal named %.200s was not found in the tenant.",
                       f->resource);
    return false;
}

bool form_audience(struct endpoint *e, struct token_form *f)
{
    bool by_resource =
        e->at.route == ROUTE_TOKEN_V1 || (e->at.route == ROUTE_TOKEN_ADFS && f->scope == NULL);
    if (by_resource) return form_require(e, f->resource, "resource") && take_resource(e, f);
    return form_require(e, f->scope, "scope") && take_scope(e, f);
}

static void refuse_secret(struct endpoint *e, const struct principal *p, enum secret_verdict v)
{
    if (v == SECRET_EXPIRED) {
        answer_oauth_error(e, 401, "invalid_client", 7000222,
                           "The provided client secret keys for app '%s' are expired.",
                           p->client_id);
        return;
    }
    answer_oauth_error(
        e, 401, "invalid_client", 7000215,
        "Invalid client secret provided. Ensure the secret being sent in the request is the "
        "client secret value, not the client secret ID, for a secret added to app '%s'.",
        p->client_id);
}

#define ASSERTION_TYPE "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

static bool refuse_type(struct endpoint *e)
{
    answer_oauth_error(e, 400, "invalid_request", 50027, "The client_assertion_type must be '%s'.",
                       ASSERTION_TYPE);
    return false;
}

static int assertion_code(const struct diag *why)
{
    return str_eq(why->tag, "UnknownKey") || str_eq(why->tag, "Signature") ? 700027 : 700024;
}

static bool answer_not_now(struct endpoint *e, const struct diag *why)
{
    LOG(ERROR, "identity.assertion_failed", F_ERR(why));
    answer_oauth_error(e, 503, "temporarily_unavailable", 90033,
                       "A transient error has occurred. Please try again.");
    return false;
}

/* Whom an assertion may be for: the endpoint it is sent to, in any of its spellings. */
static bool check_assertion(struct endpoint *e, const struct token_form *f,
                            const struct principal *p)
{
    char texts[7][ISSUER_MAX + 40];
    const char *audiences[8];
    struct diag d = DIAG_INIT;
    if (!str_eq(f->assertion_type, ASSERTION_TYPE)) return refuse_type(e);
    for (int k = 0; k < 3; k++)
        token_issuer(e->id, (enum token_kind)k, texts[k]);
    snprintf(texts[3], sizeof texts[3], "%s/%s/oauth2/v2.0/token", e->id->endpoint,
             e->id->tenant_id);
    snprintf(texts[4], sizeof texts[4], "%s/%s/oauth2/token", e->id->endpoint, e->id->tenant_id);
    snprintf(texts[5], sizeof texts[5], "%s/adfs/oauth2/token", e->id->endpoint);
    snprintf(texts[6], sizeof texts[6], "%s%s", e->id->endpoint, e->req->path);
    for (int k = 0; k < 7; k++)
        audiences[k] = texts[k];
    audiences[7] = NULL;
    enum err err = assertion_check(e->id, p, f->assertion, audiences, f->audience, &d);
    if (err == OK) return true;
    if (err != ERR_DENIED) return answer_not_now(e, &d);
    answer_oauth_error(e, 401, "invalid_client", assertion_code(&d),
                       "Client assertion failed validation for app '%s': %s.", p->client_id,
                       d.text);
    return false;
}

/* A managed identity has nothing of its own to show: others speak for it, as it says. */
static bool check_federation(struct endpoint *e, const struct token_form *f,
                             const struct principal *p)
{
    struct diag d = DIAG_INIT;
    if (!str_eq(f->assertion_type, ASSERTION_TYPE)) return refuse_type(e);
    enum err err = federation_check(e->id, p, f->assertion, &d);
    if (err == OK) return true;
    if (err != ERR_DENIED) return answer_not_now(e, &d);
    if (str_eq(d.tag, "NoRecord")) {
        answer_oauth_error(e, 400, "invalid_request", 70021, "%s", d.text);
    } else {
        answer_oauth_error(e, 401, "invalid_client", assertion_code(&d),
                           "Client assertion failed validation for managed identity '%s': %s.",
                           p->client_id, d.text);
    }
    return false;
}

static bool is_client(const struct token_form *f, const struct principal *p)
{
    return p->kind == PRINCIPAL_APP ||
           (f->assertion != NULL && f->client_secret == NULL && principal_is_user_assigned(p));
}

static bool check_client(struct endpoint *e, const struct token_form *f, struct principal *out)
{
    if (!principal_by_client(e->id, f->client_id, out) || !is_client(f, out)) {
        answer_oauth_error(
            e, 400, "unauthorized_client", 700016,
            "Application with identifier '%.60s' was not found in the directory '%s'. This "
            "can happen if the application has not been installed by the administrator of "
            "the tenant or consented to by any user in the tenant.",
            f->client_id, e->id->tenant_id);
        return false;
    }
    if (f->client_secret == NULL && f->assertion == NULL) {
        answer_oauth_error(
            e, 401, "invalid_client", 7000218,
            "The request body must contain the following parameter: 'client_assertion' or "
            "'client_secret'.");
        return false;
    }
    if (f->client_secret != NULL) {
        enum secret_verdict v = credential_check_secret(out, f->client_secret);
        if (v != SECRET_GOOD) {
            refuse_secret(e, out, v);
            return false;
        }
    } else if (out->kind == PRINCIPAL_APP ? !check_assertion(e, f, out)
                                          : !check_federation(e, f, out)) {
        return false;
    }
    if (!out->is_disabled) return true;
    answer_oauth_error(e, 401, "invalid_client", 7000112, "Application '%s'(%s) is disabled.",
                       out->client_id, out->name);
    return false;
}

static json_t *answer_of(enum route route, const char *audience, const char *token,
                         int64_t expires_us)
{
    int64_t expires_s = expires_us / US_PER_S;
    char on[24], before[24];
    snprintf(on, sizeof on, "%lld", (long long)expires_s);
    snprintf(before, sizeof before, "%lld", (long long)(expires_s - TOKEN_LIFE_S));
    if (route == ROUTE_TOKEN_V1) {
        return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s}", "token_type", "Bearer",
                         "expires_in", "3599", "ext_expires_in", "3599", "expires_on", on,
                         "not_before", before, "resource", audience, "access_token", token);
    }
    return json_pack("{s:s, s:i, s:i, s:s}", "token_type", "Bearer", "expires_in", TOKEN_LIFE_S - 1,
                     "ext_expires_in", TOKEN_LIFE_S - 1, "access_token", token);
}

static enum token_kind kind_of(enum route route)
{
    return route == ROUTE_TOKEN_V1 ? TOKEN_V1 : route == ROUTE_TOKEN_V2 ? TOKEN_V2 : TOKEN_ADFS;
}

/* Applications speak for themselves. */
static void grant_client(struct endpoint *e, struct token_form *f)
{
    CLEANUP_BUF struct buf token = {0};
    struct principal p;
    struct diag d = DIAG_INIT;
    int64_t expires_us = 0;
    if (!form_require(e, f->client_id, "client_id") || !form_audience(e, f) ||
        !check_client(e, f, &p)) {
        return;
    }
    const struct token_wish w = {.kind = kind_of(e->at.route),
                                 .principal = &p,
                                 .audience = f->audience,
                                 .acr = f->client_secret != NULL ? "1" : "2"};
    if (token_issue(e->id, &w, &token, &expires_us, &d) != OK) {
        LOG(ERROR, "identity.token_failed", F_ERR(&d));
        answer_oauth_error(e, 500, "server_error", 90033,
                           "A transient error has occurred. Please try again.");
        return;
    }
    answer_json(e, 200, answer_of(e->at.route, f->audience, buf_cstr(&token), expires_us));
}

void serve_token_request(struct endpoint *e)
{
    static const struct {
        const char *name;
        void (*grant)(struct endpoint *e, struct token_form *f);
    } grants[] = {
        {"client_credentials", grant_client},
        {"authorization_code", grant_code},
        {"refresh_token", grant_refresh},
        {"urn:ietf:params:oauth:grant-type:device_code", grant_device},
        {"device_code", grant_device}, /* as v1 has it */
    };
    struct token_form f = {0};
    if (!check_tenant(e, false) || !form_read(e, &f) ||
        !form_require(e, f.grant_type, "grant_type")) {
        return;
    }
    for (size_t i = 0; i < sizeof grants / sizeof *grants; i++) {
        if (!str_eq(grants[i].name, f.grant_type)) continue;
        grants[i].grant(e, &f);
        return;
    }
    answer_oauth_error(e, 400, "unsupported_grant_type", 70003,
                       "The app requested an unsupported grant type '%.60s'.", f.grant_type);
}
