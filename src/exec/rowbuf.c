/* SPDX-License-Identifier: Apache-2.0 */
/* exec/rowbuf.c - rows that a sink holds back */
#include "exec/rowbuf.h"

#include <stdlib.h>

/* A needle in each of ten thousand units must not cost ten thousand vectors. */
#define CHUNK_ROWS_MIN 4

void rowbuf_init(struct rowbuf *rb, struct query *q, struct mem *m, const struct schema *schema,
                 const bool *needed, bool keyed)
{
    *rb = (struct rowbuf){.q = q, .m = m, .schema = schema, .needed = needed, .keyed = keyed};
}

static struct chunk *chunk_new(struct rowbuf *rb, uint32_t cap, uint32_t unit)
{
    struct arena *a = &rb->m->a;
    uint32_t n_cols = rb->schema->n;
    struct chunk *c = arena_new(a, struct chunk);
    if (c == NULL) return NULL;
    *c = (struct chunk){.unit = unit, .no = rb->n_chunks, .cap = cap};
    c->data = arena_array(a, void *, n_cols);
    c->nulls = arena_array(a, uint64_t *, n_cols);
    if (c->data == NULL || c->nulls == NULL) return NULL;
    for (uint32_t i = 0; i < n_cols; i++) {
        if (!rb->needed[i]) continue;
        c->data[i] = arena_calloc(a, cap, type_width(rb->schema->cols[i].type));
        if (c->data[i] == NULL) return NULL;
    }
    if (rb->keyed) {
        c->keys = arena_array(a, struct bytes, cap);
        if (c->keys == NULL) return NULL;
    }
    if (rb->last != NULL)
        rb->last->next = c;
    else
        rb->first = c;
    rb->last = c;
    rb->n_chunks++;
    return c;
}

/* A chunk of the unit with room for a row. Small results must not cost large chunks. */
static struct chunk *chunk_for(struct rowbuf *rb, uint32_t n, uint32_t unit)
{
    struct chunk *c = rb->last;
    if (c != NULL && c->unit == unit && c->n < c->cap) return c;
    uint32_t cap = c != NULL && c->unit == unit ? c->cap * 8 : CHUNK_ROWS_MIN;
    if (cap < n) cap = n;
    return chunk_new(rb, cap < VEC_ROWS ? cap : VEC_ROWS, unit);
}

#define COPY_AS(type)                           \
    do {                                        \
        type *to = (type *)c->data[col] + c->n; \
        const type *from = vec_data(v);         \
        for (uint32_t i = 0; i < n; i++)        \
            to[i] = from[vec_at(v, rows[i])];   \
    } while (0)

static bool copy_strings(struct rowbuf *rb, struct chunk *c, uint32_t col, const struct vec *v,
                         const uint32_t *rows, uint32_t n)
{
    struct bytes *to = (struct bytes *)c->data[col] + c->n;
    size_t total = 0;
    uint32_t copies = v->shape == VEC_CONST && n != 0 ? 1 : n;
    for (uint32_t i = 0; i < copies; i++)
        total += vec_str(v, rows[i]).len;
    uint8_t *p = arena_alloc(&rb->m->a, total);
    if (p == NULL) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct bytes s = vec_str(v, rows[i]);
        if (i < copies) {
            if (s.len != 0) memcpy(p, s.p, s.len);
            to[i] = (struct bytes){p, s.len};
            p += s.len;
        } else {
            to[i] = to[0];
        }
    }
    return true;
}

static bool copy_nulls(struct rowbuf *rb, struct chunk *c, uint32_t col, const struct vec *v,
                       const uint32_t *rows, uint32_t n)
{
    if (v->nulls == NULL && (v->shape != VEC_DICT || v->dict->nulls == NULL)) return true;
    for (uint32_t i = 0; i < n; i++) {
        if (!vec_null(v, rows[i])) continue;
        if (c->nulls[col] == NULL) {
            c->nulls[col] = arena_array(&rb->m->a, uint64_t, BIT_WORDS(c->cap));
            if (c->nulls[col] == NULL) return false;
        }
        bit_set(c->nulls[col], c->n + i);
    }
    return true;
}

static bool copy_column(struct rowbuf *rb, struct chunk *c, uint32_t col, const struct vec *v,
                        const uint32_t *rows, uint32_t n)
{
    switch (v->type) {
    case T_STRING:
    case T_DYNAMIC:
        if (!copy_strings(rb, c, col, v, rows, n)) return false;
        break;
    case T_DECIMAL:
    case T_GUID: COPY_AS(struct u128); break;
    case T_BOOL: COPY_AS(uint8_t); break;
    default: COPY_AS(uint64_t); break;
    }
    return copy_nulls(rb, c, col, v, rows, n);
}

static bool copy_keys(struct rowbuf *rb, struct chunk *c, const struct bytes *keys,
                      const uint32_t *rows, uint32_t n)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += keys[rows[i]].len;
    uint8_t *p = arena_alloc(&rb->m->a, total);
    if (p == NULL) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct bytes k = keys[rows[i]];
        if (k.len != 0) memcpy(p, k.p, k.len);
        c->keys[c->n + i] = (struct bytes){p, k.len};
        p += k.len;
    }
    return true;
}

static uint32_t first_rows[VEC_ROWS]; /* 0, 1, 2 ... */

__attribute__((constructor)) static void fill_first_rows(void)
{
    for (uint32_t i = 0; i < VEC_ROWS; i++)
        first_rows[i] = i;
}

enum err rowbuf_append(struct rowbuf *rb, const struct batch *b, const uint32_t *rows, uint32_t n,
                       uint32_t unit, const struct bytes *keys, struct diag *d)
{
    if (rows == NULL) rows = first_rows; /* no batch is longer */
    while (n != 0) {
        struct chunk *c = chunk_for(rb, n, unit);
        if (c == NULL) return query_full(rb->q, d);
        uint32_t k = c->cap - c->n < n ? c->cap - c->n : n;
        for (uint32_t i = 0; i < rb->schema->n; i++) {
            if (rb->needed[i] && !copy_column(rb, c, i, &b->cols[i], rows, k)) {
                return query_full(rb->q, d);
            }
        }
        if (rb->keyed && !copy_keys(rb, c, keys, rows, k)) return query_full(rb->q, d);
        c->n += k;
        rb->n_rows += k;
        rows += k;
        n -= k;
    }
    mem_settle(rb->q, rb->m);
    return OK;
}

enum err rowbuf_batch(const struct rowbuf *rb, const struct chunk *c, struct arena *a,
                      struct batch *out, struct diag *d)
{
    uint32_t n_cols = rb->schema->n;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(rb->q, d);
    for (uint32_t i = 0; i < n_cols; i++) {
        enum type t = rb->schema->cols[i].type;
        cols[i] = vec_absent(t, c->n);
        if (!rb->needed[i]) continue;
        cols[i] = (struct vec){.type = t, .n = c->n, .data = c->data[i], .nulls = c->nulls[i]};
    }
    *out = (struct batch){.n_rows = c->n, .n_cols = n_cols, .cols = cols};
    return OK;
}

static int by_unit(const void *a, const void *b)
{
    const struct chunk *x = *(struct chunk *const *)a, *y = *(struct chunk *const *)b;
    if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
    return x->no < y->no ? -1 : x->no > y->no; /* a unit's chunks are all of one worker */
}

enum err rowbuf_in_order(struct query *q, const struct rowbuf *rbs, unsigned n, struct arena *a,
                         struct chunk ***out, uint32_t *n_chunks, struct diag *d)
{
    uint32_t count = 0, at = 0;
    for (unsigned i = 0; i < n; i++)
        count += rbs[i].n_chunks;
    struct chunk **list = arena_array(a, struct chunk *, count);
    if (list == NULL) return query_full(q, d);
    for (unsigned i = 0; i < n; i++) {
        for (struct chunk *c = rbs[i].first; c != NULL; c = c->next)
            list[at++] = c;
    }
    qsort(list, count, sizeof(struct chunk *), by_unit);
    *out = list;
    *n_chunks = count;
    return OK;
}

enum err rowbuf_relation(struct query *q, const struct rowbuf *rbs, unsigned n, uint64_t rows_max,
                         struct mem *mems, struct relation *out, struct diag *d)
{
    struct chunk **list;
    uint32_t n_chunks;
    struct relation r = {.n_mems = n, .mems = mems};
    TRY(rowbuf_in_order(q, rbs, n, &q->mem.a, &list, &n_chunks, d));
    r.batches = arena_array(&q->mem.a, struct batch, n_chunks);
    if (r.batches == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n_chunks && r.n_rows < rows_max; i++) {
        struct batch b;
        TRY(rowbuf_batch(&rbs[0], list[i], &q->mem.a, &b, d)); /* all have one schema */
        if (b.n_rows > rows_max - r.n_rows) {
            struct batch whole = b;
            TRY(batch_slice(&q->mem.a, &whole, 0, (uint32_t)(rows_max - r.n_rows), &b, d));
        }
        r.batches[r.n_batches++] = b;
        r.n_rows += b.n_rows;
    }
    *out = r;
    return OK;
}
