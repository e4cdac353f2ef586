/* SPDX-License-Identifier: Apache-2.0 */
/* cli/ingest.c - keystead ingest */
#include "cli/cli.h"

#include "base/opt.h"
#include "base/os.h"
#include "cli/send.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#define INPUT_MAX ((size_t)2 << 30) /* bytes of one file */

static enum err read_input(const char *path, struct buf *out, struct diag *d)
{
    return os_read_file(str_eq(path, "-") ? "/dev/stdin" : path, INPUT_MAX, out, d);
}

struct ingest {
    const char *data, *workspace, *table, *format, *path;
    struct send_result result;
};

static enum err run(struct ingest *in, struct diag *d)
{
    CLEANUP_BUF struct buf input = {.max = INPUT_MAX + 1};
    CLEANUP_LOG_ROWS struct log_rows rows = {0};
    TRY(read_input(in->path, &input, d));
    TRY(log_rows_parse(buf_view(&input), in->format, &rows, d));
    in->result.rows = log_rows_count(&rows);
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, in->data, d));
    struct workspace w;
    TRY(session_workspace(s, in->workspace, &w, d));
    bool created;
    TRY(send_ensure_table(s, &w, in->table, &rows, 0, &created, d));
    const struct send_options o = {.workspace = &w, .table = in->table, .progress = in->table};
    return send_rows(s, &rows, &o, &in->result, d);
}

int cli_ingest(int argc, char **argv, struct diag *d)
{
    struct ingest in = {.format = "auto"};
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server",
         .text = &in.data},
        {.name = "workspace",
         .letter = 'w',
         .value = "NAME|GUID",
         .help = "workspace that gets the rows",
         .text = &in.workspace},
        {.name = "table",
         .letter = 't',
         .value = "NAME_CL",
         .help = "table; made from the rows where it does not exist",
         .text = &in.table},
        {.name = "format",
         .letter = 'f',
         .value = "FORMAT",
         .help = "auto, json, ndjson, dpkg, apt, syslog, journal or text (auto)",
         .text = &in.format},
    };
    const struct opt_command c = {.usage = "keystead ingest --data DIR --workspace NAME|GUID "
                                           "--table NAME_CL [--format FORMAT] FILE|-",
                                  .about =
                                      "Sends the rows of a file to a table and tries for up to 60 "
                                      "seconds. The last line on standard output counts\n"
                                      "rows, acknowledged and dropped ones; the exit status is 0 "
                                      "only if all were acknowledged and kept.",
                                  .opts = opts,
                                  .n_opts = 4,
                                  .args = &in.path,
                                  .args_min = 1,
                                  .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (in.workspace == NULL || in.table == NULL) {
        (void)FAIL(d, ERR_INVALID, "--workspace NAME and --table NAME_CL are needed");
        return EXIT_USAGE;
    }
    if (!str_ends(in.table, "_CL")) {
        (void)FAIL(d, ERR_INVALID, "the name of a custom table ends in _CL, '%.64s' does not",
                   in.table);
        return EXIT_USAGE;
    }
    enum err e = run(&in, d);
    const struct send_result *r = &in.result;
    printf("{\"rows\":%" PRIu64 ",\"acknowledged\":%" PRIu64 ",\"dropped\":%" PRIu64 "}\n", r->rows,
           r->acknowledged, r->dropped);
    return e == OK && r->acknowledged == r->rows && r->dropped == 0 ? EXIT_OK : EXIT_FAILED;
}
