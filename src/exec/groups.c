/* SPDX-License-Identifier: Apache-2.0 */
/* exec/groups.c - a hash table from group keys to the states of aggregates */
#include "exec/groups.h"
#include "exec/groups_memo.h"

#include "exec/key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define STATES_AT ((sizeof(struct group) + 15) & ~(size_t)15)
#define SLOTS_MIN 1024

enum err groups_plan_init(struct groups_plan *p, struct query *q, uint32_t n_keys,
                          const struct agg_use *aggs, uint32_t n_aggs, const bool *wanted,
                          struct diag *d)
{
    *p = (struct groups_plan){.q = q,
                              .n_keys = n_keys,
                              .n_aggs = n_aggs,
                              .aggs = aggs,
                              .wanted = wanted,
                              .group_size = STATES_AT};
    p->state_at = arena_array(&q->mem.a, size_t, n_aggs);
    p->args_at = arena_array(&q->mem.a, uint32_t, n_aggs);
    if (p->state_at == NULL || p->args_at == NULL) return query_full(q, d);
    p->n_values = n_keys;
    for (uint32_t i = 0; i < n_aggs; i++) {
        p->state_at[i] = p->group_size;
        p->group_size += (aggs[i].call.agg->state_size + 15) & ~(size_t)15;
        p->args_at[i] = p->n_values;
        if (wanted[i]) p->n_values += aggs[i].call.n_args;
    }
    p->only_counts = groups_only_count(p);
    return OK;
}

enum err groups_new(const struct groups_plan *p, struct groups **out, struct diag *d)
{
    struct query *q = p->q;
    struct groups *t = arena_array(&q->mem.a, struct groups, q->n_workers);
    if (t == NULL) return query_full(q, d);
    for (unsigned i = 0; i < q->n_workers; i++) {
        mem_open(q, &t[i].mem);
        t[i].end = &t[i].first;
    }
    *out = t;
    return OK;
}

void groups_close(struct query *q, struct groups *t)
{
    if (t->out != NULL) parts_close(t->out);
    t->out = NULL;
    mem_close(q, &t->mem);
}

uint64_t groups_hash(const struct groups_plan *p, struct bytes key)
{
    uint64_t hash = XXH3_64bits_withSeed(key.p, key.len, p->q->hash_seed);
    if (p->key_tail == 0) return hash;
    uint64_t part = XXH3_64bits_withSeed(key.p, key.len - p->key_tail, p->q->hash_seed);
    return (hash & ~PARTS_MASK) | (part & PARTS_MASK);
}

static bool grow(struct groups *t)
{
    uint64_t n = t->n_slots != 0 ? t->n_slots * 2 : SLOTS_MIN;
    struct group_slot *slots = arena_array(&t->mem.a, struct group_slot, n);
    if (slots == NULL) return false;
    for (struct group *g = t->first; g != NULL; g = g->next) {
        uint64_t i = g->hash & (n - 1);
        while (slots[i].group != NULL)
            i = (i + 1) & (n - 1);
        slots[i] = (struct group_slot){g->hash, g};
    }
    t->slots = slots;
    t->n_slots = n;
    return true;
}

/* The slot of that key, or the free one where it belongs; NULL when memory is out. */
static struct group_slot *find_slot(struct groups *t, struct bytes key, uint64_t hash)
{
    if (t->n_groups * 2 >= t->n_slots && !grow(t)) return NULL;
    uint64_t i = hash & (t->n_slots - 1);
    for (; t->slots[i].group != NULL; i = (i + 1) & (t->n_slots - 1)) {
        if (t->slots[i].hash == hash && bytes_eq(t->slots[i].group->key, key)) break;
    }
    return &t->slots[i];
}

static void put_group(struct groups *t, struct group_slot *slot, struct group *g)
{
    *slot = (struct group_slot){g->hash, g};
    g->next = NULL;
    *t->end = g;
    t->end = &g->next;
    t->n_groups++;
}

/* The group of that key, made if it is new; NULL when memory is out. */
static struct group *find(const struct groups_plan *p, struct groups *t, struct bytes key,
                          uint64_t hash)
{
    struct group_slot *slot = find_slot(t, key, hash);
    if (slot == NULL || slot->group != NULL) return slot != NULL ? slot->group : NULL;
    struct group *g = arena_alloc(&t->mem.a, p->group_size + key.len);
    if (g == NULL) return NULL;
    uint8_t *copy = (uint8_t *)g + p->group_size;
    if (key.len != 0) memcpy(copy, key.p, key.len);
    g->hash = hash;
    g->key = (struct bytes){copy, key.len};
    put_group(t, slot, g);
    return g;
}

/* --- from rows to groups --------------------------------------------------------------------- */

static enum err find_by_key(const struct groups_plan *p, struct groups *t, struct worker *w,
                            const struct vec *parts, uint32_t n, struct group **out)
{
    struct bytes *keys = arena_array(&w->scratch.a, struct bytes, n);
    if (keys == NULL) return query_full(w->q, &w->d);
    TRY(group_keys(&w->scratch.a, parts, p->n_keys, n, keys, &w->d));
    for (uint32_t i = 0; i < n; i++) {
        out[i] = find(p, t, keys[i], groups_hash(p, keys[i]));
        if (out[i] == NULL) return query_full(w->q, &w->d);
    }
    return OK;
}

enum err groups_of_dict(struct groups *t, struct worker *w, const struct vec *dict,
                        struct group ***of_code)
{
    if (t->dict != dict || t->dict_unit != w->unit_no) {
        t->by_code = arena_array(&w->unit.a, struct group *, dict->n);
        if (t->by_code == NULL) return query_full(w->q, &w->d);
        t->dict = dict;
        t->dict_unit = w->unit_no;
    }
    *of_code = t->by_code;
    return OK;
}

enum err groups_meet_code(const struct groups_plan *p, struct groups *t, struct worker *w,
                          const struct vec *part, uint32_t row)
{
    struct vec one = {.type = part->type,
                      .shape = VEC_DICT,
                      .n = 1,
                      .codes = &part->codes[row],
                      .dict = part->dict};
    return find_by_key(p, t, w, &one, 1, &t->by_code[part->codes[row]]);
}

static enum err find_by_code(const struct groups_plan *p, struct groups *t, struct worker *w,
                             const struct vec *part, struct group **out)
{
    struct group **of_code;
    TRY(groups_of_dict(t, w, part->dict, &of_code));
    for (uint32_t i = 0; i < part->n; i++) {
        struct group **g = &of_code[part->codes[i]];
        if (*g == NULL) TRY(groups_meet_code(p, t, w, part, i));
        out[i] = *g;
    }
    return OK;
}

enum err groups_meet_word(const struct groups_plan *p, struct groups *t, struct worker *w,
                          const struct vec *part, uint32_t row, struct group **out)
{
    uint8_t key[GROUP_WORD_LEN] = {0};
    bool value = group_key_word(part, row, key);
    struct bytes k = {key, value ? sizeof key : 1};
    *out = find(p, t, k, groups_hash(p, k));
    return *out != NULL ? OK : query_full(w->q, &w->d);
}

/* Few numbers or numbers in order are found without making a key. */
static enum err find_by_word(const struct groups_plan *p, struct groups *t, struct worker *w,
                             const struct vec *part, uint32_t n, struct group **out)
{
    const uint64_t *data = vec_data(part);
    bool nulls = part->nulls != NULL;
    for (uint32_t i = 0; i < n; i++) {
        uint64_t bits = data[i];
        struct word_memo *m = &t->words[groups_word_place(bits)];
        bool null = nulls && bit_get(part->nulls, i);
        if (m->bits == bits && m->group != NULL && !null) {
            out[i] = m->group;
            continue;
        }
        TRY(groups_meet_word(p, t, w, part, i, &out[i]));
        if (!null) *m = (struct word_memo){bits, out[i]};
    }
    return OK;
}

/* Finds the groups of the missing rows by their keys. */
static enum err learn(const struct groups_plan *p, struct groups *t, struct worker *w,
                      const struct vec *parts, const uint32_t *missing, uint32_t n,
                      struct group **out)
{
    struct arena *a = &w->scratch.a;
    struct vec *rows = arena_array(a, struct vec, p->n_keys);
    struct group **found = arena_array(a, struct group *, n);
    if (rows == NULL || found == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < p->n_keys; i++)
        TRY(vec_select(a, &parts[i], missing, n, &rows[i], &w->d));
    TRY(find_by_key(p, t, w, rows, n, found));
    for (uint32_t i = 0; i < n; i++)
        out[missing[i]] = found[i];
    tuples_learn(p, t, parts, missing, n, out);
    return OK;
}

#define LEARN_ROWS 64 /* whose keys are made before the others are looked at again */

/* Rows whose tuple of values was met a short while ago need no key. Where nothing was met yet, a few
 * rows tell what the others may be. */
static enum err find_by_tuple(const struct groups_plan *p, struct groups *t, struct worker *w,
                              const struct vec *parts, uint32_t n, struct group **out)
{
    uint32_t *missing = arena_array(&w->scratch.a, uint32_t, n), left, some;
    if (missing == NULL) return query_full(w->q, &w->d);
    do {
        if (!tuples_find(p, t, w, parts, n, out, missing, &left))
            return find_by_key(p, t, w, parts, n, out);
        some = left > n / 2 && left > LEARN_ROWS ? LEARN_ROWS : left;
        if (some != 0) TRY(learn(p, t, w, parts, missing, some, out));
    } while (some < left);
    return OK;
}

/* The group of each row; without a key out[0] is that of all. */
static enum err find_groups(const struct groups_plan *p, struct groups *t, struct worker *w,
                            const struct vec *parts, uint32_t n, struct group **out)
{
    bool constant = true;
    for (uint32_t i = 0; i < p->n_keys; i++)
        constant &= parts[i].shape == VEC_CONST;
    if (constant) {
        TRY(find_by_key(p, t, w, parts, 1, out));
        for (uint32_t i = 1; i < n && p->n_keys != 0; i++)
            out[i] = out[0];
        return OK;
    }
    if (p->n_keys == 1 && parts[0].shape == VEC_DICT && parts[0].nulls == NULL &&
        dict_of_unit(w, parts[0].dict)) { /* (6) */
        return find_by_code(p, t, w, &parts[0], out);
    }
    if (p->n_keys == 1 && parts[0].shape == VEC_FLAT && groups_is_word(parts[0].type)) {
        return find_by_word(p, t, w, &parts[0], n, out);
    }
    return find_by_tuple(p, t, w, parts, n, out);
}

static enum err update(const struct groups_plan *p, struct groups *t, struct worker *w,
                       uint32_t agg, const struct vec *values, uint32_t n,
                       struct group *const *groups, void **states)
{
    const struct agg_call *call = &p->aggs[agg].call;
    const struct vec **args = arena_array(&w->scratch.a, const struct vec *, call->n_args);
    if (args == NULL) return query_full(w->q, &w->d);
    for (uint32_t i = 0; i < call->n_args; i++)
        args[i] = &values[p->args_at[agg] + i];
    struct vec unseen;
    if (call->agg->of_set && p->n_keys == 0) {
        unseen = *args[0];
        TRY(codes_unseen(t, w, agg, p->n_aggs, &unseen));
        args[0] = &unseen;
        n = unseen.n;
        if (n == 0) return OK;
    }
    for (uint32_t i = 0; i < n; i++)
        states[i] = groups_state(p, groups[p->n_keys != 0 ? i : 0], agg);
    struct agg_cx cx = {.a = &t->mem.a, .d = &w->d};
    return call->agg->update(&cx, call, states, args, n);
}

enum err groups_take(const struct groups_plan *p, struct groups *t, struct worker *w,
                     const struct vec *values, uint32_t n)
{
    if (t->out != NULL) return groups_let_out(p, t, w, values, n);
    bool done = false;
    if (p->only_counts) TRY(groups_count(p, t, w, &values[0], n, &done));
    if (done) {
        mem_settle(w->q, &t->mem);
        return OK;
    }
    struct group **groups = arena_array(&w->scratch.a, struct group *, n);
    void **states = arena_array(&w->scratch.a, void *, n);
    if (groups == NULL || states == NULL) return query_full(w->q, &w->d);
    TRY(find_groups(p, t, w, values, n, groups));
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        if (p->wanted[i]) TRY(update(p, t, w, i, values, n, groups, states));
    }
    mem_settle(w->q, &t->mem);
    return OK;
}

enum err groups_add(const struct groups_plan *p, struct groups *t, struct worker *w,
                    const struct vec *parts, const struct batch *in)
{
    struct vec *values = arena_array(&w->scratch.a, struct vec, p->n_values);
    if (values == NULL) return query_full(w->q, &w->d);
    if (p->n_keys != 0) memcpy(values, parts, p->n_keys * sizeof *values);
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        const struct agg_use *use = &p->aggs[i];
        for (uint32_t k = 0; p->wanted[i] && k < use->call.n_args; k++)
            TRY(eval(w, use->args[k], in, &values[p->args_at[i] + k]));
    }
    mem_settle_sink(w, &t->mem);
    TRY(groups_take(p, t, w, values, in->n_rows));
    return groups_must_freeze(p, t) ? groups_freeze(p, t, 0, &w->d) : OK;
}

/* --- after the last row ---------------------------------------------------------------------- */

enum err groups_adopt(const struct groups_plan *p, struct groups *t, struct group *g,
                      struct diag *d)
{
    struct group_slot *slot = find_slot(t, g->key, g->hash);
    if (slot == NULL) return query_full(p->q, d);
    if (slot->group == NULL) {
        put_group(t, slot, g);
        return OK;
    }
    struct agg_cx cx = {.a = &t->mem.a, .d = d};
    for (uint32_t i = 0; i < p->n_aggs; i++) {
        const struct agg_call *c = &p->aggs[i].call;
        if (!p->wanted[i]) continue;
        TRY(c->agg->merge(&cx, c, groups_state(p, slot->group, i), groups_state(p, g, i)));
    }
    return OK;
}

static enum err merge_one(const struct groups_plan *p, struct groups *into, struct groups *from,
                          struct diag *d)
{
    for (struct group *g = from->first, *next; g != NULL; g = next) {
        next = g->next;
        TRY(groups_adopt(p, into, g, d));
    }
    return OK;
}

enum err groups_merge(const struct groups_plan *p, struct groups *all, struct diag *d)
{
    mem_settle(p->q, &all[0].mem);
    for (unsigned i = 1; i < p->q->n_workers; i++) {
        TRY(merge_one(p, &all[0], &all[i], d));
        mem_settle(p->q, &all[0].mem);
    }
    return OK;
}

enum err groups_add_empty(const struct groups_plan *p, struct groups *t, struct diag *d)
{
    struct bytes none = {0};
    return find(p, t, none, groups_hash(p, none)) != NULL ? OK : query_full(p->q, d);
}

enum err group_result(const struct groups_plan *p, struct groups *t, struct group *g, uint32_t agg,
                      struct value *out, struct diag *d)
{
    const struct agg_call *c = &p->aggs[agg].call;
    struct agg_cx cx = {.a = &t->mem.a, .d = d};
    *out = (struct value){.type = c->ret, .is_null = c->ret != T_STRING};
    return p->wanted[agg] ? c->agg->finish(&cx, c, groups_state(p, g, agg), out) : OK;
}
