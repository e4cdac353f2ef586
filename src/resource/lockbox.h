/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/lockbox.h - an operator's access to a customer's rows: asked for, approved by an owner,
 * for some hours, and told in the activity log
 */
#pragma once

#include "resource/arm.h"

/* Asks, as `by`, for access to the workspaces that the body names: {"resourceIds": [id...],
 * "justification": "...", "hours": 8}. *out: the request as clients see it. ERR_INVALID with a
 * sentence; ERR_LIMIT: too many of his wait. */
enum err lockbox_ask(struct arm *a, const char *by, const json_t *body, json_t **out,
                     struct diag *d);
/* May he read the workspace now, by a request that was approved? request: its id, for the log. */
bool lockbox_opens(struct arm *a, const char *by, const char *workspace_id,
                   char request[ARM_ID_MAX]);
/* Requests whose time is over are marked, and it is told. */
void lockbox_tidy(struct arm *a, int64_t now_us);
