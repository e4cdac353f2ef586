/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/letter.c - sealed to a public key, opened with the private one; Ed25519 */
#include "test.h"

#include "base/str.h"
#include "crypto/ed25519.h"
#include "crypto/keywrap.h"
#include "crypto/letter.h"

#include <stdio.h>
#include <stdlib.h>

/* Both halves of a key as PEM and read again. */
static void halves(const struct letter_key *k, struct letter_key **public_half,
                   struct letter_key **private_half)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf pem = {0};
    REQUIRE_OK(letter_key_write(k, false, &pem, &d));
    REQUIRE(strstr(buf_cstr(&pem), "BEGIN PUBLIC KEY") != NULL);
    REQUIRE_OK(letter_key_read(public_half, buf_view(&pem), &d));
    buf_clear(&pem);
    REQUIRE_OK(letter_key_write(k, true, &pem, &d));
    REQUIRE_OK(letter_key_read(private_half, buf_view(&pem), &d));
}

static void goes_through(const struct letter_key *k)
{
    struct diag d = DIAG_INIT;
    CLEANUP(letter_key_free) struct letter_key *to = NULL, *own = NULL;
    CLEANUP(secret_free) struct secret *back = NULL;
    CLEANUP_BUF struct buf letter = {0};
    uint8_t a[32], b[32];
    halves(k, &to, &own);
    REQUIRE_OK(letter_key_print(to, a, &d));
    REQUIRE_OK(letter_key_print(own, b, &d));
    REQUIRE(memcmp(a, b, sizeof a) == 0);
    REQUIRE_OK(letter_seal(to, BYTES("the first MAC key"), &letter, &d));
    REQUIRE_ERR(ERR_INVALID, letter_open(to, buf_view(&letter), &back, &d));
    REQUIRE_OK(letter_open(own, buf_view(&letter), &back, &d));
    REQUIRE(bytes_eq(secret_view(back), BYTES("the first MAC key")));
    for (size_t i = 0; i < letter.len; i += 5) {
        CLEANUP(secret_free) struct secret *never = NULL;
        letter.p[i] ^= 2;
        REQUIRE_ERR(ERR_CORRUPT, letter_open(own, buf_view(&letter), &never, &d));
        letter.p[i] ^= 2;
    }
    for (size_t n = 0; n < letter.len; n += 9) {
        CLEANUP(secret_free) struct secret *never = NULL;
        REQUIRE(letter_open(own, bytes_of(letter.p, n), &never, NULL) != OK);
    }
}

TEST(letter, an_x25519_letter_opens_only_whole_and_only_with_its_key)
{
    struct diag d = DIAG_INIT;
    CLEANUP(letter_key_free) struct letter_key *k = NULL, *other = NULL;
    CLEANUP_BUF struct buf letter = {0};
    CLEANUP(secret_free) struct secret *never = NULL;
    REQUIRE_OK(letter_key_generate(&k, &d));
    REQUIRE_OK(letter_key_generate(&other, &d));
    EXPECT_STR(letter_key_kind(k), "X25519");
    goes_through(k);
    REQUIRE_OK(letter_seal(k, BYTES("x"), &letter, &d));
    REQUIRE_ERR(ERR_CORRUPT, letter_open(other, buf_view(&letter), &never, &d));
}

TEST(letter, an_rsa_letter_opens_only_whole)
{
    struct diag d = DIAG_INIT;
    CLEANUP(rsa_free) struct rsa_key *rsa = NULL;
    CLEANUP(secret_free) struct secret *der = NULL;
    CLEANUP(letter_key_free) struct letter_key *k = NULL;
    CLEANUP_BUF struct buf pem = {0}, text = {0};
    REQUIRE_OK(rsa_generate(&rsa, 2048, &d));
    REQUIRE_OK(rsa_to_der(rsa, &der, &d));
    base64_encode(&text, secret_view(der));
    buf_str(&pem, "-----BEGIN PRIVATE KEY-----\n");
    for (size_t i = 0; i < text.len; i += 64)
        buf_fmt(&pem, "%.*s\n", (int)(text.len - i < 64 ? text.len - i : 64), text.p + i);
    buf_str(&pem, "-----END PRIVATE KEY-----\n");
    REQUIRE_OK(letter_key_read(&k, buf_view(&pem), &d));
    EXPECT_STR(letter_key_kind(k), "RSA-OAEP-256");
    goes_through(k);
}

TEST(letter, what_is_no_key_is_refused)
{
    struct diag d = DIAG_INIT;
    struct letter_key *k = NULL;
    REQUIRE_ERR(ERR_INVALID, letter_key_read(&k, BYTES(""), &d));
    REQUIRE_ERR(ERR_INVALID, letter_key_read(&k, BYTES("-----BEGIN PUBLIC KEY-----\nAAAA\n"), &d));
    /* An Ed25519 key signs, it opens no letters. */
    REQUIRE_ERR(
        ERR_INVALID,
        letter_key_read(&k,
                        BYTES("-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n"
                              "-----END PUBLIC KEY-----\n"),
                        &d));
}

/* RFC 8032 7.1, test 2. */
TEST(ed25519, a_known_signature_comes_out_and_a_changed_one_does_not_pass)
{
    struct diag d = DIAG_INIT;
    uint8_t raw[32], expect_public[32], public_key[32], expect[64], is[64];
    CLEANUP(secret_free) struct secret *key = NULL;
    REQUIRE_OK(hex_decode(BYTES("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"),
                          raw, 32, &d));
    REQUIRE_OK(hex_decode(BYTES("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"),
                          expect_public, 32, &d));
    REQUIRE_OK(hex_decode(BYTES("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"),
                          expect, 64, &d));
    REQUIRE_OK(secret_of(&key, bytes_of(raw, 32), &d));
    REQUIRE_OK(ed25519_public(key, public_key, &d));
    REQUIRE(memcmp(public_key, expect_public, 32) == 0);
    REQUIRE_OK(ed25519_sign(key, BYTES("\x72"), is, &d));
    REQUIRE(memcmp(is, expect, 64) == 0);
    REQUIRE(ed25519_good(public_key, BYTES("\x72"), is));
    REQUIRE(!ed25519_good(public_key, BYTES("\x73"), is));
    is[10] ^= 1;
    REQUIRE(!ed25519_good(public_key, BYTES("\x72"), is));
}
