/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/make_series.c - make-series: an array per group and aggregate, with an element per step of
 * the axis
 *
 * Rows are aggregated by their keys and the number of their step; the arrays are put together at
 * the end. Steps count from `from`; without it from zero of the axis, and a series then begins with
 * its first row and ends with its last.
 *
 * Groups that do not fit into memory leave it in parts by the keys alone (groups.h), so that a part
 * has all steps of its series; and series that do not fit are written as they are made.
 */
#include "column/dyn.h"
#include "exec/groups.h"
#include "exec/key.h"

#include <math.h>
#include <stdlib.h>

#define SERIES_STEPS_MAX ((int64_t)1 << 20) /* elements of one array */

struct series_sink {
    struct sink sink;
    const struct op *op;
    const bool *in_needed;
    struct groups_plan plan;
    struct groups *tables; /* per worker */
    enum type type;        /* of the axis */
    bool has_from, has_to;
    struct value from, to, step;
    int64_t n_steps; /* when from and to are known */
    struct value *defaults;
    bool taken;
};

/* --- the axis -------------------------------------------------------------------------------- */

static int64_t floor_div(int64_t a, int64_t b)
{
    int64_t q = a / b;
    return q - (a % b != 0 && (a < 0) != (b < 0));
}

/* The step in which row i lies. False: null, or outside. */
static bool step_of(const struct series_sink *s, const struct vec *axis, uint32_t i, int64_t *out)
{
    if (vec_null(axis, i)) return false;
    if (s->type == T_REAL) {
        double step = floor((vec_r64(axis, i) - (s->has_from ? s->from.r : 0)) / s->step.r);
        if (!(fabs(step) < 1e15)) return false;
        *out = (int64_t)step;
    } else {
        int64_t x;
        if (__builtin_sub_overflow(vec_i64(axis, i), s->has_from ? s->from.i : 0, &x)) return false;
        *out = floor_div(x, s->step.i);
    }
    if (s->has_from && *out < 0) return false;
    if (!s->has_to) return true;
    bool at_end = s->type == T_REAL ? vec_r64(axis, i) == s->to.r : vec_i64(axis, i) == s->to.i;
    bool beyond = s->type == T_REAL ? vec_r64(axis, i) > s->to.r : vec_i64(axis, i) > s->to.i;
    return !beyond && (!at_end || s->op->make_series.inclusive);
}

static struct value axis_at(const struct series_sink *s, int64_t step)
{
    struct value v = {.type = s->type};
    if (s->type == T_REAL)
        v.r = (s->has_from ? s->from.r : 0) + (double)step * s->step.r;
    else
        v.i = (s->has_from ? s->from.i : 0) + step * s->step.i;
    return v;
}

/* --- rows ------------------------------------------------------------------------------------ */

static enum err series_push(const struct stage *stage, struct worker *w, const struct batch *in)
{
    const struct series_sink *s = (const struct series_sink *)stage;
    struct arena *a = &w->scratch.a;
    uint32_t n_keys = s->op->make_series.n_keys, n = 0;
    struct vec *parts = arena_array(a, struct vec, n_keys + 1), axis;
    uint32_t *rows = arena_array(a, uint32_t, in->n_rows);
    int64_t *steps = arena_array(a, int64_t, in->n_rows);
    if (parts == NULL || rows == NULL || steps == NULL) return query_full(w->q, &w->d);
    TRY(eval(w, s->op->make_series.axis, in, &axis));
    for (uint32_t i = 0; i < in->n_rows; i++) {
        rows[n] = i;
        n += step_of(s, &axis, i, &steps[n]);
    }
    struct batch left = *in;
    if (n == 0) return OK;
    if (n < in->n_rows) TRY(batch_select(a, in, s->in_needed, rows, n, &left, &w->d));
    for (uint32_t i = 0; i < n_keys; i++) {
        TRY(eval(w, s->op->make_series.keys[i], &left, &parts[i]));
    }
    parts[n_keys] = (struct vec){.type = T_LONG, .n = n, .data = steps};
    return groups_add(&s->plan, &s->tables[w->slot], w, parts, &left);
}

/* --- arrays ---------------------------------------------------------------------------------- */

#define STEP_KEY_LEN 9 /* the step at the end of a group's key: not null, 8 bytes */

struct point { /* a group: one step of one series */
    struct group *group;
    struct bytes key; /* of the series */
    int64_t step;
    uint64_t order; /* of arrival */
};

static int by_series_and_step(const void *x, const void *y)
{
    const struct point *a = x, *b = y;
    int order = bytes_cmp(a->key, b->key);
    if (order != 0) return order;
    return a->step < b->step ? -1 : a->step > b->step;
}

static enum err points_of(const struct series_sink *s, struct groups *t, struct point **out,
                          struct diag *d)
{
    struct point *points = arena_array(&t->mem.a, struct point, t->n_groups);
    if (points == NULL) return query_full(s->plan.q, d);
    uint64_t n = 0;
    for (struct group *g = t->first; g != NULL; g = g->next, n++) {
        points[n] = (struct point){.group = g, .order = n};
        points[n].key = bytes_of(g->key.p, g->key.len - STEP_KEY_LEN);
        memcpy(&points[n].step, g->key.p + g->key.len - 8, 8);
    }
    qsort(points, n, sizeof *points, by_series_and_step);
    *out = points;
    return OK;
}

struct one_series {
    const struct point *points;
    uint64_t n;
    int64_t first, steps;
    uint64_t order; /* of the first point that arrived */
};

static int by_order(const void *x, const void *y)
{
    const struct one_series *a = x, *b = y;
    return a->order < b->order ? -1 : a->order > b->order;
}

static enum err bounds(const struct series_sink *s, struct one_series *one, struct diag *d)
{
    int64_t last = one->points[one->n - 1].step;
    one->first = s->has_from ? 0 : one->points[0].step;
    one->steps = last - one->first + 1;
    if (s->has_to && s->has_from) one->steps = s->n_steps;
    if (s->has_to && !s->has_from) {
        struct vec to = {.type = s->type, .shape = VEC_CONST, .n = 1, .data = &s->to.i};
        struct series_sink open = *s;
        open.has_to = false;
        int64_t end = last;
        if (step_of(&open, &to, 0, &end)) {
            struct value at = axis_at(s, end);
            bool on = s->type == T_REAL ? at.r == s->to.r : at.i == s->to.i;
            one->steps = end - one->first + (!on || s->op->make_series.inclusive);
        }
    }
    if (one->steps <= SERIES_STEPS_MAX) return OK;
    return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "make-series: more than %lld steps",
                    (long long)SERIES_STEPS_MAX);
}

static enum err split(const struct series_sink *s, struct groups *t, const struct point *points,
                      struct one_series **out, uint64_t *n_out, struct diag *d)
{
    struct one_series *list = arena_array(&t->mem.a, struct one_series, t->n_groups);
    if (list == NULL) return query_full(s->plan.q, d);
    uint64_t n = 0;
    for (uint64_t i = 0; i < t->n_groups; i++) {
        if (i == 0 || !bytes_eq(points[i].key, points[i - 1].key)) {
            list[n++] = (struct one_series){.points = &points[i], .order = points[i].order};
        }
        struct one_series *one = &list[n - 1];
        one->n++;
        if (points[i].order < one->order) one->order = points[i].order;
    }
    for (uint64_t i = 0; i < n; i++)
        TRY(bounds(s, &list[i], d));
    qsort(list, n, sizeof *list, by_order);
    *out = list;
    *n_out = n;
    return OK;
}

/* An element of a dynamic array; what JSON has no word for is null. */
static enum err put_element(const struct value *v, struct buf *b, struct diag *d)
{
    const struct value null = {.type = v->type, .is_null = true};
    return dyn_from_value(v->is_null ? &null : v, b, d);
}

static enum err put_array(const struct series_sink *s, struct groups *t,
                          const struct one_series *one, uint32_t agg, struct buf *b, struct diag *d)
{
    const struct point *p = one->points, *end = one->n != 0 ? p + one->n : p;
    size_t at = dyn_array_begin(b);
    for (int64_t i = 0; i < one->steps; i++) {
        struct value v = s->defaults[agg];
        if (p < end && p->step == one->first + i) {
            TRY(group_result(&s->plan, t, p->group, agg, &v, d));
            p++;
        }
        TRY(put_element(&v, b, d));
    }
    dyn_array_end(b, at, (uint32_t)one->steps);
    return buf_check(b, d);
}

static enum err put_axis(const struct series_sink *s, const struct one_series *one, struct buf *b,
                         struct diag *d)
{
    size_t at = dyn_array_begin(b);
    for (int64_t i = 0; i < one->steps; i++) {
        struct value v = axis_at(s, one->first + i);
        TRY(put_element(&v, b, d));
    }
    dyn_array_end(b, at, (uint32_t)one->steps);
    return buf_check(b, d);
}

static enum err put_series(const struct series_sink *s, struct groups *t,
                           const struct one_series *one, struct vecb *cols, struct diag *d)
{
    CLEANUP_BUF struct buf b = {.max = arena_room(cols[0].a)};
    uint32_t n_keys = s->op->make_series.n_keys, n_aggs = s->op->make_series.n_aggs;
    struct rd r = rd_from(one->n != 0 ? one->points[0].key : BYTES(""));
    for (uint32_t i = 0; i < n_keys; i++) {
        struct value v;
        group_key_next(&r, s->op->schema.cols[i].type, &v);
        vecb_value(&cols[i], &v);
    }
    for (uint32_t i = 0; i < n_aggs; i++) {
        if (!s->plan.wanted[i]) {
            vecb_null(&cols[n_keys + i]);
            continue;
        }
        buf_clear(&b);
        TRY(put_array(s, t, one, i, &b, d));
        vecb_str(&cols[n_keys + i], buf_view(&b));
    }
    buf_clear(&b);
    TRY(put_axis(s, one, &b, d));
    vecb_str(&cols[n_keys + n_aggs], buf_view(&b));
    return OK;
}

/* The series of a table, in the order in which they were met. */
static enum err series_of(const struct series_sink *s, struct groups *t, struct one_series **list,
                          uint64_t *n, struct diag *d)
{
    struct point *points;
    mem_settle(s->plan.q, &t->mem);
    TRY(points_of(s, t, &points, d));
    TRY(split(s, t, points, list, n, d));
    mem_settle(s->plan.q, &t->mem);
    return OK;
}

/* As many of n series as a batch may have; never more memory than `enough` but for the last one. */
static enum err series_batch(const struct series_sink *s, struct groups *t,
                             const struct one_series *list, uint64_t n, size_t enough,
                             struct mem *m, struct batch *out, struct diag *d)
{
    struct query *q = s->plan.q;
    uint32_t n_cols = s->op->schema.n, k = 0;
    uint32_t hint = n < VEC_ROWS ? (uint32_t)n : VEC_ROWS;
    size_t before = m->a.used;
    struct vecb *build = arena_array(&m->a, struct vecb, n_cols);
    struct vec *cols = arena_array(&m->a, struct vec, n_cols);
    if (build == NULL || cols == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < n_cols; i++)
        vecb_init(&build[i], &m->a, s->op->schema.cols[i].type, hint);
    while (k < hint && (k == 0 || m->a.used - before < enough)) {
        TRY(query_check(q, d));
        TRY(put_series(s, t, &list[k++], build, d));
        mem_settle(q, m);
    }
    for (uint32_t i = 0; i < n_cols; i++) {
        if (vecb_finish(&build[i], &cols[i], NULL) != OK) return query_full(q, d);
    }
    *out = (struct batch){.n_rows = k, .n_cols = n_cols, .cols = cols};
    return OK;
}

/* --- series that leave memory ------------------------------------------------------------------ */

struct written { /* of each part */
    const struct series_sink *s;
    struct spill_list rows[PARTS];
    struct mem books[PARTS];
};

static enum err write_list(struct written *x, uint32_t part, struct groups *t,
                           const struct one_series *list, uint64_t n, struct diag *d)
{
    struct query *q = x->s->plan.q;
    enum err e = OK;
    for (uint64_t at = 0; e == OK && at < n;) {
        struct batch b;
        struct mem m;
        mem_open(q, &m);
        e = series_batch(x->s, t, &list[at], n - at, spill_share(q), &m, &b, d);
        if (e == OK) e = spill_list_add(q, &x->rows[part], &x->books[part], &b, 0, d);
        if (e == OK) at += b.n_rows;
        mem_close(q, &m);
    }
    return e;
}

static enum err write_part(void *ctx, uint32_t part, struct groups *t, struct diag *d)
{
    struct written *x = ctx;
    struct one_series *list;
    uint64_t n;
    TRY(series_of(x->s, t, &list, &n, d));
    return write_list(x, part, t, list, n, d);
}

/* list NULL: the tables have left memory. */
static enum err finish_written(struct series_sink *s, const struct one_series *list, uint64_t n,
                               struct relation *out, struct diag *d)
{
    struct query *q = s->plan.q;
    struct written x = {.s = s};
    for (uint32_t i = 0; i < PARTS; i++)
        mem_open(q, &x.books[i]);
    enum err e = list != NULL ? write_list(&x, 0, &s->tables[0], list, n, d)
                              : groups_each(&s->plan, s->tables, write_part, &x, d);
    if (e == OK) e = spill_relation(q, x.rows, PARTS, &s->op->schema, x.books, out, d);
    for (uint32_t i = 0; i < PARTS; i++)
        mem_close(q, &x.books[i]);
    return e;
}

/* An element takes nine bytes, a text more. */
static bool fits(const struct series_sink *s, const struct one_series *list, uint64_t n)
{
    const struct query *q = s->plan.q;
    uint64_t elements = 0;
    for (uint64_t i = 0; i < n; i++)
        elements += (uint64_t)list[i].steps;
    uint64_t bytes = elements * 9 * (s->op->make_series.n_aggs + 1);
    return q->r->spill == NULL || query_memory(q) + bytes < q->limits.memory_max / 4 * 3;
}

/* --- finish ----------------------------------------------------------------------------------- */

static enum err finish_in_memory(struct series_sink *s, const struct one_series *list, uint64_t n,
                                 struct relation *out, struct diag *d)
{
    struct query *q = s->plan.q;
    struct mem *m = &s->tables[0].mem;
    struct relation r = {.n_rows = n, .n_mems = q->n_workers};
    r.batches = arena_array(&m->a, struct batch, (n + VEC_ROWS - 1) / VEC_ROWS);
    r.mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    if (r.batches == NULL || r.mems == NULL) return query_full(q, d);
    for (uint64_t at = 0; at < n; at += VEC_ROWS)
        TRY(series_batch(s, &s->tables[0], &list[at], n - at, SIZE_MAX, m,
                         &r.batches[r.n_batches++], d));
    for (unsigned i = 0; i < q->n_workers; i++)
        r.mems[i] = s->tables[i].mem;
    s->taken = true;
    *out = r;
    return OK;
}

static enum err series_finish(struct sink *sink, struct relation *out, struct diag *d)
{
    struct series_sink *s = (struct series_sink *)sink;
    if (groups_spilled(&s->plan, s->tables)) return finish_written(s, NULL, 0, out, d);
    TRY(groups_merge(&s->plan, s->tables, d));
    struct one_series *list;
    uint64_t n;
    TRY(series_of(s, &s->tables[0], &list, &n, d));
    struct one_series only_defaults = {.steps = s->n_steps};
    if (n == 0 && s->op->make_series.nonempty && s->op->make_series.n_keys == 0) {
        list = &only_defaults;
        n = 1;
    }
    return fits(s, list, n) ? finish_in_memory(s, list, n, out, d)
                            : finish_written(s, list, n, out, d);
}

static void series_close(struct sink *sink)
{
    struct series_sink *s = (struct series_sink *)sink;
    struct query *q = s->plan.q;
    for (unsigned i = 0; !s->taken && i < q->n_workers; i++)
        groups_close(q, &s->tables[i]);
}

/* --- building -------------------------------------------------------------------------------- */

static enum err read_axis(struct series_sink *s, struct diag *d)
{
    const struct op *op = s->op;
    struct query *q = s->plan.q;
    s->type = op->make_series.axis->type;
    TRY(eval_const(q, op->make_series.step, &s->step, d));
    if (op->make_series.from != NULL) TRY(eval_const(q, op->make_series.from, &s->from, d));
    if (op->make_series.to != NULL) TRY(eval_const(q, op->make_series.to, &s->to, d));
    s->has_from = op->make_series.from != NULL && !s->from.is_null;
    s->has_to = op->make_series.to != NULL && !s->to.is_null;
    bool real = s->type == T_REAL;
    if (s->step.is_null || (real ? !(s->step.r > 0) : s->step.i <= 0)) {
        return FAIL(d, ERR_INVALID, "make-series: the step must be more than zero");
    }
    if (!s->has_from || !s->has_to) return OK;
    double span = real ? s->to.r - s->from.r : (double)s->to.i - (double)s->from.i;
    double steps = span / (real ? s->step.r : (double)s->step.i);
    if (!(steps <= (double)SERIES_STEPS_MAX)) {
        return FAIL_TAG(d, ERR_LIMIT, "E_RUNAWAY_QUERY", "make-series: more than %lld steps",
                        (long long)SERIES_STEPS_MAX);
    }
    steps = op->make_series.inclusive ? floor(steps) + 1 : ceil(steps);
    s->n_steps = steps > 0 ? (int64_t)steps : 0;
    return OK;
}

static enum err read_defaults(struct series_sink *s, struct diag *d)
{
    uint32_t n = s->op->make_series.n_aggs;
    s->defaults = arena_array(&s->plan.q->mem.a, struct value, n);
    if (s->defaults == NULL) return query_full(s->plan.q, d);
    for (uint32_t i = 0; i < n; i++) {
        enum type t = s->op->make_series.aggs[i].call.ret;
        const struct expr *e = s->op->make_series.defaults[i];
        bool zero = t == T_INT || t == T_LONG || t == T_REAL || t == T_TIMESPAN;
        s->defaults[i] = (struct value){.type = t, .is_null = !zero};
        if (e != NULL) TRY(eval_const(s->plan.q, e, &s->defaults[i], d));
    }
    return OK;
}

/* Without keys all rows are one series, which must fit. */
static enum err may_spill(struct series_sink *s, struct diag *d)
{
    uint32_t n_keys = s->op->make_series.n_keys;
    if (n_keys == 0) return OK;
    enum type *types = arena_array(&s->plan.q->mem.a, enum type, n_keys + 1);
    if (types == NULL) return query_full(s->plan.q, d);
    for (uint32_t i = 0; i < n_keys; i++)
        types[i] = s->op->make_series.keys[i]->type;
    types[n_keys] = T_LONG;
    s->plan.key_tail = STEP_KEY_LEN;
    return groups_may_spill(&s->plan, types, d);
}

enum err make_series_sink(struct query *q, const struct op *op, const bool *needed,
                          const bool *in_needed, struct sink **out, struct diag *d)
{
    struct series_sink *s = arena_new(&q->mem.a, struct series_sink);
    if (s == NULL) return query_full(q, d);
    *s = (struct series_sink){.op = op, .in_needed = in_needed};
    s->sink =
        (struct sink){.stage = {series_push, NULL}, .finish = series_finish, .close = series_close};
    uint32_t n_keys = op->make_series.n_keys;
    TRY(groups_plan_init(&s->plan, q, n_keys + 1, op->make_series.aggs, op->make_series.n_aggs,
                         needed + n_keys, d));
    TRY(read_axis(s, d));
    TRY(read_defaults(s, d));
    TRY(may_spill(s, d));
    TRY(groups_new(&s->plan, &s->tables, d));
    s->sink.in_order = op_is_ordered(op->input);
    *out = &s->sink;
    return OK;
}
