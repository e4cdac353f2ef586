/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/settings.h - what the operator of this cloud decides: limits, durations, switches
 *
 * Every figure that the articles name is a row of one table, with the article's figure as its
 * default. What was changed is one document of the catalogue, so a restart keeps it. Owners of the
 * subscription read and change it at /admin/resource-settings.
 */
#pragma once

#include "json/json.h"

#include <pthread.h>

struct arm;

/* Seconds that an operation takes at least; 0: as long as the work takes. */
enum setting_duration {
    LASTS_CLUSTER_CREATE,
    LASTS_KEY_UPDATE,
    LASTS_CLUSTER_DELETE,
    LASTS_LINK,
    LASTS_UNLINK,
    LASTS_WORKSPACE_CREATE,
    LASTS_GROUP_DELETE,
    LASTS_KINDS
};

struct settings {
    int64_t clusters_active_max;   /* per region and subscription */
    int64_t clusters_reserved_max; /* the same, with those whose name is still reserved */
    int64_t cluster_workspaces_max;
    int64_t link_operations_max; /* of one workspace, in link_window_days */
    int64_t link_window_days;
    int64_t capacity_lock_days; /* a capacity does not go down so long */
    int64_t table_plan_days;    /* a table keeps its plan so long at least */
    int64_t soft_delete_days;   /* of clusters and workspaces */
    int64_t duration_s[LASTS_KINDS];
    int64_t account_key_max_age_days; /* then new files get a new AEK; 0: only on request */
    bool legacy_delete_fails;   /* 2019-08-01-preview: a cluster with workspaces is not deleted */
    bool legacy_put_recovers;   /* 2019-08-01-preview: the PUT of a reserved name brings it back */
    bool while_revoked_rejects; /* rows are refused with 503 instead of dropped (decision 41) */
    bool lockbox_enabled;       /* an operator's access to rows waits for the customer's approval */
    bool activity_in_workspaces; /* every workspace sees the table AzureActivity */
    bool subscription_allowed; /* false: clusters are refused, as before a subscription is let in */
};

/* The settings in force. */
struct settings settings_of(struct arm *a);
/* Is double encryption to be had there? location: canonical. */
bool settings_double_encryption(struct arm *a, const char *location);
/* The first subscription and those that were added: an array of texts, new. */
json_t *settings_subscriptions(struct arm *a);
bool settings_has_subscription(struct arm *a, const char *subscription); /* without case */
/* Does the address lie in a network that the operator calls private? "unix" does. */
bool settings_is_private(struct arm *a, const char *peer);
/* All of them: {"clustersActiveMax": 5, ...}. A new reference. */
json_t *settings_json(struct arm *a);
struct arm_event;
/* Changes those that the object names; null sets one back to its default. e: what it is told as
 * (outbox.h), by the caller; NULL: it is not told. ERR_INVALID with a sentence: nothing was changed. */
enum err settings_change(struct arm *a, const json_t *changes, const struct arm_event *e,
                         struct diag *d);

/* --- lists (settings_list.c), for settings.c ---------------------------------------------------- */

json_t *settings_document(struct arm *a); /* what was changed: a new reference, NULL */
bool settings_is_list(const char *name);
void settings_lists_json(const json_t *doc, json_t *out);
enum err settings_check_subscriptions(struct arm *a, const json_t *doc, struct diag *d);
enum err settings_change_list(json_t *doc, const char *name, const json_t *v, struct diag *d);
