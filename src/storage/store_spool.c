/* SPDX-License-Identifier: Apache-2.0 */
/* storage/store_spool.c - a spool's life: found, made, written to, destroyed, tidied away */
#include "storage/spool.h"

#include "base/log.h"
#include "storage/rows.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define OPEN_WAIT_US (15 * US_PER_S) /* for another thread that asks keyd */
#define FILES_MAX    4096

/* --- files ------------------------------------------------------------------------------------ */

static void cleanup_dir(DIR **dir)
{
    if (*dir != NULL) closedir(*dir);
}
#define CLEANUP_DIR __attribute__((cleanup(cleanup_dir)))

/* File numbers only grow: the second half of an id. */
static int by_number(const void *a, const void *b)
{
    const struct spool_file *x = a, *y = b;
    return memcmp(x->file_id + 8, y->file_id + 8, 8);
}

static enum err read_heads(const struct spool *sp, struct spool_file *f, struct diag *d)
{
    uint8_t head[FILE_HEADER_LEN + BLOCK_HEADER_LEN];
    struct sealed_head h;
    struct stat st;
    CLEANUP_FREE char *path = wal_path(sp->dir, f->file_id);
    if (path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    if (stat(path, &st) != 0) return FAIL(d, ERR_IO, "spool %s: %s", path, strerror(errno));
    f->length = (uint64_t)st.st_size;
    CLEANUP_FD int fd = SYS(open(path, O_RDONLY | O_CLOEXEC));
    if (fd < 0) return FAIL(d, ERR_IO, "spool %s: %s", path, strerror(errno));
    TRY(os_pread_all(fd, head, sizeof head, 0, d));
    TRY(file_header_decode(bytes_of(head, FILE_HEADER_LEN), &f->ident, d));
    TRY(sealed_head_decode(bytes_of(head + FILE_HEADER_LEN, BLOCK_HEADER_LEN), &h, d));
    f->first = h.no;
    return OK;
}

static enum err list_files(const struct spool *sp, struct spool_file **out, uint32_t *n,
                           struct diag *d)
{
    struct spool_file *files = NULL;
    uint32_t count = 0;
    CLEANUP_DIR DIR *dir = opendir(sp->dir);
    if (dir == NULL && errno != ENOENT)
        return FAIL(d, ERR_IO, "spool %s: %s", sp->dir, strerror(errno));
    for (struct dirent *e = dir != NULL ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        struct spool_file f = {0};
        if (strlen(e->d_name) != 36 || !str_ends(e->d_name, ".wal")) continue;
        if (hex_decode(bytes_of(e->d_name, 32), f.file_id, 16, NULL) != OK) continue;
        struct spool_file *more = realloc(files, (count + 1) * sizeof *more);
        if (more == NULL || count == FILES_MAX) {
            free(more != NULL ? more : files);
            return FAIL(d, ERR_LIMIT, "spool: more than %d files", FILES_MAX);
        }
        files = more;
        files[count++] = f;
    }
    if (count != 0) qsort(files, count, sizeof *files, by_number);
    *out = files;
    *n = count;
    return OK;
}

static enum err remove_file(const struct spool *sp, const struct spool_file *f, struct diag *d)
{
    CLEANUP_FREE char *path = wal_path(sp->dir, f->file_id);
    return path != NULL ? os_remove(path, d) : FAIL(d, ERR_LIMIT, "out of memory");
}

/* What a crash left before its first record was durable: nobody was told of a row in it. */
static bool is_stillborn(const struct spool_file *f)
{
    return f->length < FILE_HEADER_LEN + BLOCK_HEADER_LEN;
}

enum err spool_files(const struct spool *sp, struct spool_file **out, uint32_t *n, struct diag *d)
{
    struct spool_file *files = NULL;
    uint32_t count = 0, kept = 0;
    TRY(list_files(sp, &files, &count, d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < count; i++) {
        struct diag why = DIAG_INIT;
        e = read_heads(sp, &files[i], &why);
        if (e == ERR_CORRUPT && is_stillborn(&files[i])) {
            e = remove_file(sp, &files[i], &why);
            if (e == OK) continue;
        }
        if (e != OK) e = FAIL(d, e, "%s", why.text);
        files[kept++] = files[i];
    }
    if (e != OK) {
        free(files);
        return e;
    }
    *out = files;
    *n = kept;
    return OK;
}

enum err spool_remove_files(const struct spool *sp, struct diag *d)
{
    CLEANUP_FREE struct spool_file *files = NULL;
    uint32_t n = 0;
    TRY(list_files(sp, &files, &n, d));
    for (uint32_t i = 0; i < n; i++)
        TRY(remove_file(sp, &files[i], d));
    return OK;
}

/* --- found ------------------------------------------------------------------------------------ */

static uint64_t bytes_of_spool(struct spool *sp)
{
    return sp->bytes_before + (sp->wal != NULL ? wal_length(sp->wal) : 0);
}

void spool_weigh(struct spool *sp)
{
    uint64_t now = bytes_of_spool(sp);
    atomic_fetch_add(&sp->account->store->spooled, now - sp->weight); /* modulo 2^64: it may sink */
    sp->weight = now;
}

void spool_forget(struct spool *sp)
{
    wal_unref(TAKE(sp->wal));
    for (uint32_t i = 0; i < sp->n_keys; i++)
        file_key_free(sp->keys[i]);
    free(TAKE(sp->keys));
    sp->n_keys = 0;
    buf_release(&sp->slot.record);
    sp->slot = (struct slot){0};
    sp->bytes_before = 0;
    spool_weigh(sp);
}

void spool_free(struct spool *sp)
{
    if (sp == NULL) return;
    spool_forget(sp);
    pthread_cond_destroy(&sp->changed);
    pthread_mutex_destroy(&sp->lock);
    free(sp->dir);
    free(sp->slot_path);
    free(sp);
}
DEFINE_CLEANUP(spool_free, struct spool)

static void set_state(struct spool *sp, enum spool_state s)
{
    sp->state = s;
    sp->account->spooled = s == SPOOL_LIVE || s == SPOOL_DRAINING || s == SPOOL_DAMAGED;
    pthread_cond_broadcast(&sp->changed);
}

static enum err find(struct spool *sp, struct diag *d)
{
    CLEANUP_FREE struct spool_file *files = NULL;
    uint32_t n = 0;
    struct diag why = DIAG_INIT;
    TRY(list_files(sp, &files, &n, d));
    for (uint32_t i = 0; i < n; i++) {
        (void)read_heads(sp, &files[i], NULL); /* its length is what matters here */
        sp->bytes_before += files[i].length;
    }
    spool_weigh(sp);
    enum err e = slot_read(sp->slot_path, &sp->slot, &why);
    if (e == ERR_CORRUPT && n == 0) { /* (20): torn while it was written, before the first row */
        TRY(slot_wipe(sp->slot_path, d));
    } else if (e == ERR_CORRUPT) {
        char hex[33];
        id_hex(sp->account->id, hex);
        LOG(ERROR, "spool.damaged", F_STR("account", hex), F_ERR(&why));
        set_state(sp, SPOOL_DAMAGED);
    } else if (e != OK) {
        return FAIL(d, e, "%s", why.text);
    } else if (sp->slot.record.len != 0) {
        set_state(sp, SPOOL_LIVE);
    } else if (n != 0) {
        set_state(sp, SPOOL_DEAD);
    }
    return OK;
}

enum err spool_new(struct account *a, struct spool **out, struct diag *d)
{
    char hex[33];
    id_hex(a->id, hex);
    CLEANUP(spool_free) struct spool *sp = calloc(1, sizeof *sp);
    if (sp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sp->account = a;
    pthread_mutex_init(&sp->lock, NULL);
    cond_init(&sp->changed);
    sp->dir = os_path(a->store->spool_dir, hex);
    sp->slot_path = sp->dir != NULL ? os_path(sp->dir, "slot") : NULL;
    if (sp->slot_path == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(find(sp, d));
    *out = TAKE(sp);
    return OK;
}

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
        set_state(sp, SPOOL_LIVE);
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
    if (bytes_of_spool(sp) + bytes > c->bytes_max) {
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

/* --- destroyed -------------------------------------------------------------------------------- */

static enum err destroy(struct spool *sp, struct diag *d)
{
    LOCK_SCOPE(&sp->lock);
    sp->epoch++; /* whoever makes a file finds out */
    if (sp->state == SPOOL_NONE || sp->state == SPOOL_DEAD) return OK;
    if (sp->wal != NULL) wal_end(sp->wal);
    for (uint32_t i = 0; i < sp->n_keys; i++)
        file_key_wipe(sp->keys[i], ERR_KEY_LOCKED);
    TRY(slot_wipe(sp->slot_path, d));
    buf_release(&sp->slot.record);
    set_state(sp, SPOOL_DEAD);
    LOG(WARN, "spool.destroyed", F_STR("dir", sp->dir));
    flusher_kick(sp->account->store);
    return OK;
}

enum err store_spool_destroy(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return OK;
    pthread_mutex_lock(&s->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&s->spool_lock);
    return sp != NULL ? destroy(sp, d) : OK;
}

static enum err tidy(struct spool *sp, struct diag *d)
{
    const struct spool_config *c = &sp->account->store->c.spool;
    if (c->emptied != NULL)
        TRY(c->emptied(c->ctx, sp->account->id, &(struct spool_end){.is_destroyed = true}, d));
    TRY(spool_remove_files(sp, d));
    LOCK_SCOPE(&sp->lock);
    spool_forget(sp);
    set_state(sp, SPOOL_NONE);
    return OK;
}

bool spool_tidy(struct account *a)
{
    pthread_mutex_lock(&a->store->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&a->store->spool_lock);
    if (sp == NULL) return true;
    pthread_mutex_lock(&sp->lock);
    bool due = sp->state == SPOOL_DEAD && !sp->opening && sp->users == 0;
    pthread_mutex_unlock(&sp->lock);
    struct diag d = DIAG_INIT;
    if (!due || tidy(sp, &d) == OK) return true; /* who leaves wakes us again */
    LOG(WARN, "spool.tidy_failed", F_STR("dir", sp->dir), F_ERR(&d));
    return false;
}

/* --- what there is ---------------------------------------------------------------------------- */

/* Media on which writing in place is not what happens. Numbers of linux/magic.h, and of ZFS. */
static const char *medium_of(const char *dir)
{
    struct statfs fs;
    if (statfs(dir, &fs) != 0) return "";
    switch ((uint32_t)fs.f_type) {
    case 0x9123683E: return "btrfs";
    case 0x2FC12FC1: return "zfs";
    case 0x794C7630: return "overlayfs";
    case 0xCA451A4E: return "bcachefs";
    case 0xF2F52010: return "f2fs";
    default: return "";
    }
}

bool store_spool_info(struct store *s, const uint8_t account[16], struct store_spool_info *out)
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return false;
    pthread_mutex_lock(&s->spool_lock);
    struct spool *sp = a->spool;
    pthread_mutex_unlock(&s->spool_lock);
    if (sp == NULL) return false;
    LOCK_SCOPE(&sp->lock);
    if (sp->state == SPOOL_NONE || sp->state == SPOOL_DEAD) return false;
    *out = (struct store_spool_info){.bytes = bytes_of_spool(sp),
                                     .since_us = sp->slot.since_us,
                                     .is_damaged = sp->state == SPOOL_DAMAGED,
                                     .medium = medium_of(sp->dir)};
    return true;
}
