/* SPDX-License-Identifier: Apache-2.0 */
/* resource/table.h - what the files of the type tables share */
#pragma once

#include "resource/plane.h"

#define TABLE_COLUMNS_MAX  500
#define TABLE_AS_WORKSPACE (-1) /* of a number of days */

static inline bool table_is_custom(const char *name)
{
    return str_ends_nocase(name, "_CL");
}
/* A number of days as it was set. */
int64_t table_setting(const json_t *doc, const char *name);

struct standard_table;
/* The standard table of a workspace, made when it is not there yet. */
enum err table_ensure(struct arm *a, const struct guid *workspace,
                      const struct standard_table *standard, struct table **out, struct diag *d);

/* --- what its body may say (table_body.c) ------------------------------------------------------- */

enum err table_bad(struct arm_call *c, struct diag *d, const char *text,
                   const char *name); /* 400 */
bool table_identifier(const char *s, size_t max);
/* The columns of the body, TimeGenerated first where a new table's body does not name it. n = 0: none
 * were sent. is_custom: of a table whose columns are all the customer's. */
enum err table_read_schema(struct arm_call *c, bool is_new, bool is_custom, struct schema *out,
                           struct diag *d);
/* What the table does not have yet. A column keeps its type for ever. */
enum err table_new_columns(struct arm_call *c, bool is_custom, const struct schema *has,
                           const struct schema *wanted, struct schema *out, struct diag *d);
/* What is said of the table and its columns, for people; doc: what is kept so far, under its key.
 * *out: all of it from now on; untouched where the body has no schema. */
enum err table_read_texts(struct arm_call *c, const char *key, const json_t *doc, json_t **out,
                          struct diag *d);
/* Into the table's document, sealed. texts NULL: as it is. */
enum err table_keep_texts(struct arm *a, const char *key, const json_t *texts, json_t *doc,
                          struct diag *d);
/* Into the schema as clients see it; what can't be opened is left out. */
void table_show_texts(struct arm *a, const char *key, const json_t *doc, json_t *schema);
/* Retention and plan, into its document. */
enum err table_read_settings(struct arm_call *c, bool is_new, json_t *doc, int64_t workspace_days,
                             struct diag *d);
