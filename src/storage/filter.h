/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/filter.h - which words a column of a row group may contain: a Bloom filter in blocks of
 * 32 bytes
 *
 * A word is a longest run of ASCII letters and digits, without case. All else separates, also
 * letters beyond ASCII: so whatever a search takes for a boundary of a word is one here too, and a
 * filter never hides a row.
 */
#pragma once

#include "base/bytes.h"

#define FILTER_WORD_MAX 64 /* bytes that count; longer words count by their beginning */

struct filter_words { /* hashes of the distinct words */
    uint64_t *slots;  /* 0 = free */
    uint32_t n, cap;
    bool bad;                      /* memory is out, or there are too many */
    uint8_t word[FILTER_WORD_MAX]; /* the one being read: here, so that it is wiped with the rest */
};

#define FILTER_WORDS_MAX 1000000u

void filter_words_add(struct filter_words *w, struct bytes text);
void filter_words_release(struct filter_words *w);
/* About ten bits per word. Appends nothing when the words are bad or none. */
void filter_build(const struct filter_words *w, struct buf *out);

/* False: no row holds all words of the text. True when the text has no word, or bytes are no
 * filter. */
bool filter_may_contain(struct bytes filter, struct bytes text);
