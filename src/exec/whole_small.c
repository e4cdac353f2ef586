/* SPDX-License-Identifier: Apache-2.0 */
/* exec/whole_small.c - plugins of a few lines: narrow, pivot, rows_near, schema_merge */
#include "exec/whole.h"
#include "func/kernel.h"

#include "base/map.h"

/* --- narrow: a row for each cell -------------------------------------------------------------- */

enum err whole_narrow(struct whole *w)
{
    const struct schema *in = &w->op->input->schema;
    CLEANUP_BUF struct buf text = {0};
    for (uint32_t i = 0; i < w->n; i++) {
        if (i % 256 == 0) TRY(whole_check(w));
        for (uint32_t c = 0; c < in->n; c++) {
            struct value v = vec_value(&w->cols[c], i);
            buf_clear(&text);
            if (!v.is_null) value_to_text(&v, &text);
            vecb_i64(&w->out[0], i);
            vecb_str_borrow(&w->out[1], bytes_str(in->cols[c].name));
            vecb_str(&w->out[2], buf_view(&text));
        }
    }
    return buf_check(&text, w->d);
}

/* --- pivot (plan.h) --------------------------------------------------------------------------- */

enum err whole_pivot(struct whole *w)
{
    const struct pivot_values *p = w->op->whole.more;
    struct arena *a = &w->m->a;
    struct numbering groups = whole_numbering(w);
    uint32_t *numbers = arena_array(a, uint32_t, w->n), *first = arena_array(a, uint32_t, w->n);
    uint32_t value_col = p->n_keys, agg_col = p->n_keys + 1;
    if (numbers == NULL || first == NULL) return query_full(w->q, w->d);
    TRY(number_rows(&groups, w->cols, p->n_keys, w->n, numbers, w->d));
    uint32_t n_groups = groups.n;
    for (uint32_t i = w->n; i-- > 0;)
        first[numbers[i]] = i;
    uint32_t *cells = arena_array(a, uint32_t, (size_t)n_groups * p->n + 1); /* row + 1 */
    if (cells == NULL) return query_full(w->q, w->d);
    struct map places = {0};
    enum err e = OK;
    for (uint32_t k = 0; e == OK && k < p->n; k++)
        e = map_put(&places, bytes_str(p->names[k]), (void *)&p->names[k], NULL, w->d);
    for (uint32_t i = 0; e == OK && i < w->n; i++) {
        const char **at = map_get(&places, vec_str(&w->cols[value_col], i));
        if (at != NULL) cells[(size_t)numbers[i] * p->n + (size_t)(at - p->names)] = i + 1;
    }
    map_release(&places);
    TRY(e);
    for (uint32_t g = 0; g < n_groups; g++) {
        if (g % 256 == 0) TRY(whole_check(w));
        for (uint32_t k = 0; k < p->n_keys; k++)
            whole_copy(w, k, &w->cols[k], first[g]);
        for (uint32_t k = 0; k < p->n; k++) {
            uint32_t row = cells[(size_t)g * p->n + k];
            if (row != 0)
                whole_copy(w, p->n_keys + k, &w->cols[agg_col], row - 1);
            else
                vecb_value_borrow(&w->out[p->n_keys + k], &w->consts[0]);
        }
    }
    return OK;
}

/* --- rows_near: rows with a condition (the last column), and those around them ---------------- */

enum err whole_rows_near(struct whole *w)
{
    uint32_t n_cols = w->op->schema.n;
    const struct vec *hit = &w->cols[n_cols];
    int64_t before = w->consts[0].i, after = w->consts[1].i, next = 0, last = -1;
    if (w->consts[0].is_null || w->consts[1].is_null || before < 0 || after < 0) {
        return FAIL(w->d, ERR_INVALID, "rows_near: the numbers of rows must be 0 or more");
    }
    for (int64_t i = 0; i < w->n; i++) {
        if (i % 1024 == 0) TRY(whole_check(w));
        if (vec_null(hit, (uint32_t)i) || !vec_bool(hit, (uint32_t)i)) continue;
        if (next < i - before) next = i - before;
        last = after < (int64_t)w->n - 1 - i ? i + after : (int64_t)w->n - 1;
        for (; next <= last; next++) {
            for (uint32_t c = 0; c < n_cols; c++)
                whole_copy(w, c, &w->cols[c], (uint32_t)next);
        }
    }
    return OK;
}

/* --- schema_merge: each column once, with its place in the merged order ----------------------- */

enum err whole_schema_merge(struct whole *w)
{
    struct map seen = {0};
    enum err e = OK;
    int64_t n = 0;
    uint32_t *first = arena_array(&w->m->a, uint32_t, w->n);
    if (first == NULL) return query_full(w->q, w->d);
    for (uint32_t i = 0; e == OK && i < w->n; i++) {
        struct bytes name = vec_str(&w->cols[0], i);
        uint32_t *at = map_get(&seen, name);
        if (at != NULL) {
            if (bytes_eq(vec_str(&w->cols[3], *at), vec_str(&w->cols[3], i))) continue;
            e = FAIL(w->d, ERR_INVALID, "schema_merge: the column '%.*s' has two types",
                     (int)(name.len < 100 ? name.len : 100), (const char *)name.p);
            continue;
        }
        first[n] = i;
        e = map_put(&seen, name, &first[n], NULL, w->d);
        if (e != OK) continue;
        whole_copy(w, 0, &w->cols[0], i);
        vecb_i64(&w->out[1], n++);
        whole_copy(w, 2, &w->cols[2], i);
        whole_copy(w, 3, &w->cols[3], i);
    }
    map_release(&seen);
    return e;
}
