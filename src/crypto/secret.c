/* SPDX-License-Identifier: Apache-2.0 */
/*
 * crypto/secret.c - a small heap of locked pages
 *
 * A secret of up to SLOT_MAX bytes takes a slot of a region of one size class: thousands of file
 * keys must fit into a default RLIMIT_MEMLOCK, so one page each would not do. Longer ones get a
 * region of their own. The book-keeping lies outside of the regions. Invariants: README.md.
 */
#include "crypto/secret.h"

#include "base/rand.h"
#include "base/thread.h"

#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLOT_MIN     64    /* bytes */
#define SLOT_MAX     4096  /* bytes */
#define REGION_BYTES 16384 /* bytes of a region with slots */
#define SLOTS_MAX    (REGION_BYTES / SLOT_MIN)

struct region {
    struct region *next;
    uint8_t *p;
    size_t len;       /* bytes mapped */
    size_t slot_size; /* 0: the whole region is one secret */
    unsigned n_used;
    bool used[SLOTS_MAX];
};

struct secret {
    uint8_t *p;
    size_t len;
    struct region *region; /* NULL under ASan */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct region *regions;
static bool is_plain; /* no memfd_secret */

void wipe(void *p, size_t n)
{
    if (n != 0) sodium_memzero(p, n);
}

bool secret_eq(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || sodium_memcmp(a.p, b.p, a.len) == 0);
}

static void fork_prepare(void)
{
    pthread_mutex_lock(&lock);
}

static void fork_parent(void)
{
    pthread_mutex_unlock(&lock);
}

/* (2) The child was given no copy of the regions; zero pages take their places, so that its own
 * calls of secret_free() find memory. A child in which even that fails must not go on. */
static void fork_child(void)
{
    for (struct region *r = regions; r != NULL; r = r->next) {
        void *p = mmap(r->p, r->len, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (p == MAP_FAILED) _exit(127);
        (void)sodium_mlock(p, r->len);
    }
    pthread_mutex_unlock(&lock);
}

static void start(void)
{
    if (sodium_init() < 0) abort(); /* no kernel randomness: there is no safe way to go on */
    pthread_atfork(fork_prepare, fork_parent, fork_child);
}

void secret_plain_pages(void)
{
    pthread_mutex_lock(&lock);
    is_plain = true;
    pthread_mutex_unlock(&lock);
}

/* Pages that not even the kernel maps otherwise; NULL where this kernel has none. */
static uint8_t *map_memfd_secret(size_t len)
{
#ifdef SYS_memfd_secret
    CLEANUP_FD int fd = (int)syscall(SYS_memfd_secret, (unsigned)O_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)len) != 0) return NULL;
    uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    return p == MAP_FAILED ? NULL : p;
#else
    (void)len;
    return NULL;
#endif
}

/* sodium_mlock() also leaves the pages out of core dumps. */
static uint8_t *map_locked(size_t len)
{
    uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    if (sodium_mlock(p, len) != 0) {
        munmap(p, len);
        return NULL;
    }
    return p;
}

static struct region *region_new(size_t len, size_t slot_size)
{
    struct region *r = calloc(1, sizeof *r);
    if (r == NULL) return NULL;
    *r = (struct region){.len = len, .slot_size = slot_size, .next = regions};
    if (!is_plain) r->p = map_memfd_secret(len);
    if (r->p == NULL) r->p = map_locked(len);
    if (r->p == NULL || madvise(r->p, len, MADV_DONTFORK) != 0) {
        if (r->p != NULL) munmap(r->p, len);
        free(r);
        return NULL;
    }
    regions = r;
    return r;
}

static void region_free(struct region *r)
{
    struct region **at = &regions;
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    munmap(r->p, r->len); /* wiped, slot by slot; locks go with the mapping */
    free(r);
}

/* An empty region of each size of slots stays: mapping one for every secret of a request costs more
 * than most of what is done with it. */
static bool is_spare(const struct region *r)
{
    for (const struct region *x = regions; x != NULL; x = x->next) {
        if (x != r && x->slot_size == r->slot_size && x->n_used == 0) return false;
    }
    return r->slot_size != 0;
}

/* True if there was one: what they lock can be locked for another size. */
static bool free_spares(void)
{
    bool found = false;
    for (struct region *r = regions, *next; r != NULL; r = next) {
        next = r->next;
        if (r->slot_size == 0 || r->n_used != 0) continue;
        region_free(r);
        found = true;
    }
    return found;
}

static size_t slot_size_of(size_t len)
{
    size_t size = SLOT_MIN;
    while (size < len)
        size *= 2;
    return size;
}

static struct region *region_with_room(size_t size)
{
    for (struct region *r = regions; r != NULL; r = r->next) {
        if (r->slot_size == size && r->n_used < REGION_BYTES / size) return r;
    }
    return region_new(REGION_BYTES, size);
}

/* Under lock. */
static bool take_memory(struct secret *s, size_t len)
{
    if (len > SLOT_MAX) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        s->region = region_new((len + page - 1) / page * page, 0);
        if (s->region == NULL) return false;
        s->p = s->region->p;
        return true;
    }
    struct region *r = region_with_room(slot_size_of(len));
    if (r == NULL) return false;
    unsigned i = 0;
    while (r->used[i])
        i++;
    r->used[i] = true;
    r->n_used++;
    s->region = r;
    s->p = r->p + i * r->slot_size;
    return true;
}

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define UNDER_ASAN true
#endif
#endif
#ifndef UNDER_ASAN
#define UNDER_ASAN false
#endif

enum err secret_new(struct secret **out, size_t len, struct diag *d)
{
    if (len > (size_t)1 << 30) return FAIL(d, ERR_LIMIT, "a secret of more than 1 GiB");
    pthread_once(&once, start);
    CLEANUP_FREE struct secret *s = calloc(1, sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    s->len = len;
    if (UNDER_ASAN) {
        /* A malloc of its own, so that an overrun is found where it happens. */
        s->p = calloc(1, len != 0 ? len : 1);
        if (s->p == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    } else {
        LOCK_SCOPE(&lock);
        if (!take_memory(s, len) && !(free_spares() && take_memory(s, len))) {
            return FAIL(d, ERR_UNAVAILABLE, "no more memory can be locked: raise RLIMIT_MEMLOCK");
        }
    }
    *out = TAKE(s);
    return OK;
}

void secret_free(struct secret *s)
{
    if (s == NULL) return;
    wipe(s->p, s->len); /* (1) */
    struct region *r = s->region;
    if (r == NULL) {
        free(s->p);
    } else {
        LOCK_SCOPE(&lock);
        if (r->slot_size != 0) {
            r->used[(size_t)(s->p - r->p) / r->slot_size] = false;
            r->n_used--;
        }
        if (r->slot_size == 0 || (r->n_used == 0 && !is_spare(r))) region_free(r);
    }
    free(s);
}

enum err secret_of(struct secret **out, struct bytes b, struct diag *d)
{
    struct secret *s = NULL;
    TRY(secret_new(&s, b.len, d));
    if (b.len != 0) memcpy(s->p, b.p, b.len);
    *out = s;
    return OK;
}

enum err secret_random(struct secret **out, size_t len, struct diag *d)
{
    struct secret *s = NULL;
    TRY(secret_new(&s, len, d));
    rand_bytes(s->p, len);
    *out = s;
    return OK;
}

size_t secret_len(const struct secret *s)
{
    return s->len;
}

const uint8_t *secret_peek(const struct secret *s)
{
    return s->p;
}

uint8_t *secret_fill(struct secret *s)
{
    return s->p;
}
