/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/kql/coverage.c - docs/kql-coverage.md says what the tables say
 *
 * The page is generated here from the tables of operators, functions, aggregates and plugins. With
 * KQL_COVERAGE=write in the environment it is written, else compared. What the corpora show to be
 * missing is behind it: ../coverage_page.h.
 */
#include "../coverage_page.h"

#include "kql/bind_evaluate.h"

struct tally {
    unsigned yes, no;
};

static void put_row(struct buf *out, struct tally *t, const char *name, bool there, const char *why)
{
    const char *near = known_approximation(name), *condition = known_condition(name);
    buf_fmt(out, "| `%s` | %s | %s |\n", name,
            !there         ? "refused"
            : near != NULL ? "approximation"
                           : "yes",
            there         ? (near != NULL        ? near
                             : condition != NULL ? condition
                                                 : "")
            : why != NULL ? why
                          : "not built yet");
    t->yes += there;
    t->no += !there;
}

static void put_head(struct buf *out, const char *title, const char *text)
{
    buf_fmt(out, "\n## %s\n\n%s\n\n| name | there | why not |\n|---|---|---|\n", title, text);
}

static void put_total(struct buf *out, const struct tally *t)
{
    buf_fmt(out, "\n%u of %u are there.\n", t->yes, t->yes + t->no);
}

static void put_operators(struct buf *out)
{
    static const char *const sources[] = {"datatable", "externaldata", "external_data"};
    struct tally t = {0};
    const char *name;
    bool there;
    put_head(out, "Operators", "Tabular operators, older spellings among them.");
    for (uint32_t i = 0; (name = kql_operator_at(i, &there)) != NULL; i++)
        put_row(out, &t, name, there, NULL);
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++)
        put_row(out, &t, sources[i], true, NULL);
    for (uint32_t i = 0; (name = known_operator_at(i)) != NULL; i++)
        put_row(out, &t, name, false, known_operator_refusal(name));
    put_total(out, &t);
}

static void put_plugins(struct buf *out)
{
    struct tally t = {0};
    const char *name, *there;
    put_head(out, "Plugins", "What `evaluate` takes.");
    for (uint32_t i = 0; (name = known_plugin_at(i)) != NULL; i++) {
        bool found = false;
        for (uint32_t k = 0; (there = plugin_at(k)) != NULL; k++)
            found |= str_eq(name, there);
        put_row(out, &t, name, found, plugin_refusal(name));
    }
    put_total(out, &t);
}

static void put_functions(struct buf *out)
{
    struct tally t = {0};
    const char *name;
    put_head(out, "Functions and aggregates",
             "All that the original's catalogue names; tabular ones are among them.");
    for (uint32_t i = 0; (name = known_function_at(i)) != NULL; i++)
        put_row(out, &t, name, kql_has_function(name), known_refusal(name));
    put_total(out, &t);
}

/* Where a query that Microsoft's parser takes, or gives other columns, goes another way here. */
static void put_differences(struct buf *out)
{
    static const char *const rows[][2] = {
        {"a `union` over three tables or more in which a column has two types",
         "`x_long` and `x_string`, as documented; the parser drops a type that comes after two "
         "equal "
         "ones"},
        {"`union isfuzzy=true` of which no table is there",
         "refused, as documented; the parser gives columns of unknown types"},
        {"columns of a table that is not there, in a fuzzy `union`",
         "the leg is left out, as documented; the parser keeps the columns that it reads"},
        {"`parse` into a column that is there",
         "takes its place; the parser names two columns alike"},
        {"`column_ifexists()` with a default of another type",
         "the column's type; the parser says the default's"},
        {"`jaccard_index()`", "a real, as the engine's answers; the parser says dynamic"},
        {"literals such as `datetime(2020-13-45)`",
         "refused, as by the engine; the parser looks away"},
        {"a value as the whole query, `1 + 1`", "refused; the parser takes it"},
        {"`union kind=inner`", "the columns that all have, as documented; the parser gives all"},
        {"`scan` without `with_match_id`", "no column `match_id`, as the engine's answers"},
        {"`scan order by` and `scan partition by`", "refused: not documented; the parser has them"},
        {"`make-series percentile()`", "an array, as of every aggregate; the parser says a number"},
        {"arithmetic of two dynamics", "refused, as by the engine; the parser says dynamic"},
        {"`==`, `!=` and `in` over types such as bool and datetime",
         "refused; the parser looks away"},
        {"`timespan * timespan`, `datetime * 2`, `1h % 2`, `datetime + datetime`",
         "refused; the parser gives them types"},
        {"`stdev()` and the like of moments, `percentile()` of texts, `binary_all_or()` of reals",
         "refused; the parser looks away"},
        {"constants that no function takes: formats, units, time zones, kinds, shares",
         "refused; the parser looks away"},
        {"constants that the parser wants: expressions, parts of dates, digits of `round()`",
         "columns are taken too"},
        {"`count(x)`, `array_length()` of a bag, seconds of `make_timespan()` that are a real",
         "taken, as by the engine; the parser refuses them"},
        {"`take x`, `top x by`, where x is a column", "refused; the parser looks away"},
        {"`materialize(T)` as the whole query, `top 1 + 2 by`, `sample-distinct` of an expression",
         "taken; the parser refuses them"},
        {"`evaluate bag_unpack()` of a text", "refused; the parser looks away"},
        {"functions that begin with two underscores", "unknown; the parser has some"},
    };
    buf_str(out, "\n## Differences\n\nWhere Microsoft's parser and this server part, and why.\n\n"
                 "| what | here |\n|---|---|\n");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        buf_fmt(out, "| %s | %s |\n", rows[i][0], rows[i][1]);
}

static void generate(struct buf *out)
{
    buf_str(
        out,
        "# What KQL is there\n\n"
        "Generated from the tables of the source; `make kql-coverage` writes it anew, and a test "
        "fails when it\nis stale. What is refused fails by name with HTTP 400, and what is "
        "an approximation,\nbecause the original does not publish its algorithm, says so.\n");
    put_operators(out);
    put_plugins(out);
    put_functions(out);
    put_differences(out);
}

TEST(kql, the_coverage_page_says_what_the_tables_say)
{
    struct diag d = DIAG_INIT;
    CLEANUP_BUF struct buf want = {0}, page = {0};
    generate(&want);
    REQUIRE_OK(os_read_file(COVERAGE_PAGE, (size_t)1 << 22, &page, &d));
    const char *corpora = strstr(buf_cstr(&page), COVERAGE_SECTION);
    if (corpora != NULL) buf_str(&want, corpora);
    if (getenv("KQL_COVERAGE") != NULL) {
        REQUIRE_OK(os_replace(COVERAGE_PAGE, buf_view(&want), &d));
        return;
    }
    if (!bytes_eq(buf_view(&want), buf_view(&page)))
        fail_msg("docs/kql-coverage.md is stale: run `make kql-coverage`");
}
