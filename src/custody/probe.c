/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/probe.c - asking the vault: a real unwrap of a live wrap per KEK version
 *
 * One answer counts for all accounts whose key is wrapped by that version; which account's wrap is
 * the sample changes from round to round. An account that is locked gets its keys back only by its
 * own unwraps.
 */
#include "base/log.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdio.h>
#include <stdlib.h>

static void raise_alarm(const struct wrap *w, const char *what)
{
    char account[33];
    hex_encode(bytes_of(w->account, 16), account);
    LOG(ERROR, "key.mismatch", F_STR("account", account), F_STR("kek", w->w.kek_id),
        F_STR("error", what));
}

/* keys.md: any length but 32 is refused before HMAC could pad it; then the commitment, in constant
 * time. */
static enum err check_aek(const struct wrap *w, const struct secret *aek, struct diag *d)
{
    uint8_t commit[32];
    struct diag inner = DIAG_INIT;
    enum err e = aek_commitment(aek, w->suite, w->account, w->aek_id, w->gen, commit, &inner);
    if (e == OK && secret_eq(bytes_of(commit, 32), bytes_of(w->commit, 32))) return OK;
    raise_alarm(w, "what the vault unwrapped is not this account's key");
    return FAIL(d, ERR_CORRUPT, "what the vault unwrapped is not this account's key");
}

enum err probe_unwrap(struct keyd *k, struct scope *s, const struct probe *p, const struct wrap *w,
                      struct secret **out, struct diag *d)
{
    struct kek_call call = {.kek = p->as != NULL ? p->as : &s->rec.kek,
                            .timeout_ms = scope_call_ms(k, s),
                            .fresh = p->fresh};
    CLEANUP(secret_free) struct secret *aek = NULL;
    struct diag why = DIAG_INIT;
    enum err e = k->port.unwrap(k->port.ctx, &call, &w->w, &aek, &why);
    char account[33];
    hex_encode(bytes_of(w->account, 16), account);
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("account", account), F_STR("kek", w->w.kek_id),
              F_STR("purpose", p->purpose), F_STR("result", e == OK ? "ok" : err_name(e)),
              F_STR("code", why.tag)));
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    TRY(check_aek(w, aek, d));
    scope_used(k, s, w->w.kek_id, time_now_us());
    *out = TAKE(aek);
    return OK;
}

/* --- one round -----------------------------------------------------------------------------------
 */

struct verdict { /* of one KEK version in this round */
    char kek_id[KEK_ID_MAX];
    enum key_event event;
    int64_t asked_boot_us; /* when it was asked: a good answer is no younger than that */
};

struct round {
    struct keyd *k;
    struct scope *s;
    struct account **accounts; /* a copy: accounts may be added meanwhile, to the end */
    size_t n;
    struct verdict verdicts[VERSIONS_MAX];
    size_t n_verdicts;
    bool fresh; /* somebody is in DOUBT: connections and tokens are new */
};

static enum key_event verdict_of(struct round *r, enum err e, const struct diag *d)
{
    enum key_event event = kek_verdict(e, d);
    if (event == KEY_BARRED) {
        LOG(ERROR, "vault.barred", F_STR("scope", r->s->rec.name), F_ERR(d));
    } else if (event != KEY_GOOD) {
        LOG(WARN, "vault.refused", F_STR("scope", r->s->rec.name),
            F_STR("verdict", key_event_name(event)), F_ERR(d));
    }
    return event;
}

static bool scope_in_doubt(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    for (size_t i = 0; i < s->n_accounts; i++) {
        if (!s->accounts[i]->removed && s->accounts[i]->at.state == KEY_DOUBT) return true;
    }
    return false;
}

/* Puts unwrapped keys where they belong, unless the world has changed meanwhile. Takes them. */
static bool give_keys(struct keyd *k, struct account *a, struct secret **keys, size_t n)
{
    LOCK_SCOPE(&k->lock);
    if (a->removed || n != a->n_aeks) return false;
    for (size_t i = 0; i < n; i++) {
        secret_free(a->aeks[i].key);
        a->aeks[i].key = TAKE(keys[i]);
    }
    return true;
}

/* All keys of a locked account, each by its own wrap. */
static enum err unlock(struct round *r, struct account *a, struct diag *d)
{
    const struct probe p = {.purpose = "restore", .fresh = r->fresh};
    size_t n = a->n_aeks; /* (2) of core.h: only this thread changes them */
    struct secret **keys = calloc(n != 0 ? n : 1, sizeof(struct secret *));
    if (keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = OK;
    for (size_t i = 0; e == OK && i < n; i++) {
        e = probe_unwrap(r->k, r->s, &p, &a->aeks[i].wrap, &keys[i], d);
    }
    if (e == OK && !give_keys(r->k, a, keys, n)) {
        e = FAIL(d, ERR_UNAVAILABLE, "account %s changed during the call", a->hex);
    }
    for (size_t i = 0; i < n; i++)
        secret_free(keys[i]);
    free(keys);
    return e;
}

static void stamp_good(struct keyd *k, struct account *a, int64_t asked_boot_us)
{
    LOCK_SCOPE(&k->lock);
    a->good_us = time_now_us();
    a->good_boot_us = asked_boot_us;
}

static struct verdict *find_verdict(struct round *r, const char *kek_id)
{
    for (size_t i = 0; i < r->n_verdicts; i++) {
        if (str_eq(r->verdicts[i].kek_id, kek_id)) return &r->verdicts[i];
    }
    return NULL;
}

static void add_verdict(struct round *r, const char *kek_id, const struct verdict *v)
{
    if (r->n_verdicts == VERSIONS_MAX || find_verdict(r, kek_id) != NULL) return;
    struct verdict *to = &r->verdicts[r->n_verdicts++];
    *to = *v;
    snprintf(to->kek_id, sizeof to->kek_id, "%s", kek_id);
}

static bool has_keys(struct keyd *k, const struct account *a)
{
    LOCK_SCOPE(&k->lock);
    for (size_t i = 0; i < a->n_aeks; i++) {
        if (a->aeks[i].key == NULL) return false;
    }
    return a->n_aeks != 0;
}

/* What the vault says about this account now. */
static struct verdict ask(struct round *r, struct account *a)
{
    struct verdict v = {.event = KEY_NO_ANSWER, .asked_boot_us = time_boot_us()};
    if (a->damaged || a->n_aeks == 0) return v;
    const struct wrap *w = &a->aeks[a->n_aeks - 1].wrap;
    const struct verdict *known = find_verdict(r, w->w.kek_id);
    bool complete = has_keys(r->k, a);
    if (known != NULL && (known->event != KEY_GOOD || complete)) return *known;

    struct diag d = DIAG_INIT;
    const struct probe p = {.purpose = "probe", .fresh = r->fresh};
    CLEANUP(secret_free) struct secret *aek = NULL;
    enum err e = complete ? probe_unwrap(r->k, r->s, &p, w, &aek, &d) : unlock(r, a, &d);
    v.event = verdict_of(r, e, &d);
    /* A mismatch is this account's alone: the next one's wrap speaks for the version. */
    if (e != ERR_CORRUPT) add_verdict(r, w->w.kek_id, &v);
    return v;
}

static void time_up(struct keyd *k, struct account *a)
{
    pthread_mutex_lock(&k->lock);
    bool up = a->at.state == KEY_DOUBT && time_now_us() - a->doubt_since_us >= DOUBT_S * US_PER_S;
    pthread_mutex_unlock(&k->lock);
    if (up) account_event(k, a, KEY_TIME_UP);
}

static bool copy_accounts(struct round *r)
{
    LOCK_SCOPE(&r->k->lock);
    if (r->s->rec.cleared || r->s->removed) return true;
    r->n = r->s->n_accounts;
    r->accounts = calloc(r->n != 0 ? r->n : 1, sizeof(struct account *));
    if (r->accounts == NULL) return false;
    for (size_t i = 0; i < r->n; i++)
        r->accounts[i] = r->s->accounts[i];
    return true;
}

static void probe_accounts(struct round *r)
{
    for (size_t i = 0; i < r->n; i++) {
        struct account *a = r->accounts[(i + r->s->round) % r->n];
        if (a->removed) continue;
        struct verdict v = ask(r, a);
        if (v.event == KEY_GOOD) stamp_good(r->k, a, v.asked_boot_us);
        account_event(r->k, a, v.event);
        time_up(r->k, a);
    }
    r->s->round++;
}

void probe_round(struct keyd *k, struct scope *s)
{
    struct round *r = calloc(1, sizeof *r);
    if (r == NULL) return; /* as if the vault were silent; the lease's own end still counts */
    *r = (struct round){.k = k, .s = s, .fresh = scope_in_doubt(k, s)};
    if (copy_accounts(r) && r->n != 0) probe_accounts(r);
    free(r->accounts);
    free(r);
}
