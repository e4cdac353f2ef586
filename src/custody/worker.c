/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/worker.c - threads that serve the scope that is due first
 *
 * As many as there are scopes, up to WORKERS_MAX, so that a vault that answers nobody holds up its
 * own scope only. Where there are more scopes than workers, those whose vault hung the last time
 * hold half of the workers at most: the rest are there for vaults that answer. All waiting is in
 * timer_wait_steady(): a virtual clock drives them, and one that is set back postpones no probe.
 */
#include "base/log.h"
#include "custody/core.h"

#include <stdio.h>

/* Under lock. */
static bool lane_is_full(const struct keyd *k, enum lane lane)
{
    if (lane == LANE_QUICK || k->n_scopes <= k->n_workers) return false;
    return k->busy[LANE_SLOW] >= (k->n_workers > 1 ? k->n_workers / 2 : 1);
}

/* Under lock. */
static struct scope *due_first(struct keyd *k)
{
    struct scope *first = NULL;
    for (size_t i = 0; i < k->n_scopes; i++) {
        struct scope *s = k->all_scopes[i];
        if (s->busy || s->removed || lane_is_full(k, s->lane)) continue;
        if (first == NULL || s->due_us < first->due_us) first = s;
    }
    return first;
}

static bool all_hold(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    if (s->rec.cleared || s->removed) return false;
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (!a->removed && a->at.state != KEY_ACTIVE && a->at.state != KEY_RESTORING) return false;
    }
    return true;
}

/* Probing comes first: a denial must not wait behind a rotation. */
static void serve_scope(struct keyd *k, struct scope *s)
{
    probe_enough(k, s); /* on time, however long the vault takes to say nothing */
    probe_round(k, s);
    probe_enough(k, s);
    if (!all_hold(k, s)) return;
    struct diag d = DIAG_INIT;
    enum err e = rotate_follow(k, s, &d);
    bool unknown = e == ERR_UNAVAILABLE || e == ERR_IO || e == ERR_LIMIT;
    if (unknown) return; /* it says nothing of the key: what was known stays */
    if (e != OK) LOG(WARN, "key.rotation_overdue", F_STR("scope", s->rec.name), F_ERR(&d));
    LOCK_SCOPE(&k->lock);
    snprintf(s->overdue, sizeof s->overdue, "%.*s", (int)sizeof s->overdue - 1,
             e != OK ? d.text : "");
}

static void *worker_run(void *arg)
{
    struct worker *w = arg;
    struct keyd *k = w->k;
    pthread_mutex_lock(&k->lock);
    while (!k->stopping) {
        struct scope *s = due_first(k);
        int64_t due = s != NULL ? s->due_us : DUE_NEVER;
        if (s == NULL || due > time_steady_us()) {
            pthread_mutex_unlock(&k->lock);
            (void)timer_wait_steady(w->timer, due);
            pthread_mutex_lock(&k->lock);
            continue;
        }
        enum lane lane = s->lane;
        s->busy = true;
        k->busy[lane]++;
        pthread_mutex_unlock(&k->lock);
        serve_scope(k, s);
        pthread_mutex_lock(&k->lock);
        s->busy = false;
        k->busy[lane]--;
        s->due_us = scope_next_due(k, s);
        pthread_cond_broadcast(&k->change);
    }
    pthread_mutex_unlock(&k->lock);
    return NULL;
}

enum err workers_match(struct keyd *k, struct diag *d)
{
    while (k->n_workers < k->n_scopes && k->n_workers < WORKERS_MAX) {
        struct worker *w = &k->workers[k->n_workers];
        *w = (struct worker){.k = k, .timer = timer_new()};
        if (w->timer == NULL) {
            /* Other processes have taken the slots of the virtual clock: fewer hands serve all the
             * same. */
            return k->n_workers != 0 ? OK : FAIL(d, ERR_LIMIT, "keyd: no timer is free");
        }
        enum err e = thread_start(&w->thread, worker_run, w, d);
        if (e != OK) {
            timer_free(w->timer);
            return e;
        }
        k->n_workers++;
    }
    return OK;
}

void workers_wake(struct keyd *k)
{
    for (unsigned i = 0; i < k->n_workers; i++)
        timer_wake(k->workers[i].timer);
}

void workers_stop(struct keyd *k)
{
    pthread_mutex_lock(&k->lock);
    unsigned n = k->n_workers;
    workers_wake(k);
    pthread_mutex_unlock(&k->lock);
    for (unsigned i = 0; i < n; i++) {
        pthread_join(k->workers[i].thread, NULL);
        timer_free(k->workers[i].timer);
    }
}
