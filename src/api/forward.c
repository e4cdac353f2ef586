/* SPDX-License-Identifier: Apache-2.0 */
/* api/forward.c - requests that belong to another process: tokens to identity, vaults to the vault
 */
#include "api/front.h"

#include "base/log.h"

void forward_identity(struct front_call *c)
{
    struct diag d = DIAG_INIT;
    if (identity_forward(c->api->c.identity, c->req, c->res, &d) == OK) return;
    LOG(WARN, "identity.unreachable", F_ERR(&d));
    front_unavailable(c->res, "The identity service does not answer at the moment.", 1);
}

/* "/providers/microsoft.keyvault/..." anywhere, but not the namespace's own registration. */
bool is_vault_path(const char *path)
{
    static const char ns[] = "/providers/microsoft.keyvault/";
    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
        if (!str_starts_nocase(p, ns)) continue;
        const char *rest = p + sizeof ns - 1;
        return rest[0] != '\0' && !str_eq_nocase(rest, "register") &&
               !str_eq_nocase(rest, "unregister");
    }
    return false;
}

/* Of the request: what a client may say to a vault. */
static const char *const passed_on[] = {"Content-Type",
                                        "Accept",
                                        "If-Match",
                                        "If-None-Match",
                                        "x-ms-client-request-id",
                                        "x-ms-correlation-request-id",
                                        "x-ms-return-client-request-id",
                                        "User-Agent"};
/* Of the answer. */
static const char *const passed_back[] = {"content-type",
                                          "www-authenticate",
                                          "location",
                                          "retry-after",
                                          "azure-asyncoperation",
                                          "etag",
                                          "x-ms-request-id",
                                          "x-ms-correlation-request-id",
                                          "x-ms-client-request-id",
                                          "x-ms-keyvault-service-version",
                                          "x-ms-failure-cause",
                                          "cache-control"};

#define N_PASSED_ON (sizeof passed_on / sizeof passed_on[0])

static void pass_back(struct http_answer *a, struct http_response *res)
{
    res->status = a->status;
    buf_bytes(&res->body, buf_view(&a->body));
    for (size_t i = 0; i < sizeof passed_back / sizeof passed_back[0]; i++) {
        const char *value = http_answer_header(a, passed_back[i]);
        if (value != NULL) http_set(res, passed_back[i], value);
    }
}

static void pass_to_vault(struct front_call *c, const char *target)
{
    const struct http_request *req = c->req;
    const char *headers[N_PASSED_ON + 2];
    size_t n = 0;
    headers[n] = arena_fmt(req->a, "Host: %s", req->authority);
    if (headers[n] != NULL) n++;
    for (size_t i = 0; i < N_PASSED_ON; i++) {
        const char *value = http_header(req, passed_on[i]);
        if (value == NULL || str_eq(passed_on[i], "Content-Type")) continue;
        headers[n] = arena_fmt(req->a, "%s: %s", passed_on[i], value);
        if (headers[n] != NULL) n++;
    }
    headers[n] = NULL;
    const char *url = arena_fmt(req->a, "%s%s", c->api->c.vault_base, target);
    if (url == NULL) {
        front_error(c->res, 413, "RequestEntityTooLarge", "The request is too long.", NULL, NULL);
        return;
    }
    const struct http_call call = {.method = req->method,
                                   .url = url,
                                   .bearer = http_bearer(req),
                                   .headers = headers,
                                   .body = req->body,
                                   .content_type = http_header(req, "Content-Type")};
    CLEANUP_ANSWER struct http_answer answer = {0};
    struct diag d = DIAG_INIT;
    if (http_do(c->api->c.http, &call, &answer, &d) == OK) {
        pass_back(&answer, c->res);
        return;
    }
    LOG(WARN, "vault.unreachable", F_ERR(&d));
    front_unavailable(c->res, "The vault service does not answer at the moment.", 1);
}

void forward_vault(struct front_call *c)
{
    pass_to_vault(c, c->req->target);
}

/* GET .../resources?$filter=resourceType eq 'Microsoft.KeyVault/vaults' is how clients list vaults.
 */
bool forward_vault_list(struct front_call *c)
{
    static const char end[] = "/resources";
    const char *filter = http_query(c->req, "$filter"), *target = c->req->target;
    if (filter == NULL || strcasestr(filter, "'microsoft.keyvault/vaults'") == NULL) return false;
    size_t n = strcspn(target, "?");
    while (n != 0 && target[n - 1] == '/')
        n--;
    if (n < sizeof end - 1) return false;
    n -= sizeof end - 1;
    if (strncasecmp(target + n, end, sizeof end - 1) != 0) return false;
    const char *list =
        arena_fmt(c->req->a, "%.*s/providers/Microsoft.KeyVault/vaults?api-version=2022-07-01",
                  (int)n, target);
    if (list == NULL) return false;
    pass_to_vault(c, list);
    return true;
}
