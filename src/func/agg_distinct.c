/* SPDX-License-Identifier: Apache-2.0 */
/*
 * func/agg_distinct.c - how many different values: dcount (estimated beyond a number),
 * count_distinct (exact); hll, which is dcount's state as a value
 *
 * dcount and hll count hashes as hll.h says; count_distinct keeps 128 bits of hash per value. Nulls
 * are no values; the empty string is one.
 */
#include "func/agg_kernel.h"
#include "func/hll.h"

#include "base/map.h"
#include "column/simd.h"

#include <math.h>

/* --- hashes ----------------------------------------------------------------------------------- */

#define ACCURACY_MAX 4

#define SEED_A 0x9e3779b97f4a7c15ULL
#define SEED_B 0xc2b2ae3d27d4eb4fULL

static uint64_t hash_at(const struct vec *v, uint32_t i, uint64_t seed)
{
    switch (v->type) {
    case T_BOOL: return simd_mix(vec_bool(v, i), seed);
    case T_REAL: {
        double r = vec_r64(v, i);
        uint64_t bits;
        if (r == 0) r = 0; /* -0.0 */
        if (isnan(r)) r = NAN;
        memcpy(&bits, &r, sizeof bits);
        return simd_mix(bits, seed);
    }
    case T_DECIMAL:
    case T_GUID:
        return hash_bytes(bytes_of(((const struct u128 *)vec_data(v))[vec_at(v, i)].b, 16), seed);
    case T_STRING:
    case T_DYNAMIC: return hash_bytes(vec_str(v, i), seed);
    default: return simd_mix((uint64_t)vec_i64(v, i), seed);
    }
}

/* Texts, and flat whole numbers: in loops without a question of the type. */
static bool hash_plain(const struct vec *v, uint32_t n, uint64_t seed, uint64_t *h)
{
    const struct bytes *text = vec_data(v);
    switch (v->type) {
    case T_STRING:
    case T_DYNAMIC:
        for (uint32_t i = 0; i < n; i++)
            h[i] = hash_bytes(text[vec_at(v, i)], seed);
        return true;
    case T_INT:
    case T_LONG:
    case T_DATETIME:
    case T_TIMESPAN:
        if (v->shape == VEC_FLAT) simd()->mix(v->data, n, seed, h);
        return v->shape == VEC_FLAT;
    default: return false;
    }
}

/* The hash of every row; of a dictionary each entry is hashed once. */
static enum err hash_rows(struct arena *tmp, struct diag *d, const struct vec *v, uint32_t n,
                          uint64_t seed, uint64_t **out)
{
    uint64_t *h = arena_array(tmp, uint64_t, n);
    if (h == NULL) return arena_full(tmp, d);
    if (v->shape == VEC_DICT && v->dict->n < n) {
        uint64_t *entry = arena_array(tmp, uint64_t, v->dict->n);
        if (entry == NULL) return arena_full(tmp, d);
        for (uint32_t i = 0; i < v->dict->n; i++)
            entry[i] = hash_at(v->dict, i, seed);
        for (uint32_t i = 0; i < n; i++)
            h[i] = entry[v->codes[i]];
    } else if (!hash_plain(v, n, seed, h)) {
        for (uint32_t i = 0; i < n; i++)
            h[i] = hash_at(v, i, seed);
    }
    *out = h;
    return OK;
}

/* --- dcount ----------------------------------------------------------------------------------- */

static uint8_t bits_of(const struct agg_call *c)
{
    int64_t accuracy = 1;
    for (uint32_t i = 1; i < c->n_args; i++) {
        const struct value *v = c->consts != NULL ? c->consts[i] : NULL;
        if (v != NULL && !v->is_null && (TM(v->type) & TM_INTS) != 0) accuracy = v->i;
    }
    return hll_bits(accuracy);
}

/* What is not the value or a condition is the accuracy: 0 to 4, and written in the query. */
static enum err check_accuracy(const struct agg_call *c, struct diag *d)
{
    for (uint32_t i = 1; i < c->n_args; i++) {
        const struct value *v = c->consts[i];
        if (c->arg_types[i] == T_BOOL) continue;
        if (v == NULL || v->is_null || v->i < 0 || v->i > ACCURACY_MAX) {
            return FAIL_TAG(d, ERR_INVALID, "SEM0025",
                            "%s(): the accuracy must be a constant from 0 to %d", c->agg->name,
                            ACCURACY_MAX);
        }
    }
    return OK;
}

static bool may_not_be_null(const struct vec *v)
{
    return v->type != T_NONE && v->nulls == NULL &&
           (v->shape != VEC_DICT || v->dict->nulls == NULL);
}

UPDATE(update_dcount)
{
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    uint64_t *h;
    uint8_t bits = bits_of(c);
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_A, &h));
    if (may_not_be_null(args[0]) && one_state(states, n)) {
        struct hll *s = states[0];
        s->bits = bits;
        return hll_add_all(s, h, n, cx->a, cx->d);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct hll *s = states[i];
        s->bits = bits;
        if (!row_is_null(args[0], i)) TRY(hll_add(s, h[i], cx->a, cx->d));
    }
    return OK;
}

UPDATE_IF(update_dcountif, update_dcount)

MERGE(merge_dcount)
{
    (void)c;
    return hll_merge(into_, from_, cx->a, cx->d);
}

FINISH(finish_dcount)
{
    (void)cx, (void)c;
    *out = (struct value){.type = T_LONG, .i = hll_count(state_)};
    return OK;
}

/* --- hll -------------------------------------------------------------------------------------- */

/* The hash of hash(), so that what is stored outlives this process and equals the original's. */
UPDATE(update_hll)
{
    uint8_t bits = bits_of(c);
    for (uint32_t i = 0; i < n; i++) {
        struct hll *s = states[i];
        s->bits = bits;
        if (row_is_null(args[0], i)) continue;
        struct value v = vec_value(args[0], i);
        TRY(hll_add(s, value_xxh64(&v), cx->a, cx->d));
    }
    return OK;
}

UPDATE_IF(update_hll_if, update_hll)

UPDATE(update_hll_merge)
{
    (void)c;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    for (uint32_t i = 0; i < n; i++) {
        struct hll one;
        if (row_is_null(args[0], i)) continue;
        struct arena_mark mark = arena_mark(&tmp);
        if (hll_read(vec_str(args[0], i), &one, &tmp, NULL) == OK)
            TRY(hll_merge(states[i], &one, cx->a, cx->d));
        arena_rewind(&tmp, mark);
    }
    return OK;
}

/* Of no rows: null. */
FINISH(finish_hll)
{
    (void)c;
    CLEANUP_BUF struct buf b = {.max = arena_room(cx->a)};
    const struct hll *s = state_;
    *out = (struct value){.type = T_DYNAMIC, .is_null = true};
    if (s->bits == 0) return OK;
    hll_put(s, &b);
    TRY(buf_check(&b, cx->d));
    *out = (struct value){.type = T_DYNAMIC, .s = arena_bytes(cx->a, buf_view(&b))};
    return out->s.p != NULL ? OK : arena_full(cx->a, cx->d);
}

/* --- count_distinct --------------------------------------------------------------------------- */

struct pair {
    uint64_t a, b;
};

struct exact {
    struct pair *set; /* {0, 0} = free */
    uint64_t n, cap;
};

static bool insert(struct pair *set, uint64_t cap, struct pair p)
{
    for (uint64_t at = p.a;; at++) {
        struct pair *s = &set[at & (cap - 1)];
        if (s->a == p.a && s->b == p.b) return false;
        if (s->a != 0 || s->b != 0) continue;
        *s = p;
        return true;
    }
}

static enum err put_pair(struct agg_cx *cx, struct exact *e, struct pair p)
{
    if (p.a == 0 && p.b == 0) p.b = 1;
    if (e->n * 2 >= e->cap) {
        uint64_t cap = e->cap != 0 ? e->cap * 2 : 8;
        struct pair *set = arena_array(cx->a, struct pair, cap);
        if (set == NULL) return arena_full(cx->a, cx->d);
        for (uint64_t i = 0; i < e->cap; i++) {
            if (e->set[i].a != 0 || e->set[i].b != 0) (void)insert(set, cap, e->set[i]);
        }
        e->set = set;
        e->cap = cap;
    }
    e->n += insert(e->set, e->cap, p);
    return OK;
}

UPDATE(update_exact)
{
    (void)c;
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    uint64_t *a = NULL, *b = NULL;
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_A, &a));
    TRY(hash_rows(&tmp, cx->d, args[0], n, SEED_B, &b));
    for (uint32_t i = 0; i < n; i++) {
        if (!row_is_null(args[0], i))
            TRY(put_pair(cx, states[i],
                         (struct pair){a[i], b[i]})); // NOLINT: OK means that there are hashes
    }
    return OK;
}

UPDATE_IF(update_exactif, update_exact)

MERGE(merge_exact)
{
    (void)c;
    const struct exact *from = from_;
    for (uint64_t i = 0; i < from->cap; i++) {
        if (from->set[i].a != 0 || from->set[i].b != 0) TRY(put_pair(cx, into_, from->set[i]));
    }
    return OK;
}

FINISH(finish_exact)
{
    (void)cx, (void)c;
    *out = (struct value){.type = T_LONG, .i = (int64_t)((const struct exact *)state_)->n};
    return OK;
}

#define DISTINCT(name_, min, max, state, of_set_, update_, merge_, finish_, doc_, call, expect_,   \
                 ...)                                                                              \
    {                                                                                              \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__}, .ret = T_LONG,   \
        .state_size = sizeof(struct state), .of_set = of_set_, .update = update_, .merge = merge_, \
        .finish = finish_, .doc = doc_, .example = "range x from 1 to 9 step 1 | summarize " call, \
        .check = check_accuracy, .expect = expect_                                                 \
    }

static enum type ret_hll(const enum type *args, const struct value *const *consts, uint32_t n)
{
    (void)consts, (void)n;
    bool refused = args[0] == T_REAL || args[0] == T_DECIMAL || args[0] == T_BOOL;
    return refused ? T_NONE : T_DYNAMIC;
}

#define HLL(name_, min, max, update_, doc_, call, expect_, ...)                       \
    {                                                                                 \
        .name = name_, .arity_min = min, .arity_max = max, .args = {__VA_ARGS__},     \
        .ret_of = ret_hll, .state_size = sizeof(struct hll), .update = update_,       \
        .merge = merge_dcount, .finish = finish_hll, .doc = doc_,                     \
        .example = "range x from 1 to 9 step 1 | summarize " call, .expect = expect_, \
        .check = check_accuracy                                                       \
    }

static const struct agg rows[] = {
    DISTINCT("count_distinct", 1, 1, exact, true, update_exact, merge_exact, finish_exact,
             "How many different values there are, exactly.", "count_distinct(x % 4)", "4",
             ARG(NOT_DYNAMIC)),
    DISTINCT("count_distinctif", 2, 2, exact, false, update_exactif, merge_exact, finish_exact,
             "How many different values there are in rows for which a condition holds, exactly.",
             "count_distinctif(x, x > 5)", "4", ARG(NOT_DYNAMIC), ARG_BOOL),
    DISTINCT("dcount", 1, 2, hll, true, update_dcount, merge_dcount, finish_dcount,
             "How many different values there are, estimated beyond some thousands.",
             "dcount(x % 4)", "4", ARG(ANY_SCALAR), ARG_LONG),
    DISTINCT("dcountif", 2, 3, hll, false, update_dcountif, merge_dcount, finish_dcount,
             "dcount() of the rows for which a condition holds.", "dcountif(x, x > 5)", "4",
             ARG(ANY_SCALAR), ARG_BOOL, ARG_LONG),
    HLL("hll", 1, 2, update_hll,
        "The state of dcount() as a value, to be merged and counted later.",
        "dcount_hll(hll(x % 4))", "4", ARG(ANY_SCALAR), ARG_LONG),
    HLL("hll_if", 2, 3, update_hll_if, "hll() of the rows for which a condition holds.",
        "dcount_hll(hll_if(x, x > 5))", "4", ARG(ANY_SCALAR), ARG_BOOL, ARG_LONG),
    HLL("hll_merge", 1, 1, update_hll_merge, "Several hll() values as one.",
        "h = hll(x % 4) by x | summarize dcount_hll(hll_merge(h))", "4", ARG_DYNAMIC),
};
const struct agg_family agg_distinct = {rows, sizeof rows / sizeof *rows};
