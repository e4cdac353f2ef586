/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/group.h - what a group that is deleted takes with it
 */
#pragma once

#include "resource/plane.h"

/* Deletes a resource as its own DELETE does, inside the deletion of its group. Again after a crash:
 * what is gone already is fine. */
enum err cluster_bury(struct arm *a, const json_t *doc, struct diag *d);
enum err workspace_bury(struct arm *a, const json_t *doc, struct diag *d);
enum err user_identity_bury(struct arm *a, const json_t *doc, struct diag *d);
