/* SPDX-License-Identifier: Apache-2.0 */
/* exec/join.h - what the parts of a join share: the table, and a vector that streams through it */
#pragma once

#include "exec/spilled.h"

struct entry { /* a row of the table */
    struct chunk *chunk;
    uint32_t row;
    uint32_t next; /* with the same hash slot; entry + 1, 0 = the last */
    uint64_t hash;
};

struct join_table {
    struct query *q;
    bool unique; /* of each key the first row only */
    struct entry *entries;
    uint32_t n_entries, n_slots, *slots; /* entry + 1; n_slots is a power of two */
    _Atomic uint8_t *matched;            /* per entry; fullouter only */
};

struct join {
    struct stage stage; /* of the side that streams */
    struct query *q;
    const struct op *op;
    const bool *needed; /* of the result */
    bool left_is_table;
    struct expr **keys; /* over the streaming side */
    const bool *stream_needed;
    /* The table: */
    struct mem *mems;    /* per worker of its pipeline */
    struct rowbuf *rows; /* per worker */
    struct expr **table_keys;
    const bool *table_needed;
    struct join_table table;
    struct join_spill *spill; /* NULL: it must fit into memory */
};

static inline const struct op *join_side(const struct join *j, bool table)
{
    return table == j->left_is_table ? j->op->input : j->op->join.right;
}

/* join.c: the rows' keys, in scratch */
enum err join_keys(struct worker *w, struct expr *const *exprs, uint32_t n_keys,
                   const struct batch *in, struct bytes **out);

/* join_table.c: makes the table of the rows of n buffers that have their keys; its arrays, and one
 * flag per entry where flags are wanted, in m. */
enum err join_table_make(struct join_table *t, const struct rowbuf *rows, unsigned n, bool flags,
                         struct mem *m, struct diag *d);
uint64_t join_hash(const struct query *q, struct bytes key);
/* The first entry of that key, or the next one after `hit`; 0: none. */
uint32_t join_table_find(const struct join_table *t, uint64_t hash, struct bytes key);
uint32_t join_table_next(const struct join_table *t, uint32_t hit, uint64_t hash, struct bytes key);

/* join_probe.c: rows of the streaming side, in the columns of that side, through a table. */
struct
    probe_part { /* the table is a part of all rows with these keys: what other parts have seen */
    uint64_t *seen; /* a bit per row of the vector: it has a partner */
    bool last;      /* no part comes after this one */
};
enum err join_probe(const struct join *j, const struct join_table *t, struct worker *w,
                    const struct batch *in, const struct bytes *keys, struct probe_part *part);
/* Rows [at, end) of the table that nobody matched. */
enum err join_unmatched(const struct join *j, const struct join_table *t, struct worker *w,
                        uint32_t at, uint32_t end);

/* join_spill.c: rows of a table that does not fit, and all of the other side, leave memory in parts
 * by the hash of their key; then part after part is joined. */
enum err join_spill_new(struct join *j, struct diag *d); /* sets j->spill, where the query may */
void join_spill_close(struct join *j);
/* After rows were added to the table of w: they leave where memory is short. */
enum err join_spill_check(struct join *j, struct worker *w);
bool join_spilled(const struct join *j);
/* The table is complete: what is left of it leaves too. */
enum err join_spill_rest(struct join *j, struct diag *d);
enum err join_spill_stream(const struct join *j, struct worker *w, const struct batch *in,
                           const struct bytes *keys);
/* Joins part `unit` of PARTS. */
enum err join_spill_part(const struct join *j, struct worker *w, uint32_t unit);
