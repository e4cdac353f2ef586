/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/encode.h - results as the query API has them
 *
 *      bool            true, false
 *      int long        a number
 *      real            a number; "NaN", "Infinity", "-Infinity" as strings
 *      decimal         a string, so that no digit is lost
 *      string          a string, never null
 *      datetime        "2026-03-01T00:00:00.0000000Z"
 *      timespan        "1.02:03:04.5000000"
 *      guid            lower case, with dashes
 *      dynamic         a string that holds JSON; to Kusto's clients of v2 the JSON itself
 *      null            null
 */
#pragma once

#include "column/vec.h"

void encode_value(struct buf *out, const struct vec *v, uint32_t row);
/* [{"name":..,"type":..},..] */
void encode_columns(struct buf *out, const struct schema *s);
/* The rows of a batch, each an array, with a comma before each but the first of all. */
void encode_rows(struct buf *out, const struct batch *b, uint64_t rows_before, bool native_dynamic);
