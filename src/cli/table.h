/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/table.h - a result table for people: aligned columns, numbers to the right; and a bar chart
 * over time
 */
#pragma once

#include "json/json.h"

#include <stdio.h>

struct table_style {
    size_t cell_max; /* characters of a cell; longer ones end in an ellipsis; 0 = all */
    bool colour;
    const char *indent;
};

/* table: {"columns":[{"name","type"}],"rows":[[...]]} as the query API answers. */
void table_print(FILE *f, const json_t *table, const struct table_style *style);
/* First column: when; second: how much. One line per row. */
void chart_print(FILE *f, const json_t *table, const struct table_style *style);
void table_print_csv(FILE *f, const json_t *table); /* RFC 4180, with a header line */
enum err table_print_jsonl(FILE *f, const json_t *table, struct diag *d);

bool colour_wanted(FILE *f); /* a terminal, and no NO_COLOR */
