/* SPDX-License-Identifier: Apache-2.0 */
/* exec/timeline.c - events of ids on a time line, in bins */
#include "exec/timeline.h"

#include <stdlib.h>

#define BINS_MAX 1000000

int64_t time_between(int64_t from, int64_t to)
{
    int64_t span;
    if (!__builtin_sub_overflow(to, from, &span)) return span;
    return to > from ? INT64_MAX : INT64_MIN;
}

int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err read_numbers(struct line *l, uint32_t **ids, uint32_t **groups)
{
    struct whole *w = l->w;
    const struct timeline *t = w->op->whole.more;
    struct numbering ids_seen = whole_numbering(w), groups_seen = whole_numbering(w);
    *ids = arena_array(&w->m->a, uint32_t, w->n + 1);
    *groups = arena_array(&w->m->a, uint32_t, w->n + 1);
    if (*ids == NULL || *groups == NULL) return query_full(w->q, w->d);
    TRY(number_rows(&ids_seen, w->cols, 1, w->n, *ids, w->d));
    TRY(number_rows(&groups_seen, w->cols + 2, t->n_dims, w->n, *groups, w->d));
    l->n_ids = ids_seen.n;
    l->n_groups = groups_seen.n;
    return OK;
}

enum err line_events(struct line *l)
{
    struct whole *w = l->w;
    uint32_t *ids, *groups;
    TRY(read_numbers(l, &ids, &groups));
    l->events = arena_array(&w->m->a, struct event, w->n);
    l->first_rows = arena_array(&w->m->a, uint32_t, l->n_groups + 1);
    l->marks = arena_array(&w->m->a, uint32_t, l->n_ids + 1);
    if (l->events == NULL || l->first_rows == NULL || l->marks == NULL)
        return query_full(w->q, w->d);
    for (uint32_t i = w->n; i-- > 0;)
        l->first_rows[groups[i]] = i;
    for (uint32_t i = 0; i < w->n; i++) {
        if (vec_null(&w->cols[1], i)) continue;
        l->events[l->n++] = (struct event){
            .time = vec_i64(&w->cols[1], i), .group = groups[i], .id = ids[i], .row = i};
    }
    return whole_check(w);
}

enum err line_read(struct line *l, uint32_t step)
{
    struct whole *w = l->w;
    const struct value *c = w->consts;
    if (c[0].is_null || c[1].is_null || c[step].is_null) return line_bad(l);
    l->start = c[0].i;
    l->end = c[1].i;
    l->step = c[step].i;
    if (l->step <= 0 || l->end < l->start) return line_bad(l);
    int64_t span;
    if (__builtin_sub_overflow(l->end, l->start, &span)) return line_bad(l);
    l->n_bins = span / l->step + 1;
    if (l->n_bins > BINS_MAX) {
        return FAIL_TAG(w->d, ERR_LIMIT, "E_RUNAWAY_QUERY", "a time line of more than %d bins",
                        BINS_MAX);
    }
    TRY(line_events(l));
    for (uint32_t i = 0; i < l->n; i++)
        l->events[i].bin = floor_div(time_between(l->start, l->events[i].time), l->step);
    return OK;
}

void line_keep(struct line *l, bool look_back)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct event *e = &l->events[i];
        if (e->time <= l->end && (look_back || e->time >= l->start)) l->events[n++] = *e;
    }
    l->n = n;
}

int line_by_bin(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->bin != b->bin) return a->bin < b->bin ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

int line_by_id(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

void line_sort(struct line *l, int (*order)(const void *, const void *))
{
    if (l->n > 1) qsort(l->events, l->n, sizeof *l->events, order);
}

uint32_t line_group_end(const struct line *l, uint32_t from)
{
    uint32_t end = from;
    while (end < l->n && l->events[end].group == l->events[from].group)
        end++;
    return end;
}

/* --- output ----------------------------------------------------------------------------------- */

void line_put_time(struct line *l, uint32_t col, int64_t bin)
{
    vecb_i64(&l->w->out[col], l->start + bin * l->step);
}

void line_put_dims(struct line *l, uint32_t col, uint32_t group)
{
    const struct timeline *t = l->w->op->whole.more;
    for (uint32_t i = 0; i < t->n_dims; i++)
        whole_copy(l->w, col + i, &l->w->cols[2 + i], l->first_rows[group]);
}

uint32_t line_dims(const struct line *l)
{
    return ((const struct timeline *)l->w->op->whole.more)->n_dims;
}
