/* SPDX-License-Identifier: Apache-2.0 */
/* api/front.c - from path to endpoint, through one table */
#include "api/activity.h"
#include "api/front.h"

struct route {
    const char *path;                  /* exact, or a prefix where it ends in '/' */
    bool (*matches)(const char *path); /* instead of path */
    const char *behind;                /* of a row with matches: whose table the paths are in */
    const char *methods;               /* comma-separated; NULL = any: the endpoint says itself */
    bool needs_store;
    endpoint *run;
};

/* In order: what is more special comes first. */
static const struct route routes[] = {
    {.path = "/healthz", .methods = "GET,HEAD", .run = health_live},
    {.path = "/readyz", .methods = "GET,HEAD", .run = health_ready},
    {.path = "/metrics", .methods = "GET", .run = health_metrics},
    {.matches = identity_owns_path, .behind = "identity", .run = forward_identity},
    {.path = "/metadata/endpoints", .methods = "GET", .run = metadata_endpoint},
    {.matches = is_vault_path, .behind = "vault", .run = forward_vault},
    {.path = "/admin/clock", .methods = "GET,POST", .run = admin_clock},
    {.path = "/admin/resource-settings",
     .methods = "GET,PATCH",
     .needs_store = true,
     .run = admin_settings},
    {.path = "/admin/keys/status", .methods = "GET", .needs_store = true, .run = admin_keys},
    {.path = "/admin/keys/rewrap", .methods = "GET,POST", .needs_store = true, .run = admin_rewrap},
    {.path = "/admin/keys/rotate-aek",
     .methods = "POST",
     .needs_store = true,
     .run = admin_rotate_aek},
    {.path = "/admin/keys/unlock", .methods = "POST", .needs_store = true, .run = admin_unlock},
    {.path = "/admin/lockbox", .methods = "POST", .needs_store = true, .run = admin_lockbox},
    {.path = "/datacollectionrules/", .methods = "POST", .needs_store = true, .run = ingest_rows},
    {.path = "/v1/$batch", .methods = "POST", .needs_store = true, .run = query_batch},
    {.path = "/v2/track", .methods = "POST", .needs_store = true, .run = track_telemetry},
    {.path = "/v2.1/track", .methods = "POST", .needs_store = true, .run = track_telemetry},
    {.path = "/v1/workspaces/", .methods = "GET,POST", .needs_store = true, .run = query_workspace},
    {.path = "/v1/subscriptions/",
     .methods = "GET,POST",
     .needs_store = true,
     .run = query_resource},
    {.path = "/v1/rest/auth/metadata", .methods = "GET", .run = kusto_metadata},
    {.path = "/v1/rest/query", .methods = "GET,POST", .needs_store = true, .run = kusto_query_v1},
    {.path = "/v2/rest/query", .methods = "GET,POST", .needs_store = true, .run = kusto_query_v2},
    {.path = "/v1/rest/mgmt", .methods = "POST", .needs_store = true, .run = kusto_mgmt},
    {.matches = is_activity_path,
     .behind = "activity log",
     .methods = "GET",
     .needs_store = true,
     .run = activity_list},
    {.matches = is_arm_query_path,
     .behind = "arm query",
     .methods = "GET,POST",
     .needs_store = true,
     .run = query_arm},
    {.path = "/subscriptions/", .needs_store = true, .run = arm_endpoint},
    {.path = "/subscriptions", .needs_store = true, .run = arm_endpoint},
    {.path = "/tenants", .needs_store = true, .run = arm_endpoint},
    {.path = "/providers/", .needs_store = true, .run = arm_endpoint},
    {.path = "/providers", .needs_store = true, .run = arm_endpoint},
};

void api_routes(http_route_visit *visit, void *ctx)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct route *r = &routes[i];
        visit(ctx, "front", r->methods != NULL ? r->methods : "any",
              r->path != NULL     ? r->path
              : r->behind != NULL ? r->behind
                                  : "a row without a name");
    }
    identity_routes(visit, ctx);
    arm_routes(visit, ctx);
}

static bool route_matches(const struct route *r, const char *path)
{
    if (r->matches != NULL) return r->matches(path);
    size_t n = strlen(r->path);
    if (r->path[n - 1] == '/') return str_starts_nocase(path, r->path);
    return str_starts_nocase(path, r->path) && (path[n] == '\0' || str_eq(path + n, "/"));
}

static bool method_listed(const char *methods, const char *method)
{
    size_t n = strlen(method);
    for (const char *p = methods; *p != '\0';) {
        size_t len = strcspn(p, ",");
        if (len == n && memcmp(p, method, n) == 0) return true;
        p += len;
        if (*p == ',') p++;
    }
    return false;
}

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        if (route_matches(&routes[i], path)) return &routes[i];
    }
    return NULL;
}

static void answer(struct front_call *c)
{
    const struct route *r = find_route(c->req->path);
    if (r == NULL) {
        front_error(c->res, 404, "PathNotFoundError", "The requested path does not exist", NULL,
                    NULL);
    } else if (r->methods != NULL && !method_listed(r->methods, c->req->method)) {
        front_error(c->res, 405, "MethodNotAllowed", "The method is not allowed on this path", NULL,
                    NULL);
        http_set(c->res, "Allow", r->methods);
    } else if (r->needs_store && atomic_load(&c->api->store) == NULL) {
        front_unavailable(c->res, "The server is starting: it waits for the platform's key.", 1);
    } else {
        r->run(c);
        if (r->run == forward_vault || r->run == forward_identity) activity_forwarded(c);
    }
}

void api_handler(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct front_call c = {.api = ctx, .req = req, .res = res};
    answer(&c);
    unsigned digit = (unsigned)res->status / 100;
    atomic_fetch_add(&c.api->metrics.requests[digit < 6 ? digit : 5], 1);
}

/* --- failing ---------------------------------------------------------------------------------- */

void front_json(struct http_response *res, int status, const json_t *j)
{
    struct diag d = DIAG_INIT;
    res->status = status;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    buf_clear(&res->body);
    if (j == NULL || json_write(j, &res->body, &d) != OK) {
        buf_clear(&res->body);
        res->status = 500;
    }
}

void front_error(struct http_response *res, int status, const char *code, const char *message,
                 const char *inner_code, const char *inner_message)
{
    CLEANUP_JSON json_t *error = json_pack("{s:s, s:s}", "code", code, "message", message);
    if (inner_code != NULL) {
        json_t *inner = json_pack("{s:s}", "code", inner_code);
        if (inner_message != NULL) {
            json_object_set_new(inner, "message", json_string(inner_message));
        }
        json_object_set_new(error, "innererror", inner);
    }
    CLEANUP_JSON json_t *j = json_pack("{s:O}", "error", error);
    front_json(res, status, j);
    http_set(res, "x-ms-error-code", code);
}

void front_unavailable(struct http_response *res, const char *message, unsigned retry_s)
{
    front_error(res, 503, "ServiceUnavailable", message, NULL, NULL);
    http_setf(res, "Retry-After", "%u", retry_s);
}

/* --- the resource plane ----------------------------------------------------------------------- */

void arm_endpoint(struct front_call *c)
{
    if (forward_vault_list(c)) return;
    if (!front_verify(c, PLANE_ARM) || !delete_vaults_of_group(c)) return;
    arm_handle(c->api->arm, c->req, &c->caller, c->res);
}

void metadata_endpoint(struct front_call *c)
{
    arm_metadata(c->api->arm, c->req, c->res);
}
