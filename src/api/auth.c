/* SPDX-License-Identifier: Apache-2.0 */
/* api/auth.c - tokens and rights, and how each plane says no */
#include "api/front.h"
#include "api/kusto.h"

#include "base/log.h"
#include "net/jwt.h"
#include "resource/settings.h"

/* --- audiences -------------------------------------------------------------------------------- */

static void audiences_of(const struct api *a, enum plane plane, const char *out[6])
{
    size_t n = 0;
    switch (plane) {
    case PLANE_ARM:
        out[n++] = "https://management.azure.com";
        out[n++] = "https://management.core.windows.net";
        out[n++] = a->c.endpoint;
        break;
    case PLANE_QUERY:
        out[n++] = "https://api.loganalytics.io";
        out[n++] = "https://api.loganalytics.azure.com";
        out[n++] = a->c.endpoint;
        break;
    case PLANE_KUSTO: /* the first is what /v1/rest/auth/metadata names */
        out[n++] = a->c.endpoint;
        out[n++] = "https://kusto.kusto.windows.net";
        out[n++] = "https://api.loganalytics.io";
        break;
    case PLANE_INGEST: out[n++] = "https://monitor.azure.com"; break;
    }
    out[n] = NULL;
}

/* --- refusals --------------------------------------------------------------------------------- */

static const struct refusal {
    const char *tag; /* of jwt_verify(); NULL = any other */
    const char *arm_code, *query_code, *message;
} refusals[] = {
    {"Expired", "ExpiredAuthenticationToken", "ExpiredAuthenticationToken",
     "The access token has expired."},
    {"Issuer", "InvalidAuthenticationTokenTenant", "InvalidAuthenticationToken",
     "The access token is from the wrong issuer."},
    {"Audience", "InvalidAuthenticationTokenAudience", "InvalidAuthenticationTokenAudience",
     "The access token has been obtained for the wrong audience or resource."},
    {"Signature", "InvalidAuthenticationToken", "InvalidTokenError",
     "The access token's signature is invalid."},
    {NULL, "InvalidAuthenticationToken", "InvalidAuthenticationToken",
     "The access token is invalid."},
};

static const struct refusal *refusal_of(const char *tag)
{
    const struct refusal *r = refusals;
    while (r->tag != NULL && !str_eq(r->tag, tag))
        r++;
    return r;
}

static void challenge(struct front_call *c, const char *description)
{
    http_setf(
        c->res, "WWW-Authenticate",
        "Bearer authorization_uri=\"%s/%s\", error=\"invalid_token\", error_description=\"%s\"",
        c->api->c.endpoint, c->api->c.tenant_id, description);
}

/* What is wrong with the token, in its own figures. NULL: the refusal's words say all. */
static const char *exactly(struct front_call *c, const char *tag)
{
    CLEANUP_JSON json_t *claims = NULL;
    const char *token = http_bearer(c->req);
    if (token == NULL) return NULL;
    if (str_eq(tag, "Expired")) {
        char text[JWT_SENTENCE_MAX];
        return jwt_expiry_sentence(token, time_now_us(), text)
                   ? arena_str(c->req->a, bytes_str(text))
                   : NULL;
    }
    if (jwt_peek(token, &claims, NULL) != OK) return NULL;
    const char *issuer = json_get_str(claims, "iss");
    if (!str_eq(tag, "Issuer") || issuer == NULL) return NULL;
    for (const char *p = issuer; *p != '\0'; p++) { /* it goes into a header too */
        if (*p < ' ' || *p == '"' || *p == '\\' || (unsigned char)*p >= 0x7f) return NULL;
    }
    return arena_fmt(c->req->a,
                     "The access token is from the wrong issuer '%.200s'. It must match the tenant "
                     "'%s/%s' associated with this subscription. Please use the authority (URL) "
                     "'%s/%s' to get the token.",
                     issuer, c->api->c.endpoint, c->api->c.tenant_id, c->api->c.endpoint,
                     c->api->c.tenant_id);
}

/* A key that nobody here knows belongs to another issuer's token: that is what its owner wants to hear. */
static const char *kind_of(struct front_call *c, const char *tag)
{
    CLEANUP_JSON json_t *claims = NULL;
    const char *token = http_bearer(c->req);
    if (!str_eq(tag, "UnknownKey") || token == NULL || jwt_peek(token, &claims, NULL) != OK)
        return tag;
    const char *issuer = json_get_str(claims, "iss");
    return issuer != NULL && strstr(issuer, c->api->c.tenant_id) == NULL ? "Issuer" : tag;
}

static void refuse(struct front_call *c, enum plane plane, const char *tag)
{
    tag = kind_of(c, tag);
    const struct refusal *r = refusal_of(tag);
    const char *words = exactly(c, tag);
    if (words == NULL) words = r->message;
    /* The query API answers 403 to a token that is there but no good; one that is only old is
     * renewed on 401. */
    if (plane == PLANE_QUERY && !str_eq(tag, "Expired")) {
        front_error(c->res, 403, r->query_code, words,
                    str_eq(tag, "Signature") ? "SignatureVerificationFailed" : NULL, NULL);
        return;
    }
    front_error(c->res, 401, r->arm_code, words, NULL, NULL);
    challenge(c, words);
    http_set(c->res, "x-ms-failure-cause", "gateway");
}

bool front_verify(struct front_call *c, enum plane plane)
{
    const char *token = http_bearer(c->req);
    if (token == NULL) {
        static const char text[] = "Authentication failed. The 'Authorization' header is missing.";
        front_error(c->res, 401, "AuthenticationFailed", text, NULL, NULL);
        challenge(c, text);
        http_set(c->res, "x-ms-failure-cause", "gateway");
        return false;
    }
    const char *audiences[6];
    audiences_of(c->api, plane, audiences);
    struct diag d = DIAG_INIT;
    enum err e = identity_verify(c->api->c.identity, token, audiences, &c->caller, &d);
    if (e == OK) return true;
    LOG(INFO, "token.refused", F_STR("path", c->req->path), F_STR("tag", d.tag), F_ERR(&d));
    if (e == ERR_UNAVAILABLE) {
        front_unavailable(c->res, "Tokens can't be verified at the moment.", 1);
    } else {
        refuse(c, plane, d.tag);
    }
    return false;
}

enum err front_who(struct front_call *c, enum plane plane, struct caller *out)
{
    const char *audiences[6];
    struct diag d = DIAG_INIT;
    audiences_of(c->api, plane, audiences);
    return identity_verify(c->api->c.identity, http_bearer(c->req), audiences, out, &d);
}

/* --- rights ----------------------------------------------------------------------------------- */

static void forbid(struct front_call *c, enum plane plane, const char *action, const char *scope)
{
    CLEANUP_FREE char *text = NULL;
    switch (plane) {
    case PLANE_QUERY:
        front_error(c->res, 403, "InsufficientAccessError",
                    "The provided credentials have insufficient access to perform the requested "
                    "operation",
                    NULL, NULL);
        return;
    case PLANE_KUSTO: kusto_forbidden(c, scope); return;
    case PLANE_INGEST:
        text = str_fmt(
            "The authentication token provided does not have access to ingest data for the "
            "data collection rule. Required authorization action was not found for objectId "
            "%s on resourceId %s.",
            c->caller.object_id, scope);
        front_error(c->res, 403, "OperationFailed", text != NULL ? text : "", NULL, NULL);
        return;
    case PLANE_ARM:
        text =
            str_fmt("The client '%s' with object id '%s' does not have authorization to perform "
                    "action '%s' over scope '%s' or the scope is invalid. If access was recently "
                    "granted, please refresh your credentials.",
                    c->caller.app_id, c->caller.object_id, action, scope);
        front_error(c->res, 403, "AuthorizationFailed", text != NULL ? text : "", NULL, NULL);
        return;
    }
}

bool front_allow(struct front_call *c, enum plane plane, const char *action, bool is_data,
                 const char *scope)
{
    struct diag d = DIAG_INIT;
    enum err e =
        identity_authorize(c->api->c.identity, c->caller.object_id, action, is_data, scope, &d);
    if (e == OK) return true;
    if (e == ERR_DENIED) {
        forbid(c, plane, action, scope);
    } else {
        front_unavailable(c->res, "Rights can't be checked at the moment.", 1);
    }
    return false;
}

/* --- networks --------------------------------------------------------------------------------- */

bool front_network(struct front_call *c, enum plane plane, bool closed)
{
    static const char text[] =
        "Public network access is disabled for this resource, and the request "
        "does not come from a private network.";
    if (!closed || settings_is_private(c->api->arm, c->req->peer)) return true;
    LOG(INFO, "network.refused", F_STR("path", c->req->path), F_STR("peer", c->req->peer));
    if (plane == PLANE_KUSTO) {
        kusto_denied(c, text, "PublicNetworkAccessDisabled", text);
    } else if (plane == PLANE_INGEST) {
        front_error(c->res, 403, "PublicNetworkAccessDisabled", text, NULL, NULL);
    } else {
        front_error(c->res, 403, "InsufficientAccessError",
                    "The provided credentials have insufficient access to perform the requested "
                    "operation",
                    "PublicNetworkAccessDisabled", text);
    }
    return false;
}
