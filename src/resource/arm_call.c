/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm_call.c - one call, from path to reply, through the table of types */
#include "resource/plane.h"

#include "base/log.h"

#define BODY_MAX ((size_t)4 << 20) /* bytes of a request's JSON */

/* --- may it be done? -------------------------------------------------------------------------- */

enum err arm_authorize(struct arm_call *c, const char *action, const char *scope, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum err e =
        identity_authorize(c->arm->c.identity, c->caller->object_id, action, false, scope, &why);
    if (e == ERR_DENIED) {
        return ARM_FAIL(
            c, d, 403, "AuthorizationFailed",
            "The client '%s' with object id '%s' does not have authorization to perform "
            "action '%s' over scope '%s' or the scope is invalid. If access was recently "
            "granted, please refresh your credentials.",
            c->caller->app_id, c->caller->object_id, action, scope);
    }
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    return OK;
}

static enum err check_version(struct arm_call *c, struct diag *d)
{
    c->version_text = http_query(c->req, "api-version");
    if (c->version_text == NULL) c->version_text = c->type->version_default; /* decision 39 */
    if (c->version_text == NULL || c->version_text[0] == '\0') {
        return ARM_FAIL(c, d, 400, "MissingApiVersionParameter",
                        "The api-version query parameter (?api-version=) is required for all "
                        "requests.");
    }
    if (!api_version_parse(c->version_text, &c->version)) {
        return ARM_FAIL(c, d, 400, "InvalidApiVersionParameter",
                        "The api-version '%.40s' is invalid. The supported versions are '%s'.",
                        c->version_text, c->type->versions);
    }
    if (!api_version_at_least(c->version, c->type->version_min)) {
        return ARM_FAIL(
            c, d, 400, "NoRegisteredProviderFound",
            "No registered resource provider found for location 'global' and API version "
            "'%s' for type '%s'. The supported api-versions are '%s'. The supported "
            "locations are 'any'.",
            c->version_text, strchr(c->type->type, '/') + 1, c->type->versions);
    }
    return OK;
}

static enum err check_subscription(struct arm_call *c, struct diag *d)
{
    const char *s = c->id->subscription;
    if (s == NULL && c->id->n != 0 && str_eq_nocase(c->id->types[0], "subscriptions")) {
        s = c->id->names[0];
    }
    if (s == NULL || settings_has_subscription(c->arm, s)) return OK;
    return ARM_FAIL(c, d, 404, "SubscriptionNotFound", "The subscription '%s' could not be found.",
                    s);
}

static enum err check_group(struct arm_call *c, struct diag *d)
{
    if (c->id->group == NULL) return OK;
    char *key =
        arena_fmt(c->a, "/subscriptions/%s/resourcegroups/%s", c->id->subscription, c->id->group);
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    CLEANUP_JSON json_t *group = arm_doc(c->arm, key);
    bool makes = str_eq(c->req->method, "PUT");
    if (makes && str_eq(doc_str(group, "state"), "Deleting")) {
        return arm_group_goes(c, c->id->group, d);
    }
    if (group != NULL) return OK;
    return ARM_FAIL(c, d, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                    c->id->group);
}

/* A part of a resource that is not there is not there either. */
static enum err check_parent(struct arm_call *c, struct diag *d)
{
    const struct arm_id *parent = arm_id_parent(c->a, c->id);
    if (parent == NULL || c->id->group == NULL || c->type->checks_parent) return OK;
    const struct arm_type *t = arm_type_find(parent->type);
    if (t == NULL || t->kind == NULL) return OK;
    CLEANUP_JSON json_t *doc = arm_doc(c->arm, arm_id_key(c->a, parent));
    if (doc != NULL) return OK;
    return ARM_FAIL(c, d, 404, "ParentResourceNotFound",
                    "Failed to perform '%s' on resource of type '%s', because the parent resource "
                    "'%s' could not be found.",
                    c->req->method, c->type->type, arm_id_label(c->a, parent, t->type));
}

static enum err check_locks(struct arm_call *c, struct diag *d)
{
    char scope[ARM_ID_MAX];
    bool deletes = str_eq(c->req->method, "DELETE");
    if (!arm_is_locked(c->arm, c->id_text, c->req->method, scope)) return OK;
    return ARM_FAIL(c, d, 409, "ScopeLocked",
                    "The scope '%s' cannot perform %s operation because following scope(s) are "
                    "locked: '%s'. Please remove the lock and try again.",
                    c->id_text, deletes ? "delete" : "write", scope);
}

static enum err read_body(struct arm_call *c, json_t **out, struct diag *d)
{
    if (c->req->body.len == 0) return OK;
    if (c->req->body.len > BODY_MAX) {
        return ARM_FAIL(c, d, 413, "RequestContentTooLarge",
                        "The request content size exceeds the maximum size of %zu bytes.",
                        BODY_MAX);
    }
    struct diag why = DIAG_INIT;
    if (json_read(c->req->body, out, &why) == OK) return OK;
    return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: '%s'.",
                    why.text);
}

struct verb {
    const char *method, *right; /* of the action that must be granted */
    size_t op;                  /* offset in struct arm_type */
};

static const struct verb verbs[] = {
    {"GET", "read", offsetof(struct arm_type, get)},
    {"PUT", "write", offsetof(struct arm_type, put)},
    {"PATCH", "write", offsetof(struct arm_type, patch)},
    {"DELETE", "delete", offsetof(struct arm_type, remove)},
    {"HEAD", "read", offsetof(struct arm_type, head)},
};

static arm_op *find_action(const struct arm_type *t, const char *name)
{
    for (const struct arm_action *x = t->actions; x != NULL && x->name != NULL; x++) {
        if (str_eq_nocase(x->name, name)) return x->run;
    }
    return NULL;
}

/* What is to be run, and the right that it takes. POST .../{name}/{action} belongs to the parent's
 * type. */
static arm_op *find_op(struct arm_call *c, const char **right)
{
    const char *method = c->req->method;
    if (str_eq(method, "POST")) {
        const struct arm_id *owner = arm_id_parent(c->a, c->id);
        const char *name = c->id->n != 0 ? c->id->types[c->id->n - 1] : "";
        if (owner == NULL || !arm_id_is_collection(c->id)) {
            c->type = arm_type_find(c->id->type);
            *right = "action";
            return c->type != NULL && arm_id_is_collection(c->id) ? c->type->post : NULL;
        }
        c->type = arm_type_find(owner->type);
        if (c->type == NULL) return NULL;
        c->id = owner;
        *right = arena_fmt(c->a, "%s/action", name);
        return find_action(c->type, name);
    }
    c->type = arm_type_find(c->id->type);
    if (c->type == NULL) return NULL;
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (!str_eq(method, verbs[i].method)) continue;
        *right = verbs[i].right;
        if (arm_id_is_collection(c->id)) return i == 0 ? c->type->list : NULL;
        arm_op *op;
        memcpy(&op, (const char *)c->type + verbs[i].op, sizeof op);
        return op;
    }
    return NULL;
}

void arm_routes(http_route_visit *visit, void *ctx)
{
    const struct arm_type *t;
    for (uint32_t i = 0; (t = arm_type_at(i)) != NULL; i++) {
        const char *plane = t->is_open ? "arm-open" : "arm";
        if (t->list != NULL) visit(ctx, plane, "LIST", t->type);
        for (size_t k = 0; k < sizeof verbs / sizeof verbs[0]; k++) {
            arm_op *op;
            memcpy(&op, (const char *)t + verbs[k].op, sizeof op);
            if (op != NULL) visit(ctx, plane, verbs[k].method, t->type);
        }
        if (t->post != NULL) visit(ctx, plane, "POST", t->type);
        for (const struct arm_action *x = t->actions; x != NULL && x->name != NULL; x++) {
            CLEANUP_FREE char *path = str_fmt("%s/*/%s", t->type, x->name);
            if (path != NULL) visit(ctx, plane, "POST", path);
        }
    }
}

static enum err no_such_op(struct arm_call *c, struct diag *d)
{
    if (c->type != NULL) {
        return ARM_FAIL(c, d, 405, "MethodNotAllowed",
                        "The request method '%s' is not supported for the resource type '%s'.",
                        c->req->method, c->type->type);
    }
    return ARM_FAIL(
        c, d, 404, "InvalidResourceType",
        "The resource type '%s' could not be found in the namespace '%s' for api version "
        "'%s'.",
        c->id->n != 0 ? c->id->types[c->id->n - 1] : "", c->id->provider,
        http_query(c->req, "api-version") != NULL ? http_query(c->req, "api-version") : "");
}

static enum err authorize(struct arm_call *c, const char *right, struct diag *d)
{
    if (c->type->is_open) return OK;
    const char *scope = c->id_text;
    if (arm_id_is_collection(c->id)) { /* a list is read at the place it is asked of */
        const char *cut = strrchr(scope, '/');
        const char *providers = strstr(scope, "/providers/");
        if (c->id->scope[0] != '\0') providers = scope + strlen(c->id->scope); /* of an extension */
        bool whole = providers != NULL && arm_id_parent(c->a, c->id) == NULL;
        size_t n = whole ? (size_t)(providers - scope) : (size_t)(cut - scope);
        scope = arena_str(c->a, bytes_of(scope, n != 0 ? n : 1));
    }
    const char *action = arena_fmt(c->a, "%s/%s", c->type->type, right);
    if (scope == NULL || action == NULL) return arena_full(c->a, d);
    c->action = action;
    /* Decision 44: whoever may write a cluster may delete it. */
    if (str_eq(right, "delete") && str_eq(c->type->kind, KIND_CLUSTER)) {
        struct diag unused = DIAG_INIT;
        if (arm_authorize(c, action, scope, &unused) == OK) return OK;
        action = arena_fmt(c->a, "%s/write", c->type->type);
        if (action == NULL) return arena_full(c->a, d);
    }
    return arm_authorize(c, action, scope, d);
}

static enum err call(struct arm_call *c, const char *path, struct diag *d)
{
    struct arm_id *id = arena_new(c->a, struct arm_id);
    if (id == NULL) return arena_full(c->a, d);
    struct diag why = DIAG_INIT;
    if (arm_id_parse(c->a, path, id, &why) != OK) {
        return ARM_FAIL(c, d, 400, "InvalidResourceId", "The resource id is invalid: %s.",
                        why.text);
    }
    c->id = id;
    const char *right = "read";
    arm_op *op = find_op(c, &right);
    if (op == NULL) return no_such_op(c, d);
    c->id_text = arm_id_format(c->a, c->id, c->type->type);
    c->key = arm_id_key(c->a, c->id);
    TRY(check_version(c, d));
    http_set(c->res, "api-supported-versions", c->type->versions);
    TRY(check_subscription(c, d));
    TRY(authorize(c, right, d));
    TRY(check_group(c, d));
    TRY(check_parent(c, d));
    TRY(check_locks(c, d));
    TRY(onboarding_check_write(c, d));
    if (str_eq(c->req->method, "PUT")) TRY(arm_check_registered(c, d));
    CLEANUP_JSON json_t *body = NULL;
    TRY(read_body(c, &body, d));
    c->body = body;
    c->is_served = true;
    enum err e = op(c, d);
    c->body = NULL;
    return e;
}

static void request_ids(struct arm_call *c)
{
    struct guid g;
    char id[GUID_TEXT_MAX], when[TIME_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, id);
    time_format_iso(time_now_us(), when);
    const char *correlation = http_header(c->req, "x-ms-correlation-request-id");
    http_set(c->res, "x-ms-request-id", id);
    c->event = arena_str(c->a, bytes_str(id));
    c->correlation = arena_str(
        c->a, bytes_str(correlation != NULL && strlen(correlation) < 64 ? correlation : id));
    http_set(c->res, "x-ms-correlation-request-id", c->correlation);
    http_setf(c->res, "x-ms-routing-request-id", "LOCAL:%s:%s", when, id);
    http_set(c->res, "Cache-Control", "no-cache");
    http_set(c->res, "Pragma", "no-cache");
    http_set(c->res, "Expires", "-1");
    http_set(c->res, "X-Content-Type-Options", "nosniff");
    http_set(c->res, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
    const char *client = http_header(c->req, "x-ms-client-request-id");
    if (client != NULL && strlen(client) < 128) http_set(c->res, "x-ms-client-request-id", client);
}

static const char *header_of(const struct http_response *res, const char *name)
{
    for (size_t i = 0; i < res->n_headers; i++) {
        if (str_eq_nocase(res->headers[i].name, name)) return res->headers[i].value;
    }
    return NULL;
}

/* --- the activity log ------------------------------------------------------------------------- */

static bool is_told(const struct arm_call *c)
{
    const char *method = c->req->method;
    return c->arm->c.event != NULL && c->action != NULL && !str_eq(method, "GET") &&
           !str_eq(method, "HEAD");
}

struct arm_event arm_event_of(const struct arm_call *c, const char *status)
{
    return (struct arm_event){.id = c->event,
                              .time_us = time_now_us(),
                              .action = c->action,
                              .resource = c->id_text,
                              .caller = c->caller->object_id,
                              .correlation = c->correlation,
                              .operation = "",
                              .peer = c->req->peer,
                              .method = c->req->method,
                              .client_request = http_header(c->req, "x-ms-client-request-id"),
                              .status = status,
                              .code = "",
                              .message = ""};
}

enum err arm_commit(struct arm_call *c, struct change *change, struct diag *d)
{
    bool notes = is_told(c) && !c->is_noted && change->n != 0;
    if (notes) { /* what is told when this is all that comes to be */
        const char *operation = change_puts(change, DOC_OPERATION);
        struct arm_event e = arm_event_of(c, operation != NULL ? "Accepted" : "Succeeded");
        if (operation != NULL) e.operation = operation;
        outbox_put(c->arm, change, &e);
    }
    TRY(docs_commit(c->arm->docs, change, d));
    c->is_noted = c->is_noted || notes;
    return OK;
}

/* What would have changed a resource is told, however it ended. */
static void tell(const struct arm_call *c, const struct diag *failure, int status)
{
    if (!is_told(c)) return;
    const char *operation = header_of(c->res, "Azure-AsyncOperation");
    const char *id = operation != NULL ? strstr(operation, "/operationstatuses/") : NULL;
    struct arm_event e = arm_event_of(c, failure != NULL     ? "Failed"
                                         : operation != NULL ? "Accepted"
                                                             : "Succeeded");
    if (id != NULL) e.operation = arena_str(c->a, bytes_of(id + 19, strcspn(id + 19, "?")));
    if (failure != NULL) {
        e.code = failure->tag;
        e.message = failure->text;
    }
    e.http = status;
    arm_tell(c->arm, &e, c->is_noted);
}

void arm_handle(struct arm *a, const struct http_request *req, const struct caller *caller,
                struct http_response *res)
{
    struct arm_call c = {.arm = a, .a = req->a, .req = req, .res = res, .caller = caller};
    struct diag d = DIAG_INIT;
    request_ids(&c);
    res->status = 0;
    enum err e = call(&c, req->path, &d);
    if (e == OK && c.reply != NULL) {
        http_set(res, "Content-Type", "application/json; charset=utf-8");
        e = json_write(c.reply, &res->body, &d);
    }
    json_decref(c.reply);
    CLEANUP_JSON json_t *details = c.details;
    if (e == OK) {
        tell(&c, NULL, res->status);
        return;
    }
    int status = res->status >= 400 ? res->status : arm_status_of(e);
    tell(&c, &d, status);
    if (!c.is_served) http_set(res, "x-ms-failure-cause", "gateway");
    if (status == 500) LOG(ERROR, "arm.failed", F_STR("path", req->path), F_ERR(&d));
    arm_reply_failure(res, status, e, &d, details);
}
