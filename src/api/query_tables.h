/* SPDX-License-Identifier: Apache-2.0 */
/* api/query_tables.h - the tables that queries of a workspace can name, for those who ask what there
 * is */
#pragma once

#include "api/query.h"
#include "api/source.h"

struct query_tables {
    struct source_tables source;
    const struct kql_catalog *catalog;
};

/* What a query of the workspace reads; borrows w and a. store NULL: the server is stopping. */
struct source_tables query_source(struct api *api, const struct workspace *w, struct arena *a);
/* The same for looking at: what it remembers lies in a. */
void query_tables_init(struct query_tables *t, struct api *api, const struct workspace *w,
                       struct arena *a);
/* The i-th with its schema, NULL after the last. */
const char *query_table_at(struct query_tables *t, uint32_t i, const struct schema **schema);
/* False: there is no such table. */
bool query_table_find(struct query_tables *t, const char *name, const struct schema **schema);
