/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ed25519.c - Ed25519 by OpenSSL */
#include "crypto/ed25519.h"

#include "crypto/pkey.h"

DEFINE_CLEANUP(EVP_MD_CTX_free, EVP_MD_CTX)

static enum err private_key(const struct secret *key, EVP_PKEY **out, struct diag *d)
{
    if (secret_len(key) != ED25519_KEY_LEN) {
        return FAIL(d, ERR_INVALID, "an Ed25519 key of %zu bytes, not %d", secret_len(key),
                    ED25519_KEY_LEN);
    }
    *out = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, secret_peek(key), secret_len(key));
    return *out != NULL ? OK : FAIL_SSL(d, ERR_LIMIT, "Ed25519: out of memory");
}

enum err ed25519_public(const struct secret *key, uint8_t out[ED25519_KEY_LEN], struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *k = NULL;
    size_t n = ED25519_KEY_LEN;
    TRY(private_key(key, &k, d));
    if (EVP_PKEY_get_raw_public_key(k, out, &n) == 1) return OK;
    return FAIL_SSL(d, ERR_LIMIT, "Ed25519: no public key");
}

enum err ed25519_sign(const struct secret *key, struct bytes text,
                      uint8_t out[ED25519_SIGNATURE_LEN], struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *k = NULL;
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t n = ED25519_SIGNATURE_LEN;
    TRY(private_key(key, &k, d));
    if (ctx != NULL && EVP_DigestSignInit(ctx, NULL, NULL, NULL, k) == 1 &&
        EVP_DigestSign(ctx, out, &n, text.p, text.len) == 1 && n == ED25519_SIGNATURE_LEN) {
        return OK;
    }
    return FAIL_SSL(d, ERR_LIMIT, "Ed25519: the signature could not be made");
}

bool ed25519_good(const uint8_t public_key[ED25519_KEY_LEN], struct bytes text,
                  const uint8_t signature[ED25519_SIGNATURE_LEN])
{
    CLEANUP(EVP_PKEY_free)
    EVP_PKEY *k = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key, ED25519_KEY_LEN);
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool good = k != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, k) == 1 &&
                EVP_DigestVerify(ctx, signature, ED25519_SIGNATURE_LEN, text.p, text.len) == 1;
    ERR_clear_error();
    return good;
}
