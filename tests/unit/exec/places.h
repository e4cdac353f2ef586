/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/places.h - three workspaces with small tables, and one that nobody may read: what
 * tests/kql/places*.kqltest asks
 *
 *   own     T x:long, s:string       1 one, 2 two      Own x:long   10      Double(n) = n * 2
 *   north   T x:long, y:string       2 deux, 3 trois   Tail x:long  20
 *   south   T x:string, s:string     a drei            Tail x:long  30      F() = Tail | where x > 0
 *   sealed  its key is withdrawn     closed  not for this caller
 */
#pragma once

#include "from_text.h"

#include "base/str.h"

#include <stdlib.h>

struct place_table {
    const char *place, *name;
    struct schema schema;
    uint32_t n_rows;
    struct value cells[2][2];
};

#define LONG(n)                  \
    {                            \
        .type = T_LONG, .i = (n) \
    }
#define TEXT(t)                         \
    {                                   \
        .type = T_STRING, .s = BYTES(t) \
    }
static const struct column long_text[] = {{"x", T_LONG}, {"s", T_STRING}};
static const struct column long_other[] = {{"x", T_LONG}, {"y", T_STRING}};
static const struct column text_text[] = {{"x", T_STRING}, {"s", T_STRING}};
static const struct place_table place_tables[] = {
    {"own", "T", {2, long_text}, 2, {{LONG(1), TEXT("one")}, {LONG(2), TEXT("two")}}},
    {"own", "Own", {1, long_text}, 1, {{LONG(10)}}},
    {"north", "T", {2, long_other}, 2, {{LONG(2), TEXT("deux")}, {LONG(3), TEXT("trois")}}},
    {"north", "Tail", {1, long_text}, 1, {{LONG(20)}}},
    {"south", "T", {2, text_text}, 1, {{TEXT("a"), TEXT("drei")}}},
    {"south", "Tail", {1, long_text}, 1, {{LONG(30)}}},
};
#define N_PLACE_TABLES (sizeof place_tables / sizeof place_tables[0])

static enum err place_find(void *ctx, const char *name, const struct schema **schema, void **table,
                           struct diag *d)
{
    for (size_t i = 0; i < N_PLACE_TABLES; i++) {
        const struct place_table *t = &place_tables[i];
        if (!str_eq(t->place, ctx) || !str_eq(t->name, name)) continue;
        *schema = &t->schema;
        *table = (void *)t;
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "no table %s", name);
}

static const char *place_name_at(void *ctx, uint32_t i)
{
    for (size_t k = 0; k < N_PLACE_TABLES; k++) {
        if (str_eq(place_tables[k].place, ctx) && i-- == 0) return place_tables[k].name;
    }
    return NULL;
}

static enum err place_function(void *ctx, const char *name, struct kql_function *out,
                               struct diag *d)
{
    if (str_eq(ctx, "own") && str_eq(name, "Double")) {
        *out = (struct kql_function){"n:long", "n * 2"};
    } else if (str_eq(ctx, "own") && str_eq(name, "Both")) {
        *out = (struct kql_function){"", "union (workspace('north').Tail), Own"};
    } else if (str_eq(ctx, "south") && str_eq(name, "F")) {
        *out = (struct kql_function){"", "Tail | where x > 0 | extend whose = current_database()"};
    } else {
        return FAIL(d, ERR_NOT_FOUND, "no function %s", name);
    }
    return OK;
}

static enum err place_of(void *ctx, const char *function, const char *name,
                         const struct kql_catalog **out, struct diag *d);

static const char *place_at(void *ctx, uint32_t i)
{
    (void)ctx;
    static const char *const names[] = {"north", "own", "south"};
    return i < 3 ? names[i] : NULL;
}

/* Of north only tables can be read, as of a workspace; south is a database. */
static const struct kql_catalog place_catalogs[] = {
    {.ctx = "own",
     .name = "own",
     .label = "workspace('own')",
     .table = place_find,
     .table_name = place_name_at,
     .function = place_function,
     .place = place_of,
     .place_name = place_at},
    {.ctx = "north",
     .name = "north",
     .label = "workspace('north')",
     .table = place_find,
     .table_name = place_name_at,
     .place = place_of,
     .place_name = place_at},
    {.ctx = "south",
     .name = "south",
     .label = "database('south')",
     .table = place_find,
     .table_name = place_name_at,
     .function = place_function,
     .place = place_of,
     .place_name = place_at},
};

static enum err place_of(void *ctx, const char *function, const char *name,
                         const struct kql_catalog **out, struct diag *d)
{
    if (str_eq(function, "cluster")) {
        if (!str_eq(name, "here"))
            return FAIL(d, ERR_UNSUPPORTED, "the cluster '%s' is not this one", name);
        name = ctx;
    }
    if (str_eq(name, "sealed"))
        return FAIL_TAG(d, ERR_KEY_LOCKED, "Locked", "the key of '%s' is withdrawn", name);
    if (str_eq(name, "closed"))
        return FAIL_TAG(d, ERR_DENIED, "Denied", "'%s' is not for you", name);
    for (size_t i = 0; i < sizeof place_catalogs / sizeof place_catalogs[0]; i++) {
        if (!str_eq(place_catalogs[i].name, name)) continue;
        *out = &place_catalogs[i];
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "there is no %s '%s'; did you mean 'north'?", function, name);
}

/* --- rows ------------------------------------------------------------------------------------- */

struct place_scan {
    const struct place_table *table;
    uint32_t n;
    uint32_t columns[2];
};

static enum err place_open(void *table, const uint32_t *columns, uint32_t n_columns,
                           const struct scan_hint *hints, uint32_t n_hints, void **scan,
                           uint32_t *n_units, struct diag *d)
{
    (void)hints, (void)n_hints;
    struct place_scan *s = calloc(1, sizeof *s);
    if (s == NULL || n_columns > 2) {
        free(s);
        return FAIL(d, ERR_LIMIT, "out of memory");
    }
    s->table = table;
    if (n_columns != 0) memcpy(s->columns, columns, n_columns * sizeof *columns);
    *scan = s;
    *n_units = 1;
    return OK;
}

static enum err place_read(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                           struct arena *a, struct batch *out, struct diag *d)
{
    (void)unit;
    const struct place_scan *s = scan;
    struct vec *cols = arena_array(a, struct vec, n_places + 1);
    if (cols == NULL) return arena_full(a, d);
    for (uint32_t i = 0; i < n_places; i++) {
        uint32_t c = s->columns[places[i]];
        struct vecb b;
        vecb_init(&b, a, s->table->schema.cols[c].type, s->table->n_rows);
        for (uint32_t row = 0; row < s->table->n_rows; row++)
            vecb_value(&b, &s->table->cells[row][c]);
        TRY(vecb_finish(&b, &cols[i], d));
    }
    *out = (struct batch){.n_rows = s->table->n_rows, .n_cols = n_places, .cols = cols};
    return OK;
}

static uint64_t place_rows(void *scan, uint32_t unit)
{
    (void)unit;
    return ((const struct place_scan *)scan)->table->n_rows;
}

static const struct source_ops place_source = {place_open, place_read, place_rows, free};

/* --- who asks --------------------------------------------------------------------------------- */

static enum err place_member(void *ctx, const char *of, bool *out, struct diag *d)
{
    (void)ctx;
    if (strchr(of, '=') == NULL)
        return FAIL_TAG(d, ERR_INVALID, "SEM0100", "'%s' is no principal", of);
    *out = str_eq(of, "aadgroup=readers;t");
    return OK;
}

static const struct kql_session place_session = {
    .cluster = "https://here:8443", .principal = "aadapp=me;t", .is_member = place_member};
