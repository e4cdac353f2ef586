/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/groups.h - a hash table from group keys (key.h) to the states of aggregates
 *
 * A group is one block in the table's arena: this header, then the states, then the key. A worker
 * fills a table of its own; tables are merged when all are full. Groups keep the order in which
 * they were met.
 *
 * A table that may spill stops growing when memory is short: from then on all its rows leave memory
 * as they came, keys and arguments, in parts by the hash of their key. groups_each() takes part after
 * part, a worker each: the groups that were met before, then the part's rows; states need no form
 * outside of memory. Rows of one group stay in their order. The order of groups is then that of parts.
 */
#pragma once

#include "exec/spilled.h"

struct group {
    struct group *next; /* in the order of arrival */
    uint64_t hash;
    struct bytes key;
};

struct groups_plan { /* what all workers' tables have in common */
    struct query *q;
    uint32_t n_keys; /* parts of a key */
    uint32_t n_aggs;
    const struct agg_use *aggs;
    const bool *wanted; /* per aggregate: computed at all */
    bool only_counts;   /* of rows, by one column */
    size_t group_size;  /* bytes, without the key */
    size_t *state_at;   /* per aggregate */
    uint32_t
        *args_at; /* per aggregate: its first argument among the values of a row, which are ... */
    uint32_t n_values;    /* ... the parts of the key, then the arguments of wanted aggregates */
    struct schema values; /* their types; n 0 in a table that must not spill */
    size_t key_tail;      /* bytes at the end of a key that do not decide which part it goes to */
    bool *has_type;
};

#define GROUP_WORDS  256 /* entries, a power of two */
#define GROUP_TUPLES 512 /* likewise */
#define TUPLE_MAX    4   /* parts of a key that is remembered as a tuple */

struct group_slot {
    uint64_t hash;
    struct group *group; /* NULL: free */
};

struct groups {
    struct mem mem;
    struct group_slot *slots;
    uint64_t n_slots, n_groups; /* n_slots is a power of two, at most half full */
    struct group *first, **end;
    /* One number as the only key: the groups of the numbers met last. */
    struct word_memo {
        uint64_t bits;
        struct group *group;
    } words[GROUP_WORDS];
    /* One dictionary column as the only key: code -> group, for the unit under way. */
    const struct vec *dict;
    uint32_t dict_unit;
    struct group **by_code;
    /* Several columns of numbers and dictionaries as the key: the groups of the tuples met last. */
    struct tuples *tuples;
    /* No key: per aggregate of_set over a dictionary, which codes it has seen. */
    struct seen_codes *seen;
    struct parts *out; /* not NULL: the table grows no more */
};

enum err groups_plan_init(struct groups_plan *p, struct query *q, uint32_t n_keys,
                          const struct agg_use *aggs, uint32_t n_aggs, const bool *wanted,
                          struct diag *d);
/* The tables may spill; types[n_keys] are those of the parts of a key. */
enum err groups_may_spill(struct groups_plan *p, const enum type *types, struct diag *d);
enum err groups_new(const struct groups_plan *p, struct groups **out,
                    struct diag *d); /* per worker */

/* Adds rows: parts[n_keys] are the keys, aggregates evaluate their arguments over in. */
enum err groups_add(const struct groups_plan *p, struct groups *t, struct worker *w,
                    const struct vec *parts, const struct batch *in);
void groups_close(struct query *q, struct groups *t);
/* Merges the tables of all workers into the first, which borrows from the others' memory. */
enum err groups_merge(const struct groups_plan *p, struct groups *all, struct diag *d);
bool groups_spilled(const struct groups_plan *p, const struct groups *all);
/* Calls each() with tables that together have all groups of all workers' tables, part after part, on
 * as many workers as there are: tables of one part come one after the other. */
typedef enum err groups_fn(void *ctx, uint32_t part, struct groups *t, struct diag *d);
enum err groups_each(const struct groups_plan *p, struct groups *all, groups_fn *each, void *ctx,
                     struct diag *d);
/* The group of no key at all. */
enum err groups_add_empty(const struct groups_plan *p, struct groups *t, struct diag *d);
enum err group_result(const struct groups_plan *p, struct groups *t, struct group *g, uint32_t agg,
                      struct value *out, struct diag *d);

/* --- for groups*.c ---------------------------------------------------------------------------- */

uint64_t groups_hash(const struct groups_plan *p, struct bytes key);

static inline void *groups_state(const struct groups_plan *p, struct group *g, uint32_t agg)
{
    return (uint8_t *)g + p->state_at[agg];
}
static inline bool groups_is_word(enum type t)
{
    return t == T_INT || t == T_LONG || t == T_REAL || t == T_DATETIME || t == T_TIMESPAN;
}
static inline uint32_t groups_word_place(uint64_t bits)
{
    return (uint32_t)(bits * 0x9e3779b97f4a7c15ULL >> 56); /* 8 bits: GROUP_WORDS */
}
/* One dictionary as the key: the groups of its codes in this unit, NULL where none was met, and the
 * group of row `row`'s code, met now. */
enum err groups_of_dict(struct groups *t, struct worker *w, const struct vec *dict,
                        struct group ***of_code);
enum err groups_meet_code(const struct groups_plan *p, struct groups *t, struct worker *w,
                          const struct vec *part, uint32_t row);
/* One number as the key: the group of that row. */
enum err groups_meet_word(const struct groups_plan *p, struct groups *t, struct worker *w,
                          const struct vec *part, uint32_t row, struct group **out);
/* groups_count.c: *done is false where the column does not suit, and nothing was counted. */
bool groups_only_count(const struct groups_plan *p);
enum err groups_count(const struct groups_plan *p, struct groups *t, struct worker *w,
                      const struct vec *part, uint32_t n, bool *done);
/* The rows' values, keys first: into the table, or out of it. */
enum err groups_take(const struct groups_plan *p, struct groups *t, struct worker *w,
                     const struct vec *values, uint32_t n);
/* Puts a group of another table, whose memory stays, into this one. */
enum err groups_adopt(const struct groups_plan *p, struct groups *t, struct group *g,
                      struct diag *d);
/* groups_spill.c: must the table stop growing? Then it does, and what comes goes out. */
bool groups_must_freeze(const struct groups_plan *p, const struct groups *t);
enum err groups_freeze(const struct groups_plan *p, struct groups *t, unsigned level,
                       struct diag *d);
enum err groups_let_out(const struct groups_plan *p, struct groups *t, struct worker *w,
                        const struct vec *values, uint32_t n);
