/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kql/fixture.h - two tables to bind against, and a compile that keeps its arena */
#pragma once

#include "base/str.h"
#include "kql/kql.h"
#include "test.h"

#include <stdio.h>

static const struct column t_cols[] = {
    {"x", T_LONG},     {"y", T_REAL}, {"s", T_STRING}, {"d", T_DYNAMIC}, {"t", T_DATETIME},
    {"p", T_TIMESPAN}, {"b", T_BOOL}, {"i", T_INT},    {"m", T_DECIMAL}, {"g", T_GUID},
};
static const struct column t2_cols[] = {{"x", T_LONG}, {"z", T_STRING}};
static const struct column log_cols[] = {{"TimeGenerated", T_DATETIME}, {"Message", T_STRING}};
static const struct {
    const char *name;
    struct schema schema;
} fixture_tables[] = {
    {"T", {.n = 10, .cols = t_cols}},
    {"T2", {.n = 2, .cols = t2_cols}},
    {"Logs", {.n = 2, .cols = log_cols}},
};

static enum err fixture_table(void *ctx, const char *name, const struct schema **schema,
                              void **table, struct diag *d)
{
    (void)ctx;
    for (size_t i = 0; i < sizeof fixture_tables / sizeof fixture_tables[0]; i++) {
        if (strcmp(fixture_tables[i].name, name) != 0) continue;
        *schema = &fixture_tables[i].schema;
        *table = NULL;
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "there is no table %s", name);
}

static const char *fixture_table_name(void *ctx, uint32_t i)
{
    (void)ctx;
    return i < sizeof fixture_tables / sizeof fixture_tables[0] ? fixture_tables[i].name : NULL;
}

static const struct kql_catalog fixture_catalog = {.table = fixture_table,
                                                   .table_name = fixture_table_name};
static const struct kql_options fixture_options = {.now_ticks =
                                                       TICKS_UNIX + TICKS_PER_S * 1700000000};

static inline enum err compile(struct arena *a, const char *query, struct plan *plan,
                               struct diag *d)
{
    return kql_compile(a, bytes_str(query), &fixture_catalog, &fixture_options, plan, d);
}

/* "a:long, b:string" */
static inline void describe(const struct schema *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->n; i++) {
        buf_fmt(out, "%s%s:%s", i == 0 ? "" : ", ", s->cols[i].name, type_name(s->cols[i].type));
    }
}
