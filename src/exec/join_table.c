/* SPDX-License-Identifier: Apache-2.0 */
/* exec/join_table.c - rows found by their key */
#include "exec/join.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t join_hash(const struct query *q, struct bytes key)
{
    return XXH3_64bits_withSeed(key.p, key.len, q->hash_seed);
}

/* Entries are chained from the last to the first. */
static uint32_t find(const struct join_table *t, uint32_t at, uint64_t hash, struct bytes key)
{
    while (at != 0) {
        const struct entry *e = &t->entries[at - 1];
        if (e->hash == hash && bytes_eq(e->chunk->keys[e->row], key)) return at;
        at = e->next;
    }
    return 0;
}

uint32_t join_table_find(const struct join_table *t, uint64_t hash, struct bytes key)
{
    return find(t, t->slots[hash & (t->n_slots - 1)], hash, key);
}

uint32_t join_table_next(const struct join_table *t, uint32_t hit, uint64_t hash, struct bytes key)
{
    return find(t, t->entries[hit - 1].next, hash, key);
}

static void add_entry(struct join_table *t, struct chunk *c, uint32_t row)
{
    struct bytes key = c->keys[row];
    uint64_t hash = join_hash(t->q, key);
    uint32_t *slot = &t->slots[hash & (t->n_slots - 1)];
    if (t->unique && find(t, *slot, hash, key) != 0) return;
    t->entries[t->n_entries++] =
        (struct entry){.chunk = c, .row = row, .next = *slot, .hash = hash};
    *slot = t->n_entries;
}

static enum err arrays_new(struct join_table *t, uint64_t n_rows, bool flags, struct mem *m,
                           struct diag *d)
{
    if (n_rows >= UINT32_MAX / 2)
        return FAIL(d, ERR_LIMIT, "join: more than 2^31 rows on one side");
    t->n_slots = 64;
    while (t->n_slots < n_rows)
        t->n_slots *= 2;
    mem_settle(t->q, m);
    t->slots = arena_array(&m->a, uint32_t, t->n_slots);
    t->entries = arena_array(&m->a, struct entry, n_rows);
    if (flags) t->matched = arena_calloc(&m->a, n_rows, sizeof *t->matched);
    bool full = t->slots == NULL || t->entries == NULL || (flags && t->matched == NULL);
    return full ? query_full(t->q, d) : OK;
}

enum err join_table_make(struct join_table *t, const struct rowbuf *rows, unsigned n, bool flags,
                         struct mem *m, struct diag *d)
{
    uint64_t n_rows = 0;
    uint32_t n_chunks;
    struct chunk **chunks;
    for (unsigned i = 0; i < n; i++)
        n_rows += rows[i].n_rows;
    TRY(arrays_new(t, n_rows, flags, m, d));
    TRY(rowbuf_in_order(t->q, rows, n, &m->a, &chunks, &n_chunks, d));
    /* Last row first: chains then hand rows out in their order. One row per key is the first one.
     */
    for (uint32_t i = 0; i < n_chunks; i++) {
        struct chunk *c = chunks[t->unique ? i : n_chunks - 1 - i];
        for (uint32_t k = 0; k < c->n; k++)
            add_entry(t, c, t->unique ? k : c->n - 1 - k);
    }
    mem_settle(t->q, m);
    return OK;
}
