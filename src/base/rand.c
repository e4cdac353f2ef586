/* SPDX-License-Identifier: Apache-2.0 */
/* base/rand.c - kernel randomness, and the seam where a test fixes it */
#include "base/rand.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool fixed;
static uint64_t fixed_state;

/* SplitMix64 (Steele, Lea, Flood 2014): enough for tests, never for keys. */
static uint64_t next_fixed(void)
{
    uint64_t z = (fixed_state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void fixed_bytes(uint8_t *p, size_t n)
{
    pthread_mutex_lock(&lock);
    while (n != 0) {
        uint64_t v = next_fixed();
        size_t k = n < sizeof v ? n : sizeof v;
        memcpy(p, &v, k);
        p += k;
        n -= k;
    }
    pthread_mutex_unlock(&lock);
}

void rand_fix_seed(uint64_t seed)
{
    fixed = true;
    fixed_state = seed;
}

void rand_bytes(void *p, size_t n)
{
    uint8_t *to = p;
    if (fixed) {
        fixed_bytes(to, n);
        return;
    }
    while (n != 0) {
        ssize_t k = getrandom(to, n, 0);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) {
            perror("keystead: getrandom");
            abort();
        }
        to += k;
        n -= (size_t)k;
    }
}

uint64_t rand_u64(void)
{
    uint64_t v;
    rand_bytes(&v, sizeof v);
    return v;
}

uint64_t rand_below(uint64_t n)
{
    /* Values under this limit would make small results likelier. */
    uint64_t limit = -n % n, v;
    do {
        v = rand_u64();
    } while (v < limit);
    return v % n;
}
