/* SPDX-License-Identifier: Apache-2.0 */
/* keyvault/tidy.c - destroys what was soft-deleted when its retention is over, and rotates keys */
#include "keyvault/service.h"

#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdlib.h>

#define LONGEST_NAP_S 86400
#define HSM_RETRY_S   60 /* until a token that does not destroy is asked again */

struct tidy {
    struct keyvault *kv;
    struct timer *timer;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic int64_t next_s; /* when the next sweep is due */
};

struct sweep {
    struct keyvault *kv;
    int64_t next;
};

static bool is_due_or_note(struct sweep *s, const json_t *o)
{
    if (kv_is_due(o)) return true;
    int64_t purge = json_get_int(json_get(o, "deleted"), "purge", INT64_MAX);
    if (purge < s->next) s->next = purge;
    return false;
}

static enum err sweep_vault(void *ctx, const char *name, json_t *vault, struct diag *d)
{
    struct sweep *s = ctx;
    if (!is_due_or_note(s, vault)) return OK;
    LOG(INFO, "vault.purged", F_STR("vault", name), F_STR("because", "retention"));
    kv_audit_clock(s->kv, "VaultPurge", json_get_str(vault, "id"), "", NULL);
    return kv_vault_remove(s->kv, name, d);
}

static enum err sweep_key(void *ctx, const char *place, json_t *key, struct diag *d)
{
    struct sweep *s = ctx;
    if (!is_due_or_note(s, key)) return OK;
    char vault[VAULT_NAME_MAX];
    const char *slash = strchr(place, '/');
    size_t n = slash != NULL ? (size_t)(slash - place) : sizeof vault;
    if (n >= sizeof vault) return OK; /* no row of ours */
    memcpy(vault, place, n);
    vault[n] = 0;
    struct key_ref r = {.vault_name = vault, .name = slash + 1, .version = ""};
    LOG(INFO, "key.purged", F_STR("vault", vault), F_STR("key", r.name),
        F_STR("because", "retention"));
    CLEANUP_FREE char *object = kv_object_url(s->kv, &r, "");
    kv_audit_clock(s->kv, "KeyPurge", NULL, object != NULL ? object : "", NULL);
    return kv_key_remove(s->kv, &r, d);
}

enum err kv_tidy_once(struct keyvault *kv, int64_t *next, struct diag *d)
{
    struct sweep s = {.kv = kv, .next = INT64_MAX};
    CLEANUP_KVSTORE_TXN struct kvstore_txn t = {0};
    TRY(kvstore_begin(kv->store, &t, d));
    TRY(kv_doc_each(kv, "vault", "", sweep_vault, &s, d));
    TRY(kv_doc_each(kv, "key", "", sweep_key, &s, d));
    TRY(kvstore_commit(&t, d));
    bool left = false;
    TRY(kv_hsm_sweep(kv, false, &left, d));
    if (left) s.next = now_s() + HSM_RETRY_S;
    int64_t rotation = INT64_MAX;
    TRY(kv_rotation_sweep(kv, &rotation, d));
    *next = rotation < s.next ? rotation : s.next;
    return OK;
}

/* kv_tidy_at() may have named an earlier time while the sweep ran: that one stands. */
static void sweep_all(struct tidy *t)
{
    struct diag d = DIAG_INIT;
    int64_t next = INT64_MAX, latest = now_s() + LONGEST_NAP_S;
    atomic_store(&t->next_s, latest);
    if (kv_tidy_once(t->kv, &next, &d) != OK) LOG(ERROR, "keyvault.tidy_failed", F_ERR(&d));
    kv_tidy_at(t, next);
}

static void *run(void *arg)
{
    struct tidy *t = arg;
    while (!atomic_load(&t->stop)) {
        if (now_s() >= atomic_load(&t->next_s)) sweep_all(t);
        (void)timer_wait(t->timer, atomic_load(&t->next_s) * US_PER_S);
    }
    return NULL;
}

enum err kv_tidy_start(struct tidy **out, struct keyvault *kv, struct diag *d)
{
    struct tidy *t = calloc(1, sizeof *t);
    if (t == NULL) return kv_out_of_memory(d);
    t->kv = kv;
    t->timer = timer_new();
    if (t->timer != NULL) timer_wake(t->timer); /* no turn of the clock before the first sweep */
    enum err e = t->timer != NULL ? thread_start(&t->thread, run, t, d) : kv_out_of_memory(d);
    if (e != OK) {
        timer_free(t->timer);
        free(t);
        return e;
    }
    *out = t;
    return OK;
}

void kv_tidy_stop(struct tidy *t)
{
    if (t == NULL) return;
    atomic_store(&t->stop, true);
    timer_wake(t->timer);
    pthread_join(t->thread, NULL);
    timer_free(t->timer);
    free(t);
}

void kv_tidy_at(struct tidy *t, int64_t due_s)
{
    int64_t next = atomic_load(&t->next_s);
    while (due_s < next && !atomic_compare_exchange_weak(&t->next_s, &next, due_s)) {
    }
    if (due_s < next) timer_wake(t->timer);
}
