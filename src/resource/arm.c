/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm.c - the plane: opened, started, and one call from path to reply through the table of
 * types */
#include "resource/lockbox.h"
#include "resource/plane.h"

#include "base/log.h"

#include <stdlib.h>

#define BODY_MAX ((size_t)4 << 20) /* bytes of a request's JSON */

/* --- life ------------------------------------------------------------------------------------- */

static enum err own(struct arm *a, size_t i, const char **s, struct diag *d)
{
    a->strings[i] = str_dup(*s != NULL ? *s : "");
    if (a->strings[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *s = a->strings[i];
    return OK;
}

static enum err own_hosts(struct arm *a, const char *const *hosts, struct diag *d)
{
    size_t n = 0;
    while (hosts != NULL && hosts[n] != NULL)
        n++;
    a->vault_hosts = calloc(n + 1, sizeof *a->vault_hosts);
    if (a->vault_hosts == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < n; i++) {
        a->vault_hosts[i] = str_dup(hosts[i]);
        if (a->vault_hosts[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    a->c.vault_hosts = a->vault_hosts;
    return OK;
}

enum err arm_open(struct arm **out, const struct arm_config *c, struct diag *d)
{
    CLEANUP(arm_close) struct arm *a = calloc(1, sizeof *a);
    if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&a->forget_lock, NULL);
    pthread_mutex_init(&a->index_writers, NULL);
    pthread_mutex_init(&a->quota_lock, NULL);
    pthread_rwlock_init(&a->index_lock, NULL);
    a->c = *c;
    TRY(own(a, 0, &a->c.endpoint, d));
    TRY(own(a, 1, &a->c.vault_suffix, d));
    TRY(own(a, 2, &a->c.tenant_id, d));
    TRY(own(a, 3, &a->c.subscription_id, d));
    TRY(own(a, 4, &a->c.owner_object_id, d));
    TRY(own_hosts(a, c->vault_hosts, d));
    TRY(docs_open(&a->docs, c->catalog, d));
    TRY(operations_new(&a->operations, a, c->operation_threads, d));
    TRY(index_load(a, d));
    *out = TAKE(a);
    return OK;
}

enum err arm_start(struct arm *a, struct store *store, struct diag *d)
{
    a->store = store;
    TRY(arm_accounts_open(a, d));
    TRY(rewraps_start(a, d));
    return operations_resume(a->operations, d);
}

void arm_stop(struct arm *a)
{
    rewraps_stop(a);
    operations_stop(a->operations);
    a->store = NULL;
}

void arm_close(struct arm *a)
{
    if (a == NULL) return;
    operations_free(a->operations);
    index_release(a);
    docs_close(a->docs);
    for (size_t i = 0; i < sizeof a->strings / sizeof a->strings[0]; i++)
        free(a->strings[i]);
    for (size_t i = 0; a->vault_hosts != NULL && a->vault_hosts[i] != NULL; i++) {
        free((char *)a->vault_hosts[i]);
    }
    free(a->vault_hosts);
    pthread_rwlock_destroy(&a->index_lock);
    pthread_mutex_destroy(&a->index_writers);
    MAP_EACH (&a->quotas, e)
        free(e->value);
    map_release(&a->quotas);
    pthread_mutex_destroy(&a->quota_lock);
    pthread_mutex_destroy(&a->forget_lock);
    free(a);
}

struct docs *arm_docs(struct arm *a)
{
    return a->docs;
}

/* --- failing ---------------------------------------------------------------------------------- */

static const struct {
    int status;
    enum err code;
    const char *name; /* what ARM calls it when nothing more exact is known */
} failures[] = {
    {400, ERR_INVALID, "InvalidRequestContent"},
    {404, ERR_NOT_FOUND, "ResourceNotFound"},
    {409, ERR_CONFLICT, "Conflict"},
    {403, ERR_DENIED, "AuthorizationFailed"},
    {503, ERR_UNAVAILABLE, "ServiceUnavailable"},
    {413, ERR_LIMIT, "RequestContentTooLarge"},
    {412, ERR_CONFLICT, "PreconditionFailed"},
    {403, ERR_KEY_LOCKED, "CustomerManagedKeyUnavailable"},
    {501, ERR_UNSUPPORTED, "NotSupported"},
    {500, ERR_INTERNAL, "InternalServerError"},
};

#define N_FAILURES (sizeof failures / sizeof failures[0])

enum err arm_err_of(int status)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].status == status) return failures[i].code;
    }
    return ERR_INVALID;
}

int arm_status_of(enum err e)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].code == e) return failures[i].status;
    }
    return 500;
}

static const char *name_of(enum err e)
{
    for (size_t i = 0; i < N_FAILURES; i++) {
        if (failures[i].code == e) return failures[i].name;
    }
    return "InternalServerError";
}

static void fail(struct http_response *res, int status, const char *code, const char *message,
                 const json_t *details)
{
    res->status = status;
    http_set(res, "Content-Type", "application/json; charset=utf-8");
    buf_clear(&res->body);
    CLEANUP_JSON json_t *j = json_pack("{s:{s:s, s:s, s:O*}}", "error", "code", code, "message",
                                       message, "details", details);
    struct diag d = DIAG_INIT;
    if (j == NULL || json_write(j, &res->body, &d) != OK) res->body.len = 0;
    if (status == 503 || status == 429) http_set(res, "Retry-After", "1");
}

void arm_error(struct http_response *res, int status, const char *code, const char *message)
{
    fail(res, status, code, message, NULL);
}

enum err arm_not_found(struct arm_call *c, struct diag *d)
{
    return ARM_FAIL(c, d, 404, "ResourceNotFound",
                    "The Resource '%s' under resource group '%s' was not found. For more details "
                    "please go to https://aka.ms/ARMResourceNotFoundFix",
                    arm_id_label(c->a, c->id, c->type->type),
                    c->id->group != NULL ? c->id->group : "<null>");
}

/* --- reading and replying --------------------------------------------------------------------- */

const char *doc_str(const json_t *doc, const char *name)
{
    const char *s = json_string_value(json_object_get(doc, name));
    return s != NULL ? s : "";
}

int64_t doc_int(const json_t *doc, const char *name)
{
    return json_integer_value(json_object_get(doc, name));
}

json_t *arm_doc(struct arm *a, const char *key)
{
    return docs_get(a->docs, DOC_RESOURCE, key);
}

json_t *arm_get_doc(struct arm_call *c)
{
    return arm_doc(c->arm, c->key);
}

enum err arm_need_doc(struct arm_call *c, json_t **out, struct diag *d)
{
    json_t *doc = arm_get_doc(c);
    if (doc == NULL) return arm_not_found(c, d);
    *out = doc;
    return OK;
}

json_t *arm_list_docs(struct arm_call *c, const char *kind)
{
    const struct arm_id *parent = arm_id_parent(c->a, c->id);
    const char *prefix = NULL;
    if (parent != NULL) {
        prefix = arena_fmt(c->a, "%s/", arm_id_key(c->a, parent));
    } else if (c->id->group != NULL) {
        prefix = arena_fmt(c->a, "/subscriptions/%s/resourcegroups/%s/", c->id->subscription,
                           c->id->group);
    } else if (c->id->subscription != NULL) {
        prefix = arena_fmt(c->a, "/subscriptions/%s/", c->id->subscription);
    }
    if (prefix != NULL) {
        char *lower = arena_str(c->a, bytes_str(prefix));
        if (lower != NULL) str_lower(lower);
        prefix = lower;
    }
    return docs_list(c->arm->docs, DOC_RESOURCE, kind, prefix);
}

enum err arm_reply(struct arm_call *c, int status, json_t *reply, struct diag *d)
{
    if (reply == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    json_decref(c->reply);
    c->reply = reply;
    c->res->status = status;
    return OK;
}

enum err arm_reply_list(struct arm_call *c, json_t *values, struct diag *d)
{
    return arm_reply(c, 200, json_pack("{s:o}", "value", values), d);
}

enum err arm_need_body(struct arm_call *c, struct diag *d)
{
    if (json_is_object(c->body)) return OK;
    return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                    "The request content was invalid and could not be deserialized: 'a JSON object "
                    "is expected'.");
}

enum err arm_read_location(struct arm_call *c, const json_t *old, const char **out, struct diag *d)
{
    const char *given = json_get_str(c->body, "location");
    const char *was = json_string_value(json_object_get(old, "location"));
    if (given == NULL || given[0] == '\0') {
        if (was == NULL) {
            return ARM_FAIL(c, d, 400, "LocationRequired",
                            "The location property is required for this definition.");
        }
        *out = arena_str(c->a, bytes_str(was));
        return OK;
    }
    const char *canonical = location_canonical(c->a, given);
    if (was != NULL && !str_eq(was, canonical)) {
        return ARM_FAIL(c, d, 409, "InvalidResourceLocation",
                        "The resource '%s' already exists in location '%s' in resource group '%s'. "
                        "A resource with the same name cannot be created in location '%s'. Please "
                        "select a new resource name.",
                        arm_id_name(c->id), was, c->id->group, canonical);
    }
    *out = canonical;
    return OK;
}

enum err arm_read_tags(struct arm_call *c, json_t **tags, struct diag *d)
{
    json_t *given = json_get(c->body, "tags");
    if (given == NULL || json_is_null(given)) return OK;
    bool good = json_is_object(given);
    const char *name;
    json_t *value;
    json_object_foreach (given, name, value) {
        good = good && (json_is_string(value) || json_is_null(value));
    }
    if (!good) {
        return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                        "The request content was invalid and could not be deserialized: 'tags is "
                        "not an object of strings'.");
    }
    json_decref(*tags);
    *tags = json_deep_copy(given);
    return *tags != NULL ? OK : FAIL(d, ERR_LIMIT, "out of memory");
}

static bool matches(const char *wanted, const char *etag)
{
    if (str_eq(wanted, "*")) return etag != NULL;
    if (etag == NULL) return false;
    size_t n = strlen(etag);
    for (const char *p = strstr(wanted, etag); p != NULL; p = strstr(p + 1, etag)) {
        char before = p == wanted ? ',' : p[-1], after = p[n];
        if ((before == ',' || before == ' ') && (after == '\0' || after == ',' || after == ' '))
            return true;
    }
    return false;
}

enum err arm_check_match(struct arm_call *c, const char *etag, struct diag *d)
{
    const char *must = http_header(c->req, "If-Match");
    const char *must_not = http_header(c->req, "If-None-Match");
    bool good =
        (must == NULL || matches(must, etag)) && (must_not == NULL || !matches(must_not, etag));
    if (good) return OK;
    return ARM_FAIL(c, d, 412, "PreconditionFailed",
                    "The condition specified using HTTP conditional header(s) is not met.");
}

enum err arm_seal(struct arm *a, const char *key, const json_t *secret, json_t *doc, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0}, sealed = {0}, text = {0};
    if (a->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the store is not open");
    TRY(json_write(secret, &plain, d));
    TRY(store_seal(a->store, key, buf_view(&plain), &sealed, d));
    base64_encode(&text, buf_view(&sealed));
    TRY(buf_check(&text, d));
    return json_put(doc, "sealed", json_stringn((const char *)text.p, text.len), d);
}

enum err arm_unseal(struct arm *a, const char *key, const json_t *doc, json_t **secret,
                    struct diag *d)
{
    CLEANUP_BUF struct buf sealed = {0}, plain = {0};
    if (a->store == NULL) return FAIL(d, ERR_UNAVAILABLE, "the store is not open");
    TRY(base64_decode(&sealed, bytes_str(doc_str(doc, "sealed")), d));
    TRY(store_unseal(a->store, key, buf_view(&sealed), &plain, d));
    return json_read(buf_view(&plain), secret, d);
}

json_t *arm_date(enum arm_dates how, int64_t us)
{
    char text[TIME_TEXT_MAX];
    if (how == ARM_DATES_ISO) {
        time_format_iso7(us, text);
    } else {
        time_format_rfc1123(us, text);
    }
    return json_string(text);
}

json_t *arm_tags(const json_t *doc)
{
    json_t *tags = json_object_get(doc, "tags");
    return tags != NULL ? json_incref(tags) : json_object();
}

struct operation_start arm_operation(struct arm_call *c, const struct operation_kind *kind,
                                     const char *location)
{
    return (struct operation_start){.kind = kind,
                                    .resource = c->id_text,
                                    .location = location,
                                    .subscription = c->id->subscription,
                                    .legacy = !api_version_at_least(c->version, "2021-06-01"),
                                    .caller = c->caller->object_id,
                                    .correlation = c->correlation,
                                    .action = c->action};
}

void arm_async_headers(struct arm_call *c, const char *location, const char *operation,
                       bool with_location)
{
    /* The status URL keeps this version whatever the request's was (decision 33). */
    http_setf(c->res, "Azure-AsyncOperation",
              "%s/subscriptions/%s/providers/Microsoft.OperationalInsights/locations/%s/"
              "operationstatuses/%s?api-version=2015-11-01-preview",
              c->arm->c.endpoint, c->id->subscription, location, operation);
    http_set(c->res, "Retry-After", "1");
    if (!with_location) return;
    http_setf(c->res, "Location", "%s%s/operationresults/%s?api-version=%s", c->arm->c.endpoint,
              c->id_text, operation, c->version_text);
}

/* --- one call --------------------------------------------------------------------------------- */

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

void arm_tidy(struct arm *a, int64_t now_us)
{
    workspaces_tidy(a, now_us);
    clusters_tidy(a);
    aeks_tidy(a, now_us);
    lockbox_tidy(a, now_us);
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
    if (s == NULL || str_eq_nocase(s, c->arm->c.subscription_id)) return OK;
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
            return NULL;
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

/* What would have changed a resource is told, however it ended. */
static void tell(const struct arm_call *c, const struct diag *failure, int status)
{
    const char *method = c->req->method;
    if (c->arm->c.event == NULL || c->action == NULL || str_eq(method, "GET") ||
        str_eq(method, "HEAD")) {
        return;
    }
    const char *operation = header_of(c->res, "Azure-AsyncOperation");
    const char *id = operation != NULL ? strstr(operation, "/operationstatuses/") : NULL;
    const struct arm_event e = {
        .action = c->action,
        .resource = c->id_text,
        .caller = c->caller->object_id,
        .correlation = c->correlation,
        .operation = id != NULL ? arena_str(c->a, bytes_of(id + 19, strcspn(id + 19, "?"))) : "",
        .peer = c->req->peer,
        .method = method,
        .client_request = http_header(c->req, "x-ms-client-request-id"),
        .status = failure != NULL     ? "Failed"
                  : operation != NULL ? "Accepted"
                                      : "Succeeded",
        .code = failure != NULL ? failure->tag : "",
        .message = failure != NULL ? failure->text : "",
        .http = status};
    c->arm->c.event(c->arm->c.event_ctx, &e);
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
    if (status == 500) LOG(ERROR, "arm.failed", F_STR("path", req->path), F_ERR(&d));
    fail(res, status, d.tag[0] != '\0' ? d.tag : name_of(e), d.text, details);
}
