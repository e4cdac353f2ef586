/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/groups_memo.h - ways to a row's group, or past it, that need no key
 *
 * Both look at columns as they lie in a unit: 64-bit values, and codes of dictionaries that last as long
 * as the unit (rule 6 of README.md).
 */
#pragma once

#include "exec/groups.h"

/* The groups of rows whose tuple of values was met before; the others' numbers in missing[n_missing],
 * ascending. False: the key has no such form, or tuples rarely come again. */
bool tuples_find(const struct groups_plan *p, struct groups *t, struct worker *w,
                 const struct vec *parts, uint32_t n, struct group **out, uint32_t *missing,
                 uint32_t *n_missing);
/* Remembers what the missing rows have turned out to be. */
void tuples_learn(const struct groups_plan *p, struct groups *t, const struct vec *parts,
                  const uint32_t *missing, uint32_t n_missing, struct group *const *groups);

/* Aggregate `agg` has one state: *values becomes those rows of the dictionary column that it has not
 * seen in this unit. Unchanged where that is not known. */
enum err codes_unseen(struct groups *t, struct worker *w, uint32_t agg, uint32_t n_aggs,
                      struct vec *values);
