/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_spool_write.c - rows into a spool: its key and files made, its limits kept */
#include "storage/spool.h"

#include "base/log.h"
#include "storage/rows.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>

#define OPEN_WAIT_US (15 * US_PER_S) /* for another thread that asks keyd */

/* --- a file to write to ----------------------------------------------------------------------- */

/* The keys are the spool's: a log borrows them. */
static enum err lend(void *self, const uint8_t account[16], enum otype otype,
                     const uint8_t file_id[16], struct file_key **out, struct diag *d)
{
    (void)account, (void)otype, (void)file_id, (void)d;
    *out = ((struct spool *)self)->fresh;
    return OK;
}

static void take_back(void *self, struct file_key *k)
{
    (void)self, (void)k;
}

static const struct key_ops lent_keys = {.create = lend, .release = take_back};

struct making {
    struct spool *sp;
    uint64_t epoch;
    struct buf record;
    bool is_new;  /* the spool itself */
    bool is_next; /* this process wrote the file before: its end is known */
    struct spool_file *files;
    uint32_t n_files;
    struct file_key **keys; /* n_files, then the new one */
    uint8_t file_id[16];
    struct wal_end end; /* of the files there are */
};

static void making_release(struct making *m)
{
    for (uint32_t i = 0; m->keys != NULL && i < m->n_files + 1; i++)
        file_key_free(m->keys[i]);
    free(m->keys);
    free(m->files);
    buf_release(&m->record);
}

static enum err note_id(void *ctx, const struct rows_record *x, struct diag *d)
{
    const struct spool *sp = ctx;
    static const uint8_t none[16];
    if (memcmp(x->head.batch, none, sizeof none) == 0) return OK;
    return dedupe_note(sp->account->store->dedupe, x->head.batch, x->head.time_us, time_now_us(),
                       d);
}

/* A file of another process is never appended to; what it holds is remembered, and where it ends.
 */
static enum err get_keys(struct making *m, struct diag *d)
{
    struct store *s = m->sp->account->store;
    const struct spool_config *c = &s->c.spool;
    if (m->is_new) {
        TRY(c->ops->make(c->self, m->sp->account->id, &m->record, d));
    } else if (!m->is_next) {
        TRY(spool_files(m->sp, &m->files, &m->n_files, d));
    }
    TRY(manifest_new_file_id(s->manifest, m->file_id, d));
    CLEANUP_FREE struct file_ident *idents = calloc(m->n_files + 1, sizeof *idents);
    m->keys = calloc(m->n_files + 1, sizeof(struct file_key *));
    if (idents == NULL || m->keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < m->n_files; i++)
        idents[i] = m->files[i].ident;
    struct spool_ask q = {.record = buf_view(&m->record),
                          .files = idents,
                          .n_files = m->n_files,
                          .new_file_id = m->file_id};
    memcpy(q.account, m->sp->account->id, 16);
    TRY(c->ops->keys(c->self, &q, m->keys, d));
    struct spool_read read = {.end = m->end};
    /* What is damaged was reported, and is counted when the rows are put back. */
    TRY(spool_read_all(m->sp, m->files, m->keys, m->n_files, note_id, m->sp, &read, d));
    m->end = read.end;
    return OK;
}

static enum err gone(struct diag *d)
{
    return FAIL(d, ERR_CONFLICT, "the account is not suspended any more");
}

/* The wrap is durable in its slot before the first file exists (20). */
static enum err claim(struct making *m, struct diag *d)
{
    struct spool *sp = m->sp;
    TRY(os_mkdir(sp->dir, d));
    LOCK_SCOPE(&sp->lock);
    if (sp->epoch != m->epoch) return gone(d);
    struct file_key **more = realloc(sp->keys, (sp->n_keys + 1) * sizeof(struct file_key *));
    if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sp->keys = more;
    if (m->is_new) {
        int64_t now = time_now_us();
        TRY(slot_write(sp->slot_path, buf_view(&m->record), now, d));
        sp->slot.record = m->record;
        m->record = (struct buf){0};
        sp->slot.since_us = now;
        spool_set_state(sp, SPOOL_LIVE);
        LOG(WARN, "spool.made", F_STR("dir", sp->dir));
    }
    sp->fresh = sp->keys[sp->n_keys++] = TAKE(m->keys[m->n_files]);
    return OK;
}

static enum err write_file(struct making *m, struct wal **out, struct diag *d)
{
    struct spool *sp = m->sp;
    struct store *s = sp->account->store;
    struct keys keys = {.ops = &lent_keys, .self = sp};
    struct wal_config c = {.dir = sp->dir,
                           .keys = &keys,
                           .prev = m->end.length != 0 ? &m->end : NULL,
                           .otype = OTYPE_SPOOL};
    memcpy(c.account, sp->account->id, sizeof c.account);
    memcpy(c.file_id, m->file_id, sizeof c.file_id);
    TRY(manifest_new_log_numbers(s->manifest, sp->account->id, &c.first, d));
    return wal_create(out, &c, d);
}

/* Not under the lock: keyd and its vault may take their time, a revocation must not wait. */
static enum err make_file(struct making *m, struct diag *d)
{
    CLEANUP(wal_unref) struct wal *w = NULL;
    struct spool *sp = m->sp;
    TRY(get_keys(m, d));
    TRY(claim(m, d));
    TRY(write_file(m, &w, d));
    LOCK_SCOPE(&sp->lock);
    if (sp->epoch != m->epoch) {
        wal_end(w);
        return gone(d);
    }
    uint64_t bytes = m->is_next ? sp->bytes_before + m->end.length : 0;
    for (uint32_t i = 0; i < m->n_files; i++)
        bytes += m->files[i].length;
    sp->bytes_before = bytes;
    wal_unref(sp->wal);
    sp->wal = TAKE(w);
    return OK;
}

/* Under the lock, which it gives up meanwhile. */
static enum err renew_file(struct spool *sp, struct diag *d)
{
    CLEANUP_LOCAL(making_release)
    struct making m = {.sp = sp, .epoch = sp->epoch, .is_new = sp->state == SPOOL_NONE};
    if (sp->wal != NULL) {
        wal_end(sp->wal); /* full, or a write failed */
        wal_drain(sp->wal, &m.end);
        m.is_next = true;
    }
    buf_bytes(&m.record, buf_view(&sp->slot.record));
    sp->opening = true;
    pthread_mutex_unlock(&sp->lock);
    enum err e = make_file(&m, d);
    pthread_mutex_lock(&sp->lock);
    sp->opening = false;
    pthread_cond_broadcast(&sp->changed);
    if (sp->state == SPOOL_DEAD) flusher_kick(sp->account->store);
    return e;
}

/* --- writing ---------------------------------------------------------------------------------- */

static enum err check_room(struct spool *sp, uint64_t bytes, struct diag *d)
{
    const struct spool_config *c = &sp->account->store->c.spool;
    int64_t age_us = sp->state == SPOOL_LIVE ? time_now_us() - sp->slot.since_us : 0;
    spool_weigh(sp);
    if (spool_bytes(sp) + bytes > c->bytes_max) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "SpoolFull",
                        "the spool of this account is full: %" PRIu64 " bytes", c->bytes_max);
    }
    /* Batches of several accounts that are on their way may pass it together. */
    if (atomic_load(&sp->account->store->spooled) + bytes > c->total_max) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "SpoolFull",
                        "the spools of all accounts are full: %" PRIu64 " bytes", c->total_max);
    }
    if (age_us > (int64_t)c->hours_max * 3600 * US_PER_S) {
        return FAIL_TAG(d, ERR_UNAVAILABLE, "SpoolFull",
                        "rows of this account were spooled for more than %u hours", c->hours_max);
    }
    return OK;
}

static bool is_writable(const struct spool *sp)
{
    return sp->wal != NULL && !wal_ended(sp->wal) && wal_length(sp->wal) < SPOOL_ROLL;
}

/* Under the lock: a file to write to, and one more user. */
static enum err enter(struct spool *sp, uint64_t bytes, struct wal **out, struct diag *d)
{
    int64_t give_up = time_mono_us() + OPEN_WAIT_US;
    for (;;) {
        if (sp->state == SPOOL_DRAINING) return gone(d);
        if (sp->state == SPOOL_DAMAGED) return FAIL(d, ERR_UNAVAILABLE, "the spool is damaged");
        if (sp->state == SPOOL_DEAD) {
            flusher_kick(sp->account->store);
            if (!cond_wait_until(&sp->changed, &sp->lock, give_up))
                return FAIL(d, ERR_UNAVAILABLE, "the last spool is not tidied away yet");
            continue;
        }
        TRY(check_room(sp, bytes, d));
        if (sp->opening) {
            if (!cond_wait_until(&sp->changed, &sp->lock, give_up))
                return FAIL(d, ERR_UNAVAILABLE, "keyd takes too long to open the spool");
        } else if (is_writable(sp)) {
            sp->users++;
            wal_ref(sp->wal);
            *out = sp->wal;
            return OK;
        } else {
            TRY(renew_file(sp, d));
        }
    }
}

static void leave(struct spool *sp)
{
    LOCK_SCOPE(&sp->lock);
    spool_weigh(sp);
    sp->users--;
    pthread_cond_broadcast(&sp->changed);
    if (sp->state == SPOOL_DEAD) flusher_kick(sp->account->store);
}

/* The ids of a spool that another process left are known once its files were read. */
static enum err prepare(struct spool *sp, struct diag *d)
{
    int64_t give_up = time_mono_us() + OPEN_WAIT_US;
    LOCK_SCOPE(&sp->lock);
    while (sp->opening) {
        if (!cond_wait_until(&sp->changed, &sp->lock, give_up))
            return FAIL(d, ERR_UNAVAILABLE, "keyd takes too long to open the spool");
    }
    return sp->state == SPOOL_LIVE && sp->wal == NULL ? renew_file(sp, d) : OK;
}

static void written(void *arg, uint64_t number)
{
    (void)arg, (void)number;
}

/* Counted while it is inside: a destruction waits for the count, so no acknowledged row is missed
 * (23). */
static enum err append(struct spool *sp, struct outgoing *o, struct diag *d)
{
    const struct spool_config *c = &sp->account->store->c.spool;
    CLEANUP(wal_unref) struct wal *w = NULL;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < o->n; i++)
        bytes += o->records[i].len + BLOCK_OVERHEAD;
    pthread_mutex_lock(&sp->lock);
    enum err e = enter(sp, bytes, &w, d);
    pthread_mutex_unlock(&sp->lock);
    TRY(e);
    struct diag why = DIAG_INIT;
    e = wal_append(w, o->records, o->n, written, NULL, &why);
    if (e == OK && c->counted != NULL)
        e = c->counted(c->ctx, sp->account->id, store_table_id(o->part->table), o->rows, &why);
    leave(sp);
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

static enum err get_spool(struct account *a, struct spool **out, struct diag *d)
{
    LOCK_SCOPE(&a->store->spool_lock);
    if (a->spool == NULL) TRY(spool_new(a, &a->spool, d));
    *out = a->spool;
    return OK;
}

enum err store_spool_append(struct store *s, struct table *t, const uint8_t account[16],
                            const struct batch *rows, const uint8_t *id, bool *repeated,
                            struct diag *d)
{
    if (s->c.spool.ops == NULL) return FAIL(d, ERR_UNAVAILABLE, "this store has no spool");
    struct account *a = NULL;
    struct spool *sp = NULL;
    bool fresh = true;
    struct schema its;
    CLEANUP_LOCAL(outgoing_release) struct outgoing o = {0};
    /* A node that has lost its keyd has no platform key either: then nothing is spooled. */
    TRY(s->c.keys.ops->check(s->c.keys.self, s->c.platform_account, d));
    TRY(store_account_get(s, account, &a, d));
    TRY(get_spool(a, &sp, d));
    TRY(outgoing_init(&o, t, a, rows, &its, d));
    *repeated = false;
    if (rows->n_rows == 0) return OK;
    if (id != NULL) memcpy(o.head.batch, id, sizeof o.head.batch);
    TRY(outgoing_add_batch(&o, rows, d));
    if (id == NULL) return append(sp, &o, d);

    TRY(prepare(sp, d));
    TRY(dedupe_begin(s->dedupe, id, o.head.time_us, &fresh, d));
    *repeated = !fresh;
    if (!fresh) return OK;
    enum err e = append(sp, &o, d);
    dedupe_end(s->dedupe, id, e == OK);
    return e;
}
