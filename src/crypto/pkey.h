/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/pkey.h - what rsa.c, ec.c and sign.c share of OpenSSL's keys; inside crypto/ only */
#pragma once

#include "crypto/secret.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

DEFINE_CLEANUP(EVP_PKEY_CTX_free, EVP_PKEY_CTX)
DEFINE_CLEANUP(EVP_PKEY_free, EVP_PKEY)
DEFINE_CLEANUP(BN_free, BIGNUM)
DEFINE_CLEANUP(BN_clear_free, BIGNUM)
DEFINE_CLEANUP(OSSL_PARAM_BLD_free, OSSL_PARAM_BLD)
DEFINE_CLEANUP(OSSL_PARAM_free, OSSL_PARAM)

/* A failure's details stay in a queue of the thread, where TLS would take them for its own. */
#define FAIL_SSL(d, code, ...) (ERR_clear_error(), FAIL((d), (code), __VA_ARGS__))

/* PKCS#8, written straight onto the locked page. */
enum err pkey_to_der(const EVP_PKEY *k, struct secret **pkcs8, struct diag *d);
enum err pkey_from_params(const char *type, int selection, OSSL_PARAM_BLD *bld, EVP_PKEY **out,
                          struct diag *d);
/* The public half belongs to the private one. ERR_INVALID if not. */
enum err pkey_check_pair(EVP_PKEY *k, struct diag *d);
