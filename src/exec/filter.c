/* SPDX-License-Identifier: Apache-2.0 */
/* exec/filter.c - where: keeps the rows for which every condition is true, cheapest condition first
 */
#include "exec/run.h"

#include "base/str.h"

#include <stdlib.h>

static bool is_and(const struct expr *e)
{
    return e->kind == EXPR_CALL && str_eq(e->call.fn->name, "op and");
}

static uint32_t count_parts(const struct expr *e)
{
    return is_and(e) ? count_parts(e->args[0]) + count_parts(e->args[1]) : 1;
}

static void add_parts(const struct expr *e, struct conditions *c)
{
    if (is_and(e)) {
        add_parts(e->args[0], c);
        add_parts(e->args[1], c);
    } else {
        c->exprs[c->n++] = e;
    }
}

/* Only an order: one per call, more where text is looked at, much more for a regex. */
static uint32_t cost(const struct expr *e)
{
    if (e->kind != EXPR_CALL) return 0;
    uint32_t sum = 1;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        sum += cost(e->args[i]);
        if (e->args[i]->type == T_STRING || e->args[i]->type == T_DYNAMIC) sum += 4;
    }
    return strstr(e->call.fn->name, "regex") != NULL ? sum + 50 : sum;
}

static void sort_by_cost(struct conditions *c)
{
    for (uint32_t i = 1; i < c->n; i++) {
        const struct expr *x = c->exprs[i];
        uint32_t k = i;
        for (; k > 0 && cost(x) < cost(c->exprs[k - 1]); k--)
            c->exprs[k] = c->exprs[k - 1];
        c->exprs[k] = x;
    }
}

enum err conditions_of(struct query *q, const struct op **op, struct conditions *out,
                       struct diag *d)
{
    uint32_t n = 0;
    const struct op *last = *op, *below = *op;
    for (; below->kind == OP_FILTER; below = below->input) {
        n += count_parts(below->filter.condition);
        last = below;
    }
    struct conditions c = {0};
    c.exprs = arena_array(&q->mem.a, const struct expr *, n);
    c.columns = arena_array(&q->mem.a, bool, last->schema.n);
    if (c.exprs == NULL || c.columns == NULL) return query_full(q, d);
    for (const struct op *f = *op; f != below; f = f->input)
        add_parts(f->filter.condition, &c);
    for (uint32_t i = 0; i < c.n; i++)
        expr_columns(c.exprs[i], c.columns);
    if (c.n < 100) sort_by_cost(&c);
    *op = below;
    *out = c;
    return OK;
}

enum err conditions_apply(struct worker *w, const struct conditions *c, const struct batch *in,
                          uint32_t *rows, uint32_t *n_rows)
{
    struct arena *a = &w->scratch.a;
    uint32_t *found = arena_array(a, uint32_t, in->n_rows);
    if (found == NULL) return query_full(w->q, &w->d);
    struct batch left = *in; /* what the conditions so far have left, dense where that pays */
    uint32_t n = in->n_rows;
    bool dense = true; /* left is `in` itself */
    for (uint32_t i = 0; i < c->n && n != 0; i++) {
        struct vec v;
        TRY(eval(w, c->exprs[i], &left, &v));
        uint32_t k = rows_true(&v, found);
        if (k == left.n_rows) continue;
        for (uint32_t r = 0; r < k; r++)
            rows[r] = dense ? found[r] : rows[found[r]];
        n = k;
        dense = false;
        if (i + 1 < c->n && n != 0) {
            TRY(batch_select(a, in, c->columns, rows, n, &left, &w->d));
        }
    }
    for (uint32_t r = 0; dense && r < n; r++)
        rows[r] = r;
    *n_rows = n;
    return OK;
}

struct filter {
    struct stage stage;
    const struct conditions *conditions;
    const bool *needed;
};

static enum err filter_push(const struct stage *s, struct worker *w, const struct batch *in)
{
    const struct filter *f = (const struct filter *)s;
    uint32_t *rows = arena_array(&w->scratch.a, uint32_t, in->n_rows), n;
    if (rows == NULL) return query_full(w->q, &w->d);
    TRY(conditions_apply(w, f->conditions, in, rows, &n));
    if (n == in->n_rows) return stage_push(s->next, w, in);
    if (n == 0) return OK;
    struct batch out;
    TRY(batch_select(&w->scratch.a, in, f->needed, rows, n, &out, &w->d));
    return stage_push(s->next, w, &out);
}

enum err filter_stage(struct query *q, const struct conditions *c, const bool *needed,
                      const struct stage *next, const struct stage **out, struct diag *d)
{
    struct filter *f = arena_new(&q->mem.a, struct filter);
    if (f == NULL) return query_full(q, d);
    *f = (struct filter){.stage = {filter_push, next}, .conditions = c, .needed = needed};
    *out = &f->stage;
    return OK;
}
