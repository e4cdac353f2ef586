/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/custody/house.h - keyd and the log service's end over a real socket pair, with a
 * catalogue in memory
 *
 * Time is virtual: house_advance() runs every probe that is due. Leases keep to the kernel's
 * clocks.
 */
#pragma once

#include "test.h"

#include "base/map.h"
#include "base/rand.h"
#include "base/log.h"
#include "custody/client.h"
#include "custody/core.h"
#include "test_vault.h"

#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define PLATFORM_URI "https://platform.test"
#define CUSTOMER_URI "https://customer.test"
#define CLUSTER      "/subscriptions/s/clusters/one"

struct stored {
    struct buf value;
};

struct change {
    uint8_t account[16];
    enum key_state was, now;
};

struct house {
    struct test_vault vault;
    pthread_mutex_t lock; /* guards the catalogue and what changed() noted */
    struct map catalogue; /* "kind\nid" -> struct stored */
    _Atomic bool disk_full;
    _Atomic int lose_answers; /* this many transactions are written, and told as failed */
    struct change changes[256];
    size_t n_changes;
    _Atomic int refuse_changes; /* this many calls of changed(RESTORING) fail */
    _Atomic bool refuse_wipes;  /* and those that are told to wipe */
    _Atomic unsigned n_holder_failed, n_audit_failed;
    char audit_dir[256];
    const char *anchor; /* NULL: none */
    uint64_t accept_rollback;
    size_t audit_file_max; /* 0: as configured by default */
    struct key_policy policy;
    struct secret *iek; /* NULL: none */
    struct keyd *keyd;
    struct custody *custody;
};

static inline enum err house_persist(void *ctx, const struct custody_record *r, size_t n,
                                     struct diag *d)
{
    struct house *h = ctx;
    LOCK_SCOPE(&h->lock);
    if (h->disk_full) return FAIL(d, ERR_IO, "no space left on device");
    for (size_t i = 0; i < n; i++) {
        if (!str_eq(r[i].kind, "root")) continue;
        const struct stored *s = map_get(&h->catalogue, BYTES("root\nroot"));
        struct bytes stored = s != NULL ? buf_view(&s->value) : (struct bytes){0};
        if (!root_follows(stored, r[i].value)) return FAIL(d, ERR_CONFLICT, "another root");
    }
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *name = str_fmt("%s\n%s", r[i].kind, r[i].id);
        struct stored *s = map_remove(&h->catalogue, bytes_str(name));
        if (s != NULL) buf_release(&s->value);
        free(s);
        if (r[i].value.len == 0) continue;
        s = calloc(1, sizeof *s);
        buf_bytes(&s->value, r[i].value);
        if (map_put(&h->catalogue, bytes_str(name), s, NULL, d) != OK) abort();
    }
    if (atomic_load(&h->lose_answers) > 0) {
        atomic_fetch_sub(&h->lose_answers, 1);
        return FAIL(d, ERR_UNAVAILABLE, "the answer is lost");
    }
    return OK;
}

static inline int house_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static inline enum err house_load(void *ctx, const char *kind,
                                  enum err (*visit)(void *, const struct custody_record *,
                                                    struct diag *),
                                  void *visit_ctx, struct diag *d)
{
    struct house *h = ctx;
    char *names[1024];
    size_t n = 0;
    LOCK_SCOPE(&h->lock);
    MAP_EACH (&h->catalogue, e) {
        size_t k = strlen(kind);
        if (e->key.len > k && memcmp(e->key.p, kind, k) == 0 && e->key.p[k] == '\n' && n < 1024) {
            names[n++] = strndup((const char *)e->key.p, e->key.len);
        }
    }
    qsort(names, n, sizeof names[0], house_order);
    enum err e = OK;
    for (size_t i = 0; i < n; i++) {
        const struct stored *s = map_get(&h->catalogue, bytes_str(names[i]));
        const struct custody_record r = {kind, strchr(names[i], '\n') + 1, "", buf_view(&s->value)};
        if (e == OK) e = visit(visit_ctx, &r, d);
        free(names[i]);
    }
    return e;
}

static inline enum err house_changed(void *ctx, const uint8_t account[16], enum key_state was,
                                     enum key_state now, struct diag *d)
{
    struct house *h = ctx;
    if (now == KEY_RESTORING && atomic_load(&h->refuse_changes) > 0) {
        atomic_fetch_sub(&h->refuse_changes, 1);
        return FAIL(d, ERR_IO, "replay failed");
    }
    if (key_state_locked(now) && h->refuse_wipes) return FAIL(d, ERR_IO, "nothing was wiped");
    LOCK_SCOPE(&h->lock);
    if (h->n_changes < 256) {
        struct change *c = &h->changes[h->n_changes++];
        *c = (struct change){.was = was, .now = now};
        memcpy(c->account, account, 16);
    }
    return OK;
}

static inline void house_holder_failed(void *ctx)
{
    atomic_fetch_add(&((struct house *)ctx)->n_holder_failed, 1);
}

static inline void house_audit_failed(void *ctx)
{
    atomic_fetch_add(&((struct house *)ctx)->n_audit_failed, 1);
}

static inline void house_connect(struct house *h)
{
    struct diag d = DIAG_INIT;
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    REQUIRE_OK(chan_attach(custody_chan(h->custody), pair[0], &d));
    REQUIRE_OK(chan_attach(keyd_chan_logs(h->keyd), pair[1], &d));
}

static inline struct keyd_config house_keyd_config(struct house *h)
{
    return (struct keyd_config){.audit_dir = h->audit_dir,
                                .anchor = h->anchor,
                                .audit_file_max = h->audit_file_max,
                                .accept_rollback = h->accept_rollback,
                                .platform_vault_uri = PLATFORM_URI,
                                .platform_key = "pmk",
                                .platform_principal_id = "platform",
                                .policy = h->policy,
                                .iek = h->iek,
                                .iek_custodian = "the test",
                                .holder_failed = house_holder_failed,
                                .audit_failed = house_audit_failed,
                                .ctx = h};
}

static inline void house_start_keyd(struct house *h)
{
    struct diag d = DIAG_INIT;
    const struct keyd_config c = house_keyd_config(h);
    const struct kek_port port = tv_port(&h->vault);
    REQUIRE_OK(keyd_new_with(&h->keyd, &c, &port, &d));
    REQUIRE_OK(keyd_start(h->keyd, &d));
}

static inline void house_start_custody(struct house *h)
{
    struct diag d = DIAG_INIT;
    const struct custody_config c = {
        .ctx = h, .persist = house_persist, .load = house_load, .changed = house_changed};
    REQUIRE_OK(custody_new(&h->custody, &c, &d));
}

/* Everything but running processes: vault, catalogue, clock. */
static inline void house_build(struct house *h)
{
    struct diag d = DIAG_INIT;
    static unsigned n;
    memset(h, 0, sizeof *h);
    pthread_mutex_init(&h->lock, NULL);
    tv_init(&h->vault);
    tv_add(&h->vault, PLATFORM_URI, "pmk", "p1", true);
    tv_add(&h->vault, CUSTOMER_URI, "kek", "v1", false);
    h->policy.probe_s = 30;
    snprintf(h->audit_dir, sizeof h->audit_dir, "%s/keyd-%u", test_dir(), n++);
    REQUIRE_OK(os_mkdir(h->audit_dir, &d));
    if (!clock_is_virtual()) {
        char clock[300];
        snprintf(clock, sizeof clock, "%s/clock", test_dir());
        REQUIRE_OK(clock_open(clock, true, &d));
    }
    log_set_level(LOG_ERROR);
}

/* What house_build() made comes to life. */
static inline void house_begin(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_start_custody(h);
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
}

static inline void house_open(struct house *h)
{
    house_build(h);
    house_begin(h);
}

static inline void house_stop_keyd(struct house *h)
{
    keyd_free(TAKE(h->keyd));
}

static inline void house_restart_keyd(struct house *h)
{
    struct diag d = DIAG_INIT;
    house_stop_keyd(h);
    house_start_keyd(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
}

static inline void house_restart_custody(struct house *h)
{
    struct diag d = DIAG_INIT;
    custody_free(TAKE(h->custody));
    house_start_custody(h);
    house_connect(h);
    REQUIRE_OK(custody_wait_ready(h->custody, 120000, &d));
}

static inline void house_close(struct house *h)
{
    custody_free(h->custody);
    keyd_free(h->keyd);
    MAP_EACH (&h->catalogue, e) {
        struct stored *s = e->value;
        buf_release(&s->value);
        free(s);
    }
    map_release(&h->catalogue);
    secret_free(h->iek);
    tv_release(&h->vault);
    pthread_mutex_destroy(&h->lock);
}

/* keyd has looked and says why it does not start; d has its words. False: it is ready. */
static inline bool house_refuses(struct house *h, struct diag *d)
{
    for (int i = 0; i < 100; i++) {
        diag_reset(d);
        if (custody_wait_ready(h->custody, 1200, d) == OK) return false;
        bool looked = strstr(d->text, "no platform key yet") == NULL &&
                      strstr(d->text, "not running") == NULL &&
                      strstr(d->text, "did not answer") == NULL;
        if (looked) return true;
    }
    return true;
}

static inline void house_advance(double seconds)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(clock_advance((int64_t)(seconds * US_PER_S), &d));
}

static inline struct custody_kek house_kek(const char *version)
{
    return (struct custody_kek){.vault_uri = CUSTOMER_URI,
                                .key_name = "kek",
                                .key_version = version,
                                .principal_id = "cluster"};
}

/* A cluster with a key and one account. */
static inline void house_cluster(struct house *h, const char *scope, const uint8_t account[16])
{
    struct diag d = DIAG_INIT;
    const struct custody_kek kek = house_kek("");
    REQUIRE_OK(custody_scope_set(h->custody, scope, &kek, NULL, &d));
    REQUIRE_OK(custody_account_add(h->custody, scope, account, "workspace", &d));
}

/* Waits in real time: what the holder does after news runs on its own threads. */
static inline bool house_reaches(struct house *h, const uint8_t account[16], enum key_state s)
{
    for (int i = 0; i < 12000; i++) { /* two minutes: for a busy machine */
        if (custody_account_state(h->custody, account) == s) return true;
        time_sleep_us(10000);
    }
    fprintf(stderr, "state is %s, not %s\n",
            key_state_name(custody_account_state(h->custody, account)), key_state_name(s));
    return false;
}

/* The herald is done: the holder has heard of every state, and every state is written. */
static inline bool house_settles(struct house *h)
{
    for (int i = 0; i < 12000; i++) {
        bool settled = true;
        pthread_mutex_lock(&h->keyd->lock);
        MAP_EACH (&h->keyd->accounts, e) {
            const struct account *a = e->value;
            settled = settled && (a->removed || (a->seq_told == a->seq && a->seq_saved == a->seq));
        }
        pthread_mutex_unlock(&h->keyd->lock);
        if (settled) return true;
        time_sleep_us(10000);
    }
    return false;
}

/* Turns the clock by seconds until keyd doubts the account (not until the holder has heard of it). */
static inline bool house_doubts(struct house *h, const uint8_t account[16])
{
    bool doubts = false;
    for (int i = 0; i < 34 && !doubts; i++) {
        house_advance(1);
        LOCK_SCOPE(&h->keyd->lock);
        doubts = account_find(h->keyd, account)->at.state == KEY_DOUBT;
    }
    return doubts && house_reaches(h, account, KEY_DOUBT);
}

static inline size_t house_records(struct house *h, const char *kind)
{
    LOCK_SCOPE(&h->lock);
    size_t n = 0, k = strlen(kind);
    MAP_EACH (&h->catalogue, e)
        n += e->key.len > k && memcmp(e->key.p, kind, k) == 0 && e->key.p[k] == '\n';
    return n;
}

/* Flips one bit of the first record whose kind and id start so. */
static inline bool house_tamper(struct house *h, const char *kind, const char *id, size_t byte)
{
    LOCK_SCOPE(&h->lock);
    CLEANUP_FREE char *prefix = str_fmt("%s\n%s", kind, id);
    size_t n = strlen(prefix);
    MAP_EACH (&h->catalogue, e) {
        struct stored *s = e->value;
        if (e->key.len < n || memcmp(e->key.p, prefix, n) != 0) continue;
        s->value.p[byte % s->value.len] ^= 1;
        return true;
    }
    return false;
}

/* A file of one sealed block under an account's newest key, and its way back. */
struct house_file {
    struct file_ident ident;
    struct buf block;
};

static inline struct house_file house_write(struct house *h, const uint8_t id[16])
{
    struct diag d = DIAG_INIT;
    struct house_file f = {0};
    struct file_key *k;
    uint8_t file_id[16];
    rand_bytes(file_id, sizeof file_id);
    REQUIRE_OK(custody_file_create(h->custody, id, OTYPE_SEGMENT, file_id, &k, &d));
    f.ident = *file_key_ident(k);
    REQUIRE(memcmp(f.ident.file_id, file_id, 16) == 0);
    REQUIRE_OK(block_seal(k, BTYPE_DATA, 1, BYTES("a log row"), &f.block, &d));
    custody_file_release(h->custody, k);
    return f;
}

static inline enum err house_read(struct house *h, const struct house_file *f, struct diag *d)
{
    struct file_key *k;
    CLEANUP_BUF struct buf out = {0};
    TRY(custody_file_open(h->custody, f->ident.account, &f->ident, 1, &k, d));
    enum err e = block_open(k, BTYPE_DATA, 1, buf_view(&f->block), &out, d);
    custody_file_release(h->custody, k);
    TRY(e);
    return bytes_eq(buf_view(&out), BYTES("a log row")) ? OK : ERR_CORRUPT;
}
