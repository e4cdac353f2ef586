/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/func/eval.h - a tiny evaluator of KQL expressions over literals, for the tests of
 * functions
 *
 * Knows literals, calls, arithmetic, comparisons, text operators, in, between, and, or, .name,
 * [index]. The real parser and binder are kql/; with this a function is tested without them. It
 * binds as they do: accepts and coerce of the row, ret_of, prepare, fn_run.
 */
#pragma once

#include "test.h"

#include "column/dyn.h"
#include "column/scan.h"
#include "func/fn.h"
#include "func/kernel.h"

#include <math.h>

#define EV_ARGS_MAX 40

struct ev {
    struct arena a;
    struct diag d;
    struct rd r;     /* what is left of the text */
    const char *why; /* NULL, or what could not be done */
    uint32_t rows;   /* that many equal rows; above 1 the operands are flat, so row loops run */
};

struct ev_value {
    const struct vec *v;
    const struct value *constant;
};

static struct ev_value ev_or(struct ev *e);

static struct ev_value ev_fail(struct ev *e, const char *why)
{
    if (e->why == NULL) e->why = why;
    return (struct ev_value){0};
}

static struct ev_value ev_constant(struct ev *e, struct value v)
{
    struct value *copy = arena_new(&e->a, struct value);
    *copy = v;
    struct vec *out = arena_new(&e->a, struct vec);
    if (e->rows == 1) return (struct ev_value){vec_const(&e->a, copy, 1), copy};
    struct vecb b;
    vecb_init(&b, &e->a, v.type, e->rows);
    for (uint32_t i = 0; i < e->rows; i++)
        vecb_value(&b, copy);
    if (vecb_finish(&b, out, &e->d) != OK) return ev_fail(e, e->d.text);
    return (struct ev_value){out, copy};
}

static struct ev_value ev_call(struct ev *e, const char *name, struct ev_value *args, uint32_t n)
{
    if (e->why != NULL) return (struct ev_value){0};
    const struct fn *fn = fn_find(name);
    if (fn == NULL) return ev_fail(e, arena_fmt(&e->a, "no function %s", name));
    if (n < fn->arity_min || n > fn->arity_max)
        return ev_fail(e, arena_fmt(&e->a, "%s: %u arguments", name, n));
    struct fn_call *call = arena_new(&e->a, struct fn_call);
    enum type *types = arena_array(&e->a, enum type, n + 1);
    const struct value **consts = arena_array(&e->a, const struct value *, n + 1);
    const struct vec **vecs = arena_array(&e->a, const struct vec *, n + 1);
    uint32_t last = 0;
    while (last < 5 && fn->args[last + 1].accepts != 0)
        last++;
    for (uint32_t i = 0; i < n; i++) {
        const struct fn_arg *want = &fn->args[i < last ? i : last];
        enum type t = args[i].v->type;
        if ((want->accepts & TM(t)) == 0) {
            return ev_fail(e, arena_fmt(&e->a, "%s: argument %u is %s", name, i + 1, type_name(t)));
        }
        if (want->coerce != T_NONE && want->coerce != t) {
            const struct fn *cast = fn_implicit_cast(t, want->coerce);
            if (cast == NULL) return ev_fail(e, arena_fmt(&e->a, "%s: no cast", name));
            args[i] = ev_call(e, cast->name, &args[i], 1);
            if (e->why != NULL) return (struct ev_value){0};
        }
        vecs[i] = args[i].v;
        types[i] = args[i].v->type;
        consts[i] = args[i].constant;
    }
    enum type ret = fn->ret != T_NONE ? fn->ret : fn->ret_of(types, consts, n);
    if (ret == T_NONE) return ev_fail(e, arena_fmt(&e->a, "%s: no such overload", name));
    *call =
        (struct fn_call){.fn = fn, .ret = ret, .n_args = n, .arg_types = types, .consts = consts};
    if (fn->prepare != NULL && fn->prepare(call, &e->a, &e->d) != OK) return ev_fail(e, e->d.text);
    struct fn_cx cx = {.a = &e->a, .now_ticks = 638800000000000000LL, .d = &e->d};
    struct vec *out = arena_new(&e->a, struct vec);
    if (fn_run(&cx, call, vecs, e->rows, out) != OK) return ev_fail(e, e->d.text);
    if (out->n != e->rows || out->type != ret)
        return ev_fail(e,
                       arena_fmt(&e->a, "%s: %u rows of %s", name, out->n, type_name(out->type)));
    struct value *constant = NULL;
    bool all = (fn->flags & FN_NOT_CONST) == 0;
    for (uint32_t i = 0; i < n; i++)
        all &= consts[i] != NULL;
    if (all) {
        constant = arena_new(&e->a, struct value);
        *constant = vec_value(out, 0);
    }
    return (struct ev_value){out, constant};
}

static bool ev_sign(struct ev *e, const char *sign)
{
    size_t n = strlen(sign);
    scan_spaces(&e->r);
    if (rd_left(&e->r) < n || memcmp(e->r.p, sign, n) != 0) return false;
    if (ch_alpha((uint8_t)sign[n - 1]) && rd_left(&e->r) > n &&
        (ch_alpha(e->r.p[n]) || e->r.p[n] == '_' || ch_digit(e->r.p[n]))) {
        return false;
    }
    e->r.p += n;
    return true;
}

static struct bytes ev_word(struct ev *e)
{
    scan_spaces(&e->r);
    const uint8_t *from = e->r.p;
    while (e->r.p < e->r.end &&
           (ch_alpha(*e->r.p) || *e->r.p == '_' || (e->r.p > from && ch_digit(*e->r.p))))
        e->r.p++;
    return bytes_of(from, (size_t)(e->r.p - from));
}

static struct ev_value ev_string(struct ev *e, bool verbatim)
{
    CLEANUP_BUF struct buf b = {0};
    uint8_t quote = rd_u8(&e->r);
    while (true) {
        if (e->r.p == e->r.end) return ev_fail(e, "open string");
        uint8_t c = rd_u8(&e->r);
        if (c == quote) {
            if (!verbatim || e->r.p == e->r.end || *e->r.p != quote) break;
            e->r.p++;
        } else if (c == '\\' && !verbatim) {
            c = rd_u8(&e->r);
            if (c == 'u' || c == 'x') return ev_fail(e, "escape");
            c = c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
        }
        buf_u8(&b, c);
    }
    return ev_constant(e, (struct value){.type = T_STRING, .s = arena_bytes(&e->a, buf_view(&b))});
}

/* Up to the closing parenthesis, quotes and nesting respected. */
static struct bytes ev_raw(struct ev *e)
{
    const uint8_t *from = e->r.p;
    int depth = 0;
    uint8_t quote = 0;
    for (; e->r.p < e->r.end; e->r.p++) {
        uint8_t c = *e->r.p;
        if (quote != 0) {
            if (c == '\\') e->r.p++;
            if (c == quote) quote = 0;
        } else if (c == '"' || c == '\'') {
            quote = c;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && depth-- == 0) {
            struct bytes s = bytes_trim(bytes_of(from, (size_t)(e->r.p - from)));
            e->r.p++;
            if (s.len >= 2 && (s.p[0] == '"' || s.p[0] == '\'') && s.p[s.len - 1] == s.p[0])
                s = bytes_of(s.p + 1, s.len - 2);
            return s;
        }
    }
    e->why = "open parenthesis";
    return (struct bytes){0};
}

/* datetime(...), long(...), dynamic(...): the parenthesis has been read. */
static struct ev_value ev_typed(struct ev *e, enum type t)
{
    struct rd before = e->r;
    struct bytes s = ev_raw(e);
    struct value text = {.type = T_STRING, .s = s}, v = {.type = t, .is_null = true};
    if (bytes_eq_nocase(s, "null")) return ev_constant(e, v);
    if (t == T_DYNAMIC) {
        CLEANUP_BUF struct buf quoted = {0}, b = {0};
        e->r = before;
        const uint8_t *from = e->r.p;
        (void)ev_raw(e);
        buf_bytes(&quoted, bytes_of(from, (size_t)(e->r.p - 1 - from)));
        if (dyn_from_json(bytes_trim(buf_view(&quoted)), &b, &e->d) != OK)
            return ev_fail(e, e->d.text);
        if (dyn_kind(buf_view(&b)) == DYN_STRING && *bytes_trim(buf_view(&quoted)).p != '"')
            return ev_fail(e, "dynamic literal");
        return ev_constant(
            e, (struct value){.type = T_DYNAMIC, .s = arena_bytes(&e->a, buf_view(&b))});
    }
    if (t == T_REAL && bytes_eq(s, BYTES("+inf"))) s = BYTES("inf");
    if (!value_cast(&text, t, &e->a, &v)) {
        e->r = before;
        struct ev_value inner = ev_or(e); /* long(1+2) is no literal: a conversion */
        if (!ev_sign(e, ")")) return ev_fail(e, "literal");
        return ev_call(e,
                       fn_implicit_cast(inner.v != NULL ? inner.v->type : T_NONE, t) != NULL
                           ? fn_implicit_cast(inner.v->type, t)->name
                           : "?",
                       &inner, 1);
    }
    return ev_constant(e, v);
}

static struct ev_value ev_number(struct ev *e)
{
    const uint8_t *from = e->r.p;
    bool hex = rd_left(&e->r) > 2 && e->r.p[0] == '0' && e->r.p[1] == 'x';
    while (e->r.p < e->r.end && (ch_digit(*e->r.p) || ch_alpha(*e->r.p) ||
                                 (*e->r.p == '.' && !(e->r.p + 1 < e->r.end && e->r.p[1] == '.')) ||
                                 ((*e->r.p == '-' || *e->r.p == '+') && !hex &&
                                  (e->r.p[-1] | 0x20) == 'e' && e->r.p > from))) {
        e->r.p++;
    }
    struct bytes s = bytes_of(from, (size_t)(e->r.p - from));
    struct value v = {.type = T_LONG};
    if (long_parse(s, &v.i)) return ev_constant(e, v);
    v.type = T_REAL;
    if (real_parse(s, &v.r)) return ev_constant(e, v);
    v.type = T_TIMESPAN;
    if (timespan_parse(s, &v.i)) return ev_constant(e, v);
    if (s.len > 1 && (s.p[s.len - 1] | 0x20) == 'l') {
        v.type = T_LONG;
        if (long_parse(bytes_of(s.p, s.len - 1), &v.i)) return ev_constant(e, v);
    }
    return ev_fail(e, "number");
}

static struct ev_value ev_primary(struct ev *e)
{
    scan_spaces(&e->r);
    if (e->r.p == e->r.end) return ev_fail(e, "end");
    uint8_t c = *e->r.p;
    if (c == '"' || c == '\'') return ev_string(e, false);
    if ((c == '@' || c == 'h') && rd_left(&e->r) > 1 && (e->r.p[1] == '"' || e->r.p[1] == '\'')) {
        e->r.p++;
        return ev_string(e, c == '@');
    }
    if (ch_digit(c) || c == '.') return ev_number(e);
    if (scan_char(&e->r, '(')) {
        struct ev_value v = ev_or(e);
        return ev_sign(e, ")") ? v : ev_fail(e, "parenthesis");
    }
    struct bytes word = ev_word(e);
    if (word.len == 0) return ev_fail(e, "syntax");
    if (bytes_eq(word, BYTES("true")) || bytes_eq(word, BYTES("false"))) {
        return ev_constant(e, (struct value){.type = T_BOOL, .b = word.len == 4});
    }
    if (!ev_sign(e, "(")) return ev_fail(e, "a column");
    char *name = arena_str(&e->a, word);
    enum type t;
    if (type_parse(name, &t, NULL) == OK && t != T_NONE) return ev_typed(e, t);
    if (bytes_eq(word, BYTES("typeof"))) {
        struct bytes s = ev_raw(e);
        return ev_constant(e, (struct value){.type = T_STRING, .s = s});
    }
    struct ev_value args[EV_ARGS_MAX];
    uint32_t n = 0;
    while (!ev_sign(e, ")")) {
        if (n == EV_ARGS_MAX || (n != 0 && !ev_sign(e, ","))) return ev_fail(e, "arguments");
        args[n++] = ev_or(e);
        if (e->why != NULL) return (struct ev_value){0};
    }
    return ev_call(e, name, args, n);
}

static struct ev_value ev_postfix(struct ev *e)
{
    struct ev_value v[2];
    v[0] = ev_primary(e);
    while (e->why == NULL) {
        if (rd_left(&e->r) > 1 && e->r.p[0] == '.' && e->r.p[1] != '.') {
            e->r.p++;
            v[1] = ev_constant(e, (struct value){.type = T_STRING, .s = ev_word(e)});
            v[0] = ev_call(e, "op path", v, 2);
        } else if (rd_left(&e->r) > 0 && *e->r.p == '[') {
            e->r.p++;
            v[1] = ev_or(e);
            if (!ev_sign(e, "]")) return ev_fail(e, "bracket");
            if (e->why == NULL)
                v[0] = ev_call(e, v[1].v->type == T_STRING ? "op path" : "op index", v, 2);
        } else {
            break;
        }
    }
    return v[0];
}

static struct ev_value ev_unary(struct ev *e)
{
    if (ev_sign(e, "-")) {
        struct ev_value v = ev_unary(e);
        return ev_call(e, "op neg", &v, 1);
    }
    (void)ev_sign(e, "+");
    return ev_postfix(e);
}

static struct ev_value ev_binary(struct ev *e, const char *const *signs,
                                 struct ev_value (*next)(struct ev *))
{
    struct ev_value v[2];
    v[0] = next(e);
    for (size_t i = 0; e->why == NULL && signs[i] != NULL;) {
        if (!ev_sign(e, signs[i])) {
            i++;
            continue;
        }
        v[1] = next(e);
        v[0] = ev_call(e, arena_fmt(&e->a, "op %s", signs[i]), v, 2);
        i = 0;
    }
    return v[0];
}

static struct ev_value ev_mul(struct ev *e)
{
    static const char *const signs[] = {"*", "/", "%", NULL};
    return ev_binary(e, signs, ev_unary);
}

static struct ev_value ev_add(struct ev *e)
{
    static const char *const signs[] = {"+", "-", NULL};
    return ev_binary(e, signs, ev_mul);
}

/* Behind in and its kin, between. */
static struct ev_value ev_listing(struct ev *e, const char *sign, struct ev_value first,
                                  const char *separator)
{
    struct ev_value args[EV_ARGS_MAX];
    uint32_t n = 0;
    args[n++] = first;
    if (!ev_sign(e, "(")) return ev_fail(e, "list");
    while (e->why == NULL && n < EV_ARGS_MAX && (n == 1 || ev_sign(e, separator)))
        args[n++] = ev_or(e);
    if (!ev_sign(e, ")")) return ev_fail(e, "list");
    return ev_call(e, arena_fmt(&e->a, "op %s", sign), args, n);
}

static struct ev_value ev_compare(struct ev *e)
{
    static const char *const lists[] = {"in~", "!in~", "in", "!in", "has_any", "has_all", NULL};
    static const char *const signs[] = {"==",
                                        "!=",
                                        "<=",
                                        ">=",
                                        "<",
                                        ">",
                                        "=~",
                                        "!~",
                                        "has_cs",
                                        "!has_cs",
                                        "hasprefix_cs",
                                        "!hasprefix_cs",
                                        "hasprefix",
                                        "!hasprefix",
                                        "hassuffix_cs",
                                        "!hassuffix_cs",
                                        "hassuffix",
                                        "!hassuffix",
                                        "has",
                                        "!has",
                                        "contains_cs",
                                        "!contains_cs",
                                        "contains",
                                        "!contains",
                                        "startswith_cs",
                                        "!startswith_cs",
                                        "startswith",
                                        "!startswith",
                                        "endswith_cs",
                                        "!endswith_cs",
                                        "endswith",
                                        "!endswith",
                                        "matches regex",
                                        NULL};
    struct ev_value v = ev_add(e);
    for (int i = 0; e->why == NULL && lists[i] != NULL; i++) {
        if (ev_sign(e, lists[i])) return ev_listing(e, lists[i], v, ",");
    }
    if (e->why == NULL && ev_sign(e, "between")) return ev_listing(e, "between", v, "..");
    if (e->why == NULL && ev_sign(e, "!between")) return ev_listing(e, "!between", v, "..");
    for (int i = 0; e->why == NULL && signs[i] != NULL; i++) {
        if (!ev_sign(e, signs[i])) continue;
        struct ev_value both[2] = {v, ev_add(e)};
        return ev_call(e, arena_fmt(&e->a, "op %s", signs[i]), both, 2);
    }
    return v;
}

static struct ev_value ev_and(struct ev *e)
{
    static const char *const signs[] = {"and", NULL};
    return ev_binary(e, signs, ev_compare);
}

static struct ev_value ev_or(struct ev *e)
{
    static const char *const signs[] = {"or", NULL};
    return ev_binary(e, signs, ev_and);
}

__attribute__((unused)) static void ev_init(struct ev *e, const char *text, uint32_t rows)
{
    *e = (struct ev){.d = DIAG_INIT, .r = rd_from(bytes_str(text)), .rows = rows};
    arena_init(&e->a, 0);
}

__attribute__((unused)) static void ev_release(struct ev *e)
{
    arena_release(&e->a);
}

/* tostring() of the whole text's value, or "? " and why there is none. All rows must agree. */
__attribute__((unused)) static const char *ev_text(struct ev *e)
{
    struct ev_value v = ev_or(e);
    scan_spaces(&e->r);
    if (e->why == NULL && e->r.p != e->r.end)
        e->why = arena_fmt(&e->a, "rest: %.20s", (const char *)e->r.p);
    if (e->why != NULL) return arena_fmt(&e->a, "? %s", e->why);
    CLEANUP_BUF struct buf b = {0}, other = {0};
    for (uint32_t i = 0; i < e->rows; i++) {
        struct value x = vec_value(v.v, i);
        buf_clear(&other);
        value_to_text(&x, i == 0 ? &b : &other);
        if (i != 0 && !bytes_eq(buf_view(&b), buf_view(&other))) return "? rows differ";
    }
    return arena_str(&e->a, buf_view(&b));
}
