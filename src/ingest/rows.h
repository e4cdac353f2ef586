/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest/rows.h - a request's body becomes a typed batch
 *
 * (1) Every row has every column of the schema, in its order. What is absent or does not convert is
 *     null (text: ""), and counted; a row is never dropped for its contents.
 * (2) TimeGenerated, where the schema has it as a datetime, is never null: the time of arrival
 *     stands in.
 * (3) Values convert as Kusto's to<type>() would: text "42" becomes a long, 1.5 becomes the long 1,
 *     any value becomes its JSON text in a string column. A number is no datetime.
 * (4) Text longer than FIELD_TEXT_MAX is cut at a character, as the Logs Ingestion API does. JSON
 *     cannot be cut: a dynamic value over FIELD_DYNAMIC_MAX is null.
 */
#pragma once

#include "column/vec.h"

#define FIELD_TEXT_MAX    ((size_t)64 << 10) /* bytes of a string */
#define FIELD_DYNAMIC_MAX ((size_t)1 << 20)  /* bytes of a dynamic value as JSON */

struct row_stats {
    uint64_t unknown_fields; /* that the schema does not have: dropped */
    uint64_t bad_values;     /* that did not convert: null */
    uint64_t cut_values;     /* longer than a field may be */
};

/* Keeps what can be used again from one request to the next. For one thread at a time. */
struct row_reader;
enum err row_reader_new(struct row_reader **out, struct diag *d);
void row_reader_free(struct row_reader *r); /* wipes; NULL is fine */
/* Wipes what the last call left; its batch is gone. Before a reader is put aside: it may lie there
 * long after the key of its rows was withdrawn. */
void row_reader_forget(struct row_reader *r);
DEFINE_CLEANUP(row_reader_free, struct row_reader)

/*
 * Reads all rows of an array of objects, or of NDJSON. The batch lives in a, its text partly in the
 * reader: until the next call. An empty array gives a batch of no rows.
 *
 * ERR_INVALID  not JSON, or a row that is no object: nothing is taken
 * ERR_LIMIT    the arena is full
 */
enum err rows_read(struct row_reader *r, struct bytes text, const struct schema *schema,
                   int64_t now_ticks, struct arena *a, struct batch *out, struct row_stats *stats,
                   struct diag *d);
