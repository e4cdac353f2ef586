/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_scan_part.c - what a scan holds of one account: pieces in memory, segments and their
 * keys
 */
#include "storage/store_impl.h"

#include <stdlib.h>

/* account.lock: a lock of the account wipes it from now on. */
static void link_to_account(struct scan_part *sp, struct account *a)
{
    sp->next_in_account = a->scans;
    sp->at = &a->scans;
    if (a->scans != NULL) a->scans->at = &sp->next_in_account;
    a->scans = sp;
}

static enum err snapshot_pieces(struct scan_part *sp, const struct part *p, struct diag *d)
{
    uint32_t n = p->active->n_pieces;
    for (struct memtable *m = p->frozen; m != NULL; m = m->next)
        n += m->n_pieces;
    sp->pieces = calloc(n + 1, sizeof(struct piece *));
    if (sp->pieces == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (const struct memtable *m = p->frozen != NULL ? p->frozen : p->active; m != NULL;) {
        uint32_t at = sp->n_pieces + m->n_pieces;
        for (struct piece *x = m->newest; x != NULL; x = x->next) {
            piece_ref(x);
            sp->pieces[--at] = x;
        }
        sp->n_pieces += m->n_pieces;
        m = m == p->active ? NULL : m->next != NULL ? m->next : p->active;
    }
    return OK;
}

static enum err snapshot_segments(struct scan_part *sp, const struct part *p,
                                  const struct time_range *range, struct diag *d)
{
    sp->segments = calloc(p->n_segments + 1, sizeof(struct live_segment *));
    sp->readers = calloc(p->n_segments + 1, sizeof(struct segment_reader *));
    if (sp->segments == NULL || sp->readers == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < p->n_segments; i++) {
        struct live_segment *g = p->segments[i];
        if (!in_time_range(range, g->entry.time_min, g->entry.time_max)) continue;
        live_segment_ref(g);
        sp->segments[sp->n_segments++] = g;
    }
    return OK;
}

enum err scan_part_new(struct part *p, const struct time_range *range, struct scan_part **list,
                       struct diag *d)
{
    struct account *a = p->account;
    struct scan_part *sp = calloc(1, sizeof *sp);
    if (sp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sp->part = p;
    sp->epoch = a->epoch;
    sp->next = *list;
    *list = sp;
    link_to_account(sp, a);
    TRY(snapshot_pieces(sp, p, d));
    return snapshot_segments(sp, p, range, d);
}

/* --- keys ------------------------------------------------------------------------------------- */

static enum err open_readers(struct scan_part *sp, struct file_ident *idents, struct diag *d)
{
    for (uint32_t i = 0; i < sp->n_segments; i++) {
        struct live_segment *g = sp->segments[i];
        struct segment_reader *r = NULL;
        TRY(segment_reader_new(&r, g->store->blobs, &g->entry, d));
        idents[i] = *segment_reader_ident(r);
        LOCK_SCOPE(&sp->part->account->lock); /* a lock looks through the readers */
        sp->readers[i] = r;
    }
    return OK;
}

static enum err unlock_reader(struct scan_part *sp, uint32_t i, struct file_key **k, struct diag *d)
{
    struct account *a = sp->part->account;
    bool more = true;
    while (more) {
        TRY(account_enter(a, sp->epoch, d));
        enum err e = segment_reader_unlock(sp->readers[i], *k, &more, d);
        if (e == OK && !more) *k = NULL; /* the reader's from here on: a lock gives it back */
        account_leave(a);
        if (e != OK) return e;
        if (more) TRY(segment_reader_load_more(sp->readers[i], d));
    }
    return OK;
}

static enum err unlock_readers(struct scan_part *sp, struct file_key **file_keys, struct diag *d)
{
    for (uint32_t i = 0; i < sp->n_segments; i++)
        TRY(unlock_reader(sp, i, &file_keys[i], d));
    return OK;
}

/* One exchange with keyd for all files of the account. */
enum err scan_part_unlock(struct scan_part *sp, struct diag *d)
{
    if (sp->n_segments == 0) return OK;
    struct account *a = sp->part->account;
    struct keys *k = &a->store->c.keys;
    CLEANUP_FREE struct file_ident *idents = calloc(sp->n_segments, sizeof *idents);
    CLEANUP_FREE struct file_key **file_keys = calloc(sp->n_segments, sizeof(struct file_key *));
    if (idents == NULL || file_keys == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(open_readers(sp, idents, d));
    TRY(k->ops->open(k->self, a->id, idents, sp->n_segments, file_keys, d));
    enum err e = unlock_readers(sp, file_keys, d);
    for (uint32_t i = 0; i < sp->n_segments; i++)
        k->ops->release(k->self, file_keys[i]);
    return e;
}

/* --- the end ---------------------------------------------------------------------------------- */

void scan_part_wipe(struct scan_part *sp)
{
    struct keys *k = &sp->part->account->store->c.keys;
    for (uint32_t i = 0; i < sp->n_pieces; i++)
        piece_wipe(sp->pieces[i]);
    for (uint32_t i = 0; i < sp->n_segments; i++) {
        if (sp->readers[i] != NULL) k->ops->release(k->self, segment_reader_lock(sp->readers[i]));
    }
}

void scan_part_close(struct scan_part *sp)
{
    struct account *a = sp->part->account;
    struct keys *k = &a->store->c.keys;
    pthread_mutex_lock(&a->lock);
    *sp->at = sp->next_in_account;
    if (sp->next_in_account != NULL) sp->next_in_account->at = sp->at;
    pthread_mutex_unlock(&a->lock);
    for (uint32_t i = 0; i < sp->n_pieces; i++)
        piece_unref(sp->pieces[i]);
    for (uint32_t i = 0; i < sp->n_segments; i++) {
        if (sp->readers[i] != NULL) k->ops->release(k->self, segment_reader_lock(sp->readers[i]));
        segment_reader_free(sp->readers[i]);
        live_segment_unref(sp->segments[i]);
    }
    free(sp->pieces);
    free(sp->segments);
    free(sp->readers);
    free(sp);
}

/* --- one segment alone ------------------------------------------------------------------------ */

static enum err list_alone(struct scan_part *sp, struct live_segment *g, struct diag *d)
{
    struct account *a = sp->part->account;
    sp->segments = calloc(1, sizeof(struct live_segment *));
    sp->readers = calloc(1, sizeof(struct segment_reader *));
    if (sp->segments == NULL || sp->readers == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    pthread_mutex_lock(&a->lock);
    bool open = a->state == ACCOUNT_OPEN;
    sp->epoch = a->epoch;
    pthread_mutex_unlock(&a->lock);
    if (!open) return account_refuse(a, d);
    live_segment_ref(g);
    sp->segments[sp->n_segments++] = g;
    return scan_part_unlock(sp, d);
}

enum err scan_segment_open(struct part *p, struct live_segment *g, struct scan_part **out,
                           struct diag *d)
{
    struct account *a = p->account;
    struct scan_part *sp = calloc(1, sizeof *sp);
    if (sp == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    sp->part = p;
    pthread_mutex_lock(&a->lock);
    link_to_account(sp, a);
    pthread_mutex_unlock(&a->lock);
    enum err e = list_alone(sp, g, d);
    if (e != OK) {
        scan_part_close(sp);
        return e;
    }
    *out = sp;
    return OK;
}
