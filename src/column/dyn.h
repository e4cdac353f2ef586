/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column/dyn.h - dynamic values as self-contained bytes
 *
 * One tag byte, then by tag (integers little-endian):
 *
 *      'n'                         null
 *      't' 'f'                     bool
 *      'i' i64 | 'r' f64           long, real
 *      'D' i64 | 'T' i64           datetime, timespan (ticks)
 *      'g' 16 bytes | 'm' 16 bytes guid, decimal
 *      's' u32 len, UTF-8          string
 *      'a' u32 bytes, u32 count, values...            array
 *      'o' u32 bytes, u32 count, (u32 len, name, value)...   bag, in the order of the text
 *
 * `bytes` is the length of all that follows it, so a reader can step over a value it does not want.
 * The empty string of bytes is a null too. Depth is limited to DYN_DEPTH_MAX everywhere.
 */
#pragma once

#include "column/type.h"

#define DYN_DEPTH_MAX 128

/* Parses JSON text; text that is not JSON becomes a dynamic string, as parse_json() has it.
 * Appends. */
enum err dyn_from_json(struct bytes text, struct buf *out, struct diag *d);
enum err dyn_from_value(const struct value *v, struct buf *out, struct diag *d); /* any scalar */
/* Compact JSON, bags in their order; a string value with its quotes. Appends. */
void dyn_to_json(struct bytes dyn, struct buf *out);
/* tostring(): a string without its quotes, else as dyn_to_json(); null gives "". Appends. */
void dyn_to_string(struct bytes dyn, struct buf *out);

enum dyn_kind {
    DYN_NULL,
    DYN_BOOL,
    DYN_LONG,
    DYN_REAL,
    DYN_DATETIME,
    DYN_TIMESPAN,
    DYN_GUID,
    DYN_DECIMAL,
    DYN_STRING,
    DYN_ARRAY,
    DYN_BAG
};

enum dyn_kind dyn_kind(struct bytes dyn);
struct value
dyn_scalar(struct bytes dyn);         /* of a scalar kind; borrowed; array and bag: T_DYNAMIC */
uint32_t dyn_count(struct bytes dyn); /* of an array or bag, else 0 */
struct bytes dyn_index(struct bytes dyn, int64_t i); /* negative from the end; len 0 = no such */
struct bytes dyn_member(struct bytes dyn, struct bytes name); /* len 0 = no such */

struct dyn_iter {
    struct rd r;
    uint32_t left;
    bool is_bag;
};
bool dyn_iter_init(struct dyn_iter *it, struct bytes dyn); /* false: not an array or bag */
bool dyn_iter_next(struct dyn_iter *it, struct bytes *name, struct bytes *value);

/* Building: begin, members, end. The position returned by begin goes to end. */
size_t dyn_array_begin(struct buf *out);
void dyn_array_end(struct buf *out, size_t at, uint32_t count);
size_t dyn_bag_begin(struct buf *out);
void dyn_bag_name(struct buf *out, struct bytes name); /* then exactly one value */
void dyn_bag_end(struct buf *out, size_t at, uint32_t count);

bool dyn_valid(struct bytes dyn); /* whole, in bounds, not too deep: for bytes from a disk */
