/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/dropped.h - rows that were accepted and dropped: counted by account, table and reason, kept
 * for ever
 *
 * An acknowledged row is readable, or counted here: the count is durable before the answer goes
 * out.
 */
#pragma once

#include "resource/doc.h"

struct dropped;

enum err dropped_open(struct dropped **out, struct docs *docs, struct diag *d);
void dropped_free(struct dropped *x);
/* Rows in a spool are counted here too, under a reason of their own, until they are put back or
 * lost: `spooled` rows are not dropped. */
#define DROPPED_REVOKED   "keyRevoked"
#define DROPPED_QUOTA     "dailyQuota"
#define DROPPED_DESTROYED "spoolDestroyed" /* spooled in an outage, then the key was withdrawn */
#define DROPPED_DAMAGED   "spoolDamaged"   /* spooled, and what came back from the disk was less */
#define COUNT_SPOOLED     "spooled"

/* table: its random id as text, not its name. */
enum err dropped_add(struct dropped *x, const uint8_t account[16], const char *table,
                     const char *reason, uint64_t rows, struct diag *d);
struct dropped_kept { /* rows of a table that came back */
    const char *table;
    uint64_t rows;
};
/* The spool of an account is empty: what was counted there is dropped for that reason but for what
 * came back. Again: nothing. */
enum err dropped_spool_end(struct dropped *x, const uint8_t account[16], const char *reason,
                           const struct dropped_kept *kept, uint32_t n_kept, struct diag *d);
uint64_t dropped_total(struct dropped *x, const uint8_t account[16]);
uint64_t dropped_spooled(struct dropped *x, const uint8_t account[16]);
json_t *dropped_all(struct dropped *x); /* of all accounts */
/* [{"table","reason","rows"}] of an account. */
json_t *dropped_list(struct dropped *x, const uint8_t account[16]);

DEFINE_CLEANUP(dropped_free, struct dropped)
