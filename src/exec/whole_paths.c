/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/whole_paths.c - edges of variable length: all paths from each row's node, or the shortest
 *
 * Nodes are numbered, edges are listed by the node that they leave. A search goes depth first, with
 * the edges of its path as the only memory of where it was, so a node with many paths costs their
 * number, and the query's limits end it. For the shortest paths a search in breadth first says how
 * far each node is, and only edges that lead one step away are then followed. An edge against whose
 * node or self something required speaks is not followed.
 */
#include "exec/key.h"
#include "exec/whole.h"

#include "base/map.h"
#include "column/dyn.h"

#define NOWHERE UINT32_MAX
enum { COL_FROM, COL_TO, COL_ROW, COL_VALUES }; /* of the edges */

struct paths {
    struct whole *w;
    const struct path_search *s;
    uint32_t n_nodes;
    uint32_t *to;               /* per edge: the node's number */
    uint32_t *first, *edges;    /* of node i: edges[first[i]] to edges[first[i + 1]] */
    bool *barred, *ends;        /* per edge: not to be followed; its node may only end a path */
    uint32_t *distance, *queue; /* of the nodes that were reached; NOWHERE */
    uint32_t n_queue;
    bool *given;             /* ONE_SHORTEST: a path to the node was given */
    uint32_t *path, *cursor; /* the edges under way, and what to try next behind each */
    uint32_t len;
    uint32_t start, row; /* NOWHERE: no edge knows the node; the input's row */
    uint64_t steps;
    struct buf dyn;
};

/* --- the graph ------------------------------------------------------------------------------- */

static enum err number_nodes(struct paths *p, struct map *numbers, const struct vec *ids,
                             uint32_t n, bool add, uint32_t *out)
{
    struct whole *w = p->w;
    struct bytes *keys = arena_array(&w->m->a, struct bytes, n);
    if (keys == NULL) return query_full(w->q, w->d);
    TRY(group_keys(&w->m->a, ids, 1, n, keys, w->d));
    for (uint32_t i = 0; i < n; i++) {
        const void *at = map_get(numbers, keys[i]);
        if (at == NULL && add) {
            at = (const void *)((uintptr_t)p->n_nodes++ + 1); /* a number, not a place */
            TRY(map_put(numbers, keys[i], (void *)(uintptr_t)at, NULL, w->d));
        }
        out[i] = at != NULL ? (uint32_t)((uintptr_t)at - 1) : NOWHERE;
    }
    return OK;
}

static bool is_true(const struct vec *v, uint32_t row)
{
    return !vec_null(v, row) && vec_value(v, row).b;
}

static void read_required(struct paths *p)
{
    for (uint32_t c = 0; c < p->s->n; c++) {
        if (!p->s->columns[c].required) continue;
        bool *out = p->s->columns[c].of_nodes ? p->ends : p->barred;
        for (uint32_t e = 0; e < p->w->n_second; e++)
            out[e] |= !is_true(&p->w->second[COL_VALUES + c], e);
    }
}

static void list_edges(struct paths *p, const uint32_t *from)
{
    uint32_t n = p->w->n_second;
    for (uint32_t e = 0; e < n; e++)
        p->first[from[e] + 1]++;
    for (uint32_t i = 0; i < p->n_nodes; i++)
        p->first[i + 1] += p->first[i];
    for (uint32_t e = n; e-- > 0;) { /* from the end of each list, so that order stays */
        uint32_t node = from[e];
        p->edges[p->first[node + 1] - ++p->distance[node]] = e;
    }
}

static enum err read_graph(struct paths *p, struct map *numbers, uint32_t *starts)
{
    struct whole *w = p->w;
    struct arena *a = &w->m->a;
    uint32_t n = w->n_second;
    uint32_t *from = arena_array(a, uint32_t, n);
    p->to = arena_array(a, uint32_t, n);
    p->edges = arena_array(a, uint32_t, n);
    p->barred = arena_array(a, bool, n);
    p->ends = arena_array(a, bool, n);
    if (from == NULL || p->to == NULL || p->edges == NULL || p->barred == NULL || p->ends == NULL)
        return query_full(w->q, w->d);
    TRY(number_nodes(p, numbers, &w->second[COL_FROM], n, true, from));
    TRY(number_nodes(p, numbers, &w->second[COL_TO], n, true, p->to));
    TRY(number_nodes(p, numbers, &w->cols[p->s->from], w->n, false, starts));
    p->first = arena_array(a, uint32_t, (size_t)p->n_nodes + 1);
    p->distance = arena_array(a, uint32_t, p->n_nodes);
    p->queue = arena_array(a, uint32_t, p->n_nodes);
    p->given = arena_array(a, bool, p->n_nodes);
    p->path = arena_array(a, uint32_t, p->s->len_max);
    p->cursor = arena_array(a, uint32_t, (size_t)p->s->len_max + 1);
    if (p->first == NULL || p->distance == NULL || p->queue == NULL || p->given == NULL ||
        p->path == NULL || p->cursor == NULL)
        return query_full(w->q, w->d);
    list_edges(p, from);
    for (uint32_t i = 0; i < p->n_nodes; i++)
        p->distance[i] = NOWHERE;
    read_required(p);
    return whole_check(w);
}

/* --- a path that was found ------------------------------------------------------------------- */

static enum err put_value(struct buf *out, const struct vec *v, uint32_t row, struct diag *d)
{
    struct value null = {.type = T_STRING, .is_null = true};
    if (vec_null(v, row)) return dyn_from_value(&null, out, d);
    if (v->type == T_DYNAMIC) {
        buf_bytes(out, vec_str(v, row));
        return OK;
    }
    struct value value = vec_value(v, row);
    return dyn_from_value(&value, out, d);
}

static enum err put_array(struct paths *p, uint32_t to, const struct vec *v, uint32_t n)
{
    struct vecb *out = &p->w->out[to];
    buf_clear(&p->dyn);
    size_t at = dyn_array_begin(&p->dyn);
    for (uint32_t i = 0; i < n; i++)
        TRY(put_value(&p->dyn, v, p->path[i], p->w->d));
    dyn_array_end(&p->dyn, at, n);
    TRY(buf_check(&p->dyn, p->w->d));
    vecb_str(out, buf_view(&p->dyn));
    return OK;
}

static enum err put_use(struct paths *p, uint32_t c, uint32_t to)
{
    const struct path_column *use = &p->s->columns[c];
    const struct vec *v = &p->w->second[COL_VALUES + c];
    uint32_t n = use->of_nodes && p->len > 0 ? p->len - 1 : p->len;
    if (use->value == PATH_EACH) return put_array(p, to, v, n);
    bool all = use->value == PATH_ALL, result = all;
    for (uint32_t i = 0; i < n && result == all; i++)
        result = is_true(v, p->path[i]);
    vecb_bool(&p->w->out[to], result);
    return OK;
}

static enum err give(struct paths *p)
{
    struct whole *w = p->w;
    uint32_t n = w->op->input->schema.n;
    for (uint32_t c = 0; c < n; c++)
        whole_copy(w, c, &w->cols[c], p->row);
    if (p->len == 0) {
        whole_copy(w, n, &w->cols[p->s->from], p->row);
    } else {
        whole_copy(w, n, &w->second[COL_TO], p->path[p->len - 1]);
    }
    TRY(put_array(p, n + 1, &w->second[COL_ROW], p->len));
    TRY(put_array(p, n + 2, &w->second[COL_TO], p->len > 0 ? p->len - 1 : 0));
    vecb_i64(&w->out[n + 3], p->len);
    for (uint32_t c = 0; c < p->s->n; c++)
        TRY(put_use(p, c, n + 4 + c));
    return OK;
}

/* --- depth first ----------------------------------------------------------------------------- */

static uint32_t node_at(const struct paths *p, uint32_t len)
{
    return len == 0 ? p->start : p->to[p->path[len - 1]];
}

static bool was_here(const struct paths *p, uint32_t edge)
{
    int64_t row = vec_value(&p->w->second[COL_ROW], edge).i;
    if (p->s->cycles == CYCLES_ALL) return false;
    if (p->s->cycles == CYCLES_NONE && p->to[edge] == p->start) return true;
    for (uint32_t i = 0; i < p->len; i++) {
        bool same = p->s->cycles == CYCLES_NONE
                        ? p->to[p->path[i]] == p->to[edge]
                        : vec_value(&p->w->second[COL_ROW], p->path[i]).i == row;
        if (same) return true;
    }
    return false;
}

/* Of the shortest paths: does the edge lead one step further away, or back to the start, which
 * is as far as the shortest way round? */
static bool leads_on(const struct paths *p, uint32_t edge)
{
    return p->s->which == PATHS_ALL || p->distance[p->to[edge]] == p->len + 1;
}

static bool may_follow(const struct paths *p, uint32_t edge)
{
    return !p->barred[edge] && leads_on(p, edge) && !was_here(p, edge);
}

static bool may_go_on(const struct paths *p)
{
    if (p->len == p->s->len_max) return false;
    if (p->len == 0) return true;
    bool round = p->s->which != PATHS_ALL && node_at(p, p->len) == p->start;
    return !round && !p->ends[p->path[p->len - 1]];
}

static enum err arrive(struct paths *p)
{
    uint32_t node = node_at(p, p->len);
    if (p->len < p->s->len_min) return OK;
    if (p->s->which == PATHS_ONE_SHORTEST && node != NOWHERE) {
        if (p->given[node]) return OK;
        p->given[node] = true;
    }
    return give(p);
}

static enum err walk(struct paths *p)
{
    p->len = 0;
    TRY(arrive(p));
    if (p->start == NOWHERE || p->s->len_max == 0) return OK;
    p->cursor[0] = p->first[p->start];
    for (;;) {
        if (++p->steps % 1024 == 0) TRY(whole_check(p->w));
        uint32_t node = node_at(p, p->len);
        if (!may_go_on(p) || p->cursor[p->len] == p->first[node + 1]) {
            if (p->len == 0) return OK;
            p->len--;
            continue;
        }
        uint32_t edge = p->edges[p->cursor[p->len]++];
        if (!may_follow(p, edge)) continue;
        p->path[p->len++] = edge;
        p->cursor[p->len] = p->first[p->to[edge]];
        TRY(arrive(p));
    }
}

/* --- breadth first --------------------------------------------------------------------------- */

/* The start has the distance of the shortest way round, unless a path of no edge is asked for. */
static enum err measure(struct paths *p)
{
    uint32_t done = 0;
    p->n_queue = 0;
    if (p->start == NOWHERE) return OK;
    bool round = p->s->len_min > 0 && p->s->cycles != CYCLES_NONE;
    for (uint32_t at = p->start, depth = 0; depth < p->s->len_max;) {
        for (uint32_t i = p->first[at]; i < p->first[at + 1]; i++) {
            uint32_t edge = p->edges[i], to = p->to[edge];
            if (p->barred[edge] || p->distance[to] != NOWHERE || (to == p->start && !round))
                continue;
            p->distance[to] = depth + 1;
            p->queue[p->n_queue++] = to;
        }
        if (++p->steps % 1024 == 0) TRY(whole_check(p->w));
        while (done < p->n_queue && p->queue[done] == p->start)
            done++;
        if (done == p->n_queue) return OK;
        at = p->queue[done++];
        depth = p->distance[at];
    }
    return OK;
}

static void forget(struct paths *p)
{
    for (uint32_t i = 0; i < p->n_queue; i++) {
        p->distance[p->queue[i]] = NOWHERE;
        p->given[p->queue[i]] = false;
    }
    if (p->start != NOWHERE) p->given[p->start] = false;
}

/* --- all rows -------------------------------------------------------------------------------- */

static enum err search(struct paths *p, struct map *numbers)
{
    struct whole *w = p->w;
    uint32_t *starts = arena_array(&w->m->a, uint32_t, w->n);
    if (starts == NULL) return query_full(w->q, w->d);
    TRY(read_graph(p, numbers, starts));
    for (p->row = 0; p->row < w->n; p->row++) {
        p->start = starts[p->row];
        if (p->s->which != PATHS_ALL) TRY(measure(p));
        TRY(walk(p));
        if (p->s->which != PATHS_ALL) forget(p);
    }
    return OK;
}

enum err whole_paths(struct whole *w)
{
    struct map numbers = {0};
    struct paths p = {.w = w, .s = w->op->whole.more};
    enum err e = search(&p, &numbers);
    map_release(&numbers);
    buf_release(&p.dyn);
    return e;
}
