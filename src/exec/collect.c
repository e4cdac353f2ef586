/* SPDX-License-Identifier: Apache-2.0 */
/* exec/collect.c - sinks that keep rows as they come: results, and take */
#include "exec/held.h"

struct collect {
    struct sink sink;
    struct query *q;
    uint64_t take; /* rows that are enough; UINT64_MAX for all */
    bool limited;  /* the result's limits hold */
    _Atomic uint64_t n_rows, n_bytes;
    struct held rows;
    uint32_t *unit_rows; /* per worker: kept of the unit under way */
    uint32_t *unit_no;
};

static enum err check_result(struct collect *c, struct diag *d)
{
    return c->limited ? result_check(c->q, c->n_rows, c->n_bytes, d) : OK;
}

static enum err collect_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    struct collect *c = (struct collect *)s;
    if (c->unit_no[w->slot] != w->unit_no) {
        c->unit_no[w->slot] = w->unit_no;
        c->unit_rows[w->slot] = 0;
    }
    uint64_t left = c->take - c->unit_rows[w->slot];
    uint32_t n = in->n_rows < left ? in->n_rows : (uint32_t)left;
    TRY(held_add(&c->rows, w, in, n));
    c->unit_rows[w->slot] += n;
    uint64_t rows = atomic_fetch_add(&c->n_rows, n) + n;
    if (c->limited) atomic_fetch_add(&c->n_bytes, batch_bytes(in));
    if (n == left) w->unit_done = true;
    /* The units begun are a prefix of all, so with them there are enough of the first rows (3). */
    if (rows >= c->take) atomic_store(&c->sink.pipeline->enough, true);
    return check_result(c, &w->d);
}

static enum err collect_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct collect *c = (struct collect *)s;
    return held_relation(&c->rows, c->take, out, d);
}

static void collect_close(struct sink *s)
{
    held_close(&((struct collect *)s)->rows);
}

static enum err collect_new(struct query *q, const struct schema *schema, const bool *needed,
                            struct collect **out, struct diag *d)
{
    unsigned n = q->n_workers;
    struct collect *c = arena_new(&q->mem.a, struct collect);
    if (c == NULL) return query_full(q, d);
    c->q = q;
    c->sink = (struct sink){
        .stage = {collect_push, NULL}, .finish = collect_finish, .close = collect_close};
    c->unit_rows = arena_array(&q->mem.a, uint32_t, n);
    c->unit_no = arena_array(&q->mem.a, uint32_t, n);
    if (c->unit_rows == NULL || c->unit_no == NULL) return query_full(q, d);
    TRY(held_open(&c->rows, q, schema, needed, d));
    for (unsigned i = 0; i < n; i++)
        c->unit_no[i] = UINT32_MAX;
    c->take = UINT64_MAX;
    *out = c;
    return OK;
}

enum err collect_sink(struct query *q, const struct op *op, const bool *needed, bool limited,
                      struct sink **out, struct diag *d)
{
    struct collect *c;
    TRY(collect_new(q, &op->schema, needed, &c, d));
    c->limited = limited;
    *out = &c->sink;
    return OK;
}

enum err take_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                   struct diag *d)
{
    uint64_t n;
    TRY(eval_count(q, op->take.count, "take", &n, d));
    struct collect *c;
    TRY(collect_new(q, &op->schema, needed, &c, d));
    c->take = n;
    *out = &c->sink;
    return OK;
}
