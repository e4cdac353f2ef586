/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/rows.h - a log file as rows: one JSON object per row, as text
 *
 * Formats: json (an array of objects), ndjson, and the logs that a Debian machine keeps: dpkg
 * (/var/log/dpkg.log), apt
 * (/var/log/apt/history.log), syslog (RFC 3164 or ISO 8601 times), journal (journalctl -o json),
 * text (one line, one row: Message). "auto" looks at the beginning. Rows of the line formats have
 * TimeGenerated in UTC.
 */
#pragma once

#include "base/bytes.h"

struct log_rows {
    struct buf text;   /* the objects, a line each */
    struct buf starts; /* uint64_t offsets of each, and of the end */
};

static inline size_t log_rows_count(const struct log_rows *r)
{
    return r->starts.len < 16 ? 0 : r->starts.len / 8 - 1;
}
static inline struct bytes log_rows_text(const struct log_rows *r) /* NDJSON */
{
    return buf_view(&r->text);
}
struct bytes log_rows_at(const struct log_rows *r, size_t i);
void log_rows_release(struct log_rows *r);

/*
 * format: a name above. Lines of the line formats that do not parse become rows with only a
 * Message: a log may hold anything. Lines of ndjson are taken as they are: infer_check() or
 * infer_columns() (cli/infer.h) reads them.
 */
enum err log_rows_parse(struct bytes input, const char *format, struct log_rows *out,
                        struct diag *d);

#define CLEANUP_LOG_ROWS __attribute__((cleanup(log_rows_release)))
