/* SPDX-License-Identifier: Apache-2.0 */
/* cli/keys.c - keystead keys status */
#include "cli/cli.h"

#include "base/opt.h"
#include "cli/session.h"
#include "cli/table.h"

#include <stdio.h>

static const char *or_dash(const char *s)
{
    return s != NULL && s[0] != 0 ? s : "-";
}

static json_t *wraps_text(const json_t *wraps)
{
    CLEANUP_BUF struct buf text = {0};
    size_t i;
    json_t *w;
    json_array_foreach (wraps, i, w) {
        buf_fmt(&text, "%s%.8s: %lld%s", i != 0 ? ", " : "", or_dash(json_get_str(w, "version")),
                (long long)json_get_int(w, "count", 0),
                json_get_bool(w, "safeToDisable", false) ? " (safe to disable)" : "");
    }
    return json_string(buf_cstr(&text));
}

static void print_accounts(const json_t *status)
{
    static const char *const names[] = {"workspace",  "cluster", "state",  "since",
                                        "lastUnwrap", "bound",   "dropped"};
    CLEANUP_JSON json_t *rows = json_array(), *columns = json_array();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_array_append_new(columns, json_pack("{s:s, s:s}", "name", names[i], "type", "string"));
    }
    json_array_append_new(
        columns, json_pack("{s:s, s:s}", "name", "wraps by KEK version", "type", "string"));
    size_t i;
    json_t *a;
    json_array_foreach (json_get(status, "accounts"), i, a) {
        json_t *row = json_array();
        for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
            json_t *v = json_get(a, names[k]);
            json_array_append(row, v != NULL ? v : json_null());
        }
        json_array_append_new(row, wraps_text(json_get(a, "wraps")));
        json_array_append_new(rows, row);
    }
    CLEANUP_JSON json_t *table = json_pack("{s:O, s:O}", "columns", columns, "rows", rows);
    const struct table_style style = {.colour = colour_wanted(stdout)};
    table_print(stdout, table, &style);
}

static enum err status(const char *data, const char *format, struct diag *d)
{
    CLEANUP(session_close) struct session *s = NULL;
    TRY(session_open(&s, data, d));
    const struct session_call call = {
        .method = "GET", .resource = RESOURCE_ARM, .url = "/admin/keys/status"};
    CLEANUP_JSON json_t *j = NULL;
    TRY(session_json(s, &call, NULL, &j, d));
    if (str_eq(format, "json")) {
        CLEANUP_BUF struct buf text = {0};
        TRY(json_write(j, &text, d));
        puts(buf_cstr(&text));
        return OK;
    }
    print_accounts(j);
    CLEANUP_BUF struct buf anchor = {0};
    const json_t *a = json_get(j, "anchor");
    if (json_is_string(a))
        buf_str(&anchor, json_string_value(a));
    else if (a != NULL && !json_is_null(a))
        TRY(json_write(a, &anchor, d));
    printf("\nanchor: %s\n",
           anchor.len != 0 ? buf_cstr(&anchor) : "none: rollback of the catalog is not detected");
    return OK;
}

int cli_keys(int argc, char **argv, struct diag *d)
{
    const char *data = NULL, *format = "table", *what = NULL;
    const struct opt opts[] = {
        {.name = "data",
         .value = "DIR",
         .help = "data directory of the running server",
         .text = &data},
        {.name = "output",
         .letter = 'o',
         .value = "FORMAT",
         .help = "table or json (table)",
         .text = &format},
    };
    const struct opt_command c = {.usage = "keystead keys status --data DIR [-o table|json]",
                                  .about = "Shows each account: its key's state, since when, the "
                                           "last good unwrap, and how many wraps are on\n"
                                           "each version of the KEK.",
                                  .opts = opts,
                                  .n_opts = 2,
                                  .args = &what,
                                  .args_min = 1,
                                  .args_max = 1};
    uint32_t n;
    bool helped;
    if (opt_parse(&c, argc, argv, &n, &helped, d) != OK) return EXIT_USAGE;
    if (helped) return EXIT_OK;
    if (!str_eq(what, "status") || data == NULL ||
        (!str_eq(format, "table") && !str_eq(format, "json"))) {
        (void)FAIL(d, ERR_INVALID, "usage: %s", c.usage);
        return EXIT_USAGE;
    }
    return exit_of(status(data, format, d));
}
