/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/ec.c - elliptic curve keys over OpenSSL's EVP */
#include "crypto/ec.h"

#include "crypto/pkey.h"

#include <openssl/ec.h>
#include <stdlib.h>

#define FIELD_LEN_MAX 66 /* bytes: P-521 */

struct ec_key {
    EVP_PKEY *pkey;
    enum ec_curve curve;
};

static const struct {
    const char *group; /* OpenSSL's name */
    size_t len;
} curves[EC_CURVES] = {
    [EC_P256] = {"prime256v1", 32},
    [EC_P384] = {"secp384r1", 48},
    [EC_P521] = {"secp521r1", 66},
    [EC_P256K] = {"secp256k1", 32},
};

size_t ec_field_len(enum ec_curve c)
{
    return curves[c].len;
}

/* Takes pkey on OK. */
static enum err wrap_pkey(EVP_PKEY *pkey, enum ec_curve c, struct ec_key **out, struct diag *d)
{
    struct ec_key *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *k = (struct ec_key){pkey, c};
    *out = k;
    return OK;
}

enum err ec_generate(struct ec_key **out, enum ec_curve c, struct diag *d)
{
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = EVP_EC_gen(curves[c].group);
    if (pkey == NULL)
        return FAIL_SSL(d, ERR_INTERNAL, "OpenSSL cannot make a key on %s", curves[c].group);
    TRY(wrap_pkey(pkey, c, out, d));
    (void)TAKE(pkey);
    return OK;
}

#define POINT_MAX (1 + 2 * FIELD_LEN_MAX)

/* The group and the point, whose numbers' lengths are checked, into bld, which keeps looking at
 * point until it is built. */
static enum err push_public(OSSL_PARAM_BLD *bld, enum ec_curve c, struct bytes x, struct bytes y,
                            uint8_t point[POINT_MAX], struct diag *d)
{
    size_t len = curves[c].len;
    if (x.len != len || y.len != len) {
        return FAIL(d, ERR_INVALID, "the numbers of a key on %s have %zu bytes", curves[c].group,
                    len);
    }
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    memcpy(point + 1, x.p, len);
    memcpy(point + 1 + len, y.p, len);
    if (bld == NULL ||
        OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curves[c].group, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, 1 + 2 * len) != 1) {
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    }
    return OK;
}

enum err ec_public(struct ec_key **out, enum ec_curve c, struct bytes x, struct bytes y,
                   struct diag *d)
{
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
    uint8_t point[POINT_MAX];
    TRY(push_public(bld, c, x, y, point, d));
    TRY(pkey_from_params("EC", EVP_PKEY_PUBLIC_KEY, bld, &pkey, d));
    TRY(wrap_pkey(pkey, c, out, d));
    (void)TAKE(pkey);
    return OK;
}

enum err ec_import(struct ec_key **out, enum ec_curve c, struct bytes x, struct bytes y,
                   struct bytes private_number, struct diag *d)
{
    CLEANUP(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    CLEANUP(BN_clear_free) BIGNUM *n = BN_secure_new();
    if (private_number.len != curves[c].len) {
        return FAIL(d, ERR_INVALID, "the numbers of a key on %s have %zu bytes", curves[c].group,
                    curves[c].len);
    }
    uint8_t point[POINT_MAX];
    TRY(push_public(bld, c, x, y, point, d));
    if (n == NULL || BN_bin2bn(private_number.p, (int)private_number.len, n) == NULL ||
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, n) != 1) {
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    }
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = NULL;
    TRY(pkey_from_params("EC", EVP_PKEY_KEYPAIR, bld, &pkey, d));
    TRY(pkey_check_pair(pkey, d));
    TRY(wrap_pkey(pkey, c, out, d));
    (void)TAKE(pkey);
    return OK;
}

enum err ec_from_der(struct ec_key **out, enum ec_curve c, struct bytes pkcs8, struct diag *d)
{
    const unsigned char *p = pkcs8.p;
    CLEANUP(EVP_PKEY_free) EVP_PKEY *pkey = d2i_AutoPrivateKey(NULL, &p, (long)pkcs8.len);
    char group[32] = "";
    if (pkey == NULL || p != pkcs8.p + pkcs8.len || EVP_PKEY_get_base_id(pkey) != EVP_PKEY_EC ||
        EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
        strcmp(group, curves[c].group) != 0) {
        return FAIL_SSL(d, ERR_INVALID, "no private key on %s in PKCS#8", curves[c].group);
    }
    TRY(wrap_pkey(pkey, c, out, d));
    (void)TAKE(pkey);
    return OK;
}

enum err ec_to_der(const struct ec_key *k, struct secret **pkcs8, struct diag *d)
{
    return pkey_to_der(k->pkey, pkcs8, d);
}

void ec_free(struct ec_key *k)
{
    if (k == NULL) return;
    EVP_PKEY_free(k->pkey);
    free(k);
}

static enum err append_number(const struct ec_key *k, const char *name, struct buf *out,
                              struct diag *d)
{
    CLEANUP(BN_free) BIGNUM *v = NULL;
    size_t len = curves[k->curve].len;
    if (EVP_PKEY_get_bn_param(k->pkey, name, &v) != 1)
        return FAIL_SSL(d, ERR_LIMIT, "out of memory");
    uint8_t *to = buf_extend(out, len);
    if (to != NULL && BN_bn2binpad(v, to, (int)len) != (int)len) {
        return FAIL(d, ERR_INTERNAL, "a coordinate is longer than its curve's field");
    }
    return buf_check(out, d);
}

enum err ec_public_parts(const struct ec_key *k, struct buf *x, struct buf *y, struct diag *d)
{
    TRY(append_number(k, OSSL_PKEY_PARAM_EC_PUB_X, x, d));
    return append_number(k, OSSL_PKEY_PARAM_EC_PUB_Y, y, d);
}

enum ec_curve ec_curve_of(const struct ec_key *k)
{
    return k->curve;
}

void *ec_evp(const struct ec_key *k)
{
    return k->pkey;
}
