/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/live_bytes.h - what the process has from the heap: an allocator that counts
 *
 * It stands before glibc's for the one executable that includes it, so that whatever allocates is
 * counted, arenas or not. A sanitizer has an allocator of its own: there nothing is counted.
 */
#pragma once

#include <malloc.h>
#include <stdlib.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIVE_COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIVE_COUNTED 0
#endif
#endif
#ifndef LIVE_COUNTED
#define LIVE_COUNTED 1
#endif

static _Atomic size_t live_now, live_peak;

/* From here on: the most that was there at once, beyond what is there now. */
static size_t live_since;
static void live_begin(void)
{
    live_since = atomic_load(&live_now);
    atomic_store(&live_peak, live_since);
}
static size_t live_most(void)
{
    return atomic_load(&live_peak) - live_since;
}

#if LIVE_COUNTED
extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t align, size_t n);
extern void __libc_free(void *p);

static void *live_add(void *p)
{
    if (p == NULL) return NULL;
    size_t n = malloc_usable_size(p), now = atomic_fetch_add(&live_now, n) + n;
    size_t peak = atomic_load(&live_peak);
    while (now > peak && !atomic_compare_exchange_weak(&live_peak, &peak, now))
        continue;
    return p;
}

static void live_sub(void *p)
{
    if (p != NULL) atomic_fetch_sub(&live_now, malloc_usable_size(p));
}

void *malloc(size_t n)
{
    return live_add(__libc_malloc(n));
}
void *calloc(size_t n, size_t size)
{
    return live_add(__libc_calloc(n, size));
}
void *realloc(void *p, size_t n)
{
    size_t had = p != NULL ? malloc_usable_size(p) : 0;
    void *q = __libc_realloc(p, n);
    if (q != NULL || n == 0) atomic_fetch_sub(&live_now, had);
    return live_add(q);
}
void *aligned_alloc(size_t align, size_t n)
{
    return live_add(__libc_memalign(align, n));
}
int posix_memalign(void **out, size_t align, size_t n)
{
    void *p = live_add(__libc_memalign(align, n));
    if (p != NULL) *out = p;
    return p != NULL ? 0 : 12; /* ENOMEM */
}
void free(void *p)
{
    live_sub(p);
    __libc_free(p);
}
#endif
