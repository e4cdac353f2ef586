/* SPDX-License-Identifier: Apache-2.0 */
/* kql/bind_call.c - constants, columns, calls with their casts, and folding */
#include "kql/bind.h"

#include <stdio.h>

/* --- leaves ----------------------------------------------------------------------------------- */

static enum err expr_new(struct binder *b, enum expr_kind kind, enum type type, struct expr **out)
{
    struct expr *e = arena_new(b->a, struct expr);
    if (e == NULL) return bind_full(b);
    e->kind = kind;
    e->type = type;
    e->weight = e->levels = 1;
    *out = e;
    return OK;
}

enum err expr_const(struct binder *b, const struct value *v, struct expr **out)
{
    struct expr *e;
    TRY(expr_new(b, EXPR_CONST, v->type, &e));
    e->value = *v;
    *out = e;
    return OK;
}

enum err expr_string(struct binder *b, const char *text, struct expr **out)
{
    struct value v = {.type = T_STRING, .s = bytes_str(text)};
    return expr_const(b, &v, out);
}

enum err expr_col(struct binder *b, const struct schema *s, uint32_t col, struct expr **out)
{
    struct expr *e;
    TRY(expr_new(b, EXPR_COL, s->cols[col].type, &e));
    e->col = col;
    *out = e;
    return OK;
}

enum err expr_query(struct binder *b, struct op *op, uint32_t pos, struct expr **out)
{
    if (op->schema.n == 0) {
        return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0001",
                        "toscalar() of a table without columns");
    }
    struct expr *e;
    TRY(expr_new(b, EXPR_SCALAR_QUERY, op->schema.cols[0].type, &e));
    e->query = op;
    e->group_depth = b->group_depth;
    *out = e;
    return OK;
}

/* --- casts ------------------------------------------------------------------------------------ */

static const char *const cast_names[N_TYPES] = {
    [T_BOOL] = "tobool",         [T_INT] = "toint",           [T_LONG] = "tolong",
    [T_REAL] = "toreal",         [T_DECIMAL] = "todecimal",   [T_STRING] = "tostring",
    [T_DATETIME] = "todatetime", [T_TIMESPAN] = "totimespan", [T_GUID] = "toguid",
    [T_DYNAMIC] = "todynamic",
};

static enum err call_bound(struct scope *s, uint32_t pos, const struct fn *fn, struct expr **args,
                           uint32_t n, struct expr **out);

enum err expr_cast(struct scope *s, uint32_t pos, struct expr *e, enum type to, bool explicitly,
                   struct expr **out)
{
    if (e->type == to) {
        *out = e;
        return OK;
    }
    const struct fn *fn = fn_implicit_cast(e->type, to);
    if (fn == NULL && explicitly) fn = fn_find(cast_names[to]);
    if (fn == NULL) {
        return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0064",
                        "a %s cannot stand where a %s is wanted", type_name(e->type),
                        type_name(to));
    }
    struct expr **args = arena_array(s->b->a, struct expr *, 1);
    if (args == NULL) return bind_full(s->b);
    args[0] = e;
    return call_bound(s, pos, fn, args, 1, out);
}

static uint32_t ordinal(uint32_t i, const char **suffix)
{
    static const char *const suffixes[] = {"th", "st", "nd", "rd"};
    uint32_t n = i + 1;
    bool teens = n % 100 >= 11 && n % 100 <= 13;
    *suffix = suffixes[!teens && n % 10 <= 3 ? n % 10 : 0];
    return n;
}

/* "op has" is has to people. */
static const char *plain_name(const char *name)
{
    return strncmp(name, "op ", 3) == 0 ? name + 3 : name;
}

static bool is_oper(const char *name)
{
    return strncmp(name, "op ", 3) == 0;
}

static enum err bad_types(struct scope *s, uint32_t pos, const char *name, struct expr *const *args,
                          uint32_t n)
{
    char types[200];
    size_t len = 0;
    types[0] = '\0';
    for (uint32_t i = 0; i < n && len < sizeof types - 20; i++) {
        const char *join = i == 0 ? "" : i + 1 == n ? " and " : ", ";
        len += (size_t)snprintf(types + len, sizeof types - len, "%s%s", join,
                                type_name(args[i]->type));
    }
    return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0064",
                    is_oper(name) ? "the operator %s is not defined for %s"
                                  : "the function %s() does not take %s",
                    plain_name(name), types);
}

/* What a column that only the data knows may turn out to be, where such a type is wanted. */
static enum type open_type(uint16_t accepts)
{
    static const enum type order[] = {T_STRING, T_LONG,     T_REAL,     T_DECIMAL,
                                      T_BOOL,   T_DATETIME, T_TIMESPAN, T_GUID};
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        if ((accepts & TM(order[i])) != 0) return order[i];
    }
    return T_NONE;
}

/* What an argument becomes: its own type, or the one wanted; T_NONE = refused. Nothing is converted
 * that the row does not name: abs(d.x) wants its tolong(). */
static enum type fitted_type(const struct scope *s, const struct fn_arg *spec, enum type from)
{
    if (spec->accepts == 0 || (spec->accepts & TM(from)) != 0)
        return spec->coerce != T_NONE ? spec->coerce : from;
    bool unknown = from == T_NONE || (s->is_loose && from == T_DYNAMIC);
    if (!unknown) return T_NONE;
    return spec->coerce != T_NONE ? spec->coerce : open_type(spec->accepts);
}

enum err fit_args(struct scope *s, uint32_t pos, const char *name, const struct fn_arg *specs,
                  uint32_t n_specs, struct expr **args, uint32_t n)
{
    uint32_t last = 0;
    for (uint32_t i = 0; i < n_specs; i++) {
        if (specs[i].accepts != 0) last = i;
    }
    for (uint32_t i = 0; i < n;
         i++) { /* all are looked at before one is cast: the sentence tells their types */
        if (fitted_type(s, &specs[i < last ? i : last], args[i]->type) != T_NONE) continue;
        if (is_oper(name)) return bad_types(s, pos, name, args, n);
        const char *suffix;
        uint32_t nth = ordinal(i, &suffix);
        return FAIL_TAG(diag_at(s->b->d, pos), ERR_INVALID, "SEM0064",
                        "the %u%s argument of %s() cannot be a %s", nth, suffix, name,
                        type_name(args[i]->type));
    }
    for (uint32_t i = 0; i < n; i++) {
        enum type to = fitted_type(s, &specs[i < last ? i : last], args[i]->type);
        TRY(expr_cast(s, pos, args[i], to, true, &args[i]));
    }
    return OK;
}

/* --- mixed types ------------------------------------------------------------------------------ */

static bool in_list(const char *name, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(name, list[i]) == 0) return true;
    }
    return false;
}
#define IN_LIST(name, list) in_list((name), (list), sizeof(list) / sizeof(list)[0])

/* Numbers of different types compare and combine by themselves. A constant text beside another type
 * is read as that type, any other text makes the other side text: EventID == "4624". */
static enum err unify_operands(struct scope *s, uint32_t pos, const char *name, struct expr **args)
{
    bool equality = strcmp(name, "op ==") == 0 || strcmp(name, "op !=") == 0;
    enum type a = args[0]->type, b = args[1]->type;
    if (!equality || a == b || (a != T_STRING && b != T_STRING)) return OK;
    if (a == T_DYNAMIC || b == T_DYNAMIC) return OK;
    for (int i = 0; i < 2; i++) {
        if (args[i]->type == T_STRING && args[i]->kind == EXPR_CONST) {
            return expr_cast(s, pos, args[i], args[1 - i]->type, true, &args[i]);
        }
    }
    TRY(expr_cast(s, pos, args[0], T_STRING, true, &args[0]));
    return expr_cast(s, pos, args[1], T_STRING, true, &args[1]);
}

/* Where names stand for columns that only the data knows, they take the type of what they are
 * compared or combined with. */
static enum err settle_operands(struct scope *s, uint32_t pos, const char *name, struct expr **args,
                                uint32_t n)
{
    static const char *const names[] = {
        "op <", "op <=",       "op >", "op >=", "op between", "op +", "op -",  "op *",
        "op /", "op !between", "op %", "op ==", "op !=",      "bin",  "floor", "coalesce"};
    enum type to = T_DYNAMIC;
    if (!s->is_loose || !IN_LIST(name, names)) return OK;
    for (uint32_t i = 0; i < n && to == T_DYNAMIC; i++)
        to = args[i]->type;
    if (to == T_DYNAMIC) to = T_LONG;
    if (to == T_TIMESPAN && name[0] != 'o') to = T_DATETIME; /* bin(x, 1h) */
    for (uint32_t i = 0; i < n; i++) {
        if (args[i]->type == T_DYNAMIC) TRY(expr_cast(s, pos, args[i], to, true, &args[i]));
    }
    return OK;
}

static bool is_branching(const char *name)
{
    static const char *const names[] = {"iff", "iif", "case"};
    return IN_LIST(name, names);
}

/* Whether argument i of iff() or case() is a condition. */
static bool is_test(const char *name, uint32_t i, uint32_t n)
{
    return strcmp(name, "case") == 0 ? i % 2 == 0 && i + 1 < n : i == 0;
}

/* iff(c, 1, 2.5): the branches take the result's type, and become dynamic when they have none in
 * common. */
static enum err unify_branches(struct scope *s, uint32_t pos, const char *name, enum type ret,
                               struct expr **args, uint32_t n)
{
    static const char *const all[] = {"coalesce", "max_of", "min_of"};
    bool branching = is_branching(name);
    if (!branching && (ret == T_NONE || !IN_LIST(name, all))) return OK;
    enum type to = ret != T_NONE ? ret : T_DYNAMIC;
    for (uint32_t i = 0; i < n; i++) {
        if (branching && is_test(name, i, n)) continue;
        TRY(expr_cast(s, pos, args[i], to, true, &args[i]));
    }
    return OK;
}

/* --- calls ------------------------------------------------------------------------------------ */

const enum type *arg_types(struct binder *b, struct expr *const *args, uint32_t n)
{
    enum type *types = arena_array(b->a, enum type, n + 1);
    for (uint32_t i = 0; types != NULL && i < n; i++)
        types[i] = args[i]->type;
    return types;
}

const struct value *const *const_args(struct binder *b, struct expr *const *args, uint32_t n)
{
    const struct value **consts = arena_array(b->a, const struct value *, n + 1);
    for (uint32_t i = 0; consts != NULL && i < n; i++) {
        if (args[i]->kind == EXPR_CONST) consts[i] = &args[i]->value;
    }
    return consts;
}

enum err check_arity(struct binder *b, uint32_t pos, const char *name, uint32_t min, uint32_t max,
                     uint32_t n)
{
    char wanted[32];
    if (n >= min && n <= max) return OK;
    if (max == 0)
        snprintf(wanted, sizeof wanted, "no");
    else if (max == min)
        snprintf(wanted, sizeof wanted, "%u", min);
    else
        snprintf(wanted, sizeof wanted, "%u to %u", min, max);
    return FAIL_TAG(diag_at(b->d, pos), ERR_INVALID, "SEM0219", "%s() takes %s argument%s, not %u",
                    name, wanted, max == 1 ? "" : "s", n);
}

static enum err weigh(struct scope *s, uint32_t pos, struct expr *e)
{
    uint64_t weight = 1;
    uint32_t levels = 0;
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        weight += e->args[i]->weight;
        if (e->args[i]->levels > levels) levels = e->args[i]->levels;
    }
    if (weight > EXPR_WEIGHT_MAX || levels >= EXPR_LEVELS_MAX) {
        return FAIL_TAG(diag_at(s->b->d, pos), ERR_LIMIT, "SEM0001",
                        "an expression has more than %d nodes or %d levels", EXPR_WEIGHT_MAX,
                        EXPR_LEVELS_MAX);
    }
    e->weight = (uint32_t)weight;
    e->levels = levels + 1;
    return OK;
}

static enum err fold(struct scope *s, struct expr *e, struct expr **out)
{
    struct binder *b = s->b;
    *out = e;
    if ((e->call.fn->flags & FN_NOT_CONST) != 0) return OK;
    const struct vec **args = arena_array(b->a, const struct vec *, e->call.n_args + 1);
    if (args == NULL) return bind_full(b);
    for (uint32_t i = 0; i < e->call.n_args; i++) {
        if (e->args[i]->kind != EXPR_CONST) return OK;
        args[i] = vec_const(b->a, &e->args[i]->value, 1);
        if (args[i] == NULL) return bind_full(b);
    }
    struct fn_cx cx = {.a = b->a, .now_ticks = b->now_ticks, .d = b->d};
    struct vec result;
    TRY(fn_run(&cx, &e->call, args, 1, &result));
    struct value v = vec_value(&result, 0);
    v.type = e->type;
    return expr_const(b, &v, out);
}

static enum err call_bound(struct scope *s, uint32_t pos, const struct fn *fn, struct expr **args,
                           uint32_t n, struct expr **out)
{
    struct binder *b = s->b;
    struct expr *e;
    enum type ret = fn->ret;
    const enum type *types = arg_types(b, args, n);
    const struct value *const *consts = const_args(b, args, n);
    if (types == NULL || consts == NULL) return bind_full(b);
    if (ret == T_NONE && fn->ret_of != NULL) ret = fn->ret_of(types, consts, n);
    if (ret == T_NONE) return bad_types(s, pos, fn->name, args, n);

    TRY(expr_new(b, EXPR_CALL, ret, &e));
    e->args = args;
    e->call =
        (struct fn_call){.fn = fn, .ret = ret, .n_args = n, .arg_types = types, .consts = consts};
    TRY(weigh(s, pos, e));
    diag_at(b->d, pos);
    if (fn->prepare != NULL) TRY(fn->prepare(&e->call, b->a, b->d));
    return fold(s, e, out);
}

enum err expr_call(struct scope *s, uint32_t pos, const char *name, struct expr **args, uint32_t n,
                   struct expr **out)
{
    struct binder *b = s->b;
    const struct fn *fn = fn_find(name);
    if (fn == NULL) {
        return FAIL(diag_at(b->d, pos), ERR_UNSUPPORTED, "%s is not supported", plain_name(name));
    }
    TRY(check_arity(s->b, pos, plain_name(fn->name), fn->arity_min, fn->arity_max, n));
    struct expr **own =
        arena_array(b->a, struct expr *, n + 1); /* casts must not change the caller's */
    if (own == NULL) return bind_full(b);
    if (n > 0) memcpy(own, args, n * sizeof *own);

    if (n == 2) TRY(unify_operands(s, pos, name, own));
    TRY(settle_operands(s, pos, name, own, n));
    TRY(fit_args(s, pos, name, fn->args, sizeof fn->args / sizeof fn->args[0], own, n));
    enum type ret = fn->ret;
    if (ret == T_NONE && fn->ret_of != NULL) {
        const enum type *types = arg_types(b, own, n);
        const struct value *const *consts = const_args(b, own, n);
        if (types == NULL || consts == NULL) return bind_full(b);
        ret = fn->ret_of(types, consts, n);
        TRY(unify_branches(s, pos, name, ret, own, n));
    }
    return call_bound(s, pos, fn, own, n, out);
}

enum err expr_call2(struct scope *s, uint32_t pos, const char *name, struct expr *a, struct expr *b,
                    struct expr **out)
{
    struct expr *args[] = {a, b};
    return expr_call(s, pos, name, args, 2, out);
}
