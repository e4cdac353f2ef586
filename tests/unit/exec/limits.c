/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/limits.c - a query within its memory, whatever its rows become */
#include "from_text.h"

#include "base/str.h"

static enum err run_within(const char *text, size_t memory_max, char tag[static 64])
{
    struct result r;
    result_memory_max = memory_max;
    result_of(&r, bytes_str(text), NULL);
    snprintf(tag, 64, "%s", r.d.tag);
    enum err e = r.err;
    result_release(&r);
    return e;
}

TEST(exec, rows_that_grow_are_stopped_at_the_memory_limit)
{
    static const char *const queries[] = {
        "range x from 1 to 2000 step 1 | extend r = range(x, x + 1000000) | summarize count() by "
        "array_length(r)",
        "range x from 1 to 100000 step 1 | partition hint.strategy=native by x (extend y = "
        "strcat_array(range(1, 900), "
        "','))",
        "range x from 1 to 200000 step 1 | scan declare (s:string) with (step a: true => s = "
        "strcat(a.s, tostring(x));) | take 1",
        "print a = range(1, 900000) | mv-apply e = a to typeof(long) on (extend t = "
        "strcat('some text of a row', e))",
        "range x from 1 to 900000 step 1 | extend k = strcat('k', x) | evaluate narrow()",
    };
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        char tag[64];
        EXPECT_STR(err_name(run_within(queries[i], (size_t)16 << 20, tag)), err_name(ERR_LIMIT));
        EXPECT_STR(tag, "E_RUNAWAY_QUERY");
    }
}

TEST(exec, groups_give_their_memory_back_one_after_the_other)
{
    char tag[64];
    /* Each group takes a megabyte for a moment: together ten times the limit. */
    REQUIRE(run_within("range x from 1 to 200 step 1 | partition hint.strategy=native by x (extend "
                       "a = range(x, x + 100000) "
                       "| project n = array_length(a))",
                       (size_t)20 << 20, tag) == OK);
}
