/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_stored.c - functions that the catalogue keeps: text that is parsed when it is first named
 *
 * They lie below all names of the query and know each other, but no name of the query. Positions in
 * their text are not the caller's: what goes wrong inside is said at the call, with the function's
 * name before it.
 */
#include "kql/bind.h"

#include "kql/parse.h"

#define STORED_MAX 200 /* different ones in one query */

struct stored {
    struct binder *b;
    const struct kql_catalog *place; /* whose they are */
    uint32_t n;
    struct binding *found[STORED_MAX];
};

enum err stored_root(struct binder *b, const struct kql_catalog *place, struct binding **names)
{
    if (place->function == NULL) return OK;
    for (struct binding *r = b->roots; r != NULL; r = r->next_root) {
        if (r->stored->place != place) continue;
        *names = r;
        return OK;
    }
    struct stored *s = arena_new(b->a, struct stored);
    if (s == NULL) return bind_full(b);
    s->b = b;
    s->place = place;
    *names = NULL;
    TRY(bind_push(b, names, (struct binding){.name = "", .kind = BIND_STORED, .stored = s}));
    (*names)->next_root = b->roots;
    b->roots = *names;
    return OK;
}

/* The function's text and tree; what is wrong with it is said when it is called. */
static struct binding *read_function(struct stored *s, struct binding *root, const char *name,
                                     const struct kql_function *f)
{
    struct binder *b = s->b;
    struct diag why = DIAG_INIT;
    struct binding *n = arena_new(b->a, struct binding);
    const char *text = arena_fmt(b->a, "(%s) {\n%s\n}", f->parameters, f->body);
    struct ast *ast = NULL;
    if (n == NULL || text == NULL) return NULL;
    *n = (struct binding){
        .name = name, .kind = BIND_FUNCTION, .up = root, .text = bytes_str(text), .home = s->place};
    if (kql_parse_function(b->a, n->text, &ast, &why) != OK) {
        n->broken = arena_str(b->a, bytes_str(why.text));
        ast = arena_new(b->a, struct ast);
        if (ast != NULL) ast->body = arena_new(b->a, struct ast_body);
        if (n->broken == NULL || ast == NULL || ast->body == NULL) return NULL;
    }
    n->ast = ast;
    s->found[s->n++] = n;
    return n;
}

struct binding *stored_find(struct binding *root, const char *name)
{
    struct stored *s = root->stored;
    struct kql_function f;
    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->found[i]->name, name) == 0) return s->found[i];
    }
    if (s->n == STORED_MAX || kql_has_function(name)) return NULL;
    const struct kql_catalog *c = s->place;
    if (c->function(c->ctx, name, &f, NULL) != OK) return NULL;
    const char *own = arena_str(s->b->a, bytes_str(name));
    return own != NULL ? read_function(s, root, own, &f) : NULL;
}

enum err stored_check(struct binder *b, const struct binding *f, const struct ast *call)
{
    if (f->broken == NULL) return OK;
    return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0001", "in the function '%s': %s",
                    f->name, f->broken);
}

enum err stored_told(struct binder *b, const struct binding *f, const struct ast *call, enum err e)
{
    if (e == OK || f->text.p == NULL || b->d == NULL) return e;
    struct diag inner = *b->d;
    diag_reset(b->d);
    if (strncmp(inner.text, "in the function '", 17) == 0) /* the innermost is named alone */
        return FAIL_TAG(diag_at(b->d, call->pos), e, inner.tag, "%s", inner.text);
    return FAIL_TAG(diag_at(b->d, call->pos), e, inner.tag, "in the function '%s': %s", f->name,
                    inner.text);
}
