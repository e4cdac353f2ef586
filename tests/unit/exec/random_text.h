/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/random_text.h - random queries as text: expressions of any type out of the registry's
 * functions, and operators over random_table.h's tables, each step only kept when it binds
 */
#pragma once

#include "random_table.h"

/* --- expressions -------------------------------------------------------------------------------- */

struct writer {
    const struct schema *cols; /* to be named */
    struct buf *out;
};

static void expression(struct writer *w, enum type t, int depth);

static void leaf(struct writer *w, enum type t)
{
    uint32_t at = rnd(w->cols->n + 1);
    for (uint32_t i = 0; i < w->cols->n && rnd(5) != 0; i++) {
        const struct column *c = &w->cols->cols[(at + i) % w->cols->n];
        if (c->type != t) continue;
        buf_str(w->out, c->name);
        return;
    }
    struct value v = random_value(&hand, t);
    literal(&v, w->out);
}

static bool is_plain_operator(const char *name)
{
    static const char *const others[] = {
        "op neg",     "op index",    "op path",         "op dynamic", "op between",
        "op in",      "op in~",      "op !in",          "op !in~",    "op has_any",
        "op has_all", "op !between", "op matches regex"};
    if (!str_starts(name, "op ")) return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(name, others[i]) == 0) return false;
    }
    return true;
}

/* Functions that look at more than their arguments, or for so long that trials would be few. */
static bool is_tried(const struct fn *fn)
{
    if ((fn->flags & (FN_NOT_CONST | FN_WINDOW | FN_AGG_ONLY)) != 0) return false;
    if (str_starts(fn->name, "op ")) return is_plain_operator(fn->name);
    return !str_starts(fn->name, "geo_") && !str_starts(fn->name, "current_") &&
           !str_starts(fn->name, "series_") && strchr(fn->name, ' ') == NULL;
}

static bool call(struct writer *w, const struct fn *fn, enum type t, int depth)
{
    enum type types[4];
    const struct value *consts[4] = {NULL};
    uint32_t n = fn->arity_min + (fn->arity_max > fn->arity_min ? rnd(2) : 0), last = 0;
    if (n > 4 || (n == 0 && fn->arity_min == 0)) return false;
    while (last < 5 && fn->args[last + 1].accepts != 0)
        last++;
    for (uint32_t k = 0; k < n; k++) {
        const struct fn_arg *spec = &fn->args[k < last ? k : last];
        if ((spec->accepts & ~TM(T_NONE)) == 0) return false;
        do
            types[k] = (enum type)(1 + rnd(N_TYPES - 1));
        while ((spec->accepts & TM(types[k])) == 0);
    }
    if ((fn->ret != T_NONE ? fn->ret : fn->ret_of(types, consts, n)) != t) return false;
    bool infix = str_starts(fn->name, "op ");
    if (infix && n != 2) return false;
    buf_fmt(w->out, "%s(", infix ? "" : fn->name);
    for (uint32_t k = 0; k < n; k++) {
        if (k != 0) buf_fmt(w->out, "%s%s%s", infix ? " " : ",", infix ? fn->name + 3 : "", " ");
        expression(w, types[k], depth - 1);
    }
    buf_str(w->out, ")");
    return true;
}

static void expression(struct writer *w, enum type t, int depth)
{
    if (depth <= 0 || rnd(5) == 0) {
        leaf(w, t);
        return;
    }
    if (rnd(8) == 0) {
        buf_str(w->out, "iff(");
        expression(w, T_BOOL, depth - 1);
        buf_str(w->out, ", ");
        expression(w, t, depth - 1);
        buf_str(w->out, ", ");
        expression(w, t, depth - 1);
        buf_str(w->out, ")");
        return;
    }
    for (int tries = 0; tries < 40; tries++) {
        const struct fn *fn = fn_at(rnd(fn_count()));
        size_t at = w->out->len;
        if (is_tried(fn) && call(w, fn, t, depth)) return;
        buf_shrink(w->out, at);
    }
    leaf(w, t);
}

/* --- operators ---------------------------------------------------------------------------------- */

struct trial {
    struct arena a; /* of the query that was bound last, and of the interpreter */
    struct buf text;
    struct plan plan;
    bool ordered; /* the order of rows is defined */
};

static bool bound(struct trial *t)
{
    const struct kql_options options = {.now_ticks = TICKS_UNIX};
    diag_reset(&d);
    return kql_compile(&t->a, buf_view(&t->text), &catalog, &options, &t->plan, &d) == OK;
}

static enum type any_type(void)
{
    return (enum type)(1 + rnd(N_TYPES - 1));
}

static const char *column_of(struct trial *t, bool sortable)
{
    const struct schema *s = &t->plan.root->schema;
    uint32_t at = rnd(s->n);
    for (uint32_t i = 0; i < s->n; i++) {
        const struct column *c = &s->cols[(at + i) % s->n];
        if (!sortable || c->type != T_DYNAMIC) return c->name;
    }
    return s->cols[0].name;
}

static void add_where(struct trial *t, struct writer *w)
{
    static const char *const compares[] = {"==", "<", "<=", ">", ">="};
    buf_str(&t->text, "\n| where ");
    if (rnd(2) == 0) { /* of the kind that becomes a hint */
        uint32_t c = 1 + rnd(COLUMNS - 1);
        struct value v = random_value(&hand, column_types[c]);
        buf_fmt(&t->text, "%s %s ", column_names[c],
                column_types[c] == T_STRING && rnd(2) != 0 ? "has" : PICK(compares));
        literal(&v, &t->text);
        return;
    }
    expression(w, T_BOOL, 4);
}

static void add_extend(struct trial *t, struct writer *w)
{
    buf_fmt(&t->text, "\n| extend e%u = ", rnd(3));
    expression(w, any_type(), 4);
    if (rnd(2) == 0) return;
    buf_fmt(&t->text, ", %s = ", column_names[1 + rnd(COLUMNS - 1)]);
    expression(w, any_type(), 3);
}

static void add_project(struct trial *t, struct writer *w)
{
    buf_str(&t->text, "\n| project id");
    for (uint32_t i = 0; i < 3; i++)
        buf_fmt(&t->text, ", %s", column_of(t, false));
    buf_str(&t->text, ", e = ");
    expression(w, any_type(), 3);
}

static void add_aggregate(struct trial *t, struct writer *w)
{
    static const char *const forms[] = {"count()",
                                        "countif(",
                                        "sum(",
                                        "min(",
                                        "max(",
                                        "dcount(",
                                        "count_distinct(",
                                        "minif(",
                                        "percentile(",
                                        "array_sort_asc(make_set(",
                                        "array_length(make_list("};
    static const enum type types[] = {T_NONE, T_BOOL, T_LONG, T_NONE,   T_NONE, T_NONE,
                                      T_NONE, T_NONE, T_LONG, T_STRING, T_NONE};
    uint32_t which = rnd(sizeof forms / sizeof *forms);
    buf_str(&t->text, forms[which]);
    if (which == 0) return;
    enum type of = types[which];
    while (of == T_NONE || ((which >= 3 && which <= 7) && of == T_DYNAMIC))
        of = any_type();
    expression(w, of, 2);
    if (which == 7) {
        buf_str(&t->text, ", ");
        expression(w, T_BOOL, 2);
    }
    buf_str(&t->text, which == 8 ? ", 50)" : which >= 9 ? "))" : ")");
}

static void add_summarize(struct trial *t, struct writer *w)
{
    buf_str(&t->text, "\n| summarize a0 = ");
    add_aggregate(t, w);
    buf_str(&t->text, ", a1 = ");
    add_aggregate(t, w);
    if (rnd(4) == 0) {
        t->ordered = false;
        return;
    }
    buf_fmt(&t->text, " by %s, k = ", column_of(t, true));
    expression(w, PICK(column_types), 2);
    t->ordered = false;
}

static void add_distinct(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| distinct %s, %s", column_of(t, true), column_of(t, true));
    t->ordered = false;
}

static void add_sort(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| sort by %s %s nulls %s, %s %s", column_of(t, true),
            rnd(2) != 0 ? "asc" : "desc", rnd(2) != 0 ? "first" : "last", column_of(t, true),
            rnd(2) != 0 ? "asc" : "desc");
    if (t->ordered && rnd(3) == 0) buf_fmt(&t->text, "\n| take %u", rnd(20));
}

static void add_top(struct trial *t, struct writer *w)
{
    if (!t->ordered) return;
    buf_fmt(&t->text, "\n| top %u by ", rnd(30));
    expression(w, T_LONG, 2);
    buf_str(&t->text, rnd(2) != 0 ? " asc" : " desc");
}

static void add_join(struct trial *t, struct writer *w)
{
    static const char *const kinds[] = {"inner",      "innerunique", "leftouter",
                                        "rightouter", "fullouter",   "leftsemi",
                                        "leftanti",   "rightsemi",   "rightanti"};
    static const char *const keys[] = {"i", "l", "s", "t", "g", "b", "m", "d"};
    (void)w;
    const char *kind = PICK(kinds);
    if (!t->ordered && strcmp(kind, "innerunique") == 0) kind = "inner";
    buf_fmt(&t->text, "\n| join kind=%s (U | where id %% 7 < %u) on %s", kind, rnd(8), PICK(keys));
    if (rnd(2) != 0) buf_fmt(&t->text, ", %s", PICK(keys));
    t->ordered = false;
}

static void add_union(struct trial *t, struct writer *w)
{
    (void)w;
    buf_fmt(&t->text, "\n| union %s(U | where %s)", rnd(2) != 0 ? "kind=inner " : "",
            rnd(2) != 0 ? "b" : "l > 2");
}

static void add_window(struct trial *t, struct writer *w)
{
    static const char *const forms[] = {"prev(",           "next(",         "row_cumsum(",
                                        "row_rank_dense(", "row_rank_min(", "row_number(",
                                        "prev(row_cumsum("};
    uint32_t which = rnd(7);
    enum type of = any_type();
    if (!t->ordered || tables[0].rows.n > 200) return;
    bool number = which == 2 || which == 5 || which == 6;
    if (number || ((which == 3 || which == 4) && of == T_DYNAMIC)) of = T_LONG;
    buf_fmt(&t->text, "\n| serialize w%u = %s", rnd(2), forms[which]);
    if (which == 5)
        buf_fmt(&t->text, "%d", (int)rnd(5) - 2);
    else
        expression(w, of, 2);
    if (which < 2) {
        buf_fmt(&t->text, ", %u", rnd(5));
    } else if (rnd(2) != 0) {
        buf_str(&t->text, ", ");
        expression(w, T_BOOL, 2);
    }
    buf_str(&t->text, which == 6 ? "))" : ")");
}

static void (*const adds[])(struct trial *, struct writer *) = {
    add_where, add_where, add_extend, add_extend, add_project, add_summarize, add_distinct,
    add_sort,  add_sort,  add_top,    add_join,   add_union,   add_window};

static void rebind(struct trial *t)
{
    arena_release(&t->a);
    arena_init(&t->a, (size_t)512 << 20);
    REQUIRE(bound(t));
}

/* One more operator, one that the binder takes. */
static void grow(struct trial *t)
{
    for (int tries = 0; tries < 30; tries++) {
        size_t at = t->text.len;
        bool ordered = t->ordered;
        struct writer w = {&t->plan.root->schema, &t->text};
        adds[rnd(sizeof adds / sizeof *adds)](t, &w);
        if (t->text.len > at && bound(t) && t->plan.root->schema.n != 0) return;
        buf_shrink(&t->text, at);
        t->ordered = ordered;
        rebind(t);
    }
}
