/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/rotate.c - from one KEK version to the next, without touching data (keys.md "Rotation")
 *
 * For every AEK: unwrap with the old version and check; wrap with the new one; unwrap that again
 * and compare; write both wraps; then, in one transaction for all of them, flip and drop the old
 * ones. A crash at any point leaves a wrap that opens: before the flip the old ones count and the
 * new ones are swept at the next start.
 */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdlib.h>

struct step { /* one AEK on its way */
    struct account *a;
    size_t index;
    struct wrap old, fresh;
};

struct plan {
    struct keyd *k;
    struct scope *s;
    const struct rotation *r;
    struct step *steps;
    size_t n, cap;
};

static void plan_release(struct plan *p)
{
    free(p->steps);
}
#define CLEANUP_PLAN __attribute__((cleanup(plan_release)))

/* Under lock. */
static enum err plan_account(struct plan *p, struct account *a, struct diag *d)
{
    for (size_t i = 0; i < a->n_aeks; i++) {
        if (str_eq(a->aeks[i].wrap.w.kek_id, p->r->info.kek_id)) continue;
        if (p->n == p->cap) {
            size_t cap = p->cap != 0 ? 2 * p->cap : 16;
            struct step *grown = realloc(p->steps, cap * sizeof *grown);
            if (grown == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
            p->steps = grown;
            p->cap = cap;
        }
        p->steps[p->n++] = (struct step){.a = a, .index = i, .old = a->aeks[i].wrap};
    }
    return OK;
}

static enum err plan_make(struct plan *p, struct diag *d)
{
    LOCK_SCOPE(&p->k->lock);
    for (size_t i = 0; i < p->s->n_accounts; i++) {
        struct account *a = p->s->accounts[i];
        if (a->removed) continue;
        if (a->damaged) {
            return FAIL(d, ERR_CORRUPT, "account %s has a damaged record: it cannot be rewrapped",
                        a->hex);
        }
        TRY(plan_account(p, a, d));
    }
    return OK;
}

static enum err wrap_under_new(struct plan *p, const struct secret *aek, struct step *x,
                               struct diag *d)
{
    struct kek_call call = {.kek = p->r->kek, .timeout_ms = scope_call_ms(p->k, p->s)};
    x->fresh = x->old;
    x->fresh.serial++;
    x->fresh.state = WRAP_PENDING;
    x->fresh.created_us = time_now_us();
    TRY(p->k->port.wrap(p->k->port.ctx, &call, &p->r->info, secret_view(aek), &x->fresh.w, d));
    return AUDIT(p->k->audit, d, "wrap", F_STR("account", x->a->hex),
                 F_STR("kek", x->fresh.w.kek_id), F_STR("purpose", "rotate"));
}

static enum err rewrap(struct plan *p, struct step *x, struct diag *d)
{
    const struct probe as_new = {.purpose = "rotate", .as = p->r->kek};
    CLEANUP(secret_free) struct secret *aek = NULL, *again = NULL;
    TRY(probe_unwrap(p->k, p->s, &as_new, &x->old, &aek, d));
    TRY(wrap_under_new(p, aek, x, d));
    TRY(probe_unwrap(p->k, p->s, &as_new, &x->fresh, &again, d));
    if (!secret_eq(secret_view(aek), secret_view(again))) {
        return FAIL(d, ERR_CORRUPT, "the new wrap of account %s opens to another key", x->a->hex);
    }
    return OK;
}

static enum err write_both(struct plan *p, struct diag *d)
{
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, p->k, d));
    for (size_t i = 0; i < p->n; i++)
        TRY(ledger_wrap(&l, &p->steps[i].fresh, d));
    return ledger_commit(&l, d);
}

static enum err flip(struct plan *p, struct scope_record *rec, struct diag *d)
{
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, p->k, d));
    if (rec != NULL) TRY(ledger_scope(&l, rec, d));
    for (size_t i = 0; i < p->n; i++) {
        p->steps[i].fresh.state = WRAP_ACTIVE;
        TRY(ledger_wrap(&l, &p->steps[i].fresh, d));
        TRY(ledger_drop_wrap(&l, &p->steps[i].old, d));
    }
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&p->k->lock);
    for (size_t i = 0; i < p->n; i++)
        p->steps[i].a->aeks[p->steps[i].index].wrap = p->steps[i].fresh;
    return OK;
}

/* What was made for nothing; the sweep at the next start catches what this cannot delete. */
static void drop_pending(struct plan *p)
{
    CLEANUP_LEDGER struct ledger l = {0};
    if (ledger_begin(&l, p->k, NULL) != OK) return;
    for (size_t i = 0; i < p->n; i++) {
        if (p->steps[i].fresh.serial != 0) (void)ledger_drop_wrap(&l, &p->steps[i].fresh, NULL);
    }
    (void)ledger_commit(&l, NULL);
}

static void set_target(struct keyd *k, struct scope *s, const struct kek_info *info)
{
    LOCK_SCOPE(&k->lock);
    memcpy(s->target, info->kek_id, sizeof s->target);
}

enum err rotate_scope(struct keyd *k, struct scope *s, const struct rotation *r,
                      struct scope_record *rec, uint64_t *wraps, struct diag *d)
{
    set_target(k, s, &r->info); /* before its first wrap: it is not to be disabled any more */
    CLEANUP_PLAN struct plan p = {.k = k, .s = s, .r = r};
    TRY(plan_make(&p, d)); // NOLINT: the cleanup frees
    if (p.n == 0 && rec == NULL) return OK;
    for (size_t i = 0; i < p.n; i++)
        TRY(rewrap(&p, &p.steps[i], d));
    if (p.n != 0) {
        enum err e = write_both(&p, d);
        if (e != OK) {
            drop_pending(&p);
            return e;
        }
    }
    TRY(flip(&p, rec, d));
    *wraps += p.n;
    if (p.n == 0) return OK;
    LOG(INFO, "key.rotated", F_STR("scope", s->rec.name), F_STR("kek", r->info.kek_id),
        F_U64("wraps", p.n));
    return AUDIT(k->audit, d, "rotated", F_STR("scope", s->rec.name), F_STR("kek", r->info.kek_id),
                 F_U64("wraps", p.n));
}

/* --- the platform's MAC key rotates with its scope
 * ------------------------------------------------- */

static enum err rewrap_mk(struct keyd *k, struct scope *s, const struct rotation *r, struct diag *d)
{
    struct kek_call call = {.kek = r->kek, .timeout_ms = scope_call_ms(k, s)};
    struct mk_record m = k->mk_record;
    CLEANUP(secret_free) struct secret *again = NULL;
    TRY(k->port.wrap(k->port.ctx, &call, &r->info, secret_view(k->mk), &m.w, d));
    TRY(AUDIT(k->audit, d, "wrap", F_STR("key", "mk"), F_STR("kek", m.w.kek_id),
              F_STR("purpose", "rotate")));
    TRY(k->port.unwrap(k->port.ctx, &call, &m.w, &again, d));
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("key", "mk"), F_STR("kek", m.w.kek_id),
              F_STR("purpose", "rotate")));
    if (!secret_eq(secret_view(k->mk), secret_view(again))) {
        return FAIL(d, ERR_CORRUPT, "the new wrap of the platform's MAC key opens to another key");
    }
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_mk(&l, &m, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    k->mk_record = m;
    return OK;
}

/* --- following the latest version
 * ------------------------------------------------------------------ */

static bool all_wrapped_by(struct keyd *k, struct scope *s, const char *kek_id)
{
    LOCK_SCOPE(&k->lock);
    if (s->platform && !str_eq(k->mk_record.w.kek_id, kek_id)) return false;
    for (size_t i = 0; i < s->n_accounts; i++) {
        const struct account *a = s->accounts[i];
        for (size_t j = 0; !a->removed && j < a->n_aeks; j++) {
            if (!str_eq(a->aeks[j].wrap.w.kek_id, kek_id)) return false;
        }
    }
    return true;
}

#define WRAP_TRY_US (3600 * US_PER_S)

/* What the attributes cannot tell - a right to wrap that was taken away - an hourly try does. */
static enum err try_wrap(struct keyd *k, struct scope *s, const struct rotation *r, struct diag *d)
{
    if (s->wrap_tried_us + WRAP_TRY_US > time_now_us()) return OK;
    struct kek_call call = {.kek = r->kek, .timeout_ms = scope_call_ms(k, s)};
    CLEANUP(secret_free) struct secret *sample = NULL;
    struct wrapped w;
    TRY(secret_random(&sample, AEK_LEN, d));
    TRY(k->port.wrap(k->port.ctx, &call, &r->info, secret_view(sample), &w, d));
    s->wrap_tried_us = time_now_us();
    return AUDIT(k->audit, d, "wrap", F_STR("scope", s->rec.name), F_STR("kek", w.kek_id),
                 F_STR("purpose", "check"));
}

enum err rotate_follow(struct keyd *k, struct scope *s, struct diag *d)
{
    if (s->n_accounts == 0 && !s->platform) return OK;
    bool follows = s->rec.kek.key_version[0] == 0;
    struct rotation r = {.kek = &s->rec.kek};
    struct kek_call call = {.kek = r.kek, .timeout_ms = scope_call_ms(k, s)};
    struct diag why = DIAG_INIT;
    enum err e = k->port.describe(k->port.ctx, &call, &r.info, &why);
    /* An explicit version can be used without the right to read the key: then nobody knows. */
    if (e == ERR_DENIED && !follows) return OK;
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    set_target(k, s, &r.info);
    if (!follows || all_wrapped_by(k, s, r.info.kek_id)) {
        TRY(kek_wraps(&r.info, time_now_us(), d));
        return try_wrap(k, s, &r, d);
    }
    TRY(kek_acceptable(&r.info, time_now_us(), d));
    uint64_t wraps = 0;
    TRY(rotate_scope(k, s, &r, NULL, &wraps, d));
    return s->platform ? rewrap_mk(k, s, &r, d) : OK;
}

/* --- may this key be used at all
 * ------------------------------------------------------------------- */

enum err kek_check(struct keyd *k, const struct kek_config *kek, uint64_t call_ms,
                   struct kek_info *out, struct diag *d)
{
    struct kek_info info;
    struct kek_call call = {.kek = kek, .timeout_ms = call_ms, .fresh = true};
    TRY(k->port.describe(k->port.ctx, &call, &info, d));
    TRY(kek_acceptable(&info, time_now_us(), d));
    call.fresh = false;

    CLEANUP(secret_free) struct secret *sample = NULL, *again = NULL;
    struct wrapped w;
    TRY(secret_random(&sample, AEK_LEN, d));
    TRY(k->port.wrap(k->port.ctx, &call, &info, secret_view(sample), &w, d));
    TRY(AUDIT(k->audit, d, "wrap", F_STR("kek", w.kek_id), F_STR("purpose", "check")));
    TRY(k->port.unwrap(k->port.ctx, &call, &w, &again, d));
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("kek", w.kek_id), F_STR("purpose", "check")));
    if (!secret_eq(secret_view(sample), secret_view(again))) {
        return FAIL(d, ERR_UNAVAILABLE, "the vault does not unwrap what it wrapped");
    }
    *out = info;
    return OK;
}
