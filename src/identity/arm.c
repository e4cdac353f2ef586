/* SPDX-License-Identifier: Apache-2.0 */
/* identity/arm.c - what role assignments and role definitions have in common on the wire */
#include "identity/endpoint.h"

#include <stdio.h>

/* 2022-04-01, with any suffix: new clients bring versions nobody has heard of yet. */
static bool is_version(const char *s)
{
    for (int i = 0; i < 10; i++) {
        bool dash = i == 4 || i == 7;
        if (dash ? s[i] != '-' : s[i] < '0' || s[i] > '9') return false;
    }
    return s[10] == 0 || s[10] == '-';
}

static bool check_version(struct endpoint *e)
{
    const char *version = http_query(e->req, "api-version");
    if (version == NULL || version[0] == 0) {
        answer_error(
            e, 400, "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.");
        return false;
    }
    if (is_version(version)) return true;
    answer_error(e, 400, "InvalidApiVersionParameter",
                 "The api-version '%.60s' is invalid. The supported versions are '%s'.", version,
                 e->at.route == ROUTE_FEDERATION
                     ? "2023-01-31,2022-01-31-preview"
                     : "2022-04-01,2020-04-01-preview,2018-01-01-preview,2015-07-01");
    return false;
}

/* Management groups are not there; "/" is the directory itself. */
static bool check_scope(struct endpoint *e, char scope[RESOURCE_ID_MAX])
{
    char text[RESOURCE_ID_MAX], ours[64];
    struct diag d = DIAG_INIT;
    if (e->at.scope_len >= sizeof text) {
        answer_error(e, 400, "InvalidScope", "The scope is longer than %d bytes.",
                     RESOURCE_ID_MAX - 1);
        return false;
    }
    snprintf(text, sizeof text, "%.*s", (int)e->at.scope_len, e->at.scope);
    if (scope_canonical(text[0] != 0 ? text : "/", scope, &d) != OK) {
        answer_error(e, 400, "InvalidScope", "%s.", d.text);
        return false;
    }
    if (str_eq(scope, "/")) return true;
    const char *asked =
        str_starts(scope, "/subscriptions/") ? scope + strlen("/subscriptions/") : scope;
    snprintf(ours, sizeof ours, "%.*s", (int)strcspn(asked, "/"), asked);
    if (asked != scope && subscription_is_open(e->id, ours)) return true;
    answer_error(e, 404, "SubscriptionNotFound", "The subscription '%.*s' could not be found.",
                 (int)strcspn(asked, "/"), asked);
    return false;
}

bool arm_allow(struct endpoint *e, const char *action, const char *scope)
{
    struct principal p = {0};
    if (rbac_authorize(e->id, e->caller, action, false, scope, NULL) == OK) return true;
    bool known = principal_by_object(e->id, e->caller, &p) && p.client_id[0] != 0;
    answer_error(
        e, 403, "AuthorizationFailed",
        "The client '%s' with object id '%s' does not have authorization to perform action '%s' "
        "over "
        "scope '%s' or the scope is invalid. If access was recently granted, please refresh your "
        "credentials.",
        known ? p.client_id : e->caller, e->caller, action, scope);
    return false;
}

bool arm_enter(struct endpoint *e, const char *action, char scope[RESOURCE_ID_MAX])
{
    return check_version(e) && check_scope(e, scope) && arm_allow(e, action, scope);
}

bool arm_body(struct endpoint *e, json_t **out)
{
    struct diag d = DIAG_INIT;
    if (json_read(e->req->body, out, &d) == OK) return true;
    answer_error(e, 400, "InvalidRequestContent",
                 "The request content was invalid and could not be deserialized: '%.300s'.",
                 d.text);
    return false;
}

bool arm_filter_part(const struct http_request *q, unsigned i, char out[256])
{
    const char *text = http_query(q, "$filter");
    for (; text != NULL && *text != 0; i--) {
        text += strspn(text, " ");
        const char *end = strcasestr(text, " and ");
        size_t n = end != NULL ? (size_t)(end - text) : strlen(text);
        if (i == 0) {
            while (n != 0 && text[n - 1] == ' ')
                n--;
            snprintf(out, 256, "%.*s", (int)(n < 256 ? n : 255), text);
            return n != 0;
        }
        text = end != NULL ? end + strlen(" and ") : NULL;
    }
    return false;
}

bool arm_filter_value(const char *part, const char *name, char out[256])
{
    size_t n = strlen(name);
    if (strncasecmp(part, name, n) != 0) return false;
    part += n;
    bool call = *part == '(';
    if (!call && !str_starts_nocase(part, " eq '")) return false;
    part += call ? 1 : strlen(" eq ");
    if (*part != '\'') return false;
    part++;
    const char *end = strrchr(part, '\'');
    if (end == NULL || !str_eq(end + 1, call ? ")" : "")) return false;
    snprintf(out, 256, "%.*s", (int)(end - part), part);
    return true;
}
