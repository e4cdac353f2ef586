/* SPDX-License-Identifier: Apache-2.0 */
/* crypto/oaep.c - OAEP's padding by itself, for keys whose raw operation is done elsewhere */
#define OPENSSL_SUPPRESS_DEPRECATED /* OpenSSL 3 has no other door to its constant-time check */
#include "crypto/keywrap.h"

#include "crypto/pkey.h"

#include <openssl/rsa.h>

#define MODULUS_MAX 1024 /* bytes */

enum err rsa_unpad_oaep(enum rsa_padding p, struct bytes em, struct secret **out, struct diag *d)
{
    const EVP_MD *md = p == RSA_OAEP_SHA256 ? EVP_sha256() : EVP_sha1();
    if (p == RSA_PKCS1_V15 || em.len > MODULUS_MAX || em.len < 2 * (size_t)EVP_MD_get_size(md) + 2)
        return FAIL(d, ERR_INVALID, "the wrapped key cannot be opened");
    CLEANUP(secret_free) struct secret *room = NULL;
    TRY(secret_new(&room, em.len, d));
    int n = RSA_padding_check_PKCS1_OAEP_mgf1(secret_fill(room), (int)em.len, em.p, (int)em.len,
                                              (int)em.len, NULL, 0, md, md);
    if (n < 0) return FAIL_SSL(d, ERR_INVALID, "the wrapped key cannot be opened");
    return secret_of(out, bytes_of(secret_peek(room), (size_t)n), d);
}
