/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/known_answers.c - tests/data/suite0001.json, made by an independent
 * implementation */
#include "test.h"

#include "base/log.h"
#include "base/str.h"
#include "crypto/aead.h"
#include "crypto/sealed.h"
#include "crypto/sealed_salt.h"

#include <stdio.h>
#include <stdlib.h>

#define CASES 8

/* The file is flat enough to be read by name, so that crypto needs no JSON below it: a case runs
 * from its "case" to the next, and its "outer" object comes last. */
struct vector {
    char *all; /* the whole file */
    const char *from, *outer;
};

static struct vector vector_load(int number)
{
    struct diag d = DIAG_INIT;
    struct buf text = {0};
    REQUIRE_OK(os_read_file(KEYSTEAD_SOURCE_DIR "/tests/data/suite0001.json", 1 << 20, &text, &d));
    struct vector v = {.all = str_dup(buf_cstr(&text))};
    buf_release(&text);
    char mark[32];
    snprintf(mark, sizeof mark, "\"case\": %d,", number);
    v.from = strstr(v.all, mark);
    REQUIRE(v.from != NULL);
    v.outer = strstr(v.from, "\"outer\"");
    REQUIRE(v.outer != NULL);
    return v;
}

static const char *value(const char *from, const char *name)
{
    char mark[64];
    snprintf(mark, sizeof mark, "\"%s\": ", name);
    const char *p = strstr(from, mark);
    REQUIRE(p != NULL);
    return p + strlen(mark);
}

static uint64_t number(const char *from, const char *name)
{
    return strtoull(value(from, name), NULL, 10);
}

static size_t hex(const char *from, const char *name, uint8_t *out, size_t max)
{
    struct diag d = DIAG_INIT;
    const char *p = value(from, name) + 1;
    size_t len = strcspn(p, "\"") / 2;
    REQUIRE(len <= max);
    REQUIRE_OK(hex_decode(bytes_of(p, 2 * len), out, len, &d));
    return len;
}

#define EXPECT_HEX(from, name, got, n)                            \
    do {                                                          \
        uint8_t want_[256];                                       \
        EXPECT_EQ(hex((from), (name), want_, sizeof want_), (n)); \
        assert_memory_equal((got), want_, (n));                   \
    } while (0)

static struct secret *hex_secret(const char *from, const char *name)
{
    struct diag d = DIAG_INIT;
    uint8_t b[64];
    struct secret *s;
    REQUIRE_OK(secret_of(&s, bytes_of(b, hex(from, name, b, sizeof b)), &d));
    return s;
}

static struct file_ident ident(const struct vector *v)
{
    struct file_ident f = {.otype = (uint8_t)number(v->from, "otype"),
                           .suite = (uint16_t)number(v->from, "suite")};
    hex(v->from, "account_id", f.account, 16);
    hex(v->from, "aek_id", f.aek_id, 16);
    hex(v->from, "file_id", f.file_id, 16);
    hex(v->from, "file_salt", f.file_salt, 32);
    return f;
}

static void plaintext(const struct vector *v, struct buf *out)
{
    uint64_t len = number(v->from, "plaintext_len"), which = number(v->from, "case");
    for (uint64_t i = 0; i < len; i++)
        buf_u8(out, (uint8_t)(i * 7 + which));
}

static void seal_case(const struct vector *v, struct file_key **key, struct buf *sealed)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *aek = hex_secret(v->from, "aek");
    struct file_ident f = ident(v);
    CLEANUP(secret_free) struct secret *file_key = NULL;
    REQUIRE_OK(file_key_derive(aek, &f, true, &file_key, &d));
    EXPECT_HEX(v->from, "file_key", secret_peek(file_key), FILE_KEY_LEN);
    EXPECT_HEX(v->from, "file_commit", f.file_commit, 32);
    REQUIRE_OK(file_key_new(key, &f, secret_view(file_key), &d));

    CLEANUP_BUF struct buf plain = {0};
    plaintext(v, &plain);
    uint8_t salt[SEAL_SALT_LEN];
    hex(v->from, "block_salt", salt, sizeof salt);
    REQUIRE_OK(block_seal_salted(*key, (enum btype)number(v->from, "btype"),
                                 number(v->from, "block_no"), salt, buf_view(&plain), sealed, &d));
}

TEST(crypto, every_known_commitment_and_file_header_is_ours)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < CASES; i++) {
        struct vector v = vector_load(i);
        struct secret *aek = hex_secret(v.from, "aek");
        struct file_ident f = ident(&v), back;
        uint8_t commit[32], header[FILE_HEADER_LEN];
        REQUIRE_OK(aek_commitment(aek, f.suite, f.account, f.aek_id,
                                  (uint32_t)number(v.from, "aek_gen"), commit, &d));
        EXPECT_HEX(v.from, "aek_commit", commit, sizeof commit);

        hex(v.from, "file_commit", f.file_commit, 32);
        file_header_encode(&f, header);
        EXPECT_HEX(v.from, "file_header", header, sizeof header);
        REQUIRE_OK(file_header_decode(bytes_of(header, sizeof header), &back, &d));
        assert_memory_equal(&back, &f, sizeof f);
        secret_free(aek);
        free(v.all);
    }
}

TEST(crypto, every_known_block_is_sealed_to_the_same_bytes_and_opens)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < CASES; i++) {
        struct vector v = vector_load(i);
        struct file_key *key;
        struct buf sealed = {0}, plain = {0}, opened = {0};
        seal_case(&v, &key, &sealed);
        plaintext(&v, &plain);

        EXPECT_EQ(sealed.len, plain.len + BLOCK_OVERHEAD);
        EXPECT_HEX(v.from, "header_aad", sealed.p, BLOCK_HEADER_LEN);
        EXPECT_HEX(v.from, "tag", sealed.p + sealed.len - BLOCK_TAG_LEN, BLOCK_TAG_LEN);
        uint8_t digest[32];
        sha256(bytes_of(sealed.p + BLOCK_HEADER_LEN, plain.len), digest);
        EXPECT_HEX(v.from, "ciphertext_sha256", digest, 32);
        if (plain.len < 100)
            EXPECT_HEX(v.from, "ciphertext", sealed.p + BLOCK_HEADER_LEN, plain.len);

        struct block_header h;
        REQUIRE_OK(block_header_decode(buf_view(&sealed), &h, &d));
        EXPECT_EQ(h.block_no, number(v.from, "block_no"));
        REQUIRE_OK(block_open(key, h.btype, h.block_no, buf_view(&sealed), &opened, &d));
        REQUIRE(bytes_eq(buf_view(&opened), buf_view(&plain)));

        buf_release(&sealed), buf_release(&plain), buf_release(&opened);
        file_key_free(key);
        free(v.all);
    }
}

TEST(crypto, every_known_outer_frame_is_sealed_to_the_same_bytes_and_opens)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < CASES; i++) {
        struct vector v = vector_load(i);
        struct file_key *inner;
        struct buf block = {0}, frame = {0}, opened = {0};
        seal_case(&v, &inner, &block);

        struct secret *iek = hex_secret(v.outer, "iek"), *file_key;
        uint8_t iek_id[16], salt[SEAL_SALT_LEN], digest[32];
        hex(v.outer, "iek_id", iek_id, 16);
        hex(v.outer, "frame_salt", salt, sizeof salt);
        struct file_ident f = ident(&v);
        REQUIRE_OK(outer_file_key_derive(iek, iek_id, &f, &file_key, &d));
        EXPECT_HEX(v.outer, "outer_file_key", secret_peek(file_key), FILE_KEY_LEN);

        struct outer_key *key;
        uint64_t no = number(v.outer, "frame_no");
        REQUIRE_OK(outer_key_new(&key, iek_id, &f, secret_view(file_key), &d));
        REQUIRE_OK(outer_seal_salted(key, no, salt, buf_view(&block), &frame, &d));
        EXPECT_HEX(v.outer, "header_aad", frame.p, OUTER_HEADER_LEN);
        sha256(bytes_of(frame.p + OUTER_HEADER_LEN, block.len), digest);
        EXPECT_HEX(v.outer, "ciphertext_sha256", digest, 32);
        EXPECT_HEX(v.outer, "tag", frame.p + OUTER_HEADER_LEN + block.len, AEAD_TAG_LEN);
        REQUIRE_OK(outer_open(key, no, buf_view(&frame), &opened, &d));
        REQUIRE(bytes_eq(buf_view(&opened), buf_view(&block)));

        buf_release(&block), buf_release(&frame), buf_release(&opened);
        secret_free(iek), secret_free(file_key);
        outer_key_free(key);
        file_key_free(inner);
        free(v.all);
    }
}
