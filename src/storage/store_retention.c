/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/store_retention.c - deleting what is past its table's days: whole files, by what the
 * catalogue knows
 *
 * No customer's key is needed: a locked account's data ages too. Its log files go when all their
 * tables' rows are past their days; an open account's rows are in memory and reach segments first.
 * An account that is dropped loses all its files the same way.
 */
#include "storage/store_impl.h"

#include "base/log.h"

#include <stdlib.h>

#define TICKS_PER_DAY (86400 * TICKS_PER_S)

struct retention {
    struct store *s;
    int64_t now; /* ticks */
    store_days *days;
    void *ctx;
    bool all; /* of an account that is dropped */
    uint64_t removed;
};

static bool is_past(const struct retention *r, const struct table *t, int64_t time_max)
{
    if (r->all) return true;
    uint32_t days = t->retention_days;
    if (days == 0) days = r->days(r->ctx, &t->workspace);
    if (days == 0) return false; /* kept for ever */
    return time_max < r->now - (int64_t)days * TICKS_PER_DAY;
}

/* One expired segment of the part, with a reference; NULL: none. */
static struct live_segment *find_expired(const struct retention *r, struct part *p)
{
    LOCK_SCOPE(&p->account->lock);
    for (uint32_t i = 0; i < p->n_segments; i++) {
        struct live_segment *g = p->segments[i];
        if (!is_past(r, p->table, g->entry.time_max)) continue;
        live_segment_ref(g);
        return g;
    }
    return NULL;
}

static enum err expire_part(struct retention *r, struct part *p, struct diag *d)
{
    for (;;) {
        struct live_segment *g = find_expired(r, p);
        if (g == NULL) return OK;
        char id[33], table[33];
        id_hex(g->entry.file_id, id);
        id_hex(g->entry.table.b, table);
        enum err e = store_put_entry(r->s, "segment", id, table, (struct bytes){0}, d);
        if (e == OK) {
            part_forget_segment(p, g);
            r->removed++;
            LOG(INFO, "segment.expired", F_STR("file", id), F_U64("rows", g->entry.rows));
        }
        live_segment_unref(g);
        if (e != OK) return e;
    }
}

static bool log_is_past(const struct log_file *f, const struct account *a, void *ctx)
{
    const struct retention *r = ctx;
    if (r->all) return true;
    if (a->spooled) return false; /* it says which rows of the spool are in it */
    if (a->state == ACCOUNT_OPEN || a->state == ACCOUNT_OPENING || !f->complete) return false;
    for (uint32_t i = 0; i < f->entry.n_tables; i++) {
        const struct log_table *x = &f->entry.tables[i];
        const struct part *p = a->parts;
        while (p != NULL && !guid_eq(&p->table->id, &x->table))
            p = p->next_of_account;
        if (x->last == 0 || (p != NULL && p->covered >= x->last)) continue;
        if (p == NULL || !is_past(r, p->table, x->time_max)) return false;
    }
    return true;
}

static enum err expire_account(struct retention *r, struct account *a, struct diag *d)
{
    LOCK_SCOPE(&a->flush_lock);
    pthread_mutex_lock(&a->lock);
    struct part *first = a->parts;
    pthread_mutex_unlock(&a->lock);
    for (struct part *p = first; p != NULL; p = p->next_of_account)
        TRY(expire_part(r, p, d));
    return log_drop(a, log_is_past, r, NULL, d);
}

enum err store_retention_run(struct store *s, int64_t now_us, store_days *days, void *ctx,
                             uint64_t *segments_removed, struct diag *d)
{
    struct retention r = {.s = s, .now = TICKS_UNIX + now_us * 10, .days = days, .ctx = ctx};
    pthread_mutex_lock(&s->lock);
    struct account *first = s->accounts;
    pthread_mutex_unlock(&s->lock);
    for (struct account *a = first; a != NULL; a = a->next)
        TRY(expire_account(&r, a, d));
    *segments_removed = r.removed;
    return OK;
}

/* --- an account whose key is gone for ever
 * ---------------------------------------------------------- */

/* How far its rows were in segments: the last that the catalogue says of it. */
static enum err remove_covered(struct account *a, struct part *p, struct diag *d)
{
    char id[66];
    covered_id(&p->table->id, a->id, id);
    return store_put_entry(a->store, "covered", id, id + 33, (struct bytes){0}, d);
}

enum err store_account_drop(struct store *s, const uint8_t account[16], struct diag *d)
{
    struct account *a = store_account_find(s, account);
    if (a == NULL) return OK;
    struct retention r = {.s = s, .all = true};
    store_account_lock(s, account);
    TRY(store_spool_destroy(s, account, d));
    LOCK_SCOPE(&a->open_lock);
    pthread_mutex_lock(&a->log_lock);
    log_retire(a);
    pthread_mutex_unlock(&a->log_lock);
    TRY(expire_account(&r, a, d));
    pthread_mutex_lock(&a->lock);
    struct part *first = a->parts;
    pthread_mutex_unlock(&a->lock);
    for (struct part *p = first; p != NULL; p = p->next_of_account)
        TRY(remove_covered(a, p, d));
    char hex[33];
    id_hex(account, hex);
    LOG(INFO, "account.dropped", F_STR("account", hex), F_U64("segments", r.removed));
    return OK;
}
