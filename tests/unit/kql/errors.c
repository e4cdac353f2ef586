/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kql/errors.c - what is wrong, where, and what was probably meant */
#include "fixture.h"

#include "kql/known.h"

#include <stdlib.h>

struct mistake {
    const char *query;
    enum err code;
    const char *tag;
    int pos;
    const char *says; /* part of the sentence */
};

static const struct mistake mistakes[] = {
    {"T | where", ERR_INVALID, "SYN0002", 9, "expected an expression, but the query ends"},
    {"T | where x > 1 or", ERR_INVALID, "SYN0002", 18, "expected an expression"},
    {"T |", ERR_INVALID, "SYN0002", 3, "expected an operator"},
    {"T | where (x > 1", ERR_INVALID, "SYN0002", 16, "expected ')'"},
    {"T | project x y", ERR_INVALID, "SYN0002", 14, "found 'y'"},
    {"T | where x in 1", ERR_INVALID, "SYN0002", 15, "expected '('"},
    {"T where x", ERR_INVALID, "SYN0002", 2, "'|'"},
    {"T | sumarize count()", ERR_INVALID, "SYN0002", 4, "did you mean 'summarize'?"},
    {"T | extend a = 'open", ERR_INVALID, "SYN0002", 15, "no end"},
    {"T | extend a = '\\q'", ERR_INVALID, "SYN0002", 15, "escape"},
    {"T | extend a = datetime(99)", ERR_INVALID, "SYN0002", 15, "'99' is not a datetime"},
    {"print 9223372036854775808", ERR_INVALID, "SYN0002", 6, "does not fit"},
    {"", ERR_INVALID, "SYN0002", 0, "expected a query"},
    {"let x = 5;", ERR_INVALID, "SYN0002", 10, "expected a query"},
    {"where x == 1", ERR_INVALID, "SEM0174", 0, "needs a table before it"},
    {"Tx", ERR_INVALID, "SEM0100", 0, "there is no table 'Tx'; did you mean 'T'?"},
    {"restrict access to (T); T | union T2", ERR_INVALID, "SEM0100", 34,
     "there is no table 'T2'; did you mean 'T'?"},
    {"T | where ss == 1", ERR_INVALID, "SEM0100", 10, "did you mean 's'?"},
    {"T | project nothing_like_it", ERR_INVALID, "SEM0100", 12,
     "'project' finds no column or value"},
    {"T | project-away nope", ERR_INVALID, "SEM0100", 17, "nope"},
    {"T | extend strlenn(s)", ERR_INVALID, "SEM0260", 11, "did you mean 'strlen'?"},
    {"T | extend count()", ERR_INVALID, "SEM0144", 11, "aggregate"},
    {"T | summarize x by s", ERR_INVALID, "SEM0236", 14, "must stand in an aggregate"},
    {"T | where x", ERR_INVALID, "SEM0141", 10, "type bool, not long"},
    {"T | where t > '2020-01-01'", ERR_INVALID, "SEM0064", 12, "datetime and string"},
    {"T | extend a = s + s", ERR_INVALID, "SEM0064", 17, "string and string"},
    {"T | project x, x", ERR_INVALID, "SEM0171", 15, "'x' is there already"},
    {"T | extend a = 1, a = 2", ERR_INVALID, "SEM0171", 18, "'a' is there already"},
    {"T | project-rename y = x", ERR_INVALID, "SEM0171", 4, "'y' is there already"},
    {"T | take s", ERR_INVALID, "SEM0100", 9, "'s'"},
    {"T | take 'a'", ERR_INVALID, "SEM0134", 9, "whole number"},
    {"T | extend a = x.b", ERR_INVALID, "SEM0100", 15, "only a dynamic has members"},
    {"T | extend a = strlen(s, s)", ERR_INVALID, "SEM0219", 15, "takes 1 argument, not 2"},
    {"T | extend a = pi(1)", ERR_INVALID, "SEM0219", 15, "pi() takes no arguments, not 1"},
    {"let f = (size:long, y:long = 5) { size }; print f(1, 2, 3)", ERR_INVALID, "SEM0219", 48,
     "f() takes 1 to 2 arguments, not 3"},
    {"let f = (size:long, y:long = 5) { size }; print f(sise = 1)", ERR_INVALID, "SEM0219", 50,
     "f() has no parameter 'sise'; did you mean 'size'?"},
    {"let f = (size:long, y:long = 5) { size }; print f(1, size = 2)", ERR_INVALID, "SEM0219", 53,
     "f() is given 'size' twice"},
    {"let f = (size:long, y:long = 5) { size }; print f(size = 1, size = 2)", ERR_INVALID,
     "SEM0219", 60, "f() is given 'size' twice"},
    {"datatable(a:int, b:string)[1, 'x', 2]", ERR_INVALID, "SEM0173", 0, "3 values"},
    {"let a = 1; let a = 2; print a", ERR_INVALID, "SEM0201", 15, "declared already"},
    {"let f = (a:long) { a }; print f()", ERR_INVALID, "SEM0219", 30, "needs an argument for 'a'"},
    {"let f = (A:(q:long)) { A }; f(T2)", ERR_INVALID, "SEM0219", 28, "q:long"},
    {"T | join (T2) on nope", ERR_INVALID, "SEM0145", 17, "left side"},
    {"T | join kind=outer (T2) on x", ERR_INVALID, "SYN0002", 4, "no join of kind 'outer'"},
    {"T | join (T2) on $left.s == $right.x", ERR_INVALID, "SEM0242", 25, "string on the left"},
    {"T | mv-expand s", ERR_INVALID, "SEM0141", 14, "todynamic()"},
    {"print {Name}", ERR_INVALID, "SEM0100", 6, "client parameter {Name}"},
    {"T | where s matches regex '('", ERR_INVALID, "", 12, ""},
    {"T | reduce kind=mining by s", ERR_INVALID, "SYN0002", 4, "'mining'"},
    {"T | graph-where-nodes true", ERR_UNSUPPORTED, "", 4, "graph-where-nodes"},
    {"T | extend geo_point_to_h3cell(1.0, 2.0)", ERR_UNSUPPORTED, "", 11, "geo_point_to_h3cell()"},
    {"workspace('w').T", ERR_UNSUPPORTED, "", 0, "tables of another workspace"},
    {"let f = () { T | count; T | count }; f()", ERR_INVALID, "SYN0002", 24,
     "the end of the function"},
    {"T | summarize conut()", ERR_INVALID, "SEM0260", 14, "did you mean 'count'?"},
    {"print series_fit_lin(d)", ERR_INVALID, "SEM0260", 6, "did you mean 'series_fit_line'?"},
    {"materialise(T) | count", ERR_INVALID, "SEM0260", 0, "did you mean 'materialize'?"},
    {"let Fun = (a:long) { T }; Fnu(1) | count", ERR_INVALID, "SEM0260", 26, "did you mean 'Fun'?"},
    {"T | evaluate bag_unpak(d)", ERR_INVALID, "SEM0260", 13, "did you mean 'bag_unpack'?"},
    {"T | extend a = todatetime(s) | where s startwith 'a'", ERR_INVALID, "SYN0002", 39,
     "found 'startwith'; did you mean 'startswith'?"},
    {"T | where (s contians 'a')", ERR_INVALID, "SYN0002", 13, "did you mean 'contains'?"},
    {"datatable(a:lng)[1]", ERR_INVALID, "SYN0002", 12, "found 'lng'; did you mean 'long'?"},
    {"let f = (a:strng) { a }; print f('')", ERR_INVALID, "SYN0002", 11, "did you mean 'string'?"},
    {"T | join knd=inner (T2) on x", ERR_INVALID, "SYN0002", 9,
     "no parameter 'knd' here; did you mean 'kind'?"},
    {"union isfuzy=true T", ERR_INVALID, "SYN0002", 6, "did you mean 'isfuzzy'?"},
    {"union withsorce=X T", ERR_INVALID, "SYN0002", 6, "did you mean 'withsource'?"},
    {"find in (T, T2) where x == 1 project zz, xx", ERR_INVALID, "SEM0100", 37,
     "did you mean 'z'?"},
    {"set notruncaton; T", ERR_UNSUPPORTED, "", 0, "did you mean 'notruncation'?"},
    {"set query_now = 5; T", ERR_INVALID, "SEM0100", 0, "query_now"},
    {".show tables", ERR_UNSUPPORTED, "", 0, "control commands"},
    {"T | extend f = toscalar(T2 | where x == x) | extend g = nope(1)", ERR_INVALID, "SEM0260", 56,
     "nope"},
};

TEST(errors, each_says_what_is_wrong_and_where)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        const struct mistake *m = &mistakes[i];
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        arena_init(&a, 0);
        enum err e = compile(&a, m->query, &plan, &d);
        bool tag = m->tag[0] == '\0' || strcmp(d.tag, m->tag) == 0;
        if (e != m->code || d.pos != m->pos || !tag || strstr(d.text, m->says) == NULL) {
            fail_msg("%s: %s %s @%d: %s", m->query, err_name(e), d.tag, d.pos, d.text);
        }
        arena_release(&a);
    }
}

/* Whatever is cut off: an answer or a sentence, never more. */
TEST(errors, every_beginning_of_a_query_is_answered)
{
    static const char *const queries[] = {
        "let f = (a:long, T:(x:long)) { T | where x > a }; set notruncation; f(1, T2) | extend q = "
        "dynamic({\"a\": [1, -2.5, 'x']}), r = h@\"q\", ['s t'] = datetime(2020-01-01) + 1.5h",
        "union withsource=S isfuzzy=true kind=outer T*, (T2 | where * has 'x' and x !in (1, 2)) | "
        "summarize hint.strategy=shuffle (a, b) = arg_max(x, *), percentiles(y, 5, 95) by bin(t, "
        "1h), S",
        "T | join kind=leftouter (T2) on $left.x == $right.x, s | mv-expand with_itemindex=i d.a "
        "to "
        "typeof(long), d limit 3 | parse kind=regex s with * 'a' b:long * | top 3 by x desc nulls "
        "last",
        "T | make-series a = sum(x) default = 0 on t from ago(1d) to now() step 1h by s | scan "
        "with_match_id=m "
        "declare (q:long = 0) with (step s1 output=all: true => q = s1.q + 1;) | render timechart "
        "with (title='x')",
    };
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        for (size_t len = 0; len <= strlen(queries[q]); len++) {
            char *text = malloc(len != 0 ? len : 1); /* no slack: ASan guards the end */
            struct arena a;
            struct plan plan;
            struct diag d = DIAG_INIT;
            REQUIRE(text != NULL);
            memcpy(text, queries[q], len);
            arena_init(&a, 0);
            enum err e =
                kql_compile(&a, bytes_of(text, len), &fixture_catalog, &fixture_options, &plan, &d);
            REQUIRE(e == OK || (d.text[0] != '\0' && d.pos >= 0 && (size_t)d.pos <= len));
            arena_release(&a);
            free(text);
        }
    }
}

TEST(errors, memory_has_a_ceiling)
{
    for (size_t limit = 1000; limit < 40000; limit += 500) {
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        arena_init(&a, limit);
        enum err e =
            compile(&a,
                    "T | summarize count(), sum(x) by s, bin(t, 1h) | where count_ > 1 | extend "
                    "q = strcat(s, 'a'), r = dynamic([1,2,3]) | join (T2) on $left.s == $right.z",
                    &plan, &d);
        REQUIRE(e == OK || e == ERR_LIMIT);
        arena_release(&a);
    }
}

static void nested(struct buf *out, const char *open, const char *inside, const char *close, int n)
{
    buf_str(out, "print ");
    for (int i = 0; i < n; i++)
        buf_str(out, open);
    buf_str(out, inside);
    for (int i = 0; i < n; i++)
        buf_str(out, close);
}

TEST(errors, depth_has_a_limit_and_long_lists_of_terms_do_not_count)
{
    static const char *const shapes[][3] = {
        {"(", "1", ")"}, {"-", "1", ""}, {"strcat(", "'a'", ")"}, {"1 + ", "1", ""}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        CLEANUP_BUF struct buf deep = {0};
        nested(&deep, shapes[i][0], shapes[i][1], shapes[i][2], 5000);
        arena_init(&a, 0);
        REQUIRE_ERR(ERR_LIMIT, compile(&a, buf_cstr(&deep), &plan, &d));
        arena_release(&a);
    }
    CLEANUP_BUF struct buf rule = {0};
    struct arena a;
    struct plan plan;
    struct diag d;
    buf_str(&rule, "T | where ");
    for (int i = 0; i < 1000; i++)
        buf_fmt(&rule, "%ss has 'w%d'", i == 0 ? "" : " or ", i);
    arena_init(&a, 0);
    REQUIRE_OK(compile(&a, buf_cstr(&rule), &plan, &d));
    arena_release(&a);
}

/* f(a) = a + a of itself of itself ...: 2^n nodes for n names. The same with tables. */
TEST(errors, names_that_multiply_are_stopped)
{
    struct arena a;
    struct plan plan;
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf values = {0}, tables = {0};
    buf_str(&values, "let f0 = (a:long) { a }; let t0 = T2;");
    buf_str(&tables, "let t0 = T2;");
    for (int i = 1; i <= 40; i++) {
        buf_fmt(&values, "let f%d = (a:long) { f%d(a) + f%d(a) };", i, i - 1, i - 1);
        buf_fmt(&tables, "let t%d = union t%d, t%d;", i, i - 1, i - 1);
    }
    buf_str(&values, "T | extend q = f16(x)");
    buf_str(&tables, "t40");
    arena_init(&a, 0);
    REQUIRE_ERR(ERR_LIMIT, compile(&a, buf_cstr(&values), &plan, &d));
    REQUIRE_ERR(ERR_LIMIT, compile(&a, buf_cstr(&tables), &plan, &d));
    buf_shrink(&values, values.len - strlen("T | extend q = f16(x)"));
    buf_str(&values, "print f40(1)"); /* folds to one node, after 2^40 calls */
    REQUIRE_ERR(ERR_LIMIT, compile(&a, buf_cstr(&values), &plan, &d));
    arena_release(&a);
}

TEST(errors, a_position_is_a_line_and_a_column)
{
    uint32_t line, column;
    kql_position(BYTES("ab\nc\xC3\xA9"
                       "d"),
                 6, &line, &column);
    EXPECT_EQ(line, 2);
    EXPECT_EQ(column, 3);
    kql_position(BYTES("ab"), -1, &line, &column);
    EXPECT_EQ(line, 1);
    EXPECT_EQ(column, 1);
}

TEST(known, tables_are_sorted)
{
    /* Names at both ends and in the middle of each: a table out of order would lose some. */
    REQUIRE(known_function("abs") && known_function("zlib_decompress_from_base64_string"));
    REQUIRE(known_function("geo_point_to_h3cell") && known_function("make_list"));
    REQUIRE(known_plugin("active_users_count") && known_plugin("pivot") &&
            known_plugin("sql_request"));
    REQUIRE(known_operator("execute-and-cache") && known_operator("graph-where-nodes"));
    REQUIRE(!known_function("nothing") && !known_operator("where"));
}
