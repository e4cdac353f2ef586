/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_place.c - places: workspace("w"), cluster("c").database("d"), what a let, an alias or the
 * entity of a macro-expand stands for; and the tables that are taken of them
 */
#include "kql/bind.h"

struct alias { /* alias database name = ... */
    struct alias *up;
    const char *name;
    struct place place;
};

static bool names_place(const char *function)
{
    static const char *const names[] = {"workspace", "app", "resource", "database", "cluster"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(function, names[i]) == 0) return true;
    }
    return false;
}

/* What the query itself has called so stands before a place. */
bool is_place(struct binding *names, const struct ast *n)
{
    struct binding *found;
    switch (n->kind) {
    case AST_CALL: return names_place(n->name) && find_binding(names, n->name) == NULL;
    case AST_PATH:
        return n->right != NULL && strcmp(n->right->name, "database") == 0 &&
               is_place(names, n->args.at[0]);
    case AST_NAME:
        found = find_binding(names, n->name);
        if (found != NULL && found->kind == BIND_LET) return is_place(found->up, found->ast);
        return found != NULL && found->kind == BIND_PLACE;
    default: return false;
    }
}

/* --- which place ------------------------------------------------------------------------------ */

static enum err no_place(struct binder *b, const struct ast *call, const char *name, enum err e,
                         const struct diag *why)
{
    if (e == ERR_NOT_FOUND || e == ERR_DENIED) b->is_unresolved = true;
    diag_at(b->d, call->pos);
    const char *tag = e == ERR_NOT_FOUND && why->tag[0] == '\0' ? "SEM0100" : why->tag;
    if (why->text[0] != '\0')
        return FAIL_TAG(b->d, e == ERR_NOT_FOUND ? ERR_INVALID : e, tag, "%s", why->text);
    return FAIL_TAG(b->d, ERR_INVALID, tag, "there is no %s '%s'", call->name, name);
}

static enum err no_places(struct binder *b, const struct ast *call)
{
    return FAIL(diag_at(b->d, call->pos), ERR_UNSUPPORTED,
                "tables of another %s can't be read here", call->name);
}

/* workspace("w"): as the original, it is not a query's to work out which. */
static enum err place_name(struct binder *b, struct binding *names, const struct ast *call,
                           const char **out)
{
    struct expr *name;
    struct scope s = {.b = b, .names = names, .where = call->name};
    const struct ast *arg = call->args.n == 1 ? call->args.at[0] : NULL;
    bool of_kusto = strcmp(call->name, "database") == 0 || strcmp(call->name, "cluster") == 0;
    if (arg == NULL) {
        return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0219", "%s() takes one name",
                        call->name);
    }
    if (arg->kind != AST_CONST && !of_kusto) {
        return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0134",
                        "%s() takes its name as a literal", call->name);
    }
    TRY(bind_const(&s, arg, &name));
    if (name->type != T_STRING) {
        return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0064",
                        "%s() takes the name as a string", call->name);
    }
    *out = arena_str(b->a, name->value.s);
    return *out != NULL ? OK : bind_full(b);
}

static const struct alias *find_alias(const struct binder *b, const struct ast *call,
                                      const char *name)
{
    const struct alias *a = strcmp(call->name, "database") == 0 ? b->aliases : NULL;
    while (a != NULL && strcmp(a->name, name) != 0)
        a = a->up;
    return a;
}

static enum err check_remote(struct binder *b, const struct ast *call,
                             const struct kql_catalog *catalog, const char *name)
{
    if (!b->no_remote || catalog == b->catalog) return OK;
    return FAIL(diag_at(b->d, call->pos), ERR_UNSUPPORTED,
                "%s('%s'): the option 'request_remote_entities_disabled' forbids it", call->name,
                name);
}

/* Opens what the call's function and a name say; before: the label of what stands before it, or NULL. */
static enum err open_place(struct binder *b, const struct kql_catalog *in, const char *before,
                           const struct ast *call, const char *name, struct place *out)
{
    struct diag why = DIAG_INIT;
    enum err e = in->place(in->ctx, call->name, name, &out->catalog, &why);
    if (e != OK) return no_place(b, call, name, e, &why);
    TRY(check_remote(b, call, out->catalog, name));
    out->label = arena_fmt(b->a, "%s%s%s('%s')", before != NULL ? before : "",
                           before != NULL ? "." : "", call->name, name);
    return out->label != NULL ? OK : bind_full(b);
}

/* before: of cluster("c"), whose catalogue knows the database; NULL: it begins with the call. */
static enum err bind_place_call(struct binder *b, struct binding *names, const struct ast *call,
                                const struct place *before, struct place *out)
{
    const char *name;
    const struct kql_catalog *in = before != NULL ? before->catalog : b->catalog;
    if (strcmp(call->name, "database") == 0 && call->args.n == 0 && before == NULL) {
        *out = (struct place){b->catalog, b->catalog->label};
        return OK;
    }
    TRY(place_name(b, names, call, &name));
    const struct alias *alias = before == NULL ? find_alias(b, call, name) : NULL;
    if (alias != NULL) {
        *out = alias->place;
        return OK;
    }
    if (in->place == NULL) return no_places(b, call);
    return open_place(b, in, before != NULL ? before->label : NULL, call, name, out);
}

static enum err bind_place_name(struct binder *b, struct binding *names, const struct ast *n,
                                struct place *out)
{
    struct binding *found = find_binding(names, n->name);
    if (found->kind == BIND_LET) return bind_place(b, found->up, found->ast, out);
    *out = found->entity;
    return OK;
}

enum err bind_place(struct binder *b, struct binding *names, const struct ast *n, struct place *out)
{
    struct place before;
    TRY(bind_deeper(b, n->pos));
    if (!is_place(names, n)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "a workspace or database is wanted here");
    }
    switch (n->kind) {
    case AST_CALL: TRY(bind_place_call(b, names, n, NULL, out)); break;
    case AST_NAME: TRY(bind_place_name(b, names, n, out)); break;
    default:
        TRY(bind_place(b, names, n->args.at[0], &before));
        TRY(bind_place_call(b, names, n->right, &before, out));
    }
    b->depth--;
    return OK;
}

/* --- several ---------------------------------------------------------------------------------- */

static const struct ast *last_call(const struct ast *n)
{
    return n->kind == AST_PATH ? n->right : n;
}

bool is_place_pattern(struct binding *names, const struct ast *n)
{
    if (!is_place(names, n) || n->kind == AST_NAME) return false;
    const struct ast *call = last_call(n);
    const struct ast *arg = call->args.n == 1 ? call->args.at[0] : NULL;
    return arg != NULL && strcmp(call->name, "database") == 0 && arg->kind == AST_CONST &&
           arg->value.type == T_STRING && memchr(arg->value.s.p, '*', arg->value.s.len) != NULL;
}

enum err bind_each_place(struct binder *b, struct binding *names, const struct ast *n,
                         each_place_fn *each, void *ctx)
{
    struct place place = {.catalog = b->catalog};
    if (!is_place_pattern(names, n)) {
        TRY(bind_place(b, names, n, &place));
        return each(ctx, &place);
    }
    const struct ast *call = last_call(n);
    if (n->kind == AST_PATH) TRY(bind_place(b, names, n->args.at[0], &place));
    const struct kql_catalog *in = place.catalog;
    const char *pattern = arena_str(b->a, call->args.at[0]->value.s), *before = place.label;
    if (pattern == NULL) return bind_full(b);
    if (in->place == NULL || in->place_name == NULL) return no_places(b, call);
    const char *name;
    for (uint32_t i = 0; (name = in->place_name(in->ctx, i)) != NULL; i++) {
        if (!wildcard_match(pattern, name)) continue;
        TRY(open_place(b, in, before, call, name, &place));
        TRY(each(ctx, &place));
    }
    return OK;
}

enum err bind_alias(struct binder *b, struct binding *names, const struct ast *n)
{
    struct alias *a = arena_new(b->a, struct alias);
    if (a == NULL) return bind_full(b);
    *a = (struct alias){.up = b->aliases, .name = n->name};
    TRY(bind_place(b, names, n->left, &a->place));
    b->aliases = a;
    return OK;
}

/* --- what is taken of it ---------------------------------------------------------------------- */

static enum err bind_place_function(struct binder *b, struct binding *names,
                                    const struct place *place, const struct ast *call,
                                    struct op **out)
{
    struct binding *root = NULL;
    struct scope s = {.b = b, .names = names, .where = call->name};
    TRY(stored_root(b, place->catalog, &root));
    struct binding *f = root != NULL && !hides_table(names, place->catalog, call->name)
                            ? find_binding(root, call->name)
                            : NULL;
    if (f != NULL) return bind_function_table(&s, f, call, NULL, out);
    if (root == NULL) {
        return FAIL(diag_at(b->d, call->pos), ERR_UNSUPPORTED,
                    "of %s only tables can be read, not functions: '%s'", place->label, call->name);
    }
    return FAIL_TAG(diag_at(b->d, call->pos), ERR_INVALID, "SEM0260", "%s has no function '%s'",
                    place->label, call->name);
}

/* A table, or a function without arguments. */
static enum err bind_of_place(struct binder *b, struct binding *names, const struct place *place,
                              const struct ast *name, struct op **out)
{
    struct binding *root = NULL;
    enum err e = open_table(b, names, place->catalog, name->name, name->pos, out);
    if (e != ERR_NOT_FOUND) return e;
    TRY(stored_root(b, place->catalog, &root));
    bool is_function = root != NULL && find_binding(root, name->name) != NULL;
    if (is_function && !hides_table(names, place->catalog, name->name)) {
        struct ast call = {.kind = AST_CALL, .name = name->name, .pos = name->pos};
        return bind_place_function(b, names, place, &call, out);
    }
    return no_table(b, NULL, place->catalog, name->name, name->pos);
}

enum err bind_elsewhere(struct binder *b, struct binding *names, const struct ast *n,
                        struct op **out)
{
    struct place place;
    const struct ast *base = n->args.at[0];
    struct binding *f = base->kind == AST_CALL ? find_binding(names, base->name) : NULL;
    if (f != NULL && f->kind == BIND_PATTERN) return bind_pattern(b, names, f, base, n->name, out);
    if (is_place(names, n)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "a database stands where a table is wanted: name one behind it, as .T");
    }
    if (!is_place(names, base)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "a value stands where a table is wanted");
    }
    if (n->is_open) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "'%s': several tables can be named so in union, find and search", n->name);
    }
    if (is_place_pattern(names, base)) {
        return FAIL_TAG(diag_at(b->d, n->pos), ERR_INVALID, "SEM0100",
                        "several databases can be named so in union, find and search");
    }
    TRY(bind_place(b, names, base, &place));
    size_t len = strlen(n->name);
    bool is_last = n->end >= len && n->end - len > n->pos; /* the name ends the path */
    struct ast name = {
        .kind = AST_NAME, .name = n->name, .pos = is_last ? n->end - (uint32_t)len : n->pos};
    if (n->right == NULL) return bind_of_place(b, names, &place, &name, out);
    if (strcmp(n->right->name, "table") != 0)
        return bind_place_function(b, names, &place, n->right, out);
    TRY(table_argument(b, names, n->right, &name));
    return bind_of_place(b, names, &place, &name, out);
}
