/* SPDX-License-Identifier: Apache-2.0 */
/*
 * custody/state.h - the state of an account, as a table one can read aloud (keys.md "The state of
 * an account")
 *
 * SUSPENDED  no key in memory; nobody has said no. Reads answer 503, new rows are spooled
 * REVOKED    no key in memory; the customer has said no, twice. Reads answer 403, new rows are
 *            dropped and counted
 * DOUBT      the customer seems to have said no; asked again every 2 s, at most 10 s long. No lease
 *            is given
 * RESTORING  the key is back; the holder replays its logs under a lease
 * STALE      the vault is silent; keys already unwrapped serve until the outage policy says enough
 * ACTIVE     the vault has said yes within the last probe interval
 *
 * (1) A forgotten cell is SUSPENDED: it locks and drops nothing.
 * (2) Only the customer's word leads to REVOKED: DENIED in DOUBT, or WITHDRAWN. An outage never
 *     does.
 * (3) From a locked state the only way to ACTIVE leads through RESTORING: who wiped must replay
 *     first. DOUBT remembers in `whole` whether the holder's rows are complete.
 * (4) Keys are in memory only where key_state_holds() says so, leases are given only where
 *     key_state_leases() says so, and what leases also holds.
 */
#pragma once

#include "custody/client.h"

enum key_event {
    KEY_GOOD,      /* unwrapped, and the commitment is right */
    KEY_DENIED,    /* the vault answered no: access, key or identity taken away */
    KEY_WITHDRAWN, /* the customer removed the key or the identity from the cluster: acts at once */
    KEY_NO_ANSWER, /* timeout, TLS, 429, 5xx, a mismatch: the network or the operator speaking */
    KEY_BARRED,    /* a firewall, a 400, a vault that no longer exists: locks, whatever the policy,
                      with an alarm */
    KEY_ENOUGH,    /* the outage policy does not want to wait any longer */
    KEY_TIME_UP,   /* 10 s of DOUBT without a verdict */
    KEY_REPLAYED,  /* the holder has rebuilt what it had wiped */
    KEY_EVENTS
};
const char *key_event_name(enum key_event e); /* "NO_ANSWER" */

struct key_position {
    enum key_state state;
    bool whole; /* the holder has all rows: nothing was wiped since the last replay */
};

/* Pure. Illegal arguments lead to SUSPENDED. */
struct key_position key_next(struct key_position at, enum key_event event);

bool key_state_holds(enum key_state s);  /* may the AEK be in keyd's memory */
bool key_state_leases(enum key_state s); /* may a lease be given or renewed */
bool key_state_locked(enum key_state s); /* the holder has wiped: SUSPENDED, REVOKED */
