/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/account.c - storage accounts: one per workspace and key scope, and which one new rows go
 * to
 *
 * (1) An account's id is random and in the catalogue before custody makes its key: a crash in
 *     between finds it again instead of making a second.
 * (2) Rows go to the cluster's account only while the workspace is linked and the cluster has had a
 *     key; before and after that to the platform's.
 */
#include "base/log.h"
#include "base/rand.h"
#include "resource/plane.h"

#include <stdlib.h>

/* --- account documents ------------------------------------------------------------------------ */

static bool account_id(const json_t *doc, uint8_t out[16])
{
    const char *hex = json_string_value(json_object_get(doc, "id"));
    return hex != NULL && hex_decode(bytes_str(hex), out, 16, NULL) == OK;
}

static json_t *find_doc(struct arm *a, const char *workspace, const char *scope)
{
    CLEANUP_JSON json_t *list = docs_list(a->docs, DOC_ACCOUNT, workspace, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (list, i, doc) {
        if (str_eq(json_string_value(json_object_get(doc, "scope")), scope))
            return json_incref(doc);
    }
    return NULL;
}

bool arm_account_find(struct arm *a, const char *workspace, const char *scope, uint8_t out[16])
{
    CLEANUP_JSON json_t *doc = find_doc(a, workspace, scope);
    return doc != NULL && json_is_true(json_object_get(doc, "ready")) && account_id(doc, out);
}

/* The document, made if need be (1). A new reference. */
static enum err reserve(struct arm *a, const char *workspace, const char *scope,
                        const char *cluster_id, json_t **out, struct diag *d)
{
    DOCS_WRITE(a->docs);
    json_t *doc = find_doc(a, workspace, scope);
    if (doc == NULL) {
        uint8_t id[16];
        char hex[33];
        rand_bytes(id, sizeof id);
        hex_encode(bytes_of(id, sizeof id), hex);
        doc = json_pack("{s:s, s:s, s:s, s:s, s:b, s:I}", "id", hex, "workspace", workspace,
                        "scope", scope, "cluster", cluster_id, "ready", 0, "created",
                        (json_int_t)time_now_us());
        CLEANUP_CHANGE struct change c = {0};
        change_put(&c, DOC_ACCOUNT, hex, workspace, json_incref(doc));
        enum err e = docs_commit(a->docs, &c, d);
        if (e != OK) {
            json_decref(doc);
            return e;
        }
    }
    *out = doc;
    return OK;
}

static enum err mark_ready(struct arm *a, const json_t *doc, struct diag *d)
{
    json_t *ready = json_deep_copy(doc);
    json_object_set_new(ready, "ready", json_true());
    CLEANUP_CHANGE struct change c = {0};
    change_put(&c, DOC_ACCOUNT, json_string_value(json_object_get(doc, "id")),
               json_string_value(json_object_get(doc, "workspace")), ready);
    DOCS_WRITE(a->docs);
    return docs_commit(a->docs, &c, d);
}

enum err arm_account_ensure(struct arm *a, const char *workspace, const char *cluster_id,
                            uint8_t out[16], struct diag *d)
{
    char scope[ARM_ID_MAX];
    snprintf(scope, sizeof scope, "%s", cluster_id[0] != '\0' ? cluster_id : SCOPE_PLATFORM);
    str_lower(scope);
    CLEANUP_JSON json_t *doc = NULL;
    TRY(reserve(a, workspace, scope, cluster_id, &doc, d));
    uint8_t id[16];
    if (!account_id(doc, id)) return FAIL(d, ERR_CORRUPT, "an account of %s has no id", workspace);
    if (!json_is_true(json_object_get(doc, "ready"))) {
        TRY(custody_account_add(a->c.custody, scope, id, workspace, d));
        if (a->store != NULL) TRY(store_account_open(a->store, id, d));
        TRY(mark_ready(a, doc, d));
    }
    memcpy(out, id, sizeof id);
    return OK;
}

enum err arm_platform_account(struct arm *a, uint8_t out[16], struct diag *d)
{
    return arm_account_ensure(a, "", "", out, d);
}

/* --- keys come and go ------------------------------------------------------------------------- */

static bool has_key(enum key_state s)
{
    return s == KEY_ACTIVE || s == KEY_STALE || s == KEY_RESTORING;
}

enum err arm_accounts_open(struct arm *a, struct diag *d)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_ACCOUNT, NULL, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        uint8_t id[16];
        if (!account_id(doc, id) || !json_is_true(json_object_get(doc, "ready"))) continue;
        enum key_state s = custody_account_state(a->c.custody, id);
        if (s == KEY_REVOKED)
            TRY(store_spool_destroy(a->store, id, d)); /* told before we listened */
        if (!has_key(s)) continue;
        enum err e = store_account_open(a->store, id, d);
        /* The key went away meanwhile: arm_key_changed() opens it when it is back. */
        if (e == ERR_KEY_LOCKED || e == ERR_UNAVAILABLE) {
            diag_reset(d);
            e = OK;
        }
        if (e != OK) return e;
    }
    return OK;
}

enum err arm_key_changed(struct arm *a, const uint8_t account[16], enum key_state now,
                         struct diag *d)
{
    if (a->store == NULL) return OK; /* arm_accounts_open() will see the state */
    if (now == KEY_REVOKED || now == KEY_SUSPENDED) store_account_lock(a->store, account);
    if (now == KEY_REVOKED) return store_spool_destroy(a->store, account, d);
    if (now == KEY_RESTORING) return store_account_open(a->store, account, d);
    return OK;
}

bool arm_account(struct arm *a, const uint8_t id[16], struct account *out)
{
    char hex[33];
    hex_encode(bytes_of(id, 16), hex);
    CLEANUP_JSON json_t *doc = docs_get(a->docs, DOC_ACCOUNT, hex);
    if (doc == NULL) return false;
    struct account x = {0};
    memcpy(x.id, id, 16);
    const char *cluster = json_string_value(json_object_get(doc, "cluster"));
    const char *workspace = json_string_value(json_object_get(doc, "workspace"));
    const char *name = cluster != NULL ? strrchr(cluster, '/') : NULL;
    snprintf(x.workspace, sizeof x.workspace, "%s", workspace != NULL ? workspace : "");
    snprintf(x.cluster_id, sizeof x.cluster_id, "%s", cluster != NULL ? cluster : "");
    snprintf(x.cluster_name, sizeof x.cluster_name, "%s", name != NULL ? name + 1 : "");
    struct guid g;
    struct workspace w;
    if (guid_parse(x.workspace, &g, NULL) == OK && arm_workspace(a, &g, &w)) {
        memcpy(x.workspace_name, w.name, sizeof x.workspace_name);
    }
    *out = x;
    return true;
}

enum key_state arm_workspace_state(struct arm *a, const struct guid *workspace)
{
    struct workspace w;
    if (!arm_workspace(a, workspace, &w) || !w.has_account) return KEY_SUSPENDED;
    return custody_account_state(a->c.custody, w.account);
}

json_t *arm_sealed_clusters(struct arm *a)
{
    json_t *ids = json_array();
    CLEANUP_JSON json_t *clusters = docs_list(a->docs, DOC_RESOURCE, KIND_CLUSTER, NULL);
    size_t i, k;
    json_t *cluster, *account;
    CLEANUP_JSON json_t *accounts = docs_list(a->docs, DOC_ACCOUNT, NULL, NULL);
    json_array_foreach (clusters, i, cluster) {
        const char *id = json_string_value(json_object_get(cluster, "id"));
        json_array_foreach (accounts, k, account) {
            uint8_t x[16];
            if (!str_eq_nocase(id, json_string_value(json_object_get(account, "cluster"))))
                continue;
            if (!account_id(account, x) || has_key(custody_account_state(a->c.custody, x)))
                continue;
            json_array_append_new(ids, json_string(id));
            break;
        }
    }
    return ids;
}

json_t *arm_gone_accounts(struct arm *a, const char *workspace)
{
    json_t *gone = json_array();
    CLEANUP_JSON json_t *accounts = docs_list(a->docs, DOC_ACCOUNT, workspace, NULL);
    size_t i;
    json_t *account;
    json_array_foreach (accounts, i, account) {
        const char *scope = json_string_value(json_object_get(account, "scope"));
        CLEANUP_FREE char *key = str_fmt("deleted:%s", scope != NULL ? scope : "");
        CLEANUP_JSON json_t *tomb = key != NULL ? arm_doc(a, key) : NULL;
        if (tomb == NULL) continue;
        json_array_append_new(gone, json_pack("{s:O, s:O}", "id", json_object_get(account, "id"),
                                              "cluster", json_object_get(account, "cluster")));
    }
    return gone;
}

/* --- the index of workspaces ------------------------------------------------------------------ */

static void copy(char *to, size_t n, const json_t *doc, const char *name)
{
    const char *s = json_string_value(json_object_get(doc, name));
    snprintf(to, n, "%s", s != NULL ? s : "");
}

/* (2) */
static void choose_account(struct arm *a, struct workspace *w, const char *workspace_key)
{
    w->has_account = arm_account_find(a, w->customer_id, SCOPE_PLATFORM, w->account);
    CLEANUP_FREE char *link_key = str_fmt("%s/linkedservices/cluster", workspace_key);
    CLEANUP_JSON json_t *link = link_key != NULL ? arm_doc(a, link_key) : NULL;
    if (!link_holds(link)) return;
    copy(w->cluster_id, sizeof w->cluster_id, link, "cluster");
    char scope[ARM_ID_MAX];
    memcpy(scope, w->cluster_id, sizeof scope);
    str_lower(scope);
    CLEANUP_JSON json_t *cluster = arm_doc(a, scope);
    uint8_t id[16];
    if (!json_is_true(json_object_get(cluster, "keyed"))) return;
    /* Rather no account than the platform's: what is to be under the customer's key waits for it. */
    w->has_account = arm_account_find(a, w->customer_id, scope, id);
    if (!w->has_account) return;
    memcpy(w->account, id, sizeof id);
    w->is_customer_key = true;
}

static void index_drop(struct arm *a, const char *workspace_key)
{
    struct workspace *old = map_remove(&a->by_id, bytes_str(workspace_key));
    if (old == NULL) return;
    map_remove(&a->workspaces, BYTES_OF(old->id));
    free(old);
}

/* What the documents say of a workspace; false: it is gone. */
static enum err describe(struct arm *a, const char *workspace_key, struct workspace *w,
                         bool *is_there, struct diag *d)
{
    CLEANUP_JSON json_t *doc = arm_doc(a, workspace_key);
    *is_there = doc != NULL;
    if (doc == NULL) return OK;
    copy(w->customer_id, sizeof w->customer_id, doc, "customerId");
    copy(w->name, sizeof w->name, doc, "name");
    copy(w->arm_id, sizeof w->arm_id, doc, "id");
    copy(w->rule_id, sizeof w->rule_id, doc, "rule");
    w->retention_days = (uint32_t)json_get_int(doc, "retention", 30);
    const json_t *quota = json_object_get(doc, "quota");
    w->quota_gb = json_is_number(quota) ? json_number_value(quota) : -1;
    w->private_ingestion = !str_eq(doc_str(doc, "ingestion"), "Enabled");
    w->private_query = !str_eq(doc_str(doc, "query"), "Enabled");
    TRY(guid_parse(w->customer_id, &w->id, d));
    choose_account(a, w, workspace_key);
    return OK;
}

/* Under the index's lock. Takes w when it returns OK. */
static enum err index_add(struct arm *a, const char *workspace_key, struct workspace *w,
                          struct diag *d)
{
    TRY(map_put(&a->by_id, bytes_str(workspace_key), w, NULL, d));
    enum err e = map_put(&a->workspaces, BYTES_OF(w->id), w, NULL, d);
    if (e != OK) (void)map_remove(&a->by_id, bytes_str(workspace_key));
    return e;
}

enum err index_refresh(struct arm *a, const char *workspace_key, struct diag *d)
{
    LOCK_SCOPE(&a->index_writers);
    struct workspace *w = calloc(1, sizeof *w);
    if (w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    bool is_there = false;
    enum err e = describe(a, workspace_key, w, &is_there, d);
    if (e == OK) {
        pthread_rwlock_wrlock(&a->index_lock);
        index_drop(a, workspace_key);
        if (is_there) e = index_add(a, workspace_key, w, d);
        pthread_rwlock_unlock(&a->index_lock);
    }
    if (e != OK || !is_there) free(w);
    return e;
}

enum err index_load(struct arm *a, struct diag *d)
{
    CLEANUP_JSON json_t *all = docs_list(a->docs, DOC_RESOURCE, KIND_WORKSPACE, NULL);
    size_t i;
    json_t *doc;
    json_array_foreach (all, i, doc) {
        const char *id = json_string_value(json_object_get(doc, "id"));
        CLEANUP_FREE char *key = str_dup(id != NULL ? id : "");
        if (key == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        str_lower(key);
        TRY(index_refresh(a, key, d));
    }
    return OK;
}

void index_release(struct arm *a)
{
    MAP_EACH (&a->workspaces, e)
        free(e->value);
    map_release(&a->workspaces);
    map_release(&a->by_id);
}

static bool copy_out(struct arm *a, const struct map *m, struct bytes key, struct workspace *out)
{
    pthread_rwlock_rdlock(&a->index_lock);
    const struct workspace *w = map_get(m, key);
    if (w != NULL) *out = *w;
    pthread_rwlock_unlock(&a->index_lock);
    return w != NULL;
}

bool arm_workspace(struct arm *a, const struct guid *id, struct workspace *out)
{
    return copy_out(a, &a->workspaces, BYTES_OF(*id), out);
}

bool arm_workspace_by_id(struct arm *a, const char *arm_id, struct workspace *out)
{
    CLEANUP_FREE char *key = str_dup(arm_id);
    if (key == NULL) return false;
    str_lower(key);
    return copy_out(a, &a->by_id, bytes_str(key), out);
}

enum err arm_workspaces(struct arm *a, const char *name, struct workspace **out, uint32_t *out_n,
                        struct diag *d)
{
    pthread_rwlock_rdlock(&a->index_lock);
    uint32_t n = 0;
    struct workspace *all = calloc((size_t)a->workspaces.n_live + 1, sizeof *all);
    MAP_EACH (&a->workspaces, e) {
        const struct workspace *w = e->value;
        if (all != NULL && (name == NULL || str_eq_nocase(w->name, name))) all[n++] = *w;
    }
    pthread_rwlock_unlock(&a->index_lock);
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *out = all;
    *out_n = n;
    return OK;
}

bool resource_current_account(struct arm *a, const struct guid *workspace, uint8_t account[16])
{
    pthread_rwlock_rdlock(&a->index_lock);
    const struct workspace *w = map_get(&a->workspaces, BYTES_OF(*workspace));
    bool found = w != NULL && w->has_account;
    if (found) memcpy(account, w->account, 16);
    pthread_rwlock_unlock(&a->index_lock);
    return found;
}
