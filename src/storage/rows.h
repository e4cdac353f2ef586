/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/rows.h - a batch of rows as the log keeps it: with the names and types of its columns
 *
 *      0  u8   version, 1
 *      1  u32  rows
 *      5  u16  columns
 *      7  ...  per column: u8 type, u32 length, name, u32 length, encoded vector (column/codec.h)
 *
 * So a batch that was logged before a column was added is read under the wider schema: by name and
 * type.
 */
#pragma once

#include "column/vec.h"

enum err rows_encode(const struct schema *s, const struct batch *b, struct buf *out,
                     struct diag *d);

/* Gives the columns of `s` in its order; a column that the bytes do not have is null. Strings
 * borrow `in`. ERR_CORRUPT also for a column that s does not know: a schema only grows. */
enum err rows_decode(struct bytes in, const struct schema *s, struct arena *a, struct batch *out,
                     struct diag *d);

/* A column of n rows without values: null, or "" for strings. */
enum err rows_absent(enum type t, uint32_t n, struct arena *a, struct vec *out, struct diag *d);
