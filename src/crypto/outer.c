/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/outer.c - frames of the second layer, suite 0x0101 (keys.md "Second layer") */
#include "crypto/sealed.h"

#include "base/log.h"
#include "base/rand.h"
#include "crypto/aead.h"
#include "crypto/sealed_salt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define FRAME_VERSION  1
#define FRAME_LEN_MAX  (BLOCK_LEN_MAX + BLOCK_OVERHEAD) /* bytes: a whole sealed block */
#define FRAME_OVERHEAD OUTER_OVERHEAD
#define INFO_MAX       160

static const char label_file[] = "keystead/1 outer-file";
static const char label_commit[] = "keystead/1 iek-commit";
static const char label_frame[] = "keystead/1 outer-frame";

#define LABEL(l) bytes_of((l), sizeof(l)) /* with its zero byte */
#define ID(id)   bytes_of((id), 16)

static enum err check_iek(const struct secret *iek, struct diag *d)
{
    if (secret_len(iek) == IEK_LEN) return OK;
    return FAIL(d, ERR_INVALID, "an infrastructure key of %zu bytes, not %d", secret_len(iek),
                IEK_LEN);
}

enum err iek_commitment(const struct secret *iek, const uint8_t iek_id[16], uint8_t out[32],
                        struct diag *d)
{
    TRY(check_iek(iek, d));
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_commit));
    wr_u16be(&w, SUITE_OUTER_0101);
    wr_bytes(&w, ID(iek_id));
    assert(!w.bad);
    hkdf_expand(secret_view(iek), bytes_of(info, wr_len(&w)), out, 32);
    return OK;
}

enum err outer_file_key_derive(const struct secret *iek, const uint8_t iek_id[16],
                               const struct file_ident *f, struct secret **out, struct diag *d)
{
    TRY(check_iek(iek, d));
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_file));
    wr_u16be(&w, SUITE_OUTER_0101);
    wr_bytes(&w, ID(iek_id));
    wr_bytes(&w, ID(f->file_id));
    wr_bytes(&w, bytes_of(f->file_salt, sizeof f->file_salt));
    assert(!w.bad);

    CLEANUP(secret_free) struct secret *key = NULL;
    TRY(secret_new(&key, FILE_KEY_LEN, d));
    hkdf_expand(secret_view(iek), bytes_of(info, wr_len(&w)), secret_fill(key), FILE_KEY_LEN);
    *out = TAKE(key);
    return OK;
}

struct outer_key {
    uint8_t iek_id[16], file_id[16];
    struct hmac_key *hmac;
};

enum err outer_key_new(struct outer_key **out, const uint8_t iek_id[16], const struct file_ident *f,
                       struct bytes key, struct diag *d)
{
    if (key.len != FILE_KEY_LEN) {
        return FAIL(d, ERR_INVALID, "an outer file key of %zu bytes, not %d", key.len,
                    FILE_KEY_LEN);
    }
    CLEANUP(outer_key_free) struct outer_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    memcpy(k->iek_id, iek_id, sizeof k->iek_id);
    memcpy(k->file_id, f->file_id, sizeof k->file_id);
    TRY(hmac_key_new(&k->hmac, key, d));
    *out = TAKE(k);
    return OK;
}

void outer_key_free(struct outer_key *k)
{
    if (k == NULL) return;
    hmac_key_free(k->hmac);
    free(k);
}

struct frame_key {
    uint8_t key[AEAD_KEY_LEN];
    uint8_t nonce[AEAD_NONCE_LEN];
};

static void derive(const struct outer_key *k, uint64_t frame_no, const uint8_t *salt,
                   struct frame_key *out)
{
    static_assert(sizeof *out == 44, "key and nonce come from one expansion");
    uint8_t info[INFO_MAX];
    struct wr w = wr_into(info, sizeof info);
    wr_bytes(&w, LABEL(label_frame));
    wr_u16be(&w, SUITE_OUTER_0101);
    wr_u64be(&w, frame_no);
    wr_bytes(&w, bytes_of(salt, SEAL_SALT_LEN));
    assert(!w.bad);
    hmac_key_expand(k->hmac, bytes_of(info, wr_len(&w)), (uint8_t *)out, sizeof *out);
}

static void encode_header(const struct outer_key *k, uint64_t frame_no, uint32_t len,
                          const uint8_t *salt, uint8_t *to)
{
    struct wr w = wr_into(to, OUTER_HEADER_LEN);
    wr_bytes(&w, BYTES("KSTO"));
    wr_u8(&w, FRAME_VERSION);
    wr_u8(&w, 0);
    wr_u16be(&w, SUITE_OUTER_0101);
    wr_bytes(&w, ID(k->iek_id));
    wr_bytes(&w, ID(k->file_id));
    wr_u64be(&w, frame_no);
    wr_u32be(&w, len);
    wr_u32be(&w, 0);
    wr_bytes(&w, bytes_of(salt, SEAL_SALT_LEN));
    assert(!w.bad && wr_len(&w) == OUTER_HEADER_LEN);
}

enum err outer_seal_salted(struct outer_key *k, uint64_t frame_no,
                           const uint8_t salt[SEAL_SALT_LEN], struct bytes block, struct buf *out,
                           struct diag *d)
{
    if (block.len == 0 || block.len > FRAME_LEN_MAX) {
        return FAIL(d, ERR_LIMIT, "a frame of %zu bytes; 1 to %" PRIu32 " fit", block.len,
                    (uint32_t)FRAME_LEN_MAX);
    }
    size_t before = out->len;
    uint8_t *to = buf_extend(out, block.len + FRAME_OVERHEAD);
    if (to == NULL) return buf_check(out, d);
    encode_header(k, frame_no, (uint32_t)block.len, salt, to);

    struct frame_key key;
    derive(k, frame_no, salt, &key);
    struct aead a = {.alg = AEAD_CHACHA20_POLY1305,
                     .key = key.key,
                     .nonce = key.nonce,
                     .aad = bytes_of(to, OUTER_HEADER_LEN)};
    enum err e = aead_seal(&a, block, to + OUTER_HEADER_LEN, d);
    wipe(&key, sizeof key);
    if (e != OK) buf_shrink(out, before);
    return e;
}

enum err outer_seal(struct outer_key *k, uint64_t frame_no, struct bytes block, struct buf *out,
                    struct diag *d)
{
    uint8_t salt[SEAL_SALT_LEN];
    rand_bytes(salt, sizeof salt);
    return outer_seal_salted(k, frame_no, salt, block, out, d);
}

struct frame_header {
    uint8_t iek_id[16], file_id[16];
    uint64_t no;
    uint32_t len;
};

/* What is wrong with a header by itself; NULL: nothing. */
static const char *read_header(struct bytes in, struct frame_header *out, const uint8_t **salt)
{
    struct rd r = rd_from(in);
    struct bytes magic = rd_bytes(&r, 4);
    uint8_t version = rd_u8(&r);
    uint8_t zero8 = rd_u8(&r);
    uint16_t suite = rd_u16be(&r);
    struct frame_header h;
    rd_copy(&r, h.iek_id, sizeof h.iek_id);
    rd_copy(&r, h.file_id, sizeof h.file_id);
    h.no = rd_u64be(&r);
    h.len = rd_u32be(&r);
    uint32_t zero32 = rd_u32be(&r);
    *salt = rd_bytes(&r, SEAL_SALT_LEN).p;

    if (r.bad) return "shorter than a header";
    if (!bytes_eq(magic, BYTES("KSTO"))) return "bad magic";
    if (version != FRAME_VERSION) return "unknown version";
    if (zero8 != 0 || zero32 != 0) return "bytes that must be zero are not";
    if (suite != SUITE_OUTER_0101) return "suite is not on the list";
    if (h.len == 0 || h.len > FRAME_LEN_MAX) return "length out of range";
    *out = h;
    return NULL;
}

enum err sealed_head_decode(struct bytes in, struct sealed_head *out, struct diag *d)
{
    struct sealed_head x = {.is_framed = in.len >= 4 && memcmp(in.p, "KSTO", 4) == 0};
    if (!x.is_framed) {
        TRY(block_header_decode(in, &x.block, d));
        x.no = x.block.block_no;
        x.length = (size_t)x.block.len + BLOCK_OVERHEAD;
        memcpy(x.file_id, x.block.file_id, sizeof x.file_id);
    } else {
        struct frame_header h;
        const uint8_t *salt;
        const char *wrong = read_header(in, &h, &salt);
        if (wrong != NULL) return FAIL(d, ERR_CORRUPT, "frame header: %s", wrong);
        x.no = h.no;
        x.length = (size_t)h.len + FRAME_OVERHEAD;
        memcpy(x.file_id, h.file_id, sizeof x.file_id);
        memcpy(x.iek_id, h.iek_id, sizeof x.iek_id);
    }
    *out = x;
    return OK;
}

struct bytes outer_needle(const struct outer_key *k, uint8_t *out)
{
    struct wr w = wr_into(out, 40);
    wr_bytes(&w, BYTES("KSTO"));
    wr_u8(&w, FRAME_VERSION);
    wr_u8(&w, 0);
    wr_u16be(&w, SUITE_OUTER_0101);
    wr_bytes(&w, ID(k->iek_id));
    wr_bytes(&w, ID(k->file_id));
    return bytes_of(out, wr_len(&w));
}

/* What is wrong with a frame for one who asked for this file's frame of that number; NULL: nothing.
 */
static const char *check_frame(const struct outer_key *k, uint64_t frame_no, struct bytes frame,
                               const uint8_t **salt)
{
    struct frame_header h;
    const char *wrong = read_header(frame, &h, salt);
    if (wrong != NULL) return wrong;
    if (frame.len != (size_t)h.len + FRAME_OVERHEAD) return "length does not fit the file";
    if (memcmp(h.iek_id, k->iek_id, 16) != 0) return "another infrastructure key's frame";
    if (memcmp(h.file_id, k->file_id, 16) != 0) return "another file's frame";
    if (h.no != frame_no) return "another frame of this file";
    return NULL;
}

static enum err refuse(const char *reason, uint64_t frame_no, struct diag *d)
{
    LOG(WARN, "frame.refused", F_STR("reason", reason), F_U64("frame", frame_no));
    return FAIL(d, ERR_CORRUPT, "block cannot be opened");
}

enum err outer_open(struct outer_key *k, uint64_t frame_no, struct bytes frame, struct buf *out,
                    struct diag *d)
{
    const uint8_t *salt;
    const char *wrong = check_frame(k, frame_no, frame, &salt);
    if (wrong != NULL) return refuse(wrong, frame_no, d);

    size_t before = out->len;
    uint8_t *to = buf_extend(out, frame.len - FRAME_OVERHEAD);
    if (to == NULL) return buf_check(out, d);

    struct frame_key key;
    derive(k, frame_no, salt, &key);
    struct aead a = {.alg = AEAD_CHACHA20_POLY1305,
                     .key = key.key,
                     .nonce = key.nonce,
                     .aad = bytes_of(frame.p, OUTER_HEADER_LEN)};
    struct bytes body = bytes_of(frame.p + OUTER_HEADER_LEN, frame.len - OUTER_HEADER_LEN);
    enum err e = aead_open(&a, body, to, NULL);
    wipe(&key, sizeof key);
    if (e == OK) return OK;

    buf_shrink(out, before); /* also wipes */
    if (e == ERR_CORRUPT) return refuse("tag does not match", frame_no, d);
    return FAIL(d, e, "block cannot be opened: out of memory");
}
