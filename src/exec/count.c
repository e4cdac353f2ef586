/* SPDX-License-Identifier: Apache-2.0 */
/* exec/count.c - count: how many rows came */
#include "exec/run.h"

struct count {
    struct sink sink;
    struct query *q;
    _Atomic int64_t n;
};

static enum err count_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    struct count *c = (struct count *)s;
    (void)w;
    atomic_fetch_add(&c->n, in->n_rows);
    return OK;
}

static enum err count_finish(struct sink *s, struct relation *out, struct diag *d)
{
    struct count *c = (struct count *)s;
    struct value v = {.type = T_LONG, .i = atomic_load(&c->n)};
    struct batch *b = arena_new(&c->q->mem.a, struct batch);
    struct vec *col = vec_const(&c->q->mem.a, &v, 1);
    if (b == NULL || col == NULL) return query_full(c->q, d);
    *b = (struct batch){.n_rows = 1, .n_cols = 1, .cols = col};
    *out = (struct relation){.n_rows = 1, .n_batches = 1, .batches = b};
    return OK;
}

enum err count_sink(struct query *q, const struct op *op, struct sink **out, struct diag *d)
{
    (void)op;
    struct count *c = arena_new(&q->mem.a, struct count);
    if (c == NULL) return query_full(q, d);
    c->q = q;
    c->sink = (struct sink){.stage = {count_push, NULL}, .finish = count_finish};
    *out = &c->sink;
    return OK;
}
