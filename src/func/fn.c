/* SPDX-License-Identifier: Apache-2.0 */
/* func/fn.c - the registry of functions, and the evaluation of one bound call */
#include "base/nearest.h"
#include "func/families.h"
#include "func/kernel.h"

#include <pthread.h>
#include <stdlib.h>

/* --- registry --------------------------------------------------------------------------------- */

#define ROWS_MAX 1024
static const struct fn *sorted[ROWS_MAX];
static uint32_t n_sorted;
static pthread_once_t sorted_once = PTHREAD_ONCE_INIT;

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const struct fn *const *)a)->name, (*(const struct fn *const *)b)->name);
}

static void sort_rows(void)
{
    for (const struct fn_family *const *f = fn_families; *f != NULL; f++) {
        for (uint32_t i = 0; i < (*f)->n && n_sorted < ROWS_MAX; i++)
            sorted[n_sorted++] = &(*f)->rows[i];
    }
    qsort(sorted, n_sorted, sizeof(void *), by_name);
}

const struct fn *fn_find(const char *name)
{
    pthread_once(&sorted_once, sort_rows);
    uint32_t low = 0, high = n_sorted;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        int c = strcmp(name, sorted[mid]->name);
        if (c == 0) return sorted[mid];
        if (c < 0) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return NULL;
}

uint32_t fn_count(void)
{
    pthread_once(&sorted_once, sort_rows);
    return n_sorted;
}

const struct fn *fn_at(uint32_t i)
{
    return i < fn_count() ? sorted[i] : NULL;
}

const char *fn_suggest(const char *name)
{
    struct nearest best = nearest_to(name);
    for (uint32_t i = 0; i < fn_count(); i++) {
        if (!str_is_operator(sorted[i]->name)) nearest_try(&best, sorted[i]->name);
    }
    return best.name;
}

enum type type_common(enum type a, enum type b)
{
    if (a == b) return a;
    if (a == T_NONE) return b;
    if (b == T_NONE) return a;
    if ((TM(a) & TM_NUMERIC) != 0 && (TM(b) & TM_NUMERIC) != 0) return a > b ? a : b;
    if (a == T_DYNAMIC) return b;
    if (b == T_DYNAMIC) return a;
    return T_NONE;
}

/* --- evaluation ------------------------------------------------------------------------------- */

static const struct vec *with_rows(struct arena *a, const struct vec *v, uint32_t n)
{
    struct vec *copy = arena_new(a, struct vec);
    if (copy == NULL) return NULL;
    *copy = *v;
    copy->n = n;
    return copy;
}

/* Sets out's bit for each row in which an argument is null. */
static enum err merge_nulls(struct fn_cx *cx, const struct vec *v, uint32_t n, uint64_t **bits,
                            struct vec *out)
{
    bool dict_nulls = v->shape == VEC_DICT && v->dict->nulls != NULL;
    if (v->nulls == NULL && !dict_nulls && v->type != T_NONE) return OK;
    if (v->shape == VEC_CONST && v->type != T_NONE && !vec_null(v, 0)) return OK;
    if (*bits == NULL) {
        *bits = arena_array(cx->a, uint64_t, BIT_WORDS(n) + 1);
        if (*bits == NULL) return out_full(cx);
        for (size_t w = 0; out->nulls != NULL && w < BIT_WORDS(n); w++)
            (*bits)[w] = out->nulls[w];
        out->nulls = *bits;
    }
    if (v->shape == VEC_CONST || v->type == T_NONE) {
        for (uint32_t i = 0; i < n; i++)
            bit_set(*bits, i);
        return OK;
    }
    for (size_t w = 0; v->nulls != NULL && w < BIT_WORDS(n); w++)
        (*bits)[w] |= v->nulls[w];
    for (uint32_t i = 0; dict_nulls && i < n; i++) {
        if (vec_null(v, i)) bit_set(*bits, i);
    }
    return OK;
}

/* A null row's data is zero. The kernel's own data, so the cast away from const is ours to make. */
static void zero_nulls(struct vec *out)
{
    size_t width = type_width(out->type);
    uint8_t *data = (uint8_t *)(uintptr_t)out->data;
    for (uint32_t w = 0; w < BIT_WORDS(out->n); w++) {
        for (uint64_t bits = out->nulls[w]; bits != 0; bits &= bits - 1) {
            uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(bits);
            if (i < out->n) memset(data + width * i, 0, width);
        }
    }
}

static enum err eval_rows(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t n, struct vec *out)
{
    struct vec v;
    TRY(call->fn->eval(cx, call, args, n, &v));
    if ((call->fn->flags & FN_NULL_IN_NULL_OUT) != 0) {
        uint64_t *bits = NULL;
        struct vec merged = v;
        for (uint32_t i = 0; i < call->n_args; i++)
            TRY(merge_nulls(cx, args[i], n, &bits, &merged));
        if (bits != NULL && v.type == T_STRING) merged.nulls = NULL;
        if (bits != NULL && v.shape == VEC_FLAT) {
            struct vec zero = merged;
            zero.nulls = bits;
            zero_nulls(&zero);
            merged.packed = 0;
        }
        v = merged;
    } else if (v.nulls != NULL && v.shape == VEC_FLAT) {
        zero_nulls(&v);
    }
    *out = v;
    return OK;
}

static enum err eval_once(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t n, struct vec *out)
{
    const struct vec **one = arena_array(cx->a, const struct vec *, call->n_args + 1);
    struct vec v;
    if (one == NULL) return out_full(cx);
    for (uint32_t i = 0; i < call->n_args; i++) {
        if ((one[i] = with_rows(cx->a, args[i], 1)) == NULL) return out_full(cx);
    }
    TRY(eval_rows(cx, call, one, 1, &v));
    if (v.shape == VEC_DICT) TRY(vec_plain(cx, &v, &v));
    v.shape = VEC_CONST;
    v.n = n;
    *out = v;
    return OK;
}

/* Codes stay codes for text; the other types are as small as a code themselves. */
static enum err eval_dict(struct fn_cx *cx, const struct fn_call *call,
                          const struct vec *const *args, uint32_t at, uint32_t n, struct vec *out)
{
    const struct vec *dict = args[at]->dict;
    const struct vec **entries = arena_array(cx->a, const struct vec *, call->n_args);
    struct vec *result = arena_new(cx->a, struct vec);
    if (entries == NULL || result == NULL) return out_full(cx);
    for (uint32_t i = 0; i < call->n_args; i++) {
        entries[i] = i == at ? dict : with_rows(cx->a, args[i], dict->n);
        if (entries[i] == NULL) return out_full(cx);
    }
    TRY(eval_rows(cx, call, entries, dict->n, result));
    if (result->shape == VEC_CONST) {
        result->n = n;
        *out = *result;
        return OK;
    }
    struct vec coded = {
        .type = result->type, .shape = VEC_DICT, .n = n, .codes = args[at]->codes, .dict = result};
    if (result->shape != VEC_FLAT) TRY(vec_plain(cx, result, result));
    if (coded.type == T_STRING || coded.type == T_DYNAMIC) {
        *out = coded;
        return OK;
    }
    return vec_plain(cx, &coded, out);
}

enum err fn_run(struct fn_cx *cx, const struct fn_call *call, const struct vec *const *args,
                uint32_t n, struct vec *out)
{
    uint32_t n_const = 0, n_dict = 0, at = 0;
    if ((call->fn->flags & FN_NOT_CONST) != 0) return eval_rows(cx, call, args, n, out);
    for (uint32_t i = 0; i < call->n_args; i++) {
        n_const += args[i]->shape == VEC_CONST;
        if (args[i]->shape == VEC_DICT && args[i]->nulls == NULL && args[i]->dict->n <= n) {
            n_dict++;
            at = i;
        }
    }
    if (n_const == call->n_args && n != 0) return eval_once(cx, call, args, n, out);
    if (n_dict == 1 && n_const == call->n_args - 1) return eval_dict(cx, call, args, at, n, out);
    return eval_rows(cx, call, args, n, out);
}
