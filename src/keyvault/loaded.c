/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keyvault/loaded.c - RSA keys as OpenSSL holds them, kept for a while after use
 *
 * To read a key and to prepare it for its first operation costs three times the operation. Only the
 * material is kept, never whether it may be used: attributes are read from the store every time. A
 * key leaves when it has not been used for a minute, when another needs its place, and when it is
 * destroyed.
 */
#include "keyvault/service.h"

#include "base/str.h"
#include "base/thread.h"

#include <stdlib.h>

#define KEYS_MAX 64
#define IDLE_US  (60 * US_PER_S)

struct loaded_key {
    char *name;
    struct rsa_key *rsa;
    unsigned users;
    bool dropped; /* no longer in the list: the last user frees it */
    int64_t used_us;
};

struct loaded_keys {
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below, the keys' members too */
    pthread_cond_t change;
    bool stop;
    struct loaded_key *keys[KEYS_MAX];
    size_t n;
};

static void key_free(struct loaded_key *k)
{
    if (k == NULL) return;
    rsa_free(k->rsa);
    free(k->name);
    free(k);
}
DEFINE_CLEANUP(key_free, struct loaded_key)

static void drop_at(struct loaded_keys *l, size_t i)
{
    struct loaded_key *k = l->keys[i];
    l->keys[i] = l->keys[--l->n];
    k->dropped = true;
    if (k->users == 0) key_free(k);
}

void kv_loaded_forget(struct loaded_keys *l, const char *prefix)
{
    LOCK_SCOPE(&l->lock);
    for (size_t i = l->n; i-- > 0;) {
        if (str_starts(l->keys[i]->name, prefix)) drop_at(l, i);
    }
}

/* --- idle keys --- */

static void drop_idle(struct loaded_keys *l)
{
    int64_t now = time_mono_us();
    for (size_t i = l->n; i-- > 0;) {
        if (l->keys[i]->users == 0 && now - l->keys[i]->used_us >= IDLE_US) drop_at(l, i);
    }
}

/* On the kernel's clock: how long a key lies in memory has nothing to do with the virtual one. */
static void *run(void *arg)
{
    struct loaded_keys *l = arg;
    LOCK_SCOPE(&l->lock);
    while (!l->stop) {
        (void)cond_wait_until(&l->change, &l->lock, time_mono_us() + IDLE_US / 4);
        drop_idle(l);
    }
    return NULL;
}

static void destroy(struct loaded_keys *l)
{
    kv_loaded_forget(l, "");
    pthread_cond_destroy(&l->change);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

enum err kv_loaded_new(struct loaded_keys **out, struct diag *d)
{
    struct loaded_keys *l = calloc(1, sizeof *l);
    if (l == NULL) return kv_out_of_memory(d);
    pthread_mutex_init(&l->lock, NULL);
    cond_init(&l->change);
    enum err e = thread_start(&l->thread, run, l, d);
    if (e == OK) {
        *out = l;
    } else {
        destroy(l);
    }
    return e;
}

static void stop(struct loaded_keys *l)
{
    LOCK_SCOPE(&l->lock);
    l->stop = true;
    pthread_cond_broadcast(&l->change);
}

void kv_loaded_free(struct loaded_keys *l)
{
    if (l == NULL) return;
    stop(l);
    pthread_join(l->thread, NULL);
    destroy(l);
}

/* --- use --- */

static struct loaded_key *use(struct loaded_key *k)
{
    k->users++;
    k->used_us = time_mono_us();
    return k;
}

static struct loaded_key *find(struct loaded_keys *l, const char *name)
{
    LOCK_SCOPE(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        if (str_eq(l->keys[i]->name, name)) return use(l->keys[i]);
    }
    return NULL;
}

/* Two threads may have loaded the same key: it is then there twice, and both are right. */
static struct loaded_key *insert(struct loaded_keys *l, struct loaded_key *k)
{
    LOCK_SCOPE(&l->lock);
    if (l->n == KEYS_MAX) {
        size_t oldest = 0;
        for (size_t i = 1; i < l->n; i++) {
            if (l->keys[i]->used_us < l->keys[oldest]->used_us) oldest = i;
        }
        drop_at(l, oldest);
    }
    l->keys[l->n++] = k;
    return use(k);
}

enum err kv_loaded_get(struct keyvault *kv, const char *place, struct loaded_key **out,
                       struct diag *d)
{
    *out = find(kv->loaded, place);
    if (*out != NULL) return OK;
    CLEANUP_BUF struct buf material = {0};
    CLEANUP(key_free) struct loaded_key *k = calloc(1, sizeof *k);
    if (k == NULL || (k->name = str_dup(place)) == NULL) return kv_out_of_memory(d);
    TRY(kvstore_get(kv->store, "material", place, &material, d));
    TRY(rsa_from_der(&k->rsa, buf_view(&material), d));
    *out = insert(kv->loaded, TAKE(k));
    return OK;
}

const struct rsa_key *kv_loaded_rsa(const struct loaded_key *k)
{
    return k->rsa;
}

void kv_loaded_put(struct keyvault *kv, struct loaded_key *k)
{
    if (k == NULL) return;
    LOCK_SCOPE(&kv->loaded->lock);
    if (--k->users == 0 && k->dropped) key_free(k);
}
