/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/map.h - hash map from bytes to a pointer; keys are copied, values are borrowed
 *
 * Iteration order is insertion order. Removing during MAP_EACH is allowed for the current entry.
 * The hash is seeded at random per process, so that keys from outside cannot be chosen to collide.
 */
#pragma once

#include "base/bytes.h"

struct map_entry {
    struct bytes key; /* owned by the map */
    void *value;      /* NULL = removed */
};

struct map {
    struct map_entry *entries;
    uint32_t *slots; /* index into entries + 1; 0 = free */
    uint32_t n_entries, n_live, cap_entries, cap_slots;
};

void map_release(struct map *m); /* values stay the caller's */
void *map_get(const struct map *m, struct bytes key);
/* Replaces; *old (may be NULL) gets the value that was there, or NULL. value must not be NULL. */
enum err map_put(struct map *m, struct bytes key, void *value, void **old, struct diag *d);
void *map_remove(struct map *m, struct bytes key); /* the value, or NULL */

#define MAP_EACH(m, e)                                                                         \
    for (struct map_entry *e = (m)->entries;                                                   \
         e != NULL /* an empty map has no array */ && e != (m)->entries + (m)->n_entries; e++) \
        if (e->value != NULL)

uint64_t hash_bytes(struct bytes b,
                    uint64_t seed); /* xxh3; not for keys from outside unless seeded */
