/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/lthash.h - one hash over a set, which a change of one element costs one element
 *
 * LtHash (Bellare and Micciancio, "A New Paradigm for Collision-Free Hashing", 1997, with the
 * parameters of Lewi et al., "Securing Update Propagation with Homomorphic Hashing", 2019): an
 * element is stretched to 1,024 numbers of 16 bits, and the set is their sum. Order does not matter,
 * and what was added can be taken away.
 *
 * Beside the sum, 128 cells say whose element it is that differs: an element belongs to a subject,
 * a subject has a cell and an odd weight w, and the cell is the sum of the elements' numbers g and
 * of g * w. Where the elements of one subject of a cell differ, the two differences name it.
 *
 * (1) The sum decides whether two sets are the same, the cells only name.
 */
#pragma once

#include "base/bytes.h"

#define LTHASH_SUMS  1024
#define LTHASH_CELLS 128

struct lthash_cell {
    uint64_t sum, weighted;
};

struct lthash { /* all zeros: of the empty set */
    uint64_t n; /* elements */
    uint16_t sum[LTHASH_SUMS];
    struct lthash_cell cells[LTHASH_CELLS];
};

struct lthash_subject {
    uint64_t weight; /* odd */
    uint8_t cell;
};
/* From 16 bytes that a hash of its name has made. */
struct lthash_subject lthash_subject_of(const uint8_t hash[16]);

struct lthash_element {
    struct lthash_subject subject;
    uint64_t number; /* g: another one where the element is another */
};

/* times: 1 adds, -1 takes away. The element is X(key, info, 2048) of keys.md. */
void lthash_change(struct lthash *h, const struct lthash_element *e, struct bytes key,
                   struct bytes info, int times);
bool lthash_same(const struct lthash *a, const struct lthash *b); /* (1) */
/* What cell i of `want` has more than that of `is`; all zeros: nothing. */
struct lthash_cell lthash_missing(const struct lthash *want, const struct lthash *is, size_t i);
/* May it be elements of this subject, and of no other of its cell, that make the difference? */
bool lthash_explains(const struct lthash_subject *s, const struct lthash_cell *missing);

/* u64 n, sums, cells: big-endian, LTHASH_LEN bytes. */
#define LTHASH_LEN (8 + 2 * LTHASH_SUMS + 16 * LTHASH_CELLS)
void lthash_put(const struct lthash *h, struct buf *out);
void lthash_get(struct rd *r, struct lthash *out);
