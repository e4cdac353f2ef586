/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/certificate.h - what identity needs of an X.509 certificate: its names, its times, its key
 *
 * RSA of 2048 to 4096 bits and EC P-256. The certificate is not checked against a CA: who registers
 * it for a principal vouches for it, as in Entra ID.
 */
#pragma once

#include "base/bytes.h"

struct certificate {
    uint8_t sha1[20], sha256[32]; /* of the DER: x5t, x5t#S256 (RFC 7515 4.1.7, 4.1.8) */
    int64_t not_before_us, not_after_us;
    bool is_rsa;
    struct buf first, second; /* big-endian: modulus and exponent, or x and y */
};

/* PEM (the first certificate in it; a private key beside it is passed over) or DER. On OK the
 * caller releases. ERR_INVALID: no certificate, or a key of another kind. */
enum err certificate_read(struct certificate *out, struct bytes text, struct diag *d);
void certificate_release(struct certificate *c);
