/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/pattern_closed.c - all closed patterns that have the least weight
 *
 * Level by level, as Apriori does: a closed pattern and one item more, closed again. A pattern of
 * level n follows from n of its items and from no fewer. Weights only fall on the way, so nothing
 * is missed.
 */
#include "exec/pattern.h"

struct level_search {
    struct miner *m;
    struct numbering seen; /* patterns, as the bytes of their items */
    struct pattern *found; /* by number */
    uint32_t cap;
    uint16_t *items;       /* of the pattern to come */
    uint32_t *rows, *some; /* that match the pattern under way; those that have one item more */
    uint32_t *starts, *at; /* by item: of one dimension's rows, sorted */
    double *weights;       /* by item and side */
};

static enum err add(struct level_search *x, const struct pattern *p)
{
    uint32_t n = x->seen.n, number;
    TRY(number_of(&x->seen, bytes_of(p->items, x->m->n_dims * sizeof *p->items), true, &number));
    if (number < n) return OK; /* reached before */
    if (x->seen.n > PATTERNS_MAX) {
        return FAIL_TAG(x->m->w->d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                        "the rows have more than %d patterns: ask for a higher threshold, fewer "
                        "dimensions or fewer columns",
                        PATTERNS_MAX);
    }
    if (number >= x->cap) {
        struct pattern *wide = arena_array(&x->m->w->m->a, struct pattern, x->seen.cap);
        if (wide == NULL) return ERR_LIMIT;
        if (n > 0) memcpy(wide, x->found, n * sizeof *wide);
        x->found = wide;
        x->cap = x->seen.cap;
    }
    x->found[number] = *p;
    x->found[number].items = (const void *)x->seen.keys[number].p;
    return OK;
}

static bool heavy(const struct miner *m, const double *weight)
{
    for (uint32_t s = 0; s < m->n_sides; s++) {
        if (weight[s] > 0 && weight[s] >= m->least[s]) return true;
    }
    return false;
}

/* The n rows by their items of dimension c, in `some`; starts[i] is where item i begins. */
static void sort_by_item(struct level_search *x, uint32_t c, uint32_t n)
{
    const struct miner *m = x->m;
    uint32_t n_items = m->dims[c].n_items + 1;
    memset(x->starts, 0, (n_items + 1) * sizeof *x->starts);
    memset(x->weights, 0, (size_t)n_items * m->n_sides * sizeof *x->weights);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = x->rows[i], item = m->items[(size_t)row * m->n_dims + c];
        x->starts[item + 1]++;
        for (uint32_t s = 0; s < m->n_sides; s++)
            x->weights[item * m->n_sides + s] += m->row_weights[(size_t)row * m->n_sides + s];
    }
    for (uint32_t i = 0; i < n_items; i++)
        x->starts[i + 1] += x->starts[i];
    memcpy(x->at, x->starts, n_items * sizeof *x->at);
    for (uint32_t i = 0; i < n; i++)
        x->some[x->at[m->items[(size_t)x->rows[i] * m->n_dims + c]]++] = x->rows[i];
}

/* All closed patterns that one item more makes of pattern `number`. */
static enum err extend(struct level_search *x, uint32_t number)
{
    struct miner *m = x->m;
    const uint16_t *from = x->found[number].items;
    uint32_t n = 0;
    for (uint32_t r = 0; r < m->n_rows; r++) {
        if (pattern_matches(m, from, r)) x->rows[n++] = r;
    }
    for (uint32_t c = 0; c < m->n_dims; c++) {
        if (from[c] != ITEM_STAR) continue;
        sort_by_item(x, c, n);
        for (uint32_t item = 1; item <= m->dims[c].n_items; item++) {
            struct pattern p;
            if (!heavy(m, &x->weights[item * m->n_sides])) continue;
            memcpy(x->items, from, m->n_dims * sizeof *from);
            x->items[c] = (uint16_t)item;
            pattern_close(m, x->items, x->some + x->starts[item],
                          x->starts[item + 1] - x->starts[item], &p);
            TRY(add(x, &p));
        }
        TRY(whole_check(m->w));
    }
    return OK;
}

static enum err open_search(struct level_search *x)
{
    struct miner *m = x->m;
    struct arena *a = &m->w->m->a;
    uint32_t most = 0;
    for (uint32_t c = 0; c < m->n_dims; c++)
        most = m->dims[c].n_items > most ? m->dims[c].n_items : most;
    x->seen = whole_numbering(m->w);
    x->items = arena_array(a, uint16_t, m->n_dims + 1);
    x->rows = arena_array(a, uint32_t, (size_t)m->n_rows + 1);
    x->some = arena_array(a, uint32_t, (size_t)m->n_rows + 1);
    x->starts = arena_array(a, uint32_t, most + 3);
    x->at = arena_array(a, uint32_t, most + 3);
    x->weights = arena_array(a, double, ((size_t)most + 2) * m->n_sides);
    bool room = x->items != NULL && x->rows != NULL && x->some != NULL && x->starts != NULL &&
                x->at != NULL && x->weights != NULL;
    return room ? OK : ERR_LIMIT;
}

enum err miner_closed(struct miner *m, uint32_t dims_max, struct pattern **out, uint32_t *n)
{
    struct level_search x = {.m = m};
    struct pattern all;
    TRY(open_search(&x));
    pattern_close(m, x.items, NULL, m->n_rows, &all);
    TRY(add(&x, &all));
    uint32_t next = 0;
    for (uint32_t level = 0; level < dims_max && next < x.seen.n; level++) {
        for (uint32_t end = x.seen.n; next < end; next++)
            TRY(extend(&x, next));
    }
    bool empty = x.found[0].n_set == 0; /* stars alone */
    *out = x.found + empty;
    *n = x.seen.n - empty;
    return OK;
}
