/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/needle.h - looking for a text: in one text, or in many that lie one behind the other
 *
 * Without case as text.h compares; terms as text.h has them.
 */
#pragma once

#include "func/probe.h"
#include "func/text.h"

/* A string to look for, made ready once. */
struct needle {
    struct bytes text; /* folded when the search is without case; borrowed */
    bool nocase;
    bool fixed; /* its length in a text is its own: with case, or all ASCII */
    struct probe probe;
};
/* The text of a needle without case is folded into the arena; false when that is full. */
bool needle_init(struct needle *n, struct bytes text, bool nocase, struct arena *a);
struct needle needle_exact(struct bytes text); /* with case: needs no arena */

#define TEXT_NONE SIZE_MAX
/* Offset of the first occurrence at or after from; *len is its length in s. TEXT_NONE: none. */
size_t needle_find(const struct needle *n, struct bytes s, size_t from, size_t *len);
bool needle_starts(const struct needle *n, struct bytes s);
bool needle_ends(const struct needle *n, struct bytes s);

/* What must bound an occurrence: a term begins there, a term ends there. */
enum needle_bounds { BOUND_NONE = 0, BOUND_START = 1, BOUND_END = 2, BOUND_TERM = 3 };
/* Whether it stands in s with these bounds: as a whole term, as the beginning or end of one. */
bool needle_bounded(const struct needle *n, struct bytes s, enum needle_bounds b);

/*
 * The rows in which it stands with these bounds, one after the other: start with {n, b, rows,
 * n_rows} and next = 0. Rows that lie one behind the other in memory, as a decoded column has them,
 * are searched as one text; where packed says so beforehand (column/vec.h), only the rows with a
 * candidate are looked at.
 */
struct needle_rows {
    const struct needle *needle;
    enum needle_bounds bounds;
    const struct bytes *rows;
    uint32_t n_rows;
    bool packed;
    uint32_t next;    /* the first row that was not looked at */
    uint32_t run_end; /* rows up to here lie one behind the other */
    size_t row_len;   /* their average, and at least 1 */
};
bool needle_rows_next(struct needle_rows *r, uint32_t *row); /* false: no more */
