/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/errors.c - the error codes of both planes, and how they are said */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"

struct api_error {
    const char *tag; /* in diag: the inner code where there is one */
    int status;
    const char *code;
    bool is_inner; /* the tag goes into innererror */
};

static const struct api_error api_errors[] = {
    /* data plane */
    {"BadParameter", 400, "BadParameter", false},
    {"Unauthorized", 401, "Unauthorized", false},
    {"AccessDenied", 403, "Forbidden", true},
    {"ForbiddenByRbac", 403, "Forbidden", true},
    {"ForbiddenByFirewall", 403, "Forbidden", true},
    {"ForbiddenByConnection", 403, "Forbidden", true},
    {"KeyDisabled", 403, "Forbidden", true},
    {"KeyExpired", 403, "Forbidden", true},
    {"KeyNotYetValid", 403, "Forbidden", true},
    {"OperationNotPermitted", 403, "Forbidden", false},
    {"PurgeProtected", 403, "Forbidden", false},
    {"KeyNotFound", 404, "KeyNotFound", false},
    {"VaultNotFound", 404, "VaultNotFound", false},
    {"RoleAssignmentNotFound", 404, "RoleAssignmentNotFound", false},
    {"RoleAssignmentExists", 409, "RoleAssignmentExists", false},
    {"KeyAlreadyExists", 409, "Conflict", true},
    {"ObjectIsDeletedButRecoverable", 409, "Conflict", true},
    {"Throttled", 429, "Throttled", false},
    {"FaultNotFound", 404, "NotFound", false},
    /* either plane */
    {"NotFound", 404, "NotFound", false},
    {"MethodNotAllowed", 405, "MethodNotAllowed", false},
    /* ARM */
    {"BadRequest", 400, "BadRequest", false},
    {"InvalidRequestContent", 400, "InvalidRequestContent", false},
    {"LocationRequired", 400, "LocationRequired", false},
    {"MissingApiVersionParameter", 400, "MissingApiVersionParameter", false},
    {"InvalidApiVersionParameter", 400, "InvalidApiVersionParameter", false},
    {"SkuNotSupported", 400, "SkuNotSupported", false},
    {"VaultNameNotValid", 400, "VaultNameNotValid", false},
    {"AuthenticationFailed", 401, "AuthenticationFailed", false},
    {"InvalidAuthenticationToken", 401, "InvalidAuthenticationToken", false},
    {"ExpiredAuthenticationToken", 401, "ExpiredAuthenticationToken", false},
    {"AuthorizationFailed", 403, "AuthorizationFailed", false},
    {"ResourceNotFound", 404, "ResourceNotFound", false},
    {"DeletedVaultNotFound", 404, "DeletedVaultNotFound", false},
    {"ConflictError", 409, "ConflictError", false},
    {"InvalidResourceLocation", 409, "InvalidResourceLocation", false},
    {"VaultAlreadyExists", 409, "VaultAlreadyExists", false},
};

static const struct api_error *find(const char *tag)
{
    for (size_t i = 0; i < sizeof api_errors / sizeof api_errors[0]; i++) {
        if (str_eq(api_errors[i].tag, tag)) return &api_errors[i];
    }
    return NULL;
}

void kv_reply_json(struct http_response *res, int status, const json_t *j)
{
    res->status = status;
    buf_clear(&res->body);
    if (j == NULL || json_write(j, &res->body, NULL) != OK) {
        buf_clear(&res->body);
        buf_str(&res->body,
                "{\"error\":{\"code\":\"InternalServerError\",\"message\":\"Out of memory.\"}}");
        res->status = 500;
    }
    http_set(res, "Content-Type", "application/json; charset=utf-8");
}

void kv_reply_error(struct http_response *res, enum err e, const struct diag *d)
{
    static const struct api_error unavailable = {"", 503, "ServiceUnavailable", false};
    static const struct api_error ours = {"", 500, "InternalServerError", false};
    const struct api_error *a = find(d->tag);
    const char *message = d->text;
    if (a == NULL) {
        a = e == ERR_UNAVAILABLE ? &unavailable : &ours;
        message = e == ERR_UNAVAILABLE ? "The service is not available now. Please retry."
                                       : "An unexpected error occurred.";
        LOG(ERROR, "keyvault.failed", F_STR("code", err_name(e)), F_ERR(d));
    }
    CLEANUP_JSON json_t *j =
        json_pack("{s:{s:s, s:s}}", "error", "code", a->code, "message", message);
    if (j != NULL && a->is_inner) {
        json_object_set_new(json_object_get(j, "error"), "innererror",
                            json_pack("{s:s}", "code", a->tag));
    }
    kv_reply_json(res, a->status, j);
    if (a->status == 503) http_set(res, "Retry-After", "1");
}

void kv_reply_headers(const struct http_request *req, struct http_response *res)
{
    struct guid id;
    char text[GUID_TEXT_MAX];
    guid_random(&id);
    guid_format(&id, text);
    http_set(res, "Cache-Control", "no-cache");
    http_set(res, "Pragma", "no-cache");
    http_set(res, "Expires", "-1");
    http_set(res, "X-Content-Type-Options", "nosniff");
    http_set(res, "Strict-Transport-Security", "max-age=31536000;includeSubDomains");
    http_set(res, "x-ms-request-id", text);
    http_set(res, "x-ms-keyvault-service-version", "1.9.0.0");
    bool six = strchr(req->peer, ':') != NULL;
    http_setf(res, "x-ms-keyvault-network-info", "conn_type=%s;addr=%s;act_addr_fam=%s;",
              six ? "Ipv6" : "Ipv4", req->peer, six ? "InterNetworkV6" : "InterNetwork");
}
