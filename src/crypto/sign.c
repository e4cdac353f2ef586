/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/sign.c - signatures over digests with OpenSSL's EVP */
#include "crypto/sign.h"

#include "crypto/pkey.h"

#include <openssl/ecdsa.h>
#include <openssl/rsa.h>

DEFINE_CLEANUP(ECDSA_SIG_free, ECDSA_SIG)

static const EVP_MD *md_of(enum sign_hash h)
{
    return h == SIGN_SHA256 ? EVP_sha256() : h == SIGN_SHA384 ? EVP_sha384() : EVP_sha512();
}

size_t sign_digest_len(enum sign_hash h)
{
    return h == SIGN_SHA256 ? 32 : h == SIGN_SHA384 ? 48 : 64;
}

static enum err check_digest(enum sign_hash h, struct bytes digest, struct diag *d)
{
    if (digest.len == sign_digest_len(h)) return OK;
    return FAIL(d, ERR_INVALID, "a digest of %zu bytes; this algorithm's have %zu", digest.len,
                sign_digest_len(h));
}

/* --- RSA --- */

static bool set_up(EVP_PKEY_CTX *ctx, enum rsa_signature s, enum sign_hash h)
{
    if (s == RSA_SIGN_PSS) {
        return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
               EVP_PKEY_CTX_set_signature_md(ctx, md_of(h)) == 1 &&
               EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, md_of(h)) == 1 &&
               EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    if (EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) != 1) return false;
    return s == RSA_SIGN_RAW || EVP_PKEY_CTX_set_signature_md(ctx, md_of(h)) == 1;
}

static enum err check_value(const struct rsa_key *k, enum rsa_signature s, enum sign_hash h,
                            struct bytes digest, struct diag *d)
{
    if (s != RSA_SIGN_RAW) return check_digest(h, digest, d);
    size_t max = rsa_bits(k) / 8 - 11;
    if (digest.len <= max) return OK;
    return FAIL(d, ERR_INVALID, "a value of %zu bytes; %zu fit under this key", digest.len, max);
}

enum err rsa_sign(const struct rsa_key *k, enum rsa_signature s, enum sign_hash h,
                  struct bytes digest, struct buf *out, struct diag *d)
{
    TRY(check_value(k, s, h, digest, d));
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, rsa_evp(k), NULL);
    size_t before = out->len, len = rsa_bits(k) / 8;
    uint8_t *to = buf_extend(out, len);
    if (to == NULL) return buf_check(out, d);
    if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 || !set_up(ctx, s, h) ||
        EVP_PKEY_sign(ctx, to, &len, digest.p, digest.len) != 1) {
        buf_shrink(out, before);
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot sign with this RSA key");
    }
    return OK;
}

enum err rsa_verify(const struct rsa_key *k, enum rsa_signature s, enum sign_hash h,
                    struct bytes digest, struct bytes signature, bool *good, struct diag *d)
{
    TRY(check_value(k, s, h, digest, d));
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, rsa_evp(k), NULL);
    if (ctx == NULL || EVP_PKEY_verify_init(ctx) != 1 || !set_up(ctx, s, h)) {
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot verify with this RSA key");
    }
    *good = EVP_PKEY_verify(ctx, signature.p, signature.len, digest.p, digest.len) == 1;
    ERR_clear_error();
    return OK;
}

/* --- ECDSA --- */

/* OpenSSL speaks DER, the API r || s. */
static enum err append_raw(const uint8_t *der, size_t der_len, size_t field, struct buf *out,
                           struct diag *d)
{
    CLEANUP(ECDSA_SIG_free) ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)der_len);
    uint8_t *to = buf_extend(out, 2 * field);
    if (to == NULL) return buf_check(out, d);
    if (sig == NULL || BN_bn2binpad(ECDSA_SIG_get0_r(sig), to, (int)field) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), to + field, (int)field) < 0) {
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL made a signature that it cannot read");
    }
    return OK;
}

enum err ec_sign(const struct ec_key *k, struct bytes digest, struct buf *out, struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ec_evp(k), NULL);
    uint8_t der[160]; /* P-521: 139 at most */
    size_t len = sizeof der;
    if (ctx == NULL || EVP_PKEY_sign_init(ctx) != 1 ||
        EVP_PKEY_sign(ctx, der, &len, digest.p, digest.len) != 1) {
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot sign with this EC key");
    }
    return append_raw(der, len, ec_field_len(ec_curve_of(k)), out, d);
}

static int to_der(struct bytes signature, size_t field, uint8_t **der)
{
    CLEANUP(ECDSA_SIG_free) ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.p, (int)field, NULL);
    BIGNUM *s = BN_bin2bn(signature.p + field, (int)field, NULL);
    if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return -1;
    }
    return i2d_ECDSA_SIG(sig, der);
}

enum err ec_verify(const struct ec_key *k, struct bytes digest, struct bytes signature, bool *good,
                   struct diag *d)
{
    size_t field = ec_field_len(ec_curve_of(k));
    if (signature.len != 2 * field) {
        *good = false;
        return OK;
    }
    CLEANUP(EVP_PKEY_CTX_free)
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, ec_evp(k), NULL);
    uint8_t *der = NULL;
    int len = to_der(signature, field, &der);
    if (ctx == NULL || len < 0 || EVP_PKEY_verify_init(ctx) != 1) {
        OPENSSL_free(der);
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    }
    *good = EVP_PKEY_verify(ctx, der, (size_t)len, digest.p, digest.len) == 1;
    OPENSSL_free(der);
    ERR_clear_error();
    return OK;
}

/* --- HMAC --- */

enum err hmac_sign(enum sign_hash h, struct bytes key, struct bytes value, struct buf *out,
                   struct diag *d)
{
    TRY(check_digest(h, value, d));
    uint8_t mac[EVP_MAX_MD_SIZE];
    size_t len = 0;
    if (EVP_Q_mac(NULL, "HMAC", NULL, EVP_MD_get0_name(md_of(h)), NULL, key.p, key.len, value.p,
                  value.len, mac, sizeof mac, &len) == NULL) {
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL lacks HMAC");
    }
    buf_bytes(out, bytes_of(mac, len));
    return buf_check(out, d);
}
