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

struct binding *find_binding(struct binding *names, const char *name)
{
    struct binding *n = names;
    while (n != NULL) {
        if (n->kind == BIND_STORED) return stored_find(n, name);
        if (n->frame == NULL) {
            if (strcmp(n->name, name) == 0) return n;
            n = n->up;
            continue;
        }
        const uint32_t *place = name_index_get(&n->frame->index, name);
        if (place != NULL && *place <= n->place) return n->frame->items[*place];
        n = n->frame->outer;
    }
    return NULL;
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

/* Declares a name of a body. */
static enum err frame_push(struct binder *b, struct frame *f, struct binding **names, uint32_t pos,
                           struct binding item)
{
    if (name_index_get(&f->index, item.name) != NULL) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0201",
                        "the name '%s' is declared already", item.name);
    }
    if (f->n == f->cap) TRY(frame_grow(b, f));
    item.frame = f;
    item.place = f->n;
    TRY(bind_push(b, names, item));
    if (!name_index_put(&f->index, item.name, f->n)) return bind_full(b);
    f->items[f->n++] = *names;
    return OK;
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

static enum err bind_set(struct binder *b, const struct ast *n)
{
    /* Limits and hints: a query gives the same rows with and without them. */
    static const char *const harmless[] = {
        "notruncation",
        "norequesttimeout",
        "servertimeout",
        "truncationmaxsize",
        "truncationmaxrecords",
        "maxmemoryconsumptionperiterator",
        "max_memory_consumption_per_query_per_node",
        "query_results_cache_max_age",
        "query_fanout_nodes_percent",
        "query_fanout_threads_percent",
        "query_distribution_nodes_span",
        "query_language",
        "request_app_name",
        "request_description",
        "materialized_view_shuffle",
        "query_results_cache_force_refresh",
        "query_results_progressive_enabled",
        "maxoutputcolumns",
        "query_datascope",
        "best_effort",
    };
    for (size_t i = 0; i < sizeof harmless / sizeof harmless[0]; i++) {
        if (strcmp(n->name, harmless[i]) == 0) return OK;
    }
    const struct ast **slot = NULL;
    if (strcmp(n->name, "query_bin_auto_size") == 0) slot = &b->bin_auto_size;
    if (strcmp(n->name, "query_bin_auto_at") == 0) slot = &b->bin_auto_at;
    if (slot != NULL && n->left != NULL) {
        *slot = n->left;
        return OK;
    }
    return FAIL(diag_at(b->d, n->pos), ERR_UNSUPPORTED, "the option '%s' is not supported",
                n->name);
}

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
    bool function = n->left->kind == AST_FUNCTION, pattern = n->left->kind == AST_PATTERN;
    return frame_push(b, f, names, name->pos,
                      (struct binding){.name = name->name,
                                       .kind = function  ? BIND_FUNCTION
                                               : pattern ? BIND_PATTERN
                                                         : BIND_LET,
                                       .ast = n->left,
                                       .is_view = function && n->left->is_view});
}

enum err bind_body(struct binder *b, struct binding *names, const struct schema *base,
                   const struct ast_body *body, struct binding **out)
{
    struct frame *f;
    TRY(frame_new(b, names, base, &f));
    for (uint32_t i = 0; i < body->lets.n; i++) {
        const struct ast *n = body->lets.at[i];
        if (n->kind == AST_NAMED) {
            TRY(bind_let(b, f, &names, n));
        } else if (n->kind == AST_PARAM) {
            TRY(bind_query_parameter(b, f, &names, n));
        } else {
            TRY(bind_set(b, n));
        }
    }
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
