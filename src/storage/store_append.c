/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_append.c - rows into the log, and from there into the memtable */
#include "storage/store_impl.h"

#include "storage/rows.h"

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

static void pending_begin(struct pending *x)
{
    struct account *a = x->part->account;
    LOCK_SCOPE(&a->lock);
    x->epoch = a->epoch;
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
    piece_unref(x->piece);
}

static bool is_full(const struct store *s, const struct memtable *m)
{
    return m->rows >= s->c.memtable_rows_max || m->bytes >= MEMTABLE_BYTES_MAX;
}

/* Called in the order of the log numbers, when the rows are durable. */
static void committed(void *arg, uint64_t number)
{
    struct pending *x = arg;
    struct part *p = x->part;
    struct account *a = p->account;
    bool kick; /* the flusher: there is something to flush now, or something that will get old */
    {
        LOCK_SCOPE(&a->lock);
        log_note(x->log, &p->table->id, number, x->piece->time_max);
        /* Locked meanwhile: the rows are in the log, and the next open replays them. */
        if (a->state != ACCOUNT_OPEN || a->epoch != x->epoch) return;
        kick = p->active->rows == 0;
        memtable_add(p->active, TAKE(x->piece), number);
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

static enum err append_once(struct pending *x, struct buf *record, struct diag *d)
{
    CLEANUP(wal_unref) struct wal *w = NULL;
    TRY(log_acquire(x, &w, d));
    return wal_append(w, record, committed, x, d);
}

static enum err append_record(struct part *p, struct buf *record, struct piece *piece,
                              struct diag *d)
{
    struct pending x = {.part = p, .piece = piece};
    piece_ref(piece);
    pending_begin(&x);
    struct diag why = DIAG_INIT;
    enum err e = append_once(&x, record, &why);
    for (int again = 0; again < ATTEMPTS && file_has_ended(e) && check_key(p->account) == OK;
         again++) {
        diag_reset(&why);
        e = append_once(&x, record, &why);
    }
    pending_end(&x);
    if (e == ERR_CONFLICT) e = ERR_UNAVAILABLE; /* "conflict" means something else to our caller */
    return e == OK ? OK : FAIL(d, e, "%s", why.text);
}

static enum err encode_record(const struct table *t, const struct schema *s,
                              const struct batch *rows, struct buf *out, struct diag *d)
{
    out->max = (size_t)WAL_RECORD_MAX * 4;
    wal_record_begin(out, RECORD_ROWS);
    buf_bytes(out, BYTES_OF(t->id));
    return rows_encode(s, rows, out, d);
}

static enum err append_part(struct part *p, const struct schema *s, const struct batch *rows,
                            struct diag *d);

/* Two halves, where the whole does not fit into one record. */
static enum err append_halves(struct part *p, const struct schema *s, const struct batch *rows,
                              struct diag *d)
{
    if (rows->n_rows == 1) {
        return FAIL(d, ERR_LIMIT, "a row of more than %u bytes", (unsigned)WAL_RECORD_MAX);
    }
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, 0);
    uint32_t half = rows->n_rows / 2;
    struct batch part;
    TRY(batch_slice(&arena, rows, 0, half, &part, d));
    TRY(append_part(p, s, &part, d));
    TRY(batch_slice(&arena, rows, half, rows->n_rows - half, &part, d));
    return append_part(p, s, &part, d);
}

static enum err append_part(struct part *p, const struct schema *s, const struct batch *rows,
                            struct diag *d)
{
    if (rows->n_rows > UNIT_ROWS) return append_halves(p, s, rows, d);
    CLEANUP_BUF struct buf record = {0};
    struct diag why = DIAG_INIT;
    enum err e = encode_record(p->table, s, rows, &record, &why);
    if (record.bad || record.len > WAL_RECORD_MAX) return append_halves(p, s, rows, d);
    if (e != OK) return FAIL(d, e, "%s", why.text);
    CLEANUP(piece_unref) struct piece *piece = NULL;
    TRY(piece_new(&piece, rows, table_time_column(s), ticks_now(), d));
    TRY(wait_for_room(p, d));
    return append_record(p, &record, piece, d);
}

enum err store_append(struct store *s, struct table *t, const uint8_t account[16],
                      const struct batch *rows, struct diag *d)
{
    const struct schema *all = t->schema;
    /* A batch that was made before a column was added is welcome: columns are only added at the
     * end. */
    if (rows->n_cols == 0 || rows->n_cols > all->n) {
        return FAIL(d, ERR_INVALID, "rows of %u columns for a table of %u", rows->n_cols, all->n);
    }
    struct schema its = {rows->n_cols, all->cols};
    struct account *a = NULL;
    struct part *p = NULL;
    TRY(s->c.keys.ops->check(s->c.keys.self, account, d));
    TRY(store_account_get(s, account, &a, d));
    TRY(store_part_get(t, a, &p, d));
    return rows->n_rows != 0 ? append_part(p, &its, rows, d) : OK;
}
