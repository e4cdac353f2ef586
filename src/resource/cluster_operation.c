/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster_operation.c - what happens to a cluster in the background: create, set key,
 * delete
 *
 * (1) A first key gives each linked workspace an account of the cluster's before the cluster counts
 *     as keyed: from the moment it does, rows go there.
 * (2) Deleting revokes first and forgets afterwards. The wraps stay until the name is free again.
 */
#include "resource/cluster.h"
#include "resource/group.h"

#include "base/log.h"

/* --- setting and clearing a key --------------------------------------------------------------- */

static void scope_of(const char *cluster_id, char out[ARM_ID_MAX])
{
    snprintf(out, ARM_ID_MAX, "%s", cluster_id);
    str_lower(out);
}

enum err cluster_set_key(struct arm *a, const json_t *doc, const json_t *key, struct diag *d)
{
    char scope[ARM_ID_MAX];
    scope_of(doc_str(doc, "id"), scope);
    struct custody_kek kek = {.vault_uri = doc_str(key, "uri"),
                              .key_name = doc_str(key, "name"),
                              .key_version = doc_str(key, "version"),
                              .principal_id = doc_str(doc, "principal"),
                              .policy = cluster_policy_of(doc),
                              .is_double = json_is_true(json_object_get(doc, "double"))};
    uint64_t wraps = 0;
    TRY(custody_scope_set(a->c.custody, scope, &kek, &wraps, d));
    LOG(INFO, "cluster.key_set", F_STR("cluster", doc_str(doc, "id")), F_U64("wraps", wraps));
    CLEANUP_JSON json_t *links = cluster_links(a, doc_str(doc, "id"));
    size_t i;
    json_t *link;
    json_array_foreach (links, i, link) { /* (1) */
        uint8_t account[16];
        TRY(arm_account_ensure(a, doc_str(link, "customerId"), doc_str(doc, "id"), account, d));
    }
    return OK;
}

static enum err clear_key(struct arm *a, const json_t *doc, bool sealed, struct diag *d)
{
    char scope[ARM_ID_MAX];
    scope_of(doc_str(doc, "id"), scope);
    struct diag why = DIAG_INIT;
    enum err e = custody_scope_clear(a->c.custody, scope, sealed, &why);
    if (e == OK || e == ERR_NOT_FOUND) return OK;
    return FAIL_TAG(d, e, why.tag, "%s", why.text);
}

json_t *cluster_of_operation(struct arm *a, const json_t *op)
{
    char key[ARM_ID_MAX];
    scope_of(operation_resource(op), key);
    return arm_doc(a, key);
}

json_t *cluster_by_guid(struct arm *a, const char *guid)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_CLUSTER, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        if (str_eq_nocase(doc_str(doc, "clusterId"), guid)) return json_incref(doc);
    }
    return NULL;
}

/* Does every workspace that is linked now have the account that (1) asks for? */
static bool all_have_accounts(struct arm *a, const json_t *doc)
{
    char scope[ARM_ID_MAX];
    scope_of(doc_str(doc, "id"), scope);
    CLEANUP_JSON json_t *links = cluster_links(a, doc_str(doc, "id"));
    size_t i;
    json_t *link;
    uint8_t account[16];
    json_array_foreach (links, i, link) {
        if (!arm_account_find(a, doc_str(link, "customerId"), scope, account)) return false;
    }
    return true;
}

/* The document when the operation is over. */
static json_t *settled(const json_t *doc, const char *state)
{
    json_t *j = json_deep_copy(doc);
    json_object_set_new(j, "state", json_string(state));
    json_object_set_new(j, "operation", json_string(""));
    json_object_set_new(j, "modified", json_integer(time_now_us()));
    return j;
}

static void put(struct change *c, const json_t *op, json_t *doc)
{
    char key[ARM_ID_MAX];
    scope_of(operation_resource(op), key);
    change_put(c, DOC_RESOURCE, key, KIND_CLUSTER, doc);
}

void cluster_refresh_workspaces(struct arm *a, const json_t *op)
{
    CLEANUP_JSON json_t *links = cluster_links(a, operation_resource(op));
    size_t i;
    json_t *link;
    json_array_foreach (links, i, link) {
        char key[ARM_ID_MAX];
        scope_of(doc_str(link, "workspaceId"), key);
        struct diag d = DIAG_INIT;
        if (index_refresh(a, key, &d) != OK) LOG(ERROR, "workspace.unindexed", F_ERR(&d));
    }
}

/* --- create and update ------------------------------------------------------------------------ */

/* The identity the cluster is to have; its own system-assigned one goes when it is another's turn.
 */
static enum err make_identity(struct arm *a, const json_t *op, const char *identity,
                              const char *assigned, struct managed_identity *out, struct diag *d)
{
    if (str_eq(identity, "SystemAssigned")) {
        return identity_managed_ensure(a->c.identity, operation_resource(op), out, d);
    }
    TRY(identity_managed_delete(a->c.identity, operation_resource(op), d));
    if (assigned == NULL || user_identity_find(a, assigned, out)) return OK;
    return FAIL_TAG(d, ERR_NOT_FOUND, "FailedIdentityOperation",
                    "the user-assigned identity %s is gone", assigned);
}

/* An identity that was made anew has another principal: kept at once, calls of others are not for
 * settle(). */
static enum err adopt_identity(struct arm *a, const json_t *op, const char *identity, bool keyed,
                               struct diag *d)
{
    struct managed_identity mi = {0};
    const char *assigned = json_string_value(json_object_get(operation_args(op), "assigned"));
    TRY(make_identity(a, op, identity, assigned, &mi, d));
    DOCS_WRITE(a->docs);
    CLEANUP_JSON json_t *old = cluster_of_operation(a, op);
    if (old == NULL) return FAIL(d, ERR_NOT_FOUND, "the cluster is gone");
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "identity", json_string(identity));
    json_object_set_new(doc, "principal", json_string(mi.principal_id));
    json_object_set_new(doc, "tenant", json_string(mi.tenant_id));
    json_object_del(doc, "assigned");
    json_object_del(doc, "client");
    if (assigned != NULL) {
        json_object_set_new(doc, "assigned", json_string(assigned));
        json_object_set_new(doc, "client", json_string(mi.client_id));
    }
    if (str_eq(identity, "None") && keyed) {
        json_object_set_new(doc, "sealed", json_true());
        json_object_del(doc, "key");
    }
    CLEANUP_CHANGE struct change c = {0};
    put(&c, op, doc);
    return docs_commit(a->docs, &c, d);
}

static enum err update_work(struct arm *a, const json_t *op, struct diag *d)
{
    CLEANUP_JSON json_t *doc = cluster_of_operation(a, op);
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the cluster is gone");
    const json_t *key = json_object_get(operation_args(op), "key");
    const char *identity = json_string_value(json_object_get(operation_args(op), "identity"));
    bool keyed = json_is_true(json_object_get(doc, "keyed"));
    bool revokes = json_is_null(key) || (identity != NULL && str_eq(identity, "None"));
    if (json_is_object(key)) TRY(cluster_set_key(a, doc, key, d));
    bool sealed = identity != NULL && str_eq(identity, "None");
    if (keyed && revokes) TRY(clear_key(a, doc, sealed, d));
    return identity != NULL ? adopt_identity(a, op, identity, keyed, d) : OK;
}

static enum err update_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    CLEANUP_JSON json_t *old = cluster_of_operation(a, op);
    if (old == NULL) return OK;
    bool creating = str_eq(doc_str(old, "state"), "Creating");
    if (failure != NULL) { /* the old key still holds; a cluster that never came to be has failed */
        put(c, op, settled(old, creating ? "Failed" : "Succeeded"));
        return OK;
    }
    const json_t *key = json_object_get(operation_args(op), "key");
    if (json_is_object(key) && !all_have_accounts(a, old)) {
        return FAIL(d, ERR_CONFLICT, "a workspace was linked meanwhile");
    }
    CLEANUP_JSON json_t *doc = settled(old, "Succeeded");
    if (json_is_object(key)) {
        json_object_set(doc, "key", (json_t *)key);
        json_object_set_new(doc, "keyed", json_true());
    } else if (key != NULL) {
        json_object_del(doc, "key");
    }
    put(c, op, json_incref(doc));
    return OK;
}

const struct operation_kind cluster_create_operation = {
    .name = "cluster.create",
    .lasts = LASTS_CLUSTER_CREATE,
    .work = update_work,
    .settle = update_settle,
};

const struct operation_kind cluster_update_operation = {
    .name = "cluster.update",
    .lasts = LASTS_KEY_UPDATE,
    .work = update_work,
    .settle = update_settle,
    .after = cluster_refresh_workspaces,
};

/* --- unlock ----------------------------------------------------------------------------------- */

/* The cluster of that id or, where only one has it, of that name. A new reference; NULL. */
static json_t *find_cluster(struct arm *a, const char *name_or_id)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_CLUSTER, NULL);
    json_t *found = NULL, *doc;
    size_t i;
    json_array_foreach (all, i, doc) {
        if (str_eq_nocase(doc_str(doc, "id"), name_or_id)) return json_incref(doc);
        if (!str_eq_nocase(doc_str(doc, "name"), name_or_id)) continue;
        if (found != NULL) return NULL; /* two groups have one of that name */
        found = doc;
    }
    return json_incref(found);
}

bool arm_cluster_id(struct arm *a, const char *name_or_id, char out[ARM_ID_MAX])
{
    CLEANUP_JSON json_t *doc = find_cluster(a, name_or_id);
    if (doc == NULL) return false;
    snprintf(out, ARM_ID_MAX, "%s", doc_str(doc, "id"));
    return true;
}

enum err arm_cluster_unlock(struct arm *a, const char *id, const char *by, struct diag *d)
{
    char scope[ARM_ID_MAX];
    scope_of(id, scope);
    struct diag why = DIAG_INIT;
    enum err e = custody_scope_unlock(a->c.custody, scope, by, &why);
    DOCS_WRITE(a->docs);
    CLEANUP_JSON json_t *old = arm_doc(a, scope);
    bool sealed = old != NULL && json_is_true(json_object_get(old, "sealed"));
    /* keyd has done it before, and a crash kept it from the document. */
    bool late = e == ERR_CONFLICT && sealed;
    if (e != OK && !late) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    if (!sealed) return OK;
    json_t *doc = json_deep_copy(old);
    json_object_del(doc, "sealed");
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_RESOURCE, scope, KIND_CLUSTER, doc);
    return docs_commit(a->docs, &c, d);
}

/* --- delete ----------------------------------------------------------------------------------- */

static enum err delete_work(struct arm *a, const json_t *op, struct diag *d)
{
    CLEANUP_JSON json_t *doc = cluster_of_operation(a, op);
    if (doc == NULL || !json_is_true(json_object_get(doc, "keyed"))) return OK;
    return clear_key(a, doc, false, d); /* (2) */
}

static enum err delete_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    (void)d;
    CLEANUP_JSON json_t *old = cluster_of_operation(a, op);
    if (old == NULL) return OK;
    if (failure != NULL) {
        put(c, op, settled(old, "Failed"));
        return OK;
    }
    char key[ARM_ID_MAX];
    scope_of(operation_resource(op), key);
    json_t *tomb = settled(old, "Deleted");
    json_object_set_new(tomb, "deleted", json_integer(time_now_us()));
    change_remove(c, DOC_RESOURCE, key);
    CLEANUP_FREE char *tomb_key = str_fmt("deleted:%s", key);
    CLEANUP_JSON json_t *links = cluster_links(a, doc_str(old, "id"));
    json_object_set(tomb, "links", links);
    change_put(c, DOC_RESOURCE, tomb_key != NULL ? tomb_key : "", KIND_DELETED_CLUSTER, tomb);
    size_t i;
    json_t *link;
    json_array_foreach (links, i, link) { /* decision 14 */
        CLEANUP_FREE char *link_key =
            str_fmt("%s/linkedservices/cluster", doc_str(link, "workspaceId"));
        if (link_key == NULL) continue;
        str_lower(link_key);
        change_remove(c, DOC_RESOURCE, link_key);
    }
    return OK;
}

/* The links are gone by now: the index still knows whose they were. */
static void delete_after(struct arm *a, const json_t *op)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_WORKSPACE, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        struct workspace w;
        struct diag d = DIAG_INIT;
        char key[ARM_ID_MAX];
        scope_of(doc_str(doc, "id"), key);
        if (!arm_workspace_by_id(a, key, &w) ||
            !str_eq_nocase(w.cluster_id, operation_resource(op))) {
            continue;
        }
        if (index_refresh(a, key, &d) != OK) LOG(ERROR, "workspace.unindexed", F_ERR(&d));
    }
}

const struct operation_kind cluster_delete_operation = {
    .name = "cluster.delete",
    .lasts = LASTS_CLUSTER_DELETE,
    .work = delete_work,
    .settle = delete_settle,
    .after = delete_after,
};

/* --- with its group --------------------------------------------------------------------------- */

/* From here on nothing is linked to it. False: something else is going on with it. */
static enum err mark_deleting(struct arm *a, const json_t *op, bool *gone, struct diag *d)
{
    DOCS_WRITE(a->docs);
    CLEANUP_JSON json_t *old = cluster_of_operation(a, op);
    *gone = old == NULL;
    if (old == NULL || str_eq(doc_str(old, "state"), "Deleting")) return OK;
    if (!str_eq(doc_str(old, "state"), "Succeeded") && !str_eq(doc_str(old, "state"), "Failed")) {
        return FAIL_TAG(d, ERR_CONFLICT, "Conflict",
                        "Can't delete the cluster '%s' while in provisioning state.",
                        doc_str(old, "name"));
    }
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "state", json_string("Deleting"));
    CLEANUP_CHANGE struct change c = {0};
    put(&c, op, doc);
    return docs_commit(a->docs, &c, d);
}

enum err cluster_bury(struct arm *a, const json_t *doc, struct diag *d)
{
    CLEANUP_JSON json_t *op = json_pack("{s:s}", "resource", doc_str(doc, "id"));
    bool gone = false;
    TRY(mark_deleting(a, op, &gone, d));
    if (gone) return OK;
    TRY(delete_work(a, op, d));
    {
        DOCS_WRITE(a->docs);
        CLEANUP_CHANGE struct change c = {0};
        TRY(delete_settle(a, op, NULL, &c, d));
        TRY(docs_commit(a->docs, &c, d));
    }
    delete_after(a, op);
    return OK;
}

/* --- after 14 days ---------------------------------------------------------------------------- */

/* Nobody can read them any more; a failure leaves the cluster to be forgotten again. */
static enum err drop_rows(struct arm *a, const char *scope, struct diag *d)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_ACCOUNT, NULL, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        uint8_t id[16];
        if (!str_eq(doc_str(doc, "scope"), scope) ||
            hex_decode(bytes_str(doc_str(doc, "id")), id, sizeof id, NULL) != OK) {
            continue;
        }
        if (a->store != NULL) TRY(store_account_drop(a->store, id, d));
    }
    return OK;
}

/* Its accounts go with their wraps: a new cluster of that name must not find them. */
static void remove_accounts(struct arm *a, const char *scope, struct change *c)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_ACCOUNT, NULL, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        if (str_eq(doc_str(doc, "scope"), scope)) change_remove(c, DOC_ACCOUNT, doc_str(doc, "id"));
    }
}

static enum err forget(struct arm *a, const char *cluster_key, const json_t *tomb, struct diag *d)
{
    if (json_is_true(json_object_get(tomb, "keyed"))) {
        struct diag why = DIAG_INIT;
        enum err e = custody_scope_remove(a->c.custody, cluster_key, &why);
        if (e != OK && e != ERR_NOT_FOUND) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    }
    TRY(drop_rows(a, cluster_key, d));
    if (str_eq(doc_str(tomb, "identity"), "SystemAssigned")) {
        TRY(identity_managed_delete(a->c.identity, doc_str(tomb, "id"), d));
    }
    CLEANUP_FREE char *key = str_fmt("deleted:%s", cluster_key);
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_CHANGE struct change c = {0};
    change_remove(&c, DOC_RESOURCE, key);
    DOCS_WRITE(a->docs);
    remove_accounts(a, cluster_key, &c);
    return docs_commit(a->docs, &c, d);
}

enum err cluster_forget(struct arm *a, const char *cluster_key, struct diag *d)
{
    /* One at a time: whoever comes second must not take away what was made under the name since. */
    LOCK_SCOPE(&a->forget_lock);
    CLEANUP_FREE char *key = str_fmt("deleted:%s", cluster_key);
    if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_JSON json_t *tomb = arm_doc(a, key);
    if (tomb == NULL || doc_int(tomb, "deleted") + deleted_us(a) > time_now_us()) return OK;
    return forget(a, cluster_key, tomb, d);
}

void clusters_tidy(struct arm *a)
{
    CLEANUP_JSON json_t *tombs = docs_list(a->docs, DOC_RESOURCE, KIND_DELETED_CLUSTER, NULL);
    size_t i;
    json_t *tomb;
    json_array_foreach (tombs, i, tomb) {
        char key[ARM_ID_MAX];
        struct diag d = DIAG_INIT;
        scope_of(doc_str(tomb, "id"), key);
        if (cluster_forget(a, key, &d) != OK) LOG(WARN, "cluster.not_forgotten", F_ERR(&d));
    }
}
