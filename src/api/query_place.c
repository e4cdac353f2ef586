/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/query_place.c - the door to other workspaces that a query names: which one is meant, may the
 * caller read it from where he is, and is its key there
 *
 * A name means the workspaces that the caller may query; nobody else's of that name disturb, and none
 * of them is suggested to him. One that is named exactly and that he may not query is refused, as when
 * he asks it itself.
 */
#include "api/query.h"

#include "api/activity.h"
#include "api/key_audit.h"
#include "api/source.h"
#include "base/nearest.h"
#include "resource/component.h"
#include "resource/settings.h"

#include <stdlib.h>
#include <strings.h>

/* --- may he? ---------------------------------------------------------------------------------- */

static bool may(const struct front_call *c, const char *action, const char *scope)
{
    struct diag d = DIAG_INIT;
    return identity_authorize(c->api->c.identity, c->caller.object_id, action, false, scope, &d) ==
           OK;
}

bool query_sees(const struct front_call *c, const struct workspace *w, struct query_seen *seen)
{
    static const char before[] = "/subscriptions/";
    char subscription[ARM_ID_MAX];
    if (w->private_query && !settings_is_private(c->api->arm, c->req->peer)) return false;
    if (!str_starts_nocase(w->arm_id, before)) return false;
    size_t n = sizeof before - 1 + strcspn(w->arm_id + sizeof before - 1, "/");
    snprintf(subscription, sizeof subscription, "%.*s", (int)n, w->arm_id);
    if (!str_eq(subscription, seen->subscription)) {
        memcpy(seen->subscription, subscription, sizeof subscription);
        seen->all = may(c, QUERY_ACTION, subscription);
    }
    return seen->all || may(c, QUERY_ACTION, w->arm_id);
}

uint32_t query_keep_seen(const struct front_call *c, struct workspace *all, uint32_t n)
{
    uint32_t kept = 0;
    struct query_seen seen = {0};
    for (uint32_t i = 0; n > 1 && i < n; i++) {
        if (query_sees(c, &all[i], &seen)) all[kept++] = all[i];
    }
    return kept != 0 || n == 0 ? kept : 1;
}

/* As query_allowed(), but told to the query. */
enum err query_admits(struct front_call *c, const struct workspace *w, struct diag *d)
{
    bool allowed = !key_audit_is(w) || may(c, OWNERS_ACTION, w->arm_id);
    allowed =
        allowed && (front_lockbox(c, w->arm_id, QUERY_ACTION) || may(c, QUERY_ACTION, w->arm_id));
    if (!allowed) {
        return FAIL_TAG(d, ERR_DENIED, QUERY_DENIED_TAG,
                        "the caller may not query the workspace '%s'", w->name);
    }
    if (!w->private_query || settings_is_private(c->api->arm, c->req->peer)) return OK;
    return FAIL_TAG(
        d, ERR_DENIED, "PublicNetworkAccessDisabled",
        "public network access is disabled for the workspace '%s', and the request does "
        "not come from a private network",
        w->name);
}

/* --- all of them ------------------------------------------------------------------------------ */

static int by_name(const void *a, const void *b)
{
    const struct workspace *x = a, *y = b;
    int order = strcasecmp(x->name, y->name);
    return order != 0 ? order : strcmp(x->customer_id, y->customer_id);
}

enum err query_visible(const struct front_call *c, struct workspace **out, uint32_t *out_n,
                       struct diag *d)
{
    struct query_seen seen = {0};
    struct workspace *all = NULL;
    uint32_t n = 0, kept = 0;
    TRY(arm_workspaces(c->api->arm, NULL, &all, &n, d));
    for (uint32_t i = 0; i < n; i++) {
        if (query_sees(c, &all[i], &seen)) all[kept++] = all[i];
    }
    if (kept > 1) qsort(all, kept, sizeof *all, by_name);
    *out = all;
    *out_n = kept;
    return OK;
}

const char *query_visible_name(const struct workspace *list, uint32_t n, uint32_t i)
{
    const struct workspace *w = &list[i];
    bool twice = (i > 0 && str_eq_nocase(w->name, w[-1].name)) ||
                 (i + 1 < n && str_eq_nocase(w->name, w[1].name));
    return twice ? w->customer_id : w->name;
}

enum err query_list_places(void *ctx, struct arena *a, const char *const **names, uint32_t *n,
                           struct diag *d)
{
    struct workspace *all = NULL;
    TRY(query_visible(((const struct query_door *)ctx)->front, &all, n, d));
    const char **list = arena_array(a, const char *, *n + 1);
    bool full = list == NULL;
    for (uint32_t i = 0; !full && i < *n; i++) {
        list[i] = arena_str(a, bytes_str(query_visible_name(all, *n, i)));
        full = list[i] == NULL;
    }
    free(all);
    if (full) return arena_full(a, d);
    *names = list;
    return OK;
}

/* --- which one? ------------------------------------------------------------------------------- */

/* Of all that he may query the one whose name is nearest. */
static enum err not_found(const struct front_call *c, const char *function, const char *name,
                          struct diag *d)
{
    struct workspace *all = NULL;
    uint32_t n = 0;
    struct query_seen seen = {0};
    struct nearest best = nearest_to(name);
    const char *kind = str_eq(function, "app") ? "application" : function;
    TRY(arm_workspaces(c->api->arm, NULL, &all, &n, d));
    for (uint32_t i = 0; i < n; i++) {
        struct nearest with = best;
        nearest_try(&with, all[i].name);
        if (with.name != best.name && query_sees(c, &all[i], &seen)) best = with;
    }
    enum err e = FAIL(d, ERR_NOT_FOUND, "there is no %s '%s'" NEAREST_FMT, kind, name,
                      NEAREST_ARGS(best.name));
    free(all);
    return e;
}

/* An application of today has its rows in a workspace, beside those of others. */
static enum err no_application(const struct front_call *c, const char *name, struct diag *d)
{
    struct component x;
    struct query_seen seen = {0};
    bool there = arm_component_named(c->api->arm, name, &x) && x.has_workspace;
    if (!there || !query_sees(c, &x.workspace, &seen)) return not_found(c, "app", name, d);
    return FAIL(d, ERR_UNSUPPORTED,
                "the application '%s' keeps its telemetry in a workspace: read its tables by "
                "workspace('%s')",
                name, x.workspace.customer_id);
}

/* subscription/group/name; without the first two any. */
static bool is_qualified(const char *name, const char **workspace, struct bytes *subscription,
                         struct bytes *group)
{
    const char *first = strchr(name, '/');
    const char *second = first != NULL ? strchr(first + 1, '/') : NULL;
    if (second == NULL || first == name || strchr(second + 1, '/') != NULL) return false;
    *subscription = bytes_of(name, (size_t)(first - name));
    *group = bytes_of(first + 1, (size_t)(second - first - 1));
    *workspace = second + 1;
    return true;
}

static bool lies_in(const struct workspace *w, struct bytes subscription, struct bytes group)
{
    char prefix[ARM_ID_MAX];
    int n = snprintf(prefix, sizeof prefix, "/subscriptions/%.*s/resourceGroups/%.*s/",
                     (int)subscription.len, subscription.p, (int)group.len, group.p);
    return n > 0 && (size_t)n < sizeof prefix && str_starts_nocase(w->arm_id, prefix);
}

static enum err find_by_name(const struct front_call *c, const char *function, const char *name,
                             struct workspace *out, struct diag *d)
{
    struct workspace *all = NULL;
    uint32_t n = 0, kept = 0;
    struct bytes subscription, group;
    const char *plain = name;
    bool qualified = is_qualified(name, &plain, &subscription, &group);
    TRY(arm_workspaces(c->api->arm, plain, &all, &n, d));
    for (uint32_t i = 0; i < n; i++) {
        if (!qualified || lies_in(&all[i], subscription, group)) all[kept++] = all[i];
    }
    n = query_keep_seen(c, all, kept);
    if (n == 1) *out = all[0];
    free(all);
    if (n == 1) return OK;
    if (n == 0 && str_eq(function, "app")) return no_application(c, name, d);
    if (n == 0) return not_found(c, function, name, d);
    return FAIL_TAG(d, ERR_INVALID, "SEM0100",
                    "%u workspaces are called '%s': name one by its customer id or resource id", n,
                    name);
}

static bool is_this_cluster(const struct front_call *c, const char *name)
{
    const char *own = c->api->c.endpoint, *end = strstr(own, "://");
    if (end != NULL) own = end + 3;
    end = strstr(name, "://");
    if (end != NULL) name = end + 3;
    size_t n = strlen(name);
    if (n != 0 && name[n - 1] == '/') n--;
    bool whole = strlen(own) == n && strncasecmp(own, name, n) == 0;
    size_t host = strcspn(own, ":");
    return whole || (host == n && strncasecmp(own, name, n) == 0);
}

enum err query_find_place(void *ctx, const char *function, const char *name, struct workspace *out,
                          struct diag *d)
{
    const struct front_call *c = ((const struct query_door *)ctx)->front;
    if (str_eq(function, "cluster")) {
        if (is_this_cluster(c, name)) return OK;
        return FAIL(d, ERR_UNSUPPORTED,
                    "the cluster '%s' is not this one (%s): data of others can't be queried", name,
                    c->api->c.endpoint);
    }
    if (query_workspace_of(c->api, name, out)) return OK;
    if (name[0] == '/') {
        if (arm_workspace_by_id(c->api->arm, name, out)) return OK;
        bool other =
            str_eq(function, "resource") &&
            strcasestr(name, "/providers/Microsoft.OperationalInsights/workspaces/") == NULL;
        if (str_eq(function, "app")) return no_application(c, name, d);
        if (!other) return not_found(c, function, name, d);
        return FAIL(d, ERR_UNSUPPORTED,
                    "resource() reads workspaces only: rows of one resource are chosen by "
                    "_ResourceId");
    }
    if (!str_eq(function, "resource")) return find_by_name(c, function, name, out, d);
    return FAIL_TAG(d, ERR_INVALID, "SEM0100", "resource() takes a resource id, not '%s'", name);
}

enum err query_admit_reader(void *ctx, const struct workspace *w, struct source_tables *place,
                            struct diag *d)
{
    struct front_call *c = ((const struct query_door *)ctx)->front;
    place->sees_activity = activity_seen_from(c->api->activity, w, &place->activity);
    return query_admits(c, w, d);
}
