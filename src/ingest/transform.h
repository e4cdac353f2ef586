/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest/transform.h - what a collection rule does with rows between a stream and a table: KQL over
 * `source`, then columns by name
 *
 * (1) A transformation looks at one row at a time: where, extend, project and its relatives, parse,
 *     parse-kv, print's functions. What needs other rows is refused by name, not run per call: a
 *     call is no table.
 * (2) A result column goes to the table's column of the same name, which must have its type; others
 *     are dropped, and table columns that nothing fills are null.
 * (3) TimeGenerated is never null: the time of arrival stands in.
 */
#pragma once

#include "column/vec.h"

struct transform;

/* text NULL or "" or "source": the rows as they are. now() is now_ticks: one is made per call.
 * stream is borrowed.
 *
 * ERR_INVALID      text is no query over `source`; tag and pos as kql_compile()
 * ERR_UNSUPPORTED  (1), or what KQL here does not have */
enum err transform_new(struct transform **out, const char *text, const struct schema *stream,
                       int64_t now_ticks, struct diag *d);
void transform_free(struct transform *t); /* wipes nothing: it holds no rows. NULL is fine */

const struct schema *transform_schema(const struct transform *t); /* of the result */

/* (2) ERR_INVALID names the column whose types differ. */
enum err transform_fits(const struct transform *t, const struct schema *table, struct diag *d);

/* Rows of the stream's schema become rows of the table's, in arena a. */
enum err transform_run(const struct transform *t, const struct batch *in,
                       const struct schema *table, struct arena *a, struct batch *out,
                       struct diag *d);

DEFINE_CLEANUP(transform_free, struct transform)
