/* SPDX-License-Identifier: Apache-2.0 */
/* custody/scope.c - what has one KEK: its times, its turn, and what its owner does to it */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"
#include "vault/vault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* --- times ------------------------------------------------------------------------------------ */

#define CALL_MS_DEFAULT 5000 /* of a key that no scope has yet */

struct key_policy scope_policy(const struct keyd *k, const struct scope *s)
{
    struct key_policy p = policy_resolve(&s->rec.policy, &k->policy);
    if (s->platform) { /* the operator's own key: without it nothing can be spooled either */
        p.outage = OUTAGE_RETAIN;
        p.retain_max_s = RETAIN_FOREVER;
    }
    return p;
}

uint64_t scope_call_ms(const struct keyd *k, const struct scope *s)
{
    struct key_policy p = scope_policy(k, s);
    return policy_call_ms(&p);
}

/* When this account wants to be looked at, where the others of its scope are at `due`. */
static int64_t account_due(const struct keyd *k, const struct account *a, int64_t now, int64_t due)
{
    int64_t its = due;
    if (a->at.state == KEY_DOUBT) {
        int64_t end = a->doubt_since_us + DOUBT_S * US_PER_S;
        its = now + DOUBT_PROBE_S * US_PER_S;
        if (its > end && end > now) its = end;
    } else if (a->barred && !key_state_locked(a->at.state)) {
        its = now + CONFIRM_S * US_PER_S;
    } else if (a->at.state == KEY_STALE) {
        int64_t patience = account_patience_us(k, a);
        if (patience < due - now) its = now + (patience > 0 ? patience : 0);
    } else if (a->fresh && a->at.state == KEY_SUSPENDED) {
        its = now + US_PER_S; /* the vault may still be starting */
    }
    return its < due ? its : due;
}

int64_t scope_next_due(const struct keyd *k, const struct scope *s)
{
    if (s->rec.cleared || s->removed) return DUE_NEVER;
    int64_t now = time_steady_us(), probe_us = scope_policy(k, s).probe_s * US_PER_S;
    if (s->again) return now;
    int64_t due = now + probe_us + (int64_t)rand_below((uint64_t)probe_us / 10);
    for (size_t i = 0; i < s->n_accounts; i++) {
        if (!s->accounts[i]->removed) due = account_due(k, s->accounts[i], now, due);
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
    struct scope_record rec = {.kek = q->kek, .policy = q->policy, .is_double = q->is_double};
    snprintf(rec.name, sizeof rec.name, "%s", name);
    return rec;
}

static enum err check_policy(const struct keyd *k, const struct key_policy *p, struct diag *d)
{
    struct key_policy resolved = policy_resolve(p, &k->policy);
    return policy_check(&resolved, d);
}

static enum err audit_policy(struct keyd *k, const struct scope_record *rec, const char *by,
                             struct diag *d)
{
    struct key_policy p = policy_resolve(&rec->policy, &k->policy);
    return AUDIT(k->audit, d, "scope.policy", F_STR("scope", rec->name),
                 F_STR("outage", outage_policy_name(p.outage)), F_U64("grace_s", p.grace_s),
                 F_U64("retain_max_s", p.retain_max_s == RETAIN_FOREVER ? 0 : p.retain_max_s),
                 F_U64("probe_s", p.probe_s), F_U64("bound_s", p.bound_s), F_STR("by", by));
}

/* The log service's word on a policy, with a key or without: written down before it counts. */
static enum err audit_new_policy(struct keyd *k, const struct key_policy *was,
                                 const struct scope_record *rec, struct diag *d)
{
    struct key_policy is = policy_resolve(&rec->policy, &k->policy),
                      before = policy_resolve(was, &k->policy);
    return policy_eq(&is, &before) ? OK : audit_policy(k, rec, "scope.set", d);
}

static enum err need_iek(struct keyd *k, struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    return iek_need(k, d);
}

static enum err add_scope(struct keyd *k, struct scope_record *rec, struct diag *d)
{
    struct kek_info info;
    TRY(kek_check(k, &rec->kek, CALL_MS_DEFAULT, &info, d));
    if (rec->is_double) TRY(need_iek(k, d));
    TRY(audit_new_policy(k, &(struct key_policy){0}, rec, d));
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_scope(&l, rec, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    struct scope *s;
    TRY(scope_insert(k, rec, &s, d));
    snprintf(s->target, sizeof s->target, "%s", info.kek_id);
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
    if (s->rec.sealed) {
        return FAIL_TAG(d, ERR_CONFLICT, "Sealed",
                        "the identity of scope %s was removed: it has to be unlocked before it can "
                        "have a key",
                        rec->name);
    }
    if (rec->is_double != s->rec.is_double)
        return FAIL(d, ERR_CONFLICT, "scope %s: the number of its layers never changes", rec->name);
    struct rotation r = {.kek = &rec->kek};
    TRY(kek_check(k, &rec->kek, scope_call_ms(k, s), &r.info, d));
    TRY(audit_new_policy(k, &s->rec.policy, rec, d));
    TRY(rotate_scope(k, s, &r, rec, wraps, d));
    pthread_mutex_lock(&k->lock);
    s->rec = *rec;
    pthread_mutex_unlock(&k->lock);
    probe_round(k, s);
    return OK;
}

/* A customer's data is never wrapped by the platform's key, nor by the platform's word: neither of
 * them would hear of a revocation. The log service names key and principal, and is not believed. */
static enum err check_owner(struct keyd *k, const char *name, const struct kek_config *kek,
                            struct diag *d)
{
    const struct kek_config *own = &k->platform;
    CLEANUP_FREE char *uri = vault_key_uri(kek->vault_uri, kek->key_name);
    CLEANUP_FREE char *its = vault_key_uri(own->vault_uri, own->key_name);
    if (uri == NULL || its == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (str_eq(name, "platform"))
        return FAIL(d, ERR_INVALID, "the platform's own key is the configuration's to choose");
    if (str_eq_nocase(uri, its) || str_eq_nocase(kek->principal_id, own->principal_id))
        return FAIL(d, ERR_INVALID, "scope %s cannot have the platform's key or identity", name);
    return OK;
}

enum err scope_set(struct keyd *k, const char *name, const struct kek_request *q, uint64_t *wraps,
                   struct diag *d)
{
    TRY(check_name(name, d));
    TRY(check_owner(k, name, &q->kek, d));
    TRY(check_policy(k, &q->policy, d));
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

/* Scope busy: the record goes to the catalogue, and counts from its acknowledgement. */
static enum err replace_record(struct keyd *k, struct scope *s, struct scope_record *rec,
                               struct diag *d)
{
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_scope(&l, rec, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    s->rec = *rec;
    return OK;
}

static struct scope_record record_copy(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    return s->rec;
}

enum err scope_clear(struct keyd *k, const char *name, bool sealed, struct diag *d)
{
    struct scope *s;
    TRY(find_owned(k, name, &s, d));
    TRY(withdraw(k, s, d));
    scope_take(k, s);
    enum err e = withdraw(k, s, d); /* again: a rotation that was running has put the key back */
    struct scope_record rec = record_copy(k, s);
    rec.sealed = rec.sealed || sealed;
    if (e == OK) e = replace_record(k, s, &rec, d);
    scope_give(k, s, DUE_NEVER);
    if (e != OK) return e;
    return AUDIT(k->audit, d, "scope.cleared", F_STR("scope", name), F_BOOL("sealed", rec.sealed));
}

/* Scope busy. */
static enum err unlock(struct keyd *k, struct scope *s, const char *by, struct diag *d)
{
    struct scope_record rec = record_copy(k, s);
    if (!rec.sealed) {
        return FAIL(d, ERR_CONFLICT, "scope %s is not sealed: there is nothing to unlock",
                    rec.name);
    }
    /* Written down before it counts: who lifts a customer's revocation leaves his name. */
    TRY(AUDIT(k->audit, d, "scope.unlocked", F_STR("scope", rec.name), F_STR("by", by)));
    rec.sealed = false;
    return replace_record(k, s, &rec, d);
}

enum err scope_unlock(struct keyd *k, const char *name, const char *by, struct diag *d)
{
    struct scope *s;
    TRY(find_owned(k, name, &s, d));
    scope_take(k, s);
    enum err e = unlock(k, s, by, d);
    scope_give(k, s, DUE_NEVER); /* sealed or not, it has no key: nothing is probed */
    return e;
}

static int64_t next_due(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    return scope_next_due(k, s);
}

enum err scope_set_policy(struct keyd *k, const char *name, const struct key_policy *p,
                          const char *by, struct diag *d)
{
    TRY(check_policy(k, p, d));
    struct scope *s;
    TRY(find_owned(k, name, &s, d));
    scope_take(k, s);
    struct scope_record rec = record_copy(k, s);
    rec.policy = *p;
    enum err e = audit_policy(k, &rec, by, d);
    if (e == OK) e = replace_record(k, s, &rec, d);
    scope_give(k, s, next_due(k, s));
    return e;
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
