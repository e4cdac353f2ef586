/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/keyvault/openssl_test.h - the openssl command line as the other party: keys, files,
 * JWKs
 */
#pragma once

#include "keyvault_test.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#define T USER "@kv"

/* Runs a command line in the test's directory; true when it exits with 0. */
__attribute__((unused, format(printf, 1, 2))) static bool cli(const char *fmt, ...)
{
    char text[2048];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    CLEANUP_FREE char *line = str_fmt("cd %s && { %s; } >cli.log 2>&1", test_dir(), text);
    return system(line) == 0; // NOLINT(cert-env33-c)
}

static char *in_dir(const char *name)
{
    return str_fmt("%s/%s", test_dir(), name);
}

__attribute__((unused)) static void write_file(const char *name, struct bytes b)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = in_dir(name);
    REQUIRE_OK(os_replace(path, b, &d));
}

__attribute__((unused)) static void read_file(const char *name, struct buf *out)
{
    struct diag d = DIAG_INIT;
    CLEANUP_FREE char *path = in_dir(name);
    buf_clear(out);
    REQUIRE_OK(os_read_file(path, 1 << 20, out, &d));
}

__attribute__((unused)) static bool same_files(const char *one, const char *two)
{
    CLEANUP_BUF struct buf a = {0}, b = {0};
    read_file(one, &a);
    read_file(two, &b);
    return bytes_eq(buf_view(&a), buf_view(&b));
}

static void add_number(struct buf *out, const EVP_PKEY *k, const char *member, const char *param,
                       size_t len)
{
    BIGNUM *v = NULL;
    uint8_t bytes[1024];
    REQUIRE(EVP_PKEY_get_bn_param(k, param, &v) == 1);
    if (len == 0) len = (size_t)BN_num_bytes(v);
    REQUIRE(len <= sizeof bytes && BN_bn2binpad(v, bytes, (int)len) == (int)len);
    buf_fmt(out, ",\"%s\":\"", member);
    base64url_encode(out, bytes_of(bytes, len));
    buf_str(out, "\"");
    BN_free(v);
}

/* {"key":{JWK}} of a PEM file's private key; crv NULL for RSA. */
__attribute__((unused)) static char *import_body(const char *pem, const char *crv, size_t field)
{
    CLEANUP_FREE char *path = in_dir(pem);
    FILE *f = fopen(path, "r");
    REQUIRE(f != NULL);
    EVP_PKEY *k = PEM_read_PrivateKey(f, NULL, NULL, NULL);
    fclose(f);
    REQUIRE(k != NULL);
    CLEANUP_BUF struct buf out = {0};
    if (crv == NULL) {
        buf_str(&out, "{\"key\":{\"kty\":\"RSA\"");
        add_number(&out, k, "n", OSSL_PKEY_PARAM_RSA_N, 0);
        add_number(&out, k, "e", OSSL_PKEY_PARAM_RSA_E, 0);
        add_number(&out, k, "d", OSSL_PKEY_PARAM_RSA_D, 0);
        add_number(&out, k, "p", OSSL_PKEY_PARAM_RSA_FACTOR1, 0);
        add_number(&out, k, "q", OSSL_PKEY_PARAM_RSA_FACTOR2, 0);
        add_number(&out, k, "dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, 0);
        add_number(&out, k, "dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, 0);
        add_number(&out, k, "qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, 0);
    } else {
        buf_fmt(&out, "{\"key\":{\"kty\":\"EC\",\"crv\":\"%s\"", crv);
        add_number(&out, k, "x", OSSL_PKEY_PARAM_EC_PUB_X, field);
        add_number(&out, k, "y", OSSL_PKEY_PARAM_EC_PUB_Y, field);
        add_number(&out, k, "d", OSSL_PKEY_PARAM_PRIV_KEY, field);
    }
    buf_str(&out, "}}");
    EVP_PKEY_free(k);
    return str_dup(buf_cstr(&out));
}

/* The file's contents in base64url. */
__attribute__((unused)) static char *file_text(const char *name)
{
    CLEANUP_BUF struct buf b = {0}, text = {0};
    read_file(name, &b);
    base64url_encode(&text, buf_view(&b));
    return str_dup(buf_cstr(&text));
}

/* Writes base64url text to a file as bytes. */
__attribute__((unused)) static void text_to_file(const char *text, const char *name)
{
    CLEANUP_BUF struct buf b = {0};
    REQUIRE(text != NULL && base64_decode(&b, bytes_str(text), NULL) == OK);
    write_file(name, buf_view(&b));
}

/* --- keys of both parties ---------------------------------------------------------------------- */

__attribute__((unused)) static struct keyvault *fresh(const char *dir)
{
    struct keyvault *kv = vault_open(dir);
    make_vault(kv, VAULT("kv1") ARM);
    return kv;
}

__attribute__((unused)) static char *url_of(const char *key, const char *what)
{
    return str_fmt("kv1." SUFFIX "/keys/%s%s%s?api-version=7.4", key, what[0] != 0 ? "/" : "",
                   what);
}

__attribute__((unused)) static void import(struct keyvault *kv, const char *key, const char *body)
{
    CLEANUP_FREE char *url = url_of(key, "");
    EXPECT_ANSWER(ask(kv, "PUT", url, T, body), 200);
}

/* Runs an operation on the file `in`, with more members if any; the value goes to the file `out`.
 */
__attribute__((unused)) static const struct answer *operate(struct keyvault *kv, const char *key,
                                                            const char *what, const char *alg,
                                                            const char *in, const char *more,
                                                            const char *out)
{
    CLEANUP_FREE char *url = url_of(key, what), *value = file_text(in);
    CLEANUP_FREE char *body = str_fmt("{\"alg\":\"%s\",\"value\":\"%s\"%s}", alg, value, more);
    const struct answer *a = ask(kv, "POST", url, T, body);
    EXPECT_ANSWER(a, 200);
    text_to_file(json_get_str(a->body, "value"), out);
    return a;
}

#define KEY_HEX_256 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void import_oct(struct keyvault *kv, const char *key, int bits)
{
    uint8_t k[32];
    REQUIRE(hex_decode(bytes_of(KEY_HEX_256, (size_t)bits / 4), k, (size_t)bits / 8, NULL) == OK);
    CLEANUP_BUF struct buf text = {0};
    base64url_encode(&text, bytes_of(k, (size_t)bits / 8));
    CLEANUP_FREE char *body =
        str_fmt("{\"key\":{\"kty\":\"oct\",\"k\":\"%s\",\"key_ops\":[\"encrypt\","
                "\"decrypt\",\"wrapKey\",\"unwrapKey\",\"sign\",\"verify\"]}}",
                buf_cstr(&text));
    import(kv, key, body);
}

/* The vault's verdict on a signature in a file. */
__attribute__((unused)) static bool vault_verifies(struct keyvault *kv, const char *key,
                                                   const char *alg, const char *digest,
                                                   const char *signature)
{
    CLEANUP_FREE char *url = url_of(key, "verify"), *d = file_text(digest),
                      *s = file_text(signature);
    CLEANUP_FREE char *body =
        str_fmt("{\"alg\":\"%s\",\"digest\":\"%s\",\"value\":\"%s\"}", alg, d, s);
    const struct answer *a = ask(kv, "POST", url, T, body);
    EXPECT_ANSWER(a, 200);
    REQUIRE(json_is_boolean(json_get(a->body, "value")));
    return json_is_true(json_get(a->body, "value"));
}
