/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/keywrap.c - RSA, RS256, AES key wrap, digests */
#include "test.h"

#include "base/str.h"
#include "crypto/hash.h"
#include "crypto/keywrap.h"

#include <openssl/err.h>
#include <stdlib.h>

static struct bytes unhex(const char *text, uint8_t *out)
{
    struct diag d = DIAG_INIT;
    size_t n = strlen(text) / 2;
    REQUIRE_OK(hex_decode(bytes_str(text), out, n, &d));
    return bytes_of(out, n);
}

static void expect_hex(const uint8_t *got, size_t n, const char *want)
{
    char *text = malloc(2 * n + 1);
    REQUIRE(text != NULL);
    hex_encode(bytes_of(got, n), text);
    EXPECT_STR(text, want);
    free(text);
}

TEST(hash, digests_and_macs_are_those_of_the_standards)
{
    uint8_t out[64];
    sha256(BYTES("abc"), out); /* FIPS 180-4 */
    expect_hex(out, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha1(BYTES("abc"), out);
    expect_hex(out, 20, "a9993e364706816aba3e25717850c26c9cd0d89d");
    /* RFC 4231, test case 2 */
    hmac_sha256(BYTES("Jefe"), BYTES("what do ya want for nothing?"), out);
    expect_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    hmac_sha512(BYTES("Jefe"), BYTES("what do ya want for nothing?"), out);
    expect_hex(out, 64,
               "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
               "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
}

TEST(hash, a_running_digest_equals_the_whole_one)
{
    struct diag d = DIAG_INIT;
    struct sha256_ctx *c;
    uint8_t whole[32], parts[32];
    REQUIRE_OK(sha256_new(&c, &d));
    sha256_add(c, BYTES("a"));
    sha256_add(c, BYTES(""));
    sha256_add(c, BYTES("bc"));
    sha256_end(c, parts);
    sha256(BYTES("abc"), whole);
    assert_memory_equal(whole, parts, 32);
}

TEST(hash, a_kept_key_schedule_expands_as_a_fresh_one_at_every_length)
{
    struct diag d = DIAG_INIT;
    CLEANUP(hmac_key_free) struct hmac_key *k = NULL;
    REQUIRE_OK(hmac_key_new(&k, BYTES("0123456789abcdef0123456789abcdef"), &d));
    uint8_t a[200], b[200], one[64];
    for (size_t n = 1; n <= sizeof a; n++) {
        hkdf_expand(BYTES("0123456789abcdef0123456789abcdef"), BYTES("info"), a, n);
        hmac_key_expand(k, BYTES("info"), b, n);
        assert_memory_equal(a, b, n);
    }
    /* RFC 5869 2.3: T(1) = HMAC(PRK, info | 0x01) */
    hmac_sha512(BYTES("0123456789abcdef0123456789abcdef"), BYTES("info\x01"), one);
    assert_memory_equal(a, one, 64);
}

TEST(keywrap, aes_kw_is_rfc_3394)
{
    struct diag d = DIAG_INIT;
    uint8_t kek[32], plain[32];
    struct bytes k = unhex("000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F", kek);
    struct bytes p =
        unhex("00112233445566778899AABBCCDDEEFF000102030405060708090A0B0C0D0E0F", plain);
    CLEANUP_BUF struct buf out = {0};
    CLEANUP(secret_free) struct secret *back = NULL;
    REQUIRE_OK(aes_kw_wrap(k, p, &out, &d)); /* section 4.6 */
    expect_hex(out.p, out.len,
               "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
    REQUIRE_OK(aes_kw_unwrap(k, buf_view(&out), &back, &d));
    REQUIRE(secret_eq(secret_view(back), p));

    out.len = 0;
    REQUIRE_OK(aes_kw_wrap(bytes_of(kek, 16), bytes_of(plain, 16), &out, &d)); /* section 4.1 */
    expect_hex(out.p, out.len, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
}

TEST(keywrap, aes_kw_refuses_every_flipped_bit_and_odd_lengths)
{
    struct diag d = DIAG_INIT;
    static const uint8_t kek[32] = {1}, plain[40] = {2};
    CLEANUP_BUF struct buf out = {0};
    CLEANUP(secret_free) struct secret *back = NULL;
    REQUIRE_OK(aes_kw_wrap(BYTES_OF(kek), bytes_of(plain, 32), &out, &d));
    for (size_t bit = 0; bit < 8 * out.len; bit++) {
        out.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        REQUIRE_ERR(ERR_INVALID, aes_kw_unwrap(BYTES_OF(kek), buf_view(&out), &back, &d));
        out.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    for (size_t n = 0; n < out.len; n++) {
        REQUIRE_ERR(ERR_INVALID, aes_kw_unwrap(BYTES_OF(kek), bytes_of(out.p, n), &back, &d));
    }
    size_t bad[] = {0, 8, 15, 17, 31, 33};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        REQUIRE_ERR(ERR_INVALID, aes_kw_wrap(BYTES_OF(kek), bytes_of(plain, bad[i]), &out, &d));
    }
    REQUIRE_ERR(ERR_INVALID, aes_kw_wrap(bytes_of(kek, 31), bytes_of(plain, 32), &out, &d));
}

TEST(rsa, what_is_encrypted_to_the_public_part_opens_with_the_private_one)
{
    struct diag d = DIAG_INIT;
    CLEANUP(rsa_free) struct rsa_key *priv = NULL, *pub = NULL, *back = NULL;
    CLEANUP(secret_free) struct secret *der = NULL;
    CLEANUP_BUF struct buf n = {0}, e = {0};
    REQUIRE_OK(rsa_generate(&priv, 2048, &d));
    EXPECT_EQ(rsa_bits(priv), 2048);
    REQUIRE_OK(rsa_public_parts(priv, &n, &e, &d));
    REQUIRE_OK(rsa_public(&pub, buf_view(&n), buf_view(&e), &d));
    REQUIRE_OK(rsa_to_der(priv, &der, &d));
    REQUIRE_OK(rsa_from_der(&back, secret_view(der), &d));

    static const uint8_t aek[32] = {7};
    for (int p = RSA_OAEP_SHA1; p <= RSA_PKCS1_V15; p++) {
        CLEANUP_BUF struct buf c = {0};
        CLEANUP(secret_free) struct secret *plain = NULL;
        REQUIRE_OK(rsa_encrypt(pub, (enum rsa_padding)p, BYTES_OF(aek), &c, &d));
        EXPECT_EQ(c.len, 256);
        REQUIRE_OK(rsa_decrypt(back, (enum rsa_padding)p, buf_view(&c), &plain, &d));
        REQUIRE(secret_eq(secret_view(plain), BYTES_OF(aek)));
    }
    CLEANUP_BUF struct buf c = {0};
    CLEANUP(secret_free) struct secret *plain = NULL, *none = NULL;
    REQUIRE_OK(rsa_encrypt(pub, RSA_OAEP_SHA256, BYTES_OF(aek), &c, &d));
    REQUIRE_ERR(ERR_INVALID, rsa_decrypt(priv, RSA_OAEP_SHA1, buf_view(&c), &plain, &d));
    c.p[100] ^= 1;
    REQUIRE_ERR(ERR_INVALID, rsa_decrypt(priv, RSA_OAEP_SHA256, buf_view(&c), &plain, &d));
    REQUIRE_ERR(ERR_INVALID, rsa_decrypt(priv, RSA_OAEP_SHA256, bytes_of(c.p, 255), &plain, &d));
    REQUIRE_ERR(ERR_INVALID, rsa_decrypt(pub, RSA_OAEP_SHA256, buf_view(&c), &plain, &d));
    REQUIRE_ERR(ERR_INVALID, rsa_to_der(pub, &none, &d));
    EXPECT_EQ(ERR_peek_error(), 0); /* nothing is left for TLS on this thread to trip over */
}

TEST(rsa, a_signature_fits_one_text_and_one_key)
{
    struct diag d = DIAG_INIT;
    CLEANUP(rsa_free) struct rsa_key *k = NULL, *other = NULL;
    CLEANUP_BUF struct buf sig = {0};
    REQUIRE_OK(rsa_generate(&k, 2048, &d));
    REQUIRE_OK(rsa_generate(&other, 2048, &d));
    REQUIRE_OK(rs256_sign(k, BYTES("header.payload"), &sig, &d));
    REQUIRE_OK(rs256_verify(k, BYTES("header.payload"), buf_view(&sig), &d));
    REQUIRE_ERR(ERR_INVALID, rs256_verify(k, BYTES("header.payloae"), buf_view(&sig), &d));
    REQUIRE_ERR(ERR_INVALID, rs256_verify(other, BYTES("header.payload"), buf_view(&sig), &d));
    REQUIRE_ERR(ERR_INVALID, rs256_verify(k, BYTES("header.payload"), bytes_of(sig.p, 255), &d));
    sig.p[0] ^= 1;
    REQUIRE_ERR(ERR_INVALID, rs256_verify(k, BYTES("header.payload"), buf_view(&sig), &d));
    EXPECT_EQ(ERR_peek_error(), 0);
}

TEST(rsa, weak_public_keys_are_refused)
{
    struct diag d = DIAG_INIT;
    struct rsa_key *k = NULL;
    uint8_t n[513];
    memset(n, 0xff, sizeof n);
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 255), BYTES("\x01\x00\x01"), &d));
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 513), BYTES("\x01\x00\x01"), &d));
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 0), BYTES("\x01\x00\x01"), &d));
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 256), BYTES("\x01"), &d));
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 256), BYTES("\x02"), &d));
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 256), BYTES(""), &d));
    n[255] = 0xfe;
    REQUIRE_ERR(ERR_INVALID, rsa_public(&k, bytes_of(n, 256), BYTES("\x01\x00\x01"), &d));
    n[255] = 0xff;
    REQUIRE_OK(rsa_public(&k, bytes_of(n, 256), BYTES("\x03"), &d));
    rsa_free(k);
    REQUIRE_ERR(ERR_INVALID, rsa_generate(&k, 1024, &d));
    REQUIRE_ERR(ERR_INVALID, rsa_from_der(&k, BYTES("no key"), &d));
}
