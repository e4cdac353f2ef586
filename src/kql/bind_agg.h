/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_agg.h - aggregates while their operator is bound: summarize, make-series, top-nested */
#pragma once

#include "kql/bind.h"

/* An aggregate is a column of an intermediate result: first the keys, then the aggregates in order.
 */
struct agg_scope {
    struct scope *rows; /* where arguments stand: the input's rows */
    uint32_t n_keys;
    struct expr **keys;
    uint32_t n, cap;
    struct agg_use *uses;
};

/* One call in an expression; *out is its column. */
enum err bind_aggregate(struct scope *s, const struct ast *call, struct expr **out);
/* Adds one; *place is its index among the aggregates. */
enum err agg_add(struct agg_scope *g, uint32_t pos, const char *name, struct expr **args,
                 uint32_t n, uint32_t *place);
enum err agg_column(struct agg_scope *g, uint32_t place, struct expr **out);

/* summarize make_list(first column): the values of a subquery as one dynamic. */
enum err op_list_of_first_column(struct scope *s, struct op *in, uint32_t pos, struct op **out);

/* --- what summarize, distinct and make-series are made of ------------------------------------- */

struct summary {
    struct scope rows;   /* the input's */
    struct scope groups; /* over keys and aggregates */
    struct agg_scope aggs;
    struct name_set names;
    bool dynamic_keys; /* pivot's rows may be grouped by any type */
    uint32_t n, cap;
    struct named_expr *cols; /* over the SUMMARIZE's columns */
};
void summary_init(struct summary *r, struct op_cx *cx);
enum err summary_by(struct summary *r, const struct ast_list *by);
/* One aggregate as a column. */
enum err summary_aggregate(struct summary *r, const struct ast *item, const struct ast *call);
const char *item_name(const struct ast *n, uint32_t k); /* the k-th before '=', "" = none */
const struct ast *item_value(const struct ast *n);      /* what is behind it */
