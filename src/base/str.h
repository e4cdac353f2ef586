/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/str.h - text: comparison without case (ASCII, as ARM paths want it), hex, base64, GUIDs,
 * UTF-8
 */
#pragma once

#include "base/arena.h"

bool str_eq(const char *a, const char *b);        /* NULL equals only NULL */
bool str_eq_nocase(const char *a, const char *b); /* ASCII only */
bool str_starts(const char *s, const char *prefix);
bool str_starts_nocase(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
bool str_ends_nocase(const char *s, const char *suffix);
void str_lower(char *s);      /* ASCII, in place */
char *str_dup(const char *s); /* NULL for NULL and when memory is out; free() */
char *str_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2))); /* free() */

/* A whole decimal number without anything around it. */
enum err str_u64(const char *s, uint64_t max, uint64_t *out, struct diag *d);

/* Lower-case hex; out has 2 * len + 1 bytes. */
void hex_encode(struct bytes in, char *out);
/* Exactly len bytes from exactly 2 * len digits of either case. */
enum err hex_decode(struct bytes text, uint8_t *out, size_t len, struct diag *d);

void base64_encode(struct buf *out, struct bytes in);    /* standard, padded */
void base64url_encode(struct buf *out, struct bytes in); /* RFC 4648 section 5, no padding */
/* Either alphabet, padding optional; anything else is ERR_INVALID. Appends to out. */
enum err base64_decode(struct buf *out, struct bytes text, struct diag *d);

void percent_encode(struct buf *out, struct bytes in); /* all but unreserved, RFC 3986 2.3 */
/* Decodes %XX, and '+' as a space when plus is set. Bad escapes are ERR_INVALID. */
enum err percent_decode(struct buf *out, struct bytes in, bool plus, struct diag *d);

bool utf8_valid(struct bytes s); /* no surrogates, no overlong forms, RFC 3629 */
/* '?' for each byte that belongs to no character: of a text from outside that was cut. */
void utf8_mend(char *s);

#define GUID_TEXT_MAX 37 /* bytes, with the terminating zero */

struct guid {
    uint8_t b[16]; /* in the order of the text */
};

void guid_random(struct guid *g);                                     /* version 4 */
void guid_format(const struct guid *g, char out[GUID_TEXT_MAX]);      /* lower case, with dashes */
enum err guid_parse(const char *s, struct guid *out, struct diag *d); /* dashes required */
static inline bool guid_eq(const struct guid *a, const struct guid *b)
{
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}
