/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/sealed.c - file keys, file headers and blocks of suite 0x0001 (keys.md "Derivation") */
#include "crypto/sealed.h"

#include "base/log.h"
#include "base/rand.h"
#include "crypto/aead.h"
#include "crypto/sealed_salt.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#define FORMAT_VERSION 1
#define COMMIT_LEN     32
#define INFO_MAX       160 /* bytes: the longest derivation input */

/* Labels end in one zero byte: sizeof counts it. */
static const char label_commit[] = "keystead/1 aek-commit";
static const char label_file[] = "keystead/1 file";
static const char label_block[] = "keystead/1 block";

#define LABEL(l) bytes_of((l), sizeof(l))
#define ID(id)   bytes_of((id), 16)

static struct bytes wr_view(const struct wr *w)
{
    assert(!w->bad);
    return bytes_of(w->start, wr_len(w));
}

/* --- file ------------------------------------------------------------------------------------- */

void file_header_encode(const struct file_ident *f, uint8_t out[FILE_HEADER_LEN])
{
    memset(out, 0, FILE_HEADER_LEN);
    struct wr w = wr_into(out, FILE_HEADER_LEN);
    wr_bytes(&w, BYTES("KSTF"));
    wr_u8(&w, FORMAT_VERSION);
    wr_u8(&w, f->otype);
    wr_u16be(&w, f->suite);
    wr_bytes(&w, ID(f->account));
    wr_bytes(&w, ID(f->aek_id));
    wr_bytes(&w, ID(f->file_id));
    wr_bytes(&w, bytes_of(f->file_salt, sizeof f->file_salt));
    wr_bytes(&w, bytes_of(f->file_commit, sizeof f->file_commit));
    assert(!w.bad && wr_len(&w) == FILE_HEADER_LEN - 8);
}

enum err file_header_decode(struct bytes in, struct file_ident *out, struct diag *d)
{
    struct rd r = rd_from(in);
    struct bytes magic = rd_bytes(&r, 4);
    uint8_t version = rd_u8(&r);
    struct file_ident f = {.otype = rd_u8(&r), .suite = rd_u16be(&r)};
    rd_copy(&r, f.account, sizeof f.account);
    rd_copy(&r, f.aek_id, sizeof f.aek_id);
    rd_copy(&r, f.file_id, sizeof f.file_id);
    rd_copy(&r, f.file_salt, sizeof f.file_salt);
    rd_copy(&r, f.file_commit, sizeof f.file_commit);
    uint64_t zero = rd_u64(&r);

    if (r.bad) {
        return FAIL(d, ERR_CORRUPT, "file header: %zu bytes where %d belong", in.len,
                    FILE_HEADER_LEN);
    }
    if (!bytes_eq(magic, BYTES("KSTF"))) return FAIL(d, ERR_CORRUPT, "file header: bad magic");
    if (version != FORMAT_VERSION) return FAIL(d, ERR_CORRUPT, "file header: version %u", version);
    if (zero != 0) return FAIL(d, ERR_CORRUPT, "file header: bytes that must be zero are not");
    if (f.suite != SUITE_0001) return FAIL(d, ERR_CORRUPT, "file header: suite %04x", f.suite);
    if (f.otype < OTYPE_SEGMENT || f.otype > OTYPE_STATE) {
        return FAIL(d, ERR_CORRUPT, "file header: type %u", f.otype);
    }
    *out = f;
    return OK;
}

/* --- derivation ------------------------------------------------------------------------------- */

/* HMAC pads a shorter key with zeros, so a padded key would pass the commitment. */
static enum err check_aek(const struct secret *aek, struct diag *d)
{
    if (secret_len(aek) == AEK_LEN) return OK;
    return FAIL(d, ERR_INVALID, "an account key of %zu bytes, not %d", secret_len(aek), AEK_LEN);
}

static enum err check_suite(uint16_t suite, struct diag *d)
{
    return suite == SUITE_0001 ? OK : FAIL(d, ERR_INVALID, "suite %04x is not on the list", suite);
}

enum err aek_commitment(const struct secret *aek, uint16_t suite, const uint8_t account[16],
                        const uint8_t aek_id[16], uint32_t gen, uint8_t out[32], struct diag *d)
{
    TRY(check_aek(aek, d));
    TRY(check_suite(suite, d));
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_commit));
    wr_u16be(&w, suite);
    wr_bytes(&w, ID(account));
    wr_bytes(&w, ID(aek_id));
    wr_u32be(&w, gen);
    hkdf_expand(secret_view(aek), wr_view(&w), out, COMMIT_LEN);
    return OK;
}

enum err file_key_derive(const struct secret *aek, struct file_ident *f, bool is_new,
                         struct secret **out, struct diag *d)
{
    TRY(check_aek(aek, d));
    TRY(check_suite(f->suite, d));
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_file));
    wr_u16be(&w, f->suite);
    wr_bytes(&w, ID(f->account));
    wr_bytes(&w, ID(f->aek_id));
    wr_u8(&w, f->otype);
    wr_bytes(&w, ID(f->file_id));
    wr_bytes(&w, bytes_of(f->file_salt, sizeof f->file_salt));

    CLEANUP(secret_free) struct secret *both = NULL;
    TRY(secret_new(&both, FILE_KEY_LEN + COMMIT_LEN, d));
    hkdf_expand(secret_view(aek), wr_view(&w), secret_fill(both), secret_len(both));

    struct bytes commit = bytes_of(secret_peek(both) + FILE_KEY_LEN, COMMIT_LEN);
    if (!is_new && !secret_eq(commit, bytes_of(f->file_commit, COMMIT_LEN))) {
        return FAIL(d, ERR_CORRUPT, "this account key did not make this file");
    }
    TRY(secret_of(out, bytes_of(secret_peek(both), FILE_KEY_LEN), d));
    if (is_new) memcpy(f->file_commit, commit.p, COMMIT_LEN);
    return OK;
}

/* --- blocks ----------------------------------------------------------------------------------- */

/* (9) A call that derives holds `use` for reading; file_key_wipe() takes it for writing. */
struct file_key {
    struct file_ident ident;
    pthread_rwlock_t use;
    enum err wiped; /* OK: the key is there */
    struct hmac_key *hmac;
    bool is_double;
    struct outer_key *outer; /* of a double file, until it is wiped */
};

/* Busy readers must not keep a wipe waiting, as glibc's default would let them. */
static void use_init(pthread_rwlock_t *l)
{
    pthread_rwlockattr_t a;
    pthread_rwlockattr_init(&a);
    pthread_rwlockattr_setkind_np(&a, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    pthread_rwlock_init(l, &a);
    pthread_rwlockattr_destroy(&a);
}

enum err file_key_new(struct file_key **out, const struct file_ident *f, struct bytes key,
                      struct diag *d)
{
    if (key.len != FILE_KEY_LEN) {
        return FAIL(d, ERR_INVALID, "a file key of %zu bytes, not %d", key.len, FILE_KEY_LEN);
    }
    TRY(check_suite(f->suite, d));
    CLEANUP(file_key_free) struct file_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    k->ident = *f;
    use_init(&k->use);
    TRY(hmac_key_new(&k->hmac, key, d));
    *out = TAKE(k);
    return OK;
}

void file_key_free(struct file_key *k)
{
    if (k == NULL) return;
    hmac_key_free(k->hmac);
    outer_key_free(k->outer);
    pthread_rwlock_destroy(&k->use);
    free(k);
}

void file_key_wipe(struct file_key *k, enum err why)
{
    assert(why != OK);
    pthread_rwlock_wrlock(&k->use);
    if (k->wiped == OK) k->wiped = why;
    hmac_key_free(TAKE(k->hmac));
    outer_key_free(TAKE(k->outer));
    pthread_rwlock_unlock(&k->use);
}

void file_key_double(struct file_key *k, struct outer_key *outer)
{
    assert(outer != NULL && !k->is_double);
    k->is_double = true;
    k->outer = outer;
}

size_t file_key_overhead(const struct file_key *k)
{
    return BLOCK_OVERHEAD + (k->is_double ? OUTER_OVERHEAD : 0);
}

/* Takes `use` for reading, unless the key is gone. */
static enum err begin_use(struct file_key *k, struct diag *d)
{
    pthread_rwlock_rdlock(&k->use);
    enum err why = k->wiped;
    if (why == OK) return OK;
    pthread_rwlock_unlock(&k->use);
    return FAIL(d, why,
                why == ERR_KEY_LOCKED ? "the customer has withdrawn the key of this data"
                                      : "the key of this data is not available now");
}

static void end_use(struct file_key *k)
{
    pthread_rwlock_unlock(&k->use);
}

const struct file_ident *file_key_ident(const struct file_key *k)
{
    return &k->ident;
}

struct dek {
    uint8_t key[AEAD_KEY_LEN];
    uint8_t nonce[AEAD_NONCE_LEN];
};

static void derive_dek(const struct file_key *k, uint8_t btype, uint64_t block_no,
                       const uint8_t *salt, struct dek *out)
{
    static_assert(sizeof *out == 44, "key and nonce come from one expansion");
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_block));
    wr_u16be(&w, k->ident.suite);
    wr_u8(&w, btype);
    wr_u64be(&w, block_no);
    wr_bytes(&w, bytes_of(salt, SEAL_SALT_LEN));
    hmac_key_expand(k->hmac, wr_view(&w), (uint8_t *)out, sizeof *out);
}

static void encode_header(const struct file_ident *f, enum btype btype, uint64_t block_no,
                          uint32_t len, const uint8_t *salt, uint8_t *to)
{
    struct wr w = wr_into(to, BLOCK_HEADER_LEN);
    wr_bytes(&w, BYTES("KSTB"));
    wr_u8(&w, FORMAT_VERSION);
    wr_u8(&w, (uint8_t)btype);
    wr_u16be(&w, f->suite);
    wr_bytes(&w, ID(f->account));
    wr_bytes(&w, ID(f->aek_id));
    wr_bytes(&w, ID(f->file_id));
    wr_u64be(&w, block_no);
    wr_u32be(&w, len);
    wr_u32be(&w, 0);
    wr_bytes(&w, bytes_of(salt, SEAL_SALT_LEN));
    assert(!w.bad && wr_len(&w) == BLOCK_HEADER_LEN);
}

enum err block_seal_salted(struct file_key *k, enum btype btype, uint64_t block_no,
                           const uint8_t salt[SEAL_SALT_LEN], struct bytes plain, struct buf *out,
                           struct diag *d)
{
    if (plain.len == 0 || plain.len > BLOCK_LEN_MAX) {
        return FAIL(d, ERR_LIMIT, "a block of %zu bytes; 1 to %" PRIu32 " fit", plain.len,
                    BLOCK_LEN_MAX);
    }
    size_t before = out->len;
    uint8_t *to = buf_extend(out, plain.len + BLOCK_OVERHEAD);
    if (to == NULL) return buf_check(out, d);
    enum err e = begin_use(k, d);
    if (e != OK) {
        buf_shrink(out, before);
        return e;
    }
    encode_header(&k->ident, btype, block_no, (uint32_t)plain.len, salt, to);

    struct dek dek;
    derive_dek(k, (uint8_t)btype, block_no, salt, &dek);
    struct aead a = {.alg = AEAD_AES_256_GCM,
                     .key = dek.key,
                     .nonce = dek.nonce,
                     .aad = bytes_of(to, BLOCK_HEADER_LEN)};
    e = aead_seal(&a, plain, to + BLOCK_HEADER_LEN, d);
    wipe(&dek, sizeof dek);
    end_use(k);
    if (e != OK) buf_shrink(out, before);
    return e;
}

/* A key that was wiped between the two layers has no outer key any more. */
static enum err seal_frame(struct file_key *k, uint64_t block_no, struct bytes block,
                           struct buf *out, struct diag *d)
{
    TRY(begin_use(k, d));
    enum err e = outer_seal(k->outer, block_no, block, out, d);
    end_use(k);
    return e;
}

enum err block_seal(struct file_key *k, enum btype btype, uint64_t block_no, struct bytes plain,
                    struct buf *out, struct diag *d)
{
    uint8_t salt[SEAL_SALT_LEN];
    rand_bytes(salt, sizeof salt);
    if (!k->is_double) return block_seal_salted(k, btype, block_no, salt, plain, out, d);
    CLEANUP_BUF struct buf block = {0};
    TRY(block_seal_salted(k, btype, block_no, salt, plain, &block, d));
    return seal_frame(k, block_no, buf_view(&block), out, d);
}

/* What is wrong with a header by itself; NULL: nothing. */
static const char *read_header(struct bytes in, struct block_header *out, const uint8_t **salt)
{
    struct rd r = rd_from(in);
    struct bytes magic = rd_bytes(&r, 4);
    uint8_t version = rd_u8(&r);
    struct block_header h = {.btype = rd_u8(&r), .suite = rd_u16be(&r)};
    rd_copy(&r, h.account, sizeof h.account);
    rd_copy(&r, h.aek_id, sizeof h.aek_id);
    rd_copy(&r, h.file_id, sizeof h.file_id);
    h.block_no = rd_u64be(&r);
    h.len = rd_u32be(&r);
    uint32_t zero = rd_u32be(&r);
    *salt = rd_bytes(&r, SEAL_SALT_LEN).p;

    if (r.bad) return "shorter than a header";
    if (!bytes_eq(magic, BYTES("KSTB"))) return "bad magic";
    if (version != FORMAT_VERSION) return "unknown version";
    if (zero != 0) return "bytes that must be zero are not";
    if (h.suite != SUITE_0001) return "suite is not on the list";
    if (h.len == 0 || h.len > BLOCK_LEN_MAX) return "length out of range";
    *out = h;
    return NULL;
}

enum err block_header_decode(struct bytes in, struct block_header *out, struct diag *d)
{
    const uint8_t *salt;
    const char *wrong = read_header(in, out, &salt);
    return wrong == NULL ? OK : FAIL(d, ERR_CORRUPT, "block header: %s", wrong);
}

#define ANY_BTYPE ((enum btype)0)

/* What is wrong with a block for one who asked for this file's block of that type and number;
 * *btype ANY_BTYPE becomes what it says. */
static const char *check_block(const struct file_key *k, enum btype *btype, uint64_t block_no,
                               struct bytes sealed, const uint8_t **salt)
{
    struct block_header h;
    const char *wrong = read_header(sealed, &h, salt);
    if (wrong != NULL) return wrong;
    if (*btype == ANY_BTYPE) *btype = (enum btype)h.btype;

    const struct file_ident *f = &k->ident;
    if (sealed.len != (size_t)h.len + BLOCK_OVERHEAD) return "length does not fit the file";
    if (memcmp(h.account, f->account, sizeof h.account) != 0) return "another account's block";
    if (memcmp(h.aek_id, f->aek_id, sizeof h.aek_id) != 0) return "another account key's block";
    if (memcmp(h.file_id, f->file_id, sizeof h.file_id) != 0) return "another file's block";
    if (h.btype != *btype) return "a block of another type";
    if (h.block_no != block_no) return "another block of this file";
    return NULL;
}

/* One sentence for all reasons: users learn nothing from the difference, the log names it. */
static enum err refuse(const char *reason, uint64_t block_no, struct diag *d)
{
    LOG(WARN, "block.refused", F_STR("reason", reason), F_U64("block", block_no));
    return FAIL(d, ERR_CORRUPT, "block cannot be opened");
}

static enum err open_inner(struct file_key *k, enum btype *btype, uint64_t block_no,
                           struct bytes sealed, struct buf *out, struct diag *d)
{
    const uint8_t *salt;
    const char *wrong = check_block(k, btype, block_no, sealed, &salt);
    if (wrong != NULL) return refuse(wrong, block_no, d);

    size_t before = out->len;
    uint8_t *to = buf_extend(out, sealed.len - BLOCK_OVERHEAD);
    if (to == NULL) return buf_check(out, d);
    enum err e = begin_use(k, d);
    if (e != OK) {
        buf_shrink(out, before);
        return e;
    }

    struct dek dek;
    derive_dek(k, (uint8_t)*btype, block_no, salt, &dek);
    struct aead a = {.alg = AEAD_AES_256_GCM,
                     .key = dek.key,
                     .nonce = dek.nonce,
                     .aad = bytes_of(sealed.p, BLOCK_HEADER_LEN)};
    struct bytes body = bytes_of(sealed.p + BLOCK_HEADER_LEN, sealed.len - BLOCK_HEADER_LEN);
    e = aead_open(&a, body, to, NULL);
    wipe(&dek, sizeof dek);
    end_use(k);
    if (e == OK) return OK;

    buf_shrink(out, before); /* also wipes */
    if (e == ERR_CORRUPT) return refuse("tag does not match", block_no, d);
    return FAIL(d, e, "block cannot be opened: out of memory");
}

static enum err open_frame(struct file_key *k, uint64_t block_no, struct bytes frame,
                           struct buf *block, struct diag *d)
{
    TRY(begin_use(k, d));
    enum err e = outer_open(k->outer, block_no, frame, block, d);
    end_use(k);
    return e;
}

static enum err open_both(struct file_key *k, enum btype *btype, uint64_t block_no,
                          struct bytes sealed, struct buf *out, struct diag *d)
{
    if (!k->is_double) return open_inner(k, btype, block_no, sealed, out, d);
    CLEANUP_BUF struct buf block = {0};
    TRY(open_frame(k, block_no, sealed, &block, d));
    return open_inner(k, btype, block_no, buf_view(&block), out, d);
}

enum err block_open(struct file_key *k, enum btype btype, uint64_t block_no, struct bytes sealed,
                    struct buf *out, struct diag *d)
{
    if (btype == ANY_BTYPE) return refuse("a block of no type", block_no, d);
    return open_both(k, &btype, block_no, sealed, out, d);
}

enum err block_open_any(struct file_key *k, uint64_t block_no, struct bytes sealed,
                        enum btype *btype, struct buf *out, struct diag *d)
{
    *btype = ANY_BTYPE;
    return open_both(k, btype, block_no, sealed, out, d);
}

struct bytes file_key_needle(struct file_key *k, enum btype btype, uint8_t out[SEALED_NEEDLE_MAX])
{
    if (k->is_double) {
        if (begin_use(k, NULL) != OK) return (struct bytes){0};
        struct bytes needle = outer_needle(k->outer, out);
        end_use(k);
        return needle;
    }
    struct wr w = wr_into(out, SEALED_NEEDLE_MAX);
    wr_bytes(&w, BYTES("KSTB"));
    wr_u8(&w, FORMAT_VERSION);
    wr_u8(&w, (uint8_t)btype);
    wr_u16be(&w, k->ident.suite);
    wr_bytes(&w, ID(k->ident.account));
    wr_bytes(&w, ID(k->ident.aek_id));
    wr_bytes(&w, ID(k->ident.file_id));
    assert(!w.bad && wr_len(&w) == SEALED_NEEDLE_MAX);
    return bytes_of(out, SEALED_NEEDLE_MAX);
}
