/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/custody/state.c - the table cell by cell, and thousands of schedules against what must
 * never happen */
#include "test.h"

#include "base/rand.h"
#include "custody/state.h"

#include <stdio.h>

struct cell {
    enum key_state at;
    bool whole;
    enum key_event event;
    enum key_state to;
    bool to_whole;
};

/* keys.md "The state of an account", read aloud once more and not from the table. */
static const struct cell cells[] = {
    {KEY_SUSPENDED, false, KEY_GOOD, KEY_RESTORING, false},
    {KEY_SUSPENDED, false, KEY_DENIED, KEY_DOUBT, false},
    {KEY_SUSPENDED, false, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_SUSPENDED, false, KEY_NO_ANSWER, KEY_SUSPENDED, false},
    {KEY_SUSPENDED, false, KEY_BARRED, KEY_SUSPENDED, false},
    {KEY_SUSPENDED, false, KEY_ENOUGH, KEY_SUSPENDED, false},
    {KEY_SUSPENDED, false, KEY_TIME_UP, KEY_SUSPENDED, false},
    {KEY_SUSPENDED, false, KEY_REPLAYED, KEY_SUSPENDED, false},

    {KEY_REVOKED, false, KEY_GOOD, KEY_RESTORING, false},
    {KEY_REVOKED, false, KEY_DENIED, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_NO_ANSWER, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_BARRED, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_ENOUGH, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_TIME_UP, KEY_REVOKED, false},
    {KEY_REVOKED, false, KEY_REPLAYED, KEY_REVOKED, false},

    {KEY_DOUBT, true, KEY_GOOD, KEY_ACTIVE, true},
    {KEY_DOUBT, true, KEY_DENIED, KEY_REVOKED, false},
    {KEY_DOUBT, true, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_DOUBT, true, KEY_NO_ANSWER, KEY_DOUBT, true},
    {KEY_DOUBT, true, KEY_BARRED, KEY_SUSPENDED, false},
    {KEY_DOUBT, true, KEY_ENOUGH, KEY_SUSPENDED, false},
    {KEY_DOUBT, true, KEY_TIME_UP, KEY_SUSPENDED, false},
    {KEY_DOUBT, true, KEY_REPLAYED, KEY_DOUBT, true},
    /* Came here without the holder's rows: back through RESTORING. */
    {KEY_DOUBT, false, KEY_GOOD, KEY_RESTORING, false},
    {KEY_DOUBT, false, KEY_DENIED, KEY_REVOKED, false},
    {KEY_DOUBT, false, KEY_NO_ANSWER, KEY_DOUBT, false},
    {KEY_DOUBT, false, KEY_TIME_UP, KEY_SUSPENDED, false},
    {KEY_DOUBT, false, KEY_REPLAYED, KEY_DOUBT, true},

    {KEY_RESTORING, false, KEY_GOOD, KEY_RESTORING, false},
    {KEY_RESTORING, false, KEY_DENIED, KEY_DOUBT, false},
    {KEY_RESTORING, false, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_RESTORING, false, KEY_NO_ANSWER, KEY_SUSPENDED, false},
    {KEY_RESTORING, false, KEY_BARRED, KEY_SUSPENDED, false},
    {KEY_RESTORING, false, KEY_ENOUGH, KEY_SUSPENDED, false},
    {KEY_RESTORING, false, KEY_TIME_UP, KEY_RESTORING, false},
    {KEY_RESTORING, false, KEY_REPLAYED, KEY_ACTIVE, true},

    {KEY_STALE, true, KEY_GOOD, KEY_ACTIVE, true},
    {KEY_STALE, true, KEY_DENIED, KEY_DOUBT, true},
    {KEY_STALE, true, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_STALE, true, KEY_NO_ANSWER, KEY_STALE, true},
    {KEY_STALE, true, KEY_BARRED, KEY_SUSPENDED, false},
    {KEY_STALE, true, KEY_ENOUGH, KEY_SUSPENDED, false},
    {KEY_STALE, true, KEY_TIME_UP, KEY_STALE, true},
    {KEY_STALE, true, KEY_REPLAYED, KEY_STALE, true},

    {KEY_ACTIVE, true, KEY_GOOD, KEY_ACTIVE, true},
    {KEY_ACTIVE, true, KEY_DENIED, KEY_DOUBT, true},
    {KEY_ACTIVE, true, KEY_WITHDRAWN, KEY_REVOKED, false},
    {KEY_ACTIVE, true, KEY_NO_ANSWER, KEY_STALE, true},
    {KEY_ACTIVE, true, KEY_BARRED, KEY_SUSPENDED, false},
    {KEY_ACTIVE, true, KEY_ENOUGH, KEY_ACTIVE, true},
    {KEY_ACTIVE, true, KEY_TIME_UP, KEY_ACTIVE, true},
    {KEY_ACTIVE, true, KEY_REPLAYED, KEY_ACTIVE, true},
};

TEST(state, every_cell_is_as_keys_md_says)
{
    bool seen[KEY_STATES][KEY_EVENTS] = {0};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        const struct cell *c = &cells[i];
        struct key_position to = key_next((struct key_position){c->at, c->whole}, c->event);
        if (to.state != c->to || to.whole != c->to_whole) {
            fail_msg("%s on %s: %s, not %s", key_state_name(c->at), key_event_name(c->event),
                     key_state_name(to.state), key_state_name(c->to));
        }
        seen[c->at][c->event] = true;
    }
    for (int s = 0; s < KEY_STATES; s++) {
        for (int e = 0; e < KEY_EVENTS; e++)
            REQUIRE(seen[s][e]);
    }
}

TEST(state, what_is_no_state_or_event_locks_and_drops_nothing)
{
    struct key_position bad = {.state = (enum key_state)KEY_STATES, .whole = true};
    EXPECT_EQ(key_next(bad, KEY_GOOD).state, KEY_SUSPENDED);
    struct key_position at = {.state = KEY_ACTIVE, .whole = true};
    EXPECT_EQ(key_next(at, (enum key_event)KEY_EVENTS).state, KEY_SUSPENDED);
    REQUIRE(!key_next(at, (enum key_event)KEY_EVENTS).whole);
    EXPECT_EQ((enum key_state)0, KEY_SUSPENDED);
}

/* What a schedule has been through, kept apart from the machine. */
struct history {
    unsigned denials;      /* since the last good answer or time-out of a doubt */
    bool customer_said_no; /* twice in a row, or by removing the key, since the last good */
    bool wiped_since_replay;
};

static void check(struct key_position was, enum key_event event, struct key_position now,
                  const struct history *h)
{
    if (key_state_leases(now.state)) {
        REQUIRE(key_state_holds(now.state));
        REQUIRE(!h->customer_said_no); /* no lease after a confirmed denial without a good unwrap */
        REQUIRE(event != KEY_DENIED && event != KEY_WITHDRAWN && event != KEY_BARRED);
    }
    if (now.state == KEY_REVOKED && was.state != KEY_REVOKED) {
        REQUIRE(event == KEY_DENIED || event == KEY_WITHDRAWN); /* an outage never revokes */
        REQUIRE(event == KEY_WITHDRAWN || h->denials >= 2);     /* and never one word alone */
    }
    if (now.state == KEY_ACTIVE || now.state == KEY_STALE) REQUIRE(!h->wiped_since_replay);
    if (was.state == KEY_REVOKED && now.state != KEY_REVOKED) {
        REQUIRE(event == KEY_GOOD && now.state == KEY_RESTORING);
    }
    if (key_state_locked(was.state) && key_state_holds(now.state)) {
        REQUIRE(now.state == KEY_RESTORING || now.state == KEY_DOUBT);
    }
    if (key_state_locked(now.state)) REQUIRE(!now.whole);
}

static void note(struct history *h, struct key_position was, enum key_event event)
{
    if (event == KEY_GOOD) *h = (struct history){.wiped_since_replay = h->wiped_since_replay};
    if (event == KEY_DENIED) h->denials++;
    if (event == KEY_WITHDRAWN || (event == KEY_DENIED && was.state == KEY_DOUBT)) {
        h->customer_said_no = true;
    }
    if (event == KEY_REPLAYED && (was.state == KEY_RESTORING || was.state == KEY_DOUBT)) {
        h->wiped_since_replay = false;
    }
}

/* As keyd does: a replay can only be reported where one was asked for. */
static bool possible(struct key_position at, bool asked_to_replay, enum key_event e)
{
    return e != KEY_REPLAYED || (asked_to_replay && key_state_holds(at.state));
}

static void run_schedule(uint64_t seed)
{
    rand_fix_seed(seed);
    struct key_position at = {.state = rand_below(4) == 0 ? KEY_REVOKED : KEY_SUSPENDED};
    struct history h = {.wiped_since_replay = true, .customer_said_no = at.state == KEY_REVOKED};
    bool asked = false;
    for (int i = 0; i < 200; i++) {
        enum key_event e = (enum key_event)rand_below(KEY_EVENTS);
        if (!possible(at, asked, e)) continue;
        struct key_position was = at;
        note(&h, was, e);
        at = key_next(at, e);
        if (key_state_locked(at.state)) {
            h.wiped_since_replay = true;
            asked = false;
        }
        if (at.state == KEY_RESTORING) asked = true;
        check(was, e, at, &h);
    }
}

TEST(state, no_schedule_breaks_an_invariant)
{
    for (uint64_t seed = 1; seed <= 20000; seed++)
        run_schedule(seed);
}

TEST(state, the_customers_path_out_and_back)
{
    struct key_position at = {.state = KEY_ACTIVE, .whole = true};
    at = key_next(at, KEY_DENIED);
    EXPECT_EQ(at.state, KEY_DOUBT);
    at = key_next(at, KEY_DENIED);
    EXPECT_EQ(at.state, KEY_REVOKED);
    at = key_next(at, KEY_GOOD);
    EXPECT_EQ(at.state, KEY_RESTORING);
    at = key_next(at, KEY_REPLAYED);
    EXPECT_EQ(at.state, KEY_ACTIVE);
}
