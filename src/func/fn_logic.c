/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_logic.c - and, or, not; choosing between values; nulls
 *
 * Logic has three values: null and false is false, null or true is true, what is left with a null
 * is null. iff() and case() take a null condition for false.
 */
#include "func/families.h"

/* --- and, or, not ----------------------------------------------------------------------------- */

static enum err eval_and_or(struct fn_cx *cx, const struct fn_call *call,
                            const struct vec *const *args, uint32_t n, struct vec *out)
{
    bool stop = call->fn->name[3] == 'o'; /* the value that decides alone */
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    uint8_t *r = data;
    struct vec a, b;
    TRY(vec_plain(cx, args[0], &a));
    TRY(vec_plain(cx, args[1], &b));
    const uint8_t *x = a.data, *y = b.data;
    uint32_t sx = a.shape != VEC_CONST, sy = b.shape != VEC_CONST;
    if (stop) {
        for (uint32_t i = 0; i < n; i++)
            r[i] = x[i * sx] | y[i * sy];
    } else {
        for (uint32_t i = 0; i < n; i++)
            r[i] = x[i * sx] & y[i * sy];
    }
    if (a.nulls == NULL && b.nulls == NULL) return OK;
    uint64_t *nulls = out_nulls(cx, out);
    if (nulls == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        bool na = vec_null(&a, i), nb = vec_null(&b, i);
        if (!na && !nb) continue;
        bool decided = (!na && x[i * sx] == stop) || (!nb && y[i * sy] == stop);
        r[i] = stop;
        if (!decided) bit_set(nulls, i);
    }
    return OK;
}

static enum err eval_not(struct fn_cx *cx, const struct fn_call *call,
                         const struct vec *const *args, uint32_t n, struct vec *out)
{
    (void)call;
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    for (uint32_t i = 0; i < n; i++)
        ((uint8_t *)data)[i] = !vec_bool(args[0], i);
    return OK;
}

/* --- choosing --------------------------------------------------------------------------------- */

/* The common type of a call's arguments from, from + step, ... and the last one. */
static enum type common_of(const enum type *args, uint32_t from, uint32_t step, uint32_t n)
{
    enum type t = args[n - 1];
    for (uint32_t i = from; i < n; i += step) {
        bool none = t == T_NONE && args[i] == T_NONE;
        t = type_common(t, args[i]);
        if (t == T_NONE && !none) return T_NONE;
    }
    return t;
}

static enum type ret_iff(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    return common_of(args, 1, 1, n);
}

static enum type ret_case(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    if (n % 2 == 0) return T_NONE;
    for (uint32_t i = 0; i + 1 < n; i += 2) {
        if (args[i] != T_BOOL && args[i] != T_NONE) return T_NONE;
    }
    return common_of(args, 1, 2, n);
}

static enum type ret_coalesce(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    for (uint32_t i = 1; i < n; i++) /* a dynamic has no type in common with others */
        if ((args[i] == T_DYNAMIC) != (args[0] == T_DYNAMIC)) return T_NONE;
    return common_of(args, 0, 1, n);
}

/* The argument in the type of the result. */
static enum err as_type(struct fn_cx *cx, const struct vec *v, enum type to, uint32_t n,
                        struct vec *out)
{
    if (v->type == to) {
        *out = *v;
        return OK;
    }
    struct vecb b;
    uint32_t count = v->shape == VEC_CONST ? 1 : n;
    vecb_init(&b, cx->a, to, count);
    for (uint32_t i = 0; i < count; i++) {
        struct value x = vec_value(v, i), y;
        if (value_cast(&x, to, cx->a, &y)) {
            vecb_value(&b, &y);
        } else {
            vecb_null(&b);
        }
    }
    TRY(vecb_finish(&b, out, cx->d));
    if (v->shape == VEC_CONST) {
        out->shape = VEC_CONST;
        out->n = n;
    }
    return OK;
}

/* Copies row i from sources[pick[i]]. */
static enum err pick_rows(struct fn_cx *cx, enum type t, const struct vec *sources,
                          const uint32_t *pick, uint32_t n, struct vec *out)
{
    void *data;
    TRY(out_flat(cx, t, n, out, &data));
    uint64_t *nulls = NULL;
    size_t width = type_width(t);
    for (uint32_t i = 0; i < n; i++) {
        const struct vec *v = &sources[pick[i]];
        if (vec_null(v, i)) {
            if (nulls == NULL && (nulls = out_nulls(cx, out)) == NULL) return out_full(cx);
            bit_set(nulls, i);
        } else if (width == 8) {
            ((uint64_t *)data)[i] = ((const uint64_t *)vec_data(v))[vec_at(v, i)];
        } else if (width == 16) {
            ((struct u128 *)data)[i] = ((const struct u128 *)vec_data(v))[vec_at(v, i)];
        } else {
            ((uint8_t *)data)[i] = ((const uint8_t *)vec_data(v))[vec_at(v, i)];
        }
    }
    return OK;
}

static bool holds(const struct vec *v, uint32_t i)
{
    if (v->type == T_BOOL) return !vec_null(v, i) && vec_bool(v, i);
    struct value x = vec_value(v, i), y;
    return value_cast(&x, T_BOOL, NULL, &y) && !y.is_null && y.b;
}

/* iff() is a case() of one condition. */
static enum err eval_case(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t n, struct vec *out)
{
    uint32_t n_values = call->n_args / 2 + 1;
    struct vec *values = arena_array(cx->a, struct vec, n_values);
    uint32_t *pick = arena_array(cx->a, uint32_t, n);
    if (values == NULL || pick == NULL) return out_full(cx);
    for (uint32_t k = 0; k < n_values; k++) {
        uint32_t arg = k + 1 == n_values ? call->n_args - 1 : 2 * k + 1;
        TRY(as_type(cx, args[arg], call->ret, n, &values[k]));
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k + 1 < n_values && !holds(args[2 * k], i))
            k++;
        pick[i] = k;
    }
    return pick_rows(cx, call->ret, values, pick, n, out);
}

/* The first that is not null; of strings the first that is not empty. */
static enum err eval_coalesce(struct fn_cx *cx, const struct fn_call *call,
                              const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct vec *values = arena_array(cx->a, struct vec, call->n_args);
    uint32_t *pick = arena_array(cx->a, uint32_t, n);
    if (values == NULL || pick == NULL) return out_full(cx);
    for (uint32_t k = 0; k < call->n_args; k++)
        TRY(as_type(cx, args[k], call->ret, n, &values[k]));
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        for (; k + 1 < call->n_args; k++) {
            bool empty =
                call->ret == T_STRING ? vec_str(&values[k], i).len == 0 : vec_null(&values[k], i);
            if (!empty) break;
        }
        pick[i] = k;
    }
    return pick_rows(cx, call->ret, values, pick, n, out);
}

/* --- nulls ------------------------------------------------------------------------------------ */

/* isempty() is true for null and for text without a character; isnull() never for text. */
static enum err eval_isnull(struct fn_cx *cx, const struct fn_call *call,
                            const struct vec *const *args, uint32_t n, struct vec *out)
{
    const struct vec *v = args[0];
    bool empty = strstr(call->fn->name, "empty") != NULL,
         negated =
             strncmp(call->fn->name, "isnot", 5) == 0 || strncmp(call->fn->name, "not", 3) == 0;
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    uint8_t *r = data;
    for (uint32_t i = 0; i < n; i++) {
        bool yes;
        if (v->type == T_STRING) {
            yes = empty && vec_str(v, i).len == 0;
        } else {
            yes = v->type == T_NONE || vec_null(v, i);
            if (!yes && empty && v->type == T_DYNAMIC) {
                struct bytes s = vec_str(v, i);
                yes = s.len == 5 && s.p[0] == 's'; /* a dynamic string of no bytes */
            }
        }
        r[i] = yes != negated;
    }
    return OK;
}

#define ISNULL(name_, doc_, example_, expect_)                                               \
    {                                                                                        \
        .name = name_, .arity_min = 1, .arity_max = 1, .args = {ARG(TM_ANY)}, .ret = T_BOOL, \
        .eval = eval_isnull, .doc = doc_, .example = example_, .expect = expect_             \
    }
#define CHOOSE(name_, min, max, ret_, eval_, doc_, example_, expect_, ...)                        \
    {                                                                                             \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret_of = ret_, \
        .eval = eval_, .doc = doc_, .example = example_, .expect = expect_                        \
    }

/* of `and` and `or` */
#define SIDE ARG_AS(TM(T_BOOL) | TM(T_DYNAMIC), T_BOOL)

static const struct fn rows[] = {
    CHOOSE("case", 3, FN_ARITY_LIST, ret_case, eval_case,
           "The value behind the first condition that holds, else the last value.",
           "case(1 > 2, 'a', 2 > 1, 'b', 'c')", "b", ARG(TM_ANY)),
    CHOOSE("coalesce", 2, FN_ARITY_ANY, ret_coalesce, eval_coalesce,
           "The first value that is not null (of text: not empty).", "coalesce(int(null), 5, 7)",
           "5", ARG(TM_ANY)),
    CHOOSE("iff", 3, 3, ret_iff, eval_case,
           "One of two values by a condition; null counts as false.", "iff(1 > 2, 'a', 'b')", "b",
           ARG_BOOL, ARG(TM_ANY), ARG(TM_ANY)),
    CHOOSE("iif", 3, 3, ret_iff, eval_case, "The same as iff().", "iif(2 > 1, 1, 2.5)", "1.0",
           ARG_BOOL, ARG(TM_ANY), ARG(TM_ANY)),
    ISNULL("isempty", "True for null and for the empty string.", "isempty('')", "True"),
    ISNULL("isnotempty", "False for null and for the empty string.", "isnotempty('')", "False"),
    ISNULL("isnotnull", "False for null; a string is never null.", "isnotnull('')", "True"),
    ISNULL("isnull", "True for null; a string is never null.", "isnull(int(null))", "True"),
    ISNULL("notempty", "The same as isnotempty().", "notempty('a')", "True"),
    ISNULL("notnull", "The same as isnotnull().", "notnull(1)", "True"),
    {.name = "not",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG_BOOL},
     .ret = T_BOOL,
     .flags = FN_NULL_IN_NULL_OUT,
     .eval = eval_not,
     .doc = "The opposite.",
     .example = "not(1 == 2)",
     .expect = "True"},
    {.name = "op and",
     .arity_min = 2,
     .arity_max = 2,
     .args = {SIDE, SIDE},
     .ret = T_BOOL,
     .eval = eval_and_or,
     .doc = "True when both sides are.",
     .example = "true and false",
     .expect = "False"},
    {.name = "op or",
     .arity_min = 2,
     .arity_max = 2,
     .args = {SIDE, SIDE},
     .ret = T_BOOL,
     .eval = eval_and_or,
     .doc = "True when a side is.",
     .example = "true or false",
     .expect = "True"},
};
const struct fn_family fn_logic = FAMILY(rows);
