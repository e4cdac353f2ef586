/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/keywrap.c - AES key wrap (RFC 3394) over OpenSSL's EVP */
#include "crypto/keywrap.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define KW_OVERHEAD  8    /* bytes */
#define KW_PLAIN_MIN 16   /* bytes */
#define KW_PLAIN_MAX 4096 /* bytes: keys, not data */

DEFINE_CLEANUP(EVP_CIPHER_CTX_free, EVP_CIPHER_CTX)

static enum err start(struct bytes kek, int enc, EVP_CIPHER_CTX **out, struct diag *d)
{
    const EVP_CIPHER *cipher = kek.len == 16   ? EVP_aes_128_wrap()
                               : kek.len == 24 ? EVP_aes_192_wrap()
                               : kek.len == 32 ? EVP_aes_256_wrap()
                                               : NULL;
    if (cipher == NULL) return FAIL(d, ERR_INVALID, "an AES key of %zu bytes", kek.len);

    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (ctx == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, cipher, NULL, kek.p, NULL, enc) != 1) {
        return FAIL(d, ERR_INTERNAL, "OpenSSL lacks AES key wrap");
    }
    *out = TAKE(ctx);
    return OK;
}

enum err aes_kw_wrap(struct bytes kek, struct bytes plain, struct buf *out, struct diag *d)
{
    if (plain.len < KW_PLAIN_MIN || plain.len > KW_PLAIN_MAX || plain.len % 8 != 0) {
        return FAIL(d, ERR_INVALID, "a key of %zu bytes to wrap; multiples of 8 from %d to %d fit",
                    plain.len, KW_PLAIN_MIN, KW_PLAIN_MAX);
    }
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = NULL;
    TRY(start(kek, 1, &ctx, d));
    size_t before = out->len;
    uint8_t *to = buf_extend(out, plain.len + KW_OVERHEAD);
    if (to == NULL) return buf_check(out, d);
    int n = 0;
    if (EVP_CipherUpdate(ctx, to, &n, plain.p, (int)plain.len) != 1 ||
        n != (int)(plain.len + KW_OVERHEAD)) {
        buf_shrink(out, before);
        return FAIL(d, ERR_INTERNAL, "OpenSSL cannot wrap this key");
    }
    return OK;
}

enum err aes_kw_unwrap(struct bytes kek, struct bytes wrapped, struct secret **out, struct diag *d)
{
    if (wrapped.len < KW_PLAIN_MIN + KW_OVERHEAD || wrapped.len > KW_PLAIN_MAX + KW_OVERHEAD ||
        wrapped.len % 8 != 0) {
        return FAIL(d, ERR_INVALID, "the wrapped key cannot be opened");
    }
    CLEANUP(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = NULL;
    TRY(start(kek, 0, &ctx, d));
    /* OpenSSL writes the integrity block's room too while it works. */
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, wrapped.len, d));
    int n = 0;
    if (EVP_CipherUpdate(ctx, secret_fill(room), &n, wrapped.p, (int)wrapped.len) != 1 ||
        n != (int)(wrapped.len - KW_OVERHEAD)) {
        ERR_clear_error(); /* TLS on this thread would take it for its own */
        return FAIL(d, ERR_INVALID, "the wrapped key cannot be opened");
    }
    return secret_of(out, bytes_of(secret_peek(room), (size_t)n), d);
}
