/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/summarize.c - hash aggregation: a table of groups per worker, merged at the end
 *
 * A group is one block in the worker's arena: this header, then the states of the aggregates, then
 * the key (key.h). The order of the result is the order in which groups were first met.
 */
#include "exec/key.h"
#include "exec/run.h"

#include <xxhash.h>

struct group {
    struct group *next; /* in the order of arrival */
    uint64_t hash;
    struct bytes key;
};

#define STATES_AT ((sizeof(struct group) + 15) & ~(size_t)15)
#define SLOTS_MIN 1024

struct slot {
    uint64_t hash;
    struct group *group; /* NULL: free */
};

struct table {
    struct mem mem;
    struct slot *slots;
    uint64_t n_slots, n_groups; /* n_slots is a power of two, at most half full */
    struct group *first, **end;
    /* One dictionary column as the only key: code -> group, for the unit under way. */
    const struct vec *dict;
    uint32_t dict_unit;
    struct group **by_code;
};

struct summarize {
    struct sink sink;
    struct query *q;
    const struct op *op;
    const bool *needed;
    size_t group_size;    /* bytes, without the key */
    size_t *state_at;     /* per aggregate */
    struct table *tables; /* per worker */
    bool taken;
};

static void *state_of(const struct summarize *s, struct group *g, uint32_t agg)
{
    return (uint8_t *)g + s->state_at[agg];
}

/* --- the hash table ------------------------------------------------------------------------------
 */

static bool grow(struct table *t)
{
    uint64_t n = t->n_slots != 0 ? t->n_slots * 2 : SLOTS_MIN;
    struct slot *slots = arena_array(&t->mem.a, struct slot, n);
    if (slots == NULL) return false;
    for (struct group *g = t->first; g != NULL; g = g->next) {
        uint64_t i = g->hash & (n - 1);
        while (slots[i].group != NULL)
            i = (i + 1) & (n - 1);
        slots[i] = (struct slot){g->hash, g};
    }
    t->slots = slots;
    t->n_slots = n;
    return true;
}

static struct group *add_group(const struct summarize *s, struct table *t, struct bytes key,
                               uint64_t hash)
{
    struct group *g = arena_alloc(&t->mem.a, s->group_size + key.len);
    if (g == NULL) return NULL;
    uint8_t *copy = (uint8_t *)g + s->group_size;
    if (key.len != 0) memcpy(copy, key.p, key.len);
    g->hash = hash;
    g->key = (struct bytes){copy, key.len};
    *t->end = g;
    t->end = &g->next;
    t->n_groups++;
    return g;
}

/* The group of that key, made if it is new; NULL when memory is out. */
static struct group *find_group(const struct summarize *s, struct table *t, struct bytes key,
                                uint64_t hash)
{
    if (t->n_groups * 2 >= t->n_slots && !grow(t)) return NULL;
    uint64_t i = hash & (t->n_slots - 1);
    for (; t->slots[i].group != NULL; i = (i + 1) & (t->n_slots - 1)) {
        if (t->slots[i].hash == hash && bytes_eq(t->slots[i].group->key, key)) {
            return t->slots[i].group;
        }
    }
    struct group *g = add_group(s, t, key, hash);
    if (g != NULL) t->slots[i] = (struct slot){hash, g};
    return g;
}

static uint64_t hash_of(const struct summarize *s, struct bytes key)
{
    return XXH3_64bits_withSeed(key.p, key.len, s->q->hash_seed);
}

/* --- from rows to groups
 * ----------------------------------------------------------------------------- */

static enum err groups_by_key(const struct summarize *s, struct worker *w, const struct vec *parts,
                              uint32_t n, struct group **out)
{
    struct table *t = &s->tables[w->slot];
    struct bytes *keys = arena_array(&w->scratch.a, struct bytes, n);
    if (keys == NULL) return query_full(w->q, &w->d);
    TRY(group_keys(&w->scratch.a, parts, s->op->summarize.n_keys, n, keys, &w->d));
    for (uint32_t i = 0; i < n; i++) {
        out[i] = find_group(s, t, keys[i], hash_of(s, keys[i]));
        if (out[i] == NULL) return query_full(w->q, &w->d);
    }
    return OK;
}

static enum err groups_by_code(const struct summarize *s, struct worker *w, const struct vec *part,
                               struct group **out)
{
    struct table *t = &s->tables[w->slot];
    if (t->dict != part->dict || t->dict_unit != w->unit_no) {
        t->by_code = arena_array(&w->unit.a, struct group *, part->dict->n);
        if (t->by_code == NULL) return query_full(w->q, &w->d);
        t->dict = part->dict;
        t->dict_unit = w->unit_no;
    }
    for (uint32_t i = 0; i < part->n; i++) {
        struct group **g = &t->by_code[part->codes[i]];
        if (*g == NULL) {
            struct vec one = {.type = part->type,
                              .shape = VEC_DICT,
                              .n = 1,
                              .codes = &part->codes[i],
                              .dict = part->dict};
            TRY(groups_by_key(s, w, &one, 1, g));
        }
        out[i] = *g;
    }
    return OK;
}

static enum err groups_of(const struct summarize *s, struct worker *w, const struct batch *in,
                          struct group **out)
{
    uint32_t n_keys = s->op->summarize.n_keys;
    struct vec *parts = arena_array(&w->scratch.a, struct vec, n_keys);
    if (parts == NULL) return query_full(w->q, &w->d);
    bool constant = true;
    for (uint32_t i = 0; i < n_keys; i++) {
        TRY(eval(w, s->op->summarize.keys[i], in, &parts[i]));
        if (parts[i].shape != VEC_CONST) constant = false;
    }
    if (constant) {
        TRY(groups_by_key(s, w, parts, 1, out));
        for (uint32_t i = 1; i < in->n_rows; i++)
            out[i] = out[0];
        return OK;
    }
    if (n_keys == 1 && parts[0].shape == VEC_DICT && parts[0].nulls == NULL &&
        dict_of_unit(w, parts[0].dict)) {
        return groups_by_code(s, w, &parts[0], out);
    }
    return groups_by_key(s, w, parts, in->n_rows, out);
}

static enum err update(const struct summarize *s, struct worker *w, uint32_t agg,
                       const struct batch *in, struct group *const *groups, void **states)
{
    const struct agg_use *use = &s->op->summarize.aggs[agg];
    struct arena *a = &w->scratch.a;
    uint32_t n_args = use->call.n_args;
    struct vec *args = arena_array(a, struct vec, n_args);
    const struct vec **ptrs = arena_array(a, const struct vec *, n_args);
    if (args == NULL || ptrs == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < n_args; i++) {
        TRY(eval(w, use->args[i], in, &args[i]));
        ptrs[i] = &args[i];
    }
    for (uint32_t i = 0; i < in->n_rows; i++)
        states[i] = state_of(s, groups[i], agg);
    struct agg_cx cx = {.a = &s->tables[w->slot].mem.a, .d = &w->d};
    return use->call.agg->update(&cx, &use->call, states, ptrs, in->n_rows);
}

static bool agg_needed(const struct summarize *s, uint32_t agg)
{
    return s->needed[s->op->summarize.n_keys + agg];
}

static enum err summarize_push(const struct stage *stage, struct worker *w, const struct batch *in)
{
    const struct summarize *s = (const struct summarize *)stage;
    struct group **groups = arena_array(&w->scratch.a, struct group *, in->n_rows);
    void **states = arena_array(&w->scratch.a, void *, in->n_rows);
    if (groups == NULL || states == NULL) return query_full(w->q, &w->d);
    TRY(groups_of(s, w, in, groups));
    for (uint32_t i = 0; i < s->op->summarize.n_aggs; i++) {
        if (agg_needed(s, i)) TRY(update(s, w, i, in, groups, states));
    }
    mem_settle(w->q, &s->tables[w->slot].mem);
    return OK;
}

/* --- finish
 * -------------------------------------------------------------------------------------------- */

static enum err merge(const struct summarize *s, struct table *into, struct table *from,
                      struct diag *d)
{
    struct agg_cx cx = {.a = &into->mem.a, .d = d};
    for (struct group *g = from->first; g != NULL; g = g->next) {
        struct group *mine = find_group(s, into, g->key, g->hash);
        if (mine == NULL) return query_full(s->q, d);
        for (uint32_t i = 0; i < s->op->summarize.n_aggs; i++) {
            const struct agg_call *c = &s->op->summarize.aggs[i].call;
            if (agg_needed(s, i)) {
                TRY(c->agg->merge(&cx, c, state_of(s, mine, i), state_of(s, g, i)));
            }
        }
    }
    return OK;
}

static enum err add_result(const struct summarize *s, struct table *t, struct group *g,
                           struct vecb *cols, struct diag *d)
{
    struct agg_cx cx = {.a = &t->mem.a, .d = d};
    struct rd r = rd_from(g->key);
    uint32_t n_keys = s->op->summarize.n_keys;
    for (uint32_t i = 0; i < n_keys; i++) {
        struct value v;
        group_key_next(&r, s->op->schema.cols[i].type, &v);
        if (v.is_null)
            vecb_null(&cols[i]);
        else if (v.type == T_STRING || v.type == T_DYNAMIC)
            vecb_str_borrow(&cols[i], v.s);
        else
            vecb_value(&cols[i], &v);
    }
    for (uint32_t i = 0; i < s->op->summarize.n_aggs; i++) {
        const struct agg_call *c = &s->op->summarize.aggs[i].call;
        struct value v = {.type = c->ret, .is_null = true};
        if (agg_needed(s, i)) TRY(c->agg->finish(&cx, c, state_of(s, g, i), &v));
        vecb_value(&cols[n_keys + i], &v);
    }
    return OK;
}

static enum err results(const struct summarize *s, struct table *t, struct relation *out,
                        struct diag *d)
{
    struct arena *a = &t->mem.a;
    uint32_t n_cols = s->op->schema.n;
    out->n_rows = t->n_groups;
    out->batches = arena_array(a, struct batch, (t->n_groups + VEC_ROWS - 1) / VEC_ROWS);
    struct vecb *build = arena_array(a, struct vecb, n_cols);
    if (out->batches == NULL || build == NULL) return query_full(s->q, d);
    for (struct group *g = t->first; g != NULL;) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < n_cols; i++) {
            uint64_t left = t->n_groups - (uint64_t)out->n_batches * VEC_ROWS;
            vecb_init(&build[i], a, s->op->schema.cols[i].type,
                      left < VEC_ROWS ? (uint32_t)left : VEC_ROWS);
        }
        for (; g != NULL && n < VEC_ROWS; g = g->next, n++)
            TRY(add_result(s, t, g, build, d));
        struct vec *cols = arena_array(a, struct vec, n_cols);
        if (cols == NULL) return query_full(s->q, d);
        for (uint32_t i = 0; i < n_cols; i++)
            TRY(vecb_finish(&build[i], &cols[i], d));
        out->batches[out->n_batches++] =
            (struct batch){.n_rows = n, .n_cols = n_cols, .cols = cols};
        mem_settle(s->q, &t->mem);
    }
    return OK;
}

static enum err summarize_finish(struct sink *sink, struct relation *out, struct diag *d)
{
    struct summarize *s = (struct summarize *)sink;
    struct query *q = s->q;
    struct table *t = &s->tables[0];
    mem_settle(q, &t->mem);
    for (unsigned i = 1; i < q->n_workers; i++) {
        TRY(merge(s, t, &s->tables[i], d));
        mem_settle(q, &t->mem);
    }
    /* Without `by` there is one row even when none came in. */
    if (s->op->summarize.n_keys == 0 && t->n_groups == 0) {
        if (find_group(s, t, (struct bytes){0}, hash_of(s, (struct bytes){0})) == NULL) {
            return query_full(q, d);
        }
    }
    struct relation r = {.n_mems = q->n_workers};
    r.mems = arena_array(&q->mem.a, struct mem, q->n_workers);
    if (r.mems == NULL) return query_full(q, d);
    TRY(results(s, t, &r, d));
    for (unsigned i = 0; i < q->n_workers; i++)
        r.mems[i] = s->tables[i].mem;
    s->taken = true;
    *out = r;
    return OK;
}

static void summarize_close(struct sink *sink)
{
    struct summarize *s = (struct summarize *)sink;
    for (unsigned i = 0; !s->taken && i < s->q->n_workers; i++)
        mem_close(s->q, &s->tables[i].mem);
}

enum err summarize_sink(struct query *q, const struct op *op, const bool *needed, struct sink **out,
                        struct diag *d)
{
    struct arena *a = &q->mem.a;
    struct summarize *s = arena_new(a, struct summarize);
    if (s == NULL) return query_full(q, d);
    *s = (struct summarize){.q = q, .op = op, .needed = needed, .group_size = STATES_AT};
    s->sink = (struct sink){
        .stage = {summarize_push, NULL}, .finish = summarize_finish, .close = summarize_close};
    s->state_at = arena_array(a, size_t, op->summarize.n_aggs);
    s->tables = arena_array(a, struct table, q->n_workers);
    if (s->state_at == NULL || s->tables == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < op->summarize.n_aggs; i++) {
        s->state_at[i] = s->group_size;
        s->group_size += (op->summarize.aggs[i].call.agg->state_size + 15) & ~(size_t)15;
    }
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &s->tables[i].mem);
        s->tables[i].end = &s->tables[i].first;
    }
    /* make_list() and its like keep the order of a sorted input. */
    s->sink.in_order = op_is_ordered(op->input);
    *out = &s->sink;
    return OK;
}
