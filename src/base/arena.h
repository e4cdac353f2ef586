/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/arena.h - memory that dies together: one per query or request, born with a ceiling
 *
 * Objects are zeroed. Everything is wiped when the arena is freed. Under ASan each object is a
 * malloc of its own, so that an overrun is found where it happens. Not for several threads at once.
 */
#pragma once

#include "base/bytes.h"

struct arena {
    struct arena_chunk *chunks;
    size_t used, limit; /* bytes */
    size_t held;        /* bytes of the chunks: what the arena costs */
};

/* limit 0 means ARENA_LIMIT_DEFAULT. */
void arena_init(struct arena *a, size_t limit);
void arena_release(struct arena *a);

#define ARENA_LIMIT_DEFAULT ((size_t)256 << 20) /* bytes */

/* Zeroed, aligned for any type; NULL over the limit. */
void *arena_alloc(struct arena *a, size_t size);
void *arena_calloc(struct arena *a, size_t n, size_t size); /* checks the product */

#define arena_new(a, type)      ((type *)arena_alloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_calloc((a), (n), sizeof(type)))

char *arena_str(struct arena *a, struct bytes s); /* a zero-terminated copy */
char *arena_fmt(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct bytes arena_bytes(struct arena *a, struct bytes s); /* a copy; p NULL over the limit */

/* Wipes all that was allocated, and keeps one chunk for what comes next: an arena that is filled
 * and emptied vector by vector costs no malloc. (Under ASan it keeps none.) */
void arena_clear(struct arena *a);

/* Wipes and frees what was allocated since the mark was taken; marks nest. */
struct arena_mark {
    struct arena_chunk *chunk;
    size_t chunk_used, used;
};
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

/* ERR_LIMIT with the sentence; inline, so that analyzers see that it is not OK. */
static inline enum err arena_full(const struct arena *a, struct diag *d)
{
    return FAIL(d, ERR_LIMIT, "needs more than %zu bytes of memory", a->limit);
}

/* For a buffer beside the arena, whose bytes go into it in the end: it and its copy fit together. */
static inline size_t arena_room(const struct arena *a)
{
    return a->limit > a->used ? (a->limit - a->used) / 2 + 1 : 1;
}

#define CLEANUP_ARENA __attribute__((cleanup(arena_release)))
