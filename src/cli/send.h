/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/send.h - rows to a table, through the Logs Ingestion API, in batches that it takes
 */
#pragma once

#include "cli/rows.h"
#include "cli/session.h"

struct send_options {
    const struct workspace *workspace;
    const char *table;    /* ends in _CL */
    unsigned connections; /* at once; 0 = 4 */
    uint64_t patience_s;  /* how long a batch is tried again; 0 = 60 */
    const char *progress; /* title of a progress bar on a terminal; NULL = none */
};

struct send_result {
    uint64_t rows, acknowledged, dropped;
};

/* Sends all rows. Counts what was acknowledged even when it fails. Dropped rows are acknowledged
 * ones that the server says it did not keep, since the key is revoked. */
enum err send_rows(struct session *s, const struct log_rows *r, const struct send_options *o,
                   struct send_result *out, struct diag *d);

/* Checks the rows, and makes the table with the columns they need where there is none.
 * retention_days 0 = the workspace's. */
enum err send_ensure_table(struct session *s, const struct workspace *w, const char *table,
                           const struct log_rows *r, uint32_t retention_days, bool *created,
                           struct diag *d);
