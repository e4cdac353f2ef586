/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/dice.h - numbers that a seed repeats, for tests of random data
 *
 * The seed is put into `dice`; what it is, and how many there are, comes from the environment, so that
 * a failure that was printed can be run again.
 */
#pragma once

#include <stdint.h>
#include <stdlib.h>

static uint64_t dice;

/* 0 to n - 1 */
static inline uint32_t rnd(uint32_t n)
{
    dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)((dice >> 33) % n);
}
#define PICK(list) (list)[rnd(sizeof(list) / sizeof *(list))]

/* The number in the environment, or otherwise. */
static inline uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}
