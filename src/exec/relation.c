/* SPDX-License-Identifier: Apache-2.0 */
/* exec/relation.c - held-back rows: as the source of the pipeline above, and all at once */
#include "exec/run.h"

#define UNIT_BATCHES   16                  /* about as many rows as a unit of a table, in vectors */
#define WHOLE_ROWS_MAX ((uint64_t)1 << 31) /* rows of one vector */

struct replay {
    struct leg leg;
    const struct relation *rows;
    struct relation own; /* released when the leg is closed; empty where the rows are borrowed */
};

static enum err replay_run(struct leg *l, struct worker *w, uint32_t unit)
{
    const struct relation *r = ((struct replay *)l)->rows;
    uint32_t from = unit * UNIT_BATCHES, to = from + UNIT_BATCHES;
    if (to > r->n_batches) to = r->n_batches;
    for (uint32_t i = from; i < to && !w->unit_done; i++) {
        struct batch b;
        TRY(worker_next(w, (i - from) * VEC_ROWS));
        TRY(relation_batch(w->q, r, i, &w->scratch.a, &b, &w->d));
        TRY(stage_push(l->first, w, &b));
    }
    return OK;
}

static void replay_close(struct leg *l, struct query *q)
{
    relation_release(q, &((struct replay *)l)->own);
}

static struct replay *replay_new(struct pipeline *p, const struct stage *next, uint32_t n_batches)
{
    struct replay *s = arena_new(&p->q->mem.a, struct replay);
    if (s == NULL) return NULL;
    s->leg = (struct leg){.run = replay_run,
                          .close = replay_close,
                          .first = next,
                          .n_units = (n_batches + UNIT_BATCHES - 1) / UNIT_BATCHES};
    return s;
}

enum err relation_leg(struct pipeline *p, struct relation *r, const struct stage *next,
                      struct diag *d)
{
    struct replay *s = replay_new(p, next, r->n_batches);
    if (s == NULL) {
        relation_release(p->q, r);
        return query_full(p->q, d);
    }
    s->own = *r;
    s->rows = &s->own;
    *r = (struct relation){0};
    pipeline_add(p, &s->leg);
    return OK;
}

enum err borrowed_leg(struct pipeline *p, const struct relation *r, const struct stage *next,
                      struct diag *d)
{
    struct replay *s = replay_new(p, next, r->n_batches);
    if (s == NULL) return query_full(p->q, d);
    s->rows = r;
    pipeline_add(p, &s->leg);
    return OK;
}

/* --- all rows at once ------------------------------------------------------------------------ */

static bool copy_texts(struct bytes *s, uint32_t n, struct arena *a)
{
    size_t total = 0;
    for (uint32_t i = 0; i < n; i++)
        total += s[i].len;
    uint8_t *p = arena_alloc(a, total);
    if (p == NULL) return false;
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].len != 0) memcpy(p, s[i].p, s[i].len);
        s[i].p = p;
        p += s[i].len;
    }
    return true;
}

static void put_part(const struct vec *part, size_t width, uint32_t at, uint8_t *data,
                     uint64_t *nulls)
{
    const uint8_t *from = vec_data(part);
    if (part->shape == VEC_FLAT) {
        memcpy(data + at * width, from, part->n * width);
    } else {
        for (uint32_t i = 0; i < part->n; i++)
            memcpy(data + (at + i) * width, from + vec_at(part, i) * width, width);
    }
    for (uint32_t i = 0; i < part->n; i++) {
        if (vec_null(part, i)) bit_set(nulls, at + i);
    }
}

static bool whole_column(const struct relation *r, uint32_t col, enum type t, bool copy_strings,
                         struct arena *a, struct vec *out)
{
    uint32_t n = (uint32_t)r->n_rows, at = 0;
    size_t width = type_width(t);
    uint8_t *data = arena_calloc(a, n, width);
    uint64_t *nulls = arena_array(a, uint64_t, BIT_WORDS(n));
    if (data == NULL || nulls == NULL) return false;
    for (uint32_t b = 0; b < r->n_batches; b++) {
        put_part(&r->batches[b].cols[col], width, at, data, nulls);
        at += r->batches[b].n_rows;
    }
    bool texts = t == T_STRING || t == T_DYNAMIC;
    if (copy_strings && texts && !copy_texts((struct bytes *)data, n, a)) return false;
    *out = (struct vec){.type = t, .n = n, .data = data, .nulls = nulls};
    return true;
}

/* All batches in memory. */
static enum err read_back(struct query *q, const struct relation *r, struct mem *m,
                          struct relation *out, struct diag *d)
{
    *out = (struct relation){.n_rows = r->n_rows, .n_batches = r->n_batches};
    out->batches = arena_array(&m->a, struct batch, r->n_batches);
    if (out->batches == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < r->n_batches; i++) {
        TRY(relation_batch(q, r, i, &m->a, &out->batches[i], d));
        mem_settle(q, m);
    }
    return OK;
}

enum err relation_whole(struct query *q, const struct relation *r, const struct schema *schema,
                        const bool *needed, bool copy_strings, struct mem *m, struct batch *out,
                        struct diag *d)
{
    if (r->n_rows >= WHOLE_ROWS_MAX) {
        return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "more than 2^31 rows at once");
    }
    mem_settle(q, m);
    struct relation back;
    if (r->spilled != NULL) {
        TRY(read_back(q, r, m, &back, d));
        r = &back;
    }
    struct vec *cols = arena_array(&m->a, struct vec, schema->n);
    if (cols == NULL) return query_full(q, d);
    for (uint32_t c = 0; c < schema->n; c++) {
        cols[c] = vec_absent(schema->cols[c].type, (uint32_t)r->n_rows);
        if (!needed[c]) continue;
        if (!whole_column(r, c, schema->cols[c].type, copy_strings, &m->a, &cols[c])) {
            return query_full(q, d);
        }
        mem_settle(q, m);
    }
    *out = (struct batch){.n_rows = (uint32_t)r->n_rows, .n_cols = schema->n, .cols = cols};
    return OK;
}

enum err relation_cut(struct query *q, const struct batch *all, struct mem *m, struct relation *out,
                      struct diag *d)
{
    out->n_rows = all->n_rows;
    out->n_batches = 0;
    out->batches = arena_array(&m->a, struct batch, all->n_rows / VEC_ROWS + 1);
    if (out->batches == NULL) return query_full(q, d);
    for (uint32_t from = 0; from < all->n_rows; from += VEC_ROWS) {
        uint32_t n = all->n_rows - from < VEC_ROWS ? all->n_rows - from : VEC_ROWS;
        TRY(batch_slice(&m->a, all, from, n, &out->batches[out->n_batches++], d));
    }
    mem_settle(q, m);
    return OK;
}
