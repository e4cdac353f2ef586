/* SPDX-License-Identifier: Apache-2.0 */
/* exec/number.c - keys by number: open addressing, at most half full */
#include "exec/number.h"

#include "base/map.h"
#include "exec/key.h"

static uint32_t *slot_of(const struct numbering *x, struct bytes key)
{
    uint32_t mask = x->n_slots - 1, s = (uint32_t)hash_bytes(key, x->seed) & mask;
    while (x->slots[s] != 0 && !bytes_eq(x->keys[x->slots[s] - 1], key))
        s = (s + 1) & mask;
    return &x->slots[s];
}

static enum err grow(struct numbering *x)
{
    if (x->cap > UINT32_MAX / 4) return ERR_LIMIT;
    struct numbering wide = *x;
    wide.cap = x->cap == 0 ? 64 : x->cap * 2;
    wide.n_slots = wide.cap * 2;
    wide.keys = arena_array(x->a, struct bytes, wide.cap);
    wide.slots = arena_array(x->a, uint32_t, wide.n_slots);
    if (wide.keys == NULL || wide.slots == NULL) return ERR_LIMIT;
    if (x->n > 0) memcpy(wide.keys, x->keys, x->n * sizeof *x->keys);
    for (uint32_t i = 0; i < x->n; i++)
        *slot_of(&wide, wide.keys[i]) = i + 1;
    *x = wide;
    return OK;
}

bool number_find(const struct numbering *x, struct bytes key, uint32_t *out)
{
    const uint32_t *slot = x->n_slots != 0 ? slot_of(x, key) : NULL;
    if (slot == NULL || *slot == 0) return false;
    *out = *slot - 1;
    return true;
}

enum err number_of(struct numbering *x, struct bytes key, bool copy, uint32_t *out)
{
    if (x->n == x->cap) TRY(grow(x));
    uint32_t *slot = slot_of(x, key);
    if (*slot == 0) {
        if (copy && key.len > 0) {
            key = arena_bytes(x->a, key);
            if (key.p == NULL) return ERR_LIMIT;
        }
        x->keys[x->n] = key;
        *slot = ++x->n;
    }
    *out = *slot - 1;
    return OK;
}

enum err number_rows(struct numbering *x, const struct vec *parts, uint32_t n_parts,
                     uint32_t n_rows, uint32_t *numbers, struct diag *d)
{
    struct bytes *keys = arena_array(x->a, struct bytes, n_rows + 1);
    if (keys == NULL) return arena_full(x->a, d);
    TRY(group_keys(x->a, parts, n_parts, n_rows, keys, d));
    for (uint32_t i = 0; i < n_rows; i++)
        TRY(number_of(x, keys[i], false, &numbers[i]));
    return OK;
}
