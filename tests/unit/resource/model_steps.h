/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/resource/model_steps.h - requests of model.c: each is sent to the plane and done to the model */
#pragma once

#include "model_rules.h"

static bool is_there(const struct model_cluster *c)
{
    return c->state != ABSENT && c->state != BURIED;
}

static bool is_allowed(int64_t capacity)
{
    bool listed = false;
    for (int i = 0; i < 3; i++)
        listed = listed || how->capacities[i] == capacity;
    return listed || how->any_capacity;
}

static int write_status(const struct model_cluster *c, int64_t capacity, int64_t now)
{
    if (c->state != READY) return 400;
    if (capacity != c->capacity && !is_allowed(capacity)) return 400;
    bool locked =
        capacity < c->capacity && now < c->sized + 31 * DAY_US && now >= c->created + 6 * HOUR_US;
    return locked ? 400 : 200;
}

static void resize(struct model_cluster *c, int64_t capacity)
{
    if (capacity == c->capacity) return;
    c->capacity = capacity;
    c->sized = time_now_us();
}

static int64_t some_capacity(void)
{
    uint64_t i = draw(8);
    return i == 7 ? BAD_CAPACITY : how->capacities[i % 3];
}

static json_t *cluster_body(int i, int64_t capacity)
{
    return json_pack("{s:o, s:{s:s}, s:{s:s, s:I}}", "location",
                     json_sprintf("region%d", region_of(i)), "identity", "type", "SystemAssigned",
                     "sku", "name", "CapacityReservation", "capacity", (json_int_t)capacity);
}

static void put_cluster(int i, uint64_t seed, int step)
{
    char path[256];
    struct model_cluster *c = &clusters[i];
    int64_t capacity = some_capacity();
    int wanted, active = 0, reserved = 0;
    last = "PUT cluster";
    for (int k = 0; k < N_CLUSTERS; k++) {
        if (region_of(k) != region_of(i)) continue;
        active += is_there(&clusters[k]);
        reserved += clusters[k].state != ABSENT;
    }
    bool recovers = c->state == BURIED && how->first && put_recovers;
    if (is_there(c)) {
        wanted = write_status(c, capacity, time_now_us());
        if (wanted == 200) wanted = how->put;
    } else {
        bool full = active >= ACTIVE_MAX || reserved >= RESERVED_MAX;
        wanted = c->state == BURIED && !recovers ? 409
                 : !is_allowed(capacity)         ? 400
                 : full && !recovers             ? 409
                                                 : how->created;
    }
    expect(call("PUT", cluster_path(i, path), cluster_body(i, capacity), NULL), wanted, i, seed,
           step);
    if (wanted >= 300) return;
    int64_t now = time_now_us();
    if (recovers) {
        c->state = BUSY_CREATING;
        c->recovers = c->with_links = true;
        c->due = now + 7200 * US_PER_S;
    } else if (is_there(c)) {
        resize(c, capacity);
        if (!how->removes_key || c->key == 0) return;
        c->state = BUSY_UPDATING; /* a PUT without a key takes it away */
        c->due = now + 3700 * US_PER_S;
        c->next_key = 0;
    } else {
        *c = (struct model_cluster){.state = BUSY_CREATING,
                                    .due = now + 7200 * US_PER_S,
                                    .capacity = capacity,
                                    .sized = now,
                                    .created = now};
    }
}

static void patch_capacity(int i, uint64_t seed, int step)
{
    char path[256];
    struct model_cluster *c = &clusters[i];
    int64_t capacity = some_capacity();
    int wanted = is_there(c) ? write_status(c, capacity, time_now_us()) : 404;
    last = "PATCH capacity";
    json_t *body = json_pack("{s:{s:s, s:I}}", "sku", "name", "capacityReservation", "capacity",
                             (json_int_t)capacity);
    expect(call("PATCH", cluster_path(i, path), body, NULL), wanted, i, seed, step);
    if (wanted == 200) resize(c, capacity);
}

/* key 0 removes it. */
static void patch_key(int i, int key, uint64_t seed, int step)
{
    char path[256], name[16];
    struct model_cluster *c = &clusters[i];
    int wanted = 404;
    if (is_there(c)) {
        bool changes = key != c->key;
        wanted = c->state != READY                     ? 400
                 : key != 0 && changes && vault_denies ? 400
                 : changes                             ? how->keyed
                                                       : 200;
    }
    snprintf(name, sizeof name, "k%d", key);
    last = key != 0 ? "PATCH key" : "PATCH no key";
    json_t *body = json_pack("{s:{s:{s:s, s:s, s:s}}}", "properties", "keyVaultProperties",
                             "keyVaultUri", key != 0 ? "https://kv1.vault.localhost" : "",
                             "keyName", key != 0 ? name : "", "keyVersion", "");
    expect(call("PATCH", cluster_path(i, path), body, NULL), wanted, i, seed, step);
    if (wanted >= 300 || key == c->key) return;
    c->state = BUSY_UPDATING;
    c->due = time_now_us() + 3700 * US_PER_S;
    c->next_key = key;
}

static int links_of(int cluster)
{
    int n = 0;
    for (int i = 0; i < N_WORKSPACES; i++)
        n += workspaces[i].link != UNLINKED && workspaces[i].cluster == cluster;
    return n;
}

static void delete_cluster(int i, uint64_t seed, int step)
{
    char path[256];
    struct model_cluster *c = &clusters[i];
    bool busy = c->state == BUSY_CREATING || c->state == BUSY_UPDATING;
    bool in_use = c->state == READY && how->first && delete_fails && links_of(i) != 0;
    int wanted = !is_there(c) ? 204 : busy || in_use ? 409 : how->removed;
    last = "DELETE cluster";
    expect(call("DELETE", cluster_path(i, path), NULL, NULL), wanted, i, seed, step);
    if (c->state != READY || in_use) return;
    c->state = BUSY_DELETING;
    c->due = time_now_us() + 5000 * US_PER_S;
}

static void recover_cluster(int i, uint64_t seed, int step)
{
    char path[256], action[280];
    struct model_cluster *c = &clusters[i];
    bool with_links = draw(2) == 0;
    last = "POST recover";
    snprintf(action, sizeof action, "%s/recover", cluster_path(i, path));
    expect(call("POST", action, json_pack("{s:b}", "withLinks", with_links), NULL),
           c->state == BURIED ? 202 : 404, i, seed, step);
    if (c->state != BURIED) return;
    c->state = BUSY_CREATING;
    c->recovers = true;
    c->with_links = with_links;
    c->due = time_now_us() + 7200 * US_PER_S;
}

static void put_workspace(int i, uint64_t seed, int step)
{
    char path[256];
    struct model_workspace *w = &workspaces[i];
    last = "PUT workspace";
    json_t *body = json_pack("{s:o}", "location", json_sprintf("region%d", region_of(i)));
    int wanted = w->is_there || w->is_buried ? 200 : 201;
    expect(call("PUT", workspace_path(i, "", path), body, NULL), wanted, i, seed, step);
    if (w->is_buried) {
        w->is_buried = false;
        w->link = UNLINKED;
        if (w->buried_cluster >= 0 && is_there(&clusters[w->buried_cluster])) {
            w->link = LINKED;
            w->cluster = w->buried_cluster;
        }
    }
    if (wanted == 201) w->life++;
    w->is_there = true;
}

static void delete_workspace(int i, bool force, uint64_t seed, int step)
{
    char path[256];
    struct model_workspace *w = &workspaces[i];
    last = force ? "forced DELETE workspace" : "DELETE workspace";
    workspace_path(i, "", path);
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    const struct http_field query[] = {{"api-version", how->version}, {"force", "true"}};
    const struct http_request req = {.a = &a,
                                     .method = "DELETE",
                                     .path = path,
                                     .target = path,
                                     .peer = "",
                                     .n_query = force ? 2 : 1,
                                     .query = query};
    struct http_response res = {.a = &a};
    arm_handle(arm, &req, &caller, &res);
    buf_release(&res.body);
    expect(res.status, w->is_there ? 200 : 204, i, seed, step);
    if (!w->is_there) return;
    if (force) {
        *w = (struct model_workspace){.cluster = -1, .buried_cluster = -1, .life = w->life};
        return;
    }
    w->is_there = false;
    w->is_buried = true;
    w->deleted = time_now_us();
    w->buried_cluster = w->link == LINKED ? w->cluster : -1;
    w->link = UNLINKED;
}

static int recent_links(const struct model_workspace *w)
{
    int n = 0;
    int64_t from = time_now_us() - 30 * DAY_US;
    for (int k = 0; k < w->n_times; k++)
        n += w->times[k] > from;
    return n;
}

static int link_status(const struct model_workspace *w, int i, int cluster)
{
    if (!w->is_there) return 404;
    if (!is_there(&clusters[cluster])) return 400;
    if (w->link == LINKING || w->link == UNLINKING) return 409;
    if (w->link == LINKED) return w->cluster == cluster ? 200 : 409;
    if (clusters[cluster].state != READY) return 400;
    if (clusters[cluster].keyed && clusters[cluster].key == 0) return 400;
    if (region_of(i) != region_of(cluster)) return 400;
    if (links_of(cluster) >= ROOM_MAX) return 409;
    return recent_links(w) >= LINKS_MAX ? 400 : how->linked;
}

static void put_link(int i, int cluster, uint64_t seed, int step)
{
    char path[256], id[256];
    struct model_workspace *w = &workspaces[i];
    int wanted = link_status(w, i, cluster);
    last = "PUT link";
    json_t *body =
        json_pack("{s:{s:s}}", "properties", "writeAccessResourceId", cluster_path(cluster, id));
    expect(call("PUT", workspace_path(i, "/linkedServices/cluster", path), body, NULL), wanted, i,
           seed, step);
    if (wanted >= 300 || w->link == LINKED) return;
    w->link = LINKING;
    w->cluster = cluster;
    w->due = time_now_us() + 3900 * US_PER_S;
    REQUIRE(w->n_times < 64);
    w->times[w->n_times++] = time_now_us();
}

static void delete_link(int i, uint64_t seed, int step)
{
    char path[256];
    struct model_workspace *w = &workspaces[i];
    int wanted = !w->is_there          ? 404
                 : w->link == UNLINKED ? 204
                 : w->link != LINKED   ? 409
                                       : how->linked;
    last = "DELETE link";
    expect(call("DELETE", workspace_path(i, "/linkedServices/cluster", path), NULL, NULL), wanted,
           i, seed, step);
    if (wanted >= 300 || w->link != LINKED) return;
    w->link = UNLINKING;
    w->due = time_now_us() + 4100 * US_PER_S;
}

/* Seconds that are no multiple of any rule's, so that no rule is asked at its very boundary. */
static void turn(void)
{
    static const int64_t most[] = {2 * 3600, 12 * 3600, 5 * 86400, 16 * 86400};
    struct diag d = DIAG_INIT;
    int64_t s = 61 + (int64_t)draw((uint64_t)most[draw(4)]);
    REQUIRE_OK(clock_advance(s * US_PER_S, &d));
    if (draw(2) == 0) arm_tidy(arm, time_now_us()); /* the rules don't wait for it */
    settle_all();
}
