/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/hash.c - digests and HMAC
 *
 * HMAC is libsodium's: its state is a plain struct, so the key schedule of a file key is copied
 * with one memcpy per block, without a context from the heap. Bulk SHA-256 is OpenSSL's, which
 * knows the CPU's instructions for it.
 */
#include "crypto/hash.h"

#include <assert.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>

#define SHA512_LEN 64

void sha256(struct bytes in, uint8_t out[32])
{
    /* OpenSSL's needs memory; libsodium's needs none. */
    if (SHA256(in.p, in.len, out) == NULL) crypto_hash_sha256(out, in.p, in.len);
}

void sha1(struct bytes in, uint8_t out[20])
{
    if (SHA1(in.p, in.len, out) == NULL)
        abort(); /* a thumbprint without memory: nothing to hand back */
}

struct sha256_ctx {
    EVP_MD_CTX *evp;
};

enum err sha256_new(struct sha256_ctx **out, struct diag *d)
{
    CLEANUP(sha256_free) struct sha256_ctx *c = calloc(1, sizeof *c);
    if (c == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    c->evp = EVP_MD_CTX_new();
    if (c->evp == NULL || EVP_DigestInit_ex(c->evp, EVP_sha256(), NULL) != 1) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *out = TAKE(c);
    return OK;
}

void sha256_add(struct sha256_ctx *c, struct bytes in)
{
    int ok = EVP_DigestUpdate(c->evp, in.p, in.len);
    assert(ok == 1); /* an initialised digest cannot refuse bytes */
}

void sha256_end(struct sha256_ctx *c, uint8_t out[32])
{
    int ok = EVP_DigestFinal_ex(c->evp, out, NULL);
    assert(ok == 1);
    sha256_free(c);
}

void sha256_free(struct sha256_ctx *c)
{
    if (c == NULL) return;
    EVP_MD_CTX_free(c->evp);
    free(c);
}

void hmac_sha256(struct bytes key, struct bytes in, uint8_t out[32])
{
    crypto_auth_hmacsha256_state s;
    crypto_auth_hmacsha256_init(&s, key.p, key.len);
    crypto_auth_hmacsha256_update(&s, in.p, in.len);
    crypto_auth_hmacsha256_final(&s, out);
    wipe(&s, sizeof s);
}

void hmac_sha512(struct bytes key, struct bytes in, uint8_t out[64])
{
    crypto_auth_hmacsha512_state s;
    crypto_auth_hmacsha512_init(&s, key.p, key.len);
    crypto_auth_hmacsha512_update(&s, in.p, in.len);
    crypto_auth_hmacsha512_final(&s, out);
    wipe(&s, sizeof s);
}

/* HKDF-Expand from a keyed state, which stays as it is. */
static void expand(const crypto_auth_hmacsha512_state *keyed, struct bytes info, uint8_t *out,
                   size_t n)
{
    assert(n <= (size_t)255 * SHA512_LEN);
    uint8_t t[SHA512_LEN];
    crypto_auth_hmacsha512_state s;
    for (uint8_t i = 1; n != 0; i++) {
        memcpy(&s, keyed, sizeof s);
        if (i > 1) crypto_auth_hmacsha512_update(&s, t, sizeof t);
        crypto_auth_hmacsha512_update(&s, info.p, info.len);
        crypto_auth_hmacsha512_update(&s, &i, 1);
        crypto_auth_hmacsha512_final(&s, t);

        size_t k = n < sizeof t ? n : sizeof t;
        memcpy(out, t, k);
        out += k;
        n -= k;
    }
    wipe(t, sizeof t);
    wipe(&s, sizeof s);
}

void hkdf_expand(struct bytes key, struct bytes info, uint8_t *out, size_t n)
{
    crypto_auth_hmacsha512_state s;
    crypto_auth_hmacsha512_init(&s, key.p, key.len);
    expand(&s, info, out, n);
    wipe(&s, sizeof s);
}

struct hmac_key {
    struct secret *state; /* a crypto_auth_hmacsha512_state, on a locked page */
};

enum err hmac_key_new(struct hmac_key **out, struct bytes key, struct diag *d)
{
    CLEANUP(hmac_key_free) struct hmac_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(secret_new(&k->state, sizeof(crypto_auth_hmacsha512_state), d));
    crypto_auth_hmacsha512_init((void *)secret_fill(k->state), key.p, key.len);
    *out = TAKE(k);
    return OK;
}

void hmac_key_free(struct hmac_key *k)
{
    if (k == NULL) return;
    secret_free(k->state);
    free(k);
}

void hmac_key_expand(const struct hmac_key *k, struct bytes info, uint8_t *out, size_t n)
{
    expand((const void *)secret_peek(k->state), info, out, n);
}
