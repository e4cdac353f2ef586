/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_list.c - in, has_any, has_all: a value and a list of candidates
 *
 * A dynamic array among the candidates stands for its elements. Constant candidates are put into a
 * hash set once. A null value is in no list, so !in is true for it.
 */
#include "func/families.h"
#include "func/needle.h"

#include "base/map.h"
#include "column/dyn.h"

/* --- the set ---------------------------------------------------------------------------------- */

struct list {
    enum type type; /* of every member */
    bool nocase, negated;
    bool ready; /* the candidates are constants */
    uint32_t n, cap, n_slots;
    struct value *members;
    uint32_t *slots; /* index + 1 into members; open addressing */
};

static uint64_t hash_member(const struct value *v)
{
    return value_hash(v);
}

static bool list_has(const struct list *l, const struct value *v)
{
    if (l->n == 0) return false;
    for (uint64_t h = hash_member(v);; h++) {
        uint32_t slot = l->slots[h & (l->n_slots - 1)];
        if (slot == 0) return false;
        if (value_eq(&l->members[slot - 1], v)) return true;
    }
}

/* The value as the set keeps it: in its type, folded. */
static bool member_of(const struct list *l, const struct value *v, struct arena *a,
                      struct value *out)
{
    if (v->type == T_DYNAMIC && l->type == T_LONG && dyn_kind(v->s) == DYN_REAL) {
        double r = dyn_scalar(v->s).r;
        if (r != (double)(int64_t)r) return false; /* 1.5 is not in (1) */
    }
    if (v->is_null || !value_cast(v, l->type, a, out) || out->is_null) return false;
    if (!l->nocase || out->type != T_STRING || out->s.len == 0) return true;
    struct needle folded;
    if (!needle_init(&folded, out->s, true, a)) return false;
    out->s = folded.text;
    return true;
}

static bool list_grow(struct list *l, struct arena *a)
{
    uint32_t cap = l->cap == 0 ? 8 : l->cap * 2;
    struct value *members = arena_array(a, struct value, cap);
    uint32_t *slots = arena_array(a, uint32_t, (size_t)cap * 2);
    if (members == NULL || slots == NULL) return false;
    if (l->n != 0) memcpy(members, l->members, l->n * sizeof *members);
    for (uint32_t i = 0; i < l->n; i++) {
        uint64_t h = hash_member(&members[i]);
        while (slots[h & (cap * 2 - 1)] != 0)
            h++;
        slots[h & (cap * 2 - 1)] = i + 1;
    }
    l->members = members;
    l->slots = slots;
    l->cap = cap;
    l->n_slots = cap * 2;
    return true;
}

static bool list_add(struct list *l, const struct value *v, struct arena *a)
{
    struct value m;
    if (!member_of(l, v, a, &m) || list_has(l, &m)) return true;
    if (l->n == l->cap && !list_grow(l, a)) return false;
    if ((m.type == T_STRING || m.type == T_DYNAMIC) && m.s.len != 0) {
        m.s = arena_bytes(a, m.s);
        if (m.s.p == NULL) return false;
    }
    uint64_t h = hash_member(&m);
    while (l->slots[h & (l->n_slots - 1)] != 0)
        h++;
    l->slots[h & (l->n_slots - 1)] = l->n + 1;
    l->members[l->n++] = m;
    return true;
}

/* A candidate, or the elements of an array. */
static bool list_add_all(struct list *l, const struct value *v, struct arena *a)
{
    struct dyn_iter it;
    struct bytes name, element;
    if (v->type != T_DYNAMIC || v->is_null || !dyn_iter_init(&it, v->s)) return list_add(l, v, a);
    while (dyn_iter_next(&it, &name, &element)) {
        struct value e = {
            .type = T_DYNAMIC, .is_null = dyn_kind(element) == DYN_NULL, .s = element};
        if (!list_add(l, &e, a)) return false;
    }
    return true;
}

/* --- in --------------------------------------------------------------------------------------- */

/* The type that value and candidates are compared in. */
static enum type list_type(const enum type *args, uint32_t n)
{
    enum type t = args[0] == T_DYNAMIC ? T_NONE : args[0];
    for (uint32_t i = 1; i < n; i++) {
        if (args[i] == T_DYNAMIC || args[i] == T_NONE) continue;
        enum type both = type_common(t, args[i]);
        bool flags = (t == T_BOOL && (TM(args[i]) & TM_NUMERIC) != 0) ||
                     (args[i] == T_BOOL && (TM(t) & TM_NUMERIC) != 0);
        if (both == T_NONE && !flags) return T_NONE;
        if (!flags) t = both;
    }
    if (t == T_INT) return T_LONG;
    return t == T_NONE ? T_STRING : t; /* dynamic in arrays only: by text */
}

static enum type ret_in(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    return list_type(args, n) == T_NONE ? T_NONE : T_BOOL;
}

static enum err list_init(struct list *l, const struct fn_call *call)
{
    const char *op = call->fn->name + 3;
    *l = (struct list){.type = list_type(call->arg_types, call->n_args), .negated = op[0] == '!'};
    l->nocase = op[strlen(op) - 1] == '~';
    return OK;
}

static enum err prepare_in(struct fn_call *call, struct arena *a, struct diag *d)
{
    struct list *l = arena_new(a, struct list);
    if (l == NULL) return arena_full(a, d);
    TRY(list_init(l, call));
    l->ready = true;
    for (uint32_t i = 1; i < call->n_args; i++)
        l->ready &= call->consts[i] != NULL;
    for (uint32_t i = 1; l->ready && i < call->n_args; i++) {
        if (!list_add_all(l, call->consts[i], a)) return arena_full(a, d);
    }
    call->prepared = l;
    return OK;
}

/* Whole numbers need no struct value per row. */
static void in_i64(const struct list *l, const struct vec *v, uint32_t n, uint8_t *r)
{
    struct value x = {.type = l->type};
    for (uint32_t i = 0; i < n; i++) {
        x.i = vec_i64(v, i);
        r[i] = (!vec_null(v, i) && list_has(l, &x)) != l->negated;
    }
}

static enum err in_rows(struct fn_cx *cx, const struct list *l, const struct vec *v, uint32_t n,
                        uint8_t *r)
{
    bool whole = l->type == T_LONG && (TM(v->type) & TM_INTS) != 0;
    if (whole || (l->type == v->type && (v->type == T_DATETIME || v->type == T_TIMESPAN))) {
        in_i64(l, v, n, r);
        return OK;
    }
    for (uint32_t i = 0; i < n; i++) {
        struct value x = vec_value(v, i), m;
        r[i] = (member_of(l, &x, cx->a, &m) && list_has(l, &m)) != l->negated;
    }
    return OK;
}

static enum err eval_in(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                        uint32_t n, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    const struct list *ready = call->prepared;
    if (ready != NULL && ready->ready) return in_rows(cx, ready, args[0], n, data);
    for (uint32_t i = 0; i < n; i++) {
        struct list l;
        struct value x = vec_value(args[0], i), m;
        TRY(list_init(&l, call));
        for (uint32_t k = 1; k < call->n_args; k++) {
            struct value c = vec_value(args[k], i);
            if (!list_add_all(&l, &c, cx->a)) return out_full(cx);
        }
        ((uint8_t *)data)[i] = (member_of(&l, &x, cx->a, &m) && list_has(&l, &m)) != l.negated;
    }
    return OK;
}

/* --- has_any, has_all ------------------------------------------------------------------------- */

struct terms {
    bool all, ready;
    uint32_t n;
    struct needle *needles;
};

static bool terms_fill(struct terms *t, const struct value *const *values, uint32_t n,
                       struct arena *a)
{
    uint32_t cap = 0;
    for (uint32_t i = 0; i < n; i++) {
        bool list = values[i]->type == T_DYNAMIC && !values[i]->is_null &&
                    dyn_kind(values[i]->s) == DYN_ARRAY;
        cap += list ? dyn_count(values[i]->s) : 1;
    }
    t->needles = arena_array(a, struct needle, cap != 0 ? cap : 1);
    if (t->needles == NULL) return false;
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, element;
        struct value text, v = *values[i];
        bool list = v.type == T_DYNAMIC && !v.is_null && dyn_kind(v.s) == DYN_ARRAY &&
                    dyn_iter_init(&it, v.s);
        while (!list || dyn_iter_next(&it, &name, &element)) {
            if (list) v = (struct value){.type = T_DYNAMIC, .s = element};
            if (!value_cast(&v, T_STRING, a, &text)) return false;
            if (!needle_init(&t->needles[t->n++], text.s, true, a)) return false;
            if (!list) break;
        }
    }
    return true;
}

static bool terms_match(const struct terms *t, struct bytes s)
{
    for (uint32_t i = 0; i < t->n; i++) {
        if (needle_bounded(&t->needles[i], s, BOUND_TERM) != t->all) return !t->all;
    }
    return t->all;
}

static enum err prepare_terms(struct fn_call *call, struct arena *a, struct diag *d)
{
    struct terms *t = arena_new(a, struct terms);
    if (t == NULL) return arena_full(a, d);
    t->all = strcmp(call->fn->name, "op has_all") == 0;
    t->ready = true;
    for (uint32_t i = 1; i < call->n_args; i++)
        t->ready &= call->consts[i] != NULL;
    if (t->ready && !terms_fill(t, call->consts + 1, call->n_args - 1, a)) return arena_full(a, d);
    call->prepared = t;
    return OK;
}

static enum err eval_terms(struct fn_cx *cx, const struct fn_call *call,
                           const struct vec *const *args, uint32_t n, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    uint8_t *r = data;
    const struct terms *ready = call->prepared;
    if (ready != NULL && ready->ready) {
        for (uint32_t i = 0; i < n; i++)
            r[i] = terms_match(ready, vec_str(args[0], i));
        return OK;
    }
    uint32_t n_values = call->n_args - 1;
    struct value *values = arena_array(cx->a, struct value, n_values);
    const struct value **pointers = arena_array(cx->a, const struct value *, n_values);
    if (values == NULL || pointers == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        struct terms t = {.all = strcmp(call->fn->name, "op has_all") == 0};
        for (uint32_t k = 0; k < n_values; k++) {
            values[k] = vec_value(args[k + 1], i);
            pointers[k] = &values[k];
        }
        if (!terms_fill(&t, pointers, n_values, cx->a)) return out_full(cx);
        r[i] = terms_match(&t, vec_str(args[0], i));
    }
    return OK;
}

#define IN(name_, doc_, example_, expect_)                                         \
    {                                                                              \
        .name = name_, .arity_min = 2, .arity_max = FN_ARITY_LIST,                 \
        .args = {ARG(TM_ANY), ARG(TM_ANY)}, .ret_of = ret_in, .eval = eval_in,     \
        .prepare = prepare_in, .doc = doc_, .example = example_, .expect = expect_ \
    }
#define TERMS(name_, doc_, example_, expect_)                                         \
    {                                                                                 \
        .name = name_, .arity_min = 2, .arity_max = FN_ARITY_LIST,                    \
        .args = {ARG_STRING, ARG(ANY_SCALAR)}, .ret = T_BOOL, .eval = eval_terms,     \
        .prepare = prepare_terms, .doc = doc_, .example = example_, .expect = expect_ \
    }

static const struct fn rows[] = {
    IN("op in", "Is one of the candidates; with case.", "'a' in ('b', 'A')", "False"),
    IN("op !in", "Is none of the candidates; with case.", "3 !in (1, 2)", "True"),
    IN("op in~", "Is one of the candidates; without case.", "'a' in~ ('b', 'A')", "True"),
    IN("op !in~", "Is none of the candidates; without case.", "'a' !in~ ('b', 'A')", "False"),
    TERMS("op has_any", "Has one of the terms.", "'red green' has_any ('blue', 'GREEN')", "True"),
    TERMS("op has_all", "Has all of the terms.", "'red green' has_all ('blue', 'green')", "False"),
};
const struct fn_family fn_list = FAMILY(rows);
