/* SPDX-License-Identifier: Apache-2.0 */
/* exec/exec.c - one query: limits, scalar subqueries, the main pipeline, the result handed out */
#include "exec/run.h"

#include "base/rand.h"
#include "base/time.h"

#include <time.h>

static int64_t cpu_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return ts.tv_sec * US_PER_S + ts.tv_nsec / 1000;
}

static struct exec_limits with_defaults(struct exec_limits l)
{
    if (l.rows_max == 0) l.rows_max = EXEC_ROWS_MAX;
    if (l.bytes_max == 0) l.bytes_max = EXEC_BYTES_MAX;
    if (l.memory_max == 0) l.memory_max = EXEC_MEMORY;
    return l;
}

static enum err query_open(struct query *q, const struct exec_request *r, struct diag *d)
{
    unsigned n = r->pool != NULL ? cpu_count() : 1;
    *q = (struct query){.r = r, .limits = with_defaults(r->limits), .hash_seed = rand_u64()};
    q->n_workers = n < WORKERS_MAX ? n : WORKERS_MAX;
    mem_open(q, &q->mem);
    q->workers = arena_array(&q->mem.a, struct worker, q->n_workers);
    if (q->workers == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        struct worker *w = &q->workers[i];
        *w = (struct worker){.q = q, .slot = i, .d = DIAG_INIT};
        mem_open(q, &w->unit);
        mem_open(q, &w->scratch);
    }
    return OK;
}

static void query_close(struct query *q)
{
    kept_release(q);
    for (unsigned i = 0; q->workers != NULL && i < q->n_workers; i++) {
        mem_close(q, &q->workers[i].unit);
        mem_close(q, &q->workers[i].scratch);
    }
    mem_close(q, &q->mem);
}

/* A plan deeper than the stack should have to bear is refused before anything recurses into it. */
static enum err check_depth(const struct op *op, unsigned depth, struct diag *d)
{
    for (; op != NULL; op = op_source(op, 0), depth++) {
        if (depth > OP_DEPTH_MAX) {
            return FAIL(d, ERR_LIMIT, "the query has more than %d operators in a row",
                        OP_DEPTH_MAX);
        }
        const struct op *more;
        for (uint32_t i = 1; (more = op_source(op, i)) != NULL; i++) {
            TRY(check_depth(more, depth + 1, d));
        }
        if (op->kind == OP_APPLY) TRY(check_depth(op->apply.plan, depth + 1, d));
    }
    return OK;
}

uint64_t batch_bytes(const struct batch *b)
{
    uint64_t sum = 0;
    for (uint32_t c = 0; c < b->n_cols; c++) {
        const struct vec *v = &b->cols[c];
        sum += type_width(v->type) * b->n_rows;
        if (v->type != T_STRING && v->type != T_DYNAMIC) continue;
        for (uint32_t i = 0; i < b->n_rows; i++)
            sum += vec_str(v, i).len;
    }
    return sum;
}

static enum err hand_out(struct query *q, const struct relation *r, exec_sink *sink, void *ctx,
                         struct diag *d)
{
    uint64_t rows = 0, bytes = 0;
    struct mem *m = &q->workers[0].scratch; /* free between pipelines */
    for (uint32_t i = 0; i < r->n_batches; i++) {
        struct batch b;
        mem_clear(q, m);
        TRY(relation_batch(q, r, i, &m->a, &b, d));
        TRY(result_give(q, &b, &rows, &bytes, sink, ctx, d));
    }
    return OK;
}

static enum err run_result(struct query *q, const struct op *root, exec_sink *sink, void *ctx,
                           struct diag *d)
{
    TRY(check_depth(root, 0, d));
    TRY(scalars_run(q, root, d));
    bool *needed = arena_array(&q->mem.a, bool, root->schema.n);
    if (needed == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < root->schema.n; i++)
        needed[i] = true;
    bool done;
    TRY(run_handed_out(q, root, needed, sink, ctx, &done, d));
    if (done) return OK;
    struct relation r;
    TRY(run_root(q, root, needed, &r, d));
    enum err e = hand_out(q, &r, sink, ctx, d);
    relation_release(q, &r);
    return e;
}

static enum err query_run(struct query *q, exec_sink *sink, void *ctx, struct diag *d)
{
    const struct plan *plan = q->r->plan;
    if (q->r->begin != NULL) TRY(q->r->begin(ctx, 0, d));
    TRY(run_result(q, plan->root, sink, ctx, d));
    for (uint32_t i = 0; q->r->begin != NULL && i < plan->n_more; i++) {
        TRY(q->r->begin(ctx, i + 1, d));
        TRY(run_result(q, plan->more[i].root, sink, ctx, d));
    }
    return OK;
}

enum err exec_run(const struct exec_request *r, exec_sink *sink, void *ctx,
                  struct exec_stats *stats, struct diag *d)
{
    int64_t wall = time_mono_us(), cpu = cpu_now_us();
    struct query q;
    enum err e = query_open(&q, r, d);
    if (e == OK) e = limit_checked(&q, query_run(&q, sink, ctx, d), d);
    if (stats != NULL) {
        *stats = (struct exec_stats){.rows_scanned = q.rows_scanned,
                                     .units_scanned = q.units_scanned,
                                     .units_total = q.units_total,
                                     .took_us = time_mono_us() - wall,
                                     .cpu_us = cpu_now_us() - cpu};
    }
    query_close(&q);
    return e;
}
