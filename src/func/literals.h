/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/literals.h - texts that stand in everything a regular expression matches
 *
 * Looking for plain text is some ten times faster than an automaton, and most rows do not match. So
 * the runs of plain characters that stand outside of groups, classes and repetitions are looked for
 * first: all of them stand in a match, in their order, none over another.
 */
#pragma once

#include "func/needle.h"

#define LITERALS_MAX 8

struct literals {
    uint32_t n; /* 0: nothing is known */
    struct needle parts[LITERALS_MAX];
    uint8_t *text; /* owned; parts borrow from it */
};

/* Reads the pattern; without memory, or where it is not sure of what it reads, n is 0. */
void literals_of(struct bytes pattern, struct literals *out);
void literals_release(struct literals *l);

/* Do all of them stand in the text at or after from, in their order? */
bool literals_stand_in(const struct literals *l, struct bytes text, size_t from);
/* The one that fewest of these rows have; of equals the longest. l->n is not 0. */
uint32_t literals_rarest(const struct literals *l, const struct bytes *rows, uint32_t n);
