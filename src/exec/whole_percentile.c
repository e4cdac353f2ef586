/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_percentile.c - rolling_percentile: of all values in the last so many bins
 *
 * Columns: value, index, dimensions; constants: percentile, bin, bins. A bin's window is the bin
 * and those before it that have values, by number of bins. The percentile is the nearest rank.
 */
#include "exec/key.h"
#include "exec/whole.h"
#include "func/kernel.h"

#include <math.h>
#include <stdlib.h>

struct sample {
    struct bytes group;
    int64_t bin;
    uint32_t row;
    struct value value;
};

static int by_group_and_bin(const void *x, const void *y)
{
    const struct sample *a = x, *b = y;
    int c = bytes_cmp(a->group, b->group);
    if (c != 0) return c;
    if (a->bin != b->bin) return a->bin < b->bin ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int by_value(const void *x, const void *y)
{
    return value_cmp(&((const struct sample *)x)->value, &((const struct sample *)y)->value);
}

static enum err put_window(struct whole *w, const struct sample *from, const struct sample *to,
                           const struct sample *last, struct sample *room)
{
    uint32_t n = (uint32_t)(to - from), n_dims = w->op->input->schema.n - 2;
    double rank = ceil(w->consts[0].r / 100 * n);
    uint32_t at = rank < 1 ? 0 : rank > n ? n - 1 : (uint32_t)rank - 1;
    memcpy(room, from, n * sizeof *room);
    qsort(room, n, sizeof *room, by_value);
    struct vecb *out = &w->out[w->op->schema.n - 1];
    vecb_i64(&w->out[0], last->bin * w->consts[1].i);
    for (uint32_t i = 0; i < n_dims; i++)
        whole_copy(w, 1 + i, &w->cols[2 + i], last->row);
    if (room[at].value.type == T_REAL)
        vecb_r64(out, room[at].value.r);
    else
        vecb_i64(out, room[at].value.i);
    return whole_check(w);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

static enum err read_samples(struct whole *w, struct sample **out, uint32_t *n)
{
    struct bytes *keys = arena_array(&w->m->a, struct bytes, w->n);
    *out = arena_array(&w->m->a, struct sample, w->n);
    *n = 0;
    if (keys == NULL || *out == NULL) return query_full(w->q, w->d);
    TRY(group_keys(&w->m->a, w->cols + 2, w->op->input->schema.n - 2, w->n, keys, w->d));
    for (uint32_t i = 0; i < w->n; i++) {
        if (vec_null(&w->cols[0], i) || vec_null(&w->cols[1], i)) continue;
        (*out)[(*n)++] = (struct sample){.group = keys[i],
                                         .bin = floor_div(vec_i64(&w->cols[1], i), w->consts[1].i),
                                         .row = i,
                                         .value = vec_value(&w->cols[0], i)};
    }
    if (*n > 1) qsort(*out, *n, sizeof **out, by_group_and_bin);
    return OK;
}

enum err whole_rolling_percentile(struct whole *w)
{
    const struct value *c = w->consts;
    struct sample *s, *room;
    uint32_t n;
    if (c[0].is_null || c[1].is_null || c[2].is_null || c[1].i <= 0 || c[2].i <= 0) {
        return FAIL(w->d, ERR_INVALID,
                    "rolling_percentile: the bin and the number of bins must be more than 0");
    }
    TRY(read_samples(w, &s, &n));
    room = arena_array(&w->m->a, struct sample, n);
    if (room == NULL) return query_full(w->q, w->d);
    for (uint32_t i = 0, k; i < n; i = k) {
        uint32_t from = i;
        for (k = i; k < n && s[k].bin == s[i].bin && bytes_eq(s[k].group, s[i].group);)
            k++;
        while (from > 0 && bytes_eq(s[from - 1].group, s[i].group) &&
               s[from - 1].bin > s[i].bin - c[2].i)
            from--;
        TRY(put_window(w, &s[from], &s[k], &s[i], room));
    }
    return OK;
}
