/* SPDX-License-Identifier: Apache-2.0 */
/* api/admin_rewrap.c - /admin/keys/rewrap and /admin/keys/rotate-aek: keys that are turned on
 * request */
#include "api/front.h"

/* Owners and contributors: nothing is made readable to anybody, and nothing unreadable. */
static bool may(struct front_call *c, const char *scope)
{
    const char *all = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    return all != NULL && front_allow(c, PLANE_ARM, "Microsoft.Keystead/keys/rewrap/action", false,
                                      scope != NULL ? scope : all);
}

static void fail(struct front_call *c, enum err e, const struct diag *d)
{
    if (e == ERR_NOT_FOUND) {
        front_error(c->res, 404, "ResourceNotFound", d->text, NULL, NULL);
    } else if (e == ERR_KEY_LOCKED || e == ERR_DENIED) {
        front_error(c->res, 409, "CustomerManagedKeyUnavailable", d->text, NULL, NULL);
    } else if (e == ERR_INVALID || e == ERR_CONFLICT || e == ERR_CORRUPT) {
        front_error(c->res, 409, "Conflict", d->text, NULL, NULL);
    } else {
        front_unavailable(c->res, d->text, 1);
    }
}

static void show_jobs(struct front_call *c)
{
    CLEANUP_JSON json_t *j = json_pack("{s:o}", "rewraps", arm_rewraps(c->api->arm));
    front_json(c->res, 200, j);
}

/* The named cluster; false: answered. Who may not, learns nothing of what is there. */
static bool find_cluster(struct front_call *c, const char *name, char id[ARM_ID_MAX])
{
    bool found = name != NULL && arm_cluster_id(c->api->arm, name, id);
    if (!may(c, found ? id : NULL)) return false;
    if (found) return true;
    front_error(c->res, name == NULL ? 400 : 404,
                name == NULL ? "InvalidParameter" : "ResourceNotFound",
                name == NULL ? "cluster must be a cluster's name or id."
                             : "There is no such cluster, or more than one.",
                NULL, NULL);
    return false;
}

void admin_rewrap(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM)) return;
    if (str_eq(c->req->method, "GET")) {
        if (may(c, NULL)) show_jobs(c);
        return;
    }
    CLEANUP_JSON json_t *body = NULL;
    struct diag d = DIAG_INIT;
    char id[ARM_ID_MAX];
    (void)!json_read(c->req->body, &body, &d);
    if (!find_cluster(c, json_get_str(body, "cluster"), id)) return;
    uint64_t wraps = 0;
    bool data_too = json_get_bool(body, "dataToo", false);
    diag_reset(&d);
    enum err e = arm_rewrap(c->api->arm, id, c->caller.object_id, data_too, &wraps, &d);
    if (e != OK) {
        fail(c, e, &d);
        return;
    }
    CLEANUP_JSON json_t *j =
        json_pack("{s:s, s:I, s:b, s:o}", "cluster", id, "wraps", (json_int_t)wraps, "dataToo",
                  (int)data_too, "rewraps", arm_rewraps(c->api->arm));
    front_json(c->res, data_too ? 202 : 200, j);
}

void admin_rotate_aek(struct front_call *c)
{
    if (!front_verify(c, PLANE_ARM)) return;
    CLEANUP_JSON json_t *body = NULL, *accounts = NULL;
    struct diag d = DIAG_INIT;
    char id[ARM_ID_MAX];
    (void)!json_read(c->req->body, &body, &d);
    const char *workspace = json_get_str(body, "workspace");
    if (workspace == NULL && !find_cluster(c, json_get_str(body, "cluster"), id)) return;
    if (workspace != NULL && !may(c, NULL)) return;
    diag_reset(&d);
    enum err e = arm_rotate_aek(c->api->arm, workspace == NULL ? id : NULL, workspace,
                                c->caller.object_id, &accounts, &d);
    if (e != OK) {
        fail(c, e, &d);
        return;
    }
    CLEANUP_JSON json_t *j = json_pack("{s:O}", "accounts", accounts);
    front_json(c->res, 200, j);
}
