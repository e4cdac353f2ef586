/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_graph_partition.c - make-graph ... partitioned-by: one graph whose parts have no node in
 * common
 *
 * The id of a node is made of the partition's value and the id that it has there, "7:CompanyAu001": the
 * length before them keeps "ab" + "c" and "a" + "bc" apart. What a node shows as its id is the id.
 */
#include "kql/bind_graph.h"

static enum err partition_column(struct op_cx *cx, const struct schema *in, uint32_t *out)
{
    const struct ast *column = cx->ast->extra;
    struct scope s = {.b = cx->b, .row = in, .where = cx->ast->name};
    int at = schema_find(in, column->name);
    if (at < 0) return no_column(&s, column->name, column->pos);
    if (in->cols[at].type == T_DYNAMIC) {
        return FAIL_TAG(diag_at(cx->b->d, column->pos), ERR_INVALID, "SEM0061",
                        "a graph cannot be partitioned by a dynamic");
    }
    *out = (uint32_t)at;
    return OK;
}

enum err partition_key(struct op_cx *cx, const struct schema *in, struct expr *id,
                       struct expr **out)
{
    struct binder *b = cx->b;
    struct scope s = {.b = b, .row = in, .base = in, .where = cx->ast->name};
    uint32_t at, pos = cx->ast->pos;
    struct expr *value, *args[4];
    TRY(partition_column(cx, in, &at));
    TRY(expr_col(b, in, at, &value));
    TRY(expr_cast(&s, pos, value, T_STRING, true, &args[2]));
    TRY(expr_call(&s, pos, "strlen", &args[2], 1, &args[0]));
    TRY(expr_cast(&s, pos, args[0], T_STRING, true, &args[0]));
    TRY(expr_string(b, ":", &args[1]));
    TRY(expr_cast(&s, pos, id, T_STRING, true, &args[3]));
    return expr_call(&s, pos, "strcat", args, 4, out);
}

/* "$id" and what is shown as it. */
static enum err add_pairs(struct op_cx *cx, struct legs *l, struct op *in, const struct ast *id)
{
    struct scope s = {.b = cx->b,
                      .names = *cx->names,
                      .row = &in->schema,
                      .base = &in->schema,
                      .where = cx->ast->name};
    struct named_expr exprs[] = {{.name = "$id"}, {.name = "$shown"}};
    struct op *pairs;
    TRY(bind_expr(&s, id, &exprs[1].expr));
    TRY(partition_key(cx, &in->schema, exprs[1].expr, &exprs[0].expr));
    TRY(op_project(cx->b, in, cx->ast->pos, exprs, 2, &pairs));
    return add_leg(l, pairs, "", NULL);
}

enum err partition_rows(struct op_cx *cx, struct op *table, uint32_t id, struct op **out)
{
    struct binder *b = cx->b;
    const struct schema *in = &table->schema;
    struct expr *own;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)in->n + 1);
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->n; i++) {
        exprs[i].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[i].expr));
    }
    exprs[in->n].name = "$key";
    TRY(expr_col(b, in, id, &own));
    TRY(partition_key(cx, in, own, &exprs[in->n].expr));
    return op_project(b, table, cx->ast->pos, exprs, in->n + 1, out);
}

enum err partition_ids(struct op_cx *cx, struct op *table, struct op **out)
{
    struct legs l = {.cx = cx};
    struct op *pairs;
    TRY(add_pairs(cx, &l, cx->in, cx->ast->left));
    TRY(add_pairs(cx, &l, cx->in, cx->ast->right));
    if (table != NULL) TRY(add_pairs(cx, &l, table, cx->ast->args.at[0]));
    TRY(make_union(&l, &pairs));
    return distinct_rows(cx, pairs, out);
}
