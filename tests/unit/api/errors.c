/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/api/errors.c - limits of the engine as the query API tells them */
#include "api/query.h"

#include "test.h"

TEST(errors, the_engines_names_have_the_engines_numbers)
{
    REQUIRE(query_engine_code("E_RUNAWAY_QUERY") == -2133196799);
    REQUIRE(query_engine_code("E_QUERY_RESULT_SET_TOO_LARGE") == -2133196797);
    REQUIRE(query_engine_code("E_LOW_MEMORY_CONDITION") == -2133196793);
    REQUIRE(query_engine_code("SEM0100") == 0);
    REQUIRE(query_engine_code("E_TABLE_PLAN") == 0); /* ours */
    REQUIRE(query_engine_code("") == 0);
}

TEST(errors, a_limit_is_a_detail_with_its_number_and_its_name)
{
    struct diag d = DIAG_INIT;
    REQUIRE(FAIL_TAG(&d, ERR_LIMIT, "E_RUNAWAY_QUERY", "more than 5 bytes") == ERR_LIMIT);
    CLEANUP_JSON json_t *j = query_engine_error(&d);
    const json_t *inner = json_get(j, "innererror");
    EXPECT_STR(json_get_str(j, "code"), "EngineError");
    EXPECT_STR(json_get_str(inner, "code"), "-2133196799");
    EXPECT_STR(json_get_str(inner, "message"), "more than 5 bytes (E_RUNAWAY_QUERY)");
    EXPECT_STR(json_get_str(inner, "severityName"), "Error");
}
