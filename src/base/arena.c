/* SPDX-License-Identifier: Apache-2.0 */
/* base/arena.c - chunks of doubling size, wiped together */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_MIN ((size_t)4 << 10)
#define CHUNK_MAX ((size_t)1 << 20)
#define HUGE_PAGE ((uintptr_t)2 << 20)

#if defined(__SANITIZE_ADDRESS__)
#define ONE_OBJECT_PER_CHUNK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ONE_OBJECT_PER_CHUNK 1
#endif
#endif
#ifndef ONE_OBJECT_PER_CHUNK
#define ONE_OBJECT_PER_CHUNK 0
#endif

struct arena_chunk {
    struct arena_chunk *next;
    size_t used, size; /* what is not used is zero: new, or wiped */
    _Alignas(max_align_t) uint8_t data[];
};

static void drop_chunk(struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    a->chunks = c->next;
    a->held -= sizeof *c + c->size;
    explicit_bzero(c->data, c->used);
    free(c);
}

void arena_init(struct arena *a, size_t limit)
{
    *a = (struct arena){.limit = limit != 0 ? limit : ARENA_LIMIT_DEFAULT};
}

void arena_release(struct arena *a)
{
    while (a->chunks != NULL)
        drop_chunk(a);
    a->used = 0;
}

void arena_clear(struct arena *a)
{
    struct arena_chunk *keep = a->chunks;
    if (ONE_OBJECT_PER_CHUNK || (keep != NULL && keep->size > CHUNK_MAX)) keep = NULL;
    if (keep != NULL) a->chunks = keep->next;
    while (a->chunks != NULL)
        drop_chunk(a);
    if (keep != NULL) {
        explicit_bzero(keep->data, keep->used);
        keep->used = 0;
        keep->next = NULL;
        a->chunks = keep;
    }
    a->used = 0;
}

struct arena_mark arena_mark(const struct arena *a)
{
    struct arena_chunk *c = a->chunks;
    return (struct arena_mark){c, c != NULL ? c->used : 0, a->used};
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
    while (a->chunks != m.chunk)
        drop_chunk(a);
    if (m.chunk != NULL) {
        explicit_bzero(m.chunk->data + m.chunk_used, m.chunk->used - m.chunk_used);
        m.chunk->used = m.chunk_used;
    }
    a->used = m.used;
}

/* Large columns are read from end to end: with small pages the processor would stop at each to ask
 * where the next one is. */
static void ask_for_huge_pages(void *p, size_t n)
{
    uintptr_t from = ((uintptr_t)p + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
    uintptr_t to = ((uintptr_t)p + n) & ~(HUGE_PAGE - 1);
    if (from < to) (void)madvise((void *)from, to - from, MADV_HUGEPAGE);
}

static struct arena_chunk *chunk_for(struct arena *a, size_t size)
{
    struct arena_chunk *c = a->chunks;
    if (!ONE_OBJECT_PER_CHUNK && c != NULL && size <= c->size - c->used) return c;

    size_t want = size;
    if (!ONE_OBJECT_PER_CHUNK) {
        /* A chunk is held as a whole: near the limit it must not be larger than what may come. */
        size_t next = c != NULL ? c->size * 2 : CHUNK_MIN, some = (a->limit - a->used) / 8;
        if (next > CHUNK_MAX) next = CHUNK_MAX;
        if (next > some) next = some > CHUNK_MIN ? some : CHUNK_MIN;
        if (want < next) want = next;
    }
    c = calloc(1, sizeof *c + want);
    if (c == NULL) return NULL;
    if (want >= HUGE_PAGE) ask_for_huge_pages(c, sizeof *c + want);
    *c = (struct arena_chunk){.next = a->chunks, .size = want};
    a->chunks = c;
    a->held += sizeof *c + want;
    return c;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size == 0) size = 1;
    if (size > a->limit || a->used > a->limit - size) return NULL;
    /* Under ASan the true size, so that the red zone starts where the object ends. */
    size_t step = ONE_OBJECT_PER_CHUNK ? size : (size + align - 1) & ~(align - 1);
    struct arena_chunk *c = chunk_for(a, step);
    if (c == NULL) return NULL;

    void *p = c->data + c->used;
    c->used += step;
    a->used += step;
    return p;
}

void *arena_calloc(struct arena *a, size_t n, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(n, size, &total)) return NULL;
    return arena_alloc(a, total);
}

char *arena_str(struct arena *a, struct bytes s)
{
    if (s.len == SIZE_MAX) return NULL;
    char *p = arena_alloc(a, s.len + 1);
    if (p != NULL && s.len != 0) memcpy(p, s.p, s.len);
    return p;
}

struct bytes arena_bytes(struct arena *a, struct bytes s)
{
    return (struct bytes){(uint8_t *)arena_str(a, s), s.len};
}

char *arena_fmt(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *p = n >= 0 ? arena_alloc(a, (size_t)n + 1) : NULL;
    if (p == NULL) return NULL;
    va_start(ap, fmt);
    vsnprintf(p, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return p;
}
