/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/ingest/transform.c - what a collection rule's KQL does with rows, and what it may not
 * be */
#include "test.h"

#include "func/kernel.h"
#include "ingest/rows.h"
#include "ingest/transform.h"

#define NOW (TICKS_UNIX + 1000)

static const struct column stream_columns[] = {{"Raw", T_STRING}, {"N", T_LONG}};
static const struct schema stream = {2, stream_columns};
static const struct column table_columns[] = {
    {"TimeGenerated", T_DATETIME}, {"Word", T_STRING}, {"N", T_LONG}};
static const struct schema table = {3, table_columns};

/* The table's rows as text, a line each; or the failure's. */
static const char *ran(const char *kql, const char *json)
{
    static struct buf out;
    static struct diag d;
    d = (struct diag)DIAG_INIT;
    CLEANUP(row_reader_free) struct row_reader *r = NULL;
    CLEANUP(transform_free) struct transform *t = NULL;
    CLEANUP_LOCAL(arena_release) struct arena a;
    struct row_stats stats = {0};
    struct batch in, b;
    arena_init(&a, 0);
    buf_clear(&out);
    REQUIRE_OK(row_reader_new(&r, &d));
    if (transform_new(&t, kql, &stream, NOW, &d) != OK) return d.text;
    REQUIRE_OK(rows_read(r, bytes_str(json), &stream, NOW, &a, &in, &stats, &d));
    if (transform_run(t, &in, &table, &a, &b, &d) != OK) return d.text;
    for (uint32_t i = 0; i < b.n_rows; i++) {
        for (uint32_t k = 0; k < b.n_cols; k++) {
            struct value v = vec_value(&b.cols[k], i);
            if (k != 0) buf_u8(&out, '|');
            if (v.is_null)
                buf_str(&out, "null");
            else
                value_to_text(&v, &out);
        }
        buf_u8(&out, '\n');
    }
    return buf_cstr(&out);
}

TEST(ingest, rows_without_a_transformation_go_to_columns_of_their_names)
{
    EXPECT_STR(ran(NULL, "[{\"Raw\":\"x\",\"N\":1},{\"N\":2}]"),
               "1970-01-01T00:00:00.0001000Z||1\n1970-01-01T00:00:00.0001000Z||2\n");
    EXPECT_STR(ran("source", "[{\"N\":7}]"), "1970-01-01T00:00:00.0001000Z||7\n");
}

TEST(ingest, a_transformation_filters_computes_and_parses_each_row)
{
    EXPECT_STR(ran("source | where N > 1 | extend Word = toupper(Raw), TimeGenerated = now()",
                   "[{\"Raw\":\"a\",\"N\":1},{\"Raw\":\"b\",\"N\":2}]"),
               "1970-01-01T00:00:00.0001000Z|B|2\n");
    EXPECT_STR(ran("source | parse Raw with * 'user=' Word ' ' * | project Word, N",
                   "[{\"Raw\":\"x user=eve y\",\"N\":3}]"),
               "1970-01-01T00:00:00.0001000Z|eve|3\n");
    EXPECT_STR(ran("let up = (s: string) { toupper(s) }; source | project Word = up(Raw)",
                   "[{\"Raw\":\"q\"}]"),
               "1970-01-01T00:00:00.0001000Z|Q|null\n");
    EXPECT_STR(ran("source | where N > 100", "[{\"N\":1}]"), "");
}

TEST(ingest, what_looks_at_other_rows_is_refused_by_name)
{
    static const char *const refused[][2] = {
        {"source | summarize count()", "summarize"},
        {"source | take 1", "take"},
        {"source | sort by N", "sort"},
        {"source | union source", "union"},
        {"source | join source on N", "join"},
        {"source | extend x = toscalar(source | count)", "toscalar"},
        {"source | serialize | extend x = row_number()", "row"},
        {"print x = 1", "print"},
        {"source | mv-expand y = pack_array(1, 2)", "mv-expand"},
        {"source | render table", "render"},
        {"Other | where N > 1", "Other"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *said = ran(refused[i][0], "[{\"N\":1}]");
        if (strstr(said, refused[i][1]) == NULL) print_message("%s: %s\n", refused[i][0], said);
        REQUIRE(strstr(said, refused[i][1]) != NULL);
    }
}

TEST(ingest, a_result_column_of_another_type_than_the_tables_is_refused)
{
    EXPECT_STR(ran("source | project N = tostring(N)", "[{\"N\":1}]"),
               "the column 'N' is of type string and of type long in the table");
}

TEST(ingest, more_rows_than_a_unit_has_are_all_transformed)
{
    CLEANUP_BUF struct buf json = {0};
    buf_str(&json, "[");
    for (int i = 0; i < 70000; i++)
        buf_fmt(&json, "%s{\"N\":%d}", i != 0 ? "," : "", i);
    buf_str(&json, "]");
    const char *out =
        ran("source | where N in (0, 65535, 65536, 69999) | project N", buf_cstr(&json));
    uint32_t lines = 0;
    for (const char *p = out; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    EXPECT_EQ(lines, 4);
    REQUIRE(strstr(out, "|65536\n") != NULL && strstr(out, "|69999\n") != NULL);
}
