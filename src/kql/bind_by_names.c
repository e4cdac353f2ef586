/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kql/bind_by_names.c - what is bound by names or numbers of arguments: project-by-names,
 * dcount_intersect
 */
#include "kql/bind_evaluate.h"

#include "column/dyn.h"

/* --- project-by-names: texts, or arrays of them; a star stands for anything --------------------- */

struct picked {
    struct op_cx *cx;
    uint32_t n, *cols;
    bool *taken;
};

static enum err pick(struct picked *k, struct bytes pattern)
{
    const struct schema *in = &k->cx->in->schema;
    const char *text = arena_str(k->cx->b->a, pattern);
    if (text == NULL) return bind_full(k->cx->b);
    for (uint32_t i = 0; i < in->n; i++) {
        if (k->taken[i] || !wildcard_match(text, in->cols[i].name)) continue;
        k->taken[i] = true;
        k->cols[k->n++] = i;
    }
    return OK;
}

static enum err pick_all(struct picked *k, const struct ast *arg)
{
    struct binder *b = k->cx->b;
    struct scope s = {.b = b, .names = *k->cx->names, .where = k->cx->ast->name};
    struct dyn_iter it;
    struct bytes name, value;
    struct expr *e;
    TRY(bind_const(&s, arg, &e));
    if (e->type == T_STRING) return pick(k, e->value.s);
    bool array = e->type == T_DYNAMIC && !e->value.is_null && dyn_iter_init(&it, e->value.s);
    if (!array || it.is_bag) {
        return FAIL_TAG(diag_at(b->d, arg->pos), ERR_INVALID, "SEM0001",
                        "'%s' wants names: texts, or arrays of them", k->cx->ast->name);
    }
    while (dyn_iter_next(&it, &name, &value)) {
        struct value v = dyn_scalar(value);
        if (v.type == T_STRING) TRY(pick(k, v.s));
    }
    return OK;
}

enum err bind_by_names(struct op_cx *cx, struct op **out)
{
    struct picked k = {.cx = cx};
    k.cols = arena_array(cx->b->a, uint32_t, cx->in->schema.n + 1);
    k.taken = arena_array(cx->b->a, bool, cx->in->schema.n + 1);
    if (k.cols == NULL || k.taken == NULL) return bind_full(cx->b);
    for (uint32_t i = 0; i < cx->ast->args.n; i++)
        TRY(pick_all(&k, cx->ast->args.at[i]));
    return op_columns(cx->b, cx->in, cx->ast->pos, k.cols, NULL, k.n, out);
}

/* --- dcount_intersect: s0, s1 ... how many values the first 1, 2 ... sets have in common ---------- */

#define SETS_MAX 8

/* dcount_hll(hll_merge(...)) of the sets in the mask. */
static enum err union_size(struct scope *s, uint32_t pos, struct expr **sets, uint32_t mask,
                           struct expr **out)
{
    struct expr *members[SETS_MAX];
    uint32_t n = 0;
    for (uint32_t i = 0; i < SETS_MAX; i++) {
        if ((mask >> i & 1) != 0) members[n++] = sets[i];
    }
    struct expr *all = members[0];
    if (n > 1) TRY(expr_call(s, pos, "hll_merge", members, n, &all));
    return expr_call(s, pos, "dcount_hll", &all, 1, out);
}

/* Inclusion and exclusion: unions of odd numbers of sets, less those of even ones. */
static enum err common_size(struct scope *s, uint32_t pos, struct expr **sets, uint32_t n,
                            struct expr **out)
{
    *out = NULL;
    for (uint32_t mask = 1; mask < 1U << n; mask++) {
        struct expr *size;
        bool plus = __builtin_popcount(mask) % 2 == 1;
        TRY(union_size(s, pos, sets, mask, &size));
        if (*out == NULL) {
            *out = size;
        } else {
            TRY(expr_call2(s, pos, plus ? "op +" : "op -", *out, size, out));
        }
    }
    return OK;
}

enum err plugin_dcount_intersect(struct plugin_cx *p, struct op **out)
{
    struct binder *b = p->cx->b;
    struct scope s = scope_of(p->cx);
    const struct schema *in = &p->cx->in->schema;
    struct expr *sets[SETS_MAX];
    struct named_expr *exprs = arena_array(b->a, struct named_expr, (size_t)in->n + SETS_MAX);
    uint32_t n = p->call->args.n;
    if (exprs == NULL) return bind_full(b);
    TRY(plugin_arity(p, 2, SETS_MAX));
    s.where = p->call->name;
    for (uint32_t i = 0; i < in->n; i++) {
        exprs[i].name = in->cols[i].name;
        TRY(expr_col(b, in, i, &exprs[i].expr));
    }
    for (uint32_t i = 0; i < n; i++) {
        TRY(bind_expr(&s, p->call->args.at[i], &sets[i]));
        exprs[in->n + i].name = arena_fmt(b->a, "s%u", i);
        if (exprs[in->n + i].name == NULL) return bind_full(b);
        TRY(common_size(&s, p->call->pos, sets, i + 1, &exprs[in->n + i].expr));
    }
    return op_project(b, p->cx->in, p->call->pos, exprs, in->n + n, out);
}
