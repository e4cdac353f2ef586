/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/group.c - resource groups, and what goes with one that is deleted
 *
 * A document: id name location tags, state ("Deleting" while it goes) operation. Deleting a group
 * deletes what is in it as if each were deleted by itself: clusters and workspaces keep their 14
 * days. What other processes keep in it is asked of them before (api/forward.c).
 */
#include "resource/group.h"

#include "base/log.h"

static json_t *group_json(const json_t *doc)
{
    const char *state = doc_str(doc, "state");
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:{s:s}}", "id", doc_str(doc, "id"), "name",
                     doc_str(doc, "name"), "type", "Microsoft.Resources/resourceGroups", "location",
                     doc_str(doc, "location"), "tags", arm_tags(doc), "properties",
                     "provisioningState", state[0] != '\0' ? state : "Succeeded");
}

static enum err no_group(struct arm_call *c, struct diag *d)
{
    return ARM_FAIL(c, d, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                    arm_id_name(c->id));
}

enum err group_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_GROUP);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, group_json(doc));
    return arm_reply_list(c, values, d);
}

enum err group_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    return doc != NULL ? arm_reply(c, 200, group_json(doc), d) : no_group(c, d);
}

enum err group_head(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    (void)d;
    c->res->status = doc != NULL ? 204 : 404;
    return OK;
}

static bool group_name_valid(const char *s)
{
    size_t n = strlen(s);
    if (n == 0 || n > 90 || s[n - 1] == '.') return false;
    for (size_t i = 0; i < n; i++) {
        bool good = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                    (s[i] >= '0' && s[i] <= '9') || strchr("-_.()", s[i]) != NULL ||
                    (unsigned char)s[i] >= 0x80;
        if (!good) return false;
    }
    return true;
}

/* PUT makes or replaces the tags; PATCH only changes what it names. */
static enum err write_group(struct arm_call *c, bool is_put, struct diag *d)
{
    TRY(arm_need_body(c, d));
    if (!group_name_valid(arm_id_name(c->id))) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "The resource group name is not valid: 1-90 letters, digits, -_.() and no dot "
            "at the end.");
    }
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL && !is_put) return no_group(c, d);
    if (str_eq(doc_str(old, "state"), "Deleting")) return arm_group_goes(c, arm_id_name(c->id), d);
    const char *location = NULL;
    const char *given = json_get_str(c->body, "location");
    if (old != NULL && given != NULL &&
        !str_eq(location_canonical(c->a, given), doc_str(old, "location"))) {
        return ARM_FAIL(
            c, d, 409, "InvalidResourceGroupLocation",
            "Invalid resource group location '%s'. The Resource group already exists in "
            "location '%s'.",
            given, doc_str(old, "location"));
    }
    TRY(arm_read_location(c, old, &location, d));
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    json_t *doc =
        json_pack("{s:s, s:s, s:s}", "id", old != NULL ? doc_str(old, "id") : c->id_text, "name",
                  old != NULL ? doc_str(old, "name") : arm_id_name(c->id), "location", location);
    if (tags == NULL && !is_put) tags = arm_tags(old);
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_GROUP, json_incref(doc));
    enum err e = arm_commit(c, &change, d);
    if (e == OK) e = arm_reply(c, old == NULL ? 201 : 200, group_json(doc), d);
    json_decref(doc);
    return e;
}

enum err group_put(struct arm_call *c, struct diag *d)
{
    return write_group(c, true, d);
}

enum err group_patch(struct arm_call *c, struct diag *d)
{
    return write_group(c, false, d);
}

/* --- deleting --------------------------------------------------------------------------------- */

enum err arm_group_goes(struct arm_call *c, const char *name, struct diag *d)
{
    return ARM_FAIL(c, d, 409, "ResourceGroupBeingDeleted",
                    "The resource group '%s' is in deprovisioning state and cannot perform this "
                    "operation.",
                    name);
}

enum err group_remove(struct arm_call *c, struct diag *d)
{
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) return no_group(c, d);
        if (str_eq(doc_str(old, "state"), "Deleting")) {
            snprintf(op, sizeof op, "%s", doc_str(old, "operation"));
        } else {
            struct operation_start start =
                arm_operation(c, &group_delete_operation, doc_str(old, "location"));
            start.subscription = arm_id_parent(c->a, c->id)->names[0];
            json_t *doc = json_deep_copy(old);
            CLEANUP_CHANGE struct change change = {0};
            operation_add(&change, &start, op);
            json_object_set_new(doc, "state", json_string("Deleting"));
            json_object_set_new(doc, "operation", json_string(op));
            change_put(&change, DOC_RESOURCE, c->key, KIND_GROUP, doc);
            TRY(arm_commit(c, &change, d));
            TRY(operations_go(c->arm->operations, op, d));
        }
    }
    http_setf(c->res, "Location", "%s/subscriptions/%s/operationresults/%s?api-version=%s",
              c->arm->c.endpoint, arm_id_parent(c->a, c->id)->names[0], op, c->version_text);
    http_set(c->res, "Retry-After", "1");
    c->res->status = 202;
    return OK;
}

/* --- the operation ---------------------------------------------------------------------------- */

/* "/subscriptions/s/resourcegroups/rg/" in lower case. */
static char *prefix_of(const json_t *op)
{
    char *prefix = str_fmt("%s/", operation_resource(op));
    if (prefix != NULL) str_lower(prefix);
    return prefix;
}

static enum err each(struct arm *a, const char *kind, const char *prefix,
                     enum err (*remove)(struct arm *a, const json_t *doc, struct diag *d),
                     struct diag *d)
{
    CLEANUP_JSON json_t *docs = docs_list(a->docs, DOC_RESOURCE, kind, prefix);
    size_t i;
    json_t *doc;
    json_array_foreach (docs, i, doc)
        TRY(remove(a, doc, d));
    return OK;
}

/* The rest has no life of its own: a few at a time, so that no transaction grows without end. Parts
 * of workspaces wait for them: they can be brought back. */
static enum err remove_rest(struct arm *a, const char *prefix, struct diag *d)
{
    CLEANUP_FREE char *kept =
        str_fmt("%sproviders/microsoft.operationalinsights/workspaces/", prefix);
    if (kept == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    bool more = true;
    while (more) {
        DOCS_WRITE(a->docs);
        CLEANUP_CHANGE struct change c = {0};
        more = change_remove_some(&c, a->docs, prefix, kept, CHANGE_MAX / 2);
        TRY(docs_commit(a->docs, &c, d));
    }
    return OK;
}

static enum err delete_work(struct arm *a, const json_t *op, struct diag *d)
{
    CLEANUP_FREE char *prefix = prefix_of(op);
    if (prefix == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(each(a, KIND_CLUSTER, prefix, cluster_bury, d));
    TRY(each(a, KIND_RULE, prefix, rule_bury, d));
    TRY(each(a, KIND_WORKSPACE, prefix, workspace_bury, d));
    TRY(each(a, KIND_USER_IDENTITY, prefix, user_identity_bury, d));
    return remove_rest(a, prefix, d);
}

static enum err delete_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    CLEANUP_FREE char *key = str_dup(operation_resource(op));
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    CLEANUP_JSON json_t *old = arm_doc(a, key);
    if (old == NULL) return OK;
    if (failure == NULL) {
        change_remove(c, DOC_RESOURCE, key);
        return OK;
    }
    json_t *doc = json_deep_copy(old);
    json_object_del(doc, "state");
    change_put(c, DOC_RESOURCE, key, KIND_GROUP, doc);
    return OK;
}

const struct operation_kind group_delete_operation = {
    .name = "group.delete",
    .lasts = LASTS_GROUP_DELETE,
    .work = delete_work,
    .settle = delete_settle,
};

/* --- moving ----------------------------------------------------------------------------------- */

/* Nothing here can be moved: what is encrypted is bound to where it is. */
static enum err refuse_move(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    const char *first = json_string_value(json_array_get(json_get(c->body, "resources"), 0));
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (first == NULL || arm_id_parse(c->a, first, &id, &why) != OK) {
        return ARM_FAIL(c, d, 400, "InvalidRequestContent",
                        "The request content was invalid and could not be deserialized: "
                        "'resources is no list of resource ids'.");
    }
    return ARM_FAIL(c, d, 409, "ResourceMoveNotSupported",
                    "Resource move is not supported for resource types '%s'.", id.type);
}

const struct arm_action group_actions[] = {
    {"moveResources", refuse_move},
    {"validateMoveResources", refuse_move},
    {NULL, NULL},
};
