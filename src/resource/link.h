/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/link.h - the two sorts of linked services: the cluster of a workspace
 * (linked_service.c), and what else somebody keeps there (linked_other.c)
 */
#pragma once

#include "resource/plane.h"

/* Links the workspace to a cluster: the call's checks and its operation, for the link's own PUT and
 * for the workspace's (features.clusterDefinitionId of the first article). key: of the link.
 * *done: linked to that very cluster already; then there is no operation. */
struct link_request {
    const char *id_text, *key; /* of the link: canonical, and in lower case */
    const char *workspace_key;
    const char *cluster_key;
    json_t *tags; /* NULL = none; borrowed */
};
enum err link_begin(struct arm_call *c, const struct link_request *r, char op[37], json_t **doc,
                    bool *done, struct diag *d);

json_t *link_other_json(const json_t *doc);
enum err link_other_put(struct arm_call *c, const json_t *workspace, struct diag *d);
enum err link_other_remove(struct arm_call *c, struct diag *d);
