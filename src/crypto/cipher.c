/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/cipher.c - AES-GCM and AES-CBC over OpenSSL's EVP */
#include "crypto/cipher.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#define BLOCK 16 /* bytes */

DEFINE_CLEANUP(EVP_CIPHER_CTX_free, EVP_CIPHER_CTX)

static const EVP_CIPHER *find(enum cipher_mode mode, size_t key_len)
{
    bool gcm = mode == CIPHER_GCM;
    switch (key_len) {
    case 16: return gcm ? EVP_aes_128_gcm() : EVP_aes_128_cbc();
    case 24: return gcm ? EVP_aes_192_gcm() : EVP_aes_192_cbc();
    case 32: return gcm ? EVP_aes_256_gcm() : EVP_aes_256_cbc();
    default: return NULL;
    }
}

static enum err start(const struct cipher *c, int enc, EVP_CIPHER_CTX **out, struct diag *d)
{
    const EVP_CIPHER *type = find(c->mode, c->key.len);
    size_t iv_len = c->mode == CIPHER_GCM ? CIPHER_GCM_IV_LEN : CIPHER_CBC_IV_LEN;
    if (type == NULL) return FAIL(d, ERR_INVALID, "an AES key of %zu bytes", c->key.len);
    if (c->iv.len != iv_len)
        return FAIL(d, ERR_INVALID, "the iv has %zu bytes, not %zu", c->iv.len, iv_len);

    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int n = 0;
    if (ctx == NULL || EVP_CipherInit_ex(ctx, type, NULL, c->key.p, c->iv.p, enc) != 1 ||
        EVP_CIPHER_CTX_set_padding(ctx, c->mode == CIPHER_CBC_PAD) != 1 ||
        (c->aad.len != 0 && EVP_CipherUpdate(ctx, NULL, &n, c->aad.p, (int)c->aad.len) != 1)) {
        ERR_clear_error();
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *out = TAKE(ctx);
    return OK;
}

static enum err check_lengths(const struct cipher *c, struct bytes text, struct diag *d)
{
    if (text.len > INT_MAX - BLOCK || c->aad.len > INT_MAX) return FAIL(d, ERR_INVALID, "too long");
    if (c->mode != CIPHER_GCM && c->aad.len != 0)
        return FAIL(d, ERR_INVALID, "aad goes with GCM only");
    if (c->mode == CIPHER_CBC && text.len % BLOCK != 0) {
        return FAIL(d, ERR_INVALID, "%zu bytes are not whole blocks of %d", text.len, BLOCK);
    }
    return OK;
}

enum err cipher_encrypt(const struct cipher *c, struct bytes plain, struct buf *out,
                        uint8_t tag[CIPHER_GCM_TAG_LEN], struct diag *d)
{
    TRY(check_lengths(c, plain, d));
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = NULL;
    TRY(start(c, 1, &ctx, d));
    size_t before = out->len;
    uint8_t *to = buf_extend(out, plain.len + BLOCK);
    if (to == NULL) return buf_check(out, d);
    int n = 0, last = 0;
    if (EVP_CipherUpdate(ctx, to, &n, plain.p, (int)plain.len) != 1 ||
        EVP_CipherFinal_ex(ctx, to + n, &last) != 1 ||
        (c->mode == CIPHER_GCM &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CIPHER_GCM_TAG_LEN, tag) != 1)) {
        buf_shrink(out, before);
        ERR_clear_error();
        return FAIL(d, ERR_INTERNAL, "OpenSSL cannot encrypt with this key");
    }
    buf_shrink(out, before + (size_t)n + (size_t)last);
    return OK;
}

enum err cipher_decrypt(const struct cipher *c, struct bytes text, struct bytes tag,
                        struct secret **out, struct diag *d)
{
    TRY(check_lengths(c, text, d));
    if (c->mode == CIPHER_GCM && tag.len != CIPHER_GCM_TAG_LEN) {
        return FAIL(d, ERR_INVALID, "the tag has %zu bytes, not %d", tag.len, CIPHER_GCM_TAG_LEN);
    }
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = NULL;
    TRY(start(c, 0, &ctx, d));
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, text.len + BLOCK, d));
    int n = 0, last = 0;
    if ((c->mode == CIPHER_GCM &&
         EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CIPHER_GCM_TAG_LEN, (void *)tag.p) != 1) ||
        EVP_CipherUpdate(ctx, secret_fill(room), &n, text.p, (int)text.len) != 1 ||
        EVP_CipherFinal_ex(ctx, secret_fill(room) + n, &last) != 1) {
        ERR_clear_error();
        return FAIL(d, ERR_INVALID, "the value cannot be opened");
    }
    return secret_of(out, bytes_of(secret_peek(room), (size_t)n + (size_t)last), d);
}
