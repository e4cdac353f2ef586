/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_timeline.c - plugins that count ids over a time line
 *
 * Columns of the input are an id, a time and dimensions; each combination of dimensions is a group
 * of its own. The time line is cut into bins from `start` to `end`, the bin of `end` included.
 * Constants, by plugin:
 *
 *   sliding_window_counts    start, end, window, bin
 *   activity_counts_metrics  start, end, bin
 *   activity_metrics         start, end, bin
 *   activity_engagement      [start, end,] bin, outer window
 *   new_activity_metrics     start, end, bin [, cohort]; the other table has ids that are not new
 *   active_users_count       start, end, lookback, period, periods, bin
 */
#include "exec/whole.h"

#include <math.h>
#include <stdlib.h>

#define BINS_MAX 1000000

struct event {
    int64_t time, bin;
    uint32_t group, id, row;
};

struct line {
    struct whole *w;
    int64_t start, end, step;
    int64_t n_bins;
    uint32_t n, n_ids, n_groups;
    struct event *events;
    uint32_t *first_rows; /* of groups: for their dimensions */
    uint32_t *marks;      /* per id, for whoever needs it */
};

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* --- reading ---------------------------------------------------------------------------------- */

static enum err read_numbers(struct line *l, uint32_t **ids, uint32_t **groups)
{
    struct whole *w = l->w;
    const struct timeline *t = w->op->whole.more;
    struct numbering by_id = whole_numbering(w), by_group = whole_numbering(w);
    *ids = arena_array(&w->m->a, uint32_t, w->n + 1);
    *groups = arena_array(&w->m->a, uint32_t, w->n + 1);
    if (*ids == NULL || *groups == NULL) return query_full(w->q, w->d);
    TRY(number_rows(&by_id, w->cols, 1, w->n, *ids, w->d));
    TRY(number_rows(&by_group, w->cols + 2, t->n_dims, w->n, *groups, w->d));
    l->n_ids = by_id.n;
    l->n_groups = by_group.n;
    return OK;
}

static enum err read_events(struct line *l)
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

static enum err bad_bounds(const struct line *l)
{
    return FAIL(
        l->w->d, ERR_INVALID,
        "a time line needs a start, an end that is not before it, and a bin of more than 0");
}

/* start, end and the bin at consts[step]; the events' bins. */
static enum err read_line(struct line *l, uint32_t step)
{
    struct whole *w = l->w;
    const struct value *c = w->consts;
    if (c[0].is_null || c[1].is_null || c[step].is_null) return bad_bounds(l);
    l->start = c[0].i;
    l->end = c[1].i;
    l->step = c[step].i;
    if (l->step <= 0 || l->end < l->start) return bad_bounds(l);
    int64_t span;
    if (__builtin_sub_overflow(l->end, l->start, &span)) return bad_bounds(l);
    l->n_bins = span / l->step + 1;
    if (l->n_bins > BINS_MAX) {
        return FAIL_TAG(w->d, ERR_LIMIT, "E_RUNAWAY_QUERY", "a time line of more than %d bins",
                        BINS_MAX);
    }
    TRY(read_events(l));
    for (uint32_t i = 0; i < l->n; i++)
        l->events[i].bin = floor_div(l->events[i].time - l->start, l->step);
    return OK;
}

/* Leaves out events before the start (unless a window looks back) and behind the end. */
static void keep_between(struct line *l, bool look_back)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        const struct event *e = &l->events[i];
        if (e->time <= l->end && (look_back || e->time >= l->start)) l->events[n++] = *e;
    }
    l->n = n;
}

static int by_bin(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->bin != b->bin) return a->bin < b->bin ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int by_id(const void *x, const void *y)
{
    const struct event *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    return a->time < b->time ? -1 : a->time > b->time;
}

static void sort(struct line *l, int (*order)(const void *, const void *))
{
    if (l->n > 1) qsort(l->events, l->n, sizeof *l->events, order);
}

/* The end of the group that begins at `from`. */
static uint32_t group_end(const struct line *l, uint32_t from)
{
    uint32_t end = from;
    while (end < l->n && l->events[end].group == l->events[from].group)
        end++;
    return end;
}

/* --- output ----------------------------------------------------------------------------------- */

static void put_time(struct line *l, uint32_t col, int64_t bin)
{
    vecb_i64(&l->w->out[col], l->start + bin * l->step);
}

static void put_dims(struct line *l, uint32_t col, uint32_t group)
{
    const struct timeline *t = l->w->op->whole.more;
    for (uint32_t i = 0; i < t->n_dims; i++)
        whole_copy(l->w, col + i, &l->w->cols[2 + i], l->first_rows[group]);
}

static uint32_t n_dims(const struct line *l)
{
    return ((const struct timeline *)l->w->op->whole.more)->n_dims;
}

/* --- sliding_window_counts -------------------------------------------------------------------- */

static enum err slide(struct line *l, uint32_t from, uint32_t end, int64_t bins)
{
    const struct event *e = l->events;
    uint32_t first = from, next = from, distinct = 0, d = n_dims(l);
    int64_t last = e[end - 1].bin + bins - 1;
    for (uint32_t i = from; i < end; i++)
        l->marks[e[i].id] = 0;
    if (last >= l->n_bins) last = l->n_bins - 1;
    for (int64_t bin = e[from].bin > 0 ? e[from].bin : 0; bin <= last; bin++) {
        if (bin % 1024 == 0) TRY(whole_check(l->w));
        for (; next < end && e[next].bin <= bin; next++)
            distinct += l->marks[e[next].id]++ == 0;
        for (; first < next && e[first].bin <= bin - bins; first++)
            distinct -= --l->marks[e[first].id] == 0;
        if (next == first) continue;
        put_time(l, 0, bin);
        put_dims(l, 1, e[from].group);
        vecb_i64(&l->w->out[1 + d], next - first);
        vecb_i64(&l->w->out[2 + d], distinct);
    }
    return OK;
}

enum err whole_sliding_window(struct whole *w)
{
    struct line l = {.w = w};
    TRY(read_line(&l, 3));
    if (w->consts[2].is_null || w->consts[2].i <= 0) return bad_bounds(&l);
    int64_t bins = (w->consts[2].i + l.step - 1) / l.step;
    keep_between(&l, true);
    sort(&l, by_bin);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = group_end(&l, from);
        TRY(slide(&l, from, end, bins));
    }
    return OK;
}

/* --- activity_counts_metrics, activity_metrics ------------------------------------------------ */

enum err whole_activity_counts(struct whole *w)
{
    struct line l = {.w = w};
    uint32_t d = ((const struct timeline *)w->op->whole.more)->n_dims;
    TRY(read_line(&l, 2));
    keep_between(&l, false);
    sort(&l, by_bin);
    uint32_t *seen = arena_array(&w->m->a, uint32_t, l.n_ids + 1); /* group + 1 */
    if (seen == NULL) return query_full(w->q, w->d);
    uint32_t ever = 0;
    for (uint32_t i = 0, k; i < l.n; i = k) {
        const struct event *e = &l.events[i];
        uint32_t distinct = 0, fresh = 0;
        if (i == 0 || l.events[i - 1].group != e->group) ever = 0;
        for (k = i; k < l.n && l.events[k].group == e->group && l.events[k].bin == e->bin; k++) {
            uint32_t id = l.events[k].id;
            distinct += l.marks[id] != i + 1; /* i + 1 stands for this bin of this group */
            l.marks[id] = i + 1;
            fresh += seen[id] != e->group + 1;
            seen[id] = e->group + 1;
        }
        ever += fresh;
        put_time(&l, 0, e->bin);
        put_dims(&l, 1, e->group);
        vecb_i64(&w->out[1 + d], k - i);
        vecb_i64(&w->out[2 + d], distinct);
        vecb_i64(&w->out[3 + d], fresh);
        vecb_i64(&w->out[4 + d], ever);
        TRY(whole_check(w));
    }
    return OK;
}

enum err whole_activity(struct whole *w)
{
    struct line l = {.w = w};
    uint32_t d = ((const struct timeline *)w->op->whole.more)->n_dims;
    TRY(read_line(&l, 2));
    keep_between(&l, false);
    sort(&l, by_bin);
    struct last { /* bin + 1 of the group + 1 in which the id was seen last */
        int64_t bin;
        uint32_t group;
    } *last = arena_array(&w->m->a, struct last, l.n_ids + 1);
    if (last == NULL) return query_full(w->q, w->d);
    uint32_t before = 0; /* distinct ids of the bin before */
    for (uint32_t i = 0, k; i < l.n; i = k) {
        const struct event *e = &l.events[i];
        uint32_t distinct = 0, back = 0;
        bool follows =
            i > 0 && l.events[i - 1].group == e->group && l.events[i - 1].bin == e->bin - 1;
        for (k = i; k < l.n && l.events[k].group == e->group && l.events[k].bin == e->bin; k++) {
            struct last *at = &last[l.events[k].id];
            bool same_group = at->group == e->group + 1;
            if (same_group && at->bin == e->bin + 1) continue;
            distinct++;
            back += same_group && at->bin == e->bin;
            *at = (struct last){.bin = e->bin + 1, .group = e->group + 1};
        }
        double retention = follows ? (double)back / before : NAN;
        put_time(&l, 0, e->bin);
        put_dims(&l, 1, e->group);
        vecb_i64(&w->out[1 + d], distinct);
        vecb_i64(&w->out[2 + d], distinct - back);
        vecb_r64(&w->out[3 + d], retention);
        vecb_r64(&w->out[4 + d], 1 - retention);
        before = distinct;
        TRY(whole_check(w));
    }
    return OK;
}

/* --- activity_engagement ---------------------------------------------------------------------- */

/* Without bounds the line runs from the bin of the first event to that of the last. */
static enum err engagement_line(struct line *l)
{
    struct whole *w = l->w;
    if (w->op->whole.n_consts == 4) return read_line(l, 2);
    if (w->consts[0].is_null || w->consts[0].i <= 0) return bad_bounds(l);
    l->step = w->consts[0].i;
    TRY(read_events(l));
    int64_t low = INT64_MAX, high = INT64_MIN;
    for (uint32_t i = 0; i < l->n; i++) {
        if (l->events[i].time < low) low = l->events[i].time;
        if (l->events[i].time > high) high = l->events[i].time;
    }
    if (l->n == 0) return OK;
    l->start = floor_div(low, l->step) * l->step;
    l->end = high;
    l->n_bins = (high - l->start) / l->step + 1;
    for (uint32_t i = 0; i < l->n; i++)
        l->events[i].bin = floor_div(l->events[i].time - l->start, l->step);
    return OK;
}

/* Distinct ids of events [from, to); mark is new to all of them. */
static uint32_t count_ids(struct line *l, uint32_t from, uint32_t to, uint32_t mark)
{
    uint32_t n = 0;
    for (uint32_t i = from; i < to; i++) {
        n += l->marks[l->events[i].id] != mark;
        l->marks[l->events[i].id] = mark;
    }
    return n;
}

enum err whole_activity_engagement(struct whole *w)
{
    struct line l = {.w = w};
    uint32_t d = ((const struct timeline *)w->op->whole.more)->n_dims, mark = 0;
    const struct value *outer = &w->consts[w->op->whole.n_consts - 1];
    TRY(engagement_line(&l));
    if (outer->is_null || outer->i <= 0) return bad_bounds(&l);
    int64_t bins = (outer->i + l.step - 1) / l.step;
    keep_between(&l, false);
    sort(&l, by_bin);
    for (uint32_t i = 0, k, group = 0; i < l.n; i = k) {
        const struct event *e = &l.events[i];
        if (e->group != l.events[group].group) group = i;
        uint32_t from = i;
        while (from > group && l.events[from - 1].bin > e->bin - bins)
            from--;
        for (k = i; k < l.n && l.events[k].group == e->group && l.events[k].bin == e->bin;)
            k++;
        uint32_t inner = count_ids(&l, i, k, ++mark), all = count_ids(&l, from, k, ++mark);
        put_time(&l, 0, e->bin);
        put_dims(&l, 1, e->group);
        vecb_i64(&w->out[1 + d], inner);
        vecb_i64(&w->out[2 + d], all);
        vecb_r64(&w->out[3 + d], (double)inner / all);
        TRY(whole_check(w));
    }
    return OK;
}

/* --- new_activity_metrics --------------------------------------------------------------------- */

#define COHORTS_MAX 2000

struct cohorts { /* of one group */
    int64_t n;
    uint32_t *active; /* [i * n + j]: ids first seen in bin i that are active in bin j */
    uint32_t *cohort; /* ids first seen in bin i */
};

/* Events of one group, by id: an id's first bin is its cohort, unless it is known already. */
static void fill_cohorts(const struct line *l, uint32_t from, uint32_t end, const bool *known,
                         struct cohorts *c)
{
    for (uint32_t i = from, k; i < end; i = k) {
        const struct event *first = &l->events[i];
        int64_t last = -1;
        for (k = i; k < end && l->events[k].id == first->id; k++) {
            int64_t bin = l->events[k].bin;
            if (known[first->id] || bin == last) continue;
            c->active[first->bin * c->n + bin]++;
            last = bin;
        }
        if (!known[first->id]) c->cohort[first->bin]++;
    }
}

static void put_cohort(struct line *l, const struct cohorts *c, uint32_t group, int64_t i)
{
    struct whole *w = l->w;
    uint32_t d = n_dims(l);
    for (int64_t j = i; j < c->n; j++) {
        uint32_t retained = c->active[i * c->n + j], fresh = j == i ? c->cohort[i] : 0;
        for (int64_t k = i + 1; k <= j && j > i; k++) /* ids that came after the cohort */
            fresh += c->active[k * c->n + j];
        double rate = (double)retained / c->cohort[i];
        put_time(l, 0, i);
        put_time(l, 1, j);
        put_dims(l, 2, group);
        vecb_i64(&w->out[2 + d], fresh);
        vecb_i64(&w->out[3 + d], retained);
        vecb_i64(&w->out[4 + d], c->cohort[i] - retained);
        vecb_r64(&w->out[5 + d], c->cohort[i] != 0 ? rate : NAN);
        vecb_r64(&w->out[6 + d], c->cohort[i] != 0 ? 1 - rate : NAN);
    }
}

/* Ids of the other table. */
static enum err read_known(struct line *l, bool *known)
{
    struct whole *w = l->w;
    struct numbering ids = whole_numbering(w);
    uint32_t *numbers = arena_array(&w->m->a, uint32_t, w->n + w->n_second + 1);
    if (w->second == NULL) return OK;
    if (numbers == NULL) return query_full(w->q, w->d);
    TRY(number_rows(&ids, w->cols, 1, w->n, numbers, w->d)); /* as read_numbers() does */
    TRY(number_rows(&ids, w->second, 1, w->n_second, numbers, w->d));
    for (uint32_t i = 0; i < w->n_second; i++) {
        if (numbers[i] < l->n_ids) known[numbers[i]] = true;
    }
    return OK;
}

enum err whole_new_activity(struct whole *w)
{
    struct line l = {.w = w};
    const struct timeline *t = w->op->whole.more;
    TRY(read_line(&l, 2));
    if (l.n_bins > COHORTS_MAX) {
        return FAIL_TAG(w->d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                        "new_activity_metrics: more than %d bins", COHORTS_MAX);
    }
    struct cohorts c = {.n = l.n_bins};
    bool *known = arena_array(&w->m->a, bool, l.n_ids + 1);
    c.active = arena_array(&w->m->a, uint32_t, (size_t)(c.n * c.n));
    c.cohort = arena_array(&w->m->a, uint32_t, (size_t)c.n);
    if (known == NULL || c.active == NULL || c.cohort == NULL) return query_full(w->q, w->d);
    TRY(read_known(&l, known));
    keep_between(&l, false);
    sort(&l, by_id);
    int64_t only = -1;
    if (t->has_cohort && !w->consts[3].is_null) only = floor_div(w->consts[3].i - l.start, l.step);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = group_end(&l, from);
        memset(c.active, 0, (size_t)(c.n * c.n) * sizeof *c.active);
        memset(c.cohort, 0, (size_t)c.n * sizeof *c.cohort);
        fill_cohorts(&l, from, end, known, &c);
        for (int64_t i = 0; i < c.n; i++) {
            if (only < 0 || only == i) put_cohort(&l, &c, l.events[from].group, i);
        }
        TRY(whole_check(w));
    }
    return OK;
}

/* --- active_users_count ----------------------------------------------------------------------- */

/* Periods in which the id was active within the lookback of event i; events are of one id. */
static int64_t periods_before(const struct line *l, uint32_t from, uint32_t i, int64_t lookback,
                              int64_t period)
{
    int64_t count = 0, last = 0;
    for (uint32_t k = i + 1; k-- > from && l->events[k].time > l->events[i].time - lookback;) {
        int64_t p = floor_div(l->events[k].time - l->start, period);
        count += count == 0 || p != last;
        last = p;
    }
    return count;
}

static void count_active(const struct line *l, uint32_t from, uint32_t end, uint32_t *active)
{
    const struct value *c = l->w->consts;
    int64_t last = -1;
    for (uint32_t i = from; i < end; i++) {
        const struct event *e = &l->events[i];
        if (e->time < l->start || e->bin == last) continue;
        if (periods_before(l, from, i, c[2].i, c[3].i) < c[4].i) continue;
        active[e->bin]++;
        last = e->bin;
    }
}

enum err whole_active_users(struct whole *w)
{
    struct line l = {.w = w};
    const struct value *c = w->consts;
    TRY(read_line(&l, 5));
    if (c[2].is_null || c[3].is_null || c[4].is_null || c[3].i <= 0) return bad_bounds(&l);
    uint32_t *active = arena_array(&w->m->a, uint32_t, (size_t)l.n_bins);
    if (active == NULL) return query_full(w->q, w->d);
    keep_between(&l, true);
    sort(&l, by_id);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = group_end(&l, from);
        memset(active, 0, (size_t)l.n_bins * sizeof *active);
        for (uint32_t i = from, k; i < end; i = k) {
            for (k = i; k < end && l.events[k].id == l.events[i].id;)
                k++;
            count_active(&l, i, k, active);
        }
        for (int64_t bin = 0; bin < l.n_bins; bin++) {
            if (active[bin] == 0) continue;
            put_time(&l, 0, bin);
            put_dims(&l, 1, l.events[from].group);
            vecb_i64(&w->out[1 + n_dims(&l)], active[bin]);
        }
        TRY(whole_check(w));
    }
    return OK;
}
