/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_timeline.c - plugins that count ids over a time line
 *
 * Columns and bins: timeline.h. Constants, by plugin:
 *
 *   sliding_window_counts    start, end, window, bin
 *   activity_counts_metrics  start, end, bin
 *   activity_metrics         start, end, bin
 *   activity_engagement      [start, end,] bin, outer window
 *   new_activity_metrics     start, end, bin [, cohort]; the other table has ids that are not new
 *   active_users_count       start, end, lookback, period, periods, bin
 *   session_count            start, end, bin, lookback
 */
#include "exec/timeline.h"

#include <math.h>
#include <stdlib.h>

/* --- sliding_window_counts -------------------------------------------------------------------- */

static enum err slide(struct line *l, uint32_t from, uint32_t end, int64_t bins)
{
    const struct event *e = l->events;
    uint32_t first = from, next = from, distinct = 0, d = line_dims(l);
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
        line_put_time(l, 0, bin);
        line_put_dims(l, 1, e[from].group);
        vecb_i64(&l->w->out[1 + d], next - first);
        vecb_i64(&l->w->out[2 + d], distinct);
    }
    return OK;
}

enum err whole_sliding_window(struct whole *w)
{
    struct line l = {.w = w};
    TRY(line_read(&l, 3));
    if (w->consts[2].is_null || w->consts[2].i <= 0) return line_bad(&l);
    int64_t bins = (w->consts[2].i + l.step - 1) / l.step;
    line_keep(&l, true);
    line_sort(&l, line_by_bin);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = line_group_end(&l, from);
        TRY(slide(&l, from, end, bins));
    }
    return OK;
}

/* --- activity_counts_metrics, activity_metrics ------------------------------------------------ */

enum err whole_activity_counts(struct whole *w)
{
    struct line l = {.w = w};
    uint32_t d = ((const struct timeline *)w->op->whole.more)->n_dims;
    TRY(line_read(&l, 2));
    line_keep(&l, false);
    line_sort(&l, line_by_bin);
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
        line_put_time(&l, 0, e->bin);
        line_put_dims(&l, 1, e->group);
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
    TRY(line_read(&l, 2));
    line_keep(&l, false);
    line_sort(&l, line_by_bin);
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
        line_put_time(&l, 0, e->bin);
        line_put_dims(&l, 1, e->group);
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
    if (w->op->whole.n_consts == 4) return line_read(l, 2);
    if (w->consts[0].is_null || w->consts[0].i <= 0) return line_bad(l);
    l->step = w->consts[0].i;
    TRY(line_events(l));
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
    if (outer->is_null || outer->i <= 0) return line_bad(&l);
    int64_t bins = (outer->i + l.step - 1) / l.step;
    line_keep(&l, false);
    line_sort(&l, line_by_bin);
    for (uint32_t i = 0, k, group = 0; i < l.n; i = k) {
        const struct event *e = &l.events[i];
        if (e->group != l.events[group].group) group = i;
        uint32_t from = i;
        while (from > group && l.events[from - 1].bin > e->bin - bins)
            from--;
        for (k = i; k < l.n && l.events[k].group == e->group && l.events[k].bin == e->bin;)
            k++;
        uint32_t inner = count_ids(&l, i, k, ++mark), all = count_ids(&l, from, k, ++mark);
        line_put_time(&l, 0, e->bin);
        line_put_dims(&l, 1, e->group);
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
    uint32_t d = line_dims(l);
    for (int64_t j = i; j < c->n; j++) {
        uint32_t retained = c->active[i * c->n + j], fresh = j == i ? c->cohort[i] : 0;
        for (int64_t k = i + 1; k <= j && j > i; k++) /* ids that came after the cohort */
            fresh += c->active[k * c->n + j];
        double rate = (double)retained / c->cohort[i];
        line_put_time(l, 0, i);
        line_put_time(l, 1, j);
        line_put_dims(l, 2, group);
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
    TRY(line_read(&l, 2));
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
    line_keep(&l, false);
    line_sort(&l, line_by_id);
    int64_t only = -1;
    if (t->has_cohort && !w->consts[3].is_null) only = floor_div(w->consts[3].i - l.start, l.step);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = line_group_end(&l, from);
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
    TRY(line_read(&l, 5));
    if (c[2].is_null || c[3].is_null || c[4].is_null || c[3].i <= 0) return line_bad(&l);
    uint32_t *active = arena_array(&w->m->a, uint32_t, (size_t)l.n_bins);
    if (active == NULL) return query_full(w->q, w->d);
    line_keep(&l, true);
    line_sort(&l, line_by_id);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = line_group_end(&l, from);
        memset(active, 0, (size_t)l.n_bins * sizeof *active);
        for (uint32_t i = from, k; i < end; i = k) {
            for (k = i; k < end && l.events[k].id == l.events[i].id;)
                k++;
            count_active(&l, i, k, active);
        }
        for (int64_t bin = 0; bin < l.n_bins; bin++) {
            if (active[bin] == 0) continue;
            line_put_time(&l, 0, bin);
            line_put_dims(&l, 1, l.events[from].group);
            vecb_i64(&w->out[1 + line_dims(&l)], active[bin]);
        }
        TRY(whole_check(w));
    }
    return OK;
}

/* --- session_count ---------------------------------------------------------------------------- */

/* A session of an id goes on as long as no gap is longer than the lookback. A bin counts those that
 * have an event in it. */
static void count_sessions(const struct line *l, uint32_t from, uint32_t end, uint32_t *sessions)
{
    int64_t lookback = l->w->consts[3].i;
    for (uint32_t i = from; i < end; i++) {
        const struct event *e = &l->events[i], *last = i > from ? e - 1 : NULL;
        bool goes_on = last != NULL && last->id == e->id && last->bin == e->bin &&
                       time_between(last->time, e->time) <= lookback;
        sessions[e->bin] += !goes_on;
    }
}

enum err whole_session_count(struct whole *w)
{
    struct line l = {.w = w};
    TRY(line_read(&l, 2));
    if (w->consts[3].is_null || w->consts[3].i < 0) return line_bad(&l);
    uint32_t *sessions = arena_array(&w->m->a, uint32_t, (size_t)l.n_bins);
    if (sessions == NULL) return query_full(w->q, w->d);
    line_keep(&l, false);
    line_sort(&l, line_by_id);
    for (uint32_t from = 0, end; from < l.n; from = end) {
        end = line_group_end(&l, from);
        memset(sessions, 0, (size_t)l.n_bins * sizeof *sessions);
        count_sessions(&l, from, end, sessions);
        for (int64_t bin = 0; bin < l.n_bins; bin++) {
            if (sessions[bin] == 0) continue;
            line_put_time(&l, 0, bin);
            line_put_dims(&l, 1, l.events[from].group);
            vecb_i64(&w->out[1 + line_dims(&l)], sessions[bin]);
        }
        TRY(whole_check(w));
    }
    return OK;
}
