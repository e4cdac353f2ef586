/* SPDX-License-Identifier: Apache-2.0 */
/* identity/arm_definition.c - Microsoft.Authorization/roleDefinitions: the built-in ones,
 * read-only, and custom ones */
#include "identity/endpoint.h"

#include "base/time.h"

#include <stdio.h>

#define READ   "Microsoft.Authorization/roleDefinitions/read"
#define WRITE  "Microsoft.Authorization/roleDefinitions/write"
#define DELETE "Microsoft.Authorization/roleDefinitions/delete"

static json_t *list_of(const char *const *patterns)
{
    json_t *list = json_array();
    for (; patterns != NULL && *patterns != NULL; patterns++) {
        if (json_array_append_new(list, json_string(*patterns)) == 0) continue;
        json_decref(list);
        return NULL;
    }
    return list;
}

struct stamp { /* who and when, as JSON shows it */
    char created[TIME_TEXT_MAX], updated[TIME_TEXT_MAX];
    const char *created_by, *updated_by;
};

static json_t *text_or_null(const char *s)
{
    return s != NULL && s[0] != 0 ? json_string(s) : json_null();
}

static json_t *shape(const struct identity *id, const struct role *r, const char *type,
                     const char *const *scopes, const struct stamp *at)
{
    char self[200];
    snprintf(self, sizeof self,
             "/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s",
             id->subscription_id, r->id);
    return json_pack(
        "{s:{s:s, s:s, s:s, s:o, s:[{s:o, s:o, s:o, s:o}], s:s, s:s, s:o, s:o}, s:s, s:s, s:s}",
        "properties", "roleName", r->name, "type", type, "description", r->description,
        "assignableScopes", list_of(scopes), "permissions", "actions", list_of(r->actions),
        "notActions", list_of(r->not_actions), "dataActions", list_of(r->data_actions),
        "notDataActions", list_of(r->not_data_actions), "createdOn", at->created, "updatedOn",
        at->updated, "createdBy", text_or_null(at->created_by), "updatedBy",
        text_or_null(at->updated_by), "id", self, "type", "Microsoft.Authorization/roleDefinitions",
        "name", r->id);
}

static json_t *built_in_json(const struct identity *id, const struct role *r)
{
    static const char *const everywhere[] = {"/", NULL};
    static const struct stamp at = {"2015-02-02T21:55:09.8806423Z", "2015-02-02T21:55:09.8806423Z",
                                    NULL, NULL};
    return shape(id, r, "BuiltInRole", everywhere, &at);
}

static json_t *custom_json(const struct identity *id, const struct custom_role *r)
{
    struct stamp at = {.created_by = r->created_by, .updated_by = r->updated_by};
    time_format_iso7(r->created_us, at.created);
    time_format_iso7(r->updated_us, at.updated);
    return shape(id, &r->role, "CustomRole", r->scopes, &at);
}

/* Empty strings = no filter. */
struct filter {
    char name[256], type[256];
};

static bool read_filter(struct endpoint *e, struct filter *f)
{
    char part[256];
    for (unsigned i = 0; arm_filter_part(e->req, i, part); i++) {
        bool everything =
            str_eq_nocase(part, "atScope()") || str_eq_nocase(part, "atScopeAndBelow()");
        if (!everything && !arm_filter_value(part, "roleName", f->name) &&
            !arm_filter_value(part, "type", f->type)) {
            answer_error(e, 400, "UnsupportedQuery", "The filter '%s' is not supported.", part);
            return false;
        }
    }
    return true;
}

static bool is_wanted(const struct filter *f, const struct role *r, const char *type)
{
    return (f->name[0] == 0 || str_eq_nocase(f->name, r->name)) &&
           (f->type[0] == 0 || str_eq_nocase(f->type, type));
}

static void list(struct endpoint *e)
{
    struct filter f = {0};
    CLEANUP_JSON json_t *found = json_array();
    bool good = true;
    if (!read_filter(e, &f)) return;
    for (size_t i = 0; good && i < n_builtin_roles; i++) {
        if (!is_wanted(&f, &builtin_roles[i], "BuiltInRole")) continue;
        good = json_array_append_new(found, built_in_json(e->id, &builtin_roles[i])) == 0;
    }
    LOCK_SCOPE(&e->id->lock);
    MAP_EACH (&e->id->roles, entry) {
        const struct custom_role *r = entry->value;
        if (!good || !is_wanted(&f, &r->role, "CustomRole")) continue;
        good = json_array_append_new(found, custom_json(e->id, r)) == 0;
    }
    answer_json(e, 200, good ? json_pack("{s:O}", "value", found) : NULL);
}

static void get(struct endpoint *e)
{
    const struct role *r = role_find(e->at.name);
    LOCK_SCOPE(&e->id->lock);
    const struct custom_role *c = role_custom(e->id, e->at.name);
    if (r != NULL) {
        answer_json(e, 200, built_in_json(e->id, r));
    } else if (c != NULL) {
        answer_json(e, 200, custom_json(e->id, c));
    } else {
        answer_error(e, 404, "RoleDefinitionDoesNotExist",
                     "The specified role definition with ID '%s' does not exist.", e->at.name);
    }
}

/* --- PUT, DELETE
 * ------------------------------------------------------------------------------------- */

/* Who defines a role for a scope must be allowed to define roles there: for each of them. */
static bool may_define(struct endpoint *e, const struct custom_role *r, const char *action)
{
    char ours[64];
    snprintf(ours, sizeof ours, "/subscriptions/%s", e->id->subscription_id);
    for (size_t i = 0; r->scopes[i] != NULL; i++) {
        if (!scope_covers(ours, r->scopes[i])) {
            answer_error(e, 400, "InvalidRoleDefinition",
                         "The assignable scope '%s' lies in another subscription.", r->scopes[i]);
            return false;
        }
        if (!arm_allow(e, action, r->scopes[i])) return false;
    }
    return true;
}

static bool read_definition(struct endpoint *e, const char *role_id, struct custom_role **out)
{
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    if (!arm_body(e, &body)) return false;
    if (custom_role_read(role_id, json_get(body, "properties"), out, &d) == OK) return true;
    answer_error(e, 400, d.tag[0] != 0 ? d.tag : "InvalidRoleDefinition", "%s", d.text);
    return false;
}

static void put(struct endpoint *e)
{
    char role_id[GUID_TEXT_MAX];
    struct guid g;
    struct diag d = DIAG_INIT;
    struct custom_role *r = NULL;
    bool created = false;
    if (guid_parse(e->at.name, &g, NULL) != OK) {
        answer_error(e, 400, "InvalidRoleDefinitionId",
                     "The role definition ID '%s' is not valid. The role definition ID must be a "
                     "GUID.",
                     e->at.name);
        return;
    }
    guid_format(&g, role_id);
    if (role_find(role_id) != NULL) {
        answer_error(e, 403, "RoleDefinitionIsBuiltIn", "Built-in roles cannot be changed.");
        return;
    }
    if (!read_definition(e, role_id, &r)) return;
    r->created_us = r->updated_us = time_now_us();
    snprintf(r->created_by, sizeof r->created_by, "%s", e->caller);
    snprintf(r->updated_by, sizeof r->updated_by, "%s", e->caller);
    if (!may_define(e, r, WRITE)) {
        custom_role_free(r);
        return;
    }
    enum err err = role_put(e->id, r, &created, &d);
    if (err == OK) {
        get(e);
        if (created) e->res->status = 201;
    } else if (err == ERR_CONFLICT || err == ERR_LIMIT) {
        answer_error(e, err == ERR_CONFLICT ? 409 : 400, d.tag, "%s", d.text);
    } else {
        answer_error(e, 503, "ServiceUnavailable", "The role definition could not be stored.");
    }
}

static void take_away(struct endpoint *e)
{
    struct diag d = DIAG_INIT;
    LOCK_SCOPE(&e->id->lock);
    const struct custom_role *r = role_custom(e->id, e->at.name);
    if (role_find(e->at.name) != NULL) {
        answer_error(e, 403, "RoleDefinitionIsBuiltIn", "Built-in roles cannot be changed.");
    } else if (r == NULL) {
        e->res->status = 204;
    } else if (may_define(e, r, DELETE)) {
        json_t *was = custom_json(e->id, r);
        enum err err = role_remove(e->id, e->at.name, &d);
        if (err == OK) {
            answer_json(e, 200, was);
            return;
        }
        json_decref(was);
        if (err == ERR_CONFLICT) {
            answer_error(e, 400, d.tag, "%s", d.text);
        } else {
            answer_error(e, 503, "ServiceUnavailable", "The role definition could not be removed.");
        }
    }
}

void serve_definitions(struct endpoint *e)
{
    char scope[RESOURCE_ID_MAX];
    bool is_get = str_eq(e->req->method, "GET"), is_put = str_eq(e->req->method, "PUT");
    if (!arm_enter(e, is_get ? READ : is_put ? WRITE : DELETE, scope)) return;
    if (is_get && e->at.name[0] == 0) {
        list(e);
    } else if (is_get) {
        get(e);
    } else if (e->at.name[0] == 0) {
        answer_error(e, 405, "MethodNotAllowed", "%s needs the name of a role definition.",
                     e->req->method);
    } else if (is_put) {
        put(e);
    } else {
        take_away(e);
    }
}
