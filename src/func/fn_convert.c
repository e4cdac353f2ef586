/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_convert.c - from one type to another, asked for or by itself */
#include "column/decimal.h"
#include "column/dyn.h"
#include "func/families.h"

/* Text of every row, in one buffer that is copied to the arena once. */
static enum err eval_tostring(struct fn_cx *cx, const struct fn_call *call,
                              const struct vec *const *args, uint32_t n, struct vec *out)
{
    (void)call;
    if (args[0]->type == T_STRING) {
        *out = *args[0];
        return OK;
    }
    void *data;
    TRY(out_flat(cx, T_STRING, n, out, &data));
    struct bytes *text = data;
    CLEANUP_BUF struct buf b = {0};
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        size_t from = b.len;
        value_to_text(&v, &b);
        text[i].len = b.len - from;
    }
    TRY(buf_check(&b, cx->d));
    if (b.len == 0) return OK;
    struct bytes all = arena_bytes(cx->a, buf_view(&b));
    if (all.p == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        if (text[i].len != 0) text[i].p = all.p;
        all.p += text[i].len;
    }
    return OK;
}

static enum err cast_rows(struct fn_cx *cx, enum type to, const struct vec *v, uint32_t n,
                          struct vec *out)
{
    struct vecb b;
    vecb_init(&b, cx->a, to, n);
    for (uint32_t i = 0; i < n; i++) {
        struct value x = vec_value(v, i), y;
        if (!value_cast(&x, to, cx->a, &y)) {
            vecb_null(&b);
        } else if (to == T_DYNAMIC) {
            vecb_str_borrow(&b, y.s);
        } else {
            vecb_value(&b, &y);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

static enum err eval_cast(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t n, struct vec *out)
{
    const struct vec *v = args[0];
    enum type to = call->ret;
    if (v->type == to) {
        *out = *v;
        return OK;
    }
    bool widens = (v->type == T_INT && to == T_LONG) || (v->type == T_LONG && to == T_TIMESPAN);
    if (widens) { /* the same 64 bits under another name */
        TRY(vec_plain(cx, v, out));
        if (out->shape == VEC_CONST) return cast_rows(cx, to, v, n, out);
        out->type = to;
        return OK;
    }
    if (to == T_REAL && (TM(v->type) & TM_INTS) != 0 && v->shape != VEC_CONST) {
        struct r64s r;
        struct vec plain;
        TRY(vec_plain(cx, v, &plain));
        TRY(load_r64(cx, &plain, &r));
        *out = (struct vec){
            .type = T_REAL, .shape = VEC_FLAT, .n = n, .nulls = plain.nulls, .data = r.p};
        return OK;
    }
    return cast_rows(cx, to, v, n, out);
}

/* Only text is read; any other value is itself, as a dynamic. */
static enum err eval_parse_json(struct fn_cx *cx, const struct fn_call *call,
                                const struct vec *const *args, uint32_t n, struct vec *out)
{
    if (args[0]->type != T_STRING) return eval_cast(cx, call, args, n, out);
    struct vecb b;
    CLEANUP_BUF struct buf dyn = {0};
    vecb_init(&b, cx->a, T_DYNAMIC, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes text = vec_str(args[0], i);
        buf_clear(&dyn);
        if (text.len != 0) TRY(dyn_from_json(text, &dyn, cx->d));
        vecb_str(&b, buf_view(&dyn));
    }
    return vecb_finish(&b, out, cx->d);
}

#define CAST(name_, set, to, doc_, example_, expect_)                                 \
    {                                                                                 \
        .name = name_, .arity_min = 1, .arity_max = 1, .args = {ARG(set)}, .ret = to, \
        .eval = eval_cast, .doc = doc_, .example = example_, .expect = expect_        \
    }
#define JSON(name_, doc_)                                                                        \
    {                                                                                            \
        .name = name_, .arity_min = 1, .arity_max = 1, .args = {ARG(STRINGY)}, .ret = T_DYNAMIC, \
        .eval = eval_parse_json, .doc = doc_, .example = name_ "('{\"a\":[1,2]}')",              \
        .expect = "{\"a\":[1,2]}"                                                                \
    }

static const struct fn rows[] = {
    CAST("op dynamic", ANY_SCALAR, T_DYNAMIC, "A scalar as dynamic; text stays text.", NULL, NULL),
    CAST("tobool", ANY_SCALAR, T_BOOL,
         "Converts to bool: 'true', 'false' in any case, numbers by whether they are not zero.",
         "tobool('TRUE')", "True"),
    CAST("toboolean", ANY_SCALAR, T_BOOL, "The same as tobool().", "toboolean(0)", "False"),
    CAST("todatetime", ANY_SCALAR, T_DATETIME, "Reads a moment from text, or from ticks.",
         "todatetime('2015-12-31 23:59:59.9')", "2015-12-31T23:59:59.9000000Z"),
    CAST("todecimal", ANY_SCALAR, T_DECIMAL, "Converts to decimal.",
         "todecimal('3.14159265358979323846')", "3.14159265358979323846"),
    CAST("todouble", ANY_SCALAR, T_REAL, "Converts to real.", "todouble(' 3.14 ')", "3.14"),
    CAST("toguid", STRINGY | TM(T_GUID), T_GUID, "Reads a guid from text.",
         "toguid('10E99626BC2B4C75BB3EFE606DE25700')", "10e99626-bc2b-4c75-bb3e-fe606de25700"),
    CAST("toint", ANY_SCALAR, T_INT,
         "Converts to int; a real is truncated, text must be a whole number.", "toint(1.99)", "1"),
    CAST("tolong", ANY_SCALAR, T_LONG,
         "Converts to long; a real is truncated, text must be a whole number.", "tolong('0x10')",
         "16"),
    CAST("toreal", ANY_SCALAR, T_REAL, "Converts to real.", "toreal('1.5e3')", "1500.0"),
    CAST("totimespan", ANY_SCALAR, T_TIMESPAN, "Reads a timespan from text, or from ticks.",
         "totimespan('1.02:03:04')", "1.02:03:04"),
    CAST("totime", ANY_SCALAR, T_TIMESPAN, "The same as totimespan().", "totime('01:00:00')",
         "01:00:00"),
    JSON("parse_json", "Reads JSON; text that is no JSON becomes a dynamic string."),
    JSON("parsejson", "The same as parse_json()."),
    JSON("todynamic", "The same as parse_json()."),
    JSON("toobject", "The same as parse_json()."),
    {.name = "tostring",
     .arity_min = 1,
     .arity_max = 1,
     .args = {ARG(ANY_SCALAR)},
     .ret = T_STRING,
     .eval = eval_tostring,
     .doc = "The text of a value; of null the empty string.",
     .example = "tostring(1.5)",
     .expect = "1.5"},
};
const struct fn_family fn_convert = FAMILY(rows);

const struct fn *fn_implicit_cast(enum type from, enum type to)
{
    static const char *const names[N_TYPES] = {
        [T_BOOL] = "tobool",        [T_INT] = "toint",           [T_LONG] = "tolong",
        [T_REAL] = "toreal",        [T_DECIMAL] = "todecimal",   [T_STRING] = "tostring",
        [T_GUID] = "toguid",        [T_DATETIME] = "todatetime", [T_TIMESPAN] = "totimespan",
        [T_DYNAMIC] = "op dynamic",
    };
    bool numbers = (TM(from) & (TM_NUMERIC | TM(T_BOOL))) != 0 && (TM(to) & TM_NUMERIC) != 0;
    if (to == T_NONE || to >= N_TYPES) return NULL;
    if (numbers || from == T_DYNAMIC || from == T_NONE || to == T_DYNAMIC || to == T_STRING)
        return fn_find(names[to]);
    return NULL;
}
