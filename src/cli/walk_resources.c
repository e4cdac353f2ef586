/* SPDX-License-Identifier: Apache-2.0 */
/* cli/walk_resources.c - step 1: a vault, a key, a cluster that may use it, a workspace linked to
 * the cluster */
#include "cli/walk.h"

#define INSIGHTS  "/providers/Microsoft.OperationalInsights"
#define CLUSTER   INSIGHTS "/clusters/" WALK_CLUSTER
#define WORKSPACE INSIGHTS "/workspaces/" WALK_WORKSPACE
#define VAULT     "/providers/Microsoft.KeyVault/vaults/" WALK_VAULT

static enum err make_group(struct walk *w, struct diag *d)
{
    return walk_arm(w, "PUT", "", "2021-04-01", json_pack("{s:s}", "location", WALK_REGION), NULL,
                    d);
}

static enum err make_vault(struct walk *w, struct diag *d)
{
    const struct credentials *c = session_credentials(w->s);
    json_t *owner = json_pack("{s:s, s:s, s:{s:[s]}}", "tenantId", c->tenant_id, "objectId",
                              c->object_id, "permissions", "keys", "all");
    json_t *body =
        json_pack("{s:s, s:{s:s, s:{s:s, s:s}, s:b, s:b, s:[o]}}", "location", WALK_REGION,
                  "properties", "tenantId", c->tenant_id, "sku", "family", "A", "name", "standard",
                  "enableSoftDelete", 1, "enablePurgeProtection", 1, "accessPolicies", owner);
    return walk_arm(w, "PUT", VAULT, "2022-07-01", body, NULL, d);
}

/* The version is the last part of the key's id. */
static enum err take_version(struct walk *w, const json_t *key, struct diag *d)
{
    const char *kid = json_string_value(json_at(key, "key", "kid", NULL));
    const char *slash = kid != NULL ? strrchr(kid, '/') : NULL;
    if (slash == NULL) return FAIL(d, ERR_CORRUPT, "the vault sent a key without an id");
    snprintf(w->key_version, sizeof w->key_version, "%s", slash + 1);
    snprintf(w->kek_uri, sizeof w->kek_uri, "%s", kid);
    return OK;
}

static enum err make_key(struct walk *w, struct diag *d)
{
    CLEANUP_JSON json_t *key = NULL;
    TRY(walk_vault(w, "POST", "/keys/" WALK_KEY "/create",
                   json_pack("{s:s, s:i}", "kty", "RSA", "key_size", 3072), &key, d));
    return take_version(w, key, d);
}

static enum err make_cluster(struct walk *w, struct diag *d)
{
    json_t *body =
        json_pack("{s:s, s:{s:s}, s:{s:s, s:i}}", "location", WALK_REGION, "identity", "type",
                  "SystemAssigned", "sku", "name", "CapacityReservation", "capacity", 500);
    TRY(walk_arm(w, "PUT", CLUSTER, "2023-09-01", body, NULL, d));
    CLEANUP_JSON json_t *cluster = NULL;
    TRY(walk_arm(w, "GET", CLUSTER, "2023-09-01", NULL, &cluster, d));
    const char *principal = json_string_value(json_at(cluster, "identity", "principalId", NULL));
    const char *id = json_get_str(cluster, "id");
    if (principal == NULL || id == NULL) return FAIL(d, ERR_CORRUPT, "the cluster has no identity");
    snprintf(w->principal_id, sizeof w->principal_id, "%s", principal);
    snprintf(w->cluster_id, sizeof w->cluster_id, "%s", id);
    return OK;
}

static enum err grant(struct walk *w, struct diag *d)
{
    json_t *policy = json_pack("{s:s, s:s, s:{s:[s,s,s]}}", "tenantId",
                               session_credentials(w->s)->tenant_id, "objectId", w->principal_id,
                               "permissions", "keys", "get", "wrapKey", "unwrapKey");
    json_t *body = json_pack("{s:{s:[o]}}", "properties", "accessPolicies", policy);
    return walk_arm(w, "PUT", VAULT "/accessPolicies/add", "2022-07-01", body, NULL, d);
}

static enum err set_key(struct walk *w, struct diag *d)
{
    CLEANUP_FREE char *vault =
        str_fmt("https://" WALK_VAULT ".%s", session_credentials(w->s)->vault_suffix);
    json_t *body =
        json_pack("{s:{s:{s:s, s:s, s:s}}}", "properties", "keyVaultProperties", "keyVaultUri",
                  vault, "keyName", WALK_KEY, "keyVersion", w->key_version);
    return walk_arm(w, "PATCH", CLUSTER, "2023-09-01", body, NULL, d);
}

static enum err make_workspace(struct walk *w, struct diag *d)
{
    json_t *body =
        json_pack("{s:s, s:{s:i}}", "location", WALK_REGION, "properties", "retentionInDays", 90);
    TRY(walk_arm(w, "PUT", WORKSPACE, "2022-10-01", body, NULL, d));
    return session_workspace(w->s, WALK_WORKSPACE, &w->workspace, d);
}

static enum err link_workspace(struct walk *w, struct diag *d)
{
    json_t *body = json_pack("{s:{s:s}}", "properties", "writeAccessResourceId", w->cluster_id);
    return walk_arm(w, "PUT", WORKSPACE "/linkedServices/cluster", "2020-08-01", body, NULL, d);
}

enum err walk_resources(struct walk *w, struct diag *d)
{
    walk_step(w, "1. A key of your own, and a cluster that may use it");
    TRY(make_group(w, d));
    TRY(make_vault(w, d));
    walk_done(w, "vault " WALK_VAULT " with soft delete and purge protection");
    TRY(make_key(w, d));
    walk_done(w, "RSA-3072 key " WALK_KEY ", version %.8s", w->key_version);
    TRY(make_cluster(w, d));
    walk_done(w, "cluster " WALK_CLUSTER ": asynchronous operation followed to Succeeded");
    TRY(grant(w, d));
    walk_done(w, "the vault lets the cluster's identity %.8s get, wrap and unwrap",
              w->principal_id);
    TRY(set_key(w, d));
    walk_done(w, "the cluster uses %s", w->kek_uri);
    TRY(make_workspace(w, d));
    walk_done(w, "workspace " WALK_WORKSPACE);
    TRY(link_workspace(w, d));
    walk_done(w, "linked: from here on its rows are sealed under your key");
    return OK;
}
