/* SPDX-License-Identifier: Apache-2.0 */
/* exec/key_decimal.h - decimals as keys */
#pragma once

#include "column/type.h"

#define DECIMAL_KEY_LEN 19 /* bytes */

/* Equal numbers become equal bytes: without trailing zeros, one zero. */
struct u128 decimal_canonical(struct u128 v);
/* Sign, power of ten of the first digit, 34 digits: big-endian, so that bytes compare as numbers
 * do. */
void decimal_order(struct u128 v, uint8_t out[DECIMAL_KEY_LEN]);
