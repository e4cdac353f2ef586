/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/digest.h - the distribution of values: percentiles by nearest rank, and ranks
 *
 * The values themselves are kept up to DIGEST_EXACT_MAX, and answers are exact. Beyond that
 * neighbours are drawn together into a t-digest: fine at both ends, where percentiles are asked
 * for, coarse in the middle.
 *
 * As a dynamic, which tdigest() gives and queries may store: [[type], [values], [weights]], values
 * in order and each once. The original writes a number where the name of the type stands here;
 * what has none that is known has the type of its first value.
 */
#pragma once

#include "base/arena.h"
#include "column/type.h"

#define DIGEST_EXACT_MAX 32768 /* values of one group that are kept as they are */
#define DIGEST_PUT_MAX   4096  /* different values in a dynamic; more are drawn together */

struct point {
    union {
        int64_t i;
        double r;
    };
    double weight;
};

struct digest {
    enum type type;        /* of the values; T_NONE: nothing was added yet */
    bool sorted, weighted; /* weighted: not all points weigh 1 */
    uint32_t n, cap;
    struct point *points;
};

#define DIGEST_TYPES (TM_NUMERIC | TM(T_DATETIME) | TM(T_TIMESPAN))

/* The value as a point of weight 1. False: null, NaN, no number of any kind. */
bool digest_point(const struct value *v, struct point *out);
/* g->type is set. Memory is a's. */
enum err digest_add(struct digest *g, struct point p, struct arena *a, struct diag *d);
/* ERR_INVALID: of another type. */
enum err digest_merge(struct digest *into, const struct digest *from, struct arena *a,
                      struct diag *d);

/* The first value up to which at least that share of the weight lies; null when there is none. */
struct value digest_percentile(struct digest *g, double percent);
double digest_rank(struct digest *g, struct point p); /* weight of the values up to p */
double digest_total(const struct digest *g);          /* weight of all */

void digest_put(struct digest *g, struct buf *out); /* as a dynamic; appends */
/* ERR_INVALID: the dynamic is no such thing. */
enum err digest_read(struct bytes dyn, struct digest *out, struct arena *a, struct diag *d);
