/* SPDX-License-Identifier: Apache-2.0 */
/* func/agg.c - the registry of aggregates and what their families share */
#include "func/agg_kernel.h"

#include <pthread.h>
#include <stdlib.h>

extern const struct agg_family agg_basic, agg_minmax, agg_stat, agg_list, agg_distinct,
    agg_percentile, agg_binary, agg_schema;

static const struct agg_family *const families[] = {
    &agg_basic,      &agg_minmax, &agg_stat,   &agg_list, &agg_distinct,
    &agg_percentile, &agg_binary, &agg_schema, NULL,
};

#define ROWS_MAX 128
static const struct agg *sorted[ROWS_MAX];
static uint32_t n_sorted;
static pthread_once_t sorted_once = PTHREAD_ONCE_INIT;

static int by_name(const void *a, const void *b)
{
    const struct agg *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static void sort_rows(void)
{
    for (size_t f = 0; families[f] != NULL; f++) {
        for (uint32_t i = 0; i < families[f]->n && n_sorted < ROWS_MAX; i++)
            sorted[n_sorted++] = &families[f]->rows[i];
    }
    qsort(sorted, n_sorted, sizeof(void *), by_name);
}

uint32_t agg_count(void)
{
    pthread_once(&sorted_once, sort_rows);
    return n_sorted;
}

const struct agg *agg_at(uint32_t i)
{
    return i < agg_count() ? sorted[i] : NULL;
}

const struct agg *agg_find(const char *name)
{
    uint32_t low = 0, high = agg_count();
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

/* --- predicates ------------------------------------------------------------------------------- */

#define ARGS_MAX 8

/* The call as base knows it: argument `predicate` left out. */
static void without(const struct agg_call *c, uint32_t predicate, struct agg_call *out,
                    enum type *types, const struct value **consts)
{
    uint32_t k = 0;
    for (uint32_t i = 0; i < c->n_args && k < ARGS_MAX; i++) {
        if (i == predicate) continue;
        types[k] = c->arg_types[i];
        consts[k] = c->consts != NULL ? c->consts[i] : NULL;
        k++;
    }
    *out = *c;
    out->n_args = k;
    out->arg_types = types;
    out->consts = consts;
}

enum err agg_update_if(struct agg_cx *cx, const struct agg_call *c, void *const *states,
                       const struct vec *const *args, uint32_t n, uint32_t predicate,
                       agg_update *base)
{
    struct agg_call call;
    enum type types[ARGS_MAX];
    const struct value *consts[ARGS_MAX];
    const struct vec *picked[ARGS_MAX];
    struct vec vecs[ARGS_MAX];
    const struct vec *p = args[predicate];
    without(c, predicate, &call, types, consts);

    /* A vector's worth of indexes that must not stay until the query's end. */
    CLEANUP_ARENA struct arena tmp;
    arena_init(&tmp, 0);
    uint32_t *rows = arena_array(&tmp, uint32_t, n);
    void **kept = arena_array(&tmp, void *, n);
    if (rows == NULL || kept == NULL) return arena_full(&tmp, cx->d);
    uint32_t n_kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (row_is_null(p, i) || !vec_bool(p, i)) continue;
        kept[n_kept] = states[i];
        rows[n_kept++] = i;
    }
    if (n_kept == 0) return OK;
    for (uint32_t i = 0, k = 0; i < c->n_args && k < call.n_args; i++) {
        if (i == predicate) continue;
        picked[k] = args[i];
        if (n_kept != n) {
            TRY(vec_gather(&tmp, args[i], rows, n_kept, &vecs[k], cx->d));
            picked[k] = &vecs[k];
        }
        k++;
    }
    return base(cx, &call, kept, picked, n_kept);
}

/* --- kept values ------------------------------------------------------------------------------ */

enum err kept_set(struct agg_cx *cx, struct kept *k, const struct value *v)
{
    bool text = (v->type == T_STRING || v->type == T_DYNAMIC) && !v->is_null && v->s.len != 0;
    k->v = *v;
    if (!text) return OK;
    if (k->cap < v->s.len) {
        size_t cap = k->cap * 2 > v->s.len ? k->cap * 2 : v->s.len;
        uint8_t *room = arena_alloc(cx->a, cap);
        if (room == NULL) return arena_full(cx->a, cx->d);
        k->room = room;
        k->cap = cap;
    }
    memcpy(k->room, v->s.p, v->s.len);
    k->v.s.p = k->room;
    return OK;
}

enum err run_add(struct agg_cx *cx, struct run *r, struct bytes b)
{
    if (b.len == 0) return OK;
    if (r->cap - r->len < b.len) {
        size_t cap = r->cap != 0 ? r->cap * 2 : 64;
        while (cap < r->len + b.len)
            cap *= 2;
        uint8_t *p = arena_alloc(cx->a, cap);
        if (p == NULL) return arena_full(cx->a, cx->d);
        if (r->len != 0) memcpy(p, r->p, r->len);
        r->p = p;
        r->cap = cap;
    }
    memcpy(r->p + r->len, b.p, b.len);
    r->len += b.len;
    return OK;
}
