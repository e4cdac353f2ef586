/* SPDX-License-Identifier: Apache-2.0 */
/* api/admin.c - /admin: the virtual clock, the settings of the resource plane, the state of all
 * keys, and what lifts a seal
 */
#include "api/activity.h"
#include "api/front.h"

#include "resource/settings.h"

#define ADVANCE_S_MAX (3650 * 86400LL) /* ten years in one call */

/* Rights that only an owner of the subscription has together. */
static bool is_owner(struct front_call *c)
{
    const char *scope = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    return scope != NULL &&
           front_allow(c, PLANE_ARM, "Microsoft.Keystead/clock/write", false, scope) &&
           front_allow(c, PLANE_ARM, "Microsoft.Authorization/roleAssignments/write", false, scope);
}

/* --- the clock -------------------------------------------------------------------------------- */

static void show_clock(struct front_call *c)
{
    char now[TIME_TEXT_MAX];
    time_format_iso(time_now_us(), now);
    CLEANUP_JSON json_t *j = json_pack("{s:b, s:s, s:I}", "virtual", clock_is_virtual(), "now", now,
                                       "offsetSeconds", (json_int_t)(clock_offset_us() / US_PER_S));
    front_json(c->res, 200, j);
}

static void turn_clock(struct front_call *c)
{
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    int64_t seconds = -1;
    if (json_read(c->req->body, &body, &d) == OK)
        seconds = json_get_int(body, "advanceSeconds", -1);
    if (seconds < 0 || seconds > ADVANCE_S_MAX) {
        front_error(c->res, 400, "InvalidParameter",
                    "advanceSeconds must be a whole number from 0 to 315360000.", NULL, NULL);
        return;
    }
    if (!clock_is_virtual()) {
        front_error(
            c->res, 409, "Conflict",
            "This data directory was not made with --virtual-clock: its clock can't be turned.",
            NULL, NULL);
        return;
    }
    if (clock_advance(seconds * US_PER_S, &d) != OK) {
        front_error(c->res, 503, "ServiceUnavailable", d.text, NULL, NULL);
        return;
    }
    show_clock(c);
}

void admin_clock(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM) || !is_owner(c)) return;
    if (str_eq(c->req->method, "POST")) {
        turn_clock(c);
    } else {
        show_clock(c);
    }
}

/* --- settings --------------------------------------------------------------------------------- */

/* Who adds a subscription owns it. Asked again, what is open stays as it is. */
static enum err open_subscriptions(struct front_call *c, struct diag *d)
{
    CLEANUP_JSON json_t *all = settings_subscriptions(c->api->arm);
    size_t i;
    json_t *s;
    json_array_foreach (all, i, s)
        TRY(identity_subscription_open(c->api->c.identity, json_string_value(s),
                                       c->caller.object_id, d));
    return OK;
}

static enum err change_settings(struct front_call *c, struct diag *d)
{
    const char *scope = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    struct guid g;
    char id[GUID_TEXT_MAX];
    guid_random(&g);
    guid_format(&g, id);
    struct arm_event event = {.id = id,
                              .time_us = time_now_us(),
                              .action = "Microsoft.Keystead/resourceSettings/write",
                              .resource = scope != NULL ? scope : "",
                              .caller = c->caller.object_id,
                              .peer = c->req->peer,
                              .method = c->req->method,
                              .status = "Succeeded"};
    CLEANUP_JSON json_t *body = NULL;
    enum err e = json_read(c->req->body, &body, d);
    if (e == OK) e = settings_change(c->api->arm, body, &event, d);
    if (e == OK) e = open_subscriptions(c, d);
    if (e != OK) {
        event.status = "Failed";
        event.message = d->text;
    }
    arm_tell(c->api->arm, &event, e == OK);
    return e;
}

void admin_settings(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM) || !is_owner(c)) return;
    struct diag d = DIAG_INIT;
    if (str_eq(c->req->method, "PATCH")) {
        enum err e = change_settings(c, &d);
        if (e != OK) {
            front_error(c->res, e == ERR_INVALID ? 400 : 503,
                        e == ERR_INVALID ? "InvalidParameter" : "ServiceUnavailable", d.text, NULL,
                        NULL);
            return;
        }
    }
    CLEANUP_JSON json_t *j = settings_json(c->api->arm);
    front_json(c->res, 200, j);
}

/* --- keys ------------------------------------------------------------------------------------- */

static void set(json_t *o, const char *name, json_t *v)
{
    struct diag d = DIAG_INIT;
    (void)json_put(o, name, v, &d); /* out of memory leaves a member out */
}

static void set_name(json_t *o, const char *name, const char *value)
{
    set(o, name, value[0] != '\0' ? json_string(value) : json_null());
}

/* custody names a version by its whole URI; people and scripts by its last part. */
static void shorten_versions(json_t *row)
{
    size_t i;
    json_t *wrap;
    json_array_foreach (json_get(row, "wraps"), i, wrap) {
        const char *id = json_get_str(wrap, "version"),
                   *slash = id != NULL ? strrchr(id, '/') : NULL;
        if (slash == NULL) continue;
        set(wrap, "kek", json_string(id));
        set(wrap, "version", json_string(slash + 1));
    }
}

/* Names beside the ids of tables. Takes list. */
static json_t *named_tables(struct api *a, const struct account *x, json_t *list)
{
    struct guid workspace, id;
    struct store *s = atomic_load(&a->store);
    size_t i;
    json_t *row, *copy = json_deep_copy(list); /* the documents are shared */
    json_decref(list);
    if (s == NULL || guid_parse(x->workspace, &workspace, NULL) != OK) return copy;
    json_array_foreach (copy, i, row) {
        const char *text = json_get_str(row, "table");
        if (text == NULL || guid_parse(text, &id, NULL) != OK) continue;
        struct table *t;
        for (uint32_t k = 0; (t = store_table_at(s, &workspace, k)) != NULL; k++) {
            if (guid_eq(store_table_id(t), &id)) set(row, "name", json_string(store_table_name(t)));
        }
    }
    return copy;
}

#define SPOOL_NOTE                                                                       \
    "until it is put back the operator could read it; that its key is gone once it was " \
    "overwritten can't be promised on copy-on-write or flash media"

/* null: nothing waits. */
static json_t *spool_json(struct api *a, const uint8_t id[16])
{
    struct store_spool_info info;
    struct store *s = atomic_load(&a->store);
    char since[TIME_TEXT_MAX];
    if (s == NULL || !store_spool_info(s, id, &info)) return json_null();
    time_format_iso(info.since_us, since);
    return json_pack("{s:I, s:I, s:s, s:b, s:s*, s:s}", "rows",
                     (json_int_t)dropped_spooled(a->dropped, id), "bytes", (json_int_t)info.bytes,
                     "since", since, "damaged", info.is_damaged, "copyOnWriteMedium",
                     info.medium[0] != '\0' ? info.medium : NULL, "note", SPOOL_NOTE);
}

/* custody knows ids; people know names. */
static void add_names(struct api *a, json_t *row)
{
    uint8_t id[16];
    const char *text = json_get_str(row, "account");
    CLEANUP_FREE char *hex = str_dup(text != NULL ? text : "");
    struct account x;
    if (hex == NULL) return;
    size_t n = 0;
    for (const char *p = hex; *p != '\0'; p++) {
        if (*p != '-') hex[n++] = *p;
    }
    hex[n] = '\0';
    if (hex_decode(bytes_str(hex), id, sizeof id, NULL) != OK || !arm_account(a->arm, id, &x))
        return;
    set_name(row, "workspace", x.workspace_name[0] != '\0' ? x.workspace_name : x.workspace);
    set_name(row, "workspaceId", x.workspace);
    set_name(row, "cluster", x.cluster_name);
    set_name(row, "clusterId", x.cluster_id);
    set(row, "dropped", json_integer((json_int_t)dropped_total(a->dropped, id)));
    set(row, "droppedByTable", named_tables(a, &x, dropped_list(a->dropped, id)));
    set(row, "spool", spool_json(a, id));
}

void admin_keys(struct front_call *c)
{
    const char *scope = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    if (!front_verify(c, PLANE_ARM) || scope == NULL ||
        !front_allow(c, PLANE_ARM, "Microsoft.Keystead/keys/read", false, scope)) {
        return;
    }
    CLEANUP_JSON json_t *status = NULL;
    struct diag d = DIAG_INIT;
    if (custody_status(c->api->c.custody, &status, &d) != OK) {
        front_unavailable(c->res, "The key daemon does not answer at the moment.", 1);
        return;
    }
    size_t i;
    json_t *row;
    json_array_foreach (json_get(status, "accounts"), i, row) {
        shorten_versions(row);
        add_names(c->api, row);
    }
    set(status, "rewraps", arm_rewraps(c->api->arm));
    front_json(c->res, 200, status);
}

/* --- lifting a seal --------------------------------------------------------------------------- */

/* Rights that nobody has by accident: a contributor must not undo a customer's revocation. */
static bool may_unlock(struct front_call *c, const char *cluster)
{
    return front_allow(c, PLANE_ARM, "Microsoft.Keystead/keys/unlock/action", false, cluster) &&
           front_allow(c, PLANE_ARM, "Microsoft.Authorization/roleAssignments/write", false,
                       cluster);
}

static void say_unlocked(struct front_call *c, const char *cluster)
{
    CLEANUP_JSON json_t *j = json_pack("{s:s, s:b}", "cluster", cluster, "sealed", 0);
    front_json(c->res, 200, j);
}

void admin_unlock(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM)) return;
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    char id[ARM_ID_MAX];
    const char *name =
        json_read(c->req->body, &body, &d) == OK ? json_get_str(body, "cluster") : NULL;
    if (name == NULL) {
        front_error(c->res, 400, "InvalidParameter", "cluster must be a cluster's name or id.",
                    NULL, NULL);
        return;
    }
    const char *all = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    bool found = arm_cluster_id(c->api->arm, name, id);
    /* Who may not, learns nothing of what is there. */
    if (all == NULL || !may_unlock(c, found ? id : all)) return;
    if (!found) {
        front_error(c->res, 404, "ResourceNotFound", "There is no such cluster, or more than one.",
                    NULL, NULL);
        return;
    }
    diag_reset(&d);
    enum err e = arm_cluster_unlock(c->api->arm, id, c->caller.object_id, &d);
    if (e == OK) {
        say_unlocked(c, id);
    } else if (e == ERR_CONFLICT || e == ERR_NOT_FOUND) {
        front_error(c->res, 409, "Conflict",
                    "The cluster isn't sealed: its identity was not removed while it had a key.",
                    NULL, NULL);
    } else {
        front_unavailable(c->res, "The key daemon does not answer at the moment.", 1);
    }
}
