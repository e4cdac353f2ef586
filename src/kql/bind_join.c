/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_join.c - join and lookup */
#include "kql/bind.h"

#include "base/str.h"

/* --- parameters of operators ------------------------------------------------------------------ */

const char *param_word(const struct ast *n, const char *name)
{
    for (uint32_t i = 0; i < n->params.n; i++) {
        const struct ast *p = n->params.at[i];
        if (strcmp(p->name, name) == 0 && p->left->kind == AST_NAME) return p->left->name;
    }
    return NULL;
}

enum err check_params(struct op_cx *cx, const char *const *allowed)
{
    for (uint32_t i = 0; i < cx->ast->params.n; i++) {
        const struct ast *p = cx->ast->params.at[i];
        bool known = strncmp(p->name, "hint.", 5) == 0;
        for (const char *const *a = allowed; !known && *a != NULL; a++)
            known = strcmp(p->name, *a) == 0;
        if (!known) {
            return FAIL(diag_at(cx->b->d, p->pos), ERR_UNSUPPORTED,
                        "the parameter '%s' of '%s' is not supported", p->name, cx->ast->name);
        }
    }
    return OK;
}

/* --- kinds ------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    enum join_kind kind;
} kinds[] = {
    {"innerunique", JOIN_INNERUNIQUE}, {"inner", JOIN_INNER},
    {"leftouter", JOIN_LEFT_OUTER},    {"rightouter", JOIN_RIGHT_OUTER},
    {"fullouter", JOIN_FULL_OUTER},    {"leftsemi", JOIN_LEFT_SEMI},
    {"leftanti", JOIN_LEFT_ANTI},      {"leftantisemi", JOIN_LEFT_ANTI},
    {"anti", JOIN_LEFT_ANTI},          {"rightsemi", JOIN_RIGHT_SEMI},
    {"rightanti", JOIN_RIGHT_ANTI},    {"rightantisemi", JOIN_RIGHT_ANTI},
};

static enum err read_kind(struct op_cx *cx, bool lookup, enum join_kind *out)
{
    static const char *const allowed[] = {"kind", NULL};
    TRY(check_params(cx, allowed));
    const char *word = param_word(cx->ast, "kind");
    *out = lookup ? JOIN_LEFT_OUTER : JOIN_INNERUNIQUE;
    if (word == NULL) return OK;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (strcmp(kinds[i].name, word) != 0) continue;
        *out = kinds[i].kind;
        if (!lookup || *out == JOIN_LEFT_OUTER || *out == JOIN_INNER) return OK;
    }
    struct nearest best = nearest_to(word);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        nearest_try(&best, kinds[i].name);
    diag_at(cx->b->d, cx->ast->pos);
    if (lookup) {
        return FAIL_TAG(cx->b->d, ERR_INVALID, "SYN0002", "lookup is leftouter or inner, not '%s'",
                        word);
    }
    return FAIL_TAG(cx->b->d, ERR_INVALID, "SYN0002", "there is no join of kind '%s'" NEAREST_FMT,
                    word, NEAREST_ARGS(best.name));
}

/* --- conditions ------------------------------------------------------------------------------- */

struct sides {
    struct op_cx *cx;
    const struct schema *left, *right;
    bool left_open, right_open;   /* any name may be a column that only the data knows */
    bool left_loose, right_loose; /* and a dynamic be of any type */
    uint32_t n, cap;
    struct expr **left_keys, **right_keys;
    uint32_t *right_cols; /* the keys' columns, which lookup leaves out */
};

#define NO_COLUMN UINT32_MAX

static enum err find_column(struct sides *j, const struct schema *side, const char *which,
                            const char *name, uint32_t pos, uint32_t *out)
{
    int at = schema_find(side, name);
    if (at >= 0) {
        *out = (uint32_t)at;
        return OK;
    }
    *out = NO_COLUMN;
    if (side == j->left ? j->left_open : j->right_open) return OK;
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; i < side->n; i++)
        nearest_try(&best, side->cols[i].name);
    return FAIL_TAG(diag_at(j->cx->b->d, pos), ERR_INVALID, "SEM0145",
                    "the %s side of '%s' has no column '%s'" NEAREST_FMT, which, j->cx->ast->name,
                    name, NEAREST_ARGS(best.name));
}

static enum err keys_grow(struct sides *j)
{
    struct arena *a = j->cx->b->a;
    uint32_t cap = j->cap == 0 ? 4 : j->cap * 2;
    struct expr **left = arena_array(a, struct expr *, cap),
                **right = arena_array(a, struct expr *, cap);
    uint32_t *cols = arena_array(a, uint32_t, cap);
    if (left == NULL || right == NULL || cols == NULL) return bind_full(j->cx->b);
    if (j->n > 0) {
        memcpy(left, j->left_keys, j->n * sizeof *left);
        memcpy(right, j->right_keys, j->n * sizeof *right);
        memcpy(cols, j->right_cols, j->n * sizeof *cols);
    }
    j->left_keys = left;
    j->right_keys = right;
    j->right_cols = cols;
    j->cap = cap;
    return OK;
}

/* A side's part of a key; a column that only the data knows is a null, and of the other's type. */
static enum err key_part(struct sides *j, const struct schema *side, uint32_t col,
                         struct expr **out)
{
    const struct value unknown = {.type = T_DYNAMIC, .is_null = true};
    if (col == NO_COLUMN) return expr_const(j->cx->b, &unknown, out);
    return expr_col(j->cx->b, side, col, out);
}

static enum err settle_parts(struct sides *j, uint32_t pos, struct expr **x, struct expr **y)
{
    struct scope s = scope_of(j->cx);
    enum type to = (*x)->type != T_DYNAMIC ? (*x)->type : (*y)->type;
    if (to == T_DYNAMIC) to = T_STRING;
    if ((*x)->type == T_DYNAMIC && j->left_loose) TRY(expr_cast(&s, pos, *x, to, true, x));
    if ((*y)->type == T_DYNAMIC && j->right_loose) TRY(expr_cast(&s, pos, *y, to, true, y));
    return OK;
}

static enum err add_key(struct sides *j, const char *left, const char *right, uint32_t pos)
{
    struct binder *b = j->cx->b;
    uint32_t l, r;
    struct expr *x, *y;
    TRY(find_column(j, j->left, "left", left, pos, &l));
    TRY(find_column(j, j->right, "right", right, pos, &r));
    TRY(key_part(j, j->left, l, &x));
    TRY(key_part(j, j->right, r, &y));
    TRY(settle_parts(j, pos, &x, &y));

    bool numbers = (TM(x->type) & TM_NUMERIC) != 0 && (TM(y->type) & TM_NUMERIC) != 0;
    if (x->type == T_DYNAMIC || y->type == T_DYNAMIC) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0241",
                        "a dynamic cannot be joined by; convert it first, as with tostring()");
    }
    if (x->type != y->type && !numbers) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0242",
                        "'%s' is a %s on the left and a %s on the right of the %s", left,
                        type_name(x->type), type_name(y->type), j->cx->ast->name);
    }
    struct scope s = scope_of(j->cx);
    enum type both = type_common(x->type, y->type);
    TRY(expr_cast(&s, pos, x, both, true, &x));
    TRY(expr_cast(&s, pos, y, both, true, &y));
    if (j->n == j->cap) TRY(keys_grow(j));
    j->left_keys[j->n] = x;
    j->right_keys[j->n] = y;
    j->right_cols[j->n++] = r;
    return OK;
}

/* $left.a: the column's name, NULL when this is something else. */
static const char *side_column(const struct ast *n, const char *side)
{
    bool path = n->kind == AST_PATH && n->args.at[0]->kind == AST_NAME;
    return path && strcmp(n->args.at[0]->name, side) == 0 ? n->name : NULL;
}

static enum err add_condition(struct sides *j, const struct ast *n)
{
    if (n->kind == AST_NAME) return add_key(j, n->name, n->name, n->pos);
    if (n->kind == AST_OPER && strcmp(n->name, "op and") == 0) {
        TRY(add_condition(j, n->args.at[0]));
        return add_condition(j, n->args.at[1]);
    }
    if (n->kind == AST_OPER && strcmp(n->name, "op ==") == 0) {
        const struct ast *a = n->args.at[0], *b = n->args.at[1];
        const char *left = side_column(a, "$left"), *right = side_column(b, "$right");
        if (left == NULL && right == NULL) {
            left = side_column(b, "$left");
            right = side_column(a, "$right");
        }
        if (left != NULL && right != NULL) return add_key(j, left, right, n->pos);
    }
    return FAIL_TAG(diag_at(j->cx->b->d, n->pos), ERR_INVALID, "SEM0182",
                    "'%s' wants a column of both sides, or $left.a == $right.b", j->cx->ast->name);
}

/* --- result ----------------------------------------------------------------------------------- */

/* A right column whose name is taken gets the first number that makes it new to both sides. */
static enum err right_name(struct sides *j, const struct name_set *taken, struct name_index *right,
                           uint32_t col, const char **out)
{
    const char *name = j->right->cols[col].name;
    *out = name;
    if (!names_has(taken, name)) return OK;
    uint32_t *last = name_index_get(right, name);
    do {
        *out = arena_fmt(j->cx->b->a, "%s%u", name, ++*last);
        if (*out == NULL) return bind_full(j->cx->b);
    } while (name_index_get(right, *out) != NULL || names_has(taken, *out));
    return OK;
}

static bool is_key_of_lookup(const struct sides *j, bool lookup, uint32_t col)
{
    for (uint32_t i = 0; lookup && i < j->n; i++) {
        if (j->right_cols[i] == col) return true;
    }
    return false;
}

static enum err both_sides(struct sides *j, struct op *op, bool lookup)
{
    struct binder *b = j->cx->b;
    uint32_t n = j->left->n, most = j->left->n + j->right->n;
    struct column *cols = arena_array(b->a, struct column, most + 1);
    op->join.right_columns = arena_array(b->a, uint32_t, j->right->n + 1);
    if (cols == NULL || op->join.right_columns == NULL) return bind_full(b);

    struct name_set names = name_set_of(b);
    struct name_index right;
    const char *name;
    name_index_init(&right, b->a);
    for (uint32_t i = 0; i < j->right->n; i++) {
        if (!name_index_put(&right, j->right->cols[i].name, 0)) return bind_full(b);
    }
    for (uint32_t i = 0; i < j->left->n; i++) {
        cols[i] = j->left->cols[i];
        TRY(names_add(&names, cols[i].name, false, op->pos, &name));
    }
    for (uint32_t i = 0; i < j->right->n; i++) {
        if (is_key_of_lookup(j, lookup, i)) continue;
        TRY(right_name(j, &names, &right, i, &name));
        TRY(names_add(&names, name, false, op->pos, &cols[n].name));
        cols[n++].type = j->right->cols[i].type;
        op->join.right_columns[op->join.n_right++] = i;
    }
    op->schema = (struct schema){.n = n, .cols = cols};
    return OK;
}

enum err bind_join(struct op_cx *cx, struct op **out)
{
    struct binder *b = cx->b;
    bool lookup = cx->ast->op == OPER_LOOKUP;
    enum join_kind kind;
    struct op *right, *op;
    TRY(read_kind(cx, lookup, &kind));
    TRY(bind_table(b, *cx->names, cx->ast->left, &right));

    struct sides j = {.cx = cx,
                      .left = &cx->in->schema,
                      .right = &right->schema,
                      .left_open = cx->in->is_open,
                      .right_open = right->is_open,
                      .left_loose = cx->in->is_open || cx->in->is_loose,
                      .right_loose = right->is_open || right->is_loose};
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(add_condition(&j, cx->ast->args.at[i]));
    TRY(op_new(b, OP_JOIN, cx->in, cx->ast->pos, &op));
    TRY(op_second_input(b, op, right));
    op->join.kind = kind;
    op->join.right = right;
    op->join.n_keys = j.n;
    op->join.left_keys = j.left_keys;
    op->join.right_keys = j.right_keys;
    *out = op;
    if (kind == JOIN_LEFT_SEMI || kind == JOIN_LEFT_ANTI) return OK;
    if (kind != JOIN_RIGHT_SEMI && kind != JOIN_RIGHT_ANTI) return both_sides(&j, op, lookup);

    op->schema = right->schema;
    op->join.n_right = right->schema.n;
    op->join.right_columns = arena_array(b->a, uint32_t, right->schema.n + 1);
    if (op->join.right_columns == NULL) return bind_full(b);
    for (uint32_t i = 0; i < right->schema.n; i++)
        op->join.right_columns[i] = i;
    return OK;
}
