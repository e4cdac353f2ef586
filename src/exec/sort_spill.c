/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/sort_spill.c - sorted runs outside of memory, and their merge
 *
 * A block of a run has the columns of its rows and, as one more, their keys. A merge holds one block
 * of each run in memory; where that would be too much, some runs become one first.
 */
#include "exec/sort_spill.h"

#define MERGE_RUNS_MIN 2
#define MERGE_RUNS_MAX 256

static void runs_open(struct query *q, struct sorted_runs *s)
{
    if (!s->open) mem_open(q, &s->book);
    s->open = true;
}

void sorted_runs_close(struct query *q, struct sorted_runs *s)
{
    if (s->open) mem_close(q, &s->book);
    *s = (struct sorted_runs){0};
}

void sorted_runs_join(struct sorted_runs *all, const struct sorted_runs *more)
{
    if (more->n == 0) return;
    if (all->last != NULL)
        all->last->next = more->first;
    else
        all->first = more->first;
    all->last = more->last;
    all->n += more->n;
}

/* The rows' columns and, where keyed, their keys behind them. */
static enum err block_of(struct query *q, const struct rowbuf *rb, const struct row_ref *refs,
                         uint32_t n, bool keyed, struct arena *a, struct batch *out, struct diag *d)
{
    struct batch rows;
    TRY(refs_batch(rb, refs, n, a, &rows, d));
    *out = rows;
    if (!keyed) return OK;
    struct vec *cols = arena_array(a, struct vec, rows.n_cols + 1);
    struct bytes *keys = arena_array(a, struct bytes, n);
    if (cols == NULL || keys == NULL) return query_full(q, d);
    memcpy(cols, rows.cols, rows.n_cols * sizeof *cols);
    for (uint32_t i = 0; i < n; i++)
        keys[i] = refs[i].chunk->keys[refs[i].row];
    cols[rows.n_cols] = (struct vec){.type = T_STRING, .n = n, .data = keys};
    *out = (struct batch){.n_rows = n, .n_cols = rows.n_cols + 1, .cols = cols};
    return OK;
}

static enum err write_block(struct query *q, struct spill_list *l, struct mem *book,
                            const struct rowbuf *rb, const struct row_ref *refs, uint32_t n,
                            bool keyed, struct mem *tmp, struct diag *d)
{
    struct batch b;
    mem_clear(q, tmp);
    TRY(block_of(q, rb, refs, n, keyed, &tmp->a, &b, d));
    mem_settle(q, tmp);
    return spill_list_add(q, l, book, &b, 0, d);
}

static struct sorted_run *run_new(struct query *q, struct sorted_runs *s)
{
    runs_open(q, s);
    mem_settle(q, &s->book);
    struct sorted_run *r = arena_new(&s->book.a, struct sorted_run);
    if (r == NULL) return NULL;
    if (s->last != NULL)
        s->last->next = r;
    else
        s->first = r;
    s->last = r;
    s->n++;
    return r;
}

enum err sorted_runs_add(struct query *q, struct sorted_runs *s, const struct rowbuf *rb,
                         const struct row_ref *refs, uint64_t n, struct mem *tmp, struct diag *d)
{
    struct sorted_run *r = run_new(q, s);
    if (r == NULL) return query_full(q, d);
    for (uint64_t from = 0; from < n; from += VEC_ROWS) {
        uint32_t k = n - from < VEC_ROWS ? (uint32_t)(n - from) : VEC_ROWS;
        TRY(write_block(q, &r->blocks, &s->book, rb, refs + from, k, true, tmp, d));
    }
    return OK;
}

/* --- merging ---------------------------------------------------------------------------------- */

struct cursor { /* the block of a run that is being read */
    const struct sorted_run *run;
    uint32_t next_block;
    struct mem mem;
    struct rowbuf rows; /* that block */
    struct row_ref at;  /* the next row; chunk NULL: the run is at its end */
};

struct merge {
    struct query *q;
    const struct rowbuf *like; /* columns and which of them are needed */
    struct schema keyed;       /* the columns and the key */
    struct cursor *cursors;
    uint32_t n, *heap, n_heap; /* cursors by their next row, the first on top */
    struct row_ref out[VEC_ROWS];
    uint32_t n_out;
    struct mem tmp;
};

static bool comes_first(const struct merge *m, uint32_t a, uint32_t b)
{
    return ref_before(&m->cursors[a].at, &m->cursors[b].at);
}

static void sift_down(struct merge *m, uint32_t i)
{
    for (;;) {
        uint32_t low = i, left = 2 * i + 1;
        if (left < m->n_heap && comes_first(m, m->heap[left], m->heap[low])) low = left;
        if (left + 1 < m->n_heap && comes_first(m, m->heap[left + 1], m->heap[low])) low = left + 1;
        if (low == i) return;
        uint32_t swap = m->heap[i];
        m->heap[i] = m->heap[low];
        m->heap[low] = swap;
        i = low;
    }
}

static enum err load_block(struct merge *m, struct cursor *c, struct diag *d)
{
    struct batch b;
    c->at = (struct row_ref){0};
    mem_clear(m->q, &c->mem);
    if (c->next_block == c->run->blocks.n) return OK;
    mem_clear(m->q, &m->tmp);
    TRY(spill_in(m->q, &c->run->blocks.p[c->next_block++], &m->keyed, &m->tmp.a, &b, d));
    rowbuf_init(&c->rows, m->q, &c->mem, m->like->schema, m->like->needed, true);
    struct bytes *keys = arena_array(&m->tmp.a, struct bytes, b.n_rows);
    if (keys == NULL) return query_full(m->q, d);
    for (uint32_t i = 0; i < b.n_rows; i++)
        keys[i] = vec_str(&b.cols[b.n_cols - 1], i);
    b.n_cols--;
    TRY(rowbuf_append(&c->rows, &b, NULL, b.n_rows, 0, keys, d));
    c->at = ref_to(c->rows.first, 0);
    return OK;
}

static enum err merge_open(struct merge *m, struct query *q, struct arena *a,
                           const struct rowbuf *like, const struct sorted_run *runs, uint32_t n,
                           struct diag *d)
{
    uint32_t n_cols = like->schema->n;
    struct column *cols = arena_array(a, struct column, n_cols + 1);
    m->like = like;
    m->cursors = arena_array(a, struct cursor, n);
    m->heap = arena_array(a, uint32_t, n);
    if (cols == NULL || m->cursors == NULL || m->heap == NULL) return query_full(q, d);
    if (n_cols != 0) memcpy(cols, like->schema->cols, n_cols * sizeof *cols);
    cols[n_cols] = (struct column){"", T_STRING};
    m->keyed = (struct schema){n_cols + 1, cols};
    mem_open(q, &m->tmp);
    for (; m->n < n; runs = runs->next) {
        struct cursor *c = &m->cursors[m->n++];
        *c = (struct cursor){.run = runs};
        mem_open(q, &c->mem);
        TRY(load_block(m, c, d));
        if (c->at.chunk != NULL) m->heap[m->n_heap++] = m->n - 1;
    }
    for (uint32_t i = m->n_heap / 2 + 1; i-- > 0;)
        sift_down(m, i);
    return OK;
}

static void merge_close(struct merge *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        mem_close(m->q, &m->cursors[i].mem);
    mem_close(m->q, &m->tmp);
}

static enum err flush(struct merge *m, struct spill_list *to, struct mem *book, bool keyed,
                      struct diag *d)
{
    uint32_t n = m->n_out;
    m->n_out = 0;
    if (n == 0) return OK;
    return write_block(m->q, to, book, m->like, m->out, n, keyed, &m->tmp, d);
}

/* Moves the rows of all cursors in their order to the list. */
static enum err merge_rows(struct merge *m, uint64_t rows_max, struct spill_list *to,
                           struct mem *book, bool keyed, struct diag *d)
{
    while (m->n_heap != 0 && to->n_rows + m->n_out < rows_max) {
        struct cursor *c = &m->cursors[m->heap[0]];
        m->out[m->n_out++] = c->at;
        bool last = c->at.row + 1 == c->at.chunk->n;
        if (!last) c->at = ref_to(c->at.chunk, c->at.row + 1);
        if (last || m->n_out == VEC_ROWS) TRY(flush(m, to, book, keyed, d));
        if (last) TRY(load_block(m, c, d)); /* what was in its place is written */
        if (c->at.chunk == NULL) m->heap[0] = m->heap[--m->n_heap];
        sift_down(m, 0);
    }
    return flush(m, to, book, keyed, d);
}

static enum err merge_runs(struct query *q, const struct rowbuf *like,
                           const struct sorted_run *runs, uint32_t n, uint64_t rows_max,
                           struct spill_list *to, struct mem *book, bool keyed, struct diag *d)
{
    struct mem mem; /* of the merge itself */
    mem_open(q, &mem);
    struct merge *m = arena_new(&mem.a, struct merge);
    enum err e = m != NULL ? OK : query_full(q, d);
    if (m != NULL) m->q = q;
    if (e == OK) e = merge_open(m, q, &mem.a, like, runs, n, d);
    if (e == OK) e = merge_rows(m, rows_max, to, book, keyed, d);
    if (m != NULL) merge_close(m);
    mem_close(q, &mem);
    return e;
}

/* How many runs can be merged at once: each has a block in memory, in two forms while it is read. */
static uint32_t width_of(const struct query *q, const struct sorted_runs *s)
{
    size_t block = 1;
    for (const struct sorted_run *r = s->first; r != NULL; r = r->next) {
        for (uint32_t i = 0; i < r->blocks.n; i++)
            if (r->blocks.p[i].len > block) block = r->blocks.p[i].len;
    }
    size_t n = q->limits.memory_max / 4 / (block * 3);
    return n < MERGE_RUNS_MIN ? MERGE_RUNS_MIN : n > MERGE_RUNS_MAX ? MERGE_RUNS_MAX : (uint32_t)n;
}

/* Makes one run of the first k. */
static enum err merge_some(struct query *q, struct sorted_runs *all, uint32_t k,
                           const struct rowbuf *rb, uint64_t rows_max, struct diag *d)
{
    struct sorted_run *r = run_new(q, all);
    if (r == NULL) return query_full(q, d);
    TRY(merge_runs(q, rb, all->first, k, rows_max, &r->blocks, &all->book, true, d));
    for (uint32_t i = 0; i < k; i++)
        all->first = all->first->next;
    all->n -= k;
    return OK;
}

enum err sorted_runs_merge(struct query *q, struct sorted_runs *all, const struct rowbuf *rb,
                           uint64_t rows_max, struct relation *out, struct diag *d)
{
    struct spill_list rows = {0};
    struct mem book;
    uint32_t width = width_of(q, all);
    enum err e = OK;
    while (e == OK && all->n > width)
        e = merge_some(q, all, width, rb, rows_max, d);
    mem_open(q, &book);
    if (e == OK) e = merge_runs(q, rb, all->first, all->n, rows_max, &rows, &book, false, d);
    if (e == OK) e = spill_relation(q, &rows, 1, rb->schema, &book, out, d);
    mem_close(q, &book);
    sorted_runs_close(q, all);
    return e;
}
