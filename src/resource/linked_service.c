/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/linked_service.c - workspaces/linkedServices: the link of a workspace to a cluster
 *
 * A document: id cluster workspaceId workspaceName customerId, state operation tags created. New
 * rows go to the cluster from the moment the state is Succeeded (account.c (2)).
 */
#include "resource/link.h"

#include "base/log.h"

#define LINK_WAIT_MS 5000 /* most links are made before the answer is on its way */
#define LINK_NAME    "cluster"
#define IN_PROCESS   "Workspace link or unlink operation in process."
#define NO_WORKSPACE \
    "Workspace not found. The workspace you specified doesn't exist or was deleted."
#define NO_CLUSTER "Cluster not found, the cluster you specified doesn't exist or was deleted."

/* --- writing ---------------------------------------------------------------------------------- */

static json_t *link_json(const json_t *doc)
{
    if (json_object_get(doc, "cluster") == NULL) return link_other_json(doc);
    CLEANUP_FREE char *id = str_dup(doc_str(doc, "id"));
    if (id == NULL) return NULL;
    str_lower(id); /* as seen on the wire */
    json_t *j = json_pack("{s:{s:s, s:s}, s:s, s:o, s:s}", "properties", "writeAccessResourceId",
                          doc_str(doc, "cluster"), "provisioningState", doc_str(doc, "state"), "id",
                          id, "name", json_sprintf("%s/Cluster", doc_str(doc, "workspaceName")),
                          "type", "Microsoft.OperationalInsights/workspaces/linkedServices");
    json_t *tags = json_object_get(doc, "tags");
    if (tags != NULL) json_object_set(j, "tags", tags);
    return j;
}

bool link_holds(const json_t *link)
{
    const char *state = doc_str(link, "state");
    return str_eq(state, "Succeeded") || str_eq(state, "Deleting");
}

enum err link_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    if (!str_eq(doc_str(doc, "state"), "Succeeded")) http_set(c->res, "Retry-After", "1");
    return arm_reply(c, 200, link_json(doc), d);
}

enum err link_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *docs = arm_list_docs(c, KIND_LINK);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc)
        json_array_append_new(values, link_json(doc));
    return arm_reply_list(c, values, d);
}

/* --- linking ---------------------------------------------------------------------------------- */

static json_t *workspace_of(struct arm_call *c)
{
    return arm_doc(c->arm, arm_id_key(c->a, arm_id_parent(c->a, c->id)));
}

static enum err no_cluster(struct arm_call *c, struct diag *d)
{
    return ARM_FAIL(c, d, 400, "ResourceNotFound", NO_CLUSTER);
}

/* The key of the cluster that the body names. */
static enum err read_cluster(struct arm_call *c, const char **out, struct diag *d)
{
    const char *text =
        json_string_value(json_at(c->body, "properties", "writeAccessResourceId", NULL));
    if (text == NULL) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "properties.writeAccessResourceId is missing: the id of the cluster to link.");
    }
    struct arm_id id;
    struct diag why = DIAG_INIT;
    if (arm_id_parse(c->a, text, &id, &why) != OK || arm_id_name(&id) == NULL ||
        !str_eq_nocase(id.type, "Microsoft.OperationalInsights/clusters")) {
        return no_cluster(c, d);
    }
    *out = arm_id_key(c->a, &id);
    return OK;
}

static enum err check_cluster(struct arm_call *c, const json_t *workspace, const json_t *cluster,
                              struct diag *d)
{
    if (!str_eq(doc_str(cluster, "state"), "Succeeded")) { /* decision 19 */
        return ARM_FAIL(
            c, d, 400, "OperationNotAllowed",
            "Operation can't be executed now. Async operation is in a state other than "
            "succeeded. Cluster must complete its operation before any update operation is "
            "performed.");
    }
    if (json_is_true(json_object_get(cluster, "keyed")) &&
        json_object_get(cluster, "key") == NULL) { /* nothing could encrypt the workspace's data */
        return ARM_FAIL(c, d, 400, "OperationNotAllowed",
                        "The cluster's key was removed. Set a key before a workspace is linked.");
    }
    if (str_eq(doc_str(cluster, "type"), "ApplicationInsights")) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "A workspace can't be linked to a cluster of type ApplicationInsights.");
    }
    if (!str_eq(doc_str(workspace, "location"), doc_str(cluster, "location"))) {
        return ARM_FAIL(
            c, d, 400, "InvalidParameter",
            "The workspace is in region '%s' and the cluster in '%s'. They must be in the "
            "same region.",
            doc_str(workspace, "location"), doc_str(cluster, "location"));
    }
    return OK;
}

/* The times of the workspace's links that still count, and room for one more. */
static enum err check_window(struct arm_call *c, const json_t *workspace, json_t **out,
                             struct diag *d)
{
    struct settings s = settings_of(c->arm);
    int64_t from = time_now_us() - s.link_window_days * 86400 * US_PER_S;
    CLEANUP_JSON json_t *recent = json_array();
    size_t i;
    json_t *t;
    json_array_foreach (json_object_get(workspace, "linkTimes"), i, t) {
        if (json_integer_value(t) > from) json_array_append(recent, t);
    }
    if ((int64_t)json_array_size(recent) >= s.link_operations_max) {
        return ARM_FAIL(c, d, 400, "OperationNotAllowed",
                        "The workspace was linked %zu times in %lld days. A maximum of %lld link "
                        "operations on a workspace is allowed in that time.",
                        json_array_size(recent), (long long)s.link_window_days,
                        (long long)s.link_operations_max);
    }
    *out = TAKE(recent);
    return OK;
}

static enum err check_room(struct arm_call *c, const json_t *cluster, struct diag *d)
{
    CLEANUP_JSON json_t *links = cluster_links(c->arm, doc_str(cluster, "id"));
    int64_t max = settings_of(c->arm).cluster_workspaces_max;
    if ((int64_t)json_array_size(links) < max) return OK;
    return ARM_FAIL(c, d, 409, "QuotaExceeded",
                    "A maximum of %lld workspaces can be linked to a cluster.", (long long)max);
}

static json_t *new_link(const struct link_request *r, const json_t *workspace,
                        const json_t *cluster)
{
    json_t *doc =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I}", "id", r->id_text, "cluster",
                  doc_str(cluster, "id"), "workspaceId", doc_str(workspace, "id"), "workspaceName",
                  doc_str(workspace, "name"), "customerId", doc_str(workspace, "customerId"),
                  "state", "ProvisioningAccount", "created", (json_int_t)time_now_us());
    if (json_is_object(r->tags)) json_object_set_new(doc, "tags", json_deep_copy(r->tags));
    return doc;
}

/* Adds the link's document with its operation to the change. */
static void put_operation(struct arm_call *c, struct change *change, const char *id_text,
                          const char *key, json_t *doc, const struct operation_kind *kind,
                          const json_t *workspace, char op[37])
{
    struct operation_start s = arm_operation(c, kind, doc_str(workspace, "location"));
    s.resource = id_text;
    operation_add(change, &s, op);
    json_object_set_new(doc, "operation", json_string(op));
    change_put(change, DOC_RESOURCE, key, KIND_LINK, json_incref(doc));
}

/* Under DOCS_WRITE(). *done: the very link is there already. */
static enum err check_free(struct arm_call *c, const char *key, const json_t *cluster,
                           json_t **done, struct diag *d)
{
    CLEANUP_JSON json_t *old = arm_doc(c->arm, key);
    if (old == NULL) return OK;
    if (!str_eq(doc_str(old, "state"), "Succeeded")) {
        return ARM_FAIL(c, d, 409, "Conflict", IN_PROCESS);
    }
    if (!str_eq_nocase(doc_str(old, "cluster"), doc_str(cluster, "id"))) { /* decision 17 */
        return ARM_FAIL(c, d, 409, "Conflict",
                        "The workspace is linked to another cluster. Unlink it first.");
    }
    *done = TAKE(old);
    return OK;
}

enum err link_begin(struct arm_call *c, const struct link_request *r, char op[37], json_t **doc,
                    bool *done, struct diag *d)
{
    DOCS_WRITE(c->arm->docs);
    CLEANUP_JSON json_t *workspace = arm_doc(c->arm, r->workspace_key);
    CLEANUP_JSON json_t *cluster = arm_doc(c->arm, r->cluster_key);
    if (workspace == NULL) return ARM_FAIL(c, d, 404, "ResourceNotFound", NO_WORKSPACE);
    if (cluster == NULL) return no_cluster(c, d);
    json_t *there = NULL;
    TRY(check_free(c, r->key, cluster, &there, d));
    if (there != NULL) {
        *doc = there;
        *done = true;
        return OK;
    }
    TRY(check_cluster(c, workspace, cluster, d));
    TRY(onboarding_check_link(c, r->workspace_key, d));
    TRY(check_room(c, cluster, d));
    json_t *times = NULL;
    TRY(check_window(c, workspace, &times, d));
    json_array_append_new(times, json_integer(time_now_us()));
    json_t *counted = json_deep_copy(workspace);
    json_object_set_new(counted, "linkTimes", times);
    CLEANUP_JSON json_t *link = new_link(r, workspace, cluster);
    CLEANUP_CHANGE struct change change = {0};
    put_operation(c, &change, r->id_text, r->key, link, &link_operation, workspace, op);
    change_put(&change, DOC_RESOURCE, r->workspace_key, KIND_WORKSPACE, counted);
    TRY(arm_commit(c, &change, d));
    *doc = TAKE(link);
    *done = false;
    return OK;
}

static enum err answer(struct arm_call *c, const json_t *doc, const json_t *workspace,
                       const char *op, struct diag *d)
{
    (void)operations_wait(c->arm->operations, op, LINK_WAIT_MS);
    bool bare = link_dialect(c->version)->replies_202;
    arm_async_headers(c, doc_str(workspace, "location"), op, false);
    if (!bare) return arm_reply(c, 200, link_json(doc), d);
    c->res->status = 202;
    return OK;
}

/* Writing a link takes the right to write on both of its ends. */
static enum err authorize_ends(struct arm_call *c, const json_t *workspace, const char *cluster_id,
                               struct diag *d)
{
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/workspaces/write", doc_str(workspace, "id"),
                      d));
    return arm_authorize(c, "Microsoft.OperationalInsights/clusters/write", cluster_id, d);
}

static bool is_cluster_link(const struct arm_call *c)
{
    return str_eq_nocase(arm_id_name(c->id), LINK_NAME);
}

enum err link_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *workspace = workspace_of(c);
    if (workspace == NULL) return ARM_FAIL(c, d, 404, "ResourceNotFound", NO_WORKSPACE);
    if (!is_cluster_link(c)) return link_other_put(c, workspace, d);
    struct link_request r = {
        .id_text = c->id_text,
        .key = c->key,
        .workspace_key = arm_id_key(c->a, arm_id_parent(c->a, c->id)),
    };
    TRY(read_cluster(c, &r.cluster_key, d));
    CLEANUP_JSON json_t *cluster = arm_doc(c->arm, r.cluster_key);
    if (cluster == NULL) return no_cluster(c, d);
    TRY(authorize_ends(c, workspace, doc_str(cluster, "id"), d));
    CLEANUP_JSON json_t *tags = NULL;
    TRY(arm_read_tags(c, &tags, d));
    r.tags = tags;
    CLEANUP_JSON json_t *doc = NULL;
    bool done = false;
    char op[37];
    TRY(link_begin(c, &r, op, &doc, &done, d));
    if (done) return arm_reply(c, 200, link_json(doc), d);
    TRY(operations_go(c->arm->operations, op, d));
    return answer(c, doc, workspace, op, d);
}

enum err link_remove(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *workspace = workspace_of(c);
    if (workspace == NULL) return ARM_FAIL(c, d, 404, "ResourceNotFound", NO_WORKSPACE);
    if (!is_cluster_link(c)) return link_other_remove(c, d);
    CLEANUP_JSON json_t *seen = arm_get_doc(c);
    /* The articles of 2020 ask for the right on both ends; later it is linkedServices/delete. */
    if (seen != NULL && !api_version_at_least(c->version, "2020-08-01")) {
        TRY(authorize_ends(c, workspace, doc_str(seen, "cluster"), d));
    }
    CLEANUP_JSON json_t *doc = NULL;
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) {
            c->res->status = 204;
            return OK;
        }
        if (!str_eq(doc_str(old, "state"), "Succeeded")) {
            return ARM_FAIL(c, d, 409, "Conflict", IN_PROCESS);
        }
        TRY(onboarding_check_unlink(c, arm_id_key(c->a, arm_id_parent(c->a, c->id)), d));
        doc = json_deep_copy(old);
        json_object_set_new(doc, "state", json_string("Deleting"));
        CLEANUP_CHANGE struct change change = {0};
        put_operation(c, &change, c->id_text, c->key, doc, &unlink_operation, workspace, op);
        TRY(arm_commit(c, &change, d));
    }
    TRY(operations_go(c->arm->operations, op, d));
    return answer(c, doc, workspace, op, d);
}

/* --- operations ------------------------------------------------------------------------------- */

static json_t *link_of(struct arm *a, const json_t *op, char key[ARM_ID_MAX])
{
    snprintf(key, ARM_ID_MAX, "%s", operation_resource(op));
    str_lower(key);
    return arm_doc(a, key);
}

static json_t *cluster_of(struct arm *a, const json_t *link)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", doc_str(link, "cluster"));
    str_lower(key);
    return arm_doc(a, key);
}

static enum err link_work(struct arm *a, const json_t *op, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *link = link_of(a, op, key);
    CLEANUP_JSON json_t *cluster = link != NULL ? cluster_of(a, link) : NULL;
    if (cluster == NULL) return FAIL_TAG(d, ERR_NOT_FOUND, "ResourceNotFound", NO_CLUSTER);
    if (!json_is_true(json_object_get(cluster, "keyed"))) return OK;
    uint8_t account[16];
    return arm_account_ensure(a, doc_str(link, "customerId"), doc_str(cluster, "id"), account, d);
}

/* A linked workspace shows LACluster. When it is unlinked it is paid by what it takes, whatever it
 * had been before. */
static void leave_tier(struct arm *a, const json_t *link, struct change *c)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", doc_str(link, "workspaceId"));
    str_lower(key);
    CLEANUP_JSON json_t *old = arm_doc(a, key);
    if (old == NULL || str_eq(doc_str(old, "sku"), "PerGB2018")) return;
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "sku", json_string("PerGB2018"));
    json_object_set_new(doc, "level", json_integer(0));
    json_object_set_new(doc, "sized", json_integer(time_now_us()));
    change_put(c, DOC_RESOURCE, key, KIND_WORKSPACE, doc);
}

static enum err link_settle(struct arm *a, const json_t *op, const struct diag *failure,
                            struct change *c, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *link = link_of(a, op, key);
    if (link == NULL) return OK;
    if (failure != NULL) {
        change_remove(c, DOC_RESOURCE, key);
        return OK;
    }
    CLEANUP_JSON json_t *cluster = cluster_of(a, link);
    char scope[ARM_ID_MAX];
    snprintf(scope, sizeof scope, "%s", doc_str(link, "cluster"));
    str_lower(scope);
    uint8_t account[16];
    if (json_is_true(json_object_get(cluster, "keyed")) &&
        !arm_account_find(a, doc_str(link, "customerId"), scope, account)) {
        return FAIL(d, ERR_CONFLICT, "the cluster got its first key meanwhile");
    }
    json_t *done = json_deep_copy(link);
    json_object_set_new(done, "state", json_string("Succeeded"));
    json_object_set_new(done, "operation", json_string(""));
    change_put(c, DOC_RESOURCE, key, KIND_LINK, done);
    leave_tier(a, link, c);
    return OK;
}

static enum err unlink_work(struct arm *a, const json_t *op, struct diag *d)
{
    (void)a;
    (void)op;
    (void)d;
    return OK; /* the platform's account is always there */
}

static enum err unlink_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *link = link_of(a, op, key);
    (void)failure;
    (void)d;
    if (link != NULL) change_remove(c, DOC_RESOURCE, key);
    return OK;
}

static void refresh(struct arm *a, const json_t *op)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", operation_resource(op));
    str_lower(key);
    char *part = strstr(key, "/linkedservices/");
    if (part != NULL) *part = '\0';
    struct diag d = DIAG_INIT;
    if (index_refresh(a, key, &d) != OK) LOG(ERROR, "workspace.unindexed", F_ERR(&d));
}

const struct operation_kind link_operation = {
    .name = "link.put",
    .lasts = LASTS_LINK,
    .work = link_work,
    .settle = link_settle,
    .after = refresh,
};

const struct operation_kind unlink_operation = {
    .name = "link.delete",
    .lasts = LASTS_UNLINK,
    .work = unlink_work,
    .settle = unlink_settle,
    .after = refresh,
};
