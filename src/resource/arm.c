/* SPDX-License-Identifier: Apache-2.0 */
/* resource/arm.c - the plane: opened, started, tidied, closed */
#include "resource/lockbox.h"
#include "resource/plane.h"

#include <stdlib.h>

/* --- life ------------------------------------------------------------------------------------- */

static enum err own(struct arm *a, size_t i, const char **s, struct diag *d)
{
    a->strings[i] = str_dup(*s != NULL ? *s : "");
    if (a->strings[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *s = a->strings[i];
    return OK;
}

static enum err own_hosts(struct arm *a, const char *const *hosts, struct diag *d)
{
    size_t n = 0;
    while (hosts != NULL && hosts[n] != NULL)
        n++;
    a->vault_hosts = calloc(n + 1, sizeof *a->vault_hosts);
    if (a->vault_hosts == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < n; i++) {
        a->vault_hosts[i] = str_dup(hosts[i]);
        if (a->vault_hosts[i] == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    }
    a->c.vault_hosts = a->vault_hosts;
    return OK;
}

enum err arm_open(struct arm **out, const struct arm_config *c, struct diag *d)
{
    CLEANUP(arm_close) struct arm *a = calloc(1, sizeof *a);
    if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&a->forget_lock, NULL);
    pthread_mutex_init(&a->index_writers, NULL);
    pthread_mutex_init(&a->quota_lock, NULL);
    pthread_rwlock_init(&a->index_lock, NULL);
    a->c = *c;
    TRY(own(a, 0, &a->c.endpoint, d));
    TRY(own(a, 1, &a->c.vault_suffix, d));
    TRY(own(a, 2, &a->c.tenant_id, d));
    TRY(own(a, 3, &a->c.subscription_id, d));
    TRY(own(a, 4, &a->c.owner_object_id, d));
    TRY(own_hosts(a, c->vault_hosts, d));
    a->outbox = outbox_new();
    if (a->outbox == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(docs_open(&a->docs, c->catalog, d));
    TRY(operations_new(&a->operations, a, c->operation_threads, d));
    TRY(index_load(a, d));
    *out = TAKE(a);
    return OK;
}

enum err arm_start(struct arm *a, struct store *store, struct diag *d)
{
    a->store = store;
    outbox_replay(a);
    TRY(arm_accounts_open(a, d));
    TRY(rewraps_start(a, d));
    return operations_resume(a->operations, d);
}

void arm_stop(struct arm *a)
{
    rewraps_stop(a);
    operations_stop(a->operations);
    a->store = NULL;
}

void arm_close(struct arm *a)
{
    if (a == NULL) return;
    operations_free(a->operations);
    index_release(a);
    docs_close(a->docs);
    outbox_free(a->outbox);
    for (size_t i = 0; i < sizeof a->strings / sizeof a->strings[0]; i++)
        free(a->strings[i]);
    for (size_t i = 0; a->vault_hosts != NULL && a->vault_hosts[i] != NULL; i++) {
        free((char *)a->vault_hosts[i]);
    }
    free(a->vault_hosts);
    pthread_rwlock_destroy(&a->index_lock);
    pthread_mutex_destroy(&a->index_writers);
    MAP_EACH (&a->quotas, e)
        free(e->value);
    map_release(&a->quotas);
    pthread_mutex_destroy(&a->quota_lock);
    pthread_mutex_destroy(&a->forget_lock);
    free(a);
}

struct docs *arm_docs(struct arm *a)
{
    return a->docs;
}

void arm_tidy(struct arm *a, int64_t now_us)
{
    workspaces_tidy(a, now_us);
    clusters_tidy(a);
    aeks_tidy(a, now_us);
    lockbox_tidy(a, now_us);
    outbox_tidy(a);
}
