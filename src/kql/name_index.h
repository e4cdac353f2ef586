/* SPDX-License-Identifier: Apache-2.0 */
/* kql/name_index.h - names to numbers, in an arena: a union of all tables has ten thousand columns
 */
#pragma once

#include "base/arena.h"

struct name_index {
    struct arena *a;
    uint64_t seed; /* names come from outside */
    uint32_t n, cap;
    struct name_slot {
        const char *name; /* borrowed; NULL = free */
        uint32_t value;
    } * slots;
};

void name_index_init(struct name_index *x, struct arena *a);
/* The place of a name's number, NULL when the name is not there. Valid until the next put. */
uint32_t *name_index_get(const struct name_index *x, const char *name);
/* The name must not be there. False: the arena is full. */
bool name_index_put(struct name_index *x, const char *name, uint32_t value);
