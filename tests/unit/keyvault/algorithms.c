/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/algorithms.c - every algorithm against the openssl command line, in both
 * directions, with keys that openssl made and the vault imported */
#include "openssl_test.h"

static void make_secret_file(void)
{
    uint8_t key[32];
    for (int i = 0; i < 32; i++)
        key[i] = (uint8_t)(i * 7);
    write_file("secret", BYTES_OF(key));
}

TEST(algorithms, what_openssl_wraps_with_rsa_the_vault_unwraps_and_the_other_way_round)
{
    struct keyvault *kv = fresh("rsa");
    static const struct {
        const char *alg, *options;
    } algs[] = {
        {"RSA-OAEP", "-pkeyopt rsa_padding_mode:oaep"},
        {"RSA-OAEP-256", "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:sha256 -pkeyopt "
                         "rsa_mgf1_md:sha256"},
        {"RSA1_5", "-pkeyopt rsa_padding_mode:pkcs1"},
    };
    make_secret_file();
    REQUIRE(cli("openssl genrsa -out rsa.pem 2048"));
    CLEANUP_FREE char *body = import_body("rsa.pem", NULL, 0);
    import(kv, "r", body);
    for (int i = 0; i < 3; i++) {
        for (int wraps = 0; wraps < 2; wraps++) {
            REQUIRE(cli("openssl pkeyutl -encrypt -inkey rsa.pem %s -in secret -out w",
                        algs[i].options));
            (void)operate(kv, "r", wraps ? "unwrapkey" : "decrypt", algs[i].alg, "w", "", "back");
            REQUIRE(same_files("secret", "back"));
            (void)operate(kv, "r", wraps ? "wrapkey" : "encrypt", algs[i].alg, "secret", "", "w2");
            REQUIRE(cli("openssl pkeyutl -decrypt -inkey rsa.pem %s -in w2 -out back2",
                        algs[i].options));
            REQUIRE(same_files("secret", "back2"));
        }
    }
    keyvault_close(kv);
}

TEST(algorithms, aes_key_wrap_and_cbc_agree_with_openssl_at_every_size)
{
    struct keyvault *kv = fresh("aes");
    make_secret_file();
    static const int sizes[] = {128, 192, 256};
    for (int i = 0; i < 3; i++) {
        int bits = sizes[i];
        char alg[16];
        CLEANUP_FREE char *name = str_fmt("o%d", bits),
                          *hex = str_fmt("%.*s", bits / 4, KEY_HEX_256);
        import_oct(kv, name, bits);

        snprintf(alg, sizeof alg, "A%dKW", bits);
        REQUIRE(cli("openssl enc -id-aes%d-wrap -K %s -iv A6A6A6A6A6A6A6A6 -in secret -out w", bits,
                    hex));
        (void)operate(kv, name, "unwrapkey", alg, "w", "", "back");
        REQUIRE(same_files("secret", "back"));
        (void)operate(kv, name, "wrapkey", alg, "secret", "", "w2");
        REQUIRE(same_files("w", "w2")); /* RFC 3394 has no randomness */

        static const struct {
            const char *suffix, *options;
        } modes[] = {{"CBC", "-nopad"}, {"CBCPAD", ""}};
        for (int m = 0; m < 2; m++) {
            snprintf(alg, sizeof alg, "A%d%s", bits, modes[m].suffix);
            REQUIRE(cli(
                "openssl enc -aes-%d-cbc %s -K %s -iv 000102030405060708090a0b0c0d0e0f -in secret "
                "-out w",
                bits, modes[m].options, hex));
            const char *iv = ",\"iv\":\"AAECAwQFBgcICQoLDA0ODw\"";
            (void)operate(kv, name, "decrypt", alg, "w", iv, "back");
            REQUIRE(same_files("secret", "back"));
            (void)operate(kv, name, "encrypt", alg, "secret", iv, "w2");
            REQUIRE(same_files("w", "w2"));
        }
    }
    keyvault_close(kv);
}

/* The command line has no GCM: OpenSSL's library stands in for it. */
static bool gcm_opens(int bits, struct bytes iv, struct bytes aad, struct bytes text,
                      struct bytes tag, uint8_t *out)
{
    uint8_t key[32];
    REQUIRE(hex_decode(bytes_str(KEY_HEX_256), key, 32, NULL) == OK);
    const EVP_CIPHER *type = bits == 128   ? EVP_aes_128_gcm()
                             : bits == 192 ? EVP_aes_192_gcm()
                                           : EVP_aes_256_gcm();
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    int n = 0;
    bool good = EVP_DecryptInit(c, type, key, iv.p) == 1 &&
                EVP_DecryptUpdate(c, NULL, &n, aad.p, (int)aad.len) == 1 &&
                EVP_DecryptUpdate(c, out, &n, text.p, (int)text.len) == 1 &&
                EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, 16, (void *)tag.p) == 1 &&
                EVP_DecryptFinal(c, out + n, &n) == 1;
    EVP_CIPHER_CTX_free(c);
    return good;
}

TEST(algorithms, gcm_answers_with_iv_and_tag_and_opens_nothing_that_was_touched)
{
    struct keyvault *kv = fresh("gcm");
    make_secret_file();
    static const int sizes[] = {128, 192, 256};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *name = str_fmt("g%d", sizes[i]), *alg = str_fmt("A%dGCM", sizes[i]);
        import_oct(kv, name, sizes[i]);
        const struct answer *a =
            operate(kv, name, "encrypt", alg, "secret", ",\"aad\":\"YWFk\"", "w");
        CLEANUP_FREE char *iv = str_dup(json_get_str(a->body, "iv")),
                          *tag = str_dup(json_get_str(a->body, "tag")),
                          *other = str_dup(json_get_str(a->body, "value"));
        EXPECT_STR(json_get_str(a->body, "aad"), "YWFk");
        CLEANUP_BUF struct buf w = {0}, b_iv = {0}, b_tag = {0}, secret = {0};
        read_file("w", &w);
        read_file("secret", &secret);
        REQUIRE(base64_decode(&b_iv, bytes_str(iv), NULL) == OK && b_iv.len == 12);
        REQUIRE(base64_decode(&b_tag, bytes_str(tag), NULL) == OK && b_tag.len == 16);
        uint8_t plain[64];
        REQUIRE(gcm_opens(sizes[i], buf_view(&b_iv), BYTES("aad"), buf_view(&w), buf_view(&b_tag),
                          plain));
        REQUIRE(bytes_eq(bytes_of(plain, secret.len), buf_view(&secret)));

        CLEANUP_FREE char *more =
            str_fmt(",\"iv\":\"%s\",\"tag\":\"%s\",\"aad\":\"YWFk\"", iv, tag);
        (void)operate(kv, name, "decrypt", alg, "w", more, "back");
        REQUIRE(same_files("secret", "back"));

        CLEANUP_FREE char *url = url_of(name, "decrypt");
        other[0] = other[0] == 'A' ? 'B' : 'A';
        CLEANUP_FREE char *touched =
            str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"%s}", alg, other, more);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, touched), 400, "BadParameter", "");
        other[0] = other[0] == 'A' ? 'B' : 'A';
        CLEANUP_FREE char *no_aad = str_fmt(
            "{\"alg\":\"%s\",\"value\":\"%s\",\"iv\":\"%s\",\"tag\":\"%s\"}", alg, other, iv, tag);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, no_aad), 400, "BadParameter", "");
        CLEANUP_FREE char *short_tag = str_fmt(
            "{\"alg\":\"%s\",\"value\":\"%s\",\"iv\":\"%s\",\"tag\":\"AAAA\",\"aad\":\"YWFk\"}",
            alg, other, iv);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, short_tag), 400, "BadParameter", "");
        CLEANUP_FREE char *seal = url_of(name, "encrypt");
        CLEANUP_FREE char *own_iv =
            str_fmt("{\"alg\":\"%s\",\"value\":\"%s\",\"iv\":\"%s\"}", alg, other, iv);
        EXPECT_REFUSAL(ask(kv, "POST", seal, T, own_iv), 400, "BadParameter", "");
    }
    keyvault_close(kv);
}

TEST(algorithms, a_key_that_the_vault_made_is_shown_with_its_public_part_and_works)
{
    struct keyvault *kv = fresh("made");
    write_file("text", BYTES("a text to sign"));
    REQUIRE(cli("openssl dgst -sha256 -binary -out digest text"));
    static const struct {
        const char *body, *alg;
        size_t digits;
    } kinds[] = {{"{\"kty\":\"EC\"}", "ES256", 43},
                 {"{\"kty\":\"ec\",\"crv\":\"p-256k\"}", "ES256K", 43},
                 {"{\"kty\":\"EC\",\"crv\":\"P-384\"}", NULL, 64},
                 {"{\"kty\":\"EC\",\"crv\":\"P-521\"}", NULL, 88}};
    for (size_t i = 0; i < 4; i++) {
        CLEANUP_FREE char *name = str_fmt("e%zu", i), *create = str_fmt("e%zu/create", i);
        CLEANUP_FREE char *url = url_of(create, "");
        const struct answer *a = ask(kv, "POST", url, T, kinds[i].body);
        EXPECT_ANSWER(a, 200);
        EXPECT_EQ(strlen(text_at(a, "key", "x")), kinds[i].digits);
        EXPECT_EQ(strlen(text_at(a, "key", "y")), kinds[i].digits);
        EXPECT_EQ(json_array_size(json_at(a->body, "key", "key_ops", NULL)), 2);
        REQUIRE(json_at(a->body, "key", "d", NULL) == NULL);
        if (kinds[i].alg == NULL) continue;
        (void)operate(kv, name, "sign", kinds[i].alg, "digest", "", "sig");
        REQUIRE(vault_verifies(kv, name, kinds[i].alg, "digest", "sig"));
    }
    static const int sizes[] = {128, 192, 256};
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *body = str_fmt("{\"kty\":\"oct\",\"key_size\":%d}", sizes[i]);
        CLEANUP_FREE char *create = str_fmt("o%d/create", sizes[i]), *url = url_of(create, "");
        const struct answer *a = ask(kv, "POST", url, T, body);
        EXPECT_ANSWER(a, 200);
        REQUIRE(json_at(a->body, "key", "k", NULL) == NULL);
    }
    EXPECT_ANSWER(
        ask(kv, "POST", KV("kv1", "/keys/x/create"), T, "{\"kty\":\"EC\",\"crv\":\"P-224\"}"), 400);
    EXPECT_ANSWER(
        ask(kv, "POST", KV("kv1", "/keys/x/create"), T, "{\"kty\":\"oct\",\"key_size\":512}"), 400);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/x/create"), T, "{\"kty\":\"EC-HSM\"}"), 400);
    keyvault_close(kv);
}

/* Puts another value where a member's is; the result is the caller's. */
static char *with_member(const char *body, const char *name, const char *value)
{
    CLEANUP_FREE char *mark = str_fmt("\"%s\":\"", name);
    const char *at = strstr(body, mark);
    REQUIRE(at != NULL);
    at += strlen(mark);
    return str_fmt("%.*s%s%s", (int)(at - body), body, value, at + strcspn(at, "\""));
}

TEST(algorithms, an_import_whose_numbers_do_not_belong_together_is_refused)
{
    struct keyvault *kv = fresh("import");
    REQUIRE(cli(
        "openssl genrsa -out rsa.pem 2048 && openssl ecparam -name prime256v1 -genkey -noout -out "
        "ec.pem && openssl genrsa -out small.pem 1024"));
    CLEANUP_FREE char *rsa = import_body("rsa.pem", NULL, 0),
                      *ec = import_body("ec.pem", "P-256", 32),
                      *small = import_body("small.pem", NULL, 0);
    static const char *const numbers[] = {"n", "e", "d", "p", "q", "dp", "dq", "qi"};
    for (size_t i = 0; i < 8; i++) {
        static const char *const values[] = {"", "AQ", "!!"};
        for (int v = 0; v < 3; v++) {
            CLEANUP_FREE char *body = with_member(rsa, numbers[i], values[v]);
            EXPECT_REFUSAL(ask(kv, "PUT", KV("kv1", "/keys/r"), T, body), 400, "BadParameter", "");
        }
    }
    static const char *const parts[] = {"x", "y", "d"};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_FREE char *body =
            with_member(ec, parts[i], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        EXPECT_REFUSAL(ask(kv, "PUT", KV("kv1", "/keys/e"), T, body), 400, "BadParameter", "");
    }
    static const char *const bodies[] = {
        "{}",
        "{\"key\":1}",
        "{\"key\":{\"kty\":\"oct\"}}",
        "{\"key\":{\"kty\":\"oct\",\"k\":\"AAAA\"}}",
        "{\"key\":{\"kty\":\"RSA\"}}",
        "{\"key\":{\"kty\":\"RSA-HSM\"}}",
        "{\"key\":{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw\"},\"Hsm\":true}",
        "{\"key\":{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw\"},\"attributes\":{"
        "\"exportable\":true}}",
        "{\"key\":{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw\"},\"release_policy\":{\"data\":"
        "\"e30\"}}"};
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        EXPECT_REFUSAL(ask(kv, "PUT", KV("kv1", "/keys/o"), T, bodies[i]), 400, "BadParameter", "");
    }
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/r"), T, small), 400);
    EXPECT_ANSWER(ask(kv, "GET", KV("kv1", "/keys/r"), T, NULL), 404);
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/r"), T, rsa), 200);
    EXPECT_ANSWER(ask(kv, "PUT", KV("kv1", "/keys/r"), T, ec),
                  200); /* a second version, of another kind */
    const struct answer *a = ask(kv, "GET", KV("kv1", "/keys/r/versions"), T, NULL);
    EXPECT_EQ(json_array_size(json_get(a->body, "value")), 2);
    keyvault_close(kv);
}

TEST(algorithms, key_ops_and_groups_of_operations_are_enforced_for_every_algorithm)
{
    struct keyvault *kv = fresh("groups");
    import_oct(kv, "o", 256);
    static const struct {
        const char *what, *alg;
    } wrong[] = {{"wrapkey", "A256GCM"}, {"encrypt", "A256KW"},  {"sign", "A256KW"},
                 {"wrapkey", "A128KW"},  {"encrypt", "A128GCM"}, {"wrapkey", "HS256"},
                 {"sign", "RS256"},      {"encrypt", "A256"},    {"decrypt", "A256GCM"},
                 {"decrypt", "A256CBC"}, {"encrypt", "A256CBC"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CLEANUP_FREE char *url = url_of("o", wrong[i].what);
        CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"AAAA\"}", wrong[i].alg);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, body), 400, "BadParameter", "");
    }
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/o"), T, "{\"key_ops\":[]}"), 200);
    static const char *const ops[] = {"wrapkey", "unwrapkey", "encrypt",
                                      "decrypt", "sign",      "verify"};
    for (size_t i = 0; i < 6; i++) {
        CLEANUP_FREE char *url = url_of("o", ops[i]);
        EXPECT_REFUSAL(ask(kv, "POST", url, T, "{\"alg\":\"A256KW\",\"value\":\"AAAA\"}"), 403,
                       "Forbidden", "");
    }
    const struct answer *a = ask(kv, "POST", KV("kv1", "/keys/o/release"), T, "{\"target\":\"x\"}");
    EXPECT_REFUSAL(a, 403, "Forbidden", "");
    REQUIRE(strstr(a->text, "Operation release is not permitted on this key") != NULL);
    keyvault_close(kv);
}

TEST(algorithms, a_key_that_is_loaded_is_still_asked_whether_it_may_be_used)
{
    struct keyvault *kv = fresh("loaded");
    make_secret_file();
    REQUIRE(cli("openssl genrsa -out rsa.pem 2048 && openssl genrsa -out rsa2.pem 2048"));
    CLEANUP_FREE char *body = import_body("rsa.pem", NULL, 0),
                      *other = import_body("rsa2.pem", NULL, 0);
    import(kv, "r", body);
    REQUIRE(cli("openssl pkeyutl -encrypt -inkey rsa.pem -pkeyopt rsa_padding_mode:oaep -in secret "
                "-out w"));
    (void)operate(kv, "r", "unwrapkey", "RSA-OAEP", "w", "", "back");
    CLEANUP_FREE char *value = file_text("w");
    CLEANUP_FREE char *ask_body = str_fmt("{\"alg\":\"RSA-OAEP\",\"value\":\"%s\"}", value);
    EXPECT_ANSWER(ask(kv, "PATCH", KV("kv1", "/keys/r"), T, "{\"attributes\":{\"enabled\":false}}"),
                  200);
    EXPECT_REFUSAL(ask(kv, "POST", KV("kv1", "/keys/r/unwrapkey"), T, ask_body), 403, "Forbidden",
                   "KeyDisabled");
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/keys/r"), T, NULL), 200);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/r/unwrapkey"), T, ask_body), 404);
    EXPECT_ANSWER(ask(kv, "DELETE", KV("kv1", "/deletedkeys/r"), T, NULL), 204);
    import(kv, "r", other);
    EXPECT_ANSWER(ask(kv, "POST", KV("kv1", "/keys/r/unwrapkey"), T, ask_body), 400);

    /* More than there is room for: each still opens its own. */
    for (int i = 0; i < 70; i++) {
        CLEANUP_FREE char *name = str_fmt("k%d", i);
        import(kv, name, i % 2 == 0 ? body : other);
    }
    for (int i = 0; i < 140; i++) {
        CLEANUP_FREE char *name = str_fmt("k%d", i % 70), *url = url_of(name, "unwrapkey");
        EXPECT_ANSWER(ask(kv, "POST", url, T, ask_body), i % 2 == 0 ? 200 : 400);
    }
    keyvault_close(kv);
}
