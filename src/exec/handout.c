/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/handout.c - the result as it comes: rows go to the receiver in the order of units
 *
 * The worker whose unit is the first of those under way hands its rows out at once. The others gather
 * theirs, up to a share of the memory, and then wait for their turn: the first never waits.
 */
#include "exec/spilled.h"

#include "base/time.h"

#include <inttypes.h>

#define AHEAD   1024  /* units that may be through before the first of those under way is */
#define LOOK_US 20000 /* a worker that waits looks so often whether another has failed */

struct handout {
    struct sink sink;
    struct query *q;
    exec_sink *result;
    void *ctx;
    pthread_mutex_t lock; /* of what follows, and held while the receiver has a batch */
    pthread_cond_t moved;
    uint64_t turn;       /* all units before it are handed out */
    bool through[AHEAD]; /* by turn % AHEAD, from turn on: nothing more comes */
    uint64_t n_rows, n_bytes;
    struct mem *mems; /* per worker: what waits for its turn */
    struct rowbuf *rows;
};

enum err result_check(const struct query *q, uint64_t rows, uint64_t bytes, struct diag *d)
{
    const struct exec_limits *l = &q->limits;
    if (rows > l->rows_max) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_RESULT_SET_TOO_LARGE",
                        "the result has more than %" PRIu64 " rows", l->rows_max);
    }
    if (bytes > l->bytes_max) {
        return FAIL_TAG(d, ERR_LIMIT, "E_QUERY_RESULT_SET_TOO_LARGE",
                        "the result has more than %" PRIu64 " bytes", l->bytes_max);
    }
    return OK;
}

/* The rows that the limit still takes. */
static enum err give_first(const struct query *q, const struct batch *b, uint64_t before,
                           exec_sink *result, void *ctx, struct diag *d)
{
    struct batch first;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, 0);
    uint64_t n = before < q->limits.rows_max ? q->limits.rows_max - before : 0;
    if (n == 0 || n >= b->n_rows) return OK;
    TRY(batch_slice(&a, b, 0, (uint32_t)n, &first, d));
    return result(ctx, &first, d);
}

enum err result_give(const struct query *q, const struct batch *b, uint64_t *rows, uint64_t *bytes,
                     exec_sink *result, void *ctx, struct diag *d)
{
    uint64_t before = *rows;
    *rows += b->n_rows;
    *bytes += batch_bytes(b);
    if (*rows > q->limits.rows_max && *bytes <= q->limits.bytes_max)
        TRY(give_first(q, b, before, result, ctx, d));
    TRY(result_check(q, *rows, *bytes, d));
    return result(ctx, b, d);
}

static enum err give(struct handout *h, const struct batch *b, struct diag *d)
{
    return result_give(h->q, b, &h->n_rows, &h->n_bytes, h->result, h->ctx, d);
}

static enum err give_waiting(struct handout *h, struct worker *w)
{
    struct rowbuf *rows = &h->rows[w->slot];
    if (rows->n_rows == 0) return OK;
    for (const struct chunk *c = rows->first; c != NULL; c = c->next) {
        struct batch b;
        TRY(rowbuf_batch(rows, c, &h->mems[w->slot].a, &b, &w->d));
        TRY(give(h, &b, &w->d));
    }
    mem_clear(h->q, &h->mems[w->slot]);
    rowbuf_init(rows, h->q, &h->mems[w->slot], rows->schema, rows->needed, false);
    return OK;
}

static enum err wait_for_turn(struct handout *h, struct worker *w, uint64_t ahead)
{
    while (h->turn + ahead < w->turn) {
        TRY(query_check(h->q, &w->d));
        (void)cond_wait_until(&h->moved, &h->lock, time_mono_us() + LOOK_US);
    }
    return OK;
}

static enum err handout_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    struct handout *h = (struct handout *)s;
    struct rowbuf *rows = &h->rows[w->slot];
    LOCK_SCOPE(&h->lock);
    if (h->turn < w->turn && h->mems[w->slot].charged < spill_share(h->q)) {
        return rowbuf_append(rows, in, NULL, in->n_rows, w->unit_no, NULL, &w->d);
    }
    TRY(wait_for_turn(h, w, 0));
    TRY(give_waiting(h, w));
    return give(h, in, &w->d);
}

static enum err handout_unit_end(struct sink *s, struct worker *w)
{
    struct handout *h = (struct handout *)s;
    LOCK_SCOPE(&h->lock);
    TRY(wait_for_turn(h, w, h->rows[w->slot].n_rows != 0 ? 0 : AHEAD - 1));
    TRY(give_waiting(h, w));
    h->through[w->turn % AHEAD] = true;
    for (; h->through[h->turn % AHEAD]; h->turn++)
        h->through[h->turn % AHEAD] = false;
    pthread_cond_broadcast(&h->moved);
    return OK;
}

static void handout_close(struct sink *s)
{
    struct handout *h = (struct handout *)s;
    for (unsigned i = 0; i < h->q->n_workers; i++)
        mem_close(h->q, &h->mems[i]);
    pthread_cond_destroy(&h->moved);
    pthread_mutex_destroy(&h->lock);
}

enum err handout_sink(struct query *q, const struct op *op, const bool *needed, exec_sink *result,
                      void *ctx, struct sink **out, struct diag *d)
{
    struct handout *h = arena_new(&q->mem.a, struct handout);
    if (h == NULL) return query_full(q, d);
    *h = (struct handout){.q = q, .result = result, .ctx = ctx};
    h->mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    h->rows = arena_array(&q->mem.a, struct rowbuf, q->n_workers);
    if (h->mems == NULL || h->rows == NULL) return query_full(q, d);
    h->sink.stage.push = handout_push;
    h->sink.unit_end = handout_unit_end;
    h->sink.close = handout_close;
    pthread_mutex_init(&h->lock, NULL);
    cond_init(&h->moved);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &h->mems[i]);
        rowbuf_init(&h->rows[i], q, &h->mems[i], &op->schema, needed, false);
    }
    *out = &h->sink;
    return OK;
}
