/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/spill.c - batches out of memory and back
 *
 * A spilled batch is one block: for each column a u32 length and the vector as codec.h writes it. A
 * column without a type has no bytes.
 */
#include "exec/spilled.h"

#include "column/codec.h"

/* Level 0 gives up memory at a half of what the query may have, each further level at half of what
 * is left: rows that are read back must find room beside those that never left. */
bool mem_short(const struct query *q, unsigned level)
{
    size_t max = q->limits.memory_max, room = max >> (level + 1);
    return q->r->spill != NULL && query_memory(q) > max - room;
}

size_t spill_share(const struct query *q)
{
    return q->limits.memory_max / 16 / q->n_workers;
}

static enum err put_columns(const struct batch *b, struct buf *out, struct diag *d)
{
    for (uint32_t c = 0; c < b->n_cols; c++) {
        if (b->cols[c].type == T_NONE) continue;
        size_t at = out->len;
        buf_u32(out, 0);
        TRY(codec_encode(&b->cols[c], CODEC_FAST, out, d));
        if (out->bad) break;
        uint32_t len = (uint32_t)(out->len - at - sizeof len);
        memcpy(out->p + at, &len, sizeof len);
    }
    return buf_check(out, d);
}

enum err spill_out(struct query *q, const struct batch *b, uint32_t unit, struct spilled *out,
                   struct diag *d)
{
    CLEANUP_BUF struct buf block = {0};
    TRY(query_check(q, d));
    TRY(put_columns(b, &block, d));
    *out = (struct spilled){.len = block.len, .n_rows = b->n_rows, .unit = unit};
    return q->r->spill_ops->write(q->r->spill, buf_view(&block), &out->at, d);
}

enum err spill_in(struct query *q, const struct spilled *s, const struct schema *schema,
                  struct arena *a, struct batch *out, struct diag *d)
{
    struct bytes block;
    TRY(query_check(q, d));
    TRY(q->r->spill_ops->read(q->r->spill, s->at, s->len, a, &block, d));
    struct vec *cols = arena_array(a, struct vec, schema->n);
    if (cols == NULL) return query_full(q, d);
    struct rd r = rd_from(block);
    for (uint32_t c = 0; c < schema->n; c++) {
        enum type t = schema->cols[c].type;
        cols[c] = vec_absent(t, s->n_rows);
        if (t != T_NONE) TRY(codec_decode(rd_blob(&r), t, s->n_rows, a, &cols[c], d));
    }
    *out = (struct batch){.n_rows = s->n_rows, .n_cols = schema->n, .cols = cols};
    return OK;
}

/* --- lists of blocks -------------------------------------------------------------------------- */

enum err spill_list_add(struct query *q, struct spill_list *l, struct mem *m, const struct batch *b,
                        uint32_t unit, struct diag *d)
{
    if (l->n == l->cap) {
        uint32_t cap = l->cap != 0 ? l->cap * 2 : 8;
        struct spilled *p = arena_array(&m->a, struct spilled, cap);
        if (p == NULL) return query_full(q, d);
        if (l->n != 0) memcpy(p, l->p, l->n * sizeof *p);
        l->p = p;
        l->cap = cap;
        mem_settle(q, m);
    }
    TRY(spill_out(q, b, unit, &l->p[l->n], d));
    l->n_rows += b->n_rows;
    l->n++;
    return OK;
}

enum err spill_relation(struct query *q, const struct spill_list *lists, uint32_t n,
                        const struct schema *schema, struct mem *books, struct relation *out,
                        struct diag *d)
{
    struct relation r = {.schema = schema, .n_mems = n};
    for (uint32_t i = 0; i < n; i++) {
        r.n_rows += lists[i].n_rows;
        r.n_batches += lists[i].n;
    }
    mem_settle(q, &books[0]);
    struct spilled *all = arena_array(&books[0].a, struct spilled, r.n_batches);
    r.mems = arena_array(&q->mem.a, struct mem, n);
    r.batches = arena_array(&books[0].a, struct batch, r.n_batches);
    if (all == NULL || r.mems == NULL || r.batches == NULL) return query_full(q, d);
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < lists[i].n; k++, at++) {
            all[at] = lists[i].p[k];
            r.batches[at] = (struct batch){.n_rows = all[at].n_rows, .n_cols = schema->n};
        }
    }
    r.spilled = all;
    mem_settle(q, &books[0]);
    memcpy(r.mems, books, n * sizeof *books);
    memset(books, 0, n * sizeof *books);
    *out = r;
    return OK;
}

enum err relation_batch(struct query *q, const struct relation *r, uint32_t i, struct arena *a,
                        struct batch *out, struct diag *d)
{
    *out = r->batches[i];
    return r->spilled != NULL ? spill_in(q, &r->spilled[i], r->schema, a, out, d) : OK;
}
