/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster_recover.c - a deleted cluster comes back with its data
 *
 * Before the name is free again the wraps, the identity and the accounts are still there: what is
 * missing is the document, and the key in custody's hands. The customer of 2019-08-01-preview
 * creates the cluster again (where the operator lets him), and its workspaces are linked again; in
 * later dialects only the operator recovers, and workspaces are linked anew. When the key can't be
 * had, the cluster is deleted as before.
 */
#include "resource/cluster.h"

#include "base/log.h"

/* --- asking for it ---------------------------------------------------------------------------- */

enum err cluster_recover(struct arm_call *c, bool with_links, char op[37], struct diag *d)
{
    const char *tomb_key = arena_fmt(c->a, "deleted:%s", c->key);
    if (tomb_key == NULL) return arena_full(c->a, d);
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *tomb = arm_doc(c->arm, tomb_key);
    CLEANUP_JSON json_t *other = arm_get_doc(c);
    if (tomb == NULL || other != NULL) {
        return ARM_FAIL(c, d, 404, "ResourceNotFound",
                        "There is no deleted cluster '%s' that could be recovered.",
                        arm_id_name(c->id));
    }
    CLEANUP_JSON json_t *doc = json_deep_copy(tomb);
    json_object_del(doc, "deleted");
    json_object_del(doc, "links");
    json_object_set_new(doc, "state", json_string("Creating"));
    struct operation_start start =
        arm_operation(c, &cluster_recover_operation, doc_str(tomb, "location"));
    start.args = json_pack("{s:O, s:b}", "tomb", tomb, "links", (int)with_links);
    CLEANUP_CHANGE struct change change = {0};
    operation_add(&change, &start, op);
    json_object_set_new(doc, "operation", json_string(op));
    change_remove(&change, DOC_RESOURCE, tomb_key);
    change_put(&change, DOC_RESOURCE, c->key, KIND_CLUSTER, json_incref(doc));
    return arm_commit(c, &change, d);
}

/* --- the operation ---------------------------------------------------------------------------- */

static enum err recover_work(struct arm *a, const json_t *op, struct diag *d)
{
    CLEANUP_JSON json_t *doc = cluster_of_operation(a, op);
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the cluster is gone");
    const json_t *key = json_object_get(doc, "key");
    return key != NULL ? cluster_set_key(a, doc, key, d) : OK;
}

/* Those that are still there and not linked to anything else meanwhile. A link that was being made or
 * undone when the cluster went is not one to come back. */
static void restore_links(struct arm *a, const json_t *tomb, struct change *c)
{
    size_t i;
    json_t *link;
    json_array_foreach (json_object_get(tomb, "links"), i, link) {
        CLEANUP_FREE char *key = str_dup(doc_str(link, "id"));
        CLEANUP_FREE char *owner = str_dup(doc_str(link, "workspaceId"));
        if (key == NULL || owner == NULL || !str_eq(doc_str(link, "state"), "Succeeded")) continue;
        str_lower(key);
        str_lower(owner);
        CLEANUP_JSON json_t *other = arm_doc(a, key);
        CLEANUP_JSON json_t *workspace = arm_doc(a, owner);
        if (other != NULL ||
            !str_eq(doc_str(workspace, "customerId"), doc_str(link, "customerId"))) {
            continue;
        }
        change_put(c, DOC_RESOURCE, key, KIND_LINK, json_incref(link));
    }
}

static enum err recover_settle(struct arm *a, const json_t *op, const struct diag *failure,
                               struct change *c, struct diag *d)
{
    (void)d;
    CLEANUP_JSON json_t *old = cluster_of_operation(a, op);
    json_t *tomb = json_object_get(operation_args(op), "tomb");
    if (old == NULL) return OK;
    CLEANUP_FREE char *key = str_dup(operation_resource(op));
    CLEANUP_FREE char *tomb_key = str_fmt("deleted:%s", operation_resource(op));
    if (key == NULL || tomb_key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(key);
    str_lower(tomb_key);
    if (failure != NULL) {
        change_remove(c, DOC_RESOURCE, key);
        change_put(c, DOC_RESOURCE, tomb_key, KIND_DELETED_CLUSTER, json_incref(tomb));
        return OK;
    }
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "state", json_string("Succeeded"));
    json_object_set_new(doc, "operation", json_string(""));
    json_object_set_new(doc, "modified", json_integer(time_now_us()));
    change_put(c, DOC_RESOURCE, key, KIND_CLUSTER, doc);
    if (json_is_true(json_object_get(operation_args(op), "links"))) restore_links(a, tomb, c);
    return OK;
}

const struct operation_kind cluster_recover_operation = {
    .name = "cluster.recover",
    .lasts = LASTS_CLUSTER_CREATE,
    .work = recover_work,
    .settle = recover_settle,
    .after = cluster_refresh_workspaces,
};
