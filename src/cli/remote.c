/* SPDX-License-Identifier: Apache-2.0 */
/* cli/remote.c - calls with a JSON body, and their answers as tables */
#include "cli/remote.h"

#include "cli/table.h"

#include <stdio.h>

enum err remote_call(struct session *s, const char *method, const char *path, const json_t *body,
                     json_t **out, struct diag *d)
{
    const struct session_call call = {
        .method = method, .resource = RESOURCE_ARM, .url = path, .json = body};
    return session_json(s, &call, NULL, out, d);
}

void remote_segment(struct buf *path, const char *word)
{
    buf_u8(path, '/');
    percent_encode(path, bytes_str(word));
}

bool remote_format_is_good(const struct remote *r, struct diag *d)
{
    if (str_eq(r->format, "table") || str_eq(r->format, "json")) return true;
    (void)FAIL(d, ERR_INVALID, "-o takes table or json, not '%.20s'", r->format);
    return false;
}

static enum err print_json(const json_t *j, struct diag *d)
{
    CLEANUP_BUF struct buf text = {0};
    TRY(json_write(j, &text, d));
    puts(buf_cstr(&text));
    return OK;
}

static void put_cell(struct buf *b, const json_t *v)
{
    size_t i;
    json_t *one;
    if (json_is_string(v)) {
        buf_str(b, json_string_value(v));
    } else if (json_is_boolean(v)) {
        buf_str(b, json_is_true(v) ? "yes" : "no");
    } else if (json_is_array(v)) {
        json_array_foreach (v, i, one) {
            if (i != 0) buf_str(b, ", ");
            put_cell(b, one);
        }
    } else if (json_is_object(v)) { /* a credential: what it is and when it ends */
        buf_str(b, json_get_str(v, "kind") != NULL ? json_get_str(v, "kind") : "");
        const char *ends = json_get_str(v, "expires");
        if (ends != NULL) buf_fmt(b, " until %.10s", ends);
    } else if (v != NULL && !json_is_null(v)) {
        (void)json_write(v, b, NULL);
    }
}

enum err remote_table(const struct remote *r, const json_t *list, const char *const *members,
                      struct diag *d)
{
    if (str_eq(r->format, "json")) return print_json(list, d);
    CLEANUP_JSON json_t *columns = json_array(), *rows = json_array();
    for (size_t i = 0; members[i] != NULL; i++) {
        json_array_append_new(columns,
                              json_pack("{s:s, s:s}", "name", members[i], "type", "string"));
    }
    size_t i;
    json_t *o;
    json_array_foreach (list, i, o) {
        json_t *row = json_array();
        for (size_t k = 0; members[k] != NULL; k++) {
            CLEANUP_BUF struct buf text = {0};
            put_cell(&text, json_get(o, members[k]));
            json_array_append_new(row, json_string(buf_cstr(&text)));
        }
        json_array_append_new(rows, row);
    }
    CLEANUP_JSON json_t *table = json_pack("{s:O, s:O}", "columns", columns, "rows", rows);
    const struct table_style style = {.colour = colour_wanted(stdout)};
    table_print(stdout, table, &style);
    return OK;
}

enum err remote_object(const struct remote *r, const json_t *o, struct diag *d)
{
    if (str_eq(r->format, "json")) return print_json(o, d);
    const char *name;
    json_t *v;
    json_object_foreach ((json_t *)o, name, v) {
        CLEANUP_BUF struct buf text = {0};
        put_cell(&text, v);
        printf("%-12s %s\n", name, buf_cstr(&text));
    }
    return OK;
}
