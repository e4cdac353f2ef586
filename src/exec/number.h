/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/number.h - equal keys get equal numbers: 0, 1 ... in the order in which they are first met
 *
 * Everything lies in the arena, so that it counts as the query's memory.
 */
#pragma once

#include "column/vec.h"

struct numbering {
    struct arena *a;
    uint64_t seed; /* the query's: keys come from outside */
    uint32_t n, cap;
    struct bytes *keys; /* by number */
    uint32_t n_slots;
    uint32_t *slots; /* number + 1 */
};

/* ERR_LIMIT: the arena is full, or there are too many keys. The key is borrowed for as long as the
 * numbering lives, unless `copy` puts it into the arena when it is new. */
enum err number_of(struct numbering *x, struct bytes key, bool copy, uint32_t *out);
/* The number of a key that is there; false: it is not. */
bool number_find(const struct numbering *x, struct bytes key, uint32_t *out);
/* numbers[i] is that of the group (key.h) of row i. */
enum err number_rows(struct numbering *x, const struct vec *parts, uint32_t n_parts,
                     uint32_t n_rows, uint32_t *numbers, struct diag *d);
