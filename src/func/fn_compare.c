/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/fn_compare.c - == != < <= > >= between
 *
 * null == 5 is false, null != 5 is true, null with null is null; the other four give null with a
 * null. Numbers and bool compare with each other; a dynamic is converted to the type of the other
 * side.
 */
#include "func/families.h"

#include "column/decimal.h"
#include "column/simd.h"

#include <math.h>

enum op { EQ, NE, LT, LE, GT, GE };

static enum op op_of(const char *name)
{
    if (name[3] == '=') return EQ;
    if (name[3] == '!') return NE;
    if (name[3] == '<') return name[4] == '=' ? LE : LT;
    return name[4] == '=' ? GE : GT;
}

#define NUMERIC_OR_BOOL (TM_NUMERIC | TM(T_BOOL))

/* The type in which two sides are compared; T_NONE: they are not. */
static enum type compare_as(enum type a, enum type b, bool ordered)
{
    if (a == T_DYNAMIC) a = b;
    if (b == T_DYNAMIC) b = a;
    if (a == T_NONE) a = b;
    if (b == T_NONE) b = a;
    if (a == T_DYNAMIC || a == T_NONE) return T_NONE;
    if ((TM(a) & NUMERIC_OR_BOOL) != 0 && (TM(b) & NUMERIC_OR_BOOL) != 0) return a > b ? a : b;
    if (a != b || (ordered && (a == T_STRING || a == T_GUID))) return T_NONE;
    return a;
}

static enum type ret_equal(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return compare_as(args[0], args[1], false) != T_NONE ? T_BOOL : T_NONE;
}

/* d.x < ago(1d): a dynamic is ordered beside numbers alone. */
static enum type order_as(enum type a, enum type b)
{
    if (a == T_DYNAMIC && (TM(b) & (TM_NUMERIC | TM(T_NONE))) == 0) return T_NONE;
    if (b == T_DYNAMIC && (TM(a) & (TM_NUMERIC | TM(T_NONE))) == 0) return T_NONE;
    return compare_as(a, b, true);
}

static enum type ret_order(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    return order_as(args[0], args[1]) != T_NONE ? T_BOOL : T_NONE;
}

/* --- kernels ---------------------------------------------------------------------------------- */

#define SIX(type, cmp)                                \
    switch (op) {                                     \
    case EQ: LOOP(type, r[i] = cmp(x, ==, y)); break; \
    case NE: LOOP(type, r[i] = cmp(x, !=, y)); break; \
    case LT: LOOP(type, r[i] = cmp(x, <, y)); break;  \
    case LE: LOOP(type, r[i] = cmp(x, <=, y)); break; \
    case GT: LOOP(type, r[i] = cmp(x, >, y)); break;  \
    case GE: LOOP(type, r[i] = cmp(x, >=, y)); break; \
    }
#define PLAIN(x, op, y)   ((x)op(y))
#define DECIMAL(x, op, y) (decimal_cmp((x), (y)) op 0)
#define GUID(x, op, y)    (memcmp((x).b, (y).b, 16) op 0)

/* The longs x for which `x op y` holds, or does not where *negated; low > high: none. */
static void range_i64(enum op op, int64_t y, int64_t *low, int64_t *high, bool *negated)
{
    bool none = (op == LT && y == INT64_MIN) || (op == GT && y == INT64_MAX);
    *negated = op == NE;
    *low = op == EQ || op == NE || op == GE ? y : op == GT && !none ? y + 1 : INT64_MIN;
    *high = op == EQ || op == NE || op == LE ? y : op == LT && !none ? y - 1 : INT64_MAX;
    if (none) *low = INT64_MAX, *high = INT64_MIN;
}

static void range_r64(enum op op, double y, double *low, double *high, bool *negated)
{
    *negated = op == NE;
    *low = op == EQ || op == NE || op == GE ? y : op == GT ? nextafter(y, INFINITY) : -INFINITY;
    *high = op == EQ || op == NE || op == LE ? y : op == LT ? nextafter(y, -INFINITY) : INFINITY;
    if (isnan(y)) *low = *high = y;
    if (isinf(y) && (op == (y > 0 ? GT : LT))) *low = INFINITY, *high = -INFINITY;
}

static enum err cmp_i64(struct fn_cx *cx, enum op op, const struct vec *va, const struct vec *vb,
                        uint32_t n, uint8_t *r)
{
    struct i64s a, b;
    TRY(load_i64(cx, va, &a));
    TRY(load_i64(cx, vb, &b));
    if (a.step != 0 && b.step == 0) {
        int64_t low, high;
        bool negated;
        range_i64(op, b.p[0], &low, &high, &negated);
        simd()->within_i64(a.p, n, low, high, negated, r);
        return OK;
    }
    SIX(int64_t, PLAIN);
    return OK;
}

static enum err cmp_r64(struct fn_cx *cx, enum op op, const struct vec *va, const struct vec *vb,
                        uint32_t n, uint8_t *r)
{
    struct r64s a, b;
    TRY(load_r64(cx, va, &a));
    TRY(load_r64(cx, vb, &b));
    if (a.step != 0 && b.step == 0) {
        double low, high;
        bool negated;
        range_r64(op, b.p[0], &low, &high, &negated);
        simd()->within_r64(a.p, n, low, high, negated, r);
        return OK;
    }
    SIX(double, PLAIN);
    return OK;
}

static enum err cmp_u128(struct fn_cx *cx, enum op op, const struct vec *va, const struct vec *vb,
                         uint32_t n, uint8_t *r)
{
    struct u128s a, b;
    if (va->type == T_GUID && vb->type == T_GUID) {
        struct vec pa, pb;
        TRY(vec_plain(cx, va, &pa));
        TRY(vec_plain(cx, vb, &pb));
        a = (struct u128s){pa.data, pa.shape != VEC_CONST};
        b = (struct u128s){pb.data, pb.shape != VEC_CONST};
        SIX(struct u128, GUID);
        return OK;
    }
    uint64_t *lost = arena_array(cx->a, uint64_t,
                                 BIT_WORDS(n) + 1); /* NaN and infinity, which no decimal equals */
    if (lost == NULL) return out_full(cx);
    TRY(load_decimal(cx, va, lost, &a));
    TRY(load_decimal(cx, vb, lost, &b));
    SIX(struct u128, DECIMAL);
    for (uint32_t i = 0; i < n; i++) {
        if (bit_get(lost, i)) r[i] = op == NE;
    }
    return OK;
}

/* Texts and the one they are compared with: most differ in the first eight bytes, and are told apart
 * without a call. */
static void equal_to_one(const struct bytes *x, struct bytes y, uint32_t n, bool equal, uint8_t *r)
{
    uint64_t begin, first;
    memcpy(&begin, y.p, 8);
    for (uint32_t i = 0; i < n; i++) {
        r[i] = !equal;
        if (x[i].len != y.len) continue;
        memcpy(&first, x[i].p, 8);
        if (first == begin && memcmp(x[i].p, y.p, y.len) == 0) r[i] = equal;
    }
}

/* The same of texts of one length that lie one behind the other: only the texts are looked at. */
static void equal_to_one_packed(const uint8_t *x, struct bytes y, uint32_t n, bool equal,
                                uint8_t *r)
{
    uint64_t begin, first;
    memcpy(&begin, y.p, 8);
    for (uint32_t i = 0; i < n; i++, x += y.len) {
        memcpy(&first, x, 8);
        r[i] = (first == begin && memcmp(x, y.p, y.len) == 0) == equal;
    }
}

static enum err cmp_text(struct fn_cx *cx, enum op op, const struct vec *va, const struct vec *vb,
                         uint32_t n, uint8_t *r)
{
    (void)cx;
    const struct bytes *x = vec_data(va), *y = vec_data(vb);
    bool equal = op == EQ;
    bool flat = vb->shape == VEC_CONST && va->shape == VEC_FLAT && n != 0 && y->len >= 8;
    if (flat && va->packed == y->len) {
        equal_to_one_packed(x[0].p, *y, n, equal, r);
    } else if (flat && va->packed != 0 && va->packed != VEC_PACKED) {
        memset(r, !equal, n);
    } else if (flat) {
        equal_to_one(x, *y, n, equal, r);
    } else {
        for (uint32_t i = 0; i < n; i++)
            r[i] = bytes_eq(x[vec_at(va, i)], y[vec_at(vb, i)]) == equal;
    }
    return OK;
}

static bool has_nulls(const struct vec *v)
{
    return v->type == T_NONE || v->nulls != NULL ||
           (v->shape == VEC_DICT && v->dict->nulls != NULL);
}

static bool row_null(const struct vec *v, uint32_t i)
{
    return v->type == T_NONE || vec_null(v, i);
}

static enum err apply_nulls(struct fn_cx *cx, enum op op, const struct vec *a, const struct vec *b,
                            uint32_t n, struct vec *out, uint8_t *r)
{
    if (!has_nulls(a) && !has_nulls(b)) return OK;
    uint64_t *nulls = out_nulls(cx, out);
    if (nulls == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        bool x = row_null(a, i), y = row_null(b, i);
        if (!x && !y) continue;
        if ((x && y) || (op != EQ && op != NE)) {
            bit_set(nulls, i);
        } else {
            r[i] = op == NE;
        }
    }
    return OK;
}

static enum err compare(struct fn_cx *cx, enum op op, const struct vec *a, const struct vec *b,
                        uint32_t n, struct vec *out)
{
    enum type as = compare_as(a->type, b->type, op != EQ && op != NE);
    struct vec x, y;
    void *r;
    TRY(out_flat(cx, T_BOOL, n, out, &r));
    if (a->type == T_NONE || b->type == T_NONE) return apply_nulls(cx, op, a, b, n, out, r);
    TRY(vec_undynamic(cx, a, as, n, &x));
    TRY(vec_undynamic(cx, b, as, n, &y));
    switch (as) {
    case T_REAL: TRY(cmp_r64(cx, op, &x, &y, n, r)); break;
    case T_GUID:
    case T_DECIMAL: TRY(cmp_u128(cx, op, &x, &y, n, r)); break;
    case T_STRING: TRY(cmp_text(cx, op, &x, &y, n, r)); break;
    default: TRY(cmp_i64(cx, op, &x, &y, n, r)); break;
    }
    /* A string is never null, but the dynamic it came from may have been. */
    return apply_nulls(cx, op, as == T_STRING ? a : &x, as == T_STRING ? b : &y, n, out, r);
}

static enum err eval_compare(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t n, struct vec *out)
{
    return compare(cx, op_of(call->fn->name), args[0], args[1], n, out);
}

/* --- between ---------------------------------------------------------------------------------- */

static enum type ret_between(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    bool span = args[0] == T_DATETIME && args[1] == T_DATETIME && args[2] == T_TIMESPAN;
    for (int k = 0; k < 3; k++) /* numbers, moments and spans have ranges, not yes and no */
        if (args[k] == T_BOOL) return T_NONE;
    if (order_as(args[0], args[1]) == T_NONE) return T_NONE;
    return span || order_as(args[0], args[2]) != T_NONE ? T_BOOL : T_NONE;
}

/* low + span, for: moment between (low .. span) */
static enum err end_of_span(struct fn_cx *cx, const struct vec *low, const struct vec *span,
                            uint32_t n, struct vec *out)
{
    struct vecb b;
    vecb_init(&b, cx->a, T_DATETIME, n);
    for (uint32_t i = 0; i < n; i++) {
        int64_t t;
        if (vec_null(low, i) || vec_null(span, i) ||
            __builtin_add_overflow(vec_i64(low, i), vec_i64(span, i), &t)) {
            vecb_null(&b);
        } else {
            vecb_i64(&b, t);
        }
    }
    return vecb_finish(&b, out, cx->d);
}

/* Flat numbers between two constants of their own type, none of them null: in one pass. */
static bool between_constants(const struct vec *x, const struct vec *low, const struct vec *high,
                              uint32_t n, bool negated, uint8_t *r)
{
    if (x->shape != VEC_FLAT || x->nulls != NULL || low->type != x->type || high->type != x->type)
        return false;
    if (low->shape != VEC_CONST || vec_null(low, 0) || high->shape != VEC_CONST ||
        vec_null(high, 0))
        return false;
    switch (x->type) {
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN:
        simd()->within_i64(x->data, n, vec_i64(low, 0), vec_i64(high, 0), negated, r);
        return true;
    case T_REAL:
        simd()->within_r64(x->data, n, vec_r64(low, 0), vec_r64(high, 0), negated, r);
        return true;
    default: return false;
    }
}

static enum err eval_between(struct fn_cx *cx, const struct fn_call *call,
                             const struct vec *const *args, uint32_t n, struct vec *out)
{
    bool negated = call->fn->name[3] == '!';
    struct vec above, below, high = *args[2];
    if (args[0]->type == T_DATETIME && high.type == T_TIMESPAN)
        TRY(end_of_span(cx, args[1], args[2], n, &high));
    void *data;
    TRY(out_flat(cx, T_BOOL, n, out, &data));
    uint8_t *r = data;
    if (between_constants(args[0], args[1], &high, n, negated, r)) return OK;
    TRY(compare(cx, GE, args[0], args[1], n, &above));
    TRY(compare(cx, LE, args[0], &high, n, &below));
    const uint8_t *x = above.data, *y = below.data;
    for (uint32_t i = 0; i < n; i++)
        r[i] = (x[i] & y[i]) != negated;
    if (above.nulls == NULL && below.nulls == NULL) return OK;
    uint64_t *nulls = out_nulls(cx, out);
    if (nulls == NULL) return out_full(cx);
    for (uint32_t i = 0; i < n; i++) {
        bool no = (!vec_null(&above, i) && !x[i]) || (!vec_null(&below, i) && !y[i]);
        if (no) {
            r[i] = negated;
        } else if (vec_null(&above, i) || vec_null(&below, i)) {
            bit_set(nulls, i);
        }
    }
    return OK;
}

#define COMPARE(name_, ret_, doc_, example_, expect_)                                             \
    {                                                                                             \
        .name = name_, .arity_min = 2, .arity_max = 2, .args = {ARG(TM_ANY), ARG(TM_ANY)},        \
        .ret_of = ret_, .eval = eval_compare, .doc = doc_, .example = example_, .expect = expect_ \
    }
#define BETWEEN(name_, doc_, example_, expect_)                                   \
    {                                                                             \
        .name = name_, .arity_min = 3, .arity_max = 3,                            \
        .args = {ARG(TM_ANY), ARG(TM_ANY), ARG(TM_ANY)}, .ret_of = ret_between,   \
        .eval = eval_between, .doc = doc_, .example = example_, .expect = expect_ \
    }

static const struct fn rows[] = {
    COMPARE("op !=", ret_equal, "Not equal; with case.", "'a' != 'A'", "True"),
    COMPARE("op <", ret_order, "Less than.", "1 < 2.5", "True"),
    COMPARE("op <=", ret_order, "Less than or equal.", "2 <= 2", "True"),
    COMPARE("op ==", ret_equal, "Equal; with case.", "'a' == 'A'", "False"),
    COMPARE("op >", ret_order, "Greater than.", "1d > 23h", "True"),
    COMPARE("op >=", ret_order, "Greater than or equal.", "1 >= 2", "False"),
    BETWEEN("op !between", "Outside of a range that includes its ends.", "5 !between (1 .. 5)",
            "False"),
    BETWEEN("op between", "Within a range that includes its ends.", "5 between (1 .. 5)", "True"),
};
const struct fn_family fn_compare = FAMILY(rows);
