/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/ec.h - elliptic curve keys: making, importing, storing; signatures are sign.h's
 *
 * Coordinates and private numbers are big-endian and as long as the curve's field, leading zeros
 * included, as JWK wants them (RFC 7518 6.2).
 */
#pragma once

#include "crypto/secret.h"

enum ec_curve { EC_P256, EC_P384, EC_P521, EC_P256K, EC_CURVES };

struct ec_key;

size_t ec_field_len(enum ec_curve c); /* bytes of a coordinate */
enum err ec_generate(struct ec_key **out, enum ec_curve c, struct diag *d);
/* ERR_INVALID: a wrong length, a point that is not on the curve, a private number of another point
 */
enum err ec_import(struct ec_key **out, enum ec_curve c, struct bytes x, struct bytes y,
                   struct bytes private_number, struct diag *d);
/* A public key only: for verifying. ERR_INVALID: a wrong length, or no point of the curve. */
enum err ec_public(struct ec_key **out, enum ec_curve c, struct bytes x, struct bytes y,
                   struct diag *d);
enum err ec_from_der(struct ec_key **out, enum ec_curve c, struct bytes pkcs8, struct diag *d);
enum err ec_to_der(const struct ec_key *k, struct secret **pkcs8, struct diag *d);
void ec_free(struct ec_key *k);
enum err ec_public_parts(const struct ec_key *k, struct buf *x, struct buf *y, struct diag *d);
enum ec_curve ec_curve_of(const struct ec_key *k);
void *ec_evp(const struct ec_key *k); /* EVP_PKEY *, borrowed: for sign.c only */

DEFINE_CLEANUP(ec_free, struct ec_key)
