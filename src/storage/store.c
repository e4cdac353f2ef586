/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store.c - opening and closing a store; its accounts and parts */
#include "storage/spool.h"

#include "base/log.h"

#include <dirent.h>
#include <stdlib.h>

int64_t ticks_now(void)
{
    return TICKS_UNIX + time_now_us() * 10;
}

enum err store_put_entry(struct store *s, const char *kind, const char *id, const char *parent,
                         struct bytes value, struct diag *d)
{
    const struct entry_change c = {kind, id, parent, value};
    return store_commit(s, &c, 1, d);
}

/* --- accounts and parts ----------------------------------------------------------------------- */

static struct account *find_locked(struct store *s, const uint8_t id[16])
{
    for (struct account *a = s->accounts; a != NULL; a = a->next) {
        if (memcmp(a->id, id, sizeof a->id) == 0) return a;
    }
    return NULL;
}

struct account *store_account_find(struct store *s, const uint8_t id[16])
{
    LOCK_SCOPE(&s->lock);
    return find_locked(s, id);
}

static struct account *account_new(struct store *s, const uint8_t id[16])
{
    char hex[33];
    id_hex(id, hex);
    struct account *a = calloc(1, sizeof *a);
    char *dir = os_path(s->wal_dir, hex);
    if (a == NULL || dir == NULL) {
        free(a);
        free(dir);
        return NULL;
    }
    a->store = s;
    a->wal_dir = dir;
    memcpy(a->id, id, sizeof a->id);
    pthread_mutex_init(&a->open_lock, NULL);
    pthread_mutex_init(&a->flush_lock, NULL);
    pthread_mutex_init(&a->log_lock, NULL);
    pthread_mutex_init(&a->lock, NULL);
    cond_init(&a->left);
    return a;
}

enum err store_account_get(struct store *s, const uint8_t id[16], struct account **out,
                           struct diag *d)
{
    LOCK_SCOPE(&s->lock);
    struct account *a = find_locked(s, id);
    if (a == NULL) {
        a = account_new(s, id);
        if (a == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        a->next = s->accounts;
        s->accounts = a;
    }
    *out = a;
    return OK;
}

enum err store_part_get(struct table *t, struct account *a, struct part **out, struct diag *d)
{
    LOCK_SCOPE(&t->store->lock);
    for (struct part *p = t->parts; p != NULL; p = p->next_of_table) {
        if (p->account == a) {
            *out = p;
            return OK;
        }
    }
    struct part *p = calloc(1, sizeof *p);
    struct memtable *m = memtable_new();
    if (p == NULL || m == NULL) {
        free(p);
        memtable_free(m);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    *p = (struct part){.table = t, .account = a, .active = m, .next_of_table = t->parts};
    t->parts = p;
    pthread_mutex_lock(&a->lock);
    p->next_of_account = a->parts;
    a->parts = p;
    pthread_mutex_unlock(&a->lock);
    *out = p;
    return OK;
}

void part_free(struct part *p)
{
    memtable_free(p->active);
    while (p->frozen != NULL) {
        struct memtable *m = p->frozen;
        p->frozen = m->next;
        memtable_free(m);
    }
    for (uint32_t i = 0; i < p->n_segments; i++)
        live_segment_unref(p->segments[i]);
    free(p->segments);
    free(p);
}

/* --- opening: everything that needs no customer's key ----------------------------------------- */

static enum err load_table(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct store *s = ctx;
    CLEANUP_BUF struct buf body = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct table_entry e;
    struct table *t;
    TRY(manifest_unseal(s->manifest, "table", row->id, row->value, &body, d));
    TRY(table_entry_decode(buf_view(&body), &a, &e, d));
    LOCK_SCOPE(&s->lock);
    return table_new(s, &e, &t, d);
}

static enum err load_segment(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct store *s = ctx;
    struct segment_entry e;
    TRY(segment_value_unseal(s->manifest, row->id, row->value, &e, d));
    struct table *t = store_table_by_id(s, &e.table);
    if (t == NULL) return FAIL(d, ERR_CORRUPT, "segment %s belongs to no table", row->id);
    struct account *a = NULL;
    struct part *p = NULL;
    struct live_segment *g = NULL;
    TRY(store_account_get(s, e.account, &a, d));
    TRY(store_part_get(t, a, &p, d));
    LOCK_SCOPE(&a->lock);
    TRY(part_reserve_segment(p, d));
    TRY(live_segment_new(s, &e, &g, d));
    p->segments[p->n_segments++] = g;
    return OK;
}

static enum err load_covered(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct store *s = ctx;
    CLEANUP_BUF struct buf body = {0};
    struct guid table;
    uint8_t account[16];
    uint64_t number = 0;
    TRY(manifest_unseal(s->manifest, "covered", row->id, row->value, &body, d));
    TRY(covered_decode(buf_view(&body), &number, d));
    if (strlen(row->id) != 65) return FAIL(d, ERR_CORRUPT, "catalogue: covered '%.80s'", row->id);
    TRY(hex_decode(bytes_of(row->id, 32), table.b, sizeof table.b, d));
    TRY(hex_decode(bytes_of(row->id + 33, 32), account, sizeof account, d));
    struct table *t = store_table_by_id(s, &table);
    if (t == NULL) return FAIL(d, ERR_CORRUPT, "catalogue: covered rows of no table");
    struct account *a = NULL;
    struct part *p = NULL;
    TRY(store_account_get(s, account, &a, d));
    TRY(store_part_get(t, a, &p, d));
    p->covered = number;
    return OK;
}

static enum err load_log(void *ctx, const struct catalog_row *row, struct diag *d)
{
    struct store *s = ctx;
    CLEANUP_BUF struct buf body = {0};
    CLEANUP_LOCAL(log_entry_release) struct log_entry e = {0};
    struct account *a = NULL;
    struct log_file *f = NULL;
    TRY(manifest_unseal(s->manifest, "log", row->id, row->value, &body, d));
    TRY(log_entry_decode(buf_view(&body), &e, d));
    TRY(store_account_get(s, e.account, &a, d));
    LOCK_SCOPE(&a->lock);
    TRY(log_file_add(a, &e, &f, d));
    f->length = e.length;
    f->complete = e.is_final;
    f->ids_us = time_now_us(); /* no replay has read them: as young as can be */
    f->retired = true;
    return OK;
}

static enum err load_spool(struct store *s, const char *name, struct diag *d)
{
    uint8_t id[16];
    struct account *a = NULL;
    if (strlen(name) != 32 || hex_decode(bytes_str(name), id, sizeof id, NULL) != OK) return OK;
    TRY(store_account_get(s, id, &a, d));
    return spool_new(a, &a->spool, d);
}

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}

static enum err load_spools(struct store *s, struct diag *d)
{
    __attribute__((cleanup(cleanup_dir))) DIR *dir = opendir(s->spool_dir);
    if (dir == NULL) return FAIL(d, ERR_IO, "spools %s: %s", s->spool_dir, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        TRY(load_spool(s, e->d_name, d));
    return OK;
}

static enum err load(struct store *s, struct diag *d)
{
    struct catalog *c = s->c.catalog;
    TRY(entry_root_open(&s->root, &s->c.watch,
                        d)); /* before a file is removed that no entry names */
    TRY(c->ops->list(c, NULL, "table", NULL, NULL, load_table, s, d));
    TRY(c->ops->list(c, NULL, "segment", NULL, NULL, load_segment, s, d));
    TRY(c->ops->list(c, NULL, "covered", NULL, NULL, load_covered, s, d));
    TRY(c->ops->list(c, NULL, "log", NULL, NULL, load_log, s, d));
    TRY(load_spools(s, d));
    TRY(segments_sweep(s, false, d));
    TRY(log_sweep(s, false, d));
    TRY(segments_sweep(s, true, d));
    return log_sweep(s, true, d);
}

static void store_free(struct store *s)
{
    if (s == NULL) return;
    for (uint32_t i = 0; i < s->n_tables; i++)
        table_free(s->tables[i]);
    while (s->accounts != NULL) {
        struct account *a = s->accounts;
        s->accounts = a->next;
        account_free(a);
    }
    free(s->tables);
    doubts_free(s);
    dedupe_free(s->dedupe);
    if (s->root.catalog != NULL) entry_root_release(&s->root);
    manifest_close(s->manifest);
    if (s->blobs != NULL) s->blobs->ops->close(s->blobs);
    arena_release(&s->schemas);
    pthread_mutex_destroy(&s->lock);
    pthread_mutex_destroy(&s->spool_lock);
    pthread_mutex_destroy(&s->doubt_lock);
    pthread_rwlock_destroy(&s->moves);
    free(s->wal_dir);
    free(s->spool_dir);
    free(s);
}
DEFINE_CLEANUP(store_free, struct store)

enum err store_open(struct store **out, const struct store_config *c, struct diag *d)
{
    CLEANUP(store_free) struct store *s = calloc(1, sizeof *s);
    if (s == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    s->c = *c;
    s->c.dir = NULL; /* the caller's */
    if (s->c.memtable_rows_max == 0) s->c.memtable_rows_max = MEMTABLE_ROWS;
    if (s->c.memtable_age_s == 0) s->c.memtable_age_s = MEMTABLE_AGE_S;
    arena_init(&s->schemas, 0);
    pthread_mutex_init(&s->lock, NULL);
    pthread_mutex_init(&s->spool_lock, NULL);
    pthread_mutex_init(&s->doubt_lock, NULL);
    if (s->c.spool.bytes_max == 0) s->c.spool.bytes_max = SPOOL_BYTES;
    if (s->c.spool.total_max == 0) s->c.spool.total_max = SPOOL_TOTAL;
    if (s->c.spool.hours_max == 0) s->c.spool.hours_max = SPOOL_HOURS;
    pthread_rwlock_init(&s->moves, NULL);
    CLEANUP_FREE char *blob_dir = os_path(c->dir, "blobs");
    s->wal_dir = os_path(c->dir, "wal");
    s->dedupe = dedupe_new(DEDUPE_MAX);
    s->spool_dir = os_path(c->dir, "spool");
    if (blob_dir == NULL || s->wal_dir == NULL || s->spool_dir == NULL || s->dedupe == NULL)
        return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(os_mkdir(s->wal_dir, d));
    TRY(os_mkdir(s->spool_dir, d));
    TRY(blobs_open_dir(&s->blobs, blob_dir, true, d));
    TRY(manifest_open(&s->manifest, c->catalog, &c->keys, c->platform_account, true, d));
    entry_root_init(&s->root, c->catalog, s->manifest);
    TRY(load(s, d));
    TRY(flusher_start(s, d));
    flusher_kick(s); /* a spool may wait to be tidied away */
    *out = TAKE(s);
    return OK;
}

void store_close(struct store *s)
{
    if (s == NULL) return;
    flusher_stop(s);
    for (struct account *a = s->accounts; a != NULL; a = a->next) {
        struct diag d = DIAG_INIT;
        pthread_mutex_lock(&a->lock);
        bool open = a->state == ACCOUNT_OPEN;
        pthread_mutex_unlock(&a->lock);
        /* What cannot be flushed stays in the log: nothing is lost, the next start takes longer. */
        if (open && store_flush(s, a->id, &d) != OK) LOG(WARN, "store.flush_failed", F_ERR(&d));
    }
    store_free(s);
}

enum err store_seal(struct store *s, const char *id, struct bytes body, struct buf *out,
                    struct diag *d)
{
    return manifest_seal(s->manifest, "note", id, body, out, d);
}

enum err store_unseal(struct store *s, const char *id, struct bytes sealed, struct buf *body,
                      struct diag *d)
{
    return manifest_unseal(s->manifest, "note", id, sealed, body, d);
}

void store_stats(struct store *s, struct store_stats *out)
{
    struct store_stats x = {0};
    LOCK_SCOPE(&s->lock);
    for (struct account *a = s->accounts; a != NULL; a = a->next) {
        pthread_mutex_lock(&a->lock);
        for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
            x.memtable_rows += p->active->rows;
            for (struct memtable *m = p->frozen; m != NULL; m = m->next)
                x.memtable_rows += m->rows;
            for (uint32_t i = 0; i < p->n_segments; i++) {
                x.rows += p->segments[i]->entry.rows;
                x.segment_bytes += p->segments[i]->entry.length;
            }
            x.segments += p->n_segments;
        }
        for (struct log_file *f = a->logs; f != NULL; f = f->next) {
            x.wal_bytes += f == a->log ? wal_length(a->wal) : f->length;
        }
        pthread_mutex_unlock(&a->lock);
    }
    x.rows += x.memtable_rows;
    *out = x;
}
