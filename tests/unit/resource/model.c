/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thousands of random requests on clusters, links, keys and workspaces, in all dialects, with the
 * clock turned and the operator's switches set in between, against a small model of the rules.
 * Custody and identity are played; catalogue, plane and operations are the real ones. MODEL_SEEDS in the environment asks for more seeds, MODEL_SEED
 * for one.
 */
#include "resource/plane.h"

#include "test.h"
#include "played.h"

#include <stdio.h>
#include <stdlib.h>

#define SEEDS        4
#define STEPS        700
#define N_CLUSTERS   5
#define N_WORKSPACES 4
#define N_REGIONS    2
#define ACTIVE_MAX   2
#define RESERVED_MAX 3
#define ROOM_MAX     2
#define LINKS_MAX    2
#define HOUR_US      (3600 * US_PER_S)
#define DAY_US       (24 * HOUR_US)
#define SUB          "11111111-1111-1111-1111-111111111111"

/* What the versions have of their own: the first article's to the newest. */
static const struct dialect {
    const char *version;
    int created, put, keyed, removed, linked; /* statuses of success */
    int64_t capacities[3];                    /* some that it allows */
    bool any_capacity, removes_key, first;    /* first: the switches of the first article count */
} dialects[] = {
    {"2019-08-01-preview", 202, 202, 200, 200, 200, {1000, 1100, 2000}, false, true, true},
    {"2020-03-01-preview", 200, 200, 200, 200, 200, {1000, 1500, 2000}, false, false, false},
    {"2020-08-01", 202, 200, 200, 202, 200, {100, 777, 1000}, true, false, false},
    {"2021-06-01", 202, 200, 200, 202, 200, {500, 1000, 2000}, false, false, false},
    {"2022-10-01", 202, 200, 202, 202, 202, {100, 500, 1000}, false, false, false},
    {"2025-07-01", 202, 200, 202, 202, 202, {100, 500, 1000}, false, false, false},
};
#define N_DIALECTS   (sizeof dialects / sizeof dialects[0])
#define BAD_CAPACITY 150                /* in none of their lists */
static const struct dialect *how;       /* of the request under way */
static bool put_recovers, delete_fails; /* the operator's switches for the first article */

/* --- the plane -------------------------------------------------------------------------------- */

static struct catalog *catalog;
static struct arm *arm;
static const struct caller caller = {.object_id = "me", .app_id = "app"};

static void open_plane(uint64_t seed)
{
    struct diag d = DIAG_INIT;
    static const char *const hosts[] = {"vault.localhost", NULL};
    CLEANUP_FREE char *clock = os_path(test_dir(), "clock");
    CLEANUP_FREE char *name = str_fmt("model-%llu.db", (unsigned long long)seed);
    CLEANUP_FREE char *path = os_path(test_dir(), name);
    if (!clock_is_virtual()) REQUIRE_OK(clock_open(clock, true, &d));
    REQUIRE_OK(catalog_open_sqlite(&catalog, path, &d));
    const struct arm_config config = {.catalog = catalog,
                                      .endpoint = "https://localhost",
                                      .vault_suffix = "vault.localhost",
                                      .tenant_id = "tenant",
                                      .subscription_id = SUB,
                                      .owner_object_id = "me",
                                      .vault_hosts = hosts};
    REQUIRE_OK(arm_open(&arm, &config, &d));
    CLEANUP_JSON json_t *settings =
        json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "clustersActiveMax", ACTIVE_MAX,
                  "clustersReservedMax", RESERVED_MAX, "clusterWorkspacesMax", ROOM_MAX,
                  "linkOperationsMax", LINKS_MAX, "clusterCreateSeconds", 7200, "keyUpdateSeconds",
                  3700, "clusterDeleteSeconds", 5000, "linkSeconds", 3900, "unlinkSeconds", 4100);
    REQUIRE_OK(settings_change(arm, settings, NULL, &d));
}

static void close_plane(void)
{
    arm_close(arm);
    catalog->ops->close(catalog);
}

/* The status of one request; *reply, if wanted, is the body. body: taken. */
static int call(const char *method, const char *path, json_t *body, json_t **reply)
{
    CLEANUP_ARENA struct arena a;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_JSON json_t *sent = body;
    struct diag d = DIAG_INIT;
    arena_init(&a, 0);
    if (sent != NULL) REQUIRE_OK(json_write(sent, &text, &d));
    const struct http_field query[] = {{"api-version", how->version}};
    const struct http_request req = {.a = &a,
                                     .method = method,
                                     .path = path,
                                     .target = path,
                                     .peer = "127.0.0.1",
                                     .body = buf_view(&text),
                                     .n_query = 1,
                                     .query = query};
    struct http_response res = {.a = &a};
    arm_handle(arm, &req, &caller, &res);
    if (reply != NULL) {
        *reply = NULL;
        if (res.body.len != 0) REQUIRE_OK(json_read(buf_view(&res.body), reply, &d));
    }
    int status = res.status;
    buf_release(&res.body);
    return status;
}

/* --- the model -------------------------------------------------------------------------------- */

enum state { ABSENT, BUSY_CREATING, READY, BUSY_UPDATING, BUSY_DELETING, BURIED };

struct model_cluster {
    enum state state;
    int64_t due, capacity, sized, created, deleted;
    int key, next_key; /* 0 = none */
    bool keyed, recovers, with_links;
    int was_linked[N_WORKSPACES]; /* which of its lives, when the cluster was deleted; 0 = not */
};

enum link_state { UNLINKED, LINKING, LINKED, UNLINKING };

struct model_workspace {
    bool is_there, is_buried;
    int life; /* how often it was made anew */
    int64_t deleted;
    enum link_state link;
    int cluster, buried_cluster; /* -1 = none */
    int64_t due;
    int64_t times[64];
    int n_times;
};

static struct model_cluster clusters[N_CLUSTERS];
static struct model_workspace workspaces[N_WORKSPACES];
static uint64_t seed_state;
static const char *last; /* what was done, for a failure's message */

static uint64_t draw(uint64_t n)
{
    seed_state += 0x9e3779b97f4a7c15u;
    uint64_t z = seed_state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) % n;
}

static int region_of(int i)
{
    return i % N_REGIONS;
}

static const char *cluster_path(int i, char out[256])
{
    snprintf(out, 256,
             "/subscriptions/" SUB "/resourceGroups/rg/providers/"
             "Microsoft.OperationalInsights/clusters/cluster%d",
             i);
    return out;
}

static const char *workspace_path(int i, const char *tail, char out[256])
{
    snprintf(out, 256,
             "/subscriptions/" SUB "/resourceGroups/rg/providers/"
             "Microsoft.OperationalInsights/workspaces/workspace%d%s",
             i, tail);
    return out;
}

static void expect(int got, int wanted, int who, uint64_t seed, int step)
{
    if (got == wanted) return;
    fail_msg("seed %llu, step %d: %s of %d answered %d, the model says %d",
             (unsigned long long)seed, step, last, who, got, wanted);
}

static void unlink_all_of(int cluster)
{
    for (int i = 0; i < N_WORKSPACES; i++) {
        struct model_workspace *w = &workspaces[i];
        bool its = w->link != UNLINKED && w->cluster == cluster;
        clusters[cluster].was_linked[i] = its && w->link == LINKED ? w->life : 0;
        if (its) w->link = UNLINKED;
    }
}

/* Those that are still the same, and free. */
static void link_again(int cluster)
{
    for (int i = 0; i < N_WORKSPACES; i++) {
        struct model_workspace *w = &workspaces[i];
        bool same = w->is_there && clusters[cluster].was_linked[i] == w->life;
        if (!same || w->life == 0 || w->link != UNLINKED) continue;
        w->link = LINKED;
        w->cluster = cluster;
    }
}

/* The operation of a cluster that is due. */
static void settle_cluster(int i)
{
    struct model_cluster *c = &clusters[i];
    if (c->state == BUSY_DELETING) {
        c->state = BURIED;
        c->deleted = c->due; /* the clock stopped there */
        unlink_all_of(i);
        return;
    }
    bool fails = vault_denies && (c->recovers ? c->key != 0 : c->next_key > 0);
    if (c->recovers && fails) {
        c->state = BURIED;
    } else {
        if (c->state == BUSY_UPDATING && !fails) {
            c->key = c->next_key;
            c->keyed = c->keyed || c->key != 0;
        }
        if (c->recovers && c->with_links) link_again(i);
        c->state = READY;
    }
    c->recovers = false;
}

static void settle_link(int i)
{
    struct model_workspace *w = &workspaces[i];
    if (w->link == UNLINKING) {
        w->link = UNLINKED;
    } else {
        enum state s = clusters[w->cluster].state;
        w->link = s == ABSENT || s == BURIED ? UNLINKED : LINKED;
    }
}

/* Everything that is due by now, in its order; then names that are free again. */
static void settle_all(void)
{
    int64_t now = time_now_us();
    for (;;) {
        int64_t first = now;
        int cluster = -1, link = -1;
        for (int i = 0; i < N_CLUSTERS; i++) {
            enum state s = clusters[i].state;
            bool busy = s == BUSY_CREATING || s == BUSY_UPDATING || s == BUSY_DELETING;
            if (busy && clusters[i].due <= first) {
                first = clusters[i].due;
                cluster = i;
            }
        }
        for (int i = 0; i < N_WORKSPACES; i++) {
            enum link_state s = workspaces[i].link;
            if ((s == LINKING || s == UNLINKING) && workspaces[i].due < first) {
                first = workspaces[i].due;
                link = i;
                cluster = -1;
            }
        }
        if (cluster >= 0) {
            settle_cluster(cluster);
        } else if (link >= 0) {
            settle_link(link);
        } else {
            break;
        }
    }
    for (int i = 0; i < N_CLUSTERS; i++) {
        struct model_cluster *c = &clusters[i];
        if (c->state == BURIED && c->deleted + 14 * DAY_US <= now)
            *c = (struct model_cluster){.state = ABSENT};
    }
    for (int i = 0; i < N_WORKSPACES; i++) {
        struct model_workspace *w = &workspaces[i];
        if (w->is_buried && w->deleted + 14 * DAY_US <= now)
            *w = (struct model_workspace){.cluster = -1, .buried_cluster = -1, .life = w->life};
    }
}

/* --- one step --------------------------------------------------------------------------------- */

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
