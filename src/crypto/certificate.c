/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/certificate.c - X.509 read by OpenSSL */
#include "crypto/certificate.h"

#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/pkey.h"

#include <openssl/pem.h>
#include <openssl/x509.h>
#include <time.h>

DEFINE_CLEANUP(X509_free, X509)
DEFINE_CLEANUP(BIO_free_all, BIO)

static X509 *parse(struct bytes text)
{
    CLEANUP(BIO_free_all) BIO *b = BIO_new_mem_buf(text.p, (int)text.len);
    X509 *x = b != NULL ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;
    const uint8_t *p = text.p;
    if (x == NULL) x = d2i_X509(NULL, &p, (long)text.len);
    ERR_clear_error();
    return x;
}

static bool to_us(const ASN1_TIME *t, int64_t *out)
{
    struct tm tm = {0};
    if (ASN1_TIME_to_tm(t, &tm) != 1) return false;
    *out = (int64_t)timegm(&tm) * US_PER_S;
    return true;
}

static bool take_number(const EVP_PKEY *k, const char *name, size_t len, struct buf *out)
{
    CLEANUP(BN_free) BIGNUM *n = NULL;
    uint8_t raw[512];
    if (EVP_PKEY_get_bn_param(k, name, &n) != 1) return false;
    size_t need = len != 0 ? len : (size_t)BN_num_bytes(n);
    if (need > sizeof raw || BN_bn2binpad(n, raw, (int)need) < 0) return false;
    buf_bytes(out, bytes_of(raw, need));
    return !out->bad;
}

static bool take_key(X509 *x, struct certificate *c)
{
    const EVP_PKEY *k = X509_get0_pubkey(x);
    char curve[32] = "";
    if (k == NULL) return false;
    if (EVP_PKEY_is_a(k, "RSA")) {
        int bits = EVP_PKEY_get_bits(k);
        c->is_rsa = true;
        return bits >= 2048 && bits <= 4096 &&
               take_number(k, OSSL_PKEY_PARAM_RSA_N, 0, &c->first) &&
               take_number(k, OSSL_PKEY_PARAM_RSA_E, 0, &c->second);
    }
    return EVP_PKEY_is_a(k, "EC") &&
           EVP_PKEY_get_utf8_string_param(k, OSSL_PKEY_PARAM_GROUP_NAME, curve, sizeof curve,
                                          NULL) == 1 &&
           strcmp(curve, "prime256v1") == 0 &&
           take_number(k, OSSL_PKEY_PARAM_EC_PUB_X, 32, &c->first) &&
           take_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, 32, &c->second);
}

enum err certificate_read(struct certificate *out, struct bytes text, struct diag *d)
{
    CLEANUP(X509_free) X509 *x = text.len <= INT32_MAX ? parse(text) : NULL;
    struct certificate c = {0};
    uint8_t *der = NULL;
    if (x == NULL) return FAIL(d, ERR_INVALID, "that is no certificate");
    int n = i2d_X509(x, &der);
    bool good = n > 0 && to_us(X509_get0_notBefore(x), &c.not_before_us) &&
                to_us(X509_get0_notAfter(x), &c.not_after_us) && take_key(x, &c);
    if (good) {
        sha1(bytes_of(der, (size_t)n), c.sha1);
        sha256(bytes_of(der, (size_t)n), c.sha256);
    }
    OPENSSL_free(der);
    if (!good) {
        certificate_release(&c);
        return FAIL_SSL(d, ERR_INVALID,
                        "the certificate's key is neither RSA of 2048 to 4096 bits nor EC P-256");
    }
    *out = c;
    return OK;
}

void certificate_release(struct certificate *c)
{
    buf_release(&c->first);
    buf_release(&c->second);
}
