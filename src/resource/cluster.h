/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/cluster.h - a cluster's document, and how it is read from and written to each dialect
 *
 *      id name location tags        as the customer named it; location canonical
 *      capacity billing             sku.capacity, "Cluster" or "Workspaces"
 *      type                         "LogAnalytics" or "ApplicationInsights"
 *      identity principal tenant    "SystemAssigned", "UserAssigned" or "None"
 *      assigned client              ARM id and client id of a user-assigned identity; else absent
 *      clusterId                    guid
 *      state operation              provisioningState; "" or the operation that it waits for
 *      key {uri name version rsa}   the key that wraps the AEKs at this moment; absent: none
 *      keyed                        it has had a key: its workspaces have accounts of their own
 *      sealed                       identity None came after a key: no key can be set any more
 *      policy {outagePolicy outageGrace retainMax revocationBound probeInterval}   what was chosen,
 *                                   in seconds; absent: the server's default
 *      created modified sized       microseconds; sized: when the capacity was last set
 */
#pragma once

#include "resource/plane.h"

struct cluster_key {
    char uri[256]; /* https://host[:port], without a slash; "" = none */
    char name[128];
    char version[64]; /* "" = the newest */
    int32_t rsa;      /* 0 = not said */
};

enum cluster_key_wish { KEY_KEEP, KEY_REMOVE, KEY_SET };

struct cluster_wish { /* what a PUT or PATCH asks for, validated */
    const char *location;
    int64_t capacity;     /* 0 = keep */
    const char *billing;  /* NULL = keep */
    const char *type;     /* NULL = keep */
    const char *identity; /* NULL = keep */
    const char *assigned; /* ARM id, of a user-assigned identity */
    enum cluster_key_wish key;
    struct cluster_key key_to_set;
    json_t *tags;   /* NULL = keep; owned */
    json_t *policy; /* doc.policy as it is to be; NULL = keep; owned */
    bool is_double;
};
void cluster_wish_release(struct cluster_wish *w);

/* Reads the body of a PUT (is_put) or PATCH in the call's dialect. old NULL: the cluster is new. */
enum err cluster_read(struct arm_call *c, const json_t *old, bool is_put, struct cluster_wish *out,
                      struct diag *d);

/* May the wish be fulfilled, for the workspaces of the cluster that Sentinel watches? */
enum err onboarding_check_cluster(struct arm_call *c, const json_t *cluster,
                                  const struct cluster_wish *w, struct diag *d);

/* Does the wish name another identity than the document has? */
bool cluster_identity_changes(const json_t *doc, const struct cluster_wish *w);

/* The key URI that is kept: https and an allow-listed host, or a token that is on the list as it
 * stands there; nothing else. */
bool cluster_key_uri(const char *text, const char *const *hosts, char *out, size_t out_max);

/* The documented body. workspaces: documents of the cluster's links, NULL = none. */
json_t *cluster_json(const json_t *doc, const struct cluster_dialect *how,
                     const json_t *workspaces);

/* properties.keystead of the body: *out is the policy as it is to be, untouched when nothing
 * changes. */
enum err cluster_policy_read(struct arm_call *c, const json_t *old, json_t **out, struct diag *d);
/* Has keyd follow it, and write down whose order it was. */
enum err cluster_policy_apply(struct arm_call *c, const json_t *policy, struct diag *d);
/* As the resource shows it: with the state that keyd measures. scope: the id in lower case. */
json_t *cluster_policy_json(struct arm *a, const char *scope, const json_t *doc);
struct key_policy cluster_policy_of(const json_t *doc); /* 0 in what was not chosen */

struct cluster_key cluster_key_of(const json_t *doc); /* from doc.key */
bool cluster_key_eq(const struct cluster_key *a, const struct cluster_key *b);
json_t *cluster_key_json(const struct cluster_key *k);

/* --- rules (cluster_rules.c)
 * -------------------------------------------------------------------------------- */

enum err cluster_check_allowed(struct arm_call *c, struct diag *d);
/* May the region take one more? Under DOCS_WRITE(). */
enum err cluster_check_limits(struct arm_call *c, const char *location, struct diag *d);
/* Is the vault in the cluster's region and tenant? Asks it. */
enum err cluster_check_vault(struct arm_call *c, const char *location, const char *vault_uri,
                             struct diag *d);

/* --- operations (cluster_operation.c, cluster_recover.c)
 * ---------------------------------------------------- */

json_t *cluster_of_operation(struct arm *a, const json_t *op); /* its document; NULL */
/* The document of the cluster with that clusterId, as the first articles name one; NULL. */
json_t *cluster_by_guid(struct arm *a, const char *guid);
/* Gives the key to custody, and linked workspaces their accounts. */
enum err cluster_set_key(struct arm *a, const json_t *doc, const json_t *key, struct diag *d);
void cluster_refresh_workspaces(struct arm *a, const json_t *op);
/* Starts to bring back the deleted cluster of c->key; op: the operation to go on with. */
enum err cluster_recover(struct arm_call *c, bool with_links, char op[37], struct diag *d);
