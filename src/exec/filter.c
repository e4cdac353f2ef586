/* SPDX-License-Identifier: Apache-2.0 */
/* exec/filter.c - where: keeps the rows for which every condition is true, cheapest condition first
 */
#include "exec/run.h"

#include "base/str.h"

static bool is_and(const struct expr *e)
{
    return e->kind == EXPR_CALL && str_eq(e->call.fn->name, "op and");
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

static uint32_t count_parts(const struct expr *e)
{
    return is_and(e) ? count_parts(e->args[0]) + count_parts(e->args[1]) : 1;
}

/* Behind those that cost no more: conditions of one cost keep their order. */
static void insert(struct conditions *c, struct expr *e)
{
    uint32_t k = c->n++;
    for (; k > 0 && cost(e) < cost(c->exprs[k - 1]); k--)
        c->exprs[k] = c->exprs[k - 1];
    c->exprs[k] = e;
    expr_columns(e, c->columns);
}

static void insert_parts(struct conditions *c, struct expr *e)
{
    if (!is_and(e)) {
        insert(c, e);
        return;
    }
    insert_parts(c, e->args[0]);
    insert_parts(c, e->args[1]);
}

enum err conditions_add(struct query *q, const struct op *filter, const struct conditions *more,
                        struct conditions **out, struct diag *d)
{
    struct arena *a = &q->mem.a;
    uint32_t n = count_parts(filter->filter.condition) + (more != NULL ? more->n : 0);
    struct conditions *c = arena_new(a, struct conditions);
    if (c == NULL) return query_full(q, d);
    c->exprs = arena_array(a, struct expr *, n);
    c->columns = arena_array(a, bool, filter->schema.n);
    if (c->exprs == NULL || c->columns == NULL) return query_full(q, d);
    insert_parts(c, filter->filter.condition);
    for (uint32_t i = 0; more != NULL && i < more->n; i++)
        insert(c, more->exprs[i]);
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
    const uint32_t *before = w->row_ids;
    for (uint32_t i = 0; before != NULL && i < n; i++)
        rows[i] = before[rows[i]];
    w->row_ids = rows;
    enum err e = stage_push(s->next, w, &out);
    w->row_ids = before;
    return e;
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
