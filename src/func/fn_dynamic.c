/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_dynamic.c - members of dynamic values, their kinds, packing, their text */
#include "column/dyn.h"
#include "func/families.h"

#include <stdlib.h>

/* --- members and elements --------------------------------------------------------------------- */

EVAL(eval_path)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_DYNAMIC, n);
    for (uint32_t i = 0; i < n; i++)
        vecb_str_borrow(&b, dyn_member(vec_str(args[0], i), vec_str(args[1], i)));
    return vecb_finish(&b, out, cx->d);
}

/* d[i] of an array; d[key] of a bag, when the key is text in a dynamic. */
EVAL(eval_index)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_DYNAMIC, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes dyn = vec_str(args[0], i);
        struct value key = vec_value(args[1], i);
        if (key.type == T_DYNAMIC && !key.is_null) key = dyn_scalar(key.s);
        if (key.is_null) {
            vecb_null(&b);
        } else if (key.type == T_STRING) {
            vecb_str_borrow(&b, dyn_member(dyn, key.s));
        } else if (key.type == T_LONG || key.type == T_INT) {
            vecb_str_borrow(&b, dyn_index(dyn, key.i));
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- kinds ------------------------------------------------------------------------------------ */

static struct bytes kind_name(struct bytes dyn)
{
    static const char *const names[] = {
        [DYN_NULL] = "null",   [DYN_BOOL] = "bool",         [DYN_LONG] = "long",
        [DYN_REAL] = "double", [DYN_DATETIME] = "datetime", [DYN_TIMESPAN] = "timespan",
        [DYN_GUID] = "guid",   [DYN_DECIMAL] = "decimal",   [DYN_STRING] = "string",
        [DYN_ARRAY] = "array", [DYN_BAG] = "dictionary",
    };
    return bytes_str(names[dyn_kind(dyn)]);
}

EVAL(eval_gettype)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_STRING, n);
    for (uint32_t i = 0; i < n; i++) {
        bool dynamic = args[0]->type == T_DYNAMIC;
        vecb_str_borrow(&b, dynamic ? kind_name(vec_str(args[0], i))
                                    : bytes_str(type_name(args[0]->type)));
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- packing ---------------------------------------------------------------------------------- */

/* bag_pack('name', value, ...); names are text, so an odd argument is refused by types of the row.
 */
EVAL(eval_bag_pack)
{
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf name = {0};
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        size_t at = dyn_bag_begin(&r.b);
        uint32_t count = 0;
        for (uint32_t k = 0; k + 1 < call->n_args; k += 2, count++) {
            struct value key = vec_value(args[k], i), v = vec_value(args[k + 1], i);
            buf_clear(&name);
            value_to_text(&key, &name);
            dyn_bag_name(&r.b, buf_view(&name));
            TRY(dyn_from_value(&v, &r.b, cx->d));
        }
        dyn_bag_end(&r.b, at, count);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum type ret_bag_pack(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    for (uint32_t k = 0; k < n; k += 2) {
        if (args[k] != T_STRING && args[k] != T_DYNAMIC) return T_NONE;
    }
    return n % 2 == 0 ? T_DYNAMIC : T_NONE;
}

EVAL(eval_pack_array)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        size_t at = dyn_array_begin(&r.b);
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct value v = vec_value(args[k], i);
            TRY(dyn_from_value(&v, &r.b, cx->d));
        }
        dyn_array_end(&r.b, at, call->n_args);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- text ------------------------------------------------------------------------------------- */

struct member {
    struct bytes name, value;
};

static int by_member(const void *a, const void *b)
{
    return bytes_cmp(((const struct member *)a)->name, ((const struct member *)b)->name);
}

/* The value again with the members of every bag in order of their names. */
static enum err put_sorted(struct bytes dyn, int depth, struct buf *out, struct diag *d)
{
    struct dyn_iter it;
    uint32_t count = dyn_count(dyn);
    if (!dyn_iter_init(&it, dyn) || depth >= DYN_DEPTH_MAX) {
        buf_bytes(out, dyn);
        return OK;
    }
    CLEANUP_FREE struct member *m = calloc(count + 1, sizeof *m);
    if (m == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < count && dyn_iter_next(&it, &m[i].name, &m[i].value); i++) {
    }
    size_t at = it.is_bag ? dyn_bag_begin(out) : dyn_array_begin(out);
    if (it.is_bag) qsort(m, count, sizeof *m, by_member);
    for (uint32_t i = 0; i < count; i++) {
        if (it.is_bag) dyn_bag_name(out, m[i].name);
        TRY(put_sorted(m[i].value, depth + 1, out, d));
    }
    dyn_array_end(out, at, count); // NOLINT: the cleanup frees
    return OK;
}

EVAL(eval_dynamic_to_json)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    CLEANUP_BUF struct buf dyn = {0}, sorted = {0};
    TRY(rows_begin(cx, &r, T_STRING, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct value v = vec_value(args[0], i);
        buf_clear(&dyn);
        buf_clear(&sorted);
        if (!v.is_null) {
            TRY(dyn_from_value(&v, &dyn, cx->d));
            TRY(put_sorted(buf_view(&dyn), 0, &sorted, cx->d));
            dyn_to_json(buf_view(&sorted), &r.b);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

#define PACK(name_, doc_)                                                                 \
    {                                                                                     \
        .name = name_, .arity_min = 2, .arity_max = FN_ARITY_LIST, .args = {ARG(TM_ANY)}, \
        .ret_of = ret_bag_pack, .eval = eval_bag_pack, .doc = doc_,                       \
        .example = name_ "('a', 1, 'b', 'x')", .expect = "{\"a\":1,\"b\":\"x\"}"          \
    }

static const struct fn rows[] = {
    PACK("bag_pack", "A bag of names and values."),
    FN("dynamic_to_json", 1, 1, T_STRING, 0, eval_dynamic_to_json,
       "JSON with the members of bags in order of their names.",
       "dynamic_to_json(dynamic({\"b\":2,\"a\":1}))", "{\"a\":1,\"b\":2}", ARG(ANY_SCALAR)),
    FN("gettype", 1, 1, T_STRING, 0, eval_gettype,
       "The name of a value's type, or of what a dynamic holds.", "gettype(dynamic({}))",
       "dictionary", ARG(TM_ANY)),
    FN("op index", 2, 2, T_DYNAMIC, 0, eval_index,
       "An element of an array, from the end when negative, or a member of a bag.",
       "dynamic([10,20,30])[-1]", "30", ARG_DYNAMIC, ARG(TM_INTS | TM(T_REAL) | TM(T_DYNAMIC))),
    FN("op path", 2, 2, T_DYNAMIC, 0, eval_path, "A member of a bag.",
       "dynamic({\"a\":{\"b\":5}}).a.b", "5", ARG_DYNAMIC, ARG_STRING),
    PACK("pack", "The same as bag_pack()."),
    FN("pack_array", 1, FN_ARITY_LIST, T_DYNAMIC, 0, eval_pack_array, "An array of the arguments.",
       "pack_array(1, 'a', 2s)", "[1,\"a\",\"00:00:02\"]", ARG(TM_ANY)),
    PACK("pack_dictionary", "The same as bag_pack()."),
};
const struct fn_family fn_dynamic = FAMILY(rows);
