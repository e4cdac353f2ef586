/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource/arm.h - the resource plane as the front door sees it: calls in, replies out, and who
 * writes where
 */
#pragma once

#include "custody/client.h"
#include "identity/identity_client.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "resource/doc.h"
#include "storage/store.h"

struct arm;
struct workspace;

#define ARM_ID_MAX 384 /* bytes of a resource id with the terminating zero */

/* Something was asked to change a resource, or an operation that does has ended. */
struct arm_event {
    const char *id;       /* its own; NULL: it is nowhere else */
    int64_t time_us;      /* 0 = now */
    bool again;           /* it may have been told before: its id says */
    const char *action;   /* "Microsoft.OperationalInsights/clusters/write" */
    const char *resource; /* ARM id */
    const char *caller;   /* object id */
    const char *correlation, *operation, *peer, *method, *client_request; /* "" or NULL = none */
    const char *status;         /* "Accepted", "Succeeded", "Failed" */
    const char *code, *message; /* of a failure */
    int http;                   /* 0: no request is answered by it */
};
/* True: it is on the disk. */
typedef bool arm_event_fn(void *ctx, const struct arm_event *e);

struct arm_config {
    arm_event_fn *event; /* may be NULL; called on any thread, without locks */
    /* Resources that other processes keep below the prefix, as the caller of req may see them:
     * [{id, name, type, location, tags}]. A new reference; NULL: none. May be NULL. */
    json_t *(*others)(void *ctx, const struct http_request *req, const char *prefix);
    /* The status of a GET of such a resource as the caller of req; 0: no answer. May be NULL. */
    int (*other_status)(void *ctx, const struct http_request *req, const char *id);
    /* The number of the newest record of the vault's audit log. May be NULL: 0. */
    enum err (*vault_log_end)(void *ctx, uint64_t *end, struct diag *d);
    /* Does the query compile against the workspace's tables, and those of others that it names and
     * the caller of req may query? *result: the columns of its first result, in the arena.
     * ERR_INVALID, ERR_UNSUPPORTED with the compiler's tag; ERR_DENIED. May be NULL. */
    enum err (*check_query)(void *ctx, const struct http_request *req, const struct caller *caller,
                            const struct workspace *w, const char *text, struct arena *a,
                            struct schema *result, struct diag *d);
    void *event_ctx; /* of all five */
    struct catalog *catalog;
    struct custody *custody;
    struct identity_client *identity;
    struct http_client *http; /* asks vaults where they are; NULL: they are not asked */
    const char *endpoint;     /* "https://localhost:8443" */
    const char *vault_suffix; /* "vault.localhost:8444" */
    const char *tenant_id, *subscription_id, *owner_object_id;
    const char *const *vault_hosts; /* suffixes of hosts that key URIs may name, NULL-terminated */
    unsigned operation_threads;     /* 0 = 4 */
};

/* Reads all documents of the catalogue into memory; texts of c are copied, its objects outlive the
 * plane. Nothing runs before arm_start(). Fails as the catalogue does. */
enum err arm_open(struct arm **out, const struct arm_config *c, struct diag *d);
void arm_close(struct arm *a);
/* Opens accounts whose keys are there, resumes operations that a crash cut short. */
enum err arm_start(struct arm *a, struct store *store, struct diag *d);
void arm_stop(
    struct arm *a); /* waits for running operations; those that wait resume at the next start */

/* Answers one ARM request of a verified caller: fills status, headers and body, also for failures.
 */
void arm_handle(struct arm *a, const struct http_request *req, const struct caller *caller,
                struct http_response *res);
/* Tells an event. noted: it was put into the outbox with a change, and the change is durable. */
void arm_tell(struct arm *a, const struct arm_event *e, bool noted);
/* The error envelope: {"error":{"code","message"}}. */
void arm_error(struct http_response *res, int status, const char *code, const char *message);
/* Every resource type with what can be done to it; plane "open" needs a token but no role. */
void arm_routes(http_route_visit *visit, void *ctx);
/* /metadata/endpoints: needs no token. */
void arm_metadata(struct arm *a, const struct http_request *req, struct http_response *res);

/* --- workspaces, as the data planes need them: kept in memory, cheap -------------------------- */

struct workspace {
    struct guid id;
    char customer_id[GUID_TEXT_MAX];
    char name[64];
    char arm_id[ARM_ID_MAX];
    char rule_id[ARM_ID_MAX];    /* of its default data collection rule */
    char cluster_id[ARM_ID_MAX]; /* "" = not linked */
    uint8_t account[16];         /* that new rows go to */
    bool has_account;            /* false until it is provisioned */
    bool is_customer_key;        /* account belongs to the cluster */
    uint32_t retention_days;
    double quota_gb; /* daily cap; -1 = none */
    /* publicNetworkAccessFor...: not Enabled. Then only callers of private networks are served. */
    bool private_ingestion, private_query;
};

bool arm_workspace(struct arm *a, const struct guid *id, struct workspace *out);
/* By ARM id, without case. */
bool arm_workspace_by_id(struct arm *a, const char *arm_id, struct workspace *out);
/* Those of that name, without case; all for NULL. *out is the caller's, to free(). */
enum err arm_workspaces(struct arm *a, const char *name, struct workspace **out, uint32_t *out_n,
                        struct diag *d);
/* The account that rows of the workspace go to now; false: no such workspace, or not yet
 * provisioned. */
bool resource_current_account(struct arm *a, const struct guid *workspace, uint8_t account[16]);
/* The state of that account; SUSPENDED when there is none. */
enum key_state arm_workspace_state(struct arm *a, const struct guid *workspace);

struct account {
    uint8_t id[16];
    char workspace[GUID_TEXT_MAX]; /* "" = the store's own */
    char workspace_name[64];
    char cluster_id[ARM_ID_MAX]; /* "" = the platform's scope */
    char cluster_name[64];
};
bool arm_account(struct arm *a, const uint8_t id[16], struct account *out);
/* The store's own account: made on first call. */
enum err arm_platform_account(struct arm *a, uint8_t out[16], struct diag *d);

/* The ARM id of a cluster by id or name; false: none, or several of that name. */
bool arm_cluster_id(struct arm *a, const char *name_or_id, char out[ARM_ID_MAX]);
/* Lifts what identity None has sealed: from now on the cluster may be given an identity and a key
 * again. `by`: who says so. ERR_CONFLICT: it is not sealed. ERR_NOT_FOUND: it never had a key. */
enum err arm_cluster_unlock(struct arm *a, const char *id, const char *by, struct diag *d);

/* custody says that an account's key came or went. */
enum err arm_key_changed(struct arm *a, const uint8_t account[16], enum key_state now,
                         struct diag *d);
/* Ids of the clusters that are REVOKED or SUSPENDED: a JSON array. */
json_t *arm_sealed_clusters(struct arm *a);
/* Accounts of a workspace whose cluster was deleted less than 14 days ago: their rows are not to be
 * read any more. [{"id": hex, "cluster": ARM id}] */
json_t *arm_gone_accounts(struct arm *a, const char *workspace);
/* --- keys that an administrator turns
 * ----------------------------------------------------------------- */

/* Rewraps the cluster's AEKs to the present version of its KEK. data_too: then, in the background
 * and over restarts, moves rows of its workspaces that lie under the platform's key or under older
 * AEKs. by: whose order, for the audit. */
enum err arm_rewrap(struct arm *a, const char *cluster_id, const char *by, bool data_too,
                    uint64_t *wraps, struct diag *d);
json_t *arm_rewraps(struct arm *a); /* those that run and those that ran: an array */
/* A new AEK for every account of the cluster, or of the workspace (the other is NULL). */
enum err arm_rotate_aek(struct arm *a, const char *cluster_id, const char *workspace,
                        const char *by, json_t **out, struct diag *d);

/* --- diagnostic settings: where audit records of vaults go ------------------------------------ */

/* Their documents (diagnostic.c): an array. */
json_t *arm_diagnostics(struct arm *a);
/* The number of the last record that a setting does not have to send: what arm_diagnostic_save()
 * kept, or where it began. */
uint64_t arm_diagnostic_sent(struct arm *a, const json_t *setting);
enum err arm_diagnostic_save(struct arm *a, const json_t *setting, uint64_t sequence,
                             struct diag *d);

/* A workspace's saved searches that queries may call by their alias. */
struct stored_function {
    const char *name, *parameters, *query; /* parameters may be empty */
};
enum err arm_stored_functions(struct arm *arm, const char *workspace_id, struct arena *a,
                              struct stored_function **out, uint32_t *n, struct diag *d);

/* The table of that name; a standard one is made when it is first asked for. ERR_NOT_FOUND. */
enum err arm_table_of(struct arm *a, const struct guid *workspace, const char *name,
                      struct table **out, struct diag *d);
/* Has the table another plan than Analytics? plan: its name. */
bool arm_table_plan(struct arm *a, const struct table *t, char plan[16]);

struct docs *arm_docs(struct arm *a);
/* Would the request change what a lock holds? scope: the lock's. For requests that other processes
 * answer; arm_handle() asks itself. */
bool arm_is_locked(struct arm *a, const char *path, const char *method, char scope[ARM_ID_MAX]);
/* What is due by the clock: reserved names, soft-deleted resources. */
void arm_tidy(struct arm *a, int64_t now_us);

DEFINE_CLEANUP(arm_close, struct arm)
