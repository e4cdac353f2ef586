/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/kusto_schema.h - what .show commands answer: one table each
 *
 * Each returns false when the answer is written already: a refusal. Otherwise out->rows is the
 * caller's. names: those that the command gives; n = 0: all that the caller may query.
 */
#pragma once

#include "api/kusto.h"

struct shown {
    const struct schema *schema;
    json_t *rows; /* arrays in an array */
};

typedef bool kusto_show(struct kusto_request *r, const char *const *names, uint32_t n,
                        struct shown *out);
kusto_show show_version, show_cluster, show_databases, show_functions, show_views,
    show_external_tables;

bool show_tables(struct kusto_request *r, const char *db, const char *const *names, uint32_t n,
                 struct shown *out);
/* "a:string,b:long", or the same as JSON. */
bool show_table_schema(struct kusto_request *r, const char *db, const char *table, bool as_json,
                       struct shown *out);
/* A row for each column of each table, or one JSON document of everything. */
bool show_schema(struct kusto_request *r, const char *const *names, uint32_t n, bool as_json,
                 struct shown *out);
