/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/children.h - the processes of one data directory: started in order, joined by sockets,
 * restarted when they die
 *
 * One thread, one poll loop: control sockets, signals, one more descriptor, and the time of the
 * next restart.
 *
 * (1) A pair of processes gets a new socket pair whenever either of them starts.
 * (2) Nothing is waited for without the loop running: a child that dies while another starts is
 *     seen.
 * (3) The lock of the data directory is inherited by the children: it is free only when all are
 *     gone.
 */
#pragma once

#include "cli/credentials.h"
#include "json/json.h"
#include "server/datadir.h"
#include "server/hsm.h"

enum child_id { CHILD_IDENTITY, CHILD_VAULT, CHILD_KEYD, CHILD_LOGS, N_CHILDREN };

/* Which of the processes run here: all, or one of two services that share a data directory. */
enum up_part { PART_ALL, PART_VAULT, PART_LOGS };

struct up_options {
    enum up_part part;
    const char *data, *listen, *vault_listen, *domain;
    const char *log_level;          /* "info" */
    const char *infrastructure_key; /* NULL = DIR/keyd/iek.key */
    const char *vault_socket;       /* keyd reaches the embedded vault there; NULL = by its name */
    struct hsm_options hsm;         /* the vault's */
    bool virtual_clock, allow_swap, faults;
    uint64_t probe_s, revocation_bound_s, outage_grace_s, retain_max_s; /* 0 = the default */
    uint64_t spool_bytes, spool_total, spool_hours;
    uint64_t query_memory, query_disk;
    const char *outage_policy;                /* NULL = retain */
    const char *cert, *key, *ca;              /* the operator's own; NULL = DIR/tls */
    const char *issuers;                      /* file of foreign issuers; NULL = none */
    const char *imds, *imds_allow;            /* identity/imds.h; NULL = off */
    const char *auditor_key, *anchor;         /* NULL = one of our own; none */
    const char *vault_hosts, *vault_ca;       /* foreign vaults: NULL = none, the system's bundle */
    const char *geo_ip_database;              /* func/geo_ip.h: NULL = none */
    const char *external_data, *external_ca;  /* api/external.h: NULL = none, the system's bundle */
    uint64_t accept_rollback, accept_entries; /* 0 = none */
};

struct child {
    int pid;     /* 0 = not running */
    int control; /* -1 = not running */
    bool wanted, ready, was_ready;
    unsigned deaths;                               /* before it was ever ready */
    int64_t started_us, restart_at_us, backoff_us; /* monotonic */
};

struct children {
    const struct up_options *o;
    const struct datadir *dir;
    const struct credentials *credentials; /* read at each start of a process */
    /* A process said that it serves. */
    enum err (*ready)(void *ctx, enum child_id which, const json_t *info, struct diag *d);
    /* A process was started: the place to give it sockets that no pair has. May be NULL. */
    void (*started)(void *ctx, enum child_id which);
    /* watch[i] can be read; may be NULL when both are -1. */
    enum err (*watched)(void *ctx, int i, struct diag *d);
    /* Called now and then while all runs, at least once a minute; may be NULL. */
    void (*tick)(void *ctx);
    void *ctx;
    int watch[2];
    struct secret *passphrase; /* of --vault-passphrase-file fd:N, for each start of the vault */
    struct child children[N_CHILDREN];
    int signals;
    bool stopping;
};

/* Catches SIGTERM, SIGINT and SIGCHLD of this process. The fields above `children` are the caller's
 * to set first. */
enum err children_init(struct children *c, struct diag *d);
enum err children_start(struct children *c, enum child_id which, struct diag *d);
/* Runs the loop until the process serves, or a signal asks to stop (then c->stopping), or
 * give_up_us passed. */
enum err children_until_ready(struct children *c, enum child_id which, int64_t give_up_us,
                              struct diag *d);
enum err children_run(struct children *c, struct diag *d); /* until a signal asks to stop */
/* Hands the process a socket to a peer of that name; closes fd here. A process that is not running
 * gets none. */
void children_give(struct children *c, enum child_id which, const char *peer, int fd);
void children_stop(struct children *c); /* logs first: keyd must still be there to flush with */
