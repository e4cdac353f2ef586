/* SPDX-License-Identifier: Apache-2.0 */
/* exec/build.c - cuts a plan into pipelines and finds out which columns anybody reads */
#include "exec/run.h"

#include "base/time.h"

const struct op *op_source(const struct op *op, uint32_t i)
{
    if (op->kind == OP_UNION) return i < op->unions.n ? op->unions.inputs[i] : NULL;
    if (op->kind == OP_JOIN && i == 1) return op->join.right;
    if (op->kind == OP_WHOLE && i == 1) return op->whole.second;
    return i == 0 ? op->input : NULL;
}

bool op_is_ordered(const struct op *op)
{
    if (op_is_window(op)) return true;
    while (op->kind == OP_FILTER || op->kind == OP_PROJECT || op->kind == OP_TAKE ||
           op->kind == OP_MV_EXPAND || op->kind == OP_PARSE || op->kind == OP_PARSE_KV ||
           op->kind == OP_MATERIALIZE || op->kind == OP_APPLY) {
        op = op->input;
    }
    if (op->kind == OP_WHOLE || op->kind == OP_GROUP) return true;
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
    case OP_PARSE_KV: expr_columns(op->parse_kv.source, in); break;
    case OP_FILTER: expr_columns(op->filter.condition, in); break;
    case OP_SORT: keys_columns(op->sort.keys, op->sort.n_keys, in); break;
    case OP_TOP: keys_columns(op->top.keys, op->top.n_keys, in); break;
    default: break;
    }
    copied_columns(op, needed, in);
    return OK;
}

static enum err all_columns(struct query *q, const struct op *op, bool **out, struct diag *d)
{
    *out = columns_new(q, op);
    if (*out == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < op->schema.n; i++)
        (*out)[i] = true;
    return OK;
}

/* --- building -------------------------------------------------------------------------------- */

/* One operator as it is to be built: what is above it, and the conditions that moved below it. */
struct site {
    struct pipeline *p;
    const struct op *op;
    const struct conditions *below; /* per source; NULL: none */
    const bool *needed;             /* of its result */
    const struct stage *next;
    bool is_result; /* of the query: its limits hold */
};

static const struct conditions *below_at(const struct site *s, uint32_t source)
{
    return s->below != NULL ? &s->below[source] : NULL;
}

/* Operators that turn each batch into others as it passes. */
static enum err build_stage(const struct site *s, struct diag *d)
{
    bool *in;
    const struct stage *stage;
    struct query *q = s->p->q;
    TRY(input_columns(q, s->op, s->needed, &in, d));
    if (s->op->kind == OP_PROJECT)
        TRY(project_stage(q, s->op, s->needed, s->next, &stage, d));
    else if (s->op->kind == OP_PARSE)
        TRY(parse_stage(s->p, s->op, s->needed, s->next, &stage, d));
    else if (s->op->kind == OP_PARSE_KV)
        TRY(parse_kv_stage(q, s->op, s->needed, s->next, &stage, d));
    else
        TRY(mv_expand_stage(q, s->op, s->needed, s->next, &stage, d));
    return build_input(s->p, s->op->input, below_at(s, 0), in, stage, d);
}

static enum err build_union(const struct site *s, struct diag *d)
{
    const struct op *op = s->op;
    for (uint32_t k = 0; k < op->unions.n; k++) {
        const struct op *input = op->unions.inputs[k];
        bool *in = columns_new(s->p->q, input);
        if (in == NULL) return query_full(s->p->q, d);
        for (uint32_t i = 0; i < op->schema.n; i++) {
            uint32_t from = op->unions.columns[k][i];
            if (s->needed[i] && from != UINT32_MAX) in[from] = true;
        }
        const struct stage *mapping;
        TRY(union_stage(s->p->q, op, k, s->needed, s->next, &mapping, d));
        TRY(build_input(s->p, input, below_at(s, k), in, mapping, d));
    }
    return OK;
}

/* Is the site a top, or a take of sorted rows? */
static bool as_top(const struct site *s, struct late_top *t)
{
    const struct op *op = s->op;
    *t = (struct late_top){.op = op, .below = s->below, .needed = s->needed};
    if (op->kind == OP_TAKE && op->input->kind == OP_SORT) {
        t->count = op->take.count;
        op = op->input;
        t->keys = op->sort.keys;
        t->n_keys = op->sort.n_keys;
    } else if (op->kind == OP_TOP) {
        t->count = op->top.count;
        t->keys = op->top.keys;
        t->n_keys = op->top.n_keys;
    } else {
        return false;
    }
    t->input = op->input;
    return true;
}

/* The sink that the site's operator is, and the operator whose rows go into it. */
static enum err sink_of(const struct site *s, struct sink **out, const struct op **input, bool **in,
                        struct diag *d)
{
    struct query *q = s->p->q;
    const struct op *op = s->op;
    const bool *needed = s->needed;
    struct late_top t;
    *input = op->input;
    if (op_is_window(op)) {
        TRY(input_columns(q, op, needed, in, d));
        return window_sink(q, op, needed, *in, out, d);
    }
    if (as_top(s, &t)) {
        *input = t.input;
        TRY(input_columns(q, op->kind == OP_TAKE ? op->input : op, needed, in, d));
        return top_sink(q, op, t.keys, t.n_keys, t.count, needed, out, d);
    }
    switch (op->kind) {
    case OP_TAKE:
    case OP_COUNT:
    case OP_SORT:
    case OP_SUMMARIZE:
    case OP_MAKE_SERIES: TRY(input_columns(q, op, needed, in, d)); break;
    case OP_APPLY:
    case OP_WHOLE: TRY(all_columns(q, op->input, in, d)); break;
    default: *input = op; *in = (bool *)needed;
    }
    switch (op->kind) {
    case OP_TAKE: return take_sink(q, op, needed, out, d);
    case OP_COUNT: return count_sink(q, op, out, d);
    case OP_SORT: return sort_sink(q, op, needed, out, d);
    case OP_SUMMARIZE: return summarize_sink(q, op, needed, out, d);
    case OP_MAKE_SERIES: return make_series_sink(q, op, needed, *in, out, d);
    case OP_APPLY: return apply_sink(q, op, needed, out, d);
    case OP_WHOLE: return whole_sink(q, op, out, d);
    default:
        return collect_sink(q, op, needed, s->is_result, out, d); /* a stage or source on top */
    }
}

static bool holds_back(const struct op *op)
{
    switch (op->kind) {
    case OP_TAKE:
    case OP_COUNT:
    case OP_SORT:
    case OP_TOP:
    case OP_SUMMARIZE:
    case OP_MAKE_SERIES:
    case OP_APPLY:
    case OP_WHOLE:
    case OP_EXPLAIN: return true;
    default: return op_is_window(op);
    }
}

enum err run_handed_out(struct query *q, const struct op *op, const bool *needed, exec_sink *result,
                        void *ctx, bool *done, struct diag *d)
{
    struct pipeline p = {.q = q, .above = op};
    struct sink *sink;
    *done = !holds_back(op);
    if (!*done) return OK;
    p.legs_end = &p.legs;
    TRY(handout_sink(q, op, needed, result, ctx, &sink, d));
    p.sink = sink;
    enum err e = build_input(&p, op, NULL, needed, &sink->stage, d);
    if (e == OK)
        e = pipeline_run(&p, false, d);
    else
        pipeline_close(&p);
    sink->close(sink);
    return e;
}

static enum err run_site(struct site *s, struct relation *out, struct diag *d)
{
    struct late_top top;
    bool done = false;
    if (s->op->kind == OP_EXPLAIN) return explain_run(s->p->q, s->op, out, d);
    if (!s->p->q->explain && as_top(s, &top)) TRY(late_top_run(s->p->q, &top, out, &done, d));
    if (done) return OK;

    struct pipeline p = {.q = s->p->q, .above = s->op};
    p.legs_end = &p.legs;
    const struct op *input, *above = p.q->at;
    bool *in;
    struct sink *sink;
    TRY(sink_of(s, &sink, &input, &in, d));
    sink->pipeline = &p;
    enum err e = build_input(&p, input, below_at(s, 0), in, &sink->stage, d);
    p.q->at = s->op;
    if (e == OK)
        e = pipeline_run(&p, sink->in_order, d);
    else
        pipeline_close(&p);
    int64_t from = p.q->explain ? time_mono_us() : 0;
    if (e == OK) e = sink->finish(sink, out, d);
    if (p.q->explain) explain_finished(p.q, s->op, time_mono_us() - from);
    if (sink->close != NULL) sink->close(sink);
    e = limit_checked(p.q, e, d);
    p.q->at = above;
    return e;
}

/* Operators that hold their rows back. */
static enum err build_relation(struct site *s, struct diag *d)
{
    struct relation r;
    TRY(run_site(s, &r, d));
    return relation_leg(s->p, &r, s->next, d);
}

static enum err build_site(struct site *s, struct diag *d)
{
    if (op_is_window(s->op)) return build_relation(s, d);
    switch (s->op->kind) {
    case OP_ROWS: return rows_leg(s->p, s->op, s->next, d);
    case OP_RANGE: return range_leg(s->p, s->op, s->next, d);
    case OP_GROUP: return group_leg(s->p, s->op, s->next, d);
    case OP_MATERIALIZE: return materialize_leg(s->p, s->op, s->next, d);
    case OP_EXTERNAL: return external_leg(s->p, s->op, s->next, d);
    case OP_PROJECT:
    case OP_PARSE:
    case OP_PARSE_KV:
    case OP_MV_EXPAND: return build_stage(s, d);
    case OP_UNION: return build_union(s, d);
    case OP_JOIN: return build_join(s->p, s->op, s->below, s->needed, s->next, d);
    default: break;
    }
    return build_relation(s, d);
}

/* Moves conditions below the operator, and puts a filter above it for those that cannot. */
static enum err push_conditions(struct site *s, const struct conditions *c, struct diag *d)
{
    struct query *q = s->p->q;
    uint32_t n = 0;
    while (op_source(s->op, n) != NULL)
        n++;
    struct conditions *below = arena_array(&q->mem.a, struct conditions, n);
    struct conditions *stay = arena_new(&q->mem.a, struct conditions);
    bool *needed = columns_new(q, s->op);
    if (below == NULL || stay == NULL || needed == NULL) return query_full(q, d);
    TRY(conditions_push(q, s->op, c, stay, below, d));
    s->below = below;
    if (stay->n == 0) return OK;
    for (uint32_t i = 0; i < s->op->schema.n; i++)
        needed[i] = s->needed[i] || stay->columns[i];
    TRY(filter_stage(q, stay, s->needed, s->next, &s->next, d));
    s->needed = needed;
    return OK;
}

/* A filter becomes conditions, and rows that nobody keeps are read where they come from. */
static bool is_transparent(const struct op *op)
{
    if (op->kind == OP_MATERIALIZE) return !op_is_kept(op);
    return op->kind == OP_FILTER && !op_is_window(op);
}

enum err build_input(struct pipeline *p, const struct op *op, const struct conditions *c,
                     const bool *needed, const struct stage *next, struct diag *d)
{
    const struct op *above = p->above;
    TRY(explain_stage(p, op, next, &next, d));
    p->above = op;
    for (; is_transparent(op); op = op->input) {
        struct conditions *more;
        if (op->kind == OP_MATERIALIZE) continue;
        TRY(conditions_add(p->q, op, c, &more, d));
        c = more;
    }
    if (c != NULL && c->n == 0) c = NULL;
    struct site s = {.p = p, .op = op, .needed = needed, .next = next};
    if (op->kind == OP_TABLE) {
        TRY(scan_leg(p, op, c, needed, next, d));
    } else {
        if (c != NULL) TRY(push_conditions(&s, c, d));
        TRY(build_site(&s, d));
    }
    p->above = above;
    return OK;
}

enum err run_relation(struct query *q, const struct op *op, const bool *needed,
                      struct relation *out, struct diag *d)
{
    struct pipeline none = {.q = q};
    struct site s = {.p = &none, .op = op, .needed = needed};
    return run_site(&s, out, d);
}

enum err run_root(struct query *q, const struct op *op, const bool *needed, struct relation *out,
                  struct diag *d)
{
    struct pipeline none = {.q = q};
    struct site s = {.p = &none, .op = op, .needed = needed, .is_result = true};
    return run_site(&s, out, d);
}
