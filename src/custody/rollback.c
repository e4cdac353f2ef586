/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/rollback.c - at start: are these the newest records there were?
 *
 * (1) The catalogue's root must be at or past the anchor's, the audit log must hold the line that
 *     the anchor names; otherwise keyd does not open, unless the operator accepts just this
 *     rollback, by its generation. The word is audited, and is spent with it: the next generation
 *     is higher.
 * (2) Records that are not those of the root are named. Their accounts are damaged: they stay
 *     locked.
 * (3) Generations go up over an accepted rollback too.
 */
#include "base/log.h"
#include "base/str.h"
#include "custody/audit_past.h"
#include "custody/core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdatomic.h>
#include <stdlib.h>

/* --- everything that is there ----------------------------------------------------------------- */

struct survey {
    struct keyd *k;
    struct root_index index;
    struct root_record is;   /* the sum of what is there and was written by keyd */
    struct root_record root; /* what the catalogue says it should be */
    uint8_t root_mac[32];
    bool has_root;
    uint64_t stored;  /* generation that the root record claims, good or not: to be written over */
    uint64_t highest; /* generation */
};

static enum err take_record(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct survey *s = ctx;
    if (!record_is_ours(r->value, s->k->mk))
        return root_note_unread(&s->index, r, d); /* boot.c says so */
    uint64_t g = record_generation(r->value);
    if (g > s->highest) s->highest = g;
    return root_add(&s->index, &s->is, r, d);
}

static enum err take_root(void *ctx, const struct custody_record *r, struct diag *d)
{
    struct survey *s = ctx;
    if (!str_eq(r->id, "root")) return OK;
    struct diag why = DIAG_INIT;
    s->stored = record_generation(r->value);
    if (root_decode(r->value, s->k->mk, &s->root, &why) != OK) {
        LOG(ERROR, "record.damaged", F_STR("kind", "root"), F_ERR(&why));
        return OK;
    }
    if (r->value.len < sizeof s->root_mac) return FAIL(d, ERR_CORRUPT, "root record: too short");
    memcpy(s->root_mac, r->value.p + r->value.len - sizeof s->root_mac, sizeof s->root_mac);
    s->has_root = true;
    if (s->root.generation > s->highest) s->highest = s->root.generation;
    return OK;
}

static enum err survey(struct keyd *k, struct survey *s, struct diag *d)
{
    static const char *const kinds[] = {"iek", "mk", "scope", "signer", "state", "wrap"};
    *s = (struct survey){.k = k};
    TRY(root_index_init(&s->index, k->mk, d));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        TRY(ledger_load(k, kinds[i], take_record, s, d));
    return ledger_load(k, "root", take_root, s, d);
}

/* Under proof.lock. */
static void adopt(struct proof *p, struct survey *s)
{
    root_index_release(&p->index);
    p->index = s->index;
    s->index = (struct root_index){0};
    p->root = s->root;
    memcpy(p->root_mac, s->root_mac, sizeof p->root_mac);
    p->unsure = false;
}

static void ignore(void *ctx, const char *kind, const char *subject)
{
    (void)ctx, (void)kind, (void)subject;
}

enum err proof_reload(struct keyd *k, struct diag *d)
{
    struct survey *s = malloc(sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = survey(k, s, d);
    if (e == OK && s->root.generation < k->proof.root.generation)
        e = FAIL(d, ERR_CORRUPT, "the catalogue went back to an older root while keyd ran");
    if (e == OK && !root_compare(&s->index, &s->root, &s->is, ignore, NULL))
        e = FAIL(d, ERR_CORRUPT, "the catalogue's records changed while keyd ran");
    if (e == OK) adopt(&k->proof, s);
    root_index_release(&s->index);
    free(s);
    return e;
}

/* --- (1) -------------------------------------------------------------------------------------- */

static enum err read_anchor(struct keyd *k, bool *found, struct anchor_value *v, struct diag *d)
{
    struct proof *p = &k->proof;
    CLEANUP_BUF struct buf value = {0};
    struct diag why = DIAG_INIT;
    *found = false;
    if (p->anchor.ops == NULL) return OK;
    enum err e = p->anchor.ops->read(p->anchor.self, &value, &why);
    if (e == OK && value.len != 0) {
        e = anchor_decode(buf_view(&value), k->mk, v, &why);
        *found = true;
    }
    return e == OK ? OK : FAIL(d, e, "anchor %s: %s", p->anchor.name, why.text);
}

/* The anchor and the root side by side. ERR_CONFLICT: something went back; the sentence says what.
 */
static enum err past_anchor(struct keyd *k, const struct survey *s, const struct anchor_value *v,
                            bool found, struct diag *d)
{
    const struct root_record *root = &s->root;
    if (!s->has_root)
        return FAIL(d, ERR_CONFLICT, "the catalogue has records, but no root record of keyd");
    if (k->proof.anchor.ops == NULL) return OK;
    if (!found) {
        if (!root->anchored) return OK; /* the first time that there is one */
        return FAIL(d, ERR_CONFLICT, "the anchor %s is empty, but this store has one",
                    k->proof.anchor.name);
    }
    if (v->generation > root->generation) {
        return FAIL(d, ERR_CONFLICT,
                    "the catalogue is at generation %" PRIu64 ", the anchor has seen %" PRIu64
                    ": an older catalogue was put back",
                    root->generation, v->generation);
    }
    if (v->generation == root->generation && memcmp(v->root_mac, s->root_mac, 32) != 0) {
        return FAIL(d, ERR_CONFLICT, "the catalogue's generation %" PRIu64 " is not the anchor's",
                    root->generation);
    }
    struct diag why = DIAG_INIT;
    if (audit_past_check(k->proof.audit_dir, v->audit_seq, v->audit_chain, (struct bytes){0},
                         &why) == OK)
        return OK;
    return FAIL(d, ERR_CONFLICT, "%s", why.text);
}

/* Records what the operator accepted, and makes what is there the root. (3) */
static enum err accept_what_is(struct keyd *k, struct survey *s, const char *why, struct diag *d)
{
    struct proof *p = &k->proof;
    TRY(AUDIT(k->audit, d, "rollback.accepted", F_U64("accepted", p->accept),
              F_U64("catalogue", s->root.generation), F_STR("text", why)));
    LOG(WARN, "rollback.accepted", F_U64("generation", p->accept));
    p->accepted = true;
    pthread_mutex_lock(&k->lock);
    if (k->generation < p->accept) k->generation = p->accept;
    pthread_mutex_unlock(&k->lock);
    s->is.generation = s->stored;
    s->root = s->is;
    pthread_mutex_lock(&p->lock);
    adopt(p, s);
    pthread_mutex_unlock(&p->lock);
    CLEANUP_LEDGER struct ledger l = {0};
    TRY(ledger_begin(&l, k, d));
    return ledger_commit_root(&l, d);
}

/* --- (2) -------------------------------------------------------------------------------------- */

struct suspects {
    struct keyd *k;
    uint64_t generation; /* of the root */
    unsigned n;
    bool fatal;
};

/* Under k->lock. */
static void lock_scope_accounts(struct scope *s)
{
    for (size_t i = 0; s != NULL && i < s->n_accounts; i++)
        s->accounts[i]->damaged = true;
}

static void suspect(void *ctx, const char *kind, const char *subject)
{
    struct suspects *x = ctx;
    x->n++;
    LOG(ERROR, "record.older", F_STR("kind", kind), F_STR("name", subject),
        F_U64("root_generation", x->generation));
    (void)AUDIT(x->k->audit, NULL, "alarm", F_STR("code", "RecordOlder"), F_STR("kind", kind),
                F_STR("name", subject)); /* it stays locked whether the line is written or not */
    LOCK_SCOPE(&x->k->lock);
    uint8_t id[16];
    if (str_eq(kind, "scope")) {
        lock_scope_accounts(scope_find(x->k, subject));
    } else if (!str_eq(kind, "account")) {
        x->fatal = true;
    } else if (hex_decode(bytes_str(subject), id, 16, NULL) == OK) {
        struct account *a = account_find(x->k, id);
        if (a != NULL) a->damaged = true;
    }
}

static enum err compare(struct keyd *k, struct survey *s, struct diag *d)
{
    struct suspects x = {.k = k, .generation = s->root.generation};
    if (root_compare(&s->index, &s->root, &s->is, ignore, NULL)) return OK;
    if (k->proof.accept == s->highest)
        return accept_what_is(k, s, "records that are not those of the root", d);
    (void)root_compare(&s->index, &s->root, &s->is, suspect, &x);
    if (x.n == 0) {
        /* Nothing that is left is older than it should be: an account or scope is gone as a whole.
         */
        LOG(ERROR, "record.missing", F_U64("records", s->root.all.n - s->is.all.n));
        TRY(AUDIT(k->audit, d, "alarm", F_STR("code", "RecordMissing"),
                  F_U64("records", s->root.all.n - s->is.all.n)));
    }
    if (!x.fatal) return OK;
    return FAIL(d, ERR_CONFLICT,
                "an older record of the platform's key, the infrastructure key or the signer was "
                "put back; if you have "
                "restored a backup, start once with --accept-rollback %" PRIu64,
                s->highest);
}

static enum err check(struct keyd *k, struct survey *s, struct diag *d)
{
    struct anchor_value v = {0};
    bool found;
    TRY(survey(k, s, d));
    TRY(read_anchor(k, &found, &v, d));
    if (found && v.generation > s->highest) s->highest = v.generation;
    entries_told(k, v.entries);
    pthread_mutex_lock(&k->lock);
    if (k->generation < s->highest) k->generation = s->highest;
    pthread_mutex_unlock(&k->lock);
    struct diag why = DIAG_INIT;
    if (past_anchor(k, s, &v, found, &why) != OK) {
        if (k->proof.accept == s->highest) return accept_what_is(k, s, why.text, d);
        return FAIL(d, ERR_CONFLICT,
                    "%s; if you have restored a backup, start once with --accept-rollback %" PRIu64,
                    why.text, s->highest);
    }
    TRY(compare(k, s, d));
    if (s->index.key == NULL) return OK; /* accepted, and adopted */
    LOCK_SCOPE(&k->proof.lock);
    adopt(&k->proof, s);
    return OK;
}

enum err rollback_check(struct keyd *k, struct diag *d)
{
    struct survey *s = malloc(sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    enum err e = check(k, s, d);
    root_index_release(&s->index);
    free(s);
    return e;
}

/* --- the storage's entries: it compares, the anchor remembers --------------------------------- */

void entries_told(struct keyd *k, uint64_t generation)
{
    uint64_t known = atomic_load(&k->proof.entries);
    while (generation > known)
        if (atomic_compare_exchange_weak(&k->proof.entries, &known, generation)) return;
}

enum err entries_serve(struct keyd *k, struct rd *in, struct buf *out, struct diag *d)
{
    char text[512];
    uint64_t accepted = rd_u64(in);
    get_string(in, text, sizeof text);
    if (!rd_done(in)) return FAIL(d, ERR_INVALID, "entries: the request does not parse");
    if (accepted != 0) {
        TRY(AUDIT(k->audit, d, "entries.accepted", F_U64("accepted", accepted),
                  F_STR("text", text)));
        entries_told(k, accepted);
    }
    buf_u64(out, atomic_load(&k->proof.entries));
    buf_u8(out, k->proof.accepted);
    return buf_check(out, d);
}
