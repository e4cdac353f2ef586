/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/pattern.h - rows as patterns: a value or a star for each dimension
 *
 * Rows have a weight and belong to one of two sides (plugins that compare nothing have one). A value is
 * an item of its dimension when the rows that have it are the least share of one side; every other
 * value can stand in no pattern of that share and is no item. Rows of the same items are one row
 * here, so a table of millions is usually small.
 *
 * A pattern is closed when no star of it can become a value without losing a row. For each set of
 * rows that a pattern describes there is exactly one closed pattern.
 */
#pragma once

#include "exec/whole.h"

#define SHARE_MIN    0.015 /* the least threshold that is documented */
#define SIDES_MAX    2
#define ITEM_STAR    0      /* in a pattern: any value; in a row: no item */
#define ITEMS_MAX    60000  /* of a dimension */
#define DIMS_MAX     1024   /* of a pattern */
#define PATTERNS_MAX 100000 /* of a query */

struct dimension {
    uint32_t n_items;
    uint32_t *first_rows; /* by item - 1: an input row that has the value */
    uint16_t *of_row;     /* by input row, until miner_pack() */
};

struct miner {
    struct whole *w;
    uint32_t n_dims, n_sides, n_input;
    const uint8_t *sides;  /* by input row; a side of n_sides and above: not looked at */
    const double *weights; /* by input row */
    double total[SIDES_MAX], least[SIDES_MAX]; /* weight; least: what an item must have */
    struct dimension *dims;
    uint32_t n_rows;     /* of different items */
    uint16_t *items;     /* n_rows * n_dims */
    double *row_weights; /* n_rows * n_sides */
};

struct pattern {
    const uint16_t *items; /* n_dims */
    uint32_t n_set;        /* that are no stars */
    double weight[SIDES_MAX];
};

/* w, n_dims (DIMS_MAX at most), n_sides, n_input, sides and weights are the caller's. share: of a side,
 * 0..1. */
enum err miner_open(struct miner *m, double share);
/* Dimension `dim`: equal values have equal numbers below n_values; UINT32_MAX: no value. */
enum err miner_dimension(struct miner *m, uint32_t dim, const uint32_t *numbers, uint32_t n_values);
enum err miner_pack(struct miner *m);

/* Closes the pattern over those of the rows that match it, and weighs it. rows: numbers of rows, n of
 * them, NULL: all. */
void pattern_close(const struct miner *m, uint16_t *items, const uint32_t *rows, uint32_t n,
                   struct pattern *out);
static inline bool pattern_matches(const struct miner *m, const uint16_t *items, uint32_t row)
{
    const uint16_t *r = m->items + (size_t)row * m->n_dims;
    for (uint32_t c = 0; c < m->n_dims; c++) {
        if (items[c] != ITEM_STAR && items[c] != r[c]) return false;
    }
    return true;
}
/* Has one of them all items of the other? Then one describes a part of the other's rows. */
bool patterns_related(const struct miner *m, const struct pattern *a, const struct pattern *b);
/* A total order without meaning, for patterns that are equally good. */
int pattern_cmp(const struct miner *m, const struct pattern *a, const struct pattern *b);

/* All closed patterns, at least one item each, that have the least weight on a side and follow from
 * dims_max of their items at most. ERR_LIMIT: more than PATTERNS_MAX. */
enum err miner_closed(struct miner *m, uint32_t dims_max, struct pattern **out, uint32_t *n);

/* --- pattern_choose.c: which of them are worth showing ---------------------------------------- */

struct scored {
    struct pattern p;
    double score;
};
struct found {
    uint32_t n;
    struct scored *at;
};

double pattern_percent(const struct miner *m, const struct pattern *p, uint32_t side);
/* miner_closed() with a score of 0 each. */
enum err found_closed(struct miner *m, uint32_t dims_max, struct found *out);
void found_sort(struct miner *m, struct found *f); /* the best first */
/* Of related patterns the best stays; f is sorted. */
enum err found_unrelated(struct miner *m, struct found *f);
/* Those of set_min items whose shares of the two sides differ by the share, none related to another.
 * The better of two: the greater difference times difference over the greater share. */
enum err found_differing(struct miner *m, double share, uint32_t set_min, struct found *f);
