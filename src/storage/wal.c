/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/wal.c - writing a log file: seal under the lock, write and sync outside of it
 *
 * Whoever finds nobody leading leads: takes all that is sealed, writes it, syncs once, tells
 * everyone.
 */
#include "storage/wal.h"

#include "base/log.h"
#include "base/os.h"
#include "base/str.h"
#include "base/thread.h"

#include <endian.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct waiter { /* lies on the stack of its appender */
    struct waiter *next;
    uint64_t number;
    wal_committed *committed;
    void *arg;
    bool done, failed;
};

struct wal {
    struct keys keys;
    int fd;
    _Atomic unsigned refs;
    uint8_t file_id[16];
    uint64_t limit; /* numbers end before this one */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct file_key *key; /* NULL once ended */
    uint64_t next;        /* number of the next record */
    uint64_t durable;     /* highest durable number, of this file or those before */
    uint64_t length;      /* durable bytes */
    bool leading;
    struct buf sealed; /* waiting to be written */
    struct waiter *head, **tail;
};

char *wal_path(const char *dir, const uint8_t file_id[16])
{
    char hex[33];
    hex_encode(bytes_of(file_id, 16), hex);
    return str_fmt("%s/%s.wal", dir, hex);
}

void wal_record_begin(struct buf *record, enum wal_kind kind)
{
    buf_u64(record, 0); /* the highest durable number, filled in when it is sealed */
    buf_u8(record, (uint8_t)kind);
}

static void end_locked(struct wal *w)
{
    w->keys.ops->release(w->keys.self, TAKE(w->key));
}

static enum err seal_one(struct wal *w, struct buf *record, uint64_t number, struct diag *d)
{
    TRY(buf_check(record, d));
    uint64_t durable = htole64(w->durable);
    memcpy(record->p, &durable, sizeof durable);
    return block_seal(w->key, BTYPE_WAL, number, buf_view(record), &w->sealed, d);
}

/* Under the lock. All n or none. */
static enum err seal(struct wal *w, struct buf *records, uint32_t n, uint64_t *last, struct diag *d)
{
    if (w->key != NULL && w->limit - w->next < n) end_locked(w);
    if (w->key == NULL) return FAIL(d, ERR_CONFLICT, "this log file has ended");
    size_t before = w->sealed.len;
    enum err e = OK;
    uint32_t i = 0;
    for (; i < n && e == OK; i++)
        e = seal_one(w, &records[i], w->next + i, d);
    if (e != OK) {
        buf_shrink(&w->sealed, before);
        /* A lease that ended took this key for good: when it comes back, another file gets another
         * key. And numbers that were used up are not used again (3). */
        if (e == ERR_UNAVAILABLE || e == ERR_KEY_LOCKED || i > 1 || w->sealed.bad) {
            end_locked(w);
        }
        return e;
    }
    w->next += n;
    *last = w->next - 1;
    for (i = 0; i < n; i++)
        buf_clear(
            &records[i]); /* the wait for the disk may be long, and a lock must not find rows */
    return OK;
}

static enum err write_durably(struct wal *w, struct bytes b, struct diag *d)
{
    TRY(os_write_all(w->fd, b, d));
    if (SYS(fdatasync(w->fd)) != 0) return FAIL(d, ERR_IO, "log: fdatasync: %s", strerror(errno));
    return OK;
}

/* (3) What did not become durable must not come back at the next start. The next file's first
 * record says so; shortening the file says it too, for the case that there is no next file before a
 * crash. Only the leader changes length, and it is the one who calls. */
static void give_up(struct wal *w, const struct diag *d)
{
    LOG(ERROR, "wal.failed", F_ERR(d), F_U64("durable", w->durable));
    if (ftruncate(w->fd, (off_t)w->length) == 0) (void)!fdatasync(w->fd);
}

static void finish(struct waiter *group, bool failed)
{
    while (group != NULL) {
        struct waiter *x = group;
        group = x->next; /* x may be gone once it is done */
        x->failed = failed;
        x->done = true;
    }
}

/* Under the lock, which it gives up while it writes. */
static void lead(struct wal *w)
{
    struct waiter *group = TAKE(w->head);
    struct buf sealed = w->sealed;
    w->tail = &w->head;
    w->sealed = (struct buf){0};
    w->leading = true;
    uint64_t last = w->next - 1;
    pthread_mutex_unlock(&w->lock);

    struct diag d = DIAG_INIT;
    bool failed = buf_check(&sealed, &d) != OK; /* memory was out for one who came behind them */
    if (!failed) failed = write_durably(w, buf_view(&sealed), &d) != OK;
    if (failed) give_up(w, &d);
    for (struct waiter *x = group; !failed && x != NULL; x = x->next)
        x->committed(x->arg, x->number);

    pthread_mutex_lock(&w->lock);
    if (failed) {
        end_locked(w);
        finish(TAKE(w->head), true); /* they were sealed behind what is not there */
        w->tail = &w->head;
        buf_release(&w->sealed);
    } else {
        w->length += sealed.len;
        w->durable = last;
    }
    finish(group, failed);
    buf_release(&sealed);
    w->leading = false;
    pthread_cond_broadcast(&w->changed);
}

enum err wal_append(struct wal *w, struct buf *records, uint32_t n, wal_committed *committed,
                    void *arg, struct diag *d)
{
    struct waiter me = {.committed = committed, .arg = arg};
    LOCK_SCOPE(&w->lock);
    TRY(seal(w, records, n, &me.number, d));
    *w->tail = &me;
    w->tail = &me.next;
    while (!me.done) {
        if (!w->leading) {
            lead(w);
        } else {
            pthread_cond_wait(&w->changed, &w->lock);
        }
    }
    if (me.failed)
        return FAIL(d, ERR_IO, "the log could not be written; the rows were not accepted");
    return OK;
}

void wal_end(struct wal *w)
{
    LOCK_SCOPE(&w->lock);
    end_locked(w);
}

bool wal_ended(struct wal *w)
{
    LOCK_SCOPE(&w->lock);
    return w->key == NULL;
}

uint64_t wal_length(struct wal *w)
{
    LOCK_SCOPE(&w->lock);
    return w->length;
}

void wal_drain(struct wal *w, struct wal_end *out)
{
    LOCK_SCOPE(&w->lock);
    while (w->leading || w->head != NULL)
        pthread_cond_wait(&w->changed, &w->lock);
    *out = (struct wal_end){.length = w->length, .last = w->durable};
    memcpy(out->file_id, w->file_id, sizeof out->file_id);
}

static void wal_free(struct wal *w)
{
    if (w == NULL) return;
    if (w->key != NULL) end_locked(w);
    if (w->fd >= 0) close(w->fd);
    buf_release(&w->sealed);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
DEFINE_CLEANUP(wal_free, struct wal)

void wal_ref(struct wal *w)
{
    w->refs++;
}

void wal_unref(struct wal *w)
{
    if (w != NULL && --w->refs == 0) wal_free(w);
}

static void start_committed(void *arg, uint64_t number)
{
    (void)arg, (void)number;
}

static enum err write_start(struct wal *w, const struct wal_end *prev, struct diag *d)
{
    uint8_t header[FILE_HEADER_LEN];
    file_header_encode(file_key_ident(w->key), header);
    TRY(os_write_all(w->fd, BYTES_OF(header), d));
    w->length = sizeof header;

    const struct wal_end none = {0};
    if (prev == NULL) prev = &none;
    CLEANUP_BUF struct buf record = {0};
    wal_record_begin(&record, RECORD_START);
    buf_bytes(&record, BYTES_OF(prev->file_id));
    buf_u64(&record, prev->length);
    buf_u64(&record, prev->last);
    return wal_append(w, &record, 1, start_committed, NULL, d);
}

static enum err create(struct wal *w, const struct wal_config *c, const char *path, struct diag *d)
{
    enum otype otype = c->otype != 0 ? (enum otype)c->otype : OTYPE_WAL;
    TRY(c->keys->ops->create(c->keys->self, c->account, otype, c->file_id, &w->key, d));
    w->fd = SYS(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (w->fd < 0) return FAIL(d, ERR_IO, "log %s: %s", path, strerror(errno));
    enum err e = write_start(w, c->prev, d);
    if (e == OK) e = os_fsync_dir(c->dir, d);
    if (e != OK) unlink(path);
    return e;
}

enum err wal_create(struct wal **out, const struct wal_config *c, struct diag *d)
{
    CLEANUP_FREE char *path = wal_path(c->dir, c->file_id);
    CLEANUP(wal_free) struct wal *w = calloc(1, sizeof *w);
    if (path == NULL || w == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    w->keys = *c->keys;
    w->fd = -1;
    w->refs = 1;
    w->next = c->first;
    w->limit = c->first + WAL_NUMBERS;
    w->durable = c->prev != NULL ? c->prev->last : 0;
    w->tail = &w->head;
    memcpy(w->file_id, c->file_id, sizeof w->file_id);
    pthread_mutex_init(&w->lock, NULL);
    cond_init(&w->changed);
    TRY(create(w, c, path, d));
    *out = TAKE(w);
    return OK;
}
