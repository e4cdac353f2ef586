/* SPDX-License-Identifier: Apache-2.0 */
/* exec/pattern_choose.c - the better of patterns, and which of them say the same */
#include "exec/pattern.h"

#include <math.h>
#include <stdlib.h>

double pattern_percent(const struct miner *m, const struct pattern *p, uint32_t side)
{
    return m->total[side] > 0 ? 100 * p->weight[side] / m->total[side] : 0;
}

enum err found_closed(struct miner *m, uint32_t dims_max, struct found *out)
{
    struct pattern *closed;
    TRY(miner_closed(m, dims_max, &closed, &out->n));
    out->at = arena_array(&m->w->m->a, struct scored, out->n + 1);
    if (out->at == NULL) return ERR_LIMIT;
    for (uint32_t i = 0; i < out->n; i++)
        out->at[i].p = closed[i];
    return OK;
}

static int by_score(const void *x, const void *y, void *miner)
{
    const struct scored *a = x, *b = y;
    double wa = a->p.weight[0] + a->p.weight[1], wb = b->p.weight[0] + b->p.weight[1];
    if (a->score != b->score) return a->score > b->score ? -1 : 1;
    if (wa != wb) return wa > wb ? -1 : 1;
    return pattern_cmp(miner, &a->p, &b->p);
}

void found_sort(struct miner *m, struct found *f)
{
    if (f->n > 1) qsort_r(f->at, f->n, sizeof *f->at, by_score, m);
}

enum err found_unrelated(struct miner *m, struct found *f)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        bool related = false;
        for (uint32_t k = 0; k < kept && !related; k++)
            related = patterns_related(m, &f->at[k].p, &f->at[i].p);
        if (!related) f->at[kept++] = f->at[i];
        if (i % 64 == 0) TRY(whole_check(m->w));
    }
    f->n = kept;
    return OK;
}

enum err found_differing(struct miner *m, double share, uint32_t set_min, struct found *f)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->n; i++) {
        struct scored now = f->at[i];
        double a = pattern_percent(m, &now.p, 0), b = pattern_percent(m, &now.p, 1);
        if (fabs(a - b) < 100 * share * (1 - 1e-12) || now.p.n_set < set_min) continue;
        now.score = (a - b) * (a - b) / fmax(a, b);
        f->at[kept++] = now;
    }
    f->n = kept;
    found_sort(m, f);
    return found_unrelated(m, f);
}
