/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/seal.c - the audit log is sealed every five minutes, and what is proven goes outside
 *
 * (1) A seal is a signed line. After it the current MAC key goes into the slot, sealed under MK, in
 *     the place of the one before: at its next start keyd knows whether the lines since are its
 *     own. An older key must not be left there: it could write older lines anew.
 * (2) The anchor is written after the seal, as it is after a commit. It may lag behind the
 *     catalogue and the log, never be ahead of them.
 */
#include "base/log.h"
#include "base/os.h"
#include "base/rand.h"
#include "base/str.h"
#include "crypto/aead.h"
#include "crypto/hash.h"
#include "custody/audit_past.h"
#include "custody/auditor.h"
#include "custody/core.h"
#include "custody/slots.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#define SALT_LEN 32

/* Labels end in one zero byte: sizeof counts it. */
static const char label_signer[] = "keystead/1 audit-signer";
static const char label_slot[] = "keystead/1 audit-slot";

/* key | nonce of one value sealed under MK: a new salt, so a new key, each time. */
static void derive(const struct secret *mk, struct bytes label, const uint8_t salt[SALT_LEN],
                   uint8_t out[AEAD_KEY_LEN + AEAD_NONCE_LEN])
{
    uint8_t info[64];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, label);
    wr_bytes(&w, bytes_of(salt, SALT_LEN));
    hkdf_expand(secret_view(mk), bytes_of(info, wr_len(&w)), out, AEAD_KEY_LEN + AEAD_NONCE_LEN);
}

static enum err under_mk(const struct secret *mk, struct bytes label, const uint8_t salt[SALT_LEN],
                         bool opening, struct bytes in, uint8_t *out, struct diag *d)
{
    uint8_t key[AEAD_KEY_LEN + AEAD_NONCE_LEN];
    derive(mk, label, salt, key);
    const struct aead a = {.alg = AEAD_AES_256_GCM, .key = key, .nonce = key + AEAD_KEY_LEN};
    enum err e = opening ? aead_open(&a, in, out, d) : aead_seal(&a, in, out, d);
    wipe(key, sizeof key);
    return e;
}

/* --- opened before keyd is hardened ----------------------------------------------------------- */

enum err proof_open(struct keyd *k, const struct keyd_config *c, struct diag *d)
{
    struct proof *p = &k->proof;
    if ((size_t)snprintf(p->audit_dir, sizeof p->audit_dir, "%s", c->audit_dir) >=
        sizeof p->audit_dir) {
        return FAIL(d, ERR_LIMIT, "the audit log's path is longer than %zu bytes",
                    sizeof p->audit_dir - 1);
    }
    CLEANUP_FREE char *slot = os_path(c->audit_dir, "audit.key");
    if (slot == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    p->slot_fd = SYS(open(slot, O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (p->slot_fd < 0) return FAIL(d, ERR_IO, "%s: %s", slot, strerror(errno));
    p->accept = c->accept_rollback;
    return c->anchor != NULL ? anchor_open(&p->anchor, c->anchor, false, d) : OK;
}

void proof_release(struct keyd *k)
{
    struct proof *p = &k->proof;
    if (p->slot_fd >= 0) close(p->slot_fd);
    anchor_close(&p->anchor);
    root_index_release(&p->index);
    secret_free(p->signer_key);
    pthread_mutex_destroy(&p->lock);
}

/* --- the signer ------------------------------------------------------------------------------- */

static enum err make_signer(struct keyd *k, struct diag *d)
{
    struct signer_record s = {.created_us = time_now_us()};
    CLEANUP(secret_free) struct secret *key = NULL;
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(secret_random(&key, ED25519_KEY_LEN, d));
    TRY(ed25519_public(key, s.public_key, d));
    rand_bytes(s.salt, sizeof s.salt);
    TRY(under_mk(k->mk, bytes_of(label_signer, sizeof label_signer), s.salt, false,
                 secret_view(key), s.sealed, d));
    TRY(ledger_begin(&l, k, d));
    TRY(ledger_signer(&l, &s, d));
    TRY(ledger_commit(&l, d));
    char hex[2 * ED25519_KEY_LEN + 1];
    hex_encode(bytes_of(s.public_key, sizeof s.public_key), hex);
    TRY(AUDIT(k->audit, d, "signer.made", F_STR("signer", hex)));
    memcpy(k->proof.signer, s.public_key, sizeof k->proof.signer);
    k->proof.signer_key = TAKE(key);
    return OK;
}

static enum err take_signer(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct keyd *k = ctx;
    struct signer_record s;
    CLEANUP(secret_free) struct secret *key = NULL;
    uint8_t is[ED25519_KEY_LEN];
    TRY(signer_decode(r->value, k->mk, &s, d));
    TRY(secret_new(&key, ED25519_KEY_LEN, d));
    TRY(under_mk(k->mk, bytes_of(label_signer, sizeof label_signer), s.salt, true,
                 bytes_of(s.sealed, sizeof s.sealed), secret_fill(key), d));
    TRY(ed25519_public(key, is, d));
    if (memcmp(is, s.public_key, sizeof is) != 0)
        return FAIL(d, ERR_CORRUPT, "signer record: its halves do not belong together");
    memcpy(k->proof.signer, is, sizeof is);
    secret_free(k->proof.signer_key);
    k->proof.signer_key = TAKE(key);
    return OK;
}

/* --- the slot --------------------------------------------------------------------------------- */

#define SLOT_PLAIN_LEN (8 + AUDIT_CHAIN_LEN + 32)
#define SLOT_LEN       (4 + SALT_LEN + SLOT_PLAIN_LEN + AEAD_TAG_LEN)

static enum err write_slot(struct keyd *k, const struct audit_tip *tip, struct diag *d)
{
    uint8_t plain[SLOT_PLAIN_LEN], value[SLOT_LEN];
    struct wr w = wr_into(plain, sizeof plain);
    wr_u64be(&w, tip->seq);
    wr_bytes(&w, bytes_of(tip->chain, sizeof tip->chain));
    wr_bytes(&w, secret_view(tip->key));
    memcpy(value, "KSAK", 4); /* NOLINT(bugprone-not-null-terminated-result): bytes, no string */
    rand_bytes(value + 4, SALT_LEN);
    enum err e = under_mk(k->mk, bytes_of(label_slot, sizeof label_slot), value + 4, false,
                          bytes_of(plain, sizeof plain), value + 4 + SALT_LEN, d);
    wipe(plain, sizeof plain);
    return e == OK ? slots_write(k->proof.slot_fd, bytes_of(value, sizeof value), true, d) : e;
}

static enum err check_past(struct keyd *k, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    uint8_t plain[SLOT_PLAIN_LEN], chain[AUDIT_CHAIN_LEN];
    TRY(slots_read(k->proof.slot_fd, &value, d));
    if (value.len == 0) return OK;
    if (value.len != SLOT_LEN || memcmp(value.p, "KSAK", 4) != 0)
        return FAIL(d, ERR_CORRUPT, "audit.key is none of ours");
    TRY(under_mk(k->mk, bytes_of(label_slot, sizeof label_slot), value.p + 4, true,
                 bytes_of(value.p + 4 + SALT_LEN, SLOT_LEN - 4 - SALT_LEN), plain, d));
    struct rd r = rd_from(bytes_of(plain, sizeof plain));
    uint64_t seq = rd_u64be(&r);
    rd_copy(&r, chain, sizeof chain);
    enum err e = audit_past_check(k->proof.audit_dir, seq, chain, rd_bytes(&r, 32), d);
    wipe(plain, sizeof plain);
    return e;
}

/* --- sealing ---------------------------------------------------------------------------------- */

static void problem(char *place, size_t cap, const char *event, const struct diag *d)
{
    if (!str_eq(place, d->text)) log_write(LOG_ERROR, event, &F_ERR(d), 1); /* once per reason */
    snprintf(place, cap, "%s", d->text);
}

static enum err write_anchor(struct proof *p, const struct keyd *k, struct diag *d)
{
    CLEANUP_BUF struct buf value = {0};
    struct anchor_value v = {.generation = p->root.generation,
                             .audit_seq = p->audit_seq,
                             .entries = atomic_load(&p->entries)};
    memcpy(v.store, k->mk_record.commit, sizeof v.store);
    memcpy(v.root_mac, p->root_mac, sizeof v.root_mac);
    memcpy(v.audit_chain, p->audit_chain, sizeof v.audit_chain);
    memcpy(v.signer, p->signer, sizeof v.signer);
    TRY(anchor_encode(&v, p->signer_key, k->mk, &value, d));
    return p->anchor.ops->write(p->anchor.self, buf_view(&value), d);
}

void proof_anchor(struct keyd *k)
{
    struct proof *p = &k->proof;
    struct diag d = DIAG_INIT;
    if (p->anchor.ops == NULL || p->audit_seq == 0) return; /* the first seal writes it */
    if (write_anchor(p, k, &d) != OK) {
        problem(p->anchor_problem, sizeof p->anchor_problem, "anchor.failed", &d);
        return;
    }
    p->anchor_problem[0] = 0;
    p->anchored_us = time_now_us();
}

enum err proof_seal(struct keyd *k, struct diag *d)
{
    struct proof *p = &k->proof;
    TRY(journal_carry(k, d));
    LOCK_SCOPE(&p->lock);
    struct audit_signer s = {.key = p->signer_key};
    struct audit_tip tip = {0};
    memcpy(s.public_key, p->signer, sizeof s.public_key);
    TRY(audit_seal(k->audit, &s, time_now_us(), &tip, d));
    enum err e = write_slot(k, &tip, d);
    secret_free(tip.key);
    TRY(e);
    p->audit_seq = tip.seq;
    memcpy(p->audit_chain, tip.chain, sizeof p->audit_chain);
    p->sealed_us = time_now_us();
    proof_anchor(k); /* (2) */
    return OK;
}

/* From now on an empty anchor is none of ours. */
static enum err remember_anchor(struct keyd *k, struct diag *d)
{
    const struct proof *p = &k->proof;
    if (p->anchored_us == 0 || p->root.anchored) return OK;
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    return ledger_commit_root(&l, d);
}

enum err proof_begin(struct keyd *k, struct diag *d)
{
    struct proof *p = &k->proof;
    TRY(ledger_load(k, "signer", take_signer, k, d));
    if (p->signer_key == NULL) TRY(make_signer(k, d));
    struct diag why = DIAG_INIT;
    if (p->sealed_us == 0 && check_past(k, &why) != OK) {
        problem(p->audit_problem, sizeof p->audit_problem, "audit.tampered", &why);
        TRY(AUDIT(k->audit, d, "alarm", F_STR("code", "AuditChanged"), F_STR("text", why.text)));
    }
    TRY(proof_seal(k, d));
    return remember_anchor(k, d);
}

static bool is_ready(struct keyd *k, bool *stopping)
{
    LOCK_SCOPE(&k->lock);
    *stopping = k->stopping;
    return k->ready;
}

static void *run(void *arg)
{
    struct keyd *k = arg;
    for (;;) {
        int64_t due = (time_now_us() / AUDIT_EPOCH_US + 1) * AUDIT_EPOCH_US;
        bool stopping, at_due = timer_wait(k->proof.timer, due), ready = is_ready(k, &stopping);
        struct diag d = DIAG_INIT;
        if (ready && (at_due || stopping) && proof_seal(k, &d) != OK)
            LOG(ERROR, "audit.not_sealed", F_ERR(&d));
        if (stopping) return NULL;
    }
}

enum err proof_start(struct keyd *k, struct diag *d)
{
    k->proof.timer = timer_new();
    if (k->proof.timer == NULL) return FAIL(d, ERR_LIMIT, "keyd: no timer is free");
    enum err e = thread_start(&k->proof.thread, run, k, d);
    if (e != OK) timer_free(TAKE(k->proof.timer));
    return e;
}

void proof_stop(struct keyd *k) /* k->stopping is set */
{
    if (k->proof.timer == NULL) return;
    timer_wake(k->proof.timer);
    pthread_join(k->proof.thread, NULL);
    timer_free(TAKE(k->proof.timer));
}
