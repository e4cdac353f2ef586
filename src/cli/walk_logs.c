/* SPDX-License-Identifier: Apache-2.0 */
/* cli/walk_logs.c - steps 2 and 3: this machine's logs and 200,000 generated rows go in; five
 * queries come out */
#include "cli/walk.h"

#include "base/os.h"
#include "base/time.h"
#include "cli/gen.h"

#include <inttypes.h>
#include <stdlib.h>

#define REAL_RETENTION_DAYS 730
#define GENERATED_ROWS      200000
#define LOG_MAX             ((size_t)64 << 20) /* bytes of one log file; more is left out, and said */

static const struct {
    const char *path; /* NULL: the journal */
    const char *format, *table;
} sources[] = {
    {"/var/log/dpkg.log", "dpkg", "Dpkg_CL"},
    {"/var/log/apt/history.log", "apt", "AptHistory_CL"},
    {"/var/log/syslog", "syslog", "Syslog_CL"},
    {"/var/log/auth.log", "syslog", "Auth_CL"},
    {NULL, "journal", "Journal_CL"},
};

/* What journalctl prints; empty where there is no journal. */
static enum err read_journal(struct buf *out, struct diag *d)
{
    FILE *p = popen("journalctl -o json --no-pager -q -n 50000 2>/dev/null", "re");
    if (p == NULL) return OK;
    char chunk[16384];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, p)) > 0 && out->len < LOG_MAX)
        buf_bytes(out, bytes_of(chunk, n));
    pclose(p);
    return buf_check(out, d);
}

/* A few texts of the rows, to be looked for on the disk later: long values that are not numbers. */
static void remember_words(struct walk *w, const struct log_rows *r)
{
    static const char *const fields[] = {"Package", "Commandline", "ProcessName", "Message"};
    for (size_t i = 0; i < log_rows_count(r) && i < 200; i++) {
        CLEANUP_JSON json_t *o = NULL;
        if (json_read(log_rows_at(r, log_rows_count(r) - 1 - i), &o, NULL) != OK) return;
        for (size_t k = 0; k < 4; k++) {
            const char *v = json_get_str(o, fields[k]);
            if (v == NULL || strlen(v) < 10) continue;
            walk_add_word(w, bytes_of(v, strlen(v) < 40 ? strlen(v) : 40));
            return;
        }
    }
}

static enum err send(struct walk *w, const char *table, const char *origin,
                     const struct log_rows *r, uint32_t days, struct diag *d)
{
    bool created;
    TRY(send_ensure_table(w->s, &w->workspace, table, r, days, &created, d));
    const struct send_options o = {.workspace = &w->workspace, .table = table, .progress = table};
    struct send_result result;
    TRY(send_rows(w->s, r, &o, &result, d));
    if (result.acknowledged != result.rows || result.dropped != 0) {
        return FAIL(d, ERR_IO,
                    "%s: %" PRIu64 " of %" PRIu64 " rows were acknowledged, %" PRIu64 " dropped",
                    table, result.acknowledged, result.rows, result.dropped);
    }
    w->rows_sent += result.rows;
    walk_done(w, "%-14s %8" PRIu64 " rows from %s", table, result.rows, origin);
    return OK;
}

static enum err send_real(struct walk *w, size_t i, size_t *most, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    const char *path = sources[i].path;
    if (path == NULL) {
        TRY(read_journal(&text, d));
    } else {
        struct diag why = DIAG_INIT;
        enum err e = os_read_file(path, LOG_MAX, &text, &why);
        if (e == ERR_LIMIT) walk_note(w, "%s", why.text);
        if (e != OK) return OK; /* not on this machine, or not for us */
    }
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    TRY(log_rows_parse(buf_view(&text), sources[i].format, &r, d));
    if (log_rows_count(&r) == 0) return OK;
    TRY(send(w, sources[i].table, path != NULL ? path : "the journal", &r, REAL_RETENTION_DAYS, d));
    remember_words(w, &r);
    if (log_rows_count(&r) > *most) {
        *most = log_rows_count(&r);
        w->real_table = sources[i].table;
    }
    return OK;
}

static enum err send_generated(struct walk *w, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    const int64_t day_us = 86400 * US_PER_S;
    const struct gen_options g = {
        .rows = GENERATED_ROWS, .seed = 42, .start_us = time_now_us() - day_us, .span_us = day_us};
    gen_rows(&g, &text);
    TRY(buf_check(&text, d));
    TRY(log_rows_parse(buf_view(&text), "ndjson", &r, d));
    walk_add_word(w, BYTES(GEN_NEEDLE));
    walk_add_word(w, BYTES("completed with status"));
    walk_add_word(w, BYTES("DurationMs"));
    return send(w, WALK_TABLE, "the generator", &r, 0, d);
}

enum err walk_logs(struct walk *w, struct diag *d)
{
    walk_step(w, "2. This machine's own logs (kept %d days) and %d generated rows",
              REAL_RETENTION_DAYS, GENERATED_ROWS);
    size_t most = 0;
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        TRY(send_real(w, i, &most, d));
    if (w->real_table == NULL) walk_note(w, "this machine keeps no log that can be read");
    return send_generated(w, d);
}

static enum err ask(struct walk *w, const char *kql, bool chart, struct diag *d)
{
    const struct table_style style = {.cell_max = 48, .colour = w->colour, .indent = "      "};
    walk_note(w, "%s", kql);
    w->step_us = time_mono_us();
    CLEANUP_JSON json_t *table = NULL;
    TRY(session_query(w->s, w->workspace.id, kql, &table, NULL, d));
    if (chart) {
        chart_print(stdout, table, &style);
    } else {
        table_print(stdout, table, &style);
    }
    walk_done(w, "%zu rows", json_array_size(json_get(table, "rows")));
    putchar('\n');
    return OK;
}

enum err walk_queries(struct walk *w, struct diag *d)
{
    walk_step(w, "3. Five questions in KQL");
    CLEANUP_FREE char *real = NULL;
    if (str_eq(w->real_table, "Dpkg_CL")) {
        real = str_dup("Dpkg_CL | where Action == 'status' and Status == 'installed' | summarize "
                       "times=count(), "
                       "newest=max(TimeGenerated) by Package | top 5 by times desc, Package asc");
    } else {
        real = str_fmt("%s | summarize rows=count(), newest=max(TimeGenerated)",
                       w->real_table != NULL ? w->real_table : WALK_TABLE);
    }
    TRY(ask(w, real, false, d));
    TRY(ask(w,
            WALK_TABLE " | summarize requests=count(), errors=countif(Status >= 500), "
                       "p95=percentile(DurationMs, 95) "
                       "by Service | top 5 by errors desc",
            false, d));
    TRY(ask(w,
            WALK_TABLE
            " | where Level == 'ERROR' | summarize errors=count() by bin(TimeGenerated, 2h) "
            "| sort by TimeGenerated asc | render timechart",
            true, d));
    TRY(ask(w,
            WALK_TABLE " | where Message has '" GEN_NEEDLE
                       "' | project TimeGenerated, Service, Status, Message "
                       "| sort by TimeGenerated asc",
            false, d));
    return ask(w,
               WALK_TABLE
               " | where Message matches regex @'timed out after [0-9]{4} ms.*shard-1[0-9]\\b' "
               "| summarize hits=count(), users=dcount(UserId) by Region | sort by hits desc",
               false, d);
}
