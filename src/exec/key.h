/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/key.h - rows as bytes: sort keys that memcmp() orders, group keys that memcmp() tells apart
 *
 * A sort key is, for each part: a rank byte that puts null, NaN and values where KQL wants them
 * (NaN always sits beside null), then for a value its bits in an order-preserving form, inverted
 * when descending. Strings are ordered by byte: 00 is written 00 FF and the end is 00 00. Last come
 * eight bytes of the row's place of arrival: sorting is stable and no two keys are equal.
 *
 * A group key is, for each part: 0 for null or 1, then the value. Numbers are canonical (one zero,
 * one NaN, decimals without trailing zeros); a string or dynamic is its length and bytes. Null is a
 * group of its own, as in KQL.
 */
#pragma once

#include "column/vec.h"

struct key_order {
    bool descending, nulls_first;
};

/* keys[i] becomes row i's key, in arena a; the first row's place is `place`. ERR_LIMIT when a is
 * full. */
enum err sort_keys(struct arena *a, const struct vec *parts, const struct key_order *orders,
                   uint32_t n_parts, uint32_t n_rows, uint64_t place, struct bytes *keys,
                   struct diag *d);
enum err group_keys(struct arena *a, const struct vec *parts, uint32_t n_parts, uint32_t n_rows,
                    struct bytes *keys, struct diag *d);
/* The next part of a group key; strings are borrowed from it. */
void group_key_next(struct rd *r, enum type t, struct value *out);
