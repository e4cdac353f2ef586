/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/hint.c - what a source may skip by, drawn from conditions on one column and constants
 *
 * A condition on text says that certain whole words are in it: those of the constant that nothing
 * can be grown onto. Only words of ASCII letters and digits are named, with no byte beyond ASCII
 * beside them.
 */
#include "exec/hint.h"

#include "base/str.h"

struct hints {
    const struct query *q;
    const struct op *table;
    struct scan_hint *list;
    uint32_t n, cap;
};

static void add(struct hints *h, const struct expr *col, int op, const struct value *v)
{
    if (h->n == h->cap) return; /* one less is no harm */
    h->list[h->n++] =
        (struct scan_hint){.column = h->table->table.columns[col->col], .op = op, .value = *v};
}

static const struct value *constant(const struct query *q, const struct expr *e)
{
    if (e->kind == EXPR_CONST) return e->value.is_null ? NULL : &e->value;
    for (const struct scalar *s = q->scalars; e->kind == EXPR_SCALAR_QUERY && s != NULL;
         s = s->next) {
        if (s->expr == e) return s->value.is_null ? NULL : &s->value;
    }
    return NULL;
}

/* A constant of the column's own type: of another, a comparison is not that of the column's order.
 */
static const struct value *comparable(const struct query *q, const struct expr *col,
                                      const struct expr *e)
{
    const struct value *v = constant(q, e);
    bool ok = v != NULL && col->kind == EXPR_COL && v->type == col->type && v->type != T_DYNAMIC;
    return ok ? v : NULL;
}

/* --- words ------------------------------------------------------------------------------------ */

static bool is_word_byte(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

/* Something may stand right before or behind the constant in the text: then its first or last word
 * may be only a part of one. */
enum open { OPEN_NOT = 0, OPEN_BEFORE = 1, OPEN_BEHIND = 2 };

static void add_words(struct hints *h, const struct expr *col, const struct expr *e, unsigned open)
{
    const struct value *v = comparable(h->q, col, e);
    if (v == NULL || v->type != T_STRING) return;
    const uint8_t *p = v->s.p, *end = p + v->s.len;
    while (p < end) {
        const uint8_t *from = p;
        while (p < end && is_word_byte(*p))
            p++;
        bool whole = p > from;
        whole &= from > v->s.p ? from[-1] < 0x80 : (open & OPEN_BEFORE) == 0;
        whole &= p < end ? *p < 0x80 : (open & OPEN_BEHIND) == 0;
        struct value word = {.type = T_STRING, .s = {from, (size_t)(p - from)}};
        if (whole) add(h, col, HINT_HAS_TERM, &word);
        if (p < end) p++;
    }
}

/* --- conditions
 * ------------------------------------------------------------------------------------- */

static const struct {
    const char *fn;
    int op, flipped;
} comparisons[] = {
    {"op ==", HINT_EQ, HINT_EQ}, {"op <", HINT_LT, HINT_GT},  {"op <=", HINT_LE, HINT_GE},
    {"op >", HINT_GT, HINT_LT},  {"op >=", HINT_GE, HINT_LE},
};

static const struct {
    const char *fn;
    unsigned open;
} searches[] = {
    {"op has", OPEN_NOT},
    {"op has_cs", OPEN_NOT},
    {"op =~", OPEN_NOT},
    {"op hasprefix", OPEN_BEHIND},
    {"op hasprefix_cs", OPEN_BEHIND},
    {"op hassuffix", OPEN_BEFORE},
    {"op hassuffix_cs", OPEN_BEFORE},
    {"op startswith", OPEN_BEHIND},
    {"op startswith_cs", OPEN_BEHIND},
    {"op endswith", OPEN_BEFORE},
    {"op endswith_cs", OPEN_BEFORE},
    {"op contains", OPEN_BEFORE | OPEN_BEHIND},
    {"op contains_cs", OPEN_BEFORE | OPEN_BEHIND},
};

#define COUNT(table) (sizeof(table) / sizeof *(table))

static bool add_comparison(struct hints *h, const char *fn, const struct expr *a,
                           const struct expr *b)
{
    for (size_t i = 0; i < COUNT(comparisons); i++) {
        if (!str_eq(fn, comparisons[i].fn)) continue;
        bool flip = a->kind != EXPR_COL;
        const struct expr *col = flip ? b : a;
        const struct value *v = comparable(h->q, col, flip ? a : b);
        if (v != NULL) add(h, col, flip ? comparisons[i].flipped : comparisons[i].op, v);
        return true;
    }
    return false;
}

static bool add_search(struct hints *h, const char *fn, const struct expr *col,
                       const struct expr *what)
{
    for (size_t i = 0; i < COUNT(searches); i++) {
        if (!str_eq(fn, searches[i].fn)) continue;
        add_words(h, col, what, searches[i].open);
        return true;
    }
    return false;
}

/* Of a list of numbers or times the least and the greatest; a list of one is an equality. */
static void add_list(struct hints *h, const struct expr *e)
{
    const struct expr *col = e->args[0];
    const struct value *low = NULL, *high = NULL;
    for (uint32_t i = 1; i < e->call.n_args; i++) {
        const struct value *v = comparable(h->q, col, e->args[i]);
        bool word = v != NULL && v->type != T_REAL && v->type != T_DECIMAL && v->type != T_GUID &&
                    v->type != T_BOOL;
        if (e->call.n_args == 2 && v != NULL) {
            add(h, col, HINT_EQ, v);
            return;
        }
        if (!word || v->type == T_STRING) return;
        if (low == NULL || v->i < low->i) low = v;
        if (high == NULL || v->i > high->i) high = v;
    }
    if (low == NULL) return;
    add(h, col, HINT_GE, low);
    add(h, col, HINT_LE, high);
}

static void add_condition(struct hints *h, const struct expr *e)
{
    if (e->kind != EXPR_CALL || e->call.n_args < 2) return;
    const char *fn = e->call.fn->name;
    const struct expr *col = e->args[0];
    if (e->call.n_args == 2 && add_comparison(h, fn, col, e->args[1])) return;
    if (col->kind != EXPR_COL) return;
    if (e->call.n_args == 2 && add_search(h, fn, col, e->args[1])) return;
    if (str_eq(fn, "op between") && e->call.n_args == 3) {
        const struct value *low = comparable(h->q, col, e->args[1]);
        const struct value *high = comparable(h->q, col, e->args[2]);
        if (low != NULL) add(h, col, HINT_GE, low);
        if (high != NULL) add(h, col, HINT_LE, high);
    } else if (str_eq(fn, "op has_all")) {
        for (uint32_t i = 1; i < e->call.n_args; i++)
            add_words(h, col, e->args[i], OPEN_NOT);
    } else if (str_eq(fn, "op in")) {
        add_list(h, e);
    }
}

enum err hints_of(struct query *q, const struct op *table, const struct conditions *c,
                  struct scan_hint **out, uint32_t *n_out, struct diag *d)
{
    struct hints h = {.q = q, .table = table, .cap = HINTS_MAX};
    h.list = arena_array(&q->mem.a, struct scan_hint, h.cap);
    if (h.list == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < c->n; i++)
        add_condition(&h, c->exprs[i]);
    *out = h.list;
    *n_out = h.n;
    return OK;
}
