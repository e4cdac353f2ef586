/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_restrict.c - restrict access to: tables and views that what follows may name
 *
 * A restriction is a nameless binding of its body: who looks for a name from behind it passes it, a
 * view that was declared before it does not. Values are not hidden.
 */
#include "kql/bind.h"

struct entity {
    const char *name;                /* may have stars */
    const struct kql_catalog *place; /* NULL: a name of the query, or of its own place */
    bool is_pattern;
};

struct restriction {
    struct restriction *up; /* an earlier one of the same body */
    struct binder *b;
    const struct kql_catalog *home;
    uint32_t place; /* of its binding in the frame */
    uint32_t n;
    struct entity *entities;
};

static bool is_named(const struct entity *e, const char *name)
{
    return e->is_pattern ? wildcard_match(e->name, name) : strcmp(e->name, name) == 0;
}

static bool allows_binding(const struct restriction *r, const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (r->entities[i].place == NULL && is_named(&r->entities[i], name)) return true;
    }
    return false;
}

/* A star without a place means names of the query only. */
static bool allows_table(const struct restriction *r, const struct kql_catalog *place,
                         const char *name)
{
    for (uint32_t i = 0; i < r->n; i++) {
        const struct entity *e = &r->entities[i];
        bool here = e->place == NULL && !e->is_pattern && place == r->home;
        if ((here || e->place == place) && is_named(e, name)) return true;
    }
    return false;
}

static bool is_value(struct binder *b, struct binding *n)
{
    if (n->kind == BIND_SCALAR) return true;
    if (n->kind == BIND_FUNCTION) return n->home == NULL && !function_is_tabular(b, n);
    return n->kind == BIND_LET && !is_tabular(b, n->up, n->ast);
}

bool hides_binding(struct binding *names, struct binding *found)
{
    for (struct binding *n = names; n != NULL;) {
        if (n == found) return false;
        if (n->frame == NULL) {
            n = n->up;
            continue;
        }
        for (const struct restriction *r = n->frame->restricted; r != NULL; r = r->up) {
            bool passed =
                r->place <= n->place && !(found->frame == n->frame && found->place > r->place);
            if (passed && !allows_binding(r, found->name) && !is_value(r->b, found)) return true;
        }
        if (found->frame == n->frame) return false;
        n = n->frame->outer;
    }
    return false;
}

bool hides_table(struct binding *names, const struct kql_catalog *place, const char *name)
{
    for (struct binding *n = names; n != NULL;) {
        const struct restriction *r = n->frame != NULL ? n->frame->restricted : NULL;
        for (; r != NULL; r = r->up) {
            if (r->place <= n->place && !allows_table(r, place, name)) return true;
        }
        n = n->frame != NULL ? n->frame->outer : n->up;
    }
    return false;
}

static enum err read_entity(struct binder *b, struct binding *names, const struct ast *n,
                            struct entity *out)
{
    struct op *op;
    if (n->kind == AST_WILDCARD) {
        *out = (struct entity){.name = n->name, .is_pattern = true};
        return OK;
    }
    if (n->kind == AST_NAME) {
        *out = (struct entity){.name = n->name};
        return find_binding(names, n->name) != NULL ? OK
                                                    : find_table(b, names, n->name, n->pos, &op);
    }
    bool of_place = n->kind == AST_PATH && n->right == NULL && is_place(names, n->args.at[0]);
    if (!of_place) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SYN0002",
                        "'restrict access to' takes names of tables, views and patterns");
    }
    struct place place;
    TRY(bind_place(b, names, n->args.at[0], &place));
    *out = (struct entity){.name = n->name, .place = place.catalog, .is_pattern = n->is_open};
    return OK;
}

enum err bind_restrict(struct binder *b, struct frame *f, struct binding **names,
                       const struct ast *n)
{
    struct restriction *r = arena_new(b->a, struct restriction);
    struct entity *list = arena_array(b->a, struct entity, n->args.n);
    if (r == NULL || list == NULL) return bind_full(b);
    for (uint32_t i = 0; i < n->args.n; i++)
        TRY(read_entity(b, *names, n->args.at[i], &list[i]));
    *r = (struct restriction){.up = f->restricted,
                              .b = b,
                              .home = b->catalog,
                              .place = f->n,
                              .n = n->args.n,
                              .entities = list};
    TRY(frame_add(b, f, names, (struct binding){.name = "", .kind = BIND_RESTRICT}));
    f->restricted = r;
    return OK;
}
