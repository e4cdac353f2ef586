/* SPDX-License-Identifier: Apache-2.0 */
/* func/probe.c - which two bytes of a text to look for */
#include "func/probe.h"

#include <string.h>

/* How common a byte is in logs, roughly: the order is what counts. */
static unsigned commonness(uint8_t c)
{
    if (c == ' ') return 10;
    if (c != 0 && strchr("etaoinsr", c) != NULL) return 9;
    if (c >= '0' && c <= '9') return 8;
    if (c != 0 && strchr("dclpumhgf", c) != NULL) return 7;
    if (c != 0 && strchr("./-_:=\",", c) != NULL) return 6;
    if (c >= 'a' && c <= 'z') return c == 'q' || c == 'x' || c == 'z' || c == 'j' ? 2 : 5;
    return c >= 'A' && c <= 'Z' ? 3 : 1;
}

static bool is_letter(uint8_t c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

struct probe probe_of(struct bytes text, bool nocase)
{
    size_t best = 0, second = text.len - 1;
    for (size_t i = 1; i < text.len; i++) {
        if (commonness(text.p[i]) < commonness(text.p[best])) best = i;
    }
    if (second == best) second = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (i != best && commonness(text.p[i]) < commonness(text.p[second])) second = i;
    }
    uint8_t a = text.p[best], b = text.p[second];
    return (struct probe){
        .byte = {a, b},
        .fold = {nocase && is_letter(a) ? 0x20 : 0, nocase && is_letter(b) ? 0x20 : 0},
        .at = {best, second},
        .len = text.len};
}
