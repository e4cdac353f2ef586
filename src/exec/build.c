/* SPDX-License-Identifier: Apache-2.0 */
/* exec/build.c - cuts a plan into pipelines and finds out which columns anybody reads */
#include "exec/run.h"

const struct op *op_source(const struct op *op, uint32_t i)
{
    if (op->kind == OP_UNION) return i < op->unions.n ? op->unions.inputs[i] : NULL;
    if (op->kind == OP_JOIN && i == 1) return op->join.right;
    return i == 0 ? op->input : NULL;
}

bool op_is_ordered(const struct op *op)
{
    while (op->kind == OP_FILTER || op->kind == OP_PROJECT || op->kind == OP_TAKE)
        op = op->input;
    return op->kind == OP_SORT || op->kind == OP_TOP;
}

static bool *columns_new(struct query *q, const struct op *op)
{
    return arena_array(&q->mem.a, bool, op->schema.n);
}

/* --- which columns of its input an operator reads -------------------------------------------- */

static void keys_columns(const struct sort_key *keys, uint32_t n, bool *in)
{
    for (uint32_t i = 0; i < n; i++)
        expr_columns(keys[i].expr, in);
}

static void summarize_columns(const struct op *op, const bool *needed, bool *in)
{
    uint32_t n_keys = op->summarize.n_keys;
    for (uint32_t i = 0; i < n_keys; i++)
        expr_columns(op->summarize.keys[i], in);
    for (uint32_t i = 0; i < op->summarize.n_aggs; i++) {
        const struct agg_use *use = &op->summarize.aggs[i];
        for (uint32_t k = 0; needed[n_keys + i] && k < use->call.n_args; k++) {
            expr_columns(use->args[k], in);
        }
    }
}

static void series_columns(const struct op *op, const bool *needed, bool *in)
{
    uint32_t n_keys = op->make_series.n_keys;
    expr_columns(op->make_series.axis, in);
    for (uint32_t i = 0; i < n_keys; i++)
        expr_columns(op->make_series.keys[i], in);
    for (uint32_t i = 0; i < op->make_series.n_aggs; i++) {
        const struct agg_use *use = &op->make_series.aggs[i];
        for (uint32_t k = 0; needed[n_keys + i] && k < use->call.n_args; k++) {
            expr_columns(use->args[k], in);
        }
    }
}

/* Operators that hand their input's columns on, in their places, with more columns behind them. */
static void copied_columns(const struct op *op, const bool *needed, bool *in)
{
    for (uint32_t i = 0; i < op->input->schema.n; i++)
        in[i] |= needed[i];
}

static enum err input_columns(struct query *q, const struct op *op, const bool *needed, bool **out,
                              struct diag *d)
{
    bool *in = columns_new(q, op->input);
    if (in == NULL) return query_full(q, d);
    *out = in;
    switch (op->kind) {
    case OP_COUNT: return OK;
    case OP_SUMMARIZE: summarize_columns(op, needed, in); return OK;
    case OP_PROJECT:
        for (uint32_t i = 0; i < op->project.n; i++) {
            if (needed[i]) expr_columns(op->project.exprs[i], in);
        }
        return OK;
    case OP_MAKE_SERIES: series_columns(op, needed, in); return OK;
    case OP_MV_EXPAND:
        for (uint32_t i = 0; i < op->mv_expand.n; i++)
            expr_columns(op->mv_expand.items[i].expr, in);
        break;
    case OP_PARSE: expr_columns(op->parse.source, in); break;
    case OP_SORT: keys_columns(op->sort.keys, op->sort.n_keys, in); break;
    case OP_TOP: keys_columns(op->top.keys, op->top.n_keys, in); break;
    default: break;
    }
    copied_columns(op, needed, in);
    return OK;
}

/* --- building -------------------------------------------------------------------------------- */

static enum err build_filter(struct pipeline *p, const struct op *op, const bool *needed,
                             const struct stage *next, struct diag *d)
{
    struct query *q = p->q;
    const struct op *below = op;
    struct conditions *c = arena_new(&q->mem.a, struct conditions);
    if (c == NULL) return query_full(q, d);
    TRY(conditions_of(q, &below, c, d));
    if (below->kind == OP_TABLE) return scan_leg(p, below, c, needed, next, d);

    bool *in = columns_new(q, below);
    if (in == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < below->schema.n; i++)
        in[i] = needed[i] || c->columns[i];
    const struct stage *filter;
    TRY(filter_stage(q, c, needed, next, &filter, d));
    return build_input(p, below, in, filter, d);
}

/* Operators that turn each batch into others as it passes. */
static enum err build_stage(struct pipeline *p, const struct op *op, const bool *needed,
                            const struct stage *next, struct diag *d)
{
    bool *in;
    const struct stage *stage;
    TRY(input_columns(p->q, op, needed, &in, d));
    if (op->kind == OP_PROJECT)
        TRY(project_stage(p->q, op, needed, next, &stage, d));
    else if (op->kind == OP_PARSE)
        TRY(parse_stage(p, op, needed, next, &stage, d));
    else
        TRY(mv_expand_stage(p->q, op, needed, next, &stage, d));
    return build_input(p, op->input, in, stage, d);
}

static enum err build_union(struct pipeline *p, const struct op *op, const bool *needed,
                            const struct stage *next, struct diag *d)
{
    for (uint32_t k = 0; k < op->unions.n; k++) {
        const struct op *input = op->unions.inputs[k];
        bool *in = columns_new(p->q, input);
        if (in == NULL) return query_full(p->q, d);
        for (uint32_t i = 0; i < op->schema.n; i++) {
            uint32_t from = op->unions.columns[k][i];
            if (needed[i] && from != UINT32_MAX) in[from] = true;
        }
        const struct stage *mapping;
        TRY(union_stage(p->q, op, k, needed, next, &mapping, d));
        TRY(build_input(p, input, in, mapping, d));
    }
    return OK;
}

enum err build_input(struct pipeline *p, const struct op *op, const bool *needed,
                     const struct stage *next, struct diag *d)
{
    switch (op->kind) {
    case OP_TABLE: return scan_leg(p, op, NULL, needed, next, d);
    case OP_ROWS: return rows_leg(p, op, next, d);
    case OP_RANGE: return range_leg(p, op, next, d);
    case OP_FILTER: return build_filter(p, op, needed, next, d);
    case OP_PROJECT:
    case OP_PARSE:
    case OP_MV_EXPAND: return build_stage(p, op, needed, next, d);
    case OP_UNION: return build_union(p, op, needed, next, d);
    case OP_JOIN: return build_join(p, op, needed, next, d);
    default: break;
    }
    struct relation r;
    TRY(run_relation(p->q, op, needed, &r, d));
    return relation_leg(p, &r, next, d);
}

/* The sink that op is, and the operator whose rows go into it. */
static enum err sink_of(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                        const struct op **input, bool **in, struct diag *d)
{
    *input = op->input;
    if (op->kind == OP_MAKE_SERIES) {
        TRY(input_columns(q, op, needed, in, d));
        return make_series_sink(q, op, needed, *in, out, d);
    }
    if (op->kind == OP_TAKE && op->input->kind == OP_SORT) { /* sort | take is top */
        const struct op *sort = op->input;
        *input = sort->input;
        TRY(input_columns(q, sort, needed, in, d));
        return top_sink(q, op, sort->sort.keys, sort->sort.n_keys, op->take.count, needed, out, d);
    }
    switch (op->kind) {
    case OP_TAKE: TRY(take_sink(q, op, needed, out, d)); break;
    case OP_COUNT: TRY(count_sink(q, op, out, d)); break;
    case OP_SORT: TRY(sort_sink(q, op, needed, out, d)); break;
    case OP_TOP:
        TRY(top_sink(q, op, op->top.keys, op->top.n_keys, op->top.count, needed, out, d));
        break;
    case OP_SUMMARIZE: TRY(summarize_sink(q, op, needed, out, d)); break;
    default: /* a stage or a source stands at the top: its rows are collected */
        *input = op;
        *in = (bool *)needed;
        return collect_sink(q, op, needed, true, out, d);
    }
    return input_columns(q, op, needed, in, d);
}

enum err run_relation(struct query *q, const struct op *op, const bool *needed,
                      struct relation *out, struct diag *d)
{
    const struct op *input;
    bool *in;
    struct sink *sink;
    TRY(sink_of(q, op, needed, &sink, &input, &in, d));
    struct pipeline p = {.q = q};
    p.legs_end = &p.legs;
    sink->pipeline = &p;
    enum err e = build_input(&p, input, in, &sink->stage, d);
    if (e == OK)
        e = pipeline_run(&p, sink->in_order, d);
    else
        pipeline_close(&p);
    if (e == OK) e = sink->finish(sink, out, d);
    if (sink->close != NULL) sink->close(sink);
    return e;
}
