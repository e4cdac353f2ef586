/* SPDX-License-Identifier: Apache-2.0 */
/* custody/keyd.c - the key daemon: made, started, asked, freed */
#include "custody/keyd.h"

#include "base/log.h"
#include "base/str.h"
#include "custody/auditor.h"
#include "custody/core.h"

#include <stdio.h>
#include <stdlib.h>

#define LOGS_THREADS     48
#define READER_THREADS   1
#define IDENTITY_THREADS 1
#define BOOT_RETRY_US    US_PER_S
#define CHECK_MS         CALL_MS_MAX
#define VAULT_CALLS_MAX  28 /* of customers; */
#define SPOOL_CALLS_MAX  8  /* of the platform: the other threads renew leases and hand out keys */

/* --- calls of the log service
 * ---------------------------------------------------------------------- */

static enum err parsed(const struct rd *r, struct diag *d)
{
    return rd_done(r) ? OK : FAIL(d, ERR_INVALID, "keyd: the request does not parse");
}

static enum err serve_kek_check(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    struct kek_request q = get_kek(in);
    struct kek_info info;
    TRY(parsed(in, d));
    TRY(kek_check(k, &q.kek, CHECK_MS, &info, d));
    put_string(out, info.version);
    buf_u32(out, info.rsa_bits);
    return OK;
}

static enum err serve_scope_set(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    char name[SCOPE_MAX];
    uint64_t wraps;
    get_string(in, name, sizeof name);
    struct kek_request q = get_kek(in);
    TRY(parsed(in, d));
    TRY(scope_set(k, name, &q, &wraps, d));
    buf_u64(out, wraps);
    return OK;
}

static enum err serve_scope_end(struct keyd *k, struct rd *in, bool remove, struct diag *d)
{
    char name[SCOPE_MAX];
    get_string(in, name, sizeof name);
    bool sealed = !remove && rd_u8(in) != 0;
    TRY(parsed(in, d));
    return remove ? scope_remove(k, name, d) : scope_clear(k, name, sealed, d);
}

static enum err serve_scope_policy(struct keyd *k, struct rd *in, struct diag *d)
{
    char name[SCOPE_MAX], by[BY_MAX];
    get_string(in, name, sizeof name);
    struct key_policy p = get_policy(in);
    get_string(in, by, sizeof by);
    TRY(parsed(in, d));
    return scope_set_policy(k, name, &p, by, d);
}

static enum err serve_scope_unlock(struct keyd *k, struct rd *in, struct diag *d)
{
    char name[SCOPE_MAX], by[BY_MAX];
    get_string(in, name, sizeof name);
    get_string(in, by, sizeof by);
    TRY(parsed(in, d));
    return scope_unlock(k, name, by, d);
}

static enum err serve_status(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    char scope[SCOPE_MAX] = "";
    if (rd_left(in) != 0) get_string(in, scope, sizeof scope);
    TRY(parsed(in, d));
    return status_json(k, scope, out, d);
}

static enum err serve_account_add(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    char scope[SCOPE_MAX], workspace[128];
    uint8_t id[16];
    struct news n;
    get_string(in, scope, sizeof scope);
    rd_copy(in, id, sizeof id);
    get_string(in, workspace, sizeof workspace);
    TRY(parsed(in, d));
    TRY(account_add(k, scope, id, workspace, &n, d));
    put_news(out, &n);
    return OK;
}

static enum err serve_replayed(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    uint8_t id[16];
    rd_copy(in, id, sizeof id);
    uint64_t seq = rd_u64(in);
    TRY(parsed(in, d));
    pthread_mutex_lock(&k->lock);
    struct account *a = account_find(k, id);
    /* What was replayed for an earlier restoration may have been wiped since. */
    bool current = a != NULL && seq != 0 && seq == a->seq_restoring;
    pthread_mutex_unlock(&k->lock);
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    if (current) account_event(k, a, KEY_REPLAYED);
    LOCK_SCOPE(&k->lock);
    struct news n = account_news(k, a);
    put_news(out, &n);
    return OK;
}

static enum err serve_scope_rewrap(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    char name[SCOPE_MAX], by[128];
    uint64_t wraps;
    get_string(in, name, sizeof name);
    get_string(in, by, sizeof by);
    TRY(parsed(in, d));
    TRY(scope_rewrap(k, name, by, &wraps, d));
    buf_u64(out, wraps);
    return OK;
}

static enum err serve_aek_rotate(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    uint8_t id[16], aek_id[16];
    char by[128];
    uint32_t gen;
    rd_copy(in, id, sizeof id);
    get_string(in, by, sizeof by);
    TRY(parsed(in, d));
    TRY(aek_rotate(k, id, by, &gen, aek_id, d));
    buf_u32(out, gen);
    buf_bytes(out, BYTES_OF(aek_id));
    return OK;
}

static enum err serve_aek_drop(struct keyd *k, struct rd *in, struct diag *d)
{
    uint8_t id[16], aek_id[16];
    rd_copy(in, id, sizeof id);
    rd_copy(in, aek_id, sizeof aek_id);
    TRY(parsed(in, d));
    return aek_drop(k, id, aek_id, d);
}

static enum err need_ready(struct keyd *k, struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    if (k->ready) return OK;
    return FAIL(d, ERR_UNAVAILABLE, "keyd is not ready: %s",
                k->waits_for[0] != 0 ? k->waits_for : "it has no platform key yet");
}

static enum err serve_audit_read(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    uint64_t after = rd_u64(in);
    TRY(parsed(in, d));
    return feed_read(k, after, out, d);
}

/* Calls that wait for a customer's vault, or for a scope that does; and for the platform's. */
static unsigned *calls_of(struct keyd *k, uint16_t method, unsigned *max)
{
    switch ((enum keyd_method)method) {
    case KEYD_KEK_CHECK:
    case KEYD_SCOPE_SET:
    case KEYD_SCOPE_REMOVE:
    case KEYD_SCOPE_POLICY:
    case KEYD_SCOPE_UNLOCK:
    case KEYD_SCOPE_REWRAP:
    case KEYD_ACCOUNT_ADD:
    case KEYD_AEK_ROTATE:
    case KEYD_AEK_DROP: *max = VAULT_CALLS_MAX; return &k->n_vault_calls;
    case KEYD_SPOOL_MAKE:
    case KEYD_SPOOL_KEYS: *max = SPOOL_CALLS_MAX; return &k->n_spool_calls;
    default: return NULL;
    }
}

static enum err serve_one(struct keyd *k, uint16_t method, struct bytes in, struct buf *out,
                          struct diag *d);

/* Dead vaults must not take the threads on which leases are renewed. A key that is taken away is
 * never turned back. */
static enum err serve(void *ctx, uint16_t method, struct bytes in, struct buf *out, struct diag *d)
{
    struct keyd *k = ctx;
    unsigned max = 0, *n = calls_of(k, method, &max);
    if (n == NULL) return serve_one(k, method, in, out, d);
    pthread_mutex_lock(&k->lock);
    bool room = *n < max;
    *n += room;
    pthread_mutex_unlock(&k->lock);
    if (!room) return FAIL(d, ERR_UNAVAILABLE, "keyd waits for vaults in %u calls already", max);
    enum err e = serve_one(k, method, in, out, d);
    LOCK_SCOPE(&k->lock);
    (*n)--;
    return e;
}

static enum err serve_one(struct keyd *k, uint16_t method, struct bytes in, struct buf *out,
                          struct diag *d)
{
    struct rd r = rd_from(in);
    TRY(need_ready(k, d));
    switch ((enum keyd_method)method) {
    case KEYD_READY: return OK;
    case KEYD_KEK_CHECK: return serve_kek_check(k, &r, out, d);
    case KEYD_SCOPE_SET: return serve_scope_set(k, &r, out, d);
    case KEYD_SCOPE_CLEAR: return serve_scope_end(k, &r, false, d);
    case KEYD_SCOPE_REMOVE: return serve_scope_end(k, &r, true, d);
    case KEYD_ACCOUNT_ADD: return serve_account_add(k, &r, out, d);
    case KEYD_SCOPE_POLICY: return serve_scope_policy(k, &r, d);
    case KEYD_SCOPE_UNLOCK: return serve_scope_unlock(k, &r, d);
    case KEYD_SCOPE_REWRAP: return serve_scope_rewrap(k, &r, out, d);
    case KEYD_AEK_ROTATE: return serve_aek_rotate(k, &r, out, d);
    case KEYD_AEK_DROP: return serve_aek_drop(k, &r, d);
    case KEYD_STATUS: return serve_status(k, &r, out, d);
    case KEYD_FILE_CREATE: return lease_file_create(k, &r, out, d);
    case KEYD_FILE_OPEN: return lease_file_open(k, &r, out, d);
    case KEYD_LEASES: return lease_renew(k, &r, out, d);
    case KEYD_ENTRIES: return entries_serve(k, &r, out, d);
    case KEYD_AUDIT_READ: return serve_audit_read(k, &r, out, d);
    case KEYD_REPLAYED: return serve_replayed(k, &r, out, d);
    case KEYD_SPOOL_MAKE: return spool_make(k, &r, out, d);
    case KEYD_SPOOL_KEYS: return spool_keys(k, &r, out, d);
    }
    return FAIL(d, ERR_UNSUPPORTED, "keyd: no method %u", method);
}

/* Who verifies the store: keys of files that exist, under the account's lease, with their audit
 * line; no other word. */
static enum err serve_reader(void *ctx, uint16_t method, struct bytes in, struct buf *out,
                             struct diag *d)
{
    if (method == KEYD_READY || method == KEYD_STATUS || method == KEYD_FILE_OPEN) {
        return serve(ctx, method, in, out, d);
    }
    return FAIL_TAG(d, ERR_DENIED, "Peer", "keyd: a reader may not call method %u", method);
}

/* --- life
 * ------------------------------------------------------------------------------------------ */

/* A holder that connects has heard nothing yet. */
static void holder_changed(void *ctx, bool up)
{
    struct keyd *k = ctx;
    if (!up) return;
    LOCK_SCOPE(&k->lock);
    k->holder++;
    MAP_EACH (&k->accounts, e) {
        struct account *a = e->value;
        a->seq_told = 0;
        a->n_untold = 0;
    }
    herald_wake(k);
}

static void remember_state(void *ctx, const char *account, const char *state)
{
    struct keyd *k = ctx;
    for (uintptr_t s = 0; s < KEY_STATES; s++) {
        if (!str_eq(state, key_state_name((enum key_state)s))) continue;
        /* Out of memory here means one REVOKED less from the journal; the record says it too. */
        (void)map_put(&k->past_states, bytes_str(account), (void *)(s + 1), NULL, NULL); // NOLINT
    }
}

/* What a version last unwrapped must outlive keyd: who asks whether it may be disabled relies on
 * it. */
static void remember_use(void *ctx, const char *scope, const char *kek_id, int64_t us)
{
    struct keyd *k = ctx;
    CLEANUP_FREE char *name = str_fmt("%s\n%s", scope, kek_id);
    if (name == NULL) return;
    int64_t *at = map_get(&k->past_uses, bytes_str(name));
    if (at == NULL) {
        at = malloc(sizeof *at);
        if (at == NULL || map_put(&k->past_uses, bytes_str(name), at, NULL, NULL) != OK) {
            free(at);
            return;
        }
    }
    *at = us;
}

static bool text_fits(char *to, size_t cap, const char *from)
{
    return from != NULL && (size_t)snprintf(to, cap, "%s", from) < cap;
}

static enum err take_config(struct keyd *k, const struct keyd_config *c, struct diag *d)
{
    struct kek_config *p = &k->platform;
    if (!text_fits(p->vault_uri, sizeof p->vault_uri, c->platform_vault_uri) ||
        !text_fits(p->key_name, sizeof p->key_name, c->platform_key) ||
        !text_fits(p->principal_id, sizeof p->principal_id, c->platform_principal_id)) {
        return FAIL(d, ERR_INVALID,
                    "keyd: the platform's vault, key or principal is missing or too long");
    }
    k->policy = policy_resolve(&c->policy, &(const struct key_policy){0});
    if (c->iek != NULL) TRY(secret_of(&k->iek.key, secret_view(c->iek), d));
    const char *custodian = c->iek_custodian != NULL ? c->iek_custodian : "none";
    snprintf(k->iek.custodian, sizeof k->iek.custodian, "%s", custodian);
    snprintf(k->iek.trouble, sizeof k->iek.trouble, "%s",
             c->iek_trouble != NULL ? c->iek_trouble : "none is configured");
    k->holder_failed = c->holder_failed;
    k->ctx = c->ctx;
    return policy_check(&k->policy, d);
}

static enum err open_audit(struct keyd *k, const struct keyd_config *c, struct diag *d)
{
    CLEANUP(letter_key_free) struct letter_key *auditor = NULL;
    struct audit_past past = {.visit = remember_state, .used = remember_use, .ctx = k};
    TRY(auditor_key(&auditor, c->audit_dir, c->auditor_key, k->proof.auditor_key,
                    sizeof k->proof.auditor_key, d));
    const struct audit_options o = {.dir = c->audit_dir,
                                    .auditor = auditor,
                                    .file_max = c->audit_file_max,
                                    .failed = c->audit_failed,
                                    .ctx = c->ctx};
    TRY(audit_open(&k->audit, &o, &past, d));
    k->past_mk = past.mk_installed;
    TRY(proof_open(k, c, d));
    return AUDIT(k->audit, d, "keyd.started", F_U64("probe_s", k->policy.probe_s),
                 F_U64("bound_s", k->policy.bound_s));
}

enum err keyd_new_with(struct keyd **out, const struct keyd_config *c, const struct kek_port *port,
                       struct diag *d)
{
    struct keyd *fresh = calloc(1, sizeof *fresh);
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_init(&fresh->lock, NULL);
    pthread_mutex_init(&fresh->save_lock, NULL);
    pthread_mutex_init(&fresh->proof.lock, NULL);
    pthread_mutex_init(&fresh->feed.lock, NULL);
    fresh->proof.slot_fd = -1;
    cond_init(&fresh->change);
    CLEANUP(keyd_free) struct keyd *k = fresh;
    TRY(take_config(k, c, d));
    TRY(open_audit(k, c, d));
    if (c->readable != NULL) TRY(keyd_wall_in(c->readable, c->writable, audit_dir_fd(k->audit), d));
    TRY(chan_new(&k->identity, "identity", IDENTITY_THREADS, NULL, NULL, d));
    TRY(chan_new(&k->logs, "logs", LOGS_THREADS, serve, k, d));
    chan_on_state(k->logs, holder_changed, k);
    TRY(chan_new(&k->reader, "reader", READER_THREADS, serve_reader, k, d));
    if (port != NULL) k->port = *port;
    *out = TAKE(k);
    return OK;
}

struct chan *keyd_chan_logs(struct keyd *k)
{
    return k->logs;
}

int keyd_audit_dir_fd(const struct keyd *k)
{
    return audit_dir_fd(k->audit);
}

struct chan *keyd_chan_identity(struct keyd *k)
{
    return k->identity;
}

struct chan *keyd_chan_reader(struct keyd *k)
{
    return k->reader;
}

static bool is_stopping(struct keyd *k)
{
    LOCK_SCOPE(&k->lock);
    return k->stopping;
}

static void *boot_loop(void *arg)
{
    struct keyd *k = arg;
    char last[DIAG_TEXT_MAX] = "";
    while (!is_stopping(k)) {
        struct diag d = DIAG_INIT;
        if (boot_run(k, &d) == OK) break;
        if (!str_eq(d.text, last)) LOG(WARN, "keyd.waits", F_ERR(&d)); /* once per reason */
        snprintf(last, sizeof last, "%s", d.text);
        pthread_mutex_lock(&k->lock);
        snprintf(k->waits_for, sizeof k->waits_for, "%s", d.text);
        pthread_mutex_unlock(&k->lock);
        (void)timer_wait(k->boot_timer, time_now_us() + BOOT_RETRY_US);
    }
    /* A thread that is done must not hold up the virtual clock. */
    while (!is_stopping(k))
        (void)timer_wait(k->boot_timer, DUE_NEVER);
    return NULL;
}

enum err keyd_start(struct keyd *k, struct diag *d)
{
    struct timer *t = timer_new();
    if (t == NULL) return FAIL(d, ERR_LIMIT, "keyd: no timer is free");
    k->boot_timer = t;
    enum err e = proof_start(k, d);
    bool has_herald = false;
    if (e == OK) {
        e = thread_start(&k->herald_thread, herald_run, k, d);
        has_herald = e == OK;
    }
    if (e == OK) e = thread_start(&k->boot_thread, boot_loop, k, d);
    if (e == OK) return OK;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_broadcast(&k->change);
    pthread_mutex_unlock(&k->lock);
    if (has_herald) pthread_join(k->herald_thread, NULL);
    proof_stop(k);
    timer_free(TAKE(k->boot_timer));
    return e;
}

static void stop_threads(struct keyd *k)
{
    if (k->boot_timer == NULL) return;
    pthread_mutex_lock(&k->lock);
    k->stopping = true;
    pthread_cond_broadcast(&k->change);
    timer_wake(k->boot_timer);
    pthread_mutex_unlock(&k->lock);
    pthread_join(k->boot_thread, NULL);
    pthread_join(k->herald_thread, NULL);
    workers_stop(k);
    proof_stop(k);
    timer_free(k->boot_timer);
}

void keyd_free(struct keyd *k)
{
    if (k == NULL) return;
    stop_threads(k);
    chan_free(k->logs); /* waits for handlers */
    chan_free(k->reader);
    if (k->port.close != NULL) k->port.close(k->port.ctx);
    chan_free(k->identity);
    forget_scopes(k);
    secret_free(k->mk);
    secret_free(k->iek.key);
    map_release(&k->past_states);
    MAP_EACH (&k->past_uses, e)
        free(e->value);
    map_release(&k->past_uses);
    proof_release(k);
    feed_release(k);
    audit_close(k->audit);
    pthread_cond_destroy(&k->change);
    pthread_mutex_destroy(&k->save_lock);
    pthread_mutex_destroy(&k->lock);
    free(k);
}
