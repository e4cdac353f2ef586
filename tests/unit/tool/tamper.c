/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/tool/tamper.c - the tamper matrix: every kind of sealed or MACed object, every kind of
 * attack on its bytes; all are detected, and the table says how many there were
 *
 * Whole files with what the catalogue says of them: storage/segment.c, wal.c, spool.c, rollback.c.
 * Records in their places, older ones put back: custody/tamper.c, rollback.c. The audit log:
 * tool/audit.c.
 */
#include "storage/test_store.h"

#include "base/log.h"
#include "custody/anchor.h"
#include "custody/record.h"
#include "custody/root.h"
#include "storage/spool_slot.h"

#include <stdlib.h>

/* Which of them: as it should be; of another tenant or place; made under another key. */
enum which { MINE, ANOTHERS, FORGED };

struct kit {
    struct secret *mk[2], *aek[2], *iek;
    struct bench b; /* for what the store seals */
};

static const struct secret *mk_for(const struct kit *k, enum which w)
{
    return k->mk[w == FORGED];
}

static struct file_key *key_for(const struct kit *k, enum which w, bool is_double)
{
    struct diag d = DIAG_INIT;
    struct file_ident f = {.otype = OTYPE_SEGMENT,
                           .suite = SUITE_0001,
                           .account = {1},
                           .aek_id = {2},
                           .file_id = {(uint8_t)(3 + (w == ANOTHERS))}};
    CLEANUP(secret_free) struct secret *s = NULL, *os = NULL;
    struct file_key *key = NULL;
    struct outer_key *outer = NULL;
    REQUIRE_OK(file_key_derive(k->aek[w == FORGED], &f, true, &s, &d));
    REQUIRE_OK(file_key_new(&key, &f, secret_view(s), &d));
    if (!is_double) return key;
    const uint8_t iek_id[16] = {9};
    REQUIRE_OK(outer_file_key_derive(k->iek, iek_id, &f, &os, &d));
    REQUIRE_OK(outer_key_new(&outer, iek_id, &f, secret_view(os), &d));
    file_key_double(key, outer);
    return key;
}

/* --- blocks and files ------------------------------------------------------------------------- */

static void seal_as(struct kit *k, enum which w, bool is_double, struct buf *out)
{
    struct diag d = DIAG_INIT;
    CLEANUP(file_key_free) struct file_key *key = key_for(k, w, is_double);
    REQUIRE_OK(block_seal(key, BTYPE_DATA, 7, BYTES("a row of somebody"), out, &d));
}

static enum err open_as(struct kit *k, struct bytes in, bool is_double)
{
    CLEANUP(file_key_free) struct file_key *key = key_for(k, MINE, is_double);
    CLEANUP_BUF struct buf out = {0};
    return block_open(key, BTYPE_DATA, 7, in, &out, NULL);
}

static void make_block(struct kit *k, enum which w, struct buf *out)
{
    seal_as(k, w, false, out);
}
static enum err open_block(struct kit *k, struct bytes in)
{
    return open_as(k, in, false);
}
static void make_frame(struct kit *k, enum which w, struct buf *out)
{
    seal_as(k, w, true, out);
}
static enum err open_frame(struct kit *k, struct bytes in)
{
    return open_as(k, in, true);
}

/* The header of a segment, a log and a spool: whoever changes it gets no key for the file. */
static void make_header(struct kit *k, enum which w, struct buf *out)
{
    CLEANUP(file_key_free) struct file_key *key = key_for(k, w, false);
    uint8_t h[FILE_HEADER_LEN];
    file_header_encode(file_key_ident(key), h);
    buf_bytes(out, BYTES_OF(h));
}

static enum err open_header(struct kit *k, struct bytes in)
{
    struct file_ident f;
    CLEANUP(secret_free) struct secret *s = NULL;
    if (in.len > FILE_HEADER_LEN) return ERR_CORRUPT; /* behind it the first block begins */
    TRY(file_header_decode(in, &f, NULL));
    const uint8_t mine[16] = {3}; /* its name in the catalogue and on the disk */
    if (memcmp(f.file_id, mine, 16) != 0) return ERR_CORRUPT;
    return file_key_derive(k->aek[0], &f, false, &s, NULL);
}

/* A secret of the resource plane, as the catalogue holds it. */
static void make_note(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    REQUIRE_OK(
        store_seal(k->b.store, w == MINE ? "mine" : "another's", BYTES("a shared key"), out, &d));
    if (w == FORGED) out->p[out->len - 1] ^= 1; /* who has no key can do no better */
}
static enum err open_note(struct kit *k, struct bytes in)
{
    CLEANUP_BUF struct buf out = {0};
    return store_unseal(k->b.store, "mine", in, &out, NULL);
}

/* --- records ---------------------------------------------------------------------------------- */

static struct wrap sample(enum which w)
{
    return (struct wrap){.generation = 5,
                         .account = {(uint8_t)(1 + (w == ANOTHERS))},
                         .aek_id = {2},
                         .gen = 1,
                         .serial = 1,
                         .suite = SUITE_0001,
                         .state = WRAP_ACTIVE,
                         .created_us = 1,
                         .w = {.kek_id = "https://v/keys/k/1", .alg = WRAP_A256KW, .len = 40}};
}

static void make_wrap(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    const struct wrap x = sample(w);
    REQUIRE_OK(wrap_encode(&x, mk_for(k, w), out, &d));
}
static enum err open_wrap(struct kit *k, struct bytes in)
{
    struct wrap x;
    TRY(wrap_decode(in, k->mk[0], &x, NULL));
    return x.account[0] == 1 ? OK : ERR_CORRUPT; /* it lies under a name */
}

static void make_spool(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    const struct wrap x = sample(w);
    REQUIRE_OK(spool_encode(&x, mk_for(k, w), out, &d));
}
static enum err open_spool(struct kit *k, struct bytes in)
{
    struct wrap x;
    TRY(spool_decode(in, k->mk[0], &x, NULL));
    return x.account[0] == 1 ? OK : ERR_CORRUPT;
}

static void make_scope(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    struct scope_record s = {.generation = 5, .kek = {.vault_uri = "https://v", .key_name = "k"}};
    snprintf(s.name, sizeof s.name, "%s", w == ANOTHERS ? "/clusters/other" : "/clusters/mine");
    REQUIRE_OK(scope_encode(&s, mk_for(k, w), out, &d));
}
static enum err open_scope(struct kit *k, struct bytes in)
{
    struct scope_record s;
    TRY(scope_decode(in, k->mk[0], &s, NULL));
    return str_eq(s.name, "/clusters/mine") ? OK : ERR_CORRUPT;
}

static void make_state(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    const struct state_record s = {.generation = 5,
                                   .account = {(uint8_t)(1 + (w == ANOTHERS))},
                                   .scope = "s",
                                   .workspace = "w",
                                   .state = KEY_REVOKED};
    REQUIRE_OK(state_encode(&s, mk_for(k, w), out, &d));
}
static enum err open_state(struct kit *k, struct bytes in)
{
    struct state_record s;
    TRY(state_decode(in, k->mk[0], &s, NULL));
    return s.account[0] == 1 ? OK : ERR_CORRUPT;
}

/* MK, IEK, signer and root: there is one per store, another's is under another key. */
static void make_mk(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    const struct secret *mk = k->mk[w != MINE];
    struct mk_record m = {.generation = 5,
                          .w = {.kek_id = "https://p/keys/k/1", .alg = WRAP_A256KW, .len = 40}};
    mk_commitment(mk, m.commit);
    REQUIRE_OK(mk_encode(&m, mk, out, &d));
}
static enum err open_mk(struct kit *k, struct bytes in)
{
    struct mk_record m;
    TRY(mk_decode(in, &m, NULL));
    return mk_check(in, &m, k->mk[0], NULL);
}

static void make_iek(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    struct iek_record i = {.generation = 5, .id = {9}};
    REQUIRE_OK(iek_commitment(k->iek, i.id, i.commit, &d));
    REQUIRE_OK(iek_encode(&i, k->mk[w != MINE], out, &d));
}
static enum err open_iek(struct kit *k, struct bytes in)
{
    struct iek_record i;
    return iek_decode(in, k->mk[0], &i, NULL);
}

static void make_signer(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    const struct signer_record s = {.generation = 5};
    REQUIRE_OK(signer_encode(&s, k->mk[w != MINE], out, &d));
}
static enum err open_signer(struct kit *k, struct bytes in)
{
    struct signer_record s;
    return signer_decode(in, k->mk[0], &s, NULL);
}

static void make_root(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    struct root_record r = {.generation = 9, .previous = 8};
    REQUIRE_OK(root_encode(&r, k->mk[w != MINE], out, &d));
}
static enum err open_root(struct kit *k, struct bytes in)
{
    struct root_record r;
    return root_decode(in, k->mk[0], &r, NULL);
}

/* --- places outside of the catalogue ---------------------------------------------------------- */

static void make_anchor(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    struct anchor_value v = {.generation = 9, .audit_seq = 4};
    REQUIRE_OK(ed25519_public(k->mk[1], v.signer, &d));
    REQUIRE_OK(anchor_encode(&v, k->mk[1], k->mk[w != MINE], out, &d));
}
static enum err open_anchor(struct kit *k, struct bytes in)
{
    struct anchor_value v;
    return anchor_decode(in, k->mk[0], &v, NULL);
}

static char *slot_path(void)
{
    return os_path(test_dir(), "slot");
}

static void make_slot(struct kit *k, enum which w, struct buf *out)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = slot_path();
    CLEANUP_BUF struct buf record = {0};
    make_spool(k, w, &record);
    REQUIRE_OK(slot_write(path, buf_view(&record), 1700000000000000, &d));
    REQUIRE_OK(os_read_file(path, 1 << 16, out, &d));
}

/* The slot, then the record in it: as spool and keyd read them. */
static enum err open_slot(struct kit *k, struct bytes in)
{
    struct diag d = DIAG_INIT;
    struct slot s = {0};
    CLEANUP_FREE char *path = slot_path();
    FILE *f = fopen(path, "wb");
    REQUIRE(f != NULL && fwrite(in.p, 1, in.len, f) == in.len && fclose(f) == 0);
    enum err e = slot_read(path, &s, &d);
    if (e == OK) e = s.record.len != 0 ? open_spool(k, buf_view(&s.record)) : ERR_CORRUPT;
    buf_release(&s.record);
    return e;
}

/* --- the matrix ------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*make)(struct kit *k, enum which w, struct buf *out);
    enum err (*open)(struct kit *k, struct bytes in);
    size_t step; /* of bits that are flipped; 1: each */
} objects[] = {
    {"block", make_block, open_block, 1},
    {"frame", make_frame, open_frame, 1},
    {"file header", make_header, open_header, 1},
    {"catalogue secret", make_note, open_note, 1},
    {"wrap", make_wrap, open_wrap, 1},
    {"scope", make_scope, open_scope, 1},
    {"state", make_state, open_state, 1},
    {"platform key", make_mk, open_mk, 1},
    {"infrastructure key", make_iek, open_iek, 1},
    {"signer", make_signer, open_signer, 1},
    {"root", make_root, open_root, 7},
    {"spool record", make_spool, open_spool, 1},
    {"slot", make_slot, open_slot, 17},
    {"anchor", make_anchor, open_anchor, 1},
};
#define N_OBJECTS (sizeof objects / sizeof objects[0])

struct score {
    size_t tried, detected;
};

static void try(struct kit *k, size_t object, struct bytes in, struct score *s)
{
    s->tried++;
    s->detected += objects[object].open(k, in) != OK;
}

static struct score flips(struct kit *k, size_t object, struct buf *b)
{
    struct score s = {0};
    for (size_t bit = 0; bit < 8 * b->len; bit += objects[object].step) {
        b->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        try(k, object, buf_view(b), &s);
        b->p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    return s;
}

static struct score cuts(struct kit *k, size_t object, struct buf *b)
{
    struct score s = {0};
    for (size_t n = 0; n < b->len; n += objects[object].step)
        try(k, object, bytes_of(b->p, n), &s);
    buf_u8(b, 0);
    try(k, object, buf_view(b), &s); /* and one byte more */
    b->len--;
    return s;
}

static struct score swaps(struct kit *k, size_t object, enum which w)
{
    struct score s = {0};
    CLEANUP_BUF struct buf b = {0};
    objects[object].make(k, w, &b);
    try(k, object, buf_view(&b), &s);
    return s;
}

static struct score kinds(struct kit *k, size_t object)
{
    struct score s = {0};
    for (size_t i = 0; i < N_OBJECTS; i++) {
        CLEANUP_BUF struct buf b = {0};
        if (i == object) continue;
        objects[i].make(k, MINE, &b);
        try(k, object, buf_view(&b), &s);
    }
    return s;
}

static void report(const char *attack, struct score s, bool *all)
{
    printf("  %s %zu/%zu", attack, s.detected, s.tried);
    *all = *all && s.detected == s.tried && s.tried != 0;
}

static bool row(struct kit *k, size_t object)
{
    bool all = true;
    CLEANUP_BUF struct buf b = {0};
    objects[object].make(k, MINE, &b);
    REQUIRE(objects[object].open(k, buf_view(&b)) == OK); /* the control */
    printf("%-20s", objects[object].name);
    report("bits", flips(k, object, &b), &all);
    report("lengths", cuts(k, object, &b), &all);
    report("another's", swaps(k, object, ANOTHERS), &all);
    report("another key's", swaps(k, object, FORGED), &all);
    report("other kinds", kinds(k, object), &all);
    printf("\n");
    return all;
}

TEST(tamper, whatever_is_done_to_any_object_is_detected)
{
    struct diag d = DIAG_INIT;
    struct kit k = {0};
    bool all = true;
    log_set_level(LOG_ERROR + 1); /* each refusal is logged; thousands are expected */
    for (int i = 0; i < 2; i++) {
        REQUIRE_OK(secret_random(&k.mk[i], 32, &d));
        REQUIRE_OK(secret_random(&k.aek[i], 32, &d));
    }
    REQUIRE_OK(secret_random(&k.iek, 32, &d));
    REQUIRE_OK(bench_open(&k.b, "tamper", &d));
    for (size_t i = 0; i < N_OBJECTS; i++)
        all = row(&k, i) && all;
    REQUIRE(all);
    bench_release(&k.b);
    for (int i = 0; i < 2; i++) {
        secret_free(k.mk[i]);
        secret_free(k.aek[i]);
    }
    secret_free(k.iek);
}
