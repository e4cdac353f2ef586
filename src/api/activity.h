/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/activity.h - the activity log: who changed which resource, when, and how it ended
 *
 * (1) One row of the table AzureActivity for each request that would change a resource, also for
 *     those that were refused, and one more at the end of each asynchronous operation.
 * (2) A row is on the disk before the request is answered, exactly once: one that a crash or a full
 *     disk keeps from it is written later (resource/outbox.h). A row that tells of no change of ours (a
 *     refusal, what another process answered) and can't be written is logged as unwritten; the request is
 *     answered all the same.
 * (3) The rows of a subscription lie in one table of a workspace of their own, under the platform's
 *     key; every workspace of the subscription sees it under its name, unless the setting
 *     activityInWorkspaces is off. What lies in no subscription of ours is the first one's. No body
 *     and no content of a resource is in the rows.
 */
#pragma once

#include "resource/arm.h"

#define ACTIVITY_TABLE "AzureActivity"

struct activity;
struct front_call;

enum err activity_open(struct activity **out, struct arm *a, const char *subscription_id,
                       const char *tenant_id, struct diag *d);
void activity_free(struct activity *x); /* NULL is fine */
/* Makes the first subscription's table, or finds it. Before this nothing is recorded. */
enum err activity_start(struct activity *x, struct store *store, struct diag *d);
void activity_stop(struct activity *x);

arm_event_fn activity_record; /* ctx: the struct activity */
/* A request that another process has answered: c->res is complete. */
void activity_forwarded(struct front_call *c);
/* The workspace in which the subscription's log lies; it and its table are made on first call.
 * ERR_UNAVAILABLE: not between start and stop. */
enum err activity_log(struct activity *x, const char *subscription, struct guid *out,
                      struct diag *d);
/* The same for what the workspace's queries see; false: they see none. (3) */
bool activity_seen_from(struct activity *x, const struct workspace *w, struct guid *out);

DEFINE_CLEANUP(activity_free, struct activity)
