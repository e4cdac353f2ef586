/* SPDX-License-Identifier: Apache-2.0 */
/* resource/duration.c - reads and writes ISO 8601 durations */
#include "resource/duration.h"

#include "base/str.h"

#include <inttypes.h>
#include <stdio.h>

struct unit {
    char letter;
    bool is_time; /* behind the T */
    uint32_t seconds;
};

/* In the order in which they may stand. */
static const struct unit units[] = {{'W', false, 7 * 86400},
                                    {'D', false, 86400},
                                    {'H', true, 3600},
                                    {'M', true, 60},
                                    {'S', true, 1}};
#define N_UNITS (sizeof units / sizeof units[0])

/* Digits and their letter: the first unit, from *next on, that it may be. */
static bool read_part(const char **p, bool in_time, size_t *next, uint64_t *total)
{
    uint64_t n = 0;
    const char *s = *p;
    for (; *s >= '0' && *s <= '9'; s++) {
        n = n * 10 + (uint64_t)(*s - '0');
        if (n > UINT32_MAX) return false;
    }
    if (s == *p) return false;
    for (size_t i = *next; i < N_UNITS; i++) {
        if (units[i].letter != *s || units[i].is_time != in_time) continue;
        *total += n * units[i].seconds;
        *next = i + 1;
        *p = s + 1;
        return *total < UINT32_MAX;
    }
    return false;
}

bool duration_parse(const char *text, uint32_t *out)
{
    const char *p = text;
    bool in_time = false;
    size_t next = 0, parts = 0;
    uint64_t total = 0;
    if (*p++ != 'P') return false;
    while (*p != '\0') {
        if (*p == 'T') {
            if (in_time || p[1] == '\0') return false;
            in_time = true;
            p++;
        }
        if (!read_part(&p, in_time, &next, &total)) return false;
        parts++;
    }
    if (parts == 0) return false;
    *out = (uint32_t)total;
    return true;
}

void duration_format(uint32_t seconds, char out[DURATION_MAX])
{
    size_t n = (size_t)snprintf(out, DURATION_MAX, "P");
    bool in_time = false;
    for (size_t i = 1; i < N_UNITS; i++) { /* days, not weeks: as Azure writes them */
        uint32_t count = seconds / units[i].seconds;
        seconds %= units[i].seconds;
        if (count == 0) continue;
        const char *mark = units[i].is_time && !in_time ? "T" : "";
        in_time = in_time || units[i].is_time;
        n += (size_t)snprintf(out + n, DURATION_MAX - n, "%s%" PRIu32 "%c", mark, count,
                              units[i].letter);
    }
    if (n == 1) snprintf(out, DURATION_MAX, "PT0S");
}
