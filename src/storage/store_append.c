/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_append.c - rows into the log, and from there into the memtable
 *
 * (1) A batch is stored whole or not at all: its records are one group of the log, its rows enter
 *     one memtable in one go.
 * (2) Its id is claimed while the account is open, and the batch is written in the same epoch: by
 *     then a replay has brought all ids that the logs know.
 */
#include "storage/store_impl.h"

#include <stdlib.h>

#define ATTEMPTS     5 /* files that end between two calls */
#define ROOM_WAIT_US (10 * US_PER_S)

/* As much waits for the disk at most: then appends wait for the flusher. */
static uint64_t waiting_rows(const struct part *p)
{
    uint64_t rows = p->active->rows;
    for (const struct memtable *m = p->frozen; m != NULL; m = m->next)
        rows += m->rows;
    return rows;
}

static enum err wait_for_room(struct part *p, struct diag *d)
{
    struct account *a = p->account;
    uint64_t max = (uint64_t)a->store->c.memtable_rows_max * 4;
    int64_t give_up = time_mono_us() + ROOM_WAIT_US;
    LOCK_SCOPE(&a->lock);
    while (a->state == ACCOUNT_OPEN && waiting_rows(p) >= max) {
        if (!cond_wait_until(&a->left, &a->lock, give_up)) {
            return FAIL(d, ERR_UNAVAILABLE,
                        "rows arrive faster than they can be written to segments");
        }
    }
    return OK; /* if it is not open, log_acquire() says why */
}

/* --- one batch on its way
 * ------------------------------------------------------------------------------ */

void outgoing_release(struct outgoing *o)
{
    for (uint32_t i = 0; i < o->n; i++) {
        buf_release(&o->records[i]);
        piece_unref(o->pieces[i]);
    }
    free(o->records);
    free(o->pieces);
}

static enum err outgoing_add(struct outgoing *o, struct buf *record, struct piece **piece,
                             struct diag *d)
{
    if (o->n == o->cap) {
        uint32_t cap = o->cap != 0 ? o->cap * 2 : 1;
        struct buf *records = realloc(o->records, cap * sizeof *records);
        if (records != NULL) o->records = records;
        struct piece **pieces = realloc(o->pieces, cap * sizeof(struct piece *));
        if (pieces != NULL) o->pieces = pieces;
        if (records == NULL || pieces == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        o->cap = cap;
    }
    o->records[o->n] = *record;
    *record = (struct buf){0};
    o->pieces[o->n++] = TAKE(*piece);
    return OK;
}

static enum err encode(struct outgoing *o, const struct batch *rows, struct diag *d);

/* Two halves, where the whole does not fit into one record. */
static enum err encode_halves(struct outgoing *o, const struct batch *rows, struct diag *d)
{
    if (rows->n_rows == 1) {
        return FAIL(d, ERR_LIMIT, "a row of more than %u bytes", (unsigned)WAL_RECORD_MAX);
    }
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, 0);
    uint32_t half = rows->n_rows / 2;
    struct batch part;
    TRY(batch_slice(&arena, rows, 0, half, &part, d));
    TRY(encode(o, &part, d));
    TRY(batch_slice(&arena, rows, half, rows->n_rows - half, &part, d));
    return encode(o, &part, d);
}

enum err received_piece(struct piece **out, const struct schema *named, const struct batch *rows,
                        int64_t time_us, struct diag *d)
{
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, 0);
    struct batch stored;
    int time_col = table_time_column(named);
    TRY(rows_received(rows, time_us, &arena, &stored, d));
    return piece_new(out, &stored, time_col >= 0 ? time_col + 1 : -1, ticks_now(), d);
}

static enum err encode(struct outgoing *o, const struct batch *rows, struct diag *d)
{
    if (rows->n_rows > UNIT_ROWS) return encode_halves(o, rows, d);
    CLEANUP_BUF struct buf record = {.max = (size_t)WAL_RECORD_MAX * 4};
    struct diag why = DIAG_INIT;
    wal_record_begin(&record, RECORD_ROWS);
    rows_head_encode(&o->head, &record);
    enum err e = rows_encode(o->schema, rows, &record, &why);
    if (record.bad || record.len > WAL_RECORD_MAX) return encode_halves(o, rows, d);
    if (e != OK) return FAIL(d, e, "%s", why.text);
    CLEANUP(piece_unref) struct piece *piece = NULL;
    TRY(received_piece(&piece, o->schema, rows, o->head.time_us, d));
    o->rows += rows->n_rows;
    return outgoing_add(o, &record, &piece, d);
}

enum err outgoing_init(struct outgoing *o, struct table *t, struct account *a,
                       const struct batch *rows, struct schema *its, struct diag *d)
{
    const struct schema *all = store_table_schema(t);
    /* A batch that was made before a column was added is welcome: columns are only added at the
     * end. */
    if (rows->n_cols == 0 || rows->n_cols > all->n) {
        return FAIL(d, ERR_INVALID, "rows of %u columns for a table of %u", rows->n_cols, all->n);
    }
    *its = (struct schema){rows->n_cols, all->cols};
    o->schema = its;
    o->head = (struct rows_head){.table = t->id, .time_us = time_now_us()};
    return store_part_get(t, a, &o->part, d);
}

enum err outgoing_add_batch(struct outgoing *o, const struct batch *rows, struct diag *d)
{
    uint32_t first = o->n;
    TRY(encode(o, rows, d));
    for (uint32_t i = first; i < o->n; i++)
        rows_head_set_left(o->records[i].p + WAL_RECORD_HEAD, o->n - 1 - i);
    return OK;
}

static void pending_begin(struct pending *x)
{
    struct account *a = x->part->account;
    LOCK_SCOPE(&a->lock);
    x->next = a->pending;
    x->at = &a->pending;
    if (x->next != NULL) x->next->at = &x->next;
    a->pending = x;
}

static void pending_end(struct pending *x)
{
    struct account *a = x->part->account;
    LOCK_SCOPE(&a->lock);
    *x->at = x->next;
    if (x->next != NULL) x->next->at = x->at;
}

static bool is_full(const struct store *s, const struct memtable *m)
{
    return m->rows >= s->c.memtable_rows_max || m->bytes >= MEMTABLE_BYTES_MAX;
}

static int64_t newest_time(const struct pending *x)
{
    int64_t t = INT64_MIN;
    for (uint32_t i = 0; i < x->n_pieces; i++) {
        if (x->pieces[i]->time_max > t) t = x->pieces[i]->time_max;
    }
    return t;
}

/* Called in the order of the log numbers, when the rows are durable. (1) */
static void committed(void *arg, uint64_t number)
{
    struct pending *x = arg;
    struct part *p = x->part;
    struct account *a = p->account;
    bool kick; /* the flusher: there is something to flush now, or something that will get old */
    {
        LOCK_SCOPE(&a->lock);
        log_note(x->log, &p->table->id, number, newest_time(x));
        log_note_id(x->log, x->ids_us);
        /* Locked meanwhile: the rows are in the log, and the next open replays them. */
        if (a->state != ACCOUNT_OPEN || a->epoch != x->epoch) return;
        kick = p->active->rows == 0;
        for (uint32_t i = 0; i < x->n_pieces; i++)
            memtable_add(p->active, TAKE(x->pieces[i]), number);
        x->n_pieces = 0;
        kick = kick || is_full(a->store, p->active);
    }
    if (kick) flusher_kick(a->store);
}

/* Nothing was written, and another file will do if the key is there: a lease may have ended and
 * come back. */
static bool file_has_ended(enum err e)
{
    return e == ERR_CONFLICT || e == ERR_UNAVAILABLE || e == ERR_KEY_LOCKED;
}

static enum err check_key(struct account *a)
{
    struct keys *k = &a->store->c.keys;
    return k->ops->check(k->self, a->id, NULL);
}

static enum err append_once(struct pending *x, struct outgoing *o, struct diag *d)
{
    CLEANUP(wal_unref) struct wal *w = NULL;
    TRY(log_acquire(x, &w, d));
    return wal_append(w, o->records, o->n, committed, x, d);
}

static enum err append_records(struct outgoing *o, uint64_t epoch, bool has_id, struct diag *d)
{
    struct account *a = o->part->account;
    struct pending x = {.part = o->part,
                        .pieces = o->pieces,
                        .n_pieces = o->n,
                        .epoch = epoch,
                        .ids_us = has_id ? o->head.time_us : 0};
    pending_begin(&x);
    struct diag why = DIAG_INIT;
    enum err e = append_once(&x, o, &why);
    for (int again = 0; again < ATTEMPTS && file_has_ended(e) && check_key(a) == OK; again++) {
        diag_reset(&why);
        e = append_once(&x, o, &why);
    }
    pending_end(&x);
    if (e == ERR_CONFLICT) e = ERR_UNAVAILABLE; /* "conflict" means something else to our caller */
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

enum err outgoing_append(struct outgoing *o, uint64_t epoch, bool has_id, struct diag *d)
{
    TRY(wait_for_room(o->part, d));
    return append_records(o, epoch, has_id, d);
}

static enum err append_batch(struct outgoing *o, const struct batch *rows, uint64_t epoch,
                             bool has_id, struct diag *d)
{
    TRY(outgoing_add_batch(o, rows, d));
    return outgoing_append(o, epoch, has_id, d);
}

/* (2) Before the door opens again it is another epoch. */
enum err account_epoch(struct account *a, uint64_t *epoch, struct diag *d)
{
    pthread_mutex_lock(&a->lock);
    bool open = a->state == ACCOUNT_OPEN;
    *epoch = a->epoch;
    pthread_mutex_unlock(&a->lock);
    return open ? OK : account_refuse(a, d);
}

enum err store_append_once(struct store *s, struct table *t, const uint8_t account[16],
                           const struct batch *rows, const uint8_t *id, bool *repeated,
                           struct diag *d)
{
    struct schema its;
    struct account *a = NULL;
    uint64_t epoch = 0;
    bool fresh = true;
    CLEANUP_LOCAL(outgoing_release) struct outgoing o = {0};
    TRY(s->c.keys.ops->check(s->c.keys.self, account, d));
    TRY(store_account_get(s, account, &a, d));
    TRY(outgoing_init(&o, t, a, rows, &its, d));
    TRY(account_epoch(a, &epoch, d));
    if (a->spooled)
        return FAIL(d, ERR_UNAVAILABLE, "spooled rows are being put back first"); /* (22) */
    *repeated = false;
    if (rows->n_rows == 0) return OK;
    if (id == NULL) return append_batch(&o, rows, epoch, false, d);

    memcpy(o.head.batch, id, sizeof o.head.batch);
    TRY(dedupe_begin(s->dedupe, id, o.head.time_us, &fresh, d));
    *repeated = !fresh;
    if (!fresh) return OK;
    enum err e = append_batch(&o, rows, epoch, true, d);
    dedupe_end(s->dedupe, id, e == OK);
    return e;
}

enum err store_append(struct store *s, struct table *t, const uint8_t account[16],
                      const struct batch *rows, struct diag *d)
{
    bool repeated;
    return store_append_once(s, t, account, rows, NULL, &repeated, d);
}

bool store_batch_known(struct store *s, const uint8_t id[16])
{
    return dedupe_knows(s->dedupe, id, time_now_us());
}
