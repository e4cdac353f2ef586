/* SPDX-License-Identifier: Apache-2.0 */
/* exec/parts.c - rows that leave memory in parts, by the hash of their key */
#include "exec/spilled.h"

#include <stdlib.h>

static void empty(struct parts *p)
{
    for (uint32_t i = 0; i < PARTS; i++)
        rowbuf_init(&p->waiting[i], p->q, &p->rows, p->schema, p->needed, false);
}

void parts_open(struct parts *p, struct query *q, const struct schema *schema, const bool *needed,
                unsigned level)
{
    *p = (struct parts){.q = q, .schema = schema, .needed = needed, .level = level};
    mem_open(q, &p->rows);
    mem_open(q, &p->book);
    empty(p);
}

void parts_close(struct parts *p)
{
    if (p->q == NULL) return;
    mem_close(p->q, &p->rows);
    mem_close(p->q, &p->book);
    *p = (struct parts){0};
}

static enum err write_part(struct parts *p, uint32_t i, struct diag *d)
{
    for (const struct chunk *c = p->waiting[i].first; c != NULL; c = c->next) {
        struct batch b;
        TRY(rowbuf_batch(&p->waiting[i], c, &p->rows.a, &b, d));
        TRY(spill_list_add(p->q, &p->written[i], &p->book, &b, c->unit, d));
    }
    return OK;
}

static enum err write_all(struct parts *p, struct diag *d)
{
    mem_settle(p->q, &p->book);
    for (uint32_t i = 0; i < PARTS; i++)
        TRY(write_part(p, i, d));
    mem_clear(p->q, &p->rows);
    empty(p);
    return OK;
}

enum err parts_add(struct parts *p, const struct batch *b, const uint64_t *hashes, uint32_t unit,
                   struct arena *scratch, struct diag *d)
{
    uint32_t *rows = arena_array(scratch, uint32_t, b->n_rows), ends[PARTS + 1] = {0};
    if (rows == NULL) return query_full(p->q, d);
    for (uint32_t i = 0; i < b->n_rows; i++)
        ends[part_of(hashes[i], p->level) + 1]++;
    for (uint32_t k = 0; k < PARTS; k++)
        ends[k + 1] += ends[k];
    for (uint32_t i = 0; i < b->n_rows; i++) /* ends[k] is part k's next place, then its end */
        rows[ends[part_of(hashes[i], p->level)]++] = i;
    for (uint32_t k = 0, from = 0; k < PARTS; from = ends[k++]) {
        if (from == ends[k]) continue;
        TRY(rowbuf_append(&p->waiting[k], b, rows + from, ends[k] - from, unit, NULL, d));
    }
    return p->rows.charged < spill_share(p->q) >> p->level ? OK : write_all(p, d);
}

/* --- reading ---------------------------------------------------------------------------------- */

static int by_unit(const void *a, const void *b)
{
    const struct part_rows *x = a, *y = b;
    if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
    return x->no < y->no ? -1 : x->no > y->no; /* a unit is all of one worker */
}

enum err parts_list(struct parts *const *p, unsigned n, uint32_t i, struct arena *a,
                    struct part_rows **out, uint32_t *n_out, struct diag *d)
{
    uint32_t count = 0, at = 0;
    for (unsigned w = 0; w < n; w++)
        count += p[w]->written[i].n + p[w]->waiting[i].n_chunks;
    struct part_rows *list = arena_array(a, struct part_rows, count);
    if (list == NULL) return arena_full(a, d);
    for (unsigned w = 0; w < n; w++) {
        uint32_t no = 0;
        for (uint32_t k = 0; k < p[w]->written[i].n; k++) {
            const struct spilled *s = &p[w]->written[i].p[k];
            list[at++] = (struct part_rows){p[w], s, NULL, s->unit, no++, s->n_rows};
        }
        for (const struct chunk *c = p[w]->waiting[i].first; c != NULL; c = c->next)
            list[at++] = (struct part_rows){p[w], NULL, c, c->unit, no++, c->n};
    }
    qsort(list, count, sizeof *list, by_unit);
    *out = list;
    *n_out = count;
    return OK;
}

enum err part_read(struct query *q, const struct part_rows *r, struct arena *a, struct batch *out,
                   struct diag *d)
{
    if (r->spilled != NULL) return spill_in(q, r->spilled, r->of->schema, a, out, d);
    return rowbuf_batch(&r->of->waiting[0], r->chunk, a, out, d); /* all have one schema */
}
