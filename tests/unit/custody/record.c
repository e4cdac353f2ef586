/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/record.c - records come back as they were, or not at all */
#include "test.h"

#include "base/rand.h"
#include "base/str.h"
#include "custody/record.h"

/* Made by ten lines of Python from the page. */
/* clang-format off */
#define KNOWN_WRAP \
    "4b535452010200000000000000000005aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb" \
    "bbbbbbbbbbbbbbbb0000000100000002000101000000000000000102001268747470733a2f2f762f" \
    "6b6579732f6b2f310028cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" \
    "ccccccccccccccccccccdddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd" \
    "dddde7aaab26652b30467ca6fec4c39f1d8d0db020250a42a5456940672bdbd633d4"
/* clang-format on */

static struct secret *new_mk(void)
{
    struct diag d = DIAG_INIT;
    struct secret *mk;
    REQUIRE_OK(secret_random(&mk, 32, &d));
    return mk;
}

static struct wrap sample_wrap(void)
{
    struct wrap w = {
        .generation = 77,
        .gen = 1,
        .serial = 3,
        .suite = SUITE_0001,
        .state = WRAP_ACTIVE,
        .created_us = 1700000000000000,
        .w = {.kek_id = "https://v.test/keys/k/1", .alg = WRAP_RSA_OAEP_256, .len = 384}};
    rand_bytes(w.account, 16), rand_bytes(w.aek_id, 16), rand_bytes(w.commit, 32);
    rand_bytes(w.w.blob, w.w.len);
    return w;
}

TEST(record, a_wrap_comes_back_as_it_was)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = new_mk();
    CLEANUP_BUF struct buf b = {0};
    struct wrap w = sample_wrap(), back;
    REQUIRE_OK(wrap_encode(&w, mk, &b, &d));
    REQUIRE_OK(wrap_decode(buf_view(&b), mk, &back, &d));
    EXPECT_EQ(back.generation, 77);
    EXPECT_EQ(back.serial, 3);
    EXPECT_STR(back.w.kek_id, w.w.kek_id);
    REQUIRE(bytes_eq(bytes_of(back.w.blob, back.w.len), bytes_of(w.w.blob, w.w.len)));
    REQUIRE(memcmp(back.commit, w.commit, 32) == 0);
}

TEST(record, scope_state_and_mk_come_back_as_they_were)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = new_mk();
    CLEANUP_BUF struct buf a = {0}, b = {0}, c = {0};
    struct scope_record s = {.name = "cluster",
                             .cleared = true,
                             .kek = {"u", "n", "v", "p"},
                             .policy.probe_s = 6},
                        s2;
    REQUIRE_OK(scope_encode(&s, mk, &a, &d));
    REQUIRE_OK(scope_decode(buf_view(&a), mk, &s2, &d));
    REQUIRE(s2.cleared && s2.policy.probe_s == 6);
    EXPECT_STR(s2.kek.principal_id, "p");
    struct state_record t = {.scope = "cluster",
                             .workspace = "w",
                             .state = KEY_REVOKED,
                             .since_us = 5},
                        t2;
    REQUIRE_OK(state_encode(&t, mk, &b, &d));
    REQUIRE_OK(state_decode(buf_view(&b), mk, &t2, &d));
    EXPECT_EQ(t2.state, KEY_REVOKED);
    struct mk_record m = {.w = {.kek_id = "k/1", .alg = WRAP_A256KW, .len = 40}}, m2;
    mk_commitment(mk, m.commit);
    REQUIRE_OK(mk_encode(&m, mk, &c, &d));
    REQUIRE_OK(mk_decode(buf_view(&c), &m2, &d));
    REQUIRE_OK(mk_check(buf_view(&c), &m2, mk, &d));
    CLEANUP(secret_free) struct secret *wrong = new_mk();
    REQUIRE_ERR(ERR_CORRUPT, mk_check(buf_view(&c), &m2, wrong, &d));
}

TEST(record, every_flipped_bit_and_every_cut_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = new_mk();
    CLEANUP_BUF struct buf b = {0};
    struct wrap w = sample_wrap(), back;
    REQUIRE_OK(wrap_encode(&w, mk, &b, &d));
    for (size_t bit = 0; bit < 8 * b.len; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        REQUIRE_ERR(ERR_CORRUPT, wrap_decode(buf_view(&b), mk, &back, &d));
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < b.len; n++) {
        REQUIRE_ERR(ERR_CORRUPT, wrap_decode(bytes_of(b.p, n), mk, &back, &d));
    }
}

TEST(record, one_kind_is_not_taken_for_another)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = new_mk();
    CLEANUP_BUF struct buf b = {0};
    struct wrap w = sample_wrap();
    struct scope_record s;
    struct state_record t;
    REQUIRE_OK(wrap_encode(&w, mk, &b, &d));
    REQUIRE_ERR(ERR_CORRUPT, scope_decode(buf_view(&b), mk, &s, &d));
    REQUIRE_ERR(ERR_CORRUPT, state_decode(buf_view(&b), mk, &t, &d));
}

TEST(record, another_platform_keys_record_is_refused)
{
    struct diag d = DIAG_INIT;
    CLEANUP(secret_free) struct secret *mk = new_mk(), *other = new_mk();
    CLEANUP_BUF struct buf b = {0};
    struct wrap w = sample_wrap(), back;
    REQUIRE_OK(wrap_encode(&w, other, &b, &d));
    REQUIRE_ERR(ERR_CORRUPT, wrap_decode(buf_view(&b), mk, &back, &d));
}

/* An independent reading of docs/formats/wrap.md: MK is 32 bytes 00..1f, everything else as below.
 */
TEST(record, the_known_answer_of_the_format_page)
{
    struct diag d = DIAG_INIT;
    uint8_t key[32];
    for (size_t i = 0; i < 32; i++)
        key[i] = (uint8_t)i;
    CLEANUP(secret_free) struct secret *mk = NULL;
    REQUIRE_OK(secret_of(&mk, bytes_of(key, 32), &d));
    struct wrap w = {.generation = 5,
                     .gen = 1,
                     .serial = 2,
                     .suite = SUITE_0001,
                     .state = WRAP_ACTIVE,
                     .created_us = 1,
                     .w = {.kek_id = "https://v/keys/k/1", .alg = WRAP_A256KW, .len = 40}};
    memset(w.account, 0xaa, 16);
    memset(w.aek_id, 0xbb, 16);
    memset(w.w.blob, 0xcc, 40);
    memset(w.commit, 0xdd, 32);
    CLEANUP_BUF struct buf b = {0};
    REQUIRE_OK(wrap_encode(&w, mk, &b, &d));
    char hex[1024];
    hex_encode(buf_view(&b), hex);
    EXPECT_STR(hex, KNOWN_WRAP);
}
