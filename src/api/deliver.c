/* SPDX-License-Identifier: Apache-2.0 */
/* api/deliver.c - rows on their way to the disk, whatever state their key is in */
#include "api/deliver.h"

#include "base/log.h"
#include "resource/quota.h"
#include "resource/settings.h"

#include <stdlib.h>

#define WAIT_US      (10 * US_PER_S) /* for a verdict, or for a replay */
#define WAIT_STEP_US 20000
#define READERS_MAX  16 /* kept for reuse */

/* --- readers ---------------------------------------------------------------------------------- */

struct reader_pool {
    uint32_t n;
    struct row_reader *v[READERS_MAX];
};

enum err deliver_reader(struct api *a, struct row_reader **out, struct diag *d)
{
    {
        LOCK_SCOPE(&a->lock);
        if (a->readers != NULL && a->readers->n != 0) {
            *out = a->readers->v[--a->readers->n];
            return OK;
        }
    }
    return row_reader_new(out, d);
}

void deliver_reader_back(struct api *a, struct row_reader *r)
{
    row_reader_forget(r);
    {
        LOCK_SCOPE(&a->lock);
        if (a->readers == NULL) a->readers = calloc(1, sizeof *a->readers);
        if (a->readers != NULL && a->readers->n < READERS_MAX) {
            a->readers->v[a->readers->n++] = r;
            return;
        }
    }
    row_reader_free(r);
}

void readers_free(struct reader_pool *p)
{
    for (uint32_t i = 0; p != NULL && i < p->n; i++)
        row_reader_free(p->v[i]);
    free(p);
}

/* --- dropping --------------------------------------------------------------------------------- */

static enum delivered refuse(struct delivery *q, enum delivered why, uint64_t rows)
{
    atomic_fetch_add(&q->api->metrics.rows_refused, rows);
    return why;
}

/* (3) Counts rows that came for the first time. */
static enum err count_dropped(struct delivery *q, const char *reason, uint64_t rows, struct diag *d)
{
    struct api *a = q->api;
    char table[GUID_TEXT_MAX];
    guid_format(store_table_id(q->table), table);
    bool fresh = true;
    if (q->has_id) TRY(dedupe_begin(a->dropped_ids, q->id, time_now_us(), &fresh, d));
    if (!fresh) return OK;
    enum err e = dropped_add(a->dropped, q->workspace.account, table, reason, rows, d);
    if (q->has_id) dedupe_end(a->dropped_ids, q->id, e == OK);
    return e;
}

/* reason: "keyRevoked" or "dailyQuota", as the counter is called. */
static enum delivered drop(struct delivery *q, const char *reason, uint64_t rows)
{
    struct store *store = atomic_load(&q->api->store);
    /* (3): stored before the key was withdrawn */
    if (q->has_id && store != NULL && store_batch_known(store, q->id)) return DELIVERED;
    bool rejects = settings_of(q->api->arm).while_revoked_rejects;
    if (rejects && str_eq(reason, DROPPED_REVOKED)) return refuse(q, REFUSED_KEY, rows);
    struct diag d = DIAG_INIT;
    if (count_dropped(q, reason, rows, &d) == OK) return DELIVERED_DROPPED;
    LOG(ERROR, "dropped.uncounted", F_ERR(&d));
    return refuse(q, REFUSED_KEY, rows); /* (1): not counted, not acknowledged */
}

/* --- writing ---------------------------------------------------------------------------------- */

/* False: the key's state has moved on, look again. */
static bool append(struct delivery *q, const struct batch *rows, bool to_spool, enum delivered *end,
                   struct diag *d)
{
    struct store *store = atomic_load(&q->api->store);
    bool repeated = false;
    *end = REFUSED_KEY;
    if (store == NULL) return true;
    diag_reset(d);
    enum err e = (to_spool ? store_spool_append : store_append_once)(
        store, q->table, q->workspace.account, rows, q->has_id ? q->id : NULL, &repeated, d);
    switch (e) {
    case OK:
        if (!repeated) atomic_fetch_add(&q->api->metrics.rows_ingested, rows->n_rows);
        *end = DELIVERED;
        return true;
    case ERR_KEY_LOCKED: *end = drop(q, DROPPED_REVOKED, rows->n_rows); return true;
    case ERR_CONFLICT: return false;
    case ERR_UNAVAILABLE:
        if (!str_eq(d->tag, "SpoolFull")) return false;
        *end = refuse(q, REFUSED_FULL, rows->n_rows);
        return true;
    case ERR_INVALID:
    case ERR_LIMIT: *end = REFUSED_ROWS; return true;
    default:
        LOG(ERROR, "ingest.failed", F_ERR(d));
        *end = REFUSED_DISK;
        return true;
    }
}

/* (2) Until somebody has taken the rows, or the time is up. */
enum delivered deliver_rows(struct delivery *q, const struct batch *rows, size_t text_len,
                            struct diag *d)
{
    struct api *a = q->api;
    enum delivered end = REFUSED_KEY;
    bool in_quota = false; /* its bytes are taken once */
    int64_t until = time_mono_us() + WAIT_US;
    if (!q->workspace.has_account) return refuse(q, REFUSED_KEY, rows->n_rows);
    do {
        enum key_state s = custody_account_state(a->c.custody, q->workspace.account);
        if (s == KEY_REVOKED) return drop(q, DROPPED_REVOKED, rows->n_rows);
        bool waits = s == KEY_DOUBT || s == KEY_RESTORING;
        if (!waits && !in_quota && !(in_quota = quota_take(a->arm, &q->workspace, text_len))) {
            return drop(q, DROPPED_QUOTA, rows->n_rows); /* (4) */
        }
        if (!waits && append(q, rows, s == KEY_SUSPENDED, &end, d)) return end;
        time_sleep_us(WAIT_STEP_US);
    } while (time_mono_us() < until && !atomic_load(&a->stopping));
    return refuse(q, REFUSED_KEY, rows->n_rows);
}
