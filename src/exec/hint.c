/* SPDX-License-Identifier: Apache-2.0 */
/* exec/hint.c - column op constant, and column has "term" */
#include "exec/hint.h"

#include "base/str.h"

static const struct {
    const char *fn;
    int op, flipped; /* -1: no such thing */
} comparisons[] = {
    {"op ==", HINT_EQ, HINT_EQ},      {"op <", HINT_LT, HINT_GT},  {"op <=", HINT_LE, HINT_GE},
    {"op >", HINT_GT, HINT_LT},       {"op >=", HINT_GE, HINT_LE}, {"op has", HINT_HAS_TERM, -1},
    {"op has_cs", HINT_HAS_TERM, -1},
};

static const struct value *constant(const struct query *q, const struct expr *e)
{
    if (e->kind == EXPR_CONST) return &e->value;
    for (const struct scalar *s = q->scalars; e->kind == EXPR_SCALAR_QUERY && s != NULL;
         s = s->next) {
        if (s->expr == e) return &s->value;
    }
    return NULL;
}

/* Only ASCII: whether a letter beyond it is part of a term is the matcher's business. */
static bool is_term(struct bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'))) return false;
    }
    return s.len != 0;
}

static bool hint_of(const struct query *q, const struct op *table, const struct expr *e,
                    struct scan_hint *out)
{
    if (e->kind != EXPR_CALL || e->call.n_args != 2) return false;
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        if (!str_eq(e->call.fn->name, comparisons[i].fn)) continue;
        const struct expr *col = e->args[0], *other = e->args[1];
        int op = comparisons[i].op;
        if (col->kind != EXPR_COL) {
            const struct expr *swap = col;
            col = other;
            other = swap;
            op = comparisons[i].flipped;
        }
        if (op < 0 || col->kind != EXPR_COL) return false;
        const struct value *v = constant(q, other);
        /* Of another type, a comparison is not that of the column's own order. */
        if (v == NULL || v->is_null || v->type != col->type || v->type == T_DYNAMIC) return false;
        if (op == HINT_HAS_TERM && (v->type != T_STRING || !is_term(v->s))) return false;
        *out = (struct scan_hint){.column = table->table.columns[col->col], .op = op, .value = *v};
        return true;
    }
    return false;
}

enum err hints_of(struct query *q, const struct op *table, const struct conditions *c,
                  struct scan_hint **out, uint32_t *n_out, struct diag *d)
{
    struct scan_hint *hints = arena_array(&q->mem.a, struct scan_hint, c->n);
    if (hints == NULL) return query_full(q, d);
    uint32_t n = 0;
    for (uint32_t i = 0; i < c->n; i++)
        n += hint_of(q, table, c->exprs[i], &hints[n]);
    *out = hints;
    *n_out = n;
    return OK;
}
