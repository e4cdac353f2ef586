/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/exec/docs.c - the examples of the documentation, and the tables printed there
 *
 * An example whose rows stand in it is run and compared, unless the engine's record contradicts
 * the page. One that reads a sample table must bind over that table's schema. As in corpus.c:
 * CORPUS=1 ... prints failures, the floor may only be raised, every miss stands on the page.
 */
#include "answers.h"

#include "../coverage_page.h"
#include "../kql/tables.h"

#define FLOOR_EQUAL 343 /* examples whose table is ours */
#define FLOOR_BOUND 137 /* examples over sample tables that bind */

static const struct reason reasons[] = {
    {"bin-function#02", "misprinted: 14:00:00:00 for 14 days"},
    {"series-asin-function#01", "misprinted: numbers as texts"},
    {"series-fit-line-dynamic-function#01", "four columns are not printed"},
    {"hash-combine-function#01", "how hashes are combined is not published"},
    {"hash-many-function#01", "how hashes are combined is not published"},
    {"using-hll-tdigest#01", "the bytes of the original's hll are not published"},
    {NULL, NULL},
};

/* Neither right nor wrong: no second run gives what the page prints, or there is nothing to run. */
static const struct reason beyond[] = {
    {"activity-metrics-plugin#01", "random rows"},
    {"activity-metrics-plugin#02", "random rows"},
    {"join-time-window#03", "random rows"},
    {"materialize-function#02", "random rows"},
    {"named-expressions#02", "random rows"},
    {"named-expressions#03", "random rows"},
    {"new-activity-metrics-plugin#03", "random rows"},
    {"new-activity-metrics-plugin#04", "random rows"},
    {"toscalar-function#09", "random rows"},
    {"reduce-operator#01", "random rows"},
    {"reduce-operator#02", "random rows"},
    {"range-operator#03", "rows up to the moment it is run"},
    {"asin-function#01", "an expression, no query"},
    {"atan-function#01", "an expression, no query"},
    {"binary-shift-left-function#01", "an expression, no query"},
    {"binary-shift-right-function#01", "an expression, no query"},
    {"binary-xor-function#02", "an expression, no query"},
    {"day-of-month-function#01", "an expression, no query"},
    {"search-operator#01", "reads rows that are not in it"},
    {"search-operator#04", "reads rows that are not in it"},
    {"table-function#02", "reads rows that are not in it"},
    {"ipv4-lookup-plugin#03", "reads rows that are not in it"},
    {"inline-external-table-operator#02", "reads rows that are not in it"},
    {"inline-external-table-operator#06", "reads rows that are not in it"},
    {NULL, NULL},
};

/* Misprints that the record of the same query does not have: the names of columns. */
static const struct reason misprints[] = {
    {"extract-all-function#03", "dk:extract-all-function-02"},
    {"extract-all-function#04", "as the one before: the same column"},
    {"extract-all-function#05", "dk:extract-all-function-04"},
    {"sliding-window-counts-plugin#01", "dk:sliding-window-counts-plugin-00"},
    {NULL, NULL},
};

struct score {
    unsigned equal, wrong, refused;   /* of those that are compared */
    unsigned geo_equal, geo;          /* among them */
    unsigned contradicted, by_chance; /* not compared */
    unsigned bound, unbound;          /* over sample tables */
};

static void print_failure(const json_t *c, const char *kind, const char *why,
                          const struct result *r)
{
    if (getenv("CORPUS") == NULL) return;
    fprintf(stderr, "%s\t%s\t%s\n", kind, json_get_str(c, "id"), why);
    if (getenv("CORPUS_ROWS") != NULL && r != NULL && r->err == OK)
        print_result(json_get(c, "expected_rows"), json_get_str(c, "query"), r);
}

static bool same_names(const json_t *want, const struct schema *s, char *why, size_t size)
{
    if (json_array_size(want) != s->n) {
        snprintf(why, size, "%u columns, not %zu", s->n, json_array_size(want));
        return false;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        const char *name = json_string_value(json_array_get(want, i));
        if (str_eq(name, s->cols[i].name)) continue;
        snprintf(why, size, "column %u has another name", i);
        return false;
    }
    return true;
}

static void refused_text(const struct diag *d, char *why, size_t size)
{
    snprintf(why, size, "%s%s%s", d->tag, d->tag[0] != 0 ? " " : "", d->text);
}

/* Its rows stand in the query. */
static void compare(const json_t *c, struct score *s, struct misses *m)
{
    const char *id = json_get_str(c, "id");
    char why[1200] = "";
    struct result r;
    result_of(&r, bytes_str(json_get_str(c, "query")), NULL);
    bool equal = r.err == OK &&
                 same_names(json_get(c, "expected_columns"), &r.schema, why, sizeof why) &&
                 printed_rows(json_get(c, "expected_rows"), &r, why, sizeof why);
    bool geo = strstr(json_get_str(c, "query"), "geo_") != NULL;
    s->geo += geo;
    s->geo_equal += geo && equal;
    if (equal) {
        s->equal++;
    } else {
        if (r.err != OK) refused_text(&r.d, why, sizeof why);
        const char *known = reason_of(reasons, id);
        *(r.err != OK ? &s->refused : &s->wrong) += 1;
        print_failure(c, r.err != OK ? "refused" : "wrong", why, &r);
        misses_add(m, id, known != NULL ? known : why);
    }
    result_release(&r);
}

static void bind_only(const json_t *c, struct tables *tables, struct score *s, struct misses *m)
{
    const char *id = json_get_str(c, "id");
    const struct kql_catalog catalog = {
        .ctx = tables, .table = find, .table_name = name_at, .has_received = true};
    const struct kql_options options = {.now_ticks = TICKS_UNIX + 1767225600LL * TICKS_PER_S};
    struct plan plan = {0};
    struct diag d = DIAG_INIT;
    CLEANUP_ARENA struct arena a;
    arena_init(&a, (size_t)1 << 28);
    if (kql_compile(&a, bytes_str(json_get_str(c, "query")), &catalog, &options, &plan, &d) == OK) {
        s->bound++;
        return;
    }
    char why[1200];
    const char *known = reason_of(reasons, id);
    refused_text(&d, why, sizeof why);
    s->unbound++;
    print_failure(c, "unbound", why, NULL);
    misses_add(m, id, known != NULL ? known : why);
}

static void run_example(const json_t *c, struct tables *tables, struct score *s, struct misses *m)
{
    bool contradicted = str_starts(json_get_str(c, "docs_table_trust"), "differs") ||
                        reason_of(misprints, json_get_str(c, "id")) != NULL;
    if (!json_get_bool(c, "self_contained", false)) {
        bind_only(c, tables, s, m);
    } else if (contradicted) {
        s->contradicted++;
    } else if (reason_of(beyond, json_get_str(c, "id")) != NULL) {
        s->by_chance++;
    } else {
        compare(c, s, m);
    }
}

static void put_score(const struct score *s, struct buf *out)
{
    unsigned all = s->equal + s->wrong + s->refused;
    unsigned plain = all - s->geo, equal = s->equal - s->geo_equal;
    buf_fmt(out,
            "Examples of the documentation: %u of %u printed tables equal without geo_* (%.1f %%), "
            "%u of %u of geo_*;\n%u wrong and %u refused in all. %u more are contradicted by the "
            "engine's record, %u have no table that a run gives.\nOf %u that read sample tables, "
            "which are not to be had, %u bind.",
            equal, plain, 100.0 * equal / plain, s->geo_equal, s->geo, s->wrong, s->refused,
            s->contradicted, s->by_chance, s->bound + s->unbound, s->bound);
}

TEST(kql, examples_of_the_documentation_give_the_tables_printed_there)
{
    const char *only = getenv("CORPUS_ID");
    CLEANUP_JSON json_t *cases = shared("kql/examples_dev.json");
    CLEANUP_JSON json_t *table_list = shared("kql/sample_schema.json");
    if (cases == NULL || table_list == NULL) return;
    CLEANUP_BUF struct buf score = {0};
    struct score s = {0};
    struct tables tables = {0};
    struct misses m;
    size_t i;
    json_t *c;
    load_tables(&tables, table_list);
    misses_begin(&m, "examples of the documentation");
    json_array_foreach (cases, i, c) {
        if (only == NULL || str_eq(only, json_get_str(c, "id"))) run_example(c, &tables, &s, &m);
    }
    put_score(&s, &score);
    fprintf(stderr, "%s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    map_release(&tables.by_name);
    arena_release(&tables.a);
    REQUIRE(only != NULL || (s.equal >= FLOOR_EQUAL && s.bound >= FLOOR_BOUND));
}
