/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole.h - operators that see all rows of their input at once: scan, top-nested, plugins
 *
 * whole.c holds the rows back, hands them to the function of the operator's kind as flat columns,
 * and cuts what that built into batches.
 */
#pragma once

#include "exec/number.h"
#include "exec/run.h"

struct whole {
    struct query *q;
    struct mem *m; /* owns the rows that came and the result; settle it now and then */
    const struct op *op;
    uint32_t n;                 /* rows */
    const struct vec *cols;     /* of the input, flat */
    const struct value *consts; /* op->whole.consts */
    uint32_t n_second;
    const struct vec *second; /* columns of op->whole.second */
    struct vecb *out;         /* one per result column; all get the same number of rows */
    struct diag *d;
};

typedef enum err whole_fn(struct whole *w);

whole_fn whole_scan, whole_top_nested, whole_pivot, whole_narrow, whole_ip_lookup, whole_rows_near,
    whole_schema_merge, whole_sliding_window, whole_activity_counts, whole_activity,
    whole_activity_engagement, whole_new_activity, whole_active_users, whole_rolling_percentile,
    whole_components, whole_paths, whole_reduce, whole_basket, whole_autocluster,
    whole_diffpatterns, whole_text_patterns, whole_session_count, whole_funnel,
    whole_funnel_completion, whole_sequences;

/* Appends column col's value of a row. */
void whole_copy(struct whole *w, uint32_t to, const struct vec *from, uint32_t row);
/* After each few thousand rows: limits and cancellation. */
enum err whole_check(struct whole *w);
/* An empty numbering in the operator's memory. */
static inline struct numbering whole_numbering(const struct whole *w)
{
    return (struct numbering){.a = &w->m->a, .seed = w->q->hash_seed};
}
