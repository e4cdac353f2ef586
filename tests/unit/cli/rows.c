/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/cli/rows.c - log files become rows; rows tell their columns */
#include "test.h"

#include "base/str.h"
#include "cli/infer.h"
#include "cli/rows.h"

#include <stdlib.h>
#include <time.h>

static json_t *row(const char *text, const char *format, size_t i, size_t n)
{
    struct diag d = DIAG_INIT;
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    REQUIRE_OK(log_rows_parse(bytes_str(text), format, &r, &d));
    EXPECT_EQ(log_rows_count(&r), n);
    json_t *o = NULL;
    REQUIRE_OK(json_read(log_rows_at(&r, i), &o, &d));
    return o;
}

static void utc(void)
{
    setenv("TZ", "UTC", 1);
    tzset();
}

TEST(rows, a_line_of_dpkg_log_becomes_its_columns)
{
    utc();
    CLEANUP_JSON json_t *o =
        row("2026-11-22 01:07:50 status installed libc6:amd64 2.36-9\n", "auto", 0, 1);
    EXPECT_STR(json_get_str(o, "TimeGenerated"), "2026-11-22T01:07:50.000000Z");
    EXPECT_STR(json_get_str(o, "Action"), "status");
    EXPECT_STR(json_get_str(o, "Status"), "installed");
    EXPECT_STR(json_get_str(o, "Package"), "libc6");
    EXPECT_STR(json_get_str(o, "Architecture"), "amd64");
}

TEST(rows, a_stanza_of_apt_history_becomes_one_row_even_without_an_end)
{
    utc();
    CLEANUP_JSON json_t *o =
        row("\nStart-Date: 2026-11-22  01:07:50\nCommandline: apt-get install x\n"
            "Install: x:amd64 (1, automatic), y:amd64 (2)\nEnd-Date: 2026-11-22  01:07:55",
            "auto", 0, 1);
    EXPECT_STR(json_get_str(o, "Commandline"), "apt-get install x");
    EXPECT_EQ(json_get_int(o, "Packages", 0), 2);
    EXPECT_STR(json_get_str(o, "EndTime"), "2026-11-22T01:07:55.000000Z");
}

TEST(rows, syslog_of_both_time_formats_is_understood)
{
    utc();
    CLEANUP_JSON json_t *iso =
        row("2026-03-01T10:00:00.5+02:00 web1 sshd[77]: Accepted key\n", "auto", 0, 1);
    EXPECT_STR(json_get_str(iso, "TimeGenerated"), "2026-03-01T08:00:00.500000Z");
    EXPECT_STR(json_get_str(iso, "HostName"), "web1");
    EXPECT_STR(json_get_str(iso, "ProcessName"), "sshd");
    EXPECT_EQ(json_get_int(iso, "ProcessID", 0), 77);
    EXPECT_STR(json_get_str(iso, "Message"), "Accepted key");
    CLEANUP_JSON json_t *bsd = row("Mar  1 10:00:00 web1 cron: tick\n", "auto", 0, 1);
    REQUIRE(str_ends(json_get_str(bsd, "TimeGenerated"), "-03-01T10:00:00.000000Z"));
    EXPECT_STR(json_get_str(bsd, "ProcessName"), "cron");
}

TEST(rows, a_line_that_does_not_parse_is_a_message_and_bad_bytes_are_marked)
{
    CLEANUP_JSON json_t *o = row("caf\xe9 \x01 no time here\n", "syslog", 0, 1);
    EXPECT_STR(json_get_str(o, "Message"), "caf? \x01 no time here");
}

TEST(rows, json_of_each_shape_is_cut_into_rows)
{
    CLEANUP_JSON json_t *a = row("[{\"a\":1},{\"a\":2}]", "auto", 1, 2);
    CLEANUP_JSON json_t *b = row("{\"a\":1}\r\n\n{\"a\":2}", "auto", 1, 2);
    CLEANUP_JSON json_t *c = row("{\n\"a\":\n2}", "auto", 0, 1);
    EXPECT_EQ(json_get_int(a, "a", 0), 2);
    EXPECT_EQ(json_get_int(b, "a", 0), 2);
    EXPECT_EQ(json_get_int(c, "a", 0), 2);
}

static const char *type_of(const json_t *columns, const char *name)
{
    size_t i;
    json_t *c;
    json_array_foreach (columns, i, c) {
        if (str_eq(json_get_str(c, "name"), name)) return json_get_str(c, "type");
    }
    return NULL;
}

TEST(infer, types_follow_all_rows_and_a_late_column_is_found)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf text = {0};
    buf_str(&text, "{\"w\":1,\"r\":1,\"s\":1,\"o\":{\"x\":1},\"b\":true,\"n\":null,"
                   "\"TimeGenerated\":\"2026-03-01\"}\n");
    buf_str(&text, "{\"w\":-7,\"r\":1.5,\"s\":\"x\",\"o\":[1],\"b\":false,\"n\":null}\n");
    for (int i = 0; i < 300; i++)
        buf_str(&text, "{\"w\":1}\n");
    buf_str(&text, "{\"late\":2.5}\n");
    CLEANUP_LOG_ROWS struct log_rows r = {0};
    CLEANUP_JSON json_t *c = NULL;
    REQUIRE_OK(log_rows_parse(buf_view(&text), "ndjson", &r, &d));
    REQUIRE_OK(infer_columns(&r, &c, &d));
    EXPECT_STR(type_of(c, "TimeGenerated"), "datetime");
    EXPECT_STR(type_of(c, "w"), "long");
    EXPECT_STR(type_of(c, "r"), "real");
    EXPECT_STR(type_of(c, "s"), "string");
    EXPECT_STR(type_of(c, "o"), "dynamic");
    EXPECT_STR(type_of(c, "b"), "boolean");
    EXPECT_STR(type_of(c, "n"), "string");
    EXPECT_STR(type_of(c, "late"), "real");
}

TEST(infer, a_line_that_is_no_object_is_refused_with_its_number)
{
    struct diag d = DIAG_INIT;
    static const char *const bad[] = {"{\"a\":1}\n{\"a\":\n", "{\"a\":1}\n[2]\n",
                                      "{\"a\":1}\nhello\n"};
    for (size_t i = 0; i < 3; i++) {
        CLEANUP_LOG_ROWS struct log_rows r = {0};
        REQUIRE_OK(log_rows_parse(bytes_str(bad[i]), "ndjson", &r, &d));
        REQUIRE_ERR(ERR_INVALID, infer_check(&r, &d));
    }
}
