/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_set.c - dynamic arrays as sets. Numbers are the same by value; the order is that of first
 * sight. */
#include "base/map.h"
#include "column/dyn.h"
#include "func/families.h"
#include "func/needle.h"

#include <math.h>

/* One value, one key: a real that is whole is that whole number. */
static struct bytes key_of(struct bytes element, uint8_t room[9])
{
    if (dyn_kind(element) != DYN_REAL) return element;
    double r = dyn_scalar(element).r;
    if (!(fabs(r) < 9e15) || r != floor(r)) return element;
    uint64_t i = (uint64_t)(int64_t)r;
    room[0] = 'i';
    for (int k = 0; k < 8; k++)
        room[k + 1] = (uint8_t)(i >> (8 * k));
    return bytes_of(room, 9);
}

static bool has(const struct map *m, struct bytes element)
{
    uint8_t room[9];
    return map_get(m, key_of(element, room)) != NULL;
}

static enum err put(struct map *m, struct bytes element, struct diag *d)
{
    static char there;
    uint8_t room[9];
    return map_put(m, key_of(element, room), &there, NULL, d);
}

static enum err put_all(struct map *m, struct bytes array, struct diag *d)
{
    struct dyn_iter it;
    struct bytes name, e;
    if (dyn_kind(array) != DYN_ARRAY || !dyn_iter_init(&it, array)) return OK;
    while (dyn_iter_next(&it, &name, &e))
        TRY(put(m, e, d));
    return OK;
}

struct sets {
    struct map seen, others[FN_ARITY_ANY];
    uint32_t n;
};

static void sets_release(struct sets *s)
{
    map_release(&s->seen);
    for (uint32_t k = 0; k < s->n; k++)
        map_release(&s->others[k]);
}

/* Elements of the first `from` arrays that are (in all | in none of) the others. */
static enum err put_selected(const struct vec *const *args, uint32_t n_args, uint32_t row, char op,
                             struct buf *out, struct diag *d)
{
    CLEANUP_LOCAL(sets_release) struct sets s = {0};
    uint32_t sources = op == 'u' ? n_args : 1, count = 0;
    for (uint32_t k = sources; k < n_args; k++) {
        s.n = k;
        TRY(put_all(&s.others[k - 1], vec_str(args[k], row), d));
    }
    size_t at = dyn_array_begin(out);
    for (uint32_t k = 0; k < sources; k++) {
        struct dyn_iter it;
        struct bytes name, e, array = vec_str(args[k], row);
        if (dyn_kind(array) != DYN_ARRAY || !dyn_iter_init(&it, array)) continue;
        while (dyn_iter_next(&it, &name, &e)) {
            bool take = !has(&s.seen, e);
            for (uint32_t j = sources; take && j < n_args; j++)
                take = has(&s.others[j - 1], e) == (op == 'i');
            if (!take) continue;
            TRY(put(&s.seen, e, d));
            buf_bytes(out, e);
            count++;
        }
    }
    dyn_array_end(out, at, count);
    return buf_check(out, d);
}

/* set_union, set_intersect, set_difference; null when no argument is an array */
EVAL(eval_set)
{
    CLEANUP_ROWS struct rows_out r;
    char op = call->fn->name[4];
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        bool any = false;
        for (uint32_t k = 0; k < call->n_args; k++)
            any |= dyn_kind(vec_str(args[k], i)) == DYN_ARRAY;
        if (any) TRY(put_selected(args, call->n_args, i, op, &r.b, cx->d));
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_has_element)
{
    (void)call;
    struct vecb b;
    CLEANUP_BUF struct buf want = {0};
    vecb_init(&b, cx->a, T_BOOL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e, array = vec_str(args[0], i);
        struct value v = vec_value(args[1], i);
        uint8_t room[9], other[9];
        if (dyn_kind(array) != DYN_ARRAY || !dyn_iter_init(&it, array)) {
            vecb_null(&b);
            continue;
        }
        buf_clear(&want);
        TRY(dyn_from_value(&v, &want, cx->d));
        struct bytes key = key_of(buf_view(&want), room);
        bool found = false;
        while (!found && dyn_iter_next(&it, &name, &e))
            found = bytes_eq(key_of(e, other), key);
        vecb_bool(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

/* How many distinct elements two sets have, and how many of them both. */
static enum err overlap(struct bytes a, struct bytes b, uint32_t *in_both, uint32_t *in_one,
                        struct diag *d)
{
    CLEANUP_LOCAL(sets_release) struct sets s = {.n = 1};
    TRY(put_all(&s.seen, a, d));
    TRY(put_all(&s.others[0], b, d));
    *in_both = 0;
    MAP_EACH (&s.seen, e)
        *in_both += map_get(&s.others[0], e->key) != NULL;
    *in_one = s.seen.n_live + s.others[0].n_live - *in_both;
    return OK;
}

EVAL(eval_compare)
{
    struct vecb b;
    bool jaccard = call->ret == T_REAL;
    vecb_init(&b, cx->a, call->ret, n);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t both, one;
        TRY(overlap(vec_str(args[0], i), vec_str(args[1], i), &both, &one, cx->d));
        if (jaccard) {
            vecb_r64(&b, (double)both / (double)one);
        } else {
            vecb_bool(&b, both == one);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* The place of the first text of a list that the source has as a term; -1: of none. */
EVAL(eval_has_any_index)
{
    (void)call;
    struct vecb b;
    CLEANUP_BUF struct buf text = {0};
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e;
        int64_t found = -1;
        if (!dyn_iter_init(&it, vec_str(args[1], i))) it.left = 0;
        for (int64_t k = 0; found < 0 && dyn_iter_next(&it, &name, &e); k++) {
            struct needle needle;
            buf_clear(&text);
            dyn_to_string(e, &text);
            if (!needle_init(&needle, buf_view(&text), true, cx->a)) return out_full(cx);
            if (needle_bounded(&needle, vec_str(args[0], i), BOUND_TERM)) found = k;
        }
        vecb_i64(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

#define SET(name_, doc_, example_, expect_) \
    FN(name_, 2, FN_ARITY_ANY, T_DYNAMIC, 0, eval_set, doc_, example_, expect_, ARG_ARRAY)

static const struct fn rows[] = {
    FN("has_any_index", 2, 2, T_LONG, 0, eval_has_any_index,
       "The place of the first text of a list that a source has as a term.",
       "has_any_index('red green', dynamic([\"blue\",\"GREEN\"]))", "1", ARG_STRING, ARG_ARRAY),
    FN("jaccard_index", 2, 2, T_REAL, STRICT, eval_compare,
       "The share of elements that two sets have in common.",
       "jaccard_index(dynamic([1,2,3]), dynamic([1,2,3,4]))", "0.75", ARG_ARRAY, ARG_ARRAY),
    SET("set_difference", "Elements of the first array that no other has.",
        "set_difference(dynamic([1,2,3]), dynamic([2]))", "[1,3]"),
    FN("set_equals", 2, 2, T_BOOL, STRICT, eval_compare,
       "Whether two arrays have the same elements.", "set_equals(dynamic([1,2]), dynamic([2,1,1]))",
       "True", ARG_ARRAY, ARG_ARRAY),
    FN("set_has_element", 2, 2, T_BOOL, 0, eval_has_element, "Whether an array has a value.",
       "set_has_element(dynamic([1,2]), 2)", "True", ARG_ARRAY, ARG(TM_ANY)),
    SET("set_intersect", "Elements that all arrays have.",
        "set_intersect(dynamic([1,2,3]), dynamic([3,2,2]))", "[2,3]"),
    SET("set_union", "Elements that any array has.",
        "set_union(dynamic([1,2]), dynamic([2,3.0]), dynamic([3]))", "[1,2,3.0]"),
};
const struct fn_family fn_set = FAMILY(rows);
