/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/storage/test_spool.h - a store whose customer's key can be suspended: keys of spools
 * as keyd makes them, counters as the server keeps them
 */
#pragma once

#include "test_store.h"

#include <stdatomic.h>

#define SPOOL_RECORD_LEN 64

struct spool_bench {
    struct bench b;
    _Atomic uint64_t counted;             /* rows that the store says are in the spool */
    _Atomic uint64_t put_back, destroyed; /* what it says became of them */
    _Atomic unsigned ends;
    _Atomic bool refuse_counts;
};

/* The record holds the key itself, and its hash: what counts here is where it lies. */
static inline enum err test_spool_make(void *self, const uint8_t account[16], struct buf *record,
                                       struct diag *d)
{
    struct spool_bench *s = self;
    enum err state = test_keys_state(&s->b.keys, account);
    if (state == ERR_KEY_LOCKED) return FAIL(d, state, "revoked");
    if (state == OK) return FAIL(d, ERR_CONFLICT, "not suspended");
    uint8_t r[SPOOL_RECORD_LEN];
    rand_bytes(r, 32);
    sha256(bytes_of(r, 32), r + 32);
    buf_bytes(record, BYTES_OF(r));
    return buf_check(record, d);
}

static inline enum err test_spool_key(const struct spool_ask *q, struct file_ident *f, bool fresh,
                                      struct file_key **out, struct diag *d)
{
    CLEANUP(secret_free) struct secret *aek = NULL, *key = NULL;
    TRY(secret_of(&aek, bytes_of(q->record.p, 32), d));
    TRY(file_key_derive(aek, f, fresh, &key, d));
    return file_key_new(out, f, secret_view(key), d);
}

static inline enum err test_spool_keys(void *self, const struct spool_ask *q, struct file_key **out,
                                       struct diag *d)
{
    struct spool_bench *s = self;
    uint8_t hash[32];
    enum err state = test_keys_state(&s->b.keys, q->account);
    if (state == ERR_KEY_LOCKED) return FAIL(d, state, "revoked");
    if (state == OK && q->new_file_id != NULL) return FAIL(d, ERR_CONFLICT, "not suspended");
    if (q->record.len != SPOOL_RECORD_LEN) return FAIL(d, ERR_CORRUPT, "no record of ours");
    sha256(bytes_of(q->record.p, 32), hash);
    if (memcmp(hash, q->record.p + 32, 32) != 0) return FAIL(d, ERR_CORRUPT, "a changed record");
    uint32_t n = q->n_files + (q->new_file_id != NULL), i = 0;
    enum err e = OK;
    for (; e == OK && i < n; i++) {
        struct file_ident f = {.otype = OTYPE_SPOOL, .suite = SUITE_0001, .aek_id = {7}};
        if (i < q->n_files) {
            f = q->files[i];
        } else {
            memcpy(f.account, q->account, 16);
            memcpy(f.file_id, q->new_file_id, 16);
            rand_bytes(f.file_salt, sizeof f.file_salt);
        }
        e = test_spool_key(q, &f, i == q->n_files, &out[i], d);
    }
    while (e != OK && i-- > 0)
        file_key_free(TAKE(out[i]));
    return e;
}

static const struct spool_ops test_spool_ops = {.make = test_spool_make, .keys = test_spool_keys};

static inline enum err test_counted(void *ctx, const uint8_t account[16], const struct guid *table,
                                    uint64_t rows, struct diag *d)
{
    struct spool_bench *s = ctx;
    (void)account, (void)table;
    if (s->refuse_counts) return FAIL(d, ERR_IO, "no space left on device");
    s->counted += rows;
    return OK;
}

static inline enum err test_emptied(void *ctx, const uint8_t account[16],
                                    const struct spool_end *end, struct diag *d)
{
    struct spool_bench *s = ctx;
    (void)account, (void)d;
    s->ends++;
    uint64_t kept = 0;
    for (uint32_t i = 0; i < end->n_tables; i++)
        kept += end->tables[i].rows;
    if (end->is_destroyed) {
        s->destroyed += s->counted;
    } else {
        s->put_back += kept;
    }
    s->counted = 0;
    return OK;
}

static inline enum err spool_bench_open(struct spool_bench *s, const char *name, struct diag *d)
{
    s->b.config.spool.ops = &test_spool_ops;
    s->b.config.spool.self = s;
    s->b.config.spool.counted = test_counted;
    s->b.config.spool.emptied = test_emptied;
    s->b.config.spool.ctx = s;
    return bench_open(&s->b, name, d);
}

static inline enum err spool_ids(struct bench *b, uint64_t from, uint32_t n, const uint8_t *id,
                                 bool *repeated, struct diag *d)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make_rows(&a, from, n, &rows);
    return store_spool_append(b->store, b->table, customer, &rows, id, repeated, d);
}

/* keyd and the server in one: the state changes, the store follows. */
static inline void suspend(struct bench *b)
{
    test_keys_set(&b->keys, customer, ERR_UNAVAILABLE);
    store_account_lock(b->store, customer);
}

static inline enum err take_key(struct bench *b, struct diag *d)
{
    test_keys_set(&b->keys, customer, ERR_KEY_LOCKED);
    store_account_lock(b->store, customer);
    return store_spool_destroy(b->store, customer, d);
}

static inline enum err restore(struct bench *b, struct diag *d)
{
    test_keys_set(&b->keys, customer, OK);
    return store_account_open(b->store, customer, d);
}
