/* SPDX-License-Identifier: Apache-2.0 */
/* json/rows.c - brings the forms of row text into one JSON array, and counts rows for messages */
#include "json/rows.h"

#include <inttypes.h>
#include <stdlib.h>

struct json_rows {
    struct simd_rows *simd;
    struct buf text; /* the copy, with padding behind it */
    uint64_t n_rows;
};

enum err json_rows_new(struct json_rows **out, struct diag *d)
{
    CLEANUP(json_rows_free) struct json_rows *r = calloc(1, sizeof *r);
    if (r == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    r->simd = simd_rows_new();
    if (r->simd == NULL) return FAIL(d, ERR_LIMIT, "out of memory");
    *out = TAKE(r);
    return OK;
}

void json_rows_free(struct json_rows *r)
{
    if (r == NULL) return;
    simd_rows_free(r->simd);
    buf_release(&r->text);
    free(r);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct bytes trimmed(struct bytes s)
{
    while (s.len != 0 && is_space(s.p[0])) {
        s.p++;
        s.len--;
    }
    while (s.len != 0 && is_space(s.p[s.len - 1]))
        s.len--;
    return s;
}

static struct bytes next_line(struct bytes *left)
{
    const uint8_t *end = memchr(left->p, '\n', left->len);
    size_t len = end != NULL ? (size_t)(end - left->p) : left->len;
    struct bytes line = {left->p, len};
    size_t step = end != NULL ? len + 1 : len;
    *left = (struct bytes){left->p + step, left->len - step};
    return trimmed(line);
}

/* Is the first line a whole object, so that others may follow, one by line? */
static bool is_by_line(struct bytes text)
{
    struct bytes line = next_line(&text);
    return line.len != 0 && line.p[line.len - 1] == '}';
}

/* A line break inside a JSON string is always written as an escape, so a raw one ends a row. */
static void join_lines(struct bytes text, struct buf *out)
{
    const char *between = "[";
    while (text.len != 0) {
        struct bytes line = next_line(&text);
        if (line.len == 0) continue;
        buf_str(out, between);
        buf_bytes(out, line);
        between = ",";
    }
    buf_u8(out, ']');
}

enum err json_rows_open(struct json_rows *r, struct bytes text, const char *const *names,
                        uint32_t n_names, struct diag *d)
{
    if (text.len >= 3 && memcmp(text.p, "\xef\xbb\xbf", 3) == 0) {
        text = (struct bytes){text.p + 3, text.len - 3};
    }
    text = trimmed(text);
    if (text.len == 0) return FAIL(d, ERR_INVALID, "no rows: the text is empty");

    buf_clear(&r->text);
    r->n_rows = 0;
    if (text.p[0] == '[') {
        buf_bytes(&r->text, text);
    } else if (is_by_line(text)) {
        join_lines(text, &r->text);
    } else {
        buf_u8(&r->text, '[');
        buf_bytes(&r->text, text);
        buf_u8(&r->text, ']');
    }
    size_t len = r->text.len, padding = simd_rows_padding();
    buf_extend(&r->text, padding);
    TRY(buf_check(&r->text, d));
    const char *why =
        simd_rows_open(r->simd, (const char *)r->text.p, len, len + padding, names, n_names);
    return why == NULL ? OK : FAIL(d, ERR_INVALID, "not JSON: %s", why);
}

enum err json_rows_next(struct json_rows *r, struct json_cell *cells, bool *more, struct diag *d)
{
    const char *why = simd_rows_next(r->simd, cells, more);
    r->n_rows++;
    return why == NULL ? OK : FAIL(d, ERR_INVALID, "row %" PRIu64 ": %s", r->n_rows, why);
}

void json_rows_forget(struct json_rows *r)
{
    simd_rows_forget(r->simd);
    buf_clear(&r->text);
}

uint64_t json_rows_unknown(const struct json_rows *r)
{
    return simd_rows_unknown(r->simd);
}
