/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/rsa.c - RSA keys, encryption and RS256 signatures over OpenSSL's EVP */
#include "crypto/keywrap.h"

#include "crypto/pkey.h"

#include <openssl/rsa.h>
#include <stdlib.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096

struct rsa_key {
    EVP_PKEY *pkey;
};

DEFINE_CLEANUP(EVP_MD_CTX_free, EVP_MD_CTX)

/* Takes pkey on OK. */
static enum err wrap_pkey(EVP_PKEY *pkey, struct rsa_key **out, struct diag *d)
{
    struct rsa_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    k->pkey = pkey;
    *out = k;
    return OK;
}

enum err rsa_generate(struct rsa_key **out, unsigned bits, struct diag *d)
{
    if (bits != 2048 && bits != 3072 && bits != 4096) {
        return FAIL(d, ERR_INVALID, "an RSA key of %u bits; 2048, 3072 and 4096 are supported",
                    bits);
    }
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits) != 1 ||
        EVP_PKEY_generate(ctx, &pkey) != 1) {
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot make an RSA key");
    }
    TRY(wrap_pkey(pkey, out, d));
    (void)TAKE(pkey);
    return OK;
}

static enum err check_public(const BIGNUM *n, const BIGNUM *e, struct diag *d)
{
    int bits = BN_num_bits(n);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX || !BN_is_odd(n)) {
        return FAIL(d, ERR_INVALID, "RSA modulus: %d bits; odd ones of %d to %d are supported",
                    bits, RSA_BITS_MIN, RSA_BITS_MAX);
    }
    if (!BN_is_odd(e) || BN_is_one(e) || BN_num_bits(e) > 64) {
        return FAIL(d, ERR_INVALID, "RSA exponent: not odd, below 3, or longer than 64 bits");
    }
    return OK;
}

enum err rsa_public(struct rsa_key **out, struct bytes n, struct bytes e, struct diag *d)
{
    if (n.len > 2 * RSA_BITS_MAX / 8 || e.len > 64) {
        return FAIL(d, ERR_INVALID, "RSA modulus of %zu or exponent of %zu bytes", n.len, e.len);
    }
    CLEANUP(BN_free) BIGNUM *bn = BN_bin2bn(n.p, (int)n.len, NULL);
    CLEANUP(BN_free) BIGNUM *be = BN_bin2bn(e.p, (int)e.len, NULL);
    if (bn == NULL || be == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(check_public(bn, be, d));

    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld == NULL || OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) != 1 ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be) != 1) {
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    }
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
    TRY(pkey_from_params("RSA", EVP_PKEY_PUBLIC_KEY, bld, &pkey, d));
    TRY(wrap_pkey(pkey, out, d));
    (void)TAKE(pkey);
    return OK;
}

/* Of each number its OpenSSL name, in the order of struct rsa_parts. */
static const char *const part_names[] = {
    OSSL_PKEY_PARAM_RSA_N,         OSSL_PKEY_PARAM_RSA_E,           OSSL_PKEY_PARAM_RSA_D,
    OSSL_PKEY_PARAM_RSA_FACTOR1,   OSSL_PKEY_PARAM_RSA_FACTOR2,     OSSL_PKEY_PARAM_RSA_EXPONENT1,
    OSSL_PKEY_PARAM_RSA_EXPONENT2, OSSL_PKEY_PARAM_RSA_COEFFICIENT1};
#define PARTS (sizeof part_names / sizeof part_names[0])

enum err rsa_import(struct rsa_key **out, const struct rsa_parts *parts, struct diag *d)
{
    const struct bytes in[PARTS] = {parts->n, parts->e,  parts->d,  parts->p,
                                    parts->q, parts->dp, parts->dq, parts->qi};
    BIGNUM *numbers[PARTS] = {NULL};
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    bool made = bld != NULL, fits = true;
    for (size_t i = 0; i < PARTS && made && fits; i++) {
        fits = in[i].len != 0 && in[i].len <= RSA_BITS_MAX / 8;
        numbers[i] = fits ? BN_bin2bn(in[i].p, (int)in[i].len, BN_secure_new()) : NULL;
        made = !fits ||
               (numbers[i] != NULL && OSSL_PARAM_BLD_push_BN(bld, part_names[i], numbers[i]) == 1);
    }
    enum err e = !made   ? FAIL_SSL(d, ERR_LIMIT, "out of memory")
                 : !fits ? FAIL(d, ERR_INVALID, "RSA: a number is missing or longer than %d bits",
                                RSA_BITS_MAX)
                         : check_public(numbers[0], numbers[1], d);
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
    if (e == OK) e = pkey_from_params("RSA", EVP_PKEY_KEYPAIR, bld, &pkey, d);
    for (size_t i = 0; i < PARTS; i++)
        BN_clear_free(numbers[i]);
    TRY(e);
    TRY(pkey_check_pair(pkey, d));
    TRY(wrap_pkey(pkey, out, d));
    (void)TAKE(pkey);
    return OK;
}

enum err rsa_from_der(struct rsa_key **out, struct bytes pkcs8, struct diag *d)
{
    const unsigned char *p = pkcs8.p;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)pkcs8.len);
    if (pkey == NULL || p != pkcs8.p + pkcs8.len || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA) {
        return FAIL_SSL(d, ERR_INVALID, "no RSA private key in PKCS#8");
    }
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) {
        return FAIL(d, ERR_INVALID, "an RSA key of %d bits; %d to %d are supported", bits,
                    RSA_BITS_MIN, RSA_BITS_MAX);
    }
    TRY(wrap_pkey(pkey, out, d));
    (void)TAKE(pkey);
    return OK;
}

enum err rsa_to_der(const struct rsa_key *k, struct secret **pkcs8, struct diag *d)
{
    return pkey_to_der(k->pkey, pkcs8, d);
}

void rsa_free(struct rsa_key *k)
{
    if (k == NULL) return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

unsigned rsa_bits(const struct rsa_key *k)
{
    return (unsigned)EVP_PKEY_get_bits(k->pkey);
}

static enum err append_number(const struct rsa_key *k, const char *name, struct buf *out,
                              struct diag *d)
{
    CLEANUP(BN_free) BIGNUM *v = NULL;
    if (EVP_PKEY_get_bn_param(k->pkey, name, &v) != 1) return FAIL(d, ERR_LIMIT, "out of memory");
    uint8_t *to = buf_extend(out, (size_t)BN_num_bytes(v));
    if (to != NULL) BN_bn2bin(v, to);
    return buf_check(out, d);
}

enum err rsa_public_parts(const struct rsa_key *k, struct buf *n, struct buf *e, struct diag *d)
{
    TRY(append_number(k, OSSL_PKEY_PARAM_RSA_N, n, d));
    return append_number(k, OSSL_PKEY_PARAM_RSA_E, e, d);
}

void *rsa_evp(const struct rsa_key *k)
{
    return k->pkey;
}

/* --- encryption ------------------------------------------------------------------------------- */

static bool set_padding(EVP_PKEY_CTX *ctx, enum rsa_padding p)
{
    if (p == RSA_PKCS1_V15) return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
    const EVP_MD *md = p == RSA_OAEP_SHA256 ? EVP_sha256() : EVP_sha1();
    return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_oaep_md(ctx, md) == 1 && EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md) == 1;
}

static size_t plain_max(const struct rsa_key *k, enum rsa_padding p)
{
    static const size_t overhead[] = {
        [RSA_OAEP_SHA1] = 2 * 20 + 2, [RSA_OAEP_SHA256] = 2 * 32 + 2, [RSA_PKCS1_V15] = 11};
    return (size_t)EVP_PKEY_get_size(k->pkey) - overhead[p];
}

enum err rsa_encrypt(const struct rsa_key *k, enum rsa_padding p, struct bytes plain,
                     struct buf *out, struct diag *d)
{
    if (plain.len > plain_max(k, p)) {
        return FAIL(d, ERR_INVALID, "%zu bytes do not fit under this RSA key; %zu do", plain.len,
                    plain_max(k, p));
    }
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    size_t before = out->len;
    size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
    uint8_t *to = buf_extend(out, len);
    if (to == NULL) return buf_check(out, d);
    if (ctx == NULL || EVP_PKEY_encrypt_init(ctx) != 1 || !set_padding(ctx, p) ||
        EVP_PKEY_encrypt(ctx, to, &len, plain.p, plain.len) != 1) {
        buf_shrink(out, before);
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot encrypt under this RSA key");
    }
    return OK;
}

enum err rsa_decrypt(const struct rsa_key *k, enum rsa_padding p, struct bytes cipher,
                     struct secret **out, struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k->pkey, NULL);
    CLEANUP(secret_free) struct secret *room = NULL;
    size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
    TRY(secret_new(&room, len, d));
    if (ctx == NULL || EVP_PKEY_decrypt_init(ctx) != 1 || !set_padding(ctx, p) ||
        EVP_PKEY_decrypt(ctx, secret_fill(room), &len, cipher.p, cipher.len) != 1) {
        return FAIL_SSL(d, ERR_INVALID, "the wrapped key cannot be opened");
    }
    return secret_of(out, bytes_of(secret_peek(room), len), d);
}

/* --- RS256 ------------------------------------------------------------------------------------ */

enum err rs256_sign(const struct rsa_key *k, struct bytes text, struct buf *out, struct diag *d)
{
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    size_t before = out->len;
    size_t len = (size_t)EVP_PKEY_get_size(k->pkey);
    uint8_t *to = buf_extend(out, len);
    if (to == NULL) return buf_check(out, d);
    if (ctx == NULL || EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1 ||
        EVP_DigestSign(ctx, to, &len, text.p, text.len) != 1) {
        buf_shrink(out, before);
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot sign with this RSA key");
    }
    return OK;
}

enum err rs256_verify(const struct rsa_key *k, struct bytes text, struct bytes sig, struct diag *d)
{
    CLEANUP(EVP_MD_CTX_free) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (ctx == NULL || EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, k->pkey) != 1) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    if (EVP_DigestVerify(ctx, sig.p, sig.len, text.p, text.len) != 1) {
        return FAIL_SSL(d, ERR_INVALID, "the signature does not match");
    }
    return OK;
}
