/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_components.c - graph-mark-components: nodes that edges connect have one number
 *
 * The input is the nodes, whose last column is their id; the other table is the edges' ends. Numbers
 * are given from 0 in the order of nodes.
 */
#include "exec/key.h"
#include "exec/whole.h"

#include "base/map.h"

/* The representative of a node's set; paths are halved on the way. */
static uint32_t root_of(uint32_t *parents, uint32_t i)
{
    while (parents[i] != i) {
        parents[i] = parents[parents[i]];
        i = parents[i];
    }
    return i;
}

static enum err connect(struct whole *w, const struct bytes *ids, uint32_t *parents)
{
    struct map nodes = {0};
    struct bytes *from = arena_array(&w->m->a, struct bytes, w->n_second),
                 *to = arena_array(&w->m->a, struct bytes, w->n_second);
    if (from == NULL || to == NULL) return query_full(w->q, w->d);
    TRY(group_keys(&w->m->a, &w->second[0], 1, w->n_second, from, w->d));
    TRY(group_keys(&w->m->a, &w->second[1], 1, w->n_second, to, w->d));
    enum err e = OK;
    for (uint32_t i = 0; e == OK && i < w->n; i++) {
        parents[i] = i;
        if (map_get(&nodes, ids[i]) == NULL) e = map_put(&nodes, ids[i], &parents[i], NULL, w->d);
    }
    for (uint32_t i = 0; e == OK && i < w->n_second; i++) {
        const uint32_t *x = map_get(&nodes, from[i]), *y = map_get(&nodes, to[i]);
        if (x == NULL || y == NULL) continue;
        uint32_t a = root_of(parents, (uint32_t)(x - parents));
        uint32_t b = root_of(parents, (uint32_t)(y - parents));
        parents[a > b ? a : b] = a > b ? b : a; /* the first node stands for all */
    }
    map_release(&nodes);
    return e;
}

enum err whole_components(struct whole *w)
{
    uint32_t n_cols = w->op->input->schema.n;
    struct bytes *ids = arena_array(&w->m->a, struct bytes, w->n);
    uint32_t *parents = arena_array(&w->m->a, uint32_t, w->n);
    int64_t *numbers = arena_array(&w->m->a, int64_t, w->n), next = 0;
    if (ids == NULL || parents == NULL || numbers == NULL) return query_full(w->q, w->d);
    TRY(group_keys(&w->m->a, &w->cols[n_cols - 1], 1, w->n, ids, w->d));
    TRY(connect(w, ids, parents));
    for (uint32_t i = 0; i < w->n; i++) {
        if (i % 1024 == 0) TRY(whole_check(w));
        uint32_t root = root_of(parents, i);
        numbers[i] = root == i ? next++ : numbers[root];
        for (uint32_t c = 0; c + 1 < n_cols; c++)
            whole_copy(w, c, &w->cols[c], i);
        vecb_i64(&w->out[n_cols - 1], numbers[i]);
        whole_copy(w, n_cols, &w->cols[n_cols - 1], i);
    }
    return OK;
}
