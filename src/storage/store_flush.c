/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_flush.c - memtables into segments, in the background or on request
 *
 * (1) Memtables of a part are written in the order in which they were frozen, so `covered` only
 *     grows.
 * (2) Segment and `covered` enter the catalogue in one transaction: before it the rows are in the
 *     log, after it in the segment, never in both and never in neither, wherever the process dies.
 * (3) What follows the transaction in memory cannot fail.
 * (4) Whatever fails in the background is tried again; nothing but flusher_stop() ends that thread.
 */
#include "storage/spool.h"

#include "base/log.h"

#include <stdlib.h>

#define RETRY_US (5 * US_PER_S)
#define IDLE_US  (3600 * US_PER_S)

struct flush { /* of one memtable */
    struct part *part;
    struct memtable *m; /* in part->frozen as long as the epoch is ours */
    uint64_t epoch, last;
    struct piece **pieces;
    uint32_t n_pieces;
    struct file_key *key;
    struct segment_writer *writer;
    struct segment_entry entry;
    struct live_segment *segment;
};

static enum err gate_enter(void *ctx, struct diag *d)
{
    struct flush *f = ctx;
    return account_enter(f->part->account, f->epoch, d);
}

static void gate_leave(void *ctx)
{
    struct flush *f = ctx;
    account_leave(f->part->account);
}

/* Rows of the part are in this file and in no segment. account.lock. */
static bool holds_back(const struct part *p, const struct log_file *f)
{
    const struct log_table *x = f != NULL ? log_find(f, &p->table->id) : NULL;
    return x != NULL && x->last > p->covered;
}

/* account.lock. */
static bool is_due(const struct part *p, const struct log_file *overdue, int64_t now_us)
{
    const struct store_config *c = &p->table->store->c;
    const struct memtable *m = p->active;
    return m->rows >= c->memtable_rows_max || m->bytes >= MEMTABLE_BYTES_MAX ||
           m->born_us + (int64_t)c->memtable_age_s * US_PER_S <= now_us || holds_back(p, overdue);
}

/* account.lock. Moves the active memtable behind the frozen ones. */
static enum err freeze(struct part *p, struct diag *d)
{
    struct memtable *fresh = memtable_new();
    if (fresh == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    struct memtable **at = &p->frozen;
    while (*at != NULL)
        at = &(*at)->next;
    *at = p->active;
    p->active = fresh;
    return OK;
}

/* The oldest memtable that is to be written; f->m NULL: none. */
static enum err pick(struct flush *f, bool all, struct diag *d)
{
    struct part *p = f->part;
    struct account *a = p->account;
    LOCK_SCOPE(&a->lock);
    if (a->state != ACCOUNT_OPEN) return OK;
    if (p->frozen == NULL && p->active->rows != 0 &&
        (all || is_due(p, log_overdue(a), time_now_us()))) {
        TRY(freeze(p, d));
    }
    if (p->frozen == NULL) return OK;
    TRY(memtable_pieces(p->frozen, &f->pieces, d));
    f->m = p->frozen;
    f->n_pieces = f->m->n_pieces;
    f->epoch = a->epoch;
    f->last = f->m->last;
    f->entry.time_min = f->m->time_min;
    f->entry.time_max = f->m->time_max;
    return OK;
}

static void set_writer(struct account *a, struct segment_writer *w)
{
    LOCK_SCOPE(&a->lock);
    a->writer = w;
}

static enum err write_segment(struct flush *f, struct diag *d)
{
    struct account *a = f->part->account;
    struct store *s = a->store;
    const struct schema *schema = &f->part->table->schema->stored;
    struct gate gate = {gate_enter, gate_leave, f};
    struct segment_source source = {schema, f->pieces, f->n_pieces, table_time_column(schema)};
    struct segment_entry *e = &f->entry;
    e->workspace = f->part->table->workspace;
    e->table = f->part->table->id;
    memcpy(e->account, a->id, sizeof e->account);
    TRY(manifest_new_file_id(s->manifest, e->file_id, d));
    TRY(s->c.keys.ops->create(s->c.keys.self, a->id, OTYPE_SEGMENT, e->file_id, &f->key, d));
    TRY(segment_writer_new(&f->writer, s->blobs, f->key, &gate, d));
    set_writer(a, f->writer);
    enum err err = segment_write(f->writer, &source, e, d);
    set_writer(a, NULL);
    return err;
}

/* (2) Sealed first: manifest.h (2). */
static enum err commit(struct flush *f, struct diag *d)
{
    struct store *s = f->part->account->store;
    char segment_id[33], table_id[33], account_id[33], covered[66];
    CLEANUP_BUF struct buf body = {0}, segment = {0}, mark = {0};
    id_hex(f->entry.file_id, segment_id);
    id_hex(f->entry.table.b, table_id);
    id_hex(f->entry.account, account_id);
    covered_id(&f->entry.table, f->entry.account, covered);
    TRY(segment_value_seal(s->manifest, segment_id, &f->entry, &segment, d));
    TRY(covered_encode(f->last, &body, d));
    TRY(manifest_seal(s->manifest, "covered", covered, buf_view(&body), &mark, d));
    const struct entry_change changes[] = {
        {"segment", segment_id, table_id, buf_view(&segment)},
        {"covered", covered, account_id, buf_view(&mark)},
    };
    return store_commit(s, changes, 2, d);
}

/* Room for one more segment, so that nothing can fail once the catalogue has it (3). */
static enum err prepare(struct flush *f, struct diag *d)
{
    struct part *p = f->part;
    TRY(live_segment_new(p->account->store, &f->entry, &f->segment, d));
    LOCK_SCOPE(&p->account->lock);
    return part_reserve_segment(p, d);
}

static void adopt(struct flush *f)
{
    struct part *p = f->part;
    struct account *a = p->account;
    LOCK_SCOPE(&a->lock);
    p->segments[p->n_segments++] = TAKE(f->segment);
    p->covered = f->last;
    if (a->epoch == f->epoch) { /* else the lock has freed it */
        p->frozen = f->m->next;
        memtable_free(f->m);
    }
    pthread_cond_broadcast(&a->left); /* appends that wait for room */
}

static void flush_release(struct flush *f)
{
    struct keys *k = &f->part->account->store->c.keys;
    segment_writer_free(f->writer);
    k->ops->release(k->self, f->key);
    for (uint32_t i = 0; i < f->n_pieces; i++)
        piece_unref(f->pieces[i]);
    free(f->pieces);
    live_segment_unref(f->segment);
}

static enum err flush_picked(struct flush *f, struct diag *d)
{
    int64_t start = time_mono_us();
    struct store *s = f->part->account->store;
    TRY(write_segment(f, d));
    enum err e = prepare(f, d);
    if (e == OK) e = commit(f, d);
    if (e != OK) {
        doubt_segment(s, f->entry.file_id); /* its entry may come to life yet */
        return e;
    }
    adopt(f);
    LOG(INFO, "segment.written", F_U64("rows", f->entry.rows), F_U64("bytes", f->entry.length),
        F_U64("took_us", time_mono_us() - start));
    return OK;
}

static enum err flush_part(struct part *p, bool all, struct diag *d)
{
    for (;;) {
        struct flush f = {.part = p};
        enum err e = pick(&f, all, d);
        bool more = e == OK && f.m != NULL;
        if (more) e = flush_picked(&f, d);
        flush_release(&f);
        if (e != OK || !more) return e;
    }
}

enum err flush_account(struct account *a, bool all, struct diag *d)
{
    LOCK_SCOPE(&a->flush_lock);
    pthread_mutex_lock(&a->lock);
    struct part *first = a->parts; /* parts that come later have new rows only */
    pthread_mutex_unlock(&a->lock);
    for (struct part *p = first; p != NULL; p = p->next_of_account)
        TRY(flush_part(p, all, d));
    TRY(log_drop_covered(a, d));
    return log_finish_entries(a, d);
}

enum err store_flush(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = store_account_find(s, account);
    return a != NULL ? flush_account(a, true, d) : OK;
}

/* --- in the background
 * ------------------------------------------------------------------------------ */

static int64_t due_of(struct account *a, int64_t now)
{
    LOCK_SCOPE(&a->lock);
    int64_t due = now + IDLE_US, drop = log_drop_due(a);
    if (a->state != ACCOUNT_OPEN) return due;
    if (drop < due) due = drop;
    const struct log_file *overdue = log_overdue(a);
    for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        int64_t x = due;
        if (p->frozen != NULL) { /* the last attempt failed */
            x = now + RETRY_US;
        } else if (p->active->rows != 0) {
            x = is_due(p, overdue, now)
                    ? now
                    : p->active->born_us + (int64_t)a->store->c.memtable_age_s * US_PER_S;
        }
        if (x < due) due = x;
    }
    return due;
}

static struct account *first_account(struct store *s)
{
    LOCK_SCOPE(&s->lock);
    return s->accounts;
}

static int64_t next_due(struct store *s)
{
    int64_t now = time_now_us(), due = now + IDLE_US;
    for (struct account *a = first_account(s); a != NULL; a = a->next) {
        int64_t x = due_of(a, now);
        if (x < due) due = x;
    }
    return due;
}

static bool flush_due(struct account *a)
{
    struct diag d = DIAG_INIT;
    enum err e = flush_account(a, false, &d);
    if (e == OK) return true;
    char hex[33];
    id_hex(a->id, hex);
    LOG(WARN, "store.flush_failed", F_STR("account", hex), F_ERR(&d));
    return false;
}

/* A merge that fails - a lock in the middle, a full disk - has changed nothing, and can wait. */
static void compact_due(struct account *a)
{
    struct diag d = DIAG_INIT;
    bool merged = !a->store->c.merge_on_request;
    while (merged && !a->store->stopping && compact_account(a, &merged, &d) == OK)
        continue;
    if (d.text[0] != '\0') LOG(INFO, "store.merge_failed", F_ERR(&d));
}

static void *flusher(void *arg)
{
    struct store *s = arg;
    int64_t retry = INT64_MAX;
    while (!s->stopping) {
        int64_t due = next_due(s);
        timer_wait(s->timer, retry != INT64_MAX ? retry : due); /* (4), but not at once */
        if (s->stopping) break;
        bool failed = false;
        for (struct account *a = first_account(s); a != NULL; a = a->next)
            failed = !flush_due(a) || !spool_tidy(a) || failed;
        for (struct account *a = first_account(s); a != NULL && !s->stopping; a = a->next)
            compact_due(a);
        retry = failed ? time_now_us() + RETRY_US : INT64_MAX;
    }
    return NULL;
}

enum err flusher_start(struct store *s, struct diag *d)
{
    s->timer = timer_new();
    if (s->timer == NULL) return FAIL(d, ERR_LIMIT, "no timer is left for the store");
    enum err e = thread_start(&s->flusher, flusher, s, d);
    if (e != OK) {
        timer_free(TAKE(s->timer));
        return e;
    }
    s->flusher_runs = true;
    return OK;
}

void flusher_stop(struct store *s)
{
    if (!s->flusher_runs) return;
    s->stopping = true;
    timer_wake(s->timer);
    pthread_join(s->flusher, NULL);
    timer_free(TAKE(s->timer));
    s->flusher_runs = false;
}

void flusher_kick(struct store *s)
{
    if (s->flusher_runs) timer_wake(s->timer);
}
