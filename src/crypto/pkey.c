/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/pkey.c - OpenSSL's keys out to PKCS#8 and in from numbers */
#include "crypto/pkey.h"

#include <openssl/x509.h>

DEFINE_CLEANUP(PKCS8_PRIV_KEY_INFO_free, PKCS8_PRIV_KEY_INFO)

enum err pkey_to_der(const EVP_PKEY *k, struct secret **pkcs8, struct diag *d)
{
    CLEANUP(PKCS8_PRIV_KEY_INFO_free) PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(k);
    int len = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, NULL) : -1;
    if (len <= 0) return FAIL_SSL(d, ERR_INVALID, "this key has no private part");

    CLEANUP(secret_free) struct secret *s = NULL;
    TRY(secret_new(&s, (size_t)len, d));
    unsigned char *p = secret_fill(s);
    if (i2d_PKCS8_PRIV_KEY_INFO(info, &p) != len) return FAIL(d, ERR_LIMIT, "out of memory");
    *pkcs8 = TAKE(s);
    return OK;
}

enum err pkey_from_params(const char *type, int selection, OSSL_PARAM_BLD *bld, EVP_PKEY **out,
                          struct diag *d)
{
    CLEANUP(OSSL_PARAM_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    CLEANUP(EVP_PKEY_free) EVP_PKEY *k = NULL;
    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &k, selection, params) != 1) {
        return FAIL_SSL(d, ERR_INVALID, "OpenSSL refuses the numbers of this %s key", type);
    }
    *out = TAKE(k);
    return OK;
}

enum err pkey_check_pair(EVP_PKEY *k, struct diag *d)
{
    CLEANUP(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, k, NULL);
    if (ctx == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (EVP_PKEY_check(ctx) != 1) {
        return FAIL_SSL(d, ERR_INVALID, "the numbers of this key do not belong together");
    }
    return OK;
}
