/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/late.c - top over a table: first the keys of all rows, then all columns of the best
 *
 * Two pipelines over one open scan, so that both see the table as of the same moment. The first
 * reads what conditions and keys need; the second reads the other columns of units that have a row
 * among the best.
 */
#include "exec/run.h"

#define LATE_ROWS_MAX 65536 /* more are not worth a second look */
#define LATE_ROW_COST 400   /* bytes: keys of twice as many rows, and what it takes to sort them */

bool op_is_plain_table(const struct op *op)
{
    for (; op->kind == OP_FILTER || op->kind == OP_PROJECT; op = op->input) {
        if (op->kind == OP_FILTER && !expr_repeatable(op->filter.condition)) return false;
        for (uint32_t i = 0; op->kind == OP_PROJECT && i < op->project.n; i++) {
            if (!expr_repeatable(op->project.exprs[i])) return false;
        }
    }
    return op->kind == OP_TABLE;
}

static enum err needed_for(struct query *q, const struct late_top *t, const bool *needed,
                           bool **out, struct diag *d)
{
    uint32_t n = t->input->schema.n;
    *out = arena_array(&q->mem.a, bool, n);
    if (*out == NULL) return query_full(q, d);
    if (needed != NULL) memcpy(*out, needed, n * sizeof **out);
    for (uint32_t i = 0; i < t->n_keys; i++)
        expr_columns(t->keys[i].expr, *out);
    return OK;
}

static enum err find_places(struct query *q, const struct late_top *t, struct scan *scan,
                            const uint64_t **places, uint64_t *n, struct diag *d)
{
    struct pipeline p = {.q = q, .lender = scan};
    p.legs_end = &p.legs;
    struct sink *sink;
    bool *in;
    TRY(needed_for(q, t, NULL, &in, d));
    TRY(places_sink(q, t->op, t->keys, t->n_keys, t->count, &sink, d));
    sink->pipeline = &p;
    p.reverse =
        t->keys[0].descending; /* tables are in the order of time, and the newest are wanted */
    enum err e = build_input(&p, t->input, t->below, in, &sink->stage, d);
    if (e == OK)
        e = pipeline_run(&p, false, d);
    else
        pipeline_close(&p);
    if (e == OK) e = places_of(sink, places, n, d);
    sink->close(sink);
    return e;
}

static enum err run_twice(struct query *q, const struct late_top *t, struct pipeline *p,
                          struct sink *sink, struct relation *out, struct diag *d)
{
    const uint64_t *places;
    uint64_t n;
    bool *in;
    TRY(needed_for(q, t, t->needed, &in, d));
    TRY(build_input(p, t->input, t->below, in, &sink->stage, d));
    TRY(find_places(q, t, p->scan, &places, &n, d));
    TRY(scan_pick(q, p->scan, places, n, d));
    TRY(pipeline_run(p, false, d));
    return sink->finish(sink, out, d);
}

enum err late_top_run(struct query *q, const struct late_top *t, struct relation *out, bool *done,
                      struct diag *d)
{
    uint64_t count;
    TRY(eval_count(q, t->count, "top", &count, d));
    *done = count <= LATE_ROWS_MAX && op_is_plain_table(t->input) &&
            count * LATE_ROW_COST * q->n_workers <= q->limits.memory_max / 4;
    for (uint32_t i = 0; *done && i < t->n_keys; i++)
        *done = expr_repeatable(t->keys[i].expr);
    if (!*done) return OK;

    struct pipeline p = {.q = q};
    p.legs_end = &p.legs;
    struct sink *sink;
    TRY(top_sink(q, t->op, t->keys, t->n_keys, t->count, t->needed, &sink, d));
    sink->pipeline = &p;
    enum err e = run_twice(q, t, &p, sink, out, d);
    pipeline_close(&p);
    sink->close(sink);
    return e;
}
