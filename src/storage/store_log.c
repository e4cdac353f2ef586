/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_log.c - the log files of an account: made on the first append, retired, dropped
 * when covered
 *
 * (1) A file's entry is in the catalogue before its first row is written, and is removed only in
 *     the order of the files: what limits a file stands in its successor.
 * (2) A file without an entry holds no row that anybody was told of; store_open() removes it.
 * (3) The ids of batches are in the log alone: a file that is covered stays until nobody would send
 *     its youngest batch again.
 */
#include "storage/store_impl.h"

#include "base/log.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

enum err log_file_add(struct account *a, const struct log_entry *e, struct log_file **out,
                      struct diag *d)
{
    struct log_file *f = calloc(1, sizeof *f);
    if (f == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    f->entry = *e;
    f->entry.tables = NULL;
    f->entry.n_tables = 0;
    for (uint32_t i = 0; i < e->n_tables; i++) {
        struct log_table *place = NULL;
        enum err err = log_place(f, &e->tables[i].table, &place, d);
        if (err != OK) {
            log_file_free(f);
            return err;
        }
        *place = e->tables[i];
    }
    struct log_file **at = &a->logs;
    while (*at != NULL && (*at)->entry.first < e->first)
        at = &(*at)->next;
    f->next = *at;
    *at = f;
    *out = f;
    return OK;
}

void log_file_free(struct log_file *f)
{
    if (f == NULL) return;
    free(f->entry.tables);
    free(f);
}

static struct log_table *find_place(const struct log_file *f, const struct guid *table)
{
    for (uint32_t i = 0; i < f->entry.n_tables; i++) {
        if (guid_eq(&f->entry.tables[i].table, table)) return &f->entry.tables[i];
    }
    return NULL;
}

enum err log_place(struct log_file *f, const struct guid *table, struct log_table **out,
                   struct diag *d)
{
    struct log_table *place = find_place(f, table);
    if (place == NULL) {
        if (f->entry.n_tables == f->cap_tables) {
            uint32_t cap = f->cap_tables != 0 ? f->cap_tables * 2 : 8;
            struct log_table *more = realloc(f->entry.tables, cap * sizeof *more);
            if (more == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
            f->entry.tables = more;
            f->cap_tables = cap;
        }
        place = &f->entry.tables[f->entry.n_tables++];
        *place = (struct log_table){.table = *table, .time_max = INT64_MIN};
    }
    *out = place;
    return OK;
}

void log_note(struct log_file *f, const struct guid *table, uint64_t number, int64_t time_max)
{
    struct log_table *place = find_place(f, table); /* log_place() was called before */
    if (number > place->last) place->last = number;
    if (time_max > place->time_max) place->time_max = time_max;
}

const struct log_table *log_find(const struct log_file *f, const struct guid *table)
{
    return find_place(f, table);
}

void log_note_id(struct log_file *f, int64_t time_us)
{
    if (time_us > f->ids_us) f->ids_us = time_us;
}

bool log_may_hold(const struct log_file *f, const struct table *t)
{
    if (!f->complete) return guid_eq(&f->entry.workspace, &t->workspace);
    return find_place(f, &t->id) != NULL;
}

void log_retire(struct account *a)
{
    pthread_mutex_lock(&a->lock);
    struct wal *w = a->wal;
    pthread_mutex_unlock(&a->lock);
    if (w == NULL || !wal_ended(w)) return;
    wal_drain(w, &a->end);
    pthread_mutex_lock(&a->lock);
    a->log->length = a->end.length;
    a->log->retired = true;
    a->log = NULL;
    a->wal = NULL;
    pthread_mutex_unlock(&a->lock);
    wal_unref(w);
}

static enum err put_log(struct store *s, const struct log_entry *e, struct diag *d)
{
    CLEANUP_BUF struct buf body = {0}, sealed = {0};
    char id[33], account[33];
    id_hex(e->file_id, id);
    id_hex(e->account, account);
    TRY(log_entry_encode(e, &body, d));
    TRY(manifest_seal(s->manifest, "log", id, buf_view(&body), &sealed, d));
    return store_put_entry(s, "log", id, account, buf_view(&sealed), d);
}

/* Under log_lock. The file is listed; it is written to unless the account was locked meanwhile. */
static enum err adopt(struct account *a, struct wal *w, const struct log_entry *e, uint64_t epoch,
                      struct diag *d)
{
    struct log_file *f = NULL;
    LOCK_SCOPE(&a->lock);
    TRY(log_file_add(a, e, &f, d));
    f->complete = true;
    if (a->state == ACCOUNT_OPEN && a->epoch == epoch) {
        wal_ref(w);
        a->log = f;
        a->wal = w;
    } else {
        f->retired = true;
        f->length = wal_length(w);
    }
    return OK;
}

static enum err make(struct account *a, struct part *p, uint64_t epoch, struct diag *d)
{
    struct store *s = a->store;
    struct log_entry e = {.workspace = p->table->workspace};
    memcpy(e.account, a->id, sizeof e.account);
    TRY(manifest_new_file_id(s->manifest, e.file_id, d));
    TRY(manifest_new_log_numbers(s->manifest, a->id, &e.first, d));
    TRY(os_mkdir(a->wal_dir, d));
    struct wal_config c = {.dir = a->wal_dir,
                           .keys = &s->c.keys,
                           .first = e.first,
                           .prev = a->end.length != 0 ? &a->end : NULL};
    memcpy(c.account, a->id, sizeof c.account);
    memcpy(c.file_id, e.file_id, sizeof c.file_id);
    CLEANUP(wal_unref) struct wal *w = NULL;
    TRY(wal_create(&w, &c, d));
    enum err err = put_log(s, &e, d);
    if (err == OK) return adopt(a, w, &e, epoch, d);
    CLEANUP_FREE char *path = wal_path(a->wal_dir, e.file_id);
    if (path != NULL) doubt_log(s, e.file_id, path); /* its entry may come to life yet */
    return err;
}

static enum err acquire_open(struct account *a, struct pending *x, struct wal **wal, struct diag *d)
{
    struct log_table *place = NULL;
    LOCK_SCOPE(&a->lock);
    if (a->wal == NULL) return FAIL(d, ERR_UNAVAILABLE, "the account was locked meanwhile");
    TRY(log_place(a->log, &x->part->table->id, &place, d));
    wal_ref(a->wal);
    *wal = a->wal;
    x->log = a->log;
    return OK;
}

enum err log_acquire(struct pending *x, struct wal **wal, struct diag *d)
{
    struct account *a = x->part->account;
    LOCK_SCOPE(&a->log_lock);
    log_retire(a);
    pthread_mutex_lock(&a->lock);
    /* Another epoch: the lock has wiped the rows that were to go into the memtable. */
    bool open = a->state == ACCOUNT_OPEN && a->epoch == x->epoch, has = a->wal != NULL;
    pthread_mutex_unlock(&a->lock);
    if (!open) return account_refuse(a, d);
    if (has && wal_length(a->wal) >= WAL_ROLL) {
        wal_end(a->wal);
        log_retire(a);
        has = false;
        flusher_kick(a->store); /* the logs may hold too much now */
    }
    if (!has) TRY(make(a, x->part, x->epoch, d));
    return acquire_open(a, x, wal, d);
}

/* --- entries of retired files, and dropping
 * ----------------------------------------------------------- */

/* The oldest retired file whose entry does not say so yet; a copy, NULL tables for none.
 * account.lock. */
static enum err next_unfinished(struct account *a, struct log_entry *out, bool *found,
                                struct diag *d)
{
    *found = false;
    for (struct log_file *f = a->logs; f != NULL; f = f->next) {
        if (!f->retired || !f->complete || f->entry.is_final) continue;
        struct log_entry e = f->entry;
        e.tables = calloc(e.n_tables + 1, sizeof *e.tables);
        if (e.tables == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        for (uint32_t i = 0; i < e.n_tables; i++)
            e.tables[i] = f->entry.tables[i];
        e.is_final = true;
        e.length = f->length;
        *out = e;
        *found = true;
        return OK;
    }
    return OK;
}

static struct log_file *find_file(struct account *a, const uint8_t file_id[16])
{
    for (struct log_file *f = a->logs; f != NULL; f = f->next) {
        if (memcmp(f->entry.file_id, file_id, 16) == 0) return f;
    }
    return NULL;
}

enum err log_finish_entries(struct account *a, struct diag *d)
{
    for (;;) {
        CLEANUP_LOCAL(log_entry_release) struct log_entry e = {0};
        bool found = false;
        pthread_mutex_lock(&a->lock);
        enum err err = next_unfinished(a, &e, &found, d);
        pthread_mutex_unlock(&a->lock);
        if (err != OK || !found) return err;
        TRY(put_log(a->store, &e, d));
        LOCK_SCOPE(&a->lock);
        struct log_file *f = find_file(a, e.file_id);
        if (f == NULL) continue;
        f->entry.is_final = true;
        f->entry.length = e.length;
    }
}

/* --- dropping
 * ------------------------------------------------------------------------------------- */

bool log_is_covered(const struct log_file *f, const struct account *a)
{
    for (uint32_t i = 0; i < f->entry.n_tables; i++) {
        const struct log_table *x = &f->entry.tables[i];
        const struct part *p = a->parts;
        while (p != NULL && !guid_eq(&p->table->id, &x->table))
            p = p->next_of_account;
        if (x->last != 0 && (p == NULL || p->covered < x->last)) return false;
    }
    return f->complete;
}

const struct log_file *log_overdue(const struct account *a)
{
    const struct log_file *f = a->logs;
    while (f != NULL && log_is_covered(f, a))
        f = f->next;
    uint64_t held = 0;
    for (const struct log_file *x = f; x != NULL; x = x->next)
        held += x == a->log ? wal_length(a->wal) : x->length;
    return held > WAL_HELD_MAX ? f : NULL;
}

int64_t log_drop_due(const struct account *a)
{
    const struct log_file *f = a->logs;
    if (f == NULL || !f->retired || a->spooled || !log_is_covered(f, a)) return INT64_MAX;
    return f->ids_us + DEDUPE_US;
}

/* A file without rows yet is no burden: somebody is about to write to it. */
static bool holds_any(const struct log_file *f)
{
    for (uint32_t i = 0; i < f->entry.n_tables; i++) {
        if (f->entry.tables[i].last != 0) return true;
    }
    return false;
}

static enum err remove_entry(struct account *a, const uint8_t file_id[16], struct diag *d)
{
    char id[33], account[33];
    id_hex(file_id, id);
    id_hex(a->id, account);
    return store_put_entry(a->store, "log", id, account, (struct bytes){0}, d);
}

enum err log_drop(struct account *a, log_droppable *droppable, void *ctx, uint64_t *n,
                  struct diag *d)
{
    for (;;) {
        uint8_t file_id[16];
        pthread_mutex_lock(&a->lock);
        struct log_file *f = a->logs;
        bool drop = f != NULL && f->retired && droppable(f, a, ctx);
        if (drop) memcpy(file_id, f->entry.file_id, sizeof file_id);
        pthread_mutex_unlock(&a->lock);
        if (!drop) return OK;

        CLEANUP_FREE char *path = wal_path(a->wal_dir, file_id);
        if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        TRY(remove_entry(a, file_id, d));
        pthread_mutex_lock(&a->lock);
        a->logs = f->next; /* still the oldest: files are only added behind, and dropped under
                              flush_lock */
        pthread_mutex_unlock(&a->lock);
        log_file_free(f);
        if (n != NULL) (*n)++;
        TRY(os_remove(path, d)); /* when this fails, the next start removes it (2) */
    }
}

/* (3) */
static bool droppable_if_covered(const struct log_file *f, const struct account *a, void *ctx)
{
    int64_t now = *(int64_t *)ctx;
    return !a->spooled && f->ids_us + DEDUPE_US <= now && log_is_covered(f, a);
}

enum err log_drop_covered(struct account *a, struct diag *d)
{
    pthread_mutex_lock(&a->log_lock);
    pthread_mutex_lock(&a->lock);
    bool covered = a->log != NULL && holds_any(a->log) && log_is_covered(a->log, a);
    pthread_mutex_unlock(&a->lock);
    /* An append that comes in between goes to this file still: then it is not covered below, and
     * stays. */
    if (covered) wal_end(a->wal);
    log_retire(a);
    pthread_mutex_unlock(&a->log_lock);
    int64_t now = time_now_us();
    return log_drop(a, droppable_if_covered, &now, NULL, d);
}

/* --- under which AEK
 * ---------------------------------------------------------------------------------- */

enum err log_end_unless(struct account *a, const uint8_t aek_id[16], struct diag *d)
{
    struct file_ident f;
    LOCK_SCOPE(&a->log_lock);
    log_retire(a);
    if (a->wal == NULL) return OK;
    TRY(wal_read_ident(a->wal_dir, a->id, a->log->entry.file_id, &f, d));
    if (memcmp(f.aek_id, aek_id, sizeof f.aek_id) == 0) return OK;
    wal_end(a->wal); /* an append that comes in between finds it ended, and makes the next */
    log_retire(a);
    return OK;
}

/* The ids of the files that hold rows; free(). */
static enum err list_with_rows(struct account *a, uint8_t (**ids)[16], size_t *n, struct diag *d)
{
    LOCK_SCOPE(&a->lock);
    size_t all = 0;
    *n = 0;
    for (const struct log_file *f = a->logs; f != NULL; f = f->next)
        all++;
    *ids = calloc(all + 1, 16);
    if (*ids == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (const struct log_file *f = a->logs; f != NULL; f = f->next) {
        if (f->complete && !holds_any(f)) continue;
        memcpy((*ids)[(*n)++], f->entry.file_id, 16);
    }
    return OK;
}

enum err log_count_others(struct account *a, const uint8_t *aek_id, uint64_t *n, struct diag *d)
{
    size_t n_ids;
    uint8_t(*ids)[16];
    LOCK_SCOPE(&a->flush_lock); /* none is dropped meanwhile */
    TRY(list_with_rows(a, &ids, &n_ids, d));
    enum err e = OK;
    for (size_t i = 0; i < n_ids && e == OK; i++) {
        struct file_ident f = {0};
        if (aek_id != NULL) e = wal_read_ident(a->wal_dir, a->id, ids[i], &f, d);
        *n += aek_id == NULL || memcmp(f.aek_id, aek_id, 16) != 0;
    }
    free(ids);
    return e;
}

/* --- files without an entry
 * ----------------------------------------------------------------------- */

static bool is_listed(struct store *s, const uint8_t account[16], const uint8_t file_id[16])
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return false;
    LOCK_SCOPE(&a->lock);
    return find_file(a, file_id) != NULL;
}

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

static enum err sweep_account(struct store *s, const char *name, bool remove, struct diag *d)
{
    uint8_t account[16], file_id[16];
    if (strlen(name) != 32 || hex_decode(bytes_str(name), account, 16, NULL) != OK) return OK;
    CLEANUP_FREE char *path = os_path(s->wal_dir, name);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    CLEANUP_DIR DIR *dir = opendir(path);
    if (dir == NULL) return FAIL(d, ERR_IO, "logs %s: %s", path, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strlen(e->d_name) != 36 || !str_ends(e->d_name, ".wal")) continue;
        if (hex_decode(bytes_of(e->d_name, 32), file_id, 16, NULL) != OK) continue;
        if (is_listed(s, account, file_id)) continue;
        if (!remove) {
            TRY(manifest_check_orphan(s->manifest, file_id, d));
            continue;
        }
        LOG(INFO, "wal.orphan_removed", F_STR("file", e->d_name));
        if (unlinkat(dirfd(dir), e->d_name, 0) != 0) {
            return FAIL(d, ERR_IO, "log %s: %s", e->d_name, strerror(errno));
        }
    }
    return OK;
}

enum err log_sweep(struct store *s, bool remove, struct diag *d)
{
    CLEANUP_DIR DIR *dir = opendir(s->wal_dir);
    if (dir == NULL) return FAIL(d, ERR_IO, "logs %s: %s", s->wal_dir, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir))
        TRY(sweep_account(s, e->d_name, remove, d));
    return OK;
}

enum err log_find_aek(struct account *a, const uint8_t aek_id[16], bool *found, struct diag *d)
{
    CLEANUP_DIR DIR *dir = opendir(a->wal_dir);
    if (dir == NULL && errno == ENOENT) return OK;
    if (dir == NULL) return FAIL(d, ERR_IO, "logs %s: %s", a->wal_dir, strerror(errno));
    for (struct dirent *e = readdir(dir); e != NULL && !*found; e = readdir(dir)) {
        uint8_t file_id[16];
        struct file_ident f;
        if (strlen(e->d_name) != 36 || !str_ends(e->d_name, ".wal")) continue;
        if (hex_decode(bytes_of(e->d_name, 32), file_id, 16, NULL) != OK) continue;
        TRY(wal_read_ident(a->wal_dir, a->id, file_id, &f, d));
        *found = memcmp(f.aek_id, aek_id, 16) == 0;
    }
    return OK;
}
