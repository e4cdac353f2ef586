/* SPDX-License-Identifier: Apache-2.0 */
/* api/forward.c - requests that belong to another process: tokens to identity, vaults to the vault
 */
#include "api/front.h"

#include "base/log.h"
#include "resource/apiversion.h"

static bool is_locked(struct front_call *c);

void forward_identity(struct front_call *c)
{
    if (is_locked(c)) return;
    struct diag d = DIAG_INIT;
    if (identity_forward(c->api->c.identity, c->req, c->res, &d) == OK) return;
    LOG(WARN, "identity.unreachable", F_ERR(&d));
    front_unavailable(c->res, "The identity service does not answer at the moment.", 1);
}

/* "/providers/microsoft.keyvault/..." anywhere, but neither the namespace's own registration nor
 * what other providers keep of a vault: locks, diagnostic settings. */
bool is_vault_path(const char *path)
{
    static const char ns[] = "/providers/microsoft.keyvault/";
    for (const char *p = strchr(path, '/'); p != NULL; p = strchr(p + 1, '/')) {
        if (!str_starts_nocase(p, ns)) continue;
        const char *rest = p + sizeof ns - 1;
        return rest[0] != '\0' && !str_eq_nocase(rest, "register") &&
               !str_eq_nocase(rest, "unregister") && strcasestr(rest, "/providers/") == NULL;
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

/* A lock holds whoever serves the resource. */
static bool is_locked(struct front_call *c)
{
    char scope[ARM_ID_MAX];
    if (!arm_is_locked(c->api->arm, c->req->path, c->req->method, scope)) return false;
    CLEANUP_FREE char *text =
        str_fmt("The scope '%s' cannot perform %s operation because following "
                "scope(s) are locked: '%s'. Please remove the lock and try "
                "again.",
                c->req->path, str_eq(c->req->method, "DELETE") ? "delete" : "write", scope);
    front_error(c->res, 409, "ScopeLocked", text != NULL ? text : "", NULL, NULL);
    return true;
}

void forward_vault(struct front_call *c)
{
    if (is_locked(c)) return;
    pass_to_vault(c, c->req->target);
}

/* GET .../resources?$filter=resourceType eq 'Microsoft.KeyVault/vaults' is how clients list vaults.
 */
bool forward_vault_list(struct front_call *c)
{
    static const char end[] = "/resources";
    const char *filter = http_query(c->req, "$filter"), *target = c->req->target;
    if (filter == NULL || !str_eq_nocase(filter, "resourceType eq 'Microsoft.KeyVault/vaults'")) {
        return false;
    }
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

/* --- vaults among the resources --------------------------------------------------------------- */

static enum err ask_vault(struct api *a, const struct http_request *req, const char *method,
                          const char *path, struct http_answer *answer, struct diag *d)
{
    CLEANUP_FREE char *url = str_fmt("%s%s?api-version=2022-07-01", a->c.vault_base, path);
    if (url == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const struct http_call call = {
        .method = method, .url = url, .bearer = http_bearer(req), .timeout_ms = 10000};
    return http_do(a->c.http, &call, answer, d);
}

json_t *vaults_below(void *api, const struct http_request *req, const char *prefix)
{
    size_t n = strlen(prefix);
    CLEANUP_FREE char *path = str_fmt("%.*s/providers/Microsoft.KeyVault/vaults",
                                      (int)(n != 0 && prefix[n - 1] == '/' ? n - 1 : n), prefix);
    CLEANUP_ANSWER struct http_answer answer = {0};
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    if (path == NULL || ask_vault(api, req, "GET", path, &answer, &d) != OK ||
        answer.status != 200 || json_read(buf_view(&answer.body), &body, &d) != OK) {
        LOG(WARN, "vaults.unlisted", F_U64("status", (uint64_t)answer.status), F_ERR(&d));
        return NULL;
    }
    return json_incref(json_get(body, "value"));
}

int vault_status(void *api, const struct http_request *req, const char *id)
{
    CLEANUP_ANSWER struct http_answer answer = {0};
    struct diag d = DIAG_INIT;
    return ask_vault(api, req, "GET", id, &answer, &d) == OK ? answer.status : 0;
}

/* "/subscriptions/{s}/resourceGroups/{rg}", nothing behind it. */
static bool is_group_path(const char *path)
{
    size_t slashes = 0, n = strlen(path);
    while (n != 0 && path[n - 1] == '/')
        n--;
    for (size_t i = 0; i < n; i++)
        slashes += path[i] == '/' ? 1 : 0;
    return slashes == 4 && strcasestr(path, "/resourceGroups/") != NULL;
}

/* Will the resource plane delete it? What it refuses must not have cost any vault. */
static bool is_group(struct front_call *c)
{
    struct api_version v;
    const char *version = http_query(c->req, "api-version");
    char *key = arena_str(c->req->a, bytes_str(c->req->path));
    if (version == NULL || !api_version_parse(version, &v) || key == NULL) return false;
    str_lower(key);
    size_t n = strlen(key);
    while (n != 0 && key[n - 1] == '/')
        key[--n] = '\0';
    CLEANUP_JSON json_t *group = docs_get(arm_docs(c->api->arm), DOC_RESOURCE, key);
    return group != NULL;
}

bool delete_vaults_of_group(struct front_call *c)
{
    if (!str_eq(c->req->method, "DELETE") || !is_group_path(c->req->path) || !is_group(c)) {
        return true;
    }
    if (is_locked(c)) return false;
    if (!front_allow(c, PLANE_ARM, "Microsoft.Resources/subscriptions/resourceGroups/delete", false,
                     c->req->path)) {
        return false;
    }
    CLEANUP_JSON json_t *vaults = vaults_below(c->api, c->req, c->req->path);
    size_t i;
    json_t *vault;
    json_array_foreach (vaults, i, vault) {
        CLEANUP_ANSWER struct http_answer answer = {0};
        struct diag d = DIAG_INIT;
        const char *id = json_get_str(vault, "id");
        if (id == NULL || ask_vault(c->api, c->req, "DELETE", id, &answer, &d) != OK) {
            front_unavailable(c->res, "The vault service does not answer at the moment.", 1);
            return false;
        }
        if (answer.status >= 300) {
            pass_back(&answer, c->res);
            return false;
        }
    }
    return true;
}
