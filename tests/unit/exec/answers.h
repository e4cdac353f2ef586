/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/answers.h - is a result the one that a corpus has: as JSON values, or as a page
 * prints them
 */
#pragma once

#include "from_text.h"

#include "base/str.h"
#include "json/json.h"

#include <math.h>
#include <stdlib.h>

/* --- values ----------------------------------------------------------------------------------- */

static inline bool close_to(double a, double b)
{
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (isinf(a) || isinf(b)) return a == b;
    return fabs(a - b) <= 1e-9 * fmax(1e-6, fmax(fabs(a), fabs(b)));
}

static inline bool same_json(const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b))
        return close_to(json_number_value(a), json_number_value(b));
    if (json_typeof(a) != json_typeof(b)) return false;
    if (json_is_array(a)) {
        if (json_array_size(a) != json_array_size(b)) return false;
        for (size_t i = 0; i < json_array_size(a); i++) {
            if (!same_json(json_array_get(a, i), json_array_get(b, i))) return false;
        }
        return true;
    }
    if (!json_is_object(a)) return json_equal(a, b) != 0;
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b)) return false;
    json_object_foreach ((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        if (other == NULL || !same_json(value, other)) return false;
    }
    return true;
}

static inline bool same_dynamic(const json_t *want, struct bytes dyn)
{
    CLEANUP_BUF struct buf text = {0};
    dyn_to_json(dyn, &text);
    CLEANUP_JSON json_t *got = json_loads(buf_cstr(&text), JSON_DECODE_ANY, NULL);
    return got != NULL && same_json(want, got);
}

static inline bool same_text(const json_t *want, const struct value *v)
{
    struct bytes s = {(const uint8_t *)json_string_value(want), json_string_length(want)};
    struct u128 u;
    int64_t i;
    double r;
    switch (v->type) {
    case T_STRING: return bytes_eq(s, v->s);
    case T_DATETIME: return datetime_parse(s, &i) && i == v->i;
    case T_TIMESPAN: return timespan_parse(s, &i) && i == v->i;
    case T_GUID: return guid_text_parse(s, &u) && memcmp(&u, &v->u, 16) == 0;
    case T_REAL:
        if (str_eq(json_string_value(want), "NaN")) return isnan(v->r);
        return real_parse(s, &r) && close_to(r, v->r);
    default: return false;
    }
}

static inline bool same_value(const json_t *want, const struct value *v)
{
    if (v->is_null) return json_is_null(want);
    if (v->type == T_DYNAMIC) return same_dynamic(want, v->s);
    if (json_is_string(want)) return same_text(want, v);
    if (json_is_boolean(want)) return v->type == T_BOOL && v->b == json_is_true(want);
    if (!json_is_number(want)) return false;
    if (v->type == T_REAL) return close_to(json_number_value(want), v->r);
    if (v->type == T_DECIMAL) {
        CLEANUP_BUF struct buf text = {0};
        decimal_format(&v->u, &text);
        return close_to(json_number_value(want), strtod(buf_cstr(&text), NULL));
    }
    if (json_is_integer(want)) return v->i == json_integer_value(want);
    return (double)v->i == json_number_value(want);
}

/* --- tables ---------------------------------------------------------------------------------- */

static inline bool type_listed(const char *types, const char *name) /* "real|decimal" */
{
    const char *at = strstr(types, name);
    size_t n = strlen(name);
    return at != NULL && (at == types || at[-1] == '|') && (at[n] == 0 || at[n] == '|');
}

static inline bool same_columns(const json_t *want, const struct schema *s, char *why, size_t size)
{
    if (json_array_size(want) != s->n) {
        snprintf(why, size, "%u columns, not %zu", s->n, json_array_size(want));
        return false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const char *name = json_get_str(json_array_get(want, i), "name");
        const char *type = json_get_str(json_array_get(want, i), "type");
        if (str_eq(name, s->cols[i].name) && type_listed(type, type_name(s->cols[i].type)))
            continue;
        snprintf(why, size, "column %s:%s, not %s:%s", s->cols[i].name, type_name(s->cols[i].type),
                 name, type);
        return false;
    }
    return true;
}

static inline bool same_row(const json_t *want, const struct result *r, uint32_t row)
{
    for (uint32_t c = 0; c < r->schema.n; c++) {
        if (!same_value(json_array_get(want, c), &r->cells[(size_t)row * r->schema.n + c]))
            return false;
    }
    return true;
}

static inline bool same_rows(const json_t *rows, const struct result *r, bool ordered,
                             bool complete, char *why, size_t size)
{
    size_t n = json_array_size(rows);
    if (complete ? n != r->n_rows : n > r->n_rows) {
        snprintf(why, size, "%u rows, not %zu", r->n_rows, n);
        return false;
    }
    CLEANUP_FREE bool *used = calloc(r->n_rows + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = ordered ? i : 0;
        while (!ordered && k < r->n_rows && (used[k] || !same_row(json_array_get(rows, i), r, k)))
            k++;
        if (k >= r->n_rows || !same_row(json_array_get(rows, i), r, k)) {
            snprintf(why, size, "row %u differs", i);
            return false;
        }
        used[k] = true;
    }
    return true;
}

/* Rows that a sort leaves equal may come in any order: then the key columns must be as recorded,
 * row by row, and the rows as a set. False: the plan's end says nothing of the order. */
static inline bool same_but_for_ties(const json_t *rows, const struct result *r)
{
    char why[100];
    const struct op *op = r->root;
    bool sorted = op->kind == OP_SORT || op->kind == OP_TOP;
    if (!sorted || json_array_size(rows) != r->n_rows) return false;
    uint32_t n = op->kind == OP_SORT ? op->sort.n_keys : op->top.n_keys;
    const struct sort_key *keys = op->kind == OP_SORT ? op->sort.keys : op->top.keys;
    for (uint32_t i = 0; i < r->n_rows; i++) {
        for (uint32_t k = 0; k < n; k++) {
            const struct expr *e = keys[k].expr;
            if (e->kind != EXPR_COL) return false;
            const json_t *want = json_array_get(json_array_get(rows, i), e->col);
            if (!same_value(want, &r->cells[(size_t)i * r->schema.n + e->col])) return false;
        }
    }
    return same_rows(rows, r, false, true, why, sizeof why);
}

/* --- as a page prints them ---------------------------------------------------------------------
 * Numbers have commas and are rounded, datetimes have or lack their zeros, JSON its blanks. */

static inline struct bytes trimmed(struct bytes s)
{
    while (s.len > 0 && s.p[0] <= ' ')
        s = bytes_of(s.p + 1, s.len - 1);
    while (s.len > 0 && s.p[s.len - 1] <= ' ')
        s.len--;
    return s;
}

/* No-break spaces are printed as spaces. */
static inline bool is_blank(struct bytes s, size_t i)
{
    return s.p[i] <= ' ' || s.p[i] == '\\' || s.p[i] == 0xc2 || s.p[i] == 0xa0;
}

/* A tolerance of half of the last digit that is printed. */
static inline bool same_number(struct bytes s, double v)
{
    char digits[64];
    size_t n = 0, behind = 0;
    bool point = false, exponent = false;
    for (size_t i = 0; i < s.len && n < sizeof digits - 1; i++) {
        if (s.p[i] == ',') continue;
        exponent = exponent || s.p[i] == 'e' || s.p[i] == 'E';
        if (point && !exponent) behind++;
        point = point || s.p[i] == '.';
        digits[n++] = (char)s.p[i];
    }
    digits[n] = 0;
    char *end;
    double want = strtod(digits, &end);
    if (n == 0 || *end != 0) return false;
    if (close_to(want, v)) return true;
    return point && !exponent && fabs(want - v) <= 0.6 * pow(10, -(double)behind);
}

static inline bool same_words(struct bytes a, struct bytes b) /* but for blanks */
{
    size_t i = 0, k = 0;
    for (;;) {
        while (i < a.len && is_blank(a, i))
            i++;
        while (k < b.len && is_blank(b, k))
            k++;
        if (i == a.len || k == b.len) return i == a.len && k == b.len;
        if (a.p[i++] != b.p[k++]) return false;
    }
}

static inline bool printed_dynamic(struct bytes text, struct bytes dyn)
{
    CLEANUP_BUF struct buf ours = {0};
    dyn_to_json(dyn, &ours);
    CLEANUP_JSON json_t *want = json_loadb((const char *)text.p, text.len, JSON_DECODE_ANY, NULL);
    if (want != NULL && same_dynamic(want, dyn)) return true;
    struct bytes o = buf_view(&ours);
    if (o.len >= 2 && o.p[0] == '"') o = bytes_of(o.p + 1, o.len - 2); /* a text in a dynamic */
    return same_words(text, o);
}

static inline bool printed_datetime(struct bytes text, int64_t ticks)
{
    int64_t t;
    if (datetime_parse(text, &t)) return t == ticks || llabs(t - ticks) < 10; /* 6 digits */
    return false;
}

static inline bool printed_decimal(struct bytes text, const struct u128 *u)
{
    CLEANUP_BUF struct buf ours = {0};
    decimal_format(u, &ours);
    return same_number(text, strtod(buf_cstr(&ours), NULL));
}

static inline bool printed_value(const char *cell, const struct value *v)
{
    struct bytes s = trimmed(bytes_str(cell));
    struct u128 u;
    int64_t i;
    bool none = s.len == 0 || bytes_eq(s, BYTES("null")) || bytes_eq(s, BYTES("(null)")) ||
                bytes_eq(s, BYTES("<null>"));
    if (v->is_null) return none;
    switch (v->type) {
    case T_BOOL:
        return str_eq_nocase(cell, v->b ? "true" : "false") ||
               bytes_eq(s, v->b ? BYTES("1") : BYTES("0"));
    case T_INT:
    case T_LONG: return same_number(s, (double)v->i);
    case T_REAL:
        if (isnan(v->r)) return str_eq_nocase(cell, "nan") || none;
        if (isinf(v->r)) return real_parse(s, &(double){0}) || bytes_eq(s, BYTES("∞"));
        return same_number(s, v->r);
    case T_DECIMAL: return printed_decimal(s, &v->u);
    case T_DATETIME: return printed_datetime(s, v->i);
    case T_TIMESPAN: return timespan_parse(s, &i) && i == v->i;
    case T_GUID: return guid_text_parse(s, &u) && memcmp(&u, &v->u, 16) == 0;
    case T_DYNAMIC: return printed_dynamic(s, v->s);
    default: return same_words(s, v->s) || (none && v->s.len == 0);
    }
}

static inline bool printed_row(const json_t *row, const struct result *r, uint32_t at)
{
    if (json_array_size(row) != r->schema.n) return false;
    for (uint32_t c = 0; c < r->schema.n; c++) {
        const json_t *cell = json_array_get(row, c);
        const struct value *v = &r->cells[(size_t)at * r->schema.n + c];
        if (json_is_string(cell) ? !printed_value(json_string_value(cell), v)
                                 : !same_value(cell, v))
            return false;
    }
    return true;
}

/* The rows as a set. */
static inline bool printed_rows(const json_t *rows, const struct result *r, char *why, size_t size)
{
    size_t n = json_array_size(rows);
    if (n != r->n_rows) {
        snprintf(why, size, "%u rows, not %zu", r->n_rows, n);
        return false;
    }
    CLEANUP_FREE bool *used = calloc(r->n_rows + 1, 1);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < r->n_rows && (used[k] || !printed_row(json_array_get(rows, i), r, k)))
            k++;
        if (k == r->n_rows) {
            snprintf(why, size, "row %u differs", i);
            return false;
        }
        used[k] = true;
    }
    return true;
}

/* --- misses, for the page ---------------------------------------------------------------------- */

/* What a person found out about a miss that is not for want of a function. */
struct reason {
    const char *id, *why;
};

static inline const char *reason_of(const struct reason *known, const char *id)
{
    for (; known->id != NULL; known++) {
        if (str_eq(known->id, id)) return known->why;
    }
    return NULL;
}

/* A result for people: CORPUS_ROWS. */
static inline void print_result(const json_t *want, const char *query, const struct result *r)
{
    CLEANUP_FREE char *rows = json_dumps(want, JSON_COMPACT | JSON_ENCODE_ANY);
    fprintf(stderr, "%s\nwant %s\ngot  [", query, rows);
    for (uint32_t i = 0; i < r->n_rows && i < 50; i++) {
        fprintf(stderr, "%s[", i ? "," : "");
        for (uint32_t k = 0; k < r->schema.n; k++) {
            const struct value *v = &r->cells[(size_t)i * r->schema.n + k];
            CLEANUP_BUF struct buf b = {0}, t = {0};
            if (v->is_null)
                buf_str(&t, "null");
            else if (dyn_from_value(v, &b, NULL) == OK)
                dyn_to_json(buf_view(&b), &t);
            fprintf(stderr, "%s%s", k ? "," : "", buf_cstr(&t));
        }
        fprintf(stderr, "]");
    }
    fprintf(stderr, "]\n\n");
}
