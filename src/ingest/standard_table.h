/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest/standard_table.h - the tables that every workspace has under names and columns of the
 * original: of Application Insights, of Linux and Windows logs
 *
 * A workspace keeps one only when something is written to it or about it; until then it is known by
 * its columns alone. Customers add columns whose names end in _CF. Source: the tables' reference
 * pages of Azure Monitor.
 */
#pragma once

#include "column/vec.h"

struct standard_table {
    const char *name;
    struct schema schema;
    bool takes_streams; /* a collection rule may write to it: Microsoft-<name> */
};

const struct standard_table *standard_table_find(const char *name); /* without case; NULL */
const struct standard_table *standard_table_at(uint32_t i);         /* NULL after the last */
