/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster.c - Microsoft.OperationalInsights/clusters: the calls
 *
 * Capacity, tags and billing change at once; creation, key, identity and deletion are operations
 * (cluster_operation.c). The key that is shown is the key that wraps the AEKs: the old one until
 * the operation has succeeded (decision 4).
 */
#include "resource/cluster.h"

#include "base/log.h"

#define BUSY_CREATE                                                                         \
    "Operation can't be executed now. Async operation is in a state other than succeeded. " \
    "Cluster "                                                                              \
    "must complete its operation before any update operation is performed."
#define BUSY_DELETE                                                                            \
    "Cluster is in deleting state. Async operation is in progress. Cluster must complete its " \
    "operation before any update operation is performed."
#define BUSY_UPDATE \
    "Operation can't be executed now. Wait for the Async operation to complete and try again."
#define REVERT_US (6 * 3600 * US_PER_S) /* except in the cluster's first hours */

static bool is_legacy(const struct arm_call *c) /* shapes of 2020-03-01-preview and before */
{
    return cluster_dialect(c->version)->is_preview_body;
}

static json_t *show(struct arm_call *c, const json_t *doc)
{
    CLEANUP_JSON json_t *links = is_legacy(c) ? NULL : cluster_links(c->arm, doc_str(doc, "id"));
    json_t *body = cluster_json(doc, cluster_dialect(c->version), links);
    if (is_legacy(c)) return body;
    char scope[ARM_ID_MAX];
    snprintf(scope, sizeof scope, "%s", doc_str(doc, "id"));
    str_lower(scope);
    json_object_set_new(json_object_get(body, "properties"), "keystead",
                        cluster_policy_json(c->arm, scope, doc));
    return body;
}

/* --- reading ---------------------------------------------------------------------------------- */

enum err cluster_get(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    if (doc == NULL) {
        return ARM_FAIL(c, d, 404, "ResourceNotFound",
                        "Cluster not found, the cluster might have been deleted.");
    }
    if (!str_eq(doc_str(doc, "state"), "Succeeded")) http_set(c->res, "Retry-After", "1");
    return arm_reply(c, 200, show(c, doc), d);
}

enum err cluster_list(struct arm_call *c, struct diag *d)
{
    return arm_reply_docs(c, KIND_CLUSTER, show, d);
}

/* --- checks before a change ------------------------------------------------------------------- */

static enum err check_idle(struct arm_call *c, const json_t *doc, struct diag *d)
{
    const char *state = doc_str(doc, "state"), *text = NULL;
    if (str_eq(state, "Creating")) text = BUSY_CREATE;
    if (str_eq(state, "Deleting")) text = BUSY_DELETE;
    if (str_eq(state, "Updating")) text = BUSY_UPDATE;
    return text == NULL ? OK : ARM_FAIL(c, d, 400, "OperationNotAllowed", "%s", text);
}

static enum err check_capacity(struct arm_call *c, const json_t *old, int64_t wanted,
                               struct diag *d)
{
    int64_t now = time_now_us();
    int64_t lock_us = settings_of(c->arm).capacity_lock_days * 86400 * US_PER_S;
    if (wanted == 0 || wanted >= json_get_int(old, "capacity", 0)) return OK;
    if (now >= json_get_int(old, "sized", 0) + lock_us || /* decision 13 */
        now < json_get_int(old, "created", 0) + REVERT_US) {
        return OK;
    }
    return ARM_FAIL(
        c, d, 400, "InvalidParameter",
        "Capacity is locked for 30 days. Decreasing capacity is permitted 30 days after "
        "update.");
}

static enum err check_name(struct arm_call *c, struct diag *d)
{
    if (arm_name_valid(arm_id_name(c->id), 4, 63)) return OK;
    return ARM_FAIL(c, d, 400, "InvalidParameter",
                    "Cluster name isn't valid. Cluster name can contain characters a-z, A-Z, 0-9 "
                    "and a length of 3-63.");
}

static enum err check_name_free(struct arm_call *c, struct diag *d)
{
    const char *key = arena_fmt(c->a, "deleted:%s", c->key);
    if (key == NULL) return arena_full(c->a, d);
    TRY(cluster_forget(c->arm, c->key, d));
    CLEANUP_JSON json_t *deleted = arm_doc(c->arm, key);
    if (deleted == NULL) return OK;
    return ARM_FAIL(
        c, d, 409, "Conflict",
        "The cluster name '%s' is reserved by a cluster that was deleted less than 14 days "
        "ago. Use another name.",
        arm_id_name(c->id));
}

/* In the vault, with the cluster's identity: exists, enabled, wraps and unwraps, is recoverable, and
 * no smaller than keyRsaSize. */
static enum err check_key(struct arm_call *c, const char *principal, const struct cluster_key *k,
                          struct diag *d)
{
    struct custody_kek kek = {.vault_uri = k->uri,
                              .key_name = k->name,
                              .key_version = k->version,
                              .principal_id = principal};
    struct custody_kek_found found;
    struct diag why = DIAG_INIT;
    enum err e = custody_kek_check(c->arm->c.custody, &kek, &found, &why);
    if (e == OK && found.rsa_bits < (uint32_t)k->rsa) {
        e = FAIL(&why, ERR_INVALID, "the key has %u bits of RSA where keyRsaSize asks for %d",
                 found.rsa_bits, k->rsa);
    }
    if (e == OK) return OK;
    LOG(WARN, "cluster.key_refused", F_STR("cluster", c->id_text), F_ERR(&why));
    if (str_eq(why.tag, "KeyNotRecoverable")) {
        return ARM_FAIL(c, d, 400, "KeyNotRecoverable",
                        "Key isn't recoverable. Key Vault must be set to Soft-delete and "
                        "Purge-protection.");
    }
    return ARM_FAIL(
        c, d, 400, "KeyVaultValidationFailed",
        "Failed to validate key in Key Vault. Could be due to lack of permissions or when "
        "key doesn't exist. (%s)",
        why.text);
}

/* --- creating --------------------------------------------------------------------------------- */

static json_t *new_doc(struct arm_call *c, const struct cluster_wish *w,
                       const struct managed_identity *mi)
{
    struct guid g;
    char guid[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, guid);
    json_int_t now = time_now_us();
    json_t *doc = json_pack(
        "{s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:I, s:I, s:I}", "id",
        c->id_text, "name", arm_id_name(c->id), "location", w->location, "capacity",
        (json_int_t)w->capacity, "billing", w->billing != NULL ? w->billing : "Cluster", "type",
        w->type != NULL ? w->type : "LogAnalytics", "identity", w->identity, "principal",
        mi->principal_id, "tenant", mi->tenant_id, "clusterId", guid, "state", "Creating", "double",
        (int)w->is_double, "created", now, "modified", now, "sized", now);
    if (doc != NULL && w->assigned != NULL) {
        json_object_set_new(doc, "assigned", json_string(w->assigned));
        json_object_set_new(doc, "client", json_string(mi->client_id));
    }
    if (doc != NULL && w->tags != NULL) json_object_set(doc, "tags", w->tags);
    if (doc != NULL && w->policy != NULL) json_object_set(doc, "policy", w->policy);
    return doc;
}

/* word: as in struct operation_start. */
static enum err commit_and_go(struct arm_call *c, const json_t *doc,
                              const struct operation_kind *kind, const char *word, json_t *args,
                              char op[37], struct diag *d)
{
    struct operation_start start = arm_operation(c, kind, doc_str(doc, "location"));
    start.args = args;
    start.word = word;
    CLEANUP_CHANGE struct change change = {0};
    operation_add(&change, &start, op);
    json_t *waiting = json_deep_copy(doc);
    json_object_set_new(waiting, "operation", json_string(op));
    change_put(&change, DOC_RESOURCE, c->key, KIND_CLUSTER, waiting);
    TRY(arm_commit(c, &change, d));
    return OK;
}

static enum err create(struct arm_call *c, struct cluster_wish *w, struct diag *d)
{
    struct managed_identity mi = {0};
    if (str_eq(w->identity, "SystemAssigned")) {
        TRY(identity_managed_ensure(c->arm->c.identity, c->id_text, &mi, d));
    }
    if (w->assigned != NULL) TRY(user_identity_take(c, w->assigned, &mi, d));
    if (w->policy != NULL) TRY(cluster_policy_apply(c, w->policy, d));
    if (w->key == KEY_SET) {
        TRY(cluster_check_vault(c, w->location, w->key_to_set.uri, d));
        TRY(check_key(c, mi.principal_id, &w->key_to_set, d));
    }
    CLEANUP_JSON json_t *doc = new_doc(c, w, &mi);
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *other = arm_get_doc(c);
        if (other != NULL && !str_eq(doc_str(other, "state"), "Failed")) {
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request is creating the cluster at this moment.");
        }
        if (other == NULL) TRY(cluster_check_limits(c, w->location, d));
        json_t *key = w->key == KEY_SET ? cluster_key_json(&w->key_to_set) : json_null();
        TRY(commit_and_go(c, doc, &cluster_create_operation, NULL, json_pack("{s:o}", "key", key),
                          op, d));
    }
    TRY(operations_go(c->arm->operations, op, d));
    const struct cluster_dialect *how = cluster_dialect(c->version);
    arm_async_headers(c, w->location, op, how->create == CREATE_202_LOCATION);
    if (how->create == CREATE_200_BODY) return arm_reply(c, 200, show(c, doc), d);
    c->res->status = 202;
    return OK;
}

/* --- changing --------------------------------------------------------------------------------- */

/* What changes at once, in a copy. */
static json_t *with_small_changes(const json_t *old, const struct cluster_wish *w)
{
    json_t *doc = json_deep_copy(old);
    json_int_t now = time_now_us();
    json_object_set_new(doc, "modified", json_integer(now));
    if (w->billing != NULL) json_object_set_new(doc, "billing", json_string(w->billing));
    if (w->tags != NULL) json_object_set(doc, "tags", w->tags);
    if (w->policy != NULL) json_object_set(doc, "policy", w->policy);
    if (w->capacity != 0 && w->capacity != json_get_int(old, "capacity", 0)) {
        json_object_set_new(doc, "capacity", json_integer(w->capacity));
        json_object_set_new(doc, "sized", json_integer(now));
    }
    return doc;
}

static json_t *update_args(const json_t *old, const struct cluster_wish *w)
{
    json_t *args = json_object();
    if (w->key == KEY_SET) json_object_set_new(args, "key", cluster_key_json(&w->key_to_set));
    if (w->key == KEY_REMOVE) json_object_set_new(args, "key", json_null());
    if (cluster_identity_changes(old, w)) {
        json_object_set_new(args, "identity", json_string(w->identity));
        if (w->assigned != NULL) json_object_set_new(args, "assigned", json_string(w->assigned));
    }
    return args;
}

static json_t *wrapped(json_t *cluster) /* the reply of 2020-03-01-preview, seen on the wire */
{
    return json_pack("{s:s, s:i, s:o}", "message", "The cluster upsert was successful", "status", 0,
                     "cluster", cluster);
}

static enum err reply_update(struct arm_call *c, const json_t *doc, const char *op, bool is_put,
                             struct diag *d)
{
    const struct cluster_dialect *how = cluster_dialect(c->version);
    if (op == NULL) { /* 2019-08-01-preview knows no other success of a PUT than 202 */
        return arm_reply(c, is_put && how->create == CREATE_202 ? 202 : 200, show(c, doc), d);
    }
    arm_async_headers(c, doc_str(doc, "location"), op, how->key_reply == KEY_202);
    if (how->key_reply == KEY_202) {
        c->res->status = 202;
        return OK;
    }
    json_t *body = show(c, doc);
    if (how->key_reply == KEY_200_WRAPPER && !is_put) body = wrapped(body);
    return arm_reply(c, is_put && how->create == CREATE_202 ? 202 : 200, body, d);
}

/* The key's wraps are the old identity's to open: the key goes first, then the identity, and the
 * key comes back (2.8). None is the exception: it is how access is withdrawn. */
static enum err check_identity(struct arm_call *c, const json_t *old, const struct cluster_wish *w,
                               struct diag *d)
{
    struct managed_identity mi;
    if (!str_eq(w->identity, "None") && json_object_get(old, "key") != NULL) {
        return ARM_FAIL(c, d, 400, "OperationNotAllowed",
                        "The cluster's identity can't be changed while it has a key. Remove the "
                        "key, change the identity, grant it access, and set the key again.");
    }
    return w->assigned != NULL ? user_identity_take(c, w->assigned, &mi, d) : OK;
}

static enum err check_update(struct arm_call *c, const json_t *old, const struct cluster_wish *w,
                             struct diag *d)
{
    TRY(check_idle(c, old, d));
    TRY(check_capacity(c, old, w->capacity, d));
    TRY(onboarding_check_cluster(c, old, w, d));
    if (cluster_identity_changes(old, w)) TRY(check_identity(c, old, w, d));
    if (w->key != KEY_SET) return OK;
    if (json_is_true(json_object_get(old, "sealed")) || str_eq(doc_str(old, "identity"), "None")) {
        return ARM_FAIL(
            c, d, 400, "OperationNotAllowed",
            "The cluster has no identity that could use a key. Identity type None revokes "
            "access to the data; only an administrator's unlock (keystead keys unlock) and "
            "a new identity make way for a key.");
    }
    TRY(cluster_check_vault(c, doc_str(old, "location"), w->key_to_set.uri, d));
    return check_key(c, doc_str(old, "principal"), &w->key_to_set, d);
}

static enum err update(struct arm_call *c, const json_t *seen, const struct cluster_wish *w,
                       bool is_put, struct diag *d)
{
    TRY(check_update(c, seen, w, d)); /* asks the vault: before the lock */
    if (w->policy != NULL) TRY(cluster_policy_apply(c, w->policy, d));
    CLEANUP_JSON json_t *args = update_args(seen, w);
    bool is_async = json_object_size(args) != 0;
    CLEANUP_JSON json_t *doc = NULL;
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) return arm_not_found(c, d);
        TRY(check_idle(c, old, d));
        if (old != seen) { /* what was checked is not what is there any more */
            return ARM_FAIL(c, d, 409, "Conflict",
                            "Another request has changed the cluster at this moment. Read it and "
                            "try again.");
        }
        TRY(onboarding_check_cluster(c, old, w, d)); /* it may have been onboarded meanwhile */
        doc = with_small_changes(old, w);
        if (is_async) {
            json_object_set_new(doc, "state", json_string("Updating"));
            const char *word = cluster_dialect(c->version)->has_status_words ? "Updating" : NULL;
            TRY(commit_and_go(c, doc, &cluster_update_operation, word, json_incref(args), op, d));
        } else {
            CLEANUP_CHANGE struct change change = {0};
            change_put(&change, DOC_RESOURCE, c->key, KIND_CLUSTER, json_incref(doc));
            TRY(arm_commit(c, &change, d));
        }
    }
    if (is_async) TRY(operations_go(c->arm->operations, op, d));
    return reply_update(c, doc, is_async ? op : NULL, is_put, d);
}

/* The create of 2019-08-01-preview, where the operator lets it bring back what was deleted. */
static enum err create_or_recover(struct arm_call *c, struct cluster_wish *w, struct diag *d)
{
    const char *tomb_key = arena_fmt(c->a, "deleted:%s", c->key);
    TRY(cluster_forget(c->arm, c->key, d));
    CLEANUP_JSON json_t *tomb = tomb_key != NULL ? arm_doc(c->arm, tomb_key) : NULL;
    if (tomb == NULL) return create(c, w, d);
    const char *location = NULL;
    TRY(arm_read_location(c, tomb, &location, d));
    char op[37];
    TRY(cluster_recover(c, true, op, d));
    TRY(operations_go(c->arm->operations, op, d));
    arm_async_headers(c, location, op, false);
    c->res->status = 202;
    return OK;
}

enum err cluster_put(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    bool is_new = old == NULL || str_eq(doc_str(old, "state"), "Failed");
    bool may_recover = cluster_dialect(c->version)->create == CREATE_202 &&
                       settings_of(c->arm).legacy_put_recovers;
    if (is_new) TRY(cluster_check_allowed(c, d));
    if (is_new) TRY(check_name(c, d));
    if (is_new && !may_recover) TRY(check_name_free(c, d));
    __attribute__((cleanup(cluster_wish_release))) struct cluster_wish w = {0};
    TRY(cluster_read(c, is_new ? NULL : old, true, &w, d));
    if (!is_new) return update(c, old, &w, true, d);
    return may_recover ? create_or_recover(c, &w, d) : create(c, &w, d);
}

enum err cluster_patch(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *old = arm_get_doc(c);
    if (old == NULL) {
        return ARM_FAIL(c, d, 404, "ResourceNotFound",
                        "Cluster not found, the cluster might have been deleted.");
    }
    __attribute__((cleanup(cluster_wish_release))) struct cluster_wish w = {0};
    TRY(cluster_read(c, old, false, &w, d));
    return update(c, old, &w, false, d);
}

/* --- deleting --------------------------------------------------------------------------------- */

/* The first article's clusters are not deleted under their workspaces, where the operator says so
 * (decision 14). */
static enum err check_unused(struct arm_call *c, const json_t *links, struct diag *d)
{
    if (cluster_dialect(c->version)->create != CREATE_202 ||
        !settings_of(c->arm).legacy_delete_fails || json_array_size(links) == 0) {
        return OK;
    }
    return ARM_FAIL(c, d, 409, "Conflict",
                    "Can't delete a cluster that has workspaces associated to it.");
}

static enum err reply_removal(struct arm_call *c, const json_t *doc, const char *op)
{
    bool at_once = cluster_dialect(c->version)->deletes_at_once;
    arm_async_headers(c, doc_str(doc, "location"), op, !at_once);
    c->res->status = at_once ? 200 : 202;
    return OK;
}

enum err cluster_remove(struct arm_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *doc = NULL;
    char op[37];
    {
        DOCS_WRITE(c->arm->docs);
        CLEANUP_JSON json_t *old = arm_get_doc(c);
        if (old == NULL) {
            c->res->status = 204;
            return OK;
        }
        const char *state = doc_str(old, "state");
        /* Asked again, it is the same deletion that goes on. */
        if (str_eq(state, "Deleting")) return reply_removal(c, old, doc_str(old, "operation"));
        if (!str_eq(state, "Succeeded") && !str_eq(state, "Failed")) {
            return ARM_FAIL(
                c, d, 409, "Conflict",
                "Can't delete a cluster while in provisioning state. Wait for the Async "
                "operation to complete and try again.");
        }
        CLEANUP_JSON json_t *links = cluster_links(c->arm, doc_str(old, "id"));
        TRY(check_unused(c, links, d));
        bool says_deleting =
            cluster_dialect(c->version)->has_status_words && json_array_size(links) != 0;
        doc = json_deep_copy(old);
        json_object_set_new(doc, "state", json_string("Deleting"));
        TRY(commit_and_go(c, doc, &cluster_delete_operation, says_deleting ? "Deleting" : NULL,
                          NULL, op, d));
    }
    TRY(operations_go(c->arm->operations, op, d));
    return reply_removal(c, doc, op);
}

/* --- the operator ----------------------------------------------------------------------------- */

/* POST .../clusters/{c}/recover: what one asks the support for. */
static enum err recover_now(struct arm_call *c, struct diag *d)
{
    const char *scope = arena_fmt(c->a, "/subscriptions/%s", c->id->subscription);
    if (scope == NULL) return arena_full(c->a, d);
    TRY(arm_authorize(c, "Microsoft.Authorization/roleAssignments/write", scope, d));
    char op[37];
    TRY(cluster_forget(c->arm, c->key, d));
    TRY(cluster_recover(c, json_get_bool(c->body, "withLinks", false), op, d));
    TRY(operations_go(c->arm->operations, op, d));
    CLEANUP_JSON json_t *doc = arm_get_doc(c);
    arm_async_headers(c, doc_str(doc, "location"), op, false);
    c->res->status = 202;
    return OK;
}

const struct arm_action cluster_actions[] = {
    {"recover", recover_now},
    {NULL, NULL},
};
