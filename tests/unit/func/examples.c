/* SPDX-License-Identifier: Apache-2.0 */
/* Each row of the registry keeps what its example promises. */
#include "eval.h"

#include <stdio.h>

static void check(const struct fn *fn, uint32_t rows, unsigned *bad)
{
    struct ev e;
    ev_init(&e, fn->example, rows);
    const char *got = ev_text(&e);
    if (strcmp(got, fn->expect) != 0) {
        fprintf(stderr, "%s: %s gives '%s', not '%s'\n", fn->name, fn->example, got, fn->expect);
        ++*bad;
    }
    ev_release(&e);
}

TEST(func, every_example_gives_what_it_promises_for_one_row_and_for_many)
{
    unsigned bad = 0;
    for (uint32_t i = 0; i < fn_count(); i++) {
        const struct fn *fn = fn_at(i);
        if (fn->example == NULL || fn->expect == NULL) continue;
        check(fn, 1, &bad);
        if ((fn->flags & FN_NOT_CONST) == 0) check(fn, 70, &bad);
    }
    EXPECT_EQ(bad, 0);
}

TEST(func, the_registry_is_sorted_without_twins_and_every_row_is_whole)
{
    for (uint32_t i = 0; i < fn_count(); i++) {
        const struct fn *fn = fn_at(i);
        if (i != 0 && strcmp(fn_at(i - 1)->name, fn->name) >= 0) fail_msg("%s", fn->name);
        REQUIRE(fn_find(fn->name) == fn);
        bool typed = fn->ret != T_NONE || fn->ret_of != NULL;
        if (fn->eval == NULL || fn->doc == NULL || !typed || fn->arity_min > fn->arity_max)
            fail_msg("%s", fn->name);
        if (fn->arity_max != 0 && fn->args[0].accepts == 0) fail_msg("%s", fn->name);
        for (int k = 0; k < 6; k++) {
            for (int t = T_BOOL; t < N_TYPES && fn->args[k].coerce != T_NONE; t++) {
                bool taken = (fn->args[k].accepts & TM(t)) != 0;
                if (taken && t != (int)fn->args[k].coerce &&
                    fn_implicit_cast((enum type)t, fn->args[k].coerce) == NULL) {
                    fail_msg("%s: argument %d cannot be cast from %s", fn->name, k + 1,
                             type_name((enum type)t));
                }
            }
        }
    }
}

TEST(func, a_misspelt_name_leads_to_the_known_one)
{
    EXPECT_STR(fn_suggest("tostrng"), "tostring");
    EXPECT_STR(fn_suggest("ToLong"), "tolong");
    REQUIRE(fn_suggest("qqqqqqqqq") == NULL);
    REQUIRE(fn_find("nosuch") == NULL);
}
