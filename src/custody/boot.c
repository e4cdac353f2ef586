/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/boot.c - keyd's start: the platform's MAC key, then everything it authenticates
 *
 * (1) A new MK is made only where nothing was ever written: no record of any kind, and no word of
 *     one in the audit log. An emptied catalogue is not a first start.
 * (2) A record that fails its MAC, or lies under another's name, is not believed and not deleted:
 *     its account is `damaged`, stays locked, and an alarm is raised.
 * (3) REVOKED in the record or in the audit log is REVOKED: whichever is stricter wins. All others
 *     start SUSPENDED, until the first good unwrap.
 * (4) Nothing is written before rollback.c has said that what was read is the newest.
 */
#include "base/log.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdio.h>
#include <stdlib.h>

#define CALL_MS 5000
#define DAMAGED "(damaged)" /* the scope of accounts whose own cannot be told */

/* --- MK --------------------------------------------------------------------------------------- */

struct mk_load {
    struct mk_record m;
    struct buf raw;
    bool found;
};

static enum err take_mk(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct mk_load *l = ctx;
    if (!str_eq(r->id, "mk")) return OK;
    TRY(mk_decode(r->value, &l->m, d));
    buf_bytes(&l->raw, r->value);
    l->found = true;
    return buf_check(&l->raw, d);
}

static enum err refuse_any(void *ctx, const struct custody_record *r, struct diag *d)
{
    (void)ctx;
    return FAIL(d, ERR_CORRUPT, "the catalogue has %s records, but no platform key", r->kind);
}

/* (1) */
static enum err check_first_start(struct keyd *k, struct diag *d)
{
    static const char *const kinds[] = {"root", "scope", "signer", "state", "wrap", "iek"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        TRY(ledger_load(k, kinds[i], refuse_any, NULL, d));
    }
    if (!k->past_mk) return OK;
    return FAIL(d, ERR_CORRUPT, "the audit log knows a platform key, but the catalogue is empty");
}

static enum err unwrap_mk(struct keyd *k, const struct mk_load *l, struct secret **out,
                          struct diag *d)
{
    struct kek_call call = {.kek = &k->platform, .timeout_ms = CALL_MS};
    CLEANUP(secret_free) struct secret *mk = NULL;
    if (l->m.w.alg != WRAP_A256KW) {
        return FAIL(d, ERR_CORRUPT, "the platform's MAC key is not wrapped by AES-KW");
    }
    TRY(k->port.unwrap(k->port.ctx, &call, &l->m.w, &mk, d));
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("key", "mk"), F_STR("kek", l->m.w.kek_id),
              F_STR("purpose", "start")));
    TRY(mk_check(buf_view(&l->raw), &l->m, mk, d));
    *out = TAKE(mk);
    return OK;
}

static enum err wrap_new_mk(struct keyd *k, const struct secret *mk, struct mk_record *m,
                            struct diag *d)
{
    struct kek_call call = {.kek = &k->platform, .timeout_ms = CALL_MS};
    struct kek_info info;
    CLEANUP(secret_free) struct secret *again = NULL;
    TRY(k->port.describe(k->port.ctx, &call, &info, d));
    if (!info.type_usable || info.alg != WRAP_A256KW) {
        /* An RSA wrap could have been made by anybody who knows the public key: it authenticates
         * nothing. */
        return FAIL(d, ERR_INVALID, "the platform's key must be an AES key of 256 bits");
    }
    m->created_us = time_now_us();
    mk_commitment(mk, m->commit);
    TRY(k->port.wrap(k->port.ctx, &call, &info, secret_view(mk), &m->w, d));
    TRY(AUDIT(k->audit, d, "wrap", F_STR("key", "mk"), F_STR("kek", m->w.kek_id),
              F_STR("purpose", "create")));
    TRY(k->port.unwrap(k->port.ctx, &call, &m->w, &again, d));
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("key", "mk"), F_STR("kek", m->w.kek_id),
              F_STR("purpose", "create")));
    if (secret_eq(secret_view(mk), secret_view(again))) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "the vault does not unwrap what it wrapped");
}

static void set_mk(struct keyd *k, struct secret *mk, const struct mk_record *m)
{
    LOCK_SCOPE(&k->lock);
    secret_free(k->mk);
    k->mk = mk;
    k->mk_record = *m;
    if (k->generation < m->generation) k->generation = m->generation;
}

/* Nothing is written yet: the first root is over no other. */
static enum err begin_root(struct keyd *k, struct diag *d)
{
    LOCK_SCOPE(&k->proof.lock);
    root_index_release(&k->proof.index);
    k->proof.root = (struct root_record){0};
    k->proof.unsure = false;
    return root_index_init(&k->proof.index, k->mk, d);
}

static enum err make_mk(struct keyd *k, struct diag *d)
{
    TRY(check_first_start(k, d));
    struct mk_record m = {0};
    CLEANUP(secret_free) struct secret *mk = NULL;
    TRY(secret_random(&mk, 32, d));
    TRY(wrap_new_mk(k, mk, &m, d));
    set_mk(k, TAKE(mk), &m);

    CLEANUP_LEDGER struct ledger l = {0};
    enum err e = begin_root(k, d);
    if (e == OK) e = ledger_begin(&l, k, d);
    if (e == OK) e = ledger_mk(&l, &m, d);
    if (e == OK) e = ledger_commit(&l, d);
    if (e != OK) {
        set_mk(k, NULL, &(struct mk_record){0});
        return e;
    }
    LOG(INFO, "mk.installed");
    return AUDIT(k->audit, d, "mk.installed", F_STR("kek", m.w.kek_id));
}

static enum err get_mk(struct keyd *k, struct diag *d)
{
    struct mk_load l = {0};
    enum err e = ledger_load(k, "mk", take_mk, &l, d);
    CLEANUP(secret_free) struct secret *mk = NULL;
    if (e == OK && l.found) e = unwrap_mk(k, &l, &mk, d);
    buf_release(&l.raw);
    TRY(e);
    if (!l.found) return make_mk(k, d);
    set_mk(k, TAKE(mk), &l.m);
    return OK;
}

/* --- records ---------------------------------------------------------------------------------- */

struct load {
    struct keyd *k;
    struct ledger sweep; /* wraps of rotations that never flipped */
    uint64_t generation; /* the highest seen */
};

static void seen(struct load *l, uint64_t generation)
{
    if (generation > l->generation) l->generation = generation;
}

static void damaged(const struct custody_record *r, const struct diag *d)
{
    LOG(ERROR, "record.damaged", F_STR("kind", r->kind), F_STR("id", r->id), F_ERR(d));
}

static enum err misplaced(struct diag *d)
{
    return FAIL(d, ERR_CORRUPT, "it lies under another record's name");
}

static enum err take_scope(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct load *l = ctx;
    struct scope_record rec;
    struct diag why = DIAG_INIT;
    enum err e = scope_decode(r->value, l->k->mk, &rec, &why);
    if (e == OK && !str_eq(rec.name, r->id)) e = misplaced(&why);
    if (e != OK) {
        damaged(r, &why); /* (2) its accounts find no scope and are damaged with it */
        return OK;
    }
    seen(l, rec.generation);
    struct scope *s;
    LOCK_SCOPE(&l->k->lock);
    return scope_insert(l->k, &rec, &s, d);
}

/* Under lock. */
static enum err scope_for_damaged(struct keyd *k, struct scope **out, struct diag *d)
{
    *out = scope_find(k, DAMAGED);
    if (*out != NULL) return OK;
    struct scope_record rec = {.name = DAMAGED};
    return scope_insert(k, &rec, out, d);
}

static enum err insert_damaged(struct keyd *k, const struct custody_record *r, struct diag *d)
{
    struct state_record rec = {.scope = DAMAGED};
    if (hex_decode(bytes_str(r->id), rec.account, 16, NULL) != OK) return OK;
    LOCK_SCOPE(&k->lock);
    if (account_find(k, rec.account) != NULL) return OK;
    struct scope *s;
    struct account *a;
    TRY(scope_for_damaged(k, &s, d));
    TRY(account_insert(k, s, &rec, &a, d));
    a->damaged = true;
    return OK;
}

/* (3) Under lock. */
static void start_state(struct keyd *k, struct account *a, enum key_state recorded)
{
    uintptr_t past = (uintptr_t)map_get(&k->past_states, bytes_str(a->hex));
    bool revoked_before = past == KEY_REVOKED + 1;
    if (recorded != KEY_REVOKED && !revoked_before && !a->scope->rec.cleared) return;
    if (recorded != KEY_REVOKED) a->revocations++; /* the record was not written in time */
    a->at.state = KEY_REVOKED;
    a->fresh = false;
    a->seq = ++k->seq;
    if (recorded == KEY_REVOKED) a->seq_saved = a->seq;
}

static enum err take_state(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct load *l = ctx;
    struct state_record rec;
    struct diag why = DIAG_INIT;
    enum err e = state_decode(r->value, l->k->mk, &rec, &why);
    char hex[33] = "";
    if (e == OK) hex_encode(bytes_of(rec.account, 16), hex);
    if (e == OK && !str_eq(hex, r->id)) e = misplaced(&why);
    if (e != OK) {
        damaged(r, &why);
        return insert_damaged(l->k, r, d);
    }
    seen(l, rec.generation);
    LOCK_SCOPE(&l->k->lock);
    struct scope *s = scope_find(l->k, rec.scope);
    bool orphan = s == NULL;
    struct account *a;
    if (orphan) TRY(scope_for_damaged(l->k, &s, d));
    TRY(account_insert(l->k, s, &rec, &a, d));
    a->damaged = orphan;
    start_state(l->k, a, rec.state);
    return OK;
}

static void mark_damaged(struct keyd *k, const char *wrap_id)
{
    uint8_t id[16];
    if (strlen(wrap_id) < 32 || hex_decode(bytes_of(wrap_id, 32), id, 16, NULL) != OK) return;
    LOCK_SCOPE(&k->lock);
    struct account *a = account_find(k, id);
    if (a != NULL) a->damaged = true;
}

static enum err take_wrap(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct load *l = ctx;
    struct wrap w;
    char id[WRAP_ID_MAX] = "";
    struct diag why = DIAG_INIT;
    enum err e = wrap_decode(r->value, l->k->mk, &w, &why);
    if (e == OK) wrap_id(&w, id);
    if (e == OK && !str_eq(id, r->id)) e = misplaced(&why);
    if (e != OK) {
        damaged(r, &why);
        mark_damaged(l->k, r->id);
        return OK;
    }
    seen(l, w.generation);
    if (w.state == WRAP_PENDING) return ledger_drop_wrap(&l->sweep, &w, d);
    LOCK_SCOPE(&l->k->lock);
    struct account *a = account_find(l->k, w.account);
    return a != NULL ? account_adopt_wrap(a, &w, d) : OK;
}

static void damage_the_wrapless(struct keyd *k)
{
    LOCK_SCOPE(&k->lock);
    MAP_EACH (&k->accounts, e) {
        struct account *a = e->value;
        if (a->n_aeks != 0 || a->damaged) continue;
        a->damaged = true;
        LOG(ERROR, "account.without_wrap", F_STR("account", a->hex));
    }
}

static enum err load_records(struct keyd *k, struct load *l, struct diag *d)
{
    TRY(ledger_begin(&l->sweep, k, d));
    TRY(ledger_load(k, "scope", take_scope, l, d));
    TRY(ledger_load(k, "state", take_state, l, d));
    TRY(ledger_load(k, "wrap", take_wrap, l, d));
    damage_the_wrapless(k);
    pthread_mutex_lock(&k->lock);
    if (k->generation < l->generation) k->generation = l->generation;
    pthread_mutex_unlock(&k->lock);
    TRY(rollback_check(k, d));
    return ledger_commit(&l->sweep, d);
}

/* The platform's scope is keyd's own; where its key lies is the configuration's word, not the
 * record's. */
static enum err ensure_platform(struct keyd *k, struct scope **out, struct diag *d)
{
    pthread_mutex_lock(&k->lock);
    struct scope *s = scope_find(k, "platform");
    if (s != NULL) s->rec.kek = k->platform;
    pthread_mutex_unlock(&k->lock);
    *out = s;
    if (s != NULL) return OK;
    struct scope_record rec = {.name = "platform", .kek = k->platform};
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_scope(&l, &rec, d));
    TRY(ledger_commit(&l, d));
    LOCK_SCOPE(&k->lock);
    return scope_insert(k, &rec, out, d);
}

void forget_scopes(struct keyd *k)
{
    for (size_t i = 0; i < k->n_scopes; i++)
        scope_free(k->all_scopes[i]);
    free(k->all_scopes);
    k->all_scopes = NULL;
    k->n_scopes = 0;
    map_release(&k->scopes);
    map_release(&k->accounts);
    k->scopes = (struct map){0};
    k->accounts = (struct map){0};
}

/* What the audit log says of versions that were used before this start; said again in its newest
 * file. */
static void recall_uses(struct keyd *k)
{
    MAP_EACH (&k->past_uses, e) {
        CLEANUP_FREE char *name = str_fmt("%.*s", (int)e->key.len, (const char *)e->key.p);
        char *kek_id = name != NULL ? strchr(name, '\n') : NULL;
        if (kek_id == NULL) continue;
        *kek_id++ = 0;
        pthread_mutex_lock(&k->lock);
        struct scope *s = scope_find(k, name);
        pthread_mutex_unlock(&k->lock);
        if (s == NULL) continue;
        scope_used(k, s, kek_id, *(const int64_t *)e->value);
        /* A log that cannot be written gives no lease either. */
        (void)journal_use(k, name, kek_id, *(const int64_t *)e->value, NULL);
    }
}

static enum err load_all(struct keyd *k, struct scope **platform, struct diag *d)
{
    struct load l = {.k = k};
    enum err e = load_records(k, &l, d);
    ledger_release(&l.sweep);
    TRY(e);
    TRY(proof_begin(k, d));
    TRY(iek_boot(k, d));
    TRY(ensure_platform(k, platform, d));
    recall_uses(k);
    scope_used(k, *platform, k->mk_record.w.kek_id, time_now_us());
    return OK;
}

/* Higher than any number that the holder has heard of a keyd before this one, whichever was started
 * first: it lives no longer than this boot of the machine. */
static void number_news(struct keyd *k)
{
    LOCK_SCOPE(&k->lock);
    uint64_t now = (uint64_t)time_boot_us();
    if (k->seq < now) k->seq = now;
}

enum err boot_run(struct keyd *k, struct diag *d)
{
    struct scope *platform;
    TRY(chan_wait_up(k->logs, 1000, d));
    TRY(get_mk(k, d));
    number_news(k); /* the holder has answered: whoever was there before is gone */
    enum err e = load_all(k, &platform, d);
    if (e != OK) {
        LOCK_SCOPE(&k->lock);
        forget_scopes(k); /* nobody has seen them: not ready */
        return e;
    }
    /* The platform's own accounts first: who waits for ready needs them. */
    scope_take(k, platform);
    probe_round(k, platform);
    pthread_mutex_lock(&k->lock);
    size_t n_accounts = 0;
    MAP_EACH (&k->accounts, x)
        n_accounts++;
    for (size_t i = 0; i < k->n_scopes; i++)
        k->all_scopes[i]->due_us = time_steady_us();
    int64_t due = scope_next_due(k, platform);
    k->ready = true;
    e = workers_match(k, d);
    herald_wake(k);
    pthread_mutex_unlock(&k->lock);
    scope_give(k, platform, due);
    LOG(INFO, "keyd.ready", F_U64("scopes", k->n_scopes), F_U64("accounts", n_accounts));
    return e;
}
