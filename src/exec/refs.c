/* SPDX-License-Identifier: Apache-2.0 */
/* exec/refs.c - sorting references to rows by their normalised keys */
#include "exec/rowbuf.h"

static uint64_t prefix_of(struct bytes key)
{
    uint8_t b[8] = {0};
    memcpy(b, key.p, key.len < 8 ? key.len : 8);
    uint64_t v;
    memcpy(&v, b, 8);
    return __builtin_bswap64(v);
}

struct row_ref ref_to(struct chunk *c, uint32_t row)
{
    return (struct row_ref){.prefix = prefix_of(c->keys[row]), .chunk = c, .row = row};
}

void rowbuf_refs(const struct rowbuf *rb, struct row_ref *out)
{
    for (struct chunk *c = rb->first; c != NULL; c = c->next) {
        for (uint32_t i = 0; i < c->n; i++) {
            *out++ = ref_to(c, i);
        }
    }
}

static inline bool before(const struct row_ref *a, const struct row_ref *b)
{
    if (a->prefix != b->prefix) return a->prefix < b->prefix;
    return bytes_cmp(a->chunk->keys[a->row], b->chunk->keys[b->row]) < 0;
}

bool ref_before(const struct row_ref *a, const struct row_ref *b)
{
    return before(a, b);
}

static void insertion_sort(struct row_ref *r, uint64_t n)
{
    for (uint64_t i = 1; i < n; i++) {
        struct row_ref x = r[i];
        uint64_t k = i;
        for (; k > 0 && before(&x, &r[k - 1]); k--)
            r[k] = r[k - 1];
        r[k] = x;
    }
}

void refs_merge(const struct row_ref *a, uint64_t n_a, const struct row_ref *b, uint64_t n_b,
                struct row_ref *out)
{
    while (n_a != 0 && n_b != 0) {
        if (before(b, a)) {
            *out++ = *b++;
            n_b--;
        } else {
            *out++ = *a++;
            n_a--;
        }
    }
    if (n_a != 0) memcpy(out, a, n_a * sizeof *a);
    if (n_b != 0) memcpy(out, b, n_b * sizeof *b);
}

void refs_sort(struct row_ref *refs, struct row_ref *tmp, uint64_t n)
{
    enum { RUN = 16 };
    for (uint64_t i = 0; i < n; i += RUN)
        insertion_sort(refs + i, n - i < RUN ? n - i : RUN);
    struct row_ref *from = refs, *to = tmp;
    for (uint64_t width = RUN; width < n; width *= 2) {
        for (uint64_t i = 0; i < n; i += 2 * width) {
            uint64_t n_a = n - i < width ? n - i : width;
            uint64_t n_b = n - i - n_a < width ? n - i - n_a : width;
            refs_merge(from + i, n_a, from + i + n_a, n_b, to + i);
        }
        struct row_ref *swap = from;
        from = to;
        to = swap;
    }
    if (from != refs && n != 0) memcpy(refs, from, n * sizeof *refs);
}

#define GATHER_AS(type)                                                    \
    do {                                                                   \
        type *to = data;                                                   \
        for (uint32_t i = 0; i < n; i++) {                                 \
            if (refs[i].chunk == NULL) continue;                           \
            to[i] = ((const type *)refs[i].chunk->data[col])[refs[i].row]; \
        }                                                                  \
    } while (0)

bool refs_gather(enum type t, uint32_t col, const struct row_ref *refs, uint32_t n, struct arena *a,
                 struct vec *out)
{
    void *data = arena_calloc(a, n, type_width(t));
    uint64_t *nulls = NULL;
    if (data == NULL) return false;
    switch (t) {
    case T_STRING:
    case T_DYNAMIC: GATHER_AS(struct bytes); break;
    case T_DECIMAL:
    case T_GUID: GATHER_AS(struct u128); break;
    case T_BOOL: GATHER_AS(uint8_t); break;
    default: GATHER_AS(uint64_t); break;
    }
    for (uint32_t i = 0; i < n; i++) {
        const struct chunk *c = refs[i].chunk;
        if (c != NULL ? !bit_get(c->nulls[col], refs[i].row) : t == T_STRING) continue;
        if (nulls == NULL) nulls = arena_array(a, uint64_t, BIT_WORDS(n));
        if (nulls == NULL) return false;
        bit_set(nulls, i);
    }
    *out = (struct vec){.type = t, .n = n, .data = data, .nulls = nulls};
    return true;
}

enum err refs_batch(const struct rowbuf *rb, const struct row_ref *refs, uint32_t n,
                    struct arena *a, struct batch *out, struct diag *d)
{
    uint32_t n_cols = rb->schema->n;
    struct vec *cols = arena_array(a, struct vec, n_cols);
    if (cols == NULL) return query_full(rb->q, d);
    for (uint32_t c = 0; c < n_cols; c++) {
        enum type t = rb->schema->cols[c].type;
        cols[c] = vec_absent(t, n);
        if (rb->needed[c] && !refs_gather(t, c, refs, n, a, &cols[c])) return query_full(rb->q, d);
    }
    *out = (struct batch){.n_rows = n, .n_cols = n_cols, .cols = cols};
    return OK;
}

enum err refs_copy(struct rowbuf *to, const struct row_ref *refs, uint64_t n, struct diag *d)
{
    CLEANUP_LOCAL(arena_release) struct arena tmp; /* no more than a vector's worth */
    arena_init(&tmp, 0);
    struct bytes keys[VEC_ROWS];
    for (uint64_t from = 0; from < n; from += VEC_ROWS) {
        uint32_t k = n - from < VEC_ROWS ? (uint32_t)(n - from) : VEC_ROWS;
        struct batch b;
        TRY(refs_batch(to, refs + from, k, &tmp, &b, d));
        for (uint32_t i = 0; i < k; i++) {
            keys[i] = refs[from + i].chunk->keys[refs[from + i].row];
        }
        TRY(rowbuf_append(to, &b, NULL, k, 0, keys, d));
        arena_clear(&tmp);
    }
    return OK;
}

enum err refs_relation(const struct rowbuf *rb, const struct row_ref *refs, uint64_t n,
                       struct arena *a, struct relation *out, struct diag *d)
{
    out->n_rows = n;
    out->batches = arena_array(a, struct batch, (n + VEC_ROWS - 1) / VEC_ROWS);
    if (out->batches == NULL) return query_full(rb->q, d);
    for (uint64_t from = 0; from < n; from += VEC_ROWS) {
        uint32_t k = n - from < VEC_ROWS ? (uint32_t)(n - from) : VEC_ROWS;
        TRY(refs_batch(rb, refs + from, k, a, &out->batches[out->n_batches], d));
        out->n_batches++;
    }
    return OK;
}
