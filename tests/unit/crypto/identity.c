/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/crypto/identity.c - passwords and certificates: what identity believes people and
 * programs by */
#include "test.h"

#include "base/str.h"
#include "base/time.h"
#include "crypto/certificate.h"
#include "crypto/password.h"

/* Made with openssl req, valid ten years; their private keys were thrown away. */
static const char on_p256[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBbDCCAROgAwIBAgIUbCTjLUqMin1UK4wH0YeVB8FbuQcwCgYIKoZIzj0EAwIw\n"
                              "DDEKMAgGA1UEAwwBdDAeFw0yNjExMjIwNTUzMTRaFw0zNjExMTkwNTUzMTRaMAwx\n"
                              "CjAIBgNVBAMMAXQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATNwHunX90Pf/wF\n"
                              "/YzAK/iKZZVgdoZvlnGoL1tCR75+Ulsi6AVqk94Dpi/IJPVfLFrEZxw1bLb3a9nI\n"
                              "s5ndxe9Ko1MwUTAdBgNVHQ4EFgQUy8Px4M8iyerb7UoWU5KT/BR+yN8wHwYDVR0j\n"
                              "BBgwFoAUy8Px4M8iyerb7UoWU5KT/BR+yN8wDwYDVR0TAQH/BAUwAwEB/zAKBggq\n"
                              "hkjOPQQDAgNHADBEAiAcxW084xlpQ3l6cvK4PzxoxtoSZFu8Wmci9sXmnookPAIg\n"
                              "UrXndZ2Zf/EPAu2RVYn+dYshvFHsgk2uABeamoeD+Tg=\n"
                              "-----END CERTIFICATE-----\n";
static const char on_p384[] = "-----BEGIN CERTIFICATE-----\n"
                              "MIIBqjCCATCgAwIBAgIUBaikDlBQNC67yUzZi8xB0qauLLYwCgYIKoZIzj0EAwIw\n"
                              "DDEKMAgGA1UEAwwBdDAeFw0yNjExMjIwNTUzMTRaFw0zNjExMTkwNTUzMTRaMAwx\n"
                              "CjAIBgNVBAMMAXQwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAAS4tDiTLvhaLTsxKrDr\n"
                              "QlRoTep7Lm+eGcYvSPh0R32wGCjii+WZ0wQYsiupVDPBIzBEJgx6UKr7EZruhJgm\n"
                              "6MAxTu4GlJ5G1gE8OhQHw5ot6T0KvvAmOt2SDF8SsluCoPijUzBRMB0GA1UdDgQW\n"
                              "BBR/t8oFk4hrOJ1wq0Ru+S0PguDGojAfBgNVHSMEGDAWgBR/t8oFk4hrOJ1wq0Ru\n"
                              "+S0PguDGojAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA2gAMGUCMQDe1VCz\n"
                              "bAbHHjV13dkfWzPXn7xuZnFOIy1havjasNjTQ5/TSrjgK1nCLFo7gBwixdICMH1e\n"
                              "MOqk/eHXmyqBM9nG73P8q/k5XjGXngj8+fcH/RnfbwKPxNMht2wJRdfKbn/uwQ==\n"
                              "-----END CERTIFICATE-----\n";
#define SHA256_OF_P256 "c5ae953b6b0798c4561622059a615daba731834618a83d212fb5772e1e38bcc2"

TEST(password, a_hash_is_argon2id_with_a_salt_of_its_own_and_fits_its_password_alone)
{
    struct diag d = DIAG_INIT;
    char a[PASSWORD_HASH_MAX], b[PASSWORD_HASH_MAX];
    REQUIRE_OK(password_hash(BYTES("correct horse"), a, &d));
    REQUIRE_OK(password_hash(BYTES("correct horse"), b, &d));
    REQUIRE(str_starts(a, "$argon2id$v=19$") && !str_eq(a, b));
    REQUIRE(password_matches(a, BYTES("correct horse")) &&
            password_matches(b, BYTES("correct horse")));
    REQUIRE(!password_matches(a, BYTES("correct horsf")) && !password_matches(a, BYTES("")));
}

TEST(password, what_is_no_hash_matches_nothing)
{
    static const char *const odd[] = {"", "x", "$argon2id$", "nobody"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++)
        REQUIRE(!password_matches(odd[i], BYTES("nobody")) && !password_matches(odd[i], BYTES("")));
}

TEST(certificate, its_key_times_and_thumbprint_are_read)
{
    struct diag d = DIAG_INIT;
    struct certificate c;
    char hex[65];
    REQUIRE_OK(certificate_read(&c, bytes_str(on_p256), &d));
    hex_encode(BYTES_OF(c.sha256), hex);
    EXPECT_STR(hex, SHA256_OF_P256);
    REQUIRE(!c.is_rsa && c.first.len == 32 && c.second.len == 32);
    EXPECT_EQ((c.not_after_us - c.not_before_us) / US_PER_S, 3650LL * 86400);
    certificate_release(&c);
}

TEST(certificate, what_cannot_sign_an_assertion_is_refused)
{
    static const char *const odd[] = {on_p384, "", "-----BEGIN CERTIFICATE-----\n", "0\x82"};
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        struct diag d = DIAG_INIT;
        struct certificate c;
        REQUIRE_ERR(ERR_INVALID, certificate_read(&c, bytes_str(odd[i]), &d));
    }
    /* cut anywhere, it is whole or refused */
    for (size_t n = 0; n < sizeof on_p256 - 1; n += 7) {
        struct certificate c;
        if (certificate_read(&c, bytes_of(on_p256, n), NULL) == OK) certificate_release(&c);
    }
}
