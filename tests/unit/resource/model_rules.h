/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/resource/model_rules.h - the plane under test, and the small model of its rules that model.c holds
 * it against */
#pragma once

#include "resource/plane.h"

#include "test.h"
#include "played.h"

#include <stdio.h>
#include <stdlib.h>

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
