/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/kql/bind.c - names and types of results, as Microsoft's own parser has them */
#include "fixture.h"

static void check(const char *query, const char *want)
{
    struct arena a;
    struct plan plan;
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf got = {0};
    arena_init(&a, 0);
    if (compile(&a, query, &plan, &d) != OK) fail_msg("%s: %s @%d", query, d.text, d.pos);
    describe(&plan.root->schema, &got);
    if (strcmp(buf_cstr(&got), want) != 0)
        fail_msg("%s:\n  %s\n  not %s", query, buf_cstr(&got), want);
    arena_release(&a);
}

struct expectation {
    const char *query, *schema;
};

static void check_all(const struct expectation *e, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(e[i].query, e[i].schema);
}
#define CHECK_ALL(list) check_all((list), sizeof(list) / sizeof(list)[0])

TEST(bind, columns_get_the_names_of_kusto)
{
    static const struct expectation list[] = {
        {"T | project x + 1, y, tostring(d.a.b), d.a, d['k'], d[0], d.a[0].b, bin(x, 5), -x, (x)",
         "Column1:long, y:real, d_a_b:string, d_a:dynamic, d_k:dynamic, d_0:dynamic, "
         "d_a_0_b:dynamic, "
         "x:long, Column2:long, x1:long"},
        {"T | project strcat(s, s), x, strcat(s, 'q'), Column1 = 3",
         "Column1:string, x:long, Column2:string, Column11:long"},
        {"T | project x, tostring(x)", "x:long, x1:string"},
        {"T | project tostring(x), x", "x:string, x1:long"},
        {"T | project d.a, d_a = 1", "d_a:dynamic, d_a1:long"},
        {"T | project ['a b'] = 1, [\"c d\"] = 2", "a b:long, c d:long"},
        {"T2 | extend tostring(x), z = 1, x + 1", "x:string, z:long, Column1:long"},
        {"T2 | extend x + 1 | extend z = Column1", "x:long, z:long, Column1:long"},
        {"T2 | extend Column1 = 1, x + 1", "x:long, z:string, Column1:long"},
        {"print 1, 'a', q = 2, strcat('a', 'b'), now()",
         "print_0:long, print_1:string, q:long, print_3:string, print_4:datetime"},
        {"T | count", "Count:long"},
        {"T | count as N", "N:long"},
    };
    CHECK_ALL(list);
}

TEST(bind, summarize_names_keys_and_aggregates)
{
    static const struct expectation list[] = {
        {"T | summarize count(), count(), sum(x), sum(x + 1), max(t), min(bin(x, 3)) by bin(t, "
         "1h), s, "
         "tostring(d.a), strcat(s, 'a')",
         "t:datetime, s:string, d_a:string, Column1:string, count_:long, count_1:long, sum_x:long, "
         "sum_:long, max_t:datetime, min_x:long"},
        {"T | summarize by x, s", "x:long, s:string"},
        {"T | summarize x = 1 by s", "s:string, x:long"},
        {"T | summarize count() by bucket = bin(x, 10), k = s",
         "bucket:long, k:string, count_:long"},
        {"T2 | summarize arg_max(x, *) by z", "z:string, x:long"},
        {"T | project x, y, s | summarize arg_max(x, y, z = s, y + 1), arg_min(y, *) by s",
         "s:string, x:long, y:real, z:string, max_x_arg3:real, y1:real, x1:long"},
        {"T2 | summarize A = arg_max(x, *) by z", "z:string, A:long"},
        {"T | project x, y, s | summarize (a, b) = arg_max(x, *)", "a:long, b:real, s:string"},
        {"T | project x, y, s | summarize argmax(x, *) by y", "y:real, max_x:long, max_x_s:string"},
        {"T | project x, y, s | summarize any(*), any(x)",
         "any_x:long, any_y:real, any_s:string, any_x1:long"},
        {"T | summarize take_any(x, s), take_any(y) by b", "b:bool, x:long, s:string, y:real"},
        {"T | summarize percentile(y, 50), percentiles(y, 5, 50.5), p = percentiles(x, 50, 95)",
         "percentile_y_50:real, percentile_y_5:real, percentile_y_50_5:real, p:long, "
         "percentile_x_95:long"},
        {"T | summarize make_list(x), make_set(s), countif(x > 1), sumif(x, y > 2), dcountif(s, x "
         "> 1)",
         "list_x:dynamic, set_s:dynamic, countif_:long, sumif_x:long, dcountif_s:long"},
        {"T | summarize sum(x) + 1, round(avg(y), 2), toint(count()), 1 + count()",
         "Column1:long, avg_y:real, count_:int, Column2:long"},
        {"T | summarize max(x) - min(x), r = max(x)", "Column1:long, r:long"},
        {"T | summarize count_ = sum(x), count()", "count_:long, count_1:long"},
        {"T | summarize count(*)", "count_:long"},
        {"T | distinct x, bin(t, 1h), tostring(d.a)", "x:long, t:datetime, d_a:string"},
        {"T2 | distinct *", "x:long, z:string"},
        {"T | make-series count(), a = avg(y) default = 0 on t from ago(1d) to now() step 1h by s",
         "s:string, count_:dynamic, a:dynamic, t:dynamic"},
        {"T | make-series sum(y) on ts = t in range(ago(1d), now(), 1h)",
         "sum_y:dynamic, ts:dynamic"},
    };
    CHECK_ALL(list);
}

/* Nothing runs here, so what bag_unpack() gives is not known: any name may be one of its columns. */
TEST(bind, a_column_that_only_the_data_knows_takes_the_type_that_is_wanted)
{
#define OPEN "T2 | extend d = dynamic({}) | evaluate bag_unpack(d) | "
    static const struct expectation list[] = {
        {OPEN "summarize count() by who", "who:string, count_:long"},
        {OPEN "summarize n = sum(a), m = max(b) by bin(at, 1h)", "at:datetime, n:long, m:string"},
        {OPEN "where at > ago(1d) and a == b and a + 1 > 2 | project z", "z:string"},
        {OPEN "join kind=inner (T2) on x, $left.who == $right.z | project x", "x:long"},
        {OPEN "sort by who | project c = coalesce(who, 'none')", "c:string"},
        {OPEN "make-series n = count() on at step 1h", "n:dynamic, at:dynamic"},
        {OPEN "project who, at | sort by who | summarize max(at) by who",
         "who:string, max_at:string"},
        {OPEN "project k = who | join kind=leftanti (T2) on $left.k == $right.z", "k:dynamic"},
        {OPEN "project-rename n = who | project-away more | project n", "n:dynamic"},
    };
    CHECK_ALL(list);
}

TEST(bind, columns_are_chosen_and_ordered)
{
    static const struct expectation list[] = {
        {"T | project-away x*, d, y, p", "s:string, t:datetime, b:bool, i:int, m:decimal, g:guid"},
        {"T | project-keep s, x", "x:long, s:string"},
        {"T | project-by-names 's', dynamic(['zz', 'x', 's'])", "s:string, x:long"},
        {"T2 | project-rename a = x", "a:long, z:string"},
        {"T | project s, y, x | project-reorder x, * asc", "x:long, s:string, y:real"},
        {"print a2 = 1, a10 = 2, a1 = 3 | project-reorder * granny-asc",
         "a1:long, a2:long, a10:long"},
        {"print b = 1, a = 2 | project-reorder * desc", "b:long, a:long"},
        {"T2 | getschema",
         "ColumnName:string, ColumnOrdinal:long, DataType:string, ColumnType:string"},
        {"T2 | as Q | union Q", "x:long, z:string"},
        {"T2 | sort by x, z asc nulls last | top 3 by x desc | take 5 | limit 4",
         "x:long, z:string"},
        {"T2 | serialize | order by z | where x > 1 | filter z == 'a'", "x:long, z:string"},
    };
    CHECK_ALL(list);
}

TEST(bind, a_union_splits_names_that_have_two_types)
{
    static const struct expectation list[] = {
        {"T2 | union (T2 | extend x = tostring(x), q = 1)",
         "x_long:long, x_string:string, z:string, q:long"},
        {"union kind=inner T, (T2 | project x, y = 1)", "x:long, y_real:real, y_long:long"},
        {"union withsource=Src T2, (T2 | project x)", "Src:string, x:long, z:string"},
        {"union isfuzzy=true T2, Nowhere, (Nowhere | where q > 1)", "x:long, z:string"},
        {"let V1 = view () { print a = 1 }; let V2 = view () { print b = 2 }; union V*",
         "b:long, a:long"},
        {"union T2, T2 | where x > 1", "x:long, z:string"},
    };
    CHECK_ALL(list);
}

TEST(bind, lets_are_values_tables_and_functions)
{
    static const struct expectation list[] = {
        {"let a = 1; let f = (z:long) { z + a }; T2 | extend q = f(x), r = a",
         "x:long, z:string, q:long, r:long"},
        {"let W = T2 | project x; W | extend x + 1", "x:long, Column1:long"},
        {"let f = (a:long, b:string = 'x') { strcat(b, a) }; print f(1), f(b = 'y', a = 2)",
         "print_0:string, print_1:string"},
        {"let f = (T:(x:long)) { T | where x > 1 }; f(T2)", "x:long, z:string"},
        {"let f = (T:(*), n:long) { T | take n }; T2 | invoke f(3)", "x:long, z:string"},
        {"let f = () { T2 | take 1 }; f", "x:long, z:string"},
        {"let f = () { 5 }; print f, f()", "print_0:long, print_1:long"},
        {"let m = materialize(T2 | count); m", "Count:long"},
        {"let n = toscalar(T2 | count); T2 | where x > n | take 1", "x:long, z:string"},
        {"let T2 = T2 | project x; T2", "x:long"},
        {"table('T2') | count", "Count:long"},
        {"declare query_parameters(n:long = 5); T2 | take n", "x:long, z:string"},
        {"set notruncation; T2", "x:long, z:string"},
        {"let a = () { let q = 1; let r = q + 1; r }; print a()", "print_0:long"},
    };
    CHECK_ALL(list);
}

TEST(bind, rows_may_stand_in_the_query)
{
    static const struct expectation list[] = {
        {"datatable(a:int, b:string, c:datetime)[1, 'x', datetime(2020-01-01), 2, 'y', "
         "'2021-01-01']",
         "a:int, b:string, c:datetime"},
        {"datatable(a:long)[]", "a:long"},
        {"range i from 1 to 10 step 1", "i:long"},
        {"range i from 1 to 10.0 step 1", "i:real"},
        {"range t from datetime(2020-01-01) to now() step 1d", "t:datetime"},
        {"range t from 1d to 3d step 1h", "t:timespan"},
    };
    CHECK_ALL(list);
}

TEST(bind, joins_rename_the_columns_of_the_right)
{
    static const struct expectation list[] = {
        {"T2 | join (T2) on x", "x:long, z:string, x1:long, z1:string"},
        {"T2 | join (T2 | extend x1 = 1) on x", "x:long, z:string, x2:long, z1:string, x1:long"},
        {"T2 | join kind=leftouter (T2 | project q = x) on $left.x == $right.q",
         "x:long, z:string, q:long"},
        {"T2 | join kind=inner (T | project x = i, s) on $left.x == $right.x and $left.z == "
         "$right.s",
         "x:long, z:string, x1:int, s:string"},
        {"T2 | join kind=leftanti (T2) on x", "x:long, z:string"},
        {"T2 | join kind=rightsemi (T | project x, s) on x", "x:long, s:string"},
        {"T2 | join hint.strategy=broadcast kind=fullouter (T2 | project x) on x",
         "x:long, z:string, x1:long"},
        {"T2 | lookup (T | project x, s) on x", "x:long, z:string, s:string"},
        {"T2 | lookup kind=inner (T | project x, z = 1) on x", "x:long, z:string, z1:long"},
    };
    CHECK_ALL(list);
}

TEST(bind, columns_are_expanded_and_parsed)
{
    static const struct expectation list[] = {
        {"T | project x, d | mv-expand d", "x:long, d:dynamic"},
        {"T | project x, d | mv-expand a = d.a to typeof(string), d limit 10",
         "x:long, d:dynamic, a:string"},
        {"T | project x, d | mv-expand with_itemindex=x d.a",
         "x:long, d:dynamic, d_a:dynamic, x1:long"},
        {"T2 | parse z with * 'a' b:long 'c' e", "x:long, z:string, b:long, e:string"},
        {"T2 | parse-where kind=regex flags=i z with 'a' x:real *", "x:real, z:string"},
    };
    CHECK_ALL(list);
}

TEST(bind, some_operators_are_others_in_disguise)
{
    static const struct expectation list[] = {
        {"T2 | search 'a*' or not('b') and x == 1", "$table:string, x:long, z:string"},
        {"search kind=case_sensitive in (T2, Logs) 'a'",
         "$table:string, x:long, z:string, TimeGenerated:datetime, Message:string"},
        {"search s:'q' and i:5 | project $table", "$table:string"},
        {"T2 | sample 5 | consume", "x:long, z:string"},
        {"T | sample-distinct 5 of s", "s:string"},
        {"T | top-hitters 3 of s", "s:string, approximate_count_s:long"},
        {"T | top-hitters 3 of s by x", "s:string, approximate_sum_x:long"},
        {"T2 | assert-schema (x:long, z:string) | count", "Count:long"},
        {"T | project a = iscolumnexists('x'), b = iscolumnexists('nope')", "a:bool, b:bool"},
    };
    CHECK_ALL(list);
}

TEST(bind, types_follow_the_operators)
{
    static const struct expectation list[] = {
        {"T | project a = i + i, b = i / 2, c = y / x, e = t - t, f = t + p, g = p / p, h = p * 2",
         "a:long, b:long, c:real, e:timespan, f:datetime, g:real, h:timespan"},
        {"T | project a = iff(b, 1, 2.0), c = iff(b, d, s), e = iff(b, 1, 'a'), f = case(b, 1, 2)",
         "a:real, c:string, e:dynamic, f:long"},
        {"T | where x == '5' and s == 5 and g == '74be27de-1e4e-49d9-b579-fe0b331d3642' | count",
         "Count:long"},
        {"T | where d.a == 'x' and d.a > 5 and d.a has 'x' and s in (T2 | project z) | count",
         "Count:long"},
        {"T | where x between (1 .. 5) and t between (ago(1d) .. 1h) | count", "Count:long"},
        {"T | where * has 'a' and * == 5 | count", "Count:long"},
        {"T | project a = column_ifexists('x', ''), b = column_ifexists('nope', '')",
         "a:long, b:string"},
        {"T | project extract('(a)', 1, s, typeof(long))", "Column1:long"},
    };
    CHECK_ALL(list);
}

TEST(bind, constants_are_folded)
{
    struct arena a;
    struct plan plan;
    struct diag d;
    arena_init(&a, 0);
    REQUIRE_OK(compile(&a, "let day = 1d; T | where t > ago(2 * day) and s == strcat('a', 'b')",
                       &plan, &d));
    const struct expr *both = plan.root->filter.condition;
    const struct expr *later = both->args[0], *same = both->args[1];
    EXPECT_EQ(later->args[1]->kind, EXPR_CONST);
    REQUIRE(later->args[1]->value.i == fixture_options.now_ticks - 2 * 86400 * TICKS_PER_S);
    REQUIRE(bytes_eq(same->args[1]->value.s, BYTES("ab")));
    arena_release(&a);
}

TEST(bind, a_timespan_of_the_api_filters_the_table_by_its_time)
{
    struct arena a;
    struct plan plan;
    struct diag d = DIAG_INIT;
    struct kql_options limited = fixture_options;
    limited.timespan_from = TICKS_UNIX;
    limited.timespan_to = TICKS_UNIX + TICKS_PER_S;
    arena_init(&a, 0);
    REQUIRE_OK(kql_compile(&a, BYTES("Logs"), &fixture_catalog, &limited, &plan, &d));
    EXPECT_EQ(plan.root->kind, OP_FILTER);
    EXPECT_EQ(plan.root->input->kind, OP_TABLE);
    REQUIRE_OK(kql_compile(&a, BYTES("T2"), &fixture_catalog, &limited, &plan, &d));
    EXPECT_EQ(plan.root->kind, OP_TABLE);
    arena_release(&a);
}

TEST(bind, render_goes_to_the_client)
{
    struct arena a;
    struct plan plan;
    struct diag d;
    arena_init(&a, 0);
    REQUIRE_OK(
        compile(&a, "T2 | render timechart with (title = 'a b', ycolumns = x, z)", &plan, &d));
    EXPECT_STR(plan.render.kind, "timechart");
    EXPECT_EQ(plan.render.n, 2);
    EXPECT_STR(plan.render.props[0].value, "a b");
    EXPECT_STR(plan.render.props[1].value, "x,z");
    arena_release(&a);
}

/* Quadratic, this would take a minute. */
TEST(bind, tens_of_thousands_of_columns_are_found_by_an_index)
{
    struct diag d = DIAG_INIT;
    struct plan plan;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 28);
    buf_str(&text, "print x=1 | extend c0=x");
    for (int i = 1; i < 40000; i++)
        buf_fmt(&text, ",c%d=x", i);
    buf_str(&text, " | extend c7=2, c8=3 | project c7, c39999");
    REQUIRE_OK(kql_compile(&a, buf_view(&text), &fixture_catalog, &fixture_options, &plan, &d));
    EXPECT_EQ(plan.root->schema.n, 2);
}

/* Quadratic, this would take a minute. */
TEST(bind, tens_of_thousands_of_lets_are_found_by_an_index)
{
    struct diag d = DIAG_INIT;
    struct plan plan;
    CLEANUP_BUF struct buf text = {0};
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 28);
    for (int i = 0; i < 40000; i++)
        buf_fmt(&text, "let x%d=%d;", i, i);
    buf_str(&text, "print y = x0 + x20000 + x39999");
    REQUIRE_OK(kql_compile(&a, buf_view(&text), &fixture_catalog, &fixture_options, &plan, &d));
    buf_clear(&text);
    buf_str(&text, "let a = 1; let b = 2; let a = 3; print a");
    REQUIRE_ERR(ERR_INVALID,
                kql_compile(&a, buf_view(&text), &fixture_catalog, &fixture_options, &plan, &d));
    EXPECT_STR(d.tag, "SEM0201");
}

/* --- stored functions ------------------------------------------------------------------------- */

static enum err fixture_function(void *ctx, const char *name, struct kql_function *out,
                                 struct diag *d)
{
    static const struct {
        const char *name;
        struct kql_function f;
    } functions[] = {
        {"Big", {"least:long = 10", "T | where x > least // the big ones"}},
        {"Bigger", {"", "let k = 2; Big(20) | extend twice = x * k"}},
        {"Double", {"n:long", "n * 2"}},
        {"Only", {"rows:(x:long, *), n:long", "rows | where x == n;"}},
        {"Typo", {"", "T | where nothing == 1"}},
        {"Broken", {"a:strung", "T"}},
        {"Open", {"", "T } print 1 {"}},
        {"Itself", {"", "Itself | take 1"}},
        {"strlen", {"", "print 1"}},
        {"T2", {"", "T | project shadow = x"}},
    };
    (void)ctx;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        if (!str_eq(functions[i].name, name)) continue;
        *out = functions[i].f;
        return OK;
    }
    return FAIL(d, ERR_NOT_FOUND, "no function %s", name);
}

TEST(bind, stored_functions_are_called_by_their_names)
{
    static const struct {
        const char *query, *schema; /* or what the failure says */
        int pos;
    } cases[] = {
        {"Big | project x", "x:long", 0},
        {"Big(least = 5) | project x", "x:long", 0},
        {"Bigger | project twice", "twice:long", 0},
        {"union Big, (Bigger | where x > 1) | count", "Count:long", 0},
        {"T | invoke Only(3) | project x", "x:long", 0},
        {"Only((T2 | extend x = 1), 3)", "shadow:long, x:long", 0},
        {"print a = Double(4), b = strlen('x')", "a:long, b:long", 0},
        {"let Big = () { T | count }; Big", "Count:long", 0},
        {"let k = 5; Bigger | project x", "x:long", 0},
        {"T | count | union Typo", "in the function 'Typo': 'where' finds no column", 18},
        {"Broken", "in the function 'Broken': expected a type", 0},
        {"Open", "in the function 'Open': expected the end of the function", 0},
        {"Itself", "nested more than", 0},
        {"Big(1, 2)", "Big() takes 0 to 1 argument, not 2", 0},
        {"Big(nothing)", "finds no column or value named 'nothing'", 4},
    };
    struct kql_catalog catalog = fixture_catalog;
    catalog.function = fixture_function;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct diag d = DIAG_INIT;
        struct plan plan;
        CLEANUP_BUF struct buf got = {0};
        CLEANUP_ARENA struct arena a;
        arena_init(&a, (size_t)1 << 28);
        enum err e =
            kql_compile(&a, bytes_str(cases[i].query), &catalog, &fixture_options, &plan, &d);
        if (e == OK) describe(&plan.root->schema, &got);
        buf_str(&got, d.text);
        buf_u8(&got, '\0');
        if (strstr((const char *)got.p, cases[i].schema) == NULL ||
            (e != OK && d.pos != cases[i].pos))
            fail_msg("%s: %s @%d", cases[i].query, (const char *)got.p, d.pos);
    }
}
