/* SPDX-License-Identifier: Apache-2.0 */
/* ingest/rows.c - cells into typed columns */
#include "ingest/rows.h"

#include "column/dyn.h"
#include "func/kernel.h"
#include "json/rows.h"

#include <stdlib.h>

struct row_reader {
    struct json_rows *json;
    struct buf dyn;   /* a dynamic value in the making */
    size_t row_bytes; /* of the last text, on average: for the first size of columns */
};

struct reading { /* one call of rows_read() */
    struct row_reader *r;
    const struct schema *schema;
    int time_column; /* -1: none */
    int64_t now_ticks;
    struct vecb *cols;
    struct row_stats stats;
};

enum err row_reader_new(struct row_reader **out, struct diag *d)
{
    CLEANUP(row_reader_free) struct row_reader *r = calloc(1, sizeof *r);
    if (r == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    TRY(json_rows_new(&r->json, d));
    r->row_bytes = 500;
    *out = TAKE(r);
    return OK;
}

void row_reader_free(struct row_reader *r)
{
    if (r == NULL) return;
    json_rows_free(r->json);
    buf_release(&r->dyn);
    free(r);
}

void row_reader_forget(struct row_reader *r)
{
    json_rows_forget(r->json);
    buf_clear(&r->dyn);
}

static struct bytes cut(struct reading *g, struct bytes s)
{
    if (s.len <= FIELD_TEXT_MAX) return s;
    g->stats.cut_values++;
    s.len = FIELD_TEXT_MAX;
    while (s.len != 0 && (s.p[s.len] & 0xc0) == 0x80)
        s.len--; /* not inside a character */
    return s;
}

static void put_dynamic(struct reading *g, struct vecb *col, const struct json_cell *c)
{
    struct buf *dyn = &g->r->dyn;
    struct value v = {.type = T_STRING, .s = json_cell_text(c)};
    buf_clear(dyn);
    if (c->text_len > FIELD_DYNAMIC_MAX) {
        g->stats.cut_values++;
        vecb_null(col);
        return;
    }
    enum err e =
        c->kind == CELL_STRING ? dyn_from_value(&v, dyn, NULL) : dyn_from_json(v.s, dyn, NULL);
    if (e == OK && !dyn->bad) {
        vecb_str(col, buf_view(dyn));
    } else {
        g->stats.bad_values++;
        vecb_null(col);
    }
}

/* The cell as a value of its own type. */
static struct value value_of(const struct json_cell *c)
{
    switch (c->kind) {
    case CELL_BOOL: return (struct value){.type = T_BOOL, .b = c->b};
    case CELL_LONG: return (struct value){.type = T_LONG, .i = c->i};
    case CELL_REAL: return (struct value){.type = T_REAL, .r = c->r};
    default: return (struct value){.type = T_STRING, .s = json_cell_text(c)};
    }
}

static bool convert(const struct json_cell *c, enum type to, struct arena *a, struct value *out)
{
    struct value v = value_of(c);
    if (c->kind == CELL_COMPOUND) return false;
    if (c->kind != CELL_STRING && (to == T_DATETIME || to == T_TIMESPAN)) return false;
    if (c->kind == CELL_LONG && to == T_INT) { /* toint() would wrap */
        *out = (struct value){.type = T_INT, .i = c->i};
        return c->i >= INT32_MIN && c->i <= INT32_MAX;
    }
    if (to == T_DECIMAL && (c->kind == CELL_LONG || c->kind == CELL_REAL)) { /* all its digits */
        v = (struct value){.type = T_STRING, .s = json_cell_text(c)};
    }
    if (v.type == to) {
        *out = v;
        return true;
    }
    return value_cast(&v, to, a, out) && !out->is_null;
}

static void put_cell(struct reading *g, uint32_t i, const struct json_cell *c)
{
    struct vecb *col = &g->cols[i];
    enum type t = g->schema->cols[i].type;
    bool present = c->kind != CELL_ABSENT && c->kind != CELL_NULL;
    if (present && t == T_STRING) {
        vecb_str_borrow(col, cut(g, json_cell_text(c)));
        return;
    }
    if (present && t == T_DYNAMIC) {
        put_dynamic(g, col, c);
        return;
    }
    struct value v;
    if (present && convert(c, t, col->a, &v)) {
        vecb_value(col, &v);
        return;
    }
    if (present) g->stats.bad_values++;
    if ((int)i == g->time_column)
        vecb_i64(col, g->now_ticks); /* (2) */
    else
        vecb_null(col);
}

static enum err read_rows(struct reading *g, struct json_cell *cells, uint32_t *n, struct diag *d)
{
    for (;;) {
        bool more;
        TRY(json_rows_next(g->r->json, cells, &more, d));
        if (!more) return OK;
        for (uint32_t i = 0; i < g->schema->n; i++)
            put_cell(g, i, &cells[i]);
        ++*n;
    }
}

enum err rows_read(struct row_reader *r, struct bytes text, const struct schema *schema,
                   int64_t now_ticks, struct arena *a, struct batch *out, struct row_stats *stats,
                   struct diag *d)
{
    uint32_t n_cols = schema->n, n_rows = 0;
    struct reading g = {.r = r, .schema = schema, .now_ticks = now_ticks};
    const char **names = arena_array(a, const char *, n_cols);
    struct json_cell *cells = arena_array(a, struct json_cell, n_cols);
    struct vec *cols = arena_array(a, struct vec, n_cols);
    g.cols = arena_array(a, struct vecb, n_cols);
    if (names == NULL || cells == NULL || cols == NULL || g.cols == NULL) return arena_full(a, d);

    size_t expected = text.len / r->row_bytes + 16;
    for (uint32_t i = 0; i < n_cols; i++) {
        names[i] = schema->cols[i].name;
        vecb_init(&g.cols[i], a, schema->cols[i].type, (uint32_t)(expected + expected / 8));
    }
    g.time_column = schema_find(schema, "TimeGenerated");
    if (g.time_column >= 0 && schema->cols[g.time_column].type != T_DATETIME) g.time_column = -1;

    TRY(json_rows_open(r->json, text, names, n_cols, d));
    TRY(read_rows(&g, cells, &n_rows, d));
    for (uint32_t i = 0; i < n_cols; i++)
        TRY(vecb_finish(&g.cols[i], &cols[i], d));
    if (n_rows != 0) r->row_bytes = text.len / n_rows + 1;
    g.stats.unknown_fields = json_rows_unknown(r->json);
    if (stats != NULL) *stats = g.stats;
    *out = (struct batch){.n_rows = n_rows, .n_cols = n_cols, .cols = cols};
    return OK;
}
