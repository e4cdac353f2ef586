/* SPDX-License-Identifier: Apache-2.0 */
/* storage/memtable.c - copying batches into pieces, and reading them back column by column */
#include "storage/memtable.h"

#include "base/time.h"
#include "crypto/secret.h"
#include "storage/rows.h"

#include <assert.h>
#include <stdlib.h>

static bool is_text(enum type t)
{
    return t == T_STRING || t == T_DYNAMIC;
}

static uint32_t data_count(const struct vec *v)
{
    return v->shape == VEC_DICT ? v->dict->n : v->shape == VEC_CONST ? 1 : v->n;
}

static size_t aligned(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

static size_t nulls_size(const struct vec *v)
{
    uint32_t n = v->shape == VEC_CONST ? 1 : v->n;
    return v->nulls != NULL ? aligned(BIT_WORDS(n) * sizeof(uint64_t)) : 0;
}

static size_t data_size(const struct vec *v)
{
    uint32_t n = data_count(v);
    size_t size = aligned(n * type_width(v->type));
    const struct bytes *s = vec_data(v);
    for (uint32_t i = 0; is_text(v->type) && i < n; i++)
        size += s[i].len;
    return aligned(size);
}

static size_t column_size(const struct vec *v)
{
    size_t size = nulls_size(v) + data_size(v);
    if (v->shape != VEC_DICT) return size;
    return size + nulls_size(v->dict) + aligned(v->n * sizeof(uint32_t)) +
           aligned(sizeof(struct vec));
}

static size_t batch_size(const struct batch *b)
{
    size_t size = aligned(b->n_cols * sizeof(struct vec));
    for (uint32_t i = 0; i < b->n_cols; i++)
        size += column_size(&b->cols[i]);
    return size;
}

/* Hands out the piece's memory front to back: batch_size() has counted it all. */
struct filler {
    uint8_t *p;
};

static void *fill(struct filler *f, const void *from, size_t n)
{
    void *at = f->p;
    if (n != 0) memcpy(at, from, n);
    f->p += aligned(n);
    return at;
}

static const void *fill_data(struct filler *f, const struct vec *v)
{
    uint32_t n = data_count(v);
    void *data = fill(f, vec_data(v), n * type_width(v->type));
    if (!is_text(v->type)) return data;
    struct bytes *s = data;
    uint8_t *text = f->p;
    for (uint32_t i = 0; i < n; i++) {
        if (s[i].len != 0) memcpy(text, s[i].p, s[i].len);
        s[i].p = text;
        text += s[i].len;
    }
    f->p += aligned((size_t)(text - f->p));
    return data;
}

static const uint64_t *fill_nulls(struct filler *f, const struct vec *v)
{
    if (v->nulls == NULL) return NULL;
    uint32_t n = v->shape == VEC_CONST ? 1 : v->n;
    return fill(f, v->nulls, BIT_WORDS(n) * sizeof(uint64_t));
}

static void fill_column(struct filler *f, const struct vec *v, struct vec *out)
{
    struct vec x = *v;
    x.packed = 0;
    x.nulls = fill_nulls(f, v);
    if (v->shape == VEC_DICT) {
        struct vec *dict = fill(f, v->dict, sizeof *dict);
        dict->nulls = fill_nulls(f, v->dict);
        dict->data = fill_data(f, v);
        x.dict = dict;
        x.codes = fill(f, v->codes, v->n * sizeof *v->codes);
    } else {
        x.data = fill_data(f, v);
    }
    *out = x;
}

static void time_range(struct piece *p, int time_col, int64_t now)
{
    p->time_min = p->time_max = now;
    if (time_col < 0 || (uint32_t)time_col >= p->rows.n_cols) return;
    const struct vec *v = &p->rows.cols[time_col];
    if (v->type != T_DATETIME) return;
    for (uint32_t i = 0; i < v->n; i++) {
        int64_t t = vec_null(v, i) ? now : vec_i64(v, i);
        if (i == 0 || t < p->time_min) p->time_min = t;
        if (i == 0 || t > p->time_max) p->time_max = t;
    }
}

enum err piece_new(struct piece **out, const struct batch *b, int time_col, int64_t now_ticks,
                   struct diag *d)
{
    size_t size = batch_size(b);
    struct piece *p = malloc(sizeof *p + size);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory for %zu bytes of rows", size);
    *p = (struct piece){.refs = 1, .size = size, .rows = *b};
    struct filler f = {p->memory};
    p->rows.cols = fill(&f, b->cols, b->n_cols * sizeof *b->cols);
    for (uint32_t i = 0; i < b->n_cols; i++)
        fill_column(&f, &b->cols[i], &p->rows.cols[i]);
    assert((size_t)(f.p - p->memory) <= size);
    time_range(p, time_col, now_ticks);
    *out = p;
    return OK;
}

void piece_ref(struct piece *p)
{
    p->refs++;
}

void piece_wipe(struct piece *p)
{
    wipe(p->memory, p->size);
    p->rows = (struct batch){0};
}

void piece_unref(struct piece *p)
{
    if (p == NULL || --p->refs != 0) return;
    piece_wipe(p);
    free(p);
}

/* --- memtable --------------------------------------------------------------------------------- */

struct memtable *memtable_new(void)
{
    return calloc(1, sizeof(struct memtable));
}

static void drop_pieces(struct memtable *m, bool wiped)
{
    while (m->newest != NULL) {
        struct piece *p = m->newest;
        m->newest = p->next;
        if (wiped) piece_wipe(p);
        piece_unref(p);
    }
}

void memtable_free(struct memtable *m)
{
    if (m == NULL) return;
    drop_pieces(m, false);
    free(m);
}

void memtable_wipe(struct memtable *m)
{
    drop_pieces(m, true);
    *m = (struct memtable){.next = m->next};
}

/* The two newest as one, if memory allows; a scan that holds the old ones keeps them alive. */
static void merge_newest(struct memtable *m)
{
    struct piece *b = m->newest, *a = b->next, *both = NULL;
    struct piece *pair[] = {a, b};
    CLEANUP_ARENA struct arena arena;
    arena_init(&arena, 0);
    struct batch rows = {a->rows.n_rows + b->rows.n_rows, b->rows.n_cols, NULL};
    rows.cols = arena_array(&arena, struct vec, rows.n_cols);
    if (rows.cols == NULL || a->rows.n_cols > b->rows.n_cols) return;
    for (uint32_t i = 0; i < rows.n_cols; i++) {
        enum type t = b->rows.cols[i].type;
        if (pieces_column(pair, 2, i, t, &arena, &rows.cols[i], NULL) != OK) return;
    }
    if (piece_new(&both, &rows, -1, 0, NULL) != OK) return;
    both->time_min = a->time_min < b->time_min ? a->time_min : b->time_min;
    both->time_max = a->time_max > b->time_max ? a->time_max : b->time_max;
    both->next = a->next;
    m->newest = both;
    m->n_pieces--;
    m->bytes += both->size - a->size - b->size;
    piece_unref(a);
    piece_unref(b);
}

void memtable_add(struct memtable *m, struct piece *p, uint64_t number)
{
    if (m->newest == NULL) {
        m->born_us = time_now_us();
        m->time_min = p->time_min;
        m->time_max = p->time_max;
    }
    if (p->time_min < m->time_min) m->time_min = p->time_min;
    if (p->time_max > m->time_max) m->time_max = p->time_max;
    m->rows += p->rows.n_rows;
    m->bytes += p->size;
    m->last = number;
    p->next = m->newest;
    m->newest = p;
    m->n_pieces++;
    /* Like a binary counter: each row is copied a few times at most, and ten thousand appends of
     * one row do not make ten thousand units of a scan. */
    while (m->newest->next != NULL && m->newest->next->rows.n_rows <= PIECE_MERGE_ROWS &&
           m->newest->next->rows.n_rows <= m->newest->rows.n_rows) {
        uint32_t before = m->n_pieces;
        merge_newest(m);
        if (m->n_pieces == before) break;
    }
}

enum err memtable_pieces(const struct memtable *m, struct piece ***out, struct diag *d)
{
    struct piece **all = calloc(m->n_pieces != 0 ? m->n_pieces : 1, sizeof(struct piece *));
    if (all == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    uint32_t i = m->n_pieces;
    for (struct piece *p = m->newest; p != NULL; p = p->next) {
        piece_ref(p);
        all[--i] = p;
    }
    *out = all;
    return OK;
}

/* The rows of v, wide as its type is; strings still point to where they were. */
static void copy_rows(const struct vec *v, uint8_t *to)
{
    size_t width = type_width(v->type);
    const uint8_t *data = vec_data(v);
    if (v->shape == VEC_FLAT) {
        if (v->n != 0) memcpy(to, data, v->n * width);
        return;
    }
    for (uint32_t i = 0; i < v->n; i++)
        memcpy(to + i * width, data + vec_at(v, i) * width, width);
}

static enum err copy_nulls(const struct vec *v, struct vec *out, uint32_t at, struct arena *a,
                           struct diag *d)
{
    if (v->nulls == NULL && (v->shape != VEC_DICT || v->dict->nulls == NULL)) return OK;
    if (out->nulls == NULL) out->nulls = arena_array(a, uint64_t, BIT_WORDS(out->n));
    if (out->nulls == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < v->n; i++) {
        if (vec_null(v, i)) bit_set((uint64_t *)out->nulls, at + i);
    }
    return OK;
}

/* (2) One allocation for all strings of the vector. */
static enum err own_strings(struct vec *v, struct arena *a, struct diag *d)
{
    struct bytes *s = (struct bytes *)v->data;
    size_t total = 0;
    for (uint32_t i = 0; i < v->n; i++)
        total += s[i].len;
    uint8_t *to = arena_alloc(a, total);
    if (to == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < v->n; i++) {
        if (s[i].len != 0) memcpy(to, s[i].p, s[i].len);
        s[i].p = to;
        to += s[i].len;
    }
    return OK;
}

enum err pieces_column(struct piece *const *pieces, uint32_t n, uint32_t column, enum type t,
                       struct arena *a, struct vec *out, struct diag *d)
{
    struct vec all = {.type = t, .shape = VEC_FLAT};
    for (uint32_t i = 0; i < n; i++)
        all.n += pieces[i]->rows.n_rows;
    uint8_t *data = arena_calloc(a, all.n, type_width(t));
    if (data == NULL) return arena_full(a, d);
    all.data = data;
    uint32_t at = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct batch *from = &pieces[i]->rows;
        struct vec absent;
        const struct vec *v = column < from->n_cols ? &from->cols[column] : &absent;
        if (v == &absent) TRY(rows_absent(t, from->n_rows, a, &absent, d));
        copy_rows(v, data + at * type_width(t));
        TRY(copy_nulls(v, &all, at, a, d));
        at += from->n_rows;
    }
    if (is_text(t)) TRY(own_strings(&all, a, d));
    *out = all;
    return OK;
}
