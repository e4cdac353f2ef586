/* SPDX-License-Identifier: Apache-2.0 */
/* exec/groups_memo.c - ways to a row's group, or past it, that need no key */
#include "exec/groups_memo.h"

#define REST_VECTORS 16 /* passed without a look after one in which tuples did not come again */

struct tuple {
    uint64_t parts[TUPLE_MAX];
    struct group *group; /* NULL: none */
};

struct tuples {
    uint32_t unit;
    const struct vec *dicts[TUPLE_MAX];
    bool fresh;    /* emptied, and nothing learned yet */
    uint32_t rest; /* vectors to pass */
    struct tuple of[GROUP_TUPLES];
};

static bool any_null(const struct vec *v)
{
    uint64_t bits = 0;
    for (uint32_t i = 0; v->nulls != NULL && i < BIT_WORDS(v->n); i++)
        bits |= v->nulls[i];
    return bits != 0;
}

static bool has_form(const struct worker *w, const struct vec *parts, uint32_t n_parts)
{
    for (uint32_t i = 0; i < n_parts; i++) {
        const struct vec *v = &parts[i];
        if (v->shape == VEC_CONST || any_null(v)) return false;
        if (v->shape == VEC_FLAT && groups_is_word(v->type)) continue;
        if (v->shape != VEC_DICT || !dict_of_unit(w, v->dict)) return false;
    }
    return true;
}

static inline uint64_t part_at(const struct vec *v, uint32_t row)
{
    return v->shape == VEC_DICT ? v->codes[row] : ((const uint64_t *)v->data)[row];
}

static inline struct tuple *place_of(struct tuples *m, const uint64_t *parts, uint32_t n)
{
    uint64_t h = 0;
    for (uint32_t i = 0; i < n; i++)
        h = (h ^ parts[i]) * 0x9e3779b97f4a7c15ULL;
    return &m->of[(h ^ h >> 29) * 0xbf58476d1ce4e5b9ULL >> 55]; /* 9 bits: GROUP_TUPLES */
}

/* Codes of another dictionary mean other values. */
static void settle(struct tuples *m, const struct worker *w, const struct vec *parts, uint32_t n)
{
    bool same = m->unit == w->unit_no;
    for (uint32_t i = 0; i < n; i++) {
        const struct vec *dict = parts[i].shape == VEC_DICT ? parts[i].dict : NULL;
        same &= m->dicts[i] == dict;
        m->dicts[i] = dict;
    }
    if (same) return;
    memset(m->of, 0, sizeof m->of);
    m->unit = w->unit_no;
    m->fresh = true;
    m->rest = 0;
}

bool tuples_find(const struct groups_plan *p, struct groups *t, struct worker *w,
                 const struct vec *parts, uint32_t n, struct group **out, uint32_t *missing,
                 uint32_t *n_missing)
{
    uint32_t k = p->n_keys, misses = 0;
    if (k < 2 || k > TUPLE_MAX || !has_form(w, parts, k)) return false;
    if (t->tuples == NULL && (t->tuples = arena_new(&t->mem.a, struct tuples)) == NULL)
        return false;
    struct tuples *m = t->tuples;
    settle(m, w, parts, k);
    if (m->rest != 0) {
        m->rest--;
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint64_t v[TUPLE_MAX] = {0};
        for (uint32_t c = 0; c < k; c++)
            v[c] = part_at(&parts[c], i);
        const struct tuple *e = place_of(m, v, k);
        bool hit = e->group != NULL;
        for (uint32_t c = 0; c < k; c++)
            hit &= e->parts[c] == v[c];
        out[i] = e->group;
        missing[misses] = i;
        misses += !hit;
    }
    if (misses > n / 2 && !m->fresh) m->rest = REST_VECTORS;
    m->fresh = false;
    *n_missing = misses;
    return true;
}

void tuples_learn(const struct groups_plan *p, struct groups *t, const struct vec *parts,
                  const uint32_t *missing, uint32_t n_missing, struct group *const *groups)
{
    for (uint32_t i = 0; i < n_missing; i++) {
        struct tuple one = {.group = groups[missing[i]]};
        for (uint32_t c = 0; c < p->n_keys; c++)
            one.parts[c] = part_at(&parts[c], missing[i]);
        *place_of(t->tuples, one.parts, p->n_keys) = one;
    }
}

/* --- values that were seen -------------------------------------------------------------------- */

struct seen_codes {
    const struct vec *dict;
    uint32_t unit;
    uint8_t
        *codes; /* 1: it has; in the unit's memory. Bytes: a bit would wait for its neighbours */
};

enum err codes_unseen(struct groups *t, struct worker *w, uint32_t agg, uint32_t n_aggs,
                      struct vec *values)
{
    if (values->shape != VEC_DICT || values->nulls != NULL || !dict_of_unit(w, values->dict))
        return OK;
    if (t->seen == NULL) t->seen = arena_array(&t->mem.a, struct seen_codes, n_aggs);
    uint32_t *codes = arena_array(&w->scratch.a, uint32_t, values->n), n = 0;
    if (t->seen == NULL || codes == NULL) return query_full(w->q, &w->d);
    struct seen_codes *s = &t->seen[agg];
    if (s->codes == NULL || s->dict != values->dict || s->unit != w->unit_no) {
        *s = (struct seen_codes){.dict = values->dict, .unit = w->unit_no};
        s->codes = arena_array(&w->unit.a, uint8_t, values->dict->n);
        if (s->codes == NULL) return query_full(w->q, &w->d);
    }
    for (uint32_t i = 0; i < values->n; i++) {
        uint32_t code = values->codes[i];
        codes[n] = code;
        n += s->codes[code] ^ 1;
        s->codes[code] = 1;
    }
    values->codes = codes;
    values->n = n;
    return OK;
}
