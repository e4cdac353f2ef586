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
static struct rand_quick fixed_stream;

/* SplitMix64 (Steele, Lea, Flood 2014): enough for tests and rand(), never for keys. */
uint64_t rand_quick_u64(struct rand_quick *q)
{
    uint64_t z = (q->state += 0x9e3779b97f4a7c15U);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static void fixed_bytes(uint8_t *p, size_t n)
{
    pthread_mutex_lock(&lock);
    while (n != 0) {
        uint64_t v = rand_quick_u64(&fixed_stream);
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
    fixed_stream.state = seed;
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

/* Values under this limit would make small results of v % n likelier. */
static uint64_t unfair_below(uint64_t n)
{
    return -n % n;
}

uint64_t rand_below(uint64_t n)
{
    uint64_t limit = unfair_below(n), v;
    do {
        v = rand_u64();
    } while (v < limit);
    return v % n;
}

struct rand_quick rand_quick_begin(void)
{
    return (struct rand_quick){rand_u64()};
}

uint64_t rand_quick_below(struct rand_quick *q, uint64_t n)
{
    uint64_t limit = unfair_below(n), v;
    do {
        v = rand_quick_u64(q);
    } while (v < limit);
    return v % n;
}
