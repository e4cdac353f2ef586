/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/lease.c - file keys for the holder, as long as the account's state allows
 *
 * (1) A lease never lasts longer than LEASE_S_MAX, nor than the scope's bound. While the vault
 *     answers it also ends one bound after the last good unwrap was asked for: whatever happens to
 *     the holder, no key outlives a denial by more than the bound. While the vault is silent
 *     (STALE) the outage policy is the bound: a lease ends when that has had enough.
 * (2) The audit line of a lease is durable before the key leaves; the state is looked at again
 *     after it.
 */
#include "base/rand.h"
#include "base/str.h"
#include "crypto/hash.h"
#include "custody/core.h"

#include <stdlib.h>

uint64_t lease_us(struct keyd *k, const struct account *a)
{
    if (!key_state_leases(a->at.state) || a->removed) return 0;
    int64_t bound = scope_policy(k, a->scope).bound_s * US_PER_S;
    int64_t most = LEASE_S_MAX * US_PER_S < bound ? LEASE_S_MAX * US_PER_S : bound;
    int64_t left = a->at.state == KEY_STALE ? account_patience_us(k, a)
                                            : a->good_boot_us + bound - time_boot_us(); /* (1) */
    if (left < 0) left = 0;
    return (uint64_t)(left < most ? left : most);
}

/* Under lock: may this account's keys be handed out now? */
static enum err may_lease(struct keyd *k, const struct account *a, struct diag *d)
{
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    if (a->at.state == KEY_REVOKED) {
        return FAIL(d, ERR_KEY_LOCKED, "the customer has withdrawn the key of account %s", a->hex);
    }
    if (lease_us(k, a) == 0) {
        return FAIL(d, ERR_UNAVAILABLE, "account %s is %s: no lease now", a->hex,
                    key_state_name(a->at.state));
    }
    return OK;
}

struct request {
    uint8_t account[16];
    char hex[33];
    uint64_t lease_us;
    struct buf keys; /* answers so far */
};

static void request_release(struct request *q)
{
    buf_release(&q->keys);
}
#define CLEANUP_REQUEST __attribute__((cleanup(request_release)))

/* (2) Writes the line, looks again, and starts the answer with the lease's length. */
static enum err hand_out(struct keyd *k, struct request *q, const char *op, uint32_t n,
                         struct bytes file_ids, struct buf *out, struct diag *d)
{
    uint8_t digest[32];
    char sha[65];
    sha256(file_ids, digest);
    hex_encode(bytes_of(digest, sizeof digest), sha);
    TRY(AUDIT(k->audit, d, "lease", F_STR("account", q->hex), F_STR("op", op), F_U64("files", n),
              F_STR("sha256", sha)));
    pthread_mutex_lock(&k->lock);
    const struct account *a = account_find(k, q->account);
    enum err e = may_lease(k, a, d);
    if (e == OK) q->lease_us = lease_us(k, a);
    pthread_mutex_unlock(&k->lock);
    TRY(e);
    buf_u64(out, q->lease_us);
    buf_bytes(out, buf_view(&q->keys));
    return buf_check(out, d);
}

static enum err denied(struct keyd *k, const struct request *q, const char *op, enum err e,
                       const struct diag *why, struct diag *d)
{
    /* The line may fail: nothing is handed out either way. */
    (void)AUDIT(k->audit, NULL, "lease.denied", F_STR("account", q->hex), F_STR("op", op),
                F_STR("reason", err_name(e)));
    return FAIL_TAG(d, e, why->tag, "%s", why->text);
}

/* Which files have a second layer: entries of the catalogue are no files of their own. */
static bool is_framed(const struct account *a, uint8_t otype)
{
    return a->scope->rec.is_double &&
           (otype == OTYPE_SEGMENT || otype == OTYPE_WAL || otype == OTYPE_SPOOL);
}

/* Under lock: derives one file key and appends it, both layers' where there are two. */
enum err lease_derive(const struct keyd *k, const struct account *a, const struct secret *aek,
                      struct file_ident *f, bool is_new, struct buf *keys, struct diag *d)
{
    CLEANUP(secret_free) struct secret *key = NULL, *outer = NULL;
    bool framed = is_framed(a, f->otype);
    if (framed) TRY(iek_need(k, d));
    TRY(file_key_derive(aek, f, is_new, &key, d));
    buf_u8(keys, framed ? 2 : 1);
    buf_bytes(keys, secret_view(key));
    if (framed) {
        TRY(outer_file_key_derive(k->iek.key, k->iek.id, f, &outer, d));
        buf_bytes(keys, BYTES_OF(k->iek.id));
        buf_bytes(keys, secret_view(outer));
    }
    return buf_check(keys, d);
}

static enum err derive_new(struct keyd *k, const struct request *q, struct file_ident *f,
                           struct buf *keys, struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    const struct account *a = account_find(k, q->account);
    TRY(may_lease(k, a, d));
    const struct aek *x = a->n_aeks != 0 ? &a->aeks[a->n_aeks - 1] : NULL;
    if (x == NULL || x->key == NULL) {
        return FAIL(d, ERR_UNAVAILABLE, "account %s has no key in memory", a->hex);
    }
    memcpy(f->aek_id, x->wrap.aek_id, 16);
    f->suite = x->wrap.suite;
    return lease_derive(k, a, x->key, f, true, keys, d);
}

enum err lease_file_create(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    CLEANUP_REQUEST struct request q = {0};
    struct file_ident f = {0};
    rd_copy(in, q.account, sizeof q.account);
    f.otype = rd_u8(in);
    rd_copy(in, f.file_id, sizeof f.file_id);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "lease: the request does not parse");
    if (f.otype < OTYPE_SEGMENT || f.otype > OTYPE_STATE) {
        return FAIL(d, ERR_INVALID, "lease: file type %u", f.otype);
    }
    hex_encode(bytes_of(q.account, 16), q.hex);
    memcpy(f.account, q.account, 16);
    rand_bytes(f.file_salt, sizeof f.file_salt);

    CLEANUP_BUF struct buf key = {0};
    struct diag why = DIAG_INIT;
    enum err e = derive_new(k, &q, &f, &key, &why);
    if (e != OK) return denied(k, &q, "create", e, &why, d);
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(&f, header);
    buf_bytes(&q.keys, bytes_of(header, sizeof header));
    buf_bytes(&q.keys, buf_view(&key));
    return hand_out(k, &q, "create", 1, bytes_of(f.file_id, 16), out, d);
}

static enum err derive_old(struct keyd *k, struct request *q, struct file_ident *files, uint32_t n,
                           struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    struct account *a = account_find(k, q->account);
    TRY(may_lease(k, a, d));
    for (uint32_t i = 0; i < n; i++) {
        const struct aek *x = account_aek(a, files[i].aek_id);
        if (x == NULL) return FAIL(d, ERR_CORRUPT, "account %s never had this file's key", a->hex);
        if (x->key == NULL) {
            return FAIL(d, ERR_UNAVAILABLE, "account %s has no key in memory", a->hex);
        }
        TRY(lease_derive(k, a, x->key, &files[i], false, &q->keys, d));
    }
    return OK;
}

static enum err read_files(struct rd *in, const struct request *q, struct file_ident *files,
                           uint32_t n, struct buf *ids, struct diag *d)
{
    for (uint32_t i = 0; i < n; i++) {
        TRY(file_header_decode(rd_bytes(in, FILE_HEADER_LEN), &files[i], d));
        if (memcmp(files[i].account, q->account, 16) != 0) {
            return FAIL(d, ERR_CORRUPT, "lease: a file of another account");
        }
        buf_bytes(ids, bytes_of(files[i].file_id, 16));
    }
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "lease: the request does not parse");
    return buf_check(ids, d);
}

enum err lease_file_open(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    CLEANUP_REQUEST struct request q = {0};
    CLEANUP_BUF struct buf ids = {0};
    rd_copy(in, q.account, sizeof q.account);
    uint32_t n = rd_u32(in);
    if (n == 0 || n > FILES_MAX)
        return FAIL(d, ERR_LIMIT, "lease: 1 to %d files at once", FILES_MAX);
    hex_encode(bytes_of(q.account, 16), q.hex);
    CLEANUP_FREE struct file_ident *files = calloc(n, sizeof *files);
    if (files == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(read_files(in, &q, files, n, &ids, d));

    struct diag why = DIAG_INIT;
    enum err e = derive_old(k, &q, files, n, &why);
    if (e != OK) return denied(k, &q, "open", e, &why, d);
    return hand_out(k, &q, "open", n, buf_view(&ids), out, d);
}

enum err lease_renew(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    uint32_t n = rd_u32(in);
    if (n > ACCOUNTS_MAX)
        return FAIL(d, ERR_LIMIT, "leases: at most %d accounts at once", ACCOUNTS_MAX);
    struct bytes ids = rd_bytes(in, (size_t)n * 16);
    uint64_t entries = rd_u64(in);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "leases: the request does not parse");
    entries_told(k, entries);
    uint8_t digest[32];
    char sha[65];
    sha256(ids, digest);
    hex_encode(bytes_of(digest, sizeof digest), sha);
    TRY(AUDIT(k->audit, d, "leases", F_U64("accounts", n), F_STR("sha256", sha)));

    LOCK_SCOPE(&k->lock);
    if (!k->ready) return FAIL(d, ERR_UNAVAILABLE, "keyd has no platform key yet");
    for (uint32_t i = 0; i < n; i++) {
        const struct account *a = account_find(k, ids.p + 16 * i);
        struct news news = {0}; /* unknown: no lease, no news */
        if (a != NULL) news = account_news(k, a);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): rd_done() has seen all of ids */
        memcpy(news.account, ids.p + 16 * i, 16);
        put_news(out, &news);
    }
    return buf_check(out, d);
}
