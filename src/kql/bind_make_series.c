/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_make_series.c - make-series
 *
 * A series of one aggregate is made as it stands. What is computed from aggregates, sum(x) /
 * count(), is summarized by the axis' steps first; then each step has one row, whose value the
 * series takes.
 */
#include "kql/bind_agg.h"

/* The default of a series: a constant of the aggregate's type. */
static enum err series_default(struct summary *r, const struct ast *series, uint32_t place,
                               struct expr **out)
{
    struct scope s = r->rows;
    s.row = NULL;
    *out = NULL;
    if (series->right == NULL) return OK;
    TRY(bind_const(&s, series->right, out));
    return expr_cast(&s, series->right->pos, *out, r->aggs.uses[place].call.ret, true, out);
}

static enum err series_bound(struct summary *r, const struct ast *n, enum type type,
                             struct expr **out)
{
    *out = NULL;
    if (n == NULL) return OK;
    struct scope s = r->rows;
    s.row = NULL;
    TRY(bind_expr(&s, n, out));
    return expr_cast(&s, n->pos, *out, type, true, out);
}

static enum err series_axis(struct summary *r, struct op_cx *cx, struct op *op, const char **name)
{
    const struct ast *on = cx->ast->left;
    struct scope s = r->rows;
    *name = item_name(on, 0);
    if ((*name)[0] == '\0') *name = auto_name(r->rows.b, on);
    if ((*name)[0] == '\0') TRY(names_unnamed(&r->names, name));
    TRY(bind_expr(&s, item_value(on), &op->make_series.axis));
    if (op->make_series.axis->type == T_DYNAMIC && s.is_loose)
        TRY(expr_cast(&s, on->pos, op->make_series.axis, T_DATETIME, true, &op->make_series.axis));
    enum type type = op->make_series.axis->type;
    bool numbers = (TM(type) & TM_NUMERIC) != 0;
    if (!numbers && type != T_DATETIME && type != T_TIMESPAN) {
        return FAIL_TAG(diag_at(r->rows.b->d, on->pos), ERR_INVALID, "SEM0138",
                        "'make-series' runs over numbers, datetimes or timespans, not a %s",
                        type_name(type));
    }
    struct ast *const *range = cx->ast->extra->args.at;
    op->make_series.inclusive = cx->ast->extra->is_open;
    TRY(series_bound(r, range[0], type, &op->make_series.from));
    TRY(series_bound(r, range[1], type, &op->make_series.to));
    return series_bound(r, range[2], type == T_DATETIME ? T_TIMESPAN : type, &op->make_series.step);
}

static enum err plain_series(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"kind", NULL};
    struct binder *b = cx->b;
    struct summary r;
    struct op *op;
    const char *axis_name;
    summary_init(&r, cx);
    TRY(check_params(cx, allowed));
    TRY(op_new(b, OP_MAKE_SERIES, cx->in, cx->ast->pos, &op));
    TRY(summary_by(&r, &cx->ast->by));
    const char *kind = param_word(cx->ast, "kind");
    op->make_series.nonempty = kind != NULL && strcmp(kind, "nonempty") == 0;
    uint32_t n = cx->ast->args.n;
    op->make_series.defaults = arena_array(b->a, struct expr *, n + 1);
    struct column *cols = arena_array(b->a, struct column, (size_t)r.n + n + 2);
    if (op->make_series.defaults == NULL || cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        const struct ast *series = cx->ast->args.at[i], *value = item_value(series->left);
        TRY(summary_aggregate(&r, series->left, value));
        TRY(series_default(&r, series, i, &op->make_series.defaults[i]));
    }
    TRY(series_axis(&r, cx, op, &axis_name));
    for (uint32_t i = 0; i < r.n; i++) {
        bool key = i < r.aggs.n_keys;
        cols[i] =
            (struct column){.name = r.cols[i].name, .type = key ? r.aggs.keys[i]->type : T_DYNAMIC};
        if (!key) r.aggs.uses[i - r.aggs.n_keys].name = cols[i].name;
    }
    TRY(names_add(&r.names, axis_name, false, cx->ast->pos, &cols[r.n].name));
    cols[r.n].type = T_DYNAMIC;
    op->schema = (struct schema){.n = r.n + 1, .cols = cols};
    op->make_series.n_keys = r.aggs.n_keys;
    op->make_series.keys = r.aggs.keys;
    op->make_series.n_aggs = r.aggs.n;
    op->make_series.aggs = r.aggs.uses;
    *out = op;
    return OK;
}

/* --- expressions over aggregates -------------------------------------------------------------- */

static enum err make_node(struct binder *b, enum ast_kind kind, const char *name, uint32_t pos,
                          struct ast **out)
{
    struct ast *n = arena_new(b->a, struct ast);
    if (n == NULL) return bind_full(b);
    *n = (struct ast){.kind = kind, .name = name, .pos = pos, .end = pos};
    *out = n;
    return OK;
}

static enum err make_call(struct binder *b, enum ast_kind kind, const char *name, uint32_t pos,
                          struct ast *const *args, uint32_t n, struct ast **out)
{
    TRY(make_node(b, kind, name, pos, out));
    (*out)->args.at = arena_array(b->a, struct ast *, n + 1);
    if ((*out)->args.at == NULL) return bind_full(b);
    memcpy((*out)->args.at, args, n * sizeof *args);
    (*out)->args.n = n;
    return OK;
}

static enum err make_named(struct binder *b, const char *name, struct ast *value, struct ast **out)
{
    struct ast *given;
    TRY(make_node(b, AST_NAME, name, value->pos, &given));
    TRY(make_node(b, AST_NAMED, NULL, value->pos, out));
    (*out)->names.at = arena_array(b->a, struct ast *, 1);
    if ((*out)->names.at == NULL) return bind_full(b);
    (*out)->names.at[0] = given;
    (*out)->names.n = 1;
    (*out)->left = value;
    return OK;
}

/* Rows outside of the series must not come into the steps at its ends. */
static enum err within_bounds(struct op_cx *cx, struct ast *axis, struct op **out)
{
    struct binder *b = cx->b;
    struct ast *const *range = cx->ast->extra->args.at;
    const char *until = cx->ast->extra->is_open ? "op <=" : "op <";
    *out = cx->in;
    for (int i = 0; i < 2; i++) {
        struct ast *sides[] = {axis, range[i]}, *condition;
        if (range[i] == NULL) continue;
        TRY(make_call(b, AST_OPER, i == 0 ? "op >=" : until, axis->pos, sides, 2, &condition));
        struct ast where = {.kind = AST_OPERATOR,
                            .op = OPER_WHERE,
                            .name = "make-series",
                            .pos = cx->ast->pos,
                            .left = condition};
        struct op_cx inner = *cx;
        inner.ast = &where;
        inner.in = *out;
        TRY(bind_where(&inner, out));
    }
    return OK;
}

struct computed { /* the two operators that a make-series of expressions becomes */
    struct op_cx *cx;
    struct ast summarize, series;
};

static enum err add_series(struct computed *c, uint32_t i)
{
    struct binder *b = c->cx->b;
    struct ast *item = c->cx->ast->args.at[i], *column, *value, *call, *named;
    const char *hidden = arena_fmt(b->a, "$series%u", i), *name = item_name(item->left, 0);
    if (name[0] == '\0') name = auto_name(b, item->left);
    if (name[0] == '\0') name = arena_fmt(b->a, "Column%u", i + 1);
    if (hidden == NULL || name == NULL) return bind_full(b);
    value = item->left->kind == AST_NAMED ? item->left->left : item->left;
    TRY(make_named(b, hidden, value, &c->summarize.args.at[i]));
    TRY(make_node(b, AST_NAME, hidden, value->pos, &column));
    TRY(make_call(b, AST_CALL, "take_any", value->pos, &column, 1, &call));
    TRY(make_named(b, name, call, &named));
    TRY(make_node(b, AST_PARAM, NULL, value->pos, &c->series.args.at[i]));
    c->series.args.at[i]->left = named;
    c->series.args.at[i]->right = item->right;
    return OK;
}

static enum err add_key(struct computed *c, uint32_t i)
{
    struct binder *b = c->cx->b;
    struct ast *key = c->cx->ast->by.at[i];
    const char *name = auto_name(b, key);
    if (name[0] == '\0') name = arena_fmt(b->a, "Column%u", i + 1);
    if (name == NULL) return bind_full(b);
    struct ast *value = key->kind == AST_NAMED ? key->left : key;
    TRY(make_named(b, name, value, &c->summarize.by.at[i]));
    return make_node(b, AST_NAME, name, key->pos, &c->series.by.at[i]);
}

/* by ..., $axis = bin_at(axis, step, from) */
static enum err add_axis(struct computed *c, struct ast *axis)
{
    struct binder *b = c->cx->b;
    struct ast *const *range = c->cx->ast->extra->args.at;
    struct ast *args[] = {axis, range[2], range[0]}, *bin, *column;
    bool from = range[0] != NULL;
    const char *name = auto_name(b, c->cx->ast->left);
    TRY(make_call(b, AST_CALL, from ? "bin_at" : "bin", axis->pos, args, from ? 3 : 2, &bin));
    TRY(make_named(b, "$axis", bin, &c->summarize.by.at[c->cx->ast->by.n]));
    TRY(make_node(b, AST_NAME, "$axis", axis->pos, &column));
    return make_named(b, name[0] != '\0' ? name : "Column1", column, &c->series.left);
}

static enum err computed_series(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    struct computed c = {.cx = cx, .summarize = *cx->ast, .series = *cx->ast};
    struct ast *axis = cx->ast->left->kind == AST_NAMED ? cx->ast->left->left : cx->ast->left;
    struct op_cx inner = *cx;
    c.summarize.op = OPER_SUMMARIZE;
    c.summarize.args.at = arena_array(b->a, struct ast *, cx->ast->args.n + 1);
    c.summarize.by.at = arena_array(b->a, struct ast *, cx->ast->by.n + 1);
    c.summarize.by.n = cx->ast->by.n + 1;
    c.series.args.at = arena_array(b->a, struct ast *, cx->ast->args.n + 1);
    c.series.by.at = arena_array(b->a, struct ast *, cx->ast->by.n + 1);
    if (c.summarize.args.at == NULL || c.summarize.by.at == NULL || c.series.args.at == NULL ||
        c.series.by.at == NULL)
        return bind_full(b);
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(add_series(&c, i));
    for (uint32_t i = 0; i < cx->ast->by.n; i++)
        TRY(add_key(&c, i));
    TRY(add_axis(&c, axis));
    TRY(within_bounds(cx, axis, &inner.in));
    inner.ast = &c.summarize;
    TRY(bind_summarize(&inner, &inner.in));
    inner.ast = &c.series;
    return plain_series(&inner, out);
}

/* percentiles(x, 5, 95) is a series for each share. */
static enum err split_percentiles(struct op_cx *cx, struct ast *out)
{
    struct binder *b = cx->b;
    size_t n = 0;
    for (uint32_t i = 0; i < out->args.n; i++)
        n += item_value(out->args.at[i]->left)->args.n + 1;
    struct ast **at = arena_array(b->a, struct ast *, n);
    if (at == NULL) return bind_full(b);
    n = 0;
    for (uint32_t i = 0; i < out->args.n; i++) {
        struct ast *item = out->args.at[i];
        const struct ast *value = item_value(item->left);
        uint32_t first = strcmp(value->name != NULL ? value->name : "", "percentiles") == 0 ? 1 : 2;
        bool several = value->kind == AST_CALL && value->args.n > first &&
                       (first == 1 || strcmp(value->name, "percentilesw") == 0);
        if (!several) at[n++] = item;
        for (uint32_t k = first; several && k < value->args.n; k++) {
            struct ast *args[] = {value->args.at[0], value->args.at[first - 1], value->args.at[k]};
            const char *name = item_name(item->left, k - first);
            struct ast *call;
            args[first] = value->args.at[k];
            TRY(make_call(b, AST_CALL, first == 1 ? "percentile" : "percentilew", value->pos, args,
                          first + 1, &call));
            TRY(make_node(b, item->kind, NULL, item->pos, &at[n]));
            *at[n] = *item;
            at[n]->left = call;
            if (name[0] != '\0') TRY(make_named(b, name, call, &at[n]->left));
            n++;
        }
    }
    out->args.at = at;
    out->args.n = (uint32_t)n;
    return OK;
}

enum err bind_make_series(struct op_cx *cx, struct op **out)
{
    struct ast split = *cx->ast;
    struct op_cx inner = *cx;
    TRY(split_percentiles(cx, &split));
    inner.ast = &split;
    cx = &inner;
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        const struct ast *value = item_value(cx->ast->args.at[i]->left);
        if (value->kind != AST_CALL || agg_find(value->name) == NULL)
            return computed_series(cx, out);
    }
    return plain_series(cx, out);
}
