/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/held.h - rows that a sink holds back in the order of units, in memory or outside of it
 *
 * Each worker adds to a buffer of its own. Where memory is short and the buffer makes a difference,
 * it leaves as it is, chunk by chunk (spilled.h).
 */
#pragma once

#include "exec/spilled.h"

struct held {
    struct query *q;
    const struct schema *schema;
    const bool *needed;
    struct held_part { /* of one worker */
        struct mem mem, book;
        struct rowbuf rows;
        struct spill_list gone;
    } * parts;
};

enum err held_open(struct held *h, struct query *q, const struct schema *schema, const bool *needed,
                   struct diag *d);
void held_close(struct held *h); /* zeroed is fine, and so is one whose rows were given away */

/* Copies the first n rows of b, of the worker's unit. */
enum err held_add(struct held *h, struct worker *w, const struct batch *b, uint32_t n);
bool held_spilled(const struct held *h);

/* All rows in the order of units, no more than rows_max. The relation takes all of h's memory. */
enum err held_relation(struct held *h, uint64_t rows_max, struct relation *out, struct diag *d);
