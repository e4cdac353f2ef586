/* SPDX-License-Identifier: Apache-2.0 */
/* Text of the scalar types, both ways. */
#include "test.h"

#include "column/calendar.h"
#include "column/decimal.h"

#include <math.h>

static struct buf out;

static const char *date_text(const char *s)
{
    int64_t t;
    buf_clear(&out);
    if (!datetime_parse(bytes_str(s), &t)) return "none";
    datetime_format(t, &out);
    return buf_cstr(&out);
}

static const char *span_text(const char *s)
{
    int64_t t;
    buf_clear(&out);
    if (!timespan_parse(bytes_str(s), &t)) return "none";
    timespan_format(t, &out);
    return buf_cstr(&out);
}

static const char *real_text(double v)
{
    buf_clear(&out);
    real_format(v, &out);
    return buf_cstr(&out);
}

static const char *decimal_text(const char *s)
{
    struct u128 v;
    buf_clear(&out);
    if (!decimal_parse(bytes_str(s), &v)) return "none";
    decimal_format(&v, &out);
    return buf_cstr(&out);
}

TEST(column, a_datetime_is_read_in_every_documented_form)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"2015-12-31 23:59:59.9", "2015-12-31T23:59:59.9000000Z"},
        {"2014-05-25T08:20:03.123456Z", "2014-05-25T08:20:03.1234560Z"},
        {"2014-05-25T08:20:03.123456789", "2014-05-25T08:20:03.1234567Z"},
        {"2014-05-25T08:20", "2014-05-25T08:20:00.0000000Z"},
        {"2014-11-08", "2014-11-08T00:00:00.0000000Z"},
        {" 2017 - 08 - 01 ", "2017-08-01T00:00:00.0000000Z"},
        {"2014-11", "2014-11-01T00:00:00.0000000Z"},
        {"2014", "2014-01-01T00:00:00.0000000Z"},
        {"20141108", "2014-11-08T00:00:00.0000000Z"},
        {"2024/01/15 12:35:35", "2024-01-15T12:35:35.0000000Z"},
        {"2020-06-15T13:45:09+02:00", "2020-06-15T11:45:09.0000000Z"},
        {"2020-06-15 13:45:09 -0530", "2020-06-15T19:15:09.0000000Z"},
        {"Sat, 8 Nov 14 15:05:02 GMT", "2014-11-08T15:05:02.0000000Z"},
        {"Sat, 08 Nov 2014 15:05", "2014-11-08T15:05:00.0000000Z"},
        {"8 Nov 14 15:05:02", "2014-11-08T15:05:02.0000000Z"},
        {"Saturday, 08-Nov-14 15:05:02 UTC", "2014-11-08T15:05:02.0000000Z"},
        {"08-Nov-14", "2014-11-08T00:00:00.0000000Z"},
        {"November 8, 2014", "2014-11-08T00:00:00.0000000Z"},
        {"12/31/2020 10:00:00 PM", "2020-12-31T22:00:00.0000000Z"},
        {"12/31/2020 12:00 am", "2020-12-31T00:00:00.0000000Z"},
        {"15/01/2024 12:35:35", "2024-01-15T12:35:35.0000000Z"},
        {"13-02-2022", "2022-02-13T00:00:00.0000000Z"},
        {"9999-12-31 23:59:59.9999999", "9999-12-31T23:59:59.9999999Z"},
        {"0001-01-01", "0001-01-01T00:00:00.0000000Z"},
        {"0001-01-01T00:00:00+01:00", "none"},
        {"2023-02-29", "none"},
        {"2024-02-29", "2024-02-29T00:00:00.0000000Z"},
        {"2024-13-01", "none"},
        {"2024-01-01T24:00", "none"},
        {"2024-01-01 12", "none"},
        {"2024-01-01x", "none"},
        {"2024-01-01T", "2024-01-01T00:00:00.0000000Z"},
        {"not a date", "none"},
        {"", "none"},
        {"  ", "none"},
        {"1", "none"},
        {"Mon", "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_STR(date_text(cases[i].text), cases[i].want);
    }
    buf_release(&out);
}

TEST(column, every_day_of_ten_thousand_years_survives_the_calendar)
{
    int64_t day = 0, t;
    for (int y = 1; y <= 9999; y++) {
        for (int m = 1; m <= 12; m++) {
            for (int d = 1; d <= calendar_month_days(y, m); d++, day++) {
                struct civil c;
                calendar_split(day * TICKS_PER_DAY, &c);
                if (c.year != y || c.month != m || c.day != d) fail_msg("%d-%d-%d", y, m, d);
                if (!calendar_join(&c, &t) || t != day * TICKS_PER_DAY)
                    fail_msg("%d-%d-%d", y, m, d);
            }
        }
    }
    EXPECT_EQ(day, TICKS_MAX / TICKS_PER_DAY + 1);
}

TEST(column, a_timespan_is_read_as_clock_or_with_a_unit)
{
    static const struct {
        const char *text, *want;
    } cases[] = {
        {"1.02:03:04", "1.02:03:04"},
        {"01:00:00", "01:00:00"},
        {"00:05", "00:05:00"},
        {"1.02:03:04.5678901", "1.02:03:04.5678901"},
        {"-1.02:03:04", "-1.02:03:04"},
        {"29.09:00:05.12345", "29.09:00:05.1234500"},
        {"10675199.02:48:05.4775807", "10675199.02:48:05.4775807"},
        {"-10675199.02:48:05.4775808", "-10675199.02:48:05.4775808"},
        {"10675199.02:48:05.4775808", "none"},
        {"7", "7.00:00:00"},
        {"2h", "02:00:00"},
        {"1.5h", "01:30:00"},
        {"2.5 hours", "02:30:00"},
        {"1tick", "00:00:00.0000001"},
        {"10ms", "00:00:00.0100000"},
        {"3us", "00:00:00.0000030"},
        {"-1d", "-1.00:00:00"},
        {"24:00:00", "none"},
        {"00:60", "none"},
        {"abc", "none"},
        {"", "none"},
        {"h", "none"},
        {"1.2.3h", "none"},
        {"99999999999d", "none"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        EXPECT_STR(span_text(cases[i].text), cases[i].want);
    }
    buf_release(&out);
}

TEST(column, a_real_is_written_with_the_fewest_digits_that_read_back)
{
    EXPECT_STR(real_text(42), "42.0");
    EXPECT_STR(real_text(-0.0), "-0.0");
    EXPECT_STR(real_text(0.1), "0.1");
    EXPECT_STR(real_text(0.1 + 0.2), "0.30000000000000004");
    EXPECT_STR(real_text(-1.5e-5), "-0.000015");
    EXPECT_STR(real_text(1e20), "100000000000000000000.0");
    EXPECT_STR(real_text(1.5e300), "1.5e+300");
    EXPECT_STR(real_text(5e-324), "5e-324");
    EXPECT_STR(real_text(NAN), "NaN");
    EXPECT_STR(real_text(-INFINITY), "-Infinity");
    uint64_t seed = 88172645463325252ULL;
    for (int i = 0; i < 20000; i++) {
        double v, back;
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        memcpy(&v, &seed, sizeof v);
        if (!isfinite(v)) continue;
        REQUIRE(real_parse(bytes_str(real_text(v)), &back));
        if (back != v) fail_msg("%.17g became %.17g", v, back);
    }
    buf_release(&out);
}

TEST(column, numbers_are_read_as_the_original_reads_them)
{
    int64_t i;
    double r;
    REQUIRE(long_parse(BYTES("  45  "), &i) && i == 45);
    REQUIRE(long_parse(BYTES("+7"), &i) && i == 7);
    REQUIRE(long_parse(BYTES("0x1F"), &i) && i == 31);
    REQUIRE(long_parse(BYTES("-9223372036854775808"), &i) && i == INT64_MIN);
    REQUIRE(!long_parse(BYTES("9223372036854775808"), &i));
    REQUIRE(!long_parse(BYTES("3.14"), &i));
    REQUIRE(!long_parse(BYTES("1e3"), &i));
    REQUIRE(!long_parse(BYTES("0xG"), &i));
    REQUIRE(!long_parse(BYTES("0b11"), &i));
    REQUIRE(!long_parse(BYTES(""), &i));
    REQUIRE(!long_parse(BYTES("-"), &i));
    REQUIRE(real_parse(BYTES(" 3.14 "), &r) && r == 3.14);
    REQUIRE(real_parse(BYTES("+.5"), &r) && r == 0.5);
    REQUIRE(real_parse(BYTES("5."), &r) && r == 5);
    REQUIRE(real_parse(BYTES("1.5E+3"), &r) && r == 1500);
    REQUIRE(real_parse(BYTES("1e400"), &r) && isinf(r));
    REQUIRE(real_parse(BYTES("-inf"), &r) && r < 0 && isinf(r));
    REQUIRE(real_parse(BYTES("NaN"), &r) && isnan(r));
    REQUIRE(!real_parse(BYTES("0x1F"), &r));
    REQUIRE(!real_parse(BYTES("1_000"), &r));
    REQUIRE(!real_parse(BYTES("1f"), &r));
    REQUIRE(!real_parse(BYTES("."), &r));
    REQUIRE(!real_parse(BYTES("1e"), &r));
}

TEST(column, a_decimal_keeps_34_digits_and_one_form)
{
    EXPECT_STR(decimal_text("3.14159265358979323846"), "3.14159265358979323846");
    EXPECT_STR(decimal_text("-0.0"), "0");
    EXPECT_STR(decimal_text("1.500"), "1.5");
    EXPECT_STR(decimal_text("100"), "100");
    EXPECT_STR(decimal_text("0.00025"), "0.00025");
    EXPECT_STR(decimal_text("12345678901234567890123456789012345"),
               "12345678901234567890123456789012350");
    EXPECT_STR(decimal_text("1e50"), "1e+50");
    EXPECT_STR(decimal_text("abc"), "none");
    EXPECT_STR(decimal_text(""), "none");
    EXPECT_STR(decimal_text("1e99999"), "none");
    struct u128 a, b, c;
    REQUIRE(decimal_parse(BYTES("1.50"), &a) && decimal_parse(BYTES("15e-1"), &b));
    EXPECT_EQ(memcmp(&a, &b, sizeof a), 0);
    REQUIRE(decimal_from_real(0.1, &a) && decimal_from_real(0.2, &b) && decimal_add(a, b, &c));
    REQUIRE(decimal_from_real(0.3, &b));
    EXPECT_EQ(memcmp(&c, &b, sizeof b), 0);
    REQUIRE(!decimal_div(a, decimal_from_i64(0), &c));
    REQUIRE(decimal_mod(decimal_from_i64(-14), decimal_from_i64(12), &c));
    EXPECT_EQ(decimal_cmp(c, decimal_from_i64(10)), 0);
    REQUIRE(decimal_parse(BYTES("-2.5"), &a));
    EXPECT_EQ(decimal_cmp(decimal_round(a, 0), decimal_from_i64(-3)), 0);
    int64_t i;
    REQUIRE(decimal_to_i64(a, &i) && i == -2);
    EXPECT_EQ(decimal_cmp(decimal_floor(a), decimal_from_i64(-3)), 0);
    EXPECT_EQ(decimal_cmp(decimal_from_i64(INT64_MIN), decimal_from_i64(INT64_MAX)), -1);
    buf_release(&out);
}

TEST(column, a_guid_is_read_with_or_without_dashes_and_braces)
{
    struct u128 a, b;
    REQUIRE(guid_text_parse(BYTES("10e99626-bc2b-4c75-bb3e-fe606de25700"), &a));
    REQUIRE(guid_text_parse(BYTES("{10E99626BC2B4C75BB3EFE606DE25700}"), &b));
    EXPECT_EQ(memcmp(&a, &b, sizeof a), 0);
    EXPECT_EQ(a.b[0], 0x10);
    REQUIRE(!guid_text_parse(BYTES("10e99626bc-2b-4c75-bb3e-fe606de25700"), &a));
    REQUIRE(!guid_text_parse(BYTES("xyz"), &a));
}

TEST(column, a_type_is_known_by_its_aliases)
{
    struct diag d = DIAG_INIT;
    enum type t;
    REQUIRE_OK(type_parse("Double", &t, &d));
    EXPECT_EQ(t, T_REAL);
    REQUIRE_OK(type_parse("boolean", &t, &d));
    EXPECT_EQ(t, T_BOOL);
    REQUIRE_OK(type_parse("long", &t, &d));
    EXPECT_EQ(t, T_LONG);
    REQUIRE_ERR(ERR_INVALID, type_parse("null", &t, &d));
    REQUIRE_ERR(ERR_INVALID, type_parse("varchar", &t, &d));
}
