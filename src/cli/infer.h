/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/infer.h - the columns that rows of JSON need
 *
 * Whole numbers are long, others real, TimeGenerated is datetime, objects and arrays dynamic, true
 * and false bool, all else string. Where rows differ: long and real make real, anything else
 * string. A column that is null everywhere is string.
 */
#pragma once

#include "cli/rows.h"
#include "json/json.h"

#define INFER_COLUMNS_MAX 500 /* as a table may have */

/* Checks, and *out: [{"name","type"}...] in the order in which names first appear; TimeGenerated is
 * always among them. */
/* Every row is a JSON object; else ERR_INVALID with the row's number. */
enum err infer_check(const struct log_rows *r, struct diag *d);
enum err infer_columns(const struct log_rows *r, json_t **out, struct diag *d);
