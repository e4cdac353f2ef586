/* SPDX-License-Identifier: Apache-2.0 */
/* storage/spill_file.c - sealed blocks in a file without a name */
#include "storage/spill_file.h"

#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"
#include "crypto/aead.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct spill_room {
    char *dir;
    uint64_t bytes_max;
    _Atomic uint64_t bytes;
};

struct spill_file {
    struct spill_room *room;
    pthread_rwlock_t lock; /* of key and fd: read while they are used, write to make or wipe them */
    struct secret *key;    /* NULL before the first block, and after wiping */
    int fd;
    bool wiped;
    _Atomic uint64_t end; /* offset of the next block */
};

enum err spill_room_new(struct spill_room **out, const char *dir, uint64_t bytes_max,
                        struct diag *d)
{
    TRY(os_mkdir(dir, d));
    struct spill_room *r = calloc(1, sizeof *r);
    if (r == NULL || (r->dir = strdup(dir)) == NULL) {
        free(r);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    r->bytes_max = bytes_max;
    *out = r;
    return OK;
}

void spill_room_free(struct spill_room *r)
{
    if (r == NULL) return;
    free(r->dir);
    free(r);
}

enum err spill_file_new(struct spill_file **out, struct spill_room *r, struct diag *d)
{
    struct spill_file *f = calloc(1, sizeof *f);
    if (f == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    f->room = r;
    f->fd = -1;
    pthread_rwlock_init(&f->lock, NULL);
    *out = f;
    return OK;
}

void spill_file_free(struct spill_file *f)
{
    if (f == NULL) return;
    secret_free(f->key);
    if (f->fd >= 0) close(f->fd);
    atomic_fetch_sub(&f->room->bytes, atomic_load(&f->end));
    pthread_rwlock_destroy(&f->lock);
    free(f);
}

void spill_file_wipe(struct spill_file *f)
{
    pthread_rwlock_wrlock(&f->lock);
    secret_free(f->key);
    f->key = NULL;
    f->wiped = true;
    pthread_rwlock_unlock(&f->lock);
}

/* --- the file --------------------------------------------------------------------------------- */

/* (2) */
static enum err open_nameless(const char *dir, int *out, struct diag *d)
{
    int fd = SYS(open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
        CLEANUP_FREE char *path = os_path(dir, "spill-XXXXXX");
        if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        fd = SYS(mkostemp(path, O_CLOEXEC));
        if (fd >= 0 && unlink(path) != 0) {
            close(fd);
            fd = -1;
        }
    }
    if (fd < 0) return FAIL(d, ERR_IO, "spill: a file in %s: %s", dir, strerror(errno));
    *out = fd;
    return OK;
}

/* (3) With the lock held for writing. */
static enum err make(struct spill_file *f, struct diag *d)
{
    if (f->wiped) return OK; /* who uses it will see */
    if (f->key == NULL) TRY(secret_random(&f->key, AEAD_KEY_LEN, d));
    return f->fd >= 0 ? OK : open_nameless(f->room->dir, &f->fd, d);
}

/* Locks for reading, with key and file made. */
static enum err begin(struct spill_file *f, struct diag *d)
{
    pthread_rwlock_rdlock(&f->lock);
    if (!f->wiped && (f->key == NULL || f->fd < 0)) {
        pthread_rwlock_unlock(&f->lock);
        pthread_rwlock_wrlock(&f->lock);
        enum err e = make(f, d);
        pthread_rwlock_unlock(&f->lock);
        TRY(e);
        pthread_rwlock_rdlock(&f->lock);
    }
    if (!f->wiped) return OK;
    pthread_rwlock_unlock(&f->lock);
    return FAIL(d, ERR_CANCELLED, "the key of the query's rows outside of memory was taken away");
}

/* --- blocks ----------------------------------------------------------------------------------- */

struct place { /* (1) what a block is bound to, and its nonce */
    uint64_t at, len;
    uint8_t nonce[AEAD_NONCE_LEN];
};

static struct place place_of(uint64_t at, size_t len)
{
    struct place p = {.at = at, .len = len};
    memcpy(p.nonce, &at, sizeof at);
    return p;
}

static struct aead aead_of(const struct spill_file *f, const struct place *p)
{
    return (struct aead){.alg = AEAD_AES_256_GCM,
                         .key = secret_peek(f->key),
                         .nonce = p->nonce,
                         .aad = bytes_of(p, 2 * sizeof(uint64_t))};
}

static enum err write_at(int fd, struct bytes b, uint64_t at, struct diag *d)
{
    while (b.len != 0) {
        ssize_t n = SYS(pwrite(fd, b.p, b.len, (off_t)at));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return FAIL(d, ERR_IO, "spill: write: %s", strerror(errno));
        b = bytes_of(b.p + n, b.len - (size_t)n);
        at += (uint64_t)n;
    }
    return OK;
}

static enum err seal_at(struct spill_file *f, struct bytes block, uint64_t at, struct diag *d)
{
    const struct place p = place_of(at, block.len);
    const struct aead a = aead_of(f, &p);
    size_t len = block.len + AEAD_TAG_LEN;
    CLEANUP_FREE uint8_t *sealed = malloc(len);
    if (sealed == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(aead_seal(&a, block, sealed, d));
    return write_at(f->fd, bytes_of(sealed, len), at, d);
}

/* (4) */
static enum err take_room(struct spill_room *r, uint64_t n, struct diag *d)
{
    if (atomic_fetch_add(&r->bytes, n) + n <= r->bytes_max) return OK;
    atomic_fetch_sub(&r->bytes, n);
    return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                    "queries have more than %" PRIu64 " bytes of rows outside of memory",
                    r->bytes_max);
}

enum err spill_file_write(void *file, struct bytes block, uint64_t *at, struct diag *d)
{
    struct spill_file *f = file;
    uint64_t n = block.len + AEAD_TAG_LEN;
    TRY(take_room(f->room, n, d));
    uint64_t mine = atomic_fetch_add(&f->end, n); /* given back with the file, written or not */
    TRY(begin(f, d));
    enum err e = seal_at(f, block, mine, d);
    pthread_rwlock_unlock(&f->lock);
    if (e == OK) *at = mine;
    return e;
}

static enum err open_at(const struct spill_file *f, uint64_t at, size_t len, uint8_t *out,
                        struct diag *d)
{
    const struct place p = place_of(at, len);
    const struct aead a = aead_of(f, &p);
    CLEANUP_FREE uint8_t *sealed = malloc(len + AEAD_TAG_LEN);
    if (sealed == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_pread_all(f->fd, sealed, len + AEAD_TAG_LEN, at, d));
    return aead_open(&a, bytes_of(sealed, len + AEAD_TAG_LEN), out, d);
}

enum err spill_file_read(void *file, uint64_t at, size_t len, struct arena *a, struct bytes *out,
                         struct diag *d)
{
    struct spill_file *f = file;
    uint8_t *p = arena_alloc(a, len);
    if (p == NULL) return arena_full(a, d);
    TRY(begin(f, d));
    enum err e = open_at(f, at, len, p, d);
    pthread_rwlock_unlock(&f->lock);
    if (e == OK) *out = bytes_of(p, len);
    return e;
}
