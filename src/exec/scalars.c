/* SPDX-License-Identifier: Apache-2.0 */
/* exec/scalars.c - toscalar(): subqueries that run once, before the pipelines that use their value
 */
#include "exec/run.h"

static enum err expr_run(struct query *q, const struct expr *e, struct diag *d);

static enum err exprs_run(struct query *q, struct expr *const *exprs, uint32_t n, struct diag *d)
{
    for (uint32_t i = 0; i < n; i++)
        TRY(expr_run(q, exprs[i], d));
    return OK;
}

/* First row, first column; null when there is no row. */
static enum err first_value(struct query *q, const struct expr *e, struct value *out,
                            struct diag *d)
{
    bool *needed = arena_array(&q->mem.a, bool, e->query->schema.n);
    if (needed == NULL) return query_full(q, d);
    needed[0] = true;
    struct relation r;
    TRY(run_relation(q, e->query, needed, &r, d));
    *out = (struct value){.type = e->type, .is_null = e->type != T_STRING};
    struct batch first;
    enum err read = OK;
    if (r.n_rows != 0) read = relation_batch(q, &r, 0, &q->mem.a, &first, d);
    if (r.n_rows != 0 && read == OK) *out = vec_value(&first.cols[0], 0);
    bool copied = true;
    if (!out->is_null && (out->type == T_STRING || out->type == T_DYNAMIC)) {
        out->s = arena_bytes(&q->mem.a, out->s); /* the relation goes */
        copied = out->s.p != NULL;
    }
    relation_release(q, &r);
    TRY(read);
    return copied ? OK : query_full(q, d);
}

static enum err expr_run(struct query *q, const struct expr *e, struct diag *d)
{
    if (e->kind == EXPR_CALL) return exprs_run(q, e->args, e->call.n_args, d);
    if (e->kind != EXPR_SCALAR_QUERY) return OK;
    if (e->group_depth > q->group_depth) return OK; /* run anew for each group */
    for (const struct scalar *s = q->scalars; s != NULL; s = s->next) {
        if (s->expr == e) return OK;
    }
    TRY(scalars_run(q, e->query, d));
    struct scalar *s = arena_new(&q->mem.a, struct scalar);
    if (s == NULL) return query_full(q, d);
    TRY(first_value(q, e, &s->value, d));
    s->expr = e;
    s->next = q->scalars;
    q->scalars = s;
    return OK;
}

static enum err aggs_run(struct query *q, const struct agg_use *aggs, uint32_t n, struct diag *d)
{
    for (uint32_t i = 0; i < n; i++)
        TRY(exprs_run(q, aggs[i].args, aggs[i].call.n_args, d));
    return OK;
}

static enum err series_run(struct query *q, const struct op *op, struct diag *d)
{
    if (op->make_series.from != NULL) TRY(expr_run(q, op->make_series.from, d));
    if (op->make_series.to != NULL) TRY(expr_run(q, op->make_series.to, d));
    TRY(expr_run(q, op->make_series.axis, d));
    TRY(expr_run(q, op->make_series.step, d));
    for (uint32_t i = 0; i < op->make_series.n_aggs; i++) {
        if (op->make_series.defaults[i] != NULL) TRY(expr_run(q, op->make_series.defaults[i], d));
    }
    TRY(exprs_run(q, op->make_series.keys, op->make_series.n_keys, d));
    return aggs_run(q, op->make_series.aggs, op->make_series.n_aggs, d);
}

static enum err scan_scalars(struct query *q, const struct op *op, struct diag *d)
{
    const struct scan_steps *plan = op->whole.more;
    for (uint32_t k = 0; k < plan->n; k++) {
        TRY(expr_run(q, plan->steps[k].condition, d));
        for (uint32_t i = 0; i < plan->n_declared; i++) {
            if (plan->steps[k].values[i] != NULL) TRY(expr_run(q, plan->steps[k].values[i], d));
        }
    }
    return OK;
}

static enum err op_run(struct query *q, const struct op *op, struct diag *d)
{
    switch (op->kind) {
    case OP_TABLE:
    case OP_COUNT: return OK;
    case OP_ROWS: return exprs_run(q, op->rows.cells, op->rows.n_rows * op->schema.n, d);
    case OP_RANGE:
        TRY(expr_run(q, op->range.from, d));
        TRY(expr_run(q, op->range.to, d));
        return expr_run(q, op->range.step, d);
    case OP_FILTER: return expr_run(q, op->filter.condition, d);
    case OP_PROJECT: return exprs_run(q, op->project.exprs, op->project.n, d);
    case OP_SUMMARIZE:
        TRY(exprs_run(q, op->summarize.keys, op->summarize.n_keys, d));
        return aggs_run(q, op->summarize.aggs, op->summarize.n_aggs, d);
    case OP_SORT:
        for (uint32_t i = 0; i < op->sort.n_keys; i++)
            TRY(expr_run(q, op->sort.keys[i].expr, d));
        return OK;
    case OP_TOP:
        for (uint32_t i = 0; i < op->top.n_keys; i++)
            TRY(expr_run(q, op->top.keys[i].expr, d));
        return expr_run(q, op->top.count, d);
    case OP_TAKE: return expr_run(q, op->take.count, d);
    case OP_UNION: return OK;
    case OP_JOIN:
        TRY(exprs_run(q, op->join.left_keys, op->join.n_keys, d));
        return exprs_run(q, op->join.right_keys, op->join.n_keys, d);
    case OP_MV_EXPAND:
        for (uint32_t i = 0; i < op->mv_expand.n; i++) {
            TRY(expr_run(q, op->mv_expand.items[i].expr, d));
        }
        return op->mv_expand.limit != NULL ? expr_run(q, op->mv_expand.limit, d) : OK;
    case OP_PARSE: return expr_run(q, op->parse.source, d);
    case OP_MAKE_SERIES: return series_run(q, op, d);
    case OP_PARSE_KV: return expr_run(q, op->parse_kv.source, d);
    case OP_EXPLAIN:
    case OP_MATERIALIZE:
    case OP_EXTERNAL:
    case OP_GROUP: return OK;
    case OP_APPLY:
        TRY(exprs_run(q, op->apply.keys, op->apply.n_keys, d));
        return scalars_run(q, op->apply.plan, d);
    case OP_WHOLE:
        if (op->whole.kind == WHOLE_SCAN) TRY(scan_scalars(q, op, d));
        return exprs_run(q, op->whole.consts, op->whole.n_consts, d);
    }
    return FAIL(d, ERR_INTERNAL, "unknown operator in a plan");
}

enum err scalars_run(struct query *q, const struct op *op, struct diag *d)
{
    for (; op != NULL; op = op_source(op, 0)) {
        const struct op *more;
        for (uint32_t i = 1; (more = op_source(op, i)) != NULL; i++)
            TRY(scalars_run(q, more, d));
        TRY(op_run(q, op, d));
    }
    return OK;
}
