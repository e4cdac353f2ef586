/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/holder.h - what the files of the client share: who holds file keys under leases
 *
 * (1) c->lock guards everything; `applied` and `reported` are written by the holder of the
 *     account's apply_lock only. Order: apply_lock, then lock. Neither keyd nor the server is
 *     called under lock.
 * (2) `heard` is keyd's word; `applied` is what the server has been told with changed(). settle()
 *     brings the second to the first, step by step; from a locked state always through RESTORING,
 *     whatever keyd's own path was.
 * (3) Every lock adds one to the account's epoch. What was asked for in an older epoch is thrown
 *     away: an answer that carries a key may overtake the news that locks it.
 * (4) A key is used only while both clocks of the lease say so. A thread wipes what has run out;
 *     custody_lease_check() does not rely on that thread being awake.
 * (5) A held account is never freed before custody_free().
 */
#pragma once

#include "base/map.h"
#include "base/thread.h"
#include "base/time.h"
#include "custody/protocol.h"
#include "custody/state.h"

struct cached_key {
    struct file_key *key;
    uint32_t n_holders;
};

struct settle_ref { /* a job's argument */
    struct custody *c;
    struct held *h;
};

struct held { /* one account */
    struct settle_ref job;
    uint8_t id[16];
    enum key_state heard;
    uint64_t seq, epoch;
    bool self_locked;                   /* the lease ran out before keyd said anything */
    int64_t end_boot_us, end_kernel_us; /* of the lease; 0 = none */
    struct map keys;                    /* file header -> struct cached_key */
    bool queued;                        /* a settle job is on its way */
    int64_t retry_us;                   /* monotonic: when to settle again; 0 = nothing to do */
    pthread_mutex_t apply_lock;
    enum key_state applied;
    uint64_t reported; /* the RESTORING that keyd was told the end of */
};

struct custody {
    struct custody_config config;
    struct chan *chan;
    struct pool *pool; /* settles what may take long */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* of the lease thread */
    struct map accounts; /* id -> struct held */
    struct map wiped;    /* address of a file_key -> struct cached_key: wiped, still held */
    bool stopping, renew_now;
    _Atomic uint64_t entries; /* custody_entries_moved() */
    bool running;             /* the lease thread was started */
    pthread_t lease_thread;
};

/* client_keys.c; all under lock but for the last two */
enum err held_find(struct custody *c, const uint8_t id[16], bool create, struct held **out,
                   struct diag *d); /* *out NULL when not there and not created */
bool held_lease_good(const struct held *h);
enum err held_may_use(const struct held *h, struct diag *d);
void held_set_lease(struct held *h, uint64_t lease_us, int64_t asked_boot_us,
                    int64_t asked_kernel_us);
void held_wipe(struct custody *c, struct held *h,
               enum err why); /* all keys; a new epoch; no lease */
void held_free(struct held *h);
void wiped_free(struct custody *c);
enum err leases_renew(struct custody *c, struct held *only, uint64_t *shortest_us, struct diag *d);
void *leases_run(void *custody);

/* client_settle.c */
void settle_take_news(struct custody *c, struct held *h,
                      const struct news *n);                        /* under lock: heard, wipe */
enum err settle(struct custody *c, struct held *h, struct diag *d); /* one attempt */
void settle_later(struct custody *c, struct held *h);               /* under lock: on the pool */
