/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store.c - opening and closing a store, and its tables */
#include "storage/spool.h"

#include "base/log.h"

#include <dirent.h>
#include <stdlib.h>

int64_t ticks_now(void)
{
    return TICKS_UNIX + time_now_us() * 10;
}

int table_time_column(const struct schema *s)
{
    int i = schema_find(s, "TimeGenerated");
    return i >= 0 && s->cols[i].type == T_DATETIME ? i : -1;
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

static void part_free(struct part *p)
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

/* --- tables ----------------------------------------------------------------------------------- */

/* A copy that lives as long as the store: first, then the columns of more. */
static enum err keep_schema(struct store *s, const struct schema *first, const struct schema *more,
                            const struct table_schema **out, struct diag *d)
{
    uint32_t n = first->n + more->n;
    struct table_schema *kept = arena_new(&s->schemas, struct table_schema);
    struct column *stored = arena_array(&s->schemas, struct column, n + 1), *cols = stored + 1;
    if (kept == NULL || stored == NULL) return arena_full(&s->schemas, d);
    stored[0] = (struct column){RECEIVED_COLUMN, T_DATETIME};
    for (uint32_t i = 0; i < n; i++) {
        const struct column *from = i < first->n ? &first->cols[i] : &more->cols[i - first->n];
        cols[i].type = from->type;
        cols[i].name = arena_str(&s->schemas, bytes_str(from->name));
        if (cols[i].name == NULL) return arena_full(&s->schemas, d);
    }
    *kept = (struct table_schema){{n, cols}, {n + 1, stored}};
    *out = kept;
    return OK;
}

static enum err check_columns(const struct schema *s, const struct schema *more, struct diag *d)
{
    for (uint32_t i = 0; i < more->n; i++) {
        const struct column *c = &more->cols[i];
        struct schema before = {i, more->cols};
        if (c->type <= T_NONE || c->type >= N_TYPES || c->name[0] == 0) {
            return FAIL(d, ERR_INVALID, "column %u needs a name and a type", s->n + i);
        }
        if (schema_find(s, c->name) >= 0 || schema_find(&before, c->name) >= 0) {
            return FAIL(d, ERR_CONFLICT, "column '%s' is there already", c->name);
        }
    }
    return OK;
}

static void table_free(struct table *t)
{
    if (t == NULL) return;
    for (struct part *p = t->parts; p != NULL;) {
        struct part *next = p->next_of_table;
        part_free(p);
        p = next;
    }
    pthread_mutex_destroy(&t->alter_lock);
    free(t);
}
DEFINE_CLEANUP(table_free, struct table)

/* Under store.lock. */
static enum err table_new(struct store *s, const struct table_entry *e, struct table **out,
                          struct diag *d)
{
    CLEANUP(table_free) struct table *t = calloc(1, sizeof *t);
    if (t == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const struct table_schema *schema = NULL;
    pthread_mutex_init(&t->alter_lock, NULL);
    t->store = s;
    t->workspace = e->workspace;
    t->id = e->id;
    t->retention_days = e->retention_days;
    t->name = arena_str(&s->schemas, bytes_str(e->name));
    if (t->name == NULL) return arena_full(&s->schemas, d);
    TRY(keep_schema(s, &e->schema, &(struct schema){0}, &schema, d));
    t->schema = schema;
    if (s->n_tables == s->cap_tables) {
        uint32_t cap = s->cap_tables != 0 ? s->cap_tables * 2 : 16;
        struct table **more = realloc(s->tables, cap * sizeof(struct table *));
        if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        s->tables = more;
        s->cap_tables = cap;
    }
    *out = s->tables[s->n_tables++] = TAKE(t);
    return OK;
}

static enum err put_table(struct store *s, const struct table_entry *e, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0}, sealed = {0};
    char id[33], workspace[GUID_TEXT_MAX];
    id_hex(e->id.b, id);
    guid_format(&e->workspace, workspace);
    TRY(table_entry_encode(e, &body, d));
    TRY(manifest_seal(s->manifest, "table", id, buf_view(&body), &sealed, d));
    return store_put_entry(s, "table", id, workspace, buf_view(&sealed), d);
}

static struct table *table_named(struct store *s, const struct guid *workspace, const char *name)
{
    for (uint32_t i = 0; i < s->n_tables; i++) {
        struct table *t = s->tables[i];
        if (guid_eq(&t->workspace, workspace) && str_eq(t->name, name)) return t;
    }
    return NULL;
}

enum err store_table_create(struct store *s, const struct guid *workspace, const char *name,
                            const struct schema *schema, struct table **out, struct diag *d)
{
    struct column received = {RECEIVED_COLUMN, T_DATETIME};
    TRY(check_columns(&(struct schema){1, &received}, schema, d));
    if (name[0] == 0) return FAIL(d, ERR_INVALID, "a table needs a name");
    LOCK_SCOPE(&s->lock);
    if (table_named(s, workspace, name) != NULL) {
        return FAIL(d, ERR_CONFLICT, "table '%s' is there already", name);
    }
    struct table_entry e = {.workspace = *workspace, .name = (char *)name, .schema = *schema};
    guid_random(&e.id);
    TRY(put_table(s, &e, d));
    return table_new(s, &e, out, d);
}

enum err store_table_find(struct store *s, const struct guid *workspace, const char *name,
                          struct table **out, struct diag *d)
{
    LOCK_SCOPE(&s->lock);
    struct table *t = table_named(s, workspace, name);
    if (t == NULL) return FAIL(d, ERR_NOT_FOUND, "there is no table '%.200s'", name);
    *out = t;
    return OK;
}

struct table *store_table_by_id(struct store *s, const struct guid *id)
{
    LOCK_SCOPE(&s->lock);
    for (uint32_t i = 0; i < s->n_tables; i++) {
        if (guid_eq(&s->tables[i]->id, id)) return s->tables[i];
    }
    return NULL;
}

static struct table_entry entry_of(const struct table *t)
{
    return (struct table_entry){.workspace = t->workspace,
                                .id = t->id,
                                .retention_days = t->retention_days,
                                .name = t->name,
                                .schema = t->schema->named};
}

enum err store_table_add_columns(struct store *s, struct table *t, const struct schema *more,
                                 struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    TRY(check_columns(&t->schema->stored, more, d));
    const struct table_schema *wider = NULL;
    pthread_mutex_lock(&s->lock);
    enum err e = keep_schema(s, &t->schema->named, more, &wider, d);
    pthread_mutex_unlock(&s->lock);
    if (e != OK) return e;
    struct table_entry entry = entry_of(t);
    entry.schema = wider->named;
    TRY(put_table(s, &entry, d));
    t->schema = wider;
    return OK;
}

enum err store_table_set_retention(struct store *s, struct table *t, uint32_t days, struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    struct table_entry entry = entry_of(t);
    entry.retention_days = days;
    TRY(put_table(s, &entry, d));
    t->retention_days = days;
    return OK;
}

/* It keeps its id, so that logs and segments find it; no name that a caller may give begins so. */
#define DROPPED '\x01'

enum err store_table_drop(struct store *s, struct table *t, struct diag *d)
{
    LOCK_SCOPE(&t->alter_lock);
    char name[2 + 2 * sizeof t->id.b] = {DROPPED};
    id_hex(t->id.b, name + 1);
    struct table_entry entry = entry_of(t);
    entry.name = name;
    entry.retention_days = 1;
    TRY(put_table(s, &entry, d));
    pthread_mutex_lock(&s->lock);
    char *kept = arena_str(&s->schemas, bytes_str(name)); /* the old one may be read still */
    if (kept != NULL) t->name = kept;
    t->retention_days = 1;
    pthread_mutex_unlock(&s->lock);
    return kept != NULL ? OK : arena_full(&s->schemas, d);
}

uint32_t store_table_retention(const struct table *t)
{
    return t->retention_days;
}

const struct schema *store_table_schema(struct table *t)
{
    return &t->schema->named;
}

const char *store_table_name(const struct table *t)
{
    return t->name;
}

const struct guid *store_table_id(const struct table *t)
{
    return &t->id;
}

struct table *store_table_at(struct store *s, const struct guid *workspace, uint32_t i)
{
    LOCK_SCOPE(&s->lock);
    for (uint32_t k = 0; k < s->n_tables; k++) {
        const struct table *t = s->tables[k];
        if (t->name[0] == DROPPED || !guid_eq(&t->workspace, workspace)) continue;
        if (i-- == 0) return s->tables[k];
    }
    return NULL;
}

/* --- opening: everything that needs no customer's key
 * --------------------------------------------- */

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
