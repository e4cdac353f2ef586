/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/golden.c - runs tests/kql/<feature>.kqltest: query in, table out
 *
 *      == title, of one line, which may end in (any order)
 *      the query, of any number of lines
 *      --
 *      name:type | name:type          the columns
 *      cell | cell                    rows, to the next title
 *
 * places*.kqltest have the tables of places.h, all others none. Cells are trimmed. null is null; a
 * string that is empty, has blanks at its ends, or reads like
 * null is written in double quotes, with \n \t \" \\ \| as escapes; reals have their shortest form,
 * or a ~ in front for "about". Instead of a table, "error TEXT" says that the message or its code
 * contains TEXT. Lines that begin with # are comments. A column that does not matter is written as
 * * in each row.
 *
 * Under a title that ends in (each line) every line is a case of its own, of values and not tables:
 *
 *      x, y => type cell | type cell      what `print x, y` gives
 *      x => error TEXT
 */
#include "places.h"

#include "../golden_cases.h"

#include "base/thread.h"

#include <math.h>

static unsigned n_cases, n_failed;

/* --- text of a result ------------------------------------------------------------------------- */

static bool needs_quotes(struct bytes s)
{
    if (s.len == 0 || s.p[0] == ' ' || s.p[s.len - 1] == ' ' || s.p[0] == '"') return true;
    if (bytes_eq(s, BYTES("null")) || bytes_eq(s, BYTES("*")) || s.p[0] == '#') return true;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] < 32 || s.p[i] == '|' || s.p[i] == '\\') return true;
    }
    return false;
}

static void put_string(struct bytes s, struct buf *out)
{
    if (!needs_quotes(s)) {
        buf_bytes(out, s);
        return;
    }
    buf_u8(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '\n')
            buf_str(out, "\\n");
        else if (s.p[i] == '\t')
            buf_str(out, "\\t");
        else if (s.p[i] == '\r')
            buf_str(out, "\\r");
        else if (s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '|')
            buf_fmt(out, "\\%c", s.p[i]);
        else
            buf_u8(out, s.p[i]);
    }
    buf_u8(out, '"');
}

static void put_value(const struct value *v, struct buf *out)
{
    char guid[GUID_TEXT_MAX];
    struct guid g;
    if (v->is_null) {
        buf_str(out, "null");
        return;
    }
    switch (v->type) {
    case T_BOOL: buf_str(out, v->b ? "true" : "false"); break;
    case T_REAL: real_format(v->r, out); break;
    case T_DECIMAL: decimal_format(&v->u, out); break;
    case T_STRING: put_string(v->s, out); break;
    case T_DATETIME: datetime_format(v->i, out); break;
    case T_TIMESPAN: timespan_format(v->i, out); break;
    case T_DYNAMIC: dyn_to_json(v->s, out); break;
    case T_GUID:
        memcpy(g.b, v->u.b, sizeof g.b);
        guid_format(&g, guid);
        buf_str(out, guid);
        break;
    default: buf_fmt(out, "%lld", (long long)v->i); break;
    }
}

static void put_header(const struct schema *s, struct buf *out)
{
    for (uint32_t i = 0; i < s->n; i++) {
        buf_fmt(out, "%s%s:%s", i != 0 ? " | " : "", s->cols[i].name, type_name(s->cols[i].type));
    }
    buf_u8(out, '\n');
}

static void put_row(const struct result *r, uint32_t row, struct buf *out)
{
    for (uint32_t c = 0; c < r->schema.n; c++) {
        if (c != 0) buf_str(out, " | ");
        put_value(&r->cells[(size_t)row * r->schema.n + c], out);
    }
    buf_u8(out, '\n');
}

/* --- one case -------------------------------------------------------------------------------- */

static struct bytes trim(struct bytes s)
{
    while (s.len != 0 && (s.p[0] == ' ' || s.p[0] == '\n'))
        s = bytes_of(s.p + 1, s.len - 1);
    while (s.len != 0 && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\n'))
        s.len--;
    return s;
}

/* The part up to the next bar that no backslash precedes. */
static struct bytes next_cell(struct bytes *left)
{
    size_t n = 0;
    while (n < left->len && !(left->p[n] == '|' && (n == 0 || left->p[n - 1] != '\\')))
        n++;
    struct bytes cell = trim(bytes_of(left->p, n));
    size_t step = n < left->len ? n + 1 : n;
    *left = bytes_of(left->p + step, left->len - step);
    return cell;
}

static bool same_cell(struct bytes want, struct bytes got)
{
    if (bytes_eq(want, BYTES("*"))) return true;
    if (want.len > 1 && want.p[0] == '~') {
        double w, g;
        return real_parse(bytes_of(want.p + 1, want.len - 1), &w) && real_parse(got, &g) &&
               fabs(w - g) <= 1e-6 * fmax(1, fabs(w));
    }
    return bytes_eq(want, got);
}

/* ":long" is a column of any name. */
static bool same_header(struct bytes want, struct bytes got)
{
    while (want.len != 0 || got.len != 0) {
        struct bytes w = next_cell(&want), g = next_cell(&got);
        const uint8_t *type = w.len != 0 && w.p[0] == ':' ? memrchr(g.p, ':', g.len) : NULL;
        if (type != NULL) g = bytes_of(type, g.len - (size_t)(type - g.p));
        if (!bytes_eq(w, g)) return false;
    }
    return true;
}

static bool same_line(struct bytes want, struct bytes got)
{
    while (want.len != 0 || got.len != 0) {
        if (!same_cell(next_cell(&want), next_cell(&got))) return false;
    }
    return true;
}

static bool same_rows(struct bytes want, struct bytes got, bool any_order)
{
    struct bytes lines[1000];
    bool used[1000] = {false};
    uint32_t n = 0;
    while (got.len != 0 && n < 1000)
        lines[n++] = trim(golden_line(&got));
    for (uint32_t i = 0; want.len != 0; i++) {
        struct bytes line = trim(golden_line(&want));
        uint32_t k = any_order ? 0 : i;
        while (any_order && k < n && (used[k] || !same_line(line, lines[k])))
            k++;
        if (k >= n || !same_line(line, lines[k])) return false;
        used[k] = true;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!used[i]) return false;
    }
    return true;
}

static bool contains(const char *text, struct bytes what)
{
    return memmem(text, strlen(text), what.p, what.len) != NULL;
}

/* What came, in the format of what is wanted. */
static void put_result(const struct result *r, struct buf *head, struct buf *rows)
{
    if (r->err != OK) {
        buf_fmt(head, "error %s %s", r->d.tag, r->d.text);
        return;
    }
    put_header(&r->schema, head);
    for (uint32_t i = 0; i < r->n_rows; i++)
        put_row(r, i, rows);
}

static bool matches(const struct result *r, struct bytes want, const struct buf *head,
                    const struct buf *rows, bool any_order)
{
    if (want.len > 6 && memcmp(want.p, "error ", 6) == 0) {
        struct bytes what = bytes_of(want.p + 6, want.len - 6);
        return r->err != OK && (contains(r->d.text, what) || contains(r->d.tag, what));
    }
    struct bytes first = trim(golden_line(&want));
    return r->err == OK && same_header(first, trim(buf_view(head))) &&
           same_rows(trim(want), trim(buf_view(rows)), any_order);
}

static void run_case(void *ctx, const struct golden_case *c)
{
    struct pool *pool = ctx;
    struct result r;
    struct bytes want = trim(c->want);
    CLEANUP_BUF struct buf head = {0}, rows = {0};
    bool any_order = c->title.len > 11 &&
                     bytes_eq(bytes_of(c->title.p + c->title.len - 11, 11), BYTES("(any order)"));
    bool has_places = str_starts(c->file, "places");
    result_catalog = has_places ? &place_catalogs[0] : &no_tables;
    result_source = has_places ? &place_source : NULL;
    result_options = (struct kql_options){.session = has_places ? &place_session : NULL};
    result_of(&r, c->query, pool);
    put_result(&r, &head, &rows);
    n_cases++;
    if (!matches(&r, want, &head, &rows, any_order)) {
        n_failed++;
        fprintf(stderr, "%s: %.*s\n%.*s\n-- got:\n%s%s\n-- wanted:\n%.*s\n\n", c->file,
                (int)c->title.len, (const char *)c->title.p, (int)c->query.len,
                (const char *)c->query.p, buf_cstr(&head), buf_cstr(&rows), (int)want.len,
                (const char *)want.p);
    }
    result_release(&r);
}

TEST(kql, each_golden_query_gives_its_table)
{
    struct diag d = DIAG_INIT;
    struct pool *pool;
    REQUIRE_OK(pool_new(&pool, 2, 64, &d));
    golden_cases(getenv("KQL_FILE"), run_case, pool);
    pool_free(pool);
    fprintf(stderr, "golden: %u of %u queries\n", n_cases - n_failed, n_cases);
    EXPECT_EQ(n_failed, 0);
    REQUIRE(n_cases != 0);
}
