/* SPDX-License-Identifier: Apache-2.0 */
/* base/map.c - open addressing over an array of entries in insertion order */
#include "base/map.h"

#include "base/rand.h"

#include <pthread.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static uint64_t map_seed;
static pthread_once_t seed_once = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
    map_seed = rand_u64();
}

uint64_t hash_bytes(struct bytes b, uint64_t seed)
{
    return XXH3_64bits_withSeed(b.p, b.len, seed);
}

static uint32_t slot_of(const struct map *m, struct bytes key)
{
    pthread_once(&seed_once, make_seed);
    return (uint32_t)hash_bytes(key, map_seed) & (m->cap_slots - 1);
}

/* The entry with this key, live or removed; NULL if it was never there since the last rehash. */
static struct map_entry *find(const struct map *m, struct bytes key)
{
    if (m->cap_slots == 0) return NULL;
    for (uint32_t s = slot_of(m, key); m->slots[s] != 0; s = (s + 1) & (m->cap_slots - 1)) {
        struct map_entry *e = &m->entries[m->slots[s] - 1];
        if (bytes_eq(e->key, key)) return e;
    }
    return NULL;
}

static void place(struct map *m, uint32_t index)
{
    uint32_t s = slot_of(m, m->entries[index].key);
    while (m->slots[s] != 0)
        s = (s + 1) & (m->cap_slots - 1);
    m->slots[s] = index + 1;
}

/* Drops removed entries and makes room for one more. */
static enum err rehash(struct map *m, struct diag *d)
{
    uint32_t cap = m->n_live < 8 ? 16 : m->n_live * 2;
    uint32_t slots_cap = 16;
    while (slots_cap < cap * 2)
        slots_cap *= 2;
    struct map_entry *entries = calloc(cap, sizeof *entries);
    uint32_t *slots = calloc(slots_cap, sizeof *slots);
    if (entries == NULL || slots == NULL) {
        free(entries);
        free(slots);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->n_entries; i++) {
        if (m->entries[i].value != NULL) {
            entries[n++] = m->entries[i];
        } else {
            free((void *)m->entries[i].key.p);
        }
    }
    free(m->entries);
    free(m->slots);
    *m = (struct map){entries, slots, n, n, cap, slots_cap};
    for (uint32_t i = 0; i < n; i++)
        place(m, i);
    return OK;
}

void map_release(struct map *m)
{
    for (uint32_t i = 0; i < m->n_entries; i++)
        free((void *)m->entries[i].key.p);
    free(m->entries);
    free(m->slots);
    *m = (struct map){0};
}

void *map_get(const struct map *m, struct bytes key)
{
    struct map_entry *e = find(m, key);
    return e != NULL ? e->value : NULL;
}

enum err map_put(struct map *m, struct bytes key, void *value, void **old, struct diag *d)
{
    struct map_entry *e = find(m, key);
    if (e == NULL) {
        if (m->n_entries == m->cap_entries) TRY(rehash(m, d));
        uint8_t *copy = malloc(key.len != 0 ? key.len : 1);
        if (copy == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
        if (key.len != 0) memcpy(copy, key.p, key.len);
        e = &m->entries[m->n_entries++];
        *e = (struct map_entry){.key = {copy, key.len}};
        place(m, m->n_entries - 1);
    }
    if (e->value == NULL) m->n_live++;
    if (old != NULL) *old = e->value;
    e->value = value;
    return OK;
}

void *map_remove(struct map *m, struct bytes key)
{
    struct map_entry *e = find(m, key);
    if (e == NULL || e->value == NULL) return NULL;
    m->n_live--;
    return TAKE(e->value);
}
