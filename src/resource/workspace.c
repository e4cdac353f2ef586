/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/workspace.c - Microsoft.OperationalInsights/workspaces
 *
 * A document: id name location tags, customerId (guid, what data planes address), state operation
 * etag, sku level, retention, quota, features, access {ingestion, query}, forceCmk, rule (id of the
 * default collection rule), created modified sized. A deleted workspace keeps its document, with
 * the link it had, for 14 days: the same PUT brings it back (workspace_delete.c).
 */
#include "resource/workspace.h"
#include "resource/cluster.h"
#include "resource/link.h"

#include "base/log.h"

#define CREATE_WAIT_MS    5000 /* most workspaces are ready before the answer is on its way */
#define RETENTION_DEFAULT 30

enum err workspace_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    if (!str_eq(doc_str(doc, "state"), "Succeeded")) http_set(c->res, "Retry-After", "1");
    return arm_reply(c, 200, workspace_show(c, doc), d);
}

enum err workspace_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_WORKSPACE, workspace_show, d);
}

/* --- the default collection rule -------------------------------------------------------------- */

static const char *rule_id(struct arm_call *c, const char *customer_id)
{
    char hex[33];
    size_t n = 0;
    for (const char *p = customer_id; *p != '\0' && n < 32; p++) {
        if (*p != '-') hex[n++] = *p;
    }
    hex[n] = '\0';
    return arena_fmt(c->a,
                     "/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Insights/"
                     "dataCollectionRules/dcr-%s",
                     c->id->subscription, c->id->group, hex);
}

void workspace_rule_put(struct change *change, const json_t *workspace)
{
    CLEANUP_FREE char *key = str_dup(doc_str(workspace, "rule"));
    if (key == NULL) {
        change->bad = true;
        return;
    }
    str_lower(key);
    change_put(change, DOC_RESOURCE, key, KIND_RULE, rule_doc(workspace));
}

void workspace_rule_remove(struct change *change, const json_t *workspace)
{
    CLEANUP_FREE char *key = str_dup(doc_str(workspace, "rule"));
    if (key == NULL) return;
    str_lower(key);
    change_remove(change, DOC_RESOURCE, key);
}

/* --- creating --------------------------------------------------------------------------------- */

static json_t *new_doc(struct arm_call *c, const char *location)
{
    struct guid g;
    char guid[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, guid);
    json_int_t now = time_now_us();
    const char *rule = rule_id(c, guid);
    if (rule == NULL) return NULL;
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:s, s:s, s:I, s:I, s:I, "
                     "s:{s:b}}",
                     "id", c->id_text, "name", arm_id_name(c->id), "location", location,
                     "customerId", guid, "state", "Creating", "sku", "PerGB2018", "level",
                     (json_int_t)0, "retention", (json_int_t)RETENTION_DEFAULT, "ingestion",
                     "Enabled", "query", "Enabled", "rule", rule, "created", now, "modified", now,
                     "sized", now, "features", "enableLogAccessUsingOnlyResourcePermissions", 1);
}

static enum err associate(struct arm_call *c, struct diag *d);

static enum err create(struct arm_call *c, struct diag *d)
{
    TRY(arm_check_match(c, NULL, d));
    if (!arm_name_valid(arm_id_name(c->id), 4, 63)) {
        return ARM_FAIL(c, d, 400, "InvalidParameter",
                        "Workspace name isn't valid. It must be 4-63 letters, digits or dashes, "
                        "and must begin and end with a letter or digit.");
    }
    const char *location = NULL;
    TRY(arm_read_location(c, NULL, &location, d));
    CLEANUP_JSON json_t *doc = new_doc(c, location);
    if (doc == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(workspace_read(c, doc, d));
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *other = arm_get_doc(c);
        if (other != NULL) {
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request is creating the workspace at this moment.");
        }
        CLEANUP_CHANGE struct change change = {0};
        struct operation_start start = arm_operation(c, &workspace_create_operation, location);
        operation_add(&change, &start, op);
        json_object_set_new(doc, "operation", json_string(op));
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(arm_commit(c, &change, d));
    }
    TRY(operations_go(c->arm->operations, op, d));
    (void)operations_wait(c->arm->operations, op, CREATE_WAIT_MS);
    TRY(associate(c, d));
    if (workspace_dialect(c->version)->has_async_header) {
        arm_async_headers(c, location, op, false);
        http_setf(c->res, "Location", "%s%s?api-version=%s", c->arm->c.endpoint, c->id_text,
                  c->version_text);
    }
    return arm_reply(c, 201, workspace_show(c, doc), d);
}

static json_t *workspace_of(struct arm *a, const json_t *op, char key[ARM_ID_MAX])
{
    snprintf(key, ARM_ID_MAX, "%s", operation_resource(op));
    str_lower(key);
    return arm_doc(a, key);
}

static enum err create_work(struct arm *a, const json_t *op, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *doc = workspace_of(a, op, key);
    if (doc == NULL) return FAIL(d, ERR_NOT_FOUND, "the workspace is gone");
    uint8_t account[16];
    return arm_account_ensure(a, doc_str(doc, "customerId"), "", account, d);
}

static enum err create_settle(struct arm *a, const json_t *op, const struct diag *failure,
                              struct change *c, struct diag *d)
{
    char key[ARM_ID_MAX];
    CLEANUP_JSON json_t *old = workspace_of(a, op, key);
    (void)d;
    if (old == NULL) return OK;
    json_t *doc = json_deep_copy(old);
    json_object_set_new(doc, "state", json_string(failure == NULL ? "Succeeded" : "Failed"));
    json_object_set_new(doc, "operation", json_string(""));
    if (failure == NULL) workspace_rule_put(c, doc);
    change_put(c, DOC_RESOURCE, key, KIND_WORKSPACE, doc);
    return OK;
}

static void create_after(struct arm *a, const json_t *op)
{
    char key[ARM_ID_MAX];
    snprintf(key, sizeof key, "%s", operation_resource(op));
    str_lower(key);
    struct diag d = DIAG_INIT;
    if (index_refresh(a, key, &d) != OK) LOG(ERROR, "workspace.unindexed", F_ERR(&d));
}

const struct operation_kind workspace_create_operation = {
    .name = "workspace.create",
    .lasts = LASTS_WORKSPACE_CREATE,
    .work = create_work,
    .settle = create_settle,
    .after = create_after,
};

/* --- the association of the first article ----------------------------------------------------- */

/* features.clusterDefinitionId in the body links the workspace, as its linked service would. */
static enum err associate(struct arm_call *c, struct diag *d)
{
    const char *guid =
        json_string_value(json_at(c->body, "properties", "features", WORKSPACE_DEFINITION, NULL));
    if (guid == NULL || guid[0] == '\0') return OK;
    CLEANUP_JSON json_t *cluster = cluster_by_guid(c->arm, guid);
    if (cluster == NULL) {
        return ARM_FAIL(
            c, d, 400, "ResourceNotFound",
            "Cluster not found, the cluster you specified doesn't exist or was deleted.");
    }
    TRY(arm_authorize(c, "Microsoft.OperationalInsights/clusters/write", doc_str(cluster, "id"),
                      d));
    char *cluster_key = arena_str(c->a, bytes_str(doc_str(cluster, "id")));
    struct link_request r = {.id_text = arena_fmt(c->a, "%s/linkedServices/cluster", c->id_text),
                             .key = arena_fmt(c->a, "%s/linkedservices/cluster", c->key),
                             .workspace_key = c->key,
                             .cluster_key = cluster_key};
    if (cluster_key == NULL || r.id_text == NULL || r.key == NULL) return arena_full(c->a, d);
    str_lower(cluster_key);
    CLEANUP_JSON json_t *link = NULL;
    bool done = false;
    char op[37];
    TRY(link_begin(c, &r, op, &link, &done, d));
    if (done) return OK;
    TRY(operations_go(c->arm->operations, op, d));
    (void)operations_wait(c->arm->operations, op, CREATE_WAIT_MS);
    return OK;
}

/* --- changing --------------------------------------------------------------------------------- */

static enum err update(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    bool retention_changes = false;
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = NULL;
        TRY(arm_need_doc(c, &old, d));
        TRY(arm_check_etag(c, old, d));
        const char *location = NULL;
        TRY(arm_read_location(c, old, &location, d));
        doc = json_deep_copy(old);
        TRY(workspace_read(c, doc, d));
        retention_changes = doc_int(doc, "retention") != doc_int(old, "retention");
        CLEANUP_CHANGE struct change change = {0};
        change_put(&change, DOC_RESOURCE, c->key, KIND_WORKSPACE, json_incref(doc));
        TRY(arm_commit(c, &change, d));
    }
    TRY(index_refresh(c->arm, c->key, d));
    if (retention_changes) TRY(tables_keep(c->arm, doc, d));
    TRY(associate(c, d));
    return arm_reply(c, 200, workspace_show(c, doc), d);
}

enum err workspace_put(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old != NULL) return update(c, d);
    CLEANUP_JSON json_t *tomb = arm_doc(c->arm, workspace_tomb_key(c));
    if (tomb == NULL) return create(c, d);
    if (doc_int(tomb, "deleted") + deleted_us(c->arm) > time_now_us())
        return workspace_recover(c, tomb, d);
    workspaces_tidy(c->arm, time_now_us()); /* its time is over, and nobody has looked yet */
    return create(c, d);
}

enum err workspace_patch(struct arm_call *c, struct diag *d)
{
    TRY(arm_need_body(c, d));
    return update(c, d);
}
