/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/decimal.h - decimal arithmetic, 34 digits
 *
 * (1) Every decimal that is made here is finite and canonical: no trailing zeros in the
 * coefficient, zero is +0 with exponent 0. So two decimals are equal if and only if their 16 bytes
 * are.
 *
 * A result that is not finite is refused: the caller makes null of it.
 */
#pragma once

#include "column/type.h"

int decimal_cmp(struct u128 a, struct u128 b); /* -1, 0, 1 */
bool decimal_add(struct u128 a, struct u128 b, struct u128 *out);
bool decimal_sub(struct u128 a, struct u128 b, struct u128 *out);
bool decimal_mul(struct u128 a, struct u128 b, struct u128 *out);
bool decimal_div(struct u128 a, struct u128 b, struct u128 *out);
bool decimal_mod(struct u128 a, struct u128 b, struct u128 *out); /* never negative */
struct u128 decimal_neg(struct u128 a);
struct u128 decimal_floor(struct u128 a);
struct u128 decimal_ceil(struct u128 a);
struct u128 decimal_round(struct u128 a,
                          int digits); /* half away from zero, digits after the point */
struct u128 decimal_from_i64(int64_t v);
bool decimal_from_real(double v, struct u128 *out); /* by its shortest text: 0.1 is 0.1 */
double decimal_to_real(struct u128 a);
bool decimal_to_i64(struct u128 a, int64_t *out); /* truncates; false: out of range */
