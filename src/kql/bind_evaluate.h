/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_evaluate.h - plugins: what their binders share */
#pragma once

#include "kql/bind.h"

struct plugin_cx {
    struct op_cx *cx;
    const struct ast *call;
    const struct ast *schema; /* : (a:long, ...) behind the call, or NULL */
};
typedef enum err bind_plugin_fn(struct plugin_cx *p, struct op **out);

bind_plugin_fn plugin_bag_unpack, plugin_pivot, plugin_narrow, plugin_lookup, plugin_timeline,
    plugin_rolling_percentile, plugin_rows_near, plugin_schema_merge, plugin_identity,
    plugin_estimate_rows_count, plugin_geo_lookup, plugin_dcount_intersect, plugin_preview,
    plugin_basket, plugin_autocluster, plugin_diffpatterns, plugin_text_patterns, plugin_funnel,
    plugin_funnel_completion, plugin_sequences;

/* Why a plugin that is known is refused, NULL: no more than that it is. */
const char *plugin_refusal(const char *name);
/* For the coverage page: the i-th plugin that is there, NULL after the last. */
const char *plugin_at(uint32_t i);

/* The argument by its name or its place, NULL when it is not given. */
const struct ast *plugin_arg(const struct plugin_cx *p, uint32_t place, const char *name);
enum err plugin_arity(struct plugin_cx *p, uint32_t min, uint32_t max);
/* An argument that names a column of the input. */
enum err plugin_column(struct plugin_cx *p, const struct ast *arg, uint32_t *out);
/* An argument free of columns, cast to a type. */
enum err plugin_const(struct plugin_cx *p, const struct ast *arg, enum type type,
                      struct expr **out);
enum err plugin_text(struct plugin_cx *p, const struct ast *arg, const char **out);
/* An OP_WHOLE over some columns of the input, with room for consts. */
enum err plugin_whole(struct plugin_cx *p, enum whole_kind kind, const uint32_t *cols, uint32_t n,
                      uint32_t n_consts, struct op **out);
/* Hands the rows of a part of the query to `each` while the query is compiled. */
enum err plugin_look(struct plugin_cx *p, struct op *part, kql_rows_fn *each, void *ctx);
