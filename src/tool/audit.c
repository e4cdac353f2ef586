/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tool/audit.c - one walk over the key-access audit log
 *
 * (1) A MAC key depends on how many lines went before, not on what is in them: after a changed or a
 *     missing line the walk goes on with the right key, and each damage is told once.
 * (2) After a line that breaks the chain its own word is taken for what the next one follows.
 */
#include "tool/audit.h"

#include "base/str.h"
#include "custody/audit_files.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define SKIP_MAX 100000000 /* missing lines over which a MAC key is carried on */

struct walk {
    const struct audit_verify_options *o;
    struct audit_verify_report *r;
    struct audit_reader files;
    uint8_t chain[AUDIT_CHAIN_LEN];
    struct secret *key; /* of the next line; NULL: not known in this segment */
    uint64_t epoch;     /* of the last seal; 0: none yet */
    bool has_signer, met_anchor;
};

__attribute__((format(printf, 3, 4))) static void damage(struct walk *w, uint64_t seq,
                                                         const char *fmt, ...)
{
    char text[256];
    va_list v;
    va_start(v, fmt);
    vsnprintf(text, sizeof text, fmt, v);
    va_end(v);
    w->r->damages++;
    if (w->o->on_damage != NULL) w->o->on_damage(w->o->ctx, seq, text);
}

/* --- what single lines say -------------------------------------------------------------------- */

static void open_segment(struct walk *w, const struct audit_line *l)
{
    CLEANUP_BUF struct buf letter = {0};
    const char *text = json_get_str(l->doc, "key");
    w->r->segments++;
    secret_free(TAKE(w->key));
    if (w->o->auditor == NULL) return;
    if (text == NULL || base64_decode(&letter, bytes_str(text), NULL) != OK ||
        letter_open(w->o->auditor, buf_view(&letter), &w->key, NULL) != OK ||
        secret_len(w->key) != 32) {
        secret_free(TAKE(w->key));
        w->r->segments_closed++;
    }
}

static bool signer_of(const struct audit_line *l, uint8_t out[ED25519_KEY_LEN])
{
    const char *hex = json_get_str(l->doc, "signer");
    return hex != NULL && hex_decode(bytes_str(hex), out, ED25519_KEY_LEN, NULL) == OK;
}

static void check_seal(struct walk *w, const struct audit_line *l)
{
    struct audit_verify_report *r = w->r;
    uint8_t signer[ED25519_KEY_LEN];
    uint64_t epoch = (uint64_t)json_get_int(l->doc, "epoch", 0);
    uint64_t epochs = (uint64_t)json_get_int(l->doc, "epochs", 0);
    r->seals++;
    if (w->epoch != 0 && epoch != w->epoch + epochs)
        damage(w, l->seq, "the seal of epoch %" PRIu64 " does not follow epoch %" PRIu64, epoch,
               w->epoch);
    w->epoch = epoch;
    if (!signer_of(l, signer) || !audit_signed_by(l, signer)) {
        damage(w, l->seq, "the seal's signature is wrong");
        return;
    }
    if (!w->has_signer) memcpy(r->signer, signer, sizeof r->signer);
    w->has_signer = true;
    if (memcmp(signer, r->signer, sizeof signer) != 0) {
        damage(w, l->seq, "the seal was signed by another key");
    } else {
        r->signed_seq = l->seq;
    }
}

static void check_mac(struct walk *w, const struct audit_line *l)
{
    uint8_t mac[32];
    if (w->key == NULL) return;
    audit_mac_next(w->key, l->chain, mac);
    w->r->macs++;
    if (!secret_eq(bytes_of(mac, sizeof mac), bytes_of(l->mac, sizeof l->mac)))
        damage(w, l->seq, "the line was not written by keyd: its MAC is wrong");
}

static void check_anchor(struct walk *w, const struct audit_line *l)
{
    const struct anchor_value *a = w->o->anchor;
    if (a == NULL || l->seq != a->audit_seq) return;
    w->met_anchor = true;
    if (memcmp(a->audit_chain, l->chain, sizeof a->audit_chain) != 0)
        damage(w, l->seq, "the line is not the one that the anchor has seen");
}

/* --- the walk --------------------------------------------------------------------------------- */

/* (1) */
static void skip_keys(struct walk *w, uint64_t n)
{
    uint8_t none[AUDIT_CHAIN_LEN] = {0}, mac[32];
    if (n > SKIP_MAX) secret_free(TAKE(w->key));
    for (; w->key != NULL && n != 0; n--)
        audit_mac_next(w->key, none, mac);
}

static void check_number(struct walk *w, const struct audit_line *l)
{
    uint64_t expected = w->r->last_seq + 1;
    if (l->seq == expected) return;
    if (l->seq > expected) {
        damage(w, l->seq, "lines %" PRIu64 " to %" PRIu64 " are missing", expected, l->seq - 1);
        skip_keys(w, l->seq - expected);
    } else {
        damage(w, l->seq, "the line stands behind line %" PRIu64, w->r->last_seq);
        secret_free(TAKE(w->key)); /* until the next segment: which key it had is gone */
    }
}

static void check_line(struct walk *w, struct bytes text)
{
    CLEANUP_AUDIT_LINE struct audit_line l = {0};
    struct diag why = DIAG_INIT;
    w->r->lines++;
    if (audit_line_read(text, w->chain, &l, &why) != OK) {
        uint64_t seq = w->r->last_seq + 1;
        if (audit_line_read(text, NULL, &l, NULL) != OK) { /* no line at all */
            damage(w, seq, "%s", why.text);
            w->r->last_seq = seq;
            skip_keys(w, 1);
            return;
        }
        damage(w, l.seq, "the line was changed, or what stands before it");
        memcpy(w->chain, l.chain, sizeof w->chain); /* (2) */
    }
    if (l.seq != w->r->last_seq + 1) check_number(w, &l);
    if (w->files.is_first && l.seq != w->files.files[w->files.at].first_seq)
        damage(w, l.seq, "the file is named for line %" PRIu64,
               w->files.files[w->files.at].first_seq);
    w->r->last_seq = l.seq;
    const char *event = audit_line_event(&l);
    if (str_eq(event, "segment.opened")) open_segment(w, &l);
    if (str_eq(event, "sealed")) check_seal(w, &l);
    check_mac(w, &l);
    check_anchor(w, &l);
}

static enum err walk(struct walk *w, struct diag *d)
{
    for (;;) {
        struct bytes line;
        struct diag why = DIAG_INIT;
        enum err e = audit_reader_next(&w->files, &line, &why);
        if (e == ERR_CORRUPT) {
            w->r->torn = w->files.at + 1 == w->files.n_files;
            if (!w->r->torn) damage(w, w->r->last_seq + 1, "%s", why.text);
            return OK; /* what follows cannot be told apart */
        }
        if (e != OK) return FAIL(d, e, "%s", why.text);
        if (line.p == NULL) return OK;
        check_line(w, line);
    }
}

static void check_end(struct walk *w)
{
    const struct anchor_value *a = w->o->anchor;
    if (a == NULL || w->met_anchor) return;
    damage(w, 0, "the log ends at line %" PRIu64 ", the anchor has seen line %" PRIu64,
           w->r->last_seq, a->audit_seq);
}

enum err audit_verify(const struct audit_verify_options *o, struct audit_verify_report *out,
                      struct diag *d)
{
    *out = (struct audit_verify_report){0};
    struct walk w = {.o = o, .r = out};
    const uint8_t *signer = o->signer;
    if (signer == NULL && o->anchor != NULL) signer = o->anchor->signer;
    if (signer != NULL) memcpy(out->signer, signer, sizeof out->signer);
    w.has_signer = out->signer_known = signer != NULL;
    TRY(audit_reader_open(&w.files, o->dir, 0, d));
    out->files = w.files.n_files;
    enum err e = walk(&w, d);
    if (e == OK) check_end(&w);
    secret_free(w.key);
    audit_reader_close(&w.files);
    return e;
}
