/* SPDX-License-Identifier: Apache-2.0 */
/* identity/arm_assignment.c - Microsoft.Authorization/roleAssignments */
#include "identity/endpoint.h"

#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

#define WRITE  "Microsoft.Authorization/roleAssignments/write"
#define READ   "Microsoft.Authorization/roleAssignments/read"
#define DELETE "Microsoft.Authorization/roleAssignments/delete"

/* --- shapes
 * -------------------------------------------------------------------------------------------- */

static json_t *text_or_null(const char *s)
{
    return s[0] != 0 ? json_string(s) : json_null();
}

static json_t *assignment_json(const struct identity *id, const struct assignment *a)
{
    char role[200], self[RESOURCE_ID_MAX + 128], created[TIME_TEXT_MAX], updated[TIME_TEXT_MAX];
    const char *below = str_eq(a->scope, "/") ? "" : a->scope;
    snprintf(self, sizeof self, "%s/providers/Microsoft.Authorization/roleAssignments/%s", below,
             a->name);
    snprintf(role, sizeof role,
             "/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s",
             id->subscription_id, a->role_id);
    time_format_iso7(a->created_us, created);
    time_format_iso7(a->updated_us, updated);
    return json_pack(
        "{s:{s:s, s:s, s:s, s:s, s:o, s:n, s:n, s:s, s:s, s:o, s:o, s:n}, s:s, s:s, s:s}",
        "properties", "roleDefinitionId", role, "principalId", a->principal_id, "principalType",
        a->principal_type, "scope", a->scope, "description", text_or_null(a->description),
        "condition", "conditionVersion", "createdOn", created, "updatedOn", updated, "createdBy",
        text_or_null(a->created_by), "updatedBy", text_or_null(a->updated_by),
        "delegatedManagedIdentityResourceId", "type", "Microsoft.Authorization/roleAssignments",
        "name", a->name, "id", self);
}

static bool copy(const char *from, char *to, size_t size)
{
    return (size_t)snprintf(to, size, "%s", from != NULL ? from : "") < size;
}

/* --- PUT -------------------------------------------------------------------------------------- */

/* Sets role_id when there is such a role and it may be assigned at the scope. */
static bool read_role(struct endpoint *e, const char *definition_id, struct assignment *a)
{
    const char *slash = definition_id != NULL ? strrchr(definition_id, '/') : NULL;
    LOCK_SCOPE(&e->id->lock);
    const struct role *r = slash != NULL ? role_known(e->id, slash + 1) : NULL;
    if (r == NULL) {
        answer_error(e, 400, "RoleDefinitionDoesNotExist",
                     "The specified role definition with ID '%.200s' does not exist.",
                     definition_id != NULL ? definition_id : "");
        return false;
    }
    const struct custom_role *c = role_custom(e->id, r->id);
    bool fits = c == NULL;
    for (size_t i = 0; c != NULL && c->scopes[i] != NULL; i++)
        fits = fits || scope_covers(c->scopes[i], a->scope);
    if (!fits) {
        answer_error(e, 400, "InvalidRoleAssignmentScope",
                     "The role '%.200s' is not assignable at scope '%s'.", r->name, a->scope);
        return false;
    }
    return copy(r->id, a->role_id, sizeof a->role_id);
}

static bool read_principal(struct endpoint *e, const json_t *properties, struct assignment *a)
{
    static const char *const types[] = {"User", "Group", "ServicePrincipal", "ForeignGroup",
                                        "Device"};
    const char *principal = json_get_str(properties, "principalId");
    const char *type = json_get_str(properties, "principalType");
    struct principal known;
    struct guid g;
    if (principal == NULL || guid_parse(principal, &g, NULL) != OK) {
        answer_error(e, 400, "InvalidPrincipalId",
                     "The Principal ID '%.60s' is not valid. Principal ID must be a GUID.",
                     principal != NULL ? principal : "");
        return false;
    }
    guid_format(&g, a->principal_id);
    bool is_ours = principal_by_object(e->id, a->principal_id, &known);
    const char *canonical = NULL;
    for (size_t i = 0; type != NULL && i < sizeof types / sizeof *types; i++) {
        if (str_eq_nocase(types[i], type)) canonical = types[i];
    }
    if (is_ours) {
        canonical = known.kind == PRINCIPAL_PERSON  ? "User"
                    : known.kind == PRINCIPAL_GROUP ? "Group"
                                                    : "ServicePrincipal";
    }
    if (canonical == NULL) { /* who names the type vouches for a principal of another directory */
        answer_error(e, 400, "PrincipalNotFound",
                     "Principal %s does not exist in the directory %s.", a->principal_id,
                     e->id->tenant_id);
        return false;
    }
    return copy(canonical, a->principal_type, sizeof a->principal_type);
}

static bool read_body(struct endpoint *e, struct assignment *a)
{
    CLEANUP_JSON json_t *body = NULL;
    if (!arm_body(e, &body)) return false;
    const json_t *properties = json_get(body, "properties");
    if (!read_role(e, json_get_str(properties, "roleDefinitionId"), a)) return false;
    /* Without this a narrowed grant would be a full one. */
    const char *condition = json_get_str(properties, "condition");
    if (condition != NULL && condition[0] != 0) {
        answer_error(e, 400, "ConditionNotSupported",
                     "Conditions on role assignments are not supported.");
        return false;
    }
    if (!copy(json_get_str(properties, "description"), a->description, sizeof a->description)) {
        answer_error(e, 400, "InvalidRequestContent", "The description is longer than %zu bytes.",
                     sizeof a->description - 1);
        return false;
    }
    return read_principal(e, properties, a);
}

static void put(struct endpoint *e, const char *scope)
{
    struct assignment a = {.created_us = time_now_us()};
    struct diag d = DIAG_INIT;
    struct guid g;
    bool created = false;
    if (guid_parse(e->at.name, &g, NULL) != OK) {
        answer_error(
            e, 400, "InvalidRoleAssignmentId",
            "The role assignment ID '%s' is not valid. The role assignment ID must be a GUID.",
            e->at.name);
        return;
    }
    guid_format(&g, a.name);
    a.updated_us = a.created_us;
    (void)copy(scope, a.scope, sizeof a.scope);
    (void)copy(e->caller, a.created_by, sizeof a.created_by);
    (void)copy(e->caller, a.updated_by, sizeof a.updated_by);
    if (!read_body(e, &a)) return;
    enum err err = assignment_put(e->id, &a, &a, &created, &d);
    if (err == OK) {
        answer_json(e, created ? 201 : 200, assignment_json(e->id, &a));
    } else if (err == ERR_CONFLICT || err == ERR_LIMIT) {
        answer_error(e, err == ERR_CONFLICT ? 409 : 400, d.tag, "%s", d.text);
    } else {
        answer_error(e, 503, "ServiceUnavailable", "The role assignment could not be stored.");
    }
}

/* --- GET, DELETE, LIST
 * ------------------------------------------------------------------------------------- */

static void get(struct endpoint *e, const char *scope)
{
    struct assignment a;
    if (assignment_get(e->id, e->at.name, scope, &a)) {
        answer_json(e, 200, assignment_json(e->id, &a));
    } else {
        answer_error(e, 404, "RoleAssignmentNotFound", "The role assignment '%s' is not found.",
                     e->at.name);
    }
}

static void take_away(struct endpoint *e, const char *scope)
{
    struct assignment a;
    if (!assignment_get(e->id, e->at.name, scope, &a)) {
        e->res->status = 204;
    } else if (assignment_delete(e->id, a.name, NULL) == OK) {
        answer_json(e, 200, assignment_json(e->id, &a));
    } else {
        answer_error(e, 503, "ServiceUnavailable", "The role assignment could not be removed.");
    }
}

#define PAGE 500 /* assignments of one answer */

struct filter {
    const char *scope;
    bool at_scope; /* at the scope and above, not below */
    char principal[256];
};

static bool read_filter(struct endpoint *e, struct filter *f)
{
    char part[256];
    for (unsigned i = 0; arm_filter_part(e->req, i, part); i++) {
        if (str_eq_nocase(part, "atScope()")) {
            f->at_scope = true;
        } else if (!arm_filter_value(part, "principalId", f->principal) &&
                   !arm_filter_value(part, "assignedTo", f->principal)) {
            answer_error(e, 400, "UnsupportedQuery", "The filter '%s' is not supported.", part);
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct assignment *a, const void *ctx)
{
    const struct filter *f = ctx;
    if (f->principal[0] != 0 && !str_eq_nocase(f->principal, a->principal_id)) return false;
    return scope_covers(a->scope, f->scope) || (!f->at_scope && scope_covers(f->scope, a->scope));
}

/* A page goes on behind the name that $skipToken carries. */
static bool read_skip(struct endpoint *e, char after[GUID_TEXT_MAX])
{
    const char *token = http_query(e->req, "$skipToken");
    struct guid g;
    after[0] = 0;
    if (token == NULL) return true;
    if (guid_parse(token, &g, NULL) != OK) {
        answer_error(e, 400, "InvalidSkipToken", "The skip token '%.60s' is invalid.", token);
        return false;
    }
    guid_format(&g, after);
    return true;
}

/* The same question, behind the last of this page. */
static json_t *next_link(const struct endpoint *e, const char *last)
{
    const char *filter = http_query(e->req, "$filter");
    CLEANUP_BUF struct buf url = {0};
    buf_fmt(&url, "%s%.*s?api-version=", e->id->endpoint, (int)strcspn(e->req->target, "?"),
            e->req->target);
    percent_encode(&url, bytes_str(http_query(e->req, "api-version")));
    if (filter != NULL) {
        buf_fmt(&url, "&$filter=");
        percent_encode(&url, bytes_str(filter));
    }
    buf_fmt(&url, "&$skipToken=%s", last);
    return json_string(buf_cstr(&url));
}

static json_t *page_json(const struct endpoint *e, const struct assignment *found, size_t n,
                         bool more)
{
    CLEANUP_JSON json_t *value = json_array();
    for (size_t i = 0; i < n; i++) {
        if (json_array_append_new(value, assignment_json(e->id, &found[i])) != 0) return NULL;
    }
    if (!more) return json_pack("{s:O}", "value", value);
    return json_pack("{s:O, s:o}", "value", value, "nextLink", next_link(e, found[n - 1].name));
}

static void list(struct endpoint *e, const char *scope)
{
    struct filter f = {.scope = scope};
    char after[GUID_TEXT_MAX];
    CLEANUP_FREE struct assignment *found = NULL;
    size_t n = 0;
    bool more = false;
    if (!read_filter(e, &f) || !read_skip(e, after)) return;
    const struct assignment_page page = {is_wanted, &f, after, PAGE};
    bool good = assignment_list(e->id, &page, &found, &n, &more, NULL) == OK;
    answer_json(e, 200, good ? page_json(e, found, n, more) : NULL);
}

void serve_assignments(struct endpoint *e)
{
    char scope[RESOURCE_ID_MAX];
    bool is_list = e->at.name[0] == 0;
    if (str_eq(e->req->method, "GET")) {
        if (!arm_enter(e, READ, scope)) return;
        if (is_list) {
            list(e, scope);
        } else {
            get(e, scope);
        }
    } else if (is_list) {
        answer_error(e, 405, "MethodNotAllowed", "%s needs the name of a role assignment.",
                     e->req->method);
    } else if (str_eq(e->req->method, "PUT")) {
        if (arm_enter(e, WRITE, scope)) put(e, scope);
    } else {
        if (arm_enter(e, DELETE, scope)) take_away(e, scope);
    }
}
