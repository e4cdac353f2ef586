/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/thirdparty.c - queries with the results that two other engines' tests expect
 *
 * Written by hand there, so weaker than the engine's record: where they differ, the record wins.
 * As in corpus.c: CORPUS=1 ... prints failures, the floor may only be raised, every miss stands on
 * the page.
 */
#include "answers.h"

#include "../coverage_page.h"

#define FLOOR 537

static const struct reason reasons[] = {
    /* Behind the name of the engine: both have them. */
    {"EndToEndTests.BuiltIns_substring_Scalar", "expects the start where -1 counts from the end"},
    {"EndToEndTests.BuiltIns_substring_Columnar", "an empty row is missing there"},
    {"EndToEndTests.BuiltIns_url_encode_component_Columnar", "expects upper case digits"},
    {"EndToEndTests.BuiltIns_extract_Scalar", "an empty cell is missing there"},
    {"EndToEndTests.BuiltIns_extract_Columnar", "empty cells are missing there"},
    {"EndToEndTests.BuiltIns_Log10", "expects NaN; null is documented"},
    {"EndToEndTests.BuiltIns_Log2", "expects NaN; null is documented"},
    {"EndToEndTests.BuiltIns_array_sort_Scalar", "the order of types, backwards, is not recorded"},
    {"EndToEndTests.BuiltIns_array_sort_Columnar",
     "the order of types, backwards, is not recorded"},
    {"EndToEndTests.BinOp_Modulo1", "expects a negative remainder; the record has none"},
    {"ModuloTests.ModuloNegativeInt", "expects a negative remainder; the record has none"},
    {"EndToEndTests.Cast_ToString_Scalar", "expects a datetime as .NET prints it"},
    {"EndToEndTests.Cast_ToString_Columnar", "expects a datetime as .NET prints it"},
    {"EndToEndTests.Cast_ToStringFromDynamicString_Works", "an empty cell is missing there"},
    {"AggregationFunctionTests.BagPack_EmptyKeyPairIsSkipped", "not documented"},
    {"SimpleFunctionTests.SplitWithRequestedIndex", "expects a text where the record has a list"},
    {"SimpleFunctionTests.ParseIpv6", "expects nothing for IPv4; the record has an address"},
    {"SimpleFunctionTests.HasAny", "expects parts of words; terms are recorded"},
    {"SimpleFunctionTests.HasAll", "expects parts of words; terms are recorded"},
    {"SimpleFunctionTests.Has", "expects parts of words; terms are recorded"},
    {NULL, NULL},
};

struct score {
    unsigned alike, wrong, refused;
    unsigned
        beyond; /* templates, tests that are skipped there, what the original's parser refuses */
};

static void print_failure(const json_t *c, const char *kind, const char *why,
                          const struct result *r)
{
    if (getenv("CORPUS") == NULL) return;
    fprintf(stderr, "%s\t%s\t%s\n", kind, json_get_str(c, "id"), why);
    const json_t *want =
        json_get(c, "rows") != NULL ? json_get(c, "rows") : json_get(c, "expected_text");
    if (getenv("CORPUS_ROWS") != NULL && r->err == OK)
        print_result(want, json_get_str(c, "query"), r);
}

static bool same_table(const json_t *c, const struct result *r, char *why, size_t size)
{
    const json_t *columns = json_get(c, "columns");
    if (json_array_size(columns) != r->schema.n) {
        snprintf(why, size, "%u columns, not %zu", r->schema.n, json_array_size(columns));
        return false;
    }
    return printed_rows(json_get(c, "rows"), r, why, size);
}

/* One value whole, or as many cells as there are behind commas, bars and line ends. */
static bool same_print(const json_t *c, const struct result *r, char *why, size_t size)
{
    bool all = str_starts(json_get_str(c, "style"), "ResultAs");
    uint32_t first = all || r->n_rows == 0 ? 0 : r->n_rows - 1;
    const struct value *v = r->cells + (size_t)first * r->schema.n;
    size_t n = (size_t)(r->n_rows - first) * r->schema.n;
    const char *text = json_get_str(c, "expected_text");
    snprintf(why, size, "another text");
    if (n == 0) return text[0] == 0;
    if (n == 1) return printed_value(text, v);
    CLEANUP_FREE char *copy = str_dup(text);
    char *at = copy;
    for (size_t i = 0; i < n; i++) {
        const char *ends = r->schema.n == 1 && v->type == T_DYNAMIC ? "|\n" : ",|\n";
        const char *cell = strsep(&at, ends);
        if (cell == NULL || !printed_value(cell, &v[i])) return false;
    }
    return at == NULL || at[0] == 0;
}

static bool is_beyond(const json_t *c)
{
    const json_t *skipped = json_get(c, "skipped");
    bool template = strstr(json_get_str(c, "query"), "{Escape") != NULL;
    return template || json_is_true(skipped) || json_is_string(skipped) ||
           !json_get_bool(c, "parser_ok", false);
}

static void run_case(const json_t *c, struct score *s, struct misses *m)
{
    const char *id = json_get_str(c, "id");
    char why[1200] = "";
    struct result r;
    if (is_beyond(c)) {
        s->beyond++;
        return;
    }
    result_of(&r, bytes_str(json_get_str(c, "query")), NULL);
    bool alike = r.err == OK && (json_get(c, "rows") != NULL ? same_table(c, &r, why, sizeof why)
                                                             : same_print(c, &r, why, sizeof why));
    if (r.err != OK) snprintf(why, sizeof why, "%s %s", r.d.tag, r.d.text);
    *(alike ? &s->alike : r.err != OK ? &s->refused : &s->wrong) += 1;
    if (!alike) {
        const char *name = strchr(id, ':'),
                   *known = reason_of(reasons, name != NULL ? name + 1 : id);
        print_failure(c, r.err != OK ? "refused" : "wrong", why, &r);
        misses_add(m, id, known != NULL ? known : why);
    }
    result_release(&r);
}

TEST(kql, tests_of_other_engines_hold_here)
{
    const char *only = getenv("CORPUS_ID");
    const char *path = test_shared("kql/thirdparty_tests.json");
    if (path == NULL) return;
    CLEANUP_JSON json_t *cases = json_load_file(path, 0, NULL);
    REQUIRE(cases != NULL);
    CLEANUP_BUF struct buf score = {0};
    struct score s = {0};
    struct misses m;
    size_t i;
    json_t *c;
    misses_begin(&m, "tests of other engines");
    json_array_foreach (cases, i, c) {
        if (only == NULL || str_eq(only, json_get_str(c, "id"))) run_case(c, &s, &m);
    }
    unsigned all = s.alike + s.wrong + s.refused;
    buf_fmt(&score,
            "Tests of BabyKusto and KustoLoco: %u of %u alike (%.1f %%), %u wrong, %u refused; %u "
            "are templates, skipped there, or\nrefused by the original's parser.",
            s.alike, all, 100.0 * s.alike / all, s.wrong, s.refused, s.beyond);
    fprintf(stderr, "%s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    REQUIRE(only != NULL || s.alike >= FLOOR);
}
