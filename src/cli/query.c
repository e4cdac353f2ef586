/* SPDX-License-Identifier: Apache-2.0 */
/* cli/query.c - keystead query */
#include "cli/cli.h"

#include "base/opt.h"
#include "cli/session.h"
#include "cli/table.h"

#include <stdlib.h>
#include <unistd.h>

static enum err print_result(const json_t *table, const json_t *render, const char *format,
                             struct diag *d)
{
    const struct table_style style = {.cell_max = isatty(STDOUT_FILENO) ? 60 : 0,
                                      .colour = colour_wanted(stdout)};
    if (str_eq(format, "csv")) {
        table_print_csv(stdout, table);
    } else if (str_eq(format, "jsonl")) {
        return table_print_jsonl(stdout, table, d);
    } else if (str_eq(format, "json")) {
        CLEANUP_BUF struct buf text = {0};
        TRY(json_write(table, &text, d));
        puts(buf_cstr(&text));
    } else {
        table_print(stdout, table, &style);
        if (str_eq(json_get_str(render, "visualization"), "timechart"))
            chart_print(stdout, table, &style);
    }
    return OK;
}

static enum err read_stdin(struct buf *out, struct diag *d)
{
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        buf_bytes(out, bytes_of(chunk, n));
    return buf_check(out, d);
}

static enum err run(const char *data, const char *workspace, const char *kql, const char *format,
                    struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    struct workspace w;
    TRY(session_workspace(s, workspace, &w, d));
    CLEANUP_BUF struct buf text = {0};
    if (str_eq(kql, "-")) {
        TRY(read_stdin(&text, d));
        kql = buf_cstr(&text);
    }
    CLEANUP_JSON json_t *table = NULL, *render = NULL;
    TRY(session_query(s, w.id, kql, &table, &render, d));
    return print_result(table, render, format, d);
}

int cli_query(int argc, char **argv, struct diag *d)
{
    const char *data = NULL, *workspace = NULL, *format = "table", *kql = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server; without it who has signed in speaks",
         .text = &data},
        {.name = "workspace",
         .letter = 'w',
         .value = "NAME|GUID",
         .help = "workspace to query",
         .text = &workspace},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table, json, csv or jsonl (table)",
         .text = &format},
    };
    const struct opt_command c = {
        .usage = "keystead query --data DIR --workspace NAME|GUID [-o FORMAT] 'KQL'|-",
        .about =
            "Runs one KQL query and prints its result. '-' reads the query from standard input.",
        .opts = opts,
        .n_opts = 3,
        .args = &kql,
        .args_min = 1,
        .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    static const char *const formats[] = {"table", "json", "csv", "jsonl"};
    bool known = false;
    for (size_t i = 0; i < 4; i++)
        known = known || str_eq(format, formats[i]);
    if (workspace == NULL || !known) {
        (void)FAIL(d, ERR_INVALID,
                   known ? "--workspace NAME is needed" : "-o takes table, json, csv or jsonl");
        return EXIT_USAGE;
    }
    return exit_of(run(data, workspace, kql, format, d));
}
