/* SPDX-License-Identifier: Apache-2.0 */
/* cli/infer.c - names from the first rows, kinds from all of them, so that no row is a surprise */
#include "cli/infer.h"

#include "base/str.h"
#include "json/rows.h"

#include <stdlib.h>

#define SAMPLE_ROWS 200 /* rows of one source look alike: these nearly always have all names */

enum kind { UNKNOWN, BOOLEAN, WHOLE, REAL, NESTED, TEXT };
static const char *const kind_types[] = {"string", "boolean", "long", "real", "dynamic", "string"};

struct columns {
    json_t *order; /* name -> true, in order of first appearance: owns the names */
    const char **names;
    enum kind *kinds;
    uint32_t n;
};

static void columns_release(struct columns *c)
{
    json_decref(c->order);
    free(c->names);
    free(c->kinds);
}

static enum kind kind_of(const struct json_cell *c)
{
    switch (c->kind) {
    case CELL_BOOL: return BOOLEAN;
    case CELL_LONG: return WHOLE;
    case CELL_REAL: return REAL;
    case CELL_STRING: return TEXT;
    case CELL_COMPOUND: return NESTED;
    case CELL_ABSENT:
    case CELL_NULL: break;
    }
    return UNKNOWN;
}

static enum kind both(enum kind a, enum kind b)
{
    if (a == UNKNOWN || a == b) return b;
    if (b == UNKNOWN) return a;
    if ((a == WHOLE && b == REAL) || (a == REAL && b == WHOLE)) return REAL;
    return TEXT;
}

/* The names of rows [0, n), in order. */
static enum err take_names(const struct log_rows *r, size_t n, struct columns *c, struct diag *d)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_JSON json_t *o = NULL;
        TRY(json_read(log_rows_at(r, i), &o, d));
        const char *name;
        json_t *v;
        json_object_foreach (o, name, v) {
            if (json_object_get(c->order, name) != NULL) continue;
            if (json_object_size(c->order) == INFER_COLUMNS_MAX) {
                return FAIL(d, ERR_LIMIT, "the rows have more than %d columns", INFER_COLUMNS_MAX);
            }
            if (json_object_set_new(c->order, name, json_true()) != 0)
                return FAIL(d, ERR_LIMIT, "out of memory");
        }
    }
    free(c->names);
    free(c->kinds);
    c->n = 0;
    c->names = calloc(INFER_COLUMNS_MAX, sizeof *c->names);
    c->kinds = calloc(INFER_COLUMNS_MAX, sizeof *c->kinds);
    if (c->names == NULL || c->kinds == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    const char *name;
    json_t *v;
    json_object_foreach (c->order, name, v)
        c->names[c->n++] = name;
    return OK;
}

/* Reads every row. *unknown: fields under names that are not in c. */
static enum err take_kinds(const struct log_rows *r, struct columns *c, uint64_t *unknown,
                           struct diag *d)
{
    CLEANUP(json_rows_free) struct json_rows *in = NULL;
    TRY(json_rows_new(&in, d));
    TRY(json_rows_open(in, log_rows_text(r), c->names, c->n, d));
    CLEANUP_FREE struct json_cell *cells = calloc(c->n + 1, sizeof *cells);
    if (cells == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    for (;;) {
        bool more;
        TRY(json_rows_next(in, cells, &more, d));
        if (!more) break;
        for (uint32_t i = 0; i < c->n; i++)
            c->kinds[i] = both(c->kinds[i], kind_of(&cells[i]));
    }
    *unknown = json_rows_unknown(in);
    return OK;
}

enum err infer_check(const struct log_rows *r, struct diag *d)
{
    struct columns none = {0};
    uint64_t unknown;
    return log_rows_count(r) != 0 ? take_kinds(r, &none, &unknown, d) : OK;
}

static enum err add_column(json_t *list, const char *name, const char *type, struct diag *d)
{
    json_t *c = json_pack("{s:s, s:s}", "name", name, "type", type);
    if (c == NULL || json_array_append_new(list, c) != 0)
        return FAIL(d, ERR_LIMIT, "out of memory");
    return OK;
}

enum err infer_columns(const struct log_rows *r, json_t **out, struct diag *d)
{
    __attribute__((cleanup(columns_release))) struct columns c = {.order = json_object()};
    size_t n = log_rows_count(r);
    uint64_t unknown = 0;
    TRY(take_names(r, n < SAMPLE_ROWS ? n : SAMPLE_ROWS, &c, d));
    if (n != 0) TRY(take_kinds(r, &c, &unknown, d));
    if (unknown != 0) { /* a later row has more: all of them are asked for their names */
        TRY(take_names(r, n, &c, d));
        TRY(take_kinds(r, &c, &unknown, d));
    }
    CLEANUP_JSON json_t *list = json_array();
    TRY(add_column(list, "TimeGenerated", "datetime", d));
    for (uint32_t i = 0; i < c.n; i++) {
        if (!str_eq(c.names[i], "TimeGenerated"))
            TRY(add_column(list, c.names[i], kind_types[c.kinds[i]], d));
    }
    *out = TAKE(list);
    return OK;
}
