/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/wipe_malloc.c - free() that wipes, for the whole process
 *
 * Linked into the program only (not into tests under sanitizers). Log rows, tokens and key bytes
 * pass through libraries that copy them to the heap and free the copies: TLS, HTTP, JSON, SQLite.
 * Wiping here covers all of them at once, instead of trusting each. realloc() never leaves its old
 * block unwiped.
 *
 * Large blocks are mappings of their own in glibc and go back to the kernel, which zeroes them;
 * they are wiped all the same, since the threshold moves.
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>
#include <stdlib.h>

/* glibc's own, exported for exactly this purpose. */
extern void __libc_free(void *p);
extern void *__libc_malloc(size_t n);

void free(void *p)
{
    if (p == NULL) return;
    int saved = errno; /* free() keeps errno since POSIX.1-2024 */
    explicit_bzero(p, malloc_usable_size(p));
    __libc_free(p);
    errno = saved;
}

void *realloc(void *p, size_t n)
{
    if (p == NULL || n == 0) {
        if (p != NULL) free(p);
        return n != 0 || p == NULL ? __libc_malloc(n) : NULL;
    }
    size_t have = malloc_usable_size(p);
    if (n <= have && n >= have / 2)
        return p; /* fits; giving back less than half is not worth a copy */
    void *q = __libc_malloc(n);
    if (q == NULL) return NULL;
    memcpy(q, p, n < have ? n : have);
    free(p);
    return q;
}
