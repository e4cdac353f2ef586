/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/signatures.c - RSA, ECDSA and HMAC against the openssl command line, in both directions */
#include "openssl_test.h"

static void flip_a_bit(const char *name)
{
    CLEANUP_BUF struct buf b = {0};
    read_file(name, &b);
    b.p[b.len / 2] ^= 1;
    write_file(name, buf_view(&b));
}

TEST(signatures, rsa_signatures_agree_with_openssl_in_both_directions)
{
    struct keyvault *kv = fresh("rsasign");
    write_file("text", BYTES("a text to sign"));
    REQUIRE(
        cli("openssl genrsa -out rsa.pem 2048 && openssl rsa -in rsa.pem -pubout -out pub.pem"));
    CLEANUP_FREE char *body = import_body("rsa.pem", NULL, 0);
    import(kv, "r", body);
    static const int bits[] = {256, 384, 512};
    for (int i = 0; i < 6; i++) {
        int n = bits[i % 3];
        bool pss = i >= 3;
        CLEANUP_FREE char *alg = str_fmt("%s%d", pss ? "PS" : "RS", n);
        const char *options =
            pss ? "-pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:digest" : "";
        REQUIRE(cli("openssl dgst -sha%d -binary -out digest text", n));
        (void)operate(kv, "r", "sign", alg, "digest", "", "sig");
        REQUIRE(
            cli("openssl pkeyutl -verify -pubin -inkey pub.pem -pkeyopt digest:sha%d %s -in digest "
                "-sigfile sig",
                n, options));
        REQUIRE(cli(
            "openssl pkeyutl -sign -inkey rsa.pem -pkeyopt digest:sha%d %s -in digest -out sig2", n,
            options));
        REQUIRE(vault_verifies(kv, "r", alg, "digest", "sig2"));
        flip_a_bit("sig2");
        REQUIRE(!vault_verifies(kv, "r", alg, "digest", "sig2"));
    }
    /* RSNULL: the value itself under the padding. */
    (void)operate(kv, "r", "sign", "RSNULL", "text", "", "sig");
    REQUIRE(cli("openssl pkeyutl -verifyrecover -pubin -inkey pub.pem -in sig -out back"));
    REQUIRE(same_files("text", "back"));

    CLEANUP_FREE char *url = url_of("r", "sign");
    EXPECT_REFUSAL(ask(kv, "POST", url, T, "{\"alg\":\"RS256\",\"value\":\"AAAA\"}"), 400,
                   "BadParameter", "");
    EXPECT_REFUSAL(ask(kv, "POST", url, T, "{\"alg\":\"ES256\",\"value\":\"AAAA\"}"), 400,
                   "BadParameter", "");
    keyvault_close(kv);
}

/* openssl speaks DER, the vault r || s: `openssl asn1parse` is the translator. */
static void raw_to_der(const char *raw, const char *der)
{
    CLEANUP_BUF struct buf b = {0}, conf = {0};
    read_file(raw, &b);
    CLEANUP_FREE char *r = calloc(1, b.len + 1), *s = calloc(1, b.len + 1);
    hex_encode(bytes_of(b.p, b.len / 2), r);
    hex_encode(bytes_of(b.p + b.len / 2, b.len / 2), s);
    buf_fmt(&conf, "asn1=SEQUENCE:sig\n[sig]\nr=INTEGER:0x%s\ns=INTEGER:0x%s\n", r, s);
    write_file("sig.conf", buf_view(&conf));
    REQUIRE(cli("openssl asn1parse -genconf sig.conf -noout -out %s", der));
}

static void der_to_raw(const char *der, size_t field, const char *raw)
{
    REQUIRE(
        cli("openssl asn1parse -inform DER -in %s | sed -n 's/.*INTEGER *://p' > numbers", der));
    CLEANUP_BUF struct buf text = {0}, out = {0};
    read_file("numbers", &text);
    char *line = buf_cstr(&text);
    for (int i = 0; i < 2; i++) {
        BIGNUM *v = NULL;
        size_t n = strcspn(line, "\n");
        line[n] = 0;
        REQUIRE(BN_hex2bn(&v, line) != 0);
        REQUIRE(BN_bn2binpad(v, buf_extend(&out, field), (int)field) == (int)field);
        BN_free(v);
        line += n + 1;
    }
    write_file(raw, buf_view(&out));
}

TEST(signatures, ecdsa_on_every_curve_agrees_with_openssl_in_both_directions)
{
    struct keyvault *kv = fresh("ec");
    write_file("text", BYTES("a text to sign"));
    static const struct {
        const char *crv, *group, *alg;
        size_t field;
        int hash;
    } curves[] = {{"P-256", "prime256v1", "ES256", 32, 256},
                  {"P-384", "secp384r1", "ES384", 48, 384},
                  {"P-521", "secp521r1", "ES512", 66, 512},
                  {"P-256K", "secp256k1", "ES256K", 32, 256}};
    for (size_t i = 0; i < 4; i++) {
        REQUIRE(cli(
            "openssl ecparam -name %s -genkey -noout -out ec.pem && openssl ec -in ec.pem -pubout "
            "-out pub.pem && openssl dgst -sha%d -binary -out digest text",
            curves[i].group, curves[i].hash));
        CLEANUP_FREE char *body = import_body("ec.pem", curves[i].crv, curves[i].field);
        import(kv, curves[i].crv, body);
        (void)operate(kv, curves[i].crv, "sign", curves[i].alg, "digest", "", "sig");
        raw_to_der("sig", "sig.der");
        REQUIRE(cli("openssl pkeyutl -verify -pubin -inkey pub.pem -in digest -sigfile sig.der"));
        REQUIRE(cli("openssl pkeyutl -sign -inkey ec.pem -in digest -out sig2.der"));
        der_to_raw("sig2.der", curves[i].field, "sig2");
        REQUIRE(vault_verifies(kv, curves[i].crv, curves[i].alg, "digest", "sig2"));
        flip_a_bit("sig2");
        REQUIRE(!vault_verifies(kv, curves[i].crv, curves[i].alg, "digest", "sig2"));
        write_file("empty", BYTES("x"));
        REQUIRE(!vault_verifies(kv, curves[i].crv, curves[i].alg, "digest", "empty"));

        /* Another curve's algorithm does not go with the key. */
        CLEANUP_FREE char *url = url_of(curves[i].crv, "sign");
        CLEANUP_FREE char *wrong =
            str_fmt("{\"alg\":\"%s\",\"value\":\"AAAA\"}", curves[(i + 1) % 4].alg);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, wrong), 400, "BadParameter", "");
    }
    keyvault_close(kv);
}

TEST(signatures, hmac_agrees_with_openssl)
{
    struct keyvault *kv = fresh("hmac");
    import_oct(kv, "h", 256);
    write_file("text", BYTES("a text to sign"));
    static const int bits[] = {256, 384, 512};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *alg = str_fmt("HS%d", bits[i]);
        REQUIRE(cli(
            "openssl dgst -sha%d -binary -out digest text && openssl dgst -sha%d -mac HMAC -macopt "
            "hexkey:" KEY_HEX_256 " -binary -out mac digest",
            bits[i], bits[i]));
        (void)operate(kv, "h", "sign", alg, "digest", "", "sig");
        REQUIRE(same_files("mac", "sig"));
        REQUIRE(vault_verifies(kv, "h", alg, "digest", "mac"));
        flip_a_bit("mac");
        REQUIRE(!vault_verifies(kv, "h", alg, "digest", "mac"));
    }
    keyvault_close(kv);
}
