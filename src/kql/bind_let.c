/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_let.c - names that a query or a body declares, and the statements that declare them */
#include "kql/bind.h"

/* --- names ------------------------------------------------------------------------------------ */

enum err bind_push(struct binder *b, struct binding **names, struct binding item)
{
    struct binding *n = arena_new(b->a, struct binding);
    if (n == NULL) return bind_full(b);
    *n = item;
    n->up = *names;
    *names = n;
    return OK;
}

static struct binding *find_any(struct binding *names, const char *name, bool *restricted)
{
    struct binding *n = names;
    while (n != NULL) {
        if (n->kind == BIND_STORED) return stored_find(n, name);
        if (n->frame == NULL) {
            if (strcmp(n->name, name) == 0) return n;
            n = n->up;
            continue;
        }
        *restricted |= n->frame->restricted != NULL;
        const uint32_t *place = name_index_get(&n->frame->index, name);
        if (place != NULL && *place <= n->place) return n->frame->items[*place];
        n = n->frame->outer;
    }
    return NULL;
}

struct binding *find_binding(struct binding *names, const char *name)
{
    bool restricted = false;
    struct binding *found = find_any(names, name, &restricted);
    return found != NULL && restricted && hides_binding(names, found) ? NULL : found;
}

static enum err frame_new(struct binder *b, struct binding *outer, const struct schema *base,
                          struct frame **out)
{
    *out = arena_new(b->a, struct frame);
    if (*out == NULL) return bind_full(b);
    **out = (struct frame){.outer = outer, .base = base, .group_depth = b->group_depth};
    name_index_init(&(*out)->index, b->a);
    return OK;
}

static enum err frame_grow(struct binder *b, struct frame *f)
{
    uint32_t cap = f->cap == 0 ? 8 : f->cap * 2;
    struct binding **items = arena_array(b->a, struct binding *, cap);
    if (items == NULL) return bind_full(b);
    if (f->n > 0) memcpy(items, f->items, f->n * sizeof *items);
    f->items = items;
    f->cap = cap;
    return OK;
}

enum err frame_add(struct binder *b, struct frame *f, struct binding **names, struct binding item)
{
    if (f->n == f->cap) TRY(frame_grow(b, f));
    item.frame = f;
    item.place = f->n;
    TRY(bind_push(b, names, item));
    f->items[f->n++] = *names;
    return OK;
}

/* Declares a name of a body. */
static enum err frame_push(struct binder *b, struct frame *f, struct binding **names, uint32_t pos,
                           struct binding item)
{
    if (name_index_get(&f->index, item.name) != NULL) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0201",
                        "the name '%s' is declared already", item.name);
    }
    if (!name_index_put(&f->index, item.name, f->n)) return bind_full(b);
    return frame_add(b, f, names, item);
}

enum err resolve_let(struct binder *b, struct binding *l)
{
    if (l->kind != BIND_LET) return OK;
    uint32_t depth = b->group_depth;
    TRY(bind_deeper(b, l->ast->pos));
    if (l->frame != NULL) b->group_depth = l->frame->group_depth;
    if (is_tabular(b, l->up, l->ast)) {
        TRY(bind_table(b, l->up, l->ast, &l->op));
        l->kind = BIND_TABLE;
    } else {
        const struct schema *base = l->frame != NULL ? l->frame->base : NULL;
        struct scope s = {.b = b, .names = l->up, .base = base, .where = "let"};
        TRY(bind_expr(&s, l->ast, &l->expr));
        bool free = l->expr->kind == EXPR_CONST || l->expr->kind == EXPR_SCALAR_QUERY;
        l->base = free ? NULL : base;
        l->kind = BIND_SCALAR;
    }
    b->group_depth = depth;
    b->depth--;
    return OK;
}

/* --- statements ------------------------------------------------------------------------------- */

static enum err bind_query_parameter(struct binder *b, struct frame *f, struct binding **names,
                                     const struct ast *n)
{
    struct expr *value;
    struct scope s = {.b = b, .names = *names, .where = "declare query_parameters"};
    TRY(bind_parameter(&s, n, &value));
    return frame_push(b, f, names, n->pos,
                      (struct binding){.name = n->name, .kind = BIND_SCALAR, .expr = value});
}

static enum err bind_let(struct binder *b, struct frame *f, struct binding **names,
                         const struct ast *n)
{
    const struct ast *name = n->names.at[0];
    struct binding item = {.name = name->name, .kind = BIND_LET, .ast = n->left};
    switch (n->left->kind) {
    case AST_FUNCTION:
        item.kind = BIND_FUNCTION;
        item.is_view = n->left->is_view;
        break;
    case AST_PATTERN: item.kind = BIND_PATTERN; break;
    case AST_ENTITIES: item.kind = BIND_ENTITIES; break;
    default: break;
    }
    return frame_push(b, f, names, name->pos, item);
}

static enum err bind_statement(struct binder *b, struct frame *f, struct binding **names,
                               const struct ast *n)
{
    switch (n->kind) {
    case AST_NAMED: return bind_let(b, f, names, n);
    case AST_PARAM: return bind_query_parameter(b, f, names, n);
    case AST_ALIAS: return bind_alias(b, *names, n);
    case AST_RESTRICT: return bind_restrict(b, f, names, n);
    default: return bind_set(b, n);
    }
}

enum err bind_body(struct binder *b, struct binding *names, const struct schema *base,
                   const struct ast_body *body, struct binding **out)
{
    struct frame *f;
    TRY(frame_new(b, names, base, &f));
    for (uint32_t i = 0; i < body->lets.n; i++)
        TRY(bind_statement(b, f, &names, body->lets.at[i]));
    *out = names;
    return OK;
}

enum err bind_lets(struct binder *b, struct binding *names, const struct ast_body *body,
                   struct binding **out)
{
    struct frame *f;
    TRY(frame_new(b, names, NULL, &f));
    for (uint32_t i = 0; i < body->lets.n; i++) {
        const struct ast *l = body->lets.at[i];
        if (l->kind == AST_NAMED) TRY(bind_let(b, f, &names, l));
    }
    *out = names;
    return OK;
}
