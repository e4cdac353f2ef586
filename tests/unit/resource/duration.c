/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/duration.h"

#include "test.h"

#include <stdio.h>

static bool reads(const char *text, uint32_t seconds)
{
    uint32_t got = 1;
    return duration_parse(text, &got) && got == seconds;
}

TEST(duration, whole_seconds_in_the_order_of_iso_8601_are_read)
{
    REQUIRE(reads("PT30M", 1800));
    REQUIRE(reads("PT0S", 0));
    REQUIRE(reads("PT90S", 90));
    REQUIRE(reads("P1DT2H3M4S", 86400 + 2 * 3600 + 3 * 60 + 4));
    REQUIRE(reads("P2W", 14 * 86400));
    REQUIRE(reads("PT36H", 36 * 3600));
    REQUIRE(reads("P3D", 3 * 86400));
}

TEST(duration, what_is_none_is_refused_and_leaves_the_caller_as_he_was)
{
    static const char *const bad[] = {"",
                                      "P",
                                      "PT",
                                      "30",
                                      "30S",
                                      "PT30",
                                      "P30S",
                                      "PT1D",
                                      "PT1M1H",
                                      "PT1S1S",
                                      "PT1.5S",
                                      "PT-1S",
                                      "-PT1S",
                                      "P1Y",
                                      "P1M",
                                      "PT1H ",
                                      " PT1H",
                                      "pt1h",
                                      "P1DT",
                                      "PTT1S",
                                      "P1DT1D",
                                      "PT1S1MX",
                                      "PT4294967295S",
                                      "P99999999999D",
                                      "PT99999999999999999999S"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint32_t got = 7;
        if (duration_parse(bad[i], &got)) fprintf(stderr, "%s was read\n", bad[i]);
        REQUIRE(!duration_parse(bad[i], &got) && got == 7);
    }
}

TEST(duration, what_is_written_reads_as_the_same)
{
    static const uint32_t values[] = {0,    1,     59,    60,     61,        3599,
                                      3600, 86399, 86400, 100000, 315360000, UINT32_MAX - 1};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[DURATION_MAX];
        duration_format(values[i], text);
        REQUIRE(reads(text, values[i]));
    }
    char text[DURATION_MAX];
    duration_format(90061, text);
    EXPECT_STR(text, "P1DT1H1M1S");
    duration_format(7 * 86400, text);
    EXPECT_STR(text, "P7D");
}
