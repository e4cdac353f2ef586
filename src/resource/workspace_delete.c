/* SPDX-License-Identifier: Apache-2.0 */
/* resource/workspace_delete.c - a workspace goes, comes back within its days, or is forgotten */
#include "resource/group.h"
#include "resource/workspace.h"

#include "base/log.h"

/* --- recovering ------------------------------------------------------------------------------- */

const char *workspace_tomb_key(struct arm_call *c)
{
    const char *key = arena_fmt(c->a, "deleted:%s", c->key);
    return key != NULL ? key : "";
}

/* The cluster may have got its first key while the workspace was away: its rows need an account
 * there before they come. */
static enum err give_account(struct arm_call *c, const json_t *tomb, struct diag *d)
{
    const char *id = doc_str(json_object_get(tomb, "link"), "cluster");
    char *key = arena_str(c->a, bytes_str(id));
    if (key == NULL) return arena_full(c->a, d);
    str_lower(key);
    CLEANUP_JSON json_t *cluster = arm_doc(c->arm, key);
    if (!json_is_true(json_object_get(cluster, "keyed"))) return OK;
    uint8_t account[16];
    struct diag why = DIAG_INIT;
    if (arm_account_ensure(c->arm, doc_str(tomb, "customerId"), id, account, &why) == OK) return OK;
    LOG(WARN, "workspace.not_recovered", F_STR("workspace", c->id_text), F_ERR(&why));
    return ARM_FAIL(c, d, 409, "Conflict",
                    "The workspace was linked to the cluster '%s', whose key can't be used at this "
                    "moment. Restore the key, then recover the workspace.",
                    doc_str(cluster, "name"));
}

enum err workspace_recover(struct arm_call *c, const json_t *tomb, struct diag *d)
{
    const char *location = NULL;
    TRY(arm_read_location(c, tomb, &location, d));
    TRY(give_account(c, tomb, d));
    CLEANUP_JSON json_t *doc = json_deep_copy(tomb);
    json_object_del(doc, "deleted");
    TRY(workspace_read(c, doc, d));
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *still = arm_doc(c->arm, workspace_tomb_key(c));
        if (still != tomb) {
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request is recovering the workspace at this moment.");
        }
        CLEANUP_CHANGE struct change change = {0};
        json_t *link = json_object_get(doc, "link");
        CLEANUP_FREE char *cluster_key = str_dup(doc_str(link, "cluster"));
        if (cluster_key != NULL) str_lower(cluster_key);
        CLEANUP_JSON json_t *cluster = cluster_key != NULL ? arm_doc(c->arm, cluster_key) : NULL;
        if (cluster != NULL) { /* decision 21 */
            const char *link_key = arena_fmt(c->a, "%s/linkedservices/cluster", c->key);
            change_put(&change, DOC_RESOURCE, link_key != NULL ? link_key : "", KIND_LINK,
                       json_incref(link));
        }
        json_object_del(doc, "link");
        workspace_rule_put(&change, doc);
        change_remove(&change, DOC_RESOURCE, workspace_tomb_key(c));
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(arm_commit(c, &change, d));
    }
    TRY(index_refresh(c->arm, c->key, d));
    return arm_reply(c, 200, workspace_show(c, doc), d);
}

/* --- deleting --------------------------------------------------------------------------------- */

/* Under DOCS_WRITE(): what its deletion changes. Not for good: it can be brought back. */
static enum err remove_into(struct arm *a, const char *key, const json_t *old, bool for_good,
                            struct change *change, struct diag *d)
{
    CLEANUP_JSON json_t *link = workspace_link(a, key);
    CLEANUP_FREE char *parts = str_fmt("%s/%s", key, for_good ? "" : "linkedservices/");
    CLEANUP_FREE char *deleted = str_fmt("deleted:%s", key);
    if (parts == NULL || deleted == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (for_good) searches_forget(a, key, doc_str(old, "customerId"), change);
    change_remove_parts(change, a->docs, parts);
    change_remove(change, DOC_RESOURCE, key);
    workspace_rule_remove(change, old);
    if (for_good) return OK;
    json_t *tomb = json_deep_copy(old);
    json_object_set_new(tomb, "deleted", json_integer(time_now_us()));
    if (str_eq(doc_str(link, "state"), "Succeeded")) json_object_set(tomb, "link", link);
    change_put(change, DOC_RESOURCE, deleted, KIND_DELETED_WORKSPACE, tomb);
    return OK;
}

enum err workspace_remove(struct arm_call *c, struct diag *d)
{
    const char *force = http_query(c->req, "force");
    bool for_good = force != NULL && str_eq_nocase(force, "true");
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) {
            c->res->status = 204;
            return OK;
        }
        TRY(arm_check_etag(c, old, d));
        if (str_eq(doc_str(old, "state"), "Creating")) {
            return ARM_FAIL(c, d, 409, "Conflict", "The workspace is still being created.");
        }
        CLEANUP_CHANGE struct change change = {0};
        TRY(remove_into(c->arm, c->key, old, for_good, &change, d));
        TRY(arm_commit(c, &change, d));
    }
    c->res->status = 200;
    return index_refresh(c->arm, c->key, d);
}

enum err workspace_bury(struct arm *a, const json_t *doc, struct diag *d)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", doc_str(doc, "id"));
    str_lower(key);
    {
        DOCS_WRITE(a->docs);
        CLEANUP_JSON json_t *old = arm_doc(a, key);
        if (old == NULL) return OK;
        if (str_eq(doc_str(old, "state"), "Creating")) {
            return FAIL_TAG(d, ERR_CONFLICT, "Conflict", "The workspace '%s' is being created.",
                            doc_str(old, "name"));
        }
        CLEANUP_CHANGE struct change change = {0};
        TRY(remove_into(a, key, old, false, &change, d));
        TRY(docs_commit(a->docs, &change, d));
    }
    return index_refresh(a, key, d);
}

enum err deleted_workspace_list(struct arm_call *c, struct diag *d)
{
    const char *scope = c->id->group != NULL
                            ? arena_fmt(c->a, "deleted:/subscriptions/%s/resourcegroups/%s/",
                                        c->id->subscription, c->id->group)
                            : arena_fmt(c->a, "deleted:/subscriptions/%s/", c->id->subscription);
    char *prefix = scope != NULL ? arena_str(c->a, bytes_str(scope)) : NULL;
    if (prefix == NULL) return arena_full(c->a, d);
    str_lower(prefix);
    CLEANUP_JSON json_t *docs =
        docs_list(c->arm->docs, DOC_RESOURCE, KIND_DELETED_WORKSPACE, prefix);
    json_t *values = json_array(), *doc;
    size_t i;
    int64_t free_since = time_now_us() - deleted_us(c->arm);
    json_array_foreach (docs, i, doc) {
        if (doc_int(doc, "deleted") > free_since)
            json_array_append_new(values, workspace_show(c, doc));
    }
    return arm_reply_list(c, values, d);
}

void workspaces_tidy(struct arm *a, int64_t now_us)
{
    CLEANUP_JSON json_t *tombs = docs_list(a->docs, DOC_RESOURCE, KIND_DELETED_WORKSPACE, NULL);
    size_t i;
    json_t *tomb;
    json_array_foreach (tombs, i, tomb) {
        if (doc_int(tomb, "deleted") + deleted_us(a) > now_us) continue;
        CLEANUP_FREE char *key = str_dup(doc_str(tomb, "id"));
        CLEANUP_FREE char *deleted = str_fmt("deleted:%s", doc_str(tomb, "id"));
        CLEANUP_FREE char *parts = str_fmt("%s/", doc_str(tomb, "id"));
        if (key == NULL || deleted == NULL || parts == NULL) return;
        str_lower(key);
        str_lower(deleted);
        str_lower(parts);
        struct diag d = DIAG_INIT;
        DOCS_WRITE(a->docs);
        CLEANUP_CHANGE struct change change = {0};
        CLEANUP_JSON json_t *back = arm_doc(a, key);
        if (back == NULL) searches_forget(a, key, doc_str(tomb, "customerId"), &change);
        if (back == NULL) change_remove_parts(&change, a->docs, parts);
        change_remove(&change, DOC_RESOURCE, deleted);
        if (docs_commit(a->docs, &change, &d) != OK) LOG(ERROR, "workspace.not_tidied", F_ERR(&d));
    }
}
