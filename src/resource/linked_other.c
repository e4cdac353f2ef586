/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/linked_other.c - workspaces/linkedServices that are no cluster: kept for their owner, as
 * an automation account's link is
 *
 * A document: id workspaceName name, resource (resourceId: may read) or write
 * (writeAccessResourceId), tags created. Nothing in Keystead acts on it.
 */
#include "resource/link.h"

#define LINKS_MAX 50 /* of one workspace */

json_t *link_other_json(const json_t *doc)
{
    json_t *p = json_object();
    static const char *const fields[][2] = {{"resource", "resourceId"},
                                            {"write", "writeAccessResourceId"}};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *v = doc_str(doc, fields[i][0]);
        if (v[0] != '\0') json_object_set_new(p, fields[i][1], json_string(v));
    }
    json_object_set_new(p, "provisioningState", json_string("Succeeded"));
    json_t *j =
        json_pack("{s:o, s:s, s:o, s:s}", "properties", p, "id", doc_str(doc, "id"), "name",
                  json_sprintf("%s/%s", doc_str(doc, "workspaceName"), doc_str(doc, "name")),
                  "type", "Microsoft.OperationalInsights/workspaces/linkedServices");
    json_t *tags = json_object_get(doc, "tags");
    if (tags != NULL) json_object_set(j, "tags", tags);
    return j;
}

/* The canonical text of an ARM id in the body, or "". */
static enum err read_target(struct arm_call *c, const char *property, const char **out,
                            struct diag *d)
{
    const char *text = json_string_value(json_at(c->body, "properties", property, NULL));
    *out = "";
    if (text == NULL || text[0] == '\0') return OK;
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (arm_id_parse(c->a, text, &id, &why) != OK || arm_id_name(&id) == NULL) {
        return ARM_FAIL(c, d, 400, "InvalidParameter", "properties.%s is no id of a resource.",
                        property);
    }
    *out = text;
    return OK;
}

enum err link_other_put(struct arm_call *c, const json_t *workspace, struct diag *d)
{
    const char *resource = NULL, *write = NULL;
    TRY(read_target(c, "resourceId", &resource, d));
    TRY(read_target(c, "writeAccessResourceId", &write, d));
    if (resource[0] == '\0' && write[0] == '\0') {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "properties.resourceId or properties.writeAccessResourceId is missing: the "
                        "id of the resource to link.");
    }
    json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    json_t *doc =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "id", c->id_text, "workspaceName",
                  doc_str(workspace, "name"), "name", arm_id_name(c->id), "resource", resource,
                  "write", write, "state", "Succeeded", "created", (json_int_t)time_now_us());
    if (tags != NULL) json_object_set_new(doc, "tags", tags);
    CLEANUP_JSON json_t *kept = doc;
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    CLEANUP_JSON json_t *all = arm_list_docs(c, KIND_LINK);
    if (old == NULL && json_array_size(all) >= LINKS_MAX) {
        return ARM_FAIL(c, d, 409, "QuotaExceeded", "A workspace has at most %d linked services.",
                        LINKS_MAX);
    }
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_LINK, json_incref(kept));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, old == NULL ? 201 : 200, link_other_json(kept), d);
}

enum err link_other_remove(struct arm_call *c, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL) {
        c->res->status = 204;
        return OK;
    }
    CLEANUP_CHANGE struct change change = {0};
    change_remove(&change, DOC_RESOURCE, c->key);
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 200, link_other_json(old), d);
}
