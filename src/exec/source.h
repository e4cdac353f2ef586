/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/source.h - what exec reads from: one table, as of one moment, in row groups
 *
 * storage/ implements it (through api/), tests do with arrays. The void *table that the catalogue
 * gave to the binder is opened here. Units are row groups of at most UNIT_ROWS_MAX rows; any thread
 * may read any unit at any time until close. Beside the columns of its schema a table may have
 * TABLE_RECEIVED (kql/plan.h): when the row came.
 */
#pragma once

#include "column/vec.h"

#define UNIT_ROWS_MAX 65536

/* A necessary condition on rows, for skipping only: exec still filters. All must hold. */
struct scan_hint {
    uint32_t column; /* of the source */
    enum { HINT_EQ, HINT_LT, HINT_LE, HINT_GT, HINT_GE, HINT_HAS_TERM } op;
    struct value value;
};

struct source_ops {
    /* Opens a scan of these columns. *n_units counts what is left after skipping. */
    enum err (*open)(void *table, const uint32_t *columns, uint32_t n_columns,
                     const struct scan_hint *hints, uint32_t n_hints, void **scan,
                     uint32_t *n_units, struct diag *d);
    /* Reads some of the columns opened (given by their place in that list) of one unit, each as a
     * vector of the unit's rows, in arena a. Checks the lease first: ERR_KEY_LOCKED,
     * ERR_UNAVAILABLE. */
    enum err (*read)(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                     struct arena *a, struct batch *out, struct diag *d);
    uint64_t (*rows)(void *scan,
                     uint32_t unit); /* how many rows the unit has, without reading it */
    void (*close)(void *scan);
};
