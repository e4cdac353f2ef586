/* SPDX-License-Identifier: Apache-2.0 */
/* custody/state.c - the table behind custody/state.h */
#include "custody/state.h"

/* Columns in the order of enum key_event. */
static const enum key_state next[KEY_STATES][KEY_EVENTS] = {
    /* clang-format off */
    /*                  on  GOOD           DENIED         WITHDRAWN    NO_ANSWER      BARRED         ENOUGH         TIME_UP        REPLAYED */
    [KEY_SUSPENDED] = { KEY_RESTORING, KEY_DOUBT,   KEY_REVOKED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_SUSPENDED },
    [KEY_REVOKED]   = { KEY_RESTORING, KEY_REVOKED, KEY_REVOKED, KEY_REVOKED,   KEY_REVOKED,   KEY_REVOKED,   KEY_REVOKED,   KEY_REVOKED },
    [KEY_DOUBT]     = { KEY_ACTIVE,    KEY_REVOKED, KEY_REVOKED, KEY_DOUBT,     KEY_SUSPENDED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_DOUBT },
    [KEY_RESTORING] = { KEY_RESTORING, KEY_DOUBT,   KEY_REVOKED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_SUSPENDED, KEY_RESTORING, KEY_ACTIVE },
    [KEY_STALE]     = { KEY_ACTIVE,    KEY_DOUBT,   KEY_REVOKED, KEY_STALE,     KEY_SUSPENDED, KEY_SUSPENDED, KEY_STALE,     KEY_STALE },
    [KEY_ACTIVE]    = { KEY_ACTIVE,    KEY_DOUBT,   KEY_REVOKED, KEY_STALE,     KEY_SUSPENDED, KEY_ACTIVE,    KEY_ACTIVE,    KEY_ACTIVE },
    /* clang-format on */
};

struct key_position key_next(struct key_position at, enum key_event event)
{
    if ((unsigned)at.state >= KEY_STATES || (unsigned)event >= KEY_EVENTS) {
        return (struct key_position){.state = KEY_SUSPENDED}; /* (1) */
    }
    struct key_position to = {.state = next[at.state][event], .whole = at.whole};
    /* A replay that ends during DOUBT still counts: its keys were held all the time. */
    if (event == KEY_REPLAYED && (at.state == KEY_RESTORING || at.state == KEY_DOUBT))
        to.whole = true;
    if (key_state_locked(to.state)) to.whole = false;
    if (to.state == KEY_ACTIVE && !to.whole) to.state = KEY_RESTORING; /* (3) */
    return to;
}

bool key_state_holds(enum key_state s)
{
    return s == KEY_ACTIVE || s == KEY_STALE || s == KEY_RESTORING || s == KEY_DOUBT;
}

bool key_state_leases(enum key_state s)
{
    return s == KEY_ACTIVE || s == KEY_STALE || s == KEY_RESTORING;
}

bool key_state_locked(enum key_state s)
{
    return !key_state_holds(s);
}

const char *key_state_name(enum key_state s)
{
    static const char *const names[KEY_STATES] = {
        [KEY_SUSPENDED] = "SUSPENDED", [KEY_REVOKED] = "REVOKED", [KEY_DOUBT] = "DOUBT",
        [KEY_RESTORING] = "RESTORING", [KEY_STALE] = "STALE",     [KEY_ACTIVE] = "ACTIVE",
    };
    return (unsigned)s < KEY_STATES ? names[s] : "SUSPENDED";
}

const char *key_event_name(enum key_event e)
{
    static const char *const names[KEY_EVENTS] = {
        [KEY_GOOD] = "GOOD",           [KEY_DENIED] = "DENIED",     [KEY_WITHDRAWN] = "WITHDRAWN",
        [KEY_NO_ANSWER] = "NO_ANSWER", [KEY_BARRED] = "BARRED",     [KEY_ENOUGH] = "ENOUGH",
        [KEY_TIME_UP] = "TIME_UP",     [KEY_REPLAYED] = "REPLAYED",
    };
    return (unsigned)e < KEY_EVENTS ? names[e] : "?";
}
