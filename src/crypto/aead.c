/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/aead.c - AES-256-GCM and ChaCha20-Poly1305 of OpenSSL, one context per thread and
 * algorithm */
#include "crypto/aead.h"

#include <assert.h>
#include <limits.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

struct contexts {
    EVP_CIPHER_CTX *of[AEAD_ALGS];
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_contexts;
static EVP_CIPHER *ciphers[AEAD_ALGS];

static void contexts_free(void *p)
{
    struct contexts *c = p;
    for (int i = 0; i < AEAD_ALGS; i++)
        EVP_CIPHER_CTX_free(c->of[i]);
    free(c);
}

static void start(void)
{
    /* Fetched once: EVP_aes_256_gcm() would search the providers again at each call. */
    ciphers[AEAD_AES_256_GCM] = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
    ciphers[AEAD_CHACHA20_POLY1305] = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
    if (pthread_key_create(&thread_contexts, contexts_free) != 0) abort();
}

/* This thread's context, bound to its cipher. */
static enum err context(enum aead_alg alg, EVP_CIPHER_CTX **out, struct diag *d)
{
    pthread_once(&once, start);
    if (ciphers[alg] == NULL)
        return FAIL(d, ERR_UNSUPPORTED, "OpenSSL lacks a cipher of suite 0x0001");

    struct contexts *c = pthread_getspecific(thread_contexts);
    if (c == NULL) {
        c = calloc(1, sizeof *c);
        if (c == NULL || pthread_setspecific(thread_contexts, c) != 0) {
            free(c);
            return FAIL(d, ERR_LIMIT, "out of memory");
        }
    }
    if (c->of[alg] == NULL) {
        EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
        if (ctx == NULL || EVP_CipherInit_ex(ctx, ciphers[alg], NULL, NULL, NULL, 1) != 1) {
            EVP_CIPHER_CTX_free(ctx);
            return FAIL(d, ERR_LIMIT, "out of memory");
        }
        c->of[alg] = ctx;
    }
    *out = c->of[alg];
    return OK;
}

/* The context outlives the call, the key must not: a schedule of zeros takes its place. */
static void forget_key(EVP_CIPHER_CTX *ctx)
{
    static const uint8_t zero[AEAD_KEY_LEN];
    (void)EVP_CipherInit_ex(ctx, NULL, NULL, zero, zero, 1);
}

static bool seal(EVP_CIPHER_CTX *ctx, const struct aead *a, struct bytes plain, uint8_t *out)
{
    int n = 0;
    return EVP_CipherInit_ex(ctx, NULL, NULL, a->key, a->nonce, 1) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, a->aad.p, (int)a->aad.len) == 1 &&
           EVP_CipherUpdate(ctx, out, &n, plain.p, (int)plain.len) == 1 &&
           EVP_CipherFinal_ex(ctx, out + n, &n) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG_LEN, out + plain.len) == 1;
}

enum err aead_seal(const struct aead *a, struct bytes plain, uint8_t *out, struct diag *d)
{
    assert(plain.len != 0 && plain.len <= INT_MAX && a->aad.len <= INT_MAX);
    EVP_CIPHER_CTX *ctx = NULL;
    TRY(context(a->alg, &ctx, d));
    bool ok = seal(ctx, a, plain, out);
    forget_key(ctx);
    return ok ? OK : FAIL(d, ERR_INTERNAL, "OpenSSL cannot encrypt");
}

static bool open_sealed(EVP_CIPHER_CTX *ctx, const struct aead *a, struct bytes sealed,
                        uint8_t *out)
{
    int n = 0;
    size_t len = sealed.len - AEAD_TAG_LEN;
    void *tag =
        (void *)(sealed.p + len); /* only read; the parameter of the control call is not const */
    return EVP_CipherInit_ex(ctx, NULL, NULL, a->key, a->nonce, 0) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG_LEN, tag) == 1 &&
           EVP_CipherUpdate(ctx, NULL, &n, a->aad.p, (int)a->aad.len) == 1 &&
           EVP_CipherUpdate(ctx, out, &n, sealed.p, (int)len) == 1 &&
           EVP_CipherFinal_ex(ctx, out + n, &n) == 1;
}

enum err aead_open(const struct aead *a, struct bytes sealed, uint8_t *out, struct diag *d)
{
    assert(sealed.len > AEAD_TAG_LEN && sealed.len <= INT_MAX && a->aad.len <= INT_MAX);
    EVP_CIPHER_CTX *ctx = NULL;
    TRY(context(a->alg, &ctx, d));
    bool ok = open_sealed(ctx, a, sealed, out);
    forget_key(ctx);
    if (ok) return OK;
    wipe(out, sealed.len - AEAD_TAG_LEN);
    return FAIL(d, ERR_CORRUPT, "the tag does not match");
}
