/* SPDX-License-Identifier: Apache-2.0 */
/* identity/arm_definition.c - Microsoft.Authorization/roleDefinitions: the built-in ones, read-only
 */
#include "identity/endpoint.h"

#include <stdio.h>

#define READ "Microsoft.Authorization/roleDefinitions/read"

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

static json_t *definition_json(const struct identity *id, const struct role *r)
{
    char self[200];
    snprintf(self, sizeof self,
             "/subscriptions/%s/providers/Microsoft.Authorization/roleDefinitions/%s",
             id->subscription_id, r->id);
    return json_pack(
        "{s:{s:s, s:s, s:s, s:[s], s:[{s:o, s:o, s:o, s:o}], s:s, s:s, s:n, s:n}, s:s, s:s, s:s}",
        "properties", "roleName", r->name, "type", "BuiltInRole", "description", r->description,
        "assignableScopes", "/", "permissions", "actions", list_of(r->actions), "notActions",
        list_of(r->not_actions), "dataActions", list_of(r->data_actions), "notDataActions",
        list_of(r->not_data_actions), "createdOn", "2015-02-02T21:55:09.8806423Z", "updatedOn",
        "2015-02-02T21:55:09.8806423Z", "createdBy", "updatedBy", "id", self, "type",
        "Microsoft.Authorization/roleDefinitions", "name", r->id);
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

static void list(struct endpoint *e)
{
    struct filter f = {0};
    CLEANUP_JSON json_t *found = json_array();
    bool good = true;
    if (!read_filter(e, &f)) return;
    bool none = f.type[0] != 0 && !str_eq_nocase(f.type, "BuiltInRole");
    for (size_t i = 0; good && !none && i < n_builtin_roles; i++) {
        const struct role *r = &builtin_roles[i];
        if (f.name[0] != 0 && !str_eq_nocase(f.name, r->name)) continue;
        good = json_array_append_new(found, definition_json(e->id, r)) == 0;
    }
    answer_json(e, 200, good ? json_pack("{s:O}", "value", found) : NULL);
}

void serve_definitions(struct endpoint *e)
{
    char scope[RESOURCE_ID_MAX];
    if (!arm_enter(e, READ, scope)) return;
    const struct role *r = role_find(e->at.name);
    if (e->at.name[0] == 0) {
        list(e);
    } else if (r != NULL) {
        answer_json(e, 200, definition_json(e->id, r));
    } else {
        answer_error(e, 404, "RoleDefinitionDoesNotExist",
                     "The specified role definition with ID '%s' does not exist.", e->at.name);
    }
}
