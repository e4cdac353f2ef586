/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/sign.h - signatures over digests that somebody else has made
 *
 * The digest's length must be its hash's. Verifying is OK with *good false for a signature that
 * does not match, whatever is wrong with it.
 */
#pragma once

#include "crypto/ec.h"
#include "crypto/keywrap.h"

enum sign_hash { SIGN_SHA256, SIGN_SHA384, SIGN_SHA512, SIGN_HASHES };

size_t sign_digest_len(enum sign_hash h);

enum rsa_signature {
    RSA_SIGN_PKCS1, /* RSASSA-PKCS1-v1_5 */
    RSA_SIGN_PSS,   /* RSASSA-PSS, MGF1 with the same hash, salt as long as the digest */
    RSA_SIGN_RAW, /* PKCS#1 padding around the value itself, up to 11 bytes less than the modulus */
};
enum err rsa_sign(const struct rsa_key *k, enum rsa_signature s, enum sign_hash h,
                  struct bytes digest, struct buf *out, struct diag *d);
enum err rsa_verify(const struct rsa_key *k, enum rsa_signature s, enum sign_hash h,
                    struct bytes digest, struct bytes signature, bool *good, struct diag *d);

/* r and s one after the other, each as long as the curve's field (RFC 7518 3.4). */
enum err ec_sign(const struct ec_key *k, struct bytes digest, struct buf *out, struct diag *d);
enum err ec_verify(const struct ec_key *k, struct bytes digest, struct bytes signature, bool *good,
                   struct diag *d);

enum err hmac_sign(enum sign_hash h, struct bytes key, struct bytes value, struct buf *out,
                   struct diag *d);
