/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/server/schedule_rows.h - steps of schedule.c with rows: sent, sent again, asked for, flushed */
#pragma once

#include "schedule_run.h"

#define COLS 3
static const struct column cols[COLS] = {
    {"TimeGenerated", T_DATETIME}, {"CanaryId_CL", T_LONG}, {"CanaryMessage_CL", T_STRING}};
static const struct schema schema = {COLS, cols};

static void message(const struct side *x, uint64_t id, char out[80])
{
    snprintf(out, 80, "canaryword of side %d, row %" PRIu64 " of all", x->index, id);
}

static int64_t ticks_of(uint64_t id)
{
    return TICKS_UNIX + (1700000000 + (int64_t)id) * TICKS_PER_S;
}

static void make(const struct side *x, const struct note *n, struct arena *a, struct batch *out)
{
    struct diag d = DIAG_INIT;
    struct vecb b[COLS];
    char text[80];
    for (size_t i = 0; i < COLS; i++)
        vecb_init(&b[i], a, cols[i].type, n->n);
    for (uint64_t id = n->first; id < n->first + n->n; id++) {
        message(x, id, text);
        vecb_i64(&b[0], ticks_of(id));
        vecb_i64(&b[1], (int64_t)id);
        vecb_str(&b[2], bytes_str(text));
    }
    *out = (struct batch){.n_rows = n->n, .n_cols = COLS, .cols = arena_array(a, struct vec, COLS)};
    for (size_t i = 0; i < COLS; i++)
        REQUIRE_OK(vecb_finish(&b[i], &out->cols[i], &d));
}

/* (5): every value is what was sent under that id, on this side. */
static void check_unit(const struct side *x, const struct batch *got, uint8_t *counts,
                       uint64_t *rows)
{
    char text[80];
    for (uint32_t i = 0; i < got->n_rows; i++) {
        uint64_t id = (uint64_t)vec_i64(&got->cols[1], i);
        HOLDS(5, id < x->n_rows, "an id %" PRIu64 " that was never sent", id);
        message(x, id, text);
        HOLDS(5, bytes_eq(vec_str(&got->cols[2], i), bytes_str(text)), "row %" PRIu64, id);
        HOLDS(5, vec_i64(&got->cols[0], i) == ticks_of(id), "row %" PRIu64, id);
        counts[id]++;
    }
    *rows += got->n_rows;
}

/* Reads all; how often each id was there. */
static enum err scan(struct run *r, const struct side *x, uint8_t *counts, uint64_t *rows,
                     struct diag *d)
{
    static const uint32_t places[COLS] = {0, 1, 2};
    CLEANUP(store_scan_close) struct store_scan *sc = NULL;
    memset(counts, 0, ROWS_MAX);
    *rows = 0;
    TRY(store_scan_open(r->w.store, x->table, places, COLS, NULL, 0, &sc, d));
    for (uint32_t u = 0; u < store_scan_units(sc); u++) {
        CLEANUP_ARENA struct arena a;
        arena_init(&a, 0);
        struct batch got;
        TRY(store_scan_read(sc, u, places, COLS, &a, &got, d));
        check_unit(x, &got, counts, rows);
    }
    return OK;
}

/* What a query that was answered must say of each batch. settled: nothing waits in a spool. */
static void check_rows(struct run *r, struct side *x, const uint8_t *counts, bool settled)
{
    uint64_t missing = 0;
    for (size_t i = 0; i < x->n_notes; i++) {
        const struct note *n = &x->notes[i];
        uint8_t c = counts[n->first];
        for (uint64_t id = n->first; id < n->first + n->n; id++)
            HOLDS(1, counts[id] == c, "batch %zu is there in part", i);
        HOLDS(3, c <= 1, "batch %zu (fate %d, %s id) is there %d times", i, n->fate,
              n->has_id ? "an" : "no", c);
        if (n->fate == REFUSED) HOLDS(1, c == 0, "batch %zu was refused, and is there", i);
        if (n->fate == STORED)
            HOLDS(1, c == 1, "batch %zu of %u rows was acknowledged, and is gone", i, n->n);
        if (n->fate == DROPPED) HOLDS(1, c == 0, "batch %zu was dropped, and is there", i);
        if (n->fate >= STORED && c == 0) missing += n->n;
    }
    if (!settled) return;
    uint64_t dropped = dropped_total(r->w.dropped, x->account);
    uint64_t waiting = dropped_spooled(r->w.dropped, x->account);
    HOLDS(3, waiting == 0, "%" PRIu64 " rows are still counted as spooled", waiting);
    HOLDS(1, missing <= dropped, "%" PRIu64 " rows are missing, %" PRIu64 " are counted", missing,
          dropped);
    HOLDS(1, dropped <= missing + x->loose,
          "%" PRIu64 " rows are counted as dropped, %" PRIu64 " are missing", dropped, missing);
}

/* The vault is good: so is the state, in the end, and all rows can be had. */
static void read_all(struct run *r, const struct side *x, uint8_t *counts)
{
    struct diag d = DIAG_INIT;
    enum err e = ERR_UNAVAILABLE;
    uint64_t rows;
    int64_t until = time_mono_us() + 120 * US_PER_S;
    while (e == ERR_UNAVAILABLE && time_mono_us() < until) {
        time_sleep_us(500);
        if (state_of(r, x) != KEY_ACTIVE) continue;
        diag_reset(&d);
        e = store_account_open(r->w.store, x->account, &d); /* drained, if it was not */
        if (e == OK) e = scan(r, x, counts, &rows, &d);
    }
    HOLDS(FOLLOWS, state_of(r, x) == KEY_ACTIVE, "side %d is %s, and its vault is good", x->index,
          key_state_name(state_of(r, x)));
    HOLDS(1, e == OK, "%s", d.text);
}

/* --- steps: rows ------------------------------------------------------------------------------ */

/* As api/ingest.c does it: a drop is counted before it is acknowledged. */
static enum fate drop(struct run *r, struct side *x, const struct note *n)
{
    struct diag d = DIAG_INIT;
    HOLDS(3, x->spoken, "rows are dropped, and the customer never said no");
    if (n->fate >= STORED) return n->fate;
    if (n->has_id && store_batch_known(r->w.store, n->id)) return STORED;
    char table[GUID_TEXT_MAX];
    guid_format(store_table_id(x->table), table);
    REQUIRE_OK(dropped_add(r->w.dropped, x->account, table, DROPPED_REVOKED, n->n, &d));
    if (n->fate != UNKNOWN) return DROPPED;
    x->loose += n->n; /* some of them may be in the log as well */
    return UNKNOWN;
}

static enum fate deliver(struct run *r, struct side *x, const struct note *n)
{
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    struct batch rows;
    make(x, n, &a, &rows);
    for (int tries = 0; tries < 30; tries++) {
        struct diag d = DIAG_INIT;
        bool repeated;
        enum key_state s = state_of(r, x);
        if (s == KEY_REVOKED) return drop(r, x, n);
        if (s == KEY_DOUBT) return n->fate; /* it ends when the clock moves */
        enum err e = s == KEY_RESTORING ? ERR_UNAVAILABLE
                     : s == KEY_SUSPENDED
                         ? store_spool_append(r->w.store, x->table, x->account, &rows,
                                              n->has_id ? n->id : NULL, &repeated, &d)
                         : store_append_once(r->w.store, x->table, x->account, &rows,
                                             n->has_id ? n->id : NULL, &repeated, &d);
        if (e == OK) return n->fate >= STORED ? n->fate : s == KEY_SUSPENDED ? SPOOLED : STORED;
        if (e == ERR_KEY_LOCKED) return drop(r, x, n);
        if (e != ERR_UNAVAILABLE && e != ERR_CONFLICT) return n->fate >= STORED ? n->fate : UNKNOWN;
        if (str_eq(d.tag, "SpoolFull")) {
            HOLDS(3, r->w.spool_bytes != 0, "rows are refused, and the spool has room: %s", d.text);
            return n->fate;
        }
        time_sleep_us(1000);
    }
    return n->fate;
}

static void send_new(struct run *r, struct side *x)
{
    uint32_t n = 1 + (uint32_t)pick(20);
    if (x->n_notes == NOTES_MAX || x->n_rows + n > ROWS_MAX) return;
    struct note *note = &x->notes[x->n_notes++];
    *note = (struct note){.first = x->n_rows, .n = n, .sent_us = time_now_us()};
    x->n_rows += n;
    note->has_id = pick(2) == 0;
    memcpy(note->id, &note->first, sizeof note->first);
    note->id[8] = (uint8_t)(1 + x->index);
    note->fate = deliver(r, x, note);
    if (note->fate == UNKNOWN) x->loose += n;
}

/* The sender heard no answer. */
static void send_again(struct run *r, struct side *x)
{
    for (size_t i = x->n_notes; i-- > 0 && i + 4 > x->n_notes;) {
        struct note *n = &x->notes[i];
        bool soon = time_now_us() - n->sent_us < 250 * US_PER_S;
        if (!n->has_id || !soon || n->fate == DROPPED) continue;
        if (n->fate == SPOOLED) x->loose += n->n; /* it may be destroyed, and come again */
        n->fate = deliver(r, x, n);
        return;
    }
}

/* (2) Since the customer said no the clock has moved by more than the bound. */
static bool must_refuse(const struct side *x)
{
    const struct key_policy unset = {.probe_s = 30};
    const struct key_policy p = policy_resolve(&unset, &unset);
    return says_no(x) && (x->cleared || x->for_s > p.bound_s);
}

static void query(struct run *r, struct side *x)
{
    static uint8_t counts[ROWS_MAX];
    struct diag d = DIAG_INIT;
    enum key_state before = state_of(r, x);
    uint64_t rows;
    enum err e = scan(r, x, counts, &rows, &d);
    if (must_refuse(x))
        HOLDS(2, e != OK || rows == 0, "no for %.0f s, and rows are returned", x->for_s);
    HOLDS(5, e != ERR_CORRUPT, "%s", d.text); /* nothing was damaged */
    if (e == OK) check_rows(r, x, counts, false);
    bool served = before == KEY_ACTIVE && state_of(r, x) == KEY_ACTIVE && !says_no(x);
    if (served && e != OK && e != ERR_UNAVAILABLE) HOLDS(1, e == OK, "%s", d.text);
}

static void flush(struct run *r, struct side *x)
{
    struct diag d = DIAG_INIT;
    (void)store_flush(r->w.store, x->account, &d);
    if (pick(2) == 0) (void)store_compact(r->w.store, x->account, &d);
}

/* A log's sync fails: (8). */
static void fail_a_sync(struct run *r, struct side *x)
{
    struct stat st;
    atomic_store(&sync_fails, true);
    send_new(r, x);
    if (atomic_exchange(&sync_fails, false)) return; /* nobody wrote a log */
    sync_failed_length = stat(sync_failed, &st) == 0 ? st.st_size : 0;
}

static void check_failed_log(void)
{
    struct stat st;
    if (sync_failed[0] == '\0' || stat(sync_failed, &st) != 0) return;
    HOLDS(8, st.st_size <= sync_failed_length, "%s grew to %lld bytes", sync_failed,
          (long long)st.st_size);
}
