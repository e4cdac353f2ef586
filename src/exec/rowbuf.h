/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/rowbuf.h - rows that a sink holds back: copied out of the vector's memory, in typed chunks
 *
 * A chunk never spans two units, so that the chunks of several workers can be put into the order of
 * units again. Where rows are to be sorted each carries its normalised key (key.h).
 */
#pragma once

#include "exec/run.h"

struct chunk {
    struct chunk *next;
    uint32_t unit, no; /* of the pipeline; of the worker: together the order of rows */
    uint32_t n, cap;
    void **data;        /* per column; NULL where nobody reads it */
    uint64_t **nulls;   /* per column; NULL until the first null */
    struct bytes *keys; /* per row, or NULL */
};

struct rowbuf {
    struct query *q;
    struct mem *m; /* the caller's */
    const struct schema *schema;
    const bool *needed;
    bool keyed;
    struct chunk *first, *last;
    uint32_t n_chunks;
    uint64_t n_rows;
};

void rowbuf_init(struct rowbuf *rb, struct query *q, struct mem *m, const struct schema *schema,
                 const bool *needed, bool keyed);

/* Copies rows of b (rows NULL: the first n) with keys[row] (NULL unless keyed). */
enum err rowbuf_append(struct rowbuf *rb, const struct batch *b, const uint32_t *rows, uint32_t n,
                       uint32_t unit, const struct bytes *keys, struct diag *d);

/* The chunk as a batch; its arrays live in a. */
enum err rowbuf_batch(const struct rowbuf *rb, const struct chunk *c, struct arena *a,
                      struct batch *out, struct diag *d);

/* The chunks of n buffers by units, in arena a. */
enum err rowbuf_in_order(struct query *q, const struct rowbuf *rbs, unsigned n, struct arena *a,
                         struct chunk ***out, uint32_t *n_chunks, struct diag *d);

/* All rows of n buffers by units, no more than rows_max; mems go to the relation. */
enum err rowbuf_relation(struct query *q, const struct rowbuf *rbs, unsigned n, uint64_t rows_max,
                         struct mem *mems, struct relation *out, struct diag *d);

/* --- sorting ---------------------------------------------------------------------------------- */

struct row_ref {
    uint64_t prefix; /* the first 8 bytes of the key: most comparisons end here */
    struct chunk *chunk;
    uint32_t row;
};

struct row_ref ref_to(struct chunk *c, uint32_t row);
bool ref_before(const struct row_ref *a, const struct row_ref *b);
/* A reference per row of rb. */
void rowbuf_refs(const struct rowbuf *rb, struct row_ref *out);
/* By key; no two keys are equal, because they end in the row's place of arrival. tmp has n places
 * too. */
void refs_sort(struct row_ref *refs, struct row_ref *tmp, uint64_t n);
/* a and b are sorted; out gets both. */
void refs_merge(const struct row_ref *a, uint64_t n_a, const struct row_ref *b, uint64_t n_b,
                struct row_ref *out);
/* One column of the rows, flat; a reference without a chunk is a null (""). False: the arena is
 * full. */
bool refs_gather(enum type t, uint32_t col, const struct row_ref *refs, uint32_t n, struct arena *a,
                 struct vec *out);
/* The rows in the order of refs as one batch in arena a; strings stay where they are. */
enum err refs_batch(const struct rowbuf *rb, const struct row_ref *refs, uint32_t n,
                    struct arena *a, struct batch *out, struct diag *d);
/* Copies the rows with their keys, in the order of refs, as rows of one unit. */
enum err refs_copy(struct rowbuf *to, const struct row_ref *refs, uint64_t n, struct diag *d);
/* The same for any number of rows. */
enum err refs_relation(const struct rowbuf *rb, const struct row_ref *refs, uint64_t n,
                       struct arena *a, struct relation *out, struct diag *d);
