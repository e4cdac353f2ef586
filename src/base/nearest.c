/* SPDX-License-Identifier: Apache-2.0 */
/* base/nearest.c - the name nearest to a misspelt one */
#include "base/nearest.h"

#include <stdbool.h>
#include <string.h>

#define LEN_MAX 63 /* longer names are near to none */

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool same(char a, char b)
{
    return lower(a) == lower(b);
}

/* Insertions, deletions, replacements and swaps of neighbours that turn a into b, case ignored. */
static unsigned edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    unsigned rows[3][LEN_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= m; j++)
        above[j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= m; j++) {
            unsigned d = above[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
            if (above[j] + 1 < d) d = above[j] + 1;
            if (row[j - 1] + 1 < d) d = row[j - 1] + 1;
            bool swapped = i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]);
            if (swapped && before[j - 2] + 1 < d) d = before[j - 2] + 1;
            row[j] = d;
        }
        unsigned *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[m];
}

struct nearest nearest_to(const char *wanted)
{
    /* A third of the letters may be wrong, rounded up, but three at most; a letter is no word. */
    size_t len = strlen(wanted);
    unsigned slips = len > 1 ? (unsigned)(len + 2) / 3 : 0;
    return (struct nearest){.wanted = wanted, .distance = (slips < 3 ? slips : 3) + 1};
}

void nearest_try(struct nearest *n, const char *candidate)
{
    size_t a = strlen(n->wanted), b = strlen(candidate);
    if (a > LEN_MAX || b > LEN_MAX || b == 0) return;
    if (strcmp(n->wanted, candidate) == 0) return; /* it is there, and may not be had here */
    unsigned d = edit_distance(n->wanted, a, candidate, b);
    if (d >= n->distance) return;
    n->distance = d;
    n->name = candidate;
}
