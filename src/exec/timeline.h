/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/timeline.h - events of ids on a time line, for plugins that count over one
 *
 * Columns of the input are an id, a time and dimensions (op->whole.more is or begins with a struct
 * timeline); each combination of dimensions is a group of its own. The line is cut into bins from
 * `start` to `end`, the bin of `end` included. Events without a time are none.
 */
#pragma once

#include "exec/whole.h"

struct event {
    int64_t time, bin;
    uint32_t group, id, row;
};

struct line {
    struct whole *w;
    int64_t start, end, step;
    int64_t n_bins;
    uint32_t n, n_ids, n_groups;
    struct event *events;
    uint32_t *first_rows; /* of groups: for their dimensions */
    uint32_t *marks;      /* per id, for whoever needs it */
};

int64_t time_between(int64_t from, int64_t to); /* as far as 64 bits go */
int64_t floor_div(int64_t a, int64_t b);

/* The events alone. */
enum err line_events(struct line *l);
/* The events and their bins: start and end are the first constants, consts[step] is the bin. */
enum err line_read(struct line *l, uint32_t step);
/* Fails: the constants make no line. */
static inline enum err line_bad(const struct line *l)
{
    return FAIL(
        l->w->d, ERR_INVALID,
        "a time line needs a start, an end that is not before it, and a bin of more than 0");
}
/* Leaves out events before the start (unless a window looks back) and behind the end. */
void line_keep(struct line *l, bool look_back);

/* By group, then bin, or by group, id, then time; rows of one moment in their order. */
int line_by_bin(const void *x, const void *y);
int line_by_id(const void *x, const void *y);
void line_sort(struct line *l, int (*order)(const void *, const void *));
/* The end of the group that begins at `from`. */
uint32_t line_group_end(const struct line *l, uint32_t from);

void line_put_time(struct line *l, uint32_t col, int64_t bin);
void line_put_dims(struct line *l, uint32_t col, uint32_t group);
uint32_t line_dims(const struct line *l);
