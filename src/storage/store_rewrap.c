/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_rewrap.c - rows of before under the key of now: segments are copied under the
 * newest AEK of one account, the old files deleted
 *
 * (1) A segment belongs to one account and one AEK for ever: what lies under another is a new file.
 *     One transaction takes the old entry out and puts the new one in, so wherever the process dies
 *     each row is in exactly one segment that the catalogue names.
 * (2) A scan begins before that moment or after it, never in between (store.moves); one that began
 *     before keeps the old file until it ends.
 * (3) Plaintext of one block at a time exists, and only while both accounts are entered.
 * (4) An AEK is unused when no file on the disk, named or not, has it in its header.
 */
#include "storage/store_impl.h"

#include "base/log.h"

#include <dirent.h>
#include <stdlib.h>

struct move { /* of one segment */
    const struct store_rewrap *r;
    struct account *from, *to;
    struct part *part, *to_part;
    struct live_segment *old, *fresh;
    struct scan_part *read; /* wiped by a lock of `from`, as a scan's */
    uint64_t to_epoch;
    struct file_key *key;
    struct segment_writer *writer;
    struct segment_entry entry;
};

static void move_release(struct move *m)
{
    struct keys *k = &m->from->store->c.keys;
    segment_writer_free(m->writer);
    k->ops->release(k->self, m->key);
    if (m->read != NULL) scan_part_close(m->read);
    live_segment_unref(m->old);
    live_segment_unref(m->fresh);
}

static enum err gate_enter(void *ctx, struct diag *d) /* (3) */
{
    struct move *m = ctx;
    TRY(account_enter(m->from, m->read->epoch, d));
    enum err e = account_enter(m->to, m->to_epoch, d);
    if (e != OK) account_leave(m->from);
    return e;
}

static void gate_leave(void *ctx)
{
    struct move *m = ctx;
    account_leave(m->to);
    account_leave(m->from);
}

/* --- which one
 * ---------------------------------------------------------------------------------------- */

static bool is_wanted(const struct store_rewrap *r, const struct account *a,
                      const struct live_segment *g)
{
    if (!guid_eq(&g->entry.workspace, &r->workspace)) return false;
    return memcmp(a->id, r->to, 16) != 0 || memcmp(g->aek_id, r->aek_id, 16) != 0;
}

/* One whose header nobody has read yet, with a reference. */
static struct live_segment *find_unread(struct account *a)
{
    LOCK_SCOPE(&a->lock);
    for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        for (uint32_t i = 0; i < p->n_segments; i++) {
            if (p->segments[i]->has_aek) continue;
            live_segment_ref(p->segments[i]);
            return p->segments[i];
        }
    }
    return NULL;
}

static enum err read_header(struct store *s, const uint8_t file_id[16], struct file_ident *out,
                            struct diag *d)
{
    CLEANUP_BUF struct buf header = {0};
    TRY(s->blobs->ops->read(s->blobs, file_id, 0, FILE_HEADER_LEN, &header, d));
    return file_header_decode(buf_view(&header), out, d);
}

/* Under flush_lock: nobody else reads or writes has_aek, and new segments wait for the next call.
 */
static enum err read_headers(struct account *a, struct diag *d)
{
    for (;;) {
        struct live_segment *g = find_unread(a);
        if (g == NULL) return OK;
        struct file_ident f = {0};
        enum err e = read_header(a->store, g->entry.file_id, &f, d);
        memcpy(g->aek_id, f.aek_id, sizeof g->aek_id);
        g->has_aek = e == OK;
        live_segment_unref(g);
        if (e != OK) return e;
    }
}

static bool pick(struct move *m)
{
    LOCK_SCOPE(&m->from->lock);
    for (struct part *p = m->from->parts; p != NULL; p = p->next_of_account) {
        for (uint32_t i = 0; i < p->n_segments; i++) {
            if (!is_wanted(m->r, m->from, p->segments[i])) continue;
            m->part = p;
            m->old = p->segments[i];
            live_segment_ref(m->old);
            return true;
        }
    }
    return false;
}

/* --- one segment
 * -------------------------------------------------------------------------------------- */

static enum err open_ends(struct move *m, struct diag *d)
{
    TRY(scan_segment_open(m->part, m->old, &m->read, d));
    TRY(store_part_get(m->part->table, m->to, &m->to_part, d));
    pthread_mutex_lock(&m->to->lock);
    bool open = m->to->state == ACCOUNT_OPEN;
    m->to_epoch = m->to->epoch;
    pthread_mutex_unlock(&m->to->lock);
    return open ? OK : account_refuse(m->to, d);
}

static enum err copy(struct move *m, struct diag *d)
{
    struct store *s = m->from->store;
    struct gate gate = {gate_enter, gate_leave, m};
    m->entry = m->old->entry;
    memcpy(m->entry.account, m->to->id, sizeof m->entry.account);
    TRY(manifest_new_file_id(s->manifest, m->entry.file_id, d));
    TRY(s->c.keys.ops->create(s->c.keys.self, m->to->id, OTYPE_SEGMENT, m->entry.file_id, &m->key,
                              d));
    TRY(segment_writer_new(&m->writer, s->blobs, m->key, &gate, d));
    return segment_copy(m->writer, m->read->readers[0], &m->entry, d);
}

/* What follows the transaction in memory cannot fail. */
static enum err prepare(struct move *m, struct diag *d)
{
    TRY(live_segment_new(m->from->store, &m->entry, &m->fresh, d));
    memcpy(m->fresh->aek_id, file_key_ident(m->key)->aek_id, sizeof m->fresh->aek_id);
    m->fresh->has_aek = true;
    LOCK_SCOPE(&m->to->lock);
    return part_reserve_segment(m->to_part, d);
}

static enum err commit(struct move *m, struct diag *d) /* (1) */
{
    struct store *s = m->from->store;
    char old_id[33], new_id[33], table_id[33];
    CLEANUP_BUF struct buf value = {0};
    id_hex(m->old->entry.file_id, old_id);
    id_hex(m->entry.file_id, new_id);
    id_hex(m->entry.table.b, table_id);
    TRY(segment_value_seal(s->manifest, new_id, &m->entry, &value, d));
    const struct entry_change changes[] = {
        {"segment", new_id, table_id, buf_view(&value)},
        {"segment", old_id, table_id, (struct bytes){0}},
    };
    return store_commit(s, changes, 2, d);
}

static void swap(struct move *m) /* (2) */
{
    struct store *s = m->from->store;
    pthread_rwlock_wrlock(&s->moves);
    part_forget_segment(m->part, m->old);
    pthread_mutex_lock(&m->to->lock);
    m->to_part->segments[m->to_part->n_segments++] = TAKE(m->fresh);
    pthread_mutex_unlock(&m->to->lock);
    pthread_rwlock_unlock(&s->moves);
}

static enum err move_picked(struct move *m, struct diag *d)
{
    struct store *s = m->from->store;
    TRY(open_ends(m, d));
    TRY(copy(m, d));
    enum err e = prepare(m, d);
    if (e == OK) e = commit(m, d);
    if (e != OK) {
        doubt_segment(s, m->entry.file_id); /* its entry may come to life yet */
        return e;
    }
    swap(m);
    LOG(INFO, "segment.rewrapped", F_U64("rows", m->entry.rows), F_U64("bytes", m->entry.length));
    return OK;
}

static enum err move_one(struct move *m, uint64_t *bytes, struct diag *d)
{
    TRY(read_headers(m->from, d));
    if (!pick(m)) return OK;
    enum err e = move_picked(m, d);
    if (e == OK) *bytes = m->old->entry.length;
    move_release(m);
    return e;
}

/* Nobody else takes two flush locks, and of this there is one at a time. */
static enum err move_locked(struct move *m, uint64_t *bytes, struct diag *d)
{
    LOCK_SCOPE(&m->from->flush_lock);
    if (m->to != m->from) pthread_mutex_lock(&m->to->flush_lock);
    enum err e = move_one(m, bytes, d);
    if (m->to != m->from) pthread_mutex_unlock(&m->to->flush_lock);
    return e;
}

/* --- the interface
 * ------------------------------------------------------------------------------------ */

enum err store_rewrap_step(struct store *s, const struct store_rewrap *r, uint64_t *bytes,
                           struct diag *d)
{
    *bytes = 0;
    struct account *to = NULL;
    TRY(store_account_get(s, r->to, &to, d));
    for (uint32_t i = 0; i < r->n_from && *bytes == 0; i++) {
        struct move m = {.r = r, .to = to, .from = store_account_find(s, r->from[i])};
        if (m.from != NULL) TRY(move_locked(&m, bytes, d));
    }
    return OK;
}

enum err store_rewrap_flush(struct store *s, const struct store_rewrap *r, struct diag *d)
{
    struct account *to = store_account_find(s, r->to);
    if (to != NULL) TRY(log_end_unless(to, r->aek_id, d));
    for (uint32_t i = 0; i < r->n_from; i++)
        TRY(store_flush(s, r->from[i], d));
    return OK;
}

static void add_segments(const struct store_rewrap *r, struct account *a,
                         struct store_rewrap_left *out)
{
    LOCK_SCOPE(&a->lock);
    for (const struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        for (uint32_t i = 0; i < p->n_segments; i++) {
            const struct live_segment *g = p->segments[i];
            if (!g->has_aek || !is_wanted(r, a, g)) continue;
            out->segments++;
            out->bytes += g->entry.length;
        }
    }
}

static enum err count_segments(const struct store_rewrap *r, struct account *a,
                               struct store_rewrap_left *out, struct diag *d)
{
    LOCK_SCOPE(&a->flush_lock);
    TRY(read_headers(a, d));
    add_segments(r, a, out);
    return OK;
}

enum err store_rewrap_count(struct store *s, const struct store_rewrap *r,
                            struct store_rewrap_left *out, struct diag *d)
{
    *out = (struct store_rewrap_left){0};
    for (uint32_t i = 0; i < r->n_from; i++) {
        struct account *a = store_account_find(s, r->from[i]);
        if (a == NULL) continue;
        const uint8_t *newest = memcmp(a->id, r->to, 16) == 0 ? r->aek_id : NULL;
        TRY(count_segments(r, a, out, d));
        TRY(log_count_others(a, newest, &out->logs, d));
    }
    return OK;
}

/* --- is an AEK still needed? (4)
 * ---------------------------------------------------------------------- */

struct search {
    struct store *s;
    const uint8_t *account, *aek_id;
    bool found;
};

static enum err look_at(void *ctx, const uint8_t id[16], uint64_t length, struct diag *d)
{
    struct search *x = ctx;
    struct file_ident f;
    if (x->found || length < FILE_HEADER_LEN) return OK;
    TRY(read_header(x->s, id, &f, d));
    x->found = memcmp(f.account, x->account, 16) == 0 && memcmp(f.aek_id, x->aek_id, 16) == 0;
    return OK;
}

/* Under both locks. */
static enum err find_file(struct account *a, const uint8_t aek_id[16], bool *found, struct diag *d)
{
    struct store *s = a->store;
    struct search x = {.s = s, .account = a->id, .aek_id = aek_id};
    TRY(log_find_aek(a, aek_id, &x.found, d));
    if (!x.found) TRY(s->blobs->ops->list(s->blobs, look_at, &x, d));
    *found = x.found;
    return OK;
}

enum err store_aek_unused(struct store *s, const uint8_t account[16], const uint8_t aek_id[16],
                          store_aek_drop *drop, void *ctx, bool *unused, struct diag *d)
{
    *unused = false;
    /* The catalogue's own entries lie under the store's account, in no file. */
    if (memcmp(account, s->c.platform_account, 16) == 0) return OK;
    struct account *a = NULL;
    bool found = true;
    TRY(store_account_get(s, account, &a, d));
    pthread_mutex_lock(&a->flush_lock); /* no segment is on its way */
    pthread_mutex_lock(&a->log_lock);   /* nor a log */
    enum err e = find_file(a, aek_id, &found, d);
    pthread_mutex_unlock(&a->log_lock);
    pthread_mutex_unlock(&a->flush_lock);
    if (e != OK || found) return e;
    /* New files get newer keys, so none comes once nobody holds the locks; and drop may wait for a
     * vault. */
    *unused = true;
    return drop(ctx, account, aek_id, d);
}
