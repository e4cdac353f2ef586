/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/server/schedule_checks.h - what must hold after every step of schedule.c */
#pragma once

#include "schedule_processes.h"

static const char *in_holder(struct run *r, const struct side *x)
{
    LOCK_SCOPE(&r->w.custody->lock);
    const struct held *h = map_get(&r->w.custody->accounts, bytes_of(x->account, 16));
    if (h != NULL && h->keys.n_live != 0) return "a file key";
    return h != NULL && held_lease_good(h) ? "a lease" : NULL;
}

static const char *in_store(struct run *r, const struct side *x)
{
    struct stored_account *a = store_account_find(r->w.store, x->account);
    if (a == NULL) return NULL;
    LOCK_SCOPE(&a->lock);
    for (struct part *p = a->parts; p != NULL; p = p->next_of_account) {
        if (p->active->rows != 0 || p->frozen != NULL) return "rows in memory";
    }
    return NULL;
}

static const char *in_slot(struct run *r, const struct side *x)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf slot = {0};
    char hex[33];
    hex_encode(bytes_of(x->account, 16), hex);
    CLEANUP_FREE char *path = str_fmt("%s/spool/%s/slot", r->w.dir, hex);
    if (!os_exists(path)) return NULL;
    REQUIRE_OK(os_read_file(path, 1 << 16, &slot, &d));
    for (size_t i = 0; i < slot.len; i++) {
        if (slot.p[i] != 0) return "the wrap of a spool";
    }
    return NULL;
}

/* (9) In keyd, in the holder, in the store, and in the spool's slot. */
static const char *remains(struct run *r, const struct side *x)
{
    enum key_state s;
    const char *left = in_keyd(r, x, &s);
    if (left != NULL || !key_state_locked(s)) return left;
    if (x->new_keyd_s >= 0) return NULL;
    if ((left = in_holder(r, x)) != NULL || (left = in_store(r, x)) != NULL) return left;
    return s == KEY_REVOKED ? in_slot(r, x) : NULL;
}

static void check_side(struct run *r, struct side *x)
{
    const char *left = "";
    int64_t until = time_mono_us() + 120 * US_PER_S; /* a second, on a machine that is not busy */
    while ((left = remains(r, x)) != NULL && time_mono_us() < until)
        time_sleep_us(500);
    HOLDS(9, left == NULL, "%s is left, state %s", left, key_state_name(state_of(r, x)));
    enum key_state s = state_of(r, x);
    if (s == KEY_REVOKED) HOLDS(3, x->spoken, "revoked, and the customer never said no");
    if (must_refuse(x)) {
        enum err e = custody_lease_check(r->w.custody, x->account, NULL);
        HOLDS(2, e != OK, "the lease is good %.0f s after a no", x->for_s);
    }
    bool over = x->patience_s != RETAIN_FOREVER && x->for_s > x->patience_s + 1.0;
    if (!is_silent(x) || !over || x->new_keyd_s >= 0) return;
    while (!key_state_locked(s = state_of(r, x)) && time_mono_us() < until)
        time_sleep_us(500);
    HOLDS(FOLLOWS, key_state_locked(s), "silent for %.0f s, %s", x->for_s, key_state_name(s));
}

static void check_always(struct run *r)
{
    for (int i = 0; i < SIDES; i++)
        check_side(r, &r->sides[i]);
    check_failed_log();
    LOCK_SCOPE(&r->w.lock);
    const char *what = r->w.broken;
    HOLDS(what[0] == '7' ? 7 : 6, what[0] == '\0', "%s", what);
}
