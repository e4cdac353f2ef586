/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_compact.c - many small segments become one, in the background
 *
 * (1) Only neighbours are merged: of one table in one account, of one size class, within a day. So
 *     retention, which takes whole files, waits a day more at most, and each row is written again a
 *     few times in its life.
 * (2) One transaction takes the old entries out and puts the new one in: wherever the process dies
 *     each row is in exactly one segment that the catalogue names.
 * (3) A scan begins before that moment or after it (store.moves); one that began before keeps the
 *     old files.
 * (4) Rows are in pieces that a lock wipes, as a scan's; nothing else holds them outside of the
 *     gate. A lock in the middle ends the merge, and nothing has changed.
 */
#include "storage/store_impl.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

#define SMALL_ROWS   32768u               /* a segment of so many rows is left alone */
#define MERGED_ROWS  262144u              /* of all in one merge */
#define MERGED_BYTES ((uint64_t)64 << 20) /* before compression, of all in one merge */
#define MERGE_MIN    8u                   /* segments */
#define MERGE_MAX    32u
#define DAY          (86400 * TICKS_PER_S)

struct merge {
    struct part *part;
    struct live_segment *old[MERGE_MAX];
    struct scan_part *reads[MERGE_MAX]; /* each with the pieces of its segment */
    uint32_t n;
    uint64_t rows;
    const struct schema *schema;
    struct file_key *key;
    struct segment_writer *writer;
    struct segment_entry entry;
    struct live_segment *fresh;
    struct piece **pieces; /* borrowed from reads */
    uint32_t n_pieces;
};

static void merge_release(struct merge *m)
{
    struct keys *k = &m->part->account->store->c.keys;
    segment_writer_free(m->writer);
    k->ops->release(k->self, m->key);
    for (uint32_t i = 0; i < m->n; i++) {
        if (m->reads[i] != NULL) scan_part_close(m->reads[i]);
        live_segment_unref(m->old[i]);
    }
    free(m->pieces);
    live_segment_unref(m->fresh);
}

/* --- which ones (1)
 * ------------------------------------------------------------------------------------- */

static unsigned size_class(uint64_t rows)
{
    unsigned c = 0;
    for (; rows >= 64; rows /= 8)
        c++;
    return c;
}

static int by_class_and_time(const void *a, const void *b)
{
    const struct live_segment *x = *(struct live_segment *const *)a,
                              *y = *(struct live_segment *const *)b;
    unsigned cx = size_class(x->entry.rows), cy = size_class(y->entry.rows);
    if (cx != cy) return cx < cy ? -1 : 1;
    if (x->entry.time_min == y->entry.time_min) return 0;
    return x->entry.time_min < y->entry.time_min ? -1 : 1;
}

static bool fits(const struct merge *m, const struct live_segment *first,
                 const struct live_segment *g, int64_t time_max, uint64_t bytes)
{
    return m->n < MERGE_MAX && size_class(g->entry.rows) == size_class(first->entry.rows) &&
           m->rows + g->entry.rows <= MERGED_ROWS && bytes + g->entry.raw_bytes <= MERGED_BYTES &&
           (g->entry.time_max > time_max ? g->entry.time_max : time_max) - first->entry.time_min <=
               DAY;
}

/* The longest run that begins at the first of n sorted ones. */
static void take_run(struct merge *m, struct live_segment *const *sorted, uint32_t n)
{
    int64_t time_max = sorted[0]->entry.time_max;
    uint64_t bytes = 0;
    m->n = 0;
    m->rows = 0;
    for (uint32_t i = 0; i < n && fits(m, sorted[0], sorted[i], time_max, bytes); i++) {
        m->old[m->n++] = sorted[i];
        m->rows += sorted[i]->entry.rows;
        bytes += sorted[i]->entry.raw_bytes;
        if (sorted[i]->entry.time_max > time_max) time_max = sorted[i]->entry.time_max;
    }
}

/* References to those of the first run that is worth it; m->n 0: none. */
static enum err pick(struct merge *m, struct diag *d)
{
    struct part *p = m->part;
    struct account *a = p->account;
    LOCK_SCOPE(&a->lock);
    if (a->state != ACCOUNT_OPEN || p->n_segments < MERGE_MIN) return OK;
    CLEANUP_FREE struct live_segment **sorted =
        calloc(p->n_segments, sizeof(struct live_segment *));
    if (sorted == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_segments; i++) {
        const struct segment_entry *e = &p->segments[i]->entry;
        if (e->rows < SMALL_ROWS && e->time_max - e->time_min <= DAY) sorted[n++] = p->segments[i];
    }
    qsort(sorted, n, sizeof(struct live_segment *), by_class_and_time);
    for (uint32_t i = 0; i < n && m->n < MERGE_MIN; i += m->n != 0 ? m->n : 1)
        take_run(m, sorted + i, n - i);
    if (m->n < MERGE_MIN) m->n = 0;
    for (uint32_t i = 0; i < m->n; i++)
        live_segment_ref(m->old[i]);
    return OK;
}

/* --- reading (4)
 * ---------------------------------------------------------------------------------------- */

struct group { /* of one segment, on its way into a piece */
    struct merge *m;
    struct scan_part *sp;
    uint32_t no, rows;
    int *columns; /* of the file; -1: it is older than the column */
    struct buf *sealed;
};

static void group_release(struct group *g)
{
    for (uint32_t i = 0; g->sealed != NULL && i < g->m->schema->n; i++)
        buf_release(&g->sealed[i]);
    free(g->sealed);
    free(g->columns);
}

/* Inside for a moment: where the column lies. Then outside, from the disk. */
static enum err load_column(struct group *g, uint32_t i, struct diag *d)
{
    struct account *a = g->m->part->account;
    const struct column *c = &g->m->schema->cols[i];
    const struct live_segment *s = g->sp->segments[0];
    struct segment_extent x = {0};
    TRY(account_enter(a, g->sp->epoch, d));
    g->rows = segment_group_rows(g->sp->readers[0], g->no);
    g->columns[i] = segment_column(g->sp->readers[0], c->name, c->type);
    if (g->columns[i] >= 0) x = segment_chunk(g->sp->readers[0], g->no, g->columns[i]);
    account_leave(a);
    if (x.n_blocks == 0) return OK;
    struct blobs *b = a->store->blobs;
    return b->ops->read(b, s->entry.file_id, x.offset, x.length, &g->sealed[i], d);
}

static enum err open_column(const struct group *g, uint32_t i, struct arena *a, struct vec *out,
                            struct diag *d)
{
    if (g->columns[i] < 0) return rows_absent(g->m->schema->cols[i].type, g->rows, a, out, d);
    return segment_chunk_open(g->sp->readers[0], g->no, g->columns[i], buf_view(&g->sealed[i]), a,
                              out, d);
}

/* Inside: from ciphertext to a piece of the scan part, with nothing left beside it. */
static enum err open_group(struct group *g, struct diag *d)
{
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, (size_t)1 << 30);
    const struct schema *s = g->m->schema;
    struct batch rows = {.n_rows = g->rows, .n_cols = s->n};
    rows.cols = arena_array(&arena, struct vec, s->n);
    if (rows.cols == NULL) return arena_full(&arena, d);
    for (uint32_t i = 0; i < s->n; i++)
        TRY(open_column(g, i, &arena, &rows.cols[i], d));
    struct piece **more = realloc(g->sp->pieces, (g->sp->n_pieces + 1) * sizeof(struct piece *));
    if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    g->sp->pieces = more;
    TRY(piece_new(&more[g->sp->n_pieces], &rows, table_time_column(s), ticks_now(), d));
    g->sp->n_pieces++;
    return OK;
}

static enum err read_group(struct merge *m, struct scan_part *sp, uint32_t no, struct diag *d)
{
    CLEANUP_LOCAL(group_release) struct group g = {.m = m, .sp = sp, .no = no};
    g.columns = calloc(m->schema->n, sizeof *g.columns);
    g.sealed = calloc(m->schema->n, sizeof *g.sealed);
    if (g.columns == NULL || g.sealed == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < m->schema->n; i++)
        TRY(load_column(&g, i, d));
    TRY(account_enter(m->part->account, sp->epoch, d));
    enum err e = open_group(&g, d);
    account_leave(m->part->account);
    return e;
}

static enum err read_segment(struct merge *m, uint32_t i, struct diag *d)
{
    TRY(scan_segment_open(m->part, m->old[i], &m->reads[i], d));
    struct scan_part *sp = m->reads[i];
    TRY(account_enter(m->part->account, sp->epoch, d));
    uint32_t n = segment_groups(sp->readers[0]);
    account_leave(m->part->account);
    for (uint32_t g = 0; g < n; g++)
        TRY(read_group(m, sp, g, d));
    m->n_pieces += sp->n_pieces;
    return OK;
}

static enum err read_all(struct merge *m, struct diag *d)
{
    for (uint32_t i = 0; i < m->n; i++)
        TRY(read_segment(m, i, d));
    m->pieces = calloc(m->n_pieces + 1, sizeof(struct piece *));
    if (m->pieces == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        for (uint32_t k = 0; k < m->reads[i]->n_pieces; k++)
            m->pieces[n++] = m->reads[i]->pieces[k];
    }
    return OK;
}

/* --- writing
 * ------------------------------------------------------------------------------------------ */

static enum err gate_enter(void *ctx, struct diag *d)
{
    struct merge *m = ctx;
    return account_enter(m->part->account, m->reads[0]->epoch, d);
}

static void gate_leave(void *ctx)
{
    struct merge *m = ctx;
    account_leave(m->part->account);
}

static void set_writer(struct account *a, struct segment_writer *w)
{
    LOCK_SCOPE(&a->lock);
    a->writer = w;
}

static void describe(struct merge *m)
{
    m->entry = m->old[0]->entry;
    for (uint32_t i = 1; i < m->n; i++) {
        const struct segment_entry *e = &m->old[i]->entry;
        if (e->time_min < m->entry.time_min) m->entry.time_min = e->time_min;
        if (e->time_max > m->entry.time_max) m->entry.time_max = e->time_max;
    }
}

static enum err write_merged(struct merge *m, struct diag *d)
{
    struct account *a = m->part->account;
    struct store *s = a->store;
    struct gate gate = {gate_enter, gate_leave, m};
    struct segment_source source = {m->schema, m->pieces, m->n_pieces,
                                    table_time_column(m->schema)};
    describe(m);
    TRY(manifest_new_file_id(s->manifest, m->entry.file_id, d));
    TRY(s->c.keys.ops->create(s->c.keys.self, a->id, OTYPE_SEGMENT, m->entry.file_id, &m->key, d));
    TRY(segment_writer_new(&m->writer, s->blobs, m->key, &gate, d));
    set_writer(a, m->writer);
    enum err e = segment_write(m->writer, &source, &m->entry, d);
    set_writer(a, NULL);
    TRY(e);
    if (m->entry.rows == m->rows) return OK;
    return FAIL(d, ERR_CORRUPT, "a merge of %" PRIu64 " rows gave %" PRIu64, m->rows,
                m->entry.rows);
}

/* What follows the transaction in memory cannot fail. */
static enum err prepare(struct merge *m, struct diag *d)
{
    TRY(live_segment_new(m->part->account->store, &m->entry, &m->fresh, d));
    memcpy(m->fresh->aek_id, file_key_ident(m->key)->aek_id, sizeof m->fresh->aek_id);
    m->fresh->has_aek = true;
    LOCK_SCOPE(&m->part->account->lock);
    return part_reserve_segment(m->part, d);
}

static enum err commit(struct merge *m, struct diag *d) /* (2) */
{
    struct store *s = m->part->account->store;
    struct entry_change changes[MERGE_MAX + 1];
    char ids[MERGE_MAX + 1][33], table_id[33];
    CLEANUP_BUF struct buf value = {0};
    id_hex(m->entry.file_id, ids[0]);
    id_hex(m->entry.table.b, table_id);
    TRY(segment_value_seal(s->manifest, ids[0], &m->entry, &value, d));
    changes[0] = (struct entry_change){"segment", ids[0], table_id, buf_view(&value)};
    for (uint32_t i = 0; i < m->n; i++) {
        id_hex(m->old[i]->entry.file_id, ids[i + 1]);
        changes[i + 1] = (struct entry_change){"segment", ids[i + 1], table_id, {0}};
    }
    return store_commit(s, changes, m->n + 1, d);
}

static void swap(struct merge *m) /* (3) */
{
    struct account *a = m->part->account;
    struct store *s = a->store;
    pthread_rwlock_wrlock(&s->moves);
    for (uint32_t i = 0; i < m->n; i++)
        part_forget_segment(m->part, m->old[i]);
    pthread_mutex_lock(&a->lock);
    m->part->segments[m->part->n_segments++] = TAKE(m->fresh);
    pthread_mutex_unlock(&a->lock);
    pthread_rwlock_unlock(&s->moves);
}

static enum err merge_picked(struct merge *m, struct diag *d)
{
    struct store *s = m->part->account->store;
    m->schema = &m->part->table->schema->stored;
    TRY(read_all(m, d));
    TRY(write_merged(m, d));
    enum err e = prepare(m, d);
    if (e == OK) e = commit(m, d);
    if (e != OK) {
        doubt_segment(s, m->entry.file_id); /* its entry may come to life yet */
        return e;
    }
    swap(m);
    LOG(INFO, "segments.merged", F_U64("segments", m->n), F_U64("rows", m->entry.rows),
        F_U64("bytes", m->entry.length));
    return OK;
}

static enum err compact_part(struct part *p, bool *merged, struct diag *d)
{
    struct merge m = {.part = p};
    enum err e = pick(&m, d);
    bool found = e == OK && m.n != 0;
    if (found) e = merge_picked(&m, d);
    *merged = *merged || (found && e == OK);
    merge_release(&m);
    return e;
}

enum err compact_account(struct account *a, bool *merged, struct diag *d)
{
    *merged = false;
    LOCK_SCOPE(&a->flush_lock);
    pthread_mutex_lock(&a->lock);
    struct part *first = a->parts;
    pthread_mutex_unlock(&a->lock);
    for (struct part *p = first; p != NULL; p = p->next_of_account)
        TRY(compact_part(p, merged, d));
    return OK;
}

enum err store_compact(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = store_account_find(s, account);
    bool merged = a != NULL;
    while (merged)
        TRY(compact_account(a, &merged, d));
    return OK;
}
