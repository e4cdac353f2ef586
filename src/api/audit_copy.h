/* SPDX-License-Identifier: Apache-2.0 */
/*
 * api/audit_copy.h - what it takes to keep an audit log of another process as rows of a table
 *
 * (1) The log is never kept waiting: a thread here follows it.
 * (2) Each line is stored once: a batch of rows is in the table whole or not at all, and the
 *     highest number in the table says where to go on after a crash.
 */
#pragma once

#include "ingest/rows.h"
#include "json/json.h"
#include "storage/store.h"

/* A thread that calls step until it is stopped: at once while *more, else after a second. What a
 * step fails of is said once in the log, and tried again. name is a literal. */
typedef enum err follow_step(void *ctx, bool *more, struct diag *d);
struct follower;
enum err follower_start(struct follower **out, const char *name, follow_step *step, void *ctx,
                        struct diag *d);
void follower_stop(struct follower *f); /* waits for the step that runs; frees; NULL is fine */

/* Calls visit with each line as JSON, for the call only. ERR_CORRUPT: the last one has no end. */
typedef enum err audit_line_visit(void *ctx, json_t *line, struct diag *d);
enum err audit_lines_each(struct bytes lines, audit_line_visit *visit, void *ctx, struct diag *d);

struct audit_table {
    struct store *store;
    struct table *table;
    struct row_reader *reader;
};
/* rows: an array of objects. One batch. */
enum err audit_rows_append(const struct audit_table *t, const uint8_t account[16],
                           const json_t *rows, struct diag *d);
/* The highest number in the long column `number` among the rows whose string column `name` is
 * `value`; name NULL: among all. 0: none. */
enum err audit_rows_last(const struct audit_table *t, const char *number, const char *name,
                         const char *value, uint64_t *out, struct diag *d);
