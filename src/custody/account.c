/* SPDX-License-Identifier: Apache-2.0 */
/* custody/account.c - storage accounts: their keys, their states, and what follows from an event */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdlib.h>

struct account *account_find(struct keyd *k, const uint8_t id[16])
{
    struct account *a = map_get(&k->accounts, bytes_of(id, 16));
    return a == NULL || a->removed ? NULL : a;
}

struct aek *account_aek(struct account *a, const uint8_t aek_id[16])
{
    for (size_t i = 0; i < a->n_aeks; i++) {
        if (memcmp(a->aeks[i].wrap.aek_id, aek_id, 16) == 0) return &a->aeks[i];
    }
    return NULL;
}

static void wipe_keys(struct account *a)
{
    for (size_t i = 0; i < a->n_aeks; i++)
        secret_free(TAKE(a->aeks[i].key));
}

void key_account_free(struct account *a)
{
    if (a == NULL) return;
    wipe_keys(a);
    free(a->aeks);
    free(a);
}

DEFINE_CLEANUP(key_account_free, struct account)

static bool text_set(char *to, size_t cap, const char *from)
{
    size_t n = strlen(from);
    if (n >= cap) return false;
    memcpy(to, from, n + 1);
    return true;
}

enum err account_insert(struct keyd *k, struct scope *s, const struct state_record *rec,
                        struct account **out, struct diag *d)
{
    CLEANUP(key_account_free) struct account *a = calloc(1, sizeof *a);
    struct account **grown = realloc(s->accounts, (s->n_accounts + 1) * sizeof(struct account *));
    if (grown != NULL) s->accounts = grown;
    if (a == NULL || grown == NULL)
        return FAIL(d, ERR_LIMIT, "out of memory"); // NOLINT: the cleanup frees
    memcpy(a->id, rec->account, sizeof a->id);
    hex_encode(bytes_of(a->id, sizeof a->id), a->hex);
    if (!text_set(a->workspace, sizeof a->workspace, rec->workspace)) {
        return FAIL(d, ERR_LIMIT, "a workspace name of more than %zu bytes",
                    sizeof a->workspace - 1);
    }
    a->scope = s;
    a->since_us = rec->since_us;
    a->created_us = rec->created_us;
    a->revocations = rec->revocations;
    a->fresh = true;
    if (rec->state == KEY_REVOKED) a->at.state = KEY_REVOKED;
    struct account *old = map_get(&k->accounts, bytes_of(a->id, sizeof a->id));
    if (old != NULL && !old->removed) {
        return FAIL(d, ERR_CORRUPT, "account %s is there twice", a->hex);
    }
    TRY(map_put(&k->accounts, bytes_of(a->id, sizeof a->id), a, NULL, d));
    s->accounts[s->n_accounts++] = a;
    *out = TAKE(a);
    return OK;
}

enum err account_adopt_wrap(struct account *a, const struct wrap *w, struct diag *d)
{
    struct aek *x = account_aek(a, w->aek_id);
    if (x != NULL) {
        if (w->serial > x->wrap.serial) x->wrap = *w;
        return OK;
    }
    struct aek *grown = realloc(a->aeks, (a->n_aeks + 1) * sizeof *grown);
    if (grown == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    a->aeks = grown;
    size_t i = a->n_aeks++;
    for (; i != 0 && a->aeks[i - 1].wrap.gen > w->gen; i--)
        a->aeks[i] = a->aeks[i - 1];
    a->aeks[i] = (struct aek){.wrap = *w};
    return OK;
}

int64_t account_patience_us(const struct keyd *k, const struct account *a)
{
    struct key_policy p = scope_policy(k, a->scope);
    uint32_t silence_s = policy_silence_s(&p);
    if (silence_s == RETAIN_FOREVER) return INT64_MAX;
    /* By both clocks: the wall's can be set back, the other stands still for a paused guest's. */
    int64_t max = silence_s * US_PER_S;
    int64_t by_wall = a->good_us + max - time_now_us(),
            by_boot = a->good_boot_us + max - time_boot_us();
    return by_wall < by_boot ? by_wall : by_boot;
}

struct news account_news(struct keyd *k, const struct account *a)
{
    struct news n = {
        .state = a->at.state, .seq = a->fresh ? 0 : a->seq, .lease_us = lease_us(k, a)};
    memcpy(n.account, a->id, sizeof n.account);
    return n;
}

/* --- events ----------------------------------------------------------------------------------- */

/* Under lock. True: the state is another one now. */
static bool take_event(struct keyd *k, struct account *a, enum key_event event)
{
    /* An answer that was on its way when the customer removed the key comes too late. */
    if (a->scope->rec.cleared && event != KEY_WITHDRAWN) event = KEY_WITHDRAWN;
    struct key_position to = key_next(a->at, event);
    /* After a restart of keyd the holder may still serve under its lease: a verdict is news for it
     * even where the state of the start stays. */
    bool changed = to.state != a->at.state || (a->fresh && event != KEY_NO_ANSWER);
    if (to.state == KEY_REVOKED && a->at.state != KEY_REVOKED) a->revocations++;
    if (to.state == KEY_REVOKED || (event == KEY_REPLAYED && to.state == KEY_ACTIVE)) {
        a->spool_kek[0] = 0; /* destroyed, or put back */
        a->spool_known = true;
    }
    a->at = to;
    if (key_state_locked(to.state)) wipe_keys(a);
    if (!changed) return false;
    a->fresh = false;
    a->since_us = time_now_us();
    a->seq = ++k->seq;
    a->seq_restoring = to.state == KEY_RESTORING ? a->seq : 0;
    if (to.state == KEY_DOUBT) a->doubt_since_us = time_steady_us();
    return true;
}

static void log_change(const struct account *a, enum key_state was, enum key_state now,
                       enum key_event event)
{
    if (now == KEY_ACTIVE || now == KEY_RESTORING) {
        LOG(INFO, "key.state_changed", F_STR("account", a->hex), F_STR("was", key_state_name(was)),
            F_STR("now", key_state_name(now)), F_STR("event", key_event_name(event)));
    } else {
        LOG(WARN, "key.state_changed", F_STR("account", a->hex), F_STR("was", key_state_name(was)),
            F_STR("now", key_state_name(now)), F_STR("event", key_event_name(event)));
    }
}

void account_event(struct keyd *k, struct account *a, enum key_event event)
{
    pthread_mutex_lock(&k->lock);
    enum key_state was = a->at.state;
    bool changed = !a->removed && take_event(k, a, event);
    enum key_state now = a->at.state;
    pthread_mutex_unlock(&k->lock);
    if (!changed) return;

    log_change(a, was, now, event);
    /* REVOKED lies in this journal before anybody hears of it; a journal that fails does not stop a
     * wipe. */
    (void)AUDIT(k->audit, NULL, "state", F_STR("account", a->hex),
                F_STR("scope", a->scope->rec.name), F_STR("was", key_state_name(was)),
                F_STR("now", key_state_name(now)), F_STR("cause", key_event_name(event)));
    herald_tell(k, a);
}

/* --- a new account ---------------------------------------------------------------------------- */

static enum err adopt_new(struct keyd *k, struct scope *s, struct state_record *rec, struct wrap *w,
                          struct secret **aek, int64_t asked_boot_us, struct account **out,
                          struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    struct account *a;
    TRY(account_insert(k, s, rec, &a, d));
    TRY(account_adopt_wrap(a, w, d));
    a->aeks[0].key = TAKE(*aek);
    a->spool_known = true;
    a->good_us = time_now_us();
    a->good_boot_us = asked_boot_us;
    *out = a;
    return OK;
}

static enum err add_under_scope(struct keyd *k, struct scope *s, const uint8_t id[16],
                                const char *workspace, struct account **out, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    bool removed = s->removed, cleared = s->rec.cleared;
    pthread_mutex_unlock(&k->lock);
    if (removed) return FAIL(d, ERR_NOT_FOUND, "scope %s is gone", s->rec.name);
    if (cleared) return FAIL(d, ERR_KEY_LOCKED, "scope %s has no key", s->rec.name);
    struct wrap w;
    CLEANUP(secret_free) struct secret *aek = NULL;
    int64_t asked = time_boot_us();
    TRY(aek_make(k, s, id, 1, &w, &aek, d));

    int64_t now = time_now_us();
    struct state_record rec = {.state = KEY_ACTIVE, .since_us = now, .created_us = now};
    memcpy(rec.account, id, 16);
    if (!text_set(rec.scope, sizeof rec.scope, s->rec.name) ||
        !text_set(rec.workspace, sizeof rec.workspace, workspace)) {
        return FAIL(d, ERR_LIMIT, "account: scope or workspace name is too long");
    }
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_wrap(&l, &w, d));
    TRY(ledger_state(&l, &rec, d));
    TRY(ledger_commit(&l, d));
    struct account *a;
    TRY(adopt_new(k, s, &rec, &w, &aek, asked, &a, d));
    scope_used(k, s, w.w.kek_id, now);
    (void)AUDIT(k->audit, NULL, "account.added", F_STR("account", a->hex),
                F_STR("scope", s->rec.name));
    account_event(k, a, KEY_GOOD);
    *out = a;
    return OK;
}

enum err account_add(struct keyd *k, const char *scope, const uint8_t id[16], const char *workspace,
                     struct news *out, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    struct scope *s = scope_find(k, scope);
    pthread_mutex_unlock(&k->lock);
    if (s == NULL) return FAIL(d, ERR_NOT_FOUND, "no scope '%s'", scope);

    scope_take(k, s);
    pthread_mutex_lock(&k->lock);
    struct account *a = account_find(k, id);
    pthread_mutex_unlock(&k->lock);
    enum err e = OK;
    if (a == NULL) {
        e = add_under_scope(k, s, id, workspace, &a, d);
    } else if (a->scope != s) {
        e = FAIL(d, ERR_CONFLICT, "account %s belongs to scope %s", a->hex, a->scope->rec.name);
    }
    pthread_mutex_lock(&k->lock);
    if (e == OK) *out = account_news(k, a);
    int64_t due = scope_next_due(k, s);
    pthread_mutex_unlock(&k->lock);
    scope_give(k, s, due);
    return e;
}
