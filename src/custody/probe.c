/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/probe.c - asking the vault: a real unwrap of a live wrap per KEK version
 *
 * One answer counts for all accounts whose key is wrapped by that version; which account's wrap is
 * the sample changes from round to round. An account that is locked gets its keys back only by its
 * own unwraps.
 *
 * (1) What locks whatever the policy (a firewall, a vault that is gone) counts when it is said
 *     twice in a row, the second time on a new connection; once it is no answer.
 * (2) A vault that asks to be left alone is, for RETRY_AFTER_S_MAX at most. Meanwhile the clock
 *     still decides what it decides.
 * (3) An operator's fault raises an alarm that stays until the vault answers the key itself.
 * (4) A vault is asked with little patience first. Where that is not enough the round ends without a
 *     verdict, and the slow lane (worker.c) asks again with what is left of the time of a call.
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
                            .timeout_ms = p->timeout_ms != 0 ? p->timeout_ms : scope_call_ms(k, s),
                            .fresh = p->fresh,
                            .retry_after_s = p->retry_after_s};
    CLEANUP(secret_free) struct secret *aek = NULL;
    struct diag why = DIAG_INIT;
    enum err e = k->port.unwrap(k->port.ctx, &call, &w->w, &aek, &why);
    char account[33];
    hex_encode(bytes_of(w->account, 16), account);
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("account", account), F_STR("scope", s->rec.name),
              F_STR("kek", w->w.kek_id), F_STR("purpose", p->purpose),
              F_STR("result", e == OK ? "ok" : err_name(e)), F_STR("code", why.tag)));
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    TRY(check_aek(w, aek, d));
    scope_used(k, s, w->w.kek_id, time_now_us());
    *out = TAKE(aek);
    return OK;
}

/* --- one round -------------------------------------------------------------------------------- */

struct verdict { /* of one KEK version in this round */
    char kek_id[KEK_ID_MAX];
    enum key_event event;
    int64_t asked_us, asked_boot_us; /* when it was asked: a good answer is no younger than that */
};

struct round {
    struct keyd *k;
    struct scope *s;
    struct account **accounts; /* a copy: accounts may be added meanwhile, to the end */
    size_t n;
    struct verdict verdicts[VERSIONS_MAX];
    size_t n_verdicts;
    bool fresh;             /* an answer is to be confirmed: connections and tokens are new */
    bool quick;             /* with little patience (4) */
    uint64_t timeout_ms;    /* of a call */
    uint32_t retry_after_s; /* what the vault asked for */
    bool answered, hung;    /* the key was used or refused; a call ran into its end */
    bool slow;              /* it took longer than QUICK_MS, whatever came of it */
    struct alarm alarm;     /* (3) */
};

#define QUICK_MS 1500

static enum key_event verdict_of(struct round *r, enum err e, const struct diag *d)
{
    enum key_event event = kek_verdict(e, d);
    const char *alarm = kek_alarm(e, d);
    r->answered = r->answered || event == KEY_GOOD || event == KEY_DENIED;
    if (event != KEY_GOOD) {
        LOG(WARN, "vault.refused", F_STR("scope", r->s->rec.name),
            F_STR("verdict", key_event_name(event)), F_ERR(d));
    }
    if (alarm != NULL) {
        snprintf(r->alarm.code, sizeof r->alarm.code, "%s", alarm);
        snprintf(r->alarm.text, sizeof r->alarm.text, "%.*s", (int)sizeof r->alarm.text - 1,
                 d->text);
    }
    return event;
}

/* (3) */
static void settle_alarm(struct round *r)
{
    struct scope *s = r->s;
    pthread_mutex_lock(&r->k->lock);
    bool is_new = r->alarm.code[0] != 0 && !str_eq(r->alarm.code, s->alarm.code);
    bool over = r->alarm.code[0] == 0 && r->answered;
    r->alarm.since_us = is_new ? time_now_us() : s->alarm.since_us;
    if (over || r->alarm.code[0] != 0) s->alarm = r->alarm;
    pthread_mutex_unlock(&r->k->lock);
    if (!is_new) return;
    LOG(ERROR, "key.alarm", F_STR("scope", s->rec.name), F_STR("code", r->alarm.code),
        F_STR("error", r->alarm.text));
    (void)AUDIT(r->k->audit, NULL, "alarm", F_STR("scope", s->rec.name),
                F_STR("code", r->alarm.code), F_STR("error", r->alarm.text));
}

static bool to_be_confirmed(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        if (!a->removed && (a->at.state == KEY_DOUBT || a->barred)) return true;
    }
    return false;
}

/* (1) */
static enum key_event confirmed(struct keyd *k, struct account *a, enum key_event event)
{
    LOCK_SCOPE(&k->lock);
    bool first = event == KEY_BARRED && !a->barred;
    a->barred = event == KEY_BARRED;
    return first ? KEY_NO_ANSWER : event;
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
    const struct probe p = {.purpose = "restore",
                            .fresh = r->fresh,
                            .timeout_ms = r->timeout_ms,
                            .retry_after_s = &r->retry_after_s};
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

static void stamp_good(struct keyd *k, struct account *a, const struct verdict *v)
{
    LOCK_SCOPE(&k->lock);
    a->good_us = v->asked_us;
    a->good_boot_us = v->asked_boot_us;
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
    struct verdict v = {
        .event = KEY_NO_ANSWER, .asked_us = time_now_us(), .asked_boot_us = time_boot_us()};
    if (a->damaged || a->n_aeks == 0) return v;
    const struct wrap *w = &a->aeks[a->n_aeks - 1].wrap;
    const struct verdict *known = find_verdict(r, w->w.kek_id);
    bool complete = has_keys(r->k, a);
    if (known != NULL && (known->event != KEY_GOOD || complete)) return *known;

    struct diag d = DIAG_INIT;
    const struct probe p = {.purpose = "probe",
                            .fresh = r->fresh,
                            .timeout_ms = r->timeout_ms,
                            .retry_after_s = &r->retry_after_s};
    CLEANUP(secret_free) struct secret *aek = NULL;
    enum err e = complete ? probe_unwrap(r->k, r->s, &p, w, &aek, &d) : unlock(r, a, &d);
    v.event = verdict_of(r, e, &d);
    int64_t took_ms = (time_boot_us() - v.asked_boot_us) / 1000;
    r->slow = r->slow || took_ms > QUICK_MS;
    r->hung = r->hung || (v.event == KEY_NO_ANSWER && took_ms >= (int64_t)r->timeout_ms / 2);
    /* A mismatch is this account's alone: the next one's wrap speaks for the version. */
    if (e != ERR_CORRUPT) add_verdict(r, w->w.kek_id, &v);
    return v;
}

static void time_up(struct keyd *k, struct account *a)
{
    pthread_mutex_lock(&k->lock);
    bool up =
        a->at.state == KEY_DOUBT && time_steady_us() - a->doubt_since_us >= DOUBT_S * US_PER_S;
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
        if (r->quick && r->hung) return; /* (4) */
        if (v.event == KEY_GOOD) stamp_good(r->k, a, &v);
        account_event(r->k, a, confirmed(r->k, a, v.event));
        time_up(r->k, a);
    }
    r->s->round++;
}

/* (2), and which hands may serve the scope next. */
static void settle_scope(struct round *r)
{
    LOCK_SCOPE(&r->k->lock);
    struct scope *s = r->s;
    uint32_t wait_s = r->retry_after_s < RETRY_AFTER_S_MAX ? r->retry_after_s : RETRY_AFTER_S_MAX;
    if (wait_s != 0) s->quiet_until_us = time_steady_us() + wait_s * US_PER_S;
    s->again = r->quick && r->hung;
    s->lane = r->hung || r->slow ? LANE_SLOW : LANE_QUICK;
}

/* (2) While the vault is left alone nobody is asked, but ten seconds of doubt are ten seconds. */
static void wait_out(struct round *r)
{
    for (size_t i = 0; i < r->n; i++)
        time_up(r->k, r->accounts[i]);
}

static bool is_quiet(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    return time_steady_us() < s->quiet_until_us;
}

void probe_round(struct keyd *k, struct scope *s)
{
    struct round *r = calloc(1, sizeof *r);
    if (r == NULL) return; /* as if the vault were silent; the lease's own end still counts */
    uint64_t call_ms = scope_call_ms(k, s),
             quick_ms = call_ms / 2 < QUICK_MS ? call_ms / 2 : QUICK_MS;
    *r = (struct round){.k = k,
                        .s = s,
                        .fresh = to_be_confirmed(k, s),
                        .quick = s->lane == LANE_QUICK,
                        .timeout_ms = s->again                ? call_ms - quick_ms
                                      : s->lane == LANE_QUICK ? quick_ms
                                                              : call_ms};
    s->again = false;
    if (copy_accounts(r) && r->n != 0) {
        if (is_quiet(k, s)) {
            wait_out(r);
        } else {
            probe_accounts(r);
            settle_alarm(r);
            settle_scope(r);
        }
    }
    free(r->accounts);
    free(r);
}

/* The first of the scope's accounts whose patience is over. */
static struct account *find_impatient(struct keyd *k, const struct scope *s)
{
    LOCK_SCOPE(&k->lock);
    for (size_t i = 0; i < s->n_accounts; i++) {
        struct account *a = s->accounts[i];
        bool over = a->at.state == KEY_STALE && account_patience_us(k, a) <= 0;
        if (!a->removed && over) return a;
    }
    return NULL;
}

void probe_enough(struct keyd *k, struct scope *s)
{
    struct account *a;
    while ((a = find_impatient(k, s)) != NULL)
        account_event(k, a, KEY_ENOUGH); /* SUSPENDED: not found again */
}
