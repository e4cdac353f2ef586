/* SPDX-License-Identifier: Apache-2.0 */
/* api/api.c - the front door: opened, started, told of keys, stopped */
#include "api/activity.h"
#include "api/front.h"
#include "storage/spill_file.h"
#include "api/key_audit.h"
#include "api/vault_audit.h"

#include "base/log.h"

#include <stdlib.h>

#define TIDY_US        (6 * 3600 * US_PER_S) /* between two rounds of retention */
#define RETENTION_DAYS 30                    /* of what a workspace that is gone has left */

static enum err own(struct api *a, size_t i, const char **s, struct diag *d)
{
    a->strings[i] = str_dup(*s != NULL ? *s : "");
    if (a->strings[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *s = a->strings[i];
    return OK;
}

/* The activity log is made after the plane that tells it things. */
static bool record(void *ctx, const struct arm_event *e)
{
    struct api *a = ctx;
    return a->activity != NULL && activity_record(a->activity, e);
}

enum err api_new(struct api **out, const struct api_config *c, struct diag *d)
{
    CLEANUP(api_free) struct api *a = calloc(1, sizeof *a);
    if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&a->lock, NULL);
    a->c = *c;
    TRY(own(a, 0, &a->c.endpoint, d));
    TRY(own(a, 1, &a->c.vault_base, d));
    TRY(own(a, 2, &a->c.tenant_id, d));
    TRY(own(a, 3, &a->c.subscription_id, d));
    TRY(own(a, 4, &a->c.cert_file, d));
    if (a->c.vault_audit_dir != NULL) TRY(own(a, 5, &a->c.vault_audit_dir, d));
    a->c.vault_suffix = NULL; /* arm's */
    a->c.owner_object_id = NULL;
    a->c.vault_hosts = NULL;
    const struct arm_config arm = {
        .event = record,
        .others = vaults_below,
        .other_status = vault_status,
        .vault_log_end = vault_audit_end,
        .check_query = query_compiles,
        .event_ctx = a,
        .catalog = c->catalog,
        .custody = c->custody,
        .identity = c->identity,
        .http = c->http,
        .endpoint = c->endpoint,
        .vault_suffix = c->vault_suffix,
        .tenant_id = c->tenant_id,
        .subscription_id = c->subscription_id,
        .owner_object_id = c->owner_object_id,
        .vault_hosts = c->vault_hosts,
        .operation_threads = c->operation_threads,
    };
    TRY(arm_open(&a->arm, &arm, d));
    TRY(activity_open(&a->activity, a->arm, c->subscription_id, c->tenant_id, d));
    TRY(dropped_open(&a->dropped, arm_docs(a->arm), d));
    if (c->external_data != NULL)
        TRY(external_new(&a->external, c->external_data, c->external_ca, d));
    a->c.external_data = a->c.external_ca = NULL; /* external's */
    if (c->spill_dir != NULL) TRY(spill_room_new(&a->spill, c->spill_dir, c->spill_bytes, d));
    a->c.spill_dir = NULL; /* the room's */
    a->dropped_ids = dedupe_new(DEDUPE_MAX);
    if (a->dropped_ids == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *out = TAKE(a);
    return OK;
}

void api_free(struct api *a)
{
    if (a == NULL) return;
    api_stop(a);
    dropped_free(a->dropped);
    activity_free(a->activity);
    dedupe_free(a->dropped_ids);
    external_free(a->external);
    spill_room_free(a->spill);
    arm_close(a->arm);
    readers_free(a->readers);
    for (size_t i = 0; i < sizeof a->strings / sizeof a->strings[0]; i++)
        free(a->strings[i]);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

enum err api_platform_account(struct api *a, uint8_t out[16], struct diag *d)
{
    return arm_platform_account(a->arm, out, d);
}

/* --- retention and reserved names ------------------------------------------------------------- */

static uint32_t workspace_days(void *ctx, const struct guid *id)
{
    struct api *a = ctx;
    struct workspace w;
    return arm_workspace(a->arm, id, &w) ? w.retention_days : RETENTION_DAYS;
}

static void tidy(struct api *a)
{
    struct diag d = DIAG_INIT;
    uint64_t removed = 0;
    int64_t now = time_now_us();
    if (store_retention_run(atomic_load(&a->store), now, workspace_days, a, &removed, &d) != OK) {
        LOG(WARN, "retention.failed", F_ERR(&d));
    } else if (removed != 0) {
        LOG(INFO, "retention.removed", F_U64("segments", removed));
    }
    arm_tidy(a->arm, now);
}

static void *run_timer(void *arg)
{
    struct api *a = arg;
    int64_t due = time_now_us();
    while (!atomic_load(&a->stopping)) {
        if (!timer_wait(a->timer, due)) continue;
        if (atomic_load(&a->stopping)) break;
        tidy(a);
        due = time_now_us() + TIDY_US;
    }
    return NULL;
}

enum err api_start(struct api *a, struct store *store, struct diag *d)
{
    TRY(activity_start(a->activity, store, d));
    TRY(arm_start(a->arm, store, d));
    atomic_store(&a->store, store);
    TRY(key_audit_start(&a->key_audit, a, store, d));
    TRY(vault_audit_start(&a->vault_audit, a, store, d));
    a->timer = timer_new();
    if (a->timer == NULL) return FAIL(d, ERR_LIMIT, "no timer is left for retention");
    TRY(thread_start(&a->timer_thread, run_timer, a, d));
    a->has_timer_thread = true;
    return OK;
}

void api_stop(struct api *a)
{
    atomic_store(&a->stopping, true);
    queries_cancel(a, NULL);
    if (a->has_timer_thread) {
        timer_wake(a->timer);
        pthread_join(a->timer_thread, NULL);
        a->has_timer_thread = false;
    }
    timer_free(TAKE(a->timer));
    if (a->arm != NULL) arm_stop(a->arm);
    if (a->activity != NULL) activity_stop(a->activity);
    key_audit_stop(TAKE(a->key_audit));
    vault_audit_stop(TAKE(a->vault_audit));
    atomic_store(&a->store, NULL);
}

/* --- keys ------------------------------------------------------------------------------------- */

enum err api_key_changed(void *ctx, const uint8_t account[16], enum key_state was,
                         enum key_state now, struct diag *d)
{
    struct api *a = ctx;
    if (a == NULL) return OK;
    char hex[33];
    hex_encode(bytes_of(account, 16), hex);
    LOG(INFO, "key.changed", F_STR("account", hex), F_STR("was", key_state_name(was)),
        F_STR("now", key_state_name(now)));
    struct account x;
    if ((now == KEY_REVOKED || now == KEY_SUSPENDED) && arm_account(a->arm, account, &x)) {
        queries_cancel(a, x.workspace);
    }
    return arm_key_changed(a->arm, account, now, d);
}
