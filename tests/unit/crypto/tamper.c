/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/tamper.c - whatever is done to a sealed block, it does not open */
#include "test.h"

#include "base/log.h"
#include "base/rand.h"
#include "base/thread.h"
#include "crypto/sealed.h"

#include <stdlib.h>

struct made {
    struct secret *aek;
    struct file_ident f;
    struct file_key *key;
};

static struct file_key *key_of(const struct secret *aek, struct file_ident *f)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *s = NULL;
    struct file_key *k;
    REQUIRE_OK(file_key_derive(aek, f, true, &s, &d));
    REQUIRE_OK(file_key_new(&k, f, secret_view(s), &d));
    return k;
}

static struct made make(void)
{
    struct diag d = DIAG_INIT;
    struct made m = {.f = {.otype = OTYPE_SEGMENT, .suite = SUITE_0001}};
    rand_bytes(m.f.account, 16), rand_bytes(m.f.aek_id, 16), rand_bytes(m.f.file_id, 16);
    rand_bytes(m.f.file_salt, 32);
    REQUIRE_OK(secret_random(&m.aek, AEK_LEN, &d));
    m.key = key_of(m.aek, &m.f);
    log_set_level(LOG_ERROR); /* each refusal is logged; thousands are expected here */
    return m;
}

static void drop(struct made *m)
{
    secret_free(m->aek);
    file_key_free(m->key);
}

static struct buf seal(struct file_key *k, enum btype t, uint64_t no)
{
    struct diag d = DIAG_INIT;
    struct buf out = {0};
    REQUIRE_OK(
        block_seal(k, t, no, BYTES("forty-two bytes of a log row, or a few more"), &out, &d));
    return out;
}

/* A refused block leaves the caller's buffer as it was, and says one sentence for all reasons. */
static void expect_refused(struct file_key *k, enum btype t, uint64_t no, struct bytes sealed)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf out = {0};
    buf_str(&out, "before");
    REQUIRE_ERR(ERR_CORRUPT, block_open(k, t, no, sealed, &out, &d));
    EXPECT_STR(d.text, "block cannot be opened");
    REQUIRE(bytes_eq(buf_view(&out), BYTES("before")));
}

TEST(sealed, every_flipped_bit_of_a_block_is_detected)
{
    struct made m = make();
    struct buf b = seal(m.key, BTYPE_DATA, 7);
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        expect_refused(m.key, BTYPE_DATA, 7, buf_view(&b));
        b.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    buf_release(&b);
    drop(&m);
}

TEST(sealed, every_truncation_and_every_tail_is_detected)
{
    struct made m = make();
    struct buf b = seal(m.key, BTYPE_DATA, 7);
    for (size_t cut = 0; cut < b.len; cut++) {
        uint8_t *image = malloc(cut != 0 ? cut : 1); /* no slack: ASan guards the end */
        REQUIRE(image != NULL);
        memcpy(image, b.p, cut);
        expect_refused(m.key, BTYPE_DATA, 7, bytes_of(image, cut));
        free(image);
    }
    buf_u8(&b, 0);
    expect_refused(m.key, BTYPE_DATA, 7, buf_view(&b));
    buf_release(&b);
    drop(&m);
}

TEST(sealed, a_block_opens_only_as_the_number_and_type_it_was_sealed_as)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    CLEANUP_BUF struct buf b = seal(m.key, BTYPE_DATA, 7), c = seal(m.key, BTYPE_DATA, 8),
                           out = {0};
    expect_refused(m.key, BTYPE_DATA, 8, buf_view(&b));
    expect_refused(m.key, BTYPE_DATA, 7, buf_view(&c));
    for (int t = 0; t < 256; t++) {
        if (t != BTYPE_DATA) expect_refused(m.key, (enum btype)t, 7, buf_view(&b));
    }
    /* Nor when the header is changed to what the reader asks for. */
    b.p[63] = 8;
    expect_refused(m.key, BTYPE_DATA, 8, buf_view(&b));
    b.p[63] = 7, b.p[5] = BTYPE_FOOTER;
    expect_refused(m.key, BTYPE_FOOTER, 7, buf_view(&b));
    b.p[5] = BTYPE_DATA;
    REQUIRE_OK(block_open(m.key, BTYPE_DATA, 7, buf_view(&b), &out, &d));
    drop(&m);
}

/* Seals under key a, rewrites the header's ids to b's and asks for it with key b. */
static void expect_foreign(struct made *a, const struct secret *aek, struct file_ident *other)
{
    struct file_key *k = key_of(aek, other);
    struct buf b = seal(a->key, BTYPE_DATA, 7);
    expect_refused(k, BTYPE_DATA, 7, buf_view(&b));
    memcpy(b.p + 8, other->account, 16);
    memcpy(b.p + 24, other->aek_id, 16);
    memcpy(b.p + 40, other->file_id, 16);
    expect_refused(k, BTYPE_DATA, 7, buf_view(&b));
    buf_release(&b);
    file_key_free(k);
}

TEST(sealed, a_block_of_another_file_account_key_or_kind_of_file_is_detected)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    struct file_ident f = m.f;
    f.file_id[15] ^= 1;
    expect_foreign(&m, m.aek, &f);
    f = m.f, f.account[0] ^= 1;
    expect_foreign(&m, m.aek, &f);
    f = m.f, f.aek_id[0] ^= 1;
    expect_foreign(&m, m.aek, &f);
    f = m.f, f.file_salt[0] ^= 1;
    expect_foreign(&m, m.aek, &f);
    f = m.f, f.otype = OTYPE_WAL;
    expect_foreign(&m, m.aek, &f);

    CLEANUP(secret_free) struct secret *aek = NULL;
    REQUIRE_OK(secret_random(&aek, AEK_LEN, &d));
    f = m.f;
    expect_foreign(&m, aek, &f);
    drop(&m);
}

TEST(sealed, the_wrong_account_key_yields_no_file_key)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    CLEANUP(secret_free) struct secret *other = NULL, *got = NULL;
    REQUIRE_OK(secret_random(&other, AEK_LEN, &d));
    REQUIRE_ERR(ERR_CORRUPT, file_key_derive(other, &m.f, false, &got, &d));
    REQUIRE(got == NULL);
    for (int bit = 0; bit < 256; bit++) {
        struct file_ident f = m.f;
        f.file_commit[bit / 8] ^= (uint8_t)(1U << bit % 8);
        REQUIRE_ERR(ERR_CORRUPT, file_key_derive(m.aek, &f, false, &got, &d));
    }
    REQUIRE_OK(file_key_derive(m.aek, &m.f, false, &got, &d));
    EXPECT_EQ(secret_len(got), FILE_KEY_LEN);
    drop(&m);
}

TEST(sealed, an_account_key_of_31_or_33_bytes_is_refused)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    uint8_t commit[32];
    for (size_t len = 0; len <= 64; len++) {
        if (len == AEK_LEN) continue;
        CLEANUP(secret_free) struct secret *aek = NULL, *got = NULL;
        REQUIRE_OK(secret_random(&aek, len, &d));
        REQUIRE_ERR(ERR_INVALID, file_key_derive(aek, &m.f, true, &got, &d));
        REQUIRE_ERR(ERR_INVALID,
                    aek_commitment(aek, SUITE_0001, m.f.account, m.f.aek_id, 1, commit, &d));
        REQUIRE_ERR(ERR_INVALID, outer_file_key_derive(aek, m.f.aek_id, &m.f, &got, &d));
    }
    drop(&m);
}

TEST(sealed, an_unknown_suite_is_refused_before_any_key_is_derived)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    struct file_ident f = m.f;
    f.suite = 0x0002;
    CLEANUP(secret_free) struct secret *got = NULL;
    uint8_t zeros[FILE_KEY_LEN] = {0};
    struct file_key *k;
    REQUIRE_ERR(ERR_INVALID, file_key_derive(m.aek, &f, true, &got, &d));
    REQUIRE_ERR(ERR_INVALID, file_key_new(&k, &f, BYTES_OF(zeros), &d));
    drop(&m);
}

TEST(sealed, every_flipped_bit_and_truncation_of_a_file_header_is_detected)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(&m.f, header);
    CLEANUP(secret_free) struct secret *got = NULL;
    for (size_t bit = 0; bit < 8 * sizeof header; bit++) {
        struct file_ident f;
        header[bit / 8] ^= (uint8_t)(1U << bit % 8);
        diag_reset(&d);
        enum err e = file_header_decode(BYTES_OF(header), &f, &d);
        if (e == OK) e = file_key_derive(m.aek, &f, false, &got, &d);
        EXPECT_EQ(e, ERR_CORRUPT);
        header[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < sizeof header; cut++) {
        struct file_ident f;
        REQUIRE_ERR(ERR_CORRUPT, file_header_decode(bytes_of(header, cut), &f, &d));
    }
    drop(&m);
}

TEST(sealed, empty_and_oversized_blocks_are_refused)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    CLEANUP_BUF struct buf out = {0}, big = {0};
    REQUIRE_ERR(ERR_LIMIT, block_seal(m.key, BTYPE_DATA, 1, (struct bytes){0}, &out, &d));
    REQUIRE(buf_extend(&big, (size_t)BLOCK_LEN_MAX + 1) != NULL);
    REQUIRE_ERR(ERR_LIMIT, block_seal(m.key, BTYPE_DATA, 1, buf_view(&big), &out, &d));
    EXPECT_EQ(out.len, 0);
    big.len--;
    REQUIRE_OK(block_seal(m.key, BTYPE_DATA, 1, buf_view(&big), &out, &d));
    buf_clear(&big);
    REQUIRE_OK(block_open(m.key, BTYPE_DATA, 1, buf_view(&out), &big, &d));
    EXPECT_EQ(big.len, BLOCK_LEN_MAX);
    drop(&m);
}

TEST(sealed, two_seals_of_the_same_block_differ)
{
    struct made m = make();
    CLEANUP_BUF struct buf a = seal(m.key, BTYPE_DATA, 7), b = seal(m.key, BTYPE_DATA, 7);
    REQUIRE(!bytes_eq(buf_view(&a), buf_view(&b)));
    drop(&m);
}

TEST(outer, every_flipped_bit_truncation_and_swap_of_a_frame_is_detected)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    uint8_t iek_id[16] = {1};
    CLEANUP(secret_free) struct secret *file_key = NULL;
    CLEANUP(outer_key_free) struct outer_key *k = NULL, *other = NULL;
    REQUIRE_OK(outer_file_key_derive(m.aek, iek_id, &m.f, &file_key, &d));
    REQUIRE_OK(outer_key_new(&k, iek_id, &m.f, secret_view(file_key), &d));

    CLEANUP_BUF struct buf block = seal(m.key, BTYPE_DATA, 7), frame = {0}, out = {0};
    REQUIRE_OK(outer_seal(k, 7, buf_view(&block), &frame, &d));
    for (size_t bit = 0; bit < 8 * frame.len; bit++) {
        frame.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        REQUIRE_ERR(ERR_CORRUPT, outer_open(k, 7, buf_view(&frame), &out, &d));
        frame.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < frame.len; cut++) {
        REQUIRE_ERR(ERR_CORRUPT, outer_open(k, 7, bytes_of(frame.p, cut), &out, &d));
    }
    REQUIRE_ERR(ERR_CORRUPT, outer_open(k, 8, buf_view(&frame), &out, &d));
    /* A bare block where a frame belongs. */
    REQUIRE_ERR(ERR_CORRUPT, outer_open(k, 7, buf_view(&block), &out, &d));

    struct file_ident f = m.f;
    f.file_id[0] ^= 1;
    REQUIRE_OK(outer_key_new(&other, iek_id, &f, secret_view(file_key), &d));
    REQUIRE_ERR(ERR_CORRUPT, outer_open(other, 7, buf_view(&frame), &out, &d));
    EXPECT_EQ(out.len, 0);
    REQUIRE_OK(outer_open(k, 7, buf_view(&frame), &out, &d));
    drop(&m);
}

static const uint8_t test_iek_id[16] = {0x1e, 0xe1};

static struct outer_key *outer_of(const struct secret *iek, const struct file_ident *f)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *s = NULL;
    struct outer_key *k;
    REQUIRE_OK(outer_file_key_derive(iek, test_iek_id, f, &s, &d));
    REQUIRE_OK(outer_key_new(&k, test_iek_id, f, secret_view(s), &d));
    return k;
}

static struct made make_double(struct secret *iek)
{
    struct made m = make();
    file_key_double(m.key, outer_of(iek, &m.f));
    return m;
}

TEST(layers, a_block_sealed_twice_is_one_frame_around_one_block)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    struct made m = make_double(iek);
    CLEANUP_BUF struct buf sealed = seal(m.key, BTYPE_WAL, 12), out = {0}, block = {0};
    EXPECT_EQ(file_key_overhead(m.key), BLOCK_OVERHEAD + OUTER_OVERHEAD);
    struct sealed_head h;
    REQUIRE_OK(sealed_head_decode(buf_view(&sealed), &h, &d));
    REQUIRE(h.is_framed && h.no == 12 && h.length == sealed.len);
    REQUIRE(memcmp(h.iek_id, test_iek_id, 16) == 0 && memcmp(h.file_id, m.f.file_id, 16) == 0);

    CLEANUP(outer_key_free) struct outer_key *outer = outer_of(iek, &m.f);
    REQUIRE_OK(outer_open(outer, 12, buf_view(&sealed), &block, &d));
    REQUIRE_OK(sealed_head_decode(buf_view(&block), &h, &d));
    REQUIRE(!h.is_framed && h.no == 12 && h.length == block.len);

    REQUIRE_OK(block_open(m.key, BTYPE_WAL, 12, buf_view(&sealed), &out, &d));
    enum btype btype;
    buf_clear(&out);
    REQUIRE_OK(block_open_any(m.key, 12, buf_view(&sealed), &btype, &out, &d));
    EXPECT_EQ(btype, BTYPE_WAL);
    uint8_t room[SEALED_NEEDLE_MAX];
    struct bytes needle = file_key_needle(m.key, BTYPE_WAL, room);
    REQUIRE(needle.len == 40 && memcmp(sealed.p, needle.p, needle.len) == 0);
    drop(&m);
}

TEST(layers, every_flipped_bit_and_truncation_of_both_layers_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    struct made m = make_double(iek);
    CLEANUP_BUF struct buf sealed = seal(m.key, BTYPE_DATA, 7);
    for (size_t bit = 0; bit < 8 * sealed.len; bit++) {
        sealed.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        expect_refused(m.key, BTYPE_DATA, 7, buf_view(&sealed));
        sealed.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t cut = 0; cut < sealed.len; cut++)
        expect_refused(m.key, BTYPE_DATA, 7, bytes_of(sealed.p, cut));
    drop(&m);
}

/* Whoever has the outer key alone - the infrastructure - still cannot move what lies inside. */
TEST(layers, an_inner_block_moved_into_a_good_frame_of_another_place_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    struct made m = make_double(iek), other = make_double(iek);
    CLEANUP(outer_key_free) struct outer_key *outer = outer_of(iek, &m.f);
    CLEANUP(outer_key_free) struct outer_key *outer2 = outer_of(iek, &other.f);
    CLEANUP_BUF struct buf sealed = seal(m.key, BTYPE_DATA, 7), block = {0}, moved = {0};
    REQUIRE_OK(outer_open(outer, 7, buf_view(&sealed), &block, &d));

    REQUIRE_OK(outer_seal(outer, 8, buf_view(&block), &moved, &d)); /* another number */
    expect_refused(m.key, BTYPE_DATA, 8, buf_view(&moved));
    buf_clear(&moved);
    REQUIRE_OK(outer_seal(outer2, 7, buf_view(&block), &moved, &d)); /* another file and tenant */
    expect_refused(other.key, BTYPE_DATA, 7, buf_view(&moved));
    expect_refused(m.key, BTYPE_META, 7, buf_view(&sealed)); /* another type */
    buf_clear(&moved);
    REQUIRE_OK(outer_seal(outer, 7, buf_view(&sealed), &moved, &d)); /* framed twice */
    expect_refused(m.key, BTYPE_DATA, 7, buf_view(&moved));
    drop(&m);
    drop(&other);
}

TEST(layers, a_file_of_one_layer_takes_no_frame_and_a_file_of_two_no_bare_block)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    struct made m = make();
    struct made twice = {.f = m.f, .key = key_of(m.aek, &m.f)}; /* the same inner key */
    file_key_double(twice.key, outer_of(iek, &m.f));
    CLEANUP_BUF struct buf bare = seal(m.key, BTYPE_DATA, 7),
                           framed = seal(twice.key, BTYPE_DATA, 7);
    expect_refused(m.key, BTYPE_DATA, 7, buf_view(&framed));
    expect_refused(twice.key, BTYPE_DATA, 7, buf_view(&bare));
    drop(&m);
    drop(&twice);
}

TEST(layers, another_infrastructure_key_opens_nothing)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL, *wrong = NULL, *short_one = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    REQUIRE_OK(secret_random(&wrong, IEK_LEN, &d));
    REQUIRE_OK(secret_random(&short_one, IEK_LEN - 1, &d));
    struct made m = make_double(iek);
    struct made other = {.f = m.f, .key = key_of(m.aek, &m.f)};
    file_key_double(other.key, outer_of(wrong, &m.f));
    CLEANUP_BUF struct buf sealed = seal(m.key, BTYPE_DATA, 7);
    expect_refused(other.key, BTYPE_DATA, 7, buf_view(&sealed));
    uint8_t commit[32], again[32];
    REQUIRE_OK(iek_commitment(iek, test_iek_id, commit, &d));
    REQUIRE_OK(iek_commitment(wrong, test_iek_id, again, &d));
    REQUIRE(memcmp(commit, again, 32) != 0);
    REQUIRE_ERR(ERR_INVALID, iek_commitment(short_one, test_iek_id, commit, &d));
    CLEANUP(secret_free) struct secret *none = NULL;
    REQUIRE_ERR(ERR_INVALID, outer_file_key_derive(short_one, test_iek_id, &m.f, &none, &d));
    drop(&m);
    drop(&other);
}

TEST(layers, a_wipe_takes_both_layers)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *iek = NULL;
    REQUIRE_OK(secret_random(&iek, IEK_LEN, &d));
    struct made m = make_double(iek);
    CLEANUP_BUF struct buf sealed = seal(m.key, BTYPE_DATA, 7), out = {0};
    file_key_wipe(m.key, ERR_KEY_LOCKED);
    REQUIRE_ERR(ERR_KEY_LOCKED, block_open(m.key, BTYPE_DATA, 7, buf_view(&sealed), &out, &d));
    REQUIRE_ERR(ERR_KEY_LOCKED, block_seal(m.key, BTYPE_DATA, 8, BYTES("row"), &out, NULL));
    EXPECT_EQ(out.len, 0);
    uint8_t room[SEALED_NEEDLE_MAX];
    EXPECT_EQ(file_key_needle(m.key, BTYPE_WAL, room).len, 0);
    drop(&m);
}

struct job {
    struct file_key *key;
    _Atomic unsigned good;
};

static void seal_and_open(void *arg, unsigned i)
{
    struct job *j = arg;
    CLEANUP_BUF struct buf plain = {0}, sealed = {0}, out = {0};
    for (unsigned n = 0; n < 1000; n++)
        buf_u32(&plain, i * n);
    if (block_seal(j->key, BTYPE_DATA, i, buf_view(&plain), &sealed, NULL) == OK &&
        block_open(j->key, BTYPE_DATA, i, buf_view(&sealed), &out, NULL) == OK &&
        bytes_eq(buf_view(&plain), buf_view(&out))) {
        j->good++;
    }
}

TEST(sealed, many_threads_share_one_file_key)
{
    struct diag d = DIAG_INIT;
    struct made m = make();
    struct pool *p;
    REQUIRE_OK(pool_new(&p, 4, 16, &d));
    struct job j = {.key = m.key};
    pool_each(p, 500, seal_and_open, &j);
    EXPECT_EQ(j.good, 500);
    pool_free(p);
    drop(&m);
}
