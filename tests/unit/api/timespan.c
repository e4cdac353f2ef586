/* SPDX-License-Identifier: Apache-2.0 */
#include "api/timespan.h"

#include "test.h"

#define HOUR (3600 * TICKS_PER_S)
#define DAY  (24 * HOUR)

static const int64_t now = TICKS_UNIX + 20000 * DAY;

TEST(timespan, durations_are_read_in_every_unit_and_with_fractions)
{
    static const struct {
        const char *text;
        int64_t ticks;
    } cases[] = {
        {"PT1H", HOUR},
        {"P1D", DAY},
        {"P1DT12H", DAY + 12 * HOUR},
        {"PT86400.0S", DAY},
        {"PT0.5S", TICKS_PER_S / 2},
        {"P1W", 7 * DAY},
        {"P1M", 30 * DAY},
        {"PT1M", 60 * TICKS_PER_S},
        {"P1Y", 365 * DAY},
        {"PT1,5H", HOUR * 3 / 2},
        {"PT0S", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t t = -1;
        REQUIRE(iso_duration_parse(bytes_str(cases[i].text), &t));
        if (t != cases[i].ticks) fail_msg("%s: %lld", cases[i].text, (long long)t);
    }
}

TEST(timespan, what_is_no_duration_is_refused)
{
    static const char *const bad[] = {
        "",     "P",       "PT",   "1D",       "P1",   "P1H",  "PT1D",
        "P1DT", "PT1HT1M", "P-1D", "PT1.2.3S", "P1D ", "pt1h", "P99999999999999999999Y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int64_t t;
        if (iso_duration_parse(bytes_str(bad[i]), &t)) fail_msg("accepted: %s", bad[i]);
    }
}

TEST(timespan, a_range_is_a_duration_until_now_or_two_ends)
{
    struct diag d = DIAG_INIT;
    int64_t from, to, day = 0;
    REQUIRE(datetime_parse(BYTES("2026-03-01"), &day));
    REQUIRE_OK(timespan_range("PT1H", now, &from, &to, &d));
    REQUIRE(from == now - HOUR && to == now);
    REQUIRE_OK(timespan_range("2026-03-01T00:00:00Z/2026-03-02T00:00:00Z", now, &from, &to, &d));
    REQUIRE(from == day && to == day + DAY);
    REQUIRE_OK(timespan_range("2026-03-01/PT1H", now, &from, &to, &d));
    REQUIRE(from == day && to == day + HOUR);
    REQUIRE_OK(timespan_range("P1D/2026-03-01", now, &from, &to, &d));
    REQUIRE(from == day - DAY && to == day);
    REQUIRE_ERR(ERR_INVALID, timespan_range("2026-03-02/2026-03-01", now, &from, &to, &d));
    REQUIRE_ERR(ERR_INVALID, timespan_range("P1D/P1D", now, &from, &to, &d));
    REQUIRE_ERR(ERR_INVALID, timespan_range("yesterday", now, &from, &to, &d));
    REQUIRE_ERR(ERR_INVALID, timespan_range("/", now, &from, &to, &d));
}
