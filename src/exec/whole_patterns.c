/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_patterns.c - basket, autocluster, diffpatterns: rows that share values (plan.h)
 *
 * Counts and shares are exact: of all rows, not of a sample. Which patterns are given:
 *
 *   basket        every closed pattern of the threshold's share, best first. Best: rows times values,
 *                 the order of both printed answers, which have closed patterns only.
 *   autocluster   Seed-Expand: from a row on, the value goes that holds the most rows back, until one is
 *                 left; the best pattern of the way is kept. Best: share of rows ^ weight of size times
 *                 share of columns ^ the rest, as documented. Seeds are rows at even distances.
 *   diffpatterns  closed patterns whose shares of A and B differ by the threshold. Better: difference
 *                 times difference over the greater share. The greatest difference comes first.
 *
 * Of patterns that are related autocluster and diffpatterns keep the best only.
 */
#include "exec/pattern.h"

#include <math.h>
#include <stdlib.h>

#define SEEDS_MAX 1000

struct search {
    struct whole *w;
    const struct pattern_columns *c;
    struct miner m;
    uint32_t *columns; /* by dimension */
    struct found found;
};

/* --- reading ---------------------------------------------------------------------------------- */

static enum err read_weights(struct search *s)
{
    struct whole *w = s->w;
    double *weights = arena_array(&w->m->a, double, (size_t)w->n + 1);
    if (weights == NULL) return ERR_LIMIT;
    const struct vec *v = s->c->weight != PATTERN_NONE ? &w->cols[s->c->weight] : NULL;
    for (uint32_t i = 0; i < w->n; i++) {
        if (v == NULL)
            weights[i] = 1;
        else if (!vec_null(v, i))
            weights[i] = v->type == T_REAL ? vec_r64(v, i) : (double)vec_i64(v, i);
        if (!isfinite(weights[i])) weights[i] = 0;
    }
    s->m.weights = weights;
    return OK;
}

static enum err read_sides(struct search *s)
{
    struct whole *w = s->w;
    uint8_t *sides = arena_array(&w->m->a, uint8_t, (size_t)w->n + 1);
    if (sides == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < w->n && s->m.n_sides == 2; i++) {
        struct bytes text = vec_str(&w->cols[s->c->split_text], i);
        sides[i] = bytes_eq(text, w->consts[2].s) ? 0 : bytes_eq(text, w->consts[3].s) ? 1 : 2;
    }
    s->m.sides = sides;
    return OK;
}

static enum err read_dimensions(struct search *s)
{
    struct whole *w = s->w;
    uint32_t *numbers = arena_array(&w->m->a, uint32_t, (size_t)w->n + 1);
    if (numbers == NULL) return ERR_LIMIT;
    for (uint32_t d = 0; d < s->m.n_dims; d++) {
        struct numbering values = whole_numbering(w);
        TRY(number_rows(&values, &w->cols[s->columns[d]], 1, w->n, numbers, w->d));
        TRY(miner_dimension(&s->m, d, numbers, values.n));
    }
    return miner_pack(&s->m);
}

static enum err read_table(struct search *s, struct whole *w, uint32_t n_sides, double share)
{
    *s = (struct search){.w = w, .c = w->op->whole.more};
    s->m = (struct miner){.w = w, .n_sides = n_sides, .n_input = w->n};
    s->columns = arena_array(&w->m->a, uint32_t, s->c->n + 1);
    if (s->columns == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < s->c->n; i++) {
        if (i != s->c->weight && i != s->c->split) s->columns[s->m.n_dims++] = i;
    }
    TRY(read_weights(s));
    TRY(read_sides(s));
    TRY(miner_open(&s->m, share));
    return read_dimensions(s);
}

static enum err check_share(struct whole *w, const char *plugin)
{
    const struct value *v = &w->consts[0];
    if (!v->is_null && v->r >= SHARE_MIN && v->r <= 1) return OK;
    return FAIL(w->d, ERR_INVALID, "%s: the threshold must be between %.3f and 1", plugin,
                SHARE_MIN);
}

static enum err check_count(struct whole *w, const char *plugin, const char *what, int64_t most)
{
    const struct value *v = &w->consts[1];
    if (!v->is_null && v->i >= 1 && v->i <= most) return OK;
    return FAIL(w->d, ERR_INVALID, "%s: the number of %s must be between 1 and %lld", plugin, what,
                (long long)most);
}

static void score_by_rows(struct search *s)
{
    for (uint32_t i = 0; i < s->found.n; i++)
        s->found.at[i].score = s->found.at[i].p.weight[0] * s->found.at[i].p.n_set;
    found_sort(&s->m, &s->found);
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_columns(struct search *s, const struct pattern *p, uint32_t at)
{
    struct whole *w = s->w;
    for (uint32_t i = 0, d = 0; i < s->c->n; i++) {
        bool dimension = d < s->m.n_dims && s->columns[d] == i;
        uint16_t item = dimension ? p->items[d] : ITEM_STAR;
        uint32_t star = s->c->stars[i];
        if (item != ITEM_STAR)
            whole_copy(w, at + i, &w->cols[i], s->m.dims[d].first_rows[item - 1]);
        else if (star != PATTERN_NONE)
            vecb_value(&w->out[at + i], &w->consts[star]);
        else
            vecb_null(&w->out[at + i]);
        d += dimension;
    }
}

static enum err put_segments(struct search *s)
{
    for (uint32_t i = 0; i < s->found.n; i++) {
        const struct pattern *p = &s->found.at[i].p;
        vecb_i64(&s->w->out[0], i);
        vecb_i64(&s->w->out[1], llround(p->weight[0]));
        vecb_r64(&s->w->out[2], pattern_percent(&s->m, p, 0));
        put_columns(s, p, 3);
        if (i % 1024 == 0) TRY(whole_check(s->w));
    }
    return OK;
}

/* --- basket ----------------------------------------------------------------------------------- */

enum err whole_basket(struct whole *w)
{
    struct search s;
    TRY(check_share(w, "basket"));
    TRY(check_count(w, "basket", "dimensions", INT32_MAX));
    TRY(read_table(&s, w, 1, w->consts[0].r));
    TRY(found_closed(&s.m, (uint32_t)w->consts[1].i, &s.found));
    score_by_rows(&s);
    return put_segments(&s);
}

/* --- diffpatterns ----------------------------------------------------------------------------- */

static int by_difference(const void *x, const void *y, void *miner)
{
    const struct miner *m = miner;
    const struct scored *a = x, *b = y;
    double da = fabs(pattern_percent(m, &a->p, 0) - pattern_percent(m, &a->p, 1));
    double db = fabs(pattern_percent(m, &b->p, 0) - pattern_percent(m, &b->p, 1));
    if (da != db) return da > db ? -1 : 1;
    return pattern_cmp(m, &a->p, &b->p);
}

enum err whole_diffpatterns(struct whole *w)
{
    struct search s;
    TRY(check_share(w, "diffpatterns"));
    TRY(check_count(w, "diffpatterns", "dimensions", INT32_MAX));
    TRY(read_table(&s, w, 2, w->consts[0].r));
    TRY(found_closed(&s.m, (uint32_t)w->consts[1].i, &s.found));
    TRY(found_differing(&s.m, w->consts[0].r, 1, &s.found));
    if (s.found.n > 1) qsort_r(s.found.at, s.found.n, sizeof *s.found.at, by_difference, &s.m);
    for (uint32_t i = 0; i < s.found.n; i++) {
        const struct pattern *p = &s.found.at[i].p;
        double a = pattern_percent(&s.m, p, 0), b = pattern_percent(&s.m, p, 1);
        vecb_i64(&w->out[0], i);
        vecb_i64(&w->out[1], llround(p->weight[0]));
        vecb_i64(&w->out[2], llround(p->weight[1]));
        vecb_r64(&w->out[3], a);
        vecb_r64(&w->out[4], b);
        vecb_r64(&w->out[5], fabs(a - b));
        put_columns(&s, p, 6);
    }
    return whole_check(w);
}

/* --- autocluster ------------------------------------------------------------------------------ */

static double cluster_score(const struct search *s, const struct pattern *p)
{
    double size = s->w->consts[0].r;
    return pow(p->weight[0] / s->m.total[0], size) * pow((double)p->n_set / s->m.n_dims, 1 - size);
}

/* The dimension whose value holds the most rows back, the last of equal ones. */
static uint32_t narrowest(const struct search *s, const uint16_t *items, double *gain)
{
    const struct miner *m = &s->m;
    memset(gain, 0, m->n_dims * sizeof *gain);
    for (uint32_t r = 0; r < m->n_rows; r++) {
        const uint16_t *row = m->items + (size_t)r * m->n_dims;
        uint32_t differs = 0, where = 0;
        for (uint32_t c = 0; c < m->n_dims && differs < 2; c++) {
            if (items[c] == ITEM_STAR || items[c] == row[c]) continue;
            differs++;
            where = c;
        }
        if (differs == 1) gain[where] += m->row_weights[r];
    }
    uint32_t best = UINT32_MAX;
    for (uint32_t c = 0; c < m->n_dims; c++) {
        if (items[c] != ITEM_STAR && (best == UINT32_MAX || gain[c] >= gain[best])) best = c;
    }
    return best;
}

/* Keeps the best pattern on the way from the row's items to one of them. */
static enum err expand(struct search *s, uint32_t row)
{
    const struct miner *m = &s->m;
    struct arena *a = &s->w->m->a;
    uint16_t *items = arena_array(a, uint16_t, m->n_dims + 1);
    uint16_t *closed = arena_array(a, uint16_t, m->n_dims + 1);
    double *gain = arena_array(a, double, m->n_dims + 1);
    struct scored best = {.score = -1};
    if (items == NULL || closed == NULL || gain == NULL) return ERR_LIMIT;
    memcpy(items, m->items + (size_t)row * m->n_dims, m->n_dims * sizeof *items);
    for (uint32_t c = narrowest(s, items, gain); c != UINT32_MAX; c = narrowest(s, items, gain)) {
        struct scored now;
        memcpy(closed, items, m->n_dims * sizeof *items);
        pattern_close(m, closed, NULL, m->n_rows, &now.p);
        now.score = cluster_score(s, &now.p);
        if (now.p.weight[0] >= m->least[0] && now.score > best.score) {
            uint16_t *own = arena_array(a, uint16_t, m->n_dims + 1);
            if (own == NULL) return ERR_LIMIT;
            memcpy(own, closed, m->n_dims * sizeof *own);
            best = now;
            best.p.items = own;
        }
        items[c] = ITEM_STAR;
        TRY(whole_check(s->w));
    }
    if (best.score >= 0) s->found.at[s->found.n++] = best;
    return OK;
}

enum err whole_autocluster(struct whole *w)
{
    struct search s;
    const struct value *size = &w->consts[0];
    if (size->is_null || !(size->r >= 0 && size->r <= 1)) {
        return FAIL(w->d, ERR_INVALID, "autocluster: the weight of size must be between 0 and 1");
    }
    TRY(check_count(w, "autocluster", "seeds", SEEDS_MAX));
    TRY(read_table(&s, w, 1, SHARE_MIN));
    uint32_t n_seeds = (uint32_t)w->consts[1].i;
    s.found.at = arena_array(&w->m->a, struct scored, n_seeds + 1);
    if (s.found.at == NULL) return ERR_LIMIT;
    double passed = 0; /* weight of the rows before */
    for (uint32_t r = 0, seed = 0; r < s.m.n_rows; r++) {
        passed += s.m.row_weights[r];
        double mark = s.m.total[0] * (seed + 0.5) / n_seeds;
        if (seed == n_seeds || passed < mark) continue;
        TRY(expand(&s, r));
        while (seed < n_seeds && passed >= s.m.total[0] * (seed + 0.5) / n_seeds)
            seed++;
    }
    found_sort(&s.m, &s.found);
    TRY(found_unrelated(&s.m, &s.found));
    score_by_rows(&s);
    return put_segments(&s);
}
