/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/test_keys.h - key_ops with an account key that follows from the account's id
 *
 * The sealing itself is the real one. test_keys_set() plays keyd: locking an account wipes every
 * file key of it that was handed out, as the custody client does.
 */
#pragma once

#include "crypto/secret.h"
#include "base/rand.h"
#include "base/time.h"
#include "storage/keys.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TEST_KEYS_MAX 4096

struct test_keys {
    struct keys keys;
    pthread_mutex_t lock;
    struct {
        uint8_t account[16];
        enum err state;
    } states[16];
    size_t n_states;
    struct file_key *out[TEST_KEYS_MAX]; /* handed out and not released */
    size_t n_out, n_created;
    bool is_double;     /* files, not catalogue entries, are sealed twice */
    uint8_t generation; /* of the account keys that seal new files */
    _Atomic bool
        holds; /* who asks for keys of files waits until it is false, two minutes at most */
    _Atomic unsigned n_held, n_held_to_the_end;
};

static inline enum err test_keys_state(struct test_keys *t, const uint8_t account[16])
{
    for (size_t i = 0; i < t->n_states; i++) {
        if (memcmp(t->states[i].account, account, 16) == 0) return t->states[i].state;
    }
    return OK;
}

static inline enum err test_keys_check(void *self, const uint8_t account[16], struct diag *d)
{
    struct test_keys *t = self;
    pthread_mutex_lock(&t->lock);
    enum err e = test_keys_state(t, account);
    pthread_mutex_unlock(&t->lock);
    return e == OK ? OK : FAIL(d, e, "the test has taken this account's key");
}

static inline enum err test_keys_double(struct file_key *k, struct diag *d)
{
    static const uint8_t iek_id[16] = {0x1e};
    static const uint8_t iek_bytes[32] = "the infrastructure key of tests";
    CLEANUP(secret_free) struct secret *iek = NULL, *key = NULL;
    struct outer_key *outer = NULL;
    TRY(secret_of(&iek, BYTES_OF(iek_bytes), d));
    TRY(outer_file_key_derive(iek, iek_id, file_key_ident(k), &key, d));
    TRY(outer_key_new(&outer, iek_id, file_key_ident(k), secret_view(key), d));
    file_key_double(k, outer);
    return OK;
}

static inline enum err test_keys_make(struct test_keys *t, struct file_ident *f, bool is_new,
                                      struct file_key **out, struct diag *d)
{
    TRY(test_keys_check(t, f->account, d));
    uint8_t bytes[32], names[32];
    memcpy(names, f->account, 16);
    memcpy(names + 16, f->aek_id, 16);
    sha256(BYTES_OF(names), bytes);
    CLEANUP(secret_free) struct secret *aek = NULL, *key = NULL;
    TRY(secret_of(&aek, BYTES_OF(bytes), d));
    TRY(file_key_derive(aek, f, is_new, &key, d));
    TRY(file_key_new(out, f, secret_view(key), d));
    if (t->is_double && f->otype != OTYPE_CATALOG) TRY(test_keys_double(*out, d));
    pthread_mutex_lock(&t->lock);
    if (t->n_out == TEST_KEYS_MAX) abort();
    t->out[t->n_out++] = *out;
    t->n_created += is_new;
    pthread_mutex_unlock(&t->lock);
    return OK;
}

static inline enum err test_keys_create(void *self, const uint8_t account[16], enum otype otype,
                                        const uint8_t file_id[16], struct file_key **out,
                                        struct diag *d)
{
    struct file_ident f = {.otype = (uint8_t)otype, .suite = SUITE_0001, .aek_id = {1, 2, 3}};
    f.aek_id[3] = ((struct test_keys *)self)->generation;
    memcpy(f.account, account, 16);
    memcpy(f.file_id, file_id, 16);
    rand_bytes(f.file_salt, sizeof f.file_salt);
    return test_keys_make(self, &f, true, out, d);
}

static inline void test_keys_release(void *self, struct file_key *k)
{
    struct test_keys *t = self;
    if (k == NULL) return;
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; i < t->n_out; i++) {
        if (t->out[i] == k) t->out[i] = t->out[--t->n_out];
    }
    pthread_mutex_unlock(&t->lock);
    file_key_free(k);
}

static inline void test_keys_hold(struct test_keys *t)
{
    if (!t->holds) return;
    t->n_held++;
    for (int i = 0; t->holds && i < 12000; i++)
        time_sleep_us(10000);
    t->n_held_to_the_end += t->holds;
    t->n_held--;
}

static inline enum err test_keys_open(void *self, const uint8_t account[16],
                                      const struct file_ident *files, size_t n,
                                      struct file_key **out, struct diag *d)
{
    test_keys_hold(self);
    for (size_t i = 0; i < n; i++) {
        struct file_ident f = files[i];
        enum err e = memcmp(f.account, account, 16) == 0
                         ? test_keys_make(self, &f, false, &out[i], d)
                         : FAIL(d, ERR_CORRUPT, "another account's file");
        if (e == OK) continue;
        while (i-- > 0)
            test_keys_release(self, TAKE(out[i]));
        return e;
    }
    return OK;
}

static const struct key_ops test_key_ops = {
    .create = test_keys_create,
    .open = test_keys_open,
    .release = test_keys_release,
    .check = test_keys_check,
};

static inline void test_keys_init(struct test_keys *t)
{
    *t = (struct test_keys){.keys = {&test_key_ops, t}};
    pthread_mutex_init(&t->lock, NULL);
}

/* OK gives the account back; anything else takes it away. */
static inline void test_keys_set(struct test_keys *t, const uint8_t account[16], enum err state)
{
    pthread_mutex_lock(&t->lock);
    size_t i = 0;
    while (i < t->n_states && memcmp(t->states[i].account, account, 16) != 0)
        i++;
    if (i == sizeof t->states / sizeof t->states[0]) abort();
    if (i == t->n_states) memcpy(t->states[t->n_states++].account, account, 16);
    t->states[i].state = state;
    for (size_t k = 0; state != OK && k < t->n_out; k++) {
        if (memcmp(file_key_ident(t->out[k])->account, account, 16) == 0)
            file_key_wipe(t->out[k], state);
    }
    pthread_mutex_unlock(&t->lock);
}
