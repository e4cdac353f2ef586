/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_drain.c - a spool is read back, and its rows go where they would have gone
 *
 * Each record of the spool becomes a record of the account's log that names the spool's number: the
 * write that adds the rows marks them. Replay of the log brings the highest such number back, so a
 * drain that died goes on behind it. A log leaves only when the spool is gone.
 */
#include "storage/spool.h"

#include "base/log.h"

#include <inttypes.h>
#include <stdlib.h>

#define GROUP_BYTES   ((size_t)4 << 20) /* records that go to the log with one sync */
#define GROUP_RECORDS 256

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
    const struct spool *sp;
    const struct spool_file *files;
    struct file_key **keys;
    uint32_t n;
    spool_visit *visit;
    void *ctx;
    struct spool_read *out;
};

static enum err open_reader(const struct reading *r, uint32_t i, struct wal_reader *out,
                            struct diag *d)
{
    out->otype = OTYPE_SPOOL;
    return wal_reader_open(out, r->sp->dir, r->sp->account->id, r->files[i].file_id,
                           r->files[i].first, d);
}

/* What the next file's first record says of this one's end; length 0: nothing. */
static enum err read_limit(const struct reading *r, uint32_t i, struct wal_end *limit,
                           struct diag *d)
{
    *limit = (struct wal_end){0};
    if (i + 1 == r->n) return OK;
    CLEANUP_LOCAL(wal_reader_release) struct wal_reader next = {0};
    CLEANUP_BUF struct buf plain = {0};
    struct wal_record rec;
    TRY(open_reader(r, i + 1, &next, d));
    TRY(wal_reader_next(&next, r->keys[i + 1], &plain, &rec, d));
    TRY(wal_start_decode(&rec, limit, d));
    if (memcmp(limit->file_id, r->files[i].file_id, 16) != 0) *limit = (struct wal_end){0};
    return OK;
}

struct file_round {
    struct wal_reader reader;
    struct wal_end limit;
    struct file_key *key;
    uint32_t left; /* records of the batch that is being read */
};

static void round_release(struct file_round *f)
{
    wal_reader_release(&f->reader);
}

/* False in *more: the end, which is before a batch that is not whole. */
static enum err read_record(const struct reading *r, struct file_round *f, bool *more,
                            struct diag *d)
{
    CLEANUP_BUF struct buf plain = {0};
    struct wal_record rec;
    struct rows_record x;
    bool whole = true;
    size_t pos = f->reader.pos;
    *more = false;
    if (f->limit.length != 0 && f->reader.next > f->limit.last) return OK;
    TRY(wal_reader_next(&f->reader, f->key, &plain, &rec, d));
    if (rec.number == 0) return OK;
    *more = true;
    if (rec.number == f->reader.first) return OK;
    TRY(record_rows(&rec, &x, d));
    if (f->left == 0 && x.head.left != 0)
        TRY(batch_is_whole(f->reader, f->key, &x.head, &whole, d));
    *more = whole;
    if (!whole) {
        f->reader.pos = pos;
        f->reader.next--;
        return OK;
    }
    f->left = x.head.left;
    return r->visit(r->ctx, &x, d);
}

static enum err read_file(const struct reading *r, uint32_t i, struct diag *d)
{
    CLEANUP_LOCAL(round_release) struct file_round f = {.key = r->keys[i]};
    bool more = true;
    TRY(read_limit(r, i, &f.limit, d));
    TRY(open_reader(r, i, &f.reader, d));
    while (more)
        TRY(read_record(r, &f, &more, d));
    if (f.limit.length != 0 &&
        (f.reader.next != f.limit.last + 1 || f.reader.pos != f.limit.length)) {
        return FAIL(d, ERR_CORRUPT, "a file of the spool ends at byte %zu, not at %" PRIu64,
                    f.reader.pos, f.limit.length);
    }
    if (f.reader.pos < f.reader.size)
        TRY(wal_cut(r->sp->dir, r->files[i].file_id, f.reader.pos, d));
    r->out->end = (struct wal_end){.length = f.reader.pos, .last = f.reader.next - 1};
    memcpy(r->out->end.file_id, r->files[i].file_id, 16);
    return OK;
}

/* A damaged file keeps nobody from reading the next: what is lost is counted. */
enum err spool_read_all(const struct spool *sp, const struct spool_file *files,
                        struct file_key **keys, uint32_t n, spool_visit *visit, void *ctx,
                        struct spool_read *out, struct diag *d)
{
    const struct reading r = {sp, files, keys, n, visit, ctx, out};
    for (uint32_t i = 0; i < n; i++) {
        struct diag why = DIAG_INIT;
        enum err e = read_file(&r, i, &why);
        if (e == OK) continue;
        if (e != ERR_CORRUPT) return FAIL_TAG(d, e, why.tag, "%s", why.text);
        LOG(ERROR, "spool.damaged", F_STR("dir", sp->dir), F_ERR(&why));
        out->damaged++;
    }
    return OK;
}

/* --- putting back ----------------------------------------------------------------------------- */

struct drain {
    struct spool *sp;
    uint64_t epoch; /* of the account */
    struct spool_file *files;
    struct file_key **keys;
    uint32_t n_files;
    struct spool_rows *tables; /* what could be read */
    uint32_t n_tables;
    struct table *table; /* of the group */
    struct schema its;
    struct outgoing group;
    uint64_t last, rows;
    size_t bytes;
};

static void drain_release(struct drain *x)
{
    for (uint32_t i = 0; x->keys != NULL && i < x->n_files; i++)
        file_key_free(x->keys[i]);
    free(x->keys);
    free(x->files);
    free(x->tables);
    outgoing_release(&x->group);
}

static enum err count(struct drain *x, const struct guid *table, uint32_t rows, struct diag *d)
{
    for (uint32_t i = 0; i < x->n_tables; i++) {
        if (!guid_eq(&x->tables[i].table, table)) continue;
        x->tables[i].rows += rows;
        return OK;
    }
    struct spool_rows *more = realloc(x->tables, (x->n_tables + 1) * sizeof *more);
    if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    x->tables = more;
    x->tables[x->n_tables++] = (struct spool_rows){*table, rows};
    return OK;
}

static enum err end_group(struct drain *x, struct diag *d)
{
    struct account *a = x->sp->account;
    if (x->group.n == 0) return OK;
    TRY(outgoing_append(&x->group, x->epoch, true, d));
    pthread_mutex_lock(&a->lock);
    if (a->drained < x->last) a->drained = x->last;
    pthread_mutex_unlock(&a->lock);
    x->rows += x->group.rows;
    outgoing_release(&x->group);
    x->group = (struct outgoing){0};
    x->table = NULL;
    x->bytes = 0;
    return OK;
}

/* (25) It was acknowledged before the key went away, and sent again after. */
static bool came_before(const struct account *a, const struct rows_record *r)
{
    int64_t then = (int64_t)(uintptr_t)map_get(&a->log_ids, BYTES_OF(r->head.batch));
    return then != 0 && r->head.time_us < then + DEDUPE_US;
}

static enum err add_to_group(struct drain *x, struct table *t, const struct rows_record *r,
                             const struct batch *rows, struct diag *d)
{
    if (x->table != t) {
        TRY(end_group(x, d));
        TRY(outgoing_init(&x->group, t, x->sp->account, rows, &x->its, d));
        x->table = t;
    }
    x->group.head = r->head;
    x->group.head.spool = r->number;
    TRY(outgoing_add_batch(&x->group, rows, d));
    x->last = r->number;
    x->bytes += r->rows.len;
    return x->bytes >= GROUP_BYTES || x->group.n >= GROUP_RECORDS ? end_group(x, d) : OK;
}

static bool has_id(const struct rows_head *h)
{
    static const uint8_t none[16];
    return memcmp(h->batch, none, sizeof none) != 0;
}

static enum err put_back(void *ctx, const struct rows_record *r, struct diag *d)
{
    struct drain *x = ctx;
    struct account *a = x->sp->account;
    struct table *t = store_table_by_id(a->store, &r->head.table);
    if (t == NULL)
        return FAIL(d, ERR_CORRUPT, "spool record %" PRIu64 " is of no table", r->number);
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, (size_t)1 << 30);
    struct batch rows;
    TRY(rows_decode(r->rows, store_table_schema(t), &arena, &rows, d));
    TRY(count(x, &t->id, rows.n_rows, d));
    pthread_mutex_lock(&a->lock);
    bool done = r->number <= a->drained || came_before(a, r);
    pthread_mutex_unlock(&a->lock);
    if (done) return OK;
    if (has_id(&r->head))
        TRY(dedupe_note(a->store->dedupe, r->head.batch, r->head.time_us, time_now_us(), d));
    return add_to_group(x, t, r, &rows, d);
}

static enum err open_files(struct drain *x, struct bytes record, struct diag *d)
{
    const struct spool_config *c = &x->sp->account->store->c.spool;
    TRY(spool_files(x->sp, &x->files, &x->n_files, d));
    if (x->n_files == 0) return OK;
    CLEANUP_FREE struct file_ident *idents = calloc(x->n_files, sizeof *idents);
    x->keys = calloc(x->n_files, sizeof(struct file_key *));
    if (idents == NULL || x->keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < x->n_files; i++)
        idents[i] = x->files[i].ident;
    struct spool_ask q = {.record = record, .files = idents, .n_files = x->n_files};
    memcpy(q.account, x->sp->account->id, 16);
    if (c->ops == NULL) return FAIL(d, ERR_UNAVAILABLE, "this store has no spool");
    return c->ops->keys(c->self, &q, x->keys, d);
}

static enum err read_back(struct drain *x, struct bytes record, struct diag *d)
{
    struct spool_read read = {0};
    TRY(account_epoch(x->sp->account, &x->epoch, d));
    TRY(open_files(x, record, d));
    TRY(spool_read_all(x->sp, x->files, x->keys, x->n_files, put_back, x, &read, d));
    return end_group(x, d);
}

/* Nobody writes to it any more. False in *due: there is nothing to put back. */
static enum err begin(struct spool *sp, struct buf *record, bool *due, bool *damaged,
                      struct diag *d)
{
    LOCK_SCOPE(&sp->lock);
    sp->epoch++; /* who asks keyd this moment asked about an outage that is over */
    while (sp->opening)
        pthread_cond_wait(&sp->changed, &sp->lock);
    *damaged = sp->state == SPOOL_DAMAGED;
    *due = *damaged || sp->state == SPOOL_LIVE;
    if (!*due) return OK;
    buf_bytes(record, buf_view(&sp->slot.record)); /* a destruction does not wait for us */
    TRY(buf_check(record, d));
    sp->state = SPOOL_DRAINING;
    if (sp->wal != NULL) wal_end(sp->wal);
    while (sp->users != 0)
        pthread_cond_wait(&sp->changed, &sp->lock);
    return OK;
}

/* It stays as it is: the next time goes on. */
static void give_up(struct spool *sp, bool damaged)
{
    LOCK_SCOPE(&sp->lock);
    if (sp->state == SPOOL_DEAD) flusher_kick(sp->account->store); /* it tidies up */
    if (sp->state != SPOOL_DRAINING) return;
    wal_unref(TAKE(sp->wal));
    sp->state = damaged ? SPOOL_DAMAGED : SPOOL_LIVE;
    pthread_cond_broadcast(&sp->changed);
}

/* (21) In this order: counted as put back, the wrap overwritten, the files removed. */
static enum err finish(struct drain *x, struct diag *d)
{
    struct spool *sp = x->sp;
    const struct spool_config *c = &sp->account->store->c.spool;
    struct spool_end end = {.tables = x->tables, .n_tables = x->n_tables};
    if (c->emptied != NULL) TRY(c->emptied(c->ctx, sp->account->id, &end, d));
    LOCK_SCOPE(&sp->lock);
    if (sp->state != SPOOL_DRAINING)
        return FAIL(d, ERR_KEY_LOCKED, "the spool was destroyed meanwhile");
    TRY(slot_wipe(sp->slot_path, d));
    spool_forget(sp);
    sp->state = SPOOL_DEAD; /* should removing fail: then there is nothing to count */
    sp->account->spooled = false;
    TRY(spool_remove_files(sp, d));
    sp->state = SPOOL_NONE;
    pthread_cond_broadcast(&sp->changed);
    return OK;
}

static enum err drain(struct spool *sp, struct bytes record, bool damaged, struct diag *d)
{
    CLEANUP_LOCAL(drain_release) struct drain x = {.sp = sp};
    struct diag why = DIAG_INIT;
    enum err e = damaged ? OK : read_back(&x, record, &why);
    if (e == ERR_CORRUPT) { /* not what keyd made: nobody can read it; the rows are counted */
        LOG(ERROR, "spool.damaged", F_STR("dir", sp->dir), F_ERR(&why));
        e = OK;
    }
    if (e != OK) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    TRY(finish(&x, d));
    LOG(INFO, "spool.put_back", F_STR("dir", sp->dir), F_U64("rows", x.rows));
    return OK;
}

enum err spool_drain(struct account *a, struct diag *d)
{
    pthread_mutex_lock(&a->store->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&a->store->spool_lock);
    if (sp == NULL) return OK;
    bool due, damaged;
    CLEANUP_BUF struct buf record = {0};
    TRY(begin(sp, &record, &due, &damaged, d));
    if (!due) return OK;
    enum err e = drain(sp, buf_view(&record), damaged, d);
    if (e != OK) give_up(sp, damaged);
    if (e == OK) {
        LOCK_SCOPE(&a->lock);
        map_release(&a->log_ids);
        a->log_ids = (struct map){0};
    }
    return e;
}
