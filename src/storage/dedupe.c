/* SPDX-License-Identifier: Apache-2.0 */
/* storage/dedupe.c - a map of ids, and a queue of them by age */
#include "storage/dedupe.h"

#include "base/map.h"
#include "base/thread.h"

#include <stdlib.h>
#include <string.h>

#define WAIT_US (60 * US_PER_S)

struct known {
    struct known *older, *younger;
    uint8_t id[BATCH_ID_LEN];
    int64_t time_us;
    bool is_stored; /* else it is being written, */
    bool is_logged; /* and was stored before, as a log says that was read meanwhile */
};

struct dedupe {
    pthread_mutex_t lock;
    pthread_cond_t ended; /* some writer has an outcome */
    struct map ids;
    struct known *oldest, *youngest;
    uint32_t max;
};

struct dedupe *dedupe_new(uint32_t ids_max)
{
    struct dedupe *t = calloc(1, sizeof *t);
    if (t == NULL) return NULL;
    pthread_mutex_init(&t->lock, NULL);
    cond_init(&t->ended);
    t->max = ids_max;
    return t;
}

static struct known *find(const struct dedupe *t, const uint8_t *id)
{
    return map_get(&t->ids, bytes_of(id, BATCH_ID_LEN));
}

static void forget(struct dedupe *t, struct known *k)
{
    (void)map_remove(&t->ids, BYTES_OF(k->id));
    *(k->older != NULL ? &k->older->younger : &t->oldest) = k->younger;
    *(k->younger != NULL ? &k->younger->older : &t->youngest) = k->older;
    free(k);
}

void dedupe_free(struct dedupe *t)
{
    if (t == NULL) return;
    while (t->oldest != NULL)
        forget(t, t->oldest);
    map_release(&t->ids);
    pthread_cond_destroy(&t->ended);
    pthread_mutex_destroy(&t->lock);
    free(t);
}

/* (2) One that is being written stays: its writer will come for it. The queue is in the order of
 * arrival: what a replay brings late leaves late, which does no harm. */
static void expire(struct dedupe *t, int64_t now_us)
{
    while (t->oldest != NULL && t->oldest->is_stored &&
           (t->oldest->time_us + DEDUPE_US <= now_us || t->ids.n_live > t->max)) {
        forget(t, t->oldest);
    }
}

static enum err add(struct dedupe *t, const uint8_t *id, int64_t time_us, struct known **out,
                    struct diag *d)
{
    struct known *k = calloc(1, sizeof *k);
    if (k == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    memcpy(k->id, id, sizeof k->id);
    k->time_us = time_us;
    enum err e = map_put(&t->ids, BYTES_OF(k->id), k, NULL, d);
    if (e != OK) {
        free(k);
        return e;
    }
    k->older = t->youngest;
    *(k->older != NULL ? &k->older->younger : &t->oldest) = k;
    t->youngest = k;
    *out = k;
    return OK;
}

enum err dedupe_begin(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t now_us, bool *fresh,
                      struct diag *d)
{
    int64_t give_up = time_mono_us() + WAIT_US;
    LOCK_SCOPE(&t->lock);
    struct known *k = find(t, id);
    while (k != NULL && !k->is_stored) { /* (1) */
        if (!cond_wait_until(&t->ended, &t->lock, give_up)) {
            return FAIL(d, ERR_UNAVAILABLE, "the same batch is being written");
        }
        k = find(t, id);
    }
    expire(t, now_us);
    k = find(t, id);
    if (k == NULL) TRY(add(t, id, now_us, &k, d));
    *fresh = !k->is_stored;
    return OK;
}

void dedupe_end(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], bool is_stored)
{
    LOCK_SCOPE(&t->lock);
    struct known *k = find(t, id);
    if (is_stored || k->is_logged) {
        k->is_stored = true;
    } else {
        forget(t, k);
    }
    pthread_cond_broadcast(&t->ended);
}

enum err dedupe_note(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t time_us,
                     int64_t now_us, struct diag *d)
{
    LOCK_SCOPE(&t->lock);
    expire(t, now_us);
    if (time_us + DEDUPE_US <= now_us) return OK;
    struct known *k = find(t, id);
    if (k == NULL) {
        TRY(add(t, id, time_us, &k, d));
        k->is_stored = true;
    } else if (!k->is_stored) {
        k->is_logged = true;
        k->time_us = time_us;
    }
    return OK;
}

bool dedupe_knows(struct dedupe *t, const uint8_t id[BATCH_ID_LEN], int64_t now_us)
{
    LOCK_SCOPE(&t->lock);
    expire(t, now_us);
    return find(t, id) != NULL;
}
