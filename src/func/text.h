/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/text.h - Unicode text as KQL sees it: characters, case, terms
 *
 * Comparison without case folds each character by its simple lower case; a character never changes
 * into an ASCII one or out of ASCII, so text that is all ASCII can be compared byte by byte. A term
 * is a maximal run of letters and decimal digits: '_' and '-' separate.
 */
#pragma once

#include "base/bytes.h"

struct arena;

/* One character from the front; a byte that is no UTF-8 counts as one character U+FFFD. */
uint32_t utf8_next(struct bytes *s);
uint32_t utf8_last(struct bytes s); /* the last character; s is not empty */
void utf8_put(struct buf *out, uint32_t c);
size_t utf8_count(struct bytes s);
/* The byte offset of character n, s.len when there are not so many. */
size_t utf8_offset(struct bytes s, size_t n);
bool text_ascii(struct bytes s);

uint32_t char_lower(uint32_t c);
uint32_t char_upper(uint32_t c);
bool char_alnum(uint32_t c); /* letter or decimal digit */
static inline uint8_t ascii_lower(uint8_t c)
{
    return (uint8_t)(c + (((unsigned)c - 'A' < 26) << 5));
}

void text_lower(struct bytes s, struct buf *out);
void text_upper(struct bytes s, struct buf *out);
void text_fold(struct bytes s, struct buf *out); /* as comparison without case does */

bool text_eq_nocase(struct bytes a, struct bytes b);
