/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_account.c - the door to an account's rows: open with a replay, locked with a wipe
 */
#include "storage/store_impl.h"

#include "base/log.h"
#include "storage/spool.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum err account_refuse(struct account *a, struct diag *d)
{
    struct keys *k = &a->store->c.keys;
    TRY(k->ops->check(k->self, a->id, d)); /* keyd knows best why */
    return FAIL(d, ERR_UNAVAILABLE, "the rows of this account are not available at the moment");
}

static bool try_enter(struct account *a, enum account_state state, uint64_t epoch)
{
    LOCK_SCOPE(&a->lock);
    if (a->state != state || a->epoch != epoch) return false;
    a->users++;
    return true;
}

enum err account_enter(struct account *a, uint64_t epoch, struct diag *d)
{
    return try_enter(a, ACCOUNT_OPEN, epoch) ? OK : account_refuse(a, d);
}

void account_leave(struct account *a)
{
    LOCK_SCOPE(&a->lock);
    if (--a->users == 0) pthread_cond_broadcast(&a->left);
}

/* --- lock ------------------------------------------------------------------------------------- */

/* Under the lock, with nobody inside. */
static void wipe_memtables(struct account *a)
{
    for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        memtable_wipe(p->active);
        while (p->frozen != NULL) {
            struct memtable *m = p->frozen;
            p->frozen = m->next;
            memtable_wipe(m);
            memtable_free(m);
        }
    }
}

static void close_door(struct account *a, enum account_state state)
{
    a->state = state;
    a->epoch++;
    while (a->users != 0)
        pthread_cond_wait(&a->left, &a->lock);
    wipe_memtables(a);
    for (struct pending *x = a->pending; x != NULL; x = x->next) {
        for (uint32_t i = 0; i < x->n_pieces; i++)
            piece_wipe(x->pieces[i]);
    }
    for (struct scan_part *sp = a->scans; sp != NULL; sp = sp->next_in_account)
        scan_part_wipe(sp);
    segment_writer_wipe(a->writer);
    pthread_cond_broadcast(&a->left); /* appends that wait for room */
}

void store_account_lock(struct store *s, const uint8_t account[16])
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return;
    pthread_mutex_lock(&a->lock);
    close_door(a, ACCOUNT_LOCKED);
    struct wal *w = a->wal;
    if (w != NULL) {
        wal_ref(w);
        wal_end(w); /* takes the file's lock, which nobody holds while waiting for anything */
    }
    pthread_mutex_unlock(&a->lock);
    wal_unref(w);
    char hex[33];
    id_hex(account, hex);
    LOG(INFO, "account.locked", F_STR("account", hex));
}

/* --- open: replay ----------------------------------------------------------------------------- */

struct replay {
    struct account *a;
    uint64_t epoch;
    struct log_file *
        *files; /* all there are, the oldest first; only open_lock's holder drops any */
    struct file_key **file_keys;
    struct file_ident *idents;
    size_t n;
    uint64_t rows;
    uint32_t left; /* records of the batch that is being replayed */
};

static void replay_release(struct replay *r)
{
    struct keys *k = &r->a->store->c.keys;
    for (size_t i = 0; r->file_keys != NULL && i < r->n; i++)
        k->ops->release(k->self, r->file_keys[i]);
    free(r->files);
    free(r->file_keys);
    free(r->idents);
}

static enum err replay_init(struct replay *r, struct account *a, struct diag *d)
{
    LOCK_SCOPE(&a->lock);
    a->state = ACCOUNT_OPENING;
    r->epoch = a->epoch;
    for (struct log_file *f = a->logs; f != NULL; f = f->next)
        r->n++;
    r->files = calloc(r->n + 1, sizeof(struct log_file *));
    r->file_keys = calloc(r->n + 1, sizeof(struct file_key *));
    r->idents = calloc(r->n + 1, sizeof *r->idents);
    if (r->files == NULL || r->file_keys == NULL || r->idents == NULL) {
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    size_t i = 0;
    for (struct log_file *f = a->logs; f != NULL; f = f->next)
        r->files[i++] = f;
    return OK;
}

static enum err open_keys(struct replay *r, struct diag *d)
{
    struct keys *k = &r->a->store->c.keys;
    for (size_t i = 0; i < r->n; i++)
        TRY(wal_read_ident(r->a->wal_dir, r->a->id, r->files[i]->entry.file_id, &r->idents[i], d));
    if (r->n == 0) return k->ops->check(k->self, r->a->id, d);
    return k->ops->open(k->self, r->a->id, r->idents, r->n, r->file_keys, d);
}

static enum err replay_enter(struct replay *r, struct diag *d)
{
    return try_enter(r->a, ACCOUNT_OPENING, r->epoch) ? OK : account_refuse(r->a, d);
}

enum err record_rows(const struct wal_record *rec, struct rows_record *out, struct diag *d)
{
    if (rec->kind != RECORD_ROWS) {
        return FAIL(d, ERR_CORRUPT, "log record %" PRIu64 " is of kind %u", rec->number, rec->kind);
    }
    out->number = rec->number;
    return rows_head_decode(rec->body, &out->head, &out->rows, d);
}

static bool is_zero(const uint8_t id[16])
{
    static const uint8_t none[16];
    return memcmp(id, none, sizeof none) == 0;
}

static enum err note_id(struct replay *r, struct log_file *f, const struct rows_head *h,
                        struct diag *d)
{
    struct account *a = r->a;
    if (h->spool > a->drained) a->drained = h->spool;
    if (is_zero(h->batch)) return OK;
    log_note_id(f, h->time_us);
    /* (25) A batch that came both ways: told by its id, however long the outage was. */
    if (a->spooled && h->spool == 0 && h->time_us > 0)
        TRY(map_put(&a->log_ids, BYTES_OF(h->batch), (void *)(uintptr_t)h->time_us, NULL, d));
    return dedupe_note(r->a->store->dedupe, h->batch, h->time_us, time_now_us(), d);
}

/* Rows of one record into their memtable; inside. */
static enum err replay_rows(struct replay *r, struct log_file *f, const struct rows_record *x,
                            struct diag *d)
{
    struct table *t = store_table_by_id(r->a->store, &x->head.table);
    if (t == NULL) return FAIL(d, ERR_CORRUPT, "log record %" PRIu64 " is of no table", x->number);
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, (size_t)1 << 30);
    const struct schema *schema = store_table_schema(t);
    struct batch rows;
    struct part *p = NULL;
    CLEANUP(piece_unref) struct piece *piece = NULL;
    struct log_table *place = NULL;
    TRY(store_part_get(t, r->a, &p, d));
    bool covered = x->number <= p->covered; /* they are in a segment: flush_lock is held */
    if (!covered) {
        TRY(rows_decode(x->rows, schema, &arena, &rows, d));
        TRY(received_piece(&piece, schema, &rows, x->head.time_us, d));
    }
    LOCK_SCOPE(&r->a->lock);
    TRY(note_id(r, f, &x->head, d));
    TRY(log_place(f, &t->id, &place, d));
    log_note(f, &t->id, x->number, covered ? INT64_MIN : piece->time_max);
    if (covered) return OK;
    r->rows += rows.n_rows;
    memtable_add(p->active, TAKE(piece), x->number);
    return OK;
}

/* The records behind the first of a batch, read ahead: are they all there? Inside. */
enum err batch_is_whole(struct wal_reader ahead, struct file_key *k, const struct rows_head *first,
                        bool *whole, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    for (uint32_t left = first->left; left != 0; left--) {
        struct wal_record rec;
        struct rows_record x;
        TRY(wal_reader_next(&ahead, k, &plain, &rec, d));
        *whole = rec.number != 0;
        if (!*whole) return OK;
        TRY(record_rows(&rec, &x, d));
        if (x.head.left != left - 1 || !guid_eq(&x.head.table, &first->table) ||
            memcmp(x.head.batch, first->batch, sizeof first->batch) != 0) {
            return FAIL(d, ERR_CORRUPT, "log record %" PRIu64 " does not continue its batch",
                        rec.number);
        }
    }
    *whole = true;
    return OK;
}

/* The next record, and its rows to their place. rec->number 0: the end, which is before a batch
 * that is not whole. */
static enum err replay_next(struct replay *r, struct log_file *f, struct wal_reader *reader,
                            struct file_key *k, struct wal_record *rec, struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    struct rows_record x;
    bool whole = true;
    size_t pos = reader->pos;
    TRY(wal_reader_next(reader, k, &plain, rec, d));
    if (rec->number == 0 || rec->number == reader->first) return OK;
    TRY(record_rows(rec, &x, d));
    if (r->left == 0 && x.head.left != 0) TRY(batch_is_whole(*reader, k, &x.head, &whole, d));
    if (!whole) {
        reader->pos = pos;
        reader->next--;
        rec->number = 0;
        return OK;
    }
    r->left = x.head.left;
    return replay_rows(r, f, &x, d);
}

static enum err replay_record(struct replay *r, struct log_file *f, struct wal_reader *reader,
                              struct file_key *k, struct wal_record *rec, struct diag *d)
{
    TRY(replay_enter(r, d));
    enum err e = replay_next(r, f, reader, k, rec, d);
    account_leave(r->a);
    return e;
}

/* What the next file's first record says about where this one ends; false: there is none that says
 * so. */
static enum err read_limit(struct replay *r, size_t i, struct wal_end *limit, bool *has,
                           struct diag *d)
{
    *has = false;
    if (i + 1 == r->n) return OK;
    struct log_file *next = r->files[i + 1];
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader reader = {0};
    CLEANUP_BUF struct buf plain = {0};
    struct wal_record rec;
    TRY(wal_reader_open(&reader, r->a->wal_dir, r->a->id, next->entry.file_id, next->entry.first,
                        d));
    TRY(wal_reader_next(&reader, r->file_keys[i + 1], &plain, &rec, d));
    TRY(wal_start_decode(&rec, limit, d));
    *has = memcmp(limit->file_id, r->files[i]->entry.file_id, sizeof limit->file_id) == 0;
    return OK;
}

static enum err replay_file(struct replay *r, size_t i, struct diag *d)
{
    struct log_file *f = r->files[i];
    struct account *a = r->a;
    struct wal_end limit;
    bool limited;
    TRY(read_limit(r, i, &limit, &limited, d));
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader reader = {0};
    TRY(wal_reader_open(&reader, a->wal_dir, a->id, f->entry.file_id, f->entry.first, d));
    struct wal_record rec = {0};
    do {
        if (limited && reader.next > limit.last) break;
        TRY(replay_record(r, f, &reader, r->file_keys[i], &rec, d));
    } while (rec.number != 0);
    if (limited && (reader.next != limit.last + 1 || reader.pos != limit.length)) {
        return FAIL(d, ERR_CORRUPT,
                    "a log file ends at record %" PRIu64 " and byte %zu, not at %" PRIu64
                    " and %" PRIu64 " as the next file says",
                    reader.next - 1, reader.pos, limit.last, limit.length);
    }
    if (reader.pos < reader.size) TRY(wal_cut(a->wal_dir, f->entry.file_id, reader.pos, d));
    pthread_mutex_lock(&a->log_lock);
    a->end = (struct wal_end){.length = reader.pos, .last = reader.next - 1};
    memcpy(a->end.file_id, f->entry.file_id, sizeof a->end.file_id);
    pthread_mutex_unlock(&a->log_lock);
    LOCK_SCOPE(&a->lock);
    f->length = reader.pos;
    f->complete = true;
    return OK;
}

static enum err replay_all(struct replay *r, struct diag *d)
{
    TRY(open_keys(r, d));
    for (size_t i = 0; i < r->n; i++)
        TRY(replay_file(r, i, d));
    return OK;
}

static enum err open_account(struct account *a, struct diag *d)
{
    struct replay r = {.a = a};
    pthread_mutex_lock(&a->log_lock);
    log_retire(a); /* of before a lock: what was on its way has reached the disk now */
    pthread_mutex_unlock(&a->log_lock);
    enum err e = replay_init(&r, a, d);
    if (e == OK) e = replay_all(&r, d);
    pthread_mutex_lock(&a->lock);
    bool ours = a->state == ACCOUNT_OPENING && a->epoch == r.epoch;
    if (e == OK && ours) {
        a->state = ACCOUNT_OPEN;
    } else if (ours) {
        close_door(a, ACCOUNT_CLOSED);
    }
    pthread_mutex_unlock(&a->lock);
    replay_release(&r);
    if (e == OK && !ours) return account_refuse(a, d);
    if (e == OK) LOG(INFO, "account.opened", F_U64("logs", r.n), F_U64("rows", r.rows));
    return e;
}

enum err store_account_open(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = NULL;
    TRY(store_account_get(s, account, &a, d));
    LOCK_SCOPE(&a->open_lock);
    pthread_mutex_lock(&a->lock);
    bool open = a->state == ACCOUNT_OPEN;
    pthread_mutex_unlock(&a->lock);
    if (open) return spool_drain(a, d);
    /* A flush from before a lock may still drop log files. */
    pthread_mutex_lock(&a->flush_lock);
    enum err e = open_account(a, d);
    pthread_mutex_unlock(&a->flush_lock);
    if (e != OK) return e;
    flusher_kick(s);
    return spool_drain(a, d);
}

void account_free(struct account *a)
{
    wal_unref(a->wal);
    spool_free(a->spool);
    map_release(&a->log_ids);
    while (a->logs != NULL) {
        struct log_file *f = a->logs;
        a->logs = f->next;
        log_file_free(f);
    }
    pthread_mutex_destroy(&a->open_lock);
    pthread_mutex_destroy(&a->flush_lock);
    pthread_mutex_destroy(&a->log_lock);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->left);
    free(a->wal_dir);
    free(a);
}
