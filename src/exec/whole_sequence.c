/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_sequence.c - sequence_detect: rows that meet one condition after the other
 *
 * Columns: time, conditions, dimensions (plan.h); constants: longest step, longest sequence. An
 * occurrence is a row for each condition, each of the same dimensions as the first and behind the one
 * before: later, or of the same moment and behind it among the rows. All occurrences are given, those
 * of the same times once: so do the printed ones overlap. The earliest comes first.
 */
#include "exec/timeline.h"

#include <stdlib.h>

#define OCCURRENCES_MAX 1000000

struct moment {
    int64_t time;
    uint32_t group, row;
};

struct finder {
    struct whole *w;
    const struct sequences *plan;
    uint32_t n;
    struct moment *moments; /* by group, then time, then row */
    uint32_t *chosen;       /* by step: a moment */
    uint32_t n_found, cap;
    uint32_t *found; /* n_steps moments each */
    uint64_t looked;
};

static int by_group_and_time(const void *x, const void *y)
{
    const struct moment *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* Rows that meet no condition are none. */
static enum err read_moments(struct finder *f)
{
    struct whole *w = f->w;
    struct numbering groups = whole_numbering(w);
    uint32_t *numbers = arena_array(&w->m->a, uint32_t, (size_t)w->n + 1);
    f->moments = arena_array(&w->m->a, struct moment, (size_t)w->n + 1);
    if (numbers == NULL || f->moments == NULL) return ERR_LIMIT;
    TRY(number_rows(&groups, w->cols + 1 + f->plan->n_steps, f->plan->n_dims, w->n, numbers, w->d));
    for (uint32_t i = 0; i < w->n; i++) {
        bool any = false;
        for (uint32_t k = 1; k <= f->plan->n_steps; k++)
            any = any || (!vec_null(&w->cols[k], i) && vec_bool(&w->cols[k], i));
        if (!any || vec_null(&w->cols[0], i)) continue;
        f->moments[f->n++] = (struct moment){vec_i64(&w->cols[0], i), numbers[i], i};
    }
    if (f->n > 1) qsort(f->moments, f->n, sizeof *f->moments, by_group_and_time);
    return whole_check(w);
}

static bool meets(const struct finder *f, uint32_t step, uint32_t moment)
{
    const struct vec *v = &f->w->cols[1 + step];
    uint32_t row = f->moments[moment].row;
    return !vec_null(v, row) && vec_bool(v, row);
}

static enum err add_found(struct finder *f)
{
    uint32_t n = f->plan->n_steps;
    if (f->n_found == OCCURRENCES_MAX) {
        return FAIL_TAG(f->w->d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                        "sequence_detect: more than %d occurrences", OCCURRENCES_MAX);
    }
    if (f->n_found == f->cap) {
        uint32_t cap = f->cap == 0 ? 64 : f->cap * 2;
        uint32_t *wide = arena_array(&f->w->m->a, uint32_t, (size_t)cap * n);
        if (wide == NULL) return ERR_LIMIT;
        if (f->n_found > 0) memcpy(wide, f->found, (size_t)f->n_found * n * sizeof *wide);
        f->found = wide;
        f->cap = cap;
    }
    memcpy(f->found + (size_t)f->n_found++ * n, f->chosen, n * sizeof *f->found);
    return OK;
}

static bool in_reach(const struct finder *f, uint32_t step, uint32_t moment)
{
    const struct moment *m = &f->moments[moment], *first = &f->moments[f->chosen[0]];
    const struct moment *last = &f->moments[f->chosen[step - 1]];
    return m->group == first->group && time_between(last->time, m->time) <= f->w->consts[0].i &&
           time_between(first->time, m->time) <= f->w->consts[1].i;
}

/* All ways to go on from the steps before `step`; n_steps deep at most. */
static enum err go_on(struct finder *f, uint32_t step)
{
    if (step == f->plan->n_steps) return add_found(f);
    uint32_t at = f->chosen[step - 1] + 1;
    bool any = false;
    for (int64_t last = 0; at < f->n && in_reach(f, step, at); at++) {
        if (f->looked++ % 4096 == 0) TRY(whole_check(f->w));
        bool again = any && f->moments[at].time == last;
        if (again || !meets(f, step, at)) continue;
        any = true;
        last = f->moments[at].time;
        f->chosen[step] = at;
        TRY(go_on(f, step + 1));
    }
    return OK;
}

static int by_times(const void *x, const void *y, void *finder)
{
    const struct finder *f = finder;
    const uint32_t *a = x, *b = y;
    for (uint32_t k = 0; k < f->plan->n_steps; k++) {
        int64_t ta = f->moments[a[k]].time, tb = f->moments[b[k]].time;
        if (ta != tb) return ta < tb ? -1 : 1;
    }
    return (f->moments[a[0]].row > f->moments[b[0]].row) -
           (f->moments[a[0]].row < f->moments[b[0]].row);
}

static enum err put_found(struct finder *f)
{
    struct whole *w = f->w;
    uint32_t n = f->plan->n_steps, dims = f->plan->n_dims;
    if (f->n_found > 1) qsort_r(f->found, f->n_found, n * sizeof *f->found, by_times, f);
    for (uint32_t i = 0; i < f->n_found; i++) {
        const uint32_t *steps = f->found + (size_t)i * n;
        const struct moment *first = &f->moments[steps[0]], *last = &f->moments[steps[n - 1]];
        for (uint32_t c = 0; c < dims; c++)
            whole_copy(w, c, &w->cols[1 + n + c], first->row);
        for (uint32_t k = 0; k < n; k++)
            vecb_i64(&w->out[dims + k], f->moments[steps[k]].time);
        vecb_i64(&w->out[dims + n], time_between(first->time, last->time));
        if (i % 1024 == 0) TRY(whole_check(w));
    }
    return OK;
}

enum err whole_sequences(struct whole *w)
{
    struct finder f = {.w = w, .plan = w->op->whole.more};
    const struct value *c = w->consts;
    if (c[0].is_null || c[1].is_null || c[0].i < 0 || c[1].i < 0) {
        return FAIL(w->d, ERR_INVALID, "sequence_detect: its spans must be 0 or more");
    }
    f.chosen = arena_array(&w->m->a, uint32_t, f.plan->n_steps + 1);
    if (f.chosen == NULL) return ERR_LIMIT;
    TRY(read_moments(&f));
    for (uint32_t i = 0, last = UINT32_MAX; i < f.n; i++) {
        bool again = last != UINT32_MAX && f.moments[last].group == f.moments[i].group &&
                     f.moments[last].time == f.moments[i].time;
        if (again || !meets(&f, 0, i)) continue;
        last = f.chosen[0] = i;
        TRY(go_on(&f, 1));
    }
    return put_found(&f);
}
