/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/api.h - the front door: every public endpoint of the log service behind one HTTP handler
 *
 * ARM resources, ingestion, query, administration, health. It can serve before the store is open:
 * then only health, tokens (identity) and vaults answer, everything else is 503 with Retry-After.
 * Order at start:
 *
 *      api_new()             the catalogue is open, custody exists; the listener may start now
 *      custody_wait_ready()  meanwhile custody calls api_key_changed() as keys come
 *      api_platform_account(), store_open(), api_start()
 *
 * At the end: stop the listener, api_stop(), store_close(), api_free().
 */
#pragma once

#include "base/thread.h"
#include "custody/client.h"
#include "identity/identity.h"
#include "identity/identity_client.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "storage/store.h"

struct api;

struct api_config {
    struct catalog *catalog;
    struct custody *custody;
    struct identity_client *identity;
    struct http_client *http; /* trusts the CA of the data directory: calls to the vault process */
    struct pool *query_pool;  /* NULL: a query runs on its connection's thread alone */
    const char *endpoint;     /* "https://localhost:8443": audience, URLs of operations */
    const char *vault_base;   /* "https://localhost:8444": Microsoft.KeyVault goes there */
    const char *vault_suffix; /* "vault.localhost:8444": for /metadata/endpoints */
    const char *vault_audit_dir; /* the vault's audit log, for those who want it in a workspace */
    const char *tenant_id, *subscription_id, *owner_object_id;
    const char *cert_file; /* of the front door: /metrics says when it ends */
    const char *const
        *vault_hosts;           /* allow-listed suffixes of key URIs with port, NULL-terminated */
    unsigned operation_threads; /* 0 = 4 */
    size_t query_memory;        /* bytes of one query's rows; 0 = as exec.h says */
    const char *spill_dir;      /* for rows that do not fit, and answers; NULL: they fail */
    uint64_t spill_bytes;       /* of all queries together */
    const char *external_data;  /* URL prefixes that queries may read from; NULL = none */
    const char *external_ca;    /* of their certificates; NULL = the system's bundle */
};

/* Loads the resources; copies the strings of *c. */
enum err api_new(struct api **out, const struct api_config *c, struct diag *d);
void api_free(struct api *a); /* NULL is fine */

/* The account that seals the store's own records: made with custody on first call, then the same.
 * Needs custody_wait_ready(). Goes to store_config.platform_account. */
enum err api_platform_account(struct api *a, uint8_t out[16], struct diag *d);

/* The store is open: opens the accounts whose keys are there, resumes operations that a crash cut
 * short, starts retention, and serves everything from here on. */
enum err api_start(struct api *a, struct store *store, struct diag *d);
void api_stop(
    struct api *a); /* ends timers and operations, cancels queries; before store_close() */

/* The front door's table, and those of identity and of the resource types behind it. */
void api_routes(http_route_visit *visit, void *ctx);

http_handler api_handler; /* ctx: the struct api */

/* custody_config.changed; ctx: the struct api, or NULL before api_new(): then it answers OK. */
enum err api_key_changed(void *ctx, const uint8_t account[16], enum key_state was,
                         enum key_state now, struct diag *d);

/* spool_config.counted and .emptied; ctx: the struct api. */
enum err api_spool_counted(void *ctx, const uint8_t account[16], const struct guid *table,
                           uint64_t rows, struct diag *d);
enum err api_spool_emptied(void *ctx, const uint8_t account[16], const struct spool_end *end,
                           struct diag *d);

DEFINE_CLEANUP(api_free, struct api)
