/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/resource/model.c - thousands of random requests on clusters, links, keys and
 * workspaces, in all dialects, with the clock turned and the operator's switches set in between,
 * against a small model of the rules
 *
 * Custody and identity are played; catalogue, plane and operations are the real ones. MODEL_SEEDS
 * in the environment asks for more seeds, MODEL_SEED for one.
 */
#include "model_steps.h"

#define SEEDS 4
#define STEPS 700

/* --- comparing -------------------------------------------------------------------------------- */

static const char *state_name(enum state s)
{
    static const char *const names[] = {"", "Creating", "Succeeded", "Updating", "Deleting", ""};
    return names[s];
}

static void compare_cluster(int i, uint64_t seed, int step)
{
    char path[256];
    CLEANUP_JSON json_t *j = NULL;
    const struct model_cluster *c = &clusters[i];
    last = "GET cluster";
    expect(call("GET", cluster_path(i, path), NULL, &j), is_there(c) ? 200 : 404, i, seed, step);
    if (!is_there(c)) return;
    const json_t *p = json_get(j, "properties");
    const char *key = json_string_value(json_at(p, "keyVaultProperties", "keyName", NULL));
    int linked = 0;
    for (int k = 0; k < N_WORKSPACES; k++)
        linked += workspaces[k].link != UNLINKED && workspaces[k].cluster == i;
    bool good = str_eq(json_get_str(p, "provisioningState"), state_name(c->state)) &&
                json_integer_value(json_at(j, "sku", "capacity", NULL)) == c->capacity &&
                (key != NULL ? atoi(key + 1) : 0) == c->key &&
                (int)json_array_size(json_get(p, "associatedWorkspaces")) == linked;
    if (good) return;
    CLEANUP_BUF struct buf text = {0};
    (void)json_write(j, &text, NULL);
    fail_msg(
        "seed %llu, step %d, after %s: cluster %d is %.*s; the model says %s, %lld GB, key %d, "
        "%d workspaces",
        (unsigned long long)seed, step, last, i, (int)text.len, (const char *)text.p,
        state_name(c->state), (long long)c->capacity, c->key, linked);
}

static void compare_workspace(int i, uint64_t seed, int step)
{
    char path[256], id[256] = "";
    CLEANUP_JSON json_t *j = NULL;
    const struct model_workspace *w = &workspaces[i];
    last = "GET workspace";
    workspace_path(i, "", path);
    expect(call("GET", path, NULL, &j), w->is_there ? 200 : 404, i, seed, step);
    if (!w->is_there) return;
    bool holds = w->link == LINKED || w->link == UNLINKING;
    if (holds) cluster_path(w->cluster, id);
    const char *shown =
        json_string_value(json_at(j, "properties", "features", "clusterResourceId", NULL));
    const char *sku = json_string_value(json_at(j, "properties", "sku", "name", NULL));
    struct workspace routed;
    REQUIRE(arm_workspace_by_id(arm, path, &routed));
    bool good = str_eq_nocase(shown != NULL ? shown : "", id) &&
                str_eq_nocase(sku, holds ? "LACluster" : "PerGB2018") &&
                str_eq_nocase(routed.cluster_id, id) && routed.has_account &&
                routed.is_customer_key == (holds && clusters[w->cluster].keyed);
    if (good) return;
    fail_msg("seed %llu, step %d: workspace %d shows cluster '%s' and sku %s, its rows go to '%s' "
             "(customer's key: %d); the model says '%s' (%d)",
             (unsigned long long)seed, step, i, shown != NULL ? shown : "", sku, routed.cluster_id,
             routed.is_customer_key, id, holds && clusters[w->cluster].keyed);
}

/* The operator changes his mind about the first article. */
static void set_switches(void)
{
    struct diag d = DIAG_INIT;
    put_recovers = draw(2) == 0;
    delete_fails = draw(2) == 0;
    CLEANUP_JSON json_t *j = json_pack("{s:b, s:b}", "legacyPutRecovers", put_recovers,
                                       "legacyDeleteFails", delete_fails);
    REQUIRE_OK(settings_change(arm, j, NULL, &d));
}

static void step_of(uint64_t seed, int step)
{
    int i = (int)draw(N_CLUSTERS), w = (int)draw(N_WORKSPACES);
    how = &dialects[draw(N_DIALECTS)];
    switch (draw(17)) {
    case 0:
    case 1:
    case 2: put_cluster(i, seed, step); break;
    case 3: patch_capacity(i, seed, step); break;
    case 4:
    case 5: patch_key(i, 1 + (int)draw(2), seed, step); break;
    case 6: patch_key(i, 0, seed, step); break;
    case 7: delete_cluster(i, seed, step); break;
    case 8: recover_cluster(i, seed, step); break;
    case 9: put_workspace(w, seed, step); break;
    case 10: delete_workspace(w, draw(4) == 0, seed, step); break;
    case 11:
    case 12: put_link(w, i, seed, step); break;
    case 13: delete_link(w, seed, step); break;
    case 14: vault_denies = draw(3) == 0; break;
    case 15: set_switches(); break;
    default: turn(); break;
    }
}

static void run(uint64_t seed)
{
    seed_state = seed;
    vault_denies = put_recovers = delete_fails = false;
    how = &dialects[4];
    memset(clusters, 0, sizeof clusters);
    for (int i = 0; i < N_WORKSPACES; i++)
        workspaces[i] = (struct model_workspace){.cluster = -1, .buried_cluster = -1};
    open_plane(seed);
    last = "PUT group";
    expect(call("PUT", "/subscriptions/" SUB "/resourceGroups/rg",
                json_pack("{s:s}", "location", "region0"), NULL),
           201, 0, seed, -1);
    for (int step = 0; step < STEPS; step++) {
        step_of(seed, step);
        how = &dialects[2 + draw(N_DIALECTS - 2)]; /* those that show associatedWorkspaces */
        for (int i = 0; i < N_CLUSTERS; i++)
            compare_cluster(i, seed, step);
        for (int i = 0; i < N_WORKSPACES; i++)
            compare_workspace(i, seed, step);
    }
    close_plane();
}

TEST(model, random_requests_end_as_the_rules_say)
{
    const char *one = getenv("MODEL_SEED"), *more = getenv("MODEL_SEEDS");
    if (one != NULL) {
        run(strtoull(one, NULL, 10));
        return;
    }
    uint64_t n = more != NULL ? strtoull(more, NULL, 10) : SEEDS;
    for (uint64_t seed = 1; seed <= n; seed++)
        run(seed);
}
