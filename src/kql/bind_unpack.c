/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_unpack.c - bag_unpack: members of a bag as columns
 *
 * Which members there are, and of what types, is for the data to say: without a schema in the query
 * the input is run while the query is compiled. Then it is a projection. A column whose values have
 * several types is dynamic. Columns come in the order of their names, behind the input's; a member
 * named like a column of the input takes its place, where that is allowed.
 */
#include "kql/bind_evaluate.h"

#include "column/dyn.h"

#include <stdlib.h>

#define MEMBERS_MAX 1000

struct found {
    const char *name;
    enum type type; /* T_NONE: nothing but nulls so far */
};

struct unpack {
    struct plugin_cx *p;
    uint32_t bag; /* column of the input */
    const char *prefix;
    enum { CONFLICT_ERROR, CONFLICT_REPLACE, CONFLICT_KEEP } conflict;
    struct value ignored; /* dynamic */
    struct name_index index;
    uint32_t n, cap;
    struct found *found;
};

/* --- what the data has ------------------------------------------------------------------------ */

static enum type type_of(struct bytes dyn)
{
    switch (dyn_kind(dyn)) {
    case DYN_NULL: return T_NONE;
    case DYN_BOOL: return T_BOOL;
    case DYN_LONG: return T_LONG;
    case DYN_REAL: return T_REAL;
    case DYN_DATETIME: return T_DATETIME;
    case DYN_TIMESPAN: return T_TIMESPAN;
    case DYN_GUID: return T_GUID;
    case DYN_DECIMAL: return T_DECIMAL;
    case DYN_STRING: return T_STRING;
    default: return T_DYNAMIC;
    }
}

static bool is_ignored(const struct unpack *u, struct bytes name)
{
    struct dyn_iter it;
    struct bytes key, value;
    if (u->ignored.is_null || !dyn_iter_init(&it, u->ignored.s)) return false;
    while (dyn_iter_next(&it, &key, &value)) {
        struct value v = dyn_scalar(value);
        if (v.type == T_STRING && bytes_eq(v.s, name)) return true;
    }
    return false;
}

static enum err found_grow(struct unpack *u, struct diag *d)
{
    struct arena *a = u->p->cx->b->a;
    uint32_t cap = u->cap == 0 ? 16 : u->cap * 2;
    struct found *found = arena_array(a, struct found, cap);
    if (found == NULL) return arena_full(a, d);
    if (u->n > 0) memcpy(found, u->found, u->n * sizeof *found);
    u->found = found;
    u->cap = cap;
    return OK;
}

static enum err see_member(struct unpack *u, struct bytes name, struct bytes value, struct diag *d)
{
    struct arena *a = u->p->cx->b->a;
    char key[256];
    if (name.len >= sizeof key || is_ignored(u, name)) return OK;
    memcpy(key, name.p, name.len);
    key[name.len] = '\0';
    uint32_t *at = name_index_get(&u->index, key);
    enum type type = type_of(value);
    if (at != NULL) {
        struct found *f = &u->found[*at];
        if (f->type == T_NONE) f->type = type;
        if (type != T_NONE && type != f->type) f->type = T_DYNAMIC;
        return OK;
    }
    if (u->n == MEMBERS_MAX) {
        return FAIL(d, ERR_LIMIT, "bag_unpack: the bags have more than %d different members",
                    MEMBERS_MAX);
    }
    if (u->n == u->cap) TRY(found_grow(u, d));
    const char *own = arena_str(a, name);
    if (own == NULL || !name_index_put(&u->index, own, u->n)) return arena_full(a, d);
    u->found[u->n++] = (struct found){.name = own, .type = type};
    return OK;
}

static enum err see_rows(void *ctx, const struct batch *b, struct diag *d)
{
    struct unpack *u = ctx;
    for (uint32_t i = 0; i < b->n_rows; i++) {
        struct dyn_iter it;
        struct bytes name, value;
        if (!dyn_iter_init(&it, vec_str(&b->cols[0], i)) || !it.is_bag) continue;
        while (dyn_iter_next(&it, &name, &value))
            TRY(see_member(u, name, value, d));
    }
    return OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name);
}

static enum err look(struct unpack *u)
{
    struct op *bags;
    TRY(op_columns(u->p->cx->b, u->p->cx->in, u->p->call->pos, &u->bag, NULL, 1, &bags));
    name_index_init(&u->index, u->p->cx->b->a);
    TRY(plugin_look(u->p, bags, see_rows, u));
    if (u->n > 1) qsort(u->found, u->n, sizeof *u->found, by_name);
    return OK;
}

/* --- the projection --------------------------------------------------------------------------- */

static enum err member(struct unpack *u, const char *name, enum type type, struct expr **out)
{
    struct binder *b = u->p->cx->b;
    struct scope s = scope_of(u->p->cx);
    struct expr *bag, *key;
    TRY(expr_col(b, &u->p->cx->in->schema, u->bag, &bag));
    TRY(expr_string(b, name, &key));
    TRY(expr_call2(&s, u->p->call->pos, "op path", bag, key, out));
    return expr_cast(&s, u->p->call->pos, *out, type == T_NONE ? T_DYNAMIC : type, true, out);
}

static enum err place_member(struct unpack *u, const struct found *f, struct named_expr *exprs,
                             uint32_t *n)
{
    struct binder *b = u->p->cx->b;
    const struct schema *in = &u->p->cx->in->schema;
    const char *name = u->prefix[0] != '\0' ? arena_fmt(b->a, "%s%s", u->prefix, f->name) : f->name;
    if (name == NULL) return bind_full(b);
    int at = schema_find(in, name);
    bool own = at == (int)u->bag;
    if (at >= 0 && !own && u->conflict == CONFLICT_KEEP) return OK;
    if (at >= 0 && !own && u->conflict == CONFLICT_ERROR) {
        return FAIL_TAG(diag_at(b->d, u->p->call->pos), ERR_INVALID, "SEM0171",
                        "bag_unpack: a column named '%s' is there already", name);
    }
    struct named_expr *to = at >= 0 ? &exprs[at] : &exprs[(*n)++];
    to->name = name;
    return member(u, f->name, f->type, &to->expr);
}

static enum err found_columns(struct unpack *u, struct op **out)
{
    struct binder *b = u->p->cx->b;
    const struct schema *in = &u->p->cx->in->schema;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)in->n + u->n + 1);
    uint32_t n = in->n, kept = 0;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; i < in->n; i++) {
        if (i == u->bag) continue;
        exprs[i].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[i].expr));
    }
    for (uint32_t i = 0; i < u->n; i++)
        TRY(place_member(u, &u->found[i], exprs, &n));
    for (uint32_t i = 0; i < n; i++) { /* the bag's own place may be empty */
        if (exprs[i].expr != NULL) exprs[kept++] = exprs[i];
    }
    return op_project(b, u->p->cx->in, u->p->call->pos, exprs, kept, out);
}

/* The columns that the query names: the input's own, or members; a star is all of the input's. */
static enum err named_columns(struct unpack *u, struct op **out)
{
    struct binder *b = u->p->cx->b;
    const struct schema *in = &u->p->cx->in->schema;
    const struct ast_list *list = &u->p->schema->args;
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)in->n + list->n + 1);
    uint32_t n = 0;
    if (exprs == NULL) return bind_full(b);
    for (uint32_t i = 0; u->p->schema->is_open && i < in->n; i++) {
        if (i == u->bag) continue;
        exprs[n].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[n++].expr));
    }
    size_t skip = strlen(u->prefix);
    for (uint32_t i = 0; i < list->n; i++) {
        const struct ast *c = list->at[i];
        int at = schema_find(in, c->name);
        bool theirs = at >= 0 && at != (int)u->bag && u->conflict != CONFLICT_REPLACE;
        if (theirs && u->p->schema->is_open) continue;
        exprs[n].name = c->name;
        struct expr **e = &exprs[n++].expr;
        if (theirs) {
            struct scope s = scope_of(u->p->cx);
            TRY(expr_col(b, in, (uint32_t)at, e));
            TRY(expr_cast(&s, c->pos, *e, c->type, true, e));
            continue;
        }
        bool prefixed = strncmp(c->name, u->prefix, skip) == 0;
        TRY(member(u, prefixed ? c->name + skip : c->name, c->type, e));
    }
    return op_project(b, u->p->cx->in, u->p->call->pos, exprs, n, out);
}

static enum err read_args(struct unpack *u)
{
    static const char *const words[] = {"error", "replace_source", "keep_source"};
    struct plugin_cx *p = u->p;
    struct binder *b = p->cx->b;
    const struct ast *arg;
    const char *word;
    TRY(plugin_arity(p, 1, 4));
    TRY(plugin_column(p, p->call->args.at[0], &u->bag));
    if (p->cx->in->schema.cols[u->bag].type != T_DYNAMIC) {
        return FAIL_TAG(diag_at(b->d, p->call->pos), ERR_INVALID, "SEM0064",
                        "bag_unpack() wants a dynamic column, not a %s",
                        type_name(p->cx->in->schema.cols[u->bag].type));
    }
    u->prefix = "";
    u->ignored.is_null = true;
    if ((arg = plugin_arg(p, 1, "OutputColumnPrefix")) != NULL)
        TRY(plugin_text(p, arg, &u->prefix));
    if ((arg = plugin_arg(p, 2, "columnsConflict")) != NULL) {
        TRY(plugin_text(p, arg, &word));
        int i = 0;
        while (i < 3 && strcmp(words[i], word) != 0)
            i++;
        if (i == 3) {
            return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0001",
                            "columnsConflict is error, replace_source or keep_source, not '%s'",
                            word);
        }
        u->conflict = i;
    }
    if ((arg = plugin_arg(p, 3, "ignoredProperties")) != NULL) {
        struct scope s = {.b = b, .names = *p->cx->names, .where = p->call->name};
        struct expr *e;
        TRY(bind_const(&s, arg, &e));
        TRY(expr_cast(&s, arg->pos, e, T_DYNAMIC, true, &e));
        u->ignored = e->value;
    }
    return OK;
}

enum err plugin_bag_unpack(struct plugin_cx *p, struct op **out)
{
    struct unpack u = {.p = p};
    TRY(read_args(&u));
    if (p->schema != NULL) return named_columns(&u, out);
    TRY(look(&u));
    TRY(found_columns(&u, out));
    (*out)->is_open = p->cx->b->opt->run == NULL;
    return OK;
}
