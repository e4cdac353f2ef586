/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_union.c - union: its legs, their names, and the columns that they have in common */
#include "kql/bind.h"

#include "base/str.h"

enum err read_leg_params(struct legs *l)
{
    l->fuzzy = l->cx->b->best_effort;
    const struct ast_list *params = &l->cx->ast->params;
    for (uint32_t i = 0; i < params->n; i++) {
        const struct ast *p = params->at[i];
        const char *word = p->left->kind == AST_NAME ? p->left->name : "";
        bool yes = p->left->kind == AST_CONST && p->left->value.type == T_BOOL && p->left->value.b;
        if (strcmp(p->name, "isfuzzy") == 0 || strcmp(p->name, "best_effort") == 0) {
            l->fuzzy = yes;
        } else if (strcmp(p->name, "withsource") == 0 || strcmp(p->name, "with_source") == 0) {
            l->source = word[0] != '\0' ? word : NULL;
            if (p->left->kind == AST_CONST && p->left->value.type == T_STRING) {
                l->source = arena_str(l->cx->b->a, p->left->value.s);
            }
        } else if (strcmp(p->name, "kind") == 0) {
            l->inner = strcmp(word, "inner") == 0;
            if (!l->inner && strcmp(word, "outer") != 0) {
                return FAIL_TAG(diag_at(l->cx->b->d, p->pos), ERR_INVALID, "SYN0002",
                                "the kind of a union is inner or outer, not '%s'", word);
            }
        } else if (strncmp(p->name, "hint.", 5) != 0) {
            return FAIL(diag_at(l->cx->b->d, p->pos), ERR_UNSUPPORTED,
                        "the parameter '%s' of union is not supported", p->name);
        }
    }
    return OK;
}

static enum err grow(struct legs *l)
{
    struct binder *b = l->cx->b;
    uint32_t cap = l->cap == 0 ? 8 : l->cap * 2;
    struct op **ops = arena_array(b->a, struct op *, cap);
    const char **names = arena_array(b->a, const char *, cap);
    struct place *places = arena_array(b->a, struct place, cap);
    if (ops == NULL || names == NULL || places == NULL) return bind_full(b);
    if (l->n > 0) {
        memcpy(ops, l->ops, l->n * sizeof *ops);
        memcpy(names, l->names, l->n * sizeof *names);
        memcpy(places, l->places, l->n * sizeof *places);
    }
    l->ops = ops;
    l->names = names;
    l->places = places;
    l->cap = cap;
    return OK;
}

enum err add_leg(struct legs *l, struct op *op, const char *name, const struct place *place)
{
    struct binder *b = l->cx->b;
    if (l->n == l->cap) TRY(grow(l));
    if (name == NULL) name = arena_fmt(b->a, "%s_arg%u", l->cx->ast->name, l->n);
    if (name == NULL) return bind_full(b);
    l->ops[l->n] = op;
    l->places[l->n] = place != NULL ? *place : (struct place){0};
    l->names[l->n++] = name;
    return OK;
}

static enum err add_matching_of(struct legs *l, const struct ast *n, const struct place *place)
{
    struct op *op;
    const struct kql_catalog *c = place->catalog;
    for (uint32_t i = 0; c->table_name != NULL; i++) {
        const char *name = c->table_name(c->ctx, i);
        if (name == NULL) break;
        if (!wildcard_match(n->name, name) || hides_table(*l->cx->names, c, name)) continue;
        TRY(open_table(l->cx->b, *l->cx->names, c, name, n->pos, &op));
        TRY(add_leg(l, op, name, place));
    }
    return OK;
}

/* The place of the query's own tables, then those that its names stand for, too. */
static struct place place_at(const struct binder *b, uint32_t i)
{
    const struct kql_catalog *c = i == 0 ? b->catalog : b->catalog->also[i - 1];
    return (struct place){c, c->label};
}

/* T* means tables and views of the query; nothing needs to match. */
static enum err add_matching(struct legs *l, const struct ast *n)
{
    struct binder *b = l->cx->b;
    struct binding *names = *l->cx->names;
    struct op *op;
    for (struct binding *v = names; v != NULL; v = v->up) {
        if (!v->is_view || !wildcard_match(n->name, v->name) || hides_binding(names, v)) continue;
        struct ast name = {.kind = AST_NAME, .pos = n->pos, .name = v->name};
        TRY(bind_table(b, names, &name, &op));
        TRY(add_leg(l, op, v->name, NULL));
    }
    for (uint32_t i = 0; i <= b->catalog->n_also; i++) {
        struct place place = place_at(b, i);
        TRY(add_matching_of(l, n, &place));
    }
    return OK;
}

/* A name that no let has: a table of each place that has it. */
static enum err add_named(struct legs *l, const struct ast *n)
{
    struct binder *b = l->cx->b;
    uint32_t before = l->n;
    struct op *op;
    for (uint32_t i = 0; i <= b->catalog->n_also; i++) {
        struct place place = place_at(b, i);
        enum err e = open_table(b, *l->cx->names, place.catalog, n->name, n->pos, &op);
        if (e != OK && e != ERR_NOT_FOUND) return e;
        if (e == OK) TRY(add_leg(l, op, n->name, &place));
    }
    return l->n > before ? OK : no_table(b, *l->cx->names, b->catalog, n->name, n->pos);
}

struct elsewhere {
    struct legs *l;
    const struct ast *n;
};

static enum err add_place(void *ctx, const struct place *place)
{
    struct elsewhere *e = ctx;
    return add_matching_of(e->l, e->n, place);
}

/* workspace("w").T*, database("*").T */
static enum err add_elsewhere(struct legs *l, const struct ast *n)
{
    struct elsewhere e = {l, n};
    return bind_each_place(l->cx->b, *l->cx->names, n->args.at[0], add_place, &e);
}

/* Of another place: it must be there, the table need not. */
static bool is_missing_elsewhere(struct legs *l, const struct ast *n)
{
    struct place place;
    const struct schema *schema;
    void *table;
    struct binder *b = l->cx->b;
    struct diag *d = b->d;
    uint32_t depth = b->depth;
    if (n->right != NULL || !is_place(*l->cx->names, n->args.at[0])) return false;
    b->d = NULL;
    enum err e = bind_place(b, *l->cx->names, n->args.at[0], &place);
    b->d = d;
    b->depth = depth;
    return e == OK && place.catalog->table(place.catalog->ctx, n->name, &schema, &table, NULL) ==
                          ERR_NOT_FOUND;
}

/* isfuzzy forgives a table that is not there, and nothing else. */
static bool is_missing(struct legs *l, const struct ast *n)
{
    while (n->kind == AST_PIPE && n->left != NULL)
        n = n->left;
    if (n->kind == AST_PATH) return is_missing_elsewhere(l, n);
    if (n->kind == AST_CALL && strcmp(n->name, "table") == 0 && n->args.n > 0) {
        struct ast name;
        return table_argument(l->cx->b, *l->cx->names, n, &name) == OK &&
               !is_tabular(l->cx->b, *l->cx->names, &name);
    }
    return n->kind == AST_NAME && !is_tabular(l->cx->b, *l->cx->names, n);
}

/* Tables and views go by their names, so does what `as` has named; all else is union_arg0 ... */
static const char *leg_name(const struct legs *l, const struct ast *n)
{
    if (n->kind == AST_NAME) {
        const struct binding *let = find_binding(*l->cx->names, n->name);
        return let == NULL || let->is_view ? n->name : NULL;
    }
    if (n->kind != AST_PIPE || n->args.n == 0) return NULL;
    const struct ast *last = n->args.at[n->args.n - 1];
    return last->op == OPER_AS ? last->name : NULL;
}

static enum err add_table(struct legs *l, const struct ast *n)
{
    struct op *op;
    struct binding *names = *l->cx->names;
    bool elsewhere = n->kind == AST_PATH && is_place(names, n->args.at[0]);
    if (n->kind == AST_WILDCARD) return add_matching(l, n);
    bool several = elsewhere && (n->is_open || is_place_pattern(names, n->args.at[0]));
    if (several && n->right == NULL) return add_elsewhere(l, n);
    if (l->fuzzy && is_missing(l, n)) return OK;
    if (n->kind == AST_NAME && find_binding(names, n->name) == NULL) return add_named(l, n);
    TRY(bind_table(l->cx->b, names, n, &op));
    if (!elsewhere || n->right != NULL) return add_leg(l, op, leg_name(l, n), NULL);
    struct place place;
    TRY(bind_place(l->cx->b, names, n->args.at[0], &place));
    return add_leg(l, op, n->name, &place);
}

/* Where tables of several places are read, their names say whose they are; the query's own place
 * counts. */
static enum err qualify(struct legs *l)
{
    struct binder *b = l->cx->b;
    bool several = false;
    for (uint32_t i = 0; i < l->n; i++)
        several |= l->places[i].catalog != NULL && l->places[i].catalog != b->catalog;
    for (uint32_t i = 0; several && i < l->n; i++) {
        const char *label = l->places[i].label;
        if (l->places[i].catalog == NULL || label == NULL) continue;
        l->names[i] = arena_fmt(b->a, "%s.%s", label, l->names[i]);
        if (l->names[i] == NULL) return bind_full(b);
    }
    return OK;
}

/* A name in the result: as many columns as it has types. */
struct merged {
    const char *name;
    uint32_t n_legs; /* that have it */
    uint32_t n_types;
    enum type types[N_TYPES]; /* in the order of the legs */
    uint32_t first;           /* result column of types[0], the others follow */
};

struct merge {
    struct legs *l;
    struct name_index index;
    uint32_t n, n_cols;
    struct merged *names; /* in the order in which they occur */
};

static uint32_t type_place(const struct merged *m, enum type type)
{
    uint32_t i = 0;
    while (i < m->n_types && m->types[i] != type)
        i++;
    return i;
}

static enum err merge_leg(struct merge *m, const struct schema *leg)
{
    for (uint32_t c = 0; c < leg->n; c++) {
        const char *name = leg->cols[c].name;
        uint32_t *at = name_index_get(&m->index, name);
        struct merged *to = at != NULL ? &m->names[*at] : &m->names[m->n];
        if (at == NULL) {
            if (!name_index_put(&m->index, name, m->n++)) return bind_full(m->l->cx->b);
            to->name = name;
        }
        to->n_legs++;
        uint32_t place = type_place(to, leg->cols[c].type);
        if (place == to->n_types) to->types[to->n_types++] = leg->cols[c].type;
    }
    return OK;
}

/* A name with several types becomes several columns: x_long, x_string. */
static enum err merged_schema(struct merge *m, struct schema *out)
{
    struct binder *b = m->l->cx->b;
    struct name_set names = name_set_of(b);
    size_t most = 0;
    for (uint32_t i = 0; i < m->n; i++)
        most += m->names[i].n_types;
    struct column *cols = arena_array(b->a, struct column, most + 1);
    if (cols == NULL) return bind_full(b);
    for (uint32_t i = 0; i < m->n; i++) {
        struct merged *from = &m->names[i];
        from->first = m->n_cols;
        if (m->l->inner && from->n_legs < m->l->n) from->n_types = 0;
        for (uint32_t t = 0; t < from->n_types; t++) {
            const char *type = type_name(from->types[t]), *as = from->name;
            if (from->n_types > 1) as = arena_fmt(b->a, "%s_%s", from->name, type);
            if (as == NULL) return bind_full(b);
            cols[m->n_cols].type = from->types[t];
            TRY(names_add(&names, as, false, 0, &cols[m->n_cols++].name));
        }
    }
    *out = (struct schema){.n = m->n_cols, .cols = cols};
    return OK;
}

static enum err leg_columns(struct merge *m, const struct schema *leg, uint32_t **out)
{
    uint32_t *map = arena_array(m->l->cx->b->a, uint32_t, m->n_cols + 1);
    if (map == NULL) return bind_full(m->l->cx->b);
    for (uint32_t c = 0; c < m->n_cols; c++)
        map[c] = UINT32_MAX;
    for (uint32_t c = 0; c < leg->n; c++) {
        const struct merged *to = &m->names[*name_index_get(&m->index, leg->cols[c].name)];
        if (to->n_types > 0) map[to->first + type_place(to, leg->cols[c].type)] = c;
    }
    *out = map;
    return OK;
}

/* withsource: each leg gets its own name as the first column. */
static enum err add_source_column(struct legs *l, uint32_t leg)
{
    struct binder *b = l->cx->b;
    struct op *op = l->ops[leg];
    struct named_expr *exprs = arena_array(b->a, struct named_expr, op->schema.n + 1);
    if (exprs == NULL) return bind_full(b);
    exprs[0].name = l->source;
    TRY(expr_string(b, l->names[leg], &exprs[0].expr));
    uint32_t n = 1;
    for (uint32_t i = 0; i < op->schema.n; i++) {
        if (strcmp(op->schema.cols[i].name, l->source) == 0) continue;
        exprs[n].name = op->schema.cols[i].name;
        TRY(expr_col(b, &op->schema, i, &exprs[n++].expr));
    }
    return op_project(b, op, l->cx->ast->pos, exprs, n, &l->ops[leg]);
}

enum err make_union(struct legs *l, struct op **out)
{
    struct binder *b = l->cx->b;
    struct merge m = {.l = l};
    size_t total = 0;
    struct op *op;
    name_index_init(&m.index, b->a);
    for (uint32_t i = 0; i < l->n; i++)
        total += l->ops[i]->schema.n;
    m.names = arena_array(b->a, struct merged, total + 1);
    if (m.names == NULL) return bind_full(b);
    for (uint32_t i = 0; i < l->n; i++)
        TRY(merge_leg(&m, &l->ops[i]->schema));

    TRY(op_new(b, OP_UNION, NULL, l->cx->ast->pos, &op));
    TRY(merged_schema(&m, &op->schema));
    op->unions.columns = arena_array(b->a, uint32_t *, l->n + 1);
    if (op->unions.columns == NULL) return bind_full(b);
    for (uint32_t i = 0; i < l->n; i++) {
        TRY(leg_columns(&m, &l->ops[i]->schema, &op->unions.columns[i]));
        TRY(op_second_input(b, op, l->ops[i]));
    }
    op->unions.n = l->n;
    op->unions.inputs = l->ops;
    op->input = l->n > 0 ? l->ops[0] : NULL;
    *out = op;
    return OK;
}

/* A condition on each leg by itself, in the columns that it has. */
static enum err filter_leg(struct legs *l, const struct ast *condition, uint32_t leg)
{
    struct binder *b = l->cx->b;
    struct op *in = l->ops[leg];
    struct scope s = {.b = b,
                      .names = *l->cx->names,
                      .row = &in->schema,
                      .base = &in->schema,
                      .where = l->cx->ast->name};
    TRY(op_new(b, OP_FILTER, in, l->cx->ast->pos, &l->ops[leg]));
    return bind_condition(&s, condition, &l->ops[leg]->filter.condition);
}

enum err bind_legs(struct legs *l, struct op_cx *cx, const struct ast_list *tables)
{
    *l = (struct legs){.cx = cx};
    TRY(read_leg_params(l));
    if (cx->in != NULL) TRY(add_leg(l, cx->in, NULL, NULL));
    for (uint32_t i = 0; i < tables->n; i++)
        TRY(add_table(l, tables->at[i]));
    if (l->n > 0) return qualify(l);
    return FAIL_TAG(diag_at(cx->b->d, cx->ast->pos), ERR_INVALID, "SEM0100",
                    "none of the tables of the %s is there", cx->ast->name);
}

enum err bind_union_where(struct op_cx *cx, const struct ast *condition, struct op **out)
{
    struct legs l;
    TRY(bind_legs(&l, cx, &cx->ast->args));
    for (uint32_t i = 0; condition != NULL && i < l.n; i++)
        TRY(filter_leg(&l, condition, i));
    for (uint32_t i = 0; l.source != NULL && i < l.n; i++)
        TRY(add_source_column(&l, i));
    return make_union(&l, out);
}

enum err bind_union(struct op_cx *cx, struct op **out)
{
    return bind_union_where(cx, NULL, out);
}
