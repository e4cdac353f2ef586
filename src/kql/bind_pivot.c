/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_pivot.c - pivot: the values of a column as columns
 *
 * summarize agg by keys, column; then each value's aggregate goes into the column of its name. What
 * values there are is for the data to say: the summarize is run while the query is compiled, unless
 * the query names the columns. A cell without rows has what the aggregate gives for no rows.
 */
#include "kql/bind_evaluate.h"

#include "base/str.h"
#include "func/kernel.h"

#define VALUES_MAX 1000

struct pivot {
    struct plugin_cx *p;
    const struct ast *agg;
    uint32_t n_keys;
    struct ast **keys, *column;
    struct name_index index;
    uint32_t n;
    const char **names; /* of the values, in the order in which they are met */
};

static enum err see_values(void *ctx, const struct batch *b, struct diag *d)
{
    struct pivot *v = ctx;
    struct arena *a = v->p->cx->b->a;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        const char *name = arena_str(a, vec_str(&b->cols[0], i));
        if (name == NULL) return arena_full(a, d);
        if (name_index_get(&v->index, name) != NULL) continue;
        if (v->n == VALUES_MAX) {
            return FAIL(d, ERR_LIMIT, "pivot: the column has more than %d different values",
                        VALUES_MAX);
        }
        if (!name_index_put(&v->index, name, v->n)) return arena_full(a, d);
        v->names[v->n++] = name;
    }
    return OK;
}

/* summarize agg by keys, tostring(column) */
static enum err summarize(struct pivot *v, bool with_agg, struct op **out)
{
    struct binder *b = v->p->cx->b;
    struct ast **by = arena_array(b->a, struct ast *, (size_t)v->n_keys + 1);
    struct ast *agg = (struct ast *)(uintptr_t)v->agg;
    struct ast as_text = {.kind = AST_CALL,
                          .name = "tostring",
                          .pos = v->column->pos,
                          .args = {.n = 1, .at = &v->column}};
    if (by == NULL) return bind_full(b);
    memcpy(by, v->keys, v->n_keys * sizeof *by);
    by[v->n_keys] = &as_text;
    struct ast n = {
        .kind = AST_OPERATOR,
        .op = OPER_SUMMARIZE,
        .name = "pivot",
        .pos = v->p->call->pos,
        .is_open = true,
        .args = {.n = with_agg ? 1 : 0, .at = &agg},
        .by = {.n = with_agg ? v->n_keys + 1 : 1, .at = with_agg ? by : &by[v->n_keys]}};
    struct op_cx inner = *v->p->cx;
    inner.ast = &n;
    return bind_summarize(&inner, out);
}

/* The aggregate of no rows. */
static enum err no_rows(struct pivot *v, struct expr **out)
{
    struct binder *b = v->p->cx->b;
    struct op *none, *op;
    struct value zero = {.type = T_LONG};
    struct ast *agg = (struct ast *)(uintptr_t)v->agg;
    struct ast n = {.kind = AST_OPERATOR,
                    .op = OPER_SUMMARIZE,
                    .name = "pivot",
                    .pos = v->p->call->pos,
                    .args = {.n = 1, .at = &agg}};
    TRY(op_new(b, OP_TAKE, v->p->cx->in, v->p->call->pos, &none));
    TRY(expr_const(b, &zero, &none->take.count));
    struct op_cx inner = *v->p->cx;
    inner.ast = &n;
    inner.in = none;
    TRY(bind_summarize(&inner, &op));
    return expr_query(b, op, v->p->call->pos, out);
}

static bool names_column(const struct ast *n, const char *name)
{
    if (n->kind == AST_NAME) return strcmp(n->name, name) == 0;
    for (uint32_t i = 0; i < n->args.n; i++) {
        if (names_column(n->args.at[i], name)) return true;
    }
    return false;
}

/* Keys that are not given: all columns but the pivot's and the aggregate's. */
static enum err other_columns(struct pivot *v)
{
    struct binder *b = v->p->cx->b;
    const struct schema *in = &v->p->cx->in->schema;
    v->keys = arena_array(b->a, struct ast *, in->n + 1);
    if (v->keys == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->n; i++) {
        const char *name = in->cols[i].name;
        if (names_column(v->column, name) || names_column(v->agg, name)) continue;
        struct ast *key = arena_new(b->a, struct ast);
        if (key == NULL) return bind_full(b);
        *key = (struct ast){.kind = AST_NAME, .name = name, .pos = v->p->call->pos};
        v->keys[v->n_keys++] = key;
    }
    return OK;
}

/* Those that are documented, and an older name. */
static enum err check_agg(struct pivot *v)
{
    static const char *const taken[] = {
        "any", "avg", "count", "dcount", "make_bag", "make_list", "make_set",
        "max", "min", "stdev", "sum",    "take_any", "variance",
    };
    for (size_t i = 0; v->agg->kind == AST_CALL && i < sizeof taken / sizeof taken[0]; i++) {
        if (strcmp(v->agg->name, taken[i]) == 0) return OK;
    }
    return FAIL_TAG(diag_at(v->p->cx->b->d, v->agg->pos), ERR_INVALID, "SEM0001",
                    "'pivot' takes one of min, max, take_any, sum, dcount, avg, stdev, variance, "
                    "make_list, make_bag, make_set and count");
}

static enum err read_args(struct pivot *v)
{
    struct plugin_cx *p = v->p;
    struct binder *b = p->cx->b;
    uint32_t col;
    TRY(plugin_arity(p, 1, 1000));
    v->column = p->call->args.at[0];
    TRY(plugin_column(p, v->column, &col));
    if (p->call->args.n >= 2) {
        v->agg = p->call->args.at[1];
        TRY(check_agg(v));
    } else {
        struct ast *count = arena_new(b->a, struct ast);
        if (count == NULL) return bind_full(b);
        *count = (struct ast){.kind = AST_CALL, .name = "count", .pos = p->call->pos};
        v->agg = count;
    }
    if (p->call->args.n <= 2) return other_columns(v);
    v->n_keys = p->call->args.n - 2;
    v->keys = &p->call->args.at[2];
    return OK;
}

/* The query's own schema: keys by their names, all else are values. */
static enum err named_values(struct pivot *v, const struct op *groups)
{
    const struct ast_list *list = &v->p->schema->args;
    for (uint32_t i = 0; i < list->n; i++) {
        int at = schema_find(&groups->schema, list->at[i]->name);
        if (at >= 0 && (uint32_t)at < v->n_keys) continue;
        v->names[v->n++] = list->at[i]->name;
    }
    return OK;
}

enum err plugin_pivot(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct pivot v = {.p = p};
    struct op *groups, *values;
    TRY(read_args(&v));
    TRY(summarize(&v, true, &groups));
    v.names = arena_array(b->a, const char *,
                          VALUES_MAX + (p->schema != NULL ? (size_t)p->schema->args.n : 0));
    if (v.names == NULL) return bind_full(b);
    name_index_init(&v.index, b->a);
    if (p->schema != NULL) {
        TRY(named_values(&v, groups));
    } else {
        TRY(summarize(&v, false, &values));
        TRY(plugin_look(p, values, see_values, &v));
    }

    struct name_set names = name_set_of(b);
    struct column *cols = arena_array(b->a, struct column, (size_t)v.n_keys + v.n + 1);
    struct op *op;
    if (cols == NULL) return bind_full(b);
    TRY(op_new(b, OP_WHOLE, groups, p->call->pos, &op));
    for (uint32_t i = 0; i < v.n_keys + v.n; i++) {
        bool key = i < v.n_keys;
        const char *name = key ? groups->schema.cols[i].name : v.names[i - v.n_keys];
        TRY(names_add(&names, name, false, p->call->pos, &cols[i].name));
        cols[i].type = groups->schema.cols[key ? i : v.n_keys + 1].type;
    }
    op->schema = (struct schema){.n = v.n_keys + v.n, .cols = cols};
    op->whole.kind = WHOLE_PIVOT;
    op->whole.n_consts = 1;
    op->whole.consts = arena_new(b->a, struct expr *);
    struct pivot_values *more = arena_new(b->a, struct pivot_values);
    if (op->whole.consts == NULL || more == NULL) return bind_full(b);
    *more = (struct pivot_values){.n_keys = v.n_keys, .n = v.n, .names = v.names};
    op->whole.more = more;
    op->is_open = p->schema == NULL && b->opt->run == NULL;
    *out = op;
    return no_rows(&v, &op->whole.consts[0]);
}
