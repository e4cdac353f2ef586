/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn_array.c - dynamic arrays: measuring, cutting, sorting. What is no array gives
 * null. */
#include "column/dyn.h"
#include "func/families.h"

#include <stdlib.h>

/* The elements of an array, to be freed; NULL with *n 0 when it is none. */
static enum err elements(struct bytes array, struct bytes **out, uint32_t *n, bool *is_array,
                         struct diag *d)
{
    struct dyn_iter it;
    struct bytes name;
    *is_array = dyn_kind(array) == DYN_ARRAY && dyn_iter_init(&it, array);
    *n = *is_array ? it.left : 0;
    *out = calloc(*n + 1, sizeof **out);
    if (*out == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (uint32_t i = 0; i < *n && dyn_iter_next(&it, &name, &(*out)[i]); i++) {
    }
    return OK;
}

static void put_range(const struct bytes *e, int64_t from, int64_t to, struct buf *out)
{
    size_t at = dyn_array_begin(out);
    for (int64_t i = from; i < to; i++)
        buf_bytes(out, e[i]);
    dyn_array_end(out, at, to > from ? (uint32_t)(to - from) : 0);
}

/* --- measuring -------------------------------------------------------------------------------- */

EVAL(eval_length)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct bytes a = vec_str(args[0], i);
        if (dyn_kind(a) == DYN_ARRAY) {
            vecb_i64(&b, dyn_count(a));
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* Of no numbers: null. */
EVAL(eval_sum)
{
    (void)call;
    struct vecb b;
    vecb_init(&b, cx->a, T_REAL, n);
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e, a = vec_str(args[0], i);
        double sum = 0;
        bool any = false;
        if (dyn_kind(a) == DYN_ARRAY && dyn_iter_init(&it, a)) {
            while (dyn_iter_next(&it, &name, &e)) {
                struct value v = {.type = T_DYNAMIC, .s = e}, r;
                enum dyn_kind k = dyn_kind(e);
                if ((k != DYN_LONG && k != DYN_REAL && k != DYN_BOOL) ||
                    !value_cast(&v, T_REAL, NULL, &r))
                    continue;
                sum += r.r;
                any = true;
            }
        }
        if (any) {
            vecb_r64(&b, sum);
        } else {
            vecb_null(&b);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* Numbers are equal by value: 15 and 15.0. */
static bool same(struct bytes a, struct bytes b)
{
    if (bytes_eq(a, b)) return true;
    struct value x = {.type = T_DYNAMIC, .s = a}, y = {.type = T_DYNAMIC, .s = b};
    enum dyn_kind ka = dyn_kind(a), kb = dyn_kind(b);
    bool numbers = (ka == DYN_LONG || ka == DYN_REAL) && (kb == DYN_LONG || kb == DYN_REAL);
    return numbers && value_cmp(&x, &y) == 0;
}

/* array_index_of(array, value [, start [, length [, occurrence]]]) */
EVAL(eval_index_of)
{
    struct vecb b;
    CLEANUP_BUF struct buf want = {0};
    vecb_init(&b, cx->a, T_LONG, n);
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e, a = vec_str(args[0], i);
        struct value v = vec_value(args[1], i);
        int64_t opt[3] = {0, -1, 1}, found = -1;
        bool bad = dyn_kind(a) != DYN_ARRAY || !dyn_iter_init(&it, a);
        for (uint32_t k = 2; k < call->n_args; k++) {
            bad |= vec_null(args[k], i);
            opt[k - 2] = vec_i64(args[k], i);
        }
        if (bad || opt[1] < -1 || opt[2] < 1) {
            vecb_null(&b);
            continue;
        }
        if (opt[0] < 0) opt[0] += it.left;
        buf_clear(&want);
        value_to_dyn(&v, &want);
        for (int64_t at = 0; found < 0 && dyn_iter_next(&it, &name, &e); at++) {
            bool inside = at >= opt[0] && (opt[1] < 0 || at < opt[0] + opt[1]);
            if (inside && same(e, buf_view(&want)) && --opt[2] == 0) found = at;
        }
        vecb_i64(&b, found);
    }
    return vecb_finish(&b, out, cx->d);
}

/* --- cutting and turning ---------------------------------------------------------------------- */

/* Where element k of the result comes from; -1: it is the default. */
typedef int64_t mover(int64_t k, int64_t n, int64_t by);

static int64_t move_reverse(int64_t k, int64_t n, int64_t by)
{
    (void)by;
    return n - 1 - k;
}
static int64_t move_rotate(int64_t k, int64_t n, int64_t by)
{
    return ((k + by) % n + n) % n;
}
static int64_t move_shift(int64_t k, int64_t n, int64_t by)
{
    return k + by >= 0 && k + by < n ? k + by : -1;
}

/* array_reverse(a), array_rotate_left(a, n), array_shift_right(a, n, default) ... */
EVAL(eval_move)
{
    CLEANUP_ROWS struct rows_out r;
    const char *name = call->fn->name + strlen("array_");
    mover *move = strncmp(name, "rev", 3) == 0   ? move_reverse
                  : strncmp(name, "rot", 3) == 0 ? move_rotate
                                                 : move_shift;
    bool right = strstr(name, "right") != NULL;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_FREE struct bytes *e = NULL;
        uint32_t count;
        bool is_array;
        TRY(elements(vec_str(args[0], i), &e, &count, &is_array, cx->d));
        int64_t by = call->n_args > 1 ? vec_i64(args[1], i) : 0;
        if (by > INT32_MAX || by < -INT32_MAX) by = INT32_MAX;
        if (is_array) {
            size_t at = dyn_array_begin(&r.b);
            for (int64_t k = 0; k < count; k++) {
                int64_t from = move(k, count, right ? -by : by);
                struct value other = {.type = T_DYNAMIC, .is_null = true};
                if (from < 0 && call->n_args > 2) other = vec_value(args[2], i);
                if (from >= 0) {
                    buf_bytes(&r.b, e[from]);
                } else {
                    value_to_dyn(&other, &r.b);
                }
            }
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* From start to end, both taken; negative ones count from behind. */
EVAL(eval_slice)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_FREE struct bytes *e = NULL;
        uint32_t count;
        bool is_array;
        TRY(elements(vec_str(args[0], i), &e, &count, &is_array, cx->d));
        int64_t from = vec_i64(args[1], i), to = vec_i64(args[2], i);
        if (from < 0) from += count;
        if (to < 0) to += count;
        if (from < 0) from = 0;
        if (to >= count) to = (int64_t)count - 1;
        if (is_array && !vec_null(args[1], i) && !vec_null(args[2], i))
            put_range(e, from, to + 1, &r.b);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_split_array)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_FREE struct bytes *e = NULL, *cuts = NULL;
        uint32_t count, n_cuts = 0;
        bool is_array, listed = false;
        struct value where = vec_value(args[1], i);
        TRY(elements(vec_str(args[0], i), &e, &count, &is_array, cx->d));
        if (where.type == T_DYNAMIC) TRY(elements(where.s, &cuts, &n_cuts, &listed, cx->d));
        if (is_array && !where.is_null) {
            size_t at = dyn_array_begin(&r.b);
            int64_t from = 0;
            uint32_t total = listed ? n_cuts : 1;
            for (uint32_t k = 0; k < total; k++) {
                struct value cut = where, c;
                if (listed) cut = (struct value){.type = T_DYNAMIC, .s = cuts[k]};
                int64_t to = value_cast(&cut, T_LONG, NULL, &c) && !c.is_null ? c.i : from;
                if (to < 0) to += count;
                if (to < from) to = from;
                if (to > count) to = count;
                put_range(e, from, to, &r.b);
                from = to;
            }
            put_range(e, from, count, &r.b);
            dyn_array_end(&r.b, at, total + 1);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

EVAL(eval_concat)
{
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        size_t start = r.b.len, at = dyn_array_begin(&r.b);
        uint32_t count = 0, arrays = 0;
        for (uint32_t k = 0; k < call->n_args; k++) {
            struct dyn_iter it;
            struct bytes name, e, a = vec_str(args[k], i);
            if (dyn_kind(a) != DYN_ARRAY || !dyn_iter_init(&it, a)) continue;
            arrays++;
            for (; dyn_iter_next(&it, &name, &e); count++)
                buf_bytes(&r.b, e);
        }
        dyn_array_end(&r.b, at, count);
        if (arrays == 0) buf_shrink(&r.b, start);
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* array_iff(conditions, then, else): then and else are arrays or one value for all. */
EVAL(eval_iff)
{
    (void)call;
    CLEANUP_ROWS struct rows_out r;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        struct dyn_iter it;
        struct bytes name, e, conditions = vec_str(args[0], i);
        if (dyn_kind(conditions) == DYN_ARRAY && dyn_iter_init(&it, conditions)) {
            size_t at = dyn_array_begin(&r.b);
            uint32_t count = it.left;
            for (int64_t k = 0; dyn_iter_next(&it, &name, &e); k++) {
                struct value c = {.type = T_DYNAMIC, .s = e}, yes;
                struct value v = {.type = T_DYNAMIC, .is_null = true};
                if (value_cast(&c, T_BOOL, NULL, &yes) && !yes.is_null) {
                    v = vec_value(args[yes.b ? 1 : 2], i);
                    if (v.type == T_DYNAMIC && dyn_kind(v.s) == DYN_ARRAY) v.s = dyn_index(v.s, k);
                }
                value_to_dyn(&v, &r.b);
            }
            dyn_array_end(&r.b, at, count);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

/* --- sorting ---------------------------------------------------------------------------------- */

static int sort_asc(const void *a, const void *b)
{
    struct value x = {.type = T_DYNAMIC, .s = *(const struct bytes *)a},
                 y = {.type = T_DYNAMIC, .s = *(const struct bytes *)b};
    int c = value_cmp(&x, &y);
    if (c != 0) return c;
    /* Equal ones stay in the order of the text they lie in. */
    return x.s.p < y.s.p ? -1 : x.s.p > y.s.p;
}

static int sort_desc(const void *a, const void *b)
{
    struct value x = {.type = T_DYNAMIC, .s = *(const struct bytes *)a},
                 y = {.type = T_DYNAMIC, .s = *(const struct bytes *)b};
    int c = value_cmp(&y, &x);
    return c != 0 ? c : x.s.p < y.s.p ? -1 : x.s.p > y.s.p;
}

struct place {
    struct bytes element; /* first: the order looks at it alone */
    uint32_t from;
};

/* The places of the first array in their new order. */
static enum err sorted_places(struct bytes array, bool desc, bool nulls_last, struct place **out,
                              uint32_t *n, bool *is_array, struct diag *d)
{
    CLEANUP_FREE struct bytes *e = NULL;
    uint32_t known = 0, nulls = 0;
    TRY(elements(array, &e, n, is_array, d));
    struct place *p = calloc(*n + 1, sizeof *p);
    if (p == NULL) return FAIL(d, ERR_LIMIT, "out of memory"); // NOLINT: the cleanup frees
    for (uint32_t k = 0; k < *n; k++)
        nulls += dyn_kind(e[k]) == DYN_NULL;
    uint32_t first = nulls_last ? 0 : nulls, null_at = nulls_last ? *n - nulls : 0;
    for (uint32_t k = 0; k < *n; k++) {
        bool null = dyn_kind(e[k]) == DYN_NULL;
        p[null ? null_at++ : first + known++] = (struct place){e[k], k};
    }
    qsort(p + first, known, sizeof *p, desc ? sort_desc : sort_asc);
    *out = p;
    return OK;
}

/* Another array in the order of the first; null when it is not of the same length. */
static enum err put_in_order(struct bytes array, const struct place *places, uint32_t n,
                             struct buf *out, struct diag *d)
{
    CLEANUP_FREE struct bytes *e = NULL;
    uint32_t count;
    bool is_array;
    TRY(elements(array, &e, &count, &is_array, d));
    if (!is_array || count != n) {
        buf_u8(out, 'n'); // NOLINT: the cleanup frees
        return OK;
    }
    size_t at = dyn_array_begin(out);
    for (uint32_t k = 0; k < n; k++)
        buf_bytes(out, e[places[k].from]);
    dyn_array_end(out, at, n);
    return OK;
}

/* array_sort_asc(a [, b, ...] [, nulls_last]): several arrays, an array of them, in the order of
 * the first */
EVAL(eval_sort)
{
    CLEANUP_ROWS struct rows_out r;
    bool desc = strstr(call->fn->name, "desc") != NULL,
         option = args[call->n_args - 1]->type == T_BOOL;
    const struct vec *last = args[call->n_args - 1];
    uint32_t arrays = call->n_args - option;
    TRY(rows_begin(cx, &r, T_DYNAMIC, n, out));
    for (uint32_t i = 0; i < n; i++) {
        CLEANUP_FREE struct place *places = NULL;
        uint32_t count;
        bool is_array, nulls_last = !option || vec_null(last, i) || vec_bool(last, i);
        TRY(sorted_places(vec_str(args[0], i), desc, nulls_last, &places, &count, &is_array,
                          cx->d));
        if (is_array) {
            size_t at = arrays > 1 ? dyn_array_begin(&r.b) : 0;
            for (uint32_t k = 0; k < arrays; k++)
                TRY(put_in_order(vec_str(args[k], i), places, count, &r.b, cx->d));
            if (arrays > 1) dyn_array_end(&r.b, at, arrays);
        }
        row_end(&r);
    }
    return rows_end(cx, &r, out);
}

static enum type ret_sort(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts;
    for (uint32_t k = 0; k < n; k++) {
        if (args[k] != T_DYNAMIC && (k == 0 || k + 1 != n || args[k] != T_BOOL)) return T_NONE;
    }
    return T_DYNAMIC;
}

#define ARRAY(name_, min, max, eval_, doc_, example_, expect_, ...) \
    FN(name_, min, max, T_DYNAMIC, 0, eval_, doc_, example_, expect_, __VA_ARGS__)
#define SORT(name_, doc_, example_, expect_)                                              \
    {                                                                                     \
        .name = name_, .arity_min = 1, .arity_max = FN_ARITY_ANY,                         \
        .args = {ARG(TM(T_DYNAMIC) | TM(T_BOOL))}, .ret_of = ret_sort, .eval = eval_sort, \
        .doc = doc_, .example = example_, .expect = expect_                               \
    }
#define A12345 "dynamic([1,2,3,4,5])"

static const struct fn rows[] = {
    ARRAY("array_concat", 1, FN_ARITY_ANY, eval_concat, "One array of the elements of all.",
          "array_concat(dynamic([1]), dynamic([2,3]))", "[1,2,3]", ARG_ARRAY),
    ARRAY("array_iff", 3, 3, eval_iff, "Elements of one of two arrays by an array of conditions.",
          "array_iff(dynamic([true,false]), dynamic([1,2]), 9)", "[1,9]", ARG_ARRAY, ARG(TM_ANY),
          ARG(TM_ANY)),
    ARRAY("array_iif", 3, 3, eval_iff, "The same as array_iff().",
          "array_iif(dynamic([true,false]), dynamic([1,2]), 9)", "[1,9]", ARG_ARRAY, ARG(TM_ANY),
          ARG(TM_ANY)),
    FN("array_index_of", 2, 5, T_LONG, 0, eval_index_of,
       "Where an array has a value, from 0; -1 when it has not.",
       "array_index_of(dynamic([5,15]), 15.0)", "1", ARG_ARRAY, ARG(TM_ANY), ARG_LONG, ARG_LONG,
       ARG_LONG),
    FN("array_length", 1, 1, T_LONG, 0, eval_length, "How many elements an array has.",
       "array_length(dynamic([1,null]))", "2", ARG_ARRAY),
    FN("arraylength", 1, 1, T_LONG, 0, eval_length, "The same as array_length().",
       "arraylength(" A12345 ")", "5", ARG_ARRAY),
    ARRAY("array_reverse", 1, 1, eval_move, "The elements in opposite order.",
          "array_reverse(" A12345 ")", "[5,4,3,2,1]", ARG_ARRAY),
    ARRAY("array_rotate_left", 2, 2, eval_move,
          "Elements moved to the front, those that leave it come in behind.",
          "array_rotate_left(" A12345 ", 2)", "[3,4,5,1,2]", ARG_ARRAY, ARG_LONG),
    ARRAY("array_rotate_right", 2, 2, eval_move,
          "Elements moved to the back, those that leave it come in before.",
          "array_rotate_right(" A12345 ", 2)", "[4,5,1,2,3]", ARG_ARRAY, ARG_LONG),
    ARRAY("array_shift_left", 2, 3, eval_move,
          "Elements moved to the front; what becomes free is null or a default.",
          "array_shift_left(" A12345 ", 2, -1)", "[3,4,5,-1,-1]", ARG_ARRAY, ARG_LONG, ARG(TM_ANY)),
    ARRAY("array_shift_right", 2, 3, eval_move,
          "Elements moved to the back; what becomes free is null or a default.",
          "array_shift_right(" A12345 ", 2)", "[null,null,1,2,3]", ARG_ARRAY, ARG_LONG,
          ARG(TM_ANY)),
    ARRAY("array_slice", 3, 3, eval_slice, "The elements from one place to another, both taken.",
          "array_slice(" A12345 ", -3, -2)", "[3,4]", ARG_ARRAY, ARG_LONG, ARG_LONG),
    SORT("array_sort_asc",
         "Sorted upwards, nulls last unless told; further arrays in the order of the first.",
         "array_sort_asc(dynamic([3,null,1]))", "[1,3,null]"),
    SORT("array_sort_desc",
         "Sorted downwards, nulls last unless told; further arrays in the order of the first.",
         "array_sort_desc(dynamic([1,null,3]), false)", "[null,3,1]"),
    ARRAY("array_split", 2, 2, eval_split_array, "Cut into arrays at one place or at several.",
          "array_split(" A12345 ", dynamic([1,3]))", "[[1],[2,3],[4,5]]", ARG_ARRAY,
          ARG(TM_INTS | TM(T_DYNAMIC))),
    FN("array_sum", 1, 1, T_REAL, 0, eval_sum, "The sum of an array's numbers.",
       "array_sum(dynamic([1,null,3]))", "4.0", ARG_ARRAY),
};
const struct fn_family fn_array = FAMILY(rows);
