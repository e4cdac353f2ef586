/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/materialize.c - rows that are computed once and read by several: materialize()
 *
 * Plain rows of a table are not kept: reading them again gives the same, and lets conditions and
 * unused columns be skipped. All else is run once, with all its columns, and kept until the query
 * ends. What depends on no group is kept by the query around the groups.
 */
#include "exec/run.h"

bool op_is_kept(const struct op *op)
{
    return !op_is_plain_table(op->input);
}

static enum err keep(struct query *q, const struct op *op, const struct relation **out,
                     struct diag *d)
{
    for (const struct kept *k = q->kept; k != NULL; k = k->next) {
        *out = &k->rows;
        if (k->op == op) return OK;
    }
    struct kept *k = arena_new(&q->mem.a, struct kept);
    bool *needed = arena_array(&q->mem.a, bool, op->schema.n);
    if (k == NULL || needed == NULL) return query_full(q, d);
    for (uint32_t i = 0; i < op->schema.n; i++)
        needed[i] = true;
    TRY(run_relation(q, op->input, needed, &k->rows, d));
    k->op = op;
    k->next = q->kept;
    q->kept = k;
    *out = &k->rows;
    return OK;
}

enum err materialize_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                         struct diag *d)
{
    struct query *owner = p->q;
    const struct relation *rows;
    while (owner->group_depth > op->group_depth)
        owner = owner->outer;
    TRY(keep(owner, op, &rows, d));
    return borrowed_leg(p, rows, next, d);
}

void kept_release(struct query *q)
{
    for (struct kept *k = q->kept; k != NULL; k = k->next)
        relation_release(q, &k->rows);
    q->kept = NULL;
}
