/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_scan.c - scan: steps that rows match one after the other
 *
 * Each step k keeps the sequence that has come as far as it: the last match of steps 0..k, and the
 * number of the sequence. A row is held against the steps from the last to the first. It matches
 * step k if the step before has a sequence and the condition holds over that: the sequence moves on
 * to step k. Otherwise it matches if step k itself has one (or k is the first, which may begin one)
 * and the condition holds over that.
 */
#include "exec/whole.h"

struct sequence {
    bool active;
    int64_t id;
    struct value *matches; /* n_steps parts of `width` values */
};

struct scanner {
    struct whole *w;
    const struct scan_steps *plan;
    uint32_t n_in, width;    /* columns of the input; of a part */
    struct sequence *states; /* per step */
    int64_t next_id;
    struct value *defaults; /* of the declared columns */
    struct value *row;      /* the part under way */
    struct value *made;     /* with what a step gives to it */
    struct batch one;       /* of one row: all parts */
    uint64_t **nulls;
    bool *used;      /* columns of the wide row that some expression reads */
    struct pending { /* output=last: the match that is not put out yet */
        bool there;
        int64_t id;
        struct value *part;
    } * pending; /* per step */
};

/* --- evaluation over one row ----------------------------------------------------------------- */

static void set_part(struct scanner *x, uint32_t part, const struct value *values)
{
    for (uint32_t i = 0; i < x->width; i++) {
        uint32_t col = part * x->width + i;
        if (!x->used[col]) continue;
        struct vec *v = &x->one.cols[col];
        v->data = &values[i].u;
        v->nulls = values[i].is_null ? x->nulls[1] : NULL;
    }
}

static enum err evaluate(struct scanner *x, const struct expr *e, struct value *out)
{
    struct worker *w = &x->w->q->workers[0]; /* free between pipelines */
    struct vec v;
    enum err r = eval_into(w, &w->scratch.a, e, &x->one, &v);
    if (r != OK) {
        return r == ERR_LIMIT ? query_full(x->w->q, x->w->d)
                              : FAIL_TAG(x->w->d, r, w->d.tag, "%s", w->d.text);
    }
    *out = vec_value(&v, 0);
    return OK;
}

static enum err holds(struct scanner *x, uint32_t step, bool *out)
{
    struct value v;
    TRY(evaluate(x, x->plan->steps[step].condition, &v));
    *out = !v.is_null && v.b;
    return OK;
}

/* The row with the values that the step gives becomes the step's match; until then the old one may
 * be read. Strings are copied, for they outlive scratch. */
static enum err match(struct scanner *x, uint32_t step, struct sequence *q)
{
    const struct scan_step *s = &x->plan->steps[step];
    struct value *part = x->made;
    memcpy(part, x->row, x->width * sizeof *part);
    for (uint32_t i = 0; i < x->plan->n_declared; i++) {
        struct value *v = &part[x->n_in + i];
        if (s->values[i] == NULL) continue;
        TRY(evaluate(x, s->values[i], v));
        if (v->is_null || (v->type != T_STRING && v->type != T_DYNAMIC)) continue;
        v->s = arena_bytes(&x->w->m->a, v->s);
        if (v->s.p == NULL) return query_full(x->w->q, x->w->d);
    }
    memcpy(q->matches + (size_t)step * x->width, part, x->width * sizeof *part);
    return OK;
}

/* --- output ---------------------------------------------------------------------------------- */

static void put_part(struct scanner *x, const struct value *part, int64_t id)
{
    for (uint32_t i = 0; i < x->width; i++)
        vecb_value_borrow(&x->w->out[i], &part[i]);
    if (x->plan->match_id) vecb_i64(&x->w->out[x->width], id);
}

static void flush(struct scanner *x, uint32_t step)
{
    struct pending *p = &x->pending[step];
    if (p->there) put_part(x, p->part, p->id);
    p->there = false;
}

static void put_match(struct scanner *x, uint32_t step)
{
    const struct sequence *q = &x->states[step];
    const struct value *part = q->matches + (size_t)step * x->width;
    struct pending *p = &x->pending[step];
    if (x->plan->steps[step].output == SCAN_ALL) {
        put_part(x, part, q->id);
    } else if (x->plan->steps[step].output == SCAN_LAST) {
        memcpy(p->part, part, x->width * sizeof *part);
        p->id = q->id;
        p->there = true;
    }
}

/* --- matching -------------------------------------------------------------------------------- */

static void see(struct scanner *x, const struct sequence *q)
{
    for (uint32_t i = 0; i < x->plan->n; i++)
        set_part(x, i + 1, q->matches + (size_t)i * x->width);
}

static void clear(struct scanner *x, struct sequence *q)
{
    q->active = false;
    for (uint32_t i = 0; i < x->plan->n; i++) {
        struct value *part = q->matches + (size_t)i * x->width;
        for (uint32_t c = 0; c < x->n_in; c++) {
            enum type t = x->w->op->schema.cols[c].type;
            part[c] = (struct value){.type = t, .is_null = t != T_STRING};
        }
        memcpy(part + x->n_in, x->defaults, x->plan->n_declared * sizeof *part);
    }
}

/* The sequence of the step before moves on. */
static enum err try_advance(struct scanner *x, uint32_t step, bool *matched)
{
    *matched = false;
    if (step == 0 || !x->states[step - 1].active) return OK;
    struct sequence *from = &x->states[step - 1], *to = &x->states[step], free_one = *to;
    see(x, from);
    TRY(holds(x, step, matched));
    if (!*matched) return OK;
    flush(x, step - 1);
    flush(x, step);
    TRY(match(x, step, from));
    *to = *from;
    *from = free_one;
    clear(x, from);
    put_match(x, step);
    return OK;
}

static enum err try_repeat(struct scanner *x, uint32_t step)
{
    struct sequence *q = &x->states[step];
    bool matched;
    if (!q->active && step > 0) return OK;
    see(x, q);
    TRY(holds(x, step, &matched));
    if (!matched) return OK;
    TRY(match(x, step, q));
    if (!q->active) q->id = x->next_id++;
    q->active = true;
    put_match(x, step);
    return OK;
}

static enum err scan_row(struct scanner *x, uint32_t row)
{
    for (uint32_t i = 0; i < x->n_in; i++)
        x->row[i] = vec_value(&x->w->cols[i], row);
    set_part(x, 0, x->row);
    for (uint32_t k = x->plan->n; k-- > 0;) {
        bool matched;
        TRY(try_advance(x, k, &matched));
        if (!matched) TRY(try_repeat(x, k));
    }
    return OK;
}

/* --- all rows -------------------------------------------------------------------------------- */

static enum err prepare(struct scanner *x)
{
    struct arena *a = &x->w->m->a;
    uint32_t n = x->plan->n, parts = n + 1, wide = parts * x->width;
    x->states = arena_array(a, struct sequence, n);
    x->pending = arena_array(a, struct pending, n);
    x->row = arena_array(a, struct value, x->width);
    x->made = arena_array(a, struct value, x->width);
    x->defaults = arena_array(a, struct value, x->plan->n_declared + 1);
    x->used = arena_array(a, bool, wide);
    x->nulls = arena_array(a, uint64_t *, 2);
    x->one = (struct batch){.n_rows = 1, .n_cols = wide};
    x->one.cols = arena_array(a, struct vec, wide);
    bool ok = x->states != NULL && x->pending != NULL && x->row != NULL && x->made != NULL &&
              x->defaults != NULL && x->used != NULL && x->nulls != NULL && x->one.cols != NULL;
    if (ok) x->nulls[1] = arena_array(a, uint64_t, 1);
    if (!ok || x->nulls[1] == NULL) return query_full(x->w->q, x->w->d);
    bit_set(x->nulls[1], 0);
    for (uint32_t i = 0; i < wide; i++) {
        enum type t = x->w->op->schema.cols[i % x->width].type;
        x->one.cols[i] = (struct vec){.type = t, .shape = VEC_CONST, .n = 1};
    }
    for (uint32_t k = 0; k < n; k++) {
        expr_columns(x->plan->steps[k].condition, x->used);
        for (uint32_t i = 0; i < x->plan->n_declared; i++) {
            if (x->plan->steps[k].values[i] != NULL)
                expr_columns(x->plan->steps[k].values[i], x->used);
        }
    }
    return OK;
}

static enum err prepare_states(struct scanner *x)
{
    struct arena *a = &x->w->m->a;
    for (uint32_t i = 0; i < x->plan->n_declared; i++) {
        TRY(eval_const(x->w->q, x->plan->defaults[i], &x->defaults[i], x->w->d));
        x->row[x->n_in + i] = x->defaults[i];
    }
    for (uint32_t k = 0; k < x->plan->n; k++) {
        x->states[k].matches = arena_array(a, struct value, (size_t)x->plan->n * x->width);
        x->pending[k].part = arena_array(a, struct value, x->width);
        if (x->states[k].matches == NULL || x->pending[k].part == NULL) {
            return query_full(x->w->q, x->w->d);
        }
        clear(x, &x->states[k]);
    }
    return OK;
}

enum err whole_scan(struct whole *w)
{
    struct scanner x = {.w = w, .plan = w->op->whole.more, .n_in = w->op->input->schema.n};
    struct worker *worker = &w->q->workers[0];
    x.width = x.n_in + x.plan->n_declared;
    TRY(prepare(&x));
    TRY(prepare_states(&x));
    diag_reset(&worker->d);
    for (uint32_t i = 0; i < w->n; i++) {
        if (i % 256 == 0) TRY(whole_check(w));
        mem_clear(w->q, &worker->scratch);
        TRY(scan_row(&x, i));
    }
    for (uint32_t k = 0; k < x.plan->n; k++)
        flush(&x, k);
    return OK;
}
