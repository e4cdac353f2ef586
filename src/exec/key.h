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

/* keys[i] becomes the key of rows[i], which came at places[i]; in arena a. ERR_LIMIT when a is
 * full. */
enum err sort_keys(struct arena *a, const struct vec *parts, const struct key_order *orders,
                   uint32_t n_parts, const uint32_t *rows, uint32_t n_rows, const uint64_t *places,
                   struct bytes *keys, struct diag *d);
uint64_t sort_key_place(struct bytes key);
/* The rows whose key may come before `worst` (all while that has p NULL), judged by the first part
 * only. */
uint32_t sort_candidates(const struct vec *first, struct key_order o, struct bytes worst,
                         uint32_t *rows);

enum err group_keys(struct arena *a, const struct vec *parts, uint32_t n_parts, uint32_t n_rows,
                    struct bytes *keys, struct diag *d);
/* The key of one part of 64 bits (not bool). False: null. */
#define GROUP_WORD_LEN 9
bool group_key_word(const struct vec *part, uint32_t row, uint8_t out[GROUP_WORD_LEN]);
/* The next part of a group key; strings are borrowed from it. */
void group_key_next(struct rd *r, enum type t, struct value *out);
