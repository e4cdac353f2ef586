/* SPDX-License-Identifier: Apache-2.0 */
/* custody/scope.c - what has one KEK: its times, its turn, and what its owner does to it */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- times ---------------------------------------------------------------------------------------
 */

#define WIPE_AND_PROBE_MS                                                  \
    (3 * 1000) /* the second look of DOUBT after 2 s, and the holder's 1 s \
                */
#define CALL_MS_DEFAULT 5000

static uint64_t probe_and_jitter_ms(uint32_t probe_s)
{
    return (uint64_t)probe_s * 1000 + (uint64_t)probe_s * 100;
}

/* What is left of the bound for one vault call; 0 = nothing. */
static uint64_t call_ms_of(uint32_t probe_s, uint32_t bound_s)
{
    uint64_t rest = probe_and_jitter_ms(probe_s) + WIPE_AND_PROBE_MS,
             bound = (uint64_t)bound_s * 1000;
    if (bound <= rest) return 0;
    uint64_t each = (bound - rest) / 2;
    return each < CALL_MS_MAX ? each : CALL_MS_MAX;
}

enum err scope_check_times(uint32_t probe_s, uint32_t *bound_s, struct diag *d)
{
    if (probe_s < PROBE_S_MIN || probe_s > PROBE_S_MAX) {
        return FAIL(d, ERR_INVALID, "probe interval %" PRIu32 " s is not between %d and %d",
                    probe_s, PROBE_S_MIN, PROBE_S_MAX);
    }
    if (*bound_s == 0) {
        uint64_t need = probe_and_jitter_ms(probe_s) + WIPE_AND_PROBE_MS + 2 * CALL_MS_DEFAULT;
        *bound_s = (uint32_t)((need + 999) / 1000);
        if (*bound_s < LEASE_S_MAX) *bound_s = LEASE_S_MAX;
    }
    if (*bound_s < BOUND_S_MIN || *bound_s > BOUND_S_MAX) {
        return FAIL(d, ERR_INVALID, "revocation bound %" PRIu32 " s is not between %d and %d",
                    *bound_s, BOUND_S_MIN, BOUND_S_MAX);
    }
    if (call_ms_of(probe_s, *bound_s) < CALL_MS_MIN) {
        return FAIL(d, ERR_INVALID,
                    "revocation bound %" PRIu32 " s is too short for a probe every %" PRIu32
                    " s: probe, jitter, two vault calls and 3 s must fit into it",
                    *bound_s, probe_s);
    }
    return OK;
}

uint32_t scope_probe_s(const struct keyd *k, const struct scope *s)
{
    return s->rec.probe_s != 0 ? s->rec.probe_s : k->probe_s;
}

uint32_t scope_bound_s(const struct keyd *k, const struct scope *s)
{
    if (s->rec.bound_s != 0) return s->rec.bound_s;
    uint32_t bound_s = k->bound_s;
    /* A scope with a probe interval of its own and the server's bound: the bound grows with it. */
    if (call_ms_of(scope_probe_s(k, s), bound_s) < CALL_MS_MIN) {
        bound_s = 0;
        (void)scope_check_times(scope_probe_s(k, s), &bound_s, NULL);
    }
    return bound_s;
}

uint64_t scope_call_ms(const struct keyd *k, const struct scope *s)
{
    return call_ms_of(scope_probe_s(k, s), scope_bound_s(k, s));
}

int64_t scope_next_due(const struct keyd *k, const struct scope *s)
{
    if (s->rec.cleared || s->removed) return DUE_NEVER;
    int64_t now = time_now_us(), probe_us = scope_probe_s(k, s) * US_PER_S;
    int64_t due = now + probe_us + (int64_t)rand_below((uint64_t)probe_us / 10);
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (a->removed) continue;
        int64_t its = due;
        if (a->at.state == KEY_DOUBT) {
            int64_t end = a->doubt_since_us + DOUBT_S * US_PER_S;
            its = now + DOUBT_PROBE_S * US_PER_S;
            if (its > end && end > now) its = end;
        } else if (a->fresh && a->at.state == KEY_SUSPENDED) {
            its = now + US_PER_S; /* the vault may still be starting */
        }
        if (its < due) due = its;
    }
    return due;
}

/* --- the list of scopes, and whose turn it is
 * ------------------------------------------------------ */

struct scope *scope_find(struct keyd *k, const char *name)
{
    struct scope *s = map_get(&k->scopes, bytes_str(name));
    return s == NULL || s->removed ? NULL : s;
}

void scope_free(struct scope *s)
{
    if (s == NULL) return;
    for (size_t i = 0; i < s->n_accounts; i++)
        key_account_free(s->accounts[i]);
    free(s->accounts);
    free(s);
}

enum err scope_insert(struct keyd *k, const struct scope_record *rec, struct scope **out,
                      struct diag *d)
{
    if (scope_find(k, rec->name) != NULL) {
        return FAIL(d, ERR_CONFLICT, "scope %s is there already", rec->name);
    }
    struct scope *s = calloc(1, sizeof *s);
    struct scope **grown = realloc(k->all_scopes, (k->n_scopes + 1) * sizeof(struct scope *));
    if (grown != NULL) k->all_scopes = grown;
    if (s == NULL || grown == NULL) {
        free(s);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    s->rec = *rec;
    s->platform = str_eq(rec->name, "platform");
    s->due_us = DUE_NEVER; /* until somebody gives it */
    enum err e = map_put(&k->scopes, bytes_str(rec->name), s, NULL, d);
    if (e != OK) {
        free(s);
        return e;
    }
    k->all_scopes[k->n_scopes++] = s;
    *out = s;
    return OK;
}

void scope_take(struct keyd *k, struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    while (s->busy)
        pthread_cond_wait(&k->change, &k->lock);
    s->busy = true;
}

void scope_give(struct keyd *k, struct scope *s, int64_t due_us)
{
    LOCK_SCOPE(&k->lock);
    s->busy = false;
    s->due_us = due_us;
    pthread_cond_broadcast(&k->change);
    workers_wake(k);
}

void scope_used(struct keyd *k, struct scope *s, const char *kek_id, int64_t now_us)
{
    LOCK_SCOPE(&k->lock);
    struct version_use *oldest = NULL;
    for (size_t i = 0; i < s->n_versions; i++) {
        struct version_use *v = &s->versions[i];
        if (str_eq(v->kek_id, kek_id)) {
            v->last_us = now_us;
            return;
        }
        if (oldest == NULL || v->last_us < oldest->last_us) oldest = v;
    }
    struct version_use *v = s->n_versions < VERSIONS_MAX ? &s->versions[s->n_versions++] : oldest;
    snprintf(v->kek_id, sizeof v->kek_id, "%s", kek_id);
    v->last_us = now_us;
}

/* --- what the owner does
 * --------------------------------------------------------------------------- */

static enum err check_name(const char *name, struct diag *d)
{
    size_t n = strlen(name);
    if (n == 0 || n >= SCOPE_MAX)
        return FAIL(d, ERR_INVALID, "a scope's name has 1 to %d bytes", SCOPE_MAX - 1);
    return OK;
}

static struct scope_record record_of(const char *name, const struct kek_request *q)
{
    struct scope_record rec = {.kek = q->kek, .probe_s = q->probe_s, .bound_s = q->bound_s};
    snprintf(rec.name, sizeof rec.name, "%s", name);
    return rec;
}

static enum err check_request(const struct keyd *k, const struct kek_request *q, struct diag *d)
{
    uint32_t bound_s = q->bound_s;
    return scope_check_times(q->probe_s != 0 ? q->probe_s : k->probe_s, &bound_s, d);
}

static enum err add_scope(struct keyd *k, struct scope_record *rec, struct diag *d)
{
    struct kek_info info;
    TRY(kek_check(k, &rec->kek, CALL_MS_DEFAULT, &info, d));
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_scope(&l, rec, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    struct scope *s;
    TRY(scope_insert(k, rec, &s, d));
    s->due_us = scope_next_due(k, s);
    TRY(workers_match(k, d));
    workers_wake(k);
    return OK;
}

/* Scope busy. */
static enum err change_scope(struct keyd *k, struct scope *s, struct scope_record *rec,
                             uint64_t *wraps, struct diag *d)
{
    if (s->removed) return FAIL(d, ERR_NOT_FOUND, "scope %s is gone", rec->name);
    struct rotation r = {.kek = &rec->kek};
    TRY(kek_check(k, &rec->kek, scope_call_ms(k, s), &r.info, d));
    TRY(rotate_scope(k, s, &r, rec, wraps, d));
    pthread_mutex_lock(&k->lock);
    s->rec = *rec;
    pthread_mutex_unlock(&k->lock);
    probe_round(k, s);
    return OK;
}

enum err scope_set(struct keyd *k, const char *name, const struct kek_request *q, uint64_t *wraps,
                   struct diag *d)
{
    TRY(check_name(name, d));
    TRY(check_request(k, q, d));
    struct scope_record rec = record_of(name, q);
    *wraps = 0;
    pthread_mutex_lock(&k->lock);
    struct scope *s = scope_find(k, name);
    pthread_mutex_unlock(&k->lock);
    enum err e;
    if (s == NULL) {
        e = add_scope(k, &rec, d);
    } else {
        scope_take(k, s);
        e = change_scope(k, s, &rec, wraps, d);
        pthread_mutex_lock(&k->lock);
        int64_t due = scope_next_due(k, s);
        pthread_mutex_unlock(&k->lock);
        scope_give(k, s, due);
    }
    if (e != OK) return e;
    return AUDIT(k->audit, d, "scope.set", F_STR("scope", name), F_STR("vault", rec.kek.vault_uri),
                 F_STR("key", rec.kek.key_name), F_STR("version", rec.kek.key_version),
                 F_STR("principal", rec.kek.principal_id), F_U64("wraps", *wraps));
}

/* Every account of the scope. Not under lock. */
static enum err event_for_all(struct keyd *k, struct scope *s, enum key_event event, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    size_t n = s->n_accounts;
    struct account **all = calloc(n != 0 ? n : 1, sizeof(struct account *));
    for (size_t i = 0; all != NULL && i < n; i++)
        all[i] = s->accounts[i];
    pthread_mutex_unlock(&k->lock);
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (size_t i = 0; i < n; i++)
        account_event(k, all[i], event);
    free(all);
    return OK;
}

/* The customer has removed the key: everything is locked before anything is waited for. */
static enum err withdraw(struct keyd *k, struct scope *s, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    s->rec.cleared = true; /* account.c turns any later answer of the vault into WITHDRAWN */
    pthread_mutex_unlock(&k->lock);
    return event_for_all(k, s, KEY_WITHDRAWN, d);
}

static enum err find_owned(struct keyd *k, const char *name, struct scope **out, struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    *out = scope_find(k, name);
    if (*out == NULL) return FAIL(d, ERR_NOT_FOUND, "no scope '%s'", name);
    if ((*out)->platform) return FAIL(d, ERR_INVALID, "the platform's own key cannot be removed");
    return OK;
}

static enum err persist_cleared(struct keyd *k, struct scope *s, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    s->rec.cleared = true;
    struct scope_record rec = s->rec;
    pthread_mutex_unlock(&k->lock);
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_scope(&l, &rec, d));
    return ledger_commit(&l, d);
}

enum err scope_clear(struct keyd *k, const char *name, struct diag *d)
{
    struct scope *s;
    TRY(find_owned(k, name, &s, d));
    TRY(withdraw(k, s, d));
    scope_take(k, s);
    enum err e = withdraw(k, s, d); /* again: a rotation that was running has put the key back */
    if (e == OK) e = persist_cleared(k, s, d);
    scope_give(k, s, DUE_NEVER);
    if (e != OK) return e;
    return AUDIT(k->audit, d, "scope.cleared", F_STR("scope", name));
}

/* Scope busy, save_lock held: no herald writes a state back after this. */
static enum err drop_records(struct keyd *k, struct scope *s, struct diag *d)
{
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    pthread_mutex_lock(&k->lock);
    enum err e = ledger_drop_scope(&l, s->rec.name, d);
    for (size_t i = 0; e == OK && i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (a->removed) continue;
        e = ledger_drop_state(&l, a->id, d);
        for (size_t j = 0; e == OK && j < a->n_aeks; j++)
            e = ledger_drop_wrap(&l, &a->aeks[j].wrap, d);
    }
    pthread_mutex_unlock(&k->lock);
    TRY(e);
    TRY(ledger_commit(&l, d));

    LOCK_SCOPE(&k->lock);
    s->removed = true;
    for (size_t i = 0; i < s->n_accounts; i++)
        s->accounts[i]->removed = true;
    return OK;
}

enum err scope_remove(struct keyd *k, const char *name, struct diag *d)
{
    struct scope *s;
    TRY(find_owned(k, name, &s, d));
    TRY(withdraw(k, s, d));
    scope_take(k, s);
    pthread_mutex_lock(&k->save_lock);
    enum err e = drop_records(k, s, d);
    pthread_mutex_unlock(&k->save_lock);
    scope_give(k, s, DUE_NEVER);
    if (e != OK) return e;
    return AUDIT(k->audit, d, "scope.removed", F_STR("scope", name));
}
