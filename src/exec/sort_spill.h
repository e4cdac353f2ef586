/* SPDX-License-Identifier: Apache-2.0 */
/* exec/sort_spill.h - sorted runs outside of memory, and their merge */
#pragma once

#include "exec/spilled.h"

struct sorted_run {
    struct spill_list blocks;
    struct sorted_run *next;
};

struct sorted_runs { /* of one worker, or of all; zeroed: none */
    struct mem book; /* the runs and their lists */
    bool open;       /* book is */
    struct sorted_run *first, *last;
    uint32_t n;
};
void sorted_runs_close(struct query *q, struct sorted_runs *s);

/* Writes the rows of rb in the order of refs, with their keys, as one more run. tmp is memory that
 * is emptied after each block. */
enum err sorted_runs_add(struct query *q, struct sorted_runs *s, const struct rowbuf *rb,
                         const struct row_ref *refs, uint64_t n, struct mem *tmp, struct diag *d);

/* Puts the runs of `more`, which still owns them, behind those of all. */
void sorted_runs_join(struct sorted_runs *all, const struct sorted_runs *more);
/* All runs as one relation of the columns of rb, no more than rows_max rows. Closes them. */
enum err sorted_runs_merge(struct query *q, struct sorted_runs *all, const struct rowbuf *rb,
                           uint64_t rows_max, struct relation *out, struct diag *d);
