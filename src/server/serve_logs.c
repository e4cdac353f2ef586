/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server/serve_logs.c - the log service's process: wiring, start and stop
 *
 * It listens before it can serve: until keyd has the platform's key everything but health, tokens
 * and vaults answers 503 with Retry-After (api/api.h).
 */
#include "server/commands.h"

#include "api/api.h"
#include "base/log.h"
#include "base/os.h"
#include "base/time.h"
#include "func/geo_ip.h"
#include "server/harden.h"
#include "server/process.h"
#include "server/records.h"
#include "server/serve.h"

#include <stdatomic.h>
#include <stdlib.h>

struct logs {
    struct catalog *catalog;
    struct custody *custody;
    struct chan *identity_chan;
    struct identity_client *identity;
    struct http_client *http;
    struct pool *query_pool;
    _Atomic(struct api *) api;
    struct http_server *server;
    struct store *store;
};

static enum err key_changed(void *ctx, const uint8_t account[16], enum key_state was,
                            enum key_state now, struct diag *d)
{
    struct logs *l = ctx;
    return api_key_changed(atomic_load(&l->api), account, was, now, d);
}

static enum err persist(void *ctx, const struct custody_record *records, size_t n, struct diag *d)
{
    return records_persist(((struct logs *)ctx)->catalog, records, n, d);
}

static enum err load(void *ctx, const char *kind,
                     enum err (*visit)(void *visit_ctx, const struct custody_record *r,
                                       struct diag *d),
                     void *visit_ctx, struct diag *d)
{
    return records_load(((struct logs *)ctx)->catalog, kind, visit, visit_ctx, d);
}

static enum err open_peers(struct logs *l, const struct serve_options *o, struct diag *d)
{
    CLEANUP_FREE char *path = os_path(o->data, "catalog.db");
    TRY(catalog_open_sqlite(&l->catalog, path, d));
    TRY(chan_new(&l->identity_chan, "identity", 1, NULL, NULL, d));
    TRY(identity_client_new(&l->identity, l->identity_chan, d));
    TRY(process_peer("identity", l->identity_chan, d));
    const struct custody_config custody = {
        .ctx = l, .persist = persist, .load = load, .changed = key_changed};
    TRY(custody_new(&l->custody, &custody, d));
    TRY(process_peer("keyd", custody_chan(l->custody), d));
    TRY(http_client_new(&l->http, o->ca_file, d));
    return pool_new(&l->query_pool, cpu_count(), 4096, d);
}

static enum err listen_on(struct logs *l, const struct serve_options *o, struct diag *d)
{
    CLEANUP_FREE char *vault_base = str_fmt("https://%s", o->vault_suffix);
    CLEANUP_FREE char *pools = serve_hsm_suffix(o);
    CLEANUP_FREE char *token = o->hsm.direct ? hsm_uri(&o->hsm) : NULL;
    CLEANUP_LOCAL(foreign_hosts_release) struct foreign_hosts foreign = {0};
    TRY(serve_foreign_hosts(o->vault_hosts, &foreign, d));
    const char *vault_hosts[3 + FOREIGN_HOSTS_MAX + 1] = {NULL};
    size_t n_hosts = 0;
    vault_hosts[n_hosts++] = o->vault_suffix;
    vault_hosts[n_hosts++] = pools;
    if (token != NULL) vault_hosts[n_hosts++] = token;
    memcpy(vault_hosts + n_hosts, foreign.suffixes, foreign.n * sizeof foreign.suffixes[0]);
    CLEANUP_FREE char *cert = serve_cert_file(o);
    CLEANUP_FREE char *vault_audit = str_fmt("%s/vault/audit", o->data);
    CLEANUP_FREE char *spill = str_fmt("%s/spill", o->data);
    const struct api_config api = {
        .catalog = l->catalog,
        .custody = l->custody,
        .identity = l->identity,
        .http = l->http,
        .query_pool = l->query_pool,
        .endpoint = o->endpoint,
        .vault_base = vault_base,
        .vault_suffix = o->vault_suffix,
        .vault_audit_dir = vault_audit,
        .tenant_id = o->tenant,
        .subscription_id = o->subscription,
        .owner_object_id = o->object_id,
        .cert_file = cert,
        .vault_hosts = vault_hosts,
        .query_memory = o->query_memory,
        .spill_dir = spill,
        .spill_bytes = o->query_disk,
        .external_data = o->external_data,
        .external_ca = o->external_ca,
    };
    struct api *a = NULL;
    TRY(api_new(&a, &api, d));
    atomic_store(&l->api, a);
    CLEANUP_FREE char *key = serve_key_file(o);
    const struct http_server_config http = {
        .address = o->listen, .cert_file = cert, .key_file = key, .handler = api_handler, .ctx = a};
    return http_server_start(&l->server, &http, d);
}

#define MEMTABLE_ROWS 65536 /* the log holds them uncompressed, and a restart replays them */
#define READY_MS      2000  /* per try; the supervisor's stop is noticed in between */

/* keyd may be ready, and the platform's vault fall silent before the store has its key. */
static enum err await_store(struct logs *l, const struct store_config *c, struct diag *d)
{
    struct diag why = DIAG_INIT;
    enum err e;
    while ((e = store_open(&l->store, c, &why)) == ERR_UNAVAILABLE) {
        if (process_quitting()) return FAIL(d, ERR_CANCELLED, "stopped before the store was open");
        LOG(WARN, "logs.waits_for_platform_key", F_ERR(&why));
        diag_reset(&why);
        time_sleep_us(READY_MS * 1000);
    }
    return e == OK ? OK : FAIL_TAG(d, e, why.tag, "%s", why.text);
}

static enum err open_store(struct logs *l, const struct serve_options *o, struct diag *d)
{
    static const struct key_ops key_ops = {
        .create = custody_file_create,
        .open = custody_file_open,
        .release = custody_file_release,
        .check = custody_lease_check,
    };
    static const struct spool_ops spool_ops = {.make = custody_spool_make,
                                               .keys = custody_spool_keys};
    struct diag why = DIAG_INIT;
    while (custody_wait_ready(l->custody, READY_MS, &why) != OK) {
        if (process_quitting()) return FAIL(d, ERR_CANCELLED, "stopped before keyd was ready");
        LOG(WARN, "logs.waits_for_keyd", F_ERR(&why));
        diag_reset(&why);
    }
    struct store_config config = {.dir = o->data,
                                  .catalog = l->catalog,
                                  .keys = {.ops = &key_ops, .self = l->custody},
                                  .memtable_rows_max = MEMTABLE_ROWS};
    struct api *a = atomic_load(&l->api);
    config.spool = (struct spool_config){.ops = &spool_ops,
                                         .self = l->custody,
                                         .bytes_max = o->spool_bytes,
                                         .total_max = o->spool_total,
                                         .hours_max = (uint32_t)o->spool_hours,
                                         .counted = api_spool_counted,
                                         .emptied = api_spool_emptied,
                                         .ctx = a};
    config.watch = (struct entry_root_watch){.accept = o->accept_entries,
                                             .ctx = l->custody,
                                             .last = custody_entries_last,
                                             .accepted = custody_entries_accepted,
                                             .moved = custody_entries_moved};
    TRY(api_platform_account(a, config.platform_account, d));
    TRY(await_store(l, &config, d));
    return api_start(a, l->store, d);
}

static void close_all(struct logs *l)
{
    struct api *a = atomic_load(&l->api);
    http_server_stop(l->server);
    if (a != NULL) api_stop(a);
    if (l->store != NULL) store_close(l->store);
    atomic_store(&l->api, NULL);
    custody_free(l->custody);
    api_free(a);
    pool_free(l->query_pool);
    http_client_free(l->http);
    identity_client_free(l->identity);
    chan_free(l->identity_chan);
    if (l->catalog != NULL) l->catalog->ops->close(l->catalog);
    geo_ip_close();
}

static enum err serve(struct logs *l, const struct serve_options *o, struct diag *d)
{
    bool swap_allowed;
    TRY(process_begin("logs", d));
    TRY(harden_process(d));
    TRY(harden_swap(o->allow_swap, &swap_allowed, d));
    TRY(serve_clock(o, d));
    if (o->geo_ip_database != NULL) TRY(geo_ip_open(o->geo_ip_database, d));
    TRY(open_peers(l, o, d));
    TRY(listen_on(l, o, d));
    TRY(open_store(l, o, d));
    TRY(process_ready(NULL, d));
    process_wait_quit();
    return OK;
}

int serve_logs(int argc, char **argv, struct diag *d)
{
    struct serve_options o;
    if (serve_parse(argc, argv, &o, d) != OK) return EXIT_USAGE;
    struct logs l = {0};
    enum err e = serve(&l, &o, d);
    close_all(&l);
    return exit_of(e);
}
