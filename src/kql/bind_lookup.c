/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_lookup.c - ipv4_lookup and ipv6_lookup: rows of another table whose network has an
 * address
 *
 * ipv4_lookup gives the input's columns first, ipv6_lookup the other table's, as the original does.
 */
#include "kql/bind_evaluate.h"

#include "base/str.h"

struct lookup {
    struct plugin_cx *p;
    const struct schema *source, *other;
    struct ip_lookup *more;
};

static enum err other_column(struct lookup *l, const struct ast *arg, uint32_t *out)
{
    struct scope s = {.b = l->p->cx->b, .row = l->other, .where = l->p->call->name};
    int at = arg->kind == AST_NAME ? schema_find(l->other, arg->name) : -1;
    if (at < 0) return no_column(&s, arg->kind == AST_NAME ? arg->name : "", arg->pos);
    *out = (uint32_t)at;
    return OK;
}

static enum err must_be_text(struct lookup *l, const struct schema *s, uint32_t col)
{
    if (s->cols[col].type == T_STRING) return OK;
    return FAIL_TAG(diag_at(l->p->cx->b->d, l->p->call->pos), ERR_INVALID, "SEM0064",
                    "the plugin %s looks for addresses in texts; '%s' is a %s", l->p->call->name,
                    s->cols[col].name, type_name(s->cols[col].type));
}

/* Columns of both tables that must be equal, and at the end perhaps return_unmatched. */
static enum err extra_keys(struct lookup *l)
{
    struct binder *b = l->p->cx->b;
    const struct ast_list *args = &l->p->call->args;
    struct ip_lookup *m = l->more;
    m->source_extra = arena_array(b->a, uint32_t, args->n);
    m->lookup_extra = arena_array(b->a, uint32_t, args->n);
    if (m->source_extra == NULL || m->lookup_extra == NULL) return bind_full(b);
    for (uint32_t i = 3; i < args->n; i++) {
        const struct ast *arg = args->at[i];
        if (arg->kind == AST_NAMED) arg = arg->left;
        if (arg->kind != AST_NAME) {
            struct expr *e;
            struct scope s = {.b = b, .names = *l->p->cx->names, .where = l->p->call->name};
            TRY(bind_const(&s, arg, &e));
            TRY(expr_cast(&s, arg->pos, e, T_BOOL, true, &e));
            m->unmatched = !e->value.is_null && e->value.b;
            continue;
        }
        TRY(other_column(l, arg, &m->lookup_extra[m->n_extra]));
        TRY(plugin_column(l->p, arg, &m->source_extra[m->n_extra]));
        m->n_extra++;
    }
    return OK;
}

static bool is_extra(const struct ip_lookup *m, uint32_t col)
{
    for (uint32_t i = 0; i < m->n_extra; i++) {
        if (m->lookup_extra[i] == col) return true;
    }
    return false;
}

static enum err add_columns(struct lookup *l, struct name_set *names, bool second,
                            struct column *cols, uint32_t *n)
{
    const struct schema *from = second ? l->other : l->source;
    for (uint32_t i = 0; i < from->n; i++) {
        if (second && is_extra(l->more, i)) continue;
        cols[*n].type = from->cols[i].type;
        TRY(names_add(names, from->cols[i].name, false, 0, &cols[*n].name));
        l->more->from[(*n)++] = second ? i | LOOKUP_SECOND : i;
    }
    return OK;
}

static enum err result_columns(struct lookup *l, struct op *op)
{
    struct binder *b = l->p->cx->b;
    struct name_set names = name_set_of(b);
    uint32_t n = 0, most = l->source->n + l->other->n;
    bool second_first = strcmp(l->p->call->name, "ipv6_lookup") == 0;
    struct column *cols = arena_array(b->a, struct column, most + 1);
    l->more->from = arena_array(b->a, uint32_t, most + 1);
    if (cols == NULL || l->more->from == NULL) return bind_full(b);
    TRY(add_columns(l, &names, second_first, cols, &n));
    TRY(add_columns(l, &names, !second_first, cols, &n));
    op->schema = (struct schema){.n = n, .cols = cols};
    return OK;
}

enum err plugin_lookup(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct lookup l = {.p = p, .source = &p->cx->in->schema};
    struct op *op, *other;
    TRY(plugin_arity(p, 3, 100));
    l.more = arena_new(b->a, struct ip_lookup);
    if (l.more == NULL) return bind_full(b);
    TRY(bind_table(b, *p->cx->names, p->call->args.at[0], &other));
    l.other = &other->schema;
    TRY(plugin_column(p, p->call->args.at[1], &l.more->source_key));
    TRY(other_column(&l, p->call->args.at[2], &l.more->lookup_key));
    TRY(must_be_text(&l, l.source, l.more->source_key));
    TRY(must_be_text(&l, l.other, l.more->lookup_key));
    TRY(extra_keys(&l));
    TRY(op_new(b, OP_WHOLE, p->cx->in, p->call->pos, &op));
    TRY(op_second_input(b, op, other));
    op->whole.kind = WHOLE_IP_LOOKUP;
    op->whole.second = other;
    op->whole.more = l.more;
    *out = op;
    return result_columns(&l, op);
}
