/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/front.h - what the files of api/ share: the front door, its metrics, who calls, how failures
 * are told
 */
#pragma once

#include "api/api.h"
#include "api/dropped.h"
#include "api/external.h"
#include "base/str.h"
#include "base/time.h"
#include "resource/arm.h"
#include "storage/dedupe.h"

#include <stdatomic.h>

struct metrics {
    _Atomic uint64_t requests[6]; /* by the first digit of the status */
    _Atomic uint64_t rows_ingested, bytes_ingested, rows_refused, rows_spooled;
    _Atomic uint64_t queries_running, queries, queries_failed, query_us, rows_scanned;
};

struct query_run; /* one running query: query_run.c */
struct reader_pool;

struct api {
    struct api_config c; /* strings are owned */
    char *strings[8];
    struct arm *arm;
    struct store *_Atomic store; /* NULL until api_start() */
    struct activity *activity;
    struct key_audit *key_audit;     /* NULL until api_start() */
    struct vault_audit *vault_audit; /* likewise */
    struct dropped *dropped;
    struct dedupe *dropped_ids; /* of batches that were counted as dropped a short while ago */
    struct metrics metrics;
    pthread_mutex_t lock; /* over runs and readers */
    struct query_run *runs;
    struct spill_room *spill; /* NULL: rows must fit into memory */
    struct reader_pool *readers;
    struct external *external; /* NULL: externaldata is refused */
    struct timer *timer;       /* retention and what else is due by the clock */
    pthread_t timer_thread;
    bool has_timer_thread;
    _Atomic bool stopping;
};

struct front_call {
    struct api *api;
    const struct http_request *req;
    struct http_response *res;
    struct caller caller; /* set by front_verify() */
};

/* --- who calls
 * ------------------------------------------------------------------------------------ */

enum plane { PLANE_ARM, PLANE_QUERY, PLANE_KUSTO, PLANE_INGEST };

/* The bearer token is good for the plane's audiences. If not, the answer is written and it returns
 * false. */
bool front_verify(struct front_call *c, enum plane plane);
/* The same without an answer. */
enum err front_who(struct front_call *c, enum plane plane, struct caller *out);
/* May he? If not, 403 in the plane's words. */
bool front_allow(struct front_call *c, enum plane plane, const char *action, bool is_data,
                 const char *scope);

/* closed: the resource takes callers from private networks only. Is this one? If not, 403. */
bool front_network(struct front_call *c, enum plane plane, bool closed);

/* Has an owner opened the workspace to the caller for a while? Then it is told in the activity log. */
bool front_lockbox(struct front_call *c, const char *workspace_id, const char *action);

/* --- failing
 * -------------------------------------------------------------------------------------- */

/* {"error":{"code","message","innererror":{"code","message"}}}; inner_code may be NULL. */
void front_error(struct http_response *res, int status, const char *code, const char *message,
                 const char *inner_code, const char *inner_message);
void front_unavailable(struct http_response *res, const char *message, unsigned retry_s);
void front_json(struct http_response *res, int status, const json_t *j);

/* --- endpoints
 * ------------------------------------------------------------------------------------ */

typedef void endpoint(struct front_call *c);
endpoint health_live, health_ready, health_metrics;
endpoint admin_lockbox, admin_clock, admin_keys, admin_unlock, admin_rewrap, admin_rotate_aek,
    admin_settings;
endpoint forward_identity, forward_vault;
/* Vaults below the prefix as the caller of the request may see them. A new reference; NULL. */
json_t *vaults_below(void *api, const struct http_request *req, const char *prefix);
/* The status of a GET of a vault or pool as the caller of the request; 0: no answer. */
int vault_status(void *api, const struct http_request *req, const char *id);
/* Deletes the vaults of a group that is about to be deleted; false: the answer is written. */
bool delete_vaults_of_group(struct front_call *c);
bool forward_vault_list(struct front_call *c); /* false: the call is something else */
endpoint activity_list;
endpoint arm_endpoint, metadata_endpoint;
endpoint query_workspace, query_batch, query_resource, query_arm;
endpoint kusto_metadata, kusto_query_v1, kusto_query_v2, kusto_mgmt;
endpoint ingest_rows, track_telemetry;

/* Compiles a query against the workspace's tables; arm_config.check_query. */
enum err query_compiles(void *api, const struct http_request *req, const struct caller *caller,
                        const struct workspace *w, const char *text, struct arena *a,
                        struct schema *result, struct diag *d);

bool is_vault_path(const char *path);     /* ARM paths of Microsoft.KeyVault */
bool is_activity_path(const char *path);  /* .../eventtypes/management/values */
bool is_arm_query_path(const char *path); /* .../workspaces/{w}/query */

/* --- queries and readers
 * -------------------------------------------------------------------------- */

/* Stops the queries on the workspace of a locked account; NULL: all. */
void queries_cancel(struct api *a, const char *workspace);
void readers_free(struct reader_pool *p);
