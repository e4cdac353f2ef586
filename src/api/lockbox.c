/* SPDX-License-Identifier: Apache-2.0 */
/* api/lockbox.c - where an operator asks for a customer's rows, and what an approval opens */
#include "api/activity.h"
#include "api/front.h"
#include "resource/lockbox.h"

#define ASK "Microsoft.Keystead/lockbox/write"

void admin_lockbox(struct front_call *c)
{
    const char *scope = arena_fmt(c->req->a, "/subscriptions/%s", c->api->c.subscription_id);
    if (!front_verify(c, PLANE_ARM) || scope == NULL) return;
    if (!front_allow(c, PLANE_ARM, ASK, false, scope)) return;
    CLEANUP_JSON json_t *body = NULL, *made = NULL;
    struct diag d = DIAG_INIT;
    enum err e = json_read(c->req->body, &body, &d);
    if (e == OK) e = lockbox_ask(c->api->arm, c->caller.object_id, body, &made, &d);
    if (e == OK) {
        front_json(c->res, 201, made);
    } else if (e == ERR_INVALID) {
        front_error(c->res, 400, "InvalidParameter", d.text, NULL, NULL);
    } else if (e == ERR_LIMIT) {
        front_error(c->res, 429, "TooManyRequests", d.text, NULL, NULL);
    } else {
        front_unavailable(c->res, d.text, 1);
    }
}

bool front_lockbox(struct front_call *c, const char *workspace_id, const char *action)
{
    char request[ARM_ID_MAX];
    if (!lockbox_opens(c->api->arm, c->caller.object_id, workspace_id, request)) return false;
    const struct arm_event e = {.action = action,
                                .resource = workspace_id,
                                .caller = c->caller.object_id,
                                .peer = c->req->peer,
                                .method = c->req->method,
                                .status = "Succeeded",
                                .code = "CustomerLockbox",
                                .message = request};
    (void)activity_record(c->api->activity, &e);
    return true;
}
