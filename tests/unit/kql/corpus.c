/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/kql/corpus.c - other people's queries: how many parse, how many bind with the recorded
 * schema
 *
 * Scores with floors that may only be raised. KQL_MISSES=n prints the first n misses of each kind;
 * all of them stand in docs/kql-coverage.md.
 */
#include "../coverage_page.h"
#include "../mmdb_file.h"

#include "base/map.h"
#include "base/str.h"
#include "json/json.h"
#include "kql/parse.h"
#include "tables.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define FLOOR_PARSED 3157 /* of 3,171 */
#define FLOOR_GOLDEN 1260 /* of 1,329 */
#define FLOOR_BOUND  1625 /* of 1,640 */

/* --- scores ----------------------------------------------------------------------------------- */

static int misses_wanted(void)
{
    const char *n = getenv("KQL_MISSES");
    return n != NULL ? atoi(n) : 0;
}

TEST(corpus, real_queries_parse)
{
    CLEANUP_JSON json_t *queries = shared("kql/realworld_dev.json");
    if (queries == NULL) return;
    CLEANUP_BUF struct buf score = {0};
    struct misses m;
    size_t i, parsed = 0;
    int show = misses_wanted();
    json_t *q;
    misses_begin(&m, "real queries, parsed");
    json_array_foreach (queries, i, q) {
        struct arena a;
        struct ast_body *body;
        struct diag d = DIAG_INIT;
        CLEANUP_FREE char *text = filled(json_get_str(q, "query"));
        arena_init(&a, 0);
        if (kql_parse(&a, bytes_str(text), &body, &d) == OK) {
            parsed++;
        } else {
            misses_add(&m, json_get_str(q, "id"), d.text);
            if (show-- > 0) printf("%s: %s @%d\n", json_get_str(q, "id"), d.text, d.pos);
        }
        arena_release(&a);
    }
    buf_fmt(&score, "%zu of %zu real queries parse.", parsed, json_array_size(queries));
    printf("corpus: %s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    REQUIRE(parsed >= FLOOR_PARSED);
}

/* What only the data knows was recorded as unknown; beside another type as x_unknown. */
static bool same_column(const struct column *got, const char *name, const char *type)
{
    static const char mark[] = "_unknown";
    if (!str_eq(type, "unknown"))
        return str_eq(name, got->name) && str_eq(type, type_name(got->type));
    size_t n = strlen(name);
    if (str_ends(name, mark)) n -= strlen(mark) - 1; /* x_ and whatever type we gave it */
    return strncmp(name, got->name, n) == 0 && (name[n] != '\0' || got->name[n] == '\0');
}

static bool same_schema(const struct schema *got, const json_t *want, struct diag *d)
{
    if (got->n != json_array_size(want)) {
        (void)FAIL(d, ERR_INVALID, "%u columns, not %zu", got->n, json_array_size(want));
        return false;
    }
    for (uint32_t i = 0; i < got->n; i++) {
        json_t *c = json_array_get(want, i);
        const char *name = json_get_str(c, "name"), *type = json_get_str(c, "type");
        if (same_column(&got->cols[i], name, type)) continue;
        (void)FAIL(d, ERR_INVALID, "column %u is '%s':%s, not '%s':%s", i, got->cols[i].name,
                   type_name(got->cols[i].type), name, type);
        return false;
    }
    return true;
}

TEST(corpus, real_queries_bind_with_the_recorded_schema)
{
    CLEANUP_JSON json_t *queries = shared("kql/realworld_dev.json");
    CLEANUP_JSON json_t *schemas = shared("kql/schema_dev.json");
    CLEANUP_JSON json_t *table_list = shared("kql/tables_schema.json");
    if (queries == NULL || schemas == NULL || table_list == NULL) return;
    struct tables tables = {0};
    struct map text_of = {0};
    load_tables(&tables, table_list);
    mmdb_name_one();
    CLEANUP_BUF struct buf score = {0};
    struct misses m;
    size_t i, bound = 0;
    json_t *q;
    misses_begin(&m, "real queries, bound with the recorded schema");
    json_array_foreach (queries, i, q) {
        REQUIRE(map_put(&text_of, bytes_str(json_get_str(q, "id")), q, NULL, NULL) == OK);
    }

    struct kql_catalog catalog = {
        .ctx = &tables, .table = find, .table_name = name_at, .has_received = true};
    struct kql_options options = {.now_ticks = TICKS_UNIX + 1700000000 * TICKS_PER_S};
    int show = misses_wanted();
    json_array_foreach (schemas, i, q) {
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        const char *id = json_get_str(q, "id");
        json_t *query = map_get(&text_of, bytes_str(id));
        if (query == NULL) continue;
        CLEANUP_FREE char *text = filled(json_get_str(query, "query"));
        arena_init(&a, 0);
        tables_for(&tables, text);
        enum err e = kql_compile(&a, bytes_str(text), &catalog, &options, &plan, &d);
        if (e == OK && same_schema(&plan.root->schema, json_get(q, "columns"), &d)) {
            bound++;
        } else {
            misses_add(&m, id, d.text);
            if (show-- > 0) printf("%s: %s @%d\n", id, d.text, d.pos);
        }
        arena_release(&a);
    }
    buf_fmt(&score, "%zu of %zu real queries bind with the recorded schema.", bound,
            json_array_size(schemas));
    printf("corpus: %s\n", buf_cstr(&score));
    misses_end(&m, buf_cstr(&score));
    REQUIRE(bound >= FLOOR_BOUND);
    geo_ip_close();
    map_release(&text_of);
    map_release(&tables.by_name);
    arena_release(&tables.a);
}

/* The engine's own answers: a query that it refused must not be counted, and may be refused here.
 */
TEST(corpus, golden_queries_bind_with_the_columns_of_the_engine)
{
    CLEANUP_JSON json_t *golden = shared("kql/golden_dev.json");
    CLEANUP_JSON json_t *table_list = shared("kql/sample_schema.json");
    if (golden == NULL || table_list == NULL) return;
    struct tables tables = {0};
    load_tables(&tables, table_list);
    struct kql_catalog catalog = {.ctx = &tables, .table = find, .table_name = name_at};
    struct kql_options options = {.now_ticks = TICKS_UNIX + 1700000000 * TICKS_PER_S};
    int show = misses_wanted();
    size_t i, bound = 0, total = 0;
    json_t *q;
    json_array_foreach (golden, i, q) {
        struct arena a;
        struct plan plan;
        struct diag d = DIAG_INIT;
        if (json_get(q, "engine_error") != NULL) continue;
        total++;
        arena_init(&a, 0);
        enum err e =
            kql_compile(&a, bytes_str(json_get_str(q, "query")), &catalog, &options, &plan, &d);
        if (e == OK && same_schema(&plan.root->schema, json_get(q, "columns"), &d)) {
            bound++;
        } else if (show-- > 0) {
            printf("%s: %s @%d\n", json_get_str(q, "id"), d.text, d.pos);
        }
        arena_release(&a);
    }
    printf("corpus: %zu of %zu golden queries bind with the engine's columns\n", bound, total);
    REQUIRE(bound >= FLOOR_GOLDEN);
    map_release(&tables.by_name);
    arena_release(&tables.a);
}
