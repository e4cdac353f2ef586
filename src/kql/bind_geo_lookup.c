/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_geo_lookup.c - geo_line_lookup and geo_polygon_lookup: rows of another table near a point
 *
 * Each row's point with each shape of the other table, those near enough kept, and joined with the
 * rows again by their number. lookup_area_radius only helps the original's index: it changes nothing.
 */
#include "kql/bind_evaluate.h"
#include "kql/bind_graph.h" /* graph_join() */

struct geo_lookup {
    struct plugin_cx *p;
    bool of_lines;
    struct op *source; /* input's columns, "$row", "$lon", "$lat", "$one" */
    struct op *other;  /* the other table's columns, "$one" */
    uint32_t n_source, n_other, key;
    struct expr *radius; /* NULL: in the polygon */
    bool unmatched, with_key;
};

static enum err read_flag(struct geo_lookup *l, uint32_t place, const char *name, bool *out)
{
    const struct ast *arg = plugin_arg(l->p, place, name);
    struct scope s = {.b = l->p->cx->b, .names = *l->p->cx->names, .where = l->p->call->name};
    struct expr *e;
    if (arg == NULL) return OK;
    TRY(bind_const(&s, arg, &e));
    TRY(expr_cast(&s, arg->pos, e, T_BOOL, true, &e));
    *out = !e->value.is_null && e->value.b;
    return OK;
}

/* A table's columns and some more behind them. */
static enum err extended(struct geo_lookup *l, struct op *in, const char *const *names,
                         struct expr *const *more, uint32_t n_more, struct op **out)
{
    struct binder *b = l->p->cx->b;
    uint32_t n = in->schema.n;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)n + n_more);
    struct op *rows;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n; i++) {
        exprs[i].name = in->schema.cols[i].name;
        TRY(expr_col(b, &in->schema, i, &exprs[i].expr));
    }
    for (uint32_t i = 0; i < n_more; i++)
        exprs[n + i] = (struct named_expr){.name = names[i], .expr = more[i]};
    TRY(op_project(b, in, l->p->call->pos, exprs, n + n_more, &rows));
    return op_new(b, OP_MATERIALIZE, rows, l->p->call->pos, out);
}

static enum err read_tables(struct geo_lookup *l)
{
    static const char *const names[] = {"$row", "$lon", "$lat", "$one"};
    struct plugin_cx *p = l->p;
    struct binder *b = p->cx->b;
    struct scope s = scope_of(p->cx);
    struct value one = {.type = T_LONG, .i = 1};
    struct expr *more[4];
    struct op *other;
    s.where = p->call->name;
    TRY(expr_call(&s, p->call->pos, "row_number", NULL, 0, &more[0]));
    for (uint32_t i = 0; i < 2; i++) {
        TRY(bind_expr(&s, p->call->args.at[2 + i], &more[1 + i]));
        TRY(expr_cast(&s, p->call->pos, more[1 + i], T_REAL, true, &more[1 + i]));
    }
    TRY(expr_const(b, &one, &more[3]));
    l->n_source = p->cx->in->schema.n;
    TRY(extended(l, p->cx->in, names, more, 4, &l->source));

    TRY(bind_table(b, *p->cx->names, p->call->args.at[0], &other));
    l->n_other = other->schema.n;
    const struct ast *key = p->call->args.at[1];
    int at = key->kind == AST_NAME ? schema_find(&other->schema, key->name) : -1;
    struct scope theirs = {.b = b, .row = &other->schema, .where = p->call->name};
    if (at < 0) return no_column(&theirs, key->kind == AST_NAME ? key->name : "", key->pos);
    if (other->schema.cols[at].type != T_DYNAMIC) {
        return FAIL_TAG(diag_at(b->d, key->pos), ERR_INVALID, "SEM0064",
                        "the plugin %s wants a dynamic column of shapes", p->call->name);
    }
    l->key = (uint32_t)at;
    return extended(l, other, names + 3, more + 3, 1, &l->other);
}

static enum err read_args(struct geo_lookup *l)
{
    struct plugin_cx *p = l->p;
    const struct ast *radius = plugin_arg(p, 4, "radius");
    TRY(plugin_arity(p, l->of_lines ? 5 : 4, 8));
    TRY(read_tables(l));
    if (radius != NULL) TRY(plugin_const(p, radius, T_REAL, &l->radius));
    if (radius == NULL && l->of_lines) return plugin_arity(p, 9, 9); /* fails */
    TRY(read_flag(l, 5, "return_unmatched", &l->unmatched));
    return read_flag(l, 7, "return_lookup_key", &l->with_key);
}

/* Rows of the pair that are near enough: "$row", and the other table's columns. */
static enum err near_ones(struct geo_lookup *l, struct op **out)
{
    struct binder *b = l->p->cx->b;
    uint32_t pos = l->p->call->pos, n = l->n_source;
    uint32_t own[4] = {n, n + 1, n + 2, n + 3};
    struct op *points, *pairs;
    struct expr *args[3], *is_near;
    TRY(op_columns(b, l->source, pos, own, NULL, 4, &points));
    TRY(graph_join(l->p->cx, JOIN_INNER, points, 3, l->other, l->n_other, &pairs));
    const struct schema *row = &pairs->schema;
    struct scope s = {.b = b, .row = row, .base = row, .where = l->p->call->name};
    TRY(expr_col(b, row, 1, &args[0]));
    TRY(expr_col(b, row, 2, &args[1]));
    TRY(expr_col(b, row, 4 + l->key, &args[2]));
    const char *function = l->of_lines         ? "geo_distance_point_to_line"
                           : l->radius != NULL ? "geo_distance_point_to_polygon"
                                               : "geo_point_in_polygon";
    TRY(expr_call(&s, pos, function, args, 3, &is_near));
    if (l->radius != NULL) TRY(expr_call2(&s, pos, "op <=", is_near, l->radius, &is_near));
    TRY(op_new(b, OP_FILTER, pairs, pos, &pairs));
    pairs->filter.condition = is_near;
    uint32_t *cols = arena_array(b->a, uint32_t, (size_t)l->n_other + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < l->n_other; i++)
        cols[1 + i] = 4 + i;
    return op_columns(b, pairs, pos, cols, NULL, l->n_other + 1, out);
}

enum err plugin_geo_lookup(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct geo_lookup l = {.p = p, .of_lines = strcmp(p->call->name, "geo_line_lookup") == 0};
    struct name_set names = name_set_of(b);
    struct op *found, *all;
    TRY(read_args(&l));
    TRY(near_ones(&l, &found));
    TRY(graph_join(p->cx, l.unmatched ? JOIN_LEFT_OUTER : JOIN_INNER, l.source, l.n_source, found,
                   0, &all));
    uint32_t n = 0, most = l.n_source + l.n_other;
    uint32_t *cols = arena_array(b->a, uint32_t, most + 1);
    const char **as = arena_array(b->a, const char *, most + 1);
    if (cols == NULL || as == NULL) return bind_full(b);
    for (uint32_t i = 0; i < most; i++) {
        bool theirs = i >= l.n_source;
        if (theirs && i - l.n_source == l.key && !l.with_key) continue;
        cols[n] = theirs ? i + 5 : i; /* behind the four of the source, and "$row" */
        TRY(names_add(&names, all->schema.cols[cols[n]].name, false, p->call->pos, &as[n]));
        n++;
    }
    return op_columns(b, all, p->call->pos, cols, as, n, out);
}
