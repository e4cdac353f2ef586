/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_fork.c - operators with several results: fork, facet and the plugin preview */
#include "kql/bind_evaluate.h"

bool ends_query(const struct op_cx *cx)
{
    const struct ast *pipe = cx->b->pipe;
    if (pipe != cx->b->result) return false;
    for (uint32_t i = 0; i < pipe->args.n; i++) {
        if (pipe->args.at[i] != cx->ast) continue;
        bool last = i + 1 == pipe->args.n;
        return last || (i + 2 == pipe->args.n && pipe->args.at[i + 1]->op == OPER_RENDER);
    }
    return false;
}

static enum err check_place(struct op_cx *cx)
{
    if (ends_query(cx)) return OK;
    return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                    "'%s' gives several tables and must stand at the end of the query",
                    cx->ast->name);
}

/* All results read the same rows. */
static enum err shared_input(struct op_cx *cx, struct op **out)
{
    TRY(check_place(cx));
    return op_new(cx->b, OP_MATERIALIZE, cx->in, cx->ast->pos, out);
}

static enum err add_result(struct op_cx *cx, bool first, const char *name, struct op *op,
                           struct op **out)
{
    if (!first) return plan_add(cx->b, name, cx->ast->pos, op);
    *out = op;
    return OK;
}

enum err bind_fork(struct op_cx *cx, struct op **out)
{
    struct op *in, *prong;
    TRY(shared_input(cx, &in));
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        const struct ast *n = cx->ast->args.at[i];
        const char *name = n->names.n > 0 ? n->names.at[0]->name : NULL;
        TRY(bind_ops(cx->b, *cx->names, n->left, in, &prong));
        TRY(add_result(cx, i == 0, name, prong, out));
    }
    return OK;
}

/* facet by a: summarize count_a = count() by a */
static enum err count_values(struct op_cx *cx, struct op *in, struct ast *column, struct op **out)
{
    struct binder *b = cx->b;
    const char *name = arena_fmt(b->a, "count_%s", auto_name(b, column));
    if (name == NULL) return bind_full(b);
    struct ast count = {.kind = AST_CALL, .name = "count", .pos = column->pos};
    struct ast given = {.kind = AST_NAME, .name = name, .pos = column->pos};
    struct ast *names[] = {&given}, *keys[] = {column};
    struct ast item = {
        .kind = AST_NAMED, .pos = column->pos, .names = {.n = 1, .at = names}, .left = &count};
    struct ast *items[] = {&item};
    struct ast n = {.kind = AST_OPERATOR,
                    .op = OPER_SUMMARIZE,
                    .name = "facet",
                    .pos = cx->ast->pos,
                    .args = {.n = 1, .at = items},
                    .by = {.n = 1, .at = keys}};
    struct op_cx inner = *cx;
    inner.ast = &n;
    inner.in = in;
    return bind_summarize(&inner, out);
}

enum err bind_facet(struct op_cx *cx, struct op **out)
{
    struct op *in, *facet;
    TRY(shared_input(cx, &in));
    for (uint32_t i = 0; i < cx->ast->args.n; i++) {
        TRY(count_values(cx, in, cx->ast->args.at[i], &facet));
        TRY(add_result(cx, i == 0, NULL, facet, out));
    }
    if (cx->ast->right == NULL) return OK;
    TRY(bind_ops(cx->b, *cx->names, cx->ast->right, in, &facet));
    return add_result(cx, false, NULL, facet, out);
}

/* preview(n): the first n rows, and how many there are. */
enum err plugin_preview(struct plugin_cx *p, struct op **out)
{
    static const struct column col = {"Count", T_LONG};
    struct op *in, *count;
    TRY(plugin_arity(p, 1, 1));
    TRY(shared_input(p->cx, &in));
    TRY(op_new(p->cx->b, OP_TAKE, in, p->call->pos, out));
    TRY(plugin_const(p, p->call->args.at[0], T_LONG, &(*out)->take.count));
    TRY(op_new(p->cx->b, OP_COUNT, in, p->call->pos, &count));
    count->schema = (struct schema){.n = 1, .cols = &col};
    return add_result(p->cx, false, NULL, count, out);
}
