/* SPDX-License-Identifier: Apache-2.0 */
/* exec/pattern.c - the table of items that patterns are looked for in */
#include "exec/pattern.h"

#include <stdlib.h>

static bool counts(const struct miner *m, uint32_t row)
{
    return m->sides[row] < m->n_sides && m->weights[row] > 0;
}

enum err miner_open(struct miner *m, double share)
{
    if (m->n_dims > DIMS_MAX) {
        return FAIL_TAG(m->w->d, ERR_LIMIT, "E_RUNAWAY_QUERY", "patterns over more than %d columns",
                        DIMS_MAX);
    }
    for (uint32_t i = 0; i < m->n_input; i++) {
        if (counts(m, i)) m->total[m->sides[i]] += m->weights[i];
    }
    for (uint32_t s = 0; s < m->n_sides;
         s++) /* a product such as 0.05 * 60 must not be more than 3 */
        m->least[s] = m->total[s] * share * (1 - 1e-12);
    m->dims = arena_array(&m->w->m->a, struct dimension, m->n_dims + 1);
    return m->dims != NULL ? OK : ERR_LIMIT;
}

static bool is_item(const struct miner *m, const double *weight)
{
    for (uint32_t s = 0; s < m->n_sides; s++) {
        if (weight[s] > 0 && weight[s] >= m->least[s]) return true;
    }
    return false;
}

/* Items are numbered in the order of their first rows. */
static enum err number_items(struct miner *m, struct dimension *d, const uint32_t *numbers,
                             const double *weights, uint32_t n_values)
{
    uint32_t *item_of = arena_array(&m->w->m->a, uint32_t, n_values + 1);
    d->first_rows = arena_array(&m->w->m->a, uint32_t, n_values + 1);
    if (item_of == NULL || d->first_rows == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < m->n_input; i++) {
        uint32_t v = numbers[i];
        if (v == UINT32_MAX || !counts(m, i) || !is_item(m, &weights[(size_t)v * m->n_sides]))
            continue;
        if (item_of[v] == 0) {
            if (d->n_items == ITEMS_MAX) {
                return FAIL_TAG(m->w->d, ERR_LIMIT, "E_RUNAWAY_QUERY",
                                "patterns over a column with more than %d values of their own",
                                ITEMS_MAX);
            }
            d->first_rows[d->n_items++] = i;
            item_of[v] = d->n_items;
        }
        d->of_row[i] = (uint16_t)item_of[v];
    }
    return OK;
}

enum err miner_dimension(struct miner *m, uint32_t dim, const uint32_t *numbers, uint32_t n_values)
{
    struct arena *a = &m->w->m->a;
    struct dimension *d = &m->dims[dim];
    double *weights = arena_array(a, double, (size_t)n_values * m->n_sides + 1);
    d->of_row = arena_array(a, uint16_t, (size_t)m->n_input + 1);
    if (weights == NULL || d->of_row == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < m->n_input; i++) {
        if (numbers[i] != UINT32_MAX && counts(m, i))
            weights[(size_t)numbers[i] * m->n_sides + m->sides[i]] += m->weights[i];
    }
    TRY(number_items(m, d, numbers, weights, n_values));
    return whole_check(m->w);
}

enum err miner_pack(struct miner *m)
{
    struct arena *a = &m->w->m->a;
    struct numbering rows = whole_numbering(m->w);
    size_t width = m->n_dims * sizeof(uint16_t);
    uint16_t *row = arena_array(a, uint16_t, m->n_dims + 1);
    uint32_t *number = arena_array(a, uint32_t, (size_t)m->n_input + 1);
    if (row == NULL || number == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < m->n_input; i++) {
        if (i % 4096 == 0) TRY(whole_check(m->w));
        if (!counts(m, i)) continue;
        for (uint32_t c = 0; c < m->n_dims; c++)
            row[c] = m->dims[c].of_row[i];
        TRY(number_of(&rows, bytes_of(row, width), true, &number[i]));
    }
    m->n_rows = rows.n;
    m->items = arena_array(a, uint16_t, (size_t)rows.n * m->n_dims + 1);
    m->row_weights = arena_array(a, double, (size_t)rows.n * m->n_sides + 1);
    if (m->items == NULL || m->row_weights == NULL) return ERR_LIMIT;
    for (uint32_t r = 0; r < rows.n && width > 0; r++)
        memcpy(m->items + (size_t)r * m->n_dims, rows.keys[r].p, width);
    for (uint32_t i = 0; i < m->n_input; i++) {
        if (counts(m, i))
            m->row_weights[(size_t)number[i] * m->n_sides + m->sides[i]] += m->weights[i];
    }
    return whole_check(m->w);
}

/* --- patterns --------------------------------------------------------------------------------- */

void pattern_close(const struct miner *m, uint16_t *items, const uint32_t *rows, uint32_t n,
                   struct pattern *out)
{
    const uint16_t *first = NULL;
    *out = (struct pattern){.items = items};
    uint64_t open[BIT_WORDS(DIMS_MAX)] = {0}; /* dimensions in which a row differs from the first */
    for (uint32_t i = 0; i < n; i++) {
        uint32_t row = rows != NULL ? rows[i] : i;
        if (!pattern_matches(m, items, row)) continue;
        const uint16_t *r = m->items + (size_t)row * m->n_dims;
        if (first == NULL) first = r;
        for (uint32_t c = 0; c < m->n_dims; c++) {
            if (r[c] != first[c]) bit_set(open, c);
        }
        for (uint32_t s = 0; s < m->n_sides; s++)
            out->weight[s] += m->row_weights[(size_t)row * m->n_sides + s];
    }
    for (uint32_t c = 0; c < m->n_dims && first != NULL; c++) {
        if (!bit_get(open, c)) items[c] = first[c];
        out->n_set += items[c] != ITEM_STAR;
    }
}

bool patterns_related(const struct miner *m, const struct pattern *a, const struct pattern *b)
{
    const struct pattern *wide = a->n_set <= b->n_set ? a : b, *narrow = wide == a ? b : a;
    for (uint32_t c = 0; c < m->n_dims; c++) {
        if (wide->items[c] != ITEM_STAR && wide->items[c] != narrow->items[c]) return false;
    }
    return true;
}

int pattern_cmp(const struct miner *m, const struct pattern *a, const struct pattern *b)
{
    for (uint32_t c = 0; c < m->n_dims; c++) {
        if (a->items[c] == b->items[c]) continue;
        if (a->items[c] == ITEM_STAR || b->items[c] == ITEM_STAR)
            return a->items[c] == ITEM_STAR ? 1 : -1; /* values first */
        return a->items[c] < b->items[c] ? -1 : 1;
    }
    return 0;
}
