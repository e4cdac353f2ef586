/* SPDX-License-Identifier: Apache-2.0 */
/* api/source.c - storage's scans behind exec's interface: neither knows the other */
#include "api/source.h"

#include "base/str.h"

#include "api/activity.h"
#include "ingest/standard_table.h"

#include <assert.h>
#include <stdlib.h>

struct source_table { /* in the query's arena */
    struct source_tables *query;
    struct table *table; /* NULL: a standard table that nothing was written to yet */
};

/* --- names ------------------------------------------------------------------------------------ */

/* What plans the query's tables have. */
static enum err note_plan(struct source_tables *place, const struct table *table, struct diag *d)
{
    char plan[16];
    struct source_tables *t = place->own;
    for (uint32_t i = 0; i < t->n_cheap + t->n_analytics && i < SOURCE_TABLES_MAX; i++) {
        if (t->seen[i] == table) return OK;
    }
    uint32_t n = t->n_cheap + t->n_analytics;
    if (n < SOURCE_TABLES_MAX) t->seen[n] = table;
    if (t->arm == NULL || !arm_table_plan(t->arm, table, plan)) {
        t->n_analytics++;
        return OK;
    }
    if (place != t) {
        return FAIL_TAG(d, ERR_UNSUPPORTED, PLAN_TAG,
                        "the table '%s' has the plan %s: it is queried in its own workspace only",
                        store_table_name(table), plan);
    }
    if (!t->takes_plans) {
        return FAIL_TAG(
            d, ERR_UNSUPPORTED, PLAN_TAG,
            "the table '%s' has the plan %s: it is queried by /search, not by this call",
            store_table_name(table), plan);
    }
    t->n_cheap++;
    if (t->cheap != NULL) return OK;
    t->cheap = store_table_name(table);
    t->plan = arena_str(t->a, bytes_str(plan));
    return t->plan != NULL ? OK : arena_full(t->a, d);
}

static enum err find_table(void *ctx, const char *name, const struct schema **schema, void **table,
                           struct diag *d)
{
    struct source_tables *t = ctx;
    struct table *found = NULL;
    const struct guid *workspace =
        t->sees_activity && str_eq(name, ACTIVITY_TABLE) ? &t->activity : &t->workspace;
    const struct standard_table *standard = standard_table_find(name);
    struct diag why = DIAG_INIT;
    enum err e = store_table_find(t->store, workspace, name, &found, &why);
    bool is_empty = e == ERR_NOT_FOUND && standard != NULL && str_eq(standard->name, name);
    if (e != OK && !is_empty) return FAIL_TAG(d, e, why.tag, "%s", why.text);
    if (found != NULL) TRY(note_plan(t, found, d));
    struct source_table *x = arena_new(t->a, struct source_table);
    if (x == NULL) return arena_full(t->a, d);
    *x = (struct source_table){t, found};
    t->n_touched++;
    *schema = found != NULL ? store_table_schema(found) : &standard->schema;
    *table = x;
    return OK;
}

static const char *name_at(void *ctx, uint32_t i)
{
    struct source_tables *t = ctx;
    char plan[16];
    for (uint32_t k = 0;; k++) { /* a union of all is one of all that the call may read */
        struct table *x = store_table_at(t->store, &t->workspace, k);
        if (x == NULL) return NULL;
        bool takes = t->takes_plans && t == t->own;
        bool is_left_out = t->arm != NULL && !takes && arm_table_plan(t->arm, x, plan);
        if (!is_left_out && i-- == 0) return store_table_name(x);
    }
}

/* Saved searches are opened when a query first names what is no table of its own text. */
static enum err find_function(void *ctx, const char *name, struct kql_function *out, struct diag *d)
{
    struct source_tables *t = ctx;
    bool may_have = t->arm != NULL && t->names[2] != NULL;
    if (may_have && !t->has_functions) {
        TRY(arm_stored_functions(t->arm, t->names[2], t->a, &t->functions, &t->n_functions, d));
        t->has_functions = true;
    }
    for (uint32_t i = 0; i < t->n_functions; i++) {
        const struct stored_function *f = &t->functions[i];
        if (!str_eq(f->name, name)) continue;
        *out = (struct kql_function){.parameters = f->parameters, .body = f->query};
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "there is no function '%s'", name);
}

static enum err no_table(void *ctx, const char *name, const struct schema **schema, void **table,
                         struct diag *d)
{
    (void)ctx, (void)schema, (void)table;
    return FAIL(d, ERR_NOT_FOUND, "a cluster has databases, no table '%s'", name);
}

void source_fill_catalog(struct source_tables *t)
{
    const char *name = t->names[0], *function = t->by_database ? "database" : "workspace";
    bool callable = t == t->own || t->by_database;
    t->catalog = (struct kql_catalog){
        .ctx = t,
        .name = name,
        .label = name != NULL ? arena_fmt(t->a, "%s('%s')", function, name) : NULL,
        .table = find_table,
        .table_name = name_at,
        .function = callable ? find_function : NULL,
        .place = source_place,
        .place_name = source_place_name,
        .has_received = true};
}

const struct kql_catalog *source_catalog(struct source_tables *t)
{
    t->own = t;
    source_fill_catalog(t);
    t->cluster = (struct kql_catalog){
        .ctx = t, .table = no_table, .place = source_place, .place_name = source_place_name};
    return &t->catalog;
}

static_assert(STORE_RECEIVED == TABLE_RECEIVED);

/* --- scans ------------------------------------------------------------------------------------ */

static bool hint_of(const struct scan_hint *h, struct store_hint *out)
{
    out->column = h->column;
    out->value = h->value;
    switch (h->op) {
    case HINT_EQ: out->op = STORE_EQ; return true;
    case HINT_LT: out->op = STORE_LT; return true;
    case HINT_LE: out->op = STORE_LE; return true;
    case HINT_GT: out->op = STORE_GT; return true;
    case HINT_GE: out->op = STORE_GE; return true;
    case HINT_HAS_TERM: out->op = STORE_HAS_TERM; return true;
    }
    return false; /* a hint that is not understood is left out: exec filters anyway */
}

static enum err open_with(const struct source_table *t, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, struct store_hint *mine,
                          struct store_scan **out, struct diag *d)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < n_hints; i++)
        n += hint_of(&hints[i], &mine[n]) ? 1 : 0;
    struct source_tables *q = t->query;
    return store_scan_open_without(q->store, t->table, columns, n_columns, mine, n, q->gone,
                                   q->n_gone, out, d);
}

static enum err open_scan(void *table, const uint32_t *columns, uint32_t n_columns,
                          const struct scan_hint *hints, uint32_t n_hints, void **scan,
                          uint32_t *n_units, struct diag *d)
{
    const struct source_table *t = table;
    if (t->table == NULL) {
        *scan = NULL;
        *n_units = 0;
        return OK;
    }
    struct store_hint *mine = calloc((size_t)n_hints + 1, sizeof *mine);
    if (mine == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    struct store_scan *s = NULL;
    enum err e = open_with(table, columns, n_columns, hints, n_hints, mine, &s, d);
    free(mine);
    if (e != OK) return e;
    *scan = s;
    *n_units = store_scan_units(s);
    return OK;
}

static enum err read_scan(void *scan, uint32_t unit, const uint32_t *places, uint32_t n_places,
                          struct arena *a, struct batch *out, struct diag *d)
{
    return store_scan_read(scan, unit, places, n_places, a, out, d);
}

static uint64_t scan_rows(void *scan, uint32_t unit)
{
    return store_scan_rows(scan, unit);
}

static void close_scan(void *scan)
{
    if (scan != NULL) store_scan_close(scan);
}

const struct source_ops source_ops_store = {
    .open = open_scan,
    .read = read_scan,
    .rows = scan_rows,
    .close = close_scan,
};
