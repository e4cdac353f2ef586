/* SPDX-License-Identifier: Apache-2.0 */
/* cli/rows.c - cutting input into rows, and guessing its format */
#include "cli/rows.h"

#include "base/str.h"
#include "cli/logformat.h"

struct bytes log_rows_at(const struct log_rows *r, size_t i)
{
    uint64_t from, to;
    memcpy(&from, r->starts.p + 8 * i, 8);
    memcpy(&to, r->starts.p + 8 * (i + 1), 8);
    return bytes_of(r->text.p + from, to - from - 1);
}

void log_rows_release(struct log_rows *r)
{
    buf_release(&r->text);
    buf_release(&r->starts);
}

static void row_end(struct log_rows *r)
{
    buf_u8(&r->text, '\n');
    buf_u64(&r->starts, r->text.len);
}

static enum err add_object(struct log_rows *r, const json_t *o, size_t number, struct diag *d)
{
    if (!json_is_object(o)) return FAIL(d, ERR_INVALID, "row %zu is not an object", number);
    TRY(json_write(o, &r->text, d));
    row_end(r);
    return OK;
}

static enum err parse_array(struct bytes input, struct log_rows *r, struct diag *d)
{
    CLEANUP_JSON json_t *j = NULL;
    TRY(json_read(input, &j, d));
    if (json_is_object(j)) return add_object(r, j, 1, d);
    if (!json_is_array(j))
        return FAIL(d, ERR_INVALID, "the JSON is neither an array of rows nor a row");
    size_t i;
    json_t *o;
    json_array_foreach (j, i, o)
        TRY(add_object(r, o, i + 1, d));
    return OK;
}

/* The next line without its end; false after the last. */
static bool next_line(struct rd *r, struct bytes *line)
{
    if (r->p == r->end) return false;
    const uint8_t *nl = memchr(r->p, '\n', rd_left(r));
    size_t n = nl != NULL ? (size_t)(nl - r->p) : rd_left(r);
    *line = rd_bytes(r, n);
    if (nl != NULL) r->p++;
    if (line->len != 0 && line->p[line->len - 1] == '\r') line->len--;
    return true;
}

static void parse_ndjson(struct bytes input, struct log_rows *r)
{
    struct rd in = rd_from(input);
    struct bytes line;
    while (next_line(&in, &line)) {
        if (line.len == 0) continue;
        /* The line itself, not its reading: numbers keep all their digits. */
        buf_bytes(&r->text, line);
        row_end(r);
    }
}

static enum err parse_lines(struct bytes input, const struct logformat *f, struct log_rows *r,
                            struct diag *d)
{
    struct rd in = rd_from(input);
    struct bytes line;
    struct logformat_state state = {0};
    while (next_line(&in, &line)) {
        CLEANUP_JSON json_t *o = NULL;
        TRY(f->line(&state, line, &o, d));
        if (o != NULL) TRY(add_object(r, o, 0, d));
    }
    CLEANUP_JSON json_t *last = f->end != NULL ? f->end(&state) : NULL;
    return last != NULL ? add_object(r, last, 0, d) : OK;
}

static const char *guess(struct bytes input)
{
    size_t i = 0;
    while (i < input.len && strchr(" \t\r\n", input.p[i]) != NULL)
        i++;
    struct bytes rest = bytes_of(input.p + i, input.len - i);
    if (rest.len == 0) return "ndjson";
    if (rest.p[0] == '[') return "json";
    struct rd in = rd_from(rest);
    struct bytes line = {0};
    (void)next_line(&in, &line);
    if (rest.p[0] == '{') {
        CLEANUP_JSON json_t *o = NULL;
        if (json_read(line, &o, NULL) != OK) return "json"; /* one object over several lines */
        return json_get(o, "__REALTIME_TIMESTAMP") != NULL ? "journal" : "ndjson";
    }
    return logformat_guess(line);
}

enum err log_rows_parse(struct bytes input, const char *format, struct log_rows *out,
                        struct diag *d)
{
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    buf_u64(&r.starts, 0);
    if (str_eq(format, "auto")) format = guess(input);
    if (str_eq(format, "json")) {
        TRY(parse_array(input, &r, d));
    } else if (str_eq(format, "ndjson")) {
        parse_ndjson(input, &r);
    } else {
        const struct logformat *f = logformat_find(format);
        if (f == NULL) return FAIL(d, ERR_INVALID, "unknown format '%.40s'", format);
        TRY(parse_lines(input, f, &r, d));
    }
    TRY(buf_check(&r.text, d));
    TRY(buf_check(&r.starts, d));
    *out = r;
    r = (struct log_rows){0};
    return OK;
}
