/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/rand.h - the only door to randomness
 *
 * Bytes come from the kernel (getrandom). A kernel that cannot give them ends the process: there is
 * no safe way to go on. A test may fix the seed; nothing else may call rand_fix_seed().
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

void rand_bytes(void *p, size_t n);
uint64_t rand_u64(void);
uint64_t rand_below(uint64_t n); /* uniform in [0, n), n > 0 */

/* Chance for a query's rows, never for keys: a stream out of one number of rand_u64(). */
struct rand_quick {
    uint64_t state;
};
struct rand_quick rand_quick_begin(void);
uint64_t rand_quick_u64(struct rand_quick *q);
uint64_t rand_quick_below(struct rand_quick *q, uint64_t n); /* as rand_below() */

void rand_fix_seed(uint64_t seed); /* tests only: a repeatable, insecure stream from here on */
