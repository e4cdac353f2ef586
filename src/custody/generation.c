/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/generation.c - the AEKs of one account: a new one for new files, old ones until nothing
 * lies under them
 *
 * (1) A new generation counts from the moment its wrap is durable: before it no file is sealed
 *     under it.
 * (2) The newest is never dropped, and whoever asks to drop an older one answers for it that no
 *     file lies under it any more. The wrap leaves the catalogue before the key leaves memory.
 */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"

enum err aek_make(struct keyd *k, struct scope *s, const uint8_t account[16], uint32_t gen,
                  struct wrap *w, struct secret **aek, struct diag *d)
{
    struct kek_info info;
    struct kek_call call = {.kek = &s->rec.kek, .timeout_ms = scope_call_ms(k, s)};
    CLEANUP(secret_free) struct secret *key = NULL, *back = NULL;
    TRY(k->port.describe(k->port.ctx, &call, &info, d));
    TRY(secret_random(&key, AEK_LEN, d));
    *w = (struct wrap){.gen = gen,
                       .serial = 1,
                       .suite = SUITE_0001,
                       .state = WRAP_ACTIVE,
                       .created_us = time_now_us()};
    memcpy(w->account, account, 16);
    rand_bytes(w->aek_id, sizeof w->aek_id);
    TRY(aek_commitment(key, w->suite, w->account, w->aek_id, w->gen, w->commit, d));
    TRY(k->port.wrap(k->port.ctx, &call, &info, secret_view(key), &w->w, d));
    TRY(AUDIT(k->audit, d, "wrap", F_STR("scope", s->rec.name), F_STR("kek", w->w.kek_id),
              F_STR("purpose", "create")));
    TRY(probe_unwrap(k, s, &(const struct probe){.purpose = "create"}, w, &back, d));
    *aek = TAKE(back);
    return OK;
}

/* Under lock: the account, and that its keys are in memory and right. */
static enum err usable(struct keyd *k, const uint8_t id[16], struct account **out, struct diag *d)
{
    struct account *a = account_find(k, id);
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    if (a->damaged) return FAIL(d, ERR_CORRUPT, "account %s has a damaged record", a->hex);
    if (a->at.state == KEY_REVOKED || a->scope->rec.cleared)
        return FAIL(d, ERR_KEY_LOCKED, "the key of account %s was withdrawn", a->hex);
    if (!key_state_leases(a->at.state) || a->n_aeks == 0) {
        return FAIL(d, ERR_UNAVAILABLE, "account %s is %s", a->hex, key_state_name(a->at.state));
    }
    *out = a;
    return OK;
}

/* (1) Scope busy. */
static enum err add_generation(struct keyd *k, struct account *a, struct wrap *w,
                               struct secret **aek, struct diag *d)
{
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_wrap(&l, w, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    TRY(account_adopt_wrap(a, w, d));
    /* A key that was withdrawn meanwhile stays away: the next good unwrap brings all generations.
     */
    struct aek *x = account_aek(a, w->aek_id);
    if (key_state_holds(a->at.state)) x->key = TAKE(*aek);
    return OK;
}

static enum err rotate(struct keyd *k, struct scope *s, const uint8_t id[16], const char *by,
                       struct wrap *w, struct diag *d)
{
    struct account *a = NULL;
    uint32_t gen = 0;
    pthread_mutex_lock(&k->lock);
    enum err e = usable(k, id, &a, d);
    if (e == OK) gen = a->aeks[a->n_aeks - 1].wrap.gen + 1;
    pthread_mutex_unlock(&k->lock);
    TRY(e);
    CLEANUP(secret_free) struct secret *aek = NULL;
    TRY(aek_make(k, s, id, gen, w, &aek, d));
    TRY(add_generation(k, a, w, &aek, d));
    scope_used(k, s, w->w.kek_id, time_now_us());
    LOG(INFO, "aek.rotated", F_STR("account", a->hex), F_U64("generation", gen));
    return AUDIT(k->audit, d, "aek.rotated", F_STR("account", a->hex), F_STR("kek", w->w.kek_id),
                 F_U64("generation", gen), F_STR("by", by));
}

static enum err find_scope(struct keyd *k, const uint8_t id[16], struct scope **out, struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    const struct account *a = account_find(k, id);
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    *out = a->scope;
    return OK;
}

static void give_back(struct keyd *k, struct scope *s)
{
    pthread_mutex_lock(&k->lock);
    int64_t due = scope_next_due(k, s);
    pthread_mutex_unlock(&k->lock);
    scope_give(k, s, due);
}

enum err aek_rotate(struct keyd *k, const uint8_t id[16], const char *by, uint32_t *gen,
                    uint8_t aek_id[16], struct diag *d)
{
    struct scope *s;
    struct wrap w = {0};
    TRY(find_scope(k, id, &s, d));
    scope_take(k, s);
    enum err e = rotate(k, s, id, by, &w, d);
    give_back(k, s);
    *gen = w.gen;
    memcpy(aek_id, w.aek_id, 16);
    return e;
}

/* --- an old one goes
 * ---------------------------------------------------------------------------------- */

/* Under lock. */
static void forget(struct account *a, const uint8_t aek_id[16])
{
    for (size_t i = 0; i < a->n_aeks; i++) {
        if (memcmp(a->aeks[i].wrap.aek_id, aek_id, 16) != 0) continue;
        secret_free(a->aeks[i].key);
        memmove(&a->aeks[i], &a->aeks[i + 1], (a->n_aeks - i - 1) * sizeof a->aeks[0]);
        a->n_aeks--;
        return;
    }
}

static enum err drop(struct keyd *k, const uint8_t id[16], const uint8_t aek_id[16], struct diag *d)
{
    struct account *a = NULL;
    struct wrap w;
    pthread_mutex_lock(&k->lock);
    enum err e = usable(k, id, &a, d);
    const struct aek *x = e == OK ? account_aek(a, aek_id) : NULL;
    bool newest = x != NULL && x == &a->aeks[a->n_aeks - 1];
    if (x != NULL) w = x->wrap;
    pthread_mutex_unlock(&k->lock);
    TRY(e);
    if (x == NULL) return OK; /* asked again after a crash */
    if (newest) return FAIL(d, ERR_CONFLICT, "account %s: its newest key stays", a->hex); /* (2) */

    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_drop_wrap(&l, &w, d));
    TRY(ledger_commit(&l, d));
    pthread_mutex_lock(&k->lock);
    forget(a, aek_id);
    pthread_mutex_unlock(&k->lock);
    LOG(INFO, "aek.dropped", F_STR("account", a->hex), F_U64("generation", w.gen));
    return AUDIT(k->audit, d, "aek.dropped", F_STR("account", a->hex), F_U64("generation", w.gen));
}

enum err aek_drop(struct keyd *k, const uint8_t id[16], const uint8_t aek_id[16], struct diag *d)
{
    struct scope *s;
    TRY(find_scope(k, id, &s, d));
    scope_take(k, s);
    enum err e = drop(k, id, aek_id, d);
    give_back(k, s);
    return e;
}

/* --- to the scope's present version, now
 * ------------------------------------------------------------------ */

static enum err rewrap(struct keyd *k, struct scope *s, uint64_t *wraps, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    bool removed = s->removed, cleared = s->rec.cleared;
    pthread_mutex_unlock(&k->lock);
    if (removed) return FAIL(d, ERR_NOT_FOUND, "scope %s is gone", s->rec.name);
    if (cleared) return FAIL(d, ERR_KEY_LOCKED, "scope %s has no key", s->rec.name);
    struct rotation r = {.kek = &s->rec.kek};
    struct kek_call call = {.kek = r.kek, .timeout_ms = scope_call_ms(k, s)};
    TRY(k->port.describe(k->port.ctx, &call, &r.info, d));
    TRY(kek_acceptable(&r.info, time_now_us(), d));
    return rotate_scope(k, s, &r, NULL, wraps, d);
}

enum err scope_rewrap(struct keyd *k, const char *name, const char *by, uint64_t *wraps,
                      struct diag *d)
{
    *wraps = 0;
    pthread_mutex_lock(&k->lock);
    struct scope *s = scope_find(k, name);
    pthread_mutex_unlock(&k->lock);
    if (s == NULL) return FAIL(d, ERR_NOT_FOUND, "no scope '%s'", name);
    scope_take(k, s);
    enum err e = rewrap(k, s, wraps, d);
    give_back(k, s);
    if (e != OK) return e;
    return AUDIT(k->audit, d, "scope.rewrapped", F_STR("scope", name), F_U64("wraps", *wraps),
                 F_STR("by", by));
}
