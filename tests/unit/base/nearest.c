/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/base/nearest.c - what was probably meant */
#include "test.h"

#include "base/nearest.h"

TEST(nearest, the_nearest_name_is_a_slip_away)
{
    struct nearest n = nearest_to("sumarize");
    nearest_try(&n, "sort");
    nearest_try(&n, "summarize");
    EXPECT_STR(n.name, "summarize");
    n = nearest_to("TimeGenrated");
    nearest_try(&n, "TenantId");
    nearest_try(&n, "TimeGenerated");
    EXPECT_STR(n.name, "TimeGenerated");
    n = nearest_to("abc");
    nearest_try(&n, "xyz");
    REQUIRE(n.name == NULL);
    n = nearest_to("x"); /* every letter is one slip away from it */
    nearest_try(&n, "y");
    REQUIRE(n.name == NULL);
    n = nearest_to("cuont");
    nearest_try(&n, "COUNT");
    EXPECT_STR(n.name, "COUNT");
}
