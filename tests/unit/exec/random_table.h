/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/random_table.h - two tables of random rows with a column of every type; a source that
 * hands them out in units of any size, columns plain, constant or coded, and skips what hints rule out
 */
#pragma once

#include "dice.h"
#include "interpreter.h"

#include "base/map.h"
#include "column/decimal.h"
#include "kql/kql.h"

#include <ctype.h>
#include <math.h>

/* --- values ------------------------------------------------------------------------------------- */

static const char *const texts[] = {
    "",           "a",          "abc",       "ABC def", "x,y;z",   "42",
    "-7",         "3.5",        "true",      "null",    "a b",     "10.1.2.3",
    "2024-02-29", "[1,2,null]", "{\"a\":1}", "b",       "Abc def", "\xce\xb1\xce\xb2"};
static const char *const json[] = {
    "null",     "1",       "2.5",  "\"x\"",        "true",          "[]",
    "{}",       "[1,2,3]", "\"\"", "[3,1,null,2]", "[\"b\",\"a\"]", "{\"a\":1,\"b\":[1]}",
    "{\"b\":2}"};

static int64_t random_long(void)
{
    static const int64_t ends[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 0, 1000000007};
    return rnd(16) == 0 ? PICK(ends) : (int64_t)rnd(19) - 6;
}

static double random_real(void)
{
    static const double ends[] = {NAN, INFINITY, -INFINITY, -0.0, 1e300, 1e-300};
    return rnd(8) == 0 ? PICK(ends) : ((double)rnd(80) - 20) / 4;
}

static struct value random_value(struct arena *a, enum type t)
{
    struct value v = {.type = t};
    CLEANUP_BUF struct buf b = {0};
    if (t != T_STRING && rnd(7) == 0) return no_value(t);
    switch (t) {
    case T_BOOL: v.b = rnd(2) != 0; break;
    case T_INT: v.i = (int32_t)random_long(); break;
    case T_LONG: v.i = random_long(); break;
    case T_REAL: v.r = random_real(); break;
    case T_DECIMAL: v.u = decimal_from_i64(rnd(9)); break;
    case T_STRING: v.s = bytes_str(PICK(texts)); break;
    case T_DATETIME: v.i = TICKS_UNIX + (int64_t)rnd(40) * 900 * TICKS_PER_S; break;
    case T_TIMESPAN: v.i = ((int64_t)rnd(40) - 10) * 900 * TICKS_PER_S; break;
    case T_GUID: v.u.b[0] = (uint8_t)rnd(4); break;
    default:
        REQUIRE_OK(dyn_from_json(bytes_str(PICK(json)), &b, NULL));
        v.s = arena_bytes(a, buf_view(&b));
        if (dyn_kind(v.s) == DYN_NULL) return no_value(t);
    }
    return v;
}

static void literal(const struct value *v, struct buf *out)
{
    CLEANUP_BUF struct buf text = {0}, dyn = {0};
    if (v->type == T_STRING) {
        buf_u8(out, '"');
        for (size_t i = 0; i < v->s.len; i++)
            buf_fmt(out, v->s.p[i] == '"' || v->s.p[i] == '\\' ? "\\%c" : "%c", v->s.p[i]);
        buf_u8(out, '"');
        return;
    }
    if (v->is_null) {
        buf_str(&text, "null");
    } else if (v->type == T_DYNAMIC) {
        dyn_to_json(v->s, &text);
    } else if (v->type == T_REAL && !isfinite(v->r)) {
        buf_str(&text, isnan(v->r) ? "nan" : v->r > 0 ? "+inf" : "-inf");
    } else {
        value_to_text(v, &text);
    }
    buf_fmt(out, "%s(%s)", type_name(v->type), buf_cstr(&text));
}

/* --- tables: the same rows in units of any size and shape ---------------------------------------- */

static const enum type column_types[] = {T_LONG,    T_INT,     T_LONG,     T_REAL,
                                         T_DECIMAL, T_STRING,  T_DATETIME, T_TIMESPAN,
                                         T_GUID,    T_DYNAMIC, T_BOOL};
static const char *const column_names[] = {"id", "i", "l", "r", "m", "s", "t", "d", "g", "y", "b"};
#define COLUMNS (sizeof column_types / sizeof *column_types)

struct random_table {
    struct schema schema;
    struct rows rows;
    uint32_t n_units, skipped;
    struct batch *units;
    bool prunes;
};

static struct random_table tables[2];

static struct rows rows_of(const void *table)
{
    return ((const struct random_table *)table)->rows;
}

static void table_fill(struct random_table *t, struct arena *a, uint32_t n)
{
    static struct column cols[COLUMNS];
    bool runs = rnd(2) != 0; /* the same value for a while: units of one value */
    for (uint32_t c = 0; c < COLUMNS; c++)
        cols[c] = (struct column){column_names[c], column_types[c]};
    *t = (struct random_table){.schema = {COLUMNS, cols}, .rows = {.n = n, .width = COLUMNS}};
    t->rows.at = arena_array(a, struct value, (size_t)n * COLUMNS + 1);
    for (uint32_t i = 0; i < n; i++) {
        struct value *row = row_at(&t->rows, i);
        row[0] = (struct value){.type = T_LONG, .i = i};
        for (uint32_t c = 1; c < COLUMNS; c++)
            row[c] = runs && i > 0 && rnd(9) != 0 ? row_at(&t->rows, i - 1)[c]
                                                  : random_value(a, column_types[c]);
    }
}

static struct vec flat(struct arena *a, const struct rows *r, uint32_t c, const uint32_t *rows,
                       uint32_t n)
{
    struct vecb b;
    struct vec v = {0};
    vecb_init(&b, a, column_types[c], n);
    for (uint32_t i = 0; i < n; i++) {
        struct value x = row_at(r, rows[i])[c];
        if (x.is_null)
            vecb_null(&b);
        else
            vecb_value(&b, &x);
    }
    REQUIRE_OK(vecb_finish(&b, &v, NULL));
    return v;
}

/* Rows [from, from + n) of a column: constant where they are all the same, else plain or coded. */
static struct vec unit_column(struct arena *a, const struct rows *r, uint32_t c, uint32_t from,
                              uint32_t n)
{
    uint32_t *rows = arena_array(a, uint32_t, n), *codes = arena_array(a, uint32_t, n), k = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t code = 0;
        while (code < k && !same_key(&row_at(r, rows[code])[c], &row_at(r, from + i)[c]))
            code++;
        if (code == k) rows[k++] = from + i;
        codes[i] = code;
        if (k > 300) break; /* no dictionary */
    }
    bool zero = column_types[c] == T_REAL; /* -0.0 is the same key as 0.0 */
    if (k == 1 && !zero && rnd(2) != 0) {
        struct vec v = flat(a, r, c, rows, 1);
        v.shape = VEC_CONST;
        v.n = n;
        return v;
    }
    if (k <= 300 && k <= n && !zero && rnd(2) != 0) {
        struct vec *dict = arena_new(a, struct vec);
        *dict = flat(a, r, c, rows, k);
        return (struct vec){
            .type = column_types[c], .shape = VEC_DICT, .n = n, .codes = codes, .dict = dict};
    }
    for (uint32_t i = 0; i < n; i++)
        rows[i] = from + i;
    return flat(a, r, c, rows, n);
}

static void table_cut(struct random_table *t, struct arena *a, uint32_t unit_rows)
{
    t->n_units = (t->rows.n + unit_rows - 1) / unit_rows;
    t->units = arena_array(a, struct batch, t->n_units + 1);
    for (uint32_t u = 0; u < t->n_units; u++) {
        uint32_t from = u * unit_rows, left = t->rows.n - from;
        uint32_t n = left < unit_rows ? left : unit_rows;
        struct vec *cols = arena_array(a, struct vec, COLUMNS);
        for (uint32_t c = 0; c < COLUMNS; c++)
            cols[c] = unit_column(a, &t->rows, c, from, n);
        t->units[u] = (struct batch){n, COLUMNS, cols};
    }
}

/* --- a source that skips what no row of can pass the hints ---------------------------------------- */

struct scan {
    struct random_table *t;
    uint32_t columns[COLUMNS], *units, n_units;
};

static bool may_pass(const struct value *v, const struct scan_hint *h)
{
    CLEANUP_BUF struct buf low = {0}, term = {0};
    if (h->op == HINT_HAS_TERM) {
        for (size_t i = 0; i < v->s.len; i++)
            buf_u8(&low, (uint8_t)tolower(v->s.p[i]));
        for (size_t i = 0; i < h->value.s.len; i++)
            buf_u8(&term, (uint8_t)tolower(h->value.s.p[i]));
        return strstr(buf_cstr(&low), buf_cstr(&term)) != NULL;
    }
    if (v->is_null || h->value.is_null) return false;
    int c = value_cmp(v, &h->value);
    switch (h->op) {
    case HINT_EQ: return c == 0;
    case HINT_LT: return c < 0;
    case HINT_LE: return c <= 0;
    case HINT_GT: return c > 0;
    default: return c >= 0;
    }
}

static bool unit_may_pass(const struct batch *unit, const struct scan_hint *hints, uint32_t n)
{
    for (uint32_t h = 0; h < n; h++) {
        bool any = false;
        for (uint32_t i = 0; i < unit->n_rows && !any; i++) {
            struct value v = vec_value(&unit->cols[hints[h].column], i);
            any = may_pass(&v, &hints[h]);
        }
        if (!any) return false;
    }
    return true;
}

static enum err scan_open(void *table, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, void **out,
                          uint32_t *n_units, struct diag *dd)
{
    struct random_table *t = table;
    struct scan *s = calloc(1, sizeof *s);
    (void)dd;
    REQUIRE(s != NULL && n_columns <= COLUMNS);
    s->t = t;
    if (n_columns != 0) memcpy(s->columns, columns, n_columns * sizeof *columns);
    s->units = calloc(t->n_units + 1, sizeof *s->units);
    for (uint32_t u = 0; u < t->n_units; u++) {
        if (!t->prunes || unit_may_pass(&t->units[u], hints, n_hints))
            s->units[s->n_units++] = u;
        else
            t->skipped++;
    }
    *out = s;
    *n_units = s->n_units;
    return OK;
}

static enum err scan_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n,
                          struct arena *a, struct batch *out, struct diag *dd)
{
    const struct scan *s = scan;
    const struct batch *b = &s->t->units[s->units[unit]];
    struct vec *cols = arena_array(a, struct vec, n);
    if (cols == NULL) return arena_full(a, dd);
    for (uint32_t i = 0; i < n; i++)
        cols[i] = b->cols[s->columns[places[i]]];
    *out = (struct batch){b->n_rows, n, cols};
    return OK;
}

static uint64_t scan_rows(void *scan, uint32_t unit)
{
    const struct scan *s = scan;
    return s->t->units[s->units[unit]].n_rows;
}

static void scan_close(void *scan)
{
    free(((struct scan *)scan)->units);
    free(scan);
}

static const struct source_ops random_source = {scan_open, scan_read, scan_rows, scan_close};

static enum err find_table(void *ctx, const char *name, const struct schema **out, void **table,
                           struct diag *dd)
{
    (void)ctx;
    int i = strcmp(name, "T") == 0 ? 0 : strcmp(name, "U") == 0 ? 1 : -1;
    if (i < 0) return FAIL(dd, ERR_NOT_FOUND, "no table %.40s", name);
    *out = &tables[i].schema;
    *table = &tables[i];
    return OK;
}

static const char *name_at(void *ctx, uint32_t i)
{
    (void)ctx;
    return i == 0 ? "T" : i == 1 ? "U" : NULL;
}
static const struct kql_catalog catalog = {.table = find_table, .table_name = name_at};
