/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/drill.h - a rehearsal on a running server: what a drill needs to know, and its steps
 *
 * A drill strikes, waits until the server has acted, puts the previous state back, and waits until
 * everything works again. It uses the public REST interfaces alone: the vault's, the resource
 * plane's, the query plane's. What it has changed it changes back, also after a failure and after
 * Ctrl-C.
 */
#pragma once

#include "cli/session.h"

struct drill {
    const char *data, *cluster, *report; /* report: path without an end */
    uint64_t timeout_s;                  /* per wait; 0 = from the cluster's own times */
    bool yes;
    const struct drill_kind *kind;
    struct session *s;
    char cluster_id[512], vault_uri[256], key[128];
    char set_version[64]; /* of the cluster; "" = it follows the latest */
    char version[64];     /* that wraps now */
    char new_version[64]; /* made by the drill */
    char fault_id[64];
    const char *undone;         /* what undo() says it did; NULL = what the drill always says */
    json_t *workspaces;         /* [{"name", "id"}] linked to the cluster */
    int64_t bound_s, silence_s; /* silence_s: after which keys go; 0 = never */
    bool suspends;
    bool disturbed; /* something has to be put back */
    int64_t began_us;
    json_t *steps; /* of the report: [{"atMs", "what"}] */
};

struct drill_kind {
    const char *name,
        *what; /* "disable version %s of key %s, ...": for people, before they agree */
    const char *started, *acted, *put_back, *recovered; /* for the report, past tense */
    bool (*can_start)(struct drill *r, struct diag *d);
    enum err (*strike)(struct drill *r, struct diag *d);
    /* Is it so now? A failed question is no answer, and is asked again. */
    bool (*has_acted)(struct drill *r, struct diag *d);
    enum err (*undo)(struct drill *r, struct diag *d);
    bool (*has_recovered)(struct drill *r, struct diag *d);
    bool acts_within_bound;     /* what has_acted() waits for is a revocation */
    bool recovers_within_bound; /* what has_recovered() waits for is one */
};

extern const struct drill_kind drill_kinds[];
extern const uint32_t n_drill_kinds;

/* Finds cluster, key, workspaces and times. */
enum err drill_look(struct drill *r, struct diag *d);
