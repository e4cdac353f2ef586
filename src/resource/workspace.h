/* SPDX-License-Identifier: Apache-2.0 */
/* resource/workspace.h - what the files of the type workspaces share */
#pragma once

#include "resource/plane.h"

#define WORKSPACE_DEFINITION "clusterDefinitionId" /* among the features, in 2015-11-01-preview */

/* --- its JSON (workspace_body.c) ---------------------------------------------------------------- */

arm_show workspace_show;
/* The writable part of the body into doc, with a new etag: PUT and PATCH alike leave what is not
 * mentioned. */
enum err workspace_read(struct arm_call *c, json_t *doc, struct diag *d);
/* The link to a cluster, while new rows go there; a new reference, or NULL. */
json_t *workspace_link(struct arm *a, const char *workspace_key);

/* --- its default collection rule (workspace.c) -------------------------------------------------- */

void workspace_rule_put(struct change *change, const json_t *workspace);
void workspace_rule_remove(struct change *change, const json_t *workspace);

/* --- deleted ones (workspace_delete.c) ---------------------------------------------------------- */

const char *workspace_tomb_key(struct arm_call *c); /* in the arena */
/* The PUT that brings it back. tomb: its document. */
enum err workspace_recover(struct arm_call *c, const json_t *tomb, struct diag *d);
