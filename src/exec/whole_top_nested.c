/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_top_nested.c - the best groups of each level within each of the level above
 *
 * A row of the input is a group of some level (plan.h). Groups of a level are sorted by the group
 * above them, then by their aggregate; the best of each are walked through from the top down, and
 * each path to the last level is a row of the result.
 */
#include "exec/key.h"
#include "exec/whole.h"
#include "func/kernel.h"

#include <stdlib.h>

struct entry {
    uint32_t row;
    struct bytes above; /* key of the levels above, */
    struct bytes key;   /* and with this one */
    struct value agg;
    bool ascending;
};

struct level {
    uint32_t n;
    struct entry *entries; /* sorted */
    uint64_t count;
    struct value others;
};

struct nested {
    struct whole *w;
    const struct nested_levels *plan;
    struct level *levels;
    struct value *path; /* of the result's row under way */
};

static int by_place(const void *x, const void *y)
{
    const struct entry *a = x, *b = y;
    int c = bytes_cmp(a->above, b->above);
    if (c != 0) return c;
    if (a->agg.is_null != b->agg.is_null) return a->agg.is_null != a->ascending ? 1 : -1;
    c = a->agg.is_null ? 0 : value_cmp(&a->agg, &b->agg);
    if (c != 0) return a->ascending ? c : -c;
    return a->row < b->row ? -1 : a->row > b->row;
}

static enum err read_level(struct nested *t, uint32_t level)
{
    struct whole *w = t->w;
    struct arena *a = &w->m->a;
    struct level *l = &t->levels[level];
    struct bytes *above = arena_array(a, struct bytes, w->n), *keys;
    keys = arena_array(a, struct bytes, w->n);
    l->entries = arena_array(a, struct entry, w->n);
    if (above == NULL || keys == NULL || l->entries == NULL) return query_full(w->q, w->d);
    TRY(group_keys(a, w->cols + 1, level, w->n, above, w->d));
    TRY(group_keys(a, w->cols + 1, level + 1, w->n, keys, w->d));
    for (uint32_t i = 0; i < w->n; i++) {
        if (vec_i64(&w->cols[0], i) != level) continue;
        l->entries[l->n++] = (struct entry){
            .row = i,
            .above = above[i],
            .key = keys[i],
            .agg = vec_value(&w->cols[1 + t->plan->n + level], i),
            .ascending = t->plan->levels[level].ascending,
        };
    }
    qsort(l->entries, l->n, sizeof *l->entries, by_place);
    l->count = UINT64_MAX;
    const struct nested_level *p = &t->plan->levels[level];
    if (p->has_count) TRY(eval_count(w->q, p->count, "top-nested", &l->count, w->d));
    if (p->others != NULL) TRY(eval_const(w->q, p->others, &l->others, w->d));
    return whole_check(w);
}

/* The first entry that stands under `above`. */
static uint32_t first_under(const struct level *l, struct bytes above)
{
    uint32_t low = 0, high = l->n;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (bytes_cmp(l->entries[mid].above, above) < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static void put_path(struct nested *t)
{
    for (uint32_t i = 0; i < 2 * t->plan->n; i++)
        vecb_value_borrow(&t->w->out[i], &t->path[i]);
}

static bool combined(int how, const struct value *v, struct value *sum)
{
    if (v->is_null) return true;
    if (sum->is_null || how != NESTED_SUM) {
        int c = sum->is_null ? 0 : value_cmp(v, sum);
        if (sum->is_null || (how == NESTED_MIN ? c < 0 : c > 0)) *sum = *v;
        return true;
    }
    if (v->type == T_REAL) {
        sum->r += v->r;
        return true;
    }
    return (v->type == T_LONG || v->type == T_INT || v->type == T_TIMESPAN) &&
           !__builtin_add_overflow(sum->i, v->i, &sum->i);
}

/* What is left of a level becomes one row, with nothing below it. */
static enum err put_others(struct nested *t, uint32_t level, uint32_t from, uint32_t end)
{
    const struct level *l = &t->levels[level];
    const struct schema *s = &t->w->op->schema;
    struct value sum = {.type = s->cols[2 * level + 1].type, .is_null = true};
    for (uint32_t i = from; i < end; i++) {
        if (combined(t->plan->levels[level].combine, &l->entries[i].agg, &sum)) continue;
        return FAIL(t->w->d, ERR_UNSUPPORTED, "'with others' cannot add up values of this type");
    }
    t->path[2 * level] = l->others;
    t->path[2 * level + 1] = sum;
    for (uint32_t i = 2 * level + 2; i < s->n; i++) {
        enum type type = s->cols[i].type;
        t->path[i] = (struct value){.type = type, .is_null = type != T_STRING};
    }
    put_path(t);
    return OK;
}

/* Recursion is as deep as there are levels, which the binder limits. */
static enum err walk(struct nested *t, uint32_t level, struct bytes above)
{
    const struct level *l = &t->levels[level];
    uint32_t from = first_under(l, above), end = from, taken = 0;
    while (end < l->n && bytes_eq(l->entries[end].above, above))
        end++;
    for (uint32_t i = from; i < end && taken < l->count; i++, taken++) {
        const struct entry *e = &l->entries[i];
        t->path[2 * level] = vec_value(&t->w->cols[1 + level], e->row);
        t->path[2 * level + 1] = e->agg;
        if (level + 1 == t->plan->n)
            put_path(t);
        else
            TRY(walk(t, level + 1, e->key));
    }
    bool rest = t->plan->levels[level].others != NULL && from + taken < end;
    return rest ? put_others(t, level, from + taken, end) : OK;
}

enum err whole_top_nested(struct whole *w)
{
    struct nested t = {.w = w, .plan = w->op->whole.more};
    t.levels = arena_array(&w->m->a, struct level, t.plan->n);
    t.path = arena_array(&w->m->a, struct value, 2 * (size_t)t.plan->n);
    if (t.levels == NULL || t.path == NULL) return query_full(w->q, w->d);
    for (uint32_t i = 0; i < t.plan->n; i++)
        TRY(read_level(&t, i));
    return walk(&t, 0, bytes_of("", 0));
}
