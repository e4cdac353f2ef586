/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_function.c - functions of the query: their arguments, and what their bodies give */
#include "kql/bind.h"

/* Only kinds matter here: the arguments are not bound yet. */
bool function_is_tabular(struct binder *b, const struct binding *f)
{
    struct binding *names = f->up;
    const struct ast *fn = f->ast;
    if (fn->body->result == NULL) return false;
    for (uint32_t i = 0; i < fn->args.n; i++) {
        const struct ast *p = fn->args.at[i];
        struct binding item = {.name = p->name,
                               .kind = p->right != NULL ? BIND_TABLE : BIND_SCALAR};
        if (bind_push(b, &names, item) != OK) return false;
    }
    if (bind_lets(b, names, fn->body, &names) != OK) return false;
    return is_tabular(b, names, fn->body->result);
}

/* The argument for a parameter, by name or by place, NULL when the default is to be taken. */
static const struct ast *argument_for(const struct ast *call, const struct ast *param,
                                      uint32_t place)
{
    for (uint32_t i = 0; i < call->args.n; i++) {
        const struct ast *arg = call->args.at[i];
        if (arg->kind == AST_NAMED && strcmp(arg->names.at[0]->name, param->name) == 0)
            return arg->left;
    }
    bool by_place = place < call->args.n && call->args.at[place]->kind != AST_NAMED;
    return by_place ? call->args.at[place] : NULL;
}

static enum err check_table_argument(struct scope *s, const struct ast *call,
                                     const struct ast *param, const struct op *op)
{
    for (uint32_t i = 0; i < param->right->args.n; i++) {
        const struct ast *column = param->right->args.at[i];
        int at = schema_find(&op->schema, column->name);
        if (at < 0 || op->schema.cols[at].type != column->type) {
            return FAIL_TAG(diag_at(s->b->d, call->pos), ERR_INVALID, "SEM0219",
                            "the table for '%s' of %s() needs a column %s:%s", param->name,
                            call->name, column->name, type_name(column->type));
        }
    }
    return OK;
}

static enum err bind_argument(struct scope *s, const struct ast *call, const struct ast *param,
                              const struct ast *arg, struct binding **names)
{
    struct binder *b = s->b;
    struct binding item = {.name = param->name, .kind = BIND_SCALAR};
    if (arg == NULL && param->left == NULL) {
        return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0219",
                        "%s() needs an argument for '%s'", call->name, param->name);
    }
    if (param->right != NULL) {
        item.kind = BIND_TABLE;
        TRY(bind_table(b, s->names, arg != NULL ? arg : param->left, &item.op));
        TRY(check_table_argument(s, call, param, item.op));
        return bind_push(b, names, item);
    }
    struct scope plain = {.b = b, .where = s->where};
    if (s->aggs != NULL) plain = *s; /* an aggregate may be an argument */
    TRY(arg != NULL ? bind_expr(s, arg, &item.expr) : bind_expr(&plain, param->left, &item.expr));
    TRY(expr_cast(s, call->pos, item.expr, param->type, true, &item.expr));
    bool free = item.expr->kind == EXPR_CONST || item.expr->kind == EXPR_SCALAR_QUERY;
    item.base = free ? NULL : s->base;
    return bind_push(b, names, item);
}

/* Each name is a parameter's, and of one that has no argument by its place. */
static enum err check_named_argument(struct binder *b, const struct ast *fn, const struct ast *call,
                                     uint32_t place, uint32_t first)
{
    const struct ast *arg = call->args.at[place];
    if (arg->kind != AST_NAMED) return OK;
    const char *name = arg->names.at[0]->name;
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; i < fn->args.n; i++) {
        nearest_try(&best, fn->args.at[i]->name);
        if (strcmp(fn->args.at[i]->name, name) != 0) continue;
        bool twice = i < first;
        for (uint32_t k = 0; k < call->args.n; k++) {
            const struct ast *other = call->args.at[k];
            twice |= other->kind == AST_NAMED
                         ? k < place && strcmp(other->names.at[0]->name, name) == 0
                         : k + first == i;
        }
        if (!twice) return OK;
        return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0219", "%s() is given '%s' twice",
                        call->name, name);
    }
    return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0219",
                    "%s() has no parameter '%s'" NEAREST_FMT, call->name, name,
                    NEAREST_ARGS(best.name));
}

static enum err bind_arguments(struct scope *s, struct binding *f, const struct ast *call,
                               struct op *piped, struct binding **out)
{
    const struct ast *fn = f->ast;
    struct binding *names = f->up;
    uint32_t first = piped != NULL ? 1 : 0, needed = 0;
    for (uint32_t i = 0; i < fn->args.n; i++)
        needed += fn->args.at[i]->left == NULL;
    uint32_t n = call->args.n + first;
    if (n > fn->args.n) {
        return check_arity(s->b, call->pos, call->name, needed, fn->args.n, n);
    }
    for (uint32_t i = 0; i < call->args.n; i++)
        TRY(check_named_argument(s->b, fn, call, i, first));
    for (uint32_t i = 0; i < fn->args.n; i++) {
        const struct ast *param = fn->args.at[i];
        if (i == 0 && piped != NULL) {
            if (param->right == NULL) {
                return FAIL_TAG(diag_at(s->b->d, call->pos), ERR_INVALID, "SEM0219",
                                "the first parameter of %s() is no table", call->name);
            }
            TRY(check_table_argument(s, call, param, piped));
            struct binding item = {.name = param->name, .kind = BIND_TABLE, .op = piped};
            TRY(bind_push(s->b, &names, item));
            continue;
        }
        TRY(bind_argument(s, call, param, argument_for(call, param, i - first), &names));
    }
    *out = names;
    return OK;
}

static enum err no_result(struct binder *b, const struct ast *call)
{
    return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0001",
                    "the function %s() has no result", call->name);
}

/* The body's names and what it gives: a table in *op, or a value in *expr. */
static enum err bind_function_body(struct scope *s, const struct binding *f, struct binding *names,
                                   struct op **op, struct expr **expr)
{
    const struct ast_body *body = f->ast->body;
    TRY(bind_body(s->b, names, s->base, body, &names));
    if (op != NULL) return bind_table(s->b, names, body->result, op);
    struct scope inner = *s;
    inner.names = names;
    inner.row = NULL; /* a function does not see its caller's columns */
    return bind_expr(&inner, body->result, expr);
}

static enum err bind_call_of(struct scope *s, struct binding *f, const struct ast *call,
                             struct op *piped, struct op **op, struct expr **expr)
{
    struct binder *b = s->b;
    struct bytes text = b->text;
    const struct kql_catalog *place = b->catalog;
    struct binding *names;
    TRY(bind_deeper(b, call->pos));
    TRY(stored_check(b, f, call));
    TRY(bind_arguments(s, f, call, piped, &names));
    if (f->ast->body->result == NULL) return no_result(b, call);
    if (f->text.p != NULL) b->text = f->text;
    if (f->home != NULL) b->catalog = f->home; /* its tables are those of its place */
    TRY(stored_told(b, f, call, bind_function_body(s, f, names, op, expr)));
    b->text = text;
    b->catalog = place;
    b->depth--;
    return OK;
}

enum err bind_function_table(struct scope *s, struct binding *f, const struct ast *call,
                             struct op *piped, struct op **out)
{
    return bind_call_of(s, f, call, piped, out, NULL);
}

enum err bind_function_scalar(struct scope *s, struct binding *f, const struct ast *call,
                              struct expr **out)
{
    return bind_call_of(s, f, call, NULL, NULL, out);
}
