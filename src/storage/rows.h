/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/rows.h - rows of a batch as the log keeps them: with the names and types of its columns
 *
 *      0  table id[16]
 *     16  batch id[16], zeros: none; who sends it again sends the same (dedupe.h)
 *     32  i64  when it came, microseconds since 1970
 *     40  u32  records of this batch behind this one
 *     44  u64  the number of the record of a spool that these rows come from; 0: none
 *     52  u8   version, 1
 *     53  u32  rows
 *     57  u16  columns
 *     59  ...  per column: u8 type, u32 length, name, u32 length, encoded vector (column/codec.h)
 *
 * So a batch that was logged before a column was added is read under the wider schema: by name and
 * type.
 */
#pragma once

#include "base/str.h"
#include "column/vec.h"

struct rows_head { /* the first 52 bytes */
    struct guid table;
    uint8_t batch[16];
    int64_t time_us;
    uint32_t left;
    uint64_t spool;
};
#define ROWS_HEAD_LEN 52 /* bytes */
void rows_head_encode(const struct rows_head *h, struct buf *out);
void rows_head_set_left(uint8_t head[ROWS_HEAD_LEN], uint32_t left);
/* *rest is what rows_decode() takes. */
enum err rows_head_decode(struct bytes in, struct rows_head *out, struct bytes *rest,
                          struct diag *d);

/* What follows the head. */
enum err rows_encode(const struct schema *s, const struct batch *b, struct buf *out,
                     struct diag *d);

/* Gives the columns of `s` in its order; a column that the bytes do not have is null. Strings
 * borrow `in`. ERR_CORRUPT also for a column that s does not know: a schema only grows. */
enum err rows_decode(struct bytes in, const struct schema *s, struct arena *a, struct batch *out,
                     struct diag *d);

/* The same rows behind a column that says when they came: microseconds since 1970, one value for
 * all. */
enum err rows_received(const struct batch *rows, int64_t time_us, struct arena *a,
                       struct batch *out, struct diag *d);

/* A column of n rows without values: null, or "" for strings. */
enum err rows_absent(enum type t, uint32_t n, struct arena *a, struct vec *out, struct diag *d);
