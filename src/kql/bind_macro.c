/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_macro.c - macro-expand: a query of each entity of a group, and the union of what they give
 *
 * `isfuzzy` leaves out an entity that is not there, that the caller may not read, or that lacks a
 * table of the query; anything else that is wrong with a part is wrong with the whole.
 */
#include "kql/bind.h"

#define ENTITIES_MAX 1000

struct group {
    const struct ast *entities;
    struct binding *names; /* where they stand */
};

static enum err find_group(struct op_cx *cx, struct group *out)
{
    const struct ast *n = cx->ast->left;
    *out = (struct group){n, *cx->names};
    if (n->kind == AST_ENTITIES) return OK;
    struct binding *found = find_binding(*cx->names, n->name);
    if (found != NULL && found->kind == BIND_ENTITIES) {
        *out = (struct group){found->ast, found->up};
        return OK;
    }
    return FAIL_TAG(diag_at(cx->b->d, n->pos), ERR_INVALID, "SEM0100",
                    found != NULL ? "'%s' is no group of entities"
                                  : "there is no group of entities '%s': declare it by "
                                    "let %s = entity_group [...]",
                    n->name, n->name);
}

static enum err bind_entity(struct op_cx *cx, const struct group *g, uint32_t i, struct op **out)
{
    struct binder *b = cx->b;
    struct binding *names = *cx->names;
    struct binding entity = {.name = cx->ast->right->name, .kind = BIND_PLACE};
    TRY(bind_place(b, g->names, g->entities->args.at[i], &entity.entity));
    TRY(bind_push(b, &names, entity));
    TRY(bind_body(b, names, NULL, cx->ast->body, &names));
    if (cx->ast->body->result == NULL) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SEM0001",
                        "the query of 'macro-expand' has no result");
    }
    return bind_table(b, names, cx->ast->body->result, out);
}

/* What failed leaves the binder as it was before; true: it is forgiven. */
static bool forgive(struct binder *b, const struct binder *before, bool is_fuzzy)
{
    bool forgiven = is_fuzzy && b->is_unresolved;
    if (!forgiven) return false;
    uint32_t steps = b->steps;
    *b = *before;
    b->steps = steps;
    return true;
}

static enum err add_entity(struct legs *l, const struct group *g, uint32_t i)
{
    struct binder *b = l->cx->b, before = *b;
    struct diag why = DIAG_INIT;
    struct op *op;
    b->is_unresolved = false;
    b->d = l->fuzzy ? &why : before.d;
    enum err e = bind_entity(l->cx, g, i, &op);
    b->d = before.d;
    if (e == OK) {
        b->is_unresolved = before.is_unresolved;
        return add_leg(l, op, NULL, NULL);
    }
    if (forgive(b, &before, l->fuzzy)) return OK;
    if (!l->fuzzy || b->d == NULL) return e;
    *b->d = why;
    return e;
}

enum err bind_macro_expand(struct op_cx *cx, struct op **out)
{
    static const char *const allowed[] = {"kind", "isfuzzy", "best_effort", NULL};
    struct group g;
    struct legs l = {.cx = cx};
    struct binder *b = cx->b;
    if (cx->in != NULL) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SYN0002",
                        "'macro-expand' begins a query");
    }
    TRY(check_params(cx, allowed));
    TRY(read_leg_params(&l));
    TRY(find_group(cx, &g));
    if (g.entities->args.n > ENTITIES_MAX) {
        return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_LIMIT, "SEM0001",
                        "the group has more than %d entities", ENTITIES_MAX);
    }
    for (uint32_t i = 0; i < g.entities->args.n; i++)
        TRY(add_entity(&l, &g, i));
    if (l.n > 0) return make_union(&l, out);
    return FAIL_TAG(diag_at(b->d, cx->ast->pos), ERR_INVALID, "SEM0100",
                    "none of the entities of the group can be read");
}
