/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/custody/test_vault.h - a vault in memory behind custody/kek.h: real RSA and AES keys,
 * answers that a test can switch
 *
 * Names: https://VAULT/keys/KEY/VERSION. A vault's mood is switched by its URI, a version by
 * enabling it.
 */
#pragma once

#include "base/str.h"
#include "base/thread.h"
#include "base/time.h"
#include "crypto/keywrap.h"
#include "custody/kek.h"

#include <stdio.h>
#include <stdlib.h>

enum mood {
    MOOD_GOOD,
    MOOD_DENIED,  /* 403 AccessDenied on unwrap */
    MOOD_SILENT,  /* no answer, at once */
    MOOD_HANGS,   /* no answer, after the whole timeout */
    MOOD_STUCK,   /* no answer, and none before the test changes the mood */
    MOOD_BARRED,  /* a firewall */
    MOOD_LIES,    /* unwraps to something else */
    MOOD_NO_WRAP, /* 403 on wrap, a good unwrap: the right to wrap was taken away */
    MOOD_TOKEN,   /* our token is refused twice */
    MOOD_BUSY,    /* 429 with Retry-After: 40 */
    MOOD_SLOW,    /* a good answer, after a while */
};

#define TV_KEYS 256

struct tv_key {
    char vault_uri[128], name[64], version[64];
    struct rsa_key *rsa;
    struct secret *aes;
    bool enabled, purgeable;
    int64_t expires_us; /* 0 = never */
};

struct test_vault {
    pthread_mutex_t lock;
    struct tv_key keys[TV_KEYS]; /* later ones are later versions */
    size_t n_keys;
    struct {
        char uri[128];
        enum mood mood;
    } moods[8];
    unsigned n_describe, n_wrap, n_unwrap, n_fresh;
};

static inline void tv_init(struct test_vault *v)
{
    memset(v, 0, sizeof *v);
    pthread_mutex_init(&v->lock, NULL);
}

static inline void tv_release(struct test_vault *v)
{
    for (size_t i = 0; i < v->n_keys; i++) {
        rsa_free(v->keys[i].rsa);
        secret_free(v->keys[i].aes);
    }
    pthread_mutex_destroy(&v->lock);
}

/* Making an RSA key takes a second; the n-th of each vault is the same in all tests of a program.
 */
static inline enum err tv_rsa(size_t n, struct rsa_key **out)
{
    static struct secret *made[TV_KEYS];
    if (made[n] != NULL) return rsa_from_der(out, secret_view(made[n]), NULL);
    TRY(rsa_generate(out, 2048, NULL));
    return rsa_to_der(*out, &made[n], NULL);
}

static inline void tv_add(struct test_vault *v, const char *uri, const char *name,
                          const char *version, bool aes)
{
    LOCK_SCOPE(&v->lock);
    struct tv_key *k = &v->keys[v->n_keys++];
    snprintf(k->vault_uri, sizeof k->vault_uri, "%s", uri);
    snprintf(k->name, sizeof k->name, "%s", name);
    snprintf(k->version, sizeof k->version, "%s", version);
    k->enabled = true;
    enum err e = aes ? secret_random(&k->aes, 32, NULL) : tv_rsa(v->n_keys - 1, &k->rsa);
    if (e != OK) abort();
}

static inline void tv_mood(struct test_vault *v, const char *uri, enum mood mood)
{
    LOCK_SCOPE(&v->lock);
    for (size_t i = 0; i < 8; i++) {
        if (v->moods[i].uri[0] != 0 && !str_eq(v->moods[i].uri, uri)) continue;
        snprintf(v->moods[i].uri, sizeof v->moods[i].uri, "%s", uri);
        v->moods[i].mood = mood;
        return;
    }
}

static inline void tv_enable(struct test_vault *v, const char *name, const char *version, bool on)
{
    LOCK_SCOPE(&v->lock);
    for (size_t i = 0; i < v->n_keys; i++) {
        struct tv_key *k = &v->keys[i];
        if (str_eq(k->name, name) && (version == NULL || str_eq(k->version, version)))
            k->enabled = on;
    }
}

static inline unsigned tv_unwraps(struct test_vault *v)
{
    LOCK_SCOPE(&v->lock);
    return v->n_unwrap;
}

/* Under lock. */
static inline enum mood tv_mood_of(struct test_vault *v, const char *uri)
{
    for (size_t i = 0; i < 8; i++) {
        size_t n = strlen(v->moods[i].uri);
        if (n != 0 && strncmp(v->moods[i].uri, uri, n) == 0) return v->moods[i].mood;
    }
    return MOOD_GOOD;
}

static inline bool tv_is_stuck(struct test_vault *v, const char *uri)
{
    LOCK_SCOPE(&v->lock);
    return tv_mood_of(v, uri) == MOOD_STUCK;
}

static inline enum err tv_weather(struct test_vault *v, const char *uri, const struct kek_call *c,
                                  enum mood *mood, struct diag *d)
{
    pthread_mutex_lock(&v->lock);
    *mood = tv_mood_of(v, uri);
    pthread_mutex_unlock(&v->lock);
    while (*mood == MOOD_STUCK && tv_is_stuck(v, uri))
        time_sleep_us(3000);
    if (*mood == MOOD_HANGS) time_sleep_us((int64_t)c->timeout_ms * 1000);
    if (*mood == MOOD_SLOW) time_sleep_us(3000);
    if (*mood == MOOD_HANGS || *mood == MOOD_STUCK || *mood == MOOD_SILENT) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "Timeout", "the vault does not answer");
    }
    if (*mood == MOOD_TOKEN) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "TokenRefused", "the client secret has expired");
    }
    if (*mood == MOOD_BUSY) {
        if (c->retry_after_s != NULL) *c->retry_after_s = 40;
        return FAIL_TAG(d, ERR_UNAVAILABLE, "Throttled", "too many requests");
    }
    if (*mood == MOOD_BARRED) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "Firewall", "the client address is not authorized");
    }
    return OK;
}

/* Under lock; the latest when version is "". */
static inline struct tv_key *tv_find(struct test_vault *v, const char *uri, const char *name,
                                     const char *version)
{
    for (size_t i = v->n_keys; i != 0; i--) {
        struct tv_key *k = &v->keys[i - 1];
        if (!str_eq(k->vault_uri, uri) || !str_eq(k->name, name)) continue;
        if (version[0] == 0 || str_eq(k->version, version)) return k;
    }
    return NULL;
}

static inline enum err tv_gone(struct diag *d)
{
    return FAIL_TAG(d, ERR_DENIED, "KeyNotFound", "the key was not found in this vault");
}

static inline enum err tv_describe(void *ctx, const struct kek_call *c, struct kek_info *out,
                                   struct diag *d)
{
    struct test_vault *v = ctx;
    enum mood mood;
    if (tv_weather(v, c->kek->vault_uri, c, &mood, d) != OK) return ERR_UNAVAILABLE;
    LOCK_SCOPE(&v->lock);
    v->n_describe++;
    const struct tv_key *k = tv_find(v, c->kek->vault_uri, c->kek->key_name, c->kek->key_version);
    if (k == NULL) return tv_gone(d);
    *out = (struct kek_info){.type_usable = true,
                             .rsa_bits = k->aes != NULL ? 0 : 2048,
                             .alg = k->aes != NULL ? WRAP_A256KW : WRAP_RSA_OAEP_256,
                             .enabled = k->enabled,
                             .recoverable = !k->purgeable,
                             .expires_us = k->expires_us};
    snprintf(out->version, sizeof out->version, "%s", k->version);
    snprintf(out->kek_id, sizeof out->kek_id, "%s/keys/%s/%s", k->vault_uri, k->name, k->version);
    return OK;
}

static inline enum err tv_wrap(void *ctx, const struct kek_call *c, const struct kek_info *info,
                               struct bytes plain, struct wrapped *out, struct diag *d)
{
    struct test_vault *v = ctx;
    enum mood mood;
    if (tv_weather(v, c->kek->vault_uri, c, &mood, d) != OK) return ERR_UNAVAILABLE;
    if (mood == MOOD_NO_WRAP) return FAIL_TAG(d, ERR_DENIED, "KeyExpired", "the key has expired");
    LOCK_SCOPE(&v->lock);
    v->n_wrap++;
    const struct tv_key *k = tv_find(v, c->kek->vault_uri, c->kek->key_name, info->version);
    if (k == NULL) return tv_gone(d);
    if (!k->enabled) return FAIL_TAG(d, ERR_DENIED, "KeyDisabled", "the key is disabled");
    CLEANUP_BUF struct buf blob = {0};
    enum err e = k->aes != NULL ? aes_kw_wrap(secret_view(k->aes), plain, &blob, d)
                                : rsa_encrypt(k->rsa, RSA_OAEP_SHA256, plain, &blob, d);
    if (e != OK) return e;
    *out = (struct wrapped){.alg = info->alg, .len = (uint16_t)blob.len};
    memcpy(out->blob, blob.p, blob.len);
    snprintf(out->kek_id, sizeof out->kek_id, "%s", info->kek_id);
    return OK;
}

/* Under lock. */
static inline struct tv_key *tv_find_id(struct test_vault *v, const char *kek_id)
{
    for (size_t i = 0; i < v->n_keys; i++) {
        char id[KEK_ID_MAX];
        struct tv_key *k = &v->keys[i];
        snprintf(id, sizeof id, "%s/keys/%s/%s", k->vault_uri, k->name, k->version);
        if (str_eq(id, kek_id)) return k;
    }
    return NULL;
}

static inline enum err tv_unwrap(void *ctx, const struct kek_call *c, const struct wrapped *w,
                                 struct secret **out, struct diag *d)
{
    struct test_vault *v = ctx;
    enum mood mood;
    if (tv_weather(v, w->kek_id, c, &mood, d) != OK) return ERR_UNAVAILABLE;
    LOCK_SCOPE(&v->lock);
    v->n_unwrap++;
    v->n_fresh += c->fresh;
    const struct tv_key *k = tv_find_id(v, w->kek_id);
    if (k == NULL) return tv_gone(d);
    if (mood == MOOD_DENIED)
        return FAIL_TAG(d, ERR_DENIED, "AccessDenied", "no unwrapKey permission");
    if (!k->enabled) return FAIL_TAG(d, ERR_DENIED, "KeyDisabled", "the key is disabled");
    if (mood == MOOD_LIES) return secret_random(out, 32, d);
    struct bytes blob = bytes_of(w->blob, w->len);
    return k->aes != NULL ? aes_kw_unwrap(secret_view(k->aes), blob, out, d)
                          : rsa_decrypt(k->rsa, RSA_OAEP_SHA256, blob, out, d);
}

static inline struct kek_port tv_port(struct test_vault *v)
{
    return (struct kek_port){
        .ctx = v, .describe = tv_describe, .wrap = tv_wrap, .unwrap = tv_unwrap};
}
