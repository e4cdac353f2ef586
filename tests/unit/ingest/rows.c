/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/ingest/rows.c - a request's body becomes a typed batch */
#include "test.h"

#include "column/dyn.h"
#include "func/kernel.h"
#include "ingest/rows.h"

#include <stdio.h>
#include <stdlib.h>

#define NOW (TICKS_UNIX + 1000)

static const struct column columns[] = {
    {"TimeGenerated", T_DATETIME},
    {"b", T_BOOL},
    {"i", T_INT},
    {"l", T_LONG},
    {"r", T_REAL},
    {"m", T_DECIMAL},
    {"t", T_TIMESPAN},
    {"g", T_GUID},
    {"d", T_DYNAMIC},
    {"s", T_STRING},
};
static const struct schema schema = {sizeof columns / sizeof *columns, columns};

static struct row_stats stats;

/* Column `name` of all rows, as text: "1,null,3"; or "error". */
static const char *read_column(const char *name, const char *json)
{
    static struct buf out;
    struct diag d = DIAG_INIT;
    CLEANUP(row_reader_free) struct row_reader *r = NULL;
    CLEANUP_LOCAL(arena_release) struct arena a;
    arena_init(&a, 0);
    buf_clear(&out);
    REQUIRE_OK(row_reader_new(&r, &d));
    struct batch b;
    if (rows_read(r, bytes_str(json), &schema, NOW, &a, &b, &stats, &d) != OK) return "error";
    int c = schema_find(&schema, name);
    for (uint32_t i = 0; i < b.n_rows; i++) {
        struct value v = vec_value(&b.cols[c], i);
        if (i != 0) buf_u8(&out, ',');
        if (v.is_null)
            buf_str(&out, "null");
        else if (v.type == T_DYNAMIC)
            dyn_to_json(v.s, &out);
        else
            value_to_text(&v, &out);
    }
    return buf_cstr(&out);
}

TEST(ingest, values_of_the_right_type_arrive_as_they_are)
{
    EXPECT_STR(read_column("l", "[{\"l\":-5},{\"l\":9223372036854775807}]"),
               "-5,9223372036854775807");
    EXPECT_STR(read_column("r", "[{\"r\":0.1},{\"r\":3}]"), "0.1,3.0");
    EXPECT_STR(read_column("b", "[{\"b\":true},{\"b\":false}]"), "True,False");
    EXPECT_STR(read_column("s", "[{\"s\":\"x\\ty\"},{\"s\":\"\"}]"), "x\ty,");
    EXPECT_STR(read_column("m", "[{\"m\":0.1234567890123456789012345678901234}]"),
               "0.1234567890123456789012345678901234");
    EXPECT_STR(read_column("d", "[{\"d\":{\"a\":[1,\"x\",null]}},{\"d\":3}]"),
               "{\"a\":[1,\"x\",null]},3");
    EXPECT_STR(read_column("TimeGenerated", "[{\"TimeGenerated\":\"2026-03-01T01:02:03Z\"}]"),
               "2026-03-01T01:02:03.0000000Z");
    EXPECT_STR(read_column("t", "[{\"t\":\"1.02:03:04\"}]"), "1.02:03:04");
    EXPECT_STR(read_column("g", "[{\"g\":\"74be27de-1e4e-49d9-b579-fe0b331d3642\"}]"),
               "74be27de-1e4e-49d9-b579-fe0b331d3642");
    EXPECT_EQ(stats.bad_values + stats.unknown_fields + stats.cut_values, 0);
}

TEST(ingest, a_value_of_another_type_converts_or_becomes_null)
{
    EXPECT_STR(
        read_column("l", "[{\"l\":\"42\"},{\"l\":1.9},{\"l\":\"x\"},{\"l\":true},{\"l\":{}}]"),
        "42,1,null,1,null");
    EXPECT_EQ(stats.bad_values, 2);
    EXPECT_STR(read_column("i", "[{\"i\":2147483647},{\"i\":2147483648}]"), "2147483647,null");
    EXPECT_STR(read_column("r", "[{\"r\":\"2.5\"},{\"r\":[1]}]"), "2.5,null");
    EXPECT_STR(read_column("b", "[{\"b\":\"TRUE\"},{\"b\":0},{\"b\":\"maybe\"}]"),
               "True,False,null");
    EXPECT_STR(read_column("s", "[{\"s\":1.50},{\"s\":true},{\"s\":{\"a\":1}},{\"s\":null}]"),
               "1.50,true,{\"a\":1},");
    EXPECT_STR(read_column("d", "[{\"d\":\"text\"},{\"d\":\"{}\"},{\"d\":null}]"),
               "\"text\",\"{}\",null");
    EXPECT_STR(read_column("t", "[{\"t\":5}]"), "null");
    EXPECT_STR(read_column("g", "[{\"g\":\"no\"}]"), "null");
}

TEST(ingest, time_generated_is_never_null)
{
    EXPECT_STR(
        read_column("TimeGenerated", "[{},{\"TimeGenerated\":null},{\"TimeGenerated\":\"soon\"},"
                                     "{\"TimeGenerated\":1700000000}]"),
        "1970-01-01T00:00:00.0001000Z,1970-01-01T00:00:00.0001000Z,1970-01-01T00:00:00.0001000Z,"
        "1970-01-01T00:00:00.0001000Z");
    EXPECT_EQ(stats.bad_values, 2);
}

TEST(ingest, unknown_fields_are_dropped_and_counted)
{
    EXPECT_STR(read_column("l", "{\"l\":1,\"other\":{\"l\":5}}\n{\"x\":1,\"y\":2,\"l\":3}"), "1,3");
    EXPECT_EQ(stats.unknown_fields, 3);
}

TEST(ingest, a_long_text_is_cut_at_a_character)
{
    char *json = malloc(FIELD_TEXT_MAX + 100);
    size_t n = (size_t)sprintf(json, "[{\"s\":\"x");
    while (n < FIELD_TEXT_MAX + 50) {
        memcpy(json + n, "\xc3\xa9", 2);
        n += 2;
    }
    strcpy(json + n, "\"}]");
    EXPECT_EQ(strlen(read_column("s", json)), FIELD_TEXT_MAX - 1);
    EXPECT_EQ(stats.cut_values, 1);
    free(json);
}

TEST(ingest, what_is_not_rows_is_refused_whole)
{
    EXPECT_STR(read_column("l", "[{\"l\":1},[]]"), "error");
    EXPECT_STR(read_column("l", "[{\"l\":1},{\"l\":]"), "error");
    EXPECT_STR(read_column("l", ""), "error");
    EXPECT_STR(read_column("l", "[]"), "");
}
