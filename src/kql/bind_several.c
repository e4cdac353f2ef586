/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_several.c - functions that give several columns: extend (a, b) = series_fit_line(y)
 *
 * The registry knows such a function as one that gives a bag: under its documented twin's name, as
 * series_stats_dynamic, or as "columns series_fft", which no query can write. The bag is computed
 * once, in a projection below, and then taken apart. array_sort_asc() and array_sort_desc() of
 * several arrays give an array of arrays, which is taken apart in the same way.
 */
#include "kql/bind.h"

struct member {
    const char *name;
    enum type type;
};

#define MEMBERS_MAX 15
static const struct {
    const char *function, *bag;
    struct member members[MEMBERS_MAX + 1];
} several[] = {
    {"series_decompose",
     "columns series_decompose",
     {{"baseline", T_DYNAMIC},
      {"seasonal", T_DYNAMIC},
      {"trend", T_DYNAMIC},
      {"residual", T_DYNAMIC}}},
    {"series_decompose_anomalies",
     "columns series_decompose_anomalies",
     {{"ad_flag", T_DYNAMIC}, {"ad_score", T_DYNAMIC}, {"baseline", T_DYNAMIC}}},
    {"series_decompose_forecast",
     "columns series_decompose_forecast",
     {{"baseline", T_DYNAMIC},
      {"seasonal", T_DYNAMIC},
      {"trend", T_DYNAMIC},
      {"residual", T_DYNAMIC}}},
    {"series_fft", "columns series_fft", {{"real", T_DYNAMIC}, {"imag", T_DYNAMIC}}},
    {"series_ifft", "columns series_ifft", {{"real", T_DYNAMIC}, {"imag", T_DYNAMIC}}},
    {"series_fit_2lines",
     "series_fit_2lines_dynamic",
     {{"rsquare", T_REAL},
      {"split_idx", T_LONG},
      {"variance", T_REAL},
      {"rvariance", T_REAL},
      {"line_fit", T_DYNAMIC},
      {"right_rsquare", T_REAL},
      {"right_slope", T_REAL},
      {"right_interception", T_REAL},
      {"right_variance", T_REAL},
      {"right_rvariance", T_REAL},
      {"left_rsquare", T_REAL},
      {"left_slope", T_REAL},
      {"left_interception", T_REAL},
      {"left_variance", T_REAL},
      {"left_rvariance", T_REAL}}},
    {"series_fit_line",
     "series_fit_line_dynamic",
     {{"rsquare", T_REAL},
      {"slope", T_REAL},
      {"variance", T_REAL},
      {"rvariance", T_REAL},
      {"interception", T_REAL},
      {"line_fit", T_DYNAMIC}}},
    {"series_fit_poly",
     "columns series_fit_poly",
     {{"rsquare", T_REAL},
      {"coefficients", T_DYNAMIC},
      {"variance", T_REAL},
      {"rvariance", T_REAL},
      {"poly_fit", T_DYNAMIC}}},
    {"series_periods_detect",
     "columns series_periods_detect",
     {{"periods", T_DYNAMIC}, {"scores", T_DYNAMIC}}},
    {"series_periods_validate",
     "columns series_periods_validate",
     {{"periods", T_DYNAMIC}, {"scores", T_DYNAMIC}}},
    {"series_stats",
     "series_stats_dynamic",
     {{"min", T_REAL},
      {"min_idx", T_LONG},
      {"max", T_REAL},
      {"max_idx", T_LONG},
      {"avg", T_REAL},
      {"stdev", T_REAL},
      {"variance", T_REAL}}},
};

#define SORTED 1000 /* stands for a row: of arrays that are sorted together */

static bool is_sort(const char *name)
{
    return strcmp(name, "array_sort_asc") == 0 || strcmp(name, "array_sort_desc") == 0;
}

/* How many arrays are sorted: the last argument may be a bool. */
static uint32_t sorted_arrays(const struct ast *call)
{
    uint32_t n = call->args.n;
    const struct ast *last = n > 0 ? call->args.at[n - 1] : NULL;
    bool option = last != NULL && last->kind == AST_CONST && last->value.type == T_BOOL;
    return n - option;
}

/* The row of the table, SORTED, or -1: the function gives one column, or is the query's own. */
static int find_several(struct binding *names, const struct ast *call)
{
    if (call->kind != AST_CALL || find_binding(names, call->name) != NULL) return -1;
    if (is_sort(call->name)) {
        uint32_t n = sorted_arrays(call);
        return n > 1 && n <= SEVERAL_MAX ? SORTED : -1;
    }
    for (size_t i = 0; i < sizeof several / sizeof several[0]; i++) {
        if (strcmp(several[i].function, call->name) == 0) return (int)i;
    }
    return -1;
}

bool several_there(const char *name)
{
    for (size_t i = 0; i < sizeof several / sizeof several[0]; i++) {
        if (strcmp(several[i].function, name) == 0) return fn_find(several[i].bag) != NULL;
    }
    return false;
}

static const struct ast *value_of(const struct ast *item)
{
    return item->kind == AST_NAMED ? item->left : item;
}

bool gives_several(struct binding *names, const struct ast *item)
{
    return find_several(names, value_of(item)) >= 0;
}

static enum err bind_bag(struct scope *s, const struct ast *call, const char *bag,
                         struct expr **out)
{
    struct ast twin = *call;
    twin.name = bag;
    if (fn_find(bag) != NULL) return bind_expr(s, &twin, out);
    return FAIL(diag_at(s->b->d, call->pos), ERR_UNSUPPORTED, "the function %s() is not supported",
                call->name);
}

enum err bind_bags(struct scope *s, const struct ast_list *items, struct op *in, struct op **out)
{
    struct binder *b = s->b;
    uint32_t n = in->schema.n;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n + items->n + 1);
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < items->n; i++) {
        const struct ast *call = value_of(items->at[i]);
        int row = find_several(s->names, call);
        if (row < 0) continue;
        exprs[n].name = "";
        TRY(bind_bag(s, call, row == SORTED ? call->name : several[row].bag, &exprs[n++].expr));
    }
    *out = in;
    if (n == in->schema.n) return OK;
    for (uint32_t i = 0; i < in->schema.n; i++) {
        exprs[i].name = in->schema.cols[i].name;
        TRY(expr_col(b, &in->schema, i, &exprs[i].expr));
    }
    return op_project(b, in, items->at[0]->pos, exprs, n, out);
}

static enum err bind_member(struct scope *s, uint32_t pos, struct expr *bag, const struct member *m,
                            struct expr **out)
{
    struct expr *name;
    TRY(expr_string(s->b, m->name, &name));
    TRY(expr_call2(s, pos, "op path", bag, name, out));
    return expr_cast(s, pos, *out, m->type, true, out);
}

static const char *given_name(const struct ast *item, uint32_t k)
{
    const struct ast *given =
        item->kind == AST_NAMED && k < item->names.n ? item->names.at[k] : NULL;
    return given != NULL ? given->name : NULL;
}

/* a_sorted, b_sorted; what has no name is array1_sorted by its place. */
static enum err bind_sorted(struct scope *s, const struct ast *item, struct expr *arrays,
                            struct several_column *out, uint32_t *n)
{
    struct binder *b = s->b;
    const struct ast *call = value_of(item);
    *n = sorted_arrays(call);
    for (uint32_t k = 0; k < *n; k++) {
        struct value place = {.type = T_LONG, .i = k};
        struct expr *index;
        const char *given = given_name(item, k), *arg = auto_name(b, call->args.at[k]);
        TRY(expr_const(b, &place, &index));
        TRY(expr_call2(s, item->pos, "op index", arrays, index, &out[k].expr));
        out[k].given = given != NULL;
        out[k].name = given != NULL    ? given
                      : arg[0] != '\0' ? arena_fmt(b->a, "%s_sorted", arg)
                                       : arena_fmt(b->a, "array%u_sorted", k);
        if (out[k].name == NULL) return bind_full(b);
    }
    return OK;
}

enum err bind_members(struct scope *s, const struct ast *item, struct expr *bag,
                      struct several_column *out, uint32_t *n)
{
    struct binder *b = s->b;
    const struct ast *call = value_of(item);
    int row = find_several(s->names, call);
    if (row == SORTED) return bind_sorted(s, item, bag, out, n);
    const char *arg = call->args.n > 0 ? auto_name(b, call->args.at[0]) : "";
    uint32_t n_given = item->kind == AST_NAMED ? item->names.n : 0;
    *n = 0;
    for (const struct member *m = several[row].members; m->name != NULL; m++) {
        struct several_column *c = &out[(*n)++];
        const char *given = given_name(item, *n - 1);
        c->given = given != NULL;
        c->name = c->given ? given : arena_fmt(b->a, "%s_%s_%s", call->name, arg, m->name);
        if (c->name == NULL) return bind_full(b);
        TRY(bind_member(s, item->pos, bag, m, &c->expr));
        if (n_given > 0 && !item->is_open) return OK; /* x = f() is the first, (x) = f() all */
    }
    if (n_given <= *n) return OK;
    return FAIL_TAG(diag_at(b->d, item->pos), ERR_INVALID, "SEM0149",
                    "%s() gives %u columns, not %u", call->name, *n, n_given);
}
