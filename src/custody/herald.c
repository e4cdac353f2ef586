/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/herald.c - tells the holder what became of an account, and has the state written down
 *
 * (1) Wiping waits for nobody: keyd has wiped before it tells, the holder wipes before it writes.
 *     REVOKED is durable in keyd's audit log before the holder hears of it, so a crash in between
 *     cannot lose it.
 * (2) A locked state is told at once by the thread that found it; the holder acknowledges within
 *     WIPE_MS, or holder_failed() has it killed. With no holder connected there is nothing to wipe
 *     but what its leases end by themselves. One that connects later may still be the old one, with
 *     keys: it has UNTOLD_MAX tries.
 * (3) All else - retries, the states a new holder must hear, the state records - is the herald
 *     thread's. It alone writes state records, always the newest state, so an old one can never
 *     follow a new one.
 */
#include "base/log.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdio.h>
#include <stdlib.h>

#define TELL_MS    5000
#define RETRY_US   US_PER_S
#define UNTOLD_MAX 3

void herald_wake(struct keyd *k)
{
    k->herald_due = true;
    pthread_cond_broadcast(&k->change);
}

static enum err send_news(struct keyd *k, const struct news *n, struct diag *d)
{
    CLEANUP_BUF struct buf in = {0};
    put_news(&in, n);
    TRY(buf_check(&in, d));
    uint64_t timeout_ms = key_state_locked(n->state) ? WIPE_MS : TELL_MS;
    return chan_call(k->logs, LOGS_NEWS, buf_view(&in), NULL, timeout_ms, d);
}

static void holder_did_not_wipe(struct keyd *k, const struct account *a, const struct diag *d)
{
    LOG(ERROR, "holder.did_not_wipe", F_STR("account", a->hex), F_ERR(d));
    (void)AUDIT(k->audit, NULL, "holder.failed", F_STR("account", a->hex), F_STR("error", d->text));
    if (k->holder_failed != NULL) k->holder_failed(k->ctx);
}

void herald_told(struct keyd *k, struct account *a, uint64_t seq, uint64_t holder)
{
    LOCK_SCOPE(&k->lock);
    if (k->holder == holder && a->seq_told < seq) a->seq_told = seq;
}

void herald_tell(struct keyd *k, struct account *a)
{
    pthread_mutex_lock(&k->lock);
    struct news n = account_news(k, a);
    uint64_t holder = k->holder;
    pthread_mutex_unlock(&k->lock);
    struct diag d = DIAG_INIT;
    enum err e = OK;
    if (n.seq != 0 && chan_is_up(k->logs)) {
        e = send_news(k, &n, &d);
        if (e != OK && key_state_locked(n.state) && chan_is_up(k->logs))
            holder_did_not_wipe(k, a, &d); /* (2) */
        if (e == OK) herald_told(k, a, n.seq, holder);
    }
    LOCK_SCOPE(&k->lock);
    herald_wake(k);
}

/* (3) */
static enum err save(struct keyd *k, struct account *a, struct diag *d)
{
    LOCK_SCOPE(&k->save_lock);
    pthread_mutex_lock(&k->lock);
    uint64_t seq = a->seq;
    struct state_record rec = {.state = a->at.state,
                               .since_us = a->since_us,
                               .created_us = a->created_us,
                               .revocations = a->revocations};
    bool due = !a->removed && seq != a->seq_saved;
    pthread_mutex_unlock(&k->lock);
    if (!due) return OK;
    memcpy(rec.account, a->id, sizeof rec.account);
    snprintf(rec.scope, sizeof rec.scope, "%s", a->scope->rec.name);
    snprintf(rec.workspace, sizeof rec.workspace, "%s", a->workspace);
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_state(&l, &rec, d));
    TRY(ledger_commit(&l, d));
    pthread_mutex_lock(&k->lock);
    a->seq_saved = seq;
    pthread_mutex_unlock(&k->lock);
    return OK;
}

struct due {
    struct account **accounts;
    size_t n;
};

/* Under lock: whom the holder has not heard of, or whose state is not written. */
static bool collect(struct keyd *k, struct due *out)
{
    size_t n = 0;
    MAP_EACH (&k->accounts, e)
        n++;
    out->accounts = calloc(n != 0 ? n : 1, sizeof(struct account *));
    if (out->accounts == NULL) return false;
    MAP_EACH (&k->accounts, e) {
        struct account *a = e->value;
        if (a->removed || a->fresh) continue;
        if (a->seq_told != a->seq || a->seq_saved != a->seq) out->accounts[out->n++] = a;
    }
    return true;
}

/* (2) */
static void count_untold(struct keyd *k, struct account *a, const struct news *n,
                         const struct diag *d)
{
    if (!key_state_locked(n->state) || !chan_is_up(k->logs)) return;
    pthread_mutex_lock(&k->lock);
    bool enough = ++a->n_untold == UNTOLD_MAX; /* once per holder: holder_changed() begins anew */
    pthread_mutex_unlock(&k->lock);
    if (enough) holder_did_not_wipe(k, a, d);
}

static enum err tell_again(struct keyd *k, struct account *a, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    struct news n = account_news(k, a);
    bool told = a->seq_told == n.seq;
    uint64_t holder = k->holder;
    pthread_mutex_unlock(&k->lock);
    if (told) return OK;
    enum err e = send_news(k, &n, d);
    if (e != OK) count_untold(k, a, &n, d);
    if (e == OK) herald_told(k, a, n.seq, holder);
    return e;
}

/* True: all is told and written. */
static bool deliver(struct keyd *k, const struct due *due)
{
    bool all = true;
    for (size_t i = 0; i < due->n; i++) {
        struct account *a = due->accounts[i];
        struct diag d = DIAG_INIT;
        enum err e = tell_again(k, a, &d);
        if (e == OK) e = save(k, a, &d);
        if (e == OK) continue;
        all = false;
        if (e == ERR_UNAVAILABLE && !chan_is_up(k->logs)) break;
        LOG(WARN, "herald.will_try_again", F_STR("account", a->hex), F_ERR(&d));
    }
    return all;
}

void *herald_run(void *arg)
{
    struct keyd *k = arg;
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        if (!k->herald_due || k->mk == NULL) {
            pthread_cond_wait(&k->change, &k->lock);
            continue;
        }
        k->herald_due = false;
        struct due due = {0};
        bool ok = collect(k, &due);
        pthread_mutex_unlock(&k->lock);
        ok = ok && deliver(k, &due);
        free(due.accounts);
        pthread_mutex_lock(&k->lock);
        if (ok || k->stopping) continue;
        k->herald_due =
            true; /* the wait ends early when there is news, or when the holder comes back */
        (void)cond_wait_until(&k->change, &k->lock, time_mono_us() + RETRY_US);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}
