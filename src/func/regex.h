/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/regex.h - regular expressions in linear time (RE2), compiled once per process
 *
 * Syntax is that of RE2; \d \s \w know Unicode, and (?<name>...) is taken too. No lookaround and no
 * backreferences. Compiled expressions live in a cache of REGEX_CACHE_MAX, shared by all threads;
 * one in use is never dropped.
 */
#pragma once

#include "base/bytes.h"

#define REGEX_CACHE_MAX   512
#define REGEX_PATTERN_MAX ((size_t)64 << 10) /* bytes */
#define REGEX_GROUPS_MAX  16                 /* that a match reports, the whole match among them */

struct regex;

/* ERR_INVALID: what is wrong with the pattern. Give it back with regex_put(). */
enum err regex_get(struct bytes pattern, struct regex **out, struct diag *d);
void regex_put(struct regex *re); /* NULL is fine */

int regex_groups(const struct regex *re); /* without the whole match */
/* The number of a named group, -1: there is none of that name. */
int regex_group_named(const struct regex *re, struct bytes name);

bool regex_test(struct regex *re, struct bytes text);
/* out[i] says whether rows[i] matches. Quicker than one by one where the texts lie one behind the
 * other; packed: it is known that they do (column/vec.h). */
void regex_test_rows(struct regex *re, const struct bytes *rows, uint32_t n, bool packed,
                     uint8_t *out);
/* The first match at or after from. groups[0] is the whole match; a group that took no part has p
 * NULL. */
bool regex_find(struct regex *re, struct bytes text, size_t from, struct bytes *groups,
                int n_groups);
/* Where to look for the next match: behind this one, and past a character when it is empty. */
size_t regex_after(struct bytes text, struct bytes match);
/* Replaces every match; \0 to \9 in rewrite stand for groups. Appends. False: nothing matched,
 * nothing added. */
bool regex_replace(struct regex *re, struct bytes text, struct bytes rewrite, struct buf *out);

static inline void regex_put_cleanup(struct regex **re)
{
    regex_put(*re);
}
#define CLEANUP_REGEX __attribute__((cleanup(regex_put_cleanup)))

/* Where patterns come row by row: keeps the last one as long as it does not change. */
struct regex_last {
    struct regex *re;
    struct bytes pattern;
};
enum err regex_last_get(struct regex_last *l, struct bytes pattern, struct regex **out,
                        struct diag *d);
void regex_last_release(struct regex_last *l);
#define CLEANUP_REGEX_LAST __attribute__((cleanup(regex_last_release)))
