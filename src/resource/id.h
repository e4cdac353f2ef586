/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/id.h - ARM paths: read without regard to case, written in one canonical form
 *
 *      /subscriptions/{s}/resourceGroups/{rg}/providers/{ns}/{type}/{name}[/{type}/{name}...]
 *
 * A path that ends in a type names a collection (or an action, when it is POSTed). Subscriptions,
 * tenants and resource groups are types of Microsoft.Resources, so that the same table serves them:
 * /subscriptions/{s}/resourceGroups/{rg} is "Microsoft.Resources/subscriptions/resourceGroups" with
 * the names {s} and {rg}.
 */
#pragma once

#include "base/str.h"

#define ARM_ID_DEPTH_MAX   6    /* type segments */
#define ARM_ID_SEGMENT_MAX 260  /* bytes */
#define ARM_ID_TEXT_MAX    2048 /* bytes of a path */

struct arm_id {               /* all in the arena, casing as it was sent */
    const char *scope;        /* an extension resource's own resource; "" otherwise */
    const char *subscription; /* NULL: a tenant's */
    const char *group;        /* NULL: a subscription's */
    const char *provider;     /* "Microsoft.OperationalInsights" */
    uint32_t n;               /* type segments */
    const char *types[ARM_ID_DEPTH_MAX];
    const char *names[ARM_ID_DEPTH_MAX]; /* the last is NULL for a collection */
    const char *type;                    /* "Microsoft.OperationalInsights/workspaces/tables" */
};

/* ERR_INVALID with a sentence: empty, unbalanced or too long segments. */
enum err arm_id_parse(struct arena *a, const char *path, struct arm_id *out, struct diag *d);

static inline bool arm_id_is_collection(const struct arm_id *id)
{
    return id->n == 0 || id->names[id->n - 1] == NULL;
}
static inline const char *
arm_id_name(const struct arm_id *id) /* the last name; NULL for a collection */
{
    return id->n == 0 ? NULL : id->names[id->n - 1];
}

/* The canonical text. type gives the casing of provider and types ("Microsoft.OperationalInsights/
 * workspaces"); NULL keeps what was sent. */
const char *arm_id_format(struct arena *a, const struct arm_id *id, const char *type);
/* The canonical text in lower case: what resources are kept under. */
const char *arm_id_key(struct arena *a, const struct arm_id *id);
/* The id of the resource that this one is a part of, or NULL. */
const struct arm_id *arm_id_parent(struct arena *a, const struct arm_id *id);
/* "Microsoft.OperationalInsights/workspaces/w/tables/t": the names of error messages. */
const char *arm_id_label(struct arena *a, const struct arm_id *id, const char *type);

/* Names of clusters and workspaces: 4..63 letters, digits and inner dashes. */
bool arm_name_valid(const char *name, size_t min, size_t max);
