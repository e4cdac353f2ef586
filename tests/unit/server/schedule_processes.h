/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/server/schedule_processes.h - steps of schedule.c with processes: restarts, crashes, pauses */
#pragma once

#include "schedule_keys.h"

static void find_tables(struct run *r, bool create)
{
    struct diag d = DIAG_INIT;
    for (int i = 0; i < SIDES; i++) {
        struct side *x = &r->sides[i];
        if (create)
            REQUIRE_OK(store_table_create(r->w.store, &x->workspace, "CanaryTable_CL", &schema,
                                          &x->table, &d));
        else
            REQUIRE_OK(
                store_table_find(r->w.store, &x->workspace, "CanaryTable_CL", &x->table, &d));
    }
}

/* It has to, for a store to open: else the log service waits for it. */
static bool platform_serves(struct run *r)
{
    LOCK_SCOPE(&r->w.keyd->lock);
    const struct account *a = account_find(r->w.keyd, platform_account);
    return a != NULL && key_state_leases(a->at.state);
}

static void restart_logs(struct run *r, bool crash)
{
    world_stop_logs(&r->w, crash);
    if (!platform_serves(r)) set_platform(r, MOOD_GOOD);
    world_start_logs(&r->w);
    find_tables(r, false);
    for (int i = 0; i < SIDES; i++)
        world_open_account(&r->w, r->sides[i].account);
}

/* While the platform's vault is out a new keyd knows nothing and nobody. */
static void live_without_keyd(struct run *r)
{
    for (int round = 0; round < 3; round++) {
        pass(r, 1 + (double)pick(30));
        for (int i = 0; i < SIDES; i++) {
            send_new(r, &r->sides[i]);
            query(r, &r->sides[i]);
        }
    }
    set_platform(r, MOOD_GOOD);
}

static void restart_keyd(struct run *r)
{
    static const enum mood outages[] = {MOOD_SILENT, MOOD_LIES, MOOD_TOKEN, MOOD_BUSY};
    bool is_out = false;
    for (size_t i = 0; i < sizeof outages / sizeof outages[0]; i++)
        is_out = is_out || r->platform == outages[i];
    world_replace_keyd(&r->w);
    for (int i = 0; i < SIDES; i++)
        r->sides[i].new_keyd_s = 0;
    if (is_out) live_without_keyd(r);
    world_await_keyd(&r->w);
}

/* The holder's machine stands still for longer than a lease lasts. If keyd had something to tell it
 * meanwhile, the supervisor kills it. */
static void pause_holder(struct run *r)
{
    pthread_mutex_lock(&r->w.custody->lock);
    for (int i = 0; i < SIDES; i++)
        world_end_lease(&r->w, r->sides[i].account);
    pthread_mutex_unlock(&r->w.custody->lock);
    pass(r, 70);
}

static void kill_holder_if_asked(struct run *r)
{
    if (atomic_exchange(&r->w.holder_failures, 0) != 0) restart_logs(r, true);
}
