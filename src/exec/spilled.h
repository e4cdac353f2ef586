/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/spilled.h - batches that lie outside of the query's memory (spill.h), and rows that leave it
 * in parts, by the hash of their key
 *
 * A sink that grows asks mem_short() after each vector. When memory is short and the sink itself
 * holds enough to make a difference, it gives rows up: a sort writes what it has as a sorted run,
 * a table of groups or of a join lets all further rows out in parts.
 */
#pragma once

#include "exec/rowbuf.h"

struct spilled { /* one batch */
    uint64_t at;
    size_t len;
    uint32_t n_rows, unit;
};

/* Has the query so much in memory that something must leave? Never without a place to go. */
bool mem_short(const struct query *q, unsigned level);
/* Bytes that one worker may gather before it writes them: small enough beside all others'. */
size_t spill_share(const struct query *q);

enum err spill_out(struct query *q, const struct batch *b, uint32_t unit, struct spilled *out,
                   struct diag *d);
/* The batch in arena a, with the types of schema. */
enum err spill_in(struct query *q, const struct spilled *s, const struct schema *schema,
                  struct arena *a, struct batch *out, struct diag *d);

struct spill_list {
    struct spilled *p; /* in the arena that spill_list_add() is given */
    uint32_t n, cap;
    uint64_t n_rows;
};
enum err spill_list_add(struct query *q, struct spill_list *l, struct mem *m, const struct batch *b,
                        uint32_t unit, struct diag *d);
/* The blocks of n lists, one list after the other, as a relation. It takes the lists' memory:
 * books[n]. */
enum err spill_relation(struct query *q, const struct spill_list *lists, uint32_t n,
                        const struct schema *schema, struct mem *books, struct relation *out,
                        struct diag *d);

/* --- parts ------------------------------------------------------------------------------------ */

#define PARTS_BITS  4
#define PARTS       (1U << PARTS_BITS)
#define PARTS_DEPTH 4 /* parts of parts of parts of parts */
#define PARTS_MASK \
    (~(uint64_t)0 << (64 - PARTS_BITS * PARTS_DEPTH)) /* bits of a hash that decide */

/* Which part a key goes to when the parts of `level` are made. Tables use the low bits. */
static inline uint32_t part_of(uint64_t hash, unsigned level)
{
    return (uint32_t)(hash >> (64 - PARTS_BITS * (level + 1))) & (PARTS - 1);
}

struct parts { /* of one worker */
    struct query *q;
    const struct schema *schema;
    const bool *needed;
    unsigned level;
    struct mem rows, book; /* rows that were not written yet; lists of those that were */
    struct rowbuf waiting[PARTS];
    struct spill_list written[PARTS];
};

void parts_open(struct parts *p, struct query *q, const struct schema *schema, const bool *needed,
                unsigned level);
void parts_close(struct parts *p); /* zeroed is fine */
/* Lets all rows of b out, whose keys have these hashes. */
enum err parts_add(struct parts *p, const struct batch *b, const uint64_t *hashes, uint32_t unit,
                   struct arena *scratch, struct diag *d);

struct part_rows { /* one batch of a part, on disk or still waiting */
    const struct parts *of;
    const struct spilled *spilled;
    const struct chunk *chunk;
    uint32_t unit, no, n_rows;
};
/* Part i of what n workers let out, by unit, in arena a. */
enum err parts_list(struct parts *const *p, unsigned n, uint32_t i, struct arena *a,
                    struct part_rows **out, uint32_t *n_out, struct diag *d);
enum err part_read(struct query *q, const struct part_rows *r, struct arena *a, struct batch *out,
                   struct diag *d);
