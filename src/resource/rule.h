/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/rule.h - data collection rules: from an immutable id and a stream to a table, and what a
 * rule's body must be
 */
#pragma once

#include "resource/plane.h"

struct rule_route {
    struct workspace workspace;
    const char *table; /* in the arena, as the next two */
    const char *kql;   /* NULL: rows as they are */
    struct schema stream;
};

/* The ARM id of the rule with that immutable id, without case. ERR_NOT_FOUND. Rules that workspaces
 * are born with are not found here: their id holds the workspace's. */
enum err rule_find(struct arm *a, const char *immutable_id, char arm_id[ARM_ID_MAX],
                   struct diag *d);
/* Where rows of its stream go. ERR_NOT_FOUND: it has no such stream, or the workspace is gone. */
enum err rule_route(struct arm *a, const char *arm_id, const char *stream, struct arena *arena,
                    struct rule_route *out, struct diag *d);

/* The properties of a rule that holds together, from the body: 400 with details where it does not.
 * Asks for the right on the workspaces it sends rows to. *out is new. */
enum err rule_read(struct arm_call *c, json_t **out, struct diag *d);
/* The columns of streamDeclarations.{stream}, in the arena. ERR_INVALID with a sentence. */
enum err rule_stream(const json_t *properties, const char *stream, struct arena *a,
                     struct schema *out, struct diag *d);
/* "T_CL" of "Custom-T_CL"; NULL: another kind of stream. */
const char *rule_table(const char *stream);
