/* SPDX-License-Identifier: Apache-2.0 */
#include "resource/apiversion.h"

#include "base/str.h"
#include "resource/location.h"
#include "test.h"

static struct api_version v(const char *s)
{
    struct api_version out = {0};
    assert_true(api_version_parse(s, &out));
    return out;
}

TEST(apiversion, only_calendar_dates_with_a_known_suffix_are_versions)
{
    struct api_version out;
    static const char *const bad[] = {
        "",           "2020",       "2020-13-01",           "2020-00-01",           "2020-01-32",
        "2020-1-1",   "20200801",   "2020-08-01-",          "2020-08-01-nope",      "2020-08-01 ",
        "x020-08-01", "1999-01-01", "2020-08-01-preview.x", "2020-08-01-preview.12"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(api_version_parse(bad[i], &out));
    assert_true(api_version_parse("2019-08-01-preview", &out));
    assert_true(api_version_parse("2021-03-01-privatepreview", &out));
    assert_true(api_version_parse("2099-12-31", &out));
}

TEST(apiversion, a_preview_comes_before_its_release)
{
    REQUIRE(api_version_cmp(v("2020-03-01-preview"), v("2020-03-01")) < 0);
    REQUIRE(api_version_cmp(v("2020-03-01"), v("2020-03-01-preview")) > 0);
    REQUIRE(api_version_cmp(v("2020-03-01"), v("2020-03-01")) == 0);
    REQUIRE(api_version_cmp(v("2019-12-31"), v("2020-01-01-preview")) < 0);
}

TEST(apiversion, a_dialect_holds_until_the_next_one_begins)
{
    EXPECT_STR(cluster_dialect(v("2019-08-01-preview"))->from, "2019-08-01-preview");
    EXPECT_STR(cluster_dialect(v("2020-03-01-preview"))->from, "2020-03-01-preview");
    EXPECT_STR(cluster_dialect(v("2020-03-01"))->from, "2020-03-01-preview");
    EXPECT_STR(cluster_dialect(v("2020-10-01"))->from, "2020-08-01");
    EXPECT_STR(cluster_dialect(v("2023-09-01"))->from, "2022-10-01");
    EXPECT_STR(cluster_dialect(v("2025-04-01"))->from, "2025-02-01");
    EXPECT_STR(cluster_dialect(v("2031-01-01"))->from, "2025-07-01");
    EXPECT_STR(cluster_dialect(v("2001-01-01"))->from, "2019-08-01-preview");
    EXPECT_EQ(cluster_dialect(v("2025-04-01"))->dates, ARM_DATES_RFC1123);
    EXPECT_EQ(cluster_dialect(v("2025-07-01"))->dates, ARM_DATES_ISO);
    EXPECT_EQ(link_dialect(v("2020-08-01"))->replies_202, false);
    EXPECT_EQ(link_dialect(v("2022-10-01"))->replies_202, true);
    EXPECT_EQ(workspace_dialect(v("2021-12-01-preview"))->is_lower_case, true);
    EXPECT_EQ(workspace_dialect(v("2022-10-01"))->is_lower_case, false);
}

TEST(apiversion, regions_are_the_same_with_and_without_spaces)
{
    struct arena a;
    arena_init(&a, 0);
    EXPECT_STR(location_canonical(&a, "West Europe"), "westeurope");
    EXPECT_STR(location_canonical(&a, "WESTEUROPE"), "westeurope");
    EXPECT_STR(location_display("westeurope"), "West Europe");
    EXPECT_STR(location_display("mars"), "mars");
    for (uint32_t i = 0; location_at(i) != NULL; i++) {
        EXPECT_STR(location_canonical(&a, location_at(i)->display), location_at(i)->name);
    }
    arena_release(&a);
}
