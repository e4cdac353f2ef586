/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/spool.c - keys for rows that come while an account is SUSPENDED
 *
 * A spool has an AEK of its own, wrapped by the platform's KEK: 32 random bytes per account and
 * outage, which live here only as long as a call takes. The record goes to the log service, which
 * keeps it in its slot and nowhere else.
 *
 * (1) A spool is made, and gets new files, only while the account is SUSPENDED.
 * (2) It is opened in any state but REVOKED, and never after a REVOKED that came behind it: the
 *     record says how many there had been. So a slot that is put back from a copy opens nothing.
 * (3) The audit line of each use is durable before the key is used, and the state is looked at
 *     again after it.
 */
#include "base/log.h"
#include "base/rand.h"
#include "base/str.h"
#include "custody/core.h"

#include <stdio.h>
#include <stdlib.h>

#define CALL_MS         5000
#define SPOOL_FILES_MAX 4096 /* in one exchange */

/* Under lock. (1), (2) */
static enum err may_spool(struct keyd *k, const uint8_t id[16], bool is_new, uint32_t *revocations,
                          struct diag *d)
{
    const struct account *a = account_find(k, id);
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    if (a->at.state == KEY_REVOKED) {
        return FAIL(d, ERR_KEY_LOCKED, "the customer has withdrawn the key of account %s", a->hex);
    }
    if (a->damaged) return FAIL(d, ERR_UNAVAILABLE, "account %s is damaged", a->hex);
    if (is_new && a->at.state != KEY_SUSPENDED) {
        return FAIL(d, ERR_CONFLICT, "account %s is %s: nothing is spooled", a->hex,
                    key_state_name(a->at.state));
    }
    *revocations = a->revocations;
    return OK;
}

static enum err ask(struct keyd *k, const uint8_t id[16], bool is_new, uint32_t *revocations,
                    struct diag *d)
{
    LOCK_SCOPE(&k->lock);
    return may_spool(k, id, is_new, revocations, d);
}

/* --- making ----------------------------------------------------------------------------------- */

static enum err make_wrap(struct keyd *k, struct wrap *w, struct diag *d)
{
    struct kek_info info;
    struct kek_call call = {.kek = &k->platform, .timeout_ms = CALL_MS};
    CLEANUP(secret_free) struct secret *aek = NULL;
    TRY(k->port.describe(k->port.ctx, &call, &info, d));
    TRY(secret_random(&aek, AEK_LEN, d));
    rand_bytes(w->aek_id, sizeof w->aek_id);
    TRY(aek_commitment(aek, w->suite, w->account, w->aek_id, w->gen, w->commit, d));
    return k->port.wrap(k->port.ctx, &call, &info, secret_view(aek), &w->w, d);
}

/* Under lock. From here on the version is needed, until the account serves again or is revoked. */
static void note_version(struct keyd *k, const struct wrap *w)
{
    struct account *a = account_find(k, w->account);
    if (a == NULL) return;
    snprintf(a->spool_kek, sizeof a->spool_kek, "%s", w->w.kek_id);
    a->spool_known = true;
}

enum err spool_make(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    struct wrap w = {
        .serial = 1, .suite = SUITE_0001, .state = WRAP_ACTIVE, .created_us = time_now_us()};
    char hex[33];
    rd_copy(in, w.account, sizeof w.account);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "spool: the request does not parse");
    hex_encode(bytes_of(w.account, 16), hex);
    TRY(ask(k, w.account, true, &w.gen, d));
    TRY(make_wrap(k, &w, d));
    TRY(AUDIT(k->audit, d, "wrap", F_STR("account", hex), F_STR("kek", w.w.kek_id),
              F_STR("purpose", "spool")));
    CLEANUP_BUF struct buf record = {0};
    uint32_t now;
    LOCK_SCOPE(&k->lock); /* (3) */
    TRY(may_spool(k, w.account, true, &now, d));
    if (now != w.gen) return FAIL(d, ERR_CONFLICT, "account %s was revoked meanwhile", hex);
    TRY(spool_encode(&w, k->mk, &record, d));
    note_version(k, &w);
    buf_blob(out, buf_view(&record));
    return buf_check(out, d);
}

/* --- keys of its files ------------------------------------------------------------------------ */

struct spool_request {
    uint8_t account[16];
    char hex[33];
    struct wrap wrap;
    struct file_ident *files; /* n old ones, then the new one */
    uint32_t n;
    bool is_new;
    struct buf keys;
};

static void request_release(struct spool_request *q)
{
    buf_release(&q->keys);
    free(q->files);
}

static enum err read_wrap(struct keyd *k, struct spool_request *q, struct bytes record,
                          struct diag *d)
{
    TRY(spool_decode(record, k->mk, &q->wrap, d));
    if (memcmp(q->wrap.account, q->account, 16) == 0) return OK;
    return FAIL(d, ERR_CORRUPT, "spool: the record belongs to another account");
}

static enum err read_request(struct keyd *k, struct spool_request *q, struct rd *in, struct diag *d)
{
    rd_copy(in, q->account, sizeof q->account);
    hex_encode(bytes_of(q->account, 16), q->hex);
    struct bytes record = rd_blob(in);
    q->n = rd_u32(in);
    if (in->bad || q->n > SPOOL_FILES_MAX) {
        return FAIL(d, ERR_LIMIT, "spool: at most %d files at once", SPOOL_FILES_MAX);
    }
    q->files = calloc(q->n + 1, sizeof *q->files);
    if (q->files == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < q->n; i++)
        TRY(file_header_decode(rd_bytes(in, FILE_HEADER_LEN), &q->files[i], d));
    struct file_ident *fresh = &q->files[q->n];
    q->is_new = rd_u8(in) == 1;
    if (q->is_new) rd_copy(in, fresh->file_id, sizeof fresh->file_id);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "spool: the request does not parse");
    TRY(read_wrap(k, q, record, d));
    fresh->otype = OTYPE_SPOOL;
    fresh->suite = q->wrap.suite;
    memcpy(fresh->account, q->account, 16);
    memcpy(fresh->aek_id, q->wrap.aek_id, 16);
    rand_bytes(fresh->file_salt, sizeof fresh->file_salt);
    return OK;
}

static enum err unwrap(struct keyd *k, const struct spool_request *q, struct secret **out,
                       struct diag *d)
{
    const struct wrap *w = &q->wrap;
    struct kek_call call = {.kek = &k->platform, .timeout_ms = CALL_MS};
    CLEANUP(secret_free) struct secret *aek = NULL;
    uint8_t commit[32];
    TRY(k->port.unwrap(k->port.ctx, &call, &w->w, &aek, d));
    TRY(AUDIT(k->audit, d, "unwrap", F_STR("account", q->hex), F_STR("kek", w->w.kek_id),
              F_STR("purpose", "spool"), F_U64("files", q->n + q->is_new)));
    TRY(aek_commitment(aek, w->suite, w->account, w->aek_id, w->gen, commit, d));
    if (!secret_eq(bytes_of(commit, 32), bytes_of(w->commit, 32))) {
        LOG(ERROR, "key.mismatch", F_STR("account", q->hex), F_STR("kek", w->w.kek_id));
        return FAIL(d, ERR_UNAVAILABLE, "what the vault unwrapped is not this spool's key");
    }
    *out = TAKE(aek);
    return OK;
}

/* Under lock. */
static enum err derive_one(struct keyd *k, struct spool_request *q, const struct secret *aek,
                           uint32_t i, struct diag *d)
{
    struct file_ident *f = &q->files[i];
    bool fresh = i == q->n;
    const struct account *a = account_find(k, q->account);
    CLEANUP_BUF struct buf key = {0};
    if (a == NULL) return FAIL(d, ERR_NOT_FOUND, "keyd knows no such account");
    if (f->otype != OTYPE_SPOOL || memcmp(f->account, q->account, 16) != 0 ||
        memcmp(f->aek_id, q->wrap.aek_id, 16) != 0) {
        return FAIL(d, ERR_CORRUPT, "spool: a file of another spool");
    }
    TRY(lease_derive(k, a, aek, f, fresh, &key, d));
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(f, header);
    if (fresh) buf_bytes(&q->keys, bytes_of(header, sizeof header));
    buf_bytes(&q->keys, buf_view(&key));
    return buf_check(&q->keys, d);
}

/* (2) Under lock. */
static enum err still_same(struct keyd *k, const struct spool_request *q, struct diag *d)
{
    uint32_t revocations;
    TRY(may_spool(k, q->account, q->is_new, &revocations, d));
    if (revocations == q->wrap.gen) return OK;
    return FAIL(d, ERR_KEY_LOCKED, "the key of account %s was withdrawn after this spool was made",
                q->hex);
}

static enum err hand_out(struct keyd *k, struct spool_request *q, struct buf *out, struct diag *d)
{
    CLEANUP(secret_free) struct secret *aek = NULL;
    pthread_mutex_lock(&k->lock);
    enum err e = still_same(k, q, d);
    pthread_mutex_unlock(&k->lock);
    TRY(e);
    TRY(unwrap(k, q, &aek, d));
    LOCK_SCOPE(&k->lock); /* (3) */
    TRY(still_same(k, q, d));
    note_version(k, &q->wrap);
    for (uint32_t i = 0; i < q->n + q->is_new; i++)
        TRY(derive_one(k, q, aek, i, d));
    buf_bytes(out, buf_view(&q->keys));
    return buf_check(out, d);
}

enum err spool_keys(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    struct spool_request q = {0};
    enum err e = read_request(k, &q, in, d);
    if (e == OK) e = hand_out(k, &q, out, d);
    request_release(&q);
    return e;
}
