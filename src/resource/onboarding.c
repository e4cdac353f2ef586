/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/onboarding.c - Microsoft.SecurityInsights/onboardingStates: a workspace that Sentinel
 * watches, and what its key forbids from then on
 *
 * A document: id name workspace (key) cmk etag created; the only name is "default".
 *
 * (1) Whether the customer's key holds is said once, when the workspace is onboarded: it must be
 *     linked to a cluster with a key and an identity of its own by then. It is not said later.
 * (2) A workspace that was onboarded without the key is not linked; one with the key is not
 *     unlinked, and its cluster keeps identity and key: only another version of that key is taken.
 * (3) While the key is revoked nothing of the workspace is changed; deleting it, or its onboarding,
 *     is all that is left.
 */
#include "resource/cluster.h"

#include "base/log.h"

#define NOT_ALLOWED  "OperationNotAllowed"
#define CAPACITY_MIN 500 /* GB a day that the article asks for; not enforced */

enum sentinel { SENTINEL_NONE, SENTINEL_PLAIN, SENTINEL_KEYED };

static enum sentinel sentinel_of(struct arm *a, const char *workspace_key)
{
    CLEANUP_FREE char *key = str_fmt("%s/providers/" KIND_ONBOARDING "/default", workspace_key);
    CLEANUP_JSON json_t *doc = key != NULL ? arm_doc(a, key) : NULL;
    if (doc == NULL) return SENTINEL_NONE;
    return json_is_true(json_object_get(doc, "cmk")) ? SENTINEL_KEYED : SENTINEL_PLAIN;
}

/* --- what others ask -------------------------------------------------------------------------- */

enum err onboarding_check_link(struct arm_call *c, const char *workspace_key, struct diag *d)
{
    if (sentinel_of(c->arm, workspace_key) != SENTINEL_PLAIN) return OK;
    return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                    "The workspace is onboarded to Microsoft Sentinel without a customer-managed "
                    "key. It can't be linked to a cluster.");
}

enum err onboarding_check_unlink(struct arm_call *c, const char *workspace_key, struct diag *d)
{
    if (sentinel_of(c->arm, workspace_key) != SENTINEL_KEYED) return OK;
    return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                    "The workspace is onboarded to Microsoft Sentinel with a customer-managed key. "
                    "It can't be unlinked from its cluster.");
}

static bool replaces_key(const json_t *cluster, const struct cluster_wish *w)
{
    struct cluster_key has = cluster_key_of(cluster);
    if (w->key == KEY_REMOVE) return true;
    return w->key == KEY_SET &&
           (!str_eq(has.uri, w->key_to_set.uri) || !str_eq(has.name, w->key_to_set.name));
}

enum err onboarding_check_cluster(struct arm_call *c, const json_t *cluster,
                                  const struct cluster_wish *w, struct diag *d)
{
    bool identity = cluster_identity_changes(cluster, w);
    if (!identity && !replaces_key(cluster, w)) return OK;
    CLEANUP_JSON json_t *links = cluster_links(c->arm, doc_str(cluster, "id"));
    size_t i;
    json_t *link;
    json_array_foreach (links, i, link) {
        CLEANUP_FREE char *key = str_dup(doc_str(link, "workspaceId"));
        if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        str_lower(key);
        if (sentinel_of(c->arm, key) != SENTINEL_KEYED) continue;
        return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                        "The workspace '%s' of the cluster is onboarded to Microsoft Sentinel with "
                        "a customer-managed key. The %s can't be removed or replaced; only another "
                        "version of the key can be set.",
                        doc_str(link, "workspaceName"), identity ? "cluster's identity" : "key");
    }
    return OK;
}

/* The key of the workspace that a resource is, or belongs to; NULL: none. */
static char *workspace_key(const char *key)
{
    static const char word[] = "/providers/" KIND_WORKSPACE "/";
    const char *p = strstr(key, word);
    if (p == NULL) return NULL;
    const char *name = p + sizeof word - 1;
    return str_fmt("%.*s", (int)((size_t)(name - key) + strcspn(name, "/")), key);
}

/* (3) */
enum err onboarding_check_write(struct arm_call *c, struct diag *d)
{
    const char *m = c->req->method;
    bool deletes = str_eq(m, "DELETE");
    if (!str_eq(m, "PUT") && !str_eq(m, "PATCH") && !deletes) return OK;
    CLEANUP_FREE char *key = workspace_key(c->key);
    if (key == NULL) return OK;
    bool ends = str_eq(c->key, key) || str_eq_nocase(c->type->type, KIND_ONBOARDING);
    if ((deletes && ends) || sentinel_of(c->arm, key) != SENTINEL_KEYED) return OK;
    struct workspace w;
    if (!arm_workspace_by_id(c->arm, key, &w) ||
        arm_workspace_state(c->arm, &w.id) != KEY_REVOKED) {
        return OK;
    }
    return ARM_FAIL(c, d, 403, "CustomerManagedKeyUnavailable",
                    "Access to the customer-managed key of the workspace's cluster is revoked. "
                    "Until it is restored the workspace can only be deleted.");
}

/* --- the resource ----------------------------------------------------------------------------- */

static json_t *show(const json_t *doc)
{
    return json_pack("{s:s, s:s, s:s, s:o, s:{s:b}}", "id", doc_str(doc, "id"), "name",
                     doc_str(doc, "name"), "type", "Microsoft.SecurityInsights/onboardingStates",
                     "etag", json_sprintf("\"%s\"", doc_str(doc, "etag")), "properties",
                     "customerManagedKey", json_is_true(json_object_get(doc, "cmk")));
}

enum err onboarding_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    TRY(arm_need_doc(c, &doc, d));
    return arm_reply(c, 200, show(doc), d);
}

/* The workspace that the call's path names. */
static enum err need_workspace(struct arm_call *c, char **key, json_t **out, struct diag *d)
{
    char *k = workspace_key(c->key);
    json_t *doc = k != NULL ? arm_doc(c->arm, k) : NULL;
    const char *scope = c->id->scope;
    bool exact = k != NULL && strlen(scope) == strlen(k); /* not something below a workspace */
    if (doc == NULL || !exact) {
        free(k);
        json_decref(doc);
        return ARM_FAIL(c, d, 404, "ResourceNotFound", "The workspace '%s' was not found.", scope);
    }
    *key = k;
    *out = doc;
    return OK;
}

enum err onboarding_list(struct arm_call *c, struct diag *d)
{
    CLEANUP_FREE char *key = NULL;
    CLEANUP_JSON json_t *workspace = NULL;
    TRY(need_workspace(c, &key, &workspace, d));
    CLEANUP_JSON json_t *docs = docs_list(c->arm->docs, DOC_RESOURCE, KIND_ONBOARDING, key);
    json_t *values = json_array(), *doc;
    size_t i;
    json_array_foreach (docs, i, doc) {
        if (str_eq(doc_str(doc, "workspace"), key)) json_array_append_new(values, show(doc));
    }
    return arm_reply_list(c, values, d);
}

/* (1) */
static enum err check_key(struct arm_call *c, const char *workspace_key, struct diag *d)
{
    CLEANUP_FREE char *link_key = str_fmt("%s/linkedservices/cluster", workspace_key);
    CLEANUP_JSON json_t *link = link_key != NULL ? arm_doc(c->arm, link_key) : NULL;
    CLEANUP_FREE char *cluster_key = str_dup(doc_str(link, "cluster"));
    if (cluster_key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    str_lower(cluster_key);
    CLEANUP_JSON json_t *cluster = arm_doc(c->arm, cluster_key);
    bool linked = link != NULL && str_eq(doc_str(link, "state"), "Succeeded");
    if (!linked || json_object_get(cluster, "key") == NULL) {
        return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                        "Customer-managed key for Microsoft Sentinel needs a workspace that is "
                        "linked to a cluster with a key, before it is onboarded.");
    }
    if (doc_int(cluster, "capacity") < CAPACITY_MIN) { /* decision 37 */
        LOG(WARN, "sentinel.small_cluster", F_STR("cluster", doc_str(cluster, "id")),
            F_U64("capacity", (uint64_t)doc_int(cluster, "capacity")));
    }
    if (str_eq(doc_str(cluster, "identity"), "SystemAssigned")) return OK;
    return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                    "Customer-managed key for Microsoft Sentinel needs a cluster with identity "
                    "type SystemAssigned.");
}

static enum err check_same(struct arm_call *c, const json_t *old, const json_t *wish,
                           struct diag *d)
{
    bool has = json_is_true(json_object_get(old, "cmk"));
    if (!json_is_boolean(wish) || json_is_true(wish) == has) return OK;
    return ARM_FAIL(c, d, 400, NOT_ALLOWED,
                    "The workspace is onboarded to Microsoft Sentinel already: customer-managed "
                    "key can't be %s any more.",
                    has ? "disabled" : "enabled");
}

enum err onboarding_put(struct arm_call *c, struct diag *d)
{
    const json_t *wish = json_at(c->body, "properties", "customerManagedKey", NULL);
    if (!str_eq_nocase(arm_id_name(c->id), "default")) {
        return ARM_FAIL(c, d, 400, "InvalidResourceName",
                        "The name of an onboarding state is 'default', not '%.60s'.",
                        arm_id_name(c->id));
    }
    DOCS_WRITE(c->arm->docs);
    CLEANUP_FREE char *key = NULL;
    CLEANUP_JSON json_t *workspace = NULL, *old = arm_get_doc(c);
    TRY(need_workspace(c, &key, &workspace, d));
    TRY(arm_check_etag(c, old, d));
    if (old != NULL) TRY(check_same(c, old, wish, d));
    if (old != NULL) return arm_reply(c, 200, show(old), d);
    if (json_is_true(wish)) TRY(check_key(c, key, d));
    struct guid g;
    char text[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, text);
    CLEANUP_JSON json_t *doc = json_pack("{s:s, s:s, s:s, s:b, s:s, s:I}", "id", c->id_text, "name",
                                         "default", "workspace", key, "cmk", json_is_true(wish),
                                         "etag", text, "created", (json_int_t)time_now_us());
    CLEANUP_CHANGE struct change change = {0};
    change_put(&change, DOC_RESOURCE, c->key, KIND_ONBOARDING, json_incref(doc));
    TRY(arm_commit(c, &change, d));
    return arm_reply(c, 201, show(doc), d);
}

enum err onboarding_remove(struct arm_call *c, struct diag *d)
{
    return arm_remove(c, false, d);
}
