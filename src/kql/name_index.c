/* SPDX-License-Identifier: Apache-2.0 */
/* kql/name_index.c - names to numbers: open addressing, at most half full */
#include "kql/name_index.h"

#include "base/map.h"
#include "base/rand.h"

void name_index_init(struct name_index *x, struct arena *a)
{
    *x = (struct name_index){.a = a, .seed = rand_u64()};
}

/* The slot of the name, or the free one in which it belongs. */
static struct name_slot *slot_of(const struct name_index *x, const char *name)
{
    uint32_t i = (uint32_t)hash_bytes(bytes_str(name), x->seed) & (x->cap - 1);
    while (x->slots[i].name != NULL && strcmp(x->slots[i].name, name) != 0)
        i = (i + 1) & (x->cap - 1);
    return &x->slots[i];
}

uint32_t *name_index_get(const struct name_index *x, const char *name)
{
    if (x->n == 0) return NULL;
    struct name_slot *slot = slot_of(x, name);
    return slot->name != NULL ? &slot->value : NULL;
}

static bool grow(struct name_index *x)
{
    struct name_index bigger = *x;
    bigger.cap = x->cap == 0 ? 16 : x->cap * 2;
    bigger.slots = arena_array(x->a, struct name_slot, bigger.cap);
    if (bigger.slots == NULL) return false;
    for (uint32_t i = 0; i < x->cap; i++) {
        if (x->slots[i].name != NULL) *slot_of(&bigger, x->slots[i].name) = x->slots[i];
    }
    *x = bigger;
    return true;
}

bool name_index_put(struct name_index *x, const char *name, uint32_t value)
{
    if (x->n * 2 >= x->cap && !grow(x)) return false;
    *slot_of(x, name) = (struct name_slot){.name = name, .value = value};
    x->n++;
    return true;
}
