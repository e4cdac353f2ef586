/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/groups.h - a hash table from group keys (key.h) to the states of aggregates
 *
 * A group is one block in the table's arena: this header, then the states, then the key. A worker
 * fills a table of its own; tables are merged when all are full. Groups keep the order in which
 * they were met.
 */
#pragma once

#include "exec/run.h"

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
    size_t group_size;  /* bytes, without the key */
    size_t *state_at;   /* per aggregate */
};

#define GROUP_WORDS 256 /* entries, a power of two */

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
};

enum err groups_plan_init(struct groups_plan *p, struct query *q, uint32_t n_keys,
                          const struct agg_use *aggs, uint32_t n_aggs, const bool *wanted,
                          struct diag *d);
enum err groups_new(const struct groups_plan *p, struct groups **out,
                    struct diag *d); /* per worker */

/* Adds rows: parts[n_keys] are the keys, aggregates evaluate their arguments over in. */
enum err groups_add(const struct groups_plan *p, struct groups *t, struct worker *w,
                    const struct vec *parts, const struct batch *in);
/* Merges the tables of all workers into the first. */
enum err groups_merge(const struct groups_plan *p, struct groups *all, struct diag *d);
/* The group of no key at all. */
enum err groups_add_empty(const struct groups_plan *p, struct groups *t, struct diag *d);
enum err group_result(const struct groups_plan *p, struct groups *t, struct group *g, uint32_t agg,
                      struct value *out, struct diag *d);
