/* SPDX-License-Identifier: Apache-2.0 */
/*
 * storage/memtable.h - rows that are durable in the log and not yet in a segment
 *
 * A piece is one batch, copied whole into one allocation: it can be wiped in one go, from any
 * thread that holds the account. A memtable is a list of pieces, the newest first; small ones are
 * merged as they come.
 *
 * (1) A piece never changes once it is in a memtable, except that the lock of its account wipes it.
 * (2) Nothing that a scan hands out borrows a piece: values are copied while the account is
 *     entered.
 * (3) Pieces are added in the order of their log numbers: `last` covers all before it.
 *
 * A memtable has no lock: its account's serves.
 */
#pragma once

#include "column/vec.h"

#define PIECE_MERGE_ROWS 1024u /* neighbours up to this size become one */

struct piece {
    _Atomic unsigned refs;
    struct piece *next;         /* the one before it in time */
    size_t size;                /* bytes of memory */
    int64_t time_min, time_max; /* ticks */
    struct batch rows;
    _Alignas(max_align_t) uint8_t memory[];
};

/* time_col: the datetime column that says when, -1 for none; rows without a time count as now. */
enum err piece_new(struct piece **out, const struct batch *b, int time_col, int64_t now_ticks,
                   struct diag *d);
void piece_ref(struct piece *p);
void piece_unref(struct piece *p); /* the last one wipes; NULL is fine */
void piece_wipe(struct piece *p);  /* its values; the piece stays, with no rows */

struct memtable {
    struct piece *newest;
    uint32_t n_pieces;
    uint64_t rows;
    size_t bytes;
    int64_t time_min, time_max; /* ticks; of all rows */
    int64_t born_us;            /* wall clock of the first row */
    uint64_t last;              /* log number of the newest piece */
    struct memtable *next;      /* in a list of frozen ones: the next younger */
};

struct memtable *memtable_new(void);    /* NULL: memory is out */
void memtable_free(struct memtable *m); /* NULL is fine */
void memtable_wipe(struct memtable *m); /* wipes all pieces and forgets them */
void memtable_add(struct memtable *m, struct piece *p, uint64_t number); /* takes p */
/* References to all pieces, the oldest first. ERR_LIMIT. */
enum err memtable_pieces(const struct memtable *m, struct piece ***out, struct diag *d);

/* One column of consecutive pieces as one vector; a piece that is older than the column gives
 * nulls. */
enum err pieces_column(struct piece *const *pieces, uint32_t n, uint32_t column, enum type t,
                       struct arena *a, struct vec *out, struct diag *d);

DEFINE_CLEANUP(piece_unref, struct piece)
DEFINE_CLEANUP(memtable_free, struct memtable)
