/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_summarize.c - summarize and distinct
 *
 * Every aggregate becomes a column behind the keys of one SUMMARIZE; what is computed from
 * aggregates is a projection over it. arg_max(x, a, b) and take_any(a, b) become one aggregate for
 * each column: arg_max(x, x), arg_max(x, a), arg_max(x, b), whose first argument decides and whose
 * second is the result.
 */
#include "kql/bind_agg.h"

#include <stdio.h>
#include <stdlib.h>

/* --- one aggregate ---------------------------------------------------------------------------- */

static enum err uses_grow(struct agg_scope *g)
{
    struct binder *b = g->rows->b;
    uint32_t cap = g->cap == 0 ? 8 : g->cap * 2;
    struct agg_use *uses = arena_array(b->a, struct agg_use, cap);
    if (uses == NULL) return bind_full(b);
    if (g->n > 0) memcpy(uses, g->uses, g->n * sizeof *uses);
    g->uses = uses;
    g->cap = cap;
    return OK;
}

enum err agg_add(struct agg_scope *g, uint32_t pos, const char *name, struct expr **args,
                 uint32_t n, uint32_t *place)
{
    struct binder *b = g->rows->b;
    const struct agg *agg = agg_find(name);
    if (agg == NULL) {
        return FAIL(diag_at(b->d, pos), ERR_UNSUPPORTED, "the aggregate %s() is not supported",
                    name);
    }
    TRY(check_arity(b, pos, agg->name, agg->arity_min, agg->arity_max, n));
    struct expr **own = arena_array(b->a, struct expr *, n + 1);
    if (own == NULL) return bind_full(b);
    if (n > 0) memcpy(own, args, n * sizeof *own);
    TRY(fit_args(g->rows, pos, name, agg->args, sizeof agg->args / sizeof agg->args[0], own, n));

    struct agg_call call = {.agg = agg, .ret = agg->ret, .n_args = n};
    call.arg_types = arg_types(b, own, n);
    call.consts = const_args(b, own, n);
    if (call.arg_types == NULL || call.consts == NULL) return bind_full(b);
    if (call.ret == T_NONE && agg->ret_of != NULL)
        call.ret = agg->ret_of(call.arg_types, call.consts, n);
    if (call.ret == T_NONE) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0127", "%s() does not take a %s", name,
                        n > 0 ? type_name(own[0]->type) : "row");
    }
    if (agg->check != NULL) TRY(agg->check(&call, diag_at(b->d, pos)));
    if (g->n == g->cap) TRY(uses_grow(g));
    g->uses[g->n] = (struct agg_use){.name = "", .call = call, .args = own};
    *place = g->n++;
    return OK;
}

enum err agg_column(struct agg_scope *g, uint32_t place, struct expr **out)
{
    struct binder *b = g->rows->b;
    struct column *cols = arena_array(b->a, struct column, (size_t)g->n_keys + place + 1);
    if (cols == NULL) return bind_full(b);
    cols[g->n_keys + place].type = g->uses[place].call.ret;
    struct schema s = {.n = g->n_keys + place + 1, .cols = cols};
    return expr_col(b, &s, g->n_keys + place, out);
}

/* An argument stands in the input's rows, but sees the names around the aggregate (a function's
 * parameters). */
static struct scope argument_scope(struct scope *s)
{
    struct scope rows = *s->aggs->rows;
    rows.names = s->names;
    return rows;
}

static enum err bind_args(struct scope *s, const struct ast *call, struct expr ***out)
{
    struct scope rows = argument_scope(s);
    struct expr **args = arena_array(s->b->a, struct expr *, call->args.n + 1);
    if (args == NULL) return bind_full(s->b);
    for (uint32_t i = 0; i < call->args.n; i++)
        TRY(bind_expr(&rows, call->args.at[i], &args[i]));
    *out = args;
    return OK;
}

enum err bind_aggregate(struct scope *s, const struct ast *call, struct expr **out)
{
    struct expr **args;
    uint32_t place, n = call->args.n;
    bool counts_all =
        strcmp(call->name, "count") == 0 && n == 1 && call->args.at[0]->kind == AST_STAR;
    if (counts_all) n = 0;
    if (counts_all) {
        args = NULL;
    } else {
        TRY(bind_args(s, call, &args));
    }
    TRY(agg_add(s->aggs, call->pos, call->name, args, n, &place));
    return agg_column(s->aggs, place, out);
}

enum err op_list_of_first_column(struct scope *s, struct op *in, uint32_t pos, struct op **out)
{
    struct binder *b = s->b;
    if (in->schema.n == 0) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0001",
                        "the list's table has no columns");
    }
    struct scope rows = {.b = b, .row = &in->schema, .base = &in->schema, .where = "in"};
    struct agg_scope g = {.rows = &rows};
    struct expr *column;
    struct column *col = arena_new(b->a, struct column);
    uint32_t place;
    if (col == NULL) return bind_full(b);
    TRY(expr_col(b, &in->schema, 0, &column));
    TRY(agg_add(&g, pos, "make_list", &column, 1, &place));
    TRY(op_new(b, OP_SUMMARIZE, in, pos, out));
    *col = (struct column){.name = "list", .type = T_DYNAMIC};
    (*out)->schema = (struct schema){.n = 1, .cols = col};
    g.uses[0].name = col->name;
    (*out)->summarize.aggs = g.uses;
    (*out)->summarize.n_aggs = 1;
    return OK;
}

/* --- the result's columns --------------------------------------------------------------------- */

static enum err result_add(struct summary *r, struct expr *e, const char *name, bool given,
                           uint32_t pos)
{
    struct binder *b = r->rows.b;
    if (r->n == r->cap) {
        uint32_t cap = r->cap == 0 ? 16 : r->cap * 2;
        struct named_expr *cols = arena_array(b->a, struct named_expr, cap);
        if (cols == NULL) return bind_full(b);
        if (r->n > 0) memcpy(cols, r->cols, r->n * sizeof *cols);
        r->cols = cols;
        r->cap = cap;
    }
    if (name[0] == '\0') TRY(names_unnamed(&r->names, &name));
    r->cols[r->n].expr = e;
    TRY(names_add(&r->names, name, given, pos, &r->cols[r->n].name));
    r->n++;
    return OK;
}

/* The k-th of the names before '=', "" when there is none. */
const char *item_name(const struct ast *n, uint32_t k)
{
    bool has = n->kind == AST_NAMED && k < n->names.n && n->names.at[k]->name != NULL;
    return has ? n->names.at[k]->name : "";
}

const struct ast *item_value(const struct ast *n)
{
    return n->kind == AST_NAMED ? n->left : n;
}

static enum err add_column_of(struct summary *r, uint32_t place, const char *given,
                              const char *otherwise, uint32_t pos)
{
    struct expr *e;
    TRY(agg_column(&r->aggs, place, &e));
    bool is_given = given[0] != '\0';
    return result_add(r, e, is_given ? given : otherwise, is_given, pos);
}

enum err summary_aggregate(struct summary *r, const struct ast *item, const struct ast *call)
{
    struct expr *column;
    if (item->kind == AST_NAMED && item->names.n > 1) {
        return FAIL_TAG(diag_at(r->rows.b->d, item->pos), ERR_INVALID, "SEM0149",
                        "%s() gives one column", call->name);
    }
    TRY(bind_aggregate(&r->groups, call, &column));
    uint32_t place = r->aggs.n - 1;
    return add_column_of(r, place, item_name(item, 0), auto_name(r->rows.b, call), item->pos);
}

/* --- percentiles(x, 5, 50) -------------------------------------------------------------------- */

/* (a, b) = arg_max(x, y): a name for each column, or fewer. */
static enum err check_names(struct summary *r, const struct ast *item, uint32_t n)
{
    if (item->kind != AST_NAMED || item->names.n <= n) return OK;
    return FAIL_TAG(diag_at(r->rows.b->d, item->pos), ERR_INVALID, "SEM0149",
                    "%u names for %u columns", item->names.n, n);
}

static enum err add_percentiles(struct summary *r, const struct ast *item, const struct ast *call)
{
    struct expr **args;
    bool weighted =
        strncmp(call->name, "percentilesw", 12) == 0 || strcmp(call->name, "percentilew") == 0;
    uint32_t first = weighted ? 2 : 1;
    const char *one = weighted ? "percentilew" : "percentile";
    if (call->args.n <= first) {
        return FAIL_TAG(diag_at(r->rows.b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() takes at least %u arguments, not %u", call->name, first + 1,
                        call->args.n);
    }
    bool several = call->name[strlen("percentile")] == 's';
    if (!several && call->args.n != first + 1) {
        return FAIL_TAG(diag_at(r->rows.b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() takes %u arguments, not %u", call->name, first + 1, call->args.n);
    }
    TRY(bind_args(&r->groups, call, &args));
    if (args[0]->type == T_INT)
        TRY(expr_cast(&r->rows, call->pos, args[0], T_LONG, true, &args[0]));
    if (args[0]->type == T_DECIMAL)
        TRY(expr_cast(&r->rows, call->pos, args[0], T_REAL, true, &args[0]));
    const char *arg = auto_name(r->rows.b, call->args.at[0]);
    for (uint32_t i = first; i < call->args.n; i++) {
        struct expr *use[3] = {args[0], weighted ? args[1] : args[i], args[i]};
        uint32_t place;
        TRY(agg_add(&r->aggs, call->pos, one, use, first + 1, &place));
        const char *name =
            percentile_name(r->rows.b, arg, args[i]->kind == EXPR_CONST ? &args[i]->value : NULL);
        if (name == NULL) return bind_full(r->rows.b);
        TRY(add_column_of(r, place, item_name(item, i - first), name, item->pos));
    }
    return check_names(r, item, call->args.n - first);
}

/* --- arg_max(x, *), take_any(*) --------------------------------------------------------------- */

struct spread { /* an aggregate of several columns, while it is taken apart */
    const struct ast *item, *call;
    const char *agg;    /* arg_max, take_any */
    struct expr *by;    /* what decides; NULL for take_any */
    const char *prefix; /* of names of columns that have none: max_x */
    bool old;           /* argmax(x, y): every name has the prefix, max_x_y */
    uint32_t n;         /* columns added so far */
};

static enum err spread_add(struct summary *r, struct spread *sp, struct expr *value,
                           const char *name)
{
    struct expr *args[] = {sp->by, value};
    uint32_t place;
    if (sp->by != NULL) {
        TRY(agg_add(&r->aggs, sp->call->pos, sp->agg, args, 2, &place));
    } else {
        TRY(agg_add(&r->aggs, sp->call->pos, sp->agg, &value, 1, &place));
    }
    return add_column_of(r, place, item_name(sp->item, sp->n++), name, sp->item->pos);
}

static bool is_key(const struct summary *r, uint32_t col)
{
    for (uint32_t i = 0; i < r->aggs.n_keys; i++) {
        if (r->aggs.keys[i]->kind == EXPR_COL && r->aggs.keys[i]->col == col) return true;
    }
    return false;
}

static const char *spread_name(struct summary *r, const struct spread *sp, const char *name)
{
    return sp->old ? arena_fmt(r->rows.b->a, "%s_%s", sp->prefix, name) : name;
}

/* All columns but the keys and the one that decides. */
static enum err spread_star(struct summary *r, struct spread *sp)
{
    const struct schema *in = r->rows.row;
    for (uint32_t i = 0; i < in->n; i++) {
        bool decides = sp->by != NULL && sp->by->kind == EXPR_COL && sp->by->col == i;
        if (decides || is_key(r, i)) continue;
        struct expr *column;
        TRY(expr_col(r->rows.b, in, i, &column));
        TRY(spread_add(r, sp, column, spread_name(r, sp, in->cols[i].name)));
    }
    return OK;
}

static enum err spread_args(struct summary *r, struct spread *sp, uint32_t first)
{
    struct scope rows = argument_scope(&r->groups);
    for (uint32_t i = first; i < sp->call->args.n; i++) {
        const struct ast *arg = sp->call->args.at[i];
        struct expr *value;
        if (arg->kind == AST_STAR) {
            TRY(spread_star(r, sp));
            continue;
        }
        TRY(bind_expr(&rows, item_value(arg), &value));
        const char *name = item_name(arg, 0);
        if (name[0] == '\0') name = auto_name(r->rows.b, arg);
        if (name[0] != '\0' && arg->kind != AST_NAMED) name = spread_name(r, sp, name);
        if (name != NULL && name[0] == '\0')
            name = arena_fmt(r->rows.b->a, "%s_arg%u", sp->prefix, i);
        if (name == NULL) return bind_full(r->rows.b);
        TRY(spread_add(r, sp, value, name));
    }
    return check_names(r, sp->item, sp->n);
}

static enum err add_arg_max(struct summary *r, const struct ast *item, const struct ast *call)
{
    struct binder *b = r->rows.b;
    bool max = strcmp(call->name, "arg_max") == 0 || strcmp(call->name, "argmax") == 0;
    struct spread sp = {.item = item, .call = call, .agg = max ? "arg_max" : "arg_min"};
    if (call->args.n == 0) {
        return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0219", "%s() needs an argument",
                        call->name);
    }
    struct scope rows = argument_scope(&r->groups);
    const struct ast *first = call->args.at[0];
    TRY(bind_expr(&rows, item_value(first), &sp.by));
    const char *name = item_name(first, 0);
    if (name[0] == '\0') name = auto_name(b, first);
    sp.prefix = arena_fmt(b->a, "%s_%s", max ? "max" : "min", name);
    if (sp.prefix == NULL) return bind_full(b);
    sp.old = strchr(call->name, '_') == NULL;
    TRY(spread_add(r, &sp, sp.by, name[0] == '\0' || sp.old ? sp.prefix : name));
    return spread_args(r, &sp, 1);
}

static enum err add_take_any(struct summary *r, const struct ast *item, const struct ast *call)
{
    struct spread sp = {.item = item, .call = call, .agg = "take_any", .prefix = "any"};
    if (call->args.n == 0) {
        return FAIL_TAG(diag_at(r->rows.b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() needs an argument", call->name);
    }
    sp.old = strcmp(call->name, "any") == 0;
    return spread_args(r, &sp, 0);
}

/* --- summarize -------------------------------------------------------------------------------- */

static enum err add_item(struct summary *r, const struct ast *item)
{
    static const struct {
        const char *name;
        enum err (*add)(struct summary *r, const struct ast *item, const struct ast *call);
    } several[] = {
        {"arg_max", add_arg_max},         {"arg_min", add_arg_max},
        {"argmax", add_arg_max},          {"argmin", add_arg_max},
        {"take_any", add_take_any},       {"any", add_take_any},
        {"percentile", add_percentiles},  {"percentiles", add_percentiles},
        {"percentilew", add_percentiles}, {"percentilesw", add_percentiles},
    };
    const struct ast *value = item_value(item);
    bool call = value->kind == AST_CALL && find_binding(r->groups.names, value->name) == NULL;
    for (size_t i = 0; call && i < sizeof several / sizeof several[0]; i++) {
        if (strcmp(value->name, several[i].name) == 0) return several[i].add(r, item, value);
    }
    if (call && agg_find(value->name) != NULL) return summary_aggregate(r, item, value);

    struct expr *e;
    TRY(bind_expr(&r->groups, value, &e));
    const char *given = item_name(item, 0);
    const char *name = given[0] != '\0' ? given : auto_name(r->rows.b, value);
    return result_add(r, e, name, given[0] != '\0', item->pos);
}

enum err summary_by(struct summary *r, const struct ast_list *by)
{
    struct binder *b = r->rows.b;
    r->aggs.n_keys = by->n;
    r->aggs.keys = arena_array(b->a, struct expr *, by->n + 1);
    struct column *cols = arena_array(b->a, struct column, by->n + 1);
    if (r->aggs.keys == NULL || cols == NULL) return bind_full(b);
    struct schema keys = {.n = by->n, .cols = cols};
    for (uint32_t i = 0; i < by->n; i++) {
        const struct ast *item = by->at[i];
        struct expr *e;
        const char *given = item_name(item, 0);
        TRY(bind_expr(&r->rows, item_value(item), &r->aggs.keys[i]));
        if (r->aggs.keys[i]->type == T_DYNAMIC && r->rows.is_loose) /* whatever the data knows */
            TRY(expr_cast(&r->rows, item->pos, r->aggs.keys[i], T_STRING, true, &r->aggs.keys[i]));
        cols[i].type = r->aggs.keys[i]->type;
        if (cols[i].type == T_DYNAMIC && !r->dynamic_keys) {
            return FAIL_TAG(diag_at(b->d, item->pos), ERR_INVALID, "SEM0061",
                            "a dynamic cannot be grouped by; convert it first, as with tostring()");
        }
        TRY(expr_col(b, &keys, i, &e));
        bool is_given = given[0] != '\0' || names_itself(item);
        const char *name = given[0] != '\0' ? given : bound_name(b, item, r->aggs.keys[i]);
        TRY(result_add(r, e, name, is_given, item->pos));
    }
    return OK;
}

/* Whether the result is the SUMMARIZE's columns as they are. */
static bool is_plain(const struct summary *r)
{
    if (r->n != r->aggs.n_keys + r->aggs.n) return false;
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->cols[i].expr->kind != EXPR_COL || r->cols[i].expr->col != i) return false;
    }
    return true;
}

static enum err make_op(struct summary *r, struct op *in, uint32_t pos, struct op **out)
{
    struct binder *b = r->rows.b;
    struct op *op;
    uint32_t n = r->aggs.n_keys + r->aggs.n;
    bool plain = is_plain(r);
    struct column *cols = arena_array(b->a, struct column, n + 1);
    if (cols == NULL) return bind_full(b);
    TRY(op_new(b, OP_SUMMARIZE, in, pos, &op));
    for (uint32_t i = 0; i < n; i++) {
        bool key = i < r->aggs.n_keys;
        struct agg_use *use = key ? NULL : &r->aggs.uses[i - r->aggs.n_keys];
        cols[i].name = plain ? r->cols[i].name : "";
        cols[i].type = key ? r->aggs.keys[i]->type : use->call.ret;
        if (!key) use->name = cols[i].name;
    }
    op->schema = (struct schema){.n = n, .cols = cols};
    op->summarize.n_keys = r->aggs.n_keys;
    op->summarize.keys = r->aggs.keys;
    op->summarize.n_aggs = r->aggs.n;
    op->summarize.aggs = r->aggs.uses;
    *out = op;
    return plain ? OK : op_project(b, op, pos, r->cols, r->n, out);
}

void summary_init(struct summary *r, struct op_cx *cx)
{
    *r = (struct summary){.rows = scope_of(cx), .names = name_set_of(cx->b)};
    r->aggs.rows = &r->rows;
    r->groups = r->rows;
    r->groups.base = NULL;
    r->groups.aggs = &r->aggs;
}

enum err bind_summarize(struct op_cx *cx, struct op **out)
{
    struct summary r;
    summary_init(&r, cx);
    r.dynamic_keys = cx->ast->is_open;
    TRY(summary_by(&r, &cx->ast->by));
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(add_item(&r, cx->ast->args.at[i]));
    return make_op(&r, cx->in, cx->ast->pos, out);
}

static enum err distinct_all(struct summary *r, uint32_t pos)
{
    struct binder *b = r->rows.b;
    uint32_t n = r->rows.row->n;
    r->aggs.n_keys = n;
    r->aggs.keys = arena_array(b->a, struct expr *, n + 1);
    if (r->aggs.keys == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        if (r->rows.row->cols[i].type == T_DYNAMIC && !r->rows.is_loose) {
            return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0061",
                            "the column '%s' is dynamic, and those cannot be told apart",
                            r->rows.row->cols[i].name);
        }
        TRY(expr_col(b, r->rows.row, i, &r->aggs.keys[i]));
        TRY(result_add(r, r->aggs.keys[i], r->rows.row->cols[i].name, true, 0));
    }
    return OK;
}

enum err bind_distinct(struct op_cx *cx, struct op **out)
{
    struct summary r;
    summary_init(&r, cx);
    bool all = cx->ast->args.n == 1 && cx->ast->args.at[0]->kind == AST_STAR;
    TRY(all ? distinct_all(&r, cx->ast->pos) : summary_by(&r, &cx->ast->args));
    return make_op(&r, cx->in, cx->ast->pos, out);
}
