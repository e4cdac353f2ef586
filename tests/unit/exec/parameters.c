/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/exec/parameters.c - values that come beside a query */
#include "from_text.h"

#include "base/str.h"

/* What `declare query_parameters(v:TYPE); print tostring(v)` prints when the client gives this. */
static void given(const char *type, const char *text, const char *want)
{
    struct result r;
    const struct kql_parameter p = {.name = "v", .text = text};
    char query[128];
    snprintf(query, sizeof query, "declare query_parameters(v:%s = %s(null)); print tostring(v)",
             type, str_eq(type, "string") ? "" : type);
    if (str_eq(type, "string")) {
        snprintf(query, sizeof query, "declare query_parameters(v:string = ''); print v");
    }
    result_options = (struct kql_options){.parameters = &p, .n_parameters = 1};
    result_of(&r, bytes_str(query), NULL);
    if (want == NULL) {
        if (r.err != ERR_INVALID) fail_msg("%s '%s' is taken", type, text);
        EXPECT_STR(r.d.tag, "SEM0100");
    } else if (r.err != OK) {
        fail_msg("%s '%s': %s", type, text, r.d.text);
    } else {
        REQUIRE(r.n_rows == 1);
        if (!bytes_eq(r.cells[0].s, bytes_str(want)))
            fail_msg("%s '%s' is '%.*s'", type, text, (int)r.cells[0].s.len, r.cells[0].s.p);
    }
    result_release(&r);
    result_options = (struct kql_options){0};
}

TEST(parameters, a_value_is_a_literal_of_its_type_or_its_text)
{
    given("long", "10", "10");
    given("long", "-10", "-10");
    given("long", "long(10)", "10");
    given("real", "10", "10.0");
    given("string", "plain text, it's one", "plain text, it's one");
    given("string", "'quoted'", "quoted");
    given("string", "\"a\\tb\"", "a\tb");
    given("string", "10", "10");
    given("string", "", "");
    given("datetime", "datetime(2026-03-01)", "2026-03-01T00:00:00.0000000Z");
    given("datetime", "2026-03-01T10:00:00Z", "2026-03-01T10:00:00.0000000Z");
    given("timespan", "1h", "01:00:00");
    given("timespan", "time(1.02:00:00)", "1.02:00:00");
    given("bool", "true", "True");
    given("guid", "guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
          "74be27de-1e4e-49d9-b579-fe0b331d3642");
    given("dynamic", "dynamic([1,2])", "[1,2]");
    given("dynamic", "[1,2]", "[1,2]");
}

TEST(parameters, a_value_that_is_none_of_its_type_is_refused)
{
    given("long", "1.5", NULL);
    given("long", "ten", NULL);
    given("long", "", NULL);
    given("long", "1; T", NULL);
    given("datetime", "yesterday", NULL);
    given("timespan", "10 apples", NULL);
    given("guid", "x", NULL);
}

TEST(parameters, a_value_is_never_a_part_of_the_query)
{
    given("string", "'; print secret", "'; print secret");
    given("string", "now()", "now()");
    given("string", "' | union *", "' | union *");
    given("datetime", "now()", NULL);
    given("long", "toscalar(print 1)", NULL);
}

TEST(parameters, each_result_ends_where_the_caller_says)
{
    struct result r;
    result_options = (struct kql_options){.take_max = 3};
    result_of(&r, bytes_str("range x from 1 to 10 step 1 | sort by x desc"), NULL);
    REQUIRE(r.err == OK);
    EXPECT_EQ(r.n_rows, 3);
    EXPECT_EQ(r.cells[0].i, 10);
    result_release(&r);
    result_options = (struct kql_options){0};
}
