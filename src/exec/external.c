/* SPDX-License-Identifier: Apache-2.0 */
/*
 * exec/external.c - externaldata: what lies elsewhere, read whole and cut into records
 *
 * The bytes come through exec_request.external. Values are texts, or dynamics of JSON; the plan
 * converts them (kql/bind_external.c). Bytes that are not UTF-8 are refused: a column could not be
 * put into JSON again.
 */
#include "base/str.h"
#include "column/dyn.h"
#include "exec/run.h"

#include <inttypes.h>

#define EXTERNAL_BYTES_MAX ((size_t)100 << 20) /* of one operator's files, as the original has it */
#define SETTLE_ROWS        4096

struct reading {
    struct query *q;
    const struct op *op;
    const char *uri;
    struct vecb *cols;
    struct buf dyn;
    uint64_t n_rows;
    struct diag *d;
};

static enum err row_done(struct reading *r)
{
    if (++r->n_rows % SETTLE_ROWS != 0) return OK;
    mem_settle(r->q, &r->q->mem);
    return query_check(r->q, r->d);
}

static void fill_up(struct reading *r, uint32_t from)
{
    for (uint32_t c = from; c < r->op->schema.n; c++)
        vecb_str(&r->cols[c], BYTES(""));
}

/* --- lines and fields ------------------------------------------------------------------------ */

static struct bytes next_line(struct bytes *rest)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->p, '\n', rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->p) : rest->len;
    struct bytes line = {rest->p, len};
    size_t used = end != NULL ? len + 1 : len;
    *rest = bytes_of(rest->p + used, rest->len - used);
    if (line.len > 0 && line.p[line.len - 1] == '\r') line.len--;
    return line;
}

static enum err read_lines(struct reading *r, struct bytes rest)
{
    bool skip = r->op->external.skip_first;
    while (rest.len > 0) {
        struct bytes line = next_line(&rest);
        if (line.len == 0) continue;
        if (!skip) {
            vecb_str(&r->cols[0], line);
            fill_up(r, 1);
            TRY(row_done(r));
        }
        skip = false;
    }
    return OK;
}

/* A field between quotes: a doubled quote is one, and delimiters and line ends are text. What
 * stands between the closing quote and the delimiter is taken as it is. */
static void quoted_field(struct bytes *rest, struct buf *out)
{
    *rest = bytes_of(rest->p + 1, rest->len - 1);
    while (rest->len > 0) {
        uint8_t c = rest->p[0];
        bool doubled = c == '"' && rest->len > 1 && rest->p[1] == '"';
        size_t used = doubled ? 2 : 1;
        *rest = bytes_of(rest->p + used, rest->len - used);
        if (c == '"' && !doubled) return;
        buf_u8(out, c);
    }
}

/* *more: a delimiter follows, so another field does. */
static void next_field(struct bytes *rest, char delimiter, struct buf *out, bool *more)
{
    buf_clear(out);
    if (rest->len > 0 && rest->p[0] == '"') quoted_field(rest, out);
    while (rest->len > 0) {
        uint8_t c = rest->p[0];
        bool line_end = c == '\n' || (c == '\r' && (rest->len == 1 || rest->p[1] == '\n'));
        if (c == (uint8_t)delimiter || line_end) break;
        buf_u8(out, c);
        *rest = bytes_of(rest->p + 1, rest->len - 1);
    }
    *more = rest->len > 0 && rest->p[0] == (uint8_t)delimiter;
    if (*more) *rest = bytes_of(rest->p + 1, rest->len - 1);
}

static bool at_empty_line(struct bytes rest)
{
    return rest.p[0] == '\n' || (rest.p[0] == '\r' && (rest.len == 1 || rest.p[1] == '\n'));
}

static enum err read_delimited(struct reading *r, struct bytes rest)
{
    CLEANUP_BUF struct buf field = {0};
    bool skip = r->op->external.skip_first;
    while (rest.len > 0) {
        bool more = !at_empty_line(rest), record = more;
        uint32_t n = 0;
        while (more) {
            next_field(&rest, r->op->external.delimiter, &field, &more);
            TRY(buf_check(&field, r->d));
            if (!skip && n < r->op->schema.n) vecb_str(&r->cols[n++], buf_view(&field));
        }
        (void)next_line(&rest);
        if (!record) continue;
        if (!skip) {
            fill_up(r, n);
            TRY(row_done(r));
        }
        skip = false;
    }
    return OK;
}

/* --- JSON ------------------------------------------------------------------------------------ */

static enum err no_json(struct reading *r)
{
    return FAIL(r->d, ERR_INVALID, "externaldata: '%s' is not JSON objects, at record %" PRIu64,
                r->uri, r->n_rows + 1);
}

static bool between_objects(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r') || c == ',' || c == '[' || c == ']';
}

/* The length of the object that begins here, 0 = it does not end. Only braces and strings matter;
 * the parser sees to the rest. */
static size_t object_len(struct bytes s)
{
    size_t depth = 0;
    bool text = false;
    for (size_t i = 0; i < s.len; i++) {
        uint8_t c = s.p[i];
        if (text) {
            if (c == '\\') i++;
            text = c != '"';
        } else if (c == '"') {
            text = true;
        } else if (c == '{') {
            depth++;
        } else if (c == '}' && --depth == 0) {
            return i + 1;
        }
    }
    return 0;
}

/* Column c of an object; len 0 = it has none. */
static struct bytes value_of(const struct reading *r, uint32_t c, struct bytes object)
{
    const struct external_path *path =
        r->op->external.paths != NULL ? &r->op->external.paths[c] : NULL;
    if (path == NULL) return dyn_member(object, bytes_str(r->op->schema.cols[c].name));
    for (uint32_t i = 0; i < path->n && object.len > 0; i++)
        object =
            dyn_kind(object) == DYN_BAG ? dyn_member(object, path->names[i]) : (struct bytes){0};
    return object;
}

static enum err put_object(struct reading *r, struct bytes text)
{
    buf_clear(&r->dyn);
    TRY(dyn_from_json(text, &r->dyn, r->d));
    if (dyn_kind(buf_view(&r->dyn)) != DYN_BAG) return no_json(r);
    for (uint32_t c = 0; c < r->op->schema.n; c++) {
        struct bytes v = value_of(r, c, buf_view(&r->dyn));
        if (v.len == 0 || dyn_kind(v) == DYN_NULL) {
            vecb_null(&r->cols[c]);
        } else {
            vecb_str(&r->cols[c], v);
        }
    }
    return row_done(r);
}

static enum err read_json(struct reading *r, struct bytes rest)
{
    bool skip = r->op->external.skip_first;
    for (;;) {
        while (rest.len > 0 && between_objects(rest.p[0]))
            rest = bytes_of(rest.p + 1, rest.len - 1);
        if (rest.len == 0) return OK;
        size_t len = rest.p[0] == '{' ? object_len(rest) : 0;
        if (len == 0) return no_json(r);
        if (!skip) TRY(put_object(r, bytes_of(rest.p, len)));
        skip = false;
        rest = bytes_of(rest.p + len, rest.len - len);
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static enum err read_records(struct reading *r, struct bytes file)
{
    static const uint8_t mark[] = {0xEF, 0xBB, 0xBF};
    if (file.len >= 3 && memcmp(file.p, mark, 3) == 0) file = bytes_of(file.p + 3, file.len - 3);
    if (!utf8_valid(file)) {
        return FAIL(r->d, ERR_INVALID, "externaldata: '%s' is not UTF-8", r->uri);
    }
    switch (r->op->external.format) {
    case EXTERNAL_DELIMITED: return read_delimited(r, file);
    case EXTERNAL_LINES: return read_lines(r, file);
    case EXTERNAL_JSON: return read_json(r, file);
    case EXTERNAL_RAW: break;
    }
    vecb_str(&r->cols[0], file);
    fill_up(r, 1);
    return row_done(r);
}

static enum err read_files(struct reading *r)
{
    const struct external_ops *ops = r->q->r->external;
    if (ops == NULL) {
        return FAIL(r->d, ERR_UNSUPPORTED,
                    "externaldata is not supported: this server reads no other places");
    }
    size_t left = EXTERNAL_BYTES_MAX;
    for (uint32_t i = 0; i < r->op->external.n_uris; i++) {
        CLEANUP_BUF struct buf file = {0};
        r->uri = r->op->external.uris[i];
        TRY(ops->read(ops->ctx, r->uri, left, r->q->limits.deadline_us, &file, r->d));
        TRY(buf_check(&file, r->d));
        left -= file.len < left ? file.len : left;
        TRY(read_records(r, buf_view(&file)));
    }
    return OK;
}

enum err external_leg(struct pipeline *p, const struct op *op, const struct stage *next,
                      struct diag *d)
{
    struct query *q = p->q;
    struct relation rows = {0};
    uint32_t n = op->schema.n;
    struct reading r = {.q = q, .op = op, .d = d};
    struct vec *cols = arena_array(&q->mem.a, struct vec, n);
    r.cols = arena_array(&q->mem.a, struct vecb, n);
    if (cols == NULL || r.cols == NULL) return query_full(q, d);
    for (uint32_t c = 0; c < n; c++)
        vecb_init(&r.cols[c], &q->mem.a, op->schema.cols[c].type, 64);
    enum err e = n > 0 ? read_files(&r) : OK;
    buf_release(&r.dyn);
    TRY(e);
    for (uint32_t c = 0; c < n; c++) {
        if (vecb_finish(&r.cols[c], &cols[c], NULL) != OK) return query_full(q, d);
    }
    struct batch all = {.n_rows = n > 0 ? cols[0].n : 0, .n_cols = n, .cols = cols};
    TRY(relation_cut(q, &all, &q->mem, &rows, d));
    return relation_leg(p, &rows, next, d);
}
